//go:build !amd64 || purego

package aesctr

func (k *Key) derive(dst []byte, first, second *[BlockSize]byte) {
	k.deriveByBlocks(dst, first, second)
}
