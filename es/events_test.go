package es

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math"
	"math/big"
	"testing"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/internal/health"
)

var _ interface {
	Source
	NoiseSource
	HealthTester
	Notifier
	Validator
} = (*Events)(nil)

// The first event has no interval. The next 100 tell the step of the clock, the last of
// them is the first that is tested. So this is the number of events after which the
// next may be credited.
const eventsStartUp = 1 + 99 + 1024

// A timeline is a clock for events: interval i lasts play(i) ticks.
type timeline struct {
	play func(i int) uint64
	t    uint64
	i    int
}

// newTimeline returns one that passes all tests, on which a twentieth of the events is
// stuck. The step of the clock is 26.
func newTimeline() *timeline { return &timeline{play: lively, t: 26 << 40} }

// next returns the time of the next event.
func (l *timeline) next() uint64 {
	t := l.t
	l.t += l.play(l.i)
	l.i++
	return t
}

// events returns n events with running numbers as their data.
func (l *timeline) events(n int) []event {
	e := make([]event, n)
	for i := range e {
		e[i] = event{data: uint32(l.i)}
		e[i].stamp = l.next()
	}
	return e
}

// feedEvents adds events to the array of that hint.
func feedEvents(e *Events, events []event, hint uint32) {
	for _, ev := range events {
		e.add(ev, hint)
	}
}

// wantPool is the specification of what the pool hashes, from the events on that come
// after the read that left s, and of how many of them count, after each.
func wantPool(all []event, from int) (input []byte, counted []int) {
	abs := func(a, b float64) float64 { return math.Abs(a - b) }
	at := func(i int) float64 { return float64(all[i].stamp - all[0].stamp) }
	step := new(big.Int)
	for i := range all {
		if i > 0 {
			step.GCD(nil, nil, step, big.NewInt(int64(all[i].stamp-all[i-1].stamp)))
		}
		if i < from {
			continue
		}
		input = append(input, byte(all[i].stamp/max(step.Uint64(), 1)))
		input = binary.LittleEndian.AppendUint32(input, all[i].data)
		n := 0
		if len(counted) > 0 {
			n = counted[len(counted)-1]
		}
		if i >= eventsStartUp {
			d, d1, d2 := at(i)-at(i-1), at(i-1)-at(i-2), at(i-2)-at(i-3)
			if d != 0 && d != d1 && abs(d, d1) != abs(d1, d2) {
				n++
			}
		}
		counted = append(counted, n)
	}
	return input, counted
}

// wantDigest is the specification of a read.
func wantDigest(h func() hash.Hash, s, input []byte) (output, next []byte) {
	sum := func(parts ...[]byte) []byte {
		x := h()
		for _, p := range parts {
			x.Write(p)
		}
		return x.Sum(nil)
	}
	d := sum([]byte("E"), s, input)
	return sum([]byte("O"), d), sum([]byte("S"), d)
}

// The samples, the digests and the credits of several reads are those of the
// specification (B19, B20, B21): a read of n bits takes n+64, by OSR events each.
func TestEventsPool(t *testing.T) {
	for _, tt := range []struct {
		c      EventsConfig
		h      func() hash.Hash
		events int // between two reads
		size   int
		bits   int
	}{
		{EventsConfig{}, sha512.New, 2500, 32, 256},
		{EventsConfig{}, sha512.New, 5000, 64, 512},
		{EventsConfig{}, sha512.New, 10, 32, 256},
		{EventsConfig{OSR: 1}, sha512.New, 700, 48, 384},
		{EventsConfig{OSR: 1}, sha512.New, 300, 150, 1 << 20},
		{EventsConfig{OSR: 1, Array: 8192}, sha512.New, 500, 20, 384},
		{EventsConfig{OSR: 1, Array: 8192, NoContinuousCompression: true}, sha512.New, 500, 32, 256},
		{EventsConfig{OSR: 64, Conditioner: conditioner.SHA512}, sha512.New, 9000, 32, 100},
		{EventsConfig{OSR: 2, Conditioner: conditioner.SHA256}, sha256.New, 1000, 32, 256},
		{EventsConfig{OSR: 2, Rate: 64, Conditioner: conditioner.SHA384}, sha512.New384, 1000, 48, 384},
		{EventsConfig{OSR: 2, Rate: -1}, sha512.New, 1000, 48, 384},
	} {
		e := NewEvents(tt.c)
		name := fmt.Sprintf("%+v", tt.c)
		line := newTimeline()
		all := line.events(eventsStartUp)
		feedEvents(e, all, 0)
		osr, rate, width := max(tt.c.OSR, 1), 256, 8*tt.h().Size()
		if tt.c.OSR == 0 {
			osr = 8
		}
		if tt.c.Rate != 0 {
			rate = max(tt.c.Rate, 0)
		}
		var s []byte
		from, rest, have := 0, 0, 0
		for call := range 4 {
			more := line.events(tt.events)
			feedEvents(e, more, 0)
			all = append(all, more...)
			p := make([]byte, tt.size)
			credit, err := e.GetEntropy(t.Context(), p, tt.bits)
			if err != nil {
				t.Fatalf("%s: call %d: %v", name, call, err)
			}
			input, counted := wantPool(all, from)
			from = len(all)
			rest += counted[len(counted)-1]
			have = min(have+rest/osr, width)
			rest %= osr
			want := max(0, min(tt.bits, 8*tt.size, width-64, 384, have-64))
			if want > 0 {
				have -= want + 64
			}
			if want = want * rate / 256; credit != want {
				t.Errorf("%s: call %d: credit %d, want %d", name, call, credit, want)
			}
			for len(p) > 0 {
				var output []byte
				output, s = wantDigest(tt.h, s, input)
				input = nil
				n := min(len(p), len(output))
				if !bytes.Equal(p[:n], output[:n]) {
					t.Fatalf("%s: call %d: not the digest", name, call)
				}
				p = p[n:]
			}
		}
		if st := e.Stats(); st.Events != uint64(len(all)) || st.Lost != 0 || st.Alarms != 0 {
			t.Errorf("%s: %+v after %d events", name, st, len(all))
		}
	}
}

// The pool holds no more than its width, however many events there were.
func TestEventsPoolIsBounded(t *testing.T) {
	for _, tt := range []struct {
		c    conditioner.Conditioner
		want []int // credits of calls in a row: of 512 bits 448 are taken at once
	}{
		{conditioner.SHA512, []int{384, 0, 0}}, {conditioner.SHA384, []int{320, 0}}, {conditioner.SHA3_256, []int{192, 0}},
	} {
		e := NewEvents(EventsConfig{OSR: 1, Conditioner: tt.c})
		feedEvents(e, newTimeline().events(10000), 0)
		for call, want := range tt.want {
			if credit, err := e.GetEntropy(t.Context(), make([]byte, 48), 384); credit != want || err != nil {
				t.Errorf("%v, call %d: credit %d, %v, want %d", tt.c, call, credit, err, want)
			}
		}
	}
	e := NewEvents(EventsConfig{OSR: 1})
	feedEvents(e, newTimeline().events(10000), 0)
	for _, want := range []int{128, 128, 512 - 2*(128+64) - 64, 0} {
		credit, err := e.GetEntropy(t.Context(), make([]byte, 48), 128)
		if credit != want || err != nil {
			t.Errorf("credit %d, %v, want %d", credit, err, want)
		}
	}
}

// The answer is that of a program in Python with hashlib: two events, the second in
// steps of the one interval there is, and the three digests of a read of 70 bytes.
func TestEventsKnownAnswers(t *testing.T) {
	p := new(eventPool)
	p.init("test", "TestConfig", 0, 1, conditioner.SHA256)
	p.started = true
	var c chain
	p.absorb(&c, []event{{0x0102030405060708, 0xa1b2c3d4}, {0x01020304050607ff, 1}})
	var out [70]byte
	if _, err := p.read(t.Context(), out[:], 0); err != nil {
		t.Fatal(err)
	}
	const want = "10a49011e87b635d6ce4472ac82bb32f4a9b24d1464bb80ff00d4c5b93bca89df26cea6acca0663512e3d0bdca12d0f2e9079f35d8aa8c8cf7bb56f1095cd486aed7a9e549bb"
	if got := fmt.Sprintf("%x", out); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The credit begins with the event that completes the 65th bit, and the start-up test
// ends with the 1024th event that was tested (B14).
func TestEventsExactCredit(t *testing.T) {
	for _, osr := range []int{1, 8} {
		e := NewEvents(EventsConfig{OSR: osr, NoContinuousCompression: true, Array: 8192})
		all := newTimeline().events(eventsStartUp + 100*osr)
		_, counted := wantPool(all, 0)
		p := make([]byte, 32)
		for i := range all {
			feedEvents(e, all[i:i+1], 0)
			e.Stats() // empties the arrays
			if got, want := e.Available(256), max(0, counted[i]/osr-64); got != want {
				t.Fatalf("osr %d: Available = %d after %d events, want %d", osr, got, i+1, want)
			}
			_, err := e.pool.read(t.Context(), p, 0)
			if ready := i+1 >= eventsStartUp; (err == nil) != ready || err != nil && !errors.Is(err, ErrUnavailable) {
				t.Fatalf("osr %d: %v after %d events", osr, err, i+1)
			}
			if counted[i]/osr == 67 {
				break
			}
		}
		for _, want := range []int{3, 0} {
			if credit, err := e.GetEntropy(t.Context(), p, 256); credit != want || err != nil {
				t.Errorf("osr %d: credit %d, %v, want %d", osr, credit, err, want)
			}
		}
	}
}

// The step of the clock: that of LRNG's self-test, 3, those of
// real clocks, one that turns out to be finer later on.
func TestEventsStep(t *testing.T) {
	for _, tt := range []struct {
		name     string
		play     func(i int) uint64
		want     uint64 // after 100 intervals
		wantLast uint64 // after 1000
	}{
		{"3", func(i int) uint64 { return 3 * (1 + uint64(i)) }, 3, 3},
		{"26", lively, 26, 26},
		{"1", func(i int) uint64 { return lively(i) + uint64(i%2) }, 1, 1},
		{"one millisecond", func(i int) uint64 { return 1e6 * uint64(i%3) }, 1e6, 1e6},
		{"rough at first", func(i int) uint64 {
			if i < 500 {
				return 1000 * lively(i)
			}
			return lively(i)
		}, 26000, 26},
		{"backwards now and then", func(i int) uint64 {
			if i%50 == 7 {
				return ^uint64(4) // 5 back
			}
			return lively(i)
		}, 26, 26},
		{"still for a while", func(i int) uint64 {
			if i < 250 {
				return 0
			}
			return lively(i)
		}, 0, 26},
	} {
		p := new(eventPool)
		p.init("test", "TestConfig", 0, 8, nil)
		var c chain
		line := &timeline{play: tt.play, t: 12345}
		p.absorb(&c, line.events(101))
		if p.step != tt.want || p.stands != (tt.want == 0) {
			t.Errorf("%s: %d, stands %v, want %d", tt.name, p.step, p.stands, tt.want)
		}
		if err := p.status(); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v", tt.name, err)
		}
		p.absorb(&c, line.events(900))
		if p.step != tt.wantLast || p.stands {
			t.Errorf("%s: at last %d, stands %v, want %d", tt.name, p.step, p.stands, tt.wantLast)
		}
	}
}

// replay feeds one chain with the timeline until fail has an alarm, and returns the
// number of events it took, or 0.
func replay(p *eventPool, c *chain, line *timeline, most int) int {
	alarms := p.alarms
	for n := 1; n <= most; n++ {
		p.absorb(c, line.events(1))
		if p.alarms != alarms {
			return n
		}
	}
	return 0
}

// faulty returns the pool of a source with credit, on whose timeline a fault begins
// with the next event: intervals of fault(i), i from 0.
func faulty(t *testing.T, osr int, fault func(i int) uint64) (*eventPool, *chain, *timeline) {
	t.Helper()
	p, c, line := new(eventPool), new(chain), newTimeline()
	p.init("test", "TestConfig", 0, osr, nil)
	// A whole number of windows, and more than 64 bits.
	n := 100 + 512*(3+200*osr/512)
	line.play = func(i int) uint64 {
		if i < n-1 {
			return lively(i)
		}
		return fault(i - (n - 1))
	}
	p.absorb(c, line.events(n))
	if p.alarms != 0 || p.available.Load() == 0 || p.status() != nil {
		t.Fatalf("%d alarms, credit %d before the fault", p.alarms, p.credit)
	}
	return p, c, line
}

// wantAlarm checks the alarm and that all credit is dropped.
func wantAlarm(t *testing.T, p *eventPool, want HealthError) {
	t.Helper()
	out := make([]byte, 8)
	for range 2 {
		credit, err := p.read(t.Context(), out, 8)
		if got, ok := errors.AsType[*HealthError](err); !ok || *got != want {
			t.Errorf("%v, want %v", err, &want)
		}
		if credit != 0 || !bytes.Equal(out, make([]byte, 8)) {
			t.Errorf("delivers %x, credit %d, with %v", out, credit, err)
		}
	}
	if p.credit != 0 || p.counted != 0 || p.available.Load() != 0 {
		t.Errorf("credit of %d bits is left after %v", p.credit, &want)
	}
}

// T9, B10, B16, B17, E1: alarms of the RCT at exact events, after faults of the events
// or of their clock. A fault that lasts becomes permanent, and that is final.
func TestEventsRCTAlarms(t *testing.T) {
	cut := func(alpha float64, osr int) int {
		n, err := health.RCTCutoff(alpha, 1/float64(osr))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, tt := range []struct {
		name  string
		osr   int
		fault func(i int) uint64
		lead  int // events that are not stuck, as their derivatives look back
	}{
		{"stopped", 1, func(int) uint64 { return 0 }, 0},
		{"stopped", 3, func(int) uint64 { return 0 }, 0},
		{"stopped", 8, func(int) uint64 { return 0 }, 0},
		{"constant", 8, func(int) uint64 { return 26 * 9999 }, 1},
		{"steady growth", 8, func(i int) uint64 { return 26 * uint64(100000+1000*i) }, 2},
		{"two in turn", 8, func(i int) uint64 { return 26 * uint64(100+900*(i%2)) }, 2},
		{"backwards", 8, func(i int) uint64 { return -(26 * lively(i)) }, 0},
		// In step with something that takes 256 steps of the clock: mostly not stuck,
		// but the sample never changes.
		{"in step", 8, func(i int) uint64 { return 256 * lively(i) }, 0},
	} {
		name := fmt.Sprintf("%s, osr %d", tt.name, tt.osr)
		p, c, line := faulty(t, tt.osr, tt.fault)
		inter, perm := cut(health.Alpha, tt.osr), cut(health.PermanentAlpha, tt.osr)
		// The event before the run counts as 1.
		if n := replay(p, c, line, 10000); n != tt.lead+inter-1 {
			t.Errorf("%s: alarm after %d events, want %d", name, n, tt.lead+inter-1)
		}
		wantAlarm(t, p, HealthError{"test", "RCT", inter, inter, false})
		if n := replay(p, c, line, 10000); n != perm-inter {
			t.Errorf("%s: the second alarm after %d events more, want %d", name, n, perm-inter)
		}
		final := HealthError{"test", "RCT", perm, perm, true}
		wantAlarm(t, p, final)
		line.play = lively
		if n := replay(p, c, line, 5000); n != 0 {
			t.Errorf("%s: alarm %d after the permanent one", name, n)
		}
		wantAlarm(t, p, final)
	}
}

// T9, B11, B12: alarms of the APT at exact events: one occurrence less than the cut-off
// passes. Both sequences are tested: the differences, where all that is alike are the 8
// low bits of the interval, and the samples, in step with the clock three times in four.
func TestEventsAPTAlarms(t *testing.T) {
	const osr, window = 1, 512
	cutoff := func(alpha float64) int {
		n, err := health.APTCutoff(alpha, 1.0/osr, window)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	inter, perm := cutoff(health.Alpha), cutoff(health.PermanentAlpha)
	like := func(symbol, i int) uint64 { // never stuck
		z, _ := sound(i)
		return 26 * (uint64(symbol) + 256*(z>>44))
	}
	other := func(i int) uint64 { return lively(i) + 26*100 } // 140 to 171 steps
	for _, tt := range []struct {
		name string
		play func(i, alike int) uint64 // of one window
	}{
		{"differences", func(i, alike int) uint64 {
			if i < alike {
				return like(40, i)
			}
			return other(i)
		}},
		{"samples", func(i, alike int) uint64 {
			// The sample is the same but for each fourth event; alike of them are in
			// 4/3·alike events, and then two others in turn. Half of the differences are
			// alike, which is allowed.
			switch rest := i - (alike + (alike-1)/3); {
			case rest == 0:
				return like(100, i)
			case rest > 0:
				return like(50+156*(rest%2), i)
			case i%4 == 3:
				return like(7*(1+i%30), i)
			case i%4 == 0 && i > 0:
				return like(256-7*(1+(i-1)%30), i)
			}
			return like(0, i)
		}},
	} {
		for _, alike := range []int{inter - 1, inter, inter + 1, perm - 1, perm} {
			p, c, line := faulty(t, osr, func(i int) uint64 {
				if i >= window {
					return other(i)
				}
				return tt.play(i, alike)
			})
			alarms := 0
			var last HealthError
			for n := 1; n <= window; n++ {
				if replay(p, c, line, 1) == 1 {
					alarms++
					last = *p.failed
				}
			}
			switch {
			case alike < inter && alarms != 0, alike >= inter && alike < perm && alarms != 1, alike >= perm && alarms != 2:
				t.Errorf("%s, %d alike: %d alarms", tt.name, alike, alarms)
			case alike >= perm:
				wantAlarm(t, p, HealthError{"test", "APT", perm, perm, true})
			case alike >= inter:
				if want := (HealthError{"test", "APT", inter, inter, false}); last != want {
					t.Errorf("%s, %d alike: %v, want %v", tt.name, alike, &last, &want)
				}
				wantAlarm(t, p, last)
			}
		}
	}
}

// B14, B16: after an alarm the start-up test begins anew; then the source is as new,
// but for the alarm, which is reported once even if nobody asked in between.
func TestEventsRecover(t *testing.T) {
	for _, ask := range []bool{false, true} {
		p, c, line := faulty(t, 1, func(i int) uint64 {
			if i < 40 {
				return 0
			}
			return lively(i)
		})
		if n := replay(p, c, line, 30); n != 30 {
			t.Fatalf("alarm after %d events", n)
		}
		out := make([]byte, 32)
		if ask {
			wantAlarm(t, p, HealthError{"test", "RCT", 31, 31, false})
		}
		// The run has ten events more. The window that was open then does not count.
		n := 0
		for ; !p.started; n++ {
			if p.credit != 0 {
				t.Fatal("credit before the start-up test has passed")
			}
			p.absorb(c, line.events(1))
		}
		if want := 10 + (512 - 40) + 1024; n != want {
			t.Errorf("ready after %d events, want %d", n, want)
		}
		p.absorb(c, line.events(500))
		if p.available.Load() < 200 {
			t.Errorf("available: %d", p.available.Load())
		}
		if !ask {
			if _, err := p.read(t.Context(), out, 128); err == nil {
				t.Error("the alarm was not reported")
			}
		}
		if credit, err := p.read(t.Context(), out, 128); credit != 128 || err != nil {
			t.Errorf("credit %d, %v", credit, err)
		}
	}
}

// E1: biased, drifting and coarse. What has the entropy that is claimed does not raise
// an alarm; what has next to none does, within 20 windows, or is not credited.
func TestEventsFaults(t *testing.T) {
	biased := func(percent int) func(i int) uint64 {
		return func(i int) uint64 {
			z, _ := sound(i)
			k := 256 * 26 * (1 + z>>50) // never stuck
			if chance(3*i+1, percent) {
				return k
			}
			return k + lively(i)
		}
	}
	for _, tt := range []struct {
		name  string
		fault func(i int) uint64
		alarm bool
		most  int // credit in percent of the events
	}{
		{"60 % alike", biased(60), false, 100},
		{"90 % alike", biased(90), false, 100}, // 0.15 bits
		{"all but 1 in 1000 alike", func(i int) uint64 {
			if i%1000 == 999 {
				return lively(i)
			}
			z, _ := sound(i)
			return 256 * 26 * (1 + z>>50)
		}, true, 5},
		{"slow drift", func(i int) uint64 { return 26 * (5000 + uint64(i)/4) }, false, 51},
		{"one second now and then", func(i int) uint64 {
			if i%100 == 99 {
				return 26e8
			}
			return lively(i)
		}, false, 100},
		{"an hour back and forth", func(i int) uint64 {
			if i%100 == 50 {
				return ^uint64(26*36e11 - 1)
			}
			if i%100 == 99 {
				return uint64(36e11) * 26
			}
			return lively(i)
		}, false, 100},
		{"a clock of 1 ms", func(i int) uint64 {
			if i%2000 == 0 {
				return 26e6
			}
			return 0
		}, true, 0},
	} {
		p, c, line := faulty(t, 8, tt.fault)
		p.credit = 0
		n := replay(p, c, line, 20*512)
		if (n != 0) != tt.alarm {
			t.Errorf("%s: alarm after %d events: %v", tt.name, n, p.failed)
		}
		if n == 0 {
			n = 20 * 512
		}
		if !tt.alarm && (p.credit == 0 || p.credit > n*tt.most/100/8) {
			t.Errorf("%s: credit %d bits for %d events", tt.name, p.credit, n)
		}
	}
}
