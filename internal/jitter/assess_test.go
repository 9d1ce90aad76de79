package jitter

import (
	"bufio"
	"flag"
	"fmt"
	"math"
	"os"
	"testing"
)

// Data for an assessment with the tool of SP 800-90B: B6 of the standards digest.
// For instance
//
//	go test -run Assessment -raw raw.bin -restarts restarts.bin ./internal/jitter
//	ea_non_iid raw.bin 8
//	ea_restart restarts.bin 8 1
var (
	rawFile      = flag.String("raw", "", "write 1,000,000 consecutive raw samples, one a byte, to this file")
	restartsFile = flag.String("restarts", "", "write the first 1000 raw samples of 1000 restarts to this file")
	memorySize   = flag.Int("memory", DefaultMemory, "memory of the sources assessed, in bytes")
	runLength    = flag.Int("accesses", accesses, "memory accesses in a sample of the sources assessed")
)

// probed returns a source that is ready to deliver noise.
func probed(tb testing.TB, memory int) *Source {
	tb.Helper()
	s, err := New(Config{OSR: 3, Memory: memory})
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

func TestAssessment(t *testing.T) {
	if *rawFile == "" && *restartsFile == "" {
		t.Skip("-raw and -restarts are not set")
	}
	write := func(name string, rows, columns int) {
		if name == "" {
			return
		}
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		w := bufio.NewWriter(f)
		row := make([]byte, columns)
		memory := make([]byte, *memorySize)
		for range rows {
			// Every source has the same memory and the same sequence of
			// addresses: what looks random only because that does is the same in
			// all rows of the restart matrix, and missing in its columns.
			s := probed(t, *memorySize)
			clear(memory)
			s.noise.memory = memory
			s.noise.x = 1
			s.noise.accesses = *runLength
			for i := range row {
				row[i] = s.Noise()
			}
			w.Write(row) // the error is that of Flush
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write(*rawFile, 1, 1_000_000)
	write(*restartsFile, 1000, 1000)
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
func predicted(samples []byte) float64 {
	var counts [256][256]int
	var best [256]byte
	hits := 0
	for i := 1; i < len(samples); i++ {
		x, y := samples[i-1], samples[i]
		if best[x] == y {
			hits++
		}
		counts[x][y]++
		if counts[x][y] >= counts[x][best[x]] {
			best[x] = y
		}
	}
	return bound(hits, len(samples)-1)
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
	} {
		if math.Abs(tt.got-tt.want) > 0.05 {
			t.Errorf("%s: %.3f bits, want %.3f", tt.name, tt.got, tt.want)
		}
	}
}

// BenchmarkNoise measures the time of a sample and two estimates of its entropy.
// It is what the comment on the constant accesses quotes.
func BenchmarkNoise(b *testing.B) {
	for _, memory := range []int{1 << 16, 1 << 17, 1 << 18, 1 << 20} {
		for _, n := range []int{16, 32, 64, 128, 256} {
			b.Run(fmt.Sprintf("memory=%d/accesses=%d", memory, n), func(b *testing.B) {
				s := probed(b, memory)
				s.noise.accesses = n
				samples := make([]byte, 0, 1<<20)
				for b.Loop() {
					samples = append(samples, s.Noise())
				}
				b.ReportMetric(mostCommon(samples), "bits-MCV")
				b.ReportMetric(predicted(samples), "bits-predicted")
			})
		}
	}
}
