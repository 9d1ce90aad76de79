package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/seeding"
)

var benchCommand = command{
	name:  "bench",
	short: "how fast the generator is, beside crypto/rand",
	long: `Bench measures how long reads of several sizes take: from crypto/rand, from the generator
with the default settings, from its other mechanisms and modes; in one goroutine, and in
as many as there are processors, which share a generator. The ratio is the speed by that
of crypto/rand in the same run: 2x is twice as fast. Compare within one run: the times of
two machines, or of two hours of one that others use, tell nothing.

Each number is the best of three measurements, between which the others take turns. One
lasts as long as -time says, the whole command some hundred times of that.

  unbuffered      each read is combined with fresh bytes of the operating system
  buffered        output is generated ahead of need, 1024 bytes with the same inputs
  fresh           prediction resistance: the sources are asked for every 32 bytes
  seeds           full entropy from the sources alone, no generator
`,
	flags: func(f *flag.FlagSet) func(context.Context, stdio, []string) error {
		sizes := sizeList{16, 64, 256, 1024, 4096, 65536}
		f.Var(&sizes, "sizes", "`sizes` of a read in bytes, as 16,4K")
		duration := f.Duration("time", 30*time.Millisecond, "`time` of one measurement")
		asJSON := f.Bool("json", false, "print JSON")
		return func(ctx context.Context, std stdio, args []string) error {
			if err := noArgs(args); err != nil {
				return err
			}
			if *duration < time.Millisecond || *duration > time.Minute {
				return usagef("-time: %v; want 1ms to 1m", *duration)
			}
			report, err := bench(ctx, std.err, contestants, sizes, *duration)
			if err != nil {
				return err
			}
			return printFacts(std.out, *asJSON, report)
		}
	},
}

// A sizeList is a flag for sizes of reads.
type sizeList []int

// maxBenchSize is the largest read that is measured, and maxBenchSizes how many sizes are.
const (
	maxBenchSize  = 1 << 24
	maxBenchSizes = 16
)

func (l *sizeList) String() string {
	var s []string
	for _, n := range *l {
		s = append(s, sizeName(n))
	}
	return strings.Join(s, ",")
}

func (l *sizeList) Set(text string) error {
	var sizes []int
	for part := range strings.SplitSeq(text, ",") {
		var n size
		if err := n.Set(part); err != nil {
			return err
		}
		if n < 1 || n > maxBenchSize {
			return fmt.Errorf("want sizes from 1 to %s", sizeName(maxBenchSize))
		}
		sizes = append(sizes, int(n))
	}
	if len(sizes) > maxBenchSizes {
		return fmt.Errorf("want %d sizes at most", maxBenchSizes)
	}
	*l = sizes
	return nil
}

// sizeName returns a size as the flags take it.
func sizeName(n int) string {
	for i, suffix := range []string{"G", "M", "K"} {
		if unit := 1 << (30 - 10*i); n >= unit && n%unit == 0 {
			return fmt.Sprintf("%d%s", n/unit, suffix)
		}
	}
	return fmt.Sprint(n)
}

// A contestant is something to read from.
type contestant struct {
	name string

	// open returns what reads, safe for concurrent use, and what ends it.
	open func(context.Context) (read func([]byte) (int, error), end func(), err error)

	slow bool // it is measured with 32 bytes in one goroutine, and no others
}

// slowSize is the size of a read of those that are slow, in bytes: one block.
const slowSize = 32

var contestants = []contestant{
	{name: "crypto/rand", open: func(context.Context) (func([]byte) (int, error), func(), error) { return rand.Read, func() {}, nil }},
	{name: "lrng", open: generator(lrng.Config{}, (*lrng.RNG).Read)},
	{name: "unbuffered", open: generator(lrng.Config{OutputBuffer: -1}, (*lrng.RNG).Read)},
	{name: "buffered", open: generator(lrng.Config{OutputBuffer: 1024}, (*lrng.RNG).Read)},
	{name: "XDRBG-256", open: generator(lrng.Config{DRNG: func() (drng.DRNG, error) { return drng.NewXDRBG(), nil }}, (*lrng.RNG).Read)},
	{name: "CTR_DRBG", open: generator(lrng.Config{DRNG: func() (drng.DRNG, error) { return drng.NewCTR(drng.CTRConfig{}) }}, (*lrng.RNG).Read)},
	{name: "Hash_DRBG", open: generator(lrng.Config{DRNG: func() (drng.DRNG, error) { return drng.NewHash(crypto.SHA512) }}, (*lrng.RNG).Read)},
	{name: "HMAC_DRBG", open: generator(lrng.Config{DRNG: func() (drng.DRNG, error) { return drng.NewHMAC(crypto.SHA512) }}, (*lrng.RNG).Read)},
	{name: "fresh", slow: true, open: generator(lrng.Config{}, func(r *lrng.RNG, b []byte) (int, error) { return r.PredictionResistant().Read(b) })},
	{name: "seeds", slow: true, open: generator(lrng.Config{}, func(r *lrng.RNG, b []byte) (int, error) { return r.SeedReader().Read(b) })},
}

// generator returns what opens a generator that is fully seeded.
func generator(c lrng.Config, read func(*lrng.RNG, []byte) (int, error)) func(context.Context) (func([]byte) (int, error), func(), error) {
	return func(ctx context.Context) (func([]byte) (int, error), func(), error) {
		r, err := lrng.New(c)
		if err != nil {
			return nil, nil, err
		}
		if err := r.Wait(ctx, seeding.FullySeeded); err != nil {
			r.Close()
			return nil, nil, err
		}
		return func(b []byte) (int, error) { return read(r, b) }, func() { r.Close() }, nil
	}
}

// A benchReport is what bench prints.
type benchReport struct {
	OS         string `json:"os"`
	Arch       string `json:"arch"`
	Kernel     string `json:"kernel,omitempty"`
	CPU        string `json:"cpu,omitempty"`
	CPUs       int    `json:"cpus"`
	GOMAXPROCS int    `json:"gomaxprocs"`
	Go         string `json:"go"`
	FIPS       bool   `json:"fips"`   // FIPS mode is on
	DRNG       string `json:"drng"`   // the mechanism of "lrng"
	Buffer     int    `json:"buffer"` // that it generates ahead, in bytes

	Results []benchResult `json:"results"`
	Left    []benchLeft   `json:"left_out,omitempty"`
}

// A benchResult is the best measurement of a reader.
type benchResult struct {
	Reader     string  `json:"reader"`
	Goroutines int     `json:"goroutines"`
	Size       int     `json:"size"`            // of a read, in bytes
	Nanosec    float64 `json:"ns_per_read"`     // time by the number of reads of all goroutines
	MBs        float64 `json:"mb_per_s"`        // 10⁶ bytes a second, of all goroutines
	Ratio      float64 `json:"ratio,omitempty"` // speed by that of crypto/rand
	Reads      int64   `json:"reads"`           // of the measurement
	Seconds    float64 `json:"seconds"`         // it took
}

// A benchLeft is a reader that could not be measured.
type benchLeft struct {
	Reader string `json:"reader"`
	Error  string `json:"error"`
}

// benchRounds is how often each measurement is made.
const benchRounds = 3

// bench measures. The first contestant is what the others are compared with.
func bench(ctx context.Context, progressTo io.Writer, contestants []contestant, sizes []int, duration time.Duration) (*benchReport, error) {
	rep := &benchReport{
		OS: runtime.GOOS, Arch: runtime.GOARCH, Kernel: firstLine("/proc/sys/kernel/osrelease"), CPU: cpuModel(),
		CPUs: runtime.NumCPU(), GOMAXPROCS: runtime.GOMAXPROCS(0), Go: runtime.Version(),
	}
	status := lrng.Default().Status()
	rep.FIPS, rep.DRNG, rep.Buffer = status.Claim.FIPS, status.DRNG, status.OutputBuffer

	type job struct {
		reader, goroutines, size int
		read                     func([]byte) (int, error)
	}
	var jobs []job
	goroutines := []int{1}
	if n := runtime.GOMAXPROCS(0); n > 1 {
		goroutines = append(goroutines, n)
	}
	reads := make([]func([]byte) (int, error), len(contestants))
	for i, c := range contestants {
		read, end, err := c.open(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			rep.Left = append(rep.Left, benchLeft{c.name, err.Error()})
			continue
		}
		defer end()
		reads[i] = read
	}
	for _, n := range goroutines {
		for _, s := range sizes {
			for i, c := range contestants {
				if reads[i] != nil && !c.slow {
					jobs = append(jobs, job{i, n, s, reads[i]})
				}
			}
		}
	}
	for i, c := range contestants {
		if reads[i] != nil && c.slow {
			jobs = append(jobs, job{i, 1, slowSize, reads[i]})
		}
	}

	bar := newProgress(progressTo, int64(benchRounds*len(jobs)), "measurements")
	defer bar.stop()
	rep.Results = make([]benchResult, len(jobs))
	for round := range benchRounds {
		for i, j := range jobs {
			n, took, err := measure(ctx, j.read, j.size, j.goroutines, duration)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", contestants[j.reader].name, err)
			}
			ns := float64(took.Nanoseconds()) / float64(n)
			if best := &rep.Results[i]; round == 0 || ns < best.Nanosec {
				*best = benchResult{Reader: contestants[j.reader].name, Goroutines: j.goroutines, Size: j.size, Nanosec: ns, MBs: 1e3 * float64(j.size) / ns, Reads: n, Seconds: took.Seconds()}
			}
			bar.set(int64(round*len(jobs) + i + 1))
		}
	}
	for i := range rep.Results {
		r := &rep.Results[i]
		if base := rep.find(contestants[0].name, r.Goroutines, r.Size); base != nil {
			r.Ratio = base.Nanosec / r.Nanosec
		}
	}
	return rep, nil
}

// measure reads in so many goroutines until the time is over, and returns the number of
// reads and the time that they took.
func measure(ctx context.Context, read func([]byte) (int, error), size, goroutines int, duration time.Duration) (reads int64, took time.Duration, err error) {
	counts, errs := make([]int64, goroutines), make([]error, goroutines)
	var wg sync.WaitGroup
	begin := time.Now()
	for g := range goroutines {
		wg.Go(func() {
			b := make([]byte, size)
			defer clear(b)
			// The clock is looked at after 1, 2, 4 … reads, at last some hundred times.
			for batch := int64(1); ; {
				for range batch {
					if _, errs[g] = read(b); errs[g] != nil {
						return
					}
				}
				counts[g] += batch
				past := time.Since(begin)
				if errs[g] = ctx.Err(); errs[g] != nil || past >= duration {
					return
				}
				if past < duration/256 {
					batch *= 2
				}
			}
		})
	}
	wg.Wait()
	took = time.Since(begin)
	for _, n := range counts {
		reads += n
	}
	return reads, took, errors.Join(errs...)
}

// find returns the result of a reader, or nil.
func (r *benchReport) find(reader string, goroutines, size int) *benchResult {
	for i, res := range r.Results {
		if res.Reader == reader && res.Goroutines == goroutines && res.Size == size {
			return &r.Results[i]
		}
	}
	return nil
}

// String returns the report as tables, with a column for each size.
func (r *benchReport) String() string {
	b := new(bytes.Buffer)
	fmt.Fprintf(b, "%s/%s, %s, kernel %s, %s, GOMAXPROCS %d\n", r.OS, r.Arch, or(r.CPU, "unknown processor"), or(r.Kernel, "unknown"), r.Go, r.GOMAXPROCS)
	fmt.Fprintf(b, "lrng: %s, %d bytes ahead of need; FIPS mode: %t\n", r.DRNG, r.Buffer, r.FIPS)
	var names []string
	var sizes, goroutines []int
	var slow []benchResult
	for _, res := range r.Results {
		if res.Ratio == 0 {
			slow = append(slow, res)
			continue
		}
		names, sizes, goroutines = add(names, res.Reader), add(sizes, res.Size), add(goroutines, res.Goroutines)
	}
	cells := func(name string, value func(size int) string) {
		fmt.Fprintf(b, "%-12s", name)
		for _, s := range sizes {
			fmt.Fprintf(b, "%15s", value(s))
		}
		b.WriteString("\n")
	}
	for _, n := range goroutines {
		fmt.Fprintf(b, "\n%d goroutine%s: ns a read, and speed by that of %s\n", n, plural(n), names[0])
		cells("", func(s int) string { return sizeName(s) + " bytes" })
		for _, name := range names {
			cells(name, func(s int) string {
				res := r.find(name, n, s)
				return fmt.Sprintf("%s %6s", number(res.Nanosec), fmt.Sprintf("%.2fx", res.Ratio))
			})
		}
		fmt.Fprintf(b, "\n%d goroutine%s: MB/s\n", n, plural(n))
		for _, name := range names {
			cells(name, func(s int) string { return number(r.find(name, n, s).MBs) })
		}
	}
	if len(slow) > 0 {
		b.WriteString("\nFrom the sources\n")
	}
	for _, res := range slow {
		fmt.Fprintf(b, "%-12s%12s µs for %d bytes\n", res.Reader, number(res.Nanosec/1e3), res.Size)
	}
	for _, l := range r.Left {
		fmt.Fprintf(b, "\n%s was not measured: %s\n", l.Reader, l.Error)
	}
	return b.String()
}

// add appends v if it is not there.
func add[T comparable](list []T, v T) []T {
	for _, w := range list {
		if v == w {
			return list
		}
	}
	return append(list, v)
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// number returns v with three digits or all of those before the point.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
