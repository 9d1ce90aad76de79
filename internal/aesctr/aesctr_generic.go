package aesctr

import (
	"crypto/subtle"
	"encoding/binary"
	"math/bits"

	"github.com/lrng-go/lrng/internal/zero"
)

// The portable code is bitsliced: eight 64-bit words, the planes, hold four
// blocks. Bit i of every byte is in plane i, at a place that names the block b and
// the byte's row r and column c in the AES state:
//
//	16·r + 4·c + b
//
// So an operation on bytes is a few logical operations on planes (the S-box) or a
// permutation of the bits of each plane (ShiftRows, and the rotations within
// MixColumns). No address and no branch depends on data.
//
// E. Käsper, P. Schwabe, "Faster and Timing-Attack Resistant AES-GCM", CHES
// 2009, is the best-known use of the idea. The layout with rows on top, which
// makes both permutations cheap in general purpose registers, is that of T.
// Pornin's constant-time AES in BearSSL.
type planes [8]uint64

// lanes is the number of blocks in the planes.
const lanes = 4

// spread returns the four bytes of a column, row 0 in the least significant one,
// in the low halves of four 16-bit lanes.
func spread(column uint32) uint64 {
	x := uint64(column)
	x = (x | x<<16) & 0x0000ffff0000ffff
	return (x | x<<8) & 0x00ff00ff00ff00ff
}

// gather undoes spread; it ignores the high halves of the lanes.
func gather(x uint64) uint32 {
	x &= 0x00ff00ff00ff00ff
	x = (x | x>>8) & 0x0000ffff0000ffff
	return uint32(x | x>>16)
}

// load puts a block in lane b. All four are loaded before [planes.transpose].
//
// Word 4·c₀ + b takes the columns c₀ and c₀+2, so that the bits of a place are
// r₁ r₀ c₁ and the bit's number i in the byte; transpose exchanges the latter
// with the number of the word, which is c₀ b₁ b₀.
func (q *planes) load(b int, block *[BlockSize]byte) {
	for c := range 2 {
		q[4*c+b] = spread(binary.LittleEndian.Uint32(block[4*c:])) |
			spread(binary.LittleEndian.Uint32(block[4*c+8:]))<<8
	}
}

// store undoes load, after transpose.
func (q *planes) store(block *[BlockSize]byte, b int) {
	for c := range 2 {
		binary.LittleEndian.PutUint32(block[4*c:], gather(q[4*c+b]))
		binary.LittleEndian.PutUint32(block[4*c+8:], gather(q[4*c+b]>>8))
	}
}

// transpose exchanges, in each group of eight bits, the number of the bit with
// the number of the word. It is its own inverse.
func (q *planes) transpose() {
	const m1, m2, m4 = 0x5555555555555555, 0x3333333333333333, 0x0f0f0f0f0f0f0f0f
	q0, q1 := swap(q[0], q[1], 1, m1)
	q2, q3 := swap(q[2], q[3], 1, m1)
	q4, q5 := swap(q[4], q[5], 1, m1)
	q6, q7 := swap(q[6], q[7], 1, m1)

	q0, q2 = swap(q0, q2, 2, m2)
	q1, q3 = swap(q1, q3, 2, m2)
	q4, q6 = swap(q4, q6, 2, m2)
	q5, q7 = swap(q5, q7, 2, m2)

	q[0], q[4] = swap(q0, q4, 4, m4)
	q[1], q[5] = swap(q1, q5, 4, m4)
	q[2], q[6] = swap(q2, q6, 4, m4)
	q[3], q[7] = swap(q3, q7, 4, m4)
}

// swap exchanges the bits of a at mask<<n with the bits of b at mask.
func swap(a, b uint64, n uint, mask uint64) (uint64, uint64) {
	t := (a>>n ^ b) & mask
	return a ^ t<<n, b ^ t
}

// subBytes applies the S-box to every byte (FIPS 197, Section 5.1.1).
//
// It is the circuit of J. Boyar and R. Peralta, "A depth-16 circuit for the AES
// S-box", https://eprint.iacr.org/2011/332, with the names of that paper: x0 and
// s0 are the most significant bits.
func (q *planes) subBytes() {
	x0, x1, x2, x3 := q[7], q[6], q[5], q[4]
	x4, x5, x6, x7 := q[3], q[2], q[1], q[0]

	// The top linear layer: into the tower field.
	y14 := x3 ^ x5
	y13 := x0 ^ x6
	y9 := x0 ^ x3
	y8 := x0 ^ x5
	t0 := x1 ^ x2
	y1 := t0 ^ x7
	y4 := y1 ^ x3
	y12 := y13 ^ y14
	y2 := y1 ^ x0
	y5 := y1 ^ x6
	y3 := y5 ^ y8
	t1 := x4 ^ y12
	y15 := t1 ^ x5
	y20 := t1 ^ x1
	y6 := y15 ^ x7
	y10 := y15 ^ t0
	y11 := y20 ^ y9
	y7 := x7 ^ y11
	y17 := y10 ^ y11
	y19 := y10 ^ y8
	y16 := t0 ^ y11
	y21 := y13 ^ y16
	y18 := x0 ^ y16

	// The middle layer: inversion.
	t2 := y12 & y15
	t3 := y3 & y6
	t4 := t3 ^ t2
	t5 := y4 & x7
	t6 := t5 ^ t2
	t7 := y13 & y16
	t8 := y5 & y1
	t9 := t8 ^ t7
	t10 := y2 & y7
	t11 := t10 ^ t7
	t12 := y9 & y11
	t13 := y14 & y17
	t14 := t13 ^ t12
	t15 := y8 & y10
	t16 := t15 ^ t12
	t17 := t4 ^ t14
	t18 := t6 ^ t16
	t19 := t9 ^ t14
	t20 := t11 ^ t16
	t21 := t17 ^ y20
	t22 := t18 ^ y19
	t23 := t19 ^ y21
	t24 := t20 ^ y18
	t25 := t21 ^ t22
	t26 := t21 & t23
	t27 := t24 ^ t26
	t28 := t25 & t27
	t29 := t28 ^ t22
	t30 := t23 ^ t24
	t31 := t22 ^ t26
	t32 := t31 & t30
	t33 := t32 ^ t24
	t34 := t23 ^ t33
	t35 := t27 ^ t33
	t36 := t24 & t35
	t37 := t36 ^ t34
	t38 := t27 ^ t36
	t39 := t29 & t38
	t40 := t25 ^ t39
	t41 := t40 ^ t37
	t42 := t29 ^ t33
	t43 := t29 ^ t40
	t44 := t33 ^ t37
	t45 := t42 ^ t41
	z0 := t44 & y15
	z1 := t37 & y6
	z2 := t33 & x7
	z3 := t43 & y16
	z4 := t40 & y1
	z5 := t29 & y7
	z6 := t42 & y11
	z7 := t45 & y17
	z8 := t41 & y10
	z9 := t44 & y12
	z10 := t37 & y3
	z11 := t33 & y4
	z12 := t43 & y13
	z13 := t40 & y5
	z14 := t29 & y2
	z15 := t42 & y9
	z16 := t45 & y14
	z17 := t41 & y8

	// The bottom linear layer: back, and the affine map.
	t46 := z15 ^ z16
	t47 := z10 ^ z11
	t48 := z5 ^ z13
	t49 := z9 ^ z10
	t50 := z2 ^ z12
	t51 := z2 ^ z5
	t52 := z7 ^ z8
	t53 := z0 ^ z3
	t54 := z6 ^ z7
	t55 := z16 ^ z17
	t56 := z12 ^ t48
	t57 := t50 ^ t53
	t58 := z4 ^ t46
	t59 := z3 ^ t54
	t60 := t46 ^ t57
	t61 := z14 ^ t57
	t62 := t52 ^ t58
	t63 := t49 ^ t58
	t64 := z4 ^ t59
	t65 := t61 ^ t62
	t66 := z1 ^ t63
	s0 := t59 ^ t63
	s6 := t56 ^ ^t62
	s7 := t48 ^ ^t60
	t67 := t64 ^ t65
	s3 := t53 ^ t66
	s4 := t51 ^ t66
	s5 := t47 ^ t65
	s1 := t64 ^ ^s3
	s2 := t55 ^ ^t67

	q[7], q[6], q[5], q[4] = s0, s1, s2, s3
	q[3], q[2], q[1], q[0] = s4, s5, s6, s7
}

// shiftRows rotates row r by r columns to the left (FIPS 197, Section 5.1.2): the
// 16-bit lane r of each plane by 4·r bits to the right. Rows 2 and 3 turn by 8,
// that is, exchange their bytes; then rows 1 and 3 turn by 4.
func (q *planes) shiftRows() {
	for i, x := range q {
		t := (x>>8 ^ x) & 0x00ff00ff00000000
		x ^= t | t<<8
		q[i] = x&0x0000ffff0000ffff | x>>4&0x0fff00000fff0000 | x<<12&0xf0000000f0000000
	}
}

// mixColumns multiplies each column by the fixed polynomial (FIPS 197, Section
// 5.1.3). With aᵣ for the byte of row r, row 0 becomes
//
//	2·a₀ ⊕ 3·a₁ ⊕ a₂ ⊕ a₃ = 2·(a₀ ⊕ a₁) ⊕ a₁ ⊕ (a₂ ⊕ a₃)
//
// and the others likewise. A rotation of a plane by 16 brings aᵣ₊₁ to row r, one
// by 32 aᵣ₊₂. Doubling moves each plane up by one and adds the last to the planes
// 0, 1, 3 and 4: x⁸ = x⁴ + x³ + x + 1.
func (q *planes) mixColumns() {
	n0, d0 := mixTerms(q[0])
	n1, d1 := mixTerms(q[1])
	n2, d2 := mixTerms(q[2])
	n3, d3 := mixTerms(q[3])
	n4, d4 := mixTerms(q[4])
	n5, d5 := mixTerms(q[5])
	n6, d6 := mixTerms(q[6])
	n7, d7 := mixTerms(q[7])

	q[0] = d7 ^ n0 ^ bits.RotateLeft64(d0, 32)
	q[1] = d0 ^ d7 ^ n1 ^ bits.RotateLeft64(d1, 32)
	q[2] = d1 ^ n2 ^ bits.RotateLeft64(d2, 32)
	q[3] = d2 ^ d7 ^ n3 ^ bits.RotateLeft64(d3, 32)
	q[4] = d3 ^ d7 ^ n4 ^ bits.RotateLeft64(d4, 32)
	q[5] = d4 ^ n5 ^ bits.RotateLeft64(d5, 32)
	q[6] = d5 ^ n6 ^ bits.RotateLeft64(d6, 32)
	q[7] = d6 ^ n7 ^ bits.RotateLeft64(d7, 32)
}

// mixTerms returns aᵣ₊₁ and aᵣ ⊕ aᵣ₊₁ in row r.
func mixTerms(a uint64) (next, sum uint64) {
	next = bits.RotateLeft64(a, -16)
	return next, a ^ next
}

// everyLane selects the bits of lane 0 in a plane.
const everyLane = 0x1111111111111111

// addRoundKey adds the round key w to all lanes. It is kept as four planes a
// word: bit 4·n + i of w[0] belongs to plane i, of w[1] to plane 4 + i.
func (q *planes) addRoundKey(w []uint64) {
	_ = w[1]
	for i := range 4 {
		lo, hi := w[0]>>i&everyLane, w[1]>>i&everyLane
		q[i] ^= lo<<4 - lo // times 15: to all four lanes
		q[i+4] ^= hi<<4 - hi
	}
}

// encrypt encrypts the four blocks.
func (q *planes) encrypt(k *Key) {
	q.addRoundKey(k.w[0:])
	for r := 1; r < k.rounds; r++ {
		q.subBytes()
		q.shiftRows()
		q.mixColumns()
		q.addRoundKey(k.w[2*r:])
	}
	q.subBytes()
	q.shiftRows()
	q.addRoundKey(k.w[2*k.rounds:])
}

// A group is what the planes hold, as blocks.
type group [lanes][BlockSize]byte

// encrypt encrypts each block in place.
func (g *group) encrypt(k *Key) {
	var q planes
	defer zero.Uint64s(q[:])
	for b := range g {
		q.load(b, &g[b])
	}
	q.transpose()
	q.encrypt(k)
	q.transpose()
	for b := range g {
		q.store(&g[b], b)
	}
}

func (g *group) wipe() {
	for b := range g {
		zero.Bytes(g[b][:])
	}
}

// subWord applies the S-box to the four bytes of x.
func subWord(x uint32) uint32 {
	q := planes{spread(x)}
	defer zero.Uint64s(q[:])
	q.transpose()
	q.subBytes()
	q.transpose()
	return gather(q[0])
}

// expandGeneric is the portable Expand.
func expandGeneric(k *Key, key []byte) {
	// KeyExpansion, FIPS 197, Section 5.2. Words are read with the first byte
	// least significant, so RotWord turns right and Rcon is in the low byte.
	var w [4 * 15]uint32
	defer zero.Uint32s(w[:])
	nk := len(key) / 4
	for i := range nk {
		w[i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	rcon := uint32(1)
	for i := nk; i < 4*(k.rounds+1); i++ {
		t := w[i-1]
		if i%nk == 0 {
			t = subWord(bits.RotateLeft32(t, -8)) ^ rcon
			rcon = rcon<<1 ^ rcon>>7*0x11b
		} else if nk > 6 && i%nk == 4 {
			t = subWord(t)
		}
		w[i] = w[i-nk] ^ t
	}

	var q planes
	defer zero.Uint64s(q[:])
	clear(k.w[:])
	for r := range k.rounds + 1 {
		// As load and transpose do it, for one block in lane 0.
		q = planes{}
		for c := range 2 {
			q[4*c] = spread(w[4*r+c]) | spread(w[4*r+c+2])<<8
		}
		q.transpose()
		for i := range 4 {
			k.w[2*r] |= q[i] << i
			k.w[2*r+1] |= q[i+4] << i
		}
	}
}

// ctrGeneric is the portable CTR for whole blocks.
func ctrGeneric(k *Key, dst []byte, v *[BlockSize]byte) {
	var g group
	defer g.wipe()
	hi, lo := binary.BigEndian.Uint64(v[:8]), binary.BigEndian.Uint64(v[8:])
	for len(dst) > 0 {
		n := min(len(dst)/BlockSize, lanes)
		for b := range n {
			var carry uint64
			lo, carry = bits.Add64(lo, 1, 0)
			hi += carry
			binary.BigEndian.PutUint64(g[b][:8], hi)
			binary.BigEndian.PutUint64(g[b][8:], lo)
		}
		g.encrypt(k)
		for b := range n {
			copy(dst, g[b][:])
			dst = dst[BlockSize:]
		}
	}
	binary.BigEndian.PutUint64(v[:8], hi)
	binary.BigEndian.PutUint64(v[8:], lo)
}

// bccGeneric is the portable BCC.
func bccGeneric(k *Key, chains *[Chains][BlockSize]byte, data []byte) {
	var g group
	defer g.wipe()
	copy(g[:], chains[:])
	for ; len(data) > 0; data = data[BlockSize:] {
		for b := range chains {
			subtle.XORBytes(g[b][:], g[b][:], data[:BlockSize])
		}
		g.encrypt(k)
	}
	copy(chains[:], g[:])
}

// iterateGeneric is the portable Iterate for whole blocks.
func iterateGeneric(k *Key, dst []byte, x *[BlockSize]byte) {
	g := group{*x}
	defer g.wipe()
	for ; len(dst) > 0; dst = dst[BlockSize:] {
		g.encrypt(k)
		copy(dst, g[0][:])
	}
	*x = g[0]
}

// encryptGeneric is the portable Encrypt.
func encryptGeneric(k *Key, dst, src *[BlockSize]byte) {
	g := group{*src}
	defer g.wipe()
	g.encrypt(k)
	*dst = g[0]
}
