package secmem

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

var errTooLarge = errors.New("a block larger than a page cannot be watched")

func pageSize() int { return unix.Getpagesize() }

// mapMemory maps memory between two pages that nobody may touch.
func mapMemory(g Grade, size int) (unsafe.Pointer, error) {
	if g != Secret {
		if err := try(g, anonymousFlags(g)); err != nil {
			return nil, err
		}
	}
	page := pageSize()
	base, err := unix.MmapPtr(-1, 0, nil, uintptr(size+2*page), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	p := unsafe.Add(base, page)
	if g == Secret {
		err = mapSecret(p, size)
	} else {
		err = mapAnonymous(g, p, size)
	}
	if err != nil {
		unix.MunmapPtr(base, uintptr(size+2*page))
		return nil, err
	}
	return p, nil
}

// unmap unmaps what mapMemory returned. It holds no secrets any more.
func unmap(p unsafe.Pointer, size int) {
	page := pageSize()
	unix.MunmapPtr(unsafe.Add(p, -page), uintptr(size+2*page))
}

func bytesAt(p unsafe.Pointer, size int) []byte { return unsafe.Slice((*byte)(p), size) }

// mapSecret puts secret memory at p. It is shared by nature, so a child must not have it
// at all.
func mapSecret(p unsafe.Pointer, size int) error {
	fd, err := memfdSecret()
	if err != nil {
		return fmt.Errorf("memfd_secret: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		return fmt.Errorf("ftruncate: %w", err)
	}
	if _, err := unix.MmapPtr(fd, 0, p, uintptr(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED); err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	b := bytesAt(p, size)
	if err := unix.Madvise(b, unix.MADV_DONTFORK); err != nil {
		return fmt.Errorf("madvise MADV_DONTFORK: %w", err)
	}
	unix.Madvise(b, unix.MADV_DONTDUMP) // the kernel does not dump it in any case
	if err := checkFlags(wish{p, notInChild}); err != nil {
		return err
	}
	// The kernel itself cannot read it. Where there is no /proc, that is not tried.
	mem, err := unix.Open("/proc/self/mem", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(mem)
	var peek [1]byte
	if n, _ := unix.Pread(mem, peek[:], int64(uintptr(p))); n > 0 {
		return errors.New("memory from memfd_secret can be read through /proc/self/mem")
	}
	return nil
}

// touch makes the kernel provide the page at p now, which holds nothing yet. It fails where
// a store of our own would be a SIGBUS: the kernel stores a byte, in a call that the library
// makes anyway and that opens nothing (its flag is older than memfd_secret). Nobody uses that byte,
// so it may be any. Where the call is not allowed the store is our own.
func touch(p unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_GETRANDOM, uintptr(p), 1, unix.GRND_INSECURE)
		switch errno {
		case unix.EINTR:
			continue
		case unix.EFAULT:
			return fmt.Errorf("no memory behind the mapping: %w", errno)
		}
		*(*byte)(p) = 0
		return nil
	}
}

// anonymousFlags returns the flags that memory of a grade other than Secret has, in the terms
// of proc(5).
func anonymousFlags(g Grade) string {
	switch g {
	case Locked:
		return "lo wf dd"
	case Droppable:
		return "dp wf dd"
	}
	return "wf dd"
}

// try maps a page of a grade other than Secret and looks whether it has its flags, unless that
// was done before. An arena is mapped in the same way. Its own flags would take ten times as
// long to look up: see [lowAddress].
func try(g Grade, flags string) error {
	if _, ok := checked.Load(flags); ok {
		return nil
	}
	page := pageSize()
	base, err := unix.MmapPtr(-1, 0, unsafe.Add(nil, lowAddress+page), uintptr(3*page), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	defer unix.MunmapPtr(base, uintptr(3*page))
	p := unsafe.Add(base, page)
	if err := mapAnonymous(g, p, page); err != nil {
		return err
	}
	return checkFlags(wish{p, flags})
}

// mapAnonymous puts memory of a grade other than Secret at p.
func mapAnonymous(g Grade, p unsafe.Pointer, size int) error {
	kind := unix.MAP_PRIVATE
	if g == Droppable {
		kind = unix.MAP_DROPPABLE
	}
	if _, err := unix.MmapPtr(-1, 0, p, uintptr(size), unix.PROT_READ|unix.PROT_WRITE, kind|unix.MAP_ANONYMOUS|unix.MAP_FIXED); err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	if g == Droppable {
		return nil // it is all that the others are made
	}
	b := bytesAt(p, size)
	if err := advise(b); err != nil {
		return err
	}
	if g == Locked {
		if err := unix.Mlock(b); err != nil {
			return fmt.Errorf("mlock: %w", err)
		}
	}
	return nil
}

// advise has memory left out of core dumps and wiped in a child.
func advise(b []byte) error {
	if err := unix.Madvise(b, unix.MADV_DONTDUMP); err != nil {
		return fmt.Errorf("madvise MADV_DONTDUMP: %w", err)
	}
	return wipeOnFork(b)
}

// wipeOnFork has memory wiped in a child. There are emulators that accept any advice and
// follow none.
func wipeOnFork(b []byte) error {
	if unix.Madvise(b, -1) == nil {
		return errors.New("madvise accepts what does not exist")
	}
	if err := unix.Madvise(b, unix.MADV_WIPEONFORK); err != nil {
		return fmt.Errorf("madvise MADV_WIPEONFORK: %w", err)
	}
	return nil
}

// checked has the sets of flags that a mapping was seen to have. The kernel does not change
// its mind, and to look takes longer the more mappings there are.
var checked sync.Map

// A wish is a mapping, and what the kernel should think of it (proc(5), VmFlags).
type wish struct {
	p     unsafe.Pointer
	flags string // with blanks between them
}

// checkFlags returns an error if the mapping, the first of its kind, does not have its
// flags, and nil where there is no /proc/self/smaps. Others are looked up on the way.
func checkFlags(w wish, others ...wish) error {
	if _, ok := checked.Load(w.flags); ok {
		return nil
	}
	wishes := append([]wish{w}, others...)
	errs, seen := lookUpFlags(wishes)
	for i, w := range wishes {
		if errs[i] == nil && (i == 0 || seen[i]) { // others are looked up later if they were not seen
			checked.Store(w.flags, true)
		}
	}
	return errs[0]
}

// smapsRead is how many bytes of /proc/self/smaps are read at once: a mapping takes some 700.
const smapsRead = 1 << 10

// lookUpFlags returns an error for each mapping that does not have its flags, and which
// mappings it has found.
func lookUpFlags(wishes []wish) (errs []error, seen []bool) {
	errs, seen = make([]error, len(wishes)), make([]bool, len(wishes))
	// Without package os, which would start the poller of the runtime for it.
	fd, err := ignoringEINTR(func() (int, error) { return unix.Open("/proc/self/smaps", unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return errs, seen
	}
	defer unix.Close(fd)
	// The kernel makes the lines as they are read: no more than two mappings of them at once.
	lines := bufio.NewScanner(descriptor(fd))
	lines.Buffer(make([]byte, smapsRead), bufio.MaxScanTokenSize)
	var from, to uint64 // of the mapping that the lines are of
	left := len(wishes)
	for left > 0 && lines.Scan() {
		line := lines.Text()
		if flags, ok := strings.CutPrefix(line, "VmFlags:"); ok {
			have := strings.Fields(flags)
			for i, w := range wishes { // several may be in one mapping
				if p := uint64(uintptr(w.p)); seen[i] || p < from || p >= to {
					continue
				}
				seen[i] = true
				left--
				for f := range strings.FieldsSeq(w.flags) {
					if !slices.Contains(have, f) {
						errs[i] = fmt.Errorf("the mapping does not have the flag %q of proc(5): %s", f, strings.TrimSpace(flags))
						break
					}
				}
			}
		} else if first, end, ok := bounds(line); ok {
			from, to = first, end
		}
	}
	return errs, seen // an emulator may have a map of its own
}

// bounds returns the bounds of a mapping if the line is the first of its lines.
func bounds(line string) (from, to uint64, ok bool) {
	both, _, _ := strings.Cut(line, " ")
	first, last, ok := strings.Cut(both, "-")
	if !ok {
		return 0, 0, false
	}
	from, err := strconv.ParseUint(first, 16, 64)
	to, err2 := strconv.ParseUint(last, 16, 64)
	return from, to, err == nil && err2 == nil
}

// A descriptor is a file that is read without package os.
type descriptor int

func (d descriptor) Read(b []byte) (int, error) {
	n, err := ignoringEINTR(func() (int, error) { return unix.Read(int(d), b) })
	if err != nil {
		return 0, err
	}
	if n == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func ignoringEINTR(call func() (int, error)) (n int, err error) {
	for {
		if n, err = call(); err != unix.EINTR {
			return n, err
		}
	}
}

// lowAddress is where mappings are wanted whose flags are looked up: below all else, as
// /proc/self/smaps is in the order of addresses, and to make its lines for the other mappings of
// a Go program takes longer than the rest of the first block. It is above vm.mmap_min_addr, and
// below the program on most architectures; if there is something else, the kernel takes another
// address. There is no secret in them.
const lowAddress = 2 << 20

// newMarker returns a word that is wiped in a child, or nil.
func newMarker() *atomic.Uint32 {
	page := pageSize()
	p, err := unix.MmapPtr(-1, 0, unsafe.Add(nil, lowAddress), uintptr(2*page), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil
	}
	// Secret memory has another flag, which is looked up on the same occasion: the page gets
	// it for so long. The other page is there to be the next in the file, which is read no
	// further then: to gather the lines for the program itself takes longer.
	b := bytesAt(p, page)
	err = wipeOnFork(b)
	if err == nil {
		unix.Madvise(b, unix.MADV_DONTFORK)
		err = checkFlags(wish{p, wipedInChild}, wish{p, notInChild})
	}
	if err == nil {
		err = unix.Madvise(b, unix.MADV_DOFORK)
	}
	if err != nil {
		unix.MunmapPtr(p, uintptr(2*page))
		return nil
	}
	unix.MunmapPtr(unsafe.Add(p, page), uintptr(page))
	return (*atomic.Uint32)(p)
}

// Flags of mappings, in the terms of proc(5).
const (
	wipedInChild = "wf"
	notInChild   = "dc"
)

func freeMarker(m *atomic.Uint32) { unix.MunmapPtr(unsafe.Pointer(m), uintptr(pageSize())) }

func processID() int { return unix.Getpid() }
