package ctxsync

import (
	"context"
	"sync"
)

// A Group counts activities, as a sync.WaitGroup does. Waiting for it can be
// given up, and unlike a WaitGroup it may be used by goroutines inside and outside
// of a testing/synctest bubble as long as nobody waits. The zero Group is empty.
type Group struct {
	mu    sync.Mutex // guards the fields below
	n     int
	empty chan struct{} // non-nil while somebody waits
}

// Add counts one more activity.
func (g *Group) Add() {
	g.mu.Lock()
	g.n++
	g.mu.Unlock()
}

// Done counts one less.
func (g *Group) Done() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n--
	if g.n < 0 {
		panic("ctxsync: Done without Add: internal error")
	}
	if g.n == 0 && g.empty != nil {
		close(g.empty)
		g.empty = nil
	}
}

// Wait waits until the group is empty, or ctx is done, whose error it returns.
func (g *Group) Wait(ctx context.Context) error {
	g.mu.Lock()
	if g.n == 0 {
		g.mu.Unlock()
		return nil
	}
	if g.empty == nil {
		g.empty = make(chan struct{})
	}
	empty := g.empty
	g.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
