package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/lrng-go/lrng/es"
)

func TestRequest(t *testing.T) {
	for size := range 256 {
		r := request{size: size, nonce: [nonceSize]byte{1, 2, nonceSize - 1: 3}}
		b := r.encode()
		got, err := parseRequest(&b)
		if ok := size >= leastSeed && size <= mostSeed; ok != (err == nil) || ok && got != r || !ok && got != (request{}) {
			t.Errorf("%d bytes: %+v, %v", size, got, err)
		}
	}
}

// Two requests and bindings, and the answer to one of them.
var (
	aRequest = request{size: leastSeed, nonce: [nonceSize]byte{1}}
	aBinding = [bindingSize]byte{2}
)

func aSeed() *answer {
	a := &answer{claim: 8 * leastSeed, binding: aBinding, length: leastSeed}
	copy(a.data[:], "sixteen bytes of")
	return a
}

func encoded(a *answer) []byte {
	var b [headerSize + mostText]byte
	return a.encode(&b)
}

func TestAnswer(t *testing.T) {
	edit := func(f func(a *answer)) []byte {
		a := aSeed()
		f(a)
		return encoded(a)
	}
	text := strings.Repeat("x", mostText)
	for _, tt := range []struct {
		what string
		in   []byte
		want string // of the error
	}{
		{"as it should be", edit(func(a *answer) {}), ""},
		{"less claimed", edit(func(a *answer) { a.claim = 0 }), ""},
		{"more claimed than there is", edit(func(a *answer) { a.claim++ }), "answer that claims 129 bits for 16 bytes"},
		{"all claimed", edit(func(a *answer) { a.claim = 1<<16 - 1 }), "answer that claims 65535 bits"},
		{"shorter than wanted", edit(func(a *answer) { a.length-- }), "answer with a seed of 15 bytes; want 16"},
		{"longer than wanted", edit(func(a *answer) { a.length++ }), "answer with a seed of 17 bytes; want 16"},
		{"empty", edit(func(a *answer) { a.length, a.claim = 0, 0 }), "answer with a seed of 0 bytes"},
		{"another binding", edit(func(a *answer) { a.binding[bindingSize-1] ^= 1 }), "answer to another request"},
		{"no binding", edit(func(a *answer) { a.binding = [bindingSize]byte{} }), "answer to another request"},
		{"refused", edit(func(a *answer) { a.refuse(tooMany, "wait"); a.binding = aBinding }), `refused: the node has asked too often: "wait"`},
		{"refused with a long text", edit(func(a *answer) { a.refuse(notSeeded, text+"y"); a.binding = aBinding }), `not fully seeded: "` + text + `"`},
		{"refused with control characters", edit(func(a *answer) { a.refuse(unavailable, "\x1b[2J\n"); a.binding = aBinding }), `no seed at present: "\x1b[2J\n"`},
		{"refused, with a claim", edit(func(a *answer) { a.refuse(tooMany, ""); a.binding, a.claim = aBinding, 1 }), "refusal with 0 bytes and 1 bits"},
		{"refused on another connection", edit(func(a *answer) { a.refuse(tooMany, "") }), "answer to another request"},
		{"refused with too long a text", []byte("\x01\x00\x00\x01\x00" + string(aBinding[:])), "refusal with 256 bytes"},
		{"a status that there is not", edit(func(a *answer) { a.status = statuses }), "answer with status 4"},
		{"nothing", nil, "unexpected EOF"},
	} {
		got := answer{claim: 1, length: 5, data: [mostText]byte{1, 2, 3}}
		in := bytes.NewReader(append(bytes.Clone(tt.in), "beyond"...))
		if tt.in == nil {
			in = bytes.NewReader(nil)
		}
		err := got.read(in, &aRequest, aBinding[:])
		switch {
		case tt.want == "" && (err != nil || !bytes.Equal(got.data[:got.length], []byte("sixteen bytes of")) || in.Len() != len("beyond")):
			t.Errorf("%s: %v, %q, %d bytes left", tt.what, err, got.data[:got.length], in.Len())
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v; want %q", tt.what, err, tt.want)
		case tt.want != "" && got != (answer{}):
			t.Errorf("%s: something is left after the error", tt.what)
		}
	}
	// Cut off anywhere.
	whole := encoded(aSeed())
	for n := range whole {
		var got answer
		if err := got.read(bytes.NewReader(whole[:n]), &aRequest, aBinding[:]); !errors.Is(err, io.ErrUnexpectedEOF) || got != (answer{}) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// Nothing of a seed is left in an answer that was cleared, or has become a refusal.
func TestAnswerIsWiped(t *testing.T) {
	a := aSeed()
	a.refuse(tooMany, "no")
	if want := (answer{status: tooMany, length: 2, data: [mostText]byte{'n', 'o'}}); *a != want {
		t.Errorf("refused: %+v", *a)
	}
	a = aSeed()
	if a.clear(); *a != (answer{}) {
		t.Errorf("cleared: %+v", *a)
	}
}

// All that sets a mixture apart does, each byte of it.
func TestMixture(t *testing.T) {
	var identity [identitySize]byte
	base := mixture(&aRequest, aSeed(), &identity)
	seen := map[[64]byte]bool{base: true}
	differs := func(what string, r request, a *answer, id [identitySize]byte) {
		t.Helper()
		m := mixture(&r, a, &id)
		if seen[m] {
			t.Errorf("%s: the mixture is not another one", what)
		}
		seen[m] = true
	}
	if mixture(&aRequest, aSeed(), &identity) != base {
		t.Error("the same input, and another mixture")
	}
	for i := range aRequest.nonce {
		r := aRequest
		r.nonce[i] ^= 0x80
		differs("nonce", r, aSeed(), identity)
	}
	for i := range aBinding {
		a := aSeed()
		a.binding[i] ^= 1
		differs("binding", aRequest, a, identity)
	}
	for i := range identity {
		id := identity
		id[i] = 1
		differs("identity", aRequest, aSeed(), id)
	}
	for i := range leastSeed {
		a := aSeed()
		a.data[i] ^= 1
		differs("seed", aRequest, a, identity)
	}
	a := aSeed()
	a.length++
	differs("length", aRequest, a, identity)
	a = &answer{length: mostSeed}
	a.data[mostSeed-1] = 1
	differs("the longest seed", request{size: mostSeed}, a, identity)
}

// Twins in everything, with nothing but the seed of the server to tell them apart: their
// pools deliver the same if they get the same seed, and never if they do not, whether it
// is credited or not.
func TestTwinPools(t *testing.T) {
	var identity [identitySize]byte
	pool := func(seed string, credit int) string {
		t.Helper()
		p := es.NewAuxiliary(es.AuxiliaryConfig{})
		defer p.Clear()
		a := aSeed()
		copy(a.data[:a.length], seed)
		m := mixture(&aRequest, a, &identity)
		if err := p.Add(m[:], credit); err != nil {
			t.Fatal(err)
		}
		out := make([]byte, 64)
		if got, err := p.GetEntropy(t.Context(), out, 256); err != nil || got != credit {
			t.Fatalf("credit %d, %v; want %d", got, err, credit)
		}
		return string(out)
	}
	if one, other := pool("the one seed....", 0), pool("the one seed....", 0); one != other {
		t.Error("twins are not twins: this test sees nothing")
	}
	for _, credit := range []int{0, 128} {
		if pool("the one seed....", credit) == pool("another seed....", credit) {
			t.Errorf("credit %d: the same with another seed", credit)
		}
	}
}

func FuzzRequest(f *testing.F) {
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) != requestSize {
			return
		}
		r, err := parseRequest((*[requestSize]byte)(p))
		if err != nil {
			return
		}
		if b := r.encode(); !bytes.Equal(b[:], p) || r.size < leastSeed || r.size > mostSeed {
			t.Errorf("%x is read as %+v", p, r)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Fuzz(func(t *testing.T, size byte, p []byte) {
		req := request{size: int(size)}
		binding := make([]byte, bindingSize)
		if len(p) >= headerSize {
			copy(binding, p[headerSize-bindingSize:headerSize])
		}
		var a answer
		r := bytes.NewReader(p)
		err := a.read(r, &req, binding)
		refused := (*refusal)(nil)
		switch {
		case err == nil:
			if a.length != req.size || a.claim > 8*a.length || a.status != seedFollows || !bytes.Equal(encoded(&a), p[:len(p)-r.Len()]) {
				t.Errorf("%x is read as %+v", p, a)
			}
		case a != (answer{}):
			t.Errorf("something is left after %v", err)
		case errors.As(err, &refused) && (len(refused.why) > mostText || refused.status == seedFollows || refused.status >= statuses):
			t.Error(err)
		}
		if len(p)-r.Len() > headerSize+mostText {
			t.Errorf("%d bytes were read", len(p)-r.Len())
		}
		// With another binding nothing is believed.
		binding[0] ^= 1
		if err := a.read(bytes.NewReader(p), &req, binding); err == nil {
			t.Error("an answer to another request is believed")
		}
	})
}
