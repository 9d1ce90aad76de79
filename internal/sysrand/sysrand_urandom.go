//go:build aix || linux || solaris

package sysrand

import "golang.org/x/sys/unix"

// readDevice makes one read of /dev/urandom, once the generator has been
// seeded.
func readDevice(b []byte) (int, error) {
	const path = "/dev/urandom"
	if err := deviceReady(); err != nil {
		return 0, err
	}
	fd, err := openDevice(path, 9)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, b)
	if err != nil {
		return 0, wrap("read "+path, err)
	}
	return n, nil
}
