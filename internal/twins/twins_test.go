package twins

import (
	"encoding/binary"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

// page returns a VMClock with a generation counter, as a hypervisor makes it, in memory
// that is aligned.
func page() []byte {
	words := make([]uint64, 4096/8)
	b := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), 4096)
	binary.LittleEndian.PutUint32(b[offMagic:], vmclockMagic)
	binary.LittleEndian.PutUint32(b[offSize:], 4096)
	binary.LittleEndian.PutUint16(b[offVersion:], 1)
	b[10], b[11] = 1, 1 // counter_id, time_type
	binary.LittleEndian.PutUint32(b[offSeq:], 10)
	binary.LittleEndian.PutUint64(b[offDisruption:], 77)
	binary.LittleEndian.PutUint64(b[offFlags:], hasGeneration|1)
	binary.LittleEndian.PutUint64(b[offGeneration:], 0x0123456789abcdef)
	return b
}

func put32(b []byte, offset int, v uint32) { binary.LittleEndian.PutUint32(b[offset:], v) }
func put64(b []byte, offset int, v uint64) { binary.LittleEndian.PutUint64(b[offset:], v) }

// store is put32 while others read.
func store(b []byte, offset int, v uint32) {
	(*atomic.Uint32)(unsafe.Pointer(&b[offset])).Store(little(v))
}

// mustBe wants the number in the page, of a VMClock in the order of bytes of this machine.
func mustBe(t *testing.T, p *Page, want uint64) {
	t.Helper()
	if p.seq != nil {
		want = uint64(little(uint32(want>>32)))<<32 | uint64(little(uint32(want)))
	}
	if g, ok := p.Generation(); g != want || !ok {
		t.Fatalf("generation %#x, %v; want %#x", g, ok, want)
	}
}

func TestVMClock(t *testing.T) {
	b := page()
	p, err := VMClock("clock", b)
	if err != nil {
		t.Fatal(err)
	}
	if !p.Reliable() || p.String() != "clock" {
		t.Errorf("%v, reliable: %v", p, p.Reliable())
	}
	mustBe(t, p, 0x0123456789abcdef)
	put64(b, offDisruption, 78) // a live migration is no copy
	put32(b, offSeq, 12)
	mustBe(t, p, 0x0123456789abcdef)
	for _, g := range []uint64{0x0123456789abcdf0, 0x1123456789abcdf0, 0, ^uint64(0)} {
		put64(b, offGeneration, g)
		put32(b, offSeq, binary.LittleEndian.Uint32(b[offSeq:])+2)
		mustBe(t, p, g)
	}
}

// Without the flag what is in the place of the generation counter means nothing, however
// it changes.
func TestDisruptions(t *testing.T) {
	b := page()
	put64(b, offFlags, 1<<7) // VMCLOCK_FLAG_TIME_MONOTONIC: that of UAPI.13 for the counter
	p, err := VMClock("clock", b)
	if err != nil {
		t.Fatal(err)
	}
	if p.Reliable() || p.String() != "clock (disruptions of the clock only)" {
		t.Errorf("%v, reliable: %v", p, p.Reliable())
	}
	mustBe(t, p, 77)
	put64(b, offGeneration, 5)
	mustBe(t, p, 77)
	put64(b, offDisruption, 1<<40)
	mustBe(t, p, 1<<40)
	// The smallest page that has a marker at all.
	put32(b, offSize, 32)
	if p, err := VMClock("clock", b[:32]); err != nil || p.Reliable() {
		t.Errorf("a page of 32 bytes: %v, %v", p, err)
	}
}

func TestSysGenID(t *testing.T) {
	b := page()
	p, err := SysGenID("id", b[:4])
	if err != nil {
		t.Fatal(err)
	}
	if p.Reliable() || p.String() != "id (shortly afterwards)" {
		t.Errorf("%v, reliable: %v", p, p.Reliable())
	}
	for _, g := range []uint32{0, 1, 1 << 31, 1<<32 - 1} {
		binary.NativeEndian.PutUint32(b, g)
		mustBe(t, p, uint64(g))
	}
	if _, err := SysGenID("id", b[:3]); err == nil {
		t.Error("3 bytes are a counter")
	}
	if _, err := SysGenID("id", b[1:5]); err == nil {
		t.Error("an address that is not aligned is taken")
	}
}

// Garbage is no page, and the error says what is wrong.
func TestGarbage(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(b []byte) []byte
		want  string
	}{
		{"nothing", func(b []byte) []byte { return nil }, "0 bytes"},
		{"a short file", func(b []byte) []byte { return b[:31] }, "31 bytes"},
		{"zeros", func(b []byte) []byte { clear(b); return b }, "magic number 0x0"},
		{"another magic number", func(b []byte) []byte { b[0] ^= 1; return b }, "magic number 0x4b4c4357"},
		{"the other byte order", func(b []byte) []byte { b[0], b[1], b[2], b[3] = b[3], b[2], b[1], b[0]; return b }, "magic number"},
		{"version 0", func(b []byte) []byte { b[offVersion] = 0; return b }, "version 0"},
		{"version 2", func(b []byte) []byte { b[offVersion] = 2; return b }, "version 2"},
		{"version 257", func(b []byte) []byte { b[offVersion+1] = 1; return b }, "version 257"},
		{"no size", func(b []byte) []byte { put32(b, offSize, 0); return b }, "size of 0 bytes"},
		{"a size without flags", func(b []byte) []byte { put32(b, offSize, 31); return b }, "size of 31 bytes"},
		{"a size without the counter", func(b []byte) []byte { put32(b, offSize, 111); return b }, "counter in 111 bytes"},
		{"memory without the counter", func(b []byte) []byte { return b[:111] }, "counter in 111 bytes"},
		{"odd for ever", func(b []byte) []byte { b[offSeq] |= 1; return b }, "does not stop writing"},
		{"not aligned", func(b []byte) []byte { copy(b[1:], b); return b[1:] }, "not aligned"},
	} {
		if p, err := VMClock("clock", tt.spoil(page())); err == nil || p != nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v; want %q", tt.name, p, err, tt.want)
		}
	}
	// The boundary: what is in the table with one byte less.
	b := page()
	put32(b, offSize, 112)
	if p, err := VMClock("clock", b[:112]); err != nil || !p.Reliable() {
		t.Errorf("112 bytes: %v, %v", p, err)
	}
}

// A page that is being written to is read again, and given up after a bounded number of
// loads.
func TestWriting(t *testing.T) {
	b := page()
	p, err := VMClock("clock", b)
	if err != nil {
		t.Fatal(err)
	}
	b[offSeq] |= 1
	begin := time.Now()
	for range 1000 {
		if g, ok := p.Generation(); ok {
			t.Fatalf("generation %#x while it is being written", g)
		}
	}
	t.Logf("a page that is odd for ever costs %v", time.Since(begin)/1000)
	b[offSeq]++
	mustBe(t, p, 0x0123456789abcdef)
}

// No half of an old and half of a new generation is ever returned: a hypervisor counts
// up with both halves equal, as fast as it can.
func TestTornRead(t *testing.T) {
	b := page()
	put64(b, offGeneration, 0)
	p, err := VMClock("clock", b)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		seq := binary.LittleEndian.Uint32(b[offSeq:])
		for n := uint32(1); ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			store(b, offSeq, seq+1)
			store(b, offGeneration, n)
			store(b, offGeneration+4, n)
			seq += 2
			store(b, offSeq, seq)
		}
	}()
	read, unknown := 0, 0
	last := uint32(0)
	for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end) || read == 0; {
		g, ok := p.Generation()
		if !ok {
			unknown++
			continue
		}
		read++
		if uint32(g) != uint32(g>>32) || little(uint32(g)) < last {
			t.Fatalf("generation %#x after %#x", g, last)
		}
		last = little(uint32(g))
	}
	close(stop)
	<-done
	t.Logf("%d generations read, %d times unknown, %d seen last", read, unknown, last)
}

// Of several pages the first reliable one is taken, else one that is not, else all
// reasons are told.
func TestBest(t *testing.T) {
	clock := func() (*Page, error) { return VMClock("clock", page()) }
	id := func() (*Page, error) { return SysGenID("id", page()) }
	disruptions := func() (*Page, error) {
		b := page()
		put64(b, offFlags, 0)
		return VMClock("disruptions", b)
	}
	errA, errB := errors.New("a is not there"), errors.New("b may not be opened")
	none := func(err error) func() (*Page, error) { return func() (*Page, error) { return nil, err } }
	for _, tt := range []struct {
		name string
		open []func() (*Page, error)
		want string
	}{
		{"both", []func() (*Page, error){clock, id}, "clock"},
		{"the other order", []func() (*Page, error){id, clock}, "clock"},
		{"the second", []func() (*Page, error){none(errA), id}, "id (shortly afterwards)"},
		{"the first", []func() (*Page, error){clock, none(errB)}, "clock"},
		{"two that are not reliable", []func() (*Page, error){disruptions, id}, "id (shortly afterwards)"},
		{"one that is not reliable", []func() (*Page, error){disruptions, none(errB)}, "disruptions (disruptions of the clock only)"},
	} {
		if p, err := best(tt.open...); err != nil || p.String() != tt.want {
			t.Errorf("%s: %v, %v; want %s", tt.name, p, err, tt.want)
		}
	}
	p, err := best(none(errA), none(errB))
	if p != nil || !errors.Is(err, errA) || !errors.Is(err, errB) || err.Error() != "a is not there; b may not be opened" {
		t.Errorf("none: %v, %v", p, err)
	}
}

// Find always says the same, and either has a page or a reason.
func TestFind(t *testing.T) {
	p, err := Find()
	if (p == nil) == (err == nil) {
		t.Fatalf("%v, %v", p, err)
	}
	again, err2 := Find()
	if again != p || err2 != err {
		t.Errorf("%v, %v; then %v, %v", p, err, again, err2)
	}
	if err != nil {
		t.Logf("this machine: %v", err)
		return
	}
	_, ok := p.Generation()
	t.Logf("this machine: %v, readable: %v", p, ok)
}

func TestGenerationDoesNotAllocate(t *testing.T) {
	p, err := VMClock("clock", page())
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { p.Generation() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkGeneration has, as page=none, what the measurement itself takes.
func BenchmarkGeneration(b *testing.B) {
	b.Run("page=none", func(b *testing.B) {
		for range b.N {
		}
	})
	clock, err := VMClock("clock", page())
	if err != nil {
		b.Fatal(err)
	}
	id, err := SysGenID("id", page())
	if err != nil {
		b.Fatal(err)
	}
	for _, p := range []*Page{clock, id} {
		b.Run("page="+p.name, func(b *testing.B) {
			for range b.N {
				if _, ok := p.Generation(); !ok {
					b.Fatal("unknown")
				}
			}
		})
	}
}
