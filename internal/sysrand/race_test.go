//go:build race

package sysrand_test

// The race detector allocates on its own account.
const raceEnabled = true
