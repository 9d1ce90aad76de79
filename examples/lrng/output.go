package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
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
				bar = nil
			}
			defer bar.stop()
			buf := make([]byte, chunk)
			defer clear(buf)
			for done := int64(0); n < 0 || done < int64(n); {
				b := buf
				if *fresh {
					b = b[:32]
				}
				if n >= 0 {
					b = b[:min(int64(len(b)), int64(n)-done)]
				}
				if _, err := read(ctx, b); err != nil {
					return err
				}
				if _, err := w.Write(b); err != nil {
					return err
				}
				done += int64(len(b))
				bar.set(done)
			}
			return finish()
		}
	},
}

// encoder returns what encodes what is written to it, and what ends the encoding.
func encoder(w io.Writer, format string) (enc io.Writer, finish func() error, err error) {
	line := func() error { _, err := io.WriteString(w, "\n"); return err }
	switch format {
	case "raw":
		return w, func() error { return nil }, nil
	case "hex":
		return hex.NewEncoder(w), line, nil
	case "base64":
		e := base64.NewEncoder(base64.StdEncoding, w)
		return e, func() error {
			if err := e.Close(); err != nil {
				return err
			}
			return line()
		}, nil
	}
	return nil, nil, usagef("-format: %q; want raw, hex or base64", format)
}

// A size is a flag for a number with a binary suffix.
type size int64

func (s *size) String() string {
	if *s < 0 {
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
	if err != nil {
		return fmt.Errorf("want a number such as 32, 64K or 1G")
	}
	if v<<shift>>shift != v || v<<shift >= 1<<63 {
		return fmt.Errorf("too large")
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
			for range *n {
				if err := ctx.Err(); err != nil {
					return err
				}
				if _, err := fmt.Fprintln(std.out, lrng.Text()); err != nil {
					return err
				}
			}
			return nil
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
	long: `Selftest runs the known-answer tests and health tests that a generator runs before its
first output.
`,
	flags: func(f *flag.FlagSet) func(context.Context, stdio, []string) error {
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
			if err := r.SelfTest(); err != nil {
				return err
			}
			_, err = fmt.Fprintf(std.out, "passed in %v\n", time.Since(start).Round(10*time.Microsecond))
			return err
		}
	},
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
