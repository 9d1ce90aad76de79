//go:build race

package lrng_test

// raceEnabled says that the race detector is on. It allocates.
const raceEnabled = true
