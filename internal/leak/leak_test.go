package leak

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"
)

func random(seed uint64, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(p)
	return p
}

func reversed(p []byte, size int) []byte {
	p = bytes.Clone(p)
	for i := 0; i+size <= len(p); i += size {
		slices.Reverse(p[i : i+size])
	}
	return p
}

// Every part of a secret in every form is found at every place, also where the
// buffers of the scanner meet, and nothing is found where it is not.
func TestScan(t *testing.T) {
	const size = 4096
	secret := random(1, 48)
	dump := random(2, 3*size)
	for _, tt := range []struct {
		name   string
		put    []byte
		least  int
		form   string
		part   int
		size   int
		hidden bool // is too little
	}{
		{"all", secret, 4, "", 0, 48, false},
		{"half", secret[16:40], 4, "", 16, 24, false},
		{"eight bytes", secret[8:16], 8, "", 8, 8, false},
		{"seven of eight", secret[8:15], 8, "", 8, 7, true},
		{"eight bytes off the words", secret[6:18], 8, "", 8, 10, false},
		{"big-endian words of 4", reversed(secret, 4), 4, "words of 4 reversed", 0, 48, false},
		{"big-endian words of 8", reversed(secret, 8), 16, "words of 8 reversed", 0, 48, false},
		{"half of those", reversed(secret, 8)[16:32], 16, "words of 8 reversed", 16, 16, false},
		{"one word of 4 alone", secret[20:24], 4, "", 20, 4, true},
		{"15 of 16", secret[:15], 16, "", 0, 15, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := Scanner{buffer: size}
			s.Add("other", random(3, 64), 8)
			s.Add("key", secret, tt.least)
			for _, at := range []int{0, 1, 63, 1000, size - 30, size, size + 48, 2*size + 31, len(dump) - len(tt.put)} {
				d := bytes.Clone(dump)
				copy(d[at:], tt.put)
				hits, err := s.Scan(bytes.NewReader(d))
				if err != nil {
					t.Fatal(err)
				}
				if tt.hidden {
					if len(hits) != 0 {
						t.Errorf("at %d: %+v", at, hits)
					}
					continue
				}
				skip := 0
				if tt.name == "eight bytes off the words" {
					skip = 2
				}
				want := Hit{"key", tt.form, tt.part, tt.size, int64(at + skip)}
				if len(hits) != 1 || hits[0] != want {
					t.Errorf("at %d: %+v, want %+v", at, hits, want)
				}
			}
		})
	}
}

// Registers that were spilled in another order: words of a key near each other count,
// the same words far apart do not, nor twice the same.
func TestScanWords(t *testing.T) {
	secret := random(4, 32)
	var s Scanner
	s.Add("key", secret, 4)
	scan := func(at ...int) int {
		t.Helper()
		d := random(5, 1<<16)
		for i, at := range at {
			if at >= 0 {
				copy(d[at:], secret[4*i:4*i+4])
			}
		}
		hits, err := s.Scan(bytes.NewReader(d))
		if err != nil {
			t.Fatal(err)
		}
		return len(hits)
	}
	if n := scan(100, 164, 120); n != 3 {
		t.Errorf("%d of 3 words near each other", n)
	}
	if n := scan(100, 165); n != 0 {
		t.Errorf("%d of 2 words far from each other", n)
	}
	if n := scan(-1, 200); n != 0 {
		t.Errorf("a word alone: %d", n)
	}
	d := random(5, 1<<16)
	copy(d[100:], secret[:4])
	copy(d[108:], secret[:4])
	if hits, _ := s.Scan(bytes.NewReader(d)); len(hits) != 0 {
		t.Errorf("twice the same word: %+v", hits)
	}
}

// Two words in the same place are no evidence, as where the last byte of one is the first of
// the other. Next to each other they are.
func TestScanOverlap(t *testing.T) {
	secret := random(4, 32)
	secret[12] = secret[11]
	var s Scanner
	s.Add("key", secret, 4)
	for _, tt := range []struct{ at, want int }{{103, 0}, {105, 2}, {96, 2}, {95, 2}} {
		d := random(5, 1<<16)
		copy(d[100:], secret[8:12])
		copy(d[tt.at:], secret[12:16])
		hits, err := s.Scan(bytes.NewReader(d))
		if err != nil || len(hits) != tt.want {
			t.Errorf("at %d: %+v, %v; want %d", tt.at, hits, err, tt.want)
		}
	}
}

func TestScanErrors(t *testing.T) {
	var s Scanner
	if _, err := s.Scan(bytes.NewReader(nil)); err == nil {
		t.Error("nothing to look for, and no error")
	}
	s.Add("key", random(1, 16), 8)
	if hits, err := s.Scan(bytes.NewReader(nil)); err != nil || hits != nil {
		t.Errorf("empty: %v, %v", hits, err)
	}
	if hits, err := s.Scan(iotest.OneByteReader(bytes.NewReader(append(random(2, 999), random(1, 16)...)))); err != nil || len(hits) != 1 {
		t.Errorf("byte by byte: %v, %v", hits, err)
	}
	fails := errors.New("disk")
	if _, err := s.Scan(io.MultiReader(bytes.NewReader(random(1, 16)), iotest.ErrReader(fails))); !errors.Is(err, fails) {
		t.Errorf("unreadable: %v", err)
	}
	s = Scanner{}
	s.Add("short", []byte{1, 2, 3}, 0)
	s.Add("none", nil, 4)
	if hits, err := s.Scan(bytes.NewReader([]byte{1, 2, 3, 4, 1, 2, 3})); err != nil || hits != nil {
		t.Errorf("less than a word: %v, %v", hits, err)
	}
}

func BenchmarkScan(b *testing.B) {
	var s Scanner
	for i := range 2000 {
		s.Add("state", random(uint64(i), 64), 8)
	}
	d := random(1<<15, 64<<20)
	b.SetBytes(int64(len(d)))
	for b.Loop() {
		if hits, err := s.Scan(bytes.NewReader(d)); err != nil || len(hits) != 0 {
			b.Fatal(hits, err)
		}
	}
}
