package seeding_test

import (
	"fmt"

	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/seeding"
)

// Two sources, one of which yields little.
var granted = []seeding.Credit{
	{Source: es.Info{Name: "jitter", MaxEntropy: 384}, Bits: 256},
	{Source: es.Info{Name: "cpu", MaxEntropy: 512}, Bits: 8},
}

// The strategies judge the same credits for the first seed of a generator with a security
// strength of 256 bits.
func Example() {
	for _, s := range []seeding.Strategy{seeding.Default, seeding.Oversample, seeding.NTG1} {
		fmt.Printf("%s: each is asked for %d bits, %v\n", s.Name(), s.Request(256, seeding.Initial), s.Level(granted, 256, seeding.Initial))
	}
	fmt.Println(seeding.Sum(granted), "bits in all")
	// Output:
	// default: each is asked for 256 bits, fully seeded
	// SP 800-90C oversampling: each is asked for 384 bits, minimally seeded
	// AIS 20/31 NTG.1: each is asked for 256 bits, minimally seeded
	// 264 bits in all
}

// A strategy says in words what is missing.
func ExampleExplainer() {
	s := seeding.All(seeding.Oversample, seeding.NewNTG1(seeding.NTG1DraftBits))
	fmt.Println(s.Level(granted, 256, seeding.Initial))
	if e, ok := s.(seeding.Explainer); ok {
		fmt.Println(e.Explain(granted, 256, seeding.Initial))
	}
	if c, ok := s.(seeding.Conditioning); ok {
		margin, width := c.Conditioning()
		fmt.Printf("%d bits more into hashes than out of them, which are %d bits wide\n", margin, width)
	}
	// Output:
	// minimally seeded
	// SP 800-90C oversampling: 264/384 bits: 120 more needed; NTG.1: jitter 256/220, cpu 8/220: one more source needed
	// 64 bits more into hashes than out of them, which are 384 bits wide
}

// A strategy of one's own: no seed without the token.
type withToken struct{ seeding.Strategy }

func (withToken) Name() string { return "with token" }

func (s withToken) Level(credits []seeding.Credit, strength int, st seeding.Stage) seeding.Level {
	level := s.Strategy.Level(credits, strength, st)
	for _, c := range credits {
		if c.Source.Name == "token" && c.Bits >= 128 {
			return level
		}
	}
	return min(level, seeding.MinimallySeeded)
}

func ExampleStrategy() {
	s := withToken{seeding.Default}
	fmt.Println(s.Level(granted, 256, seeding.Initial))
	token := seeding.Credit{Source: es.Info{Name: "token", MaxEntropy: 256}, Bits: 128}
	fmt.Println(s.Level(append(granted[:2:2], token), 256, seeding.Initial))
	// Output:
	// minimally seeded
	// fully seeded
}
