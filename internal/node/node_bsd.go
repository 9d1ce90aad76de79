//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package node

import "syscall"

// interfaces returns the list of interfaces of route(4), with their addresses and
// counters.
func interfaces() []byte {
	//lint:ignore SA1019 its substitute is a module that this one does not depend on
	rib, err := syscall.RouteRIB(syscall.NET_RT_IFLIST, 0)
	if err != nil {
		return nil
	}
	return rib
}
