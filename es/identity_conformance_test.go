package es_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
)

func TestIdentityConformance(t *testing.T) {
	estest.Run(t, func() es.Source { return es.NewIdentity(es.IdentityConfig{}) })
}

// What tells this node from its twins goes into a seed, and is no entropy.
func ExampleNewIdentity() {
	source := es.NewIdentity(es.IdentityConfig{})
	first, second := make([]byte, 32), make([]byte, 32)
	for _, p := range [][]byte{first, second} {
		credit, err := source.GetEntropy(context.Background(), p, 256)
		fmt.Println("credit:", credit, err)
	}
	fmt.Println("the same:", string(first) == string(second))
	// Output:
	// credit: 0 <nil>
	// credit: 0 <nil>
	// the same: false
}
