package jitter

import (
	"errors"
	"fmt"
	"slices"
)

const (
	// probeSamples is the number of samples for one look at the clock.
	probeSamples = 256

	// probeTrim is how many of the longest and of the shortest are left out: in a
	// program that is interrupted often they say nothing of the clock.
	probeTrim = probeSamples / 8

	// minValues is the number of different durations that have to be among the
	// rest. The middle three quarters of a normal distribution reach 1.15
	// standard deviations to both sides, so four values mean a standard
	// deviation of more than one step of the clock. Below that the durations
	// are mostly the beat of the clock against a constant, k and k+1 steps in an
	// order that can be predicted, which neither the RCT nor the APT notices.
	minValues = 4

	// maxLength is the length of the longest runs for coarse clocks: 65 µs.
	maxLength = 64

	// maxBackward is how often the clock may step back during a start-up: the
	// threads of a program move between CPUs whose counters differ a little.
	maxBackward = 3
)

// What can be wrong with a clock. The errors of a Source wrap these.
var (
	errStopped  = errors.New("jitter: the clock does not advance")
	errCoarse   = errors.New("jitter: the clock is too coarse")
	errBackward = errors.New("jitter: the clock runs backwards")
)

// A Clock is what the start-up found out about the clock.
type Clock struct {
	// Step is the greatest common divisor of the durations, in ticks: what the clock
	// counts in.
	Step uint64

	// Granularity is the least difference between two durations, in ticks: what the
	// clock can tell apart. It is more than Step where the clock is converted to a
	// unit that its own steps are no multiple of.
	Granularity uint64

	// Values is how many durations differ of the middle three quarters of 256.
	Values int

	// Length is how many times longer than with a fine clock a run is.
	Length int

	// Backward is how often the clock stepped back in the last start-up.
	Backward int
}

// A probe finds out how fine the clock is. It is empty after a verdict.
type probe struct {
	n         int
	durations [probeSamples]uint64
}

// next takes one duration and reports whether it was the last.
func (p *probe) next(delta uint64) (full bool) {
	p.durations[p.n] = delta
	p.n++
	return p.n == len(p.durations)
}

// verdict returns what durations as these say of the clock: its step, granularity and
// number of values; and an error if it is too coarse for them.
func (p *probe) verdict() (c Clock, err error) {
	d := p.durations[:]
	defer func() { *p = probe{} }()
	slices.Sort(d)
	if d[len(d)-1] == 0 {
		return c, errStopped
	}
	d = d[probeTrim : len(d)-probeTrim]
	c.Step, c.Values = d[0], 1
	for i, v := range d[1:] {
		difference := v - d[i]
		if difference == 0 {
			continue
		}
		c.Values++
		c.Step = gcd(c.Step, v)
		if c.Granularity == 0 || difference < c.Granularity {
			c.Granularity = difference
		}
	}
	if c.Values < minValues {
		return c, fmt.Errorf("%w: %d different durations around %d ticks, at least %d apart", errCoarse, c.Values, d[len(d)/2], c.Granularity)
	}
	return c, nil
}

// gcd returns the greatest common divisor of a and b; gcd(0, b) is b.
func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
