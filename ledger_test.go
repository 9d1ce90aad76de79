package lrng

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
	"github.com/lrng-go/lrng/seeding"
)

// The ledger: random operations on a generator, in simulated time, with sources that
// fail, hang and lie. After each operation the books must balance:
//
//   - What the sources were credited with is what the rules grant for their calls: no more
//     than claimed, asked for, declared, set by SetSourceRate, or 8 times the length.
//   - It is in the seeds that were made, in what was given to others, or still in the
//     accumulator. Only a private collection that is broken off, or a hash that cannot
//     hold it, takes some away, and nothing adds to it.
//   - The auxiliary pool has what was put in, less what it was credited with, and no more
//     than its hash is wide (G2).
//   - The data of each call are in one place at most: credited ones in the seed, uncredited
//     ones in the additional input, and those of a call that failed, or came too late,
//     nowhere (A10, C5, C6, S5).

// A ledgerBlock is what one call of a source delivered.
type ledgerBlock struct {
	source, call int
	credit       int  // by the rules
	void         bool // the call failed, or came too late
	place        string
}

// A ledgerPlace is where blocks end: a seed of an instance, or a seed buffer.
type ledgerPlace struct {
	name             string
	seed, additional []byte
	credit           int // as stated
}

type ledger struct {
	t     *testing.T
	r     *RNG
	fakes []*estest.Fake
	rates []int
	width int // of the pool

	blocks map[[8]byte]*ledgerBlock // by the beginning of the data
	places []*ledgerPlace           // new ones, which the mechanism and the logger write
	booked []int                    // calls of each fake

	// As of the operation before.
	credited []uint64 // of each source
	left     []int    // in the accumulator, by source
	filled   int      // bytes of the accumulator
	pool     int
	prSeeds  uint64

	made map[string]int
}

// The first source is never credited and never fails: it is asked in each round.
var ledgerInfos = [...]es.Info{
	{Name: "pacer"},
	{Name: "a", MaxEntropy: 512, Health: true},
	{Name: "b", MaxEntropy: 300, Health: true},
	{Name: "c", MaxEntropy: 200, Health: true},
	{Name: "slow", MaxEntropy: 300, Health: true, Slow: true},
}

// ledgerScript is what a source does. A weak one needs so many rounds for a seed that the
// accumulator is shortened.
func ledgerScript(rnd *rand.Rand, info es.Info, weak bool) (steps []estest.Step) {
	if info.MaxEntropy == 0 {
		return []estest.Step{estest.OK(0)}
	}
	const faulty = 200
	for k := range faulty + 1 {
		n := rnd.IntN(info.MaxEntropy + 1)
		if weak {
			n = rnd.IntN(2)
		}
		s := estest.OK(n)
		fault := rnd.IntN(14)
		if k == faulty { // the last step repeats for ever
			fault, s = -1, estest.OK(info.MaxEntropy)
		}
		switch fault {
		case 0:
			s = estest.OK(0)
		case 1:
			s = estest.Error(errDry)
		case 2:
			s = estest.Claim(map[bool]int{false: n + 512, true: n}[weak])
		case 3:
			s = estest.Claim(-n)
		case 4:
			s = estest.ClaimError(n, errDry)
		case 5:
			s = estest.Panic("test")
		case 6:
			s = estest.Goexit()
		case 7:
			s = estest.Block()
		case 8:
			s = estest.Deaf(12*time.Second, s) // beyond the budget of a round
		case 9:
			s = estest.Slow(time.Duration(1+rnd.IntN(80))*10*time.Millisecond, s)
		}
		if info.Slow {
			// At no instant at which another source ends a round.
			s = estest.Slow(33*time.Millisecond, s)
		}
		steps = append(steps, s)
	}
	return steps
}

func newLedger(t *testing.T, rnd *rand.Rand, weak bool) *ledger {
	l := &ledger{t: t, width: 512, blocks: make(map[[8]byte]*ledgerBlock), made: make(map[string]int)}
	c := Config{
		OutputBuffer:   -1,
		ReseedInterval: 1000 * time.Hour,
		ReseedRequests: 1 + uint64(rnd.IntN(10)),
		DRNG:           l.mechanism,
		Logger:         slog.New(hook(l.log)),
	}
	if rnd.IntN(2) == 0 {
		c.MaxWithoutReseed = c.ReseedRequests + 3
	}
	for _, info := range ledgerInfos {
		f := estest.New(info, ledgerScript(rnd, info, weak)...)
		l.fakes, l.rates = append(l.fakes, f), append(l.rates, info.MaxEntropy)
		c.Sources = append(c.Sources, f)
	}
	l.r = white(t, c)
	l.booked, l.credited, l.left = make([]int, len(l.fakes)), make([]uint64, len(l.r.sources)), make([]int, len(l.r.sources))
	return l
}

// mechanism is for Config.DRNG and SetDRNG.
func (l *ledger) mechanism() (drng.DRNG, error) {
	d, err := drng.NewCTR(drng.CTRConfig{})
	return &mechanismSpy{DRNG: d, seed: func(seed, additional []byte) {
		l.places = append(l.places, &ledgerPlace{name: "a seed", seed: slices.Clone(seed), additional: slices.Clone(additional), credit: -1})
	}}, err
}

// log takes the credit of the seed of a shard from the event, which follows it before
// another collection can begin.
func (l *ledger) log(rec slog.Record) {
	if rec.Message != "lrng: seeded" && rec.Message != "lrng: reseeded" {
		return
	}
	rec.Attrs(func(a slog.Attr) bool {
		if a.Key == "credit" {
			l.places[len(l.places)-1].credit = int(a.Value.Int64())
		}
		return true
	})
}

// settle waits until all that was begun has ended.
func (l *ledger) settle() {
	for n := -1; ; {
		calls := 0
		for _, f := range l.fakes {
			calls += f.Count()
		}
		if calls == n {
			return
		}
		n = calls
		time.Sleep(13 * time.Second)
		synctest.Wait()
	}
}

// bookCalls adds the calls since the operation before to the books, and returns how many
// bytes they can have added to an accumulator.
func (l *ledger) bookCalls() (size int) {
	st := l.r.Status()
	for i, f := range l.fakes {
		granted := 0
		for k, call := range f.Calls()[l.booked[i]:] {
			b := &ledgerBlock{source: i, call: l.booked[i] + k}
			b.void = call.Err != nil || strings.Contains(call.Step, "Deaf(") || strings.Contains(call.Step, "Panic(") || strings.Contains(call.Step, "Goexit(")
			if !b.void {
				b.credit = max(0, min(call.Credit, call.Bits, 8*call.Size, ledgerInfos[i].MaxEntropy, l.rates[i]))
			}
			granted += b.credit
			l.blocks[[8]byte(f.Data(b.call, 8))] = b
			if i == 0 {
				size += call.Size * len(l.r.sources)
			}
		}
		l.booked[i] = f.Count()
		if got := st.Sources[i].TotalCredited - l.credited[i]; got != uint64(granted) {
			l.t.Errorf("%s: credited with %d bits, want %d", ledgerInfos[i].Name, got, granted)
		}
	}
	return size
}

// find looks for blocks in one part of a place, and returns their credit.
func (l *ledger) find(p *ledgerPlace, part []byte, credited bool) (credit int) {
	for k := 0; k+8 <= len(part); k++ {
		b := l.blocks[[8]byte(part[k:])]
		if b == nil {
			continue
		}
		name := ledgerInfos[b.source].Name
		switch {
		case b.void:
			l.t.Errorf("%s has the data of call %d of %s, which failed", p.name, b.call, name)
		case b.place != "":
			l.t.Errorf("%s has the data of call %d of %s, which are in %s", p.name, b.call, name, b.place)
		case credited != (b.credit > 0):
			l.t.Errorf("%s has %d bits of %s in the wrong part", p.name, b.credit, name)
		}
		b.place = p.name
		credit += b.credit
	}
	return credit
}

// book accounts for an operation. Out is what it has given away, in bits, with the data
// of the entries; private says that it has collections of its own, and that more may be
// lost with them.
func (l *ledger) book(name string, out int, private bool, entries ...seeding.Entry) {
	l.t.Helper()
	l.settle()
	r, st := l.r, l.r.Status()
	fail := func(format string, args ...any) {
		l.t.Helper()
		l.t.Errorf("%s: %s", name, fmt.Sprintf(format, args...))
	}

	size := l.bookCalls()
	// What came in, and what of it is beyond the most that a source counts for in a seed.
	in, beyond := 0, 0
	for i := range st.Sources {
		n := int(st.Sources[i].TotalCredited - l.credited[i])
		in += n
		beyond += max(0, l.left[i]+n-maxRequestBits)
	}
	for _, p := range l.places {
		switch {
		case p.credit >= 0:
		case st.PredictionResistance.Seeds > l.prSeeds:
			p.credit = st.PredictionResistance.LastCredit
		default: // SetDRNG
			p.credit = st.Instances[0].LastCredit
		}
	}
	l.prSeeds = st.PredictionResistance.Seeds
	seeds := 0
	for _, p := range l.places {
		found := l.find(p, p.seed, true)
		l.find(p, p.additional, false)
		// Beside what is found the pool has a part, and what was hashed.
		if p.credit < 256 || found > p.credit+beyond {
			fail("%s with %d bits, of which %d are in it", p.name, p.credit, found)
		}
		seeds += p.credit
		l.made[p.name]++
	}
	l.places = nil
	for _, e := range entries {
		if e.Credit < 1 || e.Credit > 8*len(e.Data) || e.Credit > maxRequestBits {
			fail("%d bits of %s in %d bytes", e.Credit, e.Name, len(e.Data))
		}
		found := l.find(&ledgerPlace{name: "a seed buffer"}, e.Data, true)
		if len(e.Data) >= 8 && e.Name != "auxiliary" && found != e.Credit {
			fail("an entry with %d bits of %s, whose data have %d", e.Credit, e.Name, found)
		}
		l.made["a seed buffer"]++
	}
	if out > 0 || seeds > 0 {
		l.made[name]++
	}
	// Nobody else may have what was private.
	for _, b := range l.blocks {
		if b.place == "" && private {
			data := l.fakes[b.source].Data(b.call, 8)
			if !bytes.Contains(r.acc.seed, data) && !bytes.Contains(r.acc.additional, data) {
				b.place = "an earlier " + name
			}
		}
	}

	before, left := total(l.left), seeding.Sum(r.acc.credits)
	lost := before + in - seeds - out - left
	hashed := l.filled+size > maxAccumulated
	if lost < 0 || lost > beyond && !private && !hashed {
		fail("%d bits were in the accumulator, %d came in, %d went into seeds, %d out, %d are left", before, in, seeds, out, left)
	}
	if hashed {
		l.made["hashed"]++
	}
	for i, c := range r.acc.credits {
		l.left[i] = c.Bits
		if c.Bits < 0 || c.Bits > maxRequestBits {
			fail("source %d has %d bits in the accumulator", i, c.Bits)
		}
	}
	if st.Entropy != left {
		fail("the status says %d bits, the accumulator has %d", st.Entropy, left)
	}
	last := len(l.fakes)
	drawn := int(st.Sources[last].TotalCredited - l.credited[last])
	if pool := r.aux.Available(1 << 20); pool != l.pool-drawn || pool > l.width {
		fail("the pool had %d bits and has %d, was credited with %d, and is %d wide", l.pool, pool, drawn, l.width)
	}

	l.pool, l.filled = l.pool-drawn, len(r.acc.seed)
	for i := range st.Sources {
		l.credited[i] = st.Sources[i].TotalCredited
	}
}

func total(bits []int) (sum int) {
	for _, n := range bits {
		sum += n
	}
	return sum
}

// step is one random operation.
func (l *ledger) step(rnd *rand.Rand) {
	r := l.r
	// No other time ends at half of a millisecond.
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Duration(1+rnd.IntN(4000))*time.Millisecond+time.Millisecond/2)
	defer cancel()
	b := make([]byte, 1+rnd.IntN(80))
	fresh := func(reader any) (n int, err error) {
		if rnd.IntN(2) == 0 {
			return reader.(FreshReader).TryRead(b)
		}
		return reader.(FreshReader).ReadContext(ctx, b)
	}
	switch rnd.IntN(12) {
	case 0:
		p := make([]byte, rnd.IntN(65))
		bits := rnd.IntN(8*len(p)+8) - 4
		if r.sources[len(l.fakes)].info.MaxEntropy == 0 {
			bits = min(bits, 0) // FIPS mode
		}
		err := r.AddEntropy(p, bits)
		if ok := bits >= 0 && bits <= 8*len(p); ok != (err == nil) {
			l.t.Errorf("AddEntropy of %d bits in %d bytes: %v", bits, len(p), err)
		} else if ok {
			l.pool = min(l.width, l.pool+bits)
		}
		l.book("AddEntropy", 0, false)
	case 1:
		r.ReadContext(ctx, b)
		l.book("Read", 0, false)
	case 2:
		r.Nonblocking().Read(b)
		l.book("Nonblocking", 0, false)
	case 3:
		r.Reseed(ctx)
		l.book("Reseed", 0, false)
	case 4:
		l.getSeed(ctx, []int{1, 100, 256, 384, 1000}[rnd.IntN(5)])
	case 5:
		n, _ := fresh(r.SeedReader())
		out := 0 // for all blocks that are complete (C11)
		for ; n > 0; n -= 32 {
			out += 8*min(n, 32) + 64
		}
		l.book("SeedReader", out, true)
	case 6:
		b = b[:min(len(b), 32)] // one block
		fresh(r.PredictionResistant())
		l.book("PredictionResistant", 0, true)
	case 7:
		i := rnd.IntN(len(l.fakes))
		bits := rnd.IntN(ledgerInfos[i].MaxEntropy+50) - 5
		err := r.SetSourceRate(ledgerInfos[i].Name, bits)
		if ok := bits >= 0 && bits <= ledgerInfos[i].MaxEntropy; ok != (err == nil) {
			l.t.Errorf("SetSourceRate of %d bits for %s: %v", bits, ledgerInfos[i].Name, err)
		} else if ok {
			l.rates[i] = bits
		}
	case 8:
		f := l.fakes[1+rnd.IntN(len(l.fakes)-1)]
		f.SetDead([]error{nil, errDry}[rnd.IntN(2)])
		f.SetRate(1 + rnd.IntN(512))
	case 9:
		l.revive()
		c := []conditioner.Conditioner{conditioner.SHA256, conditioner.SHA384, conditioner.SHA512, conditioner.SHA3_256}[rnd.IntN(4)]
		if err := r.SetConditioner(c); err != nil {
			l.t.Error(err)
		}
		l.width = c.Width()
		l.pool = min(l.pool, l.width)
	case 10:
		time.Sleep(time.Duration(rnd.IntN(60)) * time.Second)
		l.book("time", 0, false)
	case 11:
		l.revive()
		if err := r.SetDRNG(l.mechanism); err != nil {
			l.t.Error(err)
		}
		l.book("SetDRNG", 0, true)
	}
}

// getSeed is the operation that gives the data of sources away.
func (l *ledger) getSeed(ctx context.Context, bits int) {
	p, credit, err := l.r.GetSeed(ctx, bits)
	var buf seeding.Buffer
	if err == nil {
		err = buf.UnmarshalBinary(p)
		if err != nil || credit < bits || buf.Credit() != credit {
			l.t.Errorf("GetSeed of %d bits: %d, and %d in the buffer: %v", bits, credit, buf.Credit(), err)
		}
	}
	l.book("GetSeed", credit, true, buf.Entries...)
}

// revive ends all faults that were set from outside.
func (l *ledger) revive() {
	for i, f := range l.fakes {
		f.SetDead(nil)
		f.SetRate(512)
		l.rates[i] = ledgerInfos[i].MaxEntropy
		if err := l.r.SetSourceRate(ledgerInfos[i].Name, l.rates[i]); err != nil {
			l.t.Error(err)
		}
	}
}

// Sequence number i has the same operations and faults each time.
func TestLedger(t *testing.T) {
	sequences := uint64(60)
	if testing.Short() {
		sequences = 20
	}
	long, _ := time.ParseDuration(os.Getenv("LRNG_LONG"))
	end := time.Now().Add(long)
	made := make(map[string]int)
	for i := uint64(0); i < sequences || time.Now().Before(end); i++ {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(4, i))
			l := newLedger(t, rnd, i%4 == 3)
			for k := range 40 {
				if l.step(rnd); t.Failed() {
					t.Fatalf("that was step %d of sequence %d", k, i)
				}
			}
			l.revive()
			if err := l.r.Reseed(t.Context()); err != nil {
				t.Error(err)
			}
			if l.book("Reseed", 0, false); total(l.left) != 0 {
				t.Errorf("%d bits are in the accumulator after a seed", l.left)
			}
			for what, n := range l.made {
				made[what] += n
			}
		})
	}
	// Is it what it is meant to be?
	for _, what := range []string{"a seed", "a seed buffer", "GetSeed", "SeedReader", "PredictionResistant", "SetDRNG", "hashed"} {
		if made[what] < int(sequences)/5 {
			t.Errorf("%d of: %s", made[what], what)
		}
	}
	t.Log(made)
}

// The accumulator by itself: a source has at most 512 bits in it, and a hash holds no more
// than it is wide, less the margin, which is paid once. Nothing is ever added.
func TestAccumulatorLedger(t *testing.T) {
	r := white(t, Config{Sources: []es.Source{scripted("a"), scripted("b"), scripted("c")}, DRNG: ctr(drng.CTRConfig{})})
	rounds := uint64(200)
	if testing.Short() {
		rounds = 50
	}
	for i := range rounds {
		rnd := rand.New(rand.NewPCG(5, i))
		a := accumulatorOf(t, r)
		c := []conditioner.Conditioner{conditioner.SHA256, conditioner.SHA384, conditioner.SHA512}[rnd.IntN(3)]
		margin, paid, in, hashed := rnd.IntN(2)*64, 0, 0, false
		for range 1500 {
			k, size := rnd.IntN(3), 1+rnd.IntN(64)
			credit := rnd.IntN(8*size+1) >> rnd.IntN(10)
			a.add(k, credit, make([]byte, size), size)
			in += credit
			before, long := slices.Clone(a.credits), len(a.seed) > maxAccumulated
			a.shorten(c, margin)
			most := in
			if long {
				most = min(in-paid, c.Width())
				if !hashed {
					paid, most = margin, most-margin
				}
			}
			if sum := seeding.Sum(a.credits); sum > max(0, most) || sum > in-paid && sum > 0 {
				t.Fatalf("%d bits in the accumulator; %d came in, %s holds %d, margin %d", sum, in, c.Name(), c.Width(), paid)
			}
			least := seeding.Sum(before)
			if long {
				least = min(least, c.Width()) - 1 // what a hash holds is not quite what it is wide
			}
			if long && !hashed {
				least -= margin
			}
			hashed = hashed || long
			if sum := seeding.Sum(a.credits); sum < least {
				t.Fatalf("%d of %d bits are left; %s is %d wide, margin %d", sum, seeding.Sum(before), c.Name(), c.Width(), margin)
			}
			for k, now := range a.credits {
				if now.Bits < 0 || now.Bits > maxRequestBits || now.Bits > before[k].Bits || !long && now.Bits != before[k].Bits {
					t.Fatalf("source %d had %d bits and has %d", k, before[k].Bits, now.Bits)
				}
			}
		}
	}
}

// A seed that was shortened in its last round is one digest, however long a seed the
// mechanism wants. It is used all the same.
func TestSeedOfOneDigest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := estest.New(es.Info{Name: "a", MaxEntropy: 512, Health: true}, estest.OK(255), estest.OK(0).Times(255), estest.OK(256))
		r := white(t, Config{Sources: []es.Source{src}, Conditioner: conditioner.SHA256, DRNG: ctr(drng.CTRConfig{})})
		if _, err := r.Read(make([]byte, 16)); err != nil {
			t.Fatal(err)
		}
		if st := r.Status(); st.SeedFailures != 0 || st.Rounds != 257 {
			t.Errorf("%d seeds were refused, %d rounds", st.SeedFailures, st.Rounds)
		}
	})
}
