//go:build !(linux && (ppc64 || ppc64le))

package cpu

func hasDARN() bool { return false }
