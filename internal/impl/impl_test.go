package impl_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/lrng-go/lrng/internal/impl"
)

// The variables of three packages: one with two sets of features, of which the
// machine has the lesser, one that shares a name with it, and one without any.
var (
	wide, narrow = false, true
	other        = true
)

func init() {
	impl.Register("a", "wide", &wide)
	impl.Register("a", "narrow", &narrow)
	impl.Register("b", "narrow", &other)
}

func TestAllUsesOneAtATime(t *testing.T) {
	var got []string
	for name, ok := range impl.All("a") {
		got = append(got, fmt.Sprint(name, " ", ok, " ", wide, " ", narrow, " ", other))
	}
	want := []string{
		"wide false false false true",
		"narrow true false true true",
		"generic true false false true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAllWithoutAlternatives(t *testing.T) {
	n := 0
	for name, ok := range impl.All("none") {
		n++
		if name != impl.Generic || !ok {
			t.Errorf("got %q, %v", name, ok)
		}
	}
	if n != 1 {
		t.Errorf("got %d implementations, want 1", n)
	}
}

func TestAllRestores(t *testing.T) {
	for stop := range 4 {
		for _, before := range []bool{true, false} {
			narrow = before
			n := 0
			for range impl.All("a") {
				if n++; n == stop {
					break
				}
			}
			if narrow != before || wide {
				t.Errorf("left after %d steps: narrow %v, wide %v", stop, narrow, wide)
			}
		}
	}
	narrow = true

	func() {
		defer func() { recover() }()
		for range impl.All("a") {
			panic("in the loop")
		}
	}()
	if !narrow {
		t.Error("not restored after a panic")
	}
}
