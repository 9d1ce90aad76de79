package es

import (
	"context"
	"errors"
	"fmt"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/internal/hwrand"
	"github.com/lrng-go/lrng/internal/selftest"
)

// runSelfTests runs self-tests for the named source. Each does nothing if it has passed
// before, and returns the failure of any other in this process, too.
func runSelfTests(source string, tests ...func() error) error {
	for _, test := range tests {
		if err := test(); err != nil {
			return fmt.Errorf("es: %s: %w", source, err)
		}
	}
	return nil
}

// selfTestOf returns the self-test of c, or of SHA-512 if c is nil. For a conditioner
// without one it returns a function that reports failures of others.
func selfTestOf(c conditioner.Conditioner) func() error {
	if c == nil {
		c = conditioner.SHA512
	}
	if t, ok := c.(interface{ SelfTest() error }); ok {
		return t.SelfTest
	}
	return selftest.Failed
}

// The known-answer test of the health tests of CPU. Input has rows of 14 words, for
// each byte a word of eight such bytes. A row with a good start-up and 24 bytes of
// output is answered with 0, the number of words it took, and a byte of each word that
// was delivered; one that is bad with 1 or 2, and the number of words.
var cpuSelfTest = selftest.New("CPU health tests",
	// A word of the start-up comes again, and a zero: both are replaced.
	"0102030405060708"+"010900"+"0a0b0c"+
		// Two bad words in the start-up pass, three in six do not.
		"00ff030405060708"+"090a0b0c0d0e"+
		"00ff030305060708"+"090a0b0c0d0e"+
		// Two bad words in a row pass, three do not.
		"0102030405060708"+"090900"+"0a0b0c"+
		"0102030405060708"+"090900"+"ff0b0c",
	"00"+"0d"+"090a0b"+
		"00"+"0b"+"090a0b"+
		"01"+"04"+
		"00"+"0d"+"090a0b"+
		"02"+"0c",
	cpuAnswers)

func cpuAnswers(input []byte) ([]byte, error) {
	const row = cpuStartUp + 6
	var answer []byte
	for ; len(input) >= row; input = input[row:] {
		n := 0
		s := CPU{kind: hwrand.Seed, word: func() (uint64, bool) {
			if n == row {
				return 0, false
			}
			n++
			return 0x0101010101010101 * uint64(input[n-1]), true
		}}
		var t cpuTest
		var p [24]byte
		verdict := byte(0)
		err := s.startUp(context.Background(), &t)
		if err != nil {
			verdict = 1
		} else if err = s.fill(context.Background(), &t, p[:]); err != nil {
			verdict = 2
		}
		if _, ok := errors.AsType[*HealthError](err); err != nil && !ok {
			return nil, err
		}
		answer = append(answer, verdict, byte(n))
		if err == nil {
			answer = append(answer, p[0], p[8], p[16])
		}
	}
	return answer, nil
}

// The known-answer test of the health test of OS. Input has rows of 4 bytes, for each a
// block of osBlock such bytes: the one that is read first, and three that are to be
// delivered. A row is answered with whether one of the three is bad.
var osSelfTest = selftest.New("OS health test",
	"05060705"+ // the first block again
		"05060708"+
		"05060606"+"05060608"+"05060808"+ // the one before again
		"05050708"+
		"05060807"+
		"05000708"+"05060700"+ // zeros
		"05ff0708"+"0506ff08", // ones
	"01"+"00"+"01"+"01"+"01"+"01"+"00"+"01"+"01"+"01"+"01",
	osAnswers)

func osAnswers(input []byte) ([]byte, error) {
	const row = 4
	var answer []byte
	for ; len(input) >= row; input = input[row:] {
		var blocks [row][osBlock]byte
		var p []byte
		for i := range blocks {
			for j := range blocks[i] {
				blocks[i][j] = input[i]
			}
			p = append(p, blocks[i][:]...)
		}
		bad := byte(0)
		if repeats(p[osBlock:], &blocks[0]) {
			bad = 1
		}
		answer = append(answer, bad)
	}
	return answer, nil
}
