package es_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
)

func TestMonitorConformance(t *testing.T) {
	for _, tt := range []struct {
		name   string
		source func() es.Source
		c      es.MonitorConfig
	}{
		{"dice", func() es.Source { return new(dice) }, es.MonitorConfig{H: 2, SampleBits: 3}},
		{"jitter", func() es.Source { return es.NewJitter(es.JitterConfig{}) }, es.MonitorConfig{H: 1.0 / 3}},
		{"reader", func() es.Source {
			r := es.NewReader(es.ReaderConfig{Reader: new(token)})
			t.Cleanup(func() { r.Close() })
			return r
		}, es.MonitorConfig{Rate: -1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			estest.Run(t, func() es.Source { return es.Monitor(tt.source(), tt.c) })
		})
	}
}

// Dice stand for a noise source: throws of a die with eight faces, that somebody may
// have stopped.
type dice struct {
	n       uint64
	stopped bool
}

func (d *dice) Info() es.Info     { return es.Info{Name: "dice"} }
func (d *dice) Available(int) int { return 0 }
func (d *dice) GetEntropy(context.Context, []byte, int) (int, error) {
	return 0, errors.New("dice have raw noise only")
}

func (d *dice) GetNoise(p []byte) (int, error) {
	for i := range p {
		if !d.stopped {
			d.n++
		}
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, d.n))
		p[i] = sum[0] & 7
	}
	return len(p), nil
}

// A source that has nothing but raw noise, at 2 bits a throw. When it stops that is
// noticed, and nothing is credited.
func ExampleMonitor() {
	source := new(dice)
	monitor := es.Monitor(source, es.MonitorConfig{SampleBits: 3, H: 2})
	if err := monitor.Validate(); err != nil {
		fmt.Println(err)
	}
	seed := make([]byte, 32)
	fmt.Println(monitor.GetEntropy(context.Background(), seed, 256))

	source.stopped = true
	for range 2 {
		fmt.Println(monitor.GetEntropy(context.Background(), seed, 256))
	}
	// Output:
	// 256 <nil>
	// 0 es: dice: intermittent health failure: RCT: count 16, cut-off 16
	// 0 es: dice: permanent health failure: RCT: count 31, cut-off 31
}
