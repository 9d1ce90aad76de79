package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
	"github.com/lrng-go/lrng/lrngtest"
)

func TestOutput(t *testing.T) {
	pattern := regexp.MustCompile(`^Board: tests passed, credited (\d+) of (\d+) bits, certificate E0 \(made up\)
Generator: fully seeded, ([0-9a-f]{64})

Now the board delivers nothing but zeros\.
(?:es: board: intermittent health failure: .*\n)*es: board: permanent health failure: .*
(?:Reseeded all the same|The other sources are not credited enough for a new seed)\.
Board: failed for good, credited 0 of \d+ bits, certificate E0 \(made up\)
Generator: fully seeded, ([0-9a-f]{64})
$`)
	var out bytes.Buffer
	if err := run(&out, cpuNoise{es.NewJitter(es.JitterConfig{})}); err != nil {
		t.Fatal(err)
	}
	m := pattern.FindStringSubmatch(out.String())
	if m == nil {
		t.Fatalf("nothing matches in:\n%s", &out)
	}
	if m[1] != m[2] || m[3] == m[4] {
		t.Errorf("credit, or output:\n%s", &out)
	}
}

// good is noise for tests of the interface: its entropy does not matter.
func good(t *testing.T) io.Reader { return lrngtest.Reader(t, t.Name()) }

func TestSource(t *testing.T) {
	estest.Run(t, func() es.Source { return newSource(&board{device: good(t)}, exampleCertificate) })
}

func TestCertificate(t *testing.T) {
	b := &board{device: good(t)}
	src := newSource(b, exampleCertificate)
	r, err := lrng.New(lrng.Config{Sources: []es.Source{src}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	st := r.Status()
	if s := st.Sources[0]; s.Certificate != exampleCertificate.name || s.Credited < 256 || s.Uncredited != "" || s.Health != "tests passed" {
		t.Errorf("status: %+v", s)
	}
	if c := st.Claim.Sources[0]; c.Certificate != exampleCertificate.name || !c.HealthTests || !c.RawNoise {
		t.Errorf("claim: %+v", c)
	}
	// The tests go by what the certificate grants: 1 + ⌈30/H⌉ equal samples are an alarm. So are equal
	// blocks of 32, and where in a block the board breaks decides which comes first.
	b.plug(stuck(0))
	var alarm *es.HealthError
	if err := src.HealthTest(t.Context()); !errors.As(err, &alarm) || alarm.Cutoff != map[string]int{"RCT": 91, "block RCT": 4}[alarm.Test] {
		t.Errorf("alarm: %v", err)
	}
}

// lines is a board that repeats its last 16 samples.
type lines struct{ at int }

func (l *lines) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(l.at % 16 * 17)
		l.at++
	}
	return len(p), nil
}

// panics is a driver with a mistake.
type panics struct{}

func (panics) Read([]byte) (int, error) { panic("index out of range") }

var errUnplugged = errors.New("no such device")

// A board that breaks while it is in use loses its credit at once, and for good where it
// delivers what noise does not look like. One that delivers nothing is credited again when
// it is back.
func TestBroken(t *testing.T) {
	for _, tt := range []struct {
		name      string
		device    io.Reader
		permanent bool
	}{
		{"zeros", stuck(0), true},
		{"ones", stuck(255), true},
		{"lines", new(lines), true},
		{"unplugged", iotest.ErrReader(errUnplugged), false},
		{"silent", strings.NewReader(""), false},
		{"driver", panics{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &board{device: good(t)}
			src := newSource(b, exampleCertificate)
			collect := func() (int, error) { return src.GetEntropy(t.Context(), make([]byte, 32), 256) }
			if credit, err := collect(); credit != 256 || err != nil {
				t.Fatalf("in order: %d, %v", credit, err)
			}
			b.plug(tt.device)
			for i := range 10 {
				credit, err := collect()
				if credit != 0 || err == nil {
					t.Fatalf("broken: %d, %v", credit, err)
				}
				var alarm *es.HealthError
				if errors.As(err, &alarm) != tt.permanent || errors.Is(err, es.ErrUnavailable) == tt.permanent {
					t.Fatalf("broken: %v", err)
				}
				if tt.permanent && alarm.Permanent {
					break
				}
				if tt.permanent && i == 9 {
					t.Fatalf("no permanent failure: %v", err)
				}
			}
			if got := src.Available(256); got != 0 {
				t.Errorf("broken: %d bits are available", got)
			}
			b.plug(good(t))
			if credit, err := collect(); (credit == 256) == tt.permanent || (err == nil) == tt.permanent {
				t.Errorf("repaired: %d, %v", credit, err)
			}
		})
	}
}

// A device that hangs costs its credit, and nobody has to wait for it.
func TestHangs(t *testing.T) {
	pr, pw := io.Pipe()
	defer pw.Close()
	src := newSource(&board{device: pr}, exampleCertificate)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if credit, err := src.GetEntropy(ctx, make([]byte, 32), 256); credit != 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%d, %v", credit, err)
	}
}

func TestBrokenFromTheStart(t *testing.T) {
	var out bytes.Buffer
	var alarm *es.HealthError
	if err := run(&out, stuck(0)); !errors.As(err, &alarm) || out.Len() != 0 {
		t.Errorf("%v\n%s", err, &out)
	}
}

func TestOpenDevice(t *testing.T) {
	file := filepath.Join(t.TempDir(), "noise")
	if err := os.WriteFile(file, make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openDevice(file); err == nil || !strings.Contains(err.Error(), "no character device") {
		t.Errorf("a file: %v", err)
	}
	if _, err := openDevice(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
	if runtime.GOOS == "linux" {
		f, err := openDevice("/dev/zero")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var alarm *es.HealthError
		if err := run(io.Discard, f); !errors.As(err, &alarm) {
			t.Errorf("/dev/zero: %v", err)
		}
	}
}
