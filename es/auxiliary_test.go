package es_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"math"
	"math/bits"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
)

// A conditionerDouble is a Conditioner with functions that are given.
type conditionerDouble struct {
	width int
	new   func() hash.Hash
}

func (c conditionerDouble) Name() string   { return "double" }
func (c conditionerDouble) New() hash.Hash { return c.new() }
func (c conditionerDouble) Width() int     { return c.width }

// A poolModel is the pool straight from its construction: the transcripts of
// both hashes, hashed anew at each read.
type poolModel struct {
	c            conditioner.Conditioner
	oversampling int
	credit       int
	s, o         []byte
}

func newPoolModel(c conditioner.Conditioner, oversampling int) *poolModel {
	return &poolModel{c: c, oversampling: oversampling, s: []byte("STATE0"), o: []byte("OUTPUT")}
}

func (m *poolModel) digests() (s, o []byte) {
	sum := func(p []byte) []byte {
		h := m.c.New()
		h.Write(p)
		return h.Sum(nil)
	}
	return sum(m.s), sum(m.o)
}

func (m *poolModel) add(p []byte, bits int) {
	if len(p) == 0 {
		return
	}
	m.s = append(append(m.s, 0, 0), p...)
	m.o = append(append(m.o, 0, 0), p...)
	m.credit = min(m.credit+bits, m.c.Width())
}

func (m *poolModel) get(size, bits int) (p []byte, credit int) {
	if request := min(bits, m.c.Width(), 8*size); request > 0 {
		taken := min(m.credit, request+m.oversampling)
		if credit = taken - m.oversampling; credit > 0 {
			m.credit -= taken
		} else {
			credit = 0
		}
	}
	for len(p) < size {
		s, o := m.digests()
		m.s, m.o = append([]byte("STATE0"), s...), append([]byte("OUTPUT"), s...)
		p = append(p, o...)
	}
	return p[:size], credit
}

func (m *poolModel) setConditioner(c conditioner.Conditioner) {
	s, o := m.digests()
	m.s = append(append([]byte("STATE0"), s...), o...)
	m.o = append(append([]byte("OUTPUT"), s...), o...)
	m.c = c
	m.credit = min(m.credit, c.Width())
}

func count(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i)
	}
	return p
}

func add(t *testing.T, a *es.Auxiliary, p []byte, bits int) {
	t.Helper()
	if err := a.Add(p, bits); err != nil {
		t.Fatalf("Add(%d bytes, %d bits): %v", len(p), bits, err)
	}
}

func get(t *testing.T, a *es.Auxiliary, size, bits int) (p []byte, credit int) {
	t.Helper()
	p = make([]byte, size)
	credit, err := a.GetEntropy(t.Context(), p, bits)
	if err != nil {
		t.Fatalf("GetEntropy(%d bytes, %d bits): %v", size, bits, err)
	}
	return p, credit
}

// The vectors were computed from the construction of the auxiliary pool of ESDM
// (esdm/esdm_es_aux.c, one pool, its number little-endian) by a model that has
// nothing in common with this package; the third read of each and the last vector
// by Python's hashlib.
func TestAuxiliaryKnownAnswers(t *testing.T) {
	type read struct {
		out          string
		credit, left int
	}
	for _, tt := range []struct {
		name         string
		oversampling int
		data         []byte
		bits         int
		reads        []read
	}{
		{"abc", 0, []byte("abc"), 24, []read{
			{"e40aac975d4036dc5d975dc6a81aa293f2ade31297b0521618b4f3e79f728802", 24, 0},
			{"e013b69277b021068ae288f8a3eaf085001e36b98c0f4ce69bd6bb43dd665d5c", 0, 0},
			{"3e245f0effad3a1207face29aed1a8804e2fca81821d12ba777199763bf40cae", 0, 0},
		}},
		{"00..3f, oversampled", 64, count(64), 512, []read{
			{"fb190f213ced0bd0e0614b985df9dfa12262d6c77acaff22d0704a34e829d498", 256, 192},
			{"0aa2ffa2049d0f0e2dc786ede4894088c5afcc8c2a8a06e00e43cc26671a316c", 128, 0},
			{"289b3b3ce68cce990a4ed00c8551b43729a3d23084319fc574d845dfa04b0aa5", 0, 0},
		}},
		// A read of a whole digest, and one of more.
		{"abc", 0, []byte("abc"), 24, []read{
			{"e40aac975d4036dc5d975dc6a81aa293f2ade31297b0521618b4f3e79f728802" +
				"e1b5f77e6a48d135ca54af6b6c083aebd60ef877e93f662c11527a3ff5c37684" +
				"e013b69277b021068ae288f8a3eaf085001e36b98c0f4ce69bd6bb43dd665d5c" +
				"d005fe8f8d2a36ab4482eb5f563e3af3a71923a4eedb946f66c076037e9c49b3" +
				"3e245f0eff", 24, 0},
		}},
	} {
		a := es.NewAuxiliary(es.AuxiliaryConfig{Oversampling: tt.oversampling})
		add(t, a, tt.data, tt.bits)
		for i, r := range tt.reads {
			want, err := hex.DecodeString(r.out)
			if err != nil {
				t.Fatal(err)
			}
			p, credit := get(t, a, len(want), 256)
			left := 0
			if n := a.Available(512); n > 0 {
				left = n + tt.oversampling
			}
			if !bytes.Equal(p, want) || credit != r.credit || left != r.left {
				t.Errorf("%s, read %d: %x, credit %d, left %d\nwant %x, credit %d, left %d", tt.name, i, p, credit, left, want, r.credit, r.left)
			}
		}
	}
}

func TestAuxiliaryInfo(t *testing.T) {
	for _, c := range []es.AuxiliaryConfig{{}, {Conditioner: conditioner.SHA256}, {Oversampling: -1}} {
		if got, want := es.NewAuxiliary(c).Info(), (es.Info{Name: "auxiliary", MaxEntropy: 512}); got != want {
			t.Errorf("%+v: Info() = %+v, want %+v", c, got, want)
		}
	}
}

func TestAuxiliaryConfig(t *testing.T) {
	sha512Double := conditionerDouble{512, sha512.New}
	for _, tt := range []struct {
		name   string
		config es.AuxiliaryConfig
		want   string // in the error
	}{
		{"zero", es.AuxiliaryConfig{}, ""},
		{"least oversampling", es.AuxiliaryConfig{Oversampling: -1}, "AuxiliaryConfig.Oversampling: -1 bits"},
		{"most oversampling", es.AuxiliaryConfig{Oversampling: 255}, ""},
		{"too much oversampling", es.AuxiliaryConfig{Oversampling: 256}, "AuxiliaryConfig.Oversampling: 256 bits"},
		{"absurd oversampling", es.AuxiliaryConfig{Oversampling: math.MaxInt}, "AuxiliaryConfig.Oversampling"},
		{"double", es.AuxiliaryConfig{Conditioner: sha512Double}, ""},
		{"narrow", es.AuxiliaryConfig{Conditioner: conditionerDouble{224, sha256.New224}}, "AuxiliaryConfig.Conditioner: double has a width of 224 bits"},
		{"no width", es.AuxiliaryConfig{Conditioner: conditionerDouble{0, sha512.New}}, "AuxiliaryConfig.Conditioner: double has a width of 0 bits"},
		{"negative width", es.AuxiliaryConfig{Conditioner: conditionerDouble{-512, sha512.New}}, "width of -512 bits"},
		{"wide", es.AuxiliaryConfig{Conditioner: conditionerDouble{520, sha512.New}}, "width of 520 bits"},
		{"odd width", es.AuxiliaryConfig{Conditioner: conditionerDouble{511, sha512.New}}, "width of 511 bits"},
		{"digests of another width", es.AuxiliaryConfig{Conditioner: conditionerDouble{512, sha256.New}}, "double does not have digests of its width, 512 bits"},
		{"no hash", es.AuxiliaryConfig{Conditioner: conditionerDouble{512, func() hash.Hash { return nil }}}, "double does not have digests"},
	} {
		a := es.NewAuxiliary(tt.config)
		err := a.Validate()
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), "es: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if credit, got := a.GetEntropy(t.Context(), make([]byte, 32), 256); got != err || credit != 0 {
			t.Errorf("%s: GetEntropy: credit %d, %v", tt.name, credit, got)
		}
		if got := a.Add([]byte{1}, 8); got != err {
			t.Errorf("%s: Add: %v", tt.name, got)
		}
		if got := a.SetConditioner(nil); got != err {
			t.Errorf("%s: SetConditioner: %v", tt.name, got)
		}
		if n := a.Available(512); n != 0 {
			t.Errorf("%s: Available(512) = %d", tt.name, n)
		}
		a.Clear()
	}
}

func TestAuxiliaryAddBounds(t *testing.T) {
	var notified int
	for _, tt := range []struct {
		size, bits int
		want       string // in the error
	}{
		{0, 0, ""},
		{0, 1, "bits: 1 bits of entropy in 0 bytes of data"},
		{0, -1, "bits: -1 is negative"},
		{1, 8, ""},
		{1, 9, "bits: 9 bits of entropy in 1 bytes of data"},
		{64, 512, ""},
		{64, 513, "bits: 513 bits"},
		{65, 520, ""},
		{1 << 20, 1 << 23, ""},
		{1 << 20, 1<<23 + 1, "bits: 8388609 bits"},
		{64, math.MinInt, "is negative"},
		{64, math.MaxInt, "bits of entropy in 64 bytes"},
	} {
		a, b := es.NewAuxiliary(es.AuxiliaryConfig{}), es.NewAuxiliary(es.AuxiliaryConfig{})
		notified = 0
		a.Notify(func() { notified++ })
		p := bytes.Repeat([]byte{0xee}, tt.size)
		err := a.Add(p, tt.bits)
		if tt.want != "" {
			if err == nil || !strings.HasPrefix(err.Error(), "es: auxiliary: bits: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%d bytes, %d bits: %v, want %q", tt.size, tt.bits, err, tt.want)
			}
			if a.Available(512) != 0 || notified != 0 {
				t.Errorf("%d bytes, %d bits: refused, but %d available, %d notified", tt.size, tt.bits, a.Available(512), notified)
			}
		} else {
			if err != nil || a.Available(math.MaxInt) != min(tt.bits, 512) {
				t.Errorf("%d bytes, %d bits: %v, %d available", tt.size, tt.bits, err, a.Available(math.MaxInt))
			}
			if raised := tt.bits > 0; notified != 0 != raised {
				t.Errorf("%d bytes, %d bits: notified %d times", tt.size, tt.bits, notified)
			}
		}
		if !bytes.Equal(p, bytes.Repeat([]byte{0xee}, tt.size)) {
			t.Errorf("%d bytes: Add changed p", tt.size)
		}
		// What was refused, or empty, left no trace.
		one, _ := get(t, a, 64, 0)
		two, _ := get(t, b, 64, 0)
		if changed := !bytes.Equal(one, two); changed != (err == nil && tt.size > 0) {
			t.Errorf("%d bytes, %d bits: %v; pool changed: %t", tt.size, tt.bits, err, changed)
		}
	}
}

// B23, B24: what is delivered is credited at most for what was added, for what
// was asked, and for the space that there is; the rest stays.
func TestAuxiliaryCredit(t *testing.T) {
	type read struct{ size, bits, credit int }
	for _, tt := range []struct {
		name   string
		config es.AuxiliaryConfig
		adds   []int
		reads  []read
	}{
		{"empty", es.AuxiliaryConfig{}, nil, []read{{32, 256, 0}, {0, 256, 0}, {1000, 1000, 0}}},
		{"no credit", es.AuxiliaryConfig{}, []int{0, 0}, []read{{32, 256, 0}}},
		{"by bits", es.AuxiliaryConfig{}, []int{300}, []read{{64, 100, 100}, {64, 1, 1}, {64, 256, 199}, {64, 256, 0}}},
		{"by size", es.AuxiliaryConfig{}, []int{300}, []read{{1, 256, 8}, {0, 256, 0}, {31, 256, 248}, {32, 256, 44}}},
		{"bits of 0 and less", es.AuxiliaryConfig{}, []int{300}, []read{{32, 0, 0}, {32, -1, 0}, {32, math.MinInt, 0}, {64, 512, 300}}},
		{"adds sum up to the width", es.AuxiliaryConfig{}, []int{300, 212, 300}, []read{{1000, math.MaxInt, 512}, {64, 512, 0}}},
		{"one past the width", es.AuxiliaryConfig{}, []int{512, 1}, []read{{64, 511, 511}, {64, 512, 1}}},
		{"narrow", es.AuxiliaryConfig{Conditioner: conditioner.SHA256}, []int{512}, []read{{64, 512, 256}, {64, 512, 0}}},
		{"SHA-384", es.AuxiliaryConfig{Conditioner: conditioner.SHA384}, []int{512}, []read{{64, 512, 384}}},
		{"oversampled", es.AuxiliaryConfig{Oversampling: 64}, []int{512}, []read{{64, 512, 448}, {64, 512, 0}}},
		{"oversampled, all that there is", es.AuxiliaryConfig{Oversampling: 64}, []int{65}, []read{{32, 256, 1}, {32, 256, 0}}},
		{"oversampled, too little is kept", es.AuxiliaryConfig{Oversampling: 64}, []int{64}, []read{{32, 256, 0}, {32, 256, 0}}},
		{"oversampled and narrow", es.AuxiliaryConfig{Conditioner: conditioner.SHA3_256, Oversampling: 64}, []int{512}, []read{{32, 256, 192}, {32, 256, 0}}},
	} {
		a := es.NewAuxiliary(tt.config)
		for _, n := range tt.adds {
			add(t, a, count(64), n)
		}
		for i, r := range tt.reads {
			available := a.Available(r.bits)
			_, credit := get(t, a, r.size, r.bits)
			if credit != r.credit {
				t.Errorf("%s, read %d: credit %d, want %d", tt.name, i, credit, r.credit)
			}
			if r.size >= 64 && available != credit {
				t.Errorf("%s, read %d: credit %d, but Available(%d) = %d", tt.name, i, credit, r.bits, available)
			}
		}
	}
	// Entropy that a read could not credit is there for a later one.
	a := es.NewAuxiliary(es.AuxiliaryConfig{Oversampling: 64})
	add(t, a, count(64), 60)
	get(t, a, 32, 256)
	add(t, a, count(64), 60)
	if _, credit := get(t, a, 32, 256); credit != 120-64 {
		t.Errorf("two adds of 60 bits with a read between: credit %d, want 56", credit)
	}
}

func TestAuxiliarySetConditioner(t *testing.T) {
	for _, from := range []conditioner.Conditioner{conditioner.SHA512, conditioner.SHA256, conditioner.SHA3_384} {
		for _, to := range []conditioner.Conditioner{nil, conditioner.SHA256, conditioner.SHA384, conditioner.SHA3_512} {
			a, m := es.NewAuxiliary(es.AuxiliaryConfig{Conditioner: from}), newPoolModel(from, 0)
			other := es.NewAuxiliary(es.AuxiliaryConfig{Conditioner: from})
			add(t, a, count(100), 700)
			m.add(count(100), 700)
			add(t, other, count(101), 700)
			for _, pool := range []*es.Auxiliary{a, other} {
				if err := pool.SetConditioner(to); err != nil {
					t.Fatal(err)
				}
			}
			if to == nil {
				to = conditioner.SHA512
			}
			m.setConditioner(to)
			want, wantCredit := m.get(100, 512)
			if wantCredit != min(from.Width(), to.Width()) {
				t.Fatalf("the model credits %d", wantCredit)
			}
			p, credit := get(t, a, 100, 512)
			if !bytes.Equal(p, want) || credit != wantCredit {
				t.Errorf("%s to %s: credit %d, want %d; the data agree: %t", from.Name(), to.Name(), credit, wantCredit, bytes.Equal(p, want))
			}
			if n := a.Available(512); n != 0 {
				t.Errorf("%s to %s: %d bits are left of a full pool after a read of its width", from.Name(), to.Name(), n)
			}
			if q, _ := get(t, other, 100, 512); bytes.Equal(p, q) {
				t.Errorf("%s to %s: what was in the pool is lost", from.Name(), to.Name())
			}
		}
	}

	a, b := es.NewAuxiliary(es.AuxiliaryConfig{}), es.NewAuxiliary(es.AuxiliaryConfig{})
	add(t, a, count(64), 512)
	add(t, b, count(64), 512)
	err := a.SetConditioner(conditionerDouble{224, sha256.New224})
	if err == nil || !strings.HasPrefix(err.Error(), "es: SetConditioner: double has a width of 224 bits") {
		t.Errorf("narrow: %v", err)
	}
	p, credit := get(t, a, 64, 512)
	if want, _ := get(t, b, 64, 512); !bytes.Equal(p, want) || credit != 512 {
		t.Errorf("refused, but the pool is changed")
	}
}

// Rule 6: nothing is consumed by a call that did not deliver.
func TestAuxiliaryContext(t *testing.T) {
	a, b := es.NewAuxiliary(es.AuxiliaryConfig{}), es.NewAuxiliary(es.AuxiliaryConfig{})
	add(t, a, count(64), 512)
	add(t, b, count(64), 512)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for _, size := range []int{0, 32, 1000} {
		p := make([]byte, size)
		if credit, err := a.GetEntropy(done, p, 256); credit != 0 || err != context.Canceled {
			t.Errorf("%d bytes: credit %d, %v", size, credit, err)
		}
		if !bytes.Equal(p, make([]byte, size)) {
			t.Errorf("%d bytes: p was written to", size)
		}
	}
	p, credit := get(t, a, 64, 512)
	if want, _ := get(t, b, 64, 512); !bytes.Equal(p, want) || credit != 512 {
		t.Errorf("a call that was cancelled changed the pool, or took %d bits", 512-credit)
	}

	// In mid-call: after the third look at ctx.
	add(t, a, count(64), 512)
	p = bytes.Repeat([]byte{0xff}, 1000)
	if credit, err := a.GetEntropy(&countdown{Context: t.Context(), n: 3}, p, 256); credit != 0 || err != context.Canceled {
		t.Errorf("in mid-call: credit %d, %v", credit, err)
	}
	if n := bytes.IndexByte(p, 0xff); n != 128 || !bytes.Equal(p[:n], make([]byte, n)) {
		t.Errorf("in mid-call: %x is left of 128 bytes", p[:n])
	}
	if a.Available(512) != 512 {
		t.Errorf("in mid-call: Available(512) = %d", a.Available(512))
	}
}

// A countdown is a context that is done when it was asked n times.
type countdown struct {
	context.Context
	n int
}

func (c *countdown) Err() error {
	if c.n--; c.n < 0 {
		return context.Canceled
	}
	return nil
}

// While an Add of much data holds the pool, Available does not wait (rule 2),
// and GetEntropy waits for no longer than ctx allows (rule 6).
func TestAuxiliaryDoesNotWait(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	blocking := conditionerDouble{512, func() hash.Hash { return &blockingHash{sha512.New(), entered, leave} }}
	a := es.NewAuxiliary(es.AuxiliaryConfig{Conditioner: blocking})
	added := make(chan error)
	go func() { added <- a.Add(make([]byte, 1000), 300) }()
	<-entered
	for range 2 {
		if n := a.Available(512); n != 0 {
			t.Errorf("Available(512) = %d before the data are in", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if credit, err := a.GetEntropy(ctx, make([]byte, 32), 256); credit != 0 || err != context.DeadlineExceeded {
			t.Errorf("GetEntropy: credit %d, %v", credit, err)
		}
		cancel()
	}
	close(leave)
	if err := <-added; err != nil || a.Available(512) != 300 {
		t.Errorf("Add: %v, %d available", err, a.Available(512))
	}
}

// A blockingHash stops in the first Write of 1000 bytes.
type blockingHash struct {
	hash.Hash
	entered, leave chan struct{}
}

func (h *blockingHash) Write(p []byte) (int, error) {
	if len(p) == 1000 {
		select {
		case h.entered <- struct{}{}:
			<-h.leave
		case <-h.leave:
		}
	}
	return h.Hash.Write(p)
}

// A hash that panics does not leave the pool locked or credited.
func TestAuxiliaryHashPanics(t *testing.T) {
	a := es.NewAuxiliary(es.AuxiliaryConfig{Conditioner: conditionerDouble{512, func() hash.Hash { return &panickingHash{sha512.New()} }}})
	func() {
		defer func() { recover() }()
		a.Add(make([]byte, 1000), 300)
		t.Error("Add did not panic")
	}()
	if _, credit := get(t, a, 32, 256); credit != 0 {
		t.Errorf("credit %d", credit)
	}
	// Nor does what was credited before stay.
	if err := a.Add(make([]byte, 64), 300); err != nil || a.Available(256) != 256 {
		t.Fatal(err, a.Available(256))
	}
	func() {
		defer func() { recover() }()
		a.Add(make([]byte, 1000), 8)
		t.Error("Add did not panic")
	}()
	if _, credit := get(t, a, 32, 256); credit != 0 {
		t.Errorf("credit %d of before", credit)
	}
}

type panickingHash struct{ hash.Hash }

func (h *panickingHash) Write(p []byte) (int, error) {
	if len(p) == 1000 {
		panic("boom")
	}
	return h.Hash.Write(p)
}

func TestAuxiliaryNotify(t *testing.T) {
	a := es.NewAuxiliary(es.AuxiliaryConfig{})
	a.Notify(nil)
	var calls []string
	for _, name := range []string{"first", "second"} {
		a.Notify(func() {
			// No lock is held: all methods can be called, also Add.
			a.Notify(nil)
			if err := a.Add([]byte("x"), 0); err != nil {
				t.Error(err)
			}
			if _, err := a.GetEntropy(t.Context(), make([]byte, 1), 0); err != nil {
				t.Error(err)
			}
			calls = append(calls, fmt.Sprint(name, " ", a.Available(512)))
		})
	}
	for _, tt := range []struct {
		size, bits int
		want       []string
	}{
		{10, 0, nil},
		{10, 1, []string{"first 1", "second 1"}},
		{64, 510, []string{"first 511", "second 511"}},
		{64, 510, []string{"first 512", "second 512"}},
		{64, 510, nil}, // full
	} {
		calls = nil
		add(t, a, count(tt.size), tt.bits)
		if !reflect.DeepEqual(calls, tt.want) {
			t.Errorf("%d bytes, %d bits: called %q, want %q", tt.size, tt.bits, calls, tt.want)
		}
	}
}

// T1, T20: each bit that was added, in one Add or over several, changes about
// half of the bits of this output and of the next one.
//
// The number of different bits of 512 is further than 137 from 256 with a
// probability of less than 2·exp(-2·137²/512) < 2⁻¹⁰⁴ (Hoeffding), and there are
// less than 2¹⁴ numbers.
func TestAuxiliaryEveryBitCounts(t *testing.T) {
	outputs := func(p []byte) (one, two []byte) {
		a := es.NewAuxiliary(es.AuxiliaryConfig{})
		add(t, a, p[:100], 0)
		add(t, a, p[100:101], 0)
		add(t, a, p[101:], 0)
		one, _ = get(t, a, 64, 0)
		two, _ = get(t, a, 64, 0)
		return one, two
	}
	p := count(300)
	one, two := outputs(p)
	for bit := range 8 * len(p) {
		p[bit/8] ^= 1 << (bit % 8)
		otherOne, otherTwo := outputs(p)
		p[bit/8] ^= 1 << (bit % 8)
		for _, d := range []int{distance(one, otherOne), distance(two, otherTwo)} {
			if d < 256-137 || d > 256+137 {
				t.Fatalf("bit %d of byte %d changes %d of 512 bits", bit%8, bit/8, d)
			}
		}
	}
	if d := distance(one, two); d < 256-137 || d > 256+137 {
		t.Errorf("two outputs differ in %d of 512 bits", d)
	}
}

func distance(p, q []byte) (n int) {
	for i := range p {
		n += bits.OnesCount8(p[i] ^ q[i])
	}
	return n
}

// T1: each kind of input has its part in the output: what was added, in which
// pieces and in which order, and what was read before.
func TestAuxiliaryInputsAreSeparate(t *testing.T) {
	seen := make(map[string]string)
	for _, tt := range []struct {
		name string
		ops  string // digits: Add of that many bytes; r: read; c: change of the hash
	}{
		{"nothing", ""}, {"one Add", "4"}, {"in two pieces", "22"}, {"in other pieces", "13"}, {"in another order", "31"},
		{"a read before", "r4"}, {"a read between", "2r2"}, {"a change of hash", "4c"}, {"a change before", "c4"}, {"two changes", "4cc"},
	} {
		a := es.NewAuxiliary(es.AuxiliaryConfig{})
		data := []byte("data")
		for _, op := range tt.ops {
			switch op {
			case 'r':
				get(t, a, 1, 0)
			case 'c':
				if err := a.SetConditioner(nil); err != nil {
					t.Fatal(err)
				}
			default:
				add(t, a, data[:op-'0'], 0)
				data = data[op-'0':]
			}
		}
		p, _ := get(t, a, 64, 0)
		if other, ok := seen[string(p)]; ok {
			t.Errorf("%s and %s lead to the same output", tt.name, other)
		}
		seen[string(p)] = tt.name
	}
}

// memory returns the bytes of v and of all that it refers to: arrays and slices
// of bytes as they are, words as eight bytes big-endian.
func memory(v reflect.Value) (b []byte) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			b = memory(v.Elem())
		}
	case reflect.Struct:
		if strings.HasPrefix(v.Type().Name(), "Value[") {
			return nil // secmem.Value: another pointer leads to what is in it
		}
		for i := range v.NumField() {
			b = append(b, memory(v.Field(i))...)
		}
	case reflect.Array, reflect.Slice:
		for i := range v.Len() {
			b = append(b, memory(v.Index(i))...)
		}
	case reflect.Uint8:
		b = []byte{byte(v.Uint())}
	case reflect.Uint32:
		b = []byte{byte(v.Uint() >> 24), byte(v.Uint() >> 16), byte(v.Uint() >> 8), byte(v.Uint())}
	case reflect.Uint64:
		for shift := 56; shift >= 0; shift -= 8 {
			b = append(b, byte(v.Uint()>>shift))
		}
	}
	return b
}

// window is the length of what is searched for in memory, in bytes. Memory of
// less than 4 KiB has one of the less than 128 windows of a secret by chance with
// a probability of less than 2¹²·2⁷·2⁻⁴⁸ = 2⁻²⁹; all that is hashed here is
// constant, so that there is no match if there was none once.
const window = 6

// holds reports whether a part of secret is in the memory of a.
func holds(a *es.Auxiliary, secret []byte) bool {
	m := memory(reflect.ValueOf(a))
	for i := 0; i+window <= len(secret); i++ {
		if bytes.Contains(m, secret[i:i+window]) {
			return true
		}
	}
	return false
}

// Backtracking resistance: after a read, a change of the hash, and Clear, the
// memory of the pool holds nothing of what was added and nothing of what was
// returned, also not in the buffers of the hash states.
func TestAuxiliaryForgets(t *testing.T) {
	var data []byte
	for i := range 30 {
		d := sha256.Sum256([]byte{byte(i)})
		data = append(data, d[:4]...)
	}
	for _, c := range []conditioner.Conditioner{conditioner.SHA256, conditioner.SHA384, conditioner.SHA512, conditioner.SHA3_256, conditioner.SHA3_512} {
		// The last piece ends everywhere in a block.
		for size := window; size <= len(data); size++ {
			fresh := func() *es.Auxiliary {
				a := es.NewAuxiliary(es.AuxiliaryConfig{Conditioner: c})
				add(t, a, data[:size], 0)
				return a
			}
			a := fresh()
			if !holds(a, data[:size]) && size < 50 {
				t.Fatalf("%s, %d bytes: the search is blind: the data are not found right after Add", c.Name(), size)
			}
			out, _ := get(t, a, c.Width()/8, 0)
			if holds(a, data[:size]) {
				t.Fatalf("%s, %d bytes: what was added is in memory after a read", c.Name(), size)
			}
			if holds(a, out) {
				t.Fatalf("%s, %d bytes: what was read is in memory", c.Name(), size)
			}
			a.Clear()
			if m := memory(reflect.ValueOf(a)); !bytes.Equal(m, make([]byte, len(m))) {
				t.Fatalf("%s: after Clear the memory holds %x", c.Name(), m)
			}

			a = fresh()
			before := reflect.ValueOf(a).Elem().FieldByName("state").Elem()
			if err := a.SetConditioner(conditioner.SHA512); err != nil {
				t.Fatal(err)
			}
			if d := memory(reflect.ValueOf(a).Elem().FieldByName("digests")); !bytes.Equal(d, make([]byte, 128)) {
				t.Fatalf("%s: the digests are in memory after SetConditioner", c.Name())
			}
			if holds(a, data[:size]) || bytes.Contains(memory(before), data[size-window:size]) {
				t.Fatalf("%s, %d bytes: what was added is in memory after SetConditioner", c.Name(), size)
			}

			a = fresh()
			before = reflect.ValueOf(a).Elem().FieldByName("state").Elem()
			a.Clear()
			if bytes.Contains(memory(before), data[size-window:size]) {
				t.Fatalf("%s, %d bytes: what was added is in memory after Clear", c.Name(), size)
			}
		}
	}
}

func TestAuxiliaryClear(t *testing.T) {
	a := es.NewAuxiliary(es.AuxiliaryConfig{})
	add(t, a, count(64), 512)
	a.Notify(func() { t.Error("notified after Clear") })
	a.Clear()
	a.Clear()
	if n := a.Available(512); n != 0 {
		t.Errorf("Available(512) = %d", n)
	}
	if credit, err := a.GetEntropy(t.Context(), make([]byte, 32), 256); credit != 0 || !errors.Is(err, es.ErrUnavailable) {
		t.Errorf("GetEntropy: credit %d, %v", credit, err)
	}
	if err := a.Add(count(64), 512); !errors.Is(err, es.ErrUnavailable) {
		t.Errorf("Add: %v", err)
	}
	if err := a.SetConditioner(nil); !errors.Is(err, es.ErrUnavailable) {
		t.Errorf("SetConditioner: %v", err)
	}
	if err := a.Validate(); err != nil {
		t.Errorf("Validate: %v", err)
	}
}

func TestAuxiliaryPrintsNoSecrets(t *testing.T) {
	a := es.NewAuxiliary(es.AuxiliaryConfig{})
	add(t, a, []byte("secret"), 0)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if got := strings.Trim(fmt.Sprintf(format, a), `"`); got != "es.Auxiliary" {
			t.Errorf("%s prints %s", format, got)
		}
	}
}

func TestAuxiliaryDoesNotAllocate(t *testing.T) {
	ctx := t.Context()
	for _, c := range []conditioner.Conditioner{conditioner.SHA512, conditioner.SHA256, conditioner.SHA3_512} {
		a := es.NewAuxiliary(es.AuxiliaryConfig{Conditioner: c})
		var notified int
		a.Notify(func() { notified++ })
		data, p := count(1000), make([]byte, 200)
		if n := testing.AllocsPerRun(100, func() {
			if err := a.Add(data, 300); err != nil {
				t.Fatal(err)
			}
			if _, err := a.GetEntropy(ctx, p, 256); err != nil {
				t.Fatal(err)
			}
			a.Available(256)
		}); n != 0 {
			t.Errorf("%s: Add, GetEntropy and Available allocate %v times", c.Name(), n)
		}
		if notified == 0 {
			t.Error("no Add raised the credit")
		}
	}
}

// The ledger holds under concurrent use: what was taken out and what is left is
// what was put in. The rest is for the race detector.
func TestAuxiliaryConcurrent(t *testing.T) {
	a := es.NewAuxiliary(es.AuxiliaryConfig{})
	var in, out, notified atomic.Int64
	a.Notify(func() { notified.Add(1) })
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			p := make([]byte, 100)
			for j := range 100 {
				// At most 4 Adds of 8 bits are not yet spent by those who made
				// them, so that the pool is never full.
				if err := a.Add(p[:1+j], 8); err != nil {
					t.Error(err)
					return
				}
				in.Add(8)
				credit, err := a.GetEntropy(t.Context(), p, 16)
				if err != nil || credit < 0 || credit > 16 {
					t.Errorf("credit %d, %v", credit, err)
					return
				}
				out.Add(int64(credit))
				a.Info()
				a.Available(256)
				if i == 0 && j%10 == 0 {
					a.Notify(func() {})
					if err := a.SetConditioner([]conditioner.Conditioner{conditioner.SHA256, nil}[j/10%2]); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	if left := int64(a.Available(512)); in.Load() != out.Load()+left {
		t.Errorf("%d bits in, %d out, %d left", in.Load(), out.Load(), left)
	}
	if notified.Load() == 0 {
		t.Error("never notified")
	}

	// Clear in the middle: each call works or says that the pool is cleared.
	for i := range 4 {
		wg.Go(func() {
			for j := range 100 {
				if i == 0 && j == 50 {
					a.Clear()
				}
				if err := a.Add([]byte("data"), 1); err != nil && !errors.Is(err, es.ErrUnavailable) {
					t.Error(err)
				}
				if _, err := a.GetEntropy(t.Context(), make([]byte, 8), 1); err != nil && !errors.Is(err, es.ErrUnavailable) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := a.Available(512); n != 0 {
		t.Errorf("after Clear: Available(512) = %d", n)
	}
}

func TestAuxiliaryConformance(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config es.AuxiliaryConfig
		bits   int
	}{
		{"empty", es.AuxiliaryConfig{}, 0},
		{"full", es.AuxiliaryConfig{}, 512},
		{"SHA3-256, oversampled", es.AuxiliaryConfig{Conditioner: conditioner.SHA3_256, Oversampling: 64}, 512},
	} {
		t.Run(tt.name, func(t *testing.T) {
			estest.Run(t, func() es.Source {
				a := es.NewAuxiliary(tt.config)
				add(t, a, count(64), tt.bits)
				return a
			})
		})
	}
}

// FuzzAuxiliary does what the input says with a pool and with the model, and
// keeps a ledger of its own: credit in = credit out + withheld + left, never more
// left than the pool is wide, and each credit within its bounds.
func FuzzAuxiliary(f *testing.F) {
	f.Add(uint8(0), []byte("\x00\x03\x08abc\x01\x20\xff\x01\x20\xff"))
	f.Add(uint8(64), []byte("\x00\x40\xff\x01\x20\x10\x01\x41\xff\x03\x01\x01\x40\xff\x02\x80\x03\x04\x10"))
	conditioners := []conditioner.Conditioner{
		conditioner.SHA512, conditioner.SHA256, conditioner.SHA384,
		conditioner.SHA3_256, conditioner.SHA3_384, conditioner.SHA3_512,
	}
	f.Fuzz(func(t *testing.T, oversampling uint8, ops []byte) {
		ops = ops[:min(len(ops), 1000)]
		next := func() (b byte) {
			if len(ops) > 0 {
				b, ops = ops[0], ops[1:]
			}
			return b
		}
		a := es.NewAuxiliary(es.AuxiliaryConfig{Oversampling: int(oversampling)})
		m := newPoolModel(conditioner.SHA512, int(oversampling))
		var notified, ledger int
		a.Notify(func() { notified++ })
		for len(ops) > 0 {
			switch next() % 5 {
			case 0: // Add
				size, bits := int(next()), 3*int(next())
				p := make([]byte, size)
				copy(p, ops)
				wantErr := bits > 8*size
				notified = 0
				if err := a.Add(p, bits); (err != nil) != wantErr {
					t.Fatalf("Add(%d bytes, %d bits): %v", size, bits, err)
				}
				raised := false
				if !wantErr {
					raised = bits > 0 && ledger < m.c.Width()
					ledger = min(ledger+bits, m.c.Width())
					m.add(p, bits)
				}
				if notified != 0 != raised {
					t.Fatalf("Add(%d bytes, %d bits) of %d: notified %d times", size, bits, m.credit, notified)
				}
			case 1: // GetEntropy
				size, bits := int(next()), 3*int(next())-30
				p := make([]byte, size)
				credit, err := a.GetEntropy(t.Context(), p, bits)
				want, wantCredit := m.get(size, bits)
				if err != nil || credit != wantCredit || !bytes.Equal(p, want) {
					t.Fatalf("GetEntropy(%d bytes, %d bits): credit %d, %v, %x; want %d, %x", size, bits, credit, err, p, wantCredit, want)
				}
				if credit < 0 || credit > max(bits, 0) || credit > 8*size || credit > m.c.Width() || credit > ledger {
					t.Fatalf("GetEntropy(%d bytes, %d bits): credit %d of %d", size, bits, credit, ledger)
				}
				if credit > 0 {
					ledger -= credit + int(oversampling)
				}
			case 2: // GetEntropy, cancelled
				size, looks := int(next()), int(next())%4
				p := make([]byte, size)
				credit, err := a.GetEntropy(&countdown{t.Context(), looks}, p, 256)
				if err == nil {
					want, wantCredit := m.get(size, 256)
					if credit != wantCredit || !bytes.Equal(p, want) {
						t.Fatalf("GetEntropy(%d bytes), not cancelled: credit %d, %x", size, credit, p)
					}
					if credit > 0 {
						ledger -= credit + int(oversampling)
					}
					break
				}
				if credit != 0 || !bytes.Equal(p, make([]byte, size)) {
					t.Fatalf("GetEntropy(%d bytes), cancelled: credit %d, %x", size, credit, p)
				}
				// The blocks that were read and dropped: one for each look after
				// the first, which is before the pool is locked.
				m.get(max(0, looks-1)*m.c.Width()/8, 0)
			case 3:
				c := conditioners[int(next())%len(conditioners)]
				if err := a.SetConditioner(c); err != nil {
					t.Fatal(err)
				}
				m.setConditioner(c)
				ledger = min(ledger, c.Width())
			case 4: // Available
				bits := 3*int(next()) - 30
				if got, want := a.Available(bits), max(0, min(bits, ledger-int(oversampling))); got != want {
					t.Fatalf("Available(%d) = %d, want %d", bits, got, want)
				}
			}
			if ledger != m.credit || ledger < 0 || ledger > 512 {
				t.Fatalf("the ledger says %d, the model %d", ledger, m.credit)
			}
		}
		if got := a.Available(512); got != max(0, ledger-int(oversampling)) {
			t.Fatalf("Available(512) = %d at the end, the ledger says %d", got, ledger)
		}
	})
}

func BenchmarkAuxiliary(b *testing.B) {
	b.Run("op=Add/size=64", func(b *testing.B) {
		a, p := es.NewAuxiliary(es.AuxiliaryConfig{}), count(64)
		b.SetBytes(64)
		b.ReportAllocs()
		for b.Loop() {
			a.Add(p, 0)
		}
	})
	b.Run("op=GetEntropy/size=32", func(b *testing.B) {
		a, p := es.NewAuxiliary(es.AuxiliaryConfig{}), make([]byte, 32)
		b.SetBytes(32)
		b.ReportAllocs()
		for b.Loop() {
			a.GetEntropy(b.Context(), p, 256)
		}
	})
}

// A program adds what it knows to be unpredictable with the entropy it has, and
// everything else with 0 bits.
func ExampleAuxiliary() {
	pool := es.NewAuxiliary(es.AuxiliaryConfig{})
	dice := []byte("4 1 6 6 2 5 3 1 4 4 2 6 5 1 3 2 6 3 5 5")
	if err := pool.Add(dice, 20*5/2); err != nil { // less than log2(6) = 2.58 bits a throw
		fmt.Println(err)
	}
	if err := pool.Add([]byte("serial number 4711"), 0); err != nil {
		fmt.Println(err)
	}
	fmt.Println("available:", pool.Available(256))

	seed := make([]byte, 32)
	credit, err := pool.GetEntropy(context.Background(), seed, 256)
	fmt.Println("credit:", credit, err)
	// Output:
	// available: 50
	// credit: 50 <nil>
}
