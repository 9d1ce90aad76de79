package health

import (
	"encoding/binary"

	"github.com/lrng-go/lrng/internal/selftest"
)

// SelfTest runs the known-answer tests of the health tests, unless they have passed
// before. It returns nil, or the first failure of any self-test in this process.
func SelfTest() error {
	for _, t := range selfTests {
		if err := t.Once(); err != nil {
			return err
		}
	}
	return nil
}

// selfTestConfig has the claim of the jitter source by default. Its cut-offs, which
// the tests compute, are 91 and 181 for the RCT, 459 and 479 for the APT.
var selfTestConfig = Config{H: 1.0 / 3, Window: Window, Alpha: Alpha, PermanentAlpha: PermanentAlpha}

// The tests replay samples. The answer is where the results change.
var selfTests = []*selftest.Test{
	// The 91st and the 181st of a run fail, the 90th does not.
	selftest.New("RCT",
		"5501"+"555a"+"665a"+"55b5"+"6601",
		"005a"+"01"+"005b"+"00"+"010f"+"01"+"0169"+"02"+"016a"+"00",
		func(input []byte) ([]byte, error) {
			c, _, err := selfTestConfig.cutoffs()
			if err != nil {
				return nil, err
			}
			t := NewRCT(c)
			return replay(input, t.Next), nil
		}),

	// Three windows: the first symbol of the first occurs 459 times, the last of
	// these at the end; that of the second 458 times; that of the third 479 times in
	// a row.
	selftest.New("APT",
		"5501"+"3335"+"55ff"+"55cb"+
			"6601"+"3336"+"66ff"+"66ca"+
			"77ff"+"77e0"+"3321",
		"01ff"+"01"+"0200"+"00"+"05ca"+"01"+"05de"+"02"+"05df"+"00",
		func(input []byte) ([]byte, error) {
			_, c, err := selfTestConfig.cutoffs()
			if err != nil {
				return nil, err
			}
			t := NewAPT(c, selfTestConfig.Window)
			return replay(input, t.Next), nil
		}),

	// A window of 96 symbols, with a pattern of eight and one of three that is broken
	// three times, and the beginning of the next. The 12th right guess in a row fails
	// and the 16th for good; of all, the 40th and the 50th.
	selftest.New("lag predictor",
		"1112131415161718111213141516171811121314151617181112"+
			"01020301020301020301020301020301020309"+
			"0203010203010203010209"+
			"010203010203010203010203010209"+
			"01020301020301020301020301020301020301020301020301"+
			"0203010203010203010203010203",
		"001401"+"001802"+"001a00"+"004c01"+"005602"+"006000",
		func(input []byte) ([]byte, error) {
			t := NewLag(Cutoffs{40, 50}, Cutoffs{12, 16})
			t.window = 96
			var samples []byte
			for _, x := range input {
				samples = append(samples, x, 1)
			}
			return replay(samples, t.Next), nil
		}),

	// Differences of time stamps: the same again, constant growth, two in turn, none.
	selftest.New("stuck test",
		"05"+"05"+"07"+"09"+"0b"+"0e"+"14"+"1e"+"32"+"1e"+"32"+"64"+"00"+"07",
		"00"+"01"+"00"+"01"+"01"+"00"+"00"+"00"+"00"+"01"+"01"+"00"+"01"+"00",
		func(input []byte) ([]byte, error) {
			var t Stuck
			var answer []byte
			for _, delta := range input {
				answer = append(answer, flag(t.Next(uint64(delta))))
			}
			return answer, nil
		}),

	// Stuck samples from 1500 on, 91 of them, and from 3100 on, 181. The start-up
	// ends with sample 1023, and with the second window after the first alarm; the
	// second one becomes permanent.
	selftest.New("start-up test",
		"05dc"+"005b"+"0c1c"+"00b5",
		"03ff"+"01"+"00"+"0635"+"00"+"01"+"0bff"+"01"+"00"+"0c75"+"00"+"01"+"0ccf"+"00"+"02",
		startUps),
}

// replay returns the index of each sample with another result than the one before,
// and that result. Input is a list of symbols, each with how often it comes in a row.
func replay(input []byte, next func(x uint64) Result) []byte {
	var answer []byte
	last, i := Pass, 0
	for ; len(input) > 1; input = input[2:] {
		for range input[1] {
			if r := next(uint64(input[0])); r != last {
				answer = binary.BigEndian.AppendUint16(answer, uint16(i))
				answer = append(answer, byte(r))
				last = r
			}
			i++
		}
	}
	return answer
}

// startUps returns the index of each sample after which the tests are ready and were
// not before, or are not ready any more, or have failed; whether they are ready; and
// the failure. Input is a list of stretches of stuck samples: the first, and their
// number.
func startUps(input []byte) ([]byte, error) {
	t, err := New(selfTestConfig)
	if err != nil {
		return nil, err
	}
	stuck := func(i int) bool {
		for p := input; len(p) > 3; p = p[4:] {
			first := int(binary.BigEndian.Uint16(p))
			if i >= first && i < first+int(binary.BigEndian.Uint16(p[2:])) {
				return true
			}
		}
		return false
	}
	var answer []byte
	ready := false
	for i := range 4 * StartupSamples {
		failure := t.NextStuck(uint64(i%256), stuck(i))
		if t.Ready() == ready && failure == nil {
			continue
		}
		ready = t.Ready()
		answer = binary.BigEndian.AppendUint16(answer, uint16(i))
		answer = append(answer, flag(ready))
		switch {
		case failure == nil:
			answer = append(answer, byte(Pass))
		case failure.Permanent:
			return append(answer, byte(Permanent)), nil
		default:
			answer = append(answer, byte(Intermittent))
		}
	}
	return answer, nil
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}
