package main

import (
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"hash"

	"github.com/lrng-go/lrng/drng"
)

// An eraser is a deterministic generator with fast key erasure (D. J. Bernstein,
// 2017), on SHA-512 instead of a cipher: a request expands the key, and the first
// piece of the expansion becomes the next key before the request returns. Who learns
// the state cannot compute what was output before. With
//
//	H(tag, n, x) = SHA-512(tag ‖ key ‖ n ‖ x)
//
// it does this:
//
//	Seed:      key = H(0, len(seed), seed ‖ additional)
//	Generate:  key = H(1, 0, additional), if there is any
//	           next = H(2, 0), out = H(2, 1) ‖ H(2, 2) ‖ …
//	           key = next
//
// The first Seed starts with a key of zeros. All rests on SHA-512 with a secret key of
// 512 bits in front being a pseudorandom function. That SHA-512 can be continued, so
// that one digest gives those of some longer inputs, does not matter: all that is
// output comes from inputs of one length, and the tag keeps the others apart.
//
// It is not a mechanism of SP 800-90A. Why a hash function: AES of the standard library
// allocates memory for each key, which rule 7 of [drng.DRNG] forbids, and which
// nobody could wipe.
//
// An eraser is used by one goroutine at a time.
type eraser struct {
	info   drng.Info
	seeded bool
	used   uint64 // requests since the last seed
	key    [sha512.Size]byte

	// Working memory; zero between calls. What is given to methods of an interface lies
	// here, since Go would put it on the heap otherwise, and leave it there.
	head  [1 + sha512.Size + 8]byte
	next  [sha512.Size]byte
	block [sha512.BlockSize]byte
	hash  hash.Hash
}

var _ drng.DRNG = (*eraser)(nil)

// What a hash is for.
const (
	tagSeed = iota
	tagAdditional
	tagOutput
)

// newEraser returns a generator that waits for its first Seed.
func newEraser() *eraser {
	return &eraser{
		info: drng.Info{
			Name: "SHA-512 fast key erasure",
			// Half of the length of the key: a chain of keys of 512 bits is expected to
			// come to a key for the second time after some 2²⁵⁶ steps.
			SecurityStrength: 256,
			MaxRequest:       1 << 16,
			ReseedInterval:   1 << 48,
		},
		hash: sha512.New(),
	}
}

// Info describes the mechanism.
func (e *eraser) Info() drng.Info { return e.info }

// Seed takes seeds of any length. The old key goes into the new one: a bad seed does
// no harm.
func (e *eraser) Seed(seed, additional []byte) error {
	e.sum(e.next[:0], tagSeed, uint64(len(seed)), seed, additional)
	e.key = e.next
	e.seeded, e.used = true, 0
	e.wipe()
	return nil
}

// Generate fills out.
func (e *eraser) Generate(out, additional []byte) error {
	if err := e.check(len(out)); err != nil {
		clear(out) // rule 4
		return err
	}
	if len(additional) > 0 { // before out is written: rule 6
		e.sum(e.next[:0], tagAdditional, 0, additional, nil)
		e.key = e.next
	}
	e.sum(e.next[:0], tagOutput, 0, nil, nil)
	for n := uint64(1); len(out) > 0; n++ {
		e.sum(e.block[:0], tagOutput, n, nil, nil)
		out = out[copy(out, e.block[:sha512.Size]):]
	}
	e.key = e.next // rule 5
	e.used++
	e.wipe()
	return nil
}

// check returns why a request for n bytes is refused.
func (e *eraser) check(n int) error {
	switch {
	case !e.seeded:
		return fmt.Errorf("%w: %s", drng.ErrNotSeeded, e.info.Name)
	case n > e.info.MaxRequest:
		return fmt.Errorf("%w: %s: %d bytes, at most %d", drng.ErrRequestTooLarge, e.info.Name, n, e.info.MaxRequest)
	case e.used >= e.info.ReseedInterval:
		return fmt.Errorf("%w: %s: %d requests since the last seed", drng.ErrReseedRequired, e.info.Name, e.used)
	}
	return nil
}

// sum appends H(tag, n, a ‖ b) to dst, which is memory of e with room for it.
func (e *eraser) sum(dst []byte, tag byte, n uint64, a, b []byte) {
	e.head[0] = tag
	copy(e.head[1:], e.key[:])
	binary.BigEndian.PutUint64(e.head[1+sha512.Size:], n)
	e.hash.Reset()
	e.hash.Write(e.head[:])
	e.hash.Write(a)
	e.hash.Write(b)
	e.hash.Sum(dst)
}

// wipe clears the working memory. Reset lets the hash keep the last part of its input;
// a block of zeros in two parts overwrites it.
func (e *eraser) wipe() {
	clear(e.head[:])
	clear(e.next[:])
	clear(e.block[:])
	e.hash.Reset()
	e.hash.Write(e.block[:1])
	e.hash.Write(e.block[1:])
	e.hash.Reset()
}

// Clear wipes the state.
func (e *eraser) Clear() {
	clear(e.key[:])
	e.seeded, e.used = false, 0
	e.wipe()
}

// String returns the name of the type: a generator that is printed by accident does
// not show its key. So does GoString.
func (eraser) String() string { return "main.eraser" }

// GoString returns the same as String.
func (eraser) GoString() string { return "main.eraser" }
