package lrng_test

import (
	"crypto/fips140"
	"fmt"
	"testing"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/seeding"
)

// checkAllocs checks how often f allocates on average. Now and then another
// shard is seeded at the same time, which allocates too: that is far less than
// once in a run, and AllocsPerRun rounds it off.
func checkAllocs(t *testing.T, name string, want float64, f func()) {
	t.Helper()
	if n := testing.AllocsPerRun(500, f); n != want {
		t.Errorf("%s: %v allocations; want %v", name, n, want)
	}
}

// skipAllocs skips the test where others allocate.
func skipAllocs(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	if fips140.Enabled() {
		t.Skip("crypto/aes allocates, of which the CTR_DRBG of the FIPS 140-3 mode consists")
	}
}

// sink keeps the compiler from leaving out what is not used.
var sink byte

// A caller's array stays on the stack: none of these functions allocates it.
func TestReadDoesNotAllocate(t *testing.T) {
	skipAllocs(t)
	lrng.Read(make([]byte, 1))
	for _, tt := range []struct {
		size int
		f    func()
	}{
		{1, func() { var b [1]byte; lrng.Read(b[:]); sink ^= b[0] }},
		{16, func() { var b [16]byte; lrng.Read(b[:]); sink ^= b[0] }},
		{32, func() { var b [32]byte; lrng.Read(b[:]); sink ^= b[0] }},
		{64, func() { var b [64]byte; lrng.Read(b[:]); sink ^= b[0] }},
		{1024, func() { var b [1024]byte; lrng.Read(b[:]); sink ^= b[0] }},
		{4096, func() { var b [4096]byte; lrng.Read(b[:]); sink ^= b[0] }},
		{65536, func() { var b [65536]byte; lrng.Read(b[:]); sink ^= b[0] }},
	} {
		checkAllocs(t, fmt.Sprintf("Read of %d bytes", tt.size), 0, tt.f)
	}
	// Through the variable the buffer escapes: the check above would notice.
	checkAllocs(t, "Reader.Read", 1, func() { var b [32]byte; lrng.Reader.Read(b[:]); sink ^= b[0] })
	checkAllocs(t, "Text", 1, func() { sink ^= lrng.Text()[0] }) // the text
}

// A foreignDRNG is a mechanism that package lrng cannot tell from one of a user.
type foreignDRNG struct{ *drng.ChaCha20 }

func newForeignDRNG() (drng.DRNG, error) { return foreignDRNG{drng.NewChaCha20()}, nil }

func TestRNGDoesNotAllocate(t *testing.T) {
	skipAllocs(t)
	for _, tt := range []struct {
		name string
		c    lrng.Config
	}{
		{"automatic", lrng.Config{}},
		{"unbuffered", lrng.Config{OutputBuffer: -1}},
		{"buffered", lrng.Config{OutputBuffer: 1024}},
		{"much buffered", lrng.Config{OutputBuffer: 65536}},
		{"foreign", lrng.Config{DRNG: newForeignDRNG, OutputBuffer: -1}},
		{"foreign, buffered", lrng.Config{DRNG: newForeignDRNG, OutputBuffer: 1024}},
		{"due by bits", lrng.Config{ReseedBits: 1 << 40}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := lrng.New(tt.c)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			ctx := t.Context()
			if err := r.Wait(ctx, seeding.FullySeeded); err != nil {
				t.Fatal(err)
			}
			unshared := r.Unshared()
			defer unshared.Close()
			unshared.Uint64() // it takes its memory
			for _, f := range []struct {
				name string
				f    func()
			}{
				{"16 bytes", func() { var b [16]byte; r.Read(b[:]); sink ^= b[0] }},
				{"32 bytes", func() { var b [32]byte; r.Read(b[:]); sink ^= b[0] }},
				{"1000 bytes", func() { var b [1000]byte; r.Read(b[:]); sink ^= b[0] }},
				{"10000 bytes", func() { var b [10000]byte; r.Read(b[:]); sink ^= b[0] }},
				{"ReadContext", func() { var b [32]byte; r.ReadContext(ctx, b[:]); sink ^= b[0] }},
				{"Uint64", func() { sink ^= byte(r.Uint64()) }},
				{"unshared, 32 bytes", func() { var b [32]byte; unshared.Read(b[:]); sink ^= b[0] }},
				{"unshared, 300 bytes", func() { var b [300]byte; unshared.Read(b[:]); sink ^= b[0] }},
				{"unshared, 3000 bytes", func() { var b [3000]byte; unshared.Read(b[:]); sink ^= b[0] }},
				{"unshared, Uint64", func() { sink ^= byte(unshared.Uint64()) }},
			} {
				checkAllocs(t, f.name, 0, f.f)
			}
			for _, size := range []int{32, 1000, 10000} {
				b := make([]byte, size)
				nonblocking := r.Nonblocking()
				checkAllocs(t, fmt.Sprintf("Nonblocking, %d bytes", size), 0, func() {
					if _, err := nonblocking.Read(b); err != nil {
						t.Fatal(err)
					}
				})
			}
		})
	}
}
