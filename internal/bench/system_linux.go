package main

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const clockName = "CPU time of the thread"

// threadTime returns the time of the processor that this thread has used, in nanoseconds.
func threadTime() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic(err) // every Linux that Go runs on has it
	}
	return ts.Nano()
}

// kernel returns the name and the release of the operating system.
func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "Linux"
	}
	return "Linux " + unix.ByteSliceToString(u.Release[:])
}

// load says how many programs wanted a processor in the last 1, 5 and 15 minutes.
func load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	if f := strings.Fields(string(text)); len(f) > 3 {
		return strings.Join(f[:3], " ")
	}
	return "unknown"
}
