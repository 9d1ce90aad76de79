//go:build linux && (amd64 || arm64)

package drng

import (
	"syscall"
	"testing"
)

// A3: inputs of 2³² bytes are refused by their length alone. They lie in memory
// that cannot be read.
func TestCTRRefusesLongInputs(t *testing.T) {
	const long = 1 << 32
	mem, err := syscall.Mmap(-1, 0, long, syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	if err != nil {
		t.Skip("no address space: ", err)
	}
	defer syscall.Munmap(mem)
	ctrEach(t, true, func(t *testing.T, c *CTR) {
		before := *c
		ctrMustRefuse(t, c, 32, mem, nil)
		if c.Seed(mem, nil) == nil {
			t.Error("seed: no error")
		}
		if c.Seed(ctrPattern(c.seedlen(), 1), mem) == nil {
			t.Error("additional of Seed: no error")
		}
		if c.Seed(mem[:long/2], mem[:long/2]) == nil {
			t.Error("seed and additional together: no error")
		}
		if *c != before {
			t.Error("refused, but the state has changed")
		}
	})
}
