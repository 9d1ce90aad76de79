package main

import (
	"crypto/sha512"
	"hash"

	"github.com/lrng-go/lrng/conditioner"
)

// sha512_256 is SHA-512/256 (FIPS 180-4) as a conditioner: an approved hash function,
// unkeyed. It keeps the rules of [conditioner.Conditioner], as any hash function of the
// standard library with 256 to 512 bits of output would.
type sha512_256 struct{}

var _ conditioner.Conditioner = sha512_256{}

func (sha512_256) Name() string   { return "SHA-512/256" }
func (sha512_256) New() hash.Hash { return sha512.New512_256() }

// Width is nw, the narrowest internal width, in bits: that of the output, although
// the chaining value is wider. The smaller number credits less.
func (sha512_256) Width() int { return sha512.Size256 * 8 }
