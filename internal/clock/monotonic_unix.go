//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd || solaris

package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// monotonic asks the kernel by a system call. The faster way of the runtime, the
// vDSO, is not open to packages outside of it.
func monotonic() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(monotonicID, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
