package lrng

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/internal/clock"
	"github.com/lrng-go/lrng/internal/cpu"
	"github.com/lrng-go/lrng/internal/hwrand"
	"github.com/lrng-go/lrng/internal/sysrand"
	"github.com/lrng-go/lrng/internal/twins"
	"github.com/lrng-go/lrng/internal/zero"
)

// A machine is what a generator finds out about where it runs, and what it combines its
// requests with. Tests make machines of their own.
type machine struct {
	virtual, known bool        // whether it is a virtual one: see cpu.Hypervisor
	page           *twins.Page // nil: there is none
	noPage         error       // why

	system func(b []byte) bool // fills b with bytes of the operating system, the fastest way
	direct func(b []byte) bool // the same, past any state in the memory of the process
	word   func() uint64       // a word of the generator of the CPU, or 0
	cycles func() uint64       // the finest counter, or the time
}

// thisMachine returns the machine that the program runs on.
func thisMachine() *machine {
	m := &machine{
		system: sysrand.Mix,
		direct: func(b []byte) bool { return sysrand.Read(b) == nil },
		word:   func() uint64 { return 0 },
		cycles: clock.Direct(),
	}
	m.virtual, m.known = cpu.Hypervisor()
	m.page, m.noPage = twins.Find()
	// The fastest kind: a word is not credited, so that it need not be noise. Nor is it
	// tested, since a bad one does no harm among the others.
	for _, kind := range []hwrand.Kind{hwrand.DRBG, hwrand.Diluted, hwrand.Seed} {
		if step := hwrand.Step(kind); step != nil {
			m.word = func() uint64 {
				w, _ := step()
				return w
			}
			break
		}
	}
	return m
}

// A twinWatch knows the generation of the machine: see package twins. What was seeded
// before a change has a twin, and outputs nothing before it is seeded again.
type twinWatch struct {
	page    atomic.Pointer[twins.Page] // nil: there is none, or none any more
	name    string                     // of the page, or why there never was one
	mu      sync.Mutex                 // who writes latest
	latest  atomic.Uint64              // generation
	changes atomic.Uint64              // noticed
	inARow  atomic.Uint32              // changes, without a request that was served
	news    atomic.Bool                // a change that not all shards know of
}

// maxInARow is how many changes are believed without one request being served between
// them. A page that changes more often counts something else. It is then left alone, as if
// there were none, rather than that nothing is output.
const maxInARow = 3

// errCopied says that the machine was copied: the request is not served by what was
// seeded before. Callers never see it.
var errCopied = errors.New("the machine was copied")

// watchTwins begins to look at the page.
func (r *RNG) watchTwins() {
	w := &r.twins
	if r.machine.page == nil {
		w.name = r.machine.noPage.Error()
		return
	}
	w.name = r.machine.page.String()
	g, ok := r.machine.page.Generation()
	if ok {
		w.latest.Store(g)
	}
	w.page.Store(r.machine.page)
}

// describe returns the name of the page in words for the status.
func (w *twinWatch) describe() string {
	if w.page.Load() == nil && w.changes.Load() > 0 {
		return w.name + ", left alone since it changes all the time"
	}
	return w.name
}

// generation returns the generation of the machine: the latest that was seen, if none
// can be read now. Who begins to collect a seed notes it before.
func (r *RNG) generation() uint64 {
	if p := r.twins.page.Load(); p != nil {
		if g, ok := p.Generation(); ok {
			if g != r.twins.latest.Load() {
				r.twins.notice()
			}
			return g
		}
	}
	return r.twins.latest.Load()
}

// notice counts the generation if nobody has seen it before. It reads the page again: who
// has seen a change first need not be the first to get here.
func (w *twinWatch) notice() {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.page.Load()
	if p == nil {
		return
	}
	g, ok := p.Generation()
	if !ok || g == w.latest.Load() {
		return
	}
	w.latest.Store(g)
	w.changes.Add(1)
	w.news.Store(true)
	if w.inARow.Add(1) > maxInARow {
		w.page.Store(nil)
	}
}

// A copyWatch notices copies of the machine between the first request of a read and its last:
// a twin has what was filled before.
type copyWatch struct {
	changes uint64
	again   int // how often the read has begun again
}

// begin is to be called before each request that fills the beginning.
func (w *copyWatch) begin(r *RNG) { w.changes = r.twins.changes.Load() }

// spoilt reports whether the read, which is complete, is to begin again. A page that
// changes in each of them counts something else.
func (w *copyWatch) spoilt(r *RNG) bool {
	if r.twins.changes.Load() == w.changes || w.again == maxInARow {
		return false
	}
	w.again++
	return true
}

// draw fills b, of at most one chunk, from a usable instance; first is for read. It looks at
// the generation of the machine before and after, and returns errCopied, with b cleared, if it
// is not that of the seed. As long as the generation cannot be told, nothing is taken from output
// that was generated ahead: the request is combined with fresh bytes, as where there
// is no page.
func (r *RNG) draw(in *instance, b []byte, first bool) error {
	p := r.twins.page.Load()
	if p == nil {
		if in.mech.watched {
			return in.raw(b, true)
		}
		return in.read(b, first)
	}
	g, ok := p.Generation()
	if ok && g == in.generation {
		if err := in.read(b, first); err != nil {
			return err
		}
		if g, ok = p.Generation(); ok && g == in.generation {
			if r.twins.inARow.Load() != 0 {
				r.twins.inARow.Store(0)
			}
			return nil
		}
	}
	if !ok {
		if err := in.raw(b, true); err != nil {
			return err
		}
		if g, ok = p.Generation(); !ok || g == in.generation {
			return nil
		}
	}
	clear(b)
	r.twins.notice()
	return errCopied
}

// loseCopies takes the seeds of all shards that had them when the machine was copied, and
// the credit of the auxiliary pool, and logs that, unless somebody did already. No shard is
// locked by the caller.
func (r *RNG) loseCopies() {
	if !r.twins.news.Load() || !r.twins.news.Swap(false) {
		return
	}
	g := r.twins.latest.Load()
	for i := range r.shards.Len() {
		h := r.shards.LockIndex(i)
		if h.Value.seeded && h.Value.generation != g {
			r.lose(&h.Value)
		}
		h.Unlock()
	}
	// The twin has what is in the auxiliary pool, too: nobody shall be credited with it.
	var spent [maxRequestBits / 8]byte
	r.aux.GetEntropy(context.Background(), spent[:], maxRequestBits)
	zero.Bytes(spent[:])
	r.log.copied(r.twins.name, r.twins.changes.Load())
	if r.twins.page.Load() == nil {
		r.log.restless(r.twins.name)
	}
}

// What is combined with fresh bytes, in words for the status.
const (
	freshRequests = "fresh bytes of the operating system in each read"
	freshRefills  = "fresh bytes of the operating system in each refill"
)

// outputBuffer returns how many bytes to generate ahead of need, whether only as long as
// the page can be relied on, and why so many.
func (r *RNG) outputBuffer(info drng.Info) (bytes int, watched bool, why string) {
	configured := r.cfg.OutputBuffer
	on := r.machine
	switch {
	case r.cfg.ReseedInterval < 0:
		return 0, false, "each request is reseeded"
	case configured > 0:
		return configured, false, "configured"
	case configured < 0:
		return 0, false, "configured; " + freshRequests
	case info.Approved:
		return 0, false, "a mechanism of SP 800-90A; " + freshRequests
	case on.known && !on.virtual:
		return autoOutputBuffer, false, "not a virtual machine; " + freshRefills
	case on.page != nil && on.page.Reliable() && r.twins.page.Load() != nil:
		return autoOutputBuffer, true, fmt.Sprintf("copies of the machine are noticed, by %v; %s", on.page, freshRefills)
	case !on.known:
		return 0, false, "cannot tell whether the machine is virtual; " + freshRequests
	}
	return 0, false, "a virtual machine, which may be cloned; " + freshRequests
}
