package es

import "sync/atomic"

// An eventLog is an array of events. Any number of goroutines append to it, and none of
// them waits: neither for another one nor for who takes the events out.
//
// It has two halves, of which one is open. To append is to reserve a place there, by one
// atomic addition, to write the event, and to count it as written, by another addition.
// Who takes events out closes the half by opening the other one, and so knows how many
// places were reserved. When as many events have been written, nobody writes to it any
// more: it is read, wiped, and may be opened again. Until then it stays closed, because
// the goroutine that reserved the place has been stopped in between, for a moment or for
// long. Nobody waits for that one either: its half is looked at again the next time.
type eventLog struct {
	// place is twice the number of places that were reserved in the open half since
	// it was opened, those that it does not have included, plus the number of the half.
	place atomic.Uint64

	halves [2]eventHalf
	lost   uint64 // events for which there was no place, or which made place for others
}

// An eventHalf is a half of an eventLog.
type eventHalf struct {
	written atomic.Uint64
	events  []event
	closed  uint64 // events, if it is closed; 0 if it is open, or closed and empty
}

// init makes place for size events in each half.
func (l *eventLog) init(size int) {
	for i := range l.halves {
		l.halves[i].events = make([]event, size)
	}
}

// append appends an event and returns its number in the half, from 1 on. If that is more
// than there are places, the event is lost. It is for any goroutine, all others for one
// at a time.
func (l *eventLog) append(ev event) (n uint64) {
	v := l.place.Add(2) - 2
	h := &l.halves[v&1]
	n = v >> 1
	if n < uint64(len(h.events)) {
		h.events[n] = ev
		h.written.Add(1)
	}
	return n + 1
}

// take returns a half with events, the oldest ones, of which none are about to be
// written; or nil. The caller reads it and wipes it. A second call returns the other half
// if the first one was closed before.
func (l *eventLog) take() *eventHalf {
	h := l.shut()
	if h.closed == 0 {
		if l.place.Load()>>1 == 0 {
			return nil
		}
		h = l.turn()
	}
	if !h.complete() {
		return nil
	}
	return h
}

// renew makes place for new events if there is none: the older half is lost. It does
// nothing if that cannot be wiped yet.
func (l *eventLog) renew() {
	h := l.shut()
	if l.place.Load()>>1 < uint64(len(h.events)) || !h.complete() {
		return
	}
	l.lost += h.closed
	h.wipe()
	l.turn()
}

// shut returns the half that is closed.
func (l *eventLog) shut() *eventHalf { return &l.halves[l.place.Load()&1^1] }

// turn closes the half that is open and returns it. The other one, which is empty, is
// open then.
func (l *eventLog) turn() *eventHalf {
	v := l.place.Swap(l.place.Load()&1 ^ 1)
	h := &l.halves[v&1]
	h.closed = min(v>>1, uint64(len(h.events)))
	l.lost += v>>1 - h.closed
	return h
}

// complete reports whether all events of a closed half have been written.
func (h *eventHalf) complete() bool { return h.written.Load() == h.closed }

// all returns the events of a closed half that is complete.
func (h *eventHalf) all() []event { return h.events[:h.closed] }

// wipe empties a closed half that is complete.
func (h *eventHalf) wipe() {
	clear(h.all())
	h.closed = 0
	h.written.Store(0) // before it is opened
}
