// Package health implements the continuous health tests of an entropy source:
// the repetition count test, the adaptive proportion test and the start-up test
// of NIST SP 800-90B, Section 4, the stuck test of the jitter sources of LRNG
// and jitterentropy, and the computation of the cut-offs.
//
// The tests look at one raw sample at a time and keep of what they saw only what
// they need: a count, and the symbol or difference that the next sample is
// compared with. They are for noise that is conditioned later, so they need not
// run in constant time. They are not safe for concurrent use.
//
// # Alarms
//
// Each test has two cut-offs. Reaching the first is an intermittent failure:
// what was collected is dropped, and nothing is delivered until the start-up
// test has passed again. The counts go on: a fault that lasts drives them from
// there to the second cut-off, which is a permanent failure. That one is final.
package health

import "fmt"

const (
	// Alpha is -log2 of the probability that a test fails on a sample (RCT) or a
	// window (APT) of a source that has exactly the entropy claimed. SP 800-90B,
	// Section 4.3, recommends 20 to 40.
	Alpha = 30

	// PermanentAlpha is the same for permanent failures. It is the square:
	// twice in a row what is an intermittent failure once.
	PermanentAlpha = 60

	// Window is the window of the APT for symbols of more than one bit, and
	// BinaryWindow that for bits: W of SP 800-90B, Section 4.4.2.
	Window       = 512
	BinaryWindow = 1024

	// StartupSamples is the number of consecutive samples that pass all tests
	// before anything is delivered: SP 800-90B, Section 4.3, requirement 4.
	StartupSamples = 1024
)

// A Result is the verdict of a test on one sample.
type Result uint8

const (
	Pass         Result = iota
	Intermittent        // the count has reached the cut-off
	Permanent           // the count has reached the cut-off of permanent failures
)

// Cutoffs are the counts at which a test raises its alarms.
type Cutoffs struct {
	Intermittent int
	Permanent    int // 0: there is none
}

// verdict returns the result for a count that has just been raised to n.
func (c Cutoffs) verdict(n int) Result {
	switch {
	case c.Permanent > 0 && n >= c.Permanent:
		return Permanent
	case n >= c.Intermittent:
		return Intermittent
	}
	return Pass
}

// A Failure is the alarm of a test.
type Failure struct {
	Test      string // "RCT", "APT" or "start-up"
	Count     int    // what the test counted
	Cutoff    int    // the count at which the alarm is raised
	Permanent bool
}

// Error returns the failure as text.
func (f *Failure) Error() string {
	kind := "intermittent"
	if f.Permanent {
		kind = "permanent"
	}
	return fmt.Sprintf("health: %s failure: %s: count %d, cut-off %d", kind, f.Test, f.Count, f.Cutoff)
}

// Config says what is tested.
type Config struct {
	// H is the min-entropy claimed for a sample, in bits.
	H float64

	// Window is the window of the APT: Window or BinaryWindow.
	Window int

	// Alpha and PermanentAlpha are -log2 of the probabilities of false alarms.
	Alpha, PermanentAlpha float64
}

// Tests runs the RCT, the APT and the start-up test on the samples of one noise
// source.
type Tests struct {
	rct     RCT
	apt     APT
	left    int      // samples that have yet to pass before the start-up is over
	failure *Failure // the permanent failure, if there was one
}

// New returns the tests for the claim in c, at the beginning of the start-up.
//
// Where even a window of equal symbols is too likely for an alarm at
// PermanentAlpha (H below PermanentAlpha/(Window-1)), the APT has no permanent
// cut-off: it would declare sources dead that are not. Its intermittent alarm
// still keeps their data back.
func New(c Config) (*Tests, error) {
	rct, apt, err := c.cutoffs()
	if err != nil {
		return nil, err
	}
	t := &Tests{rct: NewRCT(rct), apt: NewAPT(apt, c.Window)}
	t.Restart()
	return t, nil
}

// cutoffs computes the cut-offs of both tests.
func (c Config) cutoffs() (rct, apt Cutoffs, err error) {
	if c.PermanentAlpha < c.Alpha {
		return rct, apt, fmt.Errorf("health: PermanentAlpha %v is below Alpha %v", c.PermanentAlpha, c.Alpha)
	}
	if rct.Intermittent, err = RCTCutoff(c.Alpha, c.H); err != nil {
		return rct, apt, err
	}
	if rct.Permanent, err = RCTCutoff(c.PermanentAlpha, c.H); err != nil {
		return rct, apt, err
	}
	if apt.Intermittent, err = APTCutoff(c.Alpha, c.H, c.Window); err != nil {
		return rct, apt, err
	}
	if apt.Permanent, err = aptCutoff(c.PermanentAlpha, c.H, c.Window); err != nil {
		return rct, apt, err
	}
	if apt.Permanent > c.Window {
		apt.Permanent = 0
	}
	return rct, apt, nil
}

// Restart begins the start-up test anew. The counts of the RCT and the APT go on,
// so that a fault that lasts becomes a permanent failure.
func (t *Tests) Restart() {
	// The window that is open may be one that raised an alarm. The samples that
	// count are those after it: they fill windows of their own.
	t.left = StartupSamples + t.apt.open()
}

// Ready reports whether the start-up test is over and there has been no alarm
// since.
func (t *Tests) Ready() bool { return t.left == 0 && t.failure == nil }

// Next tests one symbol. It returns nil, or the alarm that this symbol raised.
//
// An intermittent failure is reported once for each run (RCT) or window (APT).
// Until that has ended the start-up test does not begin to count. A permanent
// failure is returned by every later call.
func (t *Tests) Next(x uint64) *Failure {
	if t.failure != nil {
		return t.failure
	}
	return t.judge(t.rct.Next(x), t.apt.Next(x))
}

// NextStuck tests one symbol as Next does, but the RCT counts stuck samples
// instead of equal symbols. For the differences of a clock that is stricter: see
// [Stuck].
func (t *Tests) NextStuck(x uint64, stuck bool) *Failure {
	if t.failure != nil {
		return t.failure
	}
	return t.judge(t.rct.Repeat(stuck), t.apt.Next(x))
}

// judge draws the conclusion from the results for one sample.
func (t *Tests) judge(rct, apt Result) *Failure {
	switch {
	case rct == Permanent:
		t.failure = &Failure{"RCT", t.rct.count, t.rct.cutoffs.Permanent, true}
		return t.failure
	case apt == Permanent:
		t.failure = &Failure{"APT", t.apt.count, t.apt.cutoffs.Permanent, true}
		return t.failure
	case rct == Pass && apt == Pass:
		t.left = max(0, t.left-1)
		return nil
	}
	t.Restart()
	switch {
	case rct == Intermittent && t.rct.count == t.rct.cutoffs.Intermittent:
		return &Failure{"RCT", t.rct.count, t.rct.cutoffs.Intermittent, false}
	case apt == Intermittent && t.apt.count == t.apt.cutoffs.Intermittent:
		return &Failure{"APT", t.apt.count, t.apt.cutoffs.Intermittent, false}
	}
	return nil // the alarm has been reported
}
