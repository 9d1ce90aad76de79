package es

import (
	"context"
	"crypto/sha512"
	"fmt"
	"math"
	"runtime"
	"slices"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/internal/hwrand"
	"github.com/lrng-go/lrng/internal/zero"
)

// CPUConfig configures a [CPU] source. The zero value is the recommended
// configuration.
type CPUConfig struct {
	// Rate is the min-entropy credited for 256 bits of data, in bits: 1…256. 0 is
	// the recommended 8, as in LRNG; a negative rate is no credit, and one above
	// 256 an error.
	//
	// The recommended rate is low because nobody but the maker can inspect the
	// generator. Its output comes out of AES: a noise source that died, or that
	// somebody knows, looks from outside like a perfect one. With 8 bits the
	// source never completes a seed, and is still worth its place in one. Who
	// trusts the maker sets 256.
	Rate int
}

// CPU is the random number generator of the processor:
//
//   - amd64: RDSEED, or RDRAND where the processor has no RDSEED;
//   - arm64: RNDRRS, where Linux, FreeBSD or macOS announces it;
//   - ppc64 and ppc64le: DARN, on Linux;
//   - s390x: the function TRNG of PRNO.
//
// Elsewhere, with the build tag purego, and on a processor that does not announce
// the instruction, the source is unavailable. That includes riscv64, whose
// generator is closed to programs, and all processors of Apple so far.
//
// RDSEED and TRNG deliver noise that the processor conditioned, RNDRRS the output
// of a generator that was reseeded for it. Such words are delivered as they are.
//
// Of DARN the maker promises half a bit of entropy for each bit (Power ISA 3.0 B,
// "Deliver A Random Number"). So many words are compressed with SHA-512 that they
// hold 64 bits more than are delivered, which is the margin of SP 800-90C for full
// entropy.
//
// RDRAND delivers the output of a deterministic generator in the processor, which
// has no more entropy than the seed of that generator, however much is read. A
// processor with RDRAND only is therefore read until the generator must have
// reseeded, once for each 128 bits, and the words are compressed with SHA-512.
//
// Two instructions are never mixed: on a processor with RDSEED a failing RDSEED is
// a failure.
//
// # Health tests
//
// The raw noise stays in the processor, with the tests that the maker runs on
// it. The tests here look for the known defects of what leaves it: words that
// are zero or all ones although the instruction reported success, and words
// that repeat. Such a word is bad. Each call of GetEntropy begins with a
// start-up test of 8 words, none of which is delivered; the third bad one among
// them is an alarm. After it a bad word is replaced by the next, and the third
// in a row is an alarm. Both are a [*HealthError], for this call only: as the
// next one tests anew, one failed read does not disable the source, and a
// generator that broke while the machine was suspended is noticed by the first
// call after that. These tests do not replace the RCT and the APT of SP
// 800-90B, Section 4.4, which would have to see the raw noise.
//
// # Security
//
// Its data are meant to be one input of several to a generator, never to be
// used as they are: other code on the machine may be able to observe the
// generator (CVE-2020-0543), and a hypervisor can replace it.
//
// A CPU has no state: it keeps no word from one call to the next. It is safe
// for concurrent use and holds nothing that has to be wiped.
type CPU struct {
	kind    hwrand.Kind
	word    func() (uint64, bool) // one word, with the tries and pauses that the hardware needs
	rate    rate
	invalid error // what is wrong with the configuration
	missing error // why there is no generator
}

// NewCPU returns the source with configuration c. It looks for the generator
// by what the processor announces, and executes nothing.
func NewCPU(c CPUConfig) *CPU {
	kind, why := hwrand.Available()
	return newCPU(c, kind, why, func() (uint64, bool) { return hwrand.Word(kind) })
}

// newCPU is NewCPU for a generator of the given kind, which word reads. If kind
// is None, why says why.
func newCPU(c CPUConfig, kind hwrand.Kind, why error, word func() (uint64, bool)) *CPU {
	s := &CPU{kind: kind, word: word}
	s.rate, s.invalid = newRate("CPUConfig", c.Rate, 8)
	if kind == hwrand.None {
		s.rate = 0
		s.missing = fmt.Errorf("es: cpu: %w: %w", why, ErrUnavailable)
	}
	return s
}

const (
	// cpuStartUp is the number of words in the start-up test, as in Linux and in
	// the getrandom crate of Rust.
	cpuStartUp = 8

	// cpuCutoff is the number of bad words that raises the alarm: the start-up
	// test of the getrandom crate passes with two repetitions in eight words. A
	// sound generator delivers a bad word with probability at most 11·2⁻⁶⁴ (zero,
	// all ones, the last word, one of eight), three of eight with less than
	// 2⁻¹⁷⁵.
	cpuCutoff = 3

	// cpuWindows is how often a word is asked for. Each time hwrand tries as long
	// as it may without a break; between them others may run. If 24 % of these
	// attempts fail, as those of 10 tries without a pause do on a Xeon, all fail
	// with probability 2⁻³².
	cpuWindows = 16

	// cpuInterval is the amount of RDRAND words, in bytes, that holds one reseed:
	// at most 511 samples of 128 bits come from one seed (Intel, Digital Random
	// Number Generator Software Implementation Guide, Revision 2.1, Section
	// 3.2.3), so 512 do. The seed is good for cpuPerReseed bytes, as the generator
	// is AES-128 in counter mode. It is the factor of LRNG, 512. Processors of AMD
	// that are accepted here have RDSEED unless a hypervisor hides it, and RNDR of
	// Arm, of which nobody says how often it reseeds, never comes without RNDRRS.
	cpuInterval  = 512 * cpuPerReseed
	cpuPerReseed = 16

	// cpuDilution is the number of bytes of DARN words that hold the entropy of
	// one, as in LRNG, and cpuMargin the bytes of entropy by which the input of
	// SHA-512 exceeds its output for full entropy (SP 800-90C, Section 3.2.2.2).
	cpuDilution = 2
	cpuMargin   = 8
)

// Info describes the source. MaxEntropy is 0 if there is no generator.
func (s *CPU) Info() Info {
	return Info{Name: "cpu", MaxEntropy: s.rate.max(), Health: true}
}

// Validate returns what is wrong with the configuration. That the processor has
// no generator is not an error of the configuration.
func (s *CPU) Validate() error { return s.invalid }

// Available returns the credit for that many bits of data, 0 if there is no
// generator.
func (s *CPU) Available(bits int) int { return s.rate.available(bits) }

// GetEntropy fills p with words of the generator, the least significant byte
// first, and credits them with the configured rate.
//
// It returns an error that wraps [ErrUnavailable] if the processor has no
// generator that can be used, or if that has no words at present; a
// [*HealthError] if a test failed; and the error of ctx, which it looks at
// before each word. After an error p is cleared.
//
// With RDSEED 32 bytes take about 7 µs, 8 of the 12 words for the start-up
// test, and no allocation (Zen 4). With RDRAND they take about 0.1 ms, and the
// words one allocation of at most 32 KiB, wiped before it is given up; with DARN
// it is 144 bytes.
func (s *CPU) GetEntropy(ctx context.Context, p []byte, bits int) (credit int, err error) {
	if err := s.collect(ctx, p); err != nil {
		zero.Bytes(p)
		return 0, err
	}
	return s.rate.credit(len(p), bits), nil
}

// collect tests the generator and fills p.
func (s *CPU) collect(ctx context.Context, p []byte) error {
	if err := s.ready(); err != nil {
		return err
	}
	var t cpuTest
	defer t.clear()
	if err := s.startUp(ctx, &t); err != nil {
		return err
	}
	if s.compresses() {
		return s.compress(ctx, &t, p)
	}
	return s.fill(ctx, &t, p)
}

// HealthTest runs the start-up test on words that it then drops.
func (s *CPU) HealthTest(ctx context.Context) error {
	if err := s.ready(); err != nil {
		return err
	}
	var t cpuTest
	defer t.clear()
	return s.startUp(ctx, &t)
}

// GetNoise stores words of the generator in p, the least significant byte
// first, each byte a sample. They are what leaves the processor: conditioned
// there, not tested here.
func (s *CPU) GetNoise(p []byte) (n int, err error) {
	if err := s.ready(); err != nil {
		return 0, err
	}
	for n < len(p) {
		w, err := s.read(context.Background())
		if err != nil {
			return n, err
		}
		n += storeWord(p[n:], w)
	}
	return n, nil
}

// NoiseParameters returns the name of the generator.
func (s *CPU) NoiseParameters() NoiseParameters {
	if s.missing != nil {
		return NoiseParameters{}
	}
	return NoiseParameters{Origin: hwrand.Name(s.kind)}
}

// ready returns the error of every call that needs the generator, if it can
// never have any, or if a self-test has failed. The first call runs those of what the
// source uses.
func (s *CPU) ready() error {
	if s.invalid != nil {
		return s.invalid
	}
	if s.missing != nil {
		return s.missing
	}
	if s.compresses() {
		return runSelfTests("cpu", cpuSelfTest.Once, selfTestOf(conditioner.SHA512))
	}
	return runSelfTests("cpu", cpuSelfTest.Once)
}

// read returns the next word of the generator, untested.
func (s *CPU) read(ctx context.Context) (uint64, error) {
	for range cpuWindows {
		if err := ctx.Err(); err != nil {
			return 0, fmt.Errorf("es: cpu: %w", err)
		}
		if w, ok := s.word(); ok {
			return w, nil
		}
		runtime.Gosched()
	}
	return 0, fmt.Errorf("es: cpu: %s has no words: %w", hwrand.Name(s.kind), ErrUnavailable)
}

// A cpuTest holds the words that those of one call must differ from.
type cpuTest struct {
	startUp [cpuStartUp]uint64 // those of the start-up test; they are never delivered
	last    uint64
}

func (t *cpuTest) clear() {
	zero.Uint64s(t.startUp[:])
	t.last = 0
}

// bad reports whether w cannot count as random.
func (t *cpuTest) bad(w uint64) bool {
	return w == 0 || w == math.MaxUint64 || w == t.last || slices.Contains(t.startUp[:], w)
}

// startUp runs the start-up test, and leaves its words in t.
func (s *CPU) startUp(ctx context.Context, t *cpuTest) error {
	bad := 0
	for i := range t.startUp {
		w, err := s.read(ctx)
		if err != nil {
			return err
		}
		if t.bad(w) {
			bad++
		}
		if bad == cpuCutoff {
			return &HealthError{Source: "cpu", Test: "start-up", Count: bad, Cutoff: cpuCutoff}
		}
		t.startUp[i] = w
	}
	return nil
}

// next returns the next word that is not bad.
func (s *CPU) next(ctx context.Context, t *cpuTest) (uint64, error) {
	for range cpuCutoff {
		w, err := s.read(ctx)
		if err != nil {
			return 0, err
		}
		bad := t.bad(w)
		t.last = w
		if !bad {
			return w, nil
		}
	}
	return 0, &HealthError{Source: "cpu", Test: "repetition", Count: cpuCutoff, Cutoff: cpuCutoff}
}

// fill fills p with good words.
func (s *CPU) fill(ctx context.Context, t *cpuTest, p []byte) error {
	for len(p) > 0 {
		w, err := s.next(ctx, t)
		if err != nil {
			return err
		}
		p = p[storeWord(p, w):]
	}
	return nil
}

// compresses reports whether a word has less entropy than bits.
func (s *CPU) compresses() bool { return s.kind != hwrand.Seed }

// compress fills p with digests of good words. Each has as many words as make
// all its bits good.
func (s *CPU) compress(ctx context.Context, t *cpuTest, p []byte) error {
	words := make([]byte, s.inputSize(min(len(p), sha512.Size)))
	defer zero.Bytes(words)
	for len(p) > 0 {
		in := words[:s.inputSize(min(len(p), sha512.Size))]
		if err := s.fill(ctx, t, in); err != nil {
			return err
		}
		sum := sha512.Sum512(in)
		p = p[copy(p, sum[:]):]
		zero.Bytes(sum[:])
	}
	return nil
}

// inputSize returns how many bytes of words are compressed to n bytes.
func (s *CPU) inputSize(n int) int {
	if s.kind == hwrand.Diluted {
		return (n + cpuMargin) * cpuDilution
	}
	return (n + cpuPerReseed - 1) / cpuPerReseed * cpuInterval
}

// storeWord stores the bytes of w in p, the least significant first, as many as
// fit, and returns their number.
func storeWord(p []byte, w uint64) (n int) {
	for n < min(len(p), 8) {
		p[n] = byte(w)
		w >>= 8
		n++
	}
	return n
}
