package ctxsync_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng/internal/ctxsync"
)

func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l ctxsync.Lock
		if err := l.Lock(t.Context()); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []int
		for i := range 10 {
			go func() {
				if err := l.Lock(t.Context()); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				l.Unlock()
			}()
			synctest.Wait() // it is in the queue before the next one comes
		}
		l.Unlock()
		synctest.Wait()
		for i, v := range order {
			if v != i {
				t.Fatalf("served in the order %v", order)
			}
		}
		if len(order) != 10 {
			t.Fatalf("%d of 10 were served", len(order))
		}
	})
}

func TestGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l ctxsync.Lock
		if err := l.Lock(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got := make(chan error, 1)
		go func() { got <- l.Lock(ctx) }()
		if err := <-got; !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		l.Unlock()
		if err := l.Lock(t.Context()); err != nil { // not lost to the one who left
			t.Fatal(err)
		}
		l.Unlock()
	})
}

func TestTryLock(t *testing.T) {
	var l ctxsync.Lock
	if !l.TryLock() {
		t.Fatal("a free lock is refused")
	}
	if l.TryLock() {
		t.Fatal("locked twice")
	}
	l.Unlock()
	if err := l.Lock(t.Context()); err != nil || l.TryLock() {
		t.Fatalf("%v, or locked twice", err)
	}
	l.Unlock()
}

func TestCancelledBefore(t *testing.T) {
	var l ctxsync.Lock
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Lock(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if err := l.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Grants and departures at the same moment must not lose the lock.
func TestHandOverRace(t *testing.T) {
	var l ctxsync.Lock
	var wg sync.WaitGroup
	inside := 0
	for range 8 {
		wg.Go(func() {
			for i := range 500 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%20)*time.Microsecond)
				if l.Lock(ctx) == nil {
					inside++ // the race detector watches
					l.Unlock()
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if err := l.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.Unlock()
	t.Logf("%d of 4000 got in", inside)
}

// A lock that was made and used in a bubble works outside of it.
func TestAcrossBubbles(t *testing.T) {
	var l ctxsync.Lock
	synctest.Test(t, func(t *testing.T) {
		if err := l.Lock(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.Unlock()
	})
	if err := l.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.Unlock()
}

func TestGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g ctxsync.Group
		if err := g.Wait(t.Context()); err != nil {
			t.Fatalf("empty: %v", err)
		}
		g.Add()
		g.Add()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := g.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("two activities: %v", err)
		}
		ended := make(chan error, 2)
		for range cap(ended) {
			go func() { ended <- g.Wait(t.Context()) }()
		}
		synctest.Wait()
		g.Done()
		synctest.Wait()
		if len(ended) != 0 {
			t.Fatal("Wait returned with one activity left")
		}
		g.Done()
		for range cap(ended) {
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
		}
	})
}
