package chacha20

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/crypto/chacha20"
)

// kernels are the ways to make key stream. Each returns how many bytes it wrote.
var kernels = []struct {
	name string
	f    func(dst []byte, s *State) int
}{
	{"generic", blocksGeneric},
	{"x/crypto", blocksXCrypto},
	{"Blocks", func(dst []byte, s *State) int { Blocks(dst, s); return len(dst) }},
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// newState returns the state of RFC 8439, Section 2.3, from the cipher's inputs.
func newState(key, nonce []byte, counter uint32) *State {
	s := new(State)
	s.Reset(counter)
	for i := range 8 {
		s[KeyIndex+i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	for i := range 3 {
		s[NonceIndex+i] = binary.LittleEndian.Uint32(nonce[4*i:])
	}
	return s
}

// Key stream blocks of RFC 8439: the example of Section 2.3.2 and the five test
// vectors of Appendix A.1.
var rfc8439 = []struct {
	name       string
	key, nonce string
	counter    uint32
	want       string
}{
	{
		"2.3.2", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "000000090000004a00000000", 1,
		"10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e" +
			"d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e",
	},
	{
		"A.1 #1", strings.Repeat("00", 32), strings.Repeat("00", 12), 0,
		"76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7" +
			"da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586",
	},
	{
		"A.1 #2", strings.Repeat("00", 32), strings.Repeat("00", 12), 1,
		"9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed" +
			"29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f",
	},
	{
		"A.1 #3", strings.Repeat("00", 31) + "01", strings.Repeat("00", 12), 1,
		"3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a" +
			"8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0",
	},
	{
		"A.1 #4", "00ff" + strings.Repeat("00", 30), strings.Repeat("00", 12), 2,
		"72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca" +
			"13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096",
	},
	{
		"A.1 #5", strings.Repeat("00", 32), strings.Repeat("00", 11) + "02", 0,
		"c2c64d378cd536374ae204b9ef933fcd1a8b2288b3dfa49672ab765b54ee27c7" +
			"8a970e0e955c14f3a88e741b97c286f75f8fc299e8148362fa198a39531bed6d",
	},
}

func TestRFC8439(t *testing.T) {
	for _, v := range rfc8439 {
		want := unhex(t, v.want)
		s := newState(unhex(t, v.key), unhex(t, v.nonce), v.counter)
		got := make([]byte, BlockSize)
		Blocks(got, s)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", v.name, got, want)
		}
		if s[CounterIndex] != v.counter+1 {
			t.Errorf("%s: counter is %d, want %d", v.name, s[CounterIndex], v.counter+1)
		}

		// The assembly of x/crypto makes four blocks at a time.
		s = newState(unhex(t, v.key), unhex(t, v.nonce), v.counter)
		got = make([]byte, xcryptoStep)
		if n := blocksXCrypto(got, s); n != xcryptoStep {
			t.Fatalf("%s: x/crypto wrote %d bytes, want %d", v.name, n, xcryptoStep)
		}
		if !bytes.Equal(got[:BlockSize], want) {
			t.Errorf("%s: x/crypto: got %x, want %x", v.name, got[:BlockSize], want)
		}
	}
}

// reference is the stream that n bytes from the counter on should have,
// according to x/crypto, in parts before and after the wrap.
func reference(t testing.TB, key, nonce []byte, counter uint32, n int) []byte {
	t.Helper()
	out := make([]byte, n)
	left := (1<<32 - uint64(counter)) * BlockSize
	before := int(min(uint64(n), left))
	for _, part := range []struct {
		counter uint32
		b       []byte
	}{{counter, out[:before]}, {0, out[before:]}} {
		c, err := chacha20.NewUnauthenticatedCipher(key, nonce)
		if err != nil {
			t.Fatal(err)
		}
		c.SetCounter(part.counter)
		c.XORKeyStream(part.b, part.b)
	}
	return out
}

// counters are starting points around the wrap, at all distances that matter to
// kernels of up to 16 blocks, and a few others.
func counters() []uint32 {
	c := []uint32{0, 1, 2, 1<<31 - 1, 1 << 31}
	for d := range uint32(18) {
		c = append(c, 1<<32-1-d)
	}
	return c
}

// Every length up to 17 blocks and a byte, at every counter of interest, in a
// destination that is not aligned, holds a pattern, and has canaries around it.
func TestMatchesXCrypto(t *testing.T) {
	const canary, maxLen = 0xc5, 17*BlockSize + 1
	lengths := make([]int, 0, maxLen+1)
	for n := 0; n <= maxLen; n++ {
		if n <= 4*BlockSize+1 || n%BlockSize <= 1 || n%BlockSize == BlockSize-1 || !testing.Short() {
			lengths = append(lengths, n)
		}
	}
	rnd := rand.NewChaCha8([32]byte([]byte("a fixed seed for repeatable runs")))
	key, nonce := make([]byte, KeySize), make([]byte, 12)
	back := make([]byte, maxLen+3*16)
	for _, counter := range counters() {
		rnd.Read(key)
		rnd.Read(nonce)
		want := reference(t, key, nonce, counter, maxLen)
		for _, n := range lengths {
			for _, k := range kernels {
				before := newState(key, nonce, counter)
				s := *before
				for i := range back {
					back[i] = canary
				}
				off := 16 + n%16
				done := k.f(back[off:off+n], &s)

				switch {
				case k.name == "Blocks" && done != n,
					k.name == "generic" && done != n/BlockSize*BlockSize,
					done < 0, done > n, done != n && done%BlockSize != 0:
					t.Fatalf("%s: counter %#x: %d of %d bytes written", k.name, counter, done, n)
				}
				if !bytes.Equal(back[off:off+done], want[:done]) {
					t.Fatalf("%s: counter %#x: stream of %d bytes differs", k.name, counter, n)
				}
				for i, b := range back {
					if (i < off || i >= off+done) && b != canary {
						t.Fatalf("%s: counter %#x, length %d: wrote outside of dst, at %d", k.name, counter, n, i-off)
					}
				}
				before[CounterIndex] += uint32((done + BlockSize - 1) / BlockSize)
				if s != *before {
					t.Fatalf("%s: counter %#x, length %d: state after is %x, want %x", k.name, counter, n, s, *before)
				}
			}
		}
	}
}

// blocksXCrypto stops at the last multiple of its step before the wrap, and does
// not reach the panics of the cipher.
func TestXCryptoStopsAtWrap(t *testing.T) {
	for _, v := range []struct {
		counter uint32
		n, want int
	}{
		{0, xcryptoStep - 1, 0},
		{0, xcryptoStep, xcryptoStep},
		{0, 2*xcryptoStep - 1, xcryptoStep},
		{1<<32 - 1, 1024, 0},
		{1<<32 - 3, 1024, 0},
		{1<<32 - 4, 1024, 256},
		{1<<32 - 5, 1024, 256},
		{1<<32 - 7, 1024, 256},
		{1<<32 - 8, 1024, 512},
		{1<<32 - 16, 1024, 1024},
		{1<<32 - 17, 1024, 1024},
	} {
		var s State
		s.Reset(v.counter)
		if n := blocksXCrypto(make([]byte, v.n), &s); n != v.want {
			t.Errorf("counter %#x, %d bytes: wrote %d, want %d", v.counter, v.n, n, v.want)
		}
		if want := v.counter + uint32(v.want/BlockSize); s[CounterIndex] != want {
			t.Errorf("counter %#x, %d bytes: counter is %#x, want %#x", v.counter, v.n, s[CounterIndex], want)
		}
	}
}

func TestResetLeavesNothing(t *testing.T) {
	var s, want State
	for i := range s {
		s[i] = 0xa5a5a5a5
	}
	s.Reset(7)
	copy(want[:], []uint32{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574})
	want[CounterIndex] = 7
	if s != want {
		t.Errorf("state is %x, want %x", s, want)
	}
}

func TestWipe(t *testing.T) {
	c, err := chacha20.NewUnauthenticatedCipher(bytes.Repeat([]byte{0xa5}, 32), make([]byte, 12))
	if err != nil {
		t.Fatal(err)
	}
	c.XORKeyStream(make([]byte, 5), make([]byte, 5))
	wipe(c)
	if *c != (chacha20.Cipher{}) {
		t.Error("the cipher still holds something")
	}
}

func TestDoesNotAllocate(t *testing.T) {
	for _, n := range []int{1, 64, 65, 1024, 4000} {
		var dst [4096]byte
		var s State
		for _, k := range kernels {
			if a := testing.AllocsPerRun(10, func() { k.f(dst[:n], &s) }); a != 0 {
				t.Errorf("%s: %d bytes: %v allocations", k.name, n, a)
			}
		}
		// Called directly, so that dst and s would be counted if they escaped.
		if a := testing.AllocsPerRun(10, func() {
			var dst [4096]byte
			var s State
			Blocks(dst[:n], &s)
		}); a != 0 {
			t.Errorf("%d bytes on the stack: %v allocations", n, a)
		}
	}
}

// FuzzSplit holds that whole blocks asked for in two requests are the stream of
// one, wherever the counter is.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("key"), uint32(0), uint16(1), uint16(1))
	f.Add([]byte("a key of more than 32 bytes, and a nonce"), uint32(1<<32-5), uint16(4), uint16(9))
	f.Fuzz(func(t *testing.T, keyNonce []byte, counter uint32, a, b uint16) {
		var kn [KeySize + 12]byte
		copy(kn[:], keyNonce)
		one := newState(kn[:KeySize], kn[KeySize:], counter)
		two := *one
		n, m := int(a%40)*BlockSize, int(b%4096)
		want, got := make([]byte, n+m), make([]byte, n+m)
		Blocks(want, one)
		Blocks(got[:n], &two)
		Blocks(got[n:], &two)
		if !bytes.Equal(got, want) || two != *one {
			t.Fatal("two requests differ from one")
		}
		if !bytes.Equal(want, reference(t, kn[:KeySize], kn[KeySize:], counter, n+m)) {
			t.Fatal("stream differs from that of x/crypto")
		}
	})
}

func BenchmarkBlocks(b *testing.B) {
	for _, n := range []int{64, 128, 256, 1024, 4096, 65536} {
		for _, k := range kernels {
			b.Run(fmt.Sprintf("impl=%s/size=%d", strings.ReplaceAll(k.name, "/", ""), n), func(b *testing.B) {
				dst := make([]byte, n)
				var s State
				s.Reset(0)
				if k.f(dst, &s) != n {
					b.Skip("not made by this kernel")
				}
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					s[CounterIndex] = 0
					k.f(dst, &s)
				}
			})
		}
	}
}
