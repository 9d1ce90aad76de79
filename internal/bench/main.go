// Bench measures lrng beside its peers, on this machine and in one run: the package
// crypto/rand, the same in FIPS mode, frand, raw keystreams, and through small C programs
// OpenSSL and Libgcrypt. It says which of the targets are met, and prints a table that
// compares times of this run with each other and with nothing else.
//
//	cd internal/bench && go run .
//
// takes some minutes, should have the machine to itself, and writes docs/benchmarks.md
// and docs/img/*.svg. With -quick it takes seconds, for tests, and the figures mean
// nothing; they are not written unless -out says where.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// childEnv is set for the processes that this one starts: tests have to tell.
const childEnv = "LRNG_BENCH_CHILD"

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	isQuick := flags.Bool("quick", false, "measure next to nothing, to see that all works")
	out := flags.String("out", "", "`directory` for benchmarks.md and img/ (default ../../docs, with -quick none)")
	isChild := flags.Bool("serve", false, "do what standard input says; for use by the program itself")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case *isChild:
		return serve(newLocal(), os.Stdin, stdout)
	}
	e := full
	if *isQuick {
		e = quick
	} else if *out == "" {
		*out = filepath.Join("..", "..", "docs")
		if _, err := os.Stat(filepath.Join(*out, "..", "lrng.go")); err != nil {
			return fmt.Errorf("not started in internal/bench: %w", err)
		}
	}

	runner, err := newRunner(e, stderr)
	if err != nil {
		return err
	}
	defer runner.close()
	machine, sections := thisMachine(), plan()
	res, err := runner.run(sections)
	if err != nil {
		return err
	}
	rep := report{machine: machine, sections: sections, results: res, missing: runner.missing, libraries: runner.libraries(), quick: *isQuick}
	var page bytes.Buffer
	rep.write(&page)
	if _, err := stdout.Write(page.Bytes()); err != nil {
		return err
	}
	if *out == "" {
		return nil
	}
	img := filepath.Join(*out, "img")
	if err := os.MkdirAll(img, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(*out, "benchmarks.md"), page.Bytes(), 0o644); err != nil {
		return err
	}
	for name, draw := range plots {
		svg, err := draw(res)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(img, name), svg, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// libraries returns the versions of those in C.
func (r *runner) libraries() []string {
	var versions []string
	for _, name := range []string{openssl, gcrypt} {
		if cmd, err := r.command(name, "-version"); err == nil {
			if text, err := cmd.Output(); err == nil {
				versions = append(versions, string(bytes.TrimSpace(text)))
			}
		}
	}
	return versions
}
