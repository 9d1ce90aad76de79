package lrng_test

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
)

// A recorder keeps what is logged.
type recorder struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(p)
}

func (r *recorder) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}

// count returns how many lines contain s.
func (r *recorder) count(s string) int {
	n := 0
	for line := range strings.Lines(r.String()) {
		if strings.Contains(line, s) {
			n++
		}
	}
	return n
}

func TestLog(t *testing.T) {
	var log recorder
	src := fake("a", estest.OK(100), estest.Error(errDead), estest.OK(200))
	c := one(src)
	c.Logger = log.logger()
	r := newRNG(t, c)
	out := mustRead(t, r, 32)
	seed, _, err := r.GetSeed(t.Context(), 128)
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	for event, want := range map[string]int{
		`from=unseeded to="initially seeded"`:   1,
		`msg="lrng: seeded" shard=0 credit=300`: 1,
		`msg="lrng: round"`:                     3,
		`source=a error="device gone"`:          1,
		`seed for another generator"`:           1,
		`requested=128 credit=128`:              1,
		`credit_a=300 credit_auxiliary=0`:       1,
		`level="fully seeded"`:                  1,
		`msg="lrng: closed"`:                    1,
		`stage=initial requested=256`:           3,
	} {
		if got := log.count(event); got != want {
			t.Errorf("%q is logged %d times, want %d", event, got, want)
		}
	}
	for i := range src.Count() {
		if strings.Contains(log.String(), string(src.Data(i, 8))) {
			t.Error("data of the source are in the log")
		}
	}
	if strings.Contains(log.String(), string(out[:8])) || strings.Contains(log.String(), string(seed[len(seed)-8:])) {
		t.Error("output is in the log")
	}
	if t.Failed() {
		t.Log(log.String())
	}
}

// At the level of debugging the log shows each step of a seeding, in order.
func TestLogSteps(t *testing.T) {
	needsFreedom(t)
	var log recorder
	src := estest.New(es.Info{Name: "a", MaxEntropy: 100}, estest.Claim(300), estest.Error(errDead), estest.OK(90))
	c := one(src)
	c.Logger = log.logger()
	r := newRNG(t, c)
	if err := r.AddEntropy(make([]byte, 8), 10); err != nil {
		t.Fatal(err)
	}
	mustRead(t, r, 1)
	mustRead(t, r.PredictionResistant(), 32)
	mustRead(t, r.SeedReader(), 2)

	text := log.String()
	for _, want := range []string{
		`msg="lrng: entropy added" bytes=8 credit=10`,
		`msg="lrng: source" source=a requested=256 collected=256 claimed=300 credited=100 left=`,
		`msg="lrng: source" source=auxiliary requested=256 collected=256 claimed=10 credited=10 left=0`,
		`msg="lrng: round" stage=initial requested=256 level="initially seeded"`,
		`msg="lrng: level" from=unseeded to="initially seeded"`,
		`msg="lrng: source" source=a requested=256 collected=0 claimed=0 credited=0 left=`,
		`msg="lrng: no entropy" rounds=1 pause=10ms`,
		`msg="lrng: source" source=a requested=256 collected=256 claimed=90 credited=90 left=`,
		`msg="lrng: seeded" shard=0 credit=290`,
		`msg="lrng: block with prediction resistance" bytes=32 credit=270`,
		`msg="lrng: source" source=a requested=80 collected=80 claimed=80 credited=80 left=`,
		`msg="lrng: seed block" bytes=2 credit=80`,
	} {
		_, rest, found := strings.Cut(text, want)
		if !found {
			t.Fatalf("%s\nis not, or not in its place, in\n%s", want, log.String())
		}
		text = rest
	}
}

// A source that is not there is reported once, and again if it went away once more.
func TestLogUnavailable(t *testing.T) {
	var log recorder
	src := fake("a", estest.Unavailable(), estest.Unavailable(), estest.Unavailable(), estest.OK(100), estest.Unavailable(), estest.Unavailable(), estest.OK(200))
	c := one(src)
	c.Logger = log.logger()
	r := newRNG(t, c)
	mustRead(t, r, 1)
	r.Close() // what a round has not waited for is logged by now
	if got := log.count("lrng: source failed"); got != 2 {
		t.Errorf("%d reports, want 2\n%s", got, log.String())
	}
}

// Every change of the level is logged, also that the full level is lost and reached
// again, in order and once.
func TestLogLevels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log recorder
		src := fake("a", estest.OK(200), estest.OK(256))
		c := one(src)
		c.MaxWithoutReseed = 2
		c.Logger = log.logger()
		r := newRNG(t, c)
		mustRead(t, r, 1)
		src.SetDead(errDead)
		mustRead(t, r, 1)
		for range 3 {
			mustRefuse(t, r.Nonblocking(), lrng.ErrNotSeeded)
			synctest.Wait()
		}
		src.SetDead(nil)
		mustRead(t, r, 2*4096)
		mustRead(t, r, 1)
		synctest.Wait()

		var got []string
		for line := range strings.Lines(log.String()) {
			if _, change, ok := strings.Cut(line, `msg="lrng: level" `); ok {
				got = append(got, strings.TrimSpace(change))
			}
		}
		want := []string{
			`from=unseeded to="minimally seeded"`, `from="minimally seeded" to="fully seeded"`,
			`from="fully seeded" to=unseeded`, `from=unseeded to="fully seeded"`,
			`from="fully seeded" to=unseeded`, `from=unseeded to="fully seeded"`,
		}
		if !slices.Equal(got, want) {
			t.Errorf("levels:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}
