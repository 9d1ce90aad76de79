package drng

import (
	"bytes"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/lrng-go/lrng/internal/secmem"
)

// intoDroppable gives d, which has no state, memory that the kernel may drop. It uses up what
// is locked.
func intoDroppable(t *testing.T, d DRNG) {
	t.Helper()
	for range 1000 {
		b, err := secmem.Alloc(64, secmem.Heap)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Free)
		if b.Grade() >= secmem.Locked {
			continue
		}
		d.Clear()
		g, err := holderOf(d).Demand(secmem.Heap)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case g == secmem.Droppable:
			return
		case g < secmem.Droppable:
			t.Skipf("the memory is %v; %s", g, secmem.State().Refusals)
		}
		// Garbage of other tests has just come back.
	}
	t.Fatal("there is always more that is locked")
}

// drop has the kernel drop the page that holds the byte.
func drop(p unsafe.Pointer) error {
	size := os.Getpagesize()
	page := unsafe.Slice((*byte)(unsafe.Add(p, -int(uintptr(p)&uintptr(size-1)))), size)
	return syscall.Madvise(page, syscall.MADV_DONTNEED)
}

// A state that the kernel drops, between calls or in the midst of one, never makes output:
// it would be that of a state of zeros.
func TestDroppedState(t *testing.T) {
	for name, make1 := range map[string]func() DRNG{
		"ChaCha20": func() DRNG { return NewChaCha20() },
		"Hash":     hashMechanisms()[1].new,
		"XDRBG":    func() DRNG { return NewXDRBG() },
	} {
		t.Run(name, func(t *testing.T) {
			seed := func(d DRNG) {
				t.Helper()
				if err := d.Seed(hashTestSeed, nil); err != nil {
					t.Fatal(err)
				}
			}
			reference := make1()
			seed(reference)
			var want [3][1 << 16]byte
			for i := range want {
				if err := reference.Generate(want[i][:], nil); err != nil {
					t.Fatal(err)
				}
			}
			reference.Clear()
			d := make1()
			t.Cleanup(d.Clear)
			intoDroppable(t, d)
			place := func() unsafe.Pointer {
				switch d := d.(type) {
				case *ChaCha20:
					return unsafe.Pointer(d.chacha20Memory)
				case *Hash:
					return unsafe.Pointer(d.hashMemory)
				case *XDRBG:
					return unsafe.Pointer(d.xdrbgMemory)
				}
				return nil
			}

			seed(d)
			if err := drop(place()); err != nil {
				t.Fatal(err)
			}
			out := bytes.Repeat([]byte{1}, 40)
			if err := d.Generate(out, nil); !errors.Is(err, ErrNotSeeded) || !bytes.Equal(out, make([]byte, 40)) {
				t.Fatalf("Generate: %v, out %x", err, out)
			}

			// In the midst of calls: two hundred times, and on until it was seen once,
			// as on a busy machine each call may end before the other goroutine begins.
			out = make([]byte, 1<<16)
			lost := 0
			begin := time.Now()
			for n := 0; n < 200 || lost == 0 && time.Since(begin) < 30*time.Second; n++ {
				intoDroppable(t, d)
				seed(d)
				dropped := make(chan error)
				p := place()
				go func() { dropped <- drop(p) }()
				for i := range want {
					err := d.Generate(out, nil)
					if errors.Is(err, ErrNotSeeded) {
						lost++
						if !bytes.Equal(out, make([]byte, len(out))) {
							t.Fatal("output of a state that was dropped")
						}
						break
					}
					if err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(out, want[i][:]) {
						t.Fatal("output of a state that was dropped")
					}
				}
				if err := <-dropped; err != nil {
					t.Fatal(err)
				}
				if err := d.Generate(out, nil); !errors.Is(err, ErrNotSeeded) || !bytes.Equal(out, make([]byte, len(out))) {
					t.Fatal("output after the state was dropped:", err)
				}
			}
			if lost == 0 {
				t.Error("never was a state lost in the midst of calls")
			}
		})
	}
}
