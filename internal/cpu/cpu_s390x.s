//go:build !purego

#include "textflag.h"

// func stfle() (facilities uint64)
//
// Register 0 holds how many doublewords there is room for, less one.
TEXT ·stfle(SB), NOSPLIT, $0-8
	MOVD $facilities+0(FP), R1
	MOVD $0, R0
	WORD $0xb2b01000           // STFLE 0(R1)
	RET

// func prnoQuery() (functions [2]uint64)
//
// Register 0 holds the function, 0 for the query, and register 1 the address of
// the parameter block. The operands, registers 2 and 4, are not looked at.
TEXT ·prnoQuery(SB), NOSPLIT, $0-16
	MOVD $functions+0(FP), R1
	XC   $16, (R1), (R1)
	MOVD $0, R0
	WORD $0xb93c0024           // PRNO R2, R4
	RET
