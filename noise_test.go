package lrng_test

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
)

// An estimator is a source with an estimate.
type estimator struct {
	*estest.Fake
	estimate func() es.NoiseEstimate
}

func (e estimator) NoiseEstimate() es.NoiseEstimate { return e.estimate() }

// What a source says of its noise is in the status, and each new warning is logged once.
// It costs no credit.
func TestNoiseEstimate(t *testing.T) {
	var log recorder
	var now atomic.Pointer[es.NoiseEstimate]
	now.Store(&es.NoiseEstimate{})
	src := estimator{fake("a"), func() es.NoiseEstimate { return *now.Load() }}
	c := one(src)
	c.Logger = log.logger()
	r := newRNG(t, c)
	of := func(h, claim float64, windows, low uint64, warning bool) es.NoiseEstimate {
		return es.NoiseEstimate{MinEntropy: h, Claim: claim, Windows: windows, Low: low, Warning: warning}
	}
	for i, tt := range []struct {
		e       es.NoiseEstimate
		line    string // in the status
		logged  int
		missing bool
	}{
		{es.NoiseEstimate{Claim: 2}, "", 0, true}, // no window is complete
		{of(2.5, 2, 1, 0, false), " Noise: 2.5 bits a sample by the most common value, claim 2\n", 0, false},
		{of(1.25, 2, 2, 1, true), "claim 2: below the claim\n", 1, false},
		{of(1.25, 2, 2, 1, true), "claim 2: below the claim\n", 1, false},
		{of(1.5, 2, 9, 4, true), "claim 2: below the claim\n", 2, false},
		{of(2.5, 2, 10, 4, false), "claim 2\n", 2, false},
		{of(math.NaN(), 2, 11, 5, true), "", 2, true},
		{of(2, math.Inf(1), 12, 6, true), "", 2, true},
	} {
		now.Store(&tt.e)
		if err := r.Reseed(t.Context()); err != nil {
			t.Fatal(err)
		}
		st := r.Status()
		row := st.Sources[0]
		if (row.Noise == nil) != tt.missing || row.Noise != nil && *row.Noise != tt.e {
			t.Errorf("%d: %+v; want %+v", i, row.Noise, tt.e)
		}
		if row.Health != "tests passed" || row.Credited != row.Requested || row.Failures != 0 {
			t.Errorf("%d: %+v", i, row)
		}
		text := st.String()
		if !strings.Contains(text, tt.line) || tt.missing && strings.Contains(text, "Noise:") {
			t.Errorf("%d: %q is not in\n%s", i, tt.line, text)
		}
		if _, err := json.Marshal(st); err != nil {
			t.Errorf("%d: %v", i, err)
		}
		// The seed does not wait for the logger.
		for end := time.Now().Add(time.Minute); log.count("noise is below its claim") < tt.logged && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if n := log.count("noise is below its claim"); n != tt.logged {
			t.Errorf("%d: %d warnings; want %d\n%s", i, n, tt.logged, &log)
		}
	}
	if log.count(`level=WARN msg="lrng: noise is below its claim" source=a min_entropy=1.25 claim=2 windows=2 low=1`) != 1 {
		t.Errorf("%s", &log)
	}
	// One that panics has none.
	now.Store(nil)
	if st := r.Status(); st.Sources[0].Noise != nil {
		t.Errorf("%+v", st.Sources[0].Noise)
	}
}

// dice is raw noise with a probability of p for zero.
type dice struct {
	r *rand.Rand
	p float64
}

func (d *dice) Info() es.Info     { return es.Info{Name: "dice"} }
func (d *dice) Available(int) int { return 0 }
func (d *dice) GetEntropy(context.Context, []byte, int) (int, error) {
	return 0, es.ErrUnavailable
}
func (d *dice) GetNoise(p []byte) (int, error) {
	for i := range p {
		if p[i] = byte(d.r.Uint32() | 1); d.r.Float64() < d.p {
			p[i] = 0
		}
	}
	return len(p), nil
}

// Noise with less than its monitor claims, all the way to the log.
func TestNoiseOfMonitor(t *testing.T) {
	for _, tt := range []struct {
		p   float64
		low bool
	}{{0.9, false}, {0.95, true}} { // the claim is 1/8: 0.917
		var log recorder
		m := es.Monitor(&dice{rand.New(rand.NewPCG(1, 2)), tt.p}, es.MonitorConfig{})
		c := one(m)
		c.Logger = log.logger()
		r := newRNG(t, c)
		for m.NoiseEstimate().Windows < 2 {
			if err := r.Reseed(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		row := r.Status().Sources[0]
		if row.Noise == nil || row.Noise.Warning != tt.low || row.Noise.Claim != 1./8 || row.Failures != 0 || row.Health != "tests passed" {
			t.Errorf("%v: %+v, %+v", tt.p, row, row.Noise)
		}
		if (log.count("level=WARN") > 0) != tt.low {
			t.Errorf("%v: %s", tt.p, &log)
		}
	}
}
