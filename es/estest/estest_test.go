package estest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng/es"
)

var testInfo = es.Info{Name: "test", MaxEntropy: 512, Health: true}

// A recorder is what a rule takes for its test. It keeps what is reported.
type recorder struct {
	testing.TB // nil: what is not replaced here panics

	mu      sync.Mutex // guards the fields below
	errors  []string
	skipped string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) FailNow() { runtime.Goexit() }

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.errors) > 0
}

func (r *recorder) Skipf(format string, args ...any) {
	r.mu.Lock()
	r.skipped = fmt.Sprintf(format, args...)
	r.mu.Unlock()
	runtime.Goexit()
}

// observe runs the rule of the given name.
func observe(t *testing.T, name string, newSource func() (es.Source, error)) *recorder {
	t.Helper()
	rec := new(recorder)
	for _, r := range rules() {
		if r.name == name {
			done := make(chan struct{})
			go func() {
				defer close(done)
				r.run(rec, newSource)
			}()
			<-done
			return rec
		}
	}
	t.Fatalf("no rule %s", name)
	return nil
}

// A gate is a mutex that leaves no goroutine behind: open ends all waiting.
type gate struct {
	lock, quit chan struct{}
}

func newGate() *gate  { return &gate{make(chan struct{}, 1), make(chan struct{})} }
func (g *gate) open() { close(g.quit) }

// Lock locks g, or returns without that when g is open.
func (g *gate) Lock() {
	select {
	case g.lock <- struct{}{}:
	case <-g.quit:
	}
}

// Unlock undoes Lock.
func (g *gate) Unlock() {
	select {
	case <-g.lock:
	case <-g.quit:
	}
}

// broken is a source with methods that can be replaced.
type broken struct {
	*Fake
	info       func() es.Info
	available  func(bits int) int
	getEntropy func(ctx context.Context, p []byte, bits int) (int, error)
}

func (b *broken) Info() es.Info {
	if b.info != nil {
		return b.info()
	}
	return b.Fake.Info()
}

func (b *broken) Available(bits int) int {
	if b.available != nil {
		return b.available(bits)
	}
	return b.Fake.Available(bits)
}

func (b *broken) GetEntropy(ctx context.Context, p []byte, bits int) (int, error) {
	if b.getEntropy != nil {
		return b.getEntropy(ctx, p, bits)
	}
	return b.Fake.GetEntropy(ctx, p, bits)
}

// The optional interfaces, each with a method that is given.
type (
	noisy struct {
		es.Source
		getNoise func(p []byte) (int, error)
	}
	tested struct {
		es.Source
		healthTest func(ctx context.Context) error
	}
	validated struct {
		es.Source
		validate func() error
	}
	notifying struct {
		es.Source
		notify func(f func())
	}
	pool struct {
		notifying
		add func(p []byte, bits int) error
	}
)

func (n noisy) GetNoise(p []byte) (int, error)        { return n.getNoise(p) }
func (h tested) HealthTest(ctx context.Context) error { return h.healthTest(ctx) }
func (v validated) Validate() error                   { return v.validate() }
func (n notifying) Notify(f func())                   { n.notify(f) }
func (p pool) Add(b []byte, bits int) error           { return p.add(b, bits) }

// lie returns a source that fills p and credits what f says.
func lie(f func(size, bits int) int) es.Source {
	b := &broken{Fake: New(testInfo)}
	b.getEntropy = func(ctx context.Context, p []byte, bits int) (int, error) {
		if _, err := b.Fake.GetEntropy(ctx, p, bits); err != nil {
			return 0, err
		}
		return f(len(p), bits), nil
	}
	return b
}

// withInfo returns a source that delivers and has the given Info.
func withInfo(info es.Info) es.Source { return New(info) }

// faults are the sources that break a rule: each makes the rule named fail with
// a message that has want in it. Cleanup ends what hangs.
var faults = []struct {
	name   string
	rule   string
	want   string
	source func(t *testing.T) es.Source
}{
	{"no name", "Info", "rule 2: Info().Name is empty", func(*testing.T) es.Source {
		return withInfo(es.Info{MaxEntropy: 256})
	}},
	{"name of control characters", "Info", "rule 2: Info().Name", func(*testing.T) es.Source {
		return withInfo(es.Info{Name: "a\nb", MaxEntropy: 256})
	}},
	{"negative MaxEntropy", "Info", "rule 2: Info().MaxEntropy = -1 is negative", func(*testing.T) es.Source {
		return withInfo(es.Info{Name: "test", MaxEntropy: -1})
	}},
	{"Info changes", "Info", "it has to be constant", func(*testing.T) es.Source {
		f := New(testInfo)
		var n atomic.Int64
		return &broken{Fake: f, info: func() es.Info {
			info := f.Info()
			info.MaxEntropy -= int(n.Add(1))
			return info
		}}
	}},
	{"Info changes on use", "Info", "it has to be constant", func(*testing.T) es.Source {
		f := New(testInfo)
		return &broken{Fake: f, info: func() es.Info {
			info := f.Info()
			info.Slow = f.Count() > 0
			return info
		}}
	}},
	{"Info hangs", "Info", "rule 2: Info did not return", func(t *testing.T) es.Source {
		g := newGate()
		g.Lock()
		t.Cleanup(g.open)
		return &broken{Fake: New(testInfo), info: func() es.Info { g.Lock(); return testInfo }}
	}},
	{"Info waits for the collection", "Prompt", "rule 2: Info did not return", func(t *testing.T) es.Source {
		g := newGate()
		f := New(testInfo, Block())
		return &broken{Fake: f,
			info: func() es.Info { g.Lock(); defer g.Unlock(); return f.Info() },
			getEntropy: func(ctx context.Context, p []byte, bits int) (int, error) {
				g.Lock()
				defer g.Unlock()
				return f.GetEntropy(ctx, p, bits)
			}}
	}},
	{"Available waits for the collection", "Prompt", "rule 2: Available(256) did not return", func(t *testing.T) es.Source {
		g := newGate()
		f := New(testInfo, Block())
		return &broken{Fake: f,
			available: func(bits int) int { g.Lock(); defer g.Unlock(); return f.Available(bits) },
			getEntropy: func(ctx context.Context, p []byte, bits int) (int, error) {
				g.Lock()
				defer g.Unlock()
				return f.GetEntropy(ctx, p, bits)
			}}
	}},
	{"Available panics", "Prompt", "rule 2: Available(256) panicked: boom", func(*testing.T) es.Source {
		return &broken{Fake: New(testInfo), available: func(int) int { panic("boom") }}
	}},
	{"short", "Fill", "rule 3: GetEntropy(67 bytes, 256 bits) returns a nil error and leaves byte 66 of p as it was", func(*testing.T) es.Source {
		return New(testInfo, Short(66))
	}},
	{"nothing written", "Fill", "rule 3: GetEntropy(1 bytes, 256 bits) returns", func(*testing.T) es.Source {
		return New(testInfo, Short(0))
	}},
	{"only whole words written", "Fill", "rule 3: GetEntropy(67 bytes, 256 bits) returns a nil error and leaves byte 64", func(*testing.T) es.Source {
		f := New(testInfo)
		return &broken{Fake: f, getEntropy: func(ctx context.Context, p []byte, bits int) (int, error) {
			return f.GetEntropy(ctx, p[:len(p)&^7], bits)
		}}
	}},
	{"only as much written as credited", "Fill", "rule 3: GetEntropy(1 bytes, 0 bits) returns", func(*testing.T) es.Source {
		f := New(testInfo)
		return &broken{Fake: f, getEntropy: func(ctx context.Context, p []byte, bits int) (int, error) {
			return f.GetEntropy(ctx, p[:min(len(p), (bits+7)/8)], bits)
		}}
	}},
	{"too much written", "Fill", "wrote behind p, at offset 1", func(*testing.T) es.Source {
		return New(testInfo, Overrun())
	}},
	{"panic", "Fill", "rule 3: GetEntropy(1 bytes, 256 bits) panicked: boom", func(*testing.T) es.Source {
		return New(testInfo, Panic("boom"))
	}},
	{"runtime error", "Fill", "panicked: runtime error: index out of range", func(*testing.T) es.Source {
		return &broken{Fake: New(testInfo), getEntropy: func(_ context.Context, p []byte, _ int) (int, error) {
			return int(p[len(p)]), nil
		}}
	}},
	{"Goexit", "Fill", "ended the goroutine", func(*testing.T) es.Source {
		return New(testInfo, Goexit())
	}},
	{"error", "Fill", "GetEntropy(1 bytes, 256 bits): broken", func(*testing.T) es.Source {
		return New(testInfo, Error(errors.New("broken")))
	}},
	{"never returns", "Fill", "did not return within", func(t *testing.T) es.Source {
		f := New(testInfo, Hang())
		t.Cleanup(f.Release)
		return f
	}},
	{"too slow", "Fill", "took longer than 1m0s", func(*testing.T) es.Source {
		return New(testInfo, Block())
	}},
	{"credit with an error", "Credit", `rule 3: GetEntropy(0 bytes, 256 bits): credit 8 together with the error "broken"`, func(*testing.T) es.Source {
		return New(testInfo, ClaimError(8, errors.New("broken")))
	}},
	{"negative credit", "Credit", "rule 4: GetEntropy(0 bytes, 256 bits): credit -1 is negative", func(*testing.T) es.Source {
		return New(testInfo, Claim(-1))
	}},
	{"least credit", "Credit", "is negative", func(*testing.T) es.Source {
		return New(testInfo, Claim(math.MinInt))
	}},
	{"absurd credit", "Credit", "is more than was asked for", func(*testing.T) es.Source {
		return New(testInfo, Claim(math.MaxInt))
	}},
	{"more credit than asked for", "Credit", "rule 4: GetEntropy(48 bytes, 256 bits): credit 257 is more than was asked for", func(*testing.T) es.Source {
		return lie(func(size, bits int) int { return max(0, min(8*size, bits+1, 512)) })
	}},
	{"credit for negative bits", "Credit", "bytes, -1 bits): credit 1 is more than was asked for", func(*testing.T) es.Source {
		return lie(func(size, bits int) int { return min(8*size, 512, max(bits, -bits)) })
	}},
	{"more credit than MaxEntropy", "Credit", "is more than Info().MaxEntropy = 512", func(*testing.T) es.Source {
		return lie(func(size, bits int) int { return max(0, min(8*size, bits)) })
	}},
	{"more credit than p has bits", "Credit", "rule 4: GetEntropy(31 bytes, 256 bits): credit 256 is more than the bits of p", func(*testing.T) es.Source {
		return lie(func(size, bits int) int { return max(0, min(512, bits)) })
	}},
	{"negative Available", "Credit", "rule 4: Available(-1) = -1", func(*testing.T) es.Source {
		return &broken{Fake: New(testInfo), available: func(bits int) int { return min(bits, 512) }}
	}},
	{"Available over MaxEntropy", "Credit", "rule 4: Available(513) = 513", func(*testing.T) es.Source {
		return &broken{Fake: New(testInfo), available: func(bits int) int { return max(0, bits) }}
	}},
	{"Available over bits", "Credit", "rule 4: Available(256) = 512", func(*testing.T) es.Source {
		return &broken{Fake: New(testInfo), available: func(bits int) int { return 512 }}
	}},
	{"delivers after a permanent failure", "Data", "rule 5: GetEntropy(32 bytes, 256 bits) delivered after the permanent failure", func(*testing.T) es.Source {
		return New(testInfo, OK(256), Health(true), OK(256))
	}},
	{"delivers although ctx is done", "Context", "rule 6: GetEntropy(1 bytes, 256 bits) returned no error although ctx was done before", func(*testing.T) es.Source {
		return New(testInfo)
	}},
	{"hangs although ctx is done", "Context", "rule 6: GetEntropy(1 bytes, 256 bits) did not return within 2s", func(t *testing.T) es.Source {
		f := New(testInfo, Hang())
		t.Cleanup(f.Release)
		return f
	}},
	{"collects on although ctx is done", "Context", "rule 6: GetEntropy(262144 bytes, 256 bits) did not return within 2s", func(*testing.T) es.Source {
		return wellBehaved(New(testInfo, Deaf(3*time.Second, OK(512))))
	}},
	{"another error than that of ctx", "Context", `returned the error "interrupted", not that of ctx, "context canceled"`, func(*testing.T) es.Source {
		return New(testInfo, Do("", func(ctx context.Context, p []byte, bits int) (int, error) {
			<-ctx.Done()
			return 0, errors.New("interrupted")
		}))
	}},
	{"always the same error when ctx is done", "Context", `returned the error "context canceled", not that of ctx, "context deadline exceeded"`, func(*testing.T) es.Source {
		return New(testInfo, Do("", func(ctx context.Context, p []byte, bits int) (int, error) {
			<-ctx.Done()
			return 0, context.Canceled
		}))
	}},
	{"broken by a cancelled call", "Context", "GetEntropy(32 bytes, 256 bits): broken pipe", func(*testing.T) es.Source {
		return New(testInfo, Block().Times(7), Error(errors.New("broken pipe")))
	}},
	{"stuck at 0", "Data", "rule 7: two calls of GetEntropy delivered the same 32 bytes", func(*testing.T) es.Source {
		return New(testInfo, Stuck(0))
	}},
	{"stuck at 1", "Data", "rule 7: two calls", func(*testing.T) es.Source {
		return New(testInfo, Stuck(0xff))
	}},
	{"stuck at a block", "Data", "rule 7: two calls", func(*testing.T) es.Source {
		return New(testInfo, Stuck([]byte("0123456789abcdef")...))
	}},
	{"one block repeated", "Data", "rule 7: two calls", func(*testing.T) es.Source {
		return New(testInfo, OK(256).Times(32), Repeat())
	}},
	{"p written after return", "Data", "rule 7: p changed after GetEntropy had returned", func(*testing.T) es.Source {
		return New(testInfo, LateWrite())
	}},
	{"same data to concurrent calls", "Concurrent", "rule 7: two calls", func(*testing.T) es.Source {
		f := New(testInfo)
		return &broken{Fake: f, getEntropy: func(ctx context.Context, p []byte, bits int) (int, error) {
			n := f.Count()
			time.Sleep(time.Millisecond)
			credit, err := f.GetEntropy(ctx, p, bits)
			copy(p, f.Data(n, len(p)))
			return credit, err
		}}
	}},
	{"hangs in concurrent calls", "Concurrent", "did not return within", func(t *testing.T) es.Source {
		g := newGate()
		t.Cleanup(g.open)
		f := New(testInfo)
		return &broken{Fake: f, getEntropy: func(ctx context.Context, p []byte, bits int) (int, error) {
			g.Lock() // and never unlocks
			return f.GetEntropy(ctx, p, bits)
		}}
	}},
	{"GetNoise hangs in concurrent use", "Concurrent", "rule 1: one of the other methods, called during GetEntropy, did not return", func(t *testing.T) es.Source {
		g := newGate()
		t.Cleanup(g.open)
		return noisy{New(testInfo), func(p []byte) (int, error) { g.Lock(); return 0, nil }}
	}},
	{"more noise than asked for", "GetNoise", "GetNoise(64 bytes) = 65", func(*testing.T) es.Source {
		return noisy{New(testInfo), func(p []byte) (int, error) { return len(p) + 1, nil }}
	}},
	{"negative number of samples", "GetNoise", "GetNoise(64 bytes) = -1", func(*testing.T) es.Source {
		return noisy{New(testInfo), func(p []byte) (int, error) { return -1, nil }}
	}},
	{"noise for an empty p", "GetNoise", "GetNoise(0 bytes) = 1", func(*testing.T) es.Source {
		return noisy{New(testInfo), func(p []byte) (int, error) { return 1, nil }}
	}},
	{"no noise", "GetNoise", "GetNoise(64 bytes): no noise", func(*testing.T) es.Source {
		return noisy{New(testInfo), func(p []byte) (int, error) { return 0, errors.New("no noise") }}
	}},
	{"GetNoise panics", "GetNoise", "GetNoise panicked: boom", func(*testing.T) es.Source {
		return noisy{New(testInfo), func(p []byte) (int, error) { panic("boom") }}
	}},
	{"noise that becomes a seed", "GetNoise", "samples that GetNoise handed out are part of a seed", func(*testing.T) es.Source {
		f := New(testInfo)
		return noisy{f, func(p []byte) (int, error) { return copy(p, f.Data(f.Count(), 64)[5:]), nil }}
	}},
	{"noise that was a seed", "GetNoise", "samples that GetNoise handed out are part of a seed", func(*testing.T) es.Source {
		f := New(testInfo)
		return noisy{f, func(p []byte) (int, error) { return copy(p, f.Data(f.Count()-1, 64)[7:]), nil }}
	}},
	{"noise that uses up entropy", "GetNoise", "rule 8: GetNoise used up entropy: Available(512) fell from 512 to 511", func(*testing.T) es.Source {
		f := New(testInfo)
		return noisy{f, func(p []byte) (int, error) { f.SetRate(511); return 0, nil }}
	}},
	{"health test fails", "HealthTest", "HealthTest: out of order", func(*testing.T) es.Source {
		return tested{New(testInfo), func(context.Context) error { return errors.New("out of order") }}
	}},
	{"health test ignores ctx", "HealthTest", "rule 6: HealthTest, ctx done before, did not return within 2s", func(*testing.T) es.Source {
		return tested{New(testInfo), func(context.Context) error { time.Sleep(3 * time.Second); return nil }}
	}},
	{"health test hangs", "HealthTest", "HealthTest did not return", func(t *testing.T) es.Source {
		g := newGate()
		g.Lock()
		t.Cleanup(g.open)
		return tested{New(testInfo), func(context.Context) error { g.Lock(); return nil }}
	}},
	{"health test uses up entropy", "HealthTest", "rule 8: HealthTest used up entropy", func(*testing.T) es.Source {
		f := New(testInfo)
		return tested{f, func(context.Context) error { f.SetRate(0); return nil }}
	}},
	{"health test breaks the source", "HealthTest", "GetEntropy(32 bytes, 256 bits): broken", func(*testing.T) es.Source {
		f := New(testInfo)
		return tested{f, func(context.Context) error { f.SetDead(errors.New("broken")); return nil }}
	}},
	{"Notify hangs", "Notify", "Notify did not return", func(t *testing.T) es.Source {
		g := newGate()
		g.Lock()
		t.Cleanup(g.open)
		return notifying{New(testInfo), func(func()) { g.Lock() }}
	}},
	{"GetEntropy notifies with a lock held", "Notify", "GetEntropy (it may hold a lock", func(t *testing.T) es.Source {
		g := newGate()
		t.Cleanup(g.open)
		var notify []func()
		f := New(testInfo)
		return notifying{&broken{Fake: f,
			available: func(bits int) int { g.Lock(); defer g.Unlock(); return f.Available(bits) },
			getEntropy: func(ctx context.Context, p []byte, bits int) (int, error) {
				g.Lock()
				defer g.Unlock()
				for _, f := range notify {
					f()
				}
				return f.GetEntropy(ctx, p, bits)
			},
		}, func(f func()) { notify = append(notify, f) }}
	}},
	{"Add notifies with a lock held", "Notify", "Add (it may hold a lock", func(t *testing.T) es.Source {
		g := newGate()
		t.Cleanup(g.open)
		var notify []func()
		f := New(testInfo)
		return pool{
			notifying{&broken{Fake: f, available: func(bits int) int { g.Lock(); defer g.Unlock(); return f.Available(bits) }},
				func(f func()) { notify = append(notify, f) }},
			func([]byte, int) error {
				g.Lock()
				defer g.Unlock()
				for _, f := range notify {
					f()
				}
				return nil
			}}
	}},
	{"Add does not notify", "Notify", "rose from 0 to 128, and function 1 given to Notify was not called", func(*testing.T) es.Source {
		f := New(testInfo)
		f.SetRate(0)
		return pool{notifying{f, func(func()) {}}, func([]byte, int) error { f.SetRate(128); return nil }}
	}},
	{"only the last function is notified", "Notify", "function 1 given to Notify was not called", func(*testing.T) es.Source {
		f := New(testInfo)
		f.SetRate(0)
		var notify func()
		return pool{notifying{f, func(f func()) { notify = f }}, func([]byte, int) error { f.SetRate(128); notify(); return nil }}
	}},
	{"Add fails", "Notify", "Add: full", func(*testing.T) es.Source {
		return pool{notifying{New(testInfo), func(func()) {}}, func([]byte, int) error { return errors.New("full") }}
	}},
	{"Notify uses up entropy", "Notify", "rule 8: Notify used up entropy", func(*testing.T) es.Source {
		f := New(testInfo)
		return notifying{f, func(func()) { f.SetRate(0) }}
	}},
	{"not valid", "Validate", "Validate: Rate: out of range", func(*testing.T) es.Source {
		return validated{New(testInfo), func() error { return errors.New("Rate: out of range") }}
	}},
	{"Validate hangs", "Validate", "Validate did not return", func(t *testing.T) es.Source {
		g := newGate()
		g.Lock()
		t.Cleanup(g.open)
		return validated{New(testInfo), func() error { g.Lock(); return nil }}
	}},
}

// wellBehaved returns a source that does not begin when ctx is done.
func wellBehaved(f *Fake) *broken {
	return &broken{Fake: f, getEntropy: func(ctx context.Context, p []byte, bits int) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return f.GetEntropy(ctx, p, bits)
	}}
}

func TestRunFindsFaults(t *testing.T) {
	covered := make(map[string]bool)
	for _, tt := range faults {
		covered[tt.rule] = true
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rec := observe(t, tt.rule, func() (es.Source, error) { return tt.source(t), nil })
				if !strings.Contains(strings.Join(rec.errors, "\n"), tt.want) {
					t.Errorf("%s reported %q, skipped for %q; want %q", tt.rule, rec.errors, rec.skipped, tt.want)
				}
				time.Sleep(time.Hour) // in the bubble: for what still sleeps to end
			})
		})
	}
	for _, r := range rules() {
		if !covered[r.name] {
			t.Errorf("no fault makes %s fail", r.name)
		}
	}
}

// allOptional is a source that keeps the rules of all interfaces.
type allOptional struct {
	*broken
	*Notifier
}

func (s allOptional) Info() es.Info          { return s.broken.Info() }
func (s allOptional) Available(bits int) int { return s.broken.Available(bits) }
func (s allOptional) GetEntropy(ctx context.Context, p []byte, bits int) (int, error) {
	s.Signal()
	return s.broken.GetEntropy(ctx, p, bits)
}
func (s allOptional) GetNoise(p []byte) (int, error)       { return copy(p, s.Data(1<<30, len(p))), nil }
func (s allOptional) HealthTest(ctx context.Context) error { return ctx.Err() }
func (s allOptional) Validate() error                      { return nil }
func (s allOptional) Data(i, size int) []byte              { return s.Notifier.Data(i, size) }
func (s allOptional) Add(p []byte, bits int) error {
	s.SetRate(512)
	s.Signal()
	return nil
}
func (s allOptional) SetRate(bits int) { s.broken.SetRate(bits) }

func TestRunAccepts(t *testing.T) {
	slow := testInfo
	slow.Slow = true
	for _, tt := range []struct {
		name   string
		source func() es.Source
	}{
		{"honest", func() es.Source { return wellBehaved(New(testInfo)) }},
		{"without credit", func() es.Source { return wellBehaved(New(es.Info{Name: "none"})) }},
		{"without entropy", func() es.Source { return wellBehaved(New(testInfo, OK(0))) }},
		{"less than asked for", func() es.Source { return wellBehaved(New(testInfo, OK(3))) }},
		{"slow", func() es.Source { return wellBehaved(New(slow, Slow(3*time.Second, OK(256)))) }},
		{"all optional interfaces", func() es.Source {
			s := allOptional{wellBehaved(New(testInfo)), NewNotifier(es.Info{Name: "noise"})}
			s.SetRate(0)
			return s
		}},
		{"refuses much", func() es.Source {
			f := wellBehaved(New(testInfo))
			return &broken{Fake: f.Fake, getEntropy: func(ctx context.Context, p []byte, bits int) (int, error) {
				if len(p) > 1000 {
					return 0, errors.New("too much")
				}
				return f.GetEntropy(ctx, p, bits)
			}}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, r := range rules() {
					rec := observe(t, r.name, func() (es.Source, error) { return tt.source(), nil })
					if rec.Failed() || rec.skipped != "" {
						t.Errorf("%s reported %q, skipped for %q", r.name, rec.errors, rec.skipped)
					}
				}
			})
		})
	}
}

// An unavailable source is skipped where data are needed, and what can be
// checked is.
func TestRunUnavailable(t *testing.T) {
	unavailable := fmt.Errorf("no such device: %w", es.ErrUnavailable)
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rec := observe(t, r.name, func() (es.Source, error) { return nil, unavailable })
				if rec.Failed() || !strings.Contains(rec.skipped, "no such device") {
					t.Errorf("constructor: reported %q, skipped for %q", rec.errors, rec.skipped)
				}
				rec = observe(t, r.name, func() (es.Source, error) {
					return noisy{tested{New(testInfo, Error(unavailable)), func(context.Context) error { return unavailable }},
						func([]byte) (int, error) { return 0, unavailable }}, nil
				})
				needsData := r.name != "Prompt" && r.name != "Notify" && r.name != "Validate" && r.name != "HealthTest"
				if rec.Failed() || needsData && !strings.Contains(rec.skipped, "no such device") {
					t.Errorf("source: reported %q, skipped for %q", rec.errors, rec.skipped)
				}
			})
		})
	}
	// Only the optional method is unavailable.
	for _, tt := range []struct {
		rule, want string
		source     es.Source
	}{
		{"GetNoise", "noise cannot be checked: no such device", noisy{New(testInfo), func([]byte) (int, error) { return 0, unavailable }}},
		{"HealthTest", "health tests cannot be run: no such device", tested{New(testInfo), func(context.Context) error { return unavailable }}},
	} {
		rec := observe(t, tt.rule, func() (es.Source, error) { return tt.source, nil })
		if rec.Failed() || !strings.Contains(rec.skipped, tt.want) {
			t.Errorf("%s: reported %q, skipped for %q, want %q", tt.rule, rec.errors, rec.skipped, tt.want)
		}
	}
	// Unavailable and broken.
	for _, tt := range []struct {
		rule, want string
		source     es.Source
	}{
		{"Info", "Info().Name is empty", New(es.Info{}, Unavailable())},
		{"Credit", "credit 9 together with the error", New(testInfo, ClaimError(9, unavailable))},
		{"Credit", "Available(256) = 513", &broken{Fake: New(testInfo, Unavailable()), available: func(int) int { return 513 }}},
		{"Fill", "wrote behind p", New(testInfo, Do("", func(_ context.Context, p []byte, _ int) (int, error) {
			p[:len(p)+1][len(p)] = 0
			return 0, unavailable
		}))},
	} {
		rec := observe(t, tt.rule, func() (es.Source, error) { return tt.source, nil })
		if !strings.Contains(strings.Join(rec.errors, "\n"), tt.want) {
			t.Errorf("%s reported %q, want %q", tt.rule, rec.errors, tt.want)
		}
	}
}

func TestRunConstructor(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		newSource  func() (es.Source, error)
	}{
		{"error", "new source: no", func() (es.Source, error) { return nil, errors.New("no") }},
		{"nil", "new source: nil", func() (es.Source, error) { return nil, nil }},
	} {
		rec := observe(t, "Info", tt.newSource)
		if len(rec.errors) != 1 || rec.errors[0] != tt.want {
			t.Errorf("%s: reported %q, want %q", tt.name, rec.errors, tt.want)
		}
	}
}

// Both forms of the constructor, in real time.
func TestRun(t *testing.T) {
	Run(t, func() es.Source { return wellBehaved(New(testInfo)) })
	Run(t, func() (es.Source, error) { return wellBehaved(New(testInfo)), nil })
}

// TestRunFails executes this binary again, to see a test that uses Run fail.
func TestRunFails(t *testing.T) {
	const env = "ESTEST_RUN_A_LIAR"
	if os.Getenv(env) != "" {
		Run(t, func() es.Source { return New(testInfo, Claim(513)) })
		return
	}
	exe, err := os.Executable()
	if err != nil || runtime.GOOS == "js" || runtime.GOOS == "wasip1" {
		t.Skip("this system cannot execute the test binary: ", err)
	}
	cmd := exec.Command(exe, "-test.run=^TestRunFails$/^Credit$")
	cmd.Env = append(os.Environ(), env+"=1")
	out, err := cmd.CombinedOutput()
	if _, ok := err.(*exec.ExitError); !ok {
		t.Fatalf("the test binary ended with %v, want a failure:\n%s", err, out)
	}
	for _, want := range []string{"--- FAIL: TestRunFails/Credit", "rule 4: "} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the output does not have %q:\n%s", want, out)
		}
	}
}
