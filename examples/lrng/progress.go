package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A progress shows on a terminal how far something has come. A nil *progress shows
// nothing.
type progress struct {
	w     io.Writer
	total int64
	unit  string
	begin time.Time

	done  atomic.Int64
	ended chan struct{}
	wait  sync.WaitGroup
}

// barWidth is the width of the bar, in characters.
const barWidth = 30

// newProgress returns a progress of so many units, or nil if w is no terminal. It draws
// first after a second: what takes less needs none.
func newProgress(w io.Writer, total int64, unit string) *progress {
	if !isTerminal(w) || total <= 0 {
		return nil
	}
	p := &progress{w: w, total: total, unit: unit, begin: time.Now(), ended: make(chan struct{})}
	p.wait.Go(func() {
		t := time.NewTicker(time.Second)
		defer t.Stop()
		drawn := false
		for {
			select {
			case <-t.C:
				fmt.Fprintf(p.w, "\r%s", p.line(time.Since(p.begin)))
				drawn = true
			case <-p.ended:
				if drawn {
					fmt.Fprintf(p.w, "\r%s\n", p.line(time.Since(p.begin)))
				}
				return
			}
		}
	})
	return p
}

func (p *progress) set(done int64) {
	if p != nil {
		p.done.Store(done)
	}
}

// stop ends the drawing. It may be called twice.
func (p *progress) stop() {
	if p == nil {
		return
	}
	select {
	case <-p.ended:
	default:
		close(p.ended)
	}
	p.wait.Wait()
}

// line returns the bar as it is after the given time.
func (p *progress) line(after time.Duration) string {
	done := min(p.done.Load(), p.total)
	part := float64(done) / float64(p.total)
	full := int(part * barWidth)
	s := fmt.Sprintf("[%s%s] %3.0f %%  %d of %d %s", strings.Repeat("=", full), strings.Repeat(" ", barWidth-full), 100*part, done, p.total, p.unit)
	if done > 0 {
		left := time.Duration(float64(after) * (1 - part) / part)
		s += fmt.Sprintf("  %v left ", left.Round(time.Second))
	}
	return s
}
