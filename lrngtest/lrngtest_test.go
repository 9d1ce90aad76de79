package lrngtest_test

import (
	"bytes"
	"crypto/fips140"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/lrngtest"
	"github.com/lrng-go/lrng/seeding"
)

func read(t *testing.T, r io.Reader, n int) []byte {
	t.Helper()
	p := make([]byte, n)
	if got, err := r.Read(p); got != n || err != nil {
		t.Fatalf("%d, %v; want %d bytes", got, err, n)
	}
	return p
}

// From OpenSSL 3.0: printf %s seed | openssl dgst -shake256 -xoflen 48. The first is in
// the examples of NIST for SHAKE256, too. They never change: users have their own known
// answers that rest on them.
var answers = map[string]string{
	"":       "46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762fd75dc4ddd8c0f200cb05019d67b592f6",
	"ticket": "adf2943460cc11dcb68cc1c268bfb676f7e9c685ba511749e8c0713fad8bb0153c1d04fff8aeedfff3a488a738931271",
}

func TestKnownAnswers(t *testing.T) {
	for seed, want := range answers {
		if got := hex.EncodeToString(read(t, lrngtest.Reader(t, seed), 48)); got != want {
			t.Errorf("%q: %s; want %s", seed, got, want)
		}
		r := lrngtest.New(t, seed)
		if got := hex.EncodeToString(read(t, r, 20)) + hex.EncodeToString(read(t, r.Nonblocking(), 20)) +
			hex.EncodeToString(read(t, r.PredictionResistant(), 8)); got != want {
			t.Errorf("%q, generator: %s; want %s", seed, got, want)
		}
	}
	// The hash of the first 2²⁰ bytes, from hashlib of Python.
	const want = "c6ac5faeff2d7fdee6dc01c7e98739bba83642d7fbec0f16a288018d0d624b0f"
	sum := sha256.Sum256(read(t, lrngtest.Reader(t, "ticket"), 1<<20))
	if got := hex.EncodeToString(sum[:]); got != want {
		t.Errorf("2^20 bytes: %s; want %s", got, want)
	}
}

// One stream, however it is read.
func TestSplit(t *testing.T) {
	want := read(t, lrngtest.Reader(t, t.Name()), 40000)
	for name, r := range map[string]interface {
		io.Reader
		mathrand.Source
	}{"stream": lrngtest.Reader(t, t.Name()), "generator": lrngtest.New(t, t.Name())} {
		var got []byte
		for n := range 200 {
			got = append(got, read(t, r, n)...)
			got = binary.LittleEndian.AppendUint64(got, r.Uint64())
		}
		got = append(got, read(t, r, len(want)-len(got))...) // more than one request
		if !bytes.Equal(got, want) {
			t.Errorf("%s: the parts are not the whole", name)
		}
	}
}

func TestConcurrent(t *testing.T) {
	const readers, blocks = 4, 100
	all := read(t, lrngtest.Reader(t, t.Name()), 8*readers*blocks)
	want := make(map[uint64]bool)
	for p := all; len(p) > 0; p = p[8:] {
		want[binary.LittleEndian.Uint64(p)] = true
	}
	s := lrngtest.Reader(t, t.Name())
	var mu sync.Mutex
	var group sync.WaitGroup
	for range readers {
		group.Go(func() {
			for range blocks {
				v := s.Uint64()
				mu.Lock()
				if !want[v] {
					t.Errorf("%#x is not in the stream, or came twice", v)
				}
				delete(want, v)
				mu.Unlock()
			}
		})
	}
	group.Wait()
}

func TestNew(t *testing.T) {
	var r *lrng.RNG
	t.Run("use", func(t *testing.T) {
		r = lrngtest.New(t, "")
		if st := r.Status(); st.Level != seeding.FullySeeded || st.Closed || !strings.Contains(st.DRNG, "known to everybody") {
			t.Errorf("%v, closed: %v, %s", st.Level, st.Closed, st.DRNG)
		}
		first := read(t, r, 32)
		if err := r.Reseed(t.Context()); err != nil {
			t.Fatal(err)
		}
		// The seed has changed nothing.
		if got := read(t, r, 32); bytes.Equal(got, first) || !bytes.Equal(got, read(t, lrngtest.Reader(t, ""), 64)[32:]) {
			t.Error("the stream does not go on after a reseed")
		}
	})
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, lrng.ErrClosed) {
		t.Errorf("after the test: %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		read(t, lrngtest.New(t, ""), 1)
	})
}

func TestConfig(t *testing.T) {
	c := lrngtest.Config(t, "ticket")
	c.Strategy = seeding.Oversample
	if fips140.Enabled() {
		c.FIPS = lrng.FIPSRequired
	}
	if got := lrngtest.Config(t, "ticket"); got.Strategy != nil {
		t.Error("configurations are shared")
	}
	r, err := lrng.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	if got := hex.EncodeToString(read(t, r, 48)); got != answers["ticket"] {
		t.Errorf("got %s", got)
	}
	if got := r.Status().Strategy; got != seeding.Oversample.Name() {
		t.Errorf("strategy %q", got)
	}
}

var errTest = errors.New("test")

func TestBytes(t *testing.T) {
	in := []byte{1, 2, 3, 4, 5}
	r := lrngtest.Bytes(t, in, errTest)
	in[4] = 0
	if got := read(t, r, 2); got[0] != 1 || got[1] != 2 {
		t.Errorf("got %v", got)
	}
	fail := func(r io.Reader, n int) {
		t.Helper()
		p := bytes.Repeat([]byte{7}, n)
		if got, err := r.Read(p); got != 0 || err != errTest || !bytes.Equal(p, make([]byte, n)) {
			t.Errorf("%d bytes: %d, %v, %v", n, got, err, p)
		}
	}
	fail(r, 4)
	if got := read(t, r, 3); !bytes.Equal(got, []byte{3, 4, 5}) {
		t.Errorf("got %v", got)
	}
	fail(r, 1)
	read(t, r, 0)
	fail(lrngtest.ErrReader(t, errTest), 16)
}

func TestSetReader(t *testing.T) {
	before := lrng.Reader
	texts := make(map[string]bool)
	for range 2 {
		t.Run("", func(t *testing.T) {
			lrngtest.SetReader(t, lrngtest.Reader(t, "ticket"))
			texts[lrng.Text()] = true
		})
	}
	if !texts[want26()] || len(texts) != 1 {
		t.Errorf("texts: %v", texts)
	}
	if lrng.Reader != before {
		t.Error("the reader was not put back")
	}
	t.Run("parallel", func(t *testing.T) {
		t.Parallel()
		defer func() {
			if v, _ := recover().(string); !strings.Contains(v, "t.Parallel") {
				t.Errorf("in a parallel test: %v", v)
			}
		}()
		lrngtest.SetReader(t, lrngtest.Reader(t, ""))
	})
}

// want26 is what lrng.Text makes of the first bytes of the stream of "ticket".
func want26() string {
	p, _ := hex.DecodeString(answers["ticket"][:52])
	var b strings.Builder
	for _, c := range p {
		b.WriteByte("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[c&31])
	}
	return b.String()
}

// A recordingTB is a test that tells by a panic that it has failed.
type recordingTB struct{ testing.TB }

func (r recordingTB) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// Arguments that are mistakes in a test are told as such.
func TestMisuse(t *testing.T) {
	for want, f := range map[string]func(){
		"t is nil":      func() { lrngtest.Reader(nil, "") },
		"Bytes: err is": func() { lrngtest.Bytes(recordingTB{t}, nil, nil) },
		"SetReader: r ": func() { lrngtest.SetReader(recordingTB{t}, nil) },
	} {
		func() {
			defer func() {
				if v, _ := recover().(string); !strings.Contains(v, want) {
					t.Errorf("%v; want %q", v, want)
				}
			}()
			f()
		}()
	}
}

// A program that is not a test gets nothing.
func TestProduction(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a program")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "run", "./testdata/production")
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off", "GOPROXY=off", "GOTOOLCHAIN=local")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"Reader", "Bytes", "ErrReader", "SetReader", "Config", "New"} {
		if !strings.Contains(string(out), name+": lrngtest: not in a test: ") {
			t.Errorf("%s was not refused:\n%s", name, out)
		}
	}
}

func BenchmarkReader(b *testing.B) {
	r := lrngtest.Reader(b, "")
	p := make([]byte, 4096)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		r.Read(p)
	}
}
