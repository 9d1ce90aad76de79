package drng_test

import (
	"crypto"
	"testing"

	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/drng/drngtest"
)

func TestHashRules(t *testing.T) {
	for _, h := range []crypto.Hash{
		crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA512_256,
		crypto.SHA3_256, crypto.SHA3_384, crypto.SHA3_512,
	} {
		if !testing.Short() || h == crypto.SHA256 {
			t.Run("Hash_DRBG "+h.String(), func(t *testing.T) {
				drngtest.Run(t, func() (drng.DRNG, error) { return drng.NewHash(h) })
			})
		}
		if !testing.Short() || h == crypto.SHA3_512 {
			t.Run("HMAC_DRBG "+h.String(), func(t *testing.T) {
				drngtest.Run(t, func() (drng.DRNG, error) { return drng.NewHMAC(h) })
			})
		}
	}
	t.Run("XDRBG-256", func(t *testing.T) {
		drngtest.Run(t, func() drng.DRNG { return drng.NewXDRBG() })
	})
}
