//go:build !purego

package chacha20

import (
	"runtime"

	"github.com/lrng-go/lrng/internal/cpu"
	"github.com/lrng-go/lrng/internal/impl"
)

// Which assembly may be used; the first that is true is.
var (
	useAVX512 = cpu.HasAVX512()
	useAVX2   = cpu.HasAVX2()
)

func init() {
	impl.Register("chacha20", "AVX-512", &useAVX512)
	impl.Register("chacha20", "AVX2", &useAVX2)
}

// The functions in chacha20_amd64.s. The hardened ones are for Linux alone: they make
// system calls.

//go:noescape
func requestAVX512(out, in []byte, s *State, scratch *Scratch, update bool)

//go:noescape
func requestAVX2(out, in []byte, s *State, scratch *Scratch, update bool)

//go:noescape
func hardenedAVX512(out, in []byte, s *State, scratch *Scratch, update bool) (errno uintptr)

//go:noescape
func hardenedAVX2(out, in []byte, s *State, scratch *Scratch, update bool) (errno uintptr)

func request(out, in []byte, s *State, scratch *Scratch, update bool) {
	switch {
	case useAVX512:
		requestAVX512(out, in, s, scratch, update)
	case useAVX2:
		requestAVX2(out, in, s, scratch, update)
	default:
		requestGeneric(out, in, s, scratch, update)
	}
}

func canHarden() bool { return runtime.GOOS == "linux" && (useAVX512 || useAVX2) }

func requestHardened(out, in []byte, s *State, scratch *Scratch, update bool) (errno uintptr) {
	if useAVX512 {
		return hardenedAVX512(out, in, s, scratch, update)
	}
	return hardenedAVX2(out, in, s, scratch, update)
}
