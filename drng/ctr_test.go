package drng

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/lrng-go/lrng/internal/aesctr"
	"github.com/lrng-go/lrng/internal/fips"
	"github.com/lrng-go/lrng/internal/impl"
)

// ctrVariants are all variants of CTR_DRBG.
var ctrVariants = []CTRConfig{
	{KeyBits: 128}, {KeyBits: 192}, {KeyBits: 256},
	{KeyBits: 128, NoDF: true}, {KeyBits: 192, NoDF: true}, {KeyBits: 256, NoDF: true},
}

// ctrBackEnds runs f with each implementation of AES that CTR can have: those of
// package aesctr, and the standard library as in FIPS mode.
func ctrBackEnds(t *testing.T, f func(t *testing.T, newCTR func(CTRConfig) *CTR)) {
	run := func(t *testing.T, standardLibrary bool) {
		f(t, func(config CTRConfig) *CTR {
			c, err := newCTR(config, standardLibrary)
			if err != nil {
				t.Fatal(err)
			}
			return c
		})
	}
	for name, ok := range impl.All("aesctr") {
		if ok {
			t.Run(name, func(t *testing.T) { run(t, false) })
		}
	}
	t.Run("standard library", func(t *testing.T) { run(t, true) })
}

// ctrEach is ctrBackEnds for each variant, with a generator that was seeded twice
// and used, if seeded is set.
func ctrEach(t *testing.T, seeded bool, f func(t *testing.T, c *CTR)) {
	for _, config := range ctrVariants {
		ctrBackEnds(t, func(t *testing.T, newCTR func(CTRConfig) *CTR) {
			c := newCTR(config)
			if seeded {
				ctrMustSeed(t, c, 1)
				ctrMustSeed(t, c, 2)
				if err := c.Generate(make([]byte, 100), ctrPattern(20, 3)); err != nil {
					t.Fatal(err)
				}
			}
			t.Run(c.Info().Name, func(t *testing.T) { f(t, c) })
		})
	}
}

func ctrMustSeed(t testing.TB, c *CTR, variant byte) {
	t.Helper()
	if err := c.Seed(ctrPattern(c.seedlen(), variant), ctrPattern(30, ^variant)); err != nil {
		t.Fatal(err)
	}
}

// ctrScratchIsClear fails the test if c has anything but its state and what a new
// generator has.
func ctrScratchIsClear(t *testing.T, c *CTR) {
	t.Helper()
	if c.ctrMemory != nil {
		rest := *c.ctrMemory
		rest.key, rest.v, rest.expanded = [ctrMaxKeySize]byte{}, [ctrBlockSize]byte{}, aesctr.Key{}
		if rest != (ctrMemory{}) {
			t.Fatalf("more than the state is left: %+v", rest)
		}
	}
	fresh, err := newCTR(CTRConfig{KeyBits: 8 * c.keySize, NoDF: c.noDF}, c.cipher.std != nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.df.start != fresh.df.start || !c.noDF && *c.df.cipher.own != *fresh.df.cipher.own {
		t.Fatal("the constants of the derivation function have changed")
	}
	if std := c.cipher.std; std != nil {
		if *std.buf != (ctrBuf{}) {
			t.Fatal("the buffer of the cipher is not clear")
		}
		if std.stream != nil || std.mode != nil || c.ctrMemory == nil && std.key != nil {
			t.Fatal("the cipher has an expanded key, or a key without a state")
		}
		if ctrZeros != (ctrBuf{}) {
			t.Fatal("the zeros are none")
		}
		if derived := c.df.derived.std; !c.noDF && (derived.key != nil || derived.stream != nil || derived.mode != nil) {
			t.Fatal("the key that was derived is not dropped")
		}
		if !c.noDF && c.df.cipher.std.mode != nil {
			// Its IV is zero if it encrypts zeros as the block cipher does.
			var got, want [ctrBlockSize]byte
			c.df.cipher.std.mode.CryptBlocks(got[:], got[:])
			c.df.cipher.std.block().Encrypt(want[:], want[:])
			c.df.cipher.std.mode.SetIV(make([]byte, ctrBlockSize))
			if got != want {
				t.Fatal("a chaining value of the derivation function is left")
			}
		}
	}
}

// A1, A2, A5: SP 800-90A Rev. 1, Table 3.
func TestCTRInfo(t *testing.T) {
	want := []Info{
		{"CTR_DRBG AES-128", 128, 65536, 1 << 48, true, 0, 0},
		{"CTR_DRBG AES-192", 192, 65536, 1 << 48, true, 0, 0},
		{"CTR_DRBG AES-256", 256, 65536, 1 << 48, true, 0, 0},
		{"CTR_DRBG AES-128 no df", 128, 65536, 1 << 48, true, 32, 32},
		{"CTR_DRBG AES-192 no df", 192, 65536, 1 << 48, true, 40, 40},
		{"CTR_DRBG AES-256 no df", 256, 65536, 1 << 48, true, 48, 48},
		{"CTR_DRBG AES-256", 256, 65536, 1 << 48, true, 0, 0},
		{"CTR_DRBG AES-256 no df", 256, 65536, 1 << 48, true, 48, 48},
	}
	for i, config := range append(ctrVariants[:6:6], CTRConfig{}, CTRConfig{NoDF: true}) {
		c, err := NewCTR(config)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Info(); got != want[i] {
			t.Errorf("%+v: got %+v, want %+v", config, got, want[i])
		}
	}
}

func TestCTRConfigRefused(t *testing.T) {
	for _, bits := range []int{-256, -1, 1, 32, 112, 127, 129, 160, 224, 257, 512} {
		c, err := NewCTR(CTRConfig{KeyBits: bits})
		if err == nil || c != nil {
			t.Errorf("KeyBits %d: got %v, %v", bits, c, err)
		} else if !strings.Contains(err.Error(), "KeyBits") {
			t.Errorf("KeyBits %d: the error does not name the field: %v", bits, err)
		}
	}
}

// In FIPS mode only the standard library encrypts, otherwise only this module.
func TestCTRBackEndFollowsMode(t *testing.T) {
	for _, config := range ctrVariants {
		c, err := NewCTR(config)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.cipher.std != nil; got != fips.Enabled() {
			t.Errorf("%s: standard library %v, FIPS mode %v", c.Info().Name, got, fips.Enabled())
		}
	}
}

func TestCTRKnownAnswers(t *testing.T) {
	for _, tt := range ctrKnownAnswers {
		t.Run(tt.name, func(t *testing.T) {
			ctrBackEnds(t, func(t *testing.T, newCTR func(CTRConfig) *CTR) {
				c := newCTR(tt.config)
				decode := func(s string) []byte {
					b, err := hex.DecodeString(s)
					if err != nil {
						t.Fatal(err)
					}
					return b
				}
				for i, call := range tt.calls {
					switch call.op {
					case ctrSeed:
						if err := c.Seed(decode(call.seed), decode(call.additional)); err != nil {
							t.Fatalf("call %d: %v", i, err)
						}
					case ctrGenerate:
						want := decode(call.out)
						out := make([]byte, call.n+len(want))
						if err := c.Generate(out, decode(call.additional)); err != nil {
							t.Fatalf("call %d: %v", i, err)
						}
						if want != nil && !bytes.Equal(out[call.n:], want) {
							t.Fatalf("call %d: got %x, want %x", i, out, want)
						}
					}
					if call.key == "" {
						continue
					}
					if key := decode(call.key); !bytes.Equal(c.key[:c.keySize], key) {
						t.Fatalf("call %d: Key is %x, want %x", i, c.key[:c.keySize], key)
					}
					if v := decode(call.v); !bytes.Equal(c.v[:], v) {
						t.Fatalf("call %d: V is %x, want %x", i, c.v, v)
					}
				}
			})
		})
	}
}

// All lengths of output, additional input and seed around the sizes of blocks and
// buffers, with every variant; with -short one in seven.
func TestCTRMatchesModel(t *testing.T) {
	step, large := 1, []int{511, 512, 513, 1024, 4095, 4097, 65535, 65536}
	if testing.Short() || ctrRaceDetector {
		step, large = 17, []int{512, 4097}
	}
	for _, config := range ctrVariants {
		ctrBackEnds(t, func(t *testing.T, newCTR func(CTRConfig) *CTR) {
			c, m := newCTR(config), newCTRModel(config)
			check := func(what string, n int, got, want error) {
				t.Helper()
				if (got != nil) != (want != nil) {
					t.Fatalf("%s, %d bytes: error %v, want %v", what, n, got, want)
				}
				m.same(t, c)
			}
			request := func(n int, additional []byte) {
				t.Helper()
				got, want := ctrPattern(n, 0xaa), make([]byte, n)
				check("Generate", n, c.Generate(got, additional), m.Generate(want, additional))
				if !bytes.Equal(got, want) {
					t.Fatalf("Generate, %d bytes, additional %d bytes: wrong output", n, len(additional))
				}
			}
			for n := 0; n < 300; n += step {
				s := ctrPattern(n, byte(n))
				c.Clear()
				m.Clear()
				check("first Seed", n, c.Seed(s, nil), m.Seed(s, nil))
			}
			c.Clear()
			m.Clear()
			s := ctrPattern(m.seedlen, 1)
			check("first Seed", m.seedlen, c.Seed(s, nil), m.Seed(s, nil))
			for n := 0; n < 300; n += step {
				s, a := ctrPattern(n, byte(n)), ctrPattern(n, byte(^n))
				check("Seed", n, c.Seed(s, nil), m.Seed(s, nil))
				check("Seed with additional", n, c.Seed(ctrPattern(m.seedlen, 2), a), m.Seed(ctrPattern(m.seedlen, 2), a))
				request(n, nil)
				request(32, a)
			}
			for _, n := range large {
				request(n, nil)
				if config.NoDF {
					continue
				}
				s := ctrPattern(n, 1)
				check("Seed", n, c.Seed(s, s[:n/2]), m.Seed(s, s[:n/2]))
				request(16, s)
			}
		})
	}
}

// The two sides of ctrCipher, with counters that carry: the state of a generator
// comes near none of these by chance.
func TestCTRCipherBackEndsAgree(t *testing.T) {
	var counters [][ctrBlockSize]byte
	for _, s := range []string{
		"00000000000000000000000000000000",
		"0123456789abcdef0123456789abcdef",
		"0123456789abcdeffffffffffffffffe",
		"00ffffffffffffffffffffffffffffff",
		"ffffffffffffffffffffffffffffffff",
		"fffffffffffffffffffffffffffffff0",
		"ffffffffffffffffffffffffffffffdf",
	} {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		counters = append(counters, [ctrBlockSize]byte(b))
	}
	for _, size := range []int{16, 24, 32} {
		for name, ok := range impl.All("aesctr") {
			if !ok {
				continue
			}
			own, std := ctrCipher{own: new(aesctr.Key)}, ctrCipher{}
			std.init(new(ctrBuf))
			for i, v := range counters {
				for n := range 70 {
					n *= 9
					// As in use: a few calls with one key.
					key := ctrPattern(size, byte(i))
					own.setKey(key)
					std.setKey(key)
					v1, v2 := v, v
					for i, length := range []int{16 + n&^15, n, n} {
						b1, b2 := ctrPattern(length, 1), ctrPattern(length, 2)
						own.own.CTR(b1, &v1)
						if i == 0 {
							std.stream(b2, &v2)
						} else {
							std.std.fill(b2, &v2)
						}
						if !bytes.Equal(b1, b2) || v1 != v2 {
							t.Fatalf("%s, AES-%d: %d. stream, of %d bytes, after V = %x: differ", name, 8*size, i+1, length, v)
						}
					}
				}
				for n := 1; n <= 16; n++ {
					c1 := ctrChains{v, counters[0], counters[1]}
					c2 := c1
					own.bcc(&c1, ctrPattern(16*n, 3))
					std.bcc(&c2, ctrPattern(16*n, 3))
					if c1 != c2 {
						t.Fatalf("%s, AES-%d: bcc of %d blocks: differ", name, 8*size, n)
					}
				}
				for n := 1; n <= 50; n++ {
					x1, x2 := v, v
					b1, b2 := ctrPattern(n, 1), ctrPattern(n, 2)
					own.iterate(b1, &x1)
					std.iterate(b2, &x2)
					if !bytes.Equal(b1, b2) || x1 != x2 {
						t.Fatalf("%s, AES-%d: iterate to %d bytes: differ", name, 8*size, n)
					}
				}
			}
		}
	}
}

// ctrMustRefuseSeed holds that Seed fails and changes nothing.
func ctrMustRefuseSeed(t *testing.T, c *CTR, seed, additional int) {
	t.Helper()
	before := *c
	if err := c.Seed(ctrPattern(seed, 1), ctrPattern(additional, 2)); err == nil {
		t.Errorf("seed of %d bytes, additional of %d: no error", seed, additional)
	}
	if *c != before {
		t.Errorf("seed of %d bytes, additional of %d: refused, but the state has changed", seed, additional)
	}
}

func ctrMustTakeSeed(t *testing.T, c *CTR, seed, additional int) {
	t.Helper()
	if err := c.Seed(ctrPattern(seed, 1), ctrPattern(additional, 2)); err != nil {
		t.Errorf("seed of %d bytes, additional of %d: %v", seed, additional, err)
	}
}

// A3, A6, A7: the shortest seeds that are taken, and those of no other length
// without derivation function. None is cut.
func TestCTRSeedLengths(t *testing.T) {
	ctrEach(t, false, func(t *testing.T, c *CTR) {
		strength := c.Info().SecurityStrength / 8
		if c.noDF {
			seedlen := map[int]int{16: 32, 24: 40, 32: 48}[strength]
			for range 2 { // to instantiate and to reseed
				for _, n := range []int{0, 1, strength, seedlen - 1, seedlen + 1, 2 * seedlen, 1000} {
					ctrMustRefuseSeed(t, c, n, 0)
				}
				ctrMustRefuseSeed(t, c, seedlen, seedlen+1)
				ctrMustRefuseSeed(t, c, seedlen, 1<<16)
				ctrMustTakeSeed(t, c, seedlen, seedlen)
			}
			return
		}
		for _, n := range []int{0, 1, strength, 3*strength/2 - 1} {
			ctrMustRefuseSeed(t, c, n, 0)
			ctrMustRefuseSeed(t, c, n, 1000)
		}
		ctrMustTakeSeed(t, c, 3*strength/2, 0)
		for _, n := range []int{0, 1, strength - 1} {
			ctrMustRefuseSeed(t, c, n, 0)
			ctrMustRefuseSeed(t, c, n, 1000)
		}
		ctrMustTakeSeed(t, c, strength, 0)
		c.Clear()
		ctrMustRefuseSeed(t, c, strength, 0)
		ctrMustTakeSeed(t, c, 1<<17, 1<<17)
	})
}

// A3: the longest inputs, which are not there: only their lengths are.
func TestCTRLengthLimits(t *testing.T) {
	const most = 1<<32 - 1
	ctrEach(t, true, func(t *testing.T, c *CTR) {
		check := func(what string, n uint64, err error, ok bool) {
			t.Helper()
			if (err == nil) != ok {
				t.Errorf("%s of %d bytes: error %v", what, n, err)
			}
		}
		if c.noDF {
			n := uint64(c.seedlen())
			check("additional", n, c.checkGenerate(1, n), true)
			check("additional", n+1, c.checkGenerate(1, n+1), false)
			check("additional", 1<<62, c.checkGenerate(1, 1<<62), false)
			check("additional of Seed", n, c.checkSeed(n, n), true)
			check("additional of Seed", n+1, c.checkSeed(n, n+1), false)
			return
		}
		check("additional", most, c.checkGenerate(1, most), true)
		check("additional", most+1, c.checkGenerate(1, most+1), false)
		check("seed", most, c.checkSeed(most, 0), true)
		check("seed", most+1, c.checkSeed(most+1, 0), false)
		check("seed and additional", most, c.checkSeed(most-100, 100), true)
		check("seed and additional", most+1, c.checkSeed(most-100, 101), false)
		check("seed and additional", most+1, c.checkSeed(100, most-99), false)
		check("seed and additional", 1<<63-1, c.checkSeed(1<<62, 1<<62-1), false)
	})
}

// ctrMustRefuse holds that Generate fails with want (any error, if nil), clears
// out and changes nothing. A17.
func ctrMustRefuse(t *testing.T, c *CTR, n int, additional []byte, want error) {
	t.Helper()
	before := *c
	out := bytes.Repeat([]byte{0xa5}, n)
	err := c.Generate(out, additional)
	if err == nil || want != nil && !errors.Is(err, want) {
		t.Errorf("%d bytes: error %v, want %v", n, err, want)
	}
	if !bytes.Equal(out, make([]byte, n)) {
		t.Errorf("%d bytes: out is not cleared", n)
	}
	if *c != before {
		t.Errorf("%d bytes: refused, but the state has changed", n)
	}
}

// A1: 2¹⁹ bits and not one byte more.
func TestCTRRequestLimit(t *testing.T) {
	ctrEach(t, true, func(t *testing.T, c *CTR) {
		if err := c.Generate(make([]byte, 65536), nil); err != nil {
			t.Error(err)
		}
		ctrMustRefuse(t, c, 65537, nil, ErrRequestTooLarge)
		ctrMustRefuse(t, c, 1<<20, []byte{1}, ErrRequestTooLarge)
	})
}

// A3: a request whose additional input is too long.
func TestCTRAdditionalLimit(t *testing.T) {
	ctrEach(t, true, func(t *testing.T, c *CTR) {
		if c.noDF {
			ctrMustRefuse(t, c, 32, ctrPattern(c.seedlen()+1, 1), nil)
		}
		if err := c.Generate(make([]byte, 32), ctrPattern(c.seedlen(), 1)); err != nil {
			t.Error(err)
		}
	})
}

// A2: the request number 2⁴⁸ is the last one.
func TestCTRReseedInterval(t *testing.T) {
	ctrEach(t, true, func(t *testing.T, c *CTR) {
		// It counts from one, at each Seed, and every request counts.
		ctrMustSeed(t, c, 1)
		for n := range uint64(5) {
			if c.reseedCounter != n+1 {
				t.Fatalf("reseed_counter is %d after %d requests", c.reseedCounter, n)
			}
			if err := c.Generate(make([]byte, n), nil); err != nil {
				t.Fatal(err)
			}
		}

		c.reseedCounter = 1 << 48
		if err := c.Generate(make([]byte, 32), nil); err != nil {
			t.Errorf("request 2^48: %v", err)
		}
		for range 2 {
			ctrMustRefuse(t, c, 32, nil, ErrReseedRequired)
			ctrMustRefuse(t, c, 0, []byte{1}, ErrReseedRequired)
		}
		ctrMustSeed(t, c, 2)
		if err := c.Generate(make([]byte, 32), nil); err != nil {
			t.Errorf("after Seed: %v", err)
		}
	})
}

// A20.
func TestCTRNotSeeded(t *testing.T) {
	ctrEach(t, false, func(t *testing.T, c *CTR) {
		ctrMustRefuse(t, c, 32, nil, ErrNotSeeded)
		ctrMustRefuse(t, c, 65537, []byte{1}, ErrNotSeeded)
		ctrMustSeed(t, c, 1)
		c.Clear()
		ctrMustRefuse(t, c, 32, nil, ErrNotSeeded)
		ctrMustRefuse(t, c, 0, []byte{1}, ErrNotSeeded)
	})
	var zero CTR
	ctrMustRefuse(t, &zero, 32, nil, ErrNotSeeded)
	ctrMustRefuseSeed(t, &zero, 48, 0)
	zero.Clear()
	if i := zero.Info(); i != (Info{}) {
		t.Errorf("Info of a CTR that NewCTR has not made: %+v", i)
	}
}

// A16: when a call returns, nothing is left of the state before it, nor of what
// was computed on the way.
func TestCTRLeavesOnlyTheState(t *testing.T) {
	ctrEach(t, true, func(t *testing.T, c *CTR) {
		for i := range 3 {
			before := *c.ctrMemory
			var err error
			switch i {
			case 0:
				err = c.Generate(make([]byte, 600), nil)
			case 1:
				err = c.Generate(make([]byte, 600), ctrPattern(30, 1))
			case 2:
				err = c.Seed(ctrPattern(c.seedlen(), 1), ctrPattern(30, 2))
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.key == before.key || c.v == before.v {
				t.Error("Key or V is the old one")
			}
			if c.cipher.std == nil && c.expanded == before.expanded {
				t.Error("the expanded key is the old one")
			}
			ctrScratchIsClear(t, c)
		}
	})
}

// A20: after Clear there is nothing that a new generator has not.
func TestCTRClear(t *testing.T) {
	ctrEach(t, true, func(t *testing.T, c *CTR) {
		for range 2 {
			c.Clear()
			if c.ctrMemory != nil || c.mem.Intact() || c.reseedCounter != 0 {
				t.Errorf("there is memory: %t, reseed_counter %d", c.mem.Intact(), c.reseedCounter)
			}
			if c.cipher.own != nil || c.df.ctrDFMemory != nil || c.df.derived.own != nil {
				t.Error("there is a way to the memory that was given back")
			}
			ctrScratchIsClear(t, c)
		}
	})
}

func TestCTRPrintsNothing(t *testing.T) {
	ctrEach(t, true, func(t *testing.T, c *CTR) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			for _, got := range []string{fmt.Sprintf(verb, c), fmt.Sprintf(verb, *c)} {
				if strings.Trim(got, `"`) != "drng.CTR" {
					t.Errorf("%s: %s", verb, got)
				}
			}
		}
	})
}

func TestCTRDoesNotAllocate(t *testing.T) {
	if ctrRaceDetector {
		t.Skip("allocations are not counted under the race detector")
	}
	ctrEach(t, true, func(t *testing.T, c *CTR) {
		count := func(f func()) float64 {
			t.Helper()
			return testing.AllocsPerRun(50, f)
		}
		must := func(err error) {
			if err != nil {
				panic(err)
			}
		}
		// On the heap, and on a stack that nothing may escape from.
		heap := make([]byte, 1000)
		generate := count(func() { must(c.Generate(heap, nil)) })
		additional := count(func() { must(c.Generate(heap, heap[:32])) })
		seed := count(func() { must(c.Seed(heap[:c.seedlen()], heap[:32])) })
		t.Logf("allocations: Generate %v, with additional %v, Seed %v", generate, additional, seed)
		if c.cipher.std == nil && generate+additional+seed != 0 {
			t.Errorf("allocations: Generate %v, with additional %v, Seed %v", generate, additional, seed)
		}
		escaped := count(func() {
			var out [1000]byte
			must(c.Generate(out[:], nil))
		}) - generate
		escaped += count(func() {
			var a [32]byte
			must(c.Generate(heap, a[:]))
		}) - additional
		escaped += count(func() {
			var s [48]byte
			var a [32]byte
			must(c.Seed(s[:c.seedlen()], a[:]))
		}) - seed
		if escaped != 0 {
			t.Errorf("the memory of callers escapes: %v allocations more", escaped)
		}
	})
}

// TestCTRInFIPSMode runs some tests again with the program in FIPS mode, which is
// chosen when it starts.
func TestCTRInFIPSMode(t *testing.T) {
	const child = "LRNG_TEST_CTR_CHILD"
	if os.Getenv(child) != "" {
		if !fips.Enabled() {
			t.Error("the mode is not on")
		}
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Skip("no path of the test program: ", err)
	}
	for _, mode := range []string{"on", "only"} {
		cmd := exec.Command(exe, "-test.run=^(TestCTR(InFIPSMode|BackEndFollowsMode|KnownAnswers|LeavesOnlyTheState|Clear)|FuzzCTR)$")
		cmd.Env = append(os.Environ(), "GODEBUG=fips140="+mode, child+"=1")
		out, err := cmd.CombinedOutput()
		if _, ok := errors.AsType[*exec.ExitError](err); ok {
			// What the standard library says where there is no such mode.
			if strings.Contains(string(out), "fips140: FIPS 140-3 mode is ") {
				t.Skip("FIPS mode is not in this build")
			}
			t.Errorf("fips140=%s: %v\n%s", mode, err, out)
		} else if err != nil {
			t.Skip("programs cannot be run here: ", err)
		}
	}
}

func BenchmarkCTR(b *testing.B) {
	for _, config := range []CTRConfig{{}, {NoDF: true}} {
		run := func(name string, standardLibrary bool) {
			c, err := newCTR(config, standardLibrary)
			if err != nil {
				b.Fatal(err)
			}
			ctrMustSeed(b, c, 1)
			name = fmt.Sprintf("drng=%s/impl=%s", c.Info().Name, name)
			for _, size := range []int{16, 32, 64, 128, 256, 1024, 4096, 65536} {
				b.Run(fmt.Sprintf("%s/size=%d", name, size), func(b *testing.B) {
					out := make([]byte, size)
					b.SetBytes(int64(size))
					b.ReportAllocs()
					for b.Loop() {
						if err := c.Generate(out, nil); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
			b.Run(name+"/additional=32/size=32", func(b *testing.B) {
				out := make([]byte, 32)
				b.ReportAllocs()
				for b.Loop() {
					if err := c.Generate(out, out); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(name+"/reseed", func(b *testing.B) {
				seed := make([]byte, 48)
				b.ReportAllocs()
				for b.Loop() {
					if err := c.Seed(seed, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		for name, ok := range impl.All("aesctr") {
			if ok {
				run(name, false)
			}
		}
		run("stdlib", true)
	}
}
