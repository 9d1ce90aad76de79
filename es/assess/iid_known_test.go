package assess

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// knownBits returns a million bits of SHA-256 in counter mode: file 031.bin of
// https://github.com/usnistgov/SP800-90B_EntropyAssessment/issues/247, of which the issue
// has the digest and what ea_iid -v of NIST's tool prints for it. The counter has 32 bits,
// the least significant byte first, and so have the bits of a byte; each file has the
// million bits after those of the file before.
func knownBits(t *testing.T) []byte {
	t.Helper()
	const file, size = 31, 1_000_000
	bits := make([]byte, 0, size)
	for i := file * size; len(bits) < size; {
		sum := sha256.Sum256(binary.LittleEndian.AppendUint32(nil, uint32(i/256)))
		for ; len(bits) < size; i++ {
			bits = append(bits, sum[i/8%32]>>(i%8)&1)
			if i%256 == 255 {
				i++
				break
			}
		}
	}
	sum := sha256.Sum256(bits)
	if got := hex.EncodeToString(sum[:]); got != "6bdcf03951a9fbe7a3d6cf38338ce701dd8287e54fa799eb35749fa6b9f1102f" {
		t.Fatalf("the file has the digest %s", got)
	}
	return bits
}

// TestIIDKnownAnswers compares with what NIST's tool prints, to its last digit: the
// chi-square tests, the LRS test, and the statistics of the permutation tests. Their ranks
// depend on the permutations, which are random there.
func TestIIDKnownAnswers(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second")
	}
	s := knownBits(t)
	in := translate(s)
	near := func(name string, got, want, digits float64) {
		t.Helper()
		if !(math.Abs(got-want) <= 0.5000001*math.Pow(10, -digits)) {
			t.Errorf("%s: %v; want %v", name, got, want)
		}
	}
	var e [1]Estimate
	if err := mostCommonValue(nil, in, e[:]); err != nil {
		t.Fatal(err)
	}
	near("p_u", e[0].P, 0.50145391522475269, 15)
	near("H_original", e[0].MinEntropy, 0.995811, 6)

	c := binaryIndependence(in.s)
	near("independence: score", c.Statistic, 1969.256978, 6)
	near("independence: p-value", c.P, 0.885817, 6)
	if c.Freedom != 2046 || !c.Passed {
		t.Errorf("independence: %+v", c)
	}
	c = binaryFit(in.s)
	near("goodness of fit: score", c.Statistic, 4.355536, 6)
	near("goodness of fit: p-value", c.P, 0.886494, 6)
	if c.Freedom != 9 || !c.Passed {
		t.Errorf("goodness of fit: %+v", c)
	}
	l, err := lrsTest(newWork(t.Context(), nil), in)
	if err != nil {
		t.Fatal(err)
	}
	near("LRS: Pr(X >= 1)", l.P, 0.597246, 6)
	if l.Length != 39 || !l.Passed {
		t.Errorf("LRS: %+v", l)
	}

	p := newPermuter(s, in)
	p.set(in.s)
	want := []struct {
		value, digits float64
	}{
		{308.354, 3},                      // excursion
		{79_862, 0}, {11, 0}, {74_704, 0}, // directional runs; increases and decreases
		{498_902, 0}, {20, 0}, // runs based on the median
		{20.7792, 4}, {72, 0}, // collisions
		{24_324, 0}, {24_608, 0}, {24_520, 0}, {24_626, 0}, {24_578, 0}, // periodicity
		{2.00202e6, -1}, {2.00164e6, -1}, {2.00233e6, -1}, {1.99869e6, -1}, {2.00167e6, -1}, // covariance
		{155_951, 0}, // compression
	}
	list := statistics()
	if len(list) != len(want) {
		t.Fatalf("%d statistics; want %d", len(list), len(want))
	}
	for i, s := range list {
		near(s.name, s.of(p), want[i].value, want[i].digits)
	}
}

// TestIIDSecondImplementation compares samples of more than a bit with what another
// implementation makes of NIST's sample files: one in Python, written for this comparison
// from the text of the standard, with libbz2 for the compression and, as in NIST's tool, bins
// of equal expectation in the order of their symbols.
func TestIIDSecondImplementation(t *testing.T) {
	dir := vectorDir(t)
	for _, tt := range []struct {
		file        string
		statistics  []float64
		independent ChiSquare
		fit         ChiSquare
		lrs         LRSTest
	}{
		{"rand4_short.bin", []float64{450.376, 6669, 7, 5269, 4990, 13, 5.742102, 14, 547, 604, 664, 692, 598, 562563, 562511, 569110, 568260, 561023, 5520},
			ChiSquare{Statistic: 234.3462, Freedom: 240}, ChiSquare{Statistic: 150.755147, Freedom: 135}, LRSTest{Length: 6, P: 0.950245602}},
		{"rand8_short.bin", []float64{6638.536, 6727, 6, 5006, 4938, 13, 20.304878, 67, 34, 30, 49, 49, 35, 163045111, 163784454, 162563680, 162531901, 161376389, 10987},
			ChiSquare{Statistic: 1013.1649, Freedom: 735}, ChiSquare{Statistic: 1288.23679, Freedom: 1206}, LRSTest{Length: 3, P: 0.959979029}},
		{"normal.bin", []float64{27576.771904, 666224, 9, 507540, 499507, 20, 11.321672, 38, 14159, 14106, 14352, 14098, 14240, 16000707087, 16001117960, 16000663025, 16000590634, 16000314179, 852701},
			ChiSquare{Statistic: 11031.5965, Freedom: 11036}, ChiSquare{Statistic: 1304.83868, Freedom: 1314}, LRSTest{Length: 6, P: 0.980005343}},
	} {
		samples, err := os.ReadFile(filepath.Join(dir, tt.file))
		if err != nil {
			t.Fatal(err)
		}
		if testing.Short() && len(samples) > 100_000 {
			continue // takes a second
		}
		in := translate(samples)
		near := func(name string, got, want float64) {
			t.Helper()
			if !(math.Abs(got-want) <= 1e-8*math.Abs(want)+1e-6) {
				t.Errorf("%s: %s: %v; want %v", tt.file, name, got, want)
			}
		}
		p := newPermuter(samples, in)
		p.set(in.s)
		for i, s := range statistics() {
			near(s.name, s.of(p), tt.statistics[i])
		}
		for name, c := range map[string][2]ChiSquare{"independence": {independence(in), tt.independent}, "goodness of fit": {fit(in), tt.fit}} {
			near(name, c[0].Statistic, c[1].Statistic)
			if c[0].Freedom != c[1].Freedom {
				t.Errorf("%s: %s: %d degrees of freedom; want %d", tt.file, name, c[0].Freedom, c[1].Freedom)
			}
		}
		l, err := lrsTest(newWork(t.Context(), nil), in)
		near("LRS", l.P, tt.lrs.P)
		if err != nil || l.Length != tt.lrs.Length {
			t.Errorf("%s: %+v, %v; want %+v", tt.file, l, err, tt.lrs)
		}
	}
}
