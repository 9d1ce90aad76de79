package es

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/bits"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng/internal/safefile"
	"github.com/lrng-go/lrng/internal/selftest"
)

var _ interface {
	Source
	Validator
	fmt.Stringer
	fmt.GoStringer
} = (*SeedFile)(nil)

// A seedNode is a simulated node: what it knows of itself, and a directory for its
// disk. The zero values of its hooks are those of a machine where a seed is credited.
type seedNode struct {
	dir                string
	id, host, mac, dmi string
	boot               int // counts up
	process            int
	more               fstest.MapFS
	virtual            bool
	medium             safefile.Medium
	inode              uint64 // of all files; 0: their own
	facts              func(fs.FileInfo) (safefile.Facts, bool)
	lock               func(*os.File) (bool, bool, error)
	step               func(string) error
	unsynced           bool // nothing waits for the disk
	patience           time.Duration
}

func newSeedNode(dir string) *seedNode {
	return &seedNode{
		dir: dir, id: "0123456789abcdef0123456789abcdef", host: "node", mac: "02:fc:00:00:00:01",
		dmi: "4c4c4544-0042-3510-8052-b4c04f303232", boot: 1, medium: safefile.Medium{Persistent: true},
	}
}

func (n *seedNode) path() string { return filepath.Join(n.dir, "seed") }

// system returns the surroundings of a process on the node.
func (n *seedNode) system() seedSystem {
	files := fstest.MapFS{
		"etc/machine-id":                       {Data: []byte(n.id + "\n")},
		"proc/sys/kernel/random/boot_id":       {Data: fmt.Appendf(nil, "%08d-cb9c-4b8c-9c0b-0123456789ab\n", n.boot)},
		"sys/class/net/eth0/address":           {Data: []byte(n.mac + "\n")},
		"sys/class/net/eth0/addr_assign_type":  {Data: []byte("0\n")},
		"sys/class/net/eth0/device/vendor":     {Data: []byte("0x1af4\n")},
		"sys/class/net/br0/address":            {Data: fmt.Appendf(nil, "1a:d5:83:0c:00:%02d\n", n.boot)},
		"sys/class/net/br0/addr_assign_type":   {Data: []byte("3\n")},
		"sys/class/net/veth0/address":          {Data: fmt.Appendf(nil, "1a:d5:83:0d:00:%02d\n", n.boot)},
		"sys/class/net/veth0/addr_assign_type": {Data: []byte("0\n")}, // and no device
		"sys/class/dmi/id/product_uuid":        {Data: []byte(n.dmi + "\n")},
	}
	maps.Copy(files, n.more)
	for name, f := range files {
		if f == nil {
			delete(files, name)
		}
	}
	n.process++
	process := n.process
	sys := thisSystem()
	sys.machine = machine{
		files:    files,
		hostname: func() (string, error) { return n.host, nil },
		process:  func() []byte { return number(uint64(process)) },
		times:    func() []byte { return number(uint64(n.boot)) },
	}
	sys.virtual = func() bool { return n.virtual }
	sys.medium = func(*os.File) (safefile.Medium, error) { return n.medium, nil }
	sys.facts = func(fi fs.FileInfo) (safefile.Facts, bool) {
		facts, ok := safefile.FactsOf(fi)
		if n.inode != 0 {
			facts.Inode = n.inode
		}
		return facts, ok
	}
	if n.facts != nil {
		sys.facts = n.facts
	}
	if n.lock != nil {
		sys.lock = n.lock
	}
	if n.step != nil {
		sys.step = n.step
	}
	if n.unsynced {
		sys.sync = func(*os.File, bool) error { return nil }
	}
	if n.patience != 0 {
		sys.patience = n.patience
	}
	// The generator of the system has failed: what there is has to do.
	sys.fresh = func(b []byte) error { return errors.New("no generator") }
	return sys
}

// source returns the source of a new process on the node, with all the credit.
func (n *seedNode) source() *SeedFile {
	return newSeedFile(SeedFileConfig{Path: n.path(), Credit: 256}, n.system())
}

// A seedReader is a generator that never repeats itself. Its state is what it reads.
type seedReader struct{ n uint64 }

func (r *seedReader) Read(p []byte) (int, error) {
	for i := range p {
		if i%8 == 0 {
			r.n++
		}
		p[i] = byte(r.n>>(i%8*8)) ^ 0x5a
	}
	return len(p), nil
}

// stored writes a file by Save in the present boot of the node, and starts it anew.
func (n *seedNode) stored(t testing.TB) {
	t.Helper()
	if err := n.source().Save(t.Context(), &seedReader{uint64(n.boot) << 32}); err != nil {
		t.Fatal(err)
	}
	n.boot++
}

// image returns what is in the file, or nil.
func (n *seedNode) image(t testing.TB) *seedImage {
	t.Helper()
	b, err := os.ReadFile(n.path())
	if err != nil {
		return nil
	}
	var s seedImage
	if err := s.decode(b); err != nil {
		t.Fatalf("%s: %v", n.path(), err)
	}
	return &s
}

// deliver asks s for 32 bytes.
func deliver(t testing.TB, s *SeedFile) (p []byte, credit int, err error) {
	t.Helper()
	p = make([]byte, 32)
	credit, err = s.GetEntropy(t.Context(), p, 256)
	if err != nil && (credit != 0 || !bytes.Equal(p, make([]byte, 32))) {
		t.Errorf("credit %d and %x with the error %v", credit, p, err)
	}
	return p, credit, err
}

// check returns the check that an error is about, or "".
func check(err error) string {
	if e, ok := errors.AsType[*SeedFileError](err); ok {
		return e.Check
	}
	return ""
}

// wantCredit wants the file of s to be read, and to be credited if and only if why is
// "". It returns what is delivered.
func wantCredit(t testing.TB, what string, s *SeedFile, why string) []byte {
	t.Helper()
	if s.Available(256) != 0 || s.Uncredited() != nil {
		t.Errorf("%s: before it was read: available %d, %v", what, s.Available(256), s.Uncredited())
	}
	p, credit, err := deliver(t, s)
	want := 0
	if why == "" {
		want = 256
	}
	if err != nil || credit != want || check(s.Uncredited()) != why {
		t.Errorf("%s: credit %d, %v, because of %v; want %d because of %q", what, credit, err, s.Uncredited(), want, why)
	}
	again, credit, err := deliver(t, s)
	if err != nil || credit != 0 || s.Available(256) != 0 {
		t.Errorf("%s: the second time: credit %d, %v, available %d", what, credit, err, s.Available(256))
	}
	if bytes.Equal(again, p) {
		t.Errorf("%s: the same data twice", what)
	}
	return p
}

// wantUnavailable wants s to deliver nothing, because of the check.
func wantUnavailable(t testing.TB, what string, s *SeedFile, why string) {
	t.Helper()
	if _, _, err := deliver(t, s); !errors.Is(err, ErrUnavailable) || check(err) != why {
		t.Errorf("%s: %v, want %q", what, err, why)
	}
}

func TestSeedFileConfig(t *testing.T) {
	abs, err := filepath.Abs("seed")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		c    SeedFileConfig
		want string
	}{
		{SeedFileConfig{}, ""},
		{SeedFileConfig{Path: abs}, ""},
		{SeedFileConfig{Path: abs, Credit: 1}, ""},
		{SeedFileConfig{Path: abs, Credit: 256, NotCloned: true}, ""},
		{SeedFileConfig{Path: abs, Credit: 257}, "SeedFileConfig.Credit"},
		{SeedFileConfig{Path: abs, Credit: -1}, "SeedFileConfig.Credit"},
		{SeedFileConfig{Credit: 1}, "SeedFileConfig.Path"},
		{SeedFileConfig{Path: "seed"}, "SeedFileConfig.Path"},
		{SeedFileConfig{Path: filepath.Join("..", "seed")}, "SeedFileConfig.Path"},
		{SeedFileConfig{Path: filepath.VolumeName(abs) + string(filepath.Separator)}, "SeedFileConfig.Path"},
	} {
		s := NewSeedFile(tt.c)
		err := s.Validate()
		if (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), "es: "+tt.want+": ") {
			t.Errorf("%+v: %v, want %q", tt.c, err, tt.want)
		}
		want := Info{Name: "seed-file", MaxEntropy: tt.c.Credit}
		if err != nil {
			want.MaxEntropy = 0
			if _, _, got := deliver(t, s); got != err {
				t.Errorf("%+v: GetEntropy: %v", tt.c, got)
			}
			if got := s.Save(t.Context(), &seedReader{}); got != err {
				t.Errorf("%+v: Save: %v", tt.c, got)
			}
		}
		if s.Info() != want {
			t.Errorf("%+v: Info is %+v, want %+v", tt.c, s.Info(), want)
		}
	}
}

// K1: the default is no file, and that is no error of the configuration. Neither is a
// file or directory that does not exist.
func TestSeedFileNone(t *testing.T) {
	s := NewSeedFile(SeedFileConfig{})
	wantUnavailable(t, "zero configuration", s, "configuration")
	if err := s.Save(t.Context(), &seedReader{}); !errors.Is(err, ErrUnavailable) || check(err) != "configuration" {
		t.Errorf("Save: %v", err)
	}
	n := newSeedNode(t.TempDir())
	s = n.source()
	wantUnavailable(t, "no file", s, "missing")
	n.dir = filepath.Join(n.dir, "none")
	s = n.source()
	wantUnavailable(t, "no directory", s, "missing")
	if err := s.Save(t.Context(), &seedReader{}); !errors.Is(err, ErrUnavailable) || check(err) != "missing" {
		t.Errorf("Save: %v", err)
	}
	// It is found when it comes.
	if err := os.Mkdir(n.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	n.stored(t)
	wantCredit(t, "a file that came late", n.source(), "")
}

// The life of a file: K2, K5, K7.
func TestSeedFileLife(t *testing.T) {
	n := newSeedNode(t.TempDir())
	seen := make(map[string]bool)
	fresh := func(what string, p []byte) {
		t.Helper()
		if seen[string(p)] {
			t.Errorf("%s: seen before", what)
		}
		seen[string(p)] = true
	}
	n.stored(t)
	first := n.image(t)
	if first.state != seedFresh || first.serial != 1 {
		t.Errorf("saved: state %d, serial %d", first.state, first.serial)
	}
	fresh("saved", first.data[:32])

	s := n.source()
	fresh("delivered", wantCredit(t, "after Save", s, ""))
	derived := n.image(t)
	if derived.state != seedDerived || derived.serial != 2 {
		t.Errorf("at use: state %d, serial %d", derived.state, derived.serial)
	}
	fresh("derived", derived.data[:32])
	// Its data are nowhere on the disk.
	names, err := os.ReadDir(n.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range names {
		b, err := os.ReadFile(filepath.Join(n.dir, e.Name()))
		if err != nil || bytes.Contains(b, first.data[:8]) {
			t.Errorf("%s: %v, holds data: %v", e.Name(), err, err == nil)
		}
		if fi, err := e.Info(); err != nil || runtime.GOOS != "windows" && fi.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", e.Name(), fi.Mode(), err)
		}
	}
	if len(names) != 2 {
		t.Errorf("%v in the directory", names)
	}

	// The process ends without Save.
	n.boot++
	fresh("delivered", wantCredit(t, "without Save", n.source(), "state"))
	n.boot++
	s = n.source()
	fresh("delivered", wantCredit(t, "again without Save", s, "state"))

	// It saves twice, so that the second one replaces a file that was not used.
	for i := range 2 {
		if err := s.Save(t.Context(), &seedReader{7 << 40}); err != nil {
			t.Fatal(err)
		}
		saved := n.image(t)
		if saved.state != seedFresh || saved.serial != uint64(5+i) {
			t.Errorf("saved: state %d, serial %d", saved.state, saved.serial)
		}
		fresh("saved", saved.data[:32])
	}
	if p, credit, err := deliver(t, s); credit != 0 || err != nil {
		t.Errorf("after Save: credit %d, %v", credit, err)
	} else {
		fresh("delivered", p)
	}
	// F4: not in this boot.
	kept := n.image(t)
	fresh("delivered", wantCredit(t, "in the same boot", n.source(), "boot"))
	n.boot++
	if n.image(t).data == kept.data {
		t.Error("what was not credited is still there")
	}
	n.stored(t)
	fresh("delivered", wantCredit(t, "after another Save", n.source(), ""))
}

// K7: the chain of files. Each depends on the one before, on what is fresh, and on the
// generator of the system, and no data delivered are on the disk later.
func TestSeedFileChain(t *testing.T) {
	run := func(reader uint64, tear bool, fresh byte, between uint64) (data [seedDataSize]byte) {
		n := newSeedNode(t.TempDir())
		n.inode = 1
		n.stored(t)
		if tear {
			os.Remove(n.path())
		}
		sys := n.system()
		if fresh != 0 {
			sys.fresh = func(b []byte) error {
				for i := range b {
					b[i] = fresh
				}
				return nil
			}
		}
		s := newSeedFile(SeedFileConfig{Path: n.path()}, sys)
		if between != 0 {
			deliver(t, s)
			if err := n.source().Save(t.Context(), &seedReader{between}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Save(t.Context(), &seedReader{reader}); err != nil {
			t.Fatal(err)
		}
		return n.image(t).data
	}
	base := run(1, false, 0, 0)
	between := run(1, false, 0, 2)
	if run(1, false, 0, 0) != base || run(1, false, 0, 2) != between {
		t.Fatal("the same again gives something else: this test would see nothing")
	}
	if run(2, false, 0, 0) == base {
		t.Error("what is fresh does not count")
	}
	if run(1, true, 0, 0) == base {
		t.Error("the file before does not count")
	}
	if run(1, false, 0, 3) == between {
		t.Error("what another process has saved meanwhile does not count")
	}
	if run(1, false, 1, 0) == base {
		t.Error("the generator of the system does not count")
	}
}

// The credit of all calls together is at most that of the file, and that of each is
// within the bounds of rule 4.
func TestSeedFileCredit(t *testing.T) {
	type call struct{ size, bits, want int }
	for _, tt := range []struct {
		credit int
		calls  []call
	}{
		{256, []call{{32, 256, 256}, {32, 256, 0}}},
		{256, []call{{48, 384, 256}, {48, 384, 0}}},
		{256, []call{{0, 256, 0}, {32, 0, 0}, {32, -1, 0}, {1, 256, 8}, {31, 256, 248}, {32, 256, 0}}},
		{256, []call{{64, 100, 100}, {64, 100, 100}, {64, 100, 56}, {64, 100, 0}}},
		{256, []call{{1000, 1 << 30, 256}, {1000, 1 << 30, 0}}},
		{128, []call{{32, 256, 128}, {32, 256, 0}}},
		{1, []call{{32, 256, 1}, {32, 256, 0}}},
		{0, []call{{32, 256, 0}, {32, 256, 0}}},
	} {
		n := newSeedNode(t.TempDir())
		n.unsynced = true
		n.stored(t)
		s := newSeedFile(SeedFileConfig{Path: n.path(), Credit: tt.credit}, n.system())
		left := tt.credit
		for i, c := range tt.calls {
			p := make([]byte, c.size)
			credit, err := s.GetEntropy(t.Context(), p, c.bits)
			left -= c.want
			if credit != c.want || err != nil || s.Available(1000) != left || s.Available(-1) != 0 {
				t.Errorf("credit %d, call %d, %d bytes, %d bits: %d, %v; want %d; available %d of %d",
					tt.credit, i, c.size, c.bits, credit, err, c.want, s.Available(1000), left)
			}
		}
		if tt.credit == 0 && check(s.Uncredited()) != "configuration" {
			t.Errorf("without a credit: %v", s.Uncredited())
		}
	}
}

// K3, K4, K6, K9, K12, K15: everything else being right, each of these costs the
// credit, not the data.
func TestSeedFileUncredited(t *testing.T) {
	if _, ok := safefile.FactsOf(anyInfo(t)); !ok {
		t.Skipf("nothing is credited on %s", runtime.GOOS)
	}
	set := func(name, data string) func(*testing.T, *seedNode) {
		return func(_ *testing.T, n *seedNode) { n.more = fstest.MapFS{name: {Data: []byte(data)}} }
	}
	gone := func(names ...string) func(*testing.T, *seedNode) {
		return func(_ *testing.T, n *seedNode) {
			n.more = fstest.MapFS{}
			for _, name := range names {
				n.more[name] = nil
			}
		}
	}
	chmod := func(mode fs.FileMode) func(*testing.T, *seedNode) {
		return func(t *testing.T, n *seedNode) {
			if err := os.Chmod(n.path(), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	facts := func(change func(*safefile.Facts, fs.FileInfo)) func(*testing.T, *seedNode) {
		return func(_ *testing.T, n *seedNode) {
			n.facts = func(fi fs.FileInfo) (safefile.Facts, bool) {
				facts, ok := safefile.FactsOf(fi)
				change(&facts, fi)
				return facts, ok
			}
		}
	}
	write := func(name, data string) func(*testing.T, *seedNode) {
		return func(t *testing.T, n *seedNode) {
			name := filepath.Join(n.dir, "..", name)
			if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Remove(name) })
		}
	}
	const (
		boot = "proc/sys/kernel/random/boot_id"
		id   = "etc/machine-id"
		uuid = "sys/class/dmi/id/product_uuid"
	)
	for _, tt := range []struct {
		what, why string
		change    func(t *testing.T, n *seedNode)
		untouched bool // nothing is written
	}{
		{"nothing wrong", "", func(*testing.T, *seedNode) {}, false},
		{"0644", "mode", chmod(0o644), false},
		{"0640", "mode", chmod(0o640), false},
		{"0602", "mode", chmod(0o602), false},
		{"0700", "mode", chmod(0o700), false},
		{"setuid", "mode", chmod(0o600 | fs.ModeSetuid), false},
		{"no facts", "owner", func(_ *testing.T, n *seedNode) {
			n.facts = func(fs.FileInfo) (safefile.Facts, bool) { return safefile.Facts{}, false }
		}, false},
		{"another owner", "owner", facts(func(f *safefile.Facts, fi fs.FileInfo) {
			if !fi.IsDir() {
				f.Owner++
			}
		}), true},
		{"two names", "links", func(t *testing.T, n *seedNode) {
			if err := os.Link(n.path(), filepath.Join(n.dir, "other")); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"directory of another user", "directory", facts(func(f *safefile.Facts, fi fs.FileInfo) {
			if fi.IsDir() {
				f.Owner = 4711
			}
		}), false},
		{"directory of root", "", facts(func(f *safefile.Facts, fi fs.FileInfo) {
			if fi.IsDir() {
				f.Owner = 0
			}
		}), false},
		{"directory writable by the group", "directory", func(t *testing.T, n *seedNode) { os.Chmod(n.dir, 0o770) }, false},
		{"directory writable by all", "directory", func(t *testing.T, n *seedNode) { os.Chmod(n.dir, 0o702) }, false},
		{"directory sticky", "directory", func(t *testing.T, n *seedNode) { os.Chmod(n.dir, 0o777|fs.ModeSticky) }, false},
		{"directory readable", "", func(t *testing.T, n *seedNode) { os.Chmod(n.dir, 0o755) }, false},
		{"file system forgets", "medium", func(_ *testing.T, n *seedNode) { n.medium.Persistent = false }, false},
		{"file system read-only", "medium", func(_ *testing.T, n *seedNode) { n.medium.ReadOnly = true }, true},
		{"git", "git", write(".git/HEAD", "ref: refs/heads/main\n"), true},
		{"git worktree or submodule", "git", write(".git", "gitdir: elsewhere\n"), true},
		{"image, empty ID", "image", write(id, ""), true},
		{"image, ID to be made", "image", write(id, "uninitialized\n"), true},
		{"a root that is personalized", "", write(id, "0123456789abcdef0123456789abcdef\n"), false},
		{"virtual machine", "virtual machine", func(_ *testing.T, n *seedNode) { n.virtual = true }, false},
		{"first boot", "first boot", set("run/systemd/first-boot", ""), false},
		{"no machine ID", "first boot", gone(id), false},
		{"empty machine ID", "first boot", set(id, ""), false},
		{"uninitialized machine ID", "first boot", set(id, "uninitialized\n"), false},
		{"zero machine ID", "first boot", set(id, strings.Repeat("0", 32)), false},
		{"short machine ID", "first boot", set(id, "0123456789abcdef0123456789abcde"), false},
		{"no boot ID", "node", gone(boot), false},
		{"zero boot ID", "node", set(boot, "00000000-0000-0000-0000-000000000000"), false},
		{"no hardware", "node", gone(uuid, "sys/class/net/eth0/device/vendor"), false},
		{"no hardware but made-up", "node", func(_ *testing.T, n *seedNode) {
			n.more = fstest.MapFS{uuid: {Data: []byte("ffffffff-ffff-ffff-ffff-ffffffffffff")},
				"sys/class/net/eth0/addr_assign_type": {Data: []byte("3\n")}}
		}, false},
		{"other machine ID", "node", func(_ *testing.T, n *seedNode) { n.id = strings.ToUpper(n.id) }, false},
		{"other host name", "node", func(_ *testing.T, n *seedNode) { n.host = "node2" }, false},
		{"other address", "node", func(_ *testing.T, n *seedNode) { n.mac = "02:fc:00:00:00:02" }, false},
		{"other board", "node", set("sys/class/dmi/id/board_serial", "2"), false},
		{"other product", "node", func(_ *testing.T, n *seedNode) { n.dmi = "4c4c4544-0042-3510-8052-b4c04f303233" }, false},
		{"a copy", "node", func(t *testing.T, n *seedNode) {
			b, err := os.ReadFile(n.path())
			if err == nil {
				err = os.WriteFile(n.path()+"2", b, 0o600)
			}
			if err == nil {
				err = os.Rename(n.path()+"2", n.path())
			}
			if err != nil {
				t.Fatal(err)
			}
		}, false},
		{"same boot", "boot", func(_ *testing.T, n *seedNode) { n.boot-- }, false},
		{"no locks", "lock", func(_ *testing.T, n *seedNode) {
			n.lock = func(*os.File) (bool, bool, error) { return false, false, nil }
		}, false},
		{"lock fails", "lock", func(_ *testing.T, n *seedNode) {
			n.lock = func(*os.File) (bool, bool, error) { return false, true, syscall.ENOLCK }
		}, false},
		{"the used file is damaged", "serial", func(t *testing.T, n *seedNode) {
			if err := os.WriteFile(n.path()+".used", []byte("lrng seed file"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, false},
	} {
		t.Run(tt.what, func(t *testing.T) {
			root := t.TempDir()
			n := newSeedNode(filepath.Join(root, "var"))
			n.unsynced = true
			if err := os.Mkdir(n.dir, 0o700); err != nil {
				t.Fatal(err)
			}
			n.stored(t)
			before := snapshot(t, n.dir)
			tt.change(t, n)
			if n.image(t) == nil {
				t.Fatal("the file is gone")
			}
			was := snapshot(t, n.dir)
			if tt.untouched {
				n.step = func(step string) error {
					t.Errorf("it is tried to %s", step)
					return nil
				}
			}
			wantCredit(t, tt.what, n.source(), tt.why)
			after := snapshot(t, n.dir)
			if tt.untouched != maps.Equal(was, after) {
				t.Errorf("written: %v", !tt.untouched)
			}
			if !tt.untouched && after["seed"] == before["seed"] {
				t.Error("the file was not replaced")
			}
		})
	}
}

// K9: a file that is written and read on the same machine, which does not know itself.
func TestSeedFileUnknownHome(t *testing.T) {
	const (
		boot = "proc/sys/kernel/random/boot_id"
		id   = "etc/machine-id"
	)
	file := func(data string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(data)} }
	for _, tt := range []struct {
		what, why string
		more      fstest.MapFS
	}{
		{"known", "", nil},
		{"first boot", "first boot", fstest.MapFS{"run/systemd/first-boot": file("")}},
		{"no machine ID", "first boot", fstest.MapFS{id: nil}},
		{"uninitialized machine ID", "first boot", fstest.MapFS{id: file("uninitialized\n")}},
		{"zero machine ID", "first boot", fstest.MapFS{id: file(strings.Repeat("0", 32))}},
		{"no boot ID", "node", fstest.MapFS{boot: nil}},
		{"zero boot ID", "node", fstest.MapFS{boot: file("00000000-0000-0000-0000-000000000000")}},
		{"no hardware", "node", fstest.MapFS{"sys/class/dmi/id/product_uuid": nil, "sys/class/net/eth0/address": nil}},
		{"no address", "", fstest.MapFS{"sys/class/net/eth0/address": nil}},
		{"no product", "", fstest.MapFS{"sys/class/dmi/id/product_uuid": nil}},
		{"zero address", "node", fstest.MapFS{"sys/class/dmi/id/product_uuid": nil, "sys/class/net/eth0/address": file("00:00:00:00:00:00\n")}},
	} {
		n := newSeedNode(t.TempDir())
		n.unsynced, n.more = true, tt.more
		n.stored(t)
		if tt.what == "no boot ID" || tt.what == "zero boot ID" {
			// The same ID in all boots would be seen to be that.
			n.more = maps.Clone(n.more)
			n.more[boot] = file("1")
		}
		wantCredit(t, tt.what, n.source(), tt.why)
	}
}

// Somebody who can write to the directory puts a link in the place of the file again and
// again. What it leads to is never taken for the file.
func TestSeedFileReplacedWhileOpened(t *testing.T) {
	n := newSeedNode(t.TempDir())
	write := func(name string, serial uint64) {
		if err := os.WriteFile(filepath.Join(n.dir, name), (&seedImage{state: seedFresh, serial: serial}).encode(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("regular", 1)
	write("other", 2)
	s := n.source()
	d, problem := s.open()
	if problem != nil {
		t.Fatal(problem)
	}
	defer d.close()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			os.Symlink("other", n.path()+"2")
			os.Rename(n.path()+"2", n.path())
			os.Link(filepath.Join(n.dir, "regular"), n.path()+"2")
			os.Rename(n.path()+"2", n.path())
			os.Remove(n.path() + "2")
		}
	}()
	found := 0
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		f, problem := s.read(d, s.name)
		if problem != nil {
			continue
		}
		found++
		if f.serial != 1 {
			t.Error("a link was followed")
			f.close()
			break
		}
		f.close()
	}
	close(stop)
	<-stopped
	t.Logf("read %d times", found)
}

// anyInfo returns the facts of some file.
func anyInfo(t *testing.T) fs.FileInfo {
	fi, err := os.Stat(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return fi
}

// snapshot returns the regular files of a directory with their content.
func snapshot(t testing.TB, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := make(map[string]string)
	for _, e := range entries {
		if e.Type().IsRegular() {
			b, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			m[e.Name()] = string(b)
		}
	}
	return m
}

// K3: a virtual machine counts if somebody has declared that it is not cloned.
func TestSeedFileNotCloned(t *testing.T) {
	n := newSeedNode(t.TempDir())
	n.virtual = true
	n.stored(t)
	s := newSeedFile(SeedFileConfig{Path: n.path(), Credit: 256, NotCloned: true}, n.system())
	wantCredit(t, "declared", s, "")
}

// K4: a file that was used and comes back, into its old place and inode.
func TestSeedFileComesBack(t *testing.T) {
	n := newSeedNode(t.TempDir())
	n.inode = 1
	n.stored(t)
	backup, err := os.ReadFile(n.path())
	if err != nil {
		t.Fatal(err)
	}
	for _, why := range []string{"", "serial", "serial"} {
		if err := os.WriteFile(n.path(), backup, 0o600); err != nil {
			t.Fatal(err)
		}
		wantCredit(t, "from the backup", n.source(), why)
		n.boot++
	}
	// Neither if one that is older still, from another node, was mixed in meanwhile.
	n.stored(t)
	if backup, err = os.ReadFile(n.path()); err != nil {
		t.Fatal(err)
	}
	wantCredit(t, "written later", n.source(), "")
	n.boot++
	foreign := &seedImage{state: seedFresh, serial: 1}
	for _, why := range []string{"node", "serial"} {
		b := foreign.encode()
		if why == "serial" {
			b = backup
		}
		if err := os.WriteFile(n.path(), b, 0o600); err != nil {
			t.Fatal(err)
		}
		wantCredit(t, "after one of another node", n.source(), why)
		n.boot++
	}
	// The next one written is newer than all.
	n.stored(t)
	wantCredit(t, "written later", n.source(), "")
}

// What is not a seed file is an error, is not written to, and is replaced by Save only
// if it was one.
func TestSeedFileUnusable(t *testing.T) {
	good := func() []byte {
		s := seedImage{state: seedFresh, serial: 1}
		return s.encode()
	}
	reseal := func(b []byte) []byte {
		sum := seedDigest("seed file checksum", b[:seedSize-seedTagSize])
		copy(b[seedSize-seedTagSize:], sum[:])
		return b
	}
	content := func(b []byte) func(path string) error {
		return func(path string) error { return os.WriteFile(path, b, 0o600) }
	}
	with := func(i int, v byte) func(path string) error {
		b := good()
		b[i] = v
		return content(reseal(b))
	}
	// Methods of os.Root do not open files of 2 GiB or more on 32-bit Linux, so that
	// such a one is not seen to be damaged.
	stopsHuge := ""
	if bits.UintSize == 32 {
		stopsHuge = "format"
	}
	for _, tt := range []struct {
		what, why string
		make      func(path string) error
		save      string // the check that stops Save, or ""
	}{
		{"empty", "format", content(nil), ""},
		{"one byte", "format", content([]byte("l")), "format"},
		{"cut off", "format", content(good()[:seedSize-1]), ""},
		{"too long", "format", content(append(good(), 0)), ""},
		{"1 TiB", "format", func(path string) error {
			if err := os.WriteFile(path, good(), 0o600); err != nil {
				return err
			}
			return os.Truncate(path, 1<<40)
		}, stopsHuge},
		{"used", "state", content((&seedImage{state: seedUsed, serial: 1}).encode()), ""},
		{"other version", "format", with(15, 2), ""},
		{"no such state", "format", with(16, 3), ""},
		{"reserved", "format", with(23, 1), ""},
		{"serial 0", "format", with(31, 0), ""},
		{"serial negative", "format", with(24, 0x80), ""},
		{"wrong checksum", "format", content(append(good()[:seedSize-1], ^good()[seedSize-1])), ""},
		{"somebody's file", "format", content([]byte("something dear to somebody")), "format"},
		{"somebody's file of that length", "format", content(bytes.Repeat([]byte{'x'}, seedSize)), "format"},
		{"the seed of another program", "format", content(bytes.Repeat([]byte{0xa5}, 512)), "format"},
		{"directory", "file", func(path string) error { return os.Mkdir(path, 0o700) }, "file"},
		{"link", "file", func(path string) error {
			if err := os.WriteFile(path+"2", good(), 0o600); err != nil {
				return err
			}
			return os.Symlink(filepath.Base(path)+"2", path)
		}, "file"},
		{"link to nowhere", "file", func(path string) error { return os.Symlink("nowhere", path) }, "file"},
		{"link to itself", "file", func(path string) error { return os.Symlink("seed", path) }, "file"},
		{"link out of the directory", "file", func(path string) error { return os.Symlink("/dev/zero", path) }, "file"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			n := newSeedNode(t.TempDir())
			if err := tt.make(n.path()); err != nil {
				t.Skip(err)
			}
			var was map[string]string
			if tt.what != "1 TiB" {
				was = snapshot(t, n.dir)
			}
			wantUnavailable(t, tt.what, n.source(), tt.why)
			s := n.source()
			if was != nil && !maps.Equal(snapshot(t, n.dir), was) {
				t.Error("it was written to")
			}
			err := s.Save(t.Context(), &seedReader{})
			if tt.save == "" {
				if err != nil {
					t.Errorf("Save: %v", err)
				}
				// It is for the next process, and the next boot.
				wantUnavailable(t, "after Save", s, tt.why)
				n.boot++
				wantCredit(t, "after Save", n.source(), "")
				return
			}
			if !errors.Is(err, ErrUnavailable) || check(err) != tt.save {
				t.Errorf("Save: %v, want %q", err, tt.save)
			}
			if was != nil && !maps.Equal(snapshot(t, n.dir), was) {
				t.Error("Save has written")
			}
		})
	}
}

// K5, K7, K8: each step can fail. Before the file is certain to be used up that costs
// the credit, afterwards it does not; and no value is credited a second time.
func TestSeedFileFaults(t *testing.T) {
	consume := []string{"overwrite", "sync overwritten", "rename used", "sync rename used"}
	replace := []string{"remove", "create", "write", "sync", "close", "rename", "sync rename"}
	errs := []error{syscall.ENOSPC, syscall.EROFS, syscall.EIO, syscall.EACCES, syscall.EDQUOT}
	for i, step := range slices.Concat(consume, replace) {
		for _, errno := range errs {
			what := fmt.Sprintf("%s: %v", step, errno)
			n := newSeedNode(t.TempDir())
			n.unsynced, n.inode = true, 1
			n.stored(t)
			value := n.image(t).data
			failed := 0
			n.step = func(name string) error {
				if name == step {
					failed++
					return errno
				}
				return nil
			}
			s := n.source()
			why := ""
			if i < len(consume) {
				why = "write"
			}
			wantCredit(t, what, s, why)
			if why != "" && !errors.Is(s.Uncredited(), errno) {
				t.Errorf("%s: %v", what, s.Uncredited())
			}
			if failed != 1 {
				t.Errorf("%s: tried %d times", what, failed)
			}
			// The disk still has the fault.
			if i >= len(consume) {
				err := s.Save(t.Context(), &seedReader{})
				if !errors.Is(err, errno) || check(err) != "write" {
					t.Errorf("%s: Save: %v", what, err)
				}
			}
			if _, err := os.Lstat(n.path() + ".new"); err == nil && step != "rename" {
				t.Errorf("%s: the new file is left", what)
			}
			// It is repaired.
			n.step = nil
			n.boot++
			now := n.image(t)
			credited := now != nil && now.data == value
			if credited && why == "" {
				t.Errorf("%s: the file that was credited is still there", what)
			}
			if now != nil && now.state == seedFresh {
				want := ""
				if now.data != value && i < len(consume) {
					t.Errorf("%s: a fresh file from nowhere", what)
				}
				wantCredit(t, what+", later", n.source(), want)
			}
			n.stored(t)
			wantCredit(t, what+", at last", n.source(), "")
		}
	}
}

// E1: what the reader given to Save can do. Without 64 good bytes nothing is written.
func TestSeedFileSaveReaders(t *testing.T) {
	broken := errors.New("broken")
	good := func() io.Reader { return &seedReader{} }
	for _, tt := range []struct {
		what string
		r    io.Reader
		ok   bool
		err  error
	}{
		{"good", good(), true, nil},
		{"one byte at a time", iotest.OneByteReader(good()), true, nil},
		{"data with the error", iotest.DataErrReader(io.LimitReader(good(), 64)), true, nil},
		{"too short", io.LimitReader(good(), 63), false, io.ErrUnexpectedEOF},
		{"empty", iotest.ErrReader(io.EOF), false, io.EOF},
		{"broken", iotest.ErrReader(broken), false, broken},
		{"breaks", io.MultiReader(io.LimitReader(good(), 32), iotest.ErrReader(broken)), false, broken},
		{"zeros", bytes.NewReader(make([]byte, 64)), false, nil},
		{"ones", bytes.NewReader(bytes.Repeat([]byte{0xff}, 64)), false, nil},
		{"a block again", bytes.NewReader(bytes.Repeat([]byte("0123456789abcdef"), 4)), false, nil},
		{"the last block again", bytes.NewReader([]byte("0123456789abcdef" + "123456789abcdef0" + "23456789abcdef01" + "23456789abcdef01")), false, nil},
	} {
		n := newSeedNode(t.TempDir())
		n.stored(t)
		was := snapshot(t, n.dir)
		err := n.source().Save(t.Context(), tt.r)
		if (err == nil) != tt.ok || tt.err != nil && !errors.Is(err, tt.err) {
			t.Errorf("%s: %v", tt.what, err)
		}
		if tt.ok == maps.Equal(snapshot(t, n.dir), was) {
			t.Errorf("%s: written: %v", tt.what, !tt.ok)
		}
	}
}

// A reader may keep what it was given; it finds nothing there.
func TestSeedFileSaveWipes(t *testing.T) {
	n := newSeedNode(t.TempDir())
	var kept []byte
	for _, err := range []error{nil, io.ErrNoProgress} {
		r := readerFunc(func(p []byte) (int, error) {
			kept = p
			(&seedReader{}).Read(p)
			return len(p), err
		})
		if got := n.source().Save(t.Context(), r); err == nil && got != nil {
			t.Error(got)
		}
		if len(kept) == 0 || !bytes.Equal(kept, make([]byte, len(kept))) {
			t.Errorf("left in the buffer: %x", kept)
		}
	}
}

// E1: a reader that panics or ends the goroutine does so to the caller of Save, who gave it.
// What it had written is wiped, the file is as it was, and no lock is left.
func TestSeedFileSaveHostileReader(t *testing.T) {
	for what, fault := range map[string]func(){"panic": func() { panic("ouch") }, "Goexit": runtime.Goexit} {
		n := newSeedNode(t.TempDir())
		n.stored(t)
		was := snapshot(t, n.dir)
		s := n.source()
		var kept []byte
		calls := 0
		hostile := readerFunc(func(p []byte) (int, error) {
			if calls++; calls == 1 {
				kept = p[:20]
				return (&seedReader{}).Read(p[:20])
			}
			fault()
			return 0, nil
		})
		var panicked any
		returned := false
		var wg sync.WaitGroup
		wg.Go(func() {
			defer func() { panicked = recover() }()
			s.Save(t.Context(), hostile)
			returned = true
		})
		wg.Wait()
		if returned || (panicked != nil) != (what == "panic") {
			t.Errorf("%s: returned: %v, panicked: %v", what, returned, panicked)
		}
		if calls != 2 || !bytes.Equal(kept, make([]byte, 20)) {
			t.Errorf("%s: %d calls; left in the buffer: %x", what, calls, kept)
		}
		if !maps.Equal(snapshot(t, n.dir), was) {
			t.Errorf("%s: the file has changed", what)
		}
		if err := s.Save(t.Context(), &seedReader{}); err != nil {
			t.Errorf("%s: a sound Save after it: %v", what, err)
		}
	}
}

// A contextual is a generator that is not seeded yet, as lrng.RNG.
type contextual struct{ io.Reader }

func (contextual) ReadContext(ctx context.Context, p []byte) (int, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

// Save does not wait for a generator longer than it may, and whatever ends it before the
// file is written leaves no data behind.
func TestSeedFileSaveContext(t *testing.T) {
	n := newSeedNode(t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, cancel)
	if err := n.source().Save(ctx, contextual{&seedReader{}}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if len(snapshot(t, n.dir)) != 0 {
		t.Error("something was written")
	}

	s := n.source()
	if err := s.disk.Lock(t.Context()); err != nil { // another call has it
		t.Fatal(err)
	}
	secret := streamBytes(0, 64)
	err := s.onDisk(ctx, secret, func() error { t.Error("called"); return nil })
	if !errors.Is(err, context.Canceled) || !bytes.Equal(secret, make([]byte, 64)) {
		t.Errorf("%v; left: %x", err, secret)
	}
}

// K7: a file at once, one each hour, and a last one at the end. Nothing runs after that.
func TestSeedFileKeep(t *testing.T) {
	for _, interval := range []time.Duration{0, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			n := newSeedNode(t.TempDir())
			s := n.source()
			every := interval
			if every == 0 {
				every = time.Hour
			}
			serial := func(want uint64) {
				t.Helper()
				time.Sleep(time.Second)
				synctest.Wait() // also for the write
				if f := n.image(t); f == nil || f.serial != want || f.state != seedFresh {
					t.Fatalf("%+v; want serial number %d", f, want)
				}
			}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			r := &seedReader{}
			go func() { ended <- s.Keep(ctx, r, interval) }()
			serial(1)
			for i := range uint64(3) {
				time.Sleep(every - 3*time.Second)
				serial(1 + i) // a second too early
				time.Sleep(time.Second)
				serial(2 + i)
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			serial(5)
			if r.n != 5*8 {
				t.Errorf("%d bytes of the generator were used", 8*r.n)
			}
		})
	}
}

// Keep goes on where a file cannot be written now, ends where there will never be one, and
// when its time is over it waits for nobody, neither a lock nor a generator.
func TestSeedFileKeepTroubles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done, stop := context.WithCancel(t.Context())
		stop()
		for _, s := range []*SeedFile{NewSeedFile(SeedFileConfig{}), NewSeedFile(SeedFileConfig{Path: "relative"})} {
			for _, ctx := range []context.Context{t.Context(), done} {
				if err := s.Keep(ctx, &seedReader{}, 0); err == nil || err != s.Validate() && check(err) != "configuration" {
					t.Error(err)
				}
			}
		}

		n := newSeedNode(t.TempDir())
		var full atomic.Bool
		full.Store(true)
		n.step = func(string) error {
			if full.Load() {
				return syscall.ENOSPC
			}
			return nil
		}
		s := n.source()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Keep(ctx, &seedReader{}, 0) }()
		time.Sleep(90 * time.Minute)
		if n.image(t) != nil {
			t.Error("written although there is no room")
		}
		full.Store(false)
		time.Sleep(time.Hour)
		synctest.Wait()
		if n.image(t) == nil {
			t.Error("not written when it could be")
		}
		s.Clear()
		time.Sleep(time.Hour)
		if err := <-ended; !errors.Is(err, ErrUnavailable) {
			t.Errorf("after Clear: %v", err)
		}
		stop()

		// Already over: one Save, with a time of its own. It uses what is there first.
		s = n.source()
		if err := s.Keep(done, &seedReader{}, 0); err != nil || n.image(t).serial != 3 {
			t.Errorf("%v, %+v", err, n.image(t))
		}
		start := time.Now()
		if err := s.Keep(done, contextual{}, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if took := time.Since(start); took != seedLast {
			t.Errorf("the last Save took %v", took)
		}
	})
}

// K12, K15: where a seed is not to be written, none is.
func TestSeedFileSaveRefuses(t *testing.T) {
	for _, tt := range []struct {
		what, why string
		change    func(n *seedNode, parent string) error
	}{
		{"read-only", "medium", func(n *seedNode, _ string) error { n.medium.ReadOnly = true; return nil }},
		{"git", "git", func(_ *seedNode, parent string) error { return os.Mkdir(filepath.Join(parent, ".git"), 0o700) }},
		{"git, the directory itself", "git", func(n *seedNode, _ string) error { return os.Mkdir(filepath.Join(n.dir, ".git"), 0o700) }},
		{"git, by a link", "git", func(n *seedNode, parent string) error {
			if err := os.MkdirAll(filepath.Join(parent, "repository", ".git"), 0o700); err != nil {
				return err
			}
			if err := os.Mkdir(filepath.Join(parent, "repository", "data"), 0o700); err != nil {
				return err
			}
			n.dir = filepath.Join(parent, "link")
			return os.Symlink(filepath.Join("repository", "data"), n.dir)
		}},
		{"image", "image", func(_ *seedNode, parent string) error {
			if err := os.Mkdir(filepath.Join(parent, "etc"), 0o700); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(parent, "etc", "machine-id"), []byte("uninitialized\n"), 0o600)
		}},
		{"not a directory", "directory", func(n *seedNode, parent string) error {
			n.dir = filepath.Join(parent, "file")
			return os.WriteFile(n.dir, nil, 0o600)
		}},
	} {
		parent := t.TempDir()
		n := newSeedNode(filepath.Join(parent, "var"))
		n.step = func(step string) error {
			t.Errorf("%s: it is tried to %s", tt.what, step)
			return nil
		}
		if err := os.Mkdir(n.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := tt.change(n, parent); err != nil {
			t.Fatal(err)
		}
		if err := n.source().Save(t.Context(), &seedReader{}); !errors.Is(err, ErrUnavailable) || check(err) != tt.why {
			t.Errorf("%s: %v, want %q", tt.what, err, tt.why)
		}
	}

	n := newSeedNode(t.TempDir())
	n.stored(t)
	was := snapshot(t, n.dir)
	n.facts = func(fi fs.FileInfo) (safefile.Facts, bool) {
		facts, ok := safefile.FactsOf(fi)
		facts.Owner++
		return facts, ok
	}
	if err := n.source().Save(t.Context(), &seedReader{}); !errors.Is(err, ErrUnavailable) || check(err) != "owner" {
		t.Errorf("the file of another user: %v", err)
	}
	if !maps.Equal(snapshot(t, n.dir), was) {
		t.Error("the file of another user was replaced")
	}
}

// Whatever bears the name of the new file is in nobody's way for long.
func TestSeedFileLeftovers(t *testing.T) {
	for what, make := range map[string]func(path string) error{
		"a part":         func(path string) error { return os.WriteFile(path, []byte("lrng"), 0o644) },
		"a link":         func(path string) error { return os.Symlink("victim", path) },
		"a directory":    func(path string) error { return os.Mkdir(path, 0o700) },
		"used, a link":   func(path string) error { return os.Symlink("victim", strings.TrimSuffix(path, ".new")+".used") },
		"nothing at all": func(string) error { return nil },
	} {
		n := newSeedNode(t.TempDir())
		n.stored(t)
		victim := filepath.Join(n.dir, "victim")
		if err := os.WriteFile(victim, []byte("victim"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := make(n.path() + ".new"); err != nil {
			t.Fatal(err)
		}
		if err := n.source().Save(t.Context(), &seedReader{}); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if b, err := os.ReadFile(victim); err != nil || string(b) != "victim" {
			t.Errorf("%s: the victim: %q, %v", what, b, err)
		}
		if fi, err := os.Lstat(n.path()); err != nil || !fi.Mode().IsRegular() || n.image(t).state != seedFresh {
			t.Errorf("%s: %v, %v", what, fi, err)
		}
	}
}

// A second process waits for the lock, for a while.
func TestSeedFileLock(t *testing.T) {
	n := newSeedNode(t.TempDir())
	n.stored(t)
	tries := 0
	n.lock = func(*os.File) (bool, bool, error) {
		tries++
		return tries == 4, true, nil
	}
	wantCredit(t, "locked by another process for a moment", n.source(), "")
	n.boot++
	n.lock = nil
	n.stored(t)
	n.lock, n.patience = func(*os.File) (bool, bool, error) { return false, true, nil }, 50*time.Millisecond
	was := snapshot(t, n.dir)
	s := n.source()
	wantUnavailable(t, "locked by another process", s, "lock")
	if !maps.Equal(snapshot(t, n.dir), was) {
		t.Error("written without the lock")
	}
	if err := s.Save(t.Context(), &seedReader{}); !errors.Is(err, ErrUnavailable) || check(err) != "lock" {
		t.Errorf("Save: %v", err)
	}
	s.sys.lock = safefile.TryLock
	if p, credit, err := deliver(t, s); credit != 256 || err != nil || bytes.Equal(p, make([]byte, 32)) {
		t.Errorf("when it is free again: credit %d, %v", credit, err)
	}
}

// Of many sources on one file, in as many processes or in one, one gets the credit.
func TestSeedFileOnlyOnce(t *testing.T) {
	n := newSeedNode(t.TempDir())
	n.stored(t)
	n.patience, n.unsynced = time.Minute, true
	sources := make([]*SeedFile, 8)
	for i := range sources {
		sources[i] = n.source()
	}
	var mu sync.Mutex
	total, seen := 0, make(map[string]bool)
	var wg sync.WaitGroup
	for _, s := range sources {
		for range 3 {
			wg.Go(func() {
				p, credit, err := deliver(t, s)
				s.Info()
				s.Available(256)
				s.Uncredited()
				s.Validate()
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				total += credit
				seen[string(p)] = true
			})
		}
		wg.Go(func() {
			if err := s.Save(t.Context(), &seedReader{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if total != 256 || len(seen) != 24 {
		t.Errorf("credited %d bits; %d of 24 deliveries are different", total, len(seen))
	}
	n.boot++
	wantCredit(t, "the last one saved", n.source(), "")
}

// E1: a disk that hangs. The call ends with ctx; the file is read once, and what was
// read is for a later call.
func TestSeedFileHangs(t *testing.T) {
	before := runtime.NumGoroutine()
	n := newSeedNode(t.TempDir())
	n.stored(t)
	hangs, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	n.step = func(step string) error {
		if step == "sync overwritten" {
			once.Do(func() { close(hangs) })
			<-release
		}
		return nil
	}
	s := n.source()
	for i := range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		p := make([]byte, 32)
		if credit, err := s.GetEntropy(ctx, p, 256); credit != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("call %d: credit %d, %v", i, credit, err)
		}
		if err := s.Save(ctx, &seedReader{}); !errors.Is(err, context.Canceled) {
			t.Errorf("Save %d: %v", i, err)
		}
		if s.Available(256) != 0 || s.Uncredited() != nil {
			t.Error("something is available")
		}
	}
	<-hangs
	waitForGoroutines(t, before+1) // those of the timers need a moment to end
	close(release)
	if _, credit, err := deliver(t, s); credit != 256 || err != nil {
		t.Errorf("afterwards: credit %d, %v", credit, err)
	}
	waitForGoroutines(t, before)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.source().GetEntropy(ctx, make([]byte, 1), 8); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	p := bytes.Repeat([]byte{1}, 1000)
	credit, err := s.GetEntropy(&impatient{t.Context(), 5}, p, 256)
	if credit != 0 || !errors.Is(err, context.Canceled) || !bytes.Equal(p[:64], make([]byte, 64)) {
		t.Errorf("cancelled in a long request: credit %d, %v, %x", credit, err, p[:64])
	}
}

// Z1: the state goes on with each call, is gone after Clear, and is never printed.
func TestSeedFileClear(t *testing.T) {
	n := newSeedNode(t.TempDir())
	n.stored(t)
	s := n.source()
	deliver(t, s)
	state := s.chain
	deliver(t, s)
	if s.chain == state || state == [sha512.Size]byte{} {
		t.Error("the state stands still")
	}
	// What was handed out cannot be had from the state that is left.
	if next := digest("seed file chain", state[:]); s.chain != next {
		t.Error("the state is not a digest of the one before")
	}
	text := fmt.Sprintf("%v %+v %#v %s", s, s, s, s)
	if text != "es.SeedFile es.SeedFile es.SeedFile es.SeedFile" {
		t.Error(text)
	}
	was := snapshot(t, n.dir)
	for range 2 {
		s.Clear()
		if s.chain != [sha512.Size]byte{} || s.Available(256) != 0 {
			t.Error("not wiped")
		}
		if _, _, err := deliver(t, s); !errors.Is(err, ErrUnavailable) {
			t.Errorf("GetEntropy: %v", err)
		}
		if err := s.Save(t.Context(), &seedReader{}); !errors.Is(err, ErrUnavailable) {
			t.Errorf("Save: %v", err)
		}
	}
	if !maps.Equal(snapshot(t, n.dir), was) {
		t.Error("Clear has changed the file")
	}
	// While it is read.
	n.boot++
	n.stored(t)
	cleared := n.system()
	var other *SeedFile
	cleared.step = func(string) error { other.Clear(); return nil }
	other = newSeedFile(SeedFileConfig{Path: n.path(), Credit: 256}, cleared)
	if _, _, err := deliver(t, other); !errors.Is(err, ErrUnavailable) || other.chain != [sha512.Size]byte{} {
		t.Errorf("cleared while it reads: %v, %x", err, other.chain)
	}
}

// D4: nothing is delivered or written when the self-test of the hash fails.
func TestSeedFileSelfTest(t *testing.T) {
	n := newSeedNode(t.TempDir())
	n.stored(t)
	was := snapshot(t, n.dir)
	s := n.source()
	s.test = func() error { return selftest.ErrFailed }
	if _, _, err := deliver(t, s); !errors.Is(err, selftest.ErrFailed) {
		t.Errorf("GetEntropy: %v", err)
	}
	if err := s.Save(t.Context(), &seedReader{}); !errors.Is(err, selftest.ErrFailed) {
		t.Errorf("Save: %v", err)
	}
	if !maps.Equal(snapshot(t, n.dir), was) {
		t.Error("the file has changed")
	}
}

// An independent encoding of the format, and of what binds a file to its node.
func TestSeedFileFormat(t *testing.T) {
	hash := func(parts ...string) string {
		h := sha512.New()
		for _, p := range parts {
			h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
			io.WriteString(h, p)
		}
		return string(h.Sum(nil))
	}
	n := newSeedNode(t.TempDir())
	n.inode = 4711
	n.stored(t)
	got, err := os.ReadFile(n.path())
	if err != nil {
		t.Fatal(err)
	}
	var fresh [64]byte
	(&seedReader{1 << 32}).Read(fresh[:])
	chain := hash("lrng seed file save", string(make([]byte, 64)))
	boot := "00000001-cb9c-4b8c-9c0b-0123456789ab"
	data := hash("lrng seed file data", chain, string(make([]byte, 64)), string(fresh[:]), string(make([]byte, 64)), boot, "1", "1", "1")
	home := hash("lrng seed file home", n.id, n.host, n.dmi+"\x00"+n.mac, "\x00\x00")
	want := "lrng seed file\x00\x01" + "\x02\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x01" +
		hash("lrng seed file boot", data, boot)[:32] + hash("lrng seed file node", data, home, "4711")[:32] + data
	want += hash("lrng seed file checksum", want)[:32]
	if string(got) != want {
		t.Errorf("written:\n%swant:\n%s", hex.Dump(got), hex.Dump([]byte(want)))
	}

	// Each bit counts.
	var s seedImage
	if err := s.decode(got); err != nil {
		t.Fatal(err)
	}
	for i := range 8 * len(got) {
		got[i/8] ^= 1 << (i % 8)
		if s.decode(got) == nil || s != (seedImage{}) {
			t.Errorf("bit %d changed: decoded, or not cleared", i)
		}
		got[i/8] ^= 1 << (i % 8)
	}
}

// FuzzSeedFile decodes what it is given, and again with a good checksum: what is
// accepted is the one encoding of what it says.
func FuzzSeedFile(f *testing.F) {
	good := (&seedImage{state: seedFresh, serial: 1<<63 - 1, data: [seedDataSize]byte{1, 2, 3}}).encode()
	f.Add(good)
	f.Add((&seedImage{state: seedUsed, serial: 1}).encode())
	f.Add(good[:seedSize-1])
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		decode := func(b []byte) {
			s := seedImage{data: [seedDataSize]byte{9}}
			if err := s.decode(b); err != nil {
				if s != (seedImage{}) {
					t.Fatalf("%v, and it was not cleared", err)
				}
				return
			}
			if !bytes.Equal(s.encode(), b) {
				t.Fatalf("decoded as %x", s.encode())
			}
			if s.state > seedFresh || s.serial == 0 || s.serial > 1<<63-1 || s.state == seedUsed && s != (seedImage{serial: s.serial}) {
				t.Fatalf("impossible: %+v", s)
			}
		}
		decode(b)
		if len(b) >= seedSize {
			b = bytes.Clone(b[:seedSize])
			sum := seedDigest("seed file checksum", b[:seedSize-seedTagSize])
			copy(b[seedSize-seedTagSize:], sum[:])
			decode(b)
		}
	})
}

func BenchmarkSeedFile(b *testing.B) {
	n := newSeedNode(b.TempDir())
	b.Run("op=Save", func(b *testing.B) {
		s, r := n.source(), &seedReader{}
		for b.Loop() {
			if err := s.Save(b.Context(), r); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("op=first", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := deliver(b, n.source()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("op=later", func(b *testing.B) {
		s := n.source()
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := deliver(b, s); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("op=missing", func(b *testing.B) {
		n := newSeedNode(b.TempDir())
		s := n.source()
		for b.Loop() {
			if _, _, err := deliver(b, s); err == nil {
				b.Fatal("found")
			}
		}
	})
}
