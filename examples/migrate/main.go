// Migrate shows how a program changes from crypto/rand to lrng.
//
// Most of it is done by changing an import line, as in file import.go. Code that
// is not one's own follows when crypto/rand.Reader is set, as in file assign.go.
//
// Since Go 1.26 neither reaches all: many functions of the standard library use a
// generator of their own and ignore the reader that they are given. The program
// finds out which ones, by counting what they read (file calls.go), and makes keys
// without them (file keys.go).
package main

import (
	"crypto/fips140"
	"fmt"
	"io"
	"math/big"
	"os"
	"text/tabwriter"

	"github.com/lrng-go/lrng"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "migrate:", err)
		os.Exit(1)
	}
}

func run(w io.Writer) error {
	for _, way := range []struct {
		name   string
		sample func() (sample, error)
	}{
		{"With another import line", importSample},
		{"With crypto/rand.Reader set to ours", assignSample},
	} {
		s, err := way.sample()
		if err != nil {
			return err
		}
		// Tokens and passwords are not for the screen.
		fmt.Fprintf(w, "%s:\n\n  a token of %d bytes, a password of %d characters, a number below 1000\n\n",
			way.name, len(s.token), len(s.password))
	}

	p, err := newProbe()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "What functions of the standard library read from a reader that they are given:\n\n")
	if err := table(w, p.given(), false); err != nil {
		return err
	}
	fmt.Fprint(w, `
  Of tls.Config.Rand come the random numbers of the hello messages, the ticket keys, RSA-PSS
  signatures and the ML-KEM key of a client, but no ECDH key shares and no ECDSA signatures.

What they read from crypto/rand.Reader, where that is set to ours:

`)
	if err := table(w, p.global(), true); err != nil {
		return err
	}
	fmt.Fprint(w, `
  GODEBUG=cryptocustomrand=1, in the environment or in a //go:debug line of package
  main, brings back what was before Go 1.26. It is the default while the go line of
  the main module says 1.25 or less. A later version of Go will do without it.

Keys from our bytes all the same:

`)
	tw := newTabWriter(w)
	for _, k := range keys {
		result := "works"
		if err := k.use(); err != nil {
			if !fips140.Enforced() {
				return fmt.Errorf("%s: %w", k.name, err)
			}
			result = err.Error()
		}
		fmt.Fprintf(tw, "  %s\t%s\t%s\n", k.name, k.how, result)
	}
	fmt.Fprintf(tw, "  RSA\tno function makes a key of given bytes\t\n")
	return tw.Flush()
}

// A sample is a little of everything.
type sample struct {
	token    [16]byte
	password string
	number   *big.Int
}

func newTabWriter(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

// table calls the functions and prints how much each has read.
func table(w io.Writer, calls []call, global bool) error {
	tw := newTabWriter(w)
	for _, c := range calls {
		n, err := c.measure(lrng.Reader, global)
		verdict := "used"
		switch {
		case err != nil && !fips140.Enforced():
			return fmt.Errorf("%s: %w", c.name, err)
		case err != nil:
			verdict = err.Error()
		case n == 0:
			verdict = "ignored"
		}
		fmt.Fprintf(tw, "  %s\t%d bytes\t%s\n", c.name, n, verdict)
	}
	return tw.Flush()
}
