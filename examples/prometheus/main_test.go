package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
	"github.com/lrng-go/lrng/lrngtest"
	"github.com/lrng-go/lrng/seeding"
)

// registryOf returns a registry that finds inconsistent metrics.
func registryOf(t *testing.T, status func() lrng.Status) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(NewCollector(status)); err != nil {
		t.Fatal(err)
	}
	return registry
}

// All that there is, from a status whose numbers are all different.
func TestMetrics(t *testing.T) {
	at := time.Unix(1000000000, 500000000)
	status := lrng.Status{
		DRNG: "D", SecurityStrength: 256, Approved: true, Conditioner: "C", Strategy: "S", Level: seeding.FullySeeded, Closed: true, Entropy: 17,
		OutputBuffer: 1024, Memory: "secret", GenerationChanges: 2, Rounds: 31, Seeds: 32, SelfTests: 33, SelfTest: "passed", SeedFailures: 34,
		Sources: []lrng.SourceStatus{
			{
				Name: "a", MaxEntropy: 512, Rate: 511, Available: 510, Requested: 509, Credited: 508, Health: "tests passed", Certificate: "E0", Uncredited: "why",
				Noise: &es.NoiseEstimate{MinEntropy: 1.5, Claim: 0.25, Warning: true},
				Calls: 41, Skipped: 42, Failures: 43, Late: 44, FalseClaims: 45, TotalCredited: 46, TotalCost: 1500 * time.Millisecond,
			},
			{Name: "b", Health: "failed for good"},
		},
		Instances: []lrng.InstanceStatus{
			{Seeded: true, Seeds: 1, LastSeed: at.Add(time.Hour), Requests: 10, Bytes: 100, Lost: 1000, Unmixed: 10000},
			{Seeded: true, Seeds: 2, LastSeed: at, Requests: 20, Bytes: 200, Lost: 2000, Unmixed: 20000},
			{},
		},
		PredictionResistance: lrng.InstanceStatus{Seeds: 61, Requests: 62, Bytes: 63, Lost: 64, Unmixed: 65},
		Claim:                lrng.Claim{FIPS: true},
	}
	want, err := os.Open("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	if err := testutil.GatherAndCompare(registryOf(t, func() lrng.Status { return status }), want); err != nil {
		t.Error(err)
	}
}

// states are generators in all states that matter.
func states(t *testing.T) map[string]*lrng.RNG {
	t.Helper()
	newRNG := func(c lrng.Config) *lrng.RNG {
		r, err := lrng.New(c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		return r
	}
	seeded := newRNG(lrng.Config{})
	if _, err := seeded.Read(make([]byte, 32)); err != nil {
		t.Fatal(err)
	}
	closed := newRNG(lrngtest.Config(t, ""))
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	c := lrngtest.Config(t, "")
	c.Sources = append(c.Sources, estest.New(es.Info{Name: "broken", MaxEntropy: 256, Health: true}, estest.Health(true)))
	broken := newRNG(c)
	if _, err := broken.Read(make([]byte, 32)); err != nil {
		t.Fatal(err)
	}
	return map[string]*lrng.RNG{"new": newRNG(lrng.Config{}), "seeded": seeded, "closed": closed, "a source is broken": broken}
}

// The names and the help keep the conventions of Prometheus, and no two series are the same.
func TestLint(t *testing.T) {
	for name, r := range states(t) {
		problems, err := testutil.GatherAndLint(registryOf(t, r.Status))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s: %s", name, p.Metric, p.Text)
		}
	}
}

// value returns that of a series, which is named as Prometheus does.
func value(t *testing.T, g prometheus.Gatherer, name string, labels ...string) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	series:
		for _, m := range f.GetMetric() {
			for _, want := range labels {
				if !slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetValue() == want }) {
					continue series
				}
			}
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Fatalf("no %s%q", name, labels)
	return 0
}

// Counters count, and never go back: not after a switch of the mechanism, nor after Close.
func TestCounters(t *testing.T) {
	r, err := lrng.New(lrngtest.Config(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	g := registryOf(t, r.Status)
	last := make(map[string]float64)
	check := func(when string) {
		t.Helper()
		families, err := g.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if m.GetCounter() == nil {
					continue
				}
				name := f.GetName()
				for _, l := range m.GetLabel() {
					name += " " + l.GetValue()
				}
				if v := m.GetCounter().GetValue(); v < last[name] {
					t.Errorf("%s: %s was %v and is %v", when, name, last[name], v)
				} else {
					last[name] = v
				}
			}
		}
	}
	equal := func(want float64, name string, labels ...string) {
		t.Helper()
		if got := value(t, g, name, labels...); got != want {
			t.Errorf("%s%q: %v; want %v", name, labels, got, want)
		}
	}
	check("new")
	equal(0, "lrng_level")
	b := make([]byte, 10000) // three requests
	if _, err := r.Read(b); err != nil {
		t.Fatal(err)
	}
	if _, err := r.PredictionResistant().Read(b[:10]); err != nil {
		t.Fatal(err)
	}
	check("read")
	equal(3, "lrng_level")
	equal(3, "lrng_requests_total", "shards")
	equal(10000, "lrng_output_bytes_total", "shards")
	equal(10, "lrng_output_bytes_total", "prediction_resistance")
	equal(2, "lrng_source_calls_total", "lrngtest")
	equal(1, "lrng_source_health", "lrngtest", "tests passed")
	if at := value(t, g, "lrng_last_seed_timestamp_seconds", "shards"); time.Since(time.Unix(int64(at), 0)).Abs() > time.Hour {
		t.Errorf("seeded at %v", at)
	}
	if err := r.SetDRNG(func() (drng.DRNG, error) { return drng.NewCTR(drng.CTRConfig{}) }); err != nil {
		t.Fatal(err)
	}
	check("switched")
	if _, err := r.Read(b); err != nil {
		t.Fatal(err)
	}
	check("read again")
	equal(1, "lrng_info", "CTR_DRBG AES-256")
	equal(20000, "lrng_output_bytes_total", "shards")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	check("closed")
	equal(1, "lrng_closed")
	equal(0, "lrng_level")
}

// The program serves, and ends when it is told.
func TestProgram(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, "127.0.0.1:0", pw)
		pw.CloseWithError(err)
		done <- err
	}()
	url, err := bufio.NewReader(pr).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	w, err := http.Get(strings.TrimSpace(url))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	body, err := io.ReadAll(w.Body)
	if err != nil || w.StatusCode != http.StatusOK || !strings.HasPrefix(w.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("%s, %s, %v", w.Status, w.Header.Get("Content-Type"), err)
	}
	for _, pattern := range []string{`(?m)^lrng_level 3$`, `(?m)^lrng_source_calls_total\{source="os"\} [1-9]\d*$`, `(?m)^lrng_output_bytes_total\{part="shards"\} 32$`} {
		if !regexp.MustCompile(pattern).Match(body) {
			t.Errorf("nothing matches %s in:\n%s", pattern, body)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("at the end: %v", err)
	}

	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	if err := run(t.Context(), busy.Addr().String(), io.Discard); !errors.As(err, new(*net.OpError)) {
		t.Errorf("an address in use: %v", err)
	}
}

// The documentation names no metric that does not exist.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`\blrng_\w+`).FindAllString(string(text), -1)
	for _, name := range names {
		if !strings.Contains(string(golden), "# TYPE "+name+" ") {
			t.Errorf("docs/observability.md names %s", name)
		}
	}
	if len(names) < 5 {
		t.Errorf("docs/observability.md names %q", names)
	}
}
