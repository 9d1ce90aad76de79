//go:build !linux

package main

import (
	"runtime"
	"time"
)

const clockName = "wall time"

var epoch = time.Now()

// threadTime returns wall time, in nanoseconds.
func threadTime() int64 { return int64(time.Since(epoch)) }

// kernel returns the name of the operating system.
func kernel() string { return runtime.GOOS }

// load is unknown.
func load() string { return "unknown" }
