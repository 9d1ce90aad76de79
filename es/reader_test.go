package es

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var _ interface {
	Source
	NoiseSource
	HealthTester
	Notifier
	Certified
	Validator
	io.Closer
} = (*Reader)(nil)

func TestReaderConfig(t *testing.T) {
	in := &tap{}
	for _, tt := range []struct {
		c     ReaderConfig
		info  Info
		names string // what the error names
	}{
		{ReaderConfig{Reader: in}, Info{Name: "reader", Slow: true}, ""},
		{ReaderConfig{Reader: in, Rate: -1}, Info{Name: "reader", Slow: true}, ""},
		{ReaderConfig{Reader: in, Rate: math.MinInt}, Info{Name: "reader", Slow: true}, ""},
		{ReaderConfig{Reader: in, Rate: 1, Name: "tpm"}, Info{Name: "tpm", MaxEntropy: 2, Slow: true}, ""},
		{ReaderConfig{Reader: in, Rate: 256, Certificate: "E1"}, Info{Name: "reader", MaxEntropy: 512, Slow: true}, ""},
		{ReaderConfig{}, Info{Name: "reader", Slow: true}, "ReaderConfig.Reader"},
		{ReaderConfig{Rate: 256}, Info{Name: "reader", Slow: true}, "ReaderConfig.Reader"},
		{ReaderConfig{Reader: in, Rate: 257}, Info{Name: "reader", Slow: true}, "ReaderConfig.Rate"},
		{ReaderConfig{Reader: in, Rate: math.MaxInt}, Info{Name: "reader", Slow: true}, "ReaderConfig.Rate"},
	} {
		r := NewReader(tt.c)
		if r.Info() != tt.info || r.Certificate() != tt.c.Certificate {
			t.Errorf("%+v: %+v, certificate %q", tt.c, r.Info(), r.Certificate())
		}
		err := r.Validate()
		if tt.names == "" {
			if err != nil {
				t.Errorf("%+v: %v", tt.c, err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), "es: "+tt.names) {
			t.Errorf("%+v: %v, want an error that names %s", tt.c, err, tt.names)
		}
		p := []byte{1, 2, 3}
		if credit, got := r.GetEntropy(t.Context(), p, 8); credit != 0 || got != err || !bytes.Equal(p, make([]byte, 3)) {
			t.Errorf("%s GetEntropy: %d, %v, %d", tt.names, credit, got, p)
		}
		if n, got := r.GetNoise(p); n != 0 || got != err {
			t.Errorf("%s GetNoise: %d, %v", tt.names, n, got)
		}
		if got := r.HealthTest(t.Context()); got != err {
			t.Errorf("%s HealthTest: %v", tt.names, got)
		}
		if n := r.Available(256); n != 0 {
			t.Errorf("%s Available: %d", tt.names, n)
		}
	}
	if in.count() != 0 {
		t.Errorf("%d reads at construction", in.count())
	}
}

// What is not declared is delivered, and not credited.
func TestReaderUndeclared(t *testing.T) {
	r := tapReader(t, &tap{}, 0)
	if p := mustFill(t, r, 64); !bytes.Equal(p, streamBytes(1024, 64)) || r.Available(512) != 0 {
		t.Errorf("%x, %d bits available", p, r.Available(512))
	}
}

// A reader that comes to its end is used up to there.
func TestReaderEnd(t *testing.T) {
	r := NewReader(ReaderConfig{Reader: bytes.NewReader(streamBytes(0, 1024+64+20)), Rate: 256})
	defer r.Close()
	if p := mustFill(t, r, 64); !bytes.Equal(p, streamBytes(1024, 64)) {
		t.Errorf("%x", p)
	}
	mustLack(t, r, io.EOF)
}

// FuzzReader plays scripts of reads, a byte each, and checks the rules of sources on
// what comes out.
func FuzzReader(f *testing.F) {
	f.Add([]byte("\x20\x20\x20"), 256, uint16(64))
	f.Fuzz(func(t *testing.T, script []byte, rate int, size uint16) {
		pos, calls := 0, 0
		in := &tap{script: func(_ *tap, p []byte) (int, error) {
			op := byte(0x20)
			if calls < len(script) {
				op = script[calls]
			}
			calls++
			switch {
			case op < 0x40: // so many bytes of the stream
				n := copy(p, streamBytes(pos, min(int(op), len(p))))
				pos += n
				return n, nil
			case op < 0x60: // with an error
				n := copy(p, streamBytes(pos, min(int(op)-0x40, len(p))))
				pos += n
				return n, errors.New("script")
			case op < 0x80: // stuck
				for i := range p {
					p[i] = op
				}
				pos += len(p)
				return len(p), nil
			case op < 0xa0:
				return 0, io.EOF
			case op < 0xc0:
				return len(p) + int(op), nil
			case op < 0xe0:
				panic(op)
			}
			return -int(op), nil
		}}
		synctest.Test(t, func(t *testing.T) { fuzzReader(t, in, rate, int(size)%600) })
	})
}

func fuzzReader(t *testing.T, in *tap, rate, size int) {
	r := NewReader(ReaderConfig{Reader: in, Rate: rate})
	defer r.Close()
	if (r.Validate() == nil) != (rate <= 256) {
		t.Errorf("Rate %d: %v", rate, r.Validate())
	}
	for range 4 {
		p := make([]byte, size)
		credit, err := r.GetEntropy(t.Context(), p, 512)
		if credit < 0 || credit > 8*len(p) || credit > r.Info().MaxEntropy || err != nil && credit != 0 {
			t.Errorf("credit %d of %d bytes, %v", credit, len(p), err)
		}
		_, alarm := errors.AsType[*HealthError](err)
		switch {
		case err == nil:
		case !bytes.Equal(p, make([]byte, len(p))):
			t.Errorf("data left with %v", err)
		case !alarm && !errors.Is(err, ErrUnavailable) && err != r.Validate():
			t.Errorf("undocumented error %v", err)
		}
		time.Sleep(time.Second)
	}
	if in.most.Load() > 1 {
		t.Error("two reads at the same time")
	}
	if err := r.Close(); err != nil || goroutines() != 0 {
		t.Errorf("Close: %v, %d goroutines", err, goroutines())
	}
	in.wantWiped(t)
}
