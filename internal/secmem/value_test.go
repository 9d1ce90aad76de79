package secmem

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

type pair struct{ a, b uint64 }

func TestValue(t *testing.T) {
	var v Value[pair]
	if v.Intact() || v.Kept() {
		t.Error("a zero Value has a T")
	}
	v.Free()
	p, err := v.Renew()
	if err != nil || *p != (pair{}) || !v.Intact() || !v.Kept() {
		t.Fatalf("%v, %v", p, err)
	}
	p.b = 7
	if q, err := v.Renew(); err != nil || q != p || q.b != 7 {
		t.Errorf("Renew of what is intact: %v, %v", q, err)
	}
	if g, err := v.Demand(Heap); err != nil || g != v.block.Grade() || p.b != 7 {
		t.Errorf("Demand of what there is: %v, %v", g, err)
	}
	same := v
	v.Free()
	if v.Intact() || same.Intact() {
		t.Error("intact after Free")
	}
	if p, err := same.Renew(); err != nil || *p != (pair{}) {
		t.Errorf("Renew after Free: %v, %v", p, err)
	}
	same.Free()
}

func TestValueDemand(t *testing.T) {
	for least := Heap; least < grades; least++ {
		var v Value[pair]
		g, err := v.Demand(least)
		if err != nil {
			if v.Intact() || v.least != Heap || !strings.Contains(err.Error(), least.String()) {
				t.Errorf("%v refused: %v; intact %t, demand %v", least, err, v.Intact(), v.least)
			}
			continue
		}
		if g < least || !v.Intact() {
			t.Errorf("%v demanded: %v, intact %t", least, g, v.Intact())
		}
		v.Free()
		if _, err := v.Renew(); err != nil || v.block.Grade() < least {
			t.Errorf("%v demanded: renewed as %v, %v", least, v.block.Grade(), err)
		}
		v.Free()
	}
}

// What is in use is not moved.
func TestValueDemandInUse(t *testing.T) {
	l := lease{bytes: aligned(Line), home: home()}
	v := Value[pair]{block: l.block()}
	p, err := v.Renew()
	if err != nil {
		t.Fatal(err)
	}
	p.a = 1
	if g, err := v.Demand(Private); err == nil || g != Heap || v.least != Heap || !v.Intact() || p.a != 1 {
		t.Errorf("%v, %v", g, err)
	}
}

// Lasting memory is none that the kernel drops.
func TestLasting(t *testing.T) {
	var keep []*Block
	defer func() {
		for _, b := range keep {
			b.Free()
		}
	}()
	for range 3 * LockLimit / 1024 {
		b, err := AllocLasting(1024, Heap)
		if err != nil {
			t.Fatal(err)
		}
		keep = append(keep, b)
		if b.Grade() == Droppable {
			t.Error("lasting memory is droppable")
		}
		v := Value[pair]{Lasting: true}
		if g, err := v.Demand(Heap); err != nil || g == Droppable {
			t.Errorf("a lasting value: %v, %v", g, err)
		}
		v.Free()
	}
	// There is private memory now, with room. It is not preferred to what is better.
	b, err := Alloc(64, Heap)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Free()
	if b.Grade() == Private && home().refusals[Droppable] == nil {
		t.Error("private memory where there is better")
	}
}

// A block that nobody holds any more is wiped and given back.
func TestGarbage(t *testing.T) {
	b, err := Alloc(512, Heap)
	if err != nil {
		t.Fatal(err)
	}
	if b.arena == nil {
		t.Skip("this machine has the heap only")
	}
	a, p, home := b.arena, b.bytes, b.home
	home.mu.Lock()
	a.blocks++ // the arena stays
	home.mu.Unlock()
	defer func() {
		home.mu.Lock()
		a.blocks--
		home.mu.Unlock()
	}()
	p[0], p[511] = 1, 2
	b = nil
	for range 200 {
		runtime.GC()
		home.mu.Lock()
		wiped := p[0] == 0 && p[511] == 0
		home.mu.Unlock()
		if wiped {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Error("the block of nobody is not wiped")
}

func TestValuePrintsNothing(t *testing.T) {
	var v Value[pair]
	p, err := v.Renew()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Free()
	p.a = 12345678
	for _, s := range []string{fmt.Sprint(v), fmt.Sprintf("%+v %#v", v, &v)} {
		if strings.Contains(s, "12345678") || !strings.Contains(s, "secmem.Value") {
			t.Error(s)
		}
	}
}

func BenchmarkRenew(b *testing.B) {
	var v Value[pair]
	defer v.Free()
	for b.Loop() {
		if p, err := v.Renew(); err != nil || p == nil {
			b.Fatal(err)
		}
	}
}
