package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
)

// A report is the page that is written.
type report struct {
	machine   machine
	sections  []section
	results   results
	missing   map[string]string // workers, and why they are
	libraries []string
	quick     bool
}

// notMeasured is in the place of a figure that there is not.
const notMeasured = "–"

// write writes the page in Markdown.
func (r report) write(w io.Writer) {
	p := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	p("# Benchmarks")
	p("")
	p("Written by `go run .` in internal/bench, which repeats all of it in some minutes. Absolute times do not carry over to another")
	p("machine; compare the rows of one run.")
	p("")
	if r.quick {
		p("**Made with -quick: these figures mean nothing.**")
		p("")
	}
	m := r.machine
	table(w, []string{"", ""}, [][]string{
		{"processor", m.CPU},
		{"its features, as far as they matter", strings.Join(m.Features, " ")},
		{"machine", m.Virtual},
		{"processors used", fmt.Sprint(m.Procs)},
		{"kernel", m.Kernel},
		{"Go", m.Go},
		{"lrng.Read", m.Package},
		{"libraries in C", cmpOr(strings.Join(r.libraries, ", "), "none")},
		{"load before", m.Load},
		{"date", m.Date},
		{"time in one goroutine", clockName + ", median of the repetitions, each at another depth of the stack"},
		{"time in several", "wall time, best of the repetitions"},
		{"repetitions", r.spread()},
	})
	for _, name := range slices.Sorted(maps.Keys(r.missing)) {
		p("")
		p("Not measured: %s (%s).", name, r.missing[name])
	}

	p("")
	p("## Targets")
	p("")
	p("What the project has set itself, and what came out in this run. \"Times\" means so many times as fast; of several of ours")
	p("the slowest counts.")
	p("")
	r.targets(w)

	p("")
	p("## What is compared")
	p("")
	table(w, []string{"name", "what it is"}, legend)

	p("")
	p("## One goroutine")
	p("")
	p("![Throughput over the size of a read](img/throughput.svg)")
	p("")
	s := r.section("throughput")
	p("Time of a read in nanoseconds; from 1 KiB on, throughput in GB/s.")
	p("")
	r.times(w, s, 1)
	p("")
	p("How many times as fast as crypto/rand / as the fastest peer of this run, those in C included; keystreams and math/rand/v2 are")
	p("not peers: nothing of theirs is erased or ever reseeded.")
	p("")
	r.ratios(w, s)
	p("")
	p("Allocations in a read, for those that have any:")
	p("")
	r.allocations(w, s)
	p("")
	p("What other processors would use: an own instance with each of the implementations that this one can run.")
	p("")
	r.times(w, r.section("kernels"), 1)

	p("")
	p("## Several goroutines")
	p("")
	p("Time in nanoseconds from the start of all to the end of the last, divided by the number of reads of all together; from 1 KiB")
	p("on, throughput of all together in GB/s. A shared generator:")
	p("")
	r.many(w, r.section("shared"))
	p("")
	p("A generator for each goroutine:")
	p("")
	r.many(w, r.section("own"))

	p("")
	p("## Latency")
	p("")
	p("![Latency of a read of 32 bytes](img/latency.svg)")
	p("")
	p("One read of 32 bytes in nanoseconds, wall time, the time of the clock included. \"Reseeding\" is with a goroutine that gives")
	p("every shard a new seed from the default sources again and again, without a pause.")
	p("")
	r.latencies(w, r.section("latency"))

	p("")
	p("## Numbers")
	p("")
	p("Uint64 of a math/rand/v2.Rand, in nanoseconds. Crypto/rand and the shared frand have no such source: 8 bytes are read.")
	p("")
	r.times(w, r.section("Uint64"), 1)

	p("")
	p("## Mechanisms")
	p("")
	p("One request without additional input to the mechanism itself: of 32 bytes in nanoseconds, of longer ones in GB/s.")
	p("")
	r.times(w, r.section("mechanisms"), 1)
	p("")
	p("Allocations in a request, for those that have any:")
	p("")
	r.allocations(w, r.section("mechanisms"))

	p("")
	p("## Entropy")
	p("")
	p("Collected for the call alone, from the default sources, milliseconds:")
	p("")
	r.milliseconds(w, r.section("collected"))
	p("")
	p("The first 32 bytes of a process, milliseconds, self-tests included:")
	p("")
	r.milliseconds(w, r.section("first"))
}

// legend says what the names in the tables mean.
var legend = [][]string{
	{"lrng.Read", "the package as a program gets it that changes its import line, with the zero Config"},
	{"lrng ahead", "Config{OutputBuffer: 65536}: output is generated ahead of need, 992 bytes at a time, and erased as it is handed out; 65536 bytes share the bytes of the operating system"},
	{"lrng own", "the same with Shards: 1, which one goroutine uses alone"},
	{"lrng unshared", "RNG.Unshared of one generator as in lrng ahead: each goroutine has a reader of its own"},
	{"lrng fresh", "Config{OutputBuffer: -1}: nothing is generated ahead; 16 bytes of the operating system, and more, go into the state in each read"},
	{"lrng CTR …", "the same with CTR_DRBG, AES-256 and derivation function; without CTR it is ChaCha20 with 20 rounds"},
	{"FIPS mode", "with GODEBUG=fips140=on, in a process of its own; lrng uses CTR_DRBG and the primitives of the standard library"},
	{"own", "an instance that one goroutine uses alone"},
	{"shared", "the functions of the package"},
	{"keystream", "nothing but the cipher: a limit, not a generator"},
}

func (r report) section(id string) section {
	for _, s := range r.sections {
		if s.id == id {
			return s
		}
	}
	return section{id: id}
}

// table writes a table.
func table(w io.Writer, head []string, rows [][]string) {
	line := func(cells []string) { fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | ")) }
	line(head)
	fmt.Fprintf(w, "|%s\n", strings.Repeat(" --- |", len(head)))
	for _, row := range rows {
		line(row)
	}
}

func cmpOr(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// targets writes the table of what was wanted.
func (r report) targets(w io.Writer) {
	var rows [][]string
	count := make(map[string]int)
	for _, t := range targets {
		var got, wanted, sizes []string
		outcome := "met"
		unit := func(v float64) string {
			switch {
			case t.times != nil:
				return fmt.Sprintf("%.2f", v)
			case t.metric == allocs:
				return fmt.Sprintf("%.0f", v)
			}
			return duration(v)
		}
		for i, v := range t.verdicts(r.results) {
			sizes = append(sizes, size(t.sizes[i]))
			wanted = append(wanted, unit(v.wanted))
			switch {
			case !v.measured:
				got = append(got, notMeasured)
				outcome = "not measured"
			case !v.met:
				got = append(got, unit(v.got))
				if outcome == "met" {
					outcome = "**not met**"
				}
			default:
				got = append(got, unit(v.got))
			}
		}
		count[strings.Trim(outcome, "*")]++
		kind := "at most"
		if t.times != nil {
			kind = "times"
		}
		note := t.than
		if t.thanSize != 0 {
			note += ", " + size(t.thanSize)
		}
		if t.note != "" {
			note = strings.TrimPrefix(note+"; "+t.note, "; ")
		}
		rows = append(rows, []string{
			t.what, strings.Join(slices.Compact(sizes), ", "), cmpOr(note, notMeasured),
			kind + " " + strings.Join(slices.Compact(wanted), " / "),
			strings.Join(compactSame(got), " / "), outcome,
		})
	}
	fmt.Fprintf(w, "Met: %d of %d. Not met: %d. Not measured: %d.\n\n", count["met"], len(targets), count["not met"], count["not measured"])
	table(w, []string{"what", "size", "against", "wanted", "got", "outcome"}, rows)
}

// compactSame returns one of the strings if they are all the same.
func compactSame(s []string) []string {
	if c := slices.Compact(slices.Clone(s)); len(c) == 1 {
		return c
	}
	return s
}

// times writes what s has for so many goroutines.
func (r report) times(w io.Writer, s section, goroutines int) {
	head := []string{""}
	for _, n := range s.sizes {
		head = append(head, size(n))
	}
	var rows [][]string
	for _, c := range s.contenders {
		row := []string{c.name}
		for _, n := range s.sizes {
			row = append(row, r.figure(key{s.id, s.metric, c.name, n, goroutines}))
		}
		rows = append(rows, row)
	}
	table(w, head, rows)
}

// figure returns a time, or from 1 KiB on a throughput.
func (r report) figure(k key) string {
	v, ok := r.results.value(k)
	switch {
	case !ok:
		return notMeasured
	case k.size >= 1<<10:
		return fmt.Sprintf("%.2f GB/s", float64(k.size)/v)
	}
	return nanoseconds(v)
}

// nanoseconds returns a time with at least three digits.
func nanoseconds(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// ratios writes how ours compare.
func (r report) ratios(w io.Writer, s section) {
	head := []string{""}
	fastest := []string{"the fastest peer"}
	for _, n := range s.sizes {
		head = append(head, size(n))
		name, _, ok := r.results.fastest(s, key{s.id, s.metric, "", n, 1}, peer, inC)
		if !ok {
			name = notMeasured
		}
		fastest = append(fastest, name)
	}
	rows := [][]string{fastest}
	for _, c := range s.contenders {
		if c.kind != ours {
			continue
		}
		row := []string{c.name}
		for _, n := range s.sizes {
			k := key{s.id, s.metric, c.name, n, 1}
			to := k
			to.name = cryptoRand
			reference, _ := r.results.value(to)
			_, best, _ := r.results.fastest(s, k, peer, inC)
			row = append(row, r.ratio(k, reference)+" / "+r.ratio(k, best))
		}
		rows = append(rows, row)
	}
	table(w, head, rows)
}

// ratio returns how many times as fast as the reference the figure is.
func (r report) ratio(k key, reference float64) string {
	v, ok := r.results.value(k)
	if !ok || reference == 0 {
		return notMeasured
	}
	return fmt.Sprintf("%.2f", reference/v)
}

// allocations writes who allocates in a read.
func (r report) allocations(w io.Writer, s section) {
	var rows [][]string
	for _, c := range s.contenders {
		most := 0.0
		for _, n := range s.sizes {
			v, _ := r.results.value(key{s.id, allocs, c.name, n, 1})
			most = max(most, v)
		}
		if most > 0 {
			rows = append(rows, []string{c.name, fmt.Sprintf("%.0f", most)})
		}
	}
	if rows == nil {
		rows = [][]string{{"none has", "0"}}
	}
	table(w, []string{"", "at most"}, rows)
}

// many writes what s has for several numbers of goroutines.
func (r report) many(w io.Writer, s section) {
	head := []string{"", "goroutines"}
	for _, n := range s.sizes {
		head = append(head, size(n))
	}
	var rows [][]string
	for _, c := range s.contenders {
		for _, g := range s.goroutines {
			row := []string{c.name, fmt.Sprint(g)}
			for _, n := range s.sizes {
				row = append(row, r.figure(key{s.id, s.metric, c.name, n, g}))
			}
			rows = append(rows, row)
		}
	}
	table(w, head, rows)
}

// latencies writes the percentiles.
func (r report) latencies(w io.Writer, s section) {
	head := []string{""}
	for _, m := range latencyMetrics {
		head = append(head, string(m))
	}
	var rows [][]string
	for _, c := range s.contenders {
		row := []string{c.name}
		for _, m := range latencyMetrics {
			row = append(row, r.figure(key{s.id, m, c.name, 32, 1}))
		}
		rows = append(rows, row)
	}
	table(w, head, rows)
}

// milliseconds writes what takes long.
func (r report) milliseconds(w io.Writer, s section) {
	head := []string{""}
	for _, n := range s.sizes {
		head = append(head, size(n))
	}
	var rows [][]string
	for _, c := range s.contenders {
		row := []string{c.name}
		for _, n := range s.sizes {
			cell := notMeasured
			if v, ok := r.results.value(key{s.id, s.metric, c.name, n, 1}); ok {
				cell = fmt.Sprintf("%.3f", v/1e6)
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	table(w, head, rows)
}

// spread says how many repetitions there were and how much they differ: the median, over
// all figures, of the distance between the quartiles as a part of the median.
func (r report) spread() string {
	var spreads []float64
	n := 0
	for k, v := range r.results {
		if k.metric == allocs {
			continue
		}
		n = max(n, len(v))
		v = slices.Sorted(slices.Values(v))
		if median := v[len(v)/2]; median > 0 {
			spreads = append(spreads, (v[len(v)*3/4]-v[len(v)/4])/median)
		}
	}
	if len(spreads) == 0 {
		return "none"
	}
	slices.Sort(spreads)
	return fmt.Sprintf("%d, interleaved; the middle half of them is within %.1f %% of the median for half of the figures, within %.0f %% for nine in ten",
		n, 100*spreads[len(spreads)/2], math.Ceil(100*spreads[len(spreads)*9/10]))
}

// size writes a number of bytes.
func size(n int) string {
	if n >= 1<<10 && n%(1<<10) == 0 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// duration writes nanoseconds.
func duration(ns float64) string {
	switch {
	case ns >= 1e6:
		return fmt.Sprintf("%.2f ms", ns/1e6)
	case ns >= 1e4:
		return fmt.Sprintf("%.1f µs", ns/1e3)
	}
	return nanoseconds(ns) + " ns"
}
