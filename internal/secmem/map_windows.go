package secmem

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/windows"
)

var errTooLarge = errors.New("not on this system")

func pageSize() int { return os.Getpagesize() }

// mapMemory maps memory between two pages that nobody may touch.
func mapMemory(g Grade, size int) (unsafe.Pointer, error) {
	if g != Locked && g != Private {
		return nil, errors.New("not on this system")
	}
	page := uintptr(pageSize())
	base, err := windows.VirtualAlloc(0, uintptr(size)+2*page, windows.MEM_RESERVE, windows.PAGE_NOACCESS)
	if err != nil {
		return nil, fmt.Errorf("VirtualAlloc: %w", err)
	}
	p, err := windows.VirtualAlloc(base+page, uintptr(size), windows.MEM_COMMIT, windows.PAGE_READWRITE)
	if err == nil && g == Locked {
		err = windows.VirtualLock(p, uintptr(size))
	}
	if err != nil {
		windows.VirtualFree(base, 0, windows.MEM_RELEASE)
		return nil, fmt.Errorf("VirtualLock: %w", err)
	}
	return *(*unsafe.Pointer)(unsafe.Pointer(&p)), nil // not memory of the Go runtime
}

func unmap(p unsafe.Pointer, size int) {
	windows.VirtualFree(uintptr(p)-uintptr(pageSize()), 0, windows.MEM_RELEASE)
}

// touch is for secret memory.
func touch(unsafe.Pointer) error { return nil }

// Windows has no fork.
func newMarker() *atomic.Uint32 { return nil }
func freeMarker(*atomic.Uint32) {}
func processID() int            { return 0 }
