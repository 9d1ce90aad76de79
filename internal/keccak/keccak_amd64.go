//go:build !purego

package keccak

import (
	"github.com/lrng-go/lrng/internal/cpu"
	"github.com/lrng-go/lrng/internal/impl"
)

var useAVX512 = cpu.HasAVX512()

func init() {
	impl.Register("keccak", "AVX-512", &useAVX512)
}

// permuteAVX512 is in keccak_amd64.s.
//
//go:noescape
func permuteAVX512(s *State)

func permute(s *State) {
	if useAVX512 {
		permuteAVX512(s)
	} else {
		permuteGeneric(s)
	}
}
