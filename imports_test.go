package lrng_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "github.com/lrng-go/lrng"

// The modules that we depend on, and no others.
const (
	xcrypto = "golang.org/x/crypto"
	xsys    = "golang.org/x/sys"
	cpuid   = "github.com/klauspost/cpuid/v2"
)

// imports says who imports whom, on any platform, apart from tests and from the
// standard library: for each package, by its path in this module, the packages of
// this module and the other modules. "." is package lrng. What may be added to it
// is up to againstRules. Examples are not listed: they import what users may.
var imports = map[string][]string{
	".":                        {"conditioner", "drng", "es", "internal/aesctr", "internal/clock", "internal/cpu", "internal/ctxsync", "internal/fips", "internal/hwrand", "internal/runtimesecret", "internal/secmem", "internal/selftest", "internal/shard", "internal/sysrand", "internal/twins", "internal/zero", "seeding"},
	"conditioner":              {"internal/selftest"},
	"drng":                     {"internal/aesctr", "internal/chacha20", "internal/fips", "internal/keccak", "internal/secmem", "internal/selftest", "internal/zero"},
	"drng/drngtest":            {"drng"},
	"es":                       {"conditioner", "internal/clock", "internal/cpu", "internal/ctxsync", "internal/health", "internal/hwrand", "internal/jitter", "internal/node", "internal/safefile", "internal/secmem", "internal/selftest", "internal/stripe", "internal/sysrand", "internal/zero"},
	"es/assess":                {},
	"es/estest":                {"es"},
	"internal/aesctr":          {"internal/cpu", "internal/impl", "internal/zero"},
	"internal/chacha20":        {"internal/cpu", "internal/impl", "internal/zero", xcrypto},
	"internal/clock":           {xsys},
	"internal/cpu":             {cpuid, xsys},
	"internal/ctxsync":         {},
	"internal/fips":            {},
	"internal/health":          {"internal/selftest"},
	"internal/hwrand":          {"internal/cpu"},
	"internal/impl":            {},
	"internal/jitter":          {"internal/clock", "internal/health", "internal/selftest"},
	"internal/keccak":          {"internal/cpu", "internal/impl", "internal/zero"},
	"internal/leak":            {},
	"internal/node":            {},
	"internal/runtimesecret":   {},
	"internal/regs":            {"internal/cpu"},
	"internal/safefile":        {},
	"internal/secmem":          {"internal/zero", xsys},
	"internal/selftest":        {},
	"internal/selftest/faults": {"internal/selftest"},
	"internal/shard":           {"internal/clock", "internal/stripe"},
	"internal/smoke":           {},
	"internal/stripe":          {"internal/cpu"},
	"internal/sysrand":         {"internal/zero", xsys},
	"internal/twins":           {},
	"internal/vectors":         {},
	"internal/zero":            {},
	"lrngtest":                 {".", "drng", "es", "es/estest", "seeding"},
	"seeding":                  {"es", "internal/zero"},
}

func isExample(pkg string) bool { return strings.HasPrefix(pkg, "examples/") }

// againstRules returns why a package may not import another one, or "".
func againstRules(pkg, to string) string {
	isInternal := strings.HasPrefix(pkg, "internal/")
	if isExample(pkg) && strings.HasPrefix(to, "internal/") {
		return "examples show what users can do"
	}
	switch to {
	case "crypto/rand":
		if !isExample(pkg) {
			return "a program may have set crypto/rand.Reader to our Reader, which would wait for itself"
		}
	case "math/rand", "math/rand/v2":
		if !isExample(pkg) {
			return "it is not for secrets"
		}
	case "C":
		return "this is a library without cgo"
	case "syscall", "unsafe":
		if !isInternal && (to != "syscall" || !isExample(pkg)) { // examples are programs, which handle signals
			return "this belongs under internal"
		}
	case "testing":
		if pkg != "drng/drngtest" && pkg != "es/estest" && pkg != "lrngtest" {
			return "only support for tests of others needs it"
		}
	case ".":
		if !isExample(pkg) && pkg != "lrngtest" {
			return "only examples and lrngtest import package lrng"
		}
	case xcrypto:
		if pkg != "internal/chacha20" {
			return "only internal/chacha20 imports it, so that it can be replaced in one place"
		}
	case cpuid:
		if pkg != "internal/cpu" {
			return "only internal/cpu imports it, so that it can be replaced in one place"
		}
	case xsys:
		if pkg != "internal/sysrand" && pkg != "internal/clock" && pkg != "internal/secmem" && pkg != "internal/cpu" {
			return "it has one door for each of randomness, time, memory and what the kernel says of the CPU"
		}
	case "conditioner", "drng", "es", "seeding":
		switch {
		case isInternal:
			return "packages of internal import no public ones"
		case pkg == "conditioner",
			pkg == "drng" || strings.HasPrefix(pkg, "drng/") && to != "drng",
			pkg == "es" && to != "conditioner",
			pkg == "seeding" && to != "es":
			return "sources, mechanisms, strategies and conditioners are independent of each other, but for es.Source and the conditioner of a source"
		}
	}
	return ""
}

// TestImports holds the table. It reads the files, and not what go list says of
// them, so as to see those for other platforms too.
func TestImports(t *testing.T) {
	root := moduleRoot(t)
	found := make(map[string][]string)
	for _, file := range sourceFiles(t, root) {
		pkg := path.Dir(file)
		if _, ok := found[pkg]; !ok {
			found[pkg] = nil
			if _, ok := imports[pkg]; !ok && !isExample(pkg) {
				t.Errorf("package %s is new: add it to the table in this file", pkg)
			}
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if toBeRun(f) {
			continue
		}
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			to, standard := importee(imported)
			if why := againstRules(pkg, to); why != "" {
				t.Errorf("%s imports %s: %s", file, imported, why)
				continue
			}
			if standard || slices.Contains(found[pkg], to) {
				continue
			}
			found[pkg] = append(found[pkg], to)
			if list, ok := imports[pkg]; ok && !slices.Contains(list, to) {
				t.Errorf("%s imports %s, which is new for package %s: if that is what you want, add it to the table in this file", file, to, pkg)
			}
		}
	}
	for pkg, list := range imports {
		if _, ok := found[pkg]; !ok {
			t.Errorf("there is no package %s any more: take it out of the table", pkg)
			continue
		}
		for _, to := range list {
			if !slices.Contains(found[pkg], to) {
				t.Errorf("package %s does not import %s any more: take it out of the table", pkg, to)
			}
		}
	}
	if t.Failed() {
		for _, pkg := range slices.Sorted(maps.Keys(found)) {
			if !isExample(pkg) {
				slices.Sort(found[pkg])
				t.Logf("%q imports %q", pkg, found[pkg])
			}
		}
	}
}

// toBeRun reports whether the file is a program to be started by go run.
func toBeRun(f *ast.File) bool {
	for _, group := range f.Comments {
		for _, c := range group.List {
			if x, err := constraint.Parse(c.Text); err == nil && c.Pos() < f.Package && x.String() == "ignore" {
				return true
			}
		}
	}
	return false
}

// importee returns how the table names what is imported: by the path in this
// module, by the other module, or by the path in the standard library.
func importee(path string) (name string, standard bool) {
	if path == modulePath {
		return ".", false
	}
	if pkg, ok := strings.CutPrefix(path, modulePath+"/"); ok {
		return pkg, false
	}
	for _, m := range []string{xcrypto, xsys, cpuid} {
		if strings.HasPrefix(path, m+"/") || path == m {
			return m, false
		}
	}
	first, _, _ := strings.Cut(path, "/")
	return path, !strings.Contains(first, ".")
}

// sourceFiles returns the Go files of this module that are no tests, relative to
// root. What go list ./... leaves out is left out: other modules below this one,
// testdata, and names that begin with a dot or an underscore.
func sourceFiles(t *testing.T, root string) (files []string) {
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		hidden := path != "." && (name[0] == '.' || name[0] == '_')
		if d.IsDir() {
			if hidden || name == "testdata" || name == "vendor" {
				return fs.SkipDir
			}
			if _, err := os.Stat(filepath.Join(root, path, "go.mod")); err == nil && path != "." {
				return fs.SkipDir
			}
			return nil
		}
		if !hidden && strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// moduleRoot returns the directory of this file, whatever the current one is.
func moduleRoot(t *testing.T) string {
	_, file, _, _ := runtime.Caller(0)
	root := filepath.Dir(file)
	if !filepath.IsAbs(root) { // -trimpath, and then go test has started us there
		root = "."
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Skipf("the source is not here: %v", err)
	}
	return root
}

// Who imports package lrng gets three modules with it, and no others.
func TestRequirements(t *testing.T) {
	root := moduleRoot(t)
	run := func(args ...string) []byte {
		t.Helper()
		cmd := exec.Command("go", args...)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOPROXY=off", "GOWORK=off", "GOTOOLCHAIN=local")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, &stderr)
		}
		return out
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}

	var mod struct {
		Module  struct{ Path string }
		Go      string
		Require []struct {
			Path     string
			Indirect bool
		}
		Replace, Tool []any
	}
	if err := json.Unmarshal(run("mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	var direct []string
	for _, r := range mod.Require {
		if r.Indirect {
			t.Errorf("go.mod requires %s indirectly", r.Path)
		}
		direct = append(direct, r.Path)
	}
	want := []string{cpuid, xcrypto, xsys}
	slices.Sort(direct)
	if !slices.Equal(direct, want) {
		t.Errorf("go.mod requires %v; want %v. What only tests, examples or generators need goes into a module of its own below this one", direct, want)
	}
	// The default of GODEBUG depends on this: examples/migrate tells how.
	if mod.Module.Path != modulePath || !strings.HasPrefix(mod.Go, "1.26") || mod.Replace != nil || mod.Tool != nil {
		t.Errorf("go.mod: %+v", mod)
	}

	linked := make(map[string]bool)
	for _, path := range strings.Fields(string(run("list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./..."))) {
		linked[path] = true
	}
	if got, want := slices.Sorted(maps.Keys(linked)), []string{cpuid, modulePath, xcrypto, xsys}; !slices.Equal(got, want) {
		t.Errorf("the packages belong to the modules %v; want %v", got, want)
	}
}
