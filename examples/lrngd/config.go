package main

import (
	"crypto"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/drng"
)

// A config is what the command line says.
type config struct {
	egd, http, in []string // addresses, for each kind of socket
	mode, inMode  uint32   // of the sockets that are made

	credit  []int64 // users whose entropy is credited on the sockets of kind in
	refuse  bool    // what others bring, instead of taking it without credit
	user    string
	rates   map[string]int // of sources, bits
	drng    string
	fips    bool
	buffer  int
	seeding time.Duration // longest time until the generator is seeded

	feed        time.Duration // 0: never
	feedCredit  int           // bits
	feedReseed  bool
	limits      limits
	request     int64         // most bytes of one request over HTTP
	idle        time.Duration // longest time that a client may be silent between requests
	timeout     time.Duration // longest time for the rest of a request, and for each part of an answer
	drain       time.Duration // longest time that a shutdown waits for answers
	check, loud bool
}

// An errUsage is a wrong call.
type errUsage struct{ error }

func usagef(format string, a ...any) error { return errUsage{fmt.Errorf(format, a...)} }

// mechanisms are what -drng can name.
var mechanisms = map[string]func() (drng.DRNG, error){
	"auto":     nil,
	"chacha20": func() (drng.DRNG, error) { return drng.NewChaCha20(), nil },
	"ctr":      func() (drng.DRNG, error) { return drng.NewCTR(drng.CTRConfig{}) },
	"hash":     func() (drng.DRNG, error) { return drng.NewHash(crypto.SHA512) },
	"hmac":     func() (drng.DRNG, error) { return drng.NewHMAC(crypto.SHA512) },
	"xdrbg":    func() (drng.DRNG, error) { return drng.NewXDRBG(), nil },
}

// Limits of the limits.
const (
	minRate  = 1 << 10 // bytes per second: an answer of EGD takes a fraction of a second
	maxRate  = 1 << 40
	minBurst = 32 << 10 // a request over HTTP, and the first part of its answer
)

// parseFlags returns what the command line says. What is wrong with it is an
// errUsage that names the flag; flag.ErrHelp is not.
func parseFlags(args []string, out io.Writer) (*config, error) {
	c := &config{rates: make(map[string]int)}
	fs := flag.NewFlagSet("lrngd", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are printed once, by the caller
	addresses := func(name, usage string, to *[]string) {
		fs.Func(name, usage, func(s string) error {
			*to = append(*to, s)
			return checkAddress(s)
		})
	}
	addresses("egd", "serve the EGD protocol on `ADDRESS`: the path of a Unix socket, or an IP address\n"+
		"of this machine alone with a port; may be repeated, as -http and -in", &c.egd)
	addresses("http", "serve HTTP on `ADDRESS`", &c.http)
	addresses("in", "take entropy in on the Unix socket `PATH`, by command 3 of EGD", &c.in)
	modes := func(name string, def uint32, usage string, to *uint32) {
		*to = def
		fs.Func(name, usage, func(s string) error {
			n, err := strconv.ParseUint(s, 8, 32)
			if err != nil || n > 0o777 {
				return errors.New("not an octal mode up to 777")
			}
			*to = uint32(n)
			return nil
		})
	}
	modes("mode", 0o666, "the octal `MODE` of the sockets of -egd and -http (default 666)", &c.mode)
	modes("in-mode", 0o600, "the octal `MODE` of the sockets of -in (default 600)", &c.inMode)
	c.credit = []int64{0}
	fs.Func("credit-uids", "give credit to the `UIDS` in this list, on -in (default 0: root)", func(s string) error {
		c.credit = nil
		if s == "" {
			return nil
		}
		for field := range strings.SplitSeq(s, ",") {
			// The largest one means "none" to the kernel.
			n, err := strconv.ParseUint(field, 10, 32)
			if err != nil || n == math.MaxUint32 {
				return fmt.Errorf("%q is not a number of a user", field)
			}
			c.credit = append(c.credit, int64(n))
		}
		return nil
	})
	strangers := "uncredited"
	fs.Func("strangers", "`WHAT` to do with entropy of other users and on other sockets:\n\"uncredited\" or \"refuse\" (default \"uncredited\")", func(s string) error {
		if s != "uncredited" && s != "refuse" {
			return errors.New(`not "uncredited" or "refuse"`)
		}
		strangers = s
		return nil
	})
	fs.StringVar(&c.user, "user", "", "become the user with this `NAME` or number once all is open")
	fs.StringVar(&c.drng, "drng", "auto", "the `MECHANISM`: auto, chacha20, ctr, hash, hmac, xdrbg")
	fs.BoolVar(&c.fips, "fips", false, "insist on FIPS mode; it takes GODEBUG=fips140=on")
	fs.IntVar(&c.buffer, "output-buffer", 0, "`BYTES` generated ahead of need; 0: automatic, negative: none")
	fs.Func("source-rate", "limit a source to `NAME=BITS` of credit for one call; may be repeated", func(s string) error {
		name, bits, ok := strings.Cut(s, "=")
		n, err := strconv.Atoi(bits)
		if !ok || name == "" || err != nil || n < 0 {
			return errors.New("not NAME=BITS")
		}
		c.rates[name] = n
		return nil
	})
	fs.DurationVar(&c.seeding, "seeding-timeout", time.Minute, "give up if the generator is not seeded after so `LONG`")
	fs.DurationVar(&c.feed, "feed", 0, "feed the kernel at the start, on SIGHUP, and each such `INTERVAL`; 0: never")
	fs.IntVar(&c.feedCredit, "feed-credit", 0, fmt.Sprintf("the `BITS` that the kernel shall credit the %d bytes with", feedSize))
	fs.BoolVar(&c.feedReseed, "feed-reseed", true, "have the kernel reseed its generator each time")
	fs.Float64Var(&c.limits.rate, "rate", 16<<20, "`BYTES` per second for a client")
	fs.Lookup("rate").DefValue = strconv.Itoa(16 << 20) // and not 1.6777216e+07
	fs.IntVar(&c.limits.burst, "burst", 1<<20, "`BYTES` that a client may have at once")
	fs.Float64Var(&c.limits.seeds, "seeds", 60, "`SEEDS` per minute for a client")
	fs.IntVar(&c.limits.total, "connections", 1024, "most `CONNECTIONS` at a time")
	fs.IntVar(&c.limits.each, "client-connections", 128, "most `CONNECTIONS` of a client at a time")
	fs.Int64Var(&c.request, "request", 16<<20, "most `BYTES` of a request over HTTP")
	fs.DurationVar(&c.idle, "idle", time.Minute, "cut off a client that is silent for so `LONG`")
	fs.DurationVar(&c.timeout, "timeout", 10*time.Second, "cut off a client that takes so `LONG` for the rest of a request,\nor for a part of an answer")
	fs.DurationVar(&c.drain, "drain", 5*time.Second, "give answers under way so `LONG` at the end")
	fs.BoolVar(&c.check, "check", false, "check the flags, test and seed the generator, and exit")
	fs.BoolVar(&c.loud, "debug", false, "log each connection")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(out, "Usage: lrngd [flags]\n\n"+
				"Serves random bytes and seeds to other processes. Sockets come from the flags, or\n"+
				"from systemd under the names egd, http and in.\n\n")
			fs.SetOutput(out)
			fs.PrintDefaults()
			return nil, err
		}
		return nil, errUsage{err}
	}
	if fs.NArg() > 0 {
		return nil, usagef("unexpected argument %q", fs.Arg(0))
	}
	c.refuse = strangers == "refuse"
	return c, c.validate()
}

// validate returns what is wrong with the values, as an errUsage.
func (c *config) validate() error {
	if _, ok := mechanisms[c.drng]; !ok {
		return usagef("-drng: there is no mechanism %q", c.drng)
	}
	for _, path := range c.in {
		if !filepath.IsAbs(path) {
			return usagef("-in: %q is not the path of a Unix socket: only these say who the client is", path)
		}
	}
	if c.feedCredit != 0 && c.feed == 0 {
		return usagef("-feed-credit has no effect without -feed")
	}
	for _, d := range []struct {
		flag       string
		value, min time.Duration
	}{
		{"-seeding-timeout", c.seeding, time.Millisecond},
		{"-idle", c.idle, time.Millisecond},
		{"-timeout", c.timeout, time.Millisecond},
		{"-drain", c.drain, 0},
		{"-feed", c.feed, 0},
	} {
		if d.value < d.min || d.value > maxDuration {
			return usagef("%s: %v is not in %v…%v", d.flag, d.value, d.min, maxDuration)
		}
	}
	if c.feed > 0 && c.feed < feedPause {
		return usagef("-feed: %v is less than %v", c.feed, feedPause)
	}
	for _, n := range []struct {
		flag            string
		value, min, max int64
	}{
		{"-feed-credit", int64(c.feedCredit), 0, 8 * feedSize},
		{"-burst", int64(c.limits.burst), minBurst, 1 << 30},
		{"-connections", int64(c.limits.total), 1, 1 << 20},
		{"-client-connections", int64(c.limits.each), 1, 1 << 20},
		{"-request", c.request, 1, 1 << 40},
		{"-output-buffer", int64(c.buffer), -1 << 16, 1 << 16},
	} {
		if n.value < n.min || n.value > n.max {
			return usagef("%s: %d is not in %d…%d", n.flag, n.value, n.min, n.max)
		}
	}
	// Written so that NaN is refused.
	if !(c.limits.rate >= minRate && c.limits.rate <= maxRate) {
		return usagef("-rate: %v is not in %d…%d", c.limits.rate, minRate, int64(maxRate))
	}
	if !(c.limits.seeds > 0 && c.limits.seeds <= 1e6) {
		return usagef("-seeds: %v is not above 0 and up to 1000000", c.limits.seeds)
	}
	return nil
}

// maxDuration keeps sums of times and durations within range.
const maxDuration = 366 * 24 * time.Hour

// admin says whether feeding the kernel takes CAP_SYS_ADMIN.
func (c *config) admin() bool { return c.feed > 0 && (c.feedCredit > 0 || c.feedReseed) }

// rng returns the configuration of the generator.
func (c *config) rng() lrng.Config {
	r := lrng.Config{
		DRNG:            mechanisms[c.drng],
		OutputBuffer:    c.buffer,
		Personalization: []byte("github.com/lrng-go/lrng/examples/lrngd"),
	}
	if c.fips {
		r.FIPS = lrng.FIPSRequired
	}
	return r
}

// checkAddress returns what is wrong with an address of a socket.
func checkAddress(s string) error {
	if filepath.IsAbs(s) {
		return nil
	}
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		return errors.New("neither an absolute path nor an IP address with a port")
	}
	if !a.Addr().IsLoopback() {
		return errors.New("not an address of this machine alone: whoever is on the way could read the bytes, and change them")
	}
	return nil
}

// credited reports whether entropy of the user is credited.
func (c *config) credited(uid int64) bool { return uid >= 0 && slices.Contains(c.credit, uid) }
