package es

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng/internal/health"
)

// A tap is an io.Reader that delivers the stream of streamByte, or does what its
// script says. It holds on to what it was given, as no reader should.
type tap struct {
	script func(t *tap, p []byte) (int, error)

	mu    sync.Mutex // guards the fields below
	pos   int        // of the stream
	calls int
	given [][]byte

	inside atomic.Int32
	most   atomic.Int32 // calls at the same time
}

func (t *tap) Read(p []byte) (int, error) {
	t.most.Store(max(t.most.Load(), t.inside.Add(1)))
	defer t.inside.Add(-1)
	t.mu.Lock()
	t.calls++
	t.given = append(t.given, p)
	t.mu.Unlock()
	if t.script != nil {
		return t.script(t, p)
	}
	return t.next(p)
}

// next is what a sound Read does.
func (t *tap) next(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	copy(p, streamBytes(t.pos, len(p)))
	t.pos += len(p)
	return len(p), nil
}

func (t *tap) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls
}

// at returns how many bytes of the stream were delivered.
func (t *tap) at() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pos
}

// stored returns how many bytes are in the store, and in the open block.
func (f *feed) stored() (n, parts int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n, f.parts
}

// wantWiped checks that nothing is left in what Read was given.
func (t *tap) wantWiped(tb testing.TB) {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, p := range t.given {
		if !bytes.Equal(p, make([]byte, len(p))) {
			tb.Errorf("what call %d of %d of Read was given is not wiped: %x", i, len(t.given), p)
			return
		}
	}
}

// tapReader returns a Reader of t at the given rate, which the test closes.
func tapReader(tb testing.TB, t *tap, rate int) *Reader {
	r := NewReader(ReaderConfig{Reader: t, Rate: rate})
	tb.Cleanup(func() { r.Close() })
	return r
}

// mustFill gets size bytes with as much credit as possible.
func mustFill(t testing.TB, s Source, size int) []byte {
	t.Helper()
	p := make([]byte, size)
	credit, err := s.GetEntropy(t.Context(), p, 512)
	if want := min(s.Info().MaxEntropy, s.Info().MaxEntropy*size/64); credit != want || err != nil {
		t.Fatalf("%d bytes: credit %d, %v; want %d", size, credit, err, want)
	}
	return p
}

// mustLack wants an error of GetEntropy that wraps target, unless that is nil, and p
// cleared.
func mustLack(t testing.TB, s Source, target error) error {
	t.Helper()
	p := bytes.Repeat([]byte{0xa5}, 40)
	credit, err := s.GetEntropy(t.Context(), p, 256)
	if credit != 0 || err == nil || target != nil && !errors.Is(err, target) || !bytes.Equal(p, make([]byte, 40)) {
		t.Fatalf("credit %d, %v, p %x; want 0, an error that wraps %v, and zeros", credit, err, p, target)
	}
	return err
}

// mustAlarm wants the HealthError.
func mustAlarm(t testing.TB, err error, want HealthError) {
	t.Helper()
	if got, ok := errors.AsType[*HealthError](err); !ok || *got != want {
		t.Fatalf("%v, want %v", err, &want)
	}
}

// goroutines returns how many goroutines run methods of feeds. One that has finished may
// take a moment to end.
func goroutines() (n int) {
	buf := make([]byte, 1<<20)
	for range 200 {
		n = strings.Count(string(buf[:runtime.Stack(buf, true)]), "es.(*feed).run(")
		if n == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return n
}

// E4: every byte after the start-up test is delivered once, in order, in whatever
// pieces it is read and asked for.
func TestFeedDeliversOnce(t *testing.T) {
	for _, piece := range []int{1, 5, 31, 32} {
		synctest.Test(t, func(t *testing.T) {
			in := &tap{}
			in.script = func(t *tap, p []byte) (int, error) { return t.next(p[:min(len(p), piece)]) }
			r := tapReader(t, in, 256)
			pos := 1024
			for i, size := range []int{1, 31, 32, 33, 48, 64, 65, 130, 224, 225, 256, 1000, 7, 0, 64} {
				if got := mustFill(t, r, size); !bytes.Equal(got, streamBytes(pos, size)) {
					t.Fatalf("pieces of %d, delivery %d is not bytes %d to %d of the stream", piece, i, pos, pos+size)
				}
				pos += size
				if i%4 == 3 {
					synctest.Wait() // the store fills up
				}
			}
			synctest.Wait()
			in.wantWiped(t)
			if n := in.pos - pos; n != r.n || n <= feedSize-feedBlock || n > feedSize {
				t.Errorf("%d bytes were read ahead, %d are stored", n, r.n)
			}
			if in.most.Load() != 1 {
				t.Errorf("%d reads at the same time", in.most.Load())
			}
		})
	}
}

// No goroutine at construction, nor when the store is full, nor after Close. A full
// store is not read over.
func TestFeedGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &tap{}
		r := tapReader(t, in, 256)
		r.Info()
		if r.Available(512) != 0 || r.Validate() != nil || in.count() != 0 || goroutines() != 0 {
			t.Errorf("before the first use: %d reads, %d goroutines", in.count(), goroutines())
		}
		mustFill(t, r, 32)
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := goroutines(); n != 0 {
			t.Errorf("%d goroutines while the store is full", n)
		}
		if n := in.count(); n != (1024+32+feedSize)/feedBlock {
			t.Errorf("%d reads, want %d", n, (1024+32+feedSize)/feedBlock)
		}
		mustFill(t, r, 1)
		synctest.Wait()
		if err := r.Close(); err != nil || goroutines() != 0 {
			t.Errorf("Close: %v, %d goroutines", err, goroutines())
		}
	})
}

// Close wipes, tells those who wait, and may be called again.
func TestFeedClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &tap{}
		r := tapReader(t, in, 256)
		mustFill(t, r, 32)
		synctest.Wait()
		if r.n != feedSize || !bytes.Equal(r.store[:], streamBytes(1024+32, feedSize)) {
			t.Fatalf("%d bytes in the store", r.n)
		}
		for range 2 {
			if err := r.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		if r.n != 0 || r.feedMemory != nil || r.mem.Intact() || *r.watch.samples != (health.Tests{}) {
			t.Error("not wiped")
		}
		in.wantWiped(t)
		n := in.count()
		mustLack(t, r, ErrUnavailable)
		if err := r.HealthTest(t.Context()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("HealthTest: %v", err)
		}
		if k, err := r.GetNoise(make([]byte, 8)); k != 0 || !errors.Is(err, ErrUnavailable) {
			t.Errorf("GetNoise: %d, %v", k, err)
		}
		if r.Available(512) != 0 || in.count() != n {
			t.Errorf("after Close: %d bits available, %d reads", r.Available(512), in.count()-n)
		}
		if err := NewReader(ReaderConfig{Reader: in}).Close(); err != nil {
			t.Errorf("Close before use: %v", err)
		}
		if err := NewReader(ReaderConfig{Rate: 300}).Close(); err != nil {
			t.Errorf("Close of one that is not valid: %v", err)
		}
	})
}

// A call that takes what is stored leaves nothing of it behind.
func TestFeedTakeWipes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		in := &tap{}
		in.script = func(t *tap, p []byte) (int, error) {
			if t.at() == 1024+feedSize {
				<-release
			}
			return t.next(p)
		}
		r := tapReader(t, in, 256)
		if err := r.HealthTest(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		mustFill(t, r, 100)
		want := append(streamBytes(1124, feedSize-100), make([]byte, 100)...)
		if !bytes.Equal(r.store[:], want) || r.Available(512) != 512 {
			t.Errorf("in the store: %x", r.store)
		}
		mustFill(t, r, 100)
		if r.Available(512) != 8*56 {
			t.Errorf("available: %d", r.Available(512))
		}
		close(release)
	})
}

// A hanging read: it is waited for once, half a second; no second one is begun; Close
// says so, and what the read brings afterwards is wiped.
func TestFeedHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		in := &tap{}
		in.script = func(t *tap, p []byte) (int, error) {
			if t.at() >= 1024+64 {
				<-release
			}
			return t.next(p)
		}
		r := NewReader(ReaderConfig{Reader: in, Rate: 256})
		mustFill(t, r, 64)
		for i, want := range []time.Duration{feedPatience, 0, 0} {
			start := time.Now()
			mustLack(t, r, ErrUnavailable)
			if got := time.Since(start); got != want {
				t.Errorf("call %d waited %v, want %v", i, got, want)
			}
		}
		n := in.count()
		for range 360 { // an hour of reseeds
			time.Sleep(10 * time.Second)
			mustLack(t, r, ErrUnavailable)
		}
		if in.count() != n || in.most.Load() != 1 || goroutines() != 1 {
			t.Errorf("%d reads more, %d at a time, %d goroutines", in.count()-n, in.most.Load(), goroutines())
		}
		in.wantWiped(t) // what the read before brought
		if err := r.Close(); err == nil || !strings.Contains(err.Error(), "reader: Close") {
			t.Errorf("Close: %v", err)
		}
		close(release)
		synctest.Wait()
		if err := r.Close(); err != nil || goroutines() != 0 {
			t.Errorf("Close after the read returned: %v, %d goroutines", err, goroutines())
		}
		in.wantWiped(t)
		if r.n != 0 || r.mem.Intact() {
			t.Error("what came late was kept")
		}
	})
}

// A read that hung and comes back is trusted, and waited for, again.
func TestFeedComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := true
		in := &tap{}
		in.script = func(t *tap, p []byte) (int, error) {
			if hang {
				time.Sleep(time.Minute)
				hang = false
			} else {
				time.Sleep(10 * time.Millisecond)
			}
			return t.next(p)
		}
		r := tapReader(t, in, 256)
		mustLack(t, r, ErrUnavailable)
		time.Sleep(61 * time.Second)
		mustFill(t, r, 224)
		start := time.Now()
		mustFill(t, r, 224)
		if time.Since(start) == 0 {
			t.Error("did not wait, so nothing was tested")
		}
	})
}

// A hostileError panics when it is looked into.
type hostileError struct{}

func (hostileError) Error() string { return "hostile" }
func (hostileError) Is(error) bool { panic("hostile") }

// E1: faults of reads, from the first one on, in the start-up test, and later. Until is
// when they end, in bytes; want is what a call is told, and again whether data come when
// the fault is over.
func TestFeedFaults(t *testing.T) {
	errBroken := errors.New("broken")
	for _, tt := range []struct {
		name  string
		fault func(p []byte) (int, error)
		want  error  // wrapped
		text  string // part of the error
		calls int    // reads that failed, for the first call of GetEntropy
		final bool   // for good
	}{
		{"error", func([]byte) (int, error) { return 0, errBroken }, errBroken, "reader: broken", 5, false},
		{"EIO", func([]byte) (int, error) { return 0, syscall.EIO }, syscall.EIO, "", 5, false},
		{"EAGAIN", func([]byte) (int, error) { return 0, syscall.EAGAIN }, syscall.EAGAIN, "", 5, false},
		{"timeout", func([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }, os.ErrDeadlineExceeded, "", 5, false},
		{"EOF", func([]byte) (int, error) { return 0, io.EOF }, io.EOF, "", 1, false},
		{"no progress", func([]byte) (int, error) { return 0, nil }, io.ErrNoProgress, "", 500, false},
		{"panic", func([]byte) (int, error) { panic("ouch") }, ErrUnavailable, "panicked: ouch", 5, false},
		{"runtime error", func(p []byte) (int, error) { return int(p[len(p)]), nil }, ErrUnavailable, "index out of range", 5, false},
		{"error that panics", func([]byte) (int, error) { return 0, hostileError{} }, ErrUnavailable, "panicked: hostile", 5, false},
		{"Goexit", func([]byte) (int, error) { runtime.Goexit(); return 0, nil }, errGoexit, "", 1, false},
		{"longer", func(p []byte) (int, error) { return len(p) + 1, nil }, nil, "count 33, cut-off 33", 1, true},
		{"negative", func(p []byte) (int, error) { return -1, nil }, nil, "count -1, cut-off 33", 1, true},
		{"longer, with an error", func(p []byte) (int, error) { return 1 << 30, io.EOF }, nil, "permanent", 1, true},
	} {
		for _, begin := range []int{0, 512, 1024 + 64} {
			synctest.Test(t, func(t *testing.T) {
				over := false
				failed := 0
				in := &tap{}
				in.script = func(t *tap, p []byte) (int, error) {
					if t.at() >= begin && !over {
						failed++
						p[0] = 0xa5
						return tt.fault(p)
					}
					return t.next(p)
				}
				r := tapReader(t, in, 256)
				if begin > 1024 && tt.final {
					r.HealthTest(t.Context())
					synctest.Wait() // what was stored is dropped
				} else if begin > 1024 {
					mustFill(t, r, 64)
				}
				start := time.Now()
				err := mustLack(t, r, tt.want)
				if tt.want != nil && !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("%s from %d: %v", tt.name, begin, err)
				}
				if failed != tt.calls {
					t.Errorf("%s from %d: %d reads failed for one call, want %d", tt.name, begin, failed, tt.calls)
				}
				if took := time.Since(start); took > 150*time.Millisecond {
					t.Errorf("%s from %d: %v until it was told", tt.name, begin, took)
				}
				synctest.Wait()
				if n := goroutines(); n != 0 {
					t.Errorf("%s from %d: %d goroutines afterwards", tt.name, begin, n)
				}
				in.wantWiped(t)

				// An hour of calls, one a second: the pauses double up to a minute.
				before := failed
				for range 3600 {
					time.Sleep(time.Second)
					mustLack(t, r, tt.want)
				}
				per := 1
				if tt.name == "no progress" {
					per = feedNothing
				}
				if n := (failed - before) / per; n < 55 && !tt.final || n > 75 || tt.final && n > 0 {
					t.Errorf("%s from %d: %d attempts in an hour", tt.name, begin, n)
				}

				over = true
				time.Sleep(feedLongest)
				if tt.final {
					mustLack(t, r, nil)
					if h, ok := errors.AsType[*HealthError](err); !ok || !h.Permanent || r.Available(512) != 0 {
						t.Errorf("%s: %v, %d bits available", tt.name, err, r.Available(512))
					}
					return
				}
				if got := mustFill(t, r, 64); !bytes.Equal(got, streamBytes(max(1024, begin), 64)) {
					t.Errorf("%s from %d: not the data after the fault", tt.name, begin)
				}
			})
		}
	}
}

// E1: short counts pro rata. Data that come with an error count, and no others.
func TestFeedAlternatingErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &tap{}
		in.script = func(t *tap, p []byte) (int, error) {
			switch t.calls % 3 {
			case 0:
				n, _ := t.next(p[:min(len(p), 7)])
				return n, syscall.EIO
			case 1:
				copy(p, "these bytes do not count")
				return 0, errors.New("try again")
			}
			return t.next(p[:min(len(p), 3)])
		}
		r := tapReader(t, in, 256)
		pos := 1024
		for range 200 {
			p := make([]byte, 64)
			if _, err := r.GetEntropy(t.Context(), p, 512); err != nil {
				if !errors.Is(err, ErrUnavailable) {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Second)
				continue
			}
			if !bytes.Equal(p, streamBytes(pos, 64)) {
				t.Fatalf("not the stream from %d on", pos)
			}
			pos += 64
		}
		if pos < 1024+100*64 {
			t.Errorf("only %d bytes in 200 calls", pos-1024)
		}
	})
}

// E1: slow reads, up to a minute each, and one byte a second. A call never takes more
// than the patience, and the data come in the end.
func TestFeedSlow(t *testing.T) {
	for _, tt := range []struct {
		size  int
		every time.Duration
	}{{32, time.Millisecond}, {32, 100 * time.Millisecond}, {32, time.Second}, {32, time.Minute}, {1, time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			in := &tap{}
			in.script = func(t *tap, p []byte) (int, error) {
				time.Sleep(tt.every)
				return t.next(p[:min(len(p), tt.size)])
			}
			r := NewReader(ReaderConfig{Reader: in, Rate: 256})
			told := make(chan struct{}, 1)
			r.Notify(func() {
				select {
				case told <- struct{}{}:
				default:
				}
			})
			start := time.Now()
			for {
				p := make([]byte, 32)
				began := time.Now()
				_, err := r.GetEntropy(t.Context(), p, 256)
				if took := time.Since(began); took > feedPatience {
					t.Fatalf("%d bytes in %v: a call took %v", tt.size, tt.every, took)
				}
				if err == nil {
					break
				}
				if !errors.Is(err, ErrUnavailable) {
					t.Fatal(err)
				}
				<-told
			}
			need := time.Duration((1024+32)/tt.size) * tt.every
			if took := time.Since(start); took > need {
				t.Errorf("%d bytes in %v: %v until there were data, want %v", tt.size, tt.every, took, need)
			}
			go r.Close()
			time.Sleep(2 * time.Minute)
			if goroutines() != 0 {
				t.Error("a goroutine is left")
			}
		})
	}
}

// E1, B16, T9: noise that gets stuck is told as an intermittent failure, with no credit
// and nothing delivered that came before; if it recovers, data follow after another
// start-up test, and if not the failure becomes permanent. That is final.
func TestFeedAlarms(t *testing.T) {
	const begin = 1024 + 512 // beyond what is read ahead at first
	line := streamBytes(0, 64)
	for _, tt := range []struct {
		name         string
		rate         int
		fault        func(i int) byte
		intermittent HealthError // zero if it is permanent at once
		permanent    HealthError // zero if it never is
	}{
		{"zeros", 128, func(int) byte { return 0 },
			HealthError{"reader", "RCT", 9, 9, false}, HealthError{"reader", "RCT", 16, 16, true}},
		{"ones", 256, func(int) byte { return 0xff },
			HealthError{"reader", "RCT", 5, 5, false}, HealthError{"reader", "RCT", 9, 9, true}},
		{"zeros", 8, func(int) byte { return 0 },
			HealthError{"reader", "RCT", 121, 121, false}, HealthError{"reader", "RCT", 241, 241, true}},
		{"zeros", 1, func(int) byte { return 0 },
			HealthError{"reader", "RCT", 961, 961, false}, HealthError{"reader", "RCT", 1921, 1921, true}},
		{"a word", 1, func(i int) byte { return line[i%8] },
			HealthError{"reader", "block RCT", 31, 31, false}, HealthError{"reader", "block RCT", 61, 61, true}},
		{"zeros", -1, func(int) byte { return 0 },
			HealthError{"reader", "RCT", 961, 961, false}, HealthError{"reader", "RCT", 1921, 1921, true}},
		{"a word", 256, func(i int) byte { return line[i%8] },
			HealthError{}, HealthError{"reader", "block RCT", 2, 2, true}},
		{"a line", 256, func(i int) byte { return line[i%64] },
			HealthError{"reader", "block APT", 2, 2, false}, HealthError{"reader", "block APT", 3, 3, true}},
		{"the last block again", 256, func(i int) byte { return streamByte(begin - 32 + i%32) },
			HealthError{}, HealthError{"reader", "block RCT", 2, 2, true}},
		{"a word", 8, func(i int) byte { return line[i%8] },
			HealthError{"reader", "block RCT", 5, 5, false}, HealthError{"reader", "block RCT", 9, 9, true}},
		{"few values", 256, func(i int) byte { return line[streamByte(i)%8] },
			HealthError{"reader", "APT", 17, 17, false}, HealthError{"reader", "APT", 26, 26, true}},
		{"a bit", 256, func(i int) byte { return streamByte(i) & 1 },
			HealthError{"reader", "APT", 17, 17, false}, HealthError{"reader", "APT", 26, 26, true}},
	} {
		for _, lasting := range []bool{true, false} {
			if !lasting && tt.intermittent == (HealthError{}) {
				continue
			}
			synctest.Test(t, func(t *testing.T) {
				var r *Reader
				over := false // if the fault does not last it ends with the alarm
				in := &tap{}
				in.script = func(t *tap, p []byte) (int, error) {
					if t.at() >= begin && !lasting {
						r.mu.Lock()
						over = over || !r.watch.ready()
						r.mu.Unlock()
					}
					if t.at() < begin || over {
						return t.next(p)
					}
					t.mu.Lock()
					defer t.mu.Unlock()
					for i := range p {
						p[i] = tt.fault(t.pos - begin)
						t.pos++
					}
					return len(p), nil
				}
				r = tapReader(t, in, tt.rate)
				mustFill(t, r, 32) // so that there is something stored
				synctest.Wait()
				var alarms []HealthError
				for calls := 0; ; calls++ {
					p := make([]byte, 64)
					_, err := r.GetEntropy(t.Context(), p, 512)
					h, alarm := errors.AsType[*HealthError](err)
					switch {
					case err == nil && lasting && len(alarms) > 0, calls > 1000:
						t.Fatalf("%s, rate %d: call %d: %x, %v", tt.name, tt.rate, calls, p, err)
					case alarm:
						alarms = append(alarms, *h)
					}
					if alarm && h.Permanent || len(alarms) > 0 && err == nil {
						break
					}
				}
				var want []HealthError
				if tt.intermittent != (HealthError{}) {
					want = append(want, tt.intermittent)
				}
				if lasting {
					want = append(want, tt.permanent)
				}
				// Between the two there may be others, of other tests.
				if len(alarms) < len(want) || alarms[0] != want[0] || lasting && alarms[len(alarms)-1].Test != tt.permanent.Test ||
					lasting && len(alarms) == len(want) && alarms[len(alarms)-1] != want[len(want)-1] {
					t.Errorf("%s, rate %d, lasting %t: %v, want %v", tt.name, tt.rate, lasting, alarms, want)
				}
				if !lasting {
					if len(alarms) != 1 {
						t.Errorf("%s, rate %d: %v, want one", tt.name, tt.rate, alarms)
					}
					return
				}
				mustAlarm(t, mustLack(t, r, nil), alarms[len(alarms)-1])
				n := in.count()
				time.Sleep(time.Hour)
				mustLack(t, r, nil)
				if err := r.HealthTest(t.Context()); err == nil {
					t.Error("a health test passed after a permanent failure")
				}
				if in.count() != n || r.Available(512) != 0 || r.n != 0 || r.store != [feedSize]byte{} {
					t.Errorf("%s: after a permanent failure: %d reads more, %d bits available", tt.name, in.count()-n, r.Available(512))
				}
			})
		}
	}
}

// B14, B16: after an intermittent failure nothing that came before is delivered, and
// data follow after 1024 bytes beyond the window of the alarm.
func TestFeedRecovery(t *testing.T) {
	const begin = 2048 // of a window
	synctest.Test(t, func(t *testing.T) {
		in := &tap{}
		in.script = func(t *tap, p []byte) (int, error) {
			pos := t.pos
			t.next(p)
			if pos == begin {
				clear(p[:10])
			}
			return len(p), nil
		}
		r := tapReader(t, in, 128)
		pos := 1024
		for {
			p := make([]byte, 32)
			_, err := r.GetEntropy(t.Context(), p, 256)
			if err != nil {
				mustAlarm(t, err, HealthError{"reader", "RCT", 9, 9, false})
				break
			}
			if !bytes.Equal(p, streamBytes(pos, 32)) {
				t.Fatalf("not the stream from %d on", pos)
			}
			pos += 32
			synctest.Wait()
		}
		// The rest of the read that raised the alarm is dropped, so that the window
		// ends 23 bytes later.
		end := begin + 512 + 23
		want := begin + 32 + (end+1024-begin-32+31)/32*32
		if p := mustFill(t, r, 32); !bytes.Equal(p, streamBytes(want, 32)) {
			t.Errorf("after the failure: not the stream from %d on", want)
		}
	})
}

// Rule 6, and the order of what a call looks at.
func TestFeedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &tap{script: func(t *tap, p []byte) (int, error) {
			time.Sleep(200 * time.Millisecond)
			return t.next(p)
		}}
		r := tapReader(t, in, 256)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		p := []byte{1, 2, 3}
		if credit, err := r.GetEntropy(ctx, p, 8); credit != 0 || !errors.Is(err, context.Canceled) || in.count() != 0 || p[0] != 0 {
			t.Errorf("ctx done before: %d, %v, %d reads, p %v", credit, err, in.count(), p)
		}
		ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		if credit, err := r.GetEntropy(ctx, p, 8); credit != 0 || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 100*time.Millisecond {
			t.Errorf("ctx done meanwhile: %d, %v after %v", credit, err, time.Since(start))
		}
		if err := r.HealthTest(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("HealthTest: %v", err)
		}
	})
}

// A health test on demand takes 1024 bytes that are not delivered, and leaves alone
// what is stored. It waits for a slow source.
func TestFeedHealthTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &tap{script: func(t *tap, p []byte) (int, error) {
			time.Sleep(400 * time.Millisecond)
			return t.next(p)
		}}
		r := tapReader(t, in, 256)
		err := r.HealthTest(t.Context())
		n, _ := r.stored()
		if pos := in.at(); err != nil || n != 0 || pos != 1024 {
			t.Fatalf("first: %v, %d bytes stored, %d read", err, n, pos)
		}
		time.Sleep(20 * time.Second)
		// 256 bytes are missing in the window that is open.
		err = r.HealthTest(t.Context())
		n, _ = r.stored()
		if pos := in.at(); err != nil || n != feedSize || pos != 1024+feedSize+256+1024 {
			t.Fatalf("with a full store: %v, %d bytes stored, %d read", err, n, pos)
		}
		got := mustFill(t, r, feedSize-feedBlock)
		if !bytes.Equal(got, streamBytes(1024, feedSize-feedBlock)) {
			t.Error("what had been stored is not what was delivered")
		}
		time.Sleep(20 * time.Second)
		got = mustFill(t, r, 2*feedBlock)
		if !bytes.Equal(got[feedBlock:], streamBytes(1024+feedSize+256+1024, feedBlock)) {
			t.Error("bytes of the test were delivered")
		}

		// In the middle of a block: what has been read of it is not delivered either.
		in = &tap{script: func(t *tap, p []byte) (int, error) {
			time.Sleep(5 * time.Millisecond)
			return t.next(p[:min(len(p), 20)])
		}}
		r = tapReader(t, in, 256)
		mustFill(t, r, 32)
		time.Sleep(7 * time.Millisecond)
		_, parts := r.stored()
		if parts == 0 {
			t.Fatal("no open block")
		}
		before := in.at() - parts
		if err := r.HealthTest(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		stored, last := before-1024-32, in.at()
		got = mustFill(t, r, feedSize-feedBlock)
		if !bytes.Equal(got[:stored], streamBytes(1024+32, stored)) ||
			!bytes.Equal(got[stored:], streamBytes(last-feedSize+stored, feedSize-feedBlock-stored)) {
			t.Error("a block that was open was delivered")
		}
	})
}

// Rules 7 and 8: noise is consecutive, not delivered, and does not use up what is.
func TestFeedGetNoise(t *testing.T) {
	for _, piece := range []int{32, 20, 1} {
		synctest.Test(t, func(t *testing.T) {
			in := &tap{}
			in.script = func(t *tap, p []byte) (int, error) { return t.next(p[:min(len(p), piece)]) }
			r := tapReader(t, in, 256)
			noise := make([]byte, 100)
			if n, err := r.GetNoise(noise); n != 100 || err != nil || !bytes.Equal(noise, streamBytes(0, 100)) {
				t.Fatalf("at first: %d, %v", n, err)
			}
			mustFill(t, r, 64)
			synctest.Wait()
			pos, available := in.pos, r.Available(512)
			if n, err := r.GetNoise(noise); n != 100 || err != nil || !bytes.Equal(noise, streamBytes(pos, 100)) {
				t.Fatalf("later: %d, %v", n, err)
			}
			synctest.Wait()
			if n := in.pos - pos; r.Available(512) != available || n < 100 || n > 128 {
				t.Errorf("%d bits available, were %d; %d bytes read for 100", r.Available(512), available, n)
			}
			// From the block that the last sample was in nothing is delivered.
			rest := mustFill(t, r, 224)
			synctest.Wait()
			rest = append(rest, mustFill(t, r, 224)...)
			for i := range len(noise) - 8 {
				if bytes.Contains(rest, noise[i:i+8]) {
					t.Fatalf("noise was delivered, from sample %d on", i)
				}
			}
			// Nor is it while there is room for it.
			for i := range 8 {
				mustFill(t, r, 200)
				if n, err := r.GetNoise(noise); n != 100 || err != nil {
					t.Fatalf("with room in the store: %d, %v", n, err)
				}
				rest = mustFill(t, r, 200)
				synctest.Wait()
				rest = append(rest, mustFill(t, r, 200)...)
				for j := range len(noise) - 8 {
					if bytes.Contains(rest, noise[j:j+8]) {
						t.Fatalf("with room in the store, time %d: noise was delivered, from sample %d on", i, j)
					}
				}
				synctest.Wait()
			}
			was := bytes.Clone(noise)
			mustFill(t, r, 64)
			synctest.Wait()
			if !bytes.Equal(noise, was) {
				t.Error("p was written to after GetNoise had returned")
			}
			if n, err := r.GetNoise(nil); n != 0 || err != nil {
				t.Errorf("GetNoise(nil): %d, %v", n, err)
			}
		})
	}
}

// GetNoise has what there is of noise that an alarm was raised for, and leaves the alarm
// to a call that delivers. What hangs is not waited for in vain for ever.
func TestFeedGetNoiseFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &tap{script: func(t *tap, p []byte) (int, error) {
			t.next(p)
			if t.at() == 64 {
				clear(p[10:20])
			}
			return len(p), nil
		}}
		r := tapReader(t, in, 128)
		noise := make([]byte, 200)
		want := streamBytes(0, 200)
		clear(want[42:52])
		n, err := r.GetNoise(noise)
		if n != 200 || err != nil || !bytes.Equal(noise, want) {
			t.Errorf("bad noise: %d, %v, %x", n, err, noise)
		}
		if _, ok := errors.AsType[*HealthError](mustLack(t, r, nil)); !ok {
			t.Error("there was no alarm")
		}

		release := make(chan struct{})
		in = &tap{script: func(t *tap, p []byte) (int, error) {
			if t.at() == 64 {
				<-release
			}
			return t.next(p)
		}}
		r = tapReader(t, in, 256)
		start := time.Now()
		n, err = r.GetNoise(noise)
		if n != 64 || !errors.Is(err, ErrUnavailable) || time.Since(start) != feedStall || !bytes.Equal(noise[:64], streamBytes(0, 64)) {
			t.Errorf("noise that hangs: %d, %v after %v", n, err, time.Since(start))
		}
		clear(noise)
		close(release)
		synctest.Wait()
		if !bytes.Equal(noise, make([]byte, 200)) {
			t.Error("p was written to after GetNoise had returned")
		}
	})
}

// Notify: once for each block with credit, without a lock held.
func TestFeedNotify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, rate := range []int{256, 1, -1} {
			in := &tap{}
			r := tapReader(t, in, rate)
			var calls [2]int
			for i := range calls {
				r.Notify(func() {
					calls[i]++
					r.Available(512)
					r.Notify(nil)
				})
			}
			mustFill(t, r, 32)
			synctest.Wait()
			want := [2]int{(32 + feedSize) / 32, (32 + feedSize) / 32}
			if rate < 0 {
				want = [2]int{}
			}
			if calls != want {
				t.Errorf("rate %d: %v calls, want %v", rate, calls, want)
			}
		}
	})
}

// Data that are old are not delivered, and do not count; those of the usual rhythm of
// reseeds are.
func TestFeedAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &tap{}
		r := tapReader(t, in, 256)
		mustFill(t, r, 32)
		for range 20 {
			time.Sleep(10 * time.Minute)
			if r.Available(256) != 256 {
				t.Fatal("a seed after ten minutes would have to wait")
			}
			mustFill(t, r, 48)
			synctest.Wait()
		}
		time.Sleep(feedAge)
		if r.Available(256) != 256 {
			t.Error("too old at once")
		}
		time.Sleep(time.Nanosecond)
		if r.Available(256) != 0 {
			t.Error("old data are available")
		}
		pos := in.pos
		if got := mustFill(t, r, 48); !bytes.Equal(got, streamBytes(pos, 48)) {
			t.Error("old data were delivered")
		}
	})
}

// Rule 1, for the race detector.
func TestFeedConcurrent(t *testing.T) {
	in := &tap{}
	r := tapReader(t, in, 256)
	var mu sync.Mutex
	seen := make(map[string]bool)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			p := make([]byte, 32)
			for range 50 {
				if _, err := r.GetEntropy(t.Context(), p, 256); err != nil {
					if !errors.Is(err, ErrUnavailable) {
						t.Error(err)
					}
					continue
				}
				mu.Lock()
				if seen[string(p)] {
					t.Error("delivered twice")
				}
				seen[string(p)] = true
				mu.Unlock()
				r.Info()
				r.Available(256)
				r.Notify(func() {})
				if i == 0 {
					r.GetNoise(make([]byte, 3))
				}
				if i == 1 {
					r.HealthTest(t.Context())
				}
			}
		})
	}
	wg.Wait()
	if len(seen) == 0 {
		t.Error("nothing was delivered")
	}
	if in.most.Load() != 1 {
		t.Errorf("%d reads at the same time", in.most.Load())
	}
	// Close among others.
	for range 4 {
		wg.Go(func() { r.GetEntropy(t.Context(), make([]byte, 64), 256) })
		wg.Go(func() { r.Close() })
	}
	wg.Wait()
	if _, err := r.GetEntropy(t.Context(), nil, 0); !errors.Is(err, ErrUnavailable) {
		t.Errorf("after Close: %v", err)
	}
}

func TestFeedString(t *testing.T) {
	r := tapReader(t, &tap{}, 256)
	d := NewDevice(DeviceConfig{})
	defer d.Close()
	for want, s := range map[string]any{"es.Reader": r, "es.Device": d} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if got := fmt.Sprintf(verb, s); got != want {
				t.Errorf("%s prints %s, want %s", verb, got, want)
			}
		}
	}
}
