package seeding_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/seeding"
)

// The matrix: every subset of eight sources, with credits on both sides of every limit,
// under every combination of strategies, at each strength and stage, against an oracle.
//
// FIPS mode is no dimension of it. It takes away the credit of sources before a
// strategy sees them, and the functions here do not know of it: TestMatrix of package
// lrng has that dimension.

// A rule is a strategy as its document has it. It is written from the requirements, and
// calls nothing of package seeding.
type rule struct {
	strategy seeding.Strategy

	// full reports whether the credits make a full seed. Sum is that of independent
	// sources, best has their credits.
	full func(sum int, best []int, strength int, st seeding.Stage) bool

	// least and most bound what each source is asked for.
	least, most func(strength int, st seeding.Stage) int
}

var rules = [...]rule{
	{
		// LRNG: as much as the security strength, on every occasion (A6).
		strategy: seeding.Default,
		full:     func(sum int, _ []int, strength int, _ seeding.Stage) bool { return sum >= strength },
		least:    func(strength int, _ seeding.Stage) int { return strength },
		most:     func(strength int, _ seeding.Stage) int { return strength },
	},
	{
		// SP 800-90C: 3s/2 and, with LRNG, s + 128 for the first seed (C9); s for a
		// reseed (C10); s + 64 before s bits of output (C13).
		strategy: seeding.Oversample,
		full: func(sum int, _ []int, strength int, st seeding.Stage) bool {
			return sum >= oversampled(strength, st)
		},
		least: oversampled,
		most:  oversampled,
	},
	ntg1Rule(seeding.NTG1, 240),
	ntg1Rule(seeding.NewNTG1(seeding.NTG1DraftBits), 220),
}

func oversampled(strength int, st seeding.Stage) int {
	switch st {
	case seeding.Initial:
		return max(strength+128, strength*3/2)
	case seeding.PredictionResistance:
		return strength + 64
	}
	return strength
}

// AIS 20/31, NTG.1: two independent sources with the same least credit each for the
// first seed; the sum is enough later (G7). Whatever the class, a seed has the strength
// of the generator (A6).
func ntg1Rule(s seeding.Strategy, each int) rule {
	return rule{
		strategy: s,
		full: func(sum int, best []int, strength int, st seeding.Stage) bool {
			if sum < strength {
				return false
			}
			if st != seeding.Initial {
				return true
			}
			n := 0
			for _, b := range best {
				if b >= each {
					n++
				}
			}
			return n >= 2
		},
		least: func(strength int, st seeding.Stage) int {
			if st == seeding.Initial {
				return max(strength, each)
			}
			return strength
		},
		most: func(strength int, _ seeding.Stage) int { return max(strength, each) },
	}
}

// level is the oracle for a list of rules that hold together (G10): the lowest wins.
// Below full LRNG's thresholds hold: 32 bits and 128 bits.
func level(rules []rule, sum int, best []int, strength int, st seeding.Stage) seeding.Level {
	for _, r := range rules {
		if r.full(sum, best, strength, st) {
			continue
		}
		switch {
		case sum >= 128:
			return seeding.MinimallySeeded
		case sum >= 32:
			return seeding.InitiallySeeded
		default:
			return seeding.Unseeded
		}
	}
	return seeding.FullySeeded
}

// best is the oracle for independence (C8): a credit counts unless a source of the same
// boundary has more, or as much and comes first. A negative one is none.
func best(credits []seeding.Credit, out []int) (sum int, _ []int) {
	out = out[:0]
	for i, c := range credits {
		counts := true
		for j, d := range credits {
			if c.Source.Boundary != "" && i != j && c.Source.Boundary == d.Source.Boundary {
				counts = counts && (c.Bits > d.Bits || c.Bits == d.Bits && i < j)
			}
		}
		if counts {
			out = append(out, max(0, c.Bits))
			sum += max(0, c.Bits)
		}
	}
	return sum, out
}

// A combination is a strategy with the rules that hold under it.
type combination struct {
	strategy seeding.Strategy
	rules    []rule
}

// combinations returns each basic strategy, and All of every set of two or more.
func combinations() (out []combination) {
	for set := 1; set < 1<<len(rules); set++ {
		var c combination
		var list []seeding.Strategy
		for i, r := range rules {
			if set>>i&1 != 0 {
				c.rules = append(c.rules, r)
				list = append(list, r.strategy)
			}
		}
		if c.strategy = list[0]; len(list) > 1 {
			c.strategy = seeding.All(list...)
		}
		out = append(out, c)
	}
	// Neither the order nor the nesting matters.
	return append(out, combination{
		seeding.All(seeding.All(rules[2].strategy), seeding.All(rules[1].strategy, rules[0].strategy)),
		[]rule{rules[0], rules[1], rules[2]},
	})
}

// matrixCredits are on both sides of every limit: 32, 128, 192, 220, 240, 256, 320 and
// 384 bits. Their number is prime: see assignment.
var matrixCredits = [...]int{-1, 0, 8, 31, 32, 127, 128, 191, 192, 219, 220, 239, 240, 255, 256, 319, 320, 383, 384}

// matrixBoundaries are the boundaries of the eight sources.
var matrixBoundaries = [...][8]string{
	{},
	{0: "times", 1: "times", 5: "board", 7: "board"},
	{1: "a", 2: "a", 3: "a", 4: "b", 6: "b"},
	{"x", "x", "x", "x", "x", "x", "x", "x"},
}

// assignment number k of len(matrixCredits)² gives the sources their credits. It is an
// orthogonal array: any two of the sources have every pair of credits in it.
func assignment(k int) (credits [8]seeding.Credit) {
	const n = len(matrixCredits)
	boundaries := &matrixBoundaries[k/n%len(matrixBoundaries)]
	for i := range credits {
		credits[i] = seeding.Credit{
			Source: es.Info{Name: string(rune('a' + i)), MaxEntropy: 512, Boundary: boundaries[i]},
			Bits:   matrixCredits[(k/n*i+k)%n],
		}
	}
	return credits
}

var (
	matrixStrengths = []int{128, 192, 256}
	stages          = []seeding.Stage{seeding.Initial, seeding.Reseed, seeding.PredictionResistance}
)

// Level and what Explain says of it (C8-C10, C13, G7, G10).
func TestMatrix(t *testing.T) {
	combinations := combinations()
	limits := []int{32, 128, 192, 220, 240, 256, 320, 384}
	reached := make(map[int]bool) // sums of several sources
	levels := make(map[string]bool)
	subset, before, list := make([]seeding.Credit, 0, 8), make([]seeding.Credit, 0, 8), make([]int, 0, 8)
	cases := 0
	for k := range len(matrixCredits) * len(matrixCredits) {
		// In these few each source has each credit once. They meet all combinations, the
		// others of the array a few in turn.
		whole := k%(len(matrixCredits)+1) == 0
		if testing.Short() && !whole {
			continue
		}
		all := assignment(k)
		for mask := range 1 << len(all) {
			subset = subset[:0]
			for i, c := range all {
				if mask>>i&1 != 0 {
					subset = append(subset, c)
				}
			}
			before = append(before[:0], subset...)
			var sum int
			sum, list = best(subset, list)
			if len(list) > 1 {
				reached[sum] = true
			}
			if got := seeding.Sum(subset); got != sum {
				t.Fatalf("%v: sum %d, want %d", show(subset), got, sum)
			}
			for i, c := range combinations {
				if !whole && (k+mask+i)%8 != 0 {
					continue
				}
				for _, strength := range matrixStrengths {
					for _, st := range stages {
						cases++
						want := level(c.rules, sum, list, strength, st)
						if got := c.strategy.Level(subset, strength, st); got != want {
							t.Fatalf("%s, strength %d, %v: %v makes %v, want %v", c.strategy.Name(), strength, st, show(subset), got, want)
						}
						if cases%101 != 0 { // the rest is slow
							continue
						}
						levels[c.strategy.Name()+want.String()] = true
						text := c.strategy.(seeding.Explainer).Explain(subset, strength, st)
						if missing := strings.Contains(text, "needed"); missing != (want < seeding.FullySeeded) {
							t.Fatalf("%s, strength %d, %v: %v makes %v; explained as %q", c.strategy.Name(), strength, st, show(subset), want, text)
						}
						slices.Reverse(subset)
						if got := c.strategy.Level(subset, strength, st); got != want {
							t.Fatalf("%s, strength %d, %v: %v makes %v, want %v as in the other order", c.strategy.Name(), strength, st, show(subset), got, want)
						}
						slices.Reverse(subset)
					}
				}
			}
			if !slices.Equal(subset, before) {
				t.Fatalf("%v was changed to %v", show(before), show(subset))
			}
		}
	}
	// Is the matrix what it is meant to be?
	for _, n := range limits {
		if !reached[n-1] || !reached[n] {
			t.Errorf("no sum of several sources on each side of %d bits", n)
		}
	}
	for _, c := range combinations {
		for l := seeding.Unseeded; l <= seeding.FullySeeded; l++ {
			if !levels[c.strategy.Name()+l.String()] {
				t.Errorf("%s: no case of %v", c.strategy.Name(), l)
			}
		}
	}
	t.Logf("%d cases", cases)
}

// The array has every pair of credits for every pair of sources.
func TestMatrixIsOrthogonal(t *testing.T) {
	pairs := make(map[[4]int]bool)
	for k := range len(matrixCredits) * len(matrixCredits) {
		c := assignment(k)
		for i := range c {
			for j := range i {
				pairs[[4]int{i, j, c[i].Bits, c[j].Bits}] = true
			}
		}
	}
	if want := 8 * 7 / 2 * len(matrixCredits) * len(matrixCredits); len(pairs) != want {
		t.Errorf("%d pairs, want %d", len(pairs), want)
	}
}

// Request: as much as any of the rules wants from one source, and no more than any
// does. New refuses a strategy outside of 1…512 bits.
func TestMatrixRequest(t *testing.T) {
	for _, c := range combinations() {
		for _, strength := range matrixStrengths {
			for _, st := range stages {
				least, most := 0, 0
				for _, r := range c.rules {
					least, most = max(least, r.least(strength, st)), max(most, r.most(strength, st))
				}
				if got := c.strategy.Request(strength, st); got < least || got > most || got > 512 {
					t.Errorf("%s, strength %d, %v: asks for %d bits, want %d to %d", c.strategy.Name(), strength, st, got, least, most)
				}
				// What is asked of two sources, where both deliver, is a full seed.
				n := c.strategy.Request(strength, st)
				if got := c.strategy.Level(credits(n, n), strength, st); got != seeding.FullySeeded {
					t.Errorf("%s, strength %d, %v: twice the %d bits asked for make %v", c.strategy.Name(), strength, st, n, got)
				}
			}
		}
	}
}

// Whatever the strategy, a full seed has at least the security strength (A6), and under
// SP 800-90C a first one has 3/2 of it (C9). The strengths are all that New admits, and
// the least credit of NTG.1 is whatever somebody chose.
func TestNoFullSeedBelowStrength(t *testing.T) {
	strategies := []seeding.Strategy{seeding.Default, seeding.Oversample, seeding.NTG1}
	for _, n := range []int{0, 1, 8, 127, 128, 220, 255, 256} {
		strategies = append(strategies, seeding.NewNTG1(n), seeding.All(seeding.Default, seeding.NewNTG1(n)))
	}
	for _, s := range strategies {
		t.Run(fmt.Sprintf("%s/%d", s.Name(), s.Request(128, seeding.Initial)), func(t *testing.T) {
			for strength := 128; strength <= 512; strength += 32 {
				for _, st := range stages {
					least := strength
					if st == seeding.Initial && s == seeding.Oversample {
						least = strength * 3 / 2
					}
					for n := 0; 2*n < least; n++ {
						if got := s.Level(credits(n, n), strength, st); got == seeding.FullySeeded {
							t.Errorf("strength %d, %v: %d bits from two sources make a full seed; at least %d do", strength, st, 2*n, least)
							break
						}
					}
				}
			}
		})
	}
}

// show formats credits as name:bits, with the boundary where there is one.
func show(credits []seeding.Credit) string {
	var b strings.Builder
	for i, c := range credits {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s%s:%d", c.Source.Boundary, c.Source.Name, c.Bits)
	}
	return "[" + b.String() + "]"
}
