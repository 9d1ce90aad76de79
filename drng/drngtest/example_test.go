package drngtest_test

import (
	"crypto"
	"testing"

	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/drng/drngtest"
)

// In the tests of a package with a mechanism.
func ExampleRun() {
	var t *testing.T // the argument of TestRules
	drngtest.Run(t, func() (drng.DRNG, error) { return drng.NewHash(crypto.SHA256) })
}
