package smoke

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
)

// fair returns n bytes of a generator that passes.
func fair(n int) []byte {
	r := rand.NewChaCha8([32]byte{1})
	p := make([]byte, n)
	r.Read(p)
	return p
}

// tests runs the tests on one block in the words of the standard, bit by bit.
func tests(p []byte) (monobit, poker, runs, long bool) {
	ones := 0
	var nibbles [16]float64
	var counts [2][6]int
	length, last := 0, -1
	long = true
	end := func() {
		if length > 0 {
			counts[last][min(length, 6)-1]++
		}
		long = long && length < 26
		length = 0
	}
	for i := range 8 * len(p) {
		bit := int(p[i/8] >> (7 - i%8) & 1)
		ones += bit
		if bit != last {
			end()
		}
		last = bit
		length++
	}
	end()
	for _, b := range p {
		nibbles[b&15]++
		nibbles[b>>4]++
	}
	x := 0.0
	for _, f := range nibbles {
		x += f * f
	}
	x = 16.0/5000*x - 5000
	runs = true
	for _, c := range counts {
		for i, limit := range [...][2]int{{2315, 2685}, {1114, 1386}, {527, 723}, {240, 384}, {103, 209}, {103, 209}} {
			runs = runs && limit[0] <= c[i] && c[i] <= limit[1]
		}
	}
	return 9725 < ones && ones < 10275, 2.16 < x && x < 46.17, runs, long
}

func TestBlock(t *testing.T) {
	type verdict [4]bool
	check := func(p []byte) (got verdict) {
		t.Helper()
		var want verdict
		got[0], got[1], got[2], got[3] = block(p)
		want[0], want[1], want[2], want[3] = tests(p)
		if got != want {
			t.Errorf("monobit, poker, runs, long run: %v; want %v", got, want)
		}
		return got
	}
	n := 400
	if testing.Short() {
		n = 40
	}
	p := fair(n * BlockSize)
	for i := range n {
		check(p[i*BlockSize:][:BlockSize])
	}

	// The first that fails and the last that passes.
	base := p[:BlockSize]
	if check(base) != (verdict{true, true, true, true}) {
		t.Fatal("the block to begin with fails")
	}
	// set makes n bits from bit i on equal to value.
	set := func(q []byte, i, n int, value byte) {
		for j := i; j < i+n; j++ {
			q[j/8] = q[j/8]&^(0x80>>(j%8)) | value<<(7-j%8)
		}
	}
	for _, at := range []int{0, 1, 37, 38, 39, 40, 63, 64, 19_967, 19_968, 19_973, 19_974} {
		for _, value := range []byte{0, 1} {
			for _, n := range []int{25, 26, 27} {
				n = min(n, 20_000-at)
				q := bytes.Clone(base)
				set(q, at, n, value)
				if at > 0 {
					set(q, at-1, 1, 1-value)
				}
				if at+n < 20_000 {
					set(q, at+n, 1, 1-value)
				}
				if v := check(q); v[3] != (n < 26) {
					t.Errorf("%d equal bits at %d: %v", n, at, v)
				}
			}
		}
	}
	ones := func(n int) []byte { // every other bit, then some more
		q := make([]byte, BlockSize)
		for i := range n {
			j := 2 * i
			if j >= 20_000 {
				j = 2*(i-10_000) + 1
			}
			set(q, j, 1, 1)
		}
		return q
	}
	for n, want := range map[int]bool{9725: false, 9726: true, 10_274: true, 10_275: false} {
		if v := check(ones(n)); v[0] != want {
			t.Errorf("%d ones: %v", n, v)
		}
	}
	// Each count of runs at its limits, and beyond by one.
	for i, limit := range runLimits {
		for _, c := range []int{limit[0] - 1, limit[0], limit[1], limit[1] + 1} {
			for value := range 2 {
				if v := check(withRuns(value, i, c)); v[2] != (limit[0] <= c && c <= limit[1]) {
					t.Errorf("%d runs of %d times %d: %v", c, i+1, value, v)
				}
			}
		}
	}
}

// withRuns returns a block with c runs of i+1 bits of the value, and all other counts within
// their limits.
func withRuns(value, i, c int) []byte {
	counts := [2][6]int{{2500, 1250, 625, 312, 156, 156}, {2500, 1250, 625, 312, 156, 156}}
	// As many runs in all, since zeros and ones take turns.
	more := c - counts[value][i]
	counts[value][i] = c
	if i > 0 {
		counts[value][0] -= more
	} else {
		counts[value][1] -= more / 2
		counts[value][2] -= more - more/2
	}
	// The longest runs take the bits that are left.
	spare := 20_000
	for _, list := range counts {
		for i, n := range list {
			spare -= (i + 1) * n
		}
	}
	p := make([]byte, BlockSize)
	for at, bit := 0, 0; at < 20_000; bit ^= 1 {
		i := 0
		for counts[bit][i] == 0 {
			i++
		}
		counts[bit][i]--
		length := i + 1
		if i == 5 {
			extra := min(spare, 15)
			spare -= extra
			length += extra
		}
		for range length {
			p[at/8] |= byte(bit) << (7 - at%8)
			at++
		}
	}
	return p
}

// The probabilities of failure are computed exactly, but for the poker test: see pPoker.
func TestBlockProbability(t *testing.T) {
	near := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-4*want {
			t.Errorf("%s: %.6g; want %.6g", name, got, want)
		}
	}
	const n = 8 * BlockSize
	p := 0.0
	for k := 0; k <= monobitLow; k++ {
		p += 2 * math.Exp(logBinomial(n, k)-n*math.Ln2)
	}
	near("monobit", pMonobit, p)

	// The last bits are equal for so long.
	var run [longRun]float64
	run[1] = 1
	for range n - 1 {
		var next [longRun]float64
		for length, p := range run {
			next[1] += p / 2
			if length+1 < longRun {
				next[length+1] += p / 2
			}
		}
		run = next
	}
	p = 1
	for _, q := range run {
		p -= q
	}
	near("long run", pLongRun, p)

	if testing.Short() {
		t.Skip("takes a second")
	}
	p = 0
	for i, limit := range runLimits {
		p += 2 * runsProbability(n, i+1, i == len(runLimits)-1, limit[0], limit[1])
	}
	near("runs", pRuns, p)
}

// logBinomial returns the logarithm of n over k.
func logBinomial(n, k int) float64 {
	l := func(x int) float64 { y, _ := math.Lgamma(float64(x + 1)); return y }
	return l(n) - l(k) - l(n-k)
}

// runsProbability returns the probability that among n bits the number of runs of ones of
// a length, or of at least that length, is less than low or greater than high.
func runsProbability(n, length int, orMore bool, low, high int) float64 {
	// f[s][c] is the probability that c such runs have ended, or of those of at least that
	// length begun, and that the last bits are s ones, or more than length if s is length+1.
	// A c of high+1 stands for more, too.
	states := length + 2
	f := make([][]float64, states)
	g := make([][]float64, states)
	for s := range f {
		f[s], g[s] = make([]float64, high+2), make([]float64, high+2)
	}
	f[0][0] = 1
	// step distributes the probabilities of state s by shares, to state to, with add more
	// runs.
	step := func(s, to, add int, share float64) {
		for c, p := range f[s] {
			g[to][min(c+add, high+1)] += share * p
		}
	}
	for range n {
		for s := range g {
			clear(g[s])
		}
		for s := range f {
			begun, ended := 0, 0
			if orMore && s == length-1 {
				begun = 1
			} else if !orMore && s == length {
				ended = 1
			}
			step(s, 0, ended, 0.5)
			step(s, min(s+1, length+1), begun, 0.5)
		}
		f, g = g, f
	}
	p := 0.0
	for s := range f {
		for c, q := range f[s] {
			if !orMore && s == length { // ends with the block
				c++
			}
			if c < low || c > high {
				p += q
			}
		}
	}
	return p
}
