//go:build !purego

#include "textflag.h"

// func counter() uint64
TEXT ·counter(SB), NOSPLIT, $0-8
	STCKF ret+0(FP)
	RET
