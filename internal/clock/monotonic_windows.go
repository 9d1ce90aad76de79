package clock

import (
	"math/bits"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

const monotonicName = "QueryPerformanceCounter"

var (
	kernel32                  = windows.NewLazySystemDLL("kernel32.dll")
	queryPerformanceCounter   = kernel32.NewProc("QueryPerformanceCounter")
	queryPerformanceFrequency = kernel32.NewProc("QueryPerformanceFrequency")
)

// frequency is the rate of the performance counter in Hz, or 0 if there is none.
// It is fixed when the system starts.
var frequency = sync.OnceValue(func() uint64 {
	if queryPerformanceCounter.Find() != nil || queryPerformanceFrequency.Find() != nil {
		return 0
	}
	return query(queryPerformanceFrequency)
})

// query calls one of the two functions, which have the same signature.
func query(f *windows.LazyProc) uint64 {
	var v int64
	ok, _, _ := syscall.SyscallN(f.Addr(), uintptr(unsafe.Pointer(&v)))
	if ok == 0 || v < 0 {
		return 0
	}
	return uint64(v)
}

// monotonic reads the performance counter: the clock of the Go runtime on
// Windows has steps of half a millisecond.
func monotonic() time.Duration {
	f := frequency()
	if f == 0 {
		return 0
	}
	ticks := query(queryPerformanceCounter)
	// The product takes more than 64 bits after half an hour at 10 MHz. The rest
	// is less than f, so neither division overflows.
	hi, lo := bits.Mul64(ticks%f, uint64(time.Second))
	ns, _ := bits.Div64(hi, lo, f)
	return time.Duration(ticks/f)*time.Second + time.Duration(ns)
}
