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

	// Array is the number of events in half an array: a power of two, 64…8192. 0 is
	// 256. There are up to 64 arrays, each of which has two halves, of 16 bytes an
	// event. An Add that compresses one takes 30 to 40 ns (Zen 4) for each event in it.
	Array int

	// NoContinuousCompression says that Add is never to hash. What is in the arrays
	// is hashed when GetEntropy is called. Before that, new events take the place of
	// old ones, half an array at a time. Then a call is credited with what the arrays
	// hold at most, [Events.Available] tells what was left by the last one, and nobody
	// is notified.
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

	// maxStripes bounds the number of arrays. More processors share them.
	maxStripes = 64

	// eventsPoll is the time between two looks at the events of an on-demand test.
	eventsPoll = 5 * time.Millisecond

	// maxCosts is how many costs of Add are kept for each array.
	maxCosts = 1024

	// Who waits for the pool looks gateLooks times whether an Add has left it, which
	// takes microseconds if the thread of that runs, and then each gatePause.
	gateLooks = 100
	gatePause = 50 * time.Microsecond
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
// time mostly have arrays of their own; where two share one, both get a place in it.
// There is no lock: two atomic additions reserve the place and say that the event is
// there, and nobody who is stopped in between keeps others from going on. Now and then
// an Add finds 64 events or more and compresses them: it tests them and hashes them into
// the pool, unless somebody else is at the pool just now. It does so at most every 50 to
// 260 µs for each array, so that a flood of events costs little; those for which there is
// no place until then are dropped and counted.
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
// computed: the pool is hashed with itself, and the arrays hold no event that it has seen.
type Events struct {
	gate    gate      // guards pool, and all of the stripes but what Add does
	pool    eventPool // of that, available and what never changes are for all
	stripes []eventStripe
	mask    uint32
	lazy    bool
	limit   uint64 // the number of an event in its half from which on Add has more to do

	// notify is replaced as a whole, with notifyMu held: an Add that calls them waits
	// for nobody who adds one.
	notifyMu sync.Mutex
	notify   atomic.Pointer[[]func()]
}

// An eventStripe is an array of events, and what there is for each.
type eventStripe struct {
	log   eventLog
	last  atomic.Uint64           // when it was last compressed
	costs atomic.Pointer[costLog] // nil: nobody wants to know
	chain chain

	_ [64]byte // neighbours do not share a cache line
}

// A gate lets one at a time to what it guards. Add goes by if it is not open, and when it
// leaves it has nobody to wake up.
type gate struct {
	mu     sync.Mutex  // held by who waits for taken, or has it, but not by Add
	wanted atomic.Bool // somebody waits for taken, so that no other Add is to take it
	taken  atomic.Bool
}

// try enters if nobody is there or waits. It is for Add, which ends it by leave.
func (g *gate) try() bool { return !g.wanted.Load() && g.taken.CompareAndSwap(false, true) }

func (g *gate) leave() { g.taken.Store(false) }

// lock waits until nobody is there. It is for those who may wait.
func (g *gate) lock() {
	g.mu.Lock()
	g.wanted.Store(true)
	for n := 0; !g.taken.CompareAndSwap(false, true); n++ {
		if n < gateLooks {
			runtime.Gosched()
		} else {
			time.Sleep(gatePause)
		}
	}
	g.wanted.Store(false)
}

func (g *gate) unlock() {
	g.taken.Store(false)
	g.mu.Unlock()
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
		e.stripes[i].log.init(size)
	}
	if e.limit = eventsBatch; e.lazy {
		e.limit = uint64(size)
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
// It is for any number of goroutines. It does not wait, takes no lock and does not
// allocate. It takes 16 ns (Zen 4), where a read of the time stamp takes 9.5 ns. The one
// that compresses an array takes some microseconds; if a Conditioner of the caller's
// panics there, so does Add, and the credit is gone.
func (e *Events) Add(data uint32) { e.add(event{clock.Now(), data}, stripe.Hint()) }

// add is Add with the time and the array.
func (e *Events) add(ev event, hint uint32) {
	if len(e.stripes) == 0 {
		return
	}
	s := &e.stripes[hint&e.mask]
	more := false
	if s.log.append(ev) >= e.limit {
		more = e.relieve(s, ev.stamp)
	}
	if costs := s.costs.Load(); costs != nil {
		costs.note(clock.Now() - ev.stamp)
	}
	if more {
		e.announce()
	}
}

// relieve empties s into the pool, if the time for that has come and the pool is free, and
// reports whether to announce it. If Add is not to hash, it makes place instead.
func (e *Events) relieve(s *eventStripe, now uint64) (more bool) {
	if !e.lazy {
		if now-s.last.Load() < eventsPause {
			return false
		}
		s.last.Store(now)
	}
	if !e.gate.try() {
		return false
	}
	defer e.gate.leave() // also if a hash function panics
	if e.lazy {
		s.log.renew()
		return false
	}
	return e.empty(s)
}

// empty moves the events of s into the pool. The caller is past the gate, as with the
// methods below.
func (e *Events) empty(s *eventStripe) (more bool) {
	one := func(h *eventHalf) bool {
		defer h.wipe()
		return e.pool.absorb(&s.chain, h.all())
	}
	for range s.log.halves {
		if h := s.log.take(); h != nil {
			more = one(h) || more
		}
	}
	return more
}

// gather empties all arrays.
func (e *Events) gather() (more bool) {
	for i := range e.stripes {
		more = e.empty(&e.stripes[i]) || more
	}
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
	e.gate.lock()
	defer e.gate.unlock()
	more = e.gather()
	f(&e.pool)
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
	e.gate.lock()
	defer e.gate.unlock()
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
	return e.raw(len(p), symbolsTo(p))
}

// GetDeltas is GetNoise with all bits of the intervals, in ticks of the clock. What
// GetNoise has for an interval d is the low eight bits of d / NoiseParameters().Step.
func (e *Events) GetDeltas(p []uint64) (n int, err error) {
	return e.raw(len(p), deltasTo(p))
}

func (e *Events) raw(size int, put func(i int, s rawSample)) (n int, err error) {
	if err := e.pool.check(); err != nil {
		return 0, err
	}
	e.with(func(pool *eventPool) { n, err = pool.noise(size, put) })
	return n, err
}

// NoiseParameters returns how samples come about now. If the configuration is not valid,
// all is zero.
func (e *Events) NoiseParameters() (n NoiseParameters) {
	e.with(func(p *eventPool) { n = p.parameters() })
	return n
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
	if costs := s.costs.Swap(nil); costs != nil {
		n = costs.copy(p)
	}
	if n < len(p) {
		s.costs.Store(&costLog{ticks: make([]atomic.Uint64, min(len(p)-n, maxCosts))})
	}
	return n
}

// A costLog notes what calls of Add cost. Who notes one does not wait.
type costLog struct {
	n     atomic.Uint64   // costs that were to be noted, also those without a place
	ticks []atomic.Uint64 // each plus 1, or 0 if it is not there yet
}

func (c *costLog) note(ticks uint64) {
	if i := c.n.Add(1) - 1; i < uint64(len(c.ticks)) {
		c.ticks[i].Store(ticks + 1)
	}
}

// copy stores what was noted in p and returns the number.
func (c *costLog) copy(p []uint64) (n int) {
	for i := range c.ticks {
		if t := c.ticks[i].Load(); t != 0 && n < len(p) {
			p[n] = t - 1
			n++
		}
	}
	return n
}

// EventsStats counts events and credit since the source was made.
type EventsStats struct {
	Events   uint64 // events that were looked at
	Stuck    uint64 // of these, stuck
	Lost     uint64 // events that were dropped, or made place for others
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
		for i := range e.stripes {
			st.Lost += e.stripes[i].log.lost
		}
	})
	return st
}

// Clear wipes the pool and all events but those that an Add is about to report, and ends
// the use of the source: Add has no effect, and calls that deliver return an error that
// wraps [ErrUnavailable]. It may be called twice.
func (e *Events) Clear() {
	e.gate.lock()
	defer e.gate.unlock()
	e.gather()
	e.pool.clear()
}

// String returns the name of the type. The state is not printed.
func (e *Events) String() string { return "es.Events" }

// GoString returns the name of the type. The state is not printed.
func (e *Events) GoString() string { return "es.Events" }
