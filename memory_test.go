package lrng_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/internal/secmem"
)

// gradeOf returns the place of a grade of memory among all, by the name in the Status or in
// the Config; -1 if there is none.
func gradeOf(name string) int {
	if name == lrng.MemoryAny.String() {
		return 0
	}
	return slices.Index([]string{"heap", "private", "droppable", "locked", "secret"}, name)
}

// granted reports whether this machine has memory of the grade.
func granted(g lrng.MemoryGrade) bool {
	b, err := secmem.Alloc(1, secmem.Grade(gradeOf(g.String())))
	if err == nil {
		b.Free()
	}
	return err == nil
}

func heapOnly() bool {
	b, err := secmem.Alloc(1, secmem.Private)
	if err == nil {
		b.Free()
	}
	return err != nil
}

// keepsOwnMemory reports whether a mechanism is none whose state is in secret memory: the
// standard library has the keys of CTR_DRBG in FIPS mode.
func keepsOwnMemory(mech drng.Info) bool {
	return mech.Name == "foreign" || strings.HasPrefix(mech.Name, "CTR_DRBG") && processFIPS() != "off"
}

func TestMemoryGradeString(t *testing.T) {
	for g, want := range map[lrng.MemoryGrade]string{
		lrng.MemoryAny: "any", lrng.MemoryLocked: "locked", lrng.MemorySecret: "secret", -1: "MemoryGrade(-1)", 3: "MemoryGrade(3)",
	} {
		if got := g.String(); got != want {
			t.Errorf("%d: %s, want %s", int(g), got, want)
		}
	}
}

// hashDRBG is a mechanism that works in every mode.
func hashDRBG() (drng.DRNG, error) { return drng.NewXDRBG(), nil }

func memoryConfig(g lrng.MemoryGrade) lrng.Config {
	c := one(fake("a"))
	c.Memory, c.FIPS = g, fipsMode()
	c.DRNG = mechanisms()["HMAC_DRBG SHA-512"]
	return c
}

// What is demanded is had, in each part, or New says what stands against it.
func TestConfigMemory(t *testing.T) {
	for _, g := range []lrng.MemoryGrade{lrng.MemoryAny, lrng.MemoryLocked, lrng.MemorySecret} {
		for _, ahead := range []int{-1, 100, 1 << 16} {
			for _, shards := range []int{1, 40} {
				c := memoryConfig(g)
				c.OutputBuffer, c.Shards = ahead, shards
				c.Sources = append(c.Sources, es.NewIdentity(es.IdentityConfig{}))
				r, err := lrng.New(c)
				if err != nil {
					if want := fmt.Sprintf("lrng: Config.Memory: %v: secmem: no %v memory for ", g, g); g == lrng.MemoryAny || !strings.HasPrefix(err.Error(), want) {
						t.Errorf("%v: %v", g, err)
					}
					t.Logf("%v, %d bytes ahead, %d shards: %v", g, ahead, shards, err)
					continue
				}
				mustRead(t, r, 300)
				mustRead(t, r.PredictionResistant(), 33)
				mustRead(t, r.SeedReader(), 33)
				if _, _, err := r.GetSeed(t.Context(), 256); err != nil {
					t.Error(err)
				}
				st := r.Status()
				names := []string{st.Memory, st.PredictionResistance.Memory}
				for _, in := range st.Instances {
					names = append(names, in.Memory)
				}
				for _, name := range names {
					if gradeOf(name) < gradeOf(g.String()) || gradeOf(name) < gradeOf(st.Memory) {
						t.Errorf("%v: %s in\n%s", g, name, st)
					}
				}
				if (st.Memory == "secret") != (st.MemoryReason == "") || !strings.Contains(st.String(), "\nMemory: "+st.Memory) {
					t.Errorf("%v: %s", g, st)
				}
				if p, err := json.Marshal(st); err != nil || !strings.Contains(string(p), fmt.Sprintf(`"memory":%q`, st.Memory)) {
					t.Errorf("JSON: %s, %v", p, err)
				}
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// A mechanism of somebody else keeps its state where it likes: nobody can promise anything,
// neither in New nor later.
func TestMemoryOfForeignMechanism(t *testing.T) {
	needsFreedom(t)
	foreign := func() (drng.DRNG, error) { return struct{ drng.DRNG }{drng.NewChaCha20()}, nil }
	c := memoryConfig(lrng.MemoryAny)
	c.DRNG = foreign
	r := newRNG(t, c)
	mustRead(t, r, 100)
	if st := r.Status(); st.Memory != "heap" || st.Instances[0].Memory != "heap" || !strings.Contains(st.MemoryReason, "ChaCha20 keeps its state in memory of its own") {
		t.Errorf("%s (%s)", st.Memory, st.MemoryReason)
	}
	if err := r.SetDRNG(hashDRBG); err != nil {
		t.Fatal(err)
	}
	if st := r.Status(); st.Memory == "heap" && !heapOnly() {
		t.Errorf("after the switch: %s (%s)", st.Memory, st.MemoryReason)
	}

	if !granted(lrng.MemoryLocked) {
		t.Skip("this machine locks no memory")
	}
	c.Memory = lrng.MemoryLocked
	const want = "Config.Memory: locked: ChaCha20 keeps its state in memory of its own"
	if _, err := lrng.New(c); err == nil || err.Error() != "lrng: "+want {
		t.Errorf("New: %v", err)
	}
	c.DRNG = hashDRBG
	r = newRNG(t, c)
	mustRead(t, r, 10)
	if err := r.SetDRNG(foreign); err == nil || err.Error() != "lrng: SetDRNG: "+want {
		t.Errorf("SetDRNG: %v", err)
	}
	if st := r.Status(); st.DRNG != "XDRBG-256" || gradeOf(st.Memory) < gradeOf("locked") {
		t.Errorf("%s in %s", st.DRNG, st.Memory)
	}
	if err := r.SetDRNG(mechanisms()["Hash_DRBG SHA-256"]); err != nil {
		t.Error(err)
	}
	if st := r.Status(); gradeOf(st.Memory) < gradeOf("locked") || gradeOf(st.PredictionResistance.Memory) < gradeOf("locked") {
		t.Errorf("after the switch: %s (%s)", st.Memory, st.MemoryReason)
	}
	mustRead(t, r, 10)
}

// Whoever does not ask for it has no more than 16 KiB locked, with however many generators
// and shards; the others get what there is beside that.
func TestMemoryLockLimit(t *testing.T) {
	var locked []int
	look := func() { locked = append(locked, secmem.State().Locked) }
	runtime.GC()
	look()
	before := secmem.State().Locked // what tests before this one demanded
	for range 5 {
		c := memoryConfig(lrng.MemoryAny)
		c.Shards, c.OutputBuffer = 50, 4096
		r := newRNG(t, c)
		mustRead(t, r, 100)
		look()
		if st := r.Status(); !heapOnly() && (gradeOf(st.Memory) > gradeOf("droppable") || !strings.Contains(st.MemoryReason, "16384 bytes") && !strings.Contains(st.MemoryReason, "locked: ")) {
			t.Errorf("50 shards: %s (%s)", st.Memory, st.MemoryReason)
		}
	}
	if most := slices.Max(locked); most > max(before, secmem.LockLimit) {
		t.Errorf("locked bytes: %d", locked)
	}
}

func arenas() (total int) {
	for _, n := range secmem.State().Arenas {
		total += n
	}
	return total
}

// 10⁵ generators that are closed, and some that are forgotten, leave no memory behind
// (flat maps and locked memory: docs/traceability.md E4).
func TestMemoryCycles(t *testing.T) {
	n, forgotten := 100_000, 2000
	if testing.Short() || raceEnabled {
		n, forgotten = 2000, 200
	}
	c := memoryConfig(lrng.MemoryAny)
	c.DRNG = hashDRBG
	if fipsMode() != lrng.FIPSOff {
		c.DRNG = mechanisms()["Hash_DRBG SHA-256"]
	}
	c.Shards, c.OutputBuffer = 1, 100
	c.Sources = []es.Source{es.NewIdentity(es.IdentityConfig{})}
	use := func(close bool) {
		r, err := lrng.New(c)
		if err != nil {
			t.Fatal(err)
		}
		if close {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	runtime.GC()
	use(true)
	before, peak := arenas(), 0
	for range n {
		use(true)
		peak = max(peak, arenas())
	}
	if peak > before+secmem.ArenaSize {
		t.Errorf("closed generators: %d bytes of arenas before, %d at the most", before, peak)
	}
	for range forgotten {
		use(false)
	}
	after := 0
	for range 200 {
		runtime.GC()
		if after = arenas(); after <= before+3*secmem.ArenaSize { // an empty one of each grade is kept
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("forgotten generators: %d bytes of arenas before, %d after", before, after)
}
