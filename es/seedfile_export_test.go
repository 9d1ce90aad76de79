package es

import "testing"

// NewCreditedSeedFile returns a source whose file is credited.
func NewCreditedSeedFile(t testing.TB) *SeedFile {
	n := newSeedNode(t.TempDir())
	n.unsynced = true
	n.stored(t)
	return n.source()
}
