// Package jitter implements the CPU jitter noise source: the variation of the time
// that memory accesses and a hash function take, with the health tests of package
// health.
//
// # Claim
//
// The claim is 1/OSR bit of min-entropy a sample: that of package es by default is 1/3
// for [Mixed], as that of jitterentropy, 1/6 for [Memory] alone and 1/14 for [Hash]. Samples
// are not independent.
//
// Measured in a virtual machine with two CPUs, AMD EPYC (Zen 4, 1 MiB of L2 cache
// each), whose counter of 2.6 GHz advances in steps of 26 ticks, 10 ns. Bits a sample,
// the lowest of ten runs or more, in brackets the highest; TestAssessment measures
// again. The machine was never quite idle: the load averages were 1 to 35.
// Those of Memory are also from another day, when it was alone on one CPU. The times are
// the shortest of many, as on an idle machine.
//
//	                                  256 KiB                            1 MiB
//	                                  Mixed      Memory     Hash         Mixed      Memory
//	most common value, 10⁶ samples    2.8 (5.7)  1.6 (4.2)  1.5 (4.4)    6.0 (7.3)  4.1 (6.5)
//	most common pair                  2.6 (4.1)  1.8 (2.6)  1.5 (3.0)    5.0 (6.0)  4.0 (5.4)
//	predicted from the sample before  2.1 (5.3)  1.5 (3.3)  1.1 (3.0)    5.3 (6.5)  4.0 (5.6)
//	lag 1 to 128                      2.6 (3.8)  2.4 (2.9)  1.3 (3.3)    5.4 (6.5)  4.4 (5.7)
//	columns of the restart matrix     2.3 (4.8)  0.5 (3.6)  1.4 (3.7)    3.9 (5.4)  2.7 (4.6)
//	time of a sample                  1.0 µs     0.6 µs     0.4 µs       1.5 µs     1.1 µs
//	samples that are stuck            13–20 %    20–40 %    17–32 %      3–6 %      4–11 %
//
// The restart matrix has 1000 restarts with up to 1000 samples, in the same memory, with
// the same sequence of addresses and the same hashes. So what only looks random because
// the addresses do is not in its columns, of which the line has the mean: they are what
// is left for an observer who knows all of that. The least column of Mixed in any run
// had 2.0 bits.
//
// The estimators of SP 800-90B find less in Hash, 0.2 bits (docs/entropy.md): its times
// repeat in long runs when nothing disturbs them, which the line of the t-tuples shows and
// no line above. In Mixed they find 2.2, and in Memory 1.8.
//
// So the claim is a sixth of the lowest number for Mixed, a third for Memory, and a
// third for Hash. In the quietest run, in which Memory had 0.8 bits by its columns,
// Mixed had 2.3 and Hash 2.7: what a hash adds does not depend on the caches.
//
// With 16, 32, 64 and 128 accesses in 256 KiB the lowest estimate of Memory by
// prediction from the sample before was 0.8, 0.8, 1.3 and 1.8 bits, at 91, 176, 351 and
// 701 ns. More than 128 take longer and hardly have more: 2.6 bits with 256 in a run
// that had 2.3 with 128. Of SHA-256, SHA-512 and SHA3-256 the last had most.
//
// # Two noises
//
// Memory and Hash as two sources are as independent as two noises in one CPU can be. They
// share its clock, its interrupts and its frequency. Sampled in turn, without a pause, a
// predictor that knows the sample of the other noise just before has 0.1 to 0.4 bits
// less of 2.2 to 3.5 than one that knows a sample from long ago (three runs under load).
// That is less than what the claim leaves.
//
// # Limits
//
// The noise is that of the machine. In an emulator that counts instructions, or
// on a processor without caches that runs nothing else, there may be none, and
// the tests cannot tell noise from a good pseudo-random sequence. Who controls
// the host of a virtual machine controls its clock.
package jitter

import (
	"errors"
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

	// maxStuck is the part of the samples that may be stuck, in percent, in the
	// start-up and in each 1024 after it. It is that of the start-up of jitterentropy,
	// and twice what was measured. Durations that change now and then by one step, with
	// the temperature for instance, are noticed by no other test in good time.
	maxStuck = 90
)

// Config describes a noise source.
type Config struct {
	// Noise is what is measured.
	Noise Noise

	// OSR is the oversampling rate to begin with, 1 to MaxOSR: the number of samples
	// that together are claimed to hold one bit of min-entropy.
	OSR int

	// Memory is the size of the memory that the accesses go to, in bytes: a power
	// of two, MinMemory to MaxMemory. It is of no use for Hash.
	Memory int

	// Now is the clock; nil is clock.Now.
	Now func() uint64
}

// A Source is the noise source with its health tests. It is not safe for
// concurrent use.
type Source struct {
	noise  noise
	kind   Noise
	size   int
	osr    int
	clock  Clock // its Step is 0 until the clock was probed
	stuck  health.Stuck
	tests  *health.Tests
	failed *health.Failure // the permanent failure, if there was one

	ready   bool  // the start-up is over
	probe   probe // empty unless it is under way
	samples int   // tested in the start-up, or since it in this window of 1024
	stuckN  int   // of these, stuck
}

// New returns a source, or an error that names the field of c that is wrong. The
// memory is allocated when the first sample is taken.
func New(c Config) (*Source, error) {
	if c.Noise > Hash {
		return nil, fmt.Errorf("jitter: Noise: %d is not in %d to %d", c.Noise, Mixed, Hash)
	}
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
	if err := tests.AddLag(); err != nil {
		return nil, err
	}
	if c.Now == nil {
		c.Now = clock.Now
	}
	return &Source{noise: noise{now: c.Now}, kind: c.Noise, size: c.Memory, osr: c.OSR, tests: tests}, nil
}

// Start begins the start-up test anew: the probe of the clock, if it has not
// passed yet, and then at least health.StartupSamples samples.
func (s *Source) Start() {
	s.ready = false
	s.probe = probe{}
	s.samples, s.stuckN, s.clock.Backward = 0, 0, 0
	s.tests.Restart()
}

// Ready reports whether the start-up test has passed, and there was no alarm
// since.
func (s *Source) Ready() bool { return s.ready }

// Probed reports whether the clock has been probed, so that Noise can be called.
func (s *Source) Probed() bool { return s.clock.Step != 0 }

// OSR returns the oversampling rate: that of the Config, and one more for each
// intermittent failure since.
func (s *Source) OSR() int { return s.osr }

// Clock returns what the start-up found out about the clock, once it was probed.
func (s *Source) Clock() Clock { return s.clock }

// Memory returns the size of the memory that is accessed, in bytes; 0 for Hash.
func (s *Source) Memory() int {
	if s.kind == Hash {
		return 0
	}
	return s.size
}

// Next takes one sample and tests it. One sample takes one or two microseconds, 100 at
// most with a coarse clock on the machines known.
//
// Delta is the duration in ticks, with all its bits. Counts reports whether it is
// one of the OSR samples that make up a bit: the source is ready, and the sample
// is not stuck. A sample that does not count may be used all the same.
//
// An error is a *health.Failure, or says what is wrong with the clock. In both
// cases whatever was collected since the last start-up is to be dropped, and the
// source is at the beginning of a new start-up: after an intermittent failure with a
// higher OSR. If that is MaxOSR already, the failure is permanent. After a permanent
// failure Next takes no more samples and goes on to return that.
func (s *Source) Next() (delta uint64, counts bool, err error) {
	if s.failed != nil {
		return 0, false, s.failed
	}
	delta, forward := s.next()
	if !s.ready && !forward {
		if s.clock.Backward++; s.clock.Backward > maxBackward {
			s.Start()
			return 0, false, errBackward
		}
	}
	if !s.Probed() {
		return 0, false, s.probeClock(delta, forward)
	}

	// A duration that is negative is no measurement.
	stuck := s.stuck.Next(delta) || !forward
	if f := s.tests.NextStuck(uint64(s.symbol(delta)), stuck); f != nil {
		return 0, false, s.fail(f)
	}
	counts = s.ready && !stuck
	if err := s.count(stuck); err != nil {
		return 0, false, err
	}
	return delta, counts, nil
}

// next takes one sample. The first one allocates the memory.
func (s *Source) next() (delta uint64, forward bool) {
	if s.noise.length == 0 {
		s.noise.init(s.kind, s.size)
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
	c, err := s.probe.verdict()
	switch {
	case err == nil:
		c.Length, c.Backward = s.noise.length, s.clock.Backward
		s.clock = c
	case s.noise.length < maxLength:
		s.noise.length *= 2
		err = nil
	default:
		s.noise.length = 1
		s.Start()
	}
	return err
}

// count takes one sample that has passed the tests into account for the start-up test,
// or after it for the number of stuck ones.
func (s *Source) count(stuck bool) error {
	s.samples++
	if stuck {
		s.stuckN++
	}
	test := "stuck"
	if !s.ready {
		test = "start-up"
		if !s.tests.Ready() {
			return nil
		}
	} else if s.samples < health.StartupSamples {
		return nil
	}
	if limit := s.samples * maxStuck / 100; s.stuckN > limit {
		return s.fail(&health.Failure{Test: test, Count: s.stuckN, Cutoff: limit + 1})
	}
	s.ready, s.samples, s.stuckN = true, 0, 0
	return nil
}

// fail notes a failure: a permanent one, or an intermittent one, which costs a part of
// the claim. It returns the failure as it is to be reported.
func (s *Source) fail(f *health.Failure) error {
	if !f.Permanent && s.raise() != nil {
		last := *f
		last.Permanent = true
		f = &last
	}
	if f.Permanent {
		s.failed = f
	}
	s.Start()
	return f
}

// raise raises the OSR by one, as jitterentropy does, and claims less of each sample.
func (s *Source) raise() error {
	if s.osr == MaxOSR {
		return errors.New("jitter: the OSR is at its maximum")
	}
	s.osr++
	return s.tests.Claim(1 / float64(s.osr))
}

// symbol reduces a duration to the sample that the tests look at and GetNoise
// returns: the low 8 bits of the number of steps of the clock. Some counters
// advance in steps of many ticks, which would leave low bits without noise.
func (s *Source) symbol(delta uint64) byte { return byte(delta / s.clock.Step) }

// Noise takes one sample for an assessment of the source, past the tests, and
// returns its symbol, and the duration in ticks that it is of. The clock must have been
// probed.
func (s *Source) Noise() (symbol byte, delta uint64) {
	delta, _ = s.next()
	return s.symbol(delta), delta
}
