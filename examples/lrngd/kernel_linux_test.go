package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestIoctls looks at what the kernel would see, and at its errors.
func TestIoctls(t *testing.T) {
	f, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := newDevice(f, true)
	if err != nil {
		t.Fatal(err)
	}
	var p [feedSize]byte
	for i := range p {
		p[i] = byte(i + 1)
	}
	var seen []byte
	var used []byte // the memory that the argument was in
	var request uintptr
	var answer error
	d.ioctl = func(fd, r uintptr, arg unsafe.Pointer) error {
		request = r
		if arg != nil {
			used = unsafe.Slice((*byte)(arg), 8+feedSize)
			seen = bytes.Clone(used)
		}
		return answer
	}
	if err := d.Add(&p, 300); err != nil {
		t.Fatal(err)
	}
	if request != unix.RNDADDENTROPY {
		t.Errorf("request %#x", request)
	}
	// struct rand_pool_info: int entropy_count, int buf_size, __u32 buf[].
	if bits, size := binary.NativeEndian.Uint32(seen), binary.NativeEndian.Uint32(seen[4:]); bits != 300 || size != feedSize || !bytes.Equal(seen[8:], p[:]) {
		t.Errorf("%d bits, %d bytes, %x", bits, size, seen[8:])
	}
	if !bytes.Equal(used[8:], make([]byte, feedSize)) {
		t.Error("the seed is still in memory")
	}
	if err := d.Reseed(); err != nil || request != unix.RNDRESEEDCRNG {
		t.Errorf("Reseed: request %#x, %v", request, err)
	}
	for _, tt := range []struct {
		errno error
		text  string
		is    error
	}{
		{unix.EPERM, "CAP_SYS_ADMIN", unix.EPERM},
		{unix.ENODATA, "not seeded yet", errKernelUnseeded},
		{unix.ENOTTY, "inappropriate ioctl", unix.ENOTTY},
		{unix.EINVAL, "invalid argument", unix.EINVAL},
	} {
		answer = tt.errno
		for name, err := range map[string]error{"RNDADDENTROPY": d.Add(&p, 0), "RNDRESEEDCRNG": d.Reseed()} {
			if err == nil || !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.text) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	// Without the capability there is no ioctl, and no credit.
	d.admin, request, answer = false, 0, nil
	if err := d.Add(&p, 0); err != nil || request != 0 {
		t.Errorf("written: request %#x, %v", request, err)
	}
	if err := d.Add(&p, 1); err == nil {
		t.Error("credit without the capability")
	}
	f.Close()
	d.admin = true
	if d.Add(&p, 0) == nil || d.Reseed() == nil {
		t.Error("a closed device takes it")
	}
}

// TestRealKernel feeds the kernel of this machine, with no credit.
func TestRealKernel(t *testing.T) {
	if err := hasAdmin(); err != nil {
		t.Skip(err)
	}
	for _, admin := range []bool{true, false} {
		k, err := openKernel(admin)
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		p := [feedSize]byte{1, 2, 3}
		if err := k.Add(&p, 0); errors.Is(err, unix.EPERM) {
			t.Skip("not the first user namespace: ", err)
		} else if err != nil {
			t.Errorf("Add: %v", err)
		}
		// It is one ioctl, and takes the capability also without a credit.
		if err := k.Reseed(); err != nil && !errors.Is(err, errKernelUnseeded) {
			t.Errorf("Reseed: %v", err)
		}
		// No kernel of the last years asks once it is seeded; older ones may. The end of
		// the context ends the wait either way.
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if err := k.Wanting(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wanting: %v", err)
		}
		cancel()
	}
}

// TestWanting waits on a pipe that is full, until it can be written to.
func TestWanting(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	d, err := newDevice(w, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Wanting(t.Context()); err != nil {
		t.Errorf("an empty pipe: %v", err)
	}
	full := 0
	for block := make([]byte, 4096); err == nil; {
		d.raw.Write(func(fd uintptr) bool {
			var n int
			if n, err = unix.Write(int(fd), block); err == nil {
				full += n
			}
			return true // without waiting for room
		})
	}
	if !errors.Is(err, unix.EAGAIN) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := d.Wanting(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a full pipe: %v", err)
	}
	asked := make(chan error)
	go func() { asked <- d.Wanting(t.Context()) }()
	select {
	case err := <-asked:
		t.Errorf("a full pipe: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	if _, err := r.Read(make([]byte, full)); err != nil {
		t.Fatal(err)
	}
	if err := <-asked; err != nil {
		t.Errorf("a pipe that was read from: %v", err)
	}
	// What has no poll cannot be asked, and says so.
	f, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if d, err = newDevice(f, false); err != nil {
		t.Fatal(err)
	}
	if err := d.Wanting(t.Context()); err == nil {
		t.Error("a file asks for entropy")
	}
}
