package aesctr

// DeriveGroup is the unit that Derive writes, in bytes. Four blocks take as long as one.
const DeriveGroup = 4 * BlockSize

// Derive fills dst, whose length is a multiple of [DeriveGroup] and less than 4096 bytes, with
// blocks 1, 2, 3 and so on of
//
//	E(E(first) ⊕ second ⊕ number)
//
// where the number is XORed onto the last byte. With K1 of SP 800-38B in second that is
// AES-CMAC(first ‖ …) of messages of two blocks.
func (k *Key) Derive(dst []byte, first, second *[BlockSize]byte) {
	k.mustBeSet()
	if len(dst)%DeriveGroup != 0 || len(dst) >= 256*BlockSize {
		panic("aesctr: internal error: length")
	}
	if len(dst) > 0 {
		k.derive(dst, first, second)
	}
}

// deriveByBlocks is Derive by encrypt.
func (k *Key) deriveByBlocks(dst []byte, first, second *[BlockSize]byte) {
	var chain, block [BlockSize]byte
	k.encrypt(&chain, first)
	for i := range chain {
		chain[i] ^= second[i]
	}
	for n := byte(1); len(dst) > 0; n++ {
		block = chain
		block[BlockSize-1] ^= n
		k.encrypt((*[BlockSize]byte)(dst), &block)
		dst = dst[BlockSize:]
	}
	clear(chain[:])
	clear(block[:])
}
