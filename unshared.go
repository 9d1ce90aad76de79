package lrng

import (
	"context"
	"encoding/binary"
	"math"
	"sync/atomic"

	"github.com/lrng-go/lrng/internal/secmem"
	"github.com/lrng-go/lrng/internal/selftest"
	"github.com/lrng-go/lrng/internal/twins"
	"github.com/lrng-go/lrng/internal/zero"
	"github.com/lrng-go/lrng/seeding"
)

// An UnsharedReader reads from an [RNG] for one goroutine at a time. It takes up to 2016 bytes of
// output in advance and hands them out without a lock, so that small reads take two thirds of the
// time, and numbers half of it.
//
// It is NOT safe for concurrent use, unlike all else in this package: two goroutines could get
// the same bytes. Give each its own. Calls that overlap panic if that is noticed, and the
// race detector finds them. It must not be copied.
//
// In all else it is as the RNG. What it keeps is erased as it is handed out, and is not handed out
// when the RNG was reseeded, lost its seed, was given another mechanism or was closed meanwhile,
// when a seed became as old as Config.ReseedInterval, when a self-test has failed, when the machine
// was copied, and in a child process. It is wiped when the reader is asked next, by
// [UnsharedReader.Close], or when the reader is garbage; closing the RNG does not wipe it.
//
// It takes 2 KiB of memory of the grade that Config.Memory asks for, or better. No more than 16 KiB
// are locked in a process that does not ask for it: later states get worse memory once they are
// taken. Where there is none it keeps nothing and reads from the RNG. So it does where output is not
// generated ahead (see [Config].OutputBuffer), or by fewer than 992 bytes, and where fewer than 16
// times as much may be output between two seeds. For limits and statistics, what it takes at a time
// is one request.
//
// An UnsharedReader is an [io.Reader], and a Source of math/rand/v2.
type UnsharedReader struct {
	r       *RNG
	self    *UnsharedReader // a copy of the reader would hand out the same, or what is erased
	closed  bool
	without bool          // there was no memory
	memory  *secmem.Block // nil: none yet, or closed
	kept    []byte        // in memory; what has been handed out is zero
	next    int           // the first byte of kept that has not, or busy

	// What has to be the same for kept to be worth something.
	current    *epoch // of r
	epoch      uint64
	page       *twins.Page // may be nil
	generation uint64      // of the machine
}

// busy as the next byte says that a call is under way. It is beyond all that is kept.
const busy = math.MaxInt / 2

// unsharedSize is how many bytes an UnsharedReader takes at a time: 31½ blocks of ChaCha20, so that
// the rest of the 32 that are computed in two passes is the next key.
const unsharedSize = 2*refillSize + 32

// Unshared returns a reader for one goroutine at a time. It takes memory when it is first
// used, if it has a use for it, and gives it back when it is closed, or garbage.
func (r *RNG) Unshared() *UnsharedReader {
	u := &UnsharedReader{r: r, current: r.epoch}
	u.self = u
	return u
}

// Read fills b with random bytes, as [RNG.Read] does: it waits until the RNG is fully seeded,
// and returns len(b) and nil, or 0 and an error with b cleared. After Close of the reader or
// of the RNG that is [ErrClosed]. Only the first read allocates, and that in a child process.
func (u *UnsharedReader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if !u.quick(b) {
		if err := u.slow(b); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// Uint64 returns a random number. It waits as Read does, and panics where Read returns an
// error.
func (u *UnsharedReader) Uint64() uint64 {
	var b [8]byte
	if !u.quick(b[:]) {
		if err := u.slow(b[:]); err != nil {
			panic(err)
		}
	}
	v := binary.LittleEndian.Uint64(b[:])
	b = [8]byte{}
	return v
}

// quick is [RNG.quick] with what is kept here: there are fewer conditions, as the epoch
// stands for most of them.
func (u *UnsharedReader) quick(b []byte) bool {
	next := u.next
	end := next + len(b)
	if uint(end) > uint(len(u.kept)) { // also if it is busy, or closed
		return false
	}
	// One condition at a time: the compiler makes detours of many together.
	if u.self != u {
		return false
	}
	if u.current.now() != u.epoch {
		return false
	}
	if selftest.Failed() != nil {
		return false
	}
	if !u.memory.Ours() {
		return false
	}
	if u.page != nil && !u.single() {
		return false
	}

	u.next = busy
	handOut(b, u.kept[next:end:end])
	u.next = end

	if !u.memory.Kept() || u.page != nil && !u.single() {
		clear(b)
		return false
	}
	return true
}

// single reports whether the machine is the one that had what is kept, and no copy.
func (u *UnsharedReader) single() bool {
	g, ok := u.page.Generation()
	return ok && g == u.generation
}

// slow fills b where there is more to do.
func (u *UnsharedReader) slow(b []byte) error {
	u.check()
	if u.closed {
		clear(b)
		return ErrClosed
	}
	done := false
	defer func() {
		if !done { // also if somebody's logger panics
			u.discard()
		}
	}()
	if len(b) <= quickMost {
		// The rest of what is kept, and the beginning of what comes then. If the machine is
		// copied in between the copy has the former, too.
		n, generation := u.move(b), u.generation
		if u.refill() && (n == 0 || u.generation == generation) && u.move(b[n:]) == len(b)-n {
			done = true
			return nil
		}
	}
	next := u.next
	u.next = busy
	if err := u.r.fill(b); err != nil {
		return err
	}
	u.next = next
	done = u.current.now() == u.epoch
	return nil
}

// check panics if a call is under way, or the reader was copied.
func (u *UnsharedReader) check() {
	if u.self != u {
		panic("lrng: an UnsharedReader that is a copy, or not from RNG.Unshared")
	}
	if u.next == busy {
		panic("lrng: concurrent use of an UnsharedReader")
	}
}

// move fills the beginning of b with what is kept, and returns how much that is.
func (u *UnsharedReader) move(b []byte) int {
	n := min(len(b), len(u.kept)-u.next)
	if n == 0 || !u.quick(b[:n]) {
		return 0
	}
	return n
}

// refill fills kept, and reports whether it did. What was there is wiped.
func (u *UnsharedReader) refill() bool {
	r := u.r
	if r.keeps(r.twins.page.Load()) == 0 || !u.reserve() {
		u.discard()
		return false
	}
	u.kept, u.next = nil, busy
	// The first seed would end the epoch.
	if r.currentLevel() < seeding.FullySeeded && r.wait(context.Background(), seeding.FullySeeded) != nil {
		u.discard()
		return false
	}
	// In this order: what changes afterwards ends the epoch, or is another generation.
	u.epoch, u.page, u.generation = r.epoch.now(), r.twins.page.Load(), r.generation()
	kept := u.memory.Bytes()
	kept = kept[:min(r.keeps(u.page), len(kept))] // none if they were dropped just now
	if len(kept) == 0 || r.fill(kept) != nil {
		u.discard()
		return false
	}
	u.kept, u.next = kept, 0
	return true
}

// reserve sees to it that there is memory, wiped. The kernel may have dropped what there was, or the
// process is a child.
func (u *UnsharedReader) reserve() bool {
	if u.memory != nil && u.memory.Intact() {
		zero.Bytes(u.kept[u.next:])
		return true
	}
	u.discard()
	if u.without {
		return false
	}
	m, err := secmem.Alloc(unsharedSize, u.r.cfg.Memory.least())
	if err != nil {
		u.without = true // there is the RNG
		return false
	}
	u.memory = m
	return true
}

// discard gives the memory back, wiped.
func (u *UnsharedReader) discard() {
	if u.memory != nil {
		u.memory.Free()
	}
	u.memory, u.kept, u.next = nil, nil, 0
}

// keeps returns how many bytes may be kept for one goroutine, if page is the one that counts copies.
func (r *RNG) keeps(page *twins.Page) int {
	m := r.mech.Load()
	n := min(m.ahead, m.chunk) // one request
	switch {
	case m.combine || m.watched && page == nil:
		return 0
	case m.due < fewRefills || m.dueBits < 8*unsharedSize*fewRefills:
		return 0
	case n >= unsharedSize:
		return unsharedSize
	case n >= refillSize:
		return refillSize
	}
	return 0
}

// fewRefills are so few between two seeds that what a seed ends is not worth it.
const fewRefills = 16

// Close wipes what is kept and gives the memory back. It does nothing to the RNG. It returns nil.
func (u *UnsharedReader) Close() error {
	u.check()
	u.discard()
	u.closed = true
	return nil
}

// String and GoString keep what is kept out of logs.
func (u *UnsharedReader) String() string   { return "lrng.UnsharedReader" }
func (u *UnsharedReader) GoString() string { return "lrng.UnsharedReader" }

// An epoch is a time during which nothing ends the worth of what the shards have generated: no
// seed comes, gets old or is lost, nothing is wiped. Its methods are safe for concurrent use.
type epoch struct {
	n atomic.Uint64
	_ [56]byte // it is read more often than its neighbours
}

// now returns the number of the epoch.
func (e *epoch) now() uint64 { return e.n.Load() }

// end begins the next epoch. E may be nil.
func (e *epoch) end() {
	if e != nil {
		e.n.Add(1)
	}
}
