package es

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/internal/clock"
	"github.com/lrng-go/lrng/internal/ctxsync"
	"github.com/lrng-go/lrng/internal/zero"
)

// SchedulerConfig configures a [Scheduler] source. The zero value is the recommended
// configuration.
type SchedulerConfig struct {
	// Rate is the min-entropy credited for 256 bits of data, in bits: 1…256. 0 is
	// the recommended 256; a negative rate is no credit, and one above 256 an
	// error. It does not change what is collected: see OSR.
	Rate int

	// OSR is the oversampling rate: the number of wake-ups for each bit of entropy
	// claimed, 1…64. 0 is the recommended 3, a claim of 1/3 bit a wake-up.
	OSR int

	// Conditioner is the hash function of the pool, 256 to 512 bits wide; one call
	// is credited with at most its width less 64 bits. Nil means SHA-512.
	Conditioner conditioner.Conditioner
}

const (
	// schedulerOSR is the default oversampling rate: see the claim of Scheduler.
	schedulerOSR = 3

	// schedulerBudget is the time for one call, its start-up test included. On the
	// machine of the measurements the first call takes 10 to 50 ms.
	schedulerBudget = 500 * time.Millisecond

	// schedulerInterval is how many wake-ups there are between two looks at the time.
	schedulerInterval = 16

	// schedulerMost bounds the wake-ups of one call, if the system does not tell the
	// time. What the highest OSR takes for 384 bits is less than half of that.
	schedulerMost = 1 << 16
)

// Scheduler is the source for the times at which threads are woken up: the scheduler
// source of LRNG in user space. The scheduler of Go and that of the operating system
// both have a part in them, and whatever else the machine does.
//
// For a call two goroutines wake each other in turn, by channels. One of them has a
// thread of its own ([runtime.LockOSThread]), so that each time the system has to stop
// one thread and start another. The time at which each begins to run is an event, as
// those of [Events]: the sample are its 8 low bits, in steps of the clock.
//
// # Claim
//
// The claim is 1/OSR bit of min-entropy for each wake-up that is not stuck, 1/3 by
// default; samples are not claimed to be IID. Measured as those of [Events], and on the
// same machine: 4.9 bits in the worst run (6.8 in the best) with 1 to 5 % stuck, and 3.7
// (6.9) with GOMAXPROCS=1. That is a margin of 11. TestSchedulerAssessment measures
// again. With both goroutines on one thread there were 1.2 bits, which is what is left
// where threads are not to be had.
//
// # Conditioning and health tests
//
// For n bits, (n+64)·OSR events that are not stuck go into the pool, and those that are
// stuck as well. The credit follows from SP 800-90B, Section 3.1.5.1.2; because of the
// additional 64 bits it is n. The tests are those of [Events]. The first call starts
// with 100 wake-ups to find out the step of the clock and the start-up test of 1024, of
// which none is credited. After an alarm the next call starts with the latter again.
//
// The source works when it is called, and has no goroutine in between. It is safe for
// concurrent use; calls take turns.
//
// # Failure
//
// A failed test is a [*HealthError]; all credit is dropped. A permanent failure is final
// for this Scheduler. A clock that stands still, and a start-up test that takes longer
// than 500 ms, are errors that wrap [ErrUnavailable], and are not final. If there are
// not enough wake-ups in that time later on, the credit is lower.
//
// # Security
//
// Who runs code on the same machine, or controls it, can see when threads run. That
// they cannot tell the times to the tick is what the claim rests on. Where there is
// but one thread, as in WebAssembly, only the scheduler of Go is left; the clock there
// is too coarse on most hosts to show any of its noise, and then the tests fail. The
// collector credits at most one of this source and [Events].
//
// From the state that is left when GetEntropy returns, nothing that it delivered can be
// computed: the pool is hashed with itself.
type Scheduler struct {
	pool eventPool

	// down says that the last attempt ended with an error that the next will end
	// with, too, unless the machine changes.
	down atomic.Bool

	// lock is held during collection, and guards pool and the fields below.
	lock    ctxsync.Lock
	chain   chain
	now     func() uint64        // the clock for the events
	elapsed func() time.Duration // the clock for the budget
}

// NewScheduler returns the source with configuration c. It collects nothing before the
// first call that needs it. If c is not valid, Validate and all calls that collect
// return the reason.
func NewScheduler(c SchedulerConfig) *Scheduler {
	return newScheduler(c, clock.Now, clock.Monotonic)
}

func newScheduler(c SchedulerConfig, now func() uint64, elapsed func() time.Duration) *Scheduler {
	s := &Scheduler{now: now, elapsed: elapsed}
	osr := c.OSR
	if osr == 0 {
		osr = schedulerOSR
	}
	s.pool.init("scheduler", "SchedulerConfig", c.Rate, osr, c.Conditioner)
	return s
}

// Info describes the source. MaxEntropy is 384 at the recommended rate.
func (s *Scheduler) Info() Info { return s.pool.info() }

// Validate returns what is wrong with the configuration, or nil.
func (s *Scheduler) Validate() error { return s.pool.invalid }

// Available returns the credit of a call that asks for bits. It is 0 after a permanent
// failure, and after a call that failed, until another did not.
func (s *Scheduler) Available(bits int) int {
	if s.pool.invalid != nil || s.down.Load() {
		return 0
	}
	return s.pool.rate.available(min(bits, s.pool.most()))
}

// GetEntropy collects wake-ups, fills p from the pool, and returns how many bits of
// min-entropy it holds: at the recommended rate the least of bits, 8·len(p) and
// Info().MaxEntropy, or less if time ran out. It looks at ctx before each wake-up and
// returns its error, wrapped; it does so as well while it waits for another call. After
// an error p is cleared.
//
// 256 bits take 4 to 20 ms (Zen 4), the first call twice as long.
func (s *Scheduler) GetEntropy(ctx context.Context, p []byte, bits int) (credit int, err error) {
	if credit, err = s.deliver(ctx, p, bits); err != nil {
		zero.Bytes(p)
		return 0, err
	}
	return credit, nil
}

func (s *Scheduler) deliver(ctx context.Context, p []byte, bits int) (credit int, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.lock.Unlock()
	pool := &s.pool
	want := max(0, min(bits, 8*min(len(p), pool.width/8), pool.most()))
	alarms := pool.alarms
	err = s.collect(ctx, func() bool {
		return pool.alarms != alarms || pool.stands || pool.started && (want == 0 || pool.credit >= want+poolMargin)
	})
	switch {
	case err != nil:
		return 0, err
	case pool.alarms != alarms:
		pool.told = true
		s.down.Store(true)
		return 0, pool.failed
	}
	credit, err = pool.read(ctx, p, bits)
	if ctx.Err() == nil {
		s.down.Store(err != nil)
	}
	return credit, err
}

// HealthTest runs the start-up test on demand, on wake-ups that are not credited. What
// ctx or the end of the time cut short, the next call goes on with.
func (s *Scheduler) HealthTest(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.lock.Unlock()
	pool := &s.pool
	pool.restart()
	passes, alarms := pool.passes, pool.alarms
	done, failure := false, error(nil)
	err := s.collect(ctx, func() bool {
		done, failure = pool.over(passes, alarms)
		return done || pool.stands
	})
	switch {
	case err != nil:
		return err
	case done:
		s.down.Store(failure != nil)
		return failure
	case pool.stands:
		s.down.Store(true)
		return pool.standstill()
	}
	return fmt.Errorf("es: scheduler: not done within %v: %w", schedulerBudget, ErrUnavailable)
}

// GetNoise fills p with raw samples that were taken for it: the times between wake-ups,
// in steps of the clock, their 8 low bits. The health tests do not see them. It works
// after a permanent failure, too.
//
// A sample takes 4 to 15 µs (Zen 4); until the last one other calls wait.
func (s *Scheduler) GetNoise(p []byte) (n int, err error) {
	return s.raw(len(p), symbolsTo(p))
}

// GetDeltas is GetNoise with all bits of the times, in ticks of the clock. What GetNoise
// has for a time d is the low eight bits of d / NoiseParameters().Step.
func (s *Scheduler) GetDeltas(p []uint64) (n int, err error) {
	return s.raw(len(p), deltasTo(p))
}

func (s *Scheduler) raw(size int, put func(i int, s rawSample)) (n int, err error) {
	if err := s.pool.check(); err != nil {
		return 0, err
	}
	ctx := context.Background()
	if err := s.lock.Lock(ctx); err != nil {
		return 0, err
	}
	defer s.lock.Unlock()
	pool := &s.pool
	if _, err := pool.noise(0, nil); err != nil {
		return 0, err
	}
	defer pool.noise(0, nil)
	for n < size {
		// In parts, since the time of each is limited.
		part := min(size-n, 1024)
		if _, err := pool.noise(part, nil); err != nil {
			return n, err
		}
		if err := s.collect(ctx, func() bool { return pool.stands || len(pool.record) == part }); err != nil {
			return n, err
		}
		if pool.stands {
			return n, pool.standstill()
		}
		m, err := pool.noise(part, func(i int, s rawSample) { put(n+i, s) })
		if err != nil {
			return n, err
		}
		if m == 0 {
			return n, fmt.Errorf("es: scheduler: no wake-up within %v: %w", schedulerBudget, ErrUnavailable)
		}
		n += m
	}
	return n, nil
}

// NoiseParameters returns how samples are taken now. It waits for other calls. If the
// configuration is not valid, all is zero.
func (s *Scheduler) NoiseParameters() NoiseParameters {
	s.lock.Lock(context.Background()) // without an end to wait for it does not fail
	defer s.lock.Unlock()
	return s.pool.parameters()
}

// Clear wipes the pool, and ends the use of the source: calls that collect return an
// error that wraps [ErrUnavailable]. It waits for those in progress, and may be called
// twice.
func (s *Scheduler) Clear() {
	s.lock.Lock(context.Background()) // without an end to wait for it does not fail
	defer s.lock.Unlock()
	s.down.Store(true)
	s.pool.clear()
}

// String returns the name of the type. The state is not printed.
func (s *Scheduler) String() string { return "es.Scheduler" }

// GoString returns the name of the type. The state is not printed.
func (s *Scheduler) GoString() string { return "es.Scheduler" }

// enter locks the source for a call that tests or delivers, or returns why it cannot
// do that.
func (s *Scheduler) enter(ctx context.Context) error {
	if err := s.pool.check(); err != nil {
		return err
	}
	if err := s.lock.Lock(ctx); err != nil {
		return fmt.Errorf("es: scheduler: %w", err)
	}
	if s.pool.cleared || s.pool.failed != nil && s.pool.failed.Permanent {
		defer s.lock.Unlock()
		return s.pool.status()
	}
	return nil
}

// collect takes wake-ups until done, or the time is over, or ctx is done. Only the
// last is an error.
func (s *Scheduler) collect(ctx context.Context, done func() bool) error {
	s.pool.stands = false // it may go on by now
	ping, pong := make(chan struct{}), make(chan uint64)
	go answer(s.now, ping, pong)
	defer func() {
		close(ping)
		<-pong // the goroutine has ended, and has let go of its thread
	}()
	end := s.elapsed() + schedulerBudget
	for n := 1; !done(); n++ {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("es: scheduler: %w", err)
		}
		if n%schedulerInterval == 0 && (s.elapsed() > end || n >= schedulerMost) {
			return nil
		}
		ping <- struct{}{}
		there := <-pong
		here := s.now()
		s.pool.absorb(&s.chain, []event{{stamp: there}, {stamp: here}})
	}
	return nil
}

// answer is the other goroutine: it says when it was woken up.
func answer(now func() uint64, ping <-chan struct{}, pong chan<- uint64) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(pong)
	for range ping {
		pong <- now()
	}
}
