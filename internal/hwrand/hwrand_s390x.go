//go:build !purego

package hwrand

import (
	"errors"

	"github.com/lrng-go/lrng/internal/cpu"
)

func detect() machine { return offer(cpu.HasTRNG()) }

// offer decides what is used of a CPU that announces hasTRNG.
func offer(hasTRNG bool) (m machine) {
	if !hasTRNG {
		m.reason = errors.New("hwrand: no TRNG of PRNO")
		return m
	}
	m.generators[Seed] = generator{"PRNO-TRNG", trng, 1} // it always has a word
	return m
}

// trng executes PRNO for one conditioned word. The CPU must announce the
// function.
//
//go:noescape
func trng() (w uint64, ok bool)

// pause does nothing: there is always a word.
func pause(int) {}
