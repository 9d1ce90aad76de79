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
//	lrng bench     how fast the generator is, beside crypto/rand
//	lrng watch     the state of a generator, as it changes
//
// "lrng help COMMAND" tells more. Facts are printed on standard output, as JSON with -json,
// and everything else on standard error. The exit code is 0, 1 for a failure, 2 for a wrong
// call, or 128 and the number of the signal that ended the command: 130 for an interrupt.
//
//	go install github.com/lrng-go/lrng/examples/lrng@latest
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
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

var commands = []command{readCommand, tokenCommand, seedCommand, statusCommand, selftestCommand, recordCommand, assessCommand, inspectCommand, benchCommand, watchCommand}

// stdio are the standard streams.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// A usageError is a mistake of the caller.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// A signalError says that a signal has ended the command.
type signalError struct{ signal os.Signal }

func (e signalError) Error() string { return "interrupted" }

// code returns the exit code that shells have for a program that the signal ended.
func (e signalError) code() int {
	if n, ok := e.signal.(syscall.Signal); ok {
		return 128 + int(n)
	}
	return 1
}

// grace is how long a command may take to end after a signal.
const grace = time.Second

func main() {
	// A closed pipe on standard output ends the program without a word (the Go
	// runtime leaves SIGPIPE on descriptor 1 as it is).
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		err := signalError{<-signals}
		cancel(err)
		// Who waits for a pipe that nobody reads from does not see that.
		select {
		case <-signals:
		case <-time.After(grace):
		}
		os.Exit(err.code())
	}()
	os.Exit(run(ctx, stdio{os.Stdin, os.Stdout, os.Stderr}, os.Args[1:]))
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
			return show(std, usage)
		}
		name, args, help = args[0], nil, true
	}
	for _, c := range commands {
		if c.name == name {
			if help {
				return show(std, c.help)
			}
			return c.run(ctx, std, args)
		}
	}
	fmt.Fprintf(std.err, "lrng: unknown command %q; see \"lrng help\"\n", name)
	return 2
}

// show prints a help, and returns the exit code.
func show(std stdio, help func(io.Writer)) int {
	var b bytes.Buffer
	help(&b)
	if _, err := std.out.Write(b.Bytes()); err != nil {
		fmt.Fprintf(std.err, "lrng: %v\n", err)
		return 1
	}
	return 0
}

func usage(w io.Writer) {
	fmt.Fprint(w, "usage: lrng COMMAND [flags]\n\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-9s %s\n", c.name, c.short)
	}
	fmt.Fprint(w, "\n\"lrng help COMMAND\" tells more of one.\n"+
		"The exit code is 0, 1 for a failure, 2 for a wrong call, 130 after an interrupt.\n")
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
		return show(std, c.help)
	case err != nil:
		err = usageError{err}
	default:
		err = do(ctx, std, f.Args())
	}
	if err == nil {
		return 0
	}
	code := 1
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = errors.New("interrupted")
		if cause := (signalError{}); errors.As(context.Cause(ctx), &cause) {
			err, code = cause, cause.code()
		}
	}
	fmt.Fprintf(std.err, "lrng %s: %v\n", c.name, err)
	if wrong := (usageError{}); errors.As(err, &wrong) {
		fmt.Fprintf(std.err, "See \"lrng help %s\".\n", c.name)
		return 2
	}
	return code
}

// noArgs returns an error if there are arguments.
func noArgs(args []string) error {
	if len(args) > 0 {
		return usagef("unexpected argument %q", args[0])
	}
	return nil
}
