package drng

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/lrng-go/lrng/internal/vectors"
)

// TestVectors runs every case below the directory that LRNG_VECTORS names, with
// the working state after every step where the file has it. Cases for
// generators that this package does not have are counted, and the counts are
// logged (go test -v).
func TestVectors(t *testing.T) {
	dir := os.Getenv(vectors.Env)
	if dir == "" {
		t.Skip(vectors.Env + " is not set: it names a directory of CAVP and ACVP files")
	}
	testVectors(t, dir)
}

// TestKnownAnswers runs the published examples that are part of this package
// (A21): for each mechanism and hash function at least one. Their origin is in
// the files.
func TestKnownAnswers(t *testing.T) { testVectors(t, "testdata/vectors") }

func testVectors(t *testing.T, dir string) {
	sets, err := vectors.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	cases, run := 0, 0
	for _, s := range sets {
		cases += s.Cases()
		t.Run(s.Name, func(t *testing.T) { run += testVectorSet(t, s) })
	}
	t.Logf("%d cases in %d files: %d run, %d not supported", cases, len(sets), run, cases-run)
	if run == 0 {
		t.Error("no case was run")
	}
}

// errVectorsNotSupported says that this package has no such generator, and that
// this is known: a name that was never heard of is another error.
var errVectorsNotSupported = errors.New("not supported")

// vectorsNotSupported are the algorithms of CAVP and ACVP for which this package
// has no generator.
var vectorsNotSupported = []string{"SHA-1", "SHA-224", "SHA-512/224", "SHA3-224", "3KeyTDEA"}

// testVectorSet returns the number of cases that it has run.
func testVectorSet(t *testing.T, s *vectors.Set) (run int) {
	// The groups of one generator are spread over the file.
	var names []string
	byName := make(map[string][]*vectors.Group)
	for i := range s.Groups {
		g := &s.Groups[i]
		if byName[g.String()] == nil {
			names = append(names, g.String())
		}
		byName[g.String()] = append(byName[g.String()], g)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			d, err := newVectorsDRNG(byName[name][0])
			cases, steps, states := 0, 0, 0
			for _, g := range byName[name] {
				cases += len(g.Cases)
				if err != nil {
					continue
				}
				for i := range g.Cases {
					c := &g.Cases[i]
					steps += len(c.Steps)
					n, err := runVector(d, c, false)
					if err == nil {
						_, err = runVector(d, c, true)
					}
					if err != nil {
						t.Fatalf("%s: %v", c.Name, err)
					}
					states += n
				}
			}
			switch {
			case errors.Is(err, errVectorsNotSupported):
				t.Skipf("not supported: %d cases", cases)
			case err != nil:
				t.Fatal(err)
			default:
				t.Logf("%d cases, %d calls, %d working states", cases, steps, states)
				run += cases
			}
		})
	}
	return run
}

// runVector runs c on d, which it clears first, and returns the number of
// working states that were compared. If alias is set the additional input of
// a request is in the memory of its output, where that is large enough.
func runVector(d DRNG, c *vectors.Case, alias bool) (states int, err error) {
	d.Clear()
	if err := startVector(d, c); err != nil {
		return 0, err
	}
	for i := range c.Steps {
		s := &c.Steps[i]
		fail := func(format string, args ...any) (int, error) {
			return 0, fmt.Errorf("step %d, %s: %s", i, s.Op, fmt.Sprintf(format, args...))
		}
		switch s.Op {
		case vectors.Instantiate, vectors.Reseed:
			if err := d.Seed(s.Seed, s.Additional); err != nil {
				return fail("%v", err)
			}
		case vectors.Generate:
			out, additional := bytes.Repeat([]byte{0xa5}, s.Length), s.Additional
			if alias {
				additional = out[:copy(out, additional)]
				if len(additional) < len(s.Additional) {
					additional = s.Additional
				}
			}
			if err := d.Generate(out, additional); err != nil {
				return fail("%v", err)
			}
			if s.Want != nil && !bytes.Equal(out, s.Want) {
				return fail("got  %x\nwant %x", out, s.Want)
			}
		default:
			return fail("unknown kind of step")
		}
		if s.State != nil {
			if err := compareVectorsState(d, s.State); err != nil {
				return fail("%v", err)
			}
			states++
		}
	}
	return states, nil
}

// newVectorsDRNG returns the generator of g.
func newVectorsDRNG(g *vectors.Group) (DRNG, error) {
	if slices.Contains(vectorsNotSupported, g.Algorithm) {
		return nil, errVectorsNotSupported
	}
	switch g.Mechanism {
	case vectors.Hash, vectors.HMAC:
		for _, h := range hashFunctions {
			if h.String() != g.Algorithm {
				continue
			}
			if g.Mechanism == vectors.Hash {
				return NewHash(h)
			}
			return NewHMAC(h)
		}
	case vectors.XDRBG:
		return NewXDRBG(), nil
	case vectors.CTR, vectors.ChaCha20:
		return newVectorsCipherDRNG(g)
	}
	return nil, fmt.Errorf("unknown generator %v", g)
}

// hashFunctions are those of NewHash and NewHMAC.
var hashFunctions = []crypto.Hash{
	crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA512_256,
	crypto.SHA3_256, crypto.SHA3_384, crypto.SHA3_512,
}

// compareVectorsState compares the working state of d with want.
func compareVectorsState(d DRNG, want *vectors.State) error {
	var got vectors.State
	switch d := d.(type) {
	case *Hash:
		got = vectors.State{V: d.v[1:d.n], C: d.c[1:d.n], ReseedCounter: d.reseedCounter}
	case *HMAC:
		n := d.digest.size
		got = vectors.State{V: d.v[:n], Key: d.key[:n], ReseedCounter: d.reseedCounter}
	default:
		var err error
		if got, err = vectorsCipherState(d); err != nil {
			return err
		}
	}
	if want.ReseedCounter == 0 {
		got.ReseedCounter = 0 // not told
	}
	if !bytes.Equal(got.V, want.V) || !bytes.Equal(got.Key, want.Key) || !bytes.Equal(got.C, want.C) || got.ReseedCounter != want.ReseedCounter {
		return fmt.Errorf("working state\ngot  %x\nwant %x", got, *want)
	}
	return nil
}
