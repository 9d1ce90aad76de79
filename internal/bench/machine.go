package main

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/klauspost/cpuid/v2"
	"github.com/lrng-go/lrng"
)

// A machine is what the figures hold for.
type machine struct {
	CPU      string
	Features []string // of the processor, as far as they matter here
	Virtual  string
	Kernel   string
	Go       string
	Procs    int
	Load     string
	Package  string // what lrng.Read is like here
	Date     string
}

// thisMachine describes this machine, today. It is called before anything is measured.
func thisMachine() machine {
	m := machine{
		CPU:    strings.TrimSpace(cpuid.CPU.BrandName),
		Kernel: kernel(),
		Go:     fmt.Sprintf("%s %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH),
		Procs:  runtime.GOMAXPROCS(0),
		Load:   load(),
		Date:   time.Now().UTC().Format(time.DateOnly),
	}
	st := lrng.Default().Status()
	m.Package = fmt.Sprintf("%s, %d bytes with the same inputs, ahead of need: %s; memory: %s", st.DRNG, st.OutputBuffer, st.OutputBufferReason, st.Memory)
	if m.CPU == "" {
		m.CPU = "unknown"
	}
	if cpuid.CPU.Family != 0 {
		m.CPU += fmt.Sprintf(", family %#x, model %#x, stepping %d", cpuid.CPU.Family, cpuid.CPU.Model, cpuid.CPU.Stepping)
	}
	for _, f := range []cpuid.FeatureID{
		cpuid.AESNI, cpuid.VAES, cpuid.AVX2, cpuid.AVX512F, cpuid.AVX512VL, cpuid.SHA, cpuid.RDRAND, cpuid.RDSEED,
		cpuid.AESARM, cpuid.ASIMD, cpuid.SHA2, cpuid.SHA512, cpuid.RNDR,
	} {
		if cpuid.CPU.Supports(f) {
			m.Features = append(m.Features, f.String())
		}
	}
	if runtime.GOARCH == "amd64" || runtime.GOARCH == "386" {
		m.Virtual = "not virtual, as far as the processor says"
		if cpuid.CPU.Supports(cpuid.HYPERVISOR) {
			m.Virtual = "virtual"
			if cpuid.CPU.HypervisorVendorString != "" {
				m.Virtual += " (" + strings.TrimSpace(strings.Trim(cpuid.CPU.HypervisorVendorString, "\x00")) + ")"
			}
		}
	}
	return m
}
