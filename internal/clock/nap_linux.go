package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// nap lasts as long or shorter, if a signal comes.
func nap(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	unix.Nanosleep(&ts, nil)
}
