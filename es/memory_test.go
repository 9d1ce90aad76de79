package es

import (
	"bytes"
	"testing"

	"github.com/lrng-go/lrng/internal/secmem"
)

// lose takes memory away without the knowledge of its owner, as a fork does.
func lose[T any](v secmem.Value[T]) { v.Free() }

// What a source has gathered before a fork is used by the parent. The child does not credit
// it a second time, and touches none of the memory that it does not have (P4).

func TestAuxiliaryInChild(t *testing.T) {
	a := NewAuxiliary(AuxiliaryConfig{})
	defer a.Clear()
	if err := a.Add(bytes.Repeat([]byte{1}, 64), 300); err != nil {
		t.Fatal(err)
	}
	lose(a.mem)
	p := make([]byte, 64)
	if credit, err := a.GetEntropy(t.Context(), p, 256); credit != 0 || err != nil || a.Available(256) != 0 {
		t.Errorf("%d bits, %v; %d available", credit, err, a.Available(256))
	}
	if err := a.Add(p, 200); err != nil || a.Available(512) != 200 {
		t.Errorf("%v; %d available", err, a.Available(512))
	}
	lose(a.mem)
	if err := a.SetConditioner(nil); err != nil {
		t.Error(err)
	}
	lose(a.mem)
	a.Clear()
	a.Clear()
}

func TestEventsInChild(t *testing.T) {
	e, line := readyEvents(t, EventsConfig{OSR: 1})
	feed := func() {
		t.Helper()
		for n := 0; e.Available(256) < 256; n++ {
			if n == 100 {
				t.Fatal("no credit for so many events")
			}
			feedEvents(e, line.events(64), 0)
		}
	}
	feed()
	before := e.Available(256)
	feedEvents(e, line.events(20), 0)
	lose(e.pool.mem)
	p := make([]byte, 64)
	if credit, err := e.GetEntropy(t.Context(), p, 256); credit != 0 || err != nil || before == 0 {
		t.Errorf("%d bits of %d, %v", credit, before, err)
	}
	feed()
	if credit, err := e.GetEntropy(t.Context(), p, 256); credit != 256 || err != nil {
		t.Errorf("%d bits, %v", credit, err)
	}
	lose(e.pool.mem)
	e.Clear()
}

func TestJitterAheadInChild(t *testing.T) {
	j, clock, _ := aheadOf(t, 2, lively)
	old := bytes.Clone(j.ahead.blocks[0].data)
	j.ahead.memory.Free()
	clock.play = lively
	if got := ask(t, j, AllowAhead(t.Context(), true)); bytes.Equal(got, old[:32]) {
		t.Error("a block of the parent was delivered")
	}
	j.ahead.filler.Wait()
	j.ahead.memory.Free()
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

func TestFeedInChild(t *testing.T) {
	in := &tap{}
	r := tapReader(t, in, 256)
	first := mustFill(t, r, 32)
	for r.goroutine.Wait(t.Context()) != nil {
	}
	stored := bytes.Clone(r.store[:32])
	lose(r.mem)
	if r.Available(256) != 0 {
		t.Error("what the parent has read is available")
	}
	if got := mustFill(t, r, 32); bytes.Equal(got, stored) || bytes.Equal(got, first) {
		t.Error("what the parent has read was delivered")
	}
	for r.goroutine.Wait(t.Context()) != nil {
	}
	lose(r.mem)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
