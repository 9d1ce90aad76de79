package es

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/internal/clock"
)

// readyEvents returns a source with credit, whose last event is the last of line.
func readyEvents(t testing.TB, c EventsConfig) (*Events, *timeline) {
	t.Helper()
	e, line := NewEvents(c), newTimeline()
	for int(e.pool.available.Load()) < min(256, e.pool.most()) {
		feedEvents(e, line.events(64), 0)
		e.Stats()
	}
	return e, line
}

func TestEventsConfig(t *testing.T) {
	for _, tt := range []struct {
		c     EventsConfig
		names string // what the error names
	}{
		{EventsConfig{}, ""},
		{EventsConfig{Rate: 256, OSR: 64, Array: 64, Conditioner: conditioner.SHA3_256}, ""},
		{EventsConfig{Rate: -5, OSR: 1, Array: 8192, NoContinuousCompression: true}, ""},
		{EventsConfig{Rate: 257}, "EventsConfig.Rate:"},
		{EventsConfig{OSR: 65}, "EventsConfig.OSR:"}, {EventsConfig{OSR: -1}, "EventsConfig.OSR:"},
		{EventsConfig{Array: 32}, "EventsConfig.Array:"}, {EventsConfig{Array: 16384}, "EventsConfig.Array:"},
		{EventsConfig{Array: 100}, "EventsConfig.Array:"}, {EventsConfig{Array: -64}, "EventsConfig.Array:"},
		{EventsConfig{Conditioner: oddConditioner{sha512.New512_224(), 224}}, "EventsConfig.Conditioner:"},
		{EventsConfig{Conditioner: oddConditioner{sha512.New(), 256}}, "EventsConfig.Conditioner:"},
		{EventsConfig{Conditioner: oddConditioner{nil, 256}}, "EventsConfig.Conditioner:"},
	} {
		e := NewEvents(tt.c)
		err := e.Validate()
		if tt.names == "" {
			if err != nil {
				t.Errorf("%+v: %v", tt.c, err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), "es: "+tt.names) {
			t.Errorf("%+v: %v, want an error that names %s", tt.c, err, tt.names)
		}
		for i := range uint32(1000) {
			e.Add(i)
		}
		p := []byte{1, 2, 3}
		if credit, got := e.GetEntropy(t.Context(), p, 8); credit != 0 || got != err || !bytes.Equal(p, make([]byte, 3)) {
			t.Errorf("%s GetEntropy: %d, %v, %d", tt.names, credit, got, p)
		}
		if n, got := e.GetNoise(p); n != 0 || got != err {
			t.Errorf("%s GetNoise: %d, %v", tt.names, n, got)
		}
		if got := e.HealthTest(t.Context()); got != err {
			t.Errorf("%s HealthTest: %v", tt.names, got)
		}
		if n := e.Available(256); n != 0 || e.Cost(make([]uint64, 9)) != 0 || e.Stats() != (EventsStats{}) {
			t.Errorf("%s Available %d, %+v", tt.names, n, e.Stats())
		}
		e.Clear()
	}
}

// B5, C8: both sources of times have one boundary, and say that they have health tests.
func TestEventsInfo(t *testing.T) {
	for _, tt := range []struct {
		rate int
		c    conditioner.Conditioner
		want int
	}{
		{0, nil, 384}, {256, conditioner.SHA3_512, 384}, {128, nil, 192}, {-1, nil, 0},
		{0, conditioner.SHA384, 320}, {0, conditioner.SHA256, 192}, {64, conditioner.SHA256, 48},
	} {
		e, s := NewEvents(EventsConfig{Rate: tt.rate, Conditioner: tt.c}), NewScheduler(SchedulerConfig{Rate: tt.rate, Conditioner: tt.c})
		if got, want := e.Info(), (Info{Name: "events", MaxEntropy: tt.want, Boundary: "times of events", Health: true}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		if got, want := s.Info(), (Info{Name: "scheduler", MaxEntropy: tt.want, Boundary: "times of events", Health: true}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		if e.Available(384) != 0 {
			t.Error("new, and available")
		}
		e, _ = readyEvents(t, EventsConfig{OSR: 1, Rate: max(tt.rate, 0)})
		for _, bits := range []int{0, -1, math.MinInt, 7, 256, math.MaxInt} {
			if got := e.Available(bits); got < 0 || got > max(bits, 0) || got > e.Info().MaxEntropy {
				t.Errorf("Available(%d) = %d", bits, got)
			}
		}
	}
}

// A spy is a conditioner whose states note the events that they are given: all pieces
// of the length of several, which labels, digests and zeros do not have.
type spy struct {
	mu     sync.Mutex
	events []byte
	panics atomic.Bool
}

func (s *spy) Name() string   { return "spy" }
func (s *spy) New() hash.Hash { return &spyHash{sha512.New(), s} }
func (s *spy) Width() int     { return 512 }

type spyHash struct {
	hash.Hash
	spy *spy
}

func (h *spyHash) Write(p []byte) (int, error) {
	if h.spy.panics.Load() {
		panic("the hash panics")
	}
	if len(p)%sampleSize == 0 {
		h.spy.mu.Lock()
		h.spy.events = append(h.spy.events, p...)
		h.spy.mu.Unlock()
	}
	return h.Hash.Write(p)
}

// data returns the data of all events that were hashed.
func (s *spy) data() (d []uint32) {
	for p := s.events; len(p) > 0; p = p[sampleSize:] {
		d = append(d, binary.LittleEndian.Uint32(p[1:]))
	}
	return d
}

// E4: nothing is lost without being counted, and nothing counts twice: many goroutines
// add while others read. The race detector watches.
func TestEventsLedger(t *testing.T) {
	const goroutines, each = 8, 6000
	for _, lazy := range []bool{false, true} {
		h := new(spy)
		e := NewEvents(EventsConfig{OSR: 1, Conditioner: h, NoContinuousCompression: lazy})
		var adders, readers sync.WaitGroup
		end := make(chan struct{})
		var credited atomic.Int64
		for range 2 {
			readers.Go(func() {
				p := make([]byte, 48)
				for n := 0; ; n++ {
					credit, err := e.GetEntropy(t.Context(), p, 384)
					if err != nil && !errors.Is(err, ErrUnavailable) {
						t.Error(err)
					}
					credited.Add(int64(credit))
					e.Available(256)
					e.Cost(make([]uint64, 3))
					if e.Stats().Events > goroutines*each {
						t.Error("more events than there were")
					}
					select {
					case <-end:
						return
					default:
						runtime.Gosched()
					}
				}
			})
		}
		var clock atomic.Uint64
		for g := range goroutines {
			adders.Go(func() {
				for i := range each {
					z, _ := sound(g*each + i)
					e.add(event{clock.Add(26 * (1000 + z>>50)), uint32(g*each + i)}, uint32(z>>40)&1)
					if i%50 == 0 {
						runtime.Gosched()
					}
				}
			})
		}
		adders.Wait()
		close(end)
		readers.Wait()
		// Who held which lock for how long was up to the system. What comes now is
		// looked at in any case.
		const rest = 3000
		for i := range rest {
			z, _ := sound(goroutines*each + i)
			e.add(event{clock.Add(26 * (1000 + z>>50)), uint32(goroutines*each + i)}, 0)
			if i%50 == 0 {
				e.Stats()
			}
		}
		p := make([]byte, 48)
		if credit, err := e.GetEntropy(t.Context(), p, 384); err == nil {
			credited.Add(int64(credit))
		} else {
			t.Error(err)
		}
		st := e.Stats()
		if st.Events+st.Lost != goroutines*each+rest {
			t.Errorf("%+v: %d of %d events", st, st.Events+st.Lost, goroutines*each+rest)
		}
		data := h.data()
		if uint64(len(data)) != st.Events {
			t.Errorf("%d events were hashed, %d looked at", len(data), st.Events)
		}
		slices.Sort(data)
		if n := len(slices.Compact(data)); uint64(n) != st.Events {
			t.Errorf("%d different events were hashed, %d looked at", n, st.Events)
		}
		if got := credited.Load(); uint64(got) != st.Credited || uint64(got) > st.Events-st.Stuck-1024 {
			t.Errorf("%+v: credited %d", st, got)
		}
		if st.Alarms != 0 || credited.Load() == 0 {
			t.Errorf("%+v: credited %d", st, credited.Load())
		}
	}
}

// Add waits for nobody: neither for the pool nor for another Add. What has no place is
// counted.
func TestEventsAddDoesNotWait(t *testing.T) {
	e, line := readyEvents(t, EventsConfig{OSR: 1})
	before := e.Stats()
	e.gate.lock()
	feedEvents(e, line.events(1000), 0)
	e.gate.unlock()
	if st := e.Stats(); st.Lost != before.Lost+1000-256 || st.Events != before.Events+256 {
		t.Errorf("pool in use: %+v, before %+v", st, before)
	}

	// While somebody waits for the pool, an Add does not take it either.
	before = e.Stats()
	e.gate.wanted.Store(true)
	feedEvents(e, line.events(200), 0)
	if e.pool.events != before.Events {
		t.Error("an Add went before who waits")
	}
	e.gate.wanted.Store(false)
	if st := e.Stats(); st.Events != before.Events+200 {
		t.Errorf("then: %+v, before %+v", st, before)
	}

	// A goroutine is stopped in the middle of an Add. Its array takes events all the same,
	// until it has no place for more, and then all others do. Nobody waits who takes
	// entropy out. At last it goes on, and all is as it should be.
	before = e.Stats()
	log := &e.stripes[1].log
	feedEvents(e, line.events(3), 1)
	v := log.place.Add(2) - 2 // the beginning of append
	stopped := line.events(1)[0]
	feedEvents(e, line.events(5), 1)
	for range 3 {
		if credit, err := e.GetEntropy(t.Context(), make([]byte, 32), 64); credit != 64 || err != nil {
			t.Error(credit, err)
		}
		if st := e.Stats(); st.Events != before.Events || st.Lost != before.Lost {
			t.Errorf("events of a half that is not complete were taken: %+v, before %+v", st, before)
		}
		feedEvents(e, line.events(200), 0)
		before.Events += 200
		feedEvents(e, line.events(100), 1)
	}
	if st := e.Stats(); st.Events != before.Events || st.Lost != before.Lost {
		t.Errorf("half an array: %+v, before %+v", st, before)
	}
	log.halves[v&1].events[v>>1] = stopped // and its end
	log.halves[v&1].written.Add(1)
	if st := e.Stats(); st.Events != before.Events+9+256 || st.Lost != before.Lost+300-256 {
		t.Errorf("at last: %+v, before %+v", st, before)
	}
	feedEvents(e, line.events(10), 1)
	if st := e.Stats(); st.Events != before.Events+9+256+10 {
		t.Errorf("and then: %+v, before %+v", st, before)
	}

	// It does not wait for a Notify, when it announces: this would not return.
	e, line = readyEvents(t, EventsConfig{OSR: 1})
	if _, err := e.GetEntropy(t.Context(), make([]byte, 64), 384); err != nil {
		t.Fatal(err)
	}
	told := false
	e.Notify(func() { told = true })
	e.notifyMu.Lock()
	defer e.notifyMu.Unlock()
	for range 20 {
		feedEvents(e, line.events(64), 0)
	}
	if !told {
		t.Error("nobody was told, so nothing was tested")
	}
}

// Without continuous compression half an array of the oldest events makes place for new
// ones when the array is full. The others are hashed in order.
func TestEventsMakePlace(t *testing.T) {
	for _, size := range []int{64, 256} {
		for _, n := range []int{1, size - 1, size, size + 1, 2*size - 1, 2 * size, 2*size + 1, 3*size - 1, 3 * size, 5*size + 7} {
			h := new(spy)
			e := NewEvents(EventsConfig{Array: size, NoContinuousCompression: true, Conditioner: h})
			line := newTimeline()
			was := 0
			for range 2 {
				feedEvents(e, line.events(n), 3)
				if len(h.events) != was*sampleSize {
					t.Fatal("hashed without being asked")
				}
				st := e.Stats()
				kept := n
				if n >= 2*size {
					kept = size + n%size
				}
				if st.Events != uint64(was+kept) || st.Lost != uint64(line.i-was-kept) {
					t.Errorf("size %d, %d events: %+v", size, n, st)
				}
				for i, d := range h.data()[was:] {
					if d != uint32(line.i-kept+i) {
						t.Fatalf("size %d, %d events: number %d is %d, want %d", size, n, i, d, line.i-kept+i)
					}
				}
				was += kept
			}
			wantNoEvents(t, e)
		}
	}

	// One that is not complete cannot be wiped: then there is no place.
	e, line := NewEvents(EventsConfig{Array: 64, NoContinuousCompression: true}), newTimeline()
	log := &e.stripes[0].log
	log.place.Add(2)
	feedEvents(e, line.events(63+64+10), 0)
	if st := e.Stats(); st.Events != 0 || st.Lost != 0 {
		t.Errorf("not complete: %+v", st)
	}
	log.halves[0].written.Add(1)
	if st := e.Stats(); st.Events != 128 || st.Lost != 10 {
		t.Errorf("complete: %+v", st)
	}
}

// wantNoEvents checks that nothing is left in the arrays.
func wantNoEvents(t *testing.T, e *Events) {
	t.Helper()
	for i := range e.stripes {
		for j := range e.stripes[i].log.halves {
			for _, ev := range e.stripes[i].log.halves[j].events {
				if ev != (event{}) {
					t.Fatal("an event is left")
				}
			}
		}
	}
}

// An array is compressed from 64 events on, and not again before the pause is over.
func TestEventsCompression(t *testing.T) {
	e := NewEvents(EventsConfig{})
	at := uint64(1 << 40)
	add := func(n int, step uint64) {
		for range n {
			at += step
			e.add(event{stamp: at}, 0)
		}
	}
	looked := func(want uint64) {
		t.Helper()
		if e.pool.events != want {
			t.Errorf("%d events were looked at, want %d", e.pool.events, want)
		}
	}
	add(63, 100)
	looked(0)
	add(1, 100)
	looked(64)
	begun := at
	add(200, 100)
	looked(64)
	at = begun + eventsPause - 2
	add(1, 1)
	looked(64)
	add(1, 1)
	looked(64 + 202)
	// A clock that steps back does not end it.
	at -= 1 << 45
	add(64, 100)
	looked(64 + 202 + 64)
}

// T9, B16: the alarms as the user of the source sees them. An intermittent one costs all
// credit and is told until the start-up test has passed again; a permanent one is final.
// (The alarms of each test are driven to their limits in TestEventsRCTAlarms and
// TestEventsAPTAlarms.)
func TestEventsAlarms(t *testing.T) {
	e, line := readyEvents(t, EventsConfig{OSR: 1})
	p := make([]byte, 32)
	stop := func(n int) {
		line.play = func(int) uint64 { return 0 }
		feedEvents(e, line.events(n), 0)
	}
	refused := func(want HealthError) {
		t.Helper()
		for range 2 {
			mustAlarm(t, mustLack(t, e, nil), want)
			if n := e.Available(256); n != 0 {
				t.Errorf("%d bits available", n)
			}
		}
	}
	for range 2 {
		stop(40)
		refused(HealthError{"events", "RCT", 31, 31, false})
		line.play = lively
		for e.Available(256) < 256 {
			feedEvents(e, line.events(64), 0)
			e.Stats()
		}
		if credit, err := e.GetEntropy(t.Context(), p, 256); credit != 256 || err != nil {
			t.Fatalf("recovered: %d, %v", credit, err)
		}
	}
	stop(70)
	final := HealthError{"events", "RCT", 61, 61, true}
	refused(final)
	line.play = lively
	feedEvents(e, line.events(5000), 0)
	refused(final)
	mustAlarm(t, e.HealthTest(t.Context()), final)
	e.GetNoise(p)
	feedEvents(e, line.events(100), 0)
	if n, err := e.GetNoise(p); n != len(p) || err != nil {
		t.Errorf("GetNoise: %d, %v", n, err)
	}
}

// Each multiple of 128 bits is announced, without a lock, by the Add that brought it.
func TestEventsNotify(t *testing.T) {
	e, line := NewEvents(EventsConfig{OSR: 1}), newTimeline()
	var got []int
	e.Notify(nil)
	for range 2 {
		e.Notify(func() {
			e.Stats()
			got = append(got, e.Available(1000))
			e.Info()
		})
	}
	last := 0
	for len(got) < 6 && line.i < 10000 {
		n := len(got)
		feedEvents(e, line.events(1), 0)
		now := e.Available(1000)
		if crossed := now/128 > last/128; crossed != (len(got) == n+2) {
			t.Fatalf("%d bits after %d: %d calls", now, last, len(got)-n)
		}
		last = now
	}
	if len(got) != 6 || got[0] < 128 || got[2] < 256 || got[4] != 384 {
		t.Errorf("called with %d available", got)
	}
	// What GetEntropy took comes again.
	if credit, err := e.GetEntropy(t.Context(), make([]byte, 32), 256); credit != 256 || err != nil {
		t.Fatal(credit, err)
	}
	feedEvents(e, line.events(1000), 0)
	if len(got) <= 6 {
		t.Error("not called again")
	}

	// Nobody is told of what is not credited, or not known before it is asked for.
	for _, c := range []EventsConfig{{OSR: 1, Rate: -1}, {OSR: 1, NoContinuousCompression: true}} {
		e, line := NewEvents(c), newTimeline()
		e.Notify(func() { t.Errorf("%+v: called", c) })
		for range 100 {
			feedEvents(e, line.events(64), 0)
			e.Stats()
		}
	}
}

// B2: the noise is the sequence of differences that the health tests see; none of it is
// in the pool.
func TestEventsNoise(t *testing.T) {
	h := new(spy)
	e, line := readyEvents(t, EventsConfig{OSR: 1, Conditioner: h})
	line.events(1) // so that the interval to the first one below is longer
	hashed := len(h.data())
	before := e.Stats()
	p := make([]byte, 100)
	if n, err := e.GetNoise(p); n != 0 || err != nil {
		t.Fatalf("%d, %v before anything was recorded", n, err)
	}
	first := line.i
	feedEvents(e, line.events(30), 0)
	if n, err := e.GetNoise(p); n != 30 || err != nil {
		t.Fatalf("%d, %v after 30 events", n, err)
	}
	feedEvents(e, line.events(200), 0)
	if n, err := e.GetNoise(p[30:]); n != 70 || err != nil {
		t.Fatalf("%d, %v after 200 events more", n, err)
	}
	for i, x := range p[1:] {
		if want := byte(lively(first+i) / 26); x != want {
			t.Fatalf("sample %d is %d, want %d", i+1, x, want)
		}
	}
	if n, err := e.GetNoise(nil); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	st := e.Stats()
	data := h.data()[hashed:]
	if len(data) != 130 || data[0] != uint32(first+100) || st.Events != before.Events+230 || st.Credited != 0 {
		t.Errorf("%d events were hashed, the first is %d; %+v, before %+v", len(data), data[0], st, before)
	}

	// Less is asked for than was recorded: the rest comes with the next call.
	e.GetNoise(p)
	feedEvents(e, line.events(50), 0)
	if n, _ := e.GetNoise(p[:20]); n != 20 {
		t.Errorf("%d of 20", n)
	}
	feedEvents(e, line.events(50), 0)
	if n, _ := e.GetNoise(p); n != 30 {
		t.Errorf("%d of the 30 that were left", n)
	}
	if n, _ := e.GetNoise(nil); n != 0 {
		t.Error(n)
	}
	feedEvents(e, line.events(50), 0)
	if n, _ := e.GetNoise(p); n != 0 {
		t.Errorf("%d after the end of the recording", n)
	}
}

func TestEventsCost(t *testing.T) {
	e := NewEvents(EventsConfig{})
	p := make([]uint64, 100)
	if n := e.Cost(p); n != 0 {
		t.Errorf("%d before an Add", n)
	}
	start := clock.Now()
	for i := range uint32(60) {
		e.Add(i)
	}
	took := clock.Now() - start
	n := e.Cost(p)
	if n != 60 {
		t.Errorf("%d costs of 60 calls", n)
	}
	sum := uint64(0)
	for _, c := range p[:n] {
		sum += c
	}
	if sum == 0 || sum > took {
		t.Errorf("%d ticks of %d", sum, took)
	}
	for i := range uint32(5000) {
		e.Add(i)
	}
	if n := e.Cost(p); n != 40 {
		t.Errorf("%d costs, want the 40 that were missing", n)
	}
	for i := range uint32(10) {
		e.Add(i)
	}
	if n := e.Cost(nil); n != 0 {
		t.Errorf("%d costs, want none", n)
	}
	e.Add(1)
	if n := e.Cost(p); n != 0 {
		t.Errorf("%d costs after the end", n)
	}
}

// B1, B15: the test on demand is on events to come, which are not credited.
func TestEventsHealthTest(t *testing.T) {
	for _, tt := range []struct {
		name  string
		play  func(i int) uint64
		want  string
		extra int // events until the test is over
	}{
		{"sound", lively, "", 1024},
		{"stopped", func(int) uint64 { return 0 }, "RCT", 241},
	} {
		synctest.Test(t, func(t *testing.T) {
			e, line := readyEvents(t, EventsConfig{})
			// A window begins.
			feedEvents(e, line.events(512-(line.i-100)%512), 0)
			e.Stats()
			before := e.Available(384)
			line.play = tt.play
			done := make(chan error, 1)
			go func() { done <- e.HealthTest(t.Context()) }()
			synctest.Wait()
			feedEvents(e, line.events(tt.extra-1), 0)
			time.Sleep(time.Second)
			if len(done) != 0 {
				t.Fatalf("%s: over too early: %v", tt.name, <-done)
			}
			if got := e.Available(384); got != before {
				t.Errorf("%s: available %d, before %d", tt.name, got, before)
			}
			feedEvents(e, line.events(1), 0)
			err := <-done
			if tt.want == "" {
				if err != nil {
					t.Errorf("%s: %v", tt.name, err)
				}
				return
			}
			if h, ok := errors.AsType[*HealthError](err); !ok || h.Test != tt.want {
				t.Errorf("%s: %v", tt.name, err)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		e := NewEvents(EventsConfig{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := e.HealthTest(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		go func() {
			time.Sleep(time.Second)
			e.Clear()
		}()
		if err := e.HealthTest(t.Context()); !errors.Is(err, ErrUnavailable) {
			t.Error(err)
		}
	})
}

// Two sources, or a bubble and the world outside, do not wait for each other by
// channels: an Add in a bubble may complete a test outside, and the other way round.
func TestEventsAcrossBubbles(t *testing.T) {
	e, line := readyEvents(t, EventsConfig{OSR: 1})
	synctest.Test(t, func(t *testing.T) {
		feedEvents(e, line.events(500), 0)
		if credit, err := e.GetEntropy(t.Context(), make([]byte, 32), 256); credit != 256 || err != nil {
			t.Error(credit, err)
		}
	})
	feedEvents(e, line.events(500), 0)
	if credit, err := e.GetEntropy(t.Context(), make([]byte, 32), 256); credit != 256 || err != nil {
		t.Error(credit, err)
	}
}

// An expiring context is done after n looks at it.
type expiring struct {
	context.Context
	n int
}

func (c *expiring) Err() error {
	if c.n--; c.n < 0 {
		return context.Canceled
	}
	return nil
}

// Rule 6, and no credit is lost with what was not delivered.
func TestEventsContext(t *testing.T) {
	e, _ := readyEvents(t, EventsConfig{OSR: 1})
	have := e.Available(384)
	for looks := range 6 {
		p := bytes.Repeat([]byte{0xa5}, 4*64)
		credit, err := e.GetEntropy(&expiring{t.Context(), looks}, p, 256)
		if looks == 5 {
			if err != nil || credit != min(256, have) {
				t.Errorf("credit %d, %v", credit, err)
			}
			continue
		}
		if credit != 0 || !errors.Is(err, context.Canceled) || !bytes.Equal(p, make([]byte, len(p))) {
			t.Errorf("%d looks: credit %d, %v, %x", looks, credit, err, p)
		}
		if got := e.Available(384); got != have {
			t.Errorf("%d looks: %d bits are left of %d", looks, got, have)
		}
	}
}

// A hash function that panics costs the call and all credit, and leaves no lock behind.
func TestEventsHashPanics(t *testing.T) {
	h := new(spy)
	e, line := readyEvents(t, EventsConfig{OSR: 1, Conditioner: h})
	panics := func(f func()) (did bool) {
		defer func() { did = recover() != nil }()
		f()
		return false
	}
	for _, call := range []func(){
		func() { feedEvents(e, line.events(1000), 0) },
		func() { e.GetEntropy(t.Context(), make([]byte, 1), 8) },
	} {
		h.panics.Store(true)
		if !panics(call) {
			t.Error("no panic")
		}
		h.panics.Store(false)
		if e.Available(384) != 0 || e.pool.credit != 0 {
			t.Errorf("credit %d is left", e.pool.credit)
		}
		lost := e.Stats().Lost
		feedEvents(e, line.events(1000), 0)
		if credit, err := e.GetEntropy(t.Context(), make([]byte, 32), 256); credit != 256 || err != nil {
			t.Error(credit, err)
		}
		feedEvents(e, line.events(500), 0)
		if got := e.Stats().Lost; got != lost {
			t.Errorf("%d events were lost", got-lost)
		}
	}
}

// Rule 7, P2: what is left in the source after a read does not hold what was delivered,
// the digest it comes from, nor the events.
func TestEventsForgets(t *testing.T) {
	e, line := readyEvents(t, EventsConfig{OSR: 1})
	feedEvents(e, line.events(10), 0)
	var d []byte
	e.with(func(p *eventPool) { d = p.state.Sum(nil) })
	out := make([]byte, 64)
	if _, err := e.GetEntropy(t.Context(), out, 256); err != nil {
		t.Fatal(err)
	}
	state, err := e.pool.state.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	left := slices.Concat(state, e.pool.digests[0][:], e.pool.digests[1][:], e.pool.digests[2][:], e.pool.encoded[:])
	next := sha512.Sum512(append([]byte("S"), d...))
	if !bytes.Contains(left, next[:]) {
		t.Error("the next state is not found: the test shows nothing")
	}
	want := sha512.Sum512(append([]byte("O"), d...))
	if !bytes.Equal(out, want[:]) {
		t.Error("not the digest of the test")
	}
	for name, secret := range map[string][]byte{"output": out, "digest": d} {
		for i := 0; i+8 <= len(secret); i += 8 {
			if bytes.Contains(left, secret[i:i+8]) {
				t.Errorf("part of the %s is left", name)
			}
		}
	}
	if e.pool.digests != [3][64]byte{} || e.pool.encoded != [320]byte{} {
		t.Error("buffers are not wiped")
	}
	wantNoEvents(t, e)
}

func TestEventsClear(t *testing.T) {
	e, line := readyEvents(t, EventsConfig{OSR: 1})
	e.GetNoise(make([]byte, 10))
	feedEvents(e, line.events(5), 0)
	for range 2 {
		e.Clear()
		p := []byte{1, 2}
		if credit, err := e.GetEntropy(t.Context(), p, 8); credit != 0 || !errors.Is(err, ErrUnavailable) || p[0]|p[1] != 0 {
			t.Errorf("GetEntropy: %d, %v, %d", credit, err, p)
		}
		if n, err := e.GetNoise(p); n != 0 || !errors.Is(err, ErrUnavailable) {
			t.Errorf("GetNoise: %d, %v", n, err)
		}
		if err := e.HealthTest(t.Context()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("HealthTest: %v", err)
		}
		if e.Available(256) != 0 {
			t.Error("available")
		}
		feedEvents(e, line.events(2000), 0)
	}
	if e.pool.credit != 0 || e.pool.record != nil || e.pool.eventPoolMemory != nil || e.pool.mem.Intact() {
		t.Error("something is left")
	}
}

func TestEventsPrintsNothing(t *testing.T) {
	for _, s := range []Source{NewEvents(EventsConfig{}), NewScheduler(SchedulerConfig{})} {
		want := strings.TrimPrefix(fmt.Sprintf("%T", s), "*")
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			if got := fmt.Sprintf(format, s); got != want {
				t.Errorf("%s: %q", format, got)
			}
		}
	}
}

func TestEventsAllocs(t *testing.T) {
	for _, lazy := range []bool{false, true} {
		e, line := readyEvents(t, EventsConfig{OSR: 1, NoContinuousCompression: lazy})
		p := make([]byte, 64)
		ctx := context.Background()
		if n := testing.AllocsPerRun(50, func() {
			for range 300 {
				e.add(event{stamp: line.next()}, 0)
			}
			if credit, err := e.GetEntropy(ctx, p, 256); credit == 0 || err != nil {
				t.Fatal(credit, err)
			}
		}); n != 0 {
			t.Errorf("lazy %v: %v allocations", lazy, n)
		}
		if n := testing.AllocsPerRun(5000, func() { e.Add(1) }); n != 0 {
			t.Errorf("lazy %v: %v allocations of Add", lazy, n)
		}
	}
}

// What Add may cost: two reads of the time stamp, in a flood of events with compressions
// included, and where each event has a place. The best of many is what the machine can do
// when it has nothing else to do.
func TestEventsAddCost(t *testing.T) {
	if eventsRace {
		t.Skip("the race detector takes its time")
	}
	if os.Getenv("LRNG_EMULATED") != "" || os.Getenv("QEMU_CPU") != "" {
		t.Skip("the ratio of two times in an emulator is the emulator's")
	}
	// In hundredths of a nanosecond, of the best of pieces that are long enough for a
	// compression or two.
	best := func(f func()) time.Duration {
		least := time.Duration(math.MaxInt64)
		for range 40 {
			start, took, n := clock.Monotonic(), time.Duration(0), time.Duration(0)
			for took < 300*time.Microsecond && n < 1<<20 {
				for range 256 {
					f()
				}
				n += 256
				took = clock.Monotonic() - start
			}
			least = min(least, took*100/n)
		}
		return least
	}
	var sink uint64
	for _, lazy := range []bool{false, true} {
		e := NewEvents(EventsConfig{NoContinuousCompression: lazy})
		for try := range 20 {
			read := best(func() { sink += clock.Now() })
			add := best(func() { e.Add(uint32(sink)) })
			t.Logf("lazy %v: a read of the clock takes %v/100, Add %v/100", lazy, read, add)
			if add <= 2*read {
				break
			}
			if try == 19 {
				t.Errorf("lazy %v: Add takes %.2f times as long as a read of the clock", lazy, float64(add)/float64(read))
			}
		}
	}
}

// No configuration, no events and no arguments make the source panic, credit what it may
// not, or lose count.
func FuzzEvents(f *testing.F) {
	f.Add(0, 0, 0, byte(0), false, []byte{1, 200, 7, 130, 255})
	f.Fuzz(func(t *testing.T, rate, osr, array int, conditioners byte, lazy bool, ops []byte) {
		all := []conditioner.Conditioner{nil, conditioner.SHA256, conditioner.SHA384, conditioner.SHA512, conditioner.SHA3_256, conditioner.SHA3_384, conditioner.SHA3_512}
		c := EventsConfig{rate, osr, array, lazy, all[int(conditioners)%len(all)]}
		e := NewEvents(c)
		line := newTimeline()
		added, credited := 0, 0
		if len(ops) > 200 {
			ops = ops[:200]
		}
		for i, op := range ops {
			switch {
			case op < 64: // equal intervals
				line.play = func(int) uint64 { return uint64(op) * 26 }
				feedEvents(e, line.events(10*int(op)), uint32(op))
				added += 10 * int(op)
			case op < 128: // short and long ones, and steps back
				line.play = func(j int) uint64 { return uint64(int64(j%3-1) << (op - 64)) }
				feedEvents(e, line.events(50), uint32(op))
				added += 50
			case op < 230:
				line.play = lively
				feedEvents(e, line.events(600), uint32(op))
				added += 600
			default:
				size, bits := int(op-230)*5, (i*37)%600-20
				p := make([]byte, size)
				before := e.Available(bits)
				if before < 0 || before > max(bits, 0) || before > e.Info().MaxEntropy {
					t.Fatalf("%+v: Available(%d) = %d", c, bits, before)
				}
				credit, err := e.GetEntropy(t.Context(), p, bits)
				switch {
				case err != nil && (credit != 0 || !bytes.Equal(p, make([]byte, size))):
					t.Fatalf("%+v: credit %d with %v", c, credit, err)
				case credit < 0 || credit > max(bits, 0) || credit > 8*size || credit > e.Info().MaxEntropy:
					t.Fatalf("%+v: credit %d for %d bytes, %d bits", c, credit, size, bits)
				case e.Validate() != nil && err != e.Validate():
					t.Fatalf("%+v: %v with the invalid configuration", c, err)
				}
				credited += credit
			}
		}
		if e.Validate() != nil {
			return
		}
		st := e.Stats()
		if st.Events+st.Lost != uint64(added) || st.Stuck > st.Events || st.Credited != uint64(credited) {
			t.Fatalf("%+v: %+v after %d events, credited %d", c, st, added, credited)
		}
		if credited > 0 && uint64(credited) > (st.Events-st.Stuck-1024)/uint64(max(osr, 1)) {
			t.Fatalf("%+v: %+v: credited %d", c, st, credited)
		}
	})
}

func BenchmarkEvents(b *testing.B) {
	b.Run("clock", func(b *testing.B) {
		var sink uint64
		for b.Loop() {
			sink += clock.Now()
		}
		_ = sink
	})
	b.Run("Add", func(b *testing.B) {
		e := NewEvents(EventsConfig{})
		b.ReportAllocs()
		for b.Loop() {
			e.Add(1)
		}
	})
	// Each event has a place.
	b.Run("Add/lazy", func(b *testing.B) {
		e := NewEvents(EventsConfig{NoContinuousCompression: true})
		for b.Loop() {
			e.Add(1)
		}
	})
	b.Run("Add/parallel", func(b *testing.B) {
		e := NewEvents(EventsConfig{})
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				e.Add(1)
			}
		})
		b.ReportMetric(float64(e.Stats().Lost)/float64(b.N), "lost/op")
	})
	// The worst that can be: all processors report to one array.
	b.Run("Add/one-array", func(b *testing.B) {
		e := NewEvents(EventsConfig{})
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				e.add(event{clock.Now(), 1}, 0)
			}
		})
		b.ReportMetric(float64(e.Stats().Lost)/float64(b.N), "lost/op")
	})
	// And another one takes them out all the time.
	b.Run("Add/while-read", func(b *testing.B) {
		e := NewEvents(EventsConfig{})
		end, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			for {
				select {
				case <-end:
					return
				default:
					e.Stats()
				}
			}
		}()
		for b.Loop() {
			e.Add(1)
		}
		close(end)
		<-ended
	})
	b.Run("Add/goroutine-each", func(b *testing.B) {
		e := NewEvents(EventsConfig{})
		var wg sync.WaitGroup
		for b.Loop() {
			wg.Go(func() { e.Add(1) })
		}
		wg.Wait()
	})
	b.Run("Cost", func(b *testing.B) {
		e := NewEvents(EventsConfig{})
		costs := make([]uint64, maxCosts)
		var all []uint64
		for b.Loop() {
			e.Cost(costs)
			for range maxCosts {
				e.Add(1)
			}
			all = append(all, costs[:e.Cost(costs)]...)
			e.Cost(nil)
		}
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2]), "ticks-median")
		b.ReportMetric(float64(all[len(all)*999/1000]), "ticks-99.9%")
	})
	for _, n := range []int{eventsBatch, eventsArray} {
		b.Run(fmt.Sprintf("compress/events=%d", n), func(b *testing.B) {
			e, line := readyEvents(b, EventsConfig{})
			events := line.events(n)
			for b.Loop() {
				for _, ev := range events {
					e.stripes[0].log.append(ev)
				}
				e.empty(&e.stripes[0])
			}
		})
	}
	b.Run("GetEntropy", func(b *testing.B) {
		e, _ := readyEvents(b, EventsConfig{})
		p := make([]byte, 32)
		ctx := context.Background()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := e.GetEntropy(ctx, p, 256); err != nil {
				b.Fatal(err)
			}
		}
	})
}
