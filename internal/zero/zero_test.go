package zero_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"hash"
	"reflect"
	"testing"

	"github.com/lrng-go/lrng/internal/zero"
)

func TestWipesWholeSliceAndNothingElse(t *testing.T) {
	for n := range 70 {
		back := make([]byte, n+2)
		for i := range back {
			back[i] = 0xa5
		}
		zero.Bytes(back[1 : n+1])
		if back[0] != 0xa5 || back[n+1] != 0xa5 {
			t.Fatalf("length %d: a byte beside the slice was changed", n)
		}
		for i, v := range back[1 : n+1] {
			if v != 0 {
				t.Fatalf("length %d: byte %d is %#x", n, i, v)
			}
		}
	}
}

func TestWords(t *testing.T) {
	w32, w64 := []uint32{1, 2, 3}, []uint64{1, 2, 3}
	zero.Uint32s(w32)
	zero.Uint64s(w64)
	for i := range 3 {
		if w32[i] != 0 || w64[i] != 0 {
			t.Fatalf("element %d is not zero", i)
		}
	}
}

func TestNil(t *testing.T) {
	zero.Bytes(nil)
	zero.Uint32s(nil)
	zero.Uint64s(nil)
}

func TestHash(t *testing.T) {
	for name, make1 := range map[string]func() hash.Hash{
		"SHA-256":  sha256.New,
		"SHA-384":  sha512.New384,
		"SHA-512":  sha512.New,
		"SHA3-256": func() hash.Hash { return sha3.New256() },
		"SHA3-512": func() hash.Hash { return sha3.New512() },
	} {
		for _, n := range []int{0, 1, 55, 64, 127, 128, 200, 300} {
			h := make1()
			h.Write(bytes.Repeat([]byte{0xa5}, n))
			zero.Hash(h)
			if !reflect.DeepEqual(h, make1()) {
				t.Errorf("%s after %d bytes: differs from a new state", name, n)
			}
		}
	}
}
