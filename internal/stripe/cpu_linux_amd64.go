//go:build !purego

package stripe

import "github.com/lrng-go/lrng/internal/cpu"

// KnowsCPU reports whether [CPU] may be called.
func KnowsCPU() bool { return cpu.HasRDPID() }

// CPU returns the number of the processor that the caller runs on, or ran on just now, by RDPID. Linux
// has it in the low 12 bits of IA32_TSC_AUX, for its own getcpu; above them is that of the node.
func CPU() int { return int(rdpid() & (1<<12 - 1)) }

// rdpid is in cpu_linux_amd64.s.
func rdpid() uint32
