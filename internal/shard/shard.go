// Package shard keeps a fixed set of values, each behind its own lock, and
// finds a free one close to the caller.
//
// It is the per-NUMA-node instance list of LRNG with the processors of the Go
// scheduler in place of the nodes. Unlike the values of a sync.Pool the members
// of a [Set] are never dropped: they can be counted, visited and wiped.
package shard

import (
	"sync"
	"sync/atomic"
)

// A Set is a fixed number of slots. Its methods are safe for concurrent use.
type Set[T any] struct {
	slots []Slot[T]

	// The pool holds nothing but pointers to slots, as a hint which slot the
	// processor at hand used last. The garbage collector may drop hints, the
	// slots stay.
	hints sync.Pool
	next  atomic.Uint32
}

// A Slot is one value with its lock.
type Slot[T any] struct {
	Value T // guarded by the lock of the slot

	mu    sync.Mutex
	index int
	set   *Set[T]

	_ [64]byte // neighbours do not share a cache line
}

// New returns a set of n slots with zero values. n is at least 1.
func New[T any](n int) *Set[T] {
	s := &Set[T]{slots: make([]Slot[T], n)}
	for i := range s.slots {
		s.slots[i].index = i
		s.slots[i].set = s
	}
	return s
}

// Len returns the number of slots.
func (s *Set[T]) Len() int { return len(s.slots) }

// Lock returns a slot that the caller has locked: the one that this processor
// used last if it is free, else another free one, else it waits for the former.
// Release it with [Slot.Unlock].
func (s *Set[T]) Lock() *Slot[T] {
	h, _ := s.hints.Get().(*Slot[T])
	if h == nil {
		// Hints are handed out in turn. Chosen at random, two processors could
		// settle on one slot.
		h = &s.slots[(s.next.Add(1)-1)%uint32(len(s.slots))]
	}
	if h.mu.TryLock() {
		return h
	}
	for i := 1; i < len(s.slots); i++ {
		o := &s.slots[(h.index+i)%len(s.slots)]
		if o.mu.TryLock() {
			return o
		}
	}
	h.mu.Lock()
	return h
}

// LockIndex waits for slot i, 0 ≤ i < Len(), and returns it locked.
func (s *Set[T]) LockIndex(i int) *Slot[T] {
	h := &s.slots[i]
	h.mu.Lock()
	return h
}

// Index returns the position of the slot in its set.
func (h *Slot[T]) Index() int { return h.index }

// Unlock releases a slot obtained from Lock, and makes it the hint for this
// processor.
func (h *Slot[T]) Unlock() {
	set := h.set
	h.mu.Unlock()
	set.hints.Put(h)
}

// Release releases a slot obtained from LockIndex, or from Lock by a caller who
// had no use for it, without making it a hint.
func (h *Slot[T]) Release() { h.mu.Unlock() }
