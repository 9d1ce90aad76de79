package health

import "testing"

// model is the tests in the words of the standard, over the whole history.
type model struct {
	rct, apt  Cutoffs
	window    int
	symbols   []uint64
	repeated  []bool
	blocked   int // samples [0, blocked) do not count for the start-up
	permanent *Failure
}

// open returns how many samples the last window of the history lacks.
func (m *model) open() int { return (m.window - len(m.symbols)%m.window) % m.window }

func (m *model) restart() { m.blocked = len(m.symbols) + m.open() }

func (m *model) ready() bool {
	return m.permanent == nil && len(m.symbols) >= m.blocked+1024
}

func (m *model) next(x uint64, repeated bool) *Failure {
	if m.permanent != nil {
		return m.permanent
	}
	m.symbols, m.repeated = append(m.symbols, x), append(m.repeated, repeated)
	last := len(m.symbols) - 1
	run := 1
	for i := last; i > 0 && m.repeated[i]; i-- {
		run++
	}
	window := m.symbols[last/m.window*m.window:]
	occurs := 0
	for _, y := range window {
		if y == window[0] {
			occurs++
		}
	}
	if x != window[0] || len(window) == 1 {
		occurs = 0 // this sample has not raised the count
	}
	if run == 1 {
		run = 0
	}
	switch {
	case run >= m.rct.Permanent:
		m.permanent = &Failure{"RCT", run, m.rct.Permanent, true}
		return m.permanent
	case m.apt.Permanent > 0 && occurs >= m.apt.Permanent:
		m.permanent = &Failure{"APT", occurs, m.apt.Permanent, true}
		return m.permanent
	}
	if run >= m.rct.Intermittent || occurs >= m.apt.Intermittent {
		m.restart()
	}
	switch {
	case run == m.rct.Intermittent:
		return &Failure{"RCT", run, run, false}
	case occurs == m.apt.Intermittent:
		return &Failure{"APT", occurs, occurs, false}
	}
	return nil
}

// fuzzConfigs are claims with cut-offs that short and long inputs reach.
var fuzzConfigs = []Config{
	{H: 1. / 3, Window: Window, Alpha: Alpha, PermanentAlpha: PermanentAlpha},
	{H: 1. / 20, Window: Window, Alpha: Alpha, PermanentAlpha: PermanentAlpha},
	{H: 1, Window: BinaryWindow, Alpha: 20, PermanentAlpha: 40},
	{H: 8, Window: 16, Alpha: 20, PermanentAlpha: 60},
	{H: 4, Window: 32, Alpha: 2, PermanentAlpha: 2},
}

// FuzzTests lets an attacker choose the samples. An input is a configuration and
// then triples: a flag, a symbol and how often it comes. (E1: stuck, biased,
// alternating, alternating with good phases.)
func FuzzTests(f *testing.F) {
	f.Add([]byte{0, 0, 7, 255, 1, 7, 200})
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) == 0 {
			return
		}
		c := fuzzConfigs[int(in[0])%len(fuzzConfigs)]
		tests, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		rct, apt, err := c.cutoffs()
		if err != nil {
			t.Fatal(err)
		}
		m := &model{rct: rct, apt: apt, window: c.Window}
		stuckMode := in[0]&0x80 != 0 // the RCT is fed with flags, not with symbols
		compare := func(got, want *Failure) {
			if (got == nil) != (want == nil) || got != nil && *got != *want {
				t.Fatalf("sample %d: %v, want %v", len(m.symbols), got, want)
			}
			if tests.Ready() != m.ready() {
				t.Fatalf("sample %d: Ready() = %v", len(m.symbols), tests.Ready())
			}
		}
		for in = in[1:]; len(in) >= 3 && len(m.symbols) < 6000; in = in[3:] {
			flag, x, n := in[0], uint64(in[1]), int(in[2])
			if flag&0x40 != 0 {
				tests.Restart()
				m.restart()
			}
			for i := range n {
				y := x
				if flag&0x20 != 0 {
					y += uint64(i) // all different
				}
				stuck := flag&1 != 0
				if stuckMode {
					compare(tests.NextStuck(y, stuck), m.next(y, stuck))
					continue
				}
				repeated := len(m.symbols) > 0 && m.symbols[len(m.symbols)-1] == y
				compare(tests.Next(y), m.next(y, repeated))
			}
		}
	})
}
