//go:build (ppc64 || ppc64le) && !purego

#include "textflag.h"

// func darn() (w uint64, ok bool)
//
// L = 1 wants 64 conditioned bits. All ones say that there are none.
TEXT ·darn(SB), NOSPLIT, $0-9
	DARN $1, R3        // 7c6105e6
	MOVD $0, R4
	CMP  R3, $-1
	BEQ  none
	MOVD $1, R4

none:
	MOVD R3, w+0(FP)
	MOVB R4, ok+8(FP)
	MOVD $0, R3
	RET

// func pause(n int)
//
// OR of a register with itself sets the priority of the thread: 1 is low, 6 is
// medium low, which is where Linux starts programs.
TEXT ·pause(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R3
	CMP  R3, $0
	BLE  done
	OR   R1, R1, R1

loop:
	ADD  $-1, R3
	CMP  R3, $0
	BNE  loop
	OR   R6, R6, R6

done:
	RET
