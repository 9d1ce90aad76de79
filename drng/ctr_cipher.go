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
// block (ECB) is not. What is passed to interface methods escapes to the heap, so that
// it is memory of the mechanism and none of its callers.
type ctrStd struct {
	key    []byte        // of setKey, expanded where it is needed first
	stream cipher.Stream // blocks after V; nil if there were none since setKey
	mode   ctrCBC        // with an IV of zeros; nil if there was none since setKey
	buf    *ctrBuf       // zero between calls
}

// ctrBuf has room for what the standard library makes at once. With 512 bytes the calls
// would be a tenth of the time of long output.
type ctrBuf = [256 * ctrBlockSize]byte

// ctrZeros is only read.
var ctrZeros ctrBuf

// A ctrCBC is what NewCBCEncrypter of the standard library returns. That it can have
// another IV, so that there need not be another one, is not documented; crypto/tls relies
// on it.
type ctrCBC interface {
	cipher.BlockMode
	SetIV([]byte)
}

// init makes c ready for setKey: in FIPS mode with a buffer, which other ciphers may have,
// too, and else with nil.
func (c *ctrCipher) init(buf *ctrBuf) {
	if buf != nil {
		c.std = &ctrStd{buf: buf}
	}
}

// setKey sets the key. It stays where it is until the next setKey, or clear: in FIPS mode
// it is not expanded yet.
func (c *ctrCipher) setKey(key []byte) {
	if c.std != nil {
		c.std.setKey(key)
		return
	}
	c.own.Expand(key)
}

// stream fills dst, 1 or more whole blocks in memory of the mechanism, with
// Block_Encrypt(Key, V+1) ‖ Block_Encrypt(Key, V+2) ‖ …, and leaves V at the last value.
// V is big-endian, modulo 2¹²⁸. After setKey, nothing else may change V.
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
		c.std.setKey(nil)
	}
}

func (s *ctrStd) setKey(key []byte) { s.key, s.stream, s.mode = key, nil, nil }

// block returns the block cipher with the key.
func (s *ctrStd) block() cipher.Block {
	block, err := aes.NewCipher(s.key)
	if err != nil {
		panic("drng: CTR: internal error: " + err.Error())
	}
	return block
}

// ctr is stream, for up to the length of a ctrBuf.
func (s *ctrStd) ctr(dst []byte, v *[ctrBlockSize]byte) {
	n := uint64(len(dst) / ctrBlockSize)
	if s.stream == nil {
		ctrAdd(v, 1) // to the first block
		s.stream = cipher.NewCTR(s.block(), v[:])
		n--
	}
	s.stream.XORKeyStream(dst, ctrZeros[:len(dst)])
	ctrAdd(v, n)
}

// fill is stream for memory of callers, of any length. What is not needed of the last block
// is discarded.
func (s *ctrStd) fill(dst []byte, v *[ctrBlockSize]byte) {
	defer zero.Bytes(s.buf[:min(ctrWholeBlocks(len(dst)), len(s.buf))])
	for len(dst) > 0 {
		b := s.buf[:min(ctrWholeBlocks(len(dst)), len(s.buf))]
		s.ctr(b, v)
		dst = dst[copy(dst, b):]
	}
}

// cbc sets dst to the CBC encryption of src.
func (s *ctrStd) cbc(dst, src, iv []byte) {
	if s.mode != nil {
		s.mode.SetIV(iv)
		s.mode.CryptBlocks(dst, src)
		return
	}
	mode := cipher.NewCBCEncrypter(s.block(), iv)
	mode.CryptBlocks(dst, src)
	s.mode, _ = mode.(ctrCBC)
}

// wipe clears n bytes of the buffer, and the IV.
func (s *ctrStd) wipe(n int) {
	zero.Bytes(s.buf[:n])
	if s.mode != nil {
		s.mode.SetIV(ctrZeros[:ctrBlockSize])
	}
}

func (s *ctrStd) bcc(chains *ctrChains, data []byte) {
	defer s.wipe(len(data))
	b := s.buf[:len(data)]
	for i := range chains {
		// BCC is CBC with the chaining value as IV, of which the last block counts.
		s.cbc(b, data, chains[i][:])
		copy(chains[i][:], b[len(b)-ctrBlockSize:])
	}
}

func (s *ctrStd) iterate(dst []byte, x *[ctrBlockSize]byte) {
	// It is CBC of zeros, with x as IV.
	b := s.buf[:ctrWholeBlocks(len(dst))]
	defer s.wipe(len(b))
	s.cbc(b, ctrZeros[:len(b)], x[:])
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
