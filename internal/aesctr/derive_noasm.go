//go:build !amd64 || purego

package aesctr

func (k *Key) derive(dst []byte, chain *[BlockSize]byte, lo, hi uint64, number byte) {
	k.deriveByBlocks(dst, chain, lo, hi, number)
}
