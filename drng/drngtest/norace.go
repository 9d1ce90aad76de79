//go:build !race

package drngtest

// raceDetector says that this is a build with -race, whose allocations are not
// those of the program.
const raceDetector = false
