// Package vectors reads published test vectors of deterministic random bit
// generators, for tests only.
//
// It knows the text files of NIST's CAVP, version 14.3, with and without
// intermediate values; the JSON files of NIST's ACVP, with the answers beside
// the questions; and the small JSON files in which this project keeps the worked
// examples of the NIST toolkit and the known answers of XDRBG-256 and of the
// ChaCha20 DRNG. Whatever the form, a case becomes a list of calls.
//
// The readers are strict. A field they do not know, a length that differs from
// the announced one, a file that ends early or has no case at all is an error:
// a vector that is not read is a test that passes for no reason.
package vectors

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Env is the environment variable that names the directory of vector files.
const Env = "LRNG_VECTORS"

// A Set is what one file holds.
type Set struct {
	Name   string // of the file
	Groups []Group
}

// Cases returns the number of cases in s.
func (s *Set) Cases() int {
	n := 0
	for i := range s.Groups {
		n += len(s.Groups[i].Cases)
	}
	return n
}

// Names of mechanisms.
const (
	CTR      = "CTR_DRBG"
	Hash     = "Hash_DRBG"
	HMAC     = "HMAC_DRBG"
	XDRBG    = "XDRBG"
	ChaCha20 = "ChaCha20"
)

// A Group is a number of cases for one generator.
type Group struct {
	Mechanism string

	// Algorithm is the hash function, in the spelling of crypto.Hash, or the
	// block cipher, as in "AES-256" or "3KeyTDEA", and empty if there is no
	// choice. It need not be one that this module has.
	Algorithm string

	NoDF  bool // CTR_DRBG without derivation function
	Cases []Case
}

// String returns the name of the generator.
func (g *Group) String() string {
	s := g.Mechanism
	if g.Algorithm != "" {
		s += " " + g.Algorithm
	}
	if g.NoDF {
		s += " no df"
	}
	return s
}

// A Case is a list of calls to a new generator.
type Case struct {
	Name    string
	Counter uint32 // ChaCha20: the block counter to start with
	Steps   []Step
}

// A Step is one call, and what must come of it. A generate request with
// prediction resistance is two steps: a reseed with the additional input, and a
// request without (SP 800-90A Rev. 1, Section 9.3.1, Step 7).
type Step struct {
	Op         Op
	Seed       []byte // Instantiate, Reseed: entropy input ‖ nonce
	Additional []byte // personalization string or additional input
	Length     int    // Generate: in bytes
	Want       []byte // Generate: the output, nil if the file does not tell
	State      *State // after the step, nil if the file does not tell
}

// An Op says what a Step does.
type Op string

// The kinds of steps.
const (
	Instantiate Op = "instantiate"
	Reseed      Op = "reseed"
	Generate    Op = "generate"
)

// A State is the working state of a generator. Fields that it does not have are
// nil or zero.
type State struct {
	V, Key, C     []byte
	ReseedCounter uint64
}

// maxFile is the length of the longest file that is read, in bytes. The largest
// file of CAVP has less than a tenth of it.
const maxFile = 64 << 20

// Load reads all vector files below dir, in lexical order. It skips the folders
// health and sp80090b, which hold data for other tests, and files that are named
// README or LICENSE. Every other file must be one that it can read.
func Load(dir string) ([]*Set, error) {
	var sets []*Set
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != dir && (name == "health" || name == "sp80090b") {
				return fs.SkipDir
			}
			return nil
		}
		if upper := strings.ToUpper(name); strings.HasPrefix(upper, "README") || strings.HasPrefix(upper, "LICENSE") {
			return nil
		}
		s, err := read(path)
		if err != nil {
			return fmt.Errorf("vectors: %s: %w", path, err)
		}
		if rel, err := filepath.Rel(dir, path); err == nil {
			s.Name = filepath.ToSlash(rel)
		}
		sets = append(sets, s)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(sets) == 0 {
		return nil, fmt.Errorf("vectors: no vector file in %s", dir)
	}
	return sets, nil
}

func read(path string) (*Set, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	return parse(filepath.Base(path), data)
}

// Parse reads the content of a file. CAVP does not say in its files which
// mechanism they are for, so their names must be as published: CTR_DRBG.rsp or
// CTR_DRBG.txt, with Hash_DRBG and HMAC_DRBG likewise.
func Parse(name string, data []byte) (*Set, error) {
	s, err := parse(name, data)
	if err != nil {
		return nil, fmt.Errorf("vectors: %s: %w", name, err)
	}
	return s, nil
}

func parse(name string, data []byte) (*Set, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("more than %d bytes", maxFile)
	}
	var groups []Group
	var err error
	ext := filepath.Ext(name)
	switch ext {
	case ".rsp", ".txt":
		base := strings.TrimSuffix(name, ext)
		if base != CTR && base != Hash && base != HMAC {
			return nil, errors.New("not the name of a CAVP file")
		}
		groups, err = parseCAVP(base, data)
	case ".json":
		groups, err = parseJSON(data)
	default:
		return nil, errors.New("not the name of a vector file")
	}
	if err != nil {
		return nil, err
	}
	s := &Set{Name: name, Groups: groups}
	if s.Cases() == 0 {
		return nil, errors.New("no cases")
	}
	return s, nil
}

// hexField decodes a value that must have the given length in bits, or any
// length if bits is negative.
func hexField(name, value string, bits int) ([]byte, error) {
	b, err := hex.DecodeString(value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if bits >= 0 && len(b) != bits/8 || bits > 0 && bits%8 != 0 {
		return nil, fmt.Errorf("%s has %d bits, expected %d", name, 8*len(b), bits)
	}
	return b, nil
}

// seedMaterial returns what instantiates a generator. Without derivation
// function there is no nonce (SP 800-90A Rev. 1, Section 10.2.1.3.1), and one
// that is given all the same is not used.
func seedMaterial(g *Group, entropy, nonce []byte) []byte {
	if g.NoDF {
		return entropy
	}
	return append(entropy, nonce...)
}
