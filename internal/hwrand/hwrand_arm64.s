//go:build !purego

#include "textflag.h"

// Z says that there was no word.

// func rndrrs() (w uint64, ok bool)
TEXT ·rndrrs(SB), NOSPLIT, $0-9
	MRS  RNDRRS, R0    // d53b2420
	CSET NE, R1
	MOVD R0, w+0(FP)
	MOVB R1, ok+8(FP)
	MOVD ZR, R0
	RET

// func rndr() (w uint64, ok bool)
TEXT ·rndr(SB), NOSPLIT, $0-9
	MRS  RNDR, R0      // d53b2400
	CSET NE, R1
	MOVD R0, w+0(FP)
	MOVB R1, ok+8(FP)
	MOVD ZR, R0
	RET

// func pause(n int)
TEXT ·pause(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R0
	CMP  $0, R0
	BLE  done

loop:
	ISB  $15
	SUBS $1, R0, R0
	BNE  loop

done:
	RET
