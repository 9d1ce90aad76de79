package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"
	"testing"

	"github.com/lrng-go/lrng/conditioner"
)

// checkConditioner checks c against the numbered rules of conditioner.Conditioner. It
// counts allocations, so it is not for parallel tests.
func checkConditioner(c conditioner.Conditioner) error {
	rule := func(n int, format string, args ...any) error {
		return fmt.Errorf("rule %d: "+format, append([]any{n}, args...)...)
	}
	input := make([]byte, 300) // longer than any block
	for i := range input {
		input[i] = byte(i) ^ byte(i>>8)
	}
	digest := func(p []byte) []byte {
		h := c.New()
		h.Write(p)
		return h.Sum(nil)
	}

	h := c.New()
	if h == nil {
		return rule(3, "New returns nil")
	}

	// Rule 1. The race detector sees more than is compared here.
	name, width := c.Name(), c.Width()
	if name == "" {
		return rule(1, "Name is empty")
	}
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() {
			want := digest(input[i:])
			for range 50 {
				if c.Name() != name || c.Width() != width {
					errs[i] = rule(1, "Name or Width changes")
				}
				if !bytes.Equal(digest(input[i:]), want) {
					errs[i] = rule(1, "digests change when they are computed concurrently")
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}

	// Rule 2.
	if width < 256 || width > 512 || width%8 != 0 || 8*h.Size() != width {
		return rule(2, "Width is %d, Size %d bytes", width, h.Size())
	}

	// Rules 3 and 4, for each length and several places to cut; and with them the others.
	seen := make(map[string]int)
	for n := range len(input) + 1 {
		want := digest(input[:n])
		if len(want) != h.Size() {
			return rule(6, "Sum appends %d bytes instead of %d", len(want), h.Size())
		}
		if before, ok := seen[string(want)]; ok {
			return rule(4, "inputs of %d and %d bytes have the same digest", before, n)
		}
		seen[string(want)] = n
		for _, cut := range []int{0, 1, n / 2, n - 1, n} {
			if cut < 0 || cut > n {
				continue
			}
			a, other := c.New(), c.New()
			p := bytes.Clone(input[:n])
			for _, part := range [][]byte{p[:cut], p[cut:]} {
				// Rule 5.
				if k, err := a.Write(part); k != len(part) || err != nil {
					return rule(5, "Write of %d bytes returns %d, %v", len(part), k, err)
				}
				other.Write([]byte("something else"))
			}
			if !bytes.Equal(p, input[:n]) {
				return rule(5, "Write modifies its argument")
			}
			clear(p)
			// Rule 6.
			prefix := append(make([]byte, 0, 100), "prefix"...)
			got := a.Sum(prefix)
			if string(got) != "prefix"+string(want) {
				return rule(4, "%d bytes cut at %d have another digest; or rule 3, 5 or 6: it depends on another state, on memory that was written, or is not appended", n, cut)
			}
			if again := a.Sum(nil); !bytes.Equal(again, want) {
				return rule(6, "Sum changes the state")
			}
			a.Write(input)
			if !bytes.Equal(a.Sum(nil), digest(append(bytes.Clone(input[:n]), input...))) {
				return rule(6, "what is written after Sum is not as good as before")
			}
			// Rule 7.
			a.Reset()
			a.Write(input[:n])
			if !bytes.Equal(a.Sum(nil), want) {
				return rule(7, "after Reset, the digest depends on what was before")
			}
		}
	}

	// Rule 8.
	sum := make([]byte, 0, h.Size())
	if n := testing.AllocsPerRun(20, func() {
		h.Reset()
		h.Write(input)
		sum = h.Sum(sum[:0])
	}); n != 0 && !raceDetector {
		return rule(8, "Reset, Write and Sum allocate %v times", n)
	}
	return nil
}

func TestConditioner(t *testing.T) {
	for _, c := range []conditioner.Conditioner{
		sha512_256{},
		// The check does not ask for more than those of the library keep.
		conditioner.SHA256, conditioner.SHA384, conditioner.SHA512,
		conditioner.SHA3_256, conditioner.SHA3_384, conditioner.SHA3_512,
	} {
		if err := checkConditioner(c); err != nil {
			t.Errorf("%s: %v", c.Name(), err)
		}
	}
}

// NIST's example for SHA-512/256 of one block.
func TestKnownDigest(t *testing.T) {
	h := sha512_256{}.New()
	h.Write([]byte("abc"))
	if got, want := hex.EncodeToString(h.Sum(nil)), "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// broken is a conditioner with parts to be replaced.
type broken struct {
	name  func() string
	width func() int
	state func() hash.Hash
}

func (b *broken) Name() string   { return b.name() }
func (b *broken) Width() int     { return b.width() }
func (b *broken) New() hash.Hash { return b.state() }

// wrapped is a state with parts to be replaced.
type wrapped struct {
	hash.Hash
	write func(p []byte) (int, error)
	sum   func(b []byte) []byte
	reset func()
}

func (w *wrapped) Write(p []byte) (int, error) { return w.write(p) }
func (w *wrapped) Sum(b []byte) []byte         { return w.sum(b) }
func (w *wrapped) Reset()                      { w.reset() }

// The check finds what is wrong.
func TestBrokenConditioners(t *testing.T) {
	// state returns a conditioner with states in which f has replaced something.
	state := func(f func(w *wrapped)) func(b *broken) {
		return func(b *broken) {
			b.state = func() hash.Hash {
				h := sha256.New()
				w := &wrapped{h, h.Write, h.Sum, h.Reset}
				f(w)
				return w
			}
		}
	}
	var mu sync.Mutex
	calls := 0
	shared := sha256.New()
	for _, v := range []struct {
		what  string
		spoil func(b *broken)
		want  string
	}{
		{"nothing", func(*broken) {}, ""},
		{"wrapped", state(func(*wrapped) {}), ""},
		{"no name", func(b *broken) { b.name = func() string { return "" } }, "rule 1"},
		{"changing name", func(b *broken) {
			b.name = func() string { mu.Lock(); defer mu.Unlock(); calls++; return fmt.Sprint(calls) }
		}, "rule 1"},
		{"wide", func(b *broken) { b.width = func() int { return 512 } }, "rule 2"},
		{"narrow", func(b *broken) { b.width, b.state = func() int { return 224 }, sha256.New224 }, "rule 2"},
		{"not whole bytes", func(b *broken) { b.width = func() int { return 257 } }, "rule 2"},
		{"one state", func(b *broken) {
			b.state = func() hash.Hash {
				return &wrapped{
					Hash:  shared,
					write: func(p []byte) (int, error) { mu.Lock(); defer mu.Unlock(); return shared.Write(p) },
					sum:   func(b []byte) []byte { mu.Lock(); defer mu.Unlock(); return shared.Sum(b) },
					reset: shared.Reset,
				}
			}
		}, "rule 1"},
		{"random start", state(func(w *wrapped) { mu.Lock(); defer mu.Unlock(); calls++; w.Hash.Write([]byte(fmt.Sprint(calls))) }), "rule 1"},
		{"cut input", state(func(w *wrapped) {
			left := 200
			w.write = func(p []byte) (int, error) {
				n := min(left, len(p))
				left -= n
				w.Hash.Write(p[:n])
				return len(p), nil
			}
			w.reset = func() { left = 200; w.Hash.Reset() }
		}), "rule 4"},
		{"marks of division", state(func(w *wrapped) {
			w.write = func(p []byte) (int, error) { w.Hash.Write([]byte{0}); return w.Hash.Write(p) }
		}), "rule 4"},
		{"short write", state(func(w *wrapped) {
			w.write = func(p []byte) (int, error) { n, err := w.Hash.Write(p); return n / 2, err }
		}), "rule 5"},
		{"write error", state(func(w *wrapped) {
			w.write = func(p []byte) (int, error) { n, _ := w.Hash.Write(p); return n, errors.New("error") }
		}), "rule 5"},
		{"input modified", state(func(w *wrapped) {
			w.write = func(p []byte) (int, error) {
				n, err := w.Hash.Write(p)
				if n > 0 && n < 150 && p[0] != 'p' {
					p[0]++
				}
				return n, err
			}
		}), "rule 5"},
		{"input kept", state(func(w *wrapped) {
			var kept [][]byte
			w.write = func(p []byte) (int, error) { kept = append(kept, p); return len(p), nil }
			w.sum = func(b []byte) []byte {
				h := sha256.New()
				for _, p := range kept {
					h.Write(p)
				}
				return h.Sum(b)
			}
			w.reset = func() { kept = nil }
		}), "rule 3, 5 or 6"},
		{"sum that replaces", state(func(w *wrapped) { w.sum = func(b []byte) []byte { return w.Hash.Sum(b[:0]) } }), "rule 3, 5 or 6"},
		{"long sum", state(func(w *wrapped) { w.sum = func(b []byte) []byte { return append(w.Hash.Sum(b), 0) } }), "rule 6"},
		{"sum that changes", state(func(w *wrapped) {
			w.sum = func(b []byte) []byte { s := w.Hash.Sum(b); w.Hash.Write([]byte{0}); return s }
		}), "rule 6"},
		{"sum that resets", state(func(w *wrapped) {
			w.sum = func(b []byte) []byte { s := w.Hash.Sum(b); w.Hash.Reset(); return s }
		}), "rule 6"},
		{"no reset", state(func(w *wrapped) { w.reset = func() {} }), "rule 7"},
		{"allocation", state(func(w *wrapped) {
			w.sum = func(b []byte) []byte { return append(b, w.Hash.Sum(nil)...) }
		}), "rule 8"},
		{"no state", func(b *broken) { b.state = func() hash.Hash { return nil } }, "rule 3"},
	} {
		b := &broken{func() string { return "SHA-256" }, func() int { return 256 }, sha256.New}
		v.spoil(b)
		if raceDetector && v.want == "rule 8" {
			continue
		}
		err := checkConditioner(b)
		switch {
		case v.want == "" && err != nil:
			t.Errorf("%s: %v", v.what, err)
		case v.want != "" && (err == nil || !strings.Contains(err.Error(), v.want)):
			t.Errorf("%s: %v; want %s", v.what, err, v.want)
		}
	}
}
