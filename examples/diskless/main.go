// Diskless hands seeds to machines that keep none: nodes which start from one image,
// with a read-only root, or from the network.
//
//	diskless init DIR         makes an authority and certificates
//	diskless serve -dir DIR   a boot server that hands out seeds
//	diskless node -dir DIR    a node that starts its generator with one
//	diskless demo             all of it in this process
//
// "diskless help COMMAND" tells more. Messages go to standard error. The exit code is 0,
// 1 for a failure, 2 for a wrong call, or 3 for a node with -require that has started
// without a seed of the server.
//
// # What it is good for
//
// A seed file in an image is the same on all nodes, comes back at each boot, and is known
// to everybody who has the image. So a diskless node has none, and a node whose
// other sources are poor at boot has nothing that sets it apart from its twins. The server
// collects a seed from its own entropy sources for each request, sends it over
// TLS 1.3 with certificates on both sides, keeps no copy, and never sends it again.
// The protocol is in protocol.go.
//
// The node first seeds its generator from what it has. Then it asks the server, puts
// a digest of the seed, the connection and its identity into the pool of the generator, and
// reseeds. It writes no file, waits no longer than its deadline, and starts without
// the server if there is any trouble with it.
//
// # What the seed is worth
//
// It is not credited, unless -credit says otherwise. The generator is fully seeded by what
// the node has, and the seed can only add to it. A credit is right if the server
// is trusted with all keys of the node, and if nobody could read the seed on its way.
// Whoever can guess the keys that the node makes for the connection reads the seed, and
// a node with a bad start has to fear just that. There are two: the one for X25519 is from
// the Go runtime, and so from the kernel; the one for ML-KEM from the generator of the node.
//
// Nodes from one image have one key. The server cannot tell them apart, and need not: no
// two requests get the same seed. They share an allowance (-every, -burst).
//
// # Clocks
//
// A node without a clock of its own believes that it is 1970, or the day its image was
// made. It looks at the certificate of the server as if it were the day on which its own
// was issued, if its clock is behind that. So the certificate of the server has to
// be valid since then; those of "diskless init" are valid from the same moment on. Such
// a node cannot see that a certificate has expired since: it mixes the seed in, and
// credits it with nothing.
package main

import (
	"context"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/lrng-go/lrng"
)

// A command is what the first argument names.
type command struct {
	name, args, short, long string

	// flags declares the flags and returns what runs the command once they are
	// parsed.
	flags func(f *flag.FlagSet) func(ctx context.Context, out, log io.Writer, args []string) error
}

var commands = []command{initCommand, serveCommand, nodeCommand, demoCommand}

// A usageError is a mistake of the caller.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errRequired says that a node has started without the seed that it was to have.
var errRequired = errors.New("a seed of the server is required")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Stdout, os.Stderr, os.Args[1:])
	stop()
	os.Exit(code)
}

// run runs the command line args and returns the exit code.
func run(ctx context.Context, out, log io.Writer, args []string) int {
	if len(args) == 0 {
		usage(log)
		return 2
	}
	name, args := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		if len(args) == 0 {
			usage(out)
			return 0
		}
		name, args = args[0], []string{"-h"}
	}
	for _, c := range commands {
		if c.name == name {
			return c.run(ctx, out, log, args)
		}
	}
	fmt.Fprintf(log, "diskless: unknown command %q; see \"diskless help\"\n", name)
	return 2
}

func usage(w io.Writer) {
	fmt.Fprint(w, "usage: diskless COMMAND [flags]\n\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-6s %s\n", c.name, c.short)
	}
	fmt.Fprint(w, "\n\"diskless help COMMAND\" tells more of one.\n")
}

func (c command) run(ctx context.Context, out, log io.Writer, args []string) int {
	f := flag.NewFlagSet(c.name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	do := c.flags(f)
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		f.SetOutput(out)
		fmt.Fprintf(out, "usage: diskless %s [flags]%s\n\n%s\n", c.name, c.args, c.long)
		f.PrintDefaults()
		return 0
	case err != nil:
		err = usageError{err}
	default:
		err = do(ctx, out, log, f.Args())
	}
	if err == nil {
		return 0
	}
	fmt.Fprintf(log, "diskless %s: %v\n", c.name, err)
	switch wrong := (usageError{}); {
	case errors.As(err, &wrong):
		fmt.Fprintf(log, "See \"diskless help %s\".\n", c.name)
		return 2
	case errors.Is(err, errRequired):
		return 3
	}
	return 1
}

// noArgs returns an error if there are arguments.
func noArgs(args []string) error {
	if len(args) > 0 {
		return usagef("unexpected argument %q", args[0])
	}
	return nil
}

var initCommand = command{
	name:  "init",
	args:  " DIR",
	short: "makes an authority and certificates",
	long: `Init makes an authority, a server and nodes, each with a key of 32 bytes from the random bit
generator, in the directory DIR, which must not exist:

  authority/       ca.pem, ca.key
  server/          ca.pem, server.pem, server.key
  nodes/NAME/      ca.pem, node.pem, node.key

The server needs the second, a node the third, and the first is needed by nobody but who
makes more certificates: keep it elsewhere, or delete it. What is in nodes/NAME is known to
all who have the image that it goes into.
`,
	flags: func(f *flag.FlagSet) func(context.Context, io.Writer, io.Writer, []string) error {
		names := f.String("server", "localhost,127.0.0.1,::1", "`names` and addresses of the server, separated by commas")
		nodes := f.String("nodes", "node", "`names` of the nodes, separated by commas; nodes from one image have one")
		days := f.Int("days", 365, "how many `days` the certificates are valid")
		return func(_ context.Context, _, _ io.Writer, args []string) error {
			if len(args) != 1 {
				return usagef("want one directory")
			}
			if *days < 1 || *days > 36500 {
				return usagef("-days: %d; want 1 to 36500", *days)
			}
			server, list := strings.Split(*names, ","), strings.Split(*nodes, ",")
			for _, name := range server {
				if name == "" {
					return usagef("-server: an empty name")
				}
			}
			for i, name := range list {
				if name == "" || name == "." || name == ".." || strings.ContainsAny(name, `/\:`) || slices.Contains(list[:i], name) {
					return usagef("-nodes: %q is empty, there twice, or no name of a directory", name)
				}
			}
			return initialize(args[0], time.Duration(*days)*24*time.Hour, server, list)
		}
	},
}

// initialize makes the files of an authority, a server and nodes.
func initialize(dir string, valid time.Duration, server, nodes []string) error {
	r, err := lrng.New(lrng.Config{})
	if err != nil {
		return err
	}
	defer r.Close()
	a, err := newAuthority(r, valid)
	if err != nil {
		return err
	}
	key, err := keyPEM(a.key)
	if err != nil {
		return err
	}
	defer clear(key)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	store := func(dir, role string, certificate, key []byte) error {
		if err := root.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		for _, file := range []struct {
			name    string
			content []byte
		}{{authorityFile, a.pem()}, {role + ".pem", certificate}, {role + ".key", key}} {
			if err := root.WriteFile(path.Join(dir, file.name), file.content, 0o600); err != nil {
				return err
			}
		}
		return nil
	}
	if err := store("authority", "ca", a.pem(), key); err != nil {
		return err
	}
	issue := func(dir, role string, usage x509.ExtKeyUsage, names ...string) error {
		certificate, key, err := a.issue(usage, names...)
		if err != nil {
			return err
		}
		defer clear(key)
		return store(dir, role, certificate, key)
	}
	if err := issue("server", "server", x509.ExtKeyUsageServerAuth, server...); err != nil {
		return err
	}
	for _, name := range nodes {
		if err := issue(path.Join("nodes", name), "node", x509.ExtKeyUsageClientAuth, name); err != nil {
			return err
		}
	}
	return nil
}

// Limits of a server.
const (
	defaultTimeout     = 5 * time.Second
	defaultConnections = 256
	defaultEvery       = time.Second
	defaultBurst       = 16
	mostBurst          = 1 << 20
)

var serveCommand = command{
	name:  "serve",
	short: "a boot server that hands out seeds",
	long: `Serve answers nodes whose certificates are from the authority, until it is interrupted. It
prints its address on standard output, and what it has done on standard error: to whom a
seed went, and nothing of the seed.

It hands out nothing before it is fully seeded, and tells the nodes so. Each node gets -burst
seeds at once and one more in each -every; all nodes with one certificate are one.
`,
	flags: func(f *flag.FlagSet) func(context.Context, io.Writer, io.Writer, []string) error {
		address := f.String("addr", ":7421", "`address` to listen on")
		dir := f.String("dir", ".", "`directory` with ca.pem, server.pem and server.key")
		timeout := f.Duration("timeout", defaultTimeout, "longest `time` of a connection")
		most := f.Int("connections", defaultConnections, "most `connections` at a time")
		every := f.Duration("every", defaultEvery, "`time` after which a node gets another seed; 0: no limit")
		burst := f.Int("burst", defaultBurst, "`seeds` that a node gets at once")
		verbose := f.Bool("v", false, "tell of connections that did not authenticate themselves, too")
		return func(ctx context.Context, out, log io.Writer, args []string) error {
			if err := noArgs(args); err != nil {
				return err
			}
			switch {
			case *timeout <= 0 || *timeout > time.Hour:
				return usagef("-timeout: %v; want up to an hour", *timeout)
			case *most < 1:
				return usagef("-connections: %d; want at least 1", *most)
			case *every < 0 || *every > 24*time.Hour:
				return usagef("-every: %v; want up to a day", *every)
			case *burst < 1 || *burst > mostBurst:
				return usagef("-burst: %d; want 1 to %d", *burst, mostBurst)
			}
			c, err := loadCredentials(*dir, "server")
			if err != nil {
				return err
			}
			r, err := lrng.New(lrng.Config{})
			if err != nil {
				return err
			}
			defer r.Close()
			level := slog.LevelInfo
			if *verbose {
				level = slog.LevelDebug
			}
			s := newServer(r, c, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: level})))
			s.timeout, s.most = *timeout, *most
			s.limit.every, s.limit.burst = *every, *burst
			l, err := net.Listen("tcp", *address)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintln(out, l.Addr()); err != nil {
				l.Close()
				return err
			}
			return s.serve(ctx, l)
		}
	},
}

// newServer returns a server with the recommended limits.
func newServer(r *lrng.RNG, c *credentials, log *slog.Logger) *server {
	return &server{
		rng:     r,
		tls:     c.server(newHandshakeRandom(r)),
		log:     log,
		timeout: defaultTimeout,
		most:    defaultConnections,
		limit:   limiter{every: defaultEvery, burst: defaultBurst},
	}
}

var nodeCommand = command{
	name:  "node",
	short: "a node that starts its generator with a seed",
	long: `Node seeds a random bit generator from the sources of this machine, asks the server for a
seed, mixes that in, and writes -n bytes of the generator to standard output. Such as

  diskless node -dir /etc/diskless -server boot.example:7421 -n 512 >/dev/urandom

in a script that runs early at boot, which mixes them into the generator of Linux. It
writes no file, and so works where the root directory is read-only.

Trouble with the server is told on standard error and stops nothing: the exit code is 0, or
3 with -require. It is 1 if the sources of this machine have not been enough in time; then
there is no output.
`,
	flags: func(f *flag.FlagSet) func(context.Context, io.Writer, io.Writer, []string) error {
		server := f.String("server", "localhost:7421", "`address` of the server")
		name := f.String("name", "", "`name` of the server in its certificate, if it is not that of -server")
		dir := f.String("dir", ".", "`directory` with ca.pem, node.pem and node.key")
		deadline := f.Duration("deadline", 2*time.Second, "longest `time` until the node starts")
		credit := f.Int("credit", 0, "most min-entropy in `bits` that a seed is credited, 0 to 256; read \"What the seed is worth\" in the source first")
		require := f.Bool("require", false, "exit with 3 without a seed of the server")
		n := f.Int("n", 0, "`bytes` of output")
		return func(ctx context.Context, out, log io.Writer, args []string) error {
			if err := noArgs(args); err != nil {
				return err
			}
			host, _, err := net.SplitHostPort(*server)
			switch {
			case err != nil:
				return usagef("-server: %w", err)
			case *deadline <= 0 || *deadline > time.Hour:
				return usagef("-deadline: %v; want up to an hour", *deadline)
			case *credit < 0 || *credit > mostCredit:
				return usagef("-credit: %d; want 0 to %d", *credit, mostCredit)
			case *n < 0 || *n > mostOutput:
				return usagef("-n: %d; want 0 to %d", *n, mostOutput)
			}
			if *name == "" {
				*name = host
			}
			node, err := newNode(*server, *name, *deadline, func() (*credentials, error) { return loadCredentials(*dir, "node") })
			if err != nil {
				return err
			}
			defer node.rng.Close()
			node.credit = *credit
			got, trouble := node.start(ctx)
			// Not a moment is spent on waiting from here on.
			b := make([]byte, max(*n, 1)) // one shows that there could be more
			defer clear(b)
			if _, err := node.rng.Nonblocking().Read(b); err != nil {
				return errors.Join(err, trouble)
			}
			if _, err := out.Write(b[:*n]); err != nil {
				return err
			}
			switch {
			case trouble == nil:
				fmt.Fprintf(log, "diskless node: started with %v\n", got)
			case *require:
				return fmt.Errorf("%w; started without it: %w", errRequired, trouble)
			default:
				fmt.Fprintf(log, "diskless node: started without a seed of the server: %v\n", trouble)
			}
			return nil
		}
	},
}

const (
	mostCredit = 256     // bits: the security strength of the generator
	mostOutput = 1 << 20 // bytes
)
