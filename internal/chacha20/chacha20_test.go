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

	"github.com/lrng-go/lrng/internal/impl"
	"github.com/lrng-go/lrng/internal/regs"
)

// everywhere runs f with each implementation in use.
func everywhere(t *testing.T, f func(t *testing.T)) {
	for name, ok := range impl.All("chacha20") {
		t.Run(name, func(t *testing.T) {
			if !ok {
				t.Skip("this CPU does not announce the instructions")
			}
			f(t)
		})
	}
}

// hardenings are the values of hardened that are to be tried with the implementation in use.
func hardenings() []bool {
	if CanHarden() != nil {
		return []bool{false}
	}
	return []bool{false, true}
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

// The vectors are the first, and the last, of each number of blocks for which there is
// other code.
func TestRFC8439(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		for _, v := range rfc8439 {
			want := unhex(t, v.want)
			for n := 1; n <= 33; n++ {
				for _, last := range []bool{false, true} {
					counter, at := v.counter, 0
					if last {
						at = (n - 1) * BlockSize
						counter -= uint32(n - 1)
					}
					s := newState(unhex(t, v.key), unhex(t, v.nonce), counter)
					got := make([]byte, n*BlockSize)
					Blocks(got, s, new(Scratch))
					if got := got[at : at+BlockSize]; !bytes.Equal(got, want) {
						t.Errorf("%s, one of %d blocks: got %x, want %x", v.name, n, got, want)
					}
					if want := counter + uint32(n); s[CounterIndex] != want {
						t.Errorf("%s: counter is %d, want %d", v.name, s[CounterIndex], want)
					}
				}
			}
		}
	})

	// The assembly of x/crypto makes four blocks at a time.
	for _, v := range rfc8439 {
		s := newState(unhex(t, v.key), unhex(t, v.nonce), v.counter)
		got := make([]byte, xcryptoStep)
		if n := blocksXCrypto(got, s); n != xcryptoStep {
			t.Fatalf("%s: x/crypto wrote %d bytes, want %d", v.name, n, xcryptoStep)
		}
		if want := unhex(t, v.want); !bytes.Equal(got[:BlockSize], want) {
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

// nearWrap returns starting points around the wrap, at all distances that matter to kernels
// of up to 18 blocks that run twice, and a few others.
func nearWrap() []uint32 {
	c := []uint32{0, 1, 2, 1<<31 - 1, 1 << 31}
	for d := range uint32(38) {
		c = append(c, 1<<32-1-d)
	}
	return c
}

// maxTested is the longest output of the systematic tests: twice through the kernel for most blocks,
// and a bit.
const maxTested = 36 * BlockSize

// A model is the generator, written down once more with the stream of x/crypto.
type model struct {
	key, nonce []byte
	counter    uint32
}

// after returns the state.
func (m *model) after() State { return *newState(m.key, m.nonce, m.counter) }

// updated returns the model after an update with 32 bytes of stream, and n blocks.
func (m *model) updated(stream []byte, n int) *model {
	u := &model{bytes.Clone(m.key), bytes.Clone(m.nonce), m.counter + uint32(n)}
	for i := range u.key {
		u.key[i] ^= stream[i]
	}
	for i := range u.nonce {
		if u.nonce[i]++; u.nonce[i] != 0 {
			break
		}
	}
	return u
}

// absorb returns the model after Absorb.
func (m *model) absorb(t testing.TB, in []byte) *model {
	for len(in) > 0 {
		n := min(len(in), KeySize)
		u := &model{bytes.Clone(m.key), m.nonce, m.counter}
		for i := range n {
			u.key[i] ^= in[i]
		}
		in = in[n:]
		m = u.updated(reference(t, u.key, u.nonce, u.counter, BlockSize), 1)
	}
	return m
}

// generate returns the model after Generate of n bytes without input, when the stream is this.
func (m *model) generate(stream []byte, n int) *model {
	words := (n + 3) / 4
	if words%16 == 0 || words%16 > 8 {
		words = (words + 15) / 16 * 16
	}
	return m.updated(stream[4*words:], words/16+1)
}

// requests are the lengths of all requests that the systematic tests try at all counters.
func requests() (n []int) {
	for i := 0; i <= maxTested; i++ {
		switch i % BlockSize {
		case 0, 1, 3, 16, 29, 32, 33, 63:
			n = append(n, i)
		}
	}
	return n
}

// Every length at some counters, and every counter near the wrap with some lengths, in a destination
// that is not aligned, holds a pattern, and has canaries around it.
func TestOutput(t *testing.T) {
	rnd := rand.NewChaCha8([32]byte([]byte("a fixed seed for repeatable runs")))
	back := make([]byte, maxTested+3*64)
	canaries := bytes.Repeat([]byte{0xc5}, len(back))
	scratch := new(Scratch)
	check := func(t *testing.T, m *model, stream []byte, n int) {
		t.Helper()
		for _, update := range []bool{false, true} {
			for _, hard := range hardenings() {
				s := m.after()
				copy(back, canaries)
				off := 64 + n*7%64
				var want State
				if update {
					want = m.generate(stream, n).after()
					if err := Generate(back[off:off+n], nil, &s, scratch, hard); err != nil {
						t.Fatal(err)
					}
				} else {
					want = (&model{m.key, m.nonce, m.counter + uint32((n+BlockSize-1)/BlockSize)}).after()
					if !hard {
						Blocks(back[off:off+n], &s, scratch)
					} else if err := harden(back[off:off+n], nil, &s, scratch, false); err != nil {
						t.Fatal(err)
					}
				}
				switch {
				case !bytes.Equal(back[off:off+n], stream[:n]):
					t.Fatalf("counter %#x, %d bytes, update %t, hardened %t: output differs", m.counter, n, update, hard)
				case s != want:
					t.Fatalf("counter %#x, %d bytes, update %t, hardened %t: state is %x, want %x", m.counter, n, update, hard, s, want)
				case *scratch != Scratch{}:
					t.Fatalf("counter %#x, %d bytes, update %t, hardened %t: scratch is not cleared", m.counter, n, update, hard)
				}
				if !bytes.Equal(back[:off], canaries[:off]) || !bytes.Equal(back[off+n:], canaries[off+n:]) {
					t.Fatalf("%d bytes, update %t, hardened %t: wrote outside of dst", n, update, hard)
				}
			}
		}
	}
	everywhere(t, func(t *testing.T) {
		for k, counter := range nearWrap() {
			m := &model{make([]byte, KeySize), make([]byte, 12), counter}
			rnd.Read(m.key)
			rnd.Read(m.nonce)
			if k%3 == 0 {
				copy(m.nonce, bytes.Repeat([]byte{0xff}, 4*(k%4))) // carries
			}
			stream := reference(t, m.key, m.nonce, counter, maxTested+2*BlockSize)
			lengths := requests()
			if all := counter == 2 || counter == 1<<32-9; all && !testing.Short() {
				lengths = lengths[:0]
				for n := range maxTested + 1 {
					lengths = append(lengths, n)
				}
			} else if testing.Short() && k%4 != 0 {
				continue
			}
			for _, n := range lengths {
				check(t, m, stream, n)
			}
		}
	})
}

// Every length of input, at every distance of the counter from the wrap.
func TestInput(t *testing.T) {
	rnd := rand.NewChaCha8([32]byte([]byte("a fixed seed for repeatable runs")))
	everywhere(t, func(t *testing.T) {
		for n := range 200 {
			in := make([]byte, n)
			rnd.Read(in)
			m := &model{make([]byte, KeySize), make([]byte, 12), -uint32(n % 9)}
			rnd.Read(m.key)
			copy(m.nonce, bytes.Repeat([]byte{0xff}, n%12))
			absorbed := m.absorb(t, in)
			const size = 100
			stream := reference(t, absorbed.key, absorbed.nonce, absorbed.counter, size+2*BlockSize)
			for _, hard := range hardenings() {
				var scratch Scratch
				s, input := m.after(), bytes.Clone(in)
				if err := Absorb(input, &s, &scratch, hard); err != nil {
					t.Fatal(err)
				}
				if s != absorbed.after() || scratch != (Scratch{}) || !bytes.Equal(input, in) {
					t.Fatalf("%d bytes, hardened %t: state differs, or something else is changed", n, hard)
				}
				s = m.after()
				out := make([]byte, size)
				if err := Generate(out, input, &s, &scratch, hard); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(out, stream[:size]) || s != absorbed.generate(stream, size).after() || scratch != (Scratch{}) {
					t.Fatalf("%d bytes, hardened %t: output or state after it differs", n, hard)
				}
			}
		}
	})
}

// What is dealt with in pieces is the same as in one.
func TestPieces(t *testing.T) {
	lengths := func(m int) []int { return []int{m - 1, m, m + 1, 2 * m, 2*m + 65} }
	everywhere(t, func(t *testing.T) {
		for _, hard := range hardenings() {
			in, out := maxIn, maxOut
			if hard {
				in, out = maxHardenedIn, maxHardenedOut
			}
			for k, n := range append(lengths(out), 33, 33, 33, 33, 33) {
				input := bytes.Repeat([]byte("input"), 1+lengths(in)[k%5]/5)[:lengths(in)[k%5]]
				if !hard && testing.Short() && k%5 != 4 {
					continue
				}
				one := *newState(bytes.Repeat([]byte{7}, KeySize), make([]byte, 12), 1<<32-3)
				want, got := make([]byte, n), make([]byte, n)
				var scratch Scratch
				two := one
				requestGeneric(want, input, &one, &scratch, true)
				if err := Generate(got, input, &two, &scratch, hard); err != nil {
					t.Fatal(err)
				}
				if one != two || !bytes.Equal(got, want) {
					t.Errorf("hardened %t: %d bytes from %d: output or state differs", hard, n, len(input))
				}
				one = two
				requestGeneric(nil, input, &one, &scratch, false)
				if err := Absorb(input, &two, &scratch, hard); err != nil {
					t.Fatal(err)
				}
				if one != two {
					t.Errorf("hardened %t: input of %d bytes: state differs", hard, len(input))
				}
			}
			one, two := *newState(make([]byte, KeySize), make([]byte, 12), 0), *newState(make([]byte, KeySize), make([]byte, 12), 0)
			var scratch Scratch
			want, got := make([]byte, maxOut+65), make([]byte, maxOut+65)
			requestGeneric(want, nil, &one, &scratch, false)
			Blocks(got, &two, &scratch)
			if one != two || !bytes.Equal(got, want) {
				t.Error("Blocks: output or state differs")
			}
		}
	})
}

// Out and in may be the same memory, and overlap in any other way.
func TestOverlap(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		for at := range 150 {
			back := make([]byte, 250)
			for i := range back {
				back[i] = byte(i)
			}
			in, out := back[50:110], back[at:at+100]
			one := *newState(make([]byte, KeySize), make([]byte, 12), 0)
			two := one
			var scratch Scratch
			want := make([]byte, len(out))
			requestGeneric(want, bytes.Clone(in), &one, &scratch, true)
			if err := Generate(out, in, &two, &scratch, false); err != nil {
				t.Fatal(err)
			}
			if one != two || !bytes.Equal(out, want) {
				t.Fatalf("output at %d, input at 50: output or state differs", at)
			}
		}
	})
}

// Without code for it nothing pretends to be hardened.
func TestCanHarden(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		err := CanHarden()
		var s State
		var scratch Scratch
		var out [64]byte
		if got := Generate(out[:], nil, &s, &scratch, true); got != err {
			t.Errorf("Generate: %v, want %v", got, err)
		}
		if got := Absorb(out[:], &s, &scratch, true); got != err {
			t.Errorf("Absorb: %v, want %v", got, err)
		}
		if err != nil && (out != [64]byte{} || s != State{}) {
			t.Error("something is done all the same")
		}
		if strings.HasSuffix(t.Name(), impl.Generic) && err == nil {
			t.Error("portable code cannot be hardened")
		}
	})
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
	everywhere(t, func(t *testing.T) {
		for _, hard := range hardenings() {
			for _, n := range []int{0, 1, 64, 65, 1024, 4000} {
				// Declared inside, so that they would be counted if they escaped.
				if a := testing.AllocsPerRun(10, func() {
					var dst [4096]byte
					var in [40]byte
					var s State
					var scratch Scratch
					Blocks(dst[:n], &s, &scratch)
					if Absorb(in[:], &s, &scratch, hard) != nil || Generate(dst[:n], in[:], &s, &scratch, hard) != nil {
						t.Error("an error")
					}
				}); a != 0 {
					t.Errorf("%d bytes, hardened %t: %v allocations", n, hard, a)
				}
			}
		}
	})
}

// FuzzSplit holds that whole blocks asked for in two requests are the stream of
// one, wherever the counter is.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("key"), uint32(0), uint16(1), uint16(1))
	f.Add([]byte("a key of more than 32 bytes, and a nonce"), uint32(1<<32-5), uint16(4), uint16(9))
	f.Fuzz(func(t *testing.T, keyNonce []byte, counter uint32, a, b uint16) {
		var kn [KeySize + 12]byte
		copy(kn[:], keyNonce)
		n, m := int(a%40)*BlockSize, int(b%4096)
		stream := reference(t, kn[:KeySize], kn[KeySize:], counter, n+m)
		for name, ok := range impl.All("chacha20") {
			if !ok {
				continue
			}
			var scratch Scratch
			one := newState(kn[:KeySize], kn[KeySize:], counter)
			two := *one
			want, got := make([]byte, n+m), make([]byte, n+m)
			Blocks(want, one, &scratch)
			Blocks(got[:n], &two, &scratch)
			Blocks(got[n:], &two, &scratch)
			if !bytes.Equal(got, want) || two != *one {
				t.Fatalf("%s: two requests differ from one", name)
			}
			if !bytes.Equal(want, stream) {
				t.Fatalf("%s: stream differs from that of x/crypto", name)
			}
		}
	})
}

// FuzzGenerate compares a request with the model.
func FuzzGenerate(f *testing.F) {
	f.Add([]byte("key"), uint32(0), []byte(nil), uint16(32))
	f.Add([]byte("a key of more than 32 bytes, and a nonce"), uint32(1<<32-5), []byte("input of more than 32 bytes, as it is"), uint16(1100))
	f.Fuzz(func(t *testing.T, keyNonce []byte, counter uint32, in []byte, n uint16) {
		var kn [KeySize + 12]byte
		copy(kn[:], keyNonce)
		in, size := in[:min(len(in), 4096)], int(n%8192)
		before := &model{kn[:KeySize], kn[KeySize:], counter}
		m := before.absorb(t, in)
		stream := reference(t, m.key, m.nonce, m.counter, size+2*BlockSize)
		after := m.generate(stream, size).after()
		for name, ok := range impl.All("chacha20") {
			for _, hard := range hardenings() {
				if !ok {
					continue
				}
				s, out := before.after(), make([]byte, size)
				var scratch Scratch
				if err := Generate(out, in, &s, &scratch, hard); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(out, stream[:size]) || s != after || scratch != (Scratch{}) {
					t.Fatalf("%s, hardened %t: output or state differs", name, hard)
				}
			}
		}
	})
}

// BenchmarkBlocks has the implementations beside each other, and x/crypto as programs use it,
// with a cipher that exists.
func BenchmarkBlocks(b *testing.B) {
	for _, n := range []int{64, 96, 128, 160, 256, 300, 512, 800, 1024, 4096, 65536} {
		dst := make([]byte, n)
		for name, ok := range impl.All("chacha20") {
			if !ok {
				continue
			}
			b.Run(fmt.Sprintf("size=%d/impl=%s", n, name), func(b *testing.B) {
				var s State
				var scratch Scratch
				s.Reset(0)
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					Blocks(dst, &s, &scratch)
				}
			})
		}
		b.Run(fmt.Sprintf("size=%d/impl=x-crypto", n), func(b *testing.B) {
			c, err := chacha20.NewUnauthenticatedCipher(make([]byte, KeySize), make([]byte, 12))
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				c.XORKeyStream(dst, dst)
			}
		})
	}
}

// BenchmarkGenerate is of requests with 32 bytes of input, as those of generators that
// mix in fresh bytes, and of requests without.
func BenchmarkGenerate(b *testing.B) {
	for _, n := range []int{16, 32, 64, 1024, 4096, 65536} {
		for name, ok := range impl.All("chacha20") {
			for _, hard := range hardenings() {
				for _, in := range []int{0, 32} {
					if !ok {
						continue
					}
					b.Run(fmt.Sprintf("size=%d/in=%d/impl=%s/hardened=%t", n, in, name, hard), func(b *testing.B) {
						var s State
						var scratch Scratch
						s.Reset(0)
						out, in := make([]byte, n), make([]byte, in)
						b.SetBytes(int64(n))
						b.ReportAllocs()
						for b.Loop() {
							if err := Generate(out, in, &s, &scratch, hard); err != nil {
								b.Fatal(err)
							}
						}
					})
				}
			}
		}
	}
}

// Whatever was in the vector registers before, nothing else is when a function returns.
func TestClearsRegisters(t *testing.T) {
	const before = 0xa5
	var pattern, got regs.Vectors
	pattern.Fill(before)
	if n, _ := regs.Size(); n == 0 {
		return // nor is there assembly
	}
	everywhere(t, func(t *testing.T) {
		if strings.HasSuffix(t.Name(), impl.Generic) {
			return // it uses them as it likes
		}
		out, in := make([]byte, maxTested), bytes.Repeat([]byte("\x55\xaa\x01"), 20)
		s := newState(in, in, 0)
		var scratch Scratch
		for n := 0; n <= maxTested; n += 11 {
			for _, hard := range hardenings() {
				// The runtime may use the registers between two functions.
				found := 0
				for range 100 {
					got = pattern
					regs.Load(&pattern)
					var errno uintptr
					if hard {
						errno = requestHardened(out[:n], in[:n%40], s, &scratch, n%2 == 0)
					} else {
						request(out[:n], in[:n%40], s, &scratch, n%2 == 0)
					}
					regs.Store(&got)
					if errno != 0 {
						t.Fatal(errno)
					}
					if found = got.Other(before); found < 0 {
						break
					}
				}
				if found >= 0 {
					t.Fatalf("%d bytes, hardened %t: always something in the registers, last %x in number %d", n, hard, got[found], found)
				}
			}
		}
	})
}
