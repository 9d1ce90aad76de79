package es

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// A pty is the master of a pseudo-terminal in raw mode: a character device that delivers
// what the test writes, when it writes it, and goes away when it is closed.
type pty struct {
	*os.File
	path string // of the slave
	keep *os.File
}

func ioctl(t testing.TB, f *os.File, request uintptr, arg unsafe.Pointer) {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var errno syscall.Errno
	if err := raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(arg))
	}); err != nil || errno != 0 {
		t.Fatalf("ioctl %#x: %v, %v", request, err, errno)
	}
}

func newPTY(t testing.TB) *pty {
	t.Helper()
	f, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	var unlock, n int32
	ioctl(t, f, syscall.TIOCSPTLCK, unsafe.Pointer(&unlock))
	ioctl(t, f, syscall.TIOCGPTN, unsafe.Pointer(&n))
	p := &pty{File: f, path: fmt.Sprintf("/dev/pts/%d", n)}
	if p.keep, err = os.OpenFile(p.path, os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	var mode syscall.Termios
	ioctl(t, p.keep, syscall.TCGETS, unsafe.Pointer(&mode))
	mode.Iflag, mode.Oflag, mode.Lflag = 0, 0, 0
	mode.Cc[syscall.VMIN], mode.Cc[syscall.VTIME] = 1, 0
	ioctl(t, p.keep, syscall.TCSETS, unsafe.Pointer(&mode))
	t.Cleanup(p.remove)
	return p
}

// remove makes the device go away, as when it is unplugged.
func (p *pty) remove() {
	p.Close()
	p.keep.Close()
}

// send writes bytes of the stream, from byte i on.
func (p *pty) send(t testing.TB, i, n int) {
	t.Helper()
	if _, err := p.Write(streamBytes(i, n)); err != nil {
		t.Fatal(err)
	}
}

// until asks d for entropy until done is content with the answer.
func until(t testing.TB, d *Device, p []byte, done func(err error) bool) {
	t.Helper()
	var err error
	for range 3000 { // half a minute
		_, err = d.GetEntropy(t.Context(), p, 512)
		if done(err) {
			return
		}
		if err != nil && !errors.Is(err, ErrUnavailable) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("at last: %v", err)
}

// eventually gets entropy, however long that takes.
func eventually(t testing.TB, d *Device, p []byte) {
	t.Helper()
	until(t, d, p, func(err error) bool { return err == nil })
}

func (d *deviceInput) isOpen() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.file != nil
}

// openFiles returns how many files that are open have that name.
func openFiles(t testing.TB, path string) (n int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	for _, fd := range fds {
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && target == path {
			n++
		}
	}
	return n
}

// Devices that every Linux has: one that works, one that ends, two that are stuck.
func TestDeviceReal(t *testing.T) {
	for _, tt := range []struct {
		path  string
		want  error
		alarm HealthError
	}{
		{"/dev/urandom", nil, HealthError{}},
		{"/dev/random", nil, HealthError{}},
		{"/dev/null", io.EOF, HealthError{}},
		{"/dev/zero", nil, HealthError{"device", "RCT", 9, 9, false}},
		{"/dev/full", nil, HealthError{"device", "RCT", 9, 9, false}},
	} {
		d := NewDevice(DeviceConfig{Path: tt.path})
		switch {
		case tt.want != nil:
			mustLack(t, d, tt.want)
			mustLack(t, d, ErrUnavailable)
		case tt.alarm != HealthError{}:
			mustAlarm(t, mustLack(t, d, nil), tt.alarm)
			final := HealthError{"device", "RCT", 16, 16, true}
			mustAlarm(t, mustLack(t, d, nil), final)
			mustAlarm(t, mustLack(t, d, nil), final)
		default:
			seen := make(map[string]bool)
			p := make([]byte, 48)
			for range 100 {
				eventually(t, d, p)
				if seen[string(p)] || bytes.Equal(p, make([]byte, 48)) {
					t.Fatalf("%s: delivered twice: %x", tt.path, p)
				}
				seen[string(p)] = true
			}
		}
		if err := d.Close(); err != nil {
			t.Errorf("%s: %v", tt.path, err)
		}
		if n := openFiles(t, tt.path); n != 0 && tt.path != "/dev/null" {
			t.Errorf("%s: open %d times after Close", tt.path, n)
		}
	}
}

// E1, E3: a FIFO without a writer, to open which would block for ever, and a socket.
func TestDeviceRefusesToBlock(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skip(err)
	}
	d := NewDevice(DeviceConfig{Path: fifo})
	if err := mustLack(t, d, ErrUnavailable); !strings.Contains(err.Error(), "not a character device: p") {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	// One that is put in place of the device between the two looks at it.
	f, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := checkDevice(fifo, info); err == nil {
		t.Error("accepted after it was opened")
	}
}

// E1: a device that delivers late, in pieces, is unplugged, and comes back.
func TestDeviceTrace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "rng")
	plug := func(p *pty) {
		t.Helper()
		if err := os.Symlink(p.path, path); err != nil {
			t.Fatal(err)
		}
	}
	d := NewDevice(DeviceConfig{Path: path, Rate: 256})
	defer d.Close()
	if err := mustLack(t, d, ErrUnavailable); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before it is there: %v", err)
	}

	first := newPTY(t)
	plug(first)
	told := make(chan struct{}, 100)
	d.Notify(func() { told <- struct{}{} })
	p := make([]byte, 32)
	until(t, d, p, func(error) bool { return d.input.isOpen() }) // after the back-off
	first.send(t, 0, 1000)
	mustLack(t, d, ErrUnavailable)               // the start-up test is not over
	for _, n := range []int{24, 1, 30, 64, 10} { // 1024, and 105 beyond
		first.send(t, 1000, n)
		time.Sleep(time.Millisecond)
	}
	<-told
	eventually(t, d, p)
	if n := openFiles(t, first.path); n != 2 { // the test has it, too
		t.Errorf("the device is open %d times", n-1)
	}

	// Unplugged: what has been read is still good, and then there is an error.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	first.remove()
	until(t, d, p, func(err error) bool { return errors.Is(err, fs.ErrNotExist) })
	if d.input.isOpen() {
		t.Error("the device that is gone was not closed")
	}

	// Back again, as another one. The start-up test has been passed before.
	second := newPTY(t)
	plug(second)
	second.send(t, 4000, 500)
	eventually(t, d, p)
	if !bytes.Equal(p, streamBytes(4000, 32)) {
		t.Errorf("%x", p)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if n := openFiles(t, second.path); n != 1 {
		t.Errorf("open %d times after Close", n-1)
	}
}

// E1: the descriptor goes bad under the reader, as when a program closes descriptors that
// are not its own. The device is opened anew, and nothing that was read is lost.
func TestDeviceBadDescriptor(t *testing.T) {
	d := NewDevice(DeviceConfig{Path: "/dev/urandom", Rate: 256})
	defer d.Close()
	p := make([]byte, 64)
	eventually(t, d, p)
	d.input.mu.Lock()
	old := d.input.file
	old.Close()
	d.input.mu.Unlock()
	until(t, d, p, func(err error) bool {
		d.input.mu.Lock()
		defer d.input.mu.Unlock()
		return err == nil && d.input.file != nil && d.input.file != old
	})
	if n := openFiles(t, "/dev/urandom"); n != 1 {
		t.Errorf("open %d times", n)
	}
}

// A device that hangs, and can be polled: Close ends the read at once. Without Close the
// deadline does.
func TestDeviceHang(t *testing.T) {
	p := newPTY(t)
	d := NewDevice(DeviceConfig{Path: p.path})
	mustLack(t, d, ErrUnavailable)
	if goroutines() == 0 {
		t.Error("no read is under way")
	}
	start := time.Now()
	if err := d.Close(); err != nil || goroutines() != 0 {
		t.Errorf("Close: %v, %d goroutines", err, goroutines())
	}
	if took := time.Since(start); took > feedStall/2 {
		t.Errorf("Close took %v", took)
	}

	d = NewDevice(DeviceConfig{Path: p.path})
	defer d.Close()
	if d.input.stall != feedStall {
		t.Errorf("a read may take %v", d.input.stall)
	}
	d.input.stall = 50 * time.Millisecond
	start = time.Now()
	n, err := d.input.read(make([]byte, 32))
	if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || d.input.file == nil {
		t.Errorf("a read without data: %d, %v; open: %t", n, err, d.input.file != nil)
	}
	if took := time.Since(start); took < d.input.stall {
		t.Errorf("the deadline came after %v", took)
	}
	p.send(t, 0, 7)
	got := make([]byte, 32)
	if n, err := d.input.read(got); n != 7 || err != nil || !bytes.Equal(got[:7], streamBytes(0, 7)) {
		t.Errorf("a read after the deadline: %d, %v", n, err)
	}
	d.input.interrupt()
	if n, err := d.input.read(got); n != 0 || !errors.Is(err, os.ErrClosed) {
		t.Errorf("a read after Close: %d, %v", n, err)
	}
}

const permissionsEnv = "LRNG_TEST_DEVICE_PERMISSIONS"

// E1: the permissions of a device change while a program runs that is not root.
func TestDevicePermissions(t *testing.T) {
	if os.Getuid() != 0 {
		devicePermissions(t)
		return
	}
	if os.Getenv(permissionsEnv) != "" {
		t.Fatal("still root")
	}
	// The directory of the binary is closed to others, as those of tests are.
	dir, err := os.MkdirTemp("/tmp", "lrng-test-")
	if err != nil {
		t.Skip(err)
	}
	defer os.RemoveAll(dir)
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "test"), self, 0o755)
	}
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, "test"), "-test.run=^TestDevicePermissions$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), permissionsEnv+"=1", "TMPDIR=/tmp")
	const nobody = 65534
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		t.Skipf("cannot give up privileges here: %v", err)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: TestDevicePermissions") {
		t.Errorf("%v\n%s", err, out)
	}
}

func devicePermissions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rng")
	plug := func() *pty {
		t.Helper()
		p := newPTY(t)
		os.Remove(path)
		if err := os.Symlink(p.path, path); err != nil {
			t.Fatal(err)
		}
		return p
	}
	permit := func(p *pty, mode fs.FileMode) {
		t.Helper()
		if err := os.Chmod(p.path, mode); err != nil {
			t.Fatal(err)
		}
	}
	denied := func(err error) bool { return errors.Is(err, ErrUnavailable) && errors.Is(err, fs.ErrPermission) }
	d := NewDevice(DeviceConfig{Path: path, Rate: 256})
	defer d.Close()
	p := make([]byte, 32)

	first := plug()
	permit(first, 0)
	if err := mustLack(t, d, ErrUnavailable); !denied(err) {
		t.Fatalf("without permission: %v", err)
	}
	permit(first, 0o600)
	until(t, d, p, func(error) bool { return d.input.isOpen() })
	first.send(t, 0, 1024+64)
	eventually(t, d, p)

	// What is open stays so.
	permit(first, 0)
	first.send(t, 2000, 100)
	eventually(t, d, p)

	// It is plugged in anew, and nobody has set the permissions yet.
	second := plug()
	permit(second, 0)
	first.remove()
	until(t, d, p, denied)
	if d.input.isOpen() || d.Available(256) != 0 {
		t.Error("the device that is gone was not closed, or there are data")
	}
	permit(second, 0o600)
	second.send(t, 4000, 500)
	eventually(t, d, p)
	if !bytes.Equal(p, streamBytes(4000, 32)) {
		t.Errorf("%x", p)
	}
}
