//go:build !purego

package hwrand

import (
	"errors"

	"github.com/lrng-go/lrng/internal/cpu"
)

// rndrTries is small because each execution itself waits for a "reasonable
// period of time" before it gives up, and to get nothing is "unusual" (Arm
// DDI 0595, RNDR and RNDRRS). Arm recommends no number; this is that of Intel
// and of the Power ISA.
const rndrTries = 10

func detect() machine { return offer(cpu.HasRNDR()) }

// offer decides what is used of a CPU that announces hasRNDR.
func offer(hasRNDR bool) (m machine) {
	if !hasRNDR {
		m.reason = errors.New("hwrand: no RNDR")
		return m
	}
	m.generators[Seed] = generator{"RNDRRS", rndrrs, rndrTries}
	m.generators[DRBG] = generator{"RNDR", rndr, rndrTries}
	return m
}

// rndrrs reads RNDRRS once. The CPU must announce it.
//
//go:noescape
func rndrrs() (w uint64, ok bool)

// rndr reads RNDR once. The CPU must announce it.
//
//go:noescape
func rndr() (w uint64, ok bool)

// pause executes ISB n times. YIELD, which is there for this, does nothing on
// most processors.
//
//go:noescape
func pause(n int)
