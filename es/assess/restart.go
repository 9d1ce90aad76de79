package assess

import (
	"context"
	"fmt"
	"math"
)

// RestartSize is the number of rows and of columns of the matrix that SP 800-90B,
// Section 3.1.4.1, asks for.
const RestartSize = 1000

// A RestartReport is the result of [Restart].
type RestartReport struct {
	Rows    int     `json:"rows"`
	Columns int     `json:"columns"`
	Bits    int     `json:"bits"`
	Symbols int     `json:"symbols"` // number of distinct ones
	HI      float64 `json:"h_initial"`

	// RowMax is how often the most common symbol of a row occurs in it, for the row
	// where this is most, and RowCutoff what it may be at most. The same for columns.
	// An estimate of HI is too high if a count is above its cutoff; there is a
	// probability of 1 % at most that this is said of one that is not. Sane is the
	// verdict.
	RowMax       int  `json:"row_max"`
	RowCutoff    int  `json:"row_cutoff"`
	ColumnMax    int  `json:"column_max"`
	ColumnCutoff int  `json:"column_cutoff"`
	Sane         bool `json:"sane"`

	// ByRow has the estimates for the rows, one after another, and ByColumn those for
	// the columns. HR and HC are the least of them, in bits per sample.
	ByRow    []Estimate `json:"by_row"`
	ByColumn []Estimate `json:"by_column"`
	HR       float64    `json:"h_row"`
	HC       float64    `json:"h_column"`

	// Passed says that both tests were passed: Sane is set, and neither of HR and HC is
	// below HI/2. MinEntropy is the validated estimate then: the least of HR, HC and
	// HI, in bits per sample. If a test failed it is 0: the source gets no estimate.
	Passed     bool    `json:"passed"`
	MinEntropy float64 `json:"min_entropy"`

	// Short is set if there are fewer than [RestartSize] rows or columns. Constant is
	// set if all samples are the same.
	Short    bool `json:"short,omitempty"`
	Constant bool `json:"constant,omitempty"`
}

// Warnings says in words what restricts the value of r, if anything does.
func (r *RestartReport) Warnings() (list []string) {
	if r.Constant {
		list = append(list, "all samples are the same")
	}
	if r.Short {
		list = append(list, fmt.Sprintf("%d restarts with %d samples; the standard asks for %d with %d", r.Rows, r.Columns, RestartSize, RestartSize))
	}
	for i, part := range [][]Estimate{r.ByRow, r.ByColumn} {
		for _, e := range part {
			if e.Skipped != "" && !r.Constant {
				list = append(list, fmt.Sprintf("%s (%s) has no answer: %s", e.Name, [...]string{"rows", "columns"}[i], e.Skipped))
			}
		}
	}
	return list
}

// Restart does the restart tests of SP 800-90B, Section 3.1.4, for an initial estimate of
// hi bits of min-entropy per sample. The matrix has a row for each start of the source,
// with the first samples after it, and comes row by row. The other arguments are as for
// [NonIID]. It is an error, too, if the matrix has not rows · columns samples, fewer than
// two rows or columns, or if hi is not from 0 to width.
func Restart(ctx context.Context, matrix []byte, rows, columns, width int, hi float64, opt *Options) (*RestartReport, error) {
	if err := check(matrix, width); err != nil {
		return nil, err
	}
	if rows < 2 || columns < 2 || len(matrix)/rows != columns || len(matrix)%rows != 0 {
		return nil, fmt.Errorf("assess: %d samples; want a matrix of %d rows and %d columns, each at least 2", len(matrix), rows, columns)
	}
	if !(hi >= 0 && hi <= float64(width)) {
		return nil, fmt.Errorf("assess: initial estimate %v; want 0 to %d bits", hi, width)
	}
	in := translate(matrix)
	turned := make([]byte, 0, len(matrix))
	for c := range columns {
		for r := range rows {
			turned = append(turned, in.s[r*columns+c])
		}
	}
	r := &RestartReport{
		Rows: rows, Columns: columns, Bits: width, Symbols: in.k, HI: hi,
		RowMax: mostInPart(in.s, columns), ColumnMax: mostInPart(turned, rows),
		Short: rows < RestartSize || columns < RestartSize, Constant: in.k == 1,
	}
	// Sanity check, Section 3.1.4.3.
	alpha := -math.Expm1(math.Log(0.99) / float64(rows+columns))
	r.RowCutoff = restartCutoff(columns, in.k, hi, alpha)
	r.ColumnCutoff = restartCutoff(rows, in.k, hi, alpha)
	r.Sane = r.RowMax <= r.RowCutoff && r.ColumnMax <= r.ColumnCutoff

	// Validation test, Section 3.1.4.2.
	w := newWork(ctx, opt)
	byRow, byColumn := w.estimates(in), w.estimates(input{turned, in.k})
	if err := w.run(); err != nil {
		return nil, err
	}
	r.ByRow, r.ByColumn = byRow, byColumn
	if !r.Constant {
		r.HR, r.HC = least(byRow, float64(width)), least(byColumn, float64(width))
	}
	r.Passed = r.Sane && min(r.HR, r.HC) >= hi/2
	if r.Passed {
		r.MinEntropy = min(r.HR, r.HC, hi)
	}
	return r, nil
}

// mostInPart cuts s in parts of size n and returns the count of the most common symbol
// of a part, for the part where this is most.
func mostInPart(s []byte, n int) (most int) {
	for ; len(s) > 0; s = s[n:] {
		var count [256]int
		for _, b := range s[:n] {
			count[b]++
			most = max(most, count[b])
		}
	}
	return most
}

// restartCutoff returns the least m for which the most common of k symbols occurs more
// than m times in n samples with a probability of at most alpha, where hi is the
// min-entropy of a sample: as many symbols as possible have the greatest probability, and
// the others share the rest.
//
// The text looks at one symbol only. The tool looks at all and simulates the distribution,
// so that its cutoff is now and then one off. Here the probability is the sum over the symbols of that for a count above m, by the
// binomial distribution. That is too much by the cases where two counts are above m.
// Counts that add up to n are negatively associated, so these are less than alpha²/2.
func restartCutoff(n, k int, hi, alpha float64) int {
	p := math.Exp2(-hi)
	likely := math.Floor(1 / p)
	others := max(0, max(float64(k), math.Ceil(1/p))-likely) // where k is too small for hi, more than were seen
	rest := 0.0
	if others > 0 {
		rest = max(0, 1-p*likely) / others
	}
	sum, m := 0.0, n
	for m > 0 {
		sum += likely*binomial(n, m, p) + others*binomial(n, m, rest)
		if sum > alpha {
			return m
		}
		m--
	}
	return m
}

// binomial returns the probability of m successes in n trials.
func binomial(n, m int, p float64) float64 {
	switch {
	case p <= 0 || p >= 1:
		if p <= 0 && m == 0 || p >= 1 && m == n {
			return 1
		}
		return 0
	}
	lgamma := func(x int) float64 { l, _ := math.Lgamma(float64(x + 1)); return l }
	return math.Exp(lgamma(n) - lgamma(m) - lgamma(n-m) + float64(m)*math.Log(p) + float64(n-m)*math.Log1p(-p))
}
