package assess

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// of returns a permuter for raw symbols.
func of(raw ...byte) *permuter {
	in := translate(raw)
	p := newPermuter(raw, in)
	p.set(in.s)
	return p
}

// The examples of SP 800-90B, Section 5.1.
func TestStatistics(t *testing.T) {
	bits := of(1, 0, 0, 0, 1, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 0, 1, 1)
	if got := fmt.Sprint(bits.convert); got != "[[4 6 2] [142 219 48]]" {
		t.Errorf("conversions %s", got)
	}
	runs := of(2, 2, 2, 5, 7, 7, 9, 3, 1, 4, 4)
	median := of(5, 15, 12, 1, 13, 9, 4)
	collisions := of(2, 1, 1, 2, 0, 1, 0, 1, 1, 2)
	for _, tt := range []struct {
		name string
		p    *permuter
		want float64
	}{
		{"excursion", of(2, 15, 4, 10, 9), 6},
		{"number of directional runs", runs, 3},
		{"length of directional runs", runs, 6},
		{"number of increases and decreases", runs, 8},
		{"number of runs based on the median", median, 5},
		{"length of runs based on the median", median, 2},
		{"average collision", collisions, 3},
		{"maximum collision", collisions, 4},
		{"periodicity (lag 2)", of(2, 1, 2, 1, 0, 1, 0, 1, 1, 2), 5},
		{"covariance (lag 2)", of(5, 2, 6, 10, 12, 3, 1), 164},
		// Of bits: of the conversions, and of the bits themselves.
		{"number of directional runs", bits, 2},
		{"periodicity (lag 1)", bits, 0},
		{"covariance (lag 1)", bits, 4*6 + 6*2},
		{"number of runs based on the median", bits, 11},
		{"excursion", of(7, 7, 9, 9), 2},
	} {
		i := slices.IndexFunc(statistics(), func(s statistic) bool { return s.name == tt.name })
		if i < 0 {
			t.Fatalf("there is no %s", tt.name)
		}
		if got := statistics()[i].of(tt.p); got != tt.want {
			t.Errorf("%s of %v: %v; want %v", tt.name, tt.p.s, got, tt.want)
		}
	}
	if list := statistics(); len(list) != 19 {
		t.Errorf("%d statistics; want 19", len(list))
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		s    []byte
		want float64 // of the numbers of the symbols
	}{
		{[]byte{9, 5, 7}, 1},
		{[]byte{9, 5, 7, 5, 7, 7}, 1},
		{[]byte{9, 5, 7, 6}, 1.5},
		{[]byte{1, 1, 1, 2, 3}, 0},
		{[]byte{1, 1, 2, 3}, 0.5},
		{[]byte{0, 0, 0, 1}, 0.5}, // two symbols
	} {
		if got := of(tt.s...).median; got != tt.want {
			t.Errorf("%v: %v; want %v", tt.s, got, tt.want)
		}
	}
}

// The sizes are those of bzip2 -5, version 1.0.8.
func TestBzip2Size(t *testing.T) {
	for _, tt := range []struct {
		n, width, bias int
		want           int
	}{
		{2, 1, 0, 39},
		{100, 1, 0, 61},
		{150, 4, 2, 118},
		{500, 8, 0, 670},
		{1500, 8, 3, 1565},
		{30000, 8, 0, 32172},
		{160000, 8, 0, 170914},
		{300000, 1, 0, 46794},
	} {
		p := of(noise(1, tt.n, tt.width, tt.bias)...)
		if got := p.compression(); int(got) != tt.want {
			t.Errorf("%d symbols of %d bits, bias %d: %v; want %d", tt.n, tt.width, tt.bias, got, tt.want)
		}
	}
	// Periods, with rotations that are equal.
	for _, tt := range []struct {
		text string
		want int
	}{
		{"0", 37},
		{strings.Repeat("0 1 ", 50_000), 49},
		{strings.Repeat("0 0 1 ", 100), 45},
		{strings.Repeat("10 255 7 7 ", 99_999) + "3", 191},
	} {
		if got := bzip2Size([]byte(tt.text)); got != tt.want {
			t.Errorf("%.20s…: %d; want %d", tt.text, got, tt.want)
		}
	}
}

func TestLeastRotation(t *testing.T) {
	for _, in := range texts() {
		i := leastRotation(in.s)
		least := append(in.s[i:len(in.s):len(in.s)], in.s[:i]...)
		for j := range in.s {
			if bytes.Compare(append(in.s[j:len(in.s):len(in.s)], in.s[:j]...), least) < 0 {
				t.Fatalf("%v: rotation %d is not the least", in.s, i)
			}
		}
	}
}

func TestUpperGamma(t *testing.T) {
	// Critical values of the chi-square distribution, and two closed forms.
	for _, tt := range []struct{ freedom, x, want float64 }{
		{1, 3.841458820694124, 0.05},
		{9, 27.87716487128157, 0.001},
		{10, 18.30703805327515, 0.05},
		{100, 124.342113404004, 0.05},
	} {
		if got := upperGamma(tt.freedom/2, tt.x/2); math.Abs(got-tt.want) > 1e-11 {
			t.Errorf("Q(%v/2, %v/2) = %v; want %v", tt.freedom, tt.x, got, tt.want)
		}
	}
	for _, x := range []float64{1e-9, 0.3, 1, 5, 40, 700, 2000} {
		if got, want := upperGamma(0.5, x), math.Erfc(math.Sqrt(x)); math.Abs(got-want) > 1e-13 {
			t.Errorf("Q(1/2, %v) = %v; want %v", x, got, want)
		}
		for _, a := range []int{1, 2, 30, 1000} { // the sum of Poisson probabilities
			want := 0.0
			for j := range a {
				l, _ := math.Lgamma(float64(j + 1))
				want += math.Exp(float64(j)*math.Log(x) - x - l)
			}
			if got := upperGamma(float64(a), x); math.Abs(got-want) > 1e-11 {
				t.Errorf("Q(%d, %v) = %v; want %v", a, x, got, want)
			}
		}
	}
	if got := upperGamma(3, 0); got != 1 {
		t.Errorf("Q(3, 0) = %v", got)
	}
}

func TestBins(t *testing.T) {
	for _, tt := range []struct {
		expected []float64
		bin      []int
		sums     []float64
	}{
		{[]float64{1, 6, 2, 3, 7}, []int{0, 1, 0, 0, 2}, []float64{6, 6, 7}},
		{[]float64{4, 4, 4}, []int{0, 0, 0}, []float64{12}}, // the last is too small
		{[]float64{1, 2}, []int{0, 0}, []float64{3}},
		{[]float64{5, 5}, []int{0, 1}, []float64{5, 5}},
	} {
		if bin, sums := bins(tt.expected); !slices.Equal(bin, tt.bin) || !slices.Equal(sums, tt.sums) {
			t.Errorf("%v: %v, %v; want %v, %v", tt.expected, bin, sums, tt.bin, tt.sums)
		}
	}
}

func TestIID(t *testing.T) {
	const n = 8000
	steps := make([]byte, 120) // a walk
	for i := 1; i < len(steps); i++ {
		steps[i] = (steps[i-1] + noise(uint64(i), 1, 2, 0)[0]) % 16
	}
	for _, tt := range []struct {
		name    string
		s       []byte
		width   int
		against string // what must not be passed; "" if all is
	}{
		{"uniform bits", noise(1, n, 1, 0), 1, ""},
		{"biased bits", noise(2, n, 1, 1), 1, ""},
		{"biased nibbles", noise(5, n, 4, 2), 4, ""},
		{"bits with memory", chain(1, 150, 1, 1), 1, "independence"},
		{"walk", steps, 4, "directional runs"},
		{"symbols with memory", chain(2, 200, 2, 1), 2, "independence"},
		{"two parts", append(bytes.Repeat([]byte{0}, 60), noise(1, 120, 2, 0)...), 2, "fit"},
		{"two parts of bits", append(bytes.Repeat([]byte{0}, 60), noise(1, 120, 1, 0)...), 1, "fit"},
		{"twice the same", append(noise(1, 60, 4, 0), noise(1, 60, 4, 0)...), 4, "LRS"},
	} {
		if (race || testing.Short()) && tt.against != "" && tt.name != "two parts of bits" {
			continue // ten thousand permutations
		}
		if testing.Short() && tt.name == "biased nibbles" {
			continue
		}
		r, err := IID(t.Context(), tt.s, tt.width, &Options{Seed: 1, Complete: true})
		if err != nil {
			t.Fatal(err)
		}
		failed := ""
		for _, v := range []struct {
			name   string
			passed bool
		}{{"independence", r.Independence.Passed}, {"fit", r.Fit.Passed}, {"LRS", r.LRS.Passed}} {
			if !v.passed {
				failed += v.name + " "
			}
		}
		for _, p := range r.Permutation {
			if !p.Passed {
				failed += p.Name + " "
				if p.Greater+p.Equal+p.Less != Permutations {
					t.Errorf("%s: %+v failed before the end", tt.name, p)
				}
			}
			if p.Passed != (p.Greater+p.Equal > 5 && p.Less+p.Equal > 5) {
				t.Errorf("%s: %+v", tt.name, p)
			}
		}
		if r.Passed != (failed == "") || tt.against == "" && failed != "" || !strings.Contains(failed, tt.against) {
			t.Errorf("%s: failed %q; want %q", tt.name, failed, tt.against)
		}
		if !r.Short || len(r.Warnings()) == 0 || !(r.MinEntropy > 0 && r.MinEntropy <= r.HOriginal) {
			t.Errorf("%s: %+v", tt.name, r)
		}
	}
}

// Without Complete the tests end with the step in which one has failed. What was done has
// the same result.
func TestIIDEnds(t *testing.T) {
	if race || testing.Short() {
		t.Skip("ten thousand permutations, twice")
	}
	lag := noise(3, 1000, 4, 0) // pairs are independent, and no long piece comes twice
	for i := 32; i < len(lag); i++ {
		if noise(uint64(i), 1, 2, 0)[0] == 0 {
			lag[i] = lag[i-32]
		}
	}
	for _, tt := range []struct {
		name    string
		s       []byte
		skipped int
	}{
		{"bits with memory", chain(1, 150, 1, 1), 19},
		{"nibbles with a far memory", lag, 1},
		{"uniform nibbles", noise(5, 1000, 4, 0), 0},
	} {
		all, err := IID(t.Context(), tt.s, 4, &Options{Seed: 1, Complete: true})
		if err != nil {
			t.Fatal(err)
		}
		var last, total int64
		r, err := IID(t.Context(), tt.s, 4, &Options{Seed: 1, Progress: func(done, of int64) {
			if done <= last {
				t.Errorf("%s: progress %d after %d", tt.name, done, last)
			}
			last, total = done, of
		}})
		if err != nil || last != total || total == 0 {
			t.Fatalf("%s: %v, progress %d of %d", tt.name, err, last, total)
		}
		skipped := 0
		for i, p := range r.Permutation {
			if p.Skipped {
				skipped++
				if p.Passed || p.Name != all.Permutation[i].Name || p.Section != all.Permutation[i].Section {
					t.Errorf("%s: %+v", tt.name, p)
				}
				r.Permutation[i] = all.Permutation[i]
			}
		}
		if skipped != tt.skipped || r.Passed != (skipped == 0) || !reflect.DeepEqual(r, all) {
			t.Errorf("%s: %d skipped, passed %v\n%+v; want\n%+v", tt.name, skipped, r.Passed, r, all)
		}
	}
}

// The result depends on the seed, and on nothing else.
func TestIIDSeed(t *testing.T) {
	s := noise(1, 2000, 4, 0)
	var first *IIDReport
	for _, o := range []*Options{{Workers: 1}, {Workers: 3}, nil} {
		r, err := IID(t.Context(), s, 4, o)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = r
		}
		if !reflect.DeepEqual(r, first) {
			t.Errorf("%+v: %+v; want %+v", o, r, first)
		}
	}
	if r, err := IID(t.Context(), s, 4, &Options{Seed: 2}); err != nil || reflect.DeepEqual(r, first) {
		t.Errorf("another seed has the same result, %v", err)
	}
}

// The generator's first outputs for the state 1, 2, 3, 4 are those of its authors' code.
func TestGenerator(t *testing.T) {
	g := &generator{1, 2, 3, 4}
	for i, want := range []uint64{11520, 0, 1509978240, 1215971899390074240} {
		if got := g.next(); got != want {
			t.Errorf("output %d: %d; want %d", i, got, want)
		}
	}
	// Of 60,000 permutations of three each comes about 10,000 times: within 600, which
	// is six standard deviations, but with a probability below 1e-8.
	count := map[string]int{}
	for i := range uint64(60_000) {
		s := []byte("abc")
		newGenerator(1, i).shuffle(s)
		count[string(s)]++
	}
	for s, n := range count {
		if len(count) != 6 || n < 9400 || n > 10_600 {
			t.Errorf("%s: %d times", s, n)
		}
	}
}
