package assess_test

import (
	"context"
	"fmt"

	"github.com/lrng-go/lrng/es/assess"
)

// A counter looks random to the two estimates that count single symbols, and to no other.
func Example() {
	samples := make([]byte, 20_000)
	for i := range samples {
		samples[i] = byte(i % 16)
	}
	r, err := assess.NonIID(context.Background(), samples, 4, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range r.Original {
		fmt.Printf("%-33s %.2f\n", e.Name, e.MinEntropy)
	}
	fmt.Printf("min-entropy: %.2f bits a sample\n", r.MinEntropy)
	fmt.Println("warnings:", r.Warnings())
	// Output:
	// most common value                 3.90
	// t-tuple                           0.00
	// longest repeated substring        0.00
	// multi most common in window       4.00
	// lag                               0.00
	// multi Markov model with counting  0.00
	// LZ78Y                             0.00
	// min-entropy: 0.00 bits a sample
	// warnings: [20000 samples; the standard asks for 1000000, and an estimate from fewer supports no claim: it may be too high or too low]
}
