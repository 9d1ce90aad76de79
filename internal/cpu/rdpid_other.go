//go:build !amd64 || purego

package cpu

// HasRDPID reports whether the CPU has RDPID.
func HasRDPID() bool { return false }
