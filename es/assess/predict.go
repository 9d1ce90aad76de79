package assess

import (
	"math"
	"math/bits"
)

// A score is how well a predictor does.
type score struct {
	correct      int // predictions
	run, longest int // of correct ones, one after another
}

func (s *score) hit() {
	s.correct++
	s.run++
	s.longest = max(s.longest, s.run)
}

func (s *score) miss() { s.run = 0 }

// predicted sets the estimate of a predictor of k symbols that was right s.correct
// times out of n: the last steps of SP 800-90B, Sections 6.3.7 to 6.3.10.
func (e *Estimate) predicted(w *work, s score, n, k int) error {
	global := float64(s.correct) / float64(n)
	if global > 0 {
		global = upper(global, n)
	} else {
		global = 1 - math.Pow(0.01, 1/float64(n))
	}
	p := max(global, 1/float64(k))
	// The local performance: the p for which no run of length r occurs in n trials
	// with a probability of 0.99. Only one above p matters.
	above := func(p float64) bool { return logNoRun(p, s.longest+1, n) > math.Log(0.99) }
	if p < 1 && above(p) {
		var err error
		if p, err = solve(w, p, above); err != nil {
			return err
		}
	}
	e.answer(p, -math.Log2(p))
	return nil
}

// logNoRun returns the logarithm of the probability that n trials with success
// probability p have no run of r successes (Feller, "An Introduction to Probability
// Theory and Its Applications", XIII.7):
//
//	(1 - p·x) / ((r + 1 - r·x)·q) · x^-(n+1)
//
// where x is the least positive root of x = 1 + q·p^r·x^(r+1), and q = 1-p. It falls
// with p.
func logNoRun(p float64, r, n int) float64 {
	// The computation is with y = x-1, since x is close to 1:
	//
	//	(1 - p·x)/q = 1 - p·y/q and r + 1 - r·x = 1 - r·y
	//
	// The text stops at the tenth iteration, the tool when it has converged, and at
	// the 66th.
	q, run := 1-p, float64(r)
	lead := math.Log(q) + run*math.Log(p)
	y := 0.0
	for range 66 {
		next := math.Exp(lead + (run+1)*math.Log1p(y))
		if next-y <= next*0x1p-53 {
			break
		}
		y = next
	}
	a, b := 1-p*y/q, 1-run*y
	if !(a > 0) || !(b > 0) {
		return math.Inf(-1) // p is so large that the iteration ends at the root 1/p
	}
	return math.Log1p(-p*y/q) - math.Log1p(-run*y) - float64(n+1)*math.Log1p(y)
}

// windows are the lengths of the windows of Section 6.3.7.
var windows = [...]int{63, 255, 1023, 4095}

// Multi Most Common in Window Prediction Estimate, SP 800-90B, Section 6.3.7.
func multiMCW(w *work, in input, e []Estimate) error {
	s := in.s
	type window struct {
		count    [256]int32
		last     [256]int32 // where the symbol was seen last
		frequent byte       // the most frequent symbol, of several the one seen last
	}
	var (
		win      [len(windows)]window
		score    score
		won      [len(windows)]int
		winner   = 0
		received = func(x *window, b byte, i int) {
			x.count[b]++
			x.last[b] = int32(i)
			if x.count[b] >= x.count[x.frequent] {
				x.frequent = b
			}
		}
	)
	for i, b := range s {
		if i&tickMask == 0 {
			if err := w.tick(float64(i) / float64(len(s))); err != nil {
				return err
			}
		}
		if i >= windows[0] {
			// Step 3b and 3c.
			if win[winner].frequent == b {
				score.hit()
			} else {
				score.miss()
			}
			// Step 3d.
			for j := range win {
				if i >= windows[j] && win[j].frequent == b {
					if won[j]++; won[j] >= won[winner] {
						winner = j
					}
				}
			}
		}
		// Step 3a for the next symbol.
		for j := range win {
			x := &win[j]
			if i < windows[j] {
				received(x, b, i)
				continue
			}
			out := s[i-windows[j]]
			x.count[out]--
			if out != x.frequent {
				received(x, b, i)
				continue
			}
			x.count[b]++
			x.last[b] = int32(i)
			best := b
			for c := range in.k {
				if x.count[c] > x.count[best] || x.count[c] == x.count[best] && x.last[c] > x.last[best] {
					best = byte(c)
				}
			}
			x.frequent = best
		}
	}
	return e[0].predicted(w, score, len(s)-windows[0], in.k)
}

// maxLag is the number D of predictors of Section 6.3.8.
const maxLag = 128

// Lag Prediction Estimate, SP 800-90B, Section 6.3.8.
func lag(w *work, in input, e []Estimate) error {
	// For each symbol, where it was seen: bit l-1 of recent stands for a lag of l
	// at position at+1.
	type seen struct {
		recent [2]uint64 // 128 bits, the low half first
		at     int
	}
	var (
		places [256]seen
		score  score
		won    [maxLag]int
		winner = 0
	)
	for i, b := range in.s {
		if i&tickMask == 0 {
			if err := w.tick(float64(i) / float64(len(in.s))); err != nil {
				return err
			}
		}
		x := &places[b]
		lo, hi := x.recent[0], x.recent[1]
		if by := uint(i - x.at - 1); by >= 128 {
			lo, hi = 0, 0
		} else if by >= 64 {
			lo, hi = 0, lo<<(by-64)
		} else {
			lo, hi = lo<<by, hi<<by|lo>>(64-by)
		}
		if i > 0 {
			// Step 3b and 3c.
			if winner < i && in.s[i-1-winner] == b {
				score.hit()
			} else {
				score.miss()
			}
			// Step 3d, for the lags that predicted b.
			for half, set := range [...]uint64{lo, hi} {
				for ; set != 0; set &= set - 1 {
					l := half<<6 | bits.TrailingZeros64(set)
					if won[l]++; won[l] >= won[winner] {
						winner = l
					}
				}
			}
		}
		x.recent = [2]uint64{lo<<1 | 1, hi<<1 | lo>>63}
		x.at = i
	}
	return e[0].predicted(w, score, len(in.s)-1, in.k)
}
