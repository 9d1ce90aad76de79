package shard

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng/internal/stripe"
)

// Who waits for a certain slot has precedence over those who can take another, who have a
// right to it, too, once they have waited: nobody waits for ever.
func TestPrecedence(t *testing.T) {
	s := New[int](2)
	for i := range s.slots {
		s.slots[i].wanted.Store(1)
		for range 100 {
			s.multiplier.Add(golden - 1) // each slot is the first to be looked at
			h := s.Lock()
			if h.index == i {
				t.Fatalf("slot %d, which somebody waits for", i)
			}
			h.Unlock()
		}
		s.slots[i].wanted.Store(0)
	}
	for i := range s.slots {
		s.slots[i].wanted.Store(1)
	}
	s.Lock().Unlock()

	s = New[int](1)
	h := s.LockIndex(0)
	done := make(chan bool)
	go func() {
		s.LockIndex(0).Unlock()
		close(done)
	}()
	for end := time.Now().Add(10 * time.Second); h.wanted.Load() == 0; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("nobody seems to wait")
		}
	}
	h.Unlock()
	<-done
}

// A slot that is held for longer than anybody looks for it without a pause goes to all who
// wait, also in a synctest bubble, while the holder is outside of it. Nobody is left on the
// list of those who wait.
func TestLongWait(t *testing.T) {
	wait := func(s *Set[int]) {
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				lock := s.Lock
				if i%2 == 0 {
					lock = func() *Slot[int] { return s.LockIndex(0) }
				}
				slot := lock()
				slot.Value++
				slot.Unlock()
			})
		}
		wg.Wait()
	}
	for _, bubble := range []bool{false, true} {
		s := New[int](1)
		h := s.LockIndex(0)
		time.AfterFunc(50*time.Millisecond, h.Unlock)
		if bubble {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				wait(s)
				if d := time.Since(begin); d != 0 && runtime.GOOS == "linux" {
					t.Errorf("the time of the bubble has advanced by %v", d)
				}
			})
		} else {
			wait(s)
		}
		if n := s.slots[0].wanted.Load(); s.slots[0].Value != 6 || n != 0 {
			t.Errorf("bubble: %v: %d of 6 have had the slot, %d wait for it", bubble, s.slots[0].Value, n)
		}
	}
}

// Goroutines that collide again and again are spread anew: by another hash of their stacks,
// and in between by the processor where its number is known.
func TestSpread(t *testing.T) {
	s := New[int](2)
	seen := map[uint32]bool{}
	for round := range 10 {
		m := s.multiplier.Load()
		if m != byCPU && (m%2 == 0 || seen[m]) {
			t.Fatalf("round %d: multiplier %#x", round, m)
		}
		if stripe.KnowsCPU() && (m == byCPU) != (round%2 == 1) || !stripe.KnowsCPU() && m == byCPU {
			t.Fatalf("round %d: multiplier %#x; the CPU is known: %v", round, m, stripe.KnowsCPU())
		}
		seen[m] = true
		h := s.Lock()
		before := s.collisions.Load()
		for try := 1; try < 1e6 && s.multiplier.Load() == m; try++ {
			s.Lock().Unlock() // it would rather have h, unless it is on another processor now
			if try%1000 == 0 {
				h.Unlock() // it is, and may stay there
				h = s.Lock()
			}
		}
		h.Unlock()
		if n := s.collisions.Load() - before; n != patienceToSpread {
			t.Errorf("round %d: spread after %d collisions", round, n)
		}
		if s.multiplier.Load() == m {
			t.Fatalf("round %d: the multiplier is the same", round)
		}
	}
}

// By processor, as many as there are slots and more.
func TestSpreadByCPU(t *testing.T) {
	if !stripe.KnowsCPU() {
		t.Log("the number of the processor is not to be had at once")
		return
	}
	for _, n := range []int{1, 2, 3, 64} {
		s := New[int](n)
		s.multiplier.Store(byCPU)
		for range 1000 {
			before := stripe.CPU()
			h := s.Lock()
			if after := stripe.CPU(); before == after && h.index != before%n {
				t.Fatalf("slot %d of %d on processor %d", h.index, n, before)
			}
			h.Unlock()
		}
	}
}
