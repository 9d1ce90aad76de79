package drng

import (
	"crypto"
	"encoding/binary"
	"fmt"
	"runtime"

	"github.com/lrng-go/lrng/internal/secmem"
	"github.com/lrng-go/lrng/internal/zero"
)

// HMAC is HMAC_DRBG of NIST SP 800-90A Rev. 1, Section 10.1.2, on a hash
// function of the Go standard library. Its security strength is 256 bits for
// every one of them. Use [NewHMAC] to make one.
//
// The seed of the first Seed is entropy input ‖ nonce, at least 48 bytes; that
// of later ones is entropy input, at least 32 bytes. Seeds, personalization
// string and additional inputs are up to 2³² bytes long. With an additional
// input of more than 256 bytes Generate computes its output twice.
//
// An HMAC is not safe for concurrent use and must not be copied. It does not
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
// HMAC uses nothing but hash functions of the Go Cryptographic Module, and works
// with GODEBUG=fips140=only. It computes the message authentication code itself,
// because crypto/hmac keeps copies of keys that cannot be wiped. What [Hash] says
// of SHA-3 and of truncated hash functions holds here as well.
type HMAC struct {
	*hmacMemory                          // in mem; nil without a state
	mem         secmem.Value[hmacMemory] // lasting: zeros are no state of a hash function

	digest        hashDigest
	info          Info
	reseedCounter uint64 // zero if not instantiated
}

// hmacMemory is what is secret, but for the digest.
type hmacMemory struct {
	// The working state (Section 10.1.2.1), each of the length of a hash value.
	key, v [512 / 8]byte

	// The hash function after its first block in HMAC(Key, ·), which is K0 ⊕ ipad
	// or K0 ⊕ opad (FIPS 198-1, Section 4).
	inner, outer hashState

	copied  [hmacMaxCopied]byte // the additional input, or states; zero between calls
	scratch hashScratch
}

var _ DRNG = (*HMAC)(nil)

// hmacMaxCopied is the length, in bytes, up to which Generate keeps a copy of
// its additional input. It is needed before and after out is written, and out
// may be the same memory.
const hmacMaxCopied = 256

// NewHMAC returns an HMAC_DRBG on h, which is SHA-256, SHA-384, SHA-512,
// SHA-512/256, SHA3-256, SHA3-384 or SHA3-512. For other hash functions it
// returns an error. The program need not import the package of h.
func NewHMAC(h crypto.Hash) (*HMAC, error) {
	d := new(HMAC)
	d.mem.Lasting = true
	if err := d.digest.init(h); err != nil {
		return nil, err
	}
	d.info = hashInfo("HMAC_DRBG", h)
	return d, nil
}

// Info describes the mechanism. Its name is that of the hash function after
// "HMAC_DRBG", as in "HMAC_DRBG SHA-256".
func (h *HMAC) Info() Info { return h.info }

// Seed instantiates h the first time and after Clear, and reseeds it at other
// times. Additional is the personalization string or the additional input.
// Too short or too long a seed or additional is an error, and leaves h as it was.
func (h *HMAC) Seed(seed, additional []byte) error {
	if err := ready(h.info.Name, h.alive()); err != nil {
		return err
	}
	return h.seed(seed, additional)
}

// seed is Seed without the self-test.
func (h *HMAC) seed(seed, additional []byte) error {
	if err := hashCheckSeed(h.info.Name, uint64(len(seed)), uint64(len(additional)), h.alive()); err != nil {
		return err
	}

	zero.ReserveStack()
	defer zero.Stack()

	// HMAC_DRBG_Instantiate_algorithm, Section 10.1.2.3, and
	// HMAC_DRBG_Reseed_algorithm, Section 10.1.2.4, which has no Steps 2 and 3.
	// Step 1 is in update.
	if h.reseedCounter == 0 {
		m, err := h.mem.Renew()
		if err != nil {
			return fmt.Errorf("drng: %s: %w", h.info.Name, err)
		}
		h.hmacMemory, h.digest.hashScratch = m, &m.scratch
		clear(h.key[:]) // Step 2.
		h.setKey()
		for i := range h.digest.size { // Step 3.
			h.v[i] = 0x01
		}
	}
	h.update(seed, additional) // Step 4 (reseed: Step 2).
	h.reseedCounter = 1        // Step 5 (reseed: Step 3).
	h.digest.wipe()
	runtime.KeepAlive(h)
	return nil
}

// alive reports whether there is a state: see [vanished].
func (h *HMAC) alive() bool {
	if h.reseedCounter != 0 && !h.mem.Intact() {
		h.Clear()
	}
	return h.reseedCounter != 0
}

// Generate fills out with up to 65536 bytes. Out and additional may overlap. The
// errors are those of [DRNG], and one for an additional of more than 2³² bytes.
func (h *HMAC) Generate(out, additional []byte) error {
	h.alive()
	if err := hashCheckGenerate(h.info.Name, len(out), uint64(len(additional)), hashMaxLength, h.reseedCounter); err != nil {
		clear(out)
		return err
	}

	zero.ReserveStack()
	defer zero.Stack()

	// HMAC_DRBG_Generate_algorithm, Section 10.1.2.5. Step 1 is done.

	// Step 2.
	if len(additional) != 0 {
		h.update(additional, nil)
	}

	if len(additional) <= len(h.copied) {
		copied := h.copied[:copy(h.copied[:], additional)]
		h.output(out)         // Steps 3, 4 and 5.
		h.update(copied, nil) // Step 6.
		zero.Bytes(copied)
	} else {
		h.outputLast(out, additional)
	}

	// Step 7.
	h.reseedCounter++

	h.digest.wipe() // It held V, the last block of the output.
	runtime.KeepAlive(h)
	return nil
}

// output is Steps 3, 4 and 5 of Section 10.1.2.5.
func (h *HMAC) output(out []byte) {
	for len(out) > 0 {
		h.step()
		out = out[copy(out, h.v[:h.digest.size]):]
	}
}

// outputLast is Steps 3 to 6 of Section 10.1.2.5 in an order that reads all of
// additional before it writes to out: it goes through Steps 3 to 6 without
// output, and then computes the output from the state it started with.
func (h *HMAC) outputLast(out, additional []byte) {
	// The memory of the additional input, which is too long for it.
	key, v := h.copied[0:64], h.copied[64:128]
	newKey, newV := h.copied[128:192], h.copied[192:256]

	copy(key, h.key[:])
	copy(v, h.v[:])
	for range (len(out) + h.digest.size - 1) / h.digest.size {
		h.step()
	}
	h.update(additional, nil) // Step 6.
	copy(newKey, h.key[:])
	copy(newV, h.v[:])

	copy(h.key[:], key)
	copy(h.v[:], v)
	h.setKey()
	h.output(out) // Steps 3, 4 and 5.

	copy(h.key[:], newKey)
	copy(h.v[:], newV)
	h.setKey()
	zero.Bytes(h.copied[:])
}

// update is HMAC_DRBG_Update, Section 10.1.2.2, with provided_data = a ‖ b.
func (h *HMAC) update(a, b []byte) {
	h.newKey(0x00, a, b) // Step 1.
	h.step()             // Step 2.
	if len(a)+len(b) == 0 {
		return // Step 3.
	}
	h.newKey(0x01, a, b) // Step 4.
	h.step()             // Step 5.
}

// newKey sets Key = HMAC(Key, V ‖ octet ‖ a ‖ b).
func (h *HMAC) newKey(octet byte, a, b []byte) {
	h.digest.restore(&h.inner)
	h.digest.write(h.v[:h.digest.size])
	h.digest.writeCallers([]byte{octet})
	h.digest.writeCallers(a)
	h.digest.writeCallers(b)
	copy(h.key[:], h.finish())
	h.setKey()
}

// step sets V = HMAC(Key, V).
func (h *HMAC) step() {
	h.digest.restore(&h.inner)
	h.digest.write(h.v[:h.digest.size])
	copy(h.v[:], h.finish())
}

// finish returns HMAC(Key, ·) of what was hashed after h.inner: FIPS 198-1,
// Section 4.
func (h *HMAC) finish() []byte {
	sum := h.digest.sum()      // Step 6.
	h.digest.restore(&h.outer) // Step 7.
	h.digest.write(sum)        // Step 8.
	return h.digest.sum()      // Step 9.
}

// setKey computes h.inner and h.outer from h.key: FIPS 198-1, Section 4.
func (h *HMAC) setKey() {
	// Step 3: the key is shorter than a block, for every hash function here.
	block := h.digest.chunk[:h.digest.block]
	clear(block[copy(block, h.key[:h.digest.size]):])
	hmacPad(block, 0x36) // Step 4.
	h.digest.h.Reset()
	h.digest.write(block)
	h.digest.save(&h.inner)
	hmacPad(block, 0x36^0x5c) // Step 7.
	h.digest.h.Reset()
	h.digest.write(block)
	h.digest.save(&h.outer)
}

// hmacPad sets block = block ⊕ pad‖pad‖…‖pad, eight bytes at a time: the blocks of
// all hash functions here are multiples of that.
func hmacPad(block []byte, pad byte) {
	word := uint64(pad) * 0x0101010101010101
	for ; len(block) >= 8; block = block[8:] {
		binary.LittleEndian.PutUint64(block, binary.LittleEndian.Uint64(block)^word)
	}
}

// Clear wipes the state. The next Seed instantiates anew.
func (h *HMAC) Clear() {
	h.reseedCounter = 0
	h.mem.Free()
	h.hmacMemory, h.digest.hashScratch = nil, nil
	h.digest.wipe()
}

// SecretMemory is for package lrng, which alone can use it.
func (h *HMAC) SecretMemory() secmem.Holder { return &h.mem }

// String returns the name of the type; nothing of the state is ever printed. It
// and GoString have value receivers so that this holds for an HMAC that is printed
// by value, too.
func (HMAC) String() string { return "drng.HMAC" }

// GoString returns the same as String.
func (HMAC) GoString() string { return "drng.HMAC" }
