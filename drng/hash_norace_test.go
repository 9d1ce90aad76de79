//go:build !race

package drng

// hashRaceDetector says that the race detector is off.
const hashRaceDetector = false
