package leak

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"testing"
)

// midBlock returns the working state after so many steps of the block function, in the order
// of words that code for vectors has if vector is set.
func midBlock(key []byte, n int, vector bool) []byte {
	s := midWords(key, n, 4)
	var p []byte
	for i, w := range s {
		if vector && (n-1)/12%2 == 1 {
			w = s[i/4*4+(i+i/4)%4]
		}
		p = binary.LittleEndian.AppendUint32(p, w)
	}
	return p
}

// midWords returns it in the order of RFC 8439, with the last step done in the first so many
// quarter rounds.
func midWords(key []byte, n, ahead int) [16]uint32 {
	s := [16]uint32{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, 12: 7, 13: 1, 14: 2, 15: 3}
	for i := range 8 {
		s[4+i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	for i := range n {
		diagonal := i / 12 % 2
		for k := range 4 {
			if i == n-1 && k >= ahead {
				break
			}
			a, b := k, 4+(k+diagonal)%4
			c, d := 8+(k+2*diagonal)%4, 12+(k+3*diagonal)%4
			switch i % 12 {
			case 0, 6:
				s[a] += s[b]
			case 1, 7:
				s[d] ^= s[a]
			case 2:
				s[d] = bits.RotateLeft32(s[d], 16)
			case 3, 9:
				s[c] += s[d]
			case 4, 10:
				s[b] ^= s[c]
			case 5:
				s[b] = bits.RotateLeft32(s[b], 12)
			case 8:
				s[d] = bits.RotateLeft32(s[d], 8)
			case 11:
				s[b] = bits.RotateLeft32(s[b], 7)
			}
		}
	}
	return s
}

// The state after 20 rounds of the example of RFC 8439, Section 2.3.2.
func TestExample(t *testing.T) {
	var p []byte
	for _, w := range []uint32{
		0x837778ab, 0xe238d763, 0xa67ae21e, 0x5950bb2f, 0xc4f2d0c7, 0xfc62bb2f, 0x8fa018fc, 0x3f5ec7b7,
		0x335271c2, 0xf29489f3, 0xeabda8fc, 0x82e46ebd, 0xd19c12b4, 0xb04e16de, 0x9e83d0cb, 0x4e3c50a2,
	} {
		p = binary.LittleEndian.AppendUint32(p, w)
	}
	want := Block{Counter: 1, Nonce: [12]byte{3: 9, 7: 0x4a}}
	for i := range want.Key {
		want.Key[i] = byte(i)
	}
	if found, err := ScanChaCha20(bytes.NewReader(p)); err != nil || len(found) != 1 || found[0] != want {
		t.Errorf("%+v, %v", found, err)
	}
}

// Every point of the block function that is not among the first steps, in both orders
// of words, leads back to the key.
func TestScanChaCha20(t *testing.T) {
	dump := random(7, 160)
	for _, vector := range []bool{false, true} {
		missed := 0
		for n := 24; n <= 12*rounds; n++ {
			key := random(uint64(100+n), 32)
			d := bytes.Clone(dump)
			at := 16 * (n % 6)
			if !vector && n%12 == 0 {
				at += 4 // between two rounds, anywhere
			}
			copy(d[at:], midBlock(key, n, vector))
			found, err := ScanChaCha20(bytes.NewReader(d))
			if err != nil {
				t.Fatal(err)
			}
			want := Block{Key: [32]byte(key), Counter: 7, Nonce: [12]byte{1, 4: 2, 8: 3}, Offset: int64(at)}
			if len(found) == 0 {
				missed++
			} else if found[0] != want {
				t.Errorf("after %d steps: %+v, want %+v", n, found[0], want)
			}
		}
		if missed > 1 { // one of the 217 may have a word that looks dull
			t.Errorf("vector %t: missed %d", vector, missed)
		}
	}
	if found, err := ScanChaCha20(bytes.NewReader(dump)); len(found) != 0 || err != nil {
		t.Errorf("found %v, %v in random numbers", found, err)
	}
	if found, err := ScanChaCha20(bytes.NewReader(dump[:63])); len(found) != 0 || err != nil {
		t.Errorf("found %v, %v in less than a block", found, err)
	}
}

// A frame returns memory with the head of what the kernel saves for a signal, at the given
// place, and nothing in the registers.
func frame(arch string, size, at int) []byte {
	p := make([]byte, size)
	switch arch {
	case "amd64":
		binary.LittleEndian.PutUint32(p[at+464:], 0x46505853)
	case "arm64":
		binary.LittleEndian.PutUint32(p[at:], 0x46508001)
	}
	return p
}

// banks are where the first, or the only, of some blocks side by side is in a frame, and
// how far apart the registers are.
var banks = []struct {
	arch       string
	at, stride int
}{
	{"amd64", 160, 16}, {"amd64", 576, 16}, {"amd64", 896, 32}, {"amd64", 912, 32}, {"amd64", 1152, 32}, {"amd64", 1168, 32},
	{"arm64", 16, 16},
}

// points is how far apart the points of the block function are that are tried: all of those
// of a round of each kind are among them, but with -short.
func points() int {
	if testing.Short() {
		return 35
	}
	return 5
}

// Every point of the block function, with the rows as package chacha20 rotates them, in the
// registers from the first and from the fifth on.
func TestScanRows(t *testing.T) {
	for k, b := range banks {
		for n := 24; n <= 12*rounds; n += points() {
			key := random(uint64(k<<8+n), 32)
			s := midWords(key, n, 4)
			// How far the rows are rotated at this point: before and after what the code does
			// between two steps.
			type rotations = [4]int
			var possible []rotations
			none, all := rotations{}, rotations{3, 0, 1, 2}
			step, diagonal := (n-1)%12+1, (n-1)/12%2 == 1
			from, to := none, all
			if diagonal {
				from, to = all, none
			}
			now := from
			if step <= 8 {
				possible = append(possible, now)
			}
			for i, row := range []int{0, 3, 2} { // after steps 8, 10 and 11
				now[row] = to[row]
				if first := []int{8, 10, 11}[i]; step >= first && step <= []int{10, 11, 12}[i] {
					possible = append(possible, now)
				}
			}
			for _, chain := range []int{0, 4} {
				for _, r := range possible {
					p := frame(b.arch, 3000, 64)
					at := 64 + b.at + chain*b.stride
					for i := range s {
						row := i / 4
						binary.LittleEndian.PutUint32(p[at+row*b.stride+4*(i%4):], s[4*row+(i+r[row])%4])
					}
					found, err := ScanChaCha20(bytes.NewReader(p))
					want := Block{Key: [32]byte(key), Counter: 7, Nonce: [12]byte{1, 4: 2, 8: 3}, Offset: int64(at)}
					if err != nil || len(found) != 1 || found[0] != want {
						t.Errorf("%v, register %d, after %d steps, rotated %v: %+v, %v", b, chain, n, r, found, err)
					}
				}
			}
		}
	}
}

// pairWords returns the working state after four rounds and so many moves of code that has
// quarter rounds a step behind: 0 and 1, and then 2 and 3 of the columns; 0 and 3, and then 1 and 2 of the diagonals.
func pairWords(key []byte, moves int) [16]uint32 {
	s := midWords(key, 48, 4)
	quarters := [2][4][4]int{
		{{0, 4, 8, 12}, {1, 5, 9, 13}, {2, 6, 10, 14}, {3, 7, 11, 15}},
		{{0, 5, 10, 15}, {3, 4, 9, 14}, {1, 6, 11, 12}, {2, 7, 8, 13}},
	}
	var done [4]int // steps, of the quarter rounds in each of the four places
	for n := range moves {
		// First 0 and 1 alone, then all by turns, and 2 and 3 alone at the end.
		place := n
		if n >= 2 {
			place = (n - 2) % 4
		}
		if n >= 94 {
			place = n - 92
		}
		i := done[place]
		done[place]++
		q := quarters[i/12][place]
		a, b, c, d := &s[q[0]], &s[q[1]], &s[q[2]], &s[q[3]]
		switch i % 12 {
		case 0, 6:
			*a += *b
		case 1, 7:
			*d ^= *a
		case 2:
			*d = bits.RotateLeft32(*d, 16)
		case 3, 9:
			*c += *d
		case 4, 10:
			*b ^= *c
		case 5:
			*b = bits.RotateLeft32(*b, 12)
		case 8:
			*d = bits.RotateLeft32(*d, 8)
		case 11:
			*b = bits.RotateLeft32(*b, 7)
		}
	}
	return s
}

// Every point of the block function, with a word in each register and four blocks in each bank,
// of which the scanner finds all.
func TestScanWordsOfBlocks(t *testing.T) {
	try := func(name string, k int, words func(key []byte) [16]uint32) {
		t.Helper()
		b := banks[k%len(banks)]
		p := frame(b.arch, 3000, 64)
		var want []Block
		for lane := range 4 {
			key := random(uint64(k<<2+lane), 32)
			at := 64 + b.at + 4*lane
			for i, w := range words(key) {
				binary.LittleEndian.PutUint32(p[at+i*b.stride:], w)
			}
			want = append(want, Block{Key: [32]byte(key), Counter: 7, Nonce: [12]byte{1, 4: 2, 8: 3}, Offset: int64(at)})
		}
		if found, err := ScanChaCha20(bytes.NewReader(p)); err != nil || !slices.Equal(found, want) {
			t.Errorf("%v, %s: %+v, %v", b, name, found, err)
		}
	}
	for n := 24; n <= 12*rounds; n += points() {
		for ahead := 1; ahead <= 4; ahead++ {
			try(fmt.Sprintf("%d steps, %d ahead", n, ahead), 4*n+ahead, func(key []byte) [16]uint32 { return midWords(key, n, ahead) })
		}
	}
	for moves := 1; moves <= 96; moves++ {
		try(fmt.Sprintf("%d moves in pairs", moves), moves, func(key []byte) [16]uint32 { return pairWords(key, moves) })
	}
}

// A frame where the buffers of the scanner meet, one that is cut off at the end, and what only
// looks like one.
func TestScanFramesBuffers(t *testing.T) {
	key := random(9, 32)
	put := func(p []byte, at int) {
		for i, w := range midWords(key, 100, 4) {
			binary.LittleEndian.PutUint32(p[at+160+16*i:], w)
		}
	}
	const size = 2*bufferSize + frameSize
	for _, at := range []int{0, bufferSize - frameSize - 64, bufferSize - frameSize, bufferSize - frameSize + 64, bufferSize - 464, bufferSize, 2 * bufferSize} {
		p := frame("amd64", size, at)
		put(p, at)
		found, err := ScanChaCha20(bytes.NewReader(p))
		if err != nil || len(found) != 1 || found[0].Offset != int64(at+160) || !bytes.Equal(found[0].Key[:], key) {
			t.Errorf("at %d: %v, %v", at, found, err)
		}
		for _, end := range []int{at + 468, at + 576, at + 900} {
			if found, err := ScanChaCha20(bytes.NewReader(p[:end])); err != nil || len(found) != 1 {
				t.Errorf("at %d, and the dump ends at %d: %v, %v", at, end, found, err)
			}
		}
		if found, err := ScanChaCha20(bytes.NewReader(p[:at+467])); err != nil || len(found) != 0 {
			t.Errorf("at %d, and the dump ends in the head: %v, %v", at, found, err)
		}
	}
	p := make([]byte, 3000)
	put(p, 64)
	if found, err := ScanChaCha20(bytes.NewReader(p)); err != nil || len(found) != 0 {
		t.Errorf("without a head: %v, %v", found, err)
	}
}

// What the scanner finds where its buffers meet.
func TestScanChaCha20Buffers(t *testing.T) {
	key := random(9, 32)
	block := midBlock(key, 96, false)
	for _, at := range []int{0, bufferSize - 64, bufferSize - 60, bufferSize - 32, bufferSize - 4, bufferSize, 2*bufferSize + 96} {
		d := make([]byte, 2*bufferSize+160)
		copy(d[at:], block)
		found, err := ScanChaCha20(bytes.NewReader(d))
		if err != nil || len(found) != 1 || found[0].Offset != int64(at) || !bytes.Equal(found[0].Key[:], key) {
			t.Errorf("at %d: %v, %v", at, found, err)
		}
	}
}

func BenchmarkScanChaCha20(b *testing.B) {
	d := random(1, 1<<13)
	b.SetBytes(int64(len(d)))
	for b.Loop() {
		if found, err := ScanChaCha20(bytes.NewReader(d)); err != nil || len(found) != 0 {
			b.Fatal(found, err)
		}
	}
}
