package lrng_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
	"github.com/lrng-go/lrng/internal/health"
	"github.com/lrng-go/lrng/internal/jitter"
	"github.com/lrng-go/lrng/internal/selftest"
	"github.com/lrng-go/lrng/seeding"
)

// This is LRNG's own list of tests, test/automation, script by script: what each
// asserts of a kernel, asserted of a generator. Where a script is about something that a
// library does not have, the test is about the nearest thing that it has, and says so.

// LRNG's scripts run four times: as it is, with fips=1, with ntg1=1, and with both.
var boots = []struct {
	name     string
	strategy seeding.Strategy
	request  int  // of each source, for the first seed
	sum      int  // that the first seed takes
	two      bool // it takes two sources with 240 bits each
}{
	{"normal", seeding.Default, 256, 256, false},
	{"fips=1", seeding.Oversample, 384, 384, false},
	{"ntg1=1", seeding.NTG1, 256, 0, true},
	{"fips=1 ntg1=1", seeding.All(seeding.Oversample, seeding.NTG1), 384, 384, true},
}

// bootRNG is newRNG with a strategy.
func bootRNG(t testing.TB, s seeding.Strategy, sources ...es.Source) *lrng.RNG {
	t.Helper()
	c := one(sources...)
	c.Strategy = s
	return newRNG(t, c)
}

// 01: fully seeded only when two sources have 240 bits each, and one that fails blocks it.
func TestLRNG01NTG1(t *testing.T) {
	for _, boot := range boots {
		for _, bits := range [][2]int{{512, 0}, {0, 512}, {240, 239}, {239, 240}, {240, 240}, {128, 128}, {127, 128}, {255, 0}, {256, 0}, {192, 192}, {191, 192}, {512, 512}} {
			synctest.Test(t, func(t *testing.T) {
				a := fake("a", estest.OK(bits[0]), estest.Error(errDead))
				b := fake("b", estest.OK(bits[1]), estest.Error(errDead))
				r := bootRNG(t, boot.strategy, a, b)
				mustRefuse(t, r.Nonblocking(), lrng.ErrNotSeeded)
				synctest.Wait()
				x, y := min(bits[0], boot.request), min(bits[1], boot.request)
				want := x+y >= boot.sum && (!boot.two || x >= 240 && y >= 240)
				if st := r.Status(); (st.Level == seeding.FullySeeded) != want {
					t.Errorf("%s, %d and %d bits: %v (%s)", boot.name, x, y, st.Level, st.Verdict)
				}
				n, err := r.Nonblocking().Read(make([]byte, 32))
				if ok := n == 32 && err == nil; ok != want || !want && (n != 0 || !errors.Is(err, lrng.ErrNotSeeded)) {
					t.Errorf("%s, %d and %d bits: read %d, %v", boot.name, x, y, n, err)
				}
			})
		}
		// One of two is gone, until it is back.
		synctest.Test(t, func(t *testing.T) {
			a, b := fake("a"), fake("b")
			b.SetDead(syscall.ENODEV)
			r := bootRNG(t, boot.strategy, a, b)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			err := r.Wait(ctx, seeding.FullySeeded)
			if blocked := errors.Is(err, context.DeadlineExceeded); blocked != boot.two {
				t.Errorf("%s, one source: %v", boot.name, err)
			}
			b.SetDead(nil)
			mustRead(t, r, 32)
			// The rule is for the first seed of an instance (G7): one source is enough later.
			b.SetDead(syscall.ENODEV)
			if err := r.Reseed(t.Context()); err != nil {
				t.Errorf("%s, reseed with one source: %v", boot.name, err)
			}
		})
	}
}

// 02: the first seed takes 128 bits more from each source, later ones do not, and
// conditioning components take in 64 bits more. (The factor for RDRAND, which LRNG's script
// looks at too, is in es.CPU, tested there: a test cannot choose the processor.)
func TestLRNG02SP80090C(t *testing.T) {
	needsFreedom(t)
	synctest.Test(t, func(t *testing.T) {
		a, b := fake("a"), fake("b", estest.OK(8))
		r := bootRNG(t, seeding.Oversample, a, b)
		pool := func(before, bits, credited, left int) {
			t.Helper()
			st := r.Status()
			s := st.Sources[2]
			if s.Name != "auxiliary" || s.Requested != bits || s.Credited != credited {
				t.Errorf("pool of %d bits: %+v", before, s)
			}
			if s.Available != max(0, min(256, left-64)) {
				t.Errorf("pool of %d bits: %d are available, want %d of %d", before, s.Available, max(0, left-64), left)
			}
		}
		add := func(bits int) {
			t.Helper()
			if err := r.AddEntropy(make([]byte, 64), bits); err != nil {
				t.Fatal(err)
			}
		}
		add(512)
		mustRead(t, r, 16)
		pool(512, 384, 384, 512-384-64)
		if err := r.Reseed(t.Context()); err != nil {
			t.Fatal(err)
		}
		pool(64, 256, 0, 64) // nothing beyond what is withheld
		add(100)
		if err := r.Reseed(t.Context()); err != nil {
			t.Fatal(err)
		}
		pool(164, 256, 100, 0)
		add(512)
		mustRead(t, r.PredictionResistant(), 64) // two blocks
		pool(512, 320, 0, 512-384-64)
		add(384 - 64)
		mustRead(t, r.SeedReader(), 32)
		pool(384, 320, 320, 0)
		for _, src := range []*estest.Fake{a, b} {
			var asked []int
			for _, call := range src.Calls() {
				asked = append(asked, call.Bits)
				if call.Size != call.Bits/8 {
					t.Errorf("%d bytes for %d bits", call.Size, call.Bits)
				}
			}
			if want := []int{384, 256, 256, 384, 320, 320}; !slices.Equal(asked, want) {
				t.Errorf("%s was asked for %v bits, want %v", src.Info().Name, asked, want)
			}
		}
	})
}

// 03: all self-tests have passed, at start and when they were asked for. LRNG's four bits
// are the time stamp, ChaCha20, the hash, and the GCD.
func TestLRNG03SelfTest(t *testing.T) {
	run := make(map[string]*selftest.Test)
	for _, test := range selftest.All() {
		run[test.Name()] = test
	}
	for bit, name := range map[int]string{1: "time stamp", 2: "ChaCha20", 4: "SHA-512", 8: "GCD"} {
		test := run[name]
		if test == nil {
			t.Fatalf("LRNG's bit %d: there is no test %q", bit, name)
		}
		if err := test.Run(); err != nil {
			t.Errorf("LRNG's bit %d: %v", bit, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRNG(t, one(fake("a")))
		for i := range uint64(3) {
			mustRead(t, r, 32)
			if st := r.Status(); st.SelfTest != "passed" || st.SelfTests != i {
				t.Errorf("after %d runs: %q, %d", i, st.SelfTest, st.SelfTests)
			}
			if err := r.SelfTest(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A startingSource is a noise source with the tests of package health. A call takes 256
// samples of 8 bits, and credits a bit for each.
type startingSource struct {
	*estest.Fake
	tests *health.Tests
	noise *rand.Rand
	stuck atomic.Bool
	taken atomic.Int64 // samples
}

func newStartingSource(t *testing.T) *startingSource {
	tests, err := health.New(health.Config{H: 1, Window: health.Window, Alpha: health.Alpha, PermanentAlpha: health.PermanentAlpha})
	if err != nil {
		t.Fatal(err)
	}
	s := &startingSource{tests: tests, noise: rand.New(rand.NewPCG(4, 4))}
	s.Fake = estest.New(es.Info{Name: "starting", MaxEntropy: 256, Health: true}, estest.Do("samples", s.get))
	return s
}

func (s *startingSource) get(_ context.Context, p []byte, bits int) (int, error) {
	ready := s.tests.Ready()
	for range 256 {
		x := s.noise.Uint64() % 256
		if s.stuck.Load() {
			x = 0
		}
		s.taken.Add(1)
		if f := s.tests.Next(x); f != nil {
			return 0, &es.HealthError{Source: "starting", Test: f.Test, Count: f.Count, Cutoff: f.Cutoff, Permanent: f.Permanent}
		}
	}
	if !ready {
		return 0, fmt.Errorf("start-up: %w", es.ErrUnavailable) // these samples are not used
	}
	copy(p, s.Data(int(s.taken.Load()), len(p)))
	return min(bits, 256), nil
}

// 04: a source has no credit before 1024 samples have passed the tests, nor after an alarm
// before as many have passed again, nor ever after a permanent failure.
func TestLRNG04SP80090B(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newStartingSource(t)
		c := one(src)
		c.ReseedRequests = 1
		r := newRNG(t, c)
		status := func() lrng.SourceStatus { return r.Status().Sources[0] }
		if got := status().Health; got != "not yet asked" {
			t.Errorf("before the first call: %q", got)
		}
		mustRead(t, r, 16) // waits
		synctest.Wait()
		if first := src.taken.Load() - 256; first < 1024 {
			t.Errorf("seeded with sample %d and following", first)
		}
		for i, call := range src.Calls() {
			if late := i < 4; (call.Credit == 0) != late {
				t.Errorf("call %d, with samples %d to %d: %d bits", i, 256*i, 256*i+255, call.Credit)
			}
		}
		if got := status(); got.Health != "tests passed" || got.Credited != 256 || got.Failures != 4 {
			t.Errorf("after the start-up: %+v", got)
		}

		// An alarm: no credit, while readers go on, until 1024 good samples have passed.
		src.stuck.Store(true)
		if err := reseedFor(t, r, 5*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("reseeded from a stuck source: %v", err)
		}
		if got := status(); got.Health != "test failed" || got.Credited != 0 {
			t.Errorf("after an alarm: %+v", got)
		}
		// Before the request, which has the source asked in the background: were it stuck for
		// longer it would have failed for good.
		src.stuck.Store(false)
		taken, seeds := src.taken.Load(), r.Status().Seeds
		mustRead(t, r.Nonblocking(), 16)
		if err := r.Reseed(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := src.taken.Load() - taken; n < 1024+256 || r.Status().Seeds == seeds {
			t.Errorf("credited again after %d samples", n)
		}
		if got := status().Health; got != "tests passed" {
			t.Errorf("after the second start-up: %q", got)
		}

		// It does not get better: failed for good.
		src.stuck.Store(true)
		if err := reseedFor(t, r, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("reseeded from a stuck source: %v", err)
		}
		src.stuck.Store(false)
		seeds = r.Status().Seeds
		if err := reseedFor(t, r, 10*time.Minute); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("reseeded from a source that had failed for good: %v", err)
		}
		if got := status(); got.Health != "failed for good" || got.Credited != 0 || r.Status().Seeds != seeds {
			t.Errorf("after a permanent failure: %+v", got)
		}
	})

	// The jitter source does its start-up, on the real clock, before its first delivery.
	synctest.Test(t, func(t *testing.T) {
		j := es.NewJitter(es.JitterConfig{})
		r := newRNG(t, one(j, fake("a")))
		if got := r.Status().Sources[0].Health; got != "not yet asked" {
			t.Errorf("before the first call: %q", got)
		}
		mustRead(t, r, 16)
		switch got := r.Status().Sources[0]; {
		case got.Health == "unavailable": // no usable clock here
		case got.Health != "tests passed" || got.Credited != 256:
			t.Errorf("jitter: %+v", got)
		}
	})
}

// reseedFor is Reseed, for at most d.
func reseedFor(t *testing.T, r *lrng.RNG, d time.Duration) error {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return r.Reseed(ctx)
}

// 05: DRNG and hash are switched while the generator is in use; entropy that was gathered
// is kept, and a switch that is refused changes nothing. (LRNG refuses a second one. Here
// they are refused only if they do not fit.)
func TestLRNG05DRNGs(t *testing.T) {
	needsFreedom(t)
	synctest.Test(t, func(t *testing.T) {
		src := fake("a", estest.OK(256), estest.OK(100), estest.Error(errDead))
		c := one(src)
		c.ReseedRequests = 1
		r := newRNG(t, c)
		mustRead(t, r, 16)
		synctest.Wait() // it is due, and 100 bits of the next seed are there
		if err := r.AddEntropy(make([]byte, 64), 400); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // wakes the worker: 256 of 400 are used
		st := r.Status()
		if st.Instances[0].LastCredit != 356 || st.Sources[1].Available != 144 {
			t.Fatalf("seeded with %d bits, %d left", st.Instances[0].LastCredit, st.Sources[1].Available)
		}
		for _, c := range []conditioner.Conditioner{conditioner.SHA256, conditioner.SHA3_512, conditioner.SHA384} {
			if err := r.SetConditioner(c); err != nil {
				t.Fatal(err)
			}
			if st := r.Status(); st.Conditioner != c.Name() || st.Sources[1].Available != 144 {
				t.Errorf("%s: %d bits left, want 144", st.Conditioner, st.Sources[1].Available)
			}
		}
		// Switches of the DRNG wait for a seed, and do without the one under way.
		mustRead(t, r, 16)
		synctest.Wait()
		if got := r.Status().Entropy; got != 144 { // what was left in the pool
			t.Errorf("%d bits towards the next seed, want 144", got)
		}
		src.SetDead(nil)
		for i, name := range []string{"HMAC_DRBG SHA-512", "XDRBG-256", "CTR_DRBG AES-256", "ChaCha20"} {
			done := make(chan error, 1)
			go func() { done <- r.SetDRNG(mechanisms()[name]) }()
			time.Sleep(time.Minute)
			mustRead(t, r.Nonblocking(), 32) // nobody waits
			if got := r.Status().DRNG; got == name {
				t.Errorf("switched to %s without a seed", name)
			}
			for i := 0; len(done) == 0; i++ {
				if i == 2 { // the shard, which is due, may be faster once
					t.Fatalf("%s: no switch", name)
				}
				if err := r.AddEntropy(make([]byte, 32), 256); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			st := r.Status()
			if st.DRNG != name || st.Level != seeding.FullySeeded || st.Instances[0].LastCredit < 256 || st.SeedFailures != 0 {
				t.Errorf("switch %d: %+v", i, st.Instances[0])
			}
			mustRead(t, r.Nonblocking(), 32)
		}
		if err := r.SetDRNG(factory(func(i *drng.Info) { i.SecurityStrength = 64 })); err == nil {
			t.Error("a DRNG of 64 bits is accepted")
		}
		if err := r.SetConditioner(badConditioner{"x", conditioner.SHA256.New, 128}); err == nil {
			t.Error("a hash of 128 bits is accepted")
		}
		if st := r.Status(); st.DRNG != "ChaCha20" || st.Conditioner != "SHA-384" {
			t.Errorf("after refused switches: %s, %s", st.DRNG, st.Conditioner)
		}
		mustRead(t, r.Nonblocking(), 32)
	})
}

// rateOf asks each of the sources once and returns what the first was credited with. It
// does so in a bubble: on a machine that is slow, the collector would not wait for it
// in real time.
func rateOf(t *testing.T, src es.Source) (bits int, available bool) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRNG(t, one(src, fake("a")))
		mustRead(t, r, 16)
		s := r.Status().Sources[0]
		if s.Credited > s.MaxEntropy || s.FalseClaims != 0 {
			t.Errorf("%+v", s)
		}
		bits, available = s.Credited, s.Health != "unavailable" && s.Health != "no entropy"
	})
	return bits, available
}

// 06: the rate of the jitter source, and values beyond the range. LRNG takes the most for
// them; here New refuses them by name. Collected ahead of need or not, it is credited with
// the same. (What LRNG's asynchronous collection does wrong is in TestNoDefect12CollectedAhead.)
func TestLRNG06Jent(t *testing.T) {
	for rate, want := range map[int]int{1: 1, 10: 10, 256: 256, 0: 256, -1: 0} {
		if got, ok := rateOf(t, es.NewJitter(es.JitterConfig{Rate: rate})); ok && got != want {
			t.Errorf("rate %d: credited with %d bits, want %d", rate, got, want)
		}
	}
	for _, rate := range []int{257, 1000, 16384, math.MaxInt} {
		refused(t, one(es.NewJitter(es.JitterConfig{Rate: rate})), "JitterConfig.Rate")
	}
	r := newRNG(t, one(es.NewJitter(es.JitterConfig{Rate: 10})))
	for _, rate := range []int{16, 257, 1000, 16384} { // above what was declared: 384·10/256
		if err := r.SetSourceRate("jitter", rate); err == nil {
			t.Errorf("the rate is raised to %d", rate)
		}
	}
	if err := r.SetSourceRate("jitter", 1); err != nil || r.Status().Sources[0].Rate != 1 {
		t.Errorf("lowered to 1: %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		j := es.NewJitter(es.JitterConfig{Ahead: 1})
		defer j.Close()
		r := newRNG(t, one(j, fake("a")))
		mustRead(t, r, 16)
		for i := range 3 {
			if err := r.Reseed(t.Context()); err != nil {
				t.Fatal(err)
			}
			if s := r.Status().Sources[0]; s.Health == "tests passed" && s.Credited != 256 || s.FalseClaims != 0 {
				t.Errorf("with a block ahead, reseed %d: %+v", i, s)
			}
			synctest.Wait() // the block is there
		}
	})
}

// 07: LRNG has a module generate 1.5·10⁶ times 16 bytes with a spin lock held. There are no
// spin locks here; what a caller needs who holds a lock is that no request waits, whatever
// the sources do. All the while this shard is due, its sources hang, and somebody waits for
// prediction resistance.
func TestLRNG07Atomic(t *testing.T) {
	n := 1500000
	if testing.Short() || raceEnabled {
		n = 30000
	}
	synctest.Test(t, func(t *testing.T) {
		src := fake("a", estest.OK(256), estest.Hang())
		defer src.Release()
		c := one(src)
		c.ReseedRequests = 1
		r := newRNG(t, c)
		mustRead(t, r, 16)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		go r.PredictionResistant().(lrng.FreshReader).ReadContext(ctx, make([]byte, 32))
		synctest.Wait()

		begin := time.Now()
		var lock sync.Mutex
		var b [16]byte
		for range n {
			lock.Lock()
			if k, err := r.Read(b[:]); k != 16 || err != nil {
				t.Fatalf("%d, %v", k, err)
			}
			lock.Unlock()
		}
		// Nobody slept: the time in a bubble stands still while a goroutine runs.
		if d := time.Since(begin); d != 0 {
			t.Errorf("%d requests waited %v", n, d)
		}
		if got := r.Status().Instances[0].SinceSeed; got != uint64(n+1) {
			t.Errorf("%d requests since the seed, want %d", got, n+1)
		}
	})
}

// 08: the rate of the processor's generator. (Its factor is that of TestLRNG02.)
func TestLRNG08CPU(t *testing.T) {
	for rate, want := range map[int]int{0: 8, 1: 1, 8: 8, 256: 256, -1: 0} {
		src := es.NewCPU(es.CPUConfig{Rate: rate})
		if src.Info().MaxEntropy == 0 {
			want = 0
		}
		if got, ok := rateOf(t, src); ok && got != want {
			t.Errorf("rate %d: credited with %d bits, want %d", rate, got, want)
		}
	}
	for _, rate := range []int{257, 1 << 20, math.MaxInt} {
		refused(t, one(es.NewCPU(es.CPUConfig{Rate: rate})), "CPUConfig.Rate")
	}
	// The recommended rate alone seeds a generator in 32 rounds, without a pause.
	synctest.Test(t, func(t *testing.T) {
		src := fake("cpu", estest.OK(8))
		r := newRNG(t, one(src))
		begin := time.Now()
		mustRead(t, r, 16)
		if n, d := src.Count(), time.Since(begin); n != 32 || d != 0 {
			t.Errorf("%d rounds, %v", n, d)
		}
	})
}

// 09: LRNG's interrupt and scheduler sources with rates from 256 to 2³²-1, and below 1: it
// comes up. Here they are two sources of one boundary that claim such credits, and a third
// one: they are credited with what they declared at most, the better one alone.
func TestLRNG09SoftwareNoise(t *testing.T) {
	const huge = math.MaxUint32 >> 1 // what an int holds on every machine
	for _, tt := range []struct{ interrupts, scheduler, credit, false0, false1 int }{
		{256, 256, 256, 0, 0},
		{257, 256, 256, 1, 0},
		{1024, 100, 256, 1, 0},
		{huge, huge, 256, 1, 1},
		{10, huge, 256, 0, 1},
		{0, 255, 255, 0, 0},
		{-1, 0, 0, 1, 0},
		{-huge, math.MinInt, 0, 1, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			info := es.Info{MaxEntropy: 256, Health: true, Boundary: "events"}
			info.Name = "interrupts"
			interrupts := estest.New(info, estest.Claim(tt.interrupts))
			info.Name = "scheduler"
			scheduler := estest.New(info, estest.Claim(tt.scheduler))
			r := newRNG(t, one(interrupts, scheduler, fake("jitter", estest.OK(256))))
			mustRead(t, r, 16)
			st := r.Status()
			if got := st.Instances[0].LastCredit; got != tt.credit+256 {
				t.Errorf("claims of %d and %d: seeded with %d bits, want %d", tt.interrupts, tt.scheduler, got, tt.credit+256)
			}
			if a, b := st.Sources[0].FalseClaims, st.Sources[1].FalseClaims; a != uint64(tt.false0) || b != uint64(tt.false1) {
				t.Errorf("claims of %d and %d: %d and %d false ones", tt.interrupts, tt.scheduler, a, b)
			}
		})
	}
}

// 10: with max_wo_reseed=2 the third request finds the generator out of operation;
// getrandom says EAGAIN; GRND_SEED says EINVAL, EMSGSIZE, or succeeds; it recovers. (There
// is no EMSGSIZE: GetSeed makes the slice.)
func TestLRNG10Reseed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a")
		c := one(src)
		c.MaxWithoutReseed = 2
		r := newRNG(t, c)
		if err := r.Wait(t.Context(), seeding.FullySeeded); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			src.SetDead(errDead)
			mustRead(t, r.Nonblocking(), 16)
			mustRead(t, r.Nonblocking(), 16)
			mustRefuse(t, r.Nonblocking(), lrng.ErrNotSeeded) // EAGAIN
			synctest.Wait()
			if st := r.Status(); st.Level == seeding.FullySeeded || st.Instances[0].Seeded {
				t.Errorf("in operation: %v", st.Level)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			for _, bits := range []int{0, -1, 4097} { // EINVAL
				if seed, credit, err := r.GetSeed(ctx, bits); seed != nil || credit != 0 || err == nil || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("GetSeed of %d bits: %d bytes, %d, %v", bits, len(seed), credit, err)
				}
			}
			if seed, credit, err := r.GetSeed(ctx, 256); seed != nil || credit != 0 || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("GetSeed out of operation: %d bytes, %d, %v", len(seed), credit, err)
			}
			cancel()
			src.SetDead(nil)
			if seed, credit, err := r.GetSeed(t.Context(), 256); len(seed) == 0 || credit < 256 || err != nil {
				t.Errorf("GetSeed in operation: %d bytes, %d, %v", len(seed), credit, err)
			}
			if st := r.Status(); st.Level != seeding.FullySeeded || !st.Instances[0].Seeded || st.Instances[0].SinceSeed != 0 {
				t.Errorf("not recovered: %+v", st.Instances[0])
			}
		}
		if got := r.Status().Instances[0].Lost; got != 3 {
			t.Errorf("lost %d times", got)
		}
	})
}

// 11: the step of the timer is found, its GCD; the samples of the noise source are counted
// in steps.
func TestLRNG11GCD(t *testing.T) {
	for _, step := range []uint64{1, 3, 26, 100, 1000} {
		var now, calls uint64
		noise := rand.New(rand.NewPCG(step, 11))
		src, err := jitter.New(jitter.Config{OSR: 3, Memory: jitter.MinMemory, Now: func() uint64 {
			if calls++; calls%2 == 1 { // two readings are a sample
				now += step * (40 + noise.Uint64N(32))
			}
			return now
		}})
		if err != nil {
			t.Fatal(err)
		}
		src.Start()
		for !src.Ready() {
			if _, _, err := src.Next(); err != nil {
				t.Fatalf("step %d: %v", step, err)
			}
		}
		for range 1000 {
			if x, _ := src.Noise(); x < 40 || x > 71 {
				t.Fatalf("step %d: a sample of %d steps, want 40 to 71", step, x)
			}
		}
	}
}

// 12: LRNG clamps the thresholds that are written to it. There is no file to write to here;
// what is beyond the range is refused by name, when it comes and not later, and changes
// nothing. The pool takes what it is given, but holds no more than its hash is wide.
func TestLRNG12WriteThreshold(t *testing.T) {
	needsFreedom(t)
	synctest.Test(t, func(t *testing.T) {
		r := newRNG(t, one(fake("a", estest.Error(errDead))))
		for _, bad := range []struct{ size, bits int }{{8, 65}, {0, 1}, {64, 513}, {64, -1}, {64, math.MaxInt}, {64, math.MinInt}} {
			if err := r.AddEntropy(make([]byte, bad.size), bad.bits); err == nil || !strings.Contains(err.Error(), "bits") {
				t.Errorf("%d bits in %d bytes: %v", bad.bits, bad.size, err)
			}
		}
		for _, bad := range []int{-1, 513, math.MaxInt, math.MinInt} {
			if err := r.SetSourceRate("auxiliary", bad); err == nil || !strings.Contains(err.Error(), "bits") {
				t.Errorf("rate %d: %v", bad, err)
			}
		}
		if s := r.Status().Sources[1]; s.Available != 0 || s.Rate != 512 {
			t.Errorf("after all that was refused: %+v", s)
		}
		for range 100 { // many times what fits
			if err := r.AddEntropy(make([]byte, 4096), 500); err != nil {
				t.Fatal(err)
			}
		}
		mustRead(t, r, 16)
		mustRead(t, r.PredictionResistant(), 32)
		// 512 bits made two seeds.
		if n, err := r.PredictionResistant().(lrng.FreshReader).TryRead(make([]byte, 1)); n != 0 || !errors.Is(err, lrng.ErrInsufficientEntropy) {
			t.Errorf("a third seed out of 512 bits: %d, %v", n, err)
		}
		if got := r.Status().Sources[1].TotalCredited; got != 512 {
			t.Errorf("credited with %d bits", got)
		}
	})
}

// 13: prediction resistance gives out no more than was gathered for it.
func TestLRNG13PredictionResistance(t *testing.T) {
	for _, boot := range boots {
		for _, yield := range []int{8, 63, 128, 255, 256, 300, 512} {
			synctest.Test(t, func(t *testing.T) {
				a, b := fake("a"), fake("b")
				var uses []int
				instances := 0
				c := one(a, b)
				c.Strategy = boot.strategy
				c.DRNG = func() (drng.DRNG, error) {
					d, err := drng.NewCTR(drng.CTRConfig{})
					if instances++; err != nil || instances > 1 {
						return d, err
					}
					return &diary{CTR: d, uses: &uses}, nil // that of prediction resistance comes first
				}
				r := newRNG(t, c)
				mustRead(t, r, 16)
				if len(uses) != 0 {
					t.Fatal("the first instance is that of shard 0")
				}
				before := allCredited(r.Status())
				a.SetRate(yield)
				if boot.two {
					b.SetRate(240)
				} else {
					b.SetRate(0)
				}
				pr := r.PredictionResistant().(lrng.FreshReader)
				for n := 0; n < 100; {
					p := make([]byte, 100-n)
					k, err := pr.TryRead(p)
					if k == 0 && errors.Is(err, lrng.ErrInsufficientEntropy) { // in one round
						p = p[:min(32, len(p))]
						k, err = pr.Read(p)
					}
					if k != len(p) || err != nil {
						t.Fatalf("%s, %d bits a round: %d of %d bytes, %v", boot.name, yield, k, len(p), err)
					}
					n += k
					if gathered := allCredited(r.Status()) - before; 8*n > gathered {
						t.Fatalf("%s, %d bits a round: %d bytes from %d bits", boot.name, yield, n, gathered)
					}
					b.SetRate(0) // two sources are for the first seed (G7)
				}
				// Each use is a seed and then one request, of no more than 256 bits.
				for i, n := range uses {
					if len(uses) != 8 || (n == 0) != (i%2 == 0) || n > 32 {
						t.Fatalf("%s, %d bits a round: uses %v", boot.name, yield, uses)
					}
				}
			})
		}
	}
}

// A diary takes down what CTR_DRBG is used for: 0 is a seed, n a request of n bytes.
type diary struct {
	*drng.CTR
	uses *[]int
}

func (d *diary) Seed(seed, additional []byte) error {
	err := d.CTR.Seed(seed, additional)
	if err == nil {
		*d.uses = append(*d.uses, 0)
	}
	return err
}

func (d *diary) Generate(out, additional []byte) error {
	err := d.CTR.Generate(out, additional)
	if err == nil {
		*d.uses = append(*d.uses, len(out))
	}
	return err
}

// 14: with forced seeding, those who wait have the sources asked again and again until the
// generator is fully seeded; without it they are asked once. Here that depends on whether
// somebody waits, and on whether it is of use.
func TestLRNG14ForcedSeeding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// On: somebody waits. Drops are gathered without a pause.
		src := fake("a", estest.OK(32))
		r := newRNG(t, one(src))
		begin := time.Now()
		if err := r.Wait(t.Context(), seeding.FullySeeded); err != nil {
			t.Fatal(err)
		}
		if n, d := src.Count(), time.Since(begin); n != 8 || d != 0 {
			t.Errorf("%d rounds in %v", n, d)
		}
		// Rounds in vain are made with pauses, until it works.
		src = fake("b", estest.Error(errDead).Times(20), estest.OK(32).Times(4), estest.Error(errDead).Times(3), estest.OK(512))
		r = newRNG(t, one(src))
		begin = time.Now()
		mustRead(t, r, 16)
		// 10, 20 … 640 ms, then 13 times a second; 128 bits; 10, 20, 40 ms.
		if n, d := src.Count(), time.Since(begin); n != 28 || d != 1270*time.Millisecond+13*time.Second+70*time.Millisecond {
			t.Errorf("%d rounds in %v", n, d)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		// Off: nobody waits. One round in vain, and no other before somebody asks again.
		src := fake("a", estest.OK(100), estest.OK(0))
		r := newRNG(t, one(src))
		mustRefuse(t, r.Nonblocking(), lrng.ErrNotSeeded)
		time.Sleep(24 * time.Hour)
		if n := src.Count(); n != 2 { // one that was of use, one that was not
			t.Errorf("%d rounds in a day without anybody waiting", n)
		}
		if st := r.Status(); st.Level != seeding.InitiallySeeded || st.Entropy != 100 {
			t.Errorf("%v with %d bits", st.Level, st.Entropy)
		}
		mustRefuse(t, r.Nonblocking(), lrng.ErrNotSeeded)
		synctest.Wait()
		if n := src.Count(); n != 3 {
			t.Errorf("%d rounds after somebody asked", n)
		}
	})
}
