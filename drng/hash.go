package drng

import (
	"crypto"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math/bits"

	"github.com/lrng-go/lrng/internal/secmem"
	"github.com/lrng-go/lrng/internal/zero"
)

// Limits of Hash_DRBG and HMAC_DRBG: SP 800-90A Rev. 1, Section 10.1, Table 2.
const (
	// highest_supported_security_strength, in bits. It is the resistance of the
	// hash function against finding preimages, but at most 256 (SP 800-57 Part 1
	// Rev. 5, Table 3), so it is the same for all hash functions here.
	hashStrength = 256

	// max_number_of_bits_per_request = 2¹⁹ bits, in bytes.
	hashMaxRequest = 1 << 19 / 8

	// reseed_interval.
	hashReseedInterval = 1 << 48

	// max_length and the limits of personalization string and additional input:
	// 2³⁵ bits, in bytes.
	hashMaxLength = 1 << 35 / 8

	// The least length of a seed, in bytes. To instantiate, the entropy input
	// has at least the security strength and the nonce half of it (Section
	// 8.6.7); to reseed, there is no nonce. The seed may hold less entropy than
	// bits, but never more, so a shorter one cannot be good. The shortest ones
	// that NIST tests with (ACVP) have just these lengths.
	hashMinInstantiate = (hashStrength + hashStrength/2) / 8
	hashMinReseed      = hashStrength / 8
)

// Hash is Hash_DRBG of NIST SP 800-90A Rev. 1, Section 10.1.1, on a hash
// function of the Go standard library. Its security strength is 256 bits for
// every one of them. Use [NewHash] to make one.
//
// The seed of the first Seed is entropy input ‖ nonce, at least 48 bytes; that
// of later ones is entropy input, at least 32 bytes. Seeds, personalization
// string and additional inputs are up to 2³² bytes long.
//
// A Hash is not safe for concurrent use and must not be copied. It does not
// allocate after its first Seed.
//
// # Secrets
//
// Clear wipes the state and the digest of the standard library that the
// instance owns; between calls that digest holds nothing secret. The standard
// library works on copies on the stack, which are wiped with what else a call
// leaves there; a goroutine that the runtime moves to another stack in the midst
// of a call leaves the old one as it is.
//
// # FIPS 140-3
//
// Hash uses nothing but hash functions of the Go Cryptographic Module, and works
// with GODEBUG=fips140=only. This module is not validated.
//
// SP 800-90A Rev. 1 is older than SHA-3, and gives no seedlen for it. NIST's ACVP
// tests such generators nevertheless, and its answers are those of the values
// used here: 440 bits for SHA3-256, 888 bits for SHA3-384 and SHA3-512. By
// Section D.R of the FIPS 140-3 Implementation Guidance, new modules do not use
// SHA-384, SHA-512/256 and SHA3-384 in a DRBG: take SHA-256 or SHA-512 where that
// matters.
type Hash struct {
	*hashMemory // in mem; nil without a state
	mem         secmem.Value[hashMemory]

	digest        hashDigest
	info          Info
	n             int    // 1 + seedlen/8, a multiple of 8
	reseedCounter uint64 // zero if not instantiated
}

// hashMemory is what is secret, but for the digest.
type hashMemory struct {
	// The working state (Section 10.1.1.1). V and C are v[1:n] and c[1:n]. The byte in
	// front of V is for the octet that is hashed together with it; outside of such a
	// hash it is zero, as the one in front of C.
	v, c [hashMaxSeedlen + 1]byte

	t       [hashMaxSeedlen + 1]byte // data of Hashgen, temp of Hash_df; zero between calls
	scratch hashScratch
}

var _ DRNG = (*Hash)(nil)

// seedlen in bytes (Table 2). With it, V and the padding of SHA-2 fill one block.
const (
	hashSeedlen440 = 440 / 8
	hashSeedlen888 = 888 / 8
	hashMaxSeedlen = hashSeedlen888
)

// NewHash returns a Hash_DRBG on h, which is SHA-256, SHA-384, SHA-512,
// SHA-512/256, SHA3-256, SHA3-384 or SHA3-512. For other hash functions it
// returns an error. The program need not import the package of h.
func NewHash(h crypto.Hash) (*Hash, error) {
	d := new(Hash)
	if err := d.digest.init(h); err != nil {
		return nil, err
	}
	// Table 2 has SHA-512/256 in the column of SHA-224 and SHA-256, the hash
	// functions with an output of up to 256 bits.
	d.n = 1 + hashSeedlen440
	if d.digest.size > 256/8 {
		d.n = 1 + hashSeedlen888
	}
	d.info = hashInfo("Hash_DRBG", h)
	return d, nil
}

// Info describes the mechanism. Its name is that of the hash function after
// "Hash_DRBG", as in "Hash_DRBG SHA-512".
func (h *Hash) Info() Info { return h.info }

// Seed instantiates h the first time and after Clear, and reseeds it at other
// times. Additional is the personalization string or the additional input.
// Too short or too long a seed or additional is an error, and leaves h as it was.
func (h *Hash) Seed(seed, additional []byte) error {
	if err := ready(h.info.Name, h.alive()); err != nil {
		return err
	}
	return h.seed(seed, additional)
}

// seed is Seed without the self-test.
func (h *Hash) seed(seed, additional []byte) error {
	if err := hashCheckSeed(h.info.Name, uint64(len(seed)), uint64(len(additional)), h.alive()); err != nil {
		return err
	}
	if h.reseedCounter == 0 {
		m, err := h.mem.Renew()
		if err != nil {
			return fmt.Errorf("drng: %s: %w", h.info.Name, err)
		}
		h.hashMemory, h.digest.hashScratch = m, &m.scratch
	}

	zero.ReserveStack()
	defer zero.Stack()

	// Hash_DRBG_Instantiate_algorithm, Section 10.1.1.2, and
	// Hash_DRBG_Reseed_algorithm, Section 10.1.1.3, which differ in Step 1.
	var head []byte
	if h.reseedCounter != 0 {
		h.v[0] = 0x01
		head = h.v[:h.n]
	}
	h.df(head, seed, additional) // Steps 1 and 2.
	copy(h.v[1:], h.t[1:h.n])    // Step 3: V = seed.
	h.v[0] = 0x00
	h.df(h.v[:h.n], nil, nil) // Step 4: of 0x00 ‖ V.
	copy(h.c[1:], h.t[1:h.n])
	h.reseedCounter = 1 // Step 5.
	zero.Bytes(h.t[:])
	h.digest.wipe()
	return h.kept()
}

// alive reports whether there is a state: see [vanished].
func (h *Hash) alive() bool {
	if h.reseedCounter != 0 && !h.mem.Intact() {
		h.Clear()
	}
	return h.reseedCounter != 0
}

// kept returns the error of a call during which the state vanished, or nil.
func (h *Hash) kept() error {
	if h.mem.Kept() {
		return nil
	}
	h.Clear()
	return vanished(h.info.Name)
}

// Generate fills out with up to 65536 bytes. Out and additional may overlap. The
// errors are those of [DRNG], and one for an additional of more than 2³² bytes.
func (h *Hash) Generate(out, additional []byte) error {
	h.alive()
	if err := hashCheckGenerate(h.info.Name, len(out), uint64(len(additional)), hashMaxLength, h.reseedCounter); err != nil {
		clear(out)
		return err
	}

	zero.ReserveStack()
	defer zero.Stack()

	// Hash_DRBG_Generate_algorithm, Section 10.1.1.4. Step 1 is done.

	// Step 2.
	if len(additional) != 0 {
		h.v[0] = 0x02
		h.digest.h.Reset()
		h.digest.write(h.v[:h.n])
		h.digest.writeCallers(additional)
		hashAdd(h.v[:h.n], h.digest.sum())
	}

	// Step 3.
	h.hashgen(out)

	// Step 4.
	h.v[0] = 0x03
	h.digest.h.Reset()
	h.digest.write(h.v[:h.n])
	w := h.digest.sum()

	// Step 5.
	hashAddAll(h.v[:h.n], w, h.c[:h.n], h.reseedCounter)

	// Step 6.
	h.reseedCounter++

	h.digest.wipe() // It held the old V, from which the output follows.
	if err := h.kept(); err != nil {
		clear(out)
		return err
	}
	return nil
}

// hashgen is Hashgen, Section 10.1.1.4.
func (h *Hash) hashgen(out []byte) {
	// Steps 1, 2 and 4. As long as data is V, there is no need for a copy.
	out = h.hashgenBlock(out, h.v[:h.n])
	if len(out) == 0 {
		return
	}
	data := h.t[:h.n]
	copy(data, h.v[:h.n])
	for len(out) > 0 {
		hashAddUint64(data, 1) // Step 4.3.
		out = h.hashgenBlock(out, data)
	}
	zero.Bytes(data)
}

// hashgenBlock writes what fits of the hash value of data[1:], and returns the rest of out.
func (h *Hash) hashgenBlock(out, data []byte) []byte {
	// Step 4.1.
	h.digest.h.Reset()
	h.digest.write(data[1:])
	// Steps 4.2 and 5.
	return out[copy(out, h.digest.sum()):]
}

// df is Hash_df, Section 10.3.1, of head ‖ seed ‖ additional. It leaves the
// requested bits, seedlen of them, in h.t[1:h.n]. Head is memory of h.
func (h *Hash) df(head, seed, additional []byte) {
	temp := h.t[1:h.n] // Steps 1, 2 and 5: the last block is cut.
	prefix := [5]byte{}
	binary.BigEndian.PutUint32(prefix[1:], uint32(8*len(temp)))
	for len(temp) > 0 {
		prefix[0]++ // Steps 3 and 4.2.
		// Step 4.1.
		h.digest.h.Reset()
		h.digest.writeCallers(prefix[:])
		h.digest.write(head)
		h.digest.writeCallers(seed)
		h.digest.writeCallers(additional)
		temp = temp[copy(temp, h.digest.sum()):]
	}
}

// Clear wipes the state. The next Seed instantiates anew.
func (h *Hash) Clear() {
	h.reseedCounter = 0
	h.mem.Free()
	h.hashMemory, h.digest.hashScratch = nil, nil
	h.digest.wipe()
}

// SecretMemory is for package lrng, which alone can use it.
func (h *Hash) SecretMemory() secmem.Holder { return &h.mem }

// String returns the name of the type; nothing of the state is ever printed. It
// and GoString have value receivers so that this holds for a Hash that is printed
// by value, too.
func (Hash) String() string { return "drng.Hash" }

// GoString returns the same as String.
func (Hash) GoString() string { return "drng.Hash" }

// hashAdd sets v = (v + x) mod 2^(8·(len(v)-1)) and v[0] = 0. The numbers are
// big-endian, their lengths multiples of 8, and x is not longer than v. The time
// depends on the lengths only.
func hashAdd(v, x []byte) {
	var carry uint64
	for len(v) > 0 {
		i := len(v) - 8
		var a uint64
		if j := len(x) - 8; j >= 0 {
			a = binary.BigEndian.Uint64(x[j:])
			x = x[:j]
		}
		a, carry = bits.Add64(binary.BigEndian.Uint64(v[i:]), a, carry)
		if i == 0 {
			a &= 1<<56 - 1
		}
		binary.BigEndian.PutUint64(v[i:], a)
		v = v[:i]
	}
}

// hashAddUint64 is hashAdd for a small x.
func hashAddUint64(v []byte, x uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], x)
	hashAdd(v, b[:])
}

// hashAddAll is hashAdd of w, c and n in one go. C is as long as v.
func hashAddAll(v, w, c []byte, n uint64) {
	var carryC, carryW, carryN uint64
	for len(v) > 0 {
		i := len(v) - 8
		a, x := binary.BigEndian.Uint64(v[i:]), uint64(0)
		if j := len(w) - 8; j >= 0 {
			x = binary.BigEndian.Uint64(w[j:])
			w = w[:j]
		}
		a, carryC = bits.Add64(a, binary.BigEndian.Uint64(c[i:]), carryC)
		a, carryW = bits.Add64(a, x, carryW)
		a, carryN = bits.Add64(a, n, carryN)
		n = 0
		if i == 0 {
			a &= 1<<56 - 1
		}
		binary.BigEndian.PutUint64(v[i:], a)
		v = v[:i]
	}
}

// hashInfo returns what Info says of a mechanism on h.
func hashInfo(mechanism string, h crypto.Hash) Info {
	return Info{
		Name:             mechanism + " " + h.String(),
		SecurityStrength: hashStrength,
		MaxRequest:       hashMaxRequest,
		ReseedInterval:   hashReseedInterval,
		Approved:         true,
	}
}

// hashCheckSeed checks the lengths, in bytes, of what Seed of the named mechanism
// got (SP 800-90A Rev. 1, Sections 9.1 and 9.2).
func hashCheckSeed(name string, seed, additional uint64, instantiated bool) error {
	least, task := uint64(hashMinInstantiate), "instantiate"
	if instantiated {
		least, task = hashMinReseed, "reseed"
	}
	switch {
	case seed < least:
		return fmt.Errorf("drng: %s: seed of %d bytes, at least %d to %s", name, seed, least, task)
	case seed > hashMaxLength:
		return fmt.Errorf("drng: %s: seed of %d bytes, at most %d", name, seed, uint64(hashMaxLength))
	}
	return hashCheckAdditional(name, additional, hashMaxLength)
}

// hashCheckGenerate checks a request for out bytes: Section 9.3.1, Steps 1, 2
// and 4, and Step 1 of the generate algorithm. A reseedCounter of 0 says that
// there is no state.
func hashCheckGenerate(name string, out int, additional, maxAdditional, reseedCounter uint64) error {
	if err := failed(name); err != nil {
		return err
	}
	switch {
	case reseedCounter == 0:
		return fmt.Errorf("%w: %s", ErrNotSeeded, name)
	case out > hashMaxRequest:
		return fmt.Errorf("%w: %s: %d bytes, at most %d", ErrRequestTooLarge, name, out, hashMaxRequest)
	case reseedCounter > hashReseedInterval:
		return fmt.Errorf("%w: %s: %d requests since the last seed", ErrReseedRequired, name, reseedCounter-1)
	}
	return hashCheckAdditional(name, additional, maxAdditional)
}

// hashCheckAdditional checks the length, in bytes, of a personalization string
// or an additional input.
func hashCheckAdditional(name string, n, most uint64) error {
	if n > most {
		return fmt.Errorf("drng: %s: additional of %d bytes, at most %d", name, n, most)
	}
	return nil
}

// A hashState is the saved state of a hash function. The longest is that of
// SHA-3, with 207 bytes.
type hashState [256]byte

// A hashDigest is a digest of the standard library, with the buffers that keep
// callers' memory from being passed to an interface method: that would make it
// escape to the heap. Saving and restoring the state costs about 10 ns and does
// not allocate, unlike hash.Cloner; for a keyed state it saves a whole block.
type hashDigest struct {
	h           hash.Hash
	marshaler   encoding.BinaryAppender    // h
	unmarshaler encoding.BinaryUnmarshaler // h
	stateSize   int
	size, block int // in bytes
	initial     hashState

	*hashScratch // secret memory of the mechanism; nil without a state
}

// A hashScratch is what goes into and comes out of a digest; zero between calls.
type hashScratch struct {
	out   [512 / 8]byte
	chunk [256]byte
}

// init makes d a digest of f.
func (d *hashDigest) init(f crypto.Hash) error {
	switch f {
	case crypto.SHA256:
		d.h = sha256.New()
	case crypto.SHA384:
		d.h = sha512.New384()
	case crypto.SHA512:
		d.h = sha512.New()
	case crypto.SHA512_256:
		d.h = sha512.New512_256()
	case crypto.SHA3_256:
		d.h = sha3.New256()
	case crypto.SHA3_384:
		d.h = sha3.New384()
	case crypto.SHA3_512:
		d.h = sha3.New512()
	default:
		return fmt.Errorf("drng: hash function %v is not supported", f)
	}
	d.size, d.block = d.h.Size(), d.h.BlockSize()

	errState := errors.New("drng: the state of hash function " + f.String() + " cannot be saved")
	var ok bool
	if d.marshaler, ok = d.h.(encoding.BinaryAppender); !ok {
		return errState
	}
	if d.unmarshaler, ok = d.h.(encoding.BinaryUnmarshaler); !ok {
		return errState
	}
	s, err := d.marshaler.AppendBinary(d.initial[:0])
	if err != nil || len(s) > len(d.initial) {
		return errState
	}
	d.stateSize = len(s)
	if d.unmarshaler.UnmarshalBinary(s) != nil {
		return errState
	}
	return nil
}

// write hashes p, which is memory on the heap.
func (d *hashDigest) write(p []byte) { d.h.Write(p) }

// writeCallers hashes p, without letting it escape.
func (d *hashDigest) writeCallers(p []byte) {
	for len(p) > 0 {
		n := copy(d.chunk[:], p)
		d.h.Write(d.chunk[:n])
		p = p[n:]
	}
}

// sum returns the hash value, in memory of d that the next call overwrites.
func (d *hashDigest) sum() []byte { return d.h.Sum(d.out[:0]) }

// save stores the state of the hash function in s.
func (d *hashDigest) save(s *hashState) {
	b, err := d.marshaler.AppendBinary(s[:0])
	if err != nil || len(b) != d.stateSize {
		panic("drng: hash state cannot be saved: internal error")
	}
}

// restore continues from s.
func (d *hashDigest) restore(s *hashState) {
	if d.unmarshaler.UnmarshalBinary(s[:d.stateSize]) != nil {
		panic("drng: hash state cannot be restored: internal error")
	}
}

// wipe removes all traces of what was hashed. Reset would leave the last, partial
// block of SHA-2 in place; restoring the initial state overwrites that too.
func (d *hashDigest) wipe() {
	d.restore(&d.initial)
	if d.hashScratch != nil {
		zero.Bytes(d.out[:])
		zero.Bytes(d.chunk[:])
	}
}
