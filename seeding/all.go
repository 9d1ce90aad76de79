package seeding

import "strings"

// All returns a strategy that runs several at once: sources are asked for the most that
// any of them asks for, and the level is the lowest that any of them gives. The
// demands on conditioning components are the highest of any. Without arguments it is
// Default.
//
// All(Oversample, NTG1) is ESDM's combination: the sum is at least 384 bits, and two
// sources deliver at least 240 each.
func All(s ...Strategy) Strategy {
	if len(s) == 0 {
		return Default
	}
	return all(append([]Strategy(nil), s...))
}

type all []Strategy

func (a all) Name() string {
	names := make([]string, len(a))
	for i, s := range a {
		names[i] = s.Name()
	}
	return strings.Join(names, " and ")
}

func (a all) Request(strength int, st Stage) int {
	bits := 0
	for _, s := range a {
		bits = max(bits, s.Request(strength, st))
	}
	return bits
}

func (a all) Level(credits []Credit, strength int, st Stage) Level {
	level := FullySeeded
	for _, s := range a {
		level = min(level, s.Level(credits, strength, st))
	}
	return level
}

func (a all) Explain(credits []Credit, strength int, st Stage) string {
	var parts []string
	for _, s := range a {
		if e, ok := s.(Explainer); ok {
			parts = append(parts, e.Explain(credits, strength, st))
		}
	}
	return strings.Join(parts, "; ")
}

func (a all) Conditioning() (margin, width int) {
	for _, s := range a {
		if c, ok := s.(Conditioning); ok {
			m, w := c.Conditioning()
			margin, width = max(margin, m), max(width, w)
		}
	}
	return margin, width
}
