// Package lrng is a random bit generator for programs to which crypto/rand is
// not enough: it draws on several independent entropy sources, judges what they
// deliver, and shows how it came to its verdict. Its design follows LRNG, the
// "new approach" to Linux's /dev/random.
//
// A program that uses [Reader], [Read], [Int], [Prime] or [Text] of crypto/rand
// changes its import line to
//
//	import rand "github.com/lrng-go/lrng"
//
// and needs nothing else. Programs with wishes of their own make an [RNG] with
// [New].
//
// # Flow
//
//	noise → health test → source → seed buffer → strategy → DRNG → reader
//
// The entropy sources (package es) are asked in parallel, each in a goroutine of
// its own behind a recover and a deadline. Each returns data and a credit, the
// min-entropy it vouches for, in bits. The collector cuts the credit to what the
// source declared as its most, to 8 times the length of the data, and to what
// was asked for. So a source that fails, hangs, panics or lies costs its own
// credit and nothing else.
//
// The data are concatenated, never mixed: credited ones make up the seed,
// uncredited ones go in beside it as additional input (SP 800-90C, Section 2.6).
// What one source knows of the seed says nothing about the part of another.
// A strategy (package seeding), which is a pure function of the credits, decides
// whether the sum is enough. While it is not, further rounds of the sources add
// to it and nothing is handed over: entropy that trickles in bit by bit cannot be
// guessed bit by bit.
//
// A complete seed goes to one deterministic generator (package drng) and is
// wiped. It is never split, shared or used again (SP 800-90A, Section 8.6.9).
//
// # Instances
//
// An [RNG] holds as many generator instances, called shards, as there are
// processors, so that goroutines do not wait for each other. Each has a seed of
// its own. Shard 0 is seeded first, before anything is output; another one is
// seeded when a processor first turns to it, and until that is done shard 0
// serves in its place. One more instance serves prediction resistance alone.
//
// A shard is due for a new seed after 2²⁰ requests or 10 minutes; shard n waits
// n·100 seconds longer, so that they do not all ask at once. The caller who finds
// a shard due starts a goroutine that collects and reseeds, and is served from
// the old state meanwhile. If the sources do not yield enough, the shard goes on
// up to 2³⁰ requests after its last seed and is then unseeded: the request that
// finds the limit gets no output of that state, it waits or fails.
//
// No goroutine exists while nothing is to be collected, and importing the package
// starts nothing.
//
// # Twins
//
// Output that was generated ahead of need is lost if the machine is cloned: both
// copies would hand it out. So unless the caller insists ([Config].OutputBuffer),
// output is generated ahead only where the processor says that it is not a virtual
// one, or where a page of the hypervisor counts the clones before they run
// (/dev/vmclock0). Elsewhere each read, and at least each 16384 bytes of a longer one, is
// combined with fresh bytes of the operating system, a word of the generator of the
// processor, and its cycle counter: two clones differ from the first read on as long as any
// one of these differs, and who knew all of the state would still have to guess those bytes.
// There are 16 of them (32 with [Config].Hardened), as additional input, or in short requests to
// a mechanism that is not of SP 800-90A combined with output generated ahead. If the operating system
// refuses them the request is served all the same; the status counts that.
//
// Where such a page is readable it is looked at before and after each request, in all
// modes. When it has changed, what the read has brought is thrown away, and so is what
// was generated ahead and what was collected towards a seed; every shard is seeded anew
// before it outputs anything. See docs/twins.md.
//
// # Memory
//
// The states of the instances, output that was generated ahead of need, seeds on their
// way from the sources to them, and what the sources of package es keep from one call to the next are in
// memory outside of the Go heap, of the best grade that the system grants:
//
//	secret     no part of the kernel's own map of memory: not in core dumps, not swapped,
//	           not to be read by debuggers and other processes of whatever privilege, and
//	           not had by a child process (Linux: memfd_secret)
//	locked     not swapped, not dumped and wiped in a child process (on some systems without
//	           the latter two); a debugger that insists reads it
//	droppable  the same as locked, but the kernel may drop it: what was in it is then
//	           unseeded, and never used (Linux)
//	private    not dumped and wiped in a child process; it may be swapped
//	heap       that of any other data
//
// The [Status] says which it is, and why no better. No more than 16 KiB are locked in a
// process, so that with very many shards some are in a lower grade, unless
// [Config].Memory demands one.
//
// In a child process of fork(2) without exec, no generator has a seed: requests wait, or
// fail, until it has a new one.
//
// Not covered are: seeds that [RNG.GetSeed] hands out; the answer of a source that is not
// of package es while it is on its way; hash functions of the standard library, which
// pools, conditioning and the mechanisms that are built on hashes run in: between calls those of
// mechanisms are empty, those of pools are not; and in FIPS mode the keys of CTR_DRBG.
//
// # Failure
//
// [RNG.Read] waits until the generator is fully seeded, and then fills its buffer
// without fail until the generator is closed or has lost its seed as above, in
// which case it waits again. It never returns a part. [Read], [Text] and [Reader]
// end the program if no random bytes can be had at all.
//
// # Self-tests
//
// Every algorithm has a known-answer test that runs before its first use, on
// [RNG.SelfTest], and every ten minutes of use. A failure is final for the process:
// all generators wipe their state and every call returns [ErrSelfTest].
//
// # Choice of cryptography
//
// The mechanism and the hash can be chosen in the [Config] and switched while the
// generator is in use: [RNG.SetDRNG], [RNG.SetConditioner]. Those of packages drng and
// conditioner can be used, or others that keep the rules of their interfaces.
//
// # FIPS 140-3
//
// In FIPS mode ([Config].FIPS) the default mechanism is CTR_DRBG, only primitives of
// the Go Cryptographic Module are used, and only sources with health tests or a declared
// certificate are credited. See docs/fips.md.
//
// # Limits
//
// The security strength is that of the mechanism: 256 bits for all that lrng provides
// but CTR_DRBG with shorter keys. Data handed out are erased from the memory of the generator before
// the call returns. What is not erased: what signals have saved of registers while a block was
// computed, which core dumps have, unless [Config].Hardened is set; and what the hash
// functions that sources and conditioning run in leave on stacks. Nothing here is validated or certified.
//
// Since Go 1.26 most functions of the standard library ignore the reader that
// they are given and use the generator of the runtime: see the example program
// migrate for a list, and for how to make keys all the same.
package lrng

import (
	"io"
	"sync"
	"sync/atomic"
)

// Default returns the generator behind the package-level functions. It is made
// on the first call, with the zero [Config], and collects nothing before its
// first use. A program that closes it cannot use the package-level functions any
// more.
func Default() *RNG {
	if r := defaultRNG.Load(); r != nil {
		return r
	}
	return makeDefault()
}

var defaultRNG atomic.Pointer[RNG]

var makeDefault = sync.OnceValue(func() *RNG {
	r, err := New(Config{})
	if err != nil {
		fatal(err) // only a failed self-test gets here
	}
	r.warn = warnStderr
	r.shared = true
	defaultRNG.Store(r)
	return r
})

// Reader is the shared generator, as crypto/rand.Reader is: safe for concurrent
// use, blocking until it is fully seeded and never afterwards. Its Read always
// fills the buffer and returns a nil error; if no random bytes can be had it ends
// the program.
//
// Package crypto/rand may be told to use it (rand.Reader = lrng.Reader).
var Reader io.Reader = &reader{}

// reader is the default generator reduced to its Read method.
type reader struct{}

func (*reader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if err := Default().fill(b); err != nil {
		fatal(err)
	}
	return len(b), nil
}

// Read fills b with random bytes from [Reader]. It never returns an error, and
// always fills b entirely: if Reader fails it ends the program in a way that
// cannot be recovered from. It does not allocate, and b may be on the stack. (In FIPS
// mode CTR_DRBG allocates: the standard library does so for every AES key.)
func Read(b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	// A call through the interface would make b escape to the heap in every
	// caller. The default reader is therefore called by its type, and only a
	// reader that somebody put in its place gets a buffer on the heap.
	if r, ok := Reader.(*reader); ok {
		return r.Read(b)
	}
	p := make([]byte, len(b))
	if _, err := io.ReadFull(Reader, p); err != nil {
		fatal(err)
	}
	copy(b, p)
	clear(p)
	return len(b), nil
}
