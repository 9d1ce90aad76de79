package estest_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
)

// A device that works, is unplugged for two calls, and comes back weaker.
func Example() {
	src := estest.New(es.Info{Name: "usb", MaxEntropy: 256},
		estest.OK(256),
		estest.Error(errors.New("unplugged")).Times(2),
		estest.OK(128),
	)
	var seed [32]byte
	for range 5 {
		credit, err := src.GetEntropy(context.Background(), seed[:], 256)
		fmt.Println(credit, err)
	}
	// Output:
	// 256 <nil>
	// 0 unplugged
	// 0 unplugged
	// 128 <nil>
	// 128 <nil>
}

// What was done with a source is seen in the record of its calls.
func ExampleFake_Calls() {
	src := estest.New(es.Info{Name: "liar", MaxEntropy: 256}, estest.Claim(1<<20), estest.Short(8))
	var seed [32]byte
	src.GetEntropy(context.Background(), seed[:], 256)
	src.GetEntropy(context.Background(), seed[:16], 64)
	for _, c := range src.Calls() {
		fmt.Printf("%s: %d bytes, %d bits asked for, %d credited\n", c.Step, c.Size, c.Bits, c.Credit)
	}
	// Output:
	// Claim(1048576): 32 bytes, 256 bits asked for, 1048576 credited
	// Short(8): 16 bytes, 64 bits asked for, 64 credited
}

// Faults can also be switched on and off while a test runs.
func ExampleFake_SetDead() {
	src := estest.New(es.Info{Name: "usb", MaxEntropy: 256})
	fmt.Println(src.Available(256))
	src.SetDead(fmt.Errorf("unplugged: %w", es.ErrUnavailable))
	fmt.Println(src.Available(256))
	src.SetDead(nil)
	src.SetRate(100)
	fmt.Println(src.Available(256))
	// Output:
	// 256
	// 0
	// 100
}

func ExampleNotifier() {
	src := estest.NewNotifier(es.Info{Name: "button", MaxEntropy: 256}, estest.OK(8))
	src.Notify(func() { fmt.Println("available:", src.Available(256)) })
	src.Signal()
	// Output:
	// available: 8
}
