//go:build darwin || freebsd || netbsd || openbsd

package secmem

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

var errTooLarge = errors.New("not on this system")

func pageSize() int { return unix.Getpagesize() }

// mapMemory maps memory between two pages that nobody may touch.
func mapMemory(g Grade, size int) (unsafe.Pointer, error) {
	if g != Locked && g != Private {
		return nil, errors.New("not on this system")
	}
	page := pageSize()
	base, err := unix.MmapPtr(-1, 0, nil, uintptr(size+2*page), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|concealed)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	p := unsafe.Add(base, page)
	b := unsafe.Slice((*byte)(p), size)
	err = unix.Mprotect(b, unix.PROT_READ|unix.PROT_WRITE)
	if err == nil {
		err = leaveOut(b)
	}
	if err == nil && g == Locked {
		if err = unix.Mlock(b); err != nil {
			err = fmt.Errorf("mlock: %w", err)
		}
	}
	if err != nil {
		unix.MunmapPtr(base, uintptr(size+2*page))
		return nil, err
	}
	return p, nil
}

func unmap(p unsafe.Pointer, size int) {
	page := pageSize()
	unix.MunmapPtr(unsafe.Add(p, -page), uintptr(size+2*page))
}

// touch is for secret memory.
func touch(unsafe.Pointer) error { return nil }

// There is no marker: package unix has no minherit(2).
func newMarker() *atomic.Uint32 { return nil }
func freeMarker(*atomic.Uint32) {}
func processID() int            { return unix.Getpid() }
