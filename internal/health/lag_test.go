package health

import (
	"bufio"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The tables of jitterentropy-library (src/jitterentropy-health.c) for α = 2⁻²² and
// claims of 1/osr, osr = 1, 2, … 20. Its counts are one less up to version 3.6; its
// script tests/health/cutoffs.py (2026) takes, as we do, the least C with P(X ≥ C) ≤ α.
// Of 2⁻⁴⁴ the traces of its tests name one: runs of 177 for osr = 3.
func TestLagCutoffsJitterentropy(t *testing.T) {
	for i, want := range [20]struct{ count, run int }{
		{66443 + 1, 38}, {93504 + 1, 75}, {104761 + 1, 111}, {110875 + 1, 146}, {114707 + 1, 181},
		{117330 + 1, 215}, {119237 + 1, 250}, {120686 + 1, 284}, {121823 + 1, 318}, {122739 + 1, 351},
		{123493 + 1, 385}, {124124 + 1, 419}, {124660 + 1, 452}, {125120 + 1, 485}, {125520 + 1, 518},
		{125871 + 1, 551}, {126181 + 1, 584}, {126457 + 1, 617}, {126704 + 1, 650}, {126926 + 1, 683},
	} {
		count, run, err := LagCutoffs(LagAlpha, 1/float64(i+1))
		if count != want.count || run != want.run || err != nil {
			t.Errorf("osr %d: %d, %d, %v, want %d, %d", i+1, count, run, err, want.count, want.run)
		}
	}
	if _, run, err := LagCutoffs(LagPermanentAlpha, 1./3); run != 177 || err != nil {
		t.Errorf("osr 3, permanent: %d, %v, want 177", run, err)
	}
}

// The cut-offs from the definitions, with long numbers: the binomial distribution
// summed, and the probability of no run from its recurrence: with no run of r in the
// first k guesses, a(k) = a(k-1) - q·pʳ·a(k-r-1), as the first run ends with guess k
// after a wrong one and r right ones.
func TestLagCutoffsAgainstDefinition(t *testing.T) {
	if testing.Short() {
		t.Skip("long numbers")
	}
	const n, digits = 1<<17 - 8, 160
	noRun := func(r int, h, alpha float64) (likely bool) {
		p := exp2(h)
		p.SetPrec(digits)
		one := new(big.Float).SetPrec(digits).SetInt64(1)
		c := new(big.Float).Sub(one, p)
		pr := new(big.Float).SetPrec(digits).SetInt64(1)
		for range r {
			pr.Mul(pr, p)
		}
		c.Mul(c, pr)
		a := make([]*big.Float, n+1)
		for k := range a {
			switch {
			case k < r:
				a[k] = one
			case k == r:
				a[k] = new(big.Float).Sub(one, pr)
			default:
				a[k] = new(big.Float).Mul(c, a[k-r-1])
				a[k].Sub(a[k-1], a[k])
			}
		}
		return new(big.Float).Sub(one, a[n]).Cmp(exp2(alpha)) <= 0
	}
	for _, osr := range []int{1, 3, 20} {
		h := 1 / float64(osr)
		for _, alpha := range []float64{LagAlpha, LagPermanentAlpha} {
			count, run, err := LagCutoffs(alpha, h)
			if err != nil {
				t.Fatal(err)
			}
			if want := 1 + reference(n, h, alpha); count != want {
				t.Errorf("osr %d, α = 2^-%v: count %d, want %d", osr, alpha, count, want)
			}
			if noRun(run-1, h, alpha) || !noRun(run, h, alpha) {
				t.Errorf("osr %d, α = 2^-%v: run %d is not the least", osr, alpha, run)
			}
		}
	}
}

// Claims that are almost nothing have cut-offs that can still be reached, and those
// that are no claims none.
func TestLagCutoffsLimits(t *testing.T) {
	const n = 1<<17 - 8
	for _, tt := range []struct {
		alpha, h float64
		ok       bool
	}{
		{22, 1e-6, true}, {44, 1e-9, true}, {22, 1. / 1000, true}, {1, 64, true}, {1, 1e-3, true}, {1024, 1, true}, {1024, 64, true},
		{22, 0, false}, {22, -1, false}, {22, 65, false}, {0, 1, false}, {1025, 1, false},
	} {
		count, run, err := LagCutoffs(tt.alpha, tt.h)
		if (err == nil) != tt.ok || tt.ok && (count < 1 || count > n || run < 1 || run > n) {
			t.Errorf("α = 2^-%v, H = %v: %d, %d, %v", tt.alpha, tt.h, count, run, err)
		}
	}
	counts, runs, err := Config{H: 1e-6}.lagCutoffs()
	if counts != (Cutoffs{n, 0}) || runs != (Cutoffs{n, 0}) || err != nil {
		t.Errorf("%+v, %+v, %v: want no permanent cut-offs", counts, runs, err)
	}
}

func newLag(t testing.TB, osr int) Lag {
	t.Helper()
	counts, runs, err := Config{H: 1 / float64(osr)}.lagCutoffs()
	if err != nil {
		t.Fatal(err)
	}
	return NewLag(counts, runs)
}

// B16, B17: runs. A pattern of period k is guessed from the second one on. The guess
// that reaches the cut-off fails and the one before passes, for every osr; and so for
// the permanent one. A wrong guess ends the run.
func TestLagRunBoundaries(t *testing.T) {
	for osr := 1; osr <= 20; osr++ {
		for _, period := range []int{2, 3, 4, 8} {
			test := newLag(t, osr)
			if test.runs.Permanent <= test.runs.Intermittent {
				t.Fatalf("osr %d: cut-offs %+v", osr, test.runs)
			}
			n := 0 // right guesses in a row
			for i := range test.runs.Permanent + 30 {
				got := test.Next(uint64(i % period))
				// The first 8 symbols are not guessed. The first guess is the symbol
				// before; it is wrong, and its symbol shows which distance is right,
				// unless the pattern was shorter.
				if i > lagHistory {
					n++
				}
				want := Pass
				switch {
				case n >= test.runs.Permanent:
					want = Permanent
				case n >= test.runs.Intermittent:
					want = Intermittent
				}
				if got != want || test.run != n {
					t.Fatalf("osr %d, period %d: symbol %d: result %d, run %d, want %d, %d", osr, period, i, got, test.run, want, n)
				}
			}
			if got := test.Next(99); got != Pass || test.run != 0 {
				t.Errorf("osr %d, period %d: after a symbol out of the pattern: result %d, run %d", osr, period, got, test.run)
			}
		}
		// A period of nine is beyond what is remembered.
		test := newLag(t, osr)
		for i := range 5000 {
			if got := test.Next(uint64(i % 9)); got != Pass || test.count != 0 {
				t.Fatalf("osr %d: period 9: symbol %d: result %d, %d right", osr, i, got, test.count)
			}
		}
	}
}

// Counts: right guesses that are not in a row, up to either cut-off, and the window,
// after which the test begins anew.
func TestLagCountBoundaries(t *testing.T) {
	for _, osr := range []int{1, 3, 6, 20} {
		test := newLag(t, osr)
		// Every run of the pattern is broken at the middle of the cut-off by one
		// symbol that has not been there before.
		period := test.runs.Intermittent / 2
		right, seen := 0, map[Result]bool{}
		for i := range lagWindow {
			x := uint64(1)
			if i%period == period-1 {
				x = uint64(1000 + i)
			}
			before := test.count
			got := test.Next(x)
			right += test.count - before
			want := Pass
			switch {
			case test.count == before: // not a right guess
			case right >= test.counts.Permanent:
				want = Permanent
			case right >= test.counts.Intermittent:
				want = Intermittent
			}
			if got != want {
				t.Fatalf("osr %d: symbol %d: result %d with %d right guesses, want %d", osr, i, got, right, want)
			}
			if test.run >= test.runs.Intermittent {
				t.Fatalf("osr %d: a run of %d", osr, test.run)
			}
			seen[got] = true
		}
		if !seen[Permanent] || !seen[Intermittent] {
			t.Errorf("osr %d: %d right guesses, cut-offs %+v: not all alarms were raised", osr, right, test.counts)
		}
		if got := test.Next(1); got != Pass || test.count != 0 || test.n != 1 {
			t.Errorf("osr %d: the first symbol of the next window: result %d, count %d", osr, got, test.count)
		}
	}
}

// slowLag is the predictor in words, over the whole history.
func slowLag(symbols []uint64, window int) (count, run int) {
	symbols = symbols[(len(symbols)-1)/window*window:]
	for i := lagHistory; i < len(symbols); i++ {
		if symbols[i] == symbols[i-1-slowBest(symbols[:i])] {
			count++
			run++
		} else {
			run = 0
		}
	}
	return count, run
}

// slowBest returns the distance, less one, that has been right most often; of
// several that which was first to be right so often, and of those the least.
func slowBest(symbols []uint64) (best int) {
	var hits [lagHistory]int
	for i := lagHistory; i < len(symbols); i++ {
		for d := range hits {
			if symbols[i] == symbols[i-1-d] {
				if hits[d]++; hits[d] > hits[best] {
					best = d
				}
			}
		}
	}
	return best
}

// Any symbols give the counts of the predictor in words.
func FuzzLag(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 5, 6, 5, 6, 5, 6, 5, 6})
	f.Fuzz(func(t *testing.T, in []byte) {
		in = in[:min(len(in), 400)]
		test := NewLag(Cutoffs{20, 30}, Cutoffs{8, 12})
		test.window = 100
		symbols := make([]uint64, 0, len(in))
		for i, x := range in {
			symbols = append(symbols, uint64(x))
			before := test.count
			if i%test.window == 0 {
				before = 0
			}
			got := test.Next(uint64(x))
			count, run := slowLag(symbols, test.window)
			want := Pass
			if count > before {
				want = max(test.counts.verdict(count), test.runs.verdict(run))
			}
			if test.count != count || test.run != run || got != want {
				t.Fatalf("symbol %d: %d right, %d in a row, result %d, want %d, %d, %d", i, test.count, test.run, got, count, run, want)
			}
		}
	})
}

func newTestsWithLag(t testing.TB, osr int) *Tests {
	t.Helper()
	tests := newTests(t, osr)
	if err := tests.AddLag(); err != nil {
		t.Fatal(err)
	}
	return tests
}

// until feeds symbols until there is an alarm, and returns how many that took.
func until(tests *Tests, n int, symbol func(i int) uint64) (int, *Failure) {
	for i := range n {
		if f := tests.NextStuck(symbol(i), false); f != nil {
			return i + 1, f
		}
	}
	return n, nil
}

// T9, B16: each alarm of the predictor, intermittent and permanent, by symbols of
// which the other tests notice nothing. It is reported once, keeps the start-up test
// from beginning while it lasts, and is final when it is permanent.
func TestLagAlarms(t *testing.T) {
	const osr = 3
	cycle := func(i int) uint64 { return uint64(i % 4) }
	broken := func(i int) uint64 {
		if i%100 == 99 {
			return uint64(1000 + i)
		}
		return uint64(i % 4)
	}
	for _, tt := range []struct {
		symbol                  func(i int) uint64
		intermittent, permanent Failure
	}{
		{cycle, Failure{"lag run", 111, 111, false}, Failure{"lag run", 177, 177, true}},
		{broken, Failure{"lag", 104762, 104762, false}, Failure{"lag", 105109, 105109, true}},
	} {
		tests := newTestsWithLag(t, osr)
		n, f := until(tests, lagWindow, tt.symbol)
		if f == nil || *f != tt.intermittent {
			t.Errorf("%v after %d symbols, want %v", f, n, &tt.intermittent)
			continue
		}
		if tests.Ready() {
			t.Errorf("%v: ready", f)
		}
		from := n
		n, f = until(tests, lagWindow, func(i int) uint64 { return tt.symbol(from + i) })
		if f == nil || *f != tt.permanent {
			t.Errorf("%v after %d more symbols, want %v", f, n, &tt.permanent)
			continue
		}
		for i := range 3000 {
			if again := tests.Next(uint64(scatter(i))); again != f || tests.Ready() {
				t.Fatalf("after the permanent failure: %v", again)
			}
		}
	}

	// It ends in time: 1024 symbols without a right guess that matters.
	tests := newTestsWithLag(t, osr)
	if n, f := until(tests, 1000, cycle); f == nil {
		t.Fatalf("no alarm in %d symbols", n)
	}
	for i := 0; !tests.Ready(); i++ {
		if f := tests.Next(uint64(scatter(i))); f != nil {
			t.Fatal(f)
		}
		if i > 1024+512 {
			t.Fatal("not ready again")
		}
	}

	// Without it nobody notices.
	if n, f := until(newTests(t, osr), lagWindow, cycle); f != nil {
		t.Errorf("without the predictor: %v after %d symbols", f, n)
	}
}

// scatter returns numbers without a pattern.
func scatter(i int) uint32 {
	x := uint32(i)*2654435769 + 12345
	x ^= x >> 15
	x *= 2246822519
	return x ^ x>>13
}

// While the RCT counts a run, the predictor, which guesses it as well, is silent,
// unless it is first with the permanent failure.
func TestLagBehindRCT(t *testing.T) {
	tests := newTestsWithLag(t, 3)
	var got []Failure
	for range 400 {
		if f := tests.Next(5); f != nil {
			if got = append(got, *f); f.Permanent {
				break
			}
		}
	}
	want := []Failure{{"RCT", 91, 91, false}, {"RCT", 181, 181, true}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A lower claim after an alarm: the fault is as far from a permanent failure as one
// that has just reached the cut-off, and counts below it are what they were.
func TestClaim(t *testing.T) {
	for _, tt := range []struct {
		name   string
		symbol func(i int) uint64
		stuck  bool
		want   []Failure // the claim is lowered after the first
	}{
		{"RCT", func(int) uint64 { return 5 }, true, []Failure{{"RCT", 91, 91, false}, {"RCT", 241, 241, true}}},
		{"APT", func(i int) uint64 { return 5 + uint64(i%11/10)*uint64(scatter(i)%1000) }, false, []Failure{{"APT", 459, 459, false}}},
		{"lag run", func(i int) uint64 { return uint64(i % 4) }, false, []Failure{{"lag run", 111, 111, false}, {"lag run", 234, 234, true}}},
	} {
		tests := newTestsWithLag(t, 3)
		var got []Failure
		after := 0
		for i := 0; i < 5000 && len(got) < len(tt.want); i++ {
			f := tests.NextStuck(tt.symbol(i), tt.stuck && i > 0)
			if f == nil {
				continue
			}
			got = append(got, *f)
			if len(got) == 1 {
				after = i
				if err := tests.Claim(1. / 4); err != nil {
					t.Fatal(err)
				}
			} else if want := f.Cutoff - map[string]int{"RCT": 121, "lag run": 146}[tt.name]; i-after != want {
				t.Errorf("%s: permanent after %d more symbols, want %d", tt.name, i-after, want)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		if tt.name == "APT" && (tests.apt.count != 477 || tests.rct.count >= 121 || tests.apt.cutoffs != (Cutoffs{477, 494}) || tests.rct.cutoffs != (Cutoffs{121, 241})) {
			t.Errorf("APT: %+v, %+v", tests.apt, tests.rct)
		}
	}
	// Without an alarm only the cut-offs change.
	tests := newTestsWithLag(t, 3)
	for i := range 90 {
		tests.NextStuck(5, i > 0)
	}
	if err := tests.Claim(1. / 20); err != nil || tests.rct.count != 90 || tests.rct.cutoffs.Intermittent != 601 || tests.apt.count != 90 || tests.lag.run != 82 {
		t.Errorf("%v: %+v, %+v, run %d", err, tests.rct, tests.apt, tests.lag.run)
	}
	if err := tests.Claim(0); err == nil || tests.rct.cutoffs.Intermittent != 601 {
		t.Errorf("a claim of 0: %v", err)
	}
}

// The traces of jitterentropy-library for the predictor (tests/health/testdata), if
// they are there: one time stamp a line, for osr = 3.
func TestLagTraces(t *testing.T) {
	root := os.Getenv("LRNG_VECTORS")
	if root == "" {
		t.Skip("LRNG_VECTORS is not set")
	}
	for _, tt := range []struct {
		file                    string
		intermittent, permanent int // right guesses in a row
	}{
		{"no-failure.txt", 0, 0}, {"rct-intermittent.txt", 0, 0}, {"apt-intermittent.txt", 111, 177},
	} {
		f, err := os.Open(filepath.Join(root, "health", tt.file))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		test := newLag(t, 3)
		first := map[Result]int{}
		last, n := uint64(0), -1
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "#") || lines.Text() == "" {
				continue
			}
			stamp, err := strconv.ParseUint(lines.Text(), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if n++; n > 0 {
				if r := test.Next(stamp - last); r != Pass && first[r] == 0 {
					first[r] = test.run
				}
			}
			last = stamp
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
		if first[Intermittent] != tt.intermittent || first[Permanent] != tt.permanent {
			t.Errorf("%s: %v, want %d, %d", tt.file, first, tt.intermittent, tt.permanent)
		}
	}
}

// The trace lag-intermittent.txt of jitterentropy-library: its head says that of its
// 140 measurements, deltas of 100, 300, 200 and 700 in turn, nothing is stuck, and
// that the predictor alone fires, with a cut-off of 111 and a permanent one of 177.
func TestLagTraceOfCycle(t *testing.T) {
	tests := newTestsWithLag(t, 3)
	var stuck Stuck
	var got []Failure
	for i := range 140 {
		delta := []uint64{100, 300, 200, 700}[i%4]
		s := stuck.Next(delta)
		if s {
			t.Errorf("delta %d is stuck", i)
		}
		if f := tests.NextStuck(delta, s); f != nil {
			got = append(got, *f)
		}
	}
	if len(got) != 1 || got[0] != (Failure{"lag run", 111, 111, false}) {
		t.Errorf("%v", got)
	}
}

func BenchmarkLag(b *testing.B) {
	test := newLag(b, 3)
	i := 0
	for b.Loop() {
		i++
		test.Next(uint64(scatter(i) % 256))
	}
}

func BenchmarkLagCutoffs(b *testing.B) {
	for b.Loop() {
		LagCutoffs(LagAlpha, 1./3)
	}
}
