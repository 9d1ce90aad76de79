// Package docs has no code, but tests: what the documents say of the tree is so. Links and
// anchors lead somewhere, tests, identifiers and paths that are named exist, snippets
// compile, what is exported has an example, and each requirement of
// docs/traceability.md has its code and its tests.
package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

const modulePath = "github.com/lrng-go/lrng"

// public are the packages for users, by directory.
var public = []string{".", "conditioner", "drng", "drng/drngtest", "es", "es/assess", "es/estest", "lrngtest", "seeding"}

// A tree is the repository: its documents, and what its Go files declare.
type tree struct {
	fsys  fs.FS
	docs  map[string]*document // by path
	files map[string]*ast.File // by path, tests and nested modules included
	names map[string]names     // what a directory declares, tests included
	tests map[string][]string  // directories by the name of a test, benchmark, fuzz target or example
}

// names are "F", "T", "T.Method", "T.Field", and so for variables and constants.
type names map[string]bool

// here reads the repository once. The documents are the same in all modes and on all
// processors: emulated ones need not read them.
var here = sync.OnceValues(func() (*tree, error) {
	_, file, _, _ := runtime.Caller(0)
	dir := filepath.Dir(file)
	if !filepath.IsAbs(dir) { // -trimpath, and then go test has started us there
		dir = "."
	}
	return newTree(os.DirFS(filepath.Join(dir, "..", "..")))
})

func repository(t *testing.T) *tree {
	t.Helper()
	if os.Getenv("LRNG_EMULATED") != "" {
		t.Skip("documents do not depend on the processor")
	}
	tr, err := here()
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func newTree(fsys fs.FS) (*tree, error) {
	tr := &tree{
		fsys:  fsys,
		docs:  make(map[string]*document),
		files: make(map[string]*ast.File),
		names: make(map[string]names),
		tests: make(map[string][]string),
	}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if d.IsDir() {
			if name != "." && (base[0] == '.' || base[0] == '_' || base == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		switch path.Ext(name) {
		case ".md":
			text, err := fs.ReadFile(fsys, name)
			if err != nil {
				return err
			}
			tr.docs[name] = parse(string(text))
		case ".go":
			text, err := fs.ReadFile(fsys, name)
			if err != nil {
				return err
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			tr.files[name] = f
			tr.declare(path.Dir(name), f)
		}
		return nil
	})
	return tr, err
}

// declare notes the names that f declares.
func (tr *tree) declare(dir string, f *ast.File) {
	if tr.names[dir] == nil {
		tr.names[dir] = make(names)
	}
	n := tr.names[dir]
	for _, decl := range f.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv != nil {
				n[receiver(d)+"."+d.Name.Name] = true
				continue
			}
			n[d.Name.Name] = true
			if isTest(d.Name.Name) && !slices.Contains(tr.tests[d.Name.Name], dir) {
				tr.tests[d.Name.Name] = append(tr.tests[d.Name.Name], dir)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.ValueSpec:
					for _, name := range s.Names {
						n[name.Name] = true
					}
				case *ast.TypeSpec:
					n[s.Name.Name] = true
					var fields *ast.FieldList
					switch t := s.Type.(type) {
					case *ast.StructType:
						fields = t.Fields
					case *ast.InterfaceType:
						fields = t.Methods
					default:
						continue
					}
					for _, field := range fields.List {
						for _, name := range field.Names {
							n[s.Name.Name+"."+name.Name] = true
						}
					}
				}
			}
		}
	}
}

// receiver returns the name of the type that a method belongs to.
func receiver(d *ast.FuncDecl) string {
	e := d.Recv.List[0].Type
	for {
		switch t := e.(type) {
		case *ast.StarExpr:
			e = t.X
		case *ast.IndexExpr:
			e = t.X
		case *ast.Ident:
			return t.Name
		default:
			return ""
		}
	}
}

// isTest reports whether go test would run a function of that name.
func isTest(name string) bool {
	for _, prefix := range []string{"Test", "Benchmark", "Fuzz", "Example"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok && (rest == "" || rest[0] < 'a' || 'z' < rest[0]) {
			return true
		}
	}
	return false
}

// exists reports whether there is a file or directory of that name, or one that will be.
func (tr *tree) exists(name string) bool {
	_, err := fs.Stat(tr.fsys, path.Clean(name))
	return err == nil || slices.Contains(later, path.Clean(name))
}
