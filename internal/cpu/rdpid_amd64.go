//go:build !purego

package cpu

import "sync"

// HasRDPID reports whether the CPU has RDPID: CPUID leaf 7, ECX bit 22. Package cpuid does not know
// it. It is asked for when the first wants to know, and never before.
func HasRDPID() bool { return hasRDPID() }

var hasRDPID = sync.OnceValue(func() bool {
	const rdpid = 22
	// Who has AVX2 has leaf 7, which says so.
	return HasAVX2() && cpuidLeaf7()>>rdpid&1 == 1
})

// cpuidLeaf7 returns ECX of leaf 7, subleaf 0.
func cpuidLeaf7() (ecx uint32)
