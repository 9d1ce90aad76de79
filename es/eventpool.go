package es

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash"
	"slices"
	"sync/atomic"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/internal/clock"
	"github.com/lrng-go/lrng/internal/health"
	"github.com/lrng-go/lrng/internal/secmem"
	"github.com/lrng-go/lrng/internal/zero"
)

// timesBoundary is the Info.Boundary of the sources whose noise is when things happen
// in this process. An event is often what wakes a goroutine, and the other way round
// (SP 800-90C, Section 2.6, item 8, of the interrupts and the scheduler of a kernel).
const timesBoundary = "times of events"

const (
	// poolMax is the most entropy that one call is credited with, in bits: what an
	// instantiation at 256 bits of security strength takes, as with [Jitter].
	poolMax = jitterMax

	// poolMargin is the entropy, in bits, that a read with credit uses up beyond its
	// credit, so that a digest has full entropy: FIPS 140-3 Implementation Guidance,
	// D.K, Resolution 19.
	poolMargin = jitterMargin

	// poolNotify is the step of the credit, in bits, that is announced. A generator of
	// 128 bits of security strength can use one, one of 256 bits two.
	poolNotify = 128

	// maxEventOSR bounds the number of events for one bit of entropy. What needs more
	// is no noise. It is more than that of jitterentropy, 20, since nobody waits for
	// events.
	maxEventOSR = 64

	// stepSamples is the number of intervals from which the step of the clock is
	// determined: as many as LRNG takes.
	stepSamples = 100

	// sampleSize is what an event puts into the hash, in bytes: 8 bits of the time
	// stamp, 32 of the data.
	sampleSize = 5

	// maxPoolInput is where the count of the bits that went into the hash since the
	// last read ends. It needs to be no less than the entropy.
	maxPoolInput = 1 << 24
)

// An event is a time stamp, and what the caller says of it.
type event struct {
	stamp uint64
	data  uint32
}

// A rawSample is what there is to record of an event.
type rawSample struct {
	delta  uint64 // since the event before, in ticks
	symbol byte   // what the health tests would have seen of that
}

// A chain is what the pool has to remember of a sequence of events whose time
// stamps are compared with each other.
type chain struct {
	begun  bool
	last   uint64 // the stamp before
	sample byte   // the sample before
	stuck  health.Stuck
}

// An eventPool turns times of events into entropy: the part of LRNG's interrupt and
// scheduler sources that is common to both, samples, health tests, and a pool that is
// a running hash.
//
// The stamp of an event in steps of the clock, of which the 8 low bits count, is the
// sample. The health tests see two sequences: the samples, and the differences of
// each to the one before. The first finds events that are in step with the clock. The
// second, together with the stuck test, finds events that follow each other at
// constant intervals: their samples are spread evenly and hide that.
//
// A sample that is not stuck is credited with 1/osr bit, those of a start-up test are
// not. All samples and data go into the hash.
//
// Its methods are for one goroutine at a time: the source has a lock, which it holds while
// events are hashed, and while digests are read.
type eventPool struct {
	name    string
	rate    rate
	osr     int
	invalid error        // what is wrong with the configuration
	test    func() error // the self-test of the conditioner
	width   int          // of a digest, in bits

	available atomic.Int64 // credit of a read, in bits, before the rate

	// The fields below are guarded by the lock of the source.
	cleared          bool
	*eventPoolMemory // in mem; nil after clear
	mem              secmem.Value[eventPoolMemory]
	state            hash.Hash
	filled           int // bytes in encoded
	input            int // bits that went into state, the digest before included
	counted          int // events that make up no whole bit: less than osr
	credit           int // entropy in state, in bits: at most width

	step      uint64 // of the clock, in ticks; 0 before the first interval
	intervals int    // looked at for step, up to stepSamples
	stands    bool   // the clock did not advance between that many

	samples, differences *health.Tests
	meter                meter

	started bool         // the start-up test has passed, and no alarm came after
	passes  int          // how often it has
	failed  *HealthError // the last alarm
	told    bool         // it was reported
	alarms  int

	wanted int         // samples that go to the record
	record []rawSample // see GetNoise

	events, stuck, credited uint64 // of all time; credited in bits
}

// eventPoolMemory is what goes into and comes out of the hash. The standard library has the
// running state of the hash in memory of its own.
type eventPoolMemory struct {
	digests [3][maxBlock / 8]byte
	label   [1]byte
	encoded [sampleSize * 64]byte // of events that have yet to go into state
}

// init sets up the pool for a configuration of the type named config.
func (p *eventPool) init(name, config string, rateField, osr int, c conditioner.Conditioner) {
	p.name, p.osr = name, osr
	p.mem.Lasting = true
	if p.rate, p.invalid = newRate(config, rateField, 256); p.invalid != nil {
		return
	}
	if osr < 1 || osr > maxEventOSR {
		p.invalid = fmt.Errorf("es: %s.OSR: %d events for a bit of entropy, must be 1 to %d", config, osr, maxEventOSR)
		return
	}
	if p.state, _, p.width, p.invalid = poolHash(config+".Conditioner", c); p.invalid != nil {
		return
	}
	p.test = selfTestOf(c)
	for _, t := range []**health.Tests{&p.samples, &p.differences} {
		*t, p.invalid = health.New(health.Config{
			H:              1 / float64(osr),
			Window:         health.Window,
			Alpha:          health.Alpha,
			PermanentAlpha: health.PermanentAlpha,
		})
		if p.invalid != nil {
			return
		}
	}
	p.revive()
	p.begin(nil)
}

// revive gives the pool memory, if it has lost its own: this is a child process then. What
// is in the pool is the parent's, too, and is not credited any more; nor are the events that
// are on their way, since a start-up test begins.
func (p *eventPool) revive() {
	if !p.mem.Intact() {
		p.eventPoolMemory, _ = p.mem.Renew() // without a demand there is no error
		p.filled, p.credit, p.counted = 0, 0, 0
		p.restart()
		p.publish()
	}
}

// most returns the most that one call is credited with, in bits, before the rate.
func (p *eventPool) most() int { return max(0, min(poolMax, p.width-poolMargin)) }

// info describes the source.
func (p *eventPool) info() Info {
	return Info{Name: p.name, MaxEntropy: p.rate.available(p.most()), Boundary: timesBoundary, Health: true}
}

// check returns the error of every call if the configuration is not valid, or if a
// self-test has failed. The first call runs those of what the source uses.
func (p *eventPool) check() error {
	if p.invalid != nil {
		return p.invalid
	}
	return runSelfTests(p.name, health.SelfTest, p.test)
}

// absorb takes events of one chain into the pool. It reports whether there is so
// much more credit that somebody should know.
func (p *eventPool) absorb(c *chain, events []event) (more bool) {
	if p.cleared {
		return false
	}
	p.revive()
	before := p.available.Load()
	done := false
	defer p.dropUnless(&done)
	for i := range events {
		p.take(c, events[i])
	}
	p.flush()
	p.publish()
	done = true
	return p.rate > 0 && p.available.Load()/poolNotify > before/poolNotify
}

// dropUnless drops all credit unless done is set: a hash function panicked, and nobody
// knows what it has seen.
func (p *eventPool) dropUnless(done *bool) {
	if !*done {
		p.filled, p.credit, p.counted = 0, 0, 0
		p.publish()
	}
}

// take takes one event.
func (p *eventPool) take(c *chain, e event) {
	p.events++
	delta := e.stamp - c.last
	forward := int64(delta) >= 0
	begun := c.begun
	c.begun, c.last = true, e.stamp
	if begun {
		p.measure(delta, forward)
	}
	sample := byte(e.stamp / max(p.step, 1))
	difference := sample - c.sample
	c.sample = sample
	if !begun {
		p.add(sample, e.data)
		return
	}

	// Goroutines of one chain may come in another order than that of their stamps. An
	// interval that is negative is no measurement.
	stuck := c.stuck.Next(delta) || !forward
	if p.intervals < stepSamples {
		p.add(sample, e.data)
		return
	}
	if len(p.record) < p.wanted {
		p.record = append(p.record, rawSample{delta, difference})
		return
	}
	if p.failed != nil && p.failed.Permanent {
		return
	}
	if stuck {
		p.stuck++
	}
	p.weigh(difference)
	p.add(sample, e.data)
	if !p.judge(sample, difference, stuck) || stuck {
		return
	}
	if p.counted++; p.counted == p.osr {
		p.counted = 0
		p.credit = min(p.credit+1, p.width)
	}
}

// measure takes an interval into account for the step of the clock: the greatest
// common divisor of all intervals. Some counters advance in steps of many ticks, which
// would leave the low bits without noise.
func (p *eventPool) measure(delta uint64, forward bool) {
	// A step of 1 cannot become less. A larger one can, later too: the first events
	// may all have been in step with something slower.
	if p.step != 1 && forward && (p.step == 0 || delta%p.step != 0) {
		p.step = divisor(p.step, delta)
	}
	if p.intervals == stepSamples {
		return
	}
	if p.intervals++; p.intervals == stepSamples {
		p.stands = p.step == 0
		if p.stands {
			p.intervals = 0
		}
	}
}

// divisor returns the greatest common divisor of a and b; that of 0 and b is b.
func divisor(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// judge runs the health tests. It reports whether the event may be credited.
func (p *eventPool) judge(sample, difference byte, stuck bool) bool {
	ready := p.tested()
	first := p.samples.Next(uint64(sample))
	second := p.differences.NextStuck(uint64(difference), stuck)
	switch {
	case first != nil && (first.Permanent || second == nil || !second.Permanent):
		p.alarm(first)
	case second != nil:
		p.alarm(second)
	case !ready && p.tested():
		p.started = true
		p.passes++
		return false // the samples of a start-up are not used
	}
	return ready && p.tested()
}

// tested reports whether no start-up test is under way.
func (p *eventPool) tested() bool { return p.samples.Ready() && p.differences.Ready() }

// alarm drops the credit of all that was collected, and begins a new start-up test. The
// events stay in the hash, uncredited.
func (p *eventPool) alarm(f *health.Failure) {
	p.failed = &HealthError{Source: p.name, Test: f.Test, Count: f.Count, Cutoff: f.Cutoff, Permanent: f.Permanent}
	p.told, p.started = false, false
	p.alarms++
	p.credit, p.counted = 0, 0
	p.restart()
}

// restart begins the start-up test anew. What was credited before stays.
func (p *eventPool) restart() {
	p.samples.Restart()
	p.differences.Restart()
}

// publish makes the credit known to those who do not hold the lock.
func (p *eventPool) publish() {
	n := 0
	if p.started && !p.cleared {
		n = max(0, min(p.credit-poolMargin, p.most()))
	}
	p.available.Store(int64(n))
}

// add puts an event into the hash.
func (p *eventPool) add(sample byte, data uint32) {
	b := p.encoded[p.filled : p.filled+sampleSize]
	b[0] = sample
	binary.LittleEndian.PutUint32(b[1:], data)
	if p.filled += sampleSize; p.filled == len(p.encoded) {
		p.flush()
	}
}

// flush puts the events that are waiting into the hash.
func (p *eventPool) flush() {
	p.state.Write(p.encoded[:p.filled])
	p.input = min(p.input+8*p.filled, maxPoolInput)
	zero.Bytes(p.encoded[:p.filled])
	p.filled = 0
}

// status returns why nothing is delivered, or nil. An alarm is reported at least once,
// also if the source has recovered since.
func (p *eventPool) status() error {
	switch {
	case p.cleared:
		return fmt.Errorf("es: %s: cleared: %w", p.name, ErrUnavailable)
	case p.failed != nil && (!p.started || !p.told):
		p.told = true
		return p.failed
	case p.started:
		return nil
	case p.stands:
		return p.standstill()
	}
	return fmt.Errorf("es: %s: too few events for the start-up test: %w", p.name, ErrUnavailable)
}

// standstill is the error of a clock that does not advance.
func (p *eventPool) standstill() error {
	return fmt.Errorf("es: %s: the clock does not advance: %w", p.name, ErrUnavailable)
}

// over reports whether the start-up test is over that was begun when there had been so
// many passes and alarms, and how it went.
func (p *eventPool) over(passes, alarms int) (bool, error) {
	switch {
	case p.cleared:
		return true, p.status()
	case p.failed != nil && (p.failed.Permanent || p.alarms != alarms):
		p.told = true
		return true, p.failed
	}
	return p.passes != passes, nil
}

// read fills out and returns the credit of that, in bits.
func (p *eventPool) read(ctx context.Context, out []byte, bits int) (credit int, err error) {
	if err := p.status(); err != nil {
		return 0, err
	}
	p.revive()
	done := false
	defer p.dropUnless(&done)
	credit = p.grant(len(out), bits)
	for rest := out; len(rest) > 0; {
		if err := ctx.Err(); err != nil {
			done = true
			return 0, fmt.Errorf("es: %s: %w", p.name, err)
		}
		rest = rest[p.digest(rest):]
	}
	// The order does not matter to others: they wait for the lock.
	if credit > 0 {
		p.credit -= credit + poolMargin
		p.credited += uint64(p.rate.available(credit))
	}
	p.publish()
	done = true
	return p.rate.available(credit), nil
}

// grant returns the entropy that the next digest has when it is cut to size bytes, if
// bits are asked for.
func (p *eventPool) grant(size, bits int) int {
	nout := 8 * min(size, p.width/8)
	credit := min(bits, nout, p.most(), p.credit-poolMargin)
	if credit <= 0 {
		return 0
	}
	// Where nout = credit, hout falls short of it by 2⁻⁶⁴, or by what a float64 makes
	// of that, which is not to cost a bit: see Jitter.block.
	hout := conditioner.OutputEntropy(float64(credit+poolMargin), p.input, nout, p.width)
	return min(credit, int(hout+1e-6))
}

// What the hash is used for is its first byte.
const (
	labelEvents = 'E'
	labelState  = 'S'
	labelOutput = 'O'
)

// digest fills out with one digest, or as much of it as it takes, and returns the
// number of bytes.
//
//	D = H('E' ‖ S ‖ events), output = H('O' ‖ D), S = H('S' ‖ D)
//
// At first S is empty. From what is left in the pool, the new S, neither D nor the
// output can be computed.
func (p *eventPool) digest(out []byte) int {
	defer func() {
		for i := range p.digests {
			zero.Bytes(p.digests[i][:])
		}
	}()
	d := p.state.Sum(p.digests[0][:0])
	output := p.derive(labelOutput, d, p.digests[1][:0])
	next := p.derive(labelState, d, p.digests[2][:0])
	p.begin(next)
	return copy(out, output)
}

// derive appends H(label ‖ d) to to.
func (p *eventPool) derive(label byte, d, to []byte) []byte {
	p.hash(label, d)
	return p.state.Sum(to)
}

// begin starts the hash of the events to come, with what is left of those before.
func (p *eventPool) begin(s []byte) {
	p.hash(labelEvents, s)
	p.input = 8 * len(s)
}

// hash begins the hash anew with label and d.
func (p *eventPool) hash(label byte, d []byte) {
	zero.Hash(p.state)
	p.label[0] = label
	p.state.Write(p.label[:])
	p.state.Write(d)
}

// clear wipes the pool and ends its use.
func (p *eventPool) clear() {
	if p.state != nil {
		zero.Hash(p.state)
	}
	clear(p.record)
	p.mem.Free()
	p.eventPoolMemory = nil
	p.filled, p.credit, p.counted, p.record, p.wanted = 0, 0, 0, nil, 0
	p.meter.clear()
	p.cleared = true
	p.publish()
}

// noise is GetNoise of a source whose events come by themselves: it hands out up to size
// samples that were recorded, and has as many recorded as are missing.
func (p *eventPool) noise(size int, put func(i int, s rawSample)) (n int, err error) {
	if p.cleared {
		return 0, p.status()
	}
	n = min(size, len(p.record))
	for i, s := range p.record[:n] {
		put(i, s)
	}
	left := copy(p.record, p.record[n:])
	if size == 0 {
		left = 0
	}
	clear(p.record[left:])
	p.record = p.record[:left]
	p.wanted = left + size - n
	p.record = slices.Grow(p.record, p.wanted-left)
	return n, nil
}

// parameters is NoiseParameters.
func (p *eventPool) parameters() NoiseParameters {
	if p.invalid != nil {
		return NoiseParameters{}
	}
	return NoiseParameters{Origin: clock.Name(), OSR: p.osr, Step: p.step}
}

// symbolsTo returns a function that stores the symbols of samples in p.
func symbolsTo(p []byte) func(i int, s rawSample) {
	return func(i int, s rawSample) { p[i] = s.symbol }
}

// deltasTo returns a function that stores the times of samples in p.
func deltasTo(p []uint64) func(i int, s rawSample) {
	return func(i int, s rawSample) { p[i] = s.delta }
}
