//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package safefile

import "os"

// FactsOf returns the facts about a file, and whether they are known. Here they are
// not.
func FactsOf(os.FileInfo) (Facts, bool) { return Facts{}, false }

// NonBlocking is the flag for os.OpenFile by which opening a FIFO does not wait for
// somebody at its other end. Here there is none.
const NonBlocking = 0
