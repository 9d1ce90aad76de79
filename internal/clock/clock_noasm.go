//go:build !amd64 || purego

package clock

func detectTSC() bool { return false }

// rdtsc is not called where detectTSC returns false.
func rdtsc() uint64 { return 0 }
