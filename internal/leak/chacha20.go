package leak

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"io"
	"math/bits"
	"slices"
	"sync"
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

// frameSize is more than the kernel saves of the vector registers for a signal, in bytes.
const frameSize = 4096

// ScanChaCha20 looks in r for working states of the ChaCha20 block function, as an
// interrupt leaves them where registers are saved, and runs each backwards to the key.
//
// It takes every 64 bytes that begin at a multiple of 4 for 16 little-endian words, and knows
// two orders of words: that of RFC 8439, and the one in which most code for vectors has them
// during the diagonal rounds, with the second, third and fourth row rotated. At multiples of
// 16, where registers for vectors are saved, it knows every point between two steps of a
// quarter round, provided that all four quarter rounds of a round go in step; elsewhere the
// points between two rounds.
//
// Where the kernel of Linux has saved the vector registers of amd64 or arm64 for a signal, it
// also looks for what the assembly of package chacha20 has in them, and other code that makes
// several blocks side by side. Either there is a row in each register, rotated in another way,
// and the blocks are in the parts of 16 bytes of it. Or there is a word in each of the first
// 16 registers, and the blocks are in the parts of 4 bytes; then it knows every point, with the
// quarter rounds in step or in pairs.
//
// What it does not find: a state whose words are not next to each other, as that of scalar
// code, whose words are in general registers and, in no order, on the stack; one in
// the midst of a rotation that takes three instructions, when half of a word is in another
// register, and one with a word in memory; and one with a word that happens to look like no
// random one, 1 in 2000.
func ScanChaCha20(r io.Reader) ([]Block, error) {
	var found []Block
	buf := make([]byte, bufferSize)
	n, base := 0, int64(0)
	add := func(s *[16]uint32, offset int64) {
		b := Block{Counter: s[12], Offset: offset}
		for j, w := range s[4:12] {
			binary.LittleEndian.PutUint32(b.Key[4*j:], w)
		}
		for j, w := range s[13:] {
			binary.LittleEndian.PutUint32(b.Nonce[4*j:], w)
		}
		found = append(found, b)
	}
	for {
		m, err := io.ReadFull(r, buf[n:])
		n += m
		end := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !end {
			return nil, err
		}
		last := n - frameSize
		if end {
			last = n - windowSize
		}
		i := 0
		for i <= last {
			if k := dull(buf[i : i+windowSize]); k > 0 {
				i += k
				continue
			}
			w := words(buf[i:], 4)
			var a []arrangement
			if (base+int64(i))%16 == 0 {
				a = arrangements[:1]
			}
			if s, ok := backwards(&w, a); ok {
				add(&s, base+int64(i))
			}
			i += word
		}
		if end {
			i = n
		}
		scanFrames(buf[:n], i, func(s *[16]uint32, at int) { add(s, base+int64(at)) })
		if end {
			slices.SortStableFunc(found, func(a, b Block) int { return cmp.Compare(a.Offset, b.Offset) })
			return slices.Compact(found), nil
		}
		base += int64(i)
		n = copy(buf, buf[i:n])
	}
}

// scanFrames looks at what the kernel has saved of vector registers, if that begins before
// the given place in p.
func scanFrames(p []byte, before int, found func(s *[16]uint32, at int)) {
	// A bank has 16 bytes of each register, from the first register on, so many bytes apart.
	type bank struct{ at, stride int }
	for _, kind := range []struct {
		magic uint32
		at    int // of the magic
		banks []bank
	}{
		// x86: struct _fpx_sw_bytes (arch/x86/include/uapi/asm/sigcontext.h) is at the end
		// of FXSAVE, which has XMM. Behind it are the upper halves of YMM, and of ZMM: one
		// place is that of AMD, the other of Intel.
		{0x46505853, 464, []bank{{160, 16}, {576, 16}, {896, 32}, {912, 32}, {1152, 32}, {1168, 32}}},
		// arm64: struct fpsimd_context (arch/arm64/include/uapi/asm/sigcontext.h).
		{0x46508001, 0, []bank{{16, 16}}},
	} {
		magic := binary.LittleEndian.AppendUint32(nil, kind.magic)
		for from := 0; ; from++ {
			k := bytes.Index(p[from:], magic)
			if k < 0 {
				break
			}
			from += k
			start := from - kind.at
			if start < 0 || start >= before {
				continue
			}
			for _, b := range kind.banks {
				at := start + b.at
				for chain := range 2 { // by rows
					at := at + chain*4*b.stride
					if at+3*b.stride+16 > len(p) {
						continue
					}
					var w [16]uint32
					for row := range 4 {
						for j := range 4 {
							w[4*row+j] = binary.LittleEndian.Uint32(p[at+row*b.stride+4*j:])
						}
					}
					if s, ok := backwards(&w, arrangements); ok {
						found(&s, at)
					}
				}
				for lane := range 4 { // by words
					at := at + 4*lane
					if at+15*b.stride+4 > len(p) {
						continue
					}
					w := words(p[at:], b.stride)
					if s, ok := backwardsByWords(&w); ok {
						found(&s, at)
					}
				}
			}
		}
	}
}

// words returns 16 words that are so many bytes apart.
func words(p []byte, stride int) (w [16]uint32) {
	for j := range w {
		w[j] = binary.LittleEndian.Uint32(p[j*stride:])
	}
	return w
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

// An arrangement is a way to have the rows: each rotated to the left by so many words.
// It is found at those points of a round at which so many steps are done.
type arrangement struct {
	diagonal    bool
	rotated     [4]int
	first, last int // points
}

// arrangements are those of code for vectors besides the plain one. Most rotate the second,
// third and fourth row for the diagonals. Package chacha20 rotates the others, each as soon as it
// is complete.
var arrangements = []arrangement{
	{true, [4]int{0, 1, 2, 3}, 1, 12},
	{false, [4]int{3, 0, 0, 0}, 8, 10},
	{false, [4]int{3, 0, 0, 2}, 10, 11},
	{false, [4]int{3, 0, 1, 2}, 11, 12},
	{true, [4]int{3, 0, 1, 2}, 1, 8},
	{true, [4]int{0, 0, 1, 2}, 8, 10},
	{true, [4]int{0, 0, 1, 0}, 10, 11},
}

// backwards returns the input of the block function that leads to the working state w. With
// arrangements to look for it looks at every point of a round, else at its end.
func backwards(w *[16]uint32, arrangements []arrangement) (s [16]uint32, ok bool) {
	for step := steps; step >= 1; step-- {
		s = *w
		undo(&s, columns[:], step)
		if isInput(&s) || undoRounds(&s) {
			return s, true
		}
		s = *w
		undo(&s, diagonals[:], step)
		undo(&s, columns[:], steps)
		if isInput(&s) || undoRounds(&s) {
			return s, true
		}
		if arrangements == nil {
			break
		}
		for i := range arrangements {
			a := &arrangements[i]
			if step < a.first || step > a.last {
				continue
			}
			for row, by := range a.rotated {
				for i := range 4 {
					s[4*row+(i+by)%4] = w[4*row+i]
				}
			}
			if a.diagonal {
				undo(&s, diagonals[:], step)
				undo(&s, columns[:], steps)
			} else {
				undo(&s, columns[:], step)
			}
			if isInput(&s) || undoRounds(&s) {
				return s, true
			}
		}
	}
	return s, false
}

// A move is a step of one quarter round.
type move struct {
	quarter *[4]int
	step    int
}

// schedules are the orders in which code by words goes through a column round and a diagonal
// round: all quarter rounds in step, or two of them a step behind the other two.
var schedules = sync.OnceValue(func() [2][]move {
	return [2][]move{schedule([2][4]bool{}), schedule([2][4]bool{{2: true, 3: true}, {1: true, 2: true}})}
})

// schedule returns an order of moves. Late are the quarter rounds that are behind, in columns and in
// diagonals.
func schedule(late [2][4]bool) (moves []move) {
	for t := range 2*steps + 1 {
		for _, behind := range []int{0, 1} {
			t := t - behind
			if t < 0 || t == 2*steps {
				continue
			}
			for k := range 4 {
				if late[t/steps][k] == (behind == 1) {
					moves = append(moves, move{&[2]*[4][4]int{&columns, &diagonals}[t/steps][k], t%steps + 1})
				}
			}
		}
	}
	return moves
}

// backwardsByWords does the same with the words in order, at every point of the schedules.
func backwardsByWords(w *[16]uint32) (s [16]uint32, ok bool) {
	for _, x := range w {
		if x == 0 {
			return s, false // like most registers, but no state
		}
	}
	for _, moves := range schedules() {
		for done := len(moves); done > 0; done-- {
			s = *w
			for k := done - 1; k >= 0; k-- {
				undoStep(&s, moves[k].quarter, moves[k].step)
			}
			if isInput(&s) || undoRounds(&s) {
				return s, true
			}
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

// undo takes back the first so many steps of quarter rounds.
func undo(s *[16]uint32, quarters [][4]int, n int) {
	for _, q := range quarters {
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

// undoStep takes back one step of a quarter round.
func undoStep(s *[16]uint32, q *[4]int, step int) {
	a, b, c, d := &s[q[0]], &s[q[1]], &s[q[2]], &s[q[3]]
	switch step {
	case 1, 7:
		*a -= *b
	case 2, 8:
		*d ^= *a
	case 3:
		*d = bits.RotateLeft32(*d, -16)
	case 4, 10:
		*c -= *d
	case 5, 11:
		*b ^= *c
	case 6:
		*b = bits.RotateLeft32(*b, -12)
	case 9:
		*d = bits.RotateLeft32(*d, -8)
	case 12:
		*b = bits.RotateLeft32(*b, -7)
	}
}
