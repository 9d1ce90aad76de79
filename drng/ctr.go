package drng

import (
	"crypto/subtle"
	"fmt"
	"runtime"

	"github.com/lrng-go/lrng/internal/aesctr"
	"github.com/lrng-go/lrng/internal/fips"
	"github.com/lrng-go/lrng/internal/secmem"
	"github.com/lrng-go/lrng/internal/zero"
)

// Limits and lengths of CTR_DRBG with AES: SP 800-90A Rev. 1, Section 10.2.1,
// Table 3. Lengths are in bytes.
const (
	// outlen = blocklen = ctr_len = 128 bits: V is one counter of 128 bits.
	ctrBlockSize = 128 / 8

	// keylen and seedlen = outlen + keylen of AES-256, the longest of all.
	ctrMaxKeySize = 256 / 8
	ctrMaxSeedlen = ctrBlockSize + ctrMaxKeySize

	// max_number_of_bits_per_request = min((2^ctr_len - 4) · blocklen, 2¹⁹) bits.
	ctrMaxRequest = 1 << 19 / 8

	// reseed_interval.
	ctrReseedInterval = 1 << 48

	// The most that the derivation function takes: the 32-bit field L holds the
	// length of its whole input in bytes (Section 10.3.2, Step 2). This is one
	// less than the 2³⁵ bits that Table 3 allows for each part of the input, and
	// it is for the parts together.
	ctrMaxDFInput = 1<<32 - 1
)

// CTRConfig chooses a variant of CTR_DRBG. The zero value is AES-256 with
// derivation function.
type CTRConfig struct {
	// KeyBits is the length of the AES key in bits, and with it the security
	// strength: 128, 192 or 256. 0 means 256.
	KeyBits int

	// NoDF leaves out the derivation function. This is for seeds that have full
	// entropy, as the output of an approved random bit generator has, and for no
	// others (SP 800-90A Rev. 1, Section 10.2.1): entropy beyond the last bit of
	// seedlen has no place, and what is distributed unevenly stays so.
	NoDF bool
}

// CTR is CTR_DRBG of NIST SP 800-90A Rev. 1, Section 10.2.1, with AES. Use
// [NewCTR] to make one; it must not be copied after the first Seed.
//
// With derivation function, which is the default, the seed of the first Seed is
// entropy input ‖ nonce, at least 3/2 of the security strength long (48 bytes for
// AES-256); that of later ones is entropy input, at least as long as the security
// strength (32 bytes). Seed and additional of one call together, and the
// additional input of Generate, are at most 2³² - 1 bytes long.
//
// Without, every seed is exactly seedlen long: 32, 40 or 48 bytes for AES-128, 192
// or 256. There is no nonce. Personalization string and additional input are at
// most seedlen long; shorter ones are padded with zero bytes on the right.
//
// An instance reseeds for prediction resistance when its owner calls Seed with
// fresh entropy and the additional input, and then Generate with none (Section
// 9.3.1, Step 7).
//
// A CTR is not safe for concurrent use.
//
// # Security
//
// The security strength is that of AES with the key length chosen. Time and
// memory accesses do not depend on seed, state or output, with AES-NI and
// without; for FIPS mode see below. Clear wipes the state. The code for AES-NI
// leaves nothing in registers; what the code for other CPUs leaves there, and in
// stack slots for what does not fit in them, is out of reach.
//
// # FIPS 140-3
//
// In FIPS mode, which NewCTR asks for once, blocks are encrypted by nothing but
// the CTR and CBC modes of the Go Cryptographic Module, and the type works with
// GODEBUG=fips140=only. That allocates, with Go 1.26 twice in a request and six
// times in one whose additional input goes through the derivation function, and
// leaves expanded keys in garbage that cannot be wiped: all of the last 2000 keys of an
// instance were in a dump of its process, where [Hash] and [HMAC] left none. On CPUs without AES
// instructions the standard library uses tables, whose time depends on the data.
type CTR struct {
	*ctrMemory                         // in mem; nil without a state
	mem        secmem.Value[ctrMemory] // lasting: a schedule that turns to zeros is none

	info          Info
	keySize       int // keylen in bytes; 0 in a CTR that NewCTR has not made
	noDF          bool
	reseedCounter uint64 // zero if not instantiated
	cipher        ctrCipher
	df            ctrDF // unused without derivation function
}

// ctrMemory is what is secret, but for the keys of the standard library.
type ctrMemory struct {
	// The working state (Section 10.2.1.1), and the expanded key. Key and V are zero
	// while there is none, as Steps 4 and 5 of instantiation want them.
	key      [ctrMaxKeySize]byte
	v        [ctrBlockSize]byte
	expanded aesctr.Key

	// Zero between calls: provided_data of Update; its temp, or output and temp, or the
	// input of the derivation function.
	provided [ctrMaxSeedlen]byte
	work     ctrWork

	df ctrDFMemory
}

// ctrWork has room for temp and for output that is made together with it.
type ctrWork = [16 * ctrBlockSize]byte

var _ DRNG = (*CTR)(nil)

// NewCTR returns a CTR_DRBG that waits for its first [CTR.Seed]. It returns an
// error for a KeyBits that AES does not have.
func NewCTR(c CTRConfig) (*CTR, error) {
	return newCTR(c, fips.Enabled())
}

// newCTR is NewCTR with the choice of what does the encryption: the standard
// library or this module.
func newCTR(config CTRConfig, standardLibrary bool) (*CTR, error) {
	bits := config.KeyBits
	switch bits {
	case 0:
		bits = 256
	case 128, 192, 256:
	default:
		return nil, fmt.Errorf("drng: CTRConfig.KeyBits: %d, not 128, 192 or 256", bits)
	}
	c := &CTR{keySize: bits / 8, noDF: config.NoDF}
	c.mem.Lasting = true
	c.info = Info{
		Name:             fmt.Sprintf("CTR_DRBG AES-%d", bits),
		SecurityStrength: bits,
		MaxRequest:       ctrMaxRequest,
		ReseedInterval:   ctrReseedInterval,
		Approved:         true,
	}
	if c.noDF {
		c.info.Name += " no df"
		c.info.SeedSize, c.info.MaxAdditional = c.seedlen(), c.seedlen()
	}
	var buf *ctrBuf
	if standardLibrary {
		buf = new(ctrBuf)
	}
	c.cipher.init(buf)
	if !c.noDF {
		c.df.init(c.keySize, buf)
	}
	return c, nil
}

// seedlen returns seedlen in bytes.
func (c *CTR) seedlen() int { return c.keySize + ctrBlockSize }

// Info describes the mechanism. Its name is "CTR_DRBG AES-" and the length of the
// key in bits, with " no df" after it if there is no derivation function.
func (c *CTR) Info() Info { return c.info }

// Seed instantiates c the first time and after Clear, and reseeds it at other
// times. Additional is the personalization string or the additional input. A seed
// or additional of a length that the variant does not take is an error, and leaves
// c as it was; nothing is ever cut off.
func (c *CTR) Seed(seed, additional []byte) error {
	if err := ready(c.info.Name, c.alive()); err != nil {
		return err
	}
	return c.seed(seed, additional)
}

// seed is Seed without the self-test.
func (c *CTR) seed(seed, additional []byte) error {
	c.alive()
	if err := c.checkSeed(uint64(len(seed)), uint64(len(additional))); err != nil {
		return err
	}
	if c.reseedCounter == 0 {
		m, err := c.mem.Renew()
		if err != nil {
			return fmt.Errorf("drng: %s: %w", c.info.Name, err)
		}
		c.use(m)
	}

	// CTR_DRBG_Instantiate_algorithm and CTR_DRBG_Reseed_algorithm, SP 800-90A
	// Rev. 1, Sections 10.2.1.3 and 10.2.1.4. They differ in the Key and V they
	// start from. The steps are those of instantiation without df (with df).
	if c.noDF {
		copy(c.provided[:], additional)                                // Steps 1 and 2.
		subtle.XORBytes(c.provided[:], c.provided[:c.seedlen()], seed) // Step 3.
	} else {
		c.df.derive(c.provided[:c.seedlen()], seed, additional) // (Steps 1 and 2.)
	}
	if c.reseedCounter == 0 {
		c.cipher.setKey(c.key[:c.keySize]) // Steps 4 and 5 (3 and 4): zeros.
	}
	c.update(c.provided[:]) // Step 6 (5).
	c.reseedCounter = 1     // Step 7 (6).
	zero.Bytes(c.provided[:])
	runtime.KeepAlive(c)
	return nil
}

// use has c work in m; nil is no memory.
func (c *CTR) use(m *ctrMemory) {
	c.ctrMemory, c.cipher.own, c.df.ctrDFMemory, c.df.buf, c.df.derived.own = m, nil, nil, nil, nil
	if m != nil {
		c.cipher.own, c.df.ctrDFMemory, c.df.buf, c.df.derived.own = &m.expanded, &m.df, &m.work, &m.df.expanded
	}
}

// alive reports whether there is a state: see [vanished].
func (c *CTR) alive() bool {
	if c.reseedCounter != 0 && !c.mem.Intact() {
		c.Clear()
	}
	return c.reseedCounter != 0
}

// Generate fills out with up to 65536 bytes. Out and additional may overlap.
func (c *CTR) Generate(out, additional []byte) error {
	// The checks of Section 9.3.1, and Step 1.
	c.alive()
	if err := c.checkGenerate(len(out), uint64(len(additional))); err != nil {
		clear(out)
		return err
	}

	// CTR_DRBG_Generate_algorithm, SP 800-90A Rev. 1, Section 10.2.1.5.

	// Step 2. All of additional is read before out is written.
	var provided []byte
	if len(additional) > 0 {
		provided = c.provided[:]
		if c.noDF {
			copy(c.provided[:], additional)
		} else {
			c.df.derive(c.provided[:c.seedlen()], additional, nil)
		}
		c.update(provided)
	}

	// Steps 3 to 5, and Step 6: with additional_input, or zeros. Update encrypts what
	// follows the output; there is time to be saved by doing short ones together.
	whole := ctrWholeBlocks(len(out))
	switch n := whole + ctrWholeBlocks(c.seedlen()); {
	case n <= len(c.work):
		c.cipher.stream(c.work[:n], &c.v)
		copy(out, c.work[:whole])
		c.finishUpdate(c.work[whole:n], provided)
		zero.Bytes(c.work[:n])
	case c.cipher.std != nil:
		c.cipher.std.fill(out, &c.v)
		c.update(provided)
	default:
		// What follows long output is made before it: the processor has the blocks ready
		// by the end of the output then, and need not wait for them.
		k := n - whole
		temp, after := c.work[:k], (*[ctrBlockSize]byte)(c.work[k:])
		*after = c.v
		ctrAdd(after, uint64(whole/ctrBlockSize))
		c.cipher.own.CTR(temp, after)
		c.cipher.own.CTR(out, &c.v)
		c.finishUpdate(temp, provided)
		zero.Bytes(c.work[:k+ctrBlockSize])
	}
	c.reseedCounter++ // Step 7.
	zero.Bytes(provided)
	runtime.KeepAlive(c)
	return nil
}

// ctrWholeBlocks returns the length of the whole blocks that n bytes are in.
func ctrWholeBlocks(n int) int { return (n + ctrBlockSize - 1) &^ (ctrBlockSize - 1) }

// update is CTR_DRBG_Update, SP 800-90A Rev. 1, Section 10.2.1.2. Of provided, seedlen bits
// count; nil stands for zeros.
func (c *CTR) update(provided []byte) {
	// Steps 1 to 3: whole blocks, of which the first seedlen bits count.
	temp := c.work[:ctrWholeBlocks(c.seedlen())]
	c.cipher.stream(temp, &c.v)
	c.finishUpdate(temp, provided)
	zero.Bytes(temp)
}

// finishUpdate is Steps 4 to 6 of Update.
func (c *CTR) finishUpdate(temp, provided []byte) {
	n := c.seedlen()
	temp = temp[:n]
	if provided != nil {
		subtle.XORBytes(temp, temp, provided[:n]) // Step 4.
	}
	// Steps 5 and 6.
	copy(c.key[:], temp[:c.keySize])
	copy(c.v[:], temp[c.keySize:])
	c.cipher.setKey(c.key[:c.keySize])
}

// Clear wipes the state. The next Seed instantiates anew.
func (c *CTR) Clear() {
	c.reseedCounter = 0
	c.cipher.drop()
	c.mem.Free()
	c.use(nil)
}

// SecretMemory is for package lrng, which alone can use it. It is nil in FIPS mode: see
// there.
func (c *CTR) SecretMemory() secmem.Holder {
	if c.cipher.std != nil {
		return nil
	}
	return &c.mem
}

// String returns the name of the type; nothing of the state is ever printed. It
// and GoString have value receivers so that this holds for a CTR that is printed
// by value, too.
func (CTR) String() string { return "drng.CTR" }

// GoString returns the same as String.
func (CTR) GoString() string { return "drng.CTR" }

// checkSeed checks the lengths, in bytes, of what Seed got.
func (c *CTR) checkSeed(seed, additional uint64) error {
	if c.noDF {
		// Table 3: the entropy input has exactly seedlen bits.
		if n := uint64(c.seedlen()); seed != n {
			return fmt.Errorf("drng: %s: seed of %d bytes, want %d", c.info.Name, seed, n)
		}
		return c.checkAdditional(additional)
	}

	// Table 3: the entropy input has at least the security strength, which is
	// keylen. To instantiate, a nonce with half of that comes on top (Section
	// 8.6.7). The seed may hold less entropy than bits, but never more, so a
	// shorter one cannot be good. The shortest ones that NIST tests with have these
	// lengths.
	least, task := uint64(c.keySize), "reseed"
	if c.reseedCounter == 0 {
		least, task = least*3/2, "instantiate"
	}
	if seed < least {
		return fmt.Errorf("drng: %s: seed of %d bytes, at least %d to %s", c.info.Name, seed, least, task)
	}
	// Each has a length of a slice, below 2⁶³: the sum does not overflow.
	if seed+additional > ctrMaxDFInput {
		return fmt.Errorf("drng: %s: seed and additional of %d bytes, at most %d", c.info.Name, seed+additional, uint64(ctrMaxDFInput))
	}
	return nil
}

// checkGenerate checks a request for out bytes: Section 9.3.1, Steps 1, 2 and 4,
// and Step 1 of the generate algorithm.
func (c *CTR) checkGenerate(out int, additional uint64) error {
	if err := failed(c.info.Name); err != nil {
		return err
	}
	switch {
	case c.reseedCounter == 0:
		return fmt.Errorf("%w: %s", ErrNotSeeded, c.info.Name)
	case out > ctrMaxRequest:
		return fmt.Errorf("%w: %s: %d bytes, at most %d", ErrRequestTooLarge, c.info.Name, out, ctrMaxRequest)
	case c.reseedCounter > ctrReseedInterval:
		return fmt.Errorf("%w: %s: %d requests since the last seed", ErrReseedRequired, c.info.Name, c.reseedCounter-1)
	}
	return c.checkAdditional(additional)
}

// checkAdditional checks the length, in bytes, of a personalization string or an
// additional input.
func (c *CTR) checkAdditional(n uint64) error {
	most := uint64(ctrMaxDFInput)
	if c.noDF {
		most = uint64(c.seedlen())
	}
	if n > most {
		return fmt.Errorf("drng: %s: additional of %d bytes, at most %d", c.info.Name, n, most)
	}
	return nil
}
