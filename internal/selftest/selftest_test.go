package selftest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// testABC is the only test in this binary that is registered.
var testABC = New("SHA-256", "616263", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	func(in []byte) ([]byte, error) {
		h := sha256.Sum256(in)
		return h[:], nil
	})

func TestPass(t *testing.T) {
	for range 2 {
		if err := testABC.Once(); err != nil {
			t.Fatal(err)
		}
		if err := RunAll(); err != nil {
			t.Fatal(err)
		}
	}
	if Failed() != nil || len(All()) != 1 || All()[0].Name() != "SHA-256" {
		t.Errorf("failed: %v, %d tests", Failed(), len(All()))
	}
	remove := OnFailure(func() { t.Error("called without a failure") })
	remove()
}

func TestIsAnswer(t *testing.T) {
	want := testABC.Answer()
	if !IsAnswer(want) || !IsAnswer(want[:16]) {
		t.Error("a known answer is not recognised")
	}
	if IsAnswer(want[:15]) || IsAnswer(want[1:]) || IsAnswer(nil) {
		t.Error("something else is taken for a known answer")
	}
	if change(want); IsAnswer(want) {
		t.Error("a changed answer is taken for a known one")
	}
}

// Vectors are whole bytes in digits, without capital letters, and not empty.
func TestVector(t *testing.T) {
	if got := vector([]byte{1}, "0123456789abcdef"); !bytes.Equal(got, []byte{1, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}) {
		t.Errorf("%x", got)
	}
	for _, s := range []string{"", "0", "012", "0A", "A0", "0g", "g0", "0/", "0:", "0@", "0`", "00 0"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q is taken", s)
				}
			}()
			vector(nil, s)
		}()
	}
}

// All digits count, in both places.
func TestSame(t *testing.T) {
	const digits = "0123456789abcdef" + "fedcba9876543210"
	b := []byte{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10}
	if !same(b, digits) || !same(b[:3], digits) {
		t.Error("equal bytes differ")
	}
	for i := range b {
		for bit := range 8 {
			b[i] ^= 1 << bit
			if same(b, digits) {
				t.Errorf("bit %d of byte %d does not count", bit, i)
			}
			b[i] ^= 1 << bit
		}
	}
}

// Each kind of fault is found, is final, and is told to those who asked. In
// processes of their own, since it is final.
func TestFaults(t *testing.T) {
	faults := map[string]Fault{"wrong answer": WrongAnswer, "comparison": AgreeAlways, "depend on the input": IgnoreInput}
	if f, ok := faults[os.Getenv("SELFTEST_FAULT")]; ok {
		told := make(chan bool, 10)
		OnFailure(func() { told <- true })
		removed := OnFailure(func() { t.Error("told although it was taken off the list") })
		removed()
		if !TestingOnlyInject("SHA-256", f) || TestingOnlyInject("no such test", f) {
			t.Fatal("cannot inject")
		}
		first := testABC.Once()
		if !errors.Is(first, ErrFailed) || !strings.Contains(first.Error(), os.Getenv("SELFTEST_FAULT")) || !strings.Contains(first.Error(), "SHA-256") {
			t.Fatalf("got %v", first)
		}
		TestingOnlyInject("SHA-256", NoFault)
		if testABC.Run() != first || testABC.Once() != first || RunAll() != first || Failed() != first || Fail("other") != first {
			t.Error("the failure is not final")
		}
		OnFailure(func() { told <- true })
		<-told
		<-told
		time.Sleep(10 * time.Millisecond)
		if len(told) != 0 {
			t.Error("told more than once")
		}
		return
	}
	for name := range faults {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFaults$", "-test.v")
		cmd.Env = append(os.Environ(), "SELFTEST_FAULT="+name)
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("--- PASS: TestFaults")) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// A fault found by a test that passed before counts as well.
func TestPeriodicFailure(t *testing.T) {
	if os.Getenv("SELFTEST_LATER") != "" {
		if err := testABC.Once(); err != nil {
			t.Fatal(err)
		}
		TestingOnlyInject("SHA-256", WrongAnswer)
		if err := testABC.Once(); err != nil {
			t.Fatalf("Once ran again: %v", err)
		}
		if err := RunAll(); !errors.Is(err, ErrFailed) {
			t.Fatalf("got %v", err)
		}
		if err := testABC.Once(); !errors.Is(err, ErrFailed) {
			t.Fatalf("got %v", err)
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestPeriodicFailure$")
	cmd.Env = append(os.Environ(), "SELFTEST_LATER=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
