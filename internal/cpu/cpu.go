// Package cpu holds the facts about the CPU that the library decides by.
//
// It is the only importer of [github.com/klauspost/cpuid/v2], whose init
// function examines the CPU before main starts. On x86 that is CPUID and
// nothing else, 66 times on the machine measured; each is an exit to the
// hypervisor in a virtual machine, where all of them took 0.3 to 0.6 ms. On
// other architectures it asks the operating system, and on Linux may read a
// file under /proc for it. It starts no goroutine. This package adds no work at
// import: it copies the facts when the first is asked for, and keeps them.
//
// Facts are what the CPU, or the hypervisor in its place, says of itself. No
// instruction is tried out to learn whether it exists: an illegal instruction
// cannot be recovered from in Go.
//
// The build tag purego makes no difference here. It chooses what is executed,
// not what is known.
package cpu

import (
	"runtime"
	"sync"

	"github.com/klauspost/cpuid/v2"
)

// HasAESNI reports whether the CPU has the AES instructions of x86.
func HasAESNI() bool { return detected().aesni }

// HasRDRAND reports whether the CPU announces RDRAND: CPUID leaf 1, ECX bit 30.
func HasRDRAND() bool { return detected().rdrand }

// HasRDSEED reports whether the CPU announces RDSEED: CPUID leaf 7, EBX bit 18.
func HasRDSEED() bool { return detected().rdseed }

// AMDFamily returns the family of a CPU made by AMD, the extended family
// included, as 0x19 for Zen 3 and 4; for every other CPU it returns 0.
func AMDFamily() int { return detected().amdFamily }

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
	rdrand     bool
	rdseed     bool
	amdFamily  int
}

// detected keeps a copy because cpuid.CPU is open to everybody: a program that
// calls cpuid.Detect writes to it at any time.
var detected = sync.OnceValue(func() facts { return extract(&cpuid.CPU, runtime.GOARCH) })

// extract takes the facts from c, which describes a CPU of architecture arch.
func extract(c *cpuid.CPUInfo, arch string) facts {
	// Family is 0 where cpuid was built without its assembly, and where the CPU
	// is older than CPUID. All features are unset then, too.
	if arch != "amd64" && arch != "386" || c.Family == 0 {
		return facts{}
	}
	f := facts{
		x86:        true,
		hypervisor: c.Supports(cpuid.HYPERVISOR),
		aesni:      c.Supports(cpuid.AESNI),
		rdrand:     c.Supports(cpuid.RDRAND),
		rdseed:     c.Supports(cpuid.RDSEED),
	}
	if c.VendorID == cpuid.AMD {
		f.amdFamily = c.Family
	}
	return f
}
