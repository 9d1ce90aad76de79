package lrng

import (
	"crypto/subtle"
	"encoding/binary"

	"github.com/lrng-go/lrng/internal/aesctr"
	"github.com/lrng-go/lrng/internal/selftest"
	"github.com/lrng-go/lrng/internal/zero"
)

// A combiner combines output that the mechanism has generated ahead with the fresh inputs
// of one request: a block of the operating system, a word of the CPU, and the cycle counter.
//
//	output = ahead ⊕ KDF(key, system ‖ word ‖ cycles)
//
// KDF is that of SP 800-108r1, Section 4.1 (counter mode), with AES-256-CMAC as the
// pseudorandom function. The fixed input is the 31 bytes of the three, of which the counter has
// the low 56 bits; the block number, one byte, follows it.
//
// Twins have the same key and the same bytes ahead. If the inputs of their requests differ
// in one bit, the outputs have nothing to do with each other. The key comes from the
// mechanism with each refill, and nothing that was output can be computed from it: what was
// ahead has been erased.
//
// A request to ChaCha20 with the same inputs takes two to three block functions one after the
// other, each longer than all of this, which takes two of AES. It is used only where AES is an
// instruction of the CPU.
type combiner struct {
	key    aesctr.Key
	subkey [aesctr.BlockSize]byte // K1 of SP 800-38B, Section 6.1
	first  [aesctr.BlockSize]byte
	second [aesctr.BlockSize]byte
	mask   [combineMost]byte
}

const (
	// combineMost is the longest request that is combined, in bytes. Longer ones are
	// better off with a request to the mechanism: its cost is shared by more bytes.
	combineMost = 2 * aesctr.DeriveGroup

	combinerKeySize = 32 // bytes
)

// canCombine reports whether the machine has what it takes to be worth it.
func canCombine() bool { return aesctr.Hardware() }

// rekey sets the key.
func (c *combiner) rekey(key []byte) {
	c.key.Expand(key[:combinerKeySize])

	// SP 800-38B, Section 6.1: L = E(0), and K1 is L doubled in GF(2¹²⁸).
	c.subkey = [aesctr.BlockSize]byte{}
	c.key.Encrypt(&c.subkey, &c.subkey)
	hi, lo := binary.BigEndian.Uint64(c.subkey[:8]), binary.BigEndian.Uint64(c.subkey[8:])
	reduce := 0x87 & -(hi >> 63)
	binary.BigEndian.PutUint64(c.subkey[:8], hi<<1|lo>>63)
	binary.BigEndian.PutUint64(c.subkey[8:], lo<<1^reduce)
}

// combine combines b, at most combineMost bytes, with the inputs of a request. It reports
// whether the operating system contributed.
func (c *combiner) combine(b []byte, on *machine) (system bool) {
	word := on.word()
	system = on.system(c.first[:])
	binary.LittleEndian.PutUint64(c.second[:8], word)
	binary.LittleEndian.PutUint64(c.second[8:], on.cycles()<<8>>8)
	c.apply(b)
	return system
}

// apply is combine with the inputs in first and second, which it wipes.
func (c *combiner) apply(b []byte) {
	le := binary.LittleEndian
	le.PutUint64(c.second[:8], le.Uint64(c.second[:8])^le.Uint64(c.subkey[:8]))
	le.PutUint64(c.second[8:], le.Uint64(c.second[8:])^le.Uint64(c.subkey[8:]))
	mask := c.mask[:(len(b)+aesctr.DeriveGroup-1)/aesctr.DeriveGroup*aesctr.DeriveGroup]
	c.key.Derive(mask, &c.first, &c.second)
	subtle.XORBytes(b, b, mask)
	clear(mask)
	c.first, c.second = [aesctr.BlockSize]byte{}, [aesctr.BlockSize]byte{}
}

// combinerTest is the self-test of combiner. Input: the key, the fixed input, and 40 bytes
// to combine. The answer was computed with OpenSSL's AES-256-CMAC.
var combinerTest = selftest.New("combination of requests", combinerInput, combinerAnswer, func(input []byte) ([]byte, error) {
	var c combiner
	c.rekey(input)
	input = input[combinerKeySize:]
	copy(c.first[:], input)
	copy(c.second[:15], input[16:])
	out := append([]byte(nil), input[31:]...)
	c.apply(out)
	c.key.Clear()
	zero.Bytes(c.subkey[:])
	return out, nil
})

const (
	combinerInput = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f" +
		"202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e" +
		"3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f60616263646566"
	combinerAnswer = "880714edfc3a31efd0f4ac20eed14d506cee54d52384f4573c47d025d1de25470794381af9ee6cc5"
)
