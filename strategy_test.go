package lrng_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
	"github.com/lrng-go/lrng/seeding"
)

// The stages of SP 800-90C as the sources see them (C9, C10, C13).
func TestOversampling(t *testing.T) {
	needsFreedom(t)
	synctest.Test(t, func(t *testing.T) {
		src := fake("a")
		c := one(src)
		c.Strategy = seeding.Oversample
		r := newRNG(t, c)
		mustRead(t, r, 16)
		if err := r.Reseed(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustRead(t, r.PredictionResistant(), 64)
		var asked []int
		for _, call := range src.Calls() {
			asked = append(asked, call.Bits)
		}
		want := []int{384, 256, 384, 320} // first, reseed, first of the other instance, its reseed
		if len(asked) != len(want) {
			t.Fatalf("asked for %v bits, want %v", asked, want)
		}
		for i := range want {
			if asked[i] != want[i] {
				t.Fatalf("asked for %v bits, want %v", asked, want)
			}
		}
		// The pool takes 64 bits more than it is credited with.
		if err := r.AddEntropy(make([]byte, 32), 256); err != nil {
			t.Fatal(err)
		}
		if got := r.Status().Sources[1].Available; got != 192 {
			t.Errorf("%d of 256 bits are available, want 192", got)
		}
	})
}

func TestOversamplingRefuses(t *testing.T) {
	needsFreedom(t)
	c := one(fake("a"))
	c.Strategy = seeding.All(seeding.NTG1, seeding.Oversample)
	c.Conditioner = conditioner.SHA256
	if _, err := lrng.New(c); err == nil || !strings.Contains(err.Error(), "SP 800-90C oversampling") || !strings.Contains(err.Error(), "SHA-256 is 256 bits wide") {
		t.Errorf("SHA-256: %v", err)
	}
	c.Conditioner = conditioner.SHA384
	r := newRNG(t, c)
	if err := r.SetConditioner(conditioner.SHA3_256); err == nil || !strings.Contains(err.Error(), "SHA3-256") {
		t.Errorf("switch to SHA3-256: %v", err)
	}
	c.Sources = []es.Source{es.NewAuxiliary(es.AuxiliaryConfig{})}
	if _, err := lrng.New(c); err == nil || !strings.Contains(err.Error(), "Oversampling of 0 bits") {
		t.Errorf("a pool without oversampling: %v", err)
	}
	c.Sources = []es.Source{es.NewAuxiliary(es.AuxiliaryConfig{Oversampling: 64})}
	newRNG(t, c)
}

// NTG.1: one source is not enough for the first seed, however much it yields, and
// that is no reason for a busy loop; later it is (G7).
func TestTwoSources(t *testing.T) {
	needsFreedom(t)
	synctest.Test(t, func(t *testing.T) {
		a, b := fake("a"), fake("b", estest.OK(8))
		b.SetDead(errDead)
		c := one(a, b)
		c.Strategy = seeding.NTG1
		r := newRNG(t, c)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := r.ReadContext(ctx, make([]byte, 8)); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("seeded by one source: %v", err)
		}
		if n := a.Count(); n > 75 {
			t.Errorf("%d rounds in a minute", n)
		}
		st := r.Status()
		if want := "NTG.1: a 512/240, b 0/240, auxiliary 0/240: one more source needed"; st.Verdict != want {
			t.Errorf("verdict %q, want %q", st.Verdict, want)
		}
		if !strings.Contains(st.String(), "Latest verdict: NTG.1") || st.Level != seeding.MinimallySeeded {
			t.Errorf("status:\n%s", st)
		}
		b.SetDead(nil)
		n := b.Count()
		mustRead(t, r, 8)
		if got := b.Count() - n; got < 30 {
			t.Errorf("seeded after %d rounds of 8 bits", got)
		}
		b.SetDead(errDead)
		if err := r.Reseed(t.Context()); err != nil {
			t.Errorf("a later seed from one source: %v", err)
		}
	})
}

// Sources that share a boundary are credited once, in every round.
func TestSharedBoundary(t *testing.T) {
	a := estest.New(es.Info{Name: "a", MaxEntropy: 256, Boundary: "x", Health: true}, estest.OK(100))
	b := estest.New(es.Info{Name: "b", MaxEntropy: 256, Boundary: "x", Health: true}, estest.OK(150))
	r := newRNG(t, one(a, b))
	mustRead(t, r, 8)
	if got := a.Count(); got != 2 {
		t.Errorf("seeded after %d rounds, want 2: 150 bits each", got)
	}
	seed, credit, err := r.GetSeed(t.Context(), 128)
	if err != nil {
		t.Fatal(err)
	}
	var buf seeding.Buffer
	if err := buf.UnmarshalBinary(seed); err != nil {
		t.Fatal(err)
	}
	if credit != 128 || buf.Credit() != credit || len(buf.Entries) != 1 || buf.Entries[0].Name != "b" {
		t.Errorf("credit %d, %d entries", credit, len(buf.Entries))
	}
}

func TestSetSourceRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := estest.New(es.Info{Name: "a", MaxEntropy: 300, Health: true}), fake("b", estest.OK(100))
		r := newRNG(t, one(a, b))
		rate := func(name string, bits int) {
			t.Helper()
			if err := r.SetSourceRate(name, bits); err != nil {
				t.Fatal(err)
			}
		}
		credit := func(want int) {
			t.Helper()
			if err := r.Reseed(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := r.Status().Instances[0].LastCredit; got != want {
				t.Errorf("seeded with %d bits, want %d", got, want)
			}
		}
		rate("a", 0)
		mustRead(t, r, 1)
		if got := r.Status(); got.Instances[0].LastCredit != 300 || got.Sources[0].TotalCredited != 0 || got.Sources[0].FalseClaims != 0 {
			t.Errorf("without credit: %+v", got.Sources[0])
		}
		rate("a", 200)
		credit(300)
		rate("b", 56)
		credit(256)
		if got := r.Status().Sources[0]; got.Rate != 200 || got.MaxEntropy != 300 || got.Available != 200 {
			t.Errorf("status: %+v", got)
		}
		rate("a", 300)
		credit(312)
		for _, tt := range []struct {
			name string
			bits int
			want string
		}{{"a", -1, "bits: -1"}, {"a", 301, "bits: 301"}, {"c", 1, `"c"`}, {"", 0, "name"}} {
			if err := r.SetSourceRate(tt.name, tt.bits); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%q, %d: %v", tt.name, tt.bits, err)
			}
		}
		credit(312)
	})
}

// The form that does not wait: what was got, a typed error, and nothing else in the
// buffer.
func TestTryRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a", estest.OK(512).Times(4), estest.OK(200))
		r := newRNG(t, one(src))
		for name, reader := range map[string]interface{}{"pr": r.PredictionResistant(), "seed": r.SeedReader()} {
			b := []byte{1, 2, 3}
			if n, err := reader.(lrng.FreshReader).TryRead(b); n != 0 || !errors.Is(err, lrng.ErrNotSeeded) || b[0] != 0 {
				t.Errorf("%s, not seeded: %d, %v", name, n, err)
			}
			synctest.Wait()
			if n, err := reader.(lrng.FreshReader).TryRead(nil); n != 0 || err != nil {
				t.Errorf("%s, empty: %d, %v", name, n, err)
			}
			break // seeded by now
		}
		fresh := r.PredictionResistant().(lrng.FreshReader)
		b := make([]byte, 200)
		for i := range b {
			b[i] = 0xff
		}
		n, err := fresh.TryRead(b)
		if n != 96 || !errors.Is(err, lrng.ErrInsufficientEntropy) {
			t.Fatalf("%d, %v; want the three blocks that there was entropy for", n, err)
		}
		zeros := 0
		for _, c := range b[:n] {
			if c == 0 {
				zeros++
			}
		}
		for _, c := range b[n:] {
			if c != 0 {
				t.Fatal("the rest is not cleared")
			}
		}
		if zeros > 20 {
			t.Error("what was got is zero")
		}
		if n, err := fresh.TryRead(b); n != 0 || !errors.Is(err, lrng.ErrInsufficientEntropy) {
			t.Errorf("%d, %v", n, err)
		}
		if n, err := r.SeedReader().(lrng.FreshReader).TryRead(b[:17]); n != 17 || err != nil { // 200 bits for 136 + 64
			t.Errorf("seed: %d, %v", n, err)
		}
		if n, err := r.SeedReader().(lrng.FreshReader).TryRead(b[:18]); n != 0 || !errors.Is(err, lrng.ErrInsufficientEntropy) {
			t.Errorf("seed: %d, %v", n, err)
		}
		// With a context: the wait ends with it.
		src.SetDead(errDead)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		b[0] = 1
		if n, err := fresh.ReadContext(ctx, b); n != 0 || !errors.Is(err, context.DeadlineExceeded) || b[0] != 0 {
			t.Errorf("%d, %v", n, err)
		}
		r.Close()
		if n, err := fresh.TryRead(b); n != 0 || !errors.Is(err, lrng.ErrClosed) {
			t.Errorf("closed: %d, %v", n, err)
		}
	})
}

// Those who wait for fresh entropy are served in turn, block by block.
func TestFairQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a", estest.Slow(100*time.Millisecond, estest.OK(256)))
		r := newRNG(t, one(src))
		mustRead(t, r, 1)
		begin := time.Now()
		const callers = 5
		ends := make(chan time.Duration, callers)
		for range callers {
			go func() {
				mustRead(t, r.PredictionResistant(), 96) // three blocks
				ends <- time.Since(begin)
			}()
		}
		// 15 blocks in all: the first caller is done with the 11th at the earliest.
		for i := range callers {
			if got, want := <-ends, time.Duration(11+i)*100*time.Millisecond; got != want {
				t.Errorf("caller %d was done after %v, want %v", i, got, want)
			}
		}
	})
}

// One source of a boundary counts for a whole seed that is given away, also when
// another one is better in a later round; and the status shows what was granted.
func TestSharedBoundaryOverRounds(t *testing.T) {
	a := estest.New(es.Info{Name: "a", MaxEntropy: 512, Boundary: "x", Health: true}, estest.OK(300), estest.OK(200), estest.OK(10).Times(2), estest.OK(200))
	b := estest.New(es.Info{Name: "b", MaxEntropy: 512, Boundary: "x", Health: true}, estest.OK(0), estest.OK(10), estest.OK(200).Times(2), estest.OK(10))
	r := newRNG(t, one(a, b))
	mustRead(t, r, 8)
	seed, credit, err := r.GetSeed(t.Context(), 384)
	if err != nil {
		t.Fatal(err)
	}
	var buf seeding.Buffer
	if err := buf.UnmarshalBinary(seed); err != nil {
		t.Fatal(err)
	}
	for _, e := range buf.Entries {
		if e.Name != buf.Entries[0].Name {
			t.Errorf("entries of %s and of %s", buf.Entries[0].Name, e.Name)
		}
	}
	if credit < 384 || buf.Credit() != credit {
		t.Errorf("credit %d, in the buffer %d", credit, buf.Credit())
	}
	if st := r.Status(); st.Sources[0].Credited != 0 && st.Sources[1].Credited != 0 {
		t.Errorf("credited in the last round: %d and %d", st.Sources[0].Credited, st.Sources[1].Credited)
	}
}

// Entropy that a forced reseed has gathered is shown, whoever gathered it; and a verdict
// does not call complete what a mechanism with seeds of full entropy refuses.
func TestStatusOfUnfinishedSeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a", estest.OK(256).Times(3), estest.Error(errDead))
		c := one(src)
		c.DRNG = func() (drng.DRNG, error) { return drng.NewCTR(drng.CTRConfig{NoDF: true}) }
		r := newRNG(t, c)
		mustRead(t, r, 8)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := r.Reseed(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		st := r.Status()
		if st.Entropy != 256 {
			t.Errorf("%d bits gathered, want 256", st.Entropy)
		}
		if !strings.Contains(st.Verdict, "256 bits are not enough for this purpose") {
			t.Errorf("verdict %q", st.Verdict)
		}
	})
}

// The largest seed that there can be has an encoding: the most bits, gathered one by one
// from a source with the longest name.
func TestLargestSeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRNG(t, one(fake(strings.Repeat("n", 255), estest.OK(1))))
		p, credit, err := r.GetSeed(t.Context(), 4096)
		if err != nil {
			t.Fatal(err)
		}
		var buf seeding.Buffer
		if err := buf.UnmarshalBinary(p); err != nil || credit != 4096 || len(buf.Entries) != 4096 {
			t.Errorf("credit %d, %d entries, %v", credit, len(buf.Entries), err)
		}
	})
}
