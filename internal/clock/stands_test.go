package clock

import (
	"testing"
	"time"
)

func TestStands(t *testing.T) {
	if Stands() {
		t.Error("the clock of this machine stands still")
	}
	for _, tt := range []struct {
		name      string
		now       func(i int) int // the i-th reading
		monotonic func(i int) int // in nanoseconds
		want      bool
		reads     int // at most
	}{
		{"both go on", func(i int) int { return 26 * i }, func(i int) int { return 10 * i }, false, 2},
		{"the stamp stands", func(int) int { return 5 }, func(i int) int { return 10 * i }, true, 1002},
		{"the stamp stands at 0", func(int) int { return 0 }, func(i int) int { return 3 * i }, true, 3336},
		{"the stamp stands, the time is coarse", func(int) int { return 5 }, func(i int) int { return i / 4000 * 1e6 }, true, 4001},
		{"the stamp goes back", func(i int) int { return 100 - i }, func(i int) int { return 10 * i }, false, 2},
		{"the stamp is coarse", func(i int) int { return i / 900 }, func(i int) int { return 10 * i }, false, 901},
		{"both stand", func(int) int { return 5 }, func(i int) int { return 7 }, false, 4097},
		{"the time stands", func(i int) int { return i / 4000 }, func(i int) int { return 7 }, false, 4001},
		{"one coarse clock", func(i int) int { return i / 2000 * 1e6 }, func(i int) int { return i / 2000 * 1e6 }, false, 2001},
	} {
		n, m := -1, -1
		got := stands(func() uint64 { n++; return uint64(tt.now(n)) }, func() time.Duration { m++; return time.Duration(tt.monotonic(m)) })
		if got != tt.want || n+1 > tt.reads {
			t.Errorf("%s: %v after %d readings, want %v after %d", tt.name, got, n+1, tt.want, tt.reads)
		}
	}
}

// Where one clock serves as both, however coarse, it does not stand still.
func TestStandsOneClock(t *testing.T) {
	for step := 1; step < 1<<20; step *= 3 {
		i := 0
		read := func() int { i++; return i * 7 / step * step * 1000 }
		if stands(func() uint64 { return uint64(read()) }, func() time.Duration { return time.Duration(read()) }) {
			t.Errorf("steps of %d µs: stands still", step)
		}
	}
}
