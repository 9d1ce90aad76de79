//go:build !purego

package aesctr

import (
	"github.com/lrng-go/lrng/internal/cpu"
	"github.com/lrng-go/lrng/internal/impl"
)

// Either of them says that Expand makes keys for the assembly. Everything in it is
// SSSE3 at most, which comes with AES-NI, or that, apart from ctrVAES. That one is used for
// long streams and the rest of the assembly with it.
var (
	useVAES  = cpu.HasVAES() && cpu.HasAESNI()
	useAESNI = cpu.HasAESNI()
)

// vaesBlocks is the number of blocks from which on ctrVAES is used. Up to eight take
// ctrAESNI one round of its own, which is over before the other is prepared.
const vaesBlocks = 9

func init() {
	impl.Register("aesctr", "VAES", &useVAES)
	impl.Register("aesctr", "AES-NI", &useAESNI)
}

// The functions in aesctr_amd64.s. W holds rounds+1 round keys as FIPS 197
// orders their bytes; blocks is at least 1.

// expandAESNI sets w to the schedule of a key of (rounds-6)*4 bytes.
//
//go:noescape
func expandAESNI(w *[2 * 15]uint64, key *byte, rounds int)

//go:noescape
func ctrAESNI(w *[2 * 15]uint64, rounds int, dst *byte, blocks int, v *[BlockSize]byte)

//go:noescape
func ctrVAES(w *[2 * 15]uint64, rounds int, dst *byte, blocks int, v *[BlockSize]byte)

//go:noescape
func bccAESNI(w *[2 * 15]uint64, rounds int, chains *[Chains][BlockSize]byte, data *byte, blocks int)

//go:noescape
func iterateAESNI(w *[2 * 15]uint64, rounds int, dst *byte, blocks int, x *[BlockSize]byte)

//go:noescape
func encryptAESNI(w *[2 * 15]uint64, rounds int, dst, src *[BlockSize]byte)

func (k *Key) expand(key []byte) {
	if k.asm = useAESNI || useVAES; k.asm {
		expandAESNI(&k.w, &key[0], k.rounds)
	} else {
		expandGeneric(k, key)
	}
}

func (k *Key) ctr(dst []byte, v *[BlockSize]byte) {
	blocks := len(dst) / BlockSize
	switch {
	case !k.asm:
		ctrGeneric(k, dst, v)
	case blocks >= vaesBlocks && useVAES:
		ctrVAES(&k.w, k.rounds, &dst[0], blocks, v)
	default:
		ctrAESNI(&k.w, k.rounds, &dst[0], blocks, v)
	}
}

func (k *Key) bcc(chains *[Chains][BlockSize]byte, data []byte) {
	if k.asm {
		bccAESNI(&k.w, k.rounds, chains, &data[0], len(data)/BlockSize)
	} else {
		bccGeneric(k, chains, data)
	}
}

func (k *Key) iterate(dst []byte, x *[BlockSize]byte) {
	if k.asm {
		iterateAESNI(&k.w, k.rounds, &dst[0], len(dst)/BlockSize, x)
	} else {
		iterateGeneric(k, dst, x)
	}
}

func (k *Key) encrypt(dst, src *[BlockSize]byte) {
	if k.asm {
		encryptAESNI(&k.w, k.rounds, dst, src)
	} else {
		encryptGeneric(k, dst, src)
	}
}
