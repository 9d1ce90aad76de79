package lrng

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"runtime/debug"
	"sync"
	"time"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/internal/secmem"
	"github.com/lrng-go/lrng/internal/zero"
	"github.com/lrng-go/lrng/seeding"
)

const (
	// sourceBudget is how long a round waits for a source that is not slow by
	// nature. A jitter source on a coarse clock needs the larger part of it.
	sourceBudget = time.Second

	// slowBudget is how long a round waits for slow sources while the others do
	// not make a complete seed.
	slowBudget = 10 * time.Second
)

// A source is an entropy source as the collector sees it.
type source struct {
	es.Source
	info     es.Info // as it was in New; MaxEntropy is 0 if FIPS mode does not credit it
	declared int     // MaxEntropy as the source has it, bits

	// block is where the call under way writes, maxRequestBits/8 bytes. While busy is
	// set it belongs to that call, else to the holder of the pool lock. It is in memory,
	// unless that is nil: see allocate.
	block  []byte
	memory *secmem.Block

	mu     sync.Mutex // guards the fields below
	most   int        // credit of one call at present, bits: see SetSourceRate
	busy   bool       // a call has not returned
	late   bool       // the collector does not wait for that call any more
	low    uint64     // windows of noise below the claim that were logged
	status SourceStatus
}

// allocate gives the source a block, unless it has one. For sources of package es, which
// write to it only while they are called, it is secret memory. Others get a piece of the
// heap: if they write to it later, they shall not meet the state of a generator.
func (s *source) allocate(least secmem.Grade) error {
	if s.block != nil && (s.memory == nil || s.memory.Intact()) {
		return nil
	}
	if !ofPackageES(s.Source) {
		s.block = make([]byte, maxRequestBits/8)
		return nil
	}
	m, err := secmem.AllocLasting(maxRequestBits/8, least)
	if err != nil {
		return err
	}
	s.memory, s.block = m, m.Bytes()
	return nil
}

// free gives the block back. No call is under way.
func (s *source) free() {
	if s.memory != nil {
		s.memory.Free()
		s.memory, s.block = nil, nil
	}
}

// ofPackageES reports whether the source is one of package es.
func ofPackageES(s es.Source) bool {
	t := reflect.TypeOf(s)
	return t.Kind() == reflect.Pointer && t.Elem().PkgPath() == reflect.TypeFor[es.OS]().PkgPath()
}

// An answer is what a source delivered in one round.
type answer struct {
	index  int
	claim  int // as the source has it
	credit int // clamped
	ok     bool
}

// ask calls the source in a goroutine of its own, which sends the answer to done
// unless the collector has given up on it. It reports whether it did: a source
// that has not returned from its last call is left alone.
func (r *RNG) ask(ctx context.Context, index, bits int, done chan<- answer) bool {
	s := r.sources[index]
	s.mu.Lock()
	s.status.Requested = bits
	if s.busy {
		s.status.Credited = 0
		s.status.Skipped++
		s.mu.Unlock()
		return false
	}
	if err := s.allocate(r.cfg.Memory.least()); err != nil { // in a child process
		s.status.Credited = 0
		s.status.Skipped++
		s.status.Health, s.status.Error = healthUnavailable, err.Error()
		s.mu.Unlock()
		return false
	}
	s.busy, s.late = true, false
	s.status.Calls++
	s.mu.Unlock()

	r.callers.Add()
	go func() {
		defer r.callers.Done()
		start := time.Now()
		credit, err := 0, errGoexit
		// Deferred, since a source may end the goroutine.
		defer func() {
			if v := recover(); v != nil {
				credit, err = 0, &panicError{value: fmt.Sprint(v), stack: debug.Stack()}
			}
			r.answered(s, index, bits, credit, err, time.Since(start), done)
		}()
		size := (bits + 7) / 8
		credit, err = s.GetEntropy(ctx, s.block[:size:size], bits)
	}()
	return true
}

// answered ends a call of a source.
func (r *RNG) answered(s *source, index, bits, claim int, err error, took time.Duration, done chan<- answer) {
	// The error is the source's own code: it may panic, as a nil *es.HealthError does.
	var health, text string
	if guard(func() { health, text = judge(s.info, err) }) != nil {
		health, text = healthFailed, "lrng: source returned an error that panics"
	}
	s.mu.Lock()
	s.busy = false
	late := s.late
	a := answer{index: index, ok: err == nil && !late}
	if a.ok {
		a.claim, a.credit = claim, s.clamp(claim, bits)
	} else {
		zero.Bytes(s.block)
	}
	again := health == healthUnavailable && text == s.status.Error
	s.status.note(a, health, text, late, took)
	s.mu.Unlock()

	// Whether it was late is decided above, under the lock: the collector reads
	// done until it has this answer, or has marked the call as late.
	if late {
		return
	}
	done <- a                 // there is room; before the logger, which may take its time
	if err != nil && !again { // a source that is not there is none in each round
		r.log.sourceFailed(s.info.Name, text, err)
	}
	if r.log.enabled(slog.LevelWarn) { // else nobody is to know now
		if e := s.estimate(); e != nil && s.lower(e) {
			r.log.noiseLow(s.info.Name, e)
		}
	}
}

// estimate returns the estimate of the noise of s, or nil if there is none.
func (s *source) estimate() *es.NoiseEstimate {
	n, ok := s.Source.(es.NoiseEstimator)
	if !ok {
		return nil
	}
	var e es.NoiseEstimate
	guard(func() { e = n.NoiseEstimate() })
	for _, v := range []float64{e.MinEntropy, e.Claim} {
		if math.IsNaN(v) || math.IsInf(v, 0) { // JSON has no such numbers
			return nil
		}
	}
	if e.Windows == 0 {
		return nil
	}
	return &e
}

// lower reports whether e warns of a window that nobody was told of.
func (s *source) lower(e *es.NoiseEstimate) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	more := e.Low > s.low
	s.low = e.Low
	return more
}

var errGoexit = errors.New("lrng: source ended its goroutine")

// A panicError is the error of a source that panicked.
type panicError struct {
	value string
	stack []byte
}

func (e *panicError) Error() string { return "lrng: source panicked: " + e.value }

// clamp returns the credit that the collector grants for a claim, in bits: no
// more than what was asked for, which is no more than the data are long, and what the
// source declared in New or SetSourceRate left of it. The caller holds s.mu.
func (s *source) clamp(claim, bits int) int {
	possible := min(bits, s.declared)
	if claim < 0 || claim > possible {
		s.status.FalseClaims++
	}
	return max(0, min(claim, possible, s.most))
}

// round asks every source once, for bits each, and waits for their answers. It
// calls take for each source in order: with the data and the credit, or with nil
// if it delivered nothing. The data are wiped afterwards. The caller holds the
// pool lock.
//
// A round ends when every source has answered, or all but the slow ones and
// enough reports that their credits suffice, or when time is up or ctx is done.
func (r *RNG) round(ctx context.Context, bits int, enough func([]seeding.Credit) bool, take func(index, credit int, data []byte)) (total int) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan answer, len(r.sources))
	pending := make([]bool, len(r.sources))
	answers := make([]answer, len(r.sources))
	credits := make([]seeding.Credit, len(r.sources))
	fast, slow := 0, 0
	for i, s := range r.sources {
		credits[i].Source = s.info
		if pending[i] = r.ask(ctx, i, bits, done); !pending[i] {
			continue
		}
		if s.info.Slow {
			slow++
		} else {
			fast++
		}
	}

	// stop gives up on the pending sources, all or only the fast ones. A source
	// whose answer is on its way stays pending until it is received.
	stop := func(all bool) {
		for i, s := range r.sources {
			if !pending[i] || s.info.Slow && !all || !s.abandon() {
				continue
			}
			pending[i] = false
			if s.info.Slow {
				slow--
			} else {
				fast--
			}
		}
	}
	fastTimer, slowTimer := time.NewTimer(sourceBudget), time.NewTimer(slowBudget)
	defer fastTimer.Stop()
	defer slowTimer.Stop()
	cancelled := ctx.Done()
	for fast+slow > 0 {
		if fast == 0 && enough(credits) {
			cancel()
			stop(true)
			if slow == 0 {
				break
			}
		}
		select {
		case a := <-done:
			pending[a.index], answers[a.index] = false, a
			credits[a.index].Bits = a.credit
			if r.sources[a.index].info.Slow {
				slow--
			} else {
				fast--
			}
		case <-fastTimer.C:
			stop(false)
		case <-slowTimer.C:
			stop(true)
		case <-cancelled:
			cancelled = nil
			stop(true)
		}
	}

	r.shareCredit(answers)
	r.log.answers(r.sources, answers, bits)
	for i, s := range r.sources {
		if a := answers[i]; a.ok {
			total += a.credit
			take(i, a.credit, s.block[:(bits+7)/8])
			zero.Bytes(s.block)
		} else {
			take(i, 0, nil)
		}
	}
	return total
}

// shareCredit takes the credit of this round from all but the best of the sources
// that share a boundary: their noise is not independent (SP 800-90C, Section 2.6).
func (r *RNG) shareCredit(answers []answer) {
	for i, a := range r.sources {
		for j, b := range r.sources[:i] {
			if a.info.Boundary == "" || a.info.Boundary != b.info.Boundary {
				continue
			}
			less := i
			if answers[i].credit > answers[j].credit {
				less = j
			}
			s := r.sources[less]
			s.mu.Lock()
			s.status.Credited = 0
			s.status.TotalCredited -= uint64(answers[less].credit)
			s.mu.Unlock()
			answers[less].credit = 0
		}
	}
}

// abandon tells the call under way that nobody waits for it any more. It reports
// false if the call has returned already, and its answer is on its way.
func (s *source) abandon() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.busy {
		return false
	}
	s.late = true
	return true
}

// An accumulator gathers entropy for one seed over as many rounds as it takes.
//
// Its two parts consist of one field of equal length for each source and round,
// in order: a credited answer is in the seed, an uncredited one in the additional
// input, and the field is zero in the other part, or in both if the source
// delivered nothing. So the place of a field says where it came from.
type accumulator struct {
	seed, additional []byte           // in memory[0] and memory[1], or nil
	memory           [2]*secmem.Block // that the kernel does not drop
	least            secmem.Grade     // of memory
	room             [2]int           // bytes that a part has at first
	limit            int              // length of a part from which on it is shortened, in bytes
	credits          []seeding.Credit
	charged          bool   // the margin of the conditioner has been paid
	generation       uint64 // of the machine, when the first of the data were collected
}

const (
	// maxAccumulated is the length of either part, in bytes, from which on the
	// conditioner shortens it.
	maxAccumulated = 1 << 14

	// leastAccumulated is the room that a part has at first, in bytes: most seeds are
	// not longer.
	leastAccumulated = 1 << 10
)

// newAccumulator returns an accumulator. There is an error only if Config.Memory demands
// something: then it has the memory for most seeds from the start.
func (r *RNG) newAccumulator() (*accumulator, error) {
	a := &accumulator{
		least:   r.cfg.Memory.least(),
		room:    [2]int{leastAccumulated, leastAccumulated + handOverSize + legacySize + len(r.cfg.Personalization)},
		limit:   maxAccumulated,
		credits: make([]seeding.Credit, len(r.sources)),
	}
	for i, s := range r.sources {
		a.credits[i].Source = s.info
	}
	if a.least > secmem.Heap {
		for i, n := range a.room {
			if err := a.reserve(i, n); err != nil {
				a.free()
				return nil, err
			}
		}
	}
	return a, nil
}

// part returns the seed or the additional input.
func (a *accumulator) part(i int) *[]byte { return [...]*[]byte{&a.seed, &a.additional}[i] }

// reserve makes room for n more bytes in a part, which moves for it.
func (a *accumulator) reserve(i, n int) error {
	if !a.intact() {
		a.clear() // before anything is touched: this is a child process
	}
	p := a.part(i)
	if len(*p)+n <= cap(*p) {
		return nil
	}
	m, err := secmem.AllocLasting(max(len(*p)+n, 2*cap(*p), leastAccumulated), a.least)
	if err != nil {
		a.limit = min(a.limit, len(*p)-1) // it is to be shortened before more comes
		return memoryError(a.least, err)
	}
	*p = append(m.Bytes()[:0], *p...)
	if a.memory[i] != nil {
		a.memory[i].Free()
	}
	a.memory[i] = m
	return nil
}

// extend appends n zero bytes to a part, for which there is room, and returns them.
func (a *accumulator) extend(i, n int) []byte {
	p := a.part(i)
	*p = (*p)[:len(*p)+n]
	field := (*p)[len(*p)-n:]
	clear(field)
	return field
}

// intact reports whether a has what was put into it. What its parent gathered is not for
// a child process, too.
func (a *accumulator) intact() bool {
	for _, m := range a.memory {
		if m != nil && !m.Intact() {
			return false
		}
	}
	return true
}

// grade returns the least grade of the memory of a; the best if it has none.
func (a *accumulator) grade() secmem.Grade {
	g := secmem.Secret
	for _, m := range a.memory {
		if m != nil {
			g = min(g, m.Grade())
		}
	}
	return g
}

// add appends the answer of source i. A source counts for at most maxRequestBits
// in one seed.
func (a *accumulator) add(i, credit int, data []byte, size int) {
	if a.reserve(0, size) != nil || a.reserve(1, size) != nil {
		return // it is lost, and not counted
	}
	seed, additional := a.extend(0, size), a.extend(1, size)
	if credit > 0 {
		copy(seed, data)
	} else {
		copy(additional, data)
	}
	a.credits[i].Bits = min(a.credits[i].Bits+credit, maxRequestBits)
}

// shorten replaces a part that has become long by its hash, and lowers the
// credits to what the hash can hold (SP 800-90B, Section 3.1.5.1.2), less the margin
// that the strategy wants. A seed pays the margin once, however often it is shortened:
// else entropy that trickles in would be used up by it. It reports whether it has
// shortened the part that is credited.
func (a *accumulator) shorten(c conditioner.Conditioner, margin int) (shortened bool) {
	if len(a.additional) > a.limit {
		a.additional = hashDown(c, a.additional)
	}
	if shortened = len(a.seed) > a.limit; shortened {
		nin := 8 * len(a.seed)
		a.seed = hashDown(c, a.seed)
		nout := 8 * len(a.seed)
		if a.charged {
			margin = 0
		}
		a.charged = true
		held := -margin + int(conditioner.OutputEntropy(float64(min(nin, seeding.Sum(a.credits))), nin, nout, min(nout, c.Width())))
		for over := seeding.Sum(a.credits) - max(0, held); over > 0; over-- {
			most := 0
			for i := range a.credits {
				if a.credits[i].Bits > a.credits[most].Bits {
					most = i
				}
			}
			a.credits[most].Bits--
		}
	}
	return shortened
}

// hashDown returns the hash of p, in the place of p, which it wipes. The capacity
// of p is enough for any digest.
func hashDown(c conditioner.Conditioner, p []byte) []byte {
	h := c.New()
	h.Write(p)
	zero.Bytes(p)
	p = h.Sum(p[:0])
	zero.Hash(h)
	return p
}

// clear wipes the data and the credits. Memory beyond that of most seeds is given back. It
// may be called twice.
func (a *accumulator) clear() {
	for i, m := range a.memory {
		p := a.part(i)
		if m != nil && m.Intact() && cap(*p) <= a.room[i] {
			zero.Bytes((*p)[:cap(*p)])
			*p = (*p)[:0]
			continue
		}
		a.drop(i)
	}
	for i := range a.credits {
		a.credits[i].Bits = 0
	}
	a.charged, a.limit = false, maxAccumulated
}

// free is clear for an accumulator that is not used any more.
func (a *accumulator) free() {
	a.clear()
	a.drop(0)
	a.drop(1)
}

// drop gives the memory of a part back, wiped.
func (a *accumulator) drop(i int) {
	if a.memory[i] != nil {
		a.memory[i].Free()
	}
	a.memory[i], *a.part(i) = nil, nil
}

func (a *accumulator) String() string   { return "lrng.accumulator" }
func (a *accumulator) GoString() string { return "lrng.accumulator" }
