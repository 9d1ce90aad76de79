package secmem

import "golang.org/x/sys/unix"

// concealed has memory left out of core dumps.
const concealed = unix.MAP_CONCEAL

func leaveOut([]byte) error { return nil }
