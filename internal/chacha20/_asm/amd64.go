package main

import (
	"fmt"
	"slices"
	"strings"
)

// An isa is a set of instructions of amd64.
type isa struct {
	*file
	name   string // of the functions
	avx512 bool   // F and VL, otherwise AVX2
}

// Registers of the routines that are not called from Go.
const (
	state   = "SI"
	dst     = "DI" // where the next block goes
	whole   = "CX" // how many blocks still go to the destination; the others go to scratch
	blocks  = "DX" // how many blocks there are to make
	counter = "BX" // the block counter after the last of them
	scratch = "R8"
	in      = "R9"
	inLen   = "R10"
	rest    = "R11" // bytes behind the last whole block
	update  = "R12"
	tail    = "R13" // where they go
	temp    = "AX"
)

// Places in the state and in scratch, in bytes.
const (
	keyAt     = 16
	counterAt = 48
	nonceAt   = 52
	spillAt   = 96 // the end of the second block, which nobody needs
)

// Tables.
const (
	rol16 = "rol16<>(SB)"
	rol8  = "rol8<>(SB)"
)

func amd64(f *file) {
	f.raw("//go:build !purego")
	f.raw("")
	f.raw(`#include "textflag.h"`)
	f.raw("")
	f.raw("// How bytes are shuffled to rotate the words of 16 bytes, twice.")
	f.table("rol16", slices.Repeat([][4]uint32{{0x01000302, 0x05040706, 0x09080b0a, 0x0d0c0f0e}}, 2))
	f.table("rol8", slices.Repeat([][4]uint32{{0x02010003, 0x06050407, 0x0a09080b, 0x0e0d0c0f}}, 2))
	f.raw("")
	f.raw("// What is added to the last rows of four blocks, and to the counters of sixteen.")
	var rows, words [][4]uint32
	for i := range uint32(4) {
		rows = append(rows, [4]uint32{i})
	}
	for i := uint32(0); i < 16; i += 4 {
		words = append(words, [4]uint32{i, i + 1, i + 2, i + 3})
	}
	f.table("rows", rows)
	f.table("words", words)
	f.raw("")
	f.raw("// Every signal.")
	f.raw("DATA signals<>+0(SB)/8, $0xffffffffffffffff")
	f.raw("GLOBL signals<>(SB), NOPTR|RODATA, $8")
	for _, i := range []*isa{{f, "AVX2", false}, {f, "AVX512", true}} {
		i.blocks()
		i.request()
		i.entries()
	}
}

// table writes data, in lines of four words.
func (f *file) table(name string, lines [][4]uint32) {
	for i, l := range lines {
		f.raw("DATA %s<>+%d(SB)/8, $%#016x", name, 16*i, uint64(l[1])<<32|uint64(l[0]))
		f.raw("DATA %s<>+%d(SB)/8, $%#016x", name, 16*i+8, uint64(l[3])<<32|uint64(l[2]))
	}
	f.raw("GLOBL %s<>(SB), NOPTR|RODATA, $%d", name, 16*len(lines))
}

// ---------------------------------------------------------------------------
// The block function.

// blocks writes the routine that makes blocks.
func (i *isa) blocks() {
	i.text("blocks"+i.name+"<>", "0-0",
		"blocks"+i.name+" makes DX blocks, at least one. The first CX of them go to DI and on, the",
		"others, at most two, to scratch, R8, and on; if CX is 0, then DI is R8. BX is what the counter",
		"will be. The registers that it leaves dirty are those for vectors, AX, CX, DX and DI.")
	i.label("next")
	if i.avx512 {
		i.choose("rows1", "rows2", "rows4", 4, "words8", 8, "words10", 10, "words16", 16, "words18", 18, "words16")
		i.rows("rows1", 'X', 1)
		i.rows("rows2", 'Y', 1)
		i.rows("rows4", 'Z', 1)
		i.words512("words8", 'Y', false)
		i.words512("words10", 'Y', true)
		i.words512("words16", 'Z', false)
		i.words512("words18", 'Z', true)
	} else {
		i.choose("rows1", "rows2", "rows4", 4, "words8")
		i.rows("rows1", 'X', 1)
		i.rows("rows2", 'Y', 1)
		i.rows("rows4", 'Y', 2)
		i.words8("words8")
	}
	i.label("done")
	i.op("MOVL", counter, at(counterAt, state))
	i.op("RET")
}

// choose writes the jump to the kernel: for one block, two, and for up to so many.
func (i *isa) choose(one, two string, most ...any) {
	i.op("CMPQ", blocks, "$2")
	i.op("JB", one)
	i.op("JE", two)
	for ; len(most) > 1; most = most[2:] {
		i.op("CMPQ", blocks, imm(most[1].(int)))
		i.op("JBE", most[0])
	}
	i.op("JMP", most[0])
}

// rotate writes the rotation of each word in the registers by n bits to the left. One
// register is free for it.
func (i *isa) rotate(n int, free string, registers ...string) {
	for _, r := range registers {
		switch {
		case i.avx512:
			i.op("VPROLD", imm(n), r, r)
		case n == 16:
			i.op("VPSHUFB", rol16, r, r)
		case n == 8:
			i.op("VPSHUFB", rol8, r, r)
		default:
			i.op("VPSLLD", imm(n), r, free)
			i.op("VPSRLD", imm(32-n), r, r)
			i.op("VPOR", free, r, r)
		}
	}
}

// xor is the name of an instruction: for 512 bits, and for registers from 16 on, there is only one.
func (i *isa) xor(width byte) string {
	if width == 'Z' {
		return "VPXORD"
	}
	return "VPXOR"
}

// A row is where code has a row of the state: by rows in a register for each of some chains of
// instructions side by side, by words in four registers.
type row []string

// each writes an instruction for each register: y = y op x.
func (i *isa) each(op string, x, y row) {
	for c := range y {
		i.op(op, x[c], y[c], y[c])
	}
}

// shuffle writes the rotation of a row by one to three words to the left.
func (i *isa) shuffle(by int, r row) {
	for _, r := range r {
		i.op("VPSHUFD", []string{1: "$0x39", 2: "$0x4e", 3: "$0x93"}[by], r, r)
	}
}

// rows writes a kernel by rows, with one or two chains side by side. From columns to diagonals the
// first, third and fourth row are rotated, relative to the second, which is complete last: so
// no rotation is waited for.
func (i *isa) rows(name string, width byte, chains int) {
	lanes := map[byte]int{'X': 1, 'Y': 2, 'Z': 4}[width]
	n := lanes * chains
	i.raw("")
	i.comment([]string{1: "One, by rows.", 2: "Two, by rows.", 4: "Up to four, by rows."}[n])
	i.label(name)
	reg := func(n int) string { return fmt.Sprintf("%c%d", width, n) }
	var a, b, c, d, first row // first is the last row as it was
	for ch := range chains {
		a = append(a, reg(4*ch))
		b = append(b, reg(4*ch+1))
		c = append(c, reg(4*ch+2))
		d = append(d, reg(4*ch+3))
		first = append(first, reg(8+ch))
	}
	free := reg(12)
	load := map[byte]string{'X': "VMOVDQU", 'Y': "VBROADCASTI128", 'Z': "VBROADCASTI32X4"}[width]
	move := map[byte]string{'X': "VMOVDQA", 'Y': "VMOVDQA", 'Z': "VMOVDQA32"}[width]
	for k, r := range []row{a, b, c, d} {
		i.op(load, at(16*k, state), r[0])
		for ch := 1; ch < chains; ch++ {
			i.op(move, r[0], r[ch])
		}
	}
	if n > 1 {
		for ch := range chains {
			i.op("VPADDD", fmt.Sprintf("rows<>+%d(SB)", 16*lanes*ch), d[ch], d[ch])
			i.op(move, d[ch], first[ch])
		}
	}
	i.op("MOVL", imm(10), temp)
	i.label(name + "round")
	xor := i.xor(width)
	for k := range 2 {
		i.each("VPADDD", b, a)
		i.each(xor, a, d)
		i.rotate(16, free, d...)
		i.each("VPADDD", d, c)
		i.each(xor, c, b)
		i.rotate(12, free, b...)
		i.each("VPADDD", b, a)
		i.each(xor, a, d)
		if k == 0 {
			i.shuffle(3, a)
		} else {
			i.shuffle(1, a)
		}
		i.rotate(8, free, d...)
		i.each("VPADDD", d, c)
		i.shuffle(2, d)
		i.each(xor, c, b)
		if k == 0 {
			i.shuffle(1, c)
		} else {
			i.shuffle(3, c)
		}
		i.rotate(7, free, b...)
	}
	i.op("DECL", temp)
	i.op("JNZ", name+"round")

	for k, r := range []row{a, b, c} {
		if width == 'X' {
			i.op("VPADDD", at(16*k, state), r[0], r[0])
			continue
		}
		i.op(load, at(16*k, state), free)
		for ch := range chains {
			i.op("VPADDD", free, r[ch], r[ch])
		}
	}
	if n > 1 {
		i.each("VPADDD", first, d)
	} else {
		i.op("VPADDD", at(48, state), d[0], d[0])
	}
	i.op("ADDL", imm(n), at(counterAt, state))

	// Each block is in so many registers, in order.
	var out [][]string
	for ch := range chains {
		x := []string{a[ch], b[ch], c[ch], d[ch]}
		switch width {
		case 'X':
			out = append(out, x)
		case 'Y':
			t0, t1 := reg(12), reg(13)
			if ch > 0 {
				t0, t1 = reg(14), reg(15)
			}
			i.op("VPERM2I128", "$0x20", x[1], x[0], t0)
			i.op("VPERM2I128", "$0x31", x[1], x[0], x[0])
			i.op("VPERM2I128", "$0x20", x[3], x[2], t1)
			i.op("VPERM2I128", "$0x31", x[3], x[2], x[2])
			out = append(out, []string{t0, t1}, []string{x[0], x[2]})
		case 'Z':
			for _, r := range i.lanes(x, []string{reg(12), reg(13), reg(14), reg(15)}, x) {
				out = append(out, []string{r})
			}
		}
	}
	i.store(name, width, out)
}

// lanes writes the transposition of four registers of four lanes to out, by way of t.
func (i *isa) lanes(x, t, out []string) []string {
	i.op("VSHUFI32X4", "$0x44", x[1], x[0], t[0])
	i.op("VSHUFI32X4", "$0xee", x[1], x[0], t[1])
	i.op("VSHUFI32X4", "$0x44", x[3], x[2], t[2])
	i.op("VSHUFI32X4", "$0xee", x[3], x[2], t[3])
	i.op("VSHUFI32X4", "$0x88", t[2], t[0], out[0])
	i.op("VSHUFI32X4", "$0xdd", t[2], t[0], out[1])
	i.op("VSHUFI32X4", "$0x88", t[3], t[1], out[2])
	i.op("VSHUFI32X4", "$0xdd", t[3], t[1], out[3])
	return out
}

// store writes the end of a kernel, which stores the blocks that are wanted. Each is in one
// register or more.
func (i *isa) store(name string, width byte, out [][]string) {
	move := map[byte]string{'X': "VMOVDQU", 'Y': "VMOVDQU", 'Z': "VMOVDQU32"}[width]
	put := func(offset int, block []string) {
		for k, r := range block {
			i.op(move, r, at(offset+k*64/len(block), dst))
		}
	}
	n := len(out)
	if n > 2 {
		i.op("CMPQ", whole, imm(n))
		i.op("JB", name+"part")
		for k, block := range out {
			put(64*k, block)
		}
		i.op("ADDQ", imm(64*n), dst)
		i.op("SUBQ", imm(n), whole)
		i.op("CMOVQEQ", scratch, dst)
		i.op("SUBQ", imm(n), blocks)
		i.op("JNZ", "next")
		i.op("JMP", "done")
		i.label(name + "part")
	}
	for _, block := range out {
		put(0, block)
		i.op("ADDQ", imm(64), dst)
		i.op("DECQ", whole)
		i.op("CMOVQEQ", scratch, dst)
		i.op("DECQ", blocks)
		i.op("JZ", "done")
	}
	i.op("JMP", "next")
}

// words512 writes the kernel by words for AVX-512, of 16 blocks or of 8. With two set it makes one
// or two blocks more, by rows, in the time that is left between the others.
func (i *isa) words512(name string, width byte, two bool) {
	lanes := map[byte]int{'Y': 8, 'Z': 16}[width]
	i.raw("")
	if two {
		i.comment(fmt.Sprintf("%d or %d, of which %d by words.", lanes+1, lanes+2, lanes))
	} else {
		i.comment(fmt.Sprintf("Up to %d, by words.", lanes))
	}
	i.label(name)
	var w, t []string
	for k := range 16 {
		w = append(w, fmt.Sprintf("%c%d", width, k))
	}
	for k := range 4 {
		t = append(t, fmt.Sprintf("%c%d", width, 16+k))
	}
	first := t[3] // word 12 as it was
	for k := range 16 {
		i.op("VPBROADCASTD", at(4*k, state), w[k])
	}
	i.op("VPADDD", "words<>(SB)", w[12], w[12])
	i.op("VMOVDQA32", w[12], first)
	i.op("ADDL", imm(lanes), at(counterAt, state))
	ra, rb, rc, rd, rfirst, rfree := "Y20", "Y21", "Y22", "Y23", "Y24", "Y25"
	if two {
		for k, r := range []string{ra, rb, rc, rd} {
			i.op("VBROADCASTI32X4", at(16*k, state), r)
		}
		i.op("VPADDD", "rows<>(SB)", rd, rd)
		i.op("VMOVDQA32", rd, rfirst)
	}
	i.op("MOVL", imm(10), temp)
	i.label(name + "round")
	var more []quarter
	if two {
		more = []quarter{{ra, rb, rc, rd}}
	}
	i.doubleRound(w, more)
	i.op("DECL", temp)
	i.op("JNZ", name+"round")
	for k := range 16 {
		if k == 12 {
			i.op("VPADDD", first, w[k], w[k])
		} else {
			i.op("VPADDD.BCST", at(4*k, state), w[k], w[k])
		}
	}
	var extra [][]string
	if two {
		for k, r := range []string{ra, rb, rc} {
			i.op("VBROADCASTI32X4", at(16*k, state), rfree)
			i.op("VPADDD", rfree, r, r)
		}
		i.op("VPADDD", rfirst, rd, rd)
		i.op("VSHUFI32X4", "$0", rb, ra, rfirst)
		i.op("VSHUFI32X4", "$3", rb, ra, ra)
		i.op("VSHUFI32X4", "$0", rd, rc, rfree)
		i.op("VSHUFI32X4", "$3", rd, rc, rc)
		extra = [][]string{{rfirst, rfree}, {ra, rc}}
	}

	if width == 'Y' {
		i.comment("The halves of the blocks.")
		one, free := i.halves(w[:8], t[0])
		two, _ := i.halves(w[8:], free)
		var out [][]string
		for k := range 8 {
			out = append(out, []string{one[k], two[k]})
		}
		i.store(name, 'Z', append(out, extra...))
		return
	}
	i.comment("Words k to k+3 of block 4l+j to lane l of register k+j.")
	for k := 0; k < 16; k += 4 {
		i.op("VPUNPCKLDQ", w[k+1], w[k], t[0])
		i.op("VPUNPCKHDQ", w[k+1], w[k], t[1])
		i.op("VPUNPCKLDQ", w[k+3], w[k+2], t[2])
		i.op("VPUNPCKHDQ", w[k+3], w[k+2], t[3])
		i.op("VPUNPCKLQDQ", t[2], t[0], w[k])
		i.op("VPUNPCKHQDQ", t[2], t[0], w[k+1])
		i.op("VPUNPCKLQDQ", t[3], t[1], w[k+2])
		i.op("VPUNPCKHQDQ", t[3], t[1], w[k+3])
	}
	i.comment("Lane l of registers j, 4+j, 8+j and 12+j to block 4l+j.")
	out := make([][]string, 16)
	for j := range 4 {
		x := []string{w[j], w[4+j], w[8+j], w[12+j]}
		for l, r := range i.lanes(x, t, x) {
			out[4*l+j] = []string{r}
		}
	}
	i.store(name, 'Z', append(out, extra...))
}

// A quarter is where the four words of a quarter round are.
type quarter struct{ a, b, c, d string }

// doubleRound writes a column round and a diagonal round on words, and on rows if there are some.
//
// Of the quarter rounds two are a step behind the two others, so that there is always something else to
// do than rotations, which only half of the execution units can: that is 4 % on Zen 4. In
// a diagonal round those come first that begin with what was complete first.
func (i *isa) doubleRound(w []string, rows []quarter) {
	isLate := [2][4]bool{{2: true, 3: true}, {1: true, 2: true}}
	var early, late [24][]string // instructions at each step
	for n, round := range quarters {
		for k, q := range round {
			x := &early
			if isLate[n][k] {
				x = &late
			}
			for step, line := range i.steps(quarter{w[q[0]], w[q[1]], w[q[2]], w[q[3]]}) {
				x[12*n+step] = append(x[12*n+step], line)
			}
		}
		for _, q := range rows {
			lines := i.steps(q)
			// As in the kernels by rows: each is rotated when it is complete and not needed.
			to := [2][3]string{{"$0x93", "$0x4e", "$0x39"}, {"$0x39", "$0x4e", "$0x93"}}[n]
			lines[7] += "\n" + instruction("VPSHUFD", to[0], q.a, q.a)
			lines[9] += "\n" + instruction("VPSHUFD", to[1], q.d, q.d)
			lines[10] += "\n" + instruction("VPSHUFD", to[2], q.c, q.c)
			for step, line := range lines {
				early[12*n+step] = append(early[12*n+step], line)
			}
		}
	}
	for step := range len(early) + 1 {
		if step < len(early) {
			i.raw("%s", strings.Join(early[step], "\n"))
		}
		if step > 0 {
			i.raw("%s", strings.Join(late[step-1], "\n"))
		}
	}
}

// steps returns the instructions of a quarter round.
func (i *isa) steps(q quarter) (lines []string) {
	for _, by := range [2][2]int{{16, 12}, {8, 7}} {
		lines = append(lines,
			instruction("VPADDD", q.b, q.a, q.a),
			instruction("VPXORD", q.a, q.d, q.d),
			instruction("VPROLD", imm(by[0]), q.d, q.d),
			instruction("VPADDD", q.d, q.c, q.c),
			instruction("VPXORD", q.c, q.b, q.b),
			instruction("VPROLD", imm(by[1]), q.b, q.b))
	}
	return lines
}

// words8 writes the kernel by words for AVX2. There are as many registers as words, and one is
// needed to rotate: word 8 is in scratch while it is not needed.
func (i *isa) words8(name string) {
	i.raw("")
	i.comment("Up to 8, by words. Word 8 is in scratch while Y8 is needed for others.")
	i.label(name)
	var w []string
	for k := range 16 {
		w = append(w, fmt.Sprintf("Y%d", k))
	}
	free, spill := w[8], at(spillAt, scratch)
	for k := range 16 {
		i.op("VPBROADCASTD", at(4*k, state), w[k])
	}
	i.op("VMOVDQU", w[8], spill)
	i.op("VPADDD", "words<>(SB)", w[12], w[12])
	i.op("MOVL", imm(10), temp)
	i.label(name + "round")
	for _, q := range quarters {
		var a, b, c, d row
		for _, q := range q {
			a = append(a, w[q[0]])
			b = append(b, w[q[1]])
			c = append(c, w[q[2]])
			d = append(d, w[q[3]])
		}
		half := func(x, y int) {
			i.each("VPADDD", b, a)
			i.each("VPXOR", a, d)
			i.rotate(x, "", d...)
			for k := range c {
				if c[k] == free {
					i.op("VPADDD", spill, d[k], c[k])
				} else {
					i.op("VPADDD", d[k], c[k], c[k])
				}
			}
			i.each("VPXOR", c, b)
			i.op("VMOVDQU", free, spill)
			i.rotate(y, free, b...)
		}
		half(16, 12)
		half(8, 7)
	}
	i.op("DECL", temp)
	i.op("JNZ", name+"round")
	for k := range 16 {
		if k == 8 {
			continue
		}
		i.op("VPBROADCASTD", at(4*k, state), free)
		if k == 12 {
			i.op("VPADDD", "words<>(SB)", free, free)
		}
		i.op("VPADDD", free, w[k], w[k])
	}
	i.op("ADDL", imm(8), at(counterAt, state))

	i.comment("The first halves of the blocks.")
	one, free := i.halves(w[:8], free)
	last := one[7]
	i.comment("Word 8, and in its place the last of them.")
	w[8], free = free, last
	i.op("VPBROADCASTD", at(32, state), w[8])
	i.op("VPADDD", spill, w[8], w[8])
	i.op("VMOVDQU", last, spill)
	i.comment("The second halves.")
	two, free := i.halves(w[8:], free)
	i.op("VMOVDQU", spill, free)
	one[7] = free
	var out [][]string
	for k := range 8 {
		out = append(out, []string{one[k], two[k]})
	}
	i.store(name, 'Y', out)
}

// halves writes the transposition of eight words of eight blocks. It returns the registers
// of the blocks, and the one that is free then.
func (i *isa) halves(w []string, free string) ([]string, string) {
	x := slices.Clone(w)
	// Of two registers the lower parts replace the first, and the upper parts are where
	// it is free, so that the second is free then.
	pairs := func(distance int, lower, upper string) {
		for k := range x {
			if k&distance == 0 {
				j := k + distance
				i.op(upper, x[j], x[k], free)
				i.op(lower, x[j], x[k], x[k])
				x[j], free = free, x[j]
			}
		}
	}
	pairs(1, "VPUNPCKLDQ", "VPUNPCKHDQ")
	pairs(2, "VPUNPCKLQDQ", "VPUNPCKHQDQ")
	if i.avx512 {
		pairs(4, "VSHUFI32X4 $0,", "VSHUFI32X4 $3,") // for all registers
	} else {
		pairs(4, "VPERM2I128 $0x20,", "VPERM2I128 $0x31,")
	}
	return []string{x[0], x[2], x[1], x[3], x[4], x[6], x[5], x[7]}, free
}

// ---------------------------------------------------------------------------
// Requests.

// request writes the routine that serves a request.
func (i *isa) request() {
	i.text("request"+i.name+"<>", "0-0",
		"request"+i.name+" XORs R10 bytes from R9 on onto the key of the state SI, 32 at a time, with an",
		"update after each. Then it fills R11 bytes from R13 on with key stream, and updates the key if R12",
		"is not 0. R8 is scratch. When it returns nothing secret is in any register.")
	i.label("absorb")
	i.op("TESTQ", inLen, inLen)
	i.op("JZ", "output")
	i.op("CMPQ", inLen, "$32")
	i.op("JB", "short")
	i.op("VMOVDQU", at(0, in), "X0")
	i.op("VMOVDQU", at(16, in), "X1")
	i.xorKey()
	i.op("ADDQ", "$32", in)
	i.op("SUBQ", "$32", inLen)
	i.op("JMP", "step")
	i.label("short")
	i.op("XORL", whole, whole)
	i.label("byte")
	i.op("MOVBLZX", "("+in+")("+whole+"*1)", temp)
	i.op("XORB", temp, at(keyAt, state)+"("+whole+"*1)")
	i.op("INCQ", whole)
	i.op("CMPQ", whole, inLen)
	i.op("JB", "byte")
	i.op("XORL", inLen, inLen)
	i.label("step")
	i.op("MOVQ", scratch, dst)
	i.op("XORL", whole, whole)
	i.op("MOVL", "$1", blocks)
	i.op("MOVL", at(counterAt, state), counter)
	i.op("INCL", counter)
	i.op("CALL", "blocks"+i.name+"<>(SB)")
	i.op("XORL", temp, temp)
	i.update()
	i.op("JMP", "absorb")

	i.raw("")
	i.comment("How many blocks go to the destination, and how many are made. The key takes what",
		"is left of the last one, if that suffices, or one more.")
	i.label("output")
	i.op("MOVQ", rest, whole)
	i.op("SHRQ", "$6", whole)
	i.op("ANDL", "$63", rest)
	i.op("MOVQ", tail, dst)
	i.op("MOVQ", whole, temp)
	i.op("SHLQ", "$6", temp)
	i.op("ADDQ", temp, tail)
	i.op("MOVQ", whole, blocks)
	i.op("TESTL", update, update)
	i.op("JNZ", "last")
	i.op("TESTL", rest, rest)
	i.op("JZ", "count")
	i.op("INCQ", blocks)
	i.op("JMP", "count")
	i.label("last")
	i.op("INCQ", blocks)
	i.op("CMPL", rest, "$32")
	i.op("JBE", "count")
	i.op("INCQ", blocks)
	i.label("count")
	i.op("TESTQ", blocks, blocks)
	i.op("JZ", "wipe")
	i.op("TESTQ", whole, whole)
	i.op("CMOVQEQ", scratch, dst)
	i.op("MOVL", at(counterAt, state), counter)
	i.op("ADDL", blocks, counter)
	i.op("CALL", "blocks"+i.name+"<>(SB)")

	i.raw("")
	i.comment("The rest of the output, of the first block in scratch.")
	i.op("XORL", temp, temp)
	for n := 32; n > 0; n /= 2 {
		next := fmt.Sprintf("rest%d", n)
		i.op("TESTL", imm(n), rest)
		i.op("JZ", next)
		from, to := "("+scratch+")("+temp+"*1)", "("+tail+")("+temp+"*1)"
		switch n {
		case 32:
			i.op("VMOVDQU", "0"+from, "X0")
			i.op("VMOVDQU", "16"+from, "X1")
			i.op("VMOVDQU", "X0", "0"+to)
			i.op("VMOVDQU", "X1", "16"+to)
		case 16:
			i.op("VMOVDQU", from, "X0")
			i.op("VMOVDQU", "X0", to)
		default:
			move := map[int]string{8: "MOVQ", 4: "MOVL", 2: "MOVW", 1: "MOVB"}[n]
			i.op(move, from, dst)
			i.op(move, dst, to)
		}
		if n > 1 {
			i.op("ADDQ", imm(n), temp)
		}
		i.label(next)
	}
	i.op("TESTL", update, update)
	i.op("JZ", "wipe")
	i.comment("The words of which nothing was used, or the second block.")
	i.op("LEAQ", "3("+rest+")", temp)
	i.op("ANDL", "$~3", temp)
	i.op("CMPL", rest, "$32")
	i.op("MOVL", "$64", dst)
	i.op("CMOVLHI", dst, temp)
	i.update()

	i.raw("")
	i.label("wipe")
	i.op("VPXOR", "Y0", "Y0", "Y0")
	for k := 0; k < 128; k += 32 {
		i.op("VMOVDQU", "Y0", at(k, scratch))
	}
	i.op("VZEROALL")
	if i.avx512 {
		for k := 16; k < 26; k++ {
			r := fmt.Sprintf("X%d", k)
			i.op("VPXORD", r, r, r)
		}
	}
	i.op("XORL", temp, temp)
	i.op("XORL", dst, dst)
	i.op("RET")
}

// xorKey writes the XOR of X0 and X1 onto the key.
func (i *isa) xorKey() {
	i.op("VPXOR", at(keyAt, state), "X0", "X0")
	i.op("VPXOR", at(keyAt+16, state), "X1", "X1")
	i.op("VMOVDQU", "X0", at(keyAt, state))
	i.op("VMOVDQU", "X1", at(keyAt+16, state))
}

// update writes the update of the key from scratch, where AX says, and of the nonce.
func (i *isa) update() {
	i.op("VMOVDQU", "0("+scratch+")("+temp+"*1)", "X0")
	i.op("VMOVDQU", "16("+scratch+")("+temp+"*1)", "X1")
	i.xorKey()
	i.op("ADDQ", "$1", at(nonceAt, state))
	i.op("ADCL", "$0", at(nonceAt+8, state))
}

// entries writes the functions for Go.
func (i *isa) entries() {
	load := func() {
		i.op("MOVQ", "out_base+0(FP)", tail)
		i.op("MOVQ", "out_len+8(FP)", rest)
		i.op("MOVQ", "in_base+24(FP)", in)
		i.op("MOVQ", "in_len+32(FP)", inLen)
		i.op("MOVQ", "s+48(FP)", state)
		i.op("MOVQ", "scratch+56(FP)", scratch)
		i.op("MOVBLZX", "update+64(FP)", update)
		i.op("CALL", "request"+i.name+"<>(SB)")
	}
	i.text("·request"+i.name, "0-65", "func request"+i.name+"(out, in []byte, s *State, scratch *Scratch, update bool)")
	load()
	i.op("RET")

	i.text("·hardened"+i.name, "8-80", "func hardened"+i.name+"(out, in []byte, s *State, scratch *Scratch, update bool) (errno uintptr)")
	i.op("XORL", "DI", "DI // SIG_BLOCK")
	i.op("LEAQ", "signals<>(SB)", "SI")
	i.op("LEAQ", "mask-8(SP)", "DX")
	i.op("MOVL", "$8", "R10")
	i.op("MOVL", "$14", "AX // rt_sigprocmask")
	i.op("SYSCALL")
	i.op("TESTQ", "AX", "AX")
	i.op("JNZ", "refused")
	load()
	i.op("MOVL", "$2", "DI // SIG_SETMASK")
	i.op("LEAQ", "mask-8(SP)", "SI")
	i.op("XORL", "DX", "DX")
	i.op("MOVL", "$8", "R10")
	i.op("MOVL", "$14", "AX")
	i.op("SYSCALL")
	i.label("refused")
	i.op("NEGQ", "AX")
	i.op("MOVQ", "AX", "errno+72(FP)")
	i.op("RET")
}
