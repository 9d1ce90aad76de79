// Package regs sets and reads the vector registers of the thread. It is for tests of code that
// has to clear those that it used.
//
// Between two calls of functions the compiler seldom uses them, but the runtime may switch
// to another goroutine there. So a test repeats what it does: what is left in each repeat was left
// by the code that is tested.
package regs

// Vectors holds the registers, each from its low-order byte on. There may be fewer, and they may be
// narrower, than there is room for.
type Vectors [32][64]byte

// Fill sets all bytes to b.
func (v *Vectors) Fill(b byte) {
	for i := range v {
		for j := range v[i] {
			v[i][j] = b
		}
	}
}

// Other returns the number of a register with a byte that is neither 0 nor b, or -1.
func (v *Vectors) Other(b byte) int {
	for i := range v {
		for _, x := range v[i] {
			if x != 0 && x != b {
				return i
			}
		}
	}
	return -1
}

// Size returns how many registers there are, and how wide they are in bytes: 0, 0 if this
// package does not know this processor.
func Size() (n, width int) { return size() }

// Load sets the registers.
func Load(v *Vectors) { load(v) }

// Store sets v to what is in the registers. What v has room for besides is not changed. On amd64
// the 16 low-order bytes of register 15 are zero: the compiler wants them so.
func Store(v *Vectors) { store(v) }
