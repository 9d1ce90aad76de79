package es

import (
	"errors"
	"testing"

	"github.com/lrng-go/lrng/internal/clock"
	"github.com/lrng-go/lrng/internal/hwrand"
)

// What was measured and the symbols of GetNoise are of one kind, from a real clock.
func TestJitterDeltas(t *testing.T) {
	j := NewJitter(JitterConfig{})
	defer j.Close()
	want := NoiseParameters{Origin: clock.Name(), OSR: 3, MemorySize: 256 << 10}
	if p := j.NoiseParameters(); p != want {
		t.Errorf("before the first use: %+v, want %+v", p, want)
	}
	deltas := make([]uint64, 1000)
	n, err := j.GetDeltas(deltas)
	if n != len(deltas) || err != nil {
		t.Fatal(n, err)
	}
	p := j.NoiseParameters()
	step := p.Step
	if step == 0 || p.Granularity < step || p.Granularity%step != 0 || p.Length < 1 {
		t.Fatalf("%+v", p)
	}
	if want.Step, want.Granularity, want.Length = p.Step, p.Granularity, p.Length; p != want {
		t.Errorf("%+v, want %+v", p, want)
	}
	symbols := make(map[byte]bool)
	for _, d := range deltas {
		if d == 0 {
			t.Fatal("no time passed")
		}
		symbols[byte(d/step)] = true
	}
	if len(symbols) < 3 {
		t.Errorf("%d symbols", len(symbols))
	}
	j.Close()
	if n, err := j.GetDeltas(deltas); n != 0 || !errors.Is(err, ErrUnavailable) {
		t.Errorf("after Close: %d, %v", n, err)
	}
	if p := j.NoiseParameters(); p != (NoiseParameters{}) {
		t.Errorf("after Close: %+v", p)
	}
	bad := NewJitter(JitterConfig{OSR: -1})
	if n, err := bad.GetDeltas(deltas); n != 0 || err == nil || bad.NoiseParameters() != (NoiseParameters{}) {
		t.Errorf("bad configuration: %d, %v", n, err)
	}
}

// What the record of an assessment says of a source is what it works with, not what the
// configuration left open.
func TestNoiseParameters(t *testing.T) {
	name := clock.Name()
	failed, _ := playJitter(JitterConfig{OSR: 5, MemorySize: 8192}, func(i int) uint64 {
		if i < jitterProbe+jitterStartUp {
			return lively(i)
		}
		return 0
	})
	if _, err := failed.GetEntropy(t.Context(), make([]byte, 32), 256); !errors.As(err, new(*HealthError)) {
		t.Fatal(err)
	}
	coarse, _ := playJitter(JitterConfig{}, func(i int) uint64 {
		if i < 5*jitterProbe {
			return 1000 * (7 + uint64(i%3))
		}
		return 40 * lively(i)
	})
	coarse.GetNoise(make([]byte, 1))
	scheduler, _ := playScheduler(SchedulerConfig{})
	scheduler.GetNoise(make([]byte, 1))
	events := NewEvents(EventsConfig{OSR: 9})
	feedEvents(events, newTimeline().events(500), 0)
	word := func() (uint64, bool) { return 0, false }
	for _, tt := range []struct {
		what string
		s    interface{ NoiseParameters() NoiseParameters }
		want NoiseParameters
	}{
		{"hash", NewJitter(JitterConfig{Noise: JitterHash, MemorySize: 4096}), NoiseParameters{Origin: name, OSR: 14}},
		{"memory", NewJitter(JitterConfig{Noise: JitterMemory}), NoiseParameters{Origin: name, OSR: 6, MemorySize: 256 << 10}},
		{"an alarm", failed, NoiseParameters{name, 6, 8192, 26, 26, 1}},
		{"coarse", coarse, NoiseParameters{name, 3, 4096, 1040, 1040, 32}},
		{"scheduler", scheduler, NoiseParameters{Origin: name, OSR: 3, Step: 26}},
		{"scheduler, new", NewScheduler(SchedulerConfig{OSR: 7}), NoiseParameters{Origin: name, OSR: 7}},
		{"scheduler, invalid", NewScheduler(SchedulerConfig{OSR: -7}), NoiseParameters{}},
		{"events", events, NoiseParameters{Origin: name, OSR: 9, Step: 26}},
		{"events, new", NewEvents(EventsConfig{}), NoiseParameters{Origin: name, OSR: 8}},
		{"events, invalid", NewEvents(EventsConfig{Rate: 1000}), NoiseParameters{}},
		{"no cpu", newCPU(CPUConfig{}, hwrand.None, errors.New("none"), word), NoiseParameters{}},
	} {
		if got := tt.s.NoiseParameters(); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.what, got, tt.want)
		}
	}
	if kind, err := hwrand.Available(); err == nil {
		if got, want := NewCPU(CPUConfig{}).NoiseParameters(), (NoiseParameters{Origin: hwrand.Name(kind)}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// The times are those that the symbols are of, also in sources of events.
func TestEventsDeltas(t *testing.T) {
	e, line := NewEvents(EventsConfig{}), newTimeline()
	feedEvents(e, line.events(eventsStartUp), 0)
	deltas := make([]uint64, 100)
	if n, err := e.GetDeltas(deltas); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	first := line.i
	feedEvents(e, line.events(60), 0)
	symbols := make([]byte, 20)
	if n, err := e.GetNoise(symbols); n != 20 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := e.GetDeltas(deltas); n != 40 || err != nil {
		t.Fatal(n, err)
	}
	for i := range 60 {
		want := lively(first + i - 1)
		if i < 20 && symbols[i] != byte(want/26) || i >= 20 && deltas[i-20] != want {
			t.Fatalf("sample %d is %v, want %d", i, deltas, want)
		}
	}

	s, _ := playScheduler(SchedulerConfig{})
	deltas = make([]uint64, 1500)
	if n, err := s.GetDeltas(deltas); n != len(deltas) || err != nil {
		t.Fatal(n, err)
	}
	for i, d := range deltas[:1024] {
		if want := lively(i + 99); d != want {
			t.Fatalf("sample %d is %d, want %d", i, d, want)
		}
	}
	s.Clear()
	if n, err := s.GetDeltas(deltas); n != 0 || !errors.Is(err, ErrUnavailable) {
		t.Errorf("after Clear: %d, %v", n, err)
	}
	e.Clear()
	if n, err := e.GetDeltas(deltas); n != 0 || !errors.Is(err, ErrUnavailable) {
		t.Errorf("after Clear: %d, %v", n, err)
	}
}
