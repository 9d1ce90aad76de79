package estest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng/es"
)

var errBroken = errors.New("broken")

// get makes one call for 32 bytes, which are 0xa5 before, and 256 bits. It
// returns what the call panicked with, and whether it returned.
func get(ctx context.Context, src es.Source) (p []byte, credit int, panicked any, returned bool, err error) {
	p = bytes.Repeat([]byte{0xa5}, 32)
	done := make(chan struct{})
	go func() { // for Goexit
		defer close(done)
		defer func() { panicked = recover() }()
		credit, err = src.GetEntropy(ctx, p, 256)
		returned = true
	}()
	<-done
	return p, credit, panicked, returned, err
}

func TestSteps(t *testing.T) {
	untouched := bytes.Repeat([]byte{0xa5}, 32)
	data := New(testInfo).Data(0, 32)
	for _, tt := range []struct {
		step      Step
		name      string
		p         []byte
		credit    int
		err       string
		available int // of 300 bits
	}{
		{OK(200), "OK(200)", data, 200, "", 200},
		{OK(math.MaxInt), "OK(9223372036854775807)", data, 256, "", 300},
		{OK(-5), "OK(-5)", data, 0, "", 0},
		{Claim(257), "Claim(257)", data, 257, "", 257},
		{Claim(math.MinInt), "Claim(-9223372036854775808)", data, math.MinInt, "", math.MinInt},
		{Error(errBroken), "Error(broken)", data, 0, "broken", 300},
		{ClaimError(7, errBroken), "ClaimError(7, broken)", data, 7, "broken", 300},
		{Unavailable(), "Unavailable()", data, 0, "estest: fake: es: source unavailable", 0},
		{Health(false), "Health(false)", untouched, 0, "es: test: intermittent health failure: RCT: count 41, cut-off 41", 300},
		{Health(true), "Health(true)", untouched, 0, "es: test: permanent health failure: RCT: count 41, cut-off 41", 300},
		{Short(0), "Short(0)", untouched, 256, "", 300},
		{Short(-1), "Short(-1)", untouched, 256, "", 300},
		{Short(5), "Short(5)", append(data[:5:5], untouched[5:]...), 256, "", 300},
		{Short(33), "Short(33)", data, 256, "", 300},
		{Stuck(), "Stuck()", make([]byte, 32), 256, "", 300},
		{Stuck(0xff), "Stuck(ff)", bytes.Repeat([]byte{0xff}, 32), 256, "", 300},
		{Stuck(1, 2, 3), "Stuck(010203)", bytes.Repeat([]byte{1, 2, 3}, 11)[:32], 256, "", 300},
		{Repeat(), "Repeat()", data, 256, "", 300},
		{LateWrite(), "LateWrite()", data, 256, "", 300},
		{Overrun(), "Overrun()", data, 256, "", 300},
		{Slow(0, OK(8)), "Slow(0s, OK(8))", data, 8, "", 8},
		{Deaf(time.Millisecond, Error(errBroken)), "Deaf(1ms, Error(broken))", data, 0, "broken", 300},
		{Do("mine", func(_ context.Context, p []byte, bits int) (int, error) { return len(p) + bits, nil }), "mine", untouched, 288, "", 300},
	} {
		name := tt.name
		if math.MaxInt == math.MaxInt32 {
			name = strings.NewReplacer("9223372036854775807", "2147483647", "-9223372036854775808", "-2147483648").Replace(name)
		}
		if got := tt.step.String(); got != name {
			t.Errorf("String() = %s, want %s", got, name)
		}
		f := New(testInfo, tt.step)
		if got := f.Available(300); got != tt.available {
			t.Errorf("%s: Available(300) = %d, want %d", name, got, tt.available)
		}
		p, credit, panicked, returned, err := get(t.Context(), f)
		if !returned || panicked != nil {
			t.Errorf("%s: returned %t, panicked with %v", name, returned, panicked)
		}
		if credit != tt.credit || fmt.Sprint(err) != fmt.Sprint(tt.err) && !(err == nil && tt.err == "") {
			t.Errorf("%s: credit %d, error %v; want %d, %q", name, credit, err, tt.credit, tt.err)
		}
		if !bytes.Equal(p, tt.p) {
			t.Errorf("%s: p = %x, want %x", name, p, tt.p)
		}
		want := []Call{{Step: name, Size: 32, Bits: 256, Credit: tt.credit, Err: err, Done: true}}
		if got := f.Calls(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: recorded %+v, want %+v", name, got, want)
		}
	}
}

func TestStepsThatDoNotReturn(t *testing.T) {
	for _, tt := range []struct {
		step  Step
		panic any
	}{
		{Panic("boom"), "boom"},
		{Goexit(), nil},
	} {
		f := New(testInfo, tt.step, OK(256))
		_, _, panicked, returned, _ := get(t.Context(), f)
		if returned || panicked != tt.panic {
			t.Errorf("%s: returned %t, panicked with %v", tt.step, returned, panicked)
		}
		if c := f.Calls()[0]; !c.Done || c.Credit != 0 || c.Err != nil {
			t.Errorf("%s: recorded %+v", tt.step, c)
		}
		if _, credit, _, _, err := get(t.Context(), f); credit != 256 || err != nil {
			t.Errorf("after %s: credit %d, %v", tt.step, credit, err)
		}
	}
}

func TestNilDeref(t *testing.T) {
	if os.Getenv("LRNG_EMULATED") != "" {
		t.Skip("an emulator may tell a wrong address, and then the runtime gives up")
	}
	_, _, panicked, _, _ := get(t.Context(), New(testInfo, NilDeref()))
	if err, ok := panicked.(runtime.Error); !ok || !strings.Contains(err.Error(), "nil pointer") {
		t.Errorf("NilDeref: panicked with %v", panicked)
	}
}

func TestScript(t *testing.T) {
	f := New(testInfo, OK(1), OK(2).Times(3), OK(9).Times(0), Error(errBroken), OK(3).Times(2))
	var got []int
	for range 9 {
		_, credit, _, _, _ := get(t.Context(), f)
		got = append(got, credit)
	}
	if want := []int{1, 2, 2, 2, 0, 3, 3, 3, 3}; !reflect.DeepEqual(got, want) {
		t.Errorf("credits %v, want %v", got, want)
	}
	if f.Count() != 9 {
		t.Errorf("Count() = %d, want 9", f.Count())
	}
	if _, credit, _, _, err := get(t.Context(), New(testInfo)); credit != 256 || err != nil {
		t.Errorf("without steps: credit %d, %v", credit, err)
	}
}

func TestScriptIsCopied(t *testing.T) {
	steps := []Step{OK(1), OK(2)}
	f := New(testInfo, steps...)
	steps[0] = Error(errBroken)
	if _, credit, _, _, err := get(t.Context(), f); credit != 1 || err != nil {
		t.Errorf("credit %d, %v", credit, err)
	}
}

func TestOKIsHonest(t *testing.T) {
	f := New(es.Info{Name: "x", MaxEntropy: 100}, OK(math.MaxInt))
	for _, tt := range []struct{ size, bits, want int }{
		{32, 256, 100}, {32, 99, 99}, {12, 256, 96}, {0, 256, 0}, {32, 0, 0}, {32, math.MinInt, 0}, {32, math.MaxInt, 100},
	} {
		if got, err := f.GetEntropy(t.Context(), make([]byte, tt.size), tt.bits); got != tt.want || err != nil {
			t.Errorf("%d bytes, %d bits: credit %d, %v; want %d", tt.size, tt.bits, got, err, tt.want)
		}
	}
	f.SetRate(7)
	if got, _ := f.GetEntropy(t.Context(), make([]byte, 32), 256); got != 7 || f.Available(256) != 7 {
		t.Errorf("at a rate of 7: credit %d, available %d", got, f.Available(256))
	}
	f.SetRate(-1)
	if got, _ := f.GetEntropy(t.Context(), make([]byte, 32), 256); got != 0 || f.Available(256) != 0 {
		t.Errorf("at a rate of -1: credit %d, available %d", got, f.Available(256))
	}
}

func TestData(t *testing.T) {
	f := New(testInfo)
	seen := make(map[string]bool)
	for i := range 100 {
		p, _, _, _, _ := get(t.Context(), f)
		if !bytes.Equal(p, f.Data(i, 32)) {
			t.Fatalf("call %d did not deliver Data(%d, 32)", i, i)
		}
		long := f.Data(i, 100)
		if !bytes.Equal(long[:32], p) {
			t.Fatalf("Data(%d, 100) does not begin as Data(%d, 32)", i, i)
		}
		for j := 0; j+16 <= len(long); j += 16 {
			seen[string(long[j:j+16])] = true
		}
	}
	if len(seen) != 600 {
		t.Errorf("%d of 600 blocks are different", len(seen))
	}
	if !bytes.Equal(New(testInfo).Data(5, 32), f.Data(5, 32)) {
		t.Error("two sources of the same name deliver different data")
	}
	if bytes.Equal(New(es.Info{Name: "other"}).Data(5, 32), f.Data(5, 32)) {
		t.Error("two sources with different names deliver the same data")
	}
}

func TestRepeat(t *testing.T) {
	f := New(testInfo, OK(256).Times(2), Error(errBroken), Repeat().Times(2), OK(256))
	var got [][]byte
	for range 6 {
		p, _, _, _, _ := get(t.Context(), f)
		got = append(got, p)
	}
	// The third call delivered nothing.
	for i, want := range []int{0, 1, 2, 1, 1, 5} {
		if !bytes.Equal(got[i], f.Data(want, 32)) {
			t.Errorf("call %d did not deliver the data of call %d", i, want)
		}
	}
}

func TestOverrun(t *testing.T) {
	buf := make([]byte, 40)
	if _, err := New(testInfo, Overrun()).GetEntropy(t.Context(), buf[:32], 256); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(buf[32:], make([]byte, 8)) {
		t.Error("nothing was written behind p")
	}
}

func TestLateWrite(t *testing.T) {
	for _, next := range []struct {
		name string
		call func(f *Fake)
	}{
		{"Info", func(f *Fake) { f.Info() }},
		{"Available", func(f *Fake) { f.Available(1) }},
		{"GetEntropy", func(f *Fake) { f.GetEntropy(t.Context(), nil, 0) }},
	} {
		f := New(testInfo, LateWrite(), OK(0))
		p, _, _, _, _ := get(t.Context(), f)
		was := bytes.Clone(p)
		next.call(f)
		for i := range p {
			if p[i] == was[i] {
				t.Fatalf("byte %d of p was not changed during %s", i, next.name)
			}
		}
		was = bytes.Clone(p)
		next.call(f)
		if !bytes.Equal(p, was) {
			t.Errorf("p was changed twice")
		}
	}
}

func TestSetDead(t *testing.T) {
	f := New(testInfo, OK(1), OK(2), OK(3))
	get(t.Context(), f)
	f.SetDead(errBroken)
	for range 2 {
		if _, credit, _, _, err := get(t.Context(), f); credit != 0 || err != errBroken {
			t.Errorf("dead: credit %d, %v", credit, err)
		}
	}
	if f.Available(256) != 0 {
		t.Errorf("dead: Available(256) = %d", f.Available(256))
	}
	f.SetDead(nil)
	if _, credit, _, _, err := get(t.Context(), f); credit != 2 || err != nil {
		t.Errorf("alive again: credit %d, %v; want 2", credit, err)
	}
	if calls := f.Calls(); len(calls) != 4 || calls[1].Step != "dead" || calls[1].Err != errBroken {
		t.Errorf("recorded %+v", calls)
	}
}

// The sources are made outside of the bubbles, as by a table of tests.
func TestWaiting(t *testing.T) {
	for _, tt := range []struct {
		step    Step
		cancel  time.Duration // 0: never
		takes   time.Duration
		credit  int
		wantErr error
	}{
		{Block(), time.Hour, time.Hour, 0, context.Canceled},
		{Slow(time.Hour, OK(9)), 0, time.Hour, 9, nil},
		{Slow(time.Hour, OK(9)), time.Minute, time.Minute, 0, context.Canceled},
		{Deaf(time.Hour, OK(9)), 0, time.Hour, 9, nil},
		{Deaf(time.Hour, OK(9)), time.Minute, time.Hour, 9, nil},
	} {
		f := New(testInfo, tt.step)
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if tt.cancel > 0 {
				time.AfterFunc(tt.cancel, cancel)
			}
			start := time.Now()
			_, credit, _, _, err := get(ctx, f)
			if took := time.Since(start); took != tt.takes || credit != tt.credit || err != tt.wantErr {
				t.Errorf("%s: took %v, credit %d, %v", tt.step, took, credit, err)
			}
		})
	}
}

func TestHang(t *testing.T) {
	f := New(testInfo, Hang())
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		p := make([]byte, 32)
		var done [2]bool
		for i := range done {
			go func() {
				f.GetEntropy(ctx, p[i*16:][:16], 256)
				done[i] = true
			}()
		}
		time.Sleep(24 * time.Hour)
		if done[0] || done[1] || f.Count() != 2 || f.Calls()[0].Done || f.Calls()[1].Done {
			t.Errorf("after a day: returned %v, recorded %+v", done, f.Calls())
		}
		f.Release()
		f.Release()
		synctest.Wait()
		if !done[0] || !done[1] || !f.Calls()[0].Done || f.Calls()[1].Credit != 128 {
			t.Errorf("after Release: returned %v, recorded %+v", done, f.Calls())
		}
		if bytes.Equal(p[:16], make([]byte, 16)) {
			t.Error("after Release: nothing was written to p")
		}
		if _, credit, _, _, err := get(t.Context(), f); credit != 256 || err != nil {
			t.Errorf("a call after Release: credit %d, %v", credit, err)
		}
	})
	// Released before anything hangs.
	f = New(testInfo, Hang())
	f.Release()
	if _, credit, _, _, err := get(t.Context(), f); credit != 256 || err != nil {
		t.Errorf("released before: credit %d, %v", credit, err)
	}
}

// For the race detector, and for the count.
func TestFakeConcurrent(t *testing.T) {
	f := NewNotifier(testInfo, OK(256).Times(50), Repeat().Times(50), LateWrite().Times(50), Error(errBroken).Times(50), Claim(-1))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				f.GetEntropy(t.Context(), make([]byte, 48), 256)
				f.Info()
				f.Available(256)
				f.SetRate(256)
				f.SetDead(nil)
				f.Notify(func() {})
				f.Signal()
				f.Calls()
				f.Release()
			}
		})
	}
	wg.Wait()
	if n := f.Count(); n != 400 {
		t.Errorf("Count() = %d, want 400", n)
	}
}

func TestNotifier(t *testing.T) {
	n := NewNotifier(testInfo)
	n.Signal()
	var order []int
	for i := range 3 {
		n.Notify(func() {
			n.Available(1) // no lock is held
			n.Notify(func() {})
			order = append(order, i)
		})
	}
	n.Signal()
	n.Signal()
	if want := []int{0, 1, 2, 0, 1, 2}; !reflect.DeepEqual(order, want) {
		t.Errorf("called %v, want %v", order, want)
	}
	if _, ok := any(n.Fake).(es.Notifier); ok {
		t.Error("a plain Fake is a Notifier: sources without cannot be tested")
	}
}
