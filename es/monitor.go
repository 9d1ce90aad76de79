package es

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"sync/atomic"
	"time"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/internal/ctxsync"
	"github.com/lrng-go/lrng/internal/health"
	"github.com/lrng-go/lrng/internal/zero"
)

// MonitorConfig configures a [Monitored] source. The zero value is the recommended
// configuration for noise of which little is known.
type MonitorConfig struct {
	// Rate is the min-entropy credited for 256 bits of data, in bits: 1…256. 0 is
	// the recommended 256; a negative rate is no credit, and one above 256 an
	// error. It does not change what is collected: see H.
	Rate int

	// H is the min-entropy claimed for a sample given all samples before it, in
	// bits: at most SampleBits. 0 is 1/8.
	//
	// It decides how many samples are collected, and what the tests allow. The
	// default is a round number close to the least claim for which both alarms of
	// the APT can ring in a window of 512, 60/511. It is for noise that has not
	// been assessed; who measured theirs claims what was found, with a margin.
	// For a claim below 30/511 the window has to be wider.
	H float64

	// SampleBits is the width of a sample, 1…64. 0 is 8. The source stores samples
	// of more than 8 bits as ⌈SampleBits/8⌉ bytes, the least significant first.
	// Higher bits of the last byte are ignored.
	SampleBits int

	// Window is the window of the APT in samples, 2…65536. 0 is 1024 for samples
	// of one bit and 512 for wider ones, as SP 800-90B, Section 4.4.2, wants it.
	Window int

	// Alpha is -log2 of the probability of a false alarm, for each sample (RCT) or
	// window (APT): 20…40, the range that SP 800-90B, Section 4.3, recommends. 0 is
	// 30. That of a permanent failure is the square: -log2 is twice Alpha.
	Alpha int

	// Conditioner is the hash function that compresses the samples; it has a width
	// of at most 512 bits. Nil means SHA-512.
	Conditioner conditioner.Conditioner
}

const (
	// monitorH is the default claim, in bits a sample.
	monitorH = 1.0 / 8

	// monitorMargin is the entropy, in bits, that goes into a block beyond what is
	// credited: with it a digest has full entropy (FIPS 140-3 Implementation
	// Guidance, D.K, Resolution 19).
	monitorMargin = 64

	// monitorChunk is how many samples are asked for at a time.
	monitorChunk = 64

	// monitorPatience is how long a call of GetEntropy waits for a GetNoise that the
	// one before has left behind, before it counts as one that hangs.
	monitorPatience = 500 * time.Millisecond

	// monitorNothing is how many calls of GetNoise in a row may bring neither
	// samples nor an error.
	monitorNothing = 100

	// monitorLeastAlpha and monitorMostAlpha are the range of SP 800-90B, Section
	// 4.3.
	monitorLeastAlpha, monitorMostAlpha = 20, 40
)

// Monitored is the entropy source that [Monitor] makes of raw noise.
//
// Its data are digests of samples. For a block of n bits (n+64)/H samples go into the
// hash, rounded up to a multiple of 32, so that each is in one of the blocks of 32 that are
// tested; the credit follows from SP 800-90B, Section 3.1.5.1.2, and because of the
// additional 64 bits it is n. A p longer than the digest is filled with several
// blocks, each from samples of its own. Blocks beyond the credit are made of 64/H
// samples, rounded up as well.
//
// The GetEntropy of the source that is watched is never called. What it delivers may
// have been conditioned, so that no test could say anything about it; and of what it
// says itself about its noise nothing is believed.
//
// # Health tests
//
// On each sample the RCT, the APT and the start-up test of SP 800-90B, Section 4, run
// with the cut-offs for H and Alpha. Blocks of 32 samples are tested by another RCT and
// another APT, with windows of 32, for 32·H bits: they notice noise that repeats a
// pattern longer than a sample. The first call starts with the start-up test, on 1024
// samples that are not used. Each time a test has failed, the next call starts with it
// again, after the window of the alarm.
//
// Besides, [Monitored.NoiseEstimate] has a running estimate of the min-entropy, and a
// warning if that falls below H by more than chance explains: for noise that is not as good
// as it was when it was assessed, and still too good for an alarm.
//
// # Failure
//
// A failed test is a [*HealthError]. The data of the call are dropped. A permanent
// failure is final for this Monitored; an intermittent one becomes permanent in the
// next calls if it lasts. A source that returns an impossible number of samples fails
// for good.
//
// If GetNoise returns an error, panics, or brings nothing a hundred times in a row, the
// call fails with an error that wraps [ErrUnavailable] and the reason. GetNoise is called
// in a goroutine, for it cannot be cancelled. If it does not return, GetEntropy does when
// its context is done. The next call waits for it half a second, and later ones not at
// all: they fail until it has returned, and its samples have been wiped. At other times
// there is no goroutine.
//
// # Security
//
// The tests notice that a noise source has broken. They cannot notice that somebody
// knows the noise, nor that the claim was too high for it: see [MonitorConfig].H.
//
// A Monitored is safe for concurrent use; calls of GetEntropy take turns. Nothing of a
// block is left in it when GetEntropy returns but how often each sample came (see
// [Monitored.NoiseEstimate]), and there is nothing to close; the source that it watches may
// have to be closed. What the hash function keeps on the stack cannot be wiped.
type Monitored struct {
	source  NoiseSource
	info    Info
	rate    rate
	h       float64
	bits    int // of a sample
	size    int // of a sample, bytes
	mask    byte
	width   int // of a digest, bits
	invalid error
	test    func() error // the self-test of the conditioner

	// down says that the last attempt ended with an error that the next will end
	// with, too, unless the source changes.
	down atomic.Bool

	// lock guards the fields below. It is held during collection.
	lock   ctxsync.Lock
	watch  *watch
	failed error      // the permanent failure, if there was one
	left   *noiseCall // a call that has not returned in time
	vain   bool       // it has been waited for
	state  hash.Hash
	sample [watchLimit / 8]byte
	digest [maxBlock / 8]byte
}

// Monitor returns a source that takes the raw noise of s, tests it, conditions it, and
// credits it. It does not ask s for noise. If c is not valid, or s gives no noise,
// Validate and all calls return the reason.
//
// S has to be a [NoiseSource]. The result has its name and takes its place: the two
// must not both be sources of one generator, which refuses them for that.
func Monitor(s Source, c MonitorConfig) *Monitored {
	m := new(Monitored)
	m.invalid = m.configure(s, c)
	if m.invalid != nil {
		m.rate = 0
	}
	m.info.MaxEntropy = m.rate.max()
	return m
}

// configure interprets the configuration.
func (m *Monitored) configure(s Source, c MonitorConfig) (err error) {
	m.info = Info{Name: "monitor", Health: true}
	if s == nil {
		return errors.New("es: Monitor: the source is nil")
	}
	info := s.Info()
	m.info.Name, m.info.Boundary, m.info.Slow = info.Name, info.Boundary, info.Slow
	var ok bool
	if m.source, ok = s.(NoiseSource); !ok {
		return fmt.Errorf("es: Monitor: %q gives no raw noise: it has no GetNoise", info.Name)
	}
	if m.rate, err = newRate("MonitorConfig", c.Rate, 256); err != nil {
		return err
	}
	if m.bits = c.SampleBits; m.bits == 0 {
		m.bits = 8
	}
	if m.h = c.H; m.h == 0 {
		m.h = monitorH
	}
	alpha := c.Alpha
	if alpha == 0 {
		alpha = health.Alpha
	}
	window := c.Window
	if window == 0 {
		if window = health.Window; m.bits == 1 {
			window = health.BinaryWindow
		}
	}
	switch {
	case m.bits < 1 || m.bits > watchLimit:
		return fmt.Errorf("es: MonitorConfig.SampleBits: %d, must be 1 to %d", c.SampleBits, watchLimit)
	case !(m.h > 0 && m.h <= float64(m.bits)):
		return fmt.Errorf("es: MonitorConfig.H: %v bits of entropy in a sample of %d", c.H, m.bits)
	case alpha < monitorLeastAlpha || alpha > monitorMostAlpha:
		return fmt.Errorf("es: MonitorConfig.Alpha: 2^-%d, the exponent must be %d to %d", c.Alpha, monitorLeastAlpha, monitorMostAlpha)
	case window < 2 || window > 1<<16:
		return fmt.Errorf("es: MonitorConfig.Window: %d samples, must be 2 to %d", c.Window, 1<<16)
	}
	m.size = (m.bits + 7) / 8
	m.mask = 0xff >> (8*m.size - m.bits)
	if m.watch, err = newWatch(m.h, window, float64(alpha), m.size); err != nil {
		return fmt.Errorf("es: MonitorConfig.H: %w", err)
	}
	m.test = selfTestOf(c.Conditioner)
	m.state, m.width, err = newHash("MonitorConfig", c.Conditioner)
	return err
}

// Info describes the source: the name, the boundary and the slowness are those of the
// source that is watched. MaxEntropy is 512 bits at the recommended rate.
func (m *Monitored) Info() Info { return m.info }

// Validate returns what is wrong with the configuration or the source, or nil.
func (m *Monitored) Validate() error { return m.invalid }

// Available returns the credit of a call that asks for bits. It is 0 after a permanent
// failure, and after a call that found the noise unavailable, until another has found
// that it is available again.
func (m *Monitored) Available(bits int) int {
	if m.invalid != nil || m.down.Load() {
		return 0
	}
	return m.rate.available(bits)
}

// GetEntropy fills p with conditioned samples and returns how many bits of min-entropy
// they hold: at the recommended rate the least of bits, 8·len(p) and 512. When ctx is
// done first it returns its error, wrapped; it does so as well while it waits for
// another call. After an error p is cleared.
//
// By default 256 bits take 2560 samples, and the first call 1024 more.
func (m *Monitored) GetEntropy(ctx context.Context, p []byte, bits int) (credit int, err error) {
	if err := m.enter(ctx); err != nil {
		zero.Bytes(p)
		return 0, err
	}
	defer m.lock.Unlock()
	defer m.wipe()
	if credit, err = m.collect(ctx, p, bits); err != nil {
		zero.Bytes(p)
		return 0, err
	}
	m.down.Store(false)
	return credit, nil
}

// HealthTest runs the start-up test on demand, on samples that are not used otherwise.
// If it fails, or is cut short by ctx, the next call of GetEntropy runs it again.
func (m *Monitored) HealthTest(ctx context.Context) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.lock.Unlock()
	defer m.wipe()
	if err := m.startUp(ctx); err != nil {
		return err
	}
	m.down.Store(false)
	return nil
}

// GetNoise hands p on to the GetNoise of the source that is watched. The tests do not see
// these samples, and no digest holds them. It works after a permanent failure, too. While
// it does not return other calls wait for their contexts.
func (m *Monitored) GetNoise(p []byte) (n int, err error) {
	if err := m.ready(); err != nil {
		return 0, err
	}
	if err := m.lock.Lock(context.Background()); err != nil {
		return 0, err
	}
	defer m.lock.Unlock()
	if err := m.hanging(context.Background()); err != nil {
		return 0, err
	}
	return m.source.GetNoise(p)
}

// String returns the name of the type. The state is not printed.
func (m *Monitored) String() string { return "es.Monitored" }

// GoString returns the name of the type. The state is not printed.
func (m *Monitored) GoString() string { return "es.Monitored" }

// ready returns the error of every call if the configuration is not valid, or if a
// self-test has failed. The first call runs those of what the source uses.
func (m *Monitored) ready() error {
	if m.invalid != nil {
		return m.invalid
	}
	return runSelfTests(m.info.Name, health.SelfTest, selfTestOf(conditioner.SHA256), m.test)
}

// enter locks the source for a call that tests or delivers, or returns why it cannot do
// that.
func (m *Monitored) enter(ctx context.Context) error {
	if err := m.ready(); err != nil {
		return err
	}
	if err := m.lock.Lock(ctx); err != nil {
		return fmt.Errorf("es: %s: %w", m.info.Name, err)
	}
	if m.failed != nil {
		m.lock.Unlock()
		return m.failed
	}
	return nil
}

// collect fills p and returns the credit.
func (m *Monitored) collect(ctx context.Context, p []byte, bits int) (credit int, err error) {
	if !m.watch.ready() {
		if err := m.startUp(ctx); err != nil {
			return 0, err
		}
	}
	want := max(0, min(bits, 8*min(len(p), maxBlock/8)))
	for len(p) > 0 {
		out := p[:min(len(p), m.width/8)]
		n := min(want, 8*len(out))
		got, err := m.block(ctx, out, n)
		if err != nil {
			return 0, err
		}
		// The samples of the blocks are not the same, so their entropy adds up.
		credit += got
		want -= n
		p = p[len(out):]
	}
	return m.rate.available(credit), nil
}

// startUp runs the start-up test from the beginning.
func (m *Monitored) startUp(ctx context.Context) error {
	m.watch.restart()
	for !m.watch.ready() {
		if err := m.take(ctx, monitorChunk, false); err != nil {
			return err
		}
	}
	return nil
}

// block fills out, at most a digest, and returns how many of want bits of entropy it
// holds.
func (m *Monitored) block(ctx context.Context, out []byte, want int) (credit int, err error) {
	n := int(math.Ceil(float64(want+monitorMargin) / m.h))
	n += (watchBlock - n%watchBlock) % watchBlock
	if err := m.take(ctx, n, true); err != nil {
		return 0, err
	}
	copy(out, m.state.Sum(m.digest[:0]))
	m.state.Reset()

	// Where nout = want, hout falls short of it by 2⁻⁶⁴, or by what a float64 makes of
	// that. With hin ≥ nout + 64 the Implementation Guidance counts that as full
	// entropy, so it is not to cost a bit.
	hout := conditioner.OutputEntropy(float64(n)*m.h, n*m.bits, 8*len(out), m.width)
	return min(want, int(hout+1e-6)), nil
}

// take takes n samples, tests them, and absorbs them if they are to be used.
func (m *Monitored) take(ctx context.Context, n int, use bool) error {
	have, nothing := 0, 0 // bytes of a sample; calls in vain
	for n > 0 {
		call, err := m.ask(ctx, min(n, monitorChunk)*m.size-have)
		if err != nil {
			return err
		}
		err = m.play(call.p[:call.n], &have, &n, use)
		zero.Bytes(call.p[:])
		if err != nil {
			return err
		}
		if nothing++; call.n > 0 {
			nothing = 0
		}
		if err = call.err; err == nil && nothing == monitorNothing {
			err = io.ErrNoProgress
		}
		if err != nil {
			return m.unavailable(err)
		}
	}
	return nil
}

// play tests the samples in p, of the first of which there are *have bytes already, and
// counts them down from *n.
func (m *Monitored) play(p []byte, have, n *int, use bool) error {
	sample := m.sample[:m.size]
	for _, b := range p {
		sample[*have] = b
		if *have++; *have < m.size {
			continue
		}
		*have = 0
		*n--
		sample[m.size-1] &= m.mask
		if failure := m.watch.next(sample); failure != nil {
			return m.fail(healthError(m.info.Name, failure))
		}
		if use {
			m.state.Write(sample)
		}
	}
	return nil
}

// fail returns e, and notes whether it is final.
func (m *Monitored) fail(e *HealthError) error {
	if e.Permanent {
		m.down.Store(true)
		m.watch.clear()
		m.failed = e
	}
	return e
}

// unavailable returns the error of a call that brought no noise, for the reason why.
func (m *Monitored) unavailable(why error) error {
	m.down.Store(true)
	return fmt.Errorf("es: %s: GetNoise: %w: %w", m.info.Name, why, ErrUnavailable)
}

// wipe clears what is left of a call.
func (m *Monitored) wipe() {
	zero.Bytes(m.sample[:])
	zero.Bytes(m.digest[:])
	zero.Hash(m.state)
	m.watch.dropBlock()
}

var errHangs = errors.New("does not return")

// hanging returns an error if a call that nobody wants the answer of has not returned.
// It waits for it, once.
func (m *Monitored) hanging(ctx context.Context) error {
	if m.left == nil {
		return nil
	}
	patience := monitorPatience
	if m.vain {
		patience = 0
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-m.left.done:
	case <-ctx.Done():
		return fmt.Errorf("es: %s: %w", m.info.Name, ctx.Err())
	case <-timer.C:
		select {
		case <-m.left.done:
		default:
			m.vain = true
			return m.unavailable(errHangs)
		}
	}
	m.left, m.vain = nil, false
	return nil
}

// A noiseCall is one call of GetNoise.
type noiseCall struct {
	p    [monitorChunk * watchLimit / 8]byte
	n    int
	err  error
	over atomic.Bool   // it has returned, or nobody wants the answer any more
	done chan struct{} // closed when it has returned
}

// ask calls GetNoise for size bytes. The caller wipes what the call brought.
func (m *Monitored) ask(ctx context.Context, size int) (*noiseCall, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("es: %s: %w", m.info.Name, err)
	}
	if err := m.hanging(ctx); err != nil {
		return nil, err
	}
	c := &noiseCall{done: make(chan struct{})}
	go c.run(m.source, size)
	select {
	case <-c.done:
	case <-ctx.Done():
		if c.over.CompareAndSwap(false, true) {
			m.left = c // it wipes what it brings
		} else {
			<-c.done
			zero.Bytes(c.p[:])
		}
		return nil, fmt.Errorf("es: %s: %w", m.info.Name, ctx.Err())
	}
	if c.n < 0 || c.n > size {
		zero.Bytes(c.p[:])
		return nil, m.fail(&HealthError{Source: m.info.Name, Test: "number of samples", Count: c.n, Cutoff: size + 1, Permanent: true})
	}
	return c, nil
}

// run makes the call. A panic is an error, and so is the end of the goroutine.
func (c *noiseCall) run(source NoiseSource, size int) {
	defer close(c.done)
	c.err = errGoexit
	defer func() {
		if v := recover(); v != nil {
			c.n, c.err = 0, &panicError{v}
		}
		if !c.over.CompareAndSwap(false, true) {
			zero.Bytes(c.p[:])
		}
	}()
	c.n, c.err = source.GetNoise(c.p[:size:size])
}
