package drng_test

import (
	"crypto"
	"encoding/hex"
	"fmt"
	"log"

	"github.com/lrng-go/lrng/drng"
)

func hashDecodeHex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		log.Fatal(err)
	}
	return b
}

// A known answer of NIST's CAVP 14.3 (Hash_DRBG.rsp without reseed, SHA-256,
// COUNT = 0). CAVP compares the output of the second request.
func ExampleNewHash() {
	d, err := drng.NewHash(crypto.SHA256)
	if err != nil {
		log.Fatal(err)
	}
	defer d.Clear()
	entropy := hashDecodeHex("a65ad0f345db4e0effe875c3a2e71f42c7129d620ff5c119a9ef55f05185e0fb")
	nonce := hashDecodeHex("8581f9317517276e06e9607ddbcbcc2e")
	if err := d.Seed(append(entropy, nonce...), nil); err != nil {
		log.Fatal(err)
	}
	out := make([]byte, 1024/8)
	for range 2 {
		if err := d.Generate(out, nil); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(d.Info().Name)
	fmt.Printf("%x...\n", out[:16])
	// Output:
	// Hash_DRBG SHA-256
	// d3e160c35b99f340b2628264d1751060...
}

// Prediction resistance: fresh entropy and the additional input go into a reseed
// before each request, and the request has no additional input (SP 800-90A Rev.
// 1, Section 9.3.1, Step 7). This is ACVP's hmacDRBG, tcId 26.
func ExampleHMAC_Seed() {
	d, err := drng.NewHMAC(crypto.SHA256)
	if err != nil {
		log.Fatal(err)
	}
	defer d.Clear()
	seed := hashDecodeHex("8f20a8ce5ab70d3dc5cfff2f4bdb873c351866b602c5438f001b334b5f30dd3d" +
		"5c485b2b114705c43f87cec6a984a4d5") // entropy input ‖ nonce
	personalization := hashDecodeHex("e299bdb82a879c006d6f6fe1122c3522e632c17c3d226b0e3d5daf2ef66676df")
	if err := d.Seed(seed, personalization); err != nil {
		log.Fatal(err)
	}
	out := make([]byte, 32)
	for _, request := range []struct{ entropy, additional string }{
		{"ffdbcc535a34ce5a154ec7ee5b9a79a1cb5ea2e4c1ebc2fda391e44fa83779f1",
			"315036b0804e222b29de88d6f3f8f3775953eb66f5cc065a86b67a7185940b28"},
		{"23d6352b4f5a6a2da029e7d35fe2da7a6eae58fbe70113c22759d80dd998ece7",
			"8cfb0a7ea2acf8c3ff5df054d606e073d22ef787c230d19a9f4b7a527a0d9bb6"},
	} {
		if err := d.Seed(hashDecodeHex(request.entropy), hashDecodeHex(request.additional)); err != nil {
			log.Fatal(err)
		}
		if err := d.Generate(out, nil); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Printf("%x\n", out)
	// Output: 076165cb054d0e163ea5960a0dbf988ea6b171f224d801204f446b4399e454b9
}
