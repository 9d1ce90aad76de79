package conditioner_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lrng-go/lrng/internal/selftest"
	"github.com/lrng-go/lrng/internal/selftest/faults"
)

// A selfTester is what users of a conditioner look for.
type selfTester interface{ SelfTest() error }

// Each component has a test of its own, under its name. TestKnownAnswers has the same
// messages and answers, checked against another implementation.
func TestSelfTestOfEachComponent(t *testing.T) {
	if n := len(selftest.All()); n != len(components) {
		t.Errorf("%d tests for %d components", n, len(components))
	}
	for i, tt := range components {
		test := selftest.All()[i]
		if test.Name() != tt.name {
			t.Errorf("test %d is for %s, want %s", i, test.Name(), tt.name)
		}
		if n := len(test.Answer()); n != tt.width/8 {
			t.Errorf("%s: the answer has %d bytes, want %d", tt.name, n, tt.width/8)
		}
		// The padding of SHA-2 is a bit and the length in an eighth of a block.
		if n := len(test.Input()); n+1+tt.block/8 <= tt.block {
			t.Errorf("%s: a message of %d bytes takes one block only", tt.name, n)
		}
		h := tt.c.New()
		h.Write(test.Input())
		if got := h.Sum(nil); string(got) != string(test.Answer()) {
			t.Errorf("%s: the answer is %x, want %x", tt.name, got, test.Answer())
		}
		if err := test.Run(); err != nil {
			t.Error(err)
		}
		if err := tt.c.(selfTester).SelfTest(); err != nil {
			t.Error(err)
		}
	}
}

// A21: the self-test of a component that fails says so, and then those of all.
func TestSelfTestFaults(t *testing.T) {
	if name, fault := faults.Injected(); name != "" {
		for _, tt := range components {
			if tt.name != name {
				if err := tt.c.(selfTester).SelfTest(); err != nil {
					t.Errorf("%s, before the failure: %v", tt.name, err)
				}
			}
		}
		for _, tt := range components {
			if tt.name != name {
				continue
			}
			err := tt.c.(selfTester).SelfTest()
			if !errors.Is(err, selftest.ErrFailed) || !strings.Contains(fmt.Sprint(err), name+": ") || !strings.Contains(fmt.Sprint(err), faults.Messages[fault]) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, tt := range components {
			if err := tt.c.(selfTester).SelfTest(); !errors.Is(err, selftest.Failed()) {
				t.Errorf("%s, after the failure: %v", tt.name, err)
			}
			if tt.c.New() == nil {
				t.Errorf("%s, after the failure: New returned nil", tt.name)
			}
		}
		return
	}
	if !faults.Supported() {
		t.Skip("no processes here")
	}
	if err := faults.Run("TestSelfTestFaults", testing.Short()); err != nil {
		t.Error(err)
	}
}

func BenchmarkSelfTest(b *testing.B) {
	for _, test := range selftest.All() {
		b.Run("hash="+test.Name(), func(b *testing.B) {
			for b.Loop() {
				if err := test.Run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
