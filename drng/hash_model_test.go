package drng

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/sha3"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

// A hashModel is a second implementation of a mechanism: as close to the text of
// the standard as possible, with math/big, crypto/hmac and new memory for
// everything. It checks no lengths.
type hashModel interface {
	seed(seed, additional []byte)
	generate(n int, additional []byte) []byte
	state() [3][]byte // V, Key, C
}

// A hashMechanism is a mechanism that is built on a hash function, with what the
// tests know of it.
type hashMechanism struct {
	name                      string
	new                       func() DRNG
	model                     func() hashModel
	minInstantiate, minReseed int    // bytes of seed
	maxAdditional             uint64 // bytes
}

// hashMechanisms returns all 15 of them.
func hashMechanisms() []hashMechanism {
	all := []hashMechanism{{
		name:           "XDRBG-256",
		new:            func() DRNG { return NewXDRBG() },
		model:          func() hashModel { return new(xdrbgModel) },
		minInstantiate: 1, minReseed: 1, maxAdditional: 84,
	}}
	for _, h := range hashFunctions {
		m := hashMechanism{
			name: "Hash_DRBG " + h.String(),
			new: func() DRNG {
				d, err := NewHash(h)
				if err != nil {
					panic(err)
				}
				return d
			},
			model:          func() hashModel { return &hashDRBGModel{h: h} },
			minInstantiate: 48, minReseed: 32, maxAdditional: 1 << 32,
		}
		all = append(all, m)
		m.name = "HMAC_DRBG " + h.String()
		m.new = func() DRNG {
			d, err := NewHMAC(h)
			if err != nil {
				panic(err)
			}
			return d
		}
		m.model = func() hashModel { return &hmacDRBGModel{h: h} }
		all = append(all, m)
	}
	return all
}

// forHashMechanisms runs f as a subtest for each of the mechanisms.
func forHashMechanisms(t *testing.T, f func(t *testing.T, m hashMechanism)) {
	for _, m := range hashMechanisms() {
		t.Run(m.name, func(t *testing.T) { f(t, m) })
	}
}

// hashCounter returns the reseed counter of d.
func hashCounter(d DRNG) *uint64 {
	switch d := d.(type) {
	case *Hash:
		return &d.reseedCounter
	case *HMAC:
		return &d.reseedCounter
	case *XDRBG:
		return &d.reseedCounter
	}
	panic("not a mechanism of this file")
}

// hashState returns V, Key and C of d.
func hashStateOf(d DRNG) [3][]byte {
	switch d := d.(type) {
	case *Hash:
		if d.hashMemory == nil {
			return [3][]byte{}
		}
		return [3][]byte{d.v[1:d.n], nil, d.c[1:d.n]}
	case *HMAC:
		if d.hmacMemory == nil {
			return [3][]byte{}
		}
		n := d.digest.size
		return [3][]byte{d.v[:n], d.key[:n], nil}
	case *XDRBG:
		if d.xdrbgMemory == nil {
			return [3][]byte{}
		}
		return [3][]byte{d.v[:], nil, nil}
	}
	panic("not a mechanism of this file")
}

func hashConcat(parts ...[]byte) []byte { return slices.Concat(parts...) }

// hashDRBGModel is Hash_DRBG: SP 800-90A Rev. 1, Section 10.1.1.
type hashDRBGModel struct {
	h             crypto.Hash
	v, c          *big.Int
	reseedCounter uint64
}

func (m *hashDRBGModel) seedlen() int {
	return map[crypto.Hash]int{
		crypto.SHA256: 440, crypto.SHA384: 888, crypto.SHA512: 888, crypto.SHA512_256: 440,
		crypto.SHA3_256: 440, crypto.SHA3_384: 888, crypto.SHA3_512: 888,
	}[m.h] / 8
}

func (m *hashDRBGModel) hash(parts ...[]byte) []byte {
	h := m.h.New()
	h.Write(hashConcat(parts...))
	return h.Sum(nil)
}

func (m *hashDRBGModel) bytes(x *big.Int) []byte { return x.FillBytes(make([]byte, m.seedlen())) }

func (m *hashDRBGModel) sum(x ...*big.Int) *big.Int {
	s := new(big.Int)
	for _, x := range x {
		s.Add(s, x)
	}
	return s.Mod(s, new(big.Int).Lsh(big.NewInt(1), uint(8*m.seedlen())))
}

func (m *hashDRBGModel) df(input []byte) *big.Int {
	var temp []byte
	for counter := byte(1); len(temp) < m.seedlen(); counter++ {
		bits := binary.BigEndian.AppendUint32(nil, uint32(8*m.seedlen()))
		temp = append(temp, m.hash([]byte{counter}, bits, input)...)
	}
	return new(big.Int).SetBytes(temp[:m.seedlen()])
}

func (m *hashDRBGModel) seed(seed, additional []byte) {
	material := hashConcat(seed, additional)
	if m.v != nil {
		material = hashConcat([]byte{1}, m.bytes(m.v), seed, additional)
	}
	m.v = m.df(material)
	m.c = m.df(hashConcat([]byte{0}, m.bytes(m.v)))
	m.reseedCounter = 1
}

func (m *hashDRBGModel) generate(n int, additional []byte) []byte {
	if len(additional) > 0 {
		w := m.hash([]byte{2}, m.bytes(m.v), additional)
		m.v = m.sum(m.v, new(big.Int).SetBytes(w))
	}
	var w []byte
	for data := m.v; len(w) < n; data = m.sum(data, big.NewInt(1)) {
		w = append(w, m.hash(m.bytes(data))...)
	}
	h := new(big.Int).SetBytes(m.hash([]byte{3}, m.bytes(m.v)))
	m.v = m.sum(m.v, h, m.c, new(big.Int).SetUint64(m.reseedCounter))
	m.reseedCounter++
	return w[:n]
}

func (m *hashDRBGModel) state() [3][]byte { return [3][]byte{m.bytes(m.v), nil, m.bytes(m.c)} }

// hmacDRBGModel is HMAC_DRBG: SP 800-90A Rev. 1, Section 10.1.2.
type hmacDRBGModel struct {
	h      crypto.Hash
	key, v []byte
}

func (m *hmacDRBGModel) mac(parts ...[]byte) []byte {
	h := hmac.New(m.h.New, m.key)
	h.Write(hashConcat(parts...))
	return h.Sum(nil)
}

func (m *hmacDRBGModel) update(data []byte) {
	m.key = m.mac(m.v, []byte{0}, data)
	m.v = m.mac(m.v)
	if len(data) == 0 {
		return
	}
	m.key = m.mac(m.v, []byte{1}, data)
	m.v = m.mac(m.v)
}

func (m *hmacDRBGModel) seed(seed, additional []byte) {
	if m.key == nil {
		m.key = make([]byte, m.h.Size())
		m.v = bytes.Repeat([]byte{1}, m.h.Size())
	}
	m.update(hashConcat(seed, additional))
}

func (m *hmacDRBGModel) generate(n int, additional []byte) []byte {
	if len(additional) > 0 {
		m.update(additional)
	}
	var temp []byte
	for len(temp) < n {
		m.v = m.mac(m.v)
		temp = append(temp, m.v...)
	}
	m.update(additional)
	return temp[:n]
}

func (m *hmacDRBGModel) state() [3][]byte { return [3][]byte{m.v, m.key, nil} }

// xdrbgModel is XDRBG-256, with requests cut into pieces of 344 bytes.
type xdrbgModel struct {
	v []byte
}

func (m *xdrbgModel) encode(alpha []byte, n int) []byte {
	return append(bytes.Clone(alpha), byte(85*n+len(alpha)))
}

func (m *xdrbgModel) seed(seed, alpha []byte) {
	if m.v == nil {
		m.v = sha3.SumSHAKE256(hashConcat(seed, m.encode(alpha, 0)), 64)
	} else {
		m.v = sha3.SumSHAKE256(hashConcat(m.v, seed, m.encode(alpha, 1)), 64)
	}
}

func (m *xdrbgModel) generate(n int, alpha []byte) []byte {
	var out []byte
	for first := true; first || len(out) < n; first = false {
		t := sha3.SumSHAKE256(hashConcat(m.v, m.encode(alpha, 2)), 64+min(344, n-len(out)))
		m.v, out = t[:64], append(out, t[64:]...)
	}
	return out
}

func (m *xdrbgModel) state() [3][]byte { return [3][]byte{m.v, nil, nil} }

// hashCalls makes the calls that the bytes of script stand for, to a generator
// and to its model, and compares output, error and working state of each.
func hashCalls(mech hashMechanism, script []byte) error {
	// The content of seeds and additional inputs; their lengths matter more.
	random := rand.NewChaCha8([32]byte{byte(len(script))})
	content := func(n int) []byte {
		b := make([]byte, n)
		random.Read(b)
		return b
	}

	d := mech.new()
	var model hashModel // nil if not instantiated
	var requests uint64 // since the last seed
	for call := 0; len(script) >= 3; call, script = call+1, script[3:] {
		kind, a, b := script[0]%8, int(script[1]), int(script[2])
		fail := func(format string, args ...any) error {
			return fmt.Errorf("call %d (%d, %d, %d): %s", call, kind, a, b, fmt.Sprintf(format, args...))
		}
		// refused makes a call that must fail and leave the state as it was.
		refused := func(f func() error) error {
			before := hashImage(d)
			err := f()
			if err == nil {
				return fail("no error")
			}
			if !bytes.Equal(before, hashImage(d)) {
				return fail("state changed in spite of error: %v", err)
			}
			return nil
		}

		switch kind {
		case 0, 1: // Seed.
			seed, additional := content(a), content(b)
			least := mech.minInstantiate
			if model != nil {
				least = mech.minReseed
			}
			if len(seed) < least || uint64(len(additional)) > mech.maxAdditional {
				if err := refused(func() error { return d.Seed(seed, additional) }); err != nil {
					return err
				}
				continue
			}
			if err := d.Seed(seed, additional); err != nil {
				return fail("%v", err)
			}
			if model == nil {
				model = mech.model()
			}
			model.seed(seed, additional)
			requests = 0

		case 7: // Clear, or a jump of the reseed counter to the end of its range.
			if a < 64 {
				d.Clear()
				model = nil
			} else if model != nil {
				requests = 1<<48 - 1 - uint64(a%3)
				*hashCounter(d) = requests + 1
				if m, ok := model.(*hashDRBGModel); ok {
					m.reseedCounter = requests + 1
				}
			}
			continue

		default: // Generate.
			n, k := 4*a+b%4, max(0, b-128)
			if kind == 6 { // The limit of a request, and long additional input.
				n, k = 1<<16-1+a%3, 4*b
			}
			out, additional := content(n), content(k)
			input := additional
			if kind == 5 { // The same memory.
				k = 3 * b
				additional = content(k)
				mem := make([]byte, max(n, k)+7)
				out, input = mem[:n], mem[b%8:][:k]
				copy(input, additional)
			}
			var want error
			switch {
			case model == nil:
				want = ErrNotSeeded
			case n > 1<<16:
				want = ErrRequestTooLarge
			case requests == 1<<48:
				want = ErrReseedRequired
			}
			if want != nil || uint64(k) > mech.maxAdditional {
				err := refused(func() error {
					err := d.Generate(out, input)
					if want != nil && !errors.Is(err, want) {
						return nil // The wrong error is none.
					}
					return err
				})
				if err != nil {
					return err
				}
				if slices.ContainsFunc(out, func(b byte) bool { return b != 0 }) {
					return fail("out not cleared")
				}
				continue
			}
			if err := d.Generate(out, input); err != nil {
				return fail("%v", err)
			}
			requests++
			if want := model.generate(n, additional); !bytes.Equal(out, want) {
				return fail("output of %d bytes\ngot  %.40x...\nwant %.40x...", n, out, want)
			}
		}

		got, want := hashStateOf(d), model.state()
		for i, name := range []string{"V", "Key", "C"} {
			if !bytes.Equal(got[i], want[i]) {
				return fail("%s\ngot  %x\nwant %x", name, got[i], want[i])
			}
		}
		if c := *hashCounter(d); c != requests+1 {
			return fail("reseed counter is %d, want %d", c, requests+1)
		}
	}
	return nil
}

// TestHashCalls compares the mechanisms with their models (A1 to A3, A11, A17, A20).
func TestHashCalls(t *testing.T) {
	forHashMechanisms(t, func(t *testing.T, m hashMechanism) {
		random := rand.New(rand.NewPCG(1, 2))
		n := 20
		if testing.Short() {
			n = 1
		}
		for range n {
			script := []byte{0, 64, 0} // Seed.
			for range 60 {
				script = append(script, byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32()))
			}
			if err := hashCalls(m, script); err != nil {
				t.Fatalf("%x: %v", script, err)
			}
		}
	})
}

// hashFuzz fuzzes calls to the mechanisms whose names start with prefix.
func hashFuzz(f *testing.F, prefix string) {
	var mechanisms []hashMechanism
	for _, m := range hashMechanisms() {
		if len(m.name) > len(prefix) && m.name[:len(prefix)] == prefix {
			mechanisms = append(mechanisms, m)
		}
	}
	for i := range mechanisms {
		f.Add(uint8(i), []byte("\x00\x40\x00\x02\x10\x00\x01\x20\x10\x06\x01\x40\x07\x41\x00\x03\x05\xff"))
	}
	f.Fuzz(func(t *testing.T, i uint8, script []byte) {
		m := mechanisms[int(i)%len(mechanisms)]
		if err := hashCalls(m, script[:min(len(script), 3*64)]); err != nil {
			t.Fatalf("%s: %v", m.name, err)
		}
	})
}

func FuzzHash(f *testing.F)  { hashFuzz(f, "Hash_DRBG") }
func FuzzHMAC(f *testing.F)  { hashFuzz(f, "HMAC_DRBG") }
func FuzzXDRBG(f *testing.F) { hashFuzz(f, "XDRBG") }
