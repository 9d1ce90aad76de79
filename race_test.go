package lrng_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
	"github.com/lrng-go/lrng/seeding"
)

// All methods at once, from many goroutines, with sources that fail now and then:
// for the race detector. At the end the generator is closed under all of them, and
// every call returns what it promised or ErrClosed.
func TestRace(t *testing.T) {
	a := fake("a", estest.OK(256).Times(5), estest.Error(errDead), estest.Panic("x"), estest.OK(100).Times(3), estest.Claim(-5), estest.OK(256).Times(1000), estest.OK(256))
	b := estest.NewNotifier(es.Info{Name: "b", MaxEntropy: 64, Health: true}, estest.OK(64))
	r, err := lrng.New(lrng.Config{
		Sources:        []es.Source{a, b},
		Shards:         4,
		FIPS:           fipsMode(),
		ReseedRequests: 50,
		ReseedBits:     1 << 17,
		ReseedInterval: time.Millisecond,
		Logger:         new(recorder).logger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(time.Second)
	if testing.Short() {
		end = time.Now().Add(300 * time.Millisecond)
	}
	var mu sync.Mutex
	seen := make(map[string]bool)
	note := func(p []byte) {
		mu.Lock()
		defer mu.Unlock()
		for ; len(p) >= 16; p = p[16:] {
			if seen[string(p[:16])] {
				t.Error("16 bytes of output repeat")
			}
			seen[string(p[:16])] = true
		}
	}
	read := func(f func([]byte) (int, error), size int) func() error {
		return func() error {
			p := make([]byte, size)
			n, err := f(p)
			if err == nil && n != size {
				t.Errorf("%d of %d bytes", n, size)
			}
			if err == nil {
				note(p)
			}
			return err
		}
	}
	var wg sync.WaitGroup
	for name, f := range map[string]func() error{
		"read":   read(r.Read, 16),
		"read2":  read(r.Read, 48),
		"long":   read(r.Read, 70000),
		"nonbl":  read(r.Nonblocking().Read, 4096),
		"pr":     read(r.PredictionResistant().Read, 48),
		"seed":   read(r.SeedReader().Read, 48),
		"ctx":    read(func(p []byte) (int, error) { return r.ReadContext(t.Context(), p) }, 32),
		"reseed": func() error { return r.Reseed(t.Context()) },
		"status": func() error { _ = r.Status().String(); return nil },
		"add":    func() error { return r.AddEntropy(make([]byte, 100), 8) },
		"signal": func() error { b.Signal(); time.Sleep(time.Millisecond); return nil },
		"wait":   func() error { return r.Wait(t.Context(), seeding.FullySeeded) },
		"get":    func() error { _, _, err := r.GetSeed(t.Context(), 384); return err },
		"hasty": func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Microsecond)
			defer cancel()
			if _, _, err := r.GetSeed(ctx, 2000); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				return err
			}
			return nil
		},
	} {
		wg.Go(func() {
			for {
				err := f()
				closing := time.Now().After(end)
				switch {
				case closing && (errors.Is(err, lrng.ErrClosed) || name == "status" || name == "signal"):
					return
				case errors.Is(err, lrng.ErrNotSeeded) && name == "nonbl":
				case err != nil && !closing:
					t.Errorf("%s: %v", name, err)
					return
				}
			}
		})
	}
	time.Sleep(time.Until(end))
	begin := time.Now()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if d := time.Since(begin); d > 20*time.Second {
		t.Errorf("Close took %v", d)
	}
	wg.Wait()
}
