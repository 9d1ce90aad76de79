//go:build !purego

#include "textflag.h"

// CF says whether there was a word; without one the register is 0.

// func rdseed() (w uint64, ok bool)
TEXT ·rdseed(SB), NOSPLIT, $0-9
	RDSEEDQ AX
	SETCS   ok+8(FP)
	MOVQ    AX, w+0(FP)
	RET

// func rdrand() (w uint64, ok bool)
TEXT ·rdrand(SB), NOSPLIT, $0-9
	RDRANDQ AX
	SETCS   ok+8(FP)
	MOVQ    AX, w+0(FP)
	RET

// func pause(n int)
TEXT ·pause(SB), NOSPLIT, $0-8
	MOVQ  n+0(FP), CX
	TESTQ CX, CX
	JLE   done

loop:
	PAUSE
	DECQ CX
	JNZ  loop

done:
	RET
