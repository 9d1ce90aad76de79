package sysrand

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// The kernel answers up to 32 Mi - 1 bytes at once (getrandom(2)). The limit is
// far below, as a thread that is in the kernel does not see its goroutine's
// context being cancelled: 64 KiB take 0.1 to 0.2 ms.
const maxRequest = 64 << 10

// GRND_NONBLOCK turns "not ready" into EAGAIN. GRND_INSECURE, which would
// deliver nevertheless, is not used; neither is GRND_RANDOM, which on kernels
// before 5.6 reads the pool that drains.
const flags = unix.GRND_NONBLOCK

// mixed counts the requests for mixing, up to firstMixed: so many enter the kernel. The vDSO
// maps memory and makes a key first, which takes as long as some fifty system calls, and many
// programs want no more than one key.
var mixed atomic.Uint32

const firstMixed = 8

func request(b []byte, mix bool) (n int, err error) {
	if mix && mixed.Load() >= firstMixed {
		// Since Linux 6.11 this does not enter the kernel in most calls.
		n, err = unix.Getrandom(b, flags)
	} else {
		if mix {
			mixed.Add(1)
		}
		n, err = getrandom(b, flags)
	}
	switch err {
	case nil, unix.EINTR:
		return n, err
	case unix.EAGAIN:
		return 0, ErrNotReady
	case unix.ENOSYS, unix.EPERM:
		// The kernel is older than 3.17, or a filter is older than the call.
		return readDevice(b)
	}
	return 0, wrap("getrandom", err)
}

// genuine reports whether the character device st has the number that Linux
// has given to its generator for good: 1:8 is /dev/random and 1:9 /dev/urandom
// (Documentation/admin-guide/devices.txt). In a badly made chroot the names can
// belong to /dev/zero, which delivers as willingly.
func genuine(st *unix.Stat_t, minor uint32) bool {
	return uint64(st.Rdev) == unix.Mkdev(1, minor)
}
