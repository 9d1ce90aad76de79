// Package aesctr implements the forward direction of AES (FIPS 197) in the forms
// that CTR_DRBG needs: consecutive counter blocks (SP 800-90A Rev. 1, Section
// 10.2.1) and the block chaining of the derivation function (Section 10.3.3).
//
// Expanded keys lie in memory of the caller, which can therefore place and wipe
// them. Nothing allocates and nothing is kept. On amd64 with AES-NI the package
// uses assembly, which leaves no key, counter or state in registers; elsewhere
// bitsliced code without tables. Both take the same time for every key, counter
// and data of a length.
//
// The package does no encryption mode for messages: programs that encrypt use
// crypto/aes and crypto/cipher.
package aesctr

import "github.com/lrng-go/lrng/internal/zero"

// BlockSize is the length of a block in bytes.
const BlockSize = 16

// Chains is the number of chains that [Key.BCC] computes side by side: those
// for AES-192 and AES-256. AES-128 needs two, and the third costs no time.
const Chains = 3

// A Key is an expanded AES key. The zero value, and a Key after Clear, is none: the
// methods that encrypt panic, since what they would give out is no secret.
//
// A Key may be copied; each copy is to be cleared. It is not safe for concurrent
// use while Expand or Clear runs.
type Key struct {
	// The round keys, 16 bytes each, at most 15 of them. Assembly and portable
	// code order the bits differently, so asm says whose these are.
	w      [2 * 15]uint64
	rounds int
	asm    bool
}

// Expand sets k to the key schedule of key (FIPS 197, Section 5.2), which has 16,
// 24 or 32 bytes. It panics for any other length: callers pass fixed ones.
func (k *Key) Expand(key []byte) {
	switch len(key) {
	case 16, 24, 32:
	default:
		panic("aesctr: internal error: key length")
	}
	rounds := len(key)/4 + 6
	if rounds < k.rounds {
		k.Clear() // a shorter schedule would leave the rest of the longer one
	}
	k.rounds = rounds
	k.expand(key)
}

// Clear wipes the key.
func (k *Key) Clear() {
	zero.Uint64s(k.w[:])
	k.rounds, k.asm = 0, false
}

// CTR increments v, read as a big-endian number, by 1 modulo 2¹²⁸ and encrypts it
// to the next block of dst, and so on until dst is full. Of the last block it
// stores what fits. V is left at the value of the last block.
func (k *Key) CTR(dst []byte, v *[BlockSize]byte) {
	k.mustBeSet()
	if n := len(dst) / BlockSize; n > 0 {
		k.ctr(dst[:n*BlockSize], v)
		dst = dst[n*BlockSize:]
	}
	if len(dst) > 0 {
		var last [BlockSize]byte
		k.ctr(last[:], v)
		copy(dst, last[:])
		zero.Bytes(last[:])
	}
}

// BCC continues each of the chains over data, whose length is a multiple of
// BlockSize: for each block of data, chain = E(chain ⊕ block), as in SP 800-90A
// Rev. 1, Section 10.3.3, Step 4.
func (k *Key) BCC(chains *[Chains][BlockSize]byte, data []byte) {
	k.mustBeSet()
	if len(data)%BlockSize != 0 {
		panic("aesctr: internal error: partial block")
	}
	if len(data) > 0 {
		k.bcc(chains, data)
	}
}

// Iterate fills dst with the encryption of x, the encryption of that, and so on. X becomes
// the last block, of which dst gets what fits. It must not be part of dst.
func (k *Key) Iterate(dst []byte, x *[BlockSize]byte) {
	k.mustBeSet()
	if n := len(dst) / BlockSize; n > 0 {
		k.iterate(dst[:n*BlockSize], x)
		dst = dst[n*BlockSize:]
	}
	if len(dst) > 0 {
		var last [BlockSize]byte
		k.iterate(last[:], x)
		copy(dst, last[:])
		zero.Bytes(last[:])
	}
}

// Encrypt encrypts the block src to dst, which may be the same.
func (k *Key) Encrypt(dst, src *[BlockSize]byte) {
	k.mustBeSet()
	k.encrypt(dst, src)
}

func (k *Key) mustBeSet() {
	if k.rounds == 0 {
		panic("aesctr: internal error: no key")
	}
}

// Hardware reports whether keys are expanded for the AES instructions of the CPU.
func Hardware() bool { return hardware() }
