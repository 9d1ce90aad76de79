package drng_test

import (
	"testing"

	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/drng/drngtest"
	"github.com/lrng-go/lrng/internal/impl"
)

func TestCTRRules(t *testing.T) {
	for name, ok := range impl.All("aesctr") {
		if !ok {
			continue
		}
		t.Run(name, func(t *testing.T) {
			for _, bits := range []int{128, 192, 256} {
				if testing.Short() && bits != 256 {
					continue
				}
				for _, noDF := range []bool{false, true} {
					config := drng.CTRConfig{KeyBits: bits, NoDF: noDF}
					c, err := drng.NewCTR(config)
					if err != nil {
						t.Fatal(err)
					}
					t.Run(c.Info().Name, func(t *testing.T) {
						drngtest.Run(t, func() (drng.DRNG, error) { return drng.NewCTR(config) })
					})
				}
			}
		})
	}
}
