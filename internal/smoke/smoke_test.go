package smoke

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// failures returns the names of the statistics of p that fail.
func failures(t testing.TB, p []byte) (names []string) {
	t.Helper()
	list, err := Run(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		if !r.Passed() {
			names = append(names, r.Name)
		}
	}
	return names
}

// rc4 fills p with RC4, which gets a new key for each 16 bytes: its second byte is 0 twice
// as often as it should be (Mantin and Shamir, 2001).
func rc4(p []byte) {
	keys := rand.NewChaCha8([32]byte{4})
	for ; len(p) > 0; p = p[min(16, len(p)):] {
		var key [16]byte
		keys.Read(key[:])
		var s [256]byte
		for i := range s {
			s[i] = byte(i)
		}
		j := byte(0)
		for i := range s {
			j += s[i] + key[i%16]
			s[i], s[j] = s[j], s[i]
		}
		j = 0
		for i := range min(16, len(p)) {
			k := byte(i + 1)
			j += s[k]
			s[k], s[j] = s[j], s[k]
			p[i] = s[s[k]+s[j]]
		}
	}
}

// Generators that are broken in one way each, and the statistic that finds it. All are
// good but for that, so that the others have less to find.
var broken = []struct {
	name  string
	spoil func(p []byte)
	found string // the beginning of the name
}{
	{"stuck", func(p []byte) { clear(p) }, "monobit"},
	{"stuck at 55", func(p []byte) { copy(p, bytes.Repeat([]byte{0x55}, len(p))) }, "bits 1 apart"},
	{"one bit in 100 set", func(p []byte) {
		r := rand.New(rand.NewPCG(1, 1))
		for i := range p {
			if r.IntN(100/8) == 0 {
				p[i] |= 1 << r.IntN(8)
			}
		}
	}, "monobit"},
	{"counter", func(p []byte) {
		for i := 0; i+4 <= len(p); i += 4 {
			binary.LittleEndian.PutUint32(p[i:], uint32(i))
		}
	}, "chi-square of pairs"},
	{"hexadecimal", func(p []byte) {
		copy(p, hex.EncodeToString(p[:len(p)/2]))
	}, "bytes saved by compression"},
	{"RC4", rc4, "chi-square of bytes, place 1 of 64"},
	{"no zeros", func(p []byte) {
		for i := range p {
			p[i] = max(p[i], 1)
		}
	}, "chi-square of bytes"},
	{"modulo 255", func(p []byte) {
		for i := range p {
			p[i] %= 255
		}
	}, "mean of bytes"},
	{"last byte of a block not filled in", func(p []byte) {
		for i := 31; i < len(p); i += 32 {
			p[i] = 0
		}
	}, "chi-square of bytes, place 31 of 64"},
	{"a request comes twice", func(p []byte) { copy(p[len(p)/2/16*16:], p[1600:1600+4096]) }, "blocks of 16 bytes that came before"},
	{"a period of 80 KiB", func(p []byte) {
		for i := 80 << 10; i < len(p); i++ {
			p[i] = p[i-80<<10]
		}
	}, "blocks of 16 bytes that came before"},
	{"like the byte before", func(p []byte) {
		r := rand.New(rand.NewPCG(1, 2))
		for i := 1; i < len(p); i++ {
			if r.IntN(64) == 0 {
				p[i] = p[i-1]
			}
		}
	}, "serial correlation"},
	{"like 16 bytes before", func(p []byte) {
		r := rand.New(rand.NewPCG(1, 2))
		for i := 16; i < len(p); i++ {
			if r.IntN(64) == 0 {
				p[i] = p[i-16]
			}
		}
	}, "bits 128 apart"},
	{"a block in 8 has too long a run", func(p []byte) {
		for i := 500; i+4 < len(p); i += 8 * BlockSize {
			clear(p[i : i+4])
		}
	}, "FIPS 140-2 blocks"},
}

// Each test fails, and finds what it is for.
func TestBroken(t *testing.T) {
	const size = 1_000_000
	good := fair(size)
	if !testing.Short() {
		good = fair(8 * size)
	}
	if names := failures(t, good); len(names) > 0 {
		t.Fatalf("a good generator fails: %q", names)
	}
	found := map[string]bool{}
	for _, tt := range broken {
		p := bytes.Clone(good[:size])
		if tt.name == "RC4" { // has a small fault
			if testing.Short() {
				continue
			}
			p = bytes.Clone(good)
		}
		tt.spoil(p)
		names := failures(t, p)
		ok := false
		for _, name := range names {
			ok = ok || strings.HasPrefix(name, tt.found)
		}
		if !ok {
			t.Errorf("%s: found by %q; want %s", tt.name, names, tt.found)
		}
		t.Logf("%s: %d statistics fail", tt.name, len(names))
		found[tt.found] = true
	}
	// No statistic is without a generator that fails it.
	for _, want := range []string{"monobit", "bits ", "chi-square of bytes, place", "chi-square of bytes", "chi-square of pairs", "mean of bytes", "serial correlation", "bytes saved", "blocks of 16", "FIPS 140-2"} {
		ok := false
		for name := range found {
			ok = ok || strings.HasPrefix(name, want)
		}
		if !ok {
			t.Errorf("no generator here fails %q", want)
		}
	}
}

// The statistics of small inputs, computed in the words of their definition.
func TestStatistics(t *testing.T) {
	for _, n := range []int{25_000, 25_001, 25_007, 131_079} {
		p := fair(n)
		list, err := Run(p)
		if err != nil {
			t.Fatal(err)
		}
		value := map[string]float64{}
		for _, r := range list {
			if !r.Passed() || !(r.Low < r.High) && r.High != 0 {
				t.Errorf("%d bytes: %v", n, r)
			}
			value[r.Name] = r.Value
		}
		if len(list) > 1<<8 || len(value) != len(list) {
			t.Errorf("%d results with %d names", len(list), len(value))
		}
		bit := func(i int) float64 { return float64(2*int(p[i/8]>>(i%8)&1) - 1) }
		near := func(name string, want float64) {
			t.Helper()
			if got, ok := value[name]; !ok || math.Abs(got-want) > 1e-9*max(1, math.Abs(want)) {
				t.Errorf("%d bytes: %s: %v; want %v", n, name, got, want)
			}
		}
		sum := 0.0
		for i := range 8 * n {
			sum += bit(i)
		}
		near("monobit", sum/math.Sqrt(8*float64(n)))
		for name, d := range map[string]int{"bits 1 apart": 1, "bits 7 apart": 7, "bits 8 apart": 8, "bits 15 apart": 15, "bits 64 apart": 64, "bits 440 apart": 440, "bits 8192 apart": 8192} {
			sum, m := 0.0, 8*n-d
			for i := range m {
				sum += bit(i) * bit(i+d)
			}
			near(name, sum/math.Sqrt(float64(m)))
		}
		mean, correlation := 0.0, 0.0
		var counts, third [256]float64
		for i, b := range p {
			mean += float64(b) - 127.5
			counts[b]++
			if i%64 == 3 {
				third[b]++
			}
			if i > 0 {
				correlation += (float64(b) - 127.5) * (float64(p[i-1]) - 127.5)
			}
		}
		near("mean of bytes", mean/math.Sqrt(float64(n)*5461.25))
		near("serial correlation of bytes", correlation/5461.25/math.Sqrt(1.2*float64(n-1)))
		chi := func(counts [256]float64) (x float64) {
			total := 0.0
			for _, c := range counts {
				total += c
			}
			for _, c := range counts {
				x += (c - total/256) * (c - total/256) / (total / 256)
			}
			return x
		}
		near("chi-square of bytes", chi(counts))
		if n/64/256 >= 5 {
			near("chi-square of bytes, place 3 of 64", chi(third))
		}
	}
	if _, err := Run(make([]byte, 10*BlockSize-1)); err == nil {
		t.Error("too few bytes are no error")
	}
	for _, r := range []Result{{"", math.NaN(), 0, 1}, {"", 2, 0, 1}, {"", -1, 0, 1}} {
		if r.Passed() {
			t.Errorf("%v passes", r)
		}
	}
}

// How many blocks may fail: one more is as improbable as it has to be, and one less is not,
// by the exact binomial distribution and within the slack of Chernoff's bound.
func TestBlockLimit(t *testing.T) {
	for _, n := range []int{10, 200, 10_000, 100_000} {
		tail := func(k int) (p float64) {
			for i := k; i <= n && i < k+1000; i++ {
				p += math.Exp(logBinomial(n, i) + float64(i)*math.Log(BlockProbability) + float64(n-i)*math.Log1p(-BlockProbability))
			}
			return -math.Log2(p)
		}
		limit := blockLimit(n)
		if above := tail(limit + 1); above < alpha || above > alpha+8 {
			t.Errorf("%d blocks: more than %d fail with a probability of 2^-%.1f", n, limit, above)
		}
	}
}

func BenchmarkRun(b *testing.B) {
	p := fair(25_000_000)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		if _, err := Run(p); err != nil {
			b.Fatal(err)
		}
	}
}
