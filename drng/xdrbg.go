package drng

import (
	"errors"
	"fmt"

	"github.com/lrng-go/lrng/internal/keccak"
	"github.com/lrng-go/lrng/internal/secmem"
	"github.com/lrng-go/lrng/internal/zero"
)

// XDRBG is XDRBG-256: the deterministic random bit generator on any extendable
// output function that Kelsey, Lucks and Müller proposed (XDRBG, IACR
// Transactions on Symmetric Cryptology 2024, issue 1), on SHAKE256 of FIPS 202.
// Its security strength is 256 bits. It gives the output of leancrypto and of
// jitterentropy. Use [NewXDRBG] to make one.
//
// XDRBG is experimental: it is not one of the mechanisms of SP 800-90A Rev. 1,
// and is not approved for use in FIPS mode.
//
// The seed must not be empty. The proposal asks for 384 bits of entropy in the
// first seed and for 256 bits in later ones; that they are there is up to the
// caller, and the published known answers have seeds of 9 bytes. Additional,
// called α in the proposal, is at most 84 bytes.
//
// An XDRBG is not safe for concurrent use. It does not allocate after its
// first Seed.
//
// # Secrets
//
// Clear wipes the state. Between calls the sponge, which is in the same memory as
// the state, is empty.
//
// On amd64 with AVX-512, unless built with the tag purego, the permutation leaves
// nothing of the sponge on a stack or in a register; what is in registers while it
// works gets into memory when a signal arrives, and stays there until the next one.
// Elsewhere parts of the sponge may be left in registers and on the stack.
type XDRBG struct {
	*xdrbgMemory // in mem; nil without a state
	mem          secmem.Value[xdrbgMemory]

	reseedCounter uint64 // 1 + requests since the last seed; zero if not instantiated
}

// xdrbgMemory is what is secret.
type xdrbgMemory struct {
	v      [xdrbgStateSize]byte
	sponge keccak.State            // zero between calls
	alpha  [xdrbgMaxAlpha + 1]byte // α ‖ its encoding; zero between calls
}

var _ DRNG = (*XDRBG)(nil)

const xdrbgName = "XDRBG-256"

const (
	// |V| = 512 bits, in bytes: twice the security strength, so that states do
	// not collide.
	xdrbgStateSize = 512 / 8

	// The encoding of α and of the call in one byte leaves room for 3 lengths of
	// 85 values: 85·2 + 84 = 254.
	xdrbgMaxAlpha = 84

	// Output between two updates of V: with V it fills three blocks of SHAKE256,
	// 3·136 - 64 bytes. It is 2752 bits, maxout in Table 4 of the proposal.
	xdrbgMaxOut = 3*136 - xdrbgStateSize
)

// The values of n in the encoding of α.
const (
	xdrbgInstantiate = 0
	xdrbgReseed      = 1
	xdrbgGenerate    = 2
)

// NewXDRBG returns an XDRBG-256 that is not seeded.
func NewXDRBG() *XDRBG { return new(XDRBG) }

// Info describes the mechanism. The limits are those of SP 800-90A, so that
// whoever holds a generator treats all of them alike. The construction would bear
// more: 2⁴⁸ requests of 65536 bytes are less than 2⁵⁶ values of V, and two of these
// are equal with a probability below 2⁻⁴⁰⁰.
func (*XDRBG) Info() Info {
	return Info{
		Name:             xdrbgName,
		SecurityStrength: 256,
		MaxRequest:       hashMaxRequest,
		ReseedInterval:   hashReseedInterval,
		Approved:         false,
		MaxAdditional:    xdrbgMaxAlpha,
	}
}

// Seed instantiates x the first time and after Clear, and reseeds it at other
// times. Additional is α. An empty seed and an α of more than 84 bytes are
// errors, and leave x as it was.
func (x *XDRBG) Seed(seed, additional []byte) error {
	if err := ready(xdrbgName, x.alive()); err != nil {
		return err
	}
	return x.seed(seed, additional)
}

// seed is Seed without the self-test.
func (x *XDRBG) seed(seed, additional []byte) error {
	if len(seed) == 0 {
		return errors.New("drng: " + xdrbgName + ": empty seed")
	}
	if err := hashCheckAdditional(xdrbgName, uint64(len(additional)), xdrbgMaxAlpha); err != nil {
		return err
	}
	instantiate := !x.alive()
	if instantiate {
		m, err := x.mem.Renew()
		if err != nil {
			return fmt.Errorf("drng: %s: %w", xdrbgName, err)
		}
		x.xdrbgMemory = m
	}

	// INSTANTIATE: V = XOF(seed ‖ encode(α, 0), |V|).
	// RESEED: V = XOF(V ‖ seed ‖ encode(α, 1), |V|).
	n, call := 0, xdrbgInstantiate
	if !instantiate {
		n, call = x.sponge.Absorb(x.v[:], 0), xdrbgReseed
	}
	n = x.sponge.Absorb(seed, n)
	alpha := x.encode(additional, call)
	n = x.sponge.Absorb(alpha, n)
	x.sponge.Finish(n)
	x.sponge.Squeeze(x.v[:], 0)
	x.sponge.Clear()
	zero.Bytes(alpha)
	x.reseedCounter = 1
	return x.kept()
}

// alive reports whether there is a state: see [vanished].
func (x *XDRBG) alive() bool {
	if x.reseedCounter != 0 && !x.mem.Intact() {
		x.Clear()
	}
	return x.reseedCounter != 0
}

// kept returns the error of a call during which the state vanished, or nil.
func (x *XDRBG) kept() error {
	if x.mem.Kept() {
		return nil
	}
	x.Clear()
	return vanished(xdrbgName)
}

// Generate fills out with up to 65536 bytes. Out and additional may overlap. The
// errors are those of [DRNG], and one for an additional of more than 84 bytes.
func (x *XDRBG) Generate(out, additional []byte) error {
	x.alive()
	if err := hashCheckGenerate(xdrbgName, len(out), uint64(len(additional)), xdrbgMaxAlpha, x.reseedCounter); err != nil {
		clear(out)
		return err
	}
	all := out

	// GENERATE: V ‖ output = XOF(V ‖ encode(α, 2), |V| + length), for each piece
	// of at most maxout, and once for an empty request.
	alpha := x.encode(additional, xdrbgGenerate)
	for {
		n := x.sponge.Absorb(x.v[:], 0)
		n = x.sponge.Absorb(alpha, n)
		x.sponge.Finish(n)
		n = x.sponge.Squeeze(x.v[:], 0)
		piece := out[:min(len(out), xdrbgMaxOut)]
		x.sponge.Squeeze(piece, n)
		x.sponge.Clear()
		out = out[len(piece):]
		if len(out) == 0 {
			break
		}
	}
	zero.Bytes(alpha)
	x.reseedCounter++
	if err := x.kept(); err != nil {
		clear(all)
		return err
	}
	return nil
}

// encode returns encode(α, n) = α ‖ (85·n + |α|), in memory of x.
func (x *XDRBG) encode(alpha []byte, n int) []byte {
	k := copy(x.alpha[:xdrbgMaxAlpha], alpha)
	x.alpha[k] = byte(n*(xdrbgMaxAlpha+1) + k)
	return x.alpha[:k+1]
}

// Clear wipes the state. The next Seed instantiates anew.
func (x *XDRBG) Clear() {
	x.reseedCounter = 0
	x.mem.Free()
	x.xdrbgMemory = nil
}

// SecretMemory is for package lrng, which alone can use it.
func (x *XDRBG) SecretMemory() secmem.Holder { return &x.mem }

// String returns the name of the type; nothing of the state is ever printed. It
// and GoString have value receivers so that this holds for an XDRBG that is
// printed by value, too.
func (XDRBG) String() string { return "drng.XDRBG" }

// GoString returns the same as String.
func (XDRBG) GoString() string { return "drng.XDRBG" }
