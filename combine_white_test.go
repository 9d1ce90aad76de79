package lrng

import (
	"bytes"
	"crypto/aes"
	"crypto/fips140"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/lrng-go/lrng/drng"
)

// needsCombiner skips where requests are not combined.
func needsCombiner(t testing.TB) {
	t.Helper()
	if !canCombine() {
		t.Skip("no AES instructions are used here")
	}
	if fips140.Enforced() {
		t.Skip("with GODEBUG=fips140=only there is no mechanism but those of SP 800-90A")
	}
}

// derived is combiner by the standard library, from the text of SP 800-108r1 and SP 800-38B.
func derived(t testing.TB, key, system []byte, word, cycles uint64, ahead []byte) []byte {
	t.Helper()
	e, err := aes.NewCipher(key[:16])
	if err != nil {
		t.Fatal(err)
	}
	k1 := make([]byte, 16)
	e.Encrypt(k1, k1)
	carry := k1[0] >> 7
	for i := range k1 {
		k1[i] <<= 1
		if i+1 < 16 {
			k1[i] |= k1[i+1] >> 7
		}
	}
	k1[15] ^= carry * 0x87

	fixed := slices.Clone(system)
	fixed = binary.LittleEndian.AppendUint64(fixed, word)
	fixed = binary.LittleEndian.AppendUint64(fixed, cycles)[:31]
	out := slices.Clone(ahead)
	for i, rest := 1, out; len(rest) > 0; i++ {
		m := append(slices.Clone(fixed), byte(i))
		for j := range k1 {
			m[16+j] ^= k1[j]
		}
		mac := make([]byte, 16)
		for ; len(m) > 0; m = m[16:] {
			for j := range mac {
				mac[j] ^= m[j]
			}
			e.Encrypt(mac, mac)
		}
		n := min(len(rest), 16)
		for j := range n {
			rest[j] ^= mac[j]
		}
		rest = rest[n:]
	}
	return out
}

// The combiner is what its documentation says, for all lengths.
func TestCombiner(t *testing.T) {
	if fips140.Enforced() {
		t.Skip("the other implementation encrypts single blocks, which is not approved")
	}
	var c combiner
	state := uint64(1)
	random := func(b []byte) []byte {
		for i := range b {
			state = state*6364136223846793005 + 1442695040888963407
			b[i] = byte(state >> 56)
		}
		return b
	}
	doubled := [2]int{}
	for n := range quickMost + 1 {
		key, system, ahead := random(make([]byte, combinerKeySize)), random(make([]byte, 16)), random(make([]byte, n))
		word, cycles := state, state*3
		want := derived(t, key, system, word, cycles, ahead)
		c.rekey(key)
		doubled[c.subkey[1]>>56&1]++
		on := still()
		on.system = func(b []byte) bool { return copy(b, system) == len(b) }
		on.word, on.cycles = func() uint64 { return word }, func() uint64 { return cycles }
		got := slices.Clone(ahead)
		if !c.combine(got, on) || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %x; want %x", n, got, want)
		}
		if c.chain != [16]byte{} || c.second != [2]uint64{} || c.last != [16]byte{} {
			t.Errorf("%d bytes: something is left: %x %x %x", n, c.chain, c.second, c.last)
		}
	}
	if doubled[0] < 30 || doubled[1] < 30 {
		t.Errorf("subkeys without and with reduction: %v", doubled)
	}
}

// In the middle of what was generated ahead, twins that had the same inputs so far part
// with the first request whose inputs differ in a bit (T15, T16, P5). As long as nothing
// differs they return the same: the test can fail.
func TestTwinsCombined(t *testing.T) {
	needsCombiner(t)
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
		{"cycle counter", func(m *machine) { m.cycles = func() uint64 { return 0x2222 | 1<<55 } }},
	} {
		for _, size := range []int{1, 8, 16, 17, 32, 48, 64, quickMost, quickMost + 1} {
			b := still()
			both := twinsOf(t, still(), b, Config{DRNG: func() (drng.DRNG, error) { return drng.NewChaCha20(), nil }})
			if st := both[0].Status(); st.OutputBuffer != 0 || !both[0].mech.Load().combine {
				t.Fatalf("%d bytes of output ahead, %q", st.OutputBuffer, st.OutputBufferReason)
			}
			read := func(n int) (x, y []byte) {
				for range n {
					var out [2][]byte
					for i, r := range both {
						out[i] = make([]byte, size)
						if _, err := r.Read(out[i]); err != nil {
							t.Fatal(err)
						}
					}
					x, y = append(x, out[0]...), append(y, out[1]...)
				}
				return x, y
			}
			if x, y := read(3); !bytes.Equal(x, y) {
				t.Fatal("not one state")
			}
			input.differ(b)
			x, y := read(max(5, 2000/size))
			equal := bytes.Equal(x, y)
			n := equalWindows(x, y)
			if want := input.name == "nothing"; equal != want || !want && n != 0 {
				t.Errorf("%s differs, requests of %d bytes: equal: %v, %d windows", input.name, size, equal, n)
			}
		}
	}
}

// A request takes from what was generated ahead, which is wiped, as are the inputs; the
// key changes with each refill; longer requests go to the mechanism.
func TestCombinedRequests(t *testing.T) {
	needsCombiner(t)
	var lengths []int
	on := still()
	on.system = func(b []byte) bool {
		lengths = append(lengths, len(b))
		return true
	}
	r := start(t, on, Config{DRNG: func() (drng.DRNG, error) { return drng.NewChaCha20(), nil }})
	request := func(n int) (in *instance, system []int) {
		t.Helper()
		lengths = nil
		if _, err := r.Read(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		h := r.shards.LockIndex(0)
		defer h.Unlock()
		return &h.Value, lengths
	}
	in, system := request(32)
	if want := []int{16, 16}; !slices.Equal(system, want) { // the refill, the request
		t.Errorf("first request: %d bytes of the operating system; want %d", system, want)
	}
	if in.next != combinerKeySize+32 || len(in.ahead) != refillSize {
		t.Errorf("%d of %d bytes used", in.next, len(in.ahead))
	}
	key := fmt.Sprint(in.combiner.key, in.combiner.subkey)
	for _, tt := range []struct {
		n, used int
		system  []int
	}{
		{quickMost, quickMost, []int{16}},
		{quickMost + 1, 0, []int{16}},
		{1, 1, []int{16}},
		{4096, 0, []int{16}},
	} {
		before := in.next
		_, system := request(tt.n)
		if used := in.next - before; used != tt.used || !slices.Equal(system, tt.system) {
			t.Errorf("%d bytes: %d of those ahead used, and %d of the operating system; want %d, %d", tt.n, used, system, tt.used, tt.system)
		}
		if !bytes.Equal(in.ahead[:in.next], make([]byte, in.next)) || !bytes.Equal(in.fresh, make([]byte, len(in.fresh))) {
			t.Errorf("%d bytes: what was used is left", tt.n)
		}
	}
	if fmt.Sprint(in.combiner.key, in.combiner.subkey) != key {
		t.Error("the key changed without a refill")
	}
	// The rest, one byte too few, and the first byte of the next refill.
	for left := len(in.ahead) - in.next - 7; left > 0; left = len(in.ahead) - in.next - 7 {
		request(min(left, quickMost))
	}
	if _, system := request(8); !slices.Equal(system, []int{16}) || in.next != combinerKeySize+1 {
		t.Errorf("refill: %d bytes of the operating system, %d used", system, in.next)
	}
	if fmt.Sprint(in.combiner.key, in.combiner.subkey) == key {
		t.Error("the key is that of before the longer requests")
	}

	// Nothing is no request.
	before, served := in.next, in.status().Requests
	if _, system := request(0); len(system) != 0 || in.next != before || in.status().Requests != served {
		t.Errorf("an empty request: %d bytes of the operating system, %d requests", system, in.status().Requests-served)
	}

	// Without bytes of the operating system it goes on, and tells.
	on.system = func([]byte) bool { return false }
	request(16)
	if n := r.Status().Instances[0].Unmixed; n != 1 {
		t.Errorf("%d requests without the operating system; want 1", n)
	}
}

// Since each request has inputs of its own, refills share theirs, with at most staleMost bytes.
// The first one after a seed has some. With the inputs comes a new key.
func TestCombinedRefills(t *testing.T) {
	needsCombiner(t)
	var system int
	on := still()
	on.system = func(b []byte) bool {
		system++
		return true
	}
	r := start(t, on, Config{DRNG: func() (drng.DRNG, error) { return drng.NewChaCha20(), nil }})
	refill := func() bool {
		t.Helper()
		h := r.shards.LockIndex(0)
		h.Value.dropAhead()
		h.Unlock()
		system = 0
		if _, err := r.Read(make([]byte, 16)); err != nil || system < 1 || system > 2 {
			t.Fatalf("%d blocks of the operating system, %v", system, err)
		}
		return system == 2 // one for the request
	}
	h := r.shards.LockIndex(0)
	in := &h.Value
	h.Unlock()
	for round := range 2 {
		for i := range 140 {
			before := fmt.Sprint(in.combiner.key, in.combiner.subkey)
			got, want := refill(), i%(staleMost/refillSize) == 0
			if got != want {
				t.Errorf("round %d: refill %d had inputs: %v", round, i, got)
			}
			if rekeyed := fmt.Sprint(in.combiner.key, in.combiner.subkey) != before; rekeyed != want {
				t.Errorf("round %d: refill %d brought a key: %v", round, i, rekeyed)
			}
			if first := combinerKeySize; in.next != 16 && in.next != first+16 || (in.next > 16) != want {
				t.Errorf("round %d: refill %d: %d bytes used", round, i, in.next)
			}
		}
		if err := r.Reseed(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// After a longer request, which takes inputs into the state, the next refill brings a new key.
func TestCombinedAfterLongRequest(t *testing.T) {
	needsCombiner(t)
	r := start(t, still(), Config{DRNG: func() (drng.DRNG, error) { return drng.NewChaCha20(), nil }})
	keys := make(map[string]bool)
	const rounds = 50
	for range rounds {
		if _, err := r.Read(make([]byte, 4096)); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			if _, err := r.Read(make([]byte, quickMost)); err != nil {
				t.Fatal(err)
			}
		}
		h := r.shards.LockIndex(0)
		keys[fmt.Sprint(h.Value.combiner.key)] = true
		h.Unlock()
	}
	if len(keys) != rounds {
		t.Errorf("%d keys in %d rounds", len(keys), rounds)
	}
}

// A combiner in new memory has no key, and gets one before it is used, also if the seed that
// the memory was for is refused.
func TestCombinerInNewMemory(t *testing.T) {
	needsCombiner(t)
	outsideFIPS(t)
	broken := false
	r := start(t, still(), Config{DRNG: func() (drng.DRNG, error) {
		return &seedRefuser{drng.NewChaCha20(), &broken}, nil
	}})
	if _, err := r.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	h := r.shards.LockIndex(0)
	h.Value.memory.Free() // as in a child process
	h.Unlock()
	broken = true
	if err := r.Reseed(t.Context()); err == nil {
		t.Error("the seed was not refused")
	}
	broken = false
	b := make([]byte, 16)
	if _, err := r.Read(b); err != nil || bytes.Equal(b, make([]byte, 16)) {
		t.Errorf("%x, %v", b, err)
	}
}

// A seedRefuser refuses seeds.
type seedRefuser struct {
	drng.DRNG
	broken *bool
}

func (d *seedRefuser) Seed(seed, additional []byte) error {
	if *d.broken {
		return errors.New("refused")
	}
	return d.DRNG.Seed(seed, additional)
}

// Requests are combined after a switch as before it, and no more once the mechanism is one
// of SP 800-90A.
func TestCombinedAfterSwitch(t *testing.T) {
	needsCombiner(t)
	outsideFIPS(t)
	var lengths []int
	on := still()
	on.system = func(b []byte) bool {
		lengths = append(lengths, len(b))
		return true
	}
	chacha20 := func() (drng.DRNG, error) { return drng.NewChaCha20(), nil }
	ctr := func() (drng.DRNG, error) { return drng.NewCTR(drng.CTRConfig{}) }
	r := start(t, on, Config{DRNG: chacha20})
	for i, tt := range []struct {
		to   func() (drng.DRNG, error)
		want []int // bytes of the operating system in three requests
	}{
		{chacha20, []int{16, 16, 16, 16}},
		{ctr, []int{16, 16, 16}},
		{chacha20, []int{16, 16, 16, 16}},
	} {
		if _, err := r.Read(make([]byte, 16)); err != nil {
			t.Fatal(err)
		}
		if err := r.SetDRNG(tt.to); err != nil {
			t.Fatal(err)
		}
		lengths = nil
		for range 3 {
			if _, err := r.Read(make([]byte, 16)); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(lengths, tt.want) {
			t.Errorf("switch %d: %d bytes of the operating system; want %d", i+1, lengths, tt.want)
		}
	}
}
