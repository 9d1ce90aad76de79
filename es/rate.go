package es

import "fmt"

// A rate is the min-entropy credited for 256 bits of data, in bits: 0…256. It is
// the unit in which LRNG states the credit of a source.
type rate int

// maxBlock is the most data that one call of GetEntropy is credited for, in
// bits. It is the width of the widest conditioning component, SHA-512.
const maxBlock = 512

// newRate interprets the Rate field of the configuration named config: 0 is
// the recommended rate def, a negative number is no credit. If the field is
// out of range the rate is 0 and the error names it.
func newRate(config string, field, def int) (rate, error) {
	switch {
	case field == 0:
		return rate(def), nil
	case field < 0:
		return 0, nil
	case field > 256:
		return 0, fmt.Errorf("es: %s.Rate: %d bits of entropy in 256 bits of data; the most is 256", config, field)
	}
	return rate(field), nil
}

// max returns the most that one call is credited with, in bits.
func (r rate) max() int { return int(r) * maxBlock / 256 }

// credit returns the credit of size bytes of data when bits were asked for.
func (r rate) credit(size, bits int) int {
	return max(0, min(bits, int(r)*min(size, maxBlock/8)*8/256))
}

// available returns the credit of a call that asks for bits and brings as much
// data as that takes without oversampling: bits bits.
func (r rate) available(bits int) int {
	return int(r) * max(0, min(bits, maxBlock)) / 256
}
