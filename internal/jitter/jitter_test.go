package jitter

import (
	"crypto/sha3"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/lrng-go/lrng/internal/health"
)

// A replay is a clock that makes sample i last duration(i) ticks. Negative
// durations are written as two's complements.
type replay struct {
	duration func(i int) uint64
	t        uint64
	calls    int
}

// now is called once when the source is made ready, and then twice for each
// sample.
func (r *replay) now() uint64 {
	if r.calls > 0 && r.calls%2 == 0 {
		r.t += r.duration(r.samples())
	}
	r.calls++
	return r.t
}

// samples returns the number of samples that are complete.
func (r *replay) samples() int { return (r.calls - 1) / 2 }

// step is the step of the clocks in the tests.
const step = 26

// scatter returns numbers without a pattern.
func scatter(i int) uint32 {
	x := uint32(i)*2654435769 + 12345
	x ^= x >> 15
	x *= 2246822519
	return x ^ x>>13
}

// noisy returns durations that pass all tests: 32 values without a pattern.
func noisy(i int) uint64 { return step * (40 + uint64(scatter(i)%32)) }

// negative returns a duration of -ticks.
func negative(ticks uint64) uint64 { return -ticks }

// newSource returns a source that replays durations, and its clock.
func newSource(t testing.TB, osr int, duration func(i int) uint64) (*Source, *replay) {
	t.Helper()
	r := &replay{duration: duration, t: 1 << 40}
	s, err := New(Config{OSR: osr, Memory: MinMemory, Now: r.now})
	if err != nil {
		t.Fatal(err)
	}
	return s, r
}

// until takes samples until there is an error, or n have been taken.
func until(s *Source, n int) (int, error) {
	for i := 1; i <= n; i++ {
		if _, _, err := s.Next(); err != nil {
			return i, err
		}
	}
	return n, nil
}

// started is newSource and a start-up with noisy durations. After that sample i
// lasts duration(i), i counted from 0.
func started(t testing.TB, osr int, duration func(i int) uint64) *Source {
	t.Helper()
	first := probeSamples + health.StartupSamples
	s, _ := newSource(t, osr, func(i int) uint64 {
		if i < first {
			return noisy(i)
		}
		return duration(i - first)
	})
	if n, err := until(s, first); err != nil || !s.Ready() {
		t.Fatalf("start-up: sample %d: %v, ready: %v", n, err, s.Ready())
	}
	return s
}

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		c     Config
		names string
	}{
		{Config{OSR: 1, Memory: MinMemory}, ""}, {Config{OSR: 20, Memory: DefaultMemory}, ""}, {Config{OSR: 3, Memory: MaxMemory}, ""},
		{Config{Noise: Memory, OSR: 3, Memory: MinMemory}, ""}, {Config{Noise: Hash, OSR: 3, Memory: MinMemory}, ""},
		{Config{Noise: Hash + 1, OSR: 3, Memory: MinMemory}, "Noise"},
		{Config{OSR: 0, Memory: MinMemory}, "OSR"}, {Config{OSR: 21, Memory: MinMemory}, "OSR"}, {Config{OSR: -1, Memory: MinMemory}, "OSR"},
		{Config{OSR: 3, Memory: 0}, "Memory"}, {Config{OSR: 3, Memory: MinMemory / 2}, "Memory"}, {Config{OSR: 3, Memory: MaxMemory + 1}, "Memory"},
		{Config{OSR: 3, Memory: MinMemory + 1}, "Memory"}, {Config{OSR: 3, Memory: 3 << 12}, "Memory"}, {Config{OSR: 3, Memory: -1 << 12}, "Memory"},
	} {
		s, err := New(tt.c)
		switch {
		case tt.names == "" && err != nil:
			t.Errorf("%+v: %v", tt.c, err)
		case tt.names != "" && (s != nil || err == nil || !strings.HasPrefix(err.Error(), "jitter: "+tt.names)):
			t.Errorf("%+v: %v, want an error that names %s", tt.c, err, tt.names)
		}
		if s != nil && s.noise.memory != nil {
			t.Errorf("%+v: the memory is allocated before it is used", tt.c)
		}
	}
}

// B14: a good clock is ready after the probe and 1024 samples, and no sample of
// these counts. B15: the same on demand, without the probe; but there the window
// of the APT that is open has to end first.
func TestStartUp(t *testing.T) {
	s, clock := newSource(t, 3, noisy)
	for i := range 3000 {
		delta, counts, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		if s.Ready() != (i >= probeSamples+1024-1) || s.Probed() != (i >= probeSamples-1) {
			t.Fatalf("sample %d: ready: %v, probed: %v", i, s.Ready(), s.Probed())
		}
		if counts && i < probeSamples+1024 {
			t.Fatalf("sample %d counts", i)
		}
		if want := noisy(clock.samples() - 1); i >= probeSamples && delta != want {
			t.Fatalf("sample %d: %d ticks, want %d", i, delta, want)
		}
	}
	if want := (Clock{Step: step, Granularity: step, Values: 25, Length: 1}); s.Clock() != want {
		t.Errorf("%+v, want %+v", s.Clock(), want)
	}

	s.Start()
	rest := 512 - (3000-probeSamples)%512
	for i := range 3000 {
		_, counts, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		if s.Ready() != (i >= rest+1024-1) || counts && i < rest+1024 {
			t.Fatalf("on demand: sample %d: ready: %v, counts: %v", i, s.Ready(), counts)
		}
	}
}

// T8: the step of the clock is the GCD of the durations, and its granularity the least
// difference between two, without the odd ones that interruptions cause.
func TestClock(t *testing.T) {
	for _, tt := range []struct {
		name              string
		duration          func(i int) uint64
		step, granularity uint64
		values            int
	}{
		{"nanoseconds", func(i int) uint64 { return noisy(i)/step*13 + uint64(i%13) }, 1, 1, 189},
		{"AMD", noisy, step, step, 32},
		{"microseconds", func(i int) uint64 { return noisy(i) / step * 1000 }, 1000, 1000, 32},
		// A counter of 24 MHz that the system converts to nanoseconds.
		{"Apple", func(i int) uint64 { return noisy(i) / step * 125 / 3 }, 1, 41, 32},
		{"interrupted", func(i int) uint64 {
			if i%9 == 0 { // 29 of 256
				return 123457 + uint64(i)
			}
			return noisy(i)
		}, step, step, 32},
		{"with zeros", func(i int) uint64 { return noisy(i) / step % 4 * step }, step, step, 4},
		{"few and far between", func(i int) uint64 { return []uint64{100, 200, 500, 1100}[noisy(i)/step%4] }, 100, 100, 4},
		{"few and farther", func(i int) uint64 { return []uint64{100, 400, 800, 1100}[noisy(i)/step%4] }, 100, 300, 4},
	} {
		s, _ := newSource(t, 3, tt.duration)
		n, err := until(s, probeSamples)
		c := s.Clock()
		if err != nil || !s.Probed() || c.Step != tt.step || c.Granularity != tt.granularity || c.Length != 1 {
			t.Errorf("%s: %+v, %v after %d, want step %d, granularity %d", tt.name, c, err, n, tt.step, tt.granularity)
		}
		if c.Values < tt.values*3/4 || c.Values > tt.values {
			t.Errorf("%s: %d values, want at most %d", tt.name, c.Values, tt.values)
		}
	}
}

// T8, E1: clocks that cannot be used. Whatever they do, the answer comes after a
// fixed number of samples, and the source can be tried again.
func TestUnusableClocks(t *testing.T) {
	const all = 7 * probeSamples // with runs of length 1, 2, … 64
	for _, tt := range []struct {
		name     string
		duration func(i int) uint64
		want     error
		after    int
	}{
		{"stopped", func(int) uint64 { return 0 }, errStopped, all},
		{"constant", func(int) uint64 { return 700 }, errCoarse, all},
		{"1 ms", func(i int) uint64 {
			if i%100 == 0 {
				return 1e6
			}
			return 0
		}, errCoarse, all},
		{"beat", func(i int) uint64 { return uint64(i*17/10-(i-1)*17/10) * 100 }, errCoarse, all},
		{"three values", func(i int) uint64 { return noisy(i) / step % 3 * step }, errCoarse, all},
		// Interruptions that differ do not make a coarse clock fine.
		{"interrupted", func(i int) uint64 {
			if i%9 == 0 {
				return 5000 * (1 + noisy(i))
			}
			return uint64(i%2) * 5000
		}, errCoarse, all},
		{"backwards", func(int) uint64 { return negative(700) }, errBackward, 4},
	} {
		s, clock := newSource(t, 3, tt.duration)
		for range 2 {
			n, err := until(s, 10*all)
			if !errors.Is(err, tt.want) || n != tt.after || s.Ready() || s.Probed() {
				t.Errorf("%s: %v after %d samples, want %v after %d", tt.name, err, n, tt.want, tt.after)
			}
		}
		clock.duration = noisy
		if n, err := until(s, probeSamples+1024); err != nil || !s.Ready() || s.noise.length != 1 {
			t.Errorf("%s: repaired: %v after %d samples, length %d", tt.name, err, n, s.noise.length)
		}
	}
}

// A clock that is coarse for short runs is used with longer ones.
func TestLongerRunsForCoarseClock(t *testing.T) {
	for want := 1; want <= maxLength; want *= 2 {
		var s *Source
		s, _ = newSource(t, 3, func(i int) uint64 {
			if s.noise.length < want {
				return 1000 + 1000*uint64(i%2)
			}
			return noisy(i) / step * 1000
		})
		if n, err := until(s, 7*probeSamples+1024); err != nil || !s.Ready() {
			t.Fatalf("length %d: %v after %d samples", want, err, n)
		}
		if c := s.Clock(); c.Length != want || c.Step != 1000 {
			t.Errorf("%+v, want length %d", c, want)
		}
	}
	// The error says what was measured.
	s, _ := newSource(t, 3, func(i int) uint64 { return 1000 + 1000*uint64(i%2) })
	_, err := until(s, 10000)
	if want := "jitter: the clock is too coarse: 2 different durations around 2000 ticks, at least 1000 apart"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// B17, E1: three backward steps are tolerated in a start-up, the fourth ends it:
// in the probe, in the samples after it, and across both.
func TestBackwardSteps(t *testing.T) {
	for _, at := range [][]int{
		{0, 1, 2, 3}, {100, 120, 140, 160}, {0, 255, 256, 1279}, {300, 301, 302, 303}, {1270, 1272, 1274, 1276},
	} {
		for _, last := range []bool{false, true} {
			back := at
			if !last {
				back = at[:3]
			}
			s, _ := newSource(t, 3, func(i int) uint64 {
				for _, j := range back {
					if i == j {
						return negative(5)
					}
				}
				return noisy(i)
			})
			n, err := until(s, 1300)
			if last && (err != errBackward || n != at[3]+1) {
				t.Errorf("steps at %d: %v after %d samples", at, err, n)
			}
			if !last && (err != nil || !s.Ready() || s.Clock().Backward != 3) {
				t.Errorf("steps at %d: %v after %d samples, %+v", back, err, n, s.Clock())
			}
		}
	}
}

// The clock is also watched from one sample to the next.
func TestBackwardBetweenSamples(t *testing.T) {
	calls := uint64(0)
	s, err := New(Config{OSR: 3, Memory: MinMemory, Now: func() uint64 {
		calls++
		// Each sample takes 100 or so, and begins 5 before the last has ended.
		return 1000 + calls*45 + calls%2*50
	}})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := until(s, 100); err != errBackward || n != 4 {
		t.Errorf("%v after %d samples", err, n)
	}
}

// A sample of negative length does not count when the source is ready, and is
// stuck for the RCT.
func TestBackwardWhenReady(t *testing.T) {
	s := started(t, 1, func(i int) uint64 { return negative(noisy(i)) })
	for i := range 29 {
		if _, counts, err := s.Next(); counts || err != nil {
			t.Fatalf("sample %d: counts: %v, %v", i, counts, err)
		}
	}
	n, err := until(s, 10)
	var f *health.Failure
	if !errors.As(err, &f) || f.Test != "RCT" || f.Permanent || n > 2 {
		t.Errorf("%v after 29+%d samples", err, n)
	}
}

// B17: at most 90 % of the start-up samples may be stuck: 921 of 1024, not 922.
func TestStuckInStartUp(t *testing.T) {
	for _, stuck := range []int{0, 900, 921, 922, 1000} {
		// Claimed is so little that the RCT waits for 571 stuck samples in a row.
		// The stuck ones are in groups of 100, as far as they reach.
		left := stuck
		delta := uint64(0)
		s, _ := newSource(t, 19, func(i int) uint64 {
			i -= probeSamples
			if i < 0 {
				return noisy(i + probeSamples)
			}
			if left > 0 && i%102 >= 2 {
				left--
				return delta // equal, or zero
			}
			delta = 1 + uint64(scatter(i)) // never stuck
			return delta
		})
		n, err := until(s, probeSamples+1024)
		if n != probeSamples+1024 {
			t.Fatalf("%d stuck: %v after %d samples", stuck, err, n)
		}
		var f *health.Failure
		if !errors.As(err, &f) {
			f = &health.Failure{}
		}
		want := health.Failure{}
		if stuck > 921 {
			want = health.Failure{Test: "start-up", Count: stuck, Cutoff: 922}
		}
		if *f != want || s.Ready() != (stuck <= 921) {
			t.Errorf("%d stuck: %v, ready: %v", stuck, err, s.Ready())
		}
	}
}

// The same after the start-up: at most 921 of each 1024 samples, which a drift by one
// step now and then exceeds without any other test noticing.
func TestStuckAfterStartUp(t *testing.T) {
	for _, stuck := range []int{0, 921, 922} {
		// A window of 1024 with so many stuck samples, in groups of 100, and then
		// only good ones.
		left := stuck
		delta := uint64(0)
		s := started(t, 19, func(i int) uint64 {
			if left > 0 && i%102 >= 2 {
				left--
				return delta
			}
			delta = 1 + uint64(scatter(i))
			return delta
		})
		n, err := until(s, 2048)
		var f *health.Failure
		switch {
		case stuck <= 921 && err != nil:
			t.Errorf("%d stuck: %v after %d samples", stuck, err, n)
		case stuck > 921 && (!errors.As(err, &f) || *f != (health.Failure{Test: "stuck", Count: 922, Cutoff: 922}) || n != 1024 || s.OSR() != 20):
			t.Errorf("%d stuck: %v after %d samples, osr %d", stuck, err, n, s.OSR())
		}
	}
	for _, tt := range []struct {
		period int // samples from one step to the next
		ok     bool
	}{{9, true}, {11, false}, {50, false}} {
		s := started(t, 3, func(i int) uint64 { return step * (1000 + uint64(i/tt.period)) })
		n, err := until(s, 5000)
		var f *health.Failure
		switch {
		case tt.ok && err != nil:
			t.Errorf("a step every %d samples: %v after %d", tt.period, err, n)
		case !tt.ok && (!errors.As(err, &f) || f.Test != "stuck" || f.Permanent || f.Count < f.Cutoff || f.Cutoff != 922 || n != 1024 || s.OSR() != 4):
			t.Errorf("a step every %d samples: %v after %d, osr %d", tt.period, err, n, s.OSR())
		}
	}
}

// What an earlier start-up counted has no part in the next.
func TestStartBeginsAnew(t *testing.T) {
	s, _ := newSource(t, 3, noisy)
	until(s, probeSamples-1)
	s.Start()
	if until(s, probeSamples-1); s.Probed() {
		t.Error("the probe has used samples from before Start")
	}
	if until(s, 1); !s.Probed() {
		t.Error("the probe is not over")
	}

	// 1024 good samples, then 1000 of 1024 stuck.
	s = started(t, 20, func(i int) uint64 {
		if i%100 != 0 {
			return 0
		}
		return noisy(i)
	})
	s.Start()
	n, err := until(s, 1024)
	var f *health.Failure
	if !errors.As(err, &f) || f.Test != "start-up" || n != 1024 {
		t.Errorf("%v after %d samples", err, n)
	}

	// Three steps back in each.
	s, _ = newSource(t, 3, func(i int) uint64 {
		if i%500 < 3 {
			return negative(noisy(i))
		}
		return noisy(i)
	})
	for range 10 {
		s.Start()
		if n, err := until(s, 500); err != nil {
			t.Fatalf("%v after %d samples", err, n)
		}
	}
}

// T9: every alarm at the exact sample, for both cut-offs, with durations. Between the
// two one sample in OSR+1 is claimed.
func TestAlarms(t *testing.T) {
	// One symbol, in durations that are never stuck: multiples of 256 steps apart.
	// Every 30th is another, so that the lag predictor counts no long runs.
	oneSymbol := func(i int) uint64 {
		if i%30 == 29 {
			return noisy(i)
		}
		return step * (7 + 256*noisy(i)*uint64(i%5+1))
	}
	// Four symbols in turn, in durations that are not stuck.
	cycle := func(i int) uint64 { return step * []uint64{100, 300, 200, 700}[i%4] }
	rct := func(n int, permanent bool) health.Failure {
		return health.Failure{Test: "RCT", Count: n, Cutoff: n, Permanent: permanent}
	}
	apt := func(n int, permanent bool) health.Failure {
		return health.Failure{Test: "APT", Count: n, Cutoff: n, Permanent: permanent}
	}
	run := func(n int, permanent bool) health.Failure {
		return health.Failure{Test: "lag run", Count: n, Cutoff: n, Permanent: permanent}
	}
	for _, tt := range []struct {
		name      string
		duration  func(i int) uint64
		osr       int
		want      health.Failure
		after     int // samples of the fault
		permanent health.Failure
		final     int // samples from there to the permanent failure
	}{
		// The first constant duration differs from the one before it. Then the
		// RCT counts, from 1. The count is raised from 91 to 121, the cut-off for
		// the next OSR.
		{"constant", func(int) uint64 { return 5000 * step }, 3, rct(91, false), 1 + 90, rct(241, true), 240 - 120},
		{"constant", func(int) uint64 { return 5000 * step }, 1, rct(31, false), 1 + 30, rct(121, true), 120 - 60},
		{"stopped", func(int) uint64 { return 0 }, 3, rct(91, false), 90, rct(241, true), 120},
		{"constant growth", func(i int) uint64 { return 100000 + 77*step*uint64(i) }, 3, rct(91, false), 2 + 90, rct(241, true), 120},
		{"two in turn", func(i int) uint64 { return 5000*step + 77*step*uint64(i%2) }, 3, rct(91, false), 2 + 90, rct(241, true), 120},
		// The window of the APT begins with the fault. 459 of 474 are the symbol.
		{"one symbol", oneSymbol, 3, apt(459, false), 459 + 15, apt(494, true), 494 - 477 + 1},
		{"one symbol", oneSymbol, 1, apt(325, false), 325 + 11, apt(447, true), 447 - 422 + 1},
		// The predictor is right from the second cycle on.
		{"cycle", cycle, 3, run(111, false), 4 + 111, run(234, true), 234 - 146},
		{"cycle", cycle, 6, run(215, false), 4 + 215, run(404, true), 404 - 250},
		// No rate is left to fall back to.
		{"constant", func(int) uint64 { return 5000 * step }, 20, apt(512, true), 512, apt(512, true), 0},
		{"cycle", cycle, 20, run(683, true), 4 + 683, run(683, true), 0},
	} {
		s := started(t, tt.osr, tt.duration)
		name := fmt.Sprintf("%s, osr %d", tt.name, tt.osr)
		n, err := until(s, 10000)
		var f *health.Failure
		if !errors.As(err, &f) || *f != tt.want || n != tt.after {
			t.Errorf("%s: %v after %d samples, want %v after %d", name, err, n, &tt.want, tt.after)
			continue
		}
		if s.Ready() || !f.Permanent && s.OSR() != tt.osr+1 {
			t.Errorf("%s: ready: %v, osr %d after an alarm", name, s.Ready(), s.OSR())
		}
		if n = 0; !f.Permanent {
			n, err = until(s, 10000)
		}
		if !errors.As(err, &f) || *f != tt.permanent || n != tt.final {
			t.Errorf("%s: %v after %d more samples, want %v after %d", name, err, n, &tt.permanent, tt.final)
		}
		// Final: the clock is good again, a new start-up asked for.
		s.noise.now = (&replay{duration: noisy, t: s.noise.last + 1, calls: 1}).now
		s.Start()
		for range 3000 {
			if _, counts, again := s.Next(); again != err || counts || s.Ready() {
				t.Fatalf("%s: %v after the permanent failure", name, again)
			}
		}
	}
}

// The count of the lag predictor, which takes a window of 2¹⁷ samples: a cycle that is
// broken too often for a run.
func TestLagAlarm(t *testing.T) {
	if testing.Short() {
		t.Skip("100,000 samples")
	}
	s := started(t, 3, func(i int) uint64 {
		if i%100 == 99 {
			return noisy(i)
		}
		return step * []uint64{100, 300, 200, 700}[i%4]
	})
	n, err := until(s, 1<<17)
	var f *health.Failure
	if !errors.As(err, &f) || *f != (health.Failure{Test: "lag", Count: 104762, Cutoff: 104762}) || s.OSR() != 4 {
		t.Fatalf("%v after %d samples, osr %d", err, n, s.OSR())
	}
	// The count goes on from 110,876, the cut-off for the next OSR.
	if n, err = until(s, 1000); !errors.As(err, &f) || *f != (health.Failure{Test: "lag", Count: 111189, Cutoff: 111189, Permanent: true}) || n < 111189-110876 || n > 350 {
		t.Errorf("%v after %d more samples", err, n)
	}
}

// B16: each intermittent failure costs a part of the claim. After the one at the
// highest rate there is none left.
func TestRaise(t *testing.T) {
	bad := false
	s := started(t, 3, func(i int) uint64 {
		if bad {
			return 0
		}
		return noisy(i)
	})
	for osr := 3; ; osr++ {
		if s.OSR() != osr {
			t.Fatalf("osr %d, want %d", s.OSR(), osr)
		}
		bad = true
		n, err := until(s, 10000)
		want := health.Failure{Test: "RCT", Count: 30*osr + 1, Cutoff: 30*osr + 1, Permanent: osr == MaxOSR}
		if osr >= 18 {
			// A window is shorter than the run.
			want = health.Failure{Test: "APT", Count: 512, Cutoff: 512, Permanent: osr == MaxOSR}
		}
		var f *health.Failure
		if !errors.As(err, &f) || *f != want {
			t.Fatalf("osr %d: %v after %d samples, want %v", osr, err, n, &want)
		}
		if f.Permanent {
			break
		}
		bad = false
		if n, err := until(s, 1023); err != nil || s.Ready() {
			t.Fatalf("osr %d: %v after %d samples, ready: %v", osr, err, n, s.Ready())
		}
		for !s.Ready() {
			if _, _, err := s.Next(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if s.OSR() != MaxOSR {
		t.Errorf("osr %d", s.OSR())
	}
}

// A start-up that fails is an intermittent failure as well, and a clock that cannot be
// used none.
func TestRaiseInStartUp(t *testing.T) {
	s, _ := newSource(t, 20, func(i int) uint64 {
		if i >= probeSamples && i%100 != 0 {
			return 0
		}
		return noisy(i)
	})
	s.osr = 19
	n, err := until(s, 10000)
	var f *health.Failure
	if !errors.As(err, &f) || f.Test != "start-up" || f.Permanent || s.OSR() != 20 {
		t.Fatalf("%v after %d samples, osr %d", err, n, s.OSR())
	}
	if n, err = until(s, 10000); !errors.As(err, &f) || f.Test != "start-up" || !f.Permanent {
		t.Errorf("%v after %d samples, want a permanent failure", err, n)
	}

	s, _ = newSource(t, 3, func(int) uint64 { return 700 })
	if _, err := until(s, 10000); !errors.Is(err, errCoarse) || s.OSR() != 3 {
		t.Errorf("%v, osr %d", err, s.OSR())
	}
}

// B16: after an intermittent failure no sample counts until 1024 good ones have
// passed, beginning with a window of the APT.
func TestRecovery(t *testing.T) {
	s := started(t, 3, func(i int) uint64 {
		if i < 1000 || i >= 1100 {
			return noisy(i)
		}
		return 0
	})
	n, err := until(s, 2000)
	if n != 1000+90 {
		t.Fatalf("%v after %d samples", err, n)
	}
	// The fault lasts 10 more. The window that is open then ends at 1536 (the
	// start-up has filled two).
	counted := 0
	for i := 1090; i < 1536+1024; i++ {
		_, counts, err := s.Next()
		if err != nil {
			t.Fatalf("sample %d: %v", i, err)
		}
		if counts {
			counted++
		}
		if s.Ready() != (i == 1536+1024-1) {
			t.Fatalf("sample %d: ready: %v", i, s.Ready())
		}
	}
	if counted != 0 {
		t.Errorf("%d samples counted in the start-up", counted)
	}
	if _, err := until(s, 10000); err != nil {
		t.Error(err)
	}
}

// A sample counts exactly if it is not stuck, and is returned with all its bits.
func TestNext(t *testing.T) {
	durations := []uint64{9, 1 << 40, 77, 77, 0, 1000, 400, 1<<62 + 1}
	counted := []bool{true, true, true, false, false, true, true, true}
	s := started(t, 3, func(i int) uint64 { return durations[i] })
	for i, want := range durations {
		delta, counts, err := s.Next()
		if delta != want || counts != counted[i] || err != nil {
			t.Errorf("sample %d: %d, counts: %v, %v, want %d, %v", i, delta, counts, err, want, counted[i])
		}
	}
}

// B2: taking raw noise changes nothing for the tests.
func TestNoise(t *testing.T) {
	s := started(t, 3, func(i int) uint64 { return 12345 * step })
	for i := range 5000 {
		if got, delta := s.Noise(); got != 12345&0xff || delta/s.clock.Step != 12345 {
			t.Fatalf("sample %d: %d", i, got)
		}
	}
	if !s.Ready() {
		t.Error("not ready after raw samples")
	}
	n, err := until(s, 1000)
	if n != 91 {
		t.Errorf("%v after %d samples: the tests have seen raw ones", err, n)
	}
}

// The addresses cover the memory, and hardly any two samples have the same
// sequence: else the caches would get used to it.
func TestTouch(t *testing.T) {
	n := noise{now: func() uint64 { return 0 }}
	n.init(Memory, MinMemory)
	for range 4000 {
		n.touch()
	}
	// 512,000 accesses: 125 for each byte on average. The contents are counts
	// modulo 256; that a byte was never touched has a chance of 4096·e^-125.
	zeros := 0
	for _, v := range n.memory {
		if v == 0 {
			zeros++
		}
	}
	if zeros > MinMemory/20 {
		t.Errorf("%d of %d bytes are zero", zeros, MinMemory)
	}
	if n.x == 0 {
		t.Error("xorshift32 has stopped")
	}
}

// What a sample is the duration of: accesses to the memory, hashes, or both, each as
// many times as the length says.
func TestNoises(t *testing.T) {
	for _, tt := range []struct {
		kind         Noise
		memory, hash bool
	}{{Mixed, true, true}, {Memory, true, false}, {Hash, false, true}} {
		for _, length := range []int{1, 4} {
			n := noise{now: func() uint64 { return 0 }}
			n.init(tt.kind, MinMemory)
			n.length = length
			if (len(n.memory) == MinMemory) != tt.memory {
				t.Errorf("noise %d: %d bytes of memory", tt.kind, len(n.memory))
			}
			const samples = 3
			for range samples {
				n.sample()
			}
			touched := 0
			for _, v := range n.memory {
				touched += int(v)
			}
			// A byte that was touched is one more than the one touched before.
			if (touched >= samples*accesses*length) != tt.memory {
				t.Errorf("noise %d, length %d: the bytes of the memory add up to %d", tt.kind, length, touched)
			}
			var want [32]byte
			if tt.hash {
				for range samples * length {
					want = sha3.Sum256(want[:])
				}
			}
			if n.state != want {
				t.Errorf("noise %d, length %d: the hash is %x, want %x", tt.kind, length, n.state, want)
			}
		}
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	s := started(t, 3, noisy)
	if n := testing.AllocsPerRun(1000, func() { s.Next(); s.Noise() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The real thing, with each noise. Emulators and coarse clocks may be refused; the machines that
// the library is meant for may not.
func TestRealClock(t *testing.T) {
	for _, kind := range []Noise{Mixed, Memory, Hash} {
		t.Run(fmt.Sprintf("noise=%d", kind), func(t *testing.T) { testRealClock(t, kind) })
	}
}

func testRealClock(t *testing.T, kind Noise) {
	s, err := New(Config{Noise: kind, OSR: 6, Memory: DefaultMemory})
	if err != nil {
		t.Fatal(err)
	}
	next := func() (counts bool) {
		t.Helper()
		_, counts, err := s.Next()
		switch {
		case err == nil:
		case runtime.GOARCH == "amd64":
			t.Fatal(err)
		default:
			t.Skip(err)
		}
		return counts
	}
	for n := 0; !s.Ready(); n++ {
		if n == 7*probeSamples+1024 {
			t.Fatalf("not ready after %d samples", n)
		}
		next()
	}
	counted := 0
	for range 10000 {
		if next() {
			counted++
		}
	}
	// The RCT alone sees to one in 181.
	if counted < 10000/181 {
		t.Errorf("%d of 10000 samples count", counted)
	}
	c := s.Clock()
	if c.Step < 1 || c.Granularity < c.Step || c.Values < minValues || c.Values > probeSamples || c.Length < 1 || c.Backward < 0 || c.Backward > maxBackward {
		t.Errorf("%+v", c)
	}
	t.Logf("%+v, %d of 10000 samples count", c, counted)
}
