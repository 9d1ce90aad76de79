package lrng_test

import (
	"bytes"
	"crypto"
	"encoding/binary"
	"io"
	"testing"

	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
)

// T21: nothing that a source delivered comes out of a reader as it is, credited or not,
// by whatever mechanism. The data of fakes are known, and so can be looked for; GetSeed,
// which does hand them out, shows that they are found where they are. Sixteen bytes occur
// by chance with a probability below 2⁻¹⁰⁰.
func TestNoRawOutput(t *testing.T) {
	for _, mechanism := range []func() (drng.DRNG, error){
		func() (drng.DRNG, error) { return drng.NewHash(crypto.SHA512) },
		func() (drng.DRNG, error) { return drng.NewHMAC(crypto.SHA256) },
		func() (drng.DRNG, error) { return drng.NewCTR(drng.CTRConfig{}) },
		func() (drng.DRNG, error) { return drng.NewCTR(drng.CTRConfig{NoDF: true}) },
		func() (drng.DRNG, error) { return drng.NewXDRBG(), nil },
		func() (drng.DRNG, error) { return drng.NewChaCha20(), nil },
	} {
		d, err := mechanism()
		if err != nil {
			t.Fatal(err)
		}
		t.Run(d.Info().Name, func(t *testing.T) {
			if !d.Info().Approved {
				needsFreedom(t)
			}
			a := fake("a", estest.OK(256), estest.OK(100))
			b := estest.New(es.Info{Name: "b"}) // never credited
			c := one(a, b)
			c.DRNG = mechanism
			r := newRNG(t, c)
			var out []byte
			for _, reader := range []io.Reader{r, r.PredictionResistant(), r.SeedReader(), r.Nonblocking()} {
				out = append(out, mustRead(t, reader, 500)...)
				if err := r.Reseed(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			for range 100 {
				out = binary.LittleEndian.AppendUint64(out, r.Uint64())
			}
			seed, _, err := r.GetSeed(t.Context(), 256)
			if err != nil {
				t.Fatal(err)
			}
			found := 0
			for _, src := range []*estest.Fake{a, b} {
				for i, call := range src.Calls() {
					for data := src.Data(i, call.Size); len(data) >= 16; data = data[1:] {
						if bytes.Contains(out, data[:16]) {
							t.Errorf("data of call %d of %s are in the output", i, src.Info().Name)
						}
						if bytes.Contains(seed, data[:16]) {
							found++
						}
					}
				}
			}
			if found == 0 {
				t.Error("the data of the sources are not in a seed for others: the search is blind")
			}
		})
	}
}
