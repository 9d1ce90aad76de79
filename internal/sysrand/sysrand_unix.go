//go:build aix || solaris

package sysrand

import "golang.org/x/sys/unix"

// Longer reads of the device are answered in part: fill continues.
const maxRequest = 64 << 10

// request reads the device: getrandom(2) of Solaris and illumos is reached
// through the C library only, and AIX has none.
func request(b []byte, _ bool) (int, error) {
	return readDevice(b)
}

// genuine returns true, as the numbers of the devices are not fixed here.
func genuine(*unix.Stat_t, uint32) bool { return true }
