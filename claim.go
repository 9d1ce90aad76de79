package lrng

import (
	"fmt"
	"runtime"

	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/seeding"
)

// A Claim holds what a claim under SP 800-90C has to name, for the generator as it is
// configured. It is a description to start from: lrng is designed to meet the standard,
// and not validated. Entropy and lengths are in bits.
type Claim struct {
	FIPS                 bool   `json:"fips"`                  // FIPS mode is on
	Construction         string `json:"construction"`          // class of SP 800-90C, Section 2.2
	CombinationMethod    int    `json:"combination_method"`    // 2: non-physical sources are counted
	OperatingEnvironment string `json:"operating_environment"` // of this process

	Sources []ClaimSource `json:"sources"` // those that are credited

	Conditioning          string `json:"conditioning"`          // procedure and algorithm, or "none"
	ConditioningInput     int    `json:"conditioning_input"`    // least n_in
	ConditioningEntropyIn int    `json:"conditioning_entropy"`  // least h_in
	ConditioningOutput    int    `json:"conditioning_output"`   // n_out, and h_out
	DRBG                  string `json:"drbg"`                  // the algorithm
	Approved              bool   `json:"approved"`              // it is one of SP 800-90A
	DerivationFunction    bool   `json:"derivation_function"`   // it has one
	SecurityStrength      int    `json:"security_strength"`     //
	SeedEntropy           int    `json:"seed_entropy"`          // least h_in of the first seed; 0 if no single number says it
	ReseedEntropy         int    `json:"reseed_entropy"`        // of later ones
	SeedInput             int    `json:"seed_input"`            // least n_in
	Reseed                bool   `json:"reseed"`                // it is reseeded
	ReseedFrequency       string `json:"reseed_frequency"`      // in words
	PredictionResistance  bool   `json:"prediction_resistance"` // on request
	ReseedOnRequest       bool   `json:"reseed_on_request"`     //
}

// A ClaimSource is one entropy source in a [Claim].
type ClaimSource struct {
	Name        string `json:"name"`
	Certificate string `json:"certificate"` // as declared; "" for none
	MaxEntropy  int    `json:"max_entropy"` // most credit of one call
	HealthTests bool   `json:"health_tests"`
	RawNoise    bool   `json:"raw_noise"` // open to assessment
}

// claim describes the generator.
func (r *RNG) claim() Claim {
	m := r.mech.Load()
	st := m.request(r.strategy, seeding.Initial)
	c := Claim{
		FIPS:                 r.fips.on,
		Construction:         "RBG2(NP)",
		CombinationMethod:    2,
		OperatingEnvironment: runtime.GOOS + "/" + runtime.GOARCH + " " + runtime.Version(),
		Conditioning:         "none",
		DRBG:                 m.info.Name,
		Approved:             m.info.Approved,
		DerivationFunction:   m.info.Approved && m.info.SeedSize == 0,
		SecurityStrength:     m.info.SecurityStrength,
		SeedEntropy:          leastEntropy(r.enoughFor(m, seeding.Initial)),
		ReseedEntropy:        leastEntropy(r.enoughFor(m, seeding.Reseed)),
		SeedInput:            len(r.sources) * 8 * ((st + 7) / 8),
		Reseed:               true,
		ReseedFrequency:      r.reseedRule(m),
		PredictionResistance: true,
		ReseedOnRequest:      true,
	}
	if n := m.info.SeedSize; n != 0 {
		c.Conditioning = "Get_conditioned_full_entropy_input, " + r.conditioner().Name()
		c.ConditioningInput = c.SeedInput
		c.ConditioningEntropyIn = c.SeedEntropy
		c.ConditioningOutput = 8 * n
	}
	for _, s := range r.sources {
		if s.info.MaxEntropy == 0 {
			continue
		}
		_, raw := s.Source.(es.NoiseSource)
		c.Sources = append(c.Sources, ClaimSource{
			Name:        s.info.Name,
			Certificate: s.status.Certificate,
			MaxEntropy:  s.info.MaxEntropy,
			HealthTests: s.info.Health,
			RawNoise:    raw,
		})
	}
	return c
}

// leastEntropy returns the least entropy from one source that is enough, or 0 if one
// source is never enough.
func leastEntropy(enough func([]seeding.Credit) bool) int {
	c := []seeding.Credit{{Source: es.Info{Name: "any", MaxEntropy: maxRequestBits}}}
	for c[0].Bits = 1; c[0].Bits <= 2*maxRequestBits; c[0].Bits++ {
		if enough(c) {
			return c[0].Bits
		}
	}
	return 0
}

// reseedRule says in words when shards are reseeded.
func (r *RNG) reseedRule(m *mechanism) string {
	rule := fmt.Sprintf("after %d requests or %v", m.due, r.cfg.ReseedInterval)
	if r.cfg.ReseedInterval < 0 {
		rule = "before each request"
	}
	if r.cfg.ReseedBits != 0 {
		rule += fmt.Sprintf(", unseeded after %d bits", r.cfg.ReseedBits)
	}
	return rule + fmt.Sprintf(", unseeded after %d requests", m.most)
}

// write appends the claim to a status.
func (c *Claim) write(line func(format string, args ...any)) {
	yes := func(b bool) string {
		if b {
			return "yes"
		}
		return "no"
	}
	bits := func(n int) string {
		if n == 0 {
			return "by the rule of the strategy"
		}
		return fmt.Sprintf("%d bits", n)
	}
	line("SP 800-90C claim (designed to meet it; not validated):")
	line(" FIPS 140-3 mode: %s", yes(c.FIPS))
	line(" Construction: %s, combination method %d", c.Construction, c.CombinationMethod)
	line(" Operating environment: %s", c.OperatingEnvironment)
	for _, s := range c.Sources {
		cert := s.Certificate
		if cert == "" {
			cert = "none"
		}
		line(" Source: %s, at most %d bits, certificate %s, health tests %s, raw noise %s", s.Name, s.MaxEntropy, cert, yes(s.HealthTests), yes(s.RawNoise))
	}
	if len(c.Sources) == 0 {
		line(" Source: none is credited")
	}
	if c.ConditioningOutput == 0 {
		line(" Conditioning: %s", c.Conditioning)
	} else {
		line(" Conditioning: %s, n_in >= %d, h_in >= %d, n_out = h_out = %d", c.Conditioning, c.ConditioningInput, c.ConditioningEntropyIn, c.ConditioningOutput)
	}
	approved := ""
	if !c.Approved {
		approved = " (not approved)"
	}
	line(" DRBG: %s%s, derivation function %s, strength %d", c.DRBG, approved, yes(c.DerivationFunction), c.SecurityStrength)
	line(" Seed: h_in >= %s, n_in >= %d bits; reseed: h_in >= %s", bits(c.SeedEntropy), c.SeedInput, bits(c.ReseedEntropy))
	line(" Reseed: %s; on request %s; prediction resistance %s", c.ReseedFrequency, yes(c.ReseedOnRequest), yes(c.PredictionResistance))
}
