// Package stripe tells goroutines apart at next to no cost, so that those that run
// at the same time can be given memory of their own.
package stripe

import "unsafe"

// Stack returns a number that depends on the stack of the goroutine that calls it.
// A goroutine gets the same number each time, apart from a few changes when its
// stack grows or the depth of its calls changes by much. Two goroutines mostly get
// different ones, often neighbours.
//
// The number of the processor is better where there are more goroutines than processors, but
// only new processors of one architecture tell it at once: see [CPU]. Else to ask for it takes longer than to
// read a clock: 10 to 20 ns by sync.Pool or RDTSCP, less than 1 ns for the address.
// With few goroutines the difference is small. Stacks are handed out and taken back in caches of the
// processors, so goroutines that live briefly run on the stacks of the processor at
// hand.
//
// It is a hint: nothing may depend on it but speed.
func Stack() uint32 {
	var here byte
	return uint32(uintptr(unsafe.Pointer(&here)) >> 11) // the least stack has 2 KiB
}

// Hint returns a hash of [Stack], of which all bits are equally good.
func Hint() uint32 {
	h := Stack() * 0x9e3779b1 // 2³² divided by the golden ratio
	return h ^ h>>16
}
