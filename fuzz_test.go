package lrng_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/es"
)

// Whatever numbers are in a Config, New either refuses by name or makes a
// generator that fills every byte.
func FuzzConfig(f *testing.F) {
	f.Add(0, 0, int64(0), uint64(0), uint64(0), uint64(0), "", 100)
	f.Add(1, -1, int64(-1), uint64(1), uint64(256), uint64(1), "p", 5000)
	f.Add(4096, 65536, int64(1), uint64(1)<<48, uint64(1)<<63, uint64(1)<<48, "x", 1)
	f.Add(-1, 1<<20, int64(1)<<62, uint64(1)<<49, uint64(255), uint64(1)<<49, "", 0)
	f.Fuzz(func(t *testing.T, shards, ahead int, interval int64, requests, bits, most uint64, person string, size int) {
		r, err := lrng.New(lrng.Config{
			Sources:          []es.Source{fake("a")},
			Shards:           shards % 5000,
			OutputBuffer:     ahead,
			ReseedInterval:   time.Duration(interval),
			ReseedRequests:   requests,
			ReseedBits:       bits,
			MaxWithoutReseed: most,
			Personalization:  []byte(person),
			FIPS:             fipsMode(),
		})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "lrng: Config.") {
				t.Fatalf("the error does not name a field: %v", err)
			}
			return
		}
		b := make([]byte, max(0, size%10000))
		if n, err := r.Read(b); n != len(b) || err != nil {
			t.Fatalf("Read: %d of %d, %v", n, len(b), err)
		}
		run := 0
		for _, c := range b { // 16 zeros in a row come in one of 2¹¹⁴ runs
			if run++; c != 0 {
				run = 0
			}
			if run == 16 {
				t.Fatal("bytes were not written")
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// AddEntropy keeps its books whatever it is given.
func FuzzAddEntropy(f *testing.F) {
	f.Add([]byte("abc"), 24, 3)
	f.Add([]byte(nil), 0, 0)
	f.Add([]byte("x"), -1, 9)
	f.Add(make([]byte, 200), 1600, 5)
	f.Fuzz(func(t *testing.T, p []byte, bits, more int) {
		needsFreedom(t) // which credits nothing
		r, err := lrng.New(lrng.Config{Sources: []es.Source{}, Shards: 1, FIPS: fipsMode()})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		want := 0
		for _, b := range []int{bits, more} {
			err := r.AddEntropy(p, b)
			if ok := b >= 0 && b <= 8*len(p); ok != (err == nil) {
				t.Fatalf("%d bits for %d bytes: %v", b, len(p), err)
			} else if ok {
				want = min(512, want+b)
			}
		}
		if got := r.Status().Sources[0].Available; got != min(256, want) {
			t.Fatalf("%d bits are available, want %d", got, want)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if want < 256 {
			if _, err := r.Nonblocking().Read(make([]byte, 8)); !errors.Is(err, lrng.ErrNotSeeded) {
				t.Fatalf("with %d bits: %v", want, err)
			}
		} else if _, err := r.Read(make([]byte, 8)); err != nil {
			t.Fatalf("with %d bits: %v", want, err)
		}
		if _, err := r.ReadContext(ctx, make([]byte, 1)); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	})
}
