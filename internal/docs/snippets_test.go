package docs

import (
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What snippets may use without an import line, as goimports would find it.
var packages = map[string]string{
	"big":     "math/big",
	"debug":   "runtime/debug",
	"ed25519": "crypto/ed25519",
	"expvar":  "expvar",
	"fips140": "crypto/fips140",
	"http":    "net/http",
	"slog":    "log/slog",
}

// What is there around a snippet, if it is not declared in it.
const around = `package snippet

var (
	_        context.Context
	_        io.Reader
	_        es.Source
	_        lrng.Config
	_        *testing.T
	ctx      context.Context
	key      []byte
	mySource es.Source
	r        *lrng.RNG
	rng      *lrng.RNG
	t        *testing.T
	w        http.ResponseWriter
)

type hsm struct{ es.Source }
`

// Snippets of Go in the documents compile. A line that is "…" stands for anything.
func TestSnippets(t *testing.T) {
	if testing.Short() {
		t.Skip("the go command takes its time")
	}
	tr := repository(t)
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	var list []snippet
	imports := map[string]bool{"context": true, "io": true, "net/http": true, "testing": true, modulePath: true, modulePath + "/es": true}
	for _, name := range slices.Sorted(maps.Keys(tr.docs)) {
		for _, b := range tr.docs[name].blocks {
			if b.lang != "go" || strings.Contains(b.text, "lrngtest.") && tr.names["lrngtest"] == nil && slices.Contains(later, "lrngtest") {
				continue
			}
			s, err := tr.snippet(name, b)
			if err != nil {
				t.Error(err)
				continue
			}
			if otherModules(b.text) {
				continue
			}
			for _, spec := range s.file.Imports {
				imports[importPath(spec)] = true
			}
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		t.Fatal("no snippets were found: the documents have some")
	}
	check := tr.checker(t, imports)
	for _, s := range list {
		for _, err := range check(s) {
			t.Errorf("%s: %v", s.name, err)
		}
	}
	// The check finds what it is to find.
	for _, text := range []string{"lrng.NewX()", "var n int = lrng.Text()", "r.Read()", "undefined()", "for {"} {
		s, err := tr.snippet("", block{text: text})
		if err == nil && len(check(s)) == 0 {
			t.Errorf("%q passed", text)
		}
	}
}

var modulePaths = regexp.MustCompile(`\b[\w-]+(?:\.[\w-]+)+/[\w./-]+`)

// otherModules reports whether a snippet names, in an import line or a comment, a package
// of another module. Then it is well formed, and no more is known of it here.
func otherModules(text string) bool {
	return slices.ContainsFunc(modulePaths.FindAllString(text, -1), func(p string) bool {
		return !strings.HasPrefix(p, modulePath)
	})
}

type snippet struct {
	name string // document and line
	fset *token.FileSet
	file *ast.File
}

// snippet makes a file of a snippet: as it is; after a package line, if it has
// declarations; or else in a function, with its import lines before it.
func (tr *tree) snippet(name string, b block) (snippet, error) {
	text := b.text
	for _, line := range strings.Split(b.text, "\n") {
		if strings.TrimSpace(line) == "…" {
			text = strings.Replace(text, line+"\n", "\n", 1)
		}
	}
	imports, rest := "", text
	for strings.HasPrefix(rest, "import ") && !strings.HasPrefix(rest, "import (") {
		line, after, _ := strings.Cut(rest, "\n")
		imports, rest = imports+line+"; ", after
	}
	s := snippet{name: fmt.Sprintf("%s:%d", name, b.line), fset: token.NewFileSet()}
	var first error
	for _, source := range []string{
		text,
		"package snippet; " + text,
		"package snippet; " + imports + "func _() {\n" + rest + "\n}",
	} {
		f, err := parser.ParseFile(s.fset, s.name, source, parser.SkipObjectResolution)
		if err == nil {
			s.file = f
			addImports(f, tr)
			return s, nil
		}
		first = err
	}
	return s, fmt.Errorf("%s: %w", s.name, first)
}

// addImports imports what selectors name and nothing else declares.
func addImports(f *ast.File, tr *tree) {
	have := make(map[string]bool)
	for _, spec := range f.Imports {
		if spec.Name != nil {
			have[spec.Name.Name] = true
		} else {
			have[path.Base(importPath(spec))] = true
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := s.X.(*ast.Ident)
		if !ok || have[x.Name] || !ast.IsExported(s.Sel.Name) {
			return true
		}
		p := packages[x.Name]
		for _, dir := range public {
			switch {
			case x.Name == "lrng" && dir == ".":
				p = modulePath
			case x.Name == path.Base(dir) && tr.names[dir] != nil:
				p = path.Join(modulePath, dir)
			}
		}
		if p == "" && slices.Contains([]string{"context", "crypto", "errors", "expvar", "fmt", "io", "log", "os", "sync", "testing", "time"}, x.Name) {
			p = x.Name
		}
		if p != "" {
			have[x.Name] = true
			spec := &ast.ImportSpec{Path: &ast.BasicLit{Kind: token.STRING, Value: strconv.Quote(p)}}
			f.Imports = append(f.Imports, spec)
			f.Decls = append([]ast.Decl{&ast.GenDecl{Tok: token.IMPORT, Specs: []ast.Spec{spec}}}, f.Decls...)
		}
		return true
	})
}

func importPath(spec *ast.ImportSpec) string {
	p, _ := strconv.Unquote(spec.Path.Value)
	return p
}

// checker returns a function that checks the types of a snippet. The packages come from
// the cache of the go command.
func (tr *tree) checker(t *testing.T, imports map[string]bool) func(snippet) []error {
	cmd := exec.Command("go", append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}"}, slices.Sorted(maps.Keys(imports))...)...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOPROXY=off", "GOWORK=off", "GOTOOLCHAIN=local", "GODEBUG=")
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	files := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		p, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		files[p] = file
	}
	fset := token.NewFileSet()
	gc := importer.ForCompiler(fset, "gc", func(p string) (io.ReadCloser, error) {
		if files[p] == "" {
			return nil, fmt.Errorf("no package %q", p)
		}
		return os.Open(files[p])
	})
	return func(s snippet) (list []error) {
		rest, err := parser.ParseFile(s.fset, "around", around, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		addImports(rest, tr)
		// What the snippet declares at the top is not declared around it.
		own := make(map[string]bool)
		for _, decl := range s.file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					own[d.Name.Name] = true
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.ValueSpec:
						for _, n := range spec.Names {
							own[n.Name] = true
						}
					case *ast.TypeSpec:
						own[spec.Name.Name] = true
					}
				}
			}
		}
		for _, decl := range rest.Decls {
			d, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			d.Specs = slices.DeleteFunc(d.Specs, func(spec ast.Spec) bool {
				switch spec := spec.(type) {
				case *ast.ValueSpec:
					return own[spec.Names[0].Name]
				case *ast.TypeSpec:
					return own[spec.Name.Name]
				}
				return false
			})
		}
		rest.Name.Name = s.file.Name.Name
		conf := types.Config{Importer: gc, Error: func(err error) {
			if e, ok := errors.AsType[types.Error](err); ok && e.Soft {
				return // not used
			}
			list = append(list, err)
		}}
		conf.Check(s.file.Name.Name, s.fset, []*ast.File{rest, s.file}, nil)
		return list
	}
}
