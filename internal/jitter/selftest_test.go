package jitter

import (
	"encoding/binary"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/lrng-go/lrng/internal/selftest"
	"github.com/lrng-go/lrng/internal/selftest/faults"
)

// The tests of this package are there, and those of its health tests.
func TestSelfTests(t *testing.T) {
	var got []string
	for _, test := range selftest.All() {
		got = append(got, test.Name())
		if err := test.Run(); err != nil {
			t.Error(err)
		}
	}
	slices.Sort(got)
	if want := []string{"APT", "GCD", "RCT", "lag predictor", "start-up test", "stuck test", "time stamp"}; !slices.Equal(got, want) {
		t.Errorf("there are self-tests %q, want %q", got, want)
	}
	if err := SelfTest(); err != nil {
		t.Error(err)
	}
}

// The answers, computed with long numbers.
func TestSelfTestAnswers(t *testing.T) {
	wrap := new(big.Int).Lsh(big.NewInt(1), 64)
	// distance is how far b is after a, in either direction.
	distance := func(a, b uint64) *big.Int {
		d := new(big.Int).Sub(new(big.Int).SetUint64(b), new(big.Int).SetUint64(a))
		half := new(big.Int).Rsh(wrap, 1)
		switch {
		case d.Cmp(half) >= 0:
			return d.Sub(d, wrap)
		case d.Cmp(new(big.Int).Neg(half)) < 0:
			return d.Add(d, wrap)
		}
		return d
	}
	var stamps []uint64
	for b := range slices.Chunk(selfTests[0].Input(), 8) {
		stamps = append(stamps, binary.BigEndian.Uint64(b))
	}
	var want []byte
	for i := 0; i+2 < len(stamps); i += 2 {
		between, during := distance(stamps[i], stamps[i+1]), distance(stamps[i+1], stamps[i+2])
		want = append(want, new(big.Int).Mod(during, wrap).FillBytes(make([]byte, 8))...)
		if between.Sign() >= 0 && during.Sign() >= 0 {
			want = append(want, 1)
		} else {
			want = append(want, 0)
		}
	}
	if got := selfTests[0].Answer(); string(got) != string(want) {
		t.Errorf("time stamp: the answer is %x, want %x", got, want)
	}

	want = nil
	for _, ticks := range selfTests[1].Input() {
		g := new(big.Int)
		for i := range int64(5) {
			g.GCD(nil, nil, g, big.NewInt((100+i)*int64(ticks)))
		}
		want = append(want, g.FillBytes(make([]byte, 2))...)
	}
	if got := selfTests[1].Answer(); string(got) != string(want) {
		t.Errorf("GCD: the answer is %x, want %x", got, want)
	}
}

// A fault in any of them is noticed, and stays.
func TestSelfTestFaults(t *testing.T) {
	if name, _ := faults.Injected(); name != "" {
		for range 2 {
			if err := SelfTest(); !errors.Is(err, selftest.ErrFailed) || err != selftest.Failed() {
				t.Errorf("%s: %v", name, err)
			}
			selftest.TestingOnlyInject(name, selftest.NoFault)
		}
		return
	}
	if !faults.Supported() {
		t.Skip("no processes here")
	}
	if err := faults.Run("TestSelfTestFaults", testing.Short()); err != nil {
		t.Error(err)
	}
}

func BenchmarkSelfTest(b *testing.B) {
	for _, test := range selftest.All() {
		b.Run("test="+strings.ReplaceAll(test.Name(), " ", "_"), func(b *testing.B) {
			for b.Loop() {
				if err := test.Run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
