// Package secmem holds the secret state of the generators in memory that is, as far as
// the system lets it, not in core dumps, not in swap, not in the memory of a child
// process, and not next to anything else.
//
// Memory comes in grades. Each request gets the best that the system grants:
//
//	Secret     memfd_secret(2): outside the kernel's own map of memory; no debugger and
//	           no core dump sees it, it is never swapped, and a child does not have it
//	Locked     locked in RAM, left out of core dumps, wiped in a child; a debugger that
//	           asks for all memory sees it (gcore -a)
//	Droppable  MAP_DROPPABLE: never swapped, not dumped, wiped in a child; the kernel may
//	           drop it when memory is short, which [Block.Intact] notices
//	Private    a mapping of its own, left out of core dumps, wiped in a child, but swapped
//	Heap       the memory of the Go runtime
//
// That is the order on Linux. What each grade was refused for is in [Report]: limits on
// locked memory (RLIMIT_MEMLOCK), system call filters, older kernels. Each is tried, and
// then looked at: that a call succeeds is no proof (mlock succeeds on droppable memory
// and locks nothing). Other systems have Locked, without what they have no call for,
// or Heap only.
//
// The memory is in arenas with a page without access before and after. All generators of
// a process share them; the package locks no more than [LockLimit] in all, except for who
// asks for Locked or more. Nothing is mapped before the first use.
//
// A [Block] is bytes, a [Value] a block with a type; both are given back when they are
// garbage. Blocks lie on one page where the kernel may drop memory, and what must not turn to
// zeros in the middle of its use is lasting: it is not put there.
//
// # Child processes
//
// A child of fork(2) has the parent's heap, and would go on with its random numbers.
// Go programs do not fork without exec, but they can be made to. A word in a page that the
// kernel wipes in the child, or the process ID where it does not do that, tells: in a
// child no block of the parent is intact, and Alloc starts afresh.
//
// # Limits
//
// Who has ptrace rights and reads registers while the secret is used sees it there; so
// does the host of a virtual machine. Snapshots of a virtual machine have all of its
// memory.
package secmem

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/lrng-go/lrng/internal/zero"
)

// A Grade says how well memory is kept. Higher is better.
type Grade uint8

// The grades.
const (
	Heap Grade = iota
	Private
	Droppable
	Locked
	Secret
	grades // their number
)

// String returns the name of the grade.
func (g Grade) String() string {
	switch g {
	case Heap:
		return "heap"
	case Private:
		return "private"
	case Droppable:
		return "droppable"
	case Locked:
		return "locked"
	case Secret:
		return "secret"
	}
	return fmt.Sprintf("Grade(%d)", uint8(g))
}

const (
	// Line is the alignment of blocks, and what their size is rounded up to, in bytes:
	// a cache line.
	Line = 64

	// ArenaSize is the size of an arena, in bytes, unless a block is larger.
	ArenaSize = 16 << 10

	// LockLimit is how much memory the package locks in all, in bytes, for who does not
	// ask for Locked or Secret.
	LockLimit = 16 << 10
)

// A Block is a piece of memory for secrets. Its methods are safe for concurrent use; its
// bytes are the business of its owner. They last until Free, or until the Block is garbage:
// who works on them keeps the Block alive until then.
type Block struct {
	// What Intact looks at: marker and pid of home, the former replaced by absent when
	// the block is freed, and the canary of the page in memory that may be dropped; blocks
	// there lie on one page.
	marker atomic.Pointer[atomic.Uint32]
	pid    int
	canary *atomic.Uint64
	more   bool // there is a pid or a canary
	asks   bool // there is a pid

	lease
	cleanup runtime.Cleanup
}

var absent atomic.Uint32

// A lease is what a block has of an arena, or of the heap.
type lease struct {
	bytes []byte
	arena *arena // nil: the heap
	home  *memory
}

// Alloc returns a block of so many bytes, all zero and aligned to Line, of the best grade
// that there is. If that is less than least, the error says what stands against it. Size
// is at least 1.
func Alloc(size int, least Grade) (*Block, error) { return alloc(size, least, false) }

// AllocLasting is Alloc for what must not turn to zeros in the middle of its use: the
// memory is not Droppable.
func AllocLasting(size int, least Grade) (*Block, error) { return alloc(size, least, true) }

func alloc(size int, least Grade, lasting bool) (*Block, error) {
	if size < 1 {
		return nil, fmt.Errorf("secmem: a block of %d bytes", size)
	}
	l, err := home().alloc(size, least, lasting)
	if err != nil {
		return nil, err
	}
	b := l.block()
	b.cleanup = runtime.AddCleanup(b, lease.end, l)
	return b, nil
}

// block returns the block for a lease.
func (l lease) block() *Block {
	b := &Block{lease: l, pid: l.home.pid}
	b.marker.Store(l.home.marker)
	if l.arena != nil {
		b.canary = l.arena.canary(l.bytes)
	}
	b.asks = b.pid != 0
	b.more = b.asks || b.canary != nil
	return b
}

// Bytes returns the memory, or nil if the block is not intact. The slice must not be used
// after Free.
func (b *Block) Bytes() []byte {
	if !b.Intact() {
		return nil
	}
	return b.bytes
}

// Intact reports whether the block still is what its owner made of it. It is not after
// Free, in a child process, or if the kernel dropped it; then it must not be touched.
// For memory that may be dropped the owner asks before each use, and [Block.Kept] after.
func (b *Block) Intact() bool {
	return b.marker.Load().Load() == present && (!b.more || b.intact())
}

// intact is the part of Intact that few blocks need.
func (b *Block) intact() bool { return b.Kept() && (b.pid == 0 || sameProcess(b.pid)) }

// Kept reports whether the kernel has dropped nothing of a block that was intact, at less
// expense than Intact. What was computed from one that was not kept is worthless. The
// block is alive until Kept returns.
func (b *Block) Kept() bool {
	kept := b.canary == nil || b.canary.Load() == canary
	runtime.KeepAlive(b)
	return kept
}

// Ours reports whether the block is neither freed nor that of a parent process: then it may be touched. It
// is Intact if it was [Block.Kept], too, which who asks after a use anyway need not ask before.
func (b *Block) Ours() bool {
	return b.marker.Load().Load() == present && (!b.asks || b.ours())
}

// ours is the part of Ours that few systems need.
//
//go:noinline
func (b *Block) ours() bool { return sameProcess(b.pid) }

// Grade returns the grade of the block.
func (b *Block) Grade() Grade {
	if b.arena == nil {
		return Heap
	}
	return b.arena.grade
}

// Free wipes the block and gives it back. It may be called twice.
func (b *Block) Free() {
	if b.marker.Swap(&absent) == &absent {
		return
	}
	b.cleanup.Stop()
	b.end()
}

// end wipes the memory and gives it back.
func (l lease) end() {
	if l.arena == nil {
		zero.Bytes(l.bytes) // also what a child process has of its parent
	} else if l.home.intact() { // else it is the parent's, which this process does not have
		zero.Bytes(l.bytes)
		l.home.giveBack(l)
	}
}

// String and GoString keep the bytes out of logs.
func (b *Block) String() string   { return "secmem.Block" }
func (b *Block) GoString() string { return "secmem.Block" }

// Size returns the number of bytes that a T takes.
func Size[T any]() int { return int(unsafe.Sizeof(*new(T))) }

// At returns the place of a T at the beginning of b, or nil if b is not intact. T has no pointers, and b
// is as large as it.
func At[T any](b *Block) *T {
	if !b.Intact() || uintptr(len(b.bytes)) < unsafe.Sizeof(*new(T)) {
		return nil
	}
	return (*T)(unsafe.Pointer(unsafe.SliceData(b.bytes)))
}

// A memory is what one process has. A child makes its own.
type memory struct {
	marker *atomic.Uint32 // present, and not in a child, which finds it wiped
	pid    int            // to be compared where nothing can be wiped; else, and where there is no fork, 0

	mu       sync.Mutex
	arenas   []*arena
	locked   int // bytes
	refusals [grades]error
}

var current atomic.Pointer[memory]

// home returns the memory of this process.
func home() *memory {
	m := current.Load()
	if m != nil && m.intact() {
		return m
	}
	n := &memory{marker: newMarker()}
	mapped := n.marker != nil
	if !mapped {
		n.marker, n.pid = new(atomic.Uint32), processID()
	}
	n.marker.Store(present)
	if !current.CompareAndSwap(m, n) && mapped {
		freeMarker(n.marker)
	}
	return current.Load()
}

// sameProcess asks the system. It is dear, and not inlined into who seldom needs it.
//
//go:noinline
func sameProcess(pid int) bool { return processID() == pid }

// present is what a marker holds.
const present = 1

// intact reports whether m is the memory of this process.
func (m *memory) intact() bool {
	return m.marker.Load() == present && (m.pid == 0 || sameProcess(m.pid))
}

func (m *memory) alloc(size int, least Grade, lasting bool) (lease, error) {
	lines := (size + Line - 1) / Line
	lasting = lasting || lines*Line > pageSize()-Line // no place between two canaries
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		a, at := m.place(lines, least, lasting)
		if a == nil {
			if least > Heap {
				return lease{}, fmt.Errorf("secmem: no %v memory for %d bytes: %w", least, size, m.why(least))
			}
			return lease{bytes: aligned(lines * Line)[:size:size], home: m}, nil
		}
		// A new arena has the pages for its first block, so that this ends.
		if err := a.provide(at + lines); err != nil {
			m.refusals[a.grade] = err
			if a.cut(); a.blocks == 0 {
				m.drop(a)
			}
			continue
		}
		a.take(at, lines)
		return lease{bytes: a.slice(at, lines)[:size:size], arena: a, home: m}, nil
	}
}

// place returns where so many lines are free: the arena, a new one if need be, and the first
// of them. It returns nil if that is the heap only.
func (m *memory) place(lines int, least Grade, lasting bool) (best *arena, at int) {
	for _, a := range m.arenas {
		if a.grade < least || lasting && a.grade == Droppable || best != nil && best.grade >= a.grade {
			continue
		}
		if i := a.find(lines); i >= 0 {
			best, at = a, i
		}
	}
	// An arena of a better grade may be had, unless it was refused before. A limit on
	// locked memory may have been raised since, but who did not ask for it can wait.
	if best == nil || best.grade < Locked && m.mayLock(lines*Line, least) && m.refusals[Locked] == nil ||
		best.grade < Droppable && !lasting && m.refusals[Droppable] == nil {
		if a := m.grow(lines, least, lasting); a != nil && (best == nil || a.grade > best.grade) {
			best, at = a, a.find(lines)
		} else if a != nil {
			m.drop(a)
		}
	}
	return best, at
}

// mayLock reports whether so many more bytes may be locked.
func (m *memory) mayLock(size int, least Grade) bool {
	return least >= Locked || m.locked+max(size, ArenaSize) <= LockLimit
}

// grow maps an arena for a block of so many lines, of the best grade that is not below
// least. It returns nil if there is none.
func (m *memory) grow(lines int, least Grade, lasting bool) *arena {
	for g := grades - 1; g >= max(least, Private); g-- {
		if g >= Locked && !m.mayLock(lines*Line, least) || g == Droppable && lasting {
			continue
		}
		a, err := newArena(g, lines)
		m.refusals[g] = err
		if err != nil {
			continue
		}
		m.arenas = append(m.arenas, a)
		if g >= Locked {
			m.locked += a.size
		}
		return a
	}
	return nil
}

// why returns what the grades from least on were refused for.
func (m *memory) why(least Grade) error {
	var errs []error
	for g := grades - 1; g >= least; g-- {
		if err := m.refusals[g]; err != nil {
			errs = append(errs, fmt.Errorf("%v: %w", g, err))
		}
	}
	if len(errs) == 0 {
		return errors.New("the system has none")
	}
	return errors.Join(errs...)
}

// giveBack takes the lines of a block back. An arena that is empty is unmapped, unless it
// is the only one of its grade and whole: the next generator will want it.
func (m *memory) giveBack(l lease) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := l.arena
	a.giveBack(l.bytes)
	if a.blocks > 0 {
		return
	}
	if a.short {
		m.drop(a)
		return
	}
	for _, other := range m.arenas {
		if other != a && other.grade == a.grade && other.blocks == 0 || a.large {
			m.drop(a)
			return
		}
	}
}

// drop unmaps an arena.
func (m *memory) drop(a *arena) {
	for i, other := range m.arenas {
		if other == a {
			m.arenas = append(m.arenas[:i], m.arenas[i+1:]...)
			if a.grade >= Locked {
				m.locked -= a.size
			}
			unmap(a.base, a.size)
			return
		}
	}
}

// Report says what the process has.
type Report struct {
	Arenas   map[Grade]int // bytes by grade
	Locked   int           // bytes of them that are locked
	Refusals string        // why better grades were refused; empty if none was
}

// State returns a report. It maps nothing.
func State() Report {
	r := Report{Arenas: make(map[Grade]int)}
	m := current.Load()
	if m == nil || !m.intact() {
		return r
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.arenas {
		r.Arenas[a.grade] += a.size
	}
	r.Locked = m.locked
	var refused []string
	for g := grades - 1; g > Heap; g-- {
		if err := m.refusals[g]; err != nil {
			refused = append(refused, fmt.Sprintf("%v: %v", g, err))
		}
	}
	r.Refusals = strings.Join(refused, "; ")
	return r
}

// aligned returns heap memory that begins at a multiple of Line.
func aligned(size int) []byte {
	b := make([]byte, size+Line-1)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (Line - 1))
	return b[skip : skip+size]
}
