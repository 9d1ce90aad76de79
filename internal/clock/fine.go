package clock

import "time"

const (
	// fineTime is for how long a counter is measured. The clock that it is compared
	// with is read in less than 1 µs by a system call, so that its reading is
	// wrong by less than the tolerance of fine.
	fineTime = 50 * time.Microsecond

	// fineReads limits a measurement where the time stands still.
	fineReads = 1 << 14

	// fineTries is how often a measurement is made: one that was interrupted makes
	// the counter look slow.
	fineTries = 5
)

// fine reports whether the counter can take the place of monotonic, whose unit is
// a nanosecond: it has a step for each, and does not go back. The step is the
// greatest common divisor of the differences. A tenth is allowed for the time
// between the readings of the two.
func fine(counter func() uint64, monotonic func() time.Duration) bool {
	for range fineTries {
		start := monotonic()
		first := counter()
		last, step := first, uint64(0)
		for range fineReads {
			now := counter()
			delta := now - last
			if int64(delta) < 0 {
				return false
			}
			step, last = gcd(step, delta), now
			elapsed := monotonic() - start
			if elapsed < fineTime {
				continue
			}
			if step != 0 && (now-first)/step >= uint64(elapsed-elapsed/10) {
				return true
			}
			break
		}
	}
	return false
}

// gcd returns the greatest common divisor of a and b; gcd(0, b) is b.
func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
