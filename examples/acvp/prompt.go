package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// protocolVersion is the only version of ACVP that there is.
const protocolVersion = "1.0"

// protocol is the first element of the array in which the server sends vector sets.
type protocol struct {
	AcvVersion *string `json:"acvVersion"`
}

// A vectorSet is what there is to answer. The form of its groups depends on the
// algorithm.
type vectorSet struct {
	VsID       *int64            `json:"vsId"`
	Algorithm  *string           `json:"algorithm"`
	Revision   *string           `json:"revision"`
	IsSample   bool              `json:"isSample"` // the server knows the answers
	TestGroups []json.RawMessage `json:"testGroups"`
}

// group is what all groups have. The form of the tests depends on the rest.
type group struct {
	TgID     *int64            `json:"tgId"`
	TestType *string           `json:"testType"`
	Tests    []json.RawMessage `json:"tests"`
}

// An answerSet holds the answers to a vectorSet.
type answerSet struct {
	VsID       int64         `json:"vsId"`
	Algorithm  string        `json:"algorithm"`
	Revision   string        `json:"revision"`
	TestGroups []answerGroup `json:"testGroups"`
}

type answerGroup struct {
	TgID  int64    `json:"tgId"`
	Tests []answer `json:"tests"`
}

// An answer has one of the three values.
type answer struct {
	TcID         int64    `json:"tcId"`
	ReturnedBits string   `json:"returnedBits,omitempty"`
	MD           string   `json:"md,omitempty"`
	ResultsArray []result `json:"resultsArray,omitempty"`
}

// A result is one of the hundred of a Monte Carlo test.
type result struct {
	MD string `json:"md"`
}

// A tester answers the tests of one group.
type tester interface {
	// tests returns the tests, once the group has been found to be in order.
	tests() ([]json.RawMessage, error)

	// answer answers a test. The identifier is up to the caller.
	answer(test json.RawMessage) (answer, error)
}

// answerPrompt answers a prompt. It returns the version of the protocol that stands
// in it, or "" if the vector set stands alone. Messages of large data tests have up
// to ldt bytes.
func answerPrompt(prompt []byte, ldt int64) (version string, answers []answerSet, err error) {
	version, sets, err := split[vectorSet](prompt)
	if err != nil {
		return "", nil, fmt.Errorf("prompt: %w", err)
	}
	for i := range sets {
		set := &sets[i]
		if set.VsID == nil {
			return "", nil, fmt.Errorf("vector set %d of the prompt: vsId is missing", i+1)
		}
		a, err := set.answer(ldt)
		if err != nil {
			return "", nil, fmt.Errorf("vsId %d: %w", *set.VsID, err)
		}
		answers = append(answers, a)
	}
	return version, answers, nil
}

// split returns the sets of a file in which one stands alone, or in which they
// follow the version of the protocol.
func split[T any](file []byte) (version string, sets []T, err error) {
	var elements []json.RawMessage
	if !bytes.HasPrefix(bytes.TrimLeft(file, " \t\r\n"), []byte("[")) {
		elements = append(elements, file)
	} else {
		// Unlike a decoder, Unmarshal refuses what may follow the value.
		if err := json.Unmarshal(file, &elements); err != nil {
			return "", nil, err
		}
		if len(elements) < 2 {
			return "", nil, fmt.Errorf("an array of %d elements; want the version of the protocol and a vector set", len(elements))
		}
		var p protocol
		if err := decode(elements[0], &p); err != nil {
			return "", nil, err
		}
		if p.AcvVersion == nil || *p.AcvVersion != protocolVersion {
			return "", nil, fmt.Errorf("the array does not begin with acvVersion %s", protocolVersion)
		}
		version, elements = protocolVersion, elements[1:]
	}
	sets = make([]T, len(elements))
	for i, element := range elements {
		if err := decode(element, &sets[i]); err != nil {
			return "", nil, err
		}
	}
	return version, sets, nil
}

func (set *vectorSet) answer(ldt int64) (answerSet, error) {
	switch {
	case set.Algorithm == nil:
		return answerSet{}, errors.New("algorithm is missing")
	case set.Revision == nil:
		return answerSet{}, errors.New("revision is missing")
	}
	a, ok := algorithms[*set.Algorithm]
	switch {
	case !ok && slices.Contains(notSupported, *set.Algorithm):
		return answerSet{}, fmt.Errorf("algorithm %s is not supported", *set.Algorithm)
	case !ok:
		return answerSet{}, fmt.Errorf("unknown algorithm %q", *set.Algorithm)
	case !slices.Contains(a.revisions, *set.Revision):
		return answerSet{}, fmt.Errorf("%s with revision %q; want %s", *set.Algorithm, *set.Revision, strings.Join(a.revisions, " or "))
	case len(set.TestGroups) == 0:
		return answerSet{}, errors.New("testGroups is missing or empty")
	}
	answers := answerSet{VsID: *set.VsID, Algorithm: *set.Algorithm, Revision: *set.Revision}
	for i, raw := range set.TestGroups {
		var id struct {
			TgID *int64 `json:"tgId"`
		}
		if json.Unmarshal(raw, &id) != nil || id.TgID == nil {
			return answerSet{}, fmt.Errorf("group %d: no tgId", i+1)
		}
		tests, err := answerTests(raw, a.group(*set.Algorithm, ldt))
		if err != nil {
			return answerSet{}, fmt.Errorf("tgId %d: %w", *id.TgID, err)
		}
		answers.TestGroups = append(answers.TestGroups, answerGroup{TgID: *id.TgID, Tests: tests})
	}
	return answers, nil
}

// answerTests answers the tests of a group, of which g has the form.
func answerTests(raw json.RawMessage, g tester) (answers []answer, err error) {
	if err := decode(raw, g); err != nil {
		return nil, err
	}
	tests, err := g.tests()
	switch {
	case err != nil:
		return nil, err
	case len(tests) == 0:
		return nil, errors.New("tests is missing or empty")
	}
	for i, raw := range tests {
		var id struct {
			TcID *int64 `json:"tcId"`
		}
		if json.Unmarshal(raw, &id) != nil || id.TcID == nil {
			return nil, fmt.Errorf("test %d: no tcId", i+1)
		}
		a, err := g.answer(raw)
		if err != nil {
			return nil, fmt.Errorf("tcId %d: %w", *id.TcID, err)
		}
		a.TcID = *id.TcID
		answers = append(answers, a)
	}
	return answers, nil
}

// algorithms are the ones that the library implements.
var algorithms = map[string]struct {
	revisions []string
	group     func(algorithm string, ldt int64) tester
}{
	"ctrDRBG":  {[]string{"1.0"}, newDRBGGroup},
	"hashDRBG": {[]string{"1.0"}, newDRBGGroup},
	"hmacDRBG": {[]string{"1.0"}, newDRBGGroup},
	"SHA2-256": {[]string{"1.0"}, newSHAGroup},
	"SHA2-384": {[]string{"1.0"}, newSHAGroup},
	"SHA2-512": {[]string{"1.0"}, newSHAGroup},
	"SHA3-256": {[]string{"1.0", "2.0"}, newSHAGroup},
	"SHA3-384": {[]string{"1.0", "2.0"}, newSHAGroup},
	"SHA3-512": {[]string{"1.0", "2.0"}, newSHAGroup},
}

// notSupported are hash functions that ACVP has and that are no conditioning
// components of the library.
var notSupported = []string{
	"SHA-1", "SHA2-224", "SHA2-512/224", "SHA2-512/256", "SHA3-224", "SHAKE-128", "SHAKE-256",
}

// decode reads one JSON value into v, which has a field for each of its names.
func decode(data []byte, v any) error {
	if !json.Valid(data) {
		return json.Unmarshal(data, new(any)) // what is wrong, or follows the value
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// wholeBytes returns a length in bytes that is given in bits.
func wholeBytes(name string, bits *int64) (int64, error) {
	switch {
	case bits == nil:
		return 0, fmt.Errorf("%s is missing", name)
	case *bits < 0:
		return 0, fmt.Errorf("%s is %d", name, *bits)
	case *bits%8 != 0:
		return 0, fmt.Errorf("%s is %d bits: only whole bytes are supported", name, *bits)
	}
	return *bits / 8, nil
}

// unhex decodes a number of n bytes.
func unhex(name, s string, n int64) ([]byte, error) {
	b, err := hex.DecodeString(s)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case int64(len(b)) != n:
		return nil, fmt.Errorf("%s has %d bits, but is said to have %d", name, 8*len(b), 8*n)
	}
	return b, nil
}
