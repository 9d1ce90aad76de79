// Package node asks the system for the addresses of the network interfaces of this
// machine, where that takes system calls.
//
// The package net is not used: with cgo it links the C library into every program
// that imports it.
package node

// Interfaces returns what the system says of the network interfaces, their hardware
// addresses among it, in an encoding of its own: to be hashed, not to be understood.
// It is nil where nothing is known, which includes Linux: there it is in files,
// below /sys/class/net.
func Interfaces() []byte { return interfaces() }
