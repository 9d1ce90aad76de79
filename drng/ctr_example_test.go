package drng_test

import (
	"fmt"

	"github.com/lrng-go/lrng/drng"
)

// A known answer that NIST published for AES-256 with derivation function. Seeds
// that are written down are for tests.
func ExampleNewCTR() {
	d, err := drng.NewCTR(drng.CTRConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Clear()

	// Entropy input 00 01 … 2f and nonce 20 21 … 2f.
	var seed []byte
	for i := range 48 {
		seed = append(seed, byte(i))
	}
	for i := range 16 {
		seed = append(seed, byte(0x20+i))
	}
	if err := d.Seed(seed, nil); err != nil {
		fmt.Println(err)
		return
	}

	out := make([]byte, 32)
	for range 2 {
		if err := d.Generate(out, nil); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%x\n", out)
	}
	// Output:
	// e686dd55f758fd91ba7cb726fe0b573a180ab67439ffbdfe5ec28fb37a16a53b
	// 8da6cc59e703ced07d58d96e5b6d7836c32599735b734f88c1a73b53c7a6d82e
}
