package es_test

import (
	"fmt"
	"testing"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
)

func TestJitterConformance(t *testing.T) {
	for _, c := range []es.JitterConfig{
		{},
		{Rate: 16, OSR: 5, Conditioner: conditioner.SHA256},
	} {
		if testing.Short() && c.OSR != 0 {
			continue
		}
		t.Run(fmt.Sprintf("osr=%d", c.OSR), func(t *testing.T) {
			estest.Run(t, func() es.Source { return es.NewJitter(c) })
		})
	}
}

func ExampleNewJitter() {
	// A source for a machine whose noise an assessment found to be poor, and
	// which therefore takes ten samples for each bit.
	j := es.NewJitter(es.JitterConfig{OSR: 10})
	fmt.Println(j.Info().Name, j.Available(256))
	// Output: jitter 256
}
