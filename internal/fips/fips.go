// Package fips says whether the program runs in FIPS 140-3 mode.
//
// In that mode the mechanisms of package drng use only primitives of the
// standard library, because those are part of the Go Cryptographic Module and
// the assembly of this module is not. This module itself is not validated.
package fips

import "crypto/fips140"

// Enabled reports whether the program runs in FIPS 140-3 mode
// (GODEBUG=fips140=on or only). It does not change while the program runs.
func Enabled() bool { return fips140.Enabled() }

// Enforced reports whether cryptography that is not approved fails here
// (GODEBUG=fips140=only). It is false inside [fips140.WithoutEnforcement].
func Enforced() bool { return fips140.Enforced() }
