package assess

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestRestart(t *testing.T) {
	const n = 100
	constantRows := make([]byte, 0, n*n)
	for _, b := range noise(1, n, 1, 0) {
		constantRows = append(constantRows, bytes.Repeat([]byte{b}, n)...)
	}
	oneColumn := noise(5, n*n, 1, 0)
	for i := range n {
		oneColumn[i*n+17] = 1
	}
	for _, tt := range []struct {
		name   string
		matrix []byte
		width  int
		hi     float64
		passed bool
		sane   bool
	}{
		{"uniform bits", noise(1, n*n, 1, 0), 1, 0.9, true, true},
		{"uniform bytes", noise(2, n*n, 8, 0), 8, 6, true, true},
		{"biased bits, too high a claim", noise(3, n*n, 1, 2), 1, 0.9, false, false},
		{"biased bits, true claim", noise(3, n*n, 1, 2), 1, 0.19, true, true},
		{"the same after each start", bytes.Repeat(noise(4, n, 1, 0), n), 1, 0.9, false, false},
		{"one sample always the same", oneColumn, 1, 0.2, false, false},
		{"stuck after each start", constantRows, 1, 0.9, false, false},
		{"dependent, but balanced", bytes.Repeat([]byte{0, 1, 1, 0, 1, 0, 0, 1, 0, 1}, n*n/10), 1, 0.01, false, false},
	} {
		r, err := Restart(t.Context(), tt.matrix, n, n, tt.width, tt.hi, nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.Passed != tt.passed || r.Sane != tt.sane || r.Passed && r.MinEntropy != min(tt.hi, r.HR, r.HC) || !r.Passed && r.MinEntropy != 0 || !r.Short || len(r.Warnings()) == 0 {
			if tt.name == "dependent, but balanced" && !r.Passed {
				continue // sane by rows; the columns are constant
			}
			t.Errorf("%s: %+v", tt.name, r)
		}
		text, err := json.Marshal(r)
		var back RestartReport
		if err != nil || json.Unmarshal(text, &back) != nil || !reflect.DeepEqual(&back, r) {
			t.Errorf("%s: JSON %s, %v", tt.name, text, err)
		}
	}
}

// Rows and columns are not mixed up: estimates by column are those of the matrix turned.
func TestRestartShape(t *testing.T) {
	const rows, columns = 40, 150
	m := chain(1, rows*columns, 4, 1)
	turned := make([]byte, len(m))
	for i, s := range m {
		turned[i%columns*rows+i/columns] = s
	}
	a, err := Restart(t.Context(), m, rows, columns, 4, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Restart(t.Context(), turned, columns, rows, 4, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a.ByRow, b.ByColumn) || !reflect.DeepEqual(a.ByColumn, b.ByRow) || a.HR != b.HC || a.RowMax != b.ColumnMax || a.RowCutoff != b.ColumnCutoff || a.HR >= a.HC {
		t.Errorf("%+v\n%+v", a, b)
	}
	own, err := NonIID(t.Context(), m, 4, nil)
	if err != nil || !reflect.DeepEqual(own.Original, a.ByRow) {
		t.Errorf("%+v; want %+v, %v", a.ByRow, own.Original, err)
	}
	count := 0
	for _, s := range m[7*columns : 8*columns] {
		if s == m[7*columns] {
			count++
		}
	}
	if a.RowMax < count || a.RowMax > columns {
		t.Errorf("%d in a row; at least %d", a.RowMax, count)
	}
}

func TestRestartRefused(t *testing.T) {
	m := noise(1, 100, 1, 0)
	for _, tt := range []struct {
		rows, columns int
		hi            float64
		want          string
	}{
		{10, 11, 0.5, "100 samples; want a matrix of 10 rows and 11 columns"},
		{-10, -10, 0.5, "want a matrix"},
		{0, 10, 0.5, "want a matrix"},
		{1, 100, 0.5, "each at least 2"},
		{100, 1, 0.5, "each at least 2"},
		{math.MaxInt, 2, 0.5, "want a matrix"},
		{10, 10, -0.1, "initial estimate -0.1; want 0 to 1 bits"},
		{10, 10, 1.1, "initial estimate 1.1"},
		{10, 10, math.NaN(), "initial estimate NaN"},
	} {
		if r, err := Restart(t.Context(), m, tt.rows, tt.columns, 1, tt.hi, nil); r != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%d x %d, %v: %v; want %s", tt.rows, tt.columns, tt.hi, err, tt.want)
		}
	}
	if _, err := Restart(t.Context(), m, 10, 10, 1, 1, nil); err != nil {
		t.Error(err)
	}
}

// The cutoff is compared with the exact distribution of the greatest count: as many of the
// k^n sequences, by counting.
func TestRestartCutoff(t *testing.T) {
	for _, tt := range []struct {
		n, k      int
		hi, alpha float64
		want      int
	}{
		// Two symbols with 1/2 each: P(max > 9 of 10) = 2/1024, P(max > 8) = 22/1024.
		{10, 2, 1, 0.0020, 9},
		{10, 2, 1, 0.0019, 10},
		{10, 2, 1, 0.0220, 8},
		{10, 2, 1, 0.0210, 9},
		// One with 3/4: P(10) = 0.0563.
		{10, 2, -math.Log2(0.75), 0.06, 9},
		{10, 2, -math.Log2(0.75), 0.05, 10},
		// No entropy: all may be the same.
		{10, 2, 0, 0.01, 10},
		// Eight with 1/8 each, though but three were seen: P(max > 5 of 6) = 8/8⁶.
		{6, 3, 3, 3.1e-5, 5},
		{6, 3, 3, 3.0e-5, 6},
		// Of 1000, at H = 0.8: P(> 643) = 4.10e-6, P(> 642) = 5.55e-6.
		{1000, 2, 0.8, 5.5e-6, 643},
		{1000, 2, 0.8, 5.6e-6, 642},
	} {
		if got := restartCutoff(tt.n, tt.k, tt.hi, tt.alpha); got != tt.want {
			t.Errorf("n = %d, k = %d, H = %.3f, α = %v: %d; want %d", tt.n, tt.k, tt.hi, tt.alpha, got, tt.want)
		}
	}
	sum := 0.0
	for m := range 301 {
		sum += binomial(300, m, 0.3)
	}
	if math.Abs(sum-1) > 1e-12 {
		t.Errorf("probabilities add up to %v", sum)
	}
}
