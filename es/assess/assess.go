// Package assess estimates the min-entropy of recorded noise: the estimators, the
// restart tests and the tests for independent, identically distributed samples of
// SP 800-90B.
//
// Assessments are made of a record, after the fact. What watches a source while it
// runs are its health tests, which are in package es.
//
// # Agreement with NIST's tool
//
// The estimates are those of NIST's own tool (SP800-90B_EntropyAssessment) within 1e-6
// bits, but that there is one, too, where the tool does not come to an end. Where the
// tool departs from the text of the standard, so does this package, and a comment says
// so. The exception is the cutoff of the restart tests, which the tool simulates.
//
// # Limits
//
// An estimate tells how well the data can be predicted by ten simple means. A
// generator without any entropy passes if it is none of the ten. It is an upper
// bound for what may be claimed, never the reason for a claim: the reason is a model
// of the noise source (SP 800-90B, Section 3.2.2).
package assess

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Samples is the number of consecutive samples that SP 800-90B, Section 3.1.1, asks
// for. An assessment of fewer is flagged.
const Samples = 1_000_000

// maxBits is the limit for the length of a bit string. A suffix array holds indices
// of 32 bits.
const maxBits = math.MaxInt32 - 1

// Options are the settings of an assessment. A nil *Options stands for the zero value.
type Options struct {
	// Workers is the number of estimators that run at a time. Zero stands for
	// GOMAXPROCS. The result does not depend on it.
	Workers int

	// Progress is called from time to time with how much of the work is done, and
	// once with done equal to total at the end. Calls do not overlap.
	Progress func(done, total int64)

	// Seed selects the permutations of [IID]. The same seed gives the same result.
	Seed uint64

	// Complete says that IID does all tests, also those that make no difference since
	// another has failed.
	Complete bool
}

// An Estimate is the answer of one estimator.
type Estimate struct {
	Name    string `json:"name"`
	Section string `json:"section"` // of SP 800-90B

	// MinEntropy is in bits per symbol, or per bit for a bit string. P is the
	// probability that it was derived from: an upper bound for that of a correct
	// guess, as the standard computes it.
	MinEntropy float64 `json:"min_entropy"`
	P          float64 `json:"p"`

	// Skipped says why the estimator has no answer. MinEntropy and P are 0 then, and
	// do not count.
	Skipped string `json:"skipped,omitempty"`
}

// A Report is the result of [NonIID].
type Report struct {
	Samples int `json:"samples"`
	Bits    int `json:"bits"`    // of a symbol, as claimed by the caller
	Symbols int `json:"symbols"` // number of distinct ones

	// Original has the estimates for the symbols, and Bitstring those for the bits
	// they are made of, both in the order of the standard. Three estimators are for
	// two symbols only, and are not in Original if there are more. Bitstring is
	// empty if there are no more than two symbols.
	Original  []Estimate `json:"original"`
	Bitstring []Estimate `json:"bitstring,omitempty"`

	// HOriginal, in bits per sample, and HBitstring, in bits per bit, are the least
	// of the estimates. HBitstring is 1 if Bitstring is empty. For the output of a
	// conditioning component that is not a vetted one, HBitstring is the h' of
	// Section 3.1.5.2, and so is HOriginal for samples of one bit.
	HOriginal  float64 `json:"h_original"`
	HBitstring float64 `json:"h_bitstring"`

	// MinEntropy is the assessed min-entropy in bits per sample: the lesser of
	// HOriginal and Bits * HBitstring (SP 800-90B, Section 3.1.3). The initial
	// estimate HI of the standard is the least of this and of what the submitter
	// claims.
	MinEntropy float64 `json:"min_entropy"`

	// Short is set if there are fewer than [Samples] samples: too few for a claim.
	// Constant is set if all samples are the same: there is no entropy at all.
	// Narrow is set if a lesser width holds all symbols: Bits may be wrong, and with
	// it the estimates of the bit string.
	Short    bool `json:"short,omitempty"`
	Constant bool `json:"constant,omitempty"`
	Narrow   bool `json:"narrow,omitempty"`
}

// Warnings says in words what restricts the value of r, if anything does.
func (r *Report) Warnings() (list []string) {
	if r.Constant {
		list = append(list, "all samples are the same")
	}
	if r.Short {
		list = append(list, shortWarning(r.Samples))
	}
	if r.Narrow {
		list = append(list, fmt.Sprintf("no symbol needs %d bits; if the width is wrong, so are the estimates for bits", r.Bits))
	}
	if r.Symbols == 2 && r.Bits > 1 {
		list = append(list, fmt.Sprintf("two symbols in samples of %d bits; they are assessed as samples of one bit", r.Bits))
	}
	for i, part := range [][]Estimate{r.Original, r.Bitstring} {
		for _, e := range part {
			if e.Skipped != "" && !r.Constant {
				list = append(list, fmt.Sprintf("%s (%s) has no answer: %s", e.Name, [...]string{"symbols", "bits"}[i], e.Skipped))
			}
		}
	}
	return list
}

// shortWarning is the warning for n samples, less than Samples.
func shortWarning(n int) string {
	return fmt.Sprintf("%d samples; the standard asks for %d, and an estimate from fewer supports no claim: it may be too high or too low", n, Samples)
}

// Width returns the least width in bits, at least 1, that holds all samples.
func Width(samples []byte) int {
	var all byte
	for _, s := range samples {
		all |= s
	}
	return max(1, bits.Len8(all))
}

// NonIID estimates the min-entropy of consecutive samples by the ten estimators of
// SP 800-90B, Section 6.3, both of the symbols and of the bits they are made of. A
// sample is a byte that holds a symbol of width bits, 1 to 8. A bit string takes the
// bits of a symbol from the most to the least significant.
//
// The samples must be as the noise source delivers them, without conditioning. It is
// an error if there are none or more than 2³¹-2 bits of them, if the width is out of
// range, or if a symbol does not fit the width. If ctx ends, its error is returned: for a
// million samples, after two seconds at most. No error, but a flag in the report, are
// too few samples and constant ones.
//
// Time and memory grow in proportion to the number of bits, whatever the data: a million
// samples of 8 bits take about 10 s of one processor, and 200 to 400 MB. The samples must
// not change meanwhile.
func NonIID(ctx context.Context, samples []byte, width int, opt *Options) (*Report, error) {
	if err := check(samples, width); err != nil {
		return nil, err
	}
	in := translate(samples)
	r := &Report{
		Samples: len(samples), Bits: width, Symbols: in.k,
		HOriginal: 0, HBitstring: 1,
		Short: len(samples) < Samples, Constant: in.k == 1, Narrow: Width(samples) < width,
	}
	w := newWork(ctx, opt)
	original := w.estimates(in)
	var bitstring []Estimate
	if in.k > 2 {
		// As in the tool, there is no bit string of data with two symbols, whatever
		// their width: they are a bit string. The text has one for any width above 1.
		bitstring = w.estimates(input{s: expand(samples, width), k: 2})
	}
	if err := w.run(); err != nil {
		return nil, err
	}
	r.Original, r.Bitstring = original, bitstring
	if !r.Constant {
		r.HOriginal = least(original, float64(width))
	}
	r.HBitstring = least(bitstring, 1)
	r.MinEntropy = min(r.HOriginal, float64(width)*r.HBitstring)
	return r, nil
}

// check checks the arguments of an assessment.
func check(samples []byte, width int) error {
	switch {
	case width < 1 || width > 8:
		return fmt.Errorf("assess: width %d; want 1 to 8 bits", width)
	case len(samples) == 0:
		return errors.New("assess: no samples")
	case int64(len(samples))*int64(width) > maxBits:
		return fmt.Errorf("assess: %d samples of %d bits; want at most %d bits", len(samples), width, maxBits)
	}
	for i, s := range samples {
		if bits.Len8(s) > width {
			return fmt.Errorf("assess: sample %d is %d, which is wider than %d bits", i, s, width)
		}
	}
	return nil
}

// An input is a sequence of symbols 0…k-1, all of which occur.
type input struct {
	s []byte
	k int
}

// translate numbers the symbols that occur, in their order.
func translate(samples []byte) input {
	var number [256]byte
	var seen [256]bool
	for _, s := range samples {
		seen[s] = true
	}
	k := 0
	for s, ok := range seen {
		if ok {
			number[s] = byte(k)
			k++
		}
	}
	t := make([]byte, len(samples))
	for i, s := range samples {
		t[i] = number[s]
	}
	return input{t, k}
}

// expand returns the bits of the samples, one a byte.
func expand(samples []byte, width int) []byte {
	b := make([]byte, 0, len(samples)*width)
	for _, s := range samples {
		for i := width - 1; i >= 0; i-- {
			b = append(b, s>>i&1)
		}
	}
	return b
}

// least returns the least of the estimates that there are, or most.
func least(list []Estimate, most float64) float64 {
	for _, e := range list {
		if e.Skipped == "" {
			most = min(most, e.MinEntropy)
		}
	}
	return most
}

// answer sets the result of an estimator.
func (e *Estimate) answer(p, h float64) {
	e.P, e.MinEntropy = p, max(0, h) // and never the -0 of -log2(1)
}

func (e *Estimate) skip(format string, args ...any) {
	e.Skipped = fmt.Sprintf(format, args...)
}

// An estimator is one of Section 6.3. Tuple and LRS come from one suffix array, so
// some estimators have two answers.
type estimator struct {
	names    []string
	sections []string
	binary   bool // for two symbols only
	least    int  // number of symbols
	cost     int  // relative
	estimate func(w *work, in input, e []Estimate) error
}

// estimators has them in the order of the standard.
var estimators = []estimator{
	{[]string{"most common value"}, []string{"6.3.1"}, false, 2, 1, mostCommonValue},
	{[]string{"collision"}, []string{"6.3.2"}, true, 2, 1, collision},
	{[]string{"Markov"}, []string{"6.3.3"}, true, 2, 1, markov},
	{[]string{"compression"}, []string{"6.3.4"}, true, compressionBits * (compressionInit + 2), 4, compression},
	{[]string{"t-tuple", "longest repeated substring"}, []string{"6.3.5", "6.3.6"}, false, 2, 40, tuples},
	{[]string{"multi most common in window"}, []string{"6.3.7"}, false, windows[len(windows)-1] + 1, 4, multiMCW},
	{[]string{"lag"}, []string{"6.3.8"}, false, 3, 8, lag},
	{[]string{"multi Markov model with counting"}, []string{"6.3.9"}, false, 4, 12, multiMMC},
	{[]string{"LZ78Y"}, []string{"6.3.10"}, false, contextDepth + 3, 12, lz78y},
}

// estimates adds the estimators for in to w, and returns where their answers will be.
func (w *work) estimates(in input) []Estimate {
	n := 0
	for _, r := range estimators {
		if !r.binary || in.k == 2 {
			n += len(r.names)
		}
	}
	list := make([]Estimate, n)
	rest := list
	for _, r := range estimators {
		if r.binary && in.k != 2 {
			continue
		}
		e := rest[:len(r.names)]
		rest = rest[len(r.names):]
		for i := range e {
			e[i].Name, e[i].Section = r.names[i], r.sections[i]
			if in.k < 2 {
				e[i].skip("all symbols are the same")
			} else if len(in.s) < r.least {
				e[i].skip("%d symbols; it takes %d", len(in.s), r.least)
			}
		}
		if e[0].Skipped == "" {
			w.add(len(in.s), r.cost, func(w *work) error { return r.estimate(w, in, e) })
		}
	}
	return list
}

// A work is a number of tasks, and how far they have come. A task gets a work of its own.
type work struct {
	ctx     context.Context
	workers int

	whole *work // that this is a task of, or nil
	cost  int64 // of the task
	told  int64 // of that, what counts as done in the whole

	tasks []task

	mu       sync.Mutex // progress calls
	progress func(done, total int64)
	shown    int64
	done     atomic.Int64
	total    int64
}

type task struct {
	cost int64
	do   func(w *work) error
}

func newWork(ctx context.Context, opt *Options) *work {
	if opt == nil {
		opt = new(Options)
	}
	w := &work{ctx: ctx, workers: opt.Workers, progress: opt.Progress}
	if w.workers <= 0 {
		w.workers = runtime.GOMAXPROCS(0)
	}
	return w
}

// add adds a task for n symbols of the given cost each.
func (w *work) add(n, cost int, do func(w *work) error) {
	c := int64(n) * int64(cost)
	w.tasks = append(w.tasks, task{c, do})
	w.total += c
}

// run does all tasks, the longest first, and returns their first error.
func (w *work) run() error {
	slices.SortStableFunc(w.tasks, func(a, b task) int { return cmp.Compare(b.cost, a.cost) })
	var next atomic.Int64
	var wait sync.WaitGroup
	errs := make([]error, len(w.tasks))
	for range min(w.workers, len(w.tasks)) {
		wait.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(w.tasks) {
					return
				}
				if errs[i] = w.ctx.Err(); errs[i] == nil {
					t := &work{ctx: w.ctx, whole: w, cost: w.tasks[i].cost}
					errs[i] = w.tasks[i].do(t)
					w.advance(t.cost - t.told)
				}
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return w.ctx.Err()
}

func (w *work) advance(n int64) {
	done := w.done.Add(n)
	if w.progress == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if done > w.shown && w.ctx.Err() == nil {
		w.shown = done
		w.progress(done, w.total)
	}
}

// tickMask says how often a loop asks whether to go on: each time that its index has
// none of these bits.
const tickMask = 1<<18 - 1

// tick notes that a part of the task is done, 0 to 1, and returns the error of the context.
func (w *work) tick(part float64) error {
	if told := int64(part * float64(w.cost)); w.whole != nil && told > w.told {
		w.whole.advance(told - w.told)
		w.told = told
	}
	return w.ctx.Err()
}
