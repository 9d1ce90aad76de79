package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/lrng-go/lrng/drng"
)

// TestMain lets this test be the program that parent starts again.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "child" {
		main()
		return
	}
	os.Exit(m.Run())
}

// The generator in the heap is the one of lrng: else the search could be blind for the latter.
func TestSameGenerator(t *testing.T) {
	seed := bytes.Repeat([]byte{1, 2, 3, 4}, 8)
	var g heapGenerator
	g.seed(seed)
	d := drng.NewChaCha20()
	if err := d.Seed(seed, nil); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		var a, b [outputSize]byte
		g.generate(&a)
		if err := d.Generate(b[:], nil); err != nil || a != b {
			t.Fatalf("%x and %x, %v", a, b, err)
		}
	}
}

// A state is found wherever it is, and nothing where there is none.
func TestExamine(t *testing.T) {
	var g heapGenerator
	g.seed(bytes.Repeat([]byte{5, 6, 7, 8}, 8))
	dump := make([]byte, 3<<20)
	at := []int64{0, 8192 - 32, 1<<20 - 60, 1<<20 + 4, 2<<20 + 4, 3<<20 - 64}
	for _, at := range at {
		for i, w := range g.state {
			binary.LittleEndian.PutUint32(dump[at+4*int64(i):], w)
		}
	}
	var out [outputSize]byte
	g.generate(&out)
	places, tried, err := examine(bytes.NewReader(dump), [][]byte{out[:], make([]byte, outputSize)})
	if err != nil || !slices.Equal(places[0], at) || len(places[1]) != 0 || tried < len(at) {
		t.Errorf("%v after %d, %v; want %v", places, tried, err, at)
	}
}

func TestVerdict(t *testing.T) {
	next := [2][]byte{make([]byte, outputSize), make([]byte, outputSize)}
	for _, tt := range []struct {
		heap, ours []int64
		ok         bool
	}{{[]int64{1}, nil, true}, {nil, nil, false}, {[]int64{1}, []int64{2}, false}, {nil, []int64{2}, false}} {
		if err := verdict(new(bytes.Buffer), next, [][]int64{tt.heap, tt.ours}); (err == nil) != tt.ok {
			t.Errorf("%v, %v: %v", tt.heap, tt.ours, err)
		}
	}
}

func TestWithoutGcore(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if err := parent(new(bytes.Buffer)); err == nil {
		t.Error("no gcore, and no error")
	}
}

func TestOutput(t *testing.T) {
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("dumps of the memory of the race detector are too large")
	}
	if _, err := exec.LookPath("gcore"); err != nil || runtime.GOOS != "linux" {
		t.Skip("there is no gcore: install gdb")
	}
	if os.Getenv("LRNG_EMULATED") != "" {
		t.Skip("gcore dumps the emulator, in which there is no memory but the heap")
	}
	var out bytes.Buffer
	if err := parent(&out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, pattern := range []string{
		`(?m)^Process \d+ has two generators .* in "(secret|locked|droppable|private)" memory\.$`,
		`(?m)^gcore ?(-a)?: \d+ MB\.$`,
		`(?m)^The generator in the heap put out [0-9a-f]{64} next\.\n  Whoever has the dump knew that: its state is at offset 0x[0-9a-f]+\.$`,
		`(?m)^The generator of lrng put out [0-9a-f]{64} next\.\n  Nothing in the dump tells\.$`,
	} {
		if !regexp.MustCompile(pattern).MatchString(out.String()) {
			t.Errorf("nothing matches %s in:\n%s", pattern, &out)
		}
	}
}
