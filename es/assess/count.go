package assess

import "math"

// z is the 0.995 quantile of the normal distribution: bounds hold with a confidence
// of 99 % (SP 800-90B, Section 6.3.1). The text has 2.576, the tool all digits.
const z = 2.5758293035489008

// upper returns the upper bound for a probability, of which p was observed in n trials.
func upper(p float64, n int) float64 {
	return min(1, p+z*math.Sqrt(p*(1-p)/float64(n-1)))
}

// Most Common Value Estimate, SP 800-90B, Section 6.3.1.
func mostCommonValue(_ *work, in input, e []Estimate) error {
	var count [256]int
	for _, s := range in.s {
		count[s]++
	}
	mode := 0
	for _, c := range count {
		mode = max(mode, c)
	}
	p := upper(float64(mode)/float64(len(in.s)), len(in.s)) // Steps 1 and 2.
	e[0].answer(p, -math.Log2(p))
	return nil
}

// Collision Estimate, SP 800-90B, Section 6.3.2.
func collision(_ *work, in input, e []Estimate) error {
	s := in.s
	// Steps 1 to 4. The time to a collision is 2 if two bits are equal, and 3 if not.
	var v, sum, squares float64
	for i := 0; i+1 < len(s); v++ {
		t := 2
		if s[i] != s[i+1] {
			if i+2 >= len(s) {
				break
			}
			t = 3
		}
		i += t
		sum += float64(t)
		squares += float64(t * t)
	}
	if v < 2 {
		e[0].skip("fewer than two collisions")
		return nil
	}
	// Steps 5 and 6.
	mean := sum / v
	sigma := math.Sqrt(max(0, squares-sum*mean) / (v - 1))
	bound := max(2, mean-z*sigma/math.Sqrt(v))
	// Steps 7 to 9. For two symbols the right-hand side of Step 7 is the mean time to
	// a collision, 2 + 2p(1-p): it has a solution if the bound is at most 2.5, which
	// is its value for p = 1/2.
	p, h := 0.5, 1.0
	if bound < 2.5 {
		p = 0.5 + math.Sqrt(1.25-0.5*bound)
		h = -math.Log2(p)
	}
	e[0].answer(p, h)
	return nil
}

// Markov Estimate, SP 800-90B, Section 6.3.3.
func markov(_ *work, in input, e []Estimate) error {
	const length = 128 // of the sequences of Step 3
	// Steps 1 and 2. The last bit has no successor, but counts for the probability
	// of a bit.
	var first [2]float64
	var next [2][2]float64
	for i, b := range in.s {
		first[b]++
		if i+1 < len(in.s) {
			next[b][in.s[i+1]]++
		}
	}
	bitsOf := func(count, all float64) float64 { return -math.Log2(count / all) } // +Inf for none
	var h [2]float64
	var t [2][2]float64
	for a := range 2 {
		h[a] = bitsOf(first[a], float64(len(in.s)))
		for b := range 2 {
			t[a][b] = math.Inf(1)
			if next[a][b] > 0 {
				t[a][b] = bitsOf(next[a][b], next[a][0]+next[a][1])
			}
		}
	}
	// Step 3. The six sequences that can be the most likely one, starting with a: the
	// same bit on and on, alternating bits, and the other bit on and on.
	least := math.Inf(1)
	for a := range 2 {
		b := 1 - a
		least = min(least,
			h[a]+(length-1)*t[a][a],
			h[a]+length/2*t[a][b]+(length/2-1)*t[b][a],
			h[a]+t[a][b]+(length-2)*t[b][b])
	}
	least = min(1, least/length) // Step 4.
	e[0].answer(math.Exp2(-least), least)
	return nil
}

// Parameters of the compression estimate: bits in a block, blocks to start with, and
// the correction c for the standard deviation (SP 800-90B, Section 6.3.4; Coron and
// Naccache, 1999).
const (
	compressionBits = 6
	compressionInit = 1000
	compressionC    = 0.5907
)

// Compression Estimate, SP 800-90B, Section 6.3.4.
func compression(w *work, in input, e []Estimate) error {
	// Steps 1 to 4. The distance to the same block before, or to before the start.
	n := len(in.s) / compressionBits
	v := n - compressionInit
	log2 := make([]float64, n+1)
	for i := 1; i <= n; i++ {
		log2[i] = math.Log2(float64(i))
	}
	var last [1 << compressionBits]int
	var sum, squares kahan
	for i := range n {
		block := 0
		for _, b := range in.s[i*compressionBits:][:compressionBits] {
			block = block<<1 | int(b)
		}
		if i >= compressionInit {
			d := log2[i+1-last[block]]
			sum.add(d)
			squares.add(float64(d * d))
		}
		last[block] = i + 1
	}
	// Steps 5 and 6.
	mean := sum.value() / float64(v)
	sigma := compressionC * math.Sqrt(max(0, squares.value()/float64(v-1)-mean*mean))
	bound := mean - z*sigma/math.Sqrt(float64(v))
	// Step 7. The right-hand side falls with p.
	const k = 1 << compressionBits
	expected := func(p float64) float64 {
		q := (1 - p) / (k - 1)
		return expectedDistance(p, v, log2) + (k-1)*expectedDistance(q, v, log2)
	}
	// Steps 8 and 9.
	p, h := 1.0/k, 1.0
	if expected(p) > bound {
		var err error
		p, err = solve(w, p, func(p float64) bool { return expected(p) > bound })
		if err != nil {
			return err
		}
		h = -math.Log2(p) / compressionBits
	}
	e[0].answer(p, h)
	return nil
}

// expectedDistance is the function G of Section 6.3.4, Step 7, divided through by p:
// the mean logarithm of the distance, times p, of a block of probability p. log2 has
// the logarithms up to the number of blocks.
//
// The text sums over t from compressionInit+1 to n, and for each t over u from 1 to t:
//
//	log2(u) p² (1-p)^(u-1) for u < t, log2(u) p (1-p)^(u-1) for u = t
//
// A term for u < t occurs n-u times, or v times for u up to compressionInit.
func expectedDistance(p float64, v int, log2 []float64) float64 {
	var inner, ends kahan
	n := len(log2) - 1
	weight := 1 - p // (1-p)^(u-1). Below 2⁻¹⁰⁰ the rest of the sum is below 2⁻⁹⁰.
	for u := 2; u <= n && weight > 0x1p-100; u++ {
		term := log2[u] * weight
		inner.add(float64(min(v, n-u)) * term)
		if u > compressionInit {
			ends.add(term)
		}
		weight *= 1 - p
	}
	return p * (p*inner.value() + ends.value()) / float64(v)
}

// solve returns the p between low and 1 at which above changes from true to false. It
// is taken to be true for low, and to change but once.
func solve(w *work, low float64, above func(p float64) bool) (p float64, err error) {
	high := 1.0
	for {
		p := low + (high-low)/2
		if p <= low || p >= high {
			return high, nil
		}
		if err := w.tick(0); err != nil {
			return 0, err
		}
		if above(p) {
			low = p
		} else {
			high = p
		}
	}
}

// A kahan is a sum with compensation for rounding errors.
type kahan struct{ sum, comp float64 }

func (k *kahan) add(x float64) {
	y := x - k.comp
	t := k.sum + y
	k.comp = t - k.sum - y
	k.sum = t
}

func (k *kahan) value() float64 { return k.sum }
