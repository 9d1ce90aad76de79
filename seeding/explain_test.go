package seeding_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/seeding"
)

func explain(s seeding.Strategy, credits []seeding.Credit, strength int, st seeding.Stage) string {
	return s.(seeding.Explainer).Explain(credits, strength, st)
}

// mine returns credits of sources named a, b, c and so on.
func mine(bits ...int) []seeding.Credit {
	c := credits(bits...)
	for i := range c {
		c[i].Source.Name = string(rune('a' + i))
	}
	return c
}

// The level before the last and the last one, where what is missing is what is missing
// to the full seed: word for word.
func TestExplainFull(t *testing.T) {
	draft := seeding.NewNTG1(seeding.NTG1DraftBits)
	both := seeding.All(seeding.Oversample, seeding.NTG1)
	const initial, reseed, fresh = seeding.Initial, seeding.Reseed, seeding.PredictionResistance
	for _, tt := range []struct {
		strategy seeding.Strategy
		credits  []seeding.Credit
		strength int
		stage    seeding.Stage
		level    seeding.Level
		want     string
	}{
		{seeding.Default, mine(128), 256, initial, seeding.MinimallySeeded, "default: 128/256 bits: 128 more needed"},
		{seeding.Default, mine(255), 256, reseed, seeding.MinimallySeeded, "default: 255/256 bits: 1 more needed"},
		{seeding.Default, mine(256), 256, fresh, seeding.FullySeeded, "default: 256/256 bits"},
		{seeding.Default, mine(256, 256), 256, initial, seeding.FullySeeded, "default: 512/256 bits"},
		{seeding.Default, mine(191), 192, initial, seeding.MinimallySeeded, "default: 191/192 bits: 1 more needed"},
		{seeding.Default, mine(128), 128, initial, seeding.FullySeeded, "default: 128/128 bits"},

		{seeding.Oversample, mine(383), 256, initial, seeding.MinimallySeeded, "SP 800-90C oversampling: 383/384 bits: 1 more needed"},
		{seeding.Oversample, mine(384), 256, initial, seeding.FullySeeded, "SP 800-90C oversampling: 384/384 bits"},
		{seeding.Oversample, mine(200, 55), 256, reseed, seeding.MinimallySeeded, "SP 800-90C oversampling: 255/256 bits: 1 more needed"},
		{seeding.Oversample, mine(256), 256, reseed, seeding.FullySeeded, "SP 800-90C oversampling: 256/256 bits"},
		{seeding.Oversample, mine(319), 256, fresh, seeding.MinimallySeeded, "SP 800-90C oversampling: 319/320 bits: 1 more needed"},
		{seeding.Oversample, mine(320), 256, fresh, seeding.FullySeeded, "SP 800-90C oversampling: 320/320 bits"},
		{seeding.Oversample, mine(200), 128, initial, seeding.MinimallySeeded, "SP 800-90C oversampling: 200/256 bits: 56 more needed"},

		{seeding.NTG1, mine(240, 8), 256, initial, seeding.MinimallySeeded, "NTG.1: a 240/240, b 8/240: one more source needed"},
		{seeding.NTG1, mine(239, 239), 256, initial, seeding.MinimallySeeded, "NTG.1: a 239/240, b 239/240: 2 more sources needed"},
		{seeding.NTG1, mine(0, 240, 240), 256, initial, seeding.FullySeeded, "NTG.1: a 0/240, b 240/240, c 240/240"},
		{seeding.NTG1, mine(240, 240, 240), 256, initial, seeding.FullySeeded, "NTG.1: a 240/240, b 240/240, c 240/240"},
		{seeding.NTG1, mine(255), 256, reseed, seeding.MinimallySeeded, "NTG.1: 255/256 bits: 1 more needed"},
		{seeding.NTG1, mine(1, 255), 256, fresh, seeding.FullySeeded, "NTG.1: 256/256 bits"},
		{draft, mine(220, 219), 256, initial, seeding.MinimallySeeded, "NTG.1: a 220/220, b 219/220: one more source needed"},
		{draft, mine(220, 220), 256, initial, seeding.FullySeeded, "NTG.1: a 220/220, b 220/220"},

		{both, mine(384, 239), 256, initial, seeding.MinimallySeeded, "SP 800-90C oversampling: 623/384 bits; NTG.1: a 384/240, b 239/240: one more source needed"},
		{both, mine(240, 240), 256, initial, seeding.FullySeeded, "SP 800-90C oversampling: 480/384 bits; NTG.1: a 240/240, b 240/240"},
		{both, mine(300), 256, fresh, seeding.MinimallySeeded, "SP 800-90C oversampling: 300/320 bits: 20 more needed; NTG.1: 300/256 bits"},
		{seeding.All(draft, seeding.NTG1), mine(220, 240), 256, initial, seeding.MinimallySeeded, "NTG.1: a 220/220, b 240/220; NTG.1: a 220/240, b 240/240: one more source needed"},
	} {
		if got := tt.strategy.Level(tt.credits, tt.strength, tt.stage); got != tt.level {
			t.Errorf("%s, %v, %v: %v, want %v", tt.strategy.Name(), tt.stage, show(tt.credits), got, tt.level)
		}
		if got := explain(tt.strategy, tt.credits, tt.strength, tt.stage); got != tt.want {
			t.Errorf("%s, %v, %v:\ngot  %q\nwant %q", tt.strategy.Name(), tt.stage, show(tt.credits), got, tt.want)
		}
	}
}

// Which sources are named: of a boundary the one that counts (C8), and none that never
// counts (C5).
func TestExplainSources(t *testing.T) {
	c := []seeding.Credit{
		{Source: es.Info{Name: "scheduler", MaxEntropy: 512, Boundary: "times"}, Bits: 100},
		{Source: es.Info{Name: "events", MaxEntropy: 512, Boundary: "times"}, Bits: 240},
		{Source: es.Info{Name: "identity"}},
		{Source: es.Info{Name: "cpu", MaxEntropy: 16}, Bits: 16},
	}
	if got, want := explain(seeding.NTG1, c, 256, seeding.Initial), "NTG.1: events 240/240, cpu 16/240: one more source needed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := explain(seeding.Default, c, 256, seeding.Initial), "default: 256/256 bits"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// Negative credits count as 0, in the words, too.
	if got, want := explain(seeding.NTG1, mine(-7, 240), 256, seeding.Initial), "NTG.1: a 0/240, b 240/240: one more source needed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := explain(seeding.Default, mine(-7), 256, seeding.Initial), "default: 0/256 bits"; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// silent is a strategy that cannot explain itself.
type silent struct{}

func (silent) Name() string                                             { return "silent" }
func (silent) Request(int, seeding.Stage) int                           { return 1 }
func (silent) Level([]seeding.Credit, int, seeding.Stage) seeding.Level { return seeding.FullySeeded }

func TestExplainWithoutWords(t *testing.T) {
	if got, want := explain(seeding.All(silent{}, seeding.Default, silent{}), mine(256), 256, seeding.Reseed), "default: 256/256 bits"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := explain(seeding.All(silent{}), mine(256), 256, seeding.Reseed); got != "" {
		t.Errorf("got %q", got)
	}
}

// What is missing to the next level is said at every level, as long as there is no seed:
// the name of that level and the bits. The order and the words between them are free.
func TestExplainNextLevel(t *testing.T) {
	for _, s := range []seeding.Strategy{
		seeding.Default, seeding.Oversample, seeding.NTG1, seeding.NewNTG1(seeding.NTG1DraftBits),
		seeding.All(seeding.Oversample, seeding.NTG1),
	} {
		t.Run(s.Name(), func(t *testing.T) {
			for _, tt := range []struct {
				bits    []int
				level   seeding.Level
				missing int // to the next level
			}{
				{nil, seeding.Unseeded, 32},
				{[]int{0, 0}, seeding.Unseeded, 32},
				{[]int{10}, seeding.Unseeded, 22},
				{[]int{20, 11}, seeding.Unseeded, 1},
				{[]int{32}, seeding.InitiallySeeded, 96},
				{[]int{50, 40}, seeding.InitiallySeeded, 38},
				{[]int{127}, seeding.InitiallySeeded, 1},
			} {
				c := mine(tt.bits...)
				if got := s.Level(c, 256, seeding.Initial); got != tt.level {
					t.Fatalf("%v: %v, want %v", show(c), got, tt.level)
				}
				text := explain(s, c, 256, seeding.Initial)
				if next := (tt.level + 1).String(); !strings.Contains(text, next) || !hasNumber(text, tt.missing) {
					t.Errorf("%v is %v: %q does not say that %d bits are missing to %q", show(c), tt.level, text, tt.missing, next)
				}
			}
		})
	}
}

// Where two sources have what NTG.1 wants of each, and the sum is below the strength all
// the same (A6), that is said.
func TestExplainSmallNTG1(t *testing.T) {
	s, c := seeding.NewNTG1(100), mine(100, 100)
	if got := s.Level(c, 256, seeding.Initial); got != seeding.MinimallySeeded {
		t.Errorf("%v is %v", show(c), got)
	}
	if text := explain(s, c, 256, seeding.Initial); !strings.Contains(text, "needed") || !hasNumber(text, 56) {
		t.Errorf("%v: %q does not say that 56 bits are missing", show(c), text)
	}
}

// hasNumber reports whether n is one of the numbers in text.
func hasNumber(text string, n int) bool {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r < '0' || r > '9' }) {
		if word == fmt.Sprint(n) {
			return true
		}
	}
	return false
}
