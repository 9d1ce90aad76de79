package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lrng-go/lrng/es/assess"
)

// write writes samples to a file: n of them, below k.
func write(t *testing.T, name string, n, k int) []byte {
	t.Helper()
	r := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.IntN(k))
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAssess(t *testing.T) {
	t.Chdir(t.TempDir())
	samples := write(t, "noise", 6000, 16)
	want, err := assess.NonIID(t.Context(), samples, 4, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := must(t, "assess", "noise")
	for _, line := range []string{
		"noise: 6000 samples of 4 bits, 16 distinct\n",
		"  6.3.2   collision                                -  0.",
		"  6.3.10  LZ78Y                             3.",
		"H_original   3.", "H_bitstring  0.", "min-entropy  ",
		"warning: 6000 samples; the standard asks for 1000000, and an estimate from fewer supports no claim: it may be too high or too low\n",
	} {
		if !strings.Contains(out, line) {
			t.Errorf("%q is not in\n%s", line, out)
		}
	}
	var r result
	if err := json.Unmarshal([]byte(must(t, "assess", "-json", "noise")), &r); err != nil || r.NonIID.MinEntropy != want.MinEntropy || r.HI != want.MinEntropy || len(r.SHA256) != 64 || len(r.Warnings) != 1 {
		t.Errorf("%+v, %v; want %+v", r, err, want)
	}
	// Two symbols, whatever they are, are bits.
	if err := os.WriteFile("two", bytes.Repeat([]byte{3, 200, 3, 3, 200}, 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := must(t, "assess", "two", "-bits", "8"); !strings.Contains(out, "warning: two symbols in samples of 8 bits; they are assessed as samples of one bit\n") {
		t.Error(out)
	}
	// Flags may follow the file, which may be standard input.
	var text, msg bytes.Buffer
	if code := run(t.Context(), stdio{bytes.NewReader(samples), &text, &msg}, strings.Fields("assess - -bits 8 -json -claim 1.5")); code != 0 || json.Unmarshal(text.Bytes(), &r) != nil || r.File != "-" || r.NonIID.Bits != 8 || !r.NonIID.Narrow || r.HI != 1.5 {
		t.Errorf("standard input: %d, %s%+v", code, &msg, r)
	}
	if out := must(t, "assess", "-claim", "1.5", "noise"); !strings.Contains(out, "H_I          1.500000 bits a sample, as claimed\n") {
		t.Error(out)
	}
}

// What record writes is assessed as its header says.
func TestAssessRecord(t *testing.T) {
	t.Chdir(t.TempDir())
	must(t, "record", "-n", "5000", "-o", "noise", "jitter")
	must(t, "record", "-restart", "20x30", "-o", "matrix", "jitter")
	var r result
	code, out, msg := call(t, "assess", "noise.bin", "-restart", "matrix.bin", "-json", "-claim", "0.01")
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Source != "jitter" || r.NonIID.Bits != 8 || r.NonIID.Samples != 5000 || r.Restart.Rows != 20 || r.Restart.Columns != 30 || (code == 0) != r.Restart.Passed {
		t.Errorf("exit code %d: %s%s, %v", code, out, msg, err)
	}
	// Samples that are not those of the header.
	if err := os.Rename("matrix.bin", "noise.bin"); err != nil {
		t.Fatal(err)
	}
	if code, _, msg := call(t, "assess", "noise.bin"); code != 1 || !strings.Contains(msg, "noise.json is the header of another record than noise.bin") {
		t.Errorf("%d: %s", code, msg)
	}
	// Somebody else's JSON does not matter.
	if err := os.WriteFile("noise.json", []byte(`{"files": 7}`), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "assess", "noise.bin")
}

// writeMatrix writes a restart matrix as record does.
func writeMatrix(t *testing.T, base string, matrix []byte, rows int) {
	t.Helper()
	h := newHeader(&recording{source: "dice", restart: shape{rows, len(matrix) / rows}})
	h.Bits, h.Samples = 1, len(matrix)
	if err := h.write(base+".bin", matrix); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(h)
	if err == nil {
		err = os.WriteFile(base+".json", text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A failed restart test is a failure of the command, and the facts are printed all the
// same.
func TestAssessRestart(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "noise", 10_000, 2)
	writeMatrix(t, "good", write(t, "x", 6000, 2), 60)
	out := must(t, "assess", "noise", "-restart", "good.bin", "-claim", "0.5")
	for _, line := range []string{
		"Restart tests (Section 3.1.4): 60 starts with 100 samples\n",
		"at least 0.250000: passed\n", "verdict      passed\n", "min-entropy  0.500000 bits a sample, after the restart tests\n",
		"warning: restart: 60 restarts with 100 samples; the standard asks for 1000 with 1000\n",
	} {
		if !strings.Contains(out, line) {
			t.Errorf("%q is not in\n%s", line, out)
		}
	}
	writeMatrix(t, "same", bytes.Repeat(write(t, "x", 100, 2), 60), 60)
	code, out, msg := call(t, "assess", "noise", "-restart", "same.bin")
	if code != 1 || !strings.Contains(msg, "the restart tests failed") || !strings.Contains(out, "most common symbol of a column       60, at most ") || !strings.Contains(out, "verdict      failed\n") || strings.Contains(out, "after the restart tests") {
		t.Errorf("exit code %d: %s%s", code, out, msg)
	}
}

func TestAssessIID(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "noise", 5000, 2)
	out := must(t, "assess", "noise", "-iid", "-seed", "7")
	if !strings.Contains(out, "  5.1.11  compression  ") || !strings.Contains(out, "verdict      nothing speaks against it\n") {
		t.Error(out)
	}
	if again := must(t, "assess", "noise", "-iid", "-seed", "7"); again != out {
		t.Errorf("the same seed has another result:\n%s%s", out, again)
	}
	if err := os.WriteFile("walk", bytes.Repeat([]byte{0, 0, 1, 1, 1}, 20), 0o600); err != nil {
		t.Fatal(err)
	}
	out = must(t, "assess", "walk", "-iid")
	for _, line := range []string{"  5.1.11  compression                         not done: another test has failed\n", "verdict      not independent and identically distributed\n"} {
		if !strings.Contains(out, line) {
			t.Errorf("%q is not in\n%s", line, out)
		}
	}
	if testing.Short() {
		return // ten thousand permutations
	}
	if out := must(t, "assess", "walk", "-iid", "-complete"); strings.Contains(out, "not done") || !strings.Contains(out, "verdict      not independent and identically distributed\n") {
		t.Error(out)
	}
}

// A plot is XML without anything from elsewhere, and shows all there is.
func TestPlot(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, k := range map[string]int{"bits": 2, "bytes & <more>": 256, "constant": 1} {
		write(t, name, 20_000, k)
		svg := name + ".svg"
		must(t, "assess", name, "-plot", svg)
		text, err := os.ReadFile(svg)
		if err != nil {
			t.Fatal(err)
		}
		count := map[string]int{}
		d := xml.NewDecoder(bytes.NewReader(text))
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if e, ok := token.(xml.StartElement); ok {
				class := ""
				for _, a := range e.Attr {
					if a.Name.Local == "class" {
						class = a.Value
					}
					if a.Name.Local == "href" || strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") || strings.HasPrefix(a.Value, "-") && a.Name.Local != "y" {
						t.Errorf("%s: %s=%q", name, a.Name.Local, a.Value)
					}
				}
				count[e.Name.Local+" "+class]++
			}
		}
		// A bar for each symbol, lag and estimate.
		bars := count["rect bar"] + count["rect bits"] + count["rect least"]
		if want := map[int]int{2: 2 + plotLags + 10, 256: 256 + plotLags + 17, 1: 1 + plotLags}[k]; bars != want || count["svg "] != 1 {
			t.Errorf("%s: %d bars; want %d", name, bars, want)
		}
	}
	if code, _, msg := call(t, "assess", "bits", "-plot", "bits.svg"); code != 1 || !strings.Contains(msg, "bits.svg is there already; -force overwrites it") {
		t.Errorf("%d: %s", code, msg)
	}
	must(t, "assess", "bits", "-plot", "bits.svg", "-force")
	if names, _ := filepath.Glob(".lrng*"); len(names) != 0 {
		t.Errorf("left: %q", names)
	}
}

func TestSteps(t *testing.T) {
	for _, most := range []float64{1e-9, 0.003, 0.0058, 0.99, 1, 1.01, 2.5, 9, 10, 100} {
		marks := steps(most)
		if n := len(marks); marks[0] != 0 || marks[n-1] < most || marks[n-2] >= most || n < 3 || n > 7 {
			t.Errorf("%v: %v", most, marks)
		}
	}
}

func TestCorrelations(t *testing.T) {
	r := correlations(bytes.Repeat([]byte{0, 1}, 500), 3)
	for i, want := range []float64{-0.999, 0.998, -0.997} {
		if d := r[i] - want; d > 1e-9 || d < -1e-9 {
			t.Errorf("lag %d: %v; want %v", i+1, r[i], want)
		}
	}
	if r := correlations([]byte{5, 5}, 4); r[0] != 0 || r[3] != 0 {
		t.Errorf("constant: %v", r)
	}
}

func TestAssessMistakes(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "noise", 100, 256)
	write(t, "empty", 0, 1)
	// A file with a hole.
	if err := errors.Join(os.WriteFile("huge", nil, 0o600), os.Truncate("huge", maxAssessed+1)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"assess", 2, "want one file"},
		{"assess noise noise", 2, "want one file"},
		{"assess noise -bits", 2, "needs an argument"},
		{"assess noise -bits 9", 2, "-bits: 9; want 1 to 8"},
		{"assess noise -claim -1", 2, "-claim: -1; want 0 to 8"},
		{"assess noise -claim NaN", 2, "-claim: NaN; want 0 to 8"},
		{"assess missing", 1, "missing: no such file"},
		{"assess .", 1, "is a directory"},
		{"assess empty", 1, "empty: no samples"},
		{"assess huge", 1, "huge: more than 16777216 samples; assess a part"},
		{"assess noise -bits 2", 1, "wider than 2 bits"},
		{"assess noise -restart noise", 1, "noise: assess: 100 samples; want a matrix of 1000 rows and 1000 columns"},
		{"assess noise -restart missing", 1, "missing: no such file"},
		{"assess noise -plot missing/x.svg", 1, "missing/"},
	} {
		code, out, msg := call(t, strings.Fields(tt.args)...)
		if code != tt.code || !strings.Contains(msg, tt.want) || out != "" {
			t.Errorf("lrng %s: exit code %d, %q, %q; want %d and %q", tt.args, code, out, msg, tt.code, tt.want)
		}
	}
}
