// Package ctxsync provides a lock and a group of activities whose waiters can give
// up, by a context.
package ctxsync

import (
	"container/list"
	"context"
	"sync"
)

// A Lock is a mutual exclusion lock. The zero Lock is free.
//
// As long as nobody has to wait it uses no channel, so that one Lock may be used
// by goroutines inside and outside of a testing/synctest bubble.
type Lock struct {
	mu      sync.Mutex // guards the fields below
	held    bool
	waiters list.List // of chan struct{}, closed when the lock is theirs
}

// Lock waits until the lock is the caller's, or ctx is done. It returns the
// error of ctx if the caller does not hold the lock.
func (l *Lock) Lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	if !l.held {
		l.held = true
		l.mu.Unlock()
		return nil
	}
	ready := make(chan struct{})
	e := l.waiters.PushBack(ready)
	l.mu.Unlock()

	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		l.mu.Lock()
		select {
		case <-ready:
			// It became ours at the same moment: hand it on.
			l.mu.Unlock()
			l.Unlock()
		default:
			l.waiters.Remove(e)
			l.mu.Unlock()
		}
		return ctx.Err()
	}
}

// TryLock takes the lock if it is free, and reports whether it did.
func (l *Lock) TryLock() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held {
		return false
	}
	l.held = true
	return true
}

// Unlock hands the lock to the one who has waited longest, or frees it. It must
// be called by its holder.
func (l *Lock) Unlock() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.held {
		panic("ctxsync: Unlock of a free lock: internal error")
	}
	if e := l.waiters.Front(); e != nil {
		l.waiters.Remove(e)
		close(e.Value.(chan struct{}))
		return
	}
	l.held = false
}
