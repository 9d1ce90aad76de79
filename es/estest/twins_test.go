package estest_test

import (
	"context"
	"crypto"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
)

// A twin is a source that delivers the same in each process: digests of its name and the
// number of the call.
type twin struct {
	name  string
	calls atomic.Uint64
}

func (s *twin) Info() es.Info          { return es.Info{Name: s.name, MaxEntropy: 256, Health: true} }
func (s *twin) Available(bits int) int { return max(0, min(bits, 256)) }
func (s *twin) GetEntropy(_ context.Context, p []byte, bits int) (int, error) {
	seed := binary.BigEndian.AppendUint64([]byte(s.name), s.calls.Add(1))
	for n := 0; n < len(p); {
		sum := sha512.Sum512(seed)
		seed = sum[:]
		n += copy(p[n:], sum[:32])
	}
	return max(0, min(bits, 256, 8*len(p))), nil
}

// A deterministic is a mechanism that knows nothing but the data of the sources: not what
// the generator adds to them, the time above all.
type deterministic struct{ *drng.Hash }

func (d deterministic) Seed(seed, _ []byte) error    { return d.Hash.Seed(seed, nil) }
func (d deterministic) Generate(out, _ []byte) error { return d.Hash.Generate(out, nil) }

const twinsEnv = "LRNG_TEST_TWINS"

// E1: two processes whose sources deliver the same. If what one source of several delivers
// is different, so are the outputs. To show that it is that, and not what makes all
// generators different, the mechanism is kept from the latter: then the outputs of twins
// are the same. With the mechanism as it is they are not.
func TestTwins(t *testing.T) {
	if names := os.Getenv(twinsEnv); names != "" {
		twinOutput(t, strings.Fields(names))
		return
	}
	output := func(names string) string {
		t.Helper()
		cmd := exec.Command(os.Args[0], "-test.run=^TestTwins$", "-test.timeout=60s")
		cmd.Env = append(os.Environ(), twinsEnv+"="+names)
		out, err := cmd.CombinedOutput()
		_, value, ok := strings.Cut(string(out), "output: ")
		value, _, _ = strings.Cut(value, "\n")
		if err != nil || !ok || len(value) != 2*64 {
			t.Fatalf("%v\n%s", err, out)
		}
		return value
	}
	if a, b := output("deterministic a b c"), output("deterministic a b c"); a != b {
		t.Fatalf("the outputs of twins differ already, so this shows nothing:\n%s\n%s", a, b)
	} else {
		for _, names := range []string{"deterministic x b c", "deterministic a x c", "deterministic a b x"} {
			if output(names) == a {
				t.Errorf("%s: the same output as with a b c", names)
			}
		}
	}
	if a, b := output("real a b c"), output("real a b c"); a == b {
		t.Error("twins have the same output")
	}
}

func twinOutput(t *testing.T, names []string) {
	c := lrng.Config{Shards: 1}
	for _, name := range names[1:] {
		c.Sources = append(c.Sources, &twin{name: name})
	}
	if names[0] == "deterministic" {
		c.DRNG = func() (drng.DRNG, error) {
			d, err := drng.NewHash(crypto.SHA512)
			return deterministic{d}, err
		}
	}
	r, err := lrng.New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var p [64]byte
	if _, err := r.Read(p[:]); err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString("output: " + hex.EncodeToString(p[:]) + "\n")
}
