// Package hwrand reads single words from the random number generator of the
// CPU.
//
// It executes only what the CPU announces, tries again as often as the makers
// recommend, and leaves out processors that are known to be faulty. What it
// returns is not tested: a word may be zero, all ones, or the one before. The
// start-up test and the continuous test are those of the source, es.CPU.
//
// It has instructions for
//
//   - amd64: RDSEED and RDRAND;
//   - arm64: RNDRRS and RNDR of Armv8.5, where Linux, FreeBSD or macOS announces
//     them. No CPU of Apple has them so far, and Windows does not tell;
//   - ppc64 and ppc64le: DARN of Power ISA 3.0 (POWER9), on Linux;
//   - s390x: the function TRNG of PRNO, which came with the z14.
//
// On other architectures, and with the build tag purego, there is no generator.
// That of riscv64, the seed register of Zkr, is closed to programs unless the
// firmware and the kernel open it, which nothing announces; reading it there ends
// the process.
//
// On amd64 the instructions were run and measured on processors, on the others
// only under QEMU, where the words are those of the host. How long a word takes,
// and how often there is none, is known on amd64 only.
//
// Nothing is executed at import.
package hwrand

import "sync"

// A Kind says what the words of a generator are.
type Kind int

const (
	// None is the kind of no generator.
	None Kind = iota

	// DRBG words are the output of a deterministic generator in the CPU, which
	// reseeds itself from the noise source there at times of its own: RDRAND, and
	// RNDR. More words do not mean more entropy until it does.
	DRBG

	// Diluted words are the noise of the CPU after its own conditioning, of which
	// the maker promises half a bit of entropy for each bit: DARN.
	Diluted

	// Seed words are made to seed other generators, and Linux counts them as full
	// entropy: RDSEED and TRNG give noise after the conditioning of the CPU, RNDRRS
	// what a deterministic generator delivers right after it was reseeded.
	Seed

	kinds // their number
)

// Available returns the best kind of generator that the machine has: Seed
// before Diluted before DRBG. If it has none that can be used, the error says
// why. Available always returns the same values, and does not execute the
// generator.
func Available() (Kind, error) {
	m := detected()
	for _, k := range []Kind{Seed, Diluted, DRBG} {
		if m.generators[k].step != nil {
			return k, nil
		}
	}
	return None, m.reason
}

// Name returns the name of the instruction behind generator k on this machine,
// as "RDSEED", or "none".
func Name(k Kind) string {
	if g := generatorOf(k); g.step != nil {
		return g.name
	}
	return "none"
}

// Word returns one word of generator k.
//
// It returns false if the generator has no word to give at present, or if the
// machine has no generator of that kind, whatever else it has. It then has
// tried a limited number of times and spent, on amd64, no more than about 50 µs;
// a caller who tries again should let others run before. Word does not allocate
// and may be called concurrently; the hardware is shared by all.
func Word(k Kind) (w uint64, ok bool) {
	g := generatorOf(k)
	return g.word(pause)
}

// Step returns what executes the instruction behind generator k once: for callers to whom
// every nanosecond counts, and a missing word is no matter. It is nil if the machine has no
// such generator.
func Step(k Kind) func() (w uint64, ok bool) { return generatorOf(k).step }

func generatorOf(k Kind) generator {
	if k <= None || k >= kinds {
		return generator{}
	}
	return detected().generators[k]
}

// A machine is what the CPU offers.
type machine struct {
	generators [kinds]generator
	reason     error // why there is none
}

// detected asks detect, which each architecture has, once.
var detected = sync.OnceValue(func() *machine {
	m := detect()
	return &m
})

// A generator is one instruction. The zero value has no words.
type generator struct {
	name  string
	step  func() (uint64, bool) // executes it once; false if it has no word
	tries int                   // how often at most, for one word
}

// pauses is the number of PAUSE instructions, or what the architecture has like
// it, between two tries. It was found on amd64: on a Xeon where RDSEED fails in
// three executions of four a word takes up to 14 tries with no pause between
// them, and 24 % of the words take more than 10. With 16 pauses none took more
// than 9.
const pauses = 16

// word tries until the generator has a word.
func (g *generator) word(pause func(n int)) (w uint64, ok bool) {
	for i := range g.tries {
		if i > 0 {
			pause(pauses)
		}
		if w, ok = g.step(); ok {
			return w, true
		}
	}
	return 0, false
}
