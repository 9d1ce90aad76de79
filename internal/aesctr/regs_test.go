package aesctr_test

import (
	"strings"
	"testing"

	"github.com/lrng-go/lrng/internal/aesctr"
	"github.com/lrng-go/lrng/internal/impl"
	"github.com/lrng-go/lrng/internal/regs"
)

// Whatever was in the vector registers before, nothing else is when a function returns.
func TestClearsRegisters(t *testing.T) {
	const before = 0xa5
	var pattern, got regs.Vectors
	pattern.Fill(before)
	if n, _ := regs.Size(); n == 0 {
		return // nor is there assembly
	}
	everywhere(t, func(t *testing.T) {
		if strings.HasSuffix(t.Name(), impl.Generic) {
			return // it uses them as it likes
		}
		r := source(6)
		key, out := make([]byte, 32), make([]byte, 80*blockSize)
		for _, size := range []int{16, 24, 32} {
			fill(r, key)
			var k aesctr.Key
			k.Expand(key[:size])
			var v block
			fill(r, v[:])
			var chains [aesctr.Chains]block
			check := func(what string, n int, f func()) {
				t.Helper()
				// The runtime may use the registers between two functions.
				found := 0
				for range 100 {
					got = pattern
					regs.Load(&pattern)
					f()
					regs.Store(&got)
					if found = got.Other(before); found < 0 {
						return
					}
				}
				t.Fatalf("AES-%d, %s, %d blocks: always something in the registers, last %x in number %d", 8*size, what, n, got[found], found)
			}
			check("Expand", 0, func() { k.Expand(key[:size]) })
			for n := 1; n*blockSize <= len(out); n++ {
				check("CTR", n, func() { k.CTR(out[:n*blockSize], &v) })
			}
			for n := 1; n < 4; n++ {
				check("BCC", n, func() { k.BCC(&chains, out[:n*blockSize]) })
				check("Iterate", n, func() { k.Iterate(out[:n*blockSize], &v) })
			}
			check("Encrypt", 1, func() { k.Encrypt(&v, &v) })
		}
	})
}
