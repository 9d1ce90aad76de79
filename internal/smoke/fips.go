package smoke

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Limits of FIPS 140-2, Section 4.9.1, with Change Notice 1 (2001), for blocks of 20,000
// bits. What is within them passes, and so do the limits for the runs.
const (
	monobitLow, monobitHigh = 9725, 10275
	pokerLow, pokerHigh     = 2.16, 46.17
	longRun                 = 26 // is too long
)

// runLimits are those for the number of runs of 1, 2, 3, 4, 5, and 6 or more equal bits, of
// zeros and of ones.
var runLimits = [6][2]int{{2315, 2685}, {1114, 1386}, {527, 723}, {240, 384}, {103, 209}, {103, 209}}

// Failures are the numbers of blocks that failed each of the tests.
type Failures struct {
	Monobit, Poker, Runs, LongRun int
}

// Blocks runs the tests of FIPS 140-2 on each whole block of p. It returns how many of them
// failed each test, and how many failed one or more.
func Blocks(p []byte) (by Failures, failed int) {
	for ; len(p) >= BlockSize; p = p[BlockSize:] {
		monobit, poker, runs, long := block(p[:BlockSize])
		for _, f := range []struct {
			ok    bool
			count *int
		}{{monobit, &by.Monobit}, {poker, &by.Poker}, {runs, &by.Runs}, {long, &by.LongRun}} {
			if !f.ok {
				*f.count++
			}
		}
		if !monobit || !poker || !runs || !long {
			failed++
		}
	}
	return by, failed
}

// block runs the tests on one block, and reports which it passed.
func block(p []byte) (monobit, poker, runs, long bool) {
	// As rngtest of rng-tools has it, the first bit of a byte is the most significant. Here it
	// is the least significant one of a word. The last word is but half full.
	const words = (BlockSize + 7) / 8
	var x [words + 1]uint64
	for i := range words - 1 {
		x[i] = bits.Reverse64(binary.BigEndian.Uint64(p[8*i:]))
	}
	x[words-1] = uint64(bits.Reverse32(binary.BigEndian.Uint32(p[8*(words-1):])))

	ones := 0
	for _, w := range x {
		ones += bits.OnesCount64(w)
	}
	monobit = monobitLow < ones && ones < monobitHigh

	var bytes [256]int
	for _, b := range p {
		bytes[b]++
	}
	var nibbles [16]int
	for b, c := range bytes {
		nibbles[b&15] += c
		nibbles[b>>4] += c
	}
	squares := 0
	for _, c := range nibbles {
		squares += c * c
	}
	f := 16./5000*float64(squares) - 5000
	poker = pokerLow < f && f < pokerHigh

	runs, long = runsOf(&x)
	for i := range words {
		x[i] = ^x[i]
	}
	x[words-1] &= 1<<32 - 1
	r, l := runsOf(&x)
	return monobit, poker, runs && r, long && l
}

// runsOf reports whether the runs of ones are within their limits, and whether none is too
// long. The last word is zero.
func runsOf(x *[(BlockSize+7)/8 + 1]uint64) (runs, long bool) {
	long = true
	var atLeast [len(runLimits) + 1]int // runs that are at least so long, from 1
	before := uint64(0)                 // the bit before
	for i, lo := range x[:len(x)-1] {
		hi := x[i+1]
		// Bits where a run begins, and goes on for so many bits.
		at := lo &^ (lo<<1 | before)
		before = lo >> 63
		for n := range runLimits {
			at &= lo>>n | hi<<(64-n) // a shift by 64 is 0
			atLeast[n] += bits.OnesCount64(at)
		}
		// Bits with 2, 4, 8, 16 and 26 ones from there on.
		for _, n := range []int{1, 2, 4, 8, longRun - 16} {
			lo &= lo>>n | hi<<(64-n)
			hi &= hi >> n
		}
		long = long && lo == 0
	}
	runs = true
	for i, limit := range runLimits {
		n := atLeast[i]
		if i < len(runLimits)-1 {
			n -= atLeast[i+1]
		}
		runs = runs && limit[0] <= n && n <= limit[1]
	}
	return runs, long
}

// The probabilities that a block of uniformly distributed bits fails a test, the last three
// summed up over the limits. TestBlockProbability computes all but the second.
const (
	pMonobit = 1.03497e-4

	// That of f ≤ 2.16 is 4.912e-5, that of f ≥ 46.17 is 5.062e-5. Both are those of the
	// multinomial distribution, computed once from the generating function of Σ(n-312)² and
	// Σn for 16 independent Poisson numbers n with a mean of 312.5, the condition being
	// Σn = 5000. The chi-square distribution with 15 degrees of freedom has 4.927e-5 and
	// 4.996e-5.
	pPoker = 9.9737e-5

	pRuns    = 2.9957e-4
	pLongRun = 2.9762e-4
)

// BlockProbability is an upper bound for the probability that a block of uniformly
// distributed bits fails: the sum of the probabilities for the single tests, which
// TestBlockProbability computes.
const BlockProbability = pMonobit + pPoker + pRuns + pLongRun

// blockLimit returns how many of n blocks may fail. More do with a probability of at most
// 2^-alpha: that of k or more is at most exp(-n·D(k/n‖p)) (Chernoff).
func blockLimit(n int) int {
	p := BlockProbability
	for k := int(p*float64(n)) + 1; k < n; k++ {
		q := float64(k) / float64(n)
		if d := q*math.Log(q/p) + (1-q)*math.Log((1-q)/(1-p)); float64(n)*d >= alpha*math.Ln2 {
			return k - 1
		}
	}
	return n - 1
}
