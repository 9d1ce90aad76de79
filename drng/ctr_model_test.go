package drng

import (
	"bytes"
	"crypto/aes"
	"encoding/binary"
	"errors"
	"testing"
)

// A ctrModel is CTR_DRBG written down from SP 800-90A Rev. 1 a second time:
// slices that grow, one block of crypto/aes after the other, and nothing else.
type ctrModel struct {
	keylen, seedlen int // in bytes
	df              bool

	key, v        []byte
	reseedCounter uint64 // 0: not instantiated
}

func newCTRModel(c CTRConfig) *ctrModel {
	bits := c.KeyBits
	if bits == 0 {
		bits = 256
	}
	return &ctrModel{keylen: bits / 8, seedlen: bits/8 + 16, df: !c.NoDF}
}

// Section 10.3.4: Block_Encrypt.
func ctrModelBlockEncrypt(key, in []byte) []byte {
	b, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	out := make([]byte, 16)
	b.Encrypt(out, in)
	return out
}

func ctrModelXOR(a, b []byte) []byte {
	if len(a) != len(b) {
		panic("lengths differ")
	}
	out := make([]byte, len(a))
	for i := range out {
		out[i] = a[i] ^ b[i]
	}
	return out
}

// Section 10.3.3: BCC.
func ctrModelBCC(key, data []byte) []byte {
	chain := make([]byte, 16)
	for i := 0; i < len(data); i += 16 {
		chain = ctrModelBlockEncrypt(key, ctrModelXOR(chain, data[i:i+16]))
	}
	return chain
}

// Section 10.3.2: Block_Cipher_df.
func (m *ctrModel) blockCipherDF(input []byte, n int) []byte {
	var s []byte
	s = binary.BigEndian.AppendUint32(s, uint32(len(input)))
	s = binary.BigEndian.AppendUint32(s, uint32(n))
	s = append(s, input...)
	s = append(s, 0x80)
	for len(s)%16 != 0 {
		s = append(s, 0)
	}
	constant := []byte{
		0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f,
		0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f,
	}
	var temp []byte
	for i := uint32(0); len(temp) < m.keylen+16; i++ {
		iv := append(binary.BigEndian.AppendUint32(nil, i), make([]byte, 12)...)
		temp = append(temp, ctrModelBCC(constant[:m.keylen], append(iv, s...))...)
	}
	key, x := temp[:m.keylen], temp[m.keylen:m.keylen+16]
	temp = nil
	for len(temp) < n {
		x = ctrModelBlockEncrypt(key, x)
		temp = append(temp, x...)
	}
	return temp[:n]
}

// next sets V = (V+1) mod 2^blocklen and returns Block_Encrypt(Key, V).
func (m *ctrModel) next() []byte {
	v := bytes.Clone(m.v)
	for i := 15; i >= 0; i-- {
		v[i]++
		if v[i] != 0 {
			break
		}
	}
	m.v = v
	return ctrModelBlockEncrypt(m.key, m.v)
}

// Section 10.2.1.2: CTR_DRBG_Update.
func (m *ctrModel) update(provided []byte) {
	var temp []byte
	for len(temp) < m.seedlen {
		temp = append(temp, m.next()...)
	}
	temp = ctrModelXOR(temp[:m.seedlen], provided)
	m.key, m.v = temp[:m.keylen], temp[m.seedlen-16:]
}

// pad appends zeros up to seedlen.
func (m *ctrModel) pad(b []byte) []byte {
	return append(bytes.Clone(b), make([]byte, m.seedlen-len(b))...)
}

var errCTRModelLength = errors.New("a length that is not allowed")

// Sections 10.2.1.3 and 10.2.1.4: instantiate and reseed.
func (m *ctrModel) Seed(seed, additional []byte) error {
	var material []byte
	if m.df {
		least := m.keylen
		if m.reseedCounter == 0 {
			least += m.keylen / 2
		}
		if len(seed) < least {
			return errCTRModelLength
		}
		material = m.blockCipherDF(append(bytes.Clone(seed), additional...), m.seedlen)
	} else {
		if len(seed) != m.seedlen || len(additional) > m.seedlen {
			return errCTRModelLength
		}
		material = ctrModelXOR(seed, m.pad(additional))
	}
	if m.reseedCounter == 0 {
		m.key, m.v = make([]byte, m.keylen), make([]byte, 16)
	}
	m.update(material)
	m.reseedCounter = 1
	return nil
}

// Section 10.2.1.5: generate.
func (m *ctrModel) Generate(out, additional []byte) error {
	switch {
	case m.reseedCounter == 0:
		return ErrNotSeeded
	case len(out) > 65536:
		return ErrRequestTooLarge
	case m.reseedCounter > 1<<48:
		return ErrReseedRequired
	case !m.df && len(additional) > m.seedlen:
		return errCTRModelLength
	}
	input := make([]byte, m.seedlen)
	if len(additional) > 0 {
		if m.df {
			input = m.blockCipherDF(additional, m.seedlen)
		} else {
			input = m.pad(additional)
		}
		m.update(input)
	}
	var temp []byte
	for len(temp) < len(out) {
		temp = append(temp, m.next()...)
	}
	copy(out, temp)
	m.update(input)
	m.reseedCounter++
	return nil
}

func (m *ctrModel) Clear() { m.key, m.v, m.reseedCounter = nil, nil, 0 }

// same fails the test unless c is in the state of m.
func (m *ctrModel) same(t *testing.T, c *CTR) {
	t.Helper()
	if m.reseedCounter == 0 {
		if c.ctrMemory != nil || c.reseedCounter != 0 {
			t.Fatalf("there is a state, reseed_counter %d; want none", c.reseedCounter)
		}
		return
	}
	if !bytes.Equal(c.key[:m.keylen], m.key) || !bytes.Equal(c.v[:], m.v) || c.reseedCounter != m.reseedCounter {
		t.Fatalf("state is Key %x, V %x, reseed_counter %d\nwant     Key %x, V %x, reseed_counter %d",
			c.key[:m.keylen], c.v, c.reseedCounter, m.key, m.v, m.reseedCounter)
	}
}

// ctrPattern returns n bytes that depend on seed.
func ctrPattern(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*i) + byte(i>>8) ^ seed*0x3b
	}
	return b
}

// FuzzCTR runs a program of calls on the model and on each back end. The first
// byte chooses the variant, then each call has an opcode and an operand or two.
func FuzzCTR(f *testing.F) {
	f.Fuzz(func(t *testing.T, program []byte) {
		const maxCalls = 64
		if len(program) == 0 {
			return
		}
		config := ctrVariants[int(program[0])%len(ctrVariants)]
		ctrBackEnds(t, func(t *testing.T, newCTR func(CTRConfig) *CTR) {
			ctrRunProgram(t, newCTR(config), newCTRModel(config), program[1:], maxCalls)
		})
	})
}

func ctrRunProgram(t *testing.T, c *CTR, m *ctrModel, program []byte, maxCalls int) {
	operand := func() int {
		if len(program) == 0 {
			return 0
		}
		n := int(program[0])
		program = program[1:]
		return n
	}
	for i := range maxCalls {
		if len(program) == 0 {
			return
		}
		var got, want error
		out, wantOut := []byte(nil), []byte(nil)
		fill := byte(i)
		switch op := operand(); op % 10 {
		case 0, 1: // a request
			n := 3 * operand()
			out, wantOut = ctrPattern(n, 0xaa), make([]byte, n)
			got, want = c.Generate(out, nil), m.Generate(wantOut, nil)
		case 2: // a request with additional input
			n, a := operand(), ctrPattern(3*operand(), fill)
			out, wantOut = ctrPattern(n, 0xaa), make([]byte, n)
			got, want = c.Generate(out, a), m.Generate(wantOut, a)
		case 3: // a request with additional input in overlapping memory
			n, from, l := operand(), operand(), operand()
			mem := ctrPattern(max(n, from+l), fill)
			a := bytes.Clone(mem[from : from+l])
			out, wantOut = mem[:n], make([]byte, n)
			got, want = c.Generate(out, mem[from:from+l]), m.Generate(wantOut, a)
		case 4: // a seed of the right length, for the variants that have one
			s, a := ctrPattern(m.seedlen, fill), ctrPattern(operand()%(m.seedlen+2), ^fill)
			got, want = c.Seed(s, a), m.Seed(s, a)
		case 5: // a seed that may have a wrong length, with additional input
			s, a := ctrPattern(operand(), fill), ctrPattern(operand(), ^fill)
			got, want = c.Seed(s, a), m.Seed(s, a)
		case 6: // a long seed
			s := ctrPattern(16*operand()+operand(), fill)
			got, want = c.Seed(s, nil), m.Seed(s, nil)
		case 7: // too large a request, or nearly
			n := 65536 + operand()%2
			out, wantOut = ctrPattern(n, 0xaa), make([]byte, n)
			got, want = c.Generate(out, nil), m.Generate(wantOut, nil)
		case 8:
			c.Clear()
			m.Clear()
		case 9: // the end of the seed life, or nearly
			if m.reseedCounter != 0 {
				n := 1<<48 + uint64(operand()%2)
				c.reseedCounter, m.reseedCounter = n, n
			}
		}
		for _, sentinel := range []error{ErrNotSeeded, ErrRequestTooLarge, ErrReseedRequired} {
			if errors.Is(got, sentinel) != errors.Is(want, sentinel) {
				t.Fatalf("call %d: error %v, want %v", i, got, want)
			}
		}
		if (got != nil) != (want != nil) {
			t.Fatalf("call %d: error %v, want %v", i, got, want)
		}
		if !bytes.Equal(out, wantOut) { // zeros with an error
			t.Fatalf("call %d: output\ngot  %x\nwant %x", i, out, wantOut)
		}
		m.same(t, c)
		ctrScratchIsClear(t, c)
	}
}

// Every length of output up to some that are longer than what is made together with
// Update, and so on with additional input up to some that come in several parts.
func TestCTREveryLength(t *testing.T) {
	for _, config := range ctrVariants {
		ctrBackEnds(t, func(t *testing.T, newCTR func(CTRConfig) *CTR) {
			c, m := newCTR(config), newCTRModel(config)
			ctrMustSeed(t, c, 1)
			if err := m.Seed(ctrPattern(m.seedlen, 1), ctrPattern(30, ^byte(1))); err != nil {
				t.Fatal(err)
			}
			check := func(n, additional int) {
				t.Helper()
				a := ctrPattern(additional, byte(n))
				out, want := ctrPattern(n, 0xaa), make([]byte, n)
				if err := errors.Join(c.Generate(out, a), m.Generate(want, a)); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(out, want) {
					t.Fatalf("%s: %d bytes with %d of additional input: wrong output", c.Info().Name, n, additional)
				}
				m.same(t, c)
				ctrScratchIsClear(t, c)
			}
			for n := range len(ctrWork{}) + 2*ctrBlockSize {
				check(n, 0)
			}
			most := len(ctrWork{}) + ctrBlockSize
			if config.NoDF {
				most = c.seedlen()
			}
			for a := range most + 1 {
				check(20, a)
			}
		})
	}
}
