//go:build !linux || !amd64 || purego

package stripe

// KnowsCPU reports whether [CPU] may be called.
func KnowsCPU() bool { return false }

// CPU returns the number of the processor that the caller runs on.
func CPU() int { return 0 }
