package es

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/internal/clock"
	"github.com/lrng-go/lrng/internal/ctxsync"
	"github.com/lrng-go/lrng/internal/health"
	"github.com/lrng-go/lrng/internal/jitter"
	"github.com/lrng-go/lrng/internal/zero"
)

// JitterConfig configures a [Jitter] source. The zero value is the recommended
// configuration.
type JitterConfig struct {
	// Rate is the min-entropy credited for 256 bits of data, in bits: 1…256. 0 is
	// the recommended 256; a negative rate is no credit, and one above 256 an
	// error. It does not change what is collected: see OSR.
	Rate int

	// Noise is what is measured. The recommended one is [JitterMixed].
	Noise JitterNoise

	// OSR is the oversampling rate to begin with: the number of samples collected for
	// each bit of entropy claimed, 1…20. 0 is the recommended rate: 3 for JitterMixed,
	// a claim of 1/3 bit a sample, 6 for JitterMemory, and 14 for JitterHash. A larger
	// one is for machines whose noise an assessment found to be poor.
	OSR int

	// MemorySize is the size of the memory whose access times are measured, in
	// bytes: a power of two from 4 KiB to 512 MiB. 0 is 256 KiB. There is
	// more noise in a memory beyond the caches that a CPU has for itself, 1 MiB or
	// more, where samples take longer. It has no effect on JitterHash.
	MemorySize int

	// Conditioner is the hash function that compresses the samples; it has a
	// width of at most 512 bits. Nil means SHA-512.
	Conditioner conditioner.Conditioner

	// Ahead is the number of blocks that are collected ahead of need, at most 128. 0 is
	// the recommended none: a generator that reseeds in the background does not wait
	// for a source, and a block that is not in memory cannot be read or cloned. See
	// Blocks ahead in the documentation of Jitter.
	Ahead int

	// AheadAge is the age at which a block that was collected ahead is wiped. 0 is the
	// recommended 20 minutes. It has no effect without Ahead.
	AheadAge time.Duration
}

// JitterNoise is the noise that a [Jitter] measures.
type JitterNoise int

const (
	// JitterMixed is the time that memory accesses and a hash after them take
	// together. The source is named "jitter".
	JitterMixed JitterNoise = iota

	// JitterMemory is the time that memory accesses take. The source is named
	// "jitter-memory".
	JitterMemory

	// JitterHash is the time that hashes take, computations without memory accesses
	// that matter. The source is named "jitter-hash".
	JitterHash
)

// name returns the name of the source with the noise n.
func (n JitterNoise) name() string {
	switch n {
	case JitterMemory:
		return "jitter-memory"
	case JitterHash:
		return "jitter-hash"
	}
	return "jitter"
}

const (
	// jitterOSR is the default oversampling rate, that of jitterentropy; the others are
	// those for one noise alone. The claims, 1/3, 1/6 and 1/14 bit, are at most a third
	// of the lowest estimate measured (package internal/jitter and docs/entropy.md: 0.22
	// bits for the hash, whose times repeat in long runs when nothing disturbs them).
	jitterOSR       = 3
	jitterMemoryOSR = 6
	jitterHashOSR   = 14

	// jitterMax is the most entropy that one call is credited with, in bits: what
	// an instantiation at 256 bits of security strength takes, 3/2 of the
	// strength (SP 800-90C, Section 2.6).
	jitterMax = 384

	// jitterMargin is the entropy, in bits, that goes into a block beyond what is
	// credited: with it a digest has full entropy (FIPS 140-3 Implementation
	// Guidance, D.K, Resolution 19).
	jitterMargin = 64

	// jitterBudget is the time for one call, without that of waiting for others. On the
	// machines known it takes 1 to 10 ms, and a clock that is too coarse is found out in
	// 40 ms. A machine that is so slow that it takes longer costs the credit of the call.
	// It is less than the second that a generator waits, and more than the breaks that a
	// busy machine makes: half a second, where ten programs share a CPU.
	jitterBudget = 900 * time.Millisecond

	// jitterInterval is how many samples are taken between two looks at the time.
	// One takes at most 100 µs on the machines known.
	jitterInterval = 16
)

// Jitter is the CPU jitter source: it measures how long memory accesses and hashes
// take. The time varies with the state of caches and predictors, with what else the
// machine does, and with the phases of its clocks. The source needs no device
// and no help of the operating system, only a fine clock.
//
// A sample is the duration of 128 dependent accesses and one SHA3-256, or of one of the
// two (see [JitterNoise]), in ticks of the finest clock of the machine: a counter of the
// CPU, or the system's clock where there is none that is as fine and runs at a constant
// rate.
//
// # Claim
//
// The claim is 1/OSR bit of min-entropy for each sample that is not stuck; samples are not
// claimed to be IID. It is at most a third of the lowest of the estimates in the manner of
// SP 800-90B on the machine of the measurements, a virtual one with an AMD EPYC (Zen 4),
// idle and loaded. In bits a sample:
//
//	                claim   lowest estimate   for who knows all addresses and hashes
//	JitterMixed     1/3     2.2               2.0
//	JitterMemory    1/6     1.8               0.5
//	JitterHash      1/14    0.22              1.4
//
// Package internal/jitter and docs/entropy.md have the numbers, and the means to repeat
// them.
//
// # Conditioning
//
// For a block of n bits (n+64)·OSR samples that are not stuck go into the hash,
// and those that are stuck as well. The credit follows from SP 800-90B, Section
// 3.1.5.1.2; because of the additional 64 bits it is n. A p longer than the
// digest is filled with several blocks, each from samples of its own. Blocks
// beyond the credit are made of 64·OSR samples.
//
// # Health tests
//
// The tests of SP 800-90B, Section 4.4, run on each sample, at 2⁻³⁰ for
// intermittent and 2⁻⁶⁰ for permanent failures: the RCT counts stuck samples (the
// first, second or third derivative of time is zero), with the cut-offs 30·OSR+1
// and 60·OSR+1; the APT looks at the low 8 bits in windows of 512, which are too
// short for a permanent failure if OSR is above 8. A third test, the lag predictor of
// jitterentropy, guesses each sample from the eight before, at 2⁻²² and 2⁻⁴⁴ in windows
// of 2¹⁷. And of 1024 samples at most 90 % may be stuck. The first call starts with a
// test of the clock and the start-up test of 1024 samples, of which none is used. Each
// time a test has failed, the next call starts with the latter again. The source is
// safe for concurrent use; calls of GetEntropy take turns.
//
// # Failure
//
// A failed test is a [*HealthError]. The block is dropped. After an intermittent
// failure less is claimed of each sample: the OSR is one higher from then on. A
// permanent failure, or one when the OSR is 20 already, is final for this Jitter. A
// clock that stands still, runs backwards, or is too coarse, and a call that exceeds its
// budget of 900 ms, are errors that wrap [ErrUnavailable]. They are not final.
//
// # One source or two
//
// JitterMixed has both noises in each sample, and is one source. For NTG.1 of AIS 20/31,
// which wants 240 bits of each of two, there are [JitterMemory] and [JitterHash]: what
// makes memory accesses slow or fast, caches, buses and the memory itself, has hardly a
// part in a hash, which works on registers, and the other way round. Each has samples,
// health tests, claim and credit of its own. This is how jitterentropy 3.7 starts in its
// NTG.1 mode, but for its tests, which expect eight times of what it claims. They are
// independent as far as that goes: they share the CPU, its clock, interrupts and, in a
// virtual machine, the host. Knowing the sample of the other that is next to it takes a
// tenth from the entropy of a sample, and an evaluator has to accept that as independent.
// None of the two is independent of JitterMixed, which should not be in one generator
// with them.
//
// # Blocks ahead
//
// With Ahead a Jitter keeps blocks for calls like the last one, with the same length of p
// and the same bits. It hands them out only to who allows it: see [AllowAhead]. A
// goroutine, which starts after such a call and ends when there is no room for more,
// collects them in place of those that were used. They are wiped when they are used, when
// AheadAge is over, when a test fails, and by [Jitter.Close]. What made that goroutine
// fail is the error of the next call, whoever makes it. A machine that is cloned while
// there are blocks has them twice.
//
// # Security
//
// Who runs code on the same CPU, or the host of the virtual machine, can see the
// caches too. That they cannot tell the durations to the tick is what the claim
// rests on. In an emulator that counts instructions there may be no noise at all,
// and no test can tell a good pseudo-random sequence from noise. That is why the
// collector asks other sources as well.
//
// But for blocks ahead, nothing of a block is left in the Jitter when GetEntropy returns
// but how often each sample came: see NoiseEstimate. What the hash function keeps on the stack cannot be wiped.
type Jitter struct {
	name    string
	rate    rate
	invalid error        // what is wrong with the configuration
	width   int          // of a digest, in bits
	test    func() error // the self-test of the conditioner

	// down says that the last attempt ended with an error that the next will end
	// with, too, unless the machine changes.
	down atomic.Bool

	ahead jitterAhead

	// lock guards the fields below. It is held during collection.
	lock   ctxsync.Lock
	noise  *jitter.Source // nil after Close
	failed error          // the permanent failure, if there was one
	meter  meter
	state  hash.Hash
	deltas [16 * 8]byte // durations that have yet to go into state
	filled int          // bytes of them
	digest [maxBlock / 8]byte

	elapsed func() time.Duration // the clock for the budget
	end     time.Duration        // when the time is over
	taken   uint                 // samples since it began
}

// NewJitter returns the source with configuration c. It collects nothing and
// allocates no memory for it before the first call that needs it. If c is not
// valid, Validate and all calls that collect return the reason.
func NewJitter(c JitterConfig) *Jitter { return newJitter(c, nil, clock.Monotonic) }

// newJitter is NewJitter with the clock for the samples, nil for the real one,
// and the clock for the budget.
func newJitter(c JitterConfig, now func() uint64, elapsed func() time.Duration) *Jitter {
	j := &Jitter{name: c.Noise.name(), elapsed: elapsed}
	if j.rate, j.invalid = newRate("JitterConfig", c.Rate, 256); j.invalid != nil {
		return j
	}
	osr := c.OSR
	switch {
	case osr == 0 && c.Noise == JitterMixed:
		osr = jitterOSR
	case osr == 0 && c.Noise == JitterHash:
		osr = jitterHashOSR
	case osr == 0:
		osr = jitterMemoryOSR
	}
	size := c.MemorySize
	if size == 0 {
		size = jitter.DefaultMemory
	}
	j.ahead.limit, j.ahead.age = c.Ahead, c.AheadAge
	if j.ahead.age == 0 {
		j.ahead.age = defaultAheadAge
	}
	switch {
	case c.Noise < JitterMixed || c.Noise > JitterHash:
		j.invalid = fmt.Errorf("es: JitterConfig.Noise: %d is none", c.Noise)
	case osr < 1 || osr > jitter.MaxOSR:
		j.invalid = fmt.Errorf("es: JitterConfig.OSR: %d samples for a bit of entropy, must be 1 to %d", c.OSR, jitter.MaxOSR)
	case size < jitter.MinMemory || size > jitter.MaxMemory || size&(size-1) != 0:
		j.invalid = fmt.Errorf("es: JitterConfig.MemorySize: %d bytes, must be a power of two from %d to %d", c.MemorySize, jitter.MinMemory, jitter.MaxMemory)
	case c.Ahead < 0 || c.Ahead > maxAhead:
		j.invalid = fmt.Errorf("es: JitterConfig.Ahead: %d blocks, must be 0 to %d", c.Ahead, maxAhead)
	case c.AheadAge < 0:
		j.invalid = fmt.Errorf("es: JitterConfig.AheadAge: %v, must not be negative", c.AheadAge)
	}
	if j.invalid != nil {
		return j
	}
	if j.state, j.width, j.invalid = newHash("JitterConfig", c.Conditioner); j.invalid != nil {
		return j
	}
	j.test = selfTestOf(c.Conditioner)
	// The constants are the same here and there.
	j.noise, j.invalid = jitter.New(jitter.Config{Noise: jitter.Noise(c.Noise), OSR: osr, Memory: size, Now: now})
	return j
}

// Info describes the source. MaxEntropy is 384 at the recommended rate.
func (j *Jitter) Info() Info {
	return Info{Name: j.name, MaxEntropy: j.rate.available(jitterMax), Health: true}
}

// Validate returns what is wrong with the configuration. That the machine has no
// usable clock is not an error of the configuration.
func (j *Jitter) Validate() error { return j.invalid }

// Available returns the credit of a call that asks for bits. It is 0 after a
// permanent failure and after Close, and after a call that found the source unavailable, until
// another has found that it is available again.
func (j *Jitter) Available(bits int) int {
	if j.invalid != nil || j.down.Load() {
		return 0
	}
	return j.rate.available(min(bits, jitterMax))
}

// GetEntropy fills p with conditioned samples and returns how many bits of
// min-entropy they hold: at the recommended rate the least of bits, 8·len(p) and
// 384. It looks at ctx before each sample and returns its error, wrapped; it does
// so as well while it waits for another call. After an error p is cleared.
//
// 256 bits take about 1.4 ms (Zen 4), the first call twice as long. After that one
// it does not allocate, unless it collects ahead.
func (j *Jitter) GetEntropy(ctx context.Context, p []byte, bits int) (credit int, err error) {
	credit, ok, err := j.takeAhead(ctx, p, bits)
	if !ok && err == nil {
		credit, err = j.collectNow(ctx, p, bits)
	}
	if err != nil {
		zero.Bytes(p)
		return 0, err
	}
	j.fillAhead(ctx)
	return credit, nil
}

// collectNow is GetEntropy without blocks that were collected ahead.
func (j *Jitter) collectNow(ctx context.Context, p []byte, bits int) (credit int, err error) {
	if err := j.enter(ctx); err != nil {
		return 0, err
	}
	defer j.lock.Unlock()
	if credit, err = j.collect(ctx, p, bits); err != nil {
		return 0, err
	}
	j.down.Store(false)
	return credit, nil
}

// HealthTest runs the start-up test on demand, on samples that are not used
// otherwise. If it fails, or is cut short by ctx, the next call of GetEntropy
// runs it again.
func (j *Jitter) HealthTest(ctx context.Context) error {
	if err := j.enter(ctx); err != nil {
		return err
	}
	defer j.lock.Unlock()
	return j.startUp(ctx)
}

// GetNoise fills p with consecutive raw samples that were taken for it: the low
// eight bits of the duration, in steps of the clock. The health tests do not see
// them. It works after a permanent failure, too.
//
// A sample takes about 1 µs (Zen 4); until the last one other calls wait. Before
// the first the clock is tested, if it was not before.
func (j *Jitter) GetNoise(p []byte) (n int, err error) {
	if err := j.enterRaw(); err != nil {
		return 0, err
	}
	defer j.lock.Unlock()
	for i := range p {
		p[i], _ = j.noise.Noise()
	}
	return len(p), nil
}

// GetDeltas is GetNoise with all bits of the durations, in ticks of the clock. What
// GetNoise has for a duration d is the low eight bits of d / NoiseParameters().Step.
func (j *Jitter) GetDeltas(p []uint64) (n int, err error) {
	if err := j.enterRaw(); err != nil {
		return 0, err
	}
	defer j.lock.Unlock()
	for i := range p {
		_, p[i] = j.noise.Noise()
	}
	return len(p), nil
}

// NoiseParameters returns how samples are taken now. It waits for other calls. If the
// configuration is not valid, and after Close, all is zero.
func (j *Jitter) NoiseParameters() NoiseParameters {
	j.lock.Lock(context.Background()) // without an end to wait for it does not fail
	defer j.lock.Unlock()
	if j.noise == nil {
		return NoiseParameters{}
	}
	p := NoiseParameters{Origin: clock.Name(), OSR: j.noise.OSR(), MemorySize: j.noise.Memory()}
	if j.noise.Probed() {
		c := j.noise.Clock()
		p.Step, p.Granularity, p.Length = c.Step, c.Granularity, c.Length
	}
	return p
}

// enterRaw locks the source for raw samples, once the clock was tested, or returns why
// there are none.
func (j *Jitter) enterRaw() error {
	if err := j.ready(); err != nil {
		return err
	}
	ctx := context.Background()
	if err := j.lock.Lock(ctx); err != nil {
		return err
	}
	if j.noise == nil {
		err := j.failed
		j.lock.Unlock()
		return err
	}
	if !j.noise.Probed() {
		j.begin()
		j.noise.Start()
		for !j.noise.Probed() {
			if _, _, err := j.sample(ctx); err != nil {
				j.lock.Unlock()
				return err
			}
		}
	}
	return nil
}

// Close ends the collection ahead, waits for calls under way, wipes what was collected
// and lets go of the memory. All later calls fail with an error that wraps
// [ErrUnavailable]. A Jitter without Ahead need not be closed.
func (j *Jitter) Close() error {
	j.ahead.close()
	if err := j.lock.Lock(context.Background()); err != nil {
		return err
	}
	defer j.lock.Unlock()
	j.down.Store(true)
	j.noise = nil
	j.meter.clear()
	j.failed = fmt.Errorf("es: %s: closed: %w", j.name, ErrUnavailable)
	return nil
}

// String returns the name of the type. The state is not printed.
func (j *Jitter) String() string { return "es.Jitter" }

// GoString returns the name of the type. The state is not printed.
func (j *Jitter) GoString() string { return "es.Jitter" }

// ready returns the error of every call if the configuration is not valid, or if a
// self-test has failed. The first call runs those of what the source uses.
func (j *Jitter) ready() error {
	if j.invalid != nil {
		return j.invalid
	}
	return runSelfTests(j.name, jitter.SelfTest, j.test)
}

// enter locks the source for a call that tests or delivers, or returns why it
// cannot do that.
func (j *Jitter) enter(ctx context.Context) error {
	if err := j.ready(); err != nil {
		return err
	}
	if err := j.lock.Lock(ctx); err != nil {
		return fmt.Errorf("es: %s: %w", j.name, err)
	}
	if j.failed != nil {
		j.lock.Unlock()
		return j.failed
	}
	j.begin()
	return nil
}

// collect fills p and returns the credit.
func (j *Jitter) collect(ctx context.Context, p []byte, bits int) (credit int, err error) {
	if !j.noise.Ready() {
		if err := j.startUp(ctx); err != nil {
			return 0, err
		}
	}
	want := max(0, min(bits, 8*min(len(p), maxBlock/8), jitterMax))
	for len(p) > 0 {
		out := p[:min(len(p), j.width/8)]
		n := min(want, 8*len(out))
		got, err := j.block(ctx, out, n)
		if err != nil {
			return 0, err
		}
		// The samples of the blocks are not the same, so their entropy adds up.
		credit += got
		want -= n
		p = p[len(out):]
	}
	return j.rate.available(credit), nil
}

// startUp runs the start-up test from the beginning.
func (j *Jitter) startUp(ctx context.Context) error {
	j.noise.Start()
	for !j.noise.Ready() {
		if _, _, err := j.sample(ctx); err != nil {
			return err
		}
	}
	j.down.Store(false)
	return nil
}

// block fills out, at most a digest, and returns how many of want bits of entropy
// it holds.
func (j *Jitter) block(ctx context.Context, out []byte, want int) (credit int, err error) {
	defer j.wipe()
	samples, counted := 0, 0
	osr := j.noise.OSR() // it is the same until there is an error
	for counted < (want+jitterMargin)*osr {
		delta, counts, err := j.sample(ctx)
		if err != nil {
			return 0, err
		}
		j.absorb(delta)
		samples++
		if counts {
			counted++
		}
	}
	j.flush()
	copy(out, j.state.Sum(j.digest[:0]))

	// Where nout = want, hout falls short of it by 2⁻⁶⁴, or by what a float64
	// makes of that. With hin ≥ nout + 64 the Implementation Guidance counts that
	// as full entropy, so it is not to cost a bit.
	hin := float64(counted) / float64(osr)
	hout := conditioner.OutputEntropy(hin, 64*samples, 8*len(out), j.width)
	return min(want, int(hout+1e-6)), nil
}

// begin starts the time of a call.
func (j *Jitter) begin() {
	j.end = j.elapsed() + jitterBudget
	j.taken = 0
}

// sample takes one sample with the tests. It ends the work when ctx is done or
// the time is over.
func (j *Jitter) sample(ctx context.Context) (delta uint64, counts bool, err error) {
	if err := ctx.Err(); err != nil {
		return 0, false, fmt.Errorf("es: %s: %w", j.name, err)
	}
	if j.taken++; j.taken%jitterInterval == 0 {
		if j.elapsed() > j.end {
			j.down.Store(true)
			j.ahead.drop()
			return 0, false, fmt.Errorf("es: %s: not done within %v: %w", j.name, jitterBudget, ErrUnavailable)
		}
		// WebAssembly has one thread and no preemption: nobody could cancel ctx.
		// Elsewhere to yield would only prolong the call.
		if runtime.GOARCH == "wasm" {
			runtime.Gosched()
		}
	}
	tested := j.noise.Probed() // or it is for the probe of the clock
	delta, counts, err = j.noise.Next()
	if err != nil {
		return 0, false, j.fail(err)
	}
	if tested {
		j.weigh(delta)
	}
	return delta, counts, nil
}

// fail returns the error of the noise source in the terms of this package, and
// notes whether it is final.
func (j *Jitter) fail(err error) error {
	j.ahead.drop()
	var f *health.Failure
	if !errors.As(err, &f) {
		j.down.Store(true)
		return fmt.Errorf("es: %w: %w", err, ErrUnavailable)
	}
	e := &HealthError{Source: j.name, Test: f.Test, Count: f.Count, Cutoff: f.Cutoff, Permanent: f.Permanent}
	if e.Permanent {
		j.down.Store(true)
		j.failed = e
	}
	return e
}

// absorb puts a duration into the hash: 8 bytes, the least significant first.
func (j *Jitter) absorb(delta uint64) {
	binary.LittleEndian.PutUint64(j.deltas[j.filled:], delta)
	if j.filled += 8; j.filled == len(j.deltas) {
		j.flush()
	}
}

// flush puts the durations that are waiting into the hash.
func (j *Jitter) flush() {
	j.state.Write(j.deltas[:j.filled])
	j.filled = 0
}

// wipe clears what is left of a block. Reset of a SHA-2 state leaves its last
// piece of input; pieces shorter than a block overwrite it.
func (j *Jitter) wipe() {
	zero.Bytes(j.digest[:])
	zero.Bytes(j.deltas[:])
	j.filled = 0
	j.state.Reset()
	j.state.Write(j.deltas[:1])
	j.state.Write(j.deltas[:min(len(j.deltas), j.state.BlockSize())-1])
	j.state.Reset()
}
