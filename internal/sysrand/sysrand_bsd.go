//go:build dragonfly || freebsd

package sysrand

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// FreeBSD limits a request to IOSIZE_MAX, which is at least 2³¹ - 1. The limit
// here keeps a thread from staying in the kernel for long.
const maxRequest = 64 << 10

// request calls getrandom(2), which both systems took over from Linux. Reads of
// up to 256 bytes are not interrupted once the generator is seeded; before,
// GRND_NONBLOCK makes the call fail with EAGAIN. The call is older than the
// oldest release that Go supports and allowed in capability mode, so there is
// no fallback.
func request(b []byte, _ bool) (int, error) {
	flags := uintptr(0x1) // GRND_NONBLOCK of FreeBSD, <sys/random.h>
	if runtime.GOOS == "dragonfly" {
		flags = 0x2 // GRND_NONBLOCK of DragonFly, <sys/random.h>
	}
	n, err := getrandom(b, flags)
	switch err {
	case nil, unix.EINTR:
		return n, err
	case unix.EAGAIN:
		return 0, ErrNotReady
	}
	return 0, wrap("getrandom", err)
}
