package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/lrng-go/lrng"
)

var demoCommand = command{
	name:  "demo",
	short: "all of it in this process",
	long: `Demo makes an authority, starts a server on this machine, and shows what becomes of two
nodes from one image, of a node from elsewhere, and of one without a server. Nothing is
written to the disk.
`,
	flags: func(*flag.FlagSet) func(context.Context, io.Writer, io.Writer, []string) error {
		return func(ctx context.Context, out, log io.Writer, args []string) error {
			if err := noArgs(args); err != nil {
				return err
			}
			return demo(ctx, out, log)
		}
	},
}

// demoDeadline is that of a node, and long enough for a machine that has much else to do.
const demoDeadline = 30 * time.Second

func demo(ctx context.Context, out, log io.Writer) error {
	r, err := lrng.New(lrng.Config{})
	if err != nil {
		return err
	}
	defer r.Close()
	a, err := newAuthority(r, time.Hour)
	if err != nil {
		return err
	}
	c, err := a.credentials(x509.ExtKeyUsageServerAuth, "boot.example")
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	s := newServer(r, c, slog.New(slog.NewTextHandler(log, nil)))
	ended := make(chan error, 1)
	go func() { ended <- s.serve(ctx, l) }()
	err = demoNodes(ctx, out, a, l.Addr().String())
	stop()
	return errors.Join(err, <-ended)
}

// demoNodes starts nodes of several kinds.
func demoNodes(ctx context.Context, out io.Writer, a *authority, server string) error {
	image, err := a.credentials(x509.ExtKeyUsageClientAuth, "node")
	if err != nil {
		return err
	}
	start := func(c *credentials, server string) (output [32]byte, got report, trouble, err error) {
		n, err := newNode(server, "boot.example", demoDeadline, func() (*credentials, error) { return c, nil })
		if err != nil {
			return output, report{}, nil, err
		}
		defer n.rng.Close()
		got, trouble = n.start(ctx)
		_, err = n.rng.Nonblocking().Read(output[:])
		return output, got, trouble, err
	}

	// The seeds of two requests with one certificate.
	var seeds [2][]byte
	for i := range seeds {
		n, err := newNode(server, "boot.example", demoDeadline, nil)
		if err != nil {
			return err
		}
		defer n.rng.Close()
		var req request
		var got answer
		defer got.clear()
		if err := n.ask(ctx, image, &req, &got); err != nil {
			return err
		}
		seeds[i] = got.data[:got.length]
	}
	if len(seeds[0]) != seedSize || bytes.Equal(seeds[0], seeds[1]) {
		return errors.New("the server has sent one seed twice")
	}
	fmt.Fprintf(out, "two requests:   two seeds of %d bytes\n", seedSize)

	var outputs [2][32]byte
	for i := range outputs {
		output, got, trouble, err := start(image, server)
		if err = errors.Join(trouble, err); err != nil {
			return err
		}
		outputs[i] = output
		fmt.Fprintf(out, "node %d:         started with %v; output %x…\n", i+1, got, output[:8])
	}
	if outputs[0] == outputs[1] {
		return errors.New("two nodes from one image have one output")
	}

	// A certificate of somebody else.
	elsewhere, err := newAuthority(lrng.Reader, time.Hour)
	if err != nil {
		return err
	}
	stranger, err := elsewhere.credentials(x509.ExtKeyUsageClientAuth, "node")
	if err != nil {
		return err
	}
	stranger.authorities = image.authorities
	// A server that is not there.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	l.Close()
	for _, tt := range []struct {
		what, server string
		c            *credentials
	}{
		{"a stranger:    ", server, stranger},
		{"no server:     ", l.Addr().String(), image},
	} {
		output, _, trouble, err := start(tt.c, tt.server)
		if err != nil {
			return err
		}
		if trouble == nil {
			return fmt.Errorf("%s got a seed", tt.what)
		}
		fmt.Fprintf(out, "%s started without a seed; output %x…: %v\n", tt.what, output[:8], trouble)
	}
	return nil
}
