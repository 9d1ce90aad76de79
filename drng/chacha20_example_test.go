package drng_test

import (
	"errors"
	"fmt"

	"github.com/lrng-go/lrng/drng"
)

// A generator with a fixed seed gives the same output everywhere: useful in
// tests, and for nothing else.
func ExampleNewChaCha20() {
	c := drng.NewChaCha20()
	defer c.Clear()
	if err := c.Seed([]byte("32 bytes that are not a secret  "), []byte("example")); err != nil {
		panic(err)
	}
	var key [16]byte
	if err := c.Generate(key[:], nil); err != nil {
		panic(err)
	}
	fmt.Printf("%x\n", key)
	// Output: 3d8fde1a765ce568bbfd54e7d5ce60f0
}

// There is no output without a seed, and nothing that looks like it.
func ExampleChaCha20_Generate() {
	c := drng.NewChaCha20()
	out := []byte("old contents")
	err := c.Generate(out, nil)
	fmt.Println(errors.Is(err, drng.ErrNotSeeded))
	fmt.Printf("%x\n", out)
	// Output:
	// true
	// 000000000000000000000000
}
