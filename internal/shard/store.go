//go:build !amd64 || purego || race

package shard

import "sync/atomic"

// store stores [free].
func store(lock *uint32) { atomic.StoreUint32(lock, free) }
