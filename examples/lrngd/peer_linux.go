package main

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// peerOf returns who is at the other end: on a Unix socket what the kernel noted when
// that connected.
func peerOf(c net.Conn) (peer, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return peer{uid: -1}, nil
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return peer{uid: -1}, err
	}
	var cred *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return peer{uid: -1}, err
	}
	if failed != nil {
		return peer{uid: -1}, fmt.Errorf("SO_PEERCRED: %w", failed)
	}
	return peer{uid: int64(cred.Uid), pid: int(cred.Pid)}, nil
}
