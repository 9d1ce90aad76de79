//go:build !s390x || purego

package cpu

func hasTRNG() bool { return false }
