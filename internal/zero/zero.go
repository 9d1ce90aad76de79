// Package zero wipes memory that held secrets.
//
// It clears what it is given and nothing else: copies that the compiler or the
// runtime made elsewhere (registers, moved stacks, private state of a standard
// library primitive) are out of its reach.
package zero

import (
	"hash"
	"runtime"
)

// Bytes sets every byte of b to zero.
//
// The compiler does not remove the stores: the function is not inlined, so the
// caller's view of b may change, and b is kept alive until after the last one.
//
//go:noinline
func Bytes(b []byte) {
	clear(b)
	runtime.KeepAlive(b)
}

// Uint32s sets every element of w to zero, as [Bytes] does.
//
//go:noinline
func Uint32s(w []uint32) {
	clear(w)
	runtime.KeepAlive(w)
}

// Uint64s sets every element of w to zero, as [Bytes] does.
//
//go:noinline
func Uint64s(w []uint64) {
	clear(w)
	runtime.KeepAlive(w)
}

// zeros is only read.
var zeros [256]byte

// Hash returns h to its initial state and overwrites the last block of input
// that it holds. Reset alone does not: the SHA-2 functions of the standard library
// keep the block.
//
// The block is written in two parts, since a whole one would be hashed in place
// without going through the buffer of h.
func Hash(h hash.Hash) {
	n := min(h.BlockSize(), len(zeros))
	h.Reset()
	h.Write(zeros[:1])
	h.Write(zeros[1:n])
	h.Reset()
}
