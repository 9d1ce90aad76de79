package hwrand

import (
	"math"
	"os"
	"testing"
	"time"
)

// failing returns a generator that has no word for the first n executions, and
// the number of its executions.
func failing(n, tries int) (generator, *int) {
	count := new(int)
	return generator{"test", func() (uint64, bool) {
		*count++
		return uint64(*count), *count > n
	}, tries}, count
}

// T6: a word is tried for a bounded number of times, with pauses between the
// tries and none before the first or after the last.
func TestTries(t *testing.T) {
	for _, tries := range []int{1, 2, 10, 24} {
		for failures := range tries + 2 {
			g, executed := failing(failures, tries)
			paused := 0
			w, ok := g.word(func(n int) {
				if n != 16 {
					t.Errorf("%d pauses", n)
				}
				paused++
			})
			if want := min(failures+1, tries); *executed != want || paused != want-1 {
				t.Errorf("%d failures, %d tries: executed %d times, paused %d times", failures, tries, *executed, paused)
			}
			if failures < tries && (!ok || w != uint64(failures+1)) || failures >= tries && (ok || w != 0) {
				t.Errorf("%d failures, %d tries: got %d, %v", failures, tries, w, ok)
			}
		}
	}
}

func TestNoSuchGenerator(t *testing.T) {
	for _, k := range []Kind{None, -1, kinds, math.MaxInt, math.MinInt} {
		if w, ok := Word(k); w != 0 || ok {
			t.Errorf("kind %d: got %#x, %v", k, w, ok)
		}
		if Name(k) != "none" {
			t.Errorf("kind %d: name %q", k, Name(k))
		}
	}
}

// What is available has a name and words; what is not has neither, and there is
// an error exactly if there is nothing.
func TestAvailable(t *testing.T) {
	best, err := Available()
	if (err == nil) != (best != None) {
		t.Errorf("got kind %d and error %v", best, err)
	}
	t.Logf("best: %s, error: %v", Name(best), err)
	// Who runs this on several CPUs, real or emulated, says what each has.
	if want := os.Getenv("LRNG_TEST_HWRAND"); want != "" && Name(best) != want {
		t.Errorf("LRNG_TEST_HWRAND is %s", want)
	}
	for _, k := range []Kind{DRBG, Diluted, Seed} {
		_, ok := Word(k)
		for range 100 { // Word may fail now and then
			if ok {
				break
			}
			_, ok = Word(k)
		}
		if ok != (Name(k) != "none") || ok && k > best {
			t.Errorf("kind %d: words: %v, name %q, best is %d", k, ok, Name(k), best)
		}
	}
}

// All 64 bits of the words are used, and no two words come twice in a row. A
// sound generator fails once in 2¹¹¹ runs: 2¹⁸/2 pairs of 2⁻¹²⁸.
func TestWords(t *testing.T) {
	for _, k := range []Kind{DRBG, Diluted, Seed} {
		if Name(k) == "none" {
			t.Logf("this machine, or this build, has no generator of kind %d", k)
			continue
		}
		word := func() uint64 {
			for range 100 { // Word may fail now and then
				if w, ok := Word(k); ok {
					return w
				}
			}
			t.Fatalf("%s: no word", Name(k))
			return 0
		}
		seen := map[[2]uint64]bool{}
		and, or := uint64(math.MaxUint64), uint64(0)
		for range 512 {
			w := [2]uint64{word(), word()}
			if seen[w] {
				t.Errorf("%s: %#x came twice", Name(k), w)
			}
			seen[w] = true
			and &= w[0] & w[1]
			or |= w[0] | w[1]
		}
		if and != 0 || or != math.MaxUint64 {
			t.Errorf("%s: constant bits: always set %#x, never set %#x", Name(k), and, ^or)
		}
	}
}

func TestWordDoesNotAllocate(t *testing.T) {
	for k := range kinds {
		if n := testing.AllocsPerRun(100, func() { Word(k) }); n != 0 {
			t.Errorf("kind %d: %v allocations", k, n)
		}
	}
}

// T6: the pauses of a word that never comes leave most of 50 µs to the
// instruction. The shortest of many runs is that without interruptions.
func TestPausesAreShort(t *testing.T) {
	for _, g := range detected().generators {
		if g.step == nil {
			continue
		}
		shortest := time.Hour
		for range 200 {
			never, _ := failing(g.tries, g.tries)
			start := time.Now()
			never.word(pause)
			shortest = min(shortest, time.Since(start))
		}
		t.Logf("%s: %v for %d tries", g.name, shortest, g.tries)
		if shortest > 40*time.Microsecond {
			t.Errorf("%s: %d tries have %v of pauses", g.name, g.tries, shortest)
		}
	}
}

func BenchmarkWord(b *testing.B) {
	for _, k := range []Kind{DRBG, Diluted, Seed} {
		if Name(k) == "none" {
			continue
		}
		b.Run("ins="+Name(k), func(b *testing.B) {
			b.SetBytes(8)
			b.ReportAllocs()
			failed := 0
			for b.Loop() {
				if _, ok := Word(k); !ok {
					failed++
				}
			}
			b.ReportMetric(float64(failed)/float64(b.N), "failures/op")
		})
	}
}
