package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const kernelDevice = "/dev/random"

// A device is the generator of the kernel, by its device (random(4)).
type device struct {
	file  *os.File
	raw   syscall.RawConn
	admin bool // with ioctls, and not by write(2)
	ioctl func(fd, request uintptr, argument unsafe.Pointer) error
}

// poolInfo is struct rand_pool_info of linux/random.h.
type poolInfo struct {
	credit int32 // bits
	size   int32 // bytes
	data   [feedSize]byte
}

// openKernel opens the generator of the kernel. Without admin its Add gives no credit,
// and its Reseed fails: nothing of that takes a privilege.
func openKernel(admin bool) (kernel, error) {
	f, err := os.OpenFile(kernelDevice, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	return newDevice(f, admin)
}

func newDevice(f *os.File, admin bool) (*device, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &device{file: f, raw: raw, admin: admin, ioctl: ioctl}, nil
}

func ioctl(fd, request uintptr, argument unsafe.Pointer) error {
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(argument)); e != 0 {
		return e
	}
	return nil
}

func (d *device) Close() error { return d.file.Close() }

// Add uses RNDADDENTROPY. That takes CAP_SYS_ADMIN, whatever the credit; so without it
// the data are written to the device, which has the same effect as a credit of 0.
func (d *device) Add(p *[feedSize]byte, bits int) error {
	if !d.admin {
		if bits != 0 {
			return errors.New("credit takes CAP_SYS_ADMIN")
		}
		_, err := d.file.Write(p[:])
		return err
	}
	info := poolInfo{credit: int32(bits), size: feedSize, data: *p}
	defer clear(info.data[:])
	var failed error
	err := d.raw.Control(func(fd uintptr) {
		failed = d.ioctl(fd, unix.RNDADDENTROPY, unsafe.Pointer(&info))
	})
	return errors.Join(err, explain("RNDADDENTROPY", failed))
}

// Reseed uses RNDRESEEDCRNG, which takes CAP_SYS_ADMIN.
func (d *device) Reseed() error {
	var failed error
	err := d.raw.Control(func(fd uintptr) { failed = d.ioctl(fd, unix.RNDRESEEDCRNG, nil) })
	return errors.Join(err, explain("RNDRESEEDCRNG", failed))
}

// explain says what an error of an ioctl means here.
func explain(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENODATA):
		return fmt.Errorf("%s: %w", name, errKernelUnseeded)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%s: %w: it takes CAP_SYS_ADMIN, in the first user namespace of the machine", name, err)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// Wanting waits until the device can be written to in the sense of poll(2). Since Linux
// 5.18 that is so only until the kernel's generator has its first seed. Kernels before
// asked like that whenever their count of entropy was below write_wakeup_threshold; later
// ones never ask again.
func (d *device) Wanting(ctx context.Context) error {
	if err := d.file.SetWriteDeadline(time.Time{}); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { d.file.SetWriteDeadline(time.Now()) })
	defer stop()
	if err := ctx.Err(); err != nil {
		return err
	}
	var failed error
	err := d.raw.Write(func(fd uintptr) bool {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		n, err := unix.Poll(poll, 0)
		if err != nil && !errors.Is(err, unix.EINTR) {
			failed = fmt.Errorf("poll: %w", err)
			return true
		}
		return n > 0 && poll[0].Revents&unix.POLLOUT != 0
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(err, failed)
}
