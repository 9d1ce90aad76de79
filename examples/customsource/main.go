// Customsource makes an entropy source of hardware of one's own, seeds a generator with it,
// and shows what happens when the hardware breaks.
//
// What to take from it, in file source.go: a driver that reads raw samples is all that one
// has to write. [es.Monitor] makes a source of it: the health tests of SP 800-90B with the
// cut-offs for the entropy that is claimed, conditioning, the credit, and the states of
// failure. What a certificate says of the noise goes into the claim, and its name beside it.
//
// There is no board here: its part is played by the raw times of this processor, or by a
// character device that is named. The certificate is made up.
//
// Usage: customsource [-device PATH]
package main

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/seeding"
)

// exampleCertificate claims for a sample what the jitter source claims.
var exampleCertificate = certificate{name: "E0 (made up)", sampleBits: 8, h: 1.0 / 3}

func main() {
	device := flag.String("device", "", "read the noise from the character device `PATH`, such as /dev/hwrng (default the jitter of this CPU)")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "customsource: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	var noise io.Reader = cpuNoise{es.NewJitter(es.JitterConfig{})}
	if *device != "" {
		f, err := openDevice(*device)
		if err != nil {
			fmt.Fprintln(os.Stderr, "customsource:", err)
			os.Exit(1)
		}
		defer f.Close()
		noise = f
	}
	if err := run(os.Stdout, noise); err != nil {
		fmt.Fprintln(os.Stderr, "customsource:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, noise io.Reader) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b := &board{device: noise}
	src := newSource(b, exampleCertificate)

	// Hardware that is broken from the start is noticed before anybody relies on it.
	if err := src.HealthTest(ctx); err != nil {
		return err
	}
	// A source that is not alone: the generator goes on when the board does not.
	r, err := lrng.New(lrng.Config{Sources: []es.Source{src, es.NewCPU(es.CPUConfig{}), es.NewOS(es.OSConfig{})}})
	if err != nil {
		return err
	}
	defer r.Close()
	if err := r.Wait(ctx, seeding.FullySeeded); err != nil {
		return err
	}
	if err := report(w, r); err != nil {
		return err
	}

	fmt.Fprint(w, "\nNow the board delivers nothing but zeros.\n")
	b.plug(stuck(0))
	// An alarm is intermittent at first; it becomes permanent, which is final, if it lasts.
	var alarm *es.HealthError
	for range 10 {
		err := src.HealthTest(ctx)
		if !errors.As(err, &alarm) {
			return fmt.Errorf("no alarm, but %v", err)
		}
		fmt.Fprintln(w, alarm)
		if alarm.Permanent {
			break
		}
	}
	// Without the credit of the board, the others have to do. If nothing else is credited, as
	// in FIPS mode on many machines, there is no new seed, and the old one goes on.
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	switch err := r.Reseed(short); {
	case err == nil:
		fmt.Fprintln(w, "Reseeded all the same.")
	case errors.Is(err, context.DeadlineExceeded):
		fmt.Fprintln(w, "The other sources are not credited enough for a new seed.")
	default:
		return err
	}
	return report(w, r)
}

// report prints what the generator says of the board, and 32 bytes.
func report(w io.Writer, r *lrng.RNG) error {
	st := r.Status()
	for _, s := range st.Sources {
		if s.Name == "board" {
			fmt.Fprintf(w, "Board: %s, credited %d of %d bits, certificate %s\n", s.Health, s.Credited, s.Requested, s.Certificate)
		}
	}
	var out [32]byte
	if _, err := r.Read(out[:]); err != nil {
		return err
	}
	fmt.Fprintf(w, "Generator: %v, %s\n", st.Level, hex.EncodeToString(out[:]))
	return nil
}
