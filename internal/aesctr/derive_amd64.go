//go:build !purego

package aesctr

// deriveAESNI is Derive for so many groups, at least 1.
//
//go:noescape
func deriveAESNI(w *[2 * 15]uint64, rounds int, dst *byte, groups int, first, second *[BlockSize]byte)

func (k *Key) derive(dst []byte, first, second *[BlockSize]byte) {
	if k.asm {
		deriveAESNI(&k.w, k.rounds, &dst[0], len(dst)/DeriveGroup, first, second)
	} else {
		k.deriveByBlocks(dst, first, second)
	}
}
