//go:build (ppc64 || ppc64le) && !purego

package hwrand

import (
	"errors"

	"github.com/lrng-go/lrng/internal/cpu"
)

// darnTries is the number that the Power ISA calls adequate where the processor
// has no guidance of its own (Version 3.0 B, "Deliver A Random Number").
const darnTries = 10

func detect() machine { return offer(cpu.HasDARN()) }

// offer decides what is used of a CPU that announces hasDARN.
func offer(hasDARN bool) (m machine) {
	if !hasDARN {
		m.reason = errors.New("hwrand: no DARN")
		return m
	}
	m.generators[Diluted] = generator{"DARN", darn, darnTries}
	return m
}

// darn executes DARN once, for a conditioned word of 64 bits. The CPU must
// announce it.
//
//go:noescape
func darn() (w uint64, ok bool)

// pause counts to n at low priority: the sibling threads may run.
//
//go:noescape
func pause(n int)
