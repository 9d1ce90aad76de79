package lrng_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/internal/selftest"
	"github.com/lrng-go/lrng/seeding"
)

// In each child a self-test fails at another time. The failure is final for a process,
// so each has one of its own.
func TestSelfTestFailure(t *testing.T) {
	needsFreedom(t)
	children := map[string]func(*testing.T){
		"before first use": failBeforeUse,
		"on demand":        failOnDemand,
		"periodically":     failPeriodically,
		"while waiting":    failWhileWaiting,
		"known answer":     failKnownAnswer,
	}
	if f, ok := children[os.Getenv("LRNG_TEST_SELFTEST")]; ok {
		f(t)
		return
	}
	for name := range children {
		cmd := exec.Command(os.Args[0], "-test.run=^TestSelfTestFailure$", "-test.v")
		cmd.Env = append(os.Environ(), "LRNG_TEST_SELFTEST="+name)
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("--- PASS: TestSelfTestFailure")) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// mustBeOver wants every call to fail with ErrSelfTest, and nothing in a buffer.
func mustBeOver(t *testing.T, r *lrng.RNG) {
	t.Helper()
	mustRefuse(t, r, lrng.ErrSelfTest)
	mustRefuse(t, r.Nonblocking(), lrng.ErrSelfTest)
	mustRefuse(t, r.PredictionResistant(), lrng.ErrSelfTest)
	mustRefuse(t, r.SeedReader(), lrng.ErrSelfTest)
	seed, credit, err := r.GetSeed(t.Context(), 256)
	if seed != nil || credit != 0 || !errors.Is(err, lrng.ErrSelfTest) {
		t.Errorf("GetSeed: %d bytes, %d, %v", len(seed), credit, err)
	}
	for name, err := range map[string]error{
		"Wait":       r.Wait(t.Context(), seeding.InitiallySeeded),
		"Reseed":     r.Reseed(t.Context()),
		"AddEntropy": r.AddEntropy([]byte{1}, 1),
		"SelfTest":   r.SelfTest(),
		"SetDRNG":    r.SetDRNG(mechanisms()["XDRBG-256"]),
	} {
		if !errors.Is(err, lrng.ErrSelfTest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if other, err := lrng.New(one(fake("b"))); other != nil || !errors.Is(err, lrng.ErrSelfTest) {
		t.Errorf("New: %v", err)
	}
	if st := r.Status(); st.SelfTest == "passed" || st.Level != seeding.Unseeded || !strings.Contains(st.String(), "Self-tests: lrng: self-test failed") {
		t.Errorf("status: %s, %v", st.SelfTest, st.Level)
	}
	if err := r.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func failBeforeUse(t *testing.T) {
	r := newRNG(t, one(fake("a")))
	if !selftest.TestingOnlyInject("ChaCha20", selftest.WrongAnswer) {
		t.Fatal("there is no such test")
	}
	mustRefuse(t, r, lrng.ErrSelfTest)
	mustBeOver(t, r)
}

func failOnDemand(t *testing.T) {
	r, other := newRNG(t, one(fake("a"))), newRNG(t, one(fake("a")))
	mustRead(t, r, 16)
	mustRead(t, other, 16)
	if err := r.SelfTest(); err != nil {
		t.Fatal(err)
	}
	if got := r.Status().SelfTests; got != 1 {
		t.Errorf("%d runs", got)
	}
	// A test of an algorithm that is not even in use.
	selftest.TestingOnlyInject("SHA3-384", selftest.AgreeAlways)
	if err := r.SelfTest(); !errors.Is(err, lrng.ErrSelfTest) || !strings.Contains(err.Error(), "SHA3-384") {
		t.Fatalf("got %v", err)
	}
	mustBeOver(t, r)
	mustBeOver(t, other)
}

// The tests are repeated every ten minutes of use, and not without use.
func failPeriodically(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := one(fake("a"))
		c.ReseedInterval = time.Hour
		r := newRNG(t, c)
		mustRead(t, r, 16)
		time.Sleep(9 * time.Minute)
		mustRead(t, r, 16)
		synctest.Wait()
		if got := r.Status().SelfTests; got != 0 {
			t.Errorf("%d runs in 9 minutes", got)
		}
		time.Sleep(2 * time.Minute)
		mustRead(t, r, 16)
		synctest.Wait()
		if got := r.Status().SelfTests; got != 1 {
			t.Errorf("%d runs in 11 minutes", got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := r.Status().SelfTests; got != 1 {
			t.Errorf("%d runs without a request", got)
		}
		selftest.TestingOnlyInject("HMAC_DRBG SHA-384", selftest.IgnoreInput)
		mustRead(t, r, 16) // finds that they are due
		synctest.Wait()
		mustBeOver(t, r)
	})
}

// Those who wait are told.
func failWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := fake("a")
		src.SetDead(errDead)
		r := newRNG(t, one(src))
		results := make(chan error, 3)
		go func() { _, err := r.Read(make([]byte, 8)); results <- err }()
		go func() { _, _, err := r.GetSeed(t.Context(), 256); results <- err }()
		go func() { results <- r.Wait(t.Context(), seeding.MinimallySeeded) }()
		time.Sleep(time.Minute)
		selftest.Fail("injected")
		for range cap(results) {
			if err := <-results; !errors.Is(err, lrng.ErrSelfTest) {
				t.Errorf("got %v", err)
			}
		}
		mustBeOver(t, r)
	})
}

// A generator whose first output is a known answer was seeded by a test, or hands out
// what a test left behind (T19).
func failKnownAnswer(t *testing.T) {
	c := one(fake("a"))
	c.DRNG = func() (drng.DRNG, error) { return &parrot{drng.NewChaCha20()}, nil }
	r := newRNG(t, c)
	b := make([]byte, 32)
	if n, err := r.Read(b); n != 0 || !errors.Is(err, lrng.ErrSelfTest) || !bytes.Equal(b, make([]byte, 32)) {
		t.Fatalf("%d, %v, %x", n, err, b)
	}
	mustBeOver(t, r)
}

// A parrot generates the answer of the self-test of SHA-256.
type parrot struct{ *drng.ChaCha20 }

func (p *parrot) Generate(out, additional []byte) error {
	if err := p.ChaCha20.Generate(out, additional); err != nil {
		return err
	}
	for _, test := range selftest.All() {
		if test.Name() == "SHA-256" {
			copy(out, test.Answer())
		}
	}
	return nil
}

func TestSelfTest(t *testing.T) {
	r := newRNG(t, one(fake("a")))
	for i := range 3 {
		if err := r.SelfTest(); err != nil {
			t.Fatal(err)
		}
		mustRead(t, r, 16)
		if st := r.Status(); st.SelfTests != uint64(i+1) || st.SelfTest != "passed" {
			t.Errorf("status: %d runs, %s", st.SelfTests, st.SelfTest)
		}
	}
	r.Close()
	if err := r.SelfTest(); !errors.Is(err, lrng.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
