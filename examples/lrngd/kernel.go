package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// feedSize is how many bytes the kernel gets at a time: 512 bits of full entropy, twice
// what its generator takes for a seed.
const feedSize = 64

// feedPause is the least time between two feeds, however often the kernel asks.
const feedPause = 2 * time.Second

// A kernel is what a feeder feeds.
type kernel interface {
	// Add hands over data, to be credited with so many bits.
	Add(p *[feedSize]byte, bits int) error
	// Reseed makes the kernel's generator take a new seed from what it was given.
	Reseed() error
	// Wanting waits until the kernel asks for entropy, or returns the error of ctx, or
	// why it cannot tell.
	Wanting(ctx context.Context) error
	Close() error
}

// errKernelUnseeded says that the generator of the kernel has no seed yet, so that there
// is nothing to reseed: it takes what it was given when it has enough credit.
var errKernelUnseeded = errors.New("the generator of the kernel is not seeded yet")

// A feeder hands seeds to the kernel.
type feeder struct {
	kernel   kernel
	seed     func(ctx context.Context, p []byte) error // fills p with full entropy
	bits     int                                       // credit of each
	reseed   bool
	interval time.Duration
	patience time.Duration // longest wait for a seed
	count    *counters
	log      *slog.Logger
}

// feed feeds the kernel once.
func (f *feeder) feed(ctx context.Context) error {
	var p [feedSize]byte
	defer clear(p[:])
	wait, cancel := context.WithTimeout(ctx, f.patience)
	defer cancel()
	if err := f.seed(wait, p[:]); err != nil {
		return fmt.Errorf("seed for the kernel: %w", err)
	}
	if err := f.kernel.Add(&p, f.bits); err != nil {
		return fmt.Errorf("feeding the kernel: %w", err)
	}
	f.count.feeds.Add(1)
	f.count.feedBits.Add(int64(f.bits))
	if !f.reseed {
		return nil
	}
	err := f.kernel.Reseed()
	if errors.Is(err, errKernelUnseeded) {
		f.log.Info("the kernel has taken a seed and cannot use it yet", "why", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("reseeding the kernel: %w", err)
	}
	return nil
}

// run feeds the kernel after each interval, when it asks, and when now is sent to, until
// ctx is done. After an error it tries again with growing pauses.
func (f *feeder) run(ctx context.Context, now <-chan struct{}) {
	asked := make(chan struct{})
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		<-done
	}()
	go func() {
		defer close(done)
		for {
			if err := f.kernel.Wanting(ctx); err != nil {
				if ctx.Err() == nil {
					f.log.Info("whether the kernel asks for entropy cannot be told", "error", err)
				}
				return
			}
			select {
			case asked <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	}()
	pause, retry := f.interval, feedPause
	for {
		rested := time.After(feedPause)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-now:
		case <-asked:
		}
		timer.Stop()
		select {
		case <-ctx.Done():
			return
		case <-rested:
		}
		if err := f.feed(ctx); err == nil {
			pause, retry = f.interval, feedPause
		} else if ctx.Err() == nil {
			f.count.feedErrors.Add(1)
			f.log.Error("kernel not fed", "error", err)
			pause, retry = min(retry, f.interval), min(2*retry, f.interval)
		}
	}
}
