package conditioner_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/lrng-go/lrng/conditioner"
)

// tolerance is the documented distance from the formula, in bits.
const tolerance = 1e-12

// The results are those of refOutputEntropy, and of mpmath at 5000 bits.
var knownOutputEntropy = []struct {
	hin           float64
	nin, nout, nw int
	hout          string
}{
	// What the tool of NIST (ea_conditioning) says: 63. In float64 the formula as
	// written is NaN. https://github.com/usnistgov/SP800-90B_EntropyAssessment/issues/168
	{64, 4096, 64, 64, "63.00000000000000000004"},

	// Very small lengths, which can be followed by hand:
	// psi = ½/3 + ½ = 2/3, omega = (1 + √(4·ln 2))·½/3 = 0.444.
	{1, 2, 2, 2, "0.58496250072115618145"},
	// psi = 2·¾/3 + ¼ = ¾, omega = (2 + √(4·ln 2))·¾/3 = 0.916.
	{2, 2, 1, 1, "0.12614380787697068022"},
	{0.25, 3, 2, 5, "0.17404413671161082415"},
	{6.75, 9, 8, 7, "5.65587368682561794838"},

	// Entropy equal to the width: one bit is lost, for a long input.
	{256, 512, 256, 256, "255.00000000000000000000"},
	{256, 1 << 20, 256, 256, "255.00000000000000000000"},
	{384, 1024, 384, 384, "383.00000000000000000000"},
	{512, 1 << 20, 512, 512, "511.00000000000000000000"},
	// No surplus at all: omega decides, and more than four bits are lost.
	{256, 256, 256, 256, "251.68976456872705512209"},
	{512, 512, 512, 512, "507.21122307693401442846"},

	// A surplus of a few bits.
	{257, 1024, 256, 256, "255.41503749927884381855"},
	{264, 1024, 256, 256, "255.99437545080612189308"},
	{390.5, 400, 384, 384, "383.87550420391202854503"},

	// A surplus of 64 bits (B21), in long inputs and in one without redundancy.
	{320, 512, 256, 256, "255.99999999999999999992"},
	{448, 512, 384, 384, "383.99999999999999999820"},
	{576, 1024, 512, 512, "511.99999999999999999992"},
	{320, 320, 256, 256, "255.99999999367205948811"},

	// Little entropy passes untouched.
	{1, 4096, 256, 256, "1.00000000000000000000"},
	{0.001, 1024, 512, 512, "0.00100000000000000002"},
	{128, 8192, 256, 512, "128.00000000000000000000"},

	// Truncated output, and an internal width less than the output.
	{131, 1024, 128, 256, "127.83007499855768763709"},
	{131, 1024, 256, 128, "127.83007499855768763709"},
	{200, 1024, 128, 256, "128.00000000000000000000"},

	// An input shorter than the output.
	{128, 128, 256, 256, "128.00000000000000000000"},
	{126.5, 127, 128, 160, "123.68976456872705512209"},
	{64, 64, 512, 512, "64.00000000000000000000"},
}

func TestKnownOutputEntropy(t *testing.T) {
	for _, tt := range knownOutputEntropy {
		ref := refOutputEntropy(tt.hin, tt.nin, tt.nout, tt.nw)
		if got := ref.Text('f', 20); got != tt.hout {
			t.Errorf("reference(%v, %d, %d, %d) = %s, want %s", tt.hin, tt.nin, tt.nout, tt.nw, got, tt.hout)
		}
		want, _, err := big.ParseFloat(tt.hout, 10, 128, big.ToNearestEven)
		if err != nil {
			t.Fatal(err)
		}
		got := conditioner.OutputEntropy(tt.hin, tt.nin, tt.nout, tt.nw)
		if d := distance(got, want); !(d < tolerance) {
			t.Errorf("OutputEntropy(%v, %d, %d, %d) = %.12f, want %s", tt.hin, tt.nin, tt.nout, tt.nw, got, tt.hout)
		}
	}
}

// distance returns |got - want|, or NaN if got is NaN.
func distance(got float64, want *big.Float) float64 {
	if math.IsNaN(got) || math.IsInf(got, 0) {
		return math.NaN()
	}
	d, _ := new(big.Float).SetPrec(refPrec).Sub(new(big.Float).SetFloat64(got), want).Float64()
	return math.Abs(d)
}

// A comparison checks OutputEntropy against the reference, and the reference
// against the bounds that the comment in OutputEntropy derives.
type comparison struct {
	points int
	worst  float64
}

func (c *comparison) check(t *testing.T, hin float64, nin, nout, nw int) {
	t.Helper()
	got := conditioner.OutputEntropy(hin, nin, nout, nw)
	ref := refOutputEntropy(hin, nin, nout, nw)
	n := min(nout, nw)

	// B20: the formula never yields more than hin, nor more than n. The logarithm
	// of the reference is cut, which makes the entropy greater by up to 2^-96.
	slack := big.NewFloat(0x1p-95)
	for _, bound := range []float64{hin, float64(n)} {
		if d := refNew().Sub(ref, big.NewFloat(bound)); d.Cmp(slack) > 0 {
			t.Errorf("formula(%v, %d, %d, %d) = %s, more than %v", hin, nin, nout, nw, ref.Text('g', 20), bound)
		}
		if got > bound {
			t.Errorf("OutputEntropy(%v, %d, %d, %d) = %v, more than %v", hin, nin, nout, nw, got, bound)
		}
	}
	// It is negative for one bit hashed to one bit only.
	if ref.Sign() < 0 {
		if nin != 1 || n != 1 {
			t.Errorf("formula(%v, %d, %d, %d) = %s, negative", hin, nin, nout, nw, ref.Text('g', 20))
		}
		ref = new(big.Float)
	}
	d := distance(got, ref)
	if !(d < tolerance) {
		t.Errorf("OutputEntropy(%v, %d, %d, %d) = %v, want %s", hin, nin, nout, nw, got, ref.Text('g', 20))
	}
	c.points++
	c.worst = max(c.worst, d)
}

func (c *comparison) report(t *testing.T) {
	t.Logf("%d points, the worst is off by %.1e bits", c.points, c.worst)
}

// The formula at all small lengths, and around every place where a length or an
// entropy passes another. B19.
func TestOutputEntropyGrid(t *testing.T) {
	var c comparison
	defer c.report(t)

	small := 9
	if testing.Short() {
		small = 5
	}
	for nin := 1; nin <= small; nin++ {
		for n := 1; n <= small; n++ {
			for eighths := 0; eighths <= 8*nin; eighths++ {
				c.check(t, float64(eighths)/8, nin, n, 9)
			}
		}
	}

	nins := []int{1, 2, 8, 63, 64, 65, 127, 128, 255, 256, 257, 319, 320, 384, 511, 512, 513, 576, 1023, 1024, 1025, 4096, 65535, 1<<20 - 1, 1 << 20}
	ns := []int{1, 2, 8, 64, 128, 160, 255, 256, 384, 512}
	if testing.Short() {
		nins = []int{8, 256, 320, 512, 1 << 20}
		ns = []int{1, 256, 512}
	}
	for _, nin := range nins {
		for _, n := range ns {
			in := float64(nin)
			// Where omega takes over from psi.
			turn := (in + float64(n) - math.Log2(2*math.Ln2*float64(n))) / 2
			hins := []float64{0, 0x1p-1074, 1e-300, 0x1p-53, 1e-9, 0.001, 0.5, 1, 40, 1022, 1024}
			for _, at := range []float64{float64(n), in, turn, float64(n + 64)} {
				for _, off := range []float64{-10, -1, -0.5, -1e-6, 0, 1e-6, 0.5, 1, 10} {
					hins = append(hins, at+off)
				}
			}
			for _, hin := range hins {
				if hin >= 0 && hin <= in {
					c.check(t, hin, nin, n, 512)
				}
			}
		}
	}
}

func TestOutputEntropyRandom(t *testing.T) {
	var c comparison
	defer c.report(t)
	points := 4000
	if testing.Short() {
		points = 500
	}
	rng := rand.New(rand.NewPCG(90, 2))
	for range points {
		nin := 1 + rng.IntN(1100)
		if rng.IntN(4) == 0 {
			nin = 1 + rng.IntN(1<<20)
		}
		nout, nw := 1+rng.IntN(512), 1+rng.IntN(512)
		var hin float64
		switch most := min(1024, float64(nin)); rng.IntN(4) {
		case 0:
			hin = most * rng.Float64()
		case 1: // any order of magnitude
			hin = math.Ldexp(most, -rng.IntN(1100)) * rng.Float64()
		case 2: // near the width
			hin = float64(min(nout, nw)) + 20*rng.NormFloat64()
		case 3: // near uniform input
			hin = float64(nin) - 20*rng.ExpFloat64()
		}
		c.check(t, min(max(hin, 0), float64(nin)), nin, nout, nw)
	}
}

// For a small hin the formula is hin·(1 - 2^-n/(1 - 2^-nin)) in the first order.
// The result keeps all digits of that, where an absolute error says nothing.
func TestOutputEntropyOfLittleEntropy(t *testing.T) {
	for _, nin := range []int{2, 8, 512, 1 << 20} {
		for _, n := range []int{1, 2, 8, 256, 512} {
			for _, hin := range []float64{1e-15, 1e-30, 1e-300} {
				want := hin * (1 - math.Exp2(-float64(n))/(1-math.Exp2(-float64(nin))))
				got := conditioner.OutputEntropy(hin, nin, n, n)
				if math.Abs(got-want) > 1e-11*want {
					t.Errorf("OutputEntropy(%v, %d, %d, %d) = %v, want %v", hin, nin, n, n, got, want)
				}
			}
		}
	}
}

// B21: with 64 bits more than come out, next to nothing is lost. With as much as
// comes out, one bit is.
func TestFullEntropy(t *testing.T) {
	for _, tt := range components {
		w := float64(tt.width)
		for _, nin := range []int{tt.width + 64, 2 * tt.width, 4096, 1 << 20} {
			if got := conditioner.OutputEntropy(w+64, nin, tt.width, tt.width); got < w-1e-8 {
				t.Errorf("%s: %v bits of %d give %v", tt.name, w+64, nin, got)
			}
			if got := conditioner.OutputEntropy(w, nin, tt.width, tt.width); math.Abs(got-(w-1)) > 1e-6 {
				t.Errorf("%s: %v bits of %d give %v", tt.name, w, nin, got)
			}
		}
	}
}

// What is outside of the domain of the formula.
func TestOutputEntropyDomain(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, tt := range []struct {
		hin           float64
		nin, nout, nw int
		want          float64
	}{
		{nan, 512, 256, 256, 0},
		{-inf, 512, 256, 256, 0},
		{-1, 512, 256, 256, 0},
		{math.Copysign(0, -1), 512, 256, 256, 0},
		{0, 512, 256, 256, 0},
		{100, 0, 256, 256, 0},
		{100, -512, 256, 256, 0},
		{100, 512, 0, 256, 0},
		{100, 512, -256, 256, 0},
		{100, 512, 256, 0, 0},
		{100, 512, 256, -256, 0},
		{100, math.MinInt, math.MinInt, math.MinInt, 0},
		// The one place where the formula is negative: -0.12.
		{1, 1, 1, 1, 0},
		{1, 1, 1, 512, 0},
		// More entropy than bits counts as that many bits.
		{513, 512, 512, 512, conditioner.OutputEntropy(512, 512, 512, 512)},
		{inf, 512, 384, 384, conditioner.OutputEntropy(512, 512, 384, 384)},
		{math.MaxFloat64, 8, 256, 256, conditioner.OutputEntropy(8, 8, 256, 256)},
		// Lengths far out of use.
		{inf, math.MaxInt, 512, 512, 512},
		{100, math.MaxInt, math.MaxInt, math.MaxInt, 100},
		{8, 8, math.MaxInt, math.MaxInt, 8},
	} {
		got := conditioner.OutputEntropy(tt.hin, tt.nin, tt.nout, tt.nw)
		if got != tt.want || math.Signbit(got) {
			t.Errorf("OutputEntropy(%v, %d, %d, %d) = %v, want %v", tt.hin, tt.nin, tt.nout, tt.nw, got, tt.want)
		}
	}
}

// fall returns the most that the result can lose when hin grows. Psi falls with
// hin. Omega = U·Plow grows, to U·2^-nin at hin = nin; it reaches psi where
// Phigh = k·(1 - Phigh), with k = √(2·n·2^(nin-n)·ln 2)/(2^nin - 1), and from
// there on grows by the factor (1 - 2^-nin)·(1 + k).
func fall(nin, n int) float64 {
	in, out := float64(nin), float64(n)
	q := 1 - math.Exp2(-in)
	k := math.Exp2((math.Log2(2*math.Ln2*out)-in-out)/2) / q
	return math.Log2(max(1, q*(1+k)))
}

// The documentation says how much.
func TestFall(t *testing.T) {
	most := 0.0
	for nin := 1; nin <= 100; nin++ {
		for n := 1; n <= 100; n++ {
			f := fall(nin, n)
			most = max(most, f)
			if nin+n >= 50 && f >= 0x1p-20 {
				t.Errorf("nin = %d, n = %d: the fall is %v", nin, n, f)
			}
		}
	}
	if most != fall(3, 1) || most > 0.23 {
		t.Errorf("the greatest fall is %v, for nin = 3 %v", most, fall(3, 1))
	}
	// It does occur.
	n := conditioner.OutputEntropy(3, 3, 1, 1)
	top := 0.0
	for h := 0.0; h < 3; h += 0x1p-10 {
		top = max(top, conditioner.OutputEntropy(h, 3, 1, 1))
	}
	if math.Abs(top-n-most) > 0.001 {
		t.Errorf("nin = 3: %v at the top, %v at the end, want a fall of %v", top, n, most)
	}
}

func FuzzOutputEntropy(f *testing.F) {
	for _, tt := range knownOutputEntropy {
		f.Add(tt.hin, 1.0, tt.nin, tt.nout, tt.nw)
	}
	f.Fuzz(func(t *testing.T, hin, more float64, nin, nout, nw int) {
		got := conditioner.OutputEntropy(hin, nin, nout, nw)
		n := min(nout, nw)
		if nin <= 0 || n <= 0 || !(hin > 0) {
			if got != 0 {
				t.Fatalf("OutputEntropy(%v, %d, %d, %d) = %v, want 0", hin, nin, nout, nw, got)
			}
			return
		}
		// B20. The comparison is false for NaN.
		if !(got >= 0 && got <= min(hin, float64(nin), float64(n))) {
			t.Fatalf("OutputEntropy(%v, %d, %d, %d) = %v", hin, nin, nout, nw, got)
		}
		if swapped := conditioner.OutputEntropy(hin, nin, nw, nout); swapped != got {
			t.Fatalf("OutputEntropy(%v, %d, %d, %d) = %v, but %v with nout and nw exchanged", hin, nin, nout, nw, got, swapped)
		}
		// Rounding: nothing is computed from numbers greater than these.
		eps := 1e-12 + 0x1p-50*(float64(nin)+float64(n))
		if more > 0 {
			if next := conditioner.OutputEntropy(hin+more, nin, nout, nw); next < got-fall(nin, n)-eps {
				t.Fatalf("OutputEntropy(%v, %d, %d, %d) = %v, but %v with %v more", hin, nin, nout, nw, got, next, more)
			}
		}
		if n < math.MaxInt {
			if next := conditioner.OutputEntropy(hin, nin, n+1, n+1); next < got-eps {
				t.Fatalf("OutputEntropy(%v, %d, %d, %d) = %v, but %v when one bit wider", hin, nin, n, n, got, next)
			}
		}
		if nin <= 1<<20 && n <= 512 {
			new(comparison).check(t, min(hin, float64(nin)), nin, nout, nw)
		}
	})
}

func TestOutputEntropyDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	if n := testing.AllocsPerRun(100, func() { conditioner.OutputEntropy(320, 512, 256, 256) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
