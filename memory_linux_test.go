package lrng

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

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
		for _, ahead := range []int{-1, 0, 1000} {
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
	childUnshared              // nor by an UnsharedReader
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
	unshared := r.Unshared()
	if _, err := unshared.Read(make([]byte, 10)); err != nil {
		return err
	}
	h := r.shards.LockIndex(0)
	in := &h.Value
	h.Unlock()
	grade := in.grade
	shared, err := syscall.Mmap(-1, 0, os.Getpagesize(), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED|syscall.MAP_ANON)
	if err != nil {
		return err
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
		for i := range p {
			p[i] = 0
		}
		if n, err := unshared.Read(p); n != len(p) || err != nil || zeros(p) {
			wrong |= childUnshared
		}
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, wrong, 0, 0)
	}
	// A child that the runtime wants to do something else just now waits for threads
	// that it does not have. It is hardly ever so in a new slice of time.
	var status syscall.WaitStatus
	for tries := 10; ; {
		runtime.Gosched()
		pid, errno := forks["clone"]()
		if errno != 0 {
			return errno
		}
		if pid == 0 {
			child()
		}
		done, err := waitForked(pid, &status)
		if err != nil {
			return err
		}
		if done {
			break
		}
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
	for i := range 20 { // what was kept, as it is
		if _, err := unshared.Read(out[i*100 : i*100+100]); err != nil {
			return err
		}
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

// forks are the system calls that copy a process, as they are.
var forks = func() map[string]func() (pid uintptr, errno syscall.Errno) {
	type call = func() (uintptr, syscall.Errno)
	m := make(map[string]call)
	if n, ok := map[string]uintptr{"amd64": 57, "386": 2, "s390x": 2, "ppc64le": 2}[runtime.GOARCH]; ok { // others have none
		m["fork"] = func() (uintptr, syscall.Errno) {
			pid, _, errno := syscall.RawSyscall(n, 0, 0, 0)
			return pid, errno
		}
	}
	flags, stack := uintptr(syscall.SIGCHLD), uintptr(0)
	if runtime.GOARCH == "s390x" { // where they come in this order
		flags, stack = stack, flags
	}
	m["clone"] = func() (uintptr, syscall.Errno) {
		pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, flags, stack, 0, 0, 0, 0)
		return pid, errno
	}
	var args [8]uint64 // struct clone_args of clone3(2)
	args[4] = uint64(syscall.SIGCHLD)
	m["clone3"] = func() (uintptr, syscall.Errno) {
		pid, _, errno := syscall.RawSyscall(435, uintptr(unsafe.Pointer(&args)), unsafe.Sizeof(args), 0)
		return pid, errno
	}
	return m
}()

// waitForked waits up to two seconds for a child, and kills it then.
func waitForked(pid uintptr, status *syscall.WaitStatus) (done bool, err error) {
	for end := time.Now().Add(2 * time.Second); !done && time.Now().Before(end); time.Sleep(time.Millisecond) {
		n, err := syscall.Wait4(int(pid), status, syscall.WNOHANG, nil)
		if err != nil {
			return false, err
		}
		done = n != 0
	}
	if !done {
		syscall.Kill(int(pid), syscall.SIGKILL)
		syscall.Wait4(int(pid), status, 0, nil)
	}
	return done, nil
}

// Forks by all three calls, while other threads read from the generator, which is reseeded
// all the time (T14): a child gets nothing, and never
// crashes. Those that were copied while another thread had a lock, of the generator or of the
// Go runtime, may hang, as children of programs with threads do; most are not.
func TestForkTorture(t *testing.T) {
	const each = 20
	if os.Getenv(forkEnv) == "torture" {
		if err := torture(each); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	outsideFIPS(t)
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector often hangs in such a child")
	}
	if os.Getenv("LRNG_EMULATED") != "" {
		t.Skip("the emulator has locks and threads of its own")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^TestForkTorture$")
	cmd.Env = append(os.Environ(), forkEnv+"=torture")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

func torture(each int) error {
	debug.SetGCPercent(-1)
	r, err := New(Config{Sources: []es.Source{&countSource{}}, Shards: 3, OutputBuffer: 256, ReseedRequests: 20, FIPS: FIPSOff})
	if err != nil {
		return err
	}
	shared, err := syscall.Mmap(-1, 0, os.Getpagesize(), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED|syscall.MAP_ANON)
	if err != nil {
		return err
	}
	nonblocking := r.Nonblocking()
	stop := make(chan bool)
	var load sync.WaitGroup
	for range 2 {
		load.Go(func() {
			b := make([]byte, 64)
			for {
				select {
				case <-stop:
					return
				default:
					r.Read(b)
					time.Sleep(20 * time.Microsecond)
				}
			}
		})
	}
	defer load.Wait()
	defer close(stop)
	runtime.LockOSThread()
	hung := 0
	for _, name := range slices.Sorted(maps.Keys(forks)) {
		ended := 0
		for tries := 0; ended < each && tries < 2*each; tries++ {
			time.Sleep(10 * time.Millisecond)
			p := shared[:64]
			for i := range p {
				p[i] = 0xa5
			}
			pid, errno := forks[name]()
			if errno == syscall.ENOSYS {
				break
			}
			if errno != 0 {
				return errno
			}
			if pid == 0 {
				code := uintptr(1)
				if n, err := nonblocking.Read(p); n == 0 && err == ErrNotSeeded {
					code = 0
				}
				syscall.RawSyscall(syscall.SYS_EXIT_GROUP, code, 0, 0)
			}
			var status syscall.WaitStatus
			done, err := waitForked(pid, &status)
			switch {
			case err != nil:
				return err
			case !done:
				if hung++; hung > each/2 {
					return fmt.Errorf("%s: %d children hang", name, hung)
				}
			case !status.Exited() || status.ExitStatus() != 0 || !zeros(p):
				return fmt.Errorf("%s: status %#x, output %x", name, status, p)
			default:
				ended++
			}
		}
		fmt.Printf("%s: %d children; ", name, ended)
	}
	fmt.Printf("%d hung; %d seeds of the parent", hung, r.Status().Seeds)
	return nil
}

// The kernel cannot drop what combines requests in the middle of one: AES without a key
// panics, with the shard locked. Where nothing but droppable memory is left it is private.
func TestCombinerLasts(t *testing.T) {
	needsCombiner(t)
	for {
		b, err := secmem.Alloc(64, secmem.Heap)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Free()
		if b.Grade() <= secmem.Droppable {
			break
		}
	}
	r := start(t, still(), Config{DRNG: func() (drng.DRNG, error) { return drng.NewChaCha20(), nil }})
	if _, err := r.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	h := r.shards.LockIndex(0)
	combines, grade := h.Value.combiner != nil, h.Value.memory.Grade()
	h.Unlock()
	if !combines || grade == secmem.Droppable {
		t.Errorf("combines: %v, in %v memory", combines, grade)
	}
}

// A quick request whose memory the kernel drops before it is served returns nothing.
func TestQuickVanishes(t *testing.T) {
	needsCombiner(t)
	on := still()
	event := func() {}
	system := on.system
	on.system = func(b []byte) bool {
		event()
		return system(b)
	}
	r, in := locked(t, on, Config{DRNG: func() (drng.DRNG, error) { return drng.NewChaCha20(), nil }})
	var drop *secmem.Block // a page of it alone
	for drop == nil || drop.Grade() > secmem.Droppable {
		b, err := secmem.Alloc(os.Getpagesize()-secmem.Line, secmem.Heap)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Free()
		drop = b
	}
	if drop.Grade() < secmem.Droppable {
		t.Skip("no memory that the kernel drops")
	}
	event = func() {
		page := uintptr(os.Getpagesize())
		begin := uintptr(unsafe.Pointer(unsafe.SliceData(drop.Bytes()))) &^ (page - 1)
		if _, _, errno := syscall.Syscall(syscall.SYS_MADVISE, begin, page, 4); errno != 0 { // MADV_DONTNEED
			t.Error(errno)
		}
	}
	memory := in.memory
	defer func() { in.memory = memory }()
	in.memory = drop
	b := bytes.Repeat([]byte{0xa5}, 16)
	if r.quick(in, b) || !bytes.Equal(b, make([]byte, 16)) {
		t.Errorf("served: %x", b)
	}
}

// What an UnsharedReader kept in memory that the kernel has dropped is not handed out: it is zero.
func TestUnsharedVanishes(t *testing.T) {
	for {
		b, err := secmem.Alloc(1024, secmem.Heap)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Free()
		if b.Grade() < secmem.Droppable {
			t.Skip("no memory that the kernel drops")
		}
		if b.Grade() == secmem.Droppable {
			break
		}
	}
	_, u := unshared(t, still(), Config{OutputBuffer: 1 << 16})
	if g := u.memory.Grade(); g != secmem.Droppable {
		t.Fatalf("in %v memory", g)
	}
	for range 3 {
		page := uintptr(os.Getpagesize())
		begin := uintptr(unsafe.Pointer(unsafe.SliceData(u.kept))) &^ (page - 1)
		if _, _, errno := syscall.Syscall(syscall.SYS_MADVISE, begin, page, 4); errno != 0 { // MADV_DONTNEED
			t.Fatal(errno)
		}
		if u.quick(make([]byte, 16)) {
			t.Error("handed out")
		}
		b := make([]byte, 16)
		if n, err := u.Read(b); n != 16 || err != nil || zeros(b) || len(u.kept) == 0 || zeros(u.kept[u.next:]) {
			t.Errorf("%d, %v: %x", n, err, b)
		}
	}
}
