package health

import (
	"encoding/csv"
	"errors"
	"io"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// B10. The first two are in SP 800-90B itself, Section 4.4.1 (α = 2⁻²⁰) being the
// formula; 41 is the cut-off of the source in the Go standard library (H = 0.5).
func TestRCTCutoff(t *testing.T) {
	for _, tt := range []struct {
		alpha, h float64
		want     int
	}{
		{20, 1, 21}, {30, 1, 31}, {20, 0.5, 41}, {20, 8, 4}, {20, 7, 4}, {21, 7, 4}, {22, 7, 5},
		{60, 1, 61}, {60, 0.6, 101}, {80, 1, 81}, {1, 64, 2}, {1024, 1, 1025},
		{30, 1. / 1024, 30*1024 + 1},
	} {
		if got, err := RCTCutoff(tt.alpha, tt.h); got != tt.want || err != nil {
			t.Errorf("α = 2^-%v, H = %v: %d, %v, want %d", tt.alpha, tt.h, got, err, tt.want)
		}
	}
	// The cut-off of a claim of 1/n bit is exact, although 1/n is rounded: 1/49
	// is the first for which alpha/(1/n) is not alpha·n.
	for n := 1; n <= 1000; n++ {
		for _, alpha := range []int{20, 22, 30, 40, 60, 80} {
			if got, err := RCTCutoff(float64(alpha), 1/float64(n)); got != alpha*n+1 || err != nil {
				t.Fatalf("α = 2^-%d, H = 1/%d: %d, %v, want %d", alpha, n, got, err, alpha*n+1)
			}
		}
	}
}

// B11: Table 2 of SP 800-90B, for α = 2⁻²⁰: noise of one bit with W = 1024, and of more
// with W = 512.
// B12: the corrected form, at most one more.
func TestAPTCutoff(t *testing.T) {
	for _, tt := range []struct {
		alpha, h            float64
		w                   int
		standard, corrected int
	}{
		{20, 8, 512, 13, 14}, {20, 4, 512, 62, 63}, {20, 2, 512, 177, 178},
		{20, 1, 512, 311, 311}, {20, 0.5, 512, 410, 411},
		{20, 1, 1024, 589, 590}, {20, 0.8, 1024, 664, 664}, {20, 0.6, 1024, 748, 748},
		{20, 0.4, 1024, 840, 841}, {20, 0.2, 1024, 941, 941},
		{80, 1, 512, 371, 371}, // LRNG, permanent
		// The cap. P(all of 32 symbols are equal) = 2^-31·h.
		{31, 1, 32, 32, 32}, {31.01, 1, 32, 32, 32}, {32, 1, 32, 32, 32}, {32.01, 1, 32, 33, 32},
		{60, 1. / 20, 512, 513, 512}, {60, 1. / 20, 1024, 1025, 1024},
	} {
		if got, err := APTCutoffStandard(tt.alpha, tt.h, tt.w); got != tt.standard || err != nil {
			t.Errorf("α = 2^-%v, H = %v, W = %d: standard %d, %v, want %d", tt.alpha, tt.h, tt.w, got, err, tt.standard)
		}
		if got, err := APTCutoff(tt.alpha, tt.h, tt.w); got != tt.corrected || err != nil {
			t.Errorf("α = 2^-%v, H = %v, W = %d: corrected %d, %v, want %d", tt.alpha, tt.h, tt.w, got, err, tt.corrected)
		}
	}
}

// The tables of jitterentropy-library 3.7 (src/jitterentropy-health.c): claims of
// 1/osr and, for its NTG.1 mode, 8/osr bits, with osr = 1, 2, … 20.
func TestAPTCutoffJitterentropy(t *testing.T) {
	for _, tt := range []struct {
		alpha, bits float64
		want        [20]int
	}{
		{30, 1, [20]int{325, 422, 459, 477, 488, 494, 499, 502, 505, 507, 508, 509, 510, 511, 512, 512, 512, 512, 512, 512}},
		{60, 1, [20]int{355, 447, 479, 494, 502, 507, 510, 512, 512, 512, 512, 512, 512, 512, 512, 512, 512, 512, 512, 512}},
		{30, 8, [20]int{17, 71, 136, 191, 236, 272, 301, 325, 345, 361, 375, 388, 398, 407, 415, 422, 429, 434, 439, 444}},
		{60, 8, [20]int{26, 92, 162, 221, 267, 303, 332, 355, 375, 390, 404, 415, 425, 433, 440, 447, 453, 458, 462, 466}},
	} {
		for i, want := range tt.want {
			if got, err := APTCutoff(tt.alpha, tt.bits/float64(i+1), 512); got != want || err != nil {
				t.Errorf("α = 2^-%v, H = %v/%d: %d, %v, want %d", tt.alpha, tt.bits, i+1, got, err, want)
			}
		}
	}
}

// exp2 returns 2^-h, from the binary digits of h and repeated square roots.
func exp2(h float64) *big.Float {
	whole, frac := math.Modf(h)
	p := new(big.Float).SetPrec(precision).SetMantExp(big.NewFloat(1), -int(whole))
	root := new(big.Float).SetPrec(precision).SetFloat64(0.5)
	for frac != 0 {
		root.Sqrt(root)
		var bit float64
		bit, frac = math.Modf(frac * 2)
		if bit == 1 {
			p.Mul(p, root)
		}
	}
	return p
}

const precision = 512 // bits

// reference is critbinom in the words of its definition: the smallest k for which
// the sum of the probabilities of 0 to k is at least 1-2^-alpha.
func reference(n int, h, alpha float64) int {
	p := exp2(h)
	one := new(big.Float).SetPrec(precision).SetInt64(1)
	q := new(big.Float).Sub(one, p)
	want := new(big.Float).Sub(one, exp2(alpha))
	term := new(big.Float).SetPrec(precision).SetInt64(1)
	for range n {
		term.Mul(term, q)
	}
	odds := new(big.Float).Quo(p, q)
	sum := new(big.Float).SetPrec(precision)
	for k := 0; ; k++ {
		if sum.Add(sum, term); k == n || sum.Cmp(want) >= 0 {
			return k
		}
		term.Mul(term, odds)
		term.Mul(term, new(big.Float).SetInt64(int64(n-k)))
		term.Quo(term, new(big.Float).SetInt64(int64(k+1)))
	}
}

func TestCritBinomAgainstDefinition(t *testing.T) {
	for _, h := range []float64{1e-6, 1. / 20, 1. / 16, 0.1, 1. / 3, 0.7, 0.95, 1, 1.0001, 2.5, 5, 7.5, 8, 16} {
		for _, n := range []int{1, 2, 3, 31, 100, 511, 512, 1023, 1024} {
			for _, alpha := range []float64{1, 20, 30, 40, 60, 80, 99.5} {
				if got, want := critBinom(n, h, alpha), reference(n, h, alpha); got != want {
					t.Errorf("n = %d, H = %v, α = 2^-%v: %d, want %d", n, h, alpha, got, want)
				}
			}
		}
	}
}

// Where P(X = n) = 2⁻ⁿʰ is exactly 2^-alpha, n-1 is the answer: rounding must not
// make it n, and the least that is more must.
func TestCritBinomEquality(t *testing.T) {
	for n := 2; n <= 1024; n++ {
		for _, d := range []int{1, 2, 3, 7, 16, 49} {
			alpha := float64(n) / float64(d)
			if alpha < 1 {
				continue
			}
			if got := critBinom(n, 1/float64(d), alpha); got != n-1 {
				t.Fatalf("n = %d, H = 1/%d, α = 2^-%v: %d, want %d", n, d, alpha, got, n-1)
			}
			if got := critBinom(n, 1/float64(d), alpha*(1+1e-6)); got != n {
				t.Fatalf("n = %d, H = 1/%d, α just below 2^-%v: %d, want %d", n, d, alpha, got, n)
			}
		}
	}
}

func TestCutoffArguments(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, tt := range []struct {
		alpha, h float64
		w        int
		names    string // what the error names, "" for none
	}{
		{1, 64, 2, ""}, {1024, 64, 1 << 16, ""}, {20, 1, 2, ""}, {20, 0x1p-20, 512, ""},
		{0.99, 1, 512, "alpha"}, {1024.1, 1, 512, "alpha"}, {0, 1, 512, "alpha"}, {-20, 1, 512, "alpha"},
		{nan, 1, 512, "alpha"}, {inf, 1, 512, "alpha"}, {-inf, 1, 512, "alpha"},
		{20, 0, 512, "h is"}, {20, -1, 512, "h is"}, {20, 64.1, 512, "h is"},
		{20, nan, 512, "h is"}, {20, inf, 512, "h is"}, {20, -inf, 512, "h is"},
		{20, 1, 1, "w is"}, {20, 1, 0, "w is"}, {20, 1, -512, "w is"}, {20, 1, 1<<16 + 1, "w is"},
	} {
		check := func(name string, c int, err error) {
			t.Helper()
			if tt.names == "" && (err != nil || c < 1) || tt.names != "" && (err == nil || c != 0 || !strings.Contains(err.Error(), tt.names)) {
				t.Errorf("%s(%v, %v, %d) = %d, %v, want an error that names %q", name, tt.alpha, tt.h, tt.w, c, err, tt.names)
			}
		}
		c, err := APTCutoff(tt.alpha, tt.h, tt.w)
		check("APTCutoff", c, err)
		c, err = APTCutoffStandard(tt.alpha, tt.h, tt.w)
		check("APTCutoffStandard", c, err)
		if tt.names != "w is" {
			c, err = RCTCutoff(tt.alpha, tt.h)
			check("RCTCutoff", c, err)
		}
	}

	// Claims so small that a run for the RCT would be too long to count: an
	// error. The APT still has its cap.
	for _, tt := range []struct {
		alpha, h float64
		want     int
	}{{1, 0x1p-30, 1<<30 + 1}, {1, 0x1p-31, 0}, {20, 1e-300, 0}, {1024, math.SmallestNonzeroFloat64, 0}} {
		if got, err := RCTCutoff(tt.alpha, tt.h); got != tt.want || (err == nil) != (tt.want != 0) {
			t.Errorf("RCTCutoff(%v, %v) = %d, %v, want %d", tt.alpha, tt.h, got, err, tt.want)
		}
		if got, err := APTCutoff(tt.alpha, tt.h, 512); got != 512 || err != nil {
			t.Errorf("APTCutoff(%v, %v, 512) = %d, %v, want 512", tt.alpha, tt.h, got, err)
		}
	}
}

// The table of LRNG_VECTORS has about 220 rows; it was computed by others with
// 80 digits.
func TestCutoffVectors(t *testing.T) {
	root := os.Getenv("LRNG_VECTORS")
	if root == "" {
		t.Skip("LRNG_VECTORS is not set")
	}
	f, err := os.Open(filepath.Join(root, "health", "health_cutoffs.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	if _, err := r.Read(); err != nil { // the heading
		t.Fatal(err)
	}
	rows := 0
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		rows++
		rat, ok := new(big.Rat).SetString(row[0])
		if !ok {
			t.Fatalf("row %d: H is %q", rows, row[0])
		}
		h, _ := rat.Float64()
		var n [6]int
		for i := range n {
			if n[i], err = strconv.Atoi(row[i+1]); err != nil {
				t.Fatalf("row %d: %v", rows, err)
			}
		}
		alpha, w := float64(-n[0]), n[1]
		if got, err := RCTCutoff(alpha, h); got != n[2] || err != nil {
			t.Errorf("%v: RCT %d, %v", row, got, err)
		}
		if got, err := APTCutoffStandard(alpha, h, w); got != n[3] || err != nil {
			t.Errorf("%v: APT, standard %d, %v", row, got, err)
		}
		if got, err := aptCutoff(alpha, h, w); got != n[4] || err != nil {
			t.Errorf("%v: APT, corrected %d, %v", row, got, err)
		}
		if got, err := APTCutoff(alpha, h, w); got != n[5] || err != nil {
			t.Errorf("%v: APT, capped %d, %v", row, got, err)
		}
	}
	if rows < 200 {
		t.Errorf("only %d rows", rows)
	}
}
