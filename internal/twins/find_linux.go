package twins

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

const (
	vmclockDevice  = "/dev/vmclock0"
	sysgenidDevice = "/dev/sysgenid"
)

func find() (*Page, error) {
	return best(
		func() (*Page, error) { return open(vmclockDevice, VMClock) },
		func() (*Page, error) { return open(sysgenidDevice, SysGenID) },
	)
}

// open maps a device, and has its page examined.
func open(name string, examine func(string, []byte) (*Page, error)) (*Page, error) {
	memory, err := mapDevice(name)
	if err != nil {
		return nil, &deviceError{err}
	}
	p, err := examine(name, memory)
	if err != nil {
		syscall.Munmap(memory)
		return nil, err
	}
	return p, nil
}

// A deviceError is the error of a device that cannot be mapped. Its text is not made before
// somebody wants it: most machines have neither device, and package fmt is half of what it takes
// to find that out.
type deviceError struct{ err error }

func (e *deviceError) Error() string { return "twins: " + e.err.Error() }
func (e *deviceError) Unwrap() error { return e.err }

// mapDevice maps one page of the device for reading. The mapping cannot be cut off, as
// that of a file can: to look at it is never a SIGBUS.
func mapDevice(name string) ([]byte, error) {
	// Looked at before it is opened: opening a device may do something.
	var st syscall.Stat_t
	if err := syscall.Stat(name, &st); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	if err := checkDevice(name, &st); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	if err := checkDevice(name, &st); err != nil {
		return nil, err
	}
	// The driver wants a whole page and no right to write (vmclock_miscdev_mmap in
	// drivers/ptp/ptp_vmclock.c of Linux).
	memory, err := syscall.Mmap(int(f.Fd()), 0, os.Getpagesize(), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, &fs.PathError{Op: "mmap", Path: name, Err: err}
	}
	return memory, nil
}

// miscMajor is the major number of the devices that both drivers make
// (Documentation/admin-guide/devices.txt in Linux). Among those with other numbers are
// some that can be mapped and count nothing, as /dev/zero.
const miscMajor = 10

var errNoDevice = errors.New("not a character device of major number 10")

func checkDevice(name string, st *syscall.Stat_t) error {
	if st.Mode&syscall.S_IFMT != syscall.S_IFCHR || major(uint64(st.Rdev)) != miscMajor {
		return &fs.PathError{Op: "map", Path: name, Err: errNoDevice}
	}
	return nil
}

// major returns the major number of a device, as gnu_dev_major in the C library.
func major(dev uint64) uint64 { return dev>>8&0xfff | dev>>32&^0xfff }
