package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lrng-go/lrng"
)

func pid() string { return strconv.Itoa(os.Getpid()) }

func TestEGD(t *testing.T) {
	s := startServer(t, newTestRNG(t, source()), flags(t))
	c := dialEGD(t, "unix", s.egd)
	// The generator is seeded by the first command that waits for it.
	first := c.read(255)
	if n := c.level(); n != 256 {
		t.Errorf("level %d, want 256 bits", n)
	}
	second := c.try(255)
	if len(second) != 255 || bytes.Equal(first, second) || bytes.Contains(append(first, second...), make([]byte, 16)) {
		t.Errorf("%d bytes that are not random", len(second))
	}
	for _, n := range []byte{0, 1, 254} {
		if got := c.try(n); len(got) != int(n) {
			t.Errorf("command 1 for %d bytes: %d", n, len(got))
		}
		c.read(n)
	}
	if got := c.pid(); got != pid() {
		t.Errorf("pid %q, want %s", got, pid())
	}
	// Several commands at once, and one in pieces.
	c.send(2, 3, 4, 1, 2, 0, 2, 1)
	c.receive(3 + 1 + len(pid()) + 3 + 4 + 1)
	for _, b := range []byte{3, 0, 0, 2, 'a', 'b', 2, 5} {
		c.send(b)
		time.Sleep(time.Millisecond)
	}
	c.receive(5)
	if got := s.gate.count.entropyBytes.Value(); got != 2 {
		t.Errorf("%d bytes of entropy, want 2", got)
	}
	if got, want := s.gate.count.bytes.Value(), int64(2*(255+1+254)+3+2+1+5); got != want {
		t.Errorf("%d bytes counted, want %d", got, want)
	}
}

// TestEGDMalformed sends what is not the protocol: the connection ends, and others go on.
func TestEGDMalformed(t *testing.T) {
	s := startServer(t, newTestRNG(t, source()), flags(t, "-timeout", "50ms"))
	well := dialEGD(t, "unix", s.in)
	well.read(1)
	for name, frame := range map[string]string{
		"no command":                  "\x05",
		"HTTP":                        "GET / HTTP/1.1\r\n\r\n",
		"more bits than there can be": "\x03\x00\x09\x01x",
		"bits without bytes":          "\x03\x00\x01\x00",
		"no length":                   "\x02",
		"half a head":                 "\x03\x00",
		"half of the data":            "\x03\x00\x00\x05abc",
	} {
		for _, path := range []string{s.egd, s.in} {
			c := dialEGD(t, "unix", path)
			c.send([]byte(frame)...)
			c.ended()
			if got := well.read(9); len(got) != 9 {
				t.Errorf("%s: another client is not served", name)
			}
		}
	}
	if n := s.gate.count.entropyBytes.Value(); n != 0 {
		t.Errorf("%d bytes of malformed commands were taken in", n)
	}
}

// TestEGDUnseeded asks a generator that has no seed yet.
func TestEGDUnseeded(t *testing.T) {
	fake := source()
	fake.SetDead(errDead)
	s := startServer(t, newTestRNG(t, fake), flags(t))
	c := dialEGD(t, "unix", s.egd)
	if n := c.level(); n != 0 {
		t.Errorf("level %d before there is a seed", n)
	}
	if got := c.try(16); len(got) != 0 {
		t.Errorf("%d bytes before there is a seed", len(got))
	}
	c.send(2, 16)
	fake.SetDead(nil)
	c.receive(16) // it waited for them
	if n := c.level(); n != 256 {
		t.Errorf("level %d with a seed", n)
	}
}

// TestEGDNeverSeeded does not keep a client for ever.
func TestEGDNeverSeeded(t *testing.T) {
	fake := source()
	fake.SetDead(errDead)
	s := startServer(t, newTestRNG(t, fake), flags(t, "-idle", "20ms"))
	c := dialEGD(t, "unix", s.egd)
	c.send(2, 16)
	c.ended()
}

func TestEGDIdle(t *testing.T) {
	s := startServer(t, newTestRNG(t, source()), flags(t, "-idle", "20ms"))
	dialEGD(t, "unix", s.egd).ended()
	eventually(t, "all connections are closed", func() bool { return s.gate.open() == 0 })
}

func TestEGDStrangers(t *testing.T) {
	for _, tt := range []struct {
		flags []string
		path  func(*server) string
		bits  int64 // -1: refused
	}{
		{nil, func(s *server) string { return s.egd }, 0},
		{[]string{"-strangers", "refuse"}, func(s *server) string { return s.egd }, -1},
		{[]string{"-credit-uids", ""}, func(s *server) string { return s.in }, 0},
		{[]string{"-credit-uids", "12345", "-strangers", "refuse"}, func(s *server) string { return s.in }, -1},
	} {
		s := startServer(t, newTestRNG(t, source()), flags(t, tt.flags...))
		c := dialEGD(t, "unix", tt.path(s))
		c.add(24, []byte("abc"))
		if tt.bits < 0 {
			c.ended()
			if n := s.gate.count.entropyRefused.Value(); n != 1 {
				t.Errorf("%q: %d refusals counted", tt.flags, n)
			}
			continue
		}
		c.pid() // after it has been taken in
		if n := s.gate.count.entropyBytes.Value(); n != 3 {
			t.Errorf("%q: %d bytes were taken in, want 3", tt.flags, n)
		}
		if n := s.gate.count.entropyBits.Value(); n != tt.bits {
			t.Errorf("%q: credited with %d bits, want %d", tt.flags, n, tt.bits)
		}
	}
}

// A tap is a connection that remembers where what was written to it came from.
type tap struct {
	net.Conn
	written [][]byte // not copies
	out     bytes.Buffer
	dirty   int // reads at a time when something was left there
	most    int // writes until one fails; 0: none does
}

func (c *tap) Read(b []byte) (int, error) {
	for _, w := range c.written {
		if len(w)-bytes.Count(w, []byte{0}) > 1 { // one is that of a new command
			c.dirty++
		}
	}
	return c.Conn.Read(b)
}

func (c *tap) Write(b []byte) (int, error) {
	c.written = append(c.written, b[:len(b):len(b)])
	c.out.Write(b)
	if len(c.written) == c.most {
		return 0, errDead
	}
	return len(b), nil
}

// TestEGDWipes looks at the buffers that bytes were handed out of.
func TestEGDWipes(t *testing.T) {
	g := newGate(flags(t).limits, slog.New(slog.DiscardHandler), new(counters))
	rng := newTestRNG(t, source())
	if _, err := rng.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	e := &egd{rng: rng, strength: 256, gate: g, idle: patience, timeout: patience}
	here, there := net.Pipe()
	defer here.Close()
	c := &tap{Conn: there}
	in, err := g.enter(c, peer{uid: 1})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.handle(context.Background(), in)
	}()
	for _, frame := range []string{"\x02\xff", "\x01\xc8", "\x02\x10"} {
		if _, err := io.WriteString(here, frame); err != nil {
			t.Fatal(err)
		}
	}
	here.Close()
	<-done
	if n := c.out.Len(); n != 255+201+16 {
		t.Fatalf("%d bytes were written", n)
	}
	for i, b := range c.written {
		if !bytes.Equal(b, make([]byte, len(b))) {
			t.Errorf("answer %d is still in the buffer", i)
		}
	}
	// Nor while the client thinks about its next command.
	if c.dirty > 0 {
		t.Errorf("there was something in the buffer at %d reads", c.dirty)
	}
}

// TestPanic has a bug in one connection: the generator is missing.
func TestPanic(t *testing.T) {
	var log safeBuffer
	s := startLogged(t, newTestRNG(t, source()), flags(t), slog.New(slog.NewTextHandler(&log, nil)))
	s.out.rng = nil
	c := dialEGD(t, "unix", s.egd)
	c.send(2, 16)
	c.ended()
	if n := s.gate.count.panics.Value(); n != 1 || !strings.Contains(log.String(), "panic in a connection") {
		t.Errorf("%d panics counted, log %q", n, log.String())
	}
	dialEGD(t, "unix", s.in).read(16) // the rest lives on
}

// TestEGDShutdown lets a command that is under way come to its answer, and does not wait for
// silent clients.
func TestEGDShutdown(t *testing.T) {
	fake := source()
	r := newTestRNG(t, fake)
	dir := shortDir(t)
	l, err := net.Listen("unix", dir+"/e")
	if err != nil {
		t.Fatal(err)
	}
	d := newDaemon(flags(t, "-drain", "30s"), slog.New(slog.DiscardHandler), r, &sockets{egd: []net.Listener{l}})
	ctx, cancel := context.WithCancelCause(context.Background())
	listeners := d.listen(ctx, cancel)
	silent, half := dialEGD(t, "unix", dir+"/e"), dialEGD(t, "unix", dir+"/e")
	silent.read(1)
	half.read(1)
	half.send(2) // the rest is on its way
	time.Sleep(10 * time.Millisecond)
	cancel(nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.shutDown(listeners)
	}()
	silent.ended()
	if _, err := half.Write([]byte{200}); err == nil {
		io.Copy(io.Discard, half) // the bytes, or the end
	}
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the shutdown waits for silent clients")
	}
	if _, err := net.Dial("unix", dir+"/e"); err == nil {
		t.Error("somebody still listens")
	}
	if !errors.Is(context.Cause(ctx), context.Canceled) {
		t.Errorf("the listener failed: %v", context.Cause(ctx))
	}
}

// TestWatch: the daemon ends when its generator can never give another byte.
func TestWatch(t *testing.T) {
	r := newTestRNG(t, source())
	d := newDaemon(flags(t), slog.New(slog.DiscardHandler), r, new(sockets))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.run(ctx, nil); !errors.Is(err, lrng.ErrClosed) {
		t.Errorf("run: %v", err)
	}
}

// TestNoCircle: what the kernel is credited with does not rest on the kernel.
func TestNoCircle(t *testing.T) {
	for args, want := range map[string]bool{"": true, "-feed 1m": true, "-feed 1m -feed-credit 1": false} {
		r, err := newRNG(flags(t, strings.Fields(args)...), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range r.Status().Sources {
			if s.Name == "os" && (s.Rate > 0) != (want && s.MaxEntropy > 0) {
				t.Errorf("%q: the operating system is credited with %d bits", args, s.Rate)
			}
			if s.Name == "jitter" && s.Rate != s.MaxEntropy {
				t.Errorf("%q: jitter is credited with %d bits", args, s.Rate)
			}
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}
