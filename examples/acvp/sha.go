package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"math"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/lrng-go/lrng/conditioner"
)

// shaConditioners are the hash functions, in the form in which the library uses
// them.
var shaConditioners = map[string]conditioner.Conditioner{
	"SHA2-256": conditioner.SHA256,
	"SHA2-384": conditioner.SHA384,
	"SHA2-512": conditioner.SHA512,
	"SHA3-256": conditioner.SHA3_256,
	"SHA3-384": conditioner.SHA3_384,
	"SHA3-512": conditioner.SHA3_512,
}

// Lengths of Monte Carlo tests.
const (
	mctOuter = 100
	mctInner = 1000

	// maxSeed is the length of the longest seed, in bits: the one of the longest
	// message that can be registered.
	maxSeed = 1 << 16
)

// A shaGroup is a group of tests of one type of one hash function.
type shaGroup struct {
	group
	MctVersion *string `json:"mctVersion"`

	// The server sends them with Monte Carlo tests of SHA3, revision 1.0, too. They
	// mean something for SHAKE only.
	MaxOutLen int64 `json:"maxOutLen"`
	MinOutLen int64 `json:"minOutLen"`

	algorithm string
	ldt       int64 // bytes
}

// A shaTest is an AFT or an MCT.
type shaTest struct {
	TcID int64  `json:"tcId"`
	Msg  string `json:"msg"`
	Len  *int64 `json:"len"` // bits
}

// An ldtTest is an LDT. Lengths are in bits.
type ldtTest struct {
	TcID     int64 `json:"tcId"`
	LargeMsg *struct {
		Content            string `json:"content"`
		ContentLength      *int64 `json:"contentLength"`
		FullLength         *int64 `json:"fullLength"`
		ExpansionTechnique string `json:"expansionTechnique"`
	} `json:"largeMsg"`
}

func newSHAGroup(algorithm string, ldt int64) tester {
	return &shaGroup{algorithm: algorithm, ldt: ldt}
}

func (g *shaGroup) tests() ([]json.RawMessage, error) {
	if g.TestType == nil {
		return nil, errors.New("testType is missing")
	}
	switch *g.TestType {
	case "AFT", "LDT":
		if g.MctVersion != nil {
			return nil, fmt.Errorf("mctVersion in a group of testType %s", *g.TestType)
		}
	case "MCT":
		// Until July 2023 there was no mctVersion, and what is standard now was all.
		if g.MctVersion != nil && *g.MctVersion != "standard" && *g.MctVersion != "alternate" {
			return nil, fmt.Errorf("unknown mctVersion %q", *g.MctVersion)
		}
	default:
		return nil, fmt.Errorf("unknown testType %q", *g.TestType)
	}
	return g.Tests, nil
}

func (g *shaGroup) answer(raw json.RawMessage) (answer, error) {
	h := shaConditioners[g.algorithm].New()
	if *g.TestType == "LDT" {
		msg, err := g.largeMessage(raw)
		if err != nil {
			return answer{}, err
		}
		h.Write(msg)
		if len(msg) >= 1<<30 {
			// The next message needs the memory, and does not wait for the collector.
			msg = nil
			debug.FreeOSMemory()
		}
		return answer{MD: hex.EncodeToString(h.Sum(nil))}, nil
	}

	var t shaTest
	if err := decode(raw, &t); err != nil {
		return answer{}, err
	}
	n, err := wholeBytes("len", t.Len)
	if err != nil {
		return answer{}, err
	}
	if n == 0 && t.Msg == "00" {
		t.Msg = "" // The specification writes an empty message so.
	}
	msg, err := unhex("msg", t.Msg, n)
	switch {
	case err != nil:
		return answer{}, err
	case *g.TestType == "AFT":
		h.Write(msg)
		return answer{MD: hex.EncodeToString(h.Sum(nil))}, nil
	case *t.Len > maxSeed:
		return answer{}, fmt.Errorf("len is %d; the most for a Monte Carlo test is %d", *t.Len, maxSeed)
	}
	digests := 1
	if strings.HasPrefix(g.algorithm, "SHA2") {
		digests = 3
	}
	return answer{ResultsArray: monteCarlo(h, msg, digests, g.MctVersion != nil && *g.MctVersion == "alternate")}, nil
}

// monteCarlo is the Monte Carlo test of SHA2 and SHA3. A message consists of the last
// digests: three of them (A, B and C) for SHA2, one for SHA3. In the alternate
// version it is cut, or filled with zeros, to the length of the first seed.
func monteCarlo(h hash.Hash, seed []byte, digests int, alternate bool) []result {
	var results []result
	length := len(seed)
	for range mctOuter {
		last := slices.Repeat([][]byte{seed}, digests)
		for range mctInner {
			msg := slices.Concat(last...)
			if alternate {
				msg = append(msg, make([]byte, length)...)[:length]
			}
			h.Reset()
			h.Write(msg)
			last = append(last[1:], h.Sum(nil))
		}
		seed = last[digests-1]
		results = append(results, result{hex.EncodeToString(seed)})
	}
	return results
}

// largeMessage returns the message of a large data test.
func (g *shaGroup) largeMessage(raw json.RawMessage) ([]byte, error) {
	var t ldtTest
	if err := decode(raw, &t); err != nil {
		return nil, err
	}
	large := t.LargeMsg
	if large == nil {
		return nil, errors.New("largeMsg is missing")
	}
	n, err := wholeBytes("contentLength", large.ContentLength)
	if err != nil {
		return nil, err
	}
	content, err := unhex("content", large.Content, n)
	if err != nil {
		return nil, err
	}
	full, err := wholeBytes("fullLength", large.FullLength)
	switch {
	case err != nil:
		return nil, err
	case large.ExpansionTechnique != "repeating":
		return nil, fmt.Errorf("unknown expansionTechnique %q", large.ExpansionTechnique)
	case n == 0 || full < n:
		return nil, fmt.Errorf("fullLength is %d and contentLength %d", *large.FullLength, *large.ContentLength)
	case full > g.ldt || full > math.MaxInt:
		return nil, fmt.Errorf("fullLength is %d, a message of %d bytes; the most is %d (flag -ldt)", *large.FullLength, full, g.ldt)
	}
	msg := make([]byte, full)
	for done := copy(msg, content); done < len(msg); {
		done += copy(msg[done:], msg[:done])
	}
	return msg, nil
}
