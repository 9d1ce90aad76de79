package smoke_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha512"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/internal/smoke"
)

var seedFlag = flag.String("smoke-seed", "", "`hex` of the seed of a run that failed; a new one otherwise")

// seed returns the seed of this run, and has it printed if the test fails.
func seed(t *testing.T) []byte {
	t.Helper()
	s, err := hex.DecodeString(*seedFlag)
	if err != nil {
		t.Fatal(err)
	}
	if len(s) == 0 {
		s = make([]byte, 64)
		rand.Read(s)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("to repeat it: -smoke-seed %x", s)
		}
	})
	return s
}

// A mechanism is one way to make a generator.
type mechanism struct {
	name string
	new  func() (drng.DRNG, error)
}

// mechanisms returns all that there are.
func mechanisms() (list []mechanism) {
	for _, bits := range []int{128, 192, 256} {
		for _, noDF := range []bool{false, true} {
			name := fmt.Sprintf("CTR, AES-%d", bits)
			if noDF {
				name += ", no df"
			}
			list = append(list, mechanism{name, func() (drng.DRNG, error) { return drng.NewCTR(drng.CTRConfig{KeyBits: bits, NoDF: noDF}) }})
		}
	}
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA512_256, crypto.SHA3_256, crypto.SHA3_384, crypto.SHA3_512} {
		list = append(list,
			mechanism{"Hash, " + h.String(), func() (drng.DRNG, error) { return drng.NewHash(h) }},
			mechanism{"HMAC, " + h.String(), func() (drng.DRNG, error) { return drng.NewHMAC(h) }})
	}
	return append(list,
		mechanism{"ChaCha20", func() (drng.DRNG, error) { return drng.NewChaCha20(), nil }},
		mechanism{"XDRBG", func() (drng.DRNG, error) { return drng.NewXDRBG(), nil }})
}

// outputSize is how much of each mechanism is looked at, in bytes.
func outputSize() int {
	if testing.Short() {
		return 100 * smoke.BlockSize
	}
	return 25_000_000
}

// output fills p with output of a new instance: an eighth in requests of 32 bytes, and the
// rest in the longest ones. The instance is seeded from the seed and its name.
func output(t *testing.T, m mechanism, seed, p []byte) {
	t.Helper()
	d, err := m.new()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Clear()
	own := sha512.Sum512(append([]byte(m.name), seed...))
	size := d.Info().SeedSize
	if size == 0 {
		size = len(own)
	}
	if err := d.Seed(own[:size], nil); err != nil {
		t.Fatal(err)
	}
	small := len(p) / 8
	for done := 0; done < len(p); {
		n := 32
		if done >= small {
			n = d.Info().MaxRequest
		}
		n = min(n, len(p)-done)
		if err := d.Generate(p[done:done+n], nil); err != nil {
			t.Fatal(err)
		}
		done += n
	}
}

// 25 MB of each mechanism, in all statistics of package smoke. There are less than 2¹³ limits
// in all, each of which a perfect generator exceeds with a probability of 2⁻⁷⁴: the test fails
// by chance with a probability of less than 2⁻⁶⁰.
func TestOutput(t *testing.T) {
	s := seed(t)
	var limits, failed, blocks atomic.Int64
	t.Cleanup(func() { // after all mechanisms
		if limits.Load() >= 1<<13 {
			t.Errorf("%d limits: more than the probability above is for", limits.Load())
		}
		t.Logf("of %d blocks %d fail; some %.1f are expected", blocks.Load(), failed.Load(), smoke.BlockProbability*float64(blocks.Load()))
	})
	for _, m := range mechanisms() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			p := make([]byte, outputSize())
			output(t, m, s, p)
			list, err := smoke.Run(p)
			if err != nil {
				t.Fatal(err)
			}
			worst, most := "", 0.0
			for _, r := range list {
				limits.Add(2)
				if !r.Passed() {
					t.Error(r)
				}
				if r.Low == -r.High && math.Abs(r.Value/r.High) > most {
					worst, most = r.Name, math.Abs(r.Value/r.High)
				}
			}
			by, n := smoke.Blocks(p)
			failed.Add(int64(n))
			blocks.Add(int64(len(p) / smoke.BlockSize))
			t.Logf("%d statistics; of the normal ones the worst is %s, at %.2f of its limit; of %d blocks %d fail: %+v", len(list), worst, most, len(p)/smoke.BlockSize, n, by)
		})
	}
}

// The programs ent and rngtest get the same numbers from the output of each mechanism as
// package smoke does. This is no matter of chance.
func TestTools(t *testing.T) {
	for _, tool := range []string{"ent", "rngtest"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%v: it is in the packages ent and rng-tools-debian of Debian", err)
		}
	}
	s := seed(t)
	for _, m := range mechanisms() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			p := make([]byte, min(outputSize(), 400*smoke.BlockSize))
			output(t, m, s, p)
			compareEnt(t, p)
			compareRngtest(t, p)
		})
	}
	// Bytes with a bias, of which blocks fail each test.
	p := make([]byte, 200*smoke.BlockSize)
	output(t, mechanisms()[0], s, p)
	for i := range p {
		if i%9 == 0 {
			p[i] |= p[i] >> 1
		}
		if i%30_000 == 0 {
			copy(p[i:], make([]byte, 4))
		}
	}
	compareEnt(t, p)
	if by := compareRngtest(t, p); by.Monobit == 0 || by.Poker == 0 || by.Runs == 0 || by.LongRun == 0 {
		t.Errorf("biased bytes do not fail each test: %+v", by)
	}
}

// tool runs a program on p and returns what it prints.
func tool(t *testing.T, p []byte, name string, args ...string) (out string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(p)
	b, err := cmd.CombinedOutput()
	// rngtest returns 1 if a block has failed.
	if exit := (*exec.ExitError)(nil); err != nil && (name != "rngtest" || !errors.As(err, &exit)) {
		t.Fatalf("%s: %v: %s", name, err, b)
	}
	return string(b)
}

// compareEnt compares what ent computes of bytes.
func compareEnt(t *testing.T, p []byte) {
	t.Helper()
	t.Helper()
	lines, err := csv.NewReader(strings.NewReader(tool(t, p, "ent", "-t"))).ReadAll()
	if err != nil || len(lines) != 2 || len(lines[1]) != len(lines[0]) {
		t.Fatalf("ent -t: %q, %v", lines, err)
	}
	list, err := smoke.Run(p)
	if err != nil {
		t.Fatal(err)
	}
	value := map[string]float64{}
	for _, r := range list {
		value[r.Name] = r.Value
	}
	compared := 0
	for i, column := range lines[0] {
		got, err := strconv.ParseFloat(lines[1][i], 64)
		var want float64
		switch column {
		case "Chi-square":
			want = value["chi-square of bytes"]
		case "Mean":
			want = 127.5 + value["mean of bytes"]*math.Sqrt(5461.25/float64(len(p)))
		default:
			continue
		}
		compared++
		if err != nil || !(math.Abs(got-want) < 1e-5*math.Abs(want)) {
			t.Errorf("%s: ent has %v, %v; we have %v", column, got, err, want)
		}
	}
	if compared != 2 {
		t.Errorf("ent -t has no chi-square or no mean: %q", lines[0])
	}
}

// compareRngtest compares how many blocks fail which test.
func compareRngtest(t *testing.T, p []byte) smoke.Failures {
	t.Helper()
	// It takes the first four bytes for its continuous test, and prints a line for each
	// test to standard error.
	want, failed := smoke.Blocks(p[4:])
	out := tool(t, p, "rngtest")
	for line, n := range map[string]int{
		"FIPS 140-2 failures": failed, "Monobit": want.Monobit, "Poker": want.Poker, "Runs": want.Runs, "Long run": want.LongRun,
		"FIPS 140-2 successes": (len(p)-4)/smoke.BlockSize - failed, "Continuous run": 0,
	} {
		m := regexp.MustCompile(regexp.QuoteMeta(line) + `: (\d+)\n`).FindStringSubmatch(out)
		if m == nil || m[1] != strconv.Itoa(n) {
			t.Errorf("%s: rngtest has %q; want %d\n%s", line, m, n, out)
		}
	}
	return want
}
