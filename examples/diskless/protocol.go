package main

import (
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The protocol: TLS 1.3 with certificates on both sides and X25519MLKEM768, and within it
// one request, one answer, and the end of the connection.
//
//	request   size     1 byte     length of the seed that is wanted, 16…64
//	          nonce    32 bytes   of the node
//	answer    status   1 byte     0: a seed follows; else a refusal, and why
//	          claim    2 bytes    min-entropy of the seed, bits, big endian; else 0
//	          length   2 bytes    of what follows the binding, big endian
//	          binding  32 bytes
//	          data     the seed, of the size that was wanted, or a text
//
// The binding is exported from the TLS connection (RFC 8446, Section 7.5) with the
// request as its context. So an answer belongs to one request on one connection between
// these two: one that was recorded, kept, or got by somebody in between who speaks TLS
// with both sides does not fit.
const (
	protocol     = "lrng-diskless/1"              // for ALPN; the version is in it
	bindingLabel = "EXPERIMENTAL lrng diskless 1" // for private use, RFC 5705, Section 4

	leastSeed   = 16 // bytes
	mostSeed    = 64
	mostText    = 255
	nonceSize   = 32
	bindingSize = 32
	requestSize = 1 + nonceSize
	headerSize  = 1 + 2 + 2 + bindingSize
)

// A request asks for a seed.
type request struct {
	size  int // bytes
	nonce [nonceSize]byte
}

func (r *request) encode() (b [requestSize]byte) {
	b[0] = byte(r.size)
	copy(b[1:], r.nonce[:])
	return b
}

// parseRequest is the inverse of encode.
func parseRequest(b *[requestSize]byte) (request, error) {
	r := request{size: int(b[0]), nonce: [nonceSize]byte(b[1:])}
	if r.size < leastSeed || r.size > mostSeed {
		return request{}, fmt.Errorf("request for a seed of %d bytes", r.size)
	}
	return r, nil
}

// A status says what an answer is.
type status byte

const (
	seedFollows status = iota
	notSeeded          // the server is not fully seeded
	tooMany            // the node has had its share
	unavailable        // the sources of the server yield too little at present
	statuses
)

func (s status) String() string {
	switch s {
	case seedFollows:
		return "a seed"
	case notSeeded:
		return "the server is not fully seeded"
	case tooMany:
		return "the node has asked too often"
	case unavailable:
		return "no seed at present"
	}
	return fmt.Sprintf("status %d", byte(s))
}

// A refusal is an answer without a seed.
type refusal struct {
	status status
	why    string // in the words of the server
}

func (r *refusal) Error() string { return fmt.Sprintf("refused: %v: %q", r.status, r.why) }

// An answer is what the server returns. Who has made one clears it.
type answer struct {
	status  status
	claim   int // of the seed, in bits
	binding [bindingSize]byte
	length  int
	data    [mostText]byte // the first length bytes: the seed, or a text
}

func (a *answer) clear() { *a = answer{} }

// refuse makes a an answer without a seed.
func (a *answer) refuse(s status, why string) {
	a.clear()
	a.status, a.length = s, copy(a.data[:], why)
}

// encode stores the answer in b and returns the part of it that was used.
func (a *answer) encode(b *[headerSize + mostText]byte) []byte {
	b[0] = byte(a.status)
	binary.BigEndian.PutUint16(b[1:], uint16(a.claim))
	binary.BigEndian.PutUint16(b[3:], uint16(a.length))
	copy(b[5:], a.binding[:])
	return b[:headerSize+copy(b[headerSize:], a.data[:a.length])]
}

// read reads the answer to a request with the given binding. It reads nothing beyond it,
// and believes no more of the claim than the length allows. After an error a is cleared.
func (a *answer) read(r io.Reader, req *request, binding []byte) (err error) {
	a.clear()
	defer func() {
		if err != nil {
			a.clear()
		}
	}()
	var h [headerSize]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return fmt.Errorf("answer: %w", notEOF(err))
	}
	a.status = status(h[0])
	a.claim = int(binary.BigEndian.Uint16(h[1:]))
	a.length = int(binary.BigEndian.Uint16(h[3:]))
	a.binding = [bindingSize]byte(h[5:])
	switch {
	case a.status >= statuses:
		return fmt.Errorf("answer with status %d", byte(a.status))
	case subtle.ConstantTimeCompare(a.binding[:], binding) != 1:
		return errors.New("answer to another request, or on another connection")
	case a.status == seedFollows && a.length != req.size:
		return fmt.Errorf("answer with a seed of %d bytes; want %d", a.length, req.size)
	case a.status == seedFollows && a.claim > 8*a.length:
		return fmt.Errorf("answer that claims %d bits for %d bytes", a.claim, a.length)
	case a.status != seedFollows && (a.claim != 0 || a.length > mostText):
		return fmt.Errorf("refusal with %d bytes and %d bits", a.length, a.claim)
	}
	if _, err := io.ReadFull(r, a.data[:a.length]); err != nil {
		return fmt.Errorf("answer: %w", notEOF(err))
	}
	if a.status != seedFollows {
		return &refusal{a.status, string(a.data[:a.length])}
	}
	return nil
}

// notEOF returns io.ErrUnexpectedEOF for io.EOF: the answer was cut off in any case.
func notEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// mixture returns what goes into the pool of the node: a digest of the seed and of all
// that makes this one different from any other, the identity of the node last.
// All but the seed have fixed lengths, so no two inputs are the same string.
func mixture(req *request, a *answer, identity *[identitySize]byte) [sha512.Size]byte {
	const label = "lrng diskless mixture 1"
	var b [len(label) + requestSize + bindingSize + identitySize + mostSeed]byte
	defer clear(b[:])
	frame := req.encode()
	n := copy(b[:], label)
	n += copy(b[n:], frame[:])
	n += copy(b[n:], a.binding[:])
	n += copy(b[n:], identity[:])
	n += copy(b[n:], a.data[:a.length])
	return sha512.Sum512(b[:n])
}

const identitySize = 64
