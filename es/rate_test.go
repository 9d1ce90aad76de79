package es

import (
	"math"
	"testing"
)

func TestRateField(t *testing.T) {
	for _, tt := range []struct {
		field int
		want  rate
		ok    bool
	}{{0, 8, true}, {-1, 0, true}, {math.MinInt, 0, true}, {1, 1, true}, {256, 256, true}, {257, 0, false}, {math.MaxInt, 0, false}} {
		got, err := newRate("TestConfig", tt.field, 8)
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("Rate %d: got %d, %v", tt.field, got, err)
		}
	}
}

// The examples are those of LRNG: jitter at rate 16 asked for 384 bits yields
// 24, the CPU at 256 yields 384, at 8 and asked for 256 it yields 8.
func TestRateCredit(t *testing.T) {
	for _, tt := range []struct {
		r                rate
		size, bits, want int
	}{
		{16, 48, 384, 24}, {256, 48, 384, 384}, {8, 32, 256, 8},
		{256, 32, 256, 256}, {256, 31, 256, 248}, {256, 32, 255, 255},
		{256, 64, 512, 512}, {256, 65, 520, 512}, {256, math.MaxInt, math.MaxInt, 512},
		{0, 32, 256, 0}, {256, 0, 256, 0}, {256, 32, 0, 0}, {256, 32, -1, 0},
	} {
		if got := tt.r.credit(tt.size, tt.bits); got != tt.want {
			t.Errorf("rate %d, %d bytes, %d bits: credit %d, want %d", tt.r, tt.size, tt.bits, got, tt.want)
		}
		if tt.want > tt.r.max() {
			t.Errorf("rate %d: max %d is below a credit of %d", tt.r, tt.r.max(), tt.want)
		}
	}
	for _, tt := range []struct {
		r          rate
		bits, want int
	}{{16, 384, 24}, {256, 256, 256}, {256, math.MaxInt, 512}, {8, -5, 0}, {0, 256, 0}} {
		if got := tt.r.available(tt.bits); got != tt.want {
			t.Errorf("rate %d, %d bits: available %d, want %d", tt.r, tt.bits, got, tt.want)
		}
	}
}
