package main

// registration is the request that opens a test session.
type registration struct {
	IsSample   bool  `json:"isSample"`
	Algorithms []any `json:"algorithms"`
}

// drbgRegistration is the registration of a generator.
type drbgRegistration struct {
	Algorithm             string           `json:"algorithm"`
	Revision              string           `json:"revision"`
	PredResistanceEnabled []bool           `json:"predResistanceEnabled"`
	ReseedImplemented     bool             `json:"reseedImplemented"`
	Capabilities          []drbgCapability `json:"capabilities"`
}

// drbgCapability is a mode of a generator. Lengths are in bits.
type drbgCapability struct {
	Mode               string `json:"mode"`
	DerFuncEnabled     bool   `json:"derFuncEnabled"`
	EntropyInputLen    []any  `json:"entropyInputLen"`
	NonceLen           []any  `json:"nonceLen"`
	PersoStringLen     []any  `json:"persoStringLen"`
	AdditionalInputLen []any  `json:"additionalInputLen"`
	ReturnedBitsLen    int    `json:"returnedBitsLen"`
}

// shaRegistration is the registration of a hash function.
type shaRegistration struct {
	Algorithm            string    `json:"algorithm"`
	Revision             string    `json:"revision"`
	MessageLength        []segment `json:"messageLength"`                  // bits
	PerformLargeDataTest []int     `json:"performLargeDataTest,omitempty"` // GiB
}

// A segment is an element of a domain: the numbers from Min to Max.
type segment struct {
	Min       int `json:"min"`
	Max       int `json:"max"`
	Increment int `json:"increment"`
}

// Limits of ACVP, in bits.
const (
	maxDRBGInput  = 1 << 16
	maxDRBGOutput = 4096
	maxMessage    = 1<<16 - 8
)

// newRegistration returns what the library implements, and large data tests with up
// to ldt GiB.
func newRegistration(ldt int) registration {
	r := registration{IsSample: false}
	for _, name := range []string{"ctrDRBG", "hashDRBG", "hmacDRBG"} {
		drbg := drbgRegistration{
			Algorithm:             name,
			Revision:              "1.0",
			PredResistanceEnabled: []bool{true, false},
			ReseedImplemented:     true,
		}
		if name == "ctrDRBG" {
			for _, c := range drbgCiphers {
				drbg.Capabilities = append(drbg.Capabilities, withDF(c.mode, c.keyBits, true), withoutDF(c.mode, c.keyBits))
			}
		} else {
			for _, h := range drbgHashes {
				drbg.Capabilities = append(drbg.Capabilities, withDF(h.mode, 256, false))
			}
		}
		r.Algorithms = append(r.Algorithms, drbg)
	}
	var sizes []int
	for _, size := range []int{1, 2, 4, maxLDT} {
		if size <= ldt {
			sizes = append(sizes, size)
		}
	}
	for _, sha := range []struct{ name, revision string }{
		{"SHA2-256", "1.0"}, {"SHA2-384", "1.0"}, {"SHA2-512", "1.0"},
		{"SHA3-256", "2.0"}, {"SHA3-384", "2.0"}, {"SHA3-512", "2.0"},
	} {
		r.Algorithms = append(r.Algorithms, shaRegistration{
			Algorithm:            sha.name,
			Revision:             sha.revision,
			MessageLength:        []segment{{0, maxMessage, 8}},
			PerformLargeDataTest: sizes,
		})
	}
	return r
}

// withDF is a generator that takes seeds of any length from the security strength,
// and to instantiate half of it more.
//
// Strings that are optional go from 0 in steps of at least the security strength:
// so the specification has it.
func withDF(mode string, strength int, derFunc bool) drbgCapability {
	optional := []any{segment{0, maxDRBGInput, 256}}
	return drbgCapability{
		Mode:               mode,
		DerFuncEnabled:     derFunc,
		EntropyInputLen:    []any{segment{strength, maxDRBGInput, 8}},
		NonceLen:           []any{segment{strength / 2, maxDRBGInput, 8}},
		PersoStringLen:     optional,
		AdditionalInputLen: optional,
		ReturnedBitsLen:    maxDRBGOutput,
	}
}

// withoutDF is CTR_DRBG without derivation function: a seed of seedlen, the sum of
// key and block, strings of up to that, and no nonce (SP 800-90A Rev. 1, Section
// 10.2.1, Table 3).
func withoutDF(mode string, keyBits int) drbgCapability {
	seedlen := keyBits + 128
	return drbgCapability{
		Mode:               mode,
		DerFuncEnabled:     false,
		EntropyInputLen:    []any{seedlen},
		NonceLen:           []any{0},
		PersoStringLen:     []any{0, seedlen},
		AdditionalInputLen: []any{0, seedlen},
		ReturnedBitsLen:    maxDRBGOutput,
	}
}
