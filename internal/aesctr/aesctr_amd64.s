//go:build !purego

#include "textflag.h"

// AES with AES-NI; otherwise SSE2 only. See Intel, "Advanced Encryption
// Standard (AES) New Instructions", document 323641.
//
// Throughout:
//
//	AX      round keys
//	CX      rounds
//	X0-X7   blocks
//	X8      round key
//
// Before it returns, each function clears the registers that held a key, a
// counter or a block.

// ---------------------------------------------------------------------------
// Key expansion, FIPS 197, Section 5.2.
//
// SubWord is AESENCLAST on four copies of the word: with equal columns its
// ShiftRows changes nothing, and its AddRoundKey adds Rcon. AESKEYGENASSIST does
// the same, with Rcon as an immediate, so that every step has to be written out.
// On an AMD Zen 4 that takes 14 ns for AES-256 instead of 18; on Intel's CPUs the
// instruction is microcode, of ten and more micro-operations.
//
//	DI      where the next words go
//	X0, X1  the last four, six or eight words
//	X2      Rcon in every word
//	X3      SubWord(…) or SubWord(RotWord(…)) ⊕ Rcon in every word
//	X4      scratch
//	X5      0

// SUBWORD sets X3 to four times SubWord(word n of x).
#define SUBWORD(x, n) \
	PSHUFD  $(n*0x55), x, X3 \
	AESENCLAST X5, X3

// SUBROTWORD sets X3 to four times SubWord(RotWord(word n of x)) ⊕ X2.
#define SUBROTWORD(x, n) \
	PSHUFD  $(n*0x55), x, X3 \
	MOVO    X3, X4           \
	PSRLL   $8, X3           \
	PSLLL   $24, X4          \
	POR     X4, X3           \
	AESENCLAST X2, X3

// FOURWORDS replaces the words a b c d of x by a⊕t, a⊕b⊕t, a⊕b⊕c⊕t and
// a⊕b⊕c⊕d⊕t, with t in X3: four times w[i] = w[i-nk] ⊕ w[i-1].
#define FOURWORDS(x) \
	MOVO    x, X4            \
	PSLLO   $4, X4           \
	PXOR    X4, x            \
	MOVO    x, X4            \
	PSLLO   $8, X4           \
	PXOR    X4, x            \
	PXOR    X3, x

// NEXTRCON doubles Rcon. It is right for the first eight.
#define NEXTRCON \
	PSLLL   $1, X2

// RCON sets Rcon to c.
#define RCON(c) \
	MOVL    $c, BX           \
	MOVL    BX, X2           \
	PSHUFD  $0, X2, X2

// func expandAESNI(w *[30]uint64, key *byte, rounds int)
TEXT ·expandAESNI(SB), NOSPLIT, $0-24
	MOVQ    w+0(FP), DI
	MOVQ    key+8(FP), SI
	MOVQ    rounds+16(FP), CX
	MOVOU   (SI), X0
	MOVOU   X0, (DI)
	RCON(1)
	CMPQ    CX, $12
	JB      key128
	JE      key192

	// Nk = 8: the words come in groups of eight, the last of which has four.
	MOVOU   16(SI), X1
	MOVOU   X1, 16(DI)
	MOVQ    $7, DX
	PXOR    X5, X5

loop256:
	ADDQ    $32, DI
	SUBROTWORD(X1, 3)
	FOURWORDS(X0)
	MOVOU   X0, (DI)
	DECQ    DX
	JZ      done
	// i mod Nk = 4: SubWord alone.
	SUBWORD(X0, 3)
	FOURWORDS(X1)
	MOVOU   X1, 16(DI)
	NEXTRCON
	JMP     loop256

key192:
	// Nk = 6: eight groups of six words, of which the last two are not needed;
	// there is room for them.
	MOVQ    16(SI), X1
	MOVQ    X1, 16(DI)
	MOVQ    $8, DX

loop192:
	ADDQ    $24, DI
	SUBROTWORD(X1, 1)
	FOURWORDS(X0)
	MOVOU   X0, (DI)
	// The words e f become d⊕e and d⊕e⊕f, with d the last word of X0.
	MOVO    X1, X4
	PSLLO   $4, X4
	PXOR    X4, X1
	PSHUFD  $0xff, X0, X4
	PXOR    X4, X1
	MOVQ    X1, 16(DI)
	NEXTRCON
	DECQ    DX
	JNZ     loop192
	JMP     done

key128:
	// Nk = 4: ten groups of four words.
	MOVQ    $10, DX

loop128:
	ADDQ    $16, DI
	SUBROTWORD(X0, 3)
	FOURWORDS(X0)
	MOVOU   X0, (DI)
	NEXTRCON
	DECQ    DX
	JZ      done
	CMPQ    DX, $2
	JNE     loop128
	RCON(0x1b) // x⁸ = x⁴ + x³ + x + 1
	JMP     loop128

done:
	PXOR    X0, X0
	PXOR    X1, X1
	PXOR    X3, X3
	PXOR    X4, X4
	RET

// ---------------------------------------------------------------------------
// Encryption, FIPS 197, Section 5.1.

// One instruction on each of n blocks.
#define ALL1(op, k)  op k, X0
#define ALL3(op, k)  op k, X0; op k, X1; op k, X2
#define ALL4(op, k)  ALL3(op, k); op k, X3
#define ALL8(op, k)  ALL4(op, k); op k, X4; op k, X5; op k, X6; op k, X7

// ROUNDS encrypts n blocks, side by side so that the latency of AESENC is hidden.
// BX and DX are its scratch, label its loop.
#define ROUNDS(ALL, label) \
	MOVOU   (AX), X8         \
	ALL(PXOR, X8)            \
	LEAQ    16(AX), BX       \
	LEAQ    -1(CX), DX       \
label:                       \
	MOVOU   (BX), X8         \
	ADDQ    $16, BX          \
	ALL(AESENC, X8)          \
	DECQ    DX               \
	JNZ     label            \
	MOVOU   (BX), X8         \
	ALL(AESENCLAST, X8)

// NEXTV increments the counter R8:R9 and sets x to it, in the order of bytes of
// a block. R10, R11 and X9 are its scratch.
#define NEXTV(x) \
	ADDQ    $1, R9           \
	ADCQ    $0, R8           \
	MOVQ    R8, R10          \
	MOVQ    R9, R11          \
	BSWAPQ  R10              \
	BSWAPQ  R11              \
	MOVQ    R10, x           \
	MOVQ    R11, X9          \
	PUNPCKLQDQ X9, x

// func ctrAESNI(w *[30]uint64, rounds int, dst *byte, blocks int, v *[16]byte)
TEXT ·ctrAESNI(SB), NOSPLIT, $0-40
	MOVQ    w+0(FP), AX
	MOVQ    rounds+8(FP), CX
	MOVQ    dst+16(FP), DI
	MOVQ    blocks+24(FP), R12
	MOVQ    v+32(FP), SI
	MOVQ    0(SI), R8
	MOVQ    8(SI), R9
	BSWAPQ  R8
	BSWAPQ  R9

	// V + blocks is what the caller gets back.
	MOVQ    R8, R10
	MOVQ    R9, R11
	ADDQ    R12, R11
	ADCQ    $0, R10
	BSWAPQ  R10
	BSWAPQ  R11
	MOVQ    R10, 0(SI)
	MOVQ    R11, 8(SI)

	SUBQ    $8, R12
	JB      tail

eight:
	NEXTV(X0)
	NEXTV(X1)
	NEXTV(X2)
	NEXTV(X3)
	NEXTV(X4)
	NEXTV(X5)
	NEXTV(X6)
	NEXTV(X7)
	ROUNDS(ALL8, rounds8)
	MOVOU   X0, 0(DI)
	MOVOU   X1, 16(DI)
	MOVOU   X2, 32(DI)
	MOVOU   X3, 48(DI)
	MOVOU   X4, 64(DI)
	MOVOU   X5, 80(DI)
	MOVOU   X6, 96(DI)
	MOVOU   X7, 112(DI)
	ADDQ    $128, DI
	SUBQ    $8, R12
	JAE     eight

tail:
	// Up to seven blocks, four at a time: what is left over is not stored.
	ADDQ    $8, R12
	JZ      done

four:
	NEXTV(X0)
	NEXTV(X1)
	NEXTV(X2)
	NEXTV(X3)
	ROUNDS(ALL4, rounds4)
	MOVOU   X0, 0(DI)
	CMPQ    R12, $2
	JB      done
	MOVOU   X1, 16(DI)
	JE      done
	MOVOU   X2, 32(DI)
	CMPQ    R12, $4
	JB      done
	MOVOU   X3, 48(DI)
	ADDQ    $64, DI
	SUBQ    $4, R12
	JNZ     four

done:
	PXOR    X0, X0
	PXOR    X1, X1
	PXOR    X2, X2
	PXOR    X3, X3
	PXOR    X4, X4
	PXOR    X5, X5
	PXOR    X6, X6
	PXOR    X7, X7
	PXOR    X8, X8
	PXOR    X9, X9
	XORL    R8, R8
	XORL    R9, R9
	XORL    R10, R10
	XORL    R11, R11
	RET

// func bccAESNI(w *[30]uint64, rounds int, chains *[3][16]byte, data *byte, blocks int)
TEXT ·bccAESNI(SB), NOSPLIT, $0-40
	MOVQ    w+0(FP), AX
	MOVQ    rounds+8(FP), CX
	MOVQ    chains+16(FP), DI
	MOVQ    data+24(FP), SI
	MOVQ    blocks+32(FP), R12
	MOVOU   0(DI), X0
	MOVOU   16(DI), X1
	MOVOU   32(DI), X2

block:
	MOVOU   (SI), X3
	ADDQ    $16, SI
	ALL3(PXOR, X3)
	ROUNDS(ALL3, rounds3)
	DECQ    R12
	JNZ     block

	MOVOU   X0, 0(DI)
	MOVOU   X1, 16(DI)
	MOVOU   X2, 32(DI)
	PXOR    X0, X0
	PXOR    X1, X1
	PXOR    X2, X2
	PXOR    X3, X3
	PXOR    X8, X8
	RET

// func encryptAESNI(w *[30]uint64, rounds int, dst, src *[16]byte)
TEXT ·encryptAESNI(SB), NOSPLIT, $0-32
	MOVQ    w+0(FP), AX
	MOVQ    rounds+8(FP), CX
	MOVQ    dst+16(FP), DI
	MOVQ    src+24(FP), SI
	MOVOU   (SI), X0
	ROUNDS(ALL1, rounds1)
	MOVOU   X0, (DI)
	PXOR    X0, X0
	PXOR    X8, X8
	RET
