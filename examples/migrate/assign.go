package main

import (
	"crypto/rand"
	"math/big"

	"github.com/lrng-go/lrng"
)

// assignSample uses crypto/rand, as packages of others do, and gets our bytes. A
// program would make the assignment once, before anything else, and let it stand.
//
// It has its price: rand.Read allocates a buffer in each call, since it does not
// know what the reader does with it; and under GODEBUG=fips140=only RSA-PSS and
// RSA-OAEP refuse all readers but the one that was there before.
func assignSample() (s sample, err error) {
	old := rand.Reader
	defer func() { rand.Reader = old }()
	rand.Reader = lrng.Reader

	rand.Read(s.token[:])
	s.password = rand.Text()
	s.number, err = rand.Int(rand.Reader, big.NewInt(1000))
	return s, err
}
