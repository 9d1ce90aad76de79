package drng

import (
	"errors"
	"fmt"

	"github.com/lrng-go/lrng/internal/chacha20"
	"github.com/lrng-go/lrng/internal/secmem"
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
// On amd64 with AVX2 and on arm64, unless built with the tag purego, nothing of the
// state is ever on a stack, or in a register when a call returns. What is in registers during
// a call gets into memory when a signal arrives, and stays there until the next one: see
// Hardened in the configuration of package lrng. Elsewhere parts of the state may be left in
// registers and on the stack.
type ChaCha20 struct {
	*chacha20Memory // in mem; nil without a state
	mem             secmem.Value[chacha20Memory]

	requests uint64 // since the last seed
	seeded   bool
	hardened bool // no signals while the state is in registers
}

// chacha20Memory is what is secret.
type chacha20Memory struct {
	state   chacha20.State
	scratch chacha20.Scratch // zero between calls
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
	for _, p := range [2][]byte{seed, additional} {
		if err := chacha20.Absorb(p, &c.state, &c.scratch, c.hardened); err != nil {
			return c.lost(err)
		}
	}
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

// lost is for an error in the midst of a call: that signals cannot be blocked any more. The
// state is somewhere between before and after, so it goes.
func (c *ChaCha20) lost(err error) error {
	c.Clear()
	return fmt.Errorf("drng: ChaCha20: %w", err)
}

// Generate absorbs additional, if there is any, and fills out. The errors are
// those of [DRNG].
func (c *ChaCha20) Generate(out, additional []byte) error {
	if err := c.check(len(out)); err != nil {
		clear(out)
		return err
	}
	c.requests++

	if err := chacha20.Generate(out, additional, &c.state, &c.scratch, c.hardened); err != nil {
		clear(out)
		return c.lost(err)
	}
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

// Clear wipes the state. The next Seed instantiates anew.
func (c *ChaCha20) Clear() {
	c.mem.Free()
	c.chacha20Memory = nil
	c.requests = 0
	c.seeded = false
}

// SecretMemory is for package lrng, which alone can use it.
func (c *ChaCha20) SecretMemory() secmem.Holder { return &c.mem }

// Harden has Seed and Generate block all signals of their thread while anything of the state
// is in a register, so that it never is on a signal stack. It lasts, also over Clear. The
// error says that this build, system or processor has no code for it, and nothing changes.
//
// It is for package lrng, which has Hardened in its configuration.
func (c *ChaCha20) Harden() error {
	if err := chacha20.CanHarden(); err != nil {
		return fmt.Errorf("drng: ChaCha20: %w", err)
	}
	c.hardened = true
	return nil
}

// String returns the name of the type; nothing of the state is ever printed. It
// and GoString have value receivers so that this holds for a ChaCha20 that is
// printed by value, too.
func (ChaCha20) String() string { return "drng.ChaCha20" }

// GoString returns the same as String.
func (ChaCha20) GoString() string { return "drng.ChaCha20" }
