package secmem

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"unsafe"
)

func newBlock(t testing.TB, size int, least Grade) *Block {
	t.Helper()
	b, err := Alloc(size, least)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Free)
	return b
}

func TestBlocks(t *testing.T) {
	var blocks []*Block
	for _, size := range []int{1, 63, 64, 65, 200, 4096, 5000, 16 << 10, 16<<10 + 1, 100_000} {
		b := newBlock(t, size, Heap)
		p := b.Bytes()
		if len(p) != size || cap(p) != size {
			t.Fatalf("%d bytes: length %d, capacity %d", size, len(p), cap(p))
		}
		if uintptr(unsafe.Pointer(&p[0]))%Line != 0 {
			t.Errorf("%d bytes: not aligned", size)
		}
		if !bytes.Equal(p, make([]byte, size)) {
			t.Errorf("%d bytes: not zero", size)
		}
		for i := range p {
			p[i] = byte(len(blocks) + 1)
		}
		blocks = append(blocks, b)
	}
	for i, b := range blocks {
		if p := b.Bytes(); bytes.Count(p, []byte{byte(i + 1)}) != len(p) {
			t.Errorf("block %d overlaps another one", i)
		}
	}
	for _, b := range blocks {
		p := b.bytes
		b.Free()
		b.Free()
		if b.Intact() || b.Ours() || b.Bytes() != nil || At[byte](b) != nil {
			t.Error("intact after Free")
		}
		_ = p
	}
	if b := newBlock(t, 64, Heap); !bytes.Equal(b.Bytes(), make([]byte, 64)) {
		t.Error("what was freed was not wiped")
	}
}

func TestBadSize(t *testing.T) {
	for _, size := range []int{0, -1} {
		if b, err := Alloc(size, Heap); err == nil || b != nil {
			t.Errorf("Alloc(%d): %v, %v", size, b, err)
		}
	}
}

func TestAt(t *testing.T) {
	type state struct {
		key   [4]uint64
		count uint64
	}
	b := newBlock(t, int(unsafe.Sizeof(state{})), Heap)
	s := At[state](b)
	s.key[3], s.count = 7, 8
	if p := At[state](b); p != s || p.count != 8 {
		t.Error("another place")
	}
	if At[[41]byte](b) != nil {
		t.Error("a place that is too small")
	}
}

// What nobody asked to be locked is not locked beyond the limit; who asks gets it.
func TestLockLimit(t *testing.T) {
	var blocks []*Block
	for range 40 {
		blocks = append(blocks, newBlock(t, 1024, Heap))
	}
	if r := State(); r.Locked > LockLimit {
		t.Errorf("%d bytes are locked", r.Locked)
	}
	b, err := Alloc(1<<10, Locked)
	if err != nil {
		t.Skipf("this machine locks no memory: %v", err)
	}
	if b.Grade() < Locked {
		t.Errorf("grade %v where locked was asked for", b.Grade())
	}
	b.Free()
	for _, b := range blocks {
		b.Free()
	}
	if r := State(); r.Locked > LockLimit {
		t.Errorf("%d bytes are locked after all was given back", r.Locked)
	}
}

// Memory does not grow with use: 10⁵ cycles (issue: flat maps, locked memory).
func TestCycles(t *testing.T) {
	before := State()
	for i := range 100_000 {
		b, err := Alloc(1+i%3000, Heap)
		if err != nil {
			t.Fatal(err)
		}
		b.Free()
	}
	newBlock(t, 1, Heap).Free()
	after := State()
	total := func(r Report) (n int) {
		for _, bytes := range r.Arenas {
			n += bytes
		}
		return n
	}
	if total(after) > total(before)+int(grades)*ArenaSize {
		t.Errorf("%v before, %v after", before, after)
	}
}

func TestConcurrent(t *testing.T) {
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				b, err := Alloc(1+(i*37+g)%500, Heap)
				if err != nil {
					t.Error(err)
					return
				}
				p := b.Bytes()
				for j := range p {
					if p[j] != 0 {
						t.Error("not zero")
						return
					}
					p[j] = byte(g)
				}
				if bytes.Count(p, []byte{byte(g)}) != len(p) {
					t.Error("shared with another goroutine")
				}
				b.Free()
			}
		})
	}
	wg.Wait()
}

func TestStrings(t *testing.T) {
	b := newBlock(t, 32, Heap)
	copy(b.Bytes(), "very secret")
	for _, s := range []string{fmt.Sprint(b), fmt.Sprintf("%v %+v %#v", b, b, b)} {
		if strings.Contains(s, "secret") || !strings.Contains(s, "secmem.Block") {
			t.Error(s)
		}
	}
	for g := range grades {
		if strings.Contains(g.String(), "(") {
			t.Errorf("grade %d has no name", g)
		}
	}
}

func BenchmarkIntact(b *testing.B) {
	m := newBlock(b, 64, Heap)
	for b.Loop() {
		if !m.Intact() {
			b.Fatal("lost")
		}
	}
}

func BenchmarkAlloc(b *testing.B) {
	keep := newBlock(b, 64, Heap)
	defer keep.Free()
	for b.Loop() {
		m, err := Alloc(256, Heap)
		if err != nil {
			b.Fatal(err)
		}
		m.Free()
	}
}
