package lrng

import (
	"context"
	"errors"
	"fmt"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/seeding"
)

// SetDRNG switches the mechanism of all instances to the one that f makes, while
// the generator is in use. F is as [Config].DRNG.
//
// Each shard that has a seed gets a new instance with a complete new seed from
// the sources, to which output of the old instance is additional input; no request
// fails or waits because of the switch, and none is served by an instance that is
// not seeded. SetDRNG returns when all shards are switched and the old instances
// wiped. If it returns an error nothing has changed. It waits for the sources as long
// as it takes, or until the generator is closed.
func (r *RNG) SetDRNG(f func() (drng.DRNG, error)) error {
	if f == nil {
		return errors.New("lrng: SetDRNG: f is nil")
	}
	m, first, err := r.newMechanism(f)
	if err == nil {
		err = checkStrategy(r.cfg.Strategy, m.info.SecurityStrength)
	}
	if err != nil {
		return fmt.Errorf("lrng: SetDRNG: %w", err)
	}
	next := make([]*instance, r.shards.Len())
	seen := make(known)
	pr := &instance{index: -1}
	defer func() {
		for _, in := range append(next, pr) {
			if in != nil && in.d != nil {
				in.wipe() // those that were not put into use
			}
		}
	}()
	for i := range next {
		d := first
		if i > 0 {
			if d, err = m.instance(); err != nil {
				return fmt.Errorf("lrng: SetDRNG: %w", err)
			}
		}
		if err := seen.add(d); err != nil {
			return fmt.Errorf("lrng: SetDRNG: %w", err)
		}
		next[i] = &instance{index: i}
		if err := r.equip(next[i], d, m, m.buffer); err != nil {
			return fmt.Errorf("lrng: SetDRNG: %w", err)
		}
	}
	d, err := m.instance()
	if err == nil {
		err = seen.add(d)
	}
	if err == nil {
		err = r.equip(pr, d, m, 0)
	}
	if err != nil {
		return fmt.Errorf("lrng: SetDRNG: %w", err)
	}

	ctx, end, err := r.begin(context.Background())
	if err != nil {
		return err
	}
	defer end()
	if r.lockPool(ctx) != nil {
		return context.Cause(ctx)
	}
	// The pool lock may change hands while the sources yield nothing, and shards
	// get a seed meanwhile. So it takes until none is left that has one without its
	// successor having one.
	a, err := r.newAccumulator()
	if err != nil {
		r.pool.Unlock()
		return fmt.Errorf("lrng: SetDRNG: %w", err)
	}
	defer a.free()
	for i := r.unprepared(next); i >= 0; i = r.unprepared(next) {
		if err := r.collect(ctx, a, func() need {
			return need{m.request(r.strategy, seeding.Initial), seeding.Initial, r.enoughFor(m, seeding.Initial)}
		}); err != nil {
			return err
		}
		// The conditioner may have been switched while the lock was in other hands.
		if err := r.checkFit(m, r.conditioner()); err != nil {
			r.pool.Unlock()
			return fmt.Errorf("lrng: SetDRNG: %w", err)
		}
		r.bequeath(i, a)
		if err := r.install(next[i], a); err != nil {
			r.stats.failures.Add(1)
			r.pool.Unlock()
			return fmt.Errorf("lrng: SetDRNG: %w", err)
		}
	}
	defer r.pool.Unlock()
	if err := r.checkFit(m, r.conditioner()); err != nil {
		return fmt.Errorf("lrng: SetDRNG: %w", err)
	}

	// From here on nothing fails.
	old := r.mech.Load()
	r.mech.Store(m)
	level := seeding.FullySeeded // before
	for i := range next {
		h := r.shards.LockIndex(i)
		if h.Value.succeed(next[i]); h.Value.seeded {
			r.stats.seeds.Add(1)
			r.wants[i].Store(false)
			if i == 0 {
				level = seeding.Level(r.level.Swap(int32(seeding.FullySeeded))) // it may have been lost meanwhile
			}
		}
		h.Unlock()
	}
	r.logFull(level)
	if r.currentLevel() >= seeding.FullySeeded {
		r.tellWaiters(seeding.FullySeeded)
	}
	r.pr.succeed(pr)
	r.prGrade.Store(int32(r.pr.grade))
	r.log.switched("DRNG", old.info.Name, m.info.Name)
	return nil
}

// unprepared returns the first shard that has a seed while its successor has none,
// or -1.
func (r *RNG) unprepared(next []*instance) int {
	for i := range next {
		h := r.shards.LockIndex(i)
		seeded := h.Value.seeded
		h.Unlock()
		if seeded && !next[i].seeded {
			return i
		}
	}
	return -1
}

// legacySize is the length of what an instance bequeaths, in bytes.
const legacySize = 32

// bequeath appends output of shard i to the additional input in a: a source that
// fails unnoticed at the time of a switch cannot make the generator weaker than it
// was.
func (r *RNG) bequeath(i int, a *accumulator) {
	h := r.shards.LockIndex(i)
	defer h.Unlock()
	in := &h.Value
	if a.reserve(1, legacySize) != nil {
		return
	}
	for p := a.extend(1, legacySize); len(p) > 0; {
		k := min(len(p), in.mech.chunk)
		if !in.seeded || !in.kept() || in.raw(p[:k], false) != nil {
			clear(p)
			return
		}
		p = p[k:]
	}
}

// succeed puts the successor into the place of the instance, and the old generator
// into that of the successor, wiped. The caller holds the lock of the shard.
func (in *instance) succeed(s *instance) {
	in.free()
	in.d.Clear()
	in.d, s.d = s.d, in.d
	in.mech, in.seeded = s.mech, s.seeded
	in.instantiated, in.compared = s.instantiated, false
	in.memory, in.grade, in.ahead, in.next, in.combiner, in.fresh, in.tmp = s.memory, s.grade, s.ahead, s.next, s.combiner, s.fresh, s.tmp
	in.beginLife()
	in.generation = s.generation
	if s.seeded {
		in.age.restart()
		in.stats.seeded(s.stats.LastCredit)
	}
	s.memory = nil
	s.seeded = false
	s.free()
}

// SetConditioner switches the hash of the auxiliary pool, of [RNG.SeedReader] and of
// seeds that are gathered in small parts, while the generator is in use. What the
// pool holds goes from the old hash into the new one; its credit is kept, but no
// more than either is wide. If it returns an error nothing has changed. It may wait
// for a collection that is under way.
//
// An [es.Auxiliary] that was given in [Config].Sources is switched, too. Other sources
// with a hash of their own keep it.
func (r *RNG) SetConditioner(c conditioner.Conditioner) error {
	if c == nil {
		return errors.New("lrng: SetConditioner: c is nil")
	}
	err := checkConditioner(c)
	if err == nil {
		err = r.fips.checkConditioner(c)
	}
	if err != nil {
		return fmt.Errorf("lrng: SetConditioner: %w", err)
	}
	ctx, end, err := r.begin(context.Background())
	if err != nil {
		return err
	}
	defer end()
	if r.lockPool(ctx) != nil {
		return context.Cause(ctx)
	}
	defer r.pool.Unlock()
	if err := r.checkFit(r.mech.Load(), c); err != nil {
		return fmt.Errorf("lrng: SetConditioner: %w", err)
	}
	old := r.conditioner()
	if err := r.aux.SetConditioner(c); err != nil {
		return fmt.Errorf("lrng: SetConditioner: %w", err)
	}
	r.cond.Store(&c)
	r.log.switched("conditioner", old.Name(), c.Name())
	return nil
}

// SetSourceRate limits what the source of that name is credited with for one call, to
// the given bits of min-entropy, from its next answer on: 0 takes away its credit, and
// its MaxEntropy restores it. It returns an error that names the argument if there is
// no such source, or if bits is negative or more than the source declared in New.
func (r *RNG) SetSourceRate(name string, bits int) error {
	if err := r.over(); err != nil {
		return err
	}
	for _, s := range r.sources {
		if s.info.Name != name {
			continue
		}
		if bits < 0 || bits > s.info.MaxEntropy {
			return fmt.Errorf("lrng: SetSourceRate: bits: %d for source %q; want 0…%d", bits, name, s.info.MaxEntropy)
		}
		s.mu.Lock()
		s.most = bits
		s.mu.Unlock()
		r.log.rate(name, bits)
		return nil
	}
	return fmt.Errorf("lrng: SetSourceRate: name: there is no source %q", name)
}

// conditioner returns the conditioner in use.
func (r *RNG) conditioner() conditioner.Conditioner { return *r.cond.Load() }

// checkWidth refuses a conditioner that is too narrow for the strategy.
func (r *RNG) checkWidth(c conditioner.Conditioner) error {
	if _, width := r.strategy.conditioning(); c.Width() < width {
		return fmt.Errorf("strategy %q needs a hash of at least %d bits; %s is %d bits wide", r.cfg.Strategy.Name(), width, c.Name(), c.Width())
	}
	return nil
}

// checkFit refuses a conditioner that is too narrow for the strategy, or for a
// mechanism that needs seeds of full entropy.
func (r *RNG) checkFit(m *mechanism, c conditioner.Conditioner) error {
	if err := r.checkWidth(c); err != nil {
		return err
	}
	if 8*m.info.SeedSize > c.Width() {
		return fmt.Errorf("%s takes seeds of %d bits with full entropy; %s is %d bits wide", m.info.Name, 8*m.info.SeedSize, c.Name(), c.Width())
	}
	return nil
}
