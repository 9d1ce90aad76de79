//go:build unix

package main

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// maxPath is how long the path of a socket may be, in bytes: a zero follows it.
const maxPath = len(unix.RawSockaddrUnix{}.Path) - 1

// lockFile opens a file with an exclusive lock on it.
func lockFile(path string) (*os.File, error) {
	// Not through a symbolic link: as root, in a directory of somebody else, that would
	// make files anywhere.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	switch err := flock(f); {
	case errors.Is(err, unix.EWOULDBLOCK):
		f.Close()
		return nil, fmt.Errorf("in use: another lrngd has locked %s", path)
	case err != nil:
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// listenUnix makes a Unix socket that has its mode from the beginning: for a moment it
// has less, never more.
func listenUnix(path string, mode os.FileMode) (net.Listener, error) {
	old := unix.Umask(0o777)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	unix.Umask(old)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, mode); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func isRefused(err error) bool { return errors.Is(err, unix.ECONNREFUSED) }
