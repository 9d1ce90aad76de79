package lrng_test

import (
	"crypto"
	"encoding/json"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
	"github.com/lrng-go/lrng/seeding"
)

// C2, C7, C18: the claim has all that one under SP 800-90C names, for the generator as it
// is configured. No source needs to deliver anything for it.
func TestClaim(t *testing.T) {
	sources := []es.Source{
		fake("a"),
		certifiedFake{estest.New(es.Info{Name: "b", MaxEntropy: 256}), "E999"},
		es.NewIdentity(es.IdentityConfig{}), // never credited, so not in it
	}
	claim := lrng.Claim{
		Construction:         "RBG2(NP)",
		CombinationMethod:    2,
		OperatingEnvironment: runtime.GOOS + "/" + runtime.GOARCH + " " + runtime.Version(),
		Sources: []lrng.ClaimSource{
			{Name: "a", MaxEntropy: 512, HealthTests: true},
			{Name: "b", Certificate: "E999", MaxEntropy: 256},
		},
		Conditioning:         "none",
		Approved:             true,
		DerivationFunction:   true,
		SecurityStrength:     256,
		SeedEntropy:          384,
		SeedInput:            4 * 384, // of a, b, the identity, and the pool of AddEntropy
		ReseedEntropy:        256,
		Reseed:               true,
		PredictionResistance: true,
		ReseedOnRequest:      true,
	}
	for _, tt := range []struct {
		name   string
		change func(c *lrng.Config, want *lrng.Claim)
	}{
		{"Hash_DRBG", func(c *lrng.Config, want *lrng.Claim) {
			c.DRNG = func() (drng.DRNG, error) { return drng.NewHash(crypto.SHA512) }
			want.DRBG = "Hash_DRBG SHA-512"
			want.ReseedFrequency = "after 1048576 requests or 10m0s, unseeded after 1073741824 requests"
		}},
		{"CTR_DRBG without derivation function", func(c *lrng.Config, want *lrng.Claim) {
			c.DRNG = func() (drng.DRNG, error) { return drng.NewCTR(drng.CTRConfig{NoDF: true}) }
			c.ReseedInterval, c.ReseedBits = -1, 1<<17
			want.DRBG, want.DerivationFunction = "CTR_DRBG AES-256 no df", false
			want.Conditioning, want.ConditioningOutput = "Get_conditioned_full_entropy_input, SHA-512", 384
			want.SeedEntropy, want.ReseedEntropy = 448, 448 // 384 and a margin of 64
			want.ReseedFrequency = "before each request, unseeded after 131072 bits, unseeded after 1073741824 requests"
		}},
		{"two sources needed", func(c *lrng.Config, want *lrng.Claim) {
			c.Strategy = seeding.NTG1
			c.DRNG = func() (drng.DRNG, error) { return drng.NewHMAC(crypto.SHA256) }
			want.DRBG = "HMAC_DRBG SHA-256"
			want.SeedEntropy, want.SeedInput = 0, 4*256 // no amount from one source is enough
			want.ReseedFrequency = "after 1048576 requests or 10m0s, unseeded after 1073741824 requests"
		}},
	} {
		c, want := one(sources...), claim
		c.Strategy = seeding.Oversample
		tt.change(&c, &want)
		r := newRNG(t, c)
		st := r.Status()
		got := st.Claim
		want.FIPS = fipsMode() != lrng.FIPSOff && got.FIPS // of the process: TestFIPS
		if want.ConditioningOutput != 0 {
			want.ConditioningInput, want.ConditioningEntropyIn = want.SeedInput, want.SeedEntropy
		}
		got.Sources = nil
		for _, s := range st.Claim.Sources {
			if s.Name != "auxiliary" { // credited where FIPS mode is off
				got.Sources = append(got.Sources, s)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n%+v\nwant\n%+v", tt.name, got, want)
		}
		for _, s := range []string{"designed to meet it; not validated", want.Construction, want.DRBG, want.ReseedFrequency, "certificate E999"} {
			if !strings.Contains(st.String(), s) {
				t.Errorf("%s: the status does not say %q", tt.name, s)
			}
		}
		text, err := json.Marshal(st)
		if err != nil || !strings.Contains(string(text), `"combination_method":2`) {
			t.Errorf("%s: %v: %s", tt.name, err, text)
		}
	}
}

// requestLog is a mechanism that notes the lengths of its requests.
type requestLog struct {
	*drng.Hash
	sizes *[]int
}

func (l requestLog) Generate(out, additional []byte) error {
	*l.sizes = append(*l.sizes, len(out))
	return l.Hash.Generate(out, additional)
}

// A1: a long read is several requests, each within the limit of the mechanism, and all of
// the buffer is filled by them.
func TestLongReads(t *testing.T) {
	var sizes []int
	c := one(fake("a"))
	c.DRNG = func() (drng.DRNG, error) {
		h, err := drng.NewHash(crypto.SHA256)
		return requestLog{h, &sizes}, err
	}
	r := newRNG(t, c)
	limit := 65536 // bytes: 2¹⁹ bits
	for _, size := range []int{1, limit - 1, limit, limit + 1, 3*limit + 17} {
		sizes = nil
		b := mustRead(t, r, size)
		sum := 0
		for _, n := range sizes {
			if n > limit {
				t.Errorf("read of %d bytes: a request of %d", size, n)
			}
			sum += n
		}
		if sum < size || size > limit && len(sizes) < 2 {
			t.Errorf("read of %d bytes: requests of %v", size, sizes)
		}
		// 16 bytes are zero with a probability of 2⁻¹²⁸.
		for i := 0; i+16 <= size; i += 16 {
			if [16]byte(b[i:]) == ([16]byte{}) {
				t.Fatalf("read of %d bytes: nothing at %d", size, i)
			}
		}
	}
}
