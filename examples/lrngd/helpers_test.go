package main

import (
	"bytes"
	"context"
	"crypto/fips140"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
)

// patience bounds what must not take for ever, on a machine that is busy.
const patience = 30 * time.Second

var errDead = errors.New("device gone")

// asDaemon makes the test binary the daemon: so the daemon is under the race detector
// when its tests are.
const asDaemon = "LRNGD_TEST_AS_DAEMON"

func TestMain(m *testing.M) {
	if os.Getenv(asDaemon) != "" {
		os.Unsetenv(asDaemon)
		if os.Getenv("LISTEN_FDS") != "" && os.Getenv("LISTEN_PID") == "" {
			// Nobody but this process knows its number in time.
			os.Setenv("LISTEN_PID", pid())
		}
		main()
	}
	code := m.Run()
	for _, dir := range litter {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// litter are the directories that all tests use together.
var litter []string

// source returns a fake source whose data are not random.
func source() *estest.Fake {
	return estest.New(es.Info{Name: "fake", MaxEntropy: 512, Health: true})
}

// newTestRNG returns a generator that rests on the source alone.
func newTestRNG(t testing.TB, s es.Source) *lrng.RNG {
	t.Helper()
	mode := lrng.FIPSOff
	if fips140.Enforced() {
		mode = lrng.FIPSAuto
	}
	r, err := lrng.New(lrng.Config{Sources: []es.Source{s}, Shards: 1, OutputBuffer: -1, FIPS: mode})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return r
}

// shortDir returns a directory whose name is short enough for Unix sockets, and that
// all users may enter.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lrngd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// flags returns the configuration that the flags make.
func flags(t testing.TB, args ...string) *config {
	t.Helper()
	c, err := parseFlags(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A server is a daemon in the process of the test, with one socket of each kind.
type server struct {
	*daemonProcess
	egd, path, in string // of the sockets
	client        *http.Client
	stop          func()
}

// startServer serves with the generator on three Unix sockets until the test ends.
func startServer(t testing.TB, r *lrng.RNG, c *config) *server {
	t.Helper()
	return startLogged(t, r, c, slog.New(slog.DiscardHandler))
}

func startLogged(t testing.TB, r *lrng.RNG, c *config, log *slog.Logger) *server {
	t.Helper()
	dir := shortDir(t)
	s := &server{egd: filepath.Join(dir, "e"), path: filepath.Join(dir, "h"), in: filepath.Join(dir, "i")}
	socks := new(sockets)
	for path, to := range map[string]*[]net.Listener{s.egd: &socks.egd, s.path: &socks.http, s.in: &socks.in} {
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		*to = append(*to, l)
	}
	s.daemonProcess = newDaemon(c, log, r, socks)
	s.client = unixClient(s.path)
	ctx, cancel := context.WithCancelCause(context.Background())
	listeners := s.listen(ctx, cancel)
	s.stop = sync.OnceFunc(func() {
		if err := context.Cause(ctx); err != nil {
			t.Errorf("the daemon died: %v", err)
		}
		s.client.CloseIdleConnections()
		cancel(nil)
		s.shutDown(listeners)
		if n := s.gate.open(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	})
	t.Cleanup(s.stop)
	return s
}

// unixClient returns a client that speaks HTTP on a Unix socket.
func unixClient(path string) *http.Client {
	return &http.Client{
		Timeout: patience,
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}},
	}
}

// A safeBuffer is written and read at the same time.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// get makes a request and returns the answer with its body.
func get(t testing.TB, client *http.Client, url string) (*http.Response, []byte) {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: after %d bytes: %v", url, len(body), err)
	}
	return resp, body
}

// An egdClient speaks the protocol of EGD as its clients do, from what is written about
// it, and not with the code of the daemon.
type egdClient struct {
	t testing.TB
	net.Conn
}

func dialEGD(t testing.TB, network, address string) *egdClient {
	t.Helper()
	c, err := net.DialTimeout(network, address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return &egdClient{t, c}
}

// name is how the daemon calls the client of a Unix socket.
func (c *egdClient) name() string {
	if runtime.GOOS != "linux" {
		return "tcp"
	}
	return "uid " + strconv.Itoa(os.Getuid())
}

func (c *egdClient) send(b ...byte) {
	c.t.Helper()
	if _, err := c.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

func (c *egdClient) receive(n int) []byte {
	c.t.Helper()
	b := make([]byte, n)
	if got, err := io.ReadFull(c, b); err != nil {
		c.t.Fatalf("%d bytes of %d: %v", got, n, err)
	}
	return b
}

func (c *egdClient) level() uint32 {
	c.t.Helper()
	c.send(0)
	return binary.BigEndian.Uint32(c.receive(4))
}

// try is what RAND_query_egd_bytes of OpenSSL does.
func (c *egdClient) try(n byte) []byte {
	c.t.Helper()
	c.send(1, n)
	got := c.receive(1)[0]
	if got > n {
		c.t.Fatalf("%d bytes instead of %d", got, n)
	}
	return c.receive(int(got))
}

// read is what rndegd of libgcrypt does, when it has to have bytes.
func (c *egdClient) read(n byte) []byte {
	c.t.Helper()
	c.send(2, n)
	return c.receive(int(n))
}

func (c *egdClient) add(bits int, p []byte) {
	c.t.Helper()
	c.send(append([]byte{3, byte(bits >> 8), byte(bits), byte(len(p))}, p...)...)
}

func (c *egdClient) pid() string {
	c.t.Helper()
	c.send(4)
	return string(c.receive(int(c.receive(1)[0])))
}

// ended wants the other side to have closed the connection, without another byte.
func (c *egdClient) ended() {
	c.t.Helper()
	var b [1]byte
	n, err := c.Read(b[:])
	if n != 0 || err == nil {
		c.t.Fatalf("there is %d byte more, and %v", n, err)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatal("the connection is still open")
	}
}

// eventually waits until f says that it is so.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not after %v: %s", patience, what)
		}
	}
}
