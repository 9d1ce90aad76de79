// Where the Go Cryptographic Module has no FIPS mode, the program would not get as far as
// saying so: see Supported in crypto/internal/fips140.

//go:build !purego && !wasm && !openbsd && !aix && !(windows && 386)

//go:debug fips140=on

package main
