//go:build !purego

#include "textflag.h"

// func trng() (w uint64, ok bool)
//
// Register 0 holds the function. The even registers of the operands hold the
// addresses, the odd ones the lengths: the first operand gets raw data, none
// here, the second conditioned data. Condition code 3 says that the instruction
// was interrupted; the registers are updated then, and executing it again goes
// on. The CPU sees to it that this ends (z/Architecture Principles of Operation,
// "PERFORM RANDOM NUMBER OPERATION").
TEXT ·trng(SB), NOSPLIT, $0-9
	MOVD $0, w+0(FP)
	MOVD $114, R0      // PRNO-TRNG
	MOVD $0, R1        // no parameter block
	MOVD $0, R2
	MOVD $0, R3
	MOVD $w+0(FP), R4
	MOVD $8, R5

again:
	WORD $0xb93c0024   // PRNO R2, R4
	BVS  again
	MOVD $1, R1
	MOVB R1, ok+8(FP)
	RET
