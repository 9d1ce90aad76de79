//go:build !purego

#include "textflag.h"

// func deriveAESNI(w *[2 * 15]uint64, rounds int, dst *byte, groups int, first, second *[BlockSize]byte)
TEXT ·deriveAESNI(SB), NOSPLIT, $0-48
	MOVQ w+0(FP), AX
	MOVQ rounds+8(FP), CX
	MOVQ dst+16(FP), DI
	MOVQ groups+24(FP), SI
	MOVQ first+32(FP), BX
	MOVQ second+40(FP), DX

	// X0 = E(first) ⊕ second.
	MOVOU (BX), X0
	MOVOU (AX), X1
	PXOR  X1, X0
	LEAQ  16(AX), R8
	LEAQ  -1(CX), R9

first:
	MOVOU  (R8), X1
	AESENC X1, X0
	ADDQ   $16, R8
	DECQ   R9
	JNZ    first
	MOVOU  (R8), X1
	AESENCLAST X1, X0
	MOVOU  (DX), X1
	PXOR   X1, X0

	// X6 = 1 in the last byte, X7 = the number of the last block there.
	MOVQ   $0x0100000000000000, R10
	MOVQ   R10, X6
	PSLLDQ $8, X6
	PXOR   X7, X7

group:
	MOVOU (AX), X1
	PADDQ X6, X7
	MOVO  X7, X2
	PXOR  X0, X2
	PXOR  X1, X2
	PADDQ X6, X7
	MOVO  X7, X3
	PXOR  X0, X3
	PXOR  X1, X3
	PADDQ X6, X7
	MOVO  X7, X4
	PXOR  X0, X4
	PXOR  X1, X4
	PADDQ X6, X7
	MOVO  X7, X5
	PXOR  X0, X5
	PXOR  X1, X5
	LEAQ  16(AX), R8
	LEAQ  -1(CX), R9

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
	MOVOU  X2, (DI)
	MOVOU  X3, 16(DI)
	MOVOU  X4, 32(DI)
	MOVOU  X5, 48(DI)
	ADDQ   $64, DI
	DECQ   SI
	JNZ    group

	PXOR X0, X0
	PXOR X1, X1
	PXOR X2, X2
	PXOR X3, X3
	PXOR X4, X4
	PXOR X5, X5
	RET
