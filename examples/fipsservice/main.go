// Fipsservice hands out tokens, nonces, keys and seeds over HTTPS, in FIPS 140-3 mode.
//
// What to take from it: how a service that is to be evaluated uses lrng. It insists on FIPS
// mode, for the program and for the generator; names the certificate of its entropy source;
// does not start before the self-tests have passed and the generator is seeded; tells
// whether it is alive, ready, and what its generator does; and ends without cutting off a
// request. File service.go has what is handed out, config.go how the generator is made.
//
// It is designed to be part of such a product; neither it nor lrng is validated.
// docs/fips.md has what is left to do. Build it with GOFIPS140 set to a validated version of
// the Go Cryptographic Module. The line go:debug in file godebug.go puts the program into
// FIPS mode, where GODEBUG does not say otherwise; if it does, New refuses.
//
// Usage:
//
//	fipsservice -certificate NAME [flags]
//
//	POST /v1/token             a token of 256 bits, in base64url
//	POST /v1/nonce?size=12     a nonce of so many bytes, 8 to 64, in hex
//	POST /v1/key?type=aes-256  a key: aes-256 and hmac-sha-256 in hex, ecdsa-p256 in PEM
//	POST /v1/seed?bits=384     a seed for another generator, as a seeding.Buffer
//	POST /v1/bytes?size=32     random bytes, at most 2²⁴
//	GET  /healthz              503 if the generator has failed: start the service again
//	GET  /readyz               503 if there is no output now, or no more requests are wanted
//	GET  /debug/vars           the status of the generator and the requests, in JSON
//
// With -client-ca only clients with a certificate get what is under /v1. Without, the
// service serves its own machine alone. The exit code is 0 after SIGTERM and SIGINT, 1 after a
// failure, and 2 for flags that make no sense.
package main

import (
	"context"
	"crypto/fips140"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/lrng-go/lrng"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.As(err, new(usageError)):
		fmt.Fprintf(os.Stderr, "fipsservice: %v (-h lists the flags)\n", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "fipsservice:", err)
		os.Exit(1)
	}
}

// A usageError is a mistake in the flags.
type usageError struct{ error }

type options struct {
	addr, certificate       string
	certFile, keyFile       string
	certOut, clientCA       string
	seedTimeout, drain, end time.Duration
}

func parse(args []string, stdout io.Writer) (o options, err error) {
	f := flag.NewFlagSet("fipsservice", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.addr, "addr", "127.0.0.1:8443", "listen on `HOST:PORT`")
	f.StringVar(&o.certificate, "certificate", "", "the `NAME` of the certificate that covers the generator of this operating system as an entropy source")
	f.StringVar(&o.certFile, "cert", "", "serve with the certificates in `FILE`, in PEM (default: one that it makes and signs itself, for localhost)")
	f.StringVar(&o.keyFile, "key", "", "the `FILE` with the key of -cert, in PEM")
	f.StringVar(&o.certOut, "cert-out", "", "write the certificate to `FILE`, for clients")
	f.StringVar(&o.clientCA, "client-ca", "", "want certificates of clients, signed by an authority in `FILE`")
	f.DurationVar(&o.seedTimeout, "seed-timeout", time.Minute, "give up if it takes longer to seed the generator")
	f.DurationVar(&o.drain, "drain", 0, "go on so long after a signal, without being ready: what balancers take to notice")
	f.DurationVar(&o.end, "end", 10*time.Second, "wait so long for the last requests")
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		f.SetOutput(stdout)
		f.PrintDefaults()
		return o, err
	} else if err != nil {
		return o, usageError{err}
	}
	switch {
	case f.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.certificate == "":
		err = errors.New("-certificate is missing: without one the operating system is not credited in FIPS mode")
	case (o.certFile == "") != (o.keyFile == ""):
		err = errors.New("-cert and -key go together")
	case o.seedTimeout <= 0 || o.drain < 0 || o.end < 0:
		err = errors.New("-seed-timeout must be positive, -drain and -end must not be negative")
	}
	if err != nil {
		return o, usageError{err}
	}
	return o, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stdout)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewJSONHandler(stderr, nil))
	rng, err := newGenerator(ctx, config(o.certificate, logger), o.seedTimeout)
	if err != nil {
		return err
	}
	err = serve(ctx, o, rng, logger, stdout)
	return errors.Join(err, rng.Close())
}

// serve serves until ctx is done, and then to the end of the requests that are under way.
func serve(ctx context.Context, o options, rng *lrng.RNG, logger *slog.Logger, stdout io.Writer) error {
	config, err := tlsConfig(o, rng)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", o.addr)
	if err != nil {
		return err
	}
	defer l.Close()
	if a, ok := l.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() && config.ClientCAs == nil {
		return usageError{fmt.Errorf("-addr %s: whoever can connect would get keys: -client-ca is missing", o.addr)}
	}
	s := newService(rng, config.ClientCAs != nil)
	server := &http.Server{
		Handler:           s,
		TLSConfig:         config,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    1 << 14,
	}
	done := make(chan error, 1)
	go func() { done <- server.ServeTLS(l, "", "") }()
	logger.Info("serving", "address", l.Addr().String(), "drng", rng.Status().DRNG, "certificate", o.certificate, "module", fips140.Version())
	fmt.Fprintf(stdout, "https://%v\n", l.Addr())

	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	s.draining.Store(true)
	logger.Info("draining", "for", o.drain)
	time.Sleep(o.drain)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.end)
	defer cancel()
	if err := server.Shutdown(end); err != nil {
		server.Close()
		return fmt.Errorf("requests were cut off after %v: %w", o.end, err)
	}
	logger.Info("end")
	return nil
}
