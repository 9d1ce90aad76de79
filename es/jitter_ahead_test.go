package es

import (
	"bytes"
	"context"
	"crypto/sha512"
	"errors"
	"hash"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// aheadOf returns a source that keeps blocks ahead and replays durations. Its first
// call has been made, for 32 bytes and 256 bits, and the blocks are full.
func aheadOf(t *testing.T, blocks int, play func(i int) uint64) (*Jitter, *tape, []byte) {
	t.Helper()
	j, clock := playJitter(JitterConfig{Ahead: blocks}, play)
	t.Cleanup(func() { j.Close() })
	first := ask(t, j, AllowAhead(t.Context(), true))
	j.ahead.filler.Wait()
	if n := stored(j); n != blocks {
		t.Fatalf("%d blocks are there, want %d", n, blocks)
	}
	return j, clock, first
}

// ask asks for 256 bits and wants them.
func ask(t *testing.T, j *Jitter, ctx context.Context) []byte {
	t.Helper()
	p := make([]byte, 32)
	if credit, err := j.GetEntropy(ctx, p, 256); credit != 256 || err != nil {
		t.Fatalf("credit %d, %v", credit, err)
	}
	return p
}

// empty reports whether nothing is in b.
func (b *jitterBlock) empty() bool {
	return b.credit == 0 && b.at.IsZero() && bytes.Count(b.data, []byte{0}) == len(b.data)
}

// stored returns how many blocks are there, and fails the test if there is anything
// in a place without one.
func stored(j *Jitter) (n int) {
	j.ahead.mu.Lock()
	defer j.ahead.mu.Unlock()
	for i := range j.ahead.blocks {
		switch b := &j.ahead.blocks[i]; {
		case b.full():
			n++
		case !b.empty():
			n = math.MinInt
		}
	}
	return n
}

// The blocks of a tape, in order: each is the digest of the samples after those of the
// one before.
func tapeBlocks(n int) (blocks [][]byte) {
	next := jitterProbe + jitterStartUp
	for range n {
		var digest []byte
		digest, next = wantBlock(sha512.New(), lively, next, 256, 3)
		blocks = append(blocks, digest[:32])
	}
	return blocks
}

// Each block is delivered once, in the order in which they were collected, and wiped;
// what is missing is collected again. For each block that was delivered one is
// collected.
func TestJitterAhead(t *testing.T) {
	j, clock, first := aheadOf(t, 2, lively)
	want := tapeBlocks(10)
	if !bytes.Equal(first, want[0]) {
		t.Error("the first block is not the digest of its samples")
	}
	j.lock.Lock(t.Context()) // nothing is collected now
	before := clock.samples()
	for i := range 2 {
		if got := ask(t, j, AllowAhead(t.Context(), true)); !bytes.Equal(got, want[1+i]) {
			t.Errorf("block %d is not that which was collected ahead", 1+i)
		}
		if n := stored(j); n != 1-i {
			t.Errorf("%d blocks are left, want %d", n, 1-i)
		}
	}
	if clock.samples() != before {
		t.Error("samples were taken for a block that was there")
	}
	j.lock.Unlock()
	j.ahead.filler.Wait()
	if n := stored(j); n != 2 {
		t.Errorf("%d blocks after the refill", n)
	}
	// A place that has become free is filled before the one after it.
	var got [][]byte
	for range 4 {
		got = append(got, ask(t, j, AllowAhead(t.Context(), true)))
		j.ahead.filler.Wait()
	}
	for i, p := range got {
		if !slices.ContainsFunc(want[3:7], func(w []byte) bool { return bytes.Equal(p, w) }) && !bytes.Equal(p, want[7]) {
			t.Errorf("block %d is none that was collected", 3+i)
		}
		for _, q := range got[:i] {
			if bytes.Equal(p, q) {
				t.Error("a block was delivered twice")
			}
		}
	}
}

// Never in 90C mode: who does not allow it gets what is collected during the call, and
// no goroutine is started; also for calls of another shape.
func TestJitterAheadOnlyIfAllowed(t *testing.T) {
	j, clock, _ := aheadOf(t, 2, lively)
	want := tapeBlocks(5)
	before := clock.samples()
	if got := ask(t, j, t.Context()); !bytes.Equal(got, want[3]) || clock.samples() == before {
		t.Error("a block that was not collected during the call")
	}
	if n := stored(j); n != 2 {
		t.Errorf("%d blocks are left", n)
	}
	// Who passes a context on can take the permission back.
	if got := ask(t, j, AllowAhead(AllowAhead(t.Context(), true), false)); !bytes.Equal(got, want[4]) || stored(j) != 2 {
		t.Error("a block that was collected ahead, although that was not allowed any more")
	}

	j, clock = playJitter(JitterConfig{Ahead: 3}, lively)
	ask(t, j, t.Context())
	before = clock.samples()
	j.ahead.filler.Wait()
	if stored(j) != 0 || clock.samples() != before {
		t.Error("collected ahead for nobody")
	}
	// Also where there were blocks before.
	j, _, _ = aheadOf(t, 2, lively)
	j.ahead.drop()
	ask(t, j, t.Context())
	j.ahead.filler.Wait()
	if n := stored(j); n != 0 {
		t.Errorf("%d blocks were collected for a call that does not allow them", n)
	}
	// Nor without Ahead.
	j, _ = playJitter(JitterConfig{}, lively)
	ask(t, j, AllowAhead(t.Context(), true))
	if j.ahead.blocks != nil || j.ahead.filling {
		t.Error("collected ahead without Ahead")
	}
}

// A call of another shape gets a block of its own, and those for the last one are
// wiped. One that is too long for any block changes nothing.
func TestJitterAheadShapes(t *testing.T) {
	for _, tt := range []struct {
		size, bits, credit int
		wiped              bool
	}{{32, 255, 255, true}, {48, 256, 256, true}, {32, 384, 256, true}, {1, 8, 8, true}, {0, 0, 0, true}, {64, 384, 384, true}, {65, 256, 256, false}, {1000, 256, 256, false}} {
		j, clock, _ := aheadOf(t, 2, lively)
		next := clock.samples()
		p := make([]byte, tt.size)
		credit, err := j.GetEntropy(AllowAhead(t.Context(), true), p, tt.bits)
		if credit != tt.credit || err != nil {
			t.Errorf("%d bytes, %d bits: %d, %v", tt.size, tt.bits, credit, err)
		}
		if tt.size > 0 && tt.size <= 64 {
			want, _ := wantBlock(sha512.New(), lively, next, tt.credit, 3)
			if !bytes.Equal(p, want[:tt.size]) {
				t.Errorf("%d bytes, %d bits: the data are not those collected during the call", tt.size, tt.bits)
			}
		}
		j.ahead.filler.Wait()
		if changed := j.ahead.size != 32 || j.ahead.bits != 256; changed != tt.wiped {
			t.Errorf("%d bytes, %d bits: blocks for %d bytes, %d bits", tt.size, tt.bits, j.ahead.size, j.ahead.bits)
		}
		// What was refilled is for the new shape.
		if stored(j) != 2 {
			t.Errorf("%d bytes, %d bits: %d blocks", tt.size, tt.bits, stored(j))
		}
		before := clock.samples()
		j.lock.Lock(t.Context())
		again := make([]byte, tt.size)
		if tt.wiped {
			if credit, err = j.GetEntropy(AllowAhead(t.Context(), true), again, tt.bits); credit != tt.credit || err != nil || clock.samples() != before || tt.size > 1 && bytes.Equal(p, again) {
				t.Errorf("%d bytes, %d bits: again: %d, %v", tt.size, tt.bits, credit, err)
			}
		}
		j.lock.Unlock()
	}
}

// A block is wiped when it is as old as AheadAge, without a call and without a
// goroutine that waits for it: in the end there is none left in the bubble.
func TestJitterAheadAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := &tape{play: lively}
		j := newJitter(JitterConfig{MemorySize: 1 << 12, Ahead: 3, AheadAge: time.Minute}, clock.now, func() time.Duration { return 0 })
		ask(t, j, AllowAhead(t.Context(), true))
		synctest.Wait()
		time.Sleep(20 * time.Second)
		used := ask(t, j, AllowAhead(t.Context(), true))
		synctest.Wait() // one block is 20 s younger than two
		if n := stored(j); n != 3 {
			t.Fatalf("%d blocks", n)
		}
		time.Sleep(40*time.Second - 1)
		synctest.Wait()
		if n := stored(j); n != 3 {
			t.Errorf("%d blocks are left before their time", n)
		}
		time.Sleep(1 * time.Nanosecond)
		synctest.Wait()
		if n := stored(j); n != 1 {
			t.Errorf("%d blocks are left when two are stale", n)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if n := stored(j); n != 0 {
			t.Errorf("%d blocks are left when the third is stale", n)
		}
		if got := ask(t, j, AllowAhead(t.Context(), true)); bytes.Equal(got, used) {
			t.Error("the same block twice")
		}
		synctest.Wait()
		if n := stored(j); n != 3 {
			t.Errorf("%d blocks after the refill", n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := stored(j); n != 0 {
			t.Errorf("%d blocks are left when all are stale", n)
		}
		before := clock.samples()
		time.Sleep(24 * time.Hour)
		if clock.samples() != before {
			t.Error("collected without a call")
		}
		if c := (JitterConfig{Ahead: 1}); NewJitter(c).ahead.age != 20*time.Minute {
			t.Errorf("the age is %v by default", NewJitter(c).ahead.age)
		}
	})
}

// A block whose timer is late is not delivered. (E1: clocks that jump or stand still.)
func TestJitterAheadStale(t *testing.T) {
	for _, tt := range []struct {
		monotonic, wall time.Duration
		stale           bool
	}{
		{0, 0, false}, {59 * time.Second, 59 * time.Second, false}, {time.Minute, 0, true}, {0, time.Minute, true},
		{time.Second, time.Hour, true}, {time.Second, -1, true}, {time.Second, -time.Hour, true}, {time.Hour, time.Hour, true},
	} {
		if got := tooOld(tt.monotonic, tt.wall, time.Minute); got != tt.stale {
			t.Errorf("%v, by the clock of the system %v: %v", tt.monotonic, tt.wall, got)
		}
	}
	for _, moved := range []time.Duration{-20 * time.Minute, time.Hour} {
		j, clock, _ := aheadOf(t, 2, lively)
		next := clock.samples()
		j.ahead.mu.Lock()
		for i := range j.ahead.blocks {
			j.ahead.blocks[i].at = time.Now().Add(moved).Round(0)
		}
		j.ahead.mu.Unlock()
		want, _ := wantBlock(sha512.New(), lively, next, 256, 3)
		if got := ask(t, j, AllowAhead(t.Context(), true)); !bytes.Equal(got, want[:32]) {
			t.Errorf("a block made %v from now was delivered", moved)
		}
	}
}

// B16: when a test fails all that was collected since it passed is dropped, whoever ran
// it.
func TestJitterAheadDroppedOnFailure(t *testing.T) {
	stopped := func(int) uint64 { return 0 }
	for name, fail := range map[string]func(j *Jitter, clock *tape) error{
		"a call": func(j *Jitter, clock *tape) error {
			clock.play = stopped
			_, err := j.GetEntropy(t.Context(), make([]byte, 32), 256)
			return err
		},
		"HealthTest": func(j *Jitter, clock *tape) error {
			clock.play = stopped
			return j.HealthTest(t.Context())
		},
		"the budget": func(j *Jitter, clock *tape) error {
			now := time.Duration(0)
			j.elapsed = func() time.Duration { now += time.Second; return now }
			_, err := j.GetEntropy(t.Context(), make([]byte, 32), 256)
			j.elapsed = func() time.Duration { return 0 }
			return err
		},
	} {
		j, clock, _ := aheadOf(t, 2, lively)
		old := bytes.Clone(j.ahead.blocks[0].data)
		if err := fail(j, clock); err == nil {
			t.Fatalf("%s: no failure", name)
		}
		if n := stored(j); n != 0 {
			t.Errorf("%s has failed: %d blocks are left", name, n)
		}
		clock.play = lively
		if got := ask(t, j, AllowAhead(t.Context(), true)); bytes.Equal(got, old[:32]) {
			t.Errorf("%s has failed, and a block from before was delivered", name)
		}
	}
}

// What fails in the background is told to the next caller, allowed or not, once; and a
// permanent failure to all. No block is left.
func TestJitterAheadReportsFailure(t *testing.T) {
	for _, allowed := range []bool{true, false} {
		ctx := t.Context()
		if allowed {
			ctx = AllowAhead(ctx, true)
		}
		const fault = jitterProbe + jitterStartUp + 3000
		j, clock := playJitter(JitterConfig{Ahead: 100}, func(i int) uint64 {
			if i >= fault && i < fault+100 {
				return 0
			}
			return lively(i)
		})
		ask(t, j, AllowAhead(t.Context(), true))
		j.ahead.filler.Wait()
		if n := stored(j); n != 0 {
			t.Fatalf("%d blocks are left after the failure", n)
		}
		before := clock.samples()
		var failure *HealthError
		p := []byte{1, 2, 3}
		credit, err := j.GetEntropy(ctx, p, 256)
		if credit != 0 || !errors.As(err, &failure) || failure.Test != "RCT" || failure.Permanent || !bytes.Equal(p, make([]byte, 3)) || clock.samples() != before {
			t.Errorf("%d, %v, %d", credit, err, p)
		}
		ask(t, j, ctx)
		j.ahead.filler.Wait()

		clock.play = func(int) uint64 { return 0 }
		for range 3 {
			if _, err = j.GetEntropy(t.Context(), p, 256); errors.As(err, &failure) && failure.Permanent {
				break
			}
		}
		if !failure.Permanent {
			t.Fatal(err)
		}
		for range 3 {
			if _, again := j.GetEntropy(AllowAhead(t.Context(), true), p, 256); again != err {
				t.Errorf("%v after %v", again, err)
			}
		}
		j.Close()
	}
}

// A context that is done gets no block, and takes none.
func TestJitterAheadContext(t *testing.T) {
	j, _, _ := aheadOf(t, 2, lively)
	ctx, cancel := context.WithCancel(AllowAhead(t.Context(), true))
	cancel()
	p := []byte{1}
	if credit, err := j.GetEntropy(ctx, p, 8); credit != 0 || !errors.Is(err, context.Canceled) || p[0] != 0 {
		t.Errorf("%d, %v, %d", credit, err, p)
	}
	if n := stored(j); n != 2 {
		t.Errorf("%d blocks are left", n)
	}
}

// Close ends the collection in the background and waits for it, wipes what is there,
// and is final.
func TestJitterClose(t *testing.T) {
	inside, resume := make(chan struct{}), make(chan struct{})
	j, _ := playJitter(JitterConfig{Ahead: 5}, func(i int) uint64 {
		if i == jitterProbe+jitterStartUp+4000 { // in the third block or so
			close(inside)
			<-resume
		}
		return lively(i)
	})
	ask(t, j, AllowAhead(t.Context(), true))
	<-inside
	if n := stored(j); n < 1 {
		t.Fatalf("%d blocks", n)
	}
	blocks := j.ahead.blocks
	closed := make(chan error)
	go func() { closed <- j.Close() }()
	select {
	case <-closed:
		t.Error("Close has not waited")
	case <-time.After(20 * time.Millisecond):
	}
	close(resume)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	for i, b := range blocks {
		if !b.empty() {
			t.Errorf("block %d is left", i)
		}
	}
	wantClean(t, j)
	if j.ahead.filling || j.noise != nil {
		t.Error("not all was let go")
	}
	for range 2 {
		p := []byte{1, 2}
		if credit, err := j.GetEntropy(AllowAhead(t.Context(), true), p, 8); credit != 0 || !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "closed") || p[0]|p[1] != 0 {
			t.Errorf("GetEntropy: %d, %v, %d", credit, err, p)
		}
		if err := j.HealthTest(t.Context()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("HealthTest: %v", err)
		}
		if n, err := j.GetNoise(p); n != 0 || !errors.Is(err, ErrUnavailable) {
			t.Errorf("GetNoise: %d, %v", n, err)
		}
		if got := j.Available(256); got != 0 {
			t.Errorf("Available(256) = %d", got)
		}
		if j.Info().Name != "jitter" || j.Validate() != nil {
			t.Error("Info or Validate changed")
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
	// One that was never used, and one that is not valid.
	for _, c := range []JitterConfig{{}, {Ahead: -1}} {
		if err := NewJitter(c).Close(); err != nil {
			t.Error(err)
		}
	}
}

// A hostile is a hash that panics, or ends its goroutine, when it is asked to.
type hostile struct {
	hash.Hash
	do *func()
}

func (h hostile) Write(p []byte) (int, error) {
	if *h.do != nil {
		(*h.do)()
	}
	return h.Hash.Write(p)
}

// E1: a conditioner that panics or ends its goroutine, in the background and in a call.
// The process lives, the next call is told, and the one after that works.
func TestJitterHostileConditioner(t *testing.T) {
	for name, do := range map[string]func(){
		"panic":  func() { panic("conditioner") },
		"nil":    func() { var p *int; *p = 1 },
		"Goexit": runtime.Goexit,
	} {
		var now func()
		j, _ := playJitter(JitterConfig{Ahead: 2, Conditioner: oddConditioner{hostile{sha512.New(), &now}, 512}}, lively)
		first := true
		now = nil
		ask(t, j, t.Context())
		// The call itself is well, what comes after it is not.
		calls := 0
		now = func() {
			if calls++; calls > 200 && first {
				first = false
				do()
			}
		}
		ask(t, j, AllowAhead(t.Context(), true))
		j.ahead.filler.Wait()
		if first {
			t.Fatalf("%s: nothing has happened in %d calls", name, calls)
		}
		if n := stored(j); n > 0 {
			t.Errorf("%s: %d blocks are left", name, n)
		}
		if _, err := j.GetEntropy(t.Context(), make([]byte, 32), 256); !errors.Is(err, errConditioner) {
			t.Errorf("%s: %v", name, err)
		}

		// In a call: the collector recovers, and the source is not locked.
		now = do
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() { recover() }()
			j.GetEntropy(t.Context(), make([]byte, 32), 256)
		}()
		<-done
		now = nil
		ask(t, j, t.Context())
		j.Close()
	}
}

// Rules 1 and 7, with blocks ahead: no block is delivered twice, whoever asks.
func TestJitterAheadConcurrent(t *testing.T) {
	j := realJitter(t, JitterConfig{Ahead: 4})
	var mu sync.Mutex
	seen := make(map[[32]byte]bool)
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			ctx := t.Context()
			if g%3 > 0 {
				ctx = AllowAhead(ctx, true)
			}
			for i := range 6 {
				var p [32]byte
				bits := 256
				if g == 1 && i == 3 {
					bits = 128 // another shape
				}
				switch credit, err := j.GetEntropy(ctx, p[:], bits); {
				case errors.Is(err, ErrUnavailable):
					continue // the machine is busy
				case credit != bits || err != nil:
					t.Errorf("credit %d, %v", credit, err)
				}
				mu.Lock()
				if seen[p] {
					t.Error("the same data twice")
				}
				seen[p] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if n := stored(j); n != 0 {
		t.Errorf("%d blocks are left", n)
	}
}
