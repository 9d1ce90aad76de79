package es_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
	"github.com/lrng-go/lrng/seeding"
)

// An ahead is a Jitter whose callers allow blocks that were collected ahead.
type ahead struct{ *es.Jitter }

func (a ahead) GetEntropy(ctx context.Context, p []byte, bits int) (int, error) {
	return a.Jitter.GetEntropy(es.AllowAhead(ctx, true), p, bits)
}

func TestJitterConformance(t *testing.T) {
	for _, tt := range []struct {
		c     es.JitterConfig
		short bool
	}{
		{es.JitterConfig{}, true},
		{es.JitterConfig{Rate: 16, OSR: 5, Conditioner: conditioner.SHA256}, false},
		{es.JitterConfig{Noise: es.JitterMemory}, false},
		{es.JitterConfig{Noise: es.JitterHash}, false},
		{es.JitterConfig{Ahead: 2}, false},
	} {
		c := tt.c
		if testing.Short() && !tt.short {
			continue
		}
		t.Run(fmt.Sprintf("noise=%d/osr=%d/ahead=%d", c.Noise, c.OSR, c.Ahead), func(t *testing.T) {
			estest.Run(t, func() es.Source {
				j := es.NewJitter(c)
				if c.Ahead == 0 {
					return j
				}
				t.Cleanup(func() { j.Close() })
				return ahead{j}
			})
		})
	}
}

// G7: the two noises are two sources for NTG.1, and neither alone is enough; nor is the
// source that mixes them.
func TestJitterNTG1(t *testing.T) {
	credit := func(noise es.JitterNoise) seeding.Credit {
		j := es.NewJitter(es.JitterConfig{Noise: noise})
		bits := seeding.NTG1.Request(256, seeding.Initial)
		for tries := 1; ; tries++ {
			n, err := j.GetEntropy(t.Context(), make([]byte, (bits+7)/8), bits)
			switch {
			case errors.Is(err, es.ErrUnavailable) && tries < 20:
				continue // the machine is busy
			case errors.Is(err, es.ErrUnavailable) && runtime.GOARCH != "amd64":
				t.Skip(err)
			case err != nil:
				t.Fatal(err)
			}
			return seeding.Credit{Source: j.Info(), Bits: n}
		}
	}
	mixed, memory, hash := credit(es.JitterMixed), credit(es.JitterMemory), credit(es.JitterHash)
	for _, tt := range []struct {
		credits []seeding.Credit
		full    bool
	}{
		{[]seeding.Credit{memory, hash}, true},
		{[]seeding.Credit{memory}, false}, {[]seeding.Credit{hash}, false}, {[]seeding.Credit{mixed}, false},
	} {
		if got := seeding.NTG1.Level(tt.credits, 256, seeding.Initial); (got == seeding.FullySeeded) != tt.full {
			t.Errorf("%v: %v", tt.credits, got)
		}
	}
}

func ExampleNewJitter() {
	// A source for a machine whose noise an assessment found to be poor, and
	// which therefore takes ten samples for each bit.
	j := es.NewJitter(es.JitterConfig{OSR: 10})
	fmt.Println(j.Info().Name, j.Available(256))
	// Output: jitter 256
}

func ExampleNewJitter_ntg1() {
	// NTG.1 of AIS 20/31: two noises, of which each brings 240 bits or more.
	for _, noise := range []es.JitterNoise{es.JitterMemory, es.JitterHash} {
		j := es.NewJitter(es.JitterConfig{Noise: noise})
		fmt.Println(j.Info().Name, j.Available(240))
	}
	// Output:
	// jitter-memory 240
	// jitter-hash 240
}
