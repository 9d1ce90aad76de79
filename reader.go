package lrng

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/internal/secmem"
	"github.com/lrng-go/lrng/internal/selftest"
	"github.com/lrng-go/lrng/internal/zero"
	"github.com/lrng-go/lrng/seeding"
)

// Read fills b with random bytes. It waits until the generator is fully seeded,
// and then does not wait again unless the generator loses its seed (see
// [Config].MaxWithoutReseed) or ReseedInterval is negative.
//
// It returns len(b) and nil, or 0 and an error: [ErrClosed], [ErrSelfTest], or what a
// mechanism that is not of package drng reported. With an error b is cleared. Reading
// into an empty b does nothing.
func (r *RNG) Read(b []byte) (int, error) {
	if err := r.fill(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// ReadContext is [RNG.Read] with a context that ends the wait; its error is
// returned, with n = 0 and b cleared.
func (r *RNG) ReadContext(ctx context.Context, b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if err := ctx.Err(); err != nil {
		clear(b)
		return 0, err
	}
	if err := r.fillContext(ctx, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// quickMost is up to how many bytes a request may be a quick one.
const quickMost = refillSize / 2

// fill fills b, waiting as long as it takes. It does not allocate once the
// generator is seeded, and b does not escape.
func (r *RNG) fill(b []byte) error {
	if 0 < len(b) && len(b) <= quickMost {
		h := r.shards.Lock()
		if r.quick(&h.Value, b) {
			h.Unlock()
			return nil
		}
		// As fillContext begins, which is for more than one request.
		if len(b) <= h.Value.mech.chunk && r.cfg.ReseedInterval >= 0 {
			// Less than all comes from another shard that is switched to a mechanism for
			// shorter requests meanwhile: then all is made anew.
			if n, err := r.generateFrom(h, b); err != errUnseeded && (err != nil || n == len(b)) {
				return err
			}
		} else {
			h.Unlock()
		}
	}
	return r.fillContext(context.Background(), b)
}

func (r *RNG) fillContext(ctx context.Context, b []byte) error {
	var watch copyWatch
	for rest := b; len(rest) > 0; {
		if len(rest) == len(b) {
			watch.begin(r)
		}
		var n int
		var err error
		if r.cfg.ReseedInterval < 0 {
			n, err = r.reseedAndGenerate(ctx, rest, true)
		} else {
			n, err = r.generate(rest)
		}
		switch err {
		case nil:
			if rest = rest[n:]; len(rest) == 0 && watch.spoilt(r) {
				rest = b
			}
			continue
		case errUnseeded:
			if err = r.wait(ctx, seeding.FullySeeded); err == nil {
				continue
			}
		}
		clear(b)
		return err
	}
	return nil
}

// reseedAndGenerate fills the beginning of b by a request with a seed of its own, for a
// negative ReseedInterval, and returns how much that is. If patient is not set, it fails
// with ErrNotSeeded when one round of the sources is not enough.
func (r *RNG) reseedAndGenerate(ctx context.Context, b []byte, patient bool) (n int, err error) {
	ctx, end, err := r.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer end()
	if err := r.lockPool(ctx); err != nil {
		return 0, context.Cause(ctx)
	}
	r.testIfDue()
	switch err := r.collectFresh(ctx, r.acc, func() need { return r.needOfShard(0) }, patient); err {
	case nil:
	case ErrInsufficientEntropy:
		return 0, ErrNotSeeded
	default:
		return 0, err
	}
	defer r.pool.Unlock()
	if err := r.seedShard(0); err != nil {
		return 0, err
	}
	defer r.logLoss()
	h := r.shards.LockIndex(0)
	defer h.Unlock()
	if !r.usable(&h.Value, len(b)) {
		clear(b)
		return 0, errUnseeded
	}
	n, _, err = r.serve(&h.Value, b, 1)
	if err == nil {
		r.wants[0].Store(false) // the next request sees to it
	}
	if errors.Is(err, errCopied) {
		return 0, errUnseeded
	}
	return n, err
}

// Nonblocking returns a reader that never waits for entropy. As long as the
// generator is not fully seeded its Read returns 0 and ErrNotSeeded, with b
// cleared, and sees to it that seeding is under way. In all else it is as
// [RNG.Read]; it is safe for concurrent use.
func (r *RNG) Nonblocking() io.Reader { return nonblocking{r} }

type nonblocking struct{ r *RNG }

func (n nonblocking) Read(b []byte) (int, error) {
	r := n.r
	var watch copyWatch
	for rest := b; len(rest) > 0; {
		if len(rest) == len(b) {
			watch.begin(r)
		}
		var k int
		var err error
		if r.cfg.ReseedInterval < 0 {
			k, err = r.reseedAndGenerate(context.Background(), rest, false)
		} else {
			k, err = r.generate(rest)
		}
		switch err {
		case nil:
			if rest = rest[k:]; len(rest) == 0 && watch.spoilt(r) {
				rest = b
			}
			continue
		case errUnseeded:
			if err = r.over(); err == nil {
				err = ErrNotSeeded
				r.kick()
			}
		}
		clear(b)
		return 0, err
	}
	return len(b), nil
}

// PredictionResistant returns a reader whose every block of output is preceded
// by a reseed from the sources (SP 800-90A, Section 9.3.3). It uses an instance of
// its own. A block is at most as long as the entropy that the reseed brought, and
// as the security strength. The reseed is a complete one in the sense of the
// strategy.
//
// Read waits for the sources, for each block: it takes milliseconds. It returns
// len(b) and nil, or 0 and an error with b cleared. It is safe for concurrent use;
// callers are served block by block in turn. The reader is a [FreshReader].
func (r *RNG) PredictionResistant() io.Reader { return &freshReader{r, r.nextBlockPR} }

// A FreshReader is a reader that draws on the entropy sources for each block of its
// output. The readers that [RNG.PredictionResistant] and [RNG.SeedReader] return are of
// this kind:
//
//	fresh := r.PredictionResistant().(lrng.FreshReader)
type FreshReader interface {
	io.Reader

	// ReadContext is Read with a context that ends the wait; its error is
	// returned, with n = 0 and b cleared.
	ReadContext(ctx context.Context, b []byte) (n int, err error)

	// TryRead asks the sources once for each block and does not wait for more. If
	// they yield too little it returns the number of bytes that it has got so far,
	// each block of which is as good as any, and [ErrInsufficientEntropy]; if the
	// generator is not fully seeded, 0 and [ErrNotSeeded]. The rest of b is cleared.
	TryRead(b []byte) (n int, err error)
}

// A freshReader makes output from collections of its own. Next makes one block of at
// most len(b) bytes with a and returns its length. It is called, and returns nil, with
// the pool lock held; with an error it has released it.
type freshReader struct {
	r    *RNG
	next func(ctx context.Context, a *accumulator, b []byte, patient bool) (int, error)
}

func (f *freshReader) Read(b []byte) (int, error) {
	return f.ReadContext(context.Background(), b)
}

func (f *freshReader) ReadContext(ctx context.Context, b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	err := f.r.wait(ctx, seeding.FullySeeded)
	if err == nil {
		_, err = f.read(ctx, b, true)
	}
	if err != nil {
		clear(b)
		return 0, err
	}
	return len(b), nil
}

func (f *freshReader) TryRead(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if err := f.r.over(); err != nil {
		clear(b)
		return 0, err
	}
	if f.r.currentLevel() < seeding.FullySeeded {
		clear(b)
		f.r.wantLevel()
		f.r.kick()
		return 0, ErrNotSeeded
	}
	n, err := f.read(context.Background(), b, false)
	if err != nil {
		clear(b[n:])
	}
	return n, err
}

// read fills b block by block and returns how much it has filled.
func (f *freshReader) read(ctx context.Context, b []byte, patient bool) (n int, err error) {
	r := f.r
	ctx, end, err := r.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer end()
	a, err := r.newAccumulator()
	if err != nil {
		return 0, fmt.Errorf("lrng: %w", err)
	}
	defer a.free()
	var watch copyWatch
	for n < len(b) {
		if n == 0 {
			watch.begin(r)
		}
		r.testIfDue()
		if r.lockPool(ctx) != nil {
			return n, context.Cause(ctx)
		}
		if patient {
			r.seedOthers(ctx)
		}
		generation := r.generation()
		k, err := f.next(ctx, a, b[n:], patient)
		if err != nil {
			if r.twins.changes.Load() != watch.changes {
				n = 0 // a twin has these
			}
			return n, err
		}
		r.pool.Unlock()
		if r.generation() != generation { // a twin has this block, too
			clear(b[n : n+k])
			r.logLoss()
			continue
		}
		if err := selftest.Failed(); err != nil {
			clear(b[n : n+k])
			return n, err
		}
		if n += k; n == len(b) && watch.spoilt(r) {
			n = 0
		}
	}
	return n, nil
}

// seedOthers seeds the shards that want their first seed, as long as the sources yield:
// shard 0 is the first, then come the others, then those who want fresh entropy. The
// caller holds the pool lock.
func (r *RNG) seedOthers(ctx context.Context) {
	for i := range r.wants {
		for r.wants[i].Load() && ctx.Err() == nil {
			h := r.shards.LockIndex(i)
			seeded := h.Value.seeded
			h.Unlock()
			if seeded {
				break // a reseed can wait
			}
			if !r.step(ctx, i) {
				return
			}
		}
	}
}

// collectFresh is collect; if the caller is not patient, in one round.
func (r *RNG) collectFresh(ctx context.Context, a *accumulator, want func() need, patient bool) error {
	if patient {
		return r.collect(ctx, a, want)
	}
	w := want()
	_, progress := r.gather(ctx, a, w)
	r.countFailure(progress)
	err := context.Cause(ctx)
	if err == nil && !w.enough(a.credits) {
		err = ErrInsufficientEntropy
	}
	if err != nil {
		r.pool.Unlock()
	}
	return err
}

// nextBlockPR makes one block with prediction resistance.
func (r *RNG) nextBlockPR(ctx context.Context, a *accumulator, b []byte, patient bool) (int, error) {
	want := func() need {
		w := r.need(r.pr.seeded && r.pr.alive(), seeding.PredictionResistance)
		enough := w.enough
		w.enough = func(c []seeding.Credit) bool { return seeding.Sum(c) >= 8 && enough(c) } // a byte at least
		return w
	}
	if err := r.collectFresh(ctx, a, want, patient); err != nil {
		return 0, err
	}
	// SP 800-90A, Section 9.3.1, step 7; no more than was put in (AIS 20/31,
	// NTG.1.4), and no more than the strength.
	in := &r.pr
	n := min(len(b), min(seeding.Sum(a.credits), in.mech.info.SecurityStrength)/8, in.mech.chunk)
	credit := seeding.Sum(a.credits)
	err := r.install(in, a)
	r.prGrade.Store(int32(in.grade))
	if err == nil {
		err = in.raw(b[:n], false)
	}
	if err == nil {
		err = in.compare(b[:n])
	}
	if err != nil {
		in.seeded = false
		r.stats.failures.Add(1)
		r.pool.Unlock()
		r.log.mechanismFailed(err)
		return 0, fmt.Errorf("lrng: %s: %w", in.mech.info.Name, err)
	}
	r.stats.seeds.Add(1)
	r.log.fresh("lrng: block with prediction resistance", n, credit)
	in.count(n)
	r.mu.Lock()
	r.prStatus = in.status()
	r.mu.Unlock()
	return n, nil
}

// fullEntropyMargin is how many bits more go into a conditioning component than
// come out of it with full entropy (SP 800-90C, Section 3.2.2.2).
const fullEntropyMargin = 64

// seedBlock is the longest block of SeedReader, in bytes: no more than the
// security strength of the narrowest conditioner.
const seedBlock = 32

// SeedReader returns a reader of seed material for other generators: bytes with
// full entropy, if the credits of the sources hold. Each block of n ≤ 256 bits is
// the output of the conditioner over data with at least n + 64 bits of min-entropy
// (SP 800-90C, Section 3.2.2.2), collected for this block alone; no deterministic
// generator has a part in it.
//
// Read waits for the sources. It returns len(b) and nil, or 0 and an error with b
// cleared. It is safe for concurrent use; callers are served block by block in
// turn. The reader is a [FreshReader].
func (r *RNG) SeedReader() io.Reader { return &freshReader{r, r.nextBlockSeed} }

// nextBlockSeed makes one block of SeedReader.
func (r *RNG) nextBlockSeed(ctx context.Context, a *accumulator, b []byte, patient bool) (int, error) {
	n := min(len(b), seedBlock)
	bits := 8*n + fullEntropyMargin
	enough := func(c []seeding.Credit) bool { return seeding.Sum(c) >= bits }
	if err := r.collectFresh(ctx, a, func() need { return need{bits, seeding.Initial, enough} }, patient); err != nil {
		return 0, err
	}
	h := r.conditioner().New()
	h.Write(a.seed)
	h.Write(a.additional) // supplemental data, credited nothing (IG D.K)
	credit := seeding.Sum(a.credits)
	a.seed = h.Sum(a.seed[:0]) // there is room
	copy(b[:n], a.seed)
	a.clear()
	zero.Hash(h)
	r.log.fresh("lrng: seed block", n, credit)
	return n, nil
}

// maxSeedBits is the most that GetSeed collects, in bits.
const maxSeedBits = 4096

// GetSeed collects a seed buffer with at least so many bits of min-entropy for
// another generator and returns it, in the encoding of [seeding.Buffer], with its
// credit in bits. It holds the data of the credited sources themselves, collected
// for this call alone: no generator has used them or will.
//
// It waits until this generator is fully seeded, and then for the sources; if ctx
// is done before they yielded enough, nothing is returned. An SP 800-90A generator
// of 256 bits is instantiated from 384 bits and reseeded from 256. Bits is at least
// 1 and at most 4096.
//
// The caller should wipe the seed after use.
func (r *RNG) GetSeed(ctx context.Context, bits int) (seed []byte, credit int, err error) {
	if bits < 1 || bits > maxSeedBits {
		return nil, 0, fmt.Errorf("lrng: GetSeed: bits: %d; want 1…%d", bits, maxSeedBits)
	}
	if err := r.wait(ctx, seeding.FullySeeded); err != nil {
		return nil, 0, err
	}
	ctx, end, err := r.begin(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer end()
	ctx = es.AllowAhead(ctx, false)
	buf := &seeding.Buffer{Strategy: r.cfg.Strategy.Name()}
	var memory []*secmem.Block // of the data in buf
	defer func() {
		buf.Clear()
		for _, m := range memory {
			m.Free()
		}
	}()
	// A seed may take several rounds, and of the sources that share a boundary another one
	// may be the best in each. Which of them counts is known in the end.
	credits := make([]seeding.Credit, len(r.sources))
	for i, s := range r.sources {
		credits[i].Source = s.info
	}
	var from []int // the source of each entry
	generation := r.generation()
	for credit < bits {
		if r.lockPool(ctx) != nil {
			return nil, 0, context.Cause(ctx)
		}
		news := r.newsCount()
		before := len(from)
		enough := func(c []seeding.Credit) bool {
			total := slices.Clone(credits)
			for i := range total {
				total[i].Bits += c[i].Bits
			}
			return seeding.Sum(total) >= bits
		}
		r.round(ctx, min(bits-credit, maxRequestBits), enough, func(i, credit int, data []byte) {
			if credit > 0 && err == nil {
				var m *secmem.Block
				if m, err = secmem.AllocLasting(len(data), r.cfg.Memory.least()); err != nil {
					return
				}
				copy(m.Bytes(), data)
				memory = append(memory, m)
				credits[i].Bits += credit
				from = append(from, i)
				buf.Entries = append(buf.Entries, seeding.Entry{Name: r.sources[i].info.Name, Credit: credit, Data: m.Bytes()})
			}
		})
		credit = seeding.Sum(credits)
		failed := r.countFailure(len(from) > before)
		r.pool.Unlock()
		if g := r.generation(); g != generation { // a twin has these entries, too
			generation, credit, from = g, 0, from[:0]
			for i := range credits {
				credits[i].Bits = 0
			}
			buf.Clear()
			r.logLoss()
		}
		if ctx.Err() != nil {
			return nil, 0, context.Cause(ctx)
		}
		if err := errors.Join(err, selftest.Failed()); err != nil {
			return nil, 0, err
		}
		if len(from) == before {
			r.backOff(ctx, failed, news)
		}
	}
	buf.Entries = independent(buf.Entries, from, credits)
	buf.Time = time.Now()
	seed, err = buf.MarshalBinary()
	if err != nil {
		return nil, 0, err
	}
	r.log.getSeed(bits, buf.Credit())
	return seed, buf.Credit(), nil
}

// independent returns the entries that count, and wipes the others: those of sources that
// are not the best one of their boundary. From says which source an entry is of, and
// credits what each has delivered in all.
func independent(entries []seeding.Entry, from []int, credits []seeding.Credit) []seeding.Entry {
	best := make(map[string]int)
	for i, c := range credits {
		if j, ok := best[c.Source.Boundary]; !ok || c.Bits > credits[j].Bits {
			best[c.Source.Boundary] = i
		}
	}
	kept := entries[:0]
	for i, e := range entries {
		if b := credits[from[i]].Source.Boundary; b == "" || best[b] == from[i] {
			kept = append(kept, e)
		} else {
			zero.Bytes(e.Data)
		}
	}
	clear(entries[len(kept):])
	return kept
}

// AddEntropy puts p into the auxiliary pool, which is one of the entropy sources,
// and credits it with the given bits of min-entropy. The caller vouches for them;
// 0 is always safe. It returns an error, and adds nothing, if bits is negative or
// more than 8·len(p), or if the generator is closed. The pool holds as much credit
// as its hash is wide.
func (r *RNG) AddEntropy(p []byte, bits int) error {
	if bits < 0 || (uint64(bits)+7)/8 > uint64(len(p)) {
		return fmt.Errorf("lrng: AddEntropy: bits: %d for %d bytes; want 0…8 times as many", bits, len(p))
	}
	if err := r.over(); err != nil {
		return err
	}
	err := r.aux.Add(p, bits)
	if err == nil {
		r.log.added(len(p), bits)
	} else {
		if over := r.over(); over != nil {
			return over // meanwhile
		}
	}
	return err
}

// Uint64 returns a random number. It waits as [RNG.Read] does and makes the RNG a
// Source of math/rand/v2. There is no way to return an error: it panics where Read
// returns one.
func (r *RNG) Uint64() uint64 {
	var b [8]byte
	if err := r.fill(b[:]); err != nil {
		panic(err)
	}
	v := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
	clear(b[:])
	return v
}

// over returns ErrClosed or the failure of a self-test, if the generator has come
// to its end.
func (r *RNG) over() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrClosed
	}
	return selftest.Failed()
}

// closePatience is how long Close waits for sources that do not heed their
// context.
const closePatience = 2 * time.Second

// Close stops collection and wipes all state. Calls that wait return ErrClosed,
// as all later ones do. It returns when all goroutines of the generator have
// ended; if a source does not return within two seconds although its context is
// done, Close gives up on it with an error that names it. Later calls return nil.
// Sources are not closed: they may be shared.
func (r *RNG) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		// Another Close may still be at work.
		return r.underway.Wait(context.Background())
	}
	r.closed = true
	for op := range r.operations {
		op.cancel(ErrClosed)
	}
	for w := range r.waiters {
		close(w.reached)
		delete(r.waiters, w)
	}
	r.mu.Unlock()

	r.underway.Wait(context.Background())
	r.unwatch()
	r.pool.Lock(context.Background()) // of a shutDown that has come first
	r.wipe()
	r.pool.Unlock()
	r.log.closed()

	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	if r.callers.Wait(ctx) == nil {
		for _, s := range r.sources {
			s.mu.Lock()
			s.free()
			s.mu.Unlock()
		}
		return nil
	}
	var stuck []string
	for _, s := range r.sources {
		s.mu.Lock()
		if s.busy {
			stuck = append(stuck, s.info.Name)
		}
		s.mu.Unlock()
	}
	if len(stuck) == 0 {
		return nil
	}
	return fmt.Errorf("lrng: Close: sources did not return: %q", stuck)
}
