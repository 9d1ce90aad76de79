package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/seeding"
)

var watchCommand = command{
	name:  "watch",
	short: "the state of a generator, as it changes",
	long: `Watch shows the state of a generator again and again: its level, its seeds, what each
source was credited with, and how its health is. On a terminal it fills the screen, with
the latest intervals as bars; else, or if TERM is dumb or not set, it prints a line an
interval. An interrupt ends it.

The generator is one of its own, with the default settings, from which it reads 32 bytes an
interval; -reseed makes that collect more often. With -addr or -socket it is that of a
daemon which serves its status as JSON over HTTP, as lrngd does:

  lrng watch -socket /run/lrngd/http.sock
  lrng watch -addr localhost:8080 -json

A daemon that does not answer when the command starts is a failure of it. One that stops
answering later is waited for.
`,
	flags: func(f *flag.FlagSet) func(context.Context, stdio, []string) error {
		var w watch
		f.DurationVar(&w.interval, "interval", time.Second, "`time` between two looks, at least 10ms")
		f.IntVar(&w.n, "n", 0, "`number` of looks; 0 for no end")
		f.BoolVar(&w.json, "json", false, "print JSON, one object a line")
		f.StringVar(&w.addr, "addr", "", "`address` or URL of a daemon, as localhost:8080")
		f.StringVar(&w.socket, "socket", "", "Unix `socket` of a daemon")
		f.StringVar(&w.path, "path", "/status", "`path` of the status, unless the URL has one")
		f.DurationVar(&w.reseed, "reseed", 0, "`age` of a seed at which the generator of its own collects another (default 10m)")
		return func(ctx context.Context, std stdio, args []string) error {
			if err := noArgs(args); err != nil {
				return err
			}
			return w.run(ctx, std)
		}
	},
}

// A watch is one call of the command.
type watch struct {
	interval     time.Duration
	n            int
	json         bool
	addr, socket string
	path         string
	reseed       time.Duration
}

// leastInterval is the least time between two looks.
const leastInterval = 10 * time.Millisecond

func (w *watch) run(ctx context.Context, std stdio) error {
	switch {
	case w.interval < leastInterval:
		return usagef("-interval: %v; want at least %v", w.interval, leastInterval)
	case w.n < 0:
		return usagef("-n: %d; want at least 0", w.n)
	case w.addr != "" && w.socket != "":
		return usagef("-addr and -socket exclude each other")
	case w.reseed < 0:
		return usagef("-reseed: %v; want at least 0", w.reseed)
	case w.reseed > 0 && (w.addr != "" || w.socket != ""):
		return usagef("-reseed is for a generator of this command")
	}
	var look func(context.Context) (*lrng.Status, error)
	var of string
	if w.addr != "" || w.socket != "" {
		u, client, err := w.client()
		if err != nil {
			return err
		}
		defer client.CloseIdleConnections()
		of = printable(or(w.socket, u.Redacted()))
		look = func(ctx context.Context) (*lrng.Status, error) { return fetch(ctx, client, u) }
	} else {
		r, err := lrng.New(lrng.Config{ReseedInterval: w.reseed})
		if err != nil {
			return err
		}
		defer r.Close()
		of = "generator of this process"
		look = func(ctx context.Context) (*lrng.Status, error) {
			// If it is not seeded in time it is shown how far it is.
			rctx, cancel := context.WithTimeout(ctx, max(w.interval, time.Second))
			defer cancel()
			var b [32]byte
			defer clear(b[:])
			if _, err := r.ReadContext(rctx, b[:]); err != nil && rctx.Err() == nil {
				return nil, err
			}
			s := r.Status()
			return &s, ctx.Err()
		}
	}

	show := showLines(std.out)
	switch {
	case w.json:
		show = showJSON(std.out)
	case isTerminal(std.out) && os.Getenv("TERM") != "dumb" && os.Getenv("TERM") != "":
		screen, err := newScreen(std.out)
		if err != nil {
			return err
		}
		defer screen.leave()
		show = screen.show
	}
	h := &history{of: of, interval: w.interval}
	t := time.NewTicker(w.interval)
	defer t.Stop()
	for i := 1; ; i++ {
		s, err := look(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && (i == 1 || w.addr == "" && w.socket == "") {
			return err
		}
		h.add(time.Now(), s, err)
		if err := show(h); err != nil {
			return err
		}
		if i == w.n {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}

// Limits for what a daemon answers.
const (
	maxAnswer     = 4 << 20 // bytes
	answerTimeout = 5 * time.Second
)

// client returns the URL of the status, and what asks for it.
func (w *watch) client() (*url.URL, *http.Client, error) {
	// A proxy has no business between this machine and its daemon.
	transport := &http.Transport{}
	address := w.addr
	if w.socket != "" {
		socket := w.socket
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}
		address = "http://unix"
	} else if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, nil, usagef("-addr: %q; want an address as localhost:8080, or a URL of http or https", w.addr)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/" + strings.TrimPrefix(w.path, "/")
	}
	return u, &http.Client{Transport: transport, Timeout: answerTimeout}, nil
}

// fetch asks for a status.
func fetch(ctx context.Context, client *http.Client, u *url.URL) (*lrng.Status, error) {
	address := u.Redacted()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", address, resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxAnswer {
		return nil, fmt.Errorf("%s: the answer is longer than %d bytes", address, maxAnswer)
	}
	s := new(lrng.Status)
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	if s.DRNG == "" {
		return nil, fmt.Errorf("%s: the answer is no status of a generator", address)
	}
	return s, nil
}

// A history is what is shown: the latest status, and how it came about.
type history struct {
	of       string // whose status it is
	interval time.Duration

	time   time.Time
	status *lrng.Status // the latest; nil if there is none yet
	err    error        // of the latest look, if there was one
	since  time.Time    // when err was seen first

	output  []float64            // bytes a second, the latest last
	seeds   []float64            // in each interval
	credits map[string][]float64 // bits in each interval, by source
}

// barCount is the number of intervals that are shown as bars.
const barCount = 20

// add adds the outcome of a look.
func (h *history) add(now time.Time, s *lrng.Status, err error) {
	before, then := h.status, h.time
	lost := h.err != nil
	if h.err = err; err != nil {
		if !lost {
			h.since = now
		}
		return
	}
	h.status, h.time = s, now
	if before == nil || lost || s.Rounds < before.Rounds || s.Seeds < before.Seeds {
		h.output, h.seeds, h.credits = nil, nil, map[string][]float64{} // another one, or after a gap
		return
	}
	push := func(list []float64, v float64) []float64 {
		list = append(list, max(0, v))
		return list[max(0, len(list)-barCount):]
	}
	_, b := output(s)
	_, old := output(before)
	h.output = push(h.output, float64(int64(b-old))/max(1e-3, now.Sub(then).Seconds()))
	h.seeds = push(h.seeds, float64(s.Seeds-before.Seeds))
	for i, src := range s.Sources {
		if i < len(before.Sources) && before.Sources[i].Name == src.Name {
			h.credits[src.Name] = push(h.credits[src.Name], float64(int64(src.TotalCredited-before.Sources[i].TotalCredited)))
		}
	}
}

// output returns the requests and bytes of all instances.
func output(s *lrng.Status) (requests, bytes uint64) {
	requests, bytes = s.PredictionResistance.Requests, s.PredictionResistance.Bytes
	for _, in := range s.Instances {
		requests += in.Requests
		bytes += in.Bytes
	}
	return requests, bytes
}

// showJSON returns what prints an object a line.
func showJSON(w io.Writer) func(*history) error {
	e := json.NewEncoder(w)
	return func(h *history) error {
		line := struct {
			Time   time.Time    `json:"time"`
			Status *lrng.Status `json:"status,omitempty"`
			Error  string       `json:"error,omitempty"`
		}{Time: time.Now().UTC(), Status: h.status}
		if h.err != nil {
			line.Status, line.Error = nil, h.err.Error()
		}
		return e.Encode(line)
	}
}

// showLines returns what prints a line for people an interval.
func showLines(w io.Writer) func(*history) error {
	return func(h *history) error {
		_, err := fmt.Fprintf(w, "%s\n", h.line())
		return err
	}
}

// line returns the state in a line.
func (h *history) line() string {
	if h.err != nil {
		return fmt.Sprintf("%s no connection: %s", time.Now().Format(time.TimeOnly), printable(h.err.Error()))
	}
	s := h.status
	requests, bytes := output(s)
	b := new(strings.Builder)
	fmt.Fprintf(b, "%s %v, %d bits, %d seeds, %d rounds, %d requests, %d bytes", h.time.Format(time.TimeOnly), s.Level, s.Entropy, s.Seeds, s.Rounds, requests, bytes)
	for _, src := range s.Sources {
		fmt.Fprintf(b, "; %s %d bits, %s", printable(src.Name), src.TotalCredited, printable(src.Health))
	}
	for _, p := range problems(s) {
		fmt.Fprintf(b, "; PROBLEM: %s", p)
	}
	return b.String()
}

// problems returns what is wrong, in words.
func problems(s *lrng.Status) (list []string) {
	switch {
	case s.Closed:
		list = append(list, "the generator is closed")
	case s.SelfTest != "passed":
		list = append(list, "a self-test failed: "+printable(s.SelfTest))
	case s.Level != seeding.FullySeeded:
		list = append(list, fmt.Sprintf("the generator is %v: requests wait", s.Level))
	}
	for _, src := range s.Sources {
		if src.Error != "" && src.Health != "unavailable" {
			list = append(list, printable(fmt.Sprintf("%s: %s: %s", src.Name, src.Health, src.Error)))
		}
		if src.Noise != nil && src.Noise.Warning {
			list = append(list, printable(src.Name)+": the noise is below the claim")
		}
	}
	return list
}

// view returns the state as lines for a screen.
func (h *history) view(bars []rune) (lines []string) {
	line := func(format string, args ...any) {
		lines = append(lines, strings.TrimRight(fmt.Sprintf(format, args...), " "))
	}
	s := h.status
	line("lrng watch: %s, every %v", h.of, h.interval)
	if h.err != nil {
		line("NO CONNECTION since %s: %s", h.since.Format(time.TimeOnly), printable(h.err.Error()))
	} else {
		line("%s", h.time.Format(time.DateTime))
	}
	if s == nil {
		return lines
	}
	line("")
	line("Level        %v %s %d bits towards the next seed", s.Level, gauge(int(s.Level), int(seeding.FullySeeded)), s.Entropy)
	line("Verdict      %s", or(printable(s.Verdict), "none yet"))
	line("Mechanism    %s, %d bits; strategy %s", printable(s.DRNG), s.SecurityStrength, printable(s.Strategy))
	line("Memory       %s", printable(strings.TrimSuffix(s.Memory+" ("+s.MemoryReason+")", " ()")))
	line("Copies       %d of the machine noticed", s.GenerationChanges)
	line("Self-tests   %s", printable(s.SelfTest))
	requests, bytes := output(s)
	rate := ""
	if n := len(h.output); n > 0 {
		rate = byteCount(h.output[n-1]) + "/s"
	}
	line("")
	line("Seeds        %-10d %-18s %s", s.Seeds, fmt.Sprintf("%d rounds", s.Rounds), spark(h.seeds, bars))
	line("Output       %-10s %-18s %s", byteCount(float64(bytes)), fmt.Sprintf("%d requests", requests), strings.TrimRight(spark(h.output, bars)+" "+rate, " "))
	line("")
	line("%-12s %-15s %6s %6s %9s %6s  %s", "Source", "Health", "Bits", "Most", "In all", "Failed", "Credits")
	for _, src := range s.Sources {
		line("%s %s %6d %6d %9d %6d  %s", fit(printable(src.Name), 12), fit(printable(src.Health), 15), src.Credited, src.Rate, src.TotalCredited, src.Failures, spark(h.credits[src.Name], bars))
	}
	line("")
	list := problems(s)
	for _, p := range list {
		line("PROBLEM: %s", p)
	}
	if len(list) == 0 {
		line("No problem known.")
	}
	return lines
}

// gauge returns a bar of so many of most parts.
func gauge(v, most int) string {
	v = min(max(v, 0), most)
	return "[" + strings.Repeat("#", v) + strings.Repeat("-", most-v) + "]"
}

// Characters for bars, from nothing to the greatest value.
var (
	blockBars = []rune("·▁▂▃▄▅▆▇█")
	plainBars = []rune("_.:-=+*%#")
)

// spark returns values as bars, the greatest of which is the highest.
func spark(values []float64, bars []rune) string {
	most := 0.0
	for _, v := range values {
		most = max(most, v)
	}
	b := new(strings.Builder)
	for _, v := range values {
		i := 0
		if v > 0 {
			i = max(1, int(v/most*float64(len(bars)-1)))
		}
		b.WriteRune(bars[i])
	}
	return b.String()
}

// fit returns text as wide as that.
func fit(text string, width int) string {
	n := utf8.RuneCountInString(text)
	if n > width {
		return string([]rune(text)[:width-1]) + "~"
	}
	return text + strings.Repeat(" ", width-n)
}

// byteCount returns a number of bytes as "1.5 MiB".
func byteCount(v float64) string {
	unit := 0
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	for ; v >= 1024 && unit < len(units)-1; unit++ {
		v /= 1024
	}
	if unit == 0 {
		return fmt.Sprintf("%.0f B", v)
	}
	return fmt.Sprintf("%.1f %s", v, units[unit])
}

// printable returns text without what a terminal could take for a command, and what could
// change the order of the rest: names and errors are somebody else's.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(text, string(unicode.ReplacementChar)))
}

// A screen is a terminal that is filled. Each line is put in its place, and what is longer
// than the screen is cut off, so that its size does not matter.
type screen struct {
	w    io.Writer
	bars []rune
}

// Commands to a terminal, as ECMA-48 and xterm have them.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l" // the other screen, no cursor, no wrapping
	leaveScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l"
	clearScreen = "\x1b[2J"
	lineAt      = "\x1b[%d;1H%s" // text at the start of a line
)

// newScreen returns the screen of a terminal. The caller must leave it.
func newScreen(w io.Writer) (*screen, error) {
	s := &screen{w, plainBars}
	if locale := or(os.Getenv("LC_ALL"), or(os.Getenv("LC_CTYPE"), os.Getenv("LANG"))); strings.Contains(strings.ReplaceAll(strings.ToUpper(locale), "-", ""), "UTF8") || runtime.GOOS == "darwin" {
		s.bars = blockBars
	}
	_, err := io.WriteString(w, enterScreen)
	return s, err
}

// leave puts the terminal back as it was.
func (s *screen) leave() { io.WriteString(s.w, leaveScreen) }

// show draws the state.
func (s *screen) show(h *history) error {
	b := bytes.NewBufferString(clearScreen) // all in one write, which does not flicker
	for i, line := range h.view(s.bars) {
		fmt.Fprintf(b, lineAt, i+1, line)
	}
	_, err := s.w.Write(b.Bytes())
	return err
}
