// Package smoke has statistical tests of random bytes: those of FIPS 140-2 on blocks of
// 20,000 bits, and tests of the whole. They are for tests of generators.
//
// These are smoke tests, and no evidence. A cipher in counter mode passes whether its key is
// secret or not, and so does many a simple generator that nobody should use. What they find
// are mistakes in the plumbing: bytes that are not filled in or come again, a state that
// stands still, a counter or a copy that shows.
//
// # False alarms
//
// A single statistic of independent and uniformly distributed bits fails with a probability
// of at most 2⁻⁷⁴, or 2⁻⁷³ where it has two limits. All bounds but those of the chi-square
// tests are proven for any number of bytes. A call of [Run] has less than 2⁸ statistics.
package smoke

import (
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"
)

// alpha is -log2 of the probability that a statistic is beyond one of its limits.
const alpha = 74

// BlockSize is the size of a block for the tests of FIPS 140-2, in bytes.
const BlockSize = 2500

// A Result is the value of a statistic, and where it may be.
type Result struct {
	Name      string
	Value     float64
	Low, High float64 // the limits; both pass
}

// Passed reports whether the value is within the limits.
func (r Result) Passed() bool { return r.Low <= r.Value && r.Value <= r.High }

// String returns the result as text.
func (r Result) String() string {
	return fmt.Sprintf("%s: %.6g, limits %.6g and %.6g", r.Name, r.Value, r.Low, r.High)
}

// Run returns all statistics of p, of which there have to be ten blocks at least.
func Run(p []byte) ([]Result, error) {
	if len(p) < 10*BlockSize {
		return nil, fmt.Errorf("smoke: %d bytes; want at least %d", len(p), 10*BlockSize)
	}
	x, n := words(p), 8*len(p)
	list := append([]Result{monobit(x, n)}, lags(x, n)...)
	list = append(list, distribution(p)...)
	list = append(list, pairs(p)...)
	list = append(list, correlation(p), compression(p), repeats(x[:n/128*2]))
	_, failed := Blocks(p)
	return append(list, Result{"FIPS 140-2 blocks", float64(failed), 0, float64(blockLimit(len(p) / BlockSize))}), nil
}

// normal returns the result for a sum of n terms that has the mean 0. The terms are, given
// those before, sub-Gaussian with the given variance: the mean of exp(λx) is at most
// exp(λ²·variance/2). For x = ±1 the variance is 1. Then the sum exceeds t with a probability
// of at most exp(-t²/(2·n·variance)) (Hoeffding, 1963; Azuma, 1967).
func normal(name string, sum, n, variance float64) Result {
	limit := math.Sqrt(2 * alpha * math.Ln2)
	return Result{name, sum / math.Sqrt(n*variance), -limit, limit}
}

// chiSquare returns the result for Σ (count - expected)² / expected. The limits are those of
// Laurent and Massart, "Adaptive estimation of a quadratic functional by model selection",
// 2000, Lemma 1, for the chi-square distribution. The counts have it about, where 5 or more
// are expected.
func chiSquare(name string, counts []uint32, expected float64) Result {
	sum := 0.0
	for _, c := range counts {
		d := float64(c) - expected
		sum += d * d
	}
	const x = alpha * math.Ln2
	k := float64(len(counts) - 1)
	return Result{name, sum / expected, k - 2*math.Sqrt(k*x), k + 2*math.Sqrt(k*x) + 2*x}
}

// words returns p as words of 64 bits, the first bit of p being the least significant, and
// some zeros after it.
func words(p []byte) []uint64 {
	x := make([]uint64, len(p)/8+3)
	for i := range len(p) / 8 {
		x[i] = binary.LittleEndian.Uint64(p[8*i:])
	}
	for i := len(p) &^ 7; i < len(p); i++ {
		x[i/8] |= uint64(p[i]) << (8 * (i % 8))
	}
	return x
}

// monobit compares the number of ones among n bits with that of zeros.
func monobit(x []uint64, n int) Result {
	ones := 0
	for _, w := range x {
		ones += bits.OnesCount64(w)
	}
	return normal("monobit", float64(2*ones-n), float64(n), 1)
}

// distances are those, in bits, at which bits are compared: all short ones, and the sizes
// of blocks, digests, seeds and rates of sponges.
func distances() (list []int) {
	for d := 1; d <= 16; d++ {
		list = append(list, d)
	}
	return append(list, 32, 64, 128, 192, 256, 384, 440, 512, 576, 832, 888, 1024, 1088, 1<<13, 1<<19)
}

// lags compares each of n bits with that which comes some bits later.
func lags(x []uint64, n int) (list []Result) {
	for _, d := range distances() {
		m := n - d
		if m < 64 {
			continue
		}
		near, far, shift := x[:m/64], x[d/64:], d%64
		unequal := 0
		for i, w := range near {
			unequal += bits.OnesCount64(w ^ (far[i]>>shift | far[i+1]<<(64-shift)))
		}
		i := len(near)
		rest := x[i] ^ (far[i]>>shift | far[i+1]<<(64-shift))
		unequal += bits.OnesCount64(rest & (1<<(m%64) - 1))
		list = append(list, normal(fmt.Sprintf("bits %d apart", d), float64(m-2*unequal), float64(m), 1))
	}
	return list
}

// period is the distance, in bytes, at which the distribution of bytes is looked at by
// itself: the size of the largest block of output of a mechanism, but for sponges.
const period = 64

// distribution looks at the values of bytes: all of them, and those at each place in a
// period.
func distribution(p []byte) (list []Result) {
	var counts [period][256]uint32
	for i, b := range p {
		counts[i%period][b]++
	}
	var all [256]uint32
	sum := 0.0
	for place := range counts {
		for b, c := range counts[place] {
			all[b] += c
			sum += float64(c) * (float64(b) - 127.5)
		}
		n := (len(p) - place + period - 1) / period
		if expected := float64(n) / 256; expected >= 5 {
			list = append(list, chiSquare(fmt.Sprintf("chi-square of bytes, place %d of %d", place, period), counts[place][:], expected))
		}
	}
	list = append(list, chiSquare("chi-square of bytes", all[:], float64(len(p))/256))
	// A byte less its mean is a sum of ±64, ±32, …, ±1/2.
	return append(list, normal("mean of bytes", sum, float64(len(p)), byteVariance))
}

// byteVariance is the variance of a byte, (4⁸-1)/12.
const byteVariance = (1<<16 - 1) / 12.

// pairs looks at the values of pairs of bytes.
func pairs(p []byte) []Result {
	expected := float64(len(p)/2) / (1 << 16)
	if expected < 5 {
		return nil
	}
	counts := make([]uint32, 1<<16)
	for i := 0; i+2 <= len(p); i += 2 {
		counts[binary.LittleEndian.Uint16(p[i:])]++
	}
	return []Result{chiSquare("chi-square of pairs", counts, expected)}
}

// correlation multiplies each byte with the next, both less their mean. Given the first, the
// product is sub-Gaussian, with the square of the first times the variance of a byte. The
// squares add up to no more than 1.2 times their mean: for 25,000 bytes that is more than
// 30 times as improbable as the limit allows (Hoeffding).
func correlation(p []byte) Result {
	sum := 0.0
	for i := 1; i < len(p); i++ {
		sum += (float64(p[i-1]) - 127.5) * (float64(p[i]) - 127.5)
	}
	return normal("serial correlation of bytes", sum, float64(len(p)-1), 1.2*byteVariance*byteVariance)
}

// compression returns by how many bytes flate makes p shorter. No code whatsoever makes more
// than one in 256ᵏ texts shorter by k bytes, but for a factor of 256/255.
func compression(p []byte) Result {
	p = p[:min(len(p), 1<<22)]
	var size counter
	w, _ := flate.NewWriter(&size, flate.BestSpeed)
	w.Write(p)
	w.Close()
	return Result{"bytes saved by compression", float64(len(p)) - float64(size), math.Inf(-1), math.Ceil(alpha / 8.)}
}

// A counter counts the bytes that are written to it.
type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

var _ io.Writer = (*counter)(nil)

// repeats counts the blocks of 16 bytes that came before. Of n there is one such with a
// probability of at most n²/2¹²⁹: 2⁻⁸⁰ for n = 2²⁴.
func repeats(x []uint64) Result {
	n := len(x) / 2
	// A table with open addressing: the number of a block, from 1, where a hash says, or at
	// the next free place.
	log := bits.Len(uint(2 * n))
	table := make([]uint32, 1<<log)
	again := 0
	for i := range n {
		lo, hi := x[2*i], x[2*i+1]
		a, b := bits.Mul64(lo^0x9e3779b97f4a7c15, hi^0xd1b54a32d192ed03)
		for at := (a ^ b) >> (64 - log); ; at = (at + 1) & (1<<log - 1) {
			if table[at] == 0 {
				table[at] = uint32(i + 1)
				break
			}
			if before := 2 * (table[at] - 1); x[before] == lo && x[before+1] == hi {
				again++
				break
			}
		}
	}
	return Result{"blocks of 16 bytes that came before", float64(again), 0, 0}
}
