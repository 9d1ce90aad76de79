package main

import (
	"crypto"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/lrng-go/lrng/drng"
)

// drbgHashes are the modes of hashDRBG and hmacDRBG.
var drbgHashes = []struct {
	mode string
	hash crypto.Hash
}{
	{"SHA2-256", crypto.SHA256},
	{"SHA2-384", crypto.SHA384},
	{"SHA2-512", crypto.SHA512},
	{"SHA2-512/256", crypto.SHA512_256},
	{"SHA3-256", crypto.SHA3_256},
	{"SHA3-384", crypto.SHA3_384},
	{"SHA3-512", crypto.SHA3_512},
}

// drbgCiphers are the modes of ctrDRBG, with the length of the key in bits.
var drbgCiphers = []struct {
	mode    string
	keyBits int
}{
	{"AES-128", 128},
	{"AES-192", 192},
	{"AES-256", 256},
}

// modesNotSupported are modes that ACVP has and the library has not.
var modesNotSupported = []string{
	"SHA-1", "SHA2-224", "SHA2-512/224", "SHA3-224", "TDES", "3KeyTDEA",
}

// newDRBG returns the generator of ACVP's algorithm and mode.
func newDRBG(algorithm, mode string, derFunc bool) (drng.DRNG, error) {
	switch {
	case slices.Contains(modesNotSupported, mode):
		return nil, fmt.Errorf("mode %s is not supported", mode)
	case algorithm == "ctrDRBG":
		for _, c := range drbgCiphers {
			if c.mode == mode {
				return drng.NewCTR(drng.CTRConfig{KeyBits: c.keyBits, NoDF: !derFunc})
			}
		}
	case derFunc:
		return nil, fmt.Errorf("derFunc is true; it is for ctrDRBG, not for %s", algorithm)
	default:
		for _, h := range drbgHashes {
			switch {
			case h.mode != mode:
			case algorithm == "hashDRBG":
				return drng.NewHash(h.hash)
			default:
				return drng.NewHMAC(h.hash)
			}
		}
	}
	return nil, fmt.Errorf("unknown mode %q of %s", mode, algorithm)
}

// A drbgGroup is a group of tests of one generator. Lengths are in bits.
type drbgGroup struct {
	group
	Mode               *string `json:"mode"`
	DerFunc            *bool   `json:"derFunc"`
	ReSeed             *bool   `json:"reSeed"`
	PredResistance     *bool   `json:"predResistance"`
	EntropyInputLen    *int64  `json:"entropyInputLen"`
	NonceLen           *int64  `json:"nonceLen"`
	PersoStringLen     *int64  `json:"persoStringLen"`
	AdditionalInputLen *int64  `json:"additionalInputLen"`
	ReturnedBitsLen    *int64  `json:"returnedBitsLen"`

	algorithm                                    string
	drbg                                         drng.DRNG
	entropy, nonce, perso, additional, requested int64 // lengths in bytes
}

// A drbgTest is a life of a generator.
type drbgTest struct {
	TcID         int64  `json:"tcId"`
	EntropyInput string `json:"entropyInput"`
	Nonce        string `json:"nonce"`
	PersoString  string `json:"persoString"`
	OtherInput   []struct {
		IntendedUse     string `json:"intendedUse"`
		AdditionalInput string `json:"additionalInput"`
		EntropyInput    string `json:"entropyInput"`
	} `json:"otherInput"`
}

func newDRBGGroup(algorithm string, _ int64) tester { return &drbgGroup{algorithm: algorithm} }

func (g *drbgGroup) tests() ([]json.RawMessage, error) {
	switch {
	case g.TestType == nil:
		return nil, errors.New("testType is missing")
	case *g.TestType != "AFT":
		return nil, fmt.Errorf("unknown testType %q", *g.TestType)
	case g.Mode == nil:
		return nil, errors.New("mode is missing")
	case g.DerFunc == nil && g.algorithm == "ctrDRBG":
		return nil, errors.New("derFunc is missing")
	case g.ReSeed == nil:
		return nil, errors.New("reSeed is missing")
	case g.PredResistance == nil:
		return nil, errors.New("predResistance is missing")
	}
	var err error
	g.drbg, err = newDRBG(g.algorithm, *g.Mode, g.DerFunc != nil && *g.DerFunc)
	if err != nil {
		return nil, err
	}
	for _, l := range []struct {
		name  string
		bits  *int64
		bytes *int64
	}{
		{"entropyInputLen", g.EntropyInputLen, &g.entropy},
		{"nonceLen", g.NonceLen, &g.nonce},
		{"persoStringLen", g.PersoStringLen, &g.perso},
		{"additionalInputLen", g.AdditionalInputLen, &g.additional},
		{"returnedBitsLen", g.ReturnedBitsLen, &g.requested},
	} {
		if *l.bytes, err = wholeBytes(l.name, l.bits); err != nil {
			return nil, err
		}
	}
	if most := int64(g.drbg.Info().MaxRequest); g.requested < 1 || g.requested > most {
		return nil, fmt.Errorf("returnedBitsLen is %d, not 8…%d", *g.ReturnedBitsLen, 8*most)
	}
	return g.Tests, nil
}

// answer instantiates the generator, and does with it what otherInput says, in that
// order. The answer is the output of the last request.
func (g *drbgGroup) answer(raw json.RawMessage) (answer, error) {
	var t drbgTest
	if err := decode(raw, &t); err != nil {
		return answer{}, err
	}
	seed, err := unhex("entropyInput", t.EntropyInput, g.entropy)
	if err != nil {
		return answer{}, err
	}
	nonce, err := unhex("nonce", t.Nonce, g.nonce)
	if err != nil {
		return answer{}, err
	}
	perso, err := unhex("persoString", t.PersoString, g.perso)
	if err != nil {
		return answer{}, err
	}
	if g.drbg.Info().SeedSize == 0 {
		// Without derivation function there is no nonce (SP 800-90A Rev. 1, Section
		// 10.2.1.3.1). The server may send one all the same, and makes no use of it.
		seed = append(seed, nonce...)
	}
	defer g.drbg.Clear() // for the next test
	if err := g.drbg.Seed(seed, perso); err != nil {
		return answer{}, err
	}

	out := make([]byte, g.requested)
	last := ""
	for i, in := range t.OtherInput {
		fail := func(err error) (answer, error) { return answer{}, fmt.Errorf("otherInput %d: %w", i+1, err) }

		// A reseed, and a request with prediction resistance, come with entropy.
		n := int64(0)
		if in.IntendedUse == "reSeed" || *g.PredResistance {
			n = g.entropy
		}
		entropy, err := unhex("entropyInput", in.EntropyInput, n)
		if err != nil {
			return fail(err)
		}
		additional, err := unhex("additionalInput", in.AdditionalInput, g.additional)
		if err != nil {
			return fail(err)
		}
		switch last = in.IntendedUse; {
		case last == "reSeed" && *g.ReSeed:
			err = g.drbg.Seed(entropy, additional)
		case last == "reSeed":
			err = errors.New("intendedUse reSeed in a group with reSeed false")
		case last == "generate" && *g.PredResistance:
			// SP 800-90A Rev. 1, Section 9.3.1, Step 7: the additional input goes into
			// the reseed, and then there is none left.
			if err = g.drbg.Seed(entropy, additional); err == nil {
				err = g.drbg.Generate(out, nil)
			}
		case last == "generate":
			err = g.drbg.Generate(out, additional)
		default:
			err = fmt.Errorf("unknown intendedUse %q", last)
		}
		if err != nil {
			return fail(err)
		}
	}
	if last != "generate" {
		return answer{}, errors.New("otherInput does not end with generate")
	}
	return answer{ReturnedBits: hex.EncodeToString(out)}, nil
}
