//go:build !race

package sysrand_test

const raceEnabled = false
