package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/seeding"
)

// TestMain lets this test be the program: record starts itself for each row, and some tests
// want a process of its own.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.ContainsFunc(commands, func(c command) bool { return c.name == os.Args[1] }) {
		main()
	}
	os.Exit(m.Run())
}

// call runs a command line.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, msg bytes.Buffer
	code = run(t.Context(), stdio{nil, &out, &msg}, args)
	return code, out.String(), msg.String()
}

// must runs a command line that succeeds.
func must(t *testing.T, args ...string) (stdout string) {
	t.Helper()
	code, out, msg := call(t, args...)
	// A source that has a second for its samples may be left without a processor for as long.
	for try := 1; code == 1 && args[0] == "record" && strings.Contains(msg, ": not done within ") && try < 20; try++ {
		code, out, msg = call(t, args...)
	}
	if code != 0 || msg != "" {
		t.Fatalf("lrng %q: exit code %d: %s", args, code, msg)
	}
	return out
}

func TestMistakes(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("there.bin", []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"", 2, "usage: lrng COMMAND"},
		{"frobnicate", 2, `unknown command "frobnicate"`},
		{"help frobnicate", 2, `unknown command "frobnicate"`},
		{"read -x", 2, "not defined: -x"},
		{"read 5", 2, `unexpected argument "5"`},
		{"read -n x", 2, `-n: want a number such as 32, 64K or 1G`},
		{"read -n -1", 2, "-n: want a number"},
		{"read -n", 2, "needs an argument"},
		{"read -n 9223372036854775808", 2, "-n: too large"},
		{"read -n 8388608T", 2, "-n: too large"},
		{"read -n 9007199254740992K", 2, "-n: too large"},
		{"read -n 99999999999999999999T", 2, "-n: too large"},
		{"read -n 1e9", 2, "-n: want a number"},
		{"token -n 99999999999999999999", 2, "-n: value out of range"},
		{"seed -bits 99999999999999999999", 2, "-bits: value out of range"},
		{"read -format utf8 -n 1", 2, `-format: "utf8"; want raw, hex or base64`},
		{"token -n 0", 2, "-n: 0; want at least 1"},
		{"token x", 2, `unexpected argument "x"`},
		{"seed -bits 0", 2, "-bits: 0; want 1 to 4096"},
		{"seed -bits 4097", 2, "-bits: 4097; want 1 to 4096"},
		{"seed -raw -bits 100", 2, "-bits: 100; want 1 to 4096, a multiple of 8 with -raw"},
		{"seed -timeout 1", 2, "-timeout"},
		{"seed -timeout 0s", 1, "no seed after 0s: context deadline exceeded"},
		{"status x", 2, `unexpected argument "x"`},
		{"selftest x", 2, `unexpected argument "x"`},
		{"selftest -x", 2, "not defined: -x"},
		{"bench x", 2, `unexpected argument "x"`},
		{"bench -time 0s", 2, "-time: 0s; want 1ms to 1m"},
		{"bench -time 2m", 2, "-time: 2m0s; want 1ms to 1m"},
		{"bench -sizes 0", 2, "want sizes from 1 to 16M"},
		{"bench -sizes 16,17M", 2, "want sizes from 1 to 16M"},
		{"bench -sizes 16,", 2, "want a number"},
		{"bench -sizes 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", 2, "want 16 sizes at most"},
		{"watch x", 2, `unexpected argument "x"`},
		{"watch -interval 9ms", 2, "-interval: 9ms; want at least 10ms"},
		{"watch -interval 5", 2, "-interval"},
		{"watch -n -1", 2, "-n: -1; want at least 0"},
		{"watch -reseed -1s", 2, "-reseed: -1s; want at least 0"},
		{"watch -reseed 5s -addr localhost:1", 2, "-reseed is for a generator of this command"},
		{"watch -addr localhost:1 -socket x", 2, "-addr and -socket exclude each other"},
		{"watch -addr http://", 2, `-addr: "http://"; want an address as localhost:8080`},
		{"watch -addr ftp://localhost/", 2, `-addr: "ftp://localhost/"; want an address`},
		{"watch -addr localhost:1", 1, "connection refused"},
		{"watch -socket missing.sock", 1, "missing.sock: connect: no such file or directory"},
		{"record", 2, "want the name of one source: jitter"},
		{"record jitter cpu", 2, "want the name of one source"},
		{"record dice", 2, `source "dice" is unknown; want one of jitter`},
		{"record -osr 21 jitter", 2, "OSR"},
		{"record -memory 3 jitter", 2, "MemorySize"},
		{"record -n 0x jitter", 2, "-n: want a number"},
		{"record -n 1G jitter", 2, "-n: 1073741824; want at most 268435456"},
		{"record -n 10 -restart 2x2 jitter", 2, "-n and -restart exclude each other"},
		{"record -restart 10 jitter", 2, "want ROWSxCOLUMNS"},
		{"record -restart 0x10 jitter", 2, "want ROWSxCOLUMNS"},
		{"record -n 0 jitter", 2, "-n: want at least one sample"},
		{"record -n 0 -restart 3x3 jitter", 2, "exclude each other"},
		{"record -osr 3 cpu", 2, "-osr: source \"cpu\" has no oversampling rate"},
		{"record -memory 4096 cpu", 2, "-memory: source \"cpu\" has no memory"},
		{"record -memory 4096 scheduler", 2, "-memory: source"},
		{"record -memory 4096 jitter-hash", 2, "-memory: source"},
		{"record -path /dev/null jitter", 2, "-path: source \"jitter\" is no file"},
		{"record -path /none device", 1, "after 0 samples: es: device: stat /none"},
		{"record os", 2, `source "os" cannot be recorded: it has no raw noise (no GetNoise); want one of jitter, jitter-memory, jitter-hash, scheduler, cpu, device`},
		{"record auxiliary", 2, `"auxiliary" cannot be recorded: it has no raw noise`},
		{"record seed-file", 2, `"seed-file" cannot be recorded: it has no raw noise`},
		{"record identity", 2, `"identity" cannot be recorded: it has no raw noise`},
		{"record events", 2, `"events" cannot be recorded: the events are those of a program`},
		{"record reader", 2, `"reader" cannot be recorded: it reads what a program has opened`},
		{"record monitor", 2, `"monitor" cannot be recorded: its noise is that of the source`},
		{"record -restart 65537x1 jitter", 2, "too many"},
		{"record -restart 65536x4097 jitter", 2, "too many"},
		{"record -n 1 -o there jitter", 1, "there.bin is there already; -force overwrites it"},
		{"record -n 1 -o missing/x jitter", 1, "no such file or directory"},
	} {
		code, out, msg := call(t, strings.Fields(tt.args)...)
		if code != tt.code || !strings.Contains(msg, tt.want) || out != "" {
			t.Errorf("lrng %s: exit code %d, %q on standard output, %q on standard error; want %d and %q", tt.args, code, out, msg, tt.code, tt.want)
		}
	}
	if b, err := os.ReadFile("there.bin"); string(b) != "precious" {
		t.Errorf("there.bin was touched: %q, %v", b, err)
	}
	if names, _ := filepath.Glob("*"); len(names) != 1 {
		t.Errorf("files are left: %q", names)
	}
}

func TestHelp(t *testing.T) {
	all := must(t, "help")
	for _, c := range commands {
		if !strings.Contains(all, c.name+" ") {
			t.Errorf("%s is not in the help", c.name)
		}
		for _, args := range [][]string{{"help", c.name}, {c.name, "-h"}, {c.name, "--help"}} {
			if out := must(t, args...); !strings.HasPrefix(out, "usage: lrng "+c.name+" ") || !strings.Contains(out, c.long) {
				t.Errorf("lrng %q: %s", args, out)
			} else if strings.Contains(out, "(default )") || strings.Count(out, "    \t") < 1 {
				t.Errorf("lrng %q: a flag without a text, or with an empty default: %s", args, out)
			}
		}
	}
}

func TestRead(t *testing.T) {
	for _, n := range []string{"0", "1", "32", "65536", "65537", "1M"} {
		var want size
		want.Set(n)
		for _, format := range []string{"raw", "hex", "base64"} {
			out := must(t, "read", "-n", n, "-format", format)
			decoded, err := []byte(out), error(nil)
			switch line := strings.TrimSuffix(out, "\n"); format {
			case "hex":
				decoded, err = hex.DecodeString(line)
			case "base64":
				decoded, err = base64.StdEncoding.DecodeString(line)
			}
			if err != nil || len(decoded) != int(want) {
				t.Errorf("-n %s -format %s: %d bytes, %v", n, format, len(decoded), err)
			}
		}
	}
	if a, b := must(t, "read", "-n", "100", "-fresh"), must(t, "read", "-n", "100", "-fresh"); len(a) != 100 || a == b {
		t.Errorf("-fresh: %d bytes, twice the same: %t", len(a), a == b)
	}
}

// However many workers read, and however large a block is, the number of bytes is what was
// asked for, and all of them come from the reader.
func TestPump(t *testing.T) {
	for _, workers := range []int{1, 2, 7} {
		for _, n := range []int64{0, 1, 9, 10, 11, 1000, 1003} {
			var next atomic.Int64
			read := func(_ context.Context, b []byte) (int, error) {
				for i := range b {
					b[i] = byte(next.Add(1))
				}
				return len(b), nil
			}
			var out bytes.Buffer
			if err := pump(t.Context(), read, &out, n, workers, 10, nil); err != nil || int64(out.Len()) != n || next.Load() != n {
				t.Errorf("%d workers: %d bytes of %d, %d were read, %v", workers, out.Len(), n, next.Load(), err)
			}
			count := [256]int{}
			for _, b := range out.Bytes() {
				count[b]++
			}
			for i := range n {
				count[byte(i+1)]--
			}
			if count != [256]int{} {
				t.Errorf("%d workers: other bytes than were read", workers)
			}
		}
	}
	broken := errors.New("broken")
	read := func(ctx context.Context, b []byte) (int, error) { return 0, broken }
	if err := pump(t.Context(), read, io.Discard, -1, 3, 10, nil); err != broken {
		t.Errorf("a reader that fails: %v", err)
	}
	read = func(ctx context.Context, b []byte) (int, error) { return len(b), ctx.Err() }
	if err := pump(t.Context(), read, &limitedWriter{1000}, -1, 3, 10, nil); err == nil || err.Error() != "no space left" {
		t.Errorf("a writer that fails: %v", err)
	}
	// What others have read by then is not written.
	var all sync.WaitGroup
	all.Add(3)
	together := func(ctx context.Context, b []byte) (int, error) {
		all.Done()
		all.Wait()
		return len(b), nil
	}
	writes := 0
	if err := pump(t.Context(), together, writerFunc(func([]byte) (int, error) { writes++; return 0, broken }), -1, 3, 10, nil); err != broken || writes != 1 {
		t.Errorf("%d writes, %v", writes, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := pump(ctx, read, io.Discard, -1, 3, 10, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// Text comes in large pieces, and without waiting for the next ones.
func TestEncoder(t *testing.T) {
	for format, want := range map[string]string{"hex": "010203040506070a\n", "base64": "AQIDBAUGBwo=\n"} {
		var out pieces
		enc, finish, err := encoder(&out, format)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range [][]byte{{1, 2, 3, 4}, {5, 6, 7, 10}} {
			before := len(out.sizes)
			if n, err := enc.Write(b); n != len(b) || err != nil || len(out.sizes) != before+1 {
				t.Errorf("%s: %d, %v, %d", format, n, err, out.sizes)
			}
		}
		if err := finish(); err != nil || out.String() != want {
			t.Errorf("%s: %q, %v; want %q", format, out.String(), err, want)
		}
		before := len(out.sizes)
		if enc.Write(make([]byte, chunk)); len(out.sizes) > before+3 {
			t.Errorf("%s: a chunk was written in %d", format, out.sizes[before:])
		}
		full, finish, _ := encoder(&limitedWriter{10}, format)
		if _, err := full.Write(make([]byte, 100)); err == nil || finish() == nil {
			t.Errorf("%s: a full disk went unnoticed", format)
		}
	}
}

// Pieces remember how large they were.
type pieces struct {
	bytes.Buffer
	sizes []int
}

func (p *pieces) Write(b []byte) (int, error) {
	p.sizes = append(p.sizes, len(b))
	return p.Buffer.Write(b)
}

// A limited writer fails once it is full, as a disk does.
type limitedWriter struct{ left int }

func (w *limitedWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errors.New("no space left")
	}
	return len(p), nil
}

func TestReadEnds(t *testing.T) {
	var msg bytes.Buffer
	if code := run(t.Context(), stdio{nil, &limitedWriter{1 << 20}, &msg}, []string{"read"}); code != 1 || !strings.Contains(msg.String(), "no space left") {
		t.Errorf("full disk: %d, %s", code, &msg)
	}
	msg.Reset()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	defer cancel()
	if code := run(ctx, stdio{nil, io.Discard, &msg}, []string{"read"}); code != 1 || !strings.Contains(msg.String(), "interrupted") {
		t.Errorf("interrupted: %d, %s", code, &msg)
	}
	// The exit code tells which signal it was.
	for signal, want := range map[os.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		msg.Reset()
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(10*time.Millisecond, func() { cancel(signalError{signal}) })
		if code := run(ctx, stdio{nil, io.Discard, &msg}, []string{"read"}); code != want || msg.String() != "lrng read: interrupted\n" {
			t.Errorf("%v: %d, %s", signal, code, &msg)
		}
	}
}

// Every command notices that its output cannot be written, the help does, too.
func TestFullDisk(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "noise", 1000, 256)
	for _, args := range []string{
		"help", "help read", "read -h", "read -n 1", "read -n 1 -format hex", "read -n 1 -format base64", "read -n 40 -fresh", "token", "token -n 1000", "seed", "seed -raw",
		"status", "status -json", "selftest", "selftest -json", "record -n 10 -o - jitter", "assess noise", "assess -json noise", "inspect -json .",
		"bench -time 1ms -sizes 16", "bench -time 1ms -sizes 16 -json", "watch -n 2 -interval 10ms", "watch -n 2 -interval 10ms -json",
	} {
		if args[0] == 'b' && testing.Short() {
			continue
		}
		var msg bytes.Buffer
		if code := run(t.Context(), stdio{nil, &limitedWriter{}, &msg}, strings.Fields(args)); code != 1 || !strings.HasSuffix(msg.String(), ": no space left\n") {
			t.Errorf("lrng %s: exit code %d, %s", args, code, &msg)
		}
	}
}

func TestToken(t *testing.T) {
	if out := must(t, "token", "-n", "3"); !regexp.MustCompile(`^([A-Z2-7]{26}\n){3}$`).MatchString(out) {
		t.Errorf("%q", out)
	}
}

func TestSeed(t *testing.T) {
	var b seeding.Buffer
	if err := b.UnmarshalBinary([]byte(must(t, "seed", "-bits", "300"))); err != nil || b.Credit() < 300 {
		t.Errorf("%d bits, %v", b.Credit(), err)
	}
	if a, b := must(t, "seed", "-raw", "-bits", "256"), must(t, "seed", "-raw", "-bits", "256"); len(a) != 32 || a == b {
		t.Errorf("%d bytes, twice the same: %t", len(a), a == b)
	}
}

func TestStatus(t *testing.T) {
	if out := must(t, "status"); !strings.Contains(out, "LRNG fully seeded: true\n") {
		t.Error(out)
	}
	var s lrng.Status
	if err := json.Unmarshal([]byte(must(t, "status", "-json")), &s); err != nil || s.Level != seeding.FullySeeded || len(s.Sources) == 0 {
		t.Errorf("%+v, %v", s, err)
	}
	code, out, msg := call(t, "status", "-timeout", "0s")
	if code != 1 || !strings.Contains(msg, "not fully seeded after 0s: context deadline exceeded") || !strings.Contains(out, "LRNG fully seeded: ") {
		t.Errorf("in no time: exit code %d, %s%s", code, out, msg)
	}
}

func TestSelftest(t *testing.T) {
	if out := must(t, "selftest"); !strings.HasPrefix(out, "passed in ") {
		t.Error(out)
	}
	var r selftestResult
	if err := json.Unmarshal([]byte(must(t, "selftest", "-json")), &r); err != nil || !r.Passed || r.Error != "" || r.Seconds <= 0 {
		t.Errorf("%+v, %v", r, err)
	}
	// One that fails.
	broken := errors.New("SHA-512: broken")
	for asJSON, want := range map[bool]string{false: "", true: "{\n\t\"passed\": false,\n\t\"error\": \"SHA-512: broken\",\n\t\"seconds\": 1.5\n}\n"} {
		var out bytes.Buffer
		if err := tested(1500*time.Millisecond, broken).print(&out, asJSON); err != broken || out.String() != want {
			t.Errorf("%q, %v; want %q", &out, err, want)
		}
	}
}

// readHeader reads the header of a record.
func readHeader(t *testing.T, base string) (h header) {
	t.Helper()
	text, err := os.ReadFile(base + ".json")
	if err == nil {
		err = json.Unmarshal(text, &h)
	}
	if err != nil || h.Go == "" || h.Duration <= 0 || h.CPUs < 1 {
		t.Fatalf("header: %v\n%s", err, text)
	}
	for _, f := range h.Files {
		b, err := os.ReadFile(f.Name)
		if sum := sha256.Sum256(b); err != nil || len(b) != f.Bytes || hex.EncodeToString(sum[:]) != f.SHA256 {
			t.Errorf("%+v: %d bytes, %v", f, len(b), err)
		}
	}
	return h
}

// wantTimes checks that the symbols of a record are those of its times, and returns the
// symbols.
func wantTimes(t *testing.T, base string, h header) []byte {
	t.Helper()
	bin, err := os.ReadFile(base + ".bin")
	if err != nil || len(bin) != h.Samples {
		t.Fatalf("%d samples, %v", len(bin), err)
	}
	raw, err := os.ReadFile(base + ".u64")
	if err != nil || len(raw) != 8*len(bin) {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
	for i, symbol := range bin {
		step := h.Noise.Step
		if h.Steps != nil {
			step = h.Steps[i/h.Columns]
		}
		if step == 0 || byte(binary.LittleEndian.Uint64(raw[8*i:])/step) != symbol {
			t.Fatalf("sample %d is not that of the other file (step %d)", i, step)
		}
	}
	return bin
}

// The header has what was asked for, and what that came to.
func TestRecord(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, tt := range []struct {
		args  string
		asked settings
		want  es.NoiseParameters
	}{
		{"jitter", settings{}, es.NoiseParameters{OSR: 3, MemorySize: 1 << 18}},
		{"-osr 4 -memory 4096 -force jitter", settings{OSR: 4, MemorySize: 4096}, es.NoiseParameters{OSR: 4, MemorySize: 4096}},
		{"-force jitter-hash", settings{}, es.NoiseParameters{OSR: 14}},
		{"-force scheduler", settings{}, es.NoiseParameters{OSR: 3}},
	} {
		must(t, strings.Fields("record -n 3000 -o base "+tt.args)...)
		h := readHeader(t, "base")
		got := h.Noise
		if got.Origin == "" || got.Step == 0 || strings.HasSuffix(tt.args, "jitter") && got.Granularity == 0 {
			t.Errorf("%s: %+v", tt.args, got)
		}
		got.Origin, got.Step, got.Granularity, got.Length = "", 0, 0, 0
		if got != tt.want || h.Settings != tt.asked || !strings.HasSuffix(tt.args, h.Source) || h.Samples != 3000 || len(h.Files) != 2 {
			t.Errorf("%s: %+v", tt.args, h)
		}
		wantTimes(t, "base", h)
	}
}

// What is not a time has no file of times, nor is one of an earlier record left.
func TestRecordBytes(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := os.Stat("/dev/urandom"); err != nil {
		t.Skip(err)
	}
	must(t, "record", "-n", "100", "-o", "base", "jitter")
	must(t, "record", "-n", "10K", "-force", "-o", "base", "-path", "/dev/urandom", "device")
	h := readHeader(t, "base")
	if h.Source != "device" || h.Settings.Path != "/dev/urandom" || h.Samples != 10240 || len(h.Files) != 1 || h.Noise != (es.NoiseParameters{}) {
		t.Errorf("%+v", h)
	}
	if _, err := os.Stat("base.u64"); err == nil {
		t.Error("the times of another record are left")
	}
	must(t, "record", "-restart", "3x50", "-path", "/dev/urandom", "device")
	if h := readHeader(t, "device-restart"); h.Samples != 150 || len(h.Files) != 1 || h.Steps != nil {
		t.Errorf("restart: %+v", h)
	}
	cpu := es.NewCPU(es.CPUConfig{})
	if cpu.Available(8) == 0 {
		return
	}
	must(t, "record", "-n", "1000", "cpu")
	if h := readHeader(t, "cpu"); h.Noise != cpu.NoiseParameters() || h.Noise.Origin == "" || len(h.Files) != 1 {
		t.Errorf("cpu: %+v", h)
	}
}

func TestRecordRestart(t *testing.T) {
	t.Chdir(t.TempDir())
	must(t, "record", "-restart", "4x100", "-osr", "5", "jitter")
	h := readHeader(t, "jitter-restart")
	if h.Rows != 4 || h.Columns != 100 || h.Samples != 400 || h.Noise.OSR != 5 || h.Noise.MemorySize != 1<<18 || len(h.Files) != 2 {
		t.Errorf("%+v", h)
	}
	bin := wantTimes(t, "jitter-restart", h)
	for row := range 3 {
		if bytes.Equal(bin[100*row:][:100], bin[100*row+100:][:100]) {
			t.Errorf("rows %d and %d are the same", row, row+1)
		}
	}

	// A row that fails says why.
	code, _, msg := call(t, "record", "-restart", "2x2", "-path", "/none", "device")
	if code != 1 || !strings.Contains(msg, "row 1: exit status 1: lrng record: after 0 samples: es: device: stat /none") {
		t.Errorf("%d, %s", code, msg)
	}
}

// The steps of the rows are told if they differ.
func TestRecordSteps(t *testing.T) {
	row := func(step uint64) samples {
		return samples{symbols: []byte{1, 2}, raw: []uint64{step, 2 * step}, noise: es.NoiseParameters{OSR: 3, Step: step}}
	}
	for _, tt := range []struct {
		steps []uint64
		step  uint64
		rows  []uint64
	}{
		{[]uint64{26, 26, 26}, 26, nil}, {[]uint64{26, 13, 26}, 0, []uint64{26, 13, 26}}, {[]uint64{7}, 7, nil}, {[]uint64{0, 0}, 0, nil},
	} {
		var s samples
		for _, step := range tt.steps {
			s.append(row(step))
		}
		s.join()
		if n := 2 * len(tt.steps); len(s.symbols) != n || len(s.raw) != n || s.noise.OSR != 3 || s.noise.Step != tt.step || !slices.Equal(s.steps, tt.rows) {
			t.Errorf("%d: %+v", tt.steps, s)
		}
	}
}

// Symbols come from what was measured, and only whole files are left of a record that
// fails.
func TestTake(t *testing.T) {
	s, err := take(t.Context(), &scripted{step: 26}, 10_000, nil)
	if err != nil || len(s.symbols) != 10_000 || s.symbols[300] != 300%256 || s.raw[300] != 300*26 || s.noise.Step != 26 {
		t.Errorf("%v, %v, %+v, %v", s.symbols[300], s.raw[300], s.noise, err)
	}
	if _, err := take(t.Context(), &scripted{step: 1, fails: 5000}, 10_000, nil); err == nil || err.Error() != "after 8192 samples: broken" {
		t.Errorf("source that fails: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := take(ctx, &scripted{step: 1}, 10_000, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// A scripted source counts.
type scripted struct {
	n, step uint64
	fails   uint64 // after so many samples
}

func (s *scripted) GetNoise(p []byte) (int, error) { panic("GetDeltas is there") }
func (s *scripted) NoiseParameters() es.NoiseParameters {
	return es.NoiseParameters{Step: s.step}
}
func (s *scripted) GetDeltas(p []uint64) (int, error) {
	if s.fails > 0 && s.n >= s.fails {
		return 0, errors.New("broken")
	}
	for i := range p {
		p[i] = s.n * s.step
		s.n++
	}
	return len(p), nil
}

func TestProgress(t *testing.T) {
	p := &progress{total: 200, unit: "rows"}
	p.set(50)
	if got, want := p.line(10*time.Second), "[=======                       ]  25 %  50 of 200 rows  30s left "; got != want {
		t.Errorf("%q; want %q", got, want)
	}
	if p := newProgress(io.Discard, 5, "rows"); p != nil {
		t.Error("progress where there is no terminal")
	}
	var none *progress
	none.set(1)
	none.stop()
}
