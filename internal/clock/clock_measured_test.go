//go:build (arm64 || s390x) && !purego

package clock

import (
	"testing"
	"time"
)

// The counter runs, whether Now reads it or not, and at 1 MHz at least, which is
// the slowest that Arm allows.
func TestCounter(t *testing.T) {
	const patience = 10 * time.Second
	first, start := counter(), Monotonic()
	for counter()-first < 1000 {
		if Monotonic()-start > patience {
			t.Fatalf("%d ticks in %v", counter()-first, patience)
		}
	}
	took := Monotonic() - start
	t.Logf("1000 ticks in %v, used: %v", took, hasCounter())

	if !hasCounter() {
		return
	}
	before, now, after := counter(), Now(), counter()
	// A minute at 4 GHz: far from what separates the counter from the nanoseconds
	// since the machine was started. The TOD clock counts from 1900.
	const minute = 240e9
	if now-before > minute || after-now > minute {
		t.Errorf("Now() = %d between counters %d and %d", now, before, after)
	}
}
