package lrng

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/seeding"
)

// seedings makes instances of CTR_DRBG that tell of each seed whose it is: the index of a
// shard, or -1 for prediction resistance.
func seedings(tell func(index int)) func() (drng.DRNG, error) {
	return func() (drng.DRNG, error) {
		d, err := drng.NewCTR(drng.CTRConfig{})
		return &mechanismSpy{DRNG: d, seed: func(_, additional []byte) {
			tell(int(int64(binary.LittleEndian.Uint64(additional[len(additional)-8:]))))
		}}, err
	}
}

// Shard 0 is seeded first, then the others in their order, then who waits for prediction
// resistance.
func TestSeedingOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v valve
		var order []int
		r := white(t, Config{Shards: 4, Sources: []es.Source{v.tap()}, DRNG: seedings(func(i int) { order = append(order, i) })})
		go r.PredictionResistant().Read(make([]byte, 8))
		synctest.Wait()
		for i := range r.wants {
			r.wants[len(r.wants)-1-i].Store(true)
		}
		v.flows.Store(true)
		time.Sleep(time.Second)
		synctest.Wait()
		if !slices.Equal(order, []int{0, 1, 2, 3, -1}) {
			t.Errorf("seeded in the order %v", order)
		}
	})
}

// readFrom reads from one shard; the others are busy.
func readFrom(t *testing.T, r *RNG, shard int) {
	t.Helper()
	for i := range r.shards.Len() {
		if i != shard {
			defer r.shards.LockIndex(i).Unlock()
		}
	}
	if _, err := r.Nonblocking().Read(make([]byte, 1)); err != nil {
		t.Errorf("shard %d: %v", shard, err)
	}
}

// Shards that were seeded at the same time fall due one after the other, 100 seconds apart.
func TestStaggeredReseeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		seeds := make([][]time.Duration, 8)
		r := white(t, Config{Shards: len(seeds), DRNG: seedings(func(i int) { seeds[i] = append(seeds[i], time.Since(begin)) })})
		for i := range r.wants {
			r.wants[i].Store(true)
		}
		r.kick()
		synctest.Wait()
		for time.Since(begin) < 21*time.Minute {
			for i := range seeds {
				readFrom(t, r, i)
			}
			synctest.Wait()
			time.Sleep(10 * time.Second)
		}
		for i, at := range seeds {
			due := 10*time.Minute + time.Duration(min(i, 6))*100*time.Second
			if len(at) < 2 || at[0] != 0 || at[1] < due || at[1] > due+10*time.Second {
				t.Errorf("shard %d was seeded after %v; it was due after %v", i, at, due)
			}
		}
	})
}

// The limits as they are without a word in the Config, and that of DRG.4: the request that
// finds 2³⁰ requests, or 2¹⁷ bits, since the last seed takes the full level away.
func TestFullLevelIsLost(t *testing.T) {
	for _, tt := range []struct {
		config Config
		use    func(*instance) // all but the last byte
	}{
		{Config{}, func(in *instance) { in.requests = 1<<30 - 1 }},
		{Config{ReseedBits: 1 << 17}, func(in *instance) { in.bits = 1<<17 - 8 }},
	} {
		synctest.Test(t, func(t *testing.T) {
			var v valve
			v.flows.Store(true)
			c := tt.config
			c.Sources, c.OutputBuffer, c.DRNG = []es.Source{v.tap()}, -1, ctr(drng.CTRConfig{})
			r := white(t, c)
			if err := r.Wait(t.Context(), seeding.FullySeeded); err != nil {
				t.Fatal(err)
			}
			v.flows.Store(false)
			h := r.shards.LockIndex(0)
			tt.use(&h.Value)
			h.Unlock()
			if n, err := r.Nonblocking().Read(make([]byte, 1)); n != 1 || err != nil || r.currentLevel() != seeding.FullySeeded {
				t.Errorf("the last request: %d, %v, at level %v", n, err, r.currentLevel())
			}
			if n, err := r.Nonblocking().Read(make([]byte, 1)); n != 0 || !errors.Is(err, ErrNotSeeded) || r.currentLevel() != seeding.Unseeded {
				t.Errorf("one more: %d, %v, at level %v", n, err, r.currentLevel())
			}
			v.flows.Store(true)
			if n, err := r.Read(make([]byte, 1)); n != 1 || err != nil || r.currentLevel() != seeding.FullySeeded {
				t.Errorf("with a new seed: %d, %v, at level %v", n, err, r.currentLevel())
			}
		})
	}
}

// A clock that jumps costs a reseed at most, in either direction: no seed outlives its time
// by more than 255 requests, and those that follow live as long as ever.
func TestClockJump(t *testing.T) {
	for _, jump := range []time.Duration{-1 << 60, -time.Hour, -time.Second, time.Second, 9 * time.Minute, 10 * time.Minute, 8 * time.Hour, 1 << 60} {
		synctest.Test(t, func(t *testing.T) {
			r := white(t, Config{DRNG: ctr(drng.CTRConfig{})})
			// seeds wants so many, after a while and enough requests to look at the clock.
			seeds := func(after time.Duration, want uint64) {
				t.Helper()
				time.Sleep(after)
				for range 256 {
					if _, err := r.Read(make([]byte, 1)); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				if got := r.Status().Seeds; got != want {
					t.Fatalf("clock set forward by %v: %d seeds, want %d", jump, got, want)
				}
			}
			seeds(0, 1)
			// As seen from the clock, the seed is of another time.
			a := r.shards.LockIndex(0)
			born := a.Value.age.born.Load().Add(-jump)
			a.Value.age.born.Store(&born)
			a.Unlock()
			if left := 10*time.Minute - jump; jump > 0 && left > 0 {
				seeds(left-time.Second, 1)
				seeds(time.Second, 2)
			} else {
				seeds(0, 2)
			}
			seeds(10*time.Minute-time.Second, 2)
			seeds(2*time.Second, 3)
		})
	}
}

// The pause after attempts in vain does not last longer than a minute because a clock was
// set back.
func TestClockJumpInPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v valve
		r := white(t, Config{Sources: []es.Source{v.tap()}, DRNG: ctr(drng.CTRConfig{})})
		read := func() error { _, err := r.Nonblocking().Read(make([]byte, 1)); return err }
		for range 600 { // until the pause is the longest
			read()
			time.Sleep(time.Second)
		}
		if got := r.worker.Load(); got != pausing {
			t.Fatalf("the worker is in state %d", got)
		}
		v.flows.Store(true)
		end := time.Now().Add(longestPause + time.Hour)
		r.pauseEnd.Store(&end)
		read()
		synctest.Wait()
		if err := read(); err != nil {
			t.Error(err)
		}
	})
}
