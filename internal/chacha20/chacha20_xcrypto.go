package chacha20

import (
	"encoding/binary"
	"runtime"

	"golang.org/x/crypto/chacha20"

	"github.com/lrng-go/lrng/internal/zero"
)

// useXCrypto says that x/crypto has assembly for this architecture, and this package has none.
// Elsewhere its code is portable Go as ours is: on amd64 just as fast in bulk (1.5 µs a KiB),
// slower by a quarter for one block (119 against 96 ns), and it copies the key.
const useXCrypto = runtime.GOARCH == "loong64" ||
	runtime.GOARCH == "ppc64" || runtime.GOARCH == "ppc64le" || runtime.GOARCH == "s390x"

// xcryptoStep is what the assembly of x/crypto makes at a time, in bytes. Asked
// for multiples of it the cipher keeps no key stream in a buffer.
const xcryptoStep = 256

// blocksXCrypto writes as many multiples of xcryptoStep bytes as fit in dst and
// before the wrap of the counter, where x/crypto would panic. It advances the
// counter, and returns how many bytes it wrote.
func blocksXCrypto(dst []byte, s *State) int {
	left := (1<<32 - uint64(s[CounterIndex])) * BlockSize
	n := int(min(uint64(len(dst)), left) / xcryptoStep * xcryptoStep)
	if n == 0 {
		return 0
	}
	dst = dst[:n]

	var key [chacha20.KeySize]byte
	var nonce [chacha20.NonceSize]byte
	for i := range len(key) / 4 {
		binary.LittleEndian.PutUint32(key[4*i:], s[KeyIndex+i])
	}
	for i := range len(nonce) / 4 {
		binary.LittleEndian.PutUint32(nonce[4*i:], s[NonceIndex+i])
	}
	c, err := chacha20.NewUnauthenticatedCipher(key[:], nonce[:])
	zero.Bytes(key[:])
	if err != nil {
		panic("chacha20: key or nonce refused: internal error")
	}
	c.SetCounter(s[CounterIndex])
	clear(dst)
	c.XORKeyStream(dst, dst)
	wipe(c)

	s[CounterIndex] += uint32(n / BlockSize)
	return n
}

// wipe clears the private copies of key and intermediate values in c. It is not
// inlined so that the compiler cannot see that nobody reads c again.
//
//go:noinline
func wipe(c *chacha20.Cipher) {
	*c = chacha20.Cipher{}
}
