package assess

import (
	"bytes"
	"math"
	"slices"
	"sort"
	"strings"
	"testing"
)

// The predictors as the standard has them: for each position, what is predicted, and
// nothing kept from one position to the next that need not be.

// A nothing is a prediction that is none.
const nothing = -1

// reference runs predictors, each a function of what came before, with a scoreboard.
func reference(s []byte, from int, predictors []func(i int) int, after func(i int), keepRun bool) score {
	var sc score
	won := make([]int, len(predictors))
	winner := 0
	for i := from; i < len(s); i++ {
		predicted := make([]int, len(predictors))
		for j, p := range predictors {
			predicted[j] = p(i)
		}
		switch {
		case predicted[winner] == int(s[i]):
			sc.hit()
		case predicted[winner] != nothing || !keepRun:
			sc.miss()
		}
		for j, p := range predicted {
			if p == int(s[i]) {
				if won[j]++; won[j] >= won[winner] {
					winner = j
				}
			}
		}
		if after != nil {
			after(i)
		}
	}
	return sc
}

func referenceMCW(s []byte) score {
	var predictors []func(int) int
	for _, w := range windows {
		predictors = append(predictors, func(i int) int {
			if i < w {
				return nothing
			}
			var count [256]int
			most := 0
			for _, b := range s[i-w : i] {
				count[b]++
				most = max(most, count[b])
			}
			for j := i - 1; ; j-- {
				if count[s[j]] == most {
					return int(s[j])
				}
			}
		})
	}
	return reference(s, windows[0], predictors, nil, false)
}

func referenceLag(s []byte) score {
	var predictors []func(int) int
	for lag := 1; lag <= maxLag; lag++ {
		predictors = append(predictors, func(i int) int {
			if i < lag {
				return nothing
			}
			return int(s[i-lag])
		})
	}
	return reference(s, 1, predictors, nil, false)
}

// best returns the most frequent symbol, the greatest of several.
func best(count map[byte]int) (symbol, times int) {
	symbol = nothing
	for b, c := range count {
		if c > times || c == times && int(b) > symbol {
			symbol, times = int(b), c
		}
	}
	return symbol, times
}

func referenceMMC(s []byte) score {
	var predictors []func(int) int
	models := make([]map[string]map[byte]int, contextDepth+1)
	entries := make([]int, contextDepth+1)
	learn := func(i int) { // s[i] after each of its contexts
		for d := 1; d <= contextDepth && d <= i; d++ {
			x := string(s[i-d : i])
			if models[d][x][s[i]] > 0 {
				models[d][x][s[i]]++
			} else if entries[d] < mmcEntries {
				if models[d][x] == nil {
					models[d][x] = map[byte]int{}
				}
				models[d][x][s[i]] = 1
				entries[d]++
			}
		}
	}
	for d := 1; d <= contextDepth; d++ {
		models[d] = map[string]map[byte]int{}
		predictors = append(predictors, func(i int) int {
			if i < d {
				return nothing
			}
			symbol, _ := best(models[d][string(s[i-d:i])])
			return symbol
		})
	}
	learn(1)
	return reference(s, 2, predictors, learn, true)
}

func referenceLZ(s []byte) score {
	dict := map[string]map[byte]int{}
	learn := func(i int) {
		for d := contextDepth; d >= 1; d-- {
			x := string(s[i-d : i])
			if dict[x] == nil && len(dict) < lzEntries {
				dict[x] = map[byte]int{}
			}
			if dict[x] != nil {
				dict[x][s[i]]++
			}
		}
	}
	learn(contextDepth)
	predict := func(i int) int {
		predicted, most := nothing, 0
		for d := contextDepth; d >= 1; d-- {
			if symbol, times := best(dict[string(s[i-d:i])]); times > most {
				predicted, most = symbol, times
			}
		}
		return predicted
	}
	return reference(s, contextDepth+1, []func(int) int{predict}, learn, false)
}

func TestPredictors(t *testing.T) {
	n := 5000
	if testing.Short() {
		n = 1500
	}
	for name, m := range mixtures(n) {
		in := translate(m.s)
		for _, p := range []struct {
			name      string
			estimate  func(*work, input, []Estimate) error
			reference func([]byte) score
			trials    int
		}{
			{"MCW", multiMCW, referenceMCW, len(in.s) - windows[0]},
			{"lag", lag, referenceLag, len(in.s) - 1},
			{"MMC", multiMMC, referenceMMC, len(in.s) - 2},
			{"LZ78Y", lz78y, referenceLZ, len(in.s) - contextDepth - 1},
		} {
			var e, want [1]Estimate
			w := newWork(t.Context(), nil)
			if err := p.estimate(w, in, e[:]); err != nil {
				t.Fatal(err)
			}
			if err := want[0].predicted(w, p.reference(in.s), p.trials, in.k); err != nil {
				t.Fatal(err)
			}
			if e != want {
				t.Errorf("%s, %s: %+v; want %+v", name, p.name, e, want)
			}
		}
	}
}

// For two symbols the dictionary has another form. Said to be three, they get the same
// predictions. Both forms come to their limits.
func TestTwoForms(t *testing.T) {
	n := 200_000 // for 100,000 of 131,072 contexts with a symbol after them
	if testing.Short() {
		n = 30_000
	}
	s := noise(3, n, 1, 0)
	for _, estimate := range []func(*work, input, []Estimate) error{multiMMC, lz78y} {
		var two, three [1]Estimate
		w := newWork(t.Context(), nil)
		if err := estimate(w, input{s, 2}, two[:]); err != nil {
			t.Fatal(err)
		}
		if err := estimate(w, input{s, 3}, three[:]); err != nil {
			t.Fatal(err)
		}
		if two != three || two[0].P == 0.5 {
			t.Errorf("%+v and %+v", two, three)
		}
	}
}

// logNoRun is compared with the probability as it follows from a recurrence: of no run of
// r successes in n trials.
func TestLogNoRun(t *testing.T) {
	for _, n := range []int{100, 1000, 20_000} {
		for _, r := range []int{2, 3, 10, 30} {
			for _, p := range []float64{0.01, 0.3, 0.5, 0.6} {
				// tail[j] is the probability of no run so far, and j successes last.
				tail := make([]float64, r)
				tail[0] = 1
				for range n {
					sum := 0.0
					for _, x := range tail {
						sum += x
					}
					copy(tail[1:], tail)
					for j := 1; j < r; j++ {
						tail[j] *= p
					}
					tail[0] = sum * (1 - p)
				}
				sum := 0.0
				for _, x := range tail {
					sum += x
				}
				want := math.Log(sum)
				if want < -5 {
					continue // far from the 0.99 that it is for, where it is not exact
				}
				if got := logNoRun(p, r, n); math.Abs(got-want) > 1e-3*math.Abs(want)+1e-11 {
					t.Errorf("p = %v, r = %d, n = %d: %v; want %v", p, r, n, got, want)
				}
			}
		}
	}
	// And it falls with p, as long as it is not far below the logarithm of 0.99.
	for _, r := range []int{1, 2, 50, 1_000_000} {
		last := math.Inf(1)
		for i := 1; i < 1000; i++ {
			v := logNoRun(float64(i)/1000, r, 1_000_000)
			if math.IsNaN(v) || v > max(-10, last+1e-12) {
				t.Fatalf("r = %d, p = %d/1000: %v after %v", r, i, v, last)
			}
			last = v
		}
	}
}

// expectedDistance is compared with the double sum of Section 6.3.4, Step 7.
func TestExpectedDistance(t *testing.T) {
	const n = compressionInit + 60
	log2 := make([]float64, n+1)
	for i := 1; i <= n; i++ {
		log2[i] = math.Log2(float64(i))
	}
	for _, p := range []float64{0, 1e-9, 0.001, 1.0 / 64, 0.2, 0.999, 1} {
		want := 0.0
		for t := compressionInit + 1; t <= n; t++ {
			for u := 1; u <= t; u++ {
				f := p * math.Pow(1-p, float64(u-1))
				if u < t {
					f *= p
				}
				want += log2[u] * f / (n - compressionInit)
			}
		}
		if got := expectedDistance(p, n-compressionInit, log2); math.Abs(got-want) > 1e-12 {
			t.Errorf("p = %v: %v; want %v", p, got, want)
		}
	}
}

// texts are short texts for which all can be tried.
func texts() (list []input) {
	for k := 1; k <= 4; k++ {
		for n := 1; n <= 60; n++ {
			s := make([]byte, n)
			for i, v := range noise(uint64(n*k), n, 6, 0) {
				s[i] = v % byte(k)
			}
			list = append(list, input{s, k}, input{append(s, s...), k}, input{bytes.Repeat(s[:min(n, 3)], 9), k})
		}
	}
	return list
}

func TestSuffixArray(t *testing.T) {
	for _, in := range texts() {
		want := make([]int32, len(in.s))
		for i := range want {
			want[i] = int32(i)
		}
		sort.Slice(want, func(i, j int) bool { return bytes.Compare(in.s[want[i]:], in.s[want[j]:]) < 0 })
		got := suffixArray(in.s, in.k)
		if !slices.Equal(got, want) {
			t.Fatalf("%v: %v; want %v", in.s, got, want)
		}
		commonPrefixes(in.s, got)
		for i := range got {
			l := 0
			if i > 0 {
				a, b := in.s[want[i-1]:], in.s[want[i]:]
				for l < len(a) && l < len(b) && a[l] == b[l] {
					l++
				}
			}
			if int(got[i]) != l {
				t.Fatalf("%v: common prefix %d is %d; want %d", in.s, i, got[i], l)
			}
		}
	}
	large := noise(5, 50_000, 8, 1)
	if !slices.IsSortedFunc(suffixArray(large, 256), func(a, b int32) int { return bytes.Compare(large[a:], large[b:]) }) {
		t.Error("50,000 bytes are not sorted")
	}
}

func TestCountTuples(t *testing.T) {
	for _, in := range texts() {
		got, err := countTuples(newWork(t.Context(), nil), in)
		if err != nil {
			t.Fatal(err)
		}
		for l := 1; l <= len(in.s); l++ {
			count := map[string]int{}
			most, pairs := 0, int64(0)
			for i := 0; i+l <= len(in.s); i++ {
				x := string(in.s[i : i+l])
				pairs += int64(count[x])
				count[x]++
				most = max(most, count[x])
			}
			switch {
			case most == 1:
				if len(got.most) > l {
					t.Fatalf("%v: %d lengths; want %d", in.s, len(got.most)-1, l-1)
				}
			case len(got.most) <= l || int(got.most[l]) != most || got.pairs[l] != pairs:
				t.Fatalf("%v: %+v; want %d and %d for length %d", in.s, got, most, pairs, l)
			}
		}
	}
	// The example of Section 6.3.5.
	s := []byte{2, 2, 0, 1, 0, 2, 0, 1, 2, 1, 2, 0, 1, 2, 1, 0, 0, 1, 0, 0, 0}
	if c, _ := countTuples(newWork(t.Context(), nil), input{s, 3}); !slices.Equal(c.most[1:], []int32{9, 4, 3, 2, 2}) {
		t.Errorf("%v", c.most)
	}
}

// Once the dictionary of LZ78Y is full, it does not learn what comes then: two symbols that
// tell the next. For the limit of MultiMMC there are NIST's samples.
func TestLimit(t *testing.T) {
	s := noise(11, 8000, 7, 0)
	for range 50 {
		for _, b := range noise(12, 300, 4, 0) {
			s = append(s, 128+b)
		}
	}
	in := translate(s)
	var e, want [1]Estimate
	w := newWork(t.Context(), nil)
	if err := lz78y(w, in, e[:]); err != nil {
		t.Fatal(err)
	}
	if err := want[0].predicted(w, referenceLZ(in.s), len(s)-contextDepth-1, in.k); err != nil {
		t.Fatal(err)
	}
	if e != want || e[0].P > 0.1 {
		t.Errorf("%+v; want %+v, and P at most 0.1", e, want)
	}
}

// A long run of correct predictions decides, if it is unlikely enough.
func TestLocal(t *testing.T) {
	var e Estimate
	if err := e.predicted(newWork(t.Context(), nil), score{correct: 100, longest: 50}, 1000, 2); err != nil {
		t.Fatal(err)
	}
	if v := logNoRun(e.P, 51, 1000); math.Abs(v-math.Log(0.99)) > 1e-9 || !(e.P > 0.5) || e.MinEntropy != -math.Log2(e.P) {
		t.Errorf("%+v: %v", e, v)
	}
	// No correct prediction at all: 1 - 0.01^(1/N), and at least 1/k.
	if err := e.predicted(newWork(t.Context(), nil), score{}, 10, 256); err != nil || math.Abs(e.P-0.369043) > 1e-6 {
		t.Errorf("%+v, %v", e, err)
	}
	if err := e.predicted(newWork(t.Context(), nil), score{correct: 1000, longest: 1000}, 1000, 2); err != nil || e.P != 1 || e.MinEntropy != 0 {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestTuples(t *testing.T) {
	// A tuple counts if it occurs 35 times.
	for n, want := range map[int]bool{34: false, 35: true} {
		s := bytes.Repeat([]byte{0}, n)
		for i := range 70 - n { // the others are less frequent
			s = append(s, byte(1+i%2))
		}
		var e [2]Estimate
		if err := tuples(newWork(t.Context(), nil), input{s, 3}, e[:]); err != nil || (e[0].Skipped == "") != want {
			t.Errorf("%d times: %+v, %v", n, e[0], err)
		}
	}
	// 34 different symbols, twice: 35-W of the tuples of length W are equal to another.
	s := make([]byte, 68)
	for i := range s {
		s[i] = byte(i % 34)
	}
	var e [2]Estimate
	if err := tuples(newWork(t.Context(), nil), input{s, 34}, e[:]); err != nil {
		t.Fatal(err)
	}
	most := 0.0
	for w := 1; w <= 34; w++ {
		most = max(most, math.Pow(float64(35-w)/float64((69-w)*(68-w)/2), 1/float64(w)))
	}
	if want := most + 2.5758293035489008*math.Sqrt(most*(1-most)/67); math.Abs(e[1].P-want) > 1e-12 {
		t.Errorf("%+v; want %v", e[1], want)
	}
}

func TestExpand(t *testing.T) {
	if got, want := expand([]byte{6, 1}, 4), []byte{0, 1, 1, 0, 0, 0, 0, 1}; !slices.Equal(got, want) {
		t.Errorf("%v; want %v", got, want)
	}
}

func TestTable(t *testing.T) {
	var x table
	want := map[[2]int32]int32{}
	g := newGenerator(1, 1)
	for i := range int32(20_000) {
		node, symbol := int32(1+g.below(300)), byte(g.below(256))
		p := x.get(node, symbol)
		if v, ok := want[[2]int32{node, int32(symbol)}]; ok != (p != nil) || ok && *p != v {
			t.Fatalf("%d, %d: %v; want %d, %t", node, symbol, p, v, ok)
		}
		if p == nil {
			p = x.put(node, symbol)
			want[[2]int32{node, int32(symbol)}] = i
			*p = i
		}
	}
	if x.n != len(want) || 2*(x.n-1) >= len(x.slots) {
		t.Errorf("%d pairs in %d slots; want %d", x.n, len(x.slots), len(want))
	}
}

func TestNames(t *testing.T) {
	for _, e := range estimators {
		if len(e.names) != len(e.sections) || !strings.HasPrefix(e.sections[0], "6.3.") {
			t.Errorf("%+v", e)
		}
	}
}
