package vectors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// parseJSON reads a JSON file. Its form follows from "algorithm".
func parseJSON(data []byte) ([]Group, error) {
	// Unmarshal also refuses what may follow the value.
	var head map[string]json.RawMessage
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, err
	}
	var name string
	if raw, ok := head["algorithm"]; ok {
		if err := json.Unmarshal(raw, &name); err != nil {
			return nil, fmt.Errorf("algorithm: %w", err)
		}
	} else {
		return parseExamples(data)
	}
	switch {
	case name == "ctrDRBG":
		return parseACVP(CTR, data)
	case name == "hashDRBG":
		return parseACVP(Hash, data)
	case name == "hmacDRBG":
		return parseACVP(HMAC, data)
	case strings.HasPrefix(name, "XDRBG-256 "):
		return parseCalls(XDRBG, data)
	case strings.HasPrefix(name, "ChaCha20 DRNG "):
		return parseCalls(ChaCha20, data)
	}
	return nil, fmt.Errorf("unknown algorithm %q", name)
}

// decode reads data, which is one JSON value, into v and accepts no fields that v
// does not have.
func decode(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// acvpFile is an ACVP vector set with the expected answers in it. Lengths are
// in bits.
type acvpFile struct {
	Source     string `json:"source"`
	VsID       int    `json:"vsId"`
	Algorithm  string `json:"algorithm"`
	Revision   string `json:"revision"`
	IsSample   bool   `json:"isSample"`
	TestGroups []struct {
		TgID               int    `json:"tgId"`
		TestType           string `json:"testType"`
		Mode               string `json:"mode"`
		DerFunc            bool   `json:"derFunc"`
		ReSeed             bool   `json:"reSeed"`
		PredResistance     bool   `json:"predResistance"`
		EntropyInputLen    int    `json:"entropyInputLen"`
		NonceLen           int    `json:"nonceLen"`
		PersoStringLen     int    `json:"persoStringLen"`
		AdditionalInputLen int    `json:"additionalInputLen"`
		ReturnedBitsLen    int    `json:"returnedBitsLen"`
		Tests              []struct {
			TcID         int    `json:"tcId"`
			EntropyInput string `json:"entropyInput"`
			Nonce        string `json:"nonce"`
			PersoString  string `json:"persoString"`
			OtherInput   []struct {
				IntendedUse     string `json:"intendedUse"`
				AdditionalInput string `json:"additionalInput"`
				EntropyInput    string `json:"entropyInput"`
			} `json:"otherInput"`
			ReturnedBits string `json:"returnedBits"`
		} `json:"tests"`
	} `json:"testGroups"`
}

// acvpAlgorithm returns the name of a mode in the spelling of this package.
func acvpAlgorithm(mode string) string {
	if mode == "TDES" {
		return "3KeyTDEA"
	}
	if bits, ok := strings.CutPrefix(mode, "SHA2-"); ok {
		return "SHA-" + bits
	}
	return mode
}

func parseACVP(mechanism string, data []byte) ([]Group, error) {
	var f acvpFile
	if err := decode(data, &f); err != nil {
		return nil, err
	}
	var groups []Group
	for i := range f.TestGroups {
		tg := &f.TestGroups[i]
		fail := func(err error) ([]Group, error) {
			return nil, fmt.Errorf("tgId %d (group %d): %w", tg.TgID, i, err)
		}
		if tg.TestType != "AFT" {
			return fail(fmt.Errorf("unknown testType %q", tg.TestType))
		}
		if tg.DerFunc && mechanism != CTR {
			return fail(errors.New("derFunc without CTR_DRBG"))
		}
		if min(tg.EntropyInputLen, tg.NonceLen, tg.PersoStringLen, tg.AdditionalInputLen, tg.ReturnedBitsLen) < 0 {
			return fail(errors.New("negative length"))
		}
		if len(tg.Tests) == 0 {
			return fail(errors.New("no tests"))
		}
		g := Group{
			Mechanism: mechanism,
			Algorithm: acvpAlgorithm(tg.Mode),
			NoDF:      mechanism == CTR && !tg.DerFunc,
		}
		for j := range tg.Tests {
			tc := &tg.Tests[j]
			c := Case{Name: fmt.Sprintf("tgId=%d,tcId=%d", tg.TgID, tc.TcID)}
			var err error
			value := func(name, s string, bits int) []byte {
				b, e := hexField(name, s, bits)
				if err == nil && e != nil {
					err = fmt.Errorf("tcId %d: %w", tc.TcID, e)
				}
				return b
			}
			entropy := value("entropyInput", tc.EntropyInput, tg.EntropyInputLen)
			nonce := value("nonce", tc.Nonce, tg.NonceLen)
			c.Steps = append(c.Steps, Step{
				Op:         Instantiate,
				Seed:       seedMaterial(&g, entropy, nonce),
				Additional: value("persoString", tc.PersoString, tg.PersoStringLen),
			})
			for _, in := range tc.OtherInput {
				additional := value("additionalInput", in.AdditionalInput, tg.AdditionalInputLen)
				switch {
				case in.IntendedUse == "generate" && !tg.PredResistance:
					value("entropyInput of generate", in.EntropyInput, 0)
					c.Steps = append(c.Steps, Step{Op: Generate, Additional: additional, Length: tg.ReturnedBitsLen / 8})
				case in.IntendedUse == "generate":
					c.Steps = append(c.Steps,
						Step{Op: Reseed, Seed: value("entropyInput of generate", in.EntropyInput, tg.EntropyInputLen), Additional: additional},
						Step{Op: Generate, Length: tg.ReturnedBitsLen / 8})
				case in.IntendedUse == "reSeed" && tg.ReSeed:
					c.Steps = append(c.Steps, Step{Op: Reseed, Seed: value("entropyInput of reSeed", in.EntropyInput, tg.EntropyInputLen), Additional: additional})
				default:
					return fail(fmt.Errorf("tcId %d: unexpected intendedUse %q", tc.TcID, in.IntendedUse))
				}
			}
			last := &c.Steps[len(c.Steps)-1]
			last.Want = value("returnedBits", tc.ReturnedBits, tg.ReturnedBitsLen)
			if err != nil {
				return fail(err)
			}
			if last.Op != Generate || len(last.Want) == 0 {
				return fail(fmt.Errorf("tcId %d: nothing to compare with", tc.TcID))
			}
			g.Cases = append(g.Cases, c)
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// examplesFile holds worked examples of the NIST toolkit.
type examplesFile struct {
	Note  string `json:"note"`
	Cases []struct {
		Mechanism            string   `json:"mechanism"`
		Mode                 string   `json:"mode"`
		DF                   *bool    `json:"df"`
		PredictionResistance bool     `json:"prediction_resistance"`
		Entropy              string   `json:"entropy"`
		Nonce                string   `json:"nonce"`
		Personalization      string   `json:"personalization"`
		PREntropy            []string `json:"pr_entropy"`
		Additional           []string `json:"additional"`
		Outputs              []string `json:"outputs"`
	} `json:"cases"`
}

func parseExamples(data []byte) ([]Group, error) {
	var f examplesFile
	if err := decode(data, &f); err != nil {
		return nil, err
	}
	var groups []Group
	for i := range f.Cases {
		ex := &f.Cases[i]
		fail := func(err error) ([]Group, error) { return nil, fmt.Errorf("case %d: %w", i, err) }
		g := Group{Mechanism: ex.Mechanism + "_DRBG", Algorithm: ex.Mode}
		if g.Mechanism != CTR && g.Mechanism != Hash && g.Mechanism != HMAC {
			return fail(fmt.Errorf("unknown mechanism %q", ex.Mechanism))
		}
		if (g.Mechanism == CTR) != (ex.DF != nil) {
			return fail(errors.New("df is for CTR_DRBG, and needed there"))
		}
		g.NoDF = ex.DF != nil && !*ex.DF
		n := len(ex.Outputs)
		if n == 0 {
			return fail(errors.New("nothing to compare with"))
		}
		reseeds := 0
		if ex.PredictionResistance {
			reseeds = n
		}
		if len(ex.Additional) != n || len(ex.PREntropy) != reseeds {
			return fail(fmt.Errorf("%d outputs with %d additional inputs and %d entropy inputs", n, len(ex.Additional), len(ex.PREntropy)))
		}

		c := Case{Name: fmt.Sprintf("case %d", i)}
		var err error
		value := func(name, s string) []byte {
			b, e := hexField(name, s, -1)
			if err == nil {
				err = e
			}
			return b
		}
		entropy := value("entropy", ex.Entropy)
		nonce := value("nonce", ex.Nonce)
		c.Steps = append(c.Steps, Step{
			Op:         Instantiate,
			Seed:       seedMaterial(&g, entropy, nonce),
			Additional: value("personalization", ex.Personalization),
		})
		for k := range n {
			additional := value("additional", ex.Additional[k])
			if ex.PredictionResistance {
				c.Steps = append(c.Steps, Step{Op: Reseed, Seed: value("pr_entropy", ex.PREntropy[k]), Additional: additional})
				additional = nil
			}
			want := value("outputs", ex.Outputs[k])
			if err == nil && len(want) == 0 {
				err = errors.New("an output is empty")
			}
			c.Steps = append(c.Steps, Step{Op: Generate, Additional: additional, Length: len(want), Want: want})
		}
		if err != nil {
			return fail(err)
		}
		g.Cases = []Case{c}
		groups = append(groups, g)
	}
	return groups, nil
}

// callsFile lists the calls to a generator. Every generate adds one output.
type callsFile struct {
	Algorithm       string `json:"algorithm"`
	Note            string `json:"note"`
	PublishedSource string `json:"published_source"`
	Cases           []struct {
		Name      string              `json:"name"`
		Published bool                `json:"published"`
		Ops       [][]json.RawMessage `json:"ops"`
		Outputs   []string            `json:"outputs"`
	} `json:"cases"`
}

func parseCalls(mechanism string, data []byte) ([]Group, error) {
	var f callsFile
	if err := decode(data, &f); err != nil {
		return nil, err
	}
	g := Group{Mechanism: mechanism}
	for i := range f.Cases {
		fc := &f.Cases[i]
		c := Case{Name: fc.Name}
		fail := func(err error) ([]Group, error) { return nil, fmt.Errorf("case %d (%s): %w", i, fc.Name, err) }
		outputs := fc.Outputs
		for k, op := range fc.Ops {
			s, counter, err := parseCall(mechanism, op)
			if err != nil {
				return fail(fmt.Errorf("op %d: %w", k, err))
			}
			if (s == nil) != (k == 0) {
				return fail(fmt.Errorf("op %d: init is the first and no other", k))
			}
			if s == nil {
				c.Counter = counter
				continue
			}
			if s.Op == Generate {
				if len(outputs) == 0 {
					return fail(errors.New("not enough outputs"))
				}
				if s.Want, err = hexField("output", outputs[0], 8*s.Length); err != nil {
					return fail(err)
				}
				outputs = outputs[1:]
			} else if len(c.Steps) == 0 {
				s.Op = Instantiate
			}
			c.Steps = append(c.Steps, *s)
		}
		if len(outputs) != 0 {
			return fail(fmt.Errorf("%d outputs that belong to no call", len(outputs)))
		}
		if strings.Join(fc.Outputs, "") == "" {
			return fail(errors.New("nothing to compare with"))
		}
		g.Cases = append(g.Cases, c)
	}
	return []Group{g}, nil
}

// parseCall reads one of
//
//	["init"]  ["seed", seed, alpha]  ["generate", length, alpha]
//	["init", counter]  ["seed", seed]  ["generate", length]
//
// for XDRBG and ChaCha20. For init it returns no step.
func parseCall(mechanism string, op []json.RawMessage) (*Step, uint32, error) {
	var name, text, alpha string
	var length, counter uint32
	args := map[string][]any{
		"init":     {&name, &counter},
		"seed":     {&name, &text},
		"generate": {&name, &length},
	}
	if mechanism == XDRBG {
		args = map[string][]any{
			"init":     {&name},
			"seed":     {&name, &text, &alpha},
			"generate": {&name, &length, &alpha},
		}
	}
	if len(op) == 0 {
		return nil, 0, errors.New("empty")
	}
	if err := json.Unmarshal(op[0], &name); err != nil {
		return nil, 0, err
	}
	want, ok := args[name]
	if !ok {
		return nil, 0, fmt.Errorf("unknown call %q", name)
	}
	if len(op) != len(want) {
		return nil, 0, fmt.Errorf("%s with %d arguments, expected %d", name, len(op)-1, len(want)-1)
	}
	for i := range op {
		if err := json.Unmarshal(op[i], want[i]); err != nil {
			return nil, 0, fmt.Errorf("argument %d of %s: %w", i, name, err)
		}
	}
	if name == "init" {
		return nil, counter, nil
	}
	additional, err := hexField("alpha", alpha, -1)
	if err != nil {
		return nil, 0, err
	}
	if name == "generate" {
		if length > maxFile {
			return nil, 0, fmt.Errorf("generate of %d bytes", length)
		}
		return &Step{Op: Generate, Length: int(length), Additional: additional}, 0, nil
	}
	seed, err := hexField("seed", text, -1)
	if err != nil {
		return nil, 0, err
	}
	return &Step{Op: Reseed, Seed: seed, Additional: additional}, 0, nil
}
