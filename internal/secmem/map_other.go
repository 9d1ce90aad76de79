//go:build !(linux || darwin || freebsd || netbsd || openbsd || windows)

package secmem

import (
	"errors"
	"os"
	"runtime"
	"sync/atomic"
	"unsafe"
)

var errTooLarge = errors.New("not on this system")

func pageSize() int { return os.Getpagesize() }

func mapMemory(Grade, int) (unsafe.Pointer, error) {
	return nil, errors.New("not on this system")
}

// touch is for secret memory.
func touch(unsafe.Pointer) error { return nil }

func unmap(unsafe.Pointer, int) {}

func newMarker() *atomic.Uint32 { return nil }
func freeMarker(*atomic.Uint32) {}

// processID returns 0 where there is no fork, and the question is dear.
func processID() int {
	if runtime.GOOS == "js" || runtime.GOOS == "wasip1" {
		return 0
	}
	return os.Getpid()
}
