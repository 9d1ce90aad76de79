package seeding

import (
	"fmt"
	"strconv"

	"github.com/lrng-go/lrng/es"
)

// Credit is what one source was granted for the data in a seed.
type Credit struct {
	Source es.Info
	Bits   int // min-entropy, in bits
}

// A Strategy says how much entropy is asked for and what level it makes.
//
// Both methods are pure functions: the same arguments always give the same
// answer, nothing is remembered, and they may be called concurrently. Strength
// is the security strength of the generator in bits.
//
// Level never lets a source count for less when another one is added, and more
// credit never gives a lower level. Negative credits count as 0.
type Strategy interface {
	// Name identifies the strategy in the status and in logs.
	Name() string

	// Request returns how many bits each source is asked for, 1…512.
	Request(strength int, st Stage) (bits int)

	// Level returns the level that the credits make. The credits are those of
	// one seed, one element for each source.
	Level(credits []Credit, strength int, st Stage) Level
}

// Conditioning is implemented by strategies that make demands on the conditioning
// components between a noise source and the seed. A generator keeps to them, or is
// refused.
type Conditioning interface {
	// Conditioning returns how many bits of entropy a component must take in beyond
	// what it is credited with, and the least width of the hash functions, in bits.
	Conditioning() (margin, width int)
}

// An Explainer is a strategy that can say in words how far a seed is and what is
// missing, such as "NTG.1: jitter 240/240, cpu 8/240: one more source needed". All
// strategies of this package are.
type Explainer interface {
	Explain(credits []Credit, strength int, st Stage) string
}

// Default is the strategy of LRNG: each source is asked for as many bits as the
// generator has security strength, and the sum of the credits decides. The
// generator is initially seeded with 32 bits, minimally seeded with 128 and
// fully seeded with as many as it has strength (SP 800-90A, Section 8.6.3). No
// stage differs from another.
var Default Strategy = defaultStrategy{}

type defaultStrategy struct{}

func (defaultStrategy) Name() string { return "default" }

func (defaultStrategy) Request(strength int, _ Stage) int { return strength }

func (defaultStrategy) Level(credits []Credit, strength int, _ Stage) Level {
	return levelOf(Sum(credits), strength)
}

func (defaultStrategy) Explain(credits []Credit, strength int, st Stage) string {
	return explainSum("default", Sum(credits), strength, st)
}

// explainSum says how far a sum of bits is from being full.
func explainSum(name string, sum, full int, st Stage) string {
	verdict := name + ": " + strconv.Itoa(sum) + "/" + strconv.Itoa(full) + " bits"
	if sum >= full {
		return verdict // no work for package fmt: there is one in each round
	}
	return fmt.Sprintf("%s: %d more needed%s", verdict, full-sum, explainNext(sum, st))
}

// explainNext says how far a sum of bits is from the next of the lower levels, which
// matter before the first seed only.
func explainNext(sum int, st Stage) string {
	switch {
	case st != Initial || sum >= minimalBits:
		return ""
	case sum >= initialBits:
		return fmt.Sprintf(", %d to %v", minimalBits-sum, MinimallySeeded)
	}
	return fmt.Sprintf(", %d to %v", initialBits-sum, InitiallySeeded)
}

// levelOf returns the level of a sum of bits, where full bits make it full.
func levelOf(sum, full int) Level {
	switch {
	case sum >= full:
		return FullySeeded
	case sum >= minimalBits:
		return MinimallySeeded
	case sum >= initialBits:
		return InitiallySeeded
	}
	return Unseeded
}

// Sum adds up credits, in bits. Of sources that share a boundary only the best one
// counts (SP 800-90C, Section 2.6). It neither wraps around nor counts what is
// negative.
func Sum(credits []Credit) int {
	const most = 1 << 29 // twice as many fit into 32 bits
	sum := 0
	for _, c := range independent(credits) {
		sum = min(most, sum+min(most, max(0, c.Bits)))
	}
	return sum
}

// independent returns the credits of independent sources: for each boundary that
// several sources share, the best of them.
func independent(credits []Credit) []Credit {
	shared := false
	for _, c := range credits {
		shared = shared || c.Source.Boundary != ""
	}
	if !shared {
		return credits
	}
	var out []Credit
	place := make(map[string]int)
	for _, c := range credits {
		i, ok := place[c.Source.Boundary]
		switch {
		case c.Source.Boundary == "":
			out = append(out, c)
		case !ok:
			place[c.Source.Boundary] = len(out)
			out = append(out, c)
		case c.Bits > out[i].Bits:
			out[i] = c
		}
	}
	return out
}
