// Package clock reads the finest real clocks of the machine.
//
// [Now] is the time stamp of the jitter noise source (SP 800-90B, Section 2.2.1,
// wants the noise at hand undisguised): it is a counter of the CPU where that can
// be read directly and is at least as fine as the clock of the system.
// [Monotonic] is for budgets of time.
//
// Neither is the clock of package time. That one is replaced inside a
// testing/synctest bubble by one that stands still while the program computes,
// and a noise source measured with it would deliver nothing, or a budget would
// never end. The exceptions are systems without a clock of their own to ask
// (js/wasm, wasip1/wasm, plan9, aix): there the clock of package time is used,
// with that flaw.
//
// No clock here is meant for dates, or to be compared between machines.
package clock

import (
	"sync"
	"time"
)

// Now returns the finest time stamp that the machine has. It does not allocate.
//
// The unit is not specified and may be many steps of the underlying counter. It is
// a tick
//
//   - of the time-stamp counter on amd64, if that runs at a constant rate;
//   - of CNTVCT_EL0 on arm64 and of the TOD clock on s390x, if the counter makes a
//     step in each nanosecond;
//
// and elsewhere, or with the build tag purego, a nanosecond of Monotonic. The
// origin is not specified either. The counter wraps at 2⁶⁴.
//
// The counters of the other architectures are not read. Where Linux has them for
// its clock, that makes the same steps, and they are longer than a nanosecond: the
// time base of POWER runs at 512 MHz, the timers of riscv64 at 1 to 100 MHz.
// What a direct read saves, some hundred nanoseconds, does not make them finer,
// and a stamp that takes a system call varies more: durations of 16 memory
// accesses had 0.1 bits of min-entropy by a CNTVCT_EL0 of 62.5 MHz, and 2.4 by the
// system's clock (arm64 under QEMU, most common value).
//
// Stamps taken one after the other by one goroutine rise, or stay the same when
// the clock is coarse. They can step back by a little when the goroutine moves
// to another CPU, by any amount when the virtual machine moves to another host;
// who measures has to allow for it.
func Now() uint64 {
	if hasCounter() {
		return counter()
	}
	return uint64(Monotonic())
}

// Direct returns what Now calls: for callers to whom every nanosecond counts.
func Direct() func() uint64 {
	if hasCounter() {
		return counter
	}
	return func() uint64 { return uint64(Monotonic()) }
}

// Name returns what Now reads: "TSC", "CNTVCT_EL0", "TOD", or the name that the system
// has for its clock.
func Name() string {
	if hasCounter() {
		return counterName
	}
	return monotonicName
}

// hasCounter reports whether counter is to be read. It finds out once, when the
// first stamp is taken, because that takes a while: a virtual machine needs
// microseconds for CPUID, and the rate of a counter has to be measured.
var hasCounter = sync.OnceValue(detectCounter)

// Monotonic returns the time since an unspecified moment. It does not go
// backwards, and it does not stand still unless the system refuses to tell the
// time at all (as under a strict seccomp filter), where it is always 0.
func Monotonic() time.Duration { return monotonic() }

// Nap waits for about as long as d, by the real clock where that can be done. It is for
// those who wait for something that does not tell: to look again after a while, in a
// testing/synctest bubble, too, where a goroutine in time.Sleep counts as one that waits for
// the others.
func Nap(d time.Duration) { nap(d) }
