package es

import (
	"context"
	"fmt"
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/internal/clock"
	"github.com/lrng-go/lrng/internal/stripe"
	"github.com/lrng-go/lrng/internal/zero"
)

// EventsConfig configures an [Events] source. The zero value is the recommended
// configuration.
type EventsConfig struct {
	// Rate is the min-entropy credited for 256 bits of data, in bits: 1…256. 0 is
	// the recommended 256; a negative rate is no credit, and one above 256 an
	// error. It does not change how many events it takes: see OSR.
	Rate int

	// OSR is the oversampling rate: the number of events for each bit of entropy
	// claimed, 1…64. 0 is the recommended 8, a claim of 1/8 bit an event. LRNG takes
	// one interrupt for a bit. Events of a program are seen by more eyes: those who
	// send the requests, and those who share the machine.
	OSR int

	// Array is the number of events in an array: a power of two, 64…8192. 0 is 256.
	// There are up to 64 arrays, of 16 bytes an event. An Add that compresses one
	// takes 30 to 40 ns (Zen 4) for each event in it.
	Array int

	// NoContinuousCompression says that Add is never to hash. What is in the arrays
	// is hashed when GetEntropy is called, and the newest events overwrite the oldest
	// ones before that. Then a call is credited with what the arrays hold at most,
	// [Events.Available] tells what was left by the last one, and nobody is notified.
	NoContinuousCompression bool

	// Conditioner is the hash function of the pool, 256 to 512 bits wide; one call
	// is credited with at most its width less 64 bits. Nil means SHA-512.
	Conditioner conditioner.Conditioner
}

const (
	// eventsOSR is the default oversampling rate: see the claim of Events.
	eventsOSR = 8

	eventsArray    = 256
	minEventsArray = 64
	maxEventsArray = 8192

	// eventsBatch is the number of events from which on an array is compressed. It
	// takes 2 to 3 µs then.
	eventsBatch = 64

	// eventsPause is the least time between two compressions of one array, in ticks
	// of the clock: 50 to 260 µs. It bounds what a flood of events costs: with an
	// array of 256 events 3 to 10 % of the time.
	eventsPause = 1 << 18

	// maxStripes bounds the number of arrays. Events beyond what that many processors
	// report at the same time are dropped.
	maxStripes = 64

	// eventsPoll is the time between two looks at the events of an on-demand test.
	eventsPoll = 5 * time.Millisecond

	// maxCosts is how many costs of Add are kept for each array.
	maxCosts = 1024
)

// Events is the source for the times at which things happen to a program: a request
// comes in, a key is pressed, a timer runs out. It is the interrupt source of LRNG in
// user space. The program reports each event by one call, [Events.Add], which takes
// the time itself.
//
// The sample of an event are the 8 low bits of its time stamp, in steps of the clock.
// They go into a hash, together with 32 bits of data from the caller that are never
// credited.
//
// # Claim
//
// The claim is 1/OSR bit of min-entropy for each event that is not stuck, 1/8 by
// default; samples are not claimed to be IID. It is about the time at which an event
// is noticed, to the step of the clock, 10 ns or less, for who knows the times of all
// events before. Measured in a virtual machine with two CPUs, AMD EPYC (Zen 4), that
// had other work to do, too: the intervals between events, in seven runs of 50,000 or
// more (5,000 for the ticker) and some of 1,500. The estimate is the lower of the most
// common value and of the prediction from the interval before, in bits an event, of the
// worst run (in brackets the best). TestEventsAssessment measures again.
//
//	                                             estimate     stuck
//	requests to net/http, four clients           5.9 (7.0)    0.4 %
//	a ticker of 20 µs                            6.2 (6.9)    0.1 %
//	ten goroutines that hand on a token          2.8 (4.4)    3 to 10 %
//	two goroutines that yield to each other      1.0 (1.9)    26 to 50 %
//	a loop that does nothing but Add             0.3 (0.9)    73 to 80 %
//
// As stuck events do not count, the claim for the last line is 1/30 bit an event or
// less. So all have a margin of 8 or more, where 3 was wanted. But see below what is
// said of events that a program makes itself: the estimates know only the times.
//
// # Collection
//
// Add puts the event into one of a number of arrays, at least two for each processor.
// Which one depends on the stack of the goroutine, so that those that run at the same
// time mostly have arrays of their own. It never waits: if the array is in use, and
// the next one too, the event is dropped and counted. Now and then an Add finds 64
// events or more and compresses them: it tests them and hashes them into the pool,
// unless another does that just now. It does so at most every 50 to 260 µs for each
// array, so that a flood of events costs little. The newest events overwrite the
// oldest if there are too many.
//
// # Health tests
//
// As the events are not at its command, the source cannot take samples when it is
// asked for some. The first 100 intervals tell the step of the clock. The next 1024
// events are the start-up test, of which none is credited; until it has passed,
// GetEntropy returns an error that wraps [ErrUnavailable]. The tests of SP 800-90B,
// Section 4.4, run at 2⁻³⁰ for intermittent and 2⁻⁶⁰ for permanent failures, and with
// the claim as the entropy of a sample: RCT and APT with a window of 512 on the
// samples, an APT on the differences of the samples, and an RCT on stuck events (the
// first, second or third derivative of time is zero).
//
// # Failure
//
// A failed test is a [*HealthError]. All credit is dropped, the start-up test begins
// anew, and GetEntropy returns that error until it has passed, at least once. A
// permanent failure is final for this Events.
//
// # Security
//
// The source is worth what its events are. Report those that come from outside of
// the program, or of the machine: from a network, a disk, a user. The time of an event
// that the program makes itself, in a loop or by a ticker, can be told within a few
// steps of the clock by who runs it too. The stuck test and the RCT find the worst of
// that, no test finds all of it. Who sends the requests, or watches the network, knows
// their times to a microsecond, and what is left are the last bits of it. Who runs code
// on the machine may know more. That is why the collector asks other sources as well,
// and credits at most one of this one and [Scheduler].
//
// From the state that is left when GetEntropy returns, nothing that it delivered can be
// computed: the pool is hashed with itself, and the arrays are empty.
type Events struct {
	pool    eventPool
	stripes []eventStripe
	mask    uint32
	lazy    bool

	dropped atomic.Uint64

	// notify is replaced as a whole, with notifyMu held: an Add that calls them waits
	// for nobody who adds one.
	notifyMu sync.Mutex
	notify   atomic.Pointer[[]func()]
}

// An eventStripe is an array of events.
type eventStripe struct {
	// mu guards the fields below. Add does not wait for it, and does not wait for
	// anything while it holds it. Who holds the lock of the pool may wait for it.
	mu    sync.Mutex
	n     uint64  // events since the array was emptied; the last of them are in ring
	ring  []event // of a length that is a power of two
	last  uint64  // when it was last compressed
	lost  uint64  // events that were overwritten
	costs []uint64
	chain chain

	_ [64]byte // neighbours do not share a cache line
}

// NewEvents returns the source with configuration c. If c is not valid, Validate
// and all calls that deliver return the reason, and Add does nothing.
func NewEvents(c EventsConfig) *Events {
	e := &Events{lazy: c.NoContinuousCompression}
	osr, size := c.OSR, c.Array
	if osr == 0 {
		osr = eventsOSR
	}
	if size == 0 {
		size = eventsArray
	}
	e.pool.init("events", "EventsConfig", c.Rate, osr, c.Conditioner)
	if e.pool.invalid == nil && (size < minEventsArray || size > maxEventsArray || size&(size-1) != 0) {
		e.pool.invalid = fmt.Errorf("es: EventsConfig.Array: %d events, must be a power of two from %d to %d", c.Array, minEventsArray, maxEventsArray)
	}
	if e.pool.invalid != nil {
		return e
	}
	n := min(2<<bits.Len(uint(runtime.GOMAXPROCS(0)-1)), maxStripes)
	e.stripes = make([]eventStripe, n)
	e.mask = uint32(n - 1)
	for i := range e.stripes {
		e.stripes[i].ring = make([]event, size)
	}
	return e
}

// Info describes the source. MaxEntropy is 384 at the recommended rate.
func (e *Events) Info() Info { return e.pool.info() }

// Validate returns what is wrong with the configuration, or nil.
func (e *Events) Validate() error { return e.pool.invalid }

// Available returns how many bits a call that asks for bits would be credited with,
// of the events that were hashed until now.
func (e *Events) Available(bits int) int {
	return e.pool.rate.available(min(bits, int(e.pool.available.Load())))
}

// Notify adds a function that is called when there is more entropy: each time that the
// credit of a call rises to a multiple of 128 bits. It is called by an Add, in the
// goroutine of that, and without locks. Nil is ignored.
func (e *Events) Notify(f func()) {
	if f == nil {
		return
	}
	e.notifyMu.Lock()
	defer e.notifyMu.Unlock()
	var all []func()
	if old := e.notify.Load(); old != nil {
		all = slices.Clone(*old)
	}
	all = append(all, f)
	e.notify.Store(&all)
}

// Add reports that an event happens now. Data is what may be known of it and differs
// between events, such as a part of an address, a length, or a counter; it goes into
// the hash and is never credited.
//
// It is for any number of goroutines. It does not wait and does not allocate, and
// takes 16 ns (Zen 4), where a read of the time stamp takes 9.5 ns. The one that
// compresses an array takes some microseconds; if a Conditioner of the caller's panics
// there, so does Add, and the credit is gone.
func (e *Events) Add(data uint32) { e.add(event{clock.Now(), data}, stripe.Hint()) }

// add is Add with the time and the array.
func (e *Events) add(ev event, hint uint32) {
	if len(e.stripes) == 0 {
		return
	}
	s := &e.stripes[hint&e.mask]
	if !s.mu.TryLock() {
		if s = &e.stripes[(hint+1)&e.mask]; !s.mu.TryLock() {
			e.dropped.Add(1)
			return
		}
	}
	s.ring[s.n&uint64(len(s.ring)-1)] = ev
	s.n++
	if s.n >= eventsBatch && ev.stamp-s.last >= eventsPause && !e.lazy {
		if e.compress(s, ev.stamp) {
			e.announce()
		}
		return
	}
	s.measure(ev.stamp)
	s.mu.Unlock()
}

// compress empties s into the pool, if that is free, and reports whether to announce
// it. It unlocks s.
func (e *Events) compress(s *eventStripe, now uint64) (more bool) {
	defer s.mu.Unlock() // also if a hash function panics
	s.last = now
	if e.pool.mu.TryLock() {
		defer e.pool.mu.Unlock()
		more = e.empty(s)
	}
	s.measure(now)
	return more
}

// measure notes what an Add cost until now, if somebody wants to know.
func (s *eventStripe) measure(start uint64) {
	if len(s.costs) < cap(s.costs) {
		s.costs = append(s.costs, clock.Now()-start)
	}
}

// empty moves the events of s into the pool. The caller holds both locks.
func (e *Events) empty(s *eventStripe) (more bool) {
	size := uint64(len(s.ring))
	n := min(s.n, size)
	s.lost += s.n - n
	// The oldest event is at first; the array may begin anew after it.
	first := (s.n - n) & (size - 1)
	head := s.ring[first:min(first+n, size)]
	tail := s.ring[:n-uint64(len(head))]
	s.n = 0
	more = e.pool.absorb(&s.chain, head)
	more = e.pool.absorb(&s.chain, tail) || more
	clear(s.ring[:n])
	return more
}

// with calls f with the pool locked and all arrays empty, and announces it if that
// brought more credit.
func (e *Events) with(f func(p *eventPool)) {
	if e.locked(f) && !e.lazy {
		e.announce()
	}
}

func (e *Events) locked(f func(p *eventPool)) (more bool) {
	e.pool.mu.Lock()
	defer e.pool.mu.Unlock()
	more = e.gather()
	f(&e.pool)
	return more
}

// gather empties all arrays. The caller holds the lock of the pool.
func (e *Events) gather() (more bool) {
	one := func(s *eventStripe) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return e.empty(s)
	}
	for i := range e.stripes {
		more = one(&e.stripes[i]) || more
	}
	return more
}

// announce calls the functions of Notify.
func (e *Events) announce() {
	if notify := e.notify.Load(); notify != nil {
		for _, f := range *notify {
			f()
		}
	}
}

// GetEntropy fills p from the pool and returns how many bits of min-entropy it holds:
// at most what is there less 64 bits, and the least of bits, 8·len(p) and
// Info().MaxEntropy. It does not wait for events. Data without credit, for want of
// events, are different each time all the same.
//
// After an error p is cleared, and no credit is used up. GetEntropy does not allocate.
func (e *Events) GetEntropy(ctx context.Context, p []byte, bits int) (credit int, err error) {
	if credit, err = e.deliver(ctx, p, bits); err != nil {
		zero.Bytes(p)
		return 0, err
	}
	return credit, nil
}

func (e *Events) deliver(ctx context.Context, p []byte, bits int) (credit int, err error) {
	if err := e.pool.check(); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("es: events: %w", err)
	}
	e.pool.mu.Lock()
	defer e.pool.mu.Unlock()
	e.gather()
	return e.pool.read(ctx, p, bits)
}

// HealthTest runs the start-up test on demand, on the events to come: it waits until
// 1024 in a row have passed, or a test fails, or ctx is done. These events are not
// credited; the credit of those before stays.
func (e *Events) HealthTest(ctx context.Context) error {
	if err := e.pool.check(); err != nil {
		return err
	}
	passes, alarms := 0, 0
	e.with(func(p *eventPool) {
		p.restart()
		passes, alarms = p.passes, p.alarms
	})
	timer := time.NewTicker(eventsPoll)
	defer timer.Stop()
	for {
		done, err := false, error(nil)
		e.with(func(p *eventPool) { done, err = p.over(passes, alarms) })
		if done {
			return err
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
			return fmt.Errorf("es: events: %w", ctx.Err())
		}
	}
}

// GetNoise stores raw samples in p that were recorded since the last call, and has as
// many of the events to come recorded as are missing in p. Those are not used
// otherwise, and the health tests do not see them. So the first call returns 0, and
// whoever goes on with the rest of p will have it full of consecutive samples when
// enough events have happened; a call with an empty p ends the recording and forgets
// what was recorded.
//
// A sample is the interval to the event before, in steps of the clock, its 8 low bits.
// Nothing is recorded before the step of the clock is known. Recording works after a
// permanent failure, too.
func (e *Events) GetNoise(p []byte) (n int, err error) {
	if err := e.pool.check(); err != nil {
		return 0, err
	}
	e.with(func(pool *eventPool) { n, err = pool.noise(p) })
	return n, err
}

// Cost stores how long calls of Add took, in ticks of the clock, in p, and returns
// their number: the performance interface of LRNG. As with GetNoise the calls are those
// since the last call of Cost, at most 1024 for each array, and the next ones are
// measured if p is not full. An empty p ends that.
//
// The time begins after Add has read the clock, and ends when it reads the clock once
// more.
func (e *Events) Cost(p []uint64) (n int) {
	for i := range e.stripes {
		n += e.stripes[i].takeCosts(p[n:])
	}
	return n
}

// takeCosts is Cost for one array.
func (s *eventStripe) takeCosts(p []uint64) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n = copy(p, s.costs)
	if s.costs = nil; n < len(p) {
		s.costs = make([]uint64, 0, min(len(p)-n, maxCosts))
	}
	return n
}

// EventsStats counts events and credit since the source was made.
type EventsStats struct {
	Events   uint64 // events that were looked at
	Stuck    uint64 // of these, stuck
	Lost     uint64 // events that were dropped or overwritten
	Alarms   uint64 // failures of health tests
	Credited uint64 // the sum of the credits of all calls, in bits
}

// Stats returns the counts until now.
func (e *Events) Stats() EventsStats {
	if e.pool.invalid != nil {
		return EventsStats{}
	}
	var st EventsStats
	e.with(func(p *eventPool) {
		st = EventsStats{Events: p.events, Stuck: p.stuck, Alarms: uint64(p.alarms), Credited: p.credited}
	})
	st.Lost = e.dropped.Load()
	for i := range e.stripes {
		s := &e.stripes[i]
		s.mu.Lock()
		st.Lost += s.lost
		s.mu.Unlock()
	}
	return st
}

// Clear wipes the pool and all events, and ends the use of the source: Add has no
// effect, and calls that deliver return an error that wraps [ErrUnavailable]. It may
// be called twice.
func (e *Events) Clear() {
	e.pool.mu.Lock()
	defer e.pool.mu.Unlock()
	e.gather()
	e.pool.clear()
}

// String returns the name of the type. The state is not printed.
func (e *Events) String() string { return "es.Events" }

// GoString returns the name of the type. The state is not printed.
func (e *Events) GoString() string { return "es.Events" }
