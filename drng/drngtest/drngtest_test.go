package drngtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/lrng-go/lrng/drng"
)

// A toy keeps every rule. It is a hash in a loop and no more: each output block
// and the next key are hashes of the key with a tag.
type toy struct {
	maxRequest    int
	interval      uint64
	maxAdditional int // 0: no limit

	h      hash.Hash
	key    [sha256.Size]byte
	out    [sha256.Size]byte
	tag    [8]byte
	used   uint64
	seeded bool
}

const toyMaxAdditional = 200

func newToy() *toy {
	return &toy{maxRequest: 5000, interval: 500, maxAdditional: toyMaxAdditional, h: sha256.New()}
}

func (d *toy) Info() drng.Info {
	return drng.Info{
		Name: "toy", SecurityStrength: 256, MaxRequest: d.maxRequest, ReseedInterval: d.interval,
		MaxAdditional: d.maxAdditional,
	}
}

// hash is H(key ‖ n ‖ parts, each with its length).
func (d *toy) hash(n uint64, parts ...[]byte) []byte {
	d.h.Reset()
	d.h.Write(d.key[:])
	d.write64(n)
	for _, p := range parts {
		d.write64(uint64(len(p)))
		d.h.Write(p)
	}
	return d.h.Sum(d.out[:0])
}

func (d *toy) write64(n uint64) {
	binary.BigEndian.PutUint64(d.tag[:], n)
	d.h.Write(d.tag[:])
}

func (d *toy) Seed(seed, additional []byte) error {
	if len(seed) < 32 || d.tooLong(additional) {
		return errors.New("toy: bad length")
	}
	copy(d.key[:], d.hash(1<<63, seed, additional))
	d.seeded, d.used = true, 0
	return nil
}

func (d *toy) tooLong(additional []byte) bool {
	return d.maxAdditional != 0 && len(additional) > d.maxAdditional
}

func (d *toy) check(n int, additional []byte) error {
	switch {
	case !d.seeded:
		return fmt.Errorf("toy: %w", drng.ErrNotSeeded)
	case n > d.maxRequest:
		return fmt.Errorf("toy: %w", drng.ErrRequestTooLarge)
	case d.tooLong(additional):
		return errors.New("toy: additional too long")
	case d.used >= d.interval:
		return fmt.Errorf("toy: %w", drng.ErrReseedRequired)
	}
	return nil
}

func (d *toy) Generate(out, additional []byte) error {
	if err := d.check(len(out), additional); err != nil {
		clear(out)
		return err
	}
	if len(additional) > 0 {
		copy(d.key[:], d.hash(1<<62, additional))
	}
	for n := uint64(0); len(out) > 0; n++ {
		out = out[copy(out, d.hash(n)):]
	}
	copy(d.key[:], d.hash(1<<61))
	d.used++
	return nil
}

func (d *toy) Clear() {
	d.h.Reset()
	clear(d.key[:])
	clear(d.out[:])
	d.used, d.seeded = 0, false
}

// A mutant is a toy in which methods are replaced.
type mutant struct {
	*toy
	info     func() drng.Info
	seed     func(seed, additional []byte) error
	generate func(out, additional []byte) error
	clear    func()
}

func (m *mutant) Info() drng.Info {
	if m.info != nil {
		return m.info()
	}
	return m.toy.Info()
}

func (m *mutant) Seed(seed, additional []byte) error {
	if m.seed != nil {
		return m.seed(seed, additional)
	}
	return m.toy.Seed(seed, additional)
}

func (m *mutant) Generate(out, additional []byte) error {
	if m.generate != nil {
		return m.generate(out, additional)
	}
	return m.toy.Generate(out, additional)
}

func (m *mutant) Clear() {
	if m.clear != nil {
		m.clear()
		return
	}
	m.toy.Clear()
}

// withInfo makes a mutant that differs in its Info.
func withInfo(f func(*drng.Info)) func(*mutant) {
	return func(m *mutant) {
		m.info = func() drng.Info {
			i := m.toy.Info()
			f(&i)
			return i
		}
	}
}

// What mutants share, and what they should not.
var (
	shared      *toy
	sharedCount uint64
	sink        []byte
)

// mutants are the mistakes that the checks must find. Each names a check that
// must fail; others may fail as well.
var mutants = []struct {
	mistake string
	check   string
	mutate  func(*mutant)
}{
	{"no name", "rule2/Info", withInfo(func(i *drng.Info) { i.Name = "" })},
	{"no strength", "rule2/Info", withInfo(func(i *drng.Info) { i.SecurityStrength = 0 })},
	{"no requests", "rule2/Info", withInfo(func(i *drng.Info) { i.MaxRequest = 0 })},
	{"no reseed interval", "rule2/Info", withInfo(func(i *drng.Info) { i.ReseedInterval = 0 })},
	{"negative length of seeds", "rule2/Info", withInfo(func(i *drng.Info) { i.SeedSize = -1 })},
	{"negative length of additional", "rule2/Info", withInfo(func(i *drng.Info) { i.MaxAdditional = -1 })},
	{"approved, odd strength", "rule2/Info", withInfo(func(i *drng.Info) { i.Approved, i.SecurityStrength = true, 255 })},
	{"approved, long requests", "rule2/Info", withInfo(func(i *drng.Info) { i.Approved, i.MaxRequest = true, 1<<16+1 })},
	{"approved, long interval", "rule2/Info", withInfo(func(i *drng.Info) { i.Approved, i.ReseedInterval = true, 1<<48+1 })},
	{"Info depends on the state", "rule2/Info", func(m *mutant) {
		withInfo(func(i *drng.Info) {
			if m.seeded {
				i.SecurityStrength = 128
			}
		})(m)
	}},
	{"Info depends on the instance", "rule2/Info", func(m *mutant) {
		sharedCount++
		n := sharedCount
		withInfo(func(i *drng.Info) { i.Name = fmt.Sprint("toy", n) })(m)
	}},

	{"no seed is good enough", "rule3/seed", func(m *mutant) {
		m.seed = func(_, _ []byte) error { return errors.New("toy: bad seed") }
	}},
	{"adds something of its own", "rule3/deterministic", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			sharedCount++
			m.key[0] ^= byte(sharedCount)
			return m.toy.Generate(out, additional)
		}
	}},
	{"always the same instance", "rule3/independent", func(m *mutant) {
		if shared == nil {
			shared = newToy()
		}
		m.toy = shared
	}},
	{"state that instances share", "rule3/independent", func(m *mutant) {
		m.seed = func(seed, additional []byte) error {
			sharedCount = uint64(seed[0])
			return m.toy.Seed(seed, additional)
		}
		m.generate = func(out, additional []byte) error {
			m.key[0] ^= byte(sharedCount)
			return m.toy.Generate(out, additional)
		}
	}},
	{"seed cut off", "rule3/seed", func(m *mutant) {
		m.seed = func(seed, additional []byte) error { return m.toy.Seed(seed[:max(len(seed)-1, 0)], additional) }
	}},
	{"a bit of the seed ignored", "rule3/seed", func(m *mutant) {
		m.seed = func(seed, additional []byte) error {
			s := bytes.Clone(seed)
			if len(s) > 17 {
				s[17] |= 0x10
			}
			return m.toy.Seed(s, additional)
		}
	}},
	{"personalization ignored", "rule3/seed", func(m *mutant) {
		m.seed = func(seed, additional []byte) error {
			if !m.seeded {
				additional = additional[:len(additional)/100]
			}
			return m.toy.Seed(seed, additional)
		}
	}},
	{"reseed does nothing", "rule3/reseed", func(m *mutant) {
		m.seed = func(seed, additional []byte) error {
			if m.seeded {
				m.used = 0
				return nil
			}
			return m.toy.Seed(seed, additional)
		}
	}},
	{"additional of reseed ignored", "rule3/reseed", func(m *mutant) {
		m.seed = func(seed, additional []byte) error {
			if m.seeded {
				additional = nil
			}
			return m.toy.Seed(seed, additional)
		}
	}},
	{"reseed starts anew", "rule3/reseed keeps state", func(m *mutant) {
		m.seed = func(seed, additional []byte) error {
			m.toy.Clear()
			return m.toy.Seed(seed, additional)
		}
	}},
	{"seeded by a bad seed", "rule3/first seed refused", func(m *mutant) {
		m.seed = func(seed, additional []byte) error {
			err := m.toy.Seed(seed, additional)
			m.seeded = true
			return err
		}
	}},
	{"half of a bad first seed remains", "rule3/first seed refused", func(m *mutant) {
		m.seed = func(seed, additional []byte) error {
			err := m.toy.Seed(seed, additional)
			if err != nil && len(seed) > 0 {
				m.key[0] ^= seed[0] | 1
			}
			return err
		}
	}},
	{"bad reseed resets the state", "rule3/reseed refused", func(m *mutant) {
		m.seed = func(seed, additional []byte) error {
			err := m.toy.Seed(seed, additional)
			if err != nil {
				clear(m.key[:])
			}
			return err
		}
	}},
	{"long additional is half absorbed", "rule3/reseed refused", func(m *mutant) {
		m.seed = func(seed, additional []byte) error {
			if m.seeded && len(additional) > toyMaxAdditional {
				m.key[0] ^= 1
			}
			return m.toy.Seed(seed, additional)
		}
	}},
	{"takes seeds of other lengths", "rule3/seed length", withInfo(func(i *drng.Info) { i.SeedSize = 64 })},
	{"takes shorter seeds", "rule3/seed length", oneSeedLength(func(n int) bool { return n <= 64 })},
	{"takes longer seeds", "rule3/seed length", oneSeedLength(func(n int) bool { return n >= 64 })},
	{"takes another seed at first", "rule3/seed length", func(m *mutant) {
		oneSeedLength(func(n int) bool { return n == 64 || n == 65 && !m.seeded })(m)
	}},
	{"takes another seed later", "rule3/seed length", func(m *mutant) {
		oneSeedLength(func(n int) bool { return n == 64 || n == 65 && m.seeded })(m)
	}},
	{"cleared by a seed of another length", "rule3/seed length", func(m *mutant) {
		oneSeedLength(func(n int) bool {
			if n != 64 {
				clear(m.key[:])
			}
			return n == 64
		})(m)
	}},
	{"does not take long seeds", "rule3/seed length", func(m *mutant) {
		m.seed = func(seed, additional []byte) error {
			if len(seed) >= 1<<16 {
				return errors.New("toy: seed too long")
			}
			return m.toy.Seed(seed, additional)
		}
	}},
	{"takes one byte less than MaxAdditional", "rule3/additional length", withInfo(func(i *drng.Info) { i.MaxAdditional++ })},
	{"takes one byte more than MaxAdditional", "rule3/additional length", withInfo(func(i *drng.Info) { i.MaxAdditional-- })},
	{"does not take long personalization", "rule3/additional length", withInfo(func(i *drng.Info) { i.MaxAdditional = 0 })},
	{"cuts long personalization off", "rule3/additional length", func(m *mutant) {
		m.seed = func(seed, additional []byte) error {
			return m.toy.Seed(seed, additional[:min(len(additional), toyMaxAdditional)])
		}
	}},

	{"works without a seed", "rule4/not seeded", func(m *mutant) { m.seeded = true }},
	{"out left as it was without a seed", "rule4/not seeded", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			if !m.seeded {
				return drng.ErrNotSeeded
			}
			return m.toy.Generate(out, additional)
		}
	}},
	{"another error without a seed", "rule4/not seeded", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			if err := m.toy.Generate(out, additional); errors.Is(err, drng.ErrNotSeeded) {
				return errors.New(err.Error())
			} else {
				return err
			}
		}
	}},
	{"an empty request needs no seed", "rule4/not seeded", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			if len(out) == 0 && !m.seeded {
				return nil
			}
			return m.toy.Generate(out, additional)
		}
	}},
	{"additional absorbed without a seed", "rule4/not seeded", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			if len(additional) > 0 && !m.seeded {
				m.key[0]++
			}
			return m.toy.Generate(out, additional)
		}
	}},
	{"Clear does nothing", "rule4/cleared", func(m *mutant) { m.clear = func() {} }},
	{"key remains after Clear", "rule4/cleared", func(m *mutant) {
		m.clear = func() { m.seeded = false }
	}},
	{"one byte more than MaxRequest", "rule4/request limit", withInfo(func(i *drng.Info) { i.MaxRequest-- })},
	{"one byte less than MaxRequest", "rule4/request limit", withInfo(func(i *drng.Info) { i.MaxRequest++ })},
	{"out left as it was when too large", "rule4/request limit", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			if len(out) > m.maxRequest {
				clear(out[:m.maxRequest])
				return drng.ErrRequestTooLarge
			}
			return m.toy.Generate(out, additional)
		}
	}},
	{"another error when too large", "rule4/request limit", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			if len(out) > m.maxRequest {
				clear(out)
				return drng.ErrReseedRequired
			}
			return m.toy.Generate(out, additional)
		}
	}},
	{"additional absorbed when too large", "rule4/request limit", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			if len(out) > m.maxRequest && len(additional) > 0 {
				m.key[0] ^= 1
			}
			return m.toy.Generate(out, additional)
		}
	}},
	{"one request more than ReseedInterval", "rule4/reseed interval", withInfo(func(i *drng.Info) { i.ReseedInterval-- })},
	{"one request less than ReseedInterval", "rule4/reseed interval", withInfo(func(i *drng.Info) { i.ReseedInterval++ })},
	{"interval fails once only", "rule4/reseed interval", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			err := m.toy.Generate(out, additional)
			if errors.Is(err, drng.ErrReseedRequired) {
				m.used = 0
			}
			return err
		}
	}},
	{"reseed does not reset the count", "rule4/reseed interval", func(m *mutant) {
		m.seed = func(seed, additional []byte) error {
			used := m.used
			defer func() { m.used = used }()
			return m.toy.Seed(seed, additional)
		}
	}},
	{"out left as it was at the interval", "rule4/reseed interval", func(m *mutant) {
		// A published generator did this: a block counted as done, but not written.
		m.generate = func(out, additional []byte) error {
			if m.used >= m.interval {
				return drng.ErrReseedRequired
			}
			return m.toy.Generate(out, additional)
		}
	}},
	{"state changed at the interval", "rule4/reseed interval", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			err := m.toy.Generate(out, additional)
			if errors.Is(err, drng.ErrReseedRequired) {
				m.key[0]++
			}
			return err
		}
	}},
	{"out left as it was with long additional", "rule4/additional refused", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			if len(additional) > toyMaxAdditional {
				return errors.New("toy: additional too long")
			}
			return m.toy.Generate(out, additional)
		}
	}},
	{"long additional cut off, then refused", "rule4/additional refused", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			if len(additional) > toyMaxAdditional {
				m.toy.Generate(out, additional[:toyMaxAdditional])
			}
			return m.toy.Generate(out, additional)
		}
	}},
	{"cuts long additional off", "rule4/additional length", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			return m.toy.Generate(out, additional[:min(len(additional), toyMaxAdditional)])
		}
	}},
	{"out left as it was with additional above the limit", "rule4/additional length", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			if len(additional) == toyMaxAdditional+1 {
				return errors.New("toy: additional too long")
			}
			return m.toy.Generate(out, additional)
		}
	}},
	{"state changed by additional above the limit", "rule4/additional length", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			if len(additional) == toyMaxAdditional+1 {
				m.key[0]++
			}
			return m.toy.Generate(out, additional)
		}
	}},
	{"does not take MaxAdditional", "rule4/additional length", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			if len(additional) == toyMaxAdditional {
				clear(out)
				return errors.New("toy: additional too long")
			}
			return m.toy.Generate(out, additional)
		}
	}},

	{"state never changes", "rule5/no repetition", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			key := m.key
			defer func() { m.key = key }()
			return m.toy.Generate(out, additional)
		}
	}},
	{"a cycle of 100 requests", "rule5/no repetition", func(m *mutant) {
		var first [sha256.Size]byte
		m.generate = func(out, additional []byte) error {
			switch m.used % 100 {
			case 0:
				first = m.key
			case 99:
				m.key = first
			}
			return m.toy.Generate(out, additional)
		}
	}},
	{"a run of zeros", "rule5/no repetition", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			err := m.toy.Generate(out, additional)
			if len(out) > 100 {
				clear(out[64:96])
			}
			return err
		}
	}},

	{"XORs onto out", "rule6/overwrites", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			before := bytes.Clone(out)
			if err := m.toy.Generate(out, additional); err != nil {
				return err
			}
			for i, b := range before {
				out[i] ^= b
			}
			return nil
		}
	}},
	{"the last byte of a length is not written", "rule6/overwrites", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			if len(out) == 257 {
				out = out[:256]
			}
			return m.toy.Generate(out, additional)
		}
	}},
	{"a long out is not written", "rule6/overwrites", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			if len(out) == 4096 {
				return nil
			}
			return m.toy.Generate(out, additional)
		}
	}},
	{"whole blocks only", "rule6/stays inside", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			if len(out)%32 != 0 && cap(out)-len(out) >= 32 {
				out = out[:(len(out)+31)/32*32]
			}
			return m.toy.Generate(out, additional)
		}
	}},
	{"writes in front of additional is read", "rule6/same memory", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			if m.check(len(out), additional) == nil {
				clear(out)
			}
			return m.toy.Generate(out, additional)
		}
	}},
	{"additional read again after out was written", "rule6/same memory", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			if err := m.toy.Generate(out, additional); err != nil {
				return err
			}
			copy(m.key[:], m.hash(1<<60, additional))
			return nil
		}
	}},
	{"wipes the seed", "rule6/reads only", func(m *mutant) {
		m.seed = func(seed, additional []byte) error {
			defer clear(seed)
			return m.toy.Seed(seed, additional)
		}
	}},
	{"wipes the personalization", "rule6/reads only", func(m *mutant) {
		m.seed = func(seed, additional []byte) error {
			defer clear(additional)
			return m.toy.Seed(seed, additional)
		}
	}},
	{"wipes the seed of a reseed", "rule6/reads only", func(m *mutant) {
		m.seed = func(seed, additional []byte) error {
			if m.seeded {
				defer clear(seed)
			}
			return m.toy.Seed(seed, additional)
		}
	}},
	{"wipes the additional input", "rule6/reads only", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			err := m.toy.Generate(out, additional)
			if len(out) > 0 && len(additional) > 0 && &out[0] != &additional[0] {
				clear(additional)
			}
			return err
		}
	}},
	{"keeps the seed", "rule6/keeps nothing", func(m *mutant) {
		var kept []byte
		m.seed = func(seed, additional []byte) error {
			kept = seed
			return m.toy.Seed(seed, additional)
		}
		m.generate = func(out, additional []byte) error {
			m.key[0] ^= kept[0]
			return m.toy.Generate(out, additional)
		}
	}},
	{"keeps the additional input of a reseed", "rule6/keeps nothing", keepAdditional(false)},
	{"keeps the additional input of a request", "rule6/keeps nothing", keepAdditional(true)},
	{"keeps out", "rule6/keeps nothing", func(m *mutant) {
		var kept []byte
		m.generate = func(out, additional []byte) error {
			if len(kept) > 0 {
				m.key[0] ^= kept[0]
			}
			kept = out
			return m.toy.Generate(out, additional)
		}
	}},

	{"Generate allocates", "rule7/Generate", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			sink = make([]byte, len(out)+1)
			return m.toy.Generate(out, additional)
		}
	}},
	{"Generate allocates for additional", "rule7/Generate", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			if len(additional) > 0 {
				sink = bytes.Clone(additional)
			}
			return m.toy.Generate(out, additional)
		}
	}},
	{"Generate allocates for long requests", "rule7/Generate", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			if len(out) > 256 {
				sink = make([]byte, len(out))
			}
			return m.toy.Generate(out, additional)
		}
	}},
	{"Seed allocates", "rule7/Seed", func(m *mutant) {
		m.seed = func(seed, additional []byte) error {
			sink = bytes.Clone(seed)
			return m.toy.Seed(seed, additional)
		}
	}},

	{"Clear without a seed seeds", "rule8/Clear", func(m *mutant) {
		m.clear = func() { m.seeded = !m.seeded }
	}},
	{"a second Clear panics", "rule8/Clear", func(m *mutant) {
		m.clear = func() {
			if !m.seeded {
				panic("toy: not seeded")
			}
			m.toy.Clear()
		}
	}},
	{"the count remains after Clear", "rule8/Seed after Clear", func(m *mutant) {
		var requests byte
		m.generate = func(out, additional []byte) error {
			requests++
			m.key[0] ^= requests
			return m.toy.Generate(out, additional)
		}
	}},

	{"additional ignored", "interface/additional", func(m *mutant) {
		m.generate = func(out, additional []byte) error { return m.toy.Generate(out, nil) }
	}},
	{"additional only for the next request", "interface/additional", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			if err := m.toy.Generate(out, nil); err != nil || len(additional) == 0 {
				return err
			}
			copy(m.key[:], m.hash(1<<62, additional))
			return nil
		}
	}},
	{"additional only for this request", "interface/additional", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			key := m.key
			err := m.toy.Generate(out, additional)
			if err == nil && len(additional) > 0 {
				m.key = key
				copy(m.key[:], m.hash(1<<60))
			}
			return err
		}
	}},
	{"empty is not nil, in Seed", "interface/no additional", func(m *mutant) {
		m.seed = func(seed, additional []byte) error {
			if err := m.toy.Seed(seed, additional); err != nil {
				return err
			}
			if additional != nil {
				m.key[0]++
			}
			return nil
		}
	}},
	{"empty is not nil, in Generate", "interface/no additional", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			if additional != nil {
				m.key[0]++
			}
			return m.toy.Generate(out, additional)
		}
	}},
	{"no empty requests", "interface/no output", func(m *mutant) {
		m.generate = func(out, additional []byte) error {
			if len(out) == 0 && m.seeded {
				return errors.New("toy: nothing to do")
			}
			return m.toy.Generate(out, additional)
		}
	}},
}

// oneSeedLength makes a mutant that says that its seeds have 64 bytes, and takes those
// whose length ok admits.
func oneSeedLength(ok func(n int) bool) func(*mutant) {
	return func(m *mutant) {
		withInfo(func(i *drng.Info) { i.SeedSize = 64 })(m)
		m.seed = func(seed, additional []byte) error {
			if !ok(len(seed)) {
				return errors.New("toy: bad length")
			}
			return m.toy.Seed(seed, additional)
		}
	}
}

// keepAdditional makes a mutant that keeps a reference to additional.
func keepAdditional(generate bool) func(*mutant) {
	return func(m *mutant) {
		var kept []byte
		m.seed = func(seed, additional []byte) error {
			if !generate && len(additional) > 0 {
				kept = additional
			}
			return m.toy.Seed(seed, additional)
		}
		m.generate = func(out, additional []byte) error {
			if len(kept) > 0 {
				m.key[0] ^= kept[0]
			}
			if generate && len(additional) > 0 {
				kept = additional
			}
			return m.toy.Generate(out, additional)
		}
	}
}

// A recorder is a tb that remembers why a check stopped.
type recorder struct{ failed, skipped string }

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.failed = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Skipf(format string, args ...any) {
	r.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// record runs one check. A panic is a failure.
func record(check func(*suite), newDRNG func() (drng.DRNG, error)) *recorder {
	r := new(recorder)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				r.failed = fmt.Sprint("panic: ", p)
			}
		}()
		check(newSuite(r, newDRNG))
	}()
	<-done
	return r
}

func TestFindsMistakes(t *testing.T) {
	for _, m := range mutants {
		t.Run(m.mistake, func(t *testing.T) {
			shared, sharedCount = nil, 0
			i := slices.IndexFunc(checks, func(c check) bool { return c.name == m.check })
			if i < 0 {
				t.Fatalf("there is no check %q", m.check)
			}
			if why := notCounted(); why != "" && strings.HasPrefix(m.check, "rule7/") {
				t.Skip("allocations are not counted " + why)
			}
			r := record(checks[i].run, func() (drng.DRNG, error) {
				d := &mutant{toy: newToy()}
				m.mutate(d)
				return d, nil
			})
			if r.failed == "" {
				t.Fatalf("%s passed", m.check)
			}
			if rule, ok := strings.CutPrefix(m.check, "rule"); ok && !strings.HasPrefix(r.failed, "panic: ") {
				rule, _, _ = strings.Cut(rule, "/")
				if !strings.HasPrefix(r.failed, "rule "+rule+": ") {
					t.Errorf("message does not begin with its rule: %s", r.failed)
				}
			}
			t.Log(r.failed)
		})
	}
}

// No check that cannot fail.
func TestEachCheckFindsAMistake(t *testing.T) {
	for _, c := range checks {
		found := false
		for _, m := range mutants {
			found = found || m.check == c.name
		}
		if !found {
			t.Errorf("no mutant is meant for %s", c.name)
		}
	}
}

// The toy passes everything, and so do toys with limits at the edge.
func TestAcceptsGoodOnes(t *testing.T) {
	t.Run("toy", func(t *testing.T) {
		Run(t, func() drng.DRNG { return newToy() })
	})
	t.Run("with error", func(t *testing.T) {
		Run(t, func() (drng.DRNG, error) { return newToy(), nil })
	})
	t.Run("small limits", func(t *testing.T) {
		Run(t, func() drng.DRNG {
			d := newToy()
			d.maxRequest, d.interval = 1, 1
			return d
		})
	})
	additionals, seeds := []int{0, 1, 20, 1 << 14}, []int{32, 40, 48, 128}
	if testing.Short() {
		additionals, seeds = []int{0, 20}, []int{40}
	}
	for _, n := range additionals {
		t.Run(fmt.Sprintf("additional of at most %d bytes", n), func(t *testing.T) {
			Run(t, func() drng.DRNG {
				d := newToy()
				d.maxAdditional = n
				return d
			})
		})
	}
	for _, n := range seeds {
		t.Run(fmt.Sprintf("seed of %d bytes", n), func(t *testing.T) {
			Run(t, func() drng.DRNG {
				d := &mutant{toy: newToy()}
				withInfo(func(i *drng.Info) { i.SeedSize = n })(d)
				d.seed = func(seed, additional []byte) error {
					if len(seed) != n {
						return errors.New("toy: bad length")
					}
					return d.toy.Seed(seed, additional)
				}
				return d
			})
		})
	}
}

func TestSkipsWhatCannotBeReached(t *testing.T) {
	newDRNG := func() (drng.DRNG, error) {
		d := newToy()
		d.maxRequest, d.interval = maxRequest+1, maxInterval+1
		d.maxAdditional = maxAdditional + 1
		return d, nil
	}
	for _, c := range checks {
		r := record(c.run, newDRNG)
		if r.failed != "" {
			t.Errorf("%s: %s", c.name, r.failed)
		}
		want := c.name == "rule4/request limit" || c.name == "rule4/reseed interval" ||
			strings.HasSuffix(c.name, "/additional length") ||
			notCounted() != "" && strings.HasPrefix(c.name, "rule7/")
		if got := r.skipped != ""; got != want {
			t.Errorf("%s: skipped is %v (%s)", c.name, got, r.skipped)
		}
	}
}

func TestConstructorErrors(t *testing.T) {
	errBad := errors.New("bad constructor")
	for _, v := range []struct {
		name string
		new  func() (drng.DRNG, error)
		want string
	}{
		{"error", func() (drng.DRNG, error) { return newToy(), errBad }, "bad constructor"},
		{"nil", func() (drng.DRNG, error) { return nil, nil }, "returned nil"},
		{"no seed length", func() (drng.DRNG, error) {
			d := &mutant{toy: newToy()}
			d.seed = func(seed, _ []byte) error { return fmt.Errorf("not %d bytes", len(seed)) }
			return d, nil
		}, "not 128 bytes"},
	} {
		if r := record(checkInfo, v.new); !strings.Contains(r.failed, v.want) {
			t.Errorf("%s: message %q does not contain %q", v.name, r.failed, v.want)
		}
	}
}

// TestRunReports looks at what a user of Run sees: it runs this test binary
// again, with a generator that is not good.
func TestRunReports(t *testing.T) {
	const env = "DRNGTEST_BROKEN"
	if os.Getenv(env) != "" {
		Run(t, func() drng.DRNG {
			d := &mutant{toy: newToy()}
			d.generate = func(out, additional []byte) error {
				if len(out) == 257 {
					out = out[:256]
				}
				return d.toy.Generate(out, additional)
			}
			return d
		})
		return
	}
	if runtime.GOOS == "js" || runtime.GOOS == "wasip1" {
		t.Skip("no processes on " + runtime.GOOS)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestRunReports$", "-test.v")
	cmd.Env = append(os.Environ(), env+"=1")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("a broken generator: %v, want exit status 1\n%s", err, out)
	}
	for _, want := range []string{
		"--- FAIL: TestRunReports/rule6/overwrites",
		"rule 6: byte 256 of 257",
		"--- PASS: TestRunReports/rule8/Clear",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("output does not contain %q\n%s", want, out)
		}
	}
}
