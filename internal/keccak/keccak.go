// Package keccak is the permutation Keccak-f[1600] and the sponge of SHAKE256 on it, both of
// FIPS 202, as the core of a generator: it works on a state that the caller owns and wipes, where it
// is.
//
// It is not a hash function for programs, which use crypto/sha3: the caller keeps count of the
// place in the block, and calls the methods in the right order.
//
// # What is left behind
//
// With the assembly, for amd64 with AVX-512, nothing of the permutation is ever on a stack, and all
// registers that it used are cleared before it returns. Absorb and Squeeze move
// bytes through registers for integers, which keep eight of them until they are used again; there
// the Go runtime can take the registers to the stack of the goroutine, to preempt it. While
// any of this runs, a signal has the kernel save all registers, as package chacha20 tells in
// full. The portable code leaves parts of the state in registers and on the stack.
package keccak

import (
	"encoding/binary"

	"github.com/lrng-go/lrng/internal/zero"
)

//go:generate go run -C _asm .

// Rate is how many bytes of the state SHAKE256 absorbs and squeezes between two permutations:
// 1600 bits less a capacity of 512 (FIPS 202, Section 6.2).
const Rate = (1600 - 512) / 8

// A State is the 25 lanes of FIPS 202, Section 3.1.2, lane (x, y) at index 5y + x. As a string of
// bytes it is the lanes one after the other, each little-endian. The zero value is what a sponge
// begins with.
//
// A sponge is fed by calls of Absorb, one of Finish, and emptied by calls of Squeeze. They take and
// return the place in the block, which is 0 at first. Nothing allocates; time depends on lengths
// and places alone.
type State [25]uint64

// Permute is Keccak-f[1600], FIPS 202, Section 3.3.
func (s *State) Permute() { permute(s) }

// Absorb XORs p onto the block, from byte n of it on, and permutes whenever the block is
// full. It returns where the next byte goes. N is less than [Rate].
func (s *State) Absorb(p []byte, n int) int {
	for len(p) > 0 {
		k := min(len(p), Rate-n)
		s.xor(p[:k], n)
		p = p[k:]
		if n += k; n == Rate {
			permute(s)
			n = 0
		}
	}
	return n
}

// Finish ends what is absorbed, of which the last byte went before place n: it adds the
// suffix 1111 of an extendable output function and the padding 10*1 (FIPS 202, Sections 6.2
// and 5.1), bit 0 first in each byte, and permutes. Output begins at place 0.
func (s *State) Finish(n int) {
	s[n/8] ^= 0x1f << (n % 8 * 8)
	s[(Rate-1)/8] ^= 0x80 << ((Rate - 1) % 8 * 8)
	permute(s)
}

// Squeeze fills out, from byte n of the block on, and permutes where the block is used up and more
// is wanted. It returns where the next byte is, which may be [Rate]; n may be that, too.
func (s *State) Squeeze(out []byte, n int) int {
	for len(out) > 0 {
		if n == Rate {
			permute(s)
			n = 0
		}
		k := min(len(out), Rate-n)
		s.bytes(out[:k], n)
		out = out[k:]
		n += k
	}
	return n
}

// Clear wipes the state.
func (s *State) Clear() { zero.Uint64s(s[:]) }

// xor XORs p onto the bytes from n on.
func (s *State) xor(p []byte, n int) {
	for ; n%8 != 0 && len(p) > 0; n++ {
		s[n/8] ^= uint64(p[0]) << (n % 8 * 8)
		p = p[1:]
	}
	lanes := s[n/8:]
	whole := lanes[:len(p)/8]
	for i := range whole {
		whole[i] ^= binary.LittleEndian.Uint64(p[8*i:])
	}
	for i, b := range p[8*len(whole):] {
		lanes[len(whole)] ^= uint64(b) << (8 * i)
	}
}

// bytes sets out to the bytes from n on. It reads whole lanes, as they were stored: processors
// wait until stores are complete where a load takes more than one of them.
func (s *State) bytes(out []byte, n int) {
	for ; n%8 != 0 && len(out) > 0; n++ {
		out[0] = byte(s[n/8] >> (n % 8 * 8))
		out = out[1:]
	}
	lanes := s[n/8:]
	whole := lanes[:len(out)/8]
	for i, l := range whole {
		binary.LittleEndian.PutUint64(out[8*i:], l)
	}
	out = out[8*len(whole):]
	for i := range out {
		out[i] = byte(lanes[len(whole)] >> (8 * i))
	}
}
