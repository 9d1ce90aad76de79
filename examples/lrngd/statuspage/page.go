// Package statuspage shows the state of a random bit generator on a web page: levels,
// credits, seeds and health tests as they change, histograms of raw noise, and the facts
// of its Status.
//
// The page is embedded in the program. It loads nothing from elsewhere, and works under
// the Content-Security-Policy that it is sent with, which allows scripts, styles and data
// of its own origin only. Whatever it shows, names of sources and texts of errors too, it
// shows as text.
//
// # What is shown
//
// Facts and counters, which is all that a Status has, and how often each value came in a
// sample of raw noise. No state, no output, no seed, and no sample in the order in which
// it was taken. Who must not know how a generator is used should not reach the page: it
// asks for no password. An http.Handler around it can.
//
// # Raw noise
//
// Noise that somebody has seen must not be part of a seed. A source of package es keeps to
// that by itself: what GetNoise returns is not used again (SP 800-90B, Section 3.2.1). The
// page goes further and is to be given sources of its own, which no generator has: [Own].
// Whoever watches the page then sees samples of a noise that is like that of the source
// in use, and not the samples between two that are used. Nor does taking them make the
// source in use wait, or change its clock's step, its memory or its health tests.
//
// # Load
//
// Nothing is sampled while nobody looks: a page has no goroutine. A request makes it take a
// new sample if the last one is an interval old. So many clients cost no more than one, and
// times when nobody looked are gaps in the charts.
package statuspage

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"path"
	"strconv"
	"sync"
	"time"

	"github.com/lrng-go/lrng"
)

// A Config says what a page shows.
type Config struct {
	// Status returns the state to show. It must be set, and safe for concurrent use.
	Status func() lrng.Status

	// Noise returns raw samples of the source with that name, none and no error if
	// there are none to show. The samples must not be used for anything else: see [Own].
	// It is not called concurrently. nil: no histograms.
	Noise func(source string) (Noise, error)

	// Interval is the least time between two samples of the status, and what a client
	// waits between two requests. 0: one second. At least 100 milliseconds.
	Interval time.Duration

	// NoiseInterval is the least time between two samples of the noise. 0: ten seconds.
	// At least a second.
	NoiseInterval time.Duration

	// History is the number of samples of the status that are kept for the charts, at
	// most 3600. 0: 600.
	History int
}

// Limits and defaults of a Config.
const (
	defaultInterval      = time.Second
	leastInterval        = 100 * time.Millisecond
	defaultNoiseInterval = 10 * time.Second
	leastNoiseInterval   = time.Second
	defaultHistory       = 600
	mostHistory          = 3600
)

// A Page is an http.Handler for the page, its files and its data. It is safe for concurrent
// use. The paths are those below the one that it is mounted at:
//
//	mux.Handle("/ui/", http.StripPrefix("/ui", page))
type Page struct {
	cfg  Config
	boot string // differs between two pages, so that clients notice a restart

	// mu guards the fields up to sampling.
	mu         sync.Mutex
	points     []point // the oldest first
	next       uint64  // number of the next point
	status     lrng.Status
	sampled    time.Time   // when the last point was taken
	histograms []histogram // replaced as a whole

	// sampling is held while noise is taken, and guards taken. It comes before mu.
	sampling sync.Mutex
	taken    time.Time // when the last noise was
}

// New returns a page. It panics if Config.Status is nil. Values of the Config beyond their
// limits are taken as the nearest one within.
func New(c Config) *Page {
	if c.Status == nil {
		panic("statuspage: Config.Status is nil")
	}
	c.Interval = within(c.Interval, defaultInterval, leastInterval, time.Hour)
	c.NoiseInterval = within(c.NoiseInterval, defaultNoiseInterval, leastNoiseInterval, time.Hour)
	c.History = within(c.History, defaultHistory, 2, mostHistory)
	return &Page{cfg: c, boot: strconv.FormatInt(time.Now().UnixNano(), 36), next: 1, histograms: []histogram{}}
}

// within returns v between the limits, or the default if v is 0.
func within[T int | time.Duration](v, byDefault, least, most T) T {
	if v == 0 {
		return byDefault
	}
	return min(max(v, least), most)
}

//go:embed web
var web embed.FS

// files are those of the page, by their path.
var files = map[string]struct{ name, kind string }{
	"/":         {"index.html", "text/html; charset=utf-8"},
	"/page.js":  {"page.js", "text/javascript; charset=utf-8"},
	"/page.css": {"page.css", "text/css; charset=utf-8"},
	"/icon.svg": {"icon.svg", "image/svg+xml"},
}

// contentSecurityPolicy allows what the page has, and no script, style or frame of others.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// ServeHTTP serves the page at "/", its files beside it, and its data at "/data" and
// "/noise". Other paths are not found; methods other than GET and HEAD are not allowed.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", contentSecurityPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")

	f, isFile := files[r.URL.Path]
	if !isFile && r.URL.Path != "/data" && r.URL.Path != "/noise" {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	switch {
	case isFile:
		p.serveFile(w, r, f.name, f.kind)
	case r.URL.Path == "/data":
		after, err := uint64(0), error(nil)
		if s := r.FormValue("after"); s != "" {
			after, err = strconv.ParseUint(s, 10, 64)
		}
		if err != nil {
			http.Error(w, "after: want the number of a sample", http.StatusBadRequest)
			return
		}
		if r.FormValue("boot") != p.boot {
			after = 0
		}
		serveJSON(w, p.data(after))
	default:
		serveJSON(w, p.noise())
	}
}

// serveFile serves an embedded file. A browser may keep it, and asks whether it is still the
// same: the next version of the program may have another one.
func (p *Page) serveFile(w http.ResponseWriter, r *http.Request, name, kind string) {
	b, err := web.ReadFile(path.Join("web", name))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	sum := sha256.Sum256(b)
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
}

// serveJSON serves what changes all the time.
func serveJSON(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "statuspage: "+err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.Write(b)
}

// A point is a sample of the status: what the charts show of it. Counters are totals.
type point struct {
	Number   uint64        `json:"number"`
	Time     int64         `json:"time"`    // milliseconds since 1970
	Level    int           `json:"level"`   // a seeding.Level
	Entropy  int           `json:"entropy"` // towards the next seed, bits
	Rounds   uint64        `json:"rounds"`
	Seeds    uint64        `json:"seeds"`
	Requests uint64        `json:"requests"`
	Bytes    uint64        `json:"bytes"`
	Sources  []sourcePoint `json:"sources"`
}

// A sourcePoint is what the charts show of a source.
type sourcePoint struct {
	State     state  `json:"state"`
	Available int    `json:"available"` // bits
	Credited  int    `json:"credited"`  // in the last round, bits
	Total     uint64 `json:"total"`     // credited, bits
	Failures  uint64 `json:"failures"`
}

// A state is what the health of a source comes to.
type state string

const (
	idle   state = "idle"   // not asked yet
	well   state = "well"   // delivers
	absent state = "absent" // not there
	failed state = "failed" // a test of it, or the call
)

// judge returns the state of a source.
func judge(s lrng.SourceStatus) state {
	switch {
	case s.Error != "" && s.Health == "unavailable":
		return absent
	case s.Error != "":
		return failed
	case s.Calls == 0:
		return idle
	}
	return well
}

func newPoint(number uint64, now time.Time, s *lrng.Status) point {
	p := point{Number: number, Time: now.UnixMilli(), Level: int(s.Level), Entropy: s.Entropy, Rounds: s.Rounds, Seeds: s.Seeds}
	for _, in := range append(s.Instances[:len(s.Instances):len(s.Instances)], s.PredictionResistance) {
		p.Requests += in.Requests
		p.Bytes += in.Bytes
	}
	for _, src := range s.Sources {
		p.Sources = append(p.Sources, sourcePoint{judge(src), src.Available, src.Credited, src.TotalCredited, src.Failures})
	}
	return p
}

// An answer is what a client gets for "/data".
type answer struct {
	Boot     string      `json:"boot"`
	Now      int64       `json:"now"`      // milliseconds since 1970
	Interval int64       `json:"interval"` // milliseconds
	History  int         `json:"history"`  // samples
	States   []state     `json:"states"`   // of the sources, in the order of the status
	Noise    int64       `json:"noise"`    // milliseconds between two samples of the noise; 0: there is none
	Status   lrng.Status `json:"status"`
	Points   []point     `json:"points"`
}

// data returns the status and the points after the given one, which it adds to if the last
// one is old enough.
func (p *Page) data(after uint64) answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	// Clients ask at this interval, some a little early.
	if p.next == 1 || now.Sub(p.sampled) >= p.cfg.Interval*9/10 {
		p.status, p.sampled = p.cfg.Status(), now
		if len(p.points) == p.cfg.History {
			copy(p.points, p.points[1:])
			p.points = p.points[:len(p.points)-1]
		}
		p.points = append(p.points, newPoint(p.next, now, &p.status))
		p.next++
	}
	a := answer{Boot: p.boot, Now: now.UnixMilli(), Interval: p.cfg.Interval.Milliseconds(), History: p.cfg.History, Status: p.status}
	if p.cfg.Noise != nil {
		a.Noise = p.cfg.NoiseInterval.Milliseconds()
	}
	for _, s := range p.status.Sources {
		a.States = append(a.States, judge(s))
	}
	first := 0
	for first < len(p.points) && p.points[first].Number <= after {
		first++
	}
	a.Points = append([]point{}, p.points[first:]...)
	return a
}
