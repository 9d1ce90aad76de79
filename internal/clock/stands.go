package clock

import "time"

const (
	// standsTime is how long Now may show the same. The counters that it reads
	// advance every 10 ns or so, and Monotonic is Now itself where there is none.
	standsTime = 10 * time.Microsecond

	// standsReads limits the search where Monotonic does not advance either. It is
	// enough for standsTime with a clock that is read in 3 ns.
	standsReads = 1 << 12
)

// Stands reports whether Now stands still although Monotonic goes on: the time stamp
// is broken. It is false where both do, because the system refuses to tell the time or
// has a clock that is coarser than the search is long: nothing is known then.
func Stands() bool { return stands(Now, Monotonic) }

func stands(now func() uint64, monotonic func() time.Duration) bool {
	stamp, start := now(), monotonic()
	for range standsReads {
		// In this order: a clock that is both shows the later time to now.
		elapsed := monotonic() - start
		if now() != stamp {
			return false
		}
		if elapsed >= standsTime {
			return true
		}
	}
	return false
}
