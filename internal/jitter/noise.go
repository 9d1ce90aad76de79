package jitter

import "crypto/sha3"

// Noise says what a sample is the duration of.
type Noise uint8

const (
	Mixed  Noise = iota // memory accesses, and then a hash
	Memory              // memory accesses
	Hash                // a hash
)

// accesses is the number of memory accesses in one sample, unless the clock is
// coarse. It is that of jitterentropy; the package comment has the numbers that
// speak for it.
const accesses = 128

// A noise is the bare noise source: it measures how long a run takes, of memory
// accesses, of hashes, or of both.
//
// The time varies with what the program cannot see: the state of the caches, of
// the memory controller and of the predictors, all of them shared with other
// work, interrupts, the phases of clocks that are not locked to each other, and
// in a virtual machine the host. Nothing but the clock is asked between the two
// readings.
type noise struct {
	now    func() uint64
	memory []byte // a power of two; nil for Hash
	hash   bool   // whether a run has hashes
	length int    // a run is so many times accesses and one hash
	x      uint32 // state of xorshift32, never 0
	state  [32]byte
	last   uint64 // the last reading of the clock
}

// init prepares the first sample. The memory is not allocated before that.
func (n *noise) init(kind Noise, size int) {
	if kind != Hash {
		n.memory = make([]byte, size)
	}
	n.hash = kind != Memory
	n.length = 1
	n.last = n.now()
	n.x = uint32(n.last) | 1
}

// sample returns the duration of one run, in ticks of the clock. Forward is false
// if the clock went back during it, or since the last one: then delta means
// nothing.
func (n *noise) sample() (delta uint64, forward bool) {
	start := n.now()
	if n.memory != nil {
		n.touch()
	}
	if n.hash {
		n.compress()
	}
	end := n.now()
	forward = int64(start-n.last) >= 0 && int64(end-start) >= 0
	n.last = end
	return end - start, forward
}

// touch makes the accesses: it reads, increments and writes single bytes of the
// memory.
//
// The addresses come from xorshift32 (Marsaglia, 2003), so that neither a cache
// nor a prefetcher gets used to them. That has no part in security: entropy is
// what remains when an observer knows the sequence (see the package comment).
// Each address also depends on the byte that was read before. So an access cannot
// begin before the last is over, and the times of all of them add up. Without
// that dependency the CPU overlaps them, and the estimates are half as high.
func (n *noise) touch() {
	memory, mask := n.memory, uint32(len(n.memory)-1)
	x, v := n.x, byte(0)
	for range accesses * n.length {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		i := (x + uint32(v)) & mask
		v = memory[i] + 1
		memory[i] = v
	}
	n.x = x
}

// compress makes the hashes: SHA3-256, each of the one before.
//
// It executes the same instructions whatever the input, some thousand that depend on
// each other and hardly touch memory. So what varies is how the CPU executes them.
// The digests are no secret, and part of nothing: the function is a load that no
// compiler can leave out. SHA3-256 is that of jitterentropy. SHA-256 and SHA-512, of
// which some CPUs execute whole rounds as one instruction, have less noise in the same
// time.
func (n *noise) compress() {
	for range n.length {
		n.state = sha3.Sum256(n.state[:])
	}
}
