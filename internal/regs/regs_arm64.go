//go:build !purego

package regs

func size() (n, width int) { return 32, 16 }

//go:noescape
func load(v *Vectors)

//go:noescape
func store(v *Vectors)
