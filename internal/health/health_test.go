package health

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// B10: the count starts at 1, and the alarm is raised when it reaches the cut-off.
// For H = 1 and α = 2⁻³⁰ 30 equal symbols pass and the 31st fails.
func TestRCTBoundaries(t *testing.T) {
	for osr := 1; osr <= 20; osr++ {
		c := cutoffs(t, 1/float64(osr)).rct
		if c.Intermittent != 30*osr+1 || c.Permanent != 60*osr+1 {
			t.Fatalf("osr %d: cut-offs %+v", osr, c)
		}
		test := NewRCT(c)
		test.Next(7)
		test.Next(8)
		// Two symbols have been seen, so the run of eights is one long.
		for n := 2; n <= c.Permanent+1; n++ {
			want := Pass
			switch {
			case n >= c.Permanent:
				want = Permanent
			case n >= c.Intermittent:
				want = Intermittent
			}
			if got := test.Next(8); got != want || test.count != n {
				t.Fatalf("osr %d: symbol %d of a run: result %d, count %d, want result %d", osr, n, got, test.count, want)
			}
		}
		if got := test.Next(9); got != Pass || test.count != 1 {
			t.Errorf("osr %d: the symbol after the run: result %d, count %d", osr, got, test.count)
		}
	}
}

// A run that is broken just before the cut-off does not count for the next.
func TestRCTRunBroken(t *testing.T) {
	test := NewRCT(Cutoffs{31, 61})
	for i := range 10 * 31 {
		x := uint64(1)
		if i%31 == 30 {
			x = 2
		}
		if got := test.Next(x); got != Pass {
			t.Fatalf("symbol %d: result %d after runs of 30", i, got)
		}
	}
}

// The first symbol starts the first run, also if it is the zero value.
func TestRCTFirstSymbol(t *testing.T) {
	byValue, byCaller := NewRCT(Cutoffs{3, 0}), NewRCT(Cutoffs{3, 0})
	for n := 1; n <= 5; n++ {
		want := Pass
		if n >= 3 {
			want = Intermittent // and never permanent: there is no such cut-off
		}
		if got := byValue.Next(0); got != want {
			t.Errorf("Next: zero number %d: %d, want %d", n, got, want)
		}
		if got := byCaller.Repeat(true); got != want {
			t.Errorf("Repeat: sample %d: %d, want %d", n, got, want)
		}
	}
}

// B11, B12: the first symbol of a window counts as 1. For osr = 1, W = 512 the
// 325th occurrence fails and the 324th passes; 355 and 354 for permanent.
func TestAPTBoundaries(t *testing.T) {
	for osr := 1; osr <= 20; osr++ {
		c := cutoffs(t, 1/float64(osr)).apt
		// The other symbols of the window come first, where they help least to
		// raise the count in time, then last.
		for _, othersFirst := range []bool{true, false} {
			test := NewAPT(c, 512)
			test.Next(1)
			others := uint64(2)
			spare := 512 - max(c.Intermittent, c.Permanent)
			if othersFirst {
				for range spare {
					if got := test.Next(others); got != Pass {
						t.Fatalf("osr %d: another symbol: result %d", osr, got)
					}
					others++
				}
			}
			for n := 2; n <= 512-spare; n++ {
				want := Pass
				switch {
				case c.Permanent != 0 && n >= c.Permanent:
					want = Permanent
				case n >= c.Intermittent:
					want = Intermittent
				}
				if got := test.Next(1); got != want || test.count != n {
					t.Fatalf("osr %d: occurrence %d: result %d, count %d, want result %d", osr, n, got, test.count, want)
				}
			}
		}
	}
}

// Windows do not overlap, and the symbol after a window opens the next one: the
// last symbol of a window is not the base of the next (a defect of LRNG).
func TestAPTWindows(t *testing.T) {
	test := NewAPT(Cutoffs{5, 0}, 8)
	for i, step := range []struct {
		symbols string // a window
		fails   string // where the alarm is: 'x'
	}{
		// Four times the base; the symbol that ends a window fills the next. A
		// sliding window, or one that kept the base of the last, would fail.
		{"aaaabbbb", "........"},
		{"bbbbcccc", "........"},
		{"cdcdcdcd", "........"},
		// The other symbol does not count, however often it comes.
		{"abbbbbbb", "........"},
		// Five times, as soon and as late as possible, and every time after.
		{"aaaaabbb", "....x..."},
		{"abababaa", ".......x"},
		{"aaaaaaba", "....xx.x"},
		// The next window starts from 1 again.
		{"aaaabbbb", "........"},
	} {
		for j, x := range []byte(step.symbols) {
			if got, want := test.open(), (8-j)%8; got != want {
				t.Errorf("window %d, symbol %d: open() = %d, want %d", i, j, got, want)
			}
			if got := test.Next(uint64(x)); (got == Intermittent) != (step.fails[j] == 'x') || got == Permanent {
				t.Errorf("window %d, symbol %d: result %d", i, j, got)
			}
		}
	}
}

func TestStuck(t *testing.T) {
	for _, tt := range []struct {
		deltas []uint64
		stuck  []bool
	}{
		// The derivatives before the first delta are zero.
		{[]uint64{0, 0}, []bool{true, true}},
		{[]uint64{5, 5, 5}, []bool{false, true, true}},                       // second
		{[]uint64{5, 7, 9, 11, 14}, []bool{false, false, true, true, false}}, // third
		{[]uint64{5, 7, 0, 12}, []bool{false, false, true, false}},           // first
		{[]uint64{5, 9, 5, 9, 6}, []bool{false, false, true, true, false}},   // two in turn
		{[]uint64{1000, 500, 800}, []bool{false, false, false}},
		// 1000-0 = 1000 = 1000-0 before: the first delta as the second derivative.
		{[]uint64{1000, 2000}, []bool{false, true}},
		{[]uint64{1, 1<<64 - 1, 0}, []bool{false, false, true}},
		{[]uint64{1 << 63, 1, 1<<64 - 1}, []bool{false, false, false}},
	} {
		var test Stuck
		for i, d := range tt.deltas {
			if got := test.Next(d); got != tt.stuck[i] {
				t.Errorf("%d: number %d is stuck: %v", tt.deltas, i, got)
			}
		}
	}
}

// Whatever the derivatives in wrapping arithmetic call stuck (LRNG), the absolute
// ones do.
func TestStuckIsStricterThanWrapping(t *testing.T) {
	var test Stuck
	var last, last2 uint64
	n := 0
	for i := range uint64(100000) {
		// A few values in an order that repeats late.
		d := (i*i ^ i>>3) % 7
		d2 := d - last
		d3 := d2 - last2
		last, last2 = d, d2
		wrapping := d == 0 || d2 == 0 || d3 == 0
		if got := test.Next(d); wrapping && !got {
			t.Fatalf("delta %d: not stuck", i)
		}
		if wrapping {
			n++
		}
	}
	if n < 1000 {
		t.Errorf("only %d stuck samples", n)
	}
}

type bothCutoffs struct{ rct, apt Cutoffs }

func cutoffs(t testing.TB, h float64) bothCutoffs {
	t.Helper()
	rct, apt, err := Config{H: h, Window: Window, Alpha: Alpha, PermanentAlpha: PermanentAlpha}.cutoffs()
	if err != nil {
		t.Fatal(err)
	}
	return bothCutoffs{rct, apt}
}

// The values for a jitter source, from jitterentropy: 30·osr and 60·osr stuck
// samples, which is one less than the equal symbols. Above osr 8 a window of 512
// cannot tell a permanent failure.
func TestConfigCutoffs(t *testing.T) {
	for i, apt := range []Cutoffs{
		{325, 355}, {422, 447}, {459, 479}, {477, 494}, {488, 502}, {494, 507}, {499, 510}, {502, 512},
		{505, 0}, {507, 0}, {508, 0}, {509, 0}, {510, 0}, {511, 0}, {512, 0}, {512, 0}, {512, 0}, {512, 0}, {512, 0}, {512, 0},
	} {
		osr := i + 1
		got := cutoffs(t, 1/float64(osr))
		if want := (bothCutoffs{Cutoffs{30*osr + 1, 60*osr + 1}, apt}); got != want {
			t.Errorf("osr %d: %+v, want %+v", osr, got, want)
		}
	}
	rct, apt, err := Config{1, BinaryWindow, 20, 40}.cutoffs()
	if rct != (Cutoffs{21, 41}) || apt != (Cutoffs{590, 626}) || err != nil {
		t.Errorf("bits: %+v, %+v, %v", rct, apt, err)
	}
}

func TestConfigErrors(t *testing.T) {
	for _, c := range []Config{
		{},
		{0, 512, 30, 60}, {65, 512, 30, 60}, {1e-300, 512, 30, 60},
		{1, 0, 30, 60}, {1, 1, 30, 60}, {1, -1, 30, 60},
		{1, 512, 0, 60}, {1, 512, 30, 0}, {1, 512, 60, 30}, {1, 512, 30, 2000}, {1, 512, 2000, 2000},
	} {
		if got, err := New(c); got != nil || err == nil || !strings.HasPrefix(err.Error(), "health: ") {
			t.Errorf("%+v: %v, %v", c, got, err)
		}
	}
}

func newTests(t testing.TB, osr int) *Tests {
	t.Helper()
	tests, err := New(Config{H: 1 / float64(osr), Window: Window, Alpha: Alpha, PermanentAlpha: PermanentAlpha})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

// good feeds n symbols that raise no alarm and fails the test if one does.
func good(t *testing.T, tests *Tests, n int) {
	t.Helper()
	for i := range n {
		if f := tests.Next(uint64(1000 + i%256)); f != nil {
			t.Fatalf("good symbol %d: %v", i, f)
		}
	}
}

// B14: 1024 samples, no less.
func TestStartup(t *testing.T) {
	tests := newTests(t, 3)
	good(t, tests, 1023)
	if tests.Ready() {
		t.Error("ready after 1023 samples")
	}
	good(t, tests, 1)
	if !tests.Ready() {
		t.Error("not ready after 1024 samples")
	}
	good(t, tests, 100000)
	if !tests.Ready() {
		t.Error("not ready after many samples")
	}
	// B15: on demand.
	tests.Restart()
	if tests.Ready() {
		t.Error("ready right after Restart")
	}
	rest := (1024+100000+511)/512*512 - (1024 + 100000) // of the open window
	good(t, tests, rest+1023)
	if tests.Ready() {
		t.Error("ready too early after Restart")
	}
	good(t, tests, 1)
	if !tests.Ready() {
		t.Error("not ready after the second start-up")
	}
}

// run feeds one symbol until there is an alarm, and returns it with the number of
// symbols it took. Only the RCT sees the symbols as stuck or not.
func run(t *testing.T, tests *Tests, x uint64, stuck bool, most int) (*Failure, int) {
	t.Helper()
	for n := 1; n <= most; n++ {
		if f := tests.NextStuck(x, stuck); f != nil {
			return f, n
		}
	}
	return nil, most
}

// T9: every alarm rings, at the exact sample, first for the intermittent and then,
// if the fault lasts, for the permanent cut-off. The permanent failure is final.
func TestAlarmsEscalate(t *testing.T) {
	for _, tt := range []struct {
		test                    string
		stuck                   bool
		osr                     int
		intermittent, permanent int // samples from the first of the fault
	}{
		{"RCT", true, 1, 30, 60}, {"RCT", true, 3, 90, 180}, {"RCT", true, 20, 600, 1200},
		{"APT", false, 1, 325, 355}, {"APT", false, 3, 459, 479}, {"APT", false, 8, 502, 512},
	} {
		tests := newTests(t, tt.osr)
		good(t, tests, 2048)
		// For the RCT the symbols differ, for the APT no sample is stuck: only one
		// of the tests can ring.
		feed := func(n int) (*Failure, int) {
			if !tt.stuck {
				return run(t, tests, 5, false, n)
			}
			for i := 1; i <= n; i++ {
				if f := tests.NextStuck(uint64(i%256), true); f != nil {
					return f, i
				}
			}
			return nil, n
		}
		f, n := feed(10000)
		// The last good sample counts as the first of the run.
		want := Failure{tt.test, tt.intermittent, tt.intermittent, false}
		if tt.stuck {
			want.Count, want.Cutoff = want.Count+1, want.Cutoff+1
		}
		if f == nil || n != tt.intermittent || *f != want {
			t.Fatalf("%s, osr %d: %v after %d samples, want %v after %d", tt.test, tt.osr, f, n, &want, tt.intermittent)
		}
		if tests.Ready() {
			t.Errorf("%s, osr %d: ready after an alarm", tt.test, tt.osr)
		}
		f, n = feed(10000)
		want = Failure{tt.test, want.Count + tt.permanent - tt.intermittent, want.Cutoff + tt.permanent - tt.intermittent, true}
		if f == nil || n != tt.permanent-tt.intermittent || *f != want {
			t.Fatalf("%s, osr %d: %v after %d more samples, want %v after %d", tt.test, tt.osr, f, n, &want, tt.permanent-tt.intermittent)
		}
		// Final, whatever comes.
		tests.Restart()
		for i := range 5000 {
			if again := tests.NextStuck(uint64(i%256), false); again != f {
				t.Fatalf("%s, osr %d: %v after the permanent failure", tt.test, tt.osr, again)
			}
			if again := tests.Next(uint64(i % 256)); again != f {
				t.Fatalf("%s, osr %d: %v after the permanent failure", tt.test, tt.osr, again)
			}
		}
		if tests.Ready() {
			t.Errorf("%s, osr %d: ready after a permanent failure", tt.test, tt.osr)
		}
	}
}

// B16: after an intermittent failure the start-up test runs again, on 1024 samples
// after the end of the fault.
func TestRecovery(t *testing.T) {
	t.Run("RCT", func(t *testing.T) {
		tests := newTests(t, 3)
		good(t, tests, 2048)
		for i := range 90 + 50 { // 50 more than the alarm
			f := tests.NextStuck(uint64(i), true)
			if (f != nil) != (i == 89) {
				t.Fatalf("stuck sample %d: %v", i, f)
			}
		}
		rest := 512 - 140 // of the window
		for i := range rest + 1024 {
			if tests.Ready() {
				t.Fatalf("ready after %d good samples", i)
			}
			if f := tests.NextStuck(uint64(i%256), false); f != nil {
				t.Fatalf("good sample %d: %v", i, f)
			}
		}
		if !tests.Ready() {
			t.Error("not ready after the start-up")
		}
	})
	t.Run("APT", func(t *testing.T) {
		tests := newTests(t, 3)
		good(t, tests, 2048)
		f, n := run(t, tests, 5, false, 512)
		if n != 459 {
			t.Fatalf("%v after %d", f, n)
		}
		if f, n := run(t, tests, 5, false, 10); f != nil {
			t.Fatalf("%v after %d more", f, n)
		}
		good(t, tests, 512-459-10+1023)
		if tests.Ready() {
			t.Error("ready too early")
		}
		good(t, tests, 1)
		if !tests.Ready() {
			t.Error("not ready after the start-up")
		}
		// A window without an alarm in it has wiped out the count.
		if f, n := run(t, tests, 5, false, 512); n != 459 || f.Permanent {
			t.Errorf("second fault: %v after %d", f, n)
		}
	})
}

// A permanent failure that comes without an intermittent one ends readiness, too.
func TestEqualCutoffs(t *testing.T) {
	tests, err := New(Config{H: 1, Window: Window, Alpha: 30, PermanentAlpha: 30})
	if err != nil {
		t.Fatal(err)
	}
	good(t, tests, 1024)
	f, n := run(t, tests, 5, true, 100)
	if f == nil || *f != (Failure{"RCT", 31, 31, true}) || n != 30 || tests.Ready() {
		t.Errorf("%v after %d, ready: %v", f, n, tests.Ready())
	}
}

// An APT without a permanent cut-off still keeps data back, window after window.
func TestNoPermanentCutoff(t *testing.T) {
	tests := newTests(t, 20)
	for window := range 10 {
		f, n := run(t, tests, 5, false, 512)
		if f == nil || n != 512 || *f != (Failure{"APT", 512, 512, false}) {
			t.Fatalf("window %d: %v after %d", window, f, n)
		}
		if tests.Ready() {
			t.Fatal("ready")
		}
	}
}

// Both tests see every sample: a failure of one does not hide a later one of the
// other.
func TestBothTestsSeeEverySample(t *testing.T) {
	tests := newTests(t, 3)
	var got []Failure
	for range 479 {
		if f := tests.Next(5); f != nil && (len(got) == 0 || got[len(got)-1] != *f) {
			got = append(got, *f)
		}
	}
	if want := []Failure{{"RCT", 91, 91, false}, {"RCT", 181, 181, true}}; !reflect.DeepEqual(got, want) {
		t.Errorf("one symbol: %v, want %v", got, want)
	}
	if tests.apt.count != 181 {
		t.Errorf("the APT counted %d of 181 samples", tests.apt.count)
	}
}

func TestFailureError(t *testing.T) {
	for _, tt := range []struct {
		f    Failure
		want string
	}{
		{Failure{"RCT", 91, 91, false}, "health: intermittent failure: RCT: count 91, cut-off 91"},
		{Failure{"APT", 479, 479, true}, "health: permanent failure: APT: count 479, cut-off 479"},
	} {
		if got := tt.f.Error(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// The traces of jitterentropy-library (tests/health/testdata): one time stamp a
// line. Each says in its head which test has to fire, for osr = 3.
func TestTraces(t *testing.T) {
	root := os.Getenv("LRNG_VECTORS")
	if root == "" {
		t.Skip("LRNG_VECTORS is not set")
	}
	for _, tt := range []struct {
		file string
		// The delta, counted from 1, at which the test fires; 0 is never.
		rct, rctPermanent, apt, aptPermanent int
	}{
		{"no-failure.txt", 0, 0, 0, 0},
		// The deltas rise by 7 or so: the third derivative is zero from the third
		// delta on, and 90 stuck ones are the cut-off.
		{"rct-intermittent.txt", 92, 0, 0, 0},
		// One delta: stuck from the second on. The head of the file says when the
		// APT of jitterentropy fires, 459.
		{"apt-intermittent.txt", 91, 181, 459, 479},
	} {
		f, err := os.Open(filepath.Join(root, "health", tt.file))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		c := cutoffs(t, 1./3)
		rct, apt := NewRCT(c.rct), NewAPT(c.apt, Window)
		var stuck Stuck
		first := map[string]int{}
		note := func(test string, r Result, n int) {
			if key := fmt.Sprint(test, r); r != Pass && first[key] == 0 {
				first[key] = n
			}
		}
		var last uint64
		n := -1
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "#") || lines.Text() == "" {
				continue
			}
			stamp, err := strconv.ParseUint(lines.Text(), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if n++; n > 0 {
				delta := stamp - last
				note("RCT", rct.Repeat(stuck.Next(delta)), n)
				note("APT", apt.Next(delta), n)
			}
			last = stamp
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
		if n < 100 {
			t.Errorf("%s: only %d deltas", tt.file, n)
		}
		for key, want := range map[string]int{
			fmt.Sprint("RCT", Intermittent): tt.rct, fmt.Sprint("RCT", Permanent): tt.rctPermanent,
			fmt.Sprint("APT", Intermittent): tt.apt, fmt.Sprint("APT", Permanent): tt.aptPermanent,
		} {
			if first[key] != want {
				t.Errorf("%s: %s fired at delta %d, want %d", tt.file, key, first[key], want)
			}
		}
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	tests := newTests(t, 3)
	var stuck Stuck
	i := uint64(0)
	if n := testing.AllocsPerRun(1000, func() {
		i++
		tests.NextStuck(i, stuck.Next(i*i))
		tests.Next(i)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNextStuck(b *testing.B) {
	tests := newTests(b, 3)
	var stuck Stuck
	i := uint64(0)
	for b.Loop() {
		i++
		tests.NextStuck(i%256, stuck.Next(i*i%1000))
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		newTests(b, 3)
	}
}

// E1: the alarm rate on noise with exactly the entropy that is claimed is that of theory,
// within five standard deviations, and no more than alpha. Alpha is large, so that there
// are alarms to count; the formulas are the same for a small one.
func TestFalseAlarmRate(t *testing.T) {
	const samples, window = 1 << 21, 64
	check := func(test string, h float64, alarms int, trials, p, alpha float64) {
		t.Helper()
		want := trials * p
		if d := math.Abs(float64(alarms) - want); d > 5*math.Sqrt(want) || p > math.Exp2(-alpha) || want < 25 {
			t.Errorf("%s, H = %v: %d alarms, want %.0f; the bound is %.0f", test, h, alarms, want, trials*math.Exp2(-alpha))
		}
	}
	for _, bits := range []int{1, 2, 4, 8} {
		const rctAlpha, aptAlpha = 10, 6
		h := float64(bits)
		q := math.Exp2(-h)
		c, err := RCTCutoff(rctAlpha, h)
		if err != nil {
			t.Fatal(err)
		}
		d, err := APTCutoff(aptAlpha, h, window)
		if err != nil {
			t.Fatal(err)
		}
		rct, apt := NewRCT(Cutoffs{Intermittent: c}), NewAPT(Cutoffs{Intermittent: d}, window)
		runs, windows := 0, 0
		x := uint64(bits)
		for range samples {
			x += 0x9e3779b97f4a7c15 // SplitMix64
			z := (x ^ x>>30) * 0xbf58476d1ce4e5b9
			z = (z ^ z>>27) * 0x94d049bb133111eb
			symbol := (z ^ z>>31) >> (64 - bits)
			if rct.Next(symbol) != Pass && rct.count == c {
				runs++
			}
			before := apt.count
			if apt.Next(symbol) != Pass && before == d-1 {
				windows++
			}
		}
		// A run of c begins with a sample unlike the one before.
		check("RCT", h, runs, samples*(1-q), math.Pow(q, float64(c-1)), rctAlpha)
		// Besides the one that opens the window, d-1 or more of the others.
		tail := 0.0
		for k := d - 1; k < window; k++ {
			a, _ := math.Lgamma(window)
			b, _ := math.Lgamma(float64(k + 1))
			c, _ := math.Lgamma(float64(window - k))
			tail += math.Exp(a - b - c + float64(k)*math.Log(q) + float64(window-1-k)*math.Log(1-q))
		}
		check("APT", h, windows, samples/window, tail, aptAlpha)
	}
}
