package twins

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What is not a device of the right kind is not opened, whatever is in it: neither a
// file with the content of a page, which somebody could cut off under the mapping, nor
// what waits when it is opened, nor what can be mapped and counts nothing.
func TestNotADevice(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.WriteFile(at("file"), page(), 0o444),
		os.WriteFile(at("empty"), nil, 0o444),
		syscall.Mkfifo(at("fifo"), 0o666),
		os.Symlink("file", at("link")),
		os.Symlink("loop", at("loop")),
		os.Symlink("/dev/zero", at("zeros")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		want error
	}{
		{at("absent"), fs.ErrNotExist},
		{at("file"), errNoDevice},
		{at("empty"), errNoDevice},
		{at("fifo"), errNoDevice},
		{at("link"), errNoDevice},
		{at("loop"), syscall.ELOOP},
		{at("zeros"), errNoDevice},
		{dir, errNoDevice},
		{"/dev/zero", errNoDevice},
		{"/dev/null", errNoDevice},
		{"/dev/full", errNoDevice},
	} {
		for layout, examine := range map[string]func(string, []byte) (*Page, error){"VMClock": VMClock, "SysGenID": SysGenID} {
			if p, err := open(tt.name, examine); p != nil || !errors.Is(err, tt.want) {
				t.Errorf("%s, %s: %v, %v; want %v", tt.name, layout, p, err, tt.want)
			}
		}
	}
}

// A device of the right number that is no page is refused by its driver, or by what is
// in it, or by its permissions: with an error, not with a page, and not with a signal.
func TestOtherDevices(t *testing.T) {
	names, err := filepath.Glob("/dev/*")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, name := range names {
		var st syscall.Stat_t
		if syscall.Stat(name, &st) != nil || checkDevice(name, &st) != nil || name == vmclockDevice {
			continue
		}
		// Opening these does nothing but open them.
		switch filepath.Base(name) {
		case "kvm", "fuse":
		default:
			continue
		}
		tried++
		if p, err := open(name, VMClock); err == nil || p != nil {
			t.Errorf("%s: %v", name, p)
		} else {
			t.Log(err)
		}
	}
	t.Logf("%d devices tried", tried)
}

// A file in the layout of the device, mapped as the device is: what others write to it
// is seen.
func TestMappedFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "page")
	b := page()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	memory, err := syscall.Mmap(int(f.Fd()), 0, len(b), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(memory) })
	p, err := VMClock("clock", memory)
	if err != nil {
		t.Fatal(err)
	}
	mustBe(t, p, 0x0123456789abcdef)
	put64(b, offGeneration, 42)
	put32(b, offSeq, 12)
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
	mustBe(t, p, 42)
	// The page vanishes: what is mapped stays.
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	mustBe(t, p, 42)
}

func TestMajor(t *testing.T) {
	for _, tt := range []struct{ dev, want uint64 }{
		{0x0a7d, 10},             // 10:125
		{0x103, 1},               // 1:3
		{0x12300a45, 10},         // 10:74565: a minor number in two parts
		{1<<44 | 0x0a01, 0x100a}, // 4106:1: more than 12 bits
	} {
		if got := major(tt.dev); got != tt.want {
			t.Errorf("major(%#x) = %d, want %d", tt.dev, got, tt.want)
		}
	}
}
