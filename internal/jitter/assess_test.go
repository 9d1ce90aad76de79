package jitter

import (
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
	"time"
)

// Measurements for an assessment of the noise, and data for the tool of SP 800-90B (B6
// of the standards digest). For instance
//
//	go test ./internal/jitter -run Assessment -v -assess
//	go test ./internal/jitter -run Assessment -noise 1 -raw raw.bin -restarts restarts.bin
//	ea_non_iid raw.bin 8
//	ea_restart restarts.bin 8 1
var (
	assess       = flag.Bool("assess", false, "print estimates for each noise; the package comment has those of many runs")
	rawFile      = flag.String("raw", "", "write 1,000,000 consecutive raw samples, one a byte, to this file")
	restartsFile = flag.String("restarts", "", "write the first 1000 raw samples of 1000 restarts to this file")
	noiseKind    = flag.Int("noise", int(Mixed), "noise of the files: 0 mixed, 1 memory, 2 hash")
	memorySize   = flag.Int("memory", DefaultMemory, "memory of the sources assessed, in bytes")
)

// probed returns a source that is ready to deliver noise.
func probed(tb testing.TB, kind Noise, memory int) *Source {
	tb.Helper()
	s, err := New(Config{Noise: kind, OSR: 3, Memory: memory})
	if err != nil {
		tb.Fatal(err)
	}
	for !s.Probed() {
		if _, _, err := s.Next(); err != nil {
			tb.Skip(err)
		}
	}
	return s
}

// consecutive returns a number of consecutive samples, the mean time of one, and the
// part of them that is stuck.
func consecutive(tb testing.TB, kind Noise, memory, n int) (samples []byte, each time.Duration, stuck float64) {
	s := probed(tb, kind, memory)
	samples = make([]byte, n)
	stuckN := 0
	start := time.Now()
	for i := range samples {
		delta, _ := s.next()
		samples[i] = s.symbol(delta)
		if s.stuck.Next(delta) {
			stuckN++
		}
	}
	return samples, time.Since(start) / time.Duration(n), float64(stuckN) / float64(n)
}

// restarts returns the first samples of a number of restarts, one a row. Every source
// has the same memory, the same sequence of addresses and the same hashes: what looks
// random only because those do is the same in all rows, and missing in the columns.
func restarts(tb testing.TB, kind Noise, memory, rows, columns int) [][]byte {
	same := make([]byte, memory)
	matrix := make([][]byte, rows)
	for i := range matrix {
		s := probed(tb, kind, memory)
		if s.noise.memory != nil {
			clear(same)
			s.noise.memory = same
		}
		s.noise.x, s.noise.state = 1, [32]byte{}
		matrix[i] = make([]byte, columns)
		for j := range matrix[i] {
			matrix[i][j], _ = s.Noise()
		}
	}
	return matrix
}

func TestAssessment(t *testing.T) {
	if !*assess && *rawFile == "" && *restartsFile == "" {
		t.Skip("-assess, -raw and -restarts are not set")
	}
	kind := Noise(*noiseKind)
	if *rawFile != "" {
		samples, _, _ := consecutive(t, kind, *memorySize, 1_000_000)
		if err := os.WriteFile(*rawFile, samples, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if *restartsFile != "" {
		matrix := restarts(t, kind, *memorySize, 1000, 1000)
		if err := os.WriteFile(*restartsFile, slices.Concat(matrix...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !*assess {
		return
	}
	for kind, name := range []string{Mixed: "mixed", Memory: "memory", Hash: "hash"} {
		samples, each, stuck := consecutive(t, Noise(kind), *memorySize, 1_000_000)
		mean, least := columns(restarts(t, Noise(kind), *memorySize, 1000, 1000))
		t.Logf("%-6s %4d ns, %2.0f %% stuck, bits: most common value %.2f, pairs %.2f, sample before %.2f, lag %.2f, columns %.2f, the least %.2f",
			name, each.Nanoseconds(), 100*stuck, mostCommon(samples), pairs(samples), predicted(samples), lagged(samples), mean, least)
	}

	// What a sample of one noise says of that of the other which is next to it, and, for
	// comparison, of one that is far away.
	const n, far = 1_000_000, 1000
	a, b := interleaved(t, Memory, Hash, *memorySize, n)
	t.Logf("hash   given the memory sample before %.2f bits, given another %.2f; memory given the hash sample before %.2f bits, given another %.2f",
		given(a[far:], b[far:]), given(a[:n-far], b[far:]), given(b[far-1:n-1], a[far:]), given(b[:n-far], a[far:]))
}

// columns returns the mean of the most common value estimates of the columns of a
// restart matrix, and the least of them.
func columns(matrix [][]byte) (mean, least float64) {
	least = math.Inf(1)
	column := make([]byte, len(matrix))
	for j := range matrix[0] {
		for i, row := range matrix {
			column[i] = row[j]
		}
		h := mostCommon(column)
		mean += h / float64(len(matrix[0]))
		least = min(least, h)
	}
	return mean, least
}

// pairs is the most common value estimate for pairs of samples, for one of the two.
func pairs(samples []byte) float64 {
	var counts [1 << 16]int
	most := 0
	for i := 0; i+1 < len(samples); i += 2 {
		x := int(samples[i])<<8 | int(samples[i+1])
		counts[x]++
		most = max(most, counts[x])
	}
	return bound(most, len(samples)/2) / 2
}

// lagged is the estimate of a predictor that knows which of the 128 samples before was
// most often the same: the lag estimate of Section 6.3.8 without the local one.
func lagged(samples []byte) float64 {
	best := 0
	for d := 1; d <= 128; d++ {
		hits := 0
		for i := d; i < len(samples); i++ {
			if samples[i] == samples[i-d] {
				hits++
			}
		}
		best = max(best, hits)
	}
	return bound(best, len(samples))
}

// mostCommon is the most common value estimate, SP 800-90B, Section 6.3.1.
func mostCommon(samples []byte) float64 {
	var counts [256]int
	for _, x := range samples {
		counts[x]++
	}
	most := 0
	for _, c := range counts {
		most = max(most, c)
	}
	return bound(most, len(samples))
}

// predicted is the estimate of a predictor that knows the sample before, and what
// followed it most often until then: MultiMMC of Section 6.3.9 with depth 1 and
// without the local estimate.
func predicted(samples []byte) float64 { return given(samples[:len(samples)-1], samples[1:]) }

// given is the estimate for samples of a predictor that knows with each of them the
// byte of known, and what came with that most often until then.
func given(known, samples []byte) float64 {
	var counts [256][256]int
	var best [256]byte
	hits := 0
	for i, y := range samples {
		x := known[i]
		if best[x] == y {
			hits++
		}
		counts[x][y]++
		if counts[x][y] >= counts[x][best[x]] {
			best[x] = y
		}
	}
	return bound(hits, len(samples))
}

// interleaved returns as many samples of one noise as of the other, taken in turn: a
// sample of b follows each of a.
func interleaved(tb testing.TB, a, b Noise, memory, n int) (first, second []byte) {
	s, r := probed(tb, a, memory), probed(tb, b, memory)
	first, second = make([]byte, n), make([]byte, n)
	for i := range first {
		first[i], _ = s.Noise()
		second[i], _ = r.Noise()
	}
	return first, second
}

// bound returns the min-entropy for k hits in n, with the upper end of the 99 %
// interval as the probability.
func bound(k, n int) float64 {
	p := float64(k) / float64(n)
	return -math.Log2(min(1, p+2.576*math.Sqrt(p*(1-p)/float64(n-1))))
}

// The estimates of the assessment tests are checked with distributions of known
// entropy: 2 bits, and 2 bits of which the sample before tells all but one.
func TestEstimates(t *testing.T) {
	x := uint32(1)
	random := func() byte { // the upper bits of an LCG (Numerical Recipes)
		x = 1664525*x + 1013904223
		return byte(x >> 24)
	}
	iid, chain := make([]byte, 100000), make([]byte, 100000)
	for i := range iid {
		iid[i] = random() & 3
		if i > 0 {
			chain[i] = (chain[i-1] + random()&1) & 3
		}
	}
	for _, tt := range []struct {
		name string
		got  float64
		want float64
	}{
		{"most common value, independent", mostCommon(iid), 2},
		{"prediction, independent", predicted(iid), 2},
		{"most common value, chain", mostCommon(chain), 2},
		{"prediction, chain", predicted(chain), 1},
		{"given another, independent", given(iid[1000:], iid[:99000]), 2},
		{"given itself", given(iid, iid), 0},
		{"pairs, independent", pairs(iid), 2},
		{"pairs, chain", pairs(chain), 1.5},
		{"lag, independent", lagged(iid), 2},
		{"lag, period of 100", lagged(slices.Repeat(iid[:100], 1000)), 0},
	} {
		if math.Abs(tt.got-tt.want) > 0.05 {
			t.Errorf("%s: %.3f bits, want %.3f", tt.name, tt.got, tt.want)
		}
	}
}

// BenchmarkNoise measures the time of a sample and two estimates of its entropy, for
// each noise, and for runs that are longer.
func BenchmarkNoise(b *testing.B) {
	for kind, name := range []string{Mixed: "mixed", Memory: "memory", Hash: "hash"} {
		for _, memory := range []int{1 << 17, 1 << 18, 1 << 20} {
			for _, length := range []int{1, 2, 4} {
				if Noise(kind) == Hash && memory != DefaultMemory {
					continue
				}
				b.Run(fmt.Sprintf("noise=%s/memory=%d/length=%d", name, memory, length), func(b *testing.B) {
					s := probed(b, Noise(kind), memory)
					s.noise.length = length
					samples := make([]byte, 0, 1<<20)
					for b.Loop() {
						symbol, _ := s.Noise()
						samples = append(samples, symbol)
					}
					b.ReportMetric(mostCommon(samples), "bits-MCV")
					b.ReportMetric(predicted(samples), "bits-predicted")
				})
			}
		}
	}
}
