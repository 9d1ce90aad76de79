package drng_test

import (
	"crypto"
	"errors"
	"fmt"
	"log"

	"github.com/lrng-go/lrng/drng"
)

// All mechanisms are used in the same way. What they are is in their Info.
func ExampleDRNG() {
	ctr, err := drng.NewCTR(drng.CTRConfig{})
	if err != nil {
		log.Fatal(err)
	}
	hmac, err := drng.NewHMAC(crypto.SHA512)
	if err != nil {
		log.Fatal(err)
	}
	for _, d := range []drng.DRNG{drng.NewChaCha20(), ctr, hmac, drng.NewXDRBG()} {
		info := d.Info()
		fmt.Printf("%s: %d bits, approved: %t\n", info.Name, info.SecurityStrength, info.Approved)
	}
	// Output:
	// ChaCha20: 256 bits, approved: false
	// CTR_DRBG AES-256: 256 bits, approved: true
	// HMAC_DRBG SHA-512: 256 bits, approved: true
	// XDRBG-256: 256 bits, approved: false
}

// Requests beyond the limit of SP 800-90A are refused, and give no output. Who holds a
// mechanism divides them, and reseeds it when it asks for that.
func ExampleXDRBG_Generate() {
	x := drng.NewXDRBG()
	defer x.Clear()
	if err := x.Seed([]byte("a seed for tests"), nil); err != nil {
		log.Fatal(err)
	}
	out := make([]byte, x.Info().MaxRequest+1)
	err := x.Generate(out, nil)
	switch {
	case errors.Is(err, drng.ErrRequestTooLarge):
		fmt.Println("too large")
	case errors.Is(err, drng.ErrReseedRequired):
		fmt.Println("needs a seed")
	}
	fmt.Printf("%x\n", out[:8])
	// Output:
	// too large
	// 0000000000000000
}
