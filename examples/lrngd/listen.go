package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
)

// sockets are the listeners, by what is spoken on them.
type sockets struct {
	egd, http, in []net.Listener

	locks []*os.File
}

func (s *sockets) close() {
	for _, list := range [][]net.Listener{s.egd, s.http, s.in} {
		for _, l := range list {
			l.Close()
		}
	}
	for _, f := range s.locks {
		f.Close()
	}
}

// openSockets makes the sockets that the flags name, and takes those of systemd.
func openSockets(c *config) (*sockets, error) {
	s := new(sockets)
	if err := s.open(c); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *sockets) open(c *config) error {
	kinds := []struct {
		name      string
		addresses []string
		mode      uint32
		to        *[]net.Listener
	}{
		{"egd", c.egd, c.mode, &s.egd},
		{"http", c.http, c.mode, &s.http},
		{"in", c.in, c.inMode, &s.in},
	}
	given := activation.Files(true)
	defer func() {
		for _, f := range given {
			f.Close()
		}
	}()
next:
	for _, f := range given {
		for _, k := range kinds {
			if f.Name() != k.name {
				continue
			}
			l, err := net.FileListener(f)
			if err != nil {
				return fmt.Errorf("socket %s of systemd: %w", k.name, err)
			}
			*k.to = append(*k.to, l)
			if err := checkListener(l, k.name == "in"); err != nil {
				return fmt.Errorf("socket %s of systemd: %w", k.name, err)
			}
			continue next
		}
		return fmt.Errorf("socket %q of systemd: FileDescriptorName is not egd, http or in", f.Name())
	}
	for _, k := range kinds {
		for _, address := range k.addresses {
			l, lock, err := listen(address, os.FileMode(k.mode))
			if lock != nil {
				s.locks = append(s.locks, lock)
			}
			if err != nil {
				return fmt.Errorf("-%s: %w", k.name, err)
			}
			*k.to = append(*k.to, l)
		}
	}
	if len(s.egd)+len(s.http)+len(s.in) == 0 {
		return usagef("nothing to listen on: see -egd, -http and -in")
	}
	return nil
}

// checkListener returns why a socket of systemd cannot be used.
func checkListener(l net.Listener, unixOnly bool) error {
	switch a := l.Addr().(type) {
	case *net.UnixAddr:
		return nil
	case *net.TCPAddr:
		if unixOnly {
			return fmt.Errorf("%v: entropy is taken in on Unix sockets only", a)
		}
		return checkAddress(a.String())
	default:
		return fmt.Errorf("it is of kind %s", a.Network())
	}
}

// listen makes a socket. One that is stale is replaced; one that somebody listens on is
// an error. The lock says that a Unix socket is this process's, as long as it is open.
func listen(address string, mode os.FileMode) (l net.Listener, lock *os.File, err error) {
	if !filepath.IsAbs(address) {
		a, err := netip.ParseAddrPort(address)
		if err != nil {
			return nil, nil, err
		}
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(a))
		return l, nil, err
	}
	if len(address) > maxPath {
		return nil, nil, fmt.Errorf("%s: too long for the path of a socket: %d bytes, at most %d", address, len(address), maxPath)
	}
	// Between the look at a stale socket and its removal another process could put its
	// own in the place. So each one that looks holds a lock; the file stays, since
	// removing it could take it from somebody who has just opened it.
	lock, err = lockFile(address + ".lock")
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", address, err)
	}
	if err := removeStale(address); err != nil {
		return nil, lock, fmt.Errorf("%s: %w", address, err)
	}
	u, err := listenUnix(address, mode)
	return u, lock, err
}

// removeStale removes a socket that nobody listens on.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("in the way is a file that is not a socket")
	}
	c, err := net.DialTimeout("unix", path, 5*time.Second)
	if err == nil {
		c.Close()
		return errors.New("in use: somebody listens on it")
	}
	if !isRefused(err) {
		// A full queue, or no right to connect: somebody may be there.
		return fmt.Errorf("in use, as it seems: %w", err)
	}
	return os.Remove(path)
}
