package main

import (
	"bytes"
	"regexp"
	"testing"
)

func TestOutput(t *testing.T) {
	var first, second bytes.Buffer
	for _, w := range []*bytes.Buffer{&first, &second} {
		if err := run(w); err != nil {
			t.Fatal(err)
		}
	}
	for _, pattern := range []string{
		`(?m)^DRNG name: (?:ChaCha20|CTR_DRBG AES-256)$`, // the latter in FIPS mode
		`(?m)^LRNG security strength in bits: 256$`,
		`(?m)^LRNG fully seeded: true$`,
		`(?m)^ Name: jitter$`,
		`(?m)^ Name: cpu$`,
		`(?m)^ Name: os\n Requested entropy: \d+\n Credited entropy: \d+\n Maximum entropy: \d+$`,
		`(?m)^ Health: .+\n Time: .+$`,
		`(?m)^32 bytes: +([0-9a-f]{64})$`,
		`(?m)^A token: +([A-Z2-7]{26})$`,
		`(?m)^A die: +[1-6]$`,
		`(?m)^Prediction resistant: +([0-9a-f]{64})$`,
		`(?m)^A seed: +\d+ bytes with (38[4-9]|39\d|[4-9]\d\d|\d{4}) bits of min-entropy$`,
	} {
		re := regexp.MustCompile(pattern)
		a, b := re.FindStringSubmatch(first.String()), re.FindStringSubmatch(second.String())
		if a == nil || b == nil {
			t.Errorf("nothing matches %s in:\n%s", pattern, first.String())
			continue
		}
		if len(a) == 2 && len(a[1]) >= 26 && a[1] == b[1] {
			t.Errorf("%s: twice the same", pattern)
		}
	}
}
