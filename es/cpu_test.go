package es

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lrng-go/lrng/internal/hwrand"
)

var _ interface {
	Source
	NoiseSource
	HealthTester
	Validator
} = (*CPU)(nil)

// A script is a generator: what its i-th reading gives, from 0.
type script func(i int) (w uint64, ok bool)

// sound is a generator without faults. Its words are all different, as each
// step below can be undone, and none of the first 2⁶⁰ is 0 or all ones.
func sound(i int) (uint64, bool) {
	z := (uint64(i) + 1) * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	return z ^ z>>27, true
}

// chance is true for about percent of a hundred values of i, with no pattern.
func chance(i, percent int) bool {
	z, _ := sound(i)
	return int(z>>33%100) < percent
}

// playCPU returns a source that reads the script from its start, and the number
// of its readings.
func playCPU(c CPUConfig, kind hwrand.Kind, play script) (*CPU, *atomic.Int64) {
	n := new(atomic.Int64)
	return newCPU(c, kind, nil, func() (uint64, bool) { return play(int(n.Add(1)) - 1) }), n
}

// wordsOf returns the given readings of the sound generator as bytes.
func wordsOf(readings ...int) []byte {
	var p []byte
	for _, i := range readings {
		w, _ := sound(i)
		p = binary.LittleEndian.AppendUint64(p, w)
	}
	return p
}

func upTo(from, to int) (r []int) {
	for ; from < to; from++ {
		r = append(r, from)
	}
	return r
}

const ones = math.MaxUint64

// at returns the sound generator with w in place of the given readings.
func at(w uint64, readings ...int) script {
	return func(i int) (uint64, bool) {
		for _, r := range readings {
			if r == i {
				return w, true
			}
		}
		return sound(i)
	}
}

// stuckAfter returns n sound words and then one for ever.
func stuckAfter(n int) script { return func(i int) (uint64, bool) { return sound(min(i, n)) } }

// cycle returns n sound words again and again.
func cycle(n int) script { return func(i int) (uint64, bool) { return sound(i % n) } }

// noneAfter returns n sound words and then none.
func noneAfter(n int) script {
	return func(i int) (uint64, bool) {
		w, _ := sound(i)
		return w, i < n
	}
}

func always(w uint64) script { return func(int) (uint64, bool) { return w, true } }

// The faults of the hardware, T4, T5 and T6, and the reading at which each is
// noticed. The first 8 readings are the start-up test, the next 4 the data.
func TestCPUFaults(t *testing.T) {
	for _, tt := range []struct {
		name     string
		play     script
		data     []int  // the readings that are delivered; nil: an error
		test     string // the test that fails; "": the source is unavailable
		readings int    // until the call returns
	}{
		{"sound", sound, upTo(8, 12), "", 12},

		{"zero with success", always(0), nil, "start-up", 3},
		{"all ones with success", always(ones), nil, "start-up", 3},
		{"stuck from the start", stuckAfter(0), nil, "start-up", 4},
		{"stuck after 1", stuckAfter(1), nil, "start-up", 5},
		{"stuck after 4", stuckAfter(4), nil, "start-up", 8},
		{"stuck after 5", stuckAfter(5), nil, "repetition", 11},
		{"stuck after 7", stuckAfter(7), nil, "repetition", 11},
		{"stuck after 8", stuckAfter(8), nil, "repetition", 12},
		{"stuck after 10", stuckAfter(10), nil, "repetition", 14},
		{"stuck at the last word", stuckAfter(11), upTo(8, 12), "", 12},

		{"two words in turn", cycle(2), nil, "start-up", 5},
		{"cycle of 5", cycle(5), nil, "start-up", 8},
		{"cycle of 6", cycle(6), nil, "repetition", 11},
		{"cycle of 8", cycle(8), nil, "repetition", 11},
		{"cycle of 9", cycle(9), nil, "repetition", 12},
		{"cycle of 11", cycle(11), nil, "repetition", 14},
		{"cycle of 12", cycle(12), upTo(8, 12), "", 12},

		{"two zeros in the start-up test", at(0, 0, 7), upTo(8, 12), "", 12},
		{"three zeros in the start-up test", at(0, 0, 3, 7), nil, "start-up", 8},
		{"two all ones in the start-up test", at(ones, 3, 4), upTo(8, 12), "", 12},
		{"three all ones in the start-up test", at(ones, 3, 4, 6), nil, "start-up", 7},
		{"zero in the data", at(0, 8), upTo(9, 13), "", 13},
		{"two zeros in a row", at(0, 9, 10), []int{8, 11, 12, 13}, "", 14},
		{"four zeros, two in a row", at(0, 8, 9, 11, 12), []int{10, 13, 14, 15}, "", 16},
		{"three zeros in a row", at(0, 9, 10, 11), nil, "repetition", 12},
		{"two all ones in a row", at(ones, 12, 11), []int{8, 9, 10, 13}, "", 14},
		{"three all ones in a row", at(ones, 13, 12, 11), nil, "repetition", 14},
		{"last word of the start-up test again", at(first(sound(7)), 8), upTo(9, 13), "", 13},
		{"first word of the start-up test again", at(first(sound(0)), 11), []int{8, 9, 10, 12}, "", 13},
		{"the word before again", at(first(sound(9)), 10), []int{8, 9, 11, 12}, "", 13},

		{"no word ever", noneAfter(0), nil, "", cpuWindows},
		{"no word after 5", noneAfter(5), nil, "", 5 + cpuWindows},
		{"no word after 10", noneAfter(10), nil, "", 10 + cpuWindows},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, n := playCPU(CPUConfig{Rate: 256}, hwrand.Seed, tt.play)
			p := bytes.Repeat([]byte{0xa5}, 34)
			credit, err := s.GetEntropy(t.Context(), p[1:33], 256)
			if got := int(n.Load()); got != tt.readings {
				t.Errorf("%d readings, want %d", got, tt.readings)
			}
			if p[0] != 0xa5 || p[33] != 0xa5 {
				t.Error("a byte beside the buffer was changed")
			}
			p = p[1:33]
			if tt.data != nil {
				if credit != 256 || err != nil || !bytes.Equal(p, wordsOf(tt.data...)) {
					t.Errorf("got %d, %v, %x; want readings %v", credit, err, p, tt.data)
				}
				return
			}
			if credit != 0 || err == nil || !bytes.Equal(p, make([]byte, 32)) {
				t.Errorf("got %d, %v, %x; want an error, no credit and no data", credit, err, p)
			}
			var health *HealthError
			switch {
			case tt.test == "":
				if !errors.Is(err, ErrUnavailable) || errors.As(err, &health) {
					t.Errorf("got %v, want ErrUnavailable", err)
				}
			case !errors.As(err, &health) || *health != HealthError{Source: "cpu", Test: tt.test, Count: 3, Cutoff: 3}:
				t.Errorf("got %v, want a failure of %s", err, tt.test)
			}
		})
	}
}

func first(w uint64, _ bool) uint64 { return w }

// T5: one word in ten is zero, as RDSEED of Zen 5 in its short forms. No zero is
// delivered, and enough calls succeed.
func TestCPUSomeZeros(t *testing.T) {
	s, _ := playCPU(CPUConfig{}, hwrand.Seed, func(i int) (uint64, bool) {
		if chance(i, 10) {
			return 0, true
		}
		return sound(i)
	})
	failed := 0
	for range 1000 {
		p := make([]byte, 32)
		credit, err := s.GetEntropy(t.Context(), p, 256)
		var health *HealthError
		switch {
		case errors.As(err, &health):
			failed++
			continue
		case err != nil || credit != 8:
			t.Fatalf("got %d, %v", credit, err)
		}
		for i := 0; i < len(p); i += 8 {
			if binary.LittleEndian.Uint64(p[i:]) == 0 {
				t.Fatal("a zero was delivered")
			}
		}
	}
	// Three or more zeros in eight words: 3.8 %; three in a row in the data: 0.4 %.
	if failed < 10 || failed > 80 {
		t.Errorf("%d calls of 1000 failed, about 42 should", failed)
	}
}

// T6: 24 % of all attempts find RDSEED exhausted. Each call waits, and none
// fails; the words are delivered in order, none lost, none twice.
func TestCPUExhausted(t *testing.T) {
	play := func(i int) (uint64, bool) {
		w, _ := sound(i)
		return w, !chance(i, 24)
	}
	s, n := playCPU(CPUConfig{}, hwrand.Seed, play)
	next := 0
	for range 1000 {
		var want []byte
		for words := 0; words < cpuStartUp+4; next++ {
			if w, ok := play(next); ok {
				if words++; words > cpuStartUp {
					want = binary.LittleEndian.AppendUint64(want, w)
				}
			}
		}
		p := make([]byte, 32)
		if credit, err := s.GetEntropy(t.Context(), p, 256); credit != 8 || err != nil || !bytes.Equal(p, want) {
			t.Fatalf("got %d, %v, %x, want %x", credit, err, p, want)
		}
	}
	if got := n.Load(); int(got) != next || next < 12000*100/80 {
		t.Errorf("%d readings, want %d", got, next)
	}
}

// A word is asked for cpuWindows times, and not once more.
func TestCPUWaits(t *testing.T) {
	for _, missing := range []int{cpuWindows - 1, cpuWindows} {
		s, _ := playCPU(CPUConfig{}, hwrand.Seed, func(i int) (uint64, bool) {
			w, _ := sound(i)
			return w, i < 9 || i >= 9+missing
		})
		_, err := s.GetEntropy(t.Context(), make([]byte, 32), 256)
		if (err == nil) != (missing < cpuWindows) {
			t.Errorf("%d readings without a word: %v", missing, err)
		}
	}
}

// B16, upstream defect 3: a failure costs the credit of its own call. The next
// one tests the generator anew, and has its credit if it is sound again.
func TestCPURecovers(t *testing.T) {
	for name, broken := range map[string]script{
		"zero": always(0), "all ones": always(ones), "stuck": stuckAfter(9), "cycle": cycle(8), "no word": noneAfter(0),
	} {
		t.Run(name, func(t *testing.T) {
			var play script
			offset := 0
			s := newCPU(CPUConfig{}, hwrand.Seed, nil, func() (uint64, bool) {
				offset++
				return play(offset - 1)
			})
			p := make([]byte, 32)
			for round := range 3 {
				play, offset = broken, 0
				for range 2 {
					if credit, err := s.GetEntropy(t.Context(), p, 256); credit != 0 || err == nil {
						t.Fatalf("round %d, broken: %d, %v", round, credit, err)
					}
				}
				if s.HealthTest(t.Context()) == nil && name != "cycle" {
					t.Errorf("round %d, broken: HealthTest passed", round)
				}
				if s.Info().MaxEntropy != 16 || s.Available(256) != 8 {
					t.Errorf("round %d, broken: Info or Available changed", round)
				}
				play, offset = sound, 0
				credit, err := s.GetEntropy(t.Context(), p, 256)
				if credit != 8 || err != nil || offset != 12 || !bytes.Equal(p, wordsOf(upTo(8, 12)...)) {
					t.Fatalf("round %d, sound: %d, %v, %d readings", round, credit, err, offset)
				}
			}
		})
	}
}

// Words of RDRAND are read until the generator has reseeded, once for each 128
// bits, and compressed.
func TestCPUCompression(t *testing.T) {
	if cpuInterval*8/128 < 511+1 {
		t.Error("fewer samples than guarantee a reseed")
	}
	for _, tt := range []struct {
		size    int
		reseeds []int // of each digest
	}{
		{0, nil},
		{1, []int{1}},
		{16, []int{1}},
		{17, []int{2}},
		{32, []int{2}},
		{48, []int{3}},
		{64, []int{4}},
		{65, []int{4, 1}},
		{200, []int{4, 4, 4, 1}},
	} {
		s, n := playCPU(CPUConfig{Rate: 256}, hwrand.DRBG, sound)
		p := make([]byte, tt.size)
		credit, err := s.GetEntropy(t.Context(), p, 8*tt.size)
		if err != nil || credit != min(8*tt.size, 512) {
			t.Errorf("%d bytes: %d, %v", tt.size, credit, err)
		}
		var want []byte
		i := cpuStartUp
		for _, r := range tt.reseeds {
			sum := sha512.Sum512(wordsOf(upTo(i, i+r*1024)...))
			want = append(want, sum[:]...)
			i += r * 1024
		}
		if !bytes.Equal(p, want[:tt.size]) {
			t.Errorf("%d bytes: got %x, want %x", tt.size, p, want[:tt.size])
		}
		if got := int(n.Load()); got != i {
			t.Errorf("%d bytes: %d readings, want %d", tt.size, got, i)
		}
	}
}

// Words of DARN have at least half a bit of entropy a bit. Those for a digest have
// 64 bits more than it delivers.
func TestCPUDilution(t *testing.T) {
	for _, tt := range []struct {
		size  int
		words []int // of each digest
	}{
		{0, nil},
		{1, []int{3}}, // 18 bytes: the third is cut off
		{4, []int{3}},
		{5, []int{4}},
		{16, []int{6}},
		{32, []int{10}},
		{48, []int{14}},
		{63, []int{18}},
		{64, []int{18}},
		{65, []int{18, 3}},
		{200, []int{18, 18, 18, 4}},
	} {
		s, n := playCPU(CPUConfig{Rate: 256}, hwrand.Diluted, sound)
		p := make([]byte, tt.size)
		credit, err := s.GetEntropy(t.Context(), p, 8*tt.size)
		if err != nil || credit != min(8*tt.size, 512) {
			t.Errorf("%d bytes: %d, %v", tt.size, credit, err)
		}
		var want []byte
		i := cpuStartUp
		for _, words := range tt.words {
			in := wordsOf(upTo(i, i+words)...)
			sum := sha512.Sum512(in[:2*min(tt.size-len(want), 64)+16])
			want = append(want, sum[:]...)
			i += words
		}
		if !bytes.Equal(p, want[:tt.size]) {
			t.Errorf("%d bytes: got %x, want %x", tt.size, p, want[:tt.size])
		}
		if got := int(n.Load()); got != i {
			t.Errorf("%d bytes: %d readings, want %d", tt.size, got, i)
		}
	}
}

// The tests see all words that are compressed, and a failure leaves nothing of the
// digests before it.
func TestCPUCompressionFaults(t *testing.T) {
	for _, kind := range []struct {
		name          string
		kind          hwrand.Kind
		first, second int // words of the digests for 64 and 32 bytes
	}{
		{"RDRAND", hwrand.DRBG, 4 * 1024, 2 * 1024},
		{"DARN", hwrand.Diluted, 18, 10},
	} {
		all := cpuStartUp + kind.first + kind.second
		late := cpuStartUp + kind.first + 6 // in the second digest
		for _, tt := range []struct {
			name     string
			play     script
			ok       bool
			readings int
		}{
			{"sound", sound, true, all},
			{"one zero", at(0, late), true, all + 1},
			{"three zeros", at(0, late, late+1, late+2), false, late + 3},
			{"stuck", stuckAfter(late), false, late + 4},
			{"no word", noneAfter(late), false, late + cpuWindows},
			{"start-up", at(ones, 0, 1, 2), false, 3},
		} {
			s, n := playCPU(CPUConfig{}, kind.kind, tt.play)
			p := make([]byte, 96)
			credit, err := s.GetEntropy(t.Context(), p, 512)
			if (err == nil) != tt.ok || (credit == 16) != tt.ok || int(n.Load()) != tt.readings {
				t.Errorf("%s, %s: %d, %v, %d readings, want %d", kind.name, tt.name, credit, err, n.Load(), tt.readings)
			}
			if !tt.ok && !bytes.Equal(p, make([]byte, 96)) {
				t.Errorf("%s, %s: %x was left after an error", kind.name, tt.name, p)
			}
		}
	}
}

// Any size and any number of bits: the data are the words in order, the last
// one cut off, and the credit stays within its limits.
func TestCPUSizesAndCredit(t *testing.T) {
	for _, config := range []int{0, -1, math.MinInt, 1, 8, 255, 256} {
		want := config
		if config <= 0 {
			want = map[bool]int{true: 8, false: 0}[config == 0]
		}
		for _, size := range []int{0, 1, 3, 7, 8, 9, 31, 32, 33, 63, 64, 65, 1000} {
			for _, bits := range []int{math.MinInt, -1, 0, 1, 7, 8, 128, 256, 512, 513, 1 << 20, math.MaxInt} {
				s, n := playCPU(CPUConfig{Rate: config}, hwrand.Seed, sound)
				p := make([]byte, size, size+8)
				credit, err := s.GetEntropy(t.Context(), p, bits)
				limit := max(0, min(bits, min(size, 64)*8*want/256))
				if err != nil || credit != limit || credit > s.Info().MaxEntropy {
					t.Fatalf("rate %d, %d bytes, %d bits: got %d, %v, want %d", config, size, bits, credit, err, limit)
				}
				words := (size + 7) / 8
				if !bytes.Equal(p, wordsOf(upTo(8, 8+words)...)[:size]) || int(n.Load()) != 8+words {
					t.Fatalf("rate %d, %d bytes: %x after %d readings", config, size, p, n.Load())
				}
				if !bytes.Equal(p[:cap(p)][size:], make([]byte, 8)) {
					t.Fatal("written behind p")
				}
				if a := s.Available(bits); a != max(0, min(bits, 512)*want/256) {
					t.Fatalf("rate %d, %d bits: Available %d", config, bits, a)
				}
			}
		}
		s, _ := playCPU(CPUConfig{Rate: config}, hwrand.Seed, sound)
		if i := s.Info(); i != (Info{Name: "cpu", MaxEntropy: 2 * want, Health: true}) || s.Validate() != nil {
			t.Errorf("rate %d: %+v, %v", config, i, s.Validate())
		}
		if credit, err := s.GetEntropy(t.Context(), nil, 256); credit != 0 || err != nil {
			t.Errorf("rate %d: nil: %d, %v", config, credit, err)
		}
	}
}

// Without a usable generator, and with a wrong configuration, nothing is read
// and the reason is told.
func TestCPUUnusable(t *testing.T) {
	never := func() (uint64, bool) {
		t.Error("the generator was read")
		return 0, false
	}
	reason := errors.New("hwrand: no RDSEED or RDRAND")
	for _, tt := range []struct {
		name   string
		s      *CPU
		config bool // whether the configuration is what is wrong
		text   string
	}{
		{"none", newCPU(CPUConfig{Rate: 256}, hwrand.None, reason, never), false, "es: cpu: hwrand: no RDSEED or RDRAND: es: source unavailable"},
		{"rate too high", newCPU(CPUConfig{Rate: 257}, hwrand.Seed, nil, never), true, "CPUConfig.Rate"},
		{"both", newCPU(CPUConfig{Rate: 257}, hwrand.None, reason, never), true, "CPUConfig.Rate"},
	} {
		check := func(method string, n int, err error) {
			t.Helper()
			if n != 0 || err == nil || !strings.Contains(err.Error(), tt.text) || errors.Is(err, ErrUnavailable) == tt.config {
				t.Errorf("%s: %s: %d, %v", tt.name, method, n, err)
			}
		}
		p := bytes.Repeat([]byte{1}, 32)
		n, err := tt.s.GetEntropy(t.Context(), p, 256)
		check("GetEntropy", n, err)
		n, err = tt.s.GetEntropy(t.Context(), nil, 0)
		check("GetEntropy of nothing", n, err)
		n, err = tt.s.GetNoise(p)
		check("GetNoise", n, err)
		check("HealthTest", 0, tt.s.HealthTest(t.Context()))
		if err := tt.s.Validate(); (err != nil) != tt.config {
			t.Errorf("%s: Validate: %v", tt.name, err)
		}
		if tt.s.Info() != (Info{Name: "cpu", Health: true}) || tt.s.Available(256) != 0 {
			t.Errorf("%s: %+v, %d available", tt.name, tt.s.Info(), tt.s.Available(256))
		}
	}
}

// The context is looked at before each word, in all modes.
func TestCPUContext(t *testing.T) {
	for _, kind := range []hwrand.Kind{hwrand.Seed, hwrand.Diluted, hwrand.DRBG} {
		for _, last := range []int{0, 3, 8, 10} {
			ctx, cancel := context.WithCancel(t.Context())
			var s *CPU
			var n *atomic.Int64
			s, n = playCPU(CPUConfig{}, kind, func(i int) (uint64, bool) {
				if i == last-1 {
					cancel()
				}
				return sound(i)
			})
			if last == 0 {
				cancel()
			}
			p := make([]byte, 32)
			credit, err := s.GetEntropy(ctx, p, 256)
			if credit != 0 || !errors.Is(err, context.Canceled) || int(n.Load()) != last || !bytes.Equal(p, make([]byte, 32)) {
				t.Errorf("kind %d, done after %d: %d, %v, %d readings, %x", kind, last, credit, err, n.Load(), p)
			}
			if err := s.HealthTest(ctx); !errors.Is(err, context.Canceled) || int(n.Load()) != last {
				t.Errorf("kind %d: HealthTest: %v", kind, err)
			}
		}
	}
	// Also while it waits for a generator without words.
	ctx, cancel := context.WithCancel(t.Context())
	s, n := playCPU(CPUConfig{}, hwrand.Seed, func(i int) (uint64, bool) {
		if i == 2 {
			cancel()
		}
		return 0, false
	})
	if _, err := s.GetEntropy(ctx, make([]byte, 8), 64); !errors.Is(err, context.Canceled) || n.Load() != 3 {
		t.Errorf("waiting: %v, %d readings", err, n.Load())
	}
}

// B15: the words of a test on demand are not delivered.
func TestCPUHealthTest(t *testing.T) {
	s, n := playCPU(CPUConfig{}, hwrand.Seed, sound)
	if err := s.HealthTest(t.Context()); err != nil || n.Load() != cpuStartUp {
		t.Errorf("sound: %v, %d readings", err, n.Load())
	}
	p := make([]byte, 8)
	if _, err := s.GetEntropy(t.Context(), p, 64); err != nil || !bytes.Equal(p, wordsOf(16)) {
		t.Errorf("after it: %v, %x", err, p)
	}
	for _, play := range []script{always(0), always(ones), stuckAfter(4), cycle(5), at(0, 5, 6, 7)} {
		var health *HealthError
		s, _ := playCPU(CPUConfig{}, hwrand.Seed, play)
		if err := s.HealthTest(t.Context()); !errors.As(err, &health) || health.Test != "start-up" {
			t.Errorf("got %v, want a failure of the start-up test", err)
		}
	}
	s, _ = playCPU(CPUConfig{}, hwrand.Seed, noneAfter(7))
	if err := s.HealthTest(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("no word: %v", err)
	}
}

// The noise is what the processor returns, also where it is bad, and is not
// delivered later.
func TestCPUNoise(t *testing.T) {
	s, _ := playCPU(CPUConfig{}, hwrand.DRBG, at(0, 1))
	p := make([]byte, 27)
	want := append(append(wordsOf(0), make([]byte, 8)...), wordsOf(2, 3)...)[:27]
	if n, err := s.GetNoise(p); n != 27 || err != nil || !bytes.Equal(p, want) {
		t.Errorf("got %d, %v, %x, want %x", n, err, p, want)
	}
	if n, err := s.GetNoise(nil); n != 0 || err != nil {
		t.Errorf("nil: %d, %v", n, err)
	}
	s, n := playCPU(CPUConfig{}, hwrand.Seed, noneAfter(2))
	if got, err := s.GetNoise(p); got != 16 || !errors.Is(err, ErrUnavailable) || n.Load() != 2+cpuWindows {
		t.Errorf("no word after 2: %d, %v, %d readings", got, err, n.Load())
	}
	s, _ = playCPU(CPUConfig{}, hwrand.Seed, sound)
	s.GetNoise(p[:8])
	if _, err := s.GetEntropy(t.Context(), p[:8], 64); err != nil || !bytes.Equal(p[:8], wordsOf(9)) {
		t.Errorf("after it: %v, %x", err, p[:8])
	}
}

func TestCPUConcurrent(t *testing.T) {
	s, _ := playCPU(CPUConfig{}, hwrand.Seed, func(i int) (uint64, bool) {
		w, _ := sound(i)
		return w, i%5 != 0
	})
	var mu sync.Mutex
	seen := map[uint64]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				p := make([]byte, 32)
				if credit, err := s.GetEntropy(t.Context(), p, 256); credit != 8 || err != nil {
					t.Errorf("got %d, %v", credit, err)
				}
				if err := s.HealthTest(t.Context()); err != nil {
					t.Error(err)
				}
				var noise [8]byte
				s.GetNoise(noise[:])
				s.Available(256)
				s.Info()
				mu.Lock()
				for i := 0; i < len(p); i += 8 {
					w := binary.LittleEndian.Uint64(p[i:])
					if seen[w] {
						t.Error("a word was delivered twice")
					}
					seen[w] = true
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// realCPU returns the source of this machine.
func realCPU(t testing.TB, c CPUConfig) *CPU {
	s := NewCPU(c)
	if s.missing != nil {
		t.Skip("this machine, or this build, has no generator: ", s.missing)
	}
	return s
}

func TestCPUHardware(t *testing.T) {
	s := realCPU(t, CPUConfig{})
	t.Log("the generator is ", hwrand.Name(s.kind))
	if err := s.HealthTest(t.Context()); err != nil {
		t.Error(err)
	}
	seen := map[[16]byte]bool{}
	p := make([]byte, 32)
	add := func() {
		for i := 0; i < len(p); i += 16 {
			w := [16]byte(p[i:])
			if seen[w] { // once in 2¹⁰⁶ runs: (2¹¹)²/2 pairs of 2⁻¹²⁸
				t.Fatal("two words came twice")
			}
			seen[w] = true
		}
	}
	for range 500 {
		if credit, err := s.GetEntropy(t.Context(), p, 256); credit != 8 || err != nil {
			t.Fatalf("got %d, %v", credit, err)
		}
		add()
		if n, err := s.GetNoise(p); n != len(p) || err != nil {
			t.Fatalf("noise: got %d, %v", n, err)
		}
		add()
	}
}

// T6: other cores that read the generator without a break do not make
// a call fail.
func TestCPUHammered(t *testing.T) {
	s := realCPU(t, CPUConfig{})
	if runtime.GOMAXPROCS(0) < 2 {
		t.Skip("one core only")
	}
	var stop atomic.Bool
	var words atomic.Int64
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop.Store(true)
	for range runtime.GOMAXPROCS(0) - 1 {
		wg.Go(func() {
			for !stop.Load() {
				hwrand.Word(s.kind)
				words.Add(1)
			}
		})
	}
	for words.Load() == 0 {
		runtime.Gosched() // on a busy machine it takes a while
	}
	p := make([]byte, 32)
	limit := time.Second
	if testing.Short() {
		limit /= 10
	}
	calls := 0
	for start := time.Now(); calls == 0 || time.Since(start) < limit; calls++ {
		if credit, err := s.GetEntropy(t.Context(), p, 256); credit != 8 || err != nil {
			t.Fatalf("call %d: got %d, %v", calls, credit, err)
		}
	}
	t.Logf("%d calls without a failure while %s was executed for %d other words", calls, hwrand.Name(s.kind), words.Load())
}

func TestCPUAllocs(t *testing.T) {
	p := make([]byte, 48)
	ctx := t.Context()
	bad := at(0, 8, 9) // with replaced words
	s, _ := playCPU(CPUConfig{}, hwrand.Seed, func(i int) (uint64, bool) { return bad(i % 14) })
	for name, s := range map[string]*CPU{"script": s, "hardware": NewCPU(CPUConfig{})} {
		if s.missing != nil || s.kind != hwrand.Seed {
			continue
		}
		if n := testing.AllocsPerRun(100, func() { s.GetEntropy(ctx, p, 384) }); n != 0 {
			t.Errorf("%s: GetEntropy allocates %v times", name, n)
		}
		if n := testing.AllocsPerRun(100, func() { s.HealthTest(ctx) }); n != 0 {
			t.Errorf("%s: HealthTest allocates %v times", name, n)
		}
	}
}

// Whatever the generator does, a call ends, and delivers good words or nothing.
func FuzzCPU(f *testing.F) {
	f.Add([]byte{0}, uint16(32), 256, false)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0}, uint16(33), math.MaxInt32, false)
	f.Add([]byte{0, 3, 0, 5}, uint16(8), -1, true)
	f.Add([]byte{8, 3, 0, 5}, uint16(65), 512, false) // Diluted
	f.Fuzz(func(t *testing.T, faults []byte, size uint16, bits int, drbg bool) {
		if len(faults) == 0 {
			faults = []byte{0}
		}
		kind := hwrand.Seed
		switch {
		case drbg:
			kind, size = hwrand.DRBG, size%70
		case faults[0]&8 != 0: // the other bits are faults
			kind = hwrand.Diluted
		}
		var before uint64
		s, n := playCPU(CPUConfig{Rate: 256}, kind, func(i int) (w uint64, ok bool) {
			w, ok = sound(i)
			switch faults[i%len(faults)] % 8 {
			case 1:
				w = 0
			case 2:
				w = ones
			case 3:
				w = before
			case 4:
				w, _ = sound(i % 8)
			case 5:
				ok = false
			}
			before = w
			return w, ok
		})
		p := make([]byte, size)
		credit, err := s.GetEntropy(t.Context(), p, bits)
		words := int64(cpuStartUp + (int(size)+7)/8)
		switch kind {
		case hwrand.Diluted:
			words = cpuStartUp + int64(size+63)/64*18
		case hwrand.DRBG:
			words = cpuStartUp + int64(size+15)/16*1024
			if size > 64 {
				words += 1024
			}
		}
		if n.Load() > words*cpuCutoff*cpuWindows {
			t.Errorf("%d readings for %d words", n.Load(), words)
		}
		if err != nil {
			if credit != 0 || !bytes.Equal(p, make([]byte, size)) {
				t.Errorf("%v, and %d bits, %x", err, credit, p)
			}
			return
		}
		if credit < 0 || credit > max(0, bits) || credit > 512 || credit > 8*len(p) {
			t.Errorf("%d bytes, %d bits: credit %d", size, bits, credit)
		}
		last := uint64(0)
		for ; kind == hwrand.Seed && len(p) >= 8; p = p[8:] {
			w := binary.LittleEndian.Uint64(p)
			if w == 0 || w == ones || w == last {
				t.Errorf("%#x was delivered after %#x", w, last)
			}
			last = w
		}
	})
}

func BenchmarkCPU(b *testing.B) {
	for _, kind := range []hwrand.Kind{hwrand.Seed, hwrand.Diluted, hwrand.DRBG} {
		if _, ok := hwrand.Word(kind); !ok {
			b.Logf("this machine, or this build, has no generator of kind %d", kind)
			continue
		}
		s := newCPU(CPUConfig{}, kind, nil, func() (uint64, bool) { return hwrand.Word(kind) })
		b.Run(fmt.Sprintf("ins=%s/size=32", hwrand.Name(kind)), func(b *testing.B) {
			var p [32]byte
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.GetEntropy(b.Context(), p[:], 256); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
