// Production is a program that was linked with package lrngtest by accident. The test of
// the package runs it.
package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/lrng-go/lrng/lrngtest"
)

// fake is a testing.TB without a test.
type fake struct{ testing.TB }

func main() {
	for name, f := range map[string]func(){
		"Reader":    func() { lrngtest.Reader(fake{}, "") },
		"Bytes":     func() { lrngtest.Bytes(fake{}, nil, os.ErrClosed) },
		"ErrReader": func() { lrngtest.ErrReader(fake{}, os.ErrClosed) },
		"SetReader": func() { lrngtest.SetReader(fake{}, os.Stdin) },
		"Config":    func() { lrngtest.Config(fake{}, "") },
		"New":       func() { lrngtest.New(fake{}, "") },
	} {
		func() {
			defer func() { fmt.Printf("%s: %v\n", name, recover()) }()
			f()
		}()
	}
}
