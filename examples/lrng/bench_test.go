package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// steady returns a contestant whose reads take so long, at least.
func steady(name string, length time.Duration, slow bool) contestant {
	return contestant{name, func(context.Context) (func([]byte) (int, error), func(), error) {
		return func(b []byte) (int, error) { time.Sleep(length); return len(b), nil }, func() {}, nil
	}, slow}
}

// The numbers are those of the reads: one that sleeps three times as long has a third of
// the speed, about.
func TestBench(t *testing.T) {
	refused := errors.New("not approved")
	opened, closed := 0, 0
	rep, err := bench(t.Context(), io.Discard, []contestant{
		steady("base", 4*time.Millisecond, false), steady("third", 12*time.Millisecond, false), steady("slow", 8*time.Millisecond, true),
		{name: "refused", open: func(context.Context) (func([]byte) (int, error), func(), error) { return nil, nil, refused }},
		{name: "counted", open: func(context.Context) (func([]byte) (int, error), func(), error) {
			opened++
			return func(b []byte) (int, error) { time.Sleep(time.Millisecond); return len(b), nil }, func() { closed++ }, nil
		}},
	}, []int{16, 4096}, 10*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	goroutines := 1
	if runtime.GOMAXPROCS(0) > 1 {
		goroutines = 2
	}
	if len(rep.Results) != 3*2*goroutines+1 || len(rep.Left) != 1 || rep.Left[0] != (benchLeft{"refused", "not approved"}) || opened != 1 || closed != 1 {
		t.Fatalf("%+v; opened %d, closed %d", rep, opened, closed)
	}
	for _, r := range rep.Results {
		least := map[string]float64{"base": 4e6, "third": 12e6, "slow": 8e6, "counted": 1e6}[r.Reader] / float64(r.Goroutines)
		if r.Nanosec < least || r.Nanosec > 50*least || r.MBs <= 0 || r.Reads < 1 || r.Seconds <= 0 || (r.Ratio == 0) != (r.Reader == "slow") || r.Reader == "base" && r.Ratio != 1 || r.Reader == "slow" && r.Size != slowSize {
			t.Errorf("%+v; want at least %v ns", r, least)
		}
		if r.Reader == "third" && !(r.Ratio < 1) {
			t.Errorf("%+v is not slower", r)
		}
	}
	out := rep.String()
	for _, want := range []string{
		runtime.Version(), "\n1 goroutine: ns a read, and speed by that of base\n", "16 bytes", "4K bytes", " 1.00x", "\n1 goroutine: MB/s\n",
		"\nFrom the sources\nslow ", " µs for 32 bytes\n", "\nrefused was not measured: not approved\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}

	broken := errors.New("broken")
	_, err = bench(t.Context(), io.Discard, []contestant{{name: "x", open: func(context.Context) (func([]byte) (int, error), func(), error) {
		return func([]byte) (int, error) { return 0, broken }, func() {}, nil
	}}}, []int{1}, time.Millisecond)
	if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "x: ") {
		t.Errorf("a reader that fails: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = bench(ctx, io.Discard, []contestant{steady("x", 0, false)}, []int{1}, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// All reads count, and of three measurements the best one.
func TestMeasure(t *testing.T) {
	var count atomic.Int64
	read := func(b []byte) (int, error) { count.Add(1); return len(b), nil }
	if n, took, err := measure(t.Context(), read, 16, 4, 5*time.Millisecond); n != count.Load() || n < 4 || took < 5*time.Millisecond || err != nil {
		t.Errorf("%d of %d reads in %v, %v", n, count.Load(), took, err)
	}
	read = func(b []byte) (int, error) {
		if n := count.Add(1); n != 2 { // which is the second measurement
			time.Sleep(200 * time.Millisecond)
		}
		return len(b), nil
	}
	for try := 1; ; try++ { // the machine may stop that one for as long
		count.Store(0)
		rep, err := bench(t.Context(), io.Discard, []contestant{{"x", func(context.Context) (func([]byte) (int, error), func(), error) { return read, func() {}, nil }, true}}, nil, 1)
		if err != nil || len(rep.Results) != 1 || count.Load() != benchRounds {
			t.Fatalf("%+v, %v, %d reads", rep, err, count.Load())
		}
		if rep.Results[0].Nanosec <= 100e6 {
			break
		}
		if try == 10 {
			t.Fatalf("%+v", rep)
		}
	}
}

// The command itself, with everything that there is.
func TestBenchCommand(t *testing.T) {
	if testing.Short() {
		t.Skip("a second or more")
	}
	var rep benchReport
	if err := json.Unmarshal([]byte(must(t, "bench", "-time", "1ms", "-sizes", "16,1K", "-json")), &rep); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range rep.Results {
		if names = add(names, r.Reader); !(r.Nanosec > 0 && r.MBs > 0) {
			t.Errorf("%+v", r)
		}
	}
	for _, l := range rep.Left {
		names = add(names, l.Reader)
	}
	for _, c := range contestants {
		if !slices.Contains(names, c.name) {
			t.Errorf("%s is not in %q", c.name, names)
		}
	}
	if rep.Go != runtime.Version() || rep.CPUs < 1 || rep.DRNG == "" {
		t.Errorf("%+v", rep)
	}
}

func TestSizeList(t *testing.T) {
	for in, want := range map[string]string{"1": "1", "16,4K,65536": "16,4K,64K", "16M": "16M", "1000": "1000"} {
		var l sizeList
		if err := l.Set(in); err != nil || l.String() != want {
			t.Errorf("%s: %s, %v; want %s", in, l.String(), err, want)
		}
	}
	if help := must(t, "help", "bench"); !regexp.MustCompile(`default 16,64,256,1K,4K,64K`).MatchString(help) {
		t.Error(help)
	}
}
