//go:build !purego

package aesctr

// deriveAESNI is Derive for so many blocks, at least 1.
//
//go:noescape
func deriveAESNI(w *[2 * 15]uint64, rounds int, dst *byte, blocks int, chain *[BlockSize]byte, lo, hi uint64)

func (k *Key) derive(dst []byte, chain *[BlockSize]byte, lo, hi uint64) {
	if k.asm {
		deriveAESNI(&k.w, k.rounds, &dst[0], len(dst)/BlockSize, chain, lo, hi)
	} else {
		k.deriveByBlocks(dst, chain, lo, hi)
	}
}
