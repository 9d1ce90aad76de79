package conditioner_test

import (
	"fmt"

	"github.com/lrng-go/lrng/conditioner"
)

// A conditioning component is a hash function: New gives a state to write to.
func Example() {
	c := conditioner.SHA256
	h := c.New()
	h.Write([]byte("abc"))
	fmt.Printf("%s, %d bits\n%x\n", c.Name(), c.Width(), h.Sum(nil))
	// Output:
	// SHA-256, 256 bits
	// ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
}

// What is lost between input and output depends on the surplus of the input.
func ExampleOutputEntropy() {
	w := conditioner.SHA256.Width()
	for _, hin := range []float64{64, 192, 256, 264, 320} {
		fmt.Printf("%3.0f bits of entropy in, %.3f out\n", hin, conditioner.OutputEntropy(hin, 1024, w, w))
	}
	// Output:
	//  64 bits of entropy in, 64.000 out
	// 192 bits of entropy in, 192.000 out
	// 256 bits of entropy in, 255.000 out
	// 264 bits of entropy in, 255.994 out
	// 320 bits of entropy in, 256.000 out
}

// The components differ in width, which is the most entropy that a digest can hold.
func ExampleConditioner() {
	for _, c := range []conditioner.Conditioner{
		conditioner.SHA256, conditioner.SHA384, conditioner.SHA512,
		conditioner.SHA3_256, conditioner.SHA3_384, conditioner.SHA3_512,
	} {
		fmt.Println(c.Name(), c.Width())
	}
	// Output:
	// SHA-256 256
	// SHA-384 384
	// SHA-512 512
	// SHA3-256 256
	// SHA3-384 384
	// SHA3-512 512
}
