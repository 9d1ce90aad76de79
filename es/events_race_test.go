//go:build race

package es

// eventsRace says that the race detector is on.
const eventsRace = true
