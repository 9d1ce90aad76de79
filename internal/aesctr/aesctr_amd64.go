//go:build !purego

package aesctr

import (
	"github.com/lrng-go/lrng/internal/cpu"
	"github.com/lrng-go/lrng/internal/impl"
)

// Each of them says that Expand makes keys for the assembly. Everything in it is
// SSSE3 at most, which comes with AES-NI, or that, apart from two functions. They are used
// for long streams, and the rest of the assembly with them.
var (
	useVAES512 = cpu.HasVAES512() && cpu.HasAESNI()
	useVAES256 = cpu.HasVAES256() && cpu.HasAESNI()
	useAESNI   = cpu.HasAESNI()
)

const (
	// The number of blocks from which on ctrVAES512 is used. Up to eight take ctrAESNI one
	// round of its own, which is over before the other is prepared.
	vaes512Blocks = 9

	// The number of blocks in a group of ctrVAES256.
	vaes256Blocks = 16
)

func init() {
	impl.Register("aesctr", "VAES-512", &useVAES512)
	impl.Register("aesctr", "VAES-256", &useVAES256)
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
func ctrVAES256(w *[2 * 15]uint64, rounds int, dst *byte, groups int, v *[BlockSize]byte)

//go:noescape
func ctrVAES512(w *[2 * 15]uint64, rounds int, dst *byte, blocks int, v *[BlockSize]byte)

//go:noescape
func bccAESNI(w *[2 * 15]uint64, rounds int, chains *[Chains][BlockSize]byte, data *byte, blocks int)

//go:noescape
func iterateAESNI(w *[2 * 15]uint64, rounds int, dst *byte, blocks int, x *[BlockSize]byte)

//go:noescape
func encryptAESNI(w *[2 * 15]uint64, rounds int, dst, src *[BlockSize]byte)

func (k *Key) expand(key []byte) {
	if k.asm = useAESNI || useVAES256 || useVAES512; k.asm {
		expandAESNI(&k.w, &key[0], k.rounds)
	} else {
		expandGeneric(k, key)
	}
}

func (k *Key) ctr(dst []byte, v *[BlockSize]byte) {
	if !k.asm {
		ctrGeneric(k, dst, v)
		return
	}
	blocks := len(dst) / BlockSize
	if useVAES512 && blocks >= vaes512Blocks {
		ctrVAES512(&k.w, k.rounds, &dst[0], blocks, v)
		return
	}
	if groups := blocks / vaes256Blocks; useVAES256 && groups > 0 {
		ctrVAES256(&k.w, k.rounds, &dst[0], groups, v)
		if blocks %= vaes256Blocks; blocks == 0 {
			return
		}
		dst = dst[groups*vaes256Blocks*BlockSize:]
	}
	ctrAESNI(&k.w, k.rounds, &dst[0], blocks, v)
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

func hardware() bool { return useAESNI || useVAES256 || useVAES512 }
