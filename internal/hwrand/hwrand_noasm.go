//go:build !(amd64 || arm64 || ppc64 || ppc64le || s390x) || purego

package hwrand

import (
	"errors"
	"runtime"
)

func detect() machine {
	if runtime.GOARCH == "riscv64" {
		return machine{reason: errors.New("hwrand: riscv64 has no generator that is open to programs")}
	}
	return machine{reason: errors.New("hwrand: this build has no instruction for " + runtime.GOARCH)}
}

// pause does nothing: there is no generator to wait for.
func pause(int) {}
