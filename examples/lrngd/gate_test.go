package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func testGate(t testing.TB, args ...string) *gate {
	return newGate(flags(t, args...).limits, slog.New(slog.DiscardHandler), new(counters))
}

func TestGate(t *testing.T) {
	g := testGate(t, "-connections", "5", "-client-connections", "2")
	var in []*conn
	enter := func(uid int64, ok bool) {
		t.Helper()
		c, _ := net.Pipe()
		got, err := g.enter(c, peer{uid: uid})
		if (err == nil) != ok {
			t.Fatalf("uid %d with %d inside: %v", uid, len(in), err)
		}
		if ok {
			in = append(in, got)
		}
	}
	enter(1, true)
	enter(1, true)
	enter(1, false) // more than one client may have
	enter(2, true)
	enter(-1, true)
	enter(-1, true)
	enter(3, false) // more than all may have
	in[0].Close()
	in[0].Close() // gives up one place, not two
	enter(3, true)
	enter(4, false)
	if g.open() != 5 {
		t.Errorf("%d connections, want 5", g.open())
	}
	// Closing waits, and ends what does not leave by itself.
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if g.close(ctx) {
		t.Error("all have left?")
	}
	if g.open() != 0 || g.life.Err() == nil {
		t.Errorf("%d connections after the end", g.open())
	}
	enter(5, false)
}

// TestForget keeps the clients in mind that are there or that owe something.
func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testGate(t)
		visit := func(uid int64) *conn {
			c, _ := net.Pipe()
			in, err := g.enter(c, peer{uid: uid})
			if err != nil {
				t.Fatal(err)
			}
			return in
		}
		here := visit(1)
		defer here.Close()
		debtor := visit(2)
		if !debtor.client.bytes.AllowN(time.Now(), g.limits.burst) {
			t.Fatal("no burst")
		}
		debtor.Close()
		for uid := int64(3); len(g.clients) < manyClients; uid++ {
			visit(uid).Close()
		}
		visit(1e6).Close()
		if len(g.clients) != 3 || g.clients["uid 1"] == nil || g.clients["uid 2"] == nil {
			t.Errorf("%d clients are remembered", len(g.clients))
		}
		if back := visit(2); back.client.bytes.AllowN(time.Now(), g.limits.burst) {
			t.Error("the debt is forgotten")
		} else {
			back.Close()
		}
		time.Sleep(time.Hour)
		g.forget()
		if len(g.clients) != 1 {
			t.Errorf("%d clients an hour later, want the one who is there", len(g.clients))
		}
	})
}

// faulty is a listener whose Accept fails a number of times.
type faulty struct {
	net.Listener
	errors int
	calls  int
}

func (l *faulty) Accept() (net.Conn, error) {
	if l.calls++; l.calls <= l.errors {
		return nil, errors.New("accept4: too many open files")
	}
	return l.Listener.Accept()
}

// TestAcceptErrors: with no descriptors left it waits, longer and longer, and goes on.
func TestAcceptErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := testGate(t)
		a, b := net.Pipe()
		defer a.Close()
		bad := &faulty{Listener: &once{conn: &tap{Conn: b}, closed: make(chan struct{})}, errors: 20}
		l := g.listener(bad)
		start := time.Now()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if n := g.count.acceptErrors.Value(); n != 20 {
			t.Errorf("%d errors counted, want 20", n)
		}
		// 5 ms + 10 ms + … + 640 ms, and 12 times a second.
		if took := time.Since(start); took != 1275*time.Millisecond+12*time.Second {
			t.Errorf("it took %v", took)
		}
		// Closing does not wait for the pause.
		bad.errors = 1000
		done := make(chan error)
		go func() {
			_, err := l.Accept()
			done <- err
		}()
		synctest.Wait()
		start = time.Now()
		l.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept of a closed listener: %v", err)
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("Close took %v", took)
		}
	})
}

// TestRate: a client who has used up its limit gets no more at once; another one does.
func TestRate(t *testing.T) {
	s := startServer(t, newTestRNG(t, source()), flags(t, "-rate", "1024", "-burst", "32768", "-seeds", "0.001"))
	c := dialEGD(t, "unix", s.egd)
	total := 0
	for range 32768/255 + 1 {
		total += len(c.read(255))
	}
	// The last of them had to wait. As if there were others who have to, too; and once more
	// if the machine has stood still for so long that it may have them.
	for try := 1; ; try++ {
		s.gate.mu.Lock()
		limit := s.gate.clients[c.name()].bytes
		limit.ReserveN(time.Now(), max(0, int(limit.Tokens()))+768)
		s.gate.mu.Unlock()
		got := c.try(255)
		if len(got) == 0 {
			break
		}
		if try == 10 {
			t.Fatalf("%d bytes beyond the limit", len(got))
		}
	}
	resp, _ := get(t, s.client, "http://any/bytes?n=1")
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("beyond the limit: %s", resp.Status)
	}
	if n := s.gate.count.limited.Value(); n != 1 {
		t.Errorf("%d counted, want 1", n)
	}
	other, err := s.gate.enter(nil, peer{uid: 12345})
	if err != nil || !other.client.bytes.AllowN(time.Now(), 32768) {
		t.Errorf("another client is limited, too: %v", err)
	}
	other.once.Do(func() { s.gate.leave(other) })
}

// TestRateHTTP: the first part of an answer has to be within the limit, later ones wait.
func TestRateHTTP(t *testing.T) {
	s := startServer(t, newTestRNG(t, source()), flags(t, "-rate", "100000", "-burst", "32768"))
	resp, body := get(t, s.client, "http://any/bytes?n=30000") // 4096 for the request, 16384, and more later
	if resp.StatusCode != 200 || len(body) != 30000 {
		t.Errorf("%s, %d bytes", resp.Status, len(body))
	}
	s = startServer(t, newTestRNG(t, source()), flags(t, "-rate", "1024", "-burst", "32768"))
	for i, want := range []int{200, 429, 200} {
		n := []string{"12000", "16384", "1"}[i] // of 28672, 12576, and 8480
		if resp, _ := get(t, s.client, "http://any/bytes?n="+n); resp.StatusCode != want {
			t.Errorf("%s bytes: %s, want %d", n, resp.Status, want)
		}
	}
	s = startServer(t, newTestRNG(t, source()), flags(t, "-rate", "1024", "-burst", "32768"))
	for i, want := range []int{200, 429} {
		n := []string{"28000", "1"}[i] // of 28672, and less than the cost of a request
		if resp, _ := get(t, s.client, "http://any/bytes?n="+n); resp.StatusCode != want {
			t.Errorf("%s bytes: %s, want %d", n, resp.Status, want)
		}
	}
}

func TestSeedRate(t *testing.T) {
	s := startServer(t, newTestRNG(t, source()), flags(t, "-seeds", "0.001"))
	for i := range seedBurst + 1 {
		resp, _ := get(t, s.client, "http://any/seed?bits=8")
		if want := map[bool]int{true: 200, false: 429}[i < seedBurst]; resp.StatusCode != want {
			t.Errorf("seed %d: %s", i, resp.Status)
		}
	}
	if resp, _ := get(t, s.client, "http://any/bytes?n=8"); resp.StatusCode != 200 {
		t.Errorf("bytes are refused, too: %s", resp.Status)
	}
}

// TestSeedQueue: only so many wait for the sources.
func TestSeedQueue(t *testing.T) {
	fake := source()
	fake.SetDead(errDead)
	s := startServer(t, newTestRNG(t, fake), flags(t, "-seeds", "1000000"))
	codes := make(chan int)
	const requests = 3
	for range seedQueue - 1 {
		s.web.seeding <- struct{}{}
	}
	for range requests {
		go func() {
			resp, err := s.client.Get("http://any/seed?bits=8")
			if err != nil {
				t.Error(err)
				codes <- 0
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			codes <- resp.StatusCode
		}()
	}
	for range requests - 1 {
		if code := <-codes; code != 503 {
			t.Errorf("status %s, want 503", strconv.Itoa(code))
		}
	}
	fake.SetDead(nil)
	if code := <-codes; code != 200 {
		t.Errorf("who waits gets %d", code)
	}
}
