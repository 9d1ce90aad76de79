//go:build !race

package drng

// ctrRaceDetector says that the race detector is off.
const ctrRaceDetector = false
