package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"expvar"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/lrng-go/lrng"
)

// A web answers over HTTP:
//
//	GET /bytes?n=N                     N random bytes
//	GET /seed?bits=B                   B/8 bytes of full entropy, straight from the sources
//	GET /seed?bits=B&form=buffer       a seeding.Buffer with a credit of at least B bits
//	GET /status                        lrng.Status, JSON
//	GET /healthz                       200 "ok", or 503 and why
//	GET /debug/vars                    counters, JSON
//	GET /                              the status page
type web struct {
	rng     *lrng.RNG
	gate    *gate
	most    int64         // bytes of a request
	idle    time.Duration // longest wait for a request, and for entropy
	timeout time.Duration // longest wait for the rest of a request, and for a part of an answer
	page    http.Handler  // the status page; nil: there is none

	seeding chan struct{} // has room for the requests that wait for the sources
}

const (
	chunk       = 16 << 10 // bytes of an answer at a time
	requestCost = 4 << 10  // of a request over HTTP, in bytes of the limit of a client
	headerMost  = 8 << 10  // bytes of the head of a request
	seedMost    = 4096     // bits, see lrng.RNG.GetSeed
	seedQueue   = 16       // requests that wait for the sources at a time
)

type connKey struct{}

// server returns the server for one listener or more. Its base context is not that of the
// shutdown: answers under way come to their end.
func (s *web) server() *http.Server {
	s.seeding = make(chan struct{}, seedQueue)
	return &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: s.timeout,
		ReadTimeout:       s.timeout,
		WriteTimeout:      s.idle + s.timeout, // the wait for entropy, and the answer
		IdleTimeout:       s.idle,
		MaxHeaderBytes:    headerMost,
		// What it says is caused by clients.
		ErrorLog:    slog.NewLogLogger(s.gate.log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return s.gate.life },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
		ConnState: func(c net.Conn, state http.ConnState) { c.(*conn).silent.Store(state == http.StateNew) },
	}
}

// connOf returns the connection of a request.
func connOf(r *http.Request) *conn { return r.Context().Value(connKey{}).(*conn) }

func (s *web) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /bytes", s.bytes)
	mux.HandleFunc("GET /seed", s.seed)
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, s.rng.Status())
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		if err := health(s.rng); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "ok\n")
	})
	mux.HandleFunc("GET /debug/vars", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, map[string]any{"lrngd": s.gate.count.snapshot(s.gate.open()), "lrng": s.rng.Status()})
	})
	if s.page != nil {
		mux.Handle("GET /", s.page)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		c := connOf(r)
		defer func() {
			p := recover()
			if p != nil && p != http.ErrAbortHandler {
				s.gate.count.panics.Add(1)
				s.gate.log.Error("panic in a request", "path", r.URL.Path, "type", fmt.Sprintf("%T", p))
			}
			if p != nil {
				panic(http.ErrAbortHandler) // ends the connection, without a log of its own
			}
		}()
		if !s.hostIsLocal(c, r.Host) {
			http.Error(w, "lrngd is asked by the name of another host", http.StatusMisdirectedRequest)
			return
		}
		if !c.client.bytes.AllowN(time.Now(), requestCost) {
			s.tooMuch(w)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// hostIsLocal keeps out pages in a browser on this machine, whose server makes their
// name point here (DNS rebinding).
func (s *web) hostIsLocal(c *conn, host string) bool {
	if c.LocalAddr().Network() == "unix" {
		return true
	}
	// None at all comes from programs with HTTP/1.0, and from no browser.
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "" || strings.EqualFold(host, "localhost") || err == nil && a.IsLoopback()
}

func (s *web) tooMuch(w http.ResponseWriter) {
	s.gate.count.limited.Add(1)
	w.Header().Set("Retry-After", "1")
	http.Error(w, "the limit of this client is used up", http.StatusTooManyRequests)
}

func writeJSON(w http.ResponseWriter, v any) {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(b.Bytes())
}

// health returns why no random bytes can be had at present, or nil.
func health(r *lrng.RNG) error {
	var b [1]byte
	defer clear(b[:])
	_, err := r.Nonblocking().Read(b[:])
	return err
}

// parseQuery returns the values of a query that has each of the names at most once, and
// no others.
func parseQuery(raw string, names ...string) (map[string]string, error) {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errors.New("the query is malformed")
	}
	values := make(map[string]string)
	for _, name := range names {
		switch v := q[name]; len(v) {
		case 0:
		case 1:
			values[name] = v[0]
		default:
			return nil, fmt.Errorf("%s is there %d times", name, len(v))
		}
		delete(q, name)
	}
	for name := range q {
		return nil, fmt.Errorf("the query has %.20q", name)
	}
	return values, nil
}

// parseSize returns a number from 1 to most.
func parseSize(name, s string, most int64) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || n < 1 || n > uint64(most) {
		return 0, fmt.Errorf("%s is not a number from 1 to %d", name, most)
	}
	return int64(n), nil
}

// bytes answers /bytes. What is beyond the first part comes as fast as the limit of the
// client allows.
func (s *web) bytes(w http.ResponseWriter, r *http.Request) {
	q, err := parseQuery(r.URL.RawQuery, "n")
	var n int64
	if err == nil {
		n, err = parseSize("n", q["n"], s.most)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	buf := make([]byte, min(n, chunk))
	// Not in the context of the request: that ends as soon as a client says that it will
	// ask for no more, which is none of a reason to give it nothing.
	left, first := n, true
	s.stream(s.gate.life, w, r, n, func(ctx context.Context) ([]byte, error) {
		part := buf[:min(left, chunk)]
		if limit := connOf(r).client.bytes; first {
			if !limit.AllowN(time.Now(), len(part)) {
				return nil, errLimited
			}
		} else if err := limit.WaitN(ctx, len(part)); err != nil {
			return nil, err
		}
		first = false
		if _, err := s.rng.ReadContext(ctx, part); err != nil {
			return nil, err
		}
		s.gate.count.bytes.Add(int64(len(part)))
		left -= int64(len(part))
		return part, nil
	})
}

var (
	errLimited = errors.New("the limit of this client is used up")
	errBusy    = errors.New("too many requests wait for the sources")
)

// seed answers /seed.
func (s *web) seed(w http.ResponseWriter, r *http.Request) {
	q, err := parseQuery(r.URL.RawQuery, "bits", "form")
	var bits int64
	if err == nil {
		bits, err = parseSize("bits", q["bits"], seedMost)
	}
	form := q["form"]
	switch {
	case err != nil:
	case form != "" && form != "buffer":
		err = errors.New(`form is not "buffer"`)
	case form == "" && bits%8 != 0:
		err = errors.New("bits is not a multiple of 8")
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.Method == http.MethodHead && form == "buffer" {
		w.Header().Set("Content-Type", "application/octet-stream")
		return // its length is known when it is there
	}
	if r.Method != http.MethodHead {
		if !connOf(r).client.seeds.Allow() {
			s.tooMuch(w)
			return
		}
		select {
		case s.seeding <- struct{}{}:
			defer func() { <-s.seeding }()
		default:
			s.unavailable(w, errBusy)
			return
		}
	}
	if form == "" {
		s.stream(r.Context(), w, r, bits/8, func(ctx context.Context) ([]byte, error) {
			seed := make([]byte, bits/8)
			if _, err := s.rng.SeedReader().(lrng.FreshReader).ReadContext(ctx, seed); err != nil {
				return nil, err
			}
			s.gate.count.seeds.Add(1)
			return seed, nil
		})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.idle)
	defer cancel()
	seed, _, err := s.rng.GetSeed(ctx, int(bits))
	if err != nil {
		s.unavailable(w, err)
		return
	}
	s.gate.count.seeds.Add(1)
	s.stream(r.Context(), w, r, int64(len(seed)), func(context.Context) ([]byte, error) { return seed, nil })
}

func (s *web) unavailable(w http.ResponseWriter, err error) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, err.Error(), http.StatusServiceUnavailable)
}

// stream answers with n bytes, part by part as next returns them, and wipes each. It takes
// the connection over from package http, which would leave copies in its buffers, and
// closes it at the end.
func (s *web) stream(ctx context.Context, w http.ResponseWriter, r *http.Request, n int64, next func(context.Context) ([]byte, error)) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	if r.Method == http.MethodHead {
		return
	}
	get := func() ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, s.idle)
		defer cancel()
		return next(ctx)
	}
	part, err := get()
	if err != nil {
		if errors.Is(err, errLimited) {
			s.tooMuch(w)
		} else {
			s.unavailable(w, err)
		}
		return
	}
	defer func() { clear(part) }()
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
	defer c.Close()
	w.Header().Set("Connection", "close")
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	var head bytes.Buffer
	head.WriteString("HTTP/1.1 200 OK\r\n")
	w.Header().Write(&head)
	head.WriteString("\r\n")
	c.SetDeadline(time.Now().Add(s.timeout))
	_, err = c.Write(head.Bytes())
	for err == nil {
		c.SetWriteDeadline(time.Now().Add(s.timeout))
		if _, err = c.Write(part); err != nil {
			break
		}
		n -= int64(len(part))
		clear(part)
		if n <= 0 {
			return
		}
		part, err = get()
	}
	s.gate.log.Debug("answer cut off", "client", connOf(r).client.name, "missing", n, "why", err)
}

// counters count what the daemon does: events, bytes and bits, no data.
type counters struct {
	connections, refused, acceptErrors, limited, panics expvar.Int
	bytes, seeds                                        expvar.Int
	entropyBytes, entropyBits, entropyRefused           expvar.Int
	feeds, feedErrors, feedBits                         expvar.Int
}

// snapshot returns the counters by name, and the number of connections.
func (c *counters) snapshot(open int) map[string]int64 {
	return map[string]int64{
		"open_connections": int64(open),
		"goroutines":       int64(runtime.NumGoroutine()),
		"connections":      c.connections.Value(),
		"refused":          c.refused.Value(),
		"accept_errors":    c.acceptErrors.Value(),
		"limited":          c.limited.Value(),
		"panics":           c.panics.Value(),
		"bytes":            c.bytes.Value(),
		"seeds":            c.seeds.Value(),
		"entropy_bytes":    c.entropyBytes.Value(),
		"entropy_bits":     c.entropyBits.Value(),
		"entropy_refused":  c.entropyRefused.Value(),
		"feeds":            c.feeds.Value(),
		"feed_errors":      c.feedErrors.Value(),
		"feed_bits":        c.feedBits.Value(),
	}
}
