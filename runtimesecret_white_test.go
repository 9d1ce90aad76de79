//go:build linux && amd64

package lrng

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/internal/runtimesecret"
)

// An untidy mechanism leaves what it outputs on the stack, and on the heap as garbage.
type untidy struct {
	drng.DRNG
	garbage []byte
}

func (u *untidy) Generate(out, additional []byte) error {
	if err := u.DRNG.Generate(out, additional); err != nil {
		return err
	}
	for i := range out {
		out[i] = untidyByte(i)
	}
	leave(100, out)
	u.garbage = bytes.Clone(out)
	u.garbage = nil
	return nil
}

// untidyByte is computed, so that the pattern is nowhere in the program.
func untidyByte(i int) byte { return byte(i*i*41+i*7) ^ 0x5a }

// leave has a copy of p in each of so many frames.
//
//go:noinline
func leave(depth int, p []byte) byte {
	var frame [64]byte
	copy(frame[:], p)
	if depth == 0 {
		return frame[0]
	}
	return leave(depth-1, p) + frame[1]
}

// In a program built with GOEXPERIMENT=runtimesecret nothing is left on stacks by what
// mechanisms do that are not ours, nor, after two collections, on the heap. In others it is:
// the test can fail.
func TestRuntimeSecret(t *testing.T) {
	outsideFIPS(t)
	r := start(t, still(), Config{OutputBuffer: -1, DRNG: func() (drng.DRNG, error) {
		return &untidy{DRNG: drng.NewChaCha20()}, nil
	}})
	b := make([]byte, 64)
	if _, err := r.Read(b); err != nil {
		t.Fatal(err)
	}
	stale := copies(t, b[:32])
	clear(b)
	if runtimesecret.Enabled {
		if stale > 2 { // b itself, and the garbage
			t.Errorf("%d copies are left on stacks", stale-2)
		}
		runtime.GC()
		runtime.GC()
		var again [32]byte
		for i := range again {
			again[i] = untidyByte(i)
		}
		if n := copies(t, again[:]); n > 1 {
			t.Errorf("%d copies are left after two collections", n-1)
		}
	} else if stale < 50 {
		t.Errorf("only %d copies were found: the search is blind", stale)
	}
}

// copies returns how often p is in the anonymous memory of this process, which the heap and
// the stacks are in.
func copies(t *testing.T, p []byte) (n int) {
	t.Helper()
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	// Not on the heap, where it would be searched, too.
	window, err := syscall.Mmap(-1, 0, 1<<20, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(window)
	for line := range strings.Lines(string(maps)) {
		f := strings.Fields(line)
		var from, to int64
		if _, err := fmt.Sscanf(f[0], "%x-%x", &from, &to); err != nil || !strings.HasPrefix(f[1], "rw") || len(f) > 5 && !strings.HasPrefix(f[5], "[anon: Go:") {
			continue
		}
		for ; from < to; from += int64(len(window) - len(p) + 1) { // an occurrence is in one window
			k, _ := mem.ReadAt(window[:min(int64(len(window)), to-from)], from)
			n += bytes.Count(window[:k], p)
		}
	}
	return n
}
