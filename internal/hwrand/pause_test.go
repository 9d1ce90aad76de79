//go:build (amd64 || arm64 || ppc64 || ppc64le) && !purego

package hwrand

import (
	"testing"
	"time"
)

// Each pause takes time: 100000 take more than 20 times as long as the call with
// none, even where one is a single cycle. Less than none is none.
func TestPause(t *testing.T) {
	shortest := func(n int) time.Duration {
		d := time.Hour
		for range 20 {
			start := time.Now()
			pause(n)
			d = min(d, time.Since(start))
		}
		return d
	}
	none, less, many := shortest(0), shortest(-1), shortest(100000)
	t.Logf("no pause takes %v, 100000 take %v", none, many)
	if many <= 20*none || many <= 20*less {
		t.Errorf("no pause takes %v, -1 take %v, 100000 take %v", none, less, many)
	}
}
