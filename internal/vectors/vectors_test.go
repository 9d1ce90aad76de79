package vectors

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// The values here are made up: they are to be read, not to be right.

const cavpText = "# CAVS 14.3\r\n" + `
# a comment

[SHA-256]
[PredictionResistance = False]
[EntropyInputLen = 16]
[NonceLen = 8]
[PersonalizationStringLen = 0]
[AdditionalInputLen = 24]
[ReturnedBitsLen = 32]

COUNT = 0
EntropyInput = 0102
Nonce = 03
PersonalizationString = 
** INSTANTIATE:
	V = 11
	C = 12
	reseed counter = 1
EntropyInputReseed = 0405
AdditionalInputReseed = 060708
** RESEED:
	V = 13
	C = 14
	reseed counter = 1
AdditionalInput = 090a0b
** GENERATE (FIRST CALL):
	V = 15
	C = 16
	reseed counter = 2
AdditionalInput = 0c0d0e
ReturnedBits = 0f101112
** GENERATE (SECOND CALL):
	V = 17
	C = 18
	reseed counter = 3

COUNT = 1
EntropyInput = 0102
Nonce = 03
PersonalizationString =
AdditionalInput = 090a0b
AdditionalInput = 0c0d0e
ReturnedBits = 0f101112

[SHA-1]
[PredictionResistance = True]
[EntropyInputLen = 16]
[NonceLen = 0]
[PersonalizationStringLen = 8]
[AdditionalInputLen = 0]
[ReturnedBitsLen = 8]

COUNT = 0
EntropyInput = 0102
Nonce = 
PersonalizationString = aa
AdditionalInput = 
EntropyInputPR = 0304
AdditionalInput = 
EntropyInputPR = 0506
ReturnedBits = 0f
`

func step(op Op, seed, additional string, length int, want string) Step {
	s := Step{Op: op, Additional: []byte(additional), Length: length}
	if op != Generate {
		s.Seed = []byte(seed)
	}
	if want != "" {
		s.Want = []byte(want)
	}
	return s
}

// same holds that got is want; nil and empty slices of bytes are the same but
// in Want.
func same(t *testing.T, got, want []Group) {
	t.Helper()
	for _, groups := range [][]Group{got, want} {
		for _, g := range groups {
			for _, c := range g.Cases {
				for i := range c.Steps {
					s := &c.Steps[i]
					if len(s.Seed) == 0 {
						s.Seed = nil
					}
					if len(s.Additional) == 0 {
						s.Additional = nil
					}
				}
			}
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func parseGroups(t *testing.T, name, text string) []Group {
	t.Helper()
	s, err := Parse(name, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != name {
		t.Errorf("name is %q", s.Name)
	}
	return s.Groups
}

func TestCAVP(t *testing.T) {
	withState := func(s Step, v, c string, n uint64) Step {
		s.State = &State{V: []byte(v), C: []byte(c), ReseedCounter: n}
		return s
	}
	want := []Group{{
		Mechanism: Hash, Algorithm: "SHA-256",
		Cases: []Case{
			{Name: "COUNT=0", Steps: []Step{
				withState(step(Instantiate, "\x01\x02\x03", "", 0, ""), "\x11", "\x12", 1),
				withState(step(Reseed, "\x04\x05", "\x06\x07\x08", 0, ""), "\x13", "\x14", 1),
				withState(step(Generate, "", "\x09\x0a\x0b", 4, ""), "\x15", "\x16", 2),
				withState(step(Generate, "", "\x0c\x0d\x0e", 4, "\x0f\x10\x11\x12"), "\x17", "\x18", 3),
			}},
			{Name: "COUNT=1", Steps: []Step{
				step(Instantiate, "\x01\x02\x03", "", 0, ""),
				step(Generate, "", "\x09\x0a\x0b", 4, ""),
				step(Generate, "", "\x0c\x0d\x0e", 4, "\x0f\x10\x11\x12"),
			}},
		},
	}, {
		Mechanism: Hash, Algorithm: "SHA-1",
		Cases: []Case{{Name: "COUNT=0", Steps: []Step{
			step(Instantiate, "\x01\x02", "\xaa", 0, ""),
			step(Reseed, "\x03\x04", "", 0, ""),
			step(Generate, "", "", 1, ""),
			step(Reseed, "\x05\x06", "", 0, ""),
			step(Generate, "", "", 1, "\x0f"),
		}}},
	}}
	same(t, parseGroups(t, "Hash_DRBG.txt", cavpText), want)
	same(t, parseGroups(t, "Hash_DRBG.txt", strings.ReplaceAll(cavpText, "\n", "\r\n")), want)
	if s, err := Parse("HMAC_DRBG.rsp", []byte(cavpText)); err != nil || s.Groups[0].Mechanism != HMAC || s.Cases() != 3 {
		t.Errorf("%+v, %v", s, err)
	}
}

// A14: the additional input of a request with prediction resistance goes into
// the reseed.
func TestCAVPPredictionResistance(t *testing.T) {
	text := cavpText[strings.Index(cavpText, "[SHA-1]"):]
	text = strings.ReplaceAll(text, "AdditionalInputLen = 0", "AdditionalInputLen = 8")
	text = strings.ReplaceAll(text, "AdditionalInput = \n", "AdditionalInput = bb\n")
	same(t, parseGroups(t, "Hash_DRBG.rsp", text), []Group{{
		Mechanism: Hash, Algorithm: "SHA-1",
		Cases: []Case{{Name: "COUNT=0", Steps: []Step{
			step(Instantiate, "\x01\x02", "\xaa", 0, ""),
			step(Reseed, "\x03\x04", "\xbb", 0, ""),
			step(Generate, "", "", 1, ""),
			step(Reseed, "\x05\x06", "\xbb", 0, ""),
			step(Generate, "", "", 1, "\x0f"),
		}}},
	}})
}

// A7: without derivation function there is no nonce.
func TestCAVPCounterMode(t *testing.T) {
	text := cavpText[strings.Index(cavpText, "[SHA-1]"):]
	text = strings.ReplaceAll(text, "NonceLen = 0", "NonceLen = 8")
	text = strings.ReplaceAll(text, "Nonce = \n", "Nonce = cc\n")
	for name, want := range map[string]Group{
		"AES-192 use df":  {Mechanism: CTR, Algorithm: "AES-192"},
		"3KeyTDEA no df":  {Mechanism: CTR, Algorithm: "3KeyTDEA", NoDF: true},
		"3KeyTDEA use df": {Mechanism: CTR, Algorithm: "3KeyTDEA"},
	} {
		g := parseGroups(t, "CTR_DRBG.rsp", strings.ReplaceAll(text, "SHA-1", name))[0]
		seed := "\x01\x02\xcc"
		if want.NoDF {
			seed = "\x01\x02"
		}
		if got := string(g.Cases[0].Steps[0].Seed); got != seed {
			t.Errorf("%s: seed is %x, want %x", name, got, seed)
		}
		g.Cases = nil
		if !reflect.DeepEqual(g, want) {
			t.Errorf("%s: %+v", name, g)
		}
	}
}

func TestGroupString(t *testing.T) {
	for want, g := range map[string]*Group{
		"XDRBG":                  {Mechanism: XDRBG},
		"HMAC_DRBG SHA-512/256":  {Mechanism: HMAC, Algorithm: "SHA-512/256"},
		"CTR_DRBG AES-256 no df": {Mechanism: CTR, Algorithm: "AES-256", NoDF: true},
		"CTR_DRBG AES-128":       {Mechanism: CTR, Algorithm: "AES-128"},
	} {
		if got := g.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

const acvpText = `{
 "source": "here",
 "algorithm": "hmacDRBG",
 "testGroups": [
  {
   "additionalInputLen": 16, "derFunc": false, "entropyInputLen": 8, "mode": "SHA2-512/256",
   "nonceLen": 8, "persoStringLen": 8, "predResistance": false, "reSeed": true,
   "returnedBitsLen": 24, "testType": "AFT", "tgId": 7,
   "tests": [{
     "entropyInput": "A1", "nonce": "B2", "persoString": "c3", "tcId": 11,
     "otherInput": [
      {"additionalInput": "0102", "entropyInput": "d4", "intendedUse": "reSeed"},
      {"additionalInput": "0304", "entropyInput": "", "intendedUse": "generate"},
      {"additionalInput": "0506", "entropyInput": "", "intendedUse": "generate"}
     ],
     "returnedBits": "070809"
   }]
  },
  {
   "additionalInputLen": 0, "derFunc": false, "entropyInputLen": 8, "mode": "SHA-1",
   "nonceLen": 0, "persoStringLen": 0, "predResistance": true, "reSeed": true,
   "returnedBitsLen": 8, "testType": "AFT", "tgId": 8,
   "tests": [{
     "entropyInput": "a1", "nonce": "", "persoString": "", "tcId": 12,
     "otherInput": [
      {"additionalInput": "", "entropyInput": "b2", "intendedUse": "generate"},
      {"additionalInput": "", "entropyInput": "c3", "intendedUse": "generate"}
     ],
     "returnedBits": "d4"
   }]
  }
 ]
}`

func TestACVP(t *testing.T) {
	same(t, parseGroups(t, "x.json", acvpText), []Group{{
		Mechanism: HMAC, Algorithm: "SHA-512/256",
		Cases: []Case{{Name: "tgId=7,tcId=11", Steps: []Step{
			step(Instantiate, "\xa1\xb2", "\xc3", 0, ""),
			step(Reseed, "\xd4", "\x01\x02", 0, ""),
			step(Generate, "", "\x03\x04", 3, ""),
			step(Generate, "", "\x05\x06", 3, "\x07\x08\x09"),
		}}},
	}, {
		Mechanism: HMAC, Algorithm: "SHA-1",
		Cases: []Case{{Name: "tgId=8,tcId=12", Steps: []Step{
			step(Instantiate, "\xa1", "", 0, ""),
			step(Reseed, "\xb2", "", 0, ""),
			step(Generate, "", "", 1, ""),
			step(Reseed, "\xc3", "", 0, ""),
			step(Generate, "", "", 1, "\xd4"),
		}}},
	}})

	g := parseGroups(t, "x.json", strings.ReplaceAll(acvpText, "hmacDRBG", "hashDRBG"))
	if got := g[0].String(); got != "Hash_DRBG SHA-512/256" {
		t.Error(got)
	}
	g = parseGroups(t, "x.json", strings.NewReplacer("hmacDRBG", "ctrDRBG", `"SHA-1"`, `"TDES"`,
		`"derFunc": false, "entropyInputLen": 8, "mode": "SHA2-512/256"`,
		`"derFunc": true, "entropyInputLen": 8, "mode": "AES-128"`).Replace(acvpText))
	if got := g[0].String() + ", " + g[1].String(); got != "CTR_DRBG AES-128, CTR_DRBG 3KeyTDEA no df" {
		t.Error(got)
	}
}

const examplesText = `{
 "note": "here",
 "cases": [
  {
   "mechanism": "CTR", "mode": "AES-256", "df": false, "prediction_resistance": false,
   "entropy": "a1", "nonce": "", "personalization": "b2", "pr_entropy": [],
   "additional": ["", "c3"], "outputs": ["d4d5", "e6"]
  },
  {
   "mechanism": "Hash", "mode": "SHA-512", "df": null, "prediction_resistance": true,
   "entropy": "a1", "nonce": "b2", "personalization": "", "pr_entropy": ["c3"],
   "additional": ["d4"], "outputs": ["e6"]
  }
 ]
}`

func TestExamples(t *testing.T) {
	same(t, parseGroups(t, "x.json", examplesText), []Group{{
		Mechanism: CTR, Algorithm: "AES-256", NoDF: true,
		Cases: []Case{{Name: "case 0", Steps: []Step{
			step(Instantiate, "\xa1", "\xb2", 0, ""),
			step(Generate, "", "", 2, "\xd4\xd5"),
			step(Generate, "", "\xc3", 1, "\xe6"),
		}}},
	}, {
		Mechanism: Hash, Algorithm: "SHA-512",
		Cases: []Case{{Name: "case 1", Steps: []Step{
			step(Instantiate, "\xa1\xb2", "", 0, ""),
			step(Reseed, "\xc3", "\xd4", 0, ""),
			step(Generate, "", "", 1, "\xe6"),
		}}},
	}})
}

const xdrbgText = `{
 "algorithm": "XDRBG-256 (here)", "note": "n", "published_source": "p",
 "cases": [{
  "name": "one", "published": true,
  "ops": [["init"], ["seed", "a1", ""], ["generate", 2, "b2"], ["seed", "c3", "d4"], ["generate", 1, ""]],
  "outputs": ["e5e6", "f7"]
 }]
}`

const chacha20Text = `{
 "algorithm": "ChaCha20 DRNG (here)",
 "cases": [{
  "name": "one",
  "ops": [["init", 4294967295], ["seed", "a1"], ["generate", 2], ["seed", "c3"], ["generate", 1]],
  "outputs": ["e5e6", "f7"]
 }, {
  "name": "two",
  "ops": [["init", 0], ["generate", 1]],
  "outputs": ["d4"]
 }]
}`

func TestCalls(t *testing.T) {
	same(t, parseGroups(t, "x.json", xdrbgText), []Group{{
		Mechanism: XDRBG,
		Cases: []Case{{Name: "one", Steps: []Step{
			step(Instantiate, "\xa1", "", 0, ""),
			step(Generate, "", "\xb2", 2, "\xe5\xe6"),
			step(Reseed, "\xc3", "\xd4", 0, ""),
			step(Generate, "", "", 1, "\xf7"),
		}}},
	}})
	same(t, parseGroups(t, "x.json", chacha20Text), []Group{{
		Mechanism: ChaCha20,
		Cases: []Case{{Name: "one", Counter: 1<<32 - 1, Steps: []Step{
			step(Instantiate, "\xa1", "", 0, ""),
			step(Generate, "", "", 2, "\xe5\xe6"),
			step(Reseed, "\xc3", "", 0, ""),
			step(Generate, "", "", 1, "\xf7"),
		}}, {Name: "two", Steps: []Step{
			step(Generate, "", "", 1, "\xd4"),
		}}},
	}})
}

// TestRefused changes good files so that they are wrong in one place.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name, text  string
		old, new    string
		wantInError string
	}{
		// Names and contents.
		{"Hash_DRBG.rsp", "", "", "", "no cases"},
		{"Hash_DRBG.rsp", "# only a comment\n", "", "", "no cases"},
		{"Dual_EC_DRBG.rsp", cavpText, "", "", "not the name of a CAVP file"},
		{"hash_drbg.rsp", cavpText, "", "", "not the name of a CAVP file"},
		{"Hash_DRBG.req", cavpText, "", "", "not the name of a vector file"},
		{"Hash_DRBG", cavpText, "", "", "not the name of a vector file"},
		{"CTR_DRBG.rsp", cavpText, "", "", "derivation function"},
		{"Hash_DRBG.rsp", acvpText, "", "", "line 1"},
		{"x.json", cavpText, "", "", "invalid character"},
		{"x.json", "", "", "", "unexpected end"},
		{"x.json", "[]", "", "", "cannot unmarshal"},
		{"x.json", "null", "", "", "no cases"},
		{"x.json", "{}", "", "", "no cases"},
		{"x.json", `{"algorithm": 1}`, "", "", "algorithm"},
		{"x.json", acvpText, "hmacDRBG", "kmacDRBG", `unknown algorithm "kmacDRBG"`},
		{"x.json", xdrbgText, "XDRBG-256", "XDRBG-128", "unknown algorithm"},
		{"x.json", acvpText, "hmacDRBG", "XDRBG-256 ", "unknown field"},
		{"x.json", xdrbgText, "XDRBG-256 (here)", "hashDRBG", "unknown field"},

		// CAVP.
		{"Hash_DRBG.txt", cavpText, "[SHA-256]\n", "", "line 5"},
		{"Hash_DRBG.txt", cavpText, "[SHA-256]", "[SHA-256", "no closing bracket"},
		{"Hash_DRBG.txt", cavpText, "[SHA-256]", "SHA-256", "neither field nor parameter"},
		{"Hash_DRBG.txt", cavpText, "= True", "= Perhaps", "PredictionResistance"},
		{"Hash_DRBG.txt", cavpText, "[PredictionResistance = True]\n", "", "[PredictionResistance = ...] is due"},
		{"Hash_DRBG.txt", cavpText, "[NonceLen = 8]\n", "", "[NonceLen = ...] is due"},
		{"Hash_DRBG.txt", cavpText, "[NonceLen = 8]", "[NonceLen = x]", "invalid syntax"},
		{"Hash_DRBG.txt", cavpText, "[NonceLen = 8]", "[NonceLen = -8]", "invalid syntax"},
		{"Hash_DRBG.txt", cavpText, "[NonceLen = 8]", "[NonceLen = 4294967296]", "out of range"},
		{"Hash_DRBG.txt", cavpText, "[NonceLen = 8]", "[NonceLen = 9]", "Nonce has 8 bits"},
		{"Hash_DRBG.txt", cavpText, "[NonceLen = 8]", "[NonceLen = 16]", "Nonce has 8 bits"},
		{"Hash_DRBG.txt", cavpText, "[EntropyInputLen = 16]", "[EntropyInputLen = 24]", "EntropyInput has 16 bits"},
		{"Hash_DRBG.txt", cavpText, "[ReturnedBitsLen = 32]", "[ReturnedBitsLen = 24]", "ReturnedBits has 32 bits"},
		{"Hash_DRBG.txt", cavpText, "[ReturnedBitsLen = 32]", "[ReturnedBitsLen = 32]\n[Secret = 1]", "[Secret = ...]"},
		{"Hash_DRBG.txt", cavpText, "COUNT = 1", "COUNT = 2", "COUNT"},
		{"Hash_DRBG.txt", cavpText, "Nonce = 03", "Nonce = 0g", "Nonce"},
		{"Hash_DRBG.txt", cavpText, "Nonce = 03", "Nonce = 030", "Nonce"},
		{"Hash_DRBG.txt", cavpText, "Nonce = 03\n", "", "Nonce = ... is due"},
		{"Hash_DRBG.txt", cavpText, "Nonce = 03\n", "Nonce = 03\nNonce = 03\n", "PersonalizationString = ... is due"},
		{"Hash_DRBG.txt", cavpText, "Nonce = 03\n", "Nonce = 03\nSalt = 03\n", "PersonalizationString = ... is due"},
		{"Hash_DRBG.txt", cavpText, "AdditionalInput = 0c0d0e\n", "", "AdditionalInput = ... is due"},
		{"Hash_DRBG.txt", cavpText, "AdditionalInputReseed = 060708\n", "", "AdditionalInputReseed = ... is due"},
		{"Hash_DRBG.txt", cavpText, "EntropyInputPR = 0304\n", "", "EntropyInputPR = ... is due"},
		{"Hash_DRBG.txt", cavpText, "AdditionalInput = 0c0d0e\n", "AdditionalInput = 0c0d0e\nEntropyInputPR = 01\n", "ReturnedBits = ... is due"},
		{"Hash_DRBG.txt", cavpText, "String = aa\n", "String = aa\nEntropyInputReseed = 0102\nAdditionalInputReseed =\n", "AdditionalInput = ... is due"},
		{"Hash_DRBG.txt", cavpText, "** RESEED:", "** RESEED", "marker without colon"},
		{"Hash_DRBG.txt", cavpText, "** RESEED:", "** RESAVE:", "AdditionalInput = ... is due"},
		{"Hash_DRBG.txt", cavpText, "** GENERATE (SECOND CALL):", "** GENERATE (FIRST CALL):", "is due"},
		{"Hash_DRBG.txt", cavpText, "\tC = 14\n", "", "incomplete state"},
		{"Hash_DRBG.txt", cavpText, "\tC = 14\n", "\tD = 14\n", "incomplete state"},
		{"Hash_DRBG.txt", cavpText, "\tC = 14\n", "\tC = 14\n\tC = 14\n", "is due"},
		{"Hash_DRBG.txt", cavpText, "reseed counter = 2", "reseed counter = two", "invalid syntax"},
		{"Hash_DRBG.txt", cavpText, "ReturnedBits = 0f\n", "", "end of file where ReturnedBits = ... is due"},
		{"Hash_DRBG.txt", cavpText, "COUNT = 0\nEntropyInput = 0102\nNonce = \n", "", "COUNT = ... is due"},

		// ACVP.
		{"x.json", acvpText, `"tgId": 7,`, `"tgId": 7, "extra": 1,`, `unknown field "extra"`},
		{"x.json", acvpText, `"tcId": 11,`, `"tcId": 11, "extra": 1,`, `unknown field "extra"`},
		{"x.json", acvpText, `"source": "here",`, `"source": "here", "extra": 1,`, `unknown field "extra"`},
		{"x.json", acvpText + "{}", "", "", "invalid character"},
		{"x.json", acvpText, `"testType": "AFT"`, `"testType": "MCT"`, "testType"},
		{"x.json", acvpText, `"derFunc": false`, `"derFunc": true`, "derFunc"},
		{"x.json", acvpText, `"nonceLen": 8`, `"nonceLen": 16`, "nonce has 8 bits"},
		{"x.json", acvpText, `"nonceLen": 8`, `"nonceLen": -8`, "negative length"},
		{"x.json", acvpText, `"returnedBitsLen": 24`, `"returnedBitsLen": -24`, "negative length"},
		{"x.json", acvpText, `"returnedBitsLen": 24`, `"returnedBitsLen": 32`, "returnedBits has 24 bits"},
		{"x.json", strings.Replace(acvpText, `"returnedBits": "d4"`, `"returnedBits": ""`, 1), `"returnedBitsLen": 8`, `"returnedBitsLen": 0`, "nothing to compare with"},
		{"x.json", acvpText, `"persoString": "c3",`, "", "persoString has 0 bits"},
		{"x.json", acvpText, `"returnedBits": "d4"`, `"returnedBits": "dx"`, "returnedBits"},
		{"x.json", acvpText, `"intendedUse": "reSeed"`, `"intendedUse": "restart"`, "intendedUse"},
		{"x.json", acvpText, `"reSeed": true`, `"reSeed": false`, "intendedUse"},
		{"x.json", acvpText, `"entropyInput": "", "intendedUse": "generate"`, `"entropyInput": "01", "intendedUse": "generate"`, "entropyInput of generate has 8 bits"},
		{"x.json", acvpText, `"entropyInput": "b2", "intendedUse"`, `"entropyInput": "", "intendedUse"`, "entropyInput of generate has 0 bits"},
		{"x.json", acvpText, `"predResistance": true`, `"predResistance": false`, "entropyInput of generate has 8 bits"},
		{"x.json", acvpText, `
      {"additionalInput": "", "entropyInput": "b2", "intendedUse": "generate"},
      {"additionalInput": "", "entropyInput": "c3", "intendedUse": "generate"}`, "", "nothing to compare with"},
		{"x.json", `{"algorithm": "hashDRBG", "testGroups": []}`, "", "", "no cases"},
		{"x.json", `{"algorithm": "hashDRBG", "testGroups": [{"testType": "AFT"}]}`, "", "", "no tests"},

		// Examples.
		{"x.json", examplesText, `"CTR"`, `"CBC"`, "unknown mechanism"},
		{"x.json", examplesText, `"df": false`, `"df": null`, "df"},
		{"x.json", examplesText, `"df": null`, `"df": false`, "df"},
		{"x.json", examplesText, `"outputs": ["d4d5", "e6"]`, `"outputs": ["d4d5"]`, "additional inputs"},
		{"x.json", examplesText, `"outputs": ["d4d5", "e6"]`, `"outputs": ["d4d5", ""]`, "empty"},
		{"x.json", examplesText, `"additional": ["", "c3"], "outputs": ["d4d5", "e6"]`, `"additional": [], "outputs": []`, "nothing to compare with"},
		{"x.json", examplesText, `"pr_entropy": []`, `"pr_entropy": ["01"]`, "entropy inputs"},
		{"x.json", examplesText, `"pr_entropy": ["c3"]`, `"pr_entropy": []`, "entropy inputs"},
		{"x.json", examplesText, `"pr_entropy": ["c3"]`, `"pr_entropy": ["c"]`, "pr_entropy"},
		{"x.json", examplesText, `"note": "here",`, `"nota": "here",`, "unknown field"},
		{"x.json", `{"note": "", "cases": []}`, "", "", "no cases"},

		// Calls.
		{"x.json", xdrbgText, `["init"]`, `["init", 1]`, "init with 1 arguments"},
		{"x.json", xdrbgText, `["init"], `, ``, "init is the first"},
		{"x.json", xdrbgText, `["init"], `, `["init"], ["init"], `, "init is the first"},
		{"x.json", xdrbgText, `["init"], `, `["init"], [], `, "empty"},
		{"x.json", xdrbgText, `["init"], `, `["init"], [7], `, "cannot unmarshal"},
		{"x.json", xdrbgText, `"seed", "a1"`, `"reseed", "a1"`, "unknown call"},
		{"x.json", xdrbgText, `["seed", "a1", ""]`, `["seed", "a1"]`, "seed with 1 arguments"},
		{"x.json", xdrbgText, `["generate", 2, "b2"]`, `["generate", 3, "b2"]`, "output has 16 bits"},
		{"x.json", xdrbgText, `["generate", 2, "b2"]`, `["generate", -1, "b2"]`, "argument 1 of generate"},
		{"x.json", xdrbgText, `["generate", 2, "b2"]`, `["generate", 4294967295, "b2"]`, "generate of 4294967295 bytes"},
		{"x.json", xdrbgText, `["generate", 2, "b2"]`, `["generate", 2, "b"]`, "alpha"},
		{"x.json", xdrbgText, `"a1"`, `"a"`, "seed"},
		{"x.json", xdrbgText, `["e5e6", "f7"]`, `["e5e6"]`, "not enough outputs"},
		{"x.json", xdrbgText, `["e5e6", "f7"]`, `["e5e6", "f7", "00"]`, "belong to no call"},
		{"x.json", xdrbgText, `"published": true,`, `"published": true, "secret": 1,`, "unknown field"},
		{"x.json", chacha20Text, `["init", 0], ["generate", 1]`, `["init", 0]`, "belong to no call"},
		{"x.json", chacha20Text, `["init", 0], ["generate", 1]`, ``, "belong to no call"},
		{"x.json", chacha20Text, `["init", 0], ["generate", 1]],
  "outputs": ["d4"]`, `["init", 0], ["generate", 0]],
  "outputs": [""]`, "nothing to compare with"},
		{"x.json", chacha20Text, `["init", 0]`, `["init", 4294967296]`, "argument 1 of init"},
		{"x.json", chacha20Text, `["init", 0]`, `["init"]`, "init with 0 arguments"},
		{"x.json", chacha20Text, `["seed", "a1"]`, `["seed", "a1", ""]`, "seed with 2 arguments"},
		{"x.json", `{"algorithm": "ChaCha20 DRNG ", "cases": []}`, "", "", "no cases"},
	} {
		text := c.text
		if c.old != "" {
			if text = strings.Replace(text, c.old, c.new, 1); text == c.text {
				t.Errorf("%q is not in the text", c.old)
				continue
			}
		}
		s, err := Parse(c.name, []byte(text))
		if err == nil {
			t.Errorf("%s with %q instead of %q: no error, %d cases", c.name, c.new, c.old, s.Cases())
			continue
		}
		if !strings.Contains(err.Error(), c.wantInError) || !strings.HasPrefix(err.Error(), "vectors: "+c.name+": ") {
			t.Errorf("%s with %q instead of %q: error %q, want %q in it", c.name, c.new, c.old, err, c.wantInError)
		}
	}
}

// TestTruncated cuts files at each byte. The rest is refused, or has complete
// cases only.
func TestTruncated(t *testing.T) {
	for n := range cavpText {
		s, err := Parse("Hash_DRBG.txt", []byte(cavpText[:n]))
		if err != nil {
			continue
		}
		switch rest := strings.TrimSpace(cavpText[n:]); {
		case rest == "" && s.Cases() == 3:
		case strings.HasPrefix(rest, "COUNT = 1") && s.Cases() == 1:
		case strings.HasPrefix(rest, "[SHA-1]") && s.Cases() == 2:
		case strings.HasPrefix(rest, "** GENERATE (SECOND CALL)") && s.Cases() == 1:
		case strings.HasPrefix(rest, "C = 18") && s.Cases() == 1:
			t.Errorf("cut at %d: incomplete state", n)
		case strings.HasPrefix(rest, "reseed counter = 3") && s.Cases() == 1:
		default:
			t.Errorf("cut at %d: %d cases, rest %q", n, s.Cases(), rest[:min(len(rest), 20)])
		}
	}
	for _, text := range []string{acvpText, examplesText, xdrbgText, chacha20Text} {
		for n := range text {
			if _, err := Parse("x.json", []byte(text[:n])); err == nil {
				t.Errorf("cut at %d of %d: no error", n, len(text))
			}
		}
	}
}

func TestHuge(t *testing.T) {
	if testing.Short() {
		t.Skip("needs 64 MiB")
	}
	if _, err := Parse("Hash_DRBG.txt", make([]byte, maxFile+1)); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Error(err)
	}
	// A long file on disk is not read to its end.
	name := filepath.Join(t.TempDir(), "Hash_DRBG.txt")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, 1<<40); err != nil {
		t.Skip(err)
	}
	if _, err := read(name); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Error(err)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wantError := func(text string) {
		t.Helper()
		if s, err := Load(dir); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%d sets, error %v, want %q in it", len(s), err, text)
		}
	}
	wantError("no vector file")
	write("README.md", "text")
	write("health/x.txt", "text")
	write("sp80090b/x.bin", "text")
	wantError("no vector file")
	write("b/Hash_DRBG.txt", cavpText)
	write("a/LICENSE", "text")
	write("a/x.json", acvpText)
	sets, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range sets {
		got = append(got, s.Name)
	}
	if strings.Join(got, " ") != "a/x.json b/Hash_DRBG.txt" || sets[0].Cases() != 2 || sets[1].Cases() != 3 {
		t.Errorf("%q", got)
	}
	write("a/y.json", "{")
	wantError("y.json")
	if err := os.Remove(filepath.Join(dir, "a", "y.json")); err != nil {
		t.Fatal(err)
	}
	write("c/more.dat", "text")
	wantError("more.dat")
	if _, err := Load(filepath.Join(dir, "none")); err == nil {
		t.Error("no error for a directory that does not exist")
	}
}

// FuzzParse holds that a file that is accepted has no hole: every case ends with
// something to compare, of the length that is asked for.
func FuzzParse(f *testing.F) {
	f.Add("Hash_DRBG.txt", []byte(cavpText))
	f.Add("CTR_DRBG.rsp", []byte(strings.ReplaceAll(cavpText, "[SHA-1]", "[AES-256 no df]")))
	for _, text := range []string{acvpText, examplesText, xdrbgText, chacha20Text} {
		f.Add("x.json", []byte(text))
	}
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		s, err := Parse(name, data)
		if err != nil {
			if s != nil || !strings.HasPrefix(err.Error(), "vectors: ") {
				t.Fatalf("%v, %v", s, err)
			}
			return
		}
		if s.Cases() == 0 {
			t.Fatal("no cases and no error")
		}
		total := 0
		for _, g := range s.Groups {
			if g.Mechanism == "" || len(g.Cases) == 0 {
				t.Fatalf("group %q with %d cases", g.String(), len(g.Cases))
			}
			for _, c := range g.Cases {
				compared := false
				for i, st := range c.Steps {
					if st.Op == Instantiate && i != 0 {
						t.Fatalf("%s: instantiates in step %d", c.Name, i)
					}
					if st.Length < 0 || st.Op != Generate && (st.Length != 0 || st.Want != nil) {
						t.Fatalf("%s: step %d: %+v", c.Name, i, st)
					}
					if st.Want != nil {
						compared = compared || len(st.Want) > 0
						if len(st.Want) != st.Length {
							t.Fatalf("%s: step %d: %d bytes, want %d", c.Name, i, st.Length, len(st.Want))
						}
					}
					total += len(st.Seed) + len(st.Additional) + len(st.Want)
				}
				if !compared {
					t.Fatalf("%s: nothing to compare with", c.Name)
				}
			}
		}
		if total > len(data) {
			t.Fatalf("%d bytes of values from %d bytes", total, len(data))
		}
	})
}
