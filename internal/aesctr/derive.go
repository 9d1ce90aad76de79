package aesctr

import "encoding/binary"

// Derive XORs onto dst, whose length is a multiple of [BlockSize] and less than 4096 bytes,
// blocks 1, 2, 3 and so on of
//
//	E(chain ⊕ (lo, hi) ⊕ number)
//
// and clears chain. Lo and hi are the halves of a block, each in little-endian order; the
// number is XORed onto the last byte. With the encryption of a block in chain, and one XORed
// with K1 of SP 800-38B in lo and hi, what is XORed onto dst is the AES-CMAC of messages of
// two blocks. Four blocks take as long as one.
func (k *Key) Derive(dst []byte, chain *[BlockSize]byte, lo, hi uint64) {
	k.mustBeSet()
	if len(dst)%BlockSize != 0 || len(dst) >= 256*BlockSize {
		panic("aesctr: internal error: length")
	}
	if len(dst) > 0 {
		k.derive(dst, chain, lo, hi)
	} else {
		*chain = [BlockSize]byte{}
	}
}

// deriveByBlocks is Derive by encrypt.
func (k *Key) deriveByBlocks(dst []byte, chain *[BlockSize]byte, lo, hi uint64) {
	le := binary.LittleEndian
	var block [BlockSize]byte
	for n := byte(1); len(dst) > 0; n++ {
		le.PutUint64(block[:8], le.Uint64(chain[:8])^lo)
		le.PutUint64(block[8:], le.Uint64(chain[8:])^hi)
		block[BlockSize-1] ^= n
		k.encrypt(&block, &block)
		for i := range block {
			dst[i] ^= block[i]
		}
		dst = dst[BlockSize:]
	}
	clear(block[:])
	clear(chain[:])
}
