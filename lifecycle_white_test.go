package lrng

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/seeding"
)

// Shard 0 is the first to be seeded.
//
// A request that finds another shard without a seed starts the worker before it turns to
// shard 0. If it is interrupted in between, shard 0 is seeded first all the same, and
// nothing is output before that.
func TestShard0First(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []int
		r := white(t, Config{Shards: 3, DRNG: seedings(func(i int) { order = append(order, i) })})
		r.wants[2].Store(true)
		r.kick()
		synctest.Wait() // the interruption
		if len(order) == 0 || order[0] != 0 || r.currentLevel() != seeding.FullySeeded {
			t.Errorf("seeded %v, level %v", order, r.currentLevel())
		}
	})
}

// A seed ages while the machine sleeps, too, although the monotonic clock of some systems
// (Linux, macOS) stands still then.
func TestSuspend(t *testing.T) {
	a := newAge(10*time.Minute, 0)
	a.armed.Store(true) // as if a timer were under way: it slept, too
	a.restart()         // not in a bubble, which has no monotonic clock
	if a.reached(256) {
		t.Error("of age at once")
	}
	born := asleep(*a.born.Load(), 8*time.Hour)
	a.born.Store(&born)
	if !a.reached(256) {
		t.Errorf("a seed of %v ago is not of age", time.Now().Round(0).Sub(born.Round(0)))
	}
}

// asleep returns t as it is after a sleep of the machine: the clock on the wall went on, the
// monotonic one did not.
func asleep(t time.Time, d time.Duration) time.Time {
	t = t.Add(-d)
	(*struct { // as time.Time
		wall uint64
		ext  int64 // the monotonic clock
		loc  *time.Location
	})(unsafe.Pointer(&t)).ext += int64(d)
	return t
}

// No shard outputs anything below the full level, which is lost with the seed of shard 0:
// Nonblocking promises ErrNotSeeded then, and Wait that there is none.
func TestNoOutputBelowFullLevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v valve
		v.flows.Store(true)
		r := white(t, Config{Shards: 2, Sources: []es.Source{v.tap()}, MaxWithoutReseed: 1, OutputBuffer: -1, DRNG: ctr(drng.CTRConfig{})})
		r.wants[0].Store(true)
		r.wants[1].Store(true)
		r.kick()
		synctest.Wait()
		v.flows.Store(false)
		h := r.shards.LockIndex(1) // busy
		read := func() (int, error) { return r.Nonblocking().Read(make([]byte, 1)) }
		if n, err := read(); n != 1 || err != nil {
			t.Errorf("with a seed: %d, %v", n, err)
		}
		if n, err := read(); n != 0 || !errors.Is(err, ErrNotSeeded) {
			t.Errorf("at the limit of shard 0: %d, %v", n, err)
		}
		h.Unlock()
		synctest.Wait()
		for range 3 { // which shard they turn to is up to the scheduler
			if n, err := read(); n != 0 || !errors.Is(err, ErrNotSeeded) {
				t.Errorf("at level %v: %d, %v", r.currentLevel(), n, err)
			}
		}
	})
}

// Who finds the level missing, and is interrupted until shard 0 has its seed, does not ask
// for one more.
func TestWantLevelAfterSeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := white(t, Config{Shards: 1})
		r.wantLevel()
		if r.nextWanted() != 0 {
			t.Fatal("a generator without a seed wants none")
		}
		r.kick()
		synctest.Wait()
		if r.currentLevel() != seeding.FullySeeded {
			t.Fatalf("level %v", r.currentLevel())
		}
		r.wantLevel() // as wait does after the interruption
		r.wake()
		synctest.Wait()
		if n := r.stats.seeds.Load(); n != 1 {
			t.Errorf("%d seeds, want 1", n)
		}
	})
}
