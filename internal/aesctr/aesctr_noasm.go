//go:build !amd64 || purego

package aesctr

func (k *Key) expand(key []byte)                           { expandGeneric(k, key) }
func (k *Key) iterate(dst []byte, x *[BlockSize]byte)      { iterateGeneric(k, dst, x) }
func (k *Key) ctr(dst []byte, v *[BlockSize]byte)          { ctrGeneric(k, dst, v) }
func (k *Key) bcc(x *[Chains][BlockSize]byte, data []byte) { bccGeneric(k, x, data) }
func (k *Key) encrypt(dst, src *[BlockSize]byte)           { encryptGeneric(k, dst, src) }

func hardware() bool { return false }
