// Lrng is the command line of the random bit generator.
//
//	lrng read      random bytes
//	lrng token     a text that cannot be guessed
//	lrng seed      a seed for another generator
//	lrng status    what the generator is made of, and how it is
//	lrng selftest  the self-tests of everything on board
//	lrng record    raw noise of an entropy source, for its assessment
//	lrng assess    the min-entropy of recorded noise
//	lrng inspect   looks for seeds, saved states and identities in a system image
//
// "lrng help COMMAND" tells more. Facts are printed on standard output, everything else
// on standard error. The exit code is 0, 1 for a failure, or 2 for a wrong call.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// A command is what the first argument names.
type command struct {
	name  string
	args  string // for the usage, after the flags
	short string
	long  string

	// flags declares the flags and returns what runs the command once they are
	// parsed.
	flags func(f *flag.FlagSet) func(ctx context.Context, std stdio, args []string) error
}

var commands = []command{readCommand, tokenCommand, seedCommand, statusCommand, selftestCommand, recordCommand, assessCommand, inspectCommand}

// stdio are the standard streams.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// A usageError is a mistake of the caller.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func main() {
	// A closed pipe on standard output ends the program without a word (the Go
	// runtime leaves SIGPIPE on descriptor 1 as it is).
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, stdio{os.Stdin, os.Stdout, os.Stderr}, os.Args[1:])
	stop()
	os.Exit(code)
}

// run runs the command line args and returns the exit code.
func run(ctx context.Context, std stdio, args []string) int {
	if len(args) == 0 {
		usage(std.err)
		return 2
	}
	name, args := args[0], args[1:]
	help := false
	switch name {
	case "help", "-h", "-help", "--help":
		if len(args) == 0 {
			usage(std.out)
			return 0
		}
		name, args, help = args[0], nil, true
	}
	for _, c := range commands {
		if c.name == name {
			if help {
				c.help(std.out)
				return 0
			}
			return c.run(ctx, std, args)
		}
	}
	fmt.Fprintf(std.err, "lrng: unknown command %q; see \"lrng help\"\n", name)
	return 2
}

func usage(w io.Writer) {
	fmt.Fprint(w, "usage: lrng COMMAND [flags]\n\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-9s %s\n", c.name, c.short)
	}
	fmt.Fprint(w, "\n\"lrng help COMMAND\" tells more of one.\n")
}

func (c command) help(w io.Writer) {
	f := flag.NewFlagSet(c.name, flag.ContinueOnError)
	c.flags(f)
	f.SetOutput(w)
	fmt.Fprintf(w, "usage: lrng %s [flags]%s\n\n%s\n", c.name, c.args, c.long)
	f.PrintDefaults()
}

func (c command) run(ctx context.Context, std stdio, args []string) int {
	f := flag.NewFlagSet(c.name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	do := c.flags(f)
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		c.help(std.out)
		return 0
	case err != nil:
		err = usageError{err}
	default:
		err = do(ctx, std, f.Args())
	}
	if err == nil {
		return 0
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	fmt.Fprintf(std.err, "lrng %s: %v\n", c.name, err)
	if wrong := (usageError{}); errors.As(err, &wrong) {
		fmt.Fprintf(std.err, "See \"lrng help %s\".\n", c.name)
		return 2
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
