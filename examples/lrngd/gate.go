package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// limits are what clients may have. All connections of one user over Unix sockets are
// one client, and all connections over TCP: whoever is on this machine can come from any
// address of 127.0.0.0/8.
type limits struct {
	total, each int     // connections
	rate        float64 // bytes per second
	burst       int     // bytes
	seeds       float64 // per minute
}

// seedBurst is how many seeds a client may have at once.
const seedBurst = 8

// A peer is who is at the other end of a connection.
type peer struct {
	uid int64 // -1: not known
	pid int
}

// client returns which client the peer is.
func (p peer) client() string {
	if p.uid < 0 {
		return "tcp"
	}
	return "uid " + strconv.FormatInt(p.uid, 10)
}

// A client is all connections that limits apply to together.
type client struct {
	name  string
	bytes *rate.Limiter
	seeds *rate.Limiter
	open  int // guarded by gate.mu
}

// A gate lets clients in, and no more of them than the limits allow.
type gate struct {
	limits limits
	log    *slog.Logger
	count  *counters
	often  rate.Sometimes // log lines that clients can cause

	life context.Context // of the connections
	end  context.CancelFunc

	mu      sync.Mutex // guards the fields below, and client.open
	closed  bool
	clients map[string]*client
	conns   map[*conn]struct{}
	left    sync.WaitGroup // counts conns
}

func newGate(l limits, log *slog.Logger, count *counters) *gate {
	life, end := context.WithCancel(context.Background())
	return &gate{
		limits: l, log: log, count: count, life: life, end: end,
		often:   rate.Sometimes{First: 5, Interval: 10 * time.Second},
		clients: make(map[string]*client),
		conns:   make(map[*conn]struct{}),
	}
}

// A conn is a connection that was let in.
type conn struct {
	net.Conn
	peer   peer
	client *client
	gate   *gate
	silent atomic.Bool // nothing has been asked on it, over HTTP
	once   sync.Once
}

// Close closes the connection and gives up its place.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { c.gate.leave(c) })
	return err
}

// manyClients is how many clients are remembered before those that have their whole share
// again are forgotten.
const manyClients = 1024

// enter gives a connection a place, or returns why there is none.
func (g *gate) enter(c net.Conn, p peer) (*conn, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	name := p.client()
	cl := g.clients[name]
	switch {
	case g.closed:
		return nil, net.ErrClosed
	case len(g.conns) >= g.limits.total:
		return nil, errors.New("all connections are taken")
	case cl != nil && cl.open >= g.limits.each:
		return nil, errors.New("too many connections of " + name)
	}
	if cl == nil {
		if len(g.clients) >= manyClients {
			g.forget()
		}
		cl = &client{
			name:  name,
			bytes: rate.NewLimiter(rate.Limit(g.limits.rate), g.limits.burst),
			seeds: rate.NewLimiter(rate.Limit(g.limits.seeds/60), seedBurst),
		}
		g.clients[name] = cl
	}
	cl.open++
	in := &conn{Conn: c, peer: p, client: cl, gate: g}
	g.conns[in] = struct{}{}
	g.left.Add(1)
	return in, nil
}

// forget drops the clients that are gone and owe nothing. g.mu is held.
func (g *gate) forget() {
	for name, cl := range g.clients {
		if cl.open == 0 && cl.bytes.Tokens() >= float64(g.limits.burst) && cl.seeds.Tokens() >= seedBurst {
			delete(g.clients, name)
		}
	}
}

func (g *gate) leave(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.client.open--
	delete(g.conns, c)
	g.left.Done()
}

// open returns the number of connections.
func (g *gate) open() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.conns)
}

// each calls f for each connection.
func (g *gate) each(f func(*conn)) {
	g.mu.Lock()
	var all []*conn
	for c := range g.conns {
		all = append(all, c)
	}
	g.mu.Unlock()
	for _, c := range all {
		f(c)
	}
}

// close lets nobody in any more and waits until all have left, at most until ctx is
// done. Then it ends them. It reports whether all left by themselves.
func (g *gate) close(ctx context.Context) bool {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	defer g.end()
	empty := make(chan struct{})
	go func() {
		g.left.Wait()
		close(empty)
	}()
	select {
	case <-empty:
		return true
	case <-ctx.Done():
		g.end()
		g.each(func(c *conn) { c.Close() })
		<-empty
		return false
	}
}

// A listener lets clients in at the gate. Its Accept returns an error only when it is
// closed.
type listener struct {
	net.Listener
	gate   *gate
	closed chan struct{}
	once   sync.Once
}

func (g *gate) listener(l net.Listener) *listener {
	return &listener{Listener: l, gate: g, closed: make(chan struct{})}
}

// Close stops Accept.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// Accept returns the next connection that has a place. What goes wrong with others
// (no descriptors are left, or the client is gone) is logged, and passes.
func (l *listener) Accept() (net.Conn, error) {
	const firstPause, longestPause = 5 * time.Millisecond, time.Second
	for pause := firstPause; ; {
		c, err := l.Listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil, err
			}
			l.gate.count.acceptErrors.Add(1)
			l.gate.often.Do(func() { l.gate.log.Warn("accept", "error", err, "pause", pause) })
			select {
			case <-time.After(pause):
			case <-l.closed:
				return nil, net.ErrClosed
			}
			pause = min(2*pause, longestPause)
			continue
		}
		pause = firstPause
		p, err := peerOf(c)
		var in *conn
		if err == nil {
			in, err = l.gate.enter(c, p)
		}
		if err != nil {
			c.Close()
			l.gate.count.refused.Add(1)
			l.gate.often.Do(func() { l.gate.log.Warn("connection refused", "client", p.client(), "pid", p.pid, "why", err) })
			continue
		}
		l.gate.count.connections.Add(1)
		l.gate.log.Debug("connection", "client", p.client(), "pid", p.pid)
		return in, nil
	}
}
