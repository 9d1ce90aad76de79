//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || solaris || windows)

package clock

import (
	"sync"
	"time"
)

const monotonicName = "package time"

var start = sync.OnceValue(time.Now)

func monotonic() time.Duration { return time.Since(start()) }
