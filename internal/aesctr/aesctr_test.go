package aesctr_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"github.com/lrng-go/lrng/internal/aesctr"
	"github.com/lrng-go/lrng/internal/impl"
)

const blockSize = aesctr.BlockSize

type block = [blockSize]byte

// everywhere runs f with what programs use, and with each implementation.
func everywhere(t *testing.T, f func(t *testing.T)) {
	t.Run("as detected", f)
	for name, ok := range impl.All("aesctr") {
		t.Run(name, func(t *testing.T) {
			if !ok {
				t.Skip("this CPU does not announce the instructions")
			}
			f(t)
		})
	}
}

func decode(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// source returns a reproducible source of test data.
func source(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

// fill fills b from r.
func fill(r *rand.ChaCha8, b []byte) { r.Read(b) }

// below returns a number in [0, n).
func below(r *rand.ChaCha8, n int) int { return int(r.Uint64() % uint64(n)) }

// increment adds 1 to v, byte by byte.
func increment(v *block) {
	for i := len(v) - 1; i >= 0; i-- {
		if v[i]++; v[i] != 0 {
			return
		}
	}
}

// ctrModel is CTR with one call of crypto/aes a block.
func ctrModel(b cipher.Block, n int, v block) ([]byte, block) {
	var out []byte
	for len(out) < n {
		increment(&v)
		var e block
		b.Encrypt(e[:], v[:])
		out = append(out, e[:]...)
	}
	return out[:n], v
}

// bccModel is one chain of BCC with one call of crypto/aes a block.
func bccModel(b cipher.Block, chain block, data []byte) block {
	for ; len(data) > 0; data = data[blockSize:] {
		for i := range chain {
			chain[i] ^= data[i]
		}
		b.Encrypt(chain[:], chain[:])
	}
	return chain
}

// FIPS 197, Appendix C.1 to C.3.
func TestFIPS197(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		key := decode(t, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
		for n, want := range map[int]string{
			16: "69c4e0d86a7b0430d8cdb78070b4c55a",
			24: "dda97ca4864cdfe06eaf70a0ec0d7191",
			32: "8ea2b7ca516745bfeafc49904b496089",
		} {
			var k aesctr.Key
			k.Expand(key[:n])
			b := block(decode(t, "00112233445566778899aabbccddeeff"))
			k.Encrypt(&b, &b)
			if got := hex.EncodeToString(b[:]); got != want {
				t.Errorf("AES-%d: got %s, want %s", 8*n, got, want)
			}
		}
	})
}

// SP 800-38A, Appendix F.2 (CBC, encryption) and F.5 (CTR).
var sp80038A = []struct{ key, cbc, ctr string }{
	{
		"2b7e151628aed2a6abf7158809cf4f3c",
		"7649abac8119b246cee98e9b12e9197d 5086cb9b507219ee95db113a917678b2 73bed6b8e3c1743b7116e69e22229516 3ff1caa1681fac09120eca307586e1a7",
		"874d6191b620e3261bef6864990db6ce 9806f66b7970fdff8617187bb9fffdff 5ae4df3edbd5d35e5b4f09020db03eab 1e031dda2fbe03d1792170a0f3009cee",
	},
	{
		"8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
		"4f021db243bc633d7178183a9fa071e8 b4d9ada9ad7dedf4e5e738763f69145a 571b242012fb7ae07fa9baac3df102e0 08b0e27988598881d920a9e64f5615cd",
		"1abc932417521ca24f2b0459fe7e6e0b 090339ec0aa6faefd5ccc2c6f4ce8e94 1e36b26bd1ebc670d1bd1d665620abf7 4f78a7f6d29809585a97daec58c6b050",
	},
	{
		"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
		"f58c4c04d6e5f1ba779eabfb5f7bfbd6 9cfc4e967edb808d679f777bc6702c7d 39f23369a9d9bacfa530e26304231461 b2eb05e2c39be9fcda6c19078c6a9d1b",
		"601ec313775789a5b7a7f504bbf3d228 f443e3ca4d62b59aca84e990cacaf5c5 2b0930daa23de94ce87017ba2d84988d dfc9c58db67aada613c2dd08457941a6",
	},
}

func TestSP80038A(t *testing.T) {
	plain := decode(t, "6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51 30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710")
	everywhere(t, func(t *testing.T) {
		for _, tt := range sp80038A {
			key := decode(t, tt.key)
			var k aesctr.Key
			k.Expand(key)

			// Every chain of BCC is CBC with the first value as IV, the last block
			// being all that is kept.
			want := decode(t, tt.cbc)
			chain := block(decode(t, "000102030405060708090a0b0c0d0e0f"))
			chains := [aesctr.Chains]block{chain, chain, chain}
			for i := 0; i < len(plain); i += blockSize {
				k.BCC(&chains, plain[i:i+blockSize])
				for n, got := range chains {
					if !bytes.Equal(got[:], want[i:i+blockSize]) {
						t.Errorf("AES-%d: BCC, chain %d, block %d: got %x, want %x", 8*len(key), n, i/blockSize, got, want[i:i+blockSize])
					}
				}
			}

			// V is incremented before it is encrypted: one less than the appendix.
			v := block(decode(t, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfefe"))
			got := make([]byte, len(plain))
			k.CTR(got, &v)
			for i := range got {
				got[i] ^= plain[i]
			}
			if want := decode(t, tt.ctr); !bytes.Equal(got, want) {
				t.Errorf("AES-%d: CTR: got %x, want %x", 8*len(key), got, want)
			}
		}
	})
}

// counters returns values of V: one at random, and those from which an increment
// within the next 2000 bytes carries, out of the low 64 bits, out of the byte above
// them, or out of all.
func counters(r *rand.ChaCha8) []block {
	var random block
	fill(r, random[:])
	vs := []block{random, {}}
	for _, left := range []byte{0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 30, 31, 32, 33, 63, 100} {
		var wrap block
		for i := range wrap {
			wrap[i] = 0xff
		}
		wrap[15] -= left
		low := wrap
		copy(low[:8], random[:])
		low[7] = 0xff
		vs = append(vs, wrap, low)
	}
	return vs
}

// Each length up to four times what one round of the assembly makes, and one more,
// at every alignment, with canaries on both sides of what is written. The long ones are
// tested in steps if time is short; the step makes for all lengths of the last block and
// all numbers of blocks.
func TestCTRMatchesStandardLibrary(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		r := source(1)
		for _, size := range []int{16, 24, 32} {
			key := make([]byte, size)
			const round = 32 * blockSize
			for n := 0; n < 4*round+2; n++ {
				if testing.Short() && n > round+2 && n%7 != 0 {
					continue
				}
				fill(r, key)
				b, err := aes.NewCipher(key)
				if err != nil {
					t.Fatal(err)
				}
				var k aesctr.Key
				k.Expand(key)
				vs := counters(r)
				for _, v := range []block{vs[n%len(vs)], vs[below(r, len(vs))]} {
					want, wantV := ctrModel(b, n, v)

					// V lies between canaries too.
					off := n % 17
					mem := make([]byte, off+n+33)
					fill(r, mem)
					canary := bytes.Clone(mem)
					vmem := make([]byte, 48)
					fill(r, vmem)
					vcanary := bytes.Clone(vmem)
					vp := (*block)(vmem[off:])
					*vp = v

					k.CTR(mem[off:off+n], vp)

					if !bytes.Equal(mem[off:off+n], want) {
						t.Fatalf("AES-%d, %d bytes, V = %x: wrong output", 8*size, n, v)
					}
					if *vp != wantV {
						t.Fatalf("AES-%d, %d bytes, V = %x: V becomes %x, want %x", 8*size, n, v, *vp, wantV)
					}
					if !bytes.Equal(mem[:off], canary[:off]) || !bytes.Equal(mem[off+n:], canary[off+n:]) ||
						!bytes.Equal(vmem[:off], vcanary[:off]) || !bytes.Equal(vmem[off+16:], vcanary[off+16:]) {
						t.Fatalf("AES-%d, %d bytes: written outside of the buffer", 8*size, n)
					}
				}
			}
		}
	})
}

// All alignments of chains and data, with canaries on both sides of the chains.
func TestBCCMatchesStandardLibrary(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		r := source(2)
		for _, size := range []int{16, 24, 32} {
			key := make([]byte, size)
			for n := range 40 {
				fill(r, key)
				b, err := aes.NewCipher(key)
				if err != nil {
					t.Fatal(err)
				}
				var k aesctr.Key
				k.Expand(key)

				const chainsSize = aesctr.Chains * blockSize
				off := n % 17
				mem := make([]byte, off+chainsSize+16)
				fill(r, mem)
				canary := bytes.Clone(mem)
				chains := (*[aesctr.Chains]block)(unsafe.Pointer(&mem[off]))
				start := *chains
				data := make([]byte, n+n*blockSize)[n:]
				fill(r, data)
				dataBefore := bytes.Clone(data)

				k.BCC(chains, data)

				for i := range chains {
					if want := bccModel(b, start[i], data); chains[i] != want {
						t.Fatalf("AES-%d, %d blocks, chain %d: got %x, want %x", 8*size, n, i, chains[i], want)
					}
				}
				if !bytes.Equal(data, dataBefore) {
					t.Fatalf("AES-%d, %d blocks: the data were changed", 8*size, n)
				}
				if !bytes.Equal(mem[:off], canary[:off]) || !bytes.Equal(mem[off+chainsSize:], canary[off+chainsSize:]) {
					t.Fatalf("AES-%d, %d blocks: written outside of the chains", 8*size, n)
				}
			}
		}
	})
}

// Each length up to some blocks at all alignments, with canaries on both sides of what is
// written.
func TestIterateMatchesStandardLibrary(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		r := source(3)
		for _, size := range []int{16, 24, 32} {
			key := make([]byte, size)
			for n := range 5*blockSize + 2 {
				fill(r, key)
				b, err := aes.NewCipher(key)
				if err != nil {
					t.Fatal(err)
				}
				var k aesctr.Key
				k.Expand(key)

				// The result, and then the block.
				off, at := n%17, n%17+n+n%13
				mem := make([]byte, at+blockSize+16)
				fill(r, mem)
				want := bytes.Clone(mem)
				x := block(want[at:])
				for done := 0; done < n; done += blockSize {
					b.Encrypt(x[:], x[:])
					copy(want[off+done:off+n], x[:])
				}
				copy(want[at:], x[:])

				k.Iterate(mem[off:off+n], (*block)(mem[at:]))

				if !bytes.Equal(mem, want) {
					t.Fatalf("AES-%d, %d bytes: memory is %x, want %x", 8*size, n, mem, want)
				}
			}
		}
	})
}

func TestEncryptMatchesStandardLibrary(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		r := source(3)
		for _, size := range []int{16, 24, 32} {
			key := make([]byte, size)
			for n := range 200 {
				fill(r, key)
				b, err := aes.NewCipher(key)
				if err != nil {
					t.Fatal(err)
				}
				var k aesctr.Key
				k.Expand(key)

				mem := make([]byte, 64)
				fill(r, mem)
				from, to := n%17, n%11+33
				if n%4 == 0 {
					to = from
				}
				want := bytes.Clone(mem)
				b.Encrypt(want[to:to+blockSize], want[from:from+blockSize])
				k.Encrypt((*block)(mem[to:]), (*block)(mem[from:]))
				if !bytes.Equal(mem, want) {
					t.Fatalf("AES-%d, block at %d to %d: memory is %x, want %x", 8*size, from, to, mem, want)
				}
			}
		}
	})
}

// The implementations lay out round keys differently. One that was expanded for
// the one is never given to the other.
func TestKeyKeepsItsImplementation(t *testing.T) {
	key := decode(t, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
	b, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	start := block(decode(t, "00112233445566778899aabbccddeeff"))
	data := make([]byte, 2*blockSize)
	wantStream, _ := ctrModel(b, 100, start)
	wantChain := bccModel(b, start, data)
	wantBlock := bccModel(b, start, data[:blockSize]) // of zeros: Encrypt

	keys := make(map[string]aesctr.Key)
	for name := range impl.All("aesctr") {
		var k aesctr.Key
		k.Expand(key)
		keys[name] = k
	}
	for using := range impl.All("aesctr") {
		for made, k := range keys {
			got, v, chains := start, start, [aesctr.Chains]block{start}
			k.Encrypt(&got, &got)
			stream := make([]byte, 100)
			k.CTR(stream, &v)
			k.BCC(&chains, data)
			if got != wantBlock || !bytes.Equal(stream, wantStream) || chains[0] != wantChain {
				t.Errorf("key made by %s, used while %s is on: wrong output", made, using)
			}
		}
	}
}

func TestClearWipesTheKey(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		for _, size := range []int{16, 24, 32} {
			key := bytes.Repeat([]byte{0xa5}, size)
			var k aesctr.Key
			k.Expand(key)
			if k == (aesctr.Key{}) {
				t.Fatal("Expand has stored nothing")
			}
			k.Clear()
			if k != (aesctr.Key{}) {
				t.Errorf("AES-%d: not all of it is zero", 8*size)
			}
			k.Clear()
		}
	})
}

// A shorter key leaves nothing of the longer one that was there before.
func TestExpandOverwrites(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		r := source(4)
		old, short := make([]byte, 32), make([]byte, 16)
		fill(r, old)
		fill(r, short)
		var k, fresh aesctr.Key
		k.Expand(old)
		k.Expand(short)
		fresh.Expand(short)
		if k != fresh {
			t.Error("the schedule depends on what was there before")
		}
	})
}

func TestMisusePanics(t *testing.T) {
	mustPanic := func(what string, f func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s does not panic", what)
			}
		}()
		f()
	}
	var k aesctr.Key
	for _, n := range []int{0, 15, 17, 31, 33} {
		mustPanic(fmt.Sprintf("Expand with %d bytes", n), func() { k.Expand(make([]byte, n)) })
	}
	for range 2 {
		mustPanic("CTR without key", func() { k.CTR(make([]byte, 16), new(block)) })
		mustPanic("BCC without key", func() { k.BCC(new([aesctr.Chains]block), make([]byte, 16)) })
		mustPanic("Encrypt without key", func() { k.Encrypt(new(block), new(block)) })
		mustPanic("Iterate without key", func() { k.Iterate(make([]byte, 16), new(block)) })
		k.Expand(make([]byte, 16))
		k.Clear()
	}
	k.Expand(make([]byte, 16))
	mustPanic("BCC with a partial block", func() { k.BCC(new([aesctr.Chains]block), make([]byte, 17)) })
}

func TestNothingAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	everywhere(t, func(t *testing.T) {
		n := testing.AllocsPerRun(10, func() {
			var k aesctr.Key
			var key [32]byte
			var v block
			var out [100]byte
			var chains [aesctr.Chains]block
			k.Expand(key[:])
			k.CTR(out[:], &v)
			k.BCC(&chains, out[:96])
			k.Iterate(out[:], &v)
			k.Encrypt(&v, &v)
			k.Clear()
		})
		if n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

func FuzzMatchesStandardLibrary(f *testing.F) {
	f.Add(make([]byte, 16), make([]byte, 16), uint16(0), []byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 24), bytes.Repeat([]byte{0xff}, 16), uint16(129), make([]byte, 16))
	f.Add([]byte("0123456789abcdef0123456789abcdef"), []byte("\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xfe"), uint16(513), make([]byte, 48))
	f.Fuzz(func(t *testing.T, key, v []byte, n uint16, data []byte) {
		if len(key) != 16 && len(key) != 24 && len(key) != 32 || len(v) < blockSize {
			return
		}
		b, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		wantOut, wantV := ctrModel(b, int(n), block(v))
		data = data[:len(data)/blockSize*blockSize]
		wantChain := bccModel(b, block(v), data)
		for name, ok := range impl.All("aesctr") {
			if !ok {
				continue
			}
			var k aesctr.Key
			k.Expand(key)
			out, gotV := make([]byte, n), block(v)
			k.CTR(out, &gotV)
			if !bytes.Equal(out, wantOut) || gotV != wantV {
				t.Errorf("%s: CTR differs", name)
			}
			chains := [aesctr.Chains]block{{}, block(v), {1}}
			k.BCC(&chains, data)
			if x := block(v); n > 0 {
				want := bccModel(b, x, make([]byte, (int(n)+blockSize-1)/blockSize*blockSize))
				if k.Iterate(out, &x); x != want {
					t.Errorf("%s: Iterate differs", name)
				}
			}
			if chains[1] != wantChain || chains[0] != bccModel(b, block{}, data) || chains[2] != bccModel(b, block{1}, data) {
				t.Errorf("%s: BCC differs", name)
			}
		}
	})
}

// crypto/aes beside ours. Its Expand allocates the key, ours does not.
func BenchmarkExpand(b *testing.B) {
	for _, bits := range []int{128, 192, 256} {
		key := make([]byte, bits/8)
		for name, ok := range impl.All("aesctr") {
			if !ok {
				continue
			}
			b.Run(fmt.Sprintf("impl=%s/key=%d", name, bits), func(b *testing.B) {
				b.ReportAllocs()
				var k aesctr.Key
				for b.Loop() {
					k.Expand(key)
				}
			})
		}
		b.Run(fmt.Sprintf("impl=stdlib/key=%d", bits), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := aes.NewCipher(key); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCTR(b *testing.B) {
	for _, size := range []int{16, 32, 64, 128, 4096, 65536} {
		buf := make([]byte, size)
		key := make([]byte, 32)
		var v block
		for name, ok := range impl.All("aesctr") {
			if !ok {
				continue
			}
			b.Run(fmt.Sprintf("impl=%s/size=%d", name, size), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size))
				var k aesctr.Key
				k.Expand(key)
				for b.Loop() {
					k.CTR(buf, &v)
				}
			})
		}
		b.Run(fmt.Sprintf("impl=stdlib/size=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			c, err := aes.NewCipher(key)
			if err != nil {
				b.Fatal(err)
			}
			s := cipher.NewCTR(c, v[:])
			for b.Loop() {
				s.XORKeyStream(buf, buf)
			}
		})
	}
}

func BenchmarkBCC(b *testing.B) {
	const size = 64 // an entropy input of 48 bytes in the derivation function
	key, data := make([]byte, 32), make([]byte, size)
	for name, ok := range impl.All("aesctr") {
		if !ok {
			continue
		}
		b.Run(fmt.Sprintf("impl=%s/size=%d", name, size), func(b *testing.B) {
			b.ReportAllocs()
			var k aesctr.Key
			var chains [aesctr.Chains]block
			k.Expand(key)
			for b.Loop() {
				k.BCC(&chains, data)
			}
		})
	}
}
