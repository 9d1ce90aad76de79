// Quickstart seeds a generator from the entropy sources of this machine and shows
// what it is made of and what it can do.
package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/seeding"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(w io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	// The zero Config is the recommended one. Nothing is collected yet.
	r, err := lrng.New(lrng.Config{})
	if err != nil {
		return err
	}
	defer r.Close()

	start := time.Now()
	if err := r.Wait(ctx, seeding.FullySeeded); err != nil {
		return err
	}
	seeded := time.Since(start)
	fmt.Fprint(w, r.Status())
	fmt.Fprintf(w, "\nFully seeded after %v.\n\n", seeded.Round(time.Microsecond))

	// Random bytes. Once the generator is seeded this does not wait.
	var b [32]byte
	if _, err := r.Read(b[:]); err != nil {
		return err
	}
	fmt.Fprintln(w, "32 bytes:             ", hex.EncodeToString(b[:]))

	// The functions of crypto/rand, on the default generator.
	fmt.Fprintln(w, "A token:              ", lrng.Text())

	// A source of math/rand/v2, for its distributions.
	die := mathrand.New(r)
	fmt.Fprintln(w, "A die:                ", 1+die.IntN(6))

	// Fresh entropy from the sources before this very output.
	if _, err := r.PredictionResistant().Read(b[:]); err != nil {
		return err
	}
	fmt.Fprintln(w, "Prediction resistant: ", hex.EncodeToString(b[:]))

	// The seed buffer itself, to seed a generator elsewhere. Use it once.
	seed, credit, err := r.GetSeed(ctx, 384)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "A seed:                %d bytes with %d bits of min-entropy\n", len(seed), credit)
	clear(seed)
	return nil
}
