package health

import "math"

const (
	// LagAlpha and LagPermanentAlpha are -log2 of the probabilities of false alarms
	// for each count of the lag predictor in a window. They are those of
	// jitterentropy, above Alpha because the window is so much longer.
	LagAlpha          = 22
	LagPermanentAlpha = 44

	// lagWindow is the number of symbols after which the predictor starts anew, and
	// lagHistory how far back it looks: those of jitterentropy.
	lagWindow  = 1 << 17
	lagHistory = 8
)

// A Lag is the lag predictor of jitterentropy: a test for a noise source that has
// begun to repeat itself, which the RCT and the APT do not notice if the symbols of
// the pattern differ (SP 800-90B, Section 4.3, requirement 8: a test for a known way
// to fail).
//
// It guesses that each symbol is the one that came a certain number of symbols
// before: 1 to 8, whichever has been right most often in the window. It counts the
// right guesses in a window, and those in a row.
type Lag struct {
	counts, runs Cutoffs
	window       int
	history      [lagHistory]uint64 // the symbols before, by their number modulo lagHistory
	hits         [lagHistory]int    // how often the symbol i+1 before was the same
	best         int                // the i with the most hits, the least of several
	n            uint               // symbols seen of the window
	count        int                // right guesses in the window
	run          int                // right guesses since the last wrong one
}

// NewLag returns the test with its cut-offs for right guesses in a window and in a
// row, usually of [LagCutoffs].
func NewLag(counts, runs Cutoffs) Lag { return Lag{counts: counts, runs: runs, window: lagWindow} }

// Next tests one symbol.
func (t *Lag) Next(x uint64) Result {
	if t.n == uint(t.window) {
		*t = Lag{counts: t.counts, runs: t.runs, window: t.window}
	}
	r := Pass
	if t.n >= lagHistory {
		if t.before(t.best) == x {
			t.count++
			t.run++
			r = max(t.counts.verdict(t.count), t.runs.verdict(t.run))
		} else {
			t.run = 0
		}
		for i := range t.hits {
			if t.before(i) != x {
				continue
			}
			if t.hits[i]++; t.hits[i] > t.hits[t.best] {
				t.best = i
			}
		}
	}
	t.history[t.n%lagHistory] = x
	t.n++
	return r
}

// before returns the symbol i+1 before the next.
func (t *Lag) before(i int) uint64 { return t.history[(t.n-1-uint(i))%lagHistory] }

// failure returns the alarm that made Next return r, or nil if it was raised before.
func (t *Lag) failure(r Result) *Failure {
	for _, c := range []struct {
		test  string
		count int
		Cutoffs
	}{{"lag", t.count, t.counts}, {"lag run", t.run, t.runs}} {
		switch {
		case c.verdict(c.count) != r:
		case r == Permanent:
			return &Failure{c.test, c.count, c.Permanent, true}
		case r == Intermittent && c.count == c.Intermittent:
			return &Failure{c.test, c.count, c.Intermittent, false}
		}
	}
	return nil
}

// LagCutoffs returns the cut-offs of the lag predictor: for the number of right
// guesses in a window of n = 2¹⁷-8,
//
//	C = 1 + critbinom(n, 2⁻ʰ, 1-2^-alpha),
//
// and for those in a row the least C with which a run of that length has a
// probability of at most 2^-alpha in n guesses. Either is at most n, so that the
// test can fail. The arguments are those of [RCTCutoff].
func LagCutoffs(alpha, h float64) (count, run int, err error) {
	if err := checkCutoff(alpha, h); err != nil {
		return 0, 0, err
	}
	const n = lagWindow - lagHistory
	count = min(n, 1+critBinom(n, h, alpha))
	// There are less than n·q places where a run can begin, after a wrong guess, so
	// that n·q·pʳ is a bit more than the probability, and the search begins below
	// the answer.
	q := -math.Expm1(-h * math.Ln2)
	run = int(min(n, max(1, (alpha+math.Log2(n*q))/h-8)))
	for run < n && runProbability(run, n, h) > math.Exp2(-alpha) {
		run++
	}
	return count, run, nil
}

// runProbability returns the probability of r or more right guesses in a row in n
// guesses, each right with probability p = 2⁻ʰ, from the approximation of Feller (An
// Introduction to Probability Theory and Its Applications, Volume 1, Section XIII.7,
// equation 7.11) that SP 800-90B, Section 6.3.8, uses:
//
//	1 - (1-px) / ((r+1-rx)·q) · x⁻⁽ⁿ⁺¹⁾
//
// with q = 1-p and x the root of 1 - x + q·pʳ·xʳ⁺¹ = 0 next to 1. It is meant for
// small probabilities, where it is good to many digits.
func runProbability(r, n int, h float64) float64 {
	// Where the probability is small, x is so close to 1 that a float64 cannot tell
	// them apart. So the variable is d = x-1.
	q := -math.Expm1(-h * math.Ln2)
	c := q * math.Exp2(-h*float64(r))
	d, last := c, 0.0
	for i := 0; i < 50 && d != last; i++ {
		d, last = c*math.Exp(float64(r+1)*math.Log1p(d)), d
	}
	if !(float64(r)*d < 0.5) {
		return 1 // it is anything but small
	}
	log := math.Log1p(-(1-q)*d/q) - math.Log1p(-float64(r)*d) - float64(n+1)*math.Log1p(d)
	return -math.Expm1(log)
}
