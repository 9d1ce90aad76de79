package es

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/lrng-go/lrng/internal/selftest"
)

var _ interface {
	Source
	fmt.Stringer
	fmt.GoStringer
} = (*Identity)(nil)

// exampleOf returns a name that the pattern matches.
func exampleOf(pattern string) string { return strings.ReplaceAll(pattern, "*", "x1") }

// auxvector encodes pairs as the kernel does.
func auxvector(words ...uint64) (b []byte) {
	for _, w := range words {
		if bits.UintSize == 32 {
			b = binary.NativeEndian.AppendUint32(b, uint32(w))
		} else {
			b = binary.NativeEndian.AppendUint64(b, w)
		}
	}
	return b
}

// twinNode returns a machine all of whose facts are known, and whose clocks stand still.
func twinNode() (machine, fstest.MapFS) {
	files := fstest.MapFS{
		"proc/self/auxv": {Data: auxvector(6, 4096, 25, 8, 0, 0)},
		"proc/self/mem":  {Data: []byte("--------RandomRandomRand-------")},
	}
	for _, i := range items {
		for _, name := range i.files {
			files[name] = &fstest.MapFile{Data: []byte("content of " + name)}
		}
		for _, pattern := range i.globs {
			files[exampleOf(pattern)] = &fstest.MapFile{Data: []byte("content of " + pattern)}
		}
		for _, dir := range i.links {
			files[path.Join(dir, "x1")] = &fstest.MapFile{Data: []byte("target:[1]"), Mode: fs.ModeSymlink | 0o777}
		}
	}
	return machine{
		files:      files,
		hostname:   func() (string, error) { return "twin", nil },
		interfaces: func() []byte { return []byte("interfaces of twin") },
		process:    func() []byte { return []byte("process of twin") },
		program:    func() []byte { return []byte("program of twin") },
		times:      func() []byte { return []byte("time of twin") },
	}, files
}

// patientIdentity returns a new source on m that waits for all of the files, however busy the
// machine is.
func patientIdentity(m machine) *Identity {
	s := newIdentity(m)
	s.budget = time.Hour
	return s
}

// identify returns the first 48 bytes that a new source on m delivers.
func identify(t *testing.T, m machine) []byte {
	t.Helper()
	p := make([]byte, 48)
	if credit, err := patientIdentity(m).GetEntropy(t.Context(), p, 256); credit != 0 || err != nil {
		t.Fatalf("credit %d, %v", credit, err)
	}
	return p
}

// K10, T31: nodes from one image deliver the same if nothing at all tells them apart,
// and something else if one item does, whichever it is.
func TestIdentityTwins(t *testing.T) {
	m, _ := twinNode()
	twin := identify(t, m)
	if again, _ := twinNode(); !bytes.Equal(identify(t, again), twin) {
		t.Fatal("two nodes without a difference deliver different data: this test would see nothing")
	}
	seen := map[string]string{string(twin): "the twin"}
	differs := func(what string, change func(m *machine, files fstest.MapFS)) {
		t.Helper()
		m, files := twinNode()
		change(&m, files)
		data := string(identify(t, m))
		if other, ok := seen[data]; ok {
			t.Errorf("%s is not told from %s", what, other)
		}
		seen[data] = what
	}
	content := func(name, data string) {
		t.Helper()
		differs(name+" "+data, func(_ *machine, files fstest.MapFS) {
			old, ok := files[name]
			if !ok || string(old.Data) == data {
				t.Fatalf("%s: nothing to change", name)
			}
			files[name] = &fstest.MapFile{Data: []byte(data), Mode: old.Mode}
		})
	}
	for _, i := range items {
		for _, name := range i.files {
			content(name, "other content")
			differs("one without "+name, func(_ *machine, files fstest.MapFS) { delete(files, name) })
		}
		for _, pattern := range i.globs {
			content(exampleOf(pattern), "other content")
			differs("one with another "+pattern, func(_ *machine, files fstest.MapFS) {
				files[strings.ReplaceAll(pattern, "*", "x2")] = files[exampleOf(pattern)]
			})
		}
		for _, dir := range i.links {
			content(path.Join(dir, "x1"), "target:[2]")
		}
	}
	content("proc/self/mem", "--------RandomRandomRant-------")
	differs("host name", func(m *machine, _ fstest.MapFS) {
		m.hostname = func() (string, error) { return "twin2", nil }
	})
	differs("no host name", func(m *machine, _ fstest.MapFS) {
		m.hostname = func() (string, error) { return "twin", errors.New("none") }
	})
	other := func() []byte { return []byte("other") }
	differs("interfaces", func(m *machine, _ fstest.MapFS) { m.interfaces = other })
	differs("process", func(m *machine, _ fstest.MapFS) { m.process = other })
	differs("program", func(m *machine, _ fstest.MapFS) { m.program = other })
	differs("time", func(m *machine, _ fstest.MapFS) { m.times = other })
	differs("no files", func(m *machine, _ fstest.MapFS) { m.files = nil })
	differs("swapped files", func(_ *machine, files fstest.MapFS) {
		a, b := "etc/machine-id", "var/lib/dbus/machine-id"
		files[a], files[b] = files[b], files[a]
	})
}

// An independent computation of what is delivered.
func TestIdentityModel(t *testing.T) {
	hash := func(parts ...string) string {
		h := sha512.New()
		for _, p := range parts {
			h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
			io.WriteString(h, p)
		}
		return string(h.Sum(nil))
	}
	m, files := twinNode()
	s := patientIdentity(m)
	for call := 1; call <= 2; call++ {
		key := []string{"lrng identity", fmt.Sprint(call), "time of twin"}
		for _, i := range items {
			parts := []string{"lrng identity item " + i.name}
			for _, name := range i.files {
				parts = append(parts, string(files[name].Data))
			}
			for _, pattern := range i.globs {
				name := exampleOf(pattern)
				parts = append(parts, hash("lrng file", name, string(files[name].Data)))
			}
			for range i.links {
				parts = append(parts, "target:[1]\x00")
			}
			if i.call != nil {
				parts = append(parts, map[string]string{
					"host": "twin", "process": "process of twin", "start random": "RandomRandomRand",
					"network": "interfaces of twin", "program": "program of twin",
				}[i.name])
			}
			key = append(key, hash(parts...))
		}
		k := hash(key...)
		want := hash("lrng identity output", k, "0") + hash("lrng identity output", k, "1")
		got := make([]byte, 100)
		if _, err := s.GetEntropy(t.Context(), got, 0); err != nil || string(got) != want[:100] {
			t.Errorf("call %d: %x, %v; want %x", call, got, err, want[:100])
		}
	}
}

// C5, K10: identity is never credited, on any machine, whatever is asked for.
func TestIdentityCredit(t *testing.T) {
	m, _ := twinNode()
	for name, s := range map[string]*Identity{
		"node": newIdentity(m), "this machine": NewIdentity(IdentityConfig{}),
		"nowhere": newIdentity(machine{hostname: m.hostname, interfaces: m.interfaces, process: m.process, program: m.program, times: m.times}),
	} {
		if want := (Info{Name: "identity"}); s.Info() != want {
			t.Errorf("%s: Info is %+v, want %+v", name, s.Info(), want)
		}
		seen := make(map[string]bool)
		for _, bits := range []int{0, 1, 256, 512, -1, 1 << 30} {
			p := make([]byte, 64)
			if credit, err := s.GetEntropy(t.Context(), p, bits); credit != 0 || err != nil || s.Available(bits) != 0 {
				t.Errorf("%s: %d bits: credit %d, %v, available %d", name, bits, credit, err, s.Available(bits))
			}
			if seen[string(p)] {
				t.Errorf("%s: the same data twice", name)
			}
			seen[string(p)] = true
		}
	}
}

// What is not a file to be read, cannot be read, or is too long.
func TestIdentityFiles(t *testing.T) {
	const name = "etc/machine-id"
	long := bytes.Repeat([]byte{'x'}, maxFile+1)
	for _, tt := range []struct {
		what string
		file *fstest.MapFile
		want int // -1: nothing
	}{
		{"empty", &fstest.MapFile{}, 0},
		{"one byte", &fstest.MapFile{Data: long[:1]}, 1},
		{"longest", &fstest.MapFile{Data: long[:maxFile]}, maxFile},
		{"too long", &fstest.MapFile{Data: long}, maxFile},
		{"directory", &fstest.MapFile{Mode: fs.ModeDir}, -1},
		{"FIFO", &fstest.MapFile{Mode: fs.ModeNamedPipe, Data: long}, -1},
		{"socket", &fstest.MapFile{Mode: fs.ModeSocket, Data: long}, -1},
		{"device", &fstest.MapFile{Mode: fs.ModeDevice, Data: long}, -1},
		{"character device", &fstest.MapFile{Mode: fs.ModeDevice | fs.ModeCharDevice, Data: long}, -1},
		{"link that leads nowhere", &fstest.MapFile{Mode: fs.ModeSymlink, Data: []byte("nowhere")}, -1},
	} {
		m := machine{files: fstest.MapFS{name: tt.file}}
		switch got := m.read(name); {
		case tt.want < 0 && got != nil, tt.want >= 0 && (got == nil || len(got) != tt.want || cap(got) > maxFile):
			t.Errorf("%s: %d bytes, want %d", tt.what, len(got), tt.want)
		}
	}
	m := machine{files: fstest.MapFS{vmclock: {Mode: fs.ModeDevice | fs.ModeCharDevice, Data: []byte("clock")}}}
	if got := m.read(vmclock); string(got) != "clock" {
		t.Errorf("%s: %q", vmclock, got)
	}
	for i := range 2 * maxMatches {
		m.files.(fstest.MapFS)[fmt.Sprintf("many/%d", i)] = &fstest.MapFile{Data: long}
	}
	if got := m.readAll("many/*"); len(got) != maxMatches*sha512.Size {
		t.Errorf("%d matches: %d bytes", 2*maxMatches, len(got))
	}
	if got := m.readAll("["); got != nil {
		t.Errorf("a bad pattern: %d bytes", len(got))
	}
}

func TestIdentityStartRandom(t *testing.T) {
	mem := []byte("0123456789abcdef01234567")
	for _, tt := range []struct {
		what string
		auxv []byte
		mem  []byte
		want string
	}{
		{"first", auxvector(25, 0, 0, 0), mem, "0123456789abcdef"},
		{"last", auxvector(6, 4096, 25, 8), mem, "89abcdef01234567"},
		{"at the end of memory", auxvector(25, 9), mem, ""},
		{"outside", auxvector(25, 1000), mem, ""},
		{"no such address", auxvector(25, 1<<(bits.UintSize-1)), mem, ""},
		{"no entry", auxvector(6, 25, 0, 0), mem, ""},
		{"cut off", auxvector(25), mem, ""},
		{"cut off in a word", auxvector(25, 0)[:9*bits.UintSize/64+1], mem, ""},
		{"empty", nil, mem, ""},
		{"no memory", auxvector(25, 0), nil, ""},
	} {
		files := fstest.MapFS{"proc/self/auxv": {Data: tt.auxv}}
		if tt.mem != nil {
			files["proc/self/mem"] = &fstest.MapFile{Data: tt.mem}
		}
		m := machine{files: files}
		if got := string(m.startRandom()); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.what, got, tt.want)
		}
	}
	if b := (&machine{}).startRandom(); b != nil {
		t.Errorf("without files: %x", b)
	}
}

// A strangeFS does strange things with one of the files, and remembers the buffers
// that it was given.
type strangeFS struct {
	fstest.MapFS
	name string
	open func() error
	read func(p []byte) (int, error) // nil: as it is

	mu     sync.Mutex // guards what follows
	opened int
	given  [][]byte
}

type strangeFile struct {
	fs.File
	fsys *strangeFS
	odd  bool
}

func (f *strangeFS) Open(name string) (fs.File, error) {
	if name == f.name {
		f.mu.Lock()
		f.opened++
		f.mu.Unlock()
		if f.open != nil {
			if err := f.open(); err != nil {
				return nil, err
			}
		}
	}
	file, err := f.MapFS.Open(name)
	if err != nil {
		return nil, err
	}
	if _, ok := file.(fs.ReadDirFile); ok {
		return file, nil
	}
	return &strangeFile{file, f, name == f.name}, nil
}

func (f *strangeFile) ReadAt(p []byte, off int64) (int, error) {
	f.fsys.keep(p)
	return f.File.(io.ReaderAt).ReadAt(p, off)
}

func (f *strangeFile) Read(p []byte) (int, error) {
	f.fsys.keep(p)
	if f.odd && f.fsys.read != nil {
		return f.fsys.read(p)
	}
	return f.File.Read(p)
}

func (f *strangeFS) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.opened
}

func (f *strangeFS) keep(p []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.given = append(f.given, p)
}

// Nothing of what was read is left in memory that the source had, or shows.
func TestIdentityPrivacy(t *testing.T) {
	m, files := twinNode()
	fsys := &strangeFS{MapFS: files}
	m.files = fsys
	fsys.name, fsys.read = "etc/machine-id", func(p []byte) (int, error) { return copy(p, "part"), errors.New("broken") }
	var given [][]byte
	keep := func(f func() []byte) func() []byte {
		return func() []byte {
			b := f()
			given = append(given, b)
			return b
		}
	}
	m.interfaces, m.process, m.program = keep(m.interfaces), keep(m.process), keep(m.program)
	s := patientIdentity(m)
	p := make([]byte, 1<<12)
	if _, err := s.GetEntropy(t.Context(), p, 0); err != nil {
		t.Fatal(err)
	}
	given = append(given, fsys.given...)
	if len(given) < len(files) {
		t.Fatalf("%d buffers for %d files", len(given), len(files))
	}
	for _, b := range given {
		if !bytes.Equal(b, make([]byte, len(b))) {
			t.Errorf("left in memory: %q", bytes.TrimRight(b, "\x00"))
		}
	}
	out := string(p)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		out += fmt.Sprintf(format, s)
	}
	for _, raw := range []string{"twin", "content", "target", "Random", "machine:"} {
		if strings.Contains(out, raw) {
			t.Errorf("%q is in what it shows", raw)
		}
	}
	if got := fmt.Sprintf("%v %+v %#v", s, s, s); got != "es.Identity es.Identity es.Identity" {
		t.Error(got)
	}
}

// E1: what files can do. Each costs its own file: what else there is still counts.
func TestIdentityFaults(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		what string
		open func() error
		read func(p []byte) (int, error)
	}{
		{"does not open", func() error { return broken }, nil},
		{"permission", func() error { return fs.ErrPermission }, nil},
		{"gone between", func() error { return fs.ErrNotExist }, nil},
		{"error", nil, func(p []byte) (int, error) { return 0, broken }},
		{"error after a part", nil, func(p []byte) (int, error) { return copy(p, "part"), broken }},
		{"device removed", nil, func(p []byte) (int, error) { return 0, fs.ErrClosed }},
		{"zeros without end", nil, func(p []byte) (int, error) { clear(p); return len(p), nil }},
		{"one byte at a time without end", nil, func(p []byte) (int, error) { p[0] = 0xff; return 1, nil }},
		{"empty", nil, func(p []byte) (int, error) { return 0, io.EOF }},
	} {
		for _, name := range []string{"proc/sys/kernel/random/boot_id", "proc/self/auxv", "etc/machine-id", "sys/class/net/x1/address"} {
			m, files := twinNode()
			good := identify(t, m)
			m.files = &strangeFS{MapFS: files, name: name, open: tt.open, read: tt.read}
			bad := identify(t, m)
			m.hostname = func() (string, error) { return "twin2", nil }
			if other := identify(t, m); bytes.Equal(good, bad) || bytes.Equal(bad, other) {
				t.Errorf("%s: %s: the rest does not count", name, tt.what)
			}
		}
	}
}

// E1: a file that hangs. The call goes on with what it has after the budget, and
// nobody else waits or opens it, until it answers.
func TestIdentityHangs(t *testing.T) {
	const name = "var/lib/cloud/data/instance-id"
	before := runtime.NumGoroutine()
	m, files := twinNode()
	release, hangs := make(chan struct{}), make(chan struct{})
	var once sync.Once
	fsys := &strangeFS{MapFS: files, name: name, read: func(p []byte) (int, error) {
		once.Do(func() { close(hangs) })
		<-release
		return 0, io.EOF
	}}
	m.files = fsys
	s := newIdentity(m)
	s.budget = 10 * time.Millisecond
	get := func() []byte {
		t.Helper()
		p := make([]byte, 32)
		if credit, err := s.GetEntropy(t.Context(), p, 256); credit != 0 || err != nil {
			t.Fatalf("credit %d, %v", credit, err)
		}
		return p
	}
	first := get()
	<-hangs
	// The machine ID comes after it and is not known, the host name is.
	known := func(name string) bool {
		i := slices.IndexFunc(items, func(i item) bool { return i.name == name })
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.facts[i] != [sha512.Size]byte{}
	}
	if !known("host") || !known("container") || known("machine") {
		t.Errorf("host known: %v, container known: %v, machine known: %v", known("host"), known("container"), known("machine"))
	}
	s.budget = time.Hour
	for range 100 {
		if bytes.Equal(get(), first) {
			t.Fatal("the same data twice")
		}
	}
	if fsys.count() != 1 {
		t.Errorf("opened %d times", fsys.count())
	}
	waitForGoroutines(t, before+1)
	close(release)
	// It tells what it knows a little before it has ended, and can be called again.
	for end := time.Now().Add(10 * time.Second); (!known("machine") || fsys.count() < 2) && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
		get()
	}
	if !known("machine") || fsys.count() < 2 {
		t.Errorf("after it has answered: machine known: %v, opened %d times", known("machine"), fsys.count())
	}
	waitForGoroutines(t, before)
}

// waitForGoroutines waits until there are not more goroutines than before.
func waitForGoroutines(t *testing.T, before int) {
	t.Helper()
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

func TestIdentityContext(t *testing.T) {
	before := runtime.NumGoroutine()
	m, files := twinNode()
	release := make(chan struct{})
	reached := make(chan struct{}, 1)
	fsys := &strangeFS{MapFS: files, name: "proc/sys/kernel/random/boot_id", open: func() error {
		reached <- struct{}{}
		<-release
		return fs.ErrNotExist
	}}
	m.files = fsys
	s := newIdentity(m)
	s.budget = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-reached
		cancel()
	}()
	p := make([]byte, 32)
	if credit, err := s.GetEntropy(ctx, p, 256); credit != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled while it waits: credit %d, %v", credit, err)
	}
	// It is the one that hangs: nobody joins it.
	if _, err := s.GetEntropy(t.Context(), p, 256); err != nil || fsys.count() != 1 {
		t.Errorf("afterwards: %v, opened %d times", err, fsys.count())
	}
	close(release)
	waitForGoroutines(t, before)

	// A long request looks at the context between blocks.
	m, _ = twinNode()
	p = bytes.Repeat([]byte{1}, 1000)
	credit, err := newIdentity(m).GetEntropy(&impatient{t.Context(), 5}, p, 256)
	if credit != 0 || !errors.Is(err, context.Canceled) || !bytes.Equal(p[:64], make([]byte, 64)) {
		t.Errorf("cancelled in a long request: credit %d, %v, %x", credit, err, p[:64])
	}
}

// An impatient context is done after n looks at it.
type impatient struct {
	context.Context
	n int
}

func (c *impatient) Err() error {
	if c.n--; c.n < 0 {
		return context.Canceled
	}
	return nil
}

// D4: nothing is delivered when the self-test of the hash fails.
func TestIdentitySelfTest(t *testing.T) {
	m, _ := twinNode()
	s := newIdentity(m)
	s.test = func() error { return selftest.ErrFailed }
	p := make([]byte, 32)
	if credit, err := s.GetEntropy(t.Context(), p, 256); credit != 0 || !errors.Is(err, selftest.ErrFailed) || !bytes.Equal(p, make([]byte, 32)) {
		t.Errorf("credit %d, %v, %x", credit, err, p)
	}
}

// Two of this machine are told apart, since they are two.
func TestIdentityHere(t *testing.T) {
	a, b := identify(t, thisMachine()), identify(t, thisMachine())
	if bytes.Equal(a, b) {
		t.Error("two sources deliver the same data")
	}
	m := thisMachine()
	if runtime.GOOS == "linux" {
		if id := m.read("proc/sys/kernel/random/boot_id"); len(id) < 32 {
			t.Errorf("the boot ID has %d bytes", len(id))
		}
		if r := m.startRandom(); len(r) != 16 || bytes.Equal(r, make([]byte, 16)) {
			t.Errorf("AT_RANDOM has %d bytes", len(r))
		}
	}
}

// For the race detector.
func TestIdentityConcurrent(t *testing.T) {
	m, _ := twinNode()
	s := newIdentity(m)
	var mu sync.Mutex
	seen := make(map[string]bool)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				p := make([]byte, 32)
				if _, err := s.GetEntropy(t.Context(), p, 256); err != nil {
					t.Error(err)
				}
				mu.Lock()
				seen[string(p)] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) != 160 {
		t.Errorf("%d of 160 calls delivered different data", len(seen))
	}
}

func BenchmarkIdentity(b *testing.B) {
	s := NewIdentity(IdentityConfig{})
	p := make([]byte, 48)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.GetEntropy(b.Context(), p, 0); err != nil {
			b.Fatal(err)
		}
	}
}
