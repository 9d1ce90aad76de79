package lrng

import (
	"errors"

	"github.com/lrng-go/lrng/internal/selftest"
)

// Errors that callers branch on with errors.Is.
var (
	// ErrNotSeeded says that the generator is not, or not any more, fully
	// seeded and that the caller did not ask to wait.
	ErrNotSeeded = errors.New("lrng: not fully seeded")

	// ErrInsufficientEntropy says that the sources yield too little at present for
	// what was asked, and that the caller did not ask to wait.
	ErrInsufficientEntropy = errors.New("lrng: the sources yield too little entropy at present")

	// ErrClosed says that the generator was closed.
	ErrClosed = errors.New("lrng: closed")

	// ErrSelfTest says that a self-test has failed in this process. Nothing is
	// output any more, by any generator, until the program is started again (SP
	// 800-90A, Section 11.4). Errors wrap it and name the algorithm.
	ErrSelfTest = selftest.ErrFailed
)
