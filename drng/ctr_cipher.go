package drng

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"math/bits"

	"github.com/lrng-go/lrng/internal/aesctr"
	"github.com/lrng-go/lrng/internal/zero"
)

// A ctrCipher is AES with one key, in the forms that CTR_DRBG and its derivation
// function need. It hides which code does it: that of this module, or in FIPS mode
// that of the standard library.
type ctrCipher struct {
	own *aesctr.Key // memory of whoever has the cipher
	std *ctrStd     // nil outside of FIPS mode
}

// A ctrStd is a ctrCipher made of the CTR and CBC modes of the standard library:
// these are approved services of the Go Cryptographic Module, Encrypt of a single
// block (ECB) is not. All that is passed to interface methods lies in buf, since
// it would make the caller's memory escape to the heap.
type ctrStd struct {
	block  cipher.Block
	stream cipher.Stream // blocks after V; nil if there were none since setKey
	mode   ctrCBC        // with an IV of zeros; nil if there was none since setKey
	buf    [32 * ctrBlockSize]byte
}

// A ctrCBC is what NewCBCEncrypter of the standard library returns. That it can have
// another IV, so that there need not be another one, is not documented; crypto/tls relies
// on it.
type ctrCBC interface {
	cipher.BlockMode
	SetIV([]byte)
}

// init makes c ready for setKey.
func (c *ctrCipher) init(standardLibrary bool) {
	if standardLibrary {
		c.std = new(ctrStd)
	}
}

// setKey sets the key.
func (c *ctrCipher) setKey(key []byte) {
	if c.std != nil {
		c.std.setKey(key)
		return
	}
	c.own.Expand(key)
}

// stream fills dst with Block_Encrypt(Key, V+1) ‖ Block_Encrypt(Key, V+2) ‖ …, and
// leaves V at the last value. V is big-endian, modulo 2¹²⁸. What is not needed of
// the last block is discarded. After setKey, nothing else may change V.
func (c *ctrCipher) stream(dst []byte, v *[ctrBlockSize]byte) {
	if c.std != nil {
		c.std.ctr(dst, v)
		return
	}
	c.own.CTR(dst, v)
}

// bcc continues each chain over data, 1 to 16 whole blocks: BCC, SP 800-90A Rev. 1,
// Section 10.3.3, Step 4.
func (c *ctrCipher) bcc(chains *ctrChains, data []byte) {
	if c.std != nil {
		c.std.bcc(chains, data)
		return
	}
	c.own.BCC(chains, data)
}

// iterate fills dst, 1 to 496 bytes, with Block_Encrypt(Key, x), the encryption of
// that, and so on. X becomes the last block, of which dst gets what fits.
func (c *ctrCipher) iterate(dst []byte, x *[ctrBlockSize]byte) {
	if c.std != nil {
		c.std.iterate(dst, x)
		return
	}
	c.own.Iterate(dst, x)
}

// clear wipes the key. In FIPS mode it drops it: the memory is not ours.
func (c *ctrCipher) clear() {
	c.own.Clear()
	c.drop()
}

// drop drops the key of the standard library.
func (c *ctrCipher) drop() {
	if c.std != nil {
		c.std.block, c.std.stream, c.std.mode = nil, nil, nil
	}
}

func (s *ctrStd) setKey(key []byte) {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("drng: CTR: internal error: " + err.Error())
	}
	s.block, s.stream, s.mode = block, nil, nil
}

func (s *ctrStd) ctr(dst []byte, v *[ctrBlockSize]byte) {
	defer zero.Bytes(s.buf[:min(max(ctrWholeBlocks(len(dst)), ctrBlockSize), len(s.buf))])
	if s.stream == nil {
		next := *v
		ctrAdd(&next, 1)
		copy(s.buf[:], next[:])
		s.stream = cipher.NewCTR(s.block, s.buf[:ctrBlockSize])
	}
	for len(dst) > 0 {
		n := min(len(dst), len(s.buf))
		b := s.buf[:ctrWholeBlocks(n)]
		clear(b)
		s.stream.XORKeyStream(b, b)
		copy(dst[:n], b)
		dst = dst[n:]
		ctrAdd(v, uint64(len(b)/ctrBlockSize))
	}
}

// cbc encrypts b in place with the given IV. Both are in s.buf, and wipe comes after it.
func (s *ctrStd) cbc(iv, b []byte) {
	if s.mode != nil {
		s.mode.SetIV(iv)
		s.mode.CryptBlocks(b, b)
		return
	}
	mode := cipher.NewCBCEncrypter(s.block, iv)
	mode.CryptBlocks(b, b)
	s.mode, _ = mode.(ctrCBC)
}

// wipe clears n bytes of the buffer, one block at least, and the IV.
func (s *ctrStd) wipe(n int) {
	zero.Bytes(s.buf[:n])
	if s.mode != nil {
		s.mode.SetIV(s.buf[:ctrBlockSize])
	}
}

func (s *ctrStd) bcc(chains *ctrChains, data []byte) {
	defer s.wipe(ctrBlockSize + len(data))
	for i := range chains {
		// BCC is CBC with the chaining value as IV, of which the last block counts.
		chain := s.buf[:ctrBlockSize]
		copy(chain, chains[i][:])
		b := s.buf[ctrBlockSize:][:len(data)]
		copy(b, data)
		s.cbc(chain, b)
		copy(chains[i][:], b[len(b)-ctrBlockSize:])
	}
}

func (s *ctrStd) iterate(dst []byte, x *[ctrBlockSize]byte) {
	// It is CBC of zeros, with x as IV.
	n := ctrWholeBlocks(len(dst))
	defer s.wipe(ctrBlockSize + n)
	iv := s.buf[:ctrBlockSize]
	copy(iv, x[:])
	b := s.buf[ctrBlockSize:][:n]
	clear(b)
	s.cbc(iv, b)
	copy(dst, b)
	copy(x[:], b[len(b)-ctrBlockSize:])
}

// ctrAdd sets v = v + n mod 2¹²⁸.
func ctrAdd(v *[ctrBlockSize]byte, n uint64) {
	lo, carry := bits.Add64(binary.BigEndian.Uint64(v[8:]), n, 0)
	hi, _ := bits.Add64(binary.BigEndian.Uint64(v[:8]), 0, carry)
	binary.BigEndian.PutUint64(v[:8], hi)
	binary.BigEndian.PutUint64(v[8:], lo)
}
