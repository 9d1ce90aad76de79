package es

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lrng-go/lrng/internal/secmem"
	"github.com/lrng-go/lrng/internal/zero"
)

const (
	// maxAhead is the most blocks that a Jitter collects ahead, as many as in LRNG.
	maxAhead = 128

	// defaultAheadAge is twice the interval after which LRNG reseeds.
	defaultAheadAge = 20 * time.Minute
)

// AllowAhead returns a context with which a source may deliver data that it collected
// before the call, if it is configured to collect ahead (see JitterConfig.Ahead), or may
// not, whatever ctx says. With a context that says nothing it may not: it collects what
// it delivers during the call.
//
// It is for who asks for a seed where it does not matter that somebody who could read
// the memory of the process some time before knows it. It must not be allowed where the
// entropy has to be fresh: for prediction resistance, and with oversampling (SP
// 800-90C).
func AllowAhead(ctx context.Context, allowed bool) context.Context {
	return context.WithValue(ctx, aheadKey{}, allowed)
}

type aheadKey struct{}

func aheadAllowed(ctx context.Context) bool {
	allowed, _ := ctx.Value(aheadKey{}).(bool)
	return allowed
}

// A jitterAhead holds what a Jitter collected ahead of need.
type jitterAhead struct {
	limit int           // blocks, at most
	age   time.Duration // after which they are wiped

	mu      sync.Mutex // guards the fields below; never held during collection
	blocks  []jitterBlock
	memory  *secmem.Block // of their data
	size    int           // of the blocks in bytes, and
	bits    int           // the entropy asked for: those of the last call
	filling bool
	cancel  context.CancelFunc // ends the filling
	filler  sync.WaitGroup
	expiry  *time.Timer
	err     error // why the last filling has failed, if nobody was told
	closed  bool
}

// A jitterBlock is what a call of GetEntropy delivers.
type jitterBlock struct {
	data   []byte // maxBlock/8 bytes
	credit int
	at     time.Time // when it was collected; zero if it is empty
}

func (b *jitterBlock) full() bool { return !b.at.IsZero() }

func (b *jitterBlock) wipe() {
	zero.Bytes(b.data)
	b.credit, b.at = 0, time.Time{}
}

func (b *jitterBlock) stale(age time.Duration) bool {
	now := time.Now()
	return tooOld(now.Sub(b.at), now.Round(0).Sub(b.at.Round(0)), age)
}

// tooOld reports whether what was made some time ago is older than age. Of the two
// clocks that tell, the monotonic one may stand still while the machine is suspended;
// and if that of the system was set back, nobody knows how old it is.
func tooOld(monotonic, wall, age time.Duration) bool {
	return monotonic >= age || wall >= age || wall < 0
}

// allocate makes new blocks. They are lasting: one that turned to zeros would be delivered.
func (a *jitterAhead) allocate() bool {
	if a.memory != nil {
		a.memory.Free()
	}
	a.blocks = nil
	m, err := secmem.AllocLasting(a.limit*maxBlock/8, secmem.Heap)
	if err != nil {
		return false
	}
	a.memory = m
	a.blocks = make([]jitterBlock, a.limit)
	p := m.Bytes()
	for i := range a.blocks {
		a.blocks[i].data = p[i*maxBlock/8 : (i+1)*maxBlock/8]
	}
	return true
}

// forgetParent drops the blocks if this is a child process: its parent uses them.
func (a *jitterAhead) forgetParent() {
	if a.memory != nil && !a.memory.Intact() {
		a.memory, a.blocks = nil, nil
	}
}

// take copies a block to p, if there is one for the call, and wipes it.
func (a *jitterAhead) take(p []byte, bits int) (credit int, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(p) > maxBlock/8 || a.closed {
		return 0, false
	}
	a.forgetParent()
	if a.size != len(p) || a.bits != bits || a.blocks == nil {
		a.wipe()
		a.size, a.bits = len(p), bits
		if !a.allocate() {
			return 0, false
		}
	}
	for i := range a.blocks {
		b := &a.blocks[i]
		if b.full() && b.stale(a.age) {
			b.wipe()
		}
		if b.full() {
			copy(p, b.data)
			credit = b.credit
			b.wipe()
			return credit, true
		}
	}
	return 0, false
}

// store copies a block to a place that is free, if it is still wanted.
func (a *jitterAhead) store(p []byte, bits, credit int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forgetParent()
	b := a.free()
	if b == nil || a.closed || len(p) != a.size || bits != a.bits {
		return
	}
	copy(b.data, p)
	b.credit, b.at = credit, time.Now()
	if a.expiry == nil {
		a.expiry = time.AfterFunc(a.age, a.expire)
	}
}

// free returns a place for a block, or nil. The caller holds a.mu.
func (a *jitterAhead) free() *jitterBlock {
	for i := range a.blocks {
		if !a.blocks[i].full() {
			return &a.blocks[i]
		}
	}
	return nil
}

// expire wipes blocks that are stale. It is called when the oldest is.
func (a *jitterAhead) expire() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.expiry != nil {
		a.expiry.Stop() // it may be a newer one than that which called
		a.expiry = nil
	}
	oldest := time.Duration(-1)
	for i := range a.blocks {
		switch b := &a.blocks[i]; {
		case !b.full():
		case b.stale(a.age):
			b.wipe()
		default:
			oldest = max(oldest, time.Since(b.at))
		}
	}
	if oldest >= 0 {
		a.expiry = time.AfterFunc(a.age-oldest, a.expire)
	}
}

// wipe wipes all blocks. The caller holds a.mu.
func (a *jitterAhead) wipe() {
	a.forgetParent()
	for i := range a.blocks {
		a.blocks[i].wipe()
	}
	if a.expiry != nil {
		a.expiry.Stop()
		a.expiry = nil
	}
}

// drop wipes all blocks: the source that they are from has failed since.
func (a *jitterAhead) drop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wipe()
}

// close wipes all blocks, ends the filling and waits for its end.
func (a *jitterAhead) close() {
	a.mu.Lock()
	a.closed = true
	a.wipe()
	if a.memory != nil {
		a.memory.Free()
	}
	a.memory, a.blocks = nil, nil
	if a.cancel != nil {
		a.cancel()
	}
	a.mu.Unlock()
	a.filler.Wait()
}

// ended ends the filling, because of err, or because there is no room if err is nil.
// It is told to the next caller, unless it was Close that ended it.
func (a *jitterAhead) ended(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.filling = false
	a.cancel()
	if err != nil {
		a.wipe()
	}
	if !a.closed {
		a.err = err
	}
}

// report returns why the last filling has failed, once.
func (a *jitterAhead) report() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.err
	a.err = nil
	return err
}

// next returns what the filling is to collect, and false if nothing is missing.
func (a *jitterAhead) next() (size, bits int, more bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.size, a.bits, a.free() != nil && !a.closed
}

// takeAhead delivers a block that was collected ahead, if there is one and ctx allows
// it. It returns the error of the last filling in its place.
func (j *Jitter) takeAhead(ctx context.Context, p []byte, bits int) (credit int, ok bool, err error) {
	if j.ahead.limit == 0 {
		return 0, false, nil
	}
	if err := j.ready(); err != nil {
		return 0, false, err
	}
	if err := ctx.Err(); err != nil {
		return 0, false, fmt.Errorf("es: %s: %w", j.name, err)
	}
	if err := j.ahead.report(); err != nil {
		return 0, false, err
	}
	if !aheadAllowed(ctx) {
		return 0, false, nil
	}
	credit, ok = j.ahead.take(p, bits)
	return credit, ok, nil
}

// fillAhead starts to collect blocks until there is no room for more, unless that is
// under way. It returns at once.
func (j *Jitter) fillAhead(ctx context.Context) {
	a := &j.ahead
	if a.limit == 0 || !aheadAllowed(ctx) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.filling || a.closed || a.free() == nil {
		return
	}
	ctx, a.cancel = context.WithCancel(context.Background())
	a.filling = true
	a.filler.Go(func() { j.fill(ctx) })
}

// errConditioner is the error of a conditioner that panicked or ended its goroutine.
var errConditioner = errors.New("es: jitter: the conditioner did not return")

// fill collects blocks until there is no room for more, or until there is an error.
func (j *Jitter) fill(ctx context.Context) {
	err := errConditioner
	defer func() {
		recover() // here nobody else would
		j.ahead.ended(err)
	}()
	for {
		size, bits, more := j.ahead.next()
		if !more {
			err = nil
			return
		}
		if e := j.collectAhead(ctx, size, bits); e != nil {
			err = e
			return
		}
	}
}

// collectAhead collects one block.
func (j *Jitter) collectAhead(ctx context.Context, size, bits int) error {
	if err := j.enter(ctx); err != nil {
		return err
	}
	defer j.lock.Unlock()
	var data [maxBlock / 8]byte
	defer zero.Bytes(data[:])
	credit, err := j.collect(ctx, data[:size], bits)
	if err == nil {
		// With the lock: no failure can come between.
		j.ahead.store(data[:size], bits, credit)
	}
	return err
}
