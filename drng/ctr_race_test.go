//go:build race

package drng

// ctrRaceDetector says that the race detector is on.
const ctrRaceDetector = true
