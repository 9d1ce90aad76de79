package aesctr

import "encoding/binary"

// Derive XORs onto dst, whose length is a multiple of [BlockSize], the blocks
//
//	E(chain ⊕ second ⊕ number)
//
// with numbers from the given one on, up to 255. Second has the halves of a block as
// little-endian numbers; the number is XORed onto the last byte. With the encryption of a block in
// chain, and one XORed with K1 of SP 800-38B in second, what is XORed onto dst is the AES-CMAC
// of messages of two blocks. Four blocks take as long as one.
func (k *Key) Derive(dst []byte, chain *[BlockSize]byte, second *[2]uint64, number byte) {
	k.mustBeSet()
	if len(dst)%BlockSize != 0 || len(dst)/BlockSize > 256-int(number) {
		panic("aesctr: internal error: length")
	}
	if len(dst) > 0 {
		k.derive(dst, chain, second, number)
	}
}

// deriveByBlocks is Derive by encrypt.
func (k *Key) deriveByBlocks(dst []byte, chain *[BlockSize]byte, second *[2]uint64, number byte) {
	le := binary.LittleEndian
	var block [BlockSize]byte
	for ; len(dst) > 0; number++ {
		le.PutUint64(block[:8], le.Uint64(chain[:8])^second[0])
		le.PutUint64(block[8:], le.Uint64(chain[8:])^second[1])
		block[BlockSize-1] ^= number
		k.encrypt(&block, &block)
		for i := range block {
			dst[i] ^= block[i]
		}
		dst = dst[BlockSize:]
	}
	clear(block[:])
}
