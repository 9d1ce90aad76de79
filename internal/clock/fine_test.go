package clock

import (
	"testing"
	"time"
)

// A bench has a counter and a clock that show one time. It goes on by 5 to 8 ns when
// the counter is read and by 200 ns when the clock is.
type bench struct {
	ns       int
	counters int // readings
	clocks   int
	show     func(ns int) int           // the counter
	clock    func(ns int) time.Duration // the clock; nil: it is right
	stop     func(clocks int) int       // an interruption before a reading of the clock, in ns
}

func (b *bench) counter() uint64 {
	b.counters++
	b.ns += 5 + b.counters*b.counters>>3%4
	return uint64(b.show(b.ns))
}

func (b *bench) monotonic() time.Duration {
	if b.stop != nil {
		b.ns += b.stop(b.clocks)
	}
	b.clocks++
	b.ns += 200
	if b.clock != nil {
		return b.clock(b.ns)
	}
	return time.Duration(b.ns)
}

// T8: the rate of a counter counts in steps, as short as its ticks may be.
func TestFine(t *testing.T) {
	// A try reads the counter once, and then every 206 ns until 50 µs are over.
	const try = 246
	every := func(n int) func(int) int {
		return func(clocks int) int {
			if clocks%n == n-1 {
				return 1e6
			}
			return 0
		}
	}
	for _, tt := range []struct {
		name     string
		bench    bench
		want     bool
		counters int // readings at most
	}{
		{"1 GHz", bench{show: func(ns int) int { return ns }}, true, try},
		{"910 MHz", bench{show: func(ns int) int { return ns * 91 / 100 }}, true, try},
		{"890 MHz", bench{show: func(ns int) int { return ns * 89 / 100 }}, false, 5 * try},
		{"62.5 MHz", bench{show: func(ns int) int { return ns / 16 }}, false, 5 * try},
		{"2.6 GHz, steps of 2", bench{show: func(ns int) int { return ns * 13 / 10 * 2 }}, true, try},
		{"2.6 GHz, steps of 26", bench{show: func(ns int) int { return ns / 10 * 26 }}, false, 5 * try},
		{"1 GHz, steps of 10", bench{show: func(ns int) int { return ns / 10 * 10 }}, false, 5 * try},
		{"4096 MHz", bench{show: func(ns int) int { return ns * 4096 / 1000 }}, true, try},
		{"4096 MHz, steps of 16", bench{show: func(ns int) int { return ns * 256 / 1000 * 16 }}, false, 5 * try},
		{"standing", bench{show: func(int) int { return 7 }}, false, 5 * try},
		{"wrapping", bench{show: func(ns int) int { return ns - 10000 }}, true, try},
		{"one step back", bench{show: func(ns int) int {
			if ns > 30000 {
				return ns - 10000
			}
			return ns
		}}, false, try},
		{"backwards", bench{show: func(ns int) int { return -ns }}, false, 2},
		{"no time", bench{show: func(ns int) int { return ns }, clock: func(int) time.Duration { return 0 }}, false, 5 * (fineReads + 1)},
		// An interruption ends a try, and makes the counter look slow in it.
		{"interrupted once", bench{show: func(ns int) int { return ns }, stop: func(clocks int) int {
			if clocks == 100 {
				return 1e6
			}
			return 0
		}}, true, 2 * try},
		{"interrupted always", bench{show: func(ns int) int { return ns }, stop: every(2)}, false, 5 * 2},
	} {
		b := tt.bench
		if got := fine(b.counter, b.monotonic); got != tt.want || b.counters > tt.counters {
			t.Errorf("%s: %v after %d readings, want %v after at most %d", tt.name, got, b.counters, tt.want, tt.counters)
		}
	}
}
