package chacha20

import (
	"encoding/binary"
	"math/bits"
)

// blocksGeneric writes all whole blocks that fit in dst, advances the counter by
// their number, and returns how many bytes they are.
func blocksGeneric(dst []byte, s *State) int {
	n := len(dst) / BlockSize * BlockSize
	for i := 0; i < n; i += BlockSize {
		block((*[BlockSize]byte)(dst[i:]), s)
	}
	return n
}

// block writes one block and advances the counter.
//
// The working state is 16 variables and not an array: the compiler keeps most of
// them in registers, which makes it three times as fast on amd64.
func block(dst *[BlockSize]byte, s *State) {
	// The block function, RFC 8439, Section 2.3.
	x0, x1, x2, x3 := s[0], s[1], s[2], s[3]
	x4, x5, x6, x7 := s[4], s[5], s[6], s[7]
	x8, x9, x10, x11 := s[8], s[9], s[10], s[11]
	x12, x13, x14, x15 := s[12], s[13], s[14], s[15]

	for range 10 {
		// The columns.
		x0, x4, x8, x12 = quarterRound(x0, x4, x8, x12)
		x1, x5, x9, x13 = quarterRound(x1, x5, x9, x13)
		x2, x6, x10, x14 = quarterRound(x2, x6, x10, x14)
		x3, x7, x11, x15 = quarterRound(x3, x7, x11, x15)

		// The diagonals.
		x0, x5, x10, x15 = quarterRound(x0, x5, x10, x15)
		x1, x6, x11, x12 = quarterRound(x1, x6, x11, x12)
		x2, x7, x8, x13 = quarterRound(x2, x7, x8, x13)
		x3, x4, x9, x14 = quarterRound(x3, x4, x9, x14)
	}

	le := binary.LittleEndian
	le.PutUint32(dst[0:], x0+s[0])
	le.PutUint32(dst[4:], x1+s[1])
	le.PutUint32(dst[8:], x2+s[2])
	le.PutUint32(dst[12:], x3+s[3])
	le.PutUint32(dst[16:], x4+s[4])
	le.PutUint32(dst[20:], x5+s[5])
	le.PutUint32(dst[24:], x6+s[6])
	le.PutUint32(dst[28:], x7+s[7])
	le.PutUint32(dst[32:], x8+s[8])
	le.PutUint32(dst[36:], x9+s[9])
	le.PutUint32(dst[40:], x10+s[10])
	le.PutUint32(dst[44:], x11+s[11])
	le.PutUint32(dst[48:], x12+s[12])
	le.PutUint32(dst[52:], x13+s[13])
	le.PutUint32(dst[56:], x14+s[14])
	le.PutUint32(dst[60:], x15+s[15])

	s[CounterIndex]++
}

// quarterRound is that of RFC 8439, Section 2.1.
func quarterRound(a, b, c, d uint32) (uint32, uint32, uint32, uint32) {
	a += b
	d = bits.RotateLeft32(d^a, 16)
	c += d
	b = bits.RotateLeft32(b^c, 12)
	a += b
	d = bits.RotateLeft32(d^a, 8)
	c += d
	b = bits.RotateLeft32(b^c, 7)
	return a, b, c, d
}
