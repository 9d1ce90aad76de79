package es

import (
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lrng-go/lrng/internal/clock"
)

// Data for an assessment with the tool of SP 800-90B (B6 of the standards digest): one
// file of raw samples for each workload. For instance
//
//	go test ./es -run 'EventsAssessment|SchedulerAssessment' -v -event-samples 1000000 -event-files /tmp
//	ea_non_iid /tmp/http.bin 8
var (
	eventSamples = flag.Int("event-samples", 1500, "number of raw samples of events and of wake-ups to look at")
	eventFiles   = flag.String("event-files", "", "directory for the raw samples, one a byte, one file for each workload")
)

// mostCommon is the most common value estimate, SP 800-90B, Section 6.3.1.
func mostCommon(samples []byte) float64 {
	var counts [256]int
	most := 0
	for _, x := range samples {
		counts[x]++
		most = max(most, counts[x])
	}
	return bound(most, len(samples))
}

// predicted is the estimate of a predictor that knows the sample before, and what
// followed it most often until then: MultiMMC of Section 6.3.9 with depth 1 and without
// the local estimate.
func predicted(samples []byte) float64 {
	var counts [256][256]int
	var best [256]byte
	hits := 0
	for i := 1; i < len(samples); i++ {
		x, y := samples[i-1], samples[i]
		if best[x] == y {
			hits++
		}
		if counts[x][y]++; counts[x][y] >= counts[x][best[x]] {
			best[x] = y
		}
	}
	return bound(hits, len(samples)-1)
}

// bound returns the min-entropy for k hits in n, with the upper end of the 99 % interval
// as the probability.
func bound(k, n int) float64 {
	p := float64(k) / float64(n)
	return -math.Log2(min(1, p+2.576*math.Sqrt(p*(1-p)/float64(n-1))))
}

// assess reports on samples of a workload: the estimate, the part of them that is stuck
// (in percent), and what that makes of the claim.
func assess(t *testing.T, name string, samples []byte, stuck float64, osr int, each time.Duration) {
	t.Helper()
	h := min(mostCommon(samples), predicted(samples))
	claim := (1 - stuck/100) / float64(osr)
	t.Logf("%-28s %8d samples, %6.2f bits by the most common value, %6.2f by prediction, %5.1f %% stuck: claim %.3f, margin %.1f; %v each",
		name, len(samples), mostCommon(samples), predicted(samples), stuck, claim, h/claim, each)
	if *eventFiles == "" {
		return
	}
	file := filepath.Join(*eventFiles, strings.ReplaceAll(name, " ", "-")+".bin")
	if err := os.WriteFile(file, samples, 0o666); err != nil {
		t.Error(err)
	}
}

// The estimates are checked with distributions of known entropy: 2 bits, and 2 bits of
// which the sample before tells all but one.
func TestEventsEstimates(t *testing.T) {
	iid, chain := make([]byte, 100000), make([]byte, 100000)
	for i := range iid {
		z, _ := sound(i)
		iid[i] = byte(z>>60) & 3
		if i > 0 {
			chain[i] = (chain[i-1] + byte(z>>50)&1) & 3
		}
	}
	for i, got := range []float64{mostCommon(iid), predicted(iid), mostCommon(chain), predicted(chain)} {
		if want := []float64{2, 2, 2, 1}[i]; math.Abs(got-want) > 0.05 {
			t.Errorf("estimate %d: %.3f bits, want %.3f", i, got, want)
		}
	}
}

// eventWorkloads are programs that report events with add until it returns false.
var eventWorkloads = []struct {
	name string
	run  func(t *testing.T, add func() bool)
}{
	// Requests of four clients that come one after the other, over the loopback: the
	// event is the start of the handler.
	{"http", func(t *testing.T, add func() bool) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !add() {
				w.WriteHeader(http.StatusGone)
			}
		}))
		defer server.Close()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					r, err := server.Client().Get(server.URL)
					if err != nil {
						t.Error(err)
						return
					}
					io.Copy(io.Discard, r.Body)
					r.Body.Close()
					if r.StatusCode != http.StatusOK {
						return
					}
				}
			})
		}
		wg.Wait()
	}},
	// Goroutines that hand a token around: the event is that one gets it.
	{"goroutines", func(t *testing.T, add func() bool) {
		const n = 10
		var ring [n]chan bool
		for i := range ring {
			ring[i] = make(chan bool, 1)
		}
		var wg sync.WaitGroup
		for i := range ring {
			wg.Go(func() {
				next := ring[(i+1)%n]
				for ok := range ring[i] {
					if ok = ok && add(); !ok {
						close(next)
						return
					}
					next <- ok
				}
				if i != n-1 {
					close(next)
				}
			})
		}
		ring[0] <- true
		wg.Wait()
	}},
	// A ticker of the program's own.
	{"ticker", func(t *testing.T, add func() bool) {
		tick := time.NewTicker(20 * time.Microsecond)
		defer tick.Stop()
		for range tick.C {
			if !add() {
				return
			}
		}
	}},
	// Two goroutines that yield to each other.
	{"yield", func(t *testing.T, add func() bool) {
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for add() {
					runtime.Gosched()
				}
			})
		}
		wg.Wait()
	}},
	// A loop that does nothing else.
	{"loop", func(t *testing.T, add func() bool) {
		for add() {
		}
	}},
}

// The claim, and the measurement that it rests on, for events of several kinds. They
// are recorded by GetNoise. The first ones tell the step of the clock.
func TestEventsAssessment(t *testing.T) {
	for _, w := range eventWorkloads {
		n := *eventSamples
		if w.name == "ticker" {
			n /= 20
		}
		samples, each := recordEvents(t, w.run, n)
		for try := 0; len(samples) < n/2; try++ {
			// Events are dropped while one that holds an array does not run.
			if try == 10 {
				t.Fatalf("%s: %d samples of %d events", w.name, len(samples), n)
			}
			samples, each = recordEvents(t, w.run, n)
		}
		// What part of the events is stuck is what a second run counts.
		e := NewEvents(EventsConfig{Array: maxEventsArray})
		var done atomic.Int64
		w.run(t, func() bool {
			e.Add(0)
			return done.Add(1) < int64(n+200)
		})
		st := e.Stats()
		assess(t, w.name, samples, 100*float64(st.Stuck)/float64(max(st.Events, 100)-99), eventsOSR, each)
		if st.Alarms != 0 {
			t.Logf("%-28s %+v", w.name, st)
		}
	}
}

// recordEvents returns at most n samples of a workload, and the time of one.
func recordEvents(t *testing.T, run func(t *testing.T, add func() bool), n int) ([]byte, time.Duration) {
	const lead = 300 // the first 100 intervals tell the step of the clock
	e := NewEvents(EventsConfig{Array: maxEventsArray})
	p := make([]byte, n)
	got := 0
	var mu sync.Mutex
	read := func() {
		mu.Lock()
		defer mu.Unlock()
		m, err := e.GetNoise(p[got:])
		if err != nil {
			t.Error(err)
		}
		got += m
	}
	var done atomic.Int64
	start := clock.Monotonic()
	run(t, func() bool {
		e.Add(0)
		i := int(done.Add(1))
		if i == lead/2 || i%4000 == 0 {
			read() // before an array is full
		}
		return i < n+lead
	})
	took := clock.Monotonic() - start
	read()
	return p[:got], took / time.Duration(n+lead)
}

// The same for wake-ups.
func TestSchedulerAssessment(t *testing.T) {
	for _, procs := range []int{0, 1} {
		func() {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			s := NewScheduler(SchedulerConfig{})
			p := make([]byte, *eventSamples)
			start := clock.Monotonic()
			n, err := s.GetNoise(p)
			if err != nil {
				t.Fatal(err)
			}
			took := clock.Monotonic() - start
			s = NewScheduler(SchedulerConfig{})
			for s.pool.events < uint64(min(len(p), 20000)) {
				if _, err := s.GetEntropy(t.Context(), make([]byte, 48), 384); err != nil {
					t.Fatal(err)
				}
			}
			name := fmt.Sprintf("wake-ups, GOMAXPROCS %d", runtime.GOMAXPROCS(0))
			assess(t, name, p[:n], 100*float64(s.pool.stuck)/float64(s.pool.events-99), schedulerOSR, took/time.Duration(n))
		}()
	}
}
