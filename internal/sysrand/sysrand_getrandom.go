//go:build dragonfly || freebsd || linux

package sysrand

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// getrandom makes the system call getrandom(2), never its vDSO equivalent.
func getrandom(b []byte, flags uintptr) (int, error) {
	n, _, errno := unix.Syscall(unix.SYS_GETRANDOM, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), flags)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
