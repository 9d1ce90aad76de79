//go:build !purego

package chacha20

import (
	"runtime"

	"github.com/lrng-go/lrng/internal/impl"
)

// useNEON says that the assembly may be used. Every arm64 that Go runs on has NEON.
var useNEON = true

func init() { impl.Register("chacha20", "NEON", &useNEON) }

// The functions in chacha20_arm64.s. The hardened one is for Linux alone: it makes system calls.

//go:noescape
func requestNEON(out, in []byte, s *State, scratch *Scratch, update bool)

//go:noescape
func hardenedNEON(out, in []byte, s *State, scratch *Scratch, update bool) (errno uintptr)

func request(out, in []byte, s *State, scratch *Scratch, update bool) {
	if useNEON {
		requestNEON(out, in, s, scratch, update)
	} else {
		requestGeneric(out, in, s, scratch, update)
	}
}

func canHarden() bool { return runtime.GOOS == "linux" && useNEON }

func requestHardened(out, in []byte, s *State, scratch *Scratch, update bool) (errno uintptr) {
	return hardenedNEON(out, in, s, scratch, update)
}
