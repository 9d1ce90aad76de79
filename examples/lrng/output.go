package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/seeding"
)

// chunk is how much is read at once, in bytes.
const chunk = 1 << 16

var readCommand = command{
	name:  "read",
	short: "random bytes",
	long: `Read writes random bytes to standard output. -n is their number, with a suffix K, M,
G or T (1024 each) or none; without -n there is no end. -fresh asks the entropy sources
before each block (prediction resistance); that is much slower.

A closed pipe and an interrupt end it.
`,
	flags: func(f *flag.FlagSet) func(context.Context, stdio, []string) error {
		var n size = -1
		f.Var(&n, "n", "`number` of bytes, as 32, 64K or 1G")
		format := f.String("format", "raw", "`form` of the output: raw, hex or base64, the latter two in one line")
		fresh := f.Bool("fresh", false, "with prediction resistance")
		return func(ctx context.Context, std stdio, args []string) error {
			if err := noArgs(args); err != nil {
				return err
			}
			w, finish, err := encoder(std.out, *format)
			if err != nil {
				return err
			}
			r, err := lrng.New(lrng.Config{})
			if err != nil {
				return err
			}
			defer r.Close()
			read := r.ReadContext
			if *fresh {
				read = r.PredictionResistant().(lrng.FreshReader).ReadContext
			}
			bar := newProgress(std.err, int64(n), "bytes")
			if isTerminal(std.out) {
				bar.stop()
				bar = nil
			}
			defer bar.stop()
			workers, block := runtime.GOMAXPROCS(0), chunk
			if *fresh {
				workers, block = 1, 32
			}
			if err := pump(ctx, read, w, int64(n), workers, block, bar); err != nil {
				return err
			}
			return finish()
		}
	},
}

// pump writes n bytes from read to w, or bytes without end if n is negative, at most block
// at once. So many workers read at the same time; they write in turns, and in no order,
// which random bytes have not.
func pump(ctx context.Context, read func(context.Context, []byte) (int, error), w io.Writer, n int64, workers, block int, bar *progress) error {
	wctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var mu sync.Mutex // guards the following, and w
	left, done := n, int64(0)
	for range workers {
		wg.Go(func() {
			buf := make([]byte, block)
			defer clear(buf)
			for {
				b := buf
				mu.Lock()
				if n >= 0 {
					b = b[:min(int64(len(b)), left)]
					left -= int64(len(b))
				}
				mu.Unlock()
				if len(b) == 0 {
					return
				}
				_, err := read(wctx, b)
				mu.Lock()
				if err == nil {
					err = wctx.Err() // of another worker
				}
				if err == nil {
					_, err = w.Write(b)
				}
				if err == nil {
					done += int64(len(b))
					bar.set(done)
				}
				if err != nil {
					cancel(err)
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return context.Cause(wctx)
}

// encoder returns what encodes what is written to it, and what ends the encoding. What is
// given to it in one call is written soon, and in large pieces.
func encoder(w io.Writer, format string) (enc io.Writer, finish func() error, err error) {
	if format == "raw" {
		return w, func() error { return nil }, nil
	}
	b := bufio.NewWriterSize(w, chunk)
	line := func() error {
		b.WriteByte('\n')
		return b.Flush()
	}
	switch format {
	case "hex":
		return flusher{hex.NewEncoder(b), b}, line, nil
	case "base64":
		e := base64.NewEncoder(base64.StdEncoding, b)
		return flusher{e, b}, func() error {
			if err := e.Close(); err != nil {
				return err
			}
			return line()
		}, nil
	}
	return nil, nil, usagef("-format: %q; want raw, hex or base64", format)
}

// A flusher is an encoder, and the buffer that it writes to.
type flusher struct {
	enc io.Writer
	buf *bufio.Writer
}

func (f flusher) Write(p []byte) (int, error) {
	n, err := f.enc.Write(p)
	if err != nil {
		return n, err
	}
	return n, f.buf.Flush()
}

// A size is a flag for a number with a binary suffix.
type size int64

// String returns "" for a size that has no default, which a help leaves out then.
func (s *size) String() string {
	if *s <= 0 {
		return ""
	}
	return strconv.FormatInt(int64(*s), 10)
}

func (s *size) Set(text string) error {
	digits, shift := text, 0
	if n := len(text); n > 0 {
		if i := strings.IndexByte("KMGT", text[n-1]); i >= 0 {
			digits, shift = text[:n-1], 10*(i+1)
		}
	}
	v, err := strconv.ParseUint(digits, 10, 63)
	if errors.Is(err, strconv.ErrRange) || v<<shift>>shift != v || v<<shift >= 1<<63 {
		return errors.New("too large")
	}
	if err != nil {
		return errors.New("want a number such as 32, 64K or 1G")
	}
	*s = size(v << shift)
	return nil
}

var tokenCommand = command{
	name:  "token",
	short: "a text that cannot be guessed",
	long: `Token prints texts of 26 letters and digits with at least 128 bits of randomness, for
passwords, keys of interfaces and the like.
`,
	flags: func(f *flag.FlagSet) func(context.Context, stdio, []string) error {
		n := f.Int("n", 1, "`number` of texts")
		return func(ctx context.Context, std stdio, args []string) error {
			if err := noArgs(args); err != nil {
				return err
			}
			if *n < 1 {
				return usagef("-n: %d; want at least 1", *n)
			}
			w := bufio.NewWriter(std.out)
			for range *n {
				if err := ctx.Err(); err != nil {
					return err
				}
				if _, err := fmt.Fprintln(w, lrng.Text()); err != nil {
					return err
				}
			}
			return w.Flush()
		}
	},
}

var seedCommand = command{
	name:  "seed",
	short: "a seed for another generator",
	long: `Seed writes a seed buffer with at least -bits of min-entropy from the entropy sources
of this machine, in the encoding of package seeding. It is a secret, to be used once.
With -raw it writes the same number of bits of full entropy, ready to be used as entropy
input. It does not write to a terminal.
`,
	flags: func(f *flag.FlagSet) func(context.Context, stdio, []string) error {
		bits := f.Int("bits", 384, "min-entropy in `bits`, 1 to 4096, a multiple of 8 with -raw")
		raw := f.Bool("raw", false, "bytes with full entropy and nothing else")
		wait := f.Duration("timeout", 10*time.Second, "the longest `time` to wait for the sources")
		return func(ctx context.Context, std stdio, args []string) error {
			if err := noArgs(args); err != nil {
				return err
			}
			if *bits < 1 || *bits > 4096 || *raw && *bits%8 != 0 {
				return usagef("-bits: %d; want 1 to 4096, a multiple of 8 with -raw", *bits)
			}
			if isTerminal(std.out) {
				return usagef("standard output is a terminal; a seed is a secret")
			}
			ctx, cancel := context.WithTimeout(ctx, *wait)
			defer cancel()
			r, err := lrng.New(lrng.Config{})
			if err != nil {
				return err
			}
			defer r.Close()
			var seed []byte
			if *raw {
				seed = make([]byte, *bits/8)
				_, err = r.SeedReader().(lrng.FreshReader).ReadContext(ctx, seed)
			} else {
				seed, _, err = r.GetSeed(ctx, *bits)
			}
			defer clear(seed)
			if errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("no seed after %v: %w", *wait, err)
			}
			if err != nil {
				return err
			}
			_, err = std.out.Write(seed)
			return err
		}
	},
}

var statusCommand = command{
	name:  "status",
	short: "what the generator is made of, and how it is",
	long: `Status seeds a generator with the default settings and prints its status: sources with
their credits and their health, levels, limits, and the claim that it is designed to meet.
`,
	flags: func(f *flag.FlagSet) func(context.Context, stdio, []string) error {
		asJSON := f.Bool("json", false, "print JSON")
		wait := f.Duration("timeout", 10*time.Second, "the longest `time` to wait for the sources")
		return func(ctx context.Context, std stdio, args []string) error {
			if err := noArgs(args); err != nil {
				return err
			}
			wctx, cancel := context.WithTimeout(ctx, *wait)
			defer cancel()
			r, err := lrng.New(lrng.Config{})
			if err != nil {
				return err
			}
			defer r.Close()
			// The status is worth more than ever if it does not come to a seed.
			err = r.Wait(wctx, seeding.FullySeeded)
			if err := printFacts(std.out, *asJSON, r.Status()); err != nil {
				return err
			}
			if errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("not fully seeded after %v: %w", *wait, err)
			}
			if err != nil {
				return fmt.Errorf("not fully seeded: %w", err)
			}
			return nil
		}
	},
}

// printFacts prints v as JSON or as text.
func printFacts(w io.Writer, asJSON bool, v fmt.Stringer) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "\t")
		return e.Encode(v)
	}
	_, err := io.WriteString(w, v.String())
	return err
}

var selftestCommand = command{
	name:  "selftest",
	short: "the self-tests of everything on board",
	long: `Selftest runs the known-answer tests of all algorithms on board. One that fails is a
failure of the command.
`,
	flags: func(f *flag.FlagSet) func(context.Context, stdio, []string) error {
		asJSON := f.Bool("json", false, "print JSON")
		return func(ctx context.Context, std stdio, args []string) error {
			if err := noArgs(args); err != nil {
				return err
			}
			r, err := lrng.New(lrng.Config{})
			if err != nil {
				return err
			}
			defer r.Close()
			start := time.Now()
			err = r.SelfTest()
			return tested(time.Since(start), err).print(std.out, *asJSON)
		}
	},
}

// A selftestResult is what selftest prints.
type selftestResult struct {
	Passed  bool    `json:"passed"`
	Error   string  `json:"error,omitempty"`
	Seconds float64 `json:"seconds"`

	err error
}

func tested(took time.Duration, err error) *selftestResult {
	r := &selftestResult{Passed: err == nil, Seconds: took.Seconds(), err: err}
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

// String returns the result as text, or "" if it is one that the error tells.
func (r *selftestResult) String() string {
	if !r.Passed {
		return ""
	}
	return fmt.Sprintf("passed in %v\n", time.Duration(r.Seconds*1e9).Round(10*time.Microsecond))
}

// print prints the result, and returns the error of a test that failed.
func (r *selftestResult) print(w io.Writer, asJSON bool) error {
	if err := printFacts(w, asJSON, r); err != nil {
		return err
	}
	return r.err
}

// isTerminal reports whether w is a terminal, or a device that cannot be told from one
// without asking the system more than package os does.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	for _, name := range []string{os.DevNull, "/dev/full", "/dev/zero"} {
		if other, err := os.Stat(name); err == nil && os.SameFile(info, other) {
			return false
		}
	}
	return true
}
