//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package safefile

import (
	"os"
	"syscall"
)

// TryLock takes the advisory lock on an open file or directory, which closing it
// releases, as does the end of the process. It does not wait: locked is false if
// somebody else has the lock. Supported says whether there are locks here.
func TryLock(f *os.File) (locked, supported bool, err error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return false, true, err
	}
	if e := conn.Control(func(fd uintptr) {
		for {
			if err = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB); err != syscall.EINTR {
				return
			}
		}
	}); e != nil {
		return false, true, e
	}
	switch err {
	case nil:
		return true, true, nil
	case syscall.EWOULDBLOCK:
		return false, true, nil
	case syscall.ENOSYS, syscall.ENOTSUP:
		return false, false, nil
	}
	return false, true, os.NewSyscallError("flock", err)
}
