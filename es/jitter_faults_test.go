package es

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

// E1: the fault scripts that have a meaning for a source of durations. Each fault sets
// in at the start, in the first block, and in a later one, lasts for a given number of
// samples, and then the clock is good again.
//
// What must hold: a fault that a test knows is noticed by that test; no data and no
// credit come with an error; if the fault lasts the failure becomes permanent, or the
// clock is found to be unusable in the start-up that follows, and else the source
// delivers when it is over. What no test can know is listed too, so that
// nobody believes it were noticed.
func TestJitterFaults(t *testing.T) {
	const ever = math.MaxInt
	random := func(i int) uint64 { z, _ := sound(i); return z }
	for _, tt := range []struct {
		name  string
		play  func(i int) uint64 // i is that of the sample, so the phase differs
		lasts int                // samples
		start string             // what notices it first at the start, and whether it becomes permanent
		later string             // the same in a block

		repeats bool // the noise comes again, and so can blocks
	}{
		{"stopped", func(int) uint64 { return 0 }, ever, "does not advance", "RCT permanent", false},
		{"stopped for 100 samples", func(int) uint64 { return 0 }, 100, "", "RCT", false},
		{"stopped for 90 samples", func(int) uint64 { return 0 }, 90 - 4, "", "", false},
		{"all ones", func(int) uint64 { return math.MaxUint64 }, ever, "runs backwards", "RCT", false},
		{"all ones, signed", func(int) uint64 { return math.MaxInt64 }, ever, "too coarse", "RCT permanent", false},
		{"a word", func(int) uint64 { return 0x0123456789abcd }, ever, "too coarse", "RCT permanent", false},
		{"two words in turn", func(i int) uint64 { return 26 * (50 + uint64(i%2)) }, ever, "too coarse", "RCT permanent", false},
		{"counter", func(i int) uint64 { return 26 * (1000 + uint64(i)) }, ever, "RCT permanent", "RCT permanent", false},
		{"counter of 8 bits", func(i int) uint64 { return 26 * (1000 + uint64(i%256)) }, ever, "RCT permanent", "RCT permanent", false},
		{"slow drift", func(i int) uint64 { return 26 * (1000 + uint64(i/40)) }, ever, "start-up permanent", "stuck permanent", false},
		{"a block of 4", func(i int) uint64 { return 26 * []uint64{100, 300, 200, 700}[i%4] }, ever, "lag run permanent", "lag run permanent", false},
		{"a block of 8", func(i int) uint64 { return 26 * (100 + random(i%8)%64) }, ever, "lag run permanent", "lag run permanent", false},
		// Beyond the memory of the tests, as a good pseudo-random sequence is.
		{"a block of 64", func(i int) uint64 { return 26 * (100 + random(i%64)%64) }, ever, "", "", true},
		{"the last block again", func(i int) uint64 { return lively(i % 2000) }, ever, "", "", true},
		// Two symbols of 0.1 and 0.9 have 0.15 bits, less than the claim of 1/3, and
		// of 0.4 and 0.6 0.74 bits, more than that. At the start neither is a clock.
		{"biased, 0.9", func(i int) uint64 { return 26 * (40 + 7*(random(i)%10/9)) }, ever, "too coarse", "APT permanent", false},
		{"biased, 0.6", func(i int) uint64 { return 26 * (40 + 7*(random(i)%5/3)) }, ever, "too coarse", "", false},
		{"steps of 1 ms", func(i int) uint64 { return uint64(i%100/99) * 2_600_000 }, ever, "too coarse", "RCT permanent", false},
		{"backwards", func(int) uint64 { return ^uint64(500) }, ever, "runs backwards", "RCT", false},
		{"an hour forward", func(int) uint64 { return 3600 * 2_600_000_000 }, 1, "", "", false},
		{"an hour back", func(int) uint64 { return ^uint64(3600 * 2_600_000_000) }, 1, "", "", false},
	} {
		for _, at := range []int{0, jitterProbe + jitterStartUp + 300, jitterProbe + jitterStartUp + 5000} {
			name := fmt.Sprintf("%s from sample %d on", tt.name, at)
			over := false
			j, clock := playJitter(JitterConfig{Noise: JitterHash, OSR: 3}, func(i int) uint64 {
				if i >= at && i-at < tt.lasts && !over {
					return tt.play(i)
				}
				return lively(i)
			})
			want := tt.later
			if at == 0 {
				want = tt.start
			}
			got, permanent := "", false
			seen := map[[32]byte]bool{}
			for good, unusable := 0, 0; good < 8 && unusable < 2 && !permanent && clock.samples() < 100_000; {
				var p [32]byte
				credit, err := j.GetEntropy(t.Context(), p[:], 256)
				if err == nil {
					if credit != 256 || seen[p] && !tt.repeats {
						t.Errorf("%s: credit %d, the same block: %v", name, credit, seen[p])
					}
					seen[p] = true
					good++
					continue
				}
				good = 0
				if credit != 0 || p != [32]byte{} {
					t.Errorf("%s: %d, %x with %v", name, credit, p, err)
				}
				var f *HealthError
				what := ""
				switch {
				case errors.As(err, &f):
					what, permanent = f.Test, f.Permanent
				case errors.Is(err, ErrUnavailable):
					unusable++
					for _, w := range []string{"does not advance", "too coarse", "runs backwards"} {
						if strings.Contains(err.Error(), w) {
							what = w
						}
					}
				}
				if what == "" {
					t.Errorf("%s: %v", name, err)
				}
				if got == "" {
					got = what
				}
			}
			if permanent {
				got += " permanent"
			}
			if got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
			// The clock is good again.
			over = true
			var p [32]byte
			credit, err := j.GetEntropy(t.Context(), p[:], 256)
			var f *HealthError
			switch {
			case permanent && (!errors.As(err, &f) || !f.Permanent || j.Available(256) != 0):
				t.Errorf("%s: after the permanent failure: %d, %v", name, credit, err)
			case !permanent && (credit != 256 || err != nil || j.Available(256) != 256):
				t.Errorf("%s: after it: %d, %v", name, credit, err)
			}
			wantClean(t, j)
		}
	}
}

// E1: good and bad in turn. Each bad phase costs the call that meets it, and raises the
// rate; when there is no rate left the source is given up, and not before.
func TestJitterAlternates(t *testing.T) {
	bad := false
	j, _ := playJitter(JitterConfig{}, func(i int) uint64 {
		if bad {
			return 0
		}
		return lively(i)
	})
	failures := 0
	for range 100 {
		bad = false
		if credit, err := j.GetEntropy(t.Context(), make([]byte, 32), 256); credit != 256 || err != nil {
			break
		}
		bad = true
		if credit, err := j.GetEntropy(t.Context(), make([]byte, 32), 256); credit != 0 || err == nil {
			t.Fatalf("failure %d: %d, %v", failures, credit, err)
		}
		failures++
	}
	if failures != 18 { // at rates of 3 to 20
		t.Errorf("given up after %d failures", failures)
	}
}

// E1: two processes in which the same happens deliver the same. That is why a generator
// has other inputs; nothing is in the data but the noise.
func TestJitterTwins(t *testing.T) {
	a, _ := playJitter(JitterConfig{}, lively)
	b, _ := playJitter(JitterConfig{}, lively)
	if !bytes.Equal(ask(t, a, t.Context()), ask(t, b, t.Context())) {
		t.Error("the data hold something that is no noise")
	}
}
