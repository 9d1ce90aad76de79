package stripe_test

import (
	"testing"

	"github.com/lrng-go/lrng/internal/stripe"
)

func TestSameGoroutine(t *testing.T) {
	h := stripe.Hint()
	for range 100 {
		if got := stripe.Hint(); got != h {
			t.Fatalf("%#x, before %#x", got, h)
		}
	}
}

// Of 64 goroutines that live at the same time at least 16 are told apart by three
// bits each way: with a bad hash they would share a few values.
func TestDifferentGoroutines(t *testing.T) {
	const n = 64
	hints := make(chan uint32, n)
	end := make(chan struct{})
	for range n {
		go func() {
			hints <- stripe.Hint()
			<-end
		}()
	}
	all, low, high := make(map[uint32]bool), make(map[uint32]bool), make(map[uint32]bool)
	for range n {
		h := <-hints
		all[h], low[h%8], high[h>>29] = true, true, true
	}
	close(end)
	if len(all) < n/4 || len(low) < 5 || len(high) < 5 {
		t.Errorf("%d goroutines: %d values, %d of the low bits, %d of the high bits", n, len(all), len(low), len(high))
	}
}

func TestAllocs(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { stripe.Hint() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

var sink uint32

func BenchmarkHint(b *testing.B) {
	for b.Loop() {
		sink = stripe.Hint()
	}
}
