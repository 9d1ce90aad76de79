package es

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lrng-go/lrng/internal/safefile"
)

const mountEnv = "LRNG_TEST_SEEDFILE_MOUNTS"

// File systems as they are on diskless nodes, mounted in a namespace of their own: a
// read-only one, memory, a layer over an image, and one that is full. F3, F5, F6, F15.
func TestSeedFileMounts(t *testing.T) {
	if os.Getenv(mountEnv) != "" {
		seedMounts(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestSeedFileMounts$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), mountEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
		t.Skipf("no mounts without privileges: %v", err)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if strings.Contains(string(out), "--- SKIP") {
		t.Skipf("in the namespace: %s", out)
	}
}

func seedMounts(t *testing.T) {
	mount := func(source, target, fstype string, flags uintptr, data string) {
		t.Helper()
		err := syscall.Mount(source, target, fstype, flags, data)
		switch {
		case errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENODEV):
			t.Skipf("mount of %s: %v", fstype, err)
		case err != nil:
			t.Fatalf("mount of %s: %v", fstype, err)
		}
		if flags&syscall.MS_REMOUNT != 0 {
			return
		}
		t.Cleanup(func() {
			if err := syscall.Unmount(target, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	}
	dir := func(names ...string) string {
		t.Helper()
		name := filepath.Join(names...)
		if err := os.MkdirAll(name, 0o700); err != nil {
			t.Fatal(err)
		}
		return name
	}
	// The medium is what it really is.
	source := func(n *seedNode) *SeedFile {
		sys := n.system()
		sys.medium = safefile.MediumOf
		return newSeedFile(SeedFileConfig{Path: n.path(), Credit: 256}, sys)
	}
	root := t.TempDir()

	t.Run("disk", func(t *testing.T) {
		n := newSeedNode(dir(root, "disk"))
		n.stored(t)
		f, err := os.Open(n.dir)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		why := "medium"
		if m, err := safefile.MediumOf(f); err != nil || m.Persistent {
			why = ""
		}
		wantCredit(t, "disk", source(n), why)
	})

	t.Run("read-only", func(t *testing.T) {
		n := newSeedNode(dir(root, "ro"))
		n.stored(t)
		mount(n.dir, n.dir, "", syscall.MS_BIND, "")
		mount("", n.dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
		was := snapshot(t, n.dir)
		n.step = func(step string) error {
			t.Errorf("it is tried to %s", step)
			return nil
		}
		seen := make(map[string]bool)
		for range 3 {
			s := source(n)
			seen[string(wantCredit(t, "read-only", s, "medium"))] = true
			if err := s.Save(t.Context(), &seedReader{}); !errors.Is(err, ErrUnavailable) || check(err) != "medium" {
				t.Errorf("Save: %v", err)
			}
			n.boot++
		}
		if len(seen) != 3 {
			t.Error("the same data in two boots")
		}
		if !maps.Equal(snapshot(t, n.dir), was) {
			t.Error("the file has changed")
		}
	})

	t.Run("memory", func(t *testing.T) {
		golden := newSeedNode(dir(root, "golden"))
		golden.stored(t)
		image := snapshot(t, golden.dir)
		n := newSeedNode(dir(root, "ram"))
		n.boot = 10
		seen := make(map[string]bool)
		for boot := range 2 {
			mount("ram", n.dir, "tmpfs", 0, "size=64k,mode=0700")
			copyFiles(t, n.dir, image)
			seen[string(wantCredit(t, fmt.Sprint("boot ", boot), source(n), "medium"))] = true
			// Whatever it saves is gone.
			if err := source(n).Save(t.Context(), &seedReader{}); err != nil {
				t.Error(err)
			}
			n.boot++
			wantCredit(t, "as if the machine had been started", source(n), "medium")
			n.boot++
		}
		if len(seen) != 2 {
			t.Error("the same data in two boots")
		}
	})

	t.Run("overlay", func(t *testing.T) {
		golden := newSeedNode(dir(root, "lower"))
		golden.stored(t)
		was := snapshot(t, golden.dir)
		n := newSeedNode(dir(root, "overlay"))
		n.boot = 10
		upper := dir(root, "upper")
		for boot := range 2 {
			mount("ram", upper, "tmpfs", 0, "size=256k,mode=0700")
			dir(upper, "u")
			mount("overlay", n.dir, "overlay", 0, fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", golden.dir, dir(upper, "u"), dir(upper, "w")))
			if n.image(t).state != seedFresh {
				t.Fatal("the file of the image is not there")
			}
			// It is used up and replaced, so it seems: finding 9.
			wantCredit(t, fmt.Sprint("boot ", boot), source(n), "medium")
			if n.image(t).state != seedDerived {
				t.Error("the file was not replaced")
			}
			n.boot++
		}
		if !maps.Equal(snapshot(t, golden.dir), was) {
			t.Error("the image has changed")
		}
	})

	t.Run("full", func(t *testing.T) {
		n := newSeedNode(dir(root, "full"))
		mount("ram", n.dir, "tmpfs", 0, "size=16k,mode=0700")
		n.stored(t)
		value := n.image(t).data
		filler, err := os.Create(filepath.Join(n.dir, "filler"))
		if err != nil {
			t.Fatal(err)
		}
		defer filler.Close()
		for err == nil {
			_, err = filler.Write(make([]byte, 4096))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		// As if it were a disk.
		s := n.source()
		wantCredit(t, "full", s, "")
		if err := s.Save(t.Context(), &seedReader{}); !errors.Is(err, syscall.ENOSPC) || check(err) != "write" {
			t.Errorf("Save: %v", err)
		}
		for name, content := range snapshot(t, n.dir) {
			if strings.Contains(content, string(value[:8])) {
				t.Errorf("the data are still in %s", name)
			}
		}
		n.boot++
		wantUnavailable(t, "the next boot", n.source(), "missing")
		if err := os.Remove(filler.Name()); err != nil {
			t.Fatal(err)
		}
		filler.Close()
		n.stored(t)
		wantCredit(t, "with room again", n.source(), "")
	})
}
