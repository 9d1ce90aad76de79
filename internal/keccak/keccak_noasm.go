//go:build !amd64 || purego

package keccak

func permute(s *State) { permuteGeneric(s) }
