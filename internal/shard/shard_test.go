package shard_test

import (
	"runtime"
	"sync"
	"testing"

	"github.com/lrng-go/lrng/internal/shard"
)

func TestHintsGoRound(t *testing.T) {
	s := shard.New[int](4)
	seen := make(map[int]bool)
	var held []*shard.Slot[int]
	for range 4 {
		h := s.Lock()
		seen[h.Index()] = true
		held = append(held, h)
	}
	if len(seen) != 4 {
		t.Fatalf("four callers at once got %d slots, want 4", len(seen))
	}
	for _, h := range held {
		h.Unlock()
	}
}

func TestBusySlotIsSkipped(t *testing.T) {
	s := shard.New[int](2)
	h := s.LockIndex(0)
	for range 10 {
		o := s.Lock()
		if o.Index() != 1 {
			t.Fatalf("got slot %d while it is locked", o.Index())
		}
		o.Unlock()
	}
	h.Unlock()
}

func TestMutualExclusion(t *testing.T) {
	const n, rounds = 3, 2000
	s := shard.New[int](n)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range rounds {
				h := s.Lock()
				h.Value++ // the race detector watches
				if h.Value%7 == 0 {
					runtime.Gosched()
				}
				h.Unlock()
			}
		})
	}
	wg.Wait()
	sum := 0
	for i := range s.Len() {
		h := s.LockIndex(i)
		sum += h.Value
		h.Unlock()
	}
	if sum != 8*rounds {
		t.Fatalf("counted %d, want %d", sum, 8*rounds)
	}
}

func TestSlotsSurviveGarbageCollection(t *testing.T) {
	s := shard.New[int](2)
	for i := range s.Len() {
		h := s.LockIndex(i)
		h.Value = 10 + i
		h.Unlock() // as a hint: dropped below
	}
	runtime.GC()
	runtime.GC()
	for i := range s.Len() {
		h := s.LockIndex(i)
		if h.Value != 10+i {
			t.Fatalf("slot %d holds %d", i, h.Value)
		}
		h.Unlock()
	}
}

func BenchmarkLock(b *testing.B) {
	s := shard.New[int](runtime.GOMAXPROCS(0))
	b.Run("goroutines=1", func(b *testing.B) {
		for b.Loop() {
			s.Lock().Unlock()
		}
	})
	b.Run("goroutines=P", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				s.Lock().Unlock()
			}
		})
	})
}
