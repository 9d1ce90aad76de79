package safefile

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// K3: the file systems that must never count as persistent, by their numbers in
// linux/magic.h, and some that must.
func TestPersistent(t *testing.T) {
	for name, magic := range map[string]uint32{
		"tmpfs": 0x01021994, "ramfs": 0x858458f6, "overlay": 0x794c7630, "squashfs": 0x73717368, "erofs": 0xe0f5e1e2,
		"iso9660": 0x9660, "nfs": 0x6969, "cifs": 0xff534d42, "smb2": 0xfe534d42, "9p": 0x01021997, "fuse": 0x65735546,
		"ceph": 0x00c36400, "afs": 0x5346414f, "cramfs": 0x28cd3d45, "romfs": 0x7275, "proc": 0x9fa0, "unknown": 0,
	} {
		if persistent[magic] {
			t.Errorf("%s counts as persistent", name)
		}
	}
	for name, magic := range map[string]uint32{"ext4": 0xef53, "xfs": 0x58465342, "btrfs": 0x9123683e} {
		if !persistent[magic] {
			t.Errorf("%s does not count as persistent", name)
		}
	}
}

func open(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestMediumOf(t *testing.T) {
	// proc(5) is nowhere persistent, sysfs(5) neither.
	for _, dir := range []string{"/proc", "/sys", "/dev/shm"} {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		if m, err := MediumOf(open(t, dir)); err != nil || m.Persistent {
			t.Errorf("%s: %+v, %v", dir, m, err)
		}
	}
	f := open(t, t.TempDir())
	if m, err := MediumOf(f); err != nil || m.ReadOnly {
		t.Errorf("a directory that can be written: %+v, %v", m, err)
	}
	f.Close()
	if _, err := MediumOf(f); err == nil && runtime.GOOS == "linux" {
		t.Error("a closed file: no error")
	}
}

func TestFactsOf(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	facts := func(name string) (Facts, bool) {
		fi, err := os.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		return FactsOf(fi)
	}
	for _, name := range []string{a, b} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	one, ok := facts(a)
	if !ok {
		t.Skipf("not known on %s", runtime.GOOS)
	}
	two, _ := facts(b)
	if one.Owner != uint32(os.Geteuid()) || one.Links != 1 || one.Inode == 0 || one.Inode == two.Inode {
		t.Errorf("two new files of user %d: %+v, %+v", os.Geteuid(), one, two)
	}
	if err := os.Link(a, filepath.Join(dir, "c")); err != nil {
		t.Fatal(err)
	}
	if linked, _ := facts(a); linked.Links != 2 || linked.Inode != one.Inode {
		t.Errorf("with a second name: %+v, was %+v", linked, one)
	}
}

func TestTryLock(t *testing.T) {
	dir := t.TempDir()
	f, g := open(t, dir), open(t, dir)
	locked, supported, err := TryLock(f)
	if !supported {
		t.Skipf("no locks on %s", runtime.GOOS)
	}
	if !locked || err != nil {
		t.Fatalf("first: %v, %v", locked, err)
	}
	if locked, _, err := TryLock(g); locked || err != nil {
		t.Errorf("second: %v, %v", locked, err)
	}
	f.Close()
	if locked, _, err := TryLock(g); !locked || err != nil {
		t.Errorf("after Close: %v, %v", locked, err)
	}
	if _, _, err := TryLock(f); err == nil {
		t.Error("a closed file: no error")
	}
}
