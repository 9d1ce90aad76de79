package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lrng-go/lrng/es"
)

// Limits of a record. Samples are kept in memory until the last one is there, since
// writing them would disturb what is measured.
const (
	maxSamples  = 1 << 28
	maxRestarts = 1 << 16
	noiseBlock  = 1 << 12 // samples of one call of the source
)

var recordCommand = command{
	name:  "record",
	args:  " SOURCE",
	short: "raw noise of an entropy source, for its assessment",
	long: `Record takes consecutive raw samples of a noise source and writes

  BASE.bin    one byte a sample, the form that NIST's tools for SP 800-90B read
  BASE.u64    the same samples as they were measured, 8 bytes each, little endian,
              if the source has more than the byte
  BASE.json   what was recorded, when, on what, with which settings

With -restart ROWSxCOLUMNS it writes a restart matrix instead (SP 800-90B, Section 3.1.4):
row after row, each by a process of its own that has just started the source. The
standard wants -n 1000000 and -restart 1000x1000. With -o - the bytes of BASE.bin go to
standard output, and nothing else is written. No sample becomes part of a seed.

Sources: ` + strings.Join(sourceNames(), ", ") + `.

A sample of jitter and of the scheduler is a time: the 64 bits of BASE.u64 are in ticks of
the clock, and the byte is the low one of these divided by the step of the clock. One of
cpu and of device is a byte of what the generator delivers, after its own conditioning.
The events of es.Events and what an es.Reader reads are those of a program: it records
them by GetNoise, as it does with an es.Monitor, which hands on the noise of its source.
`,
	flags: func(f *flag.FlagSet) func(context.Context, stdio, []string) error {
		rec := recording{n: -1}
		f.Var(&rec.n, "n", "`number` of samples; K, M and G stand for powers of 1024, so that 1M is 1,048,576 (default 1000000)")
		f.Var(&rec.restart, "restart", "`ROWSxCOLUMNS` of a restart matrix, as 1000x1000")
		f.StringVar(&rec.base, "o", "", "`base` of the names of the files, or - (default SOURCE, or SOURCE-restart)")
		f.BoolVar(&rec.force, "force", false, "overwrite files")
		f.IntVar(&rec.settings.OSR, "osr", 0, "oversampling `rate` of a jitter source or the scheduler; 0 is the default")
		f.IntVar(&rec.settings.MemorySize, "memory", 0, "memory of a jitter source in `bytes`; 0 is the default")
		f.StringVar(&rec.settings.Path, "path", "", "`name` of the device (default /dev/hwrng)")
		return func(ctx context.Context, std stdio, args []string) error {
			if len(args) != 1 {
				return usagef("want the name of one source: %s", strings.Join(sourceNames(), ", "))
			}
			rec.source = args[0]
			return rec.run(ctx, std)
		}
	},
}

// settings are those of a source that the user may choose. Zero is the default.
type settings struct {
	OSR        int    `json:"osr,omitempty"`
	MemorySize int    `json:"memory_size,omitempty"` // bytes
	Path       string `json:"path,omitempty"`
}

// args returns the flags that give another process the same settings.
func (s settings) args() []string {
	return []string{"-osr=" + strconv.Itoa(s.OSR), "-memory=" + strconv.Itoa(s.MemorySize), "-path=" + s.Path}
}

// A noiseSource is a source that record knows.
type noiseSource struct {
	name string
	has  settings // not zero: those it has
	new  func(settings) es.Source
}

var noiseSources = []noiseSource{
	{"jitter", settings{OSR: 1, MemorySize: 1}, jitter(es.JitterMixed)},
	{"jitter-memory", settings{OSR: 1, MemorySize: 1}, jitter(es.JitterMemory)},
	{"jitter-hash", settings{OSR: 1}, jitter(es.JitterHash)},
	{"scheduler", settings{OSR: 1}, func(s settings) es.Source { return es.NewScheduler(es.SchedulerConfig{OSR: s.OSR}) }},
	{"cpu", settings{}, func(settings) es.Source { return es.NewCPU(es.CPUConfig{}) }},
	{"device", settings{Path: "x"}, func(s settings) es.Source { return es.NewDevice(es.DeviceConfig{Path: s.Path}) }},
}

// unrecorded are the other sources of package es, and why record cannot record them.
var unrecorded = map[string]string{
	"os":        "it has no raw noise (no GetNoise)",
	"auxiliary": "it has no raw noise (no GetNoise)",
	"seed-file": "it has no raw noise (no GetNoise)",
	"identity":  "it has no raw noise (no GetNoise)",
	"events":    "the events are those of a program, which records them by its GetNoise",
	"reader":    "it reads what a program has opened, which records that by its GetNoise",
	"monitor":   "its noise is that of the source that it watches, which a program records by its GetNoise",
}

// jitter returns the constructor of a jitter source with the noise.
func jitter(noise es.JitterNoise) func(settings) es.Source {
	return func(s settings) es.Source {
		return es.NewJitter(es.JitterConfig{OSR: s.OSR, MemorySize: s.MemorySize, Noise: noise})
	}
}

func sourceNames() (names []string) {
	for _, s := range noiseSources {
		names = append(names, s.name)
	}
	return names
}

// newSource makes a source by its name.
func newSource(name string, s settings) (es.NoiseSource, error) {
	for _, n := range noiseSources {
		if n.name != name {
			continue
		}
		switch {
		case s.OSR != 0 && n.has.OSR == 0:
			return nil, usagef("-osr: source %q has no oversampling rate", name)
		case s.MemorySize != 0 && n.has.MemorySize == 0:
			return nil, usagef("-memory: source %q has no memory", name)
		case s.Path != "" && n.has.Path == "":
			return nil, usagef("-path: source %q is no file", name)
		}
		src := n.new(s)
		if v, ok := src.(es.Validator); ok {
			if err := v.Validate(); err != nil {
				return nil, usageError{err}
			}
		}
		return src.(es.NoiseSource), nil
	}
	if why, ok := unrecorded[name]; ok {
		return nil, usagef("source %q cannot be recorded: %s; want one of %s", name, why, strings.Join(sourceNames(), ", "))
	}
	return nil, usagef("source %q is unknown; want one of %s", name, strings.Join(sourceNames(), ", "))
}

// A shape is a flag for the rows and columns of a matrix.
type shape struct{ rows, columns int }

func (s *shape) String() string {
	if *s == (shape{}) {
		return ""
	}
	return fmt.Sprintf("%dx%d", s.rows, s.columns)
}

func (s *shape) Set(text string) error {
	r, c, ok := strings.Cut(text, "x")
	rows, err := strconv.Atoi(r)
	columns, err2 := strconv.Atoi(c)
	switch {
	case !ok || err != nil || err2 != nil || rows < 1 || columns < 1:
		return errors.New("want ROWSxCOLUMNS, as 1000x1000")
	case rows > maxRestarts || columns > maxSamples/rows:
		return fmt.Errorf("too many: at most %d rows and %d samples", maxRestarts, maxSamples)
	}
	s.rows, s.columns = rows, columns
	return nil
}

// A recording is one call of record.
type recording struct {
	source   string
	settings settings
	n        size
	restart  shape
	base     string
	force    bool
}

func (rec *recording) run(ctx context.Context, std stdio) error {
	matrix := rec.restart != shape{}
	switch {
	case matrix && rec.n >= 0:
		return usagef("-n and -restart exclude each other")
	case rec.n < 0:
		rec.n = 1_000_000
	case rec.n == 0:
		return usagef("-n: want at least one sample")
	case rec.n > maxSamples:
		return usagef("-n: %d; want at most %d", rec.n, maxSamples)
	}
	src, err := newSource(rec.source, rec.settings)
	if err != nil {
		return err
	}
	if c, ok := src.(io.Closer); ok {
		defer c.Close()
	}
	if rec.base == "" {
		rec.base = rec.source
		if matrix {
			rec.base += "-restart"
		}
	}
	if rec.base == "-" && isTerminal(std.out) {
		return usagef("standard output is a terminal")
	}
	names := map[string]string{}
	for _, ext := range []string{"bin", "u64", "json"} {
		names[ext] = rec.base + "." + ext
		if rec.base != "-" {
			if err := checkTarget(names[ext], rec.force); err != nil {
				return err
			}
		}
	}

	h := newHeader(rec)
	begin := time.Now()
	var s samples
	if matrix {
		s, err = rec.restarts(ctx, std)
	} else {
		bar := newProgress(std.err, int64(rec.n), "samples")
		s, err = take(ctx, src, int(rec.n), bar)
		bar.stop()
	}
	if err != nil {
		return err
	}
	h.Duration = time.Since(begin).Seconds()
	h.LoadAfter = firstLine("/proc/loadavg")
	if rec.base == "-" {
		_, err := std.out.Write(s.symbols)
		return err
	}
	h.Samples, h.Noise, h.Steps = len(s.symbols), s.noise, s.steps
	if err := h.write(names["bin"], s.symbols); err != nil {
		return err
	}
	if s.raw != nil {
		if err := h.write(names["u64"], littleEndian(s.raw)); err != nil {
			return err
		}
	} else if err := os.Remove(names["u64"]); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err // one of an earlier record, which would not fit
	}
	text, err := json.MarshalIndent(h, "", "\t")
	if err != nil {
		return err
	}
	if err := writeFile(names["json"], append(text, '\n')); err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.out, "%d samples of %s in %.3g s: %s, %s\n", h.Samples, rec.source, h.Duration, strings.Join(h.names(), ", "), names["json"])
	return err
}

// samples are what was recorded: one symbol a sample, and the time that was measured for
// it if the source tells.
type samples struct {
	symbols []byte
	raw     []uint64           // a symbol is the low byte of a time divided by the step
	noise   es.NoiseParameters // how the source took them
	steps   []uint64           // of each row of a matrix, if they are not all the same
}

// A timedSource is a source whose samples are times.
type timedSource interface {
	GetDeltas(p []uint64) (n int, err error) // consecutive samples
	NoiseParameters() es.NoiseParameters
}

// take takes n consecutive samples.
func take(ctx context.Context, src es.NoiseSource, n int, bar *progress) (s samples, err error) {
	s.symbols = make([]byte, n)
	timed, isTimed := src.(timedSource)
	if isTimed {
		s.raw = make([]uint64, n)
	}
	for done := 0; done < n; {
		if err := ctx.Err(); err != nil {
			return samples{}, err
		}
		end, got := min(n, done+noiseBlock), 0
		if isTimed {
			got, err = timed.GetDeltas(s.raw[done:end])
		} else {
			got, err = src.GetNoise(s.symbols[done:end])
		}
		if err != nil {
			return samples{}, fmt.Errorf("after %d samples: %w", done+got, err)
		}
		if got == 0 {
			return samples{}, fmt.Errorf("after %d samples the source has no more", done)
		}
		done += got
		bar.set(int64(done))
	}
	if described, ok := src.(interface{ NoiseParameters() es.NoiseParameters }); ok {
		s.noise = described.NoiseParameters()
	}
	if isTimed {
		s.noise.Step = max(1, s.noise.Step)
		for i, d := range s.raw {
			s.symbols[i] = byte(d / s.noise.Step)
		}
	}
	return s, nil
}

// restarts records a matrix. Each row is taken by a process of its own.
func (rec *recording) restarts(ctx context.Context, std stdio) (s samples, err error) {
	exe, err := os.Executable()
	if err != nil {
		return samples{}, err
	}
	dir, err := os.MkdirTemp("", "lrng-record-")
	if err != nil {
		return samples{}, err
	}
	defer os.RemoveAll(dir)
	bar := newProgress(std.err, int64(rec.restart.rows), "rows")
	defer bar.stop()
	for row := range rec.restart.rows {
		one, err := rec.row(ctx, exe, filepath.Join(dir, "row"))
		if err != nil {
			return samples{}, errors.Join(ctx.Err(), fmt.Errorf("row %d: %w", row+1, err))
		}
		s.append(one)
		bar.set(int64(row + 1))
	}
	s.join()
	return s, nil
}

// row takes a row of a matrix, in files with that base.
func (rec *recording) row(ctx context.Context, exe, base string) (s samples, err error) {
	args := append([]string{"record", "-force", "-o=" + base, "-n=" + strconv.Itoa(rec.restart.columns)}, rec.settings.args()...)
	cmd := exec.CommandContext(ctx, exe, append(args, rec.source)...)
	var msg bytes.Buffer
	cmd.Stderr = &msg
	if err := cmd.Run(); err != nil {
		return samples{}, fmt.Errorf("%w: %s", err, bytes.TrimSpace(msg.Bytes()))
	}
	text, err := os.ReadFile(base + ".json")
	if err != nil {
		return samples{}, err
	}
	var h header
	if err := json.Unmarshal(text, &h); err != nil {
		return samples{}, err
	}
	s.noise = h.Noise
	if s.symbols, err = os.ReadFile(base + ".bin"); err != nil {
		return samples{}, err
	}
	raw, err := os.ReadFile(base + ".u64")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return samples{}, err
	}
	for ; len(raw) >= 8; raw = raw[8:] {
		s.raw = append(s.raw, binary.LittleEndian.Uint64(raw))
	}
	if len(s.symbols) != rec.restart.columns || s.raw != nil && len(s.raw) != rec.restart.columns {
		return samples{}, fmt.Errorf("%d samples and %d times; want %d", len(s.symbols), len(s.raw), rec.restart.columns)
	}
	return s, nil
}

// append adds a row. What is said of all rows is what was found for the first one, but
// for the step.
func (s *samples) append(row samples) {
	if s.symbols == nil {
		s.noise = row.noise
	}
	s.symbols = append(s.symbols, row.symbols...)
	s.raw = append(s.raw, row.raw...)
	s.steps = append(s.steps, row.noise.Step)
}

// join says the step once, if it is that of all rows.
func (s *samples) join() {
	if len(slices.Compact(slices.Clone(s.steps))) == 1 {
		s.steps = nil
	} else {
		s.noise.Step = 0
	}
}

// A header says what was recorded. Memory sizes are in bytes, times in seconds.
type header struct {
	Tool     string    `json:"tool"`
	Source   string    `json:"source"`
	Settings settings  `json:"settings"`
	Time     time.Time `json:"time"`
	Duration float64   `json:"duration"`

	Samples int `json:"samples"`
	Bits    int `json:"bits_per_symbol"`
	Rows    int `json:"rows,omitempty"` // of a restart matrix
	Columns int `json:"columns,omitempty"`

	// A symbol is the low byte of what was measured divided by the step: that of the
	// noise, or of the row.
	Noise es.NoiseParameters `json:"noise"`
	Steps []uint64           `json:"steps,omitempty"`
	Files []file             `json:"files"`

	OS         string `json:"os"`
	Arch       string `json:"arch"`
	Kernel     string `json:"kernel,omitempty"`
	CPU        string `json:"cpu,omitempty"`
	CPUs       int    `json:"cpus"`
	Clock      string `json:"clocksource,omitempty"` // of the kernel
	HWRNG      string `json:"rng_current,omitempty"` // what is behind /dev/hwrng
	Governor   string `json:"governor,omitempty"`
	LoadBefore string `json:"load_before,omitempty"`
	LoadAfter  string `json:"load_after,omitempty"`
	Go         string `json:"go"`
}

// A file is one of those written.
type file struct {
	Name   string `json:"name"`
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"`
}

func newHeader(rec *recording) *header {
	h := &header{
		Tool: "lrng record", Source: rec.source, Settings: rec.settings, Time: time.Now().UTC(),
		Bits: 8, Rows: rec.restart.rows, Columns: rec.restart.columns,
		OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version(),
		Kernel:     firstLine("/proc/sys/kernel/osrelease"),
		Clock:      firstLine("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
		HWRNG:      firstLine("/sys/devices/virtual/misc/hw_random/rng_current"),
		Governor:   firstLine("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
		LoadBefore: firstLine("/proc/loadavg"),
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		h.Tool += " " + info.Main.Version
	}
	h.CPU = cpuModel()
	return h
}

// cpuModel returns the name of the processor, or "".
func cpuModel() string {
	cpu, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(cpu)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// firstLine returns the first line of a file, or "".
func firstLine(name string) string {
	b, _ := os.ReadFile(name)
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}

func (h *header) names() (names []string) {
	for _, f := range h.Files {
		names = append(names, f.Name)
	}
	return names
}

// write writes a file and enters it in the header.
func (h *header) write(name string, data []byte) error {
	sum := sha256.Sum256(data)
	h.Files = append(h.Files, file{filepath.Base(name), len(data), hex.EncodeToString(sum[:])})
	return writeFile(name, data)
}

// checkTarget returns why nothing may be written to a file: it is there, and is not to be
// overwritten, or it is something else than a file, such as a device or a link to one, in
// whose place a file would come.
func checkTarget(name string, force bool) error {
	info, err := os.Lstat(name)
	switch {
	case err != nil: // it is not there, or this comes again
		return nil
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", name)
	case !force:
		return fmt.Errorf("%s is there already; -force overwrites it", name)
	}
	return nil
}

// writeFile writes a whole file, or none: a part of one under another name is removed.
func writeFile(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".lrng-record-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return os.Rename(f.Name(), name)
}

func littleEndian(v []uint64) []byte {
	b := make([]byte, 0, 8*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return b
}
