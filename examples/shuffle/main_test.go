package main

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/lrngtest"
)

func TestPack(t *testing.T) {
	var first, second strings.Builder
	for _, w := range []*strings.Builder{&first, &second} {
		if err := run(w, pack(), lrng.Default()); err != nil {
			t.Fatal(err)
		}
	}
	want := slices.Sorted(slices.Values(pack()))
	if got := slices.Sorted(slices.Values(strings.Fields(first.String()))); len(want) != 52 || !slices.Equal(got, want) {
		t.Errorf("not the cards of a pack: %s", first.String())
	}
	if first.String() == second.String() {
		t.Error("twice the same order")
	}
}

// The test of a user's program: one seed, one order.
func TestRepeatable(t *testing.T) {
	orders := make(map[string]bool)
	for _, seed := range []string{"a", "a", "b"} {
		var b strings.Builder
		if err := run(&b, pack(), lrngtest.Reader(t, seed)); err != nil {
			t.Fatal(err)
		}
		orders[b.String()] = true
	}
	if len(orders) != 2 {
		t.Errorf("%d orders of two seeds", len(orders))
	}
}

// The 24 orders of four items come equally often: 200 times each, σ = 14. One of them is
// below 85 or above 345 in less than one of 2⁶⁰ runs.
func TestUniform(t *testing.T) {
	counts := make(map[string]int)
	for range 4800 {
		var b strings.Builder
		if err := run(&b, []string{"a", "b", "c", "d"}, lrng.Default()); err != nil {
			t.Fatal(err)
		}
		counts[b.String()]++
	}
	for order, n := range counts {
		if n < 85 || n > 345 {
			t.Errorf("%q: %d times", order, n)
		}
	}
	if len(counts) != 24 {
		t.Errorf("%d orders", len(counts))
	}
}

func TestFew(t *testing.T) {
	for _, items := range [][]string{nil, {"a"}} {
		var b strings.Builder
		if err := run(&b, slices.Clone(items), lrng.Default()); err != nil || b.String() != strings.Join(items, " ")+"\n" {
			t.Errorf("%q: %q, %v", items, b.String(), err)
		}
	}
	if err := run(failingWriter{}, nil, lrng.Default()); err != errTest {
		t.Errorf("to a writer that fails: %v", err)
	}
}

var errTest = errors.New("test")

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errTest }
