// Package seeding decides when a generator is seeded.
//
// A [Strategy] is given what the sources were credited with, in bits of
// min-entropy, and answers with a [Level]. It is a pure function: who collects,
// who waits and who is told are the business of package lrng. [Buffer] is the
// form in which a collection leaves the process, as a seed for another one.
//
// The levels are those of LRNG: 32, 128 and, for 256 bits of security strength,
// 256 bits.
package seeding

import "fmt"

// Level is how well a generator is seeded. Levels are ordered.
type Level int

const (
	// Unseeded: less than 32 bits.
	Unseeded Level = iota
	// InitiallySeeded: at least 32 bits.
	InitiallySeeded
	// MinimallySeeded: at least 128 bits, the security strength of SP 800-57
	// for use beyond 2030.
	MinimallySeeded
	// FullySeeded: all that the strategy asks for. Nothing is output below it.
	FullySeeded
)

// Thresholds of the lower levels, in bits (LRNG).
const (
	initialBits = 32
	minimalBits = 128
)

var levelNames = [...]string{"unseeded", "initially seeded", "minimally seeded", "fully seeded"}

// String returns the level in words, as "fully seeded".
func (l Level) String() string {
	if l < 0 || int(l) >= len(levelNames) {
		return fmt.Sprintf("Level(%d)", int(l))
	}
	return levelNames[l]
}

// MarshalText returns the same words as String.
func (l Level) MarshalText() ([]byte, error) {
	if l < 0 || int(l) >= len(levelNames) {
		return nil, fmt.Errorf("seeding: level %d is not defined", int(l))
	}
	return []byte(levelNames[l]), nil
}

// UnmarshalText accepts what MarshalText returns.
func (l *Level) UnmarshalText(text []byte) error {
	for i, name := range levelNames {
		if name == string(text) {
			*l = Level(i)
			return nil
		}
	}
	return fmt.Errorf("seeding: %q is not a level", text)
}

// Stage is the occasion on which a seed is collected.
type Stage int

const (
	// Initial: the generator has no seed yet (SP 800-90A, Section 9.1).
	Initial Stage = iota
	// Reseed: the generator was fully seeded before (Section 9.2).
	Reseed
	// PredictionResistance: a reseed whose output follows at once and is not
	// longer than the entropy that went in (Section 9.3.3).
	PredictionResistance
)

var stageNames = [...]string{"initial", "reseed", "prediction resistance"}

// String returns the stage in words, as "prediction resistance".
func (s Stage) String() string {
	if s < 0 || int(s) >= len(stageNames) {
		return fmt.Sprintf("Stage(%d)", int(s))
	}
	return stageNames[s]
}
