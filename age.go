package lrng

import (
	"sync/atomic"
	"time"
)

// An age tells when a seed has come of age. Asking costs one load in most cases:
// a timer sets the mark. There is at most one timer for each age, and neither
// restarting nor asking touches it, so that goroutines inside and outside of a
// testing/synctest bubble may share an age.
type age struct {
	life  time.Duration // negative: without a limit, since each request is reseeded
	old   atomic.Bool
	armed atomic.Bool               // a timer is under way
	born  atomic.Pointer[time.Time] // nil before the first restart
	epoch *epoch                    // ends with the life; may be nil
}

// newAge returns the age for shard index where shard 0 lives for interval. Each
// further shard lives a sixth of the interval longer, but none more than twice as
// long, so that they do not all fall due at once. With the 10 minutes of the
// default these are the 100 seconds of LRNG.
func newAge(interval time.Duration, index int) *age {
	if interval > 0 {
		extra := interval
		if index < 6 {
			n := time.Duration(index)
			extra = interval/6*n + interval%6*n/6
		}
		if interval += extra; interval < 0 {
			interval = 1<<63 - 1
		}
	}
	return &age{life: interval}
}

// restart begins a new life.
func (a *age) restart() {
	if a == nil || a.life < 0 {
		return
	}
	now := time.Now()
	a.born.Store(&now)
	a.old.Store(false)
	if a.armed.CompareAndSwap(false, true) {
		time.AfterFunc(a.life, a.ring)
	}
}

// ring is called by the timer.
func (a *age) ring() {
	if left := a.left(); left > 0 {
		time.AfterFunc(left, a.ring) // restarted meanwhile
		return
	}
	a.armed.Store(false)
	a.old.Store(true)
	a.epoch.end()
}

// left returns how long the present life still lasts. The monotonic clock of some
// systems stands still while the machine sleeps, and the one on the wall may be set back,
// so the one that says more counts. If both say less than nothing it is another clock, and
// ends the life.
func (a *age) left() time.Duration {
	now, born := time.Now(), *a.born.Load()
	lived := max(now.Sub(born), now.Round(0).Sub(born.Round(0)))
	if lived < 0 {
		return 0
	}
	return a.life - lived
}

// reached reports whether the seed has come of age. In every 256th request it
// looks at the clock itself, in case that the timer was lost with its bubble, or
// slept with the machine.
func (a *age) reached(request uint64) bool {
	return a.old.Load() || request%256 == 0 && a.life >= 0 && a.left() <= 0
}
