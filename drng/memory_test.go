package drng

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/lrng-go/lrng/internal/secmem"
)

// memoryMechanisms are all mechanisms in all variants.
func memoryMechanisms() map[string]func() DRNG {
	all := map[string]func() DRNG{"ChaCha20": func() DRNG { return NewChaCha20() }}
	for _, config := range ctrVariants {
		make1 := func() DRNG {
			c, err := NewCTR(config)
			if err != nil {
				panic(err)
			}
			return c
		}
		all[make1().Info().Name] = make1
	}
	for _, m := range hashMechanisms() {
		all[m.new().Info().Name] = m.new
	}
	return all
}

// memorySeed returns a seed for d.
func memorySeed(d DRNG) []byte {
	n := d.Info().SeedSize
	if n == 0 {
		n = len(hashTestSeed)
	}
	return hashTestSeed[:n]
}

// vanish takes the memory of d away without its knowledge, as a fork or the kernel does.
func vanish(d DRNG) {
	switch d := d.(type) {
	case *ChaCha20:
		v := d.mem
		v.Free()
	case *CTR:
		v := d.mem
		v.Free()
	case *Hash:
		v := d.mem
		v.Free()
	case *HMAC:
		v := d.mem
		v.Free()
	case *XDRBG:
		v := d.mem
		v.Free()
	}
}

func holderOf(d DRNG) secmem.Holder {
	return d.(interface{ SecretMemory() secmem.Holder }).SecretMemory()
}

// A state that has vanished between two calls is none: P4 of docs/threats.md. The mechanism
// touches none of it, and a seed makes a new one that depends on nothing of before.
func TestVanishedState(t *testing.T) {
	for name, make1 := range memoryMechanisms() {
		t.Run(name, func(t *testing.T) {
			first := make1()
			if err := first.Seed(memorySeed(first), []byte("personalization")); err != nil {
				t.Fatal(err)
			}
			want := make([]byte, 100)
			if err := first.Generate(want, nil); err != nil {
				t.Fatal(err)
			}

			d := make1()
			for _, call := range []string{"Seed", "Generate", "Clear"} {
				if err := d.Seed(memorySeed(d), []byte("personalization")); err != nil {
					t.Fatal(err)
				}
				if err := d.Generate(make([]byte, 10), nil); err != nil {
					t.Fatal(err)
				}
				vanish(d)
				switch call {
				case "Seed": // which instantiates
				case "Generate":
					out := bytes.Repeat([]byte{1}, 50)
					if err := d.Generate(out, []byte{2}); !errors.Is(err, ErrNotSeeded) || !bytes.Equal(out, make([]byte, 50)) {
						t.Errorf("Generate: %v, out %x", err, out)
					}
				case "Clear":
					d.Clear()
				}
				if err := d.Seed(memorySeed(d), []byte("personalization")); err != nil {
					t.Fatalf("Seed after %s: %v", call, err)
				}
				out := make([]byte, 100)
				if err := d.Generate(out, nil); err != nil || !bytes.Equal(out, want) {
					t.Errorf("after %s: %v, output %x; want that of a new instance, %x", call, err, out, want)
				}
			}
			vanish(d)
			d.Clear()
			d.Clear()
		})
	}
}

// The first seed is one of instantiation again, with what that demands.
func TestVanishedStateNeedsFullSeed(t *testing.T) {
	for _, m := range hashMechanisms() {
		d := hashSeeded(t, m)
		vanish(d)
		err := d.Seed(hashTestSeed[:m.minReseed], nil)
		if (err == nil) != (m.minReseed >= m.minInstantiate) {
			t.Errorf("%s: Seed of %d bytes after the state has vanished: %v", m.name, m.minReseed, err)
		}
	}
}

// What Demand asked for holds for all memory to come. In FIPS mode the standard library has
// the key of CTR_DRBG.
func TestSecretMemory(t *testing.T) {
	for name, make1 := range memoryMechanisms() {
		d := make1()
		holder := holderOf(d)
		if c, ok := d.(*CTR); ok && c.cipher.std != nil {
			if holder != nil {
				t.Errorf("%s: memory in FIPS mode", name)
			}
			continue
		}
		if holder.Intact() {
			t.Errorf("%s: memory before it is needed", name)
		}
		least := secmem.Locked
		g, err := holder.Demand(least)
		if err != nil {
			t.Logf("%s: %v", name, err)
			if g, err = holder.Demand(secmem.Heap); err != nil {
				t.Fatal(err)
			}
			least = g
		}
		if g < least || !holder.Intact() {
			t.Errorf("%s: grade %v, intact %t", name, g, holder.Intact())
		}
		for range 2 {
			if err := d.Seed(memorySeed(d), nil); err != nil {
				t.Fatal(err)
			}
			if g, err := holder.Demand(least); err != nil || g < least {
				t.Errorf("%s: in use: %v, %v", name, g, err)
			}
			d.Clear()
			if holder.Intact() {
				t.Errorf("%s: memory after Clear", name)
			}
		}
	}
}

// Mechanisms that are dropped without Clear give their memory back (docs/traceability.md E4: 10⁵ cycles
// with flat maps and locked memory).
func TestMemoryIsGivenBack(t *testing.T) {
	total := func() (n int) {
		for _, size := range secmem.State().Arenas {
			n += size
		}
		return n
	}
	runtime.GC()
	before := total()
	rounds := 10
	if testing.Short() {
		rounds = 1
	}
	for range rounds {
		for range 10_000 {
			c := NewChaCha20()
			if err := c.Seed([]byte{1}, nil); err != nil {
				t.Fatal(err)
			}
		}
		after := 0
		for range 1000 {
			runtime.GC()
			if after = total(); after <= before+3*secmem.ArenaSize { // one empty arena of each grade is kept
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if after > before+3*secmem.ArenaSize {
			t.Fatalf("%d bytes of arenas before, %d after 10⁴ mechanisms", before, after)
		}
	}
	if locked := secmem.State().Locked; locked > secmem.LockLimit+16*1024 { // what other tests demanded
		t.Errorf("%d bytes are locked", locked)
	}
}

// A mechanism is not collected while a call is at work in its memory.
func TestMemoryOutlivesCalls(t *testing.T) {
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() { // others get the memory at once when it is given back too early
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			runtime.GC()
			var blocks []*secmem.Block
			for range 20 {
				b, err := secmem.Alloc(128, secmem.Heap)
				if err != nil {
					panic(err)
				}
				for i := range b.Bytes() {
					b.Bytes()[i] = 0xee
				}
				blocks = append(blocks, b)
			}
			for _, b := range blocks {
				b.Free()
			}
		}
	}()
	defer func() {
		close(stop)
		<-done
	}()
	long := make([]byte, 2<<20) // takes longer than a collection
	for _, name := range []string{"ChaCha20", "CTR_DRBG AES-256", "Hash_DRBG SHA-256", "HMAC_DRBG SHA-256"} {
		make1 := memoryMechanisms()[name]
		reference := make1()
		if err := reference.Seed(memorySeed(reference), nil); err != nil {
			t.Fatal(err)
		}
		want, out := make([]byte, 100), make([]byte, 100)
		if err := reference.Generate(want, long); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			d := make1()
			if err := d.Seed(memorySeed(d), nil); err != nil {
				t.Fatal(err)
			}
			if err := d.Generate(out, long); err != nil || !bytes.Equal(out, want) { // the last use of d
				t.Fatalf("%s: %v, or another output", name, err)
			}
		}
		reference.Clear()
	}
}

// Nothing of the memory is printed by way of the fields either.
func TestMemoryPrintsNothing(t *testing.T) {
	c := NewChaCha20()
	if err := c.Seed([]byte("a seed"), nil); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v"} {
		if got := fmt.Sprintf(format, c.mem); got != "secmem.Value" {
			t.Errorf("%s: %s", format, got)
		}
	}
}
