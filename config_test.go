package lrng_test

import (
	"crypto/md5"
	"crypto/sha512"
	"errors"
	"hash"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
	"github.com/lrng-go/lrng/seeding"
)

// badConditioner has what a test puts in it.
type badConditioner struct {
	name  string
	new   func() hash.Hash
	width int
}

func (c badConditioner) Name() string   { return c.name }
func (c badConditioner) New() hash.Hash { return c.new() }
func (c badConditioner) Width() int     { return c.width }

// badStrategy is seeding.Default with a fault.
type badStrategy struct {
	name  string
	bits  int
	level seeding.Level
}

func (s badStrategy) Name() string                                             { return s.name }
func (s badStrategy) Request(int, seeding.Stage) int                           { return s.bits }
func (s badStrategy) Level([]seeding.Credit, int, seeding.Stage) seeding.Level { return s.level }

// badDRNG is ChaCha20 with another Info.
type badDRNG struct {
	*drng.ChaCha20
	info drng.Info
}

func (d badDRNG) Info() drng.Info { return d.info }

func factory(change func(*drng.Info)) func() (drng.DRNG, error) {
	return func() (drng.DRNG, error) {
		d := badDRNG{ChaCha20: drng.NewChaCha20()}
		d.info = d.ChaCha20.Info()
		change(&d.info)
		return d, nil
	}
}

type panicSource struct{ es.Source }

func (panicSource) Info() es.Info { panic("no info") }

type invalidSource struct{ *estest.Fake }

func (invalidSource) Validate() error { return errors.New("es: TestConfig.Rate: 300") }

func TestConfigRefuses(t *testing.T) {
	needsFreedom(t)
	named := func(name string) es.Source { return fake(name) }
	other := 0
	for _, tt := range []struct {
		name, want string // want is in the error
		c          lrng.Config
	}{
		{"Shards below 0", "Config.Shards: -1", lrng.Config{Shards: -1}},
		{"Shards above 4096", "Config.Shards: 4097", lrng.Config{Shards: 4097}},
		{"OutputBuffer above 65536", "Config.OutputBuffer: 65537", lrng.Config{OutputBuffer: 65537}},
		{"OutputBuffer huge", "Config.OutputBuffer", lrng.Config{OutputBuffer: math.MaxInt}},
		{"ReseedRequests above 2^48", "Config.ReseedRequests", lrng.Config{ReseedRequests: 1<<48 + 1}},
		{"MaxWithoutReseed above 2^48", "Config.MaxWithoutReseed", lrng.Config{MaxWithoutReseed: 1<<48 + 1}},
		{"ReseedBits below 256", "Config.ReseedBits: 255", lrng.Config{ReseedBits: 255}},
		{"Memory of no grade", "Config.Memory: MemoryGrade(3) is not defined", lrng.Config{Memory: 3}},
		{"Memory below any", "Config.Memory: MemoryGrade(-1) is not defined", lrng.Config{Memory: -1}},
		{"Personalization above 1 MiB", "Config.Personalization", lrng.Config{Personalization: make([]byte, 1<<20+1)}},

		{"nil source", "Config.Sources[1] is nil", lrng.Config{Sources: []es.Source{named("a"), nil}}},
		{"typed nil source", "Config.Sources[0]", lrng.Config{Sources: []es.Source{(*estest.Fake)(nil)}}},
		{"source whose Info panics", "Config.Sources[0]", lrng.Config{Sources: []es.Source{panicSource{}}}},
		{"source without a name", "Config.Sources[0]", lrng.Config{Sources: []es.Source{named("")}}},
		{"source with a long name", "Config.Sources[0]", lrng.Config{Sources: []es.Source{named(strings.Repeat("x", 256))}}},
		{"two sources of one name", `Config.Sources[2]: a second source of the name "a"`, lrng.Config{Sources: []es.Source{named("a"), named("b"), named("a")}}},
		{"source with the name of the pool", `"auxiliary"`, lrng.Config{Sources: []es.Source{named("auxiliary")}}},
		{"negative MaxEntropy", "MaxEntropy: -1", lrng.Config{Sources: []es.Source{estest.New(es.Info{Name: "a", MaxEntropy: -1})}}},
		{"invalid source", "Config.Sources[0]: es: TestConfig.Rate: 300", lrng.Config{Sources: []es.Source{invalidSource{fake("a")}}}},
		{"invalid source of ours", "Rate", lrng.Config{Sources: []es.Source{es.NewOS(es.OSConfig{Rate: 257})}}},

		{"DRNG that fails", "Config.DRNG: no hardware", lrng.Config{DRNG: func() (drng.DRNG, error) { return nil, errors.New("no hardware") }}},
		{"DRNG nil", "Config.DRNG: returned nil", lrng.Config{DRNG: func() (drng.DRNG, error) { return nil, nil }}},
		{"DRNG seeded", "seeded already", lrng.Config{DRNG: func() (drng.DRNG, error) {
			d := drng.NewChaCha20()
			return d, d.Seed(make([]byte, 32), nil)
		}}},
		{"DRNG without a name", "Info().Name", lrng.Config{DRNG: factory(func(i *drng.Info) { i.Name = "" })}},
		{"DRNG of 127 bits", "SecurityStrength: 127", lrng.Config{DRNG: factory(func(i *drng.Info) { i.SecurityStrength = 127 })}},
		{"DRNG of 513 bits", "SecurityStrength: 513", lrng.Config{DRNG: factory(func(i *drng.Info) { i.SecurityStrength = 513 })}},
		{"DRNG without output", "MaxRequest: 0", lrng.Config{DRNG: factory(func(i *drng.Info) { i.MaxRequest = 0 })}},
		{"DRNG without requests", "ReseedInterval", lrng.Config{DRNG: factory(func(i *drng.Info) { i.ReseedInterval = 0 })}},
		{"DRNG of two kinds", "instances of", lrng.Config{Shards: 2, DRNG: factory(func(i *drng.Info) {
			other++
			i.Name += string(rune('A' + other))
		})}},

		{"Conditioner too narrow", "Config.Conditioner", lrng.Config{Conditioner: badConditioner{"MD5", md5.New, 128}}},
		{"Conditioner that claims more than it has", "Config.Conditioner", lrng.Config{Conditioner: badConditioner{"MD5", md5.New, 512}}},
		{"Conditioner without a name", "Config.Conditioner", lrng.Config{Conditioner: badConditioner{"", sha512.New, 512}}},
		{"Conditioner without a hash", "Config.Conditioner", lrng.Config{Conditioner: badConditioner{"x", func() hash.Hash { return nil }, 512}}},

		{"Strategy without a name", "Config.Strategy", lrng.Config{Strategy: badStrategy{"", 256, 0}}},
		{"Strategy with a long name", "Config.Strategy", lrng.Config{Strategy: badStrategy{strings.Repeat("x", 256), 256, 0}}},
		{"Strategy that asks for nothing", "asks for 0 bits", lrng.Config{Strategy: badStrategy{"x", 0, 0}}},
		{"Strategy that asks for too much", "asks for 513 bits", lrng.Config{Strategy: badStrategy{"x", 513, 0}}},
		{"Strategy that needs nothing", "without any entropy", lrng.Config{Strategy: badStrategy{"x", 256, seeding.FullySeeded}}},
	} {
		r, err := lrng.New(tt.c)
		if r != nil || err == nil || !strings.HasPrefix(err.Error(), "lrng: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error with %q", tt.name, err, tt.want)
		}
	}
}

func TestConfigAccepts(t *testing.T) {
	needsFreedom(t)
	for name, c := range map[string]lrng.Config{
		"4096 shards":            {Shards: 4096},
		"OutputBuffer of 1":      {OutputBuffer: 1},
		"OutputBuffer of 65536":  {OutputBuffer: 65536},
		"OutputBuffer none":      {OutputBuffer: math.MinInt},
		"ReseedInterval longest": {ReseedInterval: math.MaxInt64},
		"ReseedInterval none":    {ReseedInterval: math.MinInt64},
		"ReseedInterval of 1 ns": {ReseedInterval: 1},
		"ReseedRequests most":    {ReseedRequests: 1 << 48},
		"MaxWithoutReseed most":  {MaxWithoutReseed: 1 << 48},
		"ReseedBits of 256":      {ReseedBits: 256},
		"ReseedBits most":        {ReseedBits: math.MaxUint64},
		"Personalization 1 MiB":  {Personalization: make([]byte, 1<<20)},
		"SHA3-256":               {Conditioner: conditioner.SHA3_256},
		"strength 128":           {DRNG: factory(func(i *drng.Info) { i.SecurityStrength = 128 })},
		"requests of 1 byte":     {DRNG: factory(func(i *drng.Info) { i.MaxRequest = 1 })},
		"one request a seed":     {DRNG: factory(func(i *drng.Info) { i.ReseedInterval = 1 })},
	} {
		c.Sources, c.FIPS = []es.Source{fake("a")}, fipsMode()
		r, err := lrng.New(c)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		mustRead(t, r, 300)
		if err := r.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An empty list is not nil: such a generator lives on AddEntropy alone.
func TestConfigWithoutSources(t *testing.T) {
	needsFreedom(t)
	r := newRNG(t, lrng.Config{Sources: []es.Source{}, FIPS: fipsMode()})
	mustRefuse(t, r.Nonblocking(), lrng.ErrNotSeeded)
	if err := r.AddEntropy(make([]byte, 32), 255); err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, r.Nonblocking(), lrng.ErrNotSeeded)
	if err := r.AddEntropy(make([]byte, 1), 1); err != nil {
		t.Fatal(err)
	}
	mustRead(t, r, 16)
}

// The configuration is copied: who made it may do with it what they like.
func TestConfigIsCopied(t *testing.T) {
	a := fake("a")
	c := one(a)
	c.Personalization = []byte("mine")
	r := newRNG(t, c)
	c.Sources[0] = nil
	c.Personalization[0] = 0
	mustRead(t, r, 16)
	if a.Count() != 1 {
		t.Error("the source was replaced")
	}
}

// The limit of the mechanism holds where it is below the configured one.
func TestMechanismLimits(t *testing.T) {
	needsFreedom(t)
	src := fake("a")
	c := one(src)
	c.DRNG = factory(func(i *drng.Info) { i.ReseedInterval, i.MaxRequest = 3, 100 })
	r := newRNG(t, c)
	if err := r.Wait(t.Context(), seeding.FullySeeded); err != nil {
		t.Fatal(err)
	}
	src.SetDead(errDead)
	mustRead(t, r.Nonblocking(), 300) // three requests of 100 bytes
	mustRefuse(t, r.Nonblocking(), lrng.ErrNotSeeded)
}

// Output ahead of need takes several requests of a mechanism; they count, too.
func TestMechanismLimitsAhead(t *testing.T) {
	needsFreedom(t)
	for _, interval := range []uint64{1, 3, 10, 11, 12, 100} {
		src := fake("a")
		c := one(src)
		c.OutputBuffer = 1024
		c.DRNG = factory(func(i *drng.Info) { i.ReseedInterval, i.MaxRequest = interval, 100 })
		real := c.DRNG
		c.DRNG = func() (drng.DRNG, error) {
			d, err := real()
			return &limitedDRNG{DRNG: d}, err
		}
		r := newRNG(t, c)
		for n := range 200 {
			mustRead(t, r, n)
		}
	}
}

// A limitedDRNG keeps to the interval that its Info states.
type limitedDRNG struct {
	drng.DRNG
	requests uint64
}

func (d *limitedDRNG) Seed(seed, additional []byte) error {
	d.requests = 0
	return d.DRNG.Seed(seed, additional)
}

func (d *limitedDRNG) Generate(out, additional []byte) error {
	if d.requests >= d.Info().ReseedInterval {
		clear(out)
		return drng.ErrReseedRequired
	}
	err := d.DRNG.Generate(out, additional)
	if err == nil {
		d.requests++
	}
	return err
}

// A foreign auxiliary pool in the list is the one that AddEntropy writes to.
func TestConfigWithOwnAuxiliary(t *testing.T) {
	needsFreedom(t)
	aux := es.NewAuxiliary(es.AuxiliaryConfig{})
	r := newRNG(t, lrng.Config{Sources: []es.Source{aux, fake("a", estest.Error(errDead))}, FIPS: fipsMode()})
	if err := r.AddEntropy(make([]byte, 32), 200); err != nil {
		t.Fatal(err)
	}
	if got := aux.Available(512); got != 200 {
		t.Errorf("%d bits in the pool, want 200", got)
	}
	st := r.Status()
	if len(st.Sources) != 2 || st.Sources[0].Name != "auxiliary" {
		t.Errorf("sources: %+v", st.Sources)
	}
	if err := aux.Add(make([]byte, 8), 56); err != nil { // directly
		t.Fatal(err)
	}
	mustRead(t, r, 8)
}

// Same sources, same time: the personalization string makes the difference (A12).
func TestPersonalization(t *testing.T) {
	needsFreedom(t)
	for _, p := range []string{"", "a", "b", "a\x00"} {
		c := one(fake("a"))
		c.Personalization = []byte(p)
		var seeds [][]byte
		c.DRNG = func() (drng.DRNG, error) { return &spy{ChaCha20: drng.NewChaCha20(), seeds: &seeds}, nil }
		r := newRNG(t, c)
		mustRead(t, r, 16)
		if err := r.Reseed(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(seeds) != 2 || !strings.HasSuffix(string(seeds[0]), p) {
			t.Fatalf("%q is not the end of the first seed", p)
		}
		if p != "" && len(seeds[0]) != len(seeds[1])+len(p) {
			t.Errorf("%q: %d bytes in the first seed, %d in the second", p, len(seeds[0]), len(seeds[1]))
		}
	}
}

// A spy keeps what it is seeded with.
type spy struct {
	*drng.ChaCha20
	seeds *[][]byte
}

func (s *spy) Seed(seed, additional []byte) error {
	*s.seeds = append(*s.seeds, append(append([]byte(nil), seed...), additional...))
	return s.ChaCha20.Seed(seed, additional)
}

func TestDefaultSources(t *testing.T) {
	var names []string
	for _, s := range lrng.DefaultSources() {
		names = append(names, s.Info().Name)
	}
	if got := strings.Join(names, " "); got != "jitter cpu os" {
		t.Errorf("default sources: %s", got)
	}
	c := lrng.Config{Sources: append(lrng.DefaultSources(), fake("mine")), ReseedInterval: time.Hour, FIPS: fipsMode()}
	mustRead(t, newRNG(t, c), 16)
}
