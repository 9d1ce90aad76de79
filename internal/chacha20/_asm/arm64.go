package main

import "fmt"

// Registers of the routines that are not called from Go. R8 is for the number of a system call.
const (
	rState   = "R0"
	rDst     = "R1" // where the next block goes
	rWhole   = "R2" // how many blocks still go to the destination; the others go to scratch
	rBlocks  = "R3" // how many blocks there are to make
	rCounter = "R4" // the block counter after the last of them
	rScratch = "R5"
	rIn      = "R6"
	rInLen   = "R7"
	rRest    = "R9" // bytes behind the last whole block
	rUpdate  = "R10"
	rTail    = "R11" // where they go
	rTemp    = "R12"
	rTemp2   = "R13"
	rTemp3   = "R14"
)

// v is a vector register as 4 words, 16 bytes and so on.
func v(n int, as string) string { return fmt.Sprintf("V%d.%s", n, as) }

// list is a list of consecutive vector registers.
func list(first, n int, as string) string {
	s := ""
	for k := range n {
		if k > 0 {
			s += ", "
		}
		s += v(first+k, as)
	}
	return "[" + s + "]"
}

// Registers with constants: how bytes are shuffled to rotate words by 8 bits, and what is added
// to the counters of four blocks.
const (
	vRol8  = 20
	vWords = 21
	vUsed  = 22 // how many are used
)

func arm64(f *file) {
	f.raw("//go:build !purego")
	f.raw("")
	f.raw(`#include "textflag.h"`)
	f.raw("")
	f.raw("// How bytes are shuffled to rotate words, and what is added to the counters of four blocks.")
	f.table("tables", [][4]uint32{{0x02010003, 0x06050407, 0x0a09080b, 0x0e0d0c0f}, {0, 1, 2, 3}})
	f.raw("")
	f.raw("// Every signal.")
	f.raw("DATA signals<>+0(SB)/8, $0xffffffffffffffff")
	f.raw("GLOBL signals<>(SB), NOPTR|RODATA, $8")

	f.text("blocksNEON<>", "0-0",
		"blocksNEON makes R3 blocks, at least one. The first R2 of them go to R1 and on, the",
		"others, at most two, to scratch, R5, and on; if R2 is 0, then R1 is R5. R4 is what the counter",
		"will be. The registers that it leaves dirty are those for vectors, R1 to R3, and R12.")
	f.op("MOVD", "$tables<>(SB)", rTemp)
	f.op("VLD1", "("+rTemp+")", list(vRol8, 2, "B16"))
	f.label("next")
	f.op("CMP", "$1", rBlocks)
	f.op("BHI", "words4")
	f.rows1()
	f.words4()
	f.label("done")
	f.op("MOVW", rCounter, at(counterAt, rState))
	f.op("RET")

	f.requestNEON()
	f.entriesNEON()
}

// quarter writes a quarter round on each of some quadruples of registers. From temp on as many
// registers are free. After is called where a row is complete and not needed any more, for all rows but
// the second, which is complete at the end.
func (f *file) quarter(q [][4]int, temp int, after func(row int)) {
	type step struct {
		x, y, z int // y += x, z ^= y
		by      int // z is rotated to the left
	}
	for k, s := range []step{{1, 0, 3, 16}, {3, 2, 1, 12}, {1, 0, 3, 8}, {3, 2, 1, 7}} {
		for _, q := range q {
			f.op("VADD", v(q[s.x], "S4"), v(q[s.y], "S4"), v(q[s.y], "S4"))
		}
		if k == 3 {
			after(s.x)
		}
		for n, q := range q {
			z := q[s.z]
			if s.by != 16 && s.by != 8 {
				z = temp + n
			}
			f.op("VEOR", v(q[s.y], "B16"), v(q[s.z], "B16"), v(z, "B16"))
		}
		if k >= 2 {
			after(s.y)
		}
		for n, q := range q {
			z := q[s.z]
			switch s.by {
			case 16:
				f.op("VREV32", v(z, "H8"), v(z, "H8"))
			case 8:
				f.op("VTBL", v(vRol8, "B16"), "["+v(z, "B16")+"]", v(z, "B16"))
			default:
				f.op("VSHL", imm(s.by), v(temp+n, "S4"), v(z, "S4"))
			}
		}
		if s.by == 12 || s.by == 7 {
			for n, q := range q {
				f.op("VSRI", imm(32-s.by), v(temp+n, "S4"), v(q[s.z], "S4"))
			}
		}
	}
}

// addCounter writes the addition of a number to the counter.
func (f *file) addCounter(n int) {
	f.op("MOVWU", at(counterAt, rState), rTemp)
	f.op("ADD", imm(n), rTemp)
	f.op("MOVW", rTemp, at(counterAt, rState))
}

// storeNEON writes the end of a kernel, which stores the blocks that are wanted.
func (f *file) storeNEON(blocks [][4]int) {
	for _, block := range blocks {
		for _, r := range block {
			f.op("VST1.P", list(r, 1, "B16"), "16("+rDst+")")
		}
		f.op("SUBS", "$1", rWhole)
		f.op("CSEL", "EQ", rScratch, rDst, rDst)
		f.op("SUBS", "$1", rBlocks)
		f.op("BEQ", "done")
	}
}

func (f *file) rows1() {
	f.raw("")
	f.comment("One, by rows.")
	f.op("VLD1", "("+rState+")", list(0, 4, "S4"))
	f.op("MOVD", "$10", rTemp)
	f.label("rows1round")
	for k := range 2 {
		// Each row is rotated as soon as it is complete, all but the second, which is so last.
		f.quarter([][4]int{{0, 1, 2, 3}}, 16, func(row int) {
			by := [4]int{3, 0, 1, 2}[row]
			if k == 1 {
				by = 4 - by
			}
			f.op("VEXT", imm(4*by), v(row, "B16"), v(row, "B16"), v(row, "B16"))
		})
	}
	f.op("SUBS", "$1", rTemp)
	f.op("BNE", "rows1round")
	f.op("VLD1", "("+rState+")", list(4, 4, "S4"))
	for k := range 4 {
		f.op("VADD", v(4+k, "S4"), v(k, "S4"), v(k, "S4"))
	}
	f.addCounter(1)
	f.storeNEON([][4]int{{0, 1, 2, 3}})
	f.op("B", "next")
}

func (f *file) words4() {
	f.raw("")
	f.comment("Up to 4, by words.")
	f.label("words4")
	f.op("MOVD", rState, rTemp)
	for k := 0; k < 16; k += 4 {
		f.op("VLD4R.P", "16("+rTemp+")", list(k, 4, "S4"))
	}
	f.op("VADD", v(vWords, "S4"), v(12, "S4"), v(12, "S4"))
	f.op("MOVD", "$10", rTemp)
	f.label("words4round")
	for _, q := range quarters {
		f.quarter(q[:], 16, func(int) {})
	}
	f.op("SUBS", "$1", rTemp)
	f.op("BNE", "words4round")
	f.op("MOVD", rState, rTemp)
	for k := 0; k < 16; k += 4 {
		f.op("VLD4R.P", "16("+rTemp+")", list(16, 4, "S4"))
		for j := range 4 {
			f.op("VADD", v(16+j, "S4"), v(k+j, "S4"), v(k+j, "S4"))
		}
	}
	f.op("VADD", v(vWords, "S4"), v(12, "S4"), v(12, "S4"))
	f.addCounter(4)
	f.comment("Words k to k+3 of block j to register k+j.")
	for k := 0; k < 16; k += 4 {
		for j, op := range []string{"VZIP1", "VZIP2"} {
			f.op(op, v(k+1, "S4"), v(k, "S4"), v(16+j, "S4"))
			f.op(op, v(k+3, "S4"), v(k+2, "S4"), v(18+j, "S4"))
		}
		for j := range 2 {
			f.op("VZIP1", v(18+j, "D2"), v(16+j, "D2"), v(k+2*j, "D2"))
			f.op("VZIP2", v(18+j, "D2"), v(16+j, "D2"), v(k+2*j+1, "D2"))
		}
	}
	var blocks [][4]int
	for j := range 4 {
		blocks = append(blocks, [4]int{j, 4 + j, 8 + j, 12 + j})
	}
	f.storeNEON(blocks)
	f.op("B", "next")
}

// requestNEON writes the routine that serves a request.
func (f *file) requestNEON() {
	f.text("requestNEON<>", "0-0",
		"requestNEON XORs R7 bytes from R6 on onto the key of the state R0, 32 at a time, with an",
		"update after each. Then it fills R9 bytes from R11 on with key stream, and updates the key if R10",
		"is not 0. R5 is scratch. When it returns nothing secret is in any register.")
	f.label("absorb")
	f.op("CBZ", rInLen, "output")
	f.op("CMP", "$32", rInLen)
	f.op("BLO", "short")
	f.op("VLD1.P", "32("+rIn+")", list(0, 2, "B16"))
	f.xorKeyNEON()
	f.op("SUB", "$32", rInLen)
	f.op("B", "step")
	f.label("short")
	f.op("ADD", imm(keyAt), rState, rTemp)
	f.label("byte")
	f.op("MOVBU.P", "1("+rIn+")", rTemp2)
	f.op("MOVBU", "("+rTemp+")", rTemp3)
	f.op("EOR", rTemp2, rTemp3)
	f.op("MOVB.P", rTemp3, "1("+rTemp+")")
	f.op("SUBS", "$1", rInLen)
	f.op("BNE", "byte")
	f.label("step")
	f.op("MOVD", rScratch, rDst)
	f.op("MOVD", "$0", rWhole)
	f.op("MOVD", "$1", rBlocks)
	f.op("MOVWU", at(counterAt, rState), rCounter)
	f.op("ADD", "$1", rCounter)
	f.op("CALL", "blocksNEON<>(SB)")
	f.op("MOVD", rScratch, rTemp)
	f.updateNEON()
	f.op("B", "absorb")

	f.raw("")
	f.comment("How many blocks go to the destination, and how many are made. The key takes what",
		"is left of the last one, if that suffices, or one more.")
	f.label("output")
	f.op("LSR", "$6", rRest, rWhole)
	f.op("AND", "$63", rRest)
	f.op("MOVD", rTail, rDst)
	f.op("ADD", rWhole+"<<6", rTail)
	f.op("MOVD", rWhole, rBlocks)
	f.op("CBNZ", rUpdate, "last")
	f.op("CBZ", rRest, "count")
	f.op("ADD", "$1", rBlocks)
	f.op("B", "count")
	f.label("last")
	f.op("ADD", "$1", rBlocks)
	f.op("CMP", "$32", rRest)
	f.op("BLS", "count")
	f.op("ADD", "$1", rBlocks)
	f.label("count")
	f.op("CBZ", rBlocks, "wipe")
	f.op("CMP", "$0", rWhole)
	f.op("CSEL", "EQ", rScratch, rDst, rDst)
	f.op("MOVWU", at(counterAt, rState), rCounter)
	f.op("ADD", rBlocks, rCounter)
	f.op("CALL", "blocksNEON<>(SB)")

	f.raw("")
	f.comment("The rest of the output, of the first block in scratch.")
	f.op("MOVD", rScratch, rTemp)
	for bit := 5; bit >= 0; bit-- {
		n := 1 << bit
		next := fmt.Sprintf("rest%d", n)
		f.op("TBZ", imm(bit), rRest, next)
		switch {
		case n >= 16:
			f.op("VLD1.P", at(n, rTemp), list(0, n/16, "B16"))
			f.op("VST1.P", list(0, n/16, "B16"), at(n, rTail))
		default:
			load := map[int]string{8: "MOVD.P", 4: "MOVWU.P", 2: "MOVHU.P", 1: "MOVBU.P"}[n]
			store := map[int]string{8: "MOVD.P", 4: "MOVW.P", 2: "MOVH.P", 1: "MOVB.P"}[n]
			f.op(load, at(n, rTemp), rTemp2)
			f.op(store, rTemp2, at(n, rTail))
		}
		f.label(next)
	}
	f.op("CBZ", rUpdate, "wipe")
	f.comment("The words of which nothing was used, or the second block.")
	f.op("ADD", "$3", rRest, rTemp)
	f.op("AND", "$0x7c", rTemp)
	f.op("MOVD", "$64", rTemp2)
	f.op("CMP", "$32", rRest)
	f.op("CSEL", "HI", rTemp2, rTemp, rTemp)
	f.op("ADD", rScratch, rTemp)
	f.updateNEON()

	f.raw("")
	f.label("wipe")
	for k := range vUsed {
		f.op("VEOR", v(k, "B16"), v(k, "B16"), v(k, "B16"))
	}
	f.op("MOVD", rScratch, rTemp)
	f.op("VST1.P", list(0, 4, "B16"), "64("+rTemp+")")
	f.op("VST1.P", list(0, 4, "B16"), "64("+rTemp+")")
	f.op("MOVD", "$0", rTemp)
	f.op("MOVD", "$0", rTemp2)
	f.op("MOVD", "$0", rTemp3)
	f.op("RET")
}

// xorKeyNEON writes the XOR of V0 and V1 onto the key.
func (f *file) xorKeyNEON() {
	f.op("ADD", imm(keyAt), rState, rTemp)
	f.op("VLD1", "("+rTemp+")", list(2, 2, "B16"))
	for k := range 2 {
		f.op("VEOR", v(k, "B16"), v(2+k, "B16"), v(2+k, "B16"))
	}
	f.op("VST1", list(2, 2, "B16"), "("+rTemp+")")
}

// updateNEON writes the update of the key with what R12 points to, and of the nonce.
func (f *file) updateNEON() {
	f.op("VLD1", "("+rTemp+")", list(0, 2, "B16"))
	f.xorKeyNEON()
	f.op("MOVD", at(nonceAt, rState), rTemp)
	f.op("ADDS", "$1", rTemp)
	f.op("MOVD", rTemp, at(nonceAt, rState))
	f.op("MOVWU", at(nonceAt+8, rState), rTemp)
	f.op("ADC", "ZR", rTemp)
	f.op("MOVW", rTemp, at(nonceAt+8, rState))
}

// entriesNEON writes the functions for Go.
func (f *file) entriesNEON() {
	load := func() {
		f.op("MOVD", "out_base+0(FP)", rTail)
		f.op("MOVD", "out_len+8(FP)", rRest)
		f.op("MOVD", "in_base+24(FP)", rIn)
		f.op("MOVD", "in_len+32(FP)", rInLen)
		f.op("MOVD", "s+48(FP)", rState)
		f.op("MOVD", "scratch+56(FP)", rScratch)
		f.op("MOVBU", "update+64(FP)", rUpdate)
		f.op("CALL", "requestNEON<>(SB)")
	}
	f.text("·requestNEON", "0-65", "func requestNEON(out, in []byte, s *State, scratch *Scratch, update bool)")
	load()
	f.op("RET")

	mask := func(how int, name, set, old string) {
		f.op("MOVD", imm(how), "R0 // "+name)
		f.op("MOVD", set, "R1")
		f.op("MOVD", old, "R2")
		f.op("MOVD", "$8", "R3")
		f.op("MOVD", "$135", "R8 // rt_sigprocmask")
		f.op("SVC")
	}
	f.text("·hardenedNEON", "16-80", "func hardenedNEON(out, in []byte, s *State, scratch *Scratch, update bool) (errno uintptr)")
	mask(0, "SIG_BLOCK", "$signals<>(SB)", "$mask-8(SP)")
	f.op("CBNZ", "R0", "refused")
	load()
	mask(2, "SIG_SETMASK", "$mask-8(SP)", "$0")
	f.label("refused")
	f.op("NEG", "R0", "R0")
	f.op("MOVD", "R0", "errno+72(FP)")
	f.op("RET")
}
