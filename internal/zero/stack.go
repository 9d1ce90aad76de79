package zero

const (
	// stackSize is how much of the stack is cleared, in bytes. It is twice of what the hash
	// functions of the standard library use below a mechanism of package drng, which work
	// on copies of the digest and of the message.
	stackSize = 2048

	// stackMargin is for the frames between a function that calls ReserveStack, and Stack
	// when it returns.
	stackMargin = 512
)

// ReserveStack makes room for as much stack as [Stack] clears. If the stack has to move
// for it, it does so now: the runtime leaves the old one as it is.
func ReserveStack() { reserve(false) }

// reserve has its frame whether it uses it or not.
//
//go:noinline
func reserve(use bool) {
	if use {
		var frame [stackSize + stackMargin]byte
		Bytes(frame[:])
	}
}

// Stack clears the stack below the caller, where the functions that it called have left their
// variables, and on amd64 the vector registers. What they left on a stack that was too
// small is out of reach: [ReserveStack] comes before them.
//
//go:noinline
func Stack() {
	var frame [stackSize]byte // cleared, since another function gets hold of it
	move(frame[:len(zeros)], zeros[:])
}

// move copies. A copy of 256 bytes goes through all sixteen vector registers of amd64.
//
//go:noinline
func move(dst, src []byte) { copy(dst, src) }
