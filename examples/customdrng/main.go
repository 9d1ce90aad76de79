// Customdrng shows how a program brings its own generator mechanism and its own
// conditioning component to lrng, and how it changes them while others read.
//
// The mechanism is in file eraser.go: fast key erasure on SHA-512. It keeps the rules of [drng.DRNG], as its test finds out with
// the help of package drngtest. The conditioner in file sha512256.go is SHA-512/256.
// Both are ordinary types of a program outside of the library.
//
// Random bytes of a device are not what a mechanism is for: it turns a seed into
// output and knows nothing of entropy. They come in as an entropy source: see
// es.NewDevice and es.NewReader.
package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/seeding"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "customdrng:", err)
		os.Exit(1)
	}
}

func run(w io.Writer) error {
	// A generator made of parts of our own. The function is called for each shard, and
	// always returns a new instance. FIPS 140-3 mode is not for what is not approved.
	r, err := lrng.New(lrng.Config{
		DRNG:        newEraserDRNG,
		Conditioner: sha512_256{},
		FIPS:        lrng.FIPSOff,
	})
	if err != nil {
		return err
	}
	defer r.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.Wait(ctx, seeding.FullySeeded); err != nil {
		return err
	}
	st := r.Status()
	fmt.Fprintf(w, "DRNG:        %s, %d bits of strength\n", st.DRNG, st.SecurityStrength)
	fmt.Fprintf(w, "Conditioner: %s, %d bits wide\n", st.Conditioner, st.ConditionerWidth)

	var b [32]byte
	if _, err := r.Read(b[:]); err != nil {
		return err
	}
	fmt.Fprintf(w, "32 bytes:    %s\n\n", hex.EncodeToString(b[:]))

	// Both can be changed at any time. Each instance gets a complete new seed, and
	// nobody notices.
	for _, change := range []struct {
		what string
		f    func() error
	}{
		{"CTR_DRBG of lrng", func() error {
			return r.SetDRNG(func() (drng.DRNG, error) { return drng.NewCTR(drng.CTRConfig{}) })
		}},
		{"our mechanism again", func() error { return r.SetDRNG(newEraserDRNG) }},
		{"SHA3-512 of lrng", func() error { return r.SetConditioner(conditioner.SHA3_512) }},
		{"our conditioner again", func() error { return r.SetConditioner(sha512_256{}) }},
	} {
		reads, err := whileReading(r, change.f)
		if err != nil {
			return fmt.Errorf("%s: %w", change.what, err)
		}
		st := r.Status()
		fmt.Fprintf(w, "Now %s: %s with %s; %d reads meanwhile\n", change.what, st.DRNG, st.Conditioner, reads)
	}
	return nil
}

// newEraserDRNG is a value for the field DRNG of the configuration.
func newEraserDRNG() (drng.DRNG, error) { return newEraser(), nil }

// whileReading calls f while four goroutines read from r, and returns how many reads
// they made. Each of them makes one more after f has returned.
func whileReading(r io.Reader, f func() error) (reads int, err error) {
	const readers = 4
	type outcome struct {
		reads int
		err   error
	}
	outcomes := make(chan outcome, readers)
	stop := make(chan struct{})
	var started sync.WaitGroup
	started.Add(readers)
	for range readers {
		go func() {
			var block [256]byte
			_, err := r.Read(block[:])
			started.Done()
			reads := 0
			for last := false; err == nil; _, err = r.Read(block[:]) {
				reads++
				if last {
					break
				}
				select {
				case <-stop:
					last = true
				default:
				}
			}
			outcomes <- outcome{reads, err}
		}()
	}
	started.Wait()
	err = f()
	close(stop)
	for range readers {
		o := <-outcomes
		reads += o.reads
		if err == nil {
			err = o.err
		}
	}
	return reads, err
}
