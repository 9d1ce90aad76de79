// Package es says what an entropy source is, and holds the sources that lrng
// provides.
//
// A [Source] is a noise source behind its health tests and, where it needs one,
// a conditioning component: the entropy source of NIST SP 800-90B, Section 2.
// Each states its own credit, in bits of min-entropy, and each is asked on its
// own: the collector of lrng concatenates what they deliver and adds up what it
// grants them, which is never more than the source declared and never more than
// the length of the data. A source can therefore lower the credit of a seed by
// lying or failing, but cannot raise it above what its [Info] admits.
//
// Lengths are in bytes, entropy is in bits.
//
// # The sources
//
//	Jitter     the time that memory accesses and a hash take, on any machine
//	CPU        the generator of the processor: RDSEED, RDRAND, RNDRRS, DARN, PRNO-TRNG
//	OS         the generator of the operating system
//	Auxiliary  the pool for what the program adds
//	Scheduler  the times at which the system wakes goroutines
//	Events     the times of events that the program reports
//	Device     a character device such as /dev/hwrng, read ahead
//	Reader     any io.Reader with a declared rate: a TPM, a token, the network
//	Monitor    health tests, credit and failure states around any raw noise
//	SeedFile   randomness carried over a restart, not credited by default
//	Identity   what tells this node from its twins, never credited
//
// The first three are the default of lrng, which adds an Auxiliary. Scheduler and Events
// share a boundary: at most one of the two is credited. Device and Reader are closed by
// who made them, best after the generator. docs/entropy.md has what each claim rests on.
//
// All but CPU, OS, Auxiliary, SeedFile and Identity estimate the min-entropy of their noise
// as they run, and warn if it is less than what is claimed: see [NoiseEstimate].
//
// # Self-tests
//
// Before its first delivery each source here runs the known-answer tests of what it
// uses: its health tests, its clock, its hash function. If a self-test fails, of
// whatever algorithm of this module, then GetEntropy of all sources here returns an
// error that wraps lrng.ErrSelfTest for as long as the process lives.
package es

import (
	"context"
	"errors"
	"fmt"
)

// A Source delivers data with a stated amount of entropy.
//
// The rules for implementations; [github.com/lrng-go/lrng/es/estest] checks them:
//
//  1. All methods may be called concurrently, also by several generators that
//     share the source.
//  2. Info always returns the same value. Info and Available return at once:
//     they do not block, collect, or wait for a lock that is held during
//     collection.
//  3. GetEntropy fills all of p and returns a nil error, or returns an error.
//     With an error the contents of p mean nothing and the credit is 0.
//  4. The credit is at most bits, at most Info().MaxEntropy and at most 8·len(p).
//     It is never negative.
//  5. Nothing is delivered before the start-up tests have passed, if the source
//     has any, nor after they failed (SP 800-90B, Section 4.3).
//  6. GetEntropy returns soon after ctx is done, with its error.
//  7. A source keeps no copy of what it wrote to p, does not write to p after
//     it returned, and never delivers the same data twice.
//  8. The optional methods use up no entropy that GetEntropy would hand out.
//
// The collector protects itself against sources that break these rules: a
// source that panics, hangs, lies or fails costs its own credit, no more.
type Source interface {
	// Info describes the source.
	Info() Info

	// Available returns how many bits a call of GetEntropy that asks for that
	// many bits could credit now. It is an estimate to plan with, not a promise.
	Available(bits int) int

	// GetEntropy fills p with data that holds, where possible, at least bits
	// bits of min-entropy, and returns how many it does hold. It is the
	// GetEntropy interface of SP 800-90B, Section 2.4.
	GetEntropy(ctx context.Context, p []byte, bits int) (credit int, err error)
}

// Info holds the constant facts about a source.
type Info struct {
	// Name identifies the source in the status, in logs and in errors. Names
	// are unique within one generator.
	Name string

	// MaxEntropy is the most min-entropy, in bits, that one call of GetEntropy
	// is credited with. A source with 0 is never credited: its data are only
	// additional input (SP 800-90C, Section 2.6).
	MaxEntropy int

	// Boundary, if not empty, names a security boundary that the noise shares with
	// that of other sources, as the times of the scheduler and of the events of one
	// machine do. Sources of one boundary are not independent: together they count
	// as the one that is credited most (SP 800-90C, Section 2.6).
	Boundary string

	// Slow says that GetEntropy may take long by nature, as a device on a bus
	// does. A seed that is complete without the source does not wait for it.
	Slow bool

	// Health says that the source runs health tests on its raw noise (SP
	// 800-90B, Section 4).
	Health bool
}

// NoiseSource is implemented by sources that open their raw noise to
// assessment (SP 800-90B, Section 3.2.1).
//
// GetNoise stores consecutive raw samples, one a byte, in p and returns their
// number. Samples handed out are never part of a seed.
type NoiseSource interface {
	GetNoise(p []byte) (n int, err error)
}

// HealthTester is implemented by sources that can run their health tests on
// demand (SP 800-90B, Section 4.3). Samples taken for it are not delivered
// before the test is complete.
type HealthTester interface {
	HealthTest(ctx context.Context) error
}

// Notifier is implemented by sources that gain entropy at times of their own.
// The source calls f, without holding locks, each time it has new entropy to
// credit; f returns at once. Each call of Notify adds a function.
type Notifier interface {
	Notify(f func())
}

// Certified is implemented by sources that a certificate covers, such as an entropy
// source validated under SP 800-90B. Certificate returns its name, as whoever
// configured the source has declared it, or "" if there is none. In FIPS mode a
// generator credits a source without health tests of its own only if it has one.
type Certified interface {
	Certificate() string
}

// Validator is implemented by sources that have a configuration. Validate
// returns what is wrong with it, naming the field, or nil. Such a source also
// returns that error from every GetEntropy.
type Validator interface {
	Validate() error
}

// ErrUnavailable says that the source cannot work on this machine, or cannot
// work now. Errors of GetEntropy wrap it where it is the reason.
var ErrUnavailable = errors.New("es: source unavailable")

// A HealthError reports that a health test of a source failed. Its data are
// dropped and it has no credit until it passed its start-up tests again; if
// Permanent is set, it never has any again.
type HealthError struct {
	Source    string // the name of the source
	Test      string // the name of the test, such as "RCT", "APT", "lag" or "start-up"
	Count     int    // what the test counted
	Cutoff    int    // the count at which the alarm is raised
	Permanent bool   // whether the source has failed for good
}

// Error returns the failure as text.
func (e *HealthError) Error() string {
	kind := "intermittent"
	if e.Permanent {
		kind = "permanent"
	}
	return fmt.Sprintf("es: %s: %s health failure: %s: count %d, cut-off %d", e.Source, kind, e.Test, e.Count, e.Cutoff)
}
