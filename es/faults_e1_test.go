package es

import (
	"bytes"
	"crypto/sha512"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/lrng-go/lrng/internal/health"
	"github.com/lrng-go/lrng/internal/hwrand"
)

// The rows of E1 that are about all sources, or about several. The faults of each one are
// in its own tests.

// patterns are samples of a byte with less entropy than they seem to have.
func patterns() map[string]func(i int) byte {
	biased := func(percent int) func(i int) byte {
		return func(i int) byte {
			if chance(i, percent) {
				return 0x5a
			}
			return streamByte(i)
		}
	}
	return map[string]func(i int) byte{
		"biased, 0.6":        biased(60), // 0.74 bits a sample
		"biased, 0.9":        biased(90), // 0.15
		"alternating bits":   func(i int) byte { return 0x55 << (i % 2) },
		"counter of 8 bits":  func(i int) byte { return byte(i) },
		"counter of 16 bits": func(i int) byte { return byte(i / 2 >> (8 * (i % 2))) },
		"slow drift":         func(i int) byte { return byte(i / 40) },
		// With another source: all but one bit of each byte is known to it.
		"correlated": func(i int) byte { return streamByte(1<<20+i) ^ streamByte(i)&1 },
	}
}

// E1: biased, alternating, counting, drifting, correlated. The first alarm is that of the
// test in the table, at a claim of more than there is; at a claim of less there is none. A
// counter is well spread: it is found if a block comes again within a window, and no test
// knows of another source. Both are listed, so that nobody believes they were noticed.
func TestFaultsPatterns(t *testing.T) {
	const begin, most = 2048, 12_000
	for name, want := range map[string][3]string{ // for claims of 8, 1 and 1/8 bits a sample
		"biased, 0.6":        {"RCT", "APT", ""},
		"biased, 0.9":        {"RCT", "RCT", ""},
		"alternating bits":   {"APT", "block RCT", "block RCT"},
		"counter of 8 bits":  {"block APT", "block APT", ""},
		"counter of 16 bits": {"APT", "", ""},
		"slow drift":         {"RCT", "RCT", ""},
		"correlated":         {"", "", ""},
	} {
		stream := func(i int) byte {
			if i < begin {
				return streamByte(i)
			}
			return patterns()[name](i - begin)
		}
		for k, want := range want {
			h := []float64{8, 1, 1. / 8}[k]
			m, noise := monitored(t, MonitorConfig{H: h}, stream)
			wantFirstAlarm(t, name, m, want, func() bool { return noise.at() > begin+most })

			synctest.Test(t, func(t *testing.T) {
				in := &tap{}
				in.script = func(tp *tap, p []byte) (int, error) {
					tp.mu.Lock()
					defer tp.mu.Unlock()
					for i := range p {
						p[i] = stream(tp.pos)
						tp.pos++
					}
					return len(p), nil
				}
				r := tapReader(t, in, int(32*h))
				wantFirstAlarm(t, name, r, want, func() bool { return in.at() > begin+most })
			})
		}
	}
}

// wantFirstAlarm asks s until it is over. Only an alarm of the named test may come in
// between, and has to, unless the name is empty.
func wantFirstAlarm(t *testing.T, fault string, s Source, test string, over func() bool) {
	t.Helper()
	got := ""
	for !over() && got == "" {
		p := bytes.Repeat([]byte{0xa5}, 32)
		credit, err := s.GetEntropy(t.Context(), p, 256)
		alarm, ok := errors.AsType[*HealthError](err)
		switch {
		case ok && credit == 0 && bytes.Equal(p, make([]byte, 32)):
			got = alarm.Test
		case err != nil || credit != s.Info().MaxEntropy/2:
			t.Fatalf("%s: %s: %d, %v, %x", fault, s.Info().Name, credit, err, p)
		}
	}
	if got != test {
		t.Errorf("%s: %s: the first alarm is %q, want %q", fault, s.Info().Name, got, test)
	}
}

// E1: the same for the generator of the CPU, which sees words. It has no permanent alarm;
// one that counts is as good as another one to it.
func TestFaultsCPUPatterns(t *testing.T) {
	for _, tt := range []struct {
		name string
		play script
		ok   bool
	}{
		{"biased, 0.6", func(i int) (uint64, bool) {
			if chance(i, 60) {
				return 1, true
			}
			return sound(i)
		}, false},
		{"alternating bits", func(i int) (uint64, bool) { return 0x5555555555555555 << (i % 2), true }, false},
		{"slow drift", func(i int) (uint64, bool) { return uint64(i/40) + 1, true }, false},
		{"counter", func(i int) (uint64, bool) { return uint64(i) + 1, true }, true},
		{"correlated", func(i int) (uint64, bool) { z, _ := sound(1<<20 + i); return z ^ uint64(i&1), true }, true},
	} {
		for _, kind := range []hwrand.Kind{hwrand.Seed, hwrand.DRBG, hwrand.Diluted} {
			s, _ := playCPU(CPUConfig{}, kind, tt.play)
			credit, err := s.GetEntropy(t.Context(), make([]byte, 32), 256)
			alarm, bad := errors.AsType[*HealthError](err)
			if (err == nil) != tt.ok || (credit == 8) != tt.ok || bad == tt.ok || bad && alarm.Permanent {
				t.Errorf("%s, kind %v: %d, %v", tt.name, kind, credit, err)
			}
		}
	}
}

// T9, B11, B12, B16: the APT of the scheduler source, for both cut-offs: wake-ups whose
// times have 8 low bits in common, of which none is stuck. And what has the entropy that
// is claimed raises no alarm, as what no test knows does not (see TestEventsFaults).
func TestFaultsSchedulerPatterns(t *testing.T) {
	like := func(i int) uint64 { z, _ := sound(i); return 26 * (40 + z>>44<<8) }
	biased := func(percent int) func(i int) uint64 {
		return func(i int) uint64 {
			if chance(3*i+1, percent) {
				return like(i)
			}
			return lively(i)
		}
	}
	for _, tt := range []struct {
		name  string
		fault func(i int) uint64
		osr   int
		alarm bool
	}{
		{"one symbol", like, 1, true}, {"one symbol", like, 3, true},
		{"biased, 0.9", biased(90), 1, true}, {"biased, 0.9", biased(90), 8, false},
		{"biased, 0.6", biased(60), 3, false},
		{"a block of 64", func(i int) uint64 { z, _ := sound(i % 64); return 26 * (100 + z%64) }, 3, false},
		{"stopped for 10 s", func(i int) uint64 {
			if i == 300 {
				return 26e9
			}
			return lively(i)
		}, 3, false},
	} {
		const begin = 100 + 512*4 // of a window, and in the first collection
		s, line := playScheduler(SchedulerConfig{OSR: tt.osr})
		line.play = func(i int) uint64 {
			if i < begin {
				return lively(i)
			}
			return tt.fault(i - begin)
		}
		if !tt.alarm {
			for line.i < begin+2048 {
				if credit, err := s.GetEntropy(t.Context(), make([]byte, 32), 256); credit != 256 || err != nil {
					t.Fatalf("%s, osr %d: %d, %v after %d wake-ups", tt.name, tt.osr, credit, err, line.i-begin)
				}
			}
			continue
		}
		for line.i < begin-1024 {
			if _, err := s.GetEntropy(t.Context(), make([]byte, 32), 256); err != nil {
				t.Fatal(err)
			}
		}
		for _, permanent := range []bool{false, true} {
			alpha := float64(health.Alpha)
			if permanent {
				alpha = health.PermanentAlpha
			}
			cutoff, err := health.APTCutoff(alpha, 1/float64(tt.osr), health.Window)
			if err != nil {
				t.Fatal(err)
			}
			for err == nil && line.i < begin+2048 {
				_, err = s.GetEntropy(t.Context(), make([]byte, 32), 256)
			}
			mustAlarm(t, err, HealthError{"scheduler", "APT", cutoff, cutoff, permanent})
		}
		line.play = lively
		if _, err := refused(t, s, line); !errors.As(err, new(*HealthError)) || s.Available(256) != 0 {
			t.Errorf("%s, osr %d: %v after the permanent failure", tt.name, tt.osr, err)
		}
	}
}

// E1: two nodes at which the same happens. What a source delivers is its input and nothing
// else, so the outputs of twins differ if any input does, and only then; the credit of one
// says nothing of the other. Jitter, SeedFile and Identity have tests of their own
// (TestJitterTwins, TestSeedFileFiftyNodes, TestIdentityTwins).
func TestFaultsTwins(t *testing.T) {
	for name, twin := range map[string]func(t *testing.T, differs bool) Source{
		"cpu": func(t *testing.T, differs bool) Source {
			s, _ := playCPU(CPUConfig{Rate: 256}, hwrand.Seed, func(i int) (uint64, bool) {
				z, _ := sound(i)
				if differs && i == cpuStartUp {
					z ^= 1
				}
				return z, true
			})
			return s
		},
		"os": func(t *testing.T, differs bool) Source {
			return newOS(OSConfig{}, (&osScript{reads: []osRead{osGood, func(p []byte) error {
				if differs {
					p[0] ^= 1
				}
				return nil
			}}}).read)
		},
		"auxiliary": func(t *testing.T, differs bool) Source {
			a := NewAuxiliary(AuxiliaryConfig{})
			p := streamBytes(0, 64)
			if differs {
				p[63] ^= 1
			}
			if err := a.Add(p, 512); err != nil {
				t.Fatal(err)
			}
			return a
		},
		"scheduler": func(t *testing.T, differs bool) Source {
			s, line := playScheduler(SchedulerConfig{})
			if differs {
				line.t += 26
			}
			return s
		},
		"events": func(t *testing.T, differs bool) Source {
			e, line := NewEvents(EventsConfig{}), newTimeline()
			all := line.events(eventsStartUp + 5000)
			if differs {
				all[len(all)-1].data++
			}
			feedEvents(e, all, 0)
			return e
		},
		"reader": func(t *testing.T, differs bool) Source {
			in := &tap{}
			in.script = func(tp *tap, p []byte) (int, error) {
				pos := tp.at()
				n, err := tp.next(p)
				if differs && pos == 1024 {
					p[0] ^= 1
				}
				return n, err
			}
			return tapReader(t, in, 256)
		},
		"monitor": func(t *testing.T, differs bool) Source {
			m, _ := monitored(t, MonitorConfig{H: 1}, func(i int) byte {
				if differs && i == 1024 {
					return ^streamByte(i)
				}
				return streamByte(i)
			})
			return m
		},
	} {
		var p [3][32]byte
		for i := range p {
			s := twin(t, i == 2)
			if credit, err := s.GetEntropy(t.Context(), p[i][:], 256); credit != 256 || err != nil {
				t.Errorf("%s: %d, %v", name, credit, err)
			}
		}
		if p[0] != p[1] || p[1] == p[2] {
			t.Errorf("%s: twins: %v; with another input: %v", name, p[0] == p[1], p[1] == p[2])
		}
	}
}

// E1: a hash function that panics or ends the goroutine, in the sources that leave it to
// the caller's goroutine, and so to the generator, to survive that. (Jitter has
// TestJitterHostileConditioner.) No lock is left behind, nothing that the hash has seen is
// credited, and when it works again the source does.
func TestFaultsHostileConditioner(t *testing.T) {
	for what, fault := range map[string]func(){"panic": func() { panic("ouch") }, "Goexit": runtime.Goexit} {
		var now func()
		h := oddConditioner{hostile{sha512.New(), &now}, 512}
		line := newTimeline()
		events := NewEvents(EventsConfig{OSR: 1, Conditioner: h})
		aux := NewAuxiliary(AuxiliaryConfig{Conditioner: h})
		scheduler, _ := playScheduler(SchedulerConfig{Conditioner: h})
		monitor, _ := monitored(t, MonitorConfig{H: 1, Conditioner: h}, streamByte)
		for _, tt := range []struct {
			source Source
			fill   func() // what GetEntropy does not do by itself; nil: nothing
		}{
			{events, func() { feedEvents(events, line.events(eventsStartUp+1000), 0) }},
			{aux, func() { aux.Add(make([]byte, 1000), 512) }},
			{scheduler, nil},
			{monitor, nil},
		} {
			name := tt.source.Info().Name
			for _, broken := range []bool{false, true, true, false} {
				if tt.fill != nil {
					tt.fill()
				}
				if broken {
					now = fault
				}
				credit, returned := 0, false
				var err error
				var wg sync.WaitGroup
				wg.Go(func() {
					defer func() { recover() }()
					credit, err = tt.source.GetEntropy(t.Context(), make([]byte, 32), 256)
					returned = true
				})
				wg.Wait()
				if now = nil; broken {
					if credit != 0 || returned && err == nil {
						t.Errorf("%s: %s: %d, %v", what, name, credit, err)
					}
					if n := tt.source.Available(256); tt.fill != nil && n != 0 {
						t.Errorf("%s: %s: %d bits are left", what, name, n)
					}
					continue
				}
				if credit != 256 || err != nil {
					t.Errorf("%s: %s: a sound call: %d, %v", what, name, credit, err)
				}
			}
		}
	}
}

// E1: GOMAXPROCS changes. The arrays of Events are those for the number at the beginning:
// more processors share them, and each event is in the pool or counted as lost.
func TestFaultsProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const goroutines, each = 8, 2000
	e := NewEvents(EventsConfig{OSR: 1})
	for _, procs := range []int{1, 8, 2} {
		runtime.GOMAXPROCS(procs)
		before := e.Stats()
		var adders sync.WaitGroup
		for range goroutines {
			adders.Go(func() {
				for i := range each {
					e.Add(uint32(i))
				}
			})
		}
		adders.Wait()
		st := e.Stats()
		if n := st.Events + st.Lost - before.Events - before.Lost; n != goroutines*each {
			t.Errorf("%d processors: %d of %d events", procs, n, goroutines*each)
		}
		// The arrays for one processor are two, which is what eight of them contend for.
		if len(e.stripes) != 2 {
			t.Fatalf("%d arrays", len(e.stripes))
		}
	}
}
