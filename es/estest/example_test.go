package estest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

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

// The faults that a program which uses sources should bear, in the order of a script.
func ExampleNew() {
	src := estest.New(es.Info{Name: "faulty", MaxEntropy: 256},
		estest.Unavailable(),
		estest.Health(false), // an alarm, intermittent
		estest.ClaimError(256, errors.New("and yet a credit")),
		estest.Stuck(0xff),
		estest.Repeat(),
		estest.Overrun(),
		estest.LateWrite(),
		estest.Slow(time.Millisecond, estest.OK(256)),
		estest.Deaf(time.Millisecond, estest.OK(256)),
		estest.Do("half", func(ctx context.Context, p []byte, bits int) (int, error) {
			return bits / 2, nil
		}),
		// Those below do not return, or not before they are made to.
		estest.Block(),
		estest.Panic("a fault"),
		estest.NilDeref(),
		estest.Goexit(),
		estest.Hang(),
	)
	var seed [32]byte
	for range 10 {
		src.GetEntropy(context.Background(), seed[:], 256)
	}
	src.Release() // who hangs, now or later
	for _, c := range src.Calls() {
		fmt.Println(c.Step, c.Credit)
	}
	fmt.Println(src.Count())
	// Output:
	// Unavailable() 0
	// Health(false) 0
	// ClaimError(256, and yet a credit) 256
	// Stuck(ff) 256
	// Repeat() 256
	// Overrun() 256
	// LateWrite() 256
	// Slow(1ms, OK(256)) 256
	// Deaf(1ms, OK(256)) 256
	// half 128
	// 10
}

// The data of each call are known, so that a test can look for them.
func ExampleFake_Data() {
	src := estest.New(es.Info{Name: "known", MaxEntropy: 256})
	var seed [32]byte
	src.GetEntropy(context.Background(), seed[:], 256)
	fmt.Println(seed == [32]byte(src.Data(0, 32)))
	// Output: true
}

// In the tests of a package with a source.
func ExampleRun() {
	var t *testing.T // the argument of TestSource
	estest.Run(t, func() es.Source { return es.NewJitter(es.JitterConfig{}) })
}
