//go:build !purego

package clock

const counterName = "TSC"

// counter returns the time-stamp counter. The read is not serialized: it may
// happen before loads that precede it have completed. RDTSC cannot fault here
// without the Go runtime faulting too, which reads the counter for its profiles.
//
//go:noescape
func counter() uint64

// cpuid executes CPUID.
//
//go:noescape
func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)

// detectCounter reports whether the counter is invariant: CPUID leaf 8000_0007h,
// EDX bit 8 (Intel SDM, Volume 3, "Invariant TSC"; AMD APM, Volume 3,
// "TscInvariant"). It runs at the nominal rate of the CPU then.
func detectCounter() bool {
	const power = 0x8000_0007
	if last, _, _, _ := cpuid(0x8000_0000, 0); last < power {
		return false
	}
	_, _, _, edx := cpuid(power, 0)
	return edx>>8&1 == 1
}
