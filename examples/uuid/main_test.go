package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lrng-go/lrng/lrngtest"
)

var errTest = errors.New("test")

// RFC 9562, Appendices A.3 and A.6: the random bits that they name, with those that the
// version and the variant replace set in the one and clear in the other.
func TestKnownAnswers(t *testing.T) {
	for random, want := range map[string]string{
		"919108f752d1f320dbacf847db4148a8": "919108f7-52d1-4320-9bac-f847db4148a8",
		"919108f752d103201bacf847db4148a8": "919108f7-52d1-4320-9bac-f847db4148a8",
	} {
		p, err := hex.DecodeString(random)
		if err != nil {
			t.Fatal(err)
		}
		r := lrngtest.Bytes(t, p, errTest)
		if u, err := NewV4(r); u.String() != want || err != nil {
			t.Errorf("version 4: %v, %v; want %s", u, err, want)
		}
		if u, err := NewV4(r); u != (UUID{}) || err != errTest {
			t.Errorf("without random bytes: %v, %v", u, err)
		}
	}
	// rand_a is 0xcc3, rand_b is 0x18c4dc0c0c07398f.
	at := time.Date(2022, 2, 22, 14, 22, 22, 0, time.FixedZone("", -5*3600))
	const want = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
	for _, random := range []string{"0cc318c4dc0c0c07398f", "fcc3d8c4dc0c0c07398f"} {
		p, err := hex.DecodeString(random)
		if err != nil {
			t.Fatal(err)
		}
		r := lrngtest.Bytes(t, p, errTest)
		if u, err := NewV7(r, at); u.String() != want || err != nil {
			t.Errorf("version 7: %v, %v; want %s", u, err, want)
		}
		if u, err := NewV7(r, at); u != (UUID{}) || err != errTest {
			t.Errorf("without random bytes: %v, %v", u, err)
		}
	}
}

// A later UUID of version 7 is greater, also as text.
func TestOrder(t *testing.T) {
	r := lrngtest.Reader(t, t.Name())
	last := ""
	for at := time.UnixMilli(1<<32 - 3); at.Before(time.UnixMilli(1<<32 + 3)); at = at.Add(time.Millisecond) {
		u, err := NewV7(r, at)
		if err != nil || u.String() <= last {
			t.Errorf("%v, %v after %s", u, err, last)
		}
		last = u.String()
	}
}

func TestOutput(t *testing.T) {
	before := time.Now().UnixMilli()
	var out bytes.Buffer
	if err := run(&out, []int{4, 7}, 2); err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(out.String())
	seen := make(map[string]bool)
	for i, line := range lines {
		version := []string{"4", "4", "7", "7"}[i]
		if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-` + version + `[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(line) {
			t.Errorf("%s is no UUID of version %s", line, version)
		}
		if seen[line] {
			t.Errorf("%s: twice", line)
		}
		seen[line] = true
	}
	if len(lines) != 4 {
		t.Fatalf("%d lines", len(lines))
	}
	var u UUID
	if _, err := hex.Decode(u[:], []byte(strings.ReplaceAll(lines[2], "-", ""))); err != nil {
		t.Fatal(err)
	}
	ms := int64(u[0])<<40 | int64(u[1])<<32 | int64(u[2])<<24 | int64(u[3])<<16 | int64(u[4])<<8 | int64(u[5])
	if ms < before || ms > time.Now().UnixMilli() {
		t.Errorf("made at %v", time.UnixMilli(ms))
	}
	if err := run(failingWriter{}, []int{4}, 1); err != errTest {
		t.Errorf("to a writer that fails: %v", err)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errTest }
