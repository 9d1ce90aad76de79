//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package safefile

import "os"

// TryLock takes the advisory lock on an open file or directory. Here there is none.
func TryLock(*os.File) (locked, supported bool, err error) { return false, false, nil }
