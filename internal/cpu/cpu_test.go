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
		{"RDSEED alone", machine(cpuid.Intel, 6, cpuid.RDSEED), "386", facts{x86: true, rdseed: true}},
		{"hypervisor alone", machine(cpuid.Intel, 6, cpuid.HYPERVISOR), "386", facts{x86: true, hypervisor: true}},
		// Hygon makes Zen under licence. It is not AMD, and has no family before 0x18.
		{"Dhyana", machine(cpuid.Hygon, 0x18, cpuid.RDRAND, cpuid.RDSEED), "amd64",
			facts{x86: true, rdrand: true, rdseed: true}},
		{"CPUID did not answer", machine(cpuid.VendorUnknown, 0), "amd64", facts{}},
		{"not x86", machine(cpuid.ARM, 8, cpuid.RDRAND, cpuid.RDSEED, cpuid.AESNI, cpuid.HYPERVISOR), "arm64", facts{}},
	} {
		if got := extract(tt.cpu, tt.arch); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// The functions answer from the machine they run on, and stay with it.
func TestAnswers(t *testing.T) {
	want := extract(&cpuid.CPU, runtime.GOARCH)
	check := func(when string) {
		t.Helper()
		virtual, known := Hypervisor()
		got := facts{known, virtual, HasAESNI(), HasRDRAND(), HasRDSEED(), AMDFamily()}
		if got != want {
			t.Errorf("%s: got %+v, want %+v", when, got, want)
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
	virtual, _ := Hypervisor()
	for name, got := range map[string]bool{"aes": HasAESNI(), "rdrand": HasRDRAND(), "rdseed": HasRDSEED(), "hypervisor": virtual} {
		// The kernel strikes what it distrusts, CPUID does not: on the AMD
		// families before 0x17 rdrand, on Zen 5 with old microcode rdseed.
		if want := slices.Contains(flags, name); got != want && !(got && strings.HasPrefix(name, "rd") && AMDFamily() != 0) {
			t.Errorf("%s: got %v, the kernel says %v", name, got, want)
		}
	}
}
