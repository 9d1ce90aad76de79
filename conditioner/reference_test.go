package conditioner_test

import (
	"math"
	"math/big"
	"sync"
	"testing"
)

// This file evaluates Output_Entropy as SP 800-90B, Section 3.1.5.1.2, writes it
// down, with numbers so long that nothing cancels or overflows. It shares
// neither the derivation nor a function with the code under test: powers of two
// are products of square roots, logarithms are taken bit by bit.

const (
	// refPrec is the precision of the formula, in bits. The smallest positive hin
	// is 2⁻¹⁰⁷⁴, so that 1 - 2^-hin still has more than 3000 bits.
	refPrec = 4200

	// refLogBits is the number of bits after the point of a logarithm.
	refLogBits = 96
)

func refFloat(x float64) *big.Float { return refNew().SetFloat64(x) }
func refNew() *big.Float            { return new(big.Float).SetPrec(refPrec) }

// refPow2 returns 2^e.
func refPow2(e int) *big.Float { return refNew().SetMantExp(refFloat(1), e) }

// refLn2 returns ln 2 = Σ 1/(k·2^k), k ≥ 1, in fixed point.
var refLn2 = sync.OnceValue(func() *big.Float {
	const shift = refPrec + 32 // the sum has less than 2^13 terms, each 1 too small
	sum, term := new(big.Int), new(big.Int).Lsh(big.NewInt(1), shift)
	for k := int64(1); term.Sign() > 0; k++ {
		term.Rsh(term, 1)
		sum.Add(sum, new(big.Int).Quo(term, big.NewInt(k)))
	}
	return refNew().Mul(refNew().SetInt(sum), refPow2(-shift))
})

// refRoots returns 2^-(2^-i) for i from 0 to 1074, each the root of the one before.
var refRoots = sync.OnceValue(func() []*big.Float {
	r := []*big.Float{refFloat(0.5)}
	for i := 1; i <= 1074; i++ {
		r = append(r, refNew().Sqrt(r[i-1]))
	}
	return r
})

// refExp2Neg returns 2^-x for x ≥ 0: every bit of x after the point is a root.
func refExp2Neg(x float64) *big.Float {
	i, f := math.Modf(x)
	p := refPow2(-int(i))
	for k := 1; f > 0; k++ {
		f *= 2 // exact
		if f >= 1 {
			f--
			p.Mul(p, refRoots()[k])
		}
	}
	return p
}

// refLog2 returns log2 x, rounded down to refLogBits bits after the point.
func refLog2(x *big.Float) *big.Float {
	m := new(big.Float)
	e := x.MantExp(m) // x = m·2^e, ½ ≤ m < 1
	// Every squaring doubles the error; 512 - 96 bits remain.
	m.SetPrec(512)
	m.SetMantExp(m, 1)
	log := big.NewInt(int64(e - 1))
	two := big.NewFloat(2)
	for range refLogBits {
		// 1 ≤ m < 2, and the rest of the logarithm is log2 m.
		m.Mul(m, m)
		log.Lsh(log, 1)
		if m.Cmp(two) >= 0 {
			log.SetBit(log, 0, 1)
			m.SetMantExp(m, -1)
		}
	}
	return refNew().Mul(refNew().SetInt(log), refPow2(-refLogBits))
}

// refOutputEntropy evaluates the formula for 0 ≤ hin ≤ nin and positive lengths.
func refOutputEntropy(hin float64, nin, nout, nw int) *big.Float {
	// Step 1.
	phigh := refExp2Neg(hin)
	plow := refNew().Sub(refFloat(1), phigh)
	plow.Quo(plow, refNew().Sub(refPow2(nin), refFloat(1)))
	// Step 2.
	n := min(nout, nw)
	// Step 3.
	power := refPow2(nin - n)
	psi := refNew().Mul(power, plow)
	psi.Add(psi, phigh)
	// Step 4.
	u := refNew().Mul(refFloat(2*float64(n)), power)
	u.Mul(u, refLn2())
	u.Sqrt(u)
	u.Add(u, power)
	// Step 5.
	omega := u.Mul(u, plow)
	// Step 6.
	if omega.Cmp(psi) > 0 {
		psi = omega
	}
	hout := refLog2(psi)
	return hout.Neg(hout)
}

// The reference has to be right itself.
func TestReference(t *testing.T) {
	near := func(what string, got, want *big.Float, exp int) {
		t.Helper()
		d := refNew().Sub(got, want)
		if d.Abs(d).Cmp(refPow2(exp)) > 0 {
			t.Errorf("%s is off by %s", what, d.Text('g', 5))
		}
	}
	// The digits are those of OEIS A002162, as in package math.
	ln2, _, err := big.ParseFloat("0.693147180559945309417232121458176568075500134360255254120680009", 10, refPrec, big.ToNearestEven)
	if err != nil {
		t.Fatal(err)
	}
	near("ln 2", refLn2(), ln2, -206)

	for _, x := range []float64{0, 1, 0.5, 3.25, 0.1, 1e-9, 1000.7, 0x1p-1074, 1 - 0x1p-53} {
		// 2^-x, eight times multiplied, is 2^-8x.
		p := refExp2Neg(x)
		q := refFloat(1)
		for range 8 {
			q.Mul(q, p)
		}
		near("2^-8x", q, refExp2Neg(8*x), 16-refPrec)
		// The logarithm undoes it.
		near("-log2 2^-x", refNew().Neg(refLog2(p)), refFloat(x), -refLogBits)
	}
	// log2 10, OEIS A020862.
	log10, _, err := big.ParseFloat("3.32192809488736234787031942948939017586483139302458", 10, refPrec, big.ToNearestEven)
	if err != nil {
		t.Fatal(err)
	}
	near("log2 10", refLog2(refFloat(10)), log10, -refLogBits)
}
