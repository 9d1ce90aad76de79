package lrng_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
	"github.com/lrng-go/lrng/seeding"
)

// A promise of LRNG: "All permutations of options always lead to a secure random bit
// generation". Each combination of options is either refused by New, which says why, or
// keeps what the documentation promises: see trial.examine. Tried are combinations in which
// each pair of choices occurs, and with LRNG_LONG=5m, for so long, others at random; in
// a process with each setting of GODEBUG=fips140. With -short it is a quarter of them in
// this process alone.
func TestPermutations(t *testing.T) {
	if !testing.Short() {
		wait := inOtherFIPSModes(t, "off", "on", "only")
		defer wait()
	}
	rnd := rand.New(rand.NewPCG(4, 1))
	outputs := make(map[[16]byte]bool) // of all generators
	accepted, refused, mute := 0, 0, 0
	try := func(pick []int) {
		tr := newTrial(rnd, pick, outputs)
		synctest.Test(t, func(t *testing.T) {
			tr.t = t
			defer func() {
				if t.Failed() {
					t.Logf("that was %v", tr)
				}
			}()
			switch {
			case !tr.make():
				refused++
			case tr.live():
				accepted++
				tr.examine()
			default:
				mute++
				tr.mute()
			}
		})
	}
	picks := coverPairs(rnd)
	// A part of them is enough for the race detector, emulators, and processes beside this.
	rnd.Shuffle(len(picks), func(i, j int) { picks[i], picks[j] = picks[j], picks[i] })
	if raceEnabled || testing.Short() {
		picks = picks[:len(picks)/4]
	} else if os.Getenv(fipsModeEnv) != "" {
		picks = picks[:len(picks)/2]
	}
	for _, pick := range picks {
		try(pick)
	}
	for end := time.Now().Add(longTests()); time.Now().Before(end); {
		try(randomPick(rnd))
	}
	t.Logf("fips140=%s: %d combinations; %d accepted, %d that can never be seeded, %d refused", processFIPS(), len(picks), accepted, mute, refused)
	if accepted < len(picks)/10 || refused < len(picks)/10 {
		t.Error("that is not what the choices are meant for")
	}
}

// A trial is one combination of choices, with what the oracle needs to know of them.
type trial struct {
	t       *testing.T
	rnd     *rand.Rand
	outputs map[[16]byte]bool
	pick    []int // a choice in each dimension

	c      lrng.Config
	mech   drng.Info
	rules  ruleSet
	infos  []es.Info // of the sources; the last ones are that which fills the pool, and the pool
	delay  time.Duration
	margin int // of a pool that the caller brings; -1: there is none
	refuse string

	r     *lrng.RNG
	wells []*well
	flow  atomic.Bool // the sources yield what they are asked for
	made  []drng.DRNG
	given map[[16]byte]bool // seeds for others
	bytes uint64            // that were read from shards
}

// A choice is a value of a field of Config.
type choice struct {
	name string
	set  func(*trial)
}

var dimensions = []struct {
	field   string
	choices []choice
}{
	{"DRNG", mechanismChoices()},
	{"Conditioner", set(func(tr *trial, c conditioner.Conditioner) { tr.c.Conditioner = c }, append(conditioners, nil)...)},
	{"Strategy", set(func(tr *trial, s ruleSet) { tr.rules = s }, 0, ruleDefault, ruleOversample, ruleNTG1, ruleOversample|ruleNTG1)},
	{"Sources", []choice{
		{"as default", sources(-1, 0, healthy("jitter", 384), healthy("cpu", 12), es.Info{Name: "os", MaxEntropy: 512})},
		{"one weak", sources(-1, 0, healthy("weak", 8))},
		{"many", sources(-1, 0, manySources()...)},
		{"uncredited", sources(-1, 0, healthy("a", 0), es.Info{Name: "b"})},
		{"own pool", sources(0, 0, healthy("a", 256))},
		{"own oversampled pool", sources(64, 0, healthy("a", 256))},
		{"slow", sources(-1, 3*time.Second, es.Info{Name: "slow", MaxEntropy: 512, Health: true, Slow: true}, healthy("fast", 512))},
	}},
	{"ReseedRequests", set(func(tr *trial, n uint64) { tr.c.ReseedRequests = n }, 0, 1, 3)},
	{"ReseedBits", set(func(tr *trial, n uint64) { tr.c.ReseedBits = n }, 0, 256, 1000)},
	{"MaxWithoutReseed", set(func(tr *trial, n uint64) { tr.c.MaxWithoutReseed = n }, 0, 1, 5)},
	{"ReseedInterval", set(func(tr *trial, d time.Duration) { tr.c.ReseedInterval = d }, 0, -1, time.Second, math.MaxInt64)},
	{"FIPS", set(func(tr *trial, m lrng.FIPSMode) { tr.c.FIPS = m }, lrng.FIPSAuto, lrng.FIPSRequired, lrng.FIPSOff)},
	{"OutputBuffer", set(func(tr *trial, n int) { tr.c.OutputBuffer = n }, 0, -1, 100, 5000)},
	{"Shards", set(func(tr *trial, n int) { tr.c.Shards = n }, 1, 3)},
	{"Hardened", set(func(tr *trial, on bool) { tr.c.Hardened = on }, false, true)},
	{"Memory", set(func(tr *trial, g lrng.MemoryGrade) { tr.c.Memory = g }, lrng.MemoryAny, lrng.MemoryLocked, lrng.MemorySecret)},
	// One of the choices that New refuses, in a few of the combinations.
	{"refused", []choice{
		{"nothing", func(tr *trial) {}},
		{"Shards", func(tr *trial) { tr.refuse, tr.c.Shards = "Shards", -1 }},
		{"OutputBuffer", func(tr *trial) { tr.refuse, tr.c.OutputBuffer = "OutputBuffer", 1<<16+1 }},
		{"ReseedRequests", func(tr *trial) { tr.refuse, tr.c.ReseedRequests = "ReseedRequests", 1<<48+1 }},
		{"ReseedBits", func(tr *trial) { tr.refuse, tr.c.ReseedBits = "ReseedBits", 255 }},
		{"MaxWithoutReseed", func(tr *trial) { tr.refuse, tr.c.MaxWithoutReseed = "MaxWithoutReseed", 1<<48+1 }},
		{"Personalization", func(tr *trial) { tr.refuse, tr.c.Personalization = "Personalization", make([]byte, 1<<20+1) }},
		{"FIPS", func(tr *trial) { tr.refuse, tr.c.FIPS = "FIPS", 3 }},
		{"Memory", func(tr *trial) { tr.refuse, tr.c.Memory = "Memory", 3 }},
		{"twins", func(tr *trial) { tr.refuse, tr.infos = "Sources[1]", []es.Info{healthy("a", 1), healthy("a", 1)} }},
	}},
}

func mechanismChoices() []choice {
	choices := []choice{{"default", func(tr *trial) {}}}
	all := mechanisms()
	all["foreign"] = func() (drng.DRNG, error) {
		d, err := drng.NewCTR(drng.CTRConfig{})
		return &strictDRNG{DRNG: d}, err
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		info := infoOf(all[name])
		choices = append(choices, choice{name, func(tr *trial) { tr.c.DRNG, tr.mech = all[name], info }})
	}
	return choices
}

func infoOf(f func() (drng.DRNG, error)) drng.Info {
	d, err := f()
	if err != nil {
		panic(err)
	}
	return d.Info()
}

// set returns choices that are plain values of one field.
func set[T any](f func(*trial, T), values ...T) (choices []choice) {
	for _, v := range values {
		choices = append(choices, choice{fmt.Sprint(v), func(tr *trial) { f(tr, v) }})
	}
	return choices
}

func healthy(name string, most int) es.Info {
	return es.Info{Name: name, MaxEntropy: most, Health: true}
}

// manySources are many with little each, two of which share a boundary.
func manySources() []es.Info {
	infos := []es.Info{
		{Name: "a", MaxEntropy: 64, Health: true, Boundary: "shared"},
		{Name: "b", MaxEntropy: 64, Health: true, Boundary: "shared"},
	}
	for i := range 18 {
		infos = append(infos, es.Info{Name: fmt.Sprint(i), MaxEntropy: 64, Health: i%2 == 0})
	}
	return infos
}

func sources(margin int, delay time.Duration, infos ...es.Info) func(*trial) {
	return func(tr *trial) { tr.margin, tr.delay, tr.infos = margin, delay, slices.Clone(infos) }
}

func randomPick(rnd *rand.Rand) []int {
	pick := make([]int, len(dimensions))
	for i, d := range dimensions[:len(dimensions)-1] {
		pick[i] = rnd.IntN(len(d.choices))
	}
	return pick
}

// coverPairs returns combinations in which each pair of choices of two dimensions
// occurs: in one that New accepts, unless none of many at random is accepted.
func coverPairs(rnd *rand.Rand) (picks [][]int) {
	type pair struct{ d1, c1, d2, c2 int } // dimensions and choices
	covered := make(map[pair]bool)
	pairs := func(pick []int) (list []pair) {
		for d1, c1 := range pick {
			for d2, c2 := range pick[:d1] {
				if p := (pair{d1, c1, d2, c2}); !covered[p] {
					list = append(list, p)
				}
			}
		}
		return list
	}
	cover := func(p pair) {
		if covered[p] {
			return
		}
		var best []int
		news := []pair{p}
		for range 30 {
			pick := randomPick(rnd)
			pick[p.d1], pick[p.d2] = p.c1, p.c2
			accepted := len(newTrial(rnd, pick, nil).reasons()) == 0
			if list := pairs(pick); accepted && len(list) >= len(news) {
				best, news = pick, list
			} else if best == nil {
				best = pick
			}
		}
		picks = append(picks, best)
		for _, p := range news {
			covered[p] = true
		}
	}
	for d1 := range dimensions {
		for d2 := range d1 {
			for c1 := range dimensions[d1].choices {
				for c2 := range dimensions[d2].choices {
					cover(pair{d1, c1, d2, c2})
				}
			}
		}
	}
	return picks
}

func newTrial(rnd *rand.Rand, pick []int, outputs map[[16]byte]bool) *trial {
	tr := &trial{rnd: rnd, outputs: outputs, pick: pick, given: make(map[[16]byte]bool)}
	for i, d := range dimensions {
		d.choices[pick[i]].set(tr)
	}
	on, _ := tr.fipsMode()
	if tr.rules != 0 {
		tr.c.Strategy = tr.rules.strategy()
	} else if tr.rules = ruleDefault; on {
		tr.rules = ruleOversample
	}
	if tr.c.DRNG == nil {
		tr.mech = infoOf(mechanisms()[map[bool]string{false: "ChaCha20", true: "CTR_DRBG AES-256"}[on]])
	}
	tr.infos = append(tr.infos, es.Info{Name: "pump"}, es.Info{Name: "auxiliary", MaxEntropy: 512})
	return tr
}

func (tr *trial) String() string {
	var parts []string
	for i, d := range dimensions {
		parts = append(parts, d.field+"="+d.choices[tr.pick[i]].name)
	}
	return fmt.Sprintf("%s in a process with fips140=%s", strings.Join(parts, ", "), processFIPS())
}

// The oracle.

// fipsMode says whether the generator is in FIPS mode, and whether it insists.
func (tr *trial) fipsMode() (on, strict bool) {
	process := processFIPS()
	switch tr.c.FIPS {
	case lrng.FIPSRequired:
		return true, true
	case lrng.FIPSAuto:
		return process != "off", process == "only"
	}
	return false, false
}

func (tr *trial) conditioner() conditioner.Conditioner {
	if tr.c.Conditioner == nil {
		return conditioner.SHA512
	}
	return tr.c.Conditioner
}

// reasons returns why New has to refuse the combination: words that have to be in the
// error.
func (tr *trial) reasons() (reasons [][]string) {
	process := processFIPS()
	_, strict := tr.fipsMode()
	mech, width := tr.mech, tr.conditioner().Width()
	for _, x := range []struct {
		refused bool
		words   []string
	}{
		{tr.refuse != "", []string{"Config." + tr.refuse}},
		{tr.c.FIPS == lrng.FIPSRequired && process == "off", []string{"Config.FIPS", "required"}},
		{tr.c.FIPS == lrng.FIPSOff && process == "only", []string{"Config.FIPS", "enforced"}},
		{strict && !mech.Approved, []string{"Config.DRNG", mech.Name, "FIPS"}},
		// 384 bits of a first seed do not fit into less (C9, C11).
		{tr.rules&ruleOversample != 0 && width < 384, []string{"Config.Conditioner", "SP 800-90C oversampling", tr.conditioner().Name()}},
		{tr.rules&ruleOversample != 0 && tr.margin >= 0 && tr.margin < 64, []string{"Config.Sources", "auxiliary pool", "Oversampling"}},
		{mech.SeedSize*8 > width, []string{mech.Name, tr.conditioner().Name()}},
		{tr.c.Memory != lrng.MemoryAny && keepsOwnMemory(mech), []string{"Config.Memory", tr.c.Memory.String(), mech.Name}},
		{tr.c.Hardened && mech.Name != "ChaCha20", []string{"Config.Hardened", mech.Name}},
		{tr.c.Hardened && drng.NewChaCha20().Harden() != nil, []string{"Config.Hardened"}},
		{!granted(tr.c.Memory), []string{"Config.Memory", tr.c.Memory.String()}},
	} {
		if x.refused {
			reasons = append(reasons, x.words)
		}
	}
	return reasons
}

// complete reports whether credits, one for each source, make a seed.
func (tr *trial) complete(credits []int, st seeding.Stage) bool {
	credits = independent(tr.infos, credits)
	return tr.rules.full(credits, tr.mech.SecurityStrength, st) &&
		(tr.mech.SeedSize == 0 || total(credits) >= 8*tr.mech.SeedSize+64) // C11
}

// most returns what each source can contribute to one seed: nothing without a test of its
// health in FIPS mode (B9, D12).
func (tr *trial) most() (credits []int) {
	on, _ := tr.fipsMode()
	for _, info := range tr.infos {
		n := 512
		if info.MaxEntropy == 0 || on && !info.Health {
			n = 0
		}
		credits = append(credits, n)
	}
	return credits
}

// live reports whether the sources can ever be enough.
func (tr *trial) live() bool { return tr.complete(tr.most(), seeding.Initial) }

// tooLittle returns credits that are one bit short of a first seed, or more.
func (tr *trial) tooLittle() []int {
	credits := tr.most()
	order := tr.rnd.Perm(len(credits))
	for _, i := range order {
		credits[i] = min(credits[i], []int{37, 128, 239, 240, 300, 512}[tr.rnd.IntN(6)])
	}
	// The pool uses up a margin with each read, and holds as much as its hash.
	credits[len(credits)-1] = min(credits[len(credits)-1], 128)
	for _, i := range order {
		for credits[i] > 0 && tr.complete(credits, seeding.Initial) {
			credits[i]--
		}
	}
	return credits
}

// The generator.

// A strictDRNG is a foreign mechanism with other limits than ours. What is beyond them is
// an error.
type strictDRNG struct {
	drng.DRNG
	requests uint64
}

func (d *strictDRNG) Info() drng.Info {
	info := d.DRNG.Info()
	info.Name, info.MaxRequest, info.ReseedInterval, info.MaxAdditional = "foreign", 100, 11, 40
	return info
}

func (d *strictDRNG) Seed(seed, additional []byte) error {
	d.requests = 0
	if len(additional) > 40 {
		return fmt.Errorf("additional input of %d bytes", len(additional))
	}
	return d.DRNG.Seed(seed, additional)
}

func (d *strictDRNG) Generate(out, additional []byte) error {
	if d.requests++; d.requests > 11 || len(out) > 100 || len(additional) > 40 {
		return fmt.Errorf("request %d of %d bytes, additional input of %d", d.requests, len(out), len(additional))
	}
	return d.DRNG.Generate(out, additional)
}

// A well is a source that holds a known amount of entropy.
type well struct {
	*estest.Fake
	tr   *trial
	left atomic.Int64 // bits
}

func (w *well) GetEntropy(ctx context.Context, p []byte, bits int) (int, error) {
	if w.tr.flow.Load() {
		w.SetRate(512)
		if w.Info().Name == "pump" {
			w.tr.r.AddEntropy(bytes.Repeat([]byte{byte(w.Count())}, 64), 512)
		}
		return w.Fake.GetEntropy(ctx, p, bits)
	}
	w.SetRate(int(w.left.Load()))
	n, err := w.Fake.GetEntropy(ctx, p, bits)
	w.left.Add(int64(-n))
	return n, err
}

// make calls New, and reports whether it accepts.
func (tr *trial) make() bool {
	c, t := tr.c, tr.t
	c.Sources = []es.Source{}
	for _, info := range tr.infos[:len(tr.infos)-1] {
		step := estest.OK(info.MaxEntropy)
		if info.Slow {
			step = estest.Slow(tr.delay, step)
		}
		w := &well{Fake: estest.New(info, step), tr: tr}
		tr.wells = append(tr.wells, w)
		c.Sources = append(c.Sources, w)
	}
	if tr.margin >= 0 {
		c.Sources = append(c.Sources, es.NewAuxiliary(es.AuxiliaryConfig{Oversampling: tr.margin}))
	}
	if f := c.DRNG; f != nil {
		c.DRNG = func() (drng.DRNG, error) {
			d, err := f()
			tr.made = append(tr.made, d)
			return d, err
		}
	}
	r, err := lrng.New(c)
	reasons := tr.reasons()
	switch {
	case len(reasons) == 0 && err == nil:
		tr.r = r
		t.Cleanup(func() { r.Close() })
		return true
	case len(reasons) == 0:
		t.Fatalf("refused for no reason: %v", err)
	case err == nil:
		r.Close()
		t.Fatalf("accepted in spite of %q", reasons)
	}
	says := func(words []string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(err.Error(), w) })
	}
	if !strings.HasPrefix(err.Error(), "lrng: Config.") || !slices.ContainsFunc(reasons, says) {
		t.Fatalf("refused with %q, which does not say any of %q", err, reasons)
	}
	return false
}

// examine goes through the life of a generator.
func (tr *trial) examine() {
	tr.untouched()
	tr.firstSeed()
	tr.readers()
	tr.limits()
	tr.fresh()
	tr.dry()
	tr.status()
	tr.closed()
}

// mute checks that a generator that can never be seeded never outputs anything, and
// leaves its sources in peace.
func (tr *trial) mute() {
	for _, w := range tr.wells {
		w.left.Store(1 << 30)
	}
	if err := tr.r.AddEntropy(make([]byte, 64), 512); err != nil {
		tr.t.Error(err)
	}
	tr.notSeeded()
	for _, w := range tr.wells {
		if n := w.Count(); n > 300 { // 64 rounds may bring something
			tr.t.Errorf("source %q was asked %d times", w.Info().Name, n)
		}
	}
	tr.closed()
}

// settle lets the worker end what it has begun.
func (tr *trial) settle() {
	if tr.delay > 0 {
		time.Sleep(4 * tr.delay)
	}
	synctest.Wait()
}

func (tr *trial) timeout(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	tr.t.Cleanup(cancel)
	return ctx
}

// get reads size bytes, which must work. No part of them is as it was before, or was
// output before, also by another generator with the same sources (T15).
func (tr *trial) get(read func(context.Context, []byte) (int, error), size int) {
	tr.t.Helper()
	tr.getNew(tr.outputs, read, size)
}

// getSeeds is get from SeedReader, to which nothing is added that is not of the sources.
func (tr *trial) getSeeds(size int) {
	tr.t.Helper()
	tr.getNew(tr.given, tr.seeds().ReadContext, size)
}

func (tr *trial) getNew(seen map[[16]byte]bool, read func(context.Context, []byte) (int, error), size int) {
	tr.t.Helper()
	p := bytes.Repeat([]byte{0xa5}, size)
	if n, err := read(tr.timeout(time.Hour), p); n != size || err != nil {
		tr.t.Fatalf("%d bytes: %d, %v\n%s", size, n, err, tr.r.Status())
	}
	for i := 0; i+16 <= size; i++ {
		switch w := [16]byte(p[i:]); {
		case w == [16]byte{} || w == [16]byte(bytes.Repeat([]byte{0xa5}, 16)):
			tr.t.Fatalf("bytes %d to %d of %d were not written", i, i+16, size)
		case seen[w]:
			tr.t.Fatalf("bytes %d to %d of %d were output before", i, i+16, size)
		}
	}
	for ; len(p) >= 16; p = p[16:] {
		seen[[16]byte(p)] = true
	}
}

// refuses reads, which must fail with the error and leave nothing.
func (tr *trial) refuses(read func([]byte) (int, error), want error) {
	tr.t.Helper()
	p := bytes.Repeat([]byte{0xa5}, 16)
	if n, err := read(p); n != 0 || !errors.Is(err, want) || !bytes.Equal(p, make([]byte, 16)) {
		tr.t.Fatalf("%d, %v, %x; want %v\n%s", n, err, p, want, tr.r.Status())
	}
}

func (tr *trial) readContext(d time.Duration) func([]byte) (int, error) {
	return func(p []byte) (int, error) { return tr.r.ReadContext(tr.timeout(d), p) }
}

func (tr *trial) pr() lrng.FreshReader    { return tr.r.PredictionResistant().(lrng.FreshReader) }
func (tr *trial) seeds() lrng.FreshReader { return tr.r.SeedReader().(lrng.FreshReader) }

// notSeeded checks that nothing at all is output.
func (tr *trial) notSeeded() {
	tr.t.Helper()
	tr.refuses(tr.r.Nonblocking().Read, lrng.ErrNotSeeded)
	tr.refuses(tr.readContext(15*time.Second), context.DeadlineExceeded)
	tr.refuses(tr.r.Nonblocking().Read, lrng.ErrNotSeeded)
	tr.refuses(tr.pr().TryRead, lrng.ErrNotSeeded)
	tr.refuses(tr.seeds().TryRead, lrng.ErrNotSeeded)
	if seed, credit, err := tr.r.GetSeed(tr.timeout(time.Second), 1); seed != nil || credit != 0 || !errors.Is(err, context.DeadlineExceeded) {
		tr.t.Fatalf("GetSeed: %d bytes, %d bits, %v", len(seed), credit, err)
	}
	tr.settle()
	st := tr.r.Status()
	if st.Level >= seeding.FullySeeded || st.Instances[0].Seeded {
		tr.t.Fatalf("%v: %+v", st.Level, st.Instances)
	}
	if !strings.Contains(st.Verdict, "needed") && !strings.Contains(st.Verdict, "not enough") {
		tr.t.Errorf("verdict %q", st.Verdict)
	}
}

// untouched checks what New has done, and has not.
func (tr *trial) untouched() {
	synctest.Wait()
	for _, w := range tr.wells {
		if w.Count() != 0 {
			tr.t.Errorf("New asked source %q", w.Info().Name)
		}
	}
	st, c, mech := tr.r.Status(), tr.c, tr.mech
	on, _ := tr.fipsMode()
	if st.Level != seeding.Unseeded || st.DRNG != mech.Name || st.SecurityStrength != mech.SecurityStrength ||
		st.Conditioner != tr.conditioner().Name() || st.Claim.FIPS != on || st.Approved != mech.Approved {
		tr.t.Errorf("status:\n%s", st)
	}
	or := func(n, otherwise uint64) uint64 {
		if n == 0 {
			n = otherwise
		}
		return n
	}
	most := min(or(c.MaxWithoutReseed, 1<<30), mech.ReseedInterval)
	// A refill of the output buffer may take many requests of a mechanism.
	if st.MaxWithoutReseed < 1 || st.MaxWithoutReseed > most || st.MaxWithoutReseed < most && mech.ReseedInterval > 1<<40 {
		tr.t.Errorf("status: %d requests without reseed, want %d", st.MaxWithoutReseed, most)
	}
	if due := min(or(c.ReseedRequests, 1<<20), st.MaxWithoutReseed); st.ReseedRequests != due || st.ReseedBits != c.ReseedBits {
		tr.t.Errorf("status: reseed after %d requests, %d bits; want %d, %d", st.ReseedRequests, st.ReseedBits, due, c.ReseedBits)
	}
	if grade := gradeOf(st.Memory); grade < 0 || grade < gradeOf(tr.c.Memory.String()) ||
		(st.MemoryReason == "") != (st.Memory == "secret") || (grade == 0) != (keepsOwnMemory(mech) || heapOnly()) {
		tr.t.Errorf("status: memory %s (%s), want %v", st.Memory, st.MemoryReason, tr.c.Memory)
	}
	none := c.ReseedInterval < 0 || c.OutputBuffer < 0 || c.OutputBuffer == 0 && st.Approved
	if ahead := st.OutputBuffer; none && ahead != 0 || ahead > max(c.OutputBuffer, 4096) {
		tr.t.Errorf("status: %d bytes ahead of need, want %d", ahead, c.OutputBuffer)
	}
}

// firstSeed checks that nothing is output with one bit too little, and that the first
// seed has what the strategy wants.
func (tr *trial) firstSeed() {
	credits := tr.tooLittle()
	for i, w := range tr.wells {
		w.left.Store(int64(credits[i]))
	}
	margin := max(0, tr.margin)
	if tr.margin < 0 && tr.rules&ruleOversample != 0 {
		margin = 64
	}
	if err := tr.r.AddEntropy(make([]byte, 64), credits[len(credits)-1]+margin); err != nil {
		tr.t.Error(err)
	}
	tr.notSeeded()
	for _, w := range tr.wells {
		if n := w.left.Load(); n != 0 {
			tr.t.Fatalf("source %q still has %d bits of %v: the test is blind", w.Info().Name, n, credits)
		}
	}
	tr.flow.Store(true)
	if err := tr.r.Wait(tr.timeout(time.Hour), seeding.FullySeeded); err != nil {
		tr.t.Fatalf("%v\n%s", err, tr.r.Status())
	}
	tr.settle()
	st := tr.r.Status()
	for i, s := range st.Sources {
		credits[i] = int(s.TotalCredited)
	}
	seeds := 0 // other shards may have got theirs
	for i, in := range st.Instances {
		seeds += in.LastCredit
		if in.Seeds != 1 && i == 0 || in.Seeds > 1 || in.Seeds == 1 && in.LastCredit < st.SecurityStrength {
			tr.t.Errorf("shard %d: %+v", i, in)
		}
	}
	if !tr.complete(credits, seeding.Initial) || seeds > total(credits) {
		tr.t.Errorf("seeds with %d bits from %v", seeds, credits)
	}
}

// readers reads in all ways.
func (tr *trial) readers() {
	for _, size := range []int{1, 16, 33, 100, 700} {
		tr.read(tr.r.ReadContext, size)
		tr.read(func(_ context.Context, p []byte) (int, error) { return tr.r.Read(p) }, size)
		tr.get(tr.pr().ReadContext, min(size, 33))
		tr.getSeeds(min(size, 33))
	}
	before := tr.r.Status().Instances
	if err := tr.r.Reseed(tr.timeout(time.Hour)); err != nil {
		tr.t.Error(err)
	}
	for i, in := range tr.r.Status().Instances {
		if before[i].Seeded && in.Seeds <= before[i].Seeds {
			tr.t.Errorf("Reseed: shard %d has no new seed", i)
		}
	}
}

// read is get from a shard.
func (tr *trial) read(read func(context.Context, []byte) (int, error), size int) {
	tr.t.Helper()
	tr.get(read, size)
	tr.bytes += uint64(size)
}

// limits checks that shards are reseeded in time: after requests, bits, and a time.
func (tr *trial) limits() {
	for range 8 {
		tr.settle()
		before := tr.r.Status()
		tr.read(tr.r.ReadContext, 16)
		tr.settle()
		st := tr.r.Status()
		for i, in := range st.Instances {
			switch interval := tr.c.ReseedInterval; {
			case interval < 0:
				if served := in.Requests - before.Instances[i].Requests; in.Seeds < before.Instances[i].Seeds+served || in.SinceSeed > 1 {
					tr.t.Fatalf("a request without a seed of its own: %+v", in)
				}
			case in.Seeded && (in.SinceSeed >= st.ReseedRequests || st.ReseedBits != 0 && in.BitsSinceSeed >= st.ReseedBits/4*3):
				tr.t.Fatalf("shard %d is due, and has no new seed: %+v", i, in)
			}
		}
	}
	if tr.c.ReseedInterval != time.Second {
		return
	}
	time.Sleep(2*time.Second + 1) // the life of the last shard, at most
	tr.settle()
	before := tr.r.Status().Instances
	tr.read(tr.r.ReadContext, 16)
	tr.settle()
	for i, in := range tr.r.Status().Instances {
		if in.Requests > before[i].Requests && in.Seeds == before[i].Seeds {
			tr.t.Errorf("shard %d is too old: %+v", i, in)
		}
	}
}

// cost returns what the sources are credited with during f, in bits.
func (tr *trial) cost(f func()) (bits int) {
	for k := range 2 {
		if k == 1 {
			f()
		}
		tr.settle()
		bits = -bits
		for _, s := range tr.r.Status().Sources {
			bits += int(s.TotalCredited)
		}
	}
	return bits
}

// fresh checks what output with prediction resistance and seeds for others cost.
func (tr *trial) fresh() {
	if cost := tr.cost(func() { tr.get(tr.pr().ReadContext, 40) }); cost < 8*40 { // A14, G4
		tr.t.Errorf("%d bits went into 40 bytes with prediction resistance", cost)
	}
	if cost := tr.cost(func() { tr.getSeeds(40) }); cost < 8*40+2*64 { // C11
		tr.t.Errorf("%d bits went into two blocks of 40 bytes with full entropy", cost)
	}
	for range 2 {
		var buf seeding.Buffer
		cost := tr.cost(func() {
			p, credit, err := tr.r.GetSeed(tr.timeout(time.Hour), 384)
			if err == nil {
				err = buf.UnmarshalBinary(p)
			}
			if err != nil || credit < 384 || buf.Credit() != credit {
				tr.t.Fatalf("GetSeed: %v, %d bits, %d in the buffer", err, credit, buf.Credit())
			}
		})
		if cost < buf.Credit() {
			tr.t.Errorf("GetSeed: %d bits at the cost of %d", buf.Credit(), cost)
		}
		for _, e := range buf.Entries {
			i := slices.IndexFunc(tr.infos, func(info es.Info) bool { return info.Name == e.Name })
			if i < 0 || tr.most()[i] == 0 {
				tr.t.Errorf("GetSeed: %d bits of %q", e.Credit, e.Name)
			}
			if len(e.Data) < 16 {
				continue
			}
			w := [16]byte(e.Data)
			if tr.given[w] {
				tr.t.Errorf("GetSeed: the same data of %s again", e.Name) // S5
			}
			tr.given[w] = true
		}
	}
}

// dry takes the sources away, for a time, in one of three ways, and checks how long the
// seeds last. Rates can be lowered, and not be raised above what a source declared.
func (tr *trial) dry() {
	tr.settle()
	tr.flow.Store(false)
	how := tr.rnd.IntN(3)
	rate := func(i, bits int) {
		if err := tr.r.SetSourceRate(tr.infos[i].Name, bits); err != nil {
			tr.t.Error(err)
		}
	}
	declared := tr.r.Status().Sources
	for i, info := range tr.infos {
		if err := tr.r.SetSourceRate(info.Name, declared[i].MaxEntropy+1); err == nil || !strings.Contains(err.Error(), "bits: ") {
			tr.t.Errorf("rate of %s above %d bits: %v", info.Name, declared[i].MaxEntropy, err)
		}
		switch {
		case how == 0 || i == len(tr.wells):
			rate(i, 0)
		case how == 1:
			tr.wells[i].SetDead(errDead)
		}
		if how == 0 && i < len(tr.wells) {
			tr.wells[i].left.Store(1 << 30)
		}
	}
	st := tr.r.Status()
	if tr.c.ReseedInterval < 0 {
		tr.refuses(tr.r.Nonblocking().Read, lrng.ErrNotSeeded)
		tr.refuses(tr.readContext(time.Second), context.DeadlineExceeded)
	} else if st.ReseedBits == 0 && st.MaxWithoutReseed > 100 {
		begin := time.Now()
		for range 20 {
			tr.read(func(_ context.Context, p []byte) (int, error) { return tr.r.Nonblocking().Read(p) }, 16)
		}
		if !time.Now().Equal(begin) || tr.r.Status().Level != seeding.FullySeeded {
			tr.t.Errorf("without sources, after %v: %v", time.Since(begin), tr.r.Status().Level)
		}
	} else {
		limit := int(st.MaxWithoutReseed)
		if st.ReseedBits != 0 {
			limit = min(limit, int(st.ReseedBits/128))
		}
		p := make([]byte, 16)
		n, err := 0, error(nil)
		for ; err == nil && n <= limit*tr.c.Shards; n++ {
			if _, err = tr.r.Nonblocking().Read(p); err == nil {
				tr.bytes += 16
			}
		}
		if !errors.Is(err, lrng.ErrNotSeeded) || !bytes.Equal(p, make([]byte, 16)) {
			tr.t.Fatalf("request %d without a reseed, at most %d from a seed: %v", n, limit, err)
		}
		instances := tr.r.Status().Instances
		if !slices.ContainsFunc(instances, func(in lrng.InstanceStatus) bool { return in.Seeded }) {
			tr.notSeeded()
		}
		for i, in := range instances {
			if in.SinceSeed > st.MaxWithoutReseed || st.ReseedBits != 0 && in.BitsSinceSeed > st.ReseedBits {
				tr.t.Errorf("shard %d: %d requests, %d bits since its seed", i, in.SinceSeed, in.BitsSinceSeed)
			}
		}
	}
	for i := range tr.infos {
		rate(i, declared[i].MaxEntropy)
		if i < len(tr.wells) {
			tr.wells[i].SetDead(nil)
		}
	}
	tr.flow.Store(true)
	time.Sleep(2 * time.Minute) // the end of any back-off
	tr.read(tr.r.ReadContext, 16)
}

// status checks that the status adds up and can be encoded.
func (tr *trial) status() {
	tr.settle()
	st := tr.r.Status()
	seeds, size := st.PredictionResistance.Seeds, uint64(0)
	for _, in := range st.Instances {
		seeds += in.Seeds
		size += in.Bytes
	}
	if st.Seeds != seeds || size != tr.bytes || st.SeedFailures != 0 || st.SelfTest != "passed" {
		tr.t.Errorf("%d seeds, %d of instances; %d bytes, want %d; %d failures, %s", st.Seeds, seeds, size, tr.bytes, st.SeedFailures, st.SelfTest)
	}
	for _, s := range st.Sources {
		if s.FalseClaims != 0 && s.Uncredited == "" || s.Calls < s.Failures || s.Rate != s.MaxEntropy {
			tr.t.Errorf("%+v", s)
		}
	}
	p, err := json.Marshal(st)
	var back lrng.Status
	if err == nil {
		err = json.Unmarshal(p, &back)
	}
	again, _ := json.Marshal(back)
	if err != nil || !bytes.Equal(p, again) || back.String() != st.String() {
		tr.t.Errorf("JSON: %v\n%s\n%s", err, p, again)
	}
}

// closed checks the end.
func (tr *trial) closed() {
	r := tr.r
	if err := r.Close(); err != nil {
		tr.t.Errorf("Close: %v", err)
	}
	tr.refuses(r.Read, lrng.ErrClosed)
	tr.refuses(r.Nonblocking().Read, lrng.ErrClosed)
	tr.refuses(tr.pr().TryRead, lrng.ErrClosed)
	tr.refuses(tr.seeds().Read, lrng.ErrClosed)
	_, _, err := r.GetSeed(context.Background(), 1)
	for _, err := range []error{err, r.Reseed(context.Background()), r.Wait(context.Background(), seeding.FullySeeded), r.AddEntropy([]byte{1}, 8)} {
		if !errors.Is(err, lrng.ErrClosed) {
			tr.t.Errorf("after Close: %v", err)
		}
	}
	for _, d := range tr.made {
		if err := d.Generate(make([]byte, 1), nil); !errors.Is(err, drng.ErrNotSeeded) {
			tr.t.Errorf("an instance is not wiped: %v", err)
		}
	}
}
