package lrng_test

import (
	"bytes"
	"crypto/fips140"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/lrng-go/lrng"
)

func TestIntPanics(t *testing.T) {
	for _, max := range []*big.Int{
		big.NewInt(0),
		big.NewInt(-1),
		big.NewInt(math.MinInt64),
		new(big.Int).Neg(pow2(300)),
	} {
		func() {
			c := &counter{r: io.LimitReader(stream(1), 1000)}
			defer func() {
				if s, _ := recover().(string); !strings.HasPrefix(s, "lrng: ") {
					t.Errorf("%v: panic: %q", max, s)
				}
				if c.bytes != 0 {
					t.Errorf("%v: read %d bytes", max, c.bytes)
				}
			}()
			n, err := lrng.Int(c, max)
			t.Errorf("%v: returned %v, %v", max, n, err)
		}()
	}
}

func pow2(n uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), n) }

// The bits above those of max-1 are cut off, the first try in range is taken, and
// each try reads ⌈bits/8⌉ bytes.
func TestIntTries(t *testing.T) {
	for _, tt := range []struct {
		max  int64
		in   []byte // and nothing left of it
		want int64
	}{
		{1, nil, 0},
		{2, []byte{0xfe}, 0},
		{2, []byte{0xff}, 1},
		{3, []byte{0xfb, 0xff, 0xfe}, 2},
		{128, []byte{0xff}, 127},
		{129, []byte{0x80}, 128},
		{129, []byte{0x81, 0xff, 0x00}, 0},
		{255, []byte{0xff, 0xfe}, 254},
		{256, []byte{0xff}, 255},
		{257, []byte{0x00, 0xff}, 0x0ff},
		{257, []byte{0xff, 0x00}, 0x100},
		{257, []byte{0x01, 0x01, 0xff, 0xff, 0xfe, 0x07}, 7},
		{65536, []byte{0xab, 0xcd}, 0xabcd},
		{65537, []byte{0xfe, 0xab, 0xcd}, 0xabcd},
		{65537, []byte{0x01, 0x00, 0x01, 0x01, 0x00, 0x00}, 65536},
		{math.MaxInt64, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 5}, 5},
	} {
		r := bytes.NewReader(tt.in)
		max := big.NewInt(tt.max)
		n, err := lrng.Int(r, max)
		if err != nil || n.Cmp(big.NewInt(tt.want)) != 0 {
			t.Errorf("max %d, %x: %v, %v; want %d", tt.max, tt.in, n, err, tt.want)
		}
		if r.Len() != 0 {
			t.Errorf("max %d, %x: %d bytes left", tt.max, tt.in, r.Len())
		}
		if !max.IsInt64() || max.Int64() != tt.max {
			t.Errorf("max %d was changed to %v", tt.max, max)
		}
	}
}

// From the same bytes comes the same number as of crypto/rand.
func TestIntLikeCryptoRand(t *testing.T) {
	check := func(max *big.Int) {
		t.Helper()
		ours, theirs := &counter{r: stream(2)}, &counter{r: stream(2)}
		got, err1 := lrng.Int(ours, max)
		want, err2 := cryptorand.Int(theirs, max)
		if err1 != nil || err2 != nil || got.Cmp(want) != 0 || *ours != (counter{ours.r, theirs.bytes, theirs.calls}) {
			t.Errorf("max %v: %v, %v with %d bytes; crypto/rand: %v, %v with %d bytes", max, got, err1, ours.bytes, want, err2, theirs.bytes)
		}
	}
	for i := range int64(600) {
		check(big.NewInt(i + 1))
	}
	one := big.NewInt(1)
	for i := uint(9); i < 600; i++ {
		n := pow2(i)
		check(n)
		check(new(big.Int).Sub(n, one))
		check(new(big.Int).Add(n, one))
	}
}

func TestIntErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		r    io.Reader
		want error
	}{
		{"failing", iotest.ErrReader(errReader), errReader},
		{"failing in the first try", io.MultiReader(bytes.NewReader([]byte{1}), iotest.ErrReader(errReader)), errReader},
		{"failing in the second try", io.MultiReader(bytes.NewReader([]byte{1, 0xff}), iotest.ErrReader(errReader)), errReader},
		{"empty", bytes.NewReader(nil), io.EOF},
		{"short", bytes.NewReader([]byte{1}), io.ErrUnexpectedEOF},
	} {
		if n, err := lrng.Int(tt.r, big.NewInt(257)); n != nil || !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, %v; want %v", tt.name, n, err, tt.want)
		}
	}
	if n, err := lrng.Int(iotest.ErrReader(errReader), big.NewInt(1)); err != nil || n.Sign() != 0 {
		t.Errorf("max 1 needs no bytes: %v, %v", n, err)
	}
}

// chiSquareLimit returns a bound that the chi-square statistic of n uniform
// values in k cells exceeds with probability below 2⁻⁶⁴. It is a proven one: the
// usual tables are of no use that far out. If no count is t or more away from
// n/k, the statistic is below k·t²/(n/k). By Bernstein's inequality a count is
// that far away with probability 2·exp(-t²/2/(v+t/3)), with its variance
// v = n/k·(1-1/k), and one of k counts with k times that.
func chiSquareLimit(n, k int) float64 {
	e := float64(n) / float64(k)
	v := e * (1 - 1/float64(k))
	l := 64*math.Ln2 + math.Log(2*float64(k))
	t := l/3 + math.Sqrt(l*l/9+2*v*l)
	return float64(k) * t * t / e
}

func chiSquare(counts []int) (sum float64) {
	n := 0
	for _, c := range counts {
		n += c
	}
	e := float64(n) / float64(len(counts))
	for _, c := range counts {
		sum += (float64(c) - e) * (float64(c) - e) / e
	}
	return sum
}

// A smoke test. It would notice bytes that are reduced modulo 192, or cut off at
// 191 instead of thrown away: both move the statistic by more than twice the
// limit.
func TestIntUniform(t *testing.T) {
	const n = 6000
	limit := func(counts []int) {
		t.Helper()
		if x, most := chiSquare(counts), chiSquareLimit(n, len(counts)); x > most {
			t.Errorf("%d cells: chi-square %.1f; the most is %.1f", len(counts), x, most)
		}
	}
	thirds := make([]int, 3)
	dice := make([]int, 6)
	all := make([]int, 192)
	for range n {
		v, err := lrng.Int(lrng.Reader, big.NewInt(192))
		if err != nil {
			t.Fatal(err)
		}
		all[v.Int64()]++
		thirds[v.Int64()/64]++
		dice[v.Int64()%6]++
	}
	limit(all)
	limit(thirds)
	limit(dice)

	for _, bad := range []struct {
		name string
		f    func(b byte) byte
	}{
		{"reduced", func(b byte) byte { return b % 192 }},
		{"cut off", func(b byte) byte { return min(b, 191) }},
	} {
		thirds := make([]int, 3)
		b := make([]byte, n)
		lrng.Read(b)
		for _, v := range b {
			thirds[bad.f(v)/64]++
		}
		// The expected statistic is n/8, and that of cutting off n/8, too.
		if x, most := chiSquare(thirds), chiSquareLimit(n, 3); x < most {
			t.Errorf("%s: chi-square %.1f would have passed", bad.name, x)
		}
	}
}

func isPrime(n int64) bool {
	for d := int64(2); d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return n > 1
}

// Every possible try, or for the longer of these primes a few thousand of them:
// the one that is prime with its two highest bits and its lowest one set is taken,
// after any other the reader is asked again. Bits that do not belong to the number
// are ignored.
func TestPrimeTries(t *testing.T) {
	tries := 1 << 14
	if testing.Short() || raceEnabled {
		tries = 1 << 11
	}
	for bits := 2; bits <= 20; bits++ {
		p := make([]byte, (bits+7)/8)
		unused := ^(byte(0xff) >> (8*len(p) - bits))
		taken := 0
		for v := 0; v < 1<<bits; v += max(1, 1<<bits/tries-1) {
			big.NewInt(int64(v)).FillBytes(p)
			if v%2 == 0 {
				p[0] |= unused
			}
			want := int64(v | 3<<(bits-2) | 1)
			r := bytes.NewReader(p)
			n, err := lrng.Prime(r, bits)
			if isPrime(want) {
				if err != nil || n.Cmp(big.NewInt(want)) != 0 {
					t.Fatalf("%d bits, %x: %v, %v; want %d", bits, p, n, err, want)
				}
				taken++
			} else if n != nil || err != io.EOF {
				t.Fatalf("%d bits, %x: %v, %v; want EOF, since %d is no prime", bits, p, n, err, want)
			}
			if r.Len() != 0 {
				t.Fatalf("%d bits, %x: %d bytes left", bits, p, r.Len())
			}
		}
		// Of two bits there is 3, of three 7, of four 13.
		if taken == 0 {
			t.Errorf("%d bits: no prime", bits)
		}
	}
}

func TestPrime(t *testing.T) {
	sizes := []int{2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 257, 521}
	for _, bits := range sizes {
		n, err := lrng.Prime(lrng.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		if n.BitLen() != bits || n.Bit(bits-2) != 1 || n.Bit(0) != 1 || !n.ProbablyPrime(0) {
			t.Errorf("%d bits: %v", bits, n)
		}
		// The reader that is given decides.
		a, errA := lrng.Prime(stream(3), bits)
		b, errB := lrng.Prime(stream(3), bits)
		c, errC := lrng.Prime(stream(4), bits)
		if errA != nil || errB != nil || errC != nil || a.Cmp(b) != 0 {
			t.Errorf("%d bits: %v and %v from the same bytes", bits, a, b)
		}
		// Of 128 bits and more there are over 2¹⁰⁰ primes.
		if bits >= 128 && a.Cmp(c) == 0 {
			t.Errorf("%d bits: %v from other bytes", bits, a)
		}
	}
}

// From the same bytes comes the same number as of crypto/rand, if that is told to
// read them at all. Two things remain different and are left out here: a byte that
// crypto/rand reads in every second call, and what it prefers not to do in FIPS
// mode.
func TestPrimeLikeCryptoRand(t *testing.T) {
	if fips140.Enforced() {
		t.Skip("crypto/rand refuses to make primes under fips140=only")
	}
	ignored := &counter{r: stream(5)}
	if _, err := cryptorand.Prime(ignored, 64); err != nil {
		t.Fatal(err)
	}
	t.Logf("without GODEBUG crypto/rand.Prime reads %d bytes", ignored.bytes)

	t.Setenv("GODEBUG", os.Getenv("GODEBUG")+",cryptocustomrand=1")
	for bits := 9; bits < 200; bits += 5 {
		got, err1 := lrng.Prime(&noSingles{stream(5)}, bits)
		want, err2 := cryptorand.Prime(&noSingles{stream(5)}, bits)
		if err1 != nil || err2 != nil || got.Cmp(want) != 0 {
			t.Errorf("%d bits: %v, %v; crypto/rand: %v, %v", bits, got, err1, want, err2)
		}
	}
}

// noSingles reads r, but not for reads of one byte.
type noSingles struct{ r io.Reader }

func (n *noSingles) Read(b []byte) (int, error) {
	if len(b) == 1 {
		b[0] = 0
		return 1, nil
	}
	return n.r.Read(b)
}

func TestPrimeErrors(t *testing.T) {
	for _, bits := range []int{1, 0, -1, math.MinInt} {
		c := &counter{r: stream(1)}
		n, err := lrng.Prime(c, bits)
		if n != nil || err == nil || !strings.Contains(err.Error(), fmt.Sprint(bits)) || c.calls != 0 {
			t.Errorf("%d bits: %v, %v with %d bytes", bits, n, err, c.bytes)
		}
	}
	if n, err := lrng.Prime(nil, 64); n != nil || err == nil {
		t.Errorf("nil reader: %v, %v", n, err)
	}
	composite := []byte{0xff, 0xff} // 3·5·17·257
	for _, tt := range []struct {
		name string
		r    io.Reader
		want error
	}{
		{"failing", iotest.ErrReader(errReader), errReader},
		{"failing in the first try", io.MultiReader(bytes.NewReader(composite[:1]), iotest.ErrReader(errReader)), errReader},
		{"failing in the second try", io.MultiReader(bytes.NewReader(composite), iotest.ErrReader(errReader)), errReader},
		{"empty", bytes.NewReader(nil), io.EOF},
		{"short", bytes.NewReader(composite[:1]), io.ErrUnexpectedEOF},
	} {
		if n, err := lrng.Prime(tt.r, 16); n != nil || !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, %v; want %v", tt.name, n, err, tt.want)
		}
	}
}

const base32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

// Each of 32 characters comes in each of 26 places. That one does not, in 1800
// texts, has a probability below 832·(31/32)¹⁸⁰⁰ < 2⁻⁷². A text that comes twice
// has one of 2⁻¹⁰⁹.
func TestText(t *testing.T) {
	const n = 1800
	var counts [26][32]int
	var all [32]int
	seen := make(map[string]bool)
	for range n {
		s := lrng.Text()
		if len(s) != 26 {
			t.Fatalf("%q has %d characters", s, len(s))
		}
		if seen[s] {
			t.Errorf("%q came twice", s)
		}
		seen[s] = true
		for i, c := range []byte(s) {
			v := strings.IndexByte(base32, c)
			if v < 0 {
				t.Fatalf("%q has a %q", s, c)
			}
			counts[i][v]++
			all[v]++
		}
	}
	for i := range counts {
		for v, c := range counts[i] {
			if c == 0 {
				t.Errorf("no %c in place %d", base32[v], i)
			}
		}
	}
	if x, most := chiSquare(all[:]), chiSquareLimit(26*n, 32); x > most {
		t.Errorf("chi-square %.1f; the most is %.1f", x, most)
	}
}

func TestTextUsesReader(t *testing.T) {
	old := cryptorand.Reader
	defer func() { cryptorand.Reader = old }()
	setReader(t, nil)
	for seed := range byte(100) {
		c := &counter{r: stream(seed)}
		lrng.Reader, cryptorand.Reader = c, stream(seed)
		if got, want := lrng.Text(), cryptorand.Text(); got != want {
			t.Errorf("%q; crypto/rand: %q", got, want)
		}
		if c.bytes != 26 {
			t.Errorf("read %d bytes", c.bytes)
		}
	}
	lrng.Reader = repeat{0, 1, 25, 26, 31, 32, 255}
	if got, want := lrng.Text(), "ABZ27A7ABZ27A7ABZ27A7ABZ27"; got != want {
		t.Errorf("%q; want %q", got, want)
	}
}
