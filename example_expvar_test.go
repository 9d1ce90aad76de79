package lrng_test

import (
	"encoding/json"
	"expvar"
	"fmt"
	"log"

	"github.com/lrng-go/lrng"
)

// The status among the variables of package expvar: once published it is served in JSON
// under /debug/vars by any program that has an HTTP server.
func ExampleRNG_Status() {
	if expvar.Get("lrng") == nil { // a second Publish would panic
		expvar.Publish("lrng", expvar.Func(func() any { return lrng.Default().Status() }))
	}

	lrng.Read(make([]byte, 32))
	var st lrng.Status
	if err := json.Unmarshal([]byte(expvar.Get("lrng").String()), &st); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%v, self-tests: %s\n", st.Level, st.SelfTest)
	for _, s := range st.Sources {
		fmt.Println(s.Name)
	}
	// Output:
	// fully seeded, self-tests: passed
	// jitter
	// cpu
	// os
	// auxiliary
}
