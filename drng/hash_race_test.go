//go:build race

package drng

// hashRaceDetector says that the race detector is on. It allocates.
const hashRaceDetector = true
