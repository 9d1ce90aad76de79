// Package cpu holds the facts about the CPU that the library decides by.
//
// It is the only importer of [github.com/klauspost/cpuid/v2], whose init
// function examines the CPU before main starts. On x86 that is CPUID and
// nothing else, 66 times on the machine measured; each is an exit to the
// hypervisor in a virtual machine, where all of them took 0.3 to 0.6 ms. On
// other architectures it asks the operating system, and on Linux may read a
// file under /proc for it; on arm64 it reads identification registers, where the
// system shows them to programs. It starts no goroutine. This package adds no work at
// import: it copies the facts when the first is asked for, and keeps them.
//
// Facts are what the CPU, or the hypervisor in its place, says of itself. No
// instruction is tried out to learn whether it exists: an illegal instruction
// cannot be recovered from in Go.
//
// What cpuid does not know is asked of the kernel, by the auxiliary vector that
// it gives each program, or of the CPU, by the instruction that is there to
// announce the others.
//
// The build tag purego chooses what is executed, not what is known, and makes no
// difference here but on s390x: that last instruction takes assembly.
package cpu

import (
	"runtime"
	"sync"

	"github.com/klauspost/cpuid/v2"
)

// HasAESNI reports whether the CPU has the AES instructions of x86.
func HasAESNI() bool { return detected().aesni }

// HasAVX2 reports whether the CPU has AVX2, and the operating system saves the registers
// of 256 bits.
func HasAVX2() bool { return detected().avx2 }

// HasAVX512 reports whether the CPU has AVX-512 F and VL, and the operating system saves
// the registers of 512 bits.
func HasAVX512() bool { return detected().avx512 }

// HasRDRAND reports whether the CPU announces RDRAND: CPUID leaf 1, ECX bit 30.
func HasRDRAND() bool { return detected().rdrand }

// HasRDSEED reports whether the CPU announces RDSEED: CPUID leaf 7, EBX bit 18.
func HasRDSEED() bool { return detected().rdseed }

// HasVAES256 reports whether the CPU has the AES instructions of x86 for 256 bits at a
// time, and AVX2, with an operating system that saves the registers.
func HasVAES256() bool { return detected().vaes256 }

// HasVAES512 reports the same for 512 bits, and the rest that goes with them: AVX512F,
// AVX512BW and BMI2.
func HasVAES512() bool { return detected().vaes512 }

// AMDFamily returns the family of a CPU made by AMD, the extended family
// included, as 0x19 for Zen 3 and 4; for every other CPU it returns 0.
func AMDFamily() int { return detected().amdFamily }

// HasRNDR reports whether RNDR and RNDRRS are announced, which Arm calls
// FEAT_RNG and has only together: by HWCAP2 bit 16 on Linux, by
// hw.optional.arm.FEAT_RNG on macOS, by ID_AA64ISAR0_EL1 on FreeBSD. Other
// systems, Windows among them, say nothing of it, and it is false.
//
// No CPU of Apple has them so far.
func HasRNDR() bool { return detected().rndr }

// HasDARN reports whether Linux announces DARN of Power ISA 3.0, with bit 21 of
// HWCAP2. AIX has no such word, and it is false there.
func HasDARN() bool { return detected().darn }

// HasTRNG reports whether the CPU announces the function TRNG of PRNO on s390x:
// facility 57, and bit 114 of what the query function stores.
func HasTRNG() bool { return detected().trng }

// Hypervisor reports whether the program runs in a virtual machine, by the bit
// that is reserved for hypervisors to say so: CPUID leaf 1, ECX bit 31.
//
// It is known on x86 only. A hypervisor can hide, and one that is used to
// isolate parts of one operating system shows too; so (false, true) means that
// none admits to be there. Who asks because a virtual machine can be cloned
// treats the unknown as virtual.
func Hypervisor() (virtual, known bool) {
	f := detected()
	return f.hypervisor, f.x86
}

// facts is a copy of what this package answers from.
type facts struct {
	x86        bool // CPUID was there and answered
	hypervisor bool
	aesni      bool
	avx2       bool
	avx512     bool
	rdrand     bool
	rdseed     bool
	amdFamily  int
	rndr       bool
	darn       bool
	trng       bool
	vaes256    bool
	vaes512    bool
}

// detected keeps a copy because cpuid.CPU is open to everybody: a program that
// calls cpuid.Detect writes to it at any time.
var detected = sync.OnceValue(func() facts {
	f := extract(&cpuid.CPU, runtime.GOARCH)
	f.darn, f.trng = hasDARN(), hasTRNG()
	return f
})

// extract takes the facts from c, which describes a CPU of architecture arch.
func extract(c *cpuid.CPUInfo, arch string) facts {
	if arch == "arm64" {
		return facts{rndr: c.Supports(cpuid.RNDR)}
	}
	// Family is 0 where cpuid was built without its assembly, and where the CPU
	// is older than CPUID. All features are unset then, too.
	if arch != "amd64" && arch != "386" || c.Family == 0 {
		return facts{}
	}
	f := facts{
		x86:        true,
		hypervisor: c.Supports(cpuid.HYPERVISOR),
		aesni:      c.Supports(cpuid.AESNI),
		avx2:       c.Supports(cpuid.AVX2),
		avx512:     c.Supports(cpuid.AVX2, cpuid.AVX512F, cpuid.AVX512VL),
		rdrand:     c.Supports(cpuid.RDRAND),
		rdseed:     c.Supports(cpuid.RDSEED),
	}
	f.vaes256 = c.Supports(cpuid.VAES, cpuid.AVX2)
	f.vaes512 = f.vaes256 && c.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.BMI2)
	if c.VendorID == cpuid.AMD {
		f.amdFamily = c.Family
	}
	return f
}
