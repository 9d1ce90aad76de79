package drng_test

import (
	"testing"

	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/drng/drngtest"
)

func TestChaCha20Rules(t *testing.T) {
	drngtest.Run(t, func() drng.DRNG { return drng.NewChaCha20() })
}
