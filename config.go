package lrng

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"reflect"
	"runtime"
	"time"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/seeding"
)

// Config says how a generator is built. Each zero field means the recommended
// value, and the zero Config is the recommended one.
//
// It is passed by value and copied: changing it afterwards, or what its slices
// hold, has no effect on a generator.
type Config struct {
	// Sources are the entropy sources. Their order is the order of the seed
	// buffer, their names must differ. nil: [DefaultSources].
	//
	// If there is no *es.Auxiliary among them, the generator adds one of its
	// own at the end, for [RNG.AddEntropy].
	Sources []es.Source

	// DRNG makes one instance of the mechanism; it is called for each shard.
	// nil: ChaCha20, or CTR_DRBG with AES-256 in FIPS mode.
	DRNG func() (drng.DRNG, error)

	// Conditioner is the hash of the auxiliary pool, of [RNG.SeedReader] and of
	// seeds that are gathered in very many small parts. nil: SHA-512.
	Conditioner conditioner.Conditioner

	// Strategy says when the generator is seeded. nil: seeding.Default, or
	// seeding.Oversample in FIPS mode.
	Strategy seeding.Strategy

	// Shards is the number of instances between which callers are spread,
	// 1…4096. 0: GOMAXPROCS.
	Shards int

	// OutputBuffer is how many bytes of output each shard makes of the same fresh bytes of
	// the operating system, and ahead of need, at most 65536. Ahead is fast, but a machine that
	// is cloned hands out the same bytes twice: see Twins in the documentation of the package.
	//
	// 0: automatic, 1024 where the processor says that it is not a virtual one, or
	// where clones are noticed in time, else none. Positive: so many (none if ReseedInterval
	// is negative), for those who know that nobody clones their machine: more take less time
	// on average. No more than 992 bytes are generated at a time, so that no read waits
	// for long. Negative: none, also for processes that are checkpointed and restored, which nothing
	// counts. With none each read is combined with fresh bytes of the operating system. A long read
	// has them for each 16384 bytes, or each OutputBuffer if that is more.
	OutputBuffer int

	// ReseedInterval is the age at which shard 0 is due for a new seed; shard n
	// is n sixths of an interval, but at most one interval, behind. 0: 10 minutes.
	// Negative: each request waits for a new seed, those of [RNG.Nonblocking] for
	// one round of the sources.
	ReseedInterval time.Duration

	// ReseedRequests is the number of requests after which a shard is due for a
	// new seed. A request is a call of Read, or 4096 bytes of a longer one. 0:
	// 2²⁰. It has no effect above MaxWithoutReseed.
	ReseedRequests uint64

	// ReseedBits is the number of output bits after which a shard is unseeded;
	// it is due at three quarters of it. AIS 20/31 wants 2¹⁷ for DRG.4. At least
	// 256. 0: no limit.
	ReseedBits uint64

	// MaxWithoutReseed is the number of requests after which a shard that could
	// not be reseeded is unseeded, at most 2⁴⁸. 0: 2³⁰, or less where the
	// mechanism allows less.
	MaxWithoutReseed uint64

	// Personalization goes into the first seed of each instance as its
	// personalization string (SP 800-90A, Section 8.7.1), at most 2²⁰ bytes. It
	// need not be secret or random, and should differ between programs.
	Personalization []byte

	// Memory is the least grade of memory for the state of the generator: New, SetDRNG
	// and, in a child process, each seed fail where the system grants less. See Memory
	// in the documentation of the package. A mechanism that is not of package drng keeps
	// its state where it likes, and so does CTR_DRBG in FIPS mode: nothing but MemoryAny
	// goes together with these.
	Memory MemoryGrade

	// Hardened has nothing of the state of a mechanism, and no byte of the operating system for
	// it, in a register while a signal may arrive: signals put registers on stacks, where core
	// dumps find them. All signals are blocked around each block of output, for
	// microseconds at most, registers are cleared after it, and bytes of the operating
	// system come by the system call. A request costs about a microsecond more.
	//
	// It takes Linux on amd64 with AVX2, or on arm64, and the ChaCha20 mechanism; New and
	// SetDRNG return an error that says what is missing. It does not cover what sources and
	// the conditioner compute, nor copies of what they collect on its way to the mechanism:
	// see docs/threats.md.
	Hardened bool

	// FIPS says whether the generator keeps to what FIPS 140-3 allows.
	FIPS FIPSMode

	// Logger receives what happens: levels, reseeds, failures; counts and bits,
	// never data. Its handler may read from the same generator if that is fully
	// seeded and reseeds by itself; it must not wait for a seed, nor call the methods
	// that collect, switch or close. docs/observability.md lists the events. nil: silent.
	Logger *slog.Logger
}

// Limits and defaults. Those of LRNG, except where stated.
const (
	// maxChunk is the longest request to a mechanism, in bytes. SP 800-90A, Table
	// 2 allows 2¹⁶. Less keeps the time short for which a shard is locked.
	maxChunk = 1 << 12

	defaultReseedRequests   = 1 << 20
	defaultMaxWithoutReseed = 1 << 30
	defaultReseedInterval   = 10 * time.Minute

	// SP 800-90A, Table 2: at most 2⁴⁸ requests between reseeds.
	maxRequestsBetweenSeeds = 1 << 48

	maxShards          = 1 << 12
	maxOutputBuffer    = 1 << 16
	minReseedBits      = 256
	maxPersonalization = 1 << 20

	// autoOutputBuffer is OutputBuffer where it is automatic and clones cannot do harm.
	autoOutputBuffer = 1 << 10

	// refillSize is how many bytes are generated ahead at a time, at most: 15½ blocks of
	// ChaCha20, so that the rest of the 16 that are computed side by side is the next key. It
	// is a size at which a refill costs less than the reads that it serves, and is hardly seen
	// in the slowest of them.
	refillSize = 31 * 32

	// staleMost is how many bytes are generated ahead with the same fresh inputs, at most, where
	// each read is combined with inputs of its own. A refill that takes some is so rare that
	// it is not among the slowest of a thousand reads of 32 bytes.
	staleMost = 1 << 16

	// maxRequestBits is the most that a strategy may ask of a source: what the
	// widest conditioning component yields.
	maxRequestBits = 512

	// minAdditional is the least length of additional input that a mechanism must
	// take, in bytes: 128 bits of the operating system, the time and a counter.
	minAdditional = 32

	// minStrength is the least security strength of a mechanism, in bits.
	minStrength = 128
)

// DefaultSources returns a new set of the sources that the zero [Config] uses:
// CPU jitter, the random number generator of the processor, and the operating
// system's, in this order. It serves to build a list that has others beside them.
func DefaultSources() []es.Source {
	return []es.Source{
		es.NewJitter(es.JitterConfig{}),
		es.NewCPU(es.CPUConfig{}),
		es.NewOS(es.OSConfig{}),
	}
}

// withDefaults returns a copy in which no field is left to be chosen, or an
// error that names the field which cannot be used.
func (c Config) withDefaults(policy fipsPolicy) (Config, error) {
	c.Sources = append([]es.Source(nil), c.Sources...)
	c.Personalization = bytes.Clone(c.Personalization)

	switch {
	case c.Shards < 0 || c.Shards > maxShards:
		return c, fmt.Errorf("lrng: Config.Shards: %d; want 0…%d", c.Shards, maxShards)
	case c.OutputBuffer > maxOutputBuffer:
		return c, fmt.Errorf("lrng: Config.OutputBuffer: %d bytes; the most is %d", c.OutputBuffer, maxOutputBuffer)
	case c.ReseedRequests > maxRequestsBetweenSeeds:
		return c, fmt.Errorf("lrng: Config.ReseedRequests: %d; the most is 2^48 (SP 800-90A, Table 2)", c.ReseedRequests)
	case c.MaxWithoutReseed > maxRequestsBetweenSeeds:
		return c, fmt.Errorf("lrng: Config.MaxWithoutReseed: %d; the most is 2^48 (SP 800-90A, Table 2)", c.MaxWithoutReseed)
	case c.ReseedBits != 0 && c.ReseedBits < minReseedBits:
		return c, fmt.Errorf("lrng: Config.ReseedBits: %d bits; the least is %d", c.ReseedBits, minReseedBits)
	case c.Memory < 0 || int(c.Memory) >= len(memoryNames):
		return c, fmt.Errorf("lrng: Config.Memory: %v is not defined", c.Memory)
	case len(c.Personalization) > maxPersonalization:
		return c, fmt.Errorf("lrng: Config.Personalization: %d bytes; the most is %d", len(c.Personalization), maxPersonalization)
	}
	if c.Shards == 0 {
		c.Shards = min(runtime.GOMAXPROCS(0), maxShards)
	}
	if c.ReseedInterval == 0 {
		c.ReseedInterval = defaultReseedInterval
	}
	if c.ReseedRequests == 0 {
		c.ReseedRequests = defaultReseedRequests
	}
	if c.MaxWithoutReseed == 0 {
		c.MaxWithoutReseed = defaultMaxWithoutReseed
	}
	if c.DRNG == nil && policy.on {
		c.DRNG = func() (drng.DRNG, error) { return drng.NewCTR(drng.CTRConfig{}) }
	}
	if c.DRNG == nil {
		c.DRNG = func() (drng.DRNG, error) { return drng.NewChaCha20(), nil }
	}
	if c.Conditioner == nil {
		c.Conditioner = conditioner.SHA512
	}
	if c.Strategy == nil && policy.on {
		c.Strategy = seeding.Oversample
	}
	if c.Strategy == nil {
		c.Strategy = seeding.Default
	}
	return c, nil
}

func checkConditioner(c conditioner.Conditioner) error {
	var h hash.Hash
	if err := guard(func() { h = c.New(); c.Name(); c.Width() }); err != nil {
		return err
	}
	switch {
	case c.Name() == "":
		return errors.New("the name is empty")
	case h == nil:
		return fmt.Errorf("%q: New returned nil", c.Name())
	case c.Width() < 256 || c.Width() > maxRequestBits || c.Width()%8 != 0 || 8*h.Size() != c.Width():
		return fmt.Errorf("%q is %d bits wide with %d bits of output; want the same, 256…%d", c.Name(), c.Width(), 8*h.Size(), maxRequestBits)
	}
	if t, ok := c.(interface{ SelfTest() error }); ok {
		return t.SelfTest()
	}
	return nil
}

// checkStrategy refuses what cannot be a strategy for the given strength.
func checkStrategy(s seeding.Strategy, strength int) error {
	var err error
	if e := guard(func() { err = checkVerdicts(s, strength) }); e != nil {
		return e
	}
	return err
}

func checkVerdicts(s seeding.Strategy, strength int) error {
	if s.Name() == "" || len(s.Name()) > 255 {
		return fmt.Errorf("a name of %d bytes; want 1…255", len(s.Name()))
	}
	for _, st := range []seeding.Stage{seeding.Initial, seeding.Reseed, seeding.PredictionResistance} {
		if n := s.Request(strength, st); n < 1 || n > maxRequestBits {
			return fmt.Errorf("%q asks for %d bits (%v); want 1…%d", s.Name(), n, st, maxRequestBits)
		}
		if l := s.Level(nil, strength, st); l != seeding.Unseeded {
			return fmt.Errorf("%q calls a generator without any entropy %v (%v)", s.Name(), l, st)
		}
	}
	return nil
}

// safeStrategy keeps a strategy that panics from taking the locks with it that are
// held when it is asked: it then makes no level.
type safeStrategy struct{ seeding.Strategy }

func (s safeStrategy) Level(c []seeding.Credit, strength int, st seeding.Stage) (level seeding.Level) {
	if guard(func() { level = s.Strategy.Level(c, strength, st) }) != nil {
		return seeding.Unseeded
	}
	return level
}

func (s safeStrategy) Request(strength int, st seeding.Stage) (bits int) {
	if guard(func() { bits = s.Strategy.Request(strength, st) }) != nil {
		return strength
	}
	return bits
}

// explain returns the verdict of the strategy in words, or "".
func (s safeStrategy) explain(c []seeding.Credit, strength int, st seeding.Stage) (verdict string) {
	if e, ok := s.Strategy.(seeding.Explainer); ok {
		guard(func() { verdict = e.Explain(c, strength, st) })
	}
	return verdict
}

// conditioning returns the demands of the strategy on conditioning components.
func (s safeStrategy) conditioning() (margin, width int) {
	if c, ok := s.Strategy.(seeding.Conditioning); ok {
		guard(func() { margin, width = c.Conditioning() })
	}
	return margin, width
}

// known is a set of instances: two shards with one state would race, and give the same
// output.
type known map[uintptr]bool

var errSameInstance = errors.New("returned the same instance twice")

// add adds an instance, unless it is there already. Types that are not pointers, or
// point to nothing that has a size, cannot be told apart.
func (k known) add(d drng.DRNG) error {
	v := reflect.ValueOf(d)
	if v.Kind() != reflect.Pointer || v.Type().Elem().Size() == 0 {
		return nil
	}
	if k[v.Pointer()] {
		return errSameInstance
	}
	k[v.Pointer()] = true
	return nil
}

// checkMechanism refuses what cannot be a mechanism, or is not a new one.
func checkMechanism(d drng.DRNG, err error) error {
	if err != nil {
		return err
	}
	if d == nil {
		return errors.New("returned nil")
	}
	if e := guard(func() { err = checkInstance(d) }); e != nil {
		return e
	}
	return err
}

func checkInstance(d drng.DRNG) error {
	switch info := d.Info(); {
	case info.Name == "":
		return errors.New("empty Info().Name")
	case info.SecurityStrength < minStrength || info.SecurityStrength > maxRequestBits:
		return fmt.Errorf("%s: Info().SecurityStrength: %d bits; want %d…%d", info.Name, info.SecurityStrength, minStrength, maxRequestBits)
	case info.MaxRequest < 1:
		return fmt.Errorf("%s: Info().MaxRequest: %d bytes", info.Name, info.MaxRequest)
	case info.SeedSize < 0 || 8*info.SeedSize > maxRequestBits || info.SeedSize != 0 && 8*info.SeedSize < info.SecurityStrength:
		return fmt.Errorf("%s: Info().SeedSize: %d bytes for %d bits of strength", info.Name, info.SeedSize, info.SecurityStrength)
	case info.MaxAdditional < 0 || info.MaxAdditional != 0 && info.MaxAdditional < minAdditional:
		return fmt.Errorf("%s: Info().MaxAdditional: %d bytes; the least is %d", info.Name, info.MaxAdditional, minAdditional)
	case info.ReseedInterval < 1:
		return fmt.Errorf("%s: Info().ReseedInterval: 0 requests", info.Name)
	}
	var out [1]byte
	if d.Generate(out[:], nil) == nil {
		return fmt.Errorf("%s: the instance is seeded already", d.Info().Name)
	}
	return nil
}
