package health

import (
	"fmt"
	"math"
)

// Limits of the arguments below, far beyond any use. They keep the arithmetic
// within what float64 does well.
const (
	maxAlpha  = 1024
	maxH      = 64
	maxWindow = 1 << 16
	maxRCT    = 1 << 30
)

// RCTCutoff returns the cut-off of the repetition count test,
//
//	C = 1 + ⌈alpha/h⌉
//
// of SP 800-90B, Section 4.4.1. Alpha is -log2 of the probability of a false
// alarm, h the min-entropy of a sample in bits. The alarm is raised when a value
// occurs C times in a row.
func RCTCutoff(alpha, h float64) (int, error) {
	if err := checkCutoff(alpha, h); err != nil {
		return 0, err
	}
	q := alpha / h
	// An h like 1/3 is rounded, so a quotient that should be an integer can be
	// the next number above it.
	if r := math.Round(q); math.Abs(q-r) < 1e-12*q {
		q = r
	}
	if q > maxRCT {
		return 0, fmt.Errorf("health: no cut-off for alpha 2^-%v and %v bits a sample: above %d", alpha, h, maxRCT)
	}
	return 1 + int(math.Ceil(q)), nil
}

// APTCutoff returns the cut-off of the adaptive proportion test that is used
// here,
//
//	C = min(w, 2 + critbinom(w-1, 2⁻ʰ, 1-2^-alpha))
//
// Alpha is -log2 of the probability of a false alarm, h the min-entropy of a
// sample in bits, w the window in samples. The alarm is raised when the first
// value of a window occurs C times in it.
//
// It is the formula of jitterentropy, after a public comment on SP 800-90B: the
// first of the w symbols is certain to occur, so there are w-1 trials. It differs
// from [APTCutoffStandard] by at most 1. The cap lets the test fail where the
// formula asks for more symbols than there are in a window (FIPS 140-3
// Implementation Guidance, D.K, Resolution 16).
func APTCutoff(alpha, h float64, w int) (int, error) {
	c, err := aptCutoff(alpha, h, w)
	if err != nil {
		return 0, err
	}
	return min(c, w), nil
}

// aptCutoff is APTCutoff without the cap.
func aptCutoff(alpha, h float64, w int) (int, error) {
	if err := checkWindow(alpha, h, w); err != nil {
		return 0, err
	}
	return 2 + critBinom(w-1, h, alpha), nil
}

// APTCutoffStandard returns the cut-off of the adaptive proportion test in the
// words of SP 800-90B, Section 4.4.2,
//
//	C = 1 + critbinom(w, 2⁻ʰ, 1-2^-alpha)
//
// without a cap: it can be w+1, which a window never reaches.
func APTCutoffStandard(alpha, h float64, w int) (int, error) {
	if err := checkWindow(alpha, h, w); err != nil {
		return 0, err
	}
	return 1 + critBinom(w, h, alpha), nil
}

// checkCutoff returns what is wrong with the arguments that all cut-offs have.
func checkCutoff(alpha, h float64) error {
	if !(alpha >= 1 && alpha <= maxAlpha) {
		return fmt.Errorf("health: alpha is 2^-%v: the exponent is not in 1 to %d", alpha, maxAlpha)
	}
	if !(h > 0 && h <= maxH) {
		return fmt.Errorf("health: h is %v: the entropy of a sample is not above 0 and at most %d bits", h, maxH)
	}
	return nil
}

// checkWindow returns what is wrong with the arguments of the APT.
func checkWindow(alpha, h float64, w int) error {
	if w < 2 || w > maxWindow {
		return fmt.Errorf("health: w is %d: the window is not 2 to %d samples", w, maxWindow)
	}
	return checkCutoff(alpha, h)
}

// critBinom returns the smallest k with P(X > k) ≤ 2^-alpha, where X is the
// number of successes in n trials of probability 2⁻ʰ: critbinom(n, 2⁻ʰ,
// 1-2^-alpha). It never sees 1-2^-alpha, which a float64 cannot hold.
func critBinom(n int, h, alpha float64) int {
	// P(X > k) is summed from k = n downwards: all terms are positive and the
	// small ones come first, so the sum is good to about 1e-12. Everything is in
	// units of 2^-alpha, and the term P(X = i) is m·2^e, because it can be far
	// below the smallest float64.
	//
	//	P(X = n) = 2⁻ⁿʰ,  P(X = i-1) = P(X = i) · i/(n-i+1) · (2ʰ-1)
	first, log := n, alpha-float64(n)*h
	if n > maxWindow {
		first, log = critBinomStart(n, h, alpha)
	}
	whole, frac := math.Modf(log)
	m, e := math.Exp2(frac), int(whole)
	odds := math.Expm1(h * math.Ln2)
	sum := 0.0
	for i := first; i > 0; i-- {
		sum += math.Ldexp(m, e) // P(X > i-1)
		// Where the two sides are equal, as for n·h = alpha, rounding does not
		// decide.
		if sum > 1+1e-9 {
			return i
		}
		var d int
		m, d = math.Frexp(m * odds * float64(i) / float64(n-i+1))
		e += d
	}
	return 0
}

// critBinomStart returns where critBinom may begin if n is large, and log2 of 2^alpha
// times the probability of that i. What is left out is less than 2⁻⁶⁴ of what is
// looked for: P(X ≥ np+t) ≤ exp(-2t²/n) (Hoeffding, 1963).
func critBinomStart(n int, h, alpha float64) (i int, log float64) {
	size := float64(n)
	i = int(size*math.Exp2(-h)+math.Sqrt(size*(alpha+64)*math.Ln2/2)) + 1
	if i >= n {
		return n, alpha - size*h
	}
	all, _ := math.Lgamma(size + 1)
	yes, _ := math.Lgamma(float64(i) + 1)
	no, _ := math.Lgamma(float64(n-i) + 1)
	// P(X = i) = n!/(i!·(n-i)!) · 2⁻ⁱʰ · (1-2⁻ʰ)ⁿ⁻ⁱ. The logarithms are below 2²¹,
	// their error below 2⁻³⁰.
	q := -math.Expm1(-h * math.Ln2)
	return i, alpha + (all-yes-no)/math.Ln2 - float64(i)*h + float64(n-i)*math.Log2(q)
}
