package lrng

import (
	"bytes"
	"context"
	"crypto"
	"crypto/fips140"
	"reflect"
	"strings"
	"testing"

	"github.com/lrng-go/lrng/drng"
)

// A hardened generator outputs what others do, with bytes of the operating system from the
// system call, and no requests that are combined outside of the code that blocks signals.
func TestHardened(t *testing.T) {
	outsideFIPS(t)
	if err := drng.NewChaCha20().Harden(); err != nil {
		r, err := newOn(still(), Config{Hardened: true, FIPS: FIPSOff})
		if err == nil || !strings.Contains(err.Error(), "Config.Hardened") {
			t.Errorf("without code for it: %v", err)
			r.Close()
		}
		return
	}
	for _, ahead := range []int{-1, 0, 100} {
		on := still()
		direct, calls := on.direct, 0
		on.system = nil // not to be called
		on.direct = func(b []byte) bool {
			if calls++; len(b) != 32 {
				t.Errorf("%d bytes of the operating system", len(b))
			}
			return direct(b)
		}
		hardened := start(t, on, Config{Hardened: true, OutputBuffer: ahead})
		plain := copyOf(t, hardened, still(), Config{OutputBuffer: -1})
		if st := hardened.Status(); !st.Hardened || !strings.Contains(st.String(), "Hardened: ") || plain.Status().Hardened {
			t.Errorf("%d bytes ahead: not in the status", ahead)
		}
		h := plain.shards.LockIndex(0)
		h.Value.fresh = make([]byte, hardenedFreshSize) // as many inputs
		h.Unlock()
		if ahead <= 0 {
			x, y := output(t, hardened), output(t, plain)
			if !bytes.Equal(x, y) {
				t.Errorf("%d bytes ahead: the output differs", ahead)
			}
		} else {
			output(t, hardened)
		}
		if calls == 0 {
			t.Errorf("%d bytes ahead: nothing from the operating system", ahead)
		}
		b := make([]byte, 10)
		if _, err := hardened.PredictionResistant().Read(b); err != nil || bytes.Equal(b, make([]byte, 10)) {
			t.Errorf("with prediction resistance: %x, %v", b, err)
		}
		if err := hardened.Reseed(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

// Mechanisms that cannot be hardened are refused, by New and by SetDRNG, which changes
// nothing.
func TestHardenedRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		new  func() (drng.DRNG, error)
	}{
		{"CTR_DRBG AES-256", func() (drng.DRNG, error) { return drng.NewCTR(drng.CTRConfig{}) }},
		{"HMAC_DRBG SHA-512", func() (drng.DRNG, error) { return drng.NewHMAC(crypto.SHA512) }},
	} {
		_, err := New(Config{Hardened: true, DRNG: tt.new})
		if err == nil || !strings.HasPrefix(err.Error(), "lrng: Config.DRNG: "+tt.name) || !strings.Contains(err.Error(), "Config.Hardened") {
			t.Errorf("New with %s: %v", tt.name, err)
		}
		if drng.NewChaCha20().Harden() != nil || fips140.Enabled() {
			continue
		}
		r := start(t, still(), Config{Hardened: true})
		output(t, r)
		err = r.SetDRNG(tt.new)
		if err == nil || !strings.Contains(err.Error(), tt.name) || !strings.Contains(err.Error(), "Config.Hardened") {
			t.Errorf("SetDRNG with %s: %v", tt.name, err)
		}
		if st := r.Status(); st.DRNG != "ChaCha20" {
			t.Errorf("%s is in use", st.DRNG)
		}
		output(t, r)
	}
}

// Every instance is hardened: of all shards, for prediction resistance, and after a switch.
func TestHardenedEverywhere(t *testing.T) {
	outsideFIPS(t)
	if drng.NewChaCha20().Harden() != nil {
		return // TestHardened
	}
	for _, hardened := range []bool{true, false} {
		r := start(t, still(), Config{Hardened: hardened, Shards: 3})
		check := func(when string) {
			t.Helper()
			all := []drng.DRNG{r.pr.d}
			for i := range r.shards.Len() {
				h := r.shards.LockIndex(i)
				all = append(all, h.Value.d)
				h.Unlock()
			}
			for i, d := range all {
				if got := reflect.ValueOf(d).Elem().FieldByName("hardened").Bool(); got != hardened {
					t.Errorf("%s, instance %d: hardened: %v; want %v", when, i-1, got, hardened)
				}
			}
		}
		check("at first")
		output(t, r)
		check("in use")
		if err := r.SetDRNG(func() (drng.DRNG, error) { return drng.NewChaCha20(), nil }); err != nil {
			t.Fatal(err)
		}
		check("after a switch")
	}
}
