package assess

import (
	"cmp"
	"context"

	"fmt"
	"math"
	"math/bits"
	"slices"
)

// Permutations is the number of permutations of SP 800-90B, Section 5.1.
const Permutations = 10_000

// An IIDReport is the result of [IID].
type IIDReport struct {
	Samples int `json:"samples"`
	Bits    int `json:"bits"`
	Symbols int `json:"symbols"` // number of distinct ones

	Independence ChiSquare           `json:"independence"` // Section 5.2.1, or 5.2.3 for two symbols
	Fit          ChiSquare           `json:"fit"`          // Section 5.2.2, or 5.2.4 for two symbols
	LRS          LRSTest             `json:"lrs"`          // Section 5.2.5
	Permutation  []PermutationResult `json:"permutation"`  // Section 5.1

	// Passed says that no test has found that the samples are dependent or not of the
	// same distribution. It does not show that they are not: a claim of that takes a
	// model of the source, too.
	Passed bool `json:"passed"`

	// HOriginal and HBitstring are the most common value estimates, as in a [Report],
	// and MinEntropy is the assessed min-entropy in bits per sample if the samples are
	// independent and of the same distribution.
	HOriginal  float64 `json:"h_original"`
	HBitstring float64 `json:"h_bitstring"`
	MinEntropy float64 `json:"min_entropy"`

	// Short and Constant are as in a [Report]. Constant samples have no test results,
	// and do not pass.
	Short    bool `json:"short,omitempty"`
	Constant bool `json:"constant,omitempty"`
}

// A ChiSquare is the result of a chi-square test.
type ChiSquare struct {
	Statistic float64 `json:"statistic"`
	Freedom   int     `json:"freedom"` // degrees of it; 0 if the data do not suffice for a test
	P         float64 `json:"p"`       // probability of at least this statistic
	Passed    bool    `json:"passed"`  // P is at least 0.001
}

// An LRSTest is the result of the length of the longest repeated substring test.
type LRSTest struct {
	Length int     `json:"length"` // in samples
	P      float64 `json:"p"`      // probability that a substring of this length is repeated
	Passed bool    `json:"passed"` // P is at least 0.001
}

// A PermutationResult says how the statistic of the samples ranks among those of their
// permutations. Counting ends when it is clear that the test is passed.
type PermutationResult struct {
	Name      string  `json:"name"`
	Section   string  `json:"section"`
	Statistic float64 `json:"statistic"` // of the samples
	Greater   int     `json:"greater"`   // permutations with a greater one
	Equal     int     `json:"equal"`
	Less      int     `json:"less"`
	Passed    bool    `json:"passed"`

	// Skipped says that the test was not done, since another has failed. Nothing but the
	// name and the section is set then.
	Skipped bool `json:"skipped,omitempty"`
}

// count counts a permutation, and returns whether the test is not yet decided.
func (r *PermutationResult) count(statistic float64) (open bool) {
	switch {
	case statistic > r.Statistic:
		r.Greater++
	case statistic == r.Statistic:
		r.Equal++
	default:
		r.Less++
	}
	// Passed unless the statistic is among the five least or the five greatest.
	r.Passed = r.Greater+r.Equal > 5 && r.Less+r.Equal > 5
	return !r.Passed
}

// Warnings says in words what restricts the value of r, if anything does.
func (r *IIDReport) Warnings() (list []string) {
	if r.Constant {
		list = append(list, "all samples are the same")
	}
	if r.Short {
		list = append(list, shortWarning(r.Samples))
	}
	if !r.Constant {
		for i, t := range []ChiSquare{r.Independence, r.Fit} {
			if t.Freedom == 0 {
				list = append(list, [...]string{"chi-square test for independence", "chi-square test for goodness of fit"}[i]+": too few samples for it")
			}
		}
	}
	return list
}

// IID tests whether samples look independent and identically distributed: SP 800-90B,
// Section 5. The arguments are as for [NonIID].
//
// The tests with permutations end as soon as they are passed, which takes some ten
// permutations of most data that pass. A test that fails takes [Permutations] of them. So the
// quick tests come first, then the permutations with all statistics but the compression, and
// then that: unless opt.Complete is set, the first of these steps in which a test has failed
// is the last. A million samples take seconds then, or minutes if the second step fails, and
// hours if only the compression fails. The permutations come from a simple generator that is
// not for secrets, seeded with opt.Seed, for a result that can be repeated.
func IID(ctx context.Context, samples []byte, width int, opt *Options) (*IIDReport, error) {
	if err := check(samples, width); err != nil {
		return nil, err
	}
	if opt == nil {
		opt = new(Options)
	}
	in := translate(samples)
	r := &IIDReport{
		Samples: len(samples), Bits: width, Symbols: in.k,
		HBitstring: 1, Short: len(samples) < Samples, Constant: in.k == 1,
	}
	if r.Constant {
		return r, nil
	}
	var e [1]Estimate
	if err := mostCommonValue(nil, in, e[:]); err != nil {
		return nil, err
	}
	r.HOriginal = e[0].MinEntropy
	if in.k > 2 {
		if err := mostCommonValue(nil, input{expand(samples, width), 2}, e[:]); err != nil {
			return nil, err
		}
		r.HBitstring = e[0].MinEntropy
	}
	r.MinEntropy = min(r.HOriginal, float64(width)*r.HBitstring)

	if in.k == 2 {
		r.Independence, r.Fit = binaryIndependence(in.s), binaryFit(in.s)
	} else {
		r.Independence, r.Fit = independence(in), fit(in)
	}
	var err error
	if r.LRS, err = lrsTest(newWork(ctx, opt), in); err != nil {
		return nil, err
	}
	r.Passed = r.Independence.Passed && r.Fit.Passed && r.LRS.Passed
	list := statistics()
	last := len(list) - 1 // the compression
	for step, part := range [][]statistic{list[:last], list[last:]} {
		if !r.Passed && !opt.Complete {
			for _, s := range part {
				r.Permutation = append(r.Permutation, PermutationResult{Name: s.name, Section: s.section, Skipped: true})
			}
			continue
		}
		results, err := permutations(ctx, samples, in, part, opt, func(done int) {
			if opt.Progress != nil {
				opt.Progress(int64(step*Permutations+done), 2*Permutations)
			}
		})
		if err != nil {
			return nil, err
		}
		for _, p := range results {
			r.Passed = r.Passed && p.Passed
		}
		r.Permutation = append(r.Permutation, results...)
	}
	if opt.Progress != nil {
		opt.Progress(2*Permutations, 2*Permutations)
	}
	return r, nil
}

// chiSquare returns the verdict on a statistic.
func chiSquare(statistic float64, freedom int) ChiSquare {
	c := ChiSquare{Statistic: statistic, Freedom: freedom, P: 1, Passed: true}
	if freedom <= 0 {
		return ChiSquare{P: 1, Passed: true}
	}
	c.P = upperGamma(float64(freedom)/2, statistic/2)
	c.Passed = c.P >= 0.001
	return c
}

// deviation returns Σ (observed - expected)² / expected.
func deviation(observed []int, expected []float64) (t float64) {
	for i, e := range expected {
		d := float64(observed[i]) - e
		t += d * d / e
	}
	return t
}

// shares returns the share of each symbol. It is summed up as in the tool: the order of
// bins depends on the last digits.
func (in input) shares() []float64 {
	p := make([]float64, in.k)
	for _, s := range in.s {
		p[s] += 1 / float64(len(in.s))
	}
	return p
}

// bins distributes cells with given expectations to bins of at least 5, starting with
// the least. It returns the bin of each cell and the expectations of the bins.
func bins(expected []float64) (bin []int, sums []float64) {
	order := make([]int, len(expected))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(expected[a], expected[b]) })
	bin = make([]int, len(expected))
	sums = []float64{0}
	for _, i := range order {
		if sums[len(sums)-1] >= 5 {
			sums = append(sums, 0)
		}
		bin[i] = len(sums) - 1
		sums[len(sums)-1] += expected[i]
	}
	if last := len(sums) - 1; last > 0 && sums[last] < 5 {
		sums[last-1] += sums[last]
		sums = sums[:last]
		for i := range bin {
			bin[i] = min(bin[i], last-1)
		}
	}
	return bin, sums
}

// Testing Independence for Non-Binary Data, SP 800-90B, Section 5.2.1.
func independence(in input) ChiSquare {
	p := in.shares()
	pairs := len(in.s) / 2
	expected := make([]float64, 0, in.k*in.k)
	for _, a := range p {
		for _, b := range p {
			expected = append(expected, a*b*float64(pairs))
		}
	}
	bin, sums := bins(expected)
	observed := make([]int, len(sums))
	for i := range pairs {
		observed[bin[int(in.s[2*i])*in.k+int(in.s[2*i+1])]]++
	}
	return chiSquare(deviation(observed, sums), len(sums)-in.k)
}

// Testing Goodness-of-fit for Non-Binary Data, SP 800-90B, Section 5.2.2.
func fit(in input) ChiSquare {
	n := len(in.s) / 10
	expected := in.shares()
	for i := range expected {
		expected[i] *= float64(n)
	}
	bin, sums := bins(expected)
	t := 0.0
	for part := range 10 {
		observed := make([]int, len(sums))
		for _, s := range in.s[part*n:][:n] {
			observed[bin[s]]++
		}
		t += deviation(observed, sums)
	}
	if n == 0 {
		return chiSquare(0, 0)
	}
	return chiSquare(t, 9*(len(sums)-1))
}

// Testing Independence for Binary Data, SP 800-90B, Section 5.2.3.
func binaryIndependence(s []byte) ChiSquare {
	ones := 0
	for _, b := range s {
		ones += int(b)
	}
	p := [2]float64{1: float64(ones) / float64(len(s))}
	p[0] = 1 - p[1]
	m := 11
	for m > 1 && math.Pow(min(p[0], p[1]), float64(m))*float64(len(s)/m) < 5 {
		m--
	}
	if m < 2 {
		return chiSquare(0, 0)
	}
	observed := make([]int, 1<<m)
	for i := range len(s) / m {
		tuple := 0
		for _, b := range s[i*m:][:m] {
			tuple = tuple<<1 | int(b)
		}
		observed[tuple]++
	}
	expected := make([]float64, 1<<m)
	for tuple := range expected {
		w := bits.OnesCount(uint(tuple))
		expected[tuple] = math.Pow(p[1], float64(w)) * math.Pow(p[0], float64(m-w)) * float64(len(s)/m)
	}
	return chiSquare(deviation(observed, expected), 1<<m-2)
}

// Testing Goodness-of-fit for Binary Data, SP 800-90B, Section 5.2.4.
func binaryFit(s []byte) ChiSquare {
	n := len(s) / 10
	if n == 0 {
		return chiSquare(0, 0)
	}
	ones := 0
	for _, b := range s {
		ones += int(b)
	}
	p := float64(ones) / float64(len(s))
	expected := []float64{(1 - p) * float64(n), p * float64(n)}
	t := 0.0
	for part := range 10 {
		var observed [2]int
		for _, b := range s[part*n:][:n] {
			observed[b]++
		}
		t += deviation(observed[:], expected)
	}
	return chiSquare(t, 9)
}

// Length of the Longest Repeated Substring Test, SP 800-90B, Section 5.2.5.
func lrsTest(w *work, in input) (LRSTest, error) {
	c, err := countTuples(w, in)
	if err != nil {
		return LRSTest{}, err
	}
	collision := 0.0
	for _, p := range in.shares() {
		collision += p * p
	}
	length := len(c.most) - 1
	places := float64(len(in.s) - length + 1)
	// The logarithm of the probability that no two substrings of this length are equal,
	// (1 - collision^length)^(places choose 2).
	none := places * (places - 1) / 2 * math.Log1p(-math.Exp(float64(length)*math.Log(collision)))
	t := LRSTest{Length: length, P: -math.Expm1(none)}
	t.Passed = none <= math.Log(0.999)
	return t, nil
}

// upperGamma returns Q(a, x) = Γ(a, x)/Γ(a), the regularized upper incomplete gamma
// function, for a > 0 (NIST Digital Library of Mathematical Functions, Section 8).
func upperGamma(a, x float64) float64 {
	if !(x > 0) {
		return 1
	}
	l, _ := math.Lgamma(a)
	front := math.Exp(a*math.Log(x) - x - l)
	if x < a+1 { // 1 minus the series 8.11.4
		term := 1 / a
		sum := term
		for n := 1.0; term > sum*0x1p-54; n++ {
			term *= x / (a + n)
			sum += term
		}
		return max(0, 1-front*sum)
	}
	// The continued fraction 8.9.2, evaluated by the algorithm of Lentz.
	const tiny = 1e-300
	b := x + 1 - a
	c, d := 1/tiny, 1/b
	h := d
	for n := 1.0; ; n++ {
		an := -n * (n - a)
		b += 2
		d = an*d + b
		if math.Abs(d) < tiny {
			d = tiny
		}
		c = b + an/c
		if math.Abs(c) < tiny {
			c = tiny
		}
		d = 1 / d
		step := d * c
		h *= step
		if math.Abs(step-1) < 0x1p-50 || n > 1e6 {
			return min(1, front*h)
		}
	}
}

// A permuter has the statistics of Section 5.1 for one sequence at a time.
type permuter struct {
	raw    []byte // by number of a symbol
	k      int
	mean   float64 // of the raw symbols
	median float64
	text   [][]byte // of each symbol, for the compression

	s       []byte
	convert [2][]byte // conversions I and II of two symbols
}

// lags are those of the periodicity and the covariance test.
var lags = [...]int{1, 2, 8, 16, 32}

// A statistic is one of Section 5.1.
type statistic struct {
	name, section string
	of            func(p *permuter) float64
}

func statistics() []statistic {
	list := []statistic{
		{"excursion", "5.1.1", (*permuter).excursion},
		{"number of directional runs", "5.1.2", func(p *permuter) float64 { n, _, _ := p.directionalRuns(); return n }},
		{"length of directional runs", "5.1.3", func(p *permuter) float64 { _, l, _ := p.directionalRuns(); return l }},
		{"number of increases and decreases", "5.1.4", func(p *permuter) float64 { _, _, n := p.directionalRuns(); return n }},
		{"number of runs based on the median", "5.1.5", func(p *permuter) float64 { n, _ := p.medianRuns(); return n }},
		{"length of runs based on the median", "5.1.6", func(p *permuter) float64 { _, l := p.medianRuns(); return l }},
		{"average collision", "5.1.7", func(p *permuter) float64 { mean, _ := p.collisions(); return mean }},
		{"maximum collision", "5.1.8", func(p *permuter) float64 { _, most := p.collisions(); return most }},
	}
	for _, lag := range lags {
		list = append(list, statistic{fmt.Sprintf("periodicity (lag %d)", lag), "5.1.9", func(p *permuter) float64 { return p.periodicity(lag) }})
	}
	for _, lag := range lags {
		list = append(list, statistic{fmt.Sprintf("covariance (lag %d)", lag), "5.1.10", func(p *permuter) float64 { return p.covariance(lag) }})
	}
	return append(list, statistic{"compression", "5.1.11", (*permuter).compression})
}

func newPermuter(samples []byte, in input) *permuter {
	p := &permuter{raw: make([]byte, in.k), k: in.k}
	var sum float64
	count := make([]int, in.k)
	for i, s := range in.s {
		p.raw[s] = samples[i]
		sum += float64(samples[i])
		count[s]++
	}
	p.mean = sum / float64(len(samples))
	// The median, and between two symbols if it is between the halves.
	half, seen := len(samples)/2, 0
	for s, c := range count {
		if 2*seen < len(samples) && 2*(seen+c) > len(samples) {
			p.median = float64(s)
		} else if seen+c == half && 2*half == len(samples) {
			p.median = float64(s) + 0.5
		}
		seen += c
	}
	if in.k == 2 {
		p.median = 0.5
	}
	for _, r := range p.raw {
		p.text = append(p.text, fmt.Appendf(nil, "%d ", r))
	}
	return p
}

// set takes the sequence s, which it keeps.
func (p *permuter) set(s []byte) {
	p.s = s
	if p.k != 2 {
		p.convert = [2][]byte{s, s}
		return
	}
	// The number of ones in each 8 bits, and their value. The last may have fewer bits.
	for i := range p.convert {
		p.convert[i] = slices.Grow(p.convert[i][:0], (len(s)+7)/8)
	}
	for ; len(s) > 0; s = s[min(8, len(s)):] {
		var b byte
		for i, bit := range s[:min(8, len(s))] {
			b |= bit << (7 - i)
		}
		p.convert[0] = append(p.convert[0], byte(bits.OnesCount8(b)))
		p.convert[1] = append(p.convert[1], b)
	}
}

// values returns the symbols with their values, for statistics that compute with them:
// numbers of ones, or a function for the raw symbols.
func (p *permuter) value(s byte) float64 {
	if p.k == 2 {
		return float64(s)
	}
	return float64(p.raw[s])
}

func (p *permuter) excursion() (most float64) {
	sum := 0.0
	for i, s := range p.s {
		sum += float64(p.raw[s])
		most = max(most, math.Abs(sum-float64(i+1)*p.mean))
	}
	return most
}

// runs returns the number and the greatest length of runs of equal values among n.
func runs(n int, value func(i int) bool) (number, longest float64) {
	run, last := 0.0, false
	for i := range n {
		v := value(i)
		if i == 0 || v != last {
			number++
			run = 0
		}
		run++
		longest = max(longest, run)
		last = v
	}
	return number, longest
}

func (p *permuter) directionalRuns() (number, longest, most float64) {
	s := p.convert[0]
	n := len(s) - 1
	up := 0
	number, longest = runs(n, func(i int) bool {
		if s[i] <= s[i+1] {
			up++
			return true
		}
		return false
	})
	return number, longest, float64(max(up, n-up))
}

func (p *permuter) medianRuns() (number, longest float64) {
	return runs(len(p.s), func(i int) bool { return float64(p.s[i]) >= p.median })
}

func (p *permuter) collisions() (mean, most float64) {
	var seen [256]int // the number of the run that had the symbol, from 1
	run, start, sum := 1, 0, 0
	s := p.convert[1]
	for i, b := range s {
		if seen[b] == run {
			t := i - start + 1
			sum += t
			most = max(most, float64(t))
			run++
			start = i + 1
			continue
		}
		seen[b] = run
	}
	if run == 1 {
		return 0, 0
	}
	return float64(sum) / float64(run-1), most
}

func (p *permuter) periodicity(lag int) (t float64) {
	s := p.convert[0]
	for i := lag; i < len(s); i++ {
		if s[i] == s[i-lag] {
			t++
		}
	}
	return t
}

func (p *permuter) covariance(lag int) (t float64) {
	s := p.convert[0]
	for i := lag; i < len(s); i++ {
		t += p.value(s[i]) * p.value(s[i-lag])
	}
	return t
}

func (p *permuter) compression() float64 {
	text := make([]byte, 0, 4*len(p.s))
	for _, s := range p.s {
		text = append(text, p.text[s]...)
	}
	return float64(bzip2Size(text[:len(text)-1])) // no space at the end
}

// permutations does the permutation tests with the statistics of the list, and tells how
// many permutations are done while not all are.
func permutations(ctx context.Context, samples []byte, in input, list []statistic, opt *Options, progress func(done int)) ([]PermutationResult, error) {
	results := make([]PermutationResult, len(list))
	open := make([]bool, len(list))
	first := newPermuter(samples, in)
	first.set(in.s)
	for i, s := range list {
		results[i] = PermutationResult{Name: s.name, Section: s.section, Statistic: s.of(first)}
		open[i] = true
	}
	// Several permutations at a time, whose results are taken in order, so that the
	// number of workers does not matter.
	batch := newWork(ctx, opt).workers
	permuters := make([]*permuter, batch)
	values := make([][]float64, batch)
	for i := range permuters {
		permuters[i] = newPermuter(samples, in)
		values[i] = make([]float64, len(list))
	}
	for done := 0; done < Permutations && slices.Contains(open, true); done += batch {
		w := newWork(ctx, &Options{Workers: batch})
		for j := range min(batch, Permutations-done) {
			p := permuters[j]
			w.add(1, 1, func(*work) error {
				s := p.s
				if s == nil {
					s = make([]byte, len(in.s))
				}
				copy(s, in.s)
				newGenerator(opt.Seed, uint64(done+j)).shuffle(s)
				p.set(s)
				for i := range list {
					if open[i] {
						if err := ctx.Err(); err != nil {
							return err
						}
						values[j][i] = list[i].of(p)
					}
				}
				return nil
			})
		}
		if err := w.run(); err != nil {
			return nil, err
		}
		for j := range min(batch, Permutations-done) {
			for i := range list {
				open[i] = open[i] && results[i].count(values[j][i])
			}
		}
		if next := done + batch; next < Permutations {
			progress(next)
		}
	}
	return results, nil
}

// A generator is xoshiro256** (Blackman and Vigna, "Scrambled Linear Pseudorandom Number
// Generators", 2018). It shuffles samples for statistics, and is not for secrets.
type generator [4]uint64

// newGenerator returns the generator number n for a seed.
func newGenerator(seed, n uint64) *generator {
	// SplitMix64, as its authors recommend.
	g := new(generator)
	x := seed ^ bits.ReverseBytes64(n)
	for i := range g {
		x += 0x9e3779b97f4a7c15
		y := x
		y = (y ^ y>>30) * 0xbf58476d1ce4e5b9
		y = (y ^ y>>27) * 0x94d049bb133111eb
		g[i] = y ^ y>>31
	}
	return g
}

func (g *generator) next() uint64 {
	r := bits.RotateLeft64(g[1]*5, 7) * 9
	t := g[1] << 17
	g[2] ^= g[0]
	g[3] ^= g[1]
	g[1] ^= g[2]
	g[0] ^= g[3]
	g[2] ^= t
	g[3] = bits.RotateLeft64(g[3], 45)
	return r
}

// below returns a number less than n (Lemire, "Fast Random Integer Generation in an
// Interval", 2018). It is uniform.
func (g *generator) below(n uint64) uint64 {
	hi, lo := bits.Mul64(g.next(), n)
	if lo < n {
		for least := -n % n; lo < least; {
			hi, lo = bits.Mul64(g.next(), n)
		}
	}
	return hi
}

// shuffle permutes s, each permutation being as likely as any other.
func (g *generator) shuffle(s []byte) {
	for i := len(s) - 1; i > 0; i-- {
		j := g.below(uint64(i + 1))
		s[i], s[j] = s[j], s[i]
	}
}
