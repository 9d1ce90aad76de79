package lrng

import (
	"bytes"
	"context"
	"crypto/fips140"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/seeding"
)

// countSource delivers bytes that count up, with full credit.
type countSource struct{ n byte }

func (s *countSource) Info() es.Info          { return es.Info{Name: "count", MaxEntropy: 512, Health: true} }
func (s *countSource) Available(bits int) int { return min(bits, 512) }
func (s *countSource) GetEntropy(_ context.Context, p []byte, bits int) (int, error) {
	for i := range p {
		s.n++
		p[i] = s.n
	}
	return bits, nil
}

func white(t *testing.T, c Config) *RNG {
	t.Helper()
	if c.Sources == nil {
		c.Sources = []es.Source{&countSource{}}
	}
	if c.Shards == 0 {
		c.Shards = 1
	}
	if c.Strategy == nil {
		c.Strategy = seeding.Default
	}
	if !fips140.Enforced() {
		c.FIPS = FIPSOff
	} else if c.DRNG == nil {
		t.Skip("GODEBUG=fips140=only does not allow ChaCha20, whose memory this test looks at")
	}
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// outsideFIPS skips a test that needs what enforced FIPS mode does not allow.
func outsideFIPS(t *testing.T) {
	t.Helper()
	if fips140.Enforced() {
		t.Skip("GODEBUG=fips140=only does not allow the mechanisms that this test is about")
	}
}

// contains reports whether any eight bytes in a row of out are in memory.
func contains(memory, out []byte) bool {
	for i := 0; i+8 <= len(out); i++ {
		if bytes.Contains(memory, out[i:i+8]) {
			return true
		}
	}
	return false
}

// Bytes handed out are erased in the same call; those ahead are dropped by a
// reseed (rules 6 of the flow, A16).
func TestOutputIsErased(t *testing.T) {
	for _, c := range []Config{
		{OutputBuffer: 256},
		{OutputBuffer: -1},
		{OutputBuffer: 256, DRNG: func() (drng.DRNG, error) { return struct{ drng.DRNG }{drng.NewChaCha20()}, nil }},
		{OutputBuffer: -1, DRNG: func() (drng.DRNG, error) { return struct{ drng.DRNG }{drng.NewChaCha20()}, nil }},
	} {
		r := white(t, c)
		for _, n := range []int{8, 9, 63, 64, 100, 256, 257, 5000} {
			out := make([]byte, n)
			if _, err := r.Read(out); err != nil {
				t.Fatal(err)
			}
			h := r.shards.LockIndex(0)
			in := &h.Value
			for name, memory := range map[string][]byte{"ahead": in.ahead, "tmp": in.tmp, "fresh": in.fresh} {
				if contains(memory, out) {
					t.Errorf("OutputBuffer %d: output of %d bytes is still in %s", c.OutputBuffer, n, name)
				}
			}
			if !bytes.Equal(in.ahead[:in.next], make([]byte, in.next)) {
				t.Errorf("OutputBuffer %d: what was handed out is not zero", c.OutputBuffer)
			}
			h.Unlock()
		}
		h := r.shards.LockIndex(0)
		in := &h.Value
		ahead := slices.Clone(in.ahead)
		h.Unlock()
		if c.OutputBuffer > 0 && bytes.Equal(ahead, make([]byte, len(ahead))) {
			t.Error("nothing was generated ahead: the test is blind")
		}
		if err := r.Reseed(t.Context()); err != nil {
			t.Fatal(err)
		}
		out := make([]byte, 256)
		if _, err := r.Read(out); err != nil {
			t.Fatal(err)
		}
		if contains(ahead, out) {
			t.Error("output generated before a reseed was handed out after it")
		}
	}
}

// Seeds are wiped when they have been handed over, and everything by Close (Z1).
func TestWiping(t *testing.T) {
	r := white(t, Config{OutputBuffer: 1000})
	check := func(when string, memory map[string][]byte) {
		t.Helper()
		for name, m := range memory {
			if !bytes.Equal(m, make([]byte, len(m))) {
				t.Errorf("%s: %s is not wiped", when, name)
			}
		}
	}
	if _, err := r.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.PredictionResistant().Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	seed := r.acc.seed[:cap(r.acc.seed)]
	additional := r.acc.additional[:cap(r.acc.additional)]
	check("after seeding", map[string][]byte{"seed": seed, "additional": additional, "block": r.sources[0].block})
	h := r.shards.LockIndex(0)
	in := &h.Value
	ahead, memory := in.ahead, in.memory
	chacha := in.d.(*drng.ChaCha20)
	if bytes.Equal(ahead, make([]byte, len(ahead))) {
		t.Fatal("nothing was generated ahead: the test is blind")
	}
	h.Unlock()
	pr := r.pr.d.(*drng.ChaCha20)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	// What is given back is wiped: see the tests of secmem.
	if memory.Intact() || in.kept() || cap(in.ahead)+cap(in.fresh)+cap(r.acc.seed)+cap(r.acc.additional) != 0 {
		t.Error("after Close: memory is kept")
	}
	for _, s := range r.sources {
		if s.memory != nil {
			t.Errorf("after Close: %s has its block", s.info.Name)
		}
	}
	for name, d := range map[string]*drng.ChaCha20{"shard": chacha, "prediction resistance": pr} {
		// The state is the one of a generator that was cleared, not seeded.
		cleared := drng.NewChaCha20()
		cleared.Clear()
		if !reflect.DeepEqual(d, cleared) {
			t.Errorf("after Close: the generator of the %s is not wiped", name)
		}
	}
}

// A part that has become long is replaced by its hash, and credited with no more
// than the hash can hold.
func TestShorten(t *testing.T) {
	r := white(t, Config{Sources: []es.Source{&countSource{}}})
	for _, tt := range []struct {
		cond    conditioner.Conditioner
		credits [2]int
		want    [2]int
	}{
		{conditioner.SHA512, [2]int{100, 28}, [2]int{100, 28}},
		{conditioner.SHA512, [2]int{0, 0}, [2]int{0, 0}},
		{conditioner.SHA512, [2]int{300, 148}, [2]int{300, 147}}, // 448 in 512: 447.99…
		{conditioner.SHA512, [2]int{512, 512}, [2]int{256, 255}}, // 511.9…
		{conditioner.SHA256, [2]int{200, 20}, [2]int{199, 20}},
		{conditioner.SHA256, [2]int{10, 300}, [2]int{10, 245}},
	} {
		a := accumulatorOf(t, r)
		data := make([]byte, 64)
		for a.add(0, 1, data, 64); len(a.seed) <= maxAccumulated; a.add(1, 1, data, 64) {
		}
		a.credits[0].Bits, a.credits[1].Bits = tt.credits[0], tt.credits[1]
		nin := 8 * len(a.seed)
		full := a.seed[:cap(a.seed)]
		a.shorten(tt.cond, 0)
		got := [2]int{a.credits[0].Bits, a.credits[1].Bits}
		held := conditioner.OutputEntropy(float64(tt.credits[0]+tt.credits[1]), nin, tt.cond.Width(), tt.cond.Width())
		if float64(got[0]+got[1]) > held || got != tt.want && float64(got[0]+got[1]+1) <= held {
			t.Errorf("%s, %v: %v; the hash holds %.3f bits", tt.cond.Name(), tt.credits, got, held)
		}
		if len(a.seed) != tt.cond.Width()/8 || len(a.additional) != tt.cond.Width()/8 {
			t.Errorf("%s: %d and %d bytes left", tt.cond.Name(), len(a.seed), len(a.additional))
		}
		if rest := full[len(a.seed):]; !bytes.Equal(rest, make([]byte, len(rest))) {
			t.Error("what was hashed is not wiped")
		}
		a.clear()
	}
}

func accumulatorOf(t *testing.T, r *RNG) *accumulator {
	t.Helper()
	a, err := r.newAccumulator()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.free)
	return a
}

// Where an accumulator moves to larger memory what it had is given back, which wipes it.
func TestAccumulatorMoves(t *testing.T) {
	for _, demand := range []MemoryGrade{MemoryAny, MemoryLocked} {
		c := Config{Personalization: make([]byte, 100), Memory: demand}
		if r, err := New(c); err != nil {
			t.Logf("%v: %v", demand, err)
			continue
		} else {
			r.Close()
		}
		r := white(t, c)
		a := accumulatorOf(t, r)
		before := a.memory
		moved := 0
		data := bytes.Repeat([]byte{0xa5}, 64)
		n := 0
		for range 1000 {
			for i := range r.sources {
				a.add(i, 1, data, 64)
				if n += 64; len(a.seed) != n || !bytes.Equal(a.seed[n-64:], data) {
					t.Fatal("data are lost")
				}
				for i, m := range a.memory {
					p := *a.part(i)
					if &p[0] != &m.Bytes()[0] || cap(p) != len(m.Bytes()) || m.Grade() < demand.least() {
						t.Fatal("a part is not in its memory")
					}
					if m != before[i] && before[i] != nil {
						moved++
						if before[i].Intact() {
							t.Error("the memory before was not given back")
						}
					}
					before[i] = m
				}
			}
			if a.shorten(conditioner.SHA512, 0) {
				n = 64
			}
		}
		if moved == 0 {
			t.Error("the parts never moved: the test is blind")
		}
		h := r.shards.LockIndex(0)
		if err := r.install(&h.Value, a); err != nil {
			t.Fatal(err)
		}
		h.Unlock()
		if cap(a.seed) > a.room[0] || cap(a.additional) > a.room[1] {
			t.Error("large memory is kept for nothing")
		}
	}
}

// Where there is no memory for more, what there is is shortened.
func TestAccumulatorWithoutMemory(t *testing.T) {
	r := white(t, Config{Sources: []es.Source{&countSource{}}})
	a := accumulatorOf(t, r)
	data := bytes.Repeat([]byte{0xa5}, 64)
	for len(a.seed) < leastAccumulated {
		a.add(0, 1, data, 64)
	}
	a.least = 99 // no system has that
	before, credit := len(a.seed), a.credits[0].Bits
	a.add(0, 8, data, 64)
	if len(a.seed) != before || len(a.additional) != before || a.credits[0].Bits != credit {
		t.Fatalf("%d and %d bytes, %d bits; before there were %d, %d", len(a.seed), len(a.additional), a.credits[0].Bits, before, credit)
	}
	if !a.shorten(conditioner.SHA512, 0) || len(a.seed) != 64 {
		t.Fatal("nothing was shortened")
	}
	a.add(0, 8, data, 64)
	if len(a.seed) != 128 || a.credits[0].Bits != credit+8 {
		t.Errorf("%d bytes, %d bits", len(a.seed), a.credits[0].Bits)
	}
}

// Shard 0 lives for the interval, each further one a sixth longer, none more than
// twice as long.
func TestStagger(t *testing.T) {
	for _, tt := range []struct {
		interval time.Duration
		index    int
		want     time.Duration
	}{
		{10 * time.Minute, 0, 600 * time.Second},
		{10 * time.Minute, 1, 700 * time.Second},
		{10 * time.Minute, 5, 1100 * time.Second},
		{10 * time.Minute, 6, 1200 * time.Second},
		{10 * time.Minute, 4095, 1200 * time.Second},
		{time.Second, 3, 1500 * time.Millisecond},
		{1<<63 - 1, 0, 1<<63 - 1},
		{1<<63 - 1, 7, 1<<63 - 1},
		{-1, 3, -1},
	} {
		if got := newAge(tt.interval, tt.index).life; got != tt.want {
			t.Errorf("interval %v, shard %d: lives for %v, want %v", tt.interval, tt.index, got, tt.want)
		}
	}
}

// The age of a seed is noticed without the timer, which may be lost with a bubble
// or sleep with the machine, and when the clock was turned back.
func TestAgeWithoutTimer(t *testing.T) {
	a := newAge(time.Minute, 0)
	a.armed.Store(true) // as if a timer were under way
	a.restart()
	if a.reached(256) {
		t.Error("of age at once")
	}
	for _, shift := range []time.Duration{-time.Minute, time.Hour} {
		born := time.Now().Add(shift)
		a.born.Store(&born)
		if !a.reached(256) {
			t.Errorf("born at %v: not noticed", shift)
		}
		if a.reached(257) {
			t.Error("the clock is read in every request")
		}
	}
}

// The level says fully seeded if and only if shard 0 has a seed.
func TestLevelFollowsShard0(t *testing.T) {
	r := white(t, Config{MaxWithoutReseed: 1, OutputBuffer: -1})
	for range 1000 {
		if _, err := r.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		h := r.shards.LockIndex(0)
		if full := r.currentLevel() == seeding.FullySeeded; full != h.Value.seeded {
			t.Fatalf("level %v, seeded %v", r.currentLevel(), h.Value.seeded)
		}
		h.Unlock()
	}
}

// An instance that loses its memory between two requests is seeded anew, and requests go on:
// the kernel may drop memory at any time.
func TestVanishedInstance(t *testing.T) {
	for _, ahead := range []int{-1, 500} {
		r := white(t, Config{OutputBuffer: ahead, Personalization: []byte("mine")})
		for i := range 6 {
			before := r.Status().Instances[0]
			h := r.shards.LockIndex(0)
			in := &h.Value
			switch {
			case i == 0: // not yet seeded
			case i%2 == 0:
				in.memory.Free()
			default:
				in.d.Clear()
			}
			h.Unlock()
			out := make([]byte, 2000)
			if n, err := r.Read(out[:10*i]); n != 10*i || err != nil || i > 0 && bytes.Equal(out[:10*i], make([]byte, 10*i)) {
				t.Fatalf("%d, %v", n, err)
			}
			if _, err := r.Read(out); err != nil {
				t.Fatal(err)
			}
			after := r.Status().Instances[0]
			// Seeds are one more, or on a slow machine a few: a request can find its seed gone
			// when the next one is on its way, and ask for another.
			if want := before.Lost + min(1, uint64(i)); after.Lost != want || after.Seeds <= want {
				t.Errorf("%d bytes ahead, round %d: %d seeds, %d lost; want %d lost", ahead, i, after.Seeds, after.Lost, want)
			}
		}
		// Prediction resistance has an instance of its own.
		for range 3 {
			if _, err := r.PredictionResistant().Read(make([]byte, 40)); err != nil {
				t.Fatal(err)
			}
			r.pr.memory.Free()
			r.pr.d.Clear()
		}
	}
}

// What a mechanism of somebody else says of itself is not taken for that.
func TestForeignNotSeeded(t *testing.T) {
	outsideFIPS(t)
	r := white(t, Config{OutputBuffer: -1, DRNG: func() (drng.DRNG, error) { return &neverSeeded{drng.NewChaCha20()}, nil }})
	if n, err := r.Read(make([]byte, 10)); n != 0 || !errors.Is(err, drng.ErrNotSeeded) {
		t.Errorf("%d, %v", n, err)
	}
}

type neverSeeded struct{ drng.DRNG }

func (*neverSeeded) Generate(out, _ []byte) error {
	clear(out)
	return drng.ErrNotSeeded
}
