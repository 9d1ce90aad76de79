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
	}{{nil, 0}, {[]int{1, 2, 3}, 6}, {[]int{-1, 5}, 5}, {[]int{math.MaxInt, math.MaxInt}, 1 << 30}} {
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
