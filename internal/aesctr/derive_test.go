package aesctr

import (
	"bytes"
	"crypto/aes"
	"crypto/fips140"
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
		for length := 0; length < 256*BlockSize; length += DeriveGroup {
			key := random(make([]byte, size))
			var k Key
			k.Expand(key)
			first, second := [BlockSize]byte(random(make([]byte, BlockSize))), [BlockSize]byte(random(make([]byte, BlockSize)))
			a, b := first, second
			buf := bytes.Repeat([]byte{0xa5}, length+32)
			k.Derive(buf[16:16+length], &a, &b)
			want := bytes.Repeat([]byte{0xa5}, length+32)
			k.deriveByBlocks(want[16:16+length], &a, &b)
			if !bytes.Equal(buf, want) || a != first || b != second {
				t.Fatalf("AES-%d, %d bytes: differs from the one by blocks, or writes elsewhere", 8*size, length)
			}
			if fips140.Enforced() {
				continue // ECB is not approved
			}
			std, err := aes.NewCipher(key)
			if err != nil {
				t.Fatal(err)
			}
			chain, block := make([]byte, 16), make([]byte, 16)
			std.Encrypt(chain, first[:])
			for i := range chain {
				chain[i] ^= second[i]
			}
			for n := range length / BlockSize {
				copy(block, chain)
				block[15] ^= byte(n + 1)
				std.Encrypt(block, block)
				if got := buf[16+n*BlockSize:][:BlockSize]; !bytes.Equal(got, block) {
					t.Fatalf("AES-%d, block %d: %x; want %x", 8*size, n+1, got, block)
				}
			}
		}
	}
}

func TestDerivePanics(t *testing.T) {
	var k Key
	k.Expand(make([]byte, 32))
	for _, length := range []int{1, DeriveGroup - 1, 65, 256 * BlockSize} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d bytes: no panic", length)
				}
			}()
			k.Derive(make([]byte, length), new([BlockSize]byte), new([BlockSize]byte))
		}()
	}
}
