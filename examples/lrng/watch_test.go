package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/seeding"
)

// seededStatus returns a status after so many rounds of two sources.
func seededStatus(rounds int) *lrng.Status {
	n := uint64(rounds)
	return &lrng.Status{
		DRNG: "ChaCha20", SecurityStrength: 256, Strategy: "default", Level: seeding.FullySeeded, Verdict: "default: 264/256 bits",
		Memory: "locked", MemoryReason: "no secret memory", SelfTest: "passed", Rounds: n, Seeds: n,
		Sources: []lrng.SourceStatus{
			{Name: "jitter", Rate: 384, Credited: 256, Health: "tests passed", Calls: n, TotalCredited: 256 * n},
			{Name: "a source with a long name", Rate: 16, Credited: 8, Health: "tests passed", Calls: n, TotalCredited: 8 * n},
		},
		Instances:            []lrng.InstanceStatus{{Seeded: true, Seeds: n, Requests: 100 * n, Bytes: 1024 * n}},
		PredictionResistance: lrng.InstanceStatus{Requests: 2 * n, Bytes: 1024 * n},
	}
}

func TestWatchView(t *testing.T) {
	h := &history{of: "test", interval: time.Second}
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for i, rounds := range []int{1, 1, 3, 4} {
		h.add(at.Add(time.Duration(i)*2*time.Second), seededStatus(rounds), nil)
	}
	want := []string{
		"lrng watch: test, every 1s",
		"2026-11-22 12:00:06",
		"",
		"Level        fully seeded [###] 0 bits towards the next seed",
		"Verdict      default: 264/256 bits",
		"Mechanism    ChaCha20, 256 bits; strategy default",
		"Memory       locked (no secret memory)",
		"Copies       0 of the machine noticed",
		"Self-tests   passed",
		"",
		"Seeds        4          4 rounds           ·█▄",
		"Output       8.0 KiB    408 requests       ·█▄ 1.0 KiB/s",
		"",
		"Source       Health            Bits   Most    In all Failed  Credits",
		"jitter       tests passed       256    384      1024      0  ·█▄",
		"a source wi~ tests passed         8     16        32      0  ·█▄",
		"",
		"No problem known.",
	}
	if got := h.view(blockBars); !slices.Equal(got, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got, want := h.line(), "12:00:06 fully seeded, 0 bits, 4 seeds, 4 rounds, 408 requests, 8192 bytes; jitter 1024 bits, tests passed; a source with a long name 32 bits, tests passed"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}

	// What is wrong is said, on the screen and in a line.
	s := seededStatus(5)
	s.Level = seeding.InitiallySeeded
	s.Sources[0].Health, s.Sources[0].Error = "test failed", "es: jitter: RCT"
	s.Sources[1].Health, s.Sources[1].Error = "unavailable", "no such file" // is none
	s.Sources[1].Noise = &es.NoiseEstimate{Warning: true}
	h.add(at.Add(8*time.Second), s, nil)
	for _, want := range []string{"PROBLEM: the generator is initially seeded: requests wait", "PROBLEM: jitter: test failed: es: jitter: RCT", "PROBLEM: a source with a long name: the noise is below the claim"} {
		if screen := h.view(plainBars); !slices.Contains(screen, want) || !strings.Contains(h.line(), want) {
			t.Errorf("%q is not in\n%s\n%s", want, strings.Join(screen, "\n"), h.line())
		}
	}
	if n := len(problems(s)); n != 3 {
		t.Errorf("%d problems; want 3", n)
	}

	// A connection is lost, and comes back to another generator.
	for i := range 3 {
		h.add(at.Add(time.Duration(10+i)*time.Second), nil, errors.New("refused"))
	}
	if screen := h.view(plainBars); screen[1] != "NO CONNECTION since 12:00:10: refused" || len(screen) < 10 || !strings.HasSuffix(h.line(), " no connection: refused") {
		t.Errorf("%s\n%s", strings.Join(screen, "\n"), h.line())
	}
	h.add(at.Add(20*time.Second), seededStatus(50), nil)
	h.add(at.Add(21*time.Second), seededStatus(51), nil)
	if screen := h.view(plainBars); screen[1] != "2026-11-22 12:00:21" || !slices.Equal(h.seeds, []float64{1}) || !slices.Equal(h.credits["jitter"], []float64{256}) {
		t.Errorf("%s\n%v", strings.Join(screen, "\n"), h.credits)
	}
	// Bars are as many as there is room for, and counters that go back are another generator.
	for i := range 2 * barCount {
		h.add(at.Add(time.Duration(30+i)*time.Second), seededStatus(3+i), nil)
	}
	if len(h.output) != barCount || len(h.credits["jitter"]) != barCount {
		t.Errorf("%d and %d bars", len(h.output), len(h.credits["jitter"]))
	}
	if h.add(at.Add(time.Hour), seededStatus(1), nil); len(h.output) != 0 {
		t.Errorf("%v", h.output)
	}
}

func TestSpark(t *testing.T) {
	for _, tt := range []struct {
		in   []float64
		want string
	}{
		{nil, ""}, {[]float64{0, 0}, "__"}, {[]float64{0, 1}, "_#"}, {[]float64{1e-9, 8}, ".#"}, {[]float64{1, 2, 3, 4, 5, 6, 7, 8}, ".:-=+*%#"}, {[]float64{1e300, 1e300}, "##"},
	} {
		if got := spark(tt.in, plainBars); got != tt.want {
			t.Errorf("%v: %q; want %q", tt.in, got, tt.want)
		}
	}
	if len(blockBars) != len(plainBars) {
		t.Error("bars of two kinds")
	}
}

// A daemon cannot make the terminal do anything, nor write beyond its columns.
func TestWatchHostile(t *testing.T) {
	s := seededStatus(1)
	const evil = "\x1b]0;title\x07\x1b[2J\r\n\u009b31m\u202egnp.exe\xff"
	s.DRNG, s.Strategy, s.Verdict, s.Memory, s.MemoryReason, s.SelfTest = evil, evil, evil, evil, evil, evil
	for i := range s.Sources {
		s.Sources[i].Name, s.Sources[i].Health, s.Sources[i].Error = evil, evil, evil
	}
	h := &history{of: printable(evil), credits: map[string][]float64{}}
	h.add(time.Now(), s, nil)
	h.add(time.Now(), s, nil)
	lines := append(h.view(blockBars), h.line())
	h.add(time.Now(), nil, errors.New(evil))
	for _, line := range append(append(lines, h.view(blockBars)...), h.line()) {
		if i := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) && r != unicode.ReplacementChar }); i >= 0 {
			t.Errorf("%q at %d", line, i)
		}
	}
}

// daemon serves a status that changes, until it fails.
type daemon struct {
	looks atomic.Int64
	fails atomic.Bool
}

func (d *daemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != "/status":
		http.NotFound(w, r)
	case d.fails.Load():
		http.Error(w, "starting", http.StatusServiceUnavailable)
	default:
		json.NewEncoder(w).Encode(seededStatus(int(d.looks.Add(1))))
	}
}

// A daemon is asked at an address, by a URL, and at a Unix socket.
func TestWatchDaemon(t *testing.T) {
	d := new(daemon)
	server := httptest.NewServer(d)
	defer server.Close()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	other := &http.Server{Handler: d}
	go other.Serve(l)
	defer other.Close()
	for _, args := range [][]string{
		{"-addr", server.Listener.Addr().String()}, {"-addr", server.URL}, {"-addr", server.URL + "/"}, {"-addr", server.URL + "/status", "-path", "/other"},
		{"-addr", server.URL, "-path", "status"}, {"-socket", socket},
	} {
		d.looks.Store(0)
		out := must(t, append([]string{"watch", "-interval", "10ms", "-n", "2"}, args...)...)
		if lines := strings.Split(out, "\n"); len(lines) != 3 || !strings.Contains(lines[0], " fully seeded, 0 bits, 1 seeds, ") || !strings.Contains(lines[1], " 2 seeds, ") {
			t.Errorf("%q: %s", args, out)
		}
	}
	out := must(t, "watch", "-interval", "10ms", "-n", "2", "-json", "-socket", socket)
	for line := range strings.Lines(out) {
		var v struct {
			Time   time.Time
			Status *lrng.Status
			Error  string
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil || v.Time.IsZero() || v.Error != "" || v.Status.Sources[0].Name != "jitter" {
			t.Errorf("%s: %v", line, err)
		}
	}
	if n := strings.Count(out, "\n"); n != 2 {
		t.Errorf("%d lines", n)
	}
	// A password is nobody's business.
	if code, _, msg := call(t, "watch", "-addr", strings.Replace(server.URL, "//", "//user:geheim@", 1)+"/none"); code != 1 || strings.Contains(msg, "geheim") || !strings.Contains(msg, "/none: 404") {
		t.Errorf("%d, %s", code, msg)
	}
	for path, want := range map[string]string{"/none": "404 Not Found", "/status\n": "404"} {
		if code, out, msg := call(t, "watch", "-addr", server.URL, "-path", path); code != 1 || out != "" || !strings.Contains(msg, want) {
			t.Errorf("%s: %d, %s%s", path, code, out, msg)
		}
	}
}

// The daemon is away for a while, which ends nothing.
func TestWatchLost(t *testing.T) {
	for _, tt := range []struct {
		flag string
		want [4]string
	}{
		{"-json=false", [4]string{" 1 seeds", "no connection: URL/status: 503 Service Unavailable", "no connection: ", " 2 seeds"}},
		{"-json", [4]string{`"seeds":1,`, `Z","error":"URL/status: 503 Service Unavailable"}`, `Z","error":"URL`, `"seeds":2,`}},
	} {
		d := new(daemon)
		server := httptest.NewServer(d)
		ctx, cancel := context.WithCancel(t.Context())
		var lines []string
		out := writerFunc(func(p []byte) (int, error) {
			lines = append(lines, string(p))
			switch len(lines) {
			case 1:
				d.fails.Store(true)
			case 3:
				d.fails.Store(false)
			case 4:
				cancel()
			}
			return len(p), nil
		})
		var msg bytes.Buffer
		if code := run(ctx, stdio{nil, out, &msg}, []string{"watch", "-interval", "10ms", "-addr", server.URL, tt.flag}); code != 1 || msg.String() != "lrng watch: interrupted\n" || len(lines) != 4 {
			t.Fatalf("%s: %d, %s%q", tt.flag, code, &msg, lines)
		}
		for i, want := range tt.want {
			if want = strings.ReplaceAll(want, "URL", server.URL); !strings.Contains(lines[i], want) {
				t.Errorf("%s: %q; want %q", tt.flag, lines[i], want)
			}
		}
		cancel()
		server.Close()
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// What is no status is an error, and no more of it is read than there can be.
func TestWatchNonsense(t *testing.T) {
	for body, want := range map[string]string{
		"":                                 "unexpected end of JSON input",
		"hello":                            "invalid character 'h'",
		"{}":                               "no status of a generator",
		"[]":                               "cannot unmarshal array",
		`{"drng":"x","level":"saturated"}`: `"saturated" is not a level`,
		`{"drng":"` + strings.Repeat("x", maxAnswer) + `"}`: "longer than 4194304 bytes",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, body) }))
		if code, out, msg := call(t, "watch", "-addr", server.URL); code != 1 || out != "" || !strings.Contains(msg, want) {
			t.Errorf("%.20q: %d, %s%s; want %s", body, code, out, msg, want)
		}
		server.Close()
	}
}

// The generator of the command seeds itself, and again if it has to.
func TestWatchOwn(t *testing.T) {
	var seeds uint64
	out := must(t, "watch", "-n", "6", "-interval", "50ms", "-reseed", "1ms", "-json")
	for line := range strings.Lines(out) {
		var v struct{ Status lrng.Status }
		if err := json.Unmarshal([]byte(line), &v); err != nil || v.Status.Seeds < seeds || v.Status.ReseedInterval != time.Millisecond {
			t.Errorf("%s, %v", line, err)
		}
		seeds = v.Status.Seeds
	}
	if n := strings.Count(out, "\n"); n != 6 || seeds < 2 {
		t.Errorf("%d seeds after %d looks", seeds, n)
	}
}
