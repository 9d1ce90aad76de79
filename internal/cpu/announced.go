package cpu

// announcesDARN looks for DARN in an auxiliary vector of Linux on ppc64:
// PPC_FEATURE2_DARN (arch/powerpc/include/uapi/asm/cputable.h) in the entry
// AT_HWCAP2 (include/uapi/linux/auxvec.h).
func announcesDARN(auxv [][2]uintptr) bool {
	const (
		hwcap2 = 26
		darn   = 1 << 21
	)
	for _, entry := range auxv {
		if entry[0] == hwcap2 {
			return entry[1]&darn != 0
		}
	}
	return false
}

// announcesTRNG asks for the facilities of an s390x, and if PRNO is among them
// for its functions (z/Architecture Principles of Operation, SA22-7832,
// "Facility Indications" and "PERFORM RANDOM NUMBER OPERATION").
//
// The leftmost bit is bit 0.
func announcesTRNG(facilities func() uint64, functions func() [2]uint64) bool {
	const (
		msa5 = 57  // message-security-assist extension 5
		trng = 114 // PRNO-TRNG
	)
	return facilities()>>(63-msa5)&1 == 1 && functions()[1]>>(127-trng)&1 == 1
}
