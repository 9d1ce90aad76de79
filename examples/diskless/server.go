package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/lrng-go/lrng"
)

// A server hands out seeds.
type server struct {
	rng     *lrng.RNG
	tls     *tls.Config
	log     *slog.Logger
	timeout time.Duration // of a connection, from beginning to end
	most    int           // connections at a time
	limit   limiter

	connections sync.WaitGroup

	mu        sync.Mutex // guards the fields below
	open      int        // connections that have a place
	strangers []net.Conn // those of them that are not authenticated, the oldest first
}

// serve answers on l until ctx is done, and then until all connections have ended. It
// closes l.
func (s *server) serve(ctx context.Context, l net.Listener) error {
	defer s.connections.Wait()
	defer l.Close()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	const firstPause, longestPause = 5 * time.Millisecond, time.Second
	for pause := firstPause; ; {
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				c.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			// No descriptors, or a connection that is gone already: it passes.
			s.log.Warn("accept", "error", err, "pause", pause)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
			pause = min(2*pause, longestPause)
			continue
		}
		pause = firstPause
		if !s.admit(c) {
			c.Close()
			s.log.Warn("full", "address", c.RemoteAddr())
			continue
		}
		s.connections.Go(func() { s.handle(context.WithoutCancel(ctx), c) })
	}
}

// admit gives c a place. If there is none, the stranger who has been silent for longest
// has to make room: a node needs milliseconds to prove who it is.
func (s *server) admit(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.open < s.most:
		s.open++
	case len(s.strangers) > 0:
		s.strangers[0].Close()
		s.strangers = slices.Delete(s.strangers, 0, 1)
	default:
		return false
	}
	s.strangers = append(s.strangers, c)
	return true
}

// authenticated notes that c is no stranger any more. It reports whether c still has
// its place.
func (s *server) authenticated(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.strangers, c)
	if i < 0 {
		return false
	}
	s.strangers = slices.Delete(s.strangers, i, i+1)
	return true
}

// leave gives up the place of c. Known says that it has been authenticated.
func (s *server) leave(c net.Conn, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.strangers, c); i >= 0 {
		s.strangers = slices.Delete(s.strangers, i, i+1)
	} else if !known {
		return // somebody else has the place
	}
	s.open--
}

// handle serves one connection.
func (s *server) handle(ctx context.Context, c net.Conn) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	defer c.Close()
	// It bounds all reads and writes, however slowly the other side makes progress.
	c.SetDeadline(start.Add(s.timeout))

	log := s.log.With("address", c.RemoteAddr())
	t := tls.Server(c, s.tls)
	err := t.HandshakeContext(ctx)
	known := err == nil && s.authenticated(c)
	defer s.leave(c, known)
	if !known {
		log.Debug("not authenticated", "error", err)
		return
	}
	st := t.ConnectionState()
	log = log.With("node", nodeName(st.PeerCertificates[0]))
	claim, err := s.answer(ctx, t, &st)
	// The end is a message, too: without it the node could not tell a connection
	// that was cut off.
	if err == nil {
		err = t.Close()
	}
	if err != nil {
		log.Warn("no seed", "error", err)
		return
	}
	log.Info("seed", "bits", claim, "took", time.Since(start).Round(time.Microsecond))
}

// nodeName returns what the authority has named a node.
func nodeName(c *x509.Certificate) string {
	if len(c.DNSNames) > 0 {
		return c.DNSNames[0]
	}
	return c.Subject.String()
}

// answer reads a request and answers it. It returns what it claims for the seed, in
// bits, or why there was none.
func (s *server) answer(ctx context.Context, t *tls.Conn, st *tls.ConnectionState) (claim int, err error) {
	if err := negotiated(st); err != nil {
		return 0, err
	}
	var frame [requestSize]byte
	if _, err := io.ReadFull(t, frame[:]); err != nil {
		return 0, fmt.Errorf("request: %w", err)
	}
	req, err := parseRequest(&frame)
	if err != nil {
		return 0, err
	}
	binding, err := st.ExportKeyingMaterial(bindingLabel, frame[:], bindingSize)
	if err != nil {
		return 0, err
	}
	var a answer
	defer a.clear()
	var out [headerSize + mostText]byte
	defer clear(out[:])
	no := s.seed(ctx, nodeName(st.PeerCertificates[0]), req.size, &a)
	if no != nil {
		a.refuse(no.status, no.why)
	}
	a.binding = [bindingSize]byte(binding)
	if _, err := t.Write(a.encode(&out)); err != nil {
		return 0, fmt.Errorf("answer: %w", err)
	}
	if no != nil {
		return 0, no
	}
	return a.claim, nil
}

// seed collects a seed of so many bytes for the node, or returns why not. The seed is
// from the entropy sources, for this answer alone: no generator has a part in it, and
// nothing is kept.
func (s *server) seed(ctx context.Context, node string, size int, a *answer) *refusal {
	var probe [1]byte
	if _, err := s.rng.Nonblocking().Read(probe[:]); errors.Is(err, lrng.ErrNotSeeded) {
		return &refusal{notSeeded, cmp.Or(s.rng.Status().Verdict, "it begins now")}
	} else if err != nil {
		return &refusal{unavailable, err.Error()}
	}
	if !s.limit.allow(node, time.Now()) {
		return &refusal{tooMany, fmt.Sprintf("one in %v, and %d at once", s.limit.every, s.limit.burst)}
	}
	// If the sources are slow there has to be time left to say so.
	ctx, cancel := context.WithTimeout(ctx, s.timeout/2)
	defer cancel()
	if _, err := s.rng.SeedReader().(lrng.FreshReader).ReadContext(ctx, a.data[:size]); err != nil {
		return &refusal{unavailable, err.Error()}
	}
	// SeedReader delivers full entropy.
	a.status, a.claim, a.length = seedFollows, 8*size, size
	return nil
}

// A limiter lets each node have so many seeds at once, and later one in each interval.
type limiter struct {
	burst int
	every time.Duration // 0: no limit

	mu    sync.Mutex           // guards full
	nodes map[string]time.Time // when a node has its whole share again
}

// manyNodes is how many nodes are remembered before those that have their whole share
// again are forgotten.
const manyNodes = 1024

// allow reports whether the node may have a seed now.
func (l *limiter) allow(node string, now time.Time) bool {
	if l.every <= 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	full := l.nodes[node]
	if full.Before(now) {
		full = now
	}
	full = full.Add(l.every)
	if full.Sub(now) > time.Duration(l.burst)*l.every {
		return false
	}
	if len(l.nodes) >= manyNodes {
		for name, t := range l.nodes {
			if !t.After(now) {
				delete(l.nodes, name)
			}
		}
	}
	if l.nodes == nil {
		l.nodes = make(map[string]time.Time)
	}
	l.nodes[node] = full
	return true
}
