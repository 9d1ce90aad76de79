//go:build (arm64 || s390x) && !purego

package clock

// counter returns CNTVCT_EL0 on arm64, and on s390x the TOD clock as STORE CLOCK
// FAST has it. Neither read is serialized: it may happen before loads that precede
// it have completed. Neither can fault where Go runs: its runtime reads CNTVCT_EL0
// to wait, and needs a z13, which has the instruction since the z9.
//
//go:noescape
func counter() uint64

// detectCounter measures the counter. That of arm64 runs at 1 GHz since Armv8.6,
// and at anything from 1 MHz before; what CNTFRQ_EL0 and the z/Architecture say of
// the rate, 4096 ticks a microsecond for the TOD clock, does not tell whether a
// step has more ticks than one.
func detectCounter() bool { return fine(counter, Monotonic) }
