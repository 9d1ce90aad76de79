package estest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"sync"
	"time"

	"github.com/lrng-go/lrng/es"
)

// A Fake is a source that does what a script says, for tests of what uses
// sources. [New] makes one.
//
// Its data are not random: see [Fake.Data]. Each call delivers other data, so
// that a test can look for those of a certain call, and count them.
//
// A Fake is safe for concurrent use, starts no goroutine, and may be used in a
// testing/synctest bubble, also if it was made outside.
type Fake struct {
	info es.Info

	mu       sync.Mutex // guards all that follows
	steps    []Step
	used     int // how often steps[0] was done
	calls    []Call
	last     int           // the call whose data were delivered last
	dead     error         // see SetDead
	rate     int           // see SetRate
	late     [][]byte      // what LateWrite will write to
	hang     chan struct{} // closed by Release; made by the first Hang
	released bool
}

// A Call is what a [Fake] recorded of one call of GetEntropy.
type Call struct {
	Step   string // the name of the step, as "OK(256)", or "dead"
	Size   int    // the length of p, in bytes
	Bits   int    // what was asked for
	Credit int    // what was returned
	Err    error
	Done   bool // the call has returned, panicked, or ended its goroutine
}

// New returns a source with the given Info. Each call of GetEntropy does the
// next of the steps; the last one repeats for ever. Without steps all calls
// credit as much as they can.
func New(info es.Info, steps ...Step) *Fake {
	if len(steps) == 0 {
		steps = []Step{OK(info.MaxEntropy)}
	}
	return &Fake{info: info, steps: append([]Step(nil), steps...), rate: math.MaxInt}
}

// Info returns what New was given.
func (f *Fake) Info() es.Info {
	f.writeLate()
	return f.info
}

// Available returns what the next call could credit, if it is an [OK] or a
// [Claim]: the latter lies here, too. It is 0 before [Unavailable] and while the
// source is dead, and as much as the source can credit before any other step.
func (f *Fake) Available(bits int) int {
	f.writeLate()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead != nil {
		return 0
	}
	s := f.peek()
	if s.lie {
		return s.credit
	}
	return max(0, min(s.credit, bits, f.info.MaxEntropy, f.rate))
}

// GetEntropy does the next step of the script.
func (f *Fake) GetEntropy(ctx context.Context, p []byte, bits int) (credit int, err error) {
	f.writeLate()
	c := f.begin(ctx, p, bits)
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		r := &f.calls[c.number]
		r.Credit, r.Err, r.Done = credit, err, true
	}()
	return c.step.do(c)
}

// begin records a call and takes its step from the script.
func (f *Fake) begin(ctx context.Context, p []byte, bits int) *call {
	f.mu.Lock()
	defer f.mu.Unlock()
	var s Step
	if f.dead != nil {
		s = Error(f.dead)
		s.name = "dead"
	} else {
		s = f.peek()
		f.used++
	}
	f.calls = append(f.calls, Call{Step: s.name, Size: len(p), Bits: bits})
	return &call{f: f, step: s, number: len(f.calls) - 1, ctx: ctx, p: p, bits: bits}
}

// peek drops the steps that are done and returns the next one. It is called
// with mu held.
func (f *Fake) peek() Step {
	for len(f.steps) > 1 && f.used >= f.steps[0].times {
		f.steps, f.used = f.steps[1:], 0
	}
	return f.steps[0]
}

// Count returns how often GetEntropy was called.
func (f *Fake) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.calls)
}

// Calls returns the calls of GetEntropy, in the order in which they began.
func (f *Fake) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Call(nil), f.calls...)
}

// Data returns the first size bytes of what call number i of GetEntropy
// delivers, counted from 0. They are digests that depend on the name of the
// source and on i: two fakes of the same name deliver the same data, like a
// machine and its clone.
func (f *Fake) Data(i, size int) []byte {
	p := make([]byte, size)
	f.data(p, i)
	return p
}

// data stores the data of call number i in p.
func (f *Fake) data(p []byte, i int) {
	in := append([]byte("estest "), f.info.Name...)
	in = binary.BigEndian.AppendUint64(in, uint64(i))
	in = append(in, make([]byte, 8)...)
	for block := uint64(0); len(p) > 0; block++ {
		binary.BigEndian.PutUint64(in[len(in)-8:], block)
		d := sha256.Sum256(in)
		p = p[copy(p, d[:]):]
	}
}

// SetDead makes all calls of GetEntropy fail with err, as when a device is
// unplugged, until SetDead(nil). The script stands still meanwhile.
func (f *Fake) SetDead(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = err
}

// SetRate limits what the source credits a call from now on, in bits. It does
// not limit [Claim].
func (f *Fake) SetRate(bits int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rate = bits
}

// Release ends all calls that hang in a [Hang] step, and those that would hang
// later. In a synctest bubble it has to be called in the bubble, before its end.
// It may be called twice.
func (f *Fake) Release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.released && f.hang != nil {
		close(f.hang)
	}
	f.released = true
}

// hanging returns a channel that Release closes, or nil if it was called.
func (f *Fake) hanging() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.released {
		return nil
	}
	if f.hang == nil {
		f.hang = make(chan struct{})
	}
	return f.hang
}

// writeLate does the writes that LateWrite put off.
func (f *Fake) writeLate() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.late {
		for i := range p {
			p[i] ^= 0xff
		}
	}
	f.late = nil
}

// A call is one call of GetEntropy of a fake.
type call struct {
	f      *Fake
	step   Step
	number int
	ctx    context.Context
	p      []byte
	bits   int
}

// fill delivers the data of this call in p.
func (c *call) fill(p []byte) {
	c.f.data(p, c.number)
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	c.f.last = c.number
}

// honest returns what an honest source that has the given entropy credits.
func (c *call) honest(credit int) int {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	return max(0, min(credit, c.bits, c.f.info.MaxEntropy, c.f.rate, 8*min(len(c.p), math.MaxInt/8)))
}

// A Step says what a [Fake] does in one call of GetEntropy.
type Step struct {
	name   string
	times  int
	credit int  // what Available bases its answer on
	lie    bool // Available returns credit as it is
	do     func(c *call) (credit int, err error)
}

// step returns a step of a source that believes that it has entropy.
func step(name string, do func(c *call) (int, error)) Step {
	return Step{name: name, times: 1, credit: math.MaxInt, do: do}
}

// Times returns a step that is done n times before the next one.
func (s Step) Times(n int) Step {
	s.times = n
	return s
}

// String returns the step as it is written, without its package.
func (s Step) String() string { return s.name }

// OK delivers data with credit bits of entropy, or as much of that as the call
// asked for, p has room for, and the Info of the source admits.
func OK(credit int) Step {
	s := step(fmt.Sprintf("OK(%d)", credit), func(c *call) (int, error) {
		c.fill(c.p)
		return c.honest(credit), nil
	})
	s.credit = credit
	return s
}

// Claim delivers data and returns credit as it is: too high, negative, absurd.
func Claim(credit int) Step {
	s := step(fmt.Sprintf("Claim(%d)", credit), func(c *call) (int, error) {
		c.fill(c.p)
		return credit, nil
	})
	s.credit, s.lie = credit, true
	return s
}

// ClaimError fills p and returns both a credit and an error.
func ClaimError(credit int, err error) Step {
	return step(fmt.Sprintf("ClaimError(%d, %v)", credit, err), func(c *call) (int, error) {
		c.f.data(c.p, c.number) // not delivered
		return credit, err
	})
}

// Error fills p and fails with err: what is in p means nothing then.
func Error(err error) Step {
	s := ClaimError(0, err)
	s.name = fmt.Sprintf("Error(%v)", err)
	return s
}

// Unavailable fails with an error that wraps [es.ErrUnavailable].
func Unavailable() Step {
	s := Error(fmt.Errorf("estest: fake: %w", es.ErrUnavailable))
	s.name, s.credit = "Unavailable()", 0
	return s
}

// Health fails with an [es.HealthError]. What a source may do after a permanent
// failure is up to the script.
func Health(permanent bool) Step {
	return step(fmt.Sprintf("Health(%t)", permanent), func(c *call) (int, error) {
		return 0, &es.HealthError{Source: c.f.info.Name, Test: "RCT", Count: 41, Cutoff: 41, Permanent: permanent}
	})
}

// Panic panics with v.
func Panic(v any) Step {
	return step(fmt.Sprintf("Panic(%v)", v), func(*call) (int, error) { panic(v) })
}

// NilDeref dereferences a nil pointer.
func NilDeref() Step {
	return step("NilDeref()", func(*call) (int, error) {
		var p *Call
		return p.Credit, nil
	})
}

// Goexit ends the goroutine that called GetEntropy.
func Goexit() Step {
	return step("Goexit()", func(*call) (int, error) {
		runtime.Goexit()
		return 0, nil
	})
}

// Block blocks until ctx is done, and returns its error.
func Block() Step {
	return step("Block()", func(c *call) (int, error) {
		<-c.ctx.Done()
		return 0, c.ctx.Err()
	})
}

// Hang does not return before [Fake.Release], whatever becomes of ctx. Then it
// delivers data as [OK] does: it writes to a p that the caller gave up long ago.
func Hang() Step {
	return step("Hang()", func(c *call) (int, error) {
		if ch := c.f.hanging(); ch != nil {
			<-ch
		}
		c.fill(c.p)
		return c.honest(math.MaxInt), nil
	})
}

// Slow waits for d and then does s. It returns the error of ctx if that is done
// first.
func Slow(d time.Duration, s Step) Step {
	return s.after(fmt.Sprintf("Slow(%v, %v)", d, s), func(c *call) error {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			return nil
		case <-c.ctx.Done():
			return c.ctx.Err()
		}
	})
}

// Deaf waits for d, whatever becomes of ctx, and then does s.
func Deaf(d time.Duration, s Step) Step {
	return s.after(fmt.Sprintf("Deaf(%v, %v)", d, s), func(*call) error {
		time.Sleep(d)
		return nil
	})
}

// after returns s with a wait before it.
func (s Step) after(name string, wait func(c *call) error) Step {
	do := s.do
	s.name = name
	s.do = func(c *call) (int, error) {
		if err := wait(c); err != nil {
			return 0, err
		}
		return do(c)
	}
	return s
}

// Short fills only the first n bytes of p, and credits as much as if it had
// filled them all.
func Short(n int) Step {
	return step(fmt.Sprintf("Short(%d)", n), func(c *call) (int, error) {
		c.fill(c.p[:min(max(n, 0), len(c.p))])
		return c.honest(math.MaxInt), nil
	})
}

// Overrun writes up to the capacity of p.
func Overrun() Step {
	return step("Overrun()", func(c *call) (int, error) {
		c.fill(c.p[:cap(c.p)])
		return c.honest(math.MaxInt), nil
	})
}

// Stuck fills p with repetitions of pattern, as a broken device does: Stuck(0),
// Stuck(0xff), or a longer one.
func Stuck(pattern ...byte) Step {
	return step(fmt.Sprintf("Stuck(%x)", pattern), func(c *call) (int, error) {
		clear(c.p)
		for p := c.p; len(p) > 0 && len(pattern) > 0; {
			p = p[copy(p, pattern):]
		}
		return c.honest(math.MaxInt), nil
	})
}

// Repeat delivers once more what was delivered last.
func Repeat() Step {
	return step("Repeat()", func(c *call) (int, error) {
		c.f.mu.Lock()
		last := c.f.last
		c.f.mu.Unlock()
		c.f.data(c.p, last)
		return c.honest(math.MaxInt), nil
	})
}

// LateWrite delivers data, and changes all of p during the next call of any
// method of the source. That makes it a fault without a data race for those who
// look at p after the next call; a source that writes from a goroutine of its
// own is found by the race detector.
func LateWrite() Step {
	return step("LateWrite()", func(c *call) (int, error) {
		c.fill(c.p)
		c.f.mu.Lock()
		c.f.late = append(c.f.late, c.p)
		c.f.mu.Unlock()
		return c.honest(math.MaxInt), nil
	})
}

// Do calls f, for what no other step does. The name is for [Call].
func Do(name string, f func(ctx context.Context, p []byte, bits int) (credit int, err error)) Step {
	return step(name, func(c *call) (int, error) { return f(c.ctx, c.p, c.bits) })
}

// A Notifier is a [Fake] that also is an [es.Notifier]. [NewNotifier] makes one.
type Notifier struct {
	*Fake

	mu     sync.Mutex // guards notify
	notify []func()
}

// NewNotifier returns a source as [New] does, with a method Notify.
func NewNotifier(info es.Info, steps ...Step) *Notifier {
	return &Notifier{Fake: New(info, steps...)}
}

// Notify adds a function for Signal.
func (n *Notifier) Notify(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.notify = append(n.notify, f)
}

// Signal calls the functions that Notify was given, as a source does that has
// new entropy.
func (n *Notifier) Signal() {
	n.mu.Lock()
	notify := n.notify
	n.mu.Unlock()
	for _, f := range notify {
		f()
	}
}
