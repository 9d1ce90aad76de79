// Package sysrand reads the random generator of the operating system by the
// system's own calls: getrandom(2) and its equivalents. It never goes through
// crypto/rand, whose Reader a program may have replaced by one of ours.
//
//	Linux                 getrandom(2); without it /dev/urandom, once /dev/random is readable
//	FreeBSD, DragonFly    getrandom(2)
//	macOS, iOS, OpenBSD   getentropy(2)
//	NetBSD                sysctl kern.arandom, once /dev/random is readable
//	Windows               ProcessPrng
//	js                    crypto.getRandomValues
//	wasip1                random_get
//	AIX, Solaris, illumos /dev/urandom, once /dev/random is readable
//	others                none: ErrUnsupported
//
// Nothing here waits, but for what a WebAssembly host may do: a generator that
// has not been seeded since the machine was started is [ErrNotReady], and the
// caller, who has a context, decides when to come back. Output of a generator
// that is not ready is never asked for, so there is no path that returns it.
// The environment is not consulted, and nothing but the two devices is opened.
package sysrand

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/lrng-go/lrng/internal/zero"
)

var (
	// ErrNotReady says that the generator has not gathered enough entropy since
	// the machine was started. It will be ready later.
	ErrNotReady = errors.New("sysrand: the generator of the operating system is not ready")

	// ErrUnsupported says that this system has no generator that the package
	// knows how to ask.
	ErrUnsupported = errors.New("sysrand: the operating system has no known generator")
)

// errImpossible reports an answer that the interface rules out. Such a system
// is not to be believed, so the data are dropped.
var errImpossible = errors.New("sysrand: impossible length from the operating system")

// maxInterrupts is how often in a row a request is repeated that a signal
// interrupted before it delivered anything. Requests to a generator that is
// ready either deliver at once or, if long, deliver a part, so two in a row
// are already unusual. The limit turns an answer that never changes, such as
// that of a system call filter, into an error instead of an endless loop.
const maxInterrupts = 64

// Read fills b from the generator of the operating system, for seeds. It goes
// to the kernel wherever the system offers that, past any state that the C
// library or the vDSO keeps in the memory of this process, which can be read
// from a core dump or come back with a restored snapshot.
//
// It returns ErrNotReady rather than wait. With an error nothing of what was
// read is left in b. It may be called concurrently. The buffer does not escape,
// and a successful call does not allocate, except on js and when a device file
// is read.
func Read(b []byte) error {
	return fill(b, false)
}

// Mix fills b from the generator of the operating system by the fastest way
// there is, for a few bytes in each request of a deterministic generator. On
// Linux that is the vDSO after a few calls, elsewhere the same as [Read].
//
// It reports whether b was filled; if it was not, nothing of what was read is
// left in b. It never waits, may be called concurrently, and neither allocates
// nor lets b escape, except as Read does. On Linux a request of up to 256 bytes
// is answered whole, without being interrupted (random(7)).
func Mix(b []byte) bool {
	return fill(b, true) == nil
}

// fill makes requests until b is full. The platform's
//
//	func request(b []byte, mix bool) (n int, err error)
//
// makes a single one, for 1…maxRequest bytes, and returns how many it stored.
func fill(b []byte, mix bool) error {
	// There is no function value to inject for tests, as b would escape into
	// it; sysrand_linux_test.go answers the system calls instead.
	done, interrupts := 0, 0
	for done < len(b) {
		part := b[done:min(len(b), done+maxRequest)]
		n, err := request(part, mix)
		if err == nil {
			if n <= 0 || n > len(part) {
				err = errImpossible
			} else {
				done += n
				interrupts = 0
				continue
			}
		} else if errors.Is(err, syscall.EINTR) && interrupts < maxInterrupts {
			interrupts++
			continue
		}
		// Only what was stored is wiped: it was writable, the rest need not be.
		zero.Bytes(b[:done])
		return err
	}
	return nil
}

// wrap adds the name of the call to an error of the system.
func wrap(call string, err error) error {
	return fmt.Errorf("sysrand: %s: %w", call, err)
}
