package keccak_test

import (
	"bytes"
	"crypto/sha3"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/lrng-go/lrng/internal/impl"
	"github.com/lrng-go/lrng/internal/keccak"
	"github.com/lrng-go/lrng/internal/regs"
)

// everywhere runs f with what programs use, and with each implementation.
func everywhere(t *testing.T, f func(t *testing.T)) {
	t.Run("as detected", f)
	for name, ok := range impl.All("keccak") {
		t.Run(name, func(t *testing.T) {
			if !ok {
				t.Skip("this CPU does not announce the instructions")
			}
			f(t)
		})
	}
}

// source returns a reproducible source of test data.
func source(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

// random returns a state from r.
func random(r *rand.ChaCha8) (s keccak.State) {
	for i := range s {
		s[i] = r.Uint64()
	}
	return s
}

// model is Keccak-f[1600] step by step, as in FIPS 202, Sections 3.2 and 3.3.
func model(s keccak.State) keccak.State {
	var a, b [5][5]uint64 // [x][y]
	for x := range 5 {
		for y := range 5 {
			a[x][y] = s[5*y+x]
		}
	}
	lfsr := 1
	for range 24 {
		// θ
		var c [5]uint64
		for x := range 5 {
			c[x] = a[x][0] ^ a[x][1] ^ a[x][2] ^ a[x][3] ^ a[x][4]
		}
		for x := range 5 {
			for y := range 5 {
				a[x][y] ^= c[(x+4)%5] ^ bits.RotateLeft64(c[(x+1)%5], 1)
			}
		}
		// ρ
		x, y := 1, 0
		for t := range 24 {
			a[x][y] = bits.RotateLeft64(a[x][y], (t+1)*(t+2)/2)
			x, y = y, (2*x+3*y)%5
		}
		// π
		for x := range 5 {
			for y := range 5 {
				b[x][y] = a[(x+3*y)%5][x]
			}
		}
		// χ
		for x := range 5 {
			for y := range 5 {
				a[x][y] = b[x][y] ^ (^b[(x+1)%5][y] & b[(x+2)%5][y])
			}
		}
		// ι, with rc of Section 3.2.5.
		for j := range 7 {
			a[0][0] ^= uint64(lfsr&1) << (1<<j - 1)
			if lfsr <<= 1; lfsr&0x100 != 0 {
				lfsr ^= 0x171
			}
		}
	}
	for x := range 5 {
		for y := range 5 {
			s[5*y+x] = a[x][y]
		}
	}
	return s
}

// The state of zeros, permuted once, as the Keccak team has it in KeccakF-1600-IntermediateValues.txt.
func TestPublished(t *testing.T) {
	want := keccak.State{
		0xf1258f7940e1dde7, 0x84d5ccf933c0478a, 0xd598261ea65aa9ee, 0xbd1547306f80494d, 0x8b284e056253d057,
		0xff97a42d7f8e6fd4, 0x90fee5a0a44647c4, 0x8c5bda0cd6192e76, 0xad30a6f71b19059c, 0x30935ab7d08ffc64,
		0xeb5aa93f2317d635, 0xa9a6e6260d712103, 0x81a57c16dbcf555f, 0x43b831cd0347c826, 0x01f22f1a11a5569f,
		0x05e5635a21d9ae61, 0x64befef28cc970f2, 0x613670957bc46611, 0xb87c5a554fd00ecb, 0x8c3ee88a1ccf32c8,
		0x940c7922ae3a2614, 0x1841f924a2c509e4, 0x16f53526e70465c2, 0x75f644e97f30a13b, 0xeaf1ff7b5ceca249,
	}
	everywhere(t, func(t *testing.T) {
		var s keccak.State
		if s.Permute(); s != want {
			t.Errorf("got %x, want %x", s, want)
		}
	})
	if got := model(keccak.State{}); got != want {
		t.Errorf("the model: got %x, want %x", got, want)
	}
}

// Random states, at all places relative to a cache line, and with canaries on both sides.
func TestPermute(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		r := source(1)
		for n := range 200 {
			var memory [4]struct {
				before [3]uint64
				state  keccak.State
				after  [9]uint64
			}
			for i := range memory {
				memory[i].state = random(r)
			}
			m := &memory[n%len(memory)]
			want := memory
			want[n%len(memory)].state = model(m.state)
			if m.state.Permute(); memory != want {
				t.Fatal("wrong state, or something beside it has changed")
			}
		}
	})
}

// Every bit of the state is where it belongs: one that is set goes through the first rounds alone.
func TestBits(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		for n := range 1600 {
			if testing.Short() && n%7 != 0 {
				continue
			}
			var s keccak.State
			s[n/64] = 1 << (n % 64)
			want := model(s)
			if s.Permute(); s != want {
				t.Fatalf("bit %d: got %x, want %x", n, s, want)
			}
		}
	})
}

// shake is SHAKE256 of the input in such pieces, squeezed in such pieces.
func shake(s *keccak.State, in, out []byte, piece func(rest int) int) {
	n := 0
	for len(in) > 0 {
		k := piece(len(in))
		n = s.Absorb(in[:k], n)
		in = in[k:]
	}
	s.Finish(n)
	n = 0
	for len(out) > 0 {
		k := piece(len(out))
		n = s.Squeeze(out[:k], n)
		out = out[k:]
	}
}

// Every length up to some blocks, of input and of output, at once and in pieces, with canaries
// around the state and the output.
func TestSHAKE256(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		r := source(2)
		in := make([]byte, 3*keccak.Rate+9)
		r.Read(in)
		for n := range in {
			if testing.Short() && n > keccak.Rate+1 && n%8 != 0 {
				continue
			}
			size := len(in) - n
			want := bytes.Repeat([]byte{0xc5}, size+16)
			copy(want[8:], sha3.SumSHAKE256(in[:n], size))
			for what, piece := range map[string]func(rest int) int{
				"at once":   func(rest int) int { return rest },
				"in pieces": func(rest int) int { return min(rest, int(r.Uint64()%150)) },
			} {
				var m struct {
					before uint64
					state  keccak.State
					after  uint64
				}
				got := bytes.Repeat([]byte{0xc5}, size+16)
				shake(&m.state, in[:n], got[8:8+size], piece)
				if !bytes.Equal(got, want) {
					t.Fatalf("%d bytes, %s: got %x, want %x", n, what, got, want)
				}
				if m.before|m.after != 0 {
					t.Fatalf("%d bytes, %s: something beside the state has changed", n, what)
				}
				m.state.Clear()
				if m.state != (keccak.State{}) {
					t.Fatal("Clear leaves something")
				}
			}
		}
	})
}

// Absorb ends a block when it is full, and Squeeze does not begin one before more is wanted: there
// is one permutation for as many bytes as a block has, and for one byte less or more as few
// as can be.
func TestPlaces(t *testing.T) {
	var s keccak.State
	for _, tt := range []struct{ n, absorbed, squeezed int }{
		{0, 0, 0},
		{1, 1, 1},
		{keccak.Rate - 1, keccak.Rate - 1, keccak.Rate - 1},
		{keccak.Rate, 0, keccak.Rate},
		{keccak.Rate + 1, 1, 1},
		{3 * keccak.Rate, 0, keccak.Rate},
	} {
		p := make([]byte, tt.n)
		if got := s.Absorb(p, 0); got != tt.absorbed {
			t.Errorf("Absorb of %d bytes returns %d, want %d", tt.n, got, tt.absorbed)
		}
		if got := s.Squeeze(p, 0); got != tt.squeezed {
			t.Errorf("Squeeze of %d bytes returns %d, want %d", tt.n, got, tt.squeezed)
		}
	}
	before := s
	if s.Squeeze(make([]byte, keccak.Rate), 0); s != before {
		t.Error("Squeeze of one block permutes")
	}
	before.Permute()
	if s.Squeeze(make([]byte, 1), keccak.Rate); s != before {
		t.Error("Squeeze behind a block does not permute once")
	}
}

// Whatever was in the vector registers before, nothing else is when Permute returns.
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
		s := random(source(3))
		// The runtime may use the registers between two functions.
		found := 0
		for range 100 {
			got = pattern
			regs.Load(&pattern)
			s.Permute()
			regs.Store(&got)
			if found = got.Other(before); found < 0 {
				return
			}
		}
		t.Fatalf("always something in the registers, last %x in number %d", got[found], found)
	})
}

func TestNothingAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	everywhere(t, func(t *testing.T) {
		n := testing.AllocsPerRun(10, func() {
			var s keccak.State
			var in, out [300]byte
			shake(&s, in[:], out[:], func(rest int) int { return min(rest, 77) })
			s.Clear()
		})
		if n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// FuzzSHAKE256 compares with the standard library, in two pieces each.
func FuzzSHAKE256(f *testing.F) {
	f.Add([]byte(nil), uint16(0), uint16(64), uint16(32))
	f.Add([]byte("V, and what follows it"), uint16(1), uint16(64), uint16(344))
	f.Fuzz(func(t *testing.T, in []byte, first, out1, out2 uint16) {
		head := in[:min(int(first), len(in))]
		want := sha3.SumSHAKE256(in, int(out1)+int(out2))
		for name, ok := range impl.All("keccak") {
			if !ok {
				continue
			}
			var s keccak.State
			n := s.Absorb(head, 0)
			s.Finish(s.Absorb(in[len(head):], n))
			got := make([]byte, len(want))
			n = s.Squeeze(got[:out1], 0)
			s.Squeeze(got[out1:], n)
			if !bytes.Equal(got, want) {
				t.Errorf("%s: got %x, want %x", name, got, want)
			}
		}
	})
}

// BenchmarkPermute has the implementations beside each other, and a block of output of crypto/sha3.
func BenchmarkPermute(b *testing.B) {
	for name, ok := range impl.All("keccak") {
		if !ok {
			continue
		}
		b.Run(fmt.Sprintf("impl=%s", name), func(b *testing.B) {
			var s keccak.State
			for b.Loop() {
				s.Permute()
			}
		})
	}
	b.Run("impl=crypto-sha3", func(b *testing.B) {
		h := sha3.NewSHAKE256()
		var block [keccak.Rate]byte
		for b.Loop() {
			h.Read(block[:])
		}
	})
}
