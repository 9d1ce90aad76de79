package estest_test

import (
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
)

// A generator with a device that hangs: the master of a pseudo-terminal that nobody writes
// to. Who reads from the generator does not wait for it, neither for the first seed nor for
// fresh entropy. A call of the source itself waits half a second.
func TestDeviceHangsInGenerator(t *testing.T) {
	const path = "/dev/ptmx"
	if f, err := os.OpenFile(path, os.O_RDONLY, 0); err != nil {
		t.Skip(err)
	} else {
		f.Close()
	}
	const waits = 400 * time.Millisecond
	best := [3]time.Duration{waits, waits, waits}
	for try := 0; try == 0 || try < 5 && slices.Max(best[:]) >= waits; try++ { // the machine may be busy
		d := es.NewDevice(es.DeviceConfig{Path: path})
		good := estest.New(es.Info{Name: "good", MaxEntropy: 512, Health: true})
		r, err := lrng.New(lrng.Config{Sources: []es.Source{d, good}})
		if err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 64)
		for i, call := range []func() error{
			func() error { _, err := r.Read(p); return err },
			func() error { _, err := r.PredictionResistant().Read(p); return err },
			func() error { return r.Reseed(t.Context()) },
		} {
			start := time.Now()
			if err := call(); err != nil {
				t.Fatal(err)
			}
			best[i] = min(best[i], time.Since(start))
		}
		// It is not that the device was not asked, or had answered.
		if credit, err := d.GetEntropy(t.Context(), p, 256); credit != 0 || !errors.Is(err, es.ErrUnavailable) {
			t.Errorf("the device: %d, %v", credit, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	for i, name := range []string{"Read", "PredictionResistant", "Reseed"} {
		if best[i] >= waits {
			t.Errorf("%s waits for the device", name)
		}
	}
	t.Log(best)
}
