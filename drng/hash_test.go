package drng

import (
	"bytes"
	"crypto"
	"crypto/fips140"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// hashImage returns the memory of d and of everything that it points to, for
// comparison with other images.
func hashImage(d DRNG) []byte {
	var image []byte
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Struct:
			if strings.HasPrefix(v.Type().Name(), "Value[") {
				return // secmem.Value: what is in it is seen through the other pointer
			}
			for i := range v.NumField() {
				walk(v.Field(i))
			}
		case reflect.Array, reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Uint8:
			image = append(image, byte(v.Uint()))
		case reflect.Uint, reflect.Uint32, reflect.Uint64:
			image = fmt.Appendf(image, "%d,", v.Uint())
		case reflect.Int:
			image = fmt.Appendf(image, "%d,", v.Int())
		case reflect.Bool:
			image = fmt.Appendf(image, "%t,", v.Bool())
		case reflect.String:
			image = append(image, v.String()...)
		default:
			panic(fmt.Sprintf("a field of kind %v", v.Kind()))
		}
	}
	walk(reflect.ValueOf(d))
	return image
}

// hashTestSeed is long enough for every mechanism. Its bytes are unlike those of
// a state that was wiped.
var hashTestSeed = bytes.Repeat([]byte("0123456789abcdef"), 4)

func hashSeeded(t testing.TB, m hashMechanism) DRNG {
	t.Helper()
	d := m.new()
	if err := d.Seed(hashTestSeed, []byte("personalization")); err != nil {
		t.Fatal(err)
	}
	return d
}

// A1, A2, A5: Table 2. XDRBG is not approved.
func TestHashInfo(t *testing.T) {
	names := []string{
		"XDRBG-256",
		"Hash_DRBG SHA-256", "HMAC_DRBG SHA-256",
		"Hash_DRBG SHA-384", "HMAC_DRBG SHA-384",
		"Hash_DRBG SHA-512", "HMAC_DRBG SHA-512",
		"Hash_DRBG SHA-512/256", "HMAC_DRBG SHA-512/256",
		"Hash_DRBG SHA3-256", "HMAC_DRBG SHA3-256",
		"Hash_DRBG SHA3-384", "HMAC_DRBG SHA3-384",
		"Hash_DRBG SHA3-512", "HMAC_DRBG SHA3-512",
	}
	for i, m := range hashMechanisms() {
		want := Info{
			Name:             names[i],
			SecurityStrength: 256,
			MaxRequest:       65536,
			ReseedInterval:   281474976710656,
			Approved:         i != 0,
		}
		if i == 0 {
			want.MaxAdditional = 84
		}
		if got := m.new().Info(); got != want {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
}

// A4: seedlen of each hash function.
func TestHashSeedlen(t *testing.T) {
	for h, bits := range map[crypto.Hash]int{
		crypto.SHA256: 440, crypto.SHA384: 888, crypto.SHA512: 888, crypto.SHA512_256: 440,
		crypto.SHA3_256: 440, crypto.SHA3_384: 888, crypto.SHA3_512: 888,
	} {
		d, err := NewHash(h)
		if err != nil {
			t.Fatal(err)
		}
		if got := 8 * (d.n - 1); got != bits {
			t.Errorf("seedlen of %v is %d, want %d", h, got, bits)
		}
		if d.n%8 != 0 || d.n > len(d.v) {
			t.Errorf("%v: V with its octet has %d bytes", h, d.n)
		}
	}
}

func TestHashUnsupported(t *testing.T) {
	for _, h := range []crypto.Hash{
		0, crypto.MD5, crypto.SHA1, crypto.SHA224, crypto.SHA512_224, crypto.SHA3_224,
		crypto.BLAKE2b_512, crypto.MD5SHA1, 1000,
	} {
		if d, err := NewHash(h); err == nil || d != nil || !strings.HasPrefix(err.Error(), "drng: ") {
			t.Errorf("NewHash(%v) = %v, %v", h, d, err)
		}
		if d, err := NewHMAC(h); err == nil || d != nil || !strings.HasPrefix(err.Error(), "drng: ") {
			t.Errorf("NewHMAC(%v) = %v, %v", h, d, err)
		}
	}
}

// A6, A7: the last seed that is too short and the first that is not.
func TestHashSeedMinimum(t *testing.T) {
	forHashMechanisms(t, func(t *testing.T, m hashMechanism) {
		d := m.new()
		refused := func(n int) {
			t.Helper()
			before := hashImage(d)
			if err := d.Seed(hashTestSeed[:n], nil); err == nil || !strings.Contains(err.Error(), m.name) {
				t.Errorf("seed of %d bytes: %v", n, err)
			}
			if !bytes.Equal(before, hashImage(d)) {
				t.Errorf("seed of %d bytes was refused, but changed the state", n)
			}
		}
		taken := func(n int) {
			t.Helper()
			if err := d.Seed(hashTestSeed[:n], nil); err != nil {
				t.Errorf("seed of %d bytes: %v", n, err)
			}
		}
		refused(0)
		refused(m.minInstantiate - 1)
		taken(m.minInstantiate)
		refused(0)
		refused(m.minReseed - 1)
		taken(m.minReseed)
		d.Clear()
		refused(m.minInstantiate - 1)
		taken(m.minInstantiate)
	})
}

// A3: lengths that no test has the memory for.
func TestHashLengthMaximum(t *testing.T) {
	const most = 1 << 35 / 8
	for _, c := range []struct {
		seed, additional uint64
		ok               bool
	}{
		{48, 0, true},
		{most, most, true},
		{most + 1, 0, false},
		{48, most + 1, false},
		{1<<64 - 1, 1<<64 - 1, false},
	} {
		for _, instantiated := range []bool{false, true} {
			if err := hashCheckSeed("name", c.seed, c.additional, instantiated); (err == nil) != c.ok {
				t.Errorf("seed of %d bytes, additional of %d: %v", c.seed, c.additional, err)
			}
		}
		if c.seed == 48 {
			if err := hashCheckGenerate("name", 1, c.additional, hashMaxLength, 1); (err == nil) != c.ok {
				t.Errorf("additional of %d bytes: %v", c.additional, err)
			}
		}
	}
}

// hashRefused holds that d refuses a request with an error that wraps want,
// clears out and does not change.
func hashRefused(t *testing.T, d DRNG, n int, want error) {
	t.Helper()
	before := hashImage(d)
	out := bytes.Repeat([]byte{0xa5}, n)
	err := d.Generate(out, []byte("additional"))
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
	if err != nil && !strings.Contains(err.Error(), d.Info().Name) {
		t.Errorf("error %q does not name the mechanism", err)
	}
	if !bytes.Equal(out, make([]byte, n)) {
		t.Errorf("out is not cleared")
	}
	if !bytes.Equal(before, hashImage(d)) {
		t.Errorf("state changed in spite of error: %v", err)
	}
}

// A1.
func TestHashRequestLimit(t *testing.T) {
	forHashMechanisms(t, func(t *testing.T, m hashMechanism) {
		d := hashSeeded(t, m)
		hashRefused(t, d, 65537, ErrRequestTooLarge)
		out := make([]byte, 65536)
		if err := d.Generate(out, nil); err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(out[len(out)-32:], make([]byte, 32)) {
			t.Error("the end of out was not written")
		}
	})
}

// A2: request 2⁴⁸ since the last seed is the last one.
func TestHashReseedInterval(t *testing.T) {
	forHashMechanisms(t, func(t *testing.T, m hashMechanism) {
		d := hashSeeded(t, m)
		*hashCounter(d) = 1 << 48 // As after 2⁴⁸ - 1 requests.
		if err := d.Generate(make([]byte, 32), nil); err != nil {
			t.Fatal(err)
		}
		hashRefused(t, d, 32, ErrReseedRequired)
		hashRefused(t, d, 0, ErrReseedRequired)
		hashRefused(t, d, 32, ErrReseedRequired)
		if err := d.Seed(hashTestSeed, nil); err != nil {
			t.Fatal(err)
		}
		if err := d.Generate(make([]byte, 32), nil); err != nil {
			t.Error(err)
		}
	})
}

// A20.
func TestHashNotSeeded(t *testing.T) {
	forHashMechanisms(t, func(t *testing.T, m hashMechanism) {
		d := m.new()
		hashRefused(t, d, 32, ErrNotSeeded)
		d.Clear()
		hashRefused(t, d, 32, ErrNotSeeded)
		if err := d.Seed(hashTestSeed, nil); err != nil {
			t.Fatal(err)
		}
		d.Clear()
		d.Clear()
		hashRefused(t, d, 32, ErrNotSeeded)
	})
}

// Z1, A16, A20: between calls an instance holds its working state and otherwise
// what a new one holds; after Clear, nothing else. In particular, the digest of
// the standard library does not keep the last block that it hashed.
func TestHashWiped(t *testing.T) {
	forHashMechanisms(t, func(t *testing.T, m hashMechanism) {
		empty := hashImage(m.new())

		d := m.new()
		check := func(when string) {
			t.Helper()
			clean := func(yes bool) {
				if !yes {
					t.Errorf("%s: more than the working state is in the memory", when)
				}
			}
			if bytes.Equal(empty, hashImage(d)) {
				t.Errorf("%s: no state", when)
			}
			var rest DRNG
			switch d := d.(type) {
			case *Hash:
				r := *d
				r.reseedCounter = 0
				memory := *d.hashMemory
				clear(memory.v[1:])
				clear(memory.c[1:])
				clean(memory == hashMemory{})
				r.hashMemory, r.digest.hashScratch = nil, nil
				rest = &r
			case *HMAC:
				r := *d
				r.reseedCounter = 0
				memory := *d.hmacMemory
				clear(memory.v[:])
				clear(memory.key[:])
				clear(memory.inner[:])
				clear(memory.outer[:])
				clean(memory == hmacMemory{})
				r.hmacMemory, r.digest.hashScratch = nil, nil
				rest = &r
			case *XDRBG:
				r := *d
				r.reseedCounter = 0
				memory := *d.xdrbgMemory
				clear(memory.v[:])
				clean(memory == xdrbgMemory{})
				r.xdrbgMemory = nil
				rest = &r
			}
			if !bytes.Equal(empty, hashImage(rest)) {
				t.Errorf("%s: more than the working state is left", when)
			}
		}
		seed := func(when string) {
			t.Helper()
			if err := d.Seed(hashTestSeed, hashTestSeed); err != nil {
				t.Fatal(err)
			}
			check(when)
		}
		seed("after the first Seed")
		seed("after the second Seed")
		for _, n := range []int{0, 1, 31, 32, 64, 343, 345, 1000} {
			for _, k := range []int{0, 1, 84, 256, 257, 1000} {
				if uint64(k) > m.maxAdditional {
					continue
				}
				if err := d.Generate(make([]byte, n), bytes.Repeat([]byte{0xa5}, k)); err != nil {
					t.Fatal(err)
				}
				check(fmt.Sprintf("after Generate of %d bytes with %d", n, k))
			}
		}
		d.Clear()
		if !bytes.Equal(empty, hashImage(d)) {
			t.Error("after Clear: something is left")
		}
	})
}

// Rule 6 of DRNG, at the length from which HMAC goes another way.
func TestHashSameMemory(t *testing.T) {
	forHashMechanisms(t, func(t *testing.T, m hashMechanism) {
		for _, k := range []int{1, 84, 255, 256, 257, 1000} {
			if uint64(k) > m.maxAdditional {
				continue
			}
			for _, n := range []int{0, 1, 100, 1000} {
				for _, shift := range []int{0, 1, 50} {
					d, twin := hashSeeded(t, m), hashSeeded(t, m)
					mem := make([]byte, 2000)
					for i := range mem {
						mem[i] = byte(i) ^ byte(i>>8)
					}
					additional := bytes.Clone(mem[shift:][:k])
					want := make([]byte, n)
					if err := errors.Join(d.Generate(mem[:n], mem[shift:][:k]), twin.Generate(want, additional)); err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(mem[:n], want) || !bytes.Equal(hashImage(d), hashImage(twin)) {
						t.Errorf("%d bytes with %d of the same memory, shifted by %d: another result than with memory apart", n, k, shift)
					}
				}
			}
		}
	})
}

// Rule 7 of DRNG. The buffers are on the stack: nothing escapes.
func TestHashAllocs(t *testing.T) {
	if hashRaceDetector {
		t.Skip("the race detector allocates")
	}
	count := func(name string, f func()) {
		t.Helper()
		if n := testing.AllocsPerRun(50, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
	for _, f := range hashFunctions {
		h, err := NewHash(f)
		if err != nil {
			t.Fatal(err)
		}
		count(h.Info().Name, func() {
			var seed [64]byte
			var additional, out [1000]byte
			err := errors.Join(
				h.Seed(seed[:], additional[:]),
				h.Generate(out[:], nil),
				h.Generate(out[:], additional[:]),
				h.Generate(out[:], additional[:10]))
			if err != nil {
				t.Fatal(err)
			}
		})
		m, err := NewHMAC(f)
		if err != nil {
			t.Fatal(err)
		}
		count(m.Info().Name, func() {
			var seed [64]byte
			var additional, out [1000]byte
			err := errors.Join(
				m.Seed(seed[:], additional[:]),
				m.Generate(out[:], nil),
				m.Generate(out[:], additional[:]),
				m.Generate(out[:], additional[:10]))
			if err != nil {
				t.Fatal(err)
			}
		})
	}
	x := NewXDRBG()
	count(x.Info().Name, func() {
		var seed [64]byte
		var additional [84]byte
		var out [1000]byte
		err := errors.Join(
			x.Seed(seed[:], additional[:]),
			x.Generate(out[:], nil),
			x.Generate(out[:], additional[:]))
		if err != nil {
			t.Fatal(err)
		}
	})
}

// Style 29: no verb of fmt that honours String or GoString prints state.
func TestHashPrintsNothing(t *testing.T) {
	forHashMechanisms(t, func(t *testing.T, m hashMechanism) {
		d := hashSeeded(t, m)
		want, _, _ := strings.Cut(m.name, "_")
		want, _, _ = strings.Cut("drng."+want, "-")
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			if got := fmt.Sprintf(format, d); got != want {
				t.Errorf("%s of the pointer is %q, want %q", format, got, want)
			}
			if got := fmt.Sprintf(format, reflect.ValueOf(d).Elem().Interface()); got != want {
				t.Errorf("%s of the value is %q, want %q", format, got, want)
			}
		}
	})
}

// The modular additions, with many carries.
func TestHashAdd(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		n := 8 * (1 + random.IntN(14))
		v, x, c, small := make([]byte, n), make([]byte, 8*(1+random.IntN(n/8))), make([]byte, n), make([]byte, 8)
		for _, b := range [][]byte{v, x, c, small} {
			for i := range b {
				// Long runs of ones let carries travel.
				b[i] = [...]byte{0xff, 0xff, 0xff, 0, byte(random.Uint32())}[random.IntN(5)]
			}
		}
		sum := func(numbers ...[]byte) []byte {
			s := new(big.Int)
			for _, b := range numbers {
				s.Add(s, new(big.Int).SetBytes(b))
			}
			return s.Mod(s, new(big.Int).Lsh(big.NewInt(1), uint(8*(n-1)))).FillBytes(make([]byte, n))
		}
		all, want := bytes.Clone(v), sum(v, x, c, small)
		hashAddAll(all, x, c, binary.BigEndian.Uint64(small))
		if !bytes.Equal(all, want) {
			t.Fatalf("%x + %x + %x + %x = %x, want %x", v, x, c, small, all, want)
		}
		got, want := bytes.Clone(v), sum(v, x)
		hashAdd(got, x)
		if !bytes.Equal(got, want) {
			t.Fatalf("%x + %x = %x, want %x", v, x, got, want)
		}
	}
}

// F6, F7: everything works when cryptography that is not approved fails.
func TestHashFIPS140Only(t *testing.T) {
	if fips140.Enabled() {
		t.Skip("the tests run in FIPS mode anyway")
	}
	if runtime.GOARCH == "wasm" {
		t.Skip("no processes, and no FIPS mode")
	}
	const tests = "^(TestKnownAnswers|TestHashCalls|TestHashSeedMinimum|TestHashWiped)$"
	cmd := exec.Command(os.Args[0], "-test.run="+tests, "-test.v", "-test.short")
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool {
		return strings.HasPrefix(s, "GODEBUG=")
	}), "GODEBUG=fips140=only")
	out, err := cmd.CombinedOutput()
	if bytes.Contains(out, []byte("FIPS 140-3 mode is ")) {
		t.Skip("no FIPS mode in this build")
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := bytes.Count(out, []byte("\n--- PASS: ")) + bytes.Count(out, []byte("\n--- SKIP: ")); n != 4 {
		t.Errorf("%d tests ran, expected 4\n%s", n, out)
	}
}
