package lrng_test

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
)

// E1: a generator with a Reader that hangs, that panics, or that is slow. Who reads from
// the generator does not wait for it, neither before the first seed nor for fresh entropy.
func TestReaderSourceInGenerator(t *testing.T) {
	for name, read := range map[string]func(p []byte) (int, error){
		"hangs":  func([]byte) (int, error) { time.Sleep(time.Hour); return 0, io.EOF },
		"panics": func([]byte) (int, error) { panic("ouch") },
		"slow": func(p []byte) (int, error) {
			time.Sleep(50 * time.Millisecond)
			return counting(p)
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			good := estest.New(es.Info{Name: "good", MaxEntropy: 512, Health: true})
			bad := es.NewReader(es.ReaderConfig{Reader: slowReader(read), Rate: 256})
			r, err := lrng.New(lrng.Config{Sources: []es.Source{bad, good}})
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			p := make([]byte, 64)
			for range 10 {
				if _, err := r.Read(p); err != nil {
					t.Error(err)
				}
				if _, err := r.PredictionResistant().Read(p); err != nil {
					t.Error(err)
				}
				if err := r.Reseed(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if took := time.Since(start); took != 0 {
				t.Errorf("%s: reads took %v", name, took)
			}
			if err := r.Close(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			bad.Close()
			time.Sleep(2 * time.Hour) // for what hangs, which the bubble has to see the end of
		})
	}
}

type slowReader func(p []byte) (int, error)

func (f slowReader) Read(p []byte) (int, error) { return f(p) }

// A generator that has nothing but a slow Reader waits for it, and is woken by it.
func TestReaderSourceAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		only := es.NewReader(es.ReaderConfig{Reader: slowReader(func(p []byte) (int, error) {
			time.Sleep(100 * time.Millisecond)
			return counting(p)
		}), Rate: 256, Certificate: "of this test"})
		defer only.Close()
		r, err := lrng.New(lrng.Config{Sources: []es.Source{only}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		start := time.Now()
		if _, err := r.Read(make([]byte, 64)); err != nil {
			t.Error(err)
		}
		// 1024 bytes for the start-up test and less than 256 for the seed, 32 in two reads.
		if took := time.Since(start); took < 6400*time.Millisecond || took > 9*time.Second {
			t.Errorf("seeded after %v", took)
		}
	})
}

var counted atomic.Uint64

// counting is what a sound reader does: it delivers 20 bytes of a digest of a counter.
func counting(p []byte) (int, error) {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, counted.Add(1)))
	return copy(p, sum[:20]), nil
}
