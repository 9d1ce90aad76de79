package es

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/lrng-go/lrng/internal/health"
	"github.com/lrng-go/lrng/internal/zero"
)

const (
	// watchBlock is the number of samples in a block. Blocks of 32 bytes are those
	// that a rate is stated for, so the claim for one is the rate itself.
	watchBlock = 32

	// watchWindow is the window of the APT on blocks, in blocks: as many samples as
	// a start-up test takes. A block comes again in it if the noise repeats itself
	// with a period of up to 31 samples, or one that has factors in common with 32
	// and makes the least common multiple less than 1024: 48, 64, 100, 256, 512.
	watchWindow = health.StartupSamples / watchBlock

	// watchMost is the most entropy that is claimed for a block, in bits: that of
	// the 64 bits of a digest that stand for it.
	watchMost = 64

	// watchLimit is the widest sample, in bits.
	watchLimit = 64
)

// A watch runs the health tests of SP 800-90B, Section 4.4, on the samples of one
// noise source: the RCT, the APT and the start-up test on each sample, and the RCT
// and the APT once more on blocks of 32 samples. The latter see what is invisible one
// sample at a time: a word, a line or a last answer that is repeated for ever.
//
// A block is stood for by 64 bits of its SHA-256 digest, so that no copy of the
// samples has to be kept to compare with.
type watch struct {
	samples *health.Tests
	blocks  *health.Tests // its start-up test is of no interest
	size    int           // of a sample, in bytes

	h     float64 // the claim for a sample, in bits
	meter meter

	block [watchBlock * watchLimit / 8]byte // that is open
	n     int                               // bytes in it
}

// newWatch returns the tests for a claim of h bits of min-entropy a sample, at the
// beginning of the start-up. The APT on samples has the given window. False alarms have
// a probability of 2^-alpha; for permanent failures it is the square of that. A sample
// is size bytes long.
//
// It returns an error if h is less than alpha/(window-1) or alpha/992. The cut-offs of
// the APT, which are capped, would then stand for more false alarms.
func newWatch(h float64, window int, alpha float64, size int) (*watch, error) {
	// Min-entropy that is claimed for each sample given the ones before adds up.
	block := min(watchMost, watchBlock*h)
	if h*float64(window-1) < alpha || block*(watchWindow-1) < alpha {
		return nil, fmt.Errorf("%v bits a sample are too few for a false alarm probability of 2^-%v", h, alpha)
	}
	samples, err := health.New(health.Config{H: h, Window: window, Alpha: alpha, PermanentAlpha: 2 * alpha})
	if err != nil {
		return nil, err
	}
	blocks, err := health.New(health.Config{H: block, Window: watchWindow, Alpha: alpha, PermanentAlpha: 2 * alpha})
	if err != nil {
		return nil, err
	}
	w := &watch{samples: samples, blocks: blocks, size: size, h: h}
	w.meter.init(size)
	return w, nil
}

// ready reports whether the start-up test is over and there has been no alarm
// since.
func (w *watch) ready() bool { return w.samples.Ready() }

// restart begins the start-up test anew. The counts go on.
func (w *watch) restart() { w.samples.Restart() }

// next tests one sample, the least significant byte first. It returns nil, or the
// alarm that it raised. After a permanent one the watch is of no use any more.
func (w *watch) next(sample []byte) *health.Failure {
	x := uint64(0)
	for i, b := range sample {
		x |= uint64(b) << (8 * i)
	}
	if w.meter.next(x) {
		w.meter.judge(w.h)
	}
	failure := w.samples.Next(x)
	if failure != nil && failure.Permanent {
		return failure
	}
	if w.n += copy(w.block[w.n:], sample); w.n < watchBlock*w.size {
		return failure
	}
	if f := w.nextBlock(); f != nil {
		return f
	}
	return failure
}

// nextBlock tests the block that is complete.
func (w *watch) nextBlock() *health.Failure {
	sum := sha256.Sum256(w.block[:w.n])
	x := binary.LittleEndian.Uint64(sum[:])
	zero.Bytes(sum[:])
	w.dropBlock()

	failure := w.blocks.Next(x)
	if failure == nil {
		return nil
	}
	// A run or a window is reported once. The start-up test outlasts either: a window
	// is as long, and a run becomes permanent after at most 31 blocks more.
	w.restart()
	block := *failure
	block.Test = "block " + failure.Test
	return &block
}

// dropBlock wipes the samples of the block that is open. The next one begins anew.
func (w *watch) dropBlock() {
	zero.Bytes(w.block[:])
	w.n = 0
}

// clear wipes all that the tests know of samples.
func (w *watch) clear() {
	w.dropBlock()
	w.meter.clear()
	*w.samples, *w.blocks = health.Tests{}, health.Tests{}
}

// healthError returns the alarm f of the named source in the terms of this package.
func healthError(source string, f *health.Failure) *HealthError {
	return &HealthError{Source: source, Test: f.Test, Count: f.Count, Cutoff: f.Cutoff, Permanent: f.Permanent}
}

// A panicError is what a foreign method panicked with.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("panicked: %v", e.value) }
