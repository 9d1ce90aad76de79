package es_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
)

func TestOSConformance(t *testing.T) {
	for _, rate := range []int{0, 8, -1} {
		t.Run(fmt.Sprint("rate=", rate), func(t *testing.T) {
			estest.Run(t, func() es.Source { return es.NewOS(es.OSConfig{Rate: rate}) })
		})
	}
}

// A seed from the operating system, waiting until its generator is ready.
func ExampleNewOS() {
	source := es.NewOS(es.OSConfig{})
	seed := make([]byte, 32)
	credit, err := source.GetEntropy(context.Background(), seed, 256)
	fmt.Println(credit, err)
	// Output: 256 <nil>
}
