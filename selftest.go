package lrng

import (
	"context"
	"runtime"
	"time"
	"weak"

	"github.com/lrng-go/lrng/internal/selftest"
	"github.com/lrng-go/lrng/seeding"
)

// testInterval is how long a generator in use goes without repeating the
// self-tests (SP 800-90A, Section 11.3.3; ESDM's interval).
const testInterval = 10 * time.Minute

// SelfTest runs the known-answer tests of all algorithms of lrng, and returns nil
// if they pass. If one fails, that is final for the process: it returns an error that
// wraps [ErrSelfTest] and names the algorithm, all generators in the process wipe
// their state, and every later call for output, seeds or changes returns that error.
//
// The tests of an algorithm run before its first use as well, and all of them every
// ten minutes while a generator is in use.
func (r *RNG) SelfTest() error {
	_, end, err := r.begin(context.Background())
	if err != nil {
		return err
	}
	defer end()
	return r.runTests()
}

// runTests runs all tests and begins a new interval.
func (r *RNG) runTests() error {
	err := selftest.RunAll()
	if err == nil {
		r.tested.restart()
		r.testsWant.Store(false)
		r.stats.tests.Add(1)
	}
	return err
}

// testIfDue has the worker run the tests if they are due. It is for uses of the
// generator that are not requests to a shard.
func (r *RNG) testIfDue() {
	if r.tested.born.Load() != nil && r.tested.reached(0) {
		r.testsWant.Store(true)
		r.kick()
	}
}

// watchTests has the generator wiped when a test fails anywhere in the process.
// It does not keep the generator alive.
func (r *RNG) watchTests() {
	w := weak.Make(r)
	unwatch := selftest.OnFailure(func() {
		if r := w.Value(); r != nil {
			r.shutDown()
		}
	})
	runtime.AddCleanup(r, func(unwatch func()) { unwatch() }, unwatch)
	r.unwatch = unwatch
}

// shutDown ends everything after a failed self-test.
func (r *RNG) shutDown() {
	err := selftest.Failed()
	r.mu.Lock()
	for op := range r.operations {
		op.cancel(err)
	}
	for w := range r.waiters {
		close(w.reached)
		delete(r.waiters, w)
	}
	r.mu.Unlock()
	r.wipeShards()
	// The operations have been told to end: the pool is free soon, unless Close has
	// come first, which does the same.
	if r.pool.Lock(context.Background()) == nil {
		r.wipe()
		r.pool.Unlock()
	}
	r.log.mechanismFailed(err)
}

// wipe wipes everything. The caller holds the pool lock.
func (r *RNG) wipe() {
	r.wipeShards()
	r.acc.free()
	r.pr.wipe()
	if r.ownAux {
		r.aux.Clear()
	}
}

// wipeShards wipes the state of all shards.
func (r *RNG) wipeShards() {
	for i := range r.shards.Len() {
		h := r.shards.LockIndex(i)
		h.Value.wipe()
		if i == 0 {
			r.level.Store(int32(seeding.Unseeded))
			r.epoch.end() // as in lose
		}
		h.Unlock()
	}
}
