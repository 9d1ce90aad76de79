package lrng

import (
	"crypto/subtle"
	"encoding/binary"

	"github.com/lrng-go/lrng/internal/aesctr"
	"github.com/lrng-go/lrng/internal/selftest"
	"github.com/lrng-go/lrng/internal/zero"
)

// A combiner combines output that the mechanism has generated ahead with the fresh inputs
// of one request. It is the synthetic initialization vector of RFC 5297: with a 16-byte
// block of the operating system, a word of the CPU and the cycle counter as associated
// data, and what was generated ahead as the plaintext,
//
//	T = AES-CMAC(mac, system ‖ word ‖ cycles)
//	output = ahead ⊕ AES-CTR(ctr, T)
//
// As RFC 5297 is built for nonces that repeat, so is this for twins: they have the same keys
// and the same plaintext. If their inputs differ in one bit, their outputs have nothing to do with each
// other. The keys come from the mechanism with each refill, and nothing that was output
// can be computed from them: what was ahead has been erased. The associated data have
// one length, 32 bytes, so S2V is a single CMAC and its doubling is left out.
//
// A request to ChaCha20 with the same inputs takes two to three block functions one after the
// other, each longer than all of this. It is used only where AES is an instruction of the CPU.
type combiner struct {
	mac, ctr aesctr.Key
	subkey   [aesctr.BlockSize]byte // K1 of SP 800-38B, Section 6.1
	data     [2][aesctr.BlockSize]byte
	tag      [aesctr.BlockSize]byte
	mask     [combineMost]byte
}

const (
	// combineMost is the longest request that is combined, in bytes. Longer ones are
	// better off with a request to the mechanism: its cost is shared by more bytes.
	combineMost = 128

	combinerKeySize = 64 // bytes: two keys of AES-256
)

// canCombine reports whether the machine has what it takes to be worth it.
func canCombine() bool { return aesctr.Hardware() }

// rekey sets both keys, from 64 bytes.
func (c *combiner) rekey(key []byte) {
	c.mac.Expand(key[:combinerKeySize/2])
	c.ctr.Expand(key[combinerKeySize/2 : combinerKeySize])

	// SP 800-38B, Section 6.1: L = E(0), and K1 is L doubled in GF(2¹²⁸).
	c.subkey = [aesctr.BlockSize]byte{}
	c.mac.Encrypt(&c.subkey, &c.subkey)
	hi, lo := binary.BigEndian.Uint64(c.subkey[:8]), binary.BigEndian.Uint64(c.subkey[8:])
	reduce := 0x87 & -(hi >> 63)
	binary.BigEndian.PutUint64(c.subkey[:8], hi<<1|lo>>63)
	binary.BigEndian.PutUint64(c.subkey[8:], lo<<1^reduce)
}

// combine combines b, at most combineMost bytes, with the inputs of a request. It reports
// whether the operating system contributed.
func (c *combiner) combine(b []byte, on *machine) (system bool) {
	// First, as it takes longest, and the CPU need not wait for it until it is used.
	word := on.word()
	system = on.system(c.data[0][:])
	binary.LittleEndian.PutUint64(c.data[1][:8], word)
	binary.LittleEndian.PutUint64(c.data[1][8:], on.cycles())
	c.apply(b)
	return system
}

// apply is combine with the inputs in c.data, which it wipes.
func (c *combiner) apply(b []byte) {
	// SP 800-38B, Section 6.2, for two complete blocks.
	subtle.XORBytes(c.data[1][:], c.data[1][:], c.subkey[:])
	c.mac.Encrypt(&c.tag, &c.data[0])
	subtle.XORBytes(c.tag[:], c.tag[:], c.data[1][:])
	c.mac.Encrypt(&c.tag, &c.tag)

	mask := c.mask[:len(b)]
	c.ctr.CTR(mask, &c.tag)
	subtle.XORBytes(b, b, mask)
	clear(mask)
	c.data = [2][aesctr.BlockSize]byte{}
	c.tag = [aesctr.BlockSize]byte{}
}

// combinerTest is the self-test of combiner. Input: both keys, the data, and 40 bytes to
// combine. The answer was computed by a program of its own, with OpenSSL's AES-256-CMAC and
// AES-256-CTR.
var combinerTest = selftest.New("combination of requests", combinerInput, combinerAnswer, func(input []byte) ([]byte, error) {
	var c combiner
	c.rekey(input)
	copy(c.data[0][:], input[combinerKeySize:])
	copy(c.data[1][:], input[combinerKeySize+aesctr.BlockSize:])
	out := append([]byte(nil), input[combinerKeySize+2*aesctr.BlockSize:]...)
	c.apply(out)
	c.mac.Clear()
	c.ctr.Clear()
	zero.Bytes(c.subkey[:])
	return out, nil
})

const (
	combinerInput = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f" +
		"202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f" +
		"404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f" +
		"606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f8081828384858687"
	combinerAnswer = "d661cec1b9641a4b923fd4577e5ca398de4f1546c3351b58f1ceb0e7c136e53c1736a92db63f89f1"
)
