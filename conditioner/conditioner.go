// Package conditioner holds the vetted conditioning components of lrng, and the
// formula for the entropy of their output (NIST SP 800-90B, Section 3.1.5).
//
// A conditioning component compresses what a noise source delivers into a
// short string of nearly full entropy. The components here are the unkeyed hash
// functions SHA-2 (FIPS 180-4) and SHA-3 (FIPS 202) of the Go standard library.
// Programs that want random bytes use package lrng; this package is for those
// who choose the hash function of a generator, or write an entropy source.
//
// Entropy, lengths and widths are in bits here.
package conditioner

import (
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"

	"github.com/lrng-go/lrng/internal/selftest"
)

// A Conditioner is a vetted conditioning component: an approved hash function,
// unkeyed (SP 800-90B, Section 3.1.5.1.1).
//
// The rules for implementations; a test of the example program customdrng checks
// them:
//
//  1. The methods may be called concurrently. Name and Width always return the same
//     value, and Name is not empty.
//  2. Width is a multiple of 8, and 8 times the Size of the states. Package lrng uses
//     widths of 256 to 512 bits.
//  3. New returns a new state each time. What is done to one has no effect on others.
//  4. A digest depends on the bytes written since New or Reset and on nothing else:
//     not on the state, nor on how the bytes were divided.
//  5. Write takes all of its argument, without error, and neither modifies nor keeps it.
//  6. Sum appends Size bytes to its argument and leaves the state as it was: more can
//     be written afterwards.
//  7. Reset makes a state as good as new. If it does not wipe, then writing BlockSize
//     zeros in two parts does: see the security of the conditioners here.
//  8. Write, Reset, and Sum into a slice with room do not allocate.
type Conditioner interface {
	// Name is the name of the function, as "SHA-512".
	Name() string

	// New returns a new state of the function. Its Sum appends Width()/8 bytes.
	New() hash.Hash

	// Width is nw, the narrowest internal width, in bits. For the hashes here it
	// equals nout, the length of the output.
	Width() int
}

// The vetted conditioning components. They do not change and are safe for
// concurrent use; the states that New returns are not. They can be compared
// with ==, and print as their names.
//
// A state is made to be used again: Write, Reset, and Sum into a slice with
// room for the result do not allocate.
//
// Each has a method SelfTest() error, too, for the sake of those who use it: it runs
// the known-answer test of the function if it has not passed before in this process.
// Once a self-test of any algorithm of this module has failed in the process, it
// returns an error that wraps lrng.ErrSelfTest. New does not fail.
//
// # Security
//
// Reset does not wipe: the state of a SHA-2 function keeps up to a block of the
// last input. Where that input is secret, write a block of zeros in two parts,
// one byte and the rest, between two calls of Reset. What Sum leaves on the
// stack, where it finishes a copy of the state, cannot be wiped from here.
var (
	SHA256   Conditioner = &function{"SHA-256", 256, sha256.New, testSHA256}
	SHA384   Conditioner = &function{"SHA-384", 384, sha512.New384, testSHA384}
	SHA512   Conditioner = &function{"SHA-512", 512, sha512.New, testSHA512}
	SHA3_256 Conditioner = &function{"SHA3-256", 256, newSHA3_256, testSHA3_256}
	SHA3_384 Conditioner = &function{"SHA3-384", 384, newSHA3_384, testSHA3_384}
	SHA3_512 Conditioner = &function{"SHA3-512", 512, newSHA3_512, testSHA3_512}
)

// A function is an approved hash function of the standard library.
type function struct {
	name string

	// width is nout. SP 800-90B, Table 1, has the size of the output as nw of
	// every hash function, although the chaining value of SHA-384 (512 bits) and
	// the state of SHA-3 (1600 bits) are wider. The smaller number credits less.
	width int

	digest func() hash.Hash
	test   *selftest.Test
}

func (f *function) Name() string   { return f.name }
func (f *function) New() hash.Hash { return f.digest() }
func (f *function) Width() int     { return f.width }
func (f *function) String() string { return f.name }

// SelfTest runs the known-answer test unless it has passed before.
func (f *function) SelfTest() error {
	if err := f.test.Once(); err != nil {
		return fmt.Errorf("conditioner: %s: %w", f.name, err)
	}
	return nil
}
