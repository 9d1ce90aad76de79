package jitter

import (
	"encoding/binary"
	"errors"

	"github.com/lrng-go/lrng/internal/clock"
	"github.com/lrng-go/lrng/internal/health"
	"github.com/lrng-go/lrng/internal/selftest"
)

// SelfTest runs the known-answer tests of what a [Source] is made of, its health tests
// included, unless they have passed before. It returns nil, or the first failure of
// any self-test in this process.
func SelfTest() error {
	for _, t := range selfTests {
		if err := t.Once(); err != nil {
			return err
		}
	}
	return health.SelfTest()
}

var selfTests = []*selftest.Test{
	// Time stamps: the first, and then two for each sample. The answer is the
	// duration of each, and whether the clock went forward. The stamp wraps, stands
	// still, and goes back between two samples and within one.
	selftest.New("time stamp",
		"ffffffffffffff00"+
			"ffffffffffffff80"+"0000000000000005"+
			"0000000000000010"+"0000000000000010"+
			"000000000000000f"+"0000000000000040"+
			"0000000000000050"+"000000000000004f"+
			"0000000000000060"+"0001000000000060",
		"0000000000000085"+"01"+
			"0000000000000000"+"01"+
			"0000000000000031"+"00"+
			"ffffffffffffffff"+"00"+
			"0001000000000000"+"01",
		durations),

	// Durations of 1, 2, 3 … steps of a clock; the answer is how many ticks a step
	// has: 3, as in the test of LRNG, 26, as found on AMD EPYC, 1, and 0 for a clock
	// that stands still.
	selftest.New("GCD",
		"03"+"1a"+"01"+"00",
		"0003"+"001a"+"0001"+"0000",
		steps),
}

// durations takes samples with the stamps in input instead of those of the clock. That
// one must not stand still.
func durations(input []byte) ([]byte, error) {
	if clock.Stands() {
		return nil, errors.New("the time stamp stands still")
	}
	n := noise{memory: make([]byte, MinMemory), hash: true, length: 1, x: 1}
	n.now = func() uint64 {
		stamp := binary.BigEndian.Uint64(input)
		input = input[8:]
		return stamp
	}
	n.last = n.now()
	var answer []byte
	for len(input) >= 16 {
		delta, forward := n.sample()
		answer = binary.BigEndian.AppendUint64(answer, delta)
		if forward {
			answer = append(answer, 1)
		} else {
			answer = append(answer, 0)
		}
	}
	return answer, nil
}

// steps probes clocks with the steps in input.
func steps(input []byte) ([]byte, error) {
	var answer []byte
	for _, ticks := range input {
		var p probe
		for i := uint64(1); !p.next(i * uint64(ticks)); i++ {
		}
		c, err := p.verdict()
		if err != nil && !errors.Is(err, errStopped) {
			return nil, err
		}
		answer = binary.BigEndian.AppendUint16(answer, uint16(c.Step))
	}
	return answer, nil
}
