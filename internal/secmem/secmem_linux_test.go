package secmem

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// childEnv names the function of children that a copy of this test runs.
const childEnv = "LRNG_SECMEM_CHILD"

func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		if err := children[name](); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var children = map[string]func() error{
	"fork":    forkChild,
	"limited": limitedChild,
}

func runChild(t *testing.T, name string, attr *syscall.SysProcAttr) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if attr != nil { // another user cannot look into the directory of the go command
		b, err := os.ReadFile(exe)
		if err != nil {
			t.Fatal(err)
		}
		dir, err := os.MkdirTemp("", "lrng-secmem-*")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		exe = dir + "/test"
		if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(exe, b, 0o755), os.Chmod(exe, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+name)
	cmd.SysProcAttr = attr
	if attr != nil {
		cmd.Dir = "/"
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, unix.EINVAL) && attr != nil { // root of a namespace without other users
		runChild(t, name, nil)
		return
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	} else if len(out) > 0 {
		t.Logf("%s", out)
	}
}

// emulated reports whether the kernel is one that accepts any advice, as that of
// qemu-user does: nothing on it can be relied on but the heap.
func emulated() bool {
	p := aligned(2 * pageSize())
	skip := int(-uintptr(unsafe.Pointer(&p[0])) & uintptr(pageSize()-1))
	return unix.Madvise(p[skip:skip+pageSize()], -1) == nil
}

// Each grade that this system has is what it says, by the kernel's own account.
func TestGrades(t *testing.T) {
	got := 0
	for g := Private; g < grades; g++ {
		a, err := newArena(g, 1)
		if err != nil {
			t.Logf("%v: %v", g, err)
			continue
		}
		got++
		want := "dc dd"
		if g != Secret {
			want = anonymousFlags(g)
		}
		if errs, _ := lookUpFlags([]wish{{a.base, want}, {unsafe.Pointer(a), "dc"}}); errs[0] != nil || errs[1] == nil {
			t.Errorf("%v: %v; flags of the heap: %v", g, errs[0], errs[1])
		}
		if errs, _ := lookUpFlags([]wish{{a.base, want + " xx"}}); errs[0] == nil {
			t.Errorf("%v: flags are not looked up", g)
		}
		p := a.slice(0, 1)
		copy(p, "canary")
		mem, err := os.Open("/proc/self/mem")
		if err != nil {
			t.Fatal(err)
		}
		var peek [6]byte
		n, err := mem.ReadAt(peek[:], int64(uintptr(a.base)))
		mem.Close()
		if seen := n == 6 && string(peek[:]) == "canary"; seen != (g != Secret) {
			t.Errorf("%v: /proc/self/mem sees it: %t, %v", g, seen, err)
		}
		unmap(a.base, a.size)
	}
	if emulated() {
		if got > 0 {
			t.Errorf("%d grades in an emulator that follows no advice", got)
		}
	} else if got < 2 {
		t.Errorf("only %d grades on this system", got)
	}
}

// A grade is refused if a page of it does not have its flags, and only then. What was looked
// up is not looked up again.
func TestTry(t *testing.T) {
	for _, tt := range []struct {
		g     Grade
		flags string
		want  string
	}{
		{Private, "wf dd", ""},
		{Private, "lo wf dd", `does not have the flag "lo" of proc(5)`},
		{Private, "dp wf dd", `does not have the flag "dp" of proc(5)`},
		{Locked, "lo wf dd", ""},
		{Locked, "lo wf dd dc", `does not have the flag "dc" of proc(5)`},
		{Droppable, "dp wf dd", ""},
		{Droppable, "lo dp wf dd", `does not have the flag "lo" of proc(5)`},
	} {
		checked.Clear()
		err := try(tt.g, tt.flags)
		if emulated() {
			if err == nil {
				t.Errorf("%v in an emulator that follows no advice", tt.g)
			}
			continue
		}
		if tt.g != Private && err != nil && !strings.Contains(err.Error(), "flag") {
			t.Logf("%v: %v", tt.g, err) // this machine has none
			continue
		}
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%v with %q: %v; want %q", tt.g, tt.flags, err, tt.want)
		}
		if _, ok := checked.Load(tt.flags); ok != (err == nil) {
			t.Errorf("%v with %q: kept as seen: %t, %v", tt.g, tt.flags, ok, err)
		}
	}
}

// The pages before and after an arena cannot be touched.
func TestGuardPages(t *testing.T) {
	debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(false)
	for g := Private; g < grades; g++ {
		a, err := newArena(g, 1)
		if err != nil {
			continue
		}
		faults := func(p unsafe.Pointer) (faulted bool) {
			defer func() { faulted = recover() != nil }()
			*(*byte)(p) = 1
			return false
		}
		if !faults(unsafe.Add(a.base, -1)) || !faults(unsafe.Add(a.base, a.size)) || faults(a.base) || faults(unsafe.Add(a.base, a.size-1)) {
			t.Errorf("%v: the guard pages do not guard, or too much", g)
		}
		unmap(a.base, a.size)
	}
}

// An arena that there was once no page for is given up when it is empty, and another one has all.
func TestNoPageForAWhile(t *testing.T) {
	a, err := newArena(Secret, 1)
	if err != nil {
		t.Skipf("no secret memory: %v", err)
	}
	page := pageSize()
	if a.size < 2*page {
		t.Skip("an arena has one page here")
	}
	m := &memory{marker: newMarker(), arenas: []*arena{a}, locked: a.size}
	m.marker.Store(present)
	defer func() {
		for _, a := range m.arenas {
			unmap(a.base, a.size)
		}
	}()
	first, err := m.alloc(1, Heap, true)
	if err != nil || first.arena != a {
		t.Fatal(err)
	}
	if err := unix.Mprotect(bytesAt(unsafe.Add(a.base, page), page), unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	second, err := m.alloc(page, Heap, true)
	if err != nil || second.arena == a {
		t.Fatalf("a block that there is no page for: %v", err)
	}
	m.giveBack(first)
	if slices.Contains(m.arenas, a) {
		t.Error("the arena is kept")
	}
	third, err := m.alloc(page, Heap, true)
	if err != nil || third.block().Grade() != Secret {
		t.Errorf("%v memory, %v", third.block().Grade(), err)
	}
}

// Pages of secret memory are provided with the blocks on them. Where there is no memory for
// one, the block is in the next grade, no line of that page is handed out any more, and
// those on pages that are there are.
func TestNoPage(t *testing.T) {
	a, err := newArena(Secret, 1)
	if err != nil {
		t.Skipf("no secret memory: %v", err)
	}
	page := pageSize()
	if a.ready != page {
		t.Errorf("%d bytes of a new arena are provided; want one page, %d", a.ready, page)
	}
	if a.size < 3*page {
		t.Skip("an arena has less than three pages here")
	}
	m := &memory{marker: newMarker(), arenas: []*arena{a}, locked: a.size}
	m.marker.Store(present)
	alloc := func(size int) lease {
		t.Helper()
		l, err := m.alloc(size, Heap, true)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(l.bytes, make([]byte, size)) {
			t.Error("not zero")
		}
		return l
	}
	if l := alloc(page + Line); l.arena != a || a.ready != 2*page {
		t.Errorf("%d bytes are provided, the block is in %v memory", a.ready, l.block().Grade())
	}
	// A store to the third page is a signal now, and an error in the kernel.
	if err := unix.Mprotect(bytesAt(unsafe.Add(a.base, 2*page), page), unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	if l := alloc(page); l.arena == nil || l.arena == a || l.block().Grade() != Private {
		t.Errorf("a block that there is no page for is in %v memory; %v", l.block().Grade(), m.refusals)
	}
	if err := m.refusals[Secret]; !errors.Is(err, unix.EFAULT) {
		t.Errorf("refusal of secret memory: %v", err)
	}
	for range (page - Line) / Line { // what is left of the second page
		if l := alloc(1); l.arena != a {
			t.Fatalf("a block that there is a page for is in %v memory", l.block().Grade())
		}
	}
	if l := alloc(1); l.arena == a || a.free != 0 || a.ready != 2*page {
		t.Errorf("more lines than there are pages for; %d are free", a.free)
	}
	// Who demands secret memory gets it from another arena.
	if l, err := m.alloc(1, Secret, true); err != nil || l.arena == a || l.block().Grade() != Secret {
		t.Errorf("secret memory: %v", err)
	}
	for _, a := range m.arenas {
		unmap(a.base, a.size)
	}
}

// The marker is there in a child, wiped, by the kernel's own account; TestFork looks at it.
func TestMarker(t *testing.T) {
	checked.Clear()
	m := newMarker()
	if m == nil {
		if !emulated() {
			t.Error("there is no marker")
		}
		return
	}
	defer freeMarker(m)
	p := unsafe.Pointer(m)
	if errs, seen := lookUpFlags([]wish{{p, wipedInChild}, {p, notInChild}}); !seen[0] || errs[0] != nil || errs[1] == nil {
		t.Errorf("marker: %v, %v, %v", seen, errs[0], errs[1])
	}
	for _, flags := range []string{wipedInChild, notInChild} {
		if _, ok := checked.Load(flags); !ok {
			t.Errorf("the flag %q is to be looked up again", flags)
		}
	}
}

// Memory that the kernel drops is noticed, and not handed out again before all of it is
// back.
func TestDropped(t *testing.T) {
	a, err := newArena(Droppable, 1)
	if err != nil {
		t.Skipf("no droppable memory: %v", err)
	}
	m := &memory{marker: newMarker(), arenas: []*arena{a}}
	m.marker.Store(1)
	m.locked = LockLimit
	page := pageSize()
	var blocks []*Block
	for range 3 * page / Line { // some on the second page
		l, err := m.alloc(Line, Heap, false)
		if err != nil {
			t.Fatal(err)
		}
		blocks = append(blocks, l.block())
	}
	if err := unix.Madvise(bytesAt(a.base, page), unix.MADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
	lost := 0
	for _, b := range blocks {
		first := uintptr(unsafe.Pointer(&b.bytes[0])) < uintptr(a.base)+uintptr(page)
		if b.Intact() == first || b.Kept() == first || !b.Ours() {
			t.Fatal("what was dropped is intact, or the other way round")
		}
		if first {
			lost++
		}
	}
	if lost != page/Line-1 {
		t.Errorf("%d blocks were on the page", lost)
	}
	if a.find(1) >= 0 {
		t.Error("an arena that lost a page hands out memory")
	}
	for _, b := range blocks {
		b.Free()
	}
	if a.find(page/Line-1) != 0 || a.find(page/Line) != -1 {
		t.Error("the arena is not as new after all of it came back")
	}
}

// A droppable block must fit between two canaries.
func TestDroppableTooLarge(t *testing.T) {
	if a, err := newArena(Droppable, pageSize()/Line); err == nil || a != nil {
		t.Error("a block of a whole page")
	}
	a, err := newArena(Droppable, pageSize()/Line-1)
	if err != nil {
		t.Skip(err)
	}
	unmap(a.base, a.size)
}

// A child of fork has none of the blocks of its parent, and gets its own.
func TestFork(t *testing.T) { runChild(t, "fork", nil) }

func forkChild() error {
	debug.SetGCPercent(-1)
	runtime.LockOSThread()
	var blocks []*Block
	for _, least := range []Grade{Heap, Locked, Secret} {
		b, err := Alloc(64, least)
		if err != nil {
			continue
		}
		copy(b.Bytes(), "parent")
		blocks = append(blocks, b)
	}
	heap := lease{bytes: []byte("parent"), home: home()}.block()
	blocks = append(blocks, heap)

	flags, stack := uintptr(unix.SIGCHLD), uintptr(0)
	if runtime.GOARCH == "s390x" { // where they come in this order
		flags, stack = stack, flags
	}
	// A child that the runtime wants to do something else just now waits for threads
	// that it does not have. It is hardly ever so in a new slice of time.
	var status unix.WaitStatus
	for tries := 10; ; {
		runtime.Gosched()
		pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, flags, stack, 0, 0, 0, 0)
		if errno != 0 {
			return errno
		}
		if pid == 0 {
			forked(blocks)
		}
		done := false
		for end := time.Now().Add(2 * time.Second); !done && time.Now().Before(end); time.Sleep(time.Millisecond) {
			n, err := unix.Wait4(int(pid), &status, unix.WNOHANG, nil)
			if err != nil {
				return err
			}
			done = n != 0
		}
		if done {
			break
		}
		unix.Kill(int(pid), unix.SIGKILL)
		unix.Wait4(int(pid), &status, 0, nil)
		if tries--; tries == 0 {
			return errors.New("the child hangs")
		}
	}
	if !status.Exited() || status.ExitStatus() != 0 {
		return fmt.Errorf("child: %#x", status)
	}
	for _, b := range blocks {
		if !b.Intact() || !b.Ours() || string(b.Bytes()[:6]) != "parent" {
			return errors.New("the parent lost a block, or the child changed it")
		}
	}
	return nil
}

// forked is what the child does: one thread, no scheduler to speak of.
func forked(blocks []*Block) {
	code := uintptr(0)
	for _, b := range blocks {
		if b.Intact() || b.Ours() || b.Bytes() != nil {
			code |= 1
		}
		b.Free() // must not touch it
	}
	b, err := Alloc(64, Heap)
	if err != nil || !b.Intact() {
		code |= 2
	} else if p := b.Bytes(); string(p[:6]) == "parent" {
		code |= 4
	}
	unix.RawSyscall(unix.SYS_EXIT_GROUP, code, 0, 0)
}

// A user who may lock nothing gets the grade below, and an error that says why if that is
// not enough.
func TestNoMemlock(t *testing.T) {
	var attr *syscall.SysProcAttr
	if os.Getuid() == 0 {
		attr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534, NoSetGroups: true}}
	}
	runChild(t, "limited", attr)
}

func limitedChild() error {
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{}); err != nil {
		return err
	}
	b, err := Alloc(64, Heap)
	if err != nil {
		return err
	}
	r := State()
	if emulated() {
		if b.Grade() != Heap || r.Locked != 0 {
			return fmt.Errorf("grade %v in an emulator; %+v", b.Grade(), r)
		}
		return nil
	}
	if b.Grade() >= Locked || b.Grade() == Heap || r.Locked != 0 {
		return fmt.Errorf("grade %v with nothing to be locked; %+v", b.Grade(), r)
	}
	if !strings.Contains(r.Refusals, "locked: mlock: ") {
		return fmt.Errorf("refusals: %q", r.Refusals)
	}
	if _, err := Alloc(64, Locked); err == nil || !strings.Contains(err.Error(), "no locked memory for 64 bytes: ") {
		return fmt.Errorf("locked memory: %v", err)
	}
	if _, err := Alloc(64, Secret); err == nil {
		return errors.New("secret memory where nothing may be locked")
	}
	fmt.Printf("%v; %s", b.Grade(), r.Refusals)
	return nil
}

// Nothing is mapped before the first use.
func TestNothingAtStart(t *testing.T) {
	saved := current.Swap(nil)
	defer current.Store(saved)
	if r := State(); len(r.Arenas) > 0 || current.Load() != nil {
		t.Error("State has mapped memory")
	}
}
