package lrng_test

import (
	"bytes"
	"context"
	"crypto/fips140"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
	"github.com/lrng-go/lrng/seeding"
)

// The matrix of a whole generator: subsets of eight fake sources, every combination of
// strategies, each strength and stage, FIPS mode on and off. What the sources say that
// they have delivered is judged by rules written from the requirements, and compared with
// the level, the credit and the bytes of every seed. TestMatrix of package seeding is the
// matrix of the pure functions alone.

// A ruleSet is a set of strategies that hold together (G10).
type ruleSet uint

const (
	ruleDefault ruleSet = 1 << iota
	ruleOversample
	ruleNTG1
	ruleDraft
	allRules = 1<<iota - 1
)

func (s ruleSet) strategy() seeding.Strategy {
	var list []seeding.Strategy
	for i, basic := range []seeding.Strategy{seeding.Default, seeding.Oversample, seeding.NTG1, seeding.NewNTG1(seeding.NTG1DraftBits)} {
		if s>>i&1 != 0 {
			list = append(list, basic)
		}
	}
	return seeding.All(list...)
}

func (s ruleSet) String() string { return s.strategy().Name() }

// full reports whether the credits of independent sources make a full seed.
func (s ruleSet) full(credits []int, strength int, st seeding.Stage) bool {
	least, strong := strength, 0 // A6, C10
	if s&ruleOversample != 0 {
		switch st {
		case seeding.Initial:
			least = max(strength+128, strength*3/2) // C9
		case seeding.PredictionResistance:
			least = strength + 64 // C13
		}
	}
	each := 0
	if s&ruleDraft != 0 {
		each = 220
	}
	if s&ruleNTG1 != 0 {
		each = 240
	}
	for _, n := range credits {
		if n >= each {
			strong++
		}
	}
	return total(credits) >= least && (each == 0 || st != seeding.Initial || strong >= 2) // G7
}

// level returns the level that the credits of independent sources make.
func (s ruleSet) level(credits []int, strength int, st seeding.Stage) seeding.Level {
	switch sum := total(credits); {
	case s.full(credits, strength, st):
		return seeding.FullySeeded
	case sum >= 128:
		return seeding.MinimallySeeded
	case sum >= 32:
		return seeding.InitiallySeeded
	}
	return seeding.Unseeded
}

func total(credits []int) (sum int) {
	for _, n := range credits {
		sum += n
	}
	return sum
}

// independent returns what is left of the credits of sources if one of each boundary
// counts: the best one (C8).
func independent(infos []es.Info, credits []int) []int {
	out := slices.Clone(credits)
	for i := range out {
		for j, other := range infos {
			same := i != j && other.Boundary != "" && other.Boundary == infos[i].Boundary
			if same && (credits[j] > credits[i] || credits[j] == credits[i] && j < i) {
				out[i] = 0
			}
		}
	}
	return out
}

var matrixSources = [8]struct {
	info        es.Info
	certificate string
}{
	{info: es.Info{Name: "tested", MaxEntropy: 512, Health: true}},
	{info: es.Info{Name: "certified", MaxEntropy: 300}, certificate: "E999"},
	{info: es.Info{Name: "plain", MaxEntropy: 512}},
	{info: es.Info{Name: "identity"}}, // never credited (C5)
	{info: es.Info{Name: "scheduler", MaxEntropy: 512, Health: true, Boundary: "times"}},
	{info: es.Info{Name: "events", MaxEntropy: 512, Boundary: "times"}, certificate: "E998"},
	{info: es.Info{Name: "interrupts", MaxEntropy: 512, Boundary: "times"}},
	{info: es.Info{Name: "small", MaxEntropy: 64, Health: true}},
}

// matrixClaims are on both sides of the limits.
var matrixClaims = [...]int{0, 31, 32, 127, 128, 191, 192, 219, 220, 239, 240, 255, 256, 319, 320, 383, 384, 512, 10000, -10000}

// A matrixCase is a generator, with the sources of a subset.
type matrixCase struct {
	r        *lrng.RNG
	rules    ruleSet
	strength int
	fakes    []*estest.Fake
	infos    []es.Info
	declared []int           // most credit, in this FIPS mode
	calls    [][]estest.Call // of each fake: see rounds
	seeds    []keptSeed
}

// A seedSpy is CTR_DRBG that keeps what it is seeded with.
type seedSpy struct {
	*drng.CTR
	c *matrixCase
}

type keptSeed struct{ seed, additional []byte }

func (s *seedSpy) Seed(seed, additional []byte) error {
	s.c.seeds = append(s.c.seeds, keptSeed{slices.Clone(seed), slices.Clone(additional)})
	return s.CTR.Seed(seed, additional)
}

func TestMatrix(t *testing.T) {
	wait := inOtherFIPSModes(t, "off", "on")
	defer wait()
	cases := 15 * 256 // each subset with each combination of strategies
	if testing.Short() || raceEnabled {
		cases = 15 * 8
	}
	reached := make(map[string]int)
	for i := range cases {
		synctest.Test(t, func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Logf("that was case %d, in FIPS mode: %v", i, fips140.Enabled())
				}
			}()
			testMatrix(t, i, reached)
		})
	}
	// Is the matrix what it is meant to be?
	for _, what := range []string{"at once", "with patience", "never", "reseed", "prediction resistance", "seed buffer"} {
		if reached[what] < cases/20 {
			t.Errorf("%d of %d cases get to: %s", reached[what], cases, what)
		}
	}
	t.Log(reached)
}

// longTests returns for how long the tests of this kind may go on beyond what they do
// each time: LRNG_LONG, as in "5m".
func longTests() time.Duration {
	d, _ := time.ParseDuration(os.Getenv("LRNG_LONG"))
	return d
}

// processFIPS returns what GODEBUG=fips140 is for this process.
func processFIPS() string {
	switch {
	case fips140.Enforced():
		return "only"
	case fips140.Enabled():
		return "on"
	}
	return "off"
}

// fipsModeEnv has the mode in the processes of inOtherFIPSModes.
const fipsModeEnv = "LRNG_TEST_FIPS_MODE"

// inOtherFIPSModes starts the test once more in a process for each of the modes of
// GODEBUG=fips140 that this process is not in: it is decided when a process starts. Wait
// waits for them. In such a process it does nothing.
func inOtherFIPSModes(t *testing.T, modes ...string) (wait func()) {
	if mode := os.Getenv(fipsModeEnv); mode != "" {
		if mode != processFIPS() {
			t.Fatalf("this process is in mode %s, want %s", processFIPS(), mode)
		}
		return func() {}
	}
	switch runtime.GOOS {
	case "js", "wasip1", "ios", "android":
		t.Logf("no child processes on %s", runtime.GOOS)
		return func() {}
	}
	type result struct {
		mode string
		out  []byte
		err  error
	}
	results, started := make(chan result), 0
	for _, mode := range modes {
		if mode == processFIPS() {
			continue
		}
		started++
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", fmt.Sprintf("-test.short=%v", testing.Short()), "-test.timeout=5m")
		// The race detector makes a process wait for a second at its end by default.
		cmd.Env = append(os.Environ(), fipsModeEnv+"="+mode, "GODEBUG=fips140="+mode, "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
		go func() {
			out, err := cmd.CombinedOutput()
			results <- result{mode, out, err}
		}()
	}
	return func() {
		for range started {
			r := <-results
			switch {
			case r.err != nil && bytes.Contains(r.out, []byte("panic: fips140: FIPS 140-3 mode is ")):
				t.Logf("fips140=%s: the Go Cryptographic Module is not for this build (with the tag purego, for instance)", r.mode)
			case r.err != nil || !bytes.Contains(r.out, []byte("--- PASS: "+t.Name())):
				t.Errorf("fips140=%s: %v\n%s", r.mode, r.err, r.out)
			}
		}
	}
}

// newMatrixCase returns case number i, which is the same each time.
func newMatrixCase(t *testing.T, i int) *matrixCase {
	rnd := rand.New(rand.NewPCG(4, uint64(i)))
	c := &matrixCase{rules: ruleSet(1 + i%allRules), strength: []int{128, 192, 256}[i/allRules%3]}
	mask, on := i*37%(1<<len(matrixSources)), fips140.Enabled()
	config := lrng.Config{
		Sources:         []es.Source{},
		Shards:          1,
		OutputBuffer:    -1,
		Strategy:        c.rules.strategy(),
		Personalization: []byte("matrix"),
		DRNG: func() (drng.DRNG, error) {
			d, err := drng.NewCTR(drng.CTRConfig{KeyBits: c.strength})
			return &seedSpy{d, c}, err
		},
	}
	if i%2 == 0 {
		config.FIPS = map[bool]lrng.FIPSMode{false: lrng.FIPSOff, true: lrng.FIPSRequired}[on]
	}
	for _, k := range rnd.Perm(len(matrixSources)) {
		if mask>>k&1 == 0 {
			continue
		}
		// First a claim, which may be a lie, then a failure, then honest deliveries.
		s := matrixSources[k]
		claim := func() int { return matrixClaims[rnd.IntN(len(matrixClaims))] }
		f := estest.New(s.info, estest.Claim(claim()), estest.Error(errDead), estest.OK(claim()))
		declared := s.info.MaxEntropy
		if on && !s.info.Health && s.certificate == "" {
			declared = 0 // B9, C5: no tests, no certificate, no credit
		}
		c.fakes, c.infos, c.declared = append(c.fakes, f), append(c.infos, s.info), append(c.declared, declared)
		config.Sources = append(config.Sources, certifiedFake{f, s.certificate})
	}
	c.calls = make([][]estest.Call, len(c.fakes))
	c.r = newRNG(t, config)
	return c
}

// rounds returns how often the sources were asked so far.
func (c *matrixCase) rounds() int {
	if len(c.fakes) == 0 {
		return int(c.r.Status().Rounds)
	}
	for i, f := range c.fakes {
		c.calls[i] = f.Calls()
	}
	return len(c.calls[0])
}

// round returns the credits of a round: no more than was claimed, declared, or asked for,
// and of each boundary those of one source. Delivered reports whether a source gave data.
func (c *matrixCase) round(k int) (credits []int, delivered []bool) {
	for i := range c.fakes {
		call := c.calls[i][k]
		credit := max(0, min(call.Credit, call.Bits, c.declared[i]))
		if call.Err != nil {
			credit = 0
		}
		credits, delivered = append(credits, credit), append(delivered, call.Err == nil)
	}
	return independent(c.infos, credits), delivered
}

// gathered returns the credits of independent sources in rounds from…to. A source counts
// for 512 bits in a seed at most.
func (c *matrixCase) gathered(from, to int) []int {
	sums := make([]int, len(c.fakes))
	for k := from; k < to; k++ {
		credits, _ := c.round(k)
		for i, n := range credits {
			sums[i] = min(512, sums[i]+n)
		}
	}
	return independent(c.infos, sums)
}

// collected checks that the rounds from the given one on made a full seed, and the last
// one was needed for it; or, with an error, that all together did not make one.
func (c *matrixCase) collected(t *testing.T, from int, st seeding.Stage, err error) (ok bool) {
	t.Helper()
	last := c.rounds()
	full := func(to int) bool { return c.rules.full(c.gathered(from, to), c.strength, st) }
	if full(last) != (err == nil) || last > from && full(last-1) {
		t.Fatalf("%v: %v, then %v, after %d rounds; error %v", st, c.gathered(from, last-1), c.gathered(from, last), last-from, err)
	}
	return err == nil
}

func testMatrix(t *testing.T, i int, reached map[string]int) {
	c := newMatrixCase(t, i)
	r := c.r
	// Half a minute is enough for whatever these sources can make.
	patience := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		t.Cleanup(cancel)
		return ctx
	}

	// The first attempt, for which nobody waits.
	mustRefuse(t, r.Nonblocking(), lrng.ErrNotSeeded)
	synctest.Wait()
	c.checkStatus(t)
	if r.Status().Level == seeding.FullySeeded {
		reached["at once"]++
		c.collected(t, 0, seeding.Initial, nil)
	} else {
		mustRefuse(t, r.Nonblocking(), lrng.ErrNotSeeded)
		if len(c.seeds) != 0 {
			t.Fatal("an incomplete seed was used")
		}
		_, err := r.ReadContext(patience(), make([]byte, 16))
		synctest.Wait()
		c.checkStatus(t)
		if !c.collected(t, 0, seeding.Initial, err) {
			if c.rounds() < 30 {
				t.Errorf("%d rounds in half a minute", c.rounds())
			}
			mustRefuse(t, r.Nonblocking(), lrng.ErrNotSeeded)
			reached["never"]++
			return
		}
		reached["with patience"]++
	}
	c.checkSeed(t, 1, 0, true)
	mustRead(t, r.Nonblocking(), 16)

	// A later seed of the same instance.
	from := c.rounds()
	err := r.Reseed(patience())
	if !c.collected(t, from, seeding.Reseed, err) {
		return
	}
	c.checkSeed(t, 2, from, false)
	reached["reseed"]++
	if got, want := r.Status().Instances[0].LastCredit, total(c.gathered(from, c.rounds())); got != want {
		t.Errorf("reseeded with %d bits, want %d", got, want)
	}

	// The two seeds of the instance for prediction resistance.
	for n, st := range []seeding.Stage{seeding.Initial, seeding.PredictionResistance} {
		from := c.rounds()
		_, err := r.PredictionResistant().(lrng.FreshReader).ReadContext(patience(), make([]byte, 16))
		if !c.collected(t, from, st, err) {
			return
		}
		c.checkSeed(t, 3+n, from, n == 0)
		if got, want := r.Status().PredictionResistance.LastCredit, total(c.gathered(from, c.rounds())); got != want {
			t.Errorf("%v: %d bits, want %d", st, got, want)
		}
	}
	reached["prediction resistance"]++

	// A seed for another generator.
	from = c.rounds()
	seed, credit, err := r.GetSeed(patience(), 384)
	if err != nil {
		t.Fatalf("GetSeed: %v", err)
	}
	reached["seed buffer"]++
	c.checkGetSeed(t, seed, credit, from)
	if len(c.seeds) != 4 {
		t.Errorf("%d seeds were used, want 4", len(c.seeds))
	}
}

// checkStatus compares the status on the way to the first seed and right after it.
func (c *matrixCase) checkStatus(t *testing.T) {
	t.Helper()
	st, rounds := c.r.Status(), c.rounds()
	credits := c.gathered(0, rounds)
	level := c.rules.level(credits, c.strength, seeding.Initial)
	entropy, last := total(credits), 0
	if level == seeding.FullySeeded {
		entropy, last = 0, entropy
	}
	if st.Level != level || st.Entropy != entropy || st.Instances[0].LastCredit != last || st.Rounds != uint64(rounds) {
		t.Fatalf("%v, %d bits, last seed with %d, %d rounds; want %v, %d, %d, %d\n%s",
			st.Level, st.Entropy, st.Instances[0].LastCredit, st.Rounds, level, entropy, last, rounds, st)
	}
	if missing := strings.Contains(st.Verdict, "needed"); missing != (level < seeding.FullySeeded) {
		t.Errorf("verdict %q for %v", st.Verdict, level)
	}
	for i, info := range c.infos {
		got, credited, lies := st.Sources[i], 0, uint64(0)
		for k := range rounds {
			n, delivered := c.round(k)
			credited += n[i]
			if call := c.calls[i][k]; delivered[i] && (call.Credit < 0 || call.Credit > min(call.Bits, info.MaxEntropy)) {
				lies++
			}
		}
		if got.Name != info.Name || got.MaxEntropy != c.declared[i] || got.TotalCredited != uint64(credited) {
			t.Errorf("source %d: %s, %d of %d bits; want %s, %d of %d", i, got.Name, got.TotalCredited, got.MaxEntropy, info.Name, credited, c.declared[i])
		}
		if got.FalseClaims != lies {
			t.Errorf("%s: %d false claims, want %d", info.Name, got.FalseClaims, lies)
		}
		if removed := c.declared[i] < info.MaxEntropy; info.MaxEntropy > 0 && removed != strings.Contains(got.Uncredited, "FIPS") {
			t.Errorf("%s: uncredited for %q", info.Name, got.Uncredited)
		}
	}
}

// checkSeed compares the latest seed, which is number n and has the rounds from the
// given one on: credited data in the seed, uncredited data in the additional input only,
// each in its place, nothing of a call that failed (C5, C6, B24).
func (c *matrixCase) checkSeed(t *testing.T, n, from int, first bool) {
	t.Helper()
	if len(c.seeds) != n {
		t.Fatalf("%d seeds, want %d", len(c.seeds), n)
	}
	var seed, additional []byte
	for k := from; k < c.rounds(); k++ {
		credits, delivered := c.round(k)
		size := c.calls[0][k].Size
		for i, f := range c.fakes {
			data, zeros := f.Data(k, size), make([]byte, size)
			if !delivered[i] {
				data = zeros
			}
			in, out := data, zeros
			if credits[i] == 0 {
				in, out = zeros, data
			}
			seed, additional = append(seed, in...), append(additional, out...)
		}
		// The pool of the generator is the last one. It has data, and no credit.
		seed = append(seed, make([]byte, size)...)
		pool := c.seeds[n-1].additional[min(len(additional), len(c.seeds[n-1].additional)):]
		pool = pool[:min(size, len(pool))]
		if bytes.Equal(pool, make([]byte, size)) {
			t.Errorf("seed %d, round %d: no data of the auxiliary pool", n, k)
		}
		additional = append(additional, pool...)
	}
	got := c.seeds[n-1]
	if !bytes.Equal(got.seed, seed) {
		t.Errorf("seed %d is\n%x, want\n%x", n, got.seed, seed)
	}
	tail, found := bytes.CutPrefix(got.additional, additional)
	if !found {
		t.Errorf("additional input %d is\n%x, want\n%x", n, got.additional, additional)
	}
	want := 24 // time stamps and the number of the instance
	if first {
		want += len("matrix")
	}
	if len(tail) != want || first != bytes.HasSuffix(tail, []byte("matrix")) {
		t.Errorf("additional input %d ends with %d bytes, want %d", n, len(tail), want)
	}
}

// checkGetSeed compares a seed buffer, made in the rounds from the given one on: it has
// what is credited and nothing else (S1, S4), and of the sources that share a boundary
// the deliveries of one (C8).
func (c *matrixCase) checkGetSeed(t *testing.T, seed []byte, credit, from int) {
	t.Helper()
	var buf seeding.Buffer
	if err := buf.UnmarshalBinary(seed); err != nil {
		t.Fatal(err)
	}
	if credit < 384 || buf.Credit() != credit || buf.Strategy != c.rules.strategy().Name() {
		t.Errorf("GetSeed: %d bits, %d in the buffer, for %q", credit, buf.Credit(), buf.Strategy)
	}
	counts := make(map[string]string) // for a boundary
	entries := buf.Entries
	for k := from; k < c.rounds(); k++ {
		credits, _ := c.round(k)
		for i, f := range c.fakes {
			want := seeding.Entry{Name: c.infos[i].Name, Credit: credits[i], Data: f.Data(k, c.calls[i][k].Size)}
			if len(entries) > 0 && credits[i] > 0 && reflect.DeepEqual(entries[0], want) {
				entries = entries[1:]
				if b := c.infos[i].Boundary; b != "" && counts[b] == "" {
					counts[b] = want.Name
				} else if b != "" && counts[b] != want.Name {
					t.Errorf("GetSeed: entries of %s and of %s", counts[b], want.Name)
				}
			} else if credits[i] > 0 && c.infos[i].Boundary == "" {
				t.Errorf("GetSeed: round %d, %d bits of %s are not in it", k, credits[i], want.Name)
			}
		}
	}
	if len(entries) > 0 {
		t.Errorf("GetSeed: %d bits of %s that it has not delivered", entries[0].Credit, entries[0].Name)
	}
}

// A seed for another generator is complete when sources that share a boundary have
// delivered enough, whichever of them was better in which round.
func TestGetSeedOfSharedBoundary(t *testing.T) {
	for name, steps := range map[string][2][]estest.Step{
		"equal in the end": {{estest.OK(256), estest.OK(31), estest.OK(512)}, {estest.OK(0), estest.OK(255), estest.OK(512)}},
		"one ends":         {{estest.OK(256), estest.OK(31), estest.OK(512)}, {estest.OK(0), estest.OK(255), estest.Error(errDead)}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var sources []es.Source
				for i, name := range []string{"scheduler", "events"} {
					sources = append(sources, estest.New(es.Info{Name: name, MaxEntropy: 512, Health: true, Boundary: "times"}, steps[i]...))
				}
				r := newRNG(t, one(sources...))
				mustRead(t, r, 1) // the first round
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				if _, credit, err := r.GetSeed(ctx, 384); err != nil || credit < 384 {
					t.Errorf("%d bits, %v", credit, err)
				}
			})
		})
	}
}
