package regs

import (
	"runtime"
	"testing"
)

// What is loaded is stored.
func TestLoadStore(t *testing.T) {
	n, width := Size()
	var v, none Vectors
	for i := range n {
		for j := range width {
			v[i][j] = byte(1 + 7*i + j)
		}
	}
	if runtime.GOARCH == "amd64" {
		clear(v[15][:16])
	}
	// The compiler and the runtime have the registers at some times.
	for range 100 {
		got := none
		Load(&v)
		Store(&got)
		if got == v {
			Load(&none)
			return
		}
	}
	t.Error("what is stored differs from what was loaded, always")
}
