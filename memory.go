package lrng

import (
	"errors"
	"fmt"
	"strings"

	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/internal/secmem"
)

// A MemoryGrade is the least that Config.Memory accepts: see Memory in the documentation
// of the package for what the grades are.
type MemoryGrade int

const (
	// MemoryAny takes the best memory that there is, and never locks more than 16 KiB
	// in the process.
	MemoryAny MemoryGrade = iota

	// MemoryLocked is memory that is not swapped, nor dumped, nor had by a child process
	// ("locked"), or better.
	MemoryLocked

	// MemorySecret is memory that is no part of what other processes, debuggers and
	// the kernel itself can read ("secret"): Linux has it.
	MemorySecret
)

var memoryNames = [...]string{"any", "locked", "secret"}

// String returns "any", "locked" or "secret".
func (g MemoryGrade) String() string {
	if g < 0 || int(g) >= len(memoryNames) {
		return fmt.Sprintf("MemoryGrade(%d)", int(g))
	}
	return memoryNames[g]
}

// least returns the grade that is demanded. It is one of those that are defined.
func (g MemoryGrade) least() secmem.Grade {
	return [...]secmem.Grade{secmem.Heap, secmem.Locked, secmem.Secret}[g]
}

// memoryError is the error of a demand that is not fulfilled.
func memoryError(least secmem.Grade, err error) error {
	return fmt.Errorf("Config.Memory: %v: %w", least, err)
}

var errOwnMemory = errors.New("keeps its state in memory of its own")

// secretMemory returns where d keeps its state. It is nil if that is not in secret memory:
// if d is not a mechanism of package drng, or works with keys of the standard library.
func secretMemory(d drng.DRNG) secmem.Holder {
	switch d := d.(type) {
	case *drng.ChaCha20:
		return d.SecretMemory()
	case *drng.CTR:
		return d.SecretMemory()
	case *drng.Hash:
		return d.SecretMemory()
	case *drng.HMAC:
		return d.SecretMemory()
	case *drng.XDRBG:
		return d.SecretMemory()
	}
	return nil
}

// errVanished is the error of a request to an instance whose memory is gone. It leads to a
// new seed.
var errVanished = errors.New("lrng: the memory of the instance is gone")

// allocate gives an instance its memory, unless it has it: room for additional input, for
// output of a mechanism that is not ours, for so many bytes ahead of need, and for what
// combines these with fresh inputs. It notes the
// least grade of all that the instance has.
func (r *RNG) allocate(in *instance, ahead int) error {
	least := r.cfg.Memory.least()
	if !in.kept() {
		tmp := in.mech.chunk
		switch in.d.(type) {
		case *drng.ChaCha20, *drng.CTR, *drng.Hash, *drng.HMAC, *drng.XDRBG:
			tmp = 0
		}
		combine := 0
		if in.mech.combine && ahead > 0 {
			combine = secmem.Size[combiner]()
		}
		alloc := secmem.Alloc
		if combine > 0 {
			alloc = secmem.AllocLasting // a key schedule that turns to zeros is none
		}
		fresh := in.mech.fresh
		m, err := alloc(combine+fresh+tmp+ahead, least)
		if err != nil {
			return memoryError(least, err)
		}
		p := m.Bytes()
		if len(p) == 0 { // dropped already, or the process has been copied just now
			m.Free()
			return errVanished
		}
		in.memory, in.combiner, in.keyed = m, nil, false
		if combine > 0 {
			if in.combiner = secmem.At[combiner](m); in.combiner == nil {
				in.free() // what is ahead must not go out as it is
				return errVanished
			}
		}
		p = p[combine:]
		in.fresh, in.tmp, in.ahead = p[:fresh:fresh], p[fresh:fresh+tmp:fresh+tmp], p[fresh+tmp:]
		in.next = ahead
	}
	in.grade = secmem.Heap
	if holder := secretMemory(in.d); holder != nil {
		g, err := holder.Demand(least)
		if err != nil {
			return memoryError(least, err)
		}
		in.grade = min(g, in.memory.Grade())
	} else if least > secmem.Heap {
		return memoryError(least, fmt.Errorf("%s %w", in.mech.info.Name, errOwnMemory))
	}
	return nil
}

// kept reports whether the instance has its memory, as it left it.
func (in *instance) kept() bool { return in.memory != nil && in.memory.Intact() }

// alive reports whether nothing of the instance has vanished, as it has in a child process.
func (in *instance) alive() bool {
	holder := secretMemory(in.d)
	return in.kept() && (holder == nil || holder.Intact())
}

// free gives the memory back, wiped.
func (in *instance) free() {
	if in.memory != nil {
		in.memory.Free()
	}
	in.memory, in.combiner, in.fresh, in.tmp, in.ahead, in.next = nil, nil, nil, nil, nil, 0
	in.epoch.end()
}

// memoryStatus returns the name of the least grade of memory that the generator has its
// state in, and why that is not the best. Shards is the least of those of the shards.
func (r *RNG) memoryStatus(shards secmem.Grade) (grade, why string) {
	least := min(shards, secmem.Grade(r.prGrade.Load()), secmem.Grade(r.accGrade.Load()))
	for _, s := range r.sources {
		s.mu.Lock()
		if s.memory != nil {
			least = min(least, s.memory.Grade())
		}
		s.mu.Unlock()
	}
	m := r.mech.Load()
	switch {
	case least == secmem.Secret:
	case !m.secret:
		why = fmt.Sprintf("%s %v", m.info.Name, errOwnMemory)
	default:
		why = secmem.State().Refusals
		if why == "" || least < secmem.Locked && !strings.Contains(why, "locked: ") {
			limit := fmt.Sprintf("no more than %d bytes are locked in a process, unless Config.Memory asks for it", secmem.LockLimit)
			why = strings.TrimPrefix(why+"; "+limit, "; ")
		}
	}
	return least.String(), why
}
