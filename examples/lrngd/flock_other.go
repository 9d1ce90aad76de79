//go:build solaris || aix

package main

import "os"

// flock does nothing: these systems have no flock(2).
func flock(*os.File) error { return nil }
