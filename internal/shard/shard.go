// Package shard keeps a fixed set of values, each behind its own lock, and
// finds a free one close to the caller.
//
// It is the per-NUMA-node instance list of LRNG with the processors of the Go
// scheduler in place of the nodes. Unlike the values of a sync.Pool the members
// of a [Set] are never dropped: they can be counted, visited and wiped.
//
// The locks are made for values that are held for tens of nanoseconds, by as many
// goroutines as there are slots. Taking one is a compare-and-swap, giving it back is a
// store. That leaves nobody to wake those who wait, so they look again and again: at
// once, after others have run, and in the end with pauses of at most a millisecond.
package shard

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/lrng-go/lrng/internal/clock"
	"github.com/lrng-go/lrng/internal/stripe"
)

// A Set is a fixed number of slots. Its methods are safe for concurrent use.
type Set[T any] struct {
	slots []Slot[T]

	// Goroutines are spread over the slots by a hash of their stacks: the upper bits of
	// the product with this odd number. 0: by the processor they run on.
	multiplier atomic.Uint32
	_          [60]byte

	collisions atomic.Uint32
	spare      atomic.Uint32 // the last odd multiplier
}

// byCPU as the multiplier has goroutines spread by processors.
const byCPU = 0

// golden is 2³² divided by the golden ratio.
const golden = 0x9e3779b1

// A Slot is one value with its lock.
type Slot[T any] struct {
	lock   uint32       // locked or free: only by tryLock and free
	wanted atomic.Int32 // who waits for this slot and no other
	index  int

	Value T // guarded by the lock

	_ [128]byte // neighbours do not share a cache line, nor two that are fetched together
}

// The values of a lock.
const (
	free   = 0
	locked = 1
)

// New returns a set of n slots with zero values. n is at least 1.
func New[T any](n int) *Set[T] {
	s := &Set[T]{slots: make([]Slot[T], n)}
	s.multiplier.Store(golden)
	s.spare.Store(golden)
	for i := range s.slots {
		s.slots[i].index = i
	}
	return s
}

// Len returns the number of slots.
func (s *Set[T]) Len() int { return len(s.slots) }

// Lock returns a slot that the caller has locked: the one that this goroutine gets
// most of the time if it is free, else another free one, else the first to become
// free. Release it with [Slot.Unlock].
func (s *Set[T]) Lock() *Slot[T] {
	i := 0
	if m := s.multiplier.Load(); m != byCPU {
		// The upper half of the product of a uniform number with n is uniform below n.
		i = int(uint64(stripe.Stack()*m) * uint64(len(s.slots)) >> 32)
	} else if i = stripe.CPU(); uint(i) >= uint(len(s.slots)) {
		i = int(uint(i) % uint(len(s.slots)))
	}
	h := &s.slots[i]
	if h.wanted.Load() == 0 && h.tryLock() {
		return h
	}
	return s.lockAnother(i)
}

// patienceToSpread is after how many collisions goroutines are spread anew. Those that collide
// once would do so each time, while other slots are idle. One collision is no sign of
// that: a goroutine that was stopped by the scheduler keeps its slot.
const patienceToSpread = 64

// spread spreads goroutines another way. Of many goroutines on few processors, two that run
// at the same time often have the same hash, whatever it is: each turn brings another pair. Then
// the number of the processor is better, where it is to be had at once. It is not where a
// program is confined to some of many processors. What is better stays, since it has fewer collisions.
func (s *Set[T]) spread() {
	if s.multiplier.Load() != byCPU && stripe.KnowsCPU() {
		s.multiplier.Store(byCPU)
		return
	}
	s.multiplier.Store(s.spare.Add(golden - 1)) // it stays odd
}

// lockAnother is Lock when slot i is taken.
func (s *Set[T]) lockAnother(i int) *Slot[T] {
	if len(s.slots) > 1 && s.collisions.Add(1)%patienceToSpread == 0 {
		s.spread()
	}
	for round := 0; ; round++ {
		for k := range s.slots {
			// Who wants a certain slot has precedence over those who can take another one.
			h := &s.slots[(i+k)%len(s.slots)]
			if (h.wanted.Load() == 0 || round > patience) && h.tryLock() {
				return h
			}
		}
		pause(round)
	}
}

const (
	// patience is how many times those who wait for any slot look before they have as
	// good a right to one as those who wait for that one.
	patience = 16

	// restless is how many times they look without sleeping in between: for 100 µs or so,
	// if nothing else is to be run. A burst of the fast mechanisms takes less.
	restless = 1000
)

// pause lets others run, and lasts longer when there have been more of them.
func pause(round int) {
	if round < restless {
		runtime.Gosched()
	} else {
		clock.Nap(min(10*time.Microsecond<<min(round-restless, 10), time.Millisecond))
	}
}

// LockIndex waits for slot i, 0 ≤ i < Len(), and returns it locked.
func (s *Set[T]) LockIndex(i int) *Slot[T] {
	h := &s.slots[i]
	if h.tryLock() {
		return h
	}
	h.wanted.Add(1)
	defer h.wanted.Add(-1)
	for round := 0; !h.tryLock(); round++ {
		pause(round)
	}
	return h
}

// tryLock locks the slot unless it is locked.
func (h *Slot[T]) tryLock() bool { return atomic.CompareAndSwapUint32(&h.lock, free, locked) }

// Index returns the position of the slot in its set.
func (h *Slot[T]) Index() int { return h.index }

// Unlock gives back a slot obtained from Lock or LockIndex.
func (h *Slot[T]) Unlock() { store(&h.lock) }
