package lrng

import (
	"bytes"
	"context"
	"crypto"
	"crypto/fips140"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/internal/twins"
	"github.com/lrng-go/lrng/seeding"
)

// still returns a virtual machine without a generation page on which nothing ever
// changes.
func still() *machine {
	system := func(b []byte) bool {
		for i := range b {
			b[i] = byte(i)
		}
		return true
	}
	return &machine{
		virtual: true,
		known:   true,
		noPage:  errors.New("none"),
		system:  system,
		direct:  system,
		word:    func() uint64 { return 0x1111 },
		cycles:  func() uint64 { return 0x2222 },
	}
}

// A clonePage is a VMClock in memory: fields at the offsets of linux/vmclock-abi.h.
type clonePage []uint64

func newClonePage(generation uint64) clonePage {
	p := make(clonePage, 16)
	p[0] = little64(0x4b4c4356 | 128<<32) // magic, size
	p[1] = little64(1)                    // version, …, seq_count 0
	p[3] = little64(1 << 8)               // flags: the counter is there
	p[13] = little64(generation)
	return p
}

func little64(v uint64) uint64 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	return binary.NativeEndian.Uint64(b[:])
}

// set counts a copy, as a hypervisor does while nothing else runs.
func (p clonePage) set(generation uint64) {
	atomic.StoreUint64(&p[1], little64(little64(p[1])+2<<32))
	atomic.StoreUint64(&p[13], little64(generation))
}

// write begins to write, or ends it.
func (p clonePage) write() { atomic.StoreUint64(&p[1], little64(little64(p[1])+1<<32)) }

// on gives the page to a machine.
func (p clonePage) on(t testing.TB, m *machine) *machine {
	t.Helper()
	page, err := twins.VMClock("test page", unsafe.Slice((*byte)(unsafe.Pointer(&p[0])), 8*len(p)))
	if err != nil {
		t.Fatal(err)
	}
	m.page, m.noPage = page, nil
	return m
}

// A saltSource delivers a count and a salt, with full credit.
type saltSource struct {
	salt  atomic.Uint32
	calls atomic.Uint32
	asked func(call uint32) // before it delivers
	bits  int               // the most of one call; 0: 512
	data  sync.Map          // all that was delivered
}

func (s *saltSource) Info() es.Info          { return es.Info{Name: "salt", MaxEntropy: 512, Health: true} }
func (s *saltSource) Available(bits int) int { return bits }
func (s *saltSource) GetEntropy(_ context.Context, p []byte, bits int) (int, error) {
	n := s.calls.Add(1)
	if s.asked != nil {
		s.asked(n)
	}
	for i := range p {
		p[i] = byte(n)*31 + byte(s.salt.Load()) + byte(i)
	}
	s.data.Store(n, string(p))
	if s.bits != 0 {
		bits = min(bits, s.bits)
	}
	return bits, nil
}

// start returns a generator on a machine, with one shard unless the configuration says
// otherwise.
func start(t testing.TB, on *machine, c Config) *RNG {
	t.Helper()
	if c.Sources == nil {
		c.Sources = []es.Source{&saltSource{}}
	}
	if c.Shards == 0 {
		c.Shards = 1
	}
	c.Strategy = seeding.Default
	if !fips140.Enforced() {
		c.FIPS = FIPSOff
	}
	r, err := newOn(on, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// copyOf returns a generator on another machine that has the state of r, bit for bit: it
// is configured as r was, and both get one seed in each shard here.
func copyOf(t testing.TB, r *RNG, on *machine, c Config) *RNG {
	t.Helper()
	twin := start(t, on, c)
	for _, r := range []*RNG{r, twin} {
		for i := range r.shards.Len() {
			h := r.shards.LockIndex(i)
			in := &h.Value
			size := in.mech.info.SeedSize
			if size == 0 {
				size = 64
			}
			if err := in.d.Seed(bytes.Repeat([]byte{byte(i + 1)}, size), nil); err != nil {
				t.Fatal(err)
			}
			in.seeded, in.instantiated = true, true
			in.generation = r.generation()
			in.age.restart()
			h.Unlock()
		}
		r.tested.restart()
		r.level.Store(int32(seeding.FullySeeded))
	}
	return twin
}

// twinsOf returns two generators with one state, on the machines a and b.
func twinsOf(t testing.TB, a, b *machine, c Config) [2]*RNG {
	t.Helper()
	r := start(t, a, c)
	return [2]*RNG{r, copyOf(t, r, b, c)}
}

// output reads from r in all ways and sizes and returns all of it.
func output(t testing.TB, r *RNG) (out []byte) {
	t.Helper()
	for _, size := range []int{16, 17, 31, 32, 33, 63, 64, 65, 100, 128, 255, 256, 1000, 1024, 1025, 4095, 4096, 4097, 9000} {
		for _, reader := range []io.Reader{r, r.Nonblocking()} {
			b := make([]byte, size)
			if n, err := reader.Read(b); n != size || err != nil {
				t.Fatalf("%T, %d bytes: %d, %v", reader, size, n, err)
			}
			out = append(out, b...)
		}
	}
	for range 100 {
		out = binary.LittleEndian.AppendUint64(out, r.Uint64())
	}
	return out
}

// texts returns some strings of [Text] that r is the source of.
func texts(r *RNG) (out []byte) {
	old := Reader
	defer func() { Reader = old }()
	Reader = r
	for range 32 {
		out = append(out, Text()...)
	}
	return out
}

// equalWindows returns how many of all 16 bytes in a row in b are in a, too.
func equalWindows(a, b []byte) (n int) {
	seen := make(map[[16]byte]bool, len(a))
	for i := 0; i+16 <= len(a); i++ {
		seen[[16]byte(a[i:])] = true
	}
	for i := 0; i+16 <= len(b); i++ {
		if seen[[16]byte(b[i:])] {
			n++
		}
	}
	return n
}

// mechanisms are all that can be used now: those of package drng, and one that is not.
func mechanisms() map[string]func() (drng.DRNG, error) {
	m := map[string]func() (drng.DRNG, error){
		"CTR":  func() (drng.DRNG, error) { return drng.NewCTR(drng.CTRConfig{}) },
		"Hash": func() (drng.DRNG, error) { return drng.NewHash(crypto.SHA512) },
		"HMAC": func() (drng.DRNG, error) { return drng.NewHMAC(crypto.SHA512) },
	}
	if !fips140.Enforced() {
		m["ChaCha20"] = nil
		m["XDRBG"] = func() (drng.DRNG, error) { return drng.NewXDRBG(), nil }
		m["CTR without df"] = func() (drng.DRNG, error) { return drng.NewCTR(drng.CTRConfig{NoDF: true}) } // 48 bytes of additional input
		m["little additional input"] = func() (drng.DRNG, error) { return &littleAdditional{drng.NewChaCha20()}, nil }
	}
	return m
}

// littleAdditional takes no more additional input than a mechanism must.
type littleAdditional struct{ drng.DRNG }

func (d *littleAdditional) Info() drng.Info {
	info := d.DRNG.Info()
	info.MaxAdditional = minAdditional
	return info
}

func (d *littleAdditional) Seed(seed, additional []byte) error {
	if len(additional) > minAdditional {
		return errors.New("too much additional input")
	}
	return d.DRNG.Seed(seed, additional)
}

func (d *littleAdditional) Generate(out, additional []byte) error {
	if len(additional) > minAdditional {
		return errors.New("too much additional input")
	}
	return d.DRNG.Generate(out, additional)
}

// In the mode without output ahead of need two copies of one state never return the same
// 16 bytes, as long as any one input of their requests differs, by one bit (T15, T16, P5).
// If none does they return all the same bytes: the test can fail.
func TestTwinsDifferByAnyInput(t *testing.T) {
	for _, input := range []struct {
		name   string
		differ func(m *machine)
	}{
		{"nothing", func(m *machine) {}},
		{"operating system", func(m *machine) {
			system := m.system
			m.system = func(b []byte) bool {
				defer func() { b[len(b)-1] ^= 0x80 }()
				return system(b)
			}
		}},
		{"CPU", func(m *machine) { m.word = func() uint64 { return 0x1110 } }},
		{"cycle counter", func(m *machine) { m.cycles = func() uint64 { return 0x2222 | 1<<63 } }},
	} {
		for name, mechanism := range mechanisms() {
			for _, ahead := range []int{-1, 0} {
				b := still()
				input.differ(b)
				both := twinsOf(t, still(), b, Config{DRNG: mechanism, OutputBuffer: ahead})
				if st := both[0].Status(); st.OutputBuffer != 0 {
					t.Fatalf("%d bytes are generated ahead (%s)", st.OutputBuffer, st.OutputBufferReason)
				}
				equal := input.name == "nothing"
				x, y := output(t, both[0]), output(t, both[1])
				n := equalWindows(x, y)
				if equal && !bytes.Equal(x, y) || !equal && n != 0 {
					t.Errorf("%s, OutputBuffer %d, %s differs: %d of %d windows are equal", name, ahead, input.name, n, len(y)-15)
				}
				// Windows of 80 bits: two of the 800 here are equal with less than 2⁻⁶⁰.
				x, y = texts(both[0]), texts(both[1])
				if n := equalWindows(x, y); equal && !bytes.Equal(x, y) || !equal && n != 0 {
					t.Errorf("%s, OutputBuffer %d, %s differs: %d windows of texts are equal", name, ahead, input.name, n)
				}
			}
		}
	}
}

// One difference is enough for all times: the twins part with it.
func TestTwinsPartForEver(t *testing.T) {
	b := still()
	calls := 0
	b.cycles = func() uint64 {
		if calls++; calls == 1 {
			return 0x2223
		}
		return 0x2222
	}
	both := twinsOf(t, still(), b, Config{OutputBuffer: -1})
	x, y := output(t, both[0]), output(t, both[1])
	if n := equalWindows(x, y); n != 0 || calls < 100 {
		t.Errorf("%d windows are equal after %d requests", n, calls)
	}
}

// The inputs of a request are all there, and are wiped. A mechanism that takes fewer is refused.
func TestFreshInputs(t *testing.T) {
	outsideFIPS(t)
	for _, most := range []int{0, 32, 100} {
		r := start(t, still(), Config{OutputBuffer: -1, DRNG: func() (drng.DRNG, error) {
			return &inputSpy{DRNG: drng.NewChaCha20(), most: most}, nil
		}})
		h := r.shards.LockIndex(0)
		spy, in := h.Value.d.(*inputSpy), &h.Value
		h.Unlock()
		for request := range uint64(3) {
			if _, err := r.Read(make([]byte, 16)); err != nil {
				t.Fatal(err)
			}
			want := make([]byte, 16)
			still().system(want)
			for _, w := range []uint64{0x1111, 0x2222} {
				want = binary.LittleEndian.AppendUint64(want, w)
			}
			if !bytes.Equal(spy.additional, want) {
				t.Errorf("at most %d bytes, request %d: %x; want %x", most, request, spy.additional, want)
			}
		}
		if !bytes.Equal(in.fresh[:], make([]byte, len(in.fresh))) {
			t.Errorf("inputs are left: %x", in.fresh)
		}
	}
	_, err := New(Config{DRNG: func() (drng.DRNG, error) {
		return &inputSpy{DRNG: drng.NewChaCha20(), most: 31}, nil
	}})
	if err == nil || !strings.Contains(err.Error(), "Config.DRNG") {
		t.Errorf("at most 31 bytes: %v", err)
	}
}

// An inputSpy keeps the additional input of its last request.
type inputSpy struct {
	drng.DRNG
	most       int
	additional []byte
}

func (d *inputSpy) Info() drng.Info {
	info := d.DRNG.Info()
	info.MaxAdditional = d.most
	return info
}

func (d *inputSpy) Generate(out, additional []byte) error {
	d.additional = slices.Clone(additional)
	return d.DRNG.Generate(out, additional)
}

// With output ahead of need, and no page, twins hand out the rest of it twice, and nothing
// else: who sets OutputBuffer vouches that nobody clones the machine.
func TestTwinsWithOutputAhead(t *testing.T) {
	outsideFIPS(t)
	const ahead, used = refillSize, 100
	var apart atomic.Bool
	b := still()
	b.cycles = func() uint64 {
		if apart.Load() {
			return 0x2223
		}
		return 0x2222
	}
	both := twinsOf(t, still(), b, Config{OutputBuffer: ahead})
	var out [2][]byte
	for i, r := range both {
		out[i] = make([]byte, used)
		if _, err := r.Read(out[i]); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(out[0], out[1]) {
		t.Fatal("not one state")
	}
	apart.Store(true)
	for i, r := range both {
		out[i] = nil
		for range 1000 {
			b := make([]byte, 32)
			if _, err := r.Read(b); err != nil {
				t.Fatal(err)
			}
			out[i] = append(out[i], b...)
		}
	}
	if !bytes.Equal(out[0][:ahead-used], out[1][:ahead-used]) {
		t.Error("the rest of the buffer differs: is nothing generated ahead?")
	}
	if n := equalWindows(out[0], out[1]); n != ahead-used-15 {
		t.Errorf("%d windows are equal, want those of the rest of the buffer", n)
	}
}

// Modes, by what the machine is.
func TestOutputBufferModes(t *testing.T) {
	outsideFIPS(t)
	reliable := newClonePage(1).on(t, still()).page
	disruptions := newClonePage(1)
	disruptions[3] = 0
	unreliable := disruptions.on(t, still()).page
	for _, tt := range []struct {
		name           string
		virtual, known bool
		page           *twins.Page
		c              Config
		want           int
		why            string
	}{
		{"hardware", false, true, nil, Config{}, autoOutputBuffer, "not a virtual machine"},
		{"virtual", true, true, nil, Config{}, 0, "a virtual machine, which may be cloned"},
		{"unknown", false, false, nil, Config{}, 0, "cannot tell"},
		{"virtual, with a page", true, true, reliable, Config{}, autoOutputBuffer, "noticed, by test page;"},
		{"unknown, with a page", false, false, reliable, Config{}, autoOutputBuffer, "noticed, by test page;"},
		{"virtual, with a page that is not reliable", true, true, unreliable, Config{}, 0, "a virtual machine, which may be cloned"},
		{"unknown, with a page that is not reliable", false, false, unreliable, Config{}, 0, "cannot tell"},
		{"none wanted", false, true, reliable, Config{OutputBuffer: -1}, 0, "configured; fresh bytes"},
		{"some wanted", true, true, nil, Config{OutputBuffer: 77}, 77, "configured"},
		{"SP 800-90A", false, true, reliable, Config{DRNG: func() (drng.DRNG, error) { return drng.NewCTR(drng.CTRConfig{}) }}, 0, "SP 800-90A"},
		{"reseeded", false, true, reliable, Config{ReseedInterval: -1, OutputBuffer: 77}, 0, "each request is reseeded"},
	} {
		on := still()
		on.virtual, on.known, on.page = tt.virtual, tt.known, tt.page
		r := start(t, on, tt.c)
		st := r.Status()
		if st.OutputBuffer != tt.want || !strings.Contains(st.OutputBufferReason, tt.why) {
			t.Errorf("%s: %d bytes (%s); want %d (…%s…)", tt.name, st.OutputBuffer, st.OutputBufferReason, tt.want, tt.why)
		}
		want := "none"
		if tt.page != nil {
			want = tt.page.String()
		}
		if st.GenerationPage != want || !strings.Contains(st.String(), "Copies of the machine: 0 noticed ("+want+")") {
			t.Errorf("%s: page %q, want %q", tt.name, st.GenerationPage, want)
		}
		if _, err := r.Read(make([]byte, 16)); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// Two machines go on from one snapshot, and no input of their requests differs. Both have a
// page: not one byte of what was generated before is handed out, and both are seeded anew,
// in all modes. Without a change of the page they go on as one.
func TestTwinsNoticed(t *testing.T) {
	for _, ahead := range []int{0, 1000, -1} {
		for _, change := range []bool{true, false} {
			sources := [2]*saltSource{{}, {}}
			pages := [2]clonePage{newClonePage(7), newClonePage(7)}
			c := Config{OutputBuffer: ahead, Sources: []es.Source{sources[0]}}
			a := start(t, pages[0].on(t, still()), c)
			c.Sources = []es.Source{sources[1]}
			b := copyOf(t, a, pages[1].on(t, still()), c)
			before := output(t, a)
			if !bytes.Equal(before, output(t, b)) {
				t.Fatal("not one state")
			}
			// Both clones may have one generation: that of the snapshot is another one.
			want := uint64(0)
			if change {
				pages[0].set(8)
				pages[1].set(8)
				sources[1].salt.Store(1)
				want = 1
			}
			x, y := mustOutput(t, a), mustOutput(t, b)
			if n := equalWindows(x, y); change && n != 0 || !change && !bytes.Equal(x, y) {
				t.Errorf("OutputBuffer %d, page changed: %v: %d of %d windows are equal", ahead, change, n, len(y)-15)
			}
			for _, r := range []*RNG{a, b} {
				// On a slow machine a request can find its seed gone when the next one is on its
				// way, and ask for one more.
				if st := r.Status(); st.GenerationChanges != want || st.Instances[0].Lost != want || st.Instances[0].Seeds < want || st.Instances[0].Seeds > 2*want {
					t.Errorf("OutputBuffer %d: %d changes noticed, %d seeds lost, %d seeds", ahead, st.GenerationChanges, st.Instances[0].Lost, st.Instances[0].Seeds)
				}
			}
		}
	}
}

// mustOutput is output for a generator that may have to be seeded first.
func mustOutput(t testing.TB, r *RNG) []byte {
	t.Helper()
	first := make([]byte, 64)
	if _, err := r.ReadContext(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	return append(first, output(t, r)...)
}

// A copy between two requests: the first request after it finds no seed, all shards are to be
// seeded, what was generated ahead is wiped, one event is logged.
func TestCopiedBefore(t *testing.T) {
	var logged atomic.Int32
	page := newClonePage(1)
	src := &saltSource{}
	c := Config{Shards: 3, OutputBuffer: 1000, Sources: []es.Source{src}, Logger: slog.New(hook(func(rec slog.Record) {
		if rec.Message == "lrng: the machine was copied" {
			logged.Add(1)
		}
	}))}
	r := start(t, page.on(t, still()), c)
	copyOf(t, r, still(), c) // gives every shard of r a seed
	for i := range r.shards.Len() {
		h := r.shards.LockIndex(i)
		if _, _, err := r.serve(&h.Value, make([]byte, 10), 1); err != nil {
			t.Fatal(err)
		}
		h.Unlock()
	}
	calls := src.calls.Load()
	gate := make(chan struct{}) // the source does not yield before it is closed
	src.asked = func(uint32) { <-gate }
	if err := r.AddEntropy(make([]byte, 64), 300); err != nil {
		t.Fatal(err)
	}
	if n := r.aux.Available(512); n != 300 {
		t.Fatalf("%d bits in the auxiliary pool", n)
	}

	page.set(2)
	b := bytes.Repeat([]byte{0xa5}, 100)
	if n, err := r.Nonblocking().Read(b); n != 0 || err != ErrNotSeeded || !bytes.Equal(b, make([]byte, 100)) {
		t.Errorf("after a copy: %d, %v, %x", n, err, b)
	}
	if n := r.aux.Available(512); n != 0 {
		t.Errorf("the auxiliary pool credits %d bits that a twin has, too", n)
	}
	if st := r.Status(); st.Level == seeding.FullySeeded || st.GenerationChanges != 1 {
		t.Errorf("after a copy: %v, %d changes noticed", st.Level, st.GenerationChanges)
	}
	for i := range r.shards.Len() {
		h := r.shards.LockIndex(i)
		in := &h.Value
		if in.seeded || !r.wants[i].Load() || !bytes.Equal(in.ahead, make([]byte, len(in.ahead))) {
			t.Errorf("shard %d: seeded: %v, to be seeded: %v, %d bytes ahead", i, in.seeded, r.wants[i].Load(), len(in.ahead)-in.next)
		}
		h.Unlock()
	}
	if n := logged.Load(); n != 1 {
		t.Errorf("logged %d times", n)
	}
	close(gate)
	if _, err := r.ReadContext(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	// All shards are seeded again without being turned to.
	for end := time.Now().Add(time.Minute); ; runtime.Gosched() {
		seeded := 0
		for _, in := range r.Status().Instances {
			if in.Seeded {
				seeded++
			}
		}
		if seeded == 3 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d shards of 3 are seeded", seeded)
		}
	}
	if n := src.calls.Load() - calls; n != 3 {
		t.Errorf("the source was asked %d times for 3 shards", n)
	}
	if n := logged.Load(); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

// A copy while a request is under way, between the two looks at the page: what the request
// generated is thrown away.
func TestCopiedDuring(t *testing.T) {
	for _, ahead := range []int{-1, 1000} {
		for _, size := range []int{16, 900, 4096} {
			page := newClonePage(1)
			a, b := still(), page.on(t, still())
			generation := uint64(1)
			system := b.system
			b.system = func(p []byte) bool {
				if generation == 1 {
					generation++
					page.set(generation)
				}
				return system(p)
			}
			both := twinsOf(t, a, b, Config{OutputBuffer: ahead})
			// What the request would return.
			want := make([]byte, size)
			if _, err := both[0].Read(want); err != nil {
				t.Fatal(err)
			}
			got := bytes.Repeat([]byte{0xa5}, size)
			if n, err := both[1].Nonblocking().Read(got); n != 0 || err != ErrNotSeeded || !bytes.Equal(got, make([]byte, size)) {
				t.Errorf("OutputBuffer %d, %d bytes: %d, %v; what is left: %x", ahead, size, n, err, got[:16])
			}
			if _, err := both[1].ReadContext(t.Context(), got); err != nil {
				t.Fatal(err)
			}
			if n := equalWindows(want, got); n != 0 {
				t.Errorf("OutputBuffer %d, %d bytes: %d windows were generated before the copy", ahead, size, n)
			}
			if st := both[1].Status(); st.GenerationChanges != 1 {
				t.Errorf("%d changes noticed", st.GenerationChanges)
			}
		}
	}
	// With a seed in each request.
	page := newClonePage(1)
	on := page.on(t, still())
	generation := uint64(1)
	system := on.system
	on.system = func(p []byte) bool {
		if generation < 3 {
			generation++
			page.set(generation)
		}
		return system(p)
	}
	r := start(t, on, Config{ReseedInterval: -1})
	if _, err := r.ReadContext(t.Context(), make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	if st := r.Status(); st.GenerationChanges != 2 {
		t.Errorf("%d changes noticed, want 2", st.GenerationChanges)
	}
}

// A copy after a request concerns the next one.
func TestCopiedAfter(t *testing.T) {
	page := newClonePage(1)
	both := twinsOf(t, still(), page.on(t, still()), Config{OutputBuffer: -1})
	var out [2][32]byte
	for i, r := range both {
		if _, err := r.Read(out[i][:]); err != nil {
			t.Fatal(err)
		}
	}
	page.set(2)
	if out[0] != out[1] || both[1].Status().GenerationChanges != 0 {
		t.Error("a request was not served, or a copy was noticed that nobody looked for")
	}
	if _, err := both[1].Nonblocking().Read(out[1][:]); err != ErrNotSeeded {
		t.Errorf("the next request: %v", err)
	}
}

// While the hypervisor writes to the page nothing is known: requests are served, but not by
// what was generated ahead. Afterwards that is good again, unless it was a copy.
func TestPageBeingWritten(t *testing.T) {
	for _, copied := range []bool{false, true} {
		page := newClonePage(1)
		fresh := 0
		on := page.on(t, still())
		system := on.system
		on.system = func(b []byte) bool {
			fresh++
			return system(b)
		}
		r := start(t, on, Config{OutputBuffer: 1000})
		read := func(what string, wantFresh int, wantAhead int) {
			t.Helper()
			before := fresh
			if _, err := r.Read(make([]byte, 16)); err != nil {
				t.Fatal(err)
			}
			h := r.shards.LockIndex(0)
			defer h.Unlock()
			if ahead := len(h.Value.ahead) - h.Value.next; fresh-before != wantFresh || ahead != wantAhead {
				t.Errorf("%s: %d requests with fresh bytes, %d bytes ahead; want %d, %d", what, fresh-before, ahead, wantFresh, wantAhead)
			}
		}
		read("first", 1, 976)
		read("second", 0, 960)
		page.write()
		for range 3 {
			read("while it is written to", 1, 960)
		}
		if copied {
			atomic.StoreUint64(&page[13], little64(2))
		}
		page.write()
		if copied {
			read("after a copy", 1, 976)
		} else {
			read("afterwards", 0, 944)
		}
		if st := r.Status(); (st.GenerationChanges == 1) != copied {
			t.Errorf("%d changes noticed, copied: %v", st.GenerationChanges, copied)
		}
	}
}

// A page that changes with each request is none. Requests are served all the same, without
// output ahead of need in the automatic mode, and the status says so.
func TestRestlessPage(t *testing.T) {
	outsideFIPS(t)
	for _, configured := range []int{0, 1000} {
		var complained atomic.Int32
		page := newClonePage(1)
		on := page.on(t, still())
		generation := uint64(1)
		system := on.system
		on.system = func(p []byte) bool {
			generation++
			page.set(generation)
			return system(p)
		}
		r := start(t, on, Config{OutputBuffer: configured, Logger: slog.New(hook(func(rec slog.Record) {
			if rec.Level == slog.LevelError {
				complained.Add(1)
			}
		}))})
		if st := r.Status(); st.OutputBuffer == 0 {
			t.Fatalf("no output ahead: %s", st.OutputBufferReason)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		for range 10 {
			if _, err := r.ReadContext(ctx, make([]byte, 16)); err != nil {
				t.Fatal(err)
			}
		}
		st := r.Status()
		if st.GenerationChanges != maxInARow+1 || !strings.Contains(st.GenerationPage, "left alone") || complained.Load() != 1 {
			t.Errorf("%d changes noticed, page %q, %d complaints", st.GenerationChanges, st.GenerationPage, complained.Load())
		}
		if st.OutputBuffer != configured || configured == 0 && !strings.Contains(st.OutputBufferReason, "cannot be used any more") {
			t.Errorf("OutputBuffer %d: %d bytes ahead (%s)", configured, st.OutputBuffer, st.OutputBufferReason)
		}
		if fresh := generation - 1; configured == 0 && fresh < 10 {
			t.Errorf("%d requests with fresh bytes, want 10 or more", fresh)
		}
	}
}

// Three changes with a request that is served after each are three copies.
func TestManyCopies(t *testing.T) {
	page := newClonePage(1)
	r := start(t, page.on(t, still()), Config{OutputBuffer: 100})
	for i := range uint64(10) {
		page.set(i + 2)
		if _, err := r.ReadContext(t.Context(), make([]byte, 16)); err != nil {
			t.Fatal(err)
		}
	}
	if st := r.Status(); st.GenerationChanges < 9 || st.GenerationPage != "test page" {
		t.Errorf("%d changes noticed, page %q", st.GenerationChanges, st.GenerationPage)
	}
}

// What was collected before the copy, or while it was made, is in no seed after it: neither of
// a shard, nor of what is seeded for each block, nor of a seed for others.
func TestCollectedBeforeCopy(t *testing.T) {
	read := func(r io.Reader) error { _, err := r.Read(make([]byte, 16)); return err }
	for _, tt := range []struct {
		name   string
		seeded bool // before
		read   func(r *RNG) error
	}{
		{"shard", false, func(r *RNG) error { return read(r) }},
		{"prediction resistance", true, func(r *RNG) error { return read(r.PredictionResistant()) }},
		{"seed reader", true, func(r *RNG) error { return read(r.SeedReader()) }},
		{"seed", true, func(r *RNG) error { _, _, err := r.GetSeed(context.Background(), 256); return err }},
		{"switch", true, func(r *RNG) error {
			return r.SetDRNG(func() (drng.DRNG, error) { return drng.NewCTR(drng.CTRConfig{KeyBits: 256}) })
		}},
	} {
		for _, round := range []struct{ bits, during, rounds uint32 }{
			{512, 1, 1}, // in the only round
			{100, 2, 4}, // in the second of 3 or 4
		} {
			src := &saltSource{bits: int(round.bits)}
			page := newClonePage(1)
			r := start(t, page.on(t, still()), Config{OutputBuffer: -1, Sources: []es.Source{src}})
			if tt.seeded {
				if err := read(r); err != nil {
					t.Fatal(err)
				}
			}
			first := src.calls.Load()
			src.asked = func(call uint32) {
				if call == first+round.during {
					page.set(2)
				}
			}
			if err := tt.read(r); err != nil {
				t.Fatal(err)
			}
			// 256 bits take 3 rounds of 100, 256 + 64 take 4.
			rounds := round.rounds
			if rounds > 1 && tt.name != "seed reader" {
				rounds--
			}
			// A switch ends with what was collected while the machine was copied. It is not used.
			n := src.calls.Load() - first
			unused := tt.name == "switch" && round.rounds == 1
			if enough := n >= round.during+rounds; enough == unused {
				t.Errorf("%s: %d rounds, of which %d were before the copy or during it; want %d more", tt.name, n, round.during, rounds)
			}
			if tt.name == "shard" || tt.name == "switch" {
				if _, err := r.Nonblocking().Read(make([]byte, 16)); (err != nil) != unused {
					t.Errorf("%s: the next request: %v", tt.name, err)
				}
			}
			if st := r.Status(); st.GenerationChanges != 1 {
				t.Errorf("%s: %d changes noticed", tt.name, st.GenerationChanges)
			}
		}
	}
}

// No seed for others has an entry from before the copy.
func TestGetSeedAfterCopy(t *testing.T) {
	src := &saltSource{bits: 100}
	page := newClonePage(1)
	r := start(t, page.on(t, still()), Config{OutputBuffer: -1, Sources: []es.Source{src}})
	if _, err := r.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	during := src.calls.Load() + 2
	src.asked = func(call uint32) {
		if call == during {
			page.set(2)
		}
	}
	seed, credit, err := r.GetSeed(t.Context(), 256)
	if err != nil || credit < 256 {
		t.Fatal(credit, err)
	}
	before, after := 0, 0
	src.data.Range(func(call, data any) bool {
		switch in := bytes.Contains(seed, []byte(data.(string))); {
		case in && call.(uint32) <= during:
			before++
		case in:
			after++
		}
		return true
	})
	if before != 0 || after != 3 {
		t.Errorf("%d entries from before the copy, %d from after it", before, after)
	}
}

// For the race detector, and against deadlocks: readers of all kinds while the machine is
// copied again and again.
func TestCopiesUnderLoad(t *testing.T) {
	page := newClonePage(1)
	r := start(t, page.on(t, still()), Config{OutputBuffer: 500, Shards: 4})
	if _, err := r.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var served atomic.Int64
	for i := range 6 {
		wg.Go(func() {
			b := make([]byte, 100)
			for ctx.Err() == nil {
				var err error
				switch i {
				case 0:
					_, err = r.PredictionResistant().(FreshReader).ReadContext(ctx, b[:16])
				case 1:
					if _, err = r.Nonblocking().Read(b); err == ErrNotSeeded {
						err = nil
						runtime.Gosched()
					}
				default:
					_, err = r.ReadContext(ctx, b)
				}
				if err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				if i > 1 {
					served.Add(1)
				}
			}
		})
	}
	const copies = 100
	for i := range uint64(copies) {
		for n := served.Load(); served.Load() < n+20; {
			runtime.Gosched()
		}
		page.set(i + 2)
	}
	for n := served.Load(); served.Load() < n+20; {
		runtime.Gosched()
	}
	stop()
	wg.Wait()
	st := r.Status()
	if st.GenerationChanges != copies || st.GenerationPage != "test page" {
		t.Errorf("%d changes noticed of %d (%s)", st.GenerationChanges, copies, st.GenerationPage)
	}
}

// This machine: all inputs are alive.
func TestThisMachine(t *testing.T) {
	m := thisMachine()
	cycles := m.cycles()
	for end := time.Now().Add(10 * time.Second); m.cycles() == cycles; {
		if time.Now().After(end) {
			t.Fatal("the counter does not advance")
		}
	}
	if (m.page == nil) == (m.noPage == nil) {
		t.Errorf("page %v, %v", m.page, m.noPage)
	}
	w := m.word()
	if w != 0 && w == m.word() {
		t.Errorf("the CPU delivers %#x twice", w)
	}
	t.Logf("virtual: %v, known: %v, page: %v, generator of the CPU: %v", m.virtual, m.known, fmt.Sprint(m.page, m.noPage), w != 0)
}
