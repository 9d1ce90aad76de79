//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package safefile

import (
	"os"
	"syscall"
)

// FactsOf returns the facts about a file, and whether they are known.
func FactsOf(fi os.FileInfo) (Facts, bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return Facts{}, false
	}
	return Facts{Owner: st.Uid, Links: uint64(st.Nlink), Inode: uint64(st.Ino)}, true
}

// NonBlocking is the flag for os.OpenFile by which opening a FIFO does not wait for
// somebody at its other end.
const NonBlocking = syscall.O_NONBLOCK
