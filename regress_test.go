package lrng

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
	"github.com/lrng-go/lrng/internal/selftest"
	"github.com/lrng-go/lrng/seeding"
)

var errDry = errors.New("source is dry")

// A tap is a source that delivers while open says so.
type tap struct {
	countSource
	open func(bits int) bool
}

func (s *tap) GetEntropy(ctx context.Context, p []byte, bits int) (int, error) {
	if !s.open(bits) {
		return 0, errDry
	}
	return s.countSource.GetEntropy(ctx, p, bits)
}

// A valve opens and shuts a tap; it is shut at first.
type valve struct{ flows atomic.Bool }

func (v *valve) tap() *tap { return &tap{open: func(int) bool { return v.flows.Load() }} }

func scripted(name string, steps ...estest.Step) *estest.Fake {
	return estest.New(es.Info{Name: name, MaxEntropy: 512}, steps...)
}

// A hook is a log handler that calls a function.
type hook func(slog.Record)

func (hook) Enabled(context.Context, slog.Level) bool        { return true }
func (h hook) Handle(_ context.Context, r slog.Record) error { h(r); return nil }
func (h hook) WithAttrs([]slog.Attr) slog.Handler            { return h }
func (h hook) WithGroup(string) slog.Handler                 { return h }

// A mechanismSpy is a mechanism that is not ours, with functions before its methods.
type mechanismSpy struct {
	drng.DRNG
	seed     func(seed, additional []byte)
	generate func(d drng.DRNG, out []byte) // after it
}

func (d *mechanismSpy) Seed(seed, additional []byte) error {
	if d.seed != nil {
		d.seed(seed, additional)
	}
	return d.DRNG.Seed(seed, additional)
}

func (d *mechanismSpy) Generate(out, additional []byte) error {
	err := d.DRNG.Generate(out, additional)
	if err == nil && d.generate != nil {
		d.generate(d.DRNG, out)
	}
	return err
}

func ctr(c drng.CTRConfig) func() (drng.DRNG, error) {
	return func() (drng.DRNG, error) { return drng.NewCTR(c) }
}

// levelSpy is the default strategy, with a function before each judgement.
type levelSpy struct {
	seeding.Strategy
	before func([]seeding.Credit)
}

func (s levelSpy) Level(c []seeding.Credit, strength int, st seeding.Stage) seeding.Level {
	s.before(c)
	return s.Strategy.Level(c, strength, st)
}

// returns fails the test if f does not return: it waits for a lock that nobody will
// release. Such a wait is no deadlock to a synctest bubble.
func returns(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatalf("%s does not return", what)
	}
}

// alone reports whether the test is in a process of its own, where a self-test may
// fail: that is final for a process. If not, it runs the test in one.
func alone(t *testing.T) bool {
	t.Helper()
	const env = "LRNG_TEST_ALONE"
	if os.Getenv(env) == t.Name() {
		return true
	}
	switch runtime.GOOS {
	case "js", "wasip1", "ios", "android":
		t.Skipf("no child processes on %s", runtime.GOOS)
	}
	self, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	pattern := "^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
	cmd := exec.Command(self, "-test.run="+pattern, "-test.v", "-test.timeout=1m")
	// The race detector makes a process wait for a second at its end by default.
	cmd.Env = append(os.Environ(), env+"="+t.Name(), "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("in a process of its own: %v\n%s", err, out)
	}
	return false
}

type nilError struct{ text *string }

func (e *nilError) Error() string { return *e.text }

// The text of an error is the source's own code.
func TestSourceErrorThatPanics(t *testing.T) {
	outsideFIPS(t)
	for name, bad := range map[string]error{
		"nil *es.HealthError": (*es.HealthError)(nil),
		"panicking Error":     &nilError{},
	} {
		logged := make(chan string, 100)
		r := white(t, Config{
			Sources: []es.Source{&countSource{}, scripted("bad", estest.Error(bad))},
			Logger:  slog.New(hook(func(rec slog.Record) { logged <- rec.Message })),
		})
		if _, err := r.Read(make([]byte, 8)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for m := ""; m != "lrng: source failed"; {
			select {
			case m = <-logged:
			case <-time.After(time.Minute):
				t.Fatalf("%s: not logged", name)
			}
		}
		for _, s := range r.Status().Sources {
			if s.Name == "bad" && s.Health != healthFailed {
				t.Errorf("%s: health %q", name, s.Health)
			}
		}
	}
}

// A mechanism that takes seeds of 384 bits does not come into use if meanwhile the
// hash has become one of 256.
func TestSwitchDuringSwitch(t *testing.T) {
	outsideFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		var v valve
		v.flows.Store(true)
		r := white(t, Config{Sources: []es.Source{v.tap()}})
		if _, err := r.Read(make([]byte, 8)); err != nil {
			t.Fatal(err)
		}
		before := r.Status().DRNG
		v.flows.Store(false)
		switched := make(chan error)
		go func() {
			switched <- r.SetDRNG(func() (drng.DRNG, error) {
				d, err := drng.NewCTR(drng.CTRConfig{NoDF: true})
				return &mechanismSpy{DRNG: d, seed: func(seed, _ []byte) {
					if bytes.HasSuffix(seed, make([]byte, 16)) {
						t.Errorf("a seed that ends in zeros: %x", seed)
					}
				}}, err
			})
		}()
		synctest.Wait()
		if err := r.SetConditioner(conditioner.SHA256); err != nil {
			t.Fatal(err)
		}
		v.flows.Store(true)
		if err := <-switched; err == nil {
			t.Error("SetDRNG: no error")
		}
		if got := r.Status().DRNG; got != before {
			t.Errorf("the mechanism is %s after a switch that failed, was %s", got, before)
		}
		if _, err := r.Read(make([]byte, 8)); err != nil {
			t.Error(err)
		}
	})
}

// A collection that was begun for one mechanism and ends under a stronger one brings
// what that needs.
func TestReseedFollowsSwitch(t *testing.T) {
	outsideFIPS(t)
	weaker := ctr(drng.CTRConfig{KeyBits: 128})
	t.Run("before each request", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var v valve
			r := white(t, Config{Sources: []es.Source{v.tap()}, ReseedInterval: -1, DRNG: weaker})
			read := make(chan error)
			go func() { _, err := r.Read(make([]byte, 64)); read <- err }()
			synctest.Wait()
			if err := r.SetDRNG(func() (drng.DRNG, error) { return drng.NewChaCha20(), nil }); err != nil {
				t.Fatal(err)
			}
			v.flows.Store(true)
			if err := <-read; err != nil {
				t.Fatal(err)
			}
			if st := r.Status(); st.Instances[0].LastCredit < st.SecurityStrength {
				t.Errorf("%s of %d bits was seeded with %d", st.DRNG, st.SecurityStrength, st.Instances[0].LastCredit)
			}
		})
	})
	t.Run("prediction resistance", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var only atomic.Int32 // what the source answers: requests of so many bits, or -1 for all
			only.Store(-1)
			src := &tap{open: func(bits int) bool { n := int(only.Load()); return n < 0 || n == bits }}
			r := white(t, Config{Sources: []es.Source{src}, DRNG: weaker})
			if _, err := r.Read(make([]byte, 8)); err != nil {
				t.Fatal(err)
			}
			only.Store(0)
			read := make(chan error)
			go func() { _, err := r.PredictionResistant().Read(make([]byte, 16)); read <- err }()
			synctest.Wait()
			only.Store(256) // those of the switch alone
			if err := r.SetDRNG(ctr(drng.CTRConfig{NoDF: true})); err != nil {
				t.Fatal(err)
			}
			only.Store(-1)
			if err := <-read; err != nil {
				t.Fatal(err)
			}
			// SP 800-90C, Section 3.2.2.2: a seed of 384 bits takes 448.
			if got := r.Status().PredictionResistance.LastCredit; got < 448 {
				t.Errorf("instantiated with %d bits", got)
			}
		})
	})
}

// A switch that gives a seed to shard 0, which has lost its own meanwhile, serves those
// who wait for one.
func TestSwitchWakesWaiters(t *testing.T) {
	outsideFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		var once atomic.Bool // one request of 256 bits is answered, that of the switch
		seeded := false
		src := &tap{open: func(bits int) bool {
			return !seeded || bits == 256 && once.Swap(false)
		}}
		r := white(t, Config{Sources: []es.Source{src}, MaxWithoutReseed: 2, OutputBuffer: -1, DRNG: ctr(drng.CTRConfig{KeyBits: 128})})
		b := make([]byte, 8)
		if _, err := r.Read(b); err != nil {
			t.Fatal(err)
		}
		seeded = true
		switched := make(chan error, 1)
		go func() { switched <- r.SetDRNG(func() (drng.DRNG, error) { return drng.NewChaCha20(), nil }) }()
		synctest.Wait()
		if _, err := r.Read(b); err != nil { // the last one of the seed
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		read := make(chan error, 1)
		go func() { _, err := r.ReadContext(ctx, make([]byte, 8)); read <- err }()
		synctest.Wait()
		once.Store(true)
		if err := <-switched; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		select {
		case err := <-read:
			if err != nil {
				t.Error(err)
			}
		default:
			st := r.Status()
			t.Errorf("not served; shard 0 seeded: %v, level %v", st.Instances[0].Seeded, st.Level)
		}
	})
}

// Entropy that is announced while a round is under way ends the pause after it.
func TestAnnouncementDuringFailingRound(t *testing.T) {
	outsideFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		var r *RNG
		var add atomic.Bool
		r = white(t, Config{Sources: []es.Source{&tap{open: func(int) bool {
			time.Sleep(time.Millisecond) // the auxiliary pool has answered
			if add.Swap(false) {
				if err := r.AddEntropy(bytes.Repeat([]byte{7}, 32), 256); err != nil {
					t.Error(err)
				}
			}
			return false
		}}}})
		read := func() error { _, err := r.Nonblocking().Read(make([]byte, 8)); return err }
		for range 600 { // until the pause is the longest
			read()
			time.Sleep(time.Second)
		}
		add.Store(true)
		for add.Load() {
			read()
			time.Sleep(10 * time.Millisecond)
		}
		start := time.Now()
		for read() != nil && time.Since(start) < longestPause {
			time.Sleep(10 * time.Millisecond)
		}
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("used after %v only", d)
		}
	})
}

// The self-tests are repeated every ten minutes, whatever the generator is used for.
func TestPeriodicTestsForEveryUse(t *testing.T) {
	outsideFIPS(t)
	for name, use := range map[string]func(*RNG, []byte) (int, error){
		"reseed before each request": (*RNG).Read,
		"prediction resistance":      func(r *RNG, b []byte) (int, error) { return r.PredictionResistant().Read(b) },
		"seeds":                      func(r *RNG, b []byte) (int, error) { return r.SeedReader().Read(b) },
	} {
		synctest.Test(t, func(t *testing.T) {
			var c Config
			if name == "reseed before each request" {
				c.ReseedInterval = -1
			}
			r := white(t, c)
			for range 25 {
				if _, err := use(r, make([]byte, 16)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
			}
			if n := r.Status().SelfTests; n != 2 {
				t.Errorf("%s: %d runs in 25 minutes", name, n)
			}
		})
	}
}

// Requests that come while the tests run do not have them run once more.
func TestTestsOncePerInterval(t *testing.T) {
	outsideFIPS(t)
	r := white(t, Config{})
	if _, err := r.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop.Store(true)
	wg.Go(func() {
		for b := make([]byte, 8); !stop.Load(); {
			r.Read(b)
		}
	})
	for i := range uint64(3) {
		r.tested.old.Store(true) // as the timer does
		for end := time.Now().Add(time.Minute); r.Status().SelfTests <= i && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		for r.worker.Load() != idle {
			time.Sleep(time.Millisecond)
		}
		if n := r.Status().SelfTests; n != i+1 {
			t.Fatalf("%d runs in %d intervals", n, i+1)
		}
	}
}

// After a failed self-test nothing comes out that was collected before, and all state
// is wiped even if the logger takes its time (T19, Z1).
func TestNothingAfterSelfTestFailure(t *testing.T) {
	outsideFIPS(t)
	t.Run("collection", func(t *testing.T) {
		if alone(t) {
			synctest.Test(t, nothingCollected)
		}
	})
	t.Run("request", func(t *testing.T) {
		if alone(t) {
			synctest.Test(t, nothingRequested)
		}
	})
	t.Run("closing", func(t *testing.T) {
		if alone(t) {
			closeDuringFailure(t)
		}
	})
}

func nothingCollected(t *testing.T) {
	blocked, block, held := make(chan struct{}), make(chan struct{}), make(chan struct{})
	calls := 0
	src := &tap{open: func(int) bool {
		if calls++; calls == 3 {
			<-held
		}
		return true
	}}
	r := white(t, Config{Sources: []es.Source{src}, OutputBuffer: 1024, Logger: slog.New(hook(func(rec slog.Record) {
		if rec.Level == slog.LevelError {
			close(blocked)
			<-block
		}
	}))})
	if _, err := r.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	out := make([]byte, 20*seedBlock)
	read := make(chan error)
	go func() { _, err := r.SeedReader().Read(out); read <- err }()
	synctest.Wait()
	if err := r.AddEntropy(make([]byte, 64), 256); err != nil {
		t.Fatal(err)
	}
	selftest.Fail("injected")
	close(held)
	if err := <-read; !errors.Is(err, ErrSelfTest) || !bytes.Equal(out, make([]byte, len(out))) {
		t.Errorf("SeedReader: %v, %x", err, out)
	}
	<-blocked
	h := r.shards.LockIndex(0)
	if h.Value.seeded || !bytes.Equal(h.Value.ahead, make([]byte, len(h.Value.ahead))) {
		t.Error("shard 0 is not wiped while the logger blocks")
	}
	h.Unlock()
	if n := r.aux.Available(256); n != 0 {
		t.Errorf("the auxiliary pool has %d bits", n)
	}
	close(block)
}

// The failure comes between the last look at the context and the use of the seed.
func nothingRequested(t *testing.T) {
	var judged, last int
	failed, goOn := make(chan struct{}), make(chan struct{})
	c := Config{OutputBuffer: -1, ReseedInterval: -1, Sources: []es.Source{&countSource{}},
		Strategy: levelSpy{seeding.Default, func(c []seeding.Credit) {
			if seeding.Sum(c) < 256 {
				return
			}
			if judged++; judged == last {
				close(failed)
				<-goOn
			}
		}},
		// A mechanism that does not know of the failure itself.
		DRNG: func() (drng.DRNG, error) { return new(copier), nil },
	}
	b := make([]byte, 32)
	if _, err := white(t, c).Read(b); err != nil {
		t.Fatal(err)
	}
	last, judged = judged, 0
	r := white(t, c)
	read := make(chan error)
	go func() { _, err := r.Read(b); read <- err }()
	<-failed
	selftest.Fail("injected")
	synctest.Wait()
	close(goOn)
	if err := <-read; !errors.Is(err, ErrSelfTest) || !bytes.Equal(b, make([]byte, len(b))) {
		t.Errorf("Read: %v, %x", err, b)
	}
	synctest.Wait()
	h := r.shards.LockIndex(0)
	defer h.Unlock()
	if h.Value.seeded || h.Value.d.(*copier).state != [32]byte{} {
		t.Error("shard 0 has a state")
	}
}

// A copier outputs its seed: what uses no code of ours.
type copier struct{ state [32]byte }

func (*copier) Info() drng.Info {
	return drng.Info{Name: "copier", SecurityStrength: 256, MaxRequest: 65536, ReseedInterval: 1 << 40}
}
func (d *copier) Seed(seed, _ []byte) error { copy(d.state[:], seed); return nil }
func (d *copier) Clear()                    { clear(d.state[:]) }
func (d *copier) Generate(out, _ []byte) error {
	if d.state == [32]byte{} {
		return drng.ErrNotSeeded
	}
	copy(out, d.state[:])
	return nil
}

// For the race detector.
func closeDuringFailure(t *testing.T) {
	var all []*RNG
	for range 50 {
		r := white(t, Config{OutputBuffer: -1})
		if _, err := r.PredictionResistant().Read(make([]byte, 8)); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	go selftest.Fail("injected")
	for _, r := range all {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The first output of every instance is compared with the known answers, however it
// came into use (T19).
func TestKnownAnswerInEveryInstance(t *testing.T) {
	outsideFIPS(t)
	var answer []byte
	for _, test := range selftest.All() {
		if answer = test.Answer(); len(answer) >= 16 {
			break
		}
	}
	if len(answer) < 16 {
		t.Fatalf("the answer has %d bytes", len(answer))
	}
	parrot := func() (drng.DRNG, error) {
		return &mechanismSpy{DRNG: drng.NewChaCha20(), generate: func(_ drng.DRNG, out []byte) { copy(out, answer) }}, nil
	}
	for name, read := range map[string]func(*testing.T, []byte) (int, error){
		"switched": func(t *testing.T, b []byte) (int, error) {
			r := white(t, Config{OutputBuffer: -1})
			if _, err := r.Read(b); err != nil {
				t.Fatal(err)
			}
			if err := r.SetDRNG(parrot); err != nil {
				t.Fatal(err)
			}
			return r.Read(b)
		},
		"prediction_resistance": func(t *testing.T, b []byte) (int, error) {
			return white(t, Config{OutputBuffer: -1, DRNG: parrot}).PredictionResistant().Read(b)
		},
		"short_first": func(t *testing.T, b []byte) (int, error) {
			r := white(t, Config{OutputBuffer: -1, DRNG: parrot})
			if _, err := r.Read(b[:15]); err != nil {
				t.Fatal(err)
			}
			return r.Read(b)
		},
		"ahead": func(t *testing.T, b []byte) (int, error) {
			return white(t, Config{OutputBuffer: 1000, DRNG: parrot}).Read(b[:1])
		},
	} {
		t.Run(name, func(t *testing.T) {
			if !alone(t) {
				return
			}
			b := make([]byte, 16)
			if n, err := read(t, b); n != 0 || !errors.Is(err, ErrSelfTest) || !bytes.Equal(b, make([]byte, 16)) {
				t.Errorf("%d, %v, %x", n, err, b)
			}
		})
	}
}

// A mechanism that panics is one that fails.
func TestForeignPanicLeavesNoLock(t *testing.T) {
	outsideFIPS(t)
	for name, use := range map[string]func(*RNG) error{
		"request":               func(r *RNG) error { _, err := r.Read(make([]byte, 8)); return err },
		"reseed":                func(r *RNG) error { return r.Reseed(context.Background()) },
		"prediction resistance": func(r *RNG) error { _, err := r.PredictionResistant().Read(make([]byte, 8)); return err },
	} {
		var broken atomic.Bool
		fail := func() {
			if broken.Load() {
				panic("broken mechanism")
			}
		}
		r, err := New(Config{Shards: 1, OutputBuffer: -1, Sources: []es.Source{&countSource{}}, DRNG: func() (drng.DRNG, error) {
			return &mechanismSpy{drng.NewChaCha20(), func(_, _ []byte) { fail() }, func(drng.DRNG, []byte) { fail() }}, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Read(make([]byte, 8)); err != nil {
			t.Fatal(err)
		}
		broken.Store(true)
		returns(t, name, func() {
			defer func() {
				if v := recover(); v != nil {
					t.Errorf("%s: the panic is passed on: %v", name, v)
				}
			}()
			if use(r) == nil {
				t.Errorf("%s: no error", name)
			}
		})
		broken.Store(false)
		returns(t, name+", once more", func() {
			if err := use(r); err != nil {
				t.Errorf("%s, once more: %v", name, err)
			}
		})
		returns(t, "Status", func() { r.Status() })
		returns(t, "Close", func() { r.Close() })
	}
}

// A strategy that panics makes no level.
func TestStrategyThatPanics(t *testing.T) {
	outsideFIPS(t)
	var broken atomic.Bool
	r, err := New(Config{Shards: 1, OutputBuffer: -1, Sources: []es.Source{&countSource{}}, Strategy: levelSpy{seeding.Default, func([]seeding.Credit) {
		if broken.Load() {
			panic("broken strategy")
		}
	}}})
	if err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	read := func(f func(context.Context, []byte) (int, error), want error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		b := bytes.Repeat([]byte{0xa5}, 8)
		returns(t, "read", func() {
			if n, err := f(ctx, b); n != 0 || !errors.Is(err, want) || !bytes.Equal(b, make([]byte, 8)) {
				t.Errorf("%d, %v, %x; want 0, %v", n, err, b, want)
			}
		})
	}
	read(func(_ context.Context, b []byte) (int, error) { return r.Nonblocking().Read(b) }, ErrNotSeeded)
	read(r.ReadContext, context.DeadlineExceeded)
	if l := r.Status().Level; l != seeding.Unseeded {
		t.Errorf("level %v", l)
	}
	broken.Store(false)
	returns(t, "Read", func() {
		if _, err := r.Read(make([]byte, 8)); err != nil {
			t.Error(err)
		}
	})
	broken.Store(true)
	read(r.PredictionResistant().(FreshReader).ReadContext, context.DeadlineExceeded)
	returns(t, "Status", func() { r.Status() })
	returns(t, "Close", func() { r.Close() })
}

// Two instances with one state would give the same output, and race.
func TestSameInstanceIsRefused(t *testing.T) {
	outsideFIPS(t)
	d := drng.NewChaCha20()
	same := func() (drng.DRNG, error) { return d, nil }
	for _, shards := range []int{1, 2} {
		// One shard shares with the instance for prediction resistance.
		if r, err := New(Config{Shards: shards, Sources: []es.Source{&countSource{}}, DRNG: same}); !errors.Is(err, errSameInstance) {
			t.Errorf("New, %d shards: generator %t, %v", shards, r != nil, err)
		}
		r := white(t, Config{Shards: shards})
		if err := r.SetDRNG(same); !errors.Is(err, errSameInstance) {
			t.Errorf("SetDRNG, %d shards: %v", shards, err)
		}
		if _, err := r.Read(make([]byte, 8)); err != nil {
			t.Errorf("after the switch that was refused: %v", err)
		}
	}
}

// The personalization string is in the first seed of every instance, and in that one
// alone (SP 800-90A, Section 8.7.1).
func TestPersonalizationAfterSwitch(t *testing.T) {
	outsideFIPS(t)
	personalization := []byte("the personalization of this program")
	r := white(t, Config{Personalization: personalization})
	pr := func() {
		t.Helper()
		if _, err := r.PredictionResistant().Read(make([]byte, 8)); err != nil {
			t.Fatal(err)
		}
	}
	pr()
	var has []bool
	if err := r.SetDRNG(func() (drng.DRNG, error) {
		return &mechanismSpy{DRNG: drng.NewChaCha20(), seed: func(_, additional []byte) {
			has = append(has, bytes.Contains(additional, personalization))
		}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	pr()
	pr()
	if err := r.Reseed(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(has), "[true true false false]"; got != want {
		t.Errorf("seeds of shard 0, PR, PR, shard 0: %v, want %v", got, want)
	}
}

// The logger is told of a source's failure when the round does not wait for that any
// more.
func TestSlowLoggerDoesNotHoldRound(t *testing.T) {
	outsideFIPS(t)
	synctest.Test(t, func(t *testing.T) {
		block := make(chan struct{})
		defer close(block)
		r := white(t, Config{
			Sources: []es.Source{&countSource{}, scripted("bad", estest.Error(errDry))},
			Logger: slog.New(hook(func(rec slog.Record) {
				if rec.Message == "lrng: source failed" {
					<-block
				}
			})),
		})
		start := time.Now()
		if _, err := r.Read(make([]byte, 8)); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("Read took %v", d)
		}
	})
}

// What ends a wait is the error of the context, not the cause that its owner gave.
func TestContextErrorIsPassedOn(t *testing.T) {
	outsideFIPS(t)
	for name, call := range map[string]func(*RNG, context.Context) error{
		"ReadContext": func(r *RNG, ctx context.Context) error { _, err := r.ReadContext(ctx, make([]byte, 8)); return err },
		"PredictionResistant": func(r *RNG, ctx context.Context) error {
			_, err := r.PredictionResistant().(FreshReader).ReadContext(ctx, make([]byte, 8))
			return err
		},
		"GetSeed": func(r *RNG, ctx context.Context) error { _, _, err := r.GetSeed(ctx, 256); return err },
		"Reseed":  func(r *RNG, ctx context.Context) error { return r.Reseed(ctx) },
	} {
		for _, interval := range []time.Duration{0, -1} {
			for _, seeded := range []bool{false, true} {
				if name == "ReadContext" && interval == 0 && seeded {
					continue // it does not wait
				}
				synctest.Test(t, func(t *testing.T) {
					var v valve
					v.flows.Store(seeded)
					r := white(t, Config{Sources: []es.Source{v.tap()}, ReseedInterval: interval})
					if seeded {
						if _, err := r.Read(make([]byte, 8)); err != nil {
							t.Fatal(err)
						}
						v.flows.Store(false)
					}
					ctx, cancel := context.WithCancelCause(t.Context())
					time.AfterFunc(time.Minute, func() { cancel(errors.New("the owner's cause")) })
					if err := call(r, ctx); err != context.Canceled {
						t.Errorf("%s, interval %v, seeded %v: %v", name, interval, seeded, err)
					}
				})
			}
		}
	}
}

// Output ahead of need is made with one seed, also by a mechanism that allows fewer
// requests than the buffer takes.
func TestBufferWithinReseedInterval(t *testing.T) {
	outsideFIPS(t)
	r := white(t, Config{OutputBuffer: 1024, DRNG: func() (drng.DRNG, error) { return &fewRequests{DRNG: drng.NewChaCha20()}, nil }})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 100 {
		if _, err := r.ReadContext(ctx, make([]byte, 8)); err != nil {
			t.Fatalf("%v after %d seeds", err, r.Status().Seeds)
		}
	}
}

// fewRequests allows eight requests of 64 bytes.
type fewRequests struct {
	drng.DRNG
	n int
}

func (d *fewRequests) Info() drng.Info {
	return drng.Info{Name: "few", SecurityStrength: 256, MaxRequest: 64, ReseedInterval: 8}
}

func (d *fewRequests) Seed(seed, additional []byte) error {
	d.n = 0
	return d.DRNG.Seed(seed, additional)
}

func (d *fewRequests) Generate(out, additional []byte) error {
	if d.n >= 8 {
		clear(out)
		return drng.ErrReseedRequired
	}
	d.n++
	return d.DRNG.Generate(out, additional)
}

// easy is content with a bit.
type easy struct{}

func (easy) Name() string                   { return "easy" }
func (easy) Request(int, seeding.Stage) int { return 256 }
func (easy) Level(c []seeding.Credit, _ int, _ seeding.Stage) seeding.Level {
	if seeding.Sum(c) > 0 {
		return seeding.FullySeeded
	}
	return seeding.Unseeded
}

// A block with prediction resistance has a byte at least, however little the strategy
// wants.
func TestBlockOfAByte(t *testing.T) {
	outsideFIPS(t)
	src := scripted("a", estest.OK(4))
	r := white(t, Config{Sources: []es.Source{src}, Strategy: easy{}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if n, err := r.PredictionResistant().(FreshReader).ReadContext(ctx, make([]byte, 8)); n != 8 || err != nil {
		t.Errorf("%d, %v after %d seeds", n, err, r.Status().Seeds)
	}
	if got := src.Count(); got != 1+2*8 {
		t.Errorf("the source was asked %d times for a seed and 8 bytes, 4 bits each time", got)
	}
}

// A pause that began in a bubble has no timer that ends it when the bubble is gone.
func TestPauseOutlivesBubble(t *testing.T) {
	outsideFIPS(t)
	var v valve
	r := white(t, Config{Sources: []es.Source{v.tap()}})
	synctest.Test(t, func(t *testing.T) {
		if _, err := r.Nonblocking().Read(make([]byte, 8)); !errors.Is(err, ErrNotSeeded) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		if got := r.worker.Load(); got != pausing {
			t.Errorf("the worker is in state %d", got)
		}
	})
	v.flows.Store(true)
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if _, err := r.Nonblocking().Read(make([]byte, 8)); err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the worker is in state %d for ever", r.worker.Load())
		}
	}
}

// A shared source does not keep the generators that have used it.
func TestClosedGeneratorIsCollected(t *testing.T) {
	outsideFIPS(t)
	shared := es.NewAuxiliary(es.AuxiliaryConfig{Oversampling: 64}) // for FIPS mode
	closed := func() weak.Pointer[RNG] {
		r, err := New(Config{Shards: 1, OutputBuffer: -1, Sources: []es.Source{&countSource{}, shared}})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		return weak.Make(r)
	}()
	for range 10 {
		if runtime.GC(); closed.Value() == nil {
			break
		}
	}
	if closed.Value() != nil {
		t.Error("it is kept")
	}
	if err := shared.Add(make([]byte, 32), 8); err != nil { // tells the one that is gone
		t.Error(err)
	}
}

// Entropy that comes in bit by bit adds up, also under a strategy with a margin for
// each conditioning: a seed pays it once (C6).
func TestTrickleUnderOversampling(t *testing.T) {
	outsideFIPS(t)
	for _, n := range []int{0, 11} {
		for _, st := range []seeding.Strategy{seeding.Default, seeding.Oversample} {
			sources := []es.Source{scripted("trickle", estest.OK(1))}
			for i := range n {
				sources = append(sources, scripted(fmt.Sprint("dry", i), estest.Error(errDry)))
			}
			r := white(t, Config{Sources: sources, Strategy: st})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if _, err := r.ReadContext(ctx, make([]byte, 8)); err != nil {
				s := r.Status()
				t.Errorf("%s, %d dry sources: %v with %d bits after %d rounds", st.Name(), n, err, s.Entropy, s.Rounds)
			}
			cancel()
		}
	}
}

// Seeds that were prepared for a switch which failed are in no instance, and are not
// counted; the one that was refused is.
func TestSeedsOfFailedSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := white(t, Config{Shards: 2, DRNG: ctr(drng.CTRConfig{})})
		if _, err := r.Read(make([]byte, 8)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if r.Status().Instances[1].Seeds == 0 { // the Read came by shard 0
			r.wants[1].Store(true)
			r.wake()
			synctest.Wait()
		}
		seeds := 0
		err := r.SetDRNG(func() (drng.DRNG, error) {
			d, err := drng.NewCTR(drng.CTRConfig{})
			return &mechanismSpy{DRNG: d, seed: func(_, _ []byte) {
				if seeds++; seeds == 2 {
					panic("enough")
				}
			}}, err
		})
		if err == nil || seeds != 2 {
			t.Fatalf("%d seeds, %v", seeds, err)
		}
		st := r.Status()
		if a, b := st.Instances[0].Seeds, st.Instances[1].Seeds; a != 1 || b != 1 || st.Seeds != 2 || st.SeedFailures != 1 {
			t.Errorf("%d seeds, %d and %d of the instances; %d refused", st.Seeds, a, b, st.SeedFailures)
		}
	})
}
