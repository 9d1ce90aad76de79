package fips_test

import (
	"crypto/fips140"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/lrng-go/lrng/internal/fips"
)

// TestMain reports the mode instead of running tests when it is told to.
func TestMain(m *testing.M) {
	if os.Getenv("LRNG_TEST_FIPS_REPORT") != "" {
		fmt.Print(fips.Enabled(), " ", fips.Enforced())
		fips140.WithoutEnforcement(func() { fmt.Print(" ", fips.Enforced()) })
		return
	}
	os.Exit(m.Run())
}

func TestModes(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Skip("no path of the test program: ", err)
	}
	for mode, want := range map[string]string{
		"off":  "false false false",
		"on":   "true false false",
		"only": "true true false",
	} {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "GODEBUG=fips140="+mode, "LRNG_TEST_FIPS_REPORT=1")
		out, err := cmd.Output()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			// What package crypto/internal/fips140 says for purego, ASAN and the
			// platforms that have no FIPS mode.
			if mode != "off" && strings.Contains(string(exit.Stderr), "fips140: FIPS 140-3 mode is ") {
				t.Logf("fips140=%s: not in this build", mode)
				continue
			}
			t.Fatalf("fips140=%s: %v\n%s", mode, err, exit.Stderr)
		}
		if err != nil {
			t.Skip("programs cannot be run here: ", err)
		}
		if got := string(out); got != want {
			t.Errorf("fips140=%s: Enabled, Enforced, and Enforced without enforcement: %s, want %s", mode, got, want)
		}
	}
}
