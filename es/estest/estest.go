// Package estest checks implementations of [es.Source] against the rules of that
// interface, and holds fakes of sources for tests of what uses them.
//
// [Run] is the conformance suite. [Fake] is a source that does what a script
// says: deliver, fail, panic, hang, or lie about its credit.
package estest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/lrng-go/lrng/es"
)

const (
	// patience is how long "at once" and "soon" may take. Nothing is measured
	// against it that should take more than some milliseconds.
	patience = 2 * time.Second

	// limit is how long GetEntropy may take when nobody hurries it.
	limit = time.Minute

	// huge is a size, in bytes, that keeps most sources collecting for a while.
	huge = 1 << 18

	// margin is how many bytes behind p are watched, and canary what they hold.
	margin = 64
	canary = 0xc3
)

// Run tests that a source keeps the rules of [es.Source], and those of the
// optional interfaces that it implements. It calls newSource for each of its
// subtests; the function may return a new source each time or the same one, and
// may clean up with t.Cleanup. What fails is reported with the number of its
// rule.
//
// A source that is unavailable, so that newSource or GetEntropy return an error
// that wraps [es.ErrUnavailable], is accepted: what needs data is skipped, and
// the reason is logged. All other errors are failures, also an [es.HealthError].
//
// If the source has a method Add(p []byte, bits int) error, as [es.Auxiliary]
// has, it is used to see whether a [es.Notifier] notifies. Run makes some
// hundreds of calls, for up to 130 bytes, and a few for 256 KiB that it cancels;
// a source may refuse the latter. It is a test of the interface, not of the
// entropy, and it cannot see all of the rules: that nothing is delivered before
// the start-up tests passed (rule 5) and that no copy is kept (rule 7) is to be
// tested with a look inside. The race detector sees more of rules 1 and 7.
//
//	func TestSource(t *testing.T) {
//		estest.Run(t, func() (es.Source, error) { return mydevice.Open() })
//	}
func Run[F func() es.Source | func() (es.Source, error)](t *testing.T, newSource F) {
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			r.run(t, constructor(newSource))
		})
	}
}

// constructor returns newSource in the longer of its two forms.
func constructor(newSource any) func() (es.Source, error) {
	if f, ok := newSource.(func() es.Source); ok {
		return func() (es.Source, error) { return f(), nil }
	}
	return newSource.(func() (es.Source, error))
}

// A rule is a subtest of Run.
type rule struct {
	name  string
	check func(*suite)
}

func rules() []rule {
	return []rule{
		{"Info", (*suite).checkInfo},
		{"Prompt", (*suite).checkPrompt},
		{"Fill", (*suite).checkFill},
		{"Credit", (*suite).checkCredit},
		{"Context", (*suite).checkContext},
		{"Data", (*suite).checkData},
		{"Concurrent", (*suite).checkConcurrent},
		{"GetNoise", (*suite).checkNoise},
		{"HealthTest", (*suite).checkHealthTest},
		{"Notify", (*suite).checkNotify},
		{"Validate", (*suite).checkValidate},
	}
}

// run makes a source and checks the rule.
func (r rule) run(t testing.TB, newSource func() (es.Source, error)) {
	src, err := newSource()
	switch {
	case errors.Is(err, es.ErrUnavailable):
		t.Skipf("nothing to test: %v", err)
	case err != nil:
		t.Fatalf("new source: %v", err)
	case src == nil:
		t.Fatalf("new source: nil")
	}
	s := &suite{TB: t, src: src}
	if !s.within(patience, "rule 2: Info", func() { s.info = src.Info() }) {
		return
	}
	r.check(s)
}

// A suite is one run of one rule. Its methods are called in the goroutine of
// the test.
type suite struct {
	testing.TB
	src  es.Source
	info es.Info
}

// within calls f in a goroutine of its own and reports whether it returned in
// time. If not, or if it panicked, that is a failure of what.
func (s *suite) within(d time.Duration, what string, f func()) bool {
	s.Helper()
	failure := make(chan string, 1)
	go func() {
		msg := "ended the goroutine"
		defer func() {
			if v := recover(); v != nil {
				msg = fmt.Sprintf("panicked: %v\n%s", v, debug.Stack())
			}
			failure <- msg
		}()
		f()
		msg = ""
	}()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case msg := <-failure:
		if msg != "" {
			s.Errorf("%s %s", what, msg)
		}
		return msg == ""
	case <-timer.C:
		s.Errorf("%s did not return within %v", what, d)
		return false
	}
}

// An attempt is one call of GetEntropy.
type attempt struct {
	bits   int
	p      []byte
	behind []byte // margin bytes of the capacity of p
	credit int
	err    error
	ctxErr error         // of ctx, on return
	done   chan struct{} // closed on return

	// fault is how the call ended if it did not return.
	fault string
}

// start begins a call for size bytes, which are set to fill before.
func (s *suite) start(ctx context.Context, size, bits int, fill byte) *attempt {
	buf := append(bytes.Repeat([]byte{fill}, size), bytes.Repeat([]byte{canary}, margin)...)
	c := &attempt{bits: bits, p: buf[:size], behind: buf[size:], done: make(chan struct{})}
	go func() {
		c.fault = "ended the goroutine"
		defer close(c.done)
		defer func() {
			if v := recover(); v != nil {
				c.fault = fmt.Sprintf("panicked: %v\n%s", v, debug.Stack())
			}
		}()
		c.credit, c.err = s.src.GetEntropy(ctx, c.p, bits)
		c.fault, c.ctxErr = "", ctx.Err()
	}()
	return c
}

// wait waits until c has returned and checks what holds for every call. If it
// does not return in time, the test ends.
func (s *suite) wait(c *attempt, d time.Duration) {
	s.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
		s.Fatalf("rule 6: GetEntropy(%d bytes, %d bits) did not return within %v", len(c.p), c.bits, d)
	}
	what := fmt.Sprintf("GetEntropy(%d bytes, %d bits)", len(c.p), c.bits)
	if c.fault != "" {
		s.Fatalf("rule 3: %s %s", what, c.fault)
	}
	for i, v := range c.behind {
		if v != canary {
			s.Errorf("rule 3: %s wrote behind p, at offset %d", what, len(c.p)+i)
			break
		}
	}
	if c.err != nil {
		if c.credit != 0 {
			s.Errorf("rule 3: %s: credit %d together with the error %q", what, c.credit, c.err)
		}
		var health *es.HealthError
		if errors.As(c.err, &health) && health.Permanent {
			again := s.start(context.Background(), len(c.p), c.bits, 0)
			select {
			case <-again.done:
				if again.err == nil && again.fault == "" {
					s.Errorf("rule 5: %s delivered after the permanent failure %q", what, c.err)
				}
			case <-timer.C:
			}
		}
		return
	}
	if c.credit < 0 {
		s.Errorf("rule 4: %s: credit %d is negative", what, c.credit)
	}
	if c.credit > max(c.bits, 0) {
		s.Errorf("rule 4: %s: credit %d is more than was asked for", what, c.credit)
	}
	if c.credit > s.info.MaxEntropy {
		s.Errorf("rule 4: %s: credit %d is more than Info().MaxEntropy = %d", what, c.credit, s.info.MaxEntropy)
	}
	if c.credit > 8*len(c.p) {
		s.Errorf("rule 4: %s: credit %d is more than the bits of p", what, c.credit)
	}
}

// get makes a call that has to deliver.
func (s *suite) get(size, bits int, fill byte) *attempt {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c := s.start(ctx, size, bits, fill)
	s.wait(c, limit+patience)
	s.need(c)
	return c
}

// need ends the test if c did not deliver.
func (s *suite) need(c *attempt) {
	s.Helper()
	switch {
	case errors.Is(c.err, es.ErrUnavailable):
		s.Skipf("the rules on data cannot be checked: %v", c.err)
	case errors.Is(c.err, context.DeadlineExceeded):
		s.Fatalf("GetEntropy(%d bytes, %d bits) took longer than %v: %v", len(c.p), c.bits, limit, c.err)
	case c.err != nil:
		s.Fatalf("GetEntropy(%d bytes, %d bits): %v", len(c.p), c.bits, c.err)
	}
}

// available returns Available(bits), or 0 if that fails.
func (s *suite) available(bits int) (n int) {
	s.Helper()
	ch := make(chan int, 1)
	if s.within(patience, fmt.Sprintf("rule 2: Available(%d)", bits), func() { ch <- s.src.Available(bits) }) {
		n = <-ch
	}
	return n
}

// checkInfo checks that Info makes sense and does not change (rule 2).
func (s *suite) checkInfo() {
	if s.info.Name == "" {
		s.Errorf("rule 2: Info().Name is empty; it has to identify the source")
	}
	for _, r := range s.info.Name {
		if !unicode.IsPrint(r) {
			s.Errorf("rule 2: Info().Name = %q does not fit in a log", s.info.Name)
			break
		}
	}
	if s.info.MaxEntropy < 0 {
		s.Errorf("rule 2: Info().MaxEntropy = %d is negative", s.info.MaxEntropy)
	}
	for range 3 {
		s.sameInfo()
	}
	s.get(32, 256, 0)
	s.sameInfo()
}

// sameInfo checks that Info returns what it did at first.
func (s *suite) sameInfo() {
	s.Helper()
	ch := make(chan es.Info, 1)
	if s.within(patience, "rule 2: Info", func() { ch <- s.src.Info() }) {
		if info := <-ch; info != s.info {
			s.Errorf("rule 2: Info() = %+v, was %+v; it has to be constant", info, s.info)
		}
	}
}

// checkPrompt checks that Info and Available do not wait for a collection
// (rule 2).
func (s *suite) checkPrompt() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := s.start(ctx, huge, s.info.MaxEntropy, 0)
	for range 20 {
		s.sameInfo()
		s.available(256)
		if s.Failed() {
			break
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	s.wait(c, patience)
	s.sameInfo()
}

// checkFill checks that all of p is filled, whatever is asked for (rule 3).
//
// A byte counts as not written if nine calls leave it as it was, each at another
// value. Random data do that at one of the 604 places with a probability of less
// than 604·2⁻⁷² < 2⁻⁶²; constant data never do.
func (s *suite) checkFill() {
	sizes := []int{1, 7, 32, 65, 67, 130}
	if s.info.Slow {
		sizes = []int{67}
	}
	fills := []byte{0x00, 0xff, 0x55, 0xaa, 0x0f, 0xf0, 0x33, 0xcc, 0x5a}
	for _, bits := range []int{256, 0} {
		for _, size := range sizes {
			same := make([]int, size)
			for _, fill := range fills {
				for i, v := range s.get(size, bits, fill).p {
					if v == fill {
						same[i]++
					}
				}
			}
			if i := slices.Index(same, len(fills)); i >= 0 {
				s.Errorf("rule 3: GetEntropy(%d bytes, %d bits) returns a nil error and leaves byte %d of p as it was", size, bits, i)
			}
		}
	}
}

// checkCredit checks the bounds of the credit (rule 4, by way of wait), and
// those of Available.
func (s *suite) checkCredit() {
	sizes := []int{0, 1, 31, 32, 33, 48, 64, 65, 130}
	bits := []int{256, 512, 0, -1, math.MinInt, 1, 7, 8, 255, 257, 511, 513, 1 << 20, math.MaxInt}
	if s.info.Slow {
		sizes, bits = []int{0, 1, 33}, []int{256, 0, -1, math.MaxInt}
	}
	for _, b := range bits {
		n := s.available(b)
		if n < 0 || n > max(b, 0) || n > s.info.MaxEntropy {
			s.Errorf("rule 4: Available(%d) = %d, but a call can credit 0 to min(bits, Info().MaxEntropy = %d)", b, n, s.info.MaxEntropy)
		}
	}
	for _, b := range bits {
		for _, size := range sizes {
			s.get(size, b, 0)
		}
	}
}

// checkContext checks that GetEntropy returns when ctx is done (rule 6).
func (s *suite) checkContext() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, size := range []int{1, 64} {
		c := s.start(ctx, size, 256, 0)
		s.wait(c, patience)
		s.wantContextError(c)
		if c.err == nil {
			s.Errorf("rule 6: GetEntropy(%d bytes, %d bits) returned no error although ctx was done before", size, c.bits)
		}
	}

	size := huge
	for _, delay := range []time.Duration{moment(), 10 * time.Millisecond, time.Millisecond, 0} {
		ctx, cancel := context.WithCancel(context.Background())
		c := s.start(ctx, size, 256, 0)
		time.Sleep(delay)
		cancel()
		s.wait(c, patience)
		s.wantContextError(c)
		if c.err != nil && c.ctxErr == nil {
			size = 130 // it refuses to deliver that much
		}
	}

	ctx, cancel = context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	c := s.start(ctx, size, 256, 0)
	s.wait(c, patience)
	s.wantContextError(c)

	s.get(32, 256, 0) // the calls that were cancelled did not break the source
}

// wantContextError checks that c, if it failed with its ctx done, returned the
// error of ctx, or that the source is unavailable.
func (s *suite) wantContextError(c *attempt) {
	s.Helper()
	if c.err != nil && c.ctxErr != nil && !errors.Is(c.err, c.ctxErr) && !errors.Is(c.err, es.ErrUnavailable) {
		s.Errorf("rule 6: GetEntropy(%d bytes, %d bits) returned the error %q, not that of ctx, %q", len(c.p), c.bits, c.err, c.ctxErr)
	}
}

// moment returns how long the suite waits for what should not happen, or lets a call run
// before it is cancelled.
func moment() time.Duration {
	if testing.Short() {
		return 20 * time.Millisecond
	}
	return 100 * time.Millisecond
}

// checkData checks that a source delivers nothing twice, and leaves p alone
// after it returned (rule 7).
//
// The probability that 33 times 32 random bytes are not all different is less
// than 2⁻²⁴⁶.
func (s *suite) checkData() {
	n := 32
	if s.info.Slow {
		n = 4
	}
	first := s.get(32, 256, 0)
	was := bytes.Clone(first.p)
	seen := map[string]bool{string(was): true}
	for range n {
		s.distinct(seen, s.get(32, 256, 0))
	}
	s.available(256)
	s.sameInfo()
	time.Sleep(moment() / 2)
	if !bytes.Equal(first.p, was) {
		s.Errorf("rule 7: p changed after GetEntropy had returned")
	}
}

// distinct checks that the data of c were not seen before.
func (s *suite) distinct(seen map[string]bool, c *attempt) {
	s.Helper()
	if seen[string(c.p)] {
		s.Errorf("rule 7: two calls of GetEntropy delivered the same %d bytes", len(c.p))
	}
	seen[string(c.p)] = true
}

// checkConcurrent calls all methods at the same time (rule 1). Most of what can
// go wrong is for the race detector to see.
func (s *suite) checkConcurrent() {
	rounds, callers := 4, 8
	if s.info.Slow {
		rounds, callers = 1, 4
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	seen := make(map[string]bool)
	for range rounds {
		calls := make([]*attempt, callers)
		for i := range calls {
			calls[i] = s.start(ctx, 32, 256, 0)
		}
		s.within(limit+patience, "rule 1: one of the other methods, called during GetEntropy,", func() {
			s.src.Info()
			s.src.Available(256)
			if v, ok := s.src.(es.NoiseSource); ok {
				v.GetNoise(make([]byte, 32))
			}
			if v, ok := s.src.(es.HealthTester); ok {
				v.HealthTest(ctx)
			}
			if v, ok := s.src.(es.Notifier); ok {
				v.Notify(func() {})
			}
			if v, ok := s.src.(es.Validator); ok {
				v.Validate()
			}
		})
		for _, c := range calls {
			s.wait(c, limit+patience)
			s.need(c)
			s.distinct(seen, c)
		}
	}
}

// keepsEntropy checks that f, which calls the method named, used up nothing
// that GetEntropy would hand out (rule 8).
func (s *suite) keepsEntropy(method string, f func()) {
	s.Helper()
	before := s.available(512)
	f()
	if after := s.available(512); after < before {
		s.Errorf("rule 8: %s used up entropy: Available(512) fell from %d to %d", method, before, after)
	}
}

// checkNoise checks [es.NoiseSource].
//
// A run of 32 samples that is also in the seeds counts as taken from there. For
// samples of at least 3 bits of min-entropy that are independent of the seeds,
// one of 2¹⁶ comparisons hits with a probability of less than 2⁻⁸⁰; runs of
// fewer than 8 different values, as samples of less entropy have, are not
// looked at.
func (s *suite) checkNoise() {
	src, ok := s.src.(es.NoiseSource)
	if !ok {
		return
	}
	const size, run = 64, 32
	var noise, seeds [][]byte
	for range 4 {
		seeds = append(seeds, s.get(size, 256, 0).p)
		s.keepsEntropy("GetNoise", func() { noise = append(noise, s.noise(src, size)) })
	}
	s.noise(src, 0)
	for range 4 {
		seeds = append(seeds, s.get(size, 256, 0).p)
	}
	all := bytes.Join(seeds, nil)
	for _, samples := range noise {
		for len(samples) >= run {
			if distinctValues(samples[:run]) >= 8 && bytes.Contains(all, samples[:run]) {
				s.Errorf("NoiseSource, rule 7: samples that GetNoise handed out are part of a seed")
				return
			}
			samples = samples[1:]
		}
	}
}

// noise returns what GetNoise stores in size bytes.
func (s *suite) noise(src es.NoiseSource, size int) []byte {
	s.Helper()
	p := make([]byte, size)
	var n int
	var err error
	if !s.within(limit, "NoiseSource: GetNoise", func() { n, err = src.GetNoise(p) }) {
		s.FailNow()
	}
	switch {
	case errors.Is(err, es.ErrUnavailable):
		s.Skipf("the rules on noise cannot be checked: %v", err)
	case err != nil:
		s.Errorf("NoiseSource: GetNoise(%d bytes): %v", size, err)
		return nil
	case n < 0 || n > size:
		s.Errorf("NoiseSource: GetNoise(%d bytes) = %d, not a number of samples in p", size, n)
		return nil
	}
	return p[:n]
}

// distinctValues returns how many values the bytes of p have.
func distinctValues(p []byte) (n int) {
	var seen [256]bool
	for _, v := range p {
		if !seen[v] {
			seen[v] = true
			n++
		}
	}
	return n
}

// checkHealthTest checks [es.HealthTester].
func (s *suite) checkHealthTest() {
	src, ok := s.src.(es.HealthTester)
	if !ok {
		return
	}
	s.get(32, 256, 0)
	s.keepsEntropy("HealthTest", func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		ch := make(chan error, 1)
		if !s.within(limit+patience, "HealthTester: HealthTest", func() { ch <- src.HealthTest(ctx) }) {
			s.FailNow()
		}
		switch err := <-ch; {
		case errors.Is(err, es.ErrUnavailable):
			s.Skipf("the health tests cannot be run: %v", err)
		case err != nil:
			s.Errorf("HealthTester: HealthTest: %v", err)
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.within(patience, "rule 6: HealthTest, ctx done before,", func() { src.HealthTest(ctx) })
	s.get(32, 256, 0) // the tests did not break the source
}

// checkNotify checks [es.Notifier].
func (s *suite) checkNotify() {
	src, ok := s.src.(es.Notifier)
	if !ok {
		return
	}
	var called [2]atomic.Int64
	s.keepsEntropy("Notify", func() {
		for i := range called {
			s.within(patience, "Notifier: Notify", func() {
				src.Notify(func() {
					s.src.Info()
					s.src.Available(256)
					called[i].Add(1)
				})
			})
		}
	})
	// The functions use the source: if it calls them with a lock held, these
	// calls do not return.
	const hint = "(it may hold a lock while it calls the functions given to Notify)"
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for range 4 {
		c := s.start(ctx, 32, 256, 0)
		if !s.within(limit+patience, "Notifier: GetEntropy "+hint, func() { <-c.done }) {
			return
		}
		s.wait(c, patience)
		s.need(c)
	}
	pool, ok := s.src.(interface {
		Add(p []byte, bits int) error
	})
	if !ok {
		return
	}
	before := s.available(512)
	n := [...]int64{called[0].Load(), called[1].Load()}
	ch := make(chan error, 1)
	if !s.within(patience, "Notifier: Add "+hint, func() { ch <- pool.Add([]byte("entropy for a notification"), 128) }) {
		return
	}
	if err := <-ch; err != nil {
		s.Errorf("Notifier: Add: %v", err)
	}
	after := s.available(512)
	if after <= before {
		return
	}
	for i := range called {
		for wait := patience; called[i].Load() == n[i]; wait -= time.Millisecond {
			if wait == 0 {
				s.Errorf("Notifier: Available(512) rose from %d to %d, and function %d given to Notify was not called", before, after, i+1)
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// checkValidate checks [es.Validator]. The source is one that is configured
// well.
func (s *suite) checkValidate() {
	src, ok := s.src.(es.Validator)
	if !ok {
		return
	}
	s.keepsEntropy("Validate", func() {
		ch := make(chan error, 1)
		if s.within(patience, "Validator: Validate", func() { ch <- src.Validate() }) {
			if err := <-ch; err != nil {
				s.Errorf("Validator: Validate: %v", err)
			}
		}
	})
}
