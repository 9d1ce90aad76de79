//go:build linux && !purego

package clock

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// The kernel calls the same bit nonstop_tsc.
func TestCounterAgreesWithKernel(t *testing.T) {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Skip(err)
	}
	_, rest, ok := strings.Cut(string(info), "\nflags\t")
	if !ok {
		t.Skip("no flags in /proc/cpuinfo")
	}
	flags, _, _ := strings.Cut(rest, "\n")
	want := slices.Contains(strings.Fields(flags), "nonstop_tsc")
	if got := detectCounter(); got != want {
		t.Errorf("detectCounter() = %v, the kernel says %v", got, want)
	}
}

func TestNowIsTSC(t *testing.T) {
	if !detectCounter() {
		t.Skip("the counter does not run at a constant rate")
	}
	if Name() != "TSC" {
		t.Errorf("its name is %q", Name())
	}
	before, now, after := counter(), Now(), counter()
	// One second at 10 GHz: far from what separates the counter from the
	// nanoseconds since the machine was started, or anything else.
	const second = 10e9
	if now-before > second || after-now > second {
		t.Errorf("Now() = %d between counters %d and %d", now, before, after)
	}
}
