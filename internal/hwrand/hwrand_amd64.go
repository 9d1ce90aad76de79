//go:build !purego

package hwrand

import (
	"errors"
	"fmt"

	"github.com/lrng-go/lrng/internal/cpu"
)

const (
	// rdrandTries is the recommendation of Intel: ten failures in a row are a
	// defect of the CPU (Digital Random Number Generator Software Implementation
	// Guide, Revision 2.1, Section 5.2.1).
	rdrandTries = 10

	// rdseedTries is more than twice the 9 tries that were seen. If all fail that
	// takes 23·16 pauses of at most 54 ns (140 cycles since Skylake, at 2.6 GHz)
	// and 24 executions of at most 1.1 µs (Zen 4 while another core does the
	// same): 46 µs.
	rdseedTries = 24
)

// oldestAMD is the family of Zen. On earlier families the generator may, once
// the machine was suspended, return all ones and report success for ever
// (systemd issue 11810). Linux gives up RDRAND on two of them, 0x15 and 0x16
// (commit c49a0a80137c), the getrandom crate of Rust on all before 0x17.
const oldestAMD = 0x17

func detect() machine {
	return offer(cpu.HasRDSEED(), cpu.HasRDRAND(), cpu.AMDFamily())
}

// offer decides what is used of a CPU that announces hasRDSEED and hasRDRAND;
// amdFamily is 0 if AMD did not make it.
func offer(hasRDSEED, hasRDRAND bool, amdFamily int) (m machine) {
	switch {
	case !hasRDSEED && !hasRDRAND:
		m.reason = errors.New("hwrand: no RDSEED or RDRAND")
		return m
	case amdFamily != 0 && amdFamily < oldestAMD:
		m.reason = fmt.Errorf("hwrand: the generator of AMD family %#x is known to be faulty", amdFamily)
		return m
	}
	if hasRDSEED {
		m.generators[Seed] = generator{"RDSEED", rdseed, rdseedTries}
	}
	if hasRDRAND {
		m.generators[DRBG] = generator{"RDRAND", rdrand, rdrandTries}
	}
	return m
}

// rdseed executes RDSEED once, in its 64-bit form: on Zen 5 the shorter forms
// return 0 with success at times (CVE-2025-62626). The CPU must announce it.
//
//go:noescape
func rdseed() (w uint64, ok bool)

// rdrand executes RDRAND once, in its 64-bit form. The CPU must announce it.
//
//go:noescape
func rdrand() (w uint64, ok bool)

// pause executes PAUSE n times: the sibling thread may run.
//
//go:noescape
func pause(n int)
