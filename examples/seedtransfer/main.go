// Seedtransfer seeds the generators of another process from the entropy sources of this
// one, as for a process that is kept away from devices and clocks.
//
// The parent collects a seed with GetSeed and sends it through a pipe. The child uses
// one seed for a DRBG of SP 800-90A and a second one for a generator of this library
// whose only source it is.
package main

import (
	"bytes"
	"context"
	"crypto/fips140"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/seeding"
)

// seedBits is what an instantiation at 256 bits of security strength takes: 3/2 of the
// strength (SP 800-90A, Section 8.6.7: entropy input and nonce).
const seedBits = 384

func main() {
	run := parent
	if len(os.Args) == 2 && os.Args[1] == "child" {
		run = func(w io.Writer) error { return child(os.Stdin, w) }
	}
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "seedtransfer:", err)
		os.Exit(1)
	}
}

// parent starts this program again, as the child, and sends it two seeds.
func parent(w io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r, err := lrng.New(lrng.Config{})
	if err != nil {
		return err
	}
	defer r.Close()

	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, exe, "child")
	cmd.Stdout, cmd.Stderr = w, os.Stderr
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = send(ctx, r, pipe, seeds())
	return errors.Join(err, pipe.Close(), cmd.Wait())
}

// seeds is how many seeds the child takes. In FIPS mode a generator does not credit what
// an application adds to its pool, and the second part of the child is left out.
func seeds() int {
	if fips140.Enabled() {
		return 1
	}
	return 2
}

// send collects so many seeds and writes each with its length before it. It keeps no
// copy: a seed is used once.
func send(ctx context.Context, r *lrng.RNG, w io.Writer, n int) error {
	for range n {
		seed, _, err := r.GetSeed(ctx, seedBits)
		if err != nil {
			return err
		}
		_, err = w.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(seed))))
		if err == nil {
			_, err = w.Write(seed)
		}
		clear(seed)
		if err != nil {
			return err
		}
	}
	return nil
}

// maxSeed is more than GetSeed ever returns, in bytes.
const maxSeed = 1 << 21

// receive reads one seed.
func receive(r io.Reader) (*seeding.Buffer, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, fmt.Errorf("length of the seed: %w", err)
	}
	n := binary.LittleEndian.Uint32(length[:])
	if n > maxSeed {
		return nil, fmt.Errorf("length of the seed: %d bytes", n)
	}
	encoded := make([]byte, n)
	defer clear(encoded)
	if _, err := io.ReadFull(r, encoded); err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	b := new(seeding.Buffer)
	if err := b.UnmarshalBinary(encoded); err != nil {
		return nil, err
	}
	return b, nil
}

func child(in io.Reader, w io.Writer) error {
	// A mechanism of SP 800-90A takes the data of the sources as its entropy input. Its
	// derivation function condenses them.
	b, err := receive(in)
	if err != nil {
		return err
	}
	defer b.Clear()
	fmt.Fprintf(w, "A seed of the strategy %q from %s:\n", b.Strategy, b.Time.Format(time.DateTime))
	for _, e := range b.Entries {
		fmt.Fprintf(w, "  %3d bytes of %s, %d bits of min-entropy\n", len(e.Data), e.Name, e.Credit)
	}
	if b.Credit() < seedBits {
		return fmt.Errorf("the seed has %d bits of min-entropy; %d are needed", b.Credit(), seedBits)
	}
	d, err := drng.NewCTR(drng.CTRConfig{})
	if err != nil {
		return err
	}
	defer d.Clear()
	out := make([]byte, 32)
	input := entropyInput(b)
	err = d.Seed(input, []byte("example of lrng"))
	clear(input)
	if err == nil {
		err = d.Generate(out, nil)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s: %s\n\n", d.Info().Name, hex.EncodeToString(out))

	if seeds() == 1 {
		fmt.Fprintln(w, "FIPS mode: the pool of a generator is credited nothing, and is left out.")
		return nil
	}
	// A generator of this library takes them through its auxiliary pool, each with its
	// credit. It has no other source here, and so is seeded by them alone.
	again, err := receive(in)
	if err != nil {
		return err
	}
	defer again.Clear()
	pool := es.NewAuxiliary(es.AuxiliaryConfig{})
	r, err := lrng.New(lrng.Config{Sources: []es.Source{pool}, Strategy: seeding.Default})
	if err != nil {
		return err
	}
	defer r.Close()
	for _, e := range again.Entries {
		if err := r.AddEntropy(e.Data, e.Credit); err != nil {
			return err
		}
	}
	if _, err := r.Read(out); err != nil {
		return err
	}
	s := r.Status()
	fmt.Fprintf(w, "%s, %v: %s\n", s.DRNG, s.Level, hex.EncodeToString(out))
	fmt.Fprintf(w, "Verdict: %s\n", s.Verdict)
	return nil
}

// entropyInput returns the data of all sources, in order.
func entropyInput(b *seeding.Buffer) []byte {
	var parts [][]byte
	for _, e := range b.Entries {
		parts = append(parts, e.Data)
	}
	return bytes.Join(parts, nil)
}
