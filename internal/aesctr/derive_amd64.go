//go:build !purego

package aesctr

// deriveAESNI is Derive for so many blocks, at least 1. Before is the number before the first.
//
//go:noescape
func deriveAESNI(w *[2 * 15]uint64, rounds int, dst *byte, blocks int, chain *[BlockSize]byte, second *[2]uint64, before int)

func (k *Key) derive(dst []byte, chain *[BlockSize]byte, second *[2]uint64, number byte) {
	if k.asm {
		deriveAESNI(&k.w, k.rounds, &dst[0], len(dst)/BlockSize, chain, second, int(number)-1)
	} else {
		k.deriveByBlocks(dst, chain, second, number)
	}
}
