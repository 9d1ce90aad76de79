package es_test

import (
	"bytes"
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/es"
)

// Each source can be asked on its own. Programs rather give it to a generator.
// Raw noise for an assessment, with what has to be written down beside it. Samples that
// were handed out are never part of a seed.
func ExampleJitter_GetNoise() {
	j := es.NewJitter(es.JitterConfig{Noise: es.JitterMemory, MemorySize: 1 << 20})
	defer j.Close()

	samples := make([]byte, 1000)
	n, err := j.GetNoise(samples)
	if err != nil {
		log.Fatal(err)
	}
	p := j.NoiseParameters()
	fmt.Printf("%d samples, %d for a bit of entropy, of a memory of %d KiB\n", n, p.OSR, p.MemorySize>>10)
	fmt.Println("the clock has a name:", p.Origin != "")

	times := make([]uint64, 100) // whole, where a sample has the low 8 bits
	n, err = j.GetDeltas(times)
	fmt.Println(n, err)
	// Output:
	// 1000 samples, 6 for a bit of entropy, of a memory of 1024 KiB
	// the clock has a name: true
	// 100 <nil>
}

// The health tests on demand, and what the noise looked like of late.
func ExampleJitter_HealthTest() {
	j := es.NewJitter(es.JitterConfig{})
	defer j.Close()
	if err := j.HealthTest(context.Background()); err != nil {
		log.Fatal(err)
	}
	e := j.NoiseEstimate()
	fmt.Printf("%d windows of 16384 samples so far, warning: %t\n", e.Windows, e.Warning)
	// Output: 0 windows of 16384 samples so far, warning: false
}

// A generator that may take blocks which its source has collected before, and one that
// may not: entropy that has to be fresh is collected during the call.
func ExampleAllowAhead() {
	j := es.NewJitter(es.JitterConfig{Ahead: 4, AheadAge: time.Minute})
	defer j.Close()
	var seed [32]byte
	for _, allowed := range []bool{true, false} {
		ctx := es.AllowAhead(context.Background(), allowed)
		credit, err := j.GetEntropy(ctx, seed[:], 256)
		fmt.Println(credit, err)
	}
	// Output:
	// 256 <nil>
	// 256 <nil>
}

// A processor without a generator is no error of the program: other sources are there.
func ExampleNewCPU() {
	c := es.NewCPU(es.CPUConfig{Rate: 128}) // half a bit of entropy for a bit
	var seed [32]byte
	credit, err := c.GetEntropy(context.Background(), seed[:], 256)
	switch {
	case errors.Is(err, es.ErrUnavailable):
		credit = 128 // for the sake of the output below
	case err != nil:
		log.Fatal(err)
	}
	fmt.Println(credit)
	// Output: 128
}

// Where the generator of the system is itself a validated source, that can be declared.
// A server reports its requests. What is known of an event goes in without credit; its
// time is what is credited.
// Where the generator of the system is itself a validated source, that can be declared.
func ExampleOS_Certificate() {
	source := es.NewOS(es.OSConfig{Certificate: "E123"})
	var certified es.Certified = source
	fmt.Println(source.Info().Name, certified.Certificate())
	// Output: os E123
}

// Before 1124 events nothing is credited: the health tests are at their start-up.
func ExampleEvents_Stats() {
	events := es.NewEvents(es.EventsConfig{})
	defer events.Clear()
	for i := range 10 {
		events.Add(uint32(i)) // a request of that length came in, say
	}
	fmt.Println(events.Available(256), events.Stats().Credited)
	// Output: 0 0
}

// What calls of Add cost in this program, and noise to record.
func ExampleEvents_Cost() {
	events := es.NewEvents(es.EventsConfig{})
	defer events.Clear()
	ticks, samples := make([]uint64, 64), make([]byte, 64)
	events.Cost(ticks)       // from now on
	events.GetNoise(samples) // likewise
	for range 300 {
		events.Add(0)
		time.Sleep(time.Microsecond)
	}
	n := events.Cost(ticks)
	m, err := events.GetNoise(samples)
	fmt.Println(n > 0, m > 0, err)
	// Output: true true <nil>
}

// /dev/hwrng is read ahead, so that nobody waits for it.
// A token of which 64 bits are said to be in 256. It is closed by who made it.
// A program saves a seed at start, each hour, and at its end.
// Where a seed cannot be saved, the error says why. That is no reason to stop.
func ExampleSeedFile_Save() {
	file := es.NewSeedFile(es.SeedFileConfig{Path: "/no/such/directory/seed"})
	defer file.Clear()
	generator := rand.NewChaCha8([32]byte{}) // stands for an lrng.RNG
	err := file.Save(context.Background(), generator)
	_, ok := errors.AsType[*es.SeedFileError](err)
	fmt.Println(ok, errors.Is(err, es.ErrUnavailable))
	// Output: true true
}

// What tells this node from its twins goes into seeds, and is never credited.
// The pool for what a program brings itself. A generator has one of its own: see
// RNG.AddEntropy.
func ExampleAuxiliary_SetConditioner() {
	pool := es.NewAuxiliary(es.AuxiliaryConfig{Oversampling: 64})
	defer pool.Clear()
	if err := pool.Validate(); err != nil {
		log.Fatal(err)
	}
	pool.Notify(func() { fmt.Println("more entropy") })

	if err := pool.Add([]byte("from a hardware token of mine..."), 200); err != nil {
		log.Fatal(err)
	}
	pool.Add([]byte("from somewhere"), 0)
	fmt.Println(pool.Available(256), "available, beyond", pool.Oversampling(), "withheld")

	// The credit moves with the pool to another hash function.
	if err := pool.SetConditioner(conditioner.SHA3_512); err != nil {
		log.Fatal(err)
	}
	var seed [32]byte
	credit, err := pool.GetEntropy(context.Background(), seed[:], 256)
	fmt.Println(credit, err)
	// Output:
	// more entropy
	// 136 available, beyond 64 withheld
	// 136 <nil>
}

// A sensor is hardware that delivers raw noise, and nothing else: no health tests, no
// conditioning, no credit. That is what Monitor is for.
type sensor struct{ noise *rand.ChaCha8 }

func (sensor) Info() es.Info          { return es.Info{Name: "sensor"} }
func (sensor) Available(bits int) int { return 0 }
func (sensor) GetEntropy(ctx context.Context, p []byte, bits int) (int, error) {
	return 0, fmt.Errorf("raw noise only: %w", es.ErrUnavailable)
}
func (s sensor) GetNoise(p []byte) (int, error) { return s.noise.Read(p) }

var _ es.NoiseSource = sensor{}

// Health tests, conditioning and credit around the noise of a sensor. Half a bit is
// claimed for each sample of 8 bits.
type stuck struct{ sensor }

func (stuck) GetNoise(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte{7}, len(p))), nil }

// An alarm is an error that says which test found what.
func ExampleHealthError() {
	source := es.Monitor(stuck{}, es.MonitorConfig{H: 0.5})
	var seed [32]byte
	_, err := source.GetEntropy(context.Background(), seed[:], 256)
	if alarm, ok := errors.AsType[*es.HealthError](err); ok {
		fmt.Printf("%s: %s, %d times\n", alarm.Source, alarm.Test, alarm.Count)
	}
	// Output: sensor: RCT, 61 times
}

// Cards are a source of the entropy of a deck that somebody has shuffled by hand, well:
// 225 bits, given once.
type cards struct {
	mu   sync.Mutex
	deck []byte
}

func (c *cards) Info() es.Info { return es.Info{Name: "cards", MaxEntropy: 225, Slow: true} }

func (c *cards) Available(bits int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.deck) == 0 {
		return 0
	}
	return min(bits, 225)
}

func (c *cards) GetEntropy(ctx context.Context, p []byte, bits int) (credit int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.deck) == 0 {
		return 0, fmt.Errorf("cards: the deck was used: %w", es.ErrUnavailable)
	}
	sum := sha512.Sum512(c.deck)
	defer clear(sum[:])
	clear(c.deck)
	c.deck = nil
	clear(p)
	copy(p, sum[:])
	return min(bits, 225, 8*len(p)), nil
}

// A source of one's own, for Config.Sources of package lrng. Package estest tests whether
// it keeps the rules.
func ExampleSource() {
	var mine es.Source = &cards{deck: []byte("7♠ Q♥ 2♦ A♣ …")}
	var seed [32]byte
	for range 2 {
		credit, err := mine.GetEntropy(context.Background(), seed[:], 256)
		fmt.Println(credit, err)
	}
	// Output:
	// 225 <nil>
	// 0 cards: the deck was used: es: source unavailable
}

// What a source can do besides is seen by its methods.
func ExampleNotifier() {
	for _, s := range []es.Source{
		es.NewJitter(es.JitterConfig{}), es.NewCPU(es.CPUConfig{}), es.NewOS(es.OSConfig{}),
		es.NewEvents(es.EventsConfig{}), es.NewAuxiliary(es.AuxiliaryConfig{}),
	} {
		_, tests := s.(es.HealthTester)
		_, noise := s.(es.NoiseSource)
		_, estimates := s.(es.NoiseEstimator)
		_, notifies := s.(es.Notifier)
		_, configured := s.(es.Validator)
		fmt.Printf("%-10s tests %-5t  noise %-5t  estimates %-5t  notifies %-5t  configured %t\n",
			s.Info().Name, tests, noise, estimates, notifies, configured)
	}
	// Output:
	// jitter     tests true   noise true   estimates true   notifies false  configured true
	// cpu        tests true   noise true   estimates false  notifies false  configured true
	// os         tests false  noise false  estimates false  notifies false  configured true
	// events     tests true   noise true   estimates true   notifies true   configured true
	// auxiliary  tests false  noise false  estimates false  notifies true   configured true
}
