package zero

import (
	"bytes"
	"testing"
	"unsafe"
)

// deep leaves a pattern in the stack below its caller.
//
//go:noinline
func deep(pattern []byte) {
	var a [stackSize - 256]byte
	for p := a[:]; len(p) > 0; {
		p = p[copy(p, pattern):]
	}
	Bytes(a[len(a)-1:]) // so that it is there
}

// below returns how often a pattern is in the stack below its caller. It reads what is no
// variable of any function.
//
//go:noinline
func below(pattern []byte) int {
	var here byte
	p := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(&here), -stackSize)), stackSize)
	return bytes.Count(p, pattern)
}

// Stack clears what functions have left.
func TestStack(t *testing.T) {
	pattern := []byte("a pattern that is nowhere else!!")
	done := make(chan bool)
	go func() { // with a small stack
		defer close(done)
		ReserveStack()
		deep(pattern)
		if n := below(pattern); n < 40 {
			t.Errorf("a function left %d patterns of %d: the test is blind", n, (stackSize-256)/len(pattern))
		}
		deep(pattern)
		Stack()
		if n := below(pattern); n != 0 {
			t.Errorf("%d patterns left", n)
		}
	}()
	<-done
}

func BenchmarkStack(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		ReserveStack()
		Stack()
	}
}
