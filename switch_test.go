package lrng_test

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"hash"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
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

// mechanisms are all that package drng has.
func mechanisms() map[string]func() (drng.DRNG, error) {
	m := map[string]func() (drng.DRNG, error){
		"ChaCha20":  func() (drng.DRNG, error) { return drng.NewChaCha20(), nil },
		"XDRBG-256": func() (drng.DRNG, error) { return drng.NewXDRBG(), nil },
	}
	for _, c := range []drng.CTRConfig{{KeyBits: 128}, {KeyBits: 192}, {KeyBits: 256}, {KeyBits: 128, NoDF: true}, {KeyBits: 192, NoDF: true}, {NoDF: true}} {
		f := func() (drng.DRNG, error) { return drng.NewCTR(c) }
		d, _ := f()
		m[d.Info().Name] = f
	}
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA512_256, crypto.SHA3_256, crypto.SHA3_384, crypto.SHA3_512} {
		m["Hash_DRBG "+h.String()] = func() (drng.DRNG, error) { return drng.NewHash(h) }
		m["HMAC_DRBG "+h.String()] = func() (drng.DRNG, error) { return drng.NewHMAC(h) }
	}
	return m
}

var conditioners = []conditioner.Conditioner{
	conditioner.SHA256, conditioner.SHA384, conditioner.SHA512,
	conditioner.SHA3_256, conditioner.SHA3_384, conditioner.SHA3_512,
}

// Every mechanism works as the one of a generator: seeded, reseeded, read in all
// ways.
func TestEveryMechanism(t *testing.T) {
	needsFreedom(t)
	buffers, sizes := []int{-1, 0, 100}, []int{1, 16, 33, 100, 4096, 4097, 10000}
	if testing.Short() {
		buffers, sizes = []int{-1, 100}, []int{1, 33, 1000}
	}
	for name, f := range mechanisms() {
		t.Run(name, func(t *testing.T) {
			for _, ahead := range buffers {
				src := fake("a")
				c := one(src)
				c.DRNG, c.OutputBuffer, c.ReseedRequests = f, ahead, 5
				c.Personalization = []byte("test")
				r := newRNG(t, c)
				seen := make(map[string]bool)
				for _, size := range sizes {
					for _, reader := range []interface{ Read([]byte) (int, error) }{r, r.Nonblocking(), r.PredictionResistant(), r.SeedReader()} {
						b := mustRead(t, reader, min(size, 5000))
						for ; len(b) >= 16; b = b[16:] {
							if seen[string(b[:16])] || bytes.Equal(b[:16], make([]byte, 16)) {
								t.Fatal("output repeats, or was not written")
							}
							seen[string(b[:16])] = true
						}
					}
				}
				if err := r.Reseed(t.Context()); err != nil {
					t.Fatal(err)
				}
				if st := r.Status(); st.DRNG != name && !strings.Contains(st.DRNG, strings.Fields(name)[0]) || st.SeedFailures != 0 {
					t.Errorf("status: %s, %d failures", st.DRNG, st.SeedFailures)
				}
			}
		})
	}
}

// A mechanism that takes seeds of full entropy only gets 64 bits of entropy more
// than its seeds are long (A9, C11).
func TestFullEntropySeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a", estest.OK(100))
		c := one(src)
		c.DRNG = mechanisms()["CTR_DRBG AES-256 no df"]
		r := newRNG(t, c)
		mustRead(t, r, 16)
		if got := r.Status().Instances[0].LastCredit; got != 500 { // 448 are needed
			t.Errorf("seeded with %d bits", got)
		}
		c.Conditioner = conditioner.SHA256
		if _, err := lrng.New(c); err == nil || !strings.Contains(err.Error(), "Config.DRNG") || !strings.Contains(err.Error(), "SHA-256 is 256 bits wide") {
			t.Errorf("384 bits from a hash of 256: %v", err)
		}
		if err := r.SetConditioner(conditioner.SHA256); err == nil || !strings.Contains(err.Error(), "SetConditioner") {
			t.Errorf("384 bits from a hash of 256: %v", err)
		}
		if got := r.Status().Conditioner; got != "SHA-512" {
			t.Errorf("the conditioner is %s", got)
		}
	})
}

func TestSetDRNG(t *testing.T) {
	needsFreedom(t)
	synctest.Test(t, func(t *testing.T) {
		src := fake("a", estest.Slow(100*time.Millisecond, estest.OK(256)))
		c := one(src)
		c.Shards = 3
		r := newRNG(t, c)
		// Before the first use nothing is collected.
		if err := r.SetDRNG(mechanisms()["XDRBG-256"]); err != nil {
			t.Fatal(err)
		}
		if got := r.Status().DRNG; src.Count() != 0 || got != "XDRBG-256" {
			t.Fatalf("%s, %d collections", got, src.Count())
		}
		mustRead(t, r, 16)
		mustRead(t, r.PredictionResistant(), 16)
		n := src.Count()

		// In use: each shard with a seed gets a new one; readers do not wait.
		begin := time.Now()
		done := make(chan error)
		go func() {
			done <- r.SetDRNG(mechanisms()["Hash_DRBG SHA-512"])
		}()
		synctest.Wait()
		mustRead(t, r.Nonblocking(), 100)
		if d := time.Since(begin); d != 0 {
			t.Errorf("a reader waited %v", d)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if got := r.Status(); got.DRNG != "Hash_DRBG SHA-512" || !got.Instances[0].Seeded || src.Count() <= n {
			t.Errorf("%s, seeded %v, %d collections", got.DRNG, got.Instances[0].Seeded, src.Count()-n)
		}
		mustRead(t, r.Nonblocking(), 100)
		mustRead(t, r.PredictionResistant(), 16)
	})
}

func TestSetDRNGRefuses(t *testing.T) {
	needsFreedom(t)
	synctest.Test(t, func(t *testing.T) {
		src := fake("a")
		r := newRNG(t, one(src))
		mustRead(t, r, 16)
		calls := 0
		for name, f := range map[string]func() (drng.DRNG, error){
			"nil":     nil,
			"fails":   func() (drng.DRNG, error) { return nil, errDead },
			"nothing": func() (drng.DRNG, error) { return nil, nil },
			"seeded": func() (drng.DRNG, error) {
				d := drng.NewChaCha20()
				return d, d.Seed(make([]byte, 32), nil)
			},
			"fails the second time": func() (drng.DRNG, error) {
				if calls++; calls > 1 {
					return nil, errDead
				}
				return drng.NewXDRBG(), nil
			},
			"cannot be seeded": func() (drng.DRNG, error) {
				return &brokenDRNG{drng.NewChaCha20(), &drngFaults{seed: errDead}}, nil
			},
			"too weak": factory(func(i *drng.Info) { i.SecurityStrength = 64 }),
		} {
			if err := r.SetDRNG(f); err == nil || !strings.HasPrefix(err.Error(), "lrng: SetDRNG: ") {
				t.Errorf("%s: %v", name, err)
			}
			if st := r.Status(); st.DRNG != "ChaCha20" || st.Level != seeding.FullySeeded {
				t.Errorf("%s: now it is %s, %v", name, st.DRNG, st.Level)
			}
			mustRead(t, r.Nonblocking(), 32)
		}
		// With dead sources it waits, changes nothing, and ends with Close.
		src.SetDead(errDead)
		done := make(chan error)
		go func() { done <- r.SetDRNG(mechanisms()["XDRBG-256"]) }()
		time.Sleep(time.Hour)
		mustRead(t, r.Nonblocking(), 32)
		if got := r.Status().DRNG; got != "ChaCha20" {
			t.Errorf("switched to %s without a seed", got)
		}
		r.Close()
		if err := <-done; !errors.Is(err, lrng.ErrClosed) {
			t.Errorf("ended by Close: %v", err)
		}
		if err := r.SetDRNG(mechanisms()["XDRBG-256"]); !errors.Is(err, lrng.ErrClosed) {
			t.Errorf("afterwards: %v", err)
		}
		if err := r.SetConditioner(conditioner.SHA384); !errors.Is(err, lrng.ErrClosed) {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// A new instance is seeded by the sources, and what the old one had is not lost:
// with the same seed two generators of different past differ.
func TestSetDRNGInheritance(t *testing.T) {
	needsFreedom(t)
	src := fake("a", estest.OK(256))
	var seeds []struct{ seed, additional []byte }
	r := newRNG(t, one(src))
	mustRead(t, r, 16)
	n := src.Count()
	if err := r.SetDRNG(func() (drng.DRNG, error) { return &splitSpy{ChaCha20: drng.NewChaCha20(), seeds: &seeds}, nil }); err != nil {
		t.Fatal(err)
	}
	if len(seeds) != 1 || !bytes.HasPrefix(seeds[0].seed, src.Data(n, 32)) {
		t.Fatalf("%d seeds, not of the source", len(seeds))
	}
	legacy := seeds[0].additional[2*32:][:32]
	if bytes.Equal(legacy, make([]byte, 32)) {
		t.Error("nothing of the old instance")
	}
}

// Credits survive a change of the hash, capped by the digest (LRNG 1.2.6).
func TestSetConditioner(t *testing.T) {
	needsFreedom(t)
	r := newRNG(t, one(fake("a", estest.Error(errDead))))
	if err := r.AddEntropy(make([]byte, 64), 500); err != nil {
		t.Fatal(err)
	}
	available := func() int {
		for _, s := range r.Status().Sources {
			if s.Name == "auxiliary" {
				return s.Available
			}
		}
		return -1
	}
	if err := r.AddEntropy(nil, 0); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		c    conditioner.Conditioner
		want int // of at most 256 asked for
	}{{conditioner.SHA3_512, 256}, {conditioner.SHA384, 256}, {conditioner.SHA256, 256}, {conditioner.SHA512, 256}} {
		if err := r.SetConditioner(tt.c); err != nil {
			t.Fatal(err)
		}
		if got := r.Status().Conditioner; got != tt.c.Name() || available() != tt.want {
			t.Errorf("%s: %s, %d bits", tt.c.Name(), got, available())
		}
	}
	mustRead(t, r, 16)
	if got := available(); got != 0 {
		t.Errorf("%d bits are left; the pool was capped to 256 on its way", got)
	}
	for name, c := range map[string]conditioner.Conditioner{
		"nil":      nil,
		"narrow":   badConditioner{"x", conditioner.SHA256.New, 128},
		"lying":    badConditioner{"x", conditioner.SHA256.New, 512},
		"nameless": badConditioner{"", conditioner.SHA256.New, 256},
		"empty":    badConditioner{"x", func() hash.Hash { return nil }, 256},
	} {
		if err := r.SetConditioner(c); err == nil || !strings.HasPrefix(err.Error(), "lrng: SetConditioner: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := r.Status().Conditioner; got != "SHA-512" {
		t.Errorf("the conditioner is %s", got)
	}
}

// Switches between all mechanisms and all hashes, with readers of all kinds on all
// cores: no request fails, nothing repeats, nothing comes from an instance without a
// seed.
func TestSwitchTorture(t *testing.T) {
	needsFreedom(t)
	switches := 5000
	if testing.Short() {
		switches = 300
	}
	r := newRNG(t, lrng.Config{Sources: []es.Source{fake("a")}, Shards: runtime.GOMAXPROCS(0) + 1, ReseedRequests: 1000, FIPS: fipsMode()})
	if err := r.Wait(t.Context(), seeding.FullySeeded); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen := make(map[[16]byte]struct{})
	note := func(p []byte) {
		mu.Lock()
		defer mu.Unlock()
		for ; len(p) >= 16; p = p[1:] {
			k := [16]byte(p)
			if _, ok := seen[k]; ok || k == [16]byte{} {
				t.Errorf("16 bytes of output repeat or are zero")
			}
			seen[k] = struct{}{}
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var done, requests atomic.Int64
	for i, reader := range []interface{ Read([]byte) (int, error) }{r, r, r.Nonblocking(), r.Nonblocking(), r.PredictionResistant(), r.SeedReader()} {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if requests.Load() > 10*(done.Load()+10) {
					runtime.Gosched() // what is compared has to fit into memory
					continue
				}
				b := make([]byte, []int{16, 17, 32, 50, 64}[(n+i)%5])
				if n%200 == 0 && i < 4 {
					b = make([]byte, 5000)
				}
				if k, err := reader.Read(b); k != len(b) || err != nil {
					t.Errorf("reader %d: %d of %d, %v", i, k, len(b), err)
					return
				}
				note(b)
				requests.Add(1)
			}
		})
	}
	names := make([]string, 0)
	all := mechanisms()
	// Foreign ones, with shorter requests, among them.
	all["foreign"] = factory(func(i *drng.Info) { i.MaxRequest = 100 })
	all["foreign, one byte"] = factory(func(i *drng.Info) { i.MaxRequest = 1 })
	for name := range all {
		names = append(names, name)
	}
	for i := range switches {
		name := names[i*7%len(names)]
		if err := r.SetDRNG(all[name]); err != nil && !strings.Contains(err.Error(), "bits wide") {
			t.Fatalf("%s: %v", name, err)
		}
		if i%3 == 0 {
			if err := r.SetConditioner(conditioners[i/3%len(conditioners)]); err != nil && !strings.Contains(err.Error(), "bits wide") {
				t.Fatal(err)
			}
		}
		if st := r.Status(); st.Level != seeding.FullySeeded {
			t.Fatalf("after %s: %v", name, st.Level)
		}
		done.Add(1)
	}
	stop()
	wg.Wait()
	t.Logf("%d switches, %d requests, %d windows compared", switches, requests.Load(), len(seen))
}
