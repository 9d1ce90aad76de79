package sysrand

import (
	"errors"
	"os"
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// TestBadMemory reads into memory that cannot be written: an error, not a
// crash, and nothing remains of what was stored before. T34 of docs/traceability.md.
func TestBadMemory(t *testing.T) {
	page := os.Getpagesize()
	m, err := unix.Mmap(-1, 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(m)
	for i := range m {
		m[i] = 0xa5
	}
	if err := unix.Mprotect(m[page:], unix.PROT_READ); err != nil {
		t.Fatal(err)
	}
	if err := Read(m[page:]); !errors.Is(err, unix.EFAULT) {
		t.Errorf("read-only page: error %v, want %v", err, unix.EFAULT)
	}
	if err := Read(m[:page]); err != nil {
		t.Errorf("writable page: %v", err)
	}
	// The kernel fills the first page, whether it reports that or not. What it
	// reports is wiped.
	err = Read(m)
	if !errors.Is(err, unix.EFAULT) {
		t.Errorf("both pages: error %v, want %v", err, unix.EFAULT)
	}
	for i, v := range m[page:] {
		if v != 0xa5 {
			t.Fatalf("byte %d of the read-only page changed to %#x", i, v)
		}
	}
	if err := Read(m[:page]); err != nil {
		t.Errorf("writable page, afterwards: %v", err)
	}
}

// TestSignals reads while signals arrive, which makes the kernel return early
// from requests longer than a page. The signal is the one that the runtime
// preempts goroutines with, so another one does nothing.
func TestSignals(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tid := unix.Gettid()
	var stop atomic.Bool
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for !stop.Load() {
			unix.Tgkill(unix.Getpid(), tid, unix.SIGURG)
		}
	}()
	b := make([]byte, 1<<20)
	for range 10 {
		clear(b)
		if err := Read(b); err != nil {
			t.Error(err)
		}
		// A good generator leaves 16 zero bytes with probability 2⁻¹⁰⁸ in all.
		for off := 0; off < len(b); off += 16 {
			if [16]byte(b[off:]) == [16]byte{} {
				t.Fatalf("16 bytes at %d not filled", off)
			}
		}
	}
	stop.Store(true)
	<-stopped
}

// TestGenuine holds the device numbers against the devices of this machine.
func TestGenuine(t *testing.T) {
	for _, tt := range []struct {
		path  string
		minor uint32
		ok    bool
	}{
		{"/dev/random", 8, true},
		{"/dev/urandom", 9, true},
		{"/dev/random", 9, false},
		{"/dev/urandom", 8, false},
		{"/dev/zero", 9, false},
		{"/dev/full", 9, false},
		{"/dev/null", 8, false},
		{"/dev", 9, false},
		{"/dev/no such device", 9, false},
	} {
		fd, err := openDevice(tt.path, tt.minor)
		if (err == nil) != tt.ok {
			t.Errorf("%s as 1:%d: %v", tt.path, tt.minor, err)
		}
		if err == nil {
			unix.Close(fd)
		}
	}
}

// TestFIFO opens a FIFO that nobody writes to, which must not wait.
func TestFIFO(t *testing.T) {
	path := t.TempDir() + "/urandom"
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	if _, err := openDevice(path, 9); !errors.Is(err, errNotGenerator) {
		t.Errorf("error %v, want %v", err, errNotGenerator)
	}
}
