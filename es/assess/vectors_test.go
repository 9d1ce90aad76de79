package assess

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// vectorDir returns the directory of NIST's samples with the answers of NIST's tool, which
// are not part of this repository.
func vectorDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("LRNG_VECTORS")
	if dir == "" {
		t.Skip("LRNG_VECTORS is not set: no samples of NIST")
	}
	return filepath.Join(dir, "sp80090b")
}

// tolerance is for the difference to NIST's tool, in bits.
const tolerance = 1e-6

// toolNames are the names that the tool has for the estimators.
var toolNames = map[string]string{
	"most common value":                "Most Common Value",
	"collision":                        "Collision",
	"Markov":                           "Markov",
	"compression":                      "Compression",
	"t-tuple":                          "t-Tuple",
	"longest repeated substring":       "LRS",
	"multi most common in window":      "MultiMCW Prediction",
	"lag":                              "Lag Prediction",
	"multi Markov model with counting": "MultiMMC Prediction",
	"LZ78Y":                            "LZ78Y Prediction",
}

// TestVectors compares with what the tool prints for NIST's samples.
func TestVectors(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(vectorDir(t), "*.answers.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal("no answers", err)
	}
	loaded := regexp.MustCompile(`Loaded (\d+) samples of (\d+) distinct (\d)-bit-wide symbols`)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".answers.txt")
		if strings.HasSuffix(name, ".restart") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			samples, err := os.ReadFile(strings.TrimSuffix(file, ".answers.txt") + ".bin")
			if err != nil {
				t.Fatal(err)
			}
			if testing.Short() && len(samples) > 100_000 {
				t.Skip("takes seconds")
			}
			m := loaded.FindStringSubmatch(string(text))
			if m == nil {
				t.Fatal("the answers do not begin with the form of the samples")
			}
			width, _ := strconv.Atoi(m[3])
			r, err := NonIID(t.Context(), samples, width, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(r.Samples, r.Symbols, r.Bits); got != strings.Join(m[1:], " ") {
				t.Errorf("%s; want %s", got, m[1:])
			}
			compare := func(label string, got float64) {
				t.Helper()
				want, ok := number(string(text), label)
				if !ok {
					t.Errorf("%q is not in the answers", label)
				} else if !(math.Abs(got-want) < tolerance) {
					t.Errorf("%s %.17g; want %.17g", label, got, want)
				} else {
					t.Logf("%s %.17g: off by %.1g", label, got, got-want)
				}
			}
			n := 0
			for i, part := range [][]Estimate{r.Original, r.Bitstring} {
				for _, e := range part {
					label := [...]string{"Literal ", "Bitstring "}[i] + toolNames[e.Name] + " Estimate: min entropy ="
					if e.Skipped != "" {
						if _, ok := number(string(text), label); ok {
							t.Errorf("%s skipped: %s", label, e.Skipped)
						}
						continue
					}
					n++
					compare(label, e.MinEntropy)
				}
			}
			if want := strings.Count(string(text), "Estimate: min entropy"); n != want {
				t.Errorf("%d estimates; want %d", n, want)
			}
			compare("H_original =", r.HOriginal)
			compare("Assessed min entropy:", r.MinEntropy)
			if r.Bitstring != nil {
				compare("H_bitstring =", r.HBitstring)
			}
		})
	}
}

// number returns the number that follows the label, which begins a line.
func number(text, label string) (float64, bool) {
	_, rest, ok := strings.Cut("\n"+text, "\n"+label+" ")
	if !ok {
		return 0, false
	}
	word, _, _ := strings.Cut(rest, "\n")
	f, err := strconv.ParseFloat(word, 64)
	return f, err == nil
}

// TestRestartVectors compares with what the tool prints for NIST's restart matrix.
func TestRestartVectors(t *testing.T) {
	dir := vectorDir(t)
	if testing.Short() {
		t.Skip("takes seconds")
	}
	samples, err := os.ReadFile(filepath.Join(dir, "truerand_1bit.bin"))
	if err != nil {
		t.Fatal(err)
	}
	answers, err := os.ReadFile(filepath.Join(dir, "truerand_1bit.restart.answers.txt"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Restart(t.Context(), samples, 1000, 1000, 1, 0.8, nil)
	if err != nil {
		t.Fatal(err)
	}
	text := string(answers)
	want := func(format string, args ...any) {
		t.Helper()
		if line := fmt.Sprintf(format, args...); !strings.Contains(text, line+"\n") {
			t.Errorf("%s is not what NIST has", line)
		}
	}
	// The tool simulates the distribution: its cutoff is that of a random sample. The
	// probability of a count above 642 is 5.55e-6, and thus above α = 5.03e-6.
	want("ALPHA: 5.0251553006530614e-06, X_cutoff: %d", r.RowCutoff-1)
	if r.RowCutoff != 643 || r.ColumnCutoff != 643 {
		t.Errorf("cutoffs %d and %d; want 643", r.RowCutoff, r.ColumnCutoff)
	}
	want("X_max: %d", max(r.RowMax, r.ColumnMax))
	want("H_r: %.6f", r.HR)
	want("H_c: %.6f", r.HC)
	want("min(H_r, H_c, H_I): %.6f", r.MinEntropy)
	for i, part := range [][]Estimate{r.ByRow, r.ByColumn} {
		for _, e := range part {
			want("Estimate (%s) = %.6f / 1 bit(s)", [...]string{"Rows", "Cols"}[i], e.MinEntropy)
		}
	}
	if !r.Sane || !r.Passed || r.Short || r.Constant || len(r.Warnings()) != 0 {
		t.Errorf("%+v", r)
	}
}
