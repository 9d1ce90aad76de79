//go:build !purego && !race

package shard

// store stores [free]. What was written before is seen by whoever sees that: stores are
// not reordered on amd64. That of sync/atomic is an exchange, which also waits until all
// stores are done, and costs as much as taking the lock.
//
//go:noescape
func store(lock *uint32)
