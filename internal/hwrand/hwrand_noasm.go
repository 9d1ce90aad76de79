//go:build !amd64 || purego

package hwrand

import (
	"errors"
	"runtime"
)

func detect() machine {
	return machine{reason: errors.New("hwrand: this build has no instruction for " + runtime.GOARCH)}
}

// pause does nothing: there is no generator to wait for.
func pause(int) {}
