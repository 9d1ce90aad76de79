// Lrngd is a daemon that serves random bytes and seeds to other processes, takes entropy
// in from them, and feeds the kernel.
//
//	lrngd -egd /run/lrngd/egd.sock -http /run/lrngd/http.sock
//	curl --unix-socket /run/lrngd/http.sock 'http://localhost/bytes?n=32' | xxd
//
// "lrngd -help" lists the flags, README.md has the protocols and tells how to install it
// under systemd. Messages go to standard error. The exit code is 0 after SIGTERM or
// SIGINT, 1 for a failure, or 2 for a wrong call.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/examples/lrngd/statuspage"
	"github.com/lrng-go/lrng/seeding"
)

func main() {
	// Whoever reads the messages may go away: that ends no daemon. (Elsewhere than on
	// standard error a closed pipe is an error of the write anyway.)
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program. It returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	c, err := parseFlags(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		err = serve(c, stdout, stderr)
	}
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "lrngd: %v\n", err)
	if _, ok := errors.AsType[errUsage](err); ok {
		fmt.Fprintln(stderr, `"lrngd -help" lists the flags`)
		return 2
	}
	return 1
}

// errStopped says that a signal came before the daemon was ready.
var errStopped = errors.New("stopped by a signal")

// serve does what the flags say, until a signal or a failure.
func serve(c *config, stdout, stderr io.Writer) error {
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	level := slog.LevelInfo
	if c.loud {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))

	// What may need root is done first.
	var socks *sockets
	if !c.check {
		var err error
		if socks, err = openSockets(c); err != nil {
			return err
		}
		defer socks.close()
	}
	var kern kernel
	if c.feed > 0 {
		var err error
		if kern, err = openKernel(c.admin()); err != nil {
			return fmt.Errorf("-feed: %w", err)
		}
		defer kern.Close()
		if c.admin() {
			if err := hasAdmin(); err != nil {
				return err
			}
		}
	}
	if err := dropPrivileges(c.user, c.admin()); err != nil {
		return fmt.Errorf("dropping privileges: %w", err)
	}
	if os.Getuid() == 0 {
		log.Warn("running as root, without its capabilities: see -user")
	}

	rng, err := newRNG(c, log)
	if err != nil {
		return err
	}
	defer func() {
		if err := rng.Close(); err != nil {
			log.Warn("generator not closed", "error", err)
		}
	}()
	switch err := seedFirst(stop, c, rng); {
	case errors.Is(err, errStopped):
		log.Info("stopped before the generator was seeded")
		return nil
	case err != nil:
		return err
	}
	if c.check {
		st := rng.Status()
		_, err := fmt.Fprintf(stdout, "ok: %s, %d bits, self-tests %s, memory %s\n", st.DRNG, st.SecurityStrength, st.SelfTest, st.Memory)
		return err
	}
	d := newDaemon(c, log, rng, socks)
	if kern != nil {
		d.feeder = &feeder{
			kernel:   kern,
			seed:     d.fullEntropy,
			bits:     c.feedCredit,
			reseed:   c.feedReseed,
			interval: c.feed,
			patience: c.seeding,
			count:    d.gate.count,
			log:      log,
		}
		if err := d.feeder.feed(stop); stop.Err() != nil {
			log.Info("stopped before the kernel was fed")
			return nil
		} else if err != nil {
			return err
		}
	}
	return d.run(stop, hangup)
}

// newRNG makes the generator.
func newRNG(c *config, log *slog.Logger) (*lrng.RNG, error) {
	conf := c.rng()
	conf.Logger = log
	rng, err := lrng.New(conf)
	if err != nil {
		return nil, err
	}
	if c.feedCredit > 0 {
		// What the kernel is credited with must not come from the kernel.
		c.rates[es.NewOS(es.OSConfig{}).Info().Name] = 0
	}
	for name, bits := range c.rates {
		if err := rng.SetSourceRate(name, bits); err != nil {
			rng.Close()
			return nil, usagef("-source-rate: %w", err)
		}
	}
	return rng, nil
}

// seedFirst tests the generator and waits until it is seeded.
func seedFirst(stop context.Context, c *config, rng *lrng.RNG) error {
	if err := rng.SelfTest(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(stop, c.seeding)
	defer cancel()
	err := rng.Wait(ctx, seeding.FullySeeded)
	switch {
	case stop.Err() != nil:
		return errStopped
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the generator is not seeded after %v: %s", c.seeding, rng.Status().Verdict)
	}
	return err
}

// A daemonProcess serves with a generator that is seeded.
type daemonProcess struct {
	config *config
	log    *slog.Logger
	rng    *lrng.RNG
	gate   *gate
	socks  *sockets
	web    *web
	http   *http.Server // of web
	out    *egd         // answers
	in     *egd         // answers, and takes entropy in with credit
	feeder *feeder      // nil: the kernel is not fed
}

func newDaemon(c *config, log *slog.Logger, rng *lrng.RNG, socks *sockets) *daemonProcess {
	d := &daemonProcess{config: c, log: log, rng: rng, socks: socks, gate: newGate(c.limits, log, new(counters))}
	d.web = &web{rng: rng, gate: d.gate, most: c.request, idle: c.idle, timeout: c.timeout}
	// The noise that it shows is of sources of its own, and is asked for when somebody looks.
	d.web.page = statuspage.New(statuspage.Config{Status: rng.Status, Noise: statuspage.Own(lrng.DefaultSources()...)})
	d.http = d.web.server()
	d.out = &egd{
		rng:      rng,
		strength: uint32(rng.Status().SecurityStrength),
		gate:     d.gate,
		idle:     c.idle,
		timeout:  c.timeout,
		refuse:   c.refuse,
	}
	in := *d.out
	in.credited = c.credited
	d.in = &in
	return d
}

// fullEntropy fills p from the sources, without a deterministic generator.
func (d *daemonProcess) fullEntropy(ctx context.Context, p []byte) error {
	_, err := d.rng.SeedReader().(lrng.FreshReader).ReadContext(ctx, p)
	return err
}

// checkInterval is how often the daemon looks whether it is well, or more often if the
// watchdog wants to know it.
const checkInterval = 10 * time.Second

// run serves until stop is done, or until the daemon can serve no more.
func (d *daemonProcess) run(stop context.Context, hangup <-chan os.Signal) error {
	ctx, cancel := context.WithCancelCause(stop)
	defer cancel(nil)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel(nil)
	listeners := d.listen(ctx, cancel)
	feedNow := make(chan struct{}, 1)
	if d.feeder != nil {
		work.Go(func() { d.feeder.run(ctx, feedNow) })
	}
	work.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangup:
			}
			d.log.Info("reseeding on SIGHUP")
			if err := d.rng.Reseed(ctx); err != nil {
				d.log.Error("not reseeded", "error", err)
			}
			select {
			case feedNow <- struct{}{}:
			default: // it is about to
			}
		}
	})
	d.notify(daemon.SdNotifyReady)
	d.log.Info("ready", "egd", addresses(d.socks.egd), "http", addresses(d.socks.http), "in", addresses(d.socks.in), "user", os.Getuid(), "drng", d.rng.Status().DRNG)
	work.Go(func() { d.watch(ctx, cancel) })

	<-ctx.Done()
	d.notify(daemon.SdNotifyStopping)
	err := context.Cause(ctx)
	if stop.Err() != nil {
		err = nil
		d.log.Info("stopping")
	}
	d.shutDown(listeners)
	d.log.Info("stopped", "bytes", d.gate.count.bytes.Value(), "seeds", d.gate.count.seeds.Value())
	return err
}

// listen serves on all sockets. What ends that early goes to fail.
func (d *daemonProcess) listen(ctx context.Context, fail context.CancelCauseFunc) []net.Listener {
	var all []net.Listener
	each := func(list []net.Listener, serve func(*listener) error) {
		for _, l := range list {
			l := d.gate.listener(l)
			all = append(all, l)
			go func() {
				if err := serve(l); !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
					fail(fmt.Errorf("%v: %w", l.Addr(), err))
				}
			}()
		}
	}
	each(d.socks.egd, func(l *listener) error { return d.out.serve(ctx, l) })
	each(d.socks.in, func(l *listener) error { return d.in.serve(ctx, l) })
	each(d.socks.http, func(l *listener) error { return d.http.Serve(l) })
	return all
}

func addresses(list []net.Listener) (all []string) {
	for _, l := range list {
		all = append(all, l.Addr().String())
	}
	slices.Sort(all)
	return all
}

// watch tells the watchdog that the generator answers, and ends the daemon when that can
// never give another byte. A generator that hangs hangs this, too.
func (d *daemonProcess) watch(ctx context.Context, fail context.CancelCauseFunc) {
	interval := checkInterval
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		d.log.Warn("watchdog", "error", err)
	}
	if watchdog > 0 {
		interval = min(interval, watchdog/2)
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		err := health(d.rng)
		if errors.Is(err, lrng.ErrSelfTest) || errors.Is(err, lrng.ErrClosed) {
			fail(err)
			return
		}
		state := fmt.Sprintf("STATUS=serving, %d connections", d.gate.open())
		if err != nil {
			state = fmt.Sprintf("STATUS=waiting for a seed: %v", err)
		}
		if watchdog > 0 {
			state += "\n" + daemon.SdNotifyWatchdog
		}
		d.notify(state)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// notify tells systemd, if it wants to know.
func (d *daemonProcess) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		d.log.Warn("notify", "error", err)
	}
}

// shutDown closes the listeners, gives answers under way their time, and ends the rest.
func (d *daemonProcess) shutDown(listeners []net.Listener) {
	ctx, cancel := context.WithTimeout(context.Background(), d.config.drain)
	defer cancel()
	for _, l := range listeners {
		l.Close()
	}
	var work sync.WaitGroup
	work.Go(func() { d.http.Shutdown(ctx) })
	// Shutdown would wait for clients who have not asked for anything yet.
	d.gate.each(func(c *conn) {
		if c.silent.Load() {
			c.Close()
		}
	})
	if !d.gate.close(ctx) {
		d.log.Warn("connections cut off", "after", d.config.drain)
	}
	d.http.Close()
	work.Wait()
}
