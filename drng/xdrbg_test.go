package drng

import (
	"bytes"
	"testing"

	"github.com/lrng-go/lrng/internal/impl"
)

// Requests of all lengths up to some pieces, and α and seeds of all lengths around the blocks of
// SHAKE256, on each implementation of the permutation. The model is on crypto/sha3.
func TestXDRBGLengths(t *testing.T) {
	for name, ok := range impl.All("keccak") {
		t.Run(name, func(t *testing.T) {
			if !ok {
				t.Skip("this CPU does not announce the instructions")
			}
			d, model := NewXDRBG(), new(xdrbgModel)
			input := bytes.Repeat([]byte("all seeds and all additional input are parts of this string. "), 20)
			seed := func(n int) {
				t.Helper()
				alpha := input[n%5 : n%5+n%(xdrbgMaxAlpha+1)]
				if err := d.Seed(input[:n], alpha); err != nil {
					t.Fatal(err)
				}
				if model.seed(input[:n], alpha); !bytes.Equal(d.v[:], model.v) {
					t.Fatalf("seed of %d bytes, α of %d: V is %x, want %x", n, len(alpha), d.v, model.v)
				}
			}
			for n := 1; n < 300; n++ {
				seed(n)
				seed(n) // once more, as a reseed
				if n%3 == 0 {
					d.Clear()
					*model = xdrbgModel{}
				}
			}
			seed(300)
			for n := range 2*xdrbgMaxOut + 3 {
				alpha := input[n%7 : n%7+n%(xdrbgMaxAlpha+1)]
				// Out is between canaries.
				want := append([]byte("before"), model.generate(n, alpha)...)
				want = append(want, "after"...)
				got := []byte("before" + string(make([]byte, n)) + "after")
				if err := d.Generate(got[6:6+n], alpha); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want) || !bytes.Equal(d.v[:], model.v) {
					t.Fatalf("request of %d bytes, α of %d: wrong output, or V, or canaries", n, len(alpha))
				}
				memory := *d.xdrbgMemory
				clear(memory.v[:])
				if memory != (xdrbgMemory{}) {
					t.Fatalf("request of %d bytes, α of %d: something is left beside V", n, len(alpha))
				}
			}
		})
	}
}
