package main

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// The program starts itself, which is this test.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// tables returns the tables of a page, each by the text of its first heading above.
// It checks that all rows of a table have the same number of cells.
func tables(t *testing.T, page string) map[string][][]string {
	t.Helper()
	found := make(map[string][][]string)
	heading, columns := "", 0
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		if text, ok := strings.CutPrefix(line, "## "); ok {
			heading = text
		}
		if !strings.HasPrefix(line, "|") {
			columns = 0
			continue
		}
		if !strings.HasSuffix(line, "|") {
			t.Errorf("row does not end: %s", line)
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if columns == 0 {
			columns = len(cells)
		}
		if len(cells) != columns {
			t.Errorf("%d cells, the head has %d: %s", len(cells), columns, line)
		}
		if !strings.HasPrefix(cells[0], "---") {
			found[heading] = append(found[heading], cells)
		}
	}
	return found
}

// row returns the first row of the table whose first cell is this one.
func row(t *testing.T, table [][]string, name string) []string {
	t.Helper()
	for _, cells := range table {
		if cells[0] == name {
			return cells[1:]
		}
	}
	t.Errorf("no row %q", name)
	return nil
}

// synthetic returns results in which everything takes 100 ns, but for what f says, with
// neighbours that must not count: a higher one for the median, and two for the best.
func synthetic(sections []section, f func(key) (float64, bool)) results {
	res := make(results)
	for _, s := range sections {
		metrics := []metric{s.metric}
		switch s.metric {
		case latency:
			metrics = latencyMetrics
		case cpuTime:
			metrics = append(metrics, allocs)
		}
		for _, c := range s.contenders {
			for _, n := range s.sizes {
				for _, g := range append([]int{1}, s.goroutines...) {
					for _, m := range metrics {
						k := key{s.id, m, c.name, n, g}
						v, ok := f(k)
						switch {
						case !ok:
							delete(res, k)
						case m == wallTime:
							res[k] = []float64{v + 2, v, v + 1}
						default:
							res[k] = []float64{v + 1000, v, v / 2}
						}
					}
				}
			}
		}
	}
	return res
}

func everything100(k key) (float64, bool) {
	if k.metric == allocs {
		return 0, true
	}
	return 100, true
}

func TestValue(t *testing.T) {
	for _, tt := range []struct {
		metric metric
		values []float64
		want   float64
		ok     bool
	}{
		{cpuTime, nil, 0, false},
		{cpuTime, []float64{7}, 7, true},
		{cpuTime, []float64{9, 1, 5}, 5, true},
		{cpuTime, []float64{9, 1, 5, 3}, 4, true},
		{"p99", []float64{9, 1, 5}, 5, true},
		{wallTime, []float64{9, 1, 5}, 1, true},
	} {
		k := key{"s", tt.metric, "c", 1, 1}
		if got, ok := (results{k: tt.values}).value(k); got != tt.want || ok != tt.ok {
			t.Errorf("%s %v: got %v %v", tt.metric, tt.values, got, ok)
		}
	}
}

// The ratios are those of the figures: the one with crypto/rand and the one with whoever
// is the fastest peer, which neither a keystream nor one of ours is.
func TestRatios(t *testing.T) {
	sections := plan()
	times := map[string]float64{
		"lrng own": 20, "lrng ahead": 25, cryptoRand: 90, "frand 1.4 own": 30, "OpenSSL RAND_bytes": 28,
		"AES-256-CTR keystream, crypto/cipher": 10,
	}
	res := synthetic(sections, func(k key) (float64, bool) {
		if v := times[k.name]; v != 0 && k.metric == cpuTime && k.size <= 32 {
			return v, true
		}
		return everything100(k)
	})
	var page bytes.Buffer
	report{sections: sections, results: res}.write(&page)
	table := tables(t, page.String())["One goroutine"]

	i := slices.IndexFunc(table, func(cells []string) bool { return cells[0] == "the fastest peer" })
	if i < 0 {
		t.Fatal("no ratios")
	}
	for name, want := range map[string]string{
		"the fastest peer": "OpenSSL RAND_bytes",
		"lrng own":         "4.50 / 1.40",
		"lrng ahead":       "3.60 / 1.12",
		"lrng fresh":       "0.90 / 0.28",
	} {
		got := row(t, table[i:], name)
		if len(got) < 3 || got[0] != want || got[1] != want {
			t.Errorf("%s: got %q, want %s", name, got, want)
		}
		if name == "lrng own" && got[7] != "1.00 / 1.00" {
			t.Errorf("64 KiB: got %s", got[7])
		}
	}
	if got := row(t, table, "lrng own"); got[0] != "20.0" || got[4] != "10.24 GB/s" {
		t.Errorf("times are %q", got)
	}
}

// Every target at its border: met at it, not met just beyond, not measured without one
// of its figures.
func TestTargets(t *testing.T) {
	sections := plan()
	known := make(map[string]bool) // those of all machines
	for _, s := range sections {
		for _, c := range s.contenders {
			known[s.id+"\t"+c.name] = true
		}
	}
	for _, tt := range targets {
		if tt.times != nil && len(tt.times) != len(tt.sizes) || (tt.times == nil) != (tt.than == "" && tt.thanGoroutines == 0) {
			t.Fatalf("%s, %s: malformed", tt.what, tt.than)
		}
		s := report{sections: sections}.section(tt.section)
		for _, name := range append([]string{tt.than}, tt.ours...) {
			if name != "" && !known[tt.section+"\t"+name] && !strings.HasPrefix(name, "ChaCha20 AVX") {
				t.Errorf("%s: no contender %q in %q", tt.what, name, tt.section)
			}
		}
		for _, n := range tt.sizes {
			if !slices.Contains(s.sizes, n) {
				t.Errorf("%s: size %d is not measured", tt.what, n)
			}
		}
		for i, size := range tt.sizes {
			// Ours takes 1000/wanted where the other takes 1000, and one of them
			// a little more or less.
			border := tt.limit
			if tt.times != nil {
				border = 1000 / tt.times[i]
			}
			set := func(worst float64) results {
				res := make(results)
				for j, name := range tt.ours {
					v := border
					if j == len(tt.ours)-1 {
						v = worst
					}
					if tt.above != "" {
						res[key{mechanisms.id, tt.metric, tt.above, size, 1}] = []float64{500}
						v += 500
					}
					res[key{tt.section, tt.metric, name, size, max(tt.goroutines, 1)}] = []float64{v}
				}
				if tt.times != nil {
					others := tt.ours
					if tt.than != "" {
						others = []string{tt.than}
					}
					for _, name := range others {
						res[key{tt.section, tt.metric, name, cmp.Or(tt.thanSize, size), max(tt.thanGoroutines, 1)}] = []float64{1000}
					}
				}
				return res
			}
			what := fmt.Sprintf("%s, %s, %d bytes", tt.what, tt.than, size)
			if v := tt.verdicts(set(border))[i]; !v.measured || !v.met {
				t.Errorf("%s: at the border: %+v", what, v)
			}
			if v := tt.verdicts(set(border * 0.5))[i]; !v.measured || !v.met {
				t.Errorf("%s: within: %+v", what, v)
			}
			if v := tt.verdicts(set(border*1.05 + 0.1))[i]; !v.measured || v.met {
				t.Errorf("%s: beyond: %+v", what, v)
			}
			for k := range set(border) {
				res := set(border)
				delete(res, k)
				if v := tt.verdicts(res)[i]; v.measured || v.met {
					t.Errorf("%s: without %v: %+v", what, k, v)
				}
			}
		}
	}
}

// The table of targets says what the verdicts do.
func TestTargetTable(t *testing.T) {
	sections := plan()
	res := synthetic(sections, func(k key) (float64, bool) {
		if k.section == "throughput" && k.name == "lrng unshared" && k.metric == cpuTime {
			return 10, true // 10 times as fast as all others
		}
		if k.section == "latency" {
			return 0, false
		}
		return everything100(k)
	})
	var page bytes.Buffer
	report{sections: sections, results: res}.write(&page)
	table := tables(t, page.String())["Targets"]
	if len(table) != len(targets)+1 {
		t.Errorf("%d rows for %d targets", len(table)-1, len(targets))
	}
	for name, want := range map[string][]string{
		"unshared reader":                    {"32 B", cryptoRand, "times 7.00", "10.00", "met"},
		"read-ahead, one goroutine":          {"16 B, 32 B, 64 B", cryptoRand, "times 3.50 / 4.50 / 5.50", "1.00", "**not met**"},
		"p99.9, reseeding in the background": {"32 B", cryptoRand, "times 0.77", notMeasured, "not measured"},
		"GetSeed":                            {"32 B", "ESDM, " + elsewhere, "at most 4.70 ms", "100 ns", "met"},
	} {
		if got := row(t, table, name); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// The pictures are well-formed, and show who has figures.
func TestPlots(t *testing.T) {
	res := synthetic(plan(), func(k key) (float64, bool) {
		if k.name == "frand 1.4 shared" {
			return 0, false
		}
		return everything100(k)
	})
	for name, draw := range plots {
		svg, err := draw(res)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text := checkSVG(t, name, svg)
		for _, want := range []string{"lrng own", "lrng.Read", cryptoRand, cryptoRandFIPS} {
			if !slices.Contains(text, want) {
				t.Errorf("%s does not show %s", name, want)
			}
		}
		if slices.Contains(text, "frand 1.4 shared") {
			t.Errorf("%s shows who has no figures", name)
		}
		if _, err := draw(nil); err == nil {
			t.Errorf("%s: a picture of nothing", name)
		}
	}
}

// checkSVG checks that it is XML, and returns the texts in it.
func checkSVG(t *testing.T, name string, svg []byte) []string {
	t.Helper()
	var text []string
	d := xml.NewDecoder(bytes.NewReader(svg))
	depth, root := 0, ""
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if depth++; depth == 1 {
				root = token.Name.Local
			}
		case xml.EndElement:
			depth--
		case xml.CharData:
			text = append(text, string(token))
		}
	}
	if root != "svg" || depth != 0 {
		t.Errorf("%s: root is %q, %d elements are open", name, root, depth)
	}
	for _, bad := range []string{"NaN", "Inf"} {
		if bytes.Contains(svg, []byte(bad)) {
			t.Errorf("%s has %s in it", name, bad)
		}
	}
	return text
}

// A run with next to no effort measures every row that this machine has, and writes
// what it prints.
func TestQuick(t *testing.T) {
	dir := t.TempDir()
	var stdout, stderr bytes.Buffer
	if err := run([]string{"-quick", "-out", dir}, &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	page, err := os.ReadFile(filepath.Join(dir, "benchmarks.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(page, stdout.Bytes()) {
		t.Error("the page is not what was printed")
	}
	if !strings.Contains(string(page), "these figures mean nothing") {
		t.Error("the page does not say that the figures mean nothing")
	}
	for name := range plots {
		svg, err := os.ReadFile(filepath.Join(dir, "img", name))
		if err != nil {
			t.Fatal(err)
		}
		checkSVG(t, name, svg)
	}
	found := tables(t, string(page))
	headings := map[string]string{
		"throughput": "One goroutine", "kernels": "One goroutine", "shared": "Several goroutines", "own": "Several goroutines",
		"latency": "Latency", "Uint64": "Numbers", "mechanisms": "Mechanisms", "collected": "Entropy", "first": "Entropy",
	}
	for _, s := range plan() {
		for _, c := range s.contenders {
			cells := row(t, found[headings[s.id]], c.name)
			// Those in C need a compiler and the library.
			missing := strings.Contains(string(page), "Not measured: "+c.worker+" ")
			if c.kind != inC && missing {
				t.Errorf("%s: %s was not measured", s.id, c.name)
			}
			for _, cell := range cells {
				v, err := strconv.ParseFloat(strings.TrimSuffix(cell, " GB/s"), 64)
				if (err != nil || v < 0) && !(missing && cell == notMeasured) {
					t.Errorf("%s: %s: cell %q", s.id, c.name, cell)
				}
			}
		}
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{"more"}, {"-no"}, {"-quick", "more"}} {
		if err := run(args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

// The other version of frand is the only difference between the two.
func TestModules(t *testing.T) {
	a, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("frand15.mod")
	if err != nil {
		t.Fatal(err)
	}
	const module = "lukechampine.com/frand "
	if !bytes.Contains(a, []byte(module+"v1.4.")) || !bytes.Contains(b, []byte(module+"v1.5.")) {
		t.Error("not versions 1.4 and 1.5")
	}
	other := func(p []byte) []string {
		return slices.DeleteFunc(strings.Split(string(p), "\n"), func(line string) bool { return strings.Contains(line, module) })
	}
	if !slices.Equal(other(a), other(b)) {
		t.Error("go.mod and frand15.mod differ in more than frand")
	}
}

// What is measured is what its name says as far as that shows: each reader of ours and
// of others fills what it is given, with other bytes each time.
func TestSubjectsRead(t *testing.T) {
	l := newLocal()
	for _, s := range subjects() {
		if strings.HasPrefix(s.name, "Uint64") || s.name == "GetSeed" {
			continue
		}
		_, ops, err := l.operations(s.name, 1)
		if err != nil {
			t.Fatal(err)
		}
		a, b := make([]byte, 100), make([]byte, 100)
		if err := errors.Join(ops[0](a), ops[0](b)); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		// Of 100 random bytes no 16 in a row are zero, with a probability of 1-2⁻¹²¹.
		if bytes.Equal(a, b) || bytes.Contains(a, make([]byte, 16)) || bytes.Contains(b, make([]byte, 16)) {
			t.Errorf("%s: read %x and %x", s.name, a, b)
		}
	}
}

func TestProtocol(t *testing.T) {
	l := newLocal()
	jobs := []string{
		job{cpuTime, "AES-CTR", 16, 1, 10}.String(),
		job{wallTime, "AES-CTR", 16, 3, 10}.String(),
		job{latency, "AES-CTR", 16, 1, 10}.String(),
		job{cpuTime, "no such subject", 16, 1, 10}.String(),
		job{"no such metric", "AES-CTR", 16, 1, 10}.String(),
		"cpu\tAES-CTR\t16\t1",
		"cpu\tAES-CTR\t16\t1\t0",
		"cpu\tAES-CTR\tx\t1\t1",
	}
	var out bytes.Buffer
	if err := serve(l, strings.NewReader(strings.Join(jobs, "\n")+"\n"), &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != len(jobs)+1 {
		t.Fatalf("%d lines: %q", len(lines), lines)
	}
	if !slices.Contains(strings.Split(lines[0], "\t"), "AES-CTR") {
		t.Errorf("names: %q", lines[0])
	}
	for i, want := range []int{2, 1, len(percentiles)} {
		if values, err := parseValues(lines[1+i]); err != nil || len(values) != want {
			t.Errorf("%s: %v, %v", jobs[i], values, err)
		}
	}
	for i, line := range lines[4:] {
		if !strings.HasPrefix(line, "error\t") {
			t.Errorf("%q: reply %q", jobs[3+i], line)
		}
	}
	for _, reply := range []string{"", "x", "1 x", "-1", "NaN"} {
		if values, err := parseValues(reply); err == nil {
			t.Errorf("reply %q: %v", reply, values)
		}
	}
}

func TestMeasure(t *testing.T) {
	calls := 0
	op := func(p []byte) error {
		if calls++; len(p) != 5 {
			t.Errorf("%d bytes", len(p))
		}
		return nil
	}
	if v, err := measureCPU(op, 5, 100); err != nil || len(v) != 2 || v[1] != 0 {
		t.Errorf("CPU time: %v, %v", v, err)
	}
	if calls != 100 {
		t.Errorf("%d calls for 100", calls)
	}
	calls = 0
	if v, err := measureLatency(op, 5, 1000); err != nil || len(v) != 3 || !slices.IsSorted(v) {
		t.Errorf("latency: %v, %v", v, err)
	}
	if calls != 1000 {
		t.Errorf("%d calls for 1000", calls)
	}

	// Goroutines share the calls, and take turns where there are more than processors.
	for _, n := range []int{1, 3, 10, batches - 1, batches, batches + 1, 10*batches + 7} {
		for begin := time.Now(); ; {
			each := make([]int, runtime.GOMAXPROCS(0)+1)
			var ops []operation
			for i := range each {
				ops = append(ops, func([]byte) error { each[i]++; return nil })
			}
			if v, err := measureWall(ops, 5, n); err != nil || len(v) != 1 || v[0] <= 0 {
				t.Errorf("wall time: %v, %v", v, err)
			}
			sum := 0
			for _, n := range each {
				sum += n
			}
			if sum != n {
				t.Errorf("calls: %v of %d", each, n)
			}
			if n <= batches || slices.Min(each) > 0 {
				break
			}
			// One goroutine can have them all if the machine stops the processor of the others.
			if time.Since(begin) > 10*time.Second {
				t.Errorf("calls, at last: %v of %d", each, n)
				break
			}
		}
	}
	// Nothing is allocated in a call.
	if allocs := testing.AllocsPerRun(10, func() {
		measureWall([]operation{func([]byte) error { return nil }}, 5, 10000)
	}); allocs > 100 {
		t.Errorf("%v allocations in 10000 calls", allocs)
	}

	// Allocations count from one in each operation on.
	var kept []byte
	if v, err := measureCPU(func([]byte) error { kept = make([]byte, 100); return nil }, 5, 100); err != nil || v[1] < 1 {
		t.Errorf("allocations: %v, %v", v, err)
	}
	_ = kept

	broken := errors.New("broken")
	fail := func([]byte) error { return broken }
	_, cpu := measureCPU(fail, 5, 1)
	_, wall := measureWall([]operation{fail, fail}, 5, 2)
	_, lat := measureLatency(fail, 5, 1)
	for _, err := range []error{cpu, wall, lat} {
		if !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	}
}

// Each depth is another place on the stack.
func TestDeep(t *testing.T) {
	places := make(map[uintptr]bool)
	for n := range depths {
		deep(n, func() {
			var here byte
			places[uintptr(unsafe.Pointer(&here))%4096] = true
		})
	}
	if len(places) < depths*3/4 {
		t.Errorf("%d places on the stack in %d calls", len(places), depths)
	}
}

func TestPercentileIndex(t *testing.T) {
	for _, tt := range []struct {
		q       float64
		n, want int
	}{
		{0.5, 1, 0}, {0.5, 2, 0}, {0.5, 3, 1}, {0.99, 100, 98}, {0.99, 101, 99}, {0.999, 1000, 998}, {0.999, 10, 9},
	} {
		if got := percentileIndex(tt.q, tt.n); got != tt.want {
			t.Errorf("%v of %d: %d, want %d", tt.q, tt.n, got, tt.want)
		}
	}
}
