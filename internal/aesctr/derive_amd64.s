//go:build !purego

#include "textflag.h"

// OUT XORs a block onto the next one of dst, and goes to done when it was the last.
#define OUT(x) \
	MOVOU (DI), X1  \
	PXOR  X1, x     \
	MOVOU x, (DI)   \
	ADDQ  $16, DI   \
	DECQ  SI        \
	JZ    done

// func deriveAESNI(w *[2 * 15]uint64, rounds int, dst *byte, blocks int, chain *[BlockSize]byte, second *[2]uint64, before int)
TEXT ·deriveAESNI(SB), NOSPLIT, $0-56
	MOVQ w+0(FP), AX
	MOVQ rounds+8(FP), CX
	MOVQ dst+16(FP), DI
	MOVQ blocks+24(FP), SI
	MOVQ chain+32(FP), BX
	MOVQ second+40(FP), DX
	DECQ CX

	// X0 = chain ⊕ second, whose halves may have been stored just now, one by one.
	MOVQ  (DX), X0
	MOVQ  8(DX), X1
	PUNPCKLQDQ X1, X0
	MOVOU (BX), X1
	PXOR  X1, X0

	// X6 = 1 in the last byte, X7 = the number of the last block there.
	MOVQ   $0x0100000000000000, R10
	MOVQ   R10, X6
	PSLLDQ $8, X6
	MOVQ   before+48(FP), X7
	PSLLDQ $15, X7

group:
	MOVOU (AX), X1
	PXOR  X0, X1
	PADDQ X6, X7
	MOVO  X7, X2
	PXOR  X1, X2
	PADDQ X6, X7
	MOVO  X7, X3
	PXOR  X1, X3
	PADDQ X6, X7
	MOVO  X7, X4
	PXOR  X1, X4
	PADDQ X6, X7
	MOVO  X7, X5
	PXOR  X1, X5
	LEAQ  16(AX), R8
	MOVQ  CX, R9

round:
	MOVOU  (R8), X1
	AESENC X1, X2
	AESENC X1, X3
	AESENC X1, X4
	AESENC X1, X5
	ADDQ   $16, R8
	DECQ   R9
	JNZ    round
	MOVOU  (R8), X1
	AESENCLAST X1, X2
	AESENCLAST X1, X3
	AESENCLAST X1, X4
	AESENCLAST X1, X5
	OUT(X2)
	OUT(X3)
	OUT(X4)
	OUT(X5)
	JMP group

done:
	PXOR X0, X0
	PXOR X1, X1
	PXOR X2, X2
	PXOR X3, X3
	PXOR X4, X4
	PXOR X5, X5
	RET
