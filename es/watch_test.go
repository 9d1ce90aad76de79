package es

import (
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"testing"

	"github.com/lrng-go/lrng/internal/health"
)

// streamByte returns byte i of a stream that no test finds a fault with. It is that of
// SHA-256 in counter mode.
func streamByte(i int) byte {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i/sha256.Size)))
	return sum[i%sha256.Size]
}

// streamBytes returns n bytes of that stream, from byte i on.
func streamBytes(i, n int) []byte {
	p := make([]byte, 0, n+2*sha256.Size)
	for c := i / sha256.Size; len(p) < n+sha256.Size; c++ {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(c)))
		p = append(p, sum[:]...)
	}
	return p[i%sha256.Size:][:n]
}

func mustWatch(t testing.TB, h float64, window, size int) *watch {
	t.Helper()
	w, err := newWatch(h, window, health.Alpha, size)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// play tests samples of one byte, and returns the index and the failure of the first
// alarm.
func (w *watch) play(samples []byte) (int, *health.Failure) {
	for i := range samples {
		if f := w.next(samples[i : i+1]); f != nil {
			return i, f
		}
	}
	return -1, nil
}

// exact returns the least c for which n trials with probability 2^-h have c-1 or more
// successes, besides a first one that is certain, with a probability of at most
// 2^-alpha: the cut-off of the APT for windows of n+1. H is an integer.
func exact(n, h, alpha int) int {
	// All probabilities times 2^(n·h).
	total := new(big.Int)
	bound := new(big.Int).Lsh(big.NewInt(1), uint(n*h))
	bound.Rsh(bound, uint(alpha))
	others := new(big.Int).Lsh(big.NewInt(1), uint(h))
	others.Sub(others, big.NewInt(1))
	for k := n; k >= 0; k-- {
		term := new(big.Int).Binomial(int64(n), int64(k))
		term.Mul(term, new(big.Int).Exp(others, big.NewInt(int64(n-k)), nil))
		if total.Add(total, term).Cmp(bound) > 0 {
			return k + 2
		}
	}
	return 1
}

// B10-B13, T9: the last count that passes and the first that fails, for each test and
// both cut-offs. The counts are those of the claim, computed here from binomials.
func TestWatchBoundaries(t *testing.T) {
	for _, tt := range []struct {
		h    int // of a byte, bits
		rct  [2]int
		bRCT [2]int
	}{
		{8, [2]int{5, 9}, [2]int{2, 2}},
		{4, [2]int{9, 16}, [2]int{2, 2}},
		{1, [2]int{31, 61}, [2]int{2, 3}},
	} {
		apt := [2]int{exact(511, tt.h, 30), exact(511, tt.h, 60)}
		bAPT := [2]int{exact(31, min(64, 32*tt.h), 30), exact(31, min(64, 32*tt.h), 60)}
		for name, c := range map[string]struct {
			cutoffs [2]int
			samples func(n int) []byte // in which the test counts up to n and then passes
		}{
			// A run in the middle of a window of the APT, across blocks.
			"RCT": {tt.rct, func(n int) []byte {
				p := streamBytes(0, 1024+512)
				for i := range n {
					p[1024+5+i] = p[1024+5]
				}
				p[1024+5+n] = ^p[1024+5]
				return p
			}},
			// In the third window, with others in between for the RCT and the blocks.
			"APT": {apt, func(n int) []byte {
				p := streamBytes(0, 1024+512)
				window := p[1024:]
				base := window[0]
				count := 1
				for i := 1; i < len(window); i++ {
					if window[i] == base {
						window[i]++
					}
					if count < n && (i%4 == 0 || tt.h == 1 && i%8 != 7) {
						window[i] = base
						count++
					}
				}
				if count != n {
					t.Fatalf("there is no room for %d", n)
				}
				return p
			}},
			"block RCT": {tt.bRCT, func(n int) []byte {
				p := streamBytes(0, 2048)
				for i := range n {
					copy(p[1024+96+32*i:], p[1024+96:][:32])
				}
				return p
			}},
			// The first of the second window comes again, each time after another.
			"block APT": {bAPT, func(n int) []byte {
				p := streamBytes(0, 2048)
				for i := range n {
					copy(p[1024+64*i:], p[1024:][:32])
				}
				return p
			}},
		} {
			intermittent, permanent := c.cutoffs[0], c.cutoffs[1]
			if i, f := mustWatch(t, float64(tt.h), 512, 1).play(c.samples(intermittent - 1)); f != nil {
				t.Errorf("H = %d, %s: a count of %d: %v at %d", tt.h, name, intermittent-1, f, i)
			}
			w := mustWatch(t, float64(tt.h), 512, 1)
			samples := c.samples(permanent)
			i, f := w.play(samples)
			if permanent > intermittent {
				want := health.Failure{Test: name, Count: intermittent, Cutoff: intermittent}
				if f == nil || *f != want || w.ready() {
					t.Errorf("H = %d, %s: a count of %d: %v at %d, ready %t; want %v", tt.h, name, intermittent, f, i, w.ready(), &want)
					continue
				}
				// One less than the permanent cut-off is no second alarm.
				v := mustWatch(t, float64(tt.h), 512, 1)
				less := c.samples(permanent - 1)
				j, _ := v.play(less)
				if k, f := v.play(less[j+1:]); f != nil {
					t.Errorf("H = %d, %s: a count of %d: %v at %d", tt.h, name, permanent-1, f, j+1+k)
				}
				_, f = w.play(samples[i+1:])
			}
			want := health.Failure{Test: name, Count: permanent, Cutoff: permanent, Permanent: true}
			if f == nil || *f != want || w.ready() {
				t.Errorf("H = %d, %s: a count of %d: %v, ready %t; want %v", tt.h, name, permanent, f, w.ready(), &want)
			}
		}
	}
}

// B14: the start-up test takes 1024 samples, and after an alarm as many after the
// window of the alarm.
func TestWatchStartUp(t *testing.T) {
	w := mustWatch(t, 4, 512, 1)
	for i := range 1024 {
		if w.ready() {
			t.Fatalf("ready after %d samples", i)
		}
		w.play([]byte{streamByte(i)})
	}
	if !w.ready() {
		t.Fatal("not ready after 1024 samples")
	}
	fault := make([]byte, 9)
	if i, f := w.play(fault); i != 8 || f == nil || f.Permanent || w.ready() {
		t.Fatalf("alarm at %d: %v, ready %t", i, f, w.ready())
	}
	n := 0
	for ; !w.ready(); n++ {
		w.play([]byte{streamByte(2048 + n)})
	}
	if n != 512-9+1024 {
		t.Errorf("ready again after %d samples, want %d", n, 512-9+1024)
	}
	w.restart()
	for n = 0; !w.ready(); n++ {
		w.play([]byte{streamByte(4096 + n)})
	}
	if n != 1024 {
		t.Errorf("a start-up on demand took %d samples, want 1024", n)
	}
}

// E1: noise that repeats itself is found, with a claim of as much as it looks like, and
// with a small one. The index is that of the first alarm after the fault began.
func TestWatchRepetition(t *testing.T) {
	for _, tt := range []struct {
		period int
		h      float64
		test   string
		within int // samples
	}{
		{1, 8, "RCT", 5}, {1, 0.25, "RCT", 121},
		{2, 8, "APT", 100}, {2, 1, "block RCT", 96}, {2, 0.125, "block RCT", 320},
		{4, 8, "block RCT", 96}, {8, 8, "block RCT", 96}, {16, 8, "block RCT", 96}, {32, 8, "block RCT", 96},
		{31, 4, "block APT", 2048}, {48, 8, "block APT", 2048}, {64, 8, "block APT", 2048}, {64, 0.125, "block APT", 2048},
		{100, 8, "block APT", 2048}, {256, 8, "block APT", 2048}, {512, 8, "block APT", 2048}, {512, 4, "block APT", 2048},
	} {
		w := mustWatch(t, tt.h, 512, 1)
		begin := 1024 + 777
		if i, f := w.play(streamBytes(0, begin)); f != nil {
			t.Fatalf("alarm at %d: %v", i, f)
		}
		i, f := w.play(func() (p []byte) {
			for i := range 4096 {
				p = append(p, streamByte(begin+i%tt.period))
			}
			return p
		}())
		if f == nil || f.Test != tt.test && tt.period > 2 || i >= tt.within {
			t.Errorf("period %d, H = %v: %v after %d samples, want the %s within %d", tt.period, tt.h, f, i+1, tt.test, tt.within)
		}
	}
}

// An alarm on blocks lasts as long as its cause does: no start-up test passes before the
// failure is permanent. The claim is the least one, for which that takes longest.
func TestWatchLongRun(t *testing.T) {
	w := mustWatch(t, 30./992, 1024, 1)
	w.play(streamBytes(0, 1024))
	line := streamBytes(1024, 32)
	alarms := 0
	for i := 1; ; i++ {
		_, f := w.play(line)
		if f != nil && f.Permanent {
			if i != 63 || f.Test != "block RCT" || alarms != 1 {
				t.Errorf("%v with block %d, after %d alarms", f, i, alarms)
			}
			return
		}
		if f != nil {
			if i != 32 || f.Test != "block RCT" && f.Test != "block APT" {
				t.Errorf("%v with block %d", f, i)
			}
			alarms++
		}
		if i >= 32 && w.ready() {
			t.Fatalf("ready after %d equal blocks", i)
		}
	}
}

// B12: a claim for which the capped cut-offs have more false alarms than alpha is
// refused.
func TestWatchLeastClaim(t *testing.T) {
	for _, tt := range []struct {
		h      float64
		window int
		alpha  float64
		ok     bool
	}{
		{30. / 511, 512, 30, true}, {30. / 512, 512, 30, false}, {30. / 992, 1024, 30, true}, {30. / 993, 1024, 30, false},
		{20. / 511, 512, 20, true}, {20. / 511, 512, 21, false}, {40. / 992, 1 << 16, 40, true}, {8, 512, 40, true},
		{8, 1 << 17, 30, false}, {65, 512, 30, false}, {0, 512, 30, false}, {-1, 512, 30, false},
	} {
		if _, err := newWatch(tt.h, tt.window, tt.alpha, 1); (err == nil) != tt.ok {
			t.Errorf("H = %v, W = %d, α = 2^-%v: %v", tt.h, tt.window, tt.alpha, err)
		}
	}
}

// Samples of several bytes are symbols of their own: they are equal if all bytes are.
func TestWatchWideSamples(t *testing.T) {
	w := mustWatch(t, 10, 512, 2)
	sample := func(i int, fault bool) []byte {
		if fault {
			return []byte{0, byte(i)}
		}
		return []byte{streamByte(2 * i), streamByte(2*i + 1)}
	}
	for i := range 2048 {
		if f := w.next(sample(i, false)); f != nil {
			t.Fatalf("alarm at %d: %v", i, f)
		}
	}
	for i := range 200 { // the low byte alone does not make them equal
		if f := w.next(sample(i, true)); f != nil {
			t.Fatalf("alarm at %d: %v", i, f)
		}
	}
	for i := range 4 {
		f := w.next([]byte{7, 7})
		if (f != nil) != (i == 3) || f != nil && (f.Test != "RCT" || f.Count != 4) { // 1 + ⌈30/10⌉
			t.Errorf("equal sample %d: %v", i+1, f)
		}
	}
}

func TestWatchClear(t *testing.T) {
	w := mustWatch(t, 4, 512, 1)
	w.play(streamBytes(0, 1024+17))
	if w.n != 17 || string(w.block[:17]) != string(streamBytes(1024, 17)) {
		t.Fatalf("%d bytes of a block", w.n)
	}
	if string(w.block[17:]) != string(make([]byte, len(w.block)-17)) {
		t.Error("the block before is still there")
	}
	w.clear()
	if w.n != 0 || w.block != [len(w.block)]byte{} || *w.samples != (health.Tests{}) || *w.blocks != (health.Tests{}) {
		t.Error("not wiped")
	}
}
