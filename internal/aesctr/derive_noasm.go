//go:build !amd64 || purego

package aesctr

func (k *Key) derive(dst []byte, chain *[BlockSize]byte, second *[2]uint64, number byte) {
	k.deriveByBlocks(dst, chain, second, number)
}
