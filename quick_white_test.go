package lrng

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/internal/secmem"
	"github.com/lrng-go/lrng/internal/selftest"
	"github.com/lrng-go/lrng/seeding"
)

// locked returns a generator and its only shard, which is locked until the end of the
// test, after requests that have it answer quickly.
func locked(t *testing.T, on *machine, c Config) (*RNG, *instance) {
	t.Helper()
	r := start(t, on, c)
	if _, err := r.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	h := r.shards.LockIndex(0)
	t.Cleanup(h.Unlock)
	if !r.quick(&h.Value, make([]byte, 16)) {
		t.Fatal("the second request is not a quick one")
	}
	return r, &h.Value
}

// Whatever is not as it should be, the short way takes nothing and returns nothing.
func TestQuickRefuses(t *testing.T) {
	page := newClonePage(1)
	r, in := locked(t, page.on(t, still()), Config{OutputBuffer: 1000})
	mech, memory := in.mech, in.memory
	gone, err := secmem.Alloc(64, secmem.Heap)
	if err != nil {
		t.Fatal(err)
	}
	gone.Free()
	watched := *mech
	watched.watched = true
	for _, tt := range []struct {
		name       string
		spoil, fix func()
	}{
		{"not allowed", func() { in.quickTo = in.requests }, func() {}},
		{"no seed", func() { in.seeded = false }, func() { in.seeded = true }},
		{"level", func() { in.index = 1; r.level.Store(int32(seeding.MinimallySeeded)) },
			func() { in.index = 0; r.level.Store(int32(seeding.FullySeeded)) }},
		{"age", func() { in.age.old.Store(true) }, func() { in.age.old.Store(false) }},
		{"self-tests due", func() { r.tested.old.Store(true) }, func() { r.tested.old.Store(false) }},
		{"memory", func() { in.memory = gone }, func() { in.memory = memory }},
		{"copied", func() { page.set(2) }, func() { page.set(1) }},
		{"page being written", page.write, page.write},
		{"copied before", func() { r.twins.inARow.Store(1) }, func() { r.twins.inARow.Store(0) }},
		{"no page", func() { in.mech = &watched; r.twins.page.Store(nil) },
			func() { in.mech = mech; r.twins.page.Store(r.machine.page) }},
	} {
		b := bytes.Repeat([]byte{0xa5}, 16)
		next, requests := in.next, in.requests
		in.quickTo = requests + 1
		tt.spoil()
		done := r.quick(in, b)
		tt.fix()
		if done || in.next != next || in.requests != requests || !bytes.Equal(b, bytes.Repeat([]byte{0xa5}, 16)) {
			t.Errorf("%s: served: %v, %d bytes used", tt.name, done, in.next-next)
		}
		if in.quickTo = requests + 1; !r.quick(in, b) {
			t.Fatalf("%s: refuses after that, too", tt.name)
		}
	}
	if r.quick(in, make([]byte, len(in.ahead)-in.next+1)) {
		t.Error("more bytes than there are ahead")
	}
}

// What the short way returns is what was ahead, once; it is erased, and counted.
func TestQuickErases(t *testing.T) {
	r, in := locked(t, still(), Config{OutputBuffer: 1000})
	for _, n := range []int{1, 8, 15, 16, 17, 31, 32, 33, 100} {
		want, before := bytes.Clone(in.ahead[in.next:in.next+n]), *in
		got := make([]byte, n)
		if !r.quick(in, got) || !bytes.Equal(got, want) || in.next != before.next+n {
			t.Errorf("%d bytes: %x; want %x", n, got, want)
		}
		if !bytes.Equal(in.ahead[:in.next], make([]byte, in.next)) {
			t.Errorf("%d bytes are still there", n)
		}
		if in.quickTo != before.quickTo || in.requests != before.requests+1 || in.bits != before.bits+8*uint64(n) ||
			in.status().Requests != before.status().Requests+1 || in.status().Bytes != before.status().Bytes+uint64(n) {
			t.Errorf("%d bytes are not counted", n)
		}
	}
}

// A copy of the machine while a quick request is combined: it returns nothing.
func TestQuickCopiedDuring(t *testing.T) {
	needsCombiner(t)
	for _, during := range []string{"nothing", "copied", "being written"} {
		page := newClonePage(1)
		page[3] = 0 // no counter of copies: of disruptions alone, which are not relied on
		on := page.on(t, still())
		event := func() {}
		system := on.system
		on.system = func(b []byte) bool {
			event()
			return system(b)
		}
		r, in := locked(t, on, Config{DRNG: func() (drng.DRNG, error) { return drng.NewChaCha20(), nil }})
		if in.combiner == nil {
			t.Fatal("requests are not combined")
		}
		switch during {
		case "copied":
			event = func() {
				atomic.StoreUint64(&page[2], little64(2))
				page.set(1)
			}
		case "being written":
			event = page.write
		}
		b := bytes.Repeat([]byte{0xa5}, 16)
		next := in.next
		if done := r.quick(in, b); done != (during == "nothing") || done == bytes.Equal(b, make([]byte, 16)) {
			t.Errorf("%s: served: %v: %x", during, done, b)
		}
		if !bytes.Equal(in.ahead[:in.next], make([]byte, in.next)) || in.next != next+16 {
			t.Errorf("%s: what was used is left", during)
		}
	}
}

// No request that has to look at the clock, and none that reaches a limit, is a quick one;
// all others are for which there is output ahead, but for those near a limit of bits. The
// limits are those of Config.
func TestQuickLimits(t *testing.T) {
	for _, c := range []Config{
		{OutputBuffer: 4000},
		{OutputBuffer: 100, ReseedRequests: 7},
		{OutputBuffer: 100, ReseedRequests: 700},
		{OutputBuffer: 4000, ReseedRequests: 700},
		{OutputBuffer: 100, ReseedBits: 100000},
		{OutputBuffer: 1000, ReseedBits: 1 << 16},
		{OutputBuffer: 1000, ReseedBits: 71640}, // due 700 bytes after the 7th refill and the request that made it
	} {
		for _, sizes := range [][]int{{16}, {1}, {33, 8, 100, 1}, {16, 984}} {
			if slices.Max(sizes) > c.OutputBuffer {
				continue
			}
			t.Run(fmt.Sprint(c.OutputBuffer, c.ReseedRequests, c.ReseedBits, sizes), func(t *testing.T) {
				r, in := locked(t, still(), c)
				in.dropAhead()
				m := in.mech
				quick := 0
				for i := 0; i < 3000; i++ {
					b := make([]byte, sizes[i%len(sizes)])
					if r.quick(in, b) {
						quick++
						if in.requests >= m.due || in.bits >= m.dueBits || in.requests%256 == 0 {
							t.Fatalf("a quick one was request %d of %d, with %d bits of %d", in.requests, m.due, in.bits, m.dueBits)
						}
						continue
					}
					_, due, err := r.serve(in, b, 1)
					if err != nil {
						t.Fatal(err)
					}
					if want := in.requests >= m.due || in.bits >= m.dueBits; due != want {
						t.Fatalf("request %d of %d, %d bits of %d: due: %v", in.requests, m.due, in.bits, m.dueBits, due)
					}
					if due {
						if in.quickTo != 0 {
							t.Errorf("quick requests after the limit, to %d", in.quickTo)
						}
						break
					}
				}
				if quick == 0 || len(sizes) == 1 && sizes[0] == 16 && quick < int(in.requests)/2 {
					t.Errorf("%d of %d requests were quick", quick, in.requests)
				}
			})
		}
	}
}

// After a switch no request is a quick one before the first output of the new mechanism
// was compared with the known answers (T19), whatever the old one had left. A request that is
// too short for that is enough if output was generated ahead.
func TestQuickAfterSwitch(t *testing.T) {
	outsideFIPS(t)
	for _, size := range []int{15, 1000} {
		testQuickAfterSwitch(t, size)
	}
}

func testQuickAfterSwitch(t *testing.T, size int) {
	r := start(t, still(), Config{OutputBuffer: size})
	read := func(n int) (compared, quick bool) {
		t.Helper()
		if _, err := r.Read(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		h := r.shards.LockIndex(0)
		defer h.Unlock()
		return h.Value.compared, h.Value.requests < h.Value.quickTo
	}
	if compared, quick := read(16); !compared || !quick {
		t.Fatalf("%d bytes ahead: compared: %v, quick requests: %v", size, compared, quick)
	}
	if err := r.SetDRNG(func() (drng.DRNG, error) { return drng.NewXDRBG(), nil }); err != nil {
		t.Fatal(err)
	}
	long := size >= 16
	if compared, quick := read(8); compared != long || quick != long {
		t.Errorf("%d bytes ahead, after 8 bytes: compared: %v, quick requests: %v", size, compared, quick)
	}
	if compared, quick := read(16); !compared || !quick {
		t.Errorf("%d bytes ahead, after 16 bytes: compared: %v, quick requests: %v", size, compared, quick)
	}
}

// After a failed self-test nothing is output, not even by a shard that is yet to be wiped.
func TestQuickSelfTestFailed(t *testing.T) {
	const env = "LRNG_TEST_QUICK_FAILED"
	if os.Getenv(env) == "" {
		exe, err := os.Executable()
		if err != nil {
			t.Skip(err)
		}
		cmd := exec.Command(exe, "-test.run=^TestQuickSelfTestFailed$")
		cmd.Env = append(os.Environ(), env+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	r, in := locked(t, still(), Config{OutputBuffer: 1000})
	other, u := unshared(t, still(), Config{OutputBuffer: 1000})
	h := other.shards.LockIndex(0)
	selftest.Fail("injected") // has the generators wiped as soon as the shards are unlocked
	b := bytes.Repeat([]byte{0xa5}, 16)
	if next := in.next; !in.seeded || r.quick(in, b) || in.next != next || !bytes.Equal(b, bytes.Repeat([]byte{0xa5}, 16)) {
		t.Errorf("seeded: %v, %d bytes used: %x", in.seeded, in.next-next, b)
	}
	if other.epoch.now() != u.epoch || u.quick(b) {
		t.Error("an UnsharedReader hands out what it kept")
	}
	h.Unlock()
	for _, size := range []int{16, 1000} {
		b := bytes.Repeat([]byte{0xa5}, size)
		if n, err := u.Read(b); n != 0 || !errors.Is(err, ErrSelfTest) || !zeros(b) {
			t.Errorf("UnsharedReader: %d, %v", n, err)
		}
	}
}

// A shard that cannot serve leaves it to shard 0, whose mechanism may be for shorter requests
// by then, while they are being switched: all of the read is filled all the same.
func TestReadDuringSwitch(t *testing.T) {
	outsideFIPS(t)
	r := start(t, still(), Config{Shards: 2, OutputBuffer: -1})
	if _, err := r.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	r.pool.Lock(t.Context()) // no seeds meanwhile
	defer r.pool.Unlock()
	h := r.shards.LockIndex(1)
	h.Value.seeded = false
	h.Unlock()
	h = r.shards.LockIndex(0)
	short := *h.Value.mech
	short.chunk = 16
	h.Value.mech = &short

	b := bytes.Repeat([]byte{0xa5}, 200)
	done := make(chan error)
	go func() {
		_, err := r.Read(b)
		done <- err
	}()
	time.Sleep(20 * time.Millisecond) // it has turned to shard 1, and waits for shard 0
	h.Unlock()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, bytes.Repeat([]byte{0xa5}, 8)) {
		t.Errorf("not filled: %x", b)
	}
}
