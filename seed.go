package lrng

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/internal/clock"
	"github.com/lrng-go/lrng/internal/selftest"
	"github.com/lrng-go/lrng/seeding"
)

// States of the worker, the goroutine that seeds shards while callers go on.
const (
	idle    int32 = iota // there is none
	running              // there is one
	pausing              // there is none before pauseEnd, unless somebody waits
)

// The back-off after rounds that brought nothing: doubled each time. Somebody
// who waits is worth more tries than a shard that has a seed.
const (
	firstPause   = 10 * time.Millisecond
	longestNap   = time.Second
	longestPause = time.Minute
)

// longWait is how long a first read may wait before it says so.
const longWait = time.Minute

// A waiter waits for a level.
type waiter struct {
	level   seeding.Level
	reached chan struct{}
}

// An operation is something that Close cancels and waits for.
type operation struct{ cancel func(error) }

// begin registers an operation. The caller calls end when it is over.
func (r *RNG) begin(parent context.Context) (ctx context.Context, end func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, nil, ErrClosed
	}
	if err := selftest.Failed(); err != nil {
		return nil, nil, err
	}
	if err := parent.Err(); err != nil {
		return nil, nil, err
	}
	// The cause shall be the error of parent, not the cause that its owner gave.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(parent))
	stop := context.AfterFunc(parent, func() { cancel(parent.Err()) })
	op := &operation{cancel}
	r.operations[op] = struct{}{}
	r.underway.Add()
	return ctx, func() {
		stop()
		cancel(nil)
		r.mu.Lock()
		delete(r.operations, op)
		r.mu.Unlock()
		r.underway.Done()
	}, nil
}

// Wait waits until the generator has reached the level, or ctx is done, whose
// error it returns. It starts seeding if that is needed for the level and was not done
// before. Output is had at seeding.FullySeeded only.
func (r *RNG) Wait(ctx context.Context, level seeding.Level) error {
	if level < seeding.Unseeded || level > seeding.FullySeeded {
		return fmt.Errorf("lrng: Wait: level: %v is not defined", level)
	}
	return r.wait(ctx, level)
}

func (r *RNG) wait(ctx context.Context, level seeding.Level) error {
	var long <-chan time.Time
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.shared && r.worker.Load() == running {
			r.spin(level)
		}
		w := &waiter{level: level, reached: make(chan struct{})}
		r.mu.Lock()
		if r.closed {
			r.mu.Unlock()
			return ErrClosed
		}
		if err := selftest.Failed(); err != nil {
			r.mu.Unlock()
			return err
		}
		// Read under the lock: who raises the level takes it afterwards.
		if r.currentLevel() >= level {
			r.mu.Unlock()
			return nil
		}
		r.waiters[w] = struct{}{}
		r.mu.Unlock()
		if long == nil {
			t := time.NewTimer(longWait)
			defer t.Stop()
			long = t.C
		}

		r.wantLevel()
		r.wake()
		select {
		case <-w.reached:
		case <-long:
			if r.warned.CompareAndSwap(false, true) {
				r.warn("lrng: waited a minute for the entropy sources; waiting on")
			}
		case <-ctx.Done():
		}
		r.mu.Lock()
		delete(r.waiters, w)
		r.mu.Unlock()
	}
}

// wantLevel marks shard 0 as wanting a seed, if it has none: somebody may have given it
// one since the caller looked at the level.
func (r *RNG) wantLevel() {
	h := r.shards.LockIndex(0)
	if !h.Value.seeded {
		r.wants[0].Store(true)
	}
	h.Unlock()
}

// spin waits for the level without a channel, as long as a round may take. A channel
// that a goroutine in a testing/synctest bubble makes cannot be closed by a worker
// outside of it, and the first seed of the default generator may be under way there.
func (r *RNG) spin(level seeding.Level) {
	whileInBubble(func() bool { return r.currentLevel() < level && r.worker.Load() == running })
}

// lockPool locks the pool. In a bubble it does so without a channel, as spin.
func (r *RNG) lockPool(ctx context.Context) error {
	if r.shared {
		locked := false
		whileInBubble(func() bool {
			locked = ctx.Err() == nil && r.pool.TryLock()
			return !locked && ctx.Err() == nil
		})
		if locked {
			return nil
		}
	}
	return r.pool.Lock(ctx)
}

// whileInBubble waits as long as f wants it to, and as a round may take, in real time.
// In a bubble the time is that of the year 2000; elsewhere it returns at once.
func whileInBubble(f func() bool) {
	if time.Now().Year() > 2000 {
		return
	}
	for end := clock.Monotonic() + 2*sourceBudget; f() && clock.Monotonic() < end; {
		runtime.Gosched()
	}
}

// currentLevel returns the level of the generator.
func (r *RNG) currentLevel() seeding.Level { return seeding.Level(r.level.Load()) }

// setLevel stores a level below FullySeeded and tells those who wait for it. The
// caller holds the pool lock, and shard 0 has no seed.
func (r *RNG) setLevel(level seeding.Level) {
	r.logLoss()
	if old := seeding.Level(r.level.Swap(int32(level))); old != level {
		r.log.level(old, level)
		r.tellWaiters(level)
	}
}

// tellWaiters tells those who wait for the level or a lower one. They look for
// themselves whether it still holds.
func (r *RNG) tellWaiters(level seeding.Level) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for w := range r.waiters {
		if level >= w.level {
			close(w.reached)
			delete(r.waiters, w)
		}
	}
}

// kick starts the worker unless it is running or pausing.
func (r *RNG) kick() {
	switch r.worker.Load() {
	case idle:
		if r.worker.CompareAndSwap(idle, running) {
			r.start()
		}
	case pausing:
		// A clock that was set back, or that is another one, ends the pause, too.
		if left := time.Until(*r.pauseEnd.Load()); left <= 0 || left > longestPause {
			r.wake()
		}
	}
}

// wake starts the worker even if it is pausing.
func (r *RNG) wake() {
	if r.worker.CompareAndSwap(pausing, running) || r.worker.CompareAndSwap(idle, running) {
		r.start()
	}
}

// start starts the worker, whose state is running already.
func (r *RNG) start() {
	ctx, end, err := r.begin(context.Background())
	if err != nil {
		r.worker.Store(idle)
		return
	}
	go func() {
		defer end()
		pause, news := r.work(ctx)
		if pause > 0 {
			end := time.Now().Add(pause)
			r.pauseEnd.Store(&end)
			r.worker.Store(pausing)
			// Somebody may have begun to wait, or entropy have been announced, after
			// work looked last.
			if r.waited() || r.newsCount() != news {
				r.wake()
			}
			return
		}
		r.worker.Store(idle)
		// Somebody may have wanted a seed after work looked last.
		if r.nextWanted() >= 0 || r.testsWant.Load() {
			r.kick()
		}
	}()
}

// waited reports whether somebody waits for a level.
func (r *RNG) waited() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiters) > 0
}

// nextWanted returns the first shard that wants a seed, or -1.
func (r *RNG) nextWanted() int {
	for i := range r.wants {
		if r.wants[i].Load() {
			return i
		}
	}
	return -1
}

// work seeds the shards that want it, one round at a time, until there are none.
// If the sources yield nothing and nobody waits for them, it returns how long to
// leave them alone.
func (r *RNG) work(ctx context.Context) (pause time.Duration, news uint64) {
	for {
		// They are not due any more if a request looked before they ended, and asked after.
		if r.testsWant.Swap(false) && r.tested.reached(0) && r.runTests() != nil {
			return 0, 0
		}
		i := r.nextWanted()
		if i < 0 {
			return 0, 0
		}
		if i > 0 && r.currentLevel() < seeding.FullySeeded {
			i = 0 // the others serve nobody without it
			r.wantLevel()
		}
		if r.lockPool(ctx) != nil {
			return 0, 0
		}
		news = r.newsCount()
		progress := r.step(ctx, i)
		failed := r.countFailure(progress)
		r.pool.Unlock()
		switch {
		case ctx.Err() != nil:
			return 0, 0
		case progress:
		case r.waited():
			r.backOff(ctx, failed, news)
		case r.newsCount() == news:
			pause = backoff(failed, longestPause)
			r.log.pause(pause, failed)
			return pause, news
		}
	}
}

// step is one round towards a seed for shard i. It reports whether the round
// brought it closer. The caller holds the pool lock.
func (r *RNG) step(ctx context.Context, i int) (progress bool) {
	if !r.wants[i].Load() {
		return true // somebody else did it
	}
	w := r.needOfShard(i)
	level, progress := r.gather(ctx, r.acc, w)
	if ctx.Err() != nil {
		return progress
	}
	if level < seeding.FullySeeded {
		if i == 0 && w.stage == seeding.Initial {
			r.setLevel(level)
		}
		return progress
	}
	return r.seedShard(i) == nil
}

// enough returns the judgement on whether a seed is complete.
func (r *RNG) enough(st seeding.Stage) func([]seeding.Credit) bool {
	return r.enoughFor(r.mech.Load(), st)
}

// enoughFor returns the judgement for a certain mechanism. It is that of the
// strategy; a mechanism that takes seeds of full entropy only needs 64 bits more
// than its seeds are long, too (SP 800-90C, Section 3.2.2.2).
func (r *RNG) enoughFor(m *mechanism, st seeding.Stage) func([]seeding.Credit) bool {
	return func(c []seeding.Credit) bool {
		return r.strategy.Level(c, m.info.SecurityStrength, st) >= seeding.FullySeeded &&
			(m.info.SeedSize == 0 || seeding.Sum(c) >= 8*m.info.SeedSize+fullEntropyMargin)
	}
}

// request returns how many bits each source is asked for.
func (m *mechanism) request(s seeding.Strategy, st seeding.Stage) int {
	return s.Request(m.info.SecurityStrength, st)
}

// request returns how many bits each source is asked for.
func (r *RNG) request(st seeding.Stage) int { return r.mech.Load().request(r.strategy, st) }

// gather is one round into a. It returns the level that a has reached now and
// whether the round has added credit. The caller holds the pool lock.
func (r *RNG) gather(ctx context.Context, a *accumulator, w need) (level seeding.Level, progress bool) {
	bits, st, enough := w.bits, w.stage, w.enough
	if g := r.generation(); g != a.generation {
		a.clear() // a twin has it, too
		a.generation = g
	}
	before := seeding.Sum(a.credits)
	// What the round is judged by is what it adds to the accumulator.
	total := make([]seeding.Credit, len(a.credits))
	together := func(c []seeding.Credit) bool {
		for i := range total {
			total[i] = a.credits[i]
			total[i].Bits += c[i].Bits
		}
		return enough(total)
	}
	size := (bits + 7) / 8
	margin, _ := r.strategy.conditioning()
	ctx = es.AllowAhead(ctx, st == seeding.Reseed && margin == 0)
	r.round(ctx, bits, together, func(i, credit int, data []byte) { a.add(i, credit, data, size) })
	// A seed that is complete is not worth less for being long, and one digest may be
	// less than a mechanism takes.
	if collected := seeding.Sum(a.credits); !enough(a.credits) && a.shorten(r.conditioner(), margin) {
		r.log.conditioned(r.conditioner().Name(), collected, seeding.Sum(a.credits))
	}
	r.stats.rounds.Add(1)
	level = r.strategy.Level(a.credits, r.strength(), st)
	if a == r.acc {
		r.accGrade.Store(int32(a.grade()))
		r.stats.entropy.Store(int64(seeding.Sum(a.credits)))
	}
	verdict := r.strategy.explain(a.credits, r.strength(), st)
	if level >= seeding.FullySeeded && !enough(a.credits) {
		level = seeding.MinimallySeeded
		verdict += fmt.Sprintf("; %d bits are not enough for this purpose, which takes full entropy", seeding.Sum(a.credits))
	}
	r.mu.Lock()
	r.verdict = verdict
	r.mu.Unlock()
	r.log.round(st, bits, a.credits, level, verdict)
	return level, seeding.Sum(a.credits) > before
}

// seedShard hands the accumulated seed to shard i. The caller holds the pool
// lock.
func (r *RNG) seedShard(i int) error {
	credit := seeding.Sum(r.acc.credits)
	if r.tested.born.Load() == nil {
		r.tested.restart() // in use from now on
	}
	level := seeding.FullySeeded // before
	h := r.shards.LockIndex(i)
	r.wants[i].Store(false)
	first := !h.Value.seeded
	err := r.install(&h.Value, r.acc)
	r.stats.entropy.Store(0)
	if err != nil {
		r.wants[i].Store(true)
	} else if i == 0 {
		// Under the lock of the shard, as in lose: the level says FullySeeded if
		// and only if shard 0 has a seed.
		level = seeding.Level(r.level.Swap(int32(seeding.FullySeeded)))
	}
	h.Unlock()
	if err != nil {
		r.stats.failures.Add(1)
		r.log.mechanismFailed(err)
		return err
	}
	r.stats.seeds.Add(1)
	r.log.seeded(i, first, credit)
	r.logFull(level)
	if i == 0 {
		r.tellWaiters(seeding.FullySeeded)
	}
	return nil
}

// logFull logs that the full level is reached, if the level was another one before.
func (r *RNG) logFull(before seeding.Level) {
	if before != seeding.FullySeeded {
		r.logLoss()
		r.log.level(before, seeding.FullySeeded)
	}
}

// countFailure keeps the number of rounds in a row that brought nothing. The
// caller holds the pool lock.
func (r *RNG) countFailure(progress bool) int {
	if progress {
		r.failed = 0
	} else {
		r.failed++
	}
	return r.failed
}

// backoff returns how long to leave the sources alone after so many rounds that
// brought nothing.
func backoff(failed int, longest time.Duration) time.Duration {
	return min(longest, firstPause<<min(max(failed-1, 0), 20))
}

// backOff naps for somebody who waits, after so many rounds that brought nothing.
func (r *RNG) backOff(ctx context.Context, failed int, news uint64) {
	d := backoff(failed, longestNap)
	r.log.pause(d, failed)
	r.nap(ctx, d, news)
}

// A need is what a collection is for.
type need struct {
	bits   int // asked of each source
	stage  seeding.Stage
	enough func([]seeding.Credit) bool
}

// need returns the need of an instance of the present mechanism.
func (r *RNG) need(seeded bool, st seeding.Stage) need {
	if !seeded {
		st = seeding.Initial
	}
	return need{r.request(st), st, r.enough(st)}
}

// needOfShard is need for shard i.
func (r *RNG) needOfShard(i int) need {
	h := r.shards.LockIndex(i)
	defer h.Unlock()
	return r.need(h.Value.seeded && h.Value.alive(), seeding.Reseed)
}

// collect gathers rounds into a until there is enough, or ctx is done. Want is
// asked before each round, as the mechanism may be switched between two. The caller
// holds the pool lock, and holds it again when collect returns nil; while the
// sources yield nothing others may have it.
func (r *RNG) collect(ctx context.Context, a *accumulator, want func() need) error {
	for {
		w := want()
		news := r.newsCount()
		_, progress := r.gather(ctx, a, w)
		failed := r.countFailure(progress)
		if err := context.Cause(ctx); err != nil {
			r.pool.Unlock()
			return err
		}
		if w.enough(a.credits) {
			return nil
		}
		if progress {
			continue
		}
		r.pool.Unlock()
		r.backOff(ctx, failed, news)
		if r.lockPool(ctx) != nil {
			return context.Cause(ctx)
		}
	}
}

// announce tells those who wait for entropy that there is some. Sources call it.
func (r *RNG) announce() {
	r.mu.Lock()
	r.news++
	for nap := range r.naps {
		close(nap)
		delete(r.naps, nap)
	}
	closed := r.closed
	r.mu.Unlock()
	if !closed && r.nextWanted() >= 0 {
		r.wake()
	}
}

// newsCount returns how often new entropy was announced.
func (r *RNG) newsCount() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.news
}

// nap waits for d, for an announcement after the given count, or until ctx is
// done.
func (r *RNG) nap(ctx context.Context, d time.Duration, news uint64) {
	over := make(chan struct{})
	r.mu.Lock()
	if r.news != news {
		r.mu.Unlock()
		return
	}
	r.naps[over] = struct{}{}
	r.mu.Unlock()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-over:
	case <-ctx.Done():
	}
	r.mu.Lock()
	delete(r.naps, over)
	r.mu.Unlock()
}

// Reseed gives every shard that is in use a new seed from the sources, and
// returns when that is done. If the generator is not seeded yet, it waits until it
// is. With an error, which is that of ctx or ErrClosed, some shards may have
// their new seed and others not.
func (r *RNG) Reseed(ctx context.Context) error {
	if r.currentLevel() < seeding.FullySeeded {
		return r.wait(ctx, seeding.FullySeeded)
	}
	ctx, end, err := r.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	for i := range r.shards.Len() {
		h := r.shards.LockIndex(i)
		seeded := h.Value.seeded
		h.Unlock()
		if !seeded {
			continue // it cannot output anything before it has a seed
		}
		if err := r.lockPool(ctx); err != nil {
			return context.Cause(ctx)
		}
		if err := r.collect(ctx, r.acc, func() need { return r.needOfShard(i) }); err != nil {
			return err
		}
		err := r.seedShard(i)
		r.pool.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}
