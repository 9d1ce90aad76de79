// Package chacha20 is the ChaCha20 block function of RFC 8439, Section 2.3, as
// the core of a generator: it writes key stream over memory, and works on a state
// that the caller owns and wipes, where it is.
//
// It is not a cipher. Nothing is XORed onto data, and the block counter starts
// again at zero after 2³² blocks without a word: the generator above must have
// changed the key or the nonce by then.
//
// # What is left behind
//
// Of state and key stream there is nothing outside of the memory that the caller
// gives, with the assembly of amd64 and arm64: none of it is ever on a stack, and all
// registers that had some are cleared before a function returns. But while one runs, the
// kernel saves the registers on the signal stack of the thread when it delivers a signal,
// where they stay until the next one; the Go runtime sends signals all the time, to
// preempt and to profile. With hardened set, no signal is delivered while anything secret
// is in a register: see [Generate].
//
// The portable code, and the assembly of x/crypto that is used on other processors,
// leave parts of it in registers and on the stack. [CanHarden] is an error there.
package chacha20

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

	"github.com/lrng-go/lrng/internal/zero"
)

//go:generate go run -C _asm .

// Sizes in bytes.
const (
	BlockSize = 64
	KeySize   = 32
)

// A State is the input of the block function: 16 words of 32 bits, in the order
// of RFC 8439, Section 2.3. It says everything about the key stream that follows
// and is as secret as the key.
type State [16]uint32

// Where the parts of a [State] begin: 4 words of constants, 8 of key, 1 of
// counter, 3 of nonce. A word holds its bytes in little-endian order.
const (
	KeyIndex     = 4
	CounterIndex = 12
	NonceIndex   = 13
)

// Scratch is memory for what is secret and temporary: two blocks of key stream. It is
// for the same kind of memory as the [State]; functions clear it before they return.
type Scratch [2 * BlockSize]byte

// Reset sets the constants and the counter, and clears key and nonce.
func (s *State) Reset(counter uint32) {
	*s = State{
		0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, // "expand 32-byte k"
		CounterIndex: counter,
	}
}

// Blocks overwrites dst with the key stream of ⌈len(dst)/[BlockSize]⌉ blocks and
// adds their number to the counter, modulo 2³². It does not carry into the
// nonce. What is left of the last block, if dst ends within it, is dropped.
//
// It does not allocate. Its time depends on len(dst) and, in the portable code, near the
// wrap on the counter; not on key, nonce or what was in dst. The parameters must not overlap.
func Blocks(dst []byte, s *State, scratch *Scratch) {
	for len(dst) > maxOut {
		request(dst[:maxOut], nil, s, scratch, false)
		dst = dst[maxOut:]
	}
	request(dst, nil, s, scratch, false)
}

// Generate serves a request of a generator that erases the key with each: it absorbs
// in as [Absorb] does, overwrites out with key stream as [Blocks] does, and updates the key.
// For that it takes the words of the last block of which nothing is in out, if these are
// 8 or more, and else the first of a block more: 8 words are XORed onto those of the
// key, and the nonce, which is a little-endian number of 96 bits, is incremented.
//
// Out and in may overlap; all of in is read before out is written. Nothing else may
// overlap.
//
// With hardened set all signals are blocked from before the first word of the state is in
// a register until the last register is cleared, which costs two system calls for each
// 4 KiB of out and each KiB of in. The error is that of [CanHarden], or of the system that
// refuses to block them, after which nothing more is done. Without hardened there is none.
//
// That is no help against SIGKILL and SIGSTOP, a debugger, and a core dump that another thread
// causes while the function runs: it has the registers of every thread. And an address in
// out or in that cannot be accessed ends the process: the Go runtime does not get to see
// the signal.
func Generate(out, in []byte, s *State, scratch *Scratch, hardened bool) error {
	if hardened {
		return harden(out, in, s, scratch, true)
	}
	for len(in) > maxIn {
		request(nil, in[:maxIn], s, scratch, false)
		in = in[maxIn:]
	}
	for len(out) > maxOut {
		request(out[:maxOut], in, s, scratch, false)
		out, in = out[maxOut:], nil
	}
	request(out, in, s, scratch, true)
	return nil
}

// Absorb XORs in onto the key, in pieces of at most 32 bytes. After each it makes
// a block, XORs the first 32 bytes of it onto the key, and increments the nonce. The rest is
// as for [Generate].
func Absorb(in []byte, s *State, scratch *Scratch, hardened bool) error {
	if hardened {
		return harden(nil, in, s, scratch, false)
	}
	for len(in) > maxIn {
		request(nil, in[:maxIn], s, scratch, false)
		in = in[maxIn:]
	}
	request(nil, in, s, scratch, false)
	return nil
}

// Lengths, in bytes, that are dealt with in one go: multiples of the size of a block. Assembly cannot be
// preempted, and those who wait for all goroutines to stop wait for it: 20 µs at the most on the
// machines measured, and 4 µs with signals blocked. Input takes a block for each 32 bytes,
// one after the other.
const (
	maxOut         = 1 << 16
	maxIn          = 1 << 12
	maxHardenedOut = 1 << 12
	maxHardenedIn  = 1 << 10
)

// harden is request with signals blocked, piece by piece.
//
// The mask of signals belongs to the thread, and the Go runtime, which moves goroutines between
// threads, does not know that it is changed. It does not have to: one function in assembly
// makes both system calls and does the work between them. The runtime can take a goroutine
// from its thread only where it may be preempted, which is nowhere in assembly; a thread that
// is in the midst of it creates no other, which would inherit the mask; and the runtime reads the
// mask of a thread only on that thread. A signal that it sends meanwhile stays pending until the
// second call puts the old mask back: the registers are cleared by then. The function
// needs no stack to grow, and its frame holds the old mask alone.
func harden(out, in []byte, s *State, scratch *Scratch, update bool) error {
	if err := CanHarden(); err != nil {
		return err
	}
	for len(in) > maxHardenedIn {
		if err := hardened(nil, in[:maxHardenedIn], s, scratch, false); err != nil {
			return err
		}
		in = in[maxHardenedIn:]
	}
	for len(out) > maxHardenedOut {
		if err := hardened(out[:maxHardenedOut], in, s, scratch, false); err != nil {
			return err
		}
		out, in = out[maxHardenedOut:], nil
	}
	return hardened(out, in, s, scratch, update)
}

// hardened is one piece of harden.
func hardened(out, in []byte, s *State, scratch *Scratch, update bool) error {
	if errno := requestHardened(out, in, s, scratch, update); errno != 0 {
		return fmt.Errorf("chacha20: block signals: %w", syscall.Errno(errno))
	}
	return nil
}

// CanHarden returns nil if hardened may be set in calls of this package, else why not.
func CanHarden() error {
	if !canHarden() {
		return errNotHardened
	}
	return nil
}

var errNotHardened = errors.New("chacha20: no code that blocks signals for this system and processor")

// requestGeneric is request in portable Go. Request XORs in onto the key as Absorb does,
// fills out, and if wanted updates the key as Generate does. It clears scratch.
func requestGeneric(out, in []byte, s *State, scratch *Scratch, update bool) {
	first := (*[BlockSize]byte)(scratch[:])
	for len(in) > 0 {
		n := min(len(in), KeySize)
		s.xorKey(in[:n])
		in = in[n:]
		block(first, s)
		s.update(first[:KeySize])
	}

	n := len(out) / BlockSize * BlockSize
	blocks(out[:n], s)
	out = out[n:]
	if len(out) > 0 || update {
		block(first, s)
		copy(out, first[:])
	}
	if update {
		used := (len(out) + 3) &^ 3
		if used > BlockSize-KeySize {
			used = BlockSize
			block((*[BlockSize]byte)(scratch[BlockSize:]), s)
		}
		s.update(scratch[used : used+KeySize])
	}
	zero.Bytes(scratch[:])
}

// update XORs 32 bytes onto the key and increments the nonce.
func (s *State) update(stream []byte) {
	s.xorKey(stream)
	for i := NonceIndex; i < len(s); i++ {
		s[i]++
		if s[i] != 0 {
			break
		}
	}
}

// xorKey XORs p, at most 32 bytes, onto the first bytes of the key.
func (s *State) xorKey(p []byte) {
	key := s[KeyIndex : KeyIndex+KeySize/4]
	for len(p) >= 4 {
		key[0] ^= binary.LittleEndian.Uint32(p)
		key, p = key[1:], p[4:]
	}
	for i, b := range p {
		key[0] ^= uint32(b) << (8 * i)
	}
}

// blocks writes whole blocks.
func blocks(dst []byte, s *State) {
	if useXCrypto {
		dst = dst[blocksXCrypto(dst, s):]
	}
	blocksGeneric(dst, s)
}
