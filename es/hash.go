package es

import (
	"fmt"
	"hash"

	"github.com/lrng-go/lrng/conditioner"
)

// newHash returns a state of the Conditioner of a configuration, SHA-512 if it is nil, and
// its width in bits.
func newHash(config string, c conditioner.Conditioner) (hash.Hash, int, error) {
	if c == nil {
		c = conditioner.SHA512
	}
	h, width := c.New(), c.Width()
	if h == nil || width < 8 || width > maxBlock || width != 8*h.Size() {
		return nil, 0, fmt.Errorf("es: %s.Conditioner: %s: the width is %d bits, must be the size of the digest and at most %d", config, c.Name(), width, maxBlock)
	}
	return h, width, nil
}
