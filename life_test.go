package lrng_test

import (
	"bytes"
	"context"
	"crypto/fips140"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
	"github.com/lrng-go/lrng/seeding"
)

var errDead = errors.New("device gone")

// fake returns a source that can credit up to 512 bits, in FIPS mode too.
func fake(name string, steps ...estest.Step) *estest.Fake {
	return estest.New(es.Info{Name: name, MaxEntropy: 512, Health: true}, steps...)
}

// fipsMode keeps the tests that are not about FIPS mode out of it where that can be:
// the suite runs under GODEBUG=fips140=on and only, too.
func fipsMode() lrng.FIPSMode {
	if fips140.Enforced() {
		return lrng.FIPSAuto
	}
	return lrng.FIPSOff
}

// needsFreedom skips a test that needs what enforced FIPS mode does not allow. TestFIPS
// is about that mode.
func needsFreedom(t *testing.T) {
	t.Helper()
	if fips140.Enforced() {
		t.Skip("GODEBUG=fips140=only does not allow the mechanism, or the credit, that this test is about")
	}
}

// newRNG returns a generator that the test closes.
func newRNG(t testing.TB, c lrng.Config) *lrng.RNG {
	t.Helper()
	r, err := lrng.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return r
}

// one is a configuration with one shard, nothing ahead of need, and the given
// sources.
func one(sources ...es.Source) lrng.Config {
	return lrng.Config{Sources: sources, Shards: 1, OutputBuffer: -1, FIPS: fipsMode(), Strategy: seeding.Default}
}

func mustRead(t testing.TB, r io.Reader, size int) []byte {
	t.Helper()
	b := make([]byte, size)
	n, err := r.Read(b)
	if n != size || err != nil {
		t.Fatalf("Read of %d bytes: %d, %v", size, n, err)
	}
	return b
}

// mustRefuse reads and wants no byte, the error, and a cleared buffer.
func mustRefuse(t testing.TB, r io.Reader, want error) {
	t.Helper()
	b := bytes.Repeat([]byte{0xa5}, 5000)
	n, err := r.Read(b)
	if n != 0 || !errors.Is(err, want) {
		t.Fatalf("Read: %d, %v; want 0, %v", n, err, want)
	}
	if !bytes.Equal(b, make([]byte, len(b))) {
		t.Fatal("a refused request left something in the buffer")
	}
}

// Nothing is collected before first use, and no goroutine is left after it.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a")
		r := newRNG(t, one(src))
		synctest.Wait()
		if src.Count() != 0 {
			t.Fatal("New asked the source")
		}
		if n, err := r.Read(nil); n != 0 || err != nil || src.Count() != 0 {
			t.Fatalf("empty Read: %d, %v, %d calls of the source", n, err, src.Count())
		}
		mustRead(t, r, 32)
		for range 1000 {
			mustRead(t, r, 32)
		}
		synctest.Wait()
		if src.Count() != 1 {
			t.Fatalf("source was asked %d times; want one seed, then none", src.Count())
		}
		// The bubble reports a deadlock if a goroutine is left when the test ends.
	})
}

// One seed, then none, then one more after so many requests (style 47).
func TestReseedAfterRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a")
		c := one(src)
		c.ReseedRequests = 10
		r := newRNG(t, c)
		for i := range 9 {
			mustRead(t, r, 16)
			synctest.Wait()
			if src.Count() != 1 {
				t.Fatalf("after %d requests: %d seeds", i+1, src.Count())
			}
		}
		mustRead(t, r, 16) // the tenth finds the shard due
		synctest.Wait()
		if src.Count() != 2 {
			t.Fatalf("after 10 requests: %d seeds, want 2", src.Count())
		}
		for range 9 {
			mustRead(t, r, 16)
		}
		synctest.Wait()
		if src.Count() != 2 {
			t.Fatalf("after 19 requests: %d seeds, want 2", src.Count())
		}
		// A long read counts as several requests, of 4096 bytes each.
		mustRead(t, r, 4096)
		synctest.Wait()
		mustRead(t, r, 10*4096)
		synctest.Wait()
		if src.Count() != 4 {
			t.Fatalf("after 30 requests: %d seeds, want 4", src.Count())
		}
	})
}

func TestReseedAfterTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a")
		r := newRNG(t, one(src))
		mustRead(t, r, 16)
		time.Sleep(10*time.Minute - time.Second)
		mustRead(t, r, 16)
		synctest.Wait()
		if src.Count() != 1 {
			t.Fatalf("reseeded after less than 10 minutes: %d seeds", src.Count())
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if src.Count() != 1 {
			t.Fatal("reseeded without a request")
		}
		mustRead(t, r, 16)
		synctest.Wait()
		if src.Count() != 2 {
			t.Fatalf("not reseeded after 10 minutes: %d seeds", src.Count())
		}
		// A forced reseed restarts the life of the seed.
		time.Sleep(9 * time.Minute)
		if err := r.Reseed(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Minute)
		mustRead(t, r, 16)
		synctest.Wait()
		if src.Count() != 3 {
			t.Fatalf("%d seeds, want 3", src.Count())
		}
		time.Sleep(time.Minute + time.Second)
		mustRead(t, r, 16)
		synctest.Wait()
		if src.Count() != 4 {
			t.Fatalf("%d seeds, want 4", src.Count())
		}
	})
}

// The reseed goes on in the background: callers are served from the old state
// while the sources take their time.
func TestCallersDoNotWaitForReseed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a", estest.OK(256), estest.Slow(500*time.Millisecond, estest.OK(256)))
		c := one(src)
		c.ReseedRequests = 1
		r := newRNG(t, c)
		mustRead(t, r, 16)
		begin := time.Now()
		for range 100 {
			mustRead(t, r, 16)
		}
		if d := time.Since(begin); d != 0 {
			t.Fatalf("100 requests during a reseed took %v", d)
		}
		synctest.Wait()
		if src.Count() != 2 {
			t.Fatalf("%d collections at once", src.Count()-1)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := r.Status().Instances[0].Seeds; got != 2 {
			t.Fatalf("%d seeds, want 2", got)
		}
	})
}

// The hard limit, to the request: the one that finds it gets no output, blocking
// or not (defect 6.3-1, C20).
func TestLimitWithoutReseed(t *testing.T) {
	for _, tt := range []struct {
		name    string
		config  lrng.Config
		allowed int // requests of 16 bytes
	}{
		{"requests", lrng.Config{MaxWithoutReseed: 5, ReseedRequests: 3}, 5},
		{"one request", lrng.Config{MaxWithoutReseed: 1}, 1},
		{"requests, and due later", lrng.Config{MaxWithoutReseed: 5, ReseedRequests: 100}, 5},
		{"bits", lrng.Config{ReseedBits: 1280}, 10},
		{"bits, with a rest", lrng.Config{ReseedBits: 1280 + 127}, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := fake("a")
				c := tt.config
				c.Sources, c.Shards, c.OutputBuffer = []es.Source{src}, 1, -1
				r := newRNG(t, c)
				if err := r.Wait(t.Context(), seeding.FullySeeded); err != nil {
					t.Fatal(err)
				}
				src.SetDead(errDead)
				for i := range tt.allowed {
					if n, err := r.Nonblocking().Read(make([]byte, 16)); n != 16 || err != nil {
						t.Fatalf("request %d: %d, %v", i+1, n, err)
					}
				}
				if got := r.Status().Level; got != seeding.FullySeeded {
					t.Fatalf("level before the limit is found: %v", got)
				}
				mustRefuse(t, r.Nonblocking(), lrng.ErrNotSeeded)
				if got := r.Status().Level; got != seeding.Unseeded {
					t.Fatalf("level at the limit: %v", got)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				if n, err := r.ReadContext(ctx, make([]byte, 16)); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("blocking read at the limit: %d, %v", n, err)
				}

				src.SetDead(nil) // and it recovers by itself
				mustRead(t, r, 16)
			})
		})
	}
}

// A blocking read that finds the limit waits for the new seed and is then served
// from it.
func TestLimitIsCrossedByWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a", estest.OK(256), estest.Slow(300*time.Millisecond, estest.OK(256)))
		c := one(src)
		c.MaxWithoutReseed = 3
		r := newRNG(t, c)
		seen := make(map[string]bool)
		for range 20 {
			b := mustRead(t, r, 16)
			if seen[string(b)] {
				t.Fatal("output repeats")
			}
			seen[string(b)] = true
		}
		// Due after the third, lost at the fourth: 1 + 19/3 seeds.
		if got := src.Count(); got != 7 {
			t.Fatalf("%d seeds for 20 requests, want 7", got)
		}
		// One long read crosses it many times, and fills every byte.
		b := mustRead(t, r, 40*4096)
		for i := 0; i < len(b); i += 64 {
			if bytes.Equal(b[i:i+64], make([]byte, 64)) {
				t.Fatalf("bytes %d to %d are zero", i, i+64)
			}
		}
	})
}

// DRG.4 (G9): due at three quarters of the bits, and never more than the limit
// from one seed.
func TestReseedBits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a")
		c := one(src)
		c.ReseedBits = 1 << 17
		r := newRNG(t, c)
		mustRead(t, r, 12287) // one byte below 98304 bits
		synctest.Wait()
		if src.Count() != 1 {
			t.Fatalf("due below three quarters: %d seeds", src.Count())
		}
		mustRead(t, r, 1)
		synctest.Wait()
		if src.Count() != 2 {
			t.Fatalf("not due at three quarters: %d seeds", src.Count())
		}
		src.SetDead(errDead)
		mustRead(t, r, 16384)
		mustRefuse(t, r.Nonblocking(), lrng.ErrNotSeeded)
	})
}

func TestReseedBeforeEachRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a")
		c := one(src)
		c.ReseedInterval = -1
		r := newRNG(t, c)
		for i := range 5 {
			mustRead(t, r, 16)
			if src.Count() != i+1 {
				t.Fatalf("request %d: %d seeds", i+1, src.Count())
			}
		}
		mustRead(t, r.Nonblocking(), 16)
		if src.Count() != 6 {
			t.Fatalf("non-blocking: %d seeds, want 6", src.Count())
		}
		r.Uint64()
		if src.Count() != 7 {
			t.Fatalf("Uint64: %d seeds, want 7", src.Count())
		}
		src.SetDead(errDead)
		mustRefuse(t, r.Nonblocking(), lrng.ErrNotSeeded)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if n, err := r.ReadContext(ctx, make([]byte, 16)); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("without a seed: %d, %v", n, err)
		}
	})
}

// Levels are reached one after the other as entropy trickles in, each wakes those
// who wait for it, and nothing is output below the last one.
func TestLevels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a", estest.Slow(900*time.Millisecond, estest.OK(20)))
		r := newRNG(t, one(src))
		begin := time.Now()
		reached := make(map[seeding.Level]time.Duration)
		var mu sync.Mutex
		for _, l := range []seeding.Level{seeding.Unseeded, seeding.InitiallySeeded, seeding.MinimallySeeded, seeding.FullySeeded} {
			go func() {
				if err := r.Wait(t.Context(), l); err != nil {
					t.Error(err)
				}
				mu.Lock()
				reached[l] = time.Since(begin)
				mu.Unlock()
			}()
		}
		time.Sleep(6500 * time.Millisecond)
		mustRefuse(t, r.Nonblocking(), lrng.ErrNotSeeded) // minimally seeded is not enough
		if got := r.Status(); got.Level != seeding.MinimallySeeded || got.Entropy != 140 {
			t.Fatalf("after 6.5 s: %v, %d bits", got.Level, got.Entropy)
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		for l, want := range map[seeding.Level]time.Duration{
			seeding.Unseeded:        0,
			seeding.InitiallySeeded: 1800 * time.Millisecond,
			seeding.MinimallySeeded: 6300 * time.Millisecond,
			seeding.FullySeeded:     11700 * time.Millisecond,
		} {
			if reached[l] != want {
				t.Errorf("%v after %v, want %v", l, reached[l], want)
			}
		}
		mustRead(t, r.Nonblocking(), 16)
	})
}

func TestWaitArguments(t *testing.T) {
	r := newRNG(t, one(fake("a", estest.Error(errDead))))
	for _, l := range []seeding.Level{-1, 4, math.MaxInt} {
		if err := r.Wait(t.Context(), l); err == nil || !strings.Contains(err.Error(), "level") {
			t.Errorf("Wait for level %d: %v", int(l), err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Wait(ctx, seeding.FullySeeded); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	if n, err := r.ReadContext(ctx, make([]byte, 4)); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %d, %v", n, err)
	}
	if n, err := r.ReadContext(ctx, nil); n != 0 || err != nil {
		t.Errorf("empty read: %d, %v", n, err)
	}
	if err := r.Reseed(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Reseed: %v", err)
	}
	if seed, credit, err := r.GetSeed(ctx, 256); seed != nil || credit != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("GetSeed: %d bytes, %d, %v", len(seed), credit, err)
	}
}

// While somebody waits and the sources are dead they are asked again and again,
// with pauses that grow to a second: no busy loop.
func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a", estest.Error(errDead))
		r := newRNG(t, one(src))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if err := r.Wait(ctx, seeding.InitiallySeeded); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		// 10, 20, 40 … 640 ms, then 1 s.
		if n := src.Count(); n < 600 || n > 610 {
			t.Fatalf("%d rounds in 10 minutes", n)
		}
		// With nobody waiting it stops.
		synctest.Wait()
		time.Sleep(2 * time.Second)
		n := src.Count()
		time.Sleep(time.Hour)
		if src.Count() != n {
			t.Fatalf("%d rounds without anybody waiting", src.Count()-n)
		}
		// A non-blocking reader asks for one more, but not for one each time.
		for range 1000 {
			mustRefuse(t, r.Nonblocking(), lrng.ErrNotSeeded)
			synctest.Wait()
		}
		if src.Count() > n+2 {
			t.Fatalf("%d rounds for 1000 refused reads", src.Count()-n)
		}
	})
}

// A seeded shard that is due while the sources are dead does not make a round of
// each request.
func TestBackOffWhenDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a")
		c := one(src)
		c.ReseedRequests = 1
		r := newRNG(t, c)
		mustRead(t, r, 1)
		synctest.Wait()
		src.SetDead(errDead)
		n := src.Count()
		for range 1000 {
			mustRead(t, r, 1)
			synctest.Wait()
		}
		if got := src.Count() - n; got != 1 {
			t.Fatalf("%d rounds for 1000 requests within no time", got)
		}
		for range 3600 { // an hour, one request a second
			time.Sleep(time.Second)
			mustRead(t, r, 1)
		}
		synctest.Wait()
		if got := src.Count() - n; got < 55 || got > 80 {
			t.Fatalf("%d rounds in an hour; want about one a minute", got)
		}
		src.SetDead(nil)
		time.Sleep(time.Minute + time.Second) // the pause is over
		mustRead(t, r, 1)
		synctest.Wait()
		if got := r.Status().Instances[0].Seeds; got < 3 {
			t.Fatalf("no seed after the source came back: %d", got)
		}
	})
}

// Entropy that is announced ends the pause at once.
func TestAddEntropyWakesSeeding(t *testing.T) {
	needsFreedom(t)
	synctest.Test(t, func(t *testing.T) {
		r := newRNG(t, one(fake("a", estest.Error(errDead))))
		done := make(chan time.Duration, 1)
		begin := time.Now()
		go func() {
			if err := r.Wait(t.Context(), seeding.FullySeeded); err != nil {
				t.Error(err)
			}
			done <- time.Since(begin)
		}()
		time.Sleep(5 * time.Second)
		at := time.Since(begin)
		if err := r.AddEntropy(make([]byte, 32), 256); err != nil {
			t.Fatal(err)
		}
		if got := <-done; got != at {
			t.Fatalf("seeded after %v, entropy came after %v", got, at)
		}
		mustRead(t, r, 32)
	})
}

func TestNotifierWakesSeeding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := estest.NewNotifier(es.Info{Name: "n", MaxEntropy: 512, Health: true}, estest.Error(errDead), estest.OK(256))
		r := newRNG(t, one(src))
		mustRefuse(t, r.Nonblocking(), lrng.ErrNotSeeded)
		synctest.Wait() // nobody waits: one round, then a pause
		src.Signal()
		synctest.Wait()
		mustRead(t, r.Nonblocking(), 32)
	})
}

// Bits that arrive one by one are added up, and condensed when they take up much
// room, and nothing is handed over before there are enough.
func TestTrickle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a", estest.OK(1))
		r := newRNG(t, one(src))
		mustRead(t, r, 32)
		if got := src.Count(); got != 256 {
			t.Fatalf("seeded after %d rounds of one bit, want 256", got)
		}
		st := r.Status()
		if st.Instances[0].Seeds != 1 || st.Instances[0].LastCredit != 256 {
			t.Fatalf("%d seeds, the last with %d bits", st.Instances[0].Seeds, st.Instances[0].LastCredit)
		}
	})
}

func TestPredictionResistance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a", estest.OK(256))
		r := newRNG(t, one(src))
		pr := r.PredictionResistant()
		b := mustRead(t, pr, 100)
		// One seed for shard 0, and one for each block of 32 bytes (A14, G4).
		if got := src.Count(); got != 1+4 {
			t.Fatalf("%d collections for 100 bytes, want 5", got)
		}
		for i := range 3 {
			if bytes.Equal(b[32*i:32*i+32], b[32*i+32:min(32*i+64, 100)]) || bytes.Equal(b[32*i:32*i+32], make([]byte, 32)) {
				t.Fatalf("block %d is a copy or zero", i)
			}
		}
		mustRead(t, pr, 1)
		if got := src.Count(); got != 6 {
			t.Fatalf("%d collections, want 6: what was left of a block must not be used", got)
		}
		mustRead(t, r, 1000)
		if got := src.Count(); got != 6 {
			t.Fatal("an ordinary read reseeds")
		}
		st := r.Status()
		if st.PredictionResistance.Seeds != 5 || st.PredictionResistance.Bytes != 101 {
			t.Fatalf("status: %+v", st.PredictionResistance)
		}
		// Sources that yield little take several rounds for a block.
		src.SetRate(100)
		mustRead(t, pr, 32)
		if got := src.Count(); got != 9 {
			t.Fatalf("%d collections, want 9", got)
		}
		if n, err := pr.Read(nil); n != 0 || err != nil {
			t.Fatalf("empty read: %d, %v", n, err)
		}
	})
}

// A failed reseed gives no output (A15): the caller waits.
func TestPredictionResistanceWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a")
		r := newRNG(t, one(src))
		mustRead(t, r, 1)
		src.SetDead(errDead)
		done := make(chan struct{})
		go func() {
			mustRead(t, r.PredictionResistant(), 8)
			close(done)
		}()
		time.Sleep(time.Minute)
		select {
		case <-done:
			t.Fatal("output without entropy")
		default:
		}
		mustRead(t, r, 64) // others go on
		src.SetDead(nil)
		<-done
	})
}

// Full entropy by the rule of SP 800-90C, 3.2.2.2: 320 bits in for 256 out (C11).
func TestSeedReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a", estest.OK(256), estest.OK(319), estest.OK(320))
		r := newRNG(t, one(src))
		b := mustRead(t, r.SeedReader(), 64)
		// 256 for shard 0; 319 is one too few and takes another round; 320 is enough.
		if got := src.Count(); got != 4 {
			t.Fatalf("%d collections, want 4", got)
		}
		if bytes.Equal(b[:32], b[32:]) {
			t.Fatal("two blocks are equal")
		}
		for i, call := range src.Calls()[1:] {
			if call.Bits != 320 {
				t.Errorf("collection %d asked for %d bits, want 320", i, call.Bits)
			}
		}
		mustRead(t, r.SeedReader(), 1)
		if got := src.Calls()[4].Bits; got != 72 {
			t.Errorf("one byte: asked for %d bits, want 72", got)
		}
		if got := r.Status().Instances[0].Seeds; got != 1 {
			t.Errorf("the shard got %d seeds, want 1", got)
		}
	})
}

func TestGetSeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := fake("a", estest.OK(200)), fake("b", estest.OK(0))
		r := newRNG(t, one(a, b))
		seed, credit, err := r.GetSeed(t.Context(), 384)
		if err != nil {
			t.Fatal(err)
		}
		if credit != 384 {
			t.Errorf("credit %d, want 384: 200 bits in one round, and the rest in another", credit)
		}
		var buf seeding.Buffer
		if err := buf.UnmarshalBinary(seed); err != nil {
			t.Fatal(err)
		}
		if buf.Credit() != credit || buf.Strategy != "default" || len(buf.Entries) != 2 {
			t.Errorf("decoded: %d bits, %q, %d entries", buf.Credit(), buf.Strategy, len(buf.Entries))
		}
		// The data of the credited source themselves, none of which went into our own
		// generators (S1, S4, S5, A10).
		calls := a.Calls()
		own := len(calls) - 2
		for i, e := range buf.Entries {
			if e.Name != "a" || !bytes.Equal(e.Data, a.Data(own+i, len(e.Data))) {
				t.Errorf("entry %d is not what call %d of the source delivered", i, own+i)
			}
		}
		if got := r.Status().Instances[0].LastCredit; got != 400 || own != 2 {
			t.Errorf("the shard was seeded with %d bits in %d rounds", got, own)
		}
		for _, bits := range []int{0, -1, 4097, math.MaxInt} {
			if seed, credit, err := r.GetSeed(t.Context(), bits); seed != nil || credit != 0 || err == nil || !strings.Contains(err.Error(), "bits") {
				t.Errorf("%d bits: %d bytes, %d, %v", bits, len(seed), credit, err)
			}
		}
		// All or nothing.
		a.SetRate(10)
		ctx, cancel := context.WithTimeout(t.Context(), 0)
		defer cancel()
		if seed, credit, err := r.GetSeed(ctx, 256); seed != nil || credit != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("in no time: %d bytes, %d, %v", len(seed), credit, err)
		}
		a.SetDead(errDead)
		ctx, cancel = context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if seed, credit, err := r.GetSeed(ctx, 256); seed != nil || credit != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("from a dead source: %d bytes, %d, %v", len(seed), credit, err)
		}
	})
}

func TestAddEntropyArguments(t *testing.T) {
	needsFreedom(t)
	r := newRNG(t, one(fake("a")))
	for _, tt := range []struct{ size, bits int }{{0, 1}, {1, 9}, {4, -1}, {32, 257}, {32, math.MaxInt}, {0, math.MinInt}} {
		if err := r.AddEntropy(make([]byte, tt.size), tt.bits); err == nil || !strings.Contains(err.Error(), "bits") {
			t.Errorf("%d bits for %d bytes: %v", tt.bits, tt.size, err)
		}
	}
	if got := r.Status().Sources[1].Available; got != 0 {
		t.Errorf("refused entropy was credited: %d bits", got)
	}
	for _, tt := range []struct{ size, bits, want int }{{0, 0, 0}, {32, 0, 0}, {32, 100, 100}, {100, 800, 256}} {
		if err := r.AddEntropy(make([]byte, tt.size), tt.bits); err != nil {
			t.Errorf("%d bits for %d bytes: %v", tt.bits, tt.size, err)
		}
		if got := r.Status().Sources[1].Available; got != tt.want {
			t.Errorf("after %d bits: %d are available, want %d", tt.bits, got, tt.want)
		}
	}
}

// A forced reseed is done when it returns, in every shard that is in use.
func TestReseed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a", estest.Slow(100*time.Millisecond, estest.OK(256)))
		c := one(src)
		c.Shards = 3
		r := newRNG(t, c)
		if err := r.Reseed(t.Context()); err != nil { // not seeded yet: that is done
			t.Fatal(err)
		}
		if got := src.Count(); got != 1 {
			t.Fatalf("%d collections, want 1", got)
		}
		for seeded := 0; seeded < 3; {
			everywhere(func() { mustRead(t, r, 16) })
			synctest.Wait()
			time.Sleep(time.Second)
			seeded = 0
			for _, in := range r.Status().Instances {
				if in.Seeded {
					seeded++
				}
			}
		}
		before := r.Status()
		if err := r.Reseed(t.Context()); err != nil {
			t.Fatal(err)
		}
		after := r.Status()
		for i := range after.Instances {
			if after.Instances[i].Seeds != before.Instances[i].Seeds+1 {
				t.Errorf("shard %d: %d seeds, then %d", i, before.Instances[i].Seeds, after.Instances[i].Seeds)
			}
		}
		src.SetDead(errDead)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := r.Reseed(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("from dead sources: %v", err)
		}
		mustRead(t, r, 16)
	})
}

// Shard 0 is seeded first and serves until a shard has its own seed; each has one
// of its own, and they fall due one after the other.
func TestShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a")
		c := one(src)
		c.Shards = 4
		r := newRNG(t, c)
		for range 100 {
			everywhere(func() { mustRead(t, r, 16) })
			synctest.Wait()
		}
		for i, in := range r.Status().Instances {
			if in.Seeded && in.Seeds != 1 {
				t.Errorf("shard %d got %d seeds", i, in.Seeds)
			}
			if i == 0 && !in.Seeded {
				t.Error("shard 0 is not seeded")
			}
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a", estest.Block())
		r, err := lrng.New(one(src))
		if err != nil {
			t.Fatal(err)
		}
		calls := map[string]func() error{
			"Read":    func() error { _, err := r.Read(make([]byte, 8)); return err },
			"ReadCtx": func() error { _, err := r.ReadContext(t.Context(), make([]byte, 8)); return err },
			"PR":      func() error { _, err := r.PredictionResistant().Read(make([]byte, 8)); return err },
			"Seed":    func() error { _, err := r.SeedReader().Read(make([]byte, 8)); return err },
			"GetSeed": func() error { _, _, err := r.GetSeed(t.Context(), 256); return err },
			"Wait":    func() error { return r.Wait(t.Context(), seeding.InitiallySeeded) },
			"Reseed":  func() error { return r.Reseed(t.Context()) },
		}
		results := make(chan error, len(calls))
		for _, f := range calls {
			go func() { results <- f() }()
		}
		synctest.Wait()
		begin := time.Now()
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		for range calls {
			if err := <-results; !errors.Is(err, lrng.ErrClosed) {
				t.Errorf("waiting call: %v", err)
			}
		}
		if d := time.Since(begin); d != 0 {
			t.Errorf("Close took %v", d)
		}
		calls["Nonblocking"] = func() error { _, err := r.Nonblocking().Read(make([]byte, 8)); return err }
		calls["AddEntropy"] = func() error { return r.AddEntropy([]byte{1}, 0) }
		for name, f := range calls {
			if err := f(); !errors.Is(err, lrng.ErrClosed) {
				t.Errorf("%s afterwards: %v", name, err)
			}
		}
		if err := r.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
		if st := r.Status(); !st.Closed || st.Level != seeding.Unseeded {
			t.Errorf("status: closed %v, %v", st.Closed, st.Level)
		}
		if n, err := r.Read(nil); n != 0 || err != nil {
			t.Errorf("empty read: %d, %v", n, err)
		}
		func() {
			defer func() {
				if v := recover(); v == nil {
					t.Error("Uint64 returned a number")
				}
			}()
			r.Uint64()
		}()
	})
}

// Close during calls on a seeded generator that wait for the sources.
func TestCloseWhileSeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a", estest.OK(256), estest.Block())
		r, err := lrng.New(one(src))
		if err != nil {
			t.Fatal(err)
		}
		mustRead(t, r, 8)
		results := make(chan error, 4)
		go func() { _, err := r.PredictionResistant().Read(make([]byte, 8)); results <- err }()
		go func() { _, err := r.SeedReader().Read(make([]byte, 8)); results <- err }()
		go func() { _, _, err := r.GetSeed(t.Context(), 256); results <- err }()
		go func() { results <- r.Reseed(t.Context()) }()
		synctest.Wait()
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		for range cap(results) {
			if err := <-results; !errors.Is(err, lrng.ErrClosed) {
				t.Errorf("got %v", err)
			}
		}
	})
}

// A source that does not heed its context cannot hold up Close for ever.
func TestCloseWithDeafSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("deaf", estest.Hang())
		r, err := lrng.New(one(src))
		if err != nil {
			t.Fatal(err)
		}
		mustRefuse(t, r.Nonblocking(), lrng.ErrNotSeeded)
		synctest.Wait()
		begin := time.Now()
		if err := r.Close(); err == nil || !strings.Contains(err.Error(), `"deaf"`) {
			t.Errorf("Close: %v", err)
		}
		if d := time.Since(begin); d > 3*time.Second {
			t.Errorf("Close took %v", d)
		}
		src.Release()
	})
}

// A first read that waits long says so once (crypto/rand does after a minute).
func TestLongWaitIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log recorder
		c := one(fake("a", estest.Error(errDead)))
		c.Logger = log.logger()
		r := newRNG(t, c)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		r.ReadContext(ctx, make([]byte, 1))
		r.Wait(ctx, seeding.FullySeeded)
		if n := log.count("waited a minute"); n != 1 {
			t.Errorf("reported %d times, want once", n)
		}
	})
}

func TestUint64(t *testing.T) {
	r := newRNG(t, one(fake("a")))
	rng := rand.New(r)
	var faces [6]int
	for range 6000 {
		faces[rng.IntN(6)]++
	}
	// Each face comes 1000 times, σ = 28.9: below 700 or above 1300 in less than
	// one of 2⁷⁵ runs.
	if slices.Min(faces[:]) < 700 || slices.Max(faces[:]) > 1300 {
		t.Errorf("a die rolled 6000 times: %v", faces)
	}
	seen := make(map[uint64]bool)
	var or, and uint64 = 0, ^uint64(0)
	for range 1000 {
		v := r.Uint64()
		if seen[v] { // in one of 2⁴⁵ runs
			t.Fatal("a number repeats")
		}
		seen[v] = true
		or, and = or|v, and&v
	}
	if or != ^uint64(0) || and != 0 {
		t.Errorf("bits that never change: %064b", ^or|and)
	}
}
