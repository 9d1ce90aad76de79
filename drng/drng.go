// Package drng says what a deterministic random number generator is, and holds
// the mechanisms that lrng provides.
//
// A [DRNG] turns a seed into output. It knows nothing of entropy: how much there
// is in a seed is the business of who seeds it. Programs that want random bytes
// use package lrng; this package is for those who plug in a generator of their
// own, and for tests with known answers.
//
// Lengths are in bytes, security strengths in bits.
//
// # Memory
//
// The state of a mechanism, with all that it works on, is in memory outside of the Go
// heap that is kept out of swap, core dumps and child processes as far as the system
// grants it: see Memory in the documentation of package lrng. It is allocated by the
// first Seed, and given back by Clear or when the mechanism is garbage. What the hash
// functions and, in FIPS mode, AES of the standard library work on is theirs.
//
// In a child process of fork(2) without exec, and after the kernel dropped memory that it
// may drop, a mechanism is not seeded: Generate returns [ErrNotSeeded], and Seed
// instantiates.
//
// # Self-tests
//
// Each mechanism here has a known-answer test (SP 800-90A Rev. 1, Section 11.3). The
// first Seed of the mechanism in a process runs it, which takes 5 to 120 µs (Zen 4),
// and package lrng repeats it. If a self-test fails, of whatever algorithm of this
// module, then Seed and Generate of all mechanisms here return an error for as long as
// the process lives. It wraps lrng.ErrSelfTest.
package drng

import "errors"

// A DRNG is a deterministic random bit generator mechanism in the sense of NIST
// SP 800-90A Rev. 1.
//
// The rules for implementations; [github.com/lrng-go/lrng/drng/drngtest] checks them:
//
//  1. A DRNG is not safe for concurrent use. Who holds it locks it.
//  2. Info always returns the same value.
//  3. The first Seed instantiates (Section 9.1), later ones reseed (Section 9.2)
//     and keep what the state held: a bad seed cannot lower its entropy. Lengths
//     that Info excludes are an error. With an error the state is unchanged.
//  4. Generate before Seed or after Clear returns an error that wraps
//     [ErrNotSeeded]; for more than Info().MaxRequest bytes, one that wraps
//     [ErrRequestTooLarge]; after Info().ReseedInterval requests since the last
//     Seed, one that wraps [ErrReseedRequired]. For additional input of more than
//     Info().MaxAdditional, if that is not 0, it returns an error, too. With any
//     error out is cleared and the state is unchanged.
//  5. When Generate returns, the state does not allow to compute what was
//     returned (backtracking resistance, Section 8.8).
//  6. Generate overwrites out; what was in it does not matter. Out and
//     additional may be the same memory. Neither is kept.
//  7. Generate and Seed of an instantiated generator do not allocate, unless
//     crypto/fips140 is enabled. (In that mode CTR does, since the standard library
//     allocates every AES key.)
//  8. Clear wipes the state (Section 9.4). It may be called twice. Seed may be
//     called after it, and instantiates anew.
type DRNG interface {
	// Info describes the mechanism.
	Info() Info

	// Seed instantiates or reseeds. For the mechanisms of SP 800-90A, seed is
	// entropy input ‖ nonce and additional is the personalization string (first
	// call) or the additional input (later calls).
	Seed(seed, additional []byte) error

	// Generate fills out. It is one request (Section 9.3), with additional as
	// its additional input; nil or empty means none.
	Generate(out, additional []byte) error

	// Clear wipes the state.
	Clear()
}

// Info holds the constant facts about a mechanism.
type Info struct {
	// Name identifies the mechanism in the status and in logs.
	Name string

	// SecurityStrength is in bits.
	SecurityStrength int

	// MaxRequest is the most that one Generate returns, in bytes.
	MaxRequest int

	// ReseedInterval is the number of requests allowed between two seeds.
	ReseedInterval uint64

	// Approved says that the mechanism is one of SP 800-90A.
	Approved bool

	// SeedSize, if not 0, is the only length of a seed that Seed takes, in bytes.
	// Such a seed must have full entropy: see CTR_DRBG without derivation function.
	SeedSize int

	// MaxAdditional, if not 0, is the greatest length of additional input that Seed
	// and Generate take, in bytes. 0 means that there is no limit below 2³² - 1.
	MaxAdditional int
}

// Errors of every mechanism. They are wrapped, with details; use errors.Is.
var (
	ErrNotSeeded       = errors.New("drng: not seeded")
	ErrReseedRequired  = errors.New("drng: reseed required")
	ErrRequestTooLarge = errors.New("drng: request too large")
)
