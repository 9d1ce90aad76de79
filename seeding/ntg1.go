package seeding

import (
	"fmt"
	"strings"
)

// Least min-entropy that each of two sources delivers to the first seed, in bits.
const (
	// NTG1Bits is that of AIS 20/31, version 3.0 (2024), class NTG.1.
	NTG1Bits = 240

	// NTG1DraftBits is that of the draft of September 2022, for those who are
	// evaluated against it: see [NewNTG1].
	NTG1DraftBits = 220

	ntg1Sources = 2
)

// NTG1 is the strategy for class NTG.1 of AIS 20/31, version 3.0: the first full seed
// needs two independent sources with at least 240 bits each; credits of other
// sources do not count. For later seeds the sum decides: it must be the security
// strength. The lower levels go by the sum.
//
// Sources that share a boundary (see [es.Info]) are one source.
//
// Two times 240 bits have to fit into the hash if the sources yield so little at a time
// that the collection is condensed on the way: with a conditioner of less than 480 bits
// such a seed is never complete. SHA-512 and SHA3-512 are wide enough.
var NTG1 = NewNTG1(NTG1Bits)

// NewNTG1 returns the strategy NTG1 for another least entropy of each source, in bits. The
// sum of the credits is never less than the security strength.
func NewNTG1(bits int) Strategy { return ntg1{bits} }

type ntg1 struct{ bits int }

func (n ntg1) Name() string {
	if n.bits != NTG1Bits {
		return fmt.Sprintf("AIS 20/31 NTG.1 (%d bits)", n.bits)
	}
	return "AIS 20/31 NTG.1"
}

func (n ntg1) Request(strength int, _ Stage) int { return max(strength, n.bits) }

func (n ntg1) Level(credits []Credit, strength int, st Stage) Level {
	level := levelOf(Sum(credits), strength)
	if st != Initial {
		return level
	}
	full := 0
	for _, c := range independent(credits) {
		if c.Bits >= n.bits {
			full++
		}
	}
	if full >= ntg1Sources {
		return level // by the sum, which matters where bits is less than half of the strength
	}
	return min(level, MinimallySeeded)
}

func (n ntg1) Explain(credits []Credit, strength int, st Stage) string {
	if st != Initial {
		return explainSum("NTG.1", Sum(credits), strength, st)
	}
	var parts []string
	full := 0
	for _, c := range independent(credits) {
		if c.Source.MaxEntropy == 0 && c.Bits == 0 {
			continue // it never counts
		}
		parts = append(parts, fmt.Sprintf("%s %d/%d", c.Source.Name, max(0, c.Bits), n.bits))
		if c.Bits >= n.bits {
			full++
		}
	}
	if len(parts) == 0 {
		parts = []string{"no source"}
	}
	verdict := "NTG.1: " + strings.Join(parts, ", ")
	sum := Sum(credits)
	switch missing := ntg1Sources - full; {
	case missing > 1:
		verdict += fmt.Sprintf(": %d more sources needed", missing)
	case missing == 1:
		verdict += ": one more source needed"
	case sum < strength:
		verdict += fmt.Sprintf(": %d more bits needed in all", strength-sum)
	default:
		return verdict
	}
	return verdict + explainNext(sum, st)
}
