// Prometheus serves the status of a generator to Prometheus.
//
// What to take from it: file collector.go, a collector for the official client, which
// depends on nothing but that and lrng.
//
//	prometheus.MustRegister(NewCollector(lrng.Default().Status))
//
// docs/observability.md has rules for alerts, and the other ways to see what a generator
// does. This directory is a module of its own, so that lrng does not depend on the client.
//
// Usage: prometheus [-addr HOST:PORT]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/lrng-go/lrng"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:9811", "listen on `HOST:PORT`")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "prometheus: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "prometheus:", err)
		os.Exit(1)
	}
}

// run serves until ctx is done.
func run(ctx context.Context, addr string, w io.Writer) error {
	r, err := lrng.New(lrng.Config{})
	if err != nil {
		return err
	}
	defer r.Close()
	// A generator does nothing before it is asked for something.
	if _, err := r.ReadContext(ctx, make([]byte, 32)); err != nil {
		return err
	}

	registry := prometheus.NewRegistry()
	if err := registry.Register(NewCollector(r.Status)); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "http://%v/metrics\n", l.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
