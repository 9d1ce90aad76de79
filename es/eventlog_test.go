package es

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// drain takes all events out that can be taken.
func (l *eventLog) drain() (all []event) {
	for range l.halves {
		if h := l.take(); h != nil {
			all = append(all, h.all()...)
			h.wipe()
		}
	}
	return all
}

func newEventLog(size int) *eventLog {
	l := new(eventLog)
	l.init(size)
	return l
}

// Events come out once and in order, whichever half they are in, up to the size of one.
func TestEventLog(t *testing.T) {
	l := newEventLog(4)
	next := uint64(1)
	for _, n := range []int{0, 1, 3, 4, 5, 0, 100, 2} {
		var want []event
		lost := l.lost
		for i := range n {
			ev := event{next, uint32(next)}
			next++
			if got := l.append(ev); got != uint64(i+1) {
				t.Fatalf("event %d has the number %d", i+1, got)
			}
			if i < 4 {
				want = append(want, ev)
			}
		}
		if got := l.drain(); !slices.Equal(got, want) || l.lost-lost != uint64(n-len(want)) {
			t.Fatalf("%d events: %v, %d lost; want %v", n, got, l.lost-lost, want)
		}
	}
	for i := range l.halves {
		if !slices.Equal(l.halves[i].events, make([]event, 4)) {
			t.Error("not wiped")
		}
	}
}

// E4, under the race detector: while others append and are stopped in between, each event
// comes out once and whole, or is counted as lost.
func TestEventLogConcurrent(t *testing.T) {
	const goroutines, each = 4, 20000
	const all = goroutines*each + 1
	for _, renews := range []bool{false, true} {
		l := newEventLog(64)
		var adders sync.WaitGroup
		var left atomic.Int32
		left.Store(goroutines)
		for g := range uint64(goroutines) {
			adders.Go(func() {
				defer left.Add(-1)
				for i := range uint64(each) {
					id := g*each + i + 1
					if i%1000 != 999 {
						l.append(event{id, uint32(id * 7)})
						continue
					}
					// append, with a break.
					v := l.place.Add(2) - 2
					for range 20 {
						runtime.Gosched()
					}
					if h := &l.halves[v&1]; v>>1 < uint64(len(h.events)) {
						h.events[v>>1] = event{id, uint32(id * 7)}
						h.written.Add(1)
					}
				}
			})
		}
		seen := make(map[uint64]bool)
		look := func() {
			for _, ev := range l.drain() {
				if ev.stamp == 0 || ev.stamp > all || ev.data != uint32(ev.stamp*7) || seen[ev.stamp] {
					t.Fatalf("event %+v, seen before: %v", ev, seen[ev.stamp])
				}
				seen[ev.stamp] = true
			}
		}
		for n := 0; left.Load() > 0; n++ {
			if renews && n%4 != 0 {
				l.renew()
			} else {
				look()
			}
			runtime.Gosched()
		}
		adders.Wait()
		look()
		// All of those may have been in halves that were renewed. One more is not.
		l.append(event{all, all * 7})
		look()
		if n := len(seen) + int(l.lost); n != all {
			t.Errorf("%d events came out, %d were lost, of %d", len(seen), l.lost, all)
		}
		if !seen[all] {
			t.Error("the last one did not come out")
		}
	}
}

// The older half is lost when the other one is full, not before, and never while an event
// in it is about to be written.
func TestEventLogRenew(t *testing.T) {
	l := newEventLog(4)
	for i, want := range []uint64{0, 0, 0, 0, 0, 0, 0, 4, 4, 4, 4, 8, 8} {
		l.append(event{stamp: uint64(i + 1)})
		l.renew()
		if l.lost != want {
			t.Errorf("after %d events %d are lost, want %d", i+1, l.lost, want)
		}
	}
	if got := l.drain(); len(got) != 5 || got[0].stamp != 9 || got[4].stamp != 13 {
		t.Errorf("what is left: %v", got)
	}

	l = newEventLog(2)
	v := l.place.Add(2) - 2
	for i := range uint64(6) {
		l.append(event{stamp: i + 2})
		l.renew()
	}
	if got := l.drain(); len(got) != 0 || l.lost != 0 {
		t.Errorf("before the first is there: %v, %d lost", got, l.lost)
	}
	l.halves[v&1].events[v>>1] = event{stamp: 1}
	l.halves[v&1].written.Add(1)
	if got := l.drain(); len(got) != 4 || got[0].stamp != 1 || got[3].stamp != 4 || l.lost != 3 {
		t.Errorf("at last: %v, %d lost", got, l.lost)
	}
}
