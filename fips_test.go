package lrng_test

import (
	"bytes"
	"crypto/fips140"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
	"github.com/lrng-go/lrng/seeding"
)

// certifiedFake is a fake for which somebody declares a certificate.
type certifiedFake struct {
	*estest.Fake
	certificate string
}

func (c certifiedFake) Certificate() string { return c.certificate }

// Each mode of Config.FIPS in each mode of the process. The process decides at its
// start, so this runs the test binary again.
func TestFIPS(t *testing.T) {
	modes := map[string]func(*testing.T){"off": fipsOff, "on": fipsOn, "only": fipsOnly}
	if f, ok := modes[os.Getenv("LRNG_TEST_FIPS")]; ok {
		f(t)
		return
	}
	for mode := range modes {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFIPS$", "-test.v")
		cmd.Env = append(os.Environ(), "LRNG_TEST_FIPS="+mode, "GODEBUG=fips140="+mode)
		out, err := cmd.CombinedOutput()
		if err != nil && bytes.Contains(out, []byte("panic: fips140: FIPS 140-3 mode is incompatible")) {
			t.Logf("%s: the Go Cryptographic Module is not for this build (with the tag purego, for instance)", mode)
			continue
		}
		if err != nil || !bytes.Contains(out, []byte("--- PASS: TestFIPS")) {
			t.Errorf("GODEBUG=fips140=%s: %v\n%s", mode, err, out)
		}
	}
}

// refused wants New to refuse, naming the field and more.
func refused(t *testing.T, c lrng.Config, want ...string) {
	t.Helper()
	r, err := lrng.New(c)
	if r != nil || err == nil {
		t.Errorf("%v is accepted", want)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%v does not say %q", err, w)
		}
	}
}

func fipsOff(t *testing.T) {
	if fips140.Enabled() {
		t.Fatal("the process is in FIPS mode")
	}
	refused(t, lrng.Config{FIPS: lrng.FIPSRequired}, "Config.FIPS", "not enabled")
	refused(t, lrng.Config{FIPS: 3}, "Config.FIPS")
	refused(t, lrng.Config{FIPS: -1}, "Config.FIPS")
	for _, mode := range []lrng.FIPSMode{lrng.FIPSAuto, lrng.FIPSOff} {
		c := one(fake("a"))
		c.FIPS = mode
		r := newRNG(t, c)
		mustRead(t, r, 16)
		if st := r.Status(); st.DRNG != "ChaCha20" || st.Claim.FIPS || st.Approved {
			t.Errorf("%v: %s, FIPS %v", mode, st.DRNG, st.Claim.FIPS)
		}
	}
	for mode, want := range map[lrng.FIPSMode]string{lrng.FIPSAuto: "auto", lrng.FIPSRequired: "required", lrng.FIPSOff: "off", 7: "FIPSMode(7)"} {
		if got := mode.String(); got != want {
			t.Errorf("%d is %q", int(mode), got)
		}
	}
}

func fipsOn(t *testing.T) {
	if !fips140.Enabled() || fips140.Enforced() {
		t.Fatal("the process is not in FIPS mode, or enforces it")
	}
	// The real default sources, of which the jitter source alone is credited much.
	for _, mode := range []lrng.FIPSMode{lrng.FIPSAuto, lrng.FIPSRequired} {
		r := newRNG(t, lrng.Config{FIPS: mode})
		mustRead(t, r, 100)
		mustRead(t, r.PredictionResistant(), 40)
		mustRead(t, r.SeedReader(), 40)
		st := r.Status()
		if st.DRNG != "CTR_DRBG AES-256" || !st.Claim.FIPS || !st.Approved || !st.Claim.DerivationFunction {
			t.Errorf("%v: %s, FIPS %v", mode, st.DRNG, st.Claim.FIPS)
		}
		for _, s := range st.Sources {
			switch s.Name {
			case "os", "auxiliary": // D12
				if s.MaxEntropy != 0 || s.TotalCredited != 0 || !strings.Contains(s.Uncredited, "FIPS") {
					t.Errorf("%s is credited %d of %d bits (%q)", s.Name, s.TotalCredited, s.MaxEntropy, s.Uncredited)
				}
			case "jitter":
				if s.TotalCredited == 0 {
					t.Errorf("jitter is not credited: %+v", s)
				}
			}
		}
		if err := r.AddEntropy(make([]byte, 64), 512); err != nil {
			t.Error(err)
		}
		for _, line := range []string{"FIPS 140-3 mode: yes", "DRBG: CTR_DRBG AES-256, derivation function yes, strength 256", "designed to meet it; not validated", "Uncredited: FIPS 140-3 mode"} {
			if !strings.Contains(st.String(), line) {
				t.Errorf("the status does not say %q:\n%s", line, st)
			}
		}
	}

	// Credit by declaration (golang/go#79382): a certificate, and its name.
	plain := estest.New(es.Info{Name: "plain", MaxEntropy: 512})
	certified := certifiedFake{estest.New(es.Info{Name: "hsm", MaxEntropy: 512}), "E999"}
	r := newRNG(t, lrng.Config{Sources: []es.Source{plain, certified}, FIPS: lrng.FIPSRequired, Shards: 1})
	mustRead(t, r, 16)
	st := r.Status()
	if st.Sources[0].TotalCredited != 0 || st.Sources[1].TotalCredited != 384 {
		t.Errorf("credited: %d without, %d with a certificate", st.Sources[0].TotalCredited, st.Sources[1].TotalCredited)
	}
	if len(st.Claim.Sources) != 1 || st.Claim.Sources[0].Certificate != "E999" || !strings.Contains(st.String(), "certificate E999") {
		t.Errorf("claim: %+v", st.Claim.Sources)
	}
	// The operating system, declared.
	r = newRNG(t, lrng.Config{Sources: []es.Source{es.NewOS(es.OSConfig{Certificate: "E1"})}, FIPS: lrng.FIPSRequired, Shards: 1})
	mustRead(t, r, 16)
	if s := r.Status().Sources[0]; s.TotalCredited != 384 || s.Certificate != "E1" {
		t.Errorf("the operating system with a certificate: %+v", s)
	}
	// Without any credited source nothing is output.
	mustRefuse(t, newRNG(t, lrng.Config{Sources: []es.Source{plain}}).Nonblocking(), lrng.ErrNotSeeded)

	// What is not approved: refused by name if required, else used and shown.
	chacha := func() (drng.DRNG, error) { return drng.NewChaCha20(), nil }
	xdrbg := func() (drng.DRNG, error) { return drng.NewXDRBG(), nil }
	foreign := badConditioner{"mine", conditioner.SHA512.New, 512}
	refused(t, lrng.Config{FIPS: lrng.FIPSRequired, DRNG: chacha}, "Config.DRNG", "ChaCha20")
	refused(t, lrng.Config{FIPS: lrng.FIPSRequired, DRNG: xdrbg}, "Config.DRNG", "XDRBG-256")
	refused(t, lrng.Config{FIPS: lrng.FIPSRequired, Conditioner: foreign}, "Config.Conditioner", "mine")
	r = newRNG(t, lrng.Config{Sources: []es.Source{certified}, DRNG: chacha, Conditioner: foreign})
	mustRead(t, r, 16)
	if st := r.Status(); st.Approved || !strings.Contains(st.String(), "ChaCha20 (not approved)") {
		t.Error("the status does not say that ChaCha20 is not approved")
	}
	r = newRNG(t, lrng.Config{Sources: []es.Source{certified}, FIPS: lrng.FIPSRequired})
	mustRead(t, r, 16)
	if err := r.SetDRNG(chacha); err == nil || !strings.Contains(err.Error(), "ChaCha20") {
		t.Errorf("switched to ChaCha20: %v", err)
	}
	if err := r.SetConditioner(foreign); err == nil || !strings.Contains(err.Error(), "mine") {
		t.Errorf("switched to a foreign hash: %v", err)
	}
	for name, f := range mechanisms() {
		if name == "ChaCha20" || name == "XDRBG-256" {
			continue
		}
		if err := r.SetDRNG(f); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		mustRead(t, r, 100)
	}
	r = newRNG(t, lrng.Config{Sources: []es.Source{plain}, FIPS: lrng.FIPSOff})
	mustRead(t, r, 16)
	if st := r.Status(); st.DRNG != "ChaCha20" || st.Claim.FIPS {
		t.Errorf("off: %s", st.DRNG)
	}
	// The package-level functions follow the program.
	mustRead(t, lrng.Reader, 16)
	if got := lrng.Default().Status().DRNG; got != "CTR_DRBG AES-256" {
		t.Errorf("default: %s", got)
	}
}

func fipsOnly(t *testing.T) {
	if !fips140.Enforced() {
		t.Fatal("the process does not enforce FIPS mode")
	}
	chacha := func() (drng.DRNG, error) { return drng.NewChaCha20(), nil }
	refused(t, lrng.Config{FIPS: lrng.FIPSOff}, "Config.FIPS", "enforced")
	refused(t, lrng.Config{DRNG: chacha}, "Config.DRNG", "ChaCha20")
	r := newRNG(t, lrng.Config{})
	mustRead(t, r, 5000)
	mustRead(t, r.PredictionResistant(), 40)
	if st := r.Status(); st.DRNG != "CTR_DRBG AES-256" || st.Level != seeding.FullySeeded {
		t.Errorf("%s, %v", st.DRNG, st.Level)
	}
	lrng.Text()
	if err := r.SetDRNG(chacha); err == nil || errors.Is(err, lrng.ErrClosed) {
		t.Errorf("switched to ChaCha20: %v", err)
	}
}
