//go:build linux && (ppc64 || ppc64le)

package cpu

import "golang.org/x/sys/unix"

// hasDARN asks the auxiliary vector, of which the runtime has kept a copy. One
// that it did not get announces nothing.
func hasDARN() bool {
	auxv, _ := unix.Auxv()
	return announcesDARN(auxv)
}
