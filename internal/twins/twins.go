// Package twins notices that the machine was copied: that a virtual machine was
// restored from a snapshot, from which another one may be restored, too. Both go on
// from one memory, and what is secret and unique in it is neither any more.
//
// It looks at pages where a hypervisor, or the kernel, counts such events:
//
//	/dev/vmclock0   the VMClock device: struct vmclock_abi of linux/vmclock-abi.h.
//	                Its generation counter is changed before the copy runs.
//	/dev/sysgenid   the counter of the SysGenID driver, which is no part of Linux.
//	                A driver, or a program, changes it soon after the copy runs.
//
// They are mapped on first use, for reading, and stay mapped: to ask costs four
// loads, about a nanosecond. Other systems than Linux have no such page that this package knows.
//
// A generation says that something happened, and not to whom: two machines made from one
// snapshot may have the same. Both have another one than the machine that was saved, and
// that is what matters.
package twins

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"
)

// A Page counts how often the machine was copied. Its methods are safe for concurrent
// use.
type Page struct {
	name     string
	reliable bool
	what     string         // what is counted, if not copies
	seq      *atomic.Uint32 // nil: the count is one word
	odd      uint32         // the bit of seq that is set while the count is written
	low      *atomic.Uint32
	high     *atomic.Uint32 // nil as seq
}

// The layout of struct vmclock_abi: include/uapi/linux/vmclock-abi.h in Linux, as of
// commit 3495064b6d65. Offsets are in bytes, all fields are little-endian. (UAPI.13,
// version 1.0, which describes the same page, has other numbers for the generation
// counter and its flag. QEMU, Firecracker and AWS-LC have those of Linux.)
const (
	offMagic      = 0   // 32 bits
	offSize       = 4   // 32 bits: bytes in the page that mean something
	offVersion    = 8   // 16 bits
	offSeq        = 12  // 32 bits, odd while the fields below are written
	offDisruption = 16  // 64 bits: changes when the clock of the CPU does
	offFlags      = 24  // 64 bits
	offGeneration = 104 // 64 bits: changes when the machine is loaded from a snapshot

	vmclockMagic   = 0x4b4c4356 // "VCLK"
	vmclockVersion = 1
	hasGeneration  = 1 << 8 // VMCLOCK_FLAG_VM_GEN_COUNTER_PRESENT
)

// tries is how often the page is read while the hypervisor writes to it. Writing takes
// a few stores, so one repetition is the rule. The bound makes a page that was left
// half written cost as much as a few hundred loads, and not the caller's time for ever.
const tries = 64

// VMClock returns the page that memory holds, in the layout of struct vmclock_abi; name
// is what it is called. Memory must stay mapped. It returns an error if that is not
// such a page.
//
// Without a generation counter the page counts disruptions of the clock. These come with
// a live migration, which is no copy, and with QEMU's first VMClock with each
// snapshot, but that is not promised: such a page is not reliable.
func VMClock(name string, memory []byte) (*Page, error) {
	if len(memory) < offFlags+8 {
		return nil, fmt.Errorf("twins: %s: %d bytes are no VMClock", name, len(memory))
	}
	if uintptr(unsafe.Pointer(unsafe.SliceData(memory)))%4 != 0 {
		return nil, fmt.Errorf("twins: %s: not aligned", name)
	}
	word := func(offset int) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&memory[offset])) }
	if m := little(word(offMagic).Load()); m != vmclockMagic {
		return nil, fmt.Errorf("twins: %s: magic number %#x; want %#x", name, m, vmclockMagic)
	}
	if v := little(word(offVersion).Load()) & 0xffff; v != vmclockVersion {
		return nil, fmt.Errorf("twins: %s: version %d; want %d", name, v, vmclockVersion)
	}
	size := little(word(offSize).Load())
	if size < offFlags+8 {
		return nil, fmt.Errorf("twins: %s: a size of %d bytes", name, size)
	}
	p := &Page{name: name, seq: word(offSeq), odd: little(1), low: word(offFlags), high: word(offFlags + 4)}
	_, ok := p.Generation()
	if !ok {
		return nil, fmt.Errorf("twins: %s: %w", name, errWriting)
	}
	counter := offDisruption
	if flags := little(p.low.Load()); flags&hasGeneration != 0 {
		counter = offGeneration
		if int64(size) < offGeneration+8 || len(memory) < offGeneration+8 {
			return nil, fmt.Errorf("twins: %s: a generation counter in %d bytes", name, min(int64(size), int64(len(memory))))
		}
	}
	p.low, p.high = word(counter), word(counter+4)
	if p.reliable = counter == offGeneration; !p.reliable {
		p.what = "disruptions of the clock only"
	}
	return p, nil
}

var errWriting = errors.New("the hypervisor does not stop writing to it")

// SysGenID returns the page that memory holds, whose first 32 bits are the counter of
// the SysGenID driver; name is what it is called. Memory must stay mapped.
//
// The counter is incremented by an interrupt, or by a program, when the copy runs
// already: the page is not reliable.
func SysGenID(name string, memory []byte) (*Page, error) {
	if len(memory) < 4 {
		return nil, fmt.Errorf("twins: %s: %d bytes are no counter", name, len(memory))
	}
	first := unsafe.Pointer(unsafe.SliceData(memory))
	if uintptr(first)%4 != 0 {
		return nil, fmt.Errorf("twins: %s: not aligned", name)
	}
	return &Page{name: name, what: "shortly afterwards", low: (*atomic.Uint32)(first)}, nil
}

// Generation returns a number that is another one after the machine was copied. It
// returns false if the hypervisor writes to the page all the time: then nothing is
// known.
func (p *Page) Generation() (g uint64, ok bool) {
	if p.seq == nil {
		return uint64(p.low.Load()), true
	}
	for range tries {
		// Atomic loads in Go are not reordered, and aligned words of 32 bits are one
		// access on every machine. The bytes of the number may be in any order.
		before := p.seq.Load()
		g = uint64(p.high.Load())<<32 | uint64(p.low.Load())
		if p.seq.Load() == before && before&p.odd == 0 {
			return g, true
		}
	}
	return 0, false
}

// Reliable reports whether the generation changes with each copy, and before the copy
// executes an instruction. If not, a change still is worth notice, but its absence means
// nothing.
func (p *Page) Reliable() bool { return p.reliable }

// String returns the name of the page, and what it is worth if that is less than one
// could think.
func (p *Page) String() string {
	if p.what == "" {
		return p.name
	}
	return p.name + " (" + p.what + ")"
}

// Find returns the page of this machine, or why there is none. It looks on the first
// call and keeps what it found.
func Find() (*Page, error) { return found() }

var found = sync.OnceValues(find)

// refusals are the reasons why there is no page.
type refusals struct{ errs []error }

func (r *refusals) Error() string {
	var text []string
	for _, err := range r.errs {
		text = append(text, err.Error())
	}
	return strings.Join(text, "; ")
}

func (r *refusals) Unwrap() []error { return r.errs }

// best returns the first reliable page of those that the functions return, else the last
// page, else all reasons.
func best(open ...func() (*Page, error)) (page *Page, reason error) {
	reasons := new(refusals)
	for _, f := range open {
		p, err := f()
		switch {
		case err == nil && p.reliable:
			return p, nil
		case err == nil:
			page = p
		default:
			reasons.errs = append(reasons.errs, err)
		}
	}
	if page != nil {
		return page, nil
	}
	return nil, reasons
}

// little returns the value of a little-endian word that was loaded as if it were one of
// this machine.
func little(w uint32) uint32 {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], w)
	return binary.LittleEndian.Uint32(b[:])
}
