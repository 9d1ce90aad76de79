package es

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng/conditioner"
)

var _ interface {
	Source
	NoiseSource
	HealthTester
	Validator
} = (*Monitored)(nil)

// A noisy is a source of raw noise: bytes of a stream, or what its script says. It holds
// on to what it was given. Its GetEntropy must not be called.
type noisy struct {
	t      testing.TB
	stream func(i int) byte
	script func(s *noisy, p []byte) (int, error)

	mu    sync.Mutex // guards the fields below
	pos   int
	calls int
	given [][]byte
}

func (s *noisy) Info() Info {
	return Info{Name: "noisy", MaxEntropy: 7, Boundary: "box", Slow: true}
}
func (s *noisy) Available(int) int { return 0 }
func (s *noisy) GetEntropy(context.Context, []byte, int) (int, error) {
	s.t.Error("GetEntropy of the source was called")
	return 0, nil
}

func (s *noisy) GetNoise(p []byte) (int, error) {
	s.mu.Lock()
	s.calls++
	s.given = append(s.given, p)
	s.mu.Unlock()
	if s.script != nil {
		return s.script(s, p)
	}
	return s.next(p)
}

// next is what a sound GetNoise does.
func (s *noisy) next(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range p {
		p[i] = s.stream(s.pos)
		s.pos++
	}
	return len(p), nil
}

func (s *noisy) at() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pos
}

// wantWiped checks that nothing is left of samples.
func (s *noisy) wantWiped(m *Monitored) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, p := range s.given {
		if !bytes.Equal(p, make([]byte, len(p))) {
			s.t.Errorf("what call %d of GetNoise was given is not wiped", i)
			return
		}
	}
	if m.sample != [8]byte{} || m.digest != [64]byte{} || m.watch.n != 0 || m.watch.block != [len(m.watch.block)]byte{} {
		s.t.Error("samples or a digest are left")
	}
}

// monitored returns a monitor of a stream.
func monitored(t testing.TB, c MonitorConfig, stream func(i int) byte) (*Monitored, *noisy) {
	t.Helper()
	s := &noisy{t: t, stream: stream}
	m := Monitor(s, c)
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	return m, s
}

func (s *noisy) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// callers returns how many goroutines call GetNoise. One that has just answered may take
// a moment to end.
func callers() (n int) {
	buf := make([]byte, 1<<20)
	for range 200 {
		n = strings.Count(string(buf[:runtime.Stack(buf, true)]), "es.(*noiseCall).run(")
		if n == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	return n
}

// refuse calls GetEntropy, wants an error and that p is cleared with it, and returns the
// number of bytes of noise that it took, and the error.
func refuse(t testing.TB, m *Monitored, s *noisy) (samples int, err error) {
	t.Helper()
	before := s.at()
	p := bytes.Repeat([]byte{0xa5}, 2048) // many samples
	credit, err := m.GetEntropy(t.Context(), p, 512)
	if credit != 0 || err == nil || !bytes.Equal(p, make([]byte, len(p))) {
		t.Fatalf("credit %d, %v after %d samples, or p not cleared", credit, err, s.at()-before)
	}
	s.wantWiped(m)
	return s.at() - before, err
}

func TestMonitorConfig(t *testing.T) {
	noise := &noisy{t: t}
	deaf := struct{ Source }{noise}
	for _, tt := range []struct {
		s     Source
		c     MonitorConfig
		names string // what the error names
	}{
		{noise, MonitorConfig{}, ""},
		{noise, MonitorConfig{Rate: 256, H: 8, SampleBits: 8, Window: 1 << 16, Alpha: 40, Conditioner: conditioner.SHA3_256}, ""},
		{noise, MonitorConfig{Rate: -1, H: 30. / 511, Alpha: 30}, ""},
		{noise, MonitorConfig{H: 30. / 992, Window: 1024}, ""},
		{noise, MonitorConfig{SampleBits: 1, H: 1}, ""},
		{noise, MonitorConfig{SampleBits: 64, H: 64, Alpha: 20}, ""},
		{noise, MonitorConfig{Conditioner: oddConditioner{sha512.New512_224(), 224}}, ""},
		{nil, MonitorConfig{}, "Monitor: the source is nil"},
		{deaf, MonitorConfig{}, `Monitor: "noisy" gives no raw noise`},
		{noise, MonitorConfig{Rate: 257}, "MonitorConfig.Rate:"},
		{noise, MonitorConfig{H: -0.1}, "MonitorConfig.H:"}, {noise, MonitorConfig{H: 8.001}, "MonitorConfig.H:"},
		{noise, MonitorConfig{H: math.NaN()}, "MonitorConfig.H:"}, {noise, MonitorConfig{H: math.Inf(1)}, "MonitorConfig.H:"},
		{noise, MonitorConfig{H: 1.01, SampleBits: 1}, "MonitorConfig.H:"},
		{noise, MonitorConfig{H: 30. / 512}, "MonitorConfig.H:"}, {noise, MonitorConfig{H: 30. / 993, Window: 1 << 16}, "MonitorConfig.H:"},
		{noise, MonitorConfig{H: math.SmallestNonzeroFloat64}, "MonitorConfig.H:"},
		{noise, MonitorConfig{SampleBits: 65}, "MonitorConfig.SampleBits:"}, {noise, MonitorConfig{SampleBits: -1}, "MonitorConfig.SampleBits:"},
		{noise, MonitorConfig{Window: 1}, "MonitorConfig.Window:"}, {noise, MonitorConfig{Window: 1<<16 + 1}, "MonitorConfig.Window:"},
		{noise, MonitorConfig{Window: -512}, "MonitorConfig.Window:"},
		{noise, MonitorConfig{Alpha: 19}, "MonitorConfig.Alpha:"}, {noise, MonitorConfig{Alpha: 41}, "MonitorConfig.Alpha:"}, {noise, MonitorConfig{Alpha: -30}, "MonitorConfig.Alpha:"},
		{noise, MonitorConfig{Conditioner: oddConditioner{nil, 256}}, "MonitorConfig.Conditioner:"},
		{noise, MonitorConfig{Conditioner: oddConditioner{sha256.New(), 512}}, "MonitorConfig.Conditioner:"},
		{noise, MonitorConfig{Conditioner: oddConditioner{sha512.New(), 0}}, "MonitorConfig.Conditioner:"},
		{noise, MonitorConfig{Conditioner: oddConditioner{wide{sha512.New()}, 520}}, "MonitorConfig.Conditioner:"},
	} {
		m := Monitor(tt.s, tt.c)
		err := m.Validate()
		if tt.names == "" {
			if err != nil {
				t.Errorf("%+v: %v", tt.c, err)
			}
			want := Info{Name: "noisy", MaxEntropy: 512, Boundary: "box", Slow: true, Health: true}
			if tt.c.Rate < 0 {
				want.MaxEntropy = 0
			}
			if m.Info() != want {
				t.Errorf("%+v: %+v, want %+v", tt.c, m.Info(), want)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), "es: "+tt.names) || m.Info().MaxEntropy != 0 || m.Info().Name == "" {
			t.Errorf("%+v: %v, want an error that names %s", tt.c, err, tt.names)
		}
		p := []byte{1, 2, 3}
		if credit, got := m.GetEntropy(t.Context(), p, 8); credit != 0 || got != err || !bytes.Equal(p, make([]byte, 3)) {
			t.Errorf("%s GetEntropy: %d, %v, %d", tt.names, credit, got, p)
		}
		if n, got := m.GetNoise(p); n != 0 || got != err {
			t.Errorf("%s GetNoise: %d, %v", tt.names, n, got)
		}
		if got := m.HealthTest(t.Context()); got != err {
			t.Errorf("%s HealthTest: %v", tt.names, got)
		}
		if n := m.Available(256); n != 0 {
			t.Errorf("%s Available: %d", tt.names, n)
		}
	}
	if noise.calls != 0 {
		t.Errorf("%d samples were taken at construction", noise.calls)
	}
}

// B14, B19, B21, E4: the data are digests of all samples after the start-up test, each
// once and in order, and as many as the claim asks for.
func TestMonitorData(t *testing.T) {
	for _, tt := range []struct {
		c      MonitorConfig
		h      hash.Hash
		size   int // bytes
		bits   int
		credit int
		takes  []int // samples of each block
	}{
		{MonitorConfig{}, sha512.New(), 32, 256, 256, []int{2560}},
		{MonitorConfig{}, sha512.New(), 32, 100, 100, []int{8 * 164}},
		{MonitorConfig{}, sha512.New(), 64, 600, 512, []int{8 * 576}},
		{MonitorConfig{}, sha512.New(), 130, 1 << 20, 512, []int{8 * 576, 512, 512}},
		{MonitorConfig{}, sha512.New(), 7, 0, 0, []int{512}},
		{MonitorConfig{}, sha512.New(), 7, math.MinInt, 0, []int{512}},
		{MonitorConfig{}, sha512.New(), 0, 256, 0, nil},
		{MonitorConfig{H: 1}, sha512.New(), 48, 384, 384, []int{448}},
		{MonitorConfig{H: 1. / 3}, sha512.New(), 32, 256, 256, []int{960}},
		{MonitorConfig{H: 8}, sha512.New(), 32, 256, 256, []int{64}},
		{MonitorConfig{H: 7}, sha512.New(), 32, 256, 256, []int{64}},
		{MonitorConfig{H: 0.99}, sha512.New(), 32, 256, 256, []int{352}},
		{MonitorConfig{Rate: 8}, sha512.New(), 32, 256, 8, []int{2560}},
		{MonitorConfig{Rate: -1}, sha512.New(), 32, 256, 0, []int{2560}},
		{MonitorConfig{H: 1, Conditioner: conditioner.SHA256}, sha256.New(), 48, 384, 384, []int{320, 192}},
		{MonitorConfig{H: 1, Conditioner: oddConditioner{sha512.New512_224(), 224}}, sha512.New512_224(), 32, 256, 256, []int{288, 96}},
	} {
		m, s := monitored(t, tt.c, streamByte)
		var pos int
		for round := range 2 {
			if round == 0 {
				pos = 1024 // of the start-up test
			}
			p := make([]byte, tt.size)
			credit, err := m.GetEntropy(t.Context(), p, tt.bits)
			if credit != tt.credit || err != nil {
				t.Errorf("%+v: credit %d, %v; want %d", tt.c, credit, err, tt.credit)
			}
			var want []byte
			for _, n := range tt.takes {
				tt.h.Reset()
				tt.h.Write(streamBytes(pos, n))
				want = tt.h.Sum(want)
				pos += n
			}
			if len(tt.takes) > 0 && !bytes.Equal(p, want[:tt.size]) || s.at() != pos {
				t.Errorf("%+v, call %d: not the digests; %d samples, want %d", tt.c, round, s.at(), pos)
			}
			s.wantWiped(m)
		}
	}
}

// Samples of one bit and of several bytes: what is beyond their width is ignored.
func TestMonitorSampleBits(t *testing.T) {
	for _, tt := range []struct {
		bits    int
		h       float64
		samples int
		sample  func(i int) []byte // what goes into the hash
	}{
		{1, 1, 320, func(i int) []byte { return []byte{streamByte(i) & 1} }},
		{4, 4, 96, func(i int) []byte { return []byte{streamByte(i) & 15} }},
		{10, 5, 64, func(i int) []byte { return []byte{streamByte(2 * i), streamByte(2*i+1) & 3} }},
		{17, 17, 32, func(i int) []byte { return []byte{streamByte(3 * i), streamByte(3*i + 1), streamByte(3*i+2) & 1} }},
		{64, 64, 32, func(i int) []byte { return streamBytes(8*i, 8) }},
	} {
		for _, piece := range []int{1, 3, 512} { // bytes that GetNoise brings
			m, s := monitored(t, MonitorConfig{H: tt.h, SampleBits: tt.bits}, streamByte)
			s.script = func(s *noisy, p []byte) (int, error) { return s.next(p[:min(len(p), piece)]) }
			p := make([]byte, 32)
			credit, err := m.GetEntropy(t.Context(), p, 256)
			if credit != 256 || err != nil {
				t.Errorf("%d bits: %d, %v", tt.bits, credit, err)
			}
			h := sha512.New()
			for i := range tt.samples {
				h.Write(tt.sample(1024 + i))
			}
			if size := (tt.bits + 7) / 8; !bytes.Equal(p, h.Sum(nil)[:32]) || s.at() != size*(1024+tt.samples) {
				t.Errorf("%d bits: not the digest of %d samples; %d bytes of noise", tt.bits, tt.samples, s.at())
			}
		}
	}
	// The window of the APT for bits is twice as long: three of four are zeros.
	for bits, window := range map[int]int{1: 1024, 2: 512, 8: 512, 9: 512} {
		size := (bits + 7) / 8
		m, _ := monitored(t, MonitorConfig{H: 1, SampleBits: bits}, func(i int) byte {
			if i%size == 0 && streamByte(4096+i/size)&3 == 0 {
				return 1
			}
			return 0
		})
		_, err := m.GetEntropy(t.Context(), make([]byte, 1), 1)
		c := exact(window-1, 1, 30)
		mustAlarm(t, err, HealthError{"noisy", "APT", c, c, false})
	}
}

// T9, B16, E1: the alarms for both cut-offs, of each test, in the middle of a
// collection: after how many samples of the fault they ring. The block is dropped, the
// next call starts with the start-up test, and a fault that lasts becomes permanent
// there. That is final.
func TestMonitorAlarms(t *testing.T) {
	const begin = 1024 + 512 // in the first block, with a new window of the APT
	line := streamBytes(0, 256)
	biased := func(i int) byte { // 9 of 10 are the same
		if i%10 == 9 {
			return line[0] ^ byte(1+i/10%255)
		}
		return line[0]
	}
	narrow := [2]int{exact(255, 1, 30), exact(255, 1, 60)}
	for _, tt := range []struct {
		name         string
		c            MonitorConfig
		fault        func(i int) byte
		intermittent HealthError
		after        int // samples of the fault
		permanent    HealthError
		final        int // samples of the fault in all
	}{
		{"stuck", MonitorConfig{H: 1}, func(int) byte { return 0xa5 },
			HealthError{"noisy", "RCT", 31, 31, false}, 31, HealthError{"noisy", "RCT", 61, 61, true}, 61},
		{"stuck", MonitorConfig{}, func(int) byte { return 0 },
			HealthError{"noisy", "RCT", 241, 241, false}, 241, HealthError{"noisy", "RCT", 481, 481, true}, 481},
		{"stuck", MonitorConfig{H: 1, Alpha: 20}, func(int) byte { return 0xff },
			HealthError{"noisy", "RCT", 21, 21, false}, 21, HealthError{"noisy", "RCT", 41, 41, true}, 41},
		{"stuck", MonitorConfig{H: 1, Alpha: 40}, func(int) byte { return 0 },
			HealthError{"noisy", "RCT", 41, 41, false}, 41, HealthError{"noisy", "RCT", 81, 81, true}, 81},
		// The cut-offs are those of jitterentropy: 36 tens and 1, 39 tens and 4.
		{"biased", MonitorConfig{H: 1}, biased,
			HealthError{"noisy", "APT", 325, 325, false}, 361, HealthError{"noisy", "APT", 355, 355, true}, 394},
		{"biased", MonitorConfig{H: 1, Window: 256}, biased,
			HealthError{"noisy", "APT", narrow[0], narrow[0], false}, narrow[0] + (narrow[0]-1)/9,
			HealthError{"noisy", "APT", narrow[1], narrow[1], true}, narrow[1] + (narrow[1]-1)/9},
		{"two in turn", MonitorConfig{H: 1}, func(i int) byte { return line[i%2] },
			HealthError{"noisy", "block RCT", 2, 2, false}, 64, HealthError{"noisy", "block RCT", 3, 3, true}, 96},
		{"a word", MonitorConfig{H: 0.25}, func(i int) byte { return line[i%8] },
			HealthError{"noisy", "block RCT", 5, 5, false}, 5 * 32, HealthError{"noisy", "block RCT", 9, 9, true}, 9 * 32},
		// From the next window of blocks on, every second block is the base.
		{"a line", MonitorConfig{H: 1}, func(i int) byte { return line[i%64] },
			HealthError{"noisy", "block APT", 3, 3, false}, 512 + 5*32, HealthError{"noisy", "block APT", 4, 4, true}, 512 + 7*32},
	} {
		m, s := monitored(t, tt.c, func(i int) byte {
			if i >= begin {
				return tt.fault(i - begin)
			}
			return streamByte(i)
		})
		s.script = func(s *noisy, p []byte) (int, error) { return s.next(p[:1]) }
		n, err := refuse(t, m, s)
		mustAlarm(t, err, tt.intermittent)
		if n != begin+tt.after {
			t.Errorf("%s, %+v: an alarm after %d samples, want %d", tt.name, tt.c, n-begin, tt.after)
		}
		if m.Available(256) != 256 {
			t.Errorf("%s: %d bits available after an intermittent failure", tt.name, m.Available(256))
		}
		for range 3 { // another test may have an intermittent one before
			if _, err = refuse(t, m, s); m.failed != nil {
				break
			}
		}
		mustAlarm(t, err, tt.permanent)
		if n := s.at() - begin; n != tt.final {
			t.Errorf("%s, %+v: permanent after %d samples, want %d", tt.name, tt.c, n, tt.final)
		}
		before := s.at()
		_, again := refuse(t, m, s)
		mustAlarm(t, again, tt.permanent)
		if err := m.HealthTest(t.Context()); err != again {
			t.Errorf("%s: a health test returns %v", tt.name, err)
		}
		if s.at() != before || m.Available(256) != 0 {
			t.Errorf("%s: %d samples after a permanent failure, %d bits available", tt.name, s.at()-before, m.Available(256))
		}
		if n, err := m.GetNoise(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("%s: GetNoise: %d, %v", tt.name, n, err)
		}
	}
}

// B14, B16: a source that recovers is in use again after 1024 samples beyond the window
// of the alarm. Nothing that came before is in its data. An alarm can also end a start-up
// test.
func TestMonitorRecovery(t *testing.T) {
	for _, begin := range []int{100, 1024 + 100} {
		m, s := monitored(t, MonitorConfig{H: 1}, func(i int) byte {
			if i >= begin && i < begin+31 {
				return 0
			}
			return streamByte(i)
		})
		s.script = func(s *noisy, p []byte) (int, error) { return s.next(p[:1]) }
		if n, err := refuse(t, m, s); n != begin+31 {
			t.Errorf("%v after %d samples", err, n)
		}
		p := make([]byte, 32)
		if credit, err := m.GetEntropy(t.Context(), p, 256); credit != 256 || err != nil {
			t.Fatalf("%d, %v", credit, err)
		}
		// The test asks for 64 samples at a time, the last of which may not be needed.
		start := (begin/512 + 1) * 512
		end := begin + 31 + (start+1024-begin-31+63)/64*64
		sum := sha512.Sum512(streamBytes(end, 320))
		if !bytes.Equal(p, sum[:32]) || s.at() != end+320 {
			t.Errorf("%d samples, want %d; or not their digest", s.at(), end+320)
		}
	}
}

// E1: faults of GetNoise, at the start and later. The call fails, nothing is credited,
// and the source recovers when the fault is over, unless it is final.
func TestMonitorFaults(t *testing.T) {
	errBroken := errors.New("broken")
	for _, tt := range []struct {
		name  string
		fault func(p []byte) (int, error)
		want  error  // wrapped
		text  string // part of the error
		calls int    // of GetNoise that failed, for a call of GetEntropy
		final bool
	}{
		{"error", func([]byte) (int, error) { return 0, errBroken }, errBroken, "es: noisy: GetNoise: broken", 1, false},
		{"error and samples", func(p []byte) (int, error) { return len(p) / 2, errBroken }, errBroken, "broken", 1, false},
		{"unavailable", func([]byte) (int, error) { return 0, ErrUnavailable }, ErrUnavailable, "", 1, false},
		{"health", func([]byte) (int, error) { return 0, &HealthError{Source: "noisy"} }, ErrUnavailable, "health failure", 1, false},
		{"nothing", func([]byte) (int, error) { return 0, nil }, io.ErrNoProgress, "", 100, false},
		{"panic", func([]byte) (int, error) { panic("ouch") }, ErrUnavailable, "panicked: ouch", 1, false},
		{"runtime error", func(p []byte) (int, error) { return int(p[len(p)]), nil }, ErrUnavailable, "index out of range", 1, false},
		{"Goexit", func([]byte) (int, error) { runtime.Goexit(); return 0, nil }, errGoexit, "", 1, false},
		{"longer", func(p []byte) (int, error) { return len(p) + 1, nil }, nil, "permanent", 1, true},
		{"negative", func(p []byte) (int, error) { return -1, nil }, nil, "count -1", 1, true},
	} {
		for _, begin := range []int{0, 512, 1024, 1024 + 640} {
			over := false
			failed := 0
			m, s := monitored(t, MonitorConfig{}, streamByte)
			s.script = func(s *noisy, p []byte) (int, error) {
				if s.at() >= begin && !over {
					failed++
					copy(p, streamBytes(0, len(p)))
					return tt.fault(p)
				}
				return s.next(p)
			}
			n, err := refuse(t, m, s)
			_, alarm := errors.AsType[*HealthError](err)
			if tt.want != nil && (!errors.Is(err, tt.want) || !errors.Is(err, ErrUnavailable)) || tt.want == nil && !alarm || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%s from %d: %v", tt.name, begin, err)
			}
			if failed != tt.calls || n != begin || m.Available(256) != 0 || callers() != 0 {
				t.Errorf("%s from %d: %d calls failed, %d samples, %d bits available, %d goroutines", tt.name, begin, failed, n, m.Available(256), callers())
			}
			if err := m.HealthTest(t.Context()); err == nil {
				t.Errorf("%s from %d: a health test passed", tt.name, begin)
			}
			over = true
			p := make([]byte, 32)
			credit, err := m.GetEntropy(t.Context(), p, 256)
			if (err != nil) != tt.final || credit != 256 && !tt.final || m.Available(256) != credit {
				t.Errorf("%s from %d: when it was over: %d, %v, %d bits available", tt.name, begin, credit, err, m.Available(256))
			}
		}
	}
}

// Rule 6, E1: GetNoise that is slow or hangs. The call returns with its context; there is
// no second call of GetNoise until the first has returned; what that brings is wiped.
func TestMonitorHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		m, s := monitored(t, MonitorConfig{}, streamByte)
		s.script = func(s *noisy, p []byte) (int, error) {
			if s.at() == 1024+640 {
				<-release
			}
			return s.next(p)
		}
		p := bytes.Repeat([]byte{0xa5}, 32)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		credit, err := m.GetEntropy(ctx, p, 256)
		if credit != 0 || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second || !bytes.Equal(p, make([]byte, 32)) {
			t.Errorf("%d, %v after %v", credit, err, time.Since(start))
		}
		calls := s.count()
		for i := range 360 { // an hour of reseeds
			time.Sleep(10 * time.Second)
			start, want := time.Now(), time.Duration(0)
			if i == 0 {
				want = monitorPatience
			}
			if _, err := refuse(t, m, &noisy{t: t}); !errors.Is(err, ErrUnavailable) || !errors.Is(err, errHangs) || time.Since(start) != want {
				t.Fatalf("call %d: %v after %v", i, err, time.Since(start))
			}
		}
		if n, err := m.GetNoise(p); n != 0 || !errors.Is(err, ErrUnavailable) {
			t.Errorf("GetNoise: %d, %v", n, err)
		}
		if s.count() != calls || callers() != 1 || m.Available(256) != 0 {
			t.Errorf("%d calls more, %d goroutines, %d bits available", s.count()-calls, callers(), m.Available(256))
		}
		close(release)
		synctest.Wait()
		if callers() != 0 {
			t.Error("a goroutine is left")
		}
		s.wantWiped(m)
		if credit, err := m.GetEntropy(t.Context(), p, 256); credit != 256 || err != nil {
			t.Errorf("after it returned: %d, %v", credit, err)
		}
		s.wantWiped(m)

		// A minute for each call, and a context that is done in the start-up test.
		m, s = monitored(t, MonitorConfig{}, streamByte)
		s.script = func(s *noisy, p []byte) (int, error) {
			time.Sleep(time.Minute)
			return s.next(p)
		}
		ctx, cancel = context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		if err := m.HealthTest(ctx); !errors.Is(err, context.DeadlineExceeded) || m.watch.ready() {
			t.Errorf("HealthTest: %v", err)
		}
		time.Sleep(time.Minute)
		if credit, err := m.GetEntropy(t.Context(), p, 256); credit != 256 || err != nil {
			t.Errorf("a slow source: %d, %v", credit, err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		cancel()
		n := s.at()
		if credit, err := m.GetEntropy(ctx, p, 256); credit != 0 || !errors.Is(err, context.Canceled) || s.at() != n {
			t.Errorf("ctx done before: %d, %v", credit, err)
		}
	})
}

// Rules 7 and 8: noise that is handed out is not in a digest, and is what the source
// gave. A health test takes samples of its own.
func TestMonitorGetNoise(t *testing.T) {
	m, s := monitored(t, MonitorConfig{H: 8}, streamByte)
	noise := make([]byte, 100)
	if n, err := m.GetNoise(noise); n != 100 || err != nil || !bytes.Equal(noise, streamBytes(0, 100)) {
		t.Errorf("%d, %v", n, err)
	}
	if err := m.HealthTest(t.Context()); err != nil || s.at() != 1124 {
		t.Errorf("%v after %d samples", err, s.at())
	}
	p := make([]byte, 32)
	for _, want := range []int{1124, 1288} {
		if credit, err := m.GetEntropy(t.Context(), p, 256); credit != 256 || err != nil {
			t.Errorf("%d, %v", credit, err)
		}
		if sum := sha512.Sum512(streamBytes(want, 64)); !bytes.Equal(p, sum[:32]) {
			t.Errorf("not the digest of the 64 samples from %d on", want)
		}
		m.GetNoise(noise)
	}
	s.script = func(*noisy, []byte) (int, error) { return 3, io.ErrUnexpectedEOF }
	if n, err := m.GetNoise(noise); n != 3 || err != io.ErrUnexpectedEOF {
		t.Errorf("%d, %v; want what the source returned", n, err)
	}
	s.script = func(*noisy, []byte) (int, error) { panic("ouch") }
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		m.GetNoise(noise)
	}()
	s.script = nil
	if credit, err := m.GetEntropy(t.Context(), p, 256); credit != 256 || err != nil {
		t.Errorf("after a panic in GetNoise: %d, %v", credit, err)
	}
}

// A Monitor of a Reader, or of a Device, for who assessed what they deliver: the tests are
// for the claim of the Monitor, on top of those of the feed, and the noise to record is that
// of the feed.
func TestMonitorOfReader(t *testing.T) {
	var zeros atomic.Bool
	in := &tap{script: func(in *tap, p []byte) (int, error) {
		if zeros.Load() {
			clear(p)
			return len(p), nil
		}
		return in.next(p)
	}}
	r := tapReader(t, in, 256)
	m := Monitor(r, MonitorConfig{H: 2})
	if err := m.Validate(); err != nil || m.Info() != (Info{Name: "reader", MaxEntropy: 512, Slow: true, Health: true}) {
		t.Fatalf("%v, %+v", err, m.Info())
	}
	noise := make([]byte, 5000)
	if n, err := m.GetNoise(noise); n != len(noise) || err != nil || !bytes.Equal(noise, streamBytes(0, len(noise))) {
		t.Fatalf("%d, %v, or other bytes", n, err)
	}
	p := make([]byte, 32)
	if credit, err := m.GetEntropy(t.Context(), p, 256); credit != 256 || err != nil {
		t.Fatal(credit, err)
	}
	// None of what was recorded is in the seed: 1024 bytes are tested, 160 are hashed.
	for i := in.at(); ; i-- {
		if sum := sha512.Sum512(streamBytes(i, 160)); bytes.Equal(p, sum[:32]) {
			break
		}
		if i < len(noise)+1024 {
			t.Fatalf("not the digest of 160 of the bytes after the first %d", len(noise)+1024)
		}
	}
	zeros.Store(true)
	if credit, err := m.GetEntropy(t.Context(), make([]byte, 1024), 512); credit != 0 || err == nil {
		t.Errorf("zeros: %d, %v", credit, err)
	}
}

// Rule 1, for the race detector.
func TestMonitorConcurrent(t *testing.T) {
	m, _ := monitored(t, MonitorConfig{H: 4}, streamByte)
	var mu sync.Mutex
	var seen []string
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 10 {
				p := make([]byte, 32)
				if credit, err := m.GetEntropy(t.Context(), p, 256); credit != 256 || err != nil {
					t.Error(credit, err)
				}
				mu.Lock()
				seen = append(seen, string(p))
				mu.Unlock()
				m.Info()
				m.Available(256)
				m.GetNoise(p)
				if i == 5 {
					if err := m.HealthTest(t.Context()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(seen)
	if n := len(slices.Compact(seen)); n != 80 {
		t.Errorf("%d of 80 deliveries are different", n)
	}
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		if got := fmt.Sprintf(verb, m); got != "es.Monitored" {
			t.Errorf("%s prints %s", verb, got)
		}
	}
}

// FuzzMonitor has any configuration and any noise.
func FuzzMonitor(f *testing.F) {
	f.Add(0, 0.0, 0, 0, 0, []byte("noise"), uint16(32), 256)
	f.Fuzz(func(t *testing.T, rate int, h float64, bits, window, alpha int, noise []byte, size uint16, ask int) {
		s := &noisy{t: t}
		s.script = func(s *noisy, p []byte) (int, error) {
			for i := range p {
				p[i] = streamByte(s.pos)
				if len(noise) > 0 {
					p[i] = noise[s.pos%len(noise)]
				}
				if s.pos++; s.pos > 1<<16 {
					return i, io.EOF
				}
			}
			return len(p), nil
		}
		m := Monitor(s, MonitorConfig{Rate: rate, H: h, SampleBits: bits, Window: window, Alpha: alpha})
		for range 3 {
			p := bytes.Repeat([]byte{0xa5}, int(size)%600)
			credit, err := m.GetEntropy(t.Context(), p, ask)
			if credit < 0 || credit > max(0, ask) || credit > 8*len(p) || credit > m.Info().MaxEntropy || err != nil && credit != 0 {
				t.Errorf("credit %d of %d for %d bytes, %v", credit, ask, len(p), err)
			}
			if err == nil {
				continue
			}
			if !bytes.Equal(p, make([]byte, len(p))) {
				t.Errorf("data left with %v", err)
			}
			if _, alarm := errors.AsType[*HealthError](err); !alarm && !errors.Is(err, io.EOF) && err != m.Validate() {
				t.Errorf("undocumented error %v", err)
			}
		}
	})
}

func BenchmarkMonitor(b *testing.B) {
	m := Monitor(NewJitter(JitterConfig{}), MonitorConfig{H: 1.0 / 3})
	p := make([]byte, 32)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.GetEntropy(b.Context(), p, 256); err != nil {
			b.Fatal(err)
		}
	}
}
