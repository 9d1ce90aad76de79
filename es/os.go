package es

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/lrng-go/lrng/internal/sysrand"
	"github.com/lrng-go/lrng/internal/zero"
)

// OSConfig configures an [OS] source. The zero value is recommended.
type OSConfig struct {
	// Rate is the min-entropy credited for 256 bits of data, in bits: 1…256. 0 is
	// the recommended 256; a negative rate is no credit, and one above 256 an
	// error.
	//
	// The recommended rate takes the system's word that its generator is seeded.
	// It is a deterministic generator, of 256 bits of security strength on the
	// common systems: what is credited beyond that, in one call or in several, is
	// entropy only to an adversary who cannot break the generator. Where such
	// output must not be credited at all, as in an RBG of SP 800-90C, which rests
	// on validated sources, set a negative rate.
	Rate int

	// Certificate is the name of the certificate, as "E123", under which the
	// generator of this system is a validated entropy source. Whoever sets it
	// declares that; nothing checks it. In FIPS 140-3 mode a generator of lrng
	// credits the source only if it is set.
	Certificate string
}

// OS is the random generator of the operating system as an entropy source. On
// Linux it is getrandom(2), always as a system call: the equivalent in the vDSO
// keeps a key in the memory of the process, where it can be found later. Other
// systems are asked in their own way, never through crypto/rand; a system
// without a generator yields [ErrUnavailable].
//
// Nothing is delivered before the system says that its generator is seeded.
// Shortly after the machine was started that may take seconds; GetEntropy waits
// for it, and Available is 0 meanwhile. There is no way to get data earlier.
//
// The raw noise and its health tests are the system's business. What the source
// does recognise is a generator that is dead: if a block of 16 bytes is followed
// by the same again, within a call, or consists of zeros or of ones, the source
// fails for good with a [*HealthError]. A working generator does that with
// probability below 2⁻⁹⁸ in 2³¹ bytes, so there are no false alarms to recover
// from.
//
// An OS keeps no data from one call to the next. It is safe for concurrent use
// and holds nothing that has to be wiped.
type OS struct {
	rate        rate
	certificate string
	invalid     error // what is wrong with the configuration

	read func(b []byte) error // sysrand.Read; tests put in faults

	ready  atomic.Bool // the last read succeeded
	failed atomic.Bool // the generator is dead
}

const osName = "os"

// The wait for the generator of the system begins with osPollMin and doubles up
// to osPollMax. Kernels without a hardware generator are ready about a second
// after start, so this asks some 15 times and is at most 0.1 s late.
const (
	osPollMin = time.Millisecond
	osPollMax = 100 * time.Millisecond
)

// osChunk is how much is read between two looks at the context, in bytes. It
// takes less than a millisecond.
const osChunk = 64 << 10

// osBlock is the size of the blocks that the data are compared in, in bytes. A
// repetition count test on samples of 128 bits of entropy has the cut-off
// 1 + ⌈20/128⌉ = 2 for α = 2⁻²⁰ (SP 800-90B, Section 4.4.1); its α is in fact
// 2⁻¹²⁸.
const (
	osBlock  = 16
	osCutoff = 2
)

// NewOS returns the source with configuration c. It does not read anything.
func NewOS(c OSConfig) *OS {
	return newOS(c, sysrand.Read)
}

// newOS is NewOS for a generator that read reads.
func newOS(c OSConfig, read func(b []byte) error) *OS {
	s := &OS{read: read, certificate: c.Certificate}
	s.rate, s.invalid = newRate("OSConfig", c.Rate, 256)
	return s
}

// Validate returns what is wrong with the configuration, or nil.
func (s *OS) Validate() error { return s.invalid }

// Certificate returns OSConfig.Certificate. It makes OS a [Certified] source.
func (s *OS) Certificate() string { return s.certificate }

// Info returns the facts about the source. MaxEntropy is 512 bits at the full
// rate.
func (s *OS) Info() Info {
	return Info{Name: osName, MaxEntropy: s.rate.max()}
}

// Available returns the credit of a request for bits, or 0 while the generator
// of the system is not ready or cannot be read. It does not wait.
func (s *OS) Available(bits int) int {
	credit := s.rate.available(bits)
	if credit == 0 || s.failed.Load() {
		return 0
	}
	if !s.ready.Load() {
		var probe [1]byte
		if s.read(probe[:]) != nil {
			return 0
		}
		s.ready.Store(true)
	}
	return credit
}

// GetEntropy fills p and returns the credit: of the bits asked for, as many as
// the length of p, the rate and [Info] admit. Until the generator of the system
// is ready it waits for that or for ctx. Its errors wrap that of ctx, or
// [ErrUnavailable] and the error of the system, or are a [*HealthError]; p has
// then been wiped.
func (s *OS) GetEntropy(ctx context.Context, p []byte, bits int) (credit int, err error) {
	if err := s.fill(ctx, p); err != nil {
		zero.Bytes(p)
		return 0, err
	}
	return s.rate.credit(len(p), bits), nil
}

// fill reads p and compares it with itself and with a block that was read
// before it and is not handed out, so that a generator that begins anew with
// each read is noticed without keeping a copy of any seed.
func (s *OS) fill(ctx context.Context, p []byte) error {
	if s.invalid != nil {
		return s.invalid
	}
	if err := runSelfTests(osName, osSelfTest.Once); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("es: %s: %w", osName, err)
	}
	if len(p) == 0 {
		return nil
	}
	var check [osBlock]byte
	defer zero.Bytes(check[:])
	if err := s.readFull(ctx, check[:]); err != nil {
		return err
	}
	if len(p) < osBlock {
		// Too short to be compared: take the beginning of a whole block.
		var block [osBlock]byte
		defer zero.Bytes(block[:])
		if err := s.readBlocks(ctx, block[:], &check); err != nil {
			return err
		}
		copy(p, block[:])
		return nil
	}
	for len(p) > 0 {
		n := min(len(p), osChunk)
		if err := s.readBlocks(ctx, p[:n], &check); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// readBlocks fills p and fails if the generator is dead.
func (s *OS) readBlocks(ctx context.Context, p []byte, check *[osBlock]byte) error {
	clear(p) // so that what was not written is found, as zeros
	if err := s.readFull(ctx, p); err != nil {
		return err
	}
	if repeats(p, check) {
		s.failed.Store(true)
		return s.dead()
	}
	return nil
}

// dead returns the error of a source that has failed.
func (s *OS) dead() error {
	return &HealthError{Source: osName, Test: "repeated block", Count: osCutoff, Cutoff: osCutoff, Permanent: true}
}

// repeats reports whether a block of p equals the one before it, or check, or
// consists of zeros or of ones. The time it takes depends on the length of p
// only.
func repeats(p []byte, check *[osBlock]byte) bool {
	var zeros, ones [osBlock]byte
	for i := range ones {
		ones[i] = 0xff
	}
	equal := 0
	previous := check[:]
	for ; len(p) >= osBlock; p = p[osBlock:] {
		block := p[:osBlock]
		equal |= subtle.ConstantTimeCompare(block, previous) |
			subtle.ConstantTimeCompare(block, check[:]) |
			subtle.ConstantTimeCompare(block, zeros[:]) |
			subtle.ConstantTimeCompare(block, ones[:])
		previous = block
	}
	return equal != 0
}

// readFull reads len(p) bytes, which are at most osChunk, and waits until the
// generator is ready.
func (s *OS) readFull(ctx context.Context, p []byte) error {
	if s.failed.Load() {
		return s.dead()
	}
	for delay := osPollMin; ; delay = min(2*delay, osPollMax) {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("es: %s: %w", osName, err)
		}
		err := s.read(p)
		if err == nil {
			s.ready.Store(true)
			return nil
		}
		s.ready.Store(false)
		if !errors.Is(err, sysrand.ErrNotReady) {
			return fmt.Errorf("es: %s: %w: %w", osName, err, ErrUnavailable)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("es: %s: waiting for the generator of the system: %w", osName, ctx.Err())
		case <-time.After(delay):
		}
	}
}
