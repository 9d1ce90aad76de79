package secmem

import (
	"sync/atomic"
	"unsafe"
)

// An arena is a mapping, divided into lines.
type arena struct {
	grade  Grade
	base   unsafe.Pointer
	size   int    // bytes
	ready  int    // bytes that the kernel has put pages under, from base on
	used   []bool // by line
	free   int    // lines that are not
	blocks int
	short  bool // there are no pages under some of its lines, which are out of use
	large  bool // made for one large block

	// canaries are one word at the end of each page of memory that the kernel may drop:
	// it then reads as zero. Nil for other memory.
	canaries []*atomic.Uint64
}

// canary is any number but zero.
const canary = 0x6c726e6721

// newArena maps an arena that has room for a block of so many lines.
func newArena(g Grade, lines int) (*arena, error) {
	page := pageSize()
	size := max(ArenaSize, lines*Line)
	if g == Droppable {
		size += size / (page - Line) * Line // for the canaries
		if size > page && lines*Line > page-Line {
			return nil, errTooLarge
		}
	}
	size = (size + page - 1) / page * page
	base, err := mapMemory(g, size)
	if err != nil {
		return nil, err
	}
	a := &arena{grade: g, base: base, size: size, ready: size, used: make([]bool, size/Line), free: size / Line, large: lines*Line > ArenaSize}
	if g == Secret {
		a.ready = 0 // and the first store to a page for which there is no memory is a SIGBUS
		if err := a.provide(lines); err != nil {
			unmap(base, size)
			return nil, err
		}
	}
	if g == Droppable {
		for end := page; end <= size; end += page {
			a.used[end/Line-1] = true
			a.free--
			c := (*atomic.Uint64)(unsafe.Add(base, end-8))
			c.Store(canary)
			a.canaries = append(a.canaries, c)
		}
	}
	return a, nil
}

// find returns the first of so many lines in a row that are free, or -1.
func (a *arena) find(lines int) int {
	if a.free < lines {
		return -1
	}
	for _, c := range a.canaries {
		if c.Load() != canary {
			return -1 // what was dropped stays away until all blocks are back
		}
	}
	free := 0
	for i, used := range a.used {
		free++
		if used {
			free = 0
		}
		if free == lines {
			return i - lines + 1
		}
	}
	return -1
}

// provide has the kernel put pages under so many lines from base on. It is asked for no more
// than are needed, since a page of secret memory takes it long: its own map of memory changes,
// and all CPUs are told.
func (a *arena) provide(lines int) error {
	page := pageSize()
	end := (lines*Line + page - 1) / page * page
	for ; a.ready < end; a.ready += page {
		if err := touch(unsafe.Add(a.base, a.ready)); err != nil {
			return err
		}
	}
	return nil
}

// cut takes the lines that there are no pages under out of use.
func (a *arena) cut() {
	a.short = true
	for i := a.ready / Line; i < len(a.used); i++ {
		if !a.used[i] {
			a.used[i] = true
			a.free--
		}
	}
}

func (a *arena) take(at, lines int) {
	for i := range lines {
		a.used[at+i] = true
	}
	a.free -= lines
	a.blocks++
}

func (a *arena) giveBack(b []byte) {
	at := int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))-uintptr(a.base)) / Line
	lines := (len(b) + Line - 1) / Line
	for i := range lines {
		a.used[at+i] = false
	}
	a.free += lines
	a.blocks--
	if a.blocks == 0 {
		for _, c := range a.canaries {
			c.Store(canary)
		}
	}
}

func (a *arena) slice(at, lines int) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(a.base, at*Line)), lines*Line)
}

// canary returns that of the page that b is on, or nil if memory is not dropped.
func (a *arena) canary(b []byte) *atomic.Uint64 {
	if a.canaries == nil {
		return nil
	}
	return a.canaries[int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))-uintptr(a.base))/pageSize()]
}
