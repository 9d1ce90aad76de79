package lrng

import (
	"bytes"
	"context"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/seeding"
)

// No more than OutputBuffer bytes are generated with the same fresh inputs, whatever is read.
func TestSharedInputs(t *testing.T) {
	outsideFIPS(t)
	for _, most := range []int{1, 15, 100, refillSize - 1, refillSize, refillSize + 1, 4096, 10000, 1 << 16} {
		on, started, since := still(), false, 0
		on.system = func([]byte) bool {
			since = 0
			return true
		}
		r := start(t, on, Config{OutputBuffer: most, DRNG: func() (drng.DRNG, error) {
			return &generateSpy{drng.NewChaCha20(), func(out int, additional bool) {
				if !started {
					return // New tries whether it refuses
				}
				if since += out; since > max(most, out) {
					t.Errorf("OutputBuffer %d: %d bytes with the same inputs", most, since)
				}
				if since == out && !additional {
					t.Errorf("OutputBuffer %d: inputs were not used", most)
				}
			}}, nil
		}})
		shared := 0
		started = true
		for i := range 2000 {
			if _, err := r.Read(make([]byte, (1+i*i)%700)); err != nil {
				t.Fatal(err)
			}
			shared = max(shared, since)
		}
		if shared == 0 || shared <= most-refillSize {
			t.Errorf("OutputBuffer %d: at most %d bytes with the same inputs", most, shared)
		}
	}
}

// A generateSpy tells of each request.
type generateSpy struct {
	drng.DRNG
	tell func(out int, additional bool)
}

func (d *generateSpy) Generate(out, additional []byte) error {
	d.tell(len(out), len(additional) > 0)
	return d.DRNG.Generate(out, additional)
}

// A long read takes fresh inputs with each fourth request to the mechanism, of 4096 bytes or
// what the limits leave of that. Each request counts.
func TestLongReadInputs(t *testing.T) {
	outsideFIPS(t)
	for _, tt := range []struct {
		c     Config
		size  int
		fresh []int // bytes of the operating system
		calls uint64
	}{
		{Config{OutputBuffer: -1}, 4096, []int{16}, 1},
		{Config{OutputBuffer: -1}, 4097, []int{16}, 2},
		{Config{OutputBuffer: -1}, 4 * 4096, []int{16}, 4},
		{Config{OutputBuffer: -1}, 4*4096 + 1, []int{16, 16}, 5},
		{Config{OutputBuffer: -1}, 1 << 16, []int{16, 16, 16, 16}, 16},
		{Config{}, 1<<16 + 1, []int{16, 16, 16, 16, 16}, 17}, // the last byte is combined with what a refill without inputs brought
		{Config{}, 4097, []int{16}, 2},
		{Config{OutputBuffer: 1000}, 4097, []int{16, 16}, 2}, // the overhang is from a refill
		{Config{OutputBuffer: 1000}, 496, []int{16}, 1},      // a refill
		{Config{OutputBuffer: 1000}, 600, []int{16}, 1},      // more than a half
		{Config{OutputBuffer: 1000}, 497, []int{16, 16}, 1},  // with an overhang
		{Config{OutputBuffer: 4096}, 1 << 14, []int{16, 16}, 4},
		{Config{OutputBuffer: 1 << 16}, 1<<16 + 1, []int{16}, 17}, // the last byte is of the refill
		{Config{OutputBuffer: 1 << 16}, 1<<17 + 1, []int{16, 16}, 33},
		{Config{OutputBuffer: 1000, ReseedBits: 1 << 14}, 2048, []int{16, 16}, 1},
	} {
		if tt.c.OutputBuffer == 0 && !canCombine() {
			continue
		}
		var lengths []int
		on := still()
		on.system = func(b []byte) bool {
			lengths = append(lengths, len(b))
			return true
		}
		tt.c.DRNG = func() (drng.DRNG, error) { return drng.NewChaCha20(), nil }
		for name, read := range map[string]func(*RNG, []byte) (int, error){
			"Read":        (*RNG).Read,
			"Nonblocking": func(r *RNG, b []byte) (int, error) { return r.Nonblocking().Read(b) },
		} {
			r := start(t, on, tt.c)
			if err := r.Wait(t.Context(), seeding.FullySeeded); err != nil {
				t.Fatal(err)
			}
			lengths = nil
			if n, err := read(r, make([]byte, tt.size)); n != tt.size || err != nil {
				t.Fatal(n, err)
			}
			if st := r.Status().Instances[0]; !slices.Equal(lengths, tt.fresh) || st.Requests != tt.calls || st.Bytes != uint64(tt.size) {
				t.Errorf("%s of %d bytes, OutputBuffer %d: %v bytes of the operating system, %d requests, %d bytes; want %v, %d",
					name, tt.size, tt.c.OutputBuffer, lengths, st.Requests, st.Bytes, tt.fresh, tt.calls)
			}
		}
	}
}

// The limits hold in the middle of a long read: what comes after them is from the next seed.
func TestLongReadLimits(t *testing.T) {
	outsideFIPS(t)
	for _, tt := range []struct {
		c     Config
		seeds uint64 // for 16 requests
	}{
		{Config{}, 1},
		{Config{MaxWithoutReseed: 3}, 6},
		{Config{MaxWithoutReseed: 4}, 4},
		{Config{MaxWithoutReseed: 1}, 16},
		{Config{ReseedBits: 3 * 8 * 4096}, 6}, // the third would come at the limit
		{Config{ReseedBits: 8 * 1000}, 66},
	} {
		var mu sync.Mutex // seeds may come in the background
		var perSeed []int
		size := 1 << 16
		tt.c.OutputBuffer = -1
		tt.c.DRNG = func() (drng.DRNG, error) {
			return &mechanismSpy{drng.NewChaCha20(),
				func(_, _ []byte) {
					mu.Lock()
					defer mu.Unlock()
					perSeed = append(perSeed, 0)
				},
				func(_ drng.DRNG, out []byte) {
					mu.Lock()
					defer mu.Unlock()
					perSeed[len(perSeed)-1] += len(out)
				},
			}, nil
		}
		r := start(t, still(), tt.c)
		b := make([]byte, size)
		if n, err := r.Read(b); n != size || err != nil {
			t.Fatal(n, err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		total := 0
		for i, n := range perSeed {
			total += n
			if tt.c.ReseedBits != 0 && uint64(8*n) > tt.c.ReseedBits || tt.c.MaxWithoutReseed != 0 && n > 4096*int(tt.c.MaxWithoutReseed) {
				t.Errorf("%+v: %d bytes from seed %d", tt.c, n, i)
			}
		}
		if total != size || uint64(len(perSeed)) < tt.seeds {
			t.Errorf("MaxWithoutReseed %d, ReseedBits %d: %d bytes from %d seeds; want %d from %d", tt.c.MaxWithoutReseed, tt.c.ReseedBits, total, len(perSeed), size, tt.seeds)
		}
	}
}

// A copy of the machine between two requests of a read: nothing of what the first has brought is
// returned, since the twin has it, too. A page that changes all the time does not hold up a
// read for ever.
func TestCopiedInLongRead(t *testing.T) {
	outsideFIPS(t)
	for _, tt := range []struct {
		name string
		at   int    // which time bytes of the operating system are taken
		ever bool   // and each time after that
		want uint64 // changes noticed, at least
	}{
		{"never", 0, false, 0},
		{"at first", 1, false, 1},
		{"in the middle", 2, false, 1},
		{"at last", 4, false, 1},
		{"each time", 2, true, maxInARow},
	} {
		for name, read := range map[string]func(*RNG, []byte) (int, error){
			"Read":        (*RNG).Read,
			"Nonblocking": func(r *RNG, b []byte) (int, error) { return r.Nonblocking().Read(b) },
		} {
			page := newClonePage(1)
			on := page.on(t, still())
			system, calls, generation := on.system, 0, uint64(1)
			on.system = func(b []byte) bool {
				if calls++; calls == tt.at || tt.ever && calls > tt.at {
					generation++
					page.set(generation)
				}
				return system(b)
			}
			var before [][]byte // output of before the copy
			r := start(t, on, Config{OutputBuffer: -1, DRNG: func() (drng.DRNG, error) {
				return &mechanismSpy{drng.NewChaCha20(), nil, func(_ drng.DRNG, out []byte) {
					if generation == 1 || calls == tt.at {
						before = append(before, bytes.Clone(out))
					}
				}}, nil
			}})
			if err := r.Wait(t.Context(), seeding.FullySeeded); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 1<<16)
			n, err := read(r, b)
			for err == ErrNotSeeded {
				if err := r.Wait(t.Context(), seeding.FullySeeded); err != nil {
					t.Fatal(err)
				}
				n, err = read(r, b)
			}
			if n != len(b) || err != nil {
				t.Fatal(n, err)
			}
			if tt.at > 0 {
				for _, p := range before {
					if bytes.Contains(b, p[:16]) {
						t.Errorf("%s, %s: output of before the copy", tt.name, name)
					}
				}
				if len(before) < tt.at {
					t.Errorf("%s, %s: %d requests before the copy", tt.name, name, len(before))
				}
			}
			if st := r.Status(); st.GenerationChanges < tt.want || !tt.ever && st.GenerationChanges != tt.want {
				t.Errorf("%s, %s: %d changes noticed; want %d", tt.name, name, st.GenerationChanges, tt.want)
			}
		}
	}
}

// A mechanism may want a seed at a time of its own, in the middle of a long read: what it has
// brought until then stays.
func TestLongReadOfThirsty(t *testing.T) {
	outsideFIPS(t)
	for most := 1; most <= 5; most++ {
		var mu sync.Mutex
		seeds, sinceSeed := 0, 0
		r := start(t, still(), Config{OutputBuffer: -1, DRNG: func() (drng.DRNG, error) {
			return &thirsty{mechanismSpy{drng.NewChaCha20(), func(_, _ []byte) {
				mu.Lock()
				defer mu.Unlock()
				seeds++
				sinceSeed = 0
			}, func(drng.DRNG, []byte) {
				mu.Lock()
				defer mu.Unlock()
				sinceSeed++
			}}, func() bool {
				mu.Lock()
				defer mu.Unlock()
				return sinceSeed >= most
			}}, nil
		}})
		b := make([]byte, 1<<16)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		n, err := r.ReadContext(ctx, b)
		cancel()
		if n != len(b) || err != nil {
			t.Fatalf("%d requests a seed: %d, %v", most, n, err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if want := (16 + most - 1) / most; seeds < want || seeds > want+1 {
			t.Errorf("%d requests a seed: %d seeds; want %d", most, seeds, want)
		}
		if zeros := make([]byte, 64); bytes.Contains(b, zeros) {
			t.Errorf("%d requests a seed: a part is not filled", most)
		}
	}
}

// A thirsty mechanism wants a seed when it says so.
type thirsty struct {
	mechanismSpy
	dry func() bool
}

func (d *thirsty) Generate(out, additional []byte) error {
	if d.dry() {
		clear(out)
		return drng.ErrReseedRequired
	}
	return d.mechanismSpy.Generate(out, additional)
}

// A page that changes within each burst does not hold up a read for ever, either.
func TestLongReadRestless(t *testing.T) {
	outsideFIPS(t)
	page := newClonePage(1)
	generation, sinceSeed := uint64(1), 0
	var mu sync.Mutex
	r := start(t, page.on(t, still()), Config{OutputBuffer: -1, DRNG: func() (drng.DRNG, error) {
		return &mechanismSpy{drng.NewChaCha20(), func(_, _ []byte) {
			mu.Lock()
			defer mu.Unlock()
			sinceSeed = 0
		}, func(drng.DRNG, []byte) {
			mu.Lock()
			defer mu.Unlock()
			if sinceSeed++; sinceSeed == 2 {
				generation++
				page.set(generation)
			}
		}}, nil
	}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if n, err := r.ReadContext(ctx, make([]byte, 1<<15)); n != 1<<15 || err != nil {
		t.Fatal(n, err)
	}
}

// What is read from a large buffer counts as what it is: a request for each 4096 bytes.
func TestLongReadsAhead(t *testing.T) {
	outsideFIPS(t)
	for _, tt := range []struct {
		c               Config
		size            int
		requests, seeds uint64
	}{
		{Config{OutputBuffer: 1 << 16}, 4096, 1, 1},
		{Config{OutputBuffer: 1 << 16}, 4097, 2, 1},
		{Config{OutputBuffer: 1 << 16}, 40000, 10, 1},
		{Config{OutputBuffer: 1 << 16, MaxWithoutReseed: 4}, 40000, 10, 3},
	} {
		r := start(t, still(), tt.c)
		if _, err := r.Read(make([]byte, 16)); err != nil {
			t.Fatal(err)
		}
		before := r.Status().Instances[0]
		if _, err := r.Read(make([]byte, tt.size)); err != nil {
			t.Fatal(err)
		}
		after := r.Status().Instances[0]
		if n := after.Requests - before.Requests; n != tt.requests || after.Seeds < tt.seeds {
			t.Errorf("%d bytes, MaxWithoutReseed %d: %d requests, %d seeds; want %d, %d",
				tt.size, tt.c.MaxWithoutReseed, n, after.Seeds, tt.requests, tt.seeds)
		}
	}
}

// The readers that collect for each block begin again, too, when the machine was copied
// between two.
func TestCopiedInFreshRead(t *testing.T) {
	for name, reader := range map[string]func(*RNG) io.Reader{
		"PredictionResistant": (*RNG).PredictionResistant,
		"SeedReader":          (*RNG).SeedReader,
	} {
		for _, at := range []int{1, 2, 4} {
			page := newClonePage(1)
			var armed atomic.Bool
			collections := 0
			src := &saltSource{asked: func(uint32) {
				if armed.Load() {
					if collections++; collections == at {
						page.set(2)
					}
				}
			}}
			r := start(t, page.on(t, still()), Config{Sources: []es.Source{src}})
			if err := r.Wait(t.Context(), seeding.FullySeeded); err != nil {
				t.Fatal(err)
			}
			armed.Store(true)
			b := make([]byte, 4*32)
			if n, err := reader(r).Read(b); n != len(b) || err != nil {
				t.Fatal(n, err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if want := at + 4; collections < want {
				t.Errorf("%s, copied in collection %d of 4: %d collections, so that not all are of after it", name, at, collections)
			}
		}
	}
}

// The last bytes of a long request to ChaCha20 are those that were ahead, where they would
// begin another pass over its blocks.
func TestOverhang(t *testing.T) {
	outsideFIPS(t)
	chacha := func() (drng.DRNG, error) { return drng.NewChaCha20(), nil }
	for _, tt := range []struct {
		what string
		c    Config
		n    int // the length of the read, in bytes
		want int // bytes of it that were ahead
	}{
		{"quick", Config{DRNG: chacha, OutputBuffer: 1 << 16}, quickMost, quickMost},
		{"a little more", Config{DRNG: chacha, OutputBuffer: 1 << 16}, quickMost + 1, 17},
		{"all that is ahead at a time, and the key", Config{DRNG: chacha, OutputBuffer: 1 << 16}, refillSize, 0},
		{"one byte more", Config{DRNG: chacha, OutputBuffer: 1 << 16}, refillSize + 1, 1},
		{"the longest", Config{DRNG: chacha, OutputBuffer: 1 << 16}, refillSize + 64, 64},
		{"too long", Config{DRNG: chacha, OutputBuffer: 1 << 16}, refillSize + 65, 0},
		{"1 KiB", Config{DRNG: chacha, OutputBuffer: 1 << 16}, 1024, 32},
		{"a chunk", Config{DRNG: chacha, OutputBuffer: 1 << 16}, maxChunk, 32},
		{"two chunks", Config{DRNG: chacha, OutputBuffer: 1 << 16}, 2 * maxChunk, 64},
		{"a chunk and a little", Config{DRNG: chacha, OutputBuffer: 1 << 16}, maxChunk + 20, 32},
		{"a little ahead", Config{DRNG: chacha, OutputBuffer: refillSize - 1}, 1024, 0},
		{"nothing ahead", Config{DRNG: chacha, OutputBuffer: -1}, 1024, 0},
		{"to be combined", Config{DRNG: chacha}, 1024, 0},
		{"another mechanism", Config{DRNG: func() (drng.DRNG, error) { return drng.NewXDRBG(), nil }, OutputBuffer: 1 << 16}, 1024, 0},
	} {
		t.Run(tt.what, func(t *testing.T) {
			on := still()
			if tt.c.OutputBuffer == 0 {
				on.virtual, on.known = true, true
			}
			tt.c.Shards = 1
			r := start(t, on, tt.c)
			if _, err := r.Read(make([]byte, 16)); err != nil {
				t.Fatal(err)
			}
			look := func() (next int, ahead []byte) {
				h := r.shards.LockIndex(0)
				defer h.Unlock()
				return h.Value.next, slices.Clone(h.Value.ahead)
			}
			next, ahead := look()
			b := make([]byte, tt.n)
			if _, err := r.Read(b); err != nil {
				t.Fatal(err)
			}
			end, rest := look()
			if end-next != tt.want {
				t.Errorf("%d bytes that were ahead; want %d", end-next, tt.want)
			}
			if !slices.Equal(rest[:end], make([]byte, end)) {
				t.Error("what was read is still ahead")
			}
			want := ahead[next : next+tt.want]
			if tt.n > maxChunk {
				if !slices.Equal(b[maxChunk-32:maxChunk], want[:32]) {
					t.Error("the end of the first chunk is not what was ahead")
				}
				want = want[32:]
			}
			if !slices.Equal(b[tt.n-len(want):], want) {
				t.Error("the end is not what was ahead")
			}
			if slices.Equal(b[:16], make([]byte, 16)) {
				t.Error("the beginning was not filled")
			}
		})
	}
}
