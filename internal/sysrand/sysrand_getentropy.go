//go:build darwin || openbsd

package sysrand

import (
	"syscall"
	"unsafe"
)

// A longer request fails with EIO (getentropy(2) of both systems).
const maxRequest = 256

// request calls getentropy(2). It is preferred to arc4random_buf(3), which
// keeps its state in the memory of the process: getentropy goes to the kernel
// each time, and needs no file descriptor and no device in a chroot or sandbox.
// The kernels of both systems are seeded before the first process is started,
// so the call neither waits nor fails.
func request(b []byte, _ bool) (int, error) {
	_, _, errno := syscall_syscall(getentropyAddr, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), 0)
	if errno != 0 {
		return 0, wrap("getentropy", errno)
	}
	return len(b), nil
}

// Both systems promise stable system calls by their C library only, and
// golang.org/x/sys/unix does not have this one. It is called in the way of that
// package: a trampoline in assembly jumps to the library's function, and
// package syscall calls the trampoline on the system stack.

// getentropyAddr is the address of the trampoline, see sysrand_getentropy.s.
var getentropyAddr uintptr

//go:linkname syscall_syscall syscall.syscall
func syscall_syscall(fn, a1, a2, a3 uintptr) (r1, r2 uintptr, err syscall.Errno)
