package main

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A local measures subjects in this process.
type local struct {
	subjects map[string]subject
	opened   map[string][]operation // one for each goroutine so far, or one for all
	depth    int                    // of the stack, at the next measurement
}

func newLocal() *local {
	l := &local{subjects: make(map[string]subject), opened: make(map[string][]operation)}
	for _, s := range subjects() {
		l.subjects[s.name] = s
	}
	return l
}

func (l *local) close() error { return nil }

// names returns the names of the subjects.
func (l *local) names() []string {
	var names []string
	for name := range l.subjects {
		names = append(names, name)
	}
	return names
}

// operations returns operations for so many goroutines.
func (l *local) operations(name string, goroutines int) (subject, []operation, error) {
	s, ok := l.subjects[name]
	if !ok {
		return s, nil, fmt.Errorf("no subject %q", name)
	}
	ops := l.opened[name]
	for len(ops) == 0 || !s.shared && len(ops) < goroutines {
		op, err := s.open()
		if err != nil {
			return s, nil, fmt.Errorf("%s: %w", name, err)
		}
		ops = append(ops, op)
	}
	l.opened[name] = ops
	if s.shared {
		ops = slices.Repeat(ops[:1], goroutines)
	}
	return s, ops[:goroutines], nil
}

// measure is the method of worker.
func (l *local) measure(j job) (values []float64, err error) {
	s, ops, err := l.operations(j.name, j.goroutines)
	if err != nil {
		return nil, err
	}
	l.depth = (l.depth + 1) % depths
	run := func() {
		switch j.metric {
		case cpuTime:
			deep(l.depth, func() { values, err = measureCPU(ops[0], j.size, j.n) })
		case wallTime:
			values, err = measureWall(ops, j.size, j.n)
		case latency:
			values, err = measureLatency(ops[0], j.size, j.n)
		default:
			err = fmt.Errorf("no metric %q", j.metric)
		}
	}
	if s.during != nil {
		s.during(run)
	} else {
		run()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", j.name, err)
	}
	return values, nil
}

// depths is how many places on the stack there are to measure at. Where a buffer on the stack and
// one elsewhere are a multiple of 4 KiB apart, loads wait for stores that they have nothing to do with:
// SHA-512 takes a third longer at one depth of 60. No figure is to depend on that.
const depths = 61

// deep calls f so deep in the stack.
//
//go:noinline
func deep(n int, f func()) {
	if n > 0 {
		deep(n-1, f)
		return
	}
	f()
}

// measureCPU returns the time of the processor that one of n operations takes, in
// nanoseconds, and the allocations in it.
func measureCPU(op operation, size, n int) ([]float64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p := make([]byte, size)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := threadTime()
	for range n {
		if err := op(p); err != nil {
			return nil, err
		}
	}
	elapsed := threadTime() - start
	runtime.ReadMemStats(&after)
	// Whole ones only, as in package testing: the runtime and reseeds have a few of
	// their own.
	allocs := math.Floor(float64(after.Mallocs-before.Mallocs) / float64(n))
	return []float64{float64(elapsed) / float64(n), allocs}, nil
}

// batches is how many pieces n operations come in, for the goroutines to take in turn. With
// one piece for each of them, the processors would wait for the last goroutine.
const batches = 1 << 8

// measureWall returns the time from the start of n operations, spread over goroutines,
// to the end of the last one, divided by n, in nanoseconds.
func measureWall(ops []operation, size, n int) ([]float64, error) {
	var ready, done sync.WaitGroup
	var failed atomic.Pointer[error]
	var taken atomic.Int64
	batch := (n + batches - 1) / batches
	start := make(chan struct{})
	for _, op := range ops {
		ready.Add(1)
		done.Go(func() {
			p := make([]byte, size)
			ready.Done()
			<-start
			for {
				end := int(taken.Add(int64(batch)))
				for range min(batch, n-end+batch) {
					if err := op(p); err != nil {
						failure := err // err itself would be on the heap, for each operation
						failed.Store(&failure)
						return
					}
				}
				if end >= n {
					return
				}
				if len(ops) > runtime.GOMAXPROCS(0) { // else it would only go to another processor
					runtime.Gosched()
				}
			}
		})
	}
	ready.Wait()
	begin := time.Now()
	close(start)
	done.Wait()
	elapsed := time.Since(begin)
	if err := failed.Load(); err != nil {
		return nil, *err
	}
	return []float64{float64(elapsed) / float64(n)}, nil
}

// percentiles are those that measureLatency returns.
var percentiles = []float64{0.5, 0.99, 0.999}

// measureLatency times n operations one by one and returns percentiles, in nanoseconds.
// The time that the clock takes is in them.
func measureLatency(op operation, size, n int) ([]float64, error) {
	p := make([]byte, size)
	times := make([]int64, n)
	base := time.Now() // Since reads one clock, Now two
	for i := range times {
		start := time.Since(base)
		if err := op(p); err != nil {
			return nil, err
		}
		times[i] = int64(time.Since(base) - start)
	}
	slices.Sort(times)
	var values []float64
	for _, q := range percentiles {
		values = append(values, float64(times[percentileIndex(q, n)]))
	}
	return values, nil
}

// percentileIndex returns the index of the smallest of n sorted values that a part q
// of them does not exceed.
func percentileIndex(q float64, n int) int {
	return min(max(int(math.Ceil(q*float64(n)))-1, 0), n-1)
}
