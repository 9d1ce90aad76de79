package main

import "fmt"

// Registers: the lanes come first, in the order of the caller.
const (
	columns = 25 // what θ adds to the columns: 5 of them
	first   = 30 // for anything
	second  = 31
)

func xmm(n int) string { return fmt.Sprintf("X%d", n) }

// ahead is by how many rows θ, ρ and π are ahead of χ. A processor that takes first what is oldest
// then begins with the rotations, for which it has only half of its vector units. On a Zen 4 the
// permutation takes 197 ns so, and 209 ns row by row.
const ahead = 2

// avx512 writes the permutation with VPTERNLOGQ and VPROLQ of AVX-512 F and VL. There is a register
// for every lane, so that π costs nothing and memory is not touched in between. A row in a register, of
// 512 bits, takes a third of the instructions, but two times VPERMQ, of five cycles, in each round,
// and every instruction takes a unit for two cycles: that was 268 ns.
//
// The upper half of the registers is of no use, and holds nothing secret: zeros at first, to which ι
// adds its constants, too.
func avx512(f *file) {
	f.text("·permuteAVX512", "0-8", "func permuteAVX512(s *State)")
	f.op("MOVQ", "s+0(FP)", "DI")
	for n := range 25 {
		f.op("VMOVQ", at(8*n, "DI"), xmm(n))
	}
	f.op("LEAQ", "roundConstants<>(SB)", "SI")
	f.raw("")
	f.raw("rounds:")
	for i := range period {
		f.raw("")
		f.comment("θ: C, and then D[x] where C[x-1] was.")
		reg := func(l lane) string { return xmm(l.place(i)) }
		d := func(x int) string { return xmm(columns + mod(x-1)) }
		for x := range 5 {
			c := d(x + 1)
			f.op("VMOVDQA64", reg(lane{x, 0}), c)
			f.op("VPTERNLOGQ", "$0x96", reg(lane{x, 1}), reg(lane{x, 2}), c)
			f.op("VPTERNLOGQ", "$0x96", reg(lane{x, 3}), reg(lane{x, 4}), c)
		}
		// D[x] takes the place of C[x-1], which was rotated for D[x-2] just before. Only D[4]
		// comes after C[0] is gone.
		f.op("VPROLQ", "$1", d(1), xmm(first))
		for x := 1; x < 9; x += 2 {
			f.op("VPROLQ", "$1", d(x+2), xmm(second))
			f.op("VPXORQ", xmm(second), d(x), d(x))
		}
		f.op("VPXORQ", xmm(first), d(4), d(4))

		for y := range 5 + ahead {
			if y < 5 {
				f.comment("Row %d: the rest of θ, ρ and π.", y)
				turn(f, y, reg, d)
			}
			if y >= ahead {
				f.comment("Row %d: χ and ι.", y-ahead)
				chi(f, y-ahead, reg, at(8*i, "SI"))
			}
		}
	}
	f.raw("")
	f.op("ADDQ", imm(8*period), "SI")
	f.op("CMPQ", "(SI)", "$0")
	f.op("JNE", "rounds")
	f.raw("")
	for n := range 25 {
		f.op("VMOVQ", xmm(n), at(8*n, "DI"))
	}
	f.op("VZEROALL", "// 0 to 15")
	for n := 16; n < 32; n++ {
		f.op("VPXORQ", xmm(n), xmm(n), xmm(n))
	}
	f.op("RET")
}

// turn writes what brings the lanes of row y into their new places. They go around in a circle,
// by way of a register that is free.
func turn(f *file, y int, reg func(lane) string, d func(x int) string) {
	theta := func(x int, to string) {
		from := source(x, y)
		f.op("VPXORQ", d(from.x), reg(from), to)
	}
	rho := func(x int, from string) {
		to := reg(target(x, y))
		if n := source(x, y).rho(); n != 0 {
			f.op("VPROLQ", imm(n), from, to)
		}
	}
	if y == 0 {
		for x := range 5 {
			r := reg(source(x, y))
			theta(x, r)
			rho(x, r)
		}
		return
	}
	theta(0, xmm(first))
	for n := 1; n < 5; n++ {
		x := mod(-2 * y * n)
		r := reg(source(x, y))
		theta(x, r)
		rho(x, r)
	}
	rho(0, xmm(first))
}

// chi writes χ on row y: VPTERNLOGQ with 0xd2 is a ⊕ (¬b ∧ c), where a is its last operand.
func chi(f *file, y int, reg func(lane) string, constant string) {
	b := func(x int) string { return reg(target(x, y)) }
	f.op("VMOVDQA64", b(0), xmm(first))
	f.op("VMOVDQA64", b(1), xmm(second))
	for n, next := range [5][2]string{{b(1), b(2)}, {b(2), b(3)}, {b(3), b(4)}, {b(4), xmm(first)}, {xmm(first), xmm(second)}} {
		f.op("VPTERNLOGQ", "$0xd2", next[1], next[0], b(n))
	}
	if y == 0 {
		f.op("VPXORQ.BCST", constant, b(0), b(0))
	}
}
