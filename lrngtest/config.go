package lrngtest

import (
	"fmt"
	"testing"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
)

// Config returns the configuration of the generator that [New] makes, for tests that want
// another Logger, Strategy, interval or more sources. It is for one generator, which the
// caller closes.
//
// The generator has a source whose data are made up, and a mechanism that ignores its
// seeds and its additional input and hands out the stream of the seed instead. More Shards
// or an OutputBuffer take bytes ahead, or in another order, and so does SetDRNG; with
// another DRNG nothing of the output is known.
//
// The mechanism says of itself that it is approved, and the source that it has health
// tests, although nothing of that is true: so they can stand in for those of a program in
// FIPS mode, also under FIPSRequired.
func Config(t testing.TB, seed string) lrng.Config {
	check(t)
	stream := newStream(seed)
	return lrng.Config{
		Sources:      []es.Source{estest.New(es.Info{Name: "lrngtest", MaxEntropy: 512, Health: true})},
		DRNG:         func() (drng.DRNG, error) { return &mechanism{stream: stream}, nil },
		Shards:       1,
		OutputBuffer: -1,
	}
}

// A mechanism keeps the rules of [drng.DRNG], but for all that makes one secure. All
// instances of a generator share a stream.
type mechanism struct {
	stream *Stream
	seeded bool
}

func (m *mechanism) Info() drng.Info {
	return drng.Info{
		Name:             "lrngtest (output known to everybody)",
		SecurityStrength: 256,
		MaxRequest:       1 << 16,
		ReseedInterval:   1 << 48,
		Approved:         true,
	}
}

func (m *mechanism) Seed(seed, additional []byte) error {
	m.seeded = true
	return nil
}

func (m *mechanism) Generate(out, additional []byte) error {
	var err error
	switch {
	case !m.seeded:
		err = drng.ErrNotSeeded
	case len(out) > m.Info().MaxRequest:
		err = drng.ErrRequestTooLarge
	default:
		m.stream.Read(out)
		return nil
	}
	clear(out)
	return fmt.Errorf("lrngtest: %w", err)
}

func (m *mechanism) Clear() { m.seeded = false }
