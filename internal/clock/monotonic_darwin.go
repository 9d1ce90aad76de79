package clock

import "golang.org/x/sys/unix"

// On macOS CLOCK_MONOTONIC counts microseconds. CLOCK_UPTIME_RAW is
// mach_absolute_time in nanoseconds, with all its digits: clock_gettime(3).
const (
	monotonicID   = unix.CLOCK_UPTIME_RAW
	monotonicName = "CLOCK_UPTIME_RAW"
)
