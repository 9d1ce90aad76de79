// Package jitter implements the CPU jitter noise source: the variation of the time
// that memory accesses take, with the health tests of package health.
//
// # Claim
//
// The claim is 1/OSR bit of min-entropy a sample, 1/3 by default, as that of
// jitterentropy. Samples are not independent.
//
// Measured in a virtual machine with two CPUs, AMD EPYC (Zen 4, 1 MiB of L2 cache
// each), whose counter of 2.6 GHz advances in steps of 26 ticks, 10 ns: alone on
// one CPU, with the other CPU busy with memory accesses, and (256 KiB only) while
// other programs had a part of both. Bits a sample, the lowest of ten runs or
// more, in brackets the highest; TestAssessment and BenchmarkNoise measure again:
//
//	                                           256 KiB        1 MiB
//	most common value, 10⁶ samples             1.8 (4.2)      4.1 (5.7)
//	predicted from the sample before           1.8 (3.3)      4.0 (4.7)
//	pairs, lag, MultiMCW, MultiMMC to depth 3  1.8 (3.6)      3.8 (5.1)
//	columns of the restart matrix, mean        0.5 (3.6)      2.7 (4.5)
//	time of a sample                           0.7 µs         1.2 µs
//	samples that are stuck                     30 to 40 %     10 %
//
// The restart matrix has 1000 restarts with 1000 samples, in the same memory and
// with the same sequence of addresses. So what only looks random because the
// addresses do is not in its columns: they are what is left for an observer who
// knows all addresses. By that measure the claim has a margin of 1.5 with the
// default of 256 KiB, in the quietest of the runs, and one of 8 with 1 MiB, which
// reaches beyond the caches that belong to one CPU. By the others the margin is 5.
//
// With 16, 32, 64 and 128 accesses in 256 KiB the lowest estimate by prediction
// from the sample before was 0.8, 0.8, 1.3 and 1.8 bits, at 91, 176, 351 and 701
// ns. More than 128 take longer and hardly have more: 2.6 bits with 256 in a run
// that had 2.3 with 128.
//
// # Limits
//
// The noise is that of the machine. In an emulator that counts instructions, or
// on a processor without caches that runs nothing else, there may be none, and
// the tests cannot tell noise from a good pseudo-random sequence. Who controls
// the host of a virtual machine controls its clock.
package jitter

import (
	"fmt"

	"github.com/lrng-go/lrng/internal/clock"
	"github.com/lrng-go/lrng/internal/health"
)

const (
	// DefaultMemory is the size of Config.Memory for who has no other wish: that
	// of jitterentropy.
	DefaultMemory = 1 << 18

	// MinMemory and MaxMemory bound Config.Memory.
	MinMemory = 1 << 12
	MaxMemory = 1 << 29

	// MaxOSR bounds Config.OSR. A noise source that needs more is none.
	MaxOSR = 20

	// maxBackward is how often the clock may step back during a start-up: the
	// threads of a program move between CPUs whose counters differ a little.
	maxBackward = 3

	// maxStuck is the part of the start-up samples that may be stuck, in percent.
	maxStuck = 90
)

// Config describes a noise source.
type Config struct {
	// OSR is the oversampling rate, 1 to MaxOSR: the number of samples that
	// together are claimed to hold one bit of min-entropy.
	OSR int

	// Memory is the size of the memory that the accesses go to, in bytes: a power
	// of two, MinMemory to MaxMemory.
	Memory int

	// Now is the clock; nil is clock.Now.
	Now func() uint64
}

// A Source is the noise source with its health tests. It is not safe for
// concurrent use.
type Source struct {
	noise   noise
	size    int
	divisor uint64 // the step of the clock, in ticks; 0 until the clock was probed
	stuck   health.Stuck
	tests   *health.Tests

	// The start-up in progress.
	ready    bool
	probe    probe
	samples  int // tested
	stuckN   int // of these, stuck
	backward int // steps of the clock
}

// New returns a source, or an error that names the field of c that is wrong. The
// memory is allocated when the first sample is taken.
func New(c Config) (*Source, error) {
	if c.OSR < 1 || c.OSR > MaxOSR {
		return nil, fmt.Errorf("jitter: OSR: %d is not in 1 to %d", c.OSR, MaxOSR)
	}
	if c.Memory < MinMemory || c.Memory > MaxMemory || c.Memory&(c.Memory-1) != 0 {
		return nil, fmt.Errorf("jitter: Memory: %d bytes is not a power of two from %d to %d", c.Memory, MinMemory, MaxMemory)
	}
	tests, err := health.New(health.Config{
		H:              1 / float64(c.OSR),
		Window:         health.Window,
		Alpha:          health.Alpha,
		PermanentAlpha: health.PermanentAlpha,
	})
	if err != nil {
		return nil, err
	}
	if c.Now == nil {
		c.Now = clock.Now
	}
	return &Source{noise: noise{now: c.Now}, size: c.Memory, tests: tests}, nil
}

// Start begins the start-up test anew: the probe of the clock, if it has not
// passed yet, and then at least health.StartupSamples samples.
func (s *Source) Start() {
	s.ready = false
	s.probe = probe{}
	s.samples, s.stuckN, s.backward = 0, 0, 0
	s.tests.Restart()
}

// Ready reports whether the start-up test has passed, and there was no alarm
// since.
func (s *Source) Ready() bool { return s.ready }

// Probed reports whether the clock has been probed, so that Noise can be called.
func (s *Source) Probed() bool { return s.divisor != 0 }

// Next takes one sample and tests it. One sample takes about a microsecond, 50 at
// most with a coarse clock on the machines known.
//
// Delta is the duration in ticks, with all its bits. Counts reports whether it is
// one of the OSR samples that make up a bit: the source is ready, and the sample
// is not stuck. A sample that does not count may be used all the same.
//
// An error is a *health.Failure, or says what is wrong with the clock. In both
// cases whatever was collected since the last start-up is to be dropped, and the
// source is at the beginning of a new start-up. After a permanent failure Next
// goes on to return that.
func (s *Source) Next() (delta uint64, counts bool, err error) {
	delta, forward := s.next()
	if !s.ready && !forward {
		if s.backward++; s.backward > maxBackward {
			s.Start()
			return 0, false, errBackward
		}
	}
	if s.divisor == 0 {
		return 0, false, s.probeClock(delta, forward)
	}

	// A duration that is negative is no measurement.
	stuck := s.stuck.Next(delta) || !forward
	if f := s.tests.NextStuck(uint64(s.symbol(delta)), stuck); f != nil {
		s.Start()
		return 0, false, f
	}
	if s.ready {
		return delta, !stuck, nil
	}
	return delta, false, s.startUp(stuck)
}

// next takes one sample. The first one allocates the memory.
func (s *Source) next() (delta uint64, forward bool) {
	if s.noise.memory == nil {
		s.noise.init(s.size)
	}
	return s.noise.sample()
}

// probeClock takes one sample into account for the probe of the clock, which
// determines the step of the clock and the length of the runs: as long as these
// do not differ enough they are made twice as long.
func (s *Source) probeClock(delta uint64, forward bool) error {
	if !forward || !s.probe.next(delta) {
		return nil
	}
	step, err := s.probe.verdict()
	switch {
	case err == nil:
		s.divisor = step
	case s.noise.accesses < maxAccesses:
		s.noise.accesses *= 2
		err = nil
	default:
		s.noise.accesses = accesses
		s.Start()
	}
	return err
}

// startUp takes one sample that has passed the tests into account for the
// start-up test.
func (s *Source) startUp(stuck bool) error {
	s.samples++
	if stuck {
		s.stuckN++
	}
	if !s.tests.Ready() {
		return nil
	}
	if limit := s.samples * maxStuck / 100; s.stuckN > limit {
		f := &health.Failure{Test: "start-up", Count: s.stuckN, Cutoff: limit + 1}
		s.Start()
		return f
	}
	s.ready = true
	return nil
}

// symbol reduces a duration to the sample that the APT looks at and GetNoise
// returns: the low 8 bits of the number of steps of the clock. Some counters
// advance in steps of many ticks, which would leave low bits without noise.
func (s *Source) symbol(delta uint64) byte { return byte(delta / s.divisor) }

// Noise takes one sample for an assessment of the source, past the tests, and
// returns its symbol. The clock must have been probed.
func (s *Source) Noise() byte {
	delta, _ := s.next()
	return s.symbol(delta)
}
