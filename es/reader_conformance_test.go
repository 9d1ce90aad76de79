package es_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"testing"

	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
)

// A token stands for a security module: it delivers digests of a counter, at most 20
// bytes at a time.
type token struct{ n uint64 }

func (t *token) Read(p []byte) (int, error) {
	t.n++
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, t.n))
	return copy(p, sum[:20]), nil
}

func TestReaderConformance(t *testing.T) {
	for _, rate := range []int{256, 8, 0} {
		t.Run(fmt.Sprint("rate=", rate), func(t *testing.T) {
			estest.Run(t, func() es.Source {
				r := es.NewReader(es.ReaderConfig{Reader: new(token), Rate: rate})
				t.Cleanup(func() { r.Close() })
				return r
			})
		})
	}
}

// A security module with a library that makes it an io.Reader, and of which its maker
// states 4 bits of entropy a byte.
func ExampleNewReader() {
	var module io.Reader = new(token)
	r := es.NewReader(es.ReaderConfig{Reader: module, Rate: 128, Name: "module"})
	defer r.Close()
	seed := make([]byte, 32)
	credit, err := r.GetEntropy(context.Background(), seed, 256)
	fmt.Println(credit, err)
	// Output: 128 <nil>
}
