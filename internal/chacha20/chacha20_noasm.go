//go:build purego || (!amd64 && !arm64)

package chacha20

func request(out, in []byte, s *State, scratch *Scratch, update bool) {
	requestGeneric(out, in, s, scratch, update)
}

func canHarden() bool { return false }

func requestHardened([]byte, []byte, *State, *Scratch, bool) (errno uintptr) {
	panic("chacha20: internal error: canHarden was false")
}
