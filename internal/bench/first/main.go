// First prints how long the first 32 bytes take that its process gets from what its
// argument names, in nanoseconds: generator and self-tests included, the start of the
// process not. It is a program of its own because packages that the other one imports
// read from crypto/rand before main.
package main

import (
	cryptorand "crypto/rand"
	"fmt"
	"os"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/es"
)

var subjects = map[string]func([]byte) (int, error){
	"crypto/rand": cryptorand.Read,
	"package":     lrng.Read,
	"fast sources": func(p []byte) (int, error) {
		r, err := lrng.New(lrng.Config{Sources: []es.Source{es.NewCPU(es.CPUConfig{}), es.NewOS(es.OSConfig{})}})
		if err != nil {
			return 0, err
		}
		return r.Read(p)
	},
}

func main() {
	if len(os.Args) != 2 || subjects[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: first SUBJECT")
		os.Exit(2)
	}
	start := time.Now()
	n, err := subjects[os.Args[1]](make([]byte, 32))
	elapsed := time.Since(start)
	if n != 32 || err != nil {
		fmt.Fprintln(os.Stderr, "first:", n, err)
		os.Exit(1)
	}
	fmt.Println(elapsed.Nanoseconds())
}
