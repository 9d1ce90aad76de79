//go:build !purego

#include "textflag.h"

// AES with AES-NI; otherwise SSSE3 at most, which comes with it. See Intel, "Advanced Encryption
// Standard (AES) New Instructions", document 323641. At the end are two functions for
// newer processors, with registers of their own.
//
// Throughout the others:
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
//	X6      the order of bytes for SUBROTWORD

// Four times RotWord of word 3, and of word 1.
DATA rotWord3<>+0(SB)/8, $0x0c0f0e0d0c0f0e0d
DATA rotWord3<>+8(SB)/8, $0x0c0f0e0d0c0f0e0d
GLOBL rotWord3<>(SB), RODATA|NOPTR, $16
DATA rotWord1<>+0(SB)/8, $0x0407060504070605
DATA rotWord1<>+8(SB)/8, $0x0407060504070605
GLOBL rotWord1<>(SB), RODATA|NOPTR, $16

// SUBWORD sets X3 to four times SubWord(word n of x).
#define SUBWORD(x, n) \
	PSHUFD  $(n*0x55), x, X3 \
	AESENCLAST X5, X3

// SUBROTWORD sets X3 to four times SubWord(RotWord(word of x)) ⊕ X2. The word is that of
// X6.
#define SUBROTWORD(x) \
	MOVO    x, X3            \
	PSHUFB  X6, X3           \
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
	MOVOU   rotWord3<>+0(SB), X6
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
	SUBROTWORD(X1)
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
	MOVOU   rotWord1<>+0(SB), X6
	MOVQ    $8, DX

loop192:
	ADDQ    $24, DI
	SUBROTWORD(X1)
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
	SUBROTWORD(X0)
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
	PXOR    X2, X2
	PXOR    X3, X3
	PXOR    X4, X4
	PXOR    X6, X6
	RET

// ---------------------------------------------------------------------------
// Encryption, FIPS 197, Section 5.1.

// One instruction on each of n blocks.
#define ALL1(op, k)  op k, X0
#define ALL3(op, k)  op k, X0; op k, X1; op k, X2
#define ALL4(op, k)  ALL3(op, k); op k, X3
#define ALL7(op, k)  ALL4(op, k); op k, X4; op k, X5; op k, X6
#define ALL8(op, k)  ALL7(op, k); op k, X7

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
	// Up to seven blocks: four or seven, which takes little longer, and what is left
	// over is not stored.
	ADDQ    $8, R12
	JZ      done
	NEXTV(X0)
	NEXTV(X1)
	NEXTV(X2)
	NEXTV(X3)
	CMPQ    R12, $4
	JA      more
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
	JMP     done

more:
	NEXTV(X4)
	NEXTV(X5)
	NEXTV(X6)
	ROUNDS(ALL7, rounds7)
	MOVOU   X0, 0(DI)
	MOVOU   X1, 16(DI)
	MOVOU   X2, 32(DI)
	MOVOU   X3, 48(DI)
	MOVOU   X4, 64(DI)
	CMPQ    R12, $6
	JB      done
	MOVOU   X5, 80(DI)
	JE      done
	MOVOU   X6, 96(DI)

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

// func iterateAESNI(w *[30]uint64, rounds int, dst *byte, blocks int, x *[16]byte)
TEXT ·iterateAESNI(SB), NOSPLIT, $0-40
	MOVQ    w+0(FP), AX
	MOVQ    rounds+8(FP), CX
	MOVQ    dst+16(FP), DI
	MOVQ    blocks+24(FP), R12
	MOVQ    x+32(FP), SI
	MOVOU   (SI), X0

next:
	ROUNDS(ALL1, roundsNext)
	MOVOU   X0, (DI)
	ADDQ    $16, DI
	DECQ    R12
	JNZ     next

	MOVOU   X0, (SI)
	PXOR    X0, X0
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

// The order of the bytes of a block, reversed.
DATA reversed<>+0(SB)/8, $0x08090a0b0c0d0e0f
DATA reversed<>+8(SB)/8, $0x0001020304050607
GLOBL reversed<>(SB), RODATA|NOPTR, $16

// ---------------------------------------------------------------------------
// CTR with VAES and AVX2: two blocks in a register, sixteen at a time.
//
//	AX       round keys
//	CX       rounds
//	DI       where the next blocks go
//	R12      groups of blocks yet to be made
//	Y0-Y7    blocks
//	Y8       round key, twice
//	Y9       the next two counters, each a number of 128 bits with its less significant half
//	         in the lower lane, the top bit of which is inverted: instructions compare
//	         numbers with a sign
//	Y10      what reverses the 16 bytes of each block
//	Y11      what inverts those bits again, after that
//	Y12      carries
//	Y13      the counters that come next

DATA inverted<>+0(SB)/8, $0
DATA inverted<>+8(SB)/8, $0x80
GLOBL inverted<>(SB), RODATA|NOPTR, $16

// 2, 4, and so on to 16, of 128 bits.
DATA even<>+0(SB)/8, $2
DATA even<>+8(SB)/8, $0
DATA even<>+16(SB)/8, $4
DATA even<>+24(SB)/8, $0
DATA even<>+32(SB)/8, $6
DATA even<>+40(SB)/8, $0
DATA even<>+48(SB)/8, $8
DATA even<>+56(SB)/8, $0
DATA even<>+64(SB)/8, $10
DATA even<>+72(SB)/8, $0
DATA even<>+80(SB)/8, $12
DATA even<>+88(SB)/8, $0
DATA even<>+96(SB)/8, $14
DATA even<>+104(SB)/8, $0
DATA even<>+112(SB)/8, $16
DATA even<>+120(SB)/8, $0
GLOBL even<>(SB), RODATA|NOPTR, $128

// COUNTERS2 sets y to the counters in Y9 + n, which is even. There is a carry where the
// sum is below what was there before.
#define COUNTERS2(n, y) \
	VBROADCASTI128 even<>+(8*n-16)(SB), y \
	VPADDQ  y, Y9, y         \
	VPCMPGTQ y, Y9, Y12      \
	VPSLLDQ $8, Y12, Y12     \
	VPSUBQ  Y12, y, y

// PAIRS is one instruction on each register of blocks.
#define PAIRS(op, k) \
	op      k, Y0, Y0        \
	op      k, Y1, Y1        \
	op      k, Y2, Y2        \
	op      k, Y3, Y3        \
	op      k, Y4, Y4        \
	op      k, Y5, Y5        \
	op      k, Y6, Y6        \
	op      k, Y7, Y7

// func ctrVAES256(w *[30]uint64, rounds int, dst *byte, groups int, v *[16]byte)
TEXT ·ctrVAES256(SB), NOSPLIT, $0-40
	MOVQ    w+0(FP), AX
	MOVQ    rounds+8(FP), CX
	MOVQ    dst+16(FP), DI
	MOVQ    groups+24(FP), R12
	MOVQ    v+32(FP), SI

	// V + 16·groups is what the caller gets back.
	MOVQ    0(SI), R8
	MOVQ    8(SI), R9
	BSWAPQ  R8
	BSWAPQ  R9
	MOVQ    R12, R13
	SHLQ    $4, R13
	MOVQ    R8, R10
	MOVQ    R9, R11
	ADDQ    R13, R11
	ADCQ    $0, R10
	BSWAPQ  R10
	BSWAPQ  R11
	MOVQ    R10, 0(SI)
	MOVQ    R11, 8(SI)

	// V + 1 and V + 2 come first.
	MOVQ    $0x8000000000000000, R13
	ADDQ    $1, R9
	ADCQ    $0, R8
	MOVQ    R8, R10
	MOVQ    R9, R11
	ADDQ    $1, R11
	ADCQ    $0, R10
	XORQ    R13, R9
	XORQ    R13, R11
	VMOVQ   R9, X9
	VPINSRQ $1, R8, X9, X9
	VMOVQ   R11, X12
	VPINSRQ $1, R10, X12, X12
	VINSERTI128 $1, X12, Y9, Y9
	VBROADCASTI128 reversed<>+0(SB), Y10
	VBROADCASTI128 inverted<>+0(SB), Y11

group:
	VMOVDQA Y9, Y0
	COUNTERS2(2, Y1)
	COUNTERS2(4, Y2)
	COUNTERS2(6, Y3)
	COUNTERS2(8, Y4)
	COUNTERS2(10, Y5)
	COUNTERS2(12, Y6)
	COUNTERS2(14, Y7)
	COUNTERS2(16, Y13)
	VMOVDQA Y13, Y9
	VBROADCASTI128 (AX), Y8
	VPXOR   Y11, Y8, Y8
	PAIRS(VPSHUFB, Y10)
	PAIRS(VPXOR, Y8)
	LEAQ    16(AX), BX
	LEAQ    -1(CX), DX

round:
	VBROADCASTI128 (BX), Y8
	ADDQ    $16, BX
	PAIRS(VAESENC, Y8)
	DECQ    DX
	JNZ     round
	VBROADCASTI128 (BX), Y8
	PAIRS(VAESENCLAST, Y8)
	VMOVDQU Y0, 0(DI)
	VMOVDQU Y1, 32(DI)
	VMOVDQU Y2, 64(DI)
	VMOVDQU Y3, 96(DI)
	VMOVDQU Y4, 128(DI)
	VMOVDQU Y5, 160(DI)
	VMOVDQU Y6, 192(DI)
	VMOVDQU Y7, 224(DI)
	ADDQ    $256, DI
	DECQ    R12
	JNZ     group

	VZEROALL
	XORL    R8, R8
	XORL    R9, R9
	XORL    R10, R10
	XORL    R11, R11
	RET

// ---------------------------------------------------------------------------
// CTR with VAES and AVX-512 (F and BW): four blocks in a register.
//
//	CX       rounds
//	DI       where the next blocks go
//	R9       the less significant half of the next counter
//	R12      blocks yet to be made
//	R13      31
//	R14      a one for the upper lane of each block but the first
//	Z0-Z7    blocks
//	Z8       for the next four blocks, in the lower lane of each the less significant half
//	         of its counter, in the upper one the other half of the first counter
//	Z9       what reverses the 16 bytes of each block
//	Z10      -1 in each lane
//	Z11-Z14  4, 8, 16 and 32 in each lower lane
//	Z16-Z30  round keys, four times each
//	K1       carries, two bits for each of the next 32 blocks
//	K2       those of one register, or what is stored of it

// For lower lanes: 0, 1, 2 and 3, and then 4, 8, 16 and 32.
DATA numbers<>+0(SB)/8, $0
DATA numbers<>+8(SB)/8, $0
DATA numbers<>+16(SB)/8, $1
DATA numbers<>+24(SB)/8, $0
DATA numbers<>+32(SB)/8, $2
DATA numbers<>+40(SB)/8, $0
DATA numbers<>+48(SB)/8, $3
DATA numbers<>+56(SB)/8, $0
DATA numbers<>+64(SB)/8, $4
DATA numbers<>+72(SB)/8, $0
DATA numbers<>+80(SB)/8, $8
DATA numbers<>+88(SB)/8, $0
DATA numbers<>+96(SB)/8, $16
DATA numbers<>+104(SB)/8, $0
DATA numbers<>+112(SB)/8, $32
DATA numbers<>+120(SB)/8, $0
GLOBL numbers<>(SB), RODATA|NOPTR, $128

// CARRIES sets K1 for the next 32 blocks. The counter of block i has a carry out of its
// lower half, which is R9 + i, if i is above NOT R9.
#define CARRIES \
	MOVQ    R9, R10          \
	NOTQ    R10              \
	CMPQ    R10, R13         \
	CMOVQHI R13, R10         \
	ADDQ    R10, R10         \
	SHLXQ   R10, R14, R10    \
	KMOVQ   R10, K1

// CARRY adds the carries to register n, which is z.
#define CARRY(n, z) \
	KSHIFTRQ $(8*n), K1, K2  \
	VPSUBQ  Z10, z, K2, z

// NEXT moves R9, Z8 and K1 on by so many blocks, a number that each lower lane of z has.
// K1 is early: it takes longest.
#define NEXT(blocks, z) \
	ADDQ    $blocks, R9      \
	SBBL    R10, R10         \
	ANDL    $0xaa, R10       \
	KMOVW   R10, K2          \
	VPADDQ  z, Z8, Z8        \
	VPSUBQ  Z10, Z8, K2, Z8  \
	CARRIES

// COUNTERS4 and COUNTERS8 set the blocks to the next counters. COUNTERS8 goes to the label where no
// carry is to be added, which a twentieth of the time is saved by. There is one in 2⁵⁹ times, at
// a counter that is never used again: that it takes longer then tells nobody anything.
#define COUNTERS4 \
	VMOVDQA64 Z8, Z0         \
	VPADDQ  Z11, Z8, Z1      \
	VPADDQ  Z12, Z8, Z2      \
	VPADDQ  Z12, Z1, Z3      \
	VPSUBQ  Z10, Z0, K1, Z0  \
	CARRY(1, Z1)             \
	CARRY(2, Z2)             \
	CARRY(3, Z3)             \
	NEXT(16, Z13)

#define COUNTERS8(none) \
	VMOVDQA64 Z8, Z0         \
	VPADDQ  Z11, Z8, Z1      \
	VPADDQ  Z12, Z8, Z2      \
	VPADDQ  Z12, Z1, Z3      \
	VPADDQ  Z13, Z8, Z4      \
	VPADDQ  Z13, Z1, Z5      \
	VPADDQ  Z13, Z2, Z6      \
	VPADDQ  Z13, Z3, Z7      \
	KORTESTQ K1, K1          \
	JEQ     none             \
	VPSUBQ  Z10, Z0, K1, Z0  \
	CARRY(1, Z1)             \
	CARRY(2, Z2)             \
	CARRY(3, Z3)             \
	CARRY(4, Z4)             \
	CARRY(5, Z5)             \
	CARRY(6, Z6)             \
	CARRY(7, Z7)             \
none:                        \
	NEXT(32, Z14)

// One instruction on each register of blocks.
#define EACH4(op, k) \
	op      k, Z0, Z0        \
	op      k, Z1, Z1        \
	op      k, Z2, Z2        \
	op      k, Z3, Z3

#define EACH8(op, k) \
	EACH4(op, k)             \
	op      k, Z4, Z4        \
	op      k, Z5, Z5        \
	op      k, Z6, Z6        \
	op      k, Z7, Z7

// ENCRYPT encrypts the counters. The labels are its own.
#define ENCRYPT(EACH, rounds10, rounds12, encrypted) \
	EACH(VPSHUFB, Z9)        \
	EACH(VPXORQ, Z16)        \
	EACH(VAESENC, Z17)       \
	EACH(VAESENC, Z18)       \
	EACH(VAESENC, Z19)       \
	EACH(VAESENC, Z20)       \
	EACH(VAESENC, Z21)       \
	EACH(VAESENC, Z22)       \
	EACH(VAESENC, Z23)       \
	EACH(VAESENC, Z24)       \
	EACH(VAESENC, Z25)       \
	CMPQ    CX, $12          \
	JB      rounds10         \
	EACH(VAESENC, Z26)       \
	EACH(VAESENC, Z27)       \
	JE      rounds12         \
	EACH(VAESENC, Z28)       \
	EACH(VAESENC, Z29)       \
	EACH(VAESENCLAST, Z30)   \
	JMP     encrypted        \
rounds12:                    \
	EACH(VAESENCLAST, Z28)   \
	JMP     encrypted        \
rounds10:                    \
	EACH(VAESENCLAST, Z26)   \
encrypted:

// func ctrVAES512(w *[30]uint64, rounds int, dst *byte, blocks int, v *[16]byte)
TEXT ·ctrVAES512(SB), NOSPLIT, $0-40
	MOVQ    w+0(FP), AX
	MOVQ    rounds+8(FP), CX
	MOVQ    dst+16(FP), DI
	MOVQ    blocks+24(FP), R12
	MOVQ    v+32(FP), SI

	// V + blocks is what the caller gets back, V + 1 comes next.
	MOVQ    0(SI), R8
	MOVQ    8(SI), R9
	BSWAPQ  R8
	BSWAPQ  R9
	MOVQ    R8, R10
	MOVQ    R9, R11
	ADDQ    R12, R11
	ADCQ    $0, R10
	BSWAPQ  R10
	BSWAPQ  R11
	MOVQ    R10, 0(SI)
	MOVQ    R11, 8(SI)
	ADDQ    $1, R9
	ADCQ    $0, R8

	VBROADCASTI32X4 reversed<>+0(SB), Z9
	VPTERNLOGQ $0xff, Z10, Z10, Z10
	VBROADCASTI32X4 numbers<>+64(SB), Z11
	VBROADCASTI32X4 numbers<>+80(SB), Z12
	VBROADCASTI32X4 numbers<>+96(SB), Z13
	VBROADCASTI32X4 numbers<>+112(SB), Z14
	MOVL    $31, R13
	MOVQ    $0xaaaaaaaaaaaaaaa8, R14
	VMOVQ   R9, X8
	VPINSRQ $1, R8, X8, X8
	VSHUFI64X2 $0, Z8, Z8, Z8
	VPADDQ  numbers<>+0(SB), Z8, Z8
	CARRIES

	// There is room for 15 round keys, whether there are as many or not.
	VBROADCASTI32X4 0(AX), Z16
	VBROADCASTI32X4 16(AX), Z17
	VBROADCASTI32X4 32(AX), Z18
	VBROADCASTI32X4 48(AX), Z19
	VBROADCASTI32X4 64(AX), Z20
	VBROADCASTI32X4 80(AX), Z21
	VBROADCASTI32X4 96(AX), Z22
	VBROADCASTI32X4 112(AX), Z23
	VBROADCASTI32X4 128(AX), Z24
	VBROADCASTI32X4 144(AX), Z25
	VBROADCASTI32X4 160(AX), Z26
	VBROADCASTI32X4 176(AX), Z27
	VBROADCASTI32X4 192(AX), Z28
	VBROADCASTI32X4 208(AX), Z29
	VBROADCASTI32X4 224(AX), Z30

	SUBQ    $32, R12
	JB      tail

thirtytwo:
	COUNTERS8(none8)
	ENCRYPT(EACH8, ten8, twelve8, encrypted8)
	VMOVDQU64 Z0, 0(DI)
	VMOVDQU64 Z1, 64(DI)
	VMOVDQU64 Z2, 128(DI)
	VMOVDQU64 Z3, 192(DI)
	VMOVDQU64 Z4, 256(DI)
	VMOVDQU64 Z5, 320(DI)
	VMOVDQU64 Z6, 384(DI)
	VMOVDQU64 Z7, 448(DI)
	ADDQ    $512, DI
	SUBQ    $32, R12
	JAE     thirtytwo

tail:
	// Up to 31 blocks, sixteen at a time: of those left over nothing is stored.
	ADDQ    $32, R12
	JZ      done

sixteen:
	COUNTERS4
	ENCRYPT(EACH4, ten4, twelve4, encrypted4)
	CMPQ    R12, $16
	JB      part
	VMOVDQU64 Z0, 0(DI)
	VMOVDQU64 Z1, 64(DI)
	VMOVDQU64 Z2, 128(DI)
	VMOVDQU64 Z3, 192(DI)
	ADDQ    $256, DI
	SUBQ    $16, R12
	JNZ     sixteen
	JMP     done

part:
	// Two bits for each of the blocks, eight for each register.
	ADDQ    R12, R12
	MOVL    $-1, R11
	BZHIL   R12, R11, R11
	KMOVW   R11, K2
	VMOVDQU64 Z0, K2, 0(DI)
	SHRL    $8, R11
	JZ      done
	KMOVW   R11, K2
	VMOVDQU64 Z1, K2, 64(DI)
	SHRL    $8, R11
	JZ      done
	KMOVW   R11, K2
	VMOVDQU64 Z2, K2, 128(DI)
	SHRL    $8, R11
	JZ      done
	KMOVW   R11, K2
	VMOVDQU64 Z3, K2, 192(DI)

done:
	VZEROALL // Z0 to Z15
	VPXORQ  Z16, Z16, Z16
	VPXORQ  Z17, Z17, Z17
	VPXORQ  Z18, Z18, Z18
	VPXORQ  Z19, Z19, Z19
	VPXORQ  Z20, Z20, Z20
	VPXORQ  Z21, Z21, Z21
	VPXORQ  Z22, Z22, Z22
	VPXORQ  Z23, Z23, Z23
	VPXORQ  Z24, Z24, Z24
	VPXORQ  Z25, Z25, Z25
	VPXORQ  Z26, Z26, Z26
	VPXORQ  Z27, Z27, Z27
	VPXORQ  Z28, Z28, Z28
	VPXORQ  Z29, Z29, Z29
	VPXORQ  Z30, Z30, Z30
	KXORQ   K1, K1, K1
	KXORQ   K2, K2, K2
	XORL    R8, R8
	XORL    R9, R9
	XORL    R10, R10
	XORL    R11, R11
	RET
