package main

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"unsafe"

	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/drng/drngtest"
)

func TestRules(t *testing.T) {
	drngtest.Run(t, newEraserDRNG)
}

// The limits of newEraser are too far to be reached. Nearer ones are kept as well.
func TestRulesNearLimits(t *testing.T) {
	drngtest.Run(t, func() drng.DRNG {
		e := newEraser()
		e.info.MaxRequest, e.info.ReseedInterval = 257, 7
		return e
	})
}

// A model is the definition of eraser as it stands in its comment.
type model struct{ key []byte }

func (m *model) hash(tag byte, n uint64, x ...[]byte) []byte {
	input := append([]byte{tag}, m.key...)
	input = binary.BigEndian.AppendUint64(input, n)
	input = append(input, bytes.Join(x, nil)...)
	sum := sha512.Sum512(input)
	return sum[:]
}

func (m *model) seed(seed, additional []byte) {
	if m.key == nil {
		m.key = make([]byte, sha512.Size)
	}
	m.key = m.hash(0, uint64(len(seed)), seed, additional)
}

func (m *model) generate(n int, additional []byte) []byte {
	if len(additional) > 0 {
		m.key = m.hash(1, 0, additional)
	}
	var out []byte
	for i := uint64(1); len(out) < n; i++ {
		out = append(out, m.hash(2, i)...)
	}
	m.key = m.hash(2, 0)
	return out[:n]
}

func TestModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	random := func(most int) []byte {
		b := make([]byte, rnd.IntN(most+1))
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return b
	}
	e, m := newEraser(), new(model)
	for i := range 2000 {
		switch {
		case i%100 == 0:
			e.Clear()
			m.key = nil
			fallthrough
		case i%10 == 0:
			seed, additional := random(200), random(200)
			m.seed(seed, additional)
			if err := e.Seed(seed, additional); err != nil {
				t.Fatal(err)
			}
		default:
			out, additional := make([]byte, rnd.IntN(300)), random(150)
			want := m.generate(len(out), additional)
			if err := e.Generate(out, additional); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(out, want) {
				t.Fatalf("step %d: got %x, want %x", i, out, want)
			}
		}
	}
}

// A value computed with Python's hashlib.
func TestKnownAnswer(t *testing.T) {
	e := newEraser()
	if err := e.Seed([]byte("seed"), []byte("additional")); err != nil {
		t.Fatal(err)
	}
	out := make([]byte, 16)
	if err := e.Generate(out, []byte("more")); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%x", out), "fb881a036e984f609b3447ceaa8cc451"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// memory returns what the generator holds, with the buffers of the hash.
func memory(e *eraser) []byte {
	return append(bytes.Clone(bytesOf(e)), bytesOf(e.hash)...)
}

// bytesOf returns the memory that p points to.
func bytesOf(p any) []byte {
	v := reflect.ValueOf(p)
	return unsafe.Slice((*byte)(v.UnsafePointer()), v.Elem().Type().Size())
}

func TestBacktracking(t *testing.T) {
	e, m := newEraser(), new(model)
	seed := []byte("0123456789abcdef")
	if err := e.Seed(seed, nil); err != nil {
		t.Fatal(err)
	}
	m.seed(seed, nil)
	for i := range 20 {
		before := bytes.Clone(m.key)
		out := m.generate(200, seed)
		if err := e.Generate(make([]byte, 200), seed); err != nil {
			t.Fatal(err)
		}
		held := memory(e)
		if !bytes.Contains(held, m.key) {
			t.Fatal("the key is not where the test looks")
		}
		for _, secret := range [][]byte{before, out[:64], out[64:128], out[128:192], seed} {
			// Parts, too: a hash keeps its input in blocks, and numbers of 64 bits.
			for ; len(secret) >= 8; secret = secret[8:] {
				if bytes.Contains(held, secret[:8]) {
					t.Fatalf("request %d: %x is still there", i, secret[:8])
				}
			}
		}
	}
}

func TestClear(t *testing.T) {
	e, fresh := newEraser(), newEraser()
	if err := errors.Join(e.Seed([]byte("seed"), nil), e.Generate(make([]byte, 100), []byte("more"))); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(e.key[:], fresh.key[:]) {
		t.Fatal("no key")
	}
	e.Clear()
	if !bytes.Equal(bytesOf(e.hash), bytesOf(fresh.hash)) {
		t.Errorf("hash: %x", bytesOf(e.hash))
	}
	e.hash, fresh.hash = nil, nil
	if !bytes.Equal(bytesOf(e), bytesOf(fresh)) {
		t.Errorf("generator: %x", bytesOf(e))
	}
}

func TestPrinting(t *testing.T) {
	e := newEraser()
	if err := e.Seed([]byte("seed"), nil); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, v := range []any{e, *e} {
			if got := fmt.Sprintf(format, v); got != "main.eraser" {
				t.Errorf("%s: %s", format, got)
			}
		}
	}
}
