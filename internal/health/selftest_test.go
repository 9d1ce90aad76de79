package health

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/lrng-go/lrng/internal/selftest"
	"github.com/lrng-go/lrng/internal/selftest/faults"
)

// Each test of this package has a self-test.
func TestSelfTests(t *testing.T) {
	var got []string
	for _, test := range selftest.All() {
		got = append(got, test.Name())
		if err := test.Run(); err != nil {
			t.Error(err)
		}
	}
	if want := []string{"RCT", "APT", "lag predictor", "stuck test", "start-up test"}; !slices.Equal(got, want) {
		t.Errorf("there are self-tests %q, want %q", got, want)
	}
	if err := SelfTest(); err != nil {
		t.Error(err)
	}
}

// The answers from the words of the standard, SP 800-90B, Section 4.4, and those of
// jitterentropy, on all samples at once.
func TestSelfTestAnswers(t *testing.T) {
	samples := func(name string) (x []byte) {
		for p := range slices.Chunk(selfTestOf(t, name).Input(), 2) {
			x = append(x, bytes.Repeat(p[:1], int(p[1]))...)
		}
		return x
	}
	answer := func(verdicts []Result) (a []byte) {
		for i, v := range verdicts {
			if i == 0 && v != Pass || i > 0 && v != verdicts[i-1] {
				a = append(a, byte(i>>8), byte(i), byte(v))
			}
		}
		return a
	}
	verdict := func(n, intermittent, permanent int) Result {
		switch {
		case n >= permanent:
			return Permanent
		case n >= intermittent:
			return Intermittent
		}
		return Pass
	}
	want := map[string][]byte{}

	// 4.4.1: how often the symbol occurs in a row, up to here. C = 1 + ⌈30/(1/3)⌉
	// and 1 + ⌈60/(1/3)⌉.
	x := samples("RCT")
	verdicts := make([]Result, len(x))
	for i := range x {
		n := 0
		for n <= i && x[i-n] == x[i] {
			n++
		}
		verdicts[i] = verdict(n, 91, 181)
	}
	want["RCT"] = answer(verdicts)

	// 4.4.2: how often the first symbol of the window occurs in it, up to here. Only
	// where it occurs the count can rise. The cut-offs are those of the tables of
	// jitterentropy for an oversampling rate of 3.
	x = samples("APT")
	verdicts = make([]Result, len(x))
	for i := range x {
		window := x[i/512*512 : i+1]
		if x[i] == window[0] && len(window) > 1 {
			verdicts[i] = verdict(bytes.Count(window, window[:1]), 459, 479)
		}
	}
	want["APT"] = answer(verdicts)

	// The predictor in words. Only a right guess raises its counts.
	var symbols []uint64
	verdicts = nil
	count := 0
	for i, x := range selfTestOf(t, "lag predictor").Input() {
		if i == 96 {
			count = 0
		}
		symbols = append(symbols, uint64(x))
		n, run := slowLag(symbols, 96)
		v := Pass
		if n > count {
			v = max(verdict(n, 40, 50), verdict(run, 12, 16))
		}
		verdicts = append(verdicts, v)
		count = n
	}
	want["lag predictor"] = answer(verdicts)

	// The derivatives, computed anew for each.
	d := append([]byte{0, 0}, selfTestOf(t, "stuck test").Input()...)
	abs := func(a, b int) int { return max(a-b, b-a) }
	for i := 2; i < len(d); i++ {
		first := int(d[i])
		second := abs(first, int(d[i-1]))
		third := abs(second, abs(int(d[i-1]), int(d[i-2])))
		want["stuck test"] = append(want["stuck test"], flag(first*second*third == 0))
	}

	// 1024 samples after the start, or after the window in which the last bad one
	// was. A run of stuck samples counts the one before it.
	event := func(i int, ready bool, r Result) {
		want["start-up test"] = append(want["start-up test"], byte(i>>8), byte(i), flag(ready), byte(r))
	}
	event(1024-1, true, Pass)
	event(1500-1+90, false, Intermittent)
	event((1500+91+511)/512*512+1024-1, true, Pass)
	event(3100-1+90, false, Intermittent)
	event(3100-1+180, false, Permanent)

	for name, a := range want {
		if got := selfTestOf(t, name).Answer(); !bytes.Equal(got, a) {
			t.Errorf("%s: the answer is %x, want %x", name, got, a)
		}
	}
}

func selfTestOf(t *testing.T, name string) *selftest.Test {
	t.Helper()
	for _, test := range selftest.All() {
		if test.Name() == name {
			return test
		}
	}
	t.Fatalf("there is no self-test %q", name)
	return nil
}

// A fault in any of them is noticed, and stays.
func TestSelfTestFaults(t *testing.T) {
	if name, _ := faults.Injected(); name != "" {
		for range 2 {
			if err := SelfTest(); !errors.Is(err, selftest.ErrFailed) || err != selftest.Failed() {
				t.Errorf("%s: %v", name, err)
			}
			selftest.TestingOnlyInject(name, selftest.NoFault)
		}
		return
	}
	if !faults.Supported() {
		t.Skip("no processes here")
	}
	if err := faults.Run("TestSelfTestFaults", testing.Short()); err != nil {
		t.Error(err)
	}
}

func BenchmarkSelfTest(b *testing.B) {
	for _, test := range selftest.All() {
		b.Run("test="+strings.ReplaceAll(test.Name(), " ", "_"), func(b *testing.B) {
			for b.Loop() {
				if err := test.Run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
