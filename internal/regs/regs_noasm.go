//go:build purego || (!amd64 && !arm64)

package regs

func size() (n, width int) { return 0, 0 }
func load(*Vectors)        {}
func store(*Vectors)       {}
