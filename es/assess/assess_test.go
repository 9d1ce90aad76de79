package assess

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// noise returns n symbols of the given width. The greater bias is, the more often they are
// small.
func noise(seed uint64, n, width, bias int) []byte {
	g := newGenerator(seed, 0)
	s := make([]byte, n)
	for i := range s {
		v := g.below(1 << width)
		for range bias {
			v = min(v, g.below(1<<width))
		}
		s[i] = byte(v)
	}
	return s
}

// chain returns n symbols of the given width of which each is with a probability of 3/4
// the same as the one that came a few before.
func chain(seed uint64, n, width, lag int) []byte {
	g := newGenerator(seed, 1)
	s := noise(seed, n, width, 0)
	for i := lag; i < n; i++ {
		if g.below(4) != 0 {
			s[i] = s[i-lag]
		}
	}
	return s
}

// mixtures are inputs of several kinds.
func mixtures(n int) map[string]struct {
	s     []byte
	width int
} {
	type m = struct {
		s     []byte
		width int
	}
	half := noise(9, n/2, 1, 0)
	far := noise(8, n, 1, 0)
	for i := range far {
		far[i] = []byte{3, 200}[far[i]]
		if i > 2000 {
			far[i] = far[i-1] ^ far[i-2] ^ far[i-3]
		}
	}
	almost := make([]byte, n)
	almost[n/2] = 1
	return map[string]m{
		"uniform bits":   {noise(1, n, 1, 0), 1},
		"biased bits":    {noise(2, n, 1, 2), 1},
		"uniform nibble": {noise(3, n, 4, 0), 4},
		"biased bytes":   {noise(4, n, 8, 3), 8},
		"uniform bytes":  {noise(5, n, 8, 0), 8},
		"lag 1, bits":    {chain(6, n, 1, 1), 1},
		"lag 7, bytes":   {chain(7, n, 8, 7), 8},
		"lag 128, bytes": {chain(10, n, 8, 128), 8},
		"two far bytes":  {far, 8},
		"twice the same": {append(half, half...), 1},
		"a single one":   {almost, 1},
		"period 3":       {bytes.Repeat([]byte{2, 0, 1}, n/3), 2},
		"counter":        {bytes.Repeat([]byte{0, 1, 2, 3, 4, 5, 6, 7}, n/8), 3},
	}
}

// The examples of SP 800-90B, Sections 6.3.1 to 6.3.3.
func TestExamples(t *testing.T) {
	bits := []byte{1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0}
	for _, tt := range []struct {
		estimate func(*work, input, []Estimate) error
		in       input
		want     float64
	}{
		{mostCommonValue, input{[]byte{0, 1, 1, 2, 0, 1, 2, 2, 0, 1, 0, 1, 1, 0, 2, 2, 1, 0, 2, 1}, 3}, 0.5363},
		{collision, input{bits, 2}, 0.4483},
		{markov, input{bits, 2}, 0.761},
	} {
		var e [1]Estimate
		if err := tt.estimate(nil, tt.in, e[:]); err != nil || math.Abs(e[0].MinEntropy-tt.want) > 5e-4 {
			t.Errorf("%+v, %v; want %v", e, err, tt.want)
		}
	}
}

// Whatever the samples, the report is consistent, and does not depend on the workers.
func TestNonIID(t *testing.T) {
	n := 6000
	if race { // the race detector looks at workers, and not at numbers
		n = 2000
	}
	for name, m := range mixtures(n) {
		t.Run(name, func(t *testing.T) {
			r, err := NonIID(t.Context(), m.s, m.width, &Options{Workers: 1})
			if err != nil {
				t.Fatal(err)
			}
			checkReport(t, r, m.s, m.width)
			again, err := NonIID(t.Context(), m.s, m.width, &Options{Workers: 3})
			if err != nil || !reflect.DeepEqual(r, again) {
				t.Errorf("with three workers: %+v, %v; with one: %+v", again, err, r)
			}
		})
	}
}

func checkReport(t *testing.T, r *Report, samples []byte, width int) {
	t.Helper()
	distinct := map[byte]bool{}
	for _, s := range samples {
		distinct[s] = true
	}
	k := len(distinct)
	if r.Samples != len(samples) || r.Bits != width || r.Symbols != k || r.Constant != (k == 1) || r.Short != (len(samples) < Samples) || r.Narrow != (Width(samples) < width) {
		t.Errorf("%+v", r)
	}
	if want := map[bool]int{true: 10, false: 7}[k == 2]; len(r.Original) != want {
		t.Errorf("%d estimates of symbols; want %d", len(r.Original), want)
	}
	if want := map[bool]int{true: 10, false: 0}[k > 2]; len(r.Bitstring) != want {
		t.Errorf("%d estimates of bits; want %d", len(r.Bitstring), want)
	}
	least := [2]float64{float64(width), 1}
	if k == 1 {
		least[0] = 0
	}
	for i, part := range [][]Estimate{r.Original, r.Bitstring} {
		for _, e := range part {
			if e.Skipped != "" {
				if e.MinEntropy != 0 || e.P != 0 {
					t.Errorf("%+v", e)
				}
				continue
			}
			most := math.Log2(float64(k))
			if i == 1 {
				most = 1
			}
			if e.Section == "6.3.6" {
				most = math.Inf(1) // for a few samples it may be above the logarithm
			}
			if !(e.MinEntropy >= 0 && e.MinEntropy <= most+1e-9) || math.Signbit(e.MinEntropy) || !(e.P > 0 && e.P <= 1) {
				t.Errorf("%+v; at most %v bits", e, most)
			}
			least[i] = min(least[i], e.MinEntropy)
		}
	}
	if r.HOriginal != least[0] || r.HBitstring != least[1] || r.MinEntropy != min(least[0], float64(width)*least[1]) {
		t.Errorf("H_original %v, H_bitstring %v, min-entropy %v; want %v and the least of them", r.HOriginal, r.HBitstring, r.MinEntropy, least)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(&back, r) {
		t.Errorf("JSON: %+v, %v; want %+v", back, err, r)
	}
}

// Predictable samples have little entropy, and unpredictable ones much.
func TestOrderOfMagnitude(t *testing.T) {
	all := mixtures(16_000)
	for name, want := range map[string][2]float64{
		"uniform bits":   {0.7, 1},
		"uniform bytes":  {5, 8},
		"biased bytes":   {3, 6.1},    // the least byte has a probability of 1-(255/256)⁴ = 2^-6.0
		"lag 1, bits":    {0.05, 0.2}, // log2(8/7) = 0.193 is the entropy
		"lag 7, bytes":   {0.2, 0.42}, // log2(4/3) = 0.415
		"twice the same": {0, 0.01},
		"a single one":   {0, 0.01},
		"period 3":       {0, 0.01},
		"counter":        {0, 0.01},
	} {
		m := all[name]
		if race && m.width != 1 {
			continue // slow, and the other tests have the same goroutines
		}
		r, err := NonIID(t.Context(), m.s, m.width, nil)
		if err != nil || !(r.MinEntropy >= want[0] && r.MinEntropy <= want[1]) {
			t.Errorf("%s: %v bits, %v; want %v", name, r.MinEntropy, err, want)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		samples []byte
		width   int
		want    string
	}{
		{nil, 8, "assess: no samples"},
		{[]byte{1}, 0, "assess: width 0; want 1 to 8 bits"},
		{[]byte{1}, 9, "assess: width 9; want 1 to 8 bits"},
		{[]byte{0, 1, 2}, 1, "assess: sample 2 is 2, which is wider than 1 bits"},
		{[]byte{127, 128}, 7, "assess: sample 1 is 128, which is wider than 7 bits"},
	} {
		for name, call := range map[string]func() error{
			"NonIID":  func() error { _, err := NonIID(t.Context(), tt.samples, tt.width, nil); return err },
			"IID":     func() error { _, err := IID(t.Context(), tt.samples, tt.width, nil); return err },
			"Restart": func() error { _, err := Restart(t.Context(), tt.samples, 1, 1, tt.width, 0, nil); return err },
		} {
			if err := call(); err == nil || err.Error() != tt.want {
				t.Errorf("%s: %v; want %s", name, err, tt.want)
			}
		}
	}
	if err := check(make([]byte, 8), 8); err != nil {
		t.Error(err)
	}
}

// A few samples have an answer, too, if not from all estimators, and are flagged.
func TestFew(t *testing.T) {
	for n := 1; n < 24; n++ {
		for _, width := range []int{1, 2, 8} {
			for bias := range 2 {
				s := noise(uint64(n), n, width, bias)
				r, err := NonIID(t.Context(), s, width, nil)
				if err != nil {
					t.Fatal(err)
				}
				checkReport(t, r, s, width)
				if len(r.Warnings()) == 0 || !r.Short {
					t.Errorf("%d samples: no warning", n)
				}
			}
		}
	}
}

func TestConstant(t *testing.T) {
	for _, n := range []int{1, 2, 5000, Samples} {
		r, err := NonIID(t.Context(), bytes.Repeat([]byte{7}, n), 8, nil)
		if err != nil || !r.Constant || r.MinEntropy != 0 || r.HOriginal != 0 || r.Short != (n < Samples) || !strings.Contains(fmt.Sprint(r.Warnings()), "all samples are the same") {
			t.Errorf("%d samples: %+v, %v", n, r, err)
		}
		i, err := IID(t.Context(), bytes.Repeat([]byte{7}, n), 8, nil)
		if err != nil || !i.Constant || i.Passed || i.MinEntropy != 0 || len(i.Warnings()) == 0 {
			t.Errorf("%d samples: %+v, %v", n, i, err)
		}
	}
}

// Data that repeat themselves take no longer than others. An algorithm that goes through
// all lengths of repeated substrings would take hours for them.
func TestRepetitive(t *testing.T) {
	n := 1 << 18
	if testing.Short() {
		n = 1 << 16
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for _, name := range []string{"twice the same", "a single one"} {
		m := mixtures(n)[name]
		in := translate(m.s)
		var e [2]Estimate
		if err := tuples(newWork(ctx, nil), in, e[:]); err != nil {
			t.Fatal(err)
		}
		if e[1].Skipped != "" || e[1].MinEntropy > 0.01 {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := noise(1, 1_000_000, 8, 0)
	if r, err := NonIID(ctx, s, 8, nil); r != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("NonIID: %v", err)
	}
	if r, err := Restart(ctx, s, 1000, 1000, 8, 4, nil); r != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("Restart: %v", err)
	}
	if r, err := IID(ctx, s[:10_000], 8, nil); r != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("IID: %v", err)
	}
	// In the midst of it.
	ctx, cancel = context.WithCancel(t.Context())
	n := 0
	r, err := NonIID(ctx, s[:5000], 8, &Options{Workers: 1, Progress: func(done, total int64) { n++; cancel() }})
	if r != nil || !errors.Is(err, context.Canceled) || n != 1 {
		t.Errorf("%v after %d steps", err, n)
	}
}

func TestProgress(t *testing.T) {
	s := noise(1, 5000, 4, 0)
	for name, call := range map[string]func(*Options) error{
		"NonIID":  func(o *Options) error { _, err := NonIID(t.Context(), s, 4, o); return err },
		"Restart": func(o *Options) error { _, err := Restart(t.Context(), s, 100, 50, 4, 2, o); return err },
		"IID":     func(o *Options) error { _, err := IID(t.Context(), s[:500], 4, o); return err },
	} {
		var last, end int64
		err := call(&Options{Progress: func(done, total int64) {
			if done < last || done > total || end != 0 && total != end {
				t.Errorf("%s: %d of %d after %d of %d", name, done, total, last, end)
			}
			last, end = done, total
		}})
		if err != nil || last != end || end == 0 {
			t.Errorf("%s: ends with %d of %d, %v", name, last, end, err)
		}
	}
	if race || testing.Short() {
		return
	}
	// Within an estimator, too: each of the four that go through so many bits tells it.
	calls := 0
	if _, err := NonIID(t.Context(), noise(2, 3*(tickMask+1)+1, 1, 0), 1, &Options{Progress: func(int64, int64) { calls++ }}); err != nil || calls < len(estimators)+4*3+2 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

func TestWidth(t *testing.T) {
	for _, tt := range []struct {
		max  byte
		want int
	}{{0, 1}, {1, 1}, {2, 2}, {3, 2}, {4, 3}, {127, 7}, {128, 8}, {255, 8}} {
		if got := Width([]byte{0, tt.max}); got != tt.want {
			t.Errorf("%d: %d bits; want %d", tt.max, got, tt.want)
		}
	}
	if r, err := NonIID(t.Context(), noise(1, 5000, 4, 0), 6, nil); err != nil || !r.Narrow || !slices.Contains(r.Warnings(), "no symbol needs 6 bits; if the width is wrong, so are the estimates for bits") {
		t.Errorf("%+v, %v", r, err)
	}
}

func FuzzNonIID(f *testing.F) {
	f.Add([]byte{}, 8)
	f.Add([]byte{1, 2, 3, 1, 2, 3, 1, 2, 3, 255}, 8)
	f.Add(bytes.Repeat([]byte{0, 1, 1}, 30), 1)
	f.Fuzz(func(t *testing.T, samples []byte, width int) {
		r, err := NonIID(t.Context(), samples, width, nil)
		if err != nil {
			if check(samples, width) == nil {
				t.Fatal(err)
			}
			return
		}
		checkReport(t, r, samples, width)
		if len(samples) < 300 && (!testing.Short() || len(samples) < 30) { // for the permutations
			if _, err := IID(t.Context(), samples, width, nil); err != nil {
				t.Fatal(err)
			}
		}
		for rows := 2; rows*rows <= len(samples); rows++ {
			if len(samples)%rows == 0 {
				m, err := Restart(t.Context(), samples, rows, len(samples)/rows, width, r.MinEntropy, nil)
				if err != nil {
					t.Fatal(err)
				}
				if m.Passed != (m.Sane && min(m.HR, m.HC) >= m.HI/2) || m.MinEntropy > m.HI {
					t.Errorf("%+v", m)
				}
				break
			}
		}
	})
}
