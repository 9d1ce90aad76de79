package es

import (
	"errors"
	"testing"
)

// What was measured and the symbols of GetNoise are of one kind, from a real clock.
func TestJitterDeltas(t *testing.T) {
	j := NewJitter(JitterConfig{})
	defer j.Close()
	if g := j.Granularity(); g != 0 {
		t.Errorf("granularity %d before the first use", g)
	}
	deltas := make([]uint64, 1000)
	n, err := j.GetDeltas(deltas)
	if n != len(deltas) || err != nil {
		t.Fatal(n, err)
	}
	step := j.Granularity()
	if step == 0 {
		t.Fatal("no granularity")
	}
	symbols := make(map[byte]bool)
	for _, d := range deltas {
		if d == 0 {
			t.Fatal("no time passed")
		}
		symbols[byte(d/step)] = true
	}
	if len(symbols) < 3 {
		t.Errorf("%d symbols", len(symbols))
	}
	j.Close()
	if n, err := j.GetDeltas(deltas); n != 0 || !errors.Is(err, ErrUnavailable) {
		t.Errorf("after Close: %d, %v", n, err)
	}
	if g := j.Granularity(); g != 0 {
		t.Errorf("after Close: granularity %d", g)
	}
	bad := NewJitter(JitterConfig{OSR: -1})
	if n, err := bad.GetDeltas(deltas); n != 0 || err == nil || bad.Granularity() != 0 {
		t.Errorf("bad configuration: %d, %v", n, err)
	}
}
