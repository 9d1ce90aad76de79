package clock_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng/internal/clock"
)

// Clocks of which the test does not know how fine they are get this long to make
// a step.
const patience = 2 * time.Second

func TestNowAdvances(t *testing.T) {
	start := time.Now()
	first := clock.Now()
	for clock.Now() == first {
		if time.Since(start) > patience {
			t.Fatalf("the clock stood at %d for %v", first, patience)
		}
	}
}

// Of 1000 steps the jitter source tolerates three backward ones (docs/traceability.md
// B17); a thread that moves between CPUs can cause one, not more than a few.
func TestNowHardlyEverStepsBack(t *testing.T) {
	back := 0
	last := clock.Now()
	for range 1000 {
		now := clock.Now()
		if int64(now-last) < 0 {
			back++
		}
		last = now
	}
	if back > 3 {
		t.Errorf("%d backward steps in 1000", back)
	}
}

// T8: the noise is in the low bits, so the steps of the clock have to be short
// beside what is timed. A read of the clock that is no longer than 20 µs bounds
// the step from above; the slowest known is a system call in an emulated CPU.
func TestNowIsFine(t *testing.T) {
	if runtime.GOOS == "js" || runtime.GOOS == "wasip1" {
		t.Skip("the clock of WebAssembly hosts is coarse on purpose")
	}
	// The best of many looks is one without interruptions.
	best := time.Hour
	for range 100 {
		distinct := 0
		start := time.Now()
		last := clock.Now()
		for range 500 {
			if now := clock.Now(); now != last {
				distinct++
				last = now
			}
		}
		if took := time.Since(start); distinct > 0 {
			best = min(best, took/time.Duration(distinct))
		}
	}
	if best > 20*time.Microsecond {
		t.Errorf("a step takes %v", best)
	}
}

func TestMonotonic(t *testing.T) {
	last := clock.Monotonic()
	for range 1000 {
		now := clock.Monotonic()
		if now < last {
			t.Fatalf("went from %v back to %v", last, now)
		}
		last = now
	}

	// The unit is right: a sleep of 20 ms is not over after less. How much
	// longer it takes is up to the system.
	before := clock.Monotonic()
	time.Sleep(20 * time.Millisecond)
	if took := clock.Monotonic() - before; took < 19*time.Millisecond || took > 10*time.Second {
		t.Errorf("a sleep of 20 ms took %v", took)
	}
}

// In a bubble the clock of package time stands still as long as a goroutine
// runs. These do not.
func TestRealTimeInBubble(t *testing.T) {
	switch runtime.GOOS {
	case "js", "wasip1", "plan9", "aix":
		t.Skip("no clock but that of package time")
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		now, mono := clock.Now(), clock.Monotonic()
		// A million reads take more than 1 ms on any machine, and a clock of
		// 1 ms would have made a step.
		n := 0
		for clock.Now() == now || clock.Monotonic() == mono {
			if n++; n == 1e6 {
				t.Fatal("the clocks stand still")
			}
		}
		if !time.Now().Equal(start) {
			t.Error("the clock of the bubble runs: the test shows nothing")
		}
	})
}

// The record of an assessment names the clock.
func TestName(t *testing.T) {
	name := clock.Name()
	for range 3 {
		if name == "" || clock.Name() != name {
			t.Fatalf("%q, then %q", name, clock.Name())
		}
	}
	t.Log(name)
}

func TestNowDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	if n := testing.AllocsPerRun(100, func() { clock.Now(); clock.Monotonic() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

var sink uint64

func BenchmarkNow(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		sink = clock.Now()
	}
}

func BenchmarkMonotonic(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		sink = uint64(clock.Monotonic())
	}
}

// Direct is the clock that Now reads.
func TestDirect(t *testing.T) {
	direct := clock.Direct()
	for range 100 { // the thread may move to a CPU that is behind
		before := clock.Now()
		now := direct()
		after := clock.Now()
		if before <= now && now <= after {
			return
		}
	}
	t.Error("never between what Now says before and after")
}
