//go:build !purego

package regs

import "github.com/lrng-go/lrng/internal/cpu"

// What size returns. It is found before, since to find it takes registers.
var number, width = detect()

func detect() (n, width int) {
	switch {
	case cpu.HasAVX512():
		return 32, 64
	case cpu.HasAVX2():
		return 16, 32
	}
	return 16, 16
}

func size() (n, width int) { return number, width }

// The functions in regs_amd64.s load and store so many bytes of each register: 64, 32 or 16.

//go:noescape
func loadN(v *Vectors, width int)

//go:noescape
func storeN(v *Vectors, width int)

func load(v *Vectors)  { loadN(v, width) }
func store(v *Vectors) { storeN(v, width) }
