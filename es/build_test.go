package es

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// K11: no seed gets into a program when it is built. No source embeds a file, and no file
// of the repository is a saved seed. (Examples that are modules of their own may embed files: they are
// programs, and nobody's sources.)
func TestBuildEmbedsNothing(t *testing.T) {
	files := 0
	nested := func(name string) bool {
		for dir := filepath.Dir(name); dir != ".."; dir = filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				return true
			}
		}
		return false
	}
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // a temporary file of somebody else
			return nil
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".git":
			return filepath.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		content, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		files++
		if bytes.HasPrefix(content, []byte(seedMagic)) {
			t.Errorf("%s is a saved seed", name)
		}
		if filepath.Ext(name) == ".go" && bytes.Contains(content, []byte("\n//go:"+"embed ")) && !nested(name) {
			t.Errorf("%s embeds a file", name)
		}
		return nil
	})
	if err != nil || files < 100 {
		t.Errorf("%d files, %v", files, err)
	}
}

// K11: and nothing else that is not in the sources: a program that is built twice is the
// same. The number of threads of the compiler is what makes it compile this module twice.
// What is for tests is not linked to programs.
func TestBuildTwice(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the module twice")
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	const program = "./examples/quickstart"
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(goTool, args...)
		cmd.Dir = ".."
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	build := func(threads int) []byte {
		t.Helper()
		name := filepath.Join(dir, "program")
		flag := fmt.Sprintf("-c=%d", threads)
		run("build", "-trimpath", "-buildvcs=false", "-ldflags=-buildid=", "-gcflags=github.com/lrng-go/lrng/...="+flag, "-o", name, program)
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(b, []byte(flag)) { // with the other settings of the build
			t.Fatalf("the program does not say %s, so it may be another one", flag)
		}
		return bytes.ReplaceAll(b, []byte(flag), []byte("-c=0"))
	}
	if first, second := build(1), build(2); !bytes.Equal(first, second) {
		t.Error("two builds are not the same")
	}
	for _, pkg := range strings.Fields(run("list", "-deps", program)) {
		if base := pkg[strings.LastIndex(pkg, "/")+1:]; base == "estest" || base == "drngtest" || base == "vectors" || base == "testing" {
			t.Errorf("the program contains %s", pkg)
		}
	}
}
