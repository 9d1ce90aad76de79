package sysrand_test

import (
	"bytes"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/lrng-go/lrng/internal/sysrand"
)

// ways are the functions under test in one shape.
var ways = []struct {
	name string
	fill func(b []byte) error
}{
	{"Read", sysrand.Read},
	{"Mix", func(b []byte) error {
		if !sysrand.Mix(b) {
			return errors.New("Mix returned false")
		}
		return nil
	}},
}

// skipUnsupported skips the test on systems without a generator, where it
// checks that both functions say so.
func skipUnsupported(t testing.TB) {
	if err := sysrand.Read(make([]byte, 1)); errors.Is(err, sysrand.ErrUnsupported) {
		if sysrand.Mix(make([]byte, 1)) {
			t.Error("Mix succeeds where Read is unsupported")
		}
		t.Skip(err)
	}
}

// TestSizes covers the lengths around every limit of a platform: 256 bytes for
// getentropy and kern.arandom, 64 KiB for a request, 32 Mi - 1 for getrandom of
// Linux. T34 of docs/traceability.md.
func TestSizes(t *testing.T) {
	skipUnsupported(t)
	sizes := []int{0, 1, 2, 15, 16, 17, 32, 255, 256, 257, 511, 512, 513, 1<<16 - 1, 1 << 16, 1<<16 + 1, 1<<20 + 1}
	if !testing.Short() {
		sizes = append(sizes, 1<<25+1)
	}
	for _, w := range ways {
		for _, size := range sizes {
			const canary = 0xa5
			back := bytes.Repeat([]byte{canary}, size+32)
			b := back[16 : 16+size : 16+size]
			clear(b)
			if err := w.fill(b); err != nil {
				t.Fatalf("%s, %d bytes: %v", w.name, size, err)
			}
			for i := range 16 {
				if back[i] != canary || back[16+size+i] != canary {
					t.Fatalf("%s, %d bytes: wrote outside the buffer", w.name, size)
				}
			}
			// Every block of 16 bytes has been written to, the last included,
			// and is no repetition. Failure of a good generator: less than
			// 2⁻¹⁰⁵ in all.
			var last [16]byte
			for off := 0; off+16 <= size; off += 16 {
				block := [16]byte(b[off:])
				if block == last || block == [16]byte{} {
					t.Fatalf("%s, %d bytes: block at %d is zero or repeated", w.name, size, off)
				}
				last = block
			}
			if size >= 16 && [16]byte(b[size-16:]) == [16]byte{} {
				t.Fatalf("%s, %d bytes: end not filled", w.name, size)
			}
		}
	}
}

func TestEmpty(t *testing.T) {
	for _, w := range ways {
		if err := w.fill(nil); err != nil {
			t.Errorf("%s(nil): %v", w.name, err)
		}
		if err := w.fill([]byte{}); err != nil {
			t.Errorf("%s of an empty slice: %v", w.name, err)
		}
	}
}

// TestByteValues reads single bytes and counts the values that occur. A good
// generator yields fewer than 200 different ones in 2000 reads with probability
// less than C(256,200)·(199/256)²⁰⁰⁰ < 2⁻⁵⁰⁰.
func TestByteValues(t *testing.T) {
	skipUnsupported(t)
	for _, w := range ways {
		seen := map[byte]bool{}
		b := make([]byte, 1)
		for range 2000 {
			if err := w.fill(b); err != nil {
				t.Fatal(err)
			}
			seen[b[0]] = true
		}
		if len(seen) < 200 {
			t.Errorf("%s: %d different values in 2000 bytes", w.name, len(seen))
		}
	}
}

// TestConcurrent looks for blocks that are delivered twice: 16000 values of 256
// bits, which differ except with probability 2⁻²²⁸.
func TestConcurrent(t *testing.T) {
	skipUnsupported(t)
	const goroutines, reads = 8, 1000
	for _, w := range ways {
		var (
			wg   sync.WaitGroup
			mu   sync.Mutex // guards seen
			seen = map[[32]byte]bool{}
		)
		for range goroutines {
			wg.Go(func() {
				for range reads {
					var b [32]byte
					if err := w.fill(b[:]); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					seen[b] = true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if len(seen) != goroutines*reads {
			t.Errorf("%s: %d different blocks of %d", w.name, len(seen), goroutines*reads)
		}
	}
}

// TestAllocs keeps both functions usable with a buffer on the stack.
func TestAllocs(t *testing.T) {
	skipUnsupported(t)
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	if runtime.GOOS == "js" {
		t.Skip("values of JavaScript are allocated")
	}
	if n := testing.AllocsPerRun(100, func() {
		var b [32]byte
		if !sysrand.Mix(b[:]) {
			t.Error("Mix returned false")
		}
	}); n != 0 {
		t.Errorf("Mix: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		var b [32]byte
		if err := sysrand.Read(b[:]); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("Read: %v allocations", n)
	}
}

var sink uint64

func Benchmark(b *testing.B) {
	skipUnsupported(b)
	for _, size := range []int{16, 32, 256, 4096} {
		for _, f := range []struct {
			name string
			run  func(p []byte)
		}{
			{"Mix", func(p []byte) { sysrand.Mix(p) }},
			{"Read", func(p []byte) { sysrand.Read(p) }},
			{"crypto-rand", func(p []byte) { crand.Read(p) }},
		} {
			b.Run(fmt.Sprintf("func=%s/size=%d", f.name, size), func(b *testing.B) {
				p := make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					f.run(p)
				}
				sink += binary.NativeEndian.Uint64(p)
			})
		}
	}
}
