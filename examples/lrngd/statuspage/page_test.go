package statuspage

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/seeding"
)

// A scripted generator has the status that a test gives it.
type scripted struct {
	mu     sync.Mutex
	status lrng.Status // guarded by mu
	calls  int         // guarded by mu
}

func (s *scripted) Status() lrng.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	st := s.status
	st.Sources = slices.Clone(st.Sources)
	st.Instances = slices.Clone(st.Instances)
	return st
}

func (s *scripted) change(f func(*lrng.Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.status)
}

// seeded returns a generator that has its seed from two sources.
func seeded() *scripted {
	return &scripted{status: lrng.Status{
		DRNG: "ChaCha20", SecurityStrength: 256, Strategy: "default", Level: seeding.FullySeeded, SelfTest: "passed", Memory: "secret",
		Rounds: 1, Seeds: 1,
		Sources: []lrng.SourceStatus{
			{Name: "jitter", MaxEntropy: 384, Rate: 384, Available: 256, Requested: 256, Credited: 256, Health: "tests passed", Calls: 1, TotalCredited: 256},
			{Name: "os", MaxEntropy: 512, Rate: 512, Available: 256, Requested: 256, Credited: 256, Health: "no tests", Calls: 1, TotalCredited: 256},
		},
		Instances:            []lrng.InstanceStatus{{Memory: "secret", Seeded: true, Seeds: 1, LastSeed: time.Now(), LastCredit: 512, Requests: 5, Bytes: 160}},
		PredictionResistance: lrng.InstanceStatus{Requests: 2, Bytes: 64},
	}}
}

// get asks a handler.
func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

// getJSON asks a handler for JSON.
func getJSON[T any](t *testing.T, h http.Handler, path string) (v T) {
	t.Helper()
	w := get(t, h, path)
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("%s: %d, %v, %s", path, w.Code, w.Header(), w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%s: %v\n%s", path, err, w.Body)
	}
	return v
}

func TestRequests(t *testing.T) {
	p := New(Config{Status: seeded().Status})
	for _, tt := range []struct {
		method, path string
		code         int
		kind         string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8"},
		{"HEAD", "/", 200, "text/html; charset=utf-8"},
		{"GET", "/page.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/page.css", 200, "text/css; charset=utf-8"},
		{"GET", "/icon.svg", 200, "image/svg+xml"},
		{"GET", "/data", 200, "application/json"},
		{"HEAD", "/data", 200, "application/json"},
		{"GET", "/noise", 200, "application/json"},
		{"GET", "/data?after=", 200, "application/json"},
		{"GET", "/data?after=x", 400, "text/plain; charset=utf-8"},
		{"GET", "/data?after=-1", 400, "text/plain; charset=utf-8"},
		{"GET", "/data?after=18446744073709551616", 400, "text/plain; charset=utf-8"},
		{"POST", "/", 405, "text/plain; charset=utf-8"},
		{"PUT", "/data", 405, "text/plain; charset=utf-8"},
		{"DELETE", "/noise", 405, "text/plain; charset=utf-8"},
		{"OPTIONS", "/page.js", 405, "text/plain; charset=utf-8"},
		{"GET", "/index.html", 404, "text/plain; charset=utf-8"},
		{"GET", "/web/page.js", 404, "text/plain; charset=utf-8"},
		{"GET", "/data/", 404, "text/plain; charset=utf-8"},
		{"GET", "//", 404, "text/plain; charset=utf-8"},
		{"GET", "/../page.go", 404, "text/plain; charset=utf-8"},
		{"POST", "/none", 404, "text/plain; charset=utf-8"},
	} {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, nil))
		h := w.Header()
		if w.Code != tt.code || h.Get("Content-Type") != tt.kind || (w.Code == 405) != (h.Get("Allow") == "GET, HEAD") {
			t.Errorf("%s %s: %d, %v; want %d, %s", tt.method, tt.path, w.Code, h, tt.code, tt.kind)
		}
		if !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; ") || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s %s: %v", tt.method, tt.path, h)
		}
	}
}

// A browser that has a file already gets it only if it is another one.
func TestETag(t *testing.T) {
	p := New(Config{Status: seeded().Status})
	tags := map[string]bool{}
	for path := range files {
		w := get(t, p, path)
		tag := w.Header().Get("ETag")
		if len(tag) != 34 || tags[tag] || w.Header().Get("Cache-Control") != "no-cache" || w.Body.Len() == 0 {
			t.Errorf("%s: %v, %d bytes", path, w.Header(), w.Body.Len())
		}
		tags[tag] = true
		for value, code := range map[string]int{tag: 304, `"other"`: 200} {
			r := httptest.NewRequest("GET", path, nil)
			r.Header.Set("If-None-Match", value)
			w := httptest.NewRecorder()
			p.ServeHTTP(w, r)
			if w.Code != code || (code == 304) != (w.Body.Len() == 0) {
				t.Errorf("%s with %s: %d, %d bytes; want %d", path, value, w.Code, w.Body.Len(), code)
			}
		}
	}
}

// The page has nothing that its policy forbids, and nothing from elsewhere.
func TestFiles(t *testing.T) {
	names := map[string]bool{}
	for _, f := range files {
		names[f.name] = true
	}
	err := fs.WalkDir(web, "web", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !names[d.Name()] {
			t.Errorf("%s is embedded and not served", path)
		}
		b, err := web.ReadFile(path)
		if err != nil {
			return err
		}
		text := strings.ReplaceAll(string(b), "http://www.w3.org/2000/svg", "") // the name of a language
		for _, bad := range []string{"http:", "https:", "//www", "url(http", "@import", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "DOMParser", "javascript:"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %q", path, bad)
			}
		}
		if strings.HasSuffix(path, ".html") {
			if m := regexp.MustCompile(`(?i)\s(on[a-z]+|style)\s*=|<style|<script>`).FindString(text); m != "" {
				t.Errorf("%s has %q", path, m)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The status is what the generator says, and all of it.
func TestData(t *testing.T) {
	s := seeded()
	p := New(Config{Status: s.Status})
	a := getJSON[answer](t, p, "/data")
	want := s.Status()
	text, _ := json.Marshal(want)
	var parsed lrng.Status
	if err := json.Unmarshal(text, &parsed); err != nil || !reflect.DeepEqual(a.Status, parsed) {
		t.Errorf("%+v\nwant %+v, %v", a.Status, parsed, err)
	}
	if len(a.Points) != 1 || a.Boot == "" || a.Interval != 1000 || a.History != 600 || a.Noise != 0 {
		t.Errorf("%+v", a)
	}
	got := a.Points[0]
	got.Time = 0
	if want := (point{Number: 1, Level: 3, Rounds: 1, Seeds: 1, Requests: 7, Bytes: 224, Sources: []sourcePoint{{well, 256, 256, 256, 0}, {well, 256, 256, 256, 0}}}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v; want %+v", got, want)
	}
}

// Nothing is sampled while nobody asks, many clients are one, and no more is kept than
// was wanted.
func TestSampling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := seeded()
		p := New(Config{Status: s.Status, Interval: 2 * time.Second, History: 5})
		time.Sleep(time.Hour)
		if s.calls != 0 {
			t.Errorf("%d samples without a client", s.calls)
		}
		for i := range 3 {
			for range 10 {
				if a := getJSON[answer](t, p, "/data"); len(a.Points) != i+1 {
					t.Fatalf("%d points; want %d", len(a.Points), i+1)
				}
			}
			time.Sleep(2 * time.Second)
		}
		if s.calls != 3 {
			t.Errorf("%d samples; want 3", s.calls)
		}

		// A client gets what it has not got.
		a := getJSON[answer](t, p, "/data") // the fourth
		for _, tt := range []struct {
			query string
			want  []uint64
		}{
			{"boot=" + a.Boot + "&after=2", []uint64{3, 4}},
			{"boot=" + a.Boot + "&after=4", nil},
			{"boot=" + a.Boot + "&after=99", nil},
			{"boot=" + a.Boot, []uint64{1, 2, 3, 4}},
			{"boot=other&after=2", []uint64{1, 2, 3, 4}}, // it has the points of another page
			{"after=2", []uint64{1, 2, 3, 4}},
		} {
			var got []uint64
			for _, point := range getJSON[answer](t, p, "/data?"+tt.query).Points {
				got = append(got, point.Number)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%s: %d; want %d", tt.query, got, tt.want)
			}
		}
		for range 10 {
			time.Sleep(2 * time.Second)
			a = getJSON[answer](t, p, "/data")
		}
		if len(a.Points) != 5 || a.Points[0].Number != 10 || a.Points[4].Number != 14 || a.Points[4].Time-a.Points[0].Time != 8000 {
			t.Errorf("%+v", a.Points)
		}
		if b := New(Config{Status: s.Status}); b.boot == p.boot {
			t.Error("two pages cannot be told apart")
		}
	})
}

func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		in              Config
		interval, noise time.Duration
		history         int
	}{
		{Config{}, time.Second, 10 * time.Second, 600},
		{Config{Interval: -1, NoiseInterval: 1, History: 1}, 100 * time.Millisecond, time.Second, 2},
		{Config{Interval: 1 << 62, NoiseInterval: 1 << 62, History: 1 << 30}, time.Hour, time.Hour, 3600},
		{Config{Interval: time.Minute, NoiseInterval: time.Minute, History: 7}, time.Minute, time.Minute, 7},
	} {
		tt.in.Status = seeded().Status
		if c := New(tt.in).cfg; c.Interval != tt.interval || c.NoiseInterval != tt.noise || c.History != tt.history {
			t.Errorf("%+v", c)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a page without a status")
		}
	}()
	New(Config{})
}

func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		in   lrng.SourceStatus
		want state
	}{
		{lrng.SourceStatus{Health: "not yet asked"}, idle},
		{lrng.SourceStatus{Health: "tests passed", Calls: 1}, well},
		{lrng.SourceStatus{Health: "no tests", Calls: 1}, well},
		{lrng.SourceStatus{Health: "unavailable", Error: "no such file", Calls: 1}, absent},
		{lrng.SourceStatus{Health: "no entropy", Error: "broken", Calls: 1}, failed},
		{lrng.SourceStatus{Health: "test failed", Error: "RCT", Calls: 1}, failed},
		{lrng.SourceStatus{Health: "failed for good", Error: "RCT", Calls: 1}, failed},
	} {
		if got := judge(tt.in); got != tt.want {
			t.Errorf("%+v: %s; want %s", tt.in, got, tt.want)
		}
	}
}

// A source of our own that answers as a real one does says so in these words.
func TestJudgeReal(t *testing.T) {
	r, err := lrng.New(lrng.Config{Sources: append(lrng.DefaultSources(), es.NewDevice(es.DeviceConfig{Path: "/none"}), broken{})})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := New(Config{Status: r.Status})
	if a := getJSON[answer](t, p, "/data"); slices.ContainsFunc(a.States, func(s state) bool { return s != idle }) {
		t.Errorf("before the first use: %s", a.States)
	}
	if err := r.Wait(t.Context(), seeding.FullySeeded); err != nil {
		t.Fatal(err)
	}
	p = New(Config{Status: r.Status})
	a := getJSON[answer](t, p, "/data")
	for i, s := range a.Status.Sources {
		want := map[string]state{"jitter": well, "os": well, "device": absent, "broken": failed}[s.Name]
		if want != "" && a.States[i] != want {
			t.Errorf("%s: %s (%s: %s); want %s", s.Name, a.States[i], s.Health, s.Error, want)
		}
	}
}

// A broken source has noise that its test does not like.
type broken struct{}

func (broken) Info() es.Info     { return es.Info{Name: "broken", MaxEntropy: 256, Health: true} }
func (broken) Available(int) int { return 256 }
func (broken) GetEntropy(context.Context, []byte, int) (int, error) {
	return 0, &es.HealthError{Test: "RCT", Count: 41, Cutoff: 41}
}

// What the page gets is text, whatever it looks like.
func TestHostile(t *testing.T) {
	s := seeded()
	s.change(func(st *lrng.Status) {
		st.Sources[0].Name = "</script><script>alert(1)</script>\xff"
		st.Sources[0].Error = `"><img src=x onerror=alert(1)>`
	})
	p := New(Config{Status: s.Status, Noise: func(string) (Noise, error) { return Noise{}, errors.New("<b>no</b>") }})
	for _, path := range []string{"/data", "/noise"} {
		w := get(t, p, path)
		if strings.ContainsAny(w.Body.String(), "<>") || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: %s", path, w.Body)
		}
	}
	a := getJSON[answer](t, p, "/data")
	if a.Status.Sources[0].Name != "</script><script>alert(1)</script>\ufffd" || a.States[0] != failed {
		t.Errorf("%+v", a.Status.Sources[0])
	}
}

// Noise comes from sources of their own, once in an interval, however many ask.
func TestNoise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := seeded()
		calls := 0
		p := New(Config{Status: s.Status, Noise: func(source string) (Noise, error) {
			if calls++; source == "os" {
				return Noise{}, nil
			}
			return Noise{Samples: []byte{7, 7, 255, 0}, Parameters: es.NoiseParameters{Origin: "dice", Step: 6}}, nil
		}})
		if getJSON[answer](t, p, "/data").Noise != 10_000 || calls != 0 {
			t.Errorf("%d samples were taken that nobody asked for", calls)
		}
		for i := range 3 {
			for range 5 {
				hs := getJSON[[]histogram](t, p, "/noise")
				if len(hs) != 1 || hs[0].Source != "jitter" || hs[0].Samples != 4 || len(hs[0].Counts) != 256 || hs[0].Counts[7] != 2 || hs[0].Counts[255] != 1 || hs[0].Counts[0] != 1 || hs[0].Counts[1] != 0 || hs[0].Parameters.Origin != "dice" || hs[0].Error != "" {
					t.Fatalf("%+v", hs)
				}
			}
			if calls != 2*(i+1) {
				t.Errorf("%d calls; want %d", calls, 2*(i+1))
			}
			time.Sleep(10 * time.Second)
		}
	})
}

// A source that takes its time makes nobody wait but the one who came first.
func TestNoiseBusy(t *testing.T) {
	entered, leave := make(chan bool), make(chan bool)
	p := New(Config{Status: seeded().Status, Noise: func(source string) (Noise, error) {
		if source == "jitter" {
			entered <- true
			<-leave
		}
		return Noise{}, errors.New("broken")
	}})
	done := make(chan []histogram)
	go func() { done <- p.noise() }()
	<-entered
	second := make(chan []histogram, 1)
	go func() { second <- p.noise() }()
	select {
	case hs := <-second:
		if hs == nil || len(hs) != 0 {
			t.Errorf("%+v", hs)
		}
	case <-time.After(time.Minute):
		t.Error("a second request waits for the first")
	}
	if a := getJSON[answer](t, p, "/data"); len(a.Points) != 1 {
		t.Errorf("%+v", a)
	}
	close(leave)
	if hs := <-done; len(hs) != 2 || hs[0].Error != "broken" || hs[0].Counts != nil {
		t.Errorf("%+v", hs)
	}
}

func TestOwn(t *testing.T) {
	noise := Own(append(lrng.DefaultSources(), stopped{})...)
	n, err := noise("jitter")
	if err != nil || len(n.Samples) != noiseSamples || n.Parameters.Step == 0 {
		t.Errorf("%d samples, %+v, %v", len(n.Samples), n.Parameters, err)
	}
	for _, name := range []string{"os", "none"} {
		if n, err := noise(name); err != nil || n.Samples != nil {
			t.Errorf("%s: %d samples, %v", name, len(n.Samples), err)
		}
	}
	if _, err := noise("stopped"); err == nil || err.Error() != "no more noise after 0 samples" {
		t.Error(err)
	}
}

// A stopped source has no noise, and no error.
type stopped struct{ es.Source }

func (stopped) Info() es.Info                { return es.Info{Name: "stopped"} }
func (stopped) GetNoise([]byte) (int, error) { return 0, nil }

// Clients come at the same time.
func TestRace(t *testing.T) {
	r, err := lrng.New(lrng.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := New(Config{Status: r.Status, Interval: 1, NoiseInterval: 1, History: 3, Noise: Own(lrng.DefaultSources()...)})
	var wg sync.WaitGroup
	for _, path := range []string{"/data", "/data?after=1", "/noise", "/noise", "/", "/page.js"} {
		wg.Go(func() {
			for range 20 {
				if w := get(t, p, path); w.Code != 200 {
					t.Errorf("%s: %d, %s", path, w.Code, w.Body)
				}
				r.Uint64()
			}
		})
	}
	wg.Wait()
}
