package es

import (
	"bytes"
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/internal/clock"
	"github.com/lrng-go/lrng/internal/health"
)

var _ interface {
	Source
	NoiseSource
	HealthTester
	Validator
} = (*Scheduler)(nil)

// playScheduler returns a source whose wake-ups have the times of the timeline, and
// whose time is never over.
func playScheduler(c SchedulerConfig) (*Scheduler, *timeline) {
	line := newTimeline()
	return newScheduler(c, line.next, func() time.Duration { return 0 }), line
}

// pending returns what the first n events of a new timeline are to the pool.
func pending(n int) []event {
	all := newTimeline().events(n)
	for i := range all {
		all[i].data = 0
	}
	return all
}

// The wake-ups that a call takes, its digest, and its credit are those of the
// specification: n bits take n+64, by OSR events each. Wake-ups come in pairs.
func TestSchedulerPool(t *testing.T) {
	for _, tt := range []struct {
		c          SchedulerConfig
		size, bits int
		want       int // credit before the rate
	}{
		{SchedulerConfig{}, 32, 256, 256},
		{SchedulerConfig{OSR: 1}, 48, 384, 384},
		{SchedulerConfig{OSR: 10}, 64, 1 << 20, 384},
		{SchedulerConfig{Rate: 100, OSR: 8}, 64, 300, 300},
		{SchedulerConfig{OSR: 3, Conditioner: conditioner.SHA512}, 1, 256, 8},
		{SchedulerConfig{Rate: -1}, 200, 256, 256},
		{SchedulerConfig{}, 32, 0, 0},
		{SchedulerConfig{}, 32, math.MinInt, 0},
		{SchedulerConfig{}, 0, 256, 0},
	} {
		name := fmt.Sprintf("%+v, %d bytes, %d bits", tt.c, tt.size, tt.bits)
		s, line := playScheduler(tt.c)
		if err := s.pool.test(); err != nil {
			t.Fatal(err)
		}
		osr := tt.c.OSR
		if osr == 0 {
			osr = 3
		}
		var next []byte
		from, spent := 0, 0
		for call := range 3 {
			p := make([]byte, tt.size)
			credit, err := s.GetEntropy(t.Context(), p, tt.bits)
			want := s.pool.rate.available(tt.want)
			if credit != want || err != nil {
				t.Fatalf("%s: call %d: credit %d, %v, want %d", name, call, credit, err, want)
			}
			all := pending(line.i)
			_, counted := wantPool(all, 0)
			// How many events it takes.
			n := eventsStartUp
			if tt.want > 0 {
				spent += (tt.want + 64) * osr
				for counted[n-1] < spent {
					n++
				}
			}
			if n += n % 2; n != line.i {
				t.Errorf("%s: call %d: %d wake-ups, want %d", name, call, line.i, n)
			}
			input, _ := wantPool(all, from)
			from = len(all)
			for len(p) > 0 {
				var output []byte
				output, next = wantDigest(sha512.New, next, input)
				input = nil
				m := min(len(p), len(output))
				if !bytes.Equal(p[:m], output[:m]) {
					t.Fatalf("%s: call %d: not the digest", name, call)
				}
				p = p[m:]
			}
		}
		if got := s.Available(1 << 20); got != s.pool.rate.available(384) || got != s.Info().MaxEntropy {
			t.Errorf("%s: Available = %d", name, got)
		}
	}
}

func TestSchedulerConfig(t *testing.T) {
	for _, tt := range []struct {
		c     SchedulerConfig
		names string // what the error names
	}{
		{SchedulerConfig{}, ""},
		{SchedulerConfig{Rate: 256, OSR: 64, Conditioner: conditioner.SHA3_256}, ""},
		{SchedulerConfig{Rate: 257}, "SchedulerConfig.Rate:"},
		{SchedulerConfig{OSR: 65}, "SchedulerConfig.OSR:"}, {SchedulerConfig{OSR: -1}, "SchedulerConfig.OSR:"},
		{SchedulerConfig{Conditioner: oddConditioner{nil, 256}}, "SchedulerConfig.Conditioner:"},
	} {
		s := NewScheduler(tt.c)
		err := s.Validate()
		if tt.names == "" {
			if err != nil || s.Available(256) == 0 {
				t.Errorf("%+v: %v, available %d", tt.c, err, s.Available(256))
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), "es: "+tt.names) {
			t.Errorf("%+v: %v, want an error that names %s", tt.c, err, tt.names)
		}
		p := []byte{1, 2, 3}
		if credit, got := s.GetEntropy(t.Context(), p, 8); credit != 0 || got != err || !bytes.Equal(p, make([]byte, 3)) {
			t.Errorf("%s GetEntropy: %d, %v, %d", tt.names, credit, got, p)
		}
		if n, got := s.GetNoise(p); n != 0 || got != err {
			t.Errorf("%s GetNoise: %d, %v", tt.names, n, got)
		}
		if got := s.HealthTest(t.Context()); got != err {
			t.Errorf("%s HealthTest: %v", tt.names, got)
		}
		if n := s.Available(256); n != 0 {
			t.Errorf("%s Available: %d", tt.names, n)
		}
		s.Clear()
	}
}

// refused calls GetEntropy, wants an error and that p is cleared with it, and returns
// the number of wake-ups that it took.
func refused(t *testing.T, s *Scheduler, line *timeline) (int, error) {
	t.Helper()
	before := line.i
	p := bytes.Repeat([]byte{0xa5}, 100)
	credit, err := s.GetEntropy(t.Context(), p, 384)
	if err == nil || credit != 0 || !bytes.Equal(p, make([]byte, len(p))) {
		t.Fatalf("credit %d, %v, %x", credit, err, p)
	}
	return line.i - before, err
}

// T9, B14, B16, E1: a fault in the middle of a collection. The call fails within the
// cut-off, the next one begins with the start-up test, and the fault, if it lasts,
// becomes permanent there. That is final.
func TestSchedulerAlarms(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault func(i int) uint64
		lead  int
	}{
		{"stopped", func(int) uint64 { return 0 }, 0},
		{"constant", func(int) uint64 { return 26 * 9999 }, 1},
		{"steady growth", func(i int) uint64 { return 26 * uint64(100000+1000*i) }, 2},
		{"two in turn", func(i int) uint64 { return 26 * uint64(100+900*(i%2)) }, 2},
		{"backwards", func(i int) uint64 { return -(26 * lively(i)) }, 0},
	} {
		inter, err := health.RCTCutoff(health.Alpha, 1.0/3)
		if err != nil {
			t.Fatal(err)
		}
		perm, err := health.RCTCutoff(health.PermanentAlpha, 1.0/3)
		if err != nil {
			t.Fatal(err)
		}
		s, line := playScheduler(SchedulerConfig{})
		const begin = eventsStartUp + 500
		line.play = func(i int) uint64 {
			if i < begin-1 {
				return lively(i)
			}
			return tt.fault(i - (begin - 1))
		}
		n, err := refused(t, s, line)
		want := HealthError{"scheduler", "RCT", inter, inter, false}
		if got, ok := errors.AsType[*HealthError](err); !ok || *got != want {
			t.Fatalf("%s: %v, want %v", tt.name, err, &want)
		}
		if exact := begin + tt.lead + inter - 1; n != exact+exact%2 {
			t.Errorf("%s: %d wake-ups, want %d", tt.name, n, exact)
		}
		if s.Available(256) != 0 || s.pool.credit != 0 {
			t.Errorf("%s: available %d, credit %d", tt.name, s.Available(256), s.pool.credit)
		}
		n, err = refused(t, s, line)
		final := HealthError{"scheduler", "RCT", perm, perm, true}
		if got, ok := errors.AsType[*HealthError](err); !ok || *got != final || n > perm-inter+1 {
			t.Fatalf("%s: %v after %d wake-ups more", tt.name, err, n)
		}
		line.play = lively
		for range 3 {
			n, err := refused(t, s, line)
			if got, ok := errors.AsType[*HealthError](err); !ok || *got != final || n != 0 {
				t.Errorf("%s: %v after %d wake-ups, after the permanent failure", tt.name, err, n)
			}
		}
		if err := s.HealthTest(t.Context()); !errors.As(err, new(*HealthError)) {
			t.Errorf("%s: HealthTest: %v", tt.name, err)
		}
		if n, err := s.GetNoise(make([]byte, 10)); n != 10 || err != nil {
			t.Errorf("%s: GetNoise: %d, %v", tt.name, n, err)
		}
		if s.Available(256) != 0 {
			t.Errorf("%s: available after the permanent failure", tt.name)
		}
	}
}

// A fault that ends: the next call passes the start-up test and delivers.
func TestSchedulerRecovers(t *testing.T) {
	s, line := playScheduler(SchedulerConfig{})
	if _, err := s.GetEntropy(t.Context(), make([]byte, 32), 256); err != nil {
		t.Fatal(err)
	}
	line.play = func(int) uint64 { return 0 }
	if _, err := refused(t, s, line); !errors.As(err, new(*HealthError)) {
		t.Fatal(err)
	}
	line.play = lively
	line.next() // it belongs to the fault
	before := line.i
	credit, err := s.GetEntropy(t.Context(), make([]byte, 32), 256)
	if n := line.i - before; credit != 256 || err != nil || n < 1024+3*320 || s.Available(256) != 256 {
		t.Errorf("credit %d, %v after %d wake-ups, available %d", credit, err, n, s.Available(256))
	}
}

// E1: the clock stands still, jumps, is coarse, or the time is over.
func TestSchedulerClock(t *testing.T) {
	s, line := playScheduler(SchedulerConfig{})
	line.play = func(int) uint64 { return 0 }
	for range 2 {
		if n, err := refused(t, s, line); !errors.Is(err, ErrUnavailable) || errors.As(err, new(*HealthError)) || n > 102 {
			t.Errorf("stands still: %v after %d wake-ups", err, n)
		}
		if s.Available(256) != 0 {
			t.Error("stands still, and is available")
		}
		if n, err := s.GetNoise(make([]byte, 9)); n != 0 || !errors.Is(err, ErrUnavailable) {
			t.Errorf("stands still: GetNoise: %d, %v", n, err)
		}
		if err := s.HealthTest(t.Context()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("stands still: HealthTest: %v", err)
		}
	}
	line.play = lively
	if credit, err := s.GetEntropy(t.Context(), make([]byte, 32), 256); credit != 256 || err != nil || s.Available(256) != 256 {
		t.Errorf("goes on: %d, %v", credit, err)
	}

	s, line = playScheduler(SchedulerConfig{})
	line.play = func(i int) uint64 {
		if i%1000 == 0 {
			return 26e6
		}
		return 0
	}
	if _, err := refused(t, s, line); !errors.As(err, new(*HealthError)) {
		t.Errorf("coarse: %v", err)
	}

	s, line = playScheduler(SchedulerConfig{})
	line.play = func(i int) uint64 {
		switch i % 100 {
		case 50:
			return ^uint64(26*36e11 - 1)
		case 99:
			return 26 * 36e11
		}
		return lively(i)
	}
	if credit, err := s.GetEntropy(t.Context(), make([]byte, 32), 256); credit != 256 || err != nil {
		t.Errorf("jumps: %d, %v", credit, err)
	}
}

// The budget: during the start-up it is an error, later on it costs credit.
func TestSchedulerBudget(t *testing.T) {
	s, line := playScheduler(SchedulerConfig{})
	var elapsed time.Duration
	each := time.Millisecond
	line.play = func(i int) uint64 { elapsed += each; return lively(i) }
	s.elapsed = func() time.Duration { return elapsed }
	if n, err := refused(t, s, line); !errors.Is(err, ErrUnavailable) || n < 500 || n > 500+2*schedulerInterval || s.Available(256) != 0 {
		t.Errorf("%v after %d wake-ups", err, n)
	}
	if err := s.HealthTest(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("HealthTest: %v", err)
	}
	each = time.Microsecond
	if credit, err := s.GetEntropy(t.Context(), make([]byte, 32), 256); credit != 256 || err != nil {
		t.Errorf("credit %d, %v", credit, err)
	}
	each = time.Millisecond
	credit, err := s.GetEntropy(t.Context(), make([]byte, 32), 256)
	if want := 500/3 - 64; err != nil || credit < want-20 || credit > want+10 {
		t.Errorf("credit %d, %v, want about %d", credit, err, want)
	}
	// Without a clock for the budget there is an end, too.
	s, line = playScheduler(SchedulerConfig{})
	line.play = func(i int) uint64 { // nine in ten are stuck
		if i%10 == 0 {
			return lively(i)
		}
		return 26
	}
	credit, err = s.GetEntropy(t.Context(), make([]byte, 48), 384)
	if line.i > 2*schedulerMost+4 {
		t.Errorf("credit %d, %v after %d wake-ups", credit, err, line.i)
	}
}

// Rule 6: ctx is looked at before each wake-up, and while waiting for another call.
func TestSchedulerContext(t *testing.T) {
	for _, looks := range []int{0, 1, 2, 50, 300, 700, 1000} {
		s, line := playScheduler(SchedulerConfig{})
		p := bytes.Repeat([]byte{0xa5}, 50)
		credit, err := s.GetEntropy(&expiring{t.Context(), looks}, p, 256)
		if credit != 0 || !errors.Is(err, context.Canceled) || !bytes.Equal(p, make([]byte, 50)) {
			t.Errorf("%d looks: credit %d, %v", looks, credit, err)
		}
		if want := 2 * max(0, looks-1); line.i != want {
			t.Errorf("%d looks: %d wake-ups, want %d", looks, line.i, want)
		}
		if s.Available(256) != 256 {
			t.Errorf("%d looks: not available any more", looks)
		}
		if credit, err := s.GetEntropy(t.Context(), p, 256); credit != 256 || err != nil {
			t.Errorf("%d looks: then %d, %v", looks, credit, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		s, _ := playScheduler(SchedulerConfig{})
		if err := s.lock.Lock(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.GetEntropy(ctx, make([]byte, 9), 8); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := s.HealthTest(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if s.Available(256) != 256 || s.Info().Name != "scheduler" {
			t.Error("Available or Info")
		}
		s.lock.Unlock()
	})
}

// In a bubble the time of package time stands still, that of the source does not. There
// is no deadlock, and no goroutine is left behind, which would be one.
func TestSchedulerInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewScheduler(SchedulerConfig{})
		for range 2 {
			credit, err := s.GetEntropy(t.Context(), make([]byte, 32), 256)
			if err != nil && !errors.Is(err, ErrUnavailable) {
				t.Fatal(err)
			}
			t.Logf("credit %d, %v", credit, err)
		}
		start := time.Now()
		s = newScheduler(SchedulerConfig{}, func() uint64 { return uint64(time.Since(start)) }, func() time.Duration { return time.Since(start) })
		if credit, err := s.GetEntropy(t.Context(), make([]byte, 32), 256); credit != 0 || !errors.Is(err, ErrUnavailable) {
			t.Errorf("with a clock that stands: %d, %v", credit, err)
		}
	})
}

// Rule 8, B2: what is taken as noise is not in a seed: the seed is that of the events
// before and after.
func TestSchedulerNoise(t *testing.T) {
	h := new(spy)
	s, line := playScheduler(SchedulerConfig{Conditioner: h})
	// The first call finds out the step of the clock.
	p := make([]byte, 3000)
	if n, err := s.GetNoise(p); n != len(p) || err != nil {
		t.Fatal(n, err)
	}
	// The first of 101 events has no interval, the last is the first that is recorded.
	for i, x := range p[:1024] {
		if want := byte(lively(i+99) / 26); x != want {
			t.Fatalf("sample %d is %d, want %d", i, x, want)
		}
	}
	hashed := len(h.data())
	if hashed > 104 {
		t.Errorf("%d events are in the pool", hashed)
	}
	if _, err := s.GetNoise(nil); err != nil {
		t.Error(err)
	}
	n := line.i
	if credit, err := s.GetEntropy(t.Context(), make([]byte, 32), 256); credit != 256 || err != nil {
		t.Fatal(credit, err)
	}
	if got := len(h.data()) - hashed; got != line.i-n {
		t.Errorf("%d events are in the pool of %d", got, line.i-n)
	}
	if s.pool.record == nil || len(s.pool.record) != 0 || s.pool.wanted != 0 {
		t.Error("samples are left")
	}
}

// B1, B15: the test on demand takes 1024 wake-ups, which are not credited; the credit of
// those before stays.
func TestSchedulerHealthTest(t *testing.T) {
	s, line := playScheduler(SchedulerConfig{})
	if err := s.HealthTest(t.Context()); err != nil || line.i != eventsStartUp {
		t.Errorf("%v after %d wake-ups", err, line.i)
	}
	if s.pool.credit != 0 || s.pool.counted != 0 {
		t.Error("the test is credited")
	}
	if _, err := s.GetEntropy(t.Context(), make([]byte, 32), 256); err != nil {
		t.Fatal(err)
	}
	counted := s.pool.counted
	if err := s.HealthTest(t.Context()); err != nil || s.pool.counted != counted {
		t.Errorf("%v, %d counted, before %d", err, s.pool.counted, counted)
	}
	line.play = func(int) uint64 { return 0 }
	if err := s.HealthTest(t.Context()); !errors.As(err, new(*HealthError)) || s.Available(256) != 0 {
		t.Errorf("%v, available %d", err, s.Available(256))
	}
	line.play = lively
	line.next() // it belongs to the fault
	if err := s.HealthTest(t.Context()); err != nil || s.Available(256) != 256 {
		t.Errorf("%v, available %d", err, s.Available(256))
	}
	if err := s.HealthTest(&expiring{t.Context(), 20}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if credit, err := s.GetEntropy(t.Context(), make([]byte, 32), 256); credit != 256 || err != nil {
		t.Error(credit, err)
	}
}

// Calls that end in any way leave no goroutine and no lock behind, and no sample.
func TestSchedulerLeavesNothing(t *testing.T) {
	h := new(spy)
	s, line := playScheduler(SchedulerConfig{Conditioner: h})
	goroutines := func() (n int) {
		buf := make([]byte, 1<<20)
		return strings.Count(string(buf[:runtime.Stack(buf, true)]), "es.answer")
	}
	s.GetEntropy(t.Context(), make([]byte, 32), 256)
	s.GetEntropy(&expiring{t.Context(), 30}, make([]byte, 32), 256)
	h.panics.Store(true)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the hash did not panic")
			}
		}()
		s.GetEntropy(t.Context(), make([]byte, 32), 256)
	}()
	h.panics.Store(false)
	line.play = func(int) uint64 { return 0 }
	refused(t, s, line)
	line.play = lively
	s.GetNoise(make([]byte, 5))
	for try := 0; goroutines() != 0; try++ {
		// One that has closed its channel may not be gone yet.
		if try == 1000 {
			t.Fatalf("%d goroutines are left", goroutines())
		}
		time.Sleep(time.Millisecond)
	}
	if credit, err := s.GetEntropy(t.Context(), make([]byte, 32), 256); credit != 256 || err != nil {
		t.Error(credit, err)
	}
	if s.pool.digests != [3][64]byte{} || s.pool.encoded != [320]byte{} {
		t.Error("buffers are not wiped")
	}
}

func TestSchedulerClear(t *testing.T) {
	s, line := playScheduler(SchedulerConfig{})
	if _, err := s.GetEntropy(t.Context(), make([]byte, 32), 256); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s.Clear()
		if n, err := refused(t, s, line); n != 0 || !errors.Is(err, ErrUnavailable) {
			t.Errorf("%d wake-ups, %v", n, err)
		}
		if err := s.HealthTest(t.Context()); !errors.Is(err, ErrUnavailable) {
			t.Error(err)
		}
		if n, err := s.GetNoise(make([]byte, 9)); n != 0 || !errors.Is(err, ErrUnavailable) {
			t.Error(n, err)
		}
		if s.Available(256) != 0 || s.pool.credit != 0 {
			t.Error("available")
		}
	}
}

// The scheduler of this machine, by several callers at once.
func TestSchedulerConcurrent(t *testing.T) {
	s := NewScheduler(SchedulerConfig{})
	if _, err := s.GetEntropy(t.Context(), make([]byte, 1), 0); errors.Is(err, ErrUnavailable) {
		t.Skip(err)
	}
	var wg sync.WaitGroup
	var seen sync.Map
	var calls atomic.Int64
	for range 4 {
		wg.Go(func() {
			for range 3 {
				p := make([]byte, 32)
				credit, err := s.GetEntropy(t.Context(), p, 256)
				if err != nil && !errors.Is(err, ErrUnavailable) || credit > 256 {
					t.Error(credit, err)
				}
				if err == nil {
					if _, twice := seen.LoadOrStore(string(p), true); twice {
						t.Error("the same data twice")
					}
					calls.Add(1)
				}
				s.Available(256)
				s.Info()
				if _, err := s.GetNoise(make([]byte, 20)); err != nil && !errors.Is(err, ErrUnavailable) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d of 12 calls", calls.Load())
}

// No configuration, no times and no arguments make the source panic or credit more than
// it may.
func FuzzScheduler(f *testing.F) {
	f.Add(0, 0, byte(0), 32, 256, []byte{1, 200})
	f.Fuzz(func(t *testing.T, rate, osr int, conditioners byte, size, bits int, intervals []byte) {
		all := []conditioner.Conditioner{nil, conditioner.SHA256, conditioner.SHA384, conditioner.SHA512, conditioner.SHA3_256, conditioner.SHA3_384, conditioner.SHA3_512}
		c := SchedulerConfig{rate, osr, all[int(conditioners)%len(all)]}
		s, line := playScheduler(c)
		line.play = func(i int) uint64 {
			if len(intervals) == 0 {
				return 0
			}
			x := intervals[i%len(intervals)]
			if x >= 128 {
				return lively(i)
			}
			return uint64(x)
		}
		s.elapsed = func() time.Duration { return time.Duration(line.i) * 100 * time.Microsecond }
		size = min(max(size, 0), 300)
		for range 3 {
			p := make([]byte, size)
			credit, err := s.GetEntropy(t.Context(), p, bits)
			switch {
			case err != nil && (credit != 0 || !bytes.Equal(p, make([]byte, size))):
				t.Fatalf("%+v: credit %d with %v", c, credit, err)
			case credit < 0 || credit > max(bits, 0) || credit > 8*size || credit > s.Info().MaxEntropy:
				t.Fatalf("%+v: credit %d for %d bytes, %d bits", c, credit, size, bits)
			case s.Validate() != nil && err != s.Validate():
				t.Fatalf("%+v: %v with the invalid configuration", c, err)
			}
			if n := s.Available(bits); n < 0 || n > max(bits, 0) || n > s.Info().MaxEntropy {
				t.Fatalf("%+v: Available(%d) = %d", c, bits, n)
			}
		}
	})
}

func BenchmarkScheduler(b *testing.B) {
	for _, bits := range []int{128, 256, 384} {
		b.Run(fmt.Sprintf("bits=%d", bits), func(b *testing.B) {
			s := NewScheduler(SchedulerConfig{})
			p := make([]byte, bits/8)
			if _, err := s.GetEntropy(b.Context(), p, 0); err != nil {
				b.Skip(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.GetEntropy(b.Context(), p, bits); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("wake-up", func(b *testing.B) {
		s := NewScheduler(SchedulerConfig{})
		p := make([]byte, 1000)
		start := clock.Monotonic()
		n := 0
		for b.Loop() {
			m, err := s.GetNoise(p)
			if err != nil {
				b.Skip(err)
			}
			n += m
		}
		b.ReportMetric(float64(clock.Monotonic()-start)/float64(n), "ns/sample")
	})
}
