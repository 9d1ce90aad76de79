package drng

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/lrng-go/lrng/internal/chacha20"
	"github.com/lrng-go/lrng/internal/secmem"
	"github.com/lrng-go/lrng/internal/zero"
)

// Name and limits of [ChaCha20].
const (
	chacha20Name = "ChaCha20"

	// SP 800-90A Rev. 1, Tables 2 and 3: at most 2¹⁹ bits a request. LRNG asks
	// for 2¹² bytes at a time; the output of a request does not depend on it.
	chacha20MaxRequest = 1 << 16

	// SP 800-90A Rev. 1, Tables 2 and 3: at most 2⁴⁸ requests between seeds. The
	// construction sets no limit of its own: the nonce does not repeat before
	// 2⁹⁶ updates. So the limit is that of the other mechanisms, above the 2³⁰
	// requests after which package lrng stops in any case.
	chacha20ReseedInterval = 1 << 48

	// The block counter before the first seed. ESDM starts here; LRNG with what
	// was in memory, which is no contract.
	chacha20FirstBlock = 1
)

// ChaCha20 is the ChaCha20 DRNG of LRNG, bit for bit: the block function of RFC
// 8439 with a key that every request and every piece of seed replaces. ESDM and
// leancrypto have the same. Use [NewChaCha20] to make one; it must not be copied
// after the first Seed.
//
// The state is that of the block function: a key of 32 bytes, a nonce that
// counts the updates of the key (96 bits, never reset by a seed), and the block
// counter, which runs on over updates and starts again at zero after 2³² blocks.
//
// Seed XORs the seed onto the key, 32 bytes at a time, each followed by an
// update: the key is XORed with 32 bytes of fresh key stream and the nonce is
// incremented. Seed(a, b) does what Seed(a, nil) and then Seed(nil, b) do. Any
// length is taken; the last piece may be short.
//
// Generate absorbs additional as Seed does, emits key stream, and updates the
// key: with the words that are left of the last block if these are 8 or more,
// otherwise with the beginning of a fresh one. A request for no bytes is a
// request: it updates the key and counts. Requests cannot be joined or split
// without changing the output.
//
// # Security
//
// The security strength is 256 bits. ChaCha20 is not an approved mechanism of
// SP 800-90A: programs that need one use [CTR], [Hash] or [HMAC].
//
// Clear wipes the state. Registers, and the stack slots in which the block
// function keeps what does not fit in them, are out of its reach.
type ChaCha20 struct {
	*chacha20Memory // in mem; nil without a state
	mem             secmem.Value[chacha20Memory]

	requests uint64 // since the last seed
	seeded   bool
}

// chacha20Memory is what is secret.
type chacha20Memory struct {
	state chacha20.State

	// A block of key stream, half of it the next key's; zero between calls.
	block [chacha20.BlockSize]byte
}

var _ DRNG = (*ChaCha20)(nil)

// NewChaCha20 returns a ChaCha20 DRNG that waits for its first [ChaCha20.Seed].
// Its block counter starts at 1.
func NewChaCha20() *ChaCha20 {
	return new(ChaCha20)
}

// Info describes the mechanism.
func (*ChaCha20) Info() Info {
	return Info{
		Name:             chacha20Name,
		SecurityStrength: 256,
		MaxRequest:       chacha20MaxRequest,
		ReseedInterval:   chacha20ReseedInterval,
	}
}

// Seed absorbs seed and then additional, on top of what the state holds.
//
// The first call, and the first after Clear, needs a seed of at least one byte
// and returns an error without. In later calls an empty seed adds nothing, and
// the requests since the last seed are counted on.
func (c *ChaCha20) Seed(seed, additional []byte) error {
	if err := ready(chacha20Name, c.alive()); err != nil {
		return err
	}
	return c.seed(seed, additional)
}

// seed is Seed without the self-test.
func (c *ChaCha20) seed(seed, additional []byte) error {
	if !c.alive() {
		if len(seed) == 0 {
			return errors.New("drng: ChaCha20: empty seed")
		}
		m, err := c.mem.Renew()
		if err != nil {
			return fmt.Errorf("drng: ChaCha20: %w", err)
		}
		c.chacha20Memory = m
		c.state.Reset(chacha20FirstBlock)
		c.seeded = true
	}
	c.absorb(seed)
	c.absorb(additional)
	if len(seed) > 0 {
		c.requests = 0
	}
	return c.kept()
}

// alive reports whether there is a state: see [vanished].
func (c *ChaCha20) alive() bool {
	if c.seeded && !c.mem.Intact() {
		c.Clear()
	}
	return c.seeded
}

// kept returns the error of a call during which the state vanished, or nil.
func (c *ChaCha20) kept() error {
	if c.mem.Kept() {
		return nil
	}
	c.Clear()
	return vanished(chacha20Name)
}

// Generate absorbs additional, if there is any, and fills out. The errors are
// those of [DRNG].
func (c *ChaCha20) Generate(out, additional []byte) error {
	if err := c.check(len(out)); err != nil {
		clear(out)
		return err
	}
	c.requests++

	// All of additional is read before out is written: they may overlap.
	m := c.chacha20Memory
	m.absorb(additional)

	n := len(out) / chacha20.BlockSize * chacha20.BlockSize
	chacha20.Blocks(out[:n], &m.state)
	chacha20.Blocks(m.block[:], &m.state)
	used := copy(out[n:], m.block[:])

	// The words of which nothing was used are the next key's, if they suffice.
	used = (used + 3) &^ 3
	if used > chacha20.BlockSize-chacha20.KeySize {
		chacha20.Blocks(m.block[:], &m.state)
		used = 0
	}
	m.update(m.block[used:])
	zero.Bytes(m.block[:])
	if err := c.kept(); err != nil {
		clear(out)
		return err
	}
	return nil
}

// check returns the error of a request for n bytes, or nil.
func (c *ChaCha20) check(n int) error {
	if err := failed(chacha20Name); err != nil {
		return err
	}
	switch {
	case !c.alive():
		return fmt.Errorf("%w: ChaCha20", ErrNotSeeded)
	case n > chacha20MaxRequest:
		return fmt.Errorf("%w: ChaCha20: %d bytes, at most %d", ErrRequestTooLarge, n, chacha20MaxRequest)
	case c.requests >= chacha20ReseedInterval:
		return fmt.Errorf("%w: ChaCha20: %d requests since the last seed", ErrReseedRequired, c.requests)
	}
	return nil
}

// absorb XORs p onto the key, 32 bytes at a time, with an update after each.
func (m *chacha20Memory) absorb(p []byte) {
	if len(p) == 0 {
		return
	}
	for len(p) > 0 {
		n := min(len(p), chacha20.KeySize)
		m.xorKey(p[:n])
		p = p[n:]
		chacha20.Blocks(m.block[:], &m.state)
		m.update(m.block[:])
	}
	zero.Bytes(m.block[:])
}

// update replaces the key with the help of the first 32 bytes of stream, which
// must not have been used, and increments the nonce.
func (m *chacha20Memory) update(stream []byte) {
	m.xorKey(stream[:chacha20.KeySize])

	// The nonce is a little-endian count of updates and no secret.
	for i := chacha20.NonceIndex; i < len(m.state); i++ {
		m.state[i]++
		if m.state[i] != 0 {
			break
		}
	}
}

// xorKey XORs p, at most 32 bytes, onto the first bytes of the key.
func (m *chacha20Memory) xorKey(p []byte) {
	key := m.state[chacha20.KeyIndex : chacha20.KeyIndex+chacha20.KeySize/4]
	for len(p) >= 4 {
		key[0] ^= binary.LittleEndian.Uint32(p)
		key, p = key[1:], p[4:]
	}
	for i, b := range p {
		key[0] ^= uint32(b) << (8 * i)
	}
}

// Clear wipes the state. The next Seed instantiates anew.
func (c *ChaCha20) Clear() {
	c.mem.Free()
	c.chacha20Memory = nil
	c.requests = 0
	c.seeded = false
}

// SecretMemory is for package lrng, which alone can use it.
func (c *ChaCha20) SecretMemory() secmem.Holder { return &c.mem }

// String returns the name of the type; nothing of the state is ever printed. It
// and GoString have value receivers so that this holds for a ChaCha20 that is
// printed by value, too.
func (ChaCha20) String() string { return "drng.ChaCha20" }

// GoString returns the same as String.
func (ChaCha20) GoString() string { return "drng.ChaCha20" }
