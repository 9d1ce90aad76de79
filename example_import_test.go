package lrng_test

import (
	"encoding/hex"
	"fmt"
	"log"
	"math/big"

	rand "github.com/lrng-go/lrng" // this was "crypto/rand"
)

func sessionID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func rollDice() (sum int64) {
	for range 2 {
		n, err := rand.Int(rand.Reader, big.NewInt(6))
		if err != nil {
			log.Fatal(err)
		}
		sum += 1 + n.Int64()
	}
	return sum
}

// A program that used crypto/rand needs another import line, and nothing else.
func Example() {
	fmt.Println(len(sessionID()), "characters")

	sum := rollDice()
	fmt.Println(2 <= sum && sum <= 12)
	// Output:
	// 32 characters
	// true
}
