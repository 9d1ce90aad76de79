package lrng

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/internal/clock"
	"github.com/lrng-go/lrng/internal/ctxsync"
	"github.com/lrng-go/lrng/internal/runtimesecret"
	"github.com/lrng-go/lrng/internal/secmem"
	"github.com/lrng-go/lrng/internal/selftest"
	"github.com/lrng-go/lrng/internal/shard"
	"github.com/lrng-go/lrng/internal/twins"
	"github.com/lrng-go/lrng/internal/zero"
	"github.com/lrng-go/lrng/seeding"
)

// An RNG is a random bit generator with entropy sources, a seeding strategy and
// deterministic generators of its own. It is made by [New]. Its methods are safe
// for concurrent use.
//
// An RNG is an [io.Reader], and a Source of math/rand/v2.
type RNG struct {
	// Locks are taken in this order: pool, a shard, a source, mu. Neither a
	// source nor the logger is called with any but pool held.

	cfg      Config // with defaults
	strategy safeStrategy
	sources  []*source
	aux      *es.Auxiliary
	ownAux   bool // made by New
	log      logger
	shared   bool         // it is the default generator; set before use
	warn     func(string) // tells of a first read that waits long; set before use
	fips     fipsPolicy
	mech     atomic.Pointer[mechanism] // of every instance
	cond     atomic.Pointer[conditioner.Conditioner]
	machine  *machine
	twins    twinWatch

	tested    *age        // since the self-tests passed
	testsWant atomic.Bool // they are to be repeated
	unwatch   func()      // takes the generator off the list of those told of a failure

	shards *shard.Set[instance]
	wants  []atomic.Bool // shard n is to be seeded
	epoch  *epoch        // of what the shards generate
	level  atomic.Int32  // a seeding.Level
	lost   atomic.Bool   // the full level, and nobody has logged it yet

	// One collection at a time. Pool guards acc, pr, the blocks of the sources,
	// and the back-off.
	pool     ctxsync.Lock
	acc      *accumulator // towards the next seed of a shard
	pr       instance     // for prediction resistance
	prGrade  atomic.Int32 // a secmem.Grade, of pr
	accGrade atomic.Int32 // the same of acc
	failed   int          // rounds in a row that brought nothing
	pauseEnd atomic.Pointer[time.Time]
	worker   atomic.Int32 // idle, running or pausing
	warned   atomic.Bool
	callers  ctxsync.Group // goroutines that are in a source

	mu         sync.Mutex // guards the fields below
	closed     bool
	operations map[*operation]struct{}    // under way
	underway   ctxsync.Group              // the same, for Close to wait for
	waiters    map[*waiter]struct{}       // for a level
	naps       map[chan struct{}]struct{} // of those who wait for new entropy
	news       uint64                     // how often new entropy was announced
	verdict    string                     // of the strategy on the latest round
	prStatus   InstanceStatus             // of pr

	stats struct {
		rounds, seeds, failures, tests atomic.Uint64
		entropy                        atomic.Int64 // in acc, bits
	}
}

// A mechanism is what the instances have in common: where they come from, and
// the bounds of one seed. See Config.
type mechanism struct {
	new  func() (drng.DRNG, error)
	info drng.Info

	secret   bool   // it keeps its state in secret memory
	chunk    int    // bytes in one request
	fresh    int    // bytes of additional input in each request, at most
	due      uint64 // requests after which a shard is due
	most     uint64 // requests after which it is unseeded
	dueBits  uint64 // the same in bits of output
	mostBits uint64
	ahead    int    // bytes of output that share fresh inputs, at most; generated ahead of need, but see buffer
	watched  bool   // only as long as copies of the machine are noticed
	aheadWhy string // why so many
	hardened bool   // no signals while it computes: see Config
	combine  bool   // what is generated ahead is no output before it is combined: see combiner
	buffer   int    // bytes generated ahead at a time, output or not
	passes   bool   // long requests have an overhang
	machine  *machine
}

// New returns a generator. It checks the configuration, and returns an error
// that names the field at fault. It does not collect entropy: that is done on
// first use. The caller should Close the generator when it is not needed any
// more.
func New(c Config) (*RNG, error) { return newOn(thisMachine(), c) }

// newOn is New on a machine.
func newOn(on *machine, c Config) (*RNG, error) {
	sources := c.Sources
	if sources == nil {
		sources = DefaultSources()
	}
	c.Sources = sources
	if err := selftest.Failed(); err != nil {
		return nil, err
	}
	policy, err := c.FIPS.policy()
	if err != nil {
		return nil, err
	}
	c, err = c.withDefaults(policy)
	if err != nil {
		return nil, err
	}
	r := &RNG{
		cfg:        c,
		fips:       policy,
		log:        logger{c.Logger},
		operations: make(map[*operation]struct{}),
		waiters:    make(map[*waiter]struct{}),
		naps:       make(map[chan struct{}]struct{}),
		shards:     shard.New[instance](c.Shards),
		wants:      make([]atomic.Bool, c.Shards),
		epoch:      new(epoch),
		machine:    on,
	}
	if c.Hardened {
		direct := *on
		direct.system = on.direct
		r.machine = &direct
	}
	r.watchTwins()
	r.strategy = safeStrategy{c.Strategy}
	r.warn = r.log.waiting
	r.tested = newAge(testInterval, 0)
	r.tested.epoch = r.epoch
	if err := checkConditioner(c.Conditioner); err != nil {
		return nil, fmt.Errorf("lrng: Config.Conditioner: %w", err)
	}
	if err := policy.checkConditioner(c.Conditioner); err != nil {
		return nil, fmt.Errorf("lrng: Config.Conditioner: %w", err)
	}
	if err := r.checkWidth(c.Conditioner); err != nil {
		return nil, fmt.Errorf("lrng: Config.Conditioner: %w", err)
	}
	r.cond.Store(&c.Conditioner)
	if err := r.addSources(); err != nil {
		return nil, err
	}
	if err := r.addInstances(); err != nil {
		return nil, err
	}
	if r.acc, err = r.newAccumulator(); err != nil {
		return nil, fmt.Errorf("lrng: %w", err)
	}
	r.accGrade.Store(int32(r.acc.grade()))
	for _, s := range r.sources {
		if n, ok := s.Source.(es.Notifier); ok {
			// A shared source outlives the generator and must not keep it.
			w := weak.Make(r)
			announce := func() {
				if r := w.Value(); r != nil {
					r.announce()
				}
			}
			if err := guard(func() { n.Notify(announce) }); err != nil {
				return nil, fmt.Errorf("lrng: Config.Sources: %q: Notify: %w", s.info.Name, err)
			}
		}
	}
	r.watchTests()
	return r, nil
}

// addSources takes over Config.Sources.
func (r *RNG) addSources() error {
	names := make(map[string]bool)
	add := func(field string, s es.Source) error {
		if s == nil {
			return fmt.Errorf("lrng: %s is nil", field)
		}
		var info es.Info
		var invalid error
		if err := guard(func() {
			info = s.Info()
			if v, ok := s.(es.Validator); ok {
				invalid = v.Validate()
			}
		}); err != nil {
			return fmt.Errorf("lrng: %s: %w", field, err)
		}
		switch {
		case invalid != nil:
			return fmt.Errorf("lrng: %s: %w", field, invalid)
		case info.Name == "" || len(info.Name) > 255:
			return fmt.Errorf("lrng: %s: Info().Name of %d bytes; want 1…255", field, len(info.Name))
		case info.MaxEntropy < 0:
			return fmt.Errorf("lrng: %s: %q: Info().MaxEntropy: %d bits", field, info.Name, info.MaxEntropy)
		case names[info.Name]:
			return fmt.Errorf("lrng: %s: a second source of the name %q", field, info.Name)
		}
		names[info.Name] = true
		src := &source{Source: s, info: info, declared: info.MaxEntropy}
		if err := guard(func() { src.status.Certificate = certificate(s) }); err != nil {
			return fmt.Errorf("lrng: %s: Certificate: %w", field, err)
		}
		if ok, why := r.fips.credit(info, src.status.Certificate); !ok {
			src.info.MaxEntropy, src.status.Uncredited = 0, why
		}
		src.most = src.info.MaxEntropy
		if err := src.allocate(r.cfg.Memory.least()); err != nil {
			return fmt.Errorf("lrng: %w", memoryError(r.cfg.Memory.least(), err))
		}
		r.sources = append(r.sources, src)
		return nil
	}
	for i, s := range r.cfg.Sources {
		if err := add(fmt.Sprintf("Config.Sources[%d]", i), s); err != nil {
			return err
		}
		if aux, ok := s.(*es.Auxiliary); ok && r.aux == nil {
			r.aux = aux
		}
	}
	margin, _ := r.strategy.conditioning()
	if r.aux != nil && r.aux.Oversampling() < margin {
		return fmt.Errorf("lrng: Config.Sources: the auxiliary pool has an Oversampling of %d bits; strategy %q needs %d", r.aux.Oversampling(), r.cfg.Strategy.Name(), margin)
	}
	if r.aux == nil && names["auxiliary"] {
		return errors.New("lrng: Config.Sources: the name \"auxiliary\" is that of the generator's own pool")
	}
	if r.aux == nil {
		r.ownAux = true
		r.aux = es.NewAuxiliary(es.AuxiliaryConfig{Conditioner: r.cfg.Conditioner, Oversampling: margin})
		if err := add("Config.Conditioner: the auxiliary pool", r.aux); err != nil {
			return err
		}
	}
	return nil
}

// newMechanism returns the mechanism that f makes, checked, and its first
// instance.
func (r *RNG) newMechanism(f func() (drng.DRNG, error)) (*mechanism, drng.DRNG, error) {
	c := &r.cfg
	m := &mechanism{new: f, machine: r.machine, hardened: c.Hardened}
	d, err := m.instance()
	if err != nil {
		return nil, nil, err
	}
	m.info = d.Info()
	m.secret = secretMemory(d) != nil
	if err := r.fips.checkMechanism(m.info); err != nil {
		return nil, nil, err
	}
	if err := r.checkFit(m, r.conditioner()); err != nil {
		return nil, nil, err
	}
	m.chunk = min(maxChunk, m.info.MaxRequest)
	m.fresh = freshSize
	if m.hardened {
		m.fresh = hardenedFreshSize
	}
	m.dueBits, m.mostBits = math.MaxUint64, math.MaxUint64
	if c.ReseedBits != 0 {
		m.mostBits, m.dueBits = c.ReseedBits, c.ReseedBits/4*3
		m.chunk = int(min(uint64(m.chunk), c.ReseedBits/8))
	}
	m.ahead, m.watched, m.aheadWhy = r.outputBuffer(m.info)
	// The buffer is filled by one request.
	m.buffer = min(m.ahead, m.chunk, refillSize)
	if c.OutputBuffer == 0 && c.ReseedInterval >= 0 && m.ahead == 0 && !m.info.Approved && !m.hardened && m.chunk >= refillSize && canCombine() {
		if err := combinerTest.Once(); err != nil {
			return nil, nil, err
		}
		m.combine, m.buffer = true, refillSize
	}
	_, chacha := d.(*drng.ChaCha20)
	m.passes = chacha && m.buffer == refillSize && !m.combine
	m.most = min(c.MaxWithoutReseed, m.info.ReseedInterval)
	m.due = min(c.ReseedRequests, m.most)
	return m, d, nil
}

// instance returns a new instance of the mechanism, checked.
func (m *mechanism) instance() (drng.DRNG, error) {
	d, err := m.new()
	if err := checkMechanism(d, err); err != nil {
		return nil, err
	}
	if m.info != (drng.Info{}) && d.Info() != m.info {
		return nil, fmt.Errorf("returned instances of %q and %q", m.info.Name, d.Info().Name)
	}
	if m.hardened {
		h, ok := d.(*drng.ChaCha20)
		if !ok {
			return nil, fmt.Errorf("%s has no code that blocks signals, which Config.Hardened asks for; drng.ChaCha20 has", d.Info().Name)
		}
		if err := h.Harden(); err != nil {
			return nil, fmt.Errorf("Config.Hardened: %w", err)
		}
	}
	return d, nil
}

// addInstances makes the shards and the instance for prediction resistance.
func (r *RNG) addInstances() error {
	m, d, err := r.newMechanism(r.cfg.DRNG)
	if err != nil {
		return fmt.Errorf("lrng: Config.DRNG: %w", err)
	}
	if err := checkStrategy(r.cfg.Strategy, m.info.SecurityStrength); err != nil {
		return fmt.Errorf("lrng: Config.Strategy: %w", err)
	}
	r.mech.Store(m)
	r.pr.index = -1
	if err := r.equip(&r.pr, d, m, 0); err != nil {
		return fmt.Errorf("lrng: %w", err)
	}
	r.prGrade.Store(int32(r.pr.grade))
	seen := make(known)
	seen.add(d)
	for i := range r.shards.Len() {
		d, err := m.instance()
		if err != nil {
			return fmt.Errorf("lrng: Config.DRNG: %w", err)
		}
		if err := seen.add(d); err != nil {
			return fmt.Errorf("lrng: Config.DRNG: %w", err)
		}
		h := r.shards.LockIndex(i)
		h.Value.index = i
		h.Value.epoch = r.epoch
		h.Value.age = newAge(r.cfg.ReseedInterval, i)
		h.Value.age.epoch = r.epoch
		err = r.equip(&h.Value, d, m, m.buffer)
		h.Unlock()
		if err != nil {
			return fmt.Errorf("lrng: %w", err)
		}
	}
	return nil
}

// strength returns the security strength in bits.
func (r *RNG) strength() int { return r.mech.Load().info.SecurityStrength }

// guard calls f and turns a panic into an error.
func guard(f func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{value: fmt.Sprint(v)}
		}
	}()
	f()
	return nil
}

// An instance is one deterministic generator with what belongs to its seed. It
// is guarded by the lock of its shard, that for prediction resistance by pool.
type instance struct {
	index        int // of the shard, or -1
	d            drng.DRNG
	mech         *mechanism
	seeded       bool
	instantiated bool // d has had its first seed
	compared     bool // the first output of d was not a known answer
	age          *age // nil: without limit
	epoch        *epoch
	stats        InstanceStatus
	generation   uint64 // of the machine, when the seed was collected

	requests uint64 // since the last seed
	bits     uint64 // of output since the last seed
	quickTo  uint64 // as long as there are fewer requests, they may be quick ones
	stale    int    // bytes that the mechanism has generated since it had fresh inputs

	memory   *secmem.Block // of what is below
	grade    secmem.Grade  // the least of it and of d's
	ahead    []byte        // generated ahead of need; what has been used is zero
	next     int           // the first byte of it not yet used
	combiner *combiner     // of what is ahead with the inputs of a request; may be nil
	keyed    bool          // combiner has a key from after the last fresh inputs of the mechanism
	fresh    []byte        // additional input
	tmp      []byte        // output of mechanisms that are not ours
}

// equip gives an instance a mechanism, which is not seeded yet, and a buffer of
// so many bytes for what is generated ahead of need.
func (r *RNG) equip(in *instance, d drng.DRNG, m *mechanism, ahead int) error {
	in.d, in.mech, in.seeded = d, m, false
	in.instantiated, in.compared = false, false
	in.beginLife()
	in.free()
	return r.allocate(in, ahead)
}

func (in *instance) String() string   { return "lrng.instance" }
func (in *instance) GoString() string { return "lrng.instance" }

// handOverSize is the length of what install adds to the additional input,
// besides the personalization string, in bytes.
const handOverSize = 24

// install seeds the instance with what a holds, and wipes that.
func (r *RNG) install(in *instance, a *accumulator) error {
	defer a.clear()
	if !in.alive() {
		in.instantiated = false
	}
	n := handOverSize
	if !in.instantiated {
		n += len(r.cfg.Personalization)
	}
	if err := errors.Join(r.allocate(in, len(in.ahead)), a.reserve(1, n)); err != nil {
		return fmt.Errorf("lrng: %w", err)
	}
	a.additional = binary.LittleEndian.AppendUint64(a.additional, clock.Now())
	a.additional = binary.LittleEndian.AppendUint64(a.additional, uint64(time.Now().UnixNano()))
	a.additional = binary.LittleEndian.AppendUint64(a.additional, uint64(in.index))
	if !in.instantiated {
		a.additional = append(a.additional, r.cfg.Personalization...)
	}
	r.shape(in.mech, a)
	var err error
	runtimesecret.Do(func() { err = in.foreign(func() error { return in.d.Seed(a.seed, a.additional) }) })
	if err != nil {
		return fmt.Errorf("lrng: seeding %s: %w", in.mech.info.Name, err)
	}
	in.dropAhead()
	in.seeded, in.instantiated = true, true
	in.generation = a.generation
	in.beginLife()
	in.age.restart()
	in.stats.seeded(seeding.Sum(a.credits))
	return nil
}

// shape brings the two parts to lengths that the mechanism takes. The credit of
// the seed is enough for it: see enoughFor.
func (r *RNG) shape(m *mechanism, a *accumulator) {
	c := r.conditioner()
	if n := m.info.SeedSize; n != 0 {
		a.seed = hashDown(c, a.seed)[:n]
	}
	if n := m.info.MaxAdditional; n != 0 && len(a.additional) > n {
		p := hashDown(c, a.additional)
		a.additional = p[:min(len(p), n)]
	}
}

// foreign calls a mechanism that may not be ours and turns a panic into an error: the
// caller holds locks.
func (in *instance) foreign(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("lrng: %s panicked: %v", in.mech.info.Name, v)
		}
	}()
	return f()
}

// dropAhead wipes what was generated ahead of need.
func (in *instance) dropAhead() {
	if in.kept() {
		zero.Bytes(in.ahead)
	}
	in.next = len(in.ahead)
	in.epoch.end()
}

// wipe returns the instance to the state before its first seed.
func (in *instance) wipe() {
	in.d.Clear()
	in.free()
	in.seeded, in.instantiated = false, false
}

// beginLife begins to count anew, with another seed.
func (in *instance) beginLife() {
	in.stats.Requests += in.requests
	in.stats.Bytes += in.bits / 8
	in.requests, in.bits, in.quickTo = 0, 0, 0
	in.stale, in.keyed = neverMixed, false
}

// neverMixed is more than there may be of stale bytes.
const neverMixed = 1 << 30

// status returns the statistics.
func (in *instance) status() InstanceStatus {
	st := in.stats
	st.Requests += in.requests
	st.Bytes += in.bits / 8
	return st
}

// The length of the additional input of a request, in bytes: 16 or 32 of the operating
// system, and two words.
const (
	freshSize         = 32
	hardenedFreshSize = 48
)

// freshen fills in.fresh with what tells this request from the same one of a twin, and
// returns it.
func (in *instance) freshen() []byte {
	on := in.mech.machine
	f := in.fresh
	n := len(f) - 16
	if !on.system(f[:n]) {
		in.stats.Unmixed++
	}
	binary.LittleEndian.PutUint64(f[n:], on.word())
	binary.LittleEndian.PutUint64(f[n+8:], on.cycles())
	return f
}

// raw is one request to the mechanism, with fresh additional input if asked.
// On error b is cleared. b does not escape.
func (in *instance) raw(b []byte, fresh bool) error {
	var additional []byte
	if fresh {
		additional = in.freshen()
		defer zero.Bytes(in.fresh)
	}
	if runtimesecret.Enabled {
		var err error
		runtimesecret.Do(func() { err = in.request(b, additional) })
		return err
	}
	return in.request(b, additional)
}

// request is raw, with the additional input.
func (in *instance) request(b, additional []byte) error {
	switch d := in.d.(type) {
	case *drng.ChaCha20:
		return d.Generate(b, additional)
	case *drng.CTR:
		return d.Generate(b, additional)
	case *drng.Hash:
		return d.Generate(b, additional)
	case *drng.HMAC:
		return d.Generate(b, additional)
	case *drng.XDRBG:
		return d.Generate(b, additional)
	}
	// An interface method could keep its argument: the caller's buffer would
	// escape to the heap.
	out := in.tmp[:len(b)]
	err := in.foreign(func() error { return in.d.Generate(out, additional) })
	if err != nil {
		clear(b)
	} else {
		copy(b, out)
	}
	zero.Bytes(out)
	return err
}

// read fills b, of at most one chunk. First says that it is the first request of a burst, and
// combined with fresh inputs unless there have been some not long ago. On error b is cleared.
func (in *instance) read(b []byte, first bool) error {
	if !in.kept() {
		clear(b)
		return errVanished
	}
	err := in.output(b, first)
	if err == nil && !in.memory.Kept() || err != nil && !in.alive() {
		clear(b)
		err = errVanished
	}
	return err
}

// output is read without looking at the memory. It takes what was generated ahead of need
// where there is any and it is worth it.
func (in *instance) output(b []byte, first bool) error {
	if first && len(b) <= (len(in.ahead)+1)/2 {
		if err := in.takeAll(b); err != nil {
			clear(b)
			return err
		}
		if in.combiner != nil && !in.combiner.combine(b, in.mech.machine) {
			in.stats.Unmixed++
		}
		return nil
	}
	// What a request of its own costs is shared by more bytes, the longer it is.
	n := len(b) - in.mech.overhang(len(b))
	if err := in.takeAll(b[n:]); err != nil {
		clear(b)
		return err
	}
	fresh := false
	if first {
		fresh = in.mixes(n, in.mech.ahead)
	} else {
		in.stale += n
	}
	if fresh {
		in.keyed = false
	}
	err := in.raw(b[:n], fresh)
	if err != nil {
		clear(b)
	}
	return err
}

// overhang returns how many bytes at the end of a long request of n bytes are better taken of what
// is ahead: those for which ChaCha20, with the next key, would begin another pass over blocks
// that are computed side by side. All powers of two have 32 of them.
func (m *mechanism) overhang(n int) int {
	const pass, key, most = 8 * 64, 32, 64
	if k := (n + key) % pass; m.passes && k <= most && k < n {
		return k
	}
	return 0
}

// takeAll fills b, which is no longer than what is generated ahead at a time, with that.
func (in *instance) takeAll(b []byte) error {
	n := in.take(b)
	if n == len(b) {
		return nil
	}
	if err := in.refill(); err != nil {
		return err
	}
	in.take(b[n:])
	return nil
}

// take moves output that was generated ahead to b and returns its length.
func (in *instance) take(b []byte) int {
	n := copy(b, in.ahead[in.next:])
	clear(in.ahead[in.next : in.next+n])
	in.next += n
	return n
}

// mixes reports whether a request to the mechanism for n bytes is to have fresh inputs, since
// otherwise more than most bytes would be generated with the same ones, and counts the bytes.
func (in *instance) mixes(n, most int) bool {
	if in.stale += n; in.stale <= most {
		return false
	}
	in.stale = n
	return true
}

// refill generates ahead. The caller has used up what there was.
func (in *instance) refill() error {
	most := in.mech.ahead
	if in.combiner != nil {
		most = staleMost
	}
	fresh := in.mixes(len(in.ahead), most)
	err := in.raw(in.ahead, fresh)
	if err == nil {
		err = in.compare(in.ahead)
	}
	if err != nil {
		in.dropAhead()
		return err
	}
	in.next = 0
	if in.combiner != nil && (fresh || !in.keyed) {
		in.combiner.rekey(in.ahead)
		clear(in.ahead[:combinerKeySize])
		in.next, in.keyed = combinerKeySize, true
	}
	return nil
}

// errUnseeded is a reason to try again, which callers never see.
var errUnseeded = errors.New("lrng: no instance with a seed")

// generate fills the beginning of b from one of the shards, without waiting, and returns
// how much that is. If none that may serve is seeded it returns errUnseeded. With any error b is
// cleared.
func (r *RNG) generate(b []byte) (n int, err error) {
	h := r.shards.Lock()
	if r.quick(&h.Value, b) {
		h.Unlock()
		return len(b), nil
	}
	return r.generateFrom(h, b)
}

// generateFrom is generate from the shard h, which is locked, or from shard 0. It unlocks h.
func (r *RNG) generateFrom(h *shard.Slot[instance], b []byte) (n int, err error) {
	in := &h.Value
	if r.usable(in, len(b)) {
		n, due, err := r.serve(in, b, burst)
		h.Unlock()
		return n, r.served(due, err)
	}
	h.Unlock()
	if in.index != 0 {
		r.kick()
		r.loseCopies()
		h = r.shards.LockIndex(0)
		in = &h.Value
		if r.usable(in, len(b)) {
			n, due, err := r.serve(in, b, burst)
			h.Unlock()
			return n, r.served(due, err)
		}
		h.Unlock()
	}
	r.logLoss()
	clear(b)
	return 0, errUnseeded
}

// quick serves a request from what was generated ahead, if that suffices and nothing else
// is to be done but to look whether that is so. It reports whether it did. If not, usable
// and serve find out why.
func (r *RNG) quick(in *instance, b []byte) bool {
	// One condition at a time: the compiler makes detours of many together.
	if in.requests >= in.quickTo || !in.seeded || len(b) > quickMost {
		return false
	}
	next := in.next
	end := next + len(b)
	if end > len(in.ahead) {
		return false
	}
	if r.level.Load() != int32(seeding.FullySeeded) {
		return false
	}
	if selftest.Failed() != nil {
		return false
	}
	if in.age.old.Load() {
		return false
	}
	if r.tested.old.Load() {
		return false
	}
	if !in.memory.Ours() {
		return false
	}
	p := r.twins.page.Load()
	if p == nil {
		if in.mech.watched {
			return false
		}
	} else if r.copied(p, in) || r.twins.inARow.Load() != 0 {
		return false
	}

	ahead := in.ahead[next:end:end]
	handOut(b, ahead)
	in.next = end
	if in.combiner != nil && !in.combiner.combine(b, in.mech.machine) {
		in.stats.Unmixed++
	}

	if !in.memory.Kept() || p != nil && r.copied(p, in) {
		clear(b)
		return false
	}
	in.count(len(b))
	return true
}

// handOut moves what is ahead to b, of the same length. Numbers, keys, nonces and UUIDs go without the
// calls of copy and clear; an assignment of more than 16 bytes would be such a call, too.
func handOut(b, ahead []byte) {
	switch {
	case len(b) == 8:
		*(*[8]byte)(b) = *(*[8]byte)(ahead)
		*(*[8]byte)(ahead) = [8]byte{}
	case len(b)%16 == 0 && len(b) <= 64:
		for ; len(b) >= 16 && len(ahead) >= 16; b, ahead = b[16:], ahead[16:] {
			*(*[16]byte)(b) = *(*[16]byte)(ahead)
			*(*[16]byte)(ahead) = [16]byte{}
		}
	default:
		copy(b, ahead)
		clear(ahead)
	}
}

// copied reports whether the machine was copied since the instance was seeded, or it
// cannot be told.
func (r *RNG) copied(p *twins.Page, in *instance) bool {
	g, ok := p.Generation()
	return !ok || g != in.generation
}

// count counts a request of n bytes that was served.
func (in *instance) count(n int) {
	in.requests++
	in.bits += 8 * uint64(n)
}

// allowQuick sets up to which request they may be quick: until the next one that has to look at
// the clock, or to find a limit reached. The caller has found none reached.
func (in *instance) allowQuick() {
	m := in.mech
	if !in.compared || len(in.ahead) == 0 {
		return
	}
	n := min(255-in.requests%256, m.due-in.requests-1)
	if m.dueBits != math.MaxUint64 { // a division takes longer than all else here
		n = min(n, (m.dueBits-in.bits-1)/(8*uint64(len(in.ahead))))
	}
	in.quickTo = in.requests + n
}

// usable reports whether the shard may serve a request of n bytes, or the first of several
// if one cannot be as long. If not, it is marked as wanting a seed; if that is because it
// has come to a limit, its seed is lost. When shard 0, and with it the level, has come to its
// limit, the others wait with it.
func (r *RNG) usable(in *instance, n int) bool {
	if in.index != 0 && r.currentLevel() < seeding.FullySeeded {
		return false
	}
	n = min(n, in.mech.chunk)
	if in.seeded && in.requests < in.mech.most && in.bits+8*uint64(n) <= in.mech.mostBits && selftest.Failed() == nil {
		return true
	}
	if in.seeded {
		r.lose(in)
	}
	r.wants[in.index].Store(true)
	return false
}

// lose ends the life of the seed of a shard. The state is kept, unused, as input
// to the next one (SP 800-90A, Section 8.6.8).
func (r *RNG) lose(in *instance) {
	in.dropAhead()
	in.seeded = false
	in.stats.Lost++
	r.wants[in.index].Store(true)
	if in.index == 0 && r.level.Swap(int32(seeding.Unseeded)) == int32(seeding.FullySeeded) {
		r.lost.Store(true)
	}
	in.epoch.end() // another shard may have served in the one before, as long as the level was full
}

// logLoss logs that the full level was lost, unless somebody did already. It is for
// those who have called lose and released the shard, and for those who log a level
// that comes after it.
func (r *RNG) logLoss() {
	r.loseCopies()
	if r.lost.Swap(false) {
		r.log.level(seeding.FullySeeded, seeding.Unseeded)
	}
}

// burst is how many requests to the mechanism a shard is locked for, at most, when somebody
// reads more than one of them takes. The first has fresh additional input, and the states of
// the others follow from it. A read takes a third less time than if each collected its own.
const burst = 4

// serve fills b by requests to a usable shard, so many of them at most, and returns how much
// it has filled. It reports whether a new seed is due, and stops there for the caller to see to
// it. With an error b is cleared.
func (r *RNG) serve(in *instance, b []byte, requests int) (n int, due bool, err error) {
	for i := 0; i < requests && n < len(b) && !due; i++ {
		p := b[n:min(len(b), n+in.mech.chunk)]
		if i > 0 && !r.usable(in, len(p)) {
			return n, true, nil // the rest is for another one, or for another seed
		}
		if err := r.draw(in, p, i == 0); err != nil {
			r.lose(in)
			if i > 0 && again(err) {
				return n, true, nil // if it were made anew, a read that is longer than a seed lasts would never end
			}
			clear(b)
			return 0, true, fmt.Errorf("lrng: %s: %w", in.mech.info.Name, err)
		}
		if err := in.compare(p); err != nil {
			clear(b)
			return 0, false, err
		}
		in.count(len(p))
		in.quickTo = 0
		if in.requests >= in.mech.due || in.bits >= in.mech.dueBits || in.age.reached(in.requests) {
			r.wants[in.index].Store(true)
			due = true
		}
		if r.tested.reached(in.requests) {
			r.testsWant.Store(true)
			due = true
		}
		n += len(p)
	}
	if !due {
		in.allowQuick()
	}
	return n, due, nil
}

// compare compares the first output of the generator, of at least 16 bytes, with all
// known answers: it would be output of a test, or of a test seed (docs/traceability.md T19).
func (in *instance) compare(b []byte) error {
	if in.compared || len(b) < 16 {
		return nil
	}
	if selftest.IsAnswer(b) {
		clear(b)
		return selftest.Fail("the first output of " + in.mech.info.Name + " is a known answer")
	}
	in.compared = true
	return nil
}

// again reports whether a request that failed so is to be made again, from a new seed.
func again(err error) bool {
	return errors.Is(err, drng.ErrReseedRequired) || errors.Is(err, errVanished) || errors.Is(err, errCopied)
}

// served follows serve, when the shard is unlocked.
func (r *RNG) served(due bool, err error) error {
	if due {
		r.kick()
	}
	if err == nil {
		return nil
	}
	r.logLoss()
	if again(err) {
		return errUnseeded
	}
	r.log.mechanismFailed(err)
	return err
}
