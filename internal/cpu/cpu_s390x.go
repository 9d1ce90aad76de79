//go:build !purego

package cpu

// stfle executes STORE FACILITY LIST EXTENDED for the first 64 facilities. The
// machines that Go runs on have it, z13 and later; the runtime executes it at
// each start, as package internal/cpu of the standard library does.
//
//go:noescape
func stfle() (facilities uint64)

// prnoQuery executes the query function of PRNO, which stores a bit for each
// function that there is. The facility list must announce the instruction.
//
//go:noescape
func prnoQuery() (functions [2]uint64)

func hasTRNG() bool { return announcesTRNG(stfle, prnoQuery) }
