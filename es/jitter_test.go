package es

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/internal/jitter"
)

var _ interface {
	Source
	NoiseSource
	HealthTester
	Validator
} = (*Jitter)(nil)

// The parts of a start-up, in samples: the look at the clock (with a fine one),
// and the test of SP 800-90B.
const (
	jitterProbe   = 256
	jitterStartUp = 1024
)

// A tape is a clock that makes sample i of a Jitter last play(i) ticks. It is
// asked once when the source is made ready, and then twice for each sample.
type tape struct {
	play  func(i int) uint64
	t     uint64
	calls int
}

func (c *tape) now() uint64 {
	if c.calls > 0 && c.calls%2 == 0 {
		c.t += c.play(c.calls/2 - 1)
	}
	c.calls++
	return c.t
}

// samples returns how many samples have been taken.
func (c *tape) samples() int { return max(0, c.calls-1) / 2 }

// lively returns durations that pass all tests: multiples of 26 ticks, with a few
// that are stuck.
func lively(i int) uint64 {
	z, _ := sound(i)
	return 26 * (40 + z>>59)
}

// playJitter returns a source for which sample i lasts play(i) ticks, and whose
// time for a call is never over.
func playJitter(c JitterConfig, play func(i int) uint64) (*Jitter, *tape) {
	if c.MemorySize == 0 {
		c.MemorySize = 1 << 12
	}
	clock := &tape{play: play}
	return newJitter(c, clock.now, func() time.Duration { return 0 }), clock
}

// wantBlock is the specification of a block: the digest of samples from the given
// one on, until (want+64)·osr of them are not stuck. It returns the number of the
// sample after the last.
func wantBlock(h hash.Hash, play func(i int) uint64, from, want, osr int) (digest []byte, next int) {
	h.Reset()
	abs := func(a, b uint64) uint64 { return uint64(math.Abs(float64(a) - float64(b))) }
	for counted := 0; counted < (want+64)*osr; from++ {
		d, d1, d2, d3 := play(from), play(from-1), play(from-2), uint64(0)
		second, before := abs(d, d1), abs(d1, d2)
		if d3 = abs(second, before); d != 0 && second != 0 && d3 != 0 {
			counted++
		}
		h.Write(binary.LittleEndian.AppendUint64(nil, d))
	}
	return h.Sum(nil), from
}

// B20, B21: what is delivered is the digest of the samples, in blocks of at most
// its length; each block has 64 bits more than it is credited with.
func TestJitterBlocks(t *testing.T) {
	for _, tt := range []struct {
		c           conditioner.Conditioner
		h           hash.Hash
		osr         int
		size, bits  int
		want        []int // entropy of the blocks, in bits
		credit      int
		withStalled bool // every fifth sample is stuck
	}{
		{nil, sha512.New(), 0, 32, 256, []int{256}, 256, false},
		{nil, sha512.New(), 0, 32, 256, []int{256}, 256, true},
		{nil, sha512.New(), 1, 48, 384, []int{384}, 384, false},
		{nil, sha512.New(), 20, 64, 512, []int{384}, 384, false},
		{nil, sha512.New(), 3, 64, 100, []int{100}, 100, false},
		{nil, sha512.New(), 3, 1, 256, []int{8}, 8, false},
		{nil, sha512.New(), 3, 32, 0, []int{0}, 0, false},
		{nil, sha512.New(), 3, 130, 1 << 20, []int{384, 0, 0}, 384, true},
		{conditioner.SHA256, sha256.New(), 3, 32, 256, []int{256}, 256, false},
		{conditioner.SHA256, sha256.New(), 3, 48, 384, []int{256, 128}, 384, true},
		{conditioner.SHA256, sha256.New(), 3, 70, 300, []int{256, 44, 0}, 300, false},
		{conditioner.SHA384, sha512.New384(), 2, 64, 512, []int{384, 0}, 384, false},
	} {
		name := fmt.Sprintf("%v, osr %d, %d bytes, %d bits", tt.c, tt.osr, tt.size, tt.bits)
		play := lively
		if tt.withStalled {
			play = func(i int) uint64 {
				if i%5 == 0 {
					i--
				}
				return lively(i)
			}
		}
		j, clock := playJitter(JitterConfig{OSR: tt.osr, Conditioner: tt.c}, play)
		next := jitterProbe + jitterStartUp
		for call := range 3 {
			p := make([]byte, tt.size)
			credit, err := j.GetEntropy(t.Context(), p, tt.bits)
			if credit != tt.credit || err != nil {
				t.Fatalf("%s: call %d: credit %d, %v, want %d", name, call, credit, err, tt.credit)
			}
			for i, bits := range tt.want {
				osr := tt.osr
				if osr == 0 {
					osr = 3
				}
				var digest []byte
				digest, next = wantBlock(tt.h, play, next, bits, osr)
				got := p[:min(len(p), len(digest))]
				if !bytes.Equal(got, digest[:len(got)]) {
					t.Fatalf("%s: call %d: block %d is not the digest of its samples", name, call, i)
				}
				p = p[len(got):]
			}
			if len(p) != 0 {
				t.Fatalf("%s: %d bytes are missing in the test", name, len(p))
			}
			if clock.samples() != next {
				t.Fatalf("%s: call %d: %d samples taken, want %d", name, call, clock.samples(), next)
			}
		}
	}
}

// Rule 4, and the rate: a tenth of the entropy asked for is credited at a tenth
// of the rate, as in LRNG.
func TestJitterCredit(t *testing.T) {
	for _, tt := range []struct {
		rate, size, bits int
		want             int
	}{
		{0, 32, 256, 256}, {256, 48, 384, 384}, {0, 64, 512, 384}, {0, 1000, math.MaxInt, 384},
		{0, 32, 384, 256}, {0, 31, 256, 248}, {0, 32, 255, 255}, {0, 32, 1, 1}, {0, 32, 0, 0}, {0, 32, -1, 0}, {0, 32, math.MinInt, 0},
		{0, 0, 256, 0},
		{16, 48, 384, 24}, {16, 32, 256, 16}, {128, 64, 256, 128}, {1, 64, 255, 0},
		{-1, 32, 256, 0},
	} {
		j, _ := playJitter(JitterConfig{Rate: tt.rate, OSR: 1}, lively)
		credit, err := j.GetEntropy(t.Context(), make([]byte, tt.size), tt.bits)
		if credit != tt.want || err != nil {
			t.Errorf("rate %d, %d bytes, %d bits: credit %d, %v, want %d", tt.rate, tt.size, tt.bits, credit, err, tt.want)
		}
		if credit > j.Info().MaxEntropy {
			t.Errorf("rate %d: credit %d above the maximum of %d", tt.rate, credit, j.Info().MaxEntropy)
		}
	}
	for _, tt := range []struct{ rate, bits, want, most int }{
		{0, 256, 256, 384}, {0, 1 << 20, 384, 384}, {0, -1, 0, 384}, {16, 384, 24, 24}, {16, 256, 16, 24}, {-1, 256, 0, 0},
	} {
		j := NewJitter(JitterConfig{Rate: tt.rate})
		if got := j.Available(tt.bits); got != tt.want {
			t.Errorf("rate %d: Available(%d) = %d, want %d", tt.rate, tt.bits, got, tt.want)
		}
		if got, want := j.Info(), (Info{Name: "jitter", MaxEntropy: tt.most, Health: true}); got != want {
			t.Errorf("rate %d: %+v, want %+v", tt.rate, got, want)
		}
	}
}

// A narrow conditioner, and one that breaks the rules of the interface.
type oddConditioner struct {
	h     hash.Hash
	width int
}

func (c oddConditioner) Name() string   { return "odd" }
func (c oddConditioner) New() hash.Hash { return c.h }
func (c oddConditioner) Width() int     { return c.width }

// A wide is a hash with a digest of 520 bits.
type wide struct{ hash.Hash }

func (wide) Size() int { return 65 }

func TestJitterConfig(t *testing.T) {
	for _, tt := range []struct {
		c     JitterConfig
		names string // what the error names
	}{
		{JitterConfig{}, ""},
		{JitterConfig{Rate: 256, OSR: 20, MemorySize: 1 << 12, Conditioner: conditioner.SHA3_512}, ""},
		{JitterConfig{Rate: -5, OSR: 1, MemorySize: 512 << 20}, ""},
		{JitterConfig{Conditioner: oddConditioner{sha512.New512_224(), 224}}, ""},
		{JitterConfig{Noise: JitterMemory}, ""}, {JitterConfig{Noise: JitterHash}, ""},
		{JitterConfig{Ahead: 128, AheadAge: time.Nanosecond}, ""}, {JitterConfig{AheadAge: time.Hour}, ""},
		{JitterConfig{Noise: JitterHash + 1}, "JitterConfig.Noise:"}, {JitterConfig{Noise: -1}, "JitterConfig.Noise:"},
		{JitterConfig{Ahead: -1}, "JitterConfig.Ahead:"}, {JitterConfig{Ahead: 129}, "JitterConfig.Ahead:"},
		{JitterConfig{AheadAge: -1}, "JitterConfig.AheadAge:"},
		{JitterConfig{Rate: 257}, "JitterConfig.Rate:"},
		{JitterConfig{OSR: 21}, "JitterConfig.OSR:"}, {JitterConfig{OSR: -1}, "JitterConfig.OSR:"},
		{JitterConfig{MemorySize: 1 << 11}, "JitterConfig.MemorySize:"}, {JitterConfig{MemorySize: 5000}, "JitterConfig.MemorySize:"},
		{JitterConfig{MemorySize: 1 << 30}, "JitterConfig.MemorySize:"}, {JitterConfig{MemorySize: -4096}, "JitterConfig.MemorySize:"},
		{JitterConfig{Conditioner: oddConditioner{nil, 256}}, "JitterConfig.Conditioner:"},
		{JitterConfig{Conditioner: oddConditioner{sha256.New(), 512}}, "JitterConfig.Conditioner:"},
		{JitterConfig{Conditioner: oddConditioner{sha512.New(), 256}}, "JitterConfig.Conditioner:"},
		{JitterConfig{Conditioner: oddConditioner{sha512.New(), 0}}, "JitterConfig.Conditioner:"},
		{JitterConfig{Conditioner: oddConditioner{wide{sha512.New()}, 520}}, "JitterConfig.Conditioner:"},
	} {
		j := NewJitter(tt.c)
		err := j.Validate()
		if tt.names == "" {
			if err != nil {
				t.Errorf("%+v: %v", tt.c, err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), "es: "+tt.names) {
			t.Errorf("%+v: %v, want an error that names %s", tt.c, err, tt.names)
		}
		p := []byte{1, 2, 3}
		if credit, got := j.GetEntropy(t.Context(), p, 8); credit != 0 || got != err || !bytes.Equal(p, make([]byte, 3)) {
			t.Errorf("%s GetEntropy: %d, %v, %d", tt.names, credit, got, p)
		}
		if n, got := j.GetNoise(p); n != 0 || got != err {
			t.Errorf("%s GetNoise: %d, %v", tt.names, n, got)
		}
		if got := j.HealthTest(t.Context()); got != err {
			t.Errorf("%s HealthTest: %v", tt.names, got)
		}
		if n := j.Available(256); n != 0 {
			t.Errorf("%s Available: %d", tt.names, n)
		}
	}
}

// Each noise has its name and its rate, and JitterHash needs no memory.
func TestJitterNoises(t *testing.T) {
	for _, tt := range []struct {
		noise JitterNoise
		kind  jitter.Noise
		name  string
		osr   int
	}{{JitterMixed, jitter.Mixed, "jitter", 3}, {JitterMemory, jitter.Memory, "jitter-memory", 6}, {JitterHash, jitter.Hash, "jitter-hash", 14}} {
		if int(tt.noise) != int(tt.kind) {
			t.Errorf("%s: %d here, %d in package jitter", tt.name, tt.noise, tt.kind)
		}
		const size = 64 << 20
		j, clock := playJitter(JitterConfig{Noise: tt.noise, MemorySize: size}, lively)
		if got, want := j.Info(), (Info{Name: tt.name, MaxEntropy: 384, Health: true}); got != want || j.noise.OSR() != tt.osr {
			t.Errorf("%+v with an OSR of %d, want %+v, %d", got, j.noise.OSR(), want, tt.osr)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := j.GetNoise(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc-before.TotalAlloc >= size; got != (tt.noise != JitterHash) {
			t.Errorf("%s: %d bytes were allocated", tt.name, after.TotalAlloc-before.TotalAlloc)
		}
		// The errors have the name, too.
		clock.play = func(int) uint64 { return 0 }
		var health *HealthError
		if _, err := failing(t, j, clock); !errors.As(err, &health) || health.Source != tt.name {
			t.Errorf("%s: %v", tt.name, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := j.HealthTest(ctx); err == nil || !strings.HasPrefix(err.Error(), "es: "+tt.name+": ") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// A digest shorter than 256 bits makes shorter blocks, each with its own 64 bits
// more.
func TestJitterNarrowConditioner(t *testing.T) {
	h := sha512.New512_224()
	j, _ := playJitter(JitterConfig{Conditioner: oddConditioner{sha512.New512_224(), 224}}, lively)
	p := make([]byte, 32)
	credit, err := j.GetEntropy(t.Context(), p, 256)
	if credit != 256 || err != nil {
		t.Fatalf("credit %d, %v", credit, err)
	}
	first, next := wantBlock(h, lively, jitterProbe+jitterStartUp, 224, 3)
	second, _ := wantBlock(h, lively, next, 32, 3)
	if !bytes.Equal(p, slices.Concat(first, second[:4])) {
		t.Error("not the two digests")
	}
}

// failing calls GetEntropy, wants an error and that p is cleared with it, and
// returns the number of samples it took and the error.
func failing(t *testing.T, j *Jitter, clock *tape) (int, error) {
	t.Helper()
	before := clock.samples()
	p := bytes.Repeat([]byte{0xa5}, 130)
	credit, err := j.GetEntropy(t.Context(), p, 384)
	if err == nil {
		t.Fatal("no error")
	}
	if credit != 0 {
		t.Errorf("credit %d with %v", credit, err)
	}
	if !bytes.Equal(p, make([]byte, len(p))) {
		t.Errorf("p is not cleared with %v", err)
	}
	wantClean(t, j)
	return clock.samples() - before, err
}

// wantClean checks that nothing of a block is left in the source.
func wantClean(t *testing.T, j *Jitter) {
	t.Helper()
	if j.digest != [64]byte{} || j.deltas != [128]byte{} || j.filled != 0 {
		t.Errorf("left in the source: digest %x, samples %x (%d)", j.digest, j.deltas, j.filled)
	}
}

// T9, B16, E1: the alarms of the RCT and the lag predictor, for both cut-offs, in the
// middle of a collection. The block is dropped, the next call starts with the start-up
// test at a higher rate, and the fault, if it lasts, becomes permanent there. That is
// final.
func TestJitterAlarms(t *testing.T) {
	const begin = jitterProbe + jitterStartUp + 512 // within the first block, with a new window
	for _, tt := range []struct {
		name         string
		fault        func(i int) uint64 // i counts from 0
		osr          int
		intermittent HealthError
		after        int // samples of the fault
		permanent    HealthError
		final        int // samples after that
	}{
		{"stopped", func(int) uint64 { return 0 }, 3,
			HealthError{"jitter", "RCT", 91, 91, false}, 90, HealthError{"jitter", "RCT", 241, 241, true}, 120},
		{"stopped", func(int) uint64 { return 0 }, 1,
			HealthError{"jitter", "RCT", 31, 31, false}, 30, HealthError{"jitter", "RCT", 121, 121, true}, 60},
		{"constant", func(int) uint64 { return 999 * 26 }, 3,
			HealthError{"jitter", "RCT", 91, 91, false}, 91, HealthError{"jitter", "RCT", 241, 241, true}, 120},
		{"steady growth", func(i int) uint64 { return 26 * uint64(100000+1000*i) }, 3,
			HealthError{"jitter", "RCT", 91, 91, false}, 92, HealthError{"jitter", "RCT", 241, 241, true}, 120},
		// Four durations in turn, of which none is stuck. The predictor has been right
		// with other distances before, and takes ten to see that four is better.
		{"cycle", func(i int) uint64 { return 26 * []uint64{100, 300, 200, 700}[i%4] }, 3,
			HealthError{"jitter", "lag run", 111, 111, false}, 10 + 111, HealthError{"jitter", "lag run", 234, 234, true}, 234 - 146},
	} {
		j, clock := playJitter(JitterConfig{OSR: tt.osr}, func(i int) uint64 {
			if i >= begin {
				return tt.fault(i - begin)
			}
			return lively(i)
		})
		n, err := failing(t, j, clock)
		var health *HealthError
		if !errors.As(err, &health) || *health != tt.intermittent || n != begin+tt.after {
			t.Errorf("%s, osr %d: %v after %d samples, want %v after %d", tt.name, tt.osr, err, n, &tt.intermittent, begin+tt.after)
			continue
		}
		if got := j.Available(256); got != 256 {
			t.Errorf("%s, osr %d: Available(256) = %d, so nobody would try again", tt.name, tt.osr, got)
		}
		if got := j.noise.OSR(); got != tt.osr+1 {
			t.Errorf("%s: osr %d after an alarm at %d", tt.name, got, tt.osr)
		}
		n, err = failing(t, j, clock)
		if !errors.As(err, &health) || *health != tt.permanent || n != tt.final {
			t.Errorf("%s, osr %d: %v after %d samples, want %v after %d", tt.name, tt.osr, err, n, &tt.permanent, tt.final)
		}
		wantFinal(t, j, clock, err)
	}
}

// wantFinal checks that the source has failed for good: also with a clock that
// is as good as new.
func wantFinal(t *testing.T, j *Jitter, clock *tape, permanent error) {
	t.Helper()
	clock.play = lively
	for range 3 {
		if n, err := failing(t, j, clock); err != permanent || n != 0 {
			t.Errorf("%v after %d samples, want %v at once", err, n, permanent)
		}
		if err := j.HealthTest(t.Context()); err != permanent {
			t.Errorf("HealthTest: %v, want %v", err, permanent)
		}
		if got := j.Available(256); got != 0 {
			t.Errorf("Available(256) = %d after %v", got, permanent)
		}
	}
	// The noise can still be looked at.
	if n, err := j.GetNoise(make([]byte, 100)); n != 100 || err != nil {
		t.Errorf("GetNoise: %d, %v", n, err)
	}
}

// The same for the APT alone: one symbol, in durations that are not stuck because
// they are some multiple of 256 steps apart, but for every 30th, so that the lag
// predictor counts no long runs.
func TestJitterAPTAlarm(t *testing.T) {
	for _, tt := range []struct{ osr, intermittent, next, permanent int }{{1, 325, 422, 447}, {3, 459, 477, 494}} {
		const begin = jitterProbe + jitterStartUp // a window begins
		j, clock := playJitter(JitterConfig{OSR: tt.osr}, func(i int) uint64 {
			if i < begin || (i-begin)%30 == 29 {
				return lively(i)
			}
			z, _ := sound(i)
			return 26 * (7 + z>>40<<8)
		})
		p := make([]byte, 1000)
		if _, err := j.GetEntropy(t.Context(), p[:0], 0); err != nil || clock.samples() != begin {
			t.Fatalf("start-up: %v after %d samples", err, clock.samples())
		}
		n, err := failing(t, j, clock)
		var health *HealthError
		if !errors.As(err, &health) || *health != (HealthError{"jitter", "APT", tt.intermittent, tt.intermittent, false}) || n != tt.intermittent+tt.intermittent/29 {
			t.Fatalf("osr %d: %v after %d samples", tt.osr, err, n)
		}
		// One of those that follow is another symbol.
		n, err = failing(t, j, clock)
		if !errors.As(err, &health) || *health != (HealthError{"jitter", "APT", tt.permanent, tt.permanent, true}) || n != tt.permanent-tt.next+1 {
			t.Fatalf("osr %d: %v after %d more samples", tt.osr, err, n)
		}
		wantFinal(t, j, clock, err)
	}
}

// B17: the limit of stuck samples, 921 of 1024, in a start-up test and after it: durations
// that change by a step now and then. At a rate that can be raised both are intermittent,
// and at the last one permanent.
func TestJitterStuckAlarms(t *testing.T) {
	const begin = jitterProbe + jitterStartUp
	for _, osr := range []int{3, 18, 19} {
		j, clock := playJitter(JitterConfig{OSR: osr}, func(i int) uint64 {
			if i < begin {
				return lively(i)
			}
			return 26 * (1000 + uint64(i/50))
		})
		var err error
		for err == nil && clock.samples() < begin+5000 {
			_, err = j.GetEntropy(t.Context(), make([]byte, 64), 256)
		}
		alarm, ok := errors.AsType[*HealthError](err)
		if !ok || alarm.Test != "stuck" || alarm.Permanent || alarm.Cutoff != 922 || alarm.Count < 922 || clock.samples() != begin+1024 {
			t.Fatalf("osr %d: %v after %d samples", osr, err, clock.samples()-begin)
		}
		n, err := failing(t, j, clock)
		alarm, ok = errors.AsType[*HealthError](err)
		if !ok || alarm.Test != "start-up" || alarm.Permanent != (osr == 19) || alarm.Cutoff != 922 || alarm.Count < 922 || n != 1024 {
			t.Fatalf("osr %d: %v after %d samples more", osr, err, n)
		}
		if osr == 19 {
			wantFinal(t, j, clock, err)
		} else if j.noise.OSR() != osr+2 || j.Available(256) != 256 {
			t.Errorf("osr %d: now %d, %d bits available", osr, j.noise.OSR(), j.Available(256))
		}
	}
}

// The count of the lag predictor, for both cut-offs: a cycle that is broken too often for a
// run of right guesses, in windows of 2¹⁷ samples. The count goes on from the cut-off for
// the next rate, 110,876.
func TestJitterLagCountAlarm(t *testing.T) {
	if testing.Short() {
		t.Skip("100,000 samples")
	}
	j, clock := playJitter(JitterConfig{}, func(i int) uint64 {
		if i < jitterProbe || i%100 == 99 {
			return lively(i)
		}
		return 26 * []uint64{100, 300, 200, 700}[i%4]
	})
	var err error
	for err == nil && clock.samples() < 1<<17 {
		_, err = j.GetEntropy(t.Context(), make([]byte, 1024), 256)
	}
	mustAlarm(t, err, HealthError{"jitter", "lag", 104762, 104762, false})
	if n := clock.samples(); n < 104762 || j.noise.OSR() != 4 || j.Available(256) != 256 {
		t.Errorf("after %d samples: osr %d, %d bits available", n, j.noise.OSR(), j.Available(256))
	}
	n, err := failing(t, j, clock)
	mustAlarm(t, err, HealthError{"jitter", "lag", 111189, 111189, true})
	if n < 111189-110876 || n > 350 {
		t.Errorf("permanent after %d samples more", n)
	}
	wantFinal(t, j, clock, err)
}

// B16: with each intermittent failure a block takes more samples, until no rate is left:
// the failure at 20 is permanent.
func TestJitterRaises(t *testing.T) {
	bad := false
	j, clock := playJitter(JitterConfig{OSR: 17}, func(i int) uint64 {
		if bad {
			return 26 * []uint64{100, 300, 200, 700}[i%4]
		}
		return lively(i)
	})
	for osr := 17; ; osr++ {
		bad = false
		if err := j.HealthTest(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := clock.samples()
		if credit, err := j.GetEntropy(t.Context(), make([]byte, 32), 256); credit != 256 || err != nil {
			t.Fatalf("osr %d: %d, %v", osr, credit, err)
		}
		counted := 0
		_, next := wantBlock(sha512.New(), lively, before, 256, osr)
		if counted = clock.samples() - before; clock.samples() != next {
			t.Errorf("osr %d: a block of %d samples, want %d", osr, counted, next-before)
		}
		bad = true
		_, err := failing(t, j, clock)
		var health *HealthError
		if !errors.As(err, &health) || health.Test != "lag run" || health.Permanent != (osr == 20) {
			t.Fatalf("osr %d: %v", osr, err)
		}
		if health.Permanent {
			wantFinal(t, j, clock, err)
			break
		}
	}
}

// B16: after an intermittent failure nothing is delivered before 1024 samples have
// passed, and what is delivered is made of samples after those.
func TestJitterRecovery(t *testing.T) {
	const begin, end = jitterProbe + jitterStartUp + 512, jitterProbe + jitterStartUp + 512 + 100
	play := func(i int) uint64 {
		if i >= begin && i < end {
			return 0
		}
		return lively(i)
	}
	j, clock := playJitter(JitterConfig{}, play)
	if n, err := failing(t, j, clock); n != begin+90 {
		t.Fatalf("%v after %d samples", err, n)
	}
	p := make([]byte, 32)
	credit, err := j.GetEntropy(t.Context(), p, 256)
	if credit != 256 || err != nil {
		t.Fatalf("credit %d, %v", credit, err)
	}
	// The window of the fault ends first. The rate is one higher.
	want, _ := wantBlock(sha512.New(), play, begin+512+jitterStartUp, 256, 4)
	if !bytes.Equal(p, want[:32]) {
		t.Error("the block is not made of the samples after the start-up test")
	}
}

// T8, E1: clocks that cannot be used make the source unavailable, not the process
// slow; and when the clock is good again, the source is.
func TestJitterUnusableClock(t *testing.T) {
	for _, tt := range []struct {
		name string
		play func(i int) uint64
	}{
		{"stopped", func(int) uint64 { return 0 }},
		{"constant", func(int) uint64 { return 1000 }},
		{"coarse", func(i int) uint64 { return uint64(i%3) / 2 * 1e6 }},
		{"backwards", func(int) uint64 { return math.MaxUint64 - 500 }},
	} {
		j, clock := playJitter(JitterConfig{}, tt.play)
		for range 2 {
			n, err := failing(t, j, clock)
			if !errors.Is(err, ErrUnavailable) || n > 10000 {
				t.Errorf("%s: %v after %d samples", tt.name, err, n)
			}
			if got := j.Available(256); got != 0 {
				t.Errorf("%s: Available(256) = %d", tt.name, got)
			}
		}
		if err := j.HealthTest(t.Context()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: HealthTest: %v", tt.name, err)
		}
		if n, err := j.GetNoise(make([]byte, 10)); n != 0 || !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: GetNoise: %d, %v", tt.name, n, err)
		}
		if err := j.Validate(); err != nil {
			t.Errorf("%s: the configuration is blamed: %v", tt.name, err)
		}
		clock.play = lively
		if err := j.HealthTest(t.Context()); err != nil || j.Available(256) != 256 {
			t.Errorf("%s: repaired: HealthTest: %v, Available(256) = %d", tt.name, err, j.Available(256))
		}
		if credit, err := j.GetEntropy(t.Context(), make([]byte, 32), 256); credit != 256 || err != nil {
			t.Errorf("%s: repaired: credit %d, %v", tt.name, credit, err)
		}
	}
}

// Rule 6: the context is looked at before each sample, in the start-up and in a
// block. An interrupted start-up starts from its beginning.
func TestJitterContext(t *testing.T) {
	for _, at := range []int{0, 1, jitterProbe, jitterProbe + jitterStartUp - 1, jitterProbe + jitterStartUp, jitterProbe + jitterStartUp + 500} {
		ctx, cancel := context.WithCancel(t.Context())
		j, clock := playJitter(JitterConfig{}, func(i int) uint64 {
			if i == at {
				cancel()
			}
			return lively(i)
		})
		p := bytes.Repeat([]byte{0xa5}, 32)
		credit, err := j.GetEntropy(ctx, p, 256)
		if credit != 0 || !errors.Is(err, context.Canceled) || !bytes.Equal(p, make([]byte, 32)) {
			t.Errorf("cancelled in sample %d: %d, %v", at, credit, err)
		}
		if clock.samples() != at+1 {
			t.Errorf("cancelled in sample %d: %d taken", at, clock.samples())
		}
		wantClean(t, j)
		if got := j.Available(256); got != 256 {
			t.Errorf("cancelled in sample %d: Available(256) = %d", at, got)
		}

		if credit, err = j.GetEntropy(t.Context(), p, 256); credit != 256 || err != nil {
			t.Errorf("after it: %d, %v", credit, err)
		}
		// A start-up fills windows of the APT; the rest of one comes on top.
		from := at + 1
		if at+1 < jitterProbe+jitterStartUp {
			tested := max(0, at+1-jitterProbe)
			from += jitterStartUp + (512-tested%512)%512
			if at+1 < jitterProbe {
				from += jitterProbe
			}
		}
		want, next := wantBlock(sha512.New(), lively, from, 256, 3)
		if !bytes.Equal(p, want[:32]) || clock.samples() != next {
			t.Errorf("after cancellation in sample %d the block is not made of the samples from %d on; %d taken, want %d", at, from, clock.samples(), next)
		}
	}

	// Done before: no sample at all.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	j, clock := playJitter(JitterConfig{}, lively)
	if _, err := j.GetEntropy(ctx, make([]byte, 1), 8); !errors.Is(err, context.Canceled) || clock.calls != 0 {
		t.Errorf("done before: %v, clock read %d times", err, clock.calls)
	}
	if err := j.HealthTest(ctx); !errors.Is(err, context.Canceled) || clock.calls != 0 {
		t.Errorf("HealthTest, done before: %v, clock read %d times", err, clock.calls)
	}
}

// Rules 2 and 6: while one call collects, Info and Available return, and a second
// call gives up waiting when its context is done.
func TestJitterWhileCollecting(t *testing.T) {
	inside, resume := make(chan struct{}), make(chan struct{})
	j, _ := playJitter(JitterConfig{}, func(i int) uint64 {
		if i == 1500 {
			close(inside)
			<-resume
		}
		return lively(i)
	})
	done := make(chan error)
	go func() {
		_, err := j.GetEntropy(t.Context(), make([]byte, 32), 256)
		done <- err
	}()
	<-inside
	if j.Info().Name != "jitter" || j.Available(256) != 256 || j.Validate() != nil {
		t.Error("Info, Available or Validate are wrong during a collection")
	}
	for _, wait := range []func(ctx context.Context) error{
		func(ctx context.Context) error { _, err := j.GetEntropy(ctx, make([]byte, 32), 256); return err },
		j.HealthTest,
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if err := wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting: %v", err)
		}
		cancel()
	}
	close(resume)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// T8: a source that is too slow costs its credit. The time is that of a call, and 900 ms
// to the last nanosecond are allowed.
func TestJitterBudget(t *testing.T) {
	const start = jitterProbe + jitterStartUp
	for _, tt := range []struct {
		name string
		slow int // the sample during which the time passes
		took time.Duration
		ok   bool
	}{
		{"start-up in time", 100, jitterBudget, true},
		{"start-up too slow", 100, jitterBudget + 1, false},
		{"block in time", start + 700, jitterBudget, true},
		{"block too slow", start + 700, jitterBudget + 1, false},
		{"hang of an hour", start + 700, time.Hour, false},
	} {
		var elapsed time.Duration
		clock := &tape{}
		clock.play = func(i int) uint64 {
			if i == tt.slow {
				elapsed += tt.took
			}
			return lively(i)
		}
		j := newJitter(JitterConfig{MemorySize: 1 << 12}, clock.now, func() time.Duration { return elapsed })
		p := make([]byte, 32)
		if !tt.ok {
			n, err := failing(t, j, clock)
			if !errors.Is(err, ErrUnavailable) || n > tt.slow+1+16 {
				t.Errorf("%s: %v after %d samples", tt.name, err, n)
			}
			if got := j.Available(256); got != 0 {
				t.Errorf("%s: Available(256) = %d", tt.name, got)
			}
		}
		if credit, err := j.GetEntropy(t.Context(), p, 256); credit != 256 || err != nil {
			t.Errorf("%s: credit %d, %v", tt.name, credit, err)
		}
		if got := j.Available(256); got != 256 {
			t.Errorf("%s: then: Available(256) = %d", tt.name, got)
		}
	}

	// 350 µs a sample is 450 ms for the start-up and almost as much for the block. The
	// next call has as much time for itself.
	var elapsed time.Duration
	clock := &tape{play: func(i int) uint64 { elapsed += 350 * time.Microsecond; return lively(i) }}
	j := newJitter(JitterConfig{MemorySize: 1 << 12}, clock.now, func() time.Duration { return elapsed })
	if credit, err := j.GetEntropy(t.Context(), make([]byte, 32), 256); credit != 256 || err != nil || elapsed < jitterBudget-200*time.Millisecond {
		t.Errorf("credit %d, %v after %v", credit, err, elapsed)
	}
	if credit, err := j.GetEntropy(t.Context(), make([]byte, 32), 256); credit != 256 || err != nil || elapsed < jitterBudget {
		t.Errorf("the next call: credit %d, %v after %v", credit, err, elapsed)
	}
	// 1 ms a sample, the clock of a machine of long ago, is too slow.
	clock.play = func(i int) uint64 { elapsed += time.Millisecond; return lively(i) }
	if n, err := failing(t, j, clock); !errors.Is(err, ErrUnavailable) || n > 900+16 {
		t.Errorf("1 ms a sample: %v after %d samples", err, n)
	}
}

// A recorder is a hash that notes what is done with it.
type recorder struct {
	hash.Hash
	log []string
}

func (r *recorder) Write(p []byte) (int, error) {
	kind := "samples"
	if bytes.Equal(p, make([]byte, len(p))) {
		kind = "zeros"
	}
	r.log = append(r.log, fmt.Sprint(kind, " ", len(p)))
	return r.Hash.Write(p)
}

func (r *recorder) Reset() {
	r.log = append(r.log, "reset")
	r.Hash.Reset()
}

// Rule 7: nothing of a block is left, whether it was delivered or not. The last
// piece of input in a SHA-2 state is overwritten by a whole block in two pieces.
func TestJitterWipes(t *testing.T) {
	for _, h := range []hash.Hash{sha256.New(), sha512.New()} {
		rec := &recorder{Hash: h}
		j, clock := playJitter(JitterConfig{Conditioner: oddConditioner{rec, 8 * h.Size()}}, lively)
		if _, err := j.GetEntropy(t.Context(), make([]byte, 32), 256); err != nil {
			t.Fatal(err)
		}
		wantClean(t, j)
		want := []string{"reset", "zeros 1", fmt.Sprint("zeros ", h.BlockSize()-1), "reset"}
		check := func(when string) {
			t.Helper()
			n := len(rec.log)
			if n < 5 || !slices.Equal(rec.log[n-4:], want) {
				t.Errorf("%d bits, %s: %d steps, the last %q, want %q", 8*h.Size(), when, n, rec.log[max(0, n-4):], want)
			}
		}
		check("delivered")
		rec.log = nil
		fault := clock.samples() + 100
		clock.play = func(i int) uint64 {
			if i > fault {
				return 0
			}
			return lively(i)
		}
		if _, err := failing(t, j, clock); err == nil {
			t.Fatal("no failure")
		}
		check("failed")
	}
}

// B2: the noise is what the health tests and the hash see, in the low 8 bits of
// the number of clock steps, taken for the purpose and never used again.
func TestJitterNoise(t *testing.T) {
	play := func(i int) uint64 { return 26 * (lively(i)/26 + 1000) }
	j, clock := playJitter(JitterConfig{}, play)
	noise := make([]byte, 3000)
	next := jitterProbe
	for range 2 {
		n, err := j.GetNoise(noise)
		if n != len(noise) || err != nil {
			t.Fatalf("GetNoise: %d, %v", n, err)
		}
		for i, x := range noise {
			if want := byte(play(next+i) / 26); x != want {
				t.Fatalf("sample %d is %d, want %d", i, x, want)
			}
		}
		next += len(noise)
	}
	p := make([]byte, 32)
	if credit, err := j.GetEntropy(t.Context(), p, 256); credit != 256 || err != nil {
		t.Fatalf("credit %d, %v", credit, err)
	}
	want, after := wantBlock(sha512.New(), play, next+jitterStartUp, 256, 3)
	if !bytes.Equal(p, want[:32]) || clock.samples() != after {
		t.Error("the block is not made of fresh samples")
	}
	if n, err := j.GetNoise(nil); n != 0 || err != nil || clock.samples() != after {
		t.Errorf("GetNoise(nil): %d, %v", n, err)
	}

	// The tests do not see it: a fault within GetNoise passes.
	clock.play = func(int) uint64 { return 0 }
	if n, err := j.GetNoise(noise); n != len(noise) || err != nil {
		t.Errorf("GetNoise: %d, %v", n, err)
	}
	clock.play = play
	if credit, err := j.GetEntropy(t.Context(), p, 256); credit != 256 || err != nil {
		t.Errorf("after it: %d, %v", credit, err)
	}
}

// B15: the start-up test on demand takes 1024 samples more, and those are not
// delivered.
func TestJitterHealthTest(t *testing.T) {
	j, clock := playJitter(JitterConfig{}, lively)
	if err := j.HealthTest(t.Context()); err != nil || clock.samples() != jitterProbe+jitterStartUp {
		t.Fatalf("%v after %d samples", err, clock.samples())
	}
	if err := j.HealthTest(t.Context()); err != nil || clock.samples() != jitterProbe+2*jitterStartUp {
		t.Fatalf("%v after %d samples", err, clock.samples())
	}
	p := make([]byte, 32)
	if credit, err := j.GetEntropy(t.Context(), p, 256); credit != 256 || err != nil {
		t.Fatalf("credit %d, %v", credit, err)
	}
	want, next := wantBlock(sha512.New(), lively, jitterProbe+2*jitterStartUp, 256, 3)
	if !bytes.Equal(p, want[:32]) || clock.samples() != next {
		t.Error("the block has samples of the tests, or the start-up was run again")
	}
	clock.play = func(int) uint64 { return 0 }
	var health *HealthError
	if err := j.HealthTest(t.Context()); !errors.As(err, &health) || health.Permanent {
		t.Errorf("with a stopped clock: %v", err)
	}
}

func TestJitterPrintsNothing(t *testing.T) {
	j, _ := playJitter(JitterConfig{}, lively)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, j); got != "es.Jitter" {
			t.Errorf("%s: %q", format, got)
		}
	}
}

// The real thing, which may be unavailable elsewhere, but not on the machines the
// library is meant for.
func realJitter(t testing.TB, c JitterConfig) *Jitter {
	t.Helper()
	j := NewJitter(c)
	var err error
	for range 20 {
		// On a machine that has much else to do the time for it can be over.
		if err = j.HealthTest(t.Context()); err == nil {
			return j
		}
	}
	if runtime.GOARCH == "amd64" {
		t.Fatal(err)
	}
	t.Skip(err)
	return nil
}

// Rules 1 and 7. That 32 bytes come twice has a probability of 2⁻²⁵⁶ for each
// pair.
func TestJitterConcurrent(t *testing.T) {
	j := realJitter(t, JitterConfig{})
	var mu sync.Mutex
	seen := make(map[[32]byte]bool)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for range 5 {
				var p [32]byte
				switch credit, err := j.GetEntropy(t.Context(), p[:], 256); {
				case errors.Is(err, ErrUnavailable):
					return // the machine is busy
				case credit != 256 || err != nil:
					t.Errorf("credit %d, %v", credit, err)
				}
				mu.Lock()
				if seen[p] {
					t.Error("the same data twice")
				}
				seen[p] = true
				mu.Unlock()
				switch g % 4 {
				case 0:
					if err := j.HealthTest(t.Context()); err != nil && !errors.Is(err, ErrUnavailable) {
						t.Error(err)
					}
				case 1:
					if _, err := j.GetNoise(p[:]); err != nil {
						t.Error(err)
					}
				default:
					j.Info()
					j.Available(256)
				}
			}
		})
	}
	wg.Wait()
}

func TestJitterAllocs(t *testing.T) {
	for _, c := range []conditioner.Conditioner{conditioner.SHA256, conditioner.SHA384, conditioner.SHA512, conditioner.SHA3_256, conditioner.SHA3_512} {
		j, _ := playJitter(JitterConfig{Conditioner: c}, lively)
		p := make([]byte, 70)
		if n := testing.AllocsPerRun(3, func() {
			if _, err := j.GetEntropy(context.Background(), p, 384); err != nil {
				t.Fatal(err)
			}
			if _, err := j.GetNoise(p); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", c.Name(), n)
		}
	}
}

// No configuration and no arguments make the source panic or credit more than it
// may.
func FuzzJitter(f *testing.F) {
	f.Add(0, 0, 0, byte(0), 32, 256, []byte{1})
	f.Fuzz(func(t *testing.T, rate, osr, memory int, conditioners byte, size, bits int, durations []byte) {
		all := []conditioner.Conditioner{nil, conditioner.SHA256, conditioner.SHA384, conditioner.SHA512, conditioner.SHA3_256, conditioner.SHA3_384, conditioner.SHA3_512}
		c := JitterConfig{Rate: rate, OSR: osr, MemorySize: memory, Conditioner: all[int(conditioners)%len(all)], Noise: JitterNoise(conditioners / 16 % 4)}
		if memory > 1<<20 {
			NewJitter(c)
			c.MemorySize = 0
		}
		size = min(max(size, 0), 300)
		clock := &tape{play: func(i int) uint64 {
			if len(durations) == 0 {
				return 0
			}
			x := durations[i%len(durations)]
			if x >= 128 {
				return lively(i)
			}
			return uint64(x)
		}}
		j := newJitter(c, clock.now, func() time.Duration { return time.Duration(clock.calls) * time.Microsecond })
		for range 3 {
			p := make([]byte, size)
			credit, err := j.GetEntropy(t.Context(), p, bits)
			switch {
			case err != nil && (credit != 0 || !bytes.Equal(p, make([]byte, size))):
				t.Fatalf("%+v: credit %d with %v", c, credit, err)
			case credit < 0 || credit > max(bits, 0) || credit > 8*size || credit > j.Info().MaxEntropy:
				t.Fatalf("%+v: credit %d for %d bytes, %d bits", c, credit, size, bits)
			case j.Validate() != nil && err != j.Validate():
				t.Fatalf("%+v: %v with the invalid configuration", c, err)
			}
			if n := j.Available(bits); n < 0 || n > max(bits, 0) || n > j.Info().MaxEntropy {
				t.Fatalf("%+v: Available(%d) = %d", c, bits, n)
			}
			wantClean(t, j)
		}
	})
}

// The figure to reach: 256 bits at the recommended rate in less than 5 ms on one core. The
// best of some is what the machine can do when it has nothing else to do.
func TestJitterFast(t *testing.T) {
	switch {
	case eventsRace:
		t.Skip("the race detector takes its time")
	case testing.Short():
		t.Skip("on a busy machine it takes a while")
	case os.Getenv("LRNG_EMULATED") != "" || os.Getenv("QEMU_CPU") != "":
		t.Skip("times in an emulator mean nothing")
	}
	const figure = 5 * time.Millisecond
	j := realJitter(t, JitterConfig{})
	best := time.Hour
	for try := 0; try < 50 || best > figure && try < 5000; try++ {
		start := time.Now()
		credit, err := j.GetEntropy(t.Context(), make([]byte, 32), 256)
		if errors.Is(err, ErrUnavailable) {
			continue // the machine is busy
		}
		if credit != 256 || err != nil {
			t.Fatal(credit, err)
		}
		best = min(best, time.Since(start))
	}
	t.Logf("256 bits take %v", best)
	if best > figure {
		t.Errorf("256 bits take %v, more than %v", best, figure)
	}
}

func BenchmarkJitter(b *testing.B) {
	for _, bits := range []int{128, 256, 384} {
		b.Run(fmt.Sprintf("bits=%d", bits), func(b *testing.B) {
			j := realJitter(b, JitterConfig{})
			p := make([]byte, bits/8)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := j.GetEntropy(context.Background(), p, bits); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
