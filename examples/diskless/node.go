package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/seeding"
)

// A node starts its generator, with a seed of the boot server if there is one in time.
type node struct {
	rng      *lrng.RNG // its pool is the last of its sources
	server   string    // host:port
	name     string    // in the certificate of the server
	load     func() (*credentials, error)
	local    time.Duration // for the sources of this machine, before the server is asked
	deadline time.Duration // for all that start does
	credit   int           // most that a seed is credited, in bits
	now      func() time.Time
}

// seedSize is the length of the seed that a node asks for, in bytes: the entropy input and
// nonce of a generator with 256 bits of security strength (SP 800-90A, Section 8.6.7).
const seedSize = 48

// A report says what has become of a seed.
type report struct {
	claim  int // of the server, in bits
	credit int // in bits
	why    string
}

func (r report) String() string {
	s := fmt.Sprintf("a seed of %d bits, credited with %d", r.claim, r.credit)
	if r.why != "" {
		s += ": " + r.why
	}
	return s
}

// newNode returns a node with a generator: the sources that are there anyhow, and what
// tells the node from others with the same image. The caller closes the generator.
func newNode(server, name string, deadline time.Duration, load func() (*credentials, error)) (*node, error) {
	r, err := lrng.New(lrng.Config{
		Sources:         append(lrng.DefaultSources(), es.NewIdentity(es.IdentityConfig{})),
		Personalization: []byte("lrng diskless node"),
	})
	if err != nil {
		return nil, err
	}
	return &node{rng: r, server: server, name: name, load: load, local: deadline / 2, deadline: deadline, now: time.Now}, nil
}

// start seeds the generator. With an error the node has no seed of the server; its
// generator is seeded all the same, if its own sources suffice. It returns when the
// deadline is over, whatever hangs: a name server, the network, a file system, the
// boot server.
func (n *node) start(ctx context.Context) (report, error) {
	ctx, cancel := context.WithTimeout(ctx, n.deadline)
	defer cancel()
	// First what is here: the server adds to that, and does not take its place. And the
	// connection is as good as the generator that makes its keys.
	local, cancelLocal := context.WithTimeout(ctx, n.local)
	defer cancelLocal()
	if err := n.rng.Wait(local, seeding.FullySeeded); err != nil && local.Err() == nil {
		return report{}, err
	}
	var got report
	done := make(chan error, 1)
	go func() {
		var err error
		got, err = n.fetch(ctx)
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			return report{}, err
		}
	case <-ctx.Done():
		return report{}, fmt.Errorf("no seed within %v: %w", n.deadline, ctx.Err())
	}
	if err := n.use(ctx, got.credit); err != nil {
		return report{}, fmt.Errorf("no time left to reseed: %w", err)
	}
	return got, nil
}

// use makes what is in the pool a part of the state of the generator, now.
func (n *node) use(ctx context.Context, credit int) error {
	if err := n.rng.Wait(ctx, seeding.FullySeeded); err != nil {
		return err
	}
	// If the pool has no credit any more, that has made the seed complete that the
	// generator has now. There may be no other source from which to reseed.
	if credit > 0 {
		sources := n.rng.Status().Sources
		if pool := sources[len(sources)-1]; pool.Available == 0 {
			return nil
		}
	}
	return n.rng.Reseed(ctx)
}

// fetch gets a seed and puts it into the pool of the generator, if that is done before
// the end of ctx.
func (n *node) fetch(ctx context.Context) (report, error) {
	c, err := n.load()
	if err != nil {
		return report{}, err
	}
	var req request
	var a answer
	defer a.clear()
	if err := n.ask(ctx, c, &req, &a); err != nil {
		return report{}, err
	}
	got := report{claim: a.claim, credit: min(n.credit, a.claim)}
	switch {
	case got.credit == 0:
	case n.now().Before(c.floor):
		got.credit, got.why = 0, "the clock is wrong, and so the certificate of the server may be an old one"
	case n.rng.Status().Claim.FIPS:
		got.credit, got.why = 0, "FIPS mode"
	}
	var identity [identitySize]byte
	defer clear(identity[:])
	if _, err := es.NewIdentity(es.IdentityConfig{}).GetEntropy(ctx, identity[:], 0); err != nil {
		return report{}, err
	}
	m := mixture(&req, &a, &identity)
	defer clear(m[:])
	if err := ctx.Err(); err != nil {
		return report{}, err
	}
	return got, n.rng.AddEntropy(m[:], got.credit)
}

// ask gets a seed from the server. The caller clears the answer.
func (n *node) ask(ctx context.Context, c *credentials, req *request, a *answer) error {
	random := newHandshakeRandom(n.rng)
	// A node without a clock of its own begins in 1970, or when its image was made. It
	// is later than that, and no more is known.
	now := func() time.Time {
		if t := n.now(); t.After(c.floor) {
			return t
		}
		return c.floor
	}
	conn, err := (&tls.Dialer{Config: c.node(n.name, now, random)}).DialContext(ctx, "tcp", n.server)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	t := conn.(*tls.Conn) // as DialContext promises
	st := t.ConnectionState()
	if err := negotiated(&st); err != nil {
		return err
	}
	req.size = seedSize
	if _, err := random.Read(req.nonce[:]); err != nil {
		return err
	}
	frame := req.encode()
	binding, err := st.ExportKeyingMaterial(bindingLabel, frame[:], bindingSize)
	if err != nil {
		return err
	}
	if _, err := t.Write(frame[:]); err != nil {
		return err
	}
	return a.read(t, req, binding)
}
