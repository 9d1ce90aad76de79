package drng

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/lrng-go/lrng/internal/vectors"
)

// newVectorsCipherDRNG is newVectorsDRNG for what is built on a cipher.
func newVectorsCipherDRNG(g *vectors.Group) (DRNG, error) {
	if g.Mechanism == vectors.ChaCha20 {
		return NewChaCha20(), nil
	}
	bits, ok := strings.CutPrefix(g.Algorithm, "AES-")
	if !ok {
		return nil, fmt.Errorf("unknown generator %v", g)
	}
	n, err := strconv.Atoi(bits)
	if err != nil {
		return nil, err
	}
	return NewCTR(CTRConfig{KeyBits: n, NoDF: g.NoDF})
}

// startVector brings d, which was cleared, into the state that c starts from.
func startVector(d DRNG, c *vectors.Case) error {
	x, ok := d.(*ChaCha20)
	switch {
	case !ok && c.Counter != 0:
		return fmt.Errorf("%T has no counter", d)
	case ok && (c.Counter != chacha20FirstBlock || c.Steps[0].Op != vectors.Instantiate):
		// As seeded with nothing: a key of zeros.
		x.setState(c.Counter)
	}
	return nil
}

// vectorsCipherState is the working state of d, which is built on a cipher.
func vectorsCipherState(d DRNG) (vectors.State, error) {
	c, ok := d.(*CTR)
	if !ok {
		return vectors.State{}, fmt.Errorf("no working state of %T", d)
	}
	return vectors.State{V: c.v[:], Key: c.key[:c.keySize], ReseedCounter: c.reseedCounter}, nil
}
