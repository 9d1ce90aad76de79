package main

import "fmt"

// generic writes the portable code. The compiler finds registers, or spills to the stack.
func generic(f *file) {
	f.raw("package keccak")
	f.raw("")
	f.raw(`import "math/bits"`)
	f.raw("")
	f.raw("// roundConstants are those of ι, FIPS 202, Section 3.2.5.")
	f.raw("var roundConstants = [%d]uint64{", rounds)
	for _, c := range roundConstants() {
		f.raw("%#016x,", c)
	}
	f.raw("}")
	f.raw("")
	f.raw("// permuteGeneric is Permute in portable Go.")
	f.raw("func permuteGeneric(s *State) {")
	f.raw("for i := 0; i < len(roundConstants); i += %d {", period)
	for i := range period {
		if i > 0 {
			f.raw("")
		}
		at := func(x, y int) int { return lane{x, y}.place(i) }
		declare := "="
		if i == 0 {
			declare = ":="
		}
		for x := range 5 {
			f.raw("b%d %s s[%d] ^ s[%d] ^ s[%d] ^ s[%d] ^ s[%d]", x, declare, at(x, 0), at(x, 1), at(x, 2), at(x, 3), at(x, 4))
		}
		for x := range 5 {
			f.raw("d%d %s b%d ^ bits.RotateLeft64(b%d, 1)", x, declare, mod(x-1), mod(x+1))
		}
		for y := range 5 {
			for x := range 5 {
				from := source(x, y)
				term := fmt.Sprintf("s[%d] ^ d%d", from.place(i), from.x)
				if n := from.rho(); n != 0 {
					term = fmt.Sprintf("bits.RotateLeft64(%s, %d)", term, n)
				}
				f.raw("b%d = %s", x, term)
			}
			for x := range 5 {
				iota := ""
				if x == 0 && y == 0 {
					iota = fmt.Sprintf("^ roundConstants[i+%d]", i)
				}
				f.raw("s[%d] = b%d ^ b%d&^b%d%s", target(x, y).place(i), x, mod(x+2), mod(x+1), iota)
			}
		}
	}
	f.raw("}")
	f.raw("}")
}
