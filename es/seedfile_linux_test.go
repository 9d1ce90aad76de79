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
// read-only one, memory, a layer over an image, and one that is full. K3, K5, K6, K15.
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

	// A disk that becomes read-only while the file is being used, as one with errors does.
	// A mount with files open for writing cannot be remounted, so it comes after that.
	t.Run("read-only on the way", func(t *testing.T) {
		n := newSeedNode(dir(root, "half"))
		mount("ram", n.dir, "tmpfs", 0, "size=64k,mode=0700")
		n.stored(t)
		value := n.image(t).data
		n.step = func(step string) error {
			if step == "sync rename used" {
				mount("", n.dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "mode=0700")
			}
			return nil
		}
		s := n.source() // as if it were a disk
		wantCredit(t, "read-only on the way", s, "")
		if err := s.Save(t.Context(), &seedReader{}); !errors.Is(err, syscall.EROFS) || check(err) != "write" {
			t.Errorf("Save: %v", err)
		}
		for name, content := range snapshot(t, n.dir) {
			if strings.Contains(content, string(value[:8])) {
				t.Errorf("the data are still in %s", name)
			}
		}
		n.boot++
		wantUnavailable(t, "the next boot", n.source(), "missing")
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

// K12: the snippets of docs/seedfiles.md name all files, are correct for the shell, and
// remove what they are to remove, and nothing else.
func TestSeedFileSnippets(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "docs", "seedfiles.md"))
	if err != nil {
		t.Fatal(err)
	}
	snippets := make(map[string][]string) // by language
	for _, part := range strings.Split(string(doc), "\n```")[1:] {
		if lang, text, ok := strings.Cut(part, "\n"); ok && lang != "" {
			snippets[lang] = append(snippets[lang], text)
		}
	}
	if len(snippets["sh"]) != 3 || len(snippets["gitignore"]) != 1 || len(snippets["tmpfiles"]) != 1 {
		t.Fatalf("%d snippets for the shell, %v", len(snippets["sh"]), snippets)
	}
	names := []string{"var/lib/example/seed", "var/lib/example/seed" + newSuffix, "var/lib/example/seed" + usedSuffix}
	// stock returns a directory with these files and another one.
	stock := func() string {
		dir := t.TempDir()
		for _, name := range append(names, "var/lib/example/config") {
			if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	left := func(dir string) (n int) {
		if _, err := os.Stat(filepath.Join(dir, "var/lib/example/config")); err != nil {
			t.Error(err)
		}
		for _, name := range names {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				n++
			}
		}
		return n
	}
	for i, text := range snippets["sh"] {
		script := filepath.Join(t.TempDir(), "script")
		if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("sh", "-n", script).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s\n%s", err, out, text)
		}
		if i == 0 {
			continue // functions for dracut
		}
		// A stat that tells what file system that is, as far as the script asks.
		bin, dir := t.TempDir(), stock()
		for _, tt := range []struct {
			fs   string
			want int
		}{{"ext2/ext3", 3 * (2 - i)}, {"overlayfs", 0}} {
			if err := os.WriteFile(filepath.Join(bin, "stat"), []byte("#!/bin/sh\necho "+tt.fs+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("sh", script, dir)
			cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "NEWROOT="+dir)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			if n := left(dir); n != tt.want {
				t.Errorf("script %d: %d files are left on %s, want %d", i, n, tt.fs, tt.want)
			}
		}
	}

	repository := stock()
	if out, err := exec.Command("git", "init", "-q", repository).CombinedOutput(); err != nil {
		t.Skipf("git: %v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(repository, ".gitignore"), []byte(snippets["gitignore"][0]), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("git", "ls-files", "--others", "--exclude-standard")
	cmd.Dir = repository
	if out, err := cmd.Output(); err != nil || string(out) != ".gitignore\nvar/lib/example/config\n" {
		t.Errorf("%v: not ignored:\n%s", err, out)
	}
	if line := "r! /" + names[1]; !strings.Contains(snippets["tmpfiles"][0], line) {
		t.Errorf("tmpfiles.d: no %q", line)
	}
}
