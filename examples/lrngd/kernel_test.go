package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A fakeKernel remembers what it was fed, and when.
type fakeKernel struct {
	mu      sync.Mutex
	log     []string
	data    [][]byte
	times   []time.Duration
	start   time.Time
	add     error
	reseed  error
	wanting chan struct{} // asks when there is one in it, or always when it is closed
}

func newFakeKernel() *fakeKernel {
	return &fakeKernel{start: time.Now(), wanting: make(chan struct{}, 10)}
}

func (k *fakeKernel) Add(p *[feedSize]byte, bits int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.times = append(k.times, time.Since(k.start))
	k.log = append(k.log, "add")
	if bits > 0 {
		k.log = append(k.log, "credit")
	}
	k.data = append(k.data, bytes.Clone(p[:]))
	return k.add
}

func (k *fakeKernel) Reseed() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.log = append(k.log, "reseed")
	return k.reseed
}

func (k *fakeKernel) Wanting(ctx context.Context) error {
	select {
	case <-k.wanting:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (k *fakeKernel) Close() error { return nil }

func (k *fakeKernel) fed() []time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.times)
}

func newFeeder(k kernel) *feeder {
	n := byte(0)
	return &feeder{
		kernel: k,
		seed: func(ctx context.Context, p []byte) error {
			for i := range p {
				n++
				p[i] = n
			}
			return ctx.Err()
		},
		interval: 2 * time.Minute,
		patience: time.Second,
		count:    new(counters),
		log:      slog.New(slog.DiscardHandler),
	}
}

func TestFeed(t *testing.T) {
	eperm := errors.New("operation not permitted")
	for _, tt := range []struct {
		bits          int
		reseed        bool
		add, reseeded error
		log           string
		want          error
		feeds         int64
	}{
		{0, false, nil, nil, "add", nil, 1},
		{0, true, nil, nil, "add reseed", nil, 1},
		{512, true, nil, nil, "add credit reseed", nil, 1},
		{512, true, eperm, nil, "add credit", eperm, 0},
		{0, true, nil, eperm, "add reseed", eperm, 1},
		{0, true, nil, errKernelUnseeded, "add reseed", nil, 1}, // it keeps what it was given
	} {
		k := newFakeKernel()
		k.add, k.reseed = tt.add, tt.reseeded
		f := newFeeder(k)
		f.bits, f.reseed = tt.bits, tt.reseed
		err := f.feed(t.Context())
		if got := strings.Join(k.log, " "); got != tt.log || !errors.Is(err, tt.want) || f.count.feeds.Value() != tt.feeds || f.count.feedBits.Value() != int64(tt.bits)*tt.feeds {
			t.Errorf("%d bits, reseed %v, %v, %v: %q, %v, %d feeds", tt.bits, tt.reseed, tt.add, tt.reseeded, got, err, f.count.feeds.Value())
		}
	}
	// Without a seed nothing reaches the kernel.
	k := newFakeKernel()
	f := newFeeder(k)
	f.seed = func(context.Context, []byte) error { return errDead }
	if err := f.feed(t.Context()); !errors.Is(err, errDead) || len(k.log) > 0 {
		t.Errorf("without a seed: %v, %q", err, k.log)
	}
	f.seed = func(ctx context.Context, _ []byte) error { <-ctx.Done(); return ctx.Err() }
	f.patience = time.Millisecond
	if err := f.feed(t.Context()); !errors.Is(err, context.DeadlineExceeded) || len(k.log) > 0 {
		t.Errorf("with a seed that does not come: %v, %q", err, k.log)
	}
	// And no seed twice.
	f = newFeeder(k)
	f.feed(t.Context())
	f.feed(t.Context())
	if len(k.data) != 2 || bytes.Equal(k.data[0], k.data[1]) {
		t.Errorf("data %x", k.data)
	}
}

// feeding runs f in a bubble and stops it after d.
func feeding(t *testing.T, f *feeder, now chan struct{}, d time.Duration, during func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.run(ctx, now)
	}()
	during()
	time.Sleep(d)
	cancel()
	<-done
}

func TestFeederInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFakeKernel()
		feeding(t, newFeeder(k), nil, 5*time.Minute, func() {})
		if want := []time.Duration{2 * time.Minute, 4 * time.Minute}; !slices.Equal(k.fed(), want) {
			t.Errorf("fed after %v, want %v", k.fed(), want)
		}
	})
}

// TestFeederAsked: the kernel and SIGHUP are heard, and no more than each two seconds.
func TestFeederAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFakeKernel()
		now := make(chan struct{}, 1)
		feeding(t, newFeeder(k), now, time.Minute, func() {
			time.Sleep(10 * time.Second)
			k.wanting <- struct{}{}
			time.Sleep(10 * time.Second)
			now <- struct{}{}
			time.Sleep(500 * time.Millisecond)
			k.wanting <- struct{}{}
			k.wanting <- struct{}{}
		})
		want := []time.Duration{10 * time.Second, 20 * time.Second, 22 * time.Second, 24 * time.Second}
		if !slices.Equal(k.fed(), want) {
			t.Errorf("fed after %v, want %v", k.fed(), want)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		k := newFakeKernel()
		close(k.wanting) // as a kernel without a first seed
		feeding(t, newFeeder(k), nil, 9*time.Second, func() {})
		if n := len(k.fed()); n != 4 {
			t.Errorf("fed %d times in 9 seconds, want 4", n)
		}
	})
}

// TestFeederErrors: it does not give up, and has patience.
func TestFeederErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFakeKernel()
		k.add = errDead
		f := newFeeder(k)
		feeding(t, f, nil, 10*time.Minute, func() {
			time.Sleep(7 * time.Minute)
			k.mu.Lock()
			k.add = nil
			k.mu.Unlock()
		})
		var want []time.Duration
		for at, s := range []int{120, 2, 4, 8, 16, 32, 64, 120, 120, 120, 120, 120, 120} {
			d := time.Duration(s) * time.Second
			if at > 0 {
				d += want[at-1]
			}
			if d < 17*time.Minute {
				want = append(want, d)
			}
		}
		if !slices.Equal(k.fed(), want) {
			t.Errorf("fed after %v, want %v", k.fed(), want)
		}
		if n := f.count.feedErrors.Value(); n != 8 {
			t.Errorf("%d errors counted, want 8", n)
		}
	})
}
