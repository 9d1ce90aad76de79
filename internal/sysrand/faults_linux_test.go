package sysrand

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The tests in this file answer the system calls of the package themselves: a
// child process puts a seccomp filter on one of its threads, which hands the
// calls to another thread (seccomp_unotify(2)). That one follows a script, and
// writes down what was called. Calls and result are compared with the model in
// the table below: E1 of docs/traceability.md, kernel rows; after the urandom test of
// BoringSSL, which does the same with ptrace.

// An answer is what a system call gets instead of, or from, the kernel.
type answer struct {
	errno syscall.Errno // the call fails
	val   int64         // or returns this without having done anything
	file  string        // or returns a descriptor of this file instead
	real  bool          // or is made
}

var (
	real_ = answer{real: true}
	empty = answer{val: 0}
)

// A faultCase is a script, the operation that is run under it, and the model of
// what comes out.
type faultCase struct {
	name string

	mix   bool // call Mix, not Read
	size  int  // bytes asked for; 0: 32
	calls int  // how often; 0: once. The result is that of the last.
	warm  bool // call Mix before the filter is in place, until the vDSO has a key
	later bool // it is not one of the first calls of Mix
	shut  bool // with descriptors 0, 1 and 2 closed

	// The answers to each call, by name, in order. The last is repeated; where
	// there is none, the call is real.
	script map[string][]answer

	err   string   // a part of the error; "": none
	is    error    // what the error wraps
	wiped int      // how much of the buffer was stored, then wiped
	trace []string // the calls; nil: not checked
}

const (
	get32   = "getrandom(32, NONBLOCK)"
	openR   = "open(/dev/random)"
	openU   = "open(/dev/urandom)"
	poll    = "poll"
	read32  = "read(32)"
	closeFd = "close"
)

func repeat(n int, s ...string) []string { return slices.Repeat(s, n) }

var faultCases = withLater([]faultCase{
	{
		name:  "getrandom",
		trace: []string{get32},
	}, {
		// Read enters the kernel though the vDSO has a key for this thread,
		// which would stay in memory that dumps have.
		name: "getrandom after the vDSO", warm: true,
		trace: []string{get32},
	}, {
		name: "requests are split", size: 2<<16 + 1,
		trace: []string{"getrandom(65536, NONBLOCK)", "getrandom(65536, NONBLOCK)", "getrandom(1, NONBLOCK)"},
	}, {
		name: "empty", size: -1, trace: []string{},
	}, {
		name:   "interrupted",
		script: map[string][]answer{"getrandom": {{errno: unix.EINTR}, {errno: unix.EINTR}, {errno: unix.EINTR}, real_}},
		trace:  repeat(4, get32),
	}, {
		name:   "interrupted as often as allowed",
		script: map[string][]answer{"getrandom": append(slices.Repeat([]answer{{errno: unix.EINTR}}, maxInterrupts), real_)},
		trace:  repeat(maxInterrupts+1, get32),
	}, {
		name:   "interrupted once more",
		script: map[string][]answer{"getrandom": append(slices.Repeat([]answer{{errno: unix.EINTR}}, maxInterrupts+1), real_)},
		err:    "interrupted", is: unix.EINTR,
		trace: repeat(maxInterrupts+1, get32),
	}, {
		name:   "interrupted for ever",
		script: map[string][]answer{"getrandom": {{errno: unix.EINTR}}},
		err:    "interrupted", is: unix.EINTR,
		trace: repeat(maxInterrupts+1, get32),
	}, {
		// Progress starts the count anew.
		name: "interrupted before each byte", size: maxInterrupts + 2,
		script: map[string][]answer{"getrandom": slices.Repeat([]answer{{errno: unix.EINTR}, {val: 1}}, maxInterrupts+2)},
	}, {
		name:   "not ready",
		script: map[string][]answer{"getrandom": {{errno: unix.EAGAIN}}},
		err:    "not ready", is: ErrNotReady,
		trace: []string{get32},
	}, {
		name:   "short",
		script: map[string][]answer{"getrandom": {{val: 10}, {val: 21}, real_}},
		trace:  []string{get32, "getrandom(22, NONBLOCK)", "getrandom(1, NONBLOCK)"},
	}, {
		name:   "short, then an error",
		script: map[string][]answer{"getrandom": {{val: 10}, {errno: unix.EIO}}},
		err:    "getrandom: input/output error", is: unix.EIO, wiped: 10,
		trace: []string{get32, "getrandom(22, NONBLOCK)"},
	}, {
		name:   "nothing",
		script: map[string][]answer{"getrandom": {empty}},
		err:    "impossible length", trace: []string{get32},
	}, {
		name:   "more than asked for",
		script: map[string][]answer{"getrandom": {{val: 33}}},
		err:    "impossible length", trace: []string{get32},
	}, {
		name:   "negative length", // below -4095, the last of the error numbers
		script: map[string][]answer{"getrandom": {{val: -4096}}},
		err:    "impossible length", trace: []string{get32},
	}, {
		name:   "error",
		script: map[string][]answer{"getrandom": {{errno: unix.EIO}}},
		err:    "getrandom: input/output error", is: unix.EIO,
		trace: []string{get32},
	}, {
		name:   "other error of a filter", // no fallback by guess
		script: map[string][]answer{"getrandom": {{errno: unix.EACCES}}},
		err:    "getrandom: permission denied", is: unix.EACCES,
		trace: []string{get32},
	},

	// The fallback.
	{
		name:   "no getrandom",
		script: map[string][]answer{"getrandom": {{errno: unix.ENOSYS}}},
		trace:  []string{get32, openR, poll, closeFd, openU, read32, closeFd},
	}, {
		name:   "getrandom forbidden",
		script: map[string][]answer{"getrandom": {{errno: unix.EPERM}}},
		trace:  []string{get32, openR, poll, closeFd, openU, read32, closeFd},
	}, {
		name: "readiness is asked for once", calls: 2,
		script: map[string][]answer{"getrandom": {{errno: unix.ENOSYS}}},
		trace:  []string{get32, openR, poll, closeFd, openU, read32, closeFd, get32, openU, read32, closeFd},
	}, {
		name: "standard files closed", shut: true,
		script: map[string][]answer{"getrandom": {{errno: unix.ENOSYS}}},
		trace:  []string{get32, openR, poll, closeFd, openU, read32, closeFd},
	}, {
		// T11: /dev/urandom would deliver, but is not opened.
		name:   "device not ready",
		script: map[string][]answer{"getrandom": {{errno: unix.ENOSYS}}, "poll": {empty}},
		err:    "not ready", is: ErrNotReady,
		trace: []string{get32, openR, poll, closeFd},
	}, {
		name: "device not ready at first", calls: 3,
		script: map[string][]answer{"getrandom": {{errno: unix.ENOSYS}}, "poll": {empty, empty, real_}},
		trace: append(repeat(2, get32, openR, poll, closeFd),
			get32, openR, poll, closeFd, openU, read32, closeFd),
	}, {
		name:   "poll interrupted",
		script: map[string][]answer{"getrandom": {{errno: unix.ENOSYS}}, "poll": {{errno: unix.EINTR}, real_}},
		trace:  []string{get32, openR, poll, closeFd, get32, openR, poll, closeFd, openU, read32, closeFd},
	}, {
		name:   "poll fails",
		script: map[string][]answer{"getrandom": {{errno: unix.ENOSYS}}, "poll": {{errno: unix.ENOMEM}}},
		err:    "poll /dev/random", is: unix.ENOMEM,
		trace: []string{get32, openR, poll, closeFd},
	}, {
		name:   "poll sees no data", // one descriptor ready, but not to read
		script: map[string][]answer{"getrandom": {{errno: unix.ENOSYS}}, "poll": {{val: 1}}},
		err:    "poll /dev/random", is: unix.EIO,
		trace: []string{get32, openR, poll, closeFd},
	}, {
		name:   "no devices", // a chroot
		script: map[string][]answer{"getrandom": {{errno: unix.ENOSYS}}, "open": {{errno: unix.ENOENT}}},
		err:    "open /dev/random", is: unix.ENOENT,
		trace: []string{get32, openR},
	}, {
		name:   "no more descriptors",
		script: map[string][]answer{"getrandom": {{errno: unix.EPERM}}, "open": {{errno: unix.EMFILE}}},
		err:    "open /dev/random", is: unix.EMFILE,
		trace: []string{get32, openR},
	}, {
		name:   "no more descriptors for the second device",
		script: map[string][]answer{"getrandom": {{errno: unix.EPERM}}, "open": {real_, {errno: unix.ENFILE}}},
		err:    "open /dev/urandom", is: unix.ENFILE,
		trace: []string{get32, openR, poll, closeFd, openU},
	}, {
		name:   "random is /dev/zero",
		script: map[string][]answer{"getrandom": {{errno: unix.ENOSYS}}, "open": {{file: "/dev/zero"}}},
		err:    "/dev/random: not the generator", trace: []string{get32, openR, closeFd},
	}, {
		name:   "urandom is /dev/zero",
		script: map[string][]answer{"getrandom": {{errno: unix.ENOSYS}}, "open": {real_, {file: "/dev/zero"}}},
		err:    "/dev/urandom: not the generator", trace: []string{get32, openR, poll, closeFd, openU, closeFd},
	}, {
		name:   "urandom is a file",
		script: map[string][]answer{"getrandom": {{errno: unix.ENOSYS}}, "open": {real_, {file: os.Args[0]}}},
		err:    "/dev/urandom: not the generator", trace: []string{get32, openR, poll, closeFd, openU, closeFd},
	}, {
		name:   "read is short",
		script: map[string][]answer{"getrandom": {{errno: unix.ENOSYS}}, "read": {{val: 5}, real_}},
		trace: []string{get32, openR, poll, closeFd, openU, read32, closeFd,
			"getrandom(27, NONBLOCK)", openU, "read(27)", closeFd},
	}, {
		name:   "read interrupted",
		script: map[string][]answer{"getrandom": {{errno: unix.ENOSYS}}, "read": {{errno: unix.EINTR}, real_}},
		trace:  []string{get32, openR, poll, closeFd, openU, read32, closeFd, get32, openU, read32, closeFd},
	}, {
		name:   "read interrupted for ever",
		script: map[string][]answer{"getrandom": {{errno: unix.ENOSYS}}, "read": {{errno: unix.EINTR}}},
		err:    "read /dev/urandom", is: unix.EINTR,
		trace: append([]string{get32, openR, poll, closeFd, openU, read32, closeFd},
			repeat(maxInterrupts, get32, openU, read32, closeFd)...),
	}, {
		name:   "end of file",
		script: map[string][]answer{"getrandom": {{errno: unix.ENOSYS}}, "read": {{val: 5}, empty}},
		err:    "impossible length", wiped: 5,
		trace: []string{get32, openR, poll, closeFd, openU, read32, closeFd,
			"getrandom(27, NONBLOCK)", openU, "read(27)", closeFd},
	}, {
		name:   "read returns more than asked for",
		script: map[string][]answer{"getrandom": {{errno: unix.ENOSYS}}, "read": {{val: 33}}},
		err:    "impossible length",
		trace:  []string{get32, openR, poll, closeFd, openU, read32, closeFd},
	}, {
		name:   "read fails",
		script: map[string][]answer{"getrandom": {{errno: unix.ENOSYS}}, "read": {{errno: unix.EIO}}},
		err:    "read /dev/urandom", is: unix.EIO,
		trace: []string{get32, openR, poll, closeFd, openU, read32, closeFd},
	},

	// Mix: one of the first calls, which enter the kernel, and a later one. What the vDSO calls
	// then is its own business; see checkTrace.
	{
		name: "Mix", mix: true,
		trace: []string{get32},
	}, {
		name: "Mix not ready", mix: true,
		script: map[string][]answer{"getrandom": {{errno: unix.EAGAIN}}},
		err:    "false",
	}, {
		name: "Mix error", mix: true,
		script: map[string][]answer{"getrandom": {{errno: unix.EIO}}},
		err:    "false",
	}, {
		name: "Mix interrupted for ever", mix: true,
		script: map[string][]answer{"getrandom": {{errno: unix.EINTR}}},
		err:    "false",
	}, {
		name: "Mix without getrandom", mix: true,
		script: map[string][]answer{"getrandom": {{errno: unix.ENOSYS}}},
	}, {
		name: "Mix forbidden", mix: true,
		script: map[string][]answer{"getrandom": {{errno: unix.EPERM}}},
	}, {
		name: "Mix without a device", mix: true,
		script: map[string][]answer{"getrandom": {{errno: unix.EPERM}}, "open": {{errno: unix.ENOENT}}},
		err:    "false",
	}, {
		name: "Mix with a device that is not ready", mix: true,
		script: map[string][]answer{"getrandom": {{errno: unix.ENOSYS}}, "poll": {empty}},
		err:    "false",
	},
})

// withLater adds to each case of Mix that of a later call, which goes to the vDSO.
func withLater(cases []faultCase) []faultCase {
	for _, c := range cases {
		if c.mix {
			c.name += ", later"
			c.later, c.trace = true, nil
			cases = append(cases, c)
		}
	}
	return cases
}

// A report is what the child process says about a case.
type report struct {
	Unsupported string   // why there is no filter
	Err         string   // the error of the operation
	Is          bool     // whether it wraps what it should
	Trace       []string // the calls in order
	Buf         []byte   // the buffer afterwards; it held faultFill before
	Leaked      []string // descriptors that were not open before
}

const (
	faultFill  = 0xa5
	faultEnv   = "SYSRAND_TEST_FAULT"
	reportFile = 3 // descriptor of the pipe to the parent
)

func TestFaults(t *testing.T) {
	if os.Getenv(faultEnv) != "" {
		t.Skip("this is the child")
	}
	action := uint32(unix.SECCOMP_RET_USER_NOTIF)
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action))); errno != 0 {
		t.Skip("no seccomp user notification here: ", errno)
	}
	for _, c := range faultCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var r report
			runFaultChild(t, c.name, &r)
			if r.Unsupported != "" {
				t.Skip("no seccomp filter here: ", r.Unsupported)
			}
			if c.err == "" && r.Err != "" || !strings.Contains(r.Err, c.err) {
				t.Errorf("error %q, want %q", r.Err, c.err)
			}
			if c.is != nil && !r.Is {
				t.Errorf("error %q does not wrap %q", r.Err, c.is)
			}
			if c.err != "" {
				want := bytes.Repeat([]byte{faultFill}, len(r.Buf))
				clear(want[:c.wiped])
				if !bytes.Equal(r.Buf, want) {
					t.Errorf("buffer after an error: %x, want %x", r.Buf, want)
				}
			}
			if len(r.Leaked) != 0 {
				t.Errorf("descriptors leaked: %v", r.Leaked)
			}
			checkTrace(t, &c, r.Trace)
		})
	}
}

// checkTrace compares the calls with the model and with what holds always.
func checkTrace(t *testing.T, c *faultCase, trace []string) {
	t.Helper()
	if c.trace != nil && !slices.Equal(trace, c.trace) {
		t.Errorf("calls\n%q, want\n%q", trace, c.trace)
	}
	if len(trace) > 8*(maxInterrupts+2) {
		t.Errorf("%d calls: the retries are not bounded", len(trace))
	}
	ready := false
	for i, call := range trace {
		switch {
		case strings.Contains(call, "INSECURE"), strings.Contains(call, "GRND_RANDOM"):
			t.Errorf("call %d is %s", i, call)
		case strings.HasPrefix(call, "getrandom(") && !c.mix && !strings.Contains(call, "NONBLOCK"):
			t.Errorf("call %d can wait: %s", i, call)
		case call == poll:
			ready = true
		case call == openU && !ready:
			t.Errorf("call %d opens /dev/urandom, but readiness was not asked for", i)
		}
	}
	if c.mix && len(c.script["getrandom"]) > 0 && len(trace) == 0 {
		t.Error("the fault was not injected")
	}
}

func runFaultChild(t *testing.T, name string, r *report) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	pr, pw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pr.Close()
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestFaultChild$")
	// A preemption signal would interrupt the wait for the answer, and the call
	// be made again. A process with the race detector sleeps when it exits.
	cmd.Env = append(os.Environ(), faultEnv+"="+name, "GODEBUG=asyncpreemptoff=1", "GORACE=atexit_sleep_ms=0")
	cmd.ExtraFiles = []*os.File{pw}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Start()
	pw.Close()
	if err != nil {
		t.Fatal(err)
	}
	decodeErr := json.NewDecoder(pr).Decode(r)
	if err := cmd.Wait(); err != nil || decodeErr != nil {
		t.Fatalf("child: %v; report: %v\n%s", err, decodeErr, &out)
	}
}

// TestFaultChild is the body of the child process.
func TestFaultChild(t *testing.T) {
	name := os.Getenv(faultEnv)
	i := slices.IndexFunc(faultCases, func(c faultCase) bool { return c.name == name })
	if i < 0 {
		t.Skip("runs only as a child of TestFaults")
	}
	pipe := os.NewFile(reportFile, "report")
	if err := json.NewEncoder(pipe).Encode(runFault(&faultCases[i])); err != nil {
		t.Fatal(err)
	}
}

// runFault runs the operation of c under its script.
func runFault(c *faultCase) *report {
	size := 32
	if c.size != 0 {
		size = max(0, c.size)
	}
	// The room behind the buffer is for package unix, which under the race
	// detector marks as written what a read says it has read, even beyond b.
	r := &report{Buf: bytes.Repeat([]byte{faultFill}, size+64)[:size:size]}

	if c.shut {
		for fd := range 3 {
			unix.Close(fd)
		}
	}
	before := openFiles()

	listener := make(chan int)
	failed := make(chan error)
	var result error
	done := make(chan struct{})
	go func() {
		// The filter stays with the thread, so that ends with the goroutine.
		runtime.LockOSThread()
		if c.warm {
			for range firstMixed + 1 {
				Mix(make([]byte, 16))
			}
		}
		if c.later {
			mixed.Store(firstMixed)
		}
		fd, err := filterThread()
		if err != nil {
			failed <- err
			return
		}
		listener <- fd
		for range max(1, c.calls) {
			if c.mix {
				result = nil
				if !Mix(r.Buf) {
					result = errors.New("false")
				}
			} else {
				result = Read(r.Buf)
			}
		}
		close(done)
	}()

	select {
	case err := <-failed:
		r.Unsupported = err.Error()
		return r
	case fd := <-listener:
		s := &supervisor{script: c.script}
		go s.serve(fd)
		<-done
		s.mu.Lock()
		r.Trace = s.trace
		s.mu.Unlock()
		for _, f := range openFiles() {
			if !slices.Contains(before, f) && f != fmt.Sprint(fd) {
				r.Leaked = append(r.Leaked, f)
			}
		}
	}
	if result != nil {
		r.Err = result.Error()
		r.Is = c.is != nil && errors.Is(result, c.is)
	}
	return r
}

// openFiles returns the descriptors that are open.
func openFiles() (fds []string) {
	for fd := range 64 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			fds = append(fds, fmt.Sprint(fd))
		}
	}
	return fds
}

// The calls that are handed to the supervisor.
var faultCalls = map[int32]string{
	unix.SYS_GETRANDOM: "getrandom",
	unix.SYS_OPENAT:    "open",
	unix.SYS_PPOLL:     "poll",
	unix.SYS_READ:      "read",
	unix.SYS_CLOSE:     "close",
}

// filterThread puts the filter on the current thread and returns the descriptor
// of its listener.
func filterThread() (int, error) {
	// Offset 0 of struct seccomp_data is the number of the call.
	prog := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}}
	for nr := range faultCalls {
		prog = append(prog,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(nr), Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
	}
	prog = append(prog, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, err
	}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&fprog)))
	runtime.KeepAlive(prog)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// <linux/seccomp.h>
type (
	seccompNotif struct {
		id    uint64
		pid   uint32
		flags uint32
		nr    int32
		arch  uint32
		ip    uint64
		args  [6]uint64
	}
	seccompNotifResp struct {
		id    uint64
		val   int64
		error int32
		flags uint32
	}
)

// A supervisor answers system calls.
type supervisor struct {
	script map[string][]answer

	mu    sync.Mutex // guards what follows, and script
	trace []string
}

func (s *supervisor) serve(fd int) {
	for {
		var req seccompNotif
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&req))); errno != 0 {
			if errno == unix.EINTR {
				continue
			}
			return // The thread has ended.
		}
		resp := s.answer(&req)
		unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(resp)))
	}
}

func (s *supervisor) answer(req *seccompNotif) *seccompNotifResp {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := faultCalls[req.nr]
	call := name
	switch name {
	case "getrandom":
		call = fmt.Sprintf("getrandom(%d%s)", req.args[1], flagNames(req.args[2]))
	case "open":
		call = fmt.Sprintf("open(%s)", memoryString(req.args[1]))
		if req.args[2]&unix.O_CLOEXEC == 0 {
			call += " without O_CLOEXEC"
		}
	case "read":
		call = fmt.Sprintf("read(%d)", req.args[2])
	}
	s.trace = append(s.trace, call)

	a := real_
	if list := s.script[name]; len(list) > 0 {
		a = list[0]
		if len(list) > 1 {
			s.script[name] = list[1:]
		}
	}
	resp := &seccompNotifResp{id: req.id}
	switch {
	case a.real:
		resp.flags = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
	case a.file != "":
		fd, err := unix.Open(a.file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			panic(err)
		}
		resp.val = int64(fd)
	case a.errno != 0:
		resp.error = -int32(a.errno)
	default:
		resp.val = a.val
	}
	return resp
}

func flagNames(flags uint64) (s string) {
	for bit, name := range []string{"NONBLOCK", "GRND_RANDOM", "INSECURE"} {
		if flags>>bit&1 != 0 {
			s += ", " + name
		}
	}
	return s
}

// memoryString reads the string at an address of this process. It does without
// package os, whose poller would open descriptors of its own.
func memoryString(addr uint64) string {
	fd, err := unix.Open("/proc/self/mem", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err.Error()
	}
	defer unix.Close(fd)
	b := make([]byte, 32)
	n, err := unix.Pread(fd, b, int64(addr))
	if err != nil {
		return err.Error()
	}
	s, _, _ := strings.Cut(string(b[:n]), "\x00")
	return s
}
