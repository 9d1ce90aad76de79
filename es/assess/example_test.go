package assess_test

import (
	"context"
	"fmt"
	"math/rand/v2"

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

// A die that is thrown honestly passes the tests for independent samples, and the most
// common of its six sides is estimated at little less than 2.58 bits. Three thousand throws
// support no claim.
func ExampleIID() {
	die := rand.New(rand.NewPCG(1, 2)) // stands for one
	throws := make([]byte, 3000)
	for i := range throws {
		throws[i] = byte(die.IntN(6))
	}
	width := assess.Width(throws)
	r, err := assess.IID(context.Background(), throws, width, &assess.Options{Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d bits wide, passed: %t, %.1f bits a throw\n", width, r.Passed, r.HOriginal)
	// Output: 3 bits wide, passed: true, 2.4 bits a throw
}

// A source that begins in the same way after each start, and then runs freely.
func ExampleRestart() {
	const rows, columns = 50, 50
	matrix := make([]byte, 0, rows*columns)
	for row := range uint64(rows) {
		free := rand.New(rand.NewPCG(row, 3))
		for column := range columns {
			sample := byte(7)
			if column > 0 {
				sample = byte(free.IntN(16))
			}
			matrix = append(matrix, sample)
		}
	}
	r, err := assess.Restart(context.Background(), matrix, rows, columns, 4, 3.5, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("the same sample in %d of %d restarts, where %d are allowed; passed: %t\n", r.ColumnMax, r.Rows, r.ColumnCutoff, r.Passed)
	// Output: the same sample in 50 of 50 restarts, where 15 are allowed; passed: false
}
