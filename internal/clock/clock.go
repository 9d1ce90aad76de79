// Package clock reads the finest real clocks of the machine.
//
// [Now] is the time stamp of the jitter noise source (SP 800-90B, Section 2.2.1,
// wants the noise at hand undisguised): it is the time-stamp counter of the CPU
// where that can be read directly. [Monotonic] is for budgets of time.
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
// The unit is not specified and may be many steps of the underlying counter: it
// is a tick of the time-stamp counter on amd64, and a nanosecond elsewhere, with
// the build tag purego, or if the counter does not run at a constant rate. The
// origin is not specified either. The counter wraps at 2⁶⁴.
//
// Stamps taken one after the other by one goroutine rise, or stay the same when
// the clock is coarse. They can step back by a little when the goroutine moves
// to another CPU, by any amount when the virtual machine moves to another host;
// who measures has to allow for it.
func Now() uint64 {
	if constantTSC() {
		return rdtsc()
	}
	return uint64(Monotonic())
}

// constantTSC reports whether the CPU has a time-stamp counter that runs at the
// same rate in all states of frequency and sleep. It asks once, when the first
// stamp is taken, because a virtual machine needs microseconds to answer.
var constantTSC = sync.OnceValue(detectTSC)

// Monotonic returns the time since an unspecified moment. It does not go
// backwards, and it does not stand still unless the system refuses to tell the
// time at all (as under a strict seccomp filter), where it is always 0.
func Monotonic() time.Duration { return monotonic() }
