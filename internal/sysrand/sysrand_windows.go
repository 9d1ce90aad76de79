package sysrand

import (
	"errors"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// ProcessPrng takes any length. The limit keeps a thread from staying in the
// call for long, and the length within 32 bits.
const maxRequest = 64 << 10

var errProcessPrng = errors.New("returned FALSE")

// processPrng is looked up in the system directory only, when it is first used.
var processPrng = windows.NewLazySystemDLL("bcryptprimitives.dll").NewProc("ProcessPrng")

// request calls ProcessPrng, the function below BCryptGenRandom and
// RtlGenRandom. It takes from generators of this process, one per processor,
// that the kernel's generator seeds and reseeds; there is no documented way to
// ask the kernel's directly. Microsoft documents that it always returns TRUE,
// once the DLL could be loaded (Windows 10).
func request(b []byte, _ bool) (int, error) {
	// Addr panics if there is no such function.
	if err := processPrng.Find(); err != nil {
		return 0, wrap("ProcessPrng", err)
	}
	r, _, _ := syscall.SyscallN(processPrng.Addr(), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if int32(r) == 0 { // BOOL has 32 bits, the rest of the register is undefined.
		return 0, wrap("ProcessPrng", errProcessPrng)
	}
	return len(b), nil
}
