package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

// asMain is the environment variable that makes the test binary be the program.
const asMain = "LRNG_TEST_ACVP_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// invoke runs the program.
func invoke(prompt string, args ...string) (status int, stdout, stderr string) {
	var out, errs strings.Builder
	status = run(args, strings.NewReader(prompt), &out, &errs)
	return status, out.String(), errs.String()
}

// mustAnswer returns the answers to a prompt.
func mustAnswer(t *testing.T, prompt string) string {
	t.Helper()
	status, stdout, stderr := invoke(prompt)
	if status != 0 || stderr != "" {
		t.Fatalf("exit status %d: %s", status, stderr)
	}
	return stdout
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// published returns the pairs in testdata: of the file of the prompt, and the one of
// the answer.
func published(t *testing.T) (prompts, answers []string) {
	t.Helper()
	prompts, err := filepath.Glob("testdata/*.prompt.json")
	if err != nil || len(prompts) != 5 {
		t.Fatalf("%d prompts (%v); want 5", len(prompts), err)
	}
	for _, p := range prompts {
		answers = append(answers, strings.TrimSuffix(p, ".prompt.json")+".answer.json")
	}
	return prompts, answers
}

func TestPublished(t *testing.T) {
	prompts, answers := published(t)
	for i := range prompts {
		t.Run(filepath.Base(prompts[i]), func(t *testing.T) {
			prompt, want := readFile(t, prompts[i]), readFile(t, answers[i])
			if got := mustAnswer(t, prompt); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// The other form of the file, alone or in an array, has the same answers in it.
func TestForms(t *testing.T) {
	prompts, _ := published(t)
	var array []any
	for _, name := range prompts {
		prompt := readFile(t, name)
		answer := mustAnswer(t, prompt)
		var elements []json.RawMessage
		if json.Unmarshal([]byte(prompt), &elements) == nil {
			alone := mustAnswer(t, string(elements[1]))
			equalJSON(t, fmt.Sprintf(`[{"acvVersion":"1.0"},%s]`, alone), answer)
			array = append(array, elements[1])
			continue
		}
		array = append(array, json.RawMessage(prompt))
		inArray := mustAnswer(t, fmt.Sprintf("\r\n\t [{\"acvVersion\":\"1.0\"},%s]\n", prompt))
		equalJSON(t, inArray, fmt.Sprintf(`[{"acvVersion":"1.0"},%s]`, answer))
	}

	// And they may all be in one.
	all, err := json.Marshal(append([]any{map[string]string{"acvVersion": "1.0"}}, array...))
	if err != nil {
		t.Fatal(err)
	}
	var got []json.RawMessage
	if err := json.Unmarshal([]byte(mustAnswer(t, string(all))), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1+len(prompts) {
		t.Fatalf("%d elements", len(got))
	}
	for i, set := range array {
		equalJSON(t, string(got[1+i]), mustAnswer(t, string(set.(json.RawMessage))))
	}
}

func equalJSON(t *testing.T, got, want string) {
	t.Helper()
	var g, w bytes.Buffer
	if err := errors.Join(json.Compact(&g, []byte(got)), json.Compact(&w, []byte(want))); err != nil {
		t.Fatal(err)
	}
	if g.String() != w.String() {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Files of package drng, in which the answers stand beside the questions.
func TestVectorsOfRepository(t *testing.T) {
	if answered, _ := testDirectory(t, "../../drng/testdata/vectors"); answered != 8 {
		t.Errorf("%d tests answered; want 8", answered)
	}
}

// More such files, in the directory that LRNG_VECTORS names.
func TestVectors(t *testing.T) {
	dir := os.Getenv("LRNG_VECTORS")
	if dir == "" {
		t.Skip("LRNG_VECTORS is not set to the directory of published vectors")
	}
	answered, refused := testDirectory(t, dir)
	t.Logf("%d tests answered; %d of modes that are not supported", answered, refused)
	if answered == 0 {
		t.Error("no tests in LRNG_VECTORS")
	}
}

// testDirectory is testJoined for the files in a directory and below.
func testDirectory(t *testing.T, dir string) (answered, refused int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".json") {
			return err
		}
		a, r := testJoined(t, path)
		answered, refused = answered+a, refused+r
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return answered, refused
}

// testJoined takes a file apart into prompts of a group each, and returns how many
// tests of it were answered, and refused by name.
func testJoined(t *testing.T, path string) (answered, refused int) {
	t.Helper()
	var file struct {
		Algorithm  string                       `json:"algorithm"`
		TestGroups []map[string]json.RawMessage `json:"testGroups"`
	}
	if err := json.Unmarshal([]byte(readFile(t, path)), &file); err != nil || !strings.HasSuffix(file.Algorithm, "DRBG") {
		return 0, 0 // a file of another kind
	}
	for i, g := range file.TestGroups {
		name := fmt.Sprintf("%s, group %d", path, i+1)
		var tests []map[string]json.RawMessage
		if err := json.Unmarshal(g["tests"], &tests); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := answerGroup{}
		for _, test := range tests {
			var a answer
			if err := errors.Join(json.Unmarshal(test["tcId"], &a.TcID), json.Unmarshal(test["returnedBits"], &a.ReturnedBits)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if a.ReturnedBits == "" {
				t.Fatalf("%s: tcId %d has no answer", name, a.TcID)
			}
			want.Tests = append(want.Tests, a)
			delete(test, "returnedBits")
		}
		if len(tests) == 0 {
			t.Fatalf("%s: no tests", name)
		}
		var err error
		if g["tests"], err = json.Marshal(tests); err != nil {
			t.Fatal(err)
		}
		prompt, err := json.Marshal(map[string]any{
			"vsId": 1, "algorithm": file.Algorithm, "revision": "1.0", "testGroups": []any{g},
		})
		if err != nil {
			t.Fatal(err)
		}
		status, stdout, stderr := invoke(string(prompt))
		var mode string
		if err := json.Unmarshal(g["mode"], &mode); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		switch mode {
		case "SHA-1", "SHA2-224", "SHA2-512/224", "SHA3-224", "TDES":
			if status != 1 || stdout != "" || !strings.Contains(stderr, mode+" is not supported") {
				t.Errorf("%s: mode %s: exit status %d, %q", name, mode, status, stderr)
			}
			refused += len(tests)
			continue
		}
		if status != 0 {
			t.Errorf("%s: exit status %d: %s", name, status, stderr)
			continue
		}
		var got answerSet
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || len(got.TestGroups) != 1 {
			t.Fatalf("%s: %v: %s", name, err, stdout)
		}
		for j, w := range want.Tests {
			if g := got.TestGroups[0].Tests[j]; g.TcID != w.TcID || !strings.EqualFold(g.ReturnedBits, w.ReturnedBits) {
				t.Errorf("%s, tcId %d: got %d: %s\nwant %s", name, w.TcID, g.TcID, g.ReturnedBits, w.ReturnedBits)
			}
		}
		answered += len(tests)
	}
	return answered, refused
}

// The prompts that the table of errors starts from.
const (
	goodDRBG = `[{"acvVersion": "1.0"}, {"vsId": 42, "algorithm": "ctrDRBG", "revision": "1.0", "isSample": true, "testGroups": [
		{"tgId": 7, "testType": "AFT", "mode": "AES-128", "derFunc": true, "reSeed": true, "predResistance": false,
		 "entropyInputLen": 128, "nonceLen": 64, "persoStringLen": 0, "additionalInputLen": 16, "returnedBitsLen": 136,
		 "tests": [{"tcId": 9, "entropyInput": "000102030405060708090a0b0c0d0e0f", "nonce": "1011121314151617", "persoString": "",
		 "otherInput": [{"intendedUse": "reSeed", "additionalInput": "abcd", "entropyInput": "202122232425262728292A2B2C2D2E2F"},
		 {"intendedUse": "generate", "additionalInput": "0123", "entropyInput": ""},
		 {"intendedUse": "generate", "additionalInput": "4567", "entropyInput": ""}]}]}]}]`
	goodSHA = `{"vsId": 43, "algorithm": "SHA3-256", "revision": "2.0", "testGroups": [
		{"tgId": 1, "testType": "AFT", "tests": [{"tcId": 1, "msg": "00", "len": 0}, {"tcId": 2, "msg": "616263", "len": 24}]},
		{"tgId": 3, "testType": "LDT", "tests": [{"tcId": 4,
		 "largeMsg": {"content": "6162", "contentLength": 16, "fullLength": 24, "expansionTechnique": "repeating"}}]},
		{"tgId": 2, "testType": "MCT", "mctVersion": "standard", "tests": [{"tcId": 3, "msg": "61", "len": 8}]}]}`
)

func TestErrors(t *testing.T) {
	mustAnswer(t, goodDRBG)
	mustAnswer(t, goodSHA)

	const drbg, sha = goodDRBG, goodSHA
	for _, v := range []struct {
		prompt   string
		old, new string // what is put instead of what; the whole prompt if old is empty
		want     string
	}{
		// The file.
		{drbg, "", "", "prompt: empty"},
		{drbg, "", " \n", "prompt: unexpected end of JSON input"},
		{drbg, "", "\x00\xff", "prompt: invalid character"},
		{drbg, "", goodDRBG[:len(goodDRBG)-1], "prompt: unexpected end of JSON input"},
		{drbg, "", goodSHA[:len(goodSHA)-1], "prompt: unexpected end of JSON input"},
		{drbg, "", goodDRBG + "x", "prompt: invalid character 'x' after top-level value"},
		{drbg, "", goodSHA + goodSHA, "prompt: invalid character '{' after top-level value"},
		{drbg, "", `"prompt"`, "prompt: json: cannot unmarshal string"},
		{drbg, "", "null", "vsId is missing"},
		{drbg, "", "{}", "vsId is missing"},
		{drbg, "", "[]", "an array of 0 elements"},
		{drbg, "", `[{"acvVersion": "1.0"}]`, "an array of 1 elements"},
		{drbg, "", "[" + goodSHA + "," + goodSHA + "]", `unknown field "vsId"`},
		{drbg, `"acvVersion": "1.0"`, `"acvVersion": "0.5"`, "does not begin with acvVersion 1.0"},
		{drbg, `"acvVersion": "1.0"`, ``, "does not begin with acvVersion 1.0"},
		{drbg, `}]}]}]}]`, `}]}]}]}, {"acvVersion": "1.0"}]`, `unknown field "acvVersion"`},

		// The vector set.
		{drbg, `"vsId": 42,`, `"vsId": "42",`, "prompt: json: cannot unmarshal string"},
		{drbg, `"vsId": 42,`, `"vsId": 42.5,`, "prompt: json: cannot unmarshal number 42.5"},
		{drbg, `"vsId": 42,`, ``, "vector set 1 of the prompt: vsId is missing"},
		{drbg, `"vsId": 42,`, `"vsId": 42, "retry": 30,`, `prompt: json: unknown field "retry"`},
		{drbg, `"algorithm": "ctrDRBG",`, ``, "vsId 42: algorithm is missing"},
		{drbg, `"ctrDRBG"`, `"ctrdrbg"`, `vsId 42: unknown algorithm "ctrdrbg"`},
		{drbg, `"ctrDRBG"`, `"ACVP-AES-GCM"`, `vsId 42: unknown algorithm "ACVP-AES-GCM"`},
		{drbg, `"ctrDRBG"`, `"SHA-1"`, `vsId 42: algorithm SHA-1 is not supported`},
		{drbg, `"ctrDRBG"`, `"SHAKE-256"`, `vsId 42: algorithm SHAKE-256 is not supported`},
		{drbg, `"revision": "1.0",`, ``, "vsId 42: revision is missing"},
		{drbg, `"revision": "1.0"`, `"revision": "2.0"`, `vsId 42: ctrDRBG with revision "2.0"; want 1.0`},
		{sha, `"revision": "2.0"`, `"revision": "FIPS202"`, `vsId 43: SHA3-256 with revision "FIPS202"; want 1.0 or 2.0`},
		{sha, `"SHA3-256"`, `"SHA2-256"`, `vsId 43: SHA2-256 with revision "2.0"; want 1.0`},
		{drbg, `"testGroups"`, `"groups"`, `unknown field "groups"`},
		{drbg, "", `{"vsId": 1, "algorithm": "ctrDRBG", "revision": "1.0", "testGroups": []}`, "vsId 1: testGroups is missing or empty"},
		{drbg, "", `{"vsId": 1, "algorithm": "ctrDRBG", "revision": "1.0", "testGroups": {}}`, "cannot unmarshal object"},
		{drbg, "", `{"vsId": 1, "algorithm": "ctrDRBG", "revision": "1.0", "testGroups": [null]}`, "vsId 1: group 1: no tgId"},

		// A group of a generator.
		{drbg, `"tgId": 7,`, ``, "vsId 42: group 1: no tgId"},
		{drbg, `"tgId": 7,`, `"tgId": "7",`, "vsId 42: group 1: no tgId"},
		{drbg, `"tgId": 7,`, `"tgId": 7, "counterFieldLen": 32,`, `vsId 42: tgId 7: json: unknown field "counterFieldLen"`},
		{drbg, `"testType": "AFT",`, ``, "vsId 42: tgId 7: testType is missing"},
		{drbg, `"testType": "AFT"`, `"testType": "MCT"`, `vsId 42: tgId 7: unknown testType "MCT"`},
		{drbg, `"mode": "AES-128",`, ``, "tgId 7: mode is missing"},
		{drbg, `"mode": "AES-128"`, `"mode": "AES-512"`, `tgId 7: unknown mode "AES-512" of ctrDRBG`},
		{drbg, `"mode": "AES-128"`, `"mode": "SHA2-256"`, `tgId 7: unknown mode "SHA2-256" of ctrDRBG`},
		{drbg, `"mode": "AES-128"`, `"mode": "TDES"`, `tgId 7: mode TDES is not supported`},
		{drbg, `"mode": "AES-128"`, `"mode": "3KeyTDEA"`, `tgId 7: mode 3KeyTDEA is not supported`},
		{drbg, `"ctrDRBG"`, `"hmacDRBG"`, `tgId 7: derFunc is true; it is for ctrDRBG, not for hmacDRBG`},
		{drbg, `"derFunc": true,`, ``, "tgId 7: derFunc is missing"},
		{drbg, `"derFunc": true,`, `"derFunc": "true",`, "tgId 7: json: cannot unmarshal string"},
		{drbg, `"reSeed": true,`, ``, "tgId 7: reSeed is missing"},
		{drbg, `"predResistance": false,`, ``, "tgId 7: predResistance is missing"},
		{drbg, `"entropyInputLen": 128,`, ``, "tgId 7: entropyInputLen is missing"},
		{drbg, `"nonceLen": 64,`, ``, "tgId 7: nonceLen is missing"},
		{drbg, `"persoStringLen": 0,`, ``, "tgId 7: persoStringLen is missing"},
		{drbg, `"additionalInputLen": 16,`, ``, "tgId 7: additionalInputLen is missing"},
		{drbg, `"returnedBitsLen": 136,`, ``, "tgId 7: returnedBitsLen is missing"},
		{drbg, `"nonceLen": 64`, `"nonceLen": -64`, "tgId 7: nonceLen is -64"},
		{drbg, `"nonceLen": 64`, `"nonceLen": 65`, "tgId 7: nonceLen is 65 bits: only whole bytes are supported"},
		{drbg, `"nonceLen": 64`, `"nonceLen": 1e99`, "tgId 7: json: cannot unmarshal number 1e99"},
		{drbg, `"returnedBitsLen": 136`, `"returnedBitsLen": 0`, "tgId 7: returnedBitsLen is 0, not 8…524288"},
		{drbg, `"returnedBitsLen": 136`, `"returnedBitsLen": 524296`, "tgId 7: returnedBitsLen is 524296, not 8…524288"},
		{drbg, `"returnedBitsLen": 136`, `"returnedBitsLen": 9223372036854775800`, "tgId 7: returnedBitsLen is 9223372036854775800"},

		// A test of a generator.
		{drbg, `"tests": [`, `"tests": [], "x": [`, `tgId 7: json: unknown field "x"`},
		{drbg, `"tests": [`, `"tests": [null, `, "tgId 7: test 1: no tcId"},
		{drbg, `"tcId": 9,`, ``, "tgId 7: test 1: no tcId"},
		{drbg, `"tcId": 9,`, `"tcId": 9, "returnedBits": "",`, `tgId 7: tcId 9: json: unknown field "returnedBits"`},
		{drbg, `"nonce": "10`, `"nonce": "`, "vsId 42: tgId 7: tcId 9: nonce has 56 bits, but is said to have 64"},
		{drbg, `"nonce": "10`, `"nonce": "x0`, "tcId 9: nonce: encoding/hex: invalid byte"},
		{drbg, `"nonce": "10`, `"nonce": "1`, "tcId 9: nonce: encoding/hex: odd length hex string"},
		{drbg, `"nonceLen": 64`, `"nonceLen": 56`, "tcId 9: nonce has 64 bits, but is said to have 56"},
		{drbg, `"entropyInputLen": 128`, `"entropyInputLen": 136`, "tcId 9: entropyInput has 128 bits, but is said to have 136"},
		{drbg, `"persoStringLen": 0`, `"persoStringLen": 8`, "tcId 9: persoString has 0 bits, but is said to have 8"},
		{drbg, `"mode": "AES-128"`, `"mode": "AES-256"`, "tcId 9: drng: CTR_DRBG AES-256: seed of 24 bytes, at least 48 to instantiate"},
		{drbg, `"additionalInput": "4567"`, `"additionalInput": "45"`, "tcId 9: otherInput 3: additionalInput has 8 bits, but is said to have 16"},
		{drbg, `"additionalInput": "4567", "entropyInput": ""`, `"additionalInput": "4567", "entropyInput": "00"`, "otherInput 3: entropyInput has 8 bits, but is said to have 0"},
		{drbg, `"predResistance": false`, `"predResistance": true`, "otherInput 2: entropyInput has 0 bits, but is said to have 128"},
		{drbg, `"reSeed": true`, `"reSeed": false`, "otherInput 1: intendedUse reSeed in a group with reSeed false"},
		{drbg, `"intendedUse": "reSeed"`, `"intendedUse": "reseed"`, "otherInput 1: entropyInput has 128 bits, but is said to have 0"},
		{drbg, `"intendedUse": "generate", "additionalInput": "4567"`, `"intendedUse": "instantiate", "additionalInput": "4567"`, `otherInput 3: unknown intendedUse "instantiate"`},
		{drbg, `{"intendedUse": "generate", "additionalInput": "4567"`, `{"additionalInput": "4567"`, `otherInput 3: unknown intendedUse ""`},
		{drbg, `"additionalInput": "4567", "entropyInput": ""}`, `"additionalInput": "4567", "entropyInput": ""},
			{"intendedUse": "reSeed", "additionalInput": "abcd", "entropyInput": "202122232425262728292A2B2C2D2E2F"}`, "tcId 9: otherInput does not end with generate"},
		{drbg, `"otherInput": [`, `"otherInput": [], "x": [`, `tcId 9: json: unknown field "x"`},

		// Groups and tests of hash functions.
		{sha, `"tgId": 1,`, `"tgId": 1, "function": "SHA3",`, `vsId 43: tgId 1: json: unknown field "function"`},
		{sha, `"testType": "AFT",`, ``, "vsId 43: tgId 1: testType is missing"},
		{sha, `"testType": "AFT"`, `"testType": "VOT"`, `vsId 43: tgId 1: unknown testType "VOT"`},
		{sha, `"testType": "AFT"`, `"testType": "AFT", "mctVersion": "standard"`, "tgId 1: mctVersion in a group of testType AFT"},
		{sha, `"mctVersion": "standard"`, `"mctVersion": "Standard"`, `tgId 2: unknown mctVersion "Standard"`},
		{sha, `"testType": "AFT", "tests": [`, `"testType": "AFT", "tests": []}, {"tgId": 11, "testType": "AFT", "tests": [`, "vsId 43: tgId 1: tests is missing or empty"},
		{sha, `"len": 24`, `"len": 16`, "tgId 1: tcId 2: msg has 24 bits, but is said to have 16"},
		{sha, `"len": 24`, `"len": 23`, "tgId 1: tcId 2: len is 23 bits: only whole bytes are supported"},
		{sha, `"msg": "616263", "len": 24`, `"msg": "616263"`, "tgId 1: tcId 2: len is missing"},
		{sha, `"msg": "00", "len": 0`, `"msg": "01", "len": 0`, "tgId 1: tcId 1: msg has 8 bits, but is said to have 0"},
		{sha, `"len": 24`, `"len": 24, "outLen": 256`, `tgId 1: tcId 2: json: unknown field "outLen"`},
		{sha, `"tcId": 3, "msg": "61", "len": 8`, `"tcId": 3, "msg": "` + strings.Repeat("00", 8193) + `", "len": 65544`, "tgId 2: tcId 3: len is 65544; the most for a Monte Carlo test is 65536"},
		{sha, `"largeMsg"`, `"msg"`, `tgId 3: tcId 4: json: unknown field "msg"`},
		{sha, `"largeMsg": {`, `"largeMsg": null}, {"tcId": 5, "largeMsg": {`, "tgId 3: tcId 4: largeMsg is missing"},
		{sha, `"contentLength": 16`, `"contentLength": 8`, "tgId 3: tcId 4: content has 16 bits, but is said to have 8"},
		{sha, `"contentLength": 16, `, ``, "tgId 3: tcId 4: contentLength is missing"},
		{sha, `"content": "6162", "contentLength": 16`, `"content": "", "contentLength": 0`, "tgId 3: tcId 4: fullLength is 24 and contentLength 0"},
		{sha, `"fullLength": 24`, `"fullLength": 8`, "tgId 3: tcId 4: fullLength is 8 and contentLength 16"},
		{sha, `"fullLength": 24`, `"fullLength": 25`, "tgId 3: tcId 4: fullLength is 25 bits: only whole bytes are supported"},
		{sha, `"fullLength": 24`, `"fullLength": 8589934600`, "tgId 3: tcId 4: fullLength is 8589934600, a message of 1073741825 bytes; the most is 1073741824 (flag -ldt)"},
		{sha, `"fullLength": 24`, `"fullLength": 9223372036854775800`, "tgId 3: tcId 4: fullLength is 9223372036854775800"},
		{sha, `"expansionTechnique": "repeating"`, `"expansionTechnique": "zeros"`, `tgId 3: tcId 4: unknown expansionTechnique "zeros"`},
	} {
		prompt := v.new
		if v.old != "" {
			if !strings.Contains(v.prompt, v.old) {
				t.Fatalf("the prompt has no %s", v.old)
			}
			prompt = strings.Replace(v.prompt, v.old, v.new, 1)
		}
		status, stdout, stderr := invoke(prompt)
		if status != 1 || stdout != "" {
			t.Errorf("%s → %s: exit status %d, output %q; want 1 and none", v.old, v.new, status, stdout)
		}
		if !strings.HasPrefix(stderr, "acvp: ") || !strings.Contains(stderr, v.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s → %s: %q; want one line with %q", v.old, v.new, stderr, v.want)
		}
	}
}

// Each test begins with a new generator.
func TestNewGenerator(t *testing.T) {
	var set [2]answerSet
	alone := goodDRBG[strings.Index(goodDRBG, `{"vsId"`) : len(goodDRBG)-1]
	test := strings.TrimSuffix(alone[strings.Index(alone, `{"tcId"`):], "]}]}")
	for i, prompt := range []string{alone, strings.Replace(alone, test, test+", "+test, 1)} {
		if err := json.Unmarshal([]byte(mustAnswer(t, prompt)), &set[i]); err != nil {
			t.Fatal(err)
		}
	}
	want, got := set[0].TestGroups[0].Tests, set[1].TestGroups[0].Tests
	if len(want) != 1 || len(got) != 2 || got[0].ReturnedBits != want[0].ReturnedBits || got[1].ReturnedBits != want[0].ReturnedBits {
		t.Errorf("got %+v, want %+v twice", got, want)
	}
}

// The limits are the last values that pass.
func TestLimits(t *testing.T) {
	for _, v := range []struct{ prompt, old, new string }{
		{goodDRBG, `"returnedBitsLen": 136`, `"returnedBitsLen": 524288`},
		{goodDRBG, `"returnedBitsLen": 136`, `"returnedBitsLen": 8`},
		{goodSHA, `"tcId": 3, "msg": "61", "len": 8`, `"tcId": 3, "msg": "` + strings.Repeat("00", 8192) + `", "len": 65536`},
		{goodSHA, `"fullLength": 24`, `"fullLength": 16`},
	} {
		mustAnswer(t, strings.Replace(v.prompt, v.old, v.new, 1))
	}
	if data, err := readAll(strings.NewReader("12345"), 5); err != nil || string(data) != "12345" {
		t.Errorf("5 bytes of 5: %q, %v", data, err)
	}
	if _, err := readAll(strings.NewReader("123456"), 5); err == nil || err.Error() != "longer than 5 bytes" {
		t.Errorf("6 bytes of 5: %v", err)
	}
}

func TestReadError(t *testing.T) {
	broken := errors.New("broken pipe")
	var stdout, stderr strings.Builder
	if status := run(nil, iotest.ErrReader(broken), &stdout, &stderr); status != 1 || stdout.Len() != 0 || stderr.String() != "acvp: prompt: broken pipe\n" {
		t.Errorf("exit status %d, %q, %q", status, &stdout, &stderr)
	}
}

// writeError is a writer that fails.
type writeError struct{}

func (writeError) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestWriteError(t *testing.T) {
	var stderr strings.Builder
	if status := run(nil, strings.NewReader(goodDRBG), writeError{}, &stderr); status != 1 || stderr.String() != "acvp: no space left\n" {
		t.Errorf("exit status %d, %q", status, &stderr)
	}
}

func TestUsage(t *testing.T) {
	for _, v := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"-h"}, 0, "Usage: acvp"},
		{[]string{"-x"}, 2, "flag provided but not defined: -x"},
		{[]string{"prompt.json"}, 2, `argument "prompt.json"; the prompt is read from standard input`},
		{[]string{"-ldt", "-1"}, 2, "-ldt -1; want 0…8"},
		{[]string{"-ldt", "9"}, 2, "-ldt 9; want 0…8"},
		{[]string{"-registration", "-check", "x"}, 2, "-registration and -check exclude each other"},
	} {
		status, stdout, stderr := invoke(goodDRBG, v.args...)
		if status != v.status || stdout != "" || !strings.Contains(stderr, v.want) {
			t.Errorf("%v: exit status %d, %q, %q; want %d and %q", v.args, status, stdout, stderr, v.status, v.want)
		}
	}
}

// The program itself, in a process of its own.
func TestCommand(t *testing.T) {
	command := func(stdin io.Reader, args ...string) (status int, stdout, stderr string) {
		exe, err := os.Executable()
		if err != nil {
			t.Skipf("the system does not tell where the test is: %v", err)
		}
		cmd := exec.Command(exe, args...)
		cmd.Env = append(os.Environ(), asMain+"=1")
		var out, errs strings.Builder
		cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
		var exit *exec.ExitError
		if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), out.String(), errs.String()
	}
	prompt, err := os.Open("testdata/ctrDRBG.prompt.json")
	if err != nil {
		t.Fatal(err)
	}
	defer prompt.Close()
	if status, stdout, stderr := command(prompt); status != 0 || stdout != readFile(t, "testdata/ctrDRBG.answer.json") || stderr != "" {
		t.Errorf("exit status %d, %q, %q", status, stdout, stderr)
	}
	if status, stdout, stderr := command(strings.NewReader("[")); status != 1 || stdout != "" || stderr != "acvp: prompt: unexpected end of JSON input\n" {
		t.Errorf("exit status %d, %q, %q", status, stdout, stderr)
	}
	if status, stdout, stderr := command(nil, "-x"); status != 2 || stdout != "" || stderr == "" {
		t.Errorf("exit status %d, %q, %q", status, stdout, stderr)
	}
}

func TestCheck(t *testing.T) {
	prompts, answers := published(t)
	write := func(t *testing.T, s string) string {
		t.Helper()
		name := filepath.Join(t.TempDir(), "expected.json")
		if err := os.WriteFile(name, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for i := range prompts {
		if testing.Short() && i%3 != 0 {
			continue
		}
		prompt, expected := readFile(t, prompts[i]), readFile(t, answers[i])

		// NIST's own files have large letters.
		for _, s := range []string{expected, strings.NewReplacer("a", "A", "b", "B", "e", "E").Replace(expected)} {
			// But not the names.
			s = strings.NewReplacer("AcvVErsion", "acvVersion", "vsId", "vsId", "Algorithm", "algorithm", "rEvision", "revision",
				"tEstGroups", "testGroups", "tEsts", "tests", "rEturnEdBits", "returnedBits", "rEsultsArrAy", "resultsArray").Replace(s)
			name := write(t, s)
			status, stdout, stderr := invoke(prompt, "-check", name)
			if status != 0 || !strings.HasSuffix(stdout, "answers, all as in "+name+"\n") || stderr != "" {
				t.Errorf("%s: exit status %d, %q, %q", prompts[i], status, stdout, stderr)
			}
		}
	}

	const expected = `{"vsId": 43, "algorithm": "SHA3-256", "revision": "2.0", "isSample": true, "testGroups": [{"tgId": 1, "tests": [
		{"tcId": 1, "md": "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"},
		{"tcId": 2, "md": "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"}]}]}`
	prompt := goodSHA[:strings.Index(goodSHA, `,
		{"tgId": 3`)] + "]}"
	if status, stdout, stderr := invoke(prompt, "-check", write(t, expected)); status != 0 || !strings.HasPrefix(stdout, "2 answers, all as in ") {
		t.Fatalf("exit status %d, %q, %q", status, stdout, stderr)
	}
	for _, v := range []struct{ old, new, want string }{
		{"a7ff", "a7fe", "2 answers, 1 differences from FILE:\nvsId 43, tgId 1, tcId 1: a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a instead of a7fec6f8"},
		{`"md": "3a98`, `"returnedBits": "4a98`, "vsId 43, tgId 1, tcId 2: 3a985da74"},
		{`"tcId": 2`, `"tcId": 3`, "2 answers, 2 differences from FILE:\nvsId 43, tgId 1, tcId 2: not in FILE\nvsId 43, tgId 1, tcId 3: not in the prompt\n"},
		{`"tgId": 1`, `"tgId": 2`, "2 answers, 4 differences"},
		{`"vsId": 43`, `"vsId": 44`, "2 answers, 4 differences"},
		{`"tcId": 2`, `"tcId": 1`, "vsId 43, tgId 1, tcId 1: twice"},
		{`"md": "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"`, `"resultsArray": [{"md": "3a"}]`, "tcId 2: 3a985da7"},
		{`"md": "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"`, `"md": ""`, "tcId 2: 3a985da7"},
		{`"md": "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"`, `"resultsArray": []`, "tcId 2: 3a985da7"},
		{`"isSample"`, `"x"`, `FILE: json: unknown field "x"`},
		{`]}]}`, ``, "FILE: unexpected end of JSON input"},
	} {
		name := write(t, strings.Replace(expected, v.old, v.new, 1))
		status, stdout, stderr := invoke(prompt, "-check", name)
		if status != 1 || stdout != "" || !strings.Contains(strings.ReplaceAll(stderr, name, "FILE"), v.want) {
			t.Errorf("%s → %s: exit status %d, %q, %q; want %q", v.old, v.new, status, stdout, stderr, v.want)
		}
	}

	// Of a Monte Carlo test the server gives the first results, for a sample.
	const mct = `{"vsId": 1, "algorithm": "SHA3-256", "revision": "2.0", "testGroups": [{"tgId": 1, "testType": "MCT", "tests": [{"tcId": 1,
		"msg": "aa64f7245e2177c654eb4de360da8761a516fdc7578c3498c5e582e096b8730c", "len": 256}]}]}`
	const first, second = `{"md": "225CBAC2BE6F329D94228C5360A1C177BC495A761C442A1771B1D18555C309A5"}`, `{"md": "96D364A1B1CED3DBBCE6380093FB1AC77221ABCEE30FAF16546FFAD8FE1EEF8C"}`
	for _, v := range []struct {
		results string
		status  int
		want    string
	}{
		{first, 0, ""},
		{first + "," + second, 0, ""},
		{second, 1, "vsId 1, tgId 1, tcId 1: 225cbac2"},
		{first + "," + first, 1, "vsId 1, tgId 1, tcId 1: "},
		{strings.Repeat(first+",", 100) + first, 1, "vsId 1, tgId 1, tcId 1: "},
	} {
		name := write(t, fmt.Sprintf(`{"vsId": 1, "testGroups": [{"tgId": 1, "tests": [{"tcId": 1, "resultsArray": [%s]}]}]}`, v.results))
		if status, stdout, stderr := invoke(mct, "-check", name); status != v.status || (stdout == "") != (status == 1) || !strings.Contains(stderr, v.want) {
			t.Errorf("%s: exit status %d, %q, %q", v.results, status, stdout, stderr)
		}
	}

	for _, name := range []string{filepath.Join(t.TempDir(), "missing"), write(t, "")} {
		if status, stdout, stderr := invoke(prompt, "-check", name); status != 1 || stdout != "" || !strings.Contains(stderr, name) {
			t.Errorf("%s: exit status %d, %q, %q", name, status, stdout, stderr)
		}
	}
}

// What is registered is answered, at both ends of each domain.
func TestRegistration(t *testing.T) {
	status, stdout, stderr := invoke("", "-registration", "-ldt", "3")
	if status != 0 || stderr != "" {
		t.Fatalf("exit status %d: %s", status, stderr)
	}
	if want := readFile(t, "testdata/registration.json"); stdout != want {
		t.Errorf("got\n%s", stdout)
	}
	type algorithm struct {
		Algorithm, Revision   string
		PredResistanceEnabled []bool
		ReseedImplemented     bool
		Capabilities          []map[string]any
		MessageLength         []any
		PerformLargeDataTest  []int
	}
	var file []struct {
		AcvVersion string
		IsSample   *bool
		Algorithms []algorithm
	}
	if err := json.Unmarshal([]byte(stdout), &file); err != nil || len(file) != 2 || file[0].AcvVersion != "1.0" || file[1].IsSample == nil {
		t.Fatalf("%v: %s", err, stdout)
	}

	tests, seen := 0, make(map[string]bool)
	for _, a := range file[1].Algorithms {
		seen[a.Algorithm] = true
		answerIt := func(group map[string]any) {
			t.Helper()
			prompt, err := json.Marshal(map[string]any{"vsId": 1, "algorithm": a.Algorithm, "revision": a.Revision, "testGroups": []any{group}})
			if err != nil {
				t.Fatal(err)
			}
			if status, _, stderr := invoke(string(prompt)); status != 0 {
				t.Errorf("%s: %v: %s", a.Algorithm, group, stderr)
			}
			tests++
		}
		for _, bits := range ends(a.MessageLength) {
			answerIt(map[string]any{"tgId": 1, "testType": "AFT", "tests": []any{
				map[string]any{"tcId": 1, "len": bits, "msg": strings.Repeat("00", bits/8)}}})
		}
		for _, size := range a.PerformLargeDataTest {
			if size > 3 {
				t.Errorf("%s: a large data test of %d GiB", a.Algorithm, size)
			}
		}
		for _, c := range a.Capabilities {
			for end := range 2 {
				for _, pr := range a.PredResistanceEnabled {
					length := func(name string) int { return ends(c[name].([]any))[end] }
					value := func(name string) string { return strings.Repeat("5a", length(name)/8) }
					other := func(use, entropy string) any {
						return map[string]any{"intendedUse": use, "entropyInput": entropy, "additionalInput": value("additionalInputLen")}
					}
					entropy := value("entropyInputLen")
					inputs := []any{other("reSeed", entropy), other("generate", ""), other("generate", "")}
					if pr {
						inputs = []any{other("generate", entropy), other("generate", entropy)}
					}
					answerIt(map[string]any{
						"tgId": 1, "testType": "AFT", "mode": c["mode"], "derFunc": c["derFuncEnabled"],
						"reSeed": a.ReseedImplemented, "predResistance": pr,
						"entropyInputLen": length("entropyInputLen"), "nonceLen": length("nonceLen"),
						"persoStringLen": length("persoStringLen"), "additionalInputLen": length("additionalInputLen"),
						"returnedBitsLen": c["returnedBitsLen"],
						"tests": []any{map[string]any{
							"tcId": 1, "entropyInput": entropy, "nonce": value("nonceLen"), "persoString": value("persoStringLen"),
							"otherInput": inputs,
						}},
					})
				}
			}
		}
	}
	// 6 hash functions, 6 variants of CTR_DRBG, 7 modes of each of the other two.
	if want := 2*6 + 4*6 + 4*7*2; tests != want {
		t.Errorf("%d tests; want %d", tests, want)
	}
	for name := range algorithms {
		if !seen[name] {
			t.Errorf("%s is not registered", name)
		}
	}
}

// ends returns the least and the greatest number of a domain, if there is one: of
// numbers, or of one segment.
func ends(domain []any) []int {
	if len(domain) == 0 {
		return nil
	}
	if s, ok := domain[0].(map[string]any); ok && len(domain) == 1 {
		return []int{int(s["min"].(float64)), int(s["max"].(float64))}
	}
	return []int{int(domain[0].(float64)), int(domain[len(domain)-1].(float64))}
}

// Without memory for them, no large data tests are asked for.
func TestRegistrationWithoutLDT(t *testing.T) {
	for ldt, want := range map[int]int{0: 0, 1: 1, 2: 2, 4: 3, 7: 3, 8: 4} {
		status, stdout, _ := invoke("", "-registration", "-ldt", strconv.Itoa(ldt))
		if status != 0 {
			t.Fatal(status)
		}
		var file []struct {
			Algorithms []struct {
				Algorithm            string
				PerformLargeDataTest []int
			}
		}
		if err := json.Unmarshal([]byte(stdout), &file); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(stdout, "performLargeDataTest"); got != (want != 0) {
			t.Errorf("-ldt %d: performLargeDataTest is there: %v", ldt, got)
		}
		for _, a := range file[1].Algorithms {
			if strings.HasPrefix(a.Algorithm, "SHA") && len(a.PerformLargeDataTest) != want {
				t.Errorf("-ldt %d: %s: %v", ldt, a.Algorithm, a.PerformLargeDataTest)
			}
		}
	}
}

// Whatever the prompt, there is an error, or an answer to each test.
func FuzzPrompt(f *testing.F) {
	f.Fuzz(func(t *testing.T, prompt []byte) {
		version, answers, err := answerPrompt(prompt, 1<<16)
		if err != nil {
			if answers != nil {
				t.Errorf("answers and an error: %v", err)
			}
			return
		}
		out, err := encode(version, answers)
		if err != nil {
			t.Fatal(err)
		}
		v, back, err := split[answerSet](out)
		if err != nil || v != version {
			t.Fatalf("%v, version %q: %s", err, v, out)
		}
		_, sets, err := split[vectorSet](prompt)
		if err != nil || len(sets) != len(back) {
			t.Fatalf("%v: %d answers to %d vector sets", err, len(back), len(sets))
		}
		for i, set := range sets {
			if len(set.TestGroups) != len(back[i].TestGroups) {
				t.Fatalf("%d answers to %d groups", len(back[i].TestGroups), len(set.TestGroups))
			}
			for j, raw := range set.TestGroups {
				var g struct{ Tests []any }
				if err := json.Unmarshal(raw, &g); err != nil || len(g.Tests) != len(back[i].TestGroups[j].Tests) {
					t.Fatalf("%v: %d answers to %d tests", err, len(back[i].TestGroups[j].Tests), len(g.Tests))
				}
				for _, a := range back[i].TestGroups[j].Tests {
					if a.ReturnedBits+a.MD == "" && len(a.ResultsArray) != mctOuter {
						t.Fatalf("tcId %d: no answer", a.TcID)
					}
				}
			}
		}
	})
}
