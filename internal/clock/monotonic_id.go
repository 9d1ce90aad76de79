//go:build dragonfly || freebsd || linux || openbsd || solaris

package clock

import "golang.org/x/sys/unix"

const (
	monotonicID   = unix.CLOCK_MONOTONIC
	monotonicName = "CLOCK_MONOTONIC"
)
