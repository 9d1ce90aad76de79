//go:build unix

package safefile

import "os"

// SyncDir writes the names in an open directory to the disk.
func SyncDir(f *os.File) error { return f.Sync() }
