package es

// NoiseParameters says how the raw samples of a source come about: it belongs into the
// record of an assessment. What a source does not have is zero.
type NoiseParameters struct {
	// Origin is where samples are read from: the clock that times them, such as "TSC"
	// or "CLOCK_MONOTONIC", or the generator, such as "RDSEED".
	Origin string `json:"origin"`

	// OSR is the number of samples that are collected for a bit of entropy now: that
	// of the configuration, and one more for each intermittent failure of a [Jitter].
	OSR int `json:"osr,omitempty"`

	// MemorySize is the size of the memory that is accessed, in bytes.
	MemorySize int `json:"memory_size,omitempty"`

	// Step is the greatest common divisor of the times that were measured, in the units
	// of GetDeltas: the symbol of GetNoise for a time d is the low byte of d / Step. It
	// is 0 before the first use.
	Step uint64 `json:"step,omitempty"`

	// Granularity is the least difference between two times at the start of a
	// [Jitter], in the same units.
	Granularity uint64 `json:"granularity,omitempty"`

	// Length is how many times the work for a sample of a [Jitter] is done, because
	// its clock is coarse; 1 with a fine one.
	Length int `json:"length,omitempty"`
}
