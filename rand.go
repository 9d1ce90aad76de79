package lrng

import (
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/lrng-go/lrng/internal/zero"
)

// Int returns a uniform random value in [0, max). It panics if max <= 0, and
// returns an error if rand does. It reads ⌈n/8⌉ bytes at a time, where n is the
// length of max-1 in bits, until they are below max: at most half of the tries
// fail.
func Int(rand io.Reader, max *big.Int) (n *big.Int, err error) {
	if max.Sign() <= 0 {
		panic("lrng: argument to Int is not positive")
	}
	n = new(big.Int).Sub(max, big.NewInt(1))
	bits := n.BitLen()
	if bits == 0 {
		return n, nil // only 0 is possible
	}
	p := make([]byte, (bits+7)/8)
	defer zero.Bytes(p)
	for {
		if _, err := io.ReadFull(rand, p); err != nil {
			return nil, err
		}
		p[0] &= 0xff >> (8*len(p) - bits)
		if n.SetBytes(p); n.Cmp(max) < 0 {
			return n, nil
		}
	}
}

// Prime returns a number of the given length in bits that is prime, up to a
// chance of error below 2⁻⁴⁰ (20 rounds of Miller-Rabin with random bases and a
// Baillie-PSW test). Its two highest bits are set, so that the product of two
// such numbers has their lengths together. It returns an error if bits < 2, or if
// r does.
//
// All randomness comes from r. That is the one difference to crypto/rand.Prime,
// which ignores its reader since Go 1.26.
func Prime(r io.Reader, bits int) (*big.Int, error) {
	if bits < 2 {
		return nil, fmt.Errorf("lrng: Prime: bits: %d; the least is 2", bits)
	}
	if r == nil {
		return nil, errors.New("lrng: Prime: r is nil")
	}
	p := make([]byte, (bits+7)/8)
	defer zero.Bytes(p)
	n := new(big.Int)
	for {
		if _, err := io.ReadFull(r, p); err != nil {
			return nil, err
		}
		p[0] &= 0xff >> (8*len(p) - bits)
		p[len(p)-1] |= 1
		n.SetBytes(p)
		n.SetBit(n, bits-1, 1)
		n.SetBit(n, bits-2, 1)
		if n.ProbablyPrime(20) {
			return n, nil
		}
	}
}

// base32 is the alphabet of RFC 4648, Section 6.
const base32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

// Text returns a random string of 26 characters of the base32 alphabet of RFC
// 4648: 130 bits, for tokens, passwords and the like. As [Read] it takes them from
// [Reader] and never fails.
func Text() string {
	var p [26]byte
	Read(p[:])
	for i := range p {
		p[i] = base32[p[i]%32] // 256 is a multiple of 32: no bias
	}
	return string(p[:])
}
