// Package chacha20 is the ChaCha20 block function of RFC 8439, Section 2.3, as
// the core of a generator: it writes key stream over memory and works on a state
// that the caller owns, advances and wipes.
//
// It is not a cipher. Nothing is XORed onto data, and the block counter starts
// again at zero after 2³² blocks without a word: the generator above must have
// changed the key or the nonce by then.
package chacha20

import "github.com/lrng-go/lrng/internal/zero"

// Sizes in bytes.
const (
	BlockSize = 64
	KeySize   = 32
)

// A State is the input of the block function: 16 words of 32 bits, in the order
// of RFC 8439, Section 2.3. It says everything about the key stream that follows
// and is as secret as the key.
type State [16]uint32

// Where the parts of a [State] begin: 4 words of constants, 8 of key, 1 of
// counter, 3 of nonce. A word holds its bytes in little-endian order.
const (
	KeyIndex     = 4
	CounterIndex = 12
	NonceIndex   = 13
)

// Reset sets the constants and the counter, and clears key and nonce.
func (s *State) Reset(counter uint32) {
	*s = State{
		0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, // "expand 32-byte k"
		CounterIndex: counter,
	}
}

// Blocks overwrites dst with the key stream of ⌈len(dst)/[BlockSize]⌉ blocks and
// adds their number to the counter, modulo 2³². It does not carry into the
// nonce. What is left of the last block, if dst ends within it, is dropped.
//
// It does not allocate. Its time depends on len(dst) and, near the wrap, on the
// counter; not on key, nonce or what was in dst. The dst and s must not overlap.
//
// Registers and stack slots used for the rounds are not wiped.
func Blocks(dst []byte, s *State) {
	// Each kernel does what it is good at, a prefix of whole blocks, and returns
	// the length of it.
	if useXCrypto {
		dst = dst[blocksXCrypto(dst, s):]
	}
	dst = dst[blocksGeneric(dst, s):]
	if len(dst) > 0 {
		var last [BlockSize]byte
		block(&last, s)
		copy(dst, last[:])
		zero.Bytes(last[:])
	}
}
