package leak

import (
	"encoding/binary"
	"io"
	"math/bits"
)

// A Block is a ChaCha20 block that was found half done.
type Block struct {
	Key     [32]byte
	Counter uint32
	Nonce   [12]byte
	Offset  int64 // of the working state in what was scanned, in bytes
}

// windowSize is the length of a working state in bytes.
const windowSize = 64

// ScanChaCha20 looks in r for working states of the ChaCha20 block function, as an
// interrupt leaves them where registers are saved, and runs each backwards to the key.
//
// It takes every 64 bytes that begin at a multiple of 4 for 16 little-endian words, and knows two orders of words: that of RFC 8439,
// and the one in which code for vectors has them during the diagonal rounds, with the
// second, third and fourth row rotated. At multiples of 16, where registers for vectors are
// saved, it knows every point between two steps of a quarter round, provided that all four
// quarter rounds of a round go in step; elsewhere the points between two rounds.
//
// What it does not find: a state whose words are not next to each other, as that of scalar
// code, whose words are in general registers and, in no order, on the stack; more than one
// block side by side in wider vectors; and one with a word that happens to look like no
// random one, 1 in 2000.
func ScanChaCha20(r io.Reader) ([]Block, error) {
	var found []Block
	buf := make([]byte, bufferSize)
	n, base := 0, int64(0)
	for {
		m, err := io.ReadFull(r, buf[n:])
		n += m
		end := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !end {
			return nil, err
		}
		i := 0
		for i+windowSize <= n {
			if k := dull(buf[i : i+windowSize]); k > 0 {
				i += k
				continue
			}
			var w [16]uint32
			for j := range w {
				w[j] = binary.LittleEndian.Uint32(buf[i+4*j:])
			}
			if s, ok := backwards(&w, (base+int64(i))%16 == 0); ok {
				b := Block{Counter: s[12], Offset: base + int64(i)}
				for j, w := range s[4:12] {
					binary.LittleEndian.PutUint32(b.Key[4*j:], w)
				}
				for j, w := range s[13:] {
					binary.LittleEndian.PutUint32(b.Nonce[4*j:], w)
				}
				found = append(found, b)
			}
			i += word
		}
		if end {
			return found, nil
		}
		base += int64(i)
		n = copy(buf, buf[i:n])
	}
}

// dull returns how many bytes further on the next window begins that may be in the midst of
// a block, or 0 if p may. After a few steps all words are as good as random: a
// small number, a sign and the upper half of an address are no parts of it.
func dull(p []byte) int {
	if zeros(p) > 0 {
		return 2 * word
	}
	for i := windowSize - word; i >= 0; i -= word {
		if w := binary.LittleEndian.Uint32(p[i:]); w < 1<<16 || w >= 0xffff<<16 {
			return i + word
		}
	}
	return 0
}

// Columns and diagonals are the words of the quarter rounds of a round: RFC 8439,
// Section 2.3. Rotated are the diagonals when each row has been rotated.
var (
	columns   = [4][4]int{{0, 4, 8, 12}, {1, 5, 9, 13}, {2, 6, 10, 14}, {3, 7, 11, 15}}
	diagonals = [4][4]int{{0, 5, 10, 15}, {1, 6, 11, 12}, {2, 7, 8, 13}, {3, 4, 9, 14}}
)

// steps is the number of steps of a quarter round: RFC 8439, Section 2.1, four times an
// addition, an exclusive or and a rotation.
const steps = 12

// rounds is how many there are in a block.
const rounds = 20

// backwards returns the input of the block function that leads to the working state w. If
// all is set it looks at every point of a round, else at its end.
func backwards(w *[16]uint32, all bool) (s [16]uint32, ok bool) {
	for step := steps; step >= 1; step-- {
		s = *w
		undo(&s, &columns, step)
		if isInput(&s) || undoRounds(&s) {
			return s, true
		}
		s = *w
		undo(&s, &diagonals, step)
		undo(&s, &columns, steps)
		if isInput(&s) || undoRounds(&s) {
			return s, true
		}
		if !all {
			break
		}
		for row := range 4 {
			for i := range 4 {
				s[4*row+(i+row)%4] = w[4*row+i]
			}
		}
		undo(&s, &diagonals, step)
		undo(&s, &columns, steps)
		if isInput(&s) || undoRounds(&s) {
			return s, true
		}
	}
	return s, false
}

// undoRounds takes back two rounds at a time, the second of which is the first of s, until
// it finds an input. It reports whether it has found one.
func undoRounds(s *[16]uint32) bool {
	x0, x1, x2, x3 := s[0], s[1], s[2], s[3]
	x4, x5, x6, x7 := s[4], s[5], s[6], s[7]
	x8, x9, x10, x11 := s[8], s[9], s[10], s[11]
	x12, x13, x14, x15 := s[12], s[13], s[14], s[15]
	for range rounds/2 - 1 {
		x0, x5, x10, x15 = undoQuarter(x0, x5, x10, x15)
		x1, x6, x11, x12 = undoQuarter(x1, x6, x11, x12)
		x2, x7, x8, x13 = undoQuarter(x2, x7, x8, x13)
		x3, x4, x9, x14 = undoQuarter(x3, x4, x9, x14)
		x0, x4, x8, x12 = undoQuarter(x0, x4, x8, x12)
		x1, x5, x9, x13 = undoQuarter(x1, x5, x9, x13)
		x2, x6, x10, x14 = undoQuarter(x2, x6, x10, x14)
		x3, x7, x11, x15 = undoQuarter(x3, x7, x11, x15)
		if x0 == 0x61707865 {
			t := [16]uint32{x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14, x15}
			if isInput(&t) {
				*s = t
				return true
			}
		}
	}
	return false
}

func undoQuarter(a, b, c, d uint32) (uint32, uint32, uint32, uint32) {
	b = bits.RotateLeft32(b, -7) ^ c
	c -= d
	d = bits.RotateLeft32(d, -8) ^ a
	a -= b
	b = bits.RotateLeft32(b, -12) ^ c
	c -= d
	d = bits.RotateLeft32(d, -16) ^ a
	a -= b
	return a, b, c, d
}

// isInput reports whether s begins with the constants.
func isInput(s *[16]uint32) bool {
	return s[0] == 0x61707865 && s[1] == 0x3320646e && s[2] == 0x79622d32 && s[3] == 0x6b206574
}

// undo takes back the first so many steps of a round.
func undo(s *[16]uint32, round *[4][4]int, n int) {
	for _, q := range round {
		a, b, c, d := s[q[0]], s[q[1]], s[q[2]], s[q[3]]
		switch n {
		case 12:
			b = bits.RotateLeft32(b, -7)
			fallthrough
		case 11:
			b ^= c
			fallthrough
		case 10:
			c -= d
			fallthrough
		case 9:
			d = bits.RotateLeft32(d, -8)
			fallthrough
		case 8:
			d ^= a
			fallthrough
		case 7:
			a -= b
			fallthrough
		case 6:
			b = bits.RotateLeft32(b, -12)
			fallthrough
		case 5:
			b ^= c
			fallthrough
		case 4:
			c -= d
			fallthrough
		case 3:
			d = bits.RotateLeft32(d, -16)
			fallthrough
		case 2:
			d ^= a
			fallthrough
		case 1:
			a -= b
		}
		s[q[0]], s[q[1]], s[q[2]], s[q[3]] = a, b, c, d
	}
}
