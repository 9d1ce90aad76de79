package jitter

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/lrng-go/lrng/internal/health"
)

// FuzzSource lets an attacker choose the durations. An input is pairs of a
// duration, which can be negative, and how often it comes; a count above 127
// stands for that many durations without a pattern.
//
// What must hold: no panic, no sample that counts within 1024 good ones of a
// start or an error, none that is zero, negative or equal to the one before, a higher
// OSR after each intermittent failure and only then, and after a permanent failure no
// other result.
func FuzzSource(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 255, 0, 0, 0, 0, 255})
	f.Fuzz(func(t *testing.T, in []byte) {
		var durations []uint64
		for ; len(in) >= 5 && len(durations) < 10000; in = in[5:] {
			d := uint64(int64(int32(binary.LittleEndian.Uint32(in))))
			for range in[4] & 0x7f {
				if in[4] > 0x7f {
					d = noisy(len(durations))
				}
				durations = append(durations, d)
			}
		}
		s, clock := newSource(t, 3, func(i int) uint64 { return durations[i] })
		good := 0 // samples since the start or an error
		var permanent error
		for i, d := range durations {
			osr := s.OSR()
			delta, counts, err := s.Next()
			if permanent != nil {
				if err != permanent || counts || delta != 0 {
					t.Fatalf("sample %d: %v after %v", i, err, permanent)
				}
				continue
			}
			if clock.samples() != i+1 {
				t.Fatalf("%d samples for %d calls", clock.samples(), i+1)
			}
			var failure *health.Failure
			if errors.As(err, &failure) {
				if failure.Permanent {
					permanent = err
				} else {
					osr++
				}
			}
			if s.OSR() != osr || osr > MaxOSR {
				t.Fatalf("sample %d: osr %d after %v, want %d", i, s.OSR(), err, osr)
			}
			if err != nil {
				if delta != 0 || counts || s.Ready() {
					t.Fatalf("sample %d: %d, counts: %v, ready: %v with %v", i, delta, counts, s.Ready(), err)
				}
				good = 0
				continue
			}
			if good++; s.Ready() && good < 1024 {
				t.Fatalf("sample %d: ready after %d", i, good)
			}
			if !counts {
				continue
			}
			if good <= 1024 || int64(d) <= 0 || d == durations[i-1] || delta != d {
				t.Fatalf("sample %d: %d counts, after %d good ones", i, int64(d), good)
			}
		}
	})
}
