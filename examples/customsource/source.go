package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/lrng-go/lrng/es"
)

// A certificate is what an entropy source validation says in public of a noise source: its
// name, and what it was validated with (SP 800-90B, Section 3.1.3). Nobody checks it: who
// writes it here declares it.
type certificate struct {
	name       string
	sampleBits int     // width of a raw sample
	h          float64 // min-entropy of a sample, bits
}

// newSource makes an entropy source of the raw noise of a board: [es.Monitor] tests each
// sample against the entropy that the certificate grants, conditions them, and credits the
// result.
func newSource(b *board, c certificate) *source {
	return &source{
		Monitored:   es.Monitor(b, es.MonitorConfig{SampleBits: c.sampleBits, H: c.h}),
		certificate: c.name,
	}
}

// A source is a monitored one with a certificate: an [es.Certified]. What is embedded
// brings the other interfaces: [es.Source], [es.NoiseSource], [es.HealthTester],
// [es.NoiseEstimator] and [es.Validator].
type source struct {
	*es.Monitored
	certificate string
}

// Certificate returns the name of the certificate. In FIPS mode it gets a source credited
// that has no health tests, such as one whose tests run on the board; this one would be
// anyway. Status and its Claim show it.
func (s *source) Certificate() string { return s.certificate }

// A board is the driver of the hardware: it reads raw samples, one a byte, as they leave the
// digitizer. Whitening, checksums or a hash between the noise and the tests would hide a
// broken board from them.
type board struct {
	mu     sync.Mutex // guards device
	device io.Reader
}

// Info describes the board. Of this [es.Monitor] takes the name, and whether it is slow: a
// board that takes seconds for a seed, on a serial line, would say so, and a seed that is
// complete without it would not wait for it.
func (b *board) Info() es.Info { return es.Info{Name: "board"} }

// Available returns 0: raw noise is not credited.
func (b *board) Available(bits int) int { return 0 }

// GetEntropy fails: nothing leaves the board untested. [es.Monitor] does not call it.
func (b *board) GetEntropy(ctx context.Context, p []byte, bits int) (int, error) {
	return 0, errors.New("board: raw noise is not entropy: use es.Monitor")
}

// GetNoise reads samples. It may bring less than was asked for, fail, and even hang:
// [es.Monitor] takes all of that for a source that delivers nothing, and tries again later.
func (b *board) GetNoise(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.device.Read(p)
}

// plug connects the board to another device.
func (b *board) plug(device io.Reader) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.device = device
}

// openDevice opens a character device. A file would deliver the same "noise" each time.
func openDevice(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode()&os.ModeCharDevice == 0 {
		err = fmt.Errorf("%s is no character device", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// cpuNoise is the device where there is no board: the raw times of the jitter source, of
// this processor. They are real noise; docs/entropy.md has what was measured of them.
type cpuNoise struct{ jitter *es.Jitter }

func (n cpuNoise) Read(p []byte) (int, error) { return n.jitter.GetNoise(p) }

// stuck is what is left of a board whose noise diode has died.
type stuck byte

func (s stuck) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(s)
	}
	return len(p), nil
}
