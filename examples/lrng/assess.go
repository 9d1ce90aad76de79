package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/lrng-go/lrng/es/assess"
)

var assessCommand = command{
	name:  "assess",
	args:  " FILE",
	short: "the min-entropy of recorded noise",
	long: `Assess estimates the min-entropy of noise, as SP 800-90B asks for. FILE holds one byte a
sample: what record writes, or any other source. The header that record writes beside it
is taken into account. FILE - is standard input:

  lrng record -o - jitter | lrng assess -

It prints the ten estimates of Section 6.3, for the symbols and for their bits, and the
least of them: the assessed min-entropy. With -restart it does the restart tests of
Section 3.1.4, too; a failure of these is one of the command. With -iid it tests whether
the samples are independent and identically distributed (Section 5): with a million of
them seconds if they look so, or if a quick test fails, else minutes or hours. An estimate is an upper bound for what may be claimed, no proof of entropy.
`,
	flags: func(f *flag.FlagSet) func(context.Context, stdio, []string) error {
		var a assessment
		f.IntVar(&a.bits, "bits", 0, "`width` of a symbol, 1 to 8 (default: that of the header, or the least that fits)")
		f.Float64Var(&a.claim, "claim", 0, "min-entropy that you claim, in `bits` a sample; bounds the initial estimate (default: none)")
		f.StringVar(&a.restart, "restart", "", "`file` with a restart matrix, row by row (default size 1000x1000)")
		f.BoolVar(&a.iid, "iid", false, "test whether the samples are independent and identically distributed")
		f.BoolVar(&a.complete, "complete", false, "with -iid: go on with the tests although one has failed")
		f.Uint64Var(&a.seed, "seed", 1, "`number` that selects the permutations of -iid")
		f.BoolVar(&a.json, "json", false, "print JSON")
		f.StringVar(&a.plot, "plot", "", "SVG `file` to draw the samples and the estimates in")
		f.BoolVar(&a.force, "force", false, "overwrite the plot")
		return func(ctx context.Context, std stdio, args []string) error {
			// Flags may follow FILE.
			var names []string
			for len(args) > 0 {
				names = append(names, args[0])
				if err := f.Parse(args[1:]); err != nil {
					return usageError{err}
				}
				args = f.Args()
			}
			if len(names) != 1 {
				return usagef("want one file")
			}
			f.Visit(func(g *flag.Flag) { a.claimed = a.claimed || g.Name == "claim" })
			return a.run(ctx, std, names[0])
		}
	},
}

// An assessment is one call of assess.
type assessment struct {
	bits     int
	claim    float64 // if claimed is set
	claimed  bool
	restart  string
	iid      bool
	seed     uint64
	complete bool
	json     bool
	plot     string
	force    bool
}

// A result is what assess prints.
type result struct {
	File     string                `json:"file"`
	SHA256   string                `json:"sha256"`
	Source   string                `json:"source,omitempty"` // if there is a header
	NonIID   *assess.Report        `json:"non_iid"`
	HI       float64               `json:"h_initial"` // the initial estimate
	Restart  *assess.RestartReport `json:"restart,omitempty"`
	IID      *assess.IIDReport     `json:"iid,omitempty"`
	Warnings []string              `json:"warnings,omitempty"`
}

func (a *assessment) run(ctx context.Context, std stdio, name string) error {
	if a.bits < 0 || a.bits > 8 {
		return usagef("-bits: %d; want 1 to 8", a.bits)
	}
	if a.claimed && !(a.claim >= 0 && a.claim <= 8) {
		return usagef("-claim: %v; want 0 to 8", a.claim)
	}
	if a.plot != "" {
		if err := checkTarget(a.plot, a.force); err != nil {
			return err
		}
	}
	rec, err := readRecord(std.in, name)
	if err != nil {
		return err
	}
	width := rec.width(a.bits)
	var matrix *record
	if a.restart != "" {
		if matrix, err = readRecord(std.in, a.restart); err != nil {
			return err
		}
		if matrix.header.Rows == 0 {
			matrix.header.Rows, matrix.header.Columns = assess.RestartSize, assess.RestartSize
		}
		width = max(width, matrix.width(a.bits))
	}

	sum := sha256.Sum256(rec.samples)
	res := &result{File: name, SHA256: hex.EncodeToString(sum[:]), Source: rec.header.Source}
	err = withProgress(std, func(o *assess.Options) (err error) {
		res.NonIID, err = assess.NonIID(ctx, rec.samples, width, o)
		return err
	})
	if err != nil {
		return err
	}
	res.Warnings = append(res.Warnings, res.NonIID.Warnings()...)
	res.HI = res.NonIID.MinEntropy
	if a.claimed {
		res.HI = min(res.HI, a.claim)
	}
	if matrix != nil {
		err = withProgress(std, func(o *assess.Options) (err error) {
			res.Restart, err = assess.Restart(ctx, matrix.samples, matrix.header.Rows, matrix.header.Columns, width, res.HI, o)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", a.restart, err)
		}
		for _, text := range res.Restart.Warnings() {
			res.Warnings = append(res.Warnings, "restart: "+text)
		}
	}
	if a.iid {
		err = withProgress(std, func(o *assess.Options) (err error) {
			o.Seed, o.Complete = a.seed, a.complete
			res.IID, err = assess.IID(ctx, rec.samples, width, o)
			return err
		})
		if err != nil {
			return err
		}
		for _, text := range res.IID.Warnings() {
			if res.IID.Constant || !res.IID.Short {
				res.Warnings = append(res.Warnings, "iid: "+text)
			}
		}
	}
	if a.plot != "" {
		if err := writeFile(a.plot, plot(res, rec.samples)); err != nil {
			return err
		}
	}
	if err := printFacts(std.out, a.json, res); err != nil {
		return err
	}
	if res.Restart != nil && !res.Restart.Passed {
		return errors.New("the restart tests failed: the source gets no estimate")
	}
	return nil
}

// withProgress shows how far do has come.
func withProgress(std stdio, do func(*assess.Options) error) error {
	bar := newProgress(std.err, 100, "percent")
	defer bar.stop()
	return do(&assess.Options{Progress: func(done, total int64) {
		bar.set(int64(100 * float64(done) / float64(total)))
	}})
}

// maxAssessed is the most samples of one assessment. They take 4 GB of memory, and two
// minutes of processor time; the standard asks for a sixteenth of them.
const maxAssessed = 1 << 24

// A record is what is to be assessed.
type record struct {
	samples []byte
	header  header // zero if there is none
}

// readRecord reads samples, and the header beside them if there is one.
func readRecord(in io.Reader, name string) (*record, error) {
	rec := new(record)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	var err error
	if rec.samples, err = io.ReadAll(io.LimitReader(in, maxAssessed+1)); err != nil {
		return nil, err
	}
	if len(rec.samples) > maxAssessed {
		return nil, fmt.Errorf("%s: more than %d samples; assess a part of them, as head -c 1000000 FILE | lrng assess - does", name, maxAssessed)
	}
	if len(rec.samples) == 0 {
		return nil, fmt.Errorf("%s: no samples", name)
	}
	base, ok := strings.CutSuffix(name, ".bin")
	if !ok {
		return rec, nil
	}
	text, err := os.ReadFile(base + ".json")
	if err != nil {
		return rec, nil
	}
	var h header
	if json.Unmarshal(text, &h) != nil || !strings.HasPrefix(h.Tool, "lrng record") {
		return rec, nil // of somebody else
	}
	sum := sha256.Sum256(rec.samples)
	for _, f := range h.Files {
		if f.Name == filepath.Base(name) && f.SHA256 == hex.EncodeToString(sum[:]) {
			rec.header = h
			return rec, nil
		}
	}
	return nil, fmt.Errorf("%s.json is the header of another record than %s; remove it to go on without", base, name)
}

// width returns the width of a symbol: as the flag says, or the header, or the samples.
func (r *record) width(bits int) int {
	switch {
	case bits != 0:
		return bits
	case r.header.Bits != 0:
		return r.header.Bits
	}
	return assess.Width(r.samples)
}

// String returns the result as text.
func (r *result) String() string {
	b := new(bytes.Buffer)
	n := r.NonIID
	fmt.Fprintf(b, "%s: %d samples of %d bits, %d distinct", r.File, n.Samples, n.Bits, n.Symbols)
	if r.Source != "" {
		fmt.Fprintf(b, ", of %s", r.Source)
	}
	fmt.Fprintf(b, "\n\nEstimates (SP 800-90B, Section 6.3)  symbols      bits\n")
	type pair [2]string
	rows := map[string]pair{}
	var order []string
	for i, part := range [][]assess.Estimate{n.Original, n.Bitstring} {
		for _, e := range part {
			p := rows[e.Name]
			if p[i] = fmt.Sprintf("%.6f", e.MinEntropy); e.Skipped != "" {
				p[i] = "none"
			}
			rows[e.Name] = p
		}
	}
	full := n.Bitstring // which has all ten of them
	if full == nil {
		full = n.Original
	}
	for _, e := range full {
		order = append(order, e.Name)
	}
	for i, name := range order {
		fmt.Fprintf(b, "  %-6s  %-33s %8s  %8s\n", full[i].Section, name, or(rows[name][0], "-"), or(rows[name][1], "-"))
	}
	fmt.Fprintf(b, "\nH_original   %.6f bits a sample\n", n.HOriginal)
	if n.Bitstring != nil {
		fmt.Fprintf(b, "H_bitstring  %.6f bits a bit, %.6f a sample\n", n.HBitstring, n.HBitstring*float64(n.Bits))
	}
	fmt.Fprintf(b, "min-entropy  %.6f bits a sample, as assessed\n", n.MinEntropy)
	if r.HI < n.MinEntropy {
		fmt.Fprintf(b, "H_I          %.6f bits a sample, as claimed\n", r.HI)
	}
	if t := r.Restart; t != nil {
		fmt.Fprintf(b, "\nRestart tests (Section 3.1.4): %d starts with %d samples\n", t.Rows, t.Columns)
		fmt.Fprintf(b, "  most common symbol of a row      %6d, at most %d: %s\n", t.RowMax, t.RowCutoff, verdict(t.RowMax <= t.RowCutoff))
		fmt.Fprintf(b, "  most common symbol of a column   %6d, at most %d: %s\n", t.ColumnMax, t.ColumnCutoff, verdict(t.ColumnMax <= t.ColumnCutoff))
		fmt.Fprintf(b, "  H_r by rows, H_c by columns      %.6f and %.6f, at least %.6f: %s\n", t.HR, t.HC, t.HI/2, verdict(min(t.HR, t.HC) >= t.HI/2))
		fmt.Fprintf(b, "verdict      %s\n", verdict(t.Passed))
		if t.Passed {
			fmt.Fprintf(b, "min-entropy  %.6f bits a sample, after the restart tests\n", t.MinEntropy)
		}
	}
	if t := r.IID; t != nil {
		fmt.Fprintf(b, "\nTests for independent, identically distributed samples (Section 5)\n")
		if !t.Constant {
			fmt.Fprintf(b, "  chi-square, independence         p = %.4g: %s\n", t.Independence.P, verdict(t.Independence.Passed))
			fmt.Fprintf(b, "  chi-square, goodness of fit      p = %.4g: %s\n", t.Fit.P, verdict(t.Fit.Passed))
			fmt.Fprintf(b, "  longest repeated substring       %d symbols, p = %.4g: %s\n", t.LRS.Length, t.LRS.P, verdict(t.LRS.Passed))
			fmt.Fprintf(b, "  permutations                              greater  equal   less\n")
		}
		for _, p := range t.Permutation {
			if p.Skipped {
				fmt.Fprintf(b, "  %-6s  %-33s   not done: another test has failed\n", p.Section, p.Name)
				continue
			}
			fmt.Fprintf(b, "  %-6s  %-33s %7d%7d%7d  %s\n", p.Section, p.Name, p.Greater, p.Equal, p.Less, verdict(p.Passed))
		}
		fmt.Fprintf(b, "verdict      %s\n", map[bool]string{true: "nothing speaks against it", false: "not independent and identically distributed"}[t.Passed])
		if t.Passed {
			fmt.Fprintf(b, "min-entropy  %.6f bits a sample, if they are\n", t.MinEntropy)
		}
	}
	if len(r.Warnings) > 0 {
		b.WriteString("\n")
	}
	for _, text := range r.Warnings {
		fmt.Fprintf(b, "warning: %s\n", text)
	}
	return b.String()
}

func verdict(passed bool) string {
	if passed {
		return "passed"
	}
	return "failed"
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
