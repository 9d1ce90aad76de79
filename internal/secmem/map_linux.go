package secmem

import (
	"bufio"
	"errors"
	"fmt"
	"os"
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
	page := pageSize()
	base, err := unix.MmapPtr(-1, 0, nil, uintptr(size+2*page), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	p := unsafe.Add(base, page)
	switch g {
	case Secret:
		err = mapSecret(p, size)
	case Locked:
		err = mapLocked(p, size)
	case Droppable:
		err = mapAnonymous(p, size, unix.MAP_DROPPABLE, "dp", "wf", "dd")
	case Private:
		err = mapPrivate(p, size)
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
	if err := touch(b); err != nil {
		return err
	}
	if err := checkFlags(p, "dc"); err != nil {
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

// touch makes the kernel provide the pages now. It fails where a store of our own would
// be a SIGBUS.
func touch(b []byte) error {
	zero, err := unix.Open("/dev/zero", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		clear(b)
		return nil
	}
	defer unix.Close(zero)
	for len(b) > 0 {
		n, err := unix.Read(zero, b)
		if err != nil || n <= 0 {
			return fmt.Errorf("no memory behind the mapping: %w", errors.Join(err))
		}
		b = b[n:]
	}
	return nil
}

func mapLocked(p unsafe.Pointer, size int) error {
	if err := anonymous(p, size, unix.MAP_PRIVATE); err != nil {
		return err
	}
	b := bytesAt(p, size)
	if err := advise(b); err != nil {
		return err
	}
	if err := unix.Mlock(b); err != nil {
		return fmt.Errorf("mlock: %w", err)
	}
	return checkFlags(p, "lo", "wf", "dd")
}

func mapPrivate(p unsafe.Pointer, size int) error {
	if err := anonymous(p, size, unix.MAP_PRIVATE); err != nil {
		return err
	}
	if err := advise(bytesAt(p, size)); err != nil {
		return err
	}
	return checkFlags(p, "wf", "dd")
}

func mapAnonymous(p unsafe.Pointer, size, kind int, flags ...string) error {
	if err := anonymous(p, size, kind); err != nil {
		return err
	}
	return checkFlags(p, flags...)
}

func anonymous(p unsafe.Pointer, size, kind int) error {
	if _, err := unix.MmapPtr(-1, 0, p, uintptr(size), unix.PROT_READ|unix.PROT_WRITE, kind|unix.MAP_ANONYMOUS|unix.MAP_FIXED); err != nil {
		return fmt.Errorf("mmap: %w", err)
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

// checkFlags looks up what the kernel thinks of the mapping at p (proc(5), VmFlags), the
// first of its kind. It returns nil where there is no /proc/self/smaps.
func checkFlags(p unsafe.Pointer, want ...string) error {
	kind := strings.Join(want, " ")
	if _, ok := checked.Load(kind); ok {
		return nil
	}
	err := lookUpFlags(p, want)
	if err == nil {
		checked.Store(kind, true)
	}
	return err
}

func lookUpFlags(p unsafe.Pointer, want []string) error {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return nil
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	inside := false
	for lines.Scan() {
		line := lines.Text()
		if flags, ok := strings.CutPrefix(line, "VmFlags:"); ok {
			if !inside {
				continue
			}
			have := strings.Fields(flags)
			for _, w := range want {
				if !slices.Contains(have, w) {
					return fmt.Errorf("the mapping does not have the flag %q of proc(5): %s", w, strings.TrimSpace(flags))
				}
			}
			return nil
		}
		bounds, _, _ := strings.Cut(line, " ")
		if from, to, ok := strings.Cut(bounds, "-"); ok {
			start, err := strconv.ParseUint(from, 16, 64)
			end, err2 := strconv.ParseUint(to, 16, 64)
			inside = err == nil && err2 == nil && start <= uint64(uintptr(p)) && uint64(uintptr(p)) < end
		}
	}
	return nil // an emulator with a map of its own
}

// newMarker returns a word that is wiped in a child, or nil.
func newMarker() *atomic.Uint32 {
	page := pageSize()
	p, err := unix.MmapPtr(-1, 0, nil, uintptr(page), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil
	}
	if wipeOnFork(bytesAt(p, page)) != nil || checkFlags(p, "wf") != nil {
		unix.MunmapPtr(p, uintptr(page))
		return nil
	}
	return (*atomic.Uint32)(p)
}

func freeMarker(m *atomic.Uint32) { unix.MunmapPtr(unsafe.Pointer(m), uintptr(pageSize())) }

func processID() int { return unix.Getpid() }
