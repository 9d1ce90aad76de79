package lrng_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
	"github.com/lrng-go/lrng/internal/health"
	"github.com/lrng-go/lrng/internal/selftest"
	"github.com/lrng-go/lrng/seeding"
)

// Thirteen defects are known of LRNG, ESDM and jitterentropy. Each has a test here that
// would fail if this module had it.

// 1: the request that detects the limit is still served. However it is read, exactly as
// many requests of the mechanism come out of one seed as the limit allows.
func TestNoDefect01RequestBeyondLimit(t *testing.T) {
	const limit = 7
	readers := map[string]func(*lrng.RNG, []byte) (int, error){
		"Nonblocking": func(r *lrng.RNG, b []byte) (int, error) { return r.Nonblocking().Read(b) },
		"ReadContext": func(r *lrng.RNG, b []byte) (int, error) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			return r.ReadContext(ctx, b)
		},
	}
	for _, tt := range []struct {
		name           string
		requests, bits uint64 // the limit
		read, size     int    // bytes of one read, and of one request of the mechanism
	}{
		{"requests", limit, 0, 16, 16},
		{"requests, long", limit, 0, 100 * 4096, 4096},
		{"bits", 0, 8 * 16 * limit, 16, 16},
		{"bits, with a rest", 0, 8*16*limit + 127, 16, 16},
		{"bits, long", 0, 8 * 4096 * limit, 100 * 4096, 4096},
	} {
		for name, read := range readers {
			synctest.Test(t, func(t *testing.T) {
				src := fake("a")
				var uses []int
				c := one(src)
				c.MaxWithoutReseed, c.ReseedBits = tt.requests, tt.bits
				c.DRNG = func() (drng.DRNG, error) {
					d, err := drng.NewCTR(drng.CTRConfig{})
					return &diary{CTR: d, uses: &uses}, err
				}
				r := newRNG(t, c)
				if err := r.Wait(t.Context(), seeding.FullySeeded); err != nil {
					t.Fatal(err)
				}
				src.SetDead(errDead)
				var err error
				for range 2 * limit {
					if _, err = read(r, make([]byte, tt.read)); err != nil {
						break
					}
				}
				if !errors.Is(err, lrng.ErrNotSeeded) && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s, %s: %v", tt.name, name, err)
				}
				if want := append([]int{0}, slices.Repeat([]int{tt.size}, limit)...); !slices.Equal(uses, want) {
					t.Errorf("%s, %s: the mechanism was used for %v, want %v", tt.name, name, uses, want)
				}
			})
		}
	}
}

// 2: esdm_get_seed returns a buffer twice, or one that the generator used itself. The book
// of the simulation knows what each was used for.
func TestNoDefect02SeedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lrng.Config{Shards: 1, MaxWithoutReseed: 1 << 20}, machine[0])
		w.turn(true, yields(100)) // several rounds for each
		for range 20 {
			w.request(16)
			w.special()
			if err := w.r.Reseed(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// 3: a failed read of the processor's generator disables it for ever. A source that failed
// is asked again in the next round, however it failed and how often.
func TestNoDefect03DisabledForEver(t *testing.T) {
	for _, step := range []estest.Step{
		estest.Error(errDead), estest.Unavailable(), estest.Health(false), estest.Panic("x"), estest.NilDeref(), estest.Goexit(),
		estest.Block(), estest.Slow(2*time.Second, estest.OK(256)), estest.Deaf(2*time.Second, estest.OK(256)), estest.Claim(-1), estest.Claim(math.MaxInt),
	} {
		for _, times := range []int{1, 100} {
			synctest.Test(t, func(t *testing.T) {
				r := newRNG(t, one(fake("cpu", step.Times(times), estest.OK(256)), fake("a")))
				for range times + 1 {
					if err := r.Reseed(t.Context()); err != nil {
						t.Fatal(err)
					}
					time.Sleep(3 * time.Second)
				}
				if s := r.Status().Sources[0]; s.Credited != 256 || s.Error != "" || s.Health != "tests passed" {
					t.Errorf("after %d times %s: %+v", times, step, s)
				}
			})
		}
	}
}

// 4: the RCT and the APT are off by one, and the symbol that ends a window is the base of
// the next. In SP 800-90B, Section 4.4, the first symbol counts as 1, and the base of a
// window is its first symbol.
func TestNoDefect04OffByOne(t *testing.T) {
	// feed gives samples to new tests and returns the first alarm.
	feed := func(samples ...uint64) *health.Failure {
		tests, err := health.New(health.Config{H: 1, Window: health.Window, Alpha: health.Alpha, PermanentAlpha: health.PermanentAlpha})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range samples {
			if f := tests.Next(x); f != nil {
				return f
			}
		}
		return nil
	}
	// window returns samples of which the first n are x, apart from every eighth. The
	// others occur once: x is no matter for the RCT.
	window := func(x uint64, n int) (samples []uint64) {
		for i := range uint64(health.Window) {
			if n == 0 || i%8 == 7 {
				samples = append(samples, 1000+i)
			} else {
				samples, n = append(samples, x), n-1
			}
		}
		return samples
	}
	last := slices.Concat(window(0, 0)[:health.Window-1], []uint64{9}) // ends in 9
	for _, tt := range []struct {
		name    string
		samples []uint64
		test    string // that raises an alarm
		count   int
	}{
		{"30 equal symbols", slices.Repeat([]uint64{7}, 30), "", 0},
		{"31 equal symbols: 1 + 30 for 2⁻³⁰", slices.Repeat([]uint64{7}, 31), "RCT", 31},
		{"324 of 512", window(7, 324), "", 0},
		{"325 of 512", window(7, 325), "APT", 325},
		{"the symbol that ended a window, in the next", slices.Concat(last, []uint64{8}, window(9, 400)[1:]), "", 0},
		{"the symbol that began it", slices.Concat(last, window(9, 400)), "APT", 325},
	} {
		f := feed(tt.samples...)
		if f == nil {
			f = new(health.Failure)
		}
		if f.Test != tt.test || f.Count != tt.count {
			t.Errorf("%s: alarm of %q at %d, want %q at %d", tt.name, f.Test, f.Count, tt.test, tt.count)
		}
	}
}

// 5: memory that was never written is hashed in: the state of a DRNG before its first seed,
// and the slots of sources that delivered nothing.
func TestNoDefect05Uninitialised(t *testing.T) {
	needsFreedom(t)
	// What a source delivered earlier, or left behind when it failed, is not in its slot.
	a := fake("a", estest.OK(256), estest.Short(5), estest.ClaimError(256, syscall.EIO), estest.Short(6))
	var got []struct{ seed, additional []byte }
	c := one(a, fake("b"))
	c.DRNG = func() (drng.DRNG, error) { return &splitSpy{ChaCha20: drng.NewChaCha20(), seeds: &got}, nil }
	r := newRNG(t, c)
	zero := make([]byte, 32)
	for i, want := range [][]byte{a.Data(0, 32), append(a.Data(1, 5), zero[5:]...), zero, append(a.Data(3, 6), zero[6:]...)} {
		if err := r.Reseed(t.Context()); err != nil {
			t.Fatal(err)
		}
		if slot, other := got[i].seed[:32], got[i].additional[:32]; !bytes.Equal(slot, want) || !bytes.Equal(other, zero) {
			t.Errorf("seed %d: %x and %x, want %x and zero", i, slot, other, want)
		}
	}
	// A mechanism does not know what its memory was used for before.
	for name, f := range mechanisms() {
		var outputs [2][]byte
		for i := range outputs {
			d, err := f()
			if err != nil {
				t.Fatal(err)
			}
			n := d.Info().SeedSize
			if n == 0 {
				n = 48
			}
			if i == 1 {
				firstOutput(t, d, bytes.Repeat([]byte{0xa5}, n))
				d.Clear()
			}
			outputs[i] = firstOutput(t, d, make([]byte, n))
		}
		if !bytes.Equal(outputs[0], outputs[1]) {
			t.Errorf("%s: outputs with one seed are %x and %x", name, outputs[0], outputs[1])
		}
	}
}

// firstOutput seeds d and returns 16 bytes.
func firstOutput(t *testing.T, d drng.DRNG, seed []byte) []byte {
	t.Helper()
	out := make([]byte, 16)
	if err := d.Seed(seed, nil); err != nil {
		t.Fatalf("%s: seed of %d bytes: %v", d.Info().Name, len(seed), err)
	}
	if err := d.Generate(out, nil); err != nil {
		t.Fatalf("%s: %v", d.Info().Name, err)
	}
	return out
}

// 6: seeds hold counters and padding in the byte order of the machine. What is handed over
// is laid out to the byte, and a seed for others has a canonical encoding.
func TestNoDefect06ByteOrder(t *testing.T) {
	needsFreedom(t)
	synctest.Test(t, func(t *testing.T) {
		a, b := fake("a"), fake("b", estest.OK(0))
		var got []struct{ seed, additional []byte }
		c := one(a, b)
		c.Personalization = []byte("personal")
		c.DRNG = func() (drng.DRNG, error) { return &splitSpy{ChaCha20: drng.NewChaCha20(), seeds: &got}, nil }
		r := newRNG(t, c)
		mustRead(t, r, 16)
		mustRead(t, r.PredictionResistant(), 16)
		now := binary.LittleEndian.AppendUint64(nil, uint64(time.Now().UnixNano()))
		zero := make([]byte, 32)
		for i, g := range got {
			if want := slices.Concat(a.Data(i, 32), zero, zero); !bytes.Equal(g.seed, want) {
				t.Errorf("seed %d: %x, want %x", i, g.seed, want)
			}
			if len(g.additional) != 3*32+24+8 || !bytes.Equal(g.additional[:64], slices.Concat(zero, b.Data(i, 32))) {
				t.Fatalf("additional input %d: %x", i, g.additional)
			}
			// Any 32 bytes of the auxiliary pool, a counter, the time, and the index: of
			// shard 0, and -1 for prediction resistance.
			index := bytes.Repeat([]byte{byte(-i)}, 8)
			if rest, want := g.additional[3*32+8:], slices.Concat(now, index, c.Personalization); !bytes.Equal(rest, want) {
				t.Errorf("hand over %d: %x, want %x", i, rest, want)
			}
		}
		seed, credit, err := r.GetSeed(t.Context(), 256)
		if err != nil {
			t.Fatal(err)
		}
		want := slices.Concat([]byte("LRNGSEED\x01\x07default"), now, []byte{1, 0, 1, 'a', 0, 1, 0, 0, 32, 0}, a.Data(2, 32))
		if credit != 256 || !bytes.Equal(seed, want) {
			t.Errorf("seed of %d bits: %x\nwant %x", credit, seed, want)
		}
	})
}

// 7: short reads of the system's generator are not noticed, and neither is a processor's
// that is stuck. Long reads are filled to the end, and the tests that look for what is stuck
// are in use. (How the sources behave then is tested in package es.)
func TestNoDefect07ShortReads(t *testing.T) {
	src := es.NewOS(es.OSConfig{})
	unwritten := bytes.Repeat([]byte{0xa5}, 1<<20+17)
	for _, size := range []int{16, 31, 32, 33, 256, 257, 1 << 16, 1<<16 + 1, 1 << 20, 1<<20 + 17} {
		p := bytes.Clone(unwritten[:size])
		if _, err := src.GetEntropy(t.Context(), p, 256); errors.Is(err, es.ErrUnavailable) {
			t.Skip(err)
		} else if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < size; i += 16 {
			// 16 bytes are zero or as they were with probability 2⁻¹²⁷.
			block := p[min(i, size-16):][:16]
			if bytes.Equal(block, make([]byte, 16)) || bytes.Equal(block, unwritten[:16]) {
				t.Fatalf("%d bytes: nothing was read at %d", size, i)
			}
		}
	}
	for _, name := range []string{"CPU health tests", "OS health test"} {
		i := slices.IndexFunc(selftest.All(), func(test *selftest.Test) bool { return test.Name() == name })
		if i < 0 {
			t.Errorf("there is no self-test %q", name)
		} else if err := selftest.All()[i].Run(); err != nil {
			t.Error(err)
		}
	}
}

// 8: for prediction resistance 320 bits are asked for and 256 accepted. A block under SP
// 800-90C takes what was asked for: 384 bits the first time, then 320.
func TestNoDefect08AcceptedLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a")
		r := bootRNG(t, seeding.Oversample, src)
		mustRead(t, r, 16)
		for _, tt := range []struct {
			yield int // of the source, bits
			ok    bool
		}{{383, false}, {384, true}, {319, false}, {256, false}, {320, true}, {320, true}} {
			src.SetRate(tt.yield)
			n, err := r.PredictionResistant().(lrng.FreshReader).TryRead(make([]byte, 32))
			if ok := n == 32 && err == nil; ok != tt.ok || !ok && (n != 0 || !errors.Is(err, lrng.ErrInsufficientEntropy)) {
				t.Errorf("with %d bits: %d bytes, %v", tt.yield, n, err)
			}
		}
	})
}

// 9: a known-answer test says that it feeds 33 bytes, and feeds 36: it would pass if some
// of them were not used. Every byte of a seed counts here, whatever its length.
func TestNoDefect09LengthOfSeed(t *testing.T) {
	for _, f := range mechanisms() {
		d, err := f()
		if err != nil {
			t.Fatal(err)
		}
		sizes := []int{48, 49, 51, 52, 64, 65, 100}
		if n := d.Info().SeedSize; n != 0 {
			sizes = []int{n}
		}
		for _, n := range sizes {
			outputs := make(map[string]int)
			for i := range n + 1 {
				seed := make([]byte, n+1)
				seed[i] = 1
				d.Clear()
				out := string(firstOutput(t, d, seed[:n]))
				if k, ok := outputs[out]; ok {
					t.Fatalf("%s: seeds of %d bytes give the same output with byte %d or %d changed", d.Info().Name, n, k, i)
				}
				outputs[out] = i
			}
		}
	}
}

// 10: the counter of requests triggers a reseed only when it hits the limit exactly. An
// attempt that was in vain is repeated, and a limit that was stepped over counts.
func TestNoDefect10ExactHit(t *testing.T) {
	for _, tt := range []struct {
		name           string
		requests, bits uint64 // the limit
		reads, size    int    // to go beyond it
	}{
		{"requests", 3, 0, 5, 1},
		{"bits", 0, 8 * 8 * 4096, 7, 4095}, // due at three quarters
	} {
		synctest.Test(t, func(t *testing.T) {
			src := fake("a")
			c := one(src)
			c.ReseedRequests, c.ReseedBits = tt.requests, tt.bits
			r := newRNG(t, c)
			if err := r.Wait(t.Context(), seeding.FullySeeded); err != nil {
				t.Fatal(err)
			}
			src.SetDead(errDead)
			for range tt.reads {
				mustRead(t, r, tt.size)
			}
			synctest.Wait()
			if n := src.Count(); n != 2 {
				t.Errorf("%s: %d rounds, want a seed and an attempt", tt.name, n)
			}
			src.SetDead(nil)
			time.Sleep(time.Minute) // the sources are not left alone any more
			mustRead(t, r, 1)
			synctest.Wait()
			if got := r.Status().Instances[0]; got.Seeds != 2 || got.SinceSeed != 0 {
				t.Errorf("%s: not reseeded: %+v", tt.name, got)
			}
		})
	}
}

// 11: an interruptible wait is given up, and its result is not looked at. Whenever a context
// ends during the first seeding, there is no output.
func TestNoDefect11WaitGivenUp(t *testing.T) {
	for ms := 50; ms <= 2000; ms += 100 {
		synctest.Test(t, func(t *testing.T) {
			// Eight rounds of 200 ms to a seed.
			r := newRNG(t, one(fake("a", estest.Slow(200*time.Millisecond, estest.OK(32)))))
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(ms)*time.Millisecond)
			defer cancel()
			reads := map[string]func([]byte) (int, error){
				"ReadContext":         func(b []byte) (int, error) { return r.ReadContext(ctx, b) },
				"PredictionResistant": func(b []byte) (int, error) { return r.PredictionResistant().(lrng.FreshReader).ReadContext(ctx, b) },
				"SeedReader":          func(b []byte) (int, error) { return r.SeedReader().(lrng.FreshReader).ReadContext(ctx, b) },
				"GetSeed": func(b []byte) (int, error) {
					clear(b)
					seed, _, err := r.GetSeed(ctx, 1)
					return copy(b, seed), err
				},
			}
			var wg sync.WaitGroup
			for name, read := range reads {
				wg.Go(func() {
					b := bytes.Repeat([]byte{0xa5}, 16)
					n, err := read(b)
					switch {
					case err == nil && (ms < 1600 || n != 16 || r.Status().Level != seeding.FullySeeded):
						t.Errorf("%s, for %d ms: %d bytes at level %v", name, ms, n, r.Status().Level)
					case err != nil && (n != 0 || !errors.Is(err, context.DeadlineExceeded) || !bytes.Equal(b, make([]byte, 16))):
						t.Errorf("%s, for %d ms: %d, %v, %x", name, ms, n, err, b)
					case err != nil && name == "ReadContext" && ms > 1600:
						t.Errorf("%s, for %d ms: %v", name, ms, err)
					}
				})
			}
			wg.Wait()
		})
	}
}

// 12: blocks that were collected ahead of need have no limit to their age, and are there
// twice after a machine was cloned. The generator collects nothing ahead: sources are asked
// when a seed is wanted, and what they deliver is in that seed. A Jitter does so only if it
// is told to, and its blocks are wiped at an age: see TestJitterAheadAge in package es.
func TestNoDefect12CollectedAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lrng.Config{Shards: 1, MaxWithoutReseed: 1 << 20}, machine...)
		w.turn(true, yields(256), yields(16), fails(errDead))
		for range 5 {
			w.idle(24*time.Hour, 0)
			before := w.r.Status()
			w.request(16)
			time.Sleep(time.Minute)
			after := w.r.Status()
			if got := allCredited(after) - allCredited(before); after.Seeds != before.Seeds+1 || got != 256+16 {
				t.Errorf("%d seeds; %d bits were collected for the last", after.Seeds, got)
			}
			if after.Entropy != 0 {
				t.Errorf("%d bits are kept", after.Entropy)
			}
		}
	})
}

// 13: a library does not notice that its process was forked, or its machine cloned. It need
// not here: two generators with one and the same state differ from the first request on,
// since the operating system has a part in each.
func TestNoDefect13Twins(t *testing.T) {
	for _, fresh := range []bool{true, false} {
		var outputs [2][]byte
		for i := range outputs {
			c := one(fake("a"))
			c.DRNG = func() (drng.DRNG, error) {
				d, err := drng.NewCTR(drng.CTRConfig{})
				return &twin{d, fresh}, err
			}
			outputs[i] = mustRead(t, newRNG(t, c), 16)
		}
		// Without fresh bytes they are equal: the test is not blind.
		if bytes.Equal(outputs[0], outputs[1]) == fresh {
			t.Errorf("requests with fresh bytes: %v; outputs %x and %x", fresh, outputs[0], outputs[1])
		}
	}
}

// A twin is a mechanism whose state depends on nothing but what the sources delivered.
type twin struct {
	*drng.CTR
	fresh bool // requests are what they are
}

func (d *twin) Seed(seed, _ []byte) error { return d.CTR.Seed(seed, nil) }

func (d *twin) Generate(out, additional []byte) error {
	if !d.fresh {
		additional = nil
	}
	return d.CTR.Generate(out, additional)
}
