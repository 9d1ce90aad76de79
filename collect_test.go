package lrng_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
	"github.com/lrng-go/lrng/seeding"
)

// What a source may do wrong (docs/traceability.md E1), and what it costs: its credit, in
// that round, and nothing else.
func TestSourceFaults(t *testing.T) {
	for _, tt := range []struct {
		name   string
		step   estest.Step
		credit int    // of 256 asked for
		health string // in the status
		check  func(lrng.SourceStatus) bool
	}{
		{"good", estest.OK(256), 256, "tests passed", nil},
		{"less than asked", estest.OK(8), 8, "tests passed", nil},
		{"nothing to credit", estest.OK(0), 0, "tests passed", nil},
		{"error", estest.Error(errDead), 0, "no entropy", func(s lrng.SourceStatus) bool { return s.Failures == 1 && s.Error == "device gone" }},
		{"credit beside an error", estest.ClaimError(256, errDead), 0, "no entropy", nil},
		{"unavailable", estest.Unavailable(), 0, "unavailable", nil},
		{"intermittent alarm", estest.Health(false), 0, "test failed", nil},
		{"permanent alarm", estest.Health(true), 0, "failed for good", nil},
		{"panic", estest.Panic("boom"), 0, "no entropy", func(s lrng.SourceStatus) bool { return strings.Contains(s.Error, "boom") }},
		{"panic with nil", estest.Panic(nil), 0, "no entropy", nil},
		{"nil dereference", estest.NilDeref(), 0, "no entropy", nil},
		{"Goexit", estest.Goexit(), 0, "no entropy", nil},
		{"claims one bit too many", estest.Claim(257), 256, "tests passed", func(s lrng.SourceStatus) bool { return s.FalseClaims == 1 }},
		{"claims 2^40 bits", estest.Claim(math.MaxInt), 256, "tests passed", func(s lrng.SourceStatus) bool { return s.FalseClaims == 1 }},
		{"negative claim", estest.Claim(-1), 0, "tests passed", func(s lrng.SourceStatus) bool { return s.FalseClaims == 1 }},
		{"most negative claim", estest.Claim(math.MinInt), 0, "tests passed", nil},
		{"writes beyond p", estest.Overrun(), 256, "tests passed", nil},
		{"slow, within its time", estest.Slow(900*time.Millisecond, estest.OK(256)), 256, "tests passed", nil},
		{"too slow", estest.Slow(1100*time.Millisecond, estest.OK(256)), 0, "no entropy", func(s lrng.SourceStatus) bool { return s.Late == 1 }},
		{"too slow, deaf", estest.Deaf(1100*time.Millisecond, estest.OK(256)), 0, "not yet asked", nil},
		{"blocks until cancelled", estest.Block(), 0, "no entropy", func(s lrng.SourceStatus) bool { return s.Late == 1 }},
		{"hangs", estest.Hang(), 0, "not yet asked", nil},
	} {
		if tt.name == "nil dereference" && os.Getenv("LRNG_EMULATED") != "" {
			continue // see TestNilDeref of package estest
		}
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bad, good := fake("bad", tt.step), fake("good")
				defer bad.Release()
				c := one(bad, good)
				c.ReseedRequests = 1 << 40
				r := newRNG(t, c)
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				if _, err := r.ReadContext(ctx, make([]byte, 32)); err != nil {
					t.Fatalf("the other source was not enough: %v", err)
				}
				synctest.Wait()
				st := r.Status()
				if got := st.Instances[0].LastCredit; got != tt.credit+256 {
					t.Errorf("seeded with %d bits, want %d", got, tt.credit+256)
				}
				s := st.Sources[0]
				if s.Credited != tt.credit || s.Health != tt.health || s.Requested != 256 || s.Calls != 1 {
					t.Errorf("status: %+v", s)
				}
				if tt.check != nil && !tt.check(r.Status().Sources[0]) {
					t.Errorf("status: %+v", r.Status().Sources[0])
				}
				if g := st.Sources[1]; g.Credited != 256 || g.Failures != 0 {
					t.Errorf("the other source: %+v", g)
				}
			})
		})
	}
}

// A source that hangs is not asked a second time, however often there are rounds,
// and serves again when it comes back.
func TestHangingSourceIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad, good := fake("bad", estest.Hang(), estest.OK(256)), fake("good")
		r := newRNG(t, one(bad, good))
		for range 100 {
			if err := r.Reseed(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if bad.Count() != 1 {
			t.Errorf("asked %d times while it hung", bad.Count())
		}
		if s := r.Status().Sources[0]; s.Calls != 1 || s.Skipped != 99 || s.Credited != 0 {
			t.Errorf("status: %+v", s)
		}
		bad.Release()
		synctest.Wait()
		if err := r.Reseed(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := r.Status().Sources[0]; s.Credited != 256 || s.Late != 1 {
			t.Errorf("after it came back: %+v", s)
		}
	})
}

// A slow source is not waited for when the others are enough, and is when they are
// not.
func TestSlowSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := estest.New(es.Info{Name: "slow", MaxEntropy: 512, Slow: true, Health: true}, estest.Slow(5*time.Second, estest.OK(256)))
		fast := fake("fast", estest.OK(256), estest.OK(100))
		r := newRNG(t, one(slow, fast))
		begin := time.Now()
		mustRead(t, r, 1)
		if d := time.Since(begin); d != 0 {
			t.Errorf("waited %v for the slow source", d)
		}
		synctest.Wait()
		begin = time.Now()
		if err := r.Reseed(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begin); d != 5*time.Second {
			t.Errorf("waited %v for the slow source, want 5s", d)
		}
		if got := r.Status().Instances[0].LastCredit; got != 356 {
			t.Errorf("seeded with %d bits, want 356", got)
		}
	})
}

// Sources are asked in parallel: a round takes as long as the slowest of them.
func TestSourcesAreAskedInParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sources []es.Source
		for _, name := range []string{"a", "b", "c", "d"} {
			sources = append(sources, fake(name, estest.Slow(600*time.Millisecond, estest.OK(64))))
		}
		r := newRNG(t, one(sources...))
		begin := time.Now()
		mustRead(t, r, 1)
		if d := time.Since(begin); d != 600*time.Millisecond {
			t.Errorf("the round took %v", d)
		}
	})
}

// The seed as the mechanism gets it: credited data in one part, uncredited data
// in the other, each in its place; nothing twice, nothing of a failed call.
func TestSeedLayout(t *testing.T) {
	needsFreedom(t)
	synctest.Test(t, func(t *testing.T) {
		a := fake("a", estest.OK(100))
		b := estest.New(es.Info{Name: "b", MaxEntropy: 0}) // never credited
		f := fake("f", estest.Error(errDead))
		z := fake("z", estest.OK(0), estest.OK(50))
		var got []struct{ seed, additional []byte }
		c := one(a, b, f, z)
		c.DRNG = func() (drng.DRNG, error) {
			return &splitSpy{ChaCha20: drng.NewChaCha20(), seeds: &got}, nil
		}
		r := newRNG(t, c)
		mustRead(t, r, 1)
		if len(got) != 1 {
			t.Fatalf("%d seeds", len(got))
		}
		zero := make([]byte, 32)
		// Rounds: 100, 250, 400 bits.
		wantSeed := slices.Concat(
			a.Data(0, 32), zero, zero, zero, zero,
			a.Data(1, 32), zero, zero, z.Data(1, 32), zero,
			a.Data(2, 32), zero, zero, z.Data(2, 32), zero)
		if !bytes.Equal(got[0].seed, wantSeed) {
			t.Errorf("seed:\n%x\nwant\n%x", got[0].seed, wantSeed)
		}
		for i, want := range []struct {
			field int
			data  []byte
		}{
			{0, zero}, {1, b.Data(0, 32)}, {2, zero}, {3, z.Data(0, 32)},
			{5, zero}, {6, b.Data(1, 32)}, {7, zero}, {8, zero},
			{10, zero}, {11, b.Data(2, 32)}, {12, zero}, {13, zero},
		} {
			if field := got[0].additional[32*want.field:][:32]; !bytes.Equal(field, want.data) {
				t.Errorf("additional input, field %d (%d): %x, want %x", want.field, i, field, want.data)
			}
		}
		if n := len(got[0].additional); n != 15*32+24 {
			t.Errorf("additional input of %d bytes", n)
		}
	})
}

type splitSpy struct {
	*drng.ChaCha20
	seeds *[]struct{ seed, additional []byte }
}

func (s *splitSpy) Seed(seed, additional []byte) error {
	*s.seeds = append(*s.seeds, struct{ seed, additional []byte }{slices.Clone(seed), slices.Clone(additional)})
	return s.ChaCha20.Seed(seed, additional)
}

// Each seed, of every shard and reader, has data of its own (A10).
func TestNoDataTwice(t *testing.T) {
	needsFreedom(t)
	src := fake("a")
	var mu sync.Mutex
	seen := make(map[string]bool)
	c := lrng.Config{Sources: []es.Source{src}, Shards: 4, ReseedRequests: 3}
	c.DRNG = func() (drng.DRNG, error) {
		return &watcher{ChaCha20: drng.NewChaCha20(), see: func(seed []byte) {
			mu.Lock()
			defer mu.Unlock()
			if seen[string(seed[:32])] {
				t.Error("a seed was used twice")
			}
			seen[string(seed[:32])] = true
		}}, nil
	}
	r := newRNG(t, c)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			b := make([]byte, 64)
			for range 200 {
				switch i {
				case 0:
					r.PredictionResistant().Read(b)
				case 1:
					seed, _, err := r.GetSeed(t.Context(), 256)
					if err != nil {
						t.Error(err)
						return
					}
					var buf seeding.Buffer
					if err := buf.UnmarshalBinary(seed); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					for _, e := range buf.Entries {
						if seen[string(e.Data)] {
							t.Error("data given away were used before")
						}
						seen[string(e.Data)] = true
					}
					mu.Unlock()
				default:
					r.Read(b)
				}
			}
		})
	}
	wg.Wait()
}

type watcher struct {
	*drng.ChaCha20
	see func(seed []byte)
}

func (w *watcher) Seed(seed, additional []byte) error {
	w.see(seed)
	return w.ChaCha20.Seed(seed, additional)
}

// All sources dead before seeding: no byte leaves, and the caller can give up
// (E1). Dead after seeding: readers go on.
func TestAllSourcesDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := fake("a"), fake("b", estest.Panic("b"))
		a.SetDead(errDead)
		r := newRNG(t, one(a, b))
		mustRefuse(t, r.Nonblocking(), lrng.ErrNotSeeded)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		buf := []byte{1, 2, 3}
		if n, err := r.ReadContext(ctx, buf); n != 0 || !errors.Is(err, context.DeadlineExceeded) || !bytes.Equal(buf, make([]byte, 3)) {
			t.Errorf("%d, %v, %v", n, err, buf)
		}
		a.SetDead(nil)
		mustRead(t, r, 8)
		a.SetDead(errDead)
		for range 1000 {
			mustRead(t, r, 100)
		}
	})
}

// A mechanism of somebody else that fails: an error, nothing in the buffer, and
// the next request gets a new seed.
func TestMechanismFails(t *testing.T) {
	needsFreedom(t)
	synctest.Test(t, func(t *testing.T) {
		src := fake("a")
		broken := new(drngFaults)
		c := one(src)
		c.DRNG = func() (drng.DRNG, error) { return &brokenDRNG{drng.NewChaCha20(), broken}, nil }
		r := newRNG(t, c)
		mustRead(t, r, 16)
		broken.generate = errDead
		mustRefuse(t, r, errDead)
		broken.generate = nil
		mustRead(t, r, 16)
		if src.Count() != 2 {
			t.Errorf("%d seeds, want 2", src.Count())
		}
		broken.seed = errDead
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := r.Reseed(ctx); !errors.Is(err, errDead) {
			t.Errorf("Reseed: %v", err)
		}
		if got := r.Status().SeedFailures; got != 1 {
			t.Errorf("%d failures", got)
		}
		mustRead(t, r, 16) // a failed reseed changes nothing
		broken.generate = errDead
		if _, err := r.PredictionResistant().Read(make([]byte, 8)); !errors.Is(err, errDead) {
			t.Errorf("prediction resistance: %v", err)
		}
	})
}

type brokenDRNG struct {
	*drng.ChaCha20
	*drngFaults
}

type drngFaults struct{ seed, generate error }

func (d *brokenDRNG) Seed(seed, additional []byte) error {
	if d.seed != nil {
		return d.seed
	}
	return d.ChaCha20.Seed(seed, additional)
}

func (d *brokenDRNG) Generate(out, additional []byte) error {
	if d.generate != nil {
		return d.generate // and leaves out as it is
	}
	return d.ChaCha20.Generate(out, additional)
}

// The output generated ahead is dropped when the shard is reseeded, erased when
// handed out, and the buffered and unbuffered paths give every byte.
func TestOutputBuffer(t *testing.T) {
	for _, size := range []int{-1, 1, 16, 100, 1024, 65536} {
		src := fake("a")
		c := one(src)
		c.OutputBuffer = size
		r := newRNG(t, c)
		seen := make(map[string]bool)
		for n := range 300 {
			b := bytes.Repeat([]byte{0xff}, n)
			if got, err := r.Read(b); got != n || err != nil {
				t.Fatalf("buffer %d, read of %d bytes: %d, %v", size, n, got, err)
			}
			for ; len(b) >= 16; b = b[16:] {
				if seen[string(b[:16])] || bytes.Equal(b[:16], bytes.Repeat([]byte{0xff}, 16)) {
					t.Fatalf("buffer %d, read of %d bytes: output repeats, or was not written", size, n)
				}
				seen[string(b[:16])] = true
			}
		}
	}
}

func TestStatus(t *testing.T) {
	needsFreedom(t)
	synctest.Test(t, func(t *testing.T) {
		a := estest.New(es.Info{Name: "a", MaxEntropy: 300, Health: true}, estest.Slow(time.Millisecond, estest.OK(256)))
		c := one(a, fake("b", estest.Error(errDead)))
		c.ReseedBits = 1 << 17
		r := newRNG(t, c)
		before := r.Status()
		if before.Level != seeding.Unseeded || a.Count() != 0 || before.Sources[0].Health != "not yet asked" {
			t.Errorf("before use: %+v", before)
		}
		mustRead(t, r, 100)
		st := r.Status()
		for _, line := range []string{
			"DRNG name: ChaCha20", "LRNG security strength in bits: 256", "Number of DRNG instances: 1, 1 of them seeded",
			"Conditioner: SHA-512, 512 bits wide", "Seeding strategy: default", "LRNG level: fully seeded",
			"LRNG minimally seeded: true", "LRNG fully seeded: true", "unseeded after 131072 bits",
			"Output ahead of need: 0 bytes (configured;",
			"Entropy Source 0 properties:", " Name: a", " Requested entropy: 256", " Credited entropy: 256", " Maximum entropy: 300",
			" Health: tests passed", " Time: 1ms", " Name: b", " Health: no entropy", " Error: device gone", " Name: auxiliary",
		} {
			if !strings.Contains(st.String(), line+"\n") && !strings.Contains(st.String(), line) {
				t.Errorf("the status has no %q:\n%s", line, st)
			}
		}
		text, err := json.Marshal(st)
		if err != nil {
			t.Fatal(err)
		}
		var back lrng.Status
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		again, _ := json.Marshal(back)
		if !bytes.Equal(text, again) {
			t.Errorf("JSON:\n%s\nbecame\n%s", text, again)
		}
		if !reflect.DeepEqual(back.Sources, st.Sources) {
			t.Errorf("sources: %+v", back.Sources)
		}
		// Counters add up.
		in := st.Instances[0]
		if in.Bytes != 100 || in.Requests != 1 || in.SinceSeed != 1 || in.BitsSinceSeed != 800 || in.Seeds != 1 || st.Seeds != 1 || st.Rounds != 1 {
			t.Errorf("counters: %+v, %d seeds, %d rounds", in, st.Seeds, st.Rounds)
		}
		if s := st.Sources[0]; s.TotalCredited != uint64(in.LastCredit) || s.TotalCost != time.Millisecond {
			t.Errorf("source: %+v", s)
		}
	})
}

// Status answers while a source hangs in a collection.
func TestStatusDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := fake("bad", estest.Hang())
		defer bad.Release()
		r := newRNG(t, one(bad))
		mustRefuse(t, r.Nonblocking(), lrng.ErrNotSeeded)
		synctest.Wait()
		begin := time.Now()
		_ = r.Status().String()
		if d := time.Since(begin); d != 0 {
			t.Errorf("took %v", d)
		}
		bad.Release()
	})
}
