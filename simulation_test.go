package lrng_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
	"github.com/lrng-go/lrng/seeding"
)

// The simulation runs the whole generator in the time of a testing/synctest bubble, where
// a day takes milliseconds, with sources whose fortunes are scripted. What these deliver is
// entered into a book, and the mechanism is a witness that looks every seed up in it. So
// what is held against the generator is what happened, and not what it says of itself.

// A book holds what the sources of a simulation delivered.
type book struct {
	mu       sync.Mutex
	deposits map[[16]byte]*deposit // by the first bytes of the data
	unspent  []*deposit            // those with credit, in time; some may be spent by now
	credited map[string]uint64     // by source: what was delivered in time, bits
	late     int                   // deliveries for which nobody waited any more
}

// A deposit is what one call of a source delivered.
type deposit struct {
	source string
	credit int // bits
	late   bool
	spent  string // on what
}

func (b *book) enter(source string, data []byte, credit int, late bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := &deposit{source: source, credit: credit, late: late}
	if len(data) >= 16 {
		b.deposits[[16]byte(data)] = d
	}
	switch {
	case late:
		b.late++
	case credit > 0:
		b.unspent = append(b.unspent, d)
		b.credited[source] += uint64(credit)
	}
}

// spend looks up the deposits in a seed and returns what they are worth, in bits, or what
// is wrong with one of them: it was spent before, came too late, or has no worth.
func (b *book) spend(seed []byte, on string) (credit int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ; len(seed) >= 16; seed = seed[8:] {
		d := b.deposits[[16]byte(seed)]
		switch {
		case d == nil:
			continue
		case d.spent != "":
			return 0, fmt.Errorf("data of %s in %s were spent before, on %s", d.source, on, d.spent)
		case d.late:
			return 0, fmt.Errorf("data of %s in %s came too late", d.source, on)
		case d.credit == 0:
			return 0, fmt.Errorf("data of %s in %s have no entropy", d.source, on)
		}
		d.spent = on
		credit += d.credit
	}
	return credit, nil
}

// spendRest spends the deposits that are left, and returns what they are worth.
func (b *book) spendRest(on string) (credit int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range b.unspent {
		if d.spent == "" {
			d.spent = on
			credit += d.credit
		}
	}
	b.unspent = b.unspent[:0]
	return credit
}

// A simCall is one call of a source.
type simCall struct {
	s     *simSource
	ctx   context.Context
	p     []byte
	bits  int
	began time.Time
}

// deliver fills p with data of its own and enters them. The collector waits a second for
// a source that is not slow, and no longer than for what its context says.
func (c *simCall) deliver(credit int) int {
	c.s.mu.Lock()
	n := c.s.calls
	c.s.calls++
	c.s.mu.Unlock()
	copy(c.p, c.s.Data(n, len(c.p)))
	info := c.s.Info()
	late := c.ctx.Err() != nil || !info.Slow && time.Since(c.began) >= time.Second
	c.s.book.enter(info.Name, c.p, credit, late)
	return credit
}

// A weather is what a source does in a call.
type weather func(c *simCall) (credit int, err error)

// A simSource is a source whose weather can be changed.
type simSource struct {
	*estest.Fake
	book *book

	mu    sync.Mutex // guards the fields below
	now   weather
	calls int
	until time.Time // when a call that hangs returns
}

// hung reports whether a call hangs.
func (s *simSource) hung() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.until)
}

// Each source of a simulation has a delay of its own: if two answered in the same instant,
// it would be up to the scheduler of Go whether one of them is too late.
func newSimSource(b *book, info es.Info, now weather, delay time.Duration) *simSource {
	info.Health = true // for FIPS mode
	s := &simSource{book: b, now: now}
	s.Fake = estest.New(info, estest.Do("weather", func(ctx context.Context, p []byte, bits int) (int, error) {
		c := &simCall{s, ctx, p, bits, time.Now()}
		time.Sleep(delay)
		s.mu.Lock()
		now := s.now
		s.mu.Unlock()
		return now(c)
	}))
	return s
}

func (s *simSource) turn(now weather) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

// yields is fair weather: so many bits, or as many as are asked for.
func yields(most int) weather {
	return func(c *simCall) (int, error) {
		return c.deliver(max(0, min(most, c.bits, c.s.Info().MaxEntropy))), nil
	}
}

// boasts delivers what is asked for, and claims ten times as much.
func boasts(c *simCall) (int, error) { return 10 * c.deliver(min(c.bits, c.s.Info().MaxEntropy)), nil }

// after waits for d, unless nobody does any more, and then does what w says.
func after(d time.Duration, w weather) weather {
	return func(c *simCall) (int, error) {
		select {
		case <-time.After(d):
			return w(c)
		case <-c.ctx.Done():
			return 0, c.ctx.Err()
		}
	}
}

// hangs is deaf for d, and then does what w says.
func hangs(d time.Duration, w weather) weather {
	return func(c *simCall) (int, error) {
		c.s.mu.Lock()
		c.s.until = c.began.Add(d)
		c.s.mu.Unlock()
		time.Sleep(d)
		return w(c)
	}
}

// fails leaves something in p that means nothing.
func fails(err error) weather {
	return func(c *simCall) (int, error) {
		for i := range c.p {
			c.p[i] = 0xee
		}
		return 0, err
	}
}

func alarms(permanent bool) weather {
	return func(c *simCall) (int, error) {
		return 0, &es.HealthError{Source: c.s.Info().Name, Test: "RCT", Count: 41, Cutoff: 41, Permanent: permanent}
	}
}

func panics(*simCall) (int, error) { panic("bad weather") }

// A world is one generator in a simulation.
type world struct {
	*testing.T
	r       *lrng.RNG
	config  lrng.Config
	book    *book
	sources []*simSource
	rnd     *rand.Rand
	began   time.Time
	base    int // goroutines in the bubble before there was a generator

	extra   uint64 // rounds of GetSeed, which Status.Rounds may leave out
	outputs map[[16]byte]bool

	mu        sync.Mutex // guards the fields below
	witnesses []*witness
	fine      time.Time // since when one round is enough for a seed; zero if it is not
	pool      int       // bits that the auxiliary pool can at most hold
	logged    int       // bits in seeds of shards, by the log
	fresh     int       // bits collected for other purposes
}

// need is how much entropy is in each seed, in bits: that of the default strategy.
const need = 256

// A simulation begins with sources that yield nothing.
func newWorld(t *testing.T, c lrng.Config, infos ...es.Info) *world {
	w := &world{T: t, rnd: rand.New(rand.NewPCG(14, 13)), began: time.Now(), outputs: make(map[[16]byte]bool)}
	w.book = &book{deposits: make(map[[16]byte]*deposit), credited: make(map[string]uint64)}
	w.base = len(bubble())
	for i, info := range infos {
		s := newSimSource(w.book, info, fails(errDead), time.Duration(i)*time.Millisecond)
		w.sources = append(w.sources, s)
		c.Sources = append(c.Sources, s)
	}
	c.OutputBuffer, c.FIPS, c.Strategy, c.Logger = -1, fipsMode(), seeding.Default, slog.New(simLog{w})
	c.DRNG = func() (drng.DRNG, error) {
		d, err := drng.NewCTR(drng.CTRConfig{})
		if err != nil {
			return nil, err
		}
		v := &witness{CTR: d, w: w}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.witnesses = append(w.witnesses, v)
		return v, nil
	}
	w.config = c
	w.r = newRNG(t, c)
	return w
}

// A simLog adds up the credits that are logged.
type simLog struct{ w *world }

func (simLog) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (l simLog) WithAttrs([]slog.Attr) slog.Handler         { return l }
func (l simLog) WithGroup(string) slog.Handler              { return l }
func (l simLog) Handle(_ context.Context, rec slog.Record) error {
	attrs := make(map[string]slog.Value)
	rec.Attrs(func(a slog.Attr) bool { attrs[a.Key] = a.Value; return true })
	if shard, ok := attrs["shard"]; ok && shard.Int64() >= 0 {
		l.w.mu.Lock()
		defer l.w.mu.Unlock()
		l.w.logged += int(attrs["credit"].Int64())
	}
	return nil
}

// A witness is CTR_DRBG as one instance of the generator. It knows the rules. Its own
// methods hide that the type is one of ours.
type witness struct {
	*drng.CTR
	w *world

	index    int // of the shard; -1 for prediction resistance
	seeds    int
	born     time.Time // of the latest seed
	requests uint64    // since the latest seed
	overdue  time.Time // of the first request that found the seed too old
	kicked   time.Time // of the first one that must have had it replaced
}

func (v *witness) Seed(seed, additional []byte) error {
	if err := v.CTR.Seed(seed, additional); err != nil {
		return err
	}
	w := v.w
	w.mu.Lock()
	defer w.mu.Unlock()
	// The end of the additional input: clock, time, index (defect 6.3-6).
	end := additional[len(additional)-24:]
	v.index = int(int64(binary.LittleEndian.Uint64(end[16:])))
	v.seeds++
	v.born, v.requests, v.overdue, v.kicked = time.Now(), 0, time.Time{}, time.Time{}
	if at := binary.LittleEndian.Uint64(end[8:]); at != uint64(v.born.UnixNano()) {
		w.Errorf("time stamp %d at %v", at, v.born)
	}
	what := fmt.Sprintf("seed %d of instance %d", v.seeds, v.index)
	credit, err := w.book.spend(seed, what)
	if err != nil {
		w.Error(err)
	}
	if v.index >= 0 {
		// All that was gathered is in the seed of a shard. In a seed that was gathered in
		// many rounds some of it is hashed (128 bytes are a round).
		hashed := w.book.spendRest(what)
		if credit += hashed; hashed > 0 && len(seed)%128 == 0 {
			w.Errorf("at %v: %d of %d bits are not in %s", w.elapsed(), hashed, credit, what)
		}
	}
	if credit < need {
		// The rest must have come from AddEntropy.
		if w.pool -= need - credit; w.pool < 0 {
			w.Errorf("at %v: instance %d was seeded with %d bits", w.elapsed(), v.index, credit)
		}
	}
	if w.shard(0) == nil { // which may be this one
		w.Errorf("instance %d was seeded before shard 0", v.index)
	}
	return nil
}

func (v *witness) Generate(out, additional []byte) error {
	if err := v.CTR.Generate(out, additional); err != nil {
		return err
	}
	w := v.w
	w.mu.Lock()
	defer w.mu.Unlock()
	v.requests++
	switch {
	case v.seeds == 0:
		w.Errorf("output without a seed")
	case v.requests > w.config.MaxWithoutReseed:
		w.Errorf("instance %d: request %d since the seed", v.index, v.requests)
	case v.index < 0 && (v.requests > 1 || 8*len(out) > need):
		w.Errorf("prediction resistance: request %d since the seed, of %d bits", v.requests, 8*len(out))
	case v.index >= 0:
		v.watchAge()
	}
	return nil
}

// watchAge watches requests to a shard that is due. The first one has it reseeded, unless
// the sources are left alone after a failure. That lasts a minute at most, so the first
// one after a minute has it reseeded in any case. Three shards take three rounds, of ten
// seconds at most. The world's lock is held.
func (v *witness) watchAge() {
	now := time.Now()
	life := 10*time.Minute + time.Duration(min(v.index, 6))*100*time.Second
	if now.Sub(v.born) <= life || v.w.fine.IsZero() {
		v.overdue, v.kicked = time.Time{}, time.Time{}
		return
	}
	switch {
	case v.overdue.IsZero():
		v.overdue = now
	case v.kicked.IsZero() && now.Sub(v.overdue) >= time.Minute:
		v.kicked = now
	case !v.kicked.IsZero() && now.Sub(v.kicked) > 30*time.Second:
		v.w.Errorf("at %v: shard %d serves from a seed of %v although the sources are fine", v.w.elapsed(), v.index, now.Sub(v.born))
	}
}

// shard returns the witness of a shard that was seeded, or nil. The lock is held.
func (w *world) shard(i int) *witness {
	for _, v := range w.witnesses {
		if v.index == i && v.seeds > 0 {
			return v
		}
	}
	return nil
}

func (w *world) elapsed() time.Duration { return time.Since(w.began) }

// turn changes the weather of the sources, in order. A nil leaves one as it is. Fine says
// that a round brings a whole seed from now on.
func (w *world) turn(fine bool, weathers ...weather) {
	w.mu.Lock()
	switch {
	case !fine:
		w.fine = time.Time{}
	case w.fine.IsZero():
		w.fine = time.Now()
	}
	w.mu.Unlock()
	for i, now := range weathers {
		if now != nil {
			w.sources[i].turn(now)
		}
	}
}

// request is one request that does not wait, and what must be true of its result.
func (w *world) request(size int) {
	w.Helper()
	b := bytes.Repeat([]byte{0xa5}, size)
	lost := func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		zero := w.shard(0)
		return zero == nil || zero.requests+uint64(max(1, (size+4095)/4096)) > w.config.MaxWithoutReseed
	}
	before := lost() // a refusal starts the worker, which may be done when it is looked at
	n, err := w.r.Nonblocking().Read(b)
	switch {
	case err == nil && n == size:
		w.note(b)
	case !errors.Is(err, lrng.ErrNotSeeded) || n != 0 || !bytes.Equal(b, make([]byte, size)):
		w.Fatalf("at %v: request: %d, %v, %x", w.elapsed(), n, err, b)
	case !before && !lost():
		w.Fatalf("at %v: refused although shard 0 has a seed", w.elapsed())
	}
}

// note looks for outputs that occurred before. Two of 10⁶ outputs of 16 bytes are equal
// with probability 2⁻⁸⁹.
func (w *world) note(b []byte) {
	w.Helper()
	if len(b) < 16 {
		return
	}
	k := [16]byte(b)
	if w.outputs[k] || k == [16]byte{} {
		w.Errorf("at %v: output repeats, or was not written", w.elapsed())
	}
	w.outputs[k] = true
}

// traffic is a request of a few bytes every so often, for d.
func (w *world) traffic(d, every time.Duration) {
	w.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		w.request(16 + w.rnd.IntN(48))
		time.Sleep(every)
	}
	w.checkpoint()
}

// burst is many requests at once.
func (w *world) burst(n int) {
	w.Helper()
	for range n {
		w.request(16 + w.rnd.IntN(48))
	}
	w.checkpoint()
}

// quiet waits until no round is under way. One bit in each round of ten seconds takes most
// of an hour to the seed of a shard.
func (w *world) quiet() {
	w.Helper()
	for range w.config.Shards * 3600 {
		synctest.Wait()
		if st := w.r.Status(); rounds(st) == st.Rounds+w.extra {
			return
		}
		time.Sleep(time.Second)
	}
	w.Fatalf("at %v: not quiet; or the number of rounds is wrong", w.elapsed())
}

// idle is time without a request. Nothing happens in it: no source is asked, and there is
// no goroutine but those that hang in a source.
func (w *world) idle(d time.Duration, hanging int) {
	w.Helper()
	end := time.Now().Add(d)
	time.Sleep(2 * time.Second) // the worker may still be in a nap for somebody who waited
	w.quiet()
	calls := w.calls()
	w.goroutines(hanging)
	time.Sleep(time.Until(end))
	synctest.Wait()
	if n := w.calls() - calls; n != 0 {
		w.Errorf("at %v: %d calls of sources while nobody asked for anything", w.elapsed(), n)
	}
	w.checkpoint()
}

// goroutines checks that there are as many goroutines as hang in a source.
func (w *world) goroutines(hanging int) {
	w.Helper()
	stacks := bubble()
	for range 100 { // one that has just returned may not be gone yet
		if len(stacks)-w.base == hanging {
			return
		}
		runtime.Gosched()
		stacks = bubble()
	}
	w.Errorf("at %v: %d goroutines of an idle generator, %d hang in sources:\n%s", w.elapsed(), len(stacks)-w.base, hanging, strings.Join(stacks, "\n\n"))
}

// bubble returns the stacks of the goroutines in the bubble of the caller.
func bubble() (stacks []string) {
	synctest.Wait()
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	name := ""
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		header, _, _ := strings.Cut(stack, "\n")
		_, rest, ok := strings.Cut(header, "synctest bubble ")
		if name == "" {
			name = rest // of the caller, which comes first
		}
		if ok && rest == name {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

func (w *world) calls() (n int) {
	for _, s := range w.sources {
		n += s.Count()
	}
	return n
}

// fetch uses entropy for something else than a shard: it adds up what that was by the
// counters of the sources, while nothing else is under way.
func (w *world) fetch(f func() (bits int, exact bool)) {
	w.Helper()
	w.quiet()
	before := w.r.Status()
	bits, exact := f()
	synctest.Wait()
	after := w.r.Status()
	used := allCredited(after) - allCredited(before)
	if after.Seeds-before.Seeds != after.PredictionResistance.Seeds-before.PredictionResistance.Seeds {
		w.Fatalf("at %v: a shard was seeded in between", w.elapsed())
	}
	if used < bits || exact && used != bits {
		w.Errorf("at %v: %d bits are said to have been used; the sources were credited with %d", w.elapsed(), bits, used)
	}
	w.book.spendRest("something else")
	w.fresh += used
	w.extra += rounds(after) - after.Rounds - (rounds(before) - before.Rounds)
}

// allCredited returns the credit of all sources in all, in bits.
func allCredited(st lrng.Status) (bits int) {
	for _, s := range st.Sources {
		bits += int(s.TotalCredited)
	}
	return bits
}

// rounds returns how often the first source was asked, or left alone since it hung.
func rounds(st lrng.Status) uint64 { return st.Sources[0].Calls + st.Sources[0].Skipped }

// special uses the readers that take entropy of their own.
func (w *world) special() {
	w.Helper()
	w.fetch(func() (int, bool) {
		b := mustRead(w, w.r.PredictionResistant(), 32)
		w.note(b)
		return w.r.Status().PredictionResistance.LastCredit, true
	})
	w.fetch(func() (int, bool) {
		b := mustRead(w, w.r.SeedReader(), 24)
		w.note(b)
		return 24*8 + 64, false
	})
	w.fetch(func() (int, bool) {
		seed, credit, err := w.r.GetSeed(w.Context(), 384)
		if err != nil {
			w.Fatal(err)
		}
		var buf seeding.Buffer
		if err := buf.UnmarshalBinary(seed); err != nil {
			w.Fatal(err)
		}
		if buf.Credit() != credit || credit < 384 {
			w.Errorf("GetSeed: %d bits, %d in the buffer", credit, buf.Credit())
		}
		for _, e := range buf.Entries {
			if _, err := w.book.spend(e.Data, "a seed for somebody else"); err != nil {
				w.Error(err)
			}
		}
		return credit, true
	})
	w.checkpoint()
}

// add is AddEntropy.
func (w *world) add(bits int) {
	w.Helper()
	w.mu.Lock()
	w.pool += bits
	w.mu.Unlock()
	b := make([]byte, 64)
	binary.LittleEndian.PutUint64(b, w.rnd.Uint64())
	if err := w.r.AddEntropy(b, bits); err != nil {
		w.Fatal(err)
	}
}

// checkpoint looks whether the counters of the Status add up, with each other and with the
// book.
func (w *world) checkpoint() {
	w.Helper()
	w.quiet()
	st := w.r.Status()
	seeds := st.PredictionResistance.Seeds
	var lost uint64
	for i, in := range st.Instances {
		seeds += in.Seeds
		lost += in.Lost
		if in.SinceSeed > w.config.MaxWithoutReseed || in.Requests < in.SinceSeed || 8*in.Bytes < in.BitsSinceSeed || in.LastCredit != 0 && in.LastCredit < need {
			w.Errorf("at %v: shard %d: %+v", w.elapsed(), i, in)
		}
	}
	if st.Seeds != seeds {
		w.Errorf("at %v: %d seeds, %d of the instances", w.elapsed(), st.Seeds, seeds)
	}
	if st.SeedFailures != 0 || st.Closed {
		w.Errorf("at %v: %d seeds refused, closed %v", w.elapsed(), st.SeedFailures, st.Closed)
	}
	if full := st.Level == seeding.FullySeeded; full != st.Instances[0].Seeded {
		w.Errorf("at %v: level %v, shard 0 seeded: %v", w.elapsed(), st.Level, st.Instances[0].Seeded)
	}
	for i, s := range st.Sources {
		if s.Calls+s.Skipped != st.Rounds+w.extra {
			w.Errorf("at %v: %s: %d calls and %d skipped in %d + %d rounds", w.elapsed(), s.Name, s.Calls, s.Skipped, st.Rounds, w.extra)
		}
		if s.Failures > s.Calls || s.Late > s.Calls || s.Credited > s.Rate || s.Rate > s.MaxEntropy || s.TotalCredited > s.Calls*uint64(s.MaxEntropy) {
			w.Errorf("at %v: %+v", w.elapsed(), s)
		}
		if i == len(w.sources) {
			break // the auxiliary pool
		}
		w.book.mu.Lock()
		if want := w.book.credited[s.Name]; s.TotalCredited != want {
			w.Errorf("at %v: %s was credited with %d bits in all, and delivered %d", w.elapsed(), s.Name, s.TotalCredited, want)
		}
		w.book.mu.Unlock()
	}
	// What came in is in a seed, was fetched for something else, or is still there.
	w.mu.Lock()
	defer w.mu.Unlock()
	if in, out := allCredited(st), w.logged+w.fresh+st.Entropy; in != out {
		w.Errorf("at %v: %d bits came in; %d are in seeds, %d elsewhere, %d left", w.elapsed(), in, w.logged, w.fresh, st.Entropy)
	}
}

// The three sources of a small machine: one that is good, one that is worth little, and
// one on a slow bus.
var machine = []es.Info{{Name: "jitter", MaxEntropy: 256}, {Name: "cpu", MaxEntropy: 16}, {Name: "hsm", MaxEntropy: 256, Slow: true}}

// everyday is the weather of these on a good day.
func everyday() []weather {
	return []weather{after(2*time.Millisecond, yields(256)), yields(8), after(3*time.Second, yields(256))}
}

// Two days in the life of a generator: it comes up without entropy; a day of traffic with
// bursts, alarms, a source that hangs for an hour, sources that go and come back, all of
// them dead until the last seed is used up; a night without a request; and a machine that
// is suspended in the middle of a collection.
func TestDaysOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		every := time.Second
		if testing.Short() || raceEnabled {
			every = 10 * time.Second
		}
		w := newWorld(t, lrng.Config{Shards: 1, ReseedRequests: 5000, MaxWithoutReseed: 20000}, machine...)
		fair := everyday()
		gone := fails(syscall.ENODEV)

		// 00:00. Nothing yet. Somebody waits, and others ask now and then.
		first := make(chan error, 1)
		go func() {
			_, err := w.r.ReadContext(t.Context(), make([]byte, 32))
			first <- err
		}()
		w.traffic(10*time.Minute, every)
		if n := w.r.Status().Rounds; n < 600 || n > 610 { // one a second, after the first few
			t.Errorf("%d rounds in 10 minutes without entropy", n)
		}
		// It comes in drops: 4 bits in each round, and then nothing for a while.
		w.turn(false, yields(4))
		time.Sleep(900 * time.Millisecond)
		w.checkpoint()
		w.turn(false, gone)
		select {
		case err := <-first: // 64 rounds, as fast as they go, make a seed
			if err != nil {
				t.Error(err)
			}
		case <-time.After(time.Minute):
			t.Fatalf("drops do not add up: %d bits", w.r.Status().Entropy)
		}

		// 06:00. Morning: all is well.
		w.turn(true, fair...)
		w.idle(6*time.Hour-time.Since(w.began), 0)
		w.traffic(2*time.Hour, every)
		w.burst(12000)
		w.special()
		if n := w.r.Status().Instances[0].Seeds; n < 2*60/11+2 {
			t.Errorf("%d seeds in two hours of traffic", n)
		}

		// Alarms that come and go. From here on the slow source is waited for.
		for range 6 {
			w.turn(true, alarms(false))
			w.traffic(5*time.Minute, every)
			w.turn(true, fair[0])
			w.traffic(5*time.Minute, every)
			if err := w.r.Reseed(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if s := w.r.Status().Sources[0]; s.Failures == 0 || s.Health != "tests passed" {
			t.Errorf("after alarms: %+v", s)
		}

		// The good source hangs for an hour; it is left alone, and back after that.
		w.turn(true, hangs(time.Hour, yields(256)))
		w.traffic(50*time.Minute, every)
		before := w.r.Status().Sources[0]
		if before.Skipped == 0 {
			t.Errorf("in a hanging source: %+v", before)
		}
		w.idle(9*time.Minute, 1)
		w.turn(true, fair[0])
		w.traffic(time.Hour, every)
		if s := w.r.Status().Sources[0]; s.Late != before.Late+1 || s.Credited == 0 {
			t.Errorf("after it hung: %+v", s)
		}

		// It fails for good. The others carry on; then one of them is unplugged, too.
		w.turn(true, alarms(true))
		w.traffic(time.Hour, every)
		if s := w.r.Status().Sources[0]; s.Health != "failed for good" || s.Credited != 0 {
			t.Errorf("after a permanent failure: %+v", s)
		}
		w.turn(false, nil, nil, gone)
		w.traffic(time.Hour, every) // 32 rounds with 8 bits each make a seed
		seeds := w.r.Status().Seeds
		if in := w.r.Status().Instances[0]; time.Since(in.LastSeed) > 11*time.Minute {
			t.Errorf("with one poor source the last seed is of %v ago", time.Since(in.LastSeed))
		}

		// Nothing is left, while traffic goes on: about one round a minute.
		w.turn(false, nil, fails(errDead), gone)
		before0 := w.r.Status().Rounds
		w.traffic(2*time.Hour, every)
		if n := w.r.Status().Rounds - before0; n > 2*60+15 {
			t.Errorf("%d rounds in two hours without entropy", n)
		}
		if n := w.r.Status().Seeds - seeds; n > 1 {
			t.Errorf("%d seeds out of nothing", n)
		}
		// A burst uses up the last seed. Who does not wait is refused from then on.
		w.burst(21000)
		if st := w.r.Status(); st.Level == seeding.FullySeeded || st.Instances[0].Lost != 1 {
			t.Errorf("after %d requests: %v, lost %d", st.Instances[0].SinceSeed, st.Level, st.Instances[0].Lost)
		}
		mustRefuse(t, w.r.Nonblocking(), lrng.ErrNotSeeded)
		// Who waits has the sources asked every second, not more often.
		before0 = w.r.Status().Rounds
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		if n, err := w.r.ReadContext(ctx, make([]byte, 100)); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without a seed: %d, %v", n, err)
		}
		cancel()
		if n := w.r.Status().Rounds - before0; n > 3600+10 {
			t.Errorf("%d rounds in an hour while somebody waits", n)
		}
		w.idle(time.Hour, 0)

		// Somebody brings entropy, or the device is back. Those who wait are served at once.
		begin, read := time.Now(), make(chan time.Duration, 1)
		go func() {
			mustRead(t, w.r, 32)
			read <- time.Since(begin)
		}()
		time.Sleep(time.Minute)
		delay := 100 * time.Millisecond
		if fipsMode() == lrng.FIPSOff {
			w.add(256)
		} else {
			w.turn(true, fair...)
			delay = 5 * time.Second // it is asked every second, and takes three
		}
		if d := <-read; d < time.Minute || d > time.Minute+delay {
			t.Errorf("served after %v; entropy came after a minute", d)
		}
		w.turn(true, fair...)
		w.traffic(time.Hour, every)

		// Night, and a new day.
		w.idle(8*time.Hour, 0)
		seeds = w.r.Status().Seeds
		w.request(32) // is served from the old state, and has a new one made
		time.Sleep(5 * time.Second)
		if n := w.r.Status().Seeds - seeds; n != 1 {
			t.Errorf("%d seeds after the first request of the day", n)
		}
		w.traffic(time.Hour, every)

		// The machine is suspended while a source is asked, which returns 8 hours later.
		w.turn(true, hangs(8*time.Hour, yields(256)))
		if err := w.r.Reseed(t.Context()); err != nil { // with the other one
			t.Error(err)
		}
		w.turn(true, fair[0])
		w.idle(9*time.Hour, 1)
		w.book.mu.Lock()
		if w.book.late != 2 {
			t.Errorf("%d deliveries came too late, want 2", w.book.late)
		}
		w.book.mu.Unlock()
		w.traffic(time.Hour, every)
		w.special()
		w.goroutines(0)
	})
}

// Days of weather at random, always the same, with several shards. Every hour each source
// does something else, and so do those who use the generator.
func TestRandomWeather(t *testing.T) {
	days := 14
	if testing.Short() || raceEnabled {
		days = 3
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lrng.Config{Shards: 3, ReseedRequests: 300, MaxWithoutReseed: 1500}, machine...)
		fair := everyday()
		skies := []weather{
			nil, nil, yields(0), yields(1), yields(100), boasts,
			after(700*time.Millisecond, yields(256)), after(1300*time.Millisecond, yields(256)), after(11*time.Second, yields(256)),
			hangs(1400*time.Millisecond, yields(256)), hangs(25*time.Minute, yields(200)),
			fails(errDead), fails(syscall.ENODEV), fails(es.ErrUnavailable), alarms(false), alarms(true), panics,
		}
		for range 24 * days {
			good := w.rnd.IntN(4) == 0
			for i, s := range w.sources {
				sky := skies[w.rnd.IntN(len(skies))]
				if good || sky == nil {
					sky = fair[i]
					good = good || i != 1 && !s.hung()
				}
				s.turn(sky)
			}
			w.turn(good && !(w.sources[0].hung() && w.sources[2].hung()))
			for range 6 {
				switch w.rnd.IntN(6) {
				case 0:
					time.Sleep(10 * time.Minute)
				case 1:
					w.burst(500)
					time.Sleep(10 * time.Minute)
				case 2:
					w.traffic(10*time.Minute, time.Duration(1+w.rnd.IntN(30))*time.Second)
				case 3:
					if fipsMode() == lrng.FIPSOff {
						w.add(w.rnd.IntN(300))
					}
					w.traffic(10*time.Minute, time.Minute)
				case 4: // one who waits, but not for ever
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
					b := make([]byte, 5000)
					if n, err := w.r.ReadContext(ctx, b); err == nil {
						w.note(b)
					} else if n != 0 || !errors.Is(err, context.DeadlineExceeded) || !bytes.Equal(b, make([]byte, len(b))) {
						t.Errorf("at %v: %d, %v", w.elapsed(), n, err)
					}
					cancel()
					w.checkpoint()
				case 5:
					w.traffic(9*time.Minute, 20*time.Second)
					time.Sleep(time.Minute)
				}
			}
		}
		// In the end it is as good as new.
		w.turn(true, fair...)
		w.traffic(3*time.Hour, time.Second*10)
		w.special()
		st := w.r.Status()
		if st.Level != seeding.FullySeeded {
			t.Errorf("level %v", st.Level)
		}
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		w.goroutines(0)
	})
}

// From here on, what the life of a generator consists of, one thing at a time.

// One collection at a time, whatever it is for: shards that are due, forced reseeds,
// prediction resistance, seeds, seed buffers and switches.
func TestOneCollectionAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var inside [2]atomic.Int32
		turnstile := func(i int, took time.Duration) es.Source {
			return fake(fmt.Sprint(i), estest.Do("turnstile", func(_ context.Context, _ []byte, bits int) (int, error) {
				if inside[i].Add(1) > 1 {
					t.Error("asked while it is being asked")
				}
				defer inside[i].Add(-1)
				time.Sleep(took)
				return bits, nil
			}))
		}
		c := one(turnstile(0, 70*time.Millisecond), turnstile(1, 30*time.Millisecond))
		c.Shards, c.ReseedRequests, c.MaxWithoutReseed = 3, 2, 40
		r := newRNG(t, c)
		mustRead(t, r, 1)
		end := time.Now().Add(time.Minute)
		var wg sync.WaitGroup
		for i, f := range []func() error{
			func() error { _, err := r.Read(make([]byte, 16)); time.Sleep(time.Millisecond); return err },
			func() error { _, err := r.Read(make([]byte, 5000)); time.Sleep(time.Millisecond); return err },
			func() error { _, err := r.PredictionResistant().Read(make([]byte, 50)); return err },
			func() error { _, err := r.SeedReader().Read(make([]byte, 50)); return err },
			func() error { _, _, err := r.GetSeed(t.Context(), 384); return err },
			func() error { return r.Reseed(t.Context()) },
			func() error { time.Sleep(5 * time.Second); return r.SetDRNG(mechanisms()["CTR_DRBG AES-256"]) },
		} {
			wg.Go(func() {
				for time.Now().Before(end) {
					if err := f(); err != nil {
						t.Errorf("user %d: %v", i, err)
						return
					}
				}
			})
		}
		wg.Wait()
		for _, s := range r.Status().Sources[:2] {
			if s.Calls < 60*1000/70 || s.Skipped != 0 { // the pool is never idle
				t.Errorf("%d calls, %d skipped", s.Calls, s.Skipped)
			}
		}
	})
}

// Entropy that somebody brings is used at once, by whoever waits for it and however; bytes
// without credit are not news.
func TestArrivalWakesEveryWait(t *testing.T) {
	needsFreedom(t)
	for name, wait := range map[string]func(context.Context, *lrng.RNG) error{
		"Reseed": func(ctx context.Context, r *lrng.RNG) error { return r.Reseed(ctx) },
		"PR": func(_ context.Context, r *lrng.RNG) error {
			_, err := r.PredictionResistant().Read(make([]byte, 8))
			return err
		},
		"Seed":    func(_ context.Context, r *lrng.RNG) error { _, err := r.SeedReader().Read(make([]byte, 8)); return err },
		"GetSeed": func(ctx context.Context, r *lrng.RNG) error { _, _, err := r.GetSeed(ctx, 256); return err },
		"SetDRNG": func(_ context.Context, r *lrng.RNG) error { return r.SetDRNG(mechanisms()["XDRBG-256"]) },
		"Read": func(_ context.Context, r *lrng.RNG) error {
			for range 3 { // the second finds the limit
				if _, err := r.Read(make([]byte, 8)); err != nil {
					return err
				}
			}
			return nil
		},
		"due": func(_ context.Context, r *lrng.RNG) error { // nobody waits
			r.Read(make([]byte, 8))
			for seeds := r.Status().Seeds; r.Status().Seeds == seeds; {
				time.Sleep(time.Second / 2)
			}
			return nil
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			src := fake("a")
			c := one(src)
			c.ReseedRequests, c.MaxWithoutReseed = 1, 2
			r := newRNG(t, c)
			if err := r.Wait(t.Context(), seeding.FullySeeded); err != nil {
				t.Fatal(err)
			}
			src.SetDead(errDead)
			begin, done := time.Now(), make(chan time.Duration, 1)
			go func() {
				if err := wait(t.Context(), r); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				done <- time.Since(begin)
			}()
			time.Sleep(10*time.Minute + 250*time.Millisecond) // no attempt is made at that time
			calls := src.Count()
			if err := r.AddEntropy(make([]byte, 64), 0); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if n := src.Count(); n != calls {
				t.Errorf("%s: %d rounds for bytes without credit", name, n-calls)
			}
			if err := r.AddEntropy(make([]byte, 64), 256); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if name == "due" {
				if got := r.Status().Instances[0].Seeds; got != 2 {
					t.Errorf("%d seeds", got)
				}
			} else if len(done) != 1 {
				t.Errorf("%s: still waits", name)
			}
			<-done
		})
	}
}

// A source fails for good, is taken out, and put back in: its state is told, the others
// carry on meanwhile, and it counts from the next round on.
func TestSourceFailedRemovedAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := fake("a", estest.OK(100))
		b := fake("b", estest.OK(156), estest.Health(true).Times(3), estest.Error(syscall.ENODEV).Times(3), estest.OK(156))
		r := newRNG(t, one(a, b))
		for _, want := range []struct {
			rounds int // to a seed
			credit int // of the seed
			health string
		}{{1, 256, "tests passed"}, {3, 300, "failed for good"}, {3, 300, "no entropy"}, {1, 256, "tests passed"}} {
			before := a.Count()
			if err := r.Reseed(t.Context()); err != nil {
				t.Fatal(err)
			}
			st := r.Status()
			if n, got := a.Count()-before, st.Instances[0].LastCredit; n != want.rounds || got != want.credit {
				t.Errorf("%s: %d rounds, %d bits; want %d, %d", want.health, n, got, want.rounds, want.credit)
			}
			if s := st.Sources[1]; s.Health != want.health || (s.Error == "") != (s.Credited == 156) {
				t.Errorf("%s: %+v", want.health, s)
			}
		}
	})
}
