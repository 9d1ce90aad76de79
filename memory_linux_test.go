package lrng

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/internal/secmem"
)

// forkEnv tells a copy of this test which generator to fork.
const forkEnv = "LRNG_TEST_FORK"

// A forkCase is a generator in memory of some grade.
type forkCase struct {
	name      string
	demand    MemoryGrade
	droppable bool // nothing better is left
	ahead     int
	drng      func() (drng.DRNG, error)
}

func forkCases() (cases []forkCase) {
	for _, mechanism := range []struct {
		name string
		new  func() (drng.DRNG, error)
	}{
		{"ChaCha20", func() (drng.DRNG, error) { return drng.NewChaCha20(), nil }},
		{"CTR", func() (drng.DRNG, error) { return drng.NewCTR(drng.CTRConfig{}) }},
		{"XDRBG", func() (drng.DRNG, error) { return drng.NewXDRBG(), nil }},
		{"foreign", func() (drng.DRNG, error) { return struct{ drng.DRNG }{drng.NewChaCha20()}, nil }},
	} {
		for _, ahead := range []int{-1, 1000} {
			for _, memory := range []string{"any", "droppable", "locked", "secret"} {
				c := forkCase{mechanism.name + " " + memory + " ahead " + strconv.Itoa(ahead), MemoryAny, memory == "droppable", ahead, mechanism.new}
				switch memory {
				case "locked":
					c.demand = MemoryLocked
				case "secret":
					c.demand = MemorySecret
				}
				if c.demand == MemoryAny || mechanism.name != "foreign" {
					cases = append(cases, c)
				}
			}
		}
	}
	return cases
}

// A child process by a raw clone never outputs what its parent does, nor does it crash on
// memory that it does not have (P4 of docs/threats.md, T12, T14). It has one thread and hardly
// a scheduler: it can ask without waiting, which is an error, and gets what is fresh as
// soon as its shard has a seed of its own.
func TestForkedChild(t *testing.T) {
	if n, err := strconv.Atoi(os.Getenv(forkEnv)); err == nil {
		if err := forkCases()[n].run(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	outsideFIPS(t)
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector often hangs in such a child")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range forkCases() {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(exe, "-test.run=^TestForkedChild$")
			cmd.Env = append(os.Environ(), forkEnv+"="+strconv.Itoa(i))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if len(out) > 0 {
				t.Logf("%s", out)
			}
		})
	}
}

// What is wrong in the child.
const (
	childRead      = 1 << iota // a request was served from what the parent has
	childMechanism             // so was one to the mechanism
	childSeed                  // the seed of its own was refused
	childFresh                 // there is no output after that
)

func (c forkCase) run() error {
	debug.SetGCPercent(-1)
	runtime.LockOSThread()
	for c.droppable {
		b, err := secmem.Alloc(64, secmem.Heap)
		if err != nil {
			return err
		}
		forkKept = append(forkKept, b)
		if b.Grade() <= secmem.Droppable {
			break
		}
	}
	r, err := New(Config{Sources: []es.Source{&countSource{}}, Shards: 1, DRNG: c.drng, OutputBuffer: c.ahead, Memory: c.demand, FIPS: FIPSOff})
	if err != nil {
		fmt.Print("not here: ", err)
		return nil
	}
	if _, err := r.Read(make([]byte, 10)); err != nil {
		return err
	}
	for r.worker.Load() != idle { // it may hold a lock
		time.Sleep(time.Millisecond)
	}
	time.Sleep(10 * time.Millisecond)
	nonblocking := r.Nonblocking()
	h := r.shards.LockIndex(0)
	in := &h.Value
	h.Release()
	grade := in.grade
	shared, err := syscall.Mmap(-1, 0, os.Getpagesize(), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED|syscall.MAP_ANON)
	if err != nil {
		return err
	}

	flags, stack := uintptr(syscall.SIGCHLD), uintptr(0)
	if runtime.GOARCH == "s390x" { // where they come in this order
		flags, stack = stack, flags
	}
	child := func() {
		wrong := uintptr(0)
		p := shared[:100]
		for i := range p {
			p[i] = 0xa5
		}
		if n, err := nonblocking.Read(p); n != 0 || err != ErrNotSeeded || !zeros(p) {
			wrong |= childRead
		}
		if secretMemory(in.d) != nil {
			if err := in.d.Generate(p, nil); !errors.Is(err, drng.ErrNotSeeded) || !zeros(p) {
				wrong |= childMechanism
			}
		}
		var seed [64]byte
		for i := range seed {
			seed[i] = byte(100 + i)
		}
		r.acc.add(0, 512, seed[:], len(seed))
		if r.seedShard(0) != nil {
			wrong |= childSeed
		}
		if n, err := nonblocking.Read(p); n != len(p) || err != nil || zeros(p) {
			wrong |= childFresh
		}
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, wrong, 0, 0)
	}
	// A child that the runtime wants to do something else just now waits for threads
	// that it does not have. It is hardly ever so in a new slice of time.
	var status syscall.WaitStatus
	for tries := 10; ; {
		runtime.Gosched()
		pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, flags, stack, 0, 0, 0, 0)
		if errno != 0 {
			return errno
		}
		if pid == 0 {
			child()
		}
		done := false
		for end := time.Now().Add(2 * time.Second); !done && time.Now().Before(end); time.Sleep(time.Millisecond) {
			n, err := syscall.Wait4(int(pid), &status, syscall.WNOHANG, nil)
			if err != nil {
				return err
			}
			done = n != 0
		}
		if done {
			break
		}
		syscall.Kill(int(pid), syscall.SIGKILL)
		syscall.Wait4(int(pid), &status, 0, nil)
		if tries--; tries == 0 {
			return errors.New("the child hangs")
		}
	}
	if !status.Exited() || status.ExitStatus() != 0 {
		return fmt.Errorf("%v memory: the child ended with status %#x", grade, status)
	}
	out := make([]byte, 5000)
	if n, err := nonblocking.Read(out); n != len(out) || err != nil {
		return fmt.Errorf("the parent: %d, %v", n, err)
	}
	for i := 0; i+8 <= 100; i++ {
		if bytes.Contains(out, shared[i:i+8]) {
			return errors.New("parent and child have output in common")
		}
	}
	fmt.Print(grade)
	return nil
}

var forkKept []*secmem.Block

func zeros(p []byte) bool { return strings.Trim(string(p), "\x00") == "" }
