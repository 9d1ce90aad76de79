package es

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	sp90b "github.com/lrng-go/lrng/es/assess"
)

var (
	_ NoiseEstimator = (*Monitored)(nil)
	_ NoiseEstimator = (*Jitter)(nil)
	_ NoiseEstimator = (*Scheduler)(nil)
	_ NoiseEstimator = (*Events)(nil)
	_ NoiseEstimator = (*Device)(nil)
	_ NoiseEstimator = (*Reader)(nil)
)

// The cut-offs, computed here from the terms of the binomial distribution with lgamma, and
// the table in the documentation of NoiseEstimate.
func TestMeterCutoff(t *testing.T) {
	tail := func(c int, h float64) (p float64) { // log2 of P(X ≥ c)
		l := func(x int) float64 { y, _ := math.Lgamma(float64(x + 1)); return y }
		sum := 0.0
		for i := c; i <= meterWindow; i++ {
			sum += math.Exp(l(meterWindow) - l(i) - l(meterWindow-i) - float64(i)*h*math.Ln2 + float64(meterWindow-i)*math.Log(-math.Expm1(-h*math.Ln2)))
		}
		return math.Log2(sum)
	}
	for _, tt := range []struct {
		h        float64
		bits     int
		estimate float64 // with a warning, at most
	}{
		{1. / 14, 8, 0.049}, {1. / 8, 8, 0.095}, {1. / 3, 8, 0.281}, {1, 8, 0.897}, {2, 8, 1.82}, {4, 8, 3.62}, {8, 8, 6.68},
		{1. / 20, 8, 0}, {1, 16, 0}, {12, 16, 0}, {3, 64, 0},
	} {
		c := meterCutoff(tt.h, tt.bits)
		want := -float64(meterAlpha + tt.bits)
		if at, before := tail(c, tt.h), tail(c-1, tt.h); at > want+1e-6 || before <= want-1e-6 {
			t.Errorf("%v bits of %d: P(X ≥ %d) = 2^%.2f, P(X ≥ %d) = 2^%.2f; want no more and more than 2^%v", tt.h, tt.bits, c, at, c-1, before, want)
		}
		got := mostCommonValue(c, meterWindow)
		if tt.estimate > 0 && math.Abs(got-tt.estimate) > 0.006*tt.estimate {
			t.Errorf("%v bits: a warning from an estimate of %.4f on; the table has %v", tt.h, got, tt.estimate)
		}
		if got >= tt.h {
			t.Errorf("%v bits: a warning with an estimate of %v", tt.h, got)
		}
	}
	// Noise of which so little is claimed that a window of equal samples is possible.
	if c := meterCutoff(0.002, 8); c <= meterWindow {
		t.Errorf("0.002 bits: cut-off %d", c)
	}
	for _, h := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		if c := meterCutoff(h, 8); c <= meterWindow {
			t.Errorf("%v bits: cut-off %d", h, c)
		}
	}
}

// window returns a window with count times the value 0 and otherwise values that come much
// less often, in an order without runs.
func window(count, width int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(count)))
	p := make([]byte, meterWindow)
	for i := count; i < len(p); i++ {
		p[i] = byte(1 + r.IntN(1<<width-1))
	}
	r.Shuffle(len(p), func(i, j int) { p[i], p[j] = p[j], p[i] })
	return p
}

// Replayed samples: the last count that passes and the first that gives a warning. Neither
// is an alarm of the health tests, and a warning costs no credit.
func TestEstimateReplay(t *testing.T) {
	for _, tt := range []struct {
		h     float64
		width int
	}{{0.25, 8}, {0.25, 2}, {1, 8}, {1, 4}, {2, 8}, {4, 8}} {
		cutoff := meterCutoff(tt.h, 8)
		for _, low := range []bool{false, true} {
			count := cutoff
			if !low {
				count--
			}
			samples := window(count, tt.width)
			m, s := monitored(t, MonitorConfig{H: tt.h, SampleBits: tt.width}, func(i int) byte { return samples[i%len(samples)] })
			p := make([]byte, 64)
			before := NoiseEstimate{}
			for s.at() < 2*meterWindow {
				credit, err := m.GetEntropy(t.Context(), p, 512)
				if credit != 512 || err != nil {
					t.Fatalf("H = %v: credit %d, %v", tt.h, credit, err)
				}
				e := m.NoiseEstimate()
				if n := uint64(s.at() / meterWindow); e.Windows != n {
					t.Fatalf("H = %v: %d windows after %d samples", tt.h, e.Windows, s.at())
				}
				if e.Windows == before.Windows && e != before {
					t.Errorf("H = %v: %+v has become %+v within a window", tt.h, before, e)
				}
				if e.Windows == 0 {
					continue
				}
				want := NoiseEstimate{MinEntropy: mostCommonValue(count, meterWindow), Claim: tt.h, Windows: e.Windows, Warning: low}
				if low {
					want.Low = e.Windows
				}
				if e != want {
					t.Fatalf("H = %v, %d of %d: %+v; want %+v", tt.h, count, meterWindow, e, want)
				}
				before = e
			}
			if low || tt.width != 2 {
				continue
			}
			// It is what an assessment of the same samples has.
			r, err := sp90b.NonIID(t.Context(), samples, tt.width, nil)
			if err != nil || math.Abs(r.Original[0].MinEntropy-before.MinEntropy) > 1e-12 {
				t.Errorf("H = %v: package assess has %v, %v; want %v", tt.h, r.Original[0], err, before.MinEntropy)
			}
		}
	}
}

// biased returns noise whose most common value has a probability of p, and the other 2^width-1
// the same each.
func biased(seed uint64, p float64, width int) func(int) byte {
	r := rand.New(rand.NewPCG(seed, uint64(width)))
	return func(int) byte {
		if r.Float64() < p {
			return 0
		}
		return byte(1 + r.IntN(1<<width-1))
	}
}

// run takes samples until the estimate has so many windows. All of them are credited.
func run(t *testing.T, m *Monitored, windows uint64) NoiseEstimate {
	t.Helper()
	p := make([]byte, 64)
	for m.NoiseEstimate().Windows < windows {
		if credit, err := m.GetEntropy(t.Context(), p, 512); credit != 512 || err != nil {
			t.Fatalf("credit %d, %v", credit, err)
		}
	}
	return m.NoiseEstimate()
}

// Noise that is just as good as its claim gives no warning: 30 windows for each claim, with a
// probability of 2⁻³⁰ each. Noise that has some less, a third to an eighth, gives one in the
// first window.
func TestEstimateNoise(t *testing.T) {
	windows := uint64(30)
	if testing.Short() {
		windows = 3
	}
	for _, tt := range []struct {
		h     float64
		width int
		worse float64 // not so bad that the APT would notice
	}{{1. / 8, 8, 0.08}, {1. / 3, 8, 0.26}, {1. / 3, 1, 0.26}, {0.9, 1, 0.79}, {1, 1, 0.87}, {1, 4, 0.87}, {2, 8, 1.7}, {4, 4, 3.4}, {4, 8, 3.4}, {8, 8, 6.4}} {
		m, _ := monitored(t, MonitorConfig{H: tt.h, SampleBits: tt.width}, biased(1, math.Exp2(-tt.h), tt.width))
		if e := run(t, m, windows); e.Warning || e.Low != 0 || !(e.MinEntropy > 0.8*tt.h && e.MinEntropy < 1.2*tt.h) {
			t.Errorf("H = %v of %d: %+v", tt.h, tt.width, e)
		}
		m, _ = monitored(t, MonitorConfig{H: tt.h, SampleBits: tt.width}, biased(2, math.Exp2(-tt.worse), tt.width))
		e := run(t, m, 1)
		if !e.Warning || e.Low != 1 || e.MinEntropy >= tt.h {
			t.Errorf("H = %v of %d, in fact %v: %+v", tt.h, tt.width, tt.worse, e)
		}
	}
}

// A warning ends with the first window that has none, and is remembered in Low.
func TestEstimateRecovers(t *testing.T) {
	m, s := monitored(t, MonitorConfig{H: 1}, nil)
	bad, good := biased(1, 0.55, 8), biased(1, 0.3, 8)
	s.stream = func(i int) byte {
		if i < 2*meterWindow {
			return bad(i)
		}
		return good(i)
	}
	for _, want := range []NoiseEstimate{{Windows: 1, Low: 1, Warning: true}, {Windows: 2, Low: 2, Warning: true}, {Windows: 3, Low: 2}} {
		e := run(t, m, want.Windows)
		if e.Windows != want.Windows || e.Low != want.Low || e.Warning != want.Warning {
			t.Errorf("%+v; want %+v", e, want)
		}
	}
}

// The votes for wide samples: no sample is counted too often, and one that is common is
// found.
func TestEstimateWide(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, tt := range []struct {
		p   float64 // of the most common
		few int     // 0, or so many others
	}{{0.9, 0}, {0.5, 0}, {0.5, 2}, {0.1, 0}, {0.25, 4}, {0.02, 0}, {0, 0}, {0, 16}} {
		var m meter
		m.init(8)
		count := map[uint64]int{}
		complete := false
		for i := range meterWindow {
			x := r.Uint64()
			if tt.few > 0 {
				x = 1 << r.IntN(tt.few)
			}
			if r.Float64() < tt.p {
				x = 1 << 63
			}
			count[x]++
			if complete = m.next(x); complete != (i == meterWindow-1) {
				t.Fatalf("complete after %d samples", i+1)
			}
		}
		mode := 0
		for _, c := range count {
			mode = max(mode, c)
		}
		voted := 0
		for _, c := range m.counts {
			voted = max(voted, int(c))
		}
		// In its place a sample loses to 1/256 of all others, or meets one of a few.
		lost := (1 - tt.p) * meterWindow / 256 * 2
		if voted > mode || tt.few == 0 && float64(voted) < float64(mode)-lost {
			t.Errorf("%v, %d: %d votes for a sample that came %d times", tt.p, tt.few, voted, mode)
		}
		m.judge(2)
		if e := m.read(); e.Warning != (tt.p >= 0.5) || e.Windows != 1 || m.counts != [256]uint16{} || *m.tags != [256]uint32{} || m.n != 0 {
			t.Errorf("%v, %d: %+v", tt.p, tt.few, e)
		}
	}
	// Two samples that share a place: what is common takes it from what was there first.
	only := func(samples ...uint64) (place, count int) {
		var m meter
		m.init(8)
		for _, x := range samples {
			m.next(x)
		}
		for i, c := range m.counts {
			if c > 0 {
				return i, int(c)
			}
		}
		return -1, 0
	}
	a, b := uint64(1), uint64(2)
	first, _ := only(a)
	for place, _ := only(b); place != first; place, _ = only(b) {
		b++
	}
	for _, tt := range []struct {
		samples []uint64
		want    int
	}{{[]uint64{a, a, a}, 3}, {[]uint64{a, a, b}, 1}, {[]uint64{a, b}, 0}, {[]uint64{a, b, b}, 1}, {[]uint64{a, b, b, b, a, b, b}, 3}} {
		if _, got := only(tt.samples...); got != tt.want {
			t.Errorf("%v: %d votes; want %d", tt.samples, got, tt.want)
		}
	}
	// Through a monitor: two bytes a sample, of which each byte by itself looks even.
	s := &noisy{t: t}
	next := func() (x uint16) {
		if x = uint16(r.Uint32()); r.IntN(5) < 2 {
			x = 0x1234
		}
		return x
	}
	s.script = func(_ *noisy, p []byte) (int, error) {
		for i := 0; i < len(p); i += 2 {
			x := next()
			p[i], p[i+1] = byte(x), byte(x>>8)
		}
		return len(p), nil
	}
	m := Monitor(s, MonitorConfig{H: 1.5, SampleBits: 16})
	if e := run(t, m, 1); !e.Warning || e.Claim != 1.5 || math.Abs(e.MinEntropy-1.3) > 0.05 {
		t.Errorf("%+v", e)
	}
	m = Monitor(s, MonitorConfig{H: 1.2, SampleBits: 16})
	if e := run(t, m, 2); e.Low != 0 {
		t.Errorf("%+v", e)
	}
}

// The other sources: what their meter sees are the samples that GetNoise has, and their
// claim is 1/OSR.
func TestEstimateJitter(t *testing.T) {
	// Two durations in five are the same; no health test fails for that.
	play := func(i int) uint64 {
		if i%5 < 2 {
			return 26 * 50
		}
		return lively(i)
	}
	for _, osr := range []int{1, 3} {
		j, clock := playJitter(JitterConfig{OSR: osr}, play)
		p := make([]byte, 64)
		for j.NoiseEstimate().Windows == 0 {
			if credit, err := j.GetEntropy(t.Context(), p, 384); credit != 384 || err != nil {
				t.Fatalf("OSR %d: credit %d, %v after %d samples", osr, credit, err, clock.samples())
			}
		}
		count := map[uint64]int{}
		e := j.NoiseEstimate()
		first := clock.samples() - j.meter.n - meterWindow
		mode := 0
		step := j.NoiseParameters().Step
		for i := first; i < first+meterWindow; i++ {
			x := play(i) / step & 0xff
			count[x]++
			mode = max(mode, count[x])
		}
		want := NoiseEstimate{MinEntropy: mostCommonValue(mode, meterWindow), Claim: 1 / float64(osr), Windows: 1}
		if e != want {
			t.Errorf("OSR %d: %+v; want %+v", osr, e, want)
		}
		j.Close()
		if j.meter.counts != [256]uint16{} {
			t.Error("counts are left after Close")
		}
	}
}

func TestEstimateTimes(t *testing.T) {
	s, line := playScheduler(SchedulerConfig{})
	p := make([]byte, 64)
	for s.NoiseEstimate().Windows == 0 {
		if _, err := s.GetEntropy(t.Context(), p, 384); err != nil {
			t.Fatal(err)
		}
	}
	if e := s.NoiseEstimate(); e.Claim != 1./3 || e.Warning || !(e.MinEntropy > 1) {
		t.Errorf("%+v", e)
	}
	_ = line
	e, line := readyEvents(t, EventsConfig{OSR: 4})
	for e.NoiseEstimate().Windows == 0 {
		feedEvents(e, line.events(4096), 0)
		e.Stats()
	}
	if got := e.NoiseEstimate(); got.Claim != 0.25 || got.Warning || !(got.MinEntropy > 1) {
		t.Errorf("%+v", got)
	}
	if n := e.pool.meter.n; n == 0 {
		t.Error("nothing is counted after the window")
	}
	e.Clear()
	if e.pool.meter.counts != [256]uint16{} {
		t.Error("counts are left after Clear")
	}
}

func TestEstimateReader(t *testing.T) {
	for _, rate := range []int{0, 128, 256} {
		// Half the entropy that full rate claims.
		noise := biased(1, 1./16, 8)
		r := NewReader(ReaderConfig{Rate: rate, Reader: readerFunc(func(p []byte) (int, error) {
			for i := range p {
				p[i] = noise(i)
			}
			return len(p), nil
		})})
		defer r.Close()
		p := make([]byte, 64)
		for r.NoiseEstimate().Windows == 0 {
			if _, err := r.GetEntropy(t.Context(), p, 512); err != nil {
				t.Fatal(err)
			}
		}
		e := r.NoiseEstimate()
		if want := float64(max(1, rate)) / 32; e.Claim != want || e.Warning != (rate == 256) || math.Abs(e.MinEntropy-3.9) > 0.2 {
			t.Errorf("rate %d: %+v", rate, e)
		}
	}
}

// What does not work has no estimate, and does not crash.
func TestEstimateInvalid(t *testing.T) {
	for _, s := range []NoiseEstimator{
		Monitor(nil, MonitorConfig{}), NewReader(ReaderConfig{}), NewReader(ReaderConfig{Rate: 257}), NewDevice(DeviceConfig{Rate: 999}),
		NewJitter(JitterConfig{OSR: 99}), NewScheduler(SchedulerConfig{OSR: 99}), NewEvents(EventsConfig{OSR: 99}),
	} {
		if e := s.NoiseEstimate(); e != (NoiseEstimate{}) {
			t.Errorf("%T: %+v", s, e)
		}
	}
}

// Who reads the estimate does not wait for a collection, and races with nothing.
func TestEstimateRace(t *testing.T) {
	m, _ := monitored(t, MonitorConfig{H: 1}, biased(1, 0.3, 8))
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			last := NoiseEstimate{}
			for ctx.Err() == nil {
				e := m.NoiseEstimate()
				if e.Windows < last.Windows || e.Low < last.Low || e.Windows > 0 && (e.MinEntropy < 1 || e.Claim != 1) {
					t.Errorf("%+v after %+v", e, last)
				}
				last = e
			}
		})
	}
	p := make([]byte, 64)
	for m.NoiseEstimate().Windows < 3 {
		if _, err := m.GetEntropy(t.Context(), p, 512); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	wait.Wait()
	// During a collection that hangs.
	block := make(chan struct{})
	m = Monitor(&noisy{t: t, script: func(*noisy, []byte) (int, error) { <-block; return 0, nil }}, MonitorConfig{})
	ctx, cancel = context.WithCancel(t.Context())
	wait.Go(func() { m.GetEntropy(ctx, p, 512) })
	if e := m.NoiseEstimate(); e != (NoiseEstimate{}) {
		t.Errorf("%+v", e)
	}
	cancel()
	close(block)
	wait.Wait()
}

// The samples are counted also while the start-up test runs, and a permanent failure wipes
// the counts.
func TestEstimateFailure(t *testing.T) {
	m, _ := monitored(t, MonitorConfig{H: 1}, func(i int) byte { return streamByte(min(i, 1500)) })
	_, err := m.GetEntropy(t.Context(), make([]byte, 64), 512)
	for err != nil && m.failed == nil {
		if m.watch.meter.n == 0 {
			t.Error("nothing is counted")
		}
		_, err = m.GetEntropy(t.Context(), make([]byte, 64), 512)
	}
	if m.failed == nil {
		t.Fatal("no failure")
	}
	if m.watch.meter.counts != [256]uint16{} || m.watch.meter.n != 0 {
		t.Error("counts are left")
	}
}

func TestEstimateAllocs(t *testing.T) {
	var m meter
	i := uint64(0)
	if n := testing.AllocsPerRun(3*meterWindow, func() {
		if i++; m.next(i * 0x9e3779b97f4a7c15) {
			m.judge(8)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMeter(b *testing.B) {
	for name, size := range map[string]int{"size=1": 1, "size=8": 8} {
		b.Run(name, func(b *testing.B) {
			var m meter
			m.init(size)
			x := uint64(1)
			b.ReportAllocs()
			for b.Loop() {
				x = x*6364136223846793005 + 1
				if m.next(x >> 40) {
					m.judge(1)
				}
			}
		})
	}
}
