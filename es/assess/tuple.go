package assess

import "math"

// tupleCutoff is how often the most common t-tuple occurs at least, for the largest t
// that counts (SP 800-90B, Section 6.3.5).
const tupleCutoff = 35

// t-Tuple Estimate and Longest Repeated Substring (LRS) Estimate, SP 800-90B, Sections
// 6.3.5 and 6.3.6.
func tuples(w *work, in input, e []Estimate) error {
	n := len(in.s)
	c, err := countTuples(w, in)
	if err != nil {
		return err
	}
	v := len(c.most) - 1
	u := 1
	for u <= v && c.most[u] >= tupleCutoff {
		u++
	}
	// The greatest of the probabilities, each to the power of 1/length. It is looked
	// for among the logarithms.
	greatest := math.Inf(-1)
	for t := 1; t < u; t++ {
		greatest = max(greatest, math.Log(float64(c.most[t])/float64(n-t+1))/float64(t))
	}
	if u > 1 {
		p := upper(math.Exp(greatest), n)
		e[0].answer(p, -math.Log2(p))
	} else {
		e[0].skip("no symbol occurs %d times", tupleCutoff)
	}
	if v < u {
		e[1].skip("nothing longer than the %d-tuples is repeated", u-1)
		return nil
	}
	greatest = math.Inf(-1)
	for t := u; t <= v; t++ {
		p := float64(c.pairs[t]) / (float64(n-t+1) * float64(n-t) / 2)
		greatest = max(greatest, math.Log(p)/float64(t))
	}
	p := upper(math.Exp(greatest), n)
	e[1].answer(p, -math.Log2(p))
	return nil
}

// A tupleCount has, for each length up to that of the longest repeated substring, how
// often the most common tuple of this length occurs, and how many pairs of equal tuples
// there are.
type tupleCount struct {
	most  []int32
	pairs []int64
}

// countTuples counts tuples.
//
// Substrings that occur more than once are the inner nodes of the suffix tree, and their
// prefixes. A node of string length l, whose parent has length p and which has c leaves,
// stands for one tuple of each length p+1…l, which occurs c times. The nodes are found
// in one pass over the lengths of the common prefixes of adjacent suffixes, and counted
// as ranges of lengths. So the time does not depend on how long these strings are. The
// tool counts length by length, which takes time in the square of n if a long part is
// repeated.
func countTuples(w *work, in input) (c tupleCount, err error) {
	common := suffixArray(in.s, in.k)
	if err := w.tick(0.6); err != nil {
		return c, err
	}
	commonPrefixes(in.s, common)
	if err := w.tick(0.9); err != nil {
		return c, err
	}
	v := int32(0)
	for _, l := range common {
		v = max(v, l)
	}
	c.most = make([]int32, v+1)
	c.pairs = make([]int64, v+2)
	type node struct{ length, first int32 } // of the string, and of its leaves
	open := []node{{0, 0}}
	for i := 1; i <= len(common); i++ {
		l := int32(0)
		if i < len(common) {
			l = common[i]
		}
		first := int32(i - 1)
		for open[len(open)-1].length > l {
			x := open[len(open)-1]
			open = open[:len(open)-1]
			parent := max(l, open[len(open)-1].length)
			leaves := int32(i) - x.first
			c.most[x.length] = max(c.most[x.length], leaves)
			pairs := int64(leaves) * int64(leaves-1) / 2
			c.pairs[parent+1] += pairs
			c.pairs[x.length+1] -= pairs
			first = x.first
		}
		if open[len(open)-1].length < l {
			open = append(open, node{l, first})
		}
	}
	// A tuple is at least as common as those that it begins.
	for l := v - 1; l >= 1; l-- {
		c.most[l] = max(c.most[l], c.most[l+1])
	}
	for l := int32(1); l <= v; l++ {
		c.pairs[l] += c.pairs[l-1]
	}
	c.pairs = c.pairs[:v+1]
	return c, nil
}
