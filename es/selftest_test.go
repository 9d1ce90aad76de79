package es

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/internal/hwrand"
	"github.com/lrng-go/lrng/internal/selftest"
	"github.com/lrng-go/lrng/internal/selftest/faults"
)

func selfTestNamed(t *testing.T, name string) *selftest.Test {
	t.Helper()
	for _, test := range selftest.All() {
		if test.Name() == name {
			return test
		}
	}
	t.Fatalf("there is no self-test %q", name)
	return nil
}

// The answers from the descriptions of the tests.
func TestSelfTestAnswers(t *testing.T) {
	var want []byte
	for words := range slices.Chunk(selfTestNamed(t, "CPU health tests").Input(), 8+6) {
		start := words[:8]
		bad := 0
		for i, w := range start {
			if w == 0 || w == 0xff || bytes.IndexByte(start[:i], w) >= 0 {
				if bad++; bad == 3 {
					want = append(want, 1, byte(i+1))
					break
				}
			}
		}
		if bad == 3 {
			continue
		}
		var good []byte
		last, run := byte(0), 0
		for i, w := range words[8:] {
			if w == 0 || w == 0xff || w == last || bytes.IndexByte(start, w) >= 0 {
				run++
			} else {
				good, run = append(good, w), 0
			}
			last = w
			if run == 3 {
				want = append(want, 2, byte(8+i+1))
				break
			}
			if len(good) == 3 {
				want = append(append(want, 0, byte(8+i+1)), good...)
				break
			}
		}
	}
	if got := cpuSelfTest.Answer(); !bytes.Equal(got, want) {
		t.Errorf("CPU: the answer is %x, want %x", got, want)
	}

	want = nil
	for b := range slices.Chunk(selfTestNamed(t, "OS health test").Input(), 4) {
		bad := byte(0)
		for i := 1; i < 4; i++ {
			if b[i] == 0 || b[i] == 0xff || b[i] == b[i-1] || b[i] == b[0] {
				bad = 1
			}
		}
		want = append(want, bad)
	}
	if got := osSelfTest.Answer(); !bytes.Equal(got, want) {
		t.Errorf("OS: the answer is %x, want %x", got, want)
	}
}

// A user is a source with the names of the self-tests that it depends on.
type user struct {
	Source
	tests []string
}

// users returns new sources of each kind, of which some have hash function h.
func users(t *testing.T, h conditioner.Conditioner) []user {
	aux := NewAuxiliary(AuxiliaryConfig{Conditioner: h})
	switched := NewAuxiliary(AuxiliaryConfig{Conditioner: conditioner.SHA256})
	if err := switched.SetConditioner(h); err != nil {
		t.Error(err)
	}
	jitter, _ := playJitter(JitterConfig{Conditioner: h}, lively)
	seed, _ := playCPU(CPUConfig{}, hwrand.Seed, sound)
	diluted, _ := playCPU(CPUConfig{}, hwrand.Diluted, sound)
	drbg, _ := playCPU(CPUConfig{}, hwrand.DRBG, sound)
	n := uint64(0)
	system := newOS(OSConfig{}, func(p []byte) error {
		for i := range p {
			if i%8 == 0 {
				n++
			}
			p[i] = byte(n >> (i % 8 * 8))
		}
		return nil
	})
	events, _ := readyEvents(t, EventsConfig{Conditioner: h})
	scheduler, _ := playScheduler(SchedulerConfig{Conditioner: h})
	reader := NewReader(ReaderConfig{Reader: &tap{}, Rate: 256})
	t.Cleanup(func() { reader.Close() })
	monitor, _ := monitored(t, MonitorConfig{Conditioner: h}, streamByte)
	return []user{
		{reader, []string{"RCT", "APT", "lag predictor", "stuck test", "start-up test", "SHA-256"}},
		{monitor, []string{"RCT", "APT", "lag predictor", "stuck test", "start-up test", "SHA-256", h.Name()}},
		{scheduler, []string{"RCT", "APT", "lag predictor", "stuck test", "start-up test", h.Name()}},
		// Without HealthTest, which waits for events.
		{struct {
			Source
			NoiseSource
		}{events, events}, []string{"RCT", "APT", "lag predictor", "stuck test", "start-up test", h.Name()}},
		{jitter, []string{"time stamp", "GCD", "RCT", "APT", "lag predictor", "stuck test", "start-up test", h.Name()}},
		{seed, []string{"CPU health tests"}},
		{diluted, []string{"CPU health tests", "SHA-512"}},
		{drbg, []string{"CPU health tests", "SHA-512"}},
		{system, []string{"OS health test"}},
		{NewIdentity(IdentityConfig{}), []string{"SHA-512"}},
		{aux, []string{h.Name()}},
		{switched, []string{h.Name()}},
		{NewAuxiliary(AuxiliaryConfig{Conditioner: oddConditioner{sha256.New(), 256}}), nil},
	}
}

// deliver asks for 32 bytes and wants the error, which means that nothing is delivered.
func (u user) deliver(t *testing.T, when string, want error) error {
	t.Helper()
	p := make([]byte, 32)
	credit, err := u.GetEntropy(context.Background(), p, 256)
	name := fmt.Sprintf("%T %s", u.Source, when)
	switch {
	case want == nil && err != nil, !errors.Is(err, want):
		t.Errorf("%s: GetEntropy: %v", name, err)
	case want == nil:
		if bytes.Equal(p, make([]byte, 32)) {
			t.Errorf("%s: GetEntropy delivered nothing", name)
		}
	case credit != 0 || !bytes.Equal(p, make([]byte, 32)):
		t.Errorf("%s: GetEntropy delivered with the error", name)
	}
	if h, ok := u.Source.(HealthTester); ok {
		if err := h.HealthTest(context.Background()); !errors.Is(err, want) {
			t.Errorf("%s: HealthTest: %v", name, err)
		}
	}
	if s, ok := u.Source.(NoiseSource); ok {
		clear(p)
		n, err := s.GetNoise(p)
		if !errors.Is(err, want) || want != nil && (n != 0 || !bytes.Equal(p, make([]byte, 32))) {
			t.Errorf("%s: GetNoise: %d, %v", name, n, err)
		}
	}
	return err
}

// Each self-test of this package and of those below is run by a source that needs it
// before it delivers for the first time. If it fails the source delivers nothing, and
// then none does.
func TestSelfTestFaults(t *testing.T) {
	if name, fault := faults.Injected(); name != "" {
		selfTestFault(t, name, fault)
		return
	}
	if !faults.Supported() {
		t.Skip("no processes here")
	}
	if n := len(selftest.All()); n != 6+7+2 {
		t.Errorf("there are %d self-tests, want 15", n)
	}
	if err := faults.Run("TestSelfTestFaults", testing.Short()); err != nil {
		t.Error(err)
	}
}

func selfTestFault(t *testing.T, name string, fault selftest.Fault) {
	h := conditioner.SHA384
	for _, c := range []conditioner.Conditioner{
		conditioner.SHA256, conditioner.SHA384, conditioner.SHA512,
		conditioner.SHA3_256, conditioner.SHA3_384, conditioner.SHA3_512,
	} {
		if c.Name() == name {
			h = c
		}
	}
	old := users(t, h)
	var dependent []user
	for _, u := range old {
		if slices.Contains(u.tests, name) {
			dependent = append(dependent, u)
		} else {
			u.deliver(t, "before the failure", nil)
		}
	}
	// Each time another of those that depend on it is the first.
	u := dependent[int(fault)%len(dependent)]
	err := u.deliver(t, "at the failure", selftest.ErrFailed)
	if !strings.Contains(fmt.Sprint(err), name+": ") || !strings.Contains(fmt.Sprint(err), faults.Messages[fault]) {
		t.Errorf("%T: %v", u.Source, err)
	}
	for _, u := range old {
		u.deliver(t, "after the failure", selftest.Failed())
	}
	for _, u := range users(t, h) {
		u.deliver(t, "made after the failure", selftest.Failed())
	}
	// What is added is not lost, and not delivered either.
	aux := NewAuxiliary(AuxiliaryConfig{})
	if err := aux.Add(binary.BigEndian.AppendUint64(nil, 1), 8); err != nil || aux.Available(8) != 8 {
		t.Errorf("Add: %v", err)
	}
}

func BenchmarkSelfTest(b *testing.B) {
	for _, test := range []*selftest.Test{cpuSelfTest, osSelfTest} {
		b.Run("test="+strings.ReplaceAll(test.Name(), " ", "_"), func(b *testing.B) {
			for b.Loop() {
				if err := test.Run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
