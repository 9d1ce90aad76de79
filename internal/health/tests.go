package health

// An RCT is the repetition count test, SP 800-90B, Section 4.4.1.
type RCT struct {
	cutoffs Cutoffs
	last    uint64
	count   int // B: samples in the run, 0 before the first
}

// NewRCT returns the test with its cut-offs, usually of [RCTCutoff].
func NewRCT(c Cutoffs) RCT { return RCT{cutoffs: c} }

// Next tests one symbol: it counts how often in a row the same one occurs.
func (t *RCT) Next(x uint64) Result {
	// The first symbol of all is counted as 1 with either answer.
	r := t.Repeat(x == t.last)
	t.last = x
	return r
}

// Repeat tests one sample of which the caller knows whether it is a repetition
// of the one before.
func (t *RCT) Repeat(repeated bool) Result {
	// Steps 2 and 3. The first occurrence counts as 1.
	if !repeated {
		t.count = 1
		return Pass
	}
	t.count++
	return t.cutoffs.verdict(t.count)
}

// An APT is the adaptive proportion test, SP 800-90B, Section 4.4.2. The windows
// do not overlap: the symbol after the last of a window opens the next.
type APT struct {
	cutoffs Cutoffs
	window  int
	base    uint64 // A: the symbol that opened the window
	count   int    // B: its occurrences in the window, itself included
	n       int    // symbols seen of the window, 0 to window-1
}

// NewAPT returns the test for windows of the given number of symbols with its
// cut-offs, usually of [APTCutoff].
func NewAPT(c Cutoffs, window int) APT { return APT{cutoffs: c, window: window} }

// Next tests one symbol: it counts how often the first one of the window occurs.
func (t *APT) Next(x uint64) Result {
	r := Pass
	switch {
	case t.n == 0: // Steps 1 and 2.
		t.base, t.count = x, 1
	case x == t.base: // Step 3a.
		t.count++
		r = t.cutoffs.verdict(t.count)
	}
	// Steps 3b and 4.
	if t.n++; t.n == t.window {
		t.n = 0
	}
	return r
}

// open returns how many symbols are missing in the window that is open.
func (t *APT) open() int {
	if t.n == 0 {
		return 0
	}
	return t.window - t.n
}

// A Stuck is the stuck test of LRNG and jitterentropy: a time stamp brings
// nothing new if its first, second or third discrete derivative is zero.
//
// Derivatives are taken as absolute differences, as jitterentropy does. So the
// test also notices two differences in turn, which neither the RCT nor the APT
// does on symbols.
type Stuck struct {
	delta, delta2 uint64
}

// Next tests the difference of a time stamp to the one before, its first
// derivative. The derivatives before the first call are zero.
func (t *Stuck) Next(delta uint64) (stuck bool) {
	delta2 := distance(delta, t.delta)
	delta3 := distance(delta2, t.delta2)
	t.delta, t.delta2 = delta, delta2
	return delta == 0 || delta2 == 0 || delta3 == 0
}

// distance returns |a - b|.
func distance(a, b uint64) uint64 { return max(a, b) - min(a, b) }
