//go:build !linux

package main

import (
	"errors"
	"runtime"
)

// openKernel fails: only Linux is fed.
func openKernel(bool) (kernel, error) {
	return nil, errors.New("feeding the kernel is for Linux; this is " + runtime.GOOS)
}
