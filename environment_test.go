package lrng_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"testing"
)

// T35: the environment, which an attacker may own where a program has more rights than he
// has, changes nothing: no package that a program gets with lrng reads a variable of it, nor
// asks where temporary, home or configuration directories are. (What GODEBUG does is the Go
// runtime's.) Package faults is linked by tests alone.
func TestNoEnvironment(t *testing.T) {
	functions := map[string][]string{
		"os":      {"Getenv", "LookupEnv", "Environ", "ExpandEnv", "Expand", "TempDir", "UserHomeDir", "UserConfigDir", "UserCacheDir", "CreateTemp", "MkdirTemp"},
		"syscall": {"Getenv", "Environ"},
		"unix":    {"Getenv", "Environ"},
		"windows": {"Getenv", "Environ"},
	}
	root, calls := moduleRoot(t), 0
	for _, file := range sourceFiles(t, root) {
		if pkg := path.Dir(file); isExample(pkg) || pkg == "internal/selftest/faults" {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if toBeRun(f) {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if pkg, ok := s.X.(*ast.Ident); ok && functions[pkg.Name] != nil {
					calls++
					if slices.Contains(functions[pkg.Name], s.Sel.Name) {
						t.Errorf("%s: %s.%s", file, pkg.Name, s.Sel.Name)
					}
				}
			}
			return true
		})
	}
	if calls == 0 {
		t.Error("no use of these packages was found at all: the search is blind")
	}
}
