//go:build !(linux || darwin || freebsd || netbsd || openbsd || windows)

package secmem

import (
	"errors"
	"os"
	"sync/atomic"
	"unsafe"
)

var errTooLarge = errors.New("not on this system")

func pageSize() int { return os.Getpagesize() }

func mapMemory(Grade, int) (unsafe.Pointer, error) {
	return nil, errors.New("not on this system")
}

func unmap(unsafe.Pointer, int) {}

func newMarker() *atomic.Uint32 { return nil }
func freeMarker(*atomic.Uint32) {}

//go:noinline
func sameProcess(pid int) bool { return os.Getpid() == pid }
