package main

import (
	"bytes"
	"context"
	"crypto/mlkem"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
	"github.com/lrng-go/lrng/seeding"
)

// patience is how long a test waits for what is to happen, on a machine that has much
// else to do.
const patience = 60 * time.Second

// A testLog is what a server has logged.
type testLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *testLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *testLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// seeds returns how many seeds were sent.
func (l *testLog) seeds() int { return strings.Count(l.String(), "msg=seed ") }

// A testServer is a server on this machine.
type testServer struct {
	*server
	authority *authority
	address   string
	logged    *testLog
}

const serverName = "boot.example"

// noise returns a source that takes no time. Its data are not random, and never twice the
// same.
func noise() es.Source { return estest.New(es.Info{Name: "noise", MaxEntropy: 512, Health: true}) }

func newRNG(t *testing.T, c lrng.Config) *lrng.RNG {
	t.Helper()
	r, err := lrng.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// startServer starts a server, which ends with the test. Its generator is seeded from noise,
// so that tests are fast; setup may change that, and all else, before.
func startServer(t *testing.T, setup func(s *server)) *testServer {
	t.Helper()
	r := newRNG(t, lrng.Config{Sources: []es.Source{noise()}})
	a, err := newAuthority(r, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	s := &testServer{authority: a, logged: new(testLog)}
	s.server = newServer(r, s.issue(t, x509.ExtKeyUsageServerAuth, serverName), slog.New(slog.NewTextHandler(s.logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	s.timeout, s.limit.every = patience, 0
	if setup != nil {
		setup(s.server)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
		if s.open != 0 || len(s.strangers) != 0 {
			t.Errorf("%d places, %d strangers left", s.open, len(s.strangers))
		}
	})
	return s
}

func (s *testServer) issue(t *testing.T, usage x509.ExtKeyUsage, names ...string) *credentials {
	t.Helper()
	c, err := s.authority.credentials(usage, names...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newNode returns a node with those credentials, whose generator is seeded from noise, too.
func (s *testServer) newNode(t *testing.T, c *credentials) *node {
	t.Helper()
	n, err := newNode(s.address, serverName, patience, func() (*credentials, error) { return c, nil })
	if err != nil {
		t.Fatal(err)
	}
	n.rng.Close()
	n.seededBy(t, noise())
	return n
}

// ask returns a seed, as it is sent.
func ask(t *testing.T, n *node) (seed string, err error) {
	t.Helper()
	c, err := n.load()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), n.deadline)
	defer cancel()
	var req request
	var a answer
	if err := n.ask(ctx, c, &req, &a); err != nil {
		return "", err
	}
	if a.length != seedSize || a.claim != 8*seedSize {
		t.Errorf("a seed of %d bytes, and a claim of %d bits", a.length, a.claim)
	}
	return string(a.data[:a.length]), nil
}

// dial makes an authenticated connection.
func (s *testServer) dial(t *testing.T, c *credentials) *tls.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", s.address, c.node(serverName, time.Now, nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// Who does not prove who he is gets nothing, on either side, and nothing older than
// TLS 1.3 is spoken.
func TestHandshakes(t *testing.T) {
	s := startServer(t, nil)
	good := s.issue(t, x509.ExtKeyUsageClientAuth, "node")
	elsewhere, err := newAuthority(s.rng, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	expired := *s.authority
	expired.certificate = &x509.Certificate{}
	*expired.certificate = *s.authority.certificate
	expired.certificate.NotAfter = time.Now().Add(-time.Minute)
	credentialsOf := func(a *authority, usage x509.ExtKeyUsage) *credentials {
		t.Helper()
		c, err := a.credentials(usage, "node")
		if err != nil {
			t.Fatal(err)
		}
		c.authorities = good.authorities
		return c
	}
	for _, tt := range []struct {
		what   string
		client *credentials
		edit   func(c *tls.Config)
		want   string // in the error, or what the server has logged
	}{
		{"as it should be", good, func(*tls.Config) {}, ""},
		{"no certificate", good, func(c *tls.Config) { c.Certificates = nil }, "didn't provide a certificate"},
		{"certificate of another authority", credentialsOf(elsewhere, x509.ExtKeyUsageClientAuth), func(*tls.Config) {}, "unknown authority"},
		{"certificate for a server", credentialsOf(s.authority, x509.ExtKeyUsageServerAuth), func(*tls.Config) {}, "incompatible key usage"},
		{"expired certificate", credentialsOf(&expired, x509.ExtKeyUsageClientAuth), func(*tls.Config) {}, "expired"},
		{"TLS 1.2", good, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }, "protocol version not supported"},
		{"another key exchange", good, func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256} }, "handshake failure"},
		{"no protocol", good, func(c *tls.Config) { c.NextProtos = nil }, "does not speak lrng-diskless/1"},
		{"another protocol", good, func(c *tls.Config) { c.NextProtos = []string{"h2"} }, "no application protocol"},
		{"another server", good, func(c *tls.Config) { c.ServerName = "other.example" }, "not other.example"},
		{"an authority that is not its own", good, func(c *tls.Config) { c.RootCAs = x509.NewCertPool() }, "unknown authority"},
		{"before it was issued", good, func(c *tls.Config) {
			c.Time = func() time.Time { return time.Now().Add(-2 * backdate) }
		}, "not yet valid"},
		{"after it has expired", good, func(c *tls.Config) {
			c.Time = func() time.Time { return time.Now().Add(2 * time.Hour) }
		}, "expired"},
	} {
		before := s.logged.seeds()
		logged := len(s.logged.String())
		c := tt.client.node(serverName, time.Now, nil)
		tt.edit(c)
		err := exchange(t, s.address, c)
		if tt.want == "" {
			if err != nil || !eventually(func() bool { return s.logged.seeds() == before+1 }) {
				t.Fatalf("%s: %v, %d seeds", tt.what, err, s.logged.seeds()-before)
			}
			continue
		}
		if err == nil {
			t.Errorf("%s: it got a seed", tt.what)
			continue
		}
		said := func() string { return err.Error() + s.logged.String()[logged:] }
		if !eventually(func() bool { return strings.Contains(said(), tt.want) }) {
			t.Errorf("%s: %q; want %q", tt.what, said(), tt.want)
		}
		if s.logged.seeds() != before {
			t.Errorf("%s: a seed was sent", tt.what)
		}
	}
	if _, err := ask(t, s.newNode(t, good)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// exchange sends a request and reads the whole answer, without looking at it as a node
// would. It returns an error if there is no seed.
func exchange(t *testing.T, address string, c *tls.Config) error {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", address, c)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	r := request{size: seedSize}
	frame := r.encode()
	if _, err := conn.Write(frame[:]); err != nil {
		return err
	}
	b, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	if len(b) != headerSize+seedSize || b[0] != byte(seedFollows) {
		return fmt.Errorf("no seed, but %d bytes", len(b))
	}
	return nil
}

// A recorder notes how much is read at a time.
type recorder struct {
	io.Reader
	sizes []int
}

func (r *recorder) Read(p []byte) (int, error) {
	r.sizes = append(r.sizes, len(p))
	return r.Reader.Read(p)
}

// The ML-KEM key of a node is from its own generator, and no other key exchange is used:
// what is said of the worth of a seed rests on that.
func TestKeyExchange(t *testing.T) {
	s := startServer(t, nil)
	n := s.newNode(t, nil)
	if err := n.rng.Wait(t.Context(), seeding.FullySeeded); err != nil {
		t.Fatal(err)
	}
	random := &recorder{Reader: newHandshakeRandom(n.rng)}
	delivered := func() (bytes int) {
		for _, i := range n.rng.Status().Instances {
			bytes += int(i.Bytes)
		}
		return bytes
	}
	before := delivered()
	conn, err := tls.Dial("tcp", s.address, s.issue(t, x509.ExtKeyUsageClientAuth, "node").node(serverName, time.Now, random))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if id := conn.ConnectionState().CurveID; id != tls.X25519MLKEM768 {
		t.Errorf("key exchange: %v", id)
	}
	total := 0
	for _, size := range random.sizes {
		total += size
	}
	if !slices.Contains(random.sizes, mlkem.SeedSize) || delivered()-before != total {
		t.Errorf("the handshake read %v; the generator of the node has delivered %d bytes", random.sizes, delivered()-before)
	}
}

// Before it is seeded nothing waits for the generator of a node.
func TestHandshakeRandom(t *testing.T) {
	r := newRNG(t, lrng.Config{Sources: []es.Source{estest.New(es.Info{Name: "nothing"}, estest.Unavailable())}})
	random := newHandshakeRandom(r)
	var a, b [32]byte
	for _, p := range [][]byte{a[:], b[:]} {
		if n, err := random.Read(p); n != len(p) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if a == b || a == [32]byte{} {
		t.Error("not random")
	}
}

// eventually reports whether f becomes true.
func eventually(f func() bool) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if f() {
			return true
		}
	}
	return f()
}

// A hundred nodes at a time, half of which are twins: each gets a seed from the sources of
// this machine, no two the same. Nothing of a seed is in the log.
func TestManyNodes(t *testing.T) {
	s := startServer(t, func(s *server) {
		s.rng = newRNG(t, lrng.Config{})
		if _, err := s.rng.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	})
	twin := s.issue(t, x509.ExtKeyUsageClientAuth, "twin")
	n := s.newNode(t, twin) // its generator serves all of them
	var mu sync.Mutex
	seen := make(map[string]bool)
	var wg sync.WaitGroup
	nodes := 100
	if testing.Short() {
		nodes = 20
	}
	for i := range nodes {
		c := twin
		if i%2 == 1 {
			c = s.issue(t, x509.ExtKeyUsageClientAuth, fmt.Sprint("node", i))
		}
		wg.Go(func() {
			one := *n
			one.load = func() (*credentials, error) { return c, nil }
			seed, err := ask(t, &one)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for i := range 3 {
				part := seed[16*i:][:16]
				if seen[part] {
					t.Error("one seed, or a part of it, was sent twice")
				}
				seen[part] = true
			}
		})
	}
	wg.Wait()
	if len(seen) != 3*nodes {
		t.Errorf("%d parts of seeds; want %d", len(seen), 3*nodes)
	}
	if !eventually(func() bool { return s.logged.seeds() == nodes }) {
		t.Errorf("%d seeds in the log; want %d", s.logged.seeds(), nodes)
	}
	logged := s.logged.String()
	for part := range seen {
		for _, form := range []string{part[:4], fmt.Sprintf("%x", part[:4]), fmt.Sprint([]byte(part[:3]))} {
			if strings.Contains(logged, form) {
				t.Error("a part of a seed is in the log")
			}
		}
	}
	if !strings.Contains(logged, "node=twin") || !strings.Contains(logged, "node=node19") || !strings.Contains(logged, "bits=384") {
		t.Errorf("who got what is not in the log:\n%s", logged)
	}
}

// What was recorded on its way cannot be used again, by either side.
func TestReplayed(t *testing.T) {
	s := startServer(t, nil)
	good := s.issue(t, x509.ExtKeyUsageClientAuth, "node")
	var toServer, toNode bytes.Buffer
	// A relay that records. The node closes first, or the server: either ends both.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	over := make(chan error, 1)
	go func() {
		node, err := l.Accept()
		if err != nil {
			over <- err
			return
		}
		server, err := net.Dial("tcp", s.address)
		if err != nil {
			over <- err
			return
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			io.Copy(io.MultiWriter(server, &toServer), node)
			server.(*net.TCPConn).CloseWrite()
		})
		io.Copy(io.MultiWriter(node, &toNode), server)
		node.Close()
		wg.Wait()
		server.Close()
		over <- nil
	}()
	n := s.newNode(t, good)
	n.server = l.Addr().String()
	if _, err := ask(t, n); err != nil {
		t.Fatal(err)
	}
	if err := <-over; err != nil {
		t.Fatal(err)
	}
	if !eventually(func() bool { return s.logged.seeds() == 1 }) {
		t.Fatal("no seed was sent")
	}

	// The request, to the server.
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(toServer.Bytes()); err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, c)
	if !eventually(func() bool { return strings.Contains(s.logged.String(), "not authenticated") }) || s.logged.seeds() != 1 {
		t.Errorf("a request that was recorded:\n%s", s.logged)
	}

	// The answer, to the node.
	l2, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l2.Close()
	go func() {
		if c, err := l2.Accept(); err == nil {
			c.Write(toNode.Bytes())
			io.Copy(io.Discard, c)
			c.Close()
		}
	}()
	n.server = l2.Addr().String()
	if seed, err := ask(t, n); err == nil {
		t.Errorf("an answer that was recorded is taken: %d bytes", len(seed))
	}
}

// Each node has its share, which comes back with time.
func TestLimiter(t *testing.T) {
	l := limiter{burst: 3, every: time.Minute}
	now := time.Now()
	count := func(node string, at time.Duration) (n int) {
		for l.allow(node, now.Add(at)) {
			n++
		}
		return n
	}
	for _, tt := range []struct {
		node string
		at   time.Duration
		want int
	}{
		{"a", 0, 3}, {"a", time.Minute - 1, 0}, {"a", time.Minute, 1}, {"a", time.Minute, 0}, {"b", time.Minute, 3},
		{"a", 3 * time.Minute, 2}, {"a", time.Hour, 3}, {"b", time.Hour, 3},
	} {
		if n := count(tt.node, tt.at); n != tt.want {
			t.Errorf("%s after %v: %d seeds; want %d", tt.node, tt.at, n, tt.want)
		}
	}
	// Names do not pile up. Those that still have to wait are remembered.
	l = limiter{burst: 3, every: time.Minute}
	for i := range 3 * manyNodes {
		at := time.Duration(i) * time.Minute
		if !l.allow(fmt.Sprint(i), now.Add(at)) {
			t.Fatal("a node was refused its first")
		}
		count("a", at)
		if l.allow("a", now.Add(at)) {
			t.Fatal("its name was forgotten")
		}
		if len(l.nodes) > manyNodes {
			t.Fatalf("%d names are remembered", len(l.nodes))
		}
	}
	l = limiter{burst: 1}
	if count := func() (n int) {
		for n < 1000 && l.allow("a", now) {
			n++
		}
		return n
	}(); count != 1000 || l.nodes != nil {
		t.Errorf("without a limit: %d", count)
	}
}

func TestTooMany(t *testing.T) {
	s := startServer(t, func(s *server) { s.limit.every, s.limit.burst = time.Hour, 2 })
	twins := s.issue(t, x509.ExtKeyUsageClientAuth, "node")
	for i := range 4 {
		_, err := ask(t, s.newNode(t, twins))
		refused, _ := errors.AsType[*refusal](err)
		if i < 2 && err != nil || i >= 2 && (refused == nil || refused.status != tooMany || refused.why != "one in 1h0m0s, and 2 at once") {
			t.Errorf("request %d: %v", i, err)
		}
	}
	if _, err := ask(t, s.newNode(t, s.issue(t, x509.ExtKeyUsageClientAuth, "another"))); err != nil {
		t.Errorf("another node: %v", err)
	}
}

// Nothing is served before the generator is fully seeded, nor when its sources have dried
// up, and both is said.
func TestNoSeed(t *testing.T) {
	t.Parallel()
	src := estest.New(es.Info{Name: "noise", MaxEntropy: 256, Health: true}, estest.OK(40), estest.Error(errors.New("gone")))
	r := newRNG(t, lrng.Config{Sources: []es.Source{src}})
	s := startServer(t, func(s *server) { s.rng, s.timeout = r, patience/2 })
	n := s.newNode(t, s.issue(t, x509.ExtKeyUsageClientAuth, "node"))
	wait := func(st status, why string) {
		t.Helper()
		var err error
		if !eventually(func() bool {
			_, err = ask(t, n)
			refused, _ := errors.AsType[*refusal](err)
			return refused != nil && refused.status == st && strings.Contains(refused.why, why)
		}) {
			t.Fatalf("%v; want %v: %s", err, st, why)
		}
	}
	wait(notSeeded, "40/")
	if s.logged.seeds() != 0 {
		t.Error("a seed was sent")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	wait(unavailable, "closed")

	// Seeded, and then without a source.
	src = estest.New(es.Info{Name: "noise", MaxEntropy: 512, Health: true})
	r = newRNG(t, lrng.Config{Sources: []es.Source{src}})
	s = startServer(t, func(s *server) { s.rng, s.timeout = r, 2*time.Second })
	n = s.newNode(t, s.issue(t, x509.ExtKeyUsageClientAuth, "node"))
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	src.SetDead(errors.New("gone"))
	wait(unavailable, "deadline exceeded")
}

// Those who are silent, slow, or talk nonsense cost their own connections, and at last
// not even these.
func TestHostile(t *testing.T) {
	s := startServer(t, func(s *server) { s.most = 8 })
	good := s.issue(t, x509.ExtKeyUsageClientAuth, "node")
	n := s.newNode(t, good)
	var conns []net.Conn
	connect := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
		return c
	}
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	serves := func(what string) {
		t.Helper()
		if _, err := ask(t, n); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	places := func() (open, strangers int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.open, len(s.strangers)
	}
	// More of them than there are places.
	for range 3 * s.most {
		connect()
	}
	eventually(func() bool { open, _ := places(); return open == s.most })
	serves("silent ones")
	for _, hello := range []string{"GET / HTTP/1.0\r\n\r\n", "\x16\x03\x01\xff\xff\x01", "\x16\x03\x01", strings.Repeat("\x00", 1<<16)} {
		io.WriteString(connect(), hello)
		serves(fmt.Sprintf("%.10q", hello))
	}
	if open, _ := places(); open > s.most {
		t.Errorf("%d places are taken; there are %d", open, s.most)
	}
	for _, c := range conns {
		c.Close()
	}
	if !eventually(func() bool { open, _ := places(); return open == 0 }) {
		t.Error("places of those who have gone are still taken")
	}

	// Those who have authenticated themselves keep their places for as long as a connection
	// may take, and no longer.
	var known []*tls.Conn
	for range s.most {
		known = append(known, s.dial(t, good))
	}
	if !eventually(func() bool { open, strangers := places(); return open == s.most && strangers == 0 }) {
		t.Fatal("they do not have their places")
	}
	if c := connect(); !ends(c) {
		t.Error("there is room for one more")
	}
	// A request in pieces.
	r := request{size: seedSize}
	frame := r.encode()
	for _, b := range frame {
		known[0].Write([]byte{b})
	}
	if b, err := io.ReadAll(known[0]); len(b) != headerSize+seedSize {
		t.Errorf("in pieces: %d bytes, %v", len(b), err)
	}
	// A request that is none.
	frame[0] = mostSeed + 1
	known[1].Write(frame[:])
	if b, err := io.ReadAll(known[1]); len(b) != 0 {
		t.Errorf("no request: %d bytes, %v", len(b), err)
	}
	// Half of one, and the end.
	known[2].Write(frame[:10])
	known[2].CloseWrite()
	if b, err := io.ReadAll(known[2]); len(b) != 0 {
		t.Errorf("half a request: %d bytes, %v", len(b), err)
	}
	serves("three places are free again")
}

// ends reports whether the other side closes the connection.
func ends(c net.Conn) bool {
	c.SetReadDeadline(time.Now().Add(patience))
	_, err := io.Copy(io.Discard, c)
	var late net.Error
	return !errors.As(err, &late) || !late.Timeout()
}

// A connection has an end, whatever the other side does with it.
func TestTimeout(t *testing.T) {
	t.Parallel()
	s := startServer(t, func(s *server) { s.timeout = time.Second })
	silent, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	known := s.dial(t, s.issue(t, x509.ExtKeyUsageClientAuth, "node"))
	if !ends(silent) || !ends(known) {
		t.Error("a connection goes on")
	}
}

// An unreliable listener fails before each connection.
type unreliable struct {
	net.Listener
	failed bool
}

func (l *unreliable) Accept() (net.Conn, error) {
	if l.failed = !l.failed; l.failed {
		return nil, errors.New("too many open files")
	}
	return l.Listener.Accept()
}

func TestServe(t *testing.T) {
	s := startServer(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	other := newServer(s.rng, s.issue(t, x509.ExtKeyUsageServerAuth, serverName), slog.New(slog.DiscardHandler))
	ended := make(chan error, 1)
	go func() { ended <- other.serve(ctx, &unreliable{Listener: l}) }()
	n := s.newNode(t, s.issue(t, x509.ExtKeyUsageClientAuth, "node"))
	n.server = l.Addr().String()
	for range 3 {
		if _, err := ask(t, n); err != nil {
			t.Error(err)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", n.server); err == nil {
		t.Error("it still listens")
	}
	// Closed by somebody else.
	if err := other.serve(t.Context(), l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("on a closed listener: %v", err)
	}
}
