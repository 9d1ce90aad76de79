package main

import (
	"math/big"

	rand "github.com/lrng-go/lrng" // this was "crypto/rand"
)

// importSample has nothing changed but the import line of its file.
func importSample() (s sample, err error) {
	rand.Read(s.token[:])
	s.password = rand.Text()
	s.number, err = rand.Int(rand.Reader, big.NewInt(1000))
	return s, err
}
