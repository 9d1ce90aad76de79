package drng

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lrng-go/lrng/internal/selftest"
	"github.com/lrng-go/lrng/internal/selftest/faults"
)

// A selfTestMechanism is a mechanism with what its self-test is made of.
type selfTestMechanism struct {
	name       string
	new        func() DRNG
	model      func() selfTestModel
	seed, part int // lengths of the first seed, and of each of the five other inputs
	n          int // length of the output
}

// A selfTestModel is an independent implementation of a mechanism.
type selfTestModel interface {
	seed(seed, additional []byte)
	generate(n int, additional []byte) []byte
}

type chacha20SelfTestModel struct{ *chacha20Model }

func (m chacha20SelfTestModel) seed(seed, additional []byte) {
	m.chacha20Model.seed(seed)
	m.chacha20Model.seed(additional)
}

func (m chacha20SelfTestModel) generate(n int, additional []byte) []byte {
	m.chacha20Model.seed(additional)
	return m.chacha20Model.generate(n)
}

type ctrSelfTestModel struct{ *ctrModel }

func (m ctrSelfTestModel) seed(seed, additional []byte) {
	if err := m.Seed(seed, additional); err != nil {
		panic(err)
	}
}

func (m ctrSelfTestModel) generate(n int, additional []byte) []byte {
	out := make([]byte, n)
	if err := m.Generate(out, additional); err != nil {
		panic(err)
	}
	return out
}

// selfTestMechanisms returns all mechanisms. Names and lengths are written down once
// more, so that a test that is lost, or that has lost an input, is missed.
func selfTestMechanisms() []selfTestMechanism {
	all := []selfTestMechanism{{
		"ChaCha20",
		func() DRNG { return NewChaCha20() },
		func() selfTestModel { return chacha20SelfTestModel{&chacha20Model{counter: 1}} },
		48, 32, 100,
	}}
	for i, name := range []string{
		"CTR_DRBG AES-128", "CTR_DRBG AES-192", "CTR_DRBG AES-256",
		"CTR_DRBG AES-128 no df", "CTR_DRBG AES-192 no df", "CTR_DRBG AES-256 no df",
	} {
		config := ctrVariants[i]
		length := config.KeyBits / 8
		seed := length * 3 / 2
		if config.NoDF {
			length += 16
			seed = length
		}
		all = append(all, selfTestMechanism{
			name,
			func() DRNG {
				c, err := NewCTR(config)
				if err != nil {
					panic(err)
				}
				return c
			},
			func() selfTestModel { return ctrSelfTestModel{newCTRModel(config)} },
			seed, length, 64,
		})
	}
	// Published answers have the length that was published.
	n := map[string]int{
		"Hash_DRBG SHA-256": 128, "Hash_DRBG SHA-512": 256,
		"HMAC_DRBG SHA-256": 32, "HMAC_DRBG SHA-512": 256,
		"XDRBG-256": 345,
	}
	for _, m := range hashMechanisms() {
		if n[m.name] == 0 {
			n[m.name] = 80
		}
		all = append(all, selfTestMechanism{
			m.name, m.new, func() selfTestModel { return m.model() }, 48, 32, n[m.name],
		})
	}
	return all
}

// A21: each mechanism has a test, under the name in its Info, and no test is for
// anything else.
func TestSelfTestOfEachMechanism(t *testing.T) {
	var want, got []string
	for _, m := range selfTestMechanisms() {
		want = append(want, m.name)
		if info := m.new().Info(); info.Name != m.name {
			t.Errorf("%s: its Info has the name %q", m.name, info.Name)
		}
	}
	for _, test := range selftest.All() {
		got = append(got, test.Name())
	}
	if len(got) != 22 {
		t.Errorf("there are %d tests, want 22", len(got))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("there are tests\n%q, want\n%q", got, want)
	}
}

// A21, D4, D13: the tests pass, and the models come to the same answers, with all
// the calls and inputs that there are.
func TestSelfTestAnswers(t *testing.T) {
	for _, m := range selfTestMechanisms() {
		test := selfTestOf(t, m.name)
		if err := test.Run(); err != nil {
			t.Error(err)
		}
		input := test.Input()
		if len(input) != m.seed+5*m.part {
			t.Errorf("%s: %d bytes of input, want %d+5·%d", m.name, len(input), m.seed, m.part)
			continue
		}
		model := m.model()
		parts := append([][]byte{input[:m.seed]}, slices.Collect(slices.Chunk(input[m.seed:], m.part))...)
		model.seed(parts[0], parts[1])
		model.seed(parts[2], parts[3])
		model.generate(m.n, parts[4])
		if got, want := test.Answer(), model.generate(m.n, parts[5]); !bytes.Equal(got, want) {
			t.Errorf("%s: the answer is\n%x, want\n%x", m.name, got, want)
		}
	}
	if err := selftest.RunAll(); err != nil {
		t.Error(err)
	}
}

func selfTestOf(t *testing.T, name string) *selftest.Test {
	t.Helper()
	for _, test := range selftest.All() {
		if test.Name() == name {
			return test
		}
	}
	t.Fatalf("there is no self-test %q", name)
	return nil
}

// Each input counts, to the last byte.
func TestSelfTestDependsOnInputs(t *testing.T) {
	for _, m := range selfTestMechanisms() {
		input := selfTestOf(t, m.name).Input()
		answer := func() string {
			out, err := knownAnswer(m.new().(testable), bytes.Clone(input), m.seed, m.n)
			if err != nil {
				t.Fatal(err)
			}
			return string(out)
		}
		seen := map[string]int{answer(): -1}
		for i := m.seed - 1; i < len(input); i += m.part {
			input[i]++
			got := answer()
			input[i]--
			if j, ok := seen[got]; ok {
				t.Errorf("%s: bytes %d and %d changed give the same answer", m.name, i, j)
			}
			seen[got] = i
		}
	}
}

// selfTestSeed returns a seed that m takes, also a later one.
func (m *selfTestMechanism) selfTestSeed(variant byte) []byte { return ctrPattern(m.seed, variant) }

// A21: tests leave no trace in generators in use. They may run at the same time.
func TestSelfTestIsApart(t *testing.T) {
	var group sync.WaitGroup
	for _, m := range selfTestMechanisms() {
		test := selfTestOf(t, m.name)
		group.Go(func() {
			for range 3 {
				if err := test.Run(); err != nil {
					t.Error(err)
				}
			}
		})
		group.Go(func() {
			d, model := m.new(), m.model()
			for i := range byte(3) {
				if err := d.Seed(m.selfTestSeed(i), nil); err != nil {
					t.Error(err)
				}
				if err := test.Run(); err != nil {
					t.Error(err)
				}
				out := make([]byte, 100)
				if err := d.Generate(out, nil); err != nil {
					t.Error(err)
				}
				model.seed(m.selfTestSeed(i), nil)
				if want := model.generate(len(out), nil); !bytes.Equal(out, want) {
					t.Errorf("%s: output is %x, want %x", m.name, out, want)
				}
			}
		})
	}
	group.Wait()
}

// A21, A19, A17: a self-test that fails stops the first seed of its mechanism, and
// then every mechanism for good. Until then the others work.
func TestSelfTestFaults(t *testing.T) {
	if name, fault := faults.Injected(); name != "" {
		selfTestFault(t, name, fault)
		return
	}
	if !faults.Supported() {
		t.Skip("no processes here")
	}
	if err := faults.Run("TestSelfTestFaults", testing.Short()); err != nil {
		t.Error(err)
	}
}

func selfTestFault(t *testing.T, name string, fault selftest.Fault) {
	all := selfTestMechanisms()
	seeded := make(map[string]DRNG)
	for _, m := range all {
		if m.name == name {
			continue
		}
		d := m.new()
		if err := errors.Join(d.Seed(m.selfTestSeed(1), nil), d.Generate(make([]byte, 32), nil)); err != nil {
			t.Errorf("before the failure: %v", err)
		}
		seeded[m.name] = d
	}
	i := slices.IndexFunc(all, func(m selfTestMechanism) bool { return m.name == name })
	d := all[i].new()
	err := d.Seed(all[i].selfTestSeed(1), nil)
	if !errors.Is(err, selftest.ErrFailed) || !strings.Contains(fmt.Sprint(err), name+": ") || !strings.Contains(fmt.Sprint(err), faults.Messages[fault]) {
		t.Fatalf("first Seed: %v", err)
	}
	first := selftest.Failed()
	seeded[name] = d
	refuses := func(m *selfTestMechanism, d DRNG, when string) {
		t.Helper()
		for _, n := range []int{0, 32, 1 << 17} {
			out := bytes.Repeat([]byte{0xa5}, n)
			if err := d.Generate(out, []byte{1}); !errors.Is(err, first) {
				t.Errorf("%s: Generate %s: %v", m.name, when, err)
			}
			if !bytes.Equal(out, make([]byte, n)) {
				t.Errorf("%s: Generate %s: out is not cleared", m.name, when)
			}
		}
		for _, seed := range [][]byte{nil, m.selfTestSeed(2)} {
			if err := d.Seed(seed, nil); !errors.Is(err, first) {
				t.Errorf("%s: Seed %s: %v", m.name, when, err)
			}
		}
	}
	for i := range all {
		m := &all[i]
		refuses(m, seeded[m.name], "after the failure")
		seeded[m.name].Clear()
		refuses(m, seeded[m.name], "after Clear")
		refuses(m, m.new(), "of a new generator")
	}
}

// A22: a test that fails later, as the periodic run of all may find, stops the
// mechanisms as well.
func TestSelfTestFailsLater(t *testing.T) {
	if name, _ := faults.Injected(); name != "" {
		d := NewChaCha20()
		if err := errors.Join(d.Seed([]byte{1}, nil), d.Generate(make([]byte, 8), nil)); name != "ChaCha20" && err != nil {
			t.Fatal(err)
		}
		if err := selftest.RunAll(); !errors.Is(err, selftest.ErrFailed) {
			t.Fatal(err)
		}
		out := []byte{1, 2, 3}
		if err := d.Generate(out, nil); !errors.Is(err, selftest.ErrFailed) || !bytes.Equal(out, make([]byte, 3)) {
			t.Errorf("%v, out is %x", err, out)
		}
		return
	}
	if !faults.Supported() || testing.Short() {
		t.Skip("no processes here, or too slow")
	}
	if err := faults.Run("TestSelfTestFailsLater", true); err != nil {
		t.Error(err)
	}
}

// A generator that no constructor has made has no self-test, and no seed.
func TestSelfTestOfZeroValues(t *testing.T) {
	for _, d := range []DRNG{new(CTR), new(Hash), new(HMAC)} {
		if err := d.Seed(hashTestSeed, nil); err == nil {
			t.Errorf("%T: no error", d)
		}
		if err := d.Generate(make([]byte, 8), nil); !errors.Is(err, ErrNotSeeded) {
			t.Errorf("%T: %v", d, err)
		}
	}
}

func BenchmarkSelfTest(b *testing.B) {
	for _, test := range selftest.All() {
		b.Run("drng="+strings.ReplaceAll(test.Name(), " ", "_"), func(b *testing.B) {
			for b.Loop() {
				if err := test.Run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			if err := selftest.RunAll(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
