package es_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
)

func TestDeviceConformance(t *testing.T) {
	if _, err := os.Stat("/dev/urandom"); err != nil {
		t.Skip(err)
	}
	for _, rate := range []int{0, 256, -1} {
		t.Run(fmt.Sprint("rate=", rate), func(t *testing.T) {
			estest.Run(t, func() es.Source {
				d := es.NewDevice(es.DeviceConfig{Path: "/dev/urandom", Rate: rate})
				t.Cleanup(func() { d.Close() })
				return d
			})
		})
	}
}

// The hardware generator that Linux has chosen. Elsewhere, and for users who may not
// read it, it is unavailable, which costs its credit and nothing else.
func ExampleNewDevice() {
	d := es.NewDevice(es.DeviceConfig{}) // /dev/hwrng
	defer d.Close()
	seed := make([]byte, 32)
	credit, err := d.GetEntropy(context.Background(), seed, 256)
	fmt.Println(credit == 128 || errors.Is(err, es.ErrUnavailable))
	// Output: true
}

func ExampleDeviceConfig() {
	// A generator of which an assessment has found that its output has full entropy,
	// beside the one that Linux has chosen.
	d := es.NewDevice(es.DeviceConfig{Path: "/dev/trng0", Name: "trng", Rate: 256})
	fmt.Println(d.Info().Name, d.Info().MaxEntropy, d.Info().Slow)
	// Output: trng 512 true
}
