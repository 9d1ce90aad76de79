//go:build darwin || openbsd

// This file is built with the tag purego, too: the tag replaces algorithms in
// assembly, and there is none here, only the way into the C library.

#include "textflag.h"

// The trampoline has no frame: the arguments are in the registers of the C
// calling convention, put there by package syscall, and stay there.
TEXT getentropy_trampoline<>(SB), NOSPLIT, $0-0
#ifdef GOARCH_ppc64
	CALL libc_getentropy(SB)
	RET
#else
	JMP libc_getentropy(SB)
#endif

#ifdef GOARCH_386
#define PTR 4
#endif
#ifdef GOARCH_arm
#define PTR 4
#endif
#ifndef PTR
#define PTR 8
#endif

GLOBL ·getentropyAddr(SB), RODATA, $PTR
DATA ·getentropyAddr(SB)/PTR, $getentropy_trampoline<>(SB)
