//go:build (amd64 || arm64) && !purego

package chacha20

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"unsafe"

	"github.com/lrng-go/lrng/internal/leak"
)

// A victim is a thread that makes key stream, of one key, while signals arrive. The key is
// nowhere but in memory of its own: what is found on the signal stack was in a register.
type victim struct {
	memory *victimMemory
	work   chan func()
	done   chan bool
	tid    int
	stack  struct { // of sigaltstack(2)
		at    uintptr
		flags int32
		size  uintptr
	}
	stop atomic.Bool
}

type victimMemory struct {
	state   State
	scratch Scratch
	out     [maxHardenedOut + 100]byte
}

func newVictim(t *testing.T) *victim {
	t.Helper()
	m, err := syscall.Mmap(-1, 0, int(unsafe.Sizeof(victimMemory{})),
		syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	v := &victim{
		memory: (*victimMemory)(unsafe.Pointer(unsafe.SliceData(m))),
		work:   make(chan func()),
		done:   make(chan bool),
	}
	rand.NewChaCha8([32]byte{1}).Read(unsafe.Slice((*byte)(unsafe.Pointer(&v.memory.state[KeyIndex])), KeySize))
	copy(v.memory.state[:], []uint32{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574})
	go func() {
		runtime.LockOSThread() // and the thread ends with the goroutine
		v.tid = syscall.Gettid()
		_, _, errno := syscall.Syscall(syscall.SYS_SIGALTSTACK, 0, uintptr(unsafe.Pointer(&v.stack)), 0)
		if errno != 0 {
			t.Errorf("sigaltstack: %v", errno)
		}
		for f := range v.work {
			f()
			v.done <- true
		}
	}()
	v.run(func() {})
	t.Cleanup(func() {
		close(v.work)
		syscall.Munmap(m)
	})
	return v
}

// run has the thread do f.
func (v *victim) run(f func()) {
	v.work <- f
	<-v.done
}

// interrupt has the thread call f until so many signals have been sent. The last of them
// arrives in the midst of it.
func (v *victim) interrupt(t *testing.T, signals int, f func() error) {
	t.Helper()
	v.stop.Store(false)
	started := make(chan bool)
	v.work <- func() {
		close(started)
		for !v.stop.Load() {
			if err := f(); err != nil {
				t.Error(err)
				return
			}
		}
	}
	<-started
	for i := range signals {
		// The two that the Go runtime sends to itself.
		sig := syscall.SIGURG
		if i%2 == 1 {
			sig = syscall.SIGPROF
		}
		v.signal(t, sig)
	}
	v.stop.Store(true)
	<-v.done
}

// signal sends a signal to the thread.
func (v *victim) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Tgkill(syscall.Getpid(), v.tid, sig); err != nil {
		t.Error(err)
	}
}

// left returns how many blocks half done there are in a copy of the signal stack, and how often the key is.
func (v *victim) left(t *testing.T, stack []byte) int {
	t.Helper()
	key := unsafe.Slice((*byte)(unsafe.Pointer(&v.memory.state[KeyIndex])), KeySize)
	blocks, err := leak.ScanChaCha20(bytes.NewReader(stack))
	if err != nil {
		t.Fatal(err)
	}
	n := len(blocks)
	for i := 0; i+8 <= KeySize; i += 4 {
		n += bytes.Count(stack, key[i:i+8]) // by rows
		for _, twice := range [][]byte{key[i : i+4], key[i+4 : i+8]} {
			n += bytes.Count(stack, append(bytes.Clone(twice), twice...)) // by words
		}
	}
	return n
}

// stackCopy returns a copy of the signal stack.
func (v *victim) stackCopy(t *testing.T) []byte {
	t.Helper()
	f, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	stack := make([]byte, v.stack.size)
	if _, err := io.ReadFull(io.NewSectionReader(f, int64(v.stack.at), int64(v.stack.size)), stack); err != nil {
		t.Fatal(err)
	}
	return stack
}

// T26: what is in registers when a signal arrives gets onto the signal stack, and
// stays there. With signals blocked it does not.
func TestSignals(t *testing.T) {
	v := newVictim(t)
	everywhere(t, func(t *testing.T) {
		if CanHarden() != nil {
			return
		}
		type task struct {
			name string
			f    func(hard bool) error
		}
		m := v.memory
		var tasks []task
		for _, n := range []int{1, 2, 4, 8, 10, 16, 18} {
			tasks = append(tasks, task{fmt.Sprintf("blocks=%d", n), func(hard bool) error {
				if hard {
					return hardened(m.out[:n*BlockSize], nil, &m.state, &m.scratch, false)
				}
				request(m.out[:n*BlockSize], nil, &m.state, &m.scratch, false)
				return nil
			}})
		}
		tasks = append(tasks,
			task{"Generate", func(hard bool) error { return Generate(m.out[:100], m.out[:70], &m.state, &m.scratch, hard) }},
			task{"Generate more", func(hard bool) error {
				return Generate(m.out[:maxHardenedOut+100], m.out[:], &m.state, &m.scratch, hard)
			}},
			task{"Absorb", func(hard bool) error { return Absorb(m.out[:70], &m.state, &m.scratch, hard) }})
		for _, task := range tasks {
			t.Run(task.name, func(t *testing.T) {
				// By the hardest of them, by words with AVX2, one in eight is found.
				const tries = 300
				found := 0
				for range tries {
					v.interrupt(t, 8, func() error { return task.f(false) })
					if found = v.left(t, v.stackCopy(t)); found > 0 {
						break
					}
				}
				if found == 0 {
					t.Errorf("not once in %d signal frames without hardening: the test is blind", tries)
				}
				v.run(func() { v.signal(t, syscall.SIGURG) })
				if n := v.left(t, v.stackCopy(t)); n > 0 {
					t.Fatalf("%d on the signal stack after a signal that saw nothing", n)
				}

				stacks, repeats := make(map[string]bool), 20
				if testing.Short() {
					repeats = 5
				}
				for range repeats {
					v.interrupt(t, 8, func() error { return task.f(true) })
					stack := v.stackCopy(t)
					if n := v.left(t, stack); n > 0 {
						t.Errorf("%d blocks half done or keys on the signal stack", n)
					}
					stacks[string(stack)] = true
				}
				if len(stacks) < 2 {
					t.Error("the signal stack does not change: no signals arrive")
				}
			})
		}
	})
}

// sigprocmask is the system call.
func sigprocmask(t *testing.T, how uintptr, set, old *uint64) {
	t.Helper()
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, how,
		uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), 8, 0, 0)
	if errno != 0 {
		t.Error(errno)
	}
}

// The signals that were blocked before are afterwards, and no others.
func TestRestoresMask(t *testing.T) {
	v := newVictim(t)
	everywhere(t, func(t *testing.T) {
		if CanHarden() != nil {
			return
		}
		v.run(func() {
			var before, none uint64
			sigprocmask(t, 2, nil, &before)
			const most = (1<<31 - 1) &^ (1<<(syscall.SIGKILL-1) | 1<<(syscall.SIGSTOP-1))
			for _, set := range []uint64{before, 1 << (syscall.SIGUSR1 - 1), most, none} {
				var after uint64
				sigprocmask(t, 2, &set, nil)
				err := hardened(v.memory.out[:], nil, &v.memory.state, &v.memory.scratch, false)
				sigprocmask(t, 2, nil, &after)
				if err != nil || after != set {
					t.Errorf("mask is %#x, want %#x; %v", after, set, err)
				}
			}
			sigprocmask(t, 2, &before, nil)
		})
	})
}

// When signals cannot be blocked nothing is done.
func TestRefused(t *testing.T) {
	v := newVictim(t)
	installed := false
	v.run(func() {
		// This thread, which ends with the test, may not block signals in the way in which the
		// Go runtime does not.
		const (
			load, equal, result = 0x20, 0x15, 0x06
			allow, refuse       = 0x7fff0000, 0x50000 | uint32(syscall.EPERM)
		)
		filter := []syscall.SockFilter{
			{Code: load, K: 0}, // the number
			{Code: equal, Jf: 3, K: syscall.SYS_RT_SIGPROCMASK},
			{Code: load, K: 16}, // the first parameter
			{Code: equal, Jf: 1, K: 0},
			{Code: result, K: refuse},
			{Code: result, K: allow},
		}
		program := &syscall.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
		const setNoNewPrivs, setSeccomp, seccompFilter = 38, 22, 2
		if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, setNoNewPrivs, 1, 0, 0, 0, 0); errno != 0 {
			t.Error(errno)
		}
		_, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, setSeccomp, seccompFilter, uintptr(unsafe.Pointer(program)), 0, 0, 0)
		installed = errno == 0
	})
	if !installed {
		t.Skip("no seccomp") // as under QEMU
	}
	everywhere(t, func(t *testing.T) {
		if CanHarden() != nil {
			return
		}
		v.run(func() {
			state, scratch, out := v.memory.state, Scratch{}, bytes.Repeat([]byte{7}, 5000)
			for _, err := range []error{
				Generate(out, out, &state, &scratch, true),
				Generate(out[:32], nil, &state, &scratch, true),
				Absorb(out, &state, &scratch, true),
				Absorb(out[:32], &state, &scratch, true),
			} {
				if !errors.Is(err, syscall.EPERM) {
					t.Errorf("%v, want %v", err, syscall.EPERM)
				}
			}
			if state != v.memory.state || scratch != (Scratch{}) || !bytes.Equal(out, bytes.Repeat([]byte{7}, 5000)) {
				t.Error("something is done all the same")
			}
		})
	})
}
