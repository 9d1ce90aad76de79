package conditioner

import "math"

// OutputEntropy returns hout, the min-entropy in the output of a vetted
// conditioning component, in bits: the function Output_Entropy of SP 800-90B,
// Section 3.1.5.1.2.
//
// The input is nin bits long and holds hin bits of min-entropy, the output is
// nout bits long, and nw is the narrowest internal width of the component. For
// a [Conditioner] nw is its Width, and nout what is kept of its output. The formula
// takes nw as it is. Where the input is shorter, NIST's tool ea_conditioning takes
// nin for nw, on the strength of Appendix E; who wants the same, which is lower by
// up to 5 bits, passes min(nw, nin).
//
// The result is at least 0, at most hin, and at most the lesser of nout and nw.
// An input cannot hold more entropy than it has bits: a larger hin counts as nin.
// The result is 0 if hin is NaN or not positive, or if a length is not positive.
// It differs from the formula of the standard by less than 1e-12 bits for nin up
// to 2²⁰ and nout and nw up to 512, with one exception: for nin = min(nout, nw) = 1
// the formula can be negative, and the result is 0.
//
// The formula does not always grow with hin. Where the term for collisions
// (omega) decides, that is for nearly uniform input, it yields a little less the
// more uniform the input is. The fall is at most 0.23 bits (nin = 3), and below
// 2⁻²⁰ bits where nin + min(nout, nw) is 50 or more.
//
// # Full entropy
//
// A result close to nout is not yet a claim of full entropy. That takes
// hin ≥ nout + 64, and an nout not above the security strength of the component
// (FIPS 140-3 Implementation Guidance, D.K, Resolution 19).
func OutputEntropy(hin float64, nin, nout, nw int) float64 {
	// Output_Entropy(nin, nout, nw, hin), SP 800-90B, Section 3.1.5.1.2:
	//
	//	1. Phigh = 2^-hin, Plow = (1 - Phigh) / (2^nin - 1)
	//	2. n = min(nout, nw)
	//	3. psi = 2^(nin-n)·Plow + Phigh
	//	4. U = 2^(nin-n) + √(2·n·2^(nin-n)·ln 2)
	//	5. omega = U·Plow
	//	6. hout = -log2 max(psi, omega)
	//
	// Neither 2^nin nor 2^-hin fits a float64 at the lengths in use, and 1 - Phigh
	// loses a small hin. So all of it is done with logarithms. Psi and omega have a
	// summand in common, A = 2^(nin-n)·Plow. With B = √(2·n·2^(nin-n)·ln 2)·Plow
	//
	//	max(psi, omega) = A + max(Phigh, B)
	//
	// Let c = log2((1 - 2^-hin) / (1 - 2^-nin)). Since Plow = 2^(c-nin),
	//
	//	log2 A     = c - n
	//	log2 B     = c + (log2(2·n·ln 2) - nin - n)/2
	//	log2 Phigh = -hin
	//
	// where nothing overflows and no large terms cancel. The logarithm of the
	// sum, with x the greater and y the lesser logarithm of its two terms, is
	// x + log2(1 + 2^(y-x)); the exponent is never positive.
	//
	// The bounds. As hin ≤ nin, c ≤ 0 and 1 - 2^-hin ≤ 2^c. Hence psi is at
	// least 2^-n·(1 - 2^-hin) + 2^-hin, which is neither less than 2^-n nor less
	// than 2^-hin: hout ≤ min(n, hin). And psi ≤ 1, a weighted mean of 1 and
	// 2^-n/(1 - 2^-nin). Omega is at most 2^-n + √(2·n·ln 2)·2^-((nin+n)/2),
	// which is 1.09 for nin = n = 1, 0.92 for nin = 2 and n = 1, 0.84 for nin = 1
	// and n = 2, and less for all others: hout ≥ 0 but in the first case. The last
	// line deals with that case, and makes the bounds independent of rounding.
	if !(hin > 0) || nin <= 0 || nout <= 0 || nw <= 0 {
		return 0
	}
	n, in := float64(min(nout, nw)), float64(nin)
	h := min(hin, in)
	c := log2OneMinusExp2(h) - log2OneMinusExp2(in)
	a := c - n
	b := c + (math.Log2(2*math.Ln2*n)-in-n)/2
	p := max(-h, b)
	x, y := max(a, p), min(a, p)
	hout := -(x + math.Log1p(math.Exp2(y-x))/math.Ln2)
	return max(0, min(hout, h, n))
}

// log2OneMinusExp2 returns log2(1 - 2^-x) for x > 0. Expm1 keeps all digits of
// the difference where x is small, and yields -1 where x is large.
func log2OneMinusExp2(x float64) float64 {
	return math.Log2(-math.Expm1(-x * math.Ln2))
}
