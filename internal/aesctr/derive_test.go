package aesctr

import (
	"bytes"
	"crypto/aes"
	"crypto/fips140"
	"encoding/binary"
	"testing"
)

// Derive is what its documentation says, by the code of this package for blocks, and by the
// standard library, for keys of all lengths. Nothing beside dst is written.
func TestDerive(t *testing.T) {
	state := uint64(7)
	random := func(p []byte) []byte {
		for i := range p {
			state = state*6364136223846793005 + 1442695040888963407
			p[i] = byte(state >> 56)
		}
		return p
	}
	for _, size := range []int{16, 24, 32} {
		for length := 0; length < 256*BlockSize; length += BlockSize {
			number := 1 + length/BlockSize*7%(256-length/BlockSize)
			key := random(make([]byte, size))
			var k Key
			k.Expand(key)
			chain, halves := [BlockSize]byte(random(make([]byte, BlockSize))), random(make([]byte, BlockSize))
			second := [2]uint64{binary.LittleEndian.Uint64(halves), binary.LittleEndian.Uint64(halves[8:])}
			a, b := chain, chain
			before := random(make([]byte, length+32))
			buf, want := bytes.Clone(before), bytes.Clone(before)
			k.Derive(buf[16:16+length], &a, &second, byte(number))
			k.deriveByBlocks(want[16:16+length], &b, &second, byte(number))
			if !bytes.Equal(buf, want) || a != chain || b != chain {
				t.Fatalf("AES-%d, %d bytes: differs from the one by blocks, or writes elsewhere", 8*size, length)
			}
			if fips140.Enforced() {
				continue // ECB is not approved
			}
			std, err := aes.NewCipher(key)
			if err != nil {
				t.Fatal(err)
			}
			block := make([]byte, 16)
			for n := range length / BlockSize {
				for i := range block {
					block[i] = chain[i] ^ halves[i]
				}
				block[15] ^= byte(number + n)
				std.Encrypt(block, block)
				for i := range block {
					block[i] ^= before[16+n*BlockSize+i]
				}
				if got := buf[16+n*BlockSize:][:BlockSize]; !bytes.Equal(got, block) {
					t.Fatalf("AES-%d, block %d: %x; want %x", 8*size, number+n, got, block)
				}
			}
		}
	}
}

func TestDerivePanics(t *testing.T) {
	var k Key
	k.Expand(make([]byte, 32))
	for _, tt := range []struct {
		length int
		number byte
	}{{1, 1}, {BlockSize - 1, 1}, {65, 1}, {256 * BlockSize, 1}, {2 * BlockSize, 255}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d bytes from number %d: no panic", tt.length, tt.number)
				}
			}()
			k.Derive(make([]byte, tt.length), new([BlockSize]byte), new([2]uint64), tt.number)
		}()
	}
}
