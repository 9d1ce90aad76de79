//go:build !linux

package main

import "net"

// peerOf knows nobody: only Linux is asked who is at the other end. So all clients are
// one, and nothing that they bring is credited.
func peerOf(net.Conn) (peer, error) { return peer{uid: -1}, nil }
