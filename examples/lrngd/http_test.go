package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/seeding"
)

func TestHTTP(t *testing.T) {
	s := startServer(t, newTestRNG(t, source()), flags(t, "-request", "100000"))
	for _, tt := range []struct {
		method, path string
		code, length int // length -1: any
	}{
		{"GET", "/bytes?n=1", 200, 1},
		{"GET", "/bytes?n=16384", 200, 16384},
		{"GET", "/bytes?n=16385", 200, 16385},
		{"GET", "/bytes?n=100000", 200, 100000},
		{"GET", "/bytes?n=100001", 400, -1},
		{"GET", "/bytes?n=0", 400, -1},
		{"GET", "/bytes?n=-1", 400, -1},
		{"GET", "/bytes?n=1e3", 400, -1},
		{"GET", "/bytes?n=99999999999999999999999", 400, -1},
		{"GET", "/bytes?n=", 400, -1},
		{"GET", "/bytes", 400, -1},
		{"GET", "/bytes?n=1&n=2", 400, -1},
		{"GET", "/bytes?n=1&m=2", 400, -1},
		{"GET", "/bytes?n=%zz", 400, -1},
		{"GET", "/bytes?n=1;n=2", 400, -1},
		{"POST", "/bytes?n=1", 405, -1},
		{"GET", "/bytes/?n=1", 404, -1},
		{"GET", "/seed?bits=8", 200, 1},
		{"GET", "/seed?bits=384", 200, 48},
		{"GET", "/seed?bits=4096", 200, 512},
		{"GET", "/seed?bits=4097", 400, -1},
		{"GET", "/seed?bits=4104", 400, -1},
		{"GET", "/seed?bits=12", 400, -1},
		{"GET", "/seed?bits=0&form=buffer", 400, -1},
		{"GET", "/seed?bits=12&form=buffer", 200, -1},
		{"GET", "/seed?bits=16&form=raw", 400, -1},
		{"GET", "/seed", 400, -1},
		{"GET", "/status", 200, -1},
		{"GET", "/healthz", 200, 3},
		{"GET", "/debug/vars", 200, -1},
		{"GET", "/nothing", 404, -1},
		{"GET", "/debug/pprof/", 404, -1},
	} {
		req, err := http.NewRequest(tt.method, "http://any"+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.client.Do(req)
		if err != nil {
			t.Fatalf("%s %s: %v", tt.method, tt.path, err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != tt.code || tt.length >= 0 && len(body) != tt.length {
			t.Errorf("%s %s: %s, %d bytes, %v", tt.method, tt.path, resp.Status, len(body), err)
		}
		if got := resp.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s %s: Cache-Control %q", tt.method, tt.path, got)
		}
		if tt.code == 200 && tt.length >= 16 && bytes.Contains(body, make([]byte, 16)) {
			t.Errorf("%s %s: not random: %x", tt.method, tt.path, body[:16])
		}
		// The same by HEAD says the same, and costs nothing.
		if tt.method != "GET" || tt.length < 0 {
			continue
		}
		before := s.gate.count.bytes.Value() + s.gate.count.seeds.Value()
		resp, err = s.client.Head("http://any" + tt.path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.code || resp.ContentLength != int64(tt.length) {
			t.Errorf("HEAD %s: %s, %d bytes", tt.path, resp.Status, resp.ContentLength)
		}
		if after := s.gate.count.bytes.Value() + s.gate.count.seeds.Value(); after != before {
			t.Errorf("HEAD %s: used something up", tt.path)
		}
	}
}

// TestSeeds: no two seeds have anything in common, and a buffer is one.
func TestSeeds(t *testing.T) {
	r := newTestRNG(t, source())
	s := startServer(t, r, flags(t))
	_, first := get(t, s.client, "http://any/seed?bits=256")
	_, second := get(t, s.client, "http://any/seed?bits=256")
	if len(first) != 32 || len(second) != 32 || bytes.Equal(first, second) {
		t.Errorf("seeds %x and %x", first, second)
	}
	resp, encoded := get(t, s.client, "http://any/seed?bits=384&form=buffer")
	var b seeding.Buffer
	if err := b.UnmarshalBinary(encoded); err != nil {
		t.Fatal(err)
	}
	defer b.Clear()
	if b.Credit() < 384 || resp.ContentLength != int64(len(encoded)) {
		t.Errorf("credit %d, length %d of %d", b.Credit(), len(encoded), resp.ContentLength)
	}
	if n := s.gate.count.seeds.Value(); n != 3 {
		t.Errorf("%d seeds counted, want 3", n)
	}
}

func TestStatus(t *testing.T) {
	r := newTestRNG(t, source())
	s := startServer(t, r, flags(t))
	get(t, s.client, "http://any/bytes?n=1000")
	_, body := get(t, s.client, "http://any/status")
	var st lrng.Status
	if err := json.Unmarshal(body, &st); err != nil {
		t.Fatal(err)
	}
	if st.Level != seeding.FullySeeded || len(st.Sources) != 2 || st.Sources[0].Name != "fake" {
		t.Errorf("status %s", body)
	}
	_, body = get(t, s.client, "http://any/debug/vars")
	var vars struct {
		Lrngd map[string]int64
		Lrng  lrng.Status
	}
	if err := json.Unmarshal(body, &vars); err != nil {
		t.Fatal(err)
	}
	if vars.Lrngd["bytes"] != 1000 || vars.Lrngd["open_connections"] < 1 || vars.Lrng.DRNG != st.DRNG {
		t.Errorf("vars %s", body)
	}
}

// TestHealth follows the generator: unseeded, seeded, closed.
func TestHealth(t *testing.T) {
	fake := source()
	fake.SetDead(errDead)
	r := newTestRNG(t, fake)
	s := startServer(t, r, flags(t, "-idle", "50ms"))
	for path, want := range map[string]string{"/healthz": lrng.ErrNotSeeded.Error(), "/bytes?n=8": "deadline", "/seed?bits=8": "deadline"} {
		resp, body := get(t, s.client, "http://any"+path)
		if resp.StatusCode != 503 || !strings.Contains(string(body), want) || resp.Header.Get("Retry-After") == "" && path != "/healthz" {
			t.Errorf("%s without a seed: %s, %q", path, resp.Status, body)
		}
	}
	fake.SetDead(nil)
	eventually(t, "healthy", func() bool {
		resp, _ := get(t, s.client, "http://any/healthz")
		return resp.StatusCode == 200
	})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/healthz", "/bytes?n=8", "/seed?bits=8"} {
		if resp, body := get(t, s.client, "http://any"+path); resp.StatusCode != 503 || !strings.Contains(string(body), lrng.ErrClosed.Error()) {
			t.Errorf("%s of a closed generator: %s, %q", path, resp.Status, body)
		}
	}
}

// TestPage mounts a page, and has it panic.
func TestPage(t *testing.T) {
	var log safeBuffer
	r := newTestRNG(t, source())
	g := newGate(flags(t).limits, slog.New(slog.NewTextHandler(&log, nil)), new(counters))
	w := &web{rng: r, gate: g, most: 100, idle: patience, timeout: patience}
	w.page = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/panic" {
			panic("a value that is nobody's business")
		}
		fmt.Fprint(w, "page ", r.URL.Path)
	})
	srv := w.server()
	l, err := net.Listen("unix", shortDir(t)+"/h")
	if err != nil {
		t.Fatal(err)
	}
	go srv.Serve(g.listener(l))
	defer srv.Close()
	client := unixClient(l.Addr().String())
	defer client.CloseIdleConnections()
	for _, path := range []string{"/", "/script.js"} {
		if resp, body := get(t, client, "http://any"+path); resp.StatusCode != 200 || string(body) != "page "+path {
			t.Errorf("%s: %s, %q", path, resp.Status, body)
		}
	}
	if resp, err := client.Get("http://any/panic"); err == nil {
		resp.Body.Close()
		t.Error("an answer of a page that panics:", resp.Status)
	}
	if n := g.count.panics.Value(); n == 0 || !strings.Contains(log.String(), "panic in a request") || strings.Contains(log.String(), "nobody") {
		t.Errorf("%d panics, log %q", n, log.String())
	}
	if _, body := get(t, client, "http://any/healthz"); string(body) != "ok\n" && !strings.Contains(string(body), "not fully seeded") {
		t.Errorf("after the panic: %q", body)
	}
}

// TestHTTPWipes looks at all memory that was written to a connection from: what was
// handed out is nowhere in it.
func TestHTTPWipes(t *testing.T) {
	r := newTestRNG(t, source())
	g := newGate(flags(t).limits, slog.New(slog.DiscardHandler), new(counters))
	w := &web{rng: r, gate: g, most: 1 << 20, idle: patience, timeout: patience}
	srv := w.server()
	for i, path := range []string{"/bytes?n=100", "/bytes?n=40000", "/seed?bits=512", "/seed?bits=384&form=buffer", "/bytes?n=100", "/bytes?n=40000"} {
		l := &once{closed: make(chan struct{})}
		here, there := net.Pipe()
		l.conn = &tap{Conn: there}
		if i >= 4 {
			l.conn.most = i - 2 // the client is gone after the head, or after a part
		}
		go srv.Serve(g.listener(l))
		go fmt.Fprintf(here, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path)
		eventually(t, "the answer is complete", func() bool { return g.count.connections.Value() > 0 && g.open() == 0 })
		c := l.conn
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(c.out.Bytes())), nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		body, err := io.ReadAll(resp.Body)
		if i < 4 && err != nil || resp.StatusCode != 200 || len(body) < 64 {
			t.Fatalf("%s: %s, %d bytes, %v", path, resp.Status, len(body), err)
		}
		for _, b := range c.written {
			for i := 0; i+16 <= len(body); i += 16 {
				if bytes.Contains(b, body[i:i+16]) {
					t.Fatalf("%s: byte %d of the answer is still in a buffer", path, i)
				}
			}
		}
		g.count.connections.Set(0)
		here.Close()
		l.Close()
	}
}

// once is a listener with one connection.
type once struct {
	conn   *tap
	taken  bool
	closed chan struct{}
}

func (l *once) Accept() (net.Conn, error) {
	if !l.taken {
		l.taken = true
		return l.conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *once) Addr() net.Addr { return &net.UnixAddr{Name: "/once", Net: "unix"} }

func (l *once) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

// TestRebinding asks over TCP by names of other hosts, as a page in a browser would.
func TestRebinding(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := newTestRNG(t, source())
	g := newGate(flags(t).limits, slog.New(slog.DiscardHandler), new(counters))
	srv := (&web{rng: r, gate: g, most: 100, idle: patience, timeout: patience}).server()
	go srv.Serve(g.listener(l))
	defer srv.Close()
	for host, want := range map[string]int{
		"localhost": 200, "LOCALHOST:80": 200, "127.0.0.1:8080": 200, "127.1.2.3": 200, "[::1]:80": 200, "[::1]": 200, "": 200,
		"evil.example": 421, "evil.example:80": 421, "localhost.evil.example": 421, "10.0.0.1": 421, "[fe80::1]": 421, "0.0.0.0": 421,
	} {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(c, "GET /bytes?n=8 HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("%q: %v", host, err)
		}
		if resp.StatusCode != want {
			t.Errorf("Host %q: %s, want %d", host, resp.Status, want)
		}
		c.Close()
	}
}

// TestHTTPShutdown does not wait for who has asked for nothing.
func TestHTTPShutdown(t *testing.T) {
	s := startServer(t, newTestRNG(t, source()), flags(t, "-drain", "25s"))
	c, err := net.Dial("unix", s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	get(t, s.client, "http://any/healthz") // and one that is idle
	eventually(t, "both are there", func() bool { return s.gate.open() == 2 })
	s.client = new(http.Client) // which has no connections to close
	start := time.Now()
	s.stop()
	if took := time.Since(start); took > 4*time.Second { // package http alone waits for 5 s
		t.Errorf("it took %v", took)
	}
}

// TestHalfClose: who says that it will ask for no more still gets its answer.
func TestHalfClose(t *testing.T) {
	s := startServer(t, newTestRNG(t, source()), flags(t))
	for path, ask := range map[string]string{s.path: "GET /bytes?n=100000 HTTP/1.0\r\n\r\n", s.egd: strings.Repeat("\x02\xfa", 400)} {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		fmt.Fprint(c, ask)
		if err := c.(*net.UnixConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(c); err != nil || len(got) < 100000 {
			t.Errorf("%d bytes of 100000, %v", len(got), err)
		}
	}
}
