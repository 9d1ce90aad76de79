package jitter

import (
	"errors"
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

	// maxAccesses is the length of the longest runs for coarse clocks: 50 µs.
	maxAccesses = accesses << 6
)

// What can be wrong with a clock.
var (
	errStopped  = errors.New("jitter: the clock does not advance")
	errCoarse   = errors.New("jitter: the clock is too coarse")
	errBackward = errors.New("jitter: the clock runs backwards")
)

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

// verdict returns the step of the clock in ticks, or an error if the clock is too
// coarse for durations as these.
func (p *probe) verdict() (step uint64, err error) {
	d := p.durations[:]
	slices.Sort(d)
	if d[len(d)-1] == 0 {
		*p = probe{}
		return 0, errStopped
	}
	values, last := 0, uint64(0)
	for i, v := range d[probeTrim : len(d)-probeTrim] {
		if i == 0 || v != last {
			values++
		}
		last = v
		step = gcd(step, v)
	}
	*p = probe{}
	if values < minValues {
		return 0, errCoarse
	}
	return step, nil
}

// gcd returns the greatest common divisor of a and b; gcd(0, b) is b.
func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
