package es

import (
	"context"
	"fmt"
	"hash"
	"sync"
	"sync/atomic"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/internal/ctxsync"
	"github.com/lrng-go/lrng/internal/secmem"
	"github.com/lrng-go/lrng/internal/zero"
)

// leastPoolWidth is the least width of the hash of a pool, in bits: what goes
// from one read to the next is one digest, and shall not be the weakest part of
// a generator of 256 bits of security strength.
const leastPoolWidth = 256

// AuxiliaryConfig is the configuration of an [Auxiliary]. The zero value is the
// recommended one.
type AuxiliaryConfig struct {
	// Conditioner is the hash function of the pool, 256 to 512 bits wide. The
	// pool holds at most its width of entropy. Nil means SHA-512.
	Conditioner conditioner.Conditioner

	// Oversampling is how much entropy, in bits, a read with credit uses up
	// beyond its credit: 0 to 255. Output of full entropy in the sense of SP
	// 800-90C, Section 3.2.2.2, takes 64. With 0 the credit of the data goes out
	// as it came in.
	Oversampling int
}

// An Auxiliary is the source for the entropy that a program brings itself: a
// pool that is written with Add and read as any other source. [NewAuxiliary]
// makes one.
//
// The pool is two running hashes over the same input, set apart by their first
// six bytes. A read finalises both, hands out the digest of one, and starts both
// anew with the digest of the other, which never leaves the pool. It is the
// auxiliary pool of ESDM, for one pool.
//
// The pool is never empty in the sense that it could not be read: without
// entropy its data go on being different each time, with a credit of 0. Two
// pools that were given the same input deliver the same data.
//
// # Security
//
// The credit is the word of those who call Add. There is no health test: the
// pool sees data of any kind, not the samples of one noise source.
//
// Data read without credit depend on all that is in the pool, as those with
// credit do, and need to be kept as secret.
//
// From the state that is left after a read, nothing of what was read or added
// before can be computed, short of guessing all that was added (backtracking
// resistance). This includes the buffers of the hash states, which are
// overwritten: Reset alone keeps up to a block of the input. What a hash function
// of the standard library leaves in registers and on the stack cannot be wiped.
type Auxiliary struct {
	oversampling int
	err          error // what is wrong with the configuration

	// lock guards the fields below. It is held while data are hashed.
	lock             ctxsync.Lock
	state            hash.Hash    // S, over "STATE0"; nil after Clear
	output           hash.Hash    // O, over "OUTPUT"
	width            int          // of their digests, in bits
	test             func() error // the self-test of the hash
	*auxiliaryMemory              // in mem; nil after Clear
	mem              secmem.Value[auxiliaryMemory]

	credit atomic.Int64 // entropy in the pool, in bits; at most width

	mu     sync.Mutex // guards notify
	notify []func()
}

// auxiliaryMemory is what goes into and comes out of the hashes. The standard library has
// their running states in memory of its own.
type auxiliaryMemory struct {
	digests [2][maxBlock / 8]byte
	scratch [32]byte
}

// NewAuxiliary returns an empty pool. If c is not valid, its Validate and all
// calls that use the pool return the reason.
func NewAuxiliary(c AuxiliaryConfig) *Auxiliary {
	a := new(Auxiliary)
	if c.Oversampling < 0 || c.Oversampling >= leastPoolWidth {
		a.err = fmt.Errorf("es: AuxiliaryConfig.Oversampling: %d bits, must be 0 to %d", c.Oversampling, leastPoolWidth-1)
		return a
	}
	a.oversampling = c.Oversampling
	a.state, a.output, a.width, a.err = poolHash("AuxiliaryConfig.Conditioner", c.Conditioner)
	a.test = selfTestOf(c.Conditioner)
	a.mem.Lasting = true
	if a.err == nil {
		a.revive()
		a.start()
	}
	return a
}

// revive gives the pool memory, if it has lost its own: this is a child process then. What
// is in the pool is the parent's, too, and is not credited any more.
func (a *Auxiliary) revive() {
	if !a.mem.Intact() {
		a.auxiliaryMemory, _ = a.mem.Renew() // without a demand there is no error
		a.credit.Store(0)
	}
}

// poolHash returns two states of c, SHA-512 if it is nil, and their width in
// bits. If a pool cannot use c, the error says so of what.
func poolHash(what string, c conditioner.Conditioner) (state, output hash.Hash, width int, err error) {
	if c == nil {
		c = conditioner.SHA512
	}
	width = c.Width()
	if width < leastPoolWidth || width > maxBlock || width%8 != 0 {
		return nil, nil, 0, fmt.Errorf("es: %s: %s has a width of %d bits, must be %d to %d in whole bytes", what, c.Name(), width, leastPoolWidth, maxBlock)
	}
	state, output = c.New(), c.New()
	if state == nil || output == nil || state.Size() != width/8 || output.Size() != width/8 {
		return nil, nil, 0, fmt.Errorf("es: %s: %s does not have digests of its width, %d bits", what, c.Name(), width)
	}
	return state, output, width, nil
}

// Info returns the name "auxiliary" and 512 bits as the most entropy, also
// while the pool has a narrower hash.
func (a *Auxiliary) Info() Info {
	return Info{Name: "auxiliary", MaxEntropy: maxBlock}
}

// Oversampling returns AuxiliaryConfig.Oversampling, in bits.
func (a *Auxiliary) Oversampling() int { return a.oversampling }

// Validate returns what is wrong with the configuration, or nil.
func (a *Auxiliary) Validate() error { return a.err }

// Available returns the entropy in the pool that can be credited, at most bits.
// It does not wait for an Add or a read in progress.
func (a *Auxiliary) Available(bits int) int {
	return max(0, min(bits, int(a.credit.Load())-a.oversampling))
}

// Notify adds a function that is called after each Add that raised the credit
// of the pool, in the goroutine of that Add. Nil is ignored.
func (a *Auxiliary) Notify(f func()) {
	if f == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.notify = append(a.notify, f)
}

// Add puts p into the pool, as data with at least bits bits of min-entropy. The
// pool keeps no copy of p and does not change it. Add does not allocate.
//
// Bits is what p holds for somebody who knows all that was added before: the
// credits of several calls add up, which is right for independent data only (SP
// 800-90C, Section 2.6). Data of unknown entropy are added with 0 bits, which is
// never harmful. The credit is limited by the width of the pool; what goes
// beyond is lost. A p of length 0 changes nothing.
//
// If bits is negative, or more than p has, Add returns an error that says so,
// and the pool is unchanged. After Clear it returns an error that wraps
// [ErrUnavailable].
func (a *Auxiliary) Add(p []byte, bits int) error {
	if bits < 0 {
		return fmt.Errorf("es: auxiliary: bits: %d is negative", bits)
	}
	if int64(bits) > 8*int64(len(p)) {
		return fmt.Errorf("es: auxiliary: bits: %d bits of entropy in %d bytes of data", bits, len(p))
	}
	raised, err := a.insert(p, bits)
	if err != nil || !raised {
		return err
	}
	a.mu.Lock()
	notify := a.notify // elements are only ever added
	a.mu.Unlock()
	for _, f := range notify {
		f()
	}
	return nil
}

// insert absorbs p and then credits it. It reports whether the credit is higher
// than before.
func (a *Auxiliary) insert(p []byte, bits int) (raised bool, err error) {
	if err := a.acquire(context.Background()); err != nil {
		return false, err
	}
	defer a.release()
	if len(p) == 0 {
		return false, nil
	}
	done := false
	defer a.dropUnless(&done)
	for _, h := range [...]hash.Hash{a.state, a.output} {
		// The number of the pool, 16 bits little-endian, of the only one.
		idx := a.scratch[:2]
		clear(idx)
		h.Write(idx)
		h.Write(p)
	}
	old := int(a.credit.Load())
	sum := old + min(bits, a.width-old)
	a.credit.Store(int64(sum))
	done = true
	return sum > old, nil
}

// GetEntropy fills p from the pool and returns how many bits of the credit it
// took out for it: at most bits, the width of the hash, and 8·len(p). The rest
// stays. A read that credits nothing, for bits ≤ 0 or for want of entropy, takes
// nothing out. GetEntropy does not allocate.
//
// The first digest fills as much of p as it is long. Longer ones are filled by
// reading on: digest after digest, from the state that the one before left.
//
// When ctx is done first, p is cleared as far as it was filled, the credit is
// 0, none is taken out, and the error is that of ctx. After Clear the error
// wraps [ErrUnavailable].
func (a *Auxiliary) GetEntropy(ctx context.Context, p []byte, bits int) (credit int, err error) {
	if err := a.acquire(ctx); err != nil {
		return 0, err
	}
	defer a.release()
	if err := runSelfTests("auxiliary", a.test); err != nil {
		return 0, err
	}
	for n := 0; n < len(p); {
		if err := ctx.Err(); err != nil {
			zero.Bytes(p[:n])
			return 0, err
		}
		n += a.read(p[n:])
	}
	return a.spend(len(p), bits), nil
}

// spend takes the credit of a read of size bytes that asked for bits out of
// the pool, and returns it.
func (a *Auxiliary) spend(size, bits int) (credit int) {
	bits = min(bits, 8*min(size, maxBlock/8))
	if bits <= 0 {
		return 0
	}
	have := int(a.credit.Load())
	take := min(bits+a.oversampling, have)
	if take <= a.oversampling {
		// Nothing to credit. To keep the entropy is sound even if these data
		// became known: it is what the next read with credit withholds.
		return 0
	}
	a.credit.Store(int64(have - take))
	return take - a.oversampling
}

// read fills p with one digest, or as much of it as p takes, and returns the
// number of bytes.
func (a *Auxiliary) read(p []byte) int {
	done := false
	defer a.dropUnless(&done)
	defer a.wipeDigests()
	s := a.state.Sum(a.digests[0][:0])
	o := a.output.Sum(a.digests[1][:0])
	a.start(s)
	done = true
	return copy(p, o)
}

// dropUnless drops all credit unless done is set: a hash function panicked, and nobody
// knows what it has seen or forgotten.
func (a *Auxiliary) dropUnless(done *bool) {
	if !*done {
		a.credit.Store(0)
	}
}

// SetConditioner makes c the hash function of the pool; nil means SHA-512. The
// digests of the old states go into the new ones. The credit is kept, up to the
// narrower of the two widths. If the pool cannot use c, SetConditioner returns
// an error and changes nothing.
func (a *Auxiliary) SetConditioner(c conditioner.Conditioner) error {
	state, output, width, err := poolHash("SetConditioner", c)
	if err != nil {
		return err
	}
	if err := a.acquire(context.Background()); err != nil {
		return err
	}
	defer a.release()
	done := false
	defer a.dropUnless(&done)
	defer a.wipeDigests()
	s := a.state.Sum(a.digests[0][:0])
	o := a.output.Sum(a.digests[1][:0])
	a.forget(a.state)
	a.forget(a.output)
	a.state, a.output, a.width, a.test = state, output, width, selfTestOf(c)
	a.start(s, o)
	a.credit.Store(min(a.credit.Load(), int64(width)))
	done = true
	return nil
}

// Clear wipes the pool and ends its use. It waits for calls in progress, and
// may be called twice.
func (a *Auxiliary) Clear() {
	a.lock.Lock(context.Background()) // without an end to wait for it does not fail
	defer a.release()
	a.credit.Store(0)
	if a.state != nil {
		a.revive()
		a.forget(a.state)
		a.forget(a.output)
		a.state, a.output = nil, nil
	}
	a.mem.Free()
	a.auxiliaryMemory = nil
}

// String returns the name of the type. The state is not printed.
func (a *Auxiliary) String() string { return "es.Auxiliary" }

// GoString returns the name of the type. The state is not printed.
func (a *Auxiliary) GoString() string { return "es.Auxiliary" }

// acquire locks the pool for use, or returns why it cannot be used.
func (a *Auxiliary) acquire(ctx context.Context) error {
	if a.err != nil {
		return a.err
	}
	if err := a.lock.Lock(ctx); err != nil {
		return err
	}
	if a.state == nil {
		a.release()
		return fmt.Errorf("es: auxiliary: cleared: %w", ErrUnavailable)
	}
	a.revive()
	return nil
}

// release unlocks the pool.
func (a *Auxiliary) release() { a.lock.Unlock() }

// start begins both states anew: S = "STATE0" ‖ digests, O = "OUTPUT" ‖ digests.
func (a *Auxiliary) start(digests ...[]byte) {
	a.startOne(a.state, "STATE0", digests)
	a.startOne(a.output, "OUTPUT", digests)
}

func (a *Auxiliary) startOne(h hash.Hash, label string, digests [][]byte) {
	a.forget(h)
	n := copy(a.scratch[:], label) // h.Write([]byte(label)) would allocate
	h.Write(a.scratch[:n])
	for _, d := range digests {
		h.Write(d)
	}
}

// forget resets h, and before that overwrites the block of input that Reset of
// a SHA-2 state leaves: pieces shorter than a block go through that buffer.
func (a *Auxiliary) forget(h hash.Hash) {
	h.Reset()
	clear(a.scratch[:])
	for n := h.BlockSize(); n > 0; n -= len(a.scratch) {
		h.Write(a.scratch[:])
	}
	h.Reset()
}

// wipeDigests wipes what Sum stored.
func (a *Auxiliary) wipeDigests() {
	for i := range a.digests {
		zero.Bytes(a.digests[i][:])
	}
}
