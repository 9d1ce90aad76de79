// Package health implements the continuous health tests of an entropy source:
// the repetition count test, the adaptive proportion test and the start-up test
// of NIST SP 800-90B, Section 4, the stuck test of the jitter sources of LRNG
// and jitterentropy, the lag predictor of the latter, and the computation of the
// cut-offs.
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
	Test      string // "RCT", "APT", "lag", "lag run" or "start-up"
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

// Tests runs the RCT, the APT, on request the lag predictor, and the start-up test on
// the samples of one noise source.
type Tests struct {
	config  Config
	rct     RCT
	apt     APT
	lag     *Lag     // nil if there is none
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
	t := &Tests{config: c, rct: NewRCT(rct), apt: NewAPT(apt, c.Window)}
	t.Restart()
	return t, nil
}

// AddLag adds the lag predictor, with the cut-offs for the claim of t at [LagAlpha]
// and [LagPermanentAlpha].
func (t *Tests) AddLag() error {
	counts, runs, err := t.config.lagCutoffs()
	if err != nil {
		return err
	}
	lag := NewLag(counts, runs)
	t.lag = &lag
	return nil
}

// Claim changes the claim to h bits a sample, for a source of which less is claimed
// after an alarm. The counts go on. One that has reached its cut-off is raised to the
// new one, if it is less: so a fault that lasts is no further from a permanent failure
// than if it had begun now, and the alarm is not raised again.
func (t *Tests) Claim(h float64) error {
	c := t.config
	c.H = h
	rct, apt, err := c.cutoffs()
	if err != nil {
		return err
	}
	t.rct.count = t.rct.cutoffs.carry(rct, t.rct.count)
	t.apt.count = t.apt.cutoffs.carry(apt, t.apt.count)
	t.rct.cutoffs, t.apt.cutoffs = rct, apt
	if t.lag != nil {
		counts, runs, err := c.lagCutoffs()
		if err != nil {
			return err
		}
		t.lag.count = t.lag.counts.carry(counts, t.lag.count)
		t.lag.run = t.lag.runs.carry(runs, t.lag.run)
		t.lag.counts, t.lag.runs = counts, runs
	}
	t.config = c
	return nil
}

// carry returns what a count is raised to when the cut-offs change from c to d.
func (c Cutoffs) carry(d Cutoffs, count int) int {
	if count < c.Intermittent {
		return count
	}
	return max(count, d.Intermittent)
}

// lagCutoffs computes the cut-offs of the lag predictor. As with the APT, there is no
// permanent one that is too likely.
func (c Config) lagCutoffs() (counts, runs Cutoffs, err error) {
	if counts.Intermittent, runs.Intermittent, err = LagCutoffs(LagAlpha, c.H); err != nil {
		return counts, runs, err
	}
	if counts.Permanent, runs.Permanent, err = LagCutoffs(LagPermanentAlpha, c.H); err != nil {
		return counts, runs, err
	}
	for _, cutoffs := range []*Cutoffs{&counts, &runs} {
		if cutoffs.Permanent == lagWindow-lagHistory {
			cutoffs.Permanent = 0
		}
	}
	return counts, runs, nil
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
// An intermittent failure is reported once for each run (RCT, lag predictor) or
// window (APT, lag predictor). Until that has ended the start-up test does not begin
// to count. What the lag predictor finds while another test reports it as well is not
// reported again. A permanent failure is returned by every later call.
func (t *Tests) Next(x uint64) *Failure {
	if t.failure != nil {
		return t.failure
	}
	return t.judge(t.rct.Next(x), t.apt.Next(x), t.nextLag(x))
}

// NextStuck tests one symbol as Next does, but the RCT counts stuck samples
// instead of equal symbols. For the differences of a clock that is stricter: see
// [Stuck].
func (t *Tests) NextStuck(x uint64, stuck bool) *Failure {
	if t.failure != nil {
		return t.failure
	}
	return t.judge(t.rct.Repeat(stuck), t.apt.Next(x), t.nextLag(x))
}

func (t *Tests) nextLag(x uint64) Result {
	if t.lag == nil {
		return Pass
	}
	return t.lag.Next(x)
}

// judge draws the conclusion from the results for one sample.
func (t *Tests) judge(rct, apt, lag Result) *Failure {
	switch {
	case rct == Permanent:
		t.failure = &Failure{"RCT", t.rct.count, t.rct.cutoffs.Permanent, true}
		return t.failure
	case apt == Permanent:
		t.failure = &Failure{"APT", t.apt.count, t.apt.cutoffs.Permanent, true}
		return t.failure
	case lag == Permanent:
		t.failure = t.lag.failure(lag)
		return t.failure
	case rct == Pass && apt == Pass && lag == Pass:
		t.left = max(0, t.left-1)
		return nil
	}
	t.Restart()
	switch {
	case rct == Intermittent && t.rct.count == t.rct.cutoffs.Intermittent:
		return &Failure{"RCT", t.rct.count, t.rct.cutoffs.Intermittent, false}
	case apt == Intermittent && t.apt.count == t.apt.cutoffs.Intermittent:
		return &Failure{"APT", t.apt.count, t.apt.cutoffs.Intermittent, false}
	case lag == Intermittent && rct == Pass && apt == Pass:
		return t.lag.failure(lag) // nil, if it has been reported
	}
	return nil // the alarm has been reported
}
