//go:build !linux

package main

import (
	"errors"
	"runtime"
)

// hasAdmin returns nil: openKernel has said already that there is nothing to feed.
func hasAdmin() error { return nil }

// dropPrivileges fails if it is asked for: only on Linux it is known how.
func dropPrivileges(name string, _ bool) error {
	if name == "" {
		return nil
	}
	return errors.New("-user is for Linux; this is " + runtime.GOOS)
}
