package es

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/internal/ctxsync"
	"github.com/lrng-go/lrng/internal/health"
	"github.com/lrng-go/lrng/internal/secmem"
	"github.com/lrng-go/lrng/internal/zero"
)

const (
	// feedBlock is how much is read and tested at a time, in bytes: a block of the
	// tests. Drivers hand out about as much for one access to their device.
	feedBlock = watchBlock

	// feedSize is how much is read ahead, in bytes: four of the largest requests
	// that are credited.
	feedSize = 4 * maxBlock / 8

	// feedPatience is how long a call of GetEntropy waits for data, in all. A device
	// that delivers 10 kB/s, as virtio-rng does, passes its start-up test and
	// delivers in a third of that.
	feedPatience = 500 * time.Millisecond

	// feedStall is how long a read takes, at most, that does not hang. ESDM grants
	// a hardware generator as much.
	feedStall = 2 * time.Second

	// feedAge is how old data may be that are delivered: twice the longest time
	// between two seeds of a generator by default.
	feedAge = 20 * time.Minute

	// feedRest is how old data may be that stay behind when some are taken out, so
	// that there are none too old when a generator comes again.
	feedRest = time.Minute

	// A read that failed is repeated after feedPause, then after twice that, and so
	// on, until it has failed feedTries times. From then on a call of GetEntropy is
	// one more try, but not before a pause that goes on doubling up to feedLongest.
	// Five tries, and pauses that grow from 10 ms, are what ESDM grants a TPM.
	feedTries   = 5
	feedPause   = 10 * time.Millisecond
	feedLongest = time.Minute

	// feedNothing is how many reads in a row may bring neither data nor an error, as
	// in package bufio.
	feedNothing = 100
)

var (
	errGoexit = errors.New("ended its goroutine")
	errNoData = errors.New("no data yet")
)

// A finalError is the error of a read that is not worth repeating at once.
type finalError struct{ err error }

func (e *finalError) Error() string { return e.err.Error() }
func (e *finalError) Unwrap() error { return e.err }

// A feed reads ahead: its goroutine reads, tests and stores data until the store is
// full, and GetEntropy takes them out. Nobody but that goroutine ever waits for a
// read. There is one at most, so no more than one read can hang, and there is none
// before the first use nor while the store is full.
//
// It is what [Device] and [Reader] have in common.
type feed struct {
	name        string
	certificate string
	rate        rate
	invalid     error // what is wrong with the configuration

	read      func(p []byte) (n int, err error) // reads once; it may block
	interrupt func()                            // ends reading for good, as far as possible

	goroutine ctxsync.Group
	noisy     sync.Mutex // held by GetNoise

	mu     sync.Mutex // guards the fields below; it is not held during a read
	active bool       // the goroutine has not finished
	closed bool
	stop   chan struct{} // of the goroutine; closed by Close

	*feedMemory // in mem; nil before the first use and after Close
	mem         secmem.Value[feedMemory]

	watch  *watch
	parts  int       // bytes in part
	usable bool      // it may be stored when it is complete
	blocks uint64    // that were tested, in all
	n      int       // bytes in store
	since  time.Time // when the first of them came
	noise  []byte    // where GetNoise wants samples

	failed error // the permanent failure
	alarm  error // an intermittent failure that nobody was told of
	why    error // why the last read failed
	late   bool  // it was waited for in vain, and nothing was stored since

	failures int       // reads in a row that failed
	retry    time.Time // not before
	nothing  int       // reads in a row that brought nothing

	changed chan struct{} // closed at the next change; nil if nobody waits for it
	notify  []func()
}

// feedMemory is what was read.
type feedMemory struct {
	part  [feedBlock]byte // the block that is open
	store [feedSize]byte  // usable blocks, the oldest first
}

// init sets up a feed. Config is the name of its configuration; field is the Rate there
// and def the recommended one.
func (f *feed) init(config, name, certificate string, field, def int, read func([]byte) (int, error), interrupt func()) {
	f.name, f.certificate, f.read, f.interrupt = name, certificate, read, interrupt
	f.mem.Lasting = true
	if f.rate, f.invalid = newRate(config, field, def); f.invalid != nil {
		return
	}
	// A rate is the claim for a block. Data that are not credited are tested for the
	// least one. Claims of less than 4 take a wider window for all alarms of the APT.
	h, window := float64(max(1, f.rate))/watchBlock, health.Window
	for h*float64(window-1) < health.PermanentAlpha {
		window *= 2
	}
	f.watch, f.invalid = newWatch(h, window, health.Alpha, 1)
}

// Info describes the source. MaxEntropy is 512 bits at the full rate. The tests see what
// is read, which may have been conditioned before: they do not count as health tests of
// the raw noise.
func (f *feed) Info() Info {
	return Info{Name: f.name, MaxEntropy: f.rate.max(), Slow: true}
}

// Validate returns what is wrong with the configuration, or nil.
func (f *feed) Validate() error { return f.invalid }

// Certificate returns the name of the certificate in the configuration. It makes this a
// [Certified] source.
func (f *feed) Certificate() string { return f.certificate }

// Available returns the credit of a request for bits from what has been read ahead. It
// is 0 before the first use.
func (f *feed) Available(bits int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stale() || !f.mem.Intact() {
		return 0
	}
	return f.rate.available(min(bits, 8*f.n))
}

// Notify adds a function that is called each time data with credit have been read, in
// the goroutine that reads them. It must not call Close. Nil is ignored.
func (f *feed) Notify(g func()) {
	if g == nil || f.rate == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notify = append(f.notify, g)
}

// GetEntropy fills p with data that were read ahead, and returns the credit: of the
// bits asked for, as many as the length of p, the rate and [Info] admit. The first
// call starts the reading; each one sees to it that what it took is replaced.
//
// If there are less data than p takes, it waits for more: half a second in all, and
// not at all while nothing has come since a call waited in vain. Its errors wrap that
// of ctx, or [ErrUnavailable] and the error of the last read, or are a [*HealthError];
// p has then been wiped.
func (f *feed) GetEntropy(ctx context.Context, p []byte, bits int) (credit int, err error) {
	if err := f.fill(ctx, p); err != nil {
		zero.Bytes(p)
		return 0, err
	}
	return f.rate.credit(len(p), bits), nil
}

// fill fills p from the store.
func (f *feed) fill(ctx context.Context, p []byte) error {
	if err := f.ready(); err != nil {
		return err
	}
	return f.await(ctx, feedPatience, func() (done bool, err error) {
		defer f.start() // to replace what is taken
		if err := f.trouble(); err != nil {
			return false, err
		}
		if f.stale() {
			f.drop()
		}
		// Long ones are filled in parts. What is read may leave less than a block of
		// the store empty.
		if n := min(len(p), feedSize-feedBlock); n <= f.n {
			f.take(p[:n])
			p = p[n:]
		}
		if len(p) > 0 && f.late {
			return false, f.unavailable()
		}
		return len(p) == 0, nil
	})
}

// HealthTest runs the start-up test on demand, on 1024 bytes or more that are read for
// it and dropped. It waits for them until ctx is done, or nothing has come for two
// seconds.
func (f *feed) HealthTest(ctx context.Context) error {
	if err := f.ready(); err != nil {
		return err
	}
	begun := false
	return f.await(ctx, feedStall, func() (done bool, err error) {
		if err := f.trouble(); err != nil {
			return false, err
		}
		if !begun {
			begun = true
			f.usable = false // what came before the test is not part of it
			f.watch.restart()
		}
		f.start()
		return f.watch.ready(), nil
	})
}

// GetNoise fills p with consecutive bytes that are read for it, as they come and
// whatever the tests say of them, unless these have found a permanent failure. If
// nothing comes for two seconds it returns what it has, and an error that wraps
// [ErrUnavailable].
func (f *feed) GetNoise(p []byte) (n int, err error) {
	if err := f.ready(); err != nil {
		return 0, err
	}
	f.noisy.Lock()
	defer f.noisy.Unlock()
	f.mu.Lock()
	f.noise = p
	f.mu.Unlock()
	defer func() {
		// The goroutine writes to p with the lock held, and not after this.
		f.mu.Lock()
		n = len(p) - len(f.noise)
		f.noise = nil
		f.mu.Unlock()
	}()
	return 0, f.await(context.Background(), feedStall, func() (done bool, err error) {
		if err := f.over(); err != nil {
			return false, err
		}
		f.start()
		return len(f.noise) == 0, nil
	})
}

// Close ends the reading and wipes what was read. It waits for a read that is under
// way, up to two seconds; if that cannot be interrupted and does not return, its
// goroutine is left behind with an error that says so, and ends when it does. Calls
// that wait, and later ones, return an error that wraps [ErrUnavailable]. Close may be
// called again; generators do not call it, since sources can be shared.
func (f *feed) Close() error {
	f.mu.Lock()
	if !f.closed {
		f.closed = true
		f.drop()
		f.mem.Free()
		f.feedMemory = nil
		if f.watch != nil {
			f.watch.clear()
		}
		if f.active {
			close(f.stop)
		}
		f.change()
	}
	f.mu.Unlock()
	f.interrupt()
	ctx, cancel := context.WithTimeout(context.Background(), feedStall)
	defer cancel()
	if f.goroutine.Wait(ctx) != nil {
		return fmt.Errorf("es: %s: Close: a read does not return", f.name)
	}
	return nil
}

// ready returns the error of every call if the configuration is not valid, or if a
// self-test has failed. The first call runs those of what the source uses.
func (f *feed) ready() error {
	if f.invalid != nil {
		return f.invalid
	}
	return runSelfTests(f.name, health.SelfTest, selfTestOf(conditioner.SHA256))
}

// await waits until step, which is called with the lock held, reports that it is done
// or returns an error. It gives up when ctx is done, when nobody reads any more, and
// when patience is at an end. A call with feedStall is patient: time begins anew with
// each block.
func (f *feed) await(ctx context.Context, patience time.Duration, step func() (done bool, err error)) error {
	var timer *time.Timer
	seen := uint64(0)
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("es: %s: %w", f.name, err)
		}
		f.mu.Lock()
		f.revive()
		done, err := step()
		if !done && err == nil && !f.active {
			err = f.unavailable()
		}
		if done || err != nil {
			f.mu.Unlock()
			return err
		}
		if f.changed == nil {
			f.changed = make(chan struct{})
		}
		changed, blocks := f.changed, f.blocks
		f.mu.Unlock()

		switch {
		case timer == nil:
			timer = time.NewTimer(patience)
			defer timer.Stop()
		case patience == feedStall && blocks != seen:
			timer.Reset(patience)
		}
		seen = blocks
		select {
		case <-changed:
		case <-ctx.Done():
		case <-timer.C:
			f.mu.Lock()
			defer f.mu.Unlock()
			f.late = true
			return f.unavailable()
		}
	}
}

// change wakes those who wait. As the methods below, it is called with the lock held.
func (f *feed) change() {
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

// over returns why there will never be data again, or nil.
func (f *feed) over() error {
	if f.closed {
		return fmt.Errorf("es: %s: closed: %w", f.name, ErrUnavailable)
	}
	return f.failed
}

// trouble returns why there will never be data again, or an alarm that nobody was told
// of. An alarm is told once.
func (f *feed) trouble() error {
	if err := f.over(); err != nil {
		return err
	}
	err := f.alarm
	f.alarm = nil
	return err
}

// unavailable returns why there are no data now.
func (f *feed) unavailable() error {
	why := f.why
	if why == nil {
		why = errNoData
	}
	return fmt.Errorf("es: %s: %w: %w", f.name, why, ErrUnavailable)
}

// stale reports whether the stored data are too old.
func (f *feed) stale() bool { return f.n > 0 && time.Since(f.since) > feedAge }

// take moves the oldest data from the store to p.
func (f *feed) take(p []byte) {
	copy(p, f.store[:])
	rest := copy(f.store[:], f.store[len(p):f.n])
	if rest > 0 && time.Since(f.since) > feedRest {
		rest = 0
	}
	zero.Bytes(f.store[rest:])
	f.n = rest
}

// revive sees to it that there is memory, unless the feed is closed. In a child process
// there is nothing in it: its parent uses what was read.
func (f *feed) revive() {
	if !f.closed && !f.mem.Intact() {
		f.n, f.parts = 0, 0
		f.feedMemory, _ = f.mem.Renew() // without a demand there is no error
	}
}

// drop wipes all data.
func (f *feed) drop() {
	if f.mem.Intact() {
		zero.Bytes(f.store[:])
	}
	f.n = 0
	f.dropPart()
}

// dropPart wipes the block that is open.
func (f *feed) dropPart() {
	if f.mem.Intact() {
		zero.Bytes(f.part[:])
	}
	f.parts = 0
	if f.watch != nil {
		f.watch.dropBlock()
	}
}

// wanted returns how much to read next, in bytes, or 0 for nothing.
func (f *feed) wanted() int {
	if f.over() != nil || feedSize-f.n < feedBlock && len(f.noise) == 0 && f.watch.ready() {
		return 0
	}
	return feedBlock - f.parts
}

// start starts the goroutine if there is none and one is wanted.
func (f *feed) start() {
	if f.active || f.wanted() == 0 || time.Until(f.retry) > 0 {
		return
	}
	f.active = true
	f.stop = make(chan struct{})
	f.goroutine.Add()
	go f.run(f.stop)
}

// run reads as long as data are wanted and come.
func (f *feed) run(stop <-chan struct{}) {
	defer f.goroutine.Done()
	in := make([]byte, feedBlock)
	defer zero.Bytes(in)
	finished := false
	defer func() {
		if !finished { // read has ended the goroutine
			f.mu.Lock()
			defer f.mu.Unlock()
			f.stumble(&finalError{fmt.Errorf("a read %w", errGoexit)})
			f.finish()
		}
	}()
	for {
		f.mu.Lock()
		size := f.wanted()
		if size == 0 {
			f.finish()
			finished = true
			f.mu.Unlock()
			return
		}
		f.mu.Unlock()

		n, err := f.readOnce(in[:size])

		f.mu.Lock()
		stored, pause, more := f.absorb(in[:size], n, err)
		notify := f.notify // elements are only ever added
		if !more {
			f.finish()
			finished = true
		}
		f.mu.Unlock()
		zero.Bytes(in)
		if stored {
			for _, g := range notify {
				g()
			}
		}
		if !more {
			return
		}
		if pause > 0 {
			select {
			case <-time.After(pause):
			case <-stop:
			}
		}
	}
}

// finish says that the goroutine reads no more.
func (f *feed) finish() {
	f.dropPart()
	f.active = false
	f.change()
}

// readOnce reads once. A panic is an error, and so is one of the error itself, which is
// not ours: it is looked into here, without the lock.
func (f *feed) readOnce(p []byte) (n int, err error) {
	defer func() {
		if v := recover(); v != nil {
			n, err = 0, &panicError{v}
		}
	}()
	n, err = f.read(p)
	if err != nil && errors.Is(err, io.EOF) {
		err = &finalError{err}
	}
	return n, err
}

// absorb takes over what a read into p brought. It reports whether a block was stored,
// and whether to read on, and after which pause.
func (f *feed) absorb(p []byte, n int, err error) (stored bool, pause time.Duration, more bool) {
	if f.over() != nil {
		return false, 0, false
	}
	if n < 0 || n > len(p) {
		// Nobody knows what was written, or where.
		f.fail(&HealthError{Source: f.name, Test: "length of a read", Count: n, Cutoff: len(p) + 1, Permanent: true})
		return false, 0, false
	}
	f.revive()
	switch {
	case n > 0:
		f.failures, f.nothing, f.why = 0, 0, nil
		if failure := f.test(p[:n]); failure != nil {
			f.raise(failure)
			return false, 0, false
		}
		stored = f.complete()
	case err == nil:
		if f.nothing++; f.nothing == feedNothing {
			f.nothing, err = 0, io.ErrNoProgress
		}
	}
	more = true
	if err != nil {
		pause, more = f.stumble(err)
	}
	return stored, pause, more
}

// test appends p to the block that is open, and runs the tests on it.
func (f *feed) test(p []byte) *health.Failure {
	if f.parts == 0 {
		f.usable = f.watch.ready() && feedSize-f.n >= feedBlock
	}
	if n := copy(f.noise, p); n > 0 {
		f.noise, f.usable = f.noise[n:], false
	}
	// A reader may have kept p: what is tested is the copy.
	first := f.parts
	f.parts += copy(f.part[first:], p)
	for i := first; i < f.parts; i++ {
		if failure := f.watch.next(f.part[i : i+1]); failure != nil {
			return failure
		}
	}
	return nil
}

// complete stores the open block if it is complete and usable, and reports whether it
// did.
func (f *feed) complete() (stored bool) {
	f.change() // for GetNoise, which does not wait for whole blocks
	if f.parts < feedBlock {
		return false
	}
	f.blocks++
	if f.usable {
		if f.n == 0 {
			f.since = time.Now()
		}
		f.n += copy(f.store[f.n:], f.part[:])
		f.late = false
	}
	f.dropPart()
	return f.usable
}

// raise draws the consequences of an alarm.
func (f *feed) raise(failure *health.Failure) {
	e := healthError(f.name, failure)
	if e.Permanent {
		f.fail(e)
		return
	}
	f.drop()
	f.alarm = e
}

// fail ends the source for good.
func (f *feed) fail(e *HealthError) {
	f.drop()
	f.watch.clear()
	f.failed = e
}

// stumble notes that a read failed. It reports whether to try once more, and after
// which pause.
func (f *feed) stumble(err error) (pause time.Duration, more bool) {
	f.why = err
	f.failures++
	pause = min(feedLongest, feedPause<<min(f.failures-1, 20))
	if _, final := err.(*finalError); final || f.failures >= feedTries {
		f.retry = time.Now().Add(pause)
		return 0, false
	}
	return pause, true
}
