package seeding_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/seeding"
)

func credits(bits ...int) []seeding.Credit {
	var c []seeding.Credit
	for _, b := range bits {
		c = append(c, seeding.Credit{Source: es.Info{Name: "x", MaxEntropy: 512}, Bits: b})
	}
	return c
}

// Levels of LRNG (C10, A6): each boundary from both sides.
func TestDefaultLevel(t *testing.T) {
	for _, tt := range []struct {
		bits     []int
		strength int
		want     seeding.Level
	}{
		{nil, 256, seeding.Unseeded},
		{[]int{0}, 256, seeding.Unseeded},
		{[]int{31}, 256, seeding.Unseeded},
		{[]int{32}, 256, seeding.InitiallySeeded},
		{[]int{127}, 256, seeding.InitiallySeeded},
		{[]int{128}, 256, seeding.MinimallySeeded},
		{[]int{255}, 256, seeding.MinimallySeeded},
		{[]int{256}, 256, seeding.FullySeeded},
		{[]int{8, 248}, 256, seeding.FullySeeded},
		{[]int{8, 247}, 256, seeding.MinimallySeeded},
		{[]int{16, 16}, 256, seeding.InitiallySeeded},
		{[]int{127}, 128, seeding.InitiallySeeded},
		{[]int{128}, 128, seeding.FullySeeded},
		{[]int{191}, 192, seeding.MinimallySeeded},
		{[]int{192}, 192, seeding.FullySeeded},
		{[]int{-1000, 256}, 256, seeding.FullySeeded},
		{[]int{-1, 255}, 256, seeding.MinimallySeeded},
		{[]int{math.MinInt, math.MinInt}, 256, seeding.Unseeded},
		{[]int{math.MaxInt, math.MaxInt, math.MaxInt}, 256, seeding.FullySeeded},
	} {
		for _, st := range []seeding.Stage{seeding.Initial, seeding.Reseed, seeding.PredictionResistance} {
			if got := seeding.Default.Level(credits(tt.bits...), tt.strength, st); got != tt.want {
				t.Errorf("%v at strength %d, %v: %v, want %v", tt.bits, tt.strength, st, got, tt.want)
			}
		}
	}
}

// More credit never gives a lower level, in any place.
func TestDefaultIsMonotone(t *testing.T) {
	for _, others := range [][]int{nil, {0}, {8}, {100, 30}} {
		last := seeding.Unseeded
		for b := -10; b < 300; b++ {
			got := seeding.Default.Level(credits(append([]int{b}, others...)...), 256, seeding.Initial)
			if got < last {
				t.Fatalf("%d bits beside %v: %v after %v", b, others, got, last)
			}
			last = got
		}
	}
}

func TestDefaultRequest(t *testing.T) {
	for _, strength := range []int{128, 192, 256} {
		for _, st := range []seeding.Stage{seeding.Initial, seeding.Reseed, seeding.PredictionResistance} {
			if got := seeding.Default.Request(strength, st); got != strength {
				t.Errorf("strength %d, %v: asks for %d bits", strength, st, got)
			}
		}
	}
	if got := seeding.Default.Name(); got != "default" {
		t.Errorf("name %q", got)
	}
}

func TestSum(t *testing.T) {
	for _, tt := range []struct {
		bits []int
		want int
	}{{nil, 0}, {[]int{1, 2, 3}, 6}, {[]int{-1, 5}, 5}, {[]int{math.MaxInt, math.MaxInt}, 1 << 29}} {
		if got := seeding.Sum(credits(tt.bits...)); got != tt.want {
			t.Errorf("%v: %d, want %d", tt.bits, got, tt.want)
		}
	}
}

func TestNames(t *testing.T) {
	for l := seeding.Unseeded; l <= seeding.FullySeeded; l++ {
		text, err := json.Marshal(map[string]seeding.Level{"level": l})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), `"`+l.String()+`"`) {
			t.Errorf("%v is encoded as %s", l, text)
		}
		var back map[string]seeding.Level
		if err := json.Unmarshal(text, &back); err != nil || back["level"] != l {
			t.Errorf("%s is decoded as %v, %v", text, back, err)
		}
	}
	if got := seeding.Level(7).String(); got != "Level(7)" {
		t.Errorf("got %q", got)
	}
	if got := seeding.Level(-1).String(); got != "Level(-1)" {
		t.Errorf("got %q", got)
	}
	if _, err := seeding.Level(7).MarshalText(); err == nil {
		t.Error("an undefined level is encoded")
	}
	if err := new(seeding.Level).UnmarshalText([]byte("Fully seeded")); err == nil {
		t.Error("an unknown word is decoded")
	}
	if got := seeding.Stage(9).String(); got != "Stage(9)" {
		t.Errorf("got %q", got)
	}
	if got := seeding.PredictionResistance.String(); got != "prediction resistance" {
		t.Errorf("got %q", got)
	}
}

// SP 800-90C by oversampling (C9, C10, C13): each boundary from both sides. The defect
// of ESDM, which accepts 256 where it asked for 320, is the one of the third row
// (upstream 6.3-8).
func TestOversample(t *testing.T) {
	for _, tt := range []struct {
		st          seeding.Stage
		request     int
		least, most int // still minimal, already full
	}{
		{seeding.Initial, 384, 383, 384},
		{seeding.Reseed, 256, 255, 256},
		{seeding.PredictionResistance, 320, 319, 320},
	} {
		if got := seeding.Oversample.Request(256, tt.st); got != tt.request {
			t.Errorf("%v: asks for %d bits, want %d", tt.st, got, tt.request)
		}
		for _, c := range [][]seeding.Credit{credits(tt.least), credits(100, tt.least-100)} {
			if got := seeding.Oversample.Level(c, 256, tt.st); got != seeding.MinimallySeeded {
				t.Errorf("%v, %d bits: %v", tt.st, tt.least, got)
			}
		}
		for _, c := range [][]seeding.Credit{credits(tt.most), credits(100, tt.most-100)} {
			if got := seeding.Oversample.Level(c, 256, tt.st); got != seeding.FullySeeded {
				t.Errorf("%v, %d bits: %v", tt.st, tt.most, got)
			}
		}
	}
	if got := seeding.Oversample.Level(credits(31), 256, seeding.Initial); got != seeding.Unseeded {
		t.Errorf("31 bits: %v", got)
	}
	if margin, width := seeding.Oversample.(seeding.Conditioning).Conditioning(); margin != 64 || width != 384 {
		t.Errorf("conditioning: %d, %d", margin, width)
	}
}

// NTG.1 (G7): two sources with 240 bits each for the first seed, the sum later.
func TestNTG1(t *testing.T) {
	for _, tt := range []struct {
		bits []int
		st   seeding.Stage
		want seeding.Level
	}{
		{[]int{240, 240}, seeding.Initial, seeding.FullySeeded},
		{[]int{239, 240}, seeding.Initial, seeding.MinimallySeeded},
		{[]int{512, 239, 239}, seeding.Initial, seeding.MinimallySeeded},
		{[]int{512}, seeding.Initial, seeding.MinimallySeeded},
		{[]int{0, 240, 0, 240}, seeding.Initial, seeding.FullySeeded},
		{[]int{100, 20}, seeding.Initial, seeding.InitiallySeeded},
		{[]int{31}, seeding.Initial, seeding.Unseeded},
		{nil, seeding.Initial, seeding.Unseeded},
		{[]int{-1, 240}, seeding.Initial, seeding.MinimallySeeded},
		{[]int{256}, seeding.Reseed, seeding.FullySeeded},
		{[]int{255}, seeding.Reseed, seeding.MinimallySeeded},
		{[]int{128, 128}, seeding.PredictionResistance, seeding.FullySeeded},
	} {
		if got := seeding.NTG1.Level(credits(tt.bits...), 256, tt.st); got != tt.want {
			t.Errorf("%v, %v: %v, want %v", tt.bits, tt.st, got, tt.want)
		}
	}
	draft := seeding.NewNTG1(seeding.NTG1DraftBits)
	if got := draft.Level(credits(220, 220), 256, seeding.Initial); got != seeding.FullySeeded {
		t.Errorf("draft, twice 220: %v", got)
	}
	if got := draft.Level(credits(220, 219), 256, seeding.Initial); got != seeding.MinimallySeeded {
		t.Errorf("draft, 220 and 219: %v", got)
	}
	// A small least entropy of each is no way around the strength.
	small := seeding.NewNTG1(16)
	for sum, want := range map[int]seeding.Level{254: seeding.MinimallySeeded, 256: seeding.FullySeeded} {
		if got := small.Level(credits(sum/2, sum/2), 256, seeding.Initial); got != want {
			t.Errorf("16 bits each, %d in all: %v, want %v", sum, got, want)
		}
	}
	if draft.Name() == seeding.NTG1.Name() {
		t.Error("the draft has the name of the final version")
	}
}

// Sources of one boundary count as one (C8).
func TestBoundary(t *testing.T) {
	c := []seeding.Credit{
		{Source: es.Info{Name: "scheduler", MaxEntropy: 256, Boundary: "times"}, Bits: 240},
		{Source: es.Info{Name: "events", MaxEntropy: 256, Boundary: "times"}, Bits: 250},
		{Source: es.Info{Name: "cpu", MaxEntropy: 16}, Bits: 8},
	}
	if got := seeding.Sum(c); got != 258 {
		t.Errorf("sum %d, want 258", got)
	}
	if got := seeding.NTG1.Level(c, 256, seeding.Initial); got != seeding.MinimallySeeded {
		t.Errorf("NTG.1: %v", got)
	}
	c[0].Source.Boundary = "other"
	if got := seeding.NTG1.Level(c, 256, seeding.Initial); got != seeding.FullySeeded {
		t.Errorf("NTG.1, apart: %v", got)
	}
}

// All conditions together (G10).
func TestAll(t *testing.T) {
	both := seeding.All(seeding.Oversample, seeding.NTG1)
	for _, tt := range []struct {
		bits []int
		want seeding.Level
	}{
		{[]int{240, 240}, seeding.FullySeeded},
		{[]int{240, 239}, seeding.MinimallySeeded},
		{[]int{384}, seeding.MinimallySeeded},
		{[]int{240, 8, 240}, seeding.FullySeeded},
	} {
		if got := both.Level(credits(tt.bits...), 256, seeding.Initial); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.bits, got, tt.want)
		}
	}
	for st, want := range map[seeding.Stage]int{seeding.Initial: 384, seeding.Reseed: 256, seeding.PredictionResistance: 320} {
		if got := both.Request(256, st); got != want {
			t.Errorf("%v: asks for %d bits, want %d", st, got, want)
		}
	}
	if margin, width := both.(seeding.Conditioning).Conditioning(); margin != 64 || width != 384 {
		t.Errorf("conditioning: %d, %d", margin, width)
	}
	if got := both.Name(); got != "SP 800-90C oversampling and AIS 20/31 NTG.1" {
		t.Errorf("name %q", got)
	}
	if seeding.All() != seeding.Default {
		t.Error("no strategy at all is not the default")
	}
	list := []seeding.Strategy{seeding.NTG1}
	one := seeding.All(list...)
	list[0] = seeding.Default
	if got := one.Level(credits(256), 256, seeding.Initial); got != seeding.MinimallySeeded {
		t.Error("the list is not copied")
	}
}

func TestExplain(t *testing.T) {
	c := []seeding.Credit{
		{Source: es.Info{Name: "jitter", MaxEntropy: 384}, Bits: 240},
		{Source: es.Info{Name: "cpu", MaxEntropy: 16}, Bits: 8},
		{Source: es.Info{Name: "os"}},
	}
	for _, tt := range []struct {
		s    seeding.Strategy
		st   seeding.Stage
		want string
	}{
		{seeding.Default, seeding.Initial, "default: 248/256 bits: 8 more needed"},
		{seeding.Oversample, seeding.Initial, "SP 800-90C oversampling: 248/384 bits: 136 more needed"},
		{seeding.NTG1, seeding.Initial, "NTG.1: jitter 240/240, cpu 8/240: one more source needed"},
		{seeding.NTG1, seeding.Reseed, "NTG.1: 248/256 bits: 8 more needed"},
		{seeding.All(seeding.Default, seeding.NTG1), seeding.Initial, "default: 248/256 bits: 8 more needed; NTG.1: jitter 240/240, cpu 8/240: one more source needed"},
	} {
		if got := tt.s.(seeding.Explainer).Explain(c, 256, tt.st); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.s.Name(), got, tt.want)
		}
	}
	if got := seeding.NTG1.(seeding.Explainer).Explain(nil, 256, seeding.Initial); got != "NTG.1: no source: 2 more sources needed, 32 to initially seeded" {
		t.Errorf("nothing: %q", got)
	}
	c[1].Bits = 260
	if got := seeding.NTG1.(seeding.Explainer).Explain(c, 256, seeding.Initial); got != "NTG.1: jitter 240/240, cpu 260/240" {
		t.Errorf("enough: %q", got)
	}
}

// Every strategy: more credit never gives a lower level, and no entropy is no level.
func TestStrategiesAreMonotone(t *testing.T) {
	for _, s := range []seeding.Strategy{seeding.Default, seeding.Oversample, seeding.NTG1, seeding.All(seeding.Oversample, seeding.NTG1)} {
		for _, st := range []seeding.Stage{seeding.Initial, seeding.Reseed, seeding.PredictionResistance} {
			if got := s.Level(nil, 256, st); got != seeding.Unseeded {
				t.Errorf("%s, %v: %v without entropy", s.Name(), st, got)
			}
			for _, others := range [][]int{nil, {8}, {240}, {239, 300}} {
				last := seeding.Unseeded
				for b := -5; b < 520; b++ {
					got := s.Level(credits(append([]int{b}, others...)...), 256, st)
					if got < last {
						t.Fatalf("%s, %v, %d bits beside %v: %v after %v", s.Name(), st, b, others, got, last)
					}
					last = got
				}
			}
		}
	}
}
