//go:build !aix && !darwin && !dragonfly && !freebsd && !js && !linux && !netbsd && !openbsd && !solaris && !wasip1 && !windows

package sysrand

const maxRequest = 64 << 10

// request knows of no generator that can be asked without waiting. On Plan 9
// there is /dev/random, but nothing tells whether it was seeded.
func request([]byte, bool) (int, error) {
	return 0, ErrUnsupported
}
