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
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
	"github.com/lrng-go/lrng/seeding"
)

// The stages of SP 800-90C as the sources see them (C9, C10, C13).
func TestOversampling(t *testing.T) {
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
	a := estest.New(es.Info{Name: "a", MaxEntropy: 256, Boundary: "x"}, estest.OK(100))
	b := estest.New(es.Info{Name: "b", MaxEntropy: 256, Boundary: "x"}, estest.OK(150))
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
