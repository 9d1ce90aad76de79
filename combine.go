package lrng

import (
	"encoding/binary"
	"math/bits"

	"github.com/lrng-go/lrng/internal/aesctr"
	"github.com/lrng-go/lrng/internal/selftest"
	"github.com/lrng-go/lrng/internal/zero"
)

// A combiner combines output that the mechanism has generated ahead with the fresh inputs
// of one request: a block of the operating system, a word of the CPU, and the cycle counter.
//
//	output = ahead ⊕ KDF(key, system ‖ word ‖ cycles)
//
// KDF is that of SP 800-108r1, Section 4.1 (counter mode), with AES-128-CMAC as the
// pseudorandom function. The fixed input is the 31 bytes of the three, of which the counter has
// the low 56 bits; the block number, one byte, follows it.
//
// Twins have the same key and the same bytes ahead. If the inputs of their requests differ
// in one bit, the outputs have nothing to do with each other. The key comes from the
// mechanism, with the first refill after that has had fresh inputs, and nothing that was output can be computed from
// it: what was ahead has been erased.
//
// What is ahead has the strength of the mechanism, and the output is never weaker. The mask
// matters to who knows what is ahead: then the 128 bits of the operating system are the
// secret, and a longer key would add nothing.
//
// A request to ChaCha20 with the same inputs takes two to three block functions one after the
// other, each longer than all of this, which takes two of AES. It is used only where AES is an
// instruction of the CPU.
type combiner struct {
	key    aesctr.Key
	subkey [2]uint64              // K1 of SP 800-38B, Section 6.1, little-endian
	second [2]uint64              // the word and the counter, with K1
	chain  [aesctr.BlockSize]byte // the bytes of the operating system, then encrypted
	last   [aesctr.BlockSize]byte // output whose last block is not a whole one
}

const combinerKeySize = 16 // bytes

// canCombine reports whether the machine has what it takes to be worth it.
func canCombine() bool { return aesctr.Hardware() }

// rekey sets the key.
func (c *combiner) rekey(key []byte) {
	c.key.Expand(key[:combinerKeySize])

	// SP 800-38B, Section 6.1: L = E(0), and K1 is L doubled in GF(2¹²⁸).
	c.chain = [aesctr.BlockSize]byte{}
	c.key.Encrypt(&c.chain, &c.chain)
	hi, lo := binary.BigEndian.Uint64(c.chain[:8]), binary.BigEndian.Uint64(c.chain[8:])
	reduce := 0x87 & -(hi >> 63)
	c.subkey = [2]uint64{bits.ReverseBytes64(hi<<1 | lo>>63), bits.ReverseBytes64(lo<<1 ^ reduce)}
	c.chain = [aesctr.BlockSize]byte{}
}

// combine combines b, at most 255 blocks, with the inputs of a request. It reports
// whether the operating system contributed.
func (c *combiner) combine(b []byte, on *machine) (system bool) {
	system = on.system(c.chain[:])
	c.key.Encrypt(&c.chain, &c.chain) // goes on while the next two are read
	word := on.word()
	c.finish(b, word, on.cycles())
	return system
}

// finish is the second half of combine. It wipes what is in chain.
func (c *combiner) finish(b []byte, word, cycles uint64) {
	c.second[0], c.second[1] = word^c.subkey[0], cycles<<8>>8^c.subkey[1]
	blocks := len(b) / aesctr.BlockSize
	c.key.Derive(b[:blocks*aesctr.BlockSize], &c.chain, &c.second, 1)
	if rest := b[blocks*aesctr.BlockSize:]; len(rest) > 0 {
		copy(c.last[:], rest)
		c.key.Derive(c.last[:], &c.chain, &c.second, byte(blocks+1))
		copy(rest, c.last[:])
		c.last = [aesctr.BlockSize]byte{}
	}
	c.chain, c.second = [aesctr.BlockSize]byte{}, [2]uint64{}
}

// combinerTest is the self-test of combiner. Input: the key, the fixed input, and 40 bytes
// to combine. The answer was computed with OpenSSL's AES-128-CMAC.
var combinerTest = selftest.New("combination of requests", combinerInput, combinerAnswer, func(input []byte) ([]byte, error) {
	var c combiner
	c.rekey(input)
	input = input[combinerKeySize:]
	copy(c.chain[:], input)
	c.key.Encrypt(&c.chain, &c.chain)
	word, cycles := binary.LittleEndian.Uint64(input[16:]), binary.LittleEndian.Uint64(input[23:])>>8
	out := append([]byte(nil), input[31:]...)
	c.finish(out, word, cycles)
	c.key.Clear()
	zero.Uint64s(c.subkey[:])
	return out, nil
})

const (
	combinerInput = "000102030405060708090a0b0c0d0e0f" +
		"202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e" +
		"3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f60616263646566"
	combinerAnswer = "3ad04651415176f2eb4af79b1149cc6142ab2e2349391519f73bb4bf9dddd895a61fee81e7be42a1"
)
