package es

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng/internal/sysrand"
)

var _ interface {
	Source
	Validator
} = (*OS)(nil)

// An osRead is a fault, or none, of one read of the generator: it fills p,
// which counter has filled already.
type osRead func(p []byte) error

// osScript is a generator that does what its reads say, then what the last one
// says. Its data count up in steps that no test confuses with a repetition. It
// holds on to what it was given.
type osScript struct {
	reads []osRead

	mu    sync.Mutex // guards what follows
	n     uint64     // blocks delivered
	calls int
	given [][]byte
}

func (g *osScript) read(p []byte) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var f osRead = osGood
	if len(g.reads) > 0 {
		f = g.reads[min(g.calls, len(g.reads)-1)]
	}
	g.calls++
	g.given = append(g.given, p)
	old := bytes.Clone(p)
	for i := range p {
		if i%osBlock == 0 {
			g.n++
		}
		p[i] = byte(i) ^ byte(g.n>>(i%8*8)) ^ 0x5a
	}
	switch err := f(p); {
	case errors.Is(err, errUntouched):
		copy(p, old)
		return nil
	default:
		return err
	}
}

var errUntouched = errors.New("success, and the buffer was not written")

func osGood(p []byte) error { return nil }

func osFails(err error) osRead { return func(p []byte) error { return err } }

// osPartly stores half of the data before it fails, as a bad reader may.
func osPartly(err error) osRead {
	return func(p []byte) error {
		clear(p[len(p)/2:])
		return err
	}
}

func osConstant(pattern ...byte) osRead {
	return func(p []byte) error {
		for i := range p {
			p[i] = pattern[i%len(pattern)]
		}
		return nil
	}
}

// osRestarts delivers the same stream from its beginning with each read.
func osRestarts(p []byte) error {
	for i := range p {
		p[i] = byte(i*i>>3 + i)
	}
	return nil
}

// osAt puts a block at an offset, if p is long enough for it.
func osAt(off int, block [osBlock]byte) osRead {
	return func(p []byte) error {
		if len(p) >= off+osBlock {
			copy(p[off:], block[:])
		}
		return nil
	}
}

// osCopies copies the block at an offset over another one.
func osCopies(from, to int) osRead {
	return func(p []byte) error {
		if len(p) >= max(from, to)+osBlock {
			copy(p[to:], p[from:from+osBlock])
		}
		return nil
	}
}

var (
	osZeros    [osBlock]byte
	osOnes     = [osBlock]byte(bytes.Repeat([]byte{0xff}, osBlock))
	osNotZeros = [osBlock]byte{osBlock - 1: 0x01}
	osNotOnes  = [osBlock]byte(append(bytes.Repeat([]byte{0xff}, osBlock-1), 0x7f))
)

func TestOSConfig(t *testing.T) {
	for _, tt := range []struct {
		rate, max int
		ok        bool
	}{
		{0, 512, true}, {256, 512, true}, {255, 510, true}, {8, 16, true}, {1, 2, true},
		{-1, 0, true}, {math.MinInt, 0, true}, {257, 0, false}, {math.MaxInt, 0, false},
	} {
		g := &osScript{}
		s := newOS(OSConfig{Rate: tt.rate}, g.read)
		if want := (Info{Name: "os", MaxEntropy: tt.max}); s.Info() != want {
			t.Errorf("Rate %d: Info is %+v, want %+v", tt.rate, s.Info(), want)
		}
		err := s.Validate()
		if (err == nil) != tt.ok || err != nil && !strings.Contains(err.Error(), "OSConfig.Rate") {
			t.Errorf("Rate %d: Validate returned %v", tt.rate, err)
		}
		p := make([]byte, 64)
		credit, got := s.GetEntropy(t.Context(), p, 512)
		if got != err || credit != tt.max {
			t.Errorf("Rate %d: GetEntropy returned %d, %v; want %d, %v", tt.rate, credit, got, tt.max, err)
		}
		if !tt.ok && g.calls != 0 {
			t.Errorf("Rate %d: the generator was read", tt.rate)
		}
		if n := s.Available(512); n != tt.max {
			t.Errorf("Rate %d: Available is %d, want %d", tt.rate, n, tt.max)
		}
	}
}

// TestOSCredit asks a generator without faults. T34 of docs/traceability.md; the limits
// of the credit are rule 4 of Source.
func TestOSCredit(t *testing.T) {
	for _, tt := range []struct{ rate, size, bits, want int }{
		{0, 0, 256, 0}, {0, 1, 256, 8}, {0, 15, 256, 120}, {0, 16, 256, 128}, {0, 17, 256, 136},
		{0, 31, 256, 248}, {0, 32, 256, 256}, {0, 32, 257, 256}, {0, 33, 256, 256}, {0, 48, 384, 384},
		{0, 64, 512, 512}, {0, 65, 520, 512}, {0, 257, math.MaxInt, 512},
		{0, osChunk - 1, 512, 512}, {0, osChunk, 512, 512}, {0, osChunk + 1, 512, 512}, {0, 1<<20 + 1, math.MaxInt, 512},
		{0, 32, 1, 1}, {0, 32, 0, 0}, {0, 32, -1, 0}, {0, 32, math.MinInt, 0},
		{8, 32, 256, 8}, {8, 64, 512, 16}, {-1, 32, 256, 0},
	} {
		g := &osScript{}
		s := newOS(OSConfig{Rate: tt.rate}, g.read)
		p := make([]byte, tt.size)
		credit, err := s.GetEntropy(t.Context(), p, tt.bits)
		if err != nil || credit != tt.want {
			t.Errorf("rate %d, %d bytes, %d bits: %d, %v; want %d", tt.rate, tt.size, tt.bits, credit, err, tt.want)
		}
		if tt.size > 1 && bytes.Count(p, []byte{0}) == tt.size {
			t.Errorf("%d bytes: not filled", tt.size)
		}
		for _, b := range g.given {
			if len(b) > osChunk {
				t.Errorf("%d bytes: read %d at once", tt.size, len(b))
			}
		}
	}
	s := newOS(OSConfig{}, (&osScript{}).read)
	if credit, err := s.GetEntropy(t.Context(), nil, 256); credit != 0 || err != nil {
		t.Errorf("nil: %d, %v", credit, err)
	}
}

// TestOSFaults puts each fault of E1 of docs/traceability.md that a generator without
// raw noise can have into each read, and looks at the credit. In all cases p
// has 4 blocks and a bit, unless size says otherwise.
func TestOSFaults(t *testing.T) {
	const unavailable, dead, fine = "unavailable", "dead", "fine"
	for _, tt := range []struct {
		name  string
		size  int // 0: 70
		reads []osRead
		want  string
		is    error
	}{
		{name: "none", want: fine},
		{name: "error", reads: []osRead{osFails(syscall.EIO)}, want: unavailable, is: syscall.EIO},
		{name: "unsupported", reads: []osRead{osFails(sysrand.ErrUnsupported)}, want: unavailable, is: sysrand.ErrUnsupported},
		{name: "interrupted too often", reads: []osRead{osFails(syscall.EINTR)}, want: unavailable, is: syscall.EINTR},
		{name: "error in the second read", reads: []osRead{osGood, osFails(syscall.EMFILE)}, want: unavailable, is: syscall.EMFILE},
		{name: "part, then an error", reads: []osRead{osGood, osPartly(io.ErrUnexpectedEOF)}, want: unavailable, is: io.ErrUnexpectedEOF},
		{name: "error in the second chunk", size: osChunk + 1, reads: []osRead{osGood, osGood, osFails(syscall.EIO)}, want: unavailable, is: syscall.EIO},
		{name: "error in a short request", size: 5, reads: []osRead{osGood, osFails(syscall.EIO)}, want: unavailable, is: syscall.EIO},
		{name: "not ready for two polls", reads: []osRead{osFails(sysrand.ErrNotReady), osFails(sysrand.ErrNotReady), osGood}, want: fine},
		{name: "not ready again", reads: []osRead{osGood, osFails(sysrand.ErrNotReady), osGood}, want: fine},

		{name: "zeros", reads: []osRead{osConstant(0)}, want: dead},
		{name: "zeros after the first read", reads: []osRead{osGood, osConstant(0)}, want: dead},
		{name: "ones", reads: []osRead{osConstant(0xff)}, want: dead},
		{name: "ones after the first read", reads: []osRead{osGood, osConstant(0xff)}, want: dead},
		{name: "a byte", reads: []osRead{osConstant(0xa7)}, want: dead},
		{name: "a word", reads: []osRead{osConstant(1, 2, 3, 4, 5, 6, 7, 8)}, want: dead},
		{name: "a word after the first read", reads: []osRead{osGood, osConstant(1, 2, 3, 4)}, want: dead},
		{name: "nothing written", reads: []osRead{osFails(errUntouched)}, want: dead},
		{name: "nothing written after the first read", reads: []osRead{osGood, osFails(errUntouched)}, want: dead},
		{name: "the same with each read", reads: []osRead{osRestarts}, want: dead},
		{name: "the same with each read, one block", size: osBlock, reads: []osRead{osRestarts}, want: dead},
		{name: "the same with each read, two chunks", size: 2 * osChunk, reads: []osRead{osRestarts}, want: dead},
		{name: "the same with each read, short", size: 1, reads: []osRead{osRestarts}, want: dead},
		{name: "zeros, short", size: 15, reads: []osRead{osGood, osConstant(0)}, want: dead},
		{name: "stuck in the second chunk", size: osChunk + osBlock, reads: []osRead{osGood, osGood, osConstant(0xff)}, want: dead},

		// The last that passes and the first that fails.
		{name: "first block repeated", reads: []osRead{osGood, osCopies(0, 16)}, want: dead},
		{name: "last block repeated", reads: []osRead{osGood, osCopies(32, 48)}, want: dead},
		{name: "block but one repeated", reads: []osRead{osGood, osCopies(16, 48)}, want: fine},
		{name: "first block zeros", reads: []osRead{osGood, osAt(0, osZeros)}, want: dead},
		{name: "last block zeros", reads: []osRead{osGood, osAt(48, osZeros)}, want: dead},
		{name: "last block ones", reads: []osRead{osGood, osAt(48, osOnes)}, want: dead},
		{name: "zeros but one bit", reads: []osRead{osGood, osAt(16, osNotZeros)}, want: fine},
		{name: "ones but one bit", reads: []osRead{osGood, osAt(16, osNotOnes)}, want: fine},
		{name: "zeros across blocks", reads: []osRead{osGood, osAt(8, osZeros)}, want: fine},
		{name: "zeros at the end, not a block", reads: []osRead{osGood, func(p []byte) error { clear(p[64:]); return nil }}, want: fine},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				size := 70
				if tt.size != 0 {
					size = tt.size
				}
				g := &osScript{reads: tt.reads}
				s := newOS(OSConfig{}, g.read)
				p := make([]byte, size) // what was here before must not pass for data
				(&osScript{n: 1 << 40}).read(p)
				credit, err := s.GetEntropy(t.Context(), p, 256)

				want := 0
				var health *HealthError
				switch tt.want {
				case fine:
					want = min(256, 8*size)
					if err != nil {
						t.Errorf("error %v", err)
					}
				case unavailable:
					if !errors.Is(err, ErrUnavailable) || !errors.Is(err, tt.is) || errors.As(err, &health) {
						t.Errorf("error %v, want one that wraps %v and %v", err, ErrUnavailable, tt.is)
					}
				case dead:
					if !errors.As(err, &health) || !health.Permanent || health.Source != "os" || health.Count < health.Cutoff {
						t.Errorf("error %#v, want a permanent health error", err)
					}
				}
				if credit != want {
					t.Errorf("credit %d, want %d", credit, want)
				}
				if err != nil && !bytes.Equal(p, make([]byte, size)) {
					t.Errorf("data left after an error: %x", p[:min(size, 80)])
				}

				// The fault is gone: only a dead generator stays dead.
				g.mu.Lock()
				g.reads, g.calls = nil, 0
				g.mu.Unlock()
				available := s.Available(256)
				credit, err = s.GetEntropy(t.Context(), p, 256)
				if tt.want == dead {
					if credit != 0 || available != 0 || !errors.As(err, &health) || !health.Permanent || g.calls != 0 {
						t.Errorf("afterwards: credit %d of %d, %v, %d reads", credit, available, err, g.calls)
					}
				} else if credit != min(256, 8*size) || available != 256 || err != nil {
					t.Errorf("afterwards: credit %d, available %d, %v", credit, available, err)
				}
			})
		})
	}
}

// TestOSKeepsNothing looks at all the memory that data were read into: but for p
// it has been wiped, whether the call succeeded or not. Rule 7 of Source.
func TestOSKeepsNothing(t *testing.T) {
	for _, size := range []int{1, 15, 16, 70} {
		for _, reads := range [][]osRead{nil, {osGood, osFails(syscall.EIO)}, {osRestarts}} {
			g := &osScript{reads: reads}
			p := make([]byte, size)
			newOS(OSConfig{}, g.read).GetEntropy(t.Context(), p, 256)
			if g.calls != 2 {
				t.Fatalf("%d bytes: %d reads", size, g.calls)
			}
			for i, b := range g.given {
				if &b[0] != &p[0] && !bytes.Equal(b, make([]byte, len(b))) {
					t.Errorf("%d bytes: buffer of read %d still holds %x", size, i, b)
				}
			}
		}
	}
}

// TestOSWaits starts with a machine that is ready after 1.05 s, as was measured
// on one without a hardware generator. T10 of docs/traceability.md.
func TestOSWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bootTime = 1050 * time.Millisecond
		start := time.Now()
		var g osScript
		reads := 0
		s := newOS(OSConfig{}, func(p []byte) error {
			reads++
			if time.Since(start) < bootTime {
				return sysrand.ErrNotReady
			}
			return g.read(p)
		})
		if n := s.Available(256); n != 0 || time.Since(start) != 0 {
			t.Errorf("not ready: Available is %d after %v", n, time.Since(start))
		}
		p := make([]byte, 32)
		credit, err := s.GetEntropy(t.Context(), p, 256)
		if credit != 256 || err != nil {
			t.Errorf("credit %d, %v", credit, err)
		}
		if d := time.Since(start); d < bootTime || d > bootTime+osPollMax {
			t.Errorf("returned after %v", d)
		}
		if reads > 20 {
			t.Errorf("%d reads", reads)
		}
		if n := s.Available(256); n != 256 {
			t.Errorf("ready: Available is %d", n)
		}
	})
}

// TestOSContext ends the context before, during and after the wait. Rule 6 of
// Source.
func TestOSContext(t *testing.T) {
	never := osFails(sysrand.ErrNotReady)

	t.Run("before", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		g := &osScript{}
		for _, p := range [][]byte{nil, make([]byte, 32)} {
			credit, err := newOS(OSConfig{}, g.read).GetEntropy(ctx, p, 256)
			if credit != 0 || !errors.Is(err, context.Canceled) || g.calls != 0 {
				t.Errorf("%d bytes: credit %d, %v, %d reads", len(p), credit, err, g.calls)
			}
		}
	})
	t.Run("cancelled while waiting", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			const after = 3333 * time.Millisecond
			time.AfterFunc(after, cancel)
			start := time.Now()
			p := bytes.Repeat([]byte{0x11}, 32)
			credit, err := newOS(OSConfig{}, (&osScript{reads: []osRead{never}}).read).GetEntropy(ctx, p, 256)
			if credit != 0 || !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnavailable) {
				t.Errorf("credit %d, %v", credit, err)
			}
			if d := time.Since(start); d != after {
				t.Errorf("returned after %v, want %v", d, after)
			}
			if !bytes.Equal(p, make([]byte, len(p))) {
				t.Errorf("data left: %x", p)
			}
		})
	})
	t.Run("deadline while waiting", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			start := time.Now()
			g := &osScript{reads: []osRead{never}}
			_, err := newOS(OSConfig{}, g.read).GetEntropy(ctx, make([]byte, 32), 256)
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
				t.Errorf("after %v: %v", time.Since(start), err)
			}
			// 7 polls until the delay is osPollMax, then 600 in a minute.
			if g.calls > 610 {
				t.Errorf("%d reads in a minute", g.calls)
			}
		})
	})
	t.Run("between two reads", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		g := &osScript{reads: []osRead{osGood, func([]byte) error { cancel(); return nil }}}
		p := make([]byte, 4*osChunk)
		credit, err := newOS(OSConfig{}, g.read).GetEntropy(ctx, p, 256)
		if credit != 0 || !errors.Is(err, context.Canceled) || g.calls != 2 {
			t.Errorf("credit %d, %v, %d reads", credit, err, g.calls)
		}
		if !bytes.Equal(p, make([]byte, len(p))) {
			t.Error("data left after an error")
		}
	})
}

// TestOSAvailable counts the probes: none where the answer is known.
func TestOSAvailable(t *testing.T) {
	g := &osScript{reads: []osRead{
		osFails(sysrand.ErrNotReady), osFails(syscall.EMFILE), osGood, // probes
		osGood, osFails(syscall.EMFILE), // GetEntropy
		osFails(syscall.EMFILE), osGood, // probes
	}}
	s := newOS(OSConfig{}, g.read)
	for i, tt := range []struct{ bits, want, calls int }{
		{0, 0, 0}, {-1, 0, 0}, {math.MinInt, 0, 0}, // nothing is asked for
		{256, 0, 1}, {256, 0, 2}, {256, 256, 3}, // not ready, error, ready
		{256, 256, 3}, {1, 1, 3}, {512, 512, 3}, {513, 512, 3}, {math.MaxInt, 512, 3}, // known to be ready
	} {
		if n := s.Available(tt.bits); n != tt.want || g.calls != tt.calls {
			t.Errorf("step %d: Available(%d) is %d after %d reads, want %d after %d", i, tt.bits, n, g.calls, tt.want, tt.calls)
		}
	}
	if _, err := s.GetEntropy(t.Context(), make([]byte, 32), 256); !errors.Is(err, syscall.EMFILE) {
		t.Fatal(err)
	}
	if n := s.Available(256); n != 0 || g.calls != 6 {
		t.Errorf("after an error: Available is %d after %d reads", n, g.calls)
	}
	if n := s.Available(256); n != 256 || g.calls != 7 {
		t.Errorf("recovered: Available is %d after %d reads", n, g.calls)
	}

	g = &osScript{}
	s = newOS(OSConfig{}, g.read)
	if _, err := s.GetEntropy(t.Context(), make([]byte, 32), 256); err != nil {
		t.Fatal(err)
	}
	if n := s.Available(256); n != 256 || g.calls != 2 {
		t.Errorf("after a seed: Available is %d after %d reads", n, g.calls)
	}

	g = &osScript{}
	if n := newOS(OSConfig{Rate: -1}, g.read).Available(256); n != 0 || g.calls != 0 {
		t.Errorf("without credit: Available is %d after %d reads", n, g.calls)
	}
}

// TestOSConcurrent is for the race detector. A generator that dies in the
// middle is never credited again.
func TestOSConcurrent(t *testing.T) {
	var n, deadFrom atomic.Uint64
	deadFrom.Store(math.MaxUint64)
	s := newOS(OSConfig{}, func(p []byte) error {
		c := n.Add(1)
		if c >= deadFrom.Load() {
			c = 0
		}
		for i := range p {
			p[i] = byte(c>>(i%8*8)) ^ byte(i) // differs in each block, if not longer than 256 bytes
		}
		return nil
	})
	run := func() (good, bad int) {
		var wg sync.WaitGroup
		var mu sync.Mutex // guards good and bad
		for range 8 {
			wg.Go(func() {
				for range 100 {
					p := make([]byte, 32)
					s.Available(256)
					s.Info()
					credit, err := s.GetEntropy(t.Context(), p, 256)
					mu.Lock()
					if credit == 256 && err == nil {
						good++
					} else {
						bad++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		return good, bad
	}
	if good, bad := run(); good != 800 || bad != 0 {
		t.Errorf("%d calls succeeded, %d failed", good, bad)
	}
	deadFrom.Store(n.Load() + 400)
	if good, bad := run(); good == 0 || bad == 0 {
		t.Errorf("while the generator dies: %d calls succeeded, %d failed", good, bad)
	}
	if good, bad := run(); good != 0 || bad != 800 {
		t.Errorf("after it died: %d calls succeeded, %d failed", good, bad)
	}
}

// TestOSSystem reads the generator of this machine. 1000 blocks of 256 bits are
// different with probability 1 - 2⁻²³⁷.
func TestOSSystem(t *testing.T) {
	s := NewOS(OSConfig{})
	seen := map[[32]byte]bool{}
	for range 1000 {
		var p [32]byte
		credit, err := s.GetEntropy(t.Context(), p[:], 256)
		if errors.Is(err, sysrand.ErrUnsupported) {
			if s.Available(256) != 0 {
				t.Error("available, but unsupported")
			}
			t.Skip(err)
		}
		if credit != 256 || err != nil {
			t.Fatalf("credit %d, %v", credit, err)
		}
		seen[p] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d different blocks of 1000", len(seen))
	}
	if n := s.Available(512); n != 512 {
		t.Errorf("Available is %d", n)
	}
}

// FuzzOS runs one call against a generator that takes its behaviour from the
// input, and holds the result against the rules of Source.
func FuzzOS(f *testing.F) {
	f.Add(32, 256, []byte{})
	f.Add(0, -1, []byte{3})
	f.Add(15, 1<<20, []byte{0, 1})
	f.Add(1<<16+1, 512, []byte{0, 0, 4})
	f.Add(48, 384, []byte{2, 2, 0, 5})
	f.Fuzz(func(t *testing.T, size, bits int, script []byte) {
		size = int(uint(size) % (3 * osChunk))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		faults := []osRead{
			osGood, osRestarts, osConstant(0), osFails(syscall.EIO), osPartly(syscall.EIO), osFails(errUntouched),
			func([]byte) error { cancel(); return sysrand.ErrNotReady },
			func([]byte) error { cancel(); return nil },
		}
		g := &osScript{}
		for _, b := range script {
			g.reads = append(g.reads, faults[int(b)%len(faults)])
		}
		p := bytes.Repeat([]byte{0x11}, size)
		s := newOS(OSConfig{}, g.read)
		credit, err := s.GetEntropy(ctx, p, bits)
		if credit < 0 || credit > max(0, bits) || credit > 8*size || credit > s.Info().MaxEntropy {
			t.Errorf("credit %d of %d bits in %d bytes", credit, bits, size)
		}
		if err != nil {
			var health *HealthError
			if credit != 0 || !bytes.Equal(p, make([]byte, size)) {
				t.Errorf("after %v: credit %d, or data left", err, credit)
			}
			if !errors.Is(err, ErrUnavailable) && !errors.Is(err, context.Canceled) && !errors.As(err, &health) {
				t.Errorf("undocumented error %v", err)
			}
		}
		for off := 0; err == nil && off+osBlock <= size; off += osBlock {
			if [osBlock]byte(p[off:]) == osZeros {
				t.Errorf("zeros delivered at %d", off)
			}
		}
	})
}

// TestOSRepeatsModel compares the branch-free comparison with a plain one, for
// blocks of few different values.
func TestOSRepeatsModel(t *testing.T) {
	block := func(v uint64) (b [osBlock]byte) {
		switch v %= 5; v {
		case 0:
		case 1:
			b = osOnes
		default:
			binary.BigEndian.PutUint64(b[8:], v)
		}
		return b
	}
	for v := range uint64(5 * 5 * 5 * 5) {
		check := block(v / 125)
		var p []byte
		want := false
		previous := check
		for i := range uint64(3) {
			b := block(v / []uint64{1, 5, 25}[i])
			want = want || b == previous || b == check || b == osZeros || b == osOnes
			previous = b
			p = append(p, b[:]...)
		}
		if got := repeats(p, &check); got != want {
			t.Errorf("check %x, blocks %x: %v, want %v", check, p, got, want)
		}
	}
}

func BenchmarkOS(b *testing.B) {
	s := NewOS(OSConfig{})
	for _, size := range []int{32, 48, 64, 4096} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			p := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.GetEntropy(b.Context(), p, 256); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
