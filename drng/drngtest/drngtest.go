// Package drngtest checks that an implementation of [drng.DRNG] keeps the rules
// of that interface. It is for the tests of packages that have one.
package drngtest

import (
	"bytes"
	"crypto/fips140"
	"errors"
	"slices"
	"testing"

	"github.com/lrng-go/lrng/drng"
)

// Run checks the generators that newDRNG returns against the numbered rules of
// [drng.DRNG]. Each check is a subtest with the number of the rule in its name.
//
// The function newDRNG is called many times. It returns a new generator each
// time, which has no seed yet. Function literals of both types are accepted; a
// constructor that returns a concrete type is put into one:
//
//	drngtest.Run(t, func() drng.DRNG { return drng.NewChaCha20() })
//
// Seeds have Info().SeedSize bytes, and seeds of other lengths must be refused. If it
// is 0, they have 64 bytes, or 128 if the first Seed does not accept 64, and longer
// ones must be accepted. Additional input has 32 bytes, or Info().MaxAdditional if
// that is less and not 0. One byte more than MaxAdditional must be refused; if it is 0,
// long ones must be accepted.
//
// From outside it cannot be seen whether a generator is used by one goroutine
// at a time (rule 1), resists backtracking (rule 5) or wipes its state (rule 8):
// of rules 5 and 8 Run checks what a user would notice. Nor can it wait for a
// ReseedInterval above 65536 or ask for a MaxRequest above 16 MiB: these checks
// are skipped. An implementation tests such things itself.
//
// Run counts allocations, so it must not be called from a parallel test. Under
// the race detector, and in FIPS 140-3 mode (see rule 7), that check is skipped.
func Run[F func() drng.DRNG | func() (drng.DRNG, error)](t *testing.T, newDRNG F) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			c.run(newSuite(t, constructor(newDRNG)))
		})
	}
}

// constructor gives both types of function the same form.
func constructor[F func() drng.DRNG | func() (drng.DRNG, error)](f F) func() (drng.DRNG, error) {
	switch f := any(f).(type) {
	case func() drng.DRNG:
		return func() (drng.DRNG, error) { return f(), nil }
	case func() (drng.DRNG, error):
		return f
	}
	panic("drngtest: the constraint admits no other type: internal error")
}

// tb is what the checks need of a *testing.T.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
}

type check struct {
	name string
	run  func(*suite)
}

// checks are all checks, in the order of the rules. "interface" stands for what
// the comments on the methods say.
var checks = []check{
	{"rule2/Info", checkInfo},
	{"rule3/deterministic", checkDeterministic},
	{"rule3/independent", checkIndependent},
	{"rule3/seed", checkSeedBits},
	{"rule3/reseed", checkReseedBits},
	{"rule3/reseed keeps state", checkReseedKeepsState},
	{"rule3/first seed refused", checkFirstSeedRefused},
	{"rule3/reseed refused", checkReseedRefused},
	{"rule3/seed length", checkSeedLength},
	{"rule3/additional length", checkSeedAdditionalLength},
	{"rule4/not seeded", checkNotSeeded},
	{"rule4/cleared", checkCleared},
	{"rule4/request limit", checkRequestLimit},
	{"rule4/reseed interval", checkReseedInterval},
	{"rule4/additional refused", checkAdditionalRefused},
	{"rule4/additional length", checkAdditionalLength},
	{"rule5/no repetition", checkNoRepetition},
	{"rule6/overwrites", checkOverwrites},
	{"rule6/stays inside", checkStaysInside},
	{"rule6/same memory", checkSameMemory},
	{"rule6/reads only", checkReadsOnly},
	{"rule6/keeps nothing", checkKeepsNothing},
	{"rule7/Generate", checkGenerateAllocs},
	{"rule7/Seed", checkSeedAllocs},
	{"rule8/Clear", checkClear},
	{"rule8/Seed after Clear", checkSeedAfterClear},
	{"interface/additional", checkAdditional},
	{"interface/no additional", checkNoAdditional},
	{"interface/no output", checkNoOutput},
}

// seedLengths are tried in this order, if Info does not tell the length.
var seedLengths = []int{64, 128}

const (
	maxAdditionalLength = 32
	outputLength        = 32

	// Limits that are not reached if they are higher.
	maxInterval   = 1 << 16
	maxRequest    = 1 << 24
	maxAdditional = 1 << 24
)

// A suite is what a check works with.
type suite struct {
	tb
	newDRNG          func() (drng.DRNG, error)
	seedLength       int
	additionalLength int
}

func newSuite(t tb, newDRNG func() (drng.DRNG, error)) *suite {
	t.Helper()
	s := &suite{tb: t, newDRNG: newDRNG, additionalLength: maxAdditionalLength}
	info := s.fresh().Info()
	if info.MaxAdditional > 0 {
		s.additionalLength = min(s.additionalLength, info.MaxAdditional)
	}
	lengths := seedLengths
	if info.SeedSize > 0 {
		lengths = []int{info.SeedSize}
	}
	var errs []error
	for _, n := range lengths {
		err := s.fresh().Seed(pattern(n, 0), nil)
		if err == nil {
			s.seedLength = n
			return s
		}
		errs = append(errs, err)
	}
	t.Fatalf("rule 3: the first Seed accepts none of the lengths %d: %v", lengths, errors.Join(errs...))
	return nil
}

// fresh returns a new generator without a seed.
func (s *suite) fresh() drng.DRNG {
	s.Helper()
	d, err := s.newDRNG()
	if err != nil {
		s.Fatalf("newDRNG: %v", err)
	}
	if d == nil {
		s.Fatalf("newDRNG returned nil")
	}
	return d
}

// seed returns one of 256 seeds.
func (s *suite) seed(variant byte) []byte { return pattern(s.seedLength, variant) }

// pattern returns n bytes in which neighbours differ, and which differ from
// those of other variants at every place.
func pattern(n int, variant byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)*0x9d + byte(i>>8)*0x35 + variant + 1
	}
	return b
}

// A generator is a DRNG that was seeded and is expected to work. It reseeds in
// time, for the sake of those with a small interval; as it does so at the same
// place every time, generators with the same history remain twins.
type generator struct {
	*suite
	drng.DRNG
	info  drng.Info
	used  uint64 // requests since the last seed
	spare []byte // the seed to use when one is due
}

// start returns a generator with its first seed.
func (s *suite) start(seed, additional []byte) *generator {
	s.Helper()
	return s.startWith(s.fresh(), seed, additional)
}

// startWith is start for a generator that exists already.
func (s *suite) startWith(d drng.DRNG, seed, additional []byte) *generator {
	s.Helper()
	g := &generator{suite: s, DRNG: d, info: d.Info(), spare: s.seed(0xee)}
	g.reseed(seed, additional)
	return g
}

func (g *generator) reseed(seed, additional []byte) {
	g.Helper()
	if err := g.Seed(seed, additional); err != nil {
		g.Fatalf("rule 3: Seed(%d bytes, %d bytes): %v", len(seed), len(additional), err)
	}
	g.used = 0
}

// fill is one request that must succeed.
func (g *generator) fill(out, additional []byte) {
	g.Helper()
	if g.used == g.info.ReseedInterval {
		g.reseed(g.spare, nil)
	}
	if err := g.Generate(out, additional); err != nil {
		g.Fatalf("rule 4: Generate(%d bytes, %d bytes), request %d since the last seed: %v", len(out), len(additional), g.used+1, err)
	}
	g.used++
}

// read returns the next n bytes, in as few requests as MaxRequest allows.
func (g *generator) read(n int) []byte {
	g.Helper()
	b := make([]byte, n)
	for p := b; len(p) > 0; {
		m := min(len(p), g.info.MaxRequest)
		g.fill(p[:m], nil)
		p = p[m:]
	}
	return b
}

// sizes are the lengths of requests that are tried: all up to 300, and a few at
// powers of two.
func (g *generator) sizes() []int {
	var n []int
	for i := range 301 {
		n = append(n, i)
	}
	for i := 512; i <= 1<<16; i *= 2 {
		n = append(n, i-1, i, i+1)
	}
	return slices.DeleteFunc(n, func(n int) bool { return n > g.info.MaxRequest })
}

// mustMatch holds that two generators are in the same state, as far as the next
// output tells.
func (s *suite) mustMatch(a, b *generator, rule string) {
	s.Helper()
	if x, y := a.read(outputLength), b.read(outputLength); !bytes.Equal(x, y) {
		s.Fatalf("%s: next output is %x, want %x", rule, x, y)
	}
}

// mustRefuse holds that d.Generate fails with want (any error, if nil) and
// clears n bytes of out.
func (s *suite) mustRefuse(d drng.DRNG, n int, additional []byte, want error, rule string) {
	s.Helper()
	out := pattern(n, 0x5a)
	err := d.Generate(out, additional)
	if err == nil {
		s.Fatalf("%s: Generate(%d bytes, %d bytes) succeeded, want %v", rule, n, len(additional), want)
	}
	if want != nil && !errors.Is(err, want) {
		s.Fatalf("%s: Generate(%d bytes, %d bytes): error %q does not wrap %q", rule, n, len(additional), err, want)
	}
	s.mustBeClear(out, rule)
}

func (s *suite) mustBeClear(out []byte, rule string) {
	s.Helper()
	if i := slices.IndexFunc(out, func(b byte) bool { return b != 0 }); i >= 0 {
		s.Fatalf("%s: with the error, byte %d of %d of out is not cleared", rule, i, len(out))
	}
}

// mustDiffer holds that f gives another output for each single-bit change of b,
// and that none of them is one that was seen before.
//
// Two outputs of 32 bytes are equal by accident with probability 2⁻²⁵⁶; for the
// at most 2¹¹ outputs of a check this makes less than 2⁻²³⁴.
func (s *suite) mustDiffer(b []byte, rule string, seen map[string]bool, f func() []byte) {
	s.Helper()
	for bit := -1; bit < 8*len(b); bit++ {
		if bit >= 0 {
			b[bit/8] ^= 1 << (bit % 8)
		}
		out := string(f())
		if bit >= 0 {
			b[bit/8] ^= 1 << (bit % 8)
		}
		switch {
		case seen[out] && bit < 0:
			s.Fatalf("%s: no influence on the output", rule)
		case seen[out]:
			s.Fatalf("%s: bit %d of byte %d has no influence on the output", rule, bit%8, bit/8)
		}
		seen[out] = true
	}
}

func checkInfo(s *suite) {
	d := s.fresh()
	info := d.Info()
	again := func(when string, d drng.DRNG) {
		s.Helper()
		if i := d.Info(); i != info {
			s.Fatalf("rule 2: Info %s is %+v, before it was %+v", when, i, info)
		}
	}
	again("in the second call", d)
	g := s.startWith(d, s.seed(0), nil)
	again("after Seed", d)
	g.fill(make([]byte, 1), nil)
	again("after Generate", d)
	d.Clear()
	again("after Clear", d)
	again("of another generator", s.fresh())

	if info.Name == "" {
		s.Fatalf("rule 2: Info.Name is empty")
	}
	if info.SecurityStrength <= 0 {
		s.Fatalf("rule 2: Info.SecurityStrength is %d bits", info.SecurityStrength)
	}
	if info.MaxRequest <= 0 {
		s.Fatalf("rule 2: Info.MaxRequest is %d bytes", info.MaxRequest)
	}
	if info.ReseedInterval == 0 {
		s.Fatalf("rule 2: Info.ReseedInterval is 0 requests")
	}
	if info.SeedSize < 0 || info.MaxAdditional < 0 {
		s.Fatalf("rule 2: Info.SeedSize is %d bytes, Info.MaxAdditional %d", info.SeedSize, info.MaxAdditional)
	}
	if info.Approved {
		// SP 800-90A Rev. 1, Section 8.4 and Tables 2 and 3.
		if !slices.Contains([]int{112, 128, 192, 256}, info.SecurityStrength) {
			s.Fatalf("rule 2: Info.SecurityStrength of an approved mechanism is %d bits", info.SecurityStrength)
		}
		if info.MaxRequest > 1<<16 {
			s.Fatalf("rule 2: Info.MaxRequest of an approved mechanism is %d bytes, at most 65536", info.MaxRequest)
		}
		if info.ReseedInterval > 1<<48 {
			s.Fatalf("rule 2: Info.ReseedInterval of an approved mechanism is %d requests, at most 2^48", info.ReseedInterval)
		}
	}
}

// steps is a fixed history of n steps, of which it returns all output.
func (g *generator) steps(from, to int) []byte {
	g.Helper()
	var out []byte
	for i := from; i < to; i++ {
		n := min(7*i, g.info.MaxRequest)
		p := make([]byte, n)
		switch {
		case i%5 == 4:
			g.reseed(g.seed(byte(i)), pattern(i%g.additionalLength, byte(i)))
		case i%2 == 0:
			g.fill(p, nil)
		default:
			g.fill(p, pattern(1+i%g.additionalLength, byte(i)))
		}
		out = append(out, p...)
	}
	return out
}

func checkDeterministic(s *suite) {
	const steps = 40
	additional := pattern(s.additionalLength, 1)
	a := s.start(s.seed(0), additional).steps(0, steps)
	b := s.start(s.seed(0), additional).steps(0, steps)
	if !bytes.Equal(a, b) {
		s.Fatalf("rule 3: two generators with the same inputs give different outputs")
	}
}

func checkIndependent(s *suite) {
	const steps = 40
	a, b := s.fresh(), s.fresh()
	if err := a.Seed(s.seed(0), nil); err != nil {
		s.Fatalf("rule 3: Seed(%d bytes, 0 bytes): %v", s.seedLength, err)
	}
	s.mustRefuse(b, outputLength, nil, drng.ErrNotSeeded, "rule 3: after Seed of another generator")

	want := s.start(s.seed(1), nil).steps(0, steps)
	g, other := s.start(s.seed(1), nil), s.start(s.seed(2), nil)
	var got []byte
	for i := range steps {
		got = append(got, g.steps(i, i+1)...)
		other.steps(i, i+1)
	}
	if !bytes.Equal(got, want) {
		s.Fatalf("rule 3: the use of one generator changes the output of another")
	}
}

// checkSeedBits is the check of T2 in the threats of lrng: a seed that is
// written to the wrong place or cut off.
func checkSeedBits(s *suite) {
	seed, additional := s.seed(0), pattern(s.additionalLength, 1)
	seen := map[string]bool{string(s.start(seed, nil).read(outputLength)): true}
	output := func() []byte { return s.start(seed, additional).read(outputLength) }
	s.mustDiffer(additional, "rule 3: additional of the first Seed", seen, output)
	clear(seen)
	s.mustDiffer(seed, "rule 3: seed of the first Seed", seen, output)
}

func checkReseedBits(s *suite) {
	seed, additional := s.seed(1), pattern(s.additionalLength, 1)
	seen := map[string]bool{
		string(s.start(s.seed(0), nil).read(outputLength)): true,
	}
	output := func(additional []byte) []byte {
		g := s.start(s.seed(0), nil)
		g.reseed(seed, additional)
		return g.read(outputLength)
	}
	s.mustDiffer(seed, "rule 3: seed of a later Seed", seen, func() []byte { return output(nil) })
	s.mustDiffer(additional, "rule 3: additional of a later Seed", seen, func() []byte { return output(additional) })
}

func checkReseedKeepsState(s *suite) {
	a, b := s.start(s.seed(0), nil), s.start(s.seed(1), nil)
	a.reseed(s.seed(2), nil)
	b.reseed(s.seed(2), nil)
	if bytes.Equal(a.read(outputLength), b.read(outputLength)) {
		s.Fatalf("rule 3: a later Seed replaces the state: what the first one put in is lost")
	}
}

// badSeeds calls f with seeds and additional inputs of many lengths, of which
// mechanisms refuse some.
func (s *suite) badSeeds(f func(seed, additional []byte)) {
	for n := range 2*s.seedLength + 2 {
		f(pattern(n, 3), nil)
	}
	for _, n := range longAdditional {
		f(s.seed(3), pattern(n, 4))
		f(nil, pattern(n, 4))
	}
}

// longAdditional are lengths that mechanisms with a limit are likely to refuse.
var longAdditional = []int{33, 41, 49, 85, 1 << 10, 1 << 17}

func checkFirstSeedRefused(s *suite) {
	s.badSeeds(func(seed, additional []byte) {
		d := s.fresh()
		if d.Seed(seed, additional) == nil {
			return
		}
		const rule = "rule 3: after an error of the first Seed"
		s.mustRefuse(d, outputLength, nil, drng.ErrNotSeeded, rule)
		s.mustMatch(s.startWith(d, s.seed(0), nil), s.start(s.seed(0), nil), rule)
	})
}

func checkReseedRefused(s *suite) {
	s.badSeeds(func(seed, additional []byte) {
		g := s.start(s.seed(0), nil)
		if g.Seed(seed, additional) == nil {
			return
		}
		s.mustMatch(g, s.start(s.seed(0), nil), "rule 3: after an error of a later Seed")
	})
}

// longSeeds are lengths that a mechanism accepts whose Info().SeedSize is 0.
var longSeeds = []int{129, 1000, 1 << 16}

func checkSeedLength(s *suite) {
	if s.fresh().Info().SeedSize == 0 {
		for _, n := range longSeeds {
			s.start(pattern(n, 3), nil).reseed(pattern(n, 4), nil)
		}
		return
	}
	for _, n := range []int{s.seedLength - 1, s.seedLength + 1, 2 * s.seedLength} {
		s.mustRefuseSeed(pattern(n, 3), nil, "rule 3: a seed not of the length Info().SeedSize")
	}
}

func checkSeedAdditionalLength(s *suite) {
	n := s.maxAdditional()
	s.start(s.seed(0), pattern(n, 3)).reseed(s.seed(1), pattern(n, 4))
	if s.fresh().Info().MaxAdditional == 0 {
		return
	}
	for _, n := range []int{n + 1, n + 2, 2*n + 1} {
		s.mustRefuseSeed(s.seed(0), pattern(n, 3), "rule 3: additional of Seed longer than Info().MaxAdditional")
	}
}

// maxAdditional returns the greatest length of additional input that is accepted, or
// one that all mechanisms without a limit accept.
func (s *suite) maxAdditional() int {
	s.Helper()
	n := s.fresh().Info().MaxAdditional
	if n > maxAdditional {
		s.Skipf("MaxAdditional is %d bytes: too much to try", n)
	}
	if n == 0 {
		n = longAdditional[len(longAdditional)-1]
	}
	return n
}

// mustRefuseSeed holds that the first Seed and a later one fail, and change nothing.
func (s *suite) mustRefuseSeed(seed, additional []byte, rule string) {
	s.Helper()
	d, g := s.fresh(), s.start(s.seed(0), nil)
	if d.Seed(seed, additional) == nil {
		s.Fatalf("%s: the first Seed(%d bytes, %d bytes) succeeded", rule, len(seed), len(additional))
	}
	s.mustRefuse(d, outputLength, nil, drng.ErrNotSeeded, rule)
	s.mustMatch(s.startWith(d, s.seed(0), nil), s.start(s.seed(0), nil), rule)
	if g.Seed(seed, additional) == nil {
		s.Fatalf("%s: a later Seed(%d bytes, %d bytes) succeeded", rule, len(seed), len(additional))
	}
	s.mustMatch(g, s.start(s.seed(0), nil), rule)
}

// mustNotBeSeeded holds that d behaves as one without a seed, and is as good as
// new when it gets one.
func (s *suite) mustNotBeSeeded(d drng.DRNG, rule string) {
	s.Helper()
	for _, n := range []int{0, 1, outputLength, 300} {
		s.mustRefuse(d, n, nil, drng.ErrNotSeeded, rule)
		s.mustRefuse(d, n, pattern(s.additionalLength, 1), drng.ErrNotSeeded, rule)
	}
	s.mustMatch(s.startWith(d, s.seed(0), nil), s.start(s.seed(0), nil), rule+", then seeded")
}

func checkNotSeeded(s *suite) {
	s.mustNotBeSeeded(s.fresh(), "rule 4: before Seed")
}

func checkCleared(s *suite) {
	g := s.start(s.seed(1), nil)
	g.read(outputLength)
	g.Clear()
	s.mustNotBeSeeded(g.DRNG, "rule 4: after Clear")
}

func checkRequestLimit(s *suite) {
	g, twin := s.start(s.seed(0), nil), s.start(s.seed(0), nil)
	limit := g.info.MaxRequest
	if limit > maxRequest {
		s.Skipf("MaxRequest is %d bytes: too much to try", limit)
	}
	const rule = "rule 4: more than MaxRequest"
	for _, n := range []int{limit + 1, limit + 2, 2*limit + 1} {
		s.mustRefuse(g.DRNG, n, nil, drng.ErrRequestTooLarge, rule)
		s.mustRefuse(g.DRNG, n, pattern(s.additionalLength, 1), drng.ErrRequestTooLarge, rule)
	}
	s.mustMatch(g, twin, rule+": state changed")
	g.fill(make([]byte, limit), nil)
}

func checkReseedInterval(s *suite) {
	g, twin := s.start(s.seed(0), nil), s.start(s.seed(0), nil)
	if g.info.ReseedInterval > maxInterval {
		s.Skipf("ReseedInterval is %d requests: too many to try", g.info.ReseedInterval)
	}
	const rule = "rule 4: at ReseedInterval"
	n := min(outputLength, g.info.MaxRequest)
	out := make([]byte, 1)
	for round := range byte(3) {
		for range g.info.ReseedInterval {
			g.fill(out, nil)
			twin.fill(out, nil)
		}
		for range 2 {
			s.mustRefuse(g.DRNG, n, nil, drng.ErrReseedRequired, rule)
			s.mustRefuse(g.DRNG, n, pattern(s.additionalLength, 1), drng.ErrReseedRequired, rule)
			s.mustRefuse(g.DRNG, 0, nil, drng.ErrReseedRequired, rule)
		}
		g.reseed(s.seed(round), nil)
		twin.reseed(s.seed(round), nil)
	}
	s.mustMatch(g, twin, rule+": state changed")
}

func checkAdditionalRefused(s *suite) {
	g, twin := s.start(s.seed(0), nil), s.start(s.seed(0), nil)
	const rule = "rule 4: after an error about additional"
	for _, n := range longAdditional {
		out := pattern(outputLength, 0x5a)
		if g.Generate(out, pattern(n, 1)) == nil {
			g, twin = s.start(s.seed(0), nil), s.start(s.seed(0), nil)
			continue
		}
		s.mustBeClear(out, rule)
		s.mustMatch(g, twin, rule)
	}
}

func checkAdditionalLength(s *suite) {
	longest := s.maxAdditional()
	g, twin := s.start(s.seed(0), nil), s.start(s.seed(0), nil)
	n := min(outputLength, g.info.MaxRequest)
	if g.info.MaxAdditional != 0 {
		const rule = "rule 4: additional longer than Info().MaxAdditional"
		for _, k := range []int{longest + 1, longest + 2, 2*longest + 1} {
			s.mustRefuse(g.DRNG, n, pattern(k, 1), nil, rule)
		}
		s.mustMatch(g, twin, rule+": state changed")
	}
	g.fill(make([]byte, n), pattern(longest, 1))
}

// checkNoRepetition finds generators that stand still or go in circles. All
// windows of 16 bytes in 2¹⁴ bytes of output differ; by accident two are equal
// with probability below 2¹⁴ · 2¹⁴ · 2⁻¹²⁸ = 2⁻¹⁰⁰.
func checkNoRepetition(s *suite) {
	g := s.start(s.seed(0), nil)
	const window = 16
	var all []byte
	for i := 0; len(all) < 1<<14; i++ {
		all = append(all, g.read(1+i%129)...)
	}
	seen := make(map[[window]byte]int, len(all))
	for i := range len(all) - window + 1 {
		w := [window]byte(all[i:])
		if j, ok := seen[w]; ok {
			s.Fatalf("rule 5: the %d bytes at %d of the output are those at %d", window, i, j)
		}
		seen[w] = i
	}
}

func checkOverwrites(s *suite) {
	a, b, c := s.start(s.seed(0), nil), s.start(s.seed(0), nil), s.start(s.seed(0), nil)
	for _, n := range a.sizes() {
		x, y, z := make([]byte, n), bytes.Repeat([]byte{0xff}, n), pattern(n, 0x5a)
		a.fill(x, nil)
		b.fill(y, nil)
		c.fill(z, nil)
		for i := range n {
			if x[i] != y[i] || x[i] != z[i] {
				s.Fatalf("rule 6: byte %d of %d of the output depends on what was in out", i, n)
			}
		}
	}
}

func checkStaysInside(s *suite) {
	g := s.start(s.seed(0), nil)
	const margin, canary = 64, 0xc5
	for _, n := range g.sizes() {
		b := bytes.Repeat([]byte{canary}, n+2*margin)
		g.fill(b[margin:margin+n], nil)
		for i := range b {
			if (i < margin || i >= margin+n) && b[i] != canary {
				s.Fatalf("rule 6: Generate of %d bytes wrote outside of out, at %d", n, i-margin)
			}
		}
	}
}

func checkSameMemory(s *suite) {
	for _, v := range []struct{ out, additional int }{
		{s.additionalLength, s.additionalLength},
		{s.additionalLength / 2, s.additionalLength},
		{1, s.additionalLength},
		{300, s.additionalLength},
		{300, 1},
	} {
		g, twin := s.start(s.seed(0), nil), s.start(s.seed(0), nil)
		if v.out > g.info.MaxRequest {
			continue
		}
		b := pattern(max(v.out, v.additional), 1)
		g.fill(b[:v.out], b[:v.additional])
		want := make([]byte, v.out)
		twin.fill(want, pattern(v.additional, 1))
		if !bytes.Equal(b[:v.out], want) {
			s.Fatalf("rule 6: %d bytes of out and %d of additional in the same memory: output differs from that with memory apart", v.out, v.additional)
		}
		s.mustMatch(g, twin, "rule 6: after a request with out and additional in the same memory")
	}
}

func checkReadsOnly(s *suite) {
	seed, additional := s.seed(0), pattern(s.additionalLength, 1)
	same := func(when string) {
		s.Helper()
		if !bytes.Equal(seed, s.seed(0)) {
			s.Fatalf("rule 6: %s modifies seed", when)
		}
		if !bytes.Equal(additional, pattern(s.additionalLength, 1)) {
			s.Fatalf("rule 6: %s modifies additional", when)
		}
	}
	g := s.start(seed, additional)
	same("the first Seed")
	g.reseed(seed, additional)
	same("a later Seed")
	g.fill(make([]byte, min(outputLength, g.info.MaxRequest)), additional)
	same("Generate")
}

func checkKeepsNothing(s *suite) {
	mem := make([]byte, max(s.seedLength, s.additionalLength))
	spoil := func() {
		for i := range mem {
			mem[i] ^= 0xff
		}
	}
	use := func(b []byte) []byte { return mem[:copy(mem, b)] }
	const rule = "rule 6: after Seed and Generate, memory of the caller was changed"

	g := s.start(use(s.seed(0)), nil)
	spoil()
	twin := s.start(s.seed(0), nil)
	s.mustMatch(g, twin, rule)

	g.reseed(s.seed(1), use(pattern(s.additionalLength, 1)))
	spoil()
	twin.reseed(s.seed(1), pattern(s.additionalLength, 1))
	s.mustMatch(g, twin, rule)

	g.fill(nil, use(pattern(s.additionalLength, 1)))
	spoil()
	twin.fill(nil, pattern(s.additionalLength, 1))
	s.mustMatch(g, twin, rule)

	g.fill(mem[:1], nil)
	spoil()
	twin.fill(make([]byte, 1), nil)
	s.mustMatch(g, twin, rule)
}

// notCounted returns when allocations are not counted, if that is now, or "".
func notCounted() string {
	switch {
	case raceDetector:
		return "under the race detector"
	case fips140.Enabled():
		return "in FIPS 140-3 mode"
	}
	return ""
}

// mustNotAllocate counts what f allocates.
func (s *suite) mustNotAllocate(what string, f func()) {
	s.Helper()
	if why := notCounted(); why != "" {
		s.Skipf("allocations are not counted %s", why)
	}
	if n := testing.AllocsPerRun(100, f); n != 0 {
		s.Fatalf("rule 7: %s allocates %v times", what, n)
	}
}

func checkGenerateAllocs(s *suite) {
	g := s.start(s.seed(0), nil)
	additional := pattern(s.additionalLength, 1)
	for _, n := range []int{0, 1, outputLength, 300, 4096} {
		out := make([]byte, min(n, g.info.MaxRequest))
		s.mustNotAllocate("Generate", func() { g.fill(out, nil) })
		s.mustNotAllocate("Generate with additional", func() { g.fill(out, additional) })
	}
}

func checkSeedAllocs(s *suite) {
	g := s.start(s.seed(0), nil)
	seed, additional := s.seed(1), pattern(s.additionalLength, 1)
	s.mustNotAllocate("a later Seed", func() { g.reseed(seed, nil) })
	s.mustNotAllocate("a later Seed with additional", func() { g.reseed(seed, additional) })
}

func checkClear(s *suite) {
	d := s.fresh()
	d.Clear()
	d.Clear()
	s.mustNotBeSeeded(d, "rule 8: after Clear of a generator without seed")

	d = s.start(s.seed(1), nil).DRNG
	d.Clear()
	d.Clear()
	s.mustNotBeSeeded(d, "rule 8: after a second Clear")
}

func checkSeedAfterClear(s *suite) {
	g := s.start(s.seed(1), pattern(s.additionalLength, 1))
	g.steps(0, 12)
	g.Clear()
	got := s.startWith(g.DRNG, s.seed(0), nil).steps(0, 12)
	if !bytes.Equal(got, s.start(s.seed(0), nil).steps(0, 12)) {
		s.Fatalf("rule 8: after Clear and Seed, output is not that of a new generator")
	}
}

func checkAdditional(s *suite) {
	additional := pattern(s.additionalLength, 1)
	output := func(additional []byte) []byte {
		g := s.start(s.seed(0), nil)
		g.fill(make([]byte, 1), additional)
		return g.read(outputLength)
	}
	seen := map[string]bool{string(output(nil)): true}
	s.mustDiffer(additional, "additional of Generate, in the requests that follow", seen,
		func() []byte { return output(additional) })

	clear(seen)
	n := min(outputLength, s.fresh().Info().MaxRequest)
	if n < 16 {
		return // accidents would be too likely
	}
	output = func(additional []byte) []byte {
		b := make([]byte, n)
		s.start(s.seed(0), nil).fill(b, additional)
		return b
	}
	seen[string(output(nil))] = true
	s.mustDiffer(additional, "additional of Generate", seen, func() []byte { return output(additional) })
}

func checkNoAdditional(s *suite) {
	a, b := s.start(s.seed(0), nil), s.start(s.seed(0), []byte{})
	s.mustMatch(a, b, "first Seed with nil and empty additional")
	a.reseed(s.seed(1), nil)
	b.reseed(s.seed(1), []byte{})
	s.mustMatch(a, b, "later Seed with nil and empty additional")
	n := min(outputLength, a.info.MaxRequest)
	x, y := make([]byte, n), make([]byte, n)
	a.fill(x, nil)
	b.fill(y, []byte{})
	if !bytes.Equal(x, y) {
		s.Fatalf("Generate with nil and empty additional: outputs differ")
	}
	s.mustMatch(a, b, "Generate with nil and empty additional")
}

func checkNoOutput(s *suite) {
	a, b := s.start(s.seed(0), nil), s.start(s.seed(0), nil)
	a.fill(nil, nil)
	b.fill([]byte{}, nil)
	s.mustMatch(a, b, "Generate with nil and empty out")
}
