package sysrand

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// kern.arandom yields at most 256 bytes a call (sysctl(7)).
const maxRequest = 256

// request asks the sysctl variable kern.arandom, which NetBSD recommends to
// libraries (rnd(4)). It is equivalent to /dev/urandom and delivers before the
// generator is seeded, too, so /dev/random is asked for that first. The system
// call getrandom is not used: it is new in NetBSD 10, and before that the
// attempt would end the program by SIGSYS.
func request(b []byte, _ bool) (int, error) {
	if err := deviceReady(); err != nil {
		return 0, err
	}
	mib := [2]int32{unix.CTL_KERN, 81} // KERN_ARND, <sys/sysctl.h>
	n := uintptr(len(b))
	_, _, errno := unix.Syscall6(unix.SYS___SYSCTL, uintptr(unsafe.Pointer(&mib)), uintptr(len(mib)),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(unsafe.Pointer(&n)), 0, 0)
	if errno != 0 {
		return 0, wrap("sysctl kern.arandom", errno)
	}
	return int(n), nil
}

// genuine returns true: the numbers of the devices differ between the ports.
func genuine(*unix.Stat_t, uint32) bool { return true }
