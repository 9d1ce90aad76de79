package es

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
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
} = (*Device)(nil)

func TestDeviceConfig(t *testing.T) {
	for _, tt := range []struct {
		c    DeviceConfig
		path string
		info Info
		ok   bool
	}{
		{DeviceConfig{}, "/dev/hwrng", Info{Name: "device", MaxEntropy: 256, Slow: true}, true},
		{DeviceConfig{Path: "/dev/tpm0", Name: "tpm", Rate: 256, Certificate: "E7"}, "/dev/tpm0", Info{Name: "tpm", MaxEntropy: 512, Slow: true}, true},
		{DeviceConfig{Rate: -1}, "/dev/hwrng", Info{Name: "device", Slow: true}, true},
		{DeviceConfig{Rate: 1}, "/dev/hwrng", Info{Name: "device", MaxEntropy: 2, Slow: true}, true},
		{DeviceConfig{Rate: 257}, "/dev/hwrng", Info{Name: "device", Slow: true}, false},
		{DeviceConfig{Rate: math.MaxInt}, "/dev/hwrng", Info{Name: "device", Slow: true}, false},
	} {
		d := NewDevice(tt.c)
		if d.Info() != tt.info || d.Certificate() != tt.c.Certificate || d.input.path != tt.path {
			t.Errorf("%+v: %+v, certificate %q, path %q", tt.c, d.Info(), d.Certificate(), d.input.path)
		}
		err := d.Validate()
		if (err == nil) != tt.ok || err != nil && !strings.HasPrefix(err.Error(), "es: DeviceConfig.Rate") {
			t.Errorf("%+v: %v", tt.c, err)
		}
		if err != nil {
			if got := mustLack(t, d, nil); got != err {
				t.Errorf("%+v: GetEntropy: %v, want %v", tt.c, got, err)
			}
		}
		if d.input.file != nil {
			t.Errorf("%+v: opened at construction", tt.c)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// E3: what is not a character device is refused at once, with an error that says what it
// is. A loop of links and a missing file are not found.
func TestDeviceRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, streamBytes(0, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	paths := map[string]string{file: "not a character device: -rw", dir: "not a character device: d", filepath.Join(dir, "none"): "none", "nul\x00byte": ""}
	loop := filepath.Join(dir, "loop")
	if os.Symlink(loop, loop) == nil {
		paths[loop] = "loop"
	}
	if runtime.GOOS == "windows" {
		paths[file] = "not a character device"
	}
	for path, text := range paths {
		d := NewDevice(DeviceConfig{Path: path})
		start := time.Now()
		if err := mustLack(t, d, ErrUnavailable); !strings.Contains(err.Error(), text) || !strings.HasPrefix(err.Error(), "es: device: ") {
			t.Errorf("%s: %v", path, err)
		}
		// Once the time for it has passed, it is looked at again.
		for time.Since(start) < feedPause {
			time.Sleep(feedPause)
		}
		err := mustLack(t, d, ErrUnavailable)
		if strings.HasSuffix(path, "none") && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
		if d.Available(256) != 0 {
			t.Errorf("%s: %d bits available", path, d.Available(256))
		}
		if err := d.Close(); err != nil || d.input.file != nil {
			t.Errorf("%s: Close: %v", path, err)
		}
	}
}

// The default device, where there is one and it may be opened; elsewhere it is
// unavailable, and says so at once.
func TestDeviceDefault(t *testing.T) {
	d := NewDevice(DeviceConfig{})
	defer d.Close()
	p := make([]byte, 32)
	credit, err := d.GetEntropy(t.Context(), p, 256)
	switch {
	case err == nil && credit == 128:
		if bytes.Equal(p, make([]byte, 32)) {
			t.Error("zeros")
		}
	case credit != 0 || !errors.Is(err, ErrUnavailable) || !bytes.Equal(p, make([]byte, 32)):
		t.Errorf("%d, %v, %x", credit, err, p)
	}
	t.Logf("%s: %d bits, %v", devicePath, credit, err)
}
