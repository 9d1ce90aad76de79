//go:build race

package assess

// race is set under the race detector, which takes a minute for ten thousand permutations.
const race = true
