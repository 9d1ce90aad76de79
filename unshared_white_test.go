package lrng

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/internal/secmem"
	"github.com/lrng-go/lrng/seeding"
)

// unshared returns a generator and a reader of it that keeps something.
func unshared(t *testing.T, on *machine, c Config) (*RNG, *UnsharedReader) {
	t.Helper()
	c.Shards = 1 // the seed of another one is another epoch, too
	r := start(t, on, c)
	u := r.Unshared()
	t.Cleanup(func() { u.Close() })
	if n, err := u.Read(make([]byte, 16)); n != 16 || err != nil {
		t.Fatal(n, err)
	}
	if len(u.kept) == 0 || u.next != 16 {
		t.Fatalf("%d of %d bytes handed out; want 16 of some", u.next, len(u.kept))
	}
	return r, u
}

// What is handed out is what was kept, once, in order, and it is erased.
func TestUnsharedHandsOut(t *testing.T) {
	_, u := unshared(t, still(), Config{OutputBuffer: 1 << 16})
	if len(u.kept) != unsharedSize {
		t.Fatalf("%d bytes kept; want %d", len(u.kept), unsharedSize)
	}
	for _, n := range []int{1, 8, 15, 16, 17, 31, 32, 33, 48, 64, 65, 100, quickMost} {
		next := u.next
		want := bytes.Clone(u.kept[next : next+n])
		b := make([]byte, n)
		if k, err := u.Read(b); k != n || err != nil || !bytes.Equal(b, want) || u.next != next+n {
			t.Errorf("%d bytes: %d, %v: %x; want %x", n, k, err, b, want)
		}
		if !bytes.Equal(u.kept[:u.next], make([]byte, u.next)) {
			t.Errorf("%d bytes are still there", n)
		}
	}
	want := binary.LittleEndian.Uint64(u.kept[u.next:])
	if got := u.Uint64(); got != want || binary.LittleEndian.Uint64(u.kept[u.next-8:]) != 0 {
		t.Errorf("Uint64: %x; want %x, and that it is erased", got, want)
	}

	// The end, and the beginning of what comes then.
	rest := len(u.kept) - u.next
	b := make([]byte, quickMost)
	for ; rest >= quickMost; rest -= quickMost {
		u.Read(b)
	}
	want1 := bytes.Clone(u.kept[u.next:])
	if n, err := u.Read(b); n != len(b) || err != nil || !bytes.Equal(b[:rest], want1) || u.next != len(b)-rest || slices.Max(b[rest:]) == 0 {
		t.Errorf("around the end: %d, %v: %d bytes handed out; want %d", n, err, u.next, len(b)-rest)
	}

	// A longer one leaves what is kept alone.
	next, kept := u.next, bytes.Clone(u.kept)
	b = make([]byte, len(kept)-next+quickMost+1)
	if n, err := u.Read(b); n != len(b) || err != nil || u.next != next || !bytes.Equal(u.kept, kept) || bytes.Contains(b, kept[next:next+16]) {
		t.Errorf("a long one: %d, %v, %d bytes handed out; want none", n, err, u.next-next)
	}
	if n, err := u.Read(nil); n != 0 || err != nil || u.next != next {
		t.Error("of no bytes:", n, err)
	}
}

// It keeps no more than shares fresh inputs, and nothing where nothing is generated ahead.
func TestUnsharedKeeps(t *testing.T) {
	outsideFIPS(t)
	chacha := func() (drng.DRNG, error) { return drng.NewChaCha20(), nil }
	for _, tt := range []struct {
		what string
		c    Config
		on   func(*machine)
		want int
	}{
		{"64 KiB", Config{OutputBuffer: 1 << 16}, nil, unsharedSize},
		{"just enough", Config{OutputBuffer: unsharedSize}, nil, unsharedSize},
		{"a little less", Config{OutputBuffer: unsharedSize - 1}, nil, refillSize},
		{"a refill", Config{OutputBuffer: refillSize}, nil, refillSize},
		{"less", Config{OutputBuffer: refillSize - 1}, nil, 0},
		{"no virtual machine", Config{}, func(m *machine) { m.virtual = false }, refillSize},
		{"virtual machine", Config{}, nil, 0},
		{"fresh", Config{OutputBuffer: -1}, nil, 0},
		{"reseeded", Config{OutputBuffer: 1 << 16, ReseedInterval: -1}, nil, 0},
		{"short requests", Config{DRNG: func() (drng.DRNG, error) { return drngOf{drng.NewChaCha20(), 1000}, nil }, OutputBuffer: 1 << 16}, nil, refillSize},
		{"shorter requests", Config{DRNG: func() (drng.DRNG, error) { return drngOf{drng.NewChaCha20(), 64}, nil }, OutputBuffer: 1 << 16}, nil, 0},
		{"approved", Config{DRNG: func() (drng.DRNG, error) { return drng.NewCTR(drng.CTRConfig{}) }}, func(m *machine) { m.virtual = false }, 0},
	} {
		t.Run(tt.what, func(t *testing.T) {
			on := still()
			if tt.on != nil {
				tt.on(on)
			}
			if tt.c.DRNG == nil {
				tt.c.DRNG = chacha
			}
			tt.c.Shards = 1
			u := start(t, on, tt.c).Unshared()
			defer u.Close()
			for range 3 {
				b := make([]byte, 32)
				if n, err := u.Read(b); n != 32 || err != nil || slices.Max(b) == 0 {
					t.Fatal(n, err)
				}
			}
			if len(u.kept) != tt.want || (u.memory != nil) != (tt.want > 0) {
				t.Errorf("%d bytes kept; want %d", len(u.kept), tt.want)
			}
		})
	}
}

// Whatever ends the worth of what is kept: nothing of it is handed out any more.
func TestUnsharedEnds(t *testing.T) {
	outsideFIPS(t)
	gone, err := secmem.Alloc(64, secmem.Heap)
	if err != nil {
		t.Fatal(err)
	}
	gone.Free()
	for _, tt := range []struct {
		what string
		end  func(r *RNG, u *UnsharedReader, page clonePage) error
	}{
		{"reseed", func(r *RNG, u *UnsharedReader, page clonePage) error { return r.Reseed(context.Background()) }},
		{"another mechanism", func(r *RNG, u *UnsharedReader, page clonePage) error {
			return r.SetDRNG(func() (drng.DRNG, error) { return drng.NewXDRBG(), nil })
		}},
		{"seed lost", func(r *RNG, u *UnsharedReader, page clonePage) error {
			h := r.shards.LockIndex(0)
			r.lose(&h.Value)
			h.Unlock()
			return nil
		}},
		{"copied", func(r *RNG, u *UnsharedReader, page clonePage) error { page.set(2); return nil }},
		{"memory", func(r *RNG, u *UnsharedReader, page clonePage) error { u.memory = gone; return nil }},
	} {
		t.Run(tt.what, func(t *testing.T) {
			page := newClonePage(1)
			r, u := unshared(t, page.on(t, still()), Config{OutputBuffer: 1 << 16})
			kept := bytes.Clone(u.kept[u.next:])
			if err := tt.end(r, u, page); err != nil {
				t.Fatal(err)
			}
			if u.quick(make([]byte, 16)) {
				t.Error("handed out what was kept")
			}
			b := make([]byte, len(kept))
			for p := b; len(p) > 0; {
				n := min(len(p), 100)
				if _, err := u.Read(p[:n]); err != nil {
					t.Fatal(err)
				}
				p = p[n:]
			}
			for i := 0; i+8 <= len(kept); i++ {
				if bytes.Contains(b, kept[i:i+8]) {
					t.Fatalf("byte %d of what was kept", i)
				}
			}
		})
	}
}

// The machine is copied between the last of what was kept and the first of what comes then:
// nothing of either goes out.
func TestUnsharedCopiedDuring(t *testing.T) {
	for _, copied := range []bool{false, true} {
		page := newClonePage(1)
		on := page.on(t, still())
		event := func() {}
		system := on.system
		on.system = func(b []byte) bool {
			event()
			return system(b)
		}
		_, u := unshared(t, on, Config{OutputBuffer: unsharedSize}) // each refill asks the operating system
		for len(u.kept)-u.next > 8 {
			u.Read(make([]byte, min(100, len(u.kept)-u.next-8)))
		}
		last := bytes.Clone(u.kept[u.next:])
		if copied {
			event = func() { page.set(2) }
		}
		b := make([]byte, 16)
		if n, err := u.Read(b); n != 16 || err != nil || bytes.Equal(b[:8], last) == copied || zeros(b[:8]) || zeros(b[8:]) {
			t.Errorf("copied: %v: %d, %v: %x after %x", copied, n, err, b, last)
		}
		if !zeros(u.kept[:u.next]) {
			t.Errorf("copied: %v: handed out, and not erased", copied)
		}
	}
}

// The end of an age is the end of what is kept.
func TestUnsharedAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, u := unshared(t, still(), Config{OutputBuffer: 1 << 16, ReseedInterval: time.Minute})
		defer r.Close()
		time.Sleep(time.Minute - time.Second)
		synctest.Wait()
		if !u.quick(make([]byte, 16)) {
			t.Error("refused before")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if u.quick(make([]byte, 16)) {
			t.Error("handed out after")
		}
		if _, err := u.Read(make([]byte, 16)); err != nil {
			t.Error(err)
		}
		synctest.Wait() // the reseed that it has asked for
		if n := r.Status().Instances[0].Seeds; n != 2 {
			t.Errorf("%d seeds; want 2", n)
		}
	})
}

// After Close of either: errors, and nothing is handed out.
func TestUnsharedErrors(t *testing.T) {
	check := func(u *UnsharedReader, want error) {
		t.Helper()
		for _, size := range []int{1, 16, 1000} {
			b := bytes.Repeat([]byte{0xa5}, size)
			if n, err := u.Read(b); n != 0 || !errors.Is(err, want) || !zeros(b) {
				t.Errorf("%d bytes: %d, %v, %x; want 0, %v, and that it is cleared", size, n, err, b[:1], want)
			}
		}
		func() {
			defer func() {
				if err, _ := recover().(error); !errors.Is(err, want) {
					t.Errorf("Uint64: %v; want %v", err, want)
				}
			}()
			u.Uint64()
		}()
	}
	r, u := unshared(t, still(), Config{OutputBuffer: 1 << 16})
	other := r.Unshared()
	other.Read(make([]byte, 16))
	u.discard() // as when there was no memory to be had in place of what the kernel dropped
	if n, err := u.Read(make([]byte, 16)); n != 16 || err != nil || u.next != 16 {
		t.Error("without memory:", n, err)
	}
	block := u.memory.Bytes()
	u.Close()
	u.Close()
	if !zeros(block) {
		t.Error("the memory was not wiped")
	}
	check(u, ErrClosed)
	if _, err := other.Read(make([]byte, 16)); err != nil {
		t.Error("another one:", err)
	}
	r.Close()
	check(other, ErrClosed)
	if len(other.kept) != other.next || !zeros(other.kept) {
		t.Error("something is kept after Close of the generator")
	}
	check(r.Unshared(), ErrClosed)
}

// waiting returns a reader that waits for its source when it is asked.
func waiting(t *testing.T) (*blockedSource, *UnsharedReader) {
	t.Helper()
	source := &blockedSource{entered: make(chan struct{}), end: make(chan struct{})}
	r, err := newOn(still(), Config{Sources: []es.Source{source}, OutputBuffer: 1 << 16})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return source, r.Unshared()
}

// Calls that overlap are noticed.
func TestUnsharedConcurrent(t *testing.T) {
	source, u := waiting(t)
	done := make(chan error)
	go func() {
		_, err := u.Read(make([]byte, 16))
		done <- err
	}()
	<-source.entered
	func() {
		defer func() {
			if s, _ := recover().(string); !strings.Contains(s, "concurrent use") {
				t.Errorf("panic %q", s)
			}
		}()
		u.Uint64()
		t.Error("no panic")
	}()
	close(source.end)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := u.Read(make([]byte, 16)); err != nil {
		t.Error(err)
	}
}

// A blockedSource tells when it is asked, and answers when it may.
type blockedSource struct {
	countSource
	entered, end chan struct{}
	once         atomic.Bool
}

func (s *blockedSource) GetEntropy(ctx context.Context, b []byte, bits int) (int, error) {
	if !s.once.Swap(true) {
		close(s.entered)
		<-s.end
	}
	return s.countSource.GetEntropy(ctx, b, bits)
}

// Readers side by side, and the generator itself, have nothing in common; each of what they
// take at a time is a request.
func TestUnsharedApart(t *testing.T) {
	r, u := unshared(t, still(), Config{OutputBuffer: 1 << 16})
	v := r.Unshared()
	defer v.Close()
	seen := make(map[[8]byte]string)
	for i := range 2000 {
		for _, reader := range []struct {
			name string
			read func([]byte) (int, error)
		}{{"u", u.Read}, {"v", v.Read}, {"r", r.Read}} {
			b := make([]byte, 8+i%25)
			if _, err := reader.read(b); err != nil {
				t.Fatal(err)
			}
			w := [8]byte(b)
			if other, ok := seen[w]; ok {
				t.Fatalf("%s has what %s had", reader.name, other)
			}
			seen[w] = fmt.Sprint(reader.name, " ", i)
		}
	}
	before := r.Status().Instances[0]
	for range 2 * unsharedSize / 32 {
		u.Read(make([]byte, 32))
	}
	after := r.Status().Instances[0]
	if after.Requests-before.Requests != 2 || after.Bytes-before.Bytes != 2*unsharedSize {
		t.Errorf("%d requests, %d bytes; want 2, %d", after.Requests-before.Requests, after.Bytes-before.Bytes, 2*unsharedSize)
	}
	if s := fmt.Sprintf("%v %+v %#v", u, u, u); s != strings.TrimSpace(strings.Repeat("lrng.UnsharedReader ", 3)) {
		t.Errorf("prints as %q", s)
	}
	if l := r.Status().Level; l != seeding.FullySeeded {
		t.Errorf("level %v", l)
	}
}

// While the first read waits, the page turns out to count something else.
func TestUnsharedPageLeftAlone(t *testing.T) {
	outsideFIPS(t)
	page := newClonePage(1)
	source := &blockedSource{entered: make(chan struct{}), end: make(chan struct{})}
	r, err := newOn(page.on(t, still()), Config{Sources: []es.Source{source}, Shards: 1,
		DRNG: func() (drng.DRNG, error) { return drng.NewChaCha20(), nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if m := r.mech.Load(); !m.watched || m.ahead == 0 {
		t.Skip("not watched")
	}
	u := r.Unshared()
	defer u.Close()
	done := make(chan error)
	go func() { _, err := u.Read(make([]byte, 16)); done <- err }()
	<-source.entered
	for g := uint64(2); g < 10; g++ {
		page.set(g)
		r.generation()
	}
	close(source.end)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if r.twins.page.Load() != nil {
		t.Fatal("the page is still looked at")
	}
	page.set(100)
	if r.keeps(r.twins.page.Load()) == 0 && u.quick(make([]byte, 16)) {
		t.Errorf("%d bytes kept, and handed out after a copy, where nothing may be kept", len(u.kept))
	}
}

// The epoch in which the full level was seen is over when it is lost.
func TestUnsharedLevel(t *testing.T) {
	r := start(t, still(), Config{OutputBuffer: 1 << 16, Shards: 2})
	if _, err := r.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	r.pool.Lock(context.Background()) // nobody seeds
	defer r.pool.Unlock()
	bad := 0
	for range 4000 {
		h := r.shards.LockIndex(0)
		h.Value.seeded = true
		r.level.Store(int32(seeding.FullySeeded))
		h.Unlock()
		ready := make(chan struct{})
		var at atomic.Uint64 // the last epoch in which the level was seen to be full
		done := make(chan struct{})
		go func() {
			defer close(done)
			close(ready)
			for {
				e := r.epoch.now()
				if r.currentLevel() != seeding.FullySeeded {
					return
				}
				at.Store(e)
			}
		}()
		<-ready
		h = r.shards.LockIndex(0)
		r.lose(&h.Value)
		h.Unlock()
		<-done
		if at.Load() == r.epoch.now() {
			bad++
		}
	}
	if bad > 0 {
		t.Errorf("%d times: the full level was seen in the epoch that goes on below it", bad)
	}
}

// Few refills between two seeds would be thrown away by the next one: nothing is kept.
func TestUnsharedFewRefills(t *testing.T) {
	for _, tt := range []struct {
		c    Config
		want int
	}{
		{Config{ReseedBits: 1 << 13}, 0},
		{Config{ReseedBits: 8 * unsharedSize * fewRefills}, 0}, // a seed is due after three quarters
		{Config{ReseedBits: 8 * unsharedSize * fewRefills / 3 * 4}, unsharedSize},
		{Config{ReseedRequests: fewRefills - 1}, 0},
		{Config{ReseedRequests: fewRefills}, unsharedSize},
	} {
		tt.c.OutputBuffer, tt.c.Shards = 1<<16, 1
		u := start(t, still(), tt.c).Unshared()
		defer u.Close()
		for range 100 {
			b := make([]byte, 16)
			if _, err := u.Read(b); err != nil || zeros(b) {
				t.Fatal(err)
			}
		}
		if len(u.kept) != tt.want {
			t.Errorf("ReseedBits %d, ReseedRequests %d: %d bytes kept; want %d", tt.c.ReseedBits, tt.c.ReseedRequests, len(u.kept), tt.want)
		}
	}
}

// A copy of the reader is noticed.
func TestUnsharedCopiedReader(t *testing.T) {
	_, u := unshared(t, still(), Config{OutputBuffer: 1 << 16})
	v := *u
	for name, u := range map[string]*UnsharedReader{"copy": &v, "zero value": {}} {
		for _, size := range []int{16, 1000} {
			func() {
				defer func() {
					if s, _ := recover().(string); !strings.Contains(s, "is a copy") {
						t.Errorf("%s: panic %q", name, s)
					}
				}()
				b := make([]byte, size)
				u.Read(b)
				t.Errorf("%s: %x", name, b)
			}()
		}
	}
}

// So is Close while a read waits.
func TestUnsharedCloseWhileReading(t *testing.T) {
	source, u := waiting(t)
	done := make(chan any)
	go func() {
		defer func() { done <- recover() }()
		u.Read(make([]byte, 16))
	}()
	<-source.entered
	func() {
		defer func() {
			s, _ := recover().(string)
			if !strings.Contains(s, "concurrent use") {
				t.Errorf("Close: panic %q", s)
			}
		}()
		u.Close()
	}()
	close(source.end)
	if v := <-done; v != nil {
		t.Error("Read:", v)
	}
}

// A read of any length wipes what is not to be handed out any more.
func TestUnsharedWipes(t *testing.T) {
	r, u := unshared(t, still(), Config{OutputBuffer: 1 << 16})
	r.Close()
	if _, err := u.Read(make([]byte, 1000)); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if !zeros(u.kept) {
		t.Error("asked after Close, and not wiped")
	}
}

// A panicHandler panics once.
type panicHandler struct {
	slog.Handler
	armed *atomic.Bool
}

func (h panicHandler) Handle(_ context.Context, rec slog.Record) error {
	if strings.HasPrefix(rec.Message, "lrng: mechanism failed") && h.armed.Swap(false) {
		panic("handler")
	}
	return nil
}
func (h panicHandler) Enabled(context.Context, slog.Level) bool { return true }

// Who recovers from a panic of a logger goes on.
func TestUnsharedPanic(t *testing.T) {
	outsideFIPS(t)
	armed, fail := new(atomic.Bool), new(atomic.Bool)
	r := start(t, still(), Config{OutputBuffer: 1 << 16, Shards: 1, Logger: slog.New(panicHandler{armed: armed}),
		DRNG: func() (drng.DRNG, error) { return &failingOnce{drng.NewChaCha20(), fail}, nil }})
	u := r.Unshared()
	defer u.Close()
	if _, err := u.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	r.epoch.end()
	h := r.shards.LockIndex(0)
	h.Value.next = len(h.Value.ahead)
	h.Unlock()
	armed.Store(true)
	fail.Store(true)
	func() {
		defer func() {
			if s, _ := recover().(string); s != "handler" {
				t.Errorf("panic %q", s)
			}
		}()
		u.Read(make([]byte, 16))
	}()
	if _, err := r.Read(make([]byte, 16)); err != nil {
		t.Error(err)
	}
	defer func() {
		if v := recover(); v != nil {
			t.Error("afterwards:", v)
		}
	}()
	if _, err := u.Read(make([]byte, 16)); err != nil {
		t.Error(err)
	}
}

// A failingOnce is a mechanism that fails once.
type failingOnce struct {
	*drng.ChaCha20
	fail *atomic.Bool
}

func (d *failingOnce) Generate(b, additional []byte) error {
	if d.fail.Swap(false) {
		return errors.New("it fails")
	}
	return d.ChaCha20.Generate(b, additional)
}

// A lateSource yields nothing until it is opened.
type lateSource struct {
	countSource
	asked chan struct{}
	open  atomic.Bool
	once  atomic.Bool
}

func (s *lateSource) GetEntropy(ctx context.Context, b []byte, bits int) (int, error) {
	if !s.open.Load() {
		if !s.once.Swap(true) {
			close(s.asked)
		}
		return 0, errors.New("not yet")
	}
	return s.countSource.GetEntropy(ctx, b, bits)
}

// While the first read waits, the mechanism is switched to one that nothing may be kept of.
func TestUnsharedSwitched(t *testing.T) {
	outsideFIPS(t)
	source := &lateSource{asked: make(chan struct{})}
	on := still()
	on.virtual = false
	r, err := newOn(on, Config{Sources: []es.Source{source}, Shards: 1,
		DRNG: func() (drng.DRNG, error) { return drng.NewChaCha20(), nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	u := r.Unshared()
	defer u.Close()
	done := make(chan error)
	go func() { _, err := u.Read(make([]byte, 16)); done <- err }()
	<-source.asked
	if err := r.SetDRNG(func() (drng.DRNG, error) { return drng.NewCTR(drng.CTRConfig{}) }); err != nil {
		t.Fatal(err)
	}
	source.open.Store(true)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if r.keeps(r.twins.page.Load()) == 0 && u.quick(make([]byte, 16)) {
		t.Errorf("%d bytes of %s kept; want none", len(u.kept), r.mech.Load().info.Name)
	}
}

// A drngOf is a mechanism for requests of at most so many bytes.
type drngOf struct {
	*drng.ChaCha20
	most int
}

func (d drngOf) Info() drng.Info {
	info := d.ChaCha20.Info()
	info.MaxRequest = d.most
	return info
}

func (d drngOf) Generate(b, additional []byte) error {
	if len(b) > d.most {
		return drng.ErrRequestTooLarge
	}
	return d.ChaCha20.Generate(b, additional)
}

func zeros(p []byte) bool { return strings.Trim(string(p), "\x00") == "" }
