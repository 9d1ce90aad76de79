//go:build aix || linux || netbsd || solaris

package sysrand

import (
	"errors"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

var errNotGenerator = errors.New("not the generator's device file")

// deviceWasReady is set when /dev/random was seen to be readable. It has to be
// remembered: before Linux 5.6 the device becomes unreadable again when others
// drain it, although the generator behind /dev/urandom stays seeded for good.
var deviceWasReady atomic.Bool

// deviceReady returns nil if the generator has been seeded, or ErrNotReady. It
// asks /dev/random, because /dev/urandom delivers before that, too (random(4)).
func deviceReady() error {
	if deviceWasReady.Load() {
		return nil
	}
	const path = "/dev/random"
	fd, err := openDevice(path, 8)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	switch n, err := unix.Poll(fds, 0); {
	case err != nil:
		return wrap("poll "+path, err)
	case n == 0:
		return ErrNotReady
	case fds[0].Revents&unix.POLLIN == 0:
		return wrap("poll "+path, unix.EIO)
	}
	deviceWasReady.Store(true)
	return nil
}

// openDevice opens a device file of the generator, making sure that it is one.
//
// The file is opened for each use and closed again: a descriptor that is kept
// can be closed and its number given to another file by a program that, on
// becoming a daemon, closes all it finds, and its data would then be taken for
// random. O_NONBLOCK keeps a FIFO of that name from blocking the open.
func openDevice(path string, minor uint32) (fd int, err error) {
	fd, err = unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, wrap("open "+path, err)
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && (st.Mode&unix.S_IFMT != unix.S_IFCHR || !genuine(&st, minor)) {
		err = errNotGenerator
	}
	if err != nil {
		unix.Close(fd)
		return -1, wrap(path, err)
	}
	return fd, nil
}
