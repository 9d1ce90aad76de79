package es

import (
	"math"
	"slices"
	"sync/atomic"

	"github.com/lrng-go/lrng/internal/health"
)

// A NoiseEstimator is a source that estimates the min-entropy of its raw noise while it
// runs. NoiseEstimate returns at once.
type NoiseEstimator interface {
	NoiseEstimate() NoiseEstimate
}

// A NoiseEstimate is what the raw noise of a source looked like of late, in windows of
// 16384 samples that follow each other. Those are the samples that the health tests see.
//
// # Estimate
//
// It is the most common value estimate of SP 800-90B, Section 6.3.1, for the last window
// that is complete: -log2 of an upper bound for the probability of the most common sample.
// Other things than a sample that is too frequent it does not see. So it is an upper bound
// for what may be claimed, as all estimates are; those of package assess see more.
//
// # Warning
//
// The health tests of SP 800-90B, Section 4.4, are made to notice soon that noise has
// broken down. They pass noise of which a good deal less is left than is claimed. The
// warning is for that: the most common sample came more often in a window than the claim
// explains. Noise that is as good as claimed gives a warning with a probability of at most
// 2⁻³⁰ a window. The estimate is below the claim then; it can be so without a warning,
// since the bound in it is on the safe side: so it is, as a rule, with noise that is just
// as good as its claim. One sample in a window is enough for a warning from
//
//	claim                1/14    1/8     1/3     1       2       4       8
//	estimate at most     0.049   0.095   0.281   0.897   1.82    3.62    6.68
//
// A warning costs no credit: that is up to the health tests. It tells that the claim
// should be looked into, with a new assessment.
type NoiseEstimate struct {
	MinEntropy float64 `json:"min_entropy"` // of the last window, bits a sample; 0 if there was none
	Claim      float64 `json:"claim"`       // bits a sample, at its end
	Windows    uint64  `json:"windows"`     // complete, in all
	Low        uint64  `json:"low"`         // of these, with a warning
	Warning    bool    `json:"warning"`     // the last one was
}

const (
	// meterWindow is the number of samples in a window. It makes the estimate good to 1 or
	// 2 % for claims of up to a bit a sample, and is what a jitter source takes for twelve
	// seeds of 384 bits.
	meterWindow = 1 << 14

	// meterAlpha is -log2 of the probability of a false warning in a window: that of the
	// other alarms.
	meterAlpha = health.Alpha

	// meterZ is the 0.995 quantile of the normal distribution (SP 800-90B, Section
	// 6.3.1, which has 2.576, and NIST's tool with all digits).
	meterZ = 2.5758293035489008
)

// A meter counts the samples of a noise source for a [NoiseEstimate]. The zero value is for
// samples of up to 8 bits. One goroutine at a time may count; any may read.
//
// Of samples of up to 8 bits all are counted. Wider ones are too many for that, and no
// copies of them are to be kept. They are distributed to 256 places by a hash, of which 32
// bits tell them apart. In each place goes on a vote (Boyer and Moore, "MJRTY", 1991): one
// sample is counted there, which others take away from, and replace when nothing is left.
// So no count is too high, and that of a sample with a probability p is too low by the
// share of the others in its place, some 1/256 of all: claims beyond 7 bits are hardly
// ever found to be too high.
//
// The order of samples is not kept. How often each came is left in memory until the window
// is full. Who reads it there does not know a block that was made of n samples: there remain
// n!/(n₁!·n₂!·…) orders. For claims of up to 4 bits a sample these are as good as the claim,
// but for the margin of 64 bits in each block. Of the 40 samples of 8 bits that make up 256
// there are 2¹⁵⁹, where all differ.
type meter struct {
	bits   int          // of a sample, if above 8
	counts [256]uint16  // a window fits
	tags   *[256]uint32 // whose they are; nil for narrow samples
	n      int          // samples in this window

	// What is read is written in this order, and read in the opposite one. So who sees
	// that there is another window with a warning sees its estimate, or a later one.
	estimate, claim atomic.Uint64 // bits of a float64
	warning         atomic.Bool
	low, windows    atomic.Uint64
}

// init prepares the meter for samples of size bytes.
func (m *meter) init(size int) {
	if size > 1 {
		m.bits, m.tags = 8*size, new([256]uint32)
	}
}

// next counts a sample. It reports whether that completes the window: judge is to be
// called then.
func (m *meter) next(x uint64) (complete bool) {
	if m.tags == nil {
		m.counts[byte(x)]++
	} else {
		m.vote(x)
	}
	m.n++
	return m.n == meterWindow
}

// vote counts a wide sample.
func (m *meter) vote(x uint64) {
	// The finalizer of MurmurHash3: each bit of x changes all bits with a probability of
	// about a half.
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	x ^= x >> 33
	place, tag := byte(x>>32), uint32(x)
	switch count := &m.counts[place]; {
	case *count == 0:
		m.tags[place], *count = tag, 1
	case m.tags[place] == tag:
		*count++
	default:
		*count--
	}
}

// judge ends the window, for a claim of h bits a sample.
func (m *meter) judge(h float64) {
	mode := int(slices.Max(m.counts[:]))
	low := mode >= meterCutoff(h, max(8, m.bits))
	m.clear()

	m.estimate.Store(math.Float64bits(mostCommonValue(mode, meterWindow)))
	m.claim.Store(math.Float64bits(h))
	m.warning.Store(low)
	if low {
		m.low.Add(1)
	}
	m.windows.Add(1)
}

// clear begins the window anew.
func (m *meter) clear() {
	m.n = 0
	clear(m.counts[:])
	if m.tags != nil {
		clear(m.tags[:])
	}
}

// read returns the estimate.
func (m *meter) read() (e NoiseEstimate) {
	e.Windows = m.windows.Load()
	e.Low = m.low.Load()
	e.Warning = m.warning.Load()
	e.Claim = math.Float64frombits(m.claim.Load())
	e.MinEntropy = math.Float64frombits(m.estimate.Load())
	return e
}

// mostCommonValue is the Most Common Value Estimate, SP 800-90B, Section 6.3.1, if the most
// common of n samples came mode times.
func mostCommonValue(mode, n int) float64 {
	p := float64(mode) / float64(n)                               // Step 1.
	p = min(1, p+meterZ*math.Sqrt(float64(p*(1-p))/float64(n-1))) // Step 2.
	return max(0, -math.Log2(p))                                  // Step 3, and never -0.
}

// meterCutoff returns how often a sample comes in a window that is a reason for a warning,
// if h bits are claimed for each and it is of the given width. The result can be more than
// a window has.
//
// With h bits of min-entropy, given all samples before, each of the values comes next with
// a probability of at most 2⁻ʰ. So how often it comes is in no case more probable to reach
// a count than a sum X of independent samples with just that probability. With
// P(X ≥ C) ≤ 2^-(alpha+bits) there is one among the 2^bits values that reaches C with a
// probability of at most 2^-alpha.
func meterCutoff(h float64, bits int) int {
	// The definition of C is that of the APT in the words of the standard.
	c, err := health.APTCutoffStandard(float64(meterAlpha+bits), h, meterWindow)
	if err != nil { // no claim
		return meterWindow + 1
	}
	return c
}

// NoiseEstimate returns the estimate for the samples of the source that is watched, and the
// claim H.
func (m *Monitored) NoiseEstimate() NoiseEstimate {
	if m.watch == nil {
		return NoiseEstimate{}
	}
	return m.watch.meter.read()
}

// NoiseEstimate returns the estimate for what is read, byte by byte, and the claim of the
// rate: where none is declared, 1 for 256 bits.
func (f *feed) NoiseEstimate() NoiseEstimate {
	if f.watch == nil {
		return NoiseEstimate{}
	}
	return f.watch.meter.read()
}

// NoiseEstimate returns the estimate for the samples that GetNoise has, and a claim of
// 1/OSR.
func (j *Jitter) NoiseEstimate() NoiseEstimate { return j.meter.read() }

// NoiseEstimate returns the estimate for the samples that GetNoise has, and a claim of
// 1/OSR.
func (e *Events) NoiseEstimate() NoiseEstimate { return e.pool.meter.read() }

// NoiseEstimate returns the estimate for the samples that GetNoise has, and a claim of
// 1/OSR.
func (s *Scheduler) NoiseEstimate() NoiseEstimate { return s.pool.meter.read() }

// weigh counts a sample for the estimate. The clock has been probed.
func (j *Jitter) weigh(delta uint64) {
	if j.meter.next(delta / j.noise.Clock().Step) {
		j.meter.judge(1 / float64(j.noise.OSR()))
	}
}

// weigh counts a sample for the estimate.
func (p *eventPool) weigh(difference byte) {
	if p.meter.next(uint64(difference)) {
		p.meter.judge(1 / float64(p.osr))
	}
}
