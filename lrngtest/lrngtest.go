// Package lrngtest makes unit tests of code that uses random bytes repeatable: readers
// with known output, a generator with known output, readers that fail. Its output is
// known to everybody, so nothing of it is for anything but tests.
//
//	func TestTicket(t *testing.T) {
//		ticket, err := newTicket(lrngtest.Reader(t, "ticket")) // func newTicket(r io.Reader) …
//		…
//	}
//
// What to use depends on how the code under test gets its random bytes:
//
//	from an io.Reader                Reader, Bytes, ErrReader
//	from a Source of math/rand/v2    Reader
//	from an *lrng.RNG                New, or Config and lrng.New
//	from lrng.Read, lrng.Text, …     SetReader
//
// Functions of the standard library that ignore the reader they are given (see the example
// program migrate) are not reached by any of these, but by SetGlobalRandom of package
// testing/cryptotest, which does not reach lrng. For entropy sources that fail, hang and
// recover, and so for generators that are not seeded, there is package es/estest.
//
// # Not in production
//
// Everything here takes the test, benchmark or fuzz test that it is for, a [testing.TB],
// and panics without one, and in a program that is not made by go test, which
// [testing.Testing] tells. (A TB can be had without a test by embedding the interface in a
// type; that does not help in such a program.) Whoever imports this package links package
// testing, too: this says whether a program does.
//
//	go list -deps ./cmd/server | grep -e lrngtest -e '^testing$'
//
// # The stream
//
// The stream of a seed is SHAKE256 of the bytes of the seed (FIPS 202), from the beginning
// and however it is cut into reads. It is the same on all machines and in all versions of
// this package, and can be had elsewhere:
//
//	printf %s ticket | openssl dgst -shake256 -xoflen 32
//
// What other packages make of the stream, such as the numbers of math/rand/v2 or the keys of
// crypto/ecdsa, may change with their versions.
package lrngtest

import (
	"crypto/sha3"
	"encoding/binary"
	"io"
	"sync"
	"testing"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/seeding"
)

// check panics outside of a test.
func check(t testing.TB) {
	if !testing.Testing() {
		panic("lrngtest: not in a test: the output of this package is known to everybody")
	}
	if t == nil {
		panic("lrngtest: t is nil")
	}
	t.Helper()
}

// A Stream is an [io.Reader] and a Source of math/rand/v2 whose output is known: see the
// documentation of the package. [Reader] makes one. Its methods are safe for concurrent
// use; which goroutine gets which part of the stream is as it comes.
type Stream struct {
	mu    sync.Mutex // guards shake
	shake *sha3.SHAKE
}

// Reader returns the stream of a seed from its beginning. Tests that shall not depend on
// each other use different seeds, such as t.Name().
func Reader(t testing.TB, seed string) *Stream {
	check(t)
	return newStream(seed)
}

func newStream(seed string) *Stream {
	s := &Stream{shake: sha3.NewSHAKE256()}
	s.shake.Write([]byte(seed))
	return s
}

// Read fills p with the next bytes of the stream. It always returns len(p) and nil.
func (s *Stream) Read(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shake.Read(p)
}

// Uint64 returns the next 8 bytes of the stream as a number, the least significant byte
// first.
func (s *Stream) Uint64() uint64 {
	var p [8]byte
	s.Read(p[:])
	return binary.LittleEndian.Uint64(p[:])
}

// fixed is the reader that Bytes returns.
type fixed struct {
	mu  sync.Mutex // guards p
	p   []byte
	err error
}

// Bytes returns a reader that hands out p, for published test vectors, and then fails with
// err. It fails in the way of [lrng.RNG.Read]: a Read of more bytes than are left returns
// 0 and err, clears its buffer, and uses up nothing. (Package testing/iotest has readers
// that return less than was asked for.) A nil err fails the test.
//
// It is safe for concurrent use.
func Bytes(t testing.TB, p []byte, err error) io.Reader {
	check(t)
	if err == nil {
		t.Fatal("lrngtest: Bytes: err is nil: what is a Read beyond the bytes to return?")
	}
	return &fixed{p: append([]byte(nil), p...), err: err}
}

// ErrReader returns a reader that fails with err, such as [lrng.ErrNotSeeded] or
// [lrng.ErrClosed], always. It is Bytes without bytes.
func ErrReader(t testing.TB, err error) io.Reader {
	check(t)
	return Bytes(t, nil, err)
}

func (f *fixed) Read(b []byte) (n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(b) == 0 {
		return 0, nil
	}
	if len(b) > len(f.p) {
		clear(b)
		return 0, f.err
	}
	n = copy(b, f.p)
	f.p = f.p[n:]
	return n, nil
}

// SetReader makes r the [lrng.Reader] until the test is over, for code that calls
// [lrng.Read] and [lrng.Text]. These end the process if r fails: r should be a [Reader]. It
// concerns the whole process, and panics in a parallel test, as t.Setenv does.
func SetReader(t testing.TB, r io.Reader) {
	check(t)
	if r == nil {
		t.Fatal("lrngtest: SetReader: r is nil")
	}
	// It is Setenv that refuses parallel tests, and refuses t.Parallel afterwards.
	t.Setenv("LRNGTEST_READER", t.Name())
	old := lrng.Reader
	lrng.Reader = r
	t.Cleanup(func() { lrng.Reader = old })
}

// New returns a generator with Config(t, seed) that is fully seeded, whatever machine it
// runs on, and that is closed when the test is over.
//
// Read, ReadContext, Uint64, Nonblocking and PredictionResistant hand out the stream of the
// seed, in the order of the calls. All else is that of any generator: it counts, is
// reseeded, and can be closed. What SeedReader and GetSeed return is not random either, but
// follows no rule that a test could rely on.
func New(t testing.TB, seed string) *lrng.RNG {
	check(t)
	r, err := lrng.New(Config(t, seed))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := r.Wait(t.Context(), seeding.FullySeeded); err != nil {
		t.Fatal(err)
	}
	return r
}
