package main

import (
	"bytes"
	"context"
	"crypto/fips140"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
	"github.com/lrng-go/lrng/seeding"
)

// An impostor is a server that has a certificate and does as it likes with who calls.
func (s *testServer) impostor(t *testing.T, talk func(c *tls.Conn, st *tls.ConnectionState)) (address string) {
	t.Helper()
	return listen(t, s.issue(t, x509.ExtKeyUsageServerAuth, serverName).server(nil), talk)
}

// listen starts a server that ends with the test.
func listen(t *testing.T, config *tls.Config, talk func(c *tls.Conn, st *tls.ConnectionState)) (address string) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(patience))
				t := c.(*tls.Conn)
				if t.Handshake() == nil {
					st := t.ConnectionState()
					talk(t, &st)
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

// reply reads a request and returns what answers it, but for the seed.
func reply(c *tls.Conn, st *tls.ConnectionState) (a *answer) {
	var frame [requestSize]byte
	io.ReadFull(c, frame[:])
	a = &answer{claim: 8 * seedSize, length: seedSize}
	b, err := st.ExportKeyingMaterial(bindingLabel, frame[:], bindingSize)
	if err != nil {
		panic(err)
	}
	copy(a.binding[:], b)
	return a
}

// Whatever the server does, the node starts: with what it sent, or without.
func TestImpostor(t *testing.T) {
	s := startServer(t, nil)
	n := s.newNode(t, s.issue(t, x509.ExtKeyUsageClientAuth, "node"))
	var last answer
	for _, tt := range []struct {
		what string
		talk func(c *tls.Conn, st *tls.ConnectionState)
		want string // "": it is taken
	}{
		{"as it should be", func(c *tls.Conn, st *tls.ConnectionState) {
			last = *reply(c, st)
			c.Write(encoded(&last))
		}, ""},
		{"the same once more", func(c *tls.Conn, st *tls.ConnectionState) {
			reply(c, st)
			c.Write(encoded(&last))
		}, "answer to another request, or on another connection"},
		{"another size", func(c *tls.Conn, st *tls.ConnectionState) {
			a := reply(c, st)
			a.length = mostSeed
			c.Write(encoded(a))
		}, "answer with a seed of 64 bytes; want 48"},
		{"too much claimed", func(c *tls.Conn, st *tls.ConnectionState) {
			a := reply(c, st)
			a.claim++
			c.Write(encoded(a))
		}, "answer that claims 385 bits for 48 bytes"},
		{"cut off", func(c *tls.Conn, st *tls.ConnectionState) {
			b := encoded(reply(c, st))
			c.Write(b[:len(b)-1])
			c.CloseWrite()
		}, "unexpected EOF"},
		{"cut off without a word", func(c *tls.Conn, st *tls.ConnectionState) {
			b := encoded(reply(c, st))
			c.Write(b[:len(b)-1])
			c.NetConn().Close()
		}, "unexpected EOF"},
		{"nothing", func(c *tls.Conn, st *tls.ConnectionState) { reply(c, st) }, "EOF"},
		{"a lot", func(c *tls.Conn, st *tls.ConnectionState) {
			reply(c, st)
			c.Write(bytes.Repeat([]byte{0xff}, 1<<20))
		}, "answer with status 255"},
		{"refused", func(c *tls.Conn, st *tls.ConnectionState) {
			a := reply(c, st)
			b := a.binding
			a.refuse(notSeeded, "3/256 bits")
			a.binding = b
			c.Write(encoded(a))
		}, `refused: the server is not fully seeded: "3/256 bits"`},
	} {
		n.server = s.impostor(t, tt.talk)
		got, err := n.start(t.Context())
		switch {
		case tt.want == "" && (err != nil || got != (report{claim: 384})):
			t.Errorf("%s: %+v, %v", tt.what, got, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || got != (report{})):
			t.Errorf("%s: %+v, %v; want %q", tt.what, got, err, tt.want)
		}
		if _, err := n.rng.Nonblocking().Read(make([]byte, 32)); err != nil {
			t.Errorf("%s: the node has not started: %v", tt.what, err)
		}
	}
}

// Who is not the server gets no request.
func TestFalseServers(t *testing.T) {
	s := startServer(t, nil)
	n := s.newNode(t, s.issue(t, x509.ExtKeyUsageClientAuth, "node"))
	elsewhere, err := newAuthority(s.rng, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := elsewhere.credentials(x509.ExtKeyUsageServerAuth, serverName)
	if err != nil {
		t.Fatal(err)
	}
	stranger.authorities = s.tls.ClientCAs
	for _, tt := range []struct {
		what string
		c    *credentials
		edit func(c *tls.Config)
		want string // "": it is the server
	}{
		{"as it should be", s.issue(t, x509.ExtKeyUsageServerAuth, serverName), func(c *tls.Config) {}, ""},
		{"certificate for a node", s.issue(t, x509.ExtKeyUsageClientAuth, serverName), func(c *tls.Config) {}, "incompatible key usage"},
		{"another name", s.issue(t, x509.ExtKeyUsageServerAuth, "other.example"), func(c *tls.Config) {}, "not boot.example"},
		{"another authority", stranger, func(c *tls.Config) {}, "unknown authority"},
		{"TLS 1.2", s.issue(t, x509.ExtKeyUsageServerAuth, serverName), func(c *tls.Config) { c.MinVersion, c.MaxVersion = 0, tls.VersionTLS12 }, "protocol version not supported"},
		{"another key exchange", s.issue(t, x509.ExtKeyUsageServerAuth, serverName), func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256} }, "handshake failure"},
		{"no protocol", s.issue(t, x509.ExtKeyUsageServerAuth, serverName), func(c *tls.Config) { c.NextProtos = nil }, "does not speak lrng-diskless/1"},
		{"another protocol", s.issue(t, x509.ExtKeyUsageServerAuth, serverName), func(c *tls.Config) { c.NextProtos = []string{"h2"} }, "no application protocol"},
	} {
		asked := make(chan bool, 1)
		config := tt.c.server(nil)
		tt.edit(config)
		n.server = listen(t, config, func(c *tls.Conn, st *tls.ConnectionState) {
			var b [1]byte
			k, _ := c.Read(b[:])
			asked <- k > 0
		})
		_, err := ask(t, n)
		if tt.want == "" {
			if !<-asked {
				t.Errorf("%s: not asked: %v", tt.what, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", tt.what, err, tt.want)
		}
		select {
		case a := <-asked:
			if a {
				t.Errorf("%s: asked", tt.what)
			}
		default: // there was no handshake
		}
	}
}

// Trouble of all kinds, by the command line: what is told, and the exit codes.
func TestWithoutSeed(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	dir := t.TempDir()
	store := func(name string, c *credentials, authority []byte) string {
		t.Helper()
		der, err := x509.MarshalPKCS8PrivateKey(c.certificate.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(dir, name)
		plant(t, dir, map[string]string{
			"ca.pem":   string(authority),
			"node.pem": toPEM("CERTIFICATE", c.certificate.Certificate[0]),
			"node.key": toPEM("PRIVATE KEY", der),
		})
		return dir
	}
	node := s.issue(t, x509.ExtKeyUsageClientAuth, "node")
	good := store("good", node, s.authority.pem())
	bad := func(name, file, content string) string {
		t.Helper()
		dir := store(name, node, s.authority.pem())
		plant(t, dir, map[string]string{file: content})
		return dir
	}
	// Nobody listens where a connection comes from, nor does another program as long as it is there.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	closed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer closed.Close()
	t.Run("trouble", func(t *testing.T) {
		for _, tt := range []struct {
			what, dir, server string
			want              string
		}{
			{"no server", good, closed.LocalAddr().String(), "connection refused"},
			{"no directory", filepath.Join(dir, "missing"), s.address, "ca.pem: no such file"},
			{"no authority", bad("ca", "ca.pem", "nothing"), s.address, "ca.pem: no certificate"},
			{"a broken authority", bad("ca2", "ca.pem", toPEM("CERTIFICATE", []byte("x"))), s.address, "ca.pem: x509: malformed certificate"},
			{"no key", bad("key", "node.key", ""), s.address, "failed to find any PEM data in key input"},
			{"the key of another", bad("key2", "node.key", otherKey(t)), s.address, "private key does not match public key"},
			{"no certificate", bad("cert", "node.pem", ""), s.address, "failed to find any PEM data in certificate input"},
		} {
			for _, require := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, required %v", tt.what, require), func(t *testing.T) {
					t.Parallel()
					args := []string{"node", "-dir", tt.dir, "-server", tt.server, "-name", serverName, "-deadline", "1m", "-n", "100"}
					code := 0
					if require {
						args = append(args, "-require")
						code = 3
					}
					got, out, msg := call(t, args...)
					if got != code || len(out) != 100 || !strings.Contains(msg, tt.want) || !strings.Contains(msg, "started without") {
						t.Errorf("exit code %d, %d bytes, %s", got, len(out), msg)
					}
				})
			}
		}
	})
	code, out, msg := call(t, "node", "-dir", good, "-server", s.address, "-name", serverName, "-deadline", "1m", "-n", "100", "-require")
	if code != 0 || len(out) != 100 || msg != "diskless node: started with a seed of 384 bits, credited with 0\n" {
		t.Errorf("with a seed: exit code %d, %d bytes, %s", code, len(out), msg)
	}
	// The name is that of -server, if there is no other.
	code, _, msg = call(t, "node", "-dir", good, "-server", s.address, "-deadline", "1m", "-require")
	if code != 3 || !strings.Contains(msg, "127.0.0.1") || !strings.Contains(msg, "x509") {
		t.Errorf("under another name: exit code %d, %s", code, msg)
	}
	if !eventually(func() bool { return s.logged.seeds() == 1 }) {
		t.Errorf("%d seeds were sent", s.logged.seeds())
	}
}

// A server that says nothing, at whatever moment, does not hold up a node. Nor does a
// name server that is not there.
func TestSilentServers(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	// It accepts connections, as the system does for any listener.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for what, server := range map[string]string{
		"before the handshake": l.Addr().String(),
		"after the handshake":  s.impostor(t, func(c *tls.Conn, st *tls.ConnectionState) { io.Copy(io.Discard, c) }),
		"within the answer": s.impostor(t, func(c *tls.Conn, st *tls.ConnectionState) {
			c.Write(encoded(reply(c, st))[:headerSize+1])
			io.Copy(io.Discard, c)
		}),
		"no such name": "boot.invalid:7421",
	} {
		n := s.newNode(t, s.issue(t, x509.ExtKeyUsageClientAuth, "node"))
		n.server, n.deadline = server, time.Second/2
		got, err := n.start(t.Context())
		if err == nil || got != (report{}) {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
		if _, err := n.rng.Read(make([]byte, 32)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A file system that hangs, as one on the network may, does not hold up a node.
func TestHangingFiles(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	n := s.newNode(t, nil)
	release, over := make(chan struct{}), make(chan struct{})
	n.load = func() (*credentials, error) {
		defer close(over)
		<-release
		return nil, errors.New("released")
	}
	n.deadline = time.Second / 2
	got, err := n.start(t.Context())
	if got != (report{}) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no seed within 500ms") {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := n.rng.Read(make([]byte, 32)); err != nil {
		t.Error(err)
	}
	close(release)
	<-over
}

// A generator that is closed is told as such.
func TestDeadGenerator(t *testing.T) {
	s := startServer(t, nil)
	n := s.newNode(t, s.issue(t, x509.ExtKeyUsageClientAuth, "node"))
	n.rng.Close()
	if _, err := n.start(t.Context()); !errors.Is(err, lrng.ErrClosed) {
		t.Error(err)
	}
}

// seededBy gives the node a generator with these sources and a pool, which it returns.
func (n *node) seededBy(t *testing.T, sources ...es.Source) (pool *es.Auxiliary) {
	t.Helper()
	mode := lrng.FIPSOff // in FIPS mode the pool is never credited
	if fips140.Enforced() {
		mode = lrng.FIPSAuto
	}
	pool = es.NewAuxiliary(es.AuxiliaryConfig{})
	n.rng = newRNG(t, lrng.Config{Sources: append(sources, pool), FIPS: mode, Strategy: seeding.Default})
	return pool
}

// A seed is credited with nothing, unless the node says so, and never with more than it
// says, than the server claims, nor if the clock is wrong.
func TestCredit(t *testing.T) {
	s := startServer(t, nil)
	c := s.issue(t, x509.ExtKeyUsageClientAuth, "node")
	modest := s.impostor(t, func(c *tls.Conn, st *tls.ConnectionState) {
		a := reply(c, st)
		a.claim = 100
		c.Write(encoded(a))
	})
	for _, tt := range []struct {
		what   string
		credit int
		server string
		now    time.Time
		want   report
	}{
		{"none", 0, s.address, time.Now(), report{claim: 384}},
		{"some", 200, s.address, time.Now(), report{claim: 384, credit: 200}},
		{"all", 256, s.address, time.Now(), report{claim: 384, credit: 256}},
		{"all of less", 256, modest, time.Now(), report{claim: 100, credit: 100}},
		{"nobody asked for it", 0, modest, time.Unix(0, 0), report{claim: 100}},
		{"no clock", 256, s.address, time.Unix(0, 0), report{claim: 384, why: "the clock is wrong, and so the certificate of the server may be an old one"}},
		{"the last wrong moment", 256, s.address, c.floor.Add(-1), report{claim: 384, why: "the clock is wrong, and so the certificate of the server may be an old one"}},
		{"the first right one", 256, s.address, c.floor, report{claim: 384, credit: 256}},
	} {
		n := s.newNode(t, c)
		n.server, n.credit = tt.server, tt.credit
		n.now = func() time.Time { return tt.now }
		pool := n.seededBy(t)
		if fips140.Enforced() && tt.want.credit > 0 {
			tt.want.credit, tt.want.why = 0, "FIPS mode"
		}
		if got, err := n.fetch(t.Context()); err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v; want %+v", tt.what, got, err, tt.want)
			continue
		}
		// What the generator has taken from the pool, and what is still there.
		credited := func() int { return int(n.rng.Status().Sources[0].TotalCredited) + pool.Available(512) }
		if !eventually(func() bool { return credited() == tt.want.credit }) {
			t.Errorf("%s: the pool was credited with %d bits; want %d", tt.what, credited(), tt.want.credit)
		}
	}
}

// The generator has a new seed after it was mixed in, and before the node starts, whether
// its own sources were there first or took their time.
func TestSeedIsUsed(t *testing.T) {
	s := startServer(t, nil)
	c := s.issue(t, x509.ExtKeyUsageClientAuth, "node")
	for _, credit := range []int{0, 256} {
		for _, late := range []bool{false, true} {
			n := s.newNode(t, c)
			n.credit = credit
			var mixed atomic.Bool
			src := estest.New(es.Info{Name: "noise", MaxEntropy: 512, Health: true}, estest.Do("noise", func(_ context.Context, p []byte, bits int) (int, error) {
				if late && !mixed.Load() {
					return 0, es.ErrUnavailable
				}
				for i := range p {
					p[i] = byte(i)
				}
				return bits, nil
			}))
			pool := n.seededBy(t, src)
			if late {
				n.local = time.Millisecond
			}
			n.load = func() (*credentials, error) {
				mixed.Store(true) // it will be soon
				return c, nil
			}
			got, err := n.start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			st := n.rng.Status()
			taken, left := int(st.Sources[1].TotalCredited), pool.Available(512)
			if st.Seeds == 0 || credit == 0 && st.Seeds < 2 || taken != got.credit || left != 0 {
				t.Errorf("credit %d, late: %v: %d seeds, %d bits of the pool, %d left in it", credit, late, st.Seeds, taken, left)
			}
		}
	}
}

// Without credit a seed does not make a generator ready, and what is not ready does
// not output: the exit code is 1.
func TestNotReady(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	n := s.newNode(t, s.issue(t, x509.ExtKeyUsageClientAuth, "node"))
	n.seededBy(t)
	n.local = time.Millisecond
	// On a busy machine it may take longer to get one.
	for n.deadline = 2 * time.Second; ; n.deadline *= 2 {
		if _, err := n.start(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if s.logged.seeds() > 0 || n.deadline >= patience/2 {
			break
		}
	}
	if _, err := n.rng.Nonblocking().Read(make([]byte, 1)); !errors.Is(err, lrng.ErrNotSeeded) {
		t.Errorf("output: %v", err)
	}
	if !eventually(func() bool { return s.logged.seeds() > 0 }) {
		t.Error("no seed was sent: this test sees nothing")
	}
	if fips140.Enforced() {
		return
	}
	// With one it does.
	n.credit, n.deadline = 256, patience
	if got, err := n.start(t.Context()); err != nil || got.credit != 256 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := n.rng.Nonblocking().Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
}

// A clock that is behind costs the credit and nothing else. One that is ahead of
// the certificates costs the seed.
func TestClock(t *testing.T) {
	s := startServer(t, nil)
	n := s.newNode(t, s.issue(t, x509.ExtKeyUsageClientAuth, "node"))
	for _, tt := range []struct {
		what string
		now  time.Time
		want string
	}{
		{"right", time.Now(), ""},
		{"1970", time.Unix(0, 0), ""},
		{"no time at all", time.Time{}, ""},
		{"next year", time.Now().Add(365 * 24 * time.Hour), "expired"},
	} {
		n.now = func() time.Time { return tt.now }
		_, err := n.start(t.Context())
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v; want %q", tt.what, err, tt.want)
		}
	}

	// A server that got its certificate after the image was made, and not from
	// init, which would have made it valid from the same time on.
	later := *s.authority
	later.certificate = &x509.Certificate{}
	*later.certificate = *s.authority.certificate
	later.certificate.NotBefore = time.Now().Add(-time.Minute)
	c, err := later.credentials(x509.ExtKeyUsageServerAuth, serverName)
	if err != nil {
		t.Fatal(err)
	}
	s2 := startServer(t, func(s *server) { s.tls = c.server(nil) })
	n.server, n.now = s2.address, func() time.Time { return time.Unix(0, 0) }
	if _, err := n.start(t.Context()); err == nil || !strings.Contains(err.Error(), "not yet valid") {
		t.Errorf("issued later, without a clock: %v", err)
	}
	n.now = time.Now
	if _, err := n.start(t.Context()); err != nil {
		t.Errorf("issued later, with a clock: %v", err)
	}
}

// The floor is the latest time at which a certificate of the node was made.
func TestFloor(t *testing.T) {
	a, err := newAuthority(lrng.Reader, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.credentials(x509.ExtKeyUsageClientAuth, "node")
	if err != nil {
		t.Fatal(err)
	}
	if !c.floor.Equal(a.certificate.NotBefore) || time.Since(c.floor) < backdate || time.Since(c.floor) > backdate+patience {
		t.Errorf("floor: %v", c.floor)
	}
	later := a.certificate.NotBefore.Add(time.Minute)
	a.certificate.NotBefore = later
	if c, err = a.credentials(x509.ExtKeyUsageClientAuth, "node"); err != nil || !c.floor.Equal(later) {
		t.Errorf("a later certificate: %v, %v", c.floor, err)
	}
}

// plant writes files below dir.
func plant(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
