package cpu

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/cpuid/v2"
)

// machine describes a CPU to cpuid.
func machine(vendor cpuid.Vendor, family int, features ...cpuid.FeatureID) *cpuid.CPUInfo {
	c := &cpuid.CPUInfo{VendorID: vendor, Family: family}
	c.Enable(features...)
	return c
}

func TestExtract(t *testing.T) {
	for _, tt := range []struct {
		name string
		cpu  *cpuid.CPUInfo
		arch string
		want facts
	}{
		{"Zen 4 guest", machine(cpuid.AMD, 0x19, cpuid.RDRAND, cpuid.RDSEED, cpuid.AESNI, cpuid.HYPERVISOR), "amd64",
			facts{x86: true, hypervisor: true, aesni: true, rdrand: true, rdseed: true, amdFamily: 0x19}},
		{"Excavator", machine(cpuid.AMD, 0x15, cpuid.RDRAND, cpuid.AESNI), "amd64",
			facts{x86: true, aesni: true, rdrand: true, amdFamily: 0x15}},
		{"Ivy Bridge", machine(cpuid.Intel, 6, cpuid.RDRAND), "amd64", facts{x86: true, rdrand: true}},
		{"Haswell", machine(cpuid.Intel, 6, cpuid.AVX, cpuid.AVX2), "amd64", facts{x86: true, avx2: true}},
		{"AVX alone", machine(cpuid.Intel, 6, cpuid.AVX), "amd64", facts{x86: true}},
		{"Knights Landing", machine(cpuid.Intel, 6, cpuid.AVX2, cpuid.AVX512F), "amd64", facts{x86: true, avx2: true}},
		{"Skylake-X", machine(cpuid.Intel, 6, cpuid.AVX2, cpuid.AVX512F, cpuid.AVX512VL), "amd64", facts{x86: true, avx2: true, avx512: true}},
		{"VL without F", machine(cpuid.Intel, 6, cpuid.AVX2, cpuid.AVX512VL), "amd64", facts{x86: true, avx2: true}},
		{"RDSEED alone", machine(cpuid.Intel, 6, cpuid.RDSEED), "386", facts{x86: true, rdseed: true}},
		{"hypervisor alone", machine(cpuid.Intel, 6, cpuid.HYPERVISOR), "386", facts{x86: true, hypervisor: true}},
		// Hygon makes Zen under licence. It is not AMD, and has no family before 0x18.
		{"Dhyana", machine(cpuid.Hygon, 0x18, cpuid.RDRAND, cpuid.RDSEED), "amd64",
			facts{x86: true, rdrand: true, rdseed: true}},
		{"CPUID did not answer", machine(cpuid.VendorUnknown, 0), "amd64", facts{}},
		{"VAES with AVX-512", machine(cpuid.AMD, 0x19, cpuid.AESNI, cpuid.VAES, cpuid.AVX2, cpuid.AVX512F, cpuid.AVX512BW, cpuid.BMI2), "amd64",
			facts{x86: true, aesni: true, avx2: true, vaes256: true, vaes512: true, amdFamily: 0x19}},
		{"VAES with AVX2", machine(cpuid.AMD, 0x19, cpuid.AESNI, cpuid.VAES, cpuid.AVX2, cpuid.BMI2), "amd64",
			facts{x86: true, aesni: true, avx2: true, vaes256: true, amdFamily: 0x19}},
		{"VAES, registers not saved", machine(cpuid.AMD, 0x19, cpuid.AESNI, cpuid.VAES, cpuid.BMI2), "amd64",
			facts{x86: true, aesni: true, amdFamily: 0x19}},
		{"AVX-512 without VAES", machine(cpuid.Intel, 6, cpuid.AESNI, cpuid.AVX512F, cpuid.AVX512BW, cpuid.BMI2), "amd64",
			facts{x86: true, aesni: true}},
		{"not x86", machine(cpuid.ARM, 8, cpuid.RDRAND, cpuid.RDSEED, cpuid.AESNI, cpuid.HYPERVISOR), "arm64", facts{}},
		{"Neoverse V1", machine(cpuid.ARM, 0x1f, cpuid.RNDR), "arm64", facts{rndr: true}},
		{"RNDR, registers not shown", machine(cpuid.VendorUnknown, 0, cpuid.RNDR), "arm64", facts{rndr: true}},
		{"RNDR on x86", machine(cpuid.Intel, 6, cpuid.RNDR), "amd64", facts{x86: true}},
		{"RNDR elsewhere", machine(cpuid.VendorUnknown, 0, cpuid.RNDR), "riscv64", facts{}},
	} {
		if got := extract(tt.cpu, tt.arch); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// The functions answer from the machine they run on, and stay with it.
func TestAnswers(t *testing.T) {
	want := extract(&cpuid.CPU, runtime.GOARCH)
	want.darn, want.trng = hasDARN(), hasTRNG()
	check := func(when string) {
		t.Helper()
		virtual, known := Hypervisor()
		got := facts{known, virtual, HasAESNI(), HasAVX2(), HasAVX512(), HasRDRAND(), HasRDSEED(), AMDFamily(), HasRNDR(), HasDARN(), HasTRNG(), HasVAES256(), HasVAES512()}
		if got != want {
			t.Errorf("%s: got %+v, want %+v", when, got, want)
		}
		for arch, has := range map[string]bool{"arm64": got.rndr, "ppc64": got.darn, "s390x": got.trng} {
			if has && !strings.HasPrefix(runtime.GOARCH, arch) {
				t.Errorf("%s: what only %s has: %+v", when, arch, got)
			}
		}
		if isX86 := runtime.GOARCH == "amd64" || runtime.GOARCH == "386"; known != isX86 {
			t.Errorf("%s: Hypervisor is known: %v on %s", when, known, runtime.GOARCH)
		}
	}
	check("at first")

	// Anybody can write to cpuid.CPU. The facts must not follow.
	saved := cpuid.CPU
	defer func() { cpuid.CPU = saved }()
	cpuid.CPU = cpuid.CPUInfo{}
	check("after cpuid.CPU was cleared")
}

// DARN is bit 21 of AT_HWCAP2 and of nothing else. The vectors are those of QEMU.
func TestAnnouncesDARN(t *testing.T) {
	for _, tt := range []struct {
		name string
		auxv [][2]uintptr
		want bool
	}{
		{"none", nil, false},
		{"POWER8", [][2]uintptr{{16, 0x58000580}, {26, 0x8e000000}, {0, 0}}, false},
		{"POWER9", [][2]uintptr{{16, 0x58000580}, {26, 0x8ee00000}, {0, 0}}, true},
		{"nothing else", [][2]uintptr{{26, 1 << 21}}, true},
		{"the bits beside", [][2]uintptr{{26, ^uintptr(1 << 21)}}, false},
		{"the wrong words", [][2]uintptr{{16, ^uintptr(0)}, {29, ^uintptr(0)}, {1 << 21, 26}}, false},
	} {
		if got := announcesDARN(tt.auxv); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// TRNG needs both announcements, and PRNO is not executed, to query it, without
// the first.
func TestAnnouncesTRNG(t *testing.T) {
	const ones = 1<<64 - 1
	for _, tt := range []struct {
		name          string
		facilities    uint64
		functions     [2]uint64
		queried, want bool
	}{
		{"none", 0, [2]uint64{ones, ones}, false, false},
		{"all but 57", ones &^ 0x40, [2]uint64{ones, ones}, false, false},
		{"57", 0x40, [2]uint64{}, true, false},
		{"57, all but 114", 0x40, [2]uint64{ones, ones &^ 0x2000}, true, false},
		{"57, 114", 0x40, [2]uint64{0, 0x2000}, true, true},
		// A z14, and the CPU "max" of QEMU: query, SHA-512-DRNG and TRNG.
		{"z14", 0x40, [2]uint64{0x9000000000000000, 0x2000}, true, true},
		{"all", ones, [2]uint64{ones, ones}, true, true},
	} {
		queried := false
		got := announcesTRNG(func() uint64 { return tt.facilities }, func() [2]uint64 { queried = true; return tt.functions })
		if got != tt.want || queried != tt.queried {
			t.Errorf("%s: %v, queried: %v", tt.name, got, queried)
		}
	}
}

// The kernel decodes the same bits on its own.
func TestAgainstKernel(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the names of the features are those of x86")
	}
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Skip("no /proc/cpuinfo to compare with: ", err)
	}
	var flags []string
	for line := range strings.Lines(string(data)) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "flags" {
			flags = strings.Fields(value)
			break
		}
	}
	if flags == nil {
		t.Skip("no flags in /proc/cpuinfo")
	}
	has := func(names ...string) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(flags, name) })
	}
	if got, want := HasVAES256(), has("vaes", "avx2"); got != want {
		t.Errorf("VAES with AVX2: got %v, the kernel says %v", got, want)
	}
	if got, want := HasVAES512(), has("vaes", "avx2", "avx512f", "avx512bw", "bmi2"); got != want {
		t.Errorf("VAES with AVX-512: got %v, the kernel says %v", got, want)
	}
	virtual, _ := Hypervisor()
	for name, got := range map[string]bool{"aes": HasAESNI(), "avx2": HasAVX2(), "avx512vl": HasAVX512(), "rdrand": HasRDRAND(), "rdseed": HasRDSEED(), "hypervisor": virtual} {
		// The kernel strikes what it distrusts, CPUID does not: on the AMD
		// families before 0x17 rdrand, on Zen 5 with old microcode rdseed.
		if want := slices.Contains(flags, name); got != want && !(got && strings.HasPrefix(name, "rd") && AMDFamily() != 0) {
			t.Errorf("%s: got %v, the kernel says %v", name, got, want)
		}
	}
}
