package docs

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// withoutExample are exported names that no example shows, with the reason.
var withoutExample = map[string]map[string]string{
	"drng": {
		"CTR.SecretMemory":      forRoot,
		"ChaCha20.Harden":       forRoot,
		"ChaCha20.SecretMemory": forRoot,
		"HMAC.SecretMemory":     forRoot,
		"Hash.SecretMemory":     forRoot,
		"XDRBG.SecretMemory":    forRoot,
	},
}

const forRoot = "for package lrng, which alone can use it"

// byOthers are methods that the standard library calls, by themselves or in fmt and
// encoding/json.
var byOthers = []string{"String", "GoString", "Error", "Unwrap", "MarshalText", "UnmarshalText"}

// What is exported is shown in use: each function, method, variable and interface of the
// public packages has an example of its own, or is in one of its package. Other types and
// constants are shown with what takes or returns them.
func TestExamples(t *testing.T) {
	report(t, repository(t).checkExamples(withoutExample))
}

func (tr *tree) checkExamples(without map[string]map[string]string) (defects []string) {
	for _, dir := range public {
		if dir == "lrngtest" {
			continue // what is there takes a testing.TB, which examples do not have
		}
		exported, shown, excepted := tr.exported(dir), tr.shown(dir), without[dir]
		for _, name := range slices.Sorted(maps.Keys(exported)) {
			short := name[strings.Index(name, ".")+1:]
			switch has := shown[name] || shown[short]; {
			case !has && excepted[name] == "":
				defects = append(defects, fmt.Sprintf("%s: %s has no example", dir, name))
			case has && excepted[name] != "":
				defects = append(defects, fmt.Sprintf("%s: %s has an example: take it out of the list", dir, name))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(excepted)) {
			if !exported[name] && !slices.Contains(later, dir+"."+name) {
				defects = append(defects, fmt.Sprintf("%s: %s is in the list and not exported", dir, name))
			}
		}
	}
	return defects
}

// exported returns the exported names of a package, methods as "T.M", but for those of
// interfaces: these are shown where they are implemented.
func (tr *tree) exported(dir string) map[string]bool {
	list := make(map[string]bool)
	for name, f := range tr.files {
		if path.Dir(name) != dir || strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, decl := range f.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				n := d.Name.Name
				if d.Recv != nil {
					if !ast.IsExported(receiver(d)) {
						continue
					}
					n = receiver(d) + "." + n
				}
				if d.Name.IsExported() && !slices.Contains(byOthers, d.Name.Name) {
					list[n] = true
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.ValueSpec:
						for _, n := range s.Names {
							if n.IsExported() && d.Tok == token.VAR {
								list[n.Name] = true
							}
						}
					case *ast.TypeSpec:
						if _, ok := s.Type.(*ast.InterfaceType); ok && s.Name.IsExported() {
							list[s.Name.Name] = true
						}
					}
				}
			}
		}
	}
	return list
}

// shown returns the names that the examples of a package are for, or use: selectors,
// since examples are in a package of their own, and methods of types beside them.
func (tr *tree) shown(dir string) map[string]bool {
	list := make(map[string]bool)
	for name, f := range tr.files {
		if path.Dir(name) != dir || !strings.HasSuffix(f.Name.Name, "_test") || !hasExample(f) {
			continue
		}
		for _, decl := range f.Decls {
			d, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if d.Recv != nil {
				list[d.Name.Name] = true
				continue
			}
			what, ok := strings.CutPrefix(d.Name.Name, "Example")
			if !ok {
				continue
			}
			typ, member, _ := strings.Cut(what, "_")
			list[typ] = true
			list[typ+"."+member] = true
			ast.Inspect(d, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					list[s.Sel.Name] = true
				}
				return true
			})
		}
	}
	return list
}

func hasExample(f *ast.File) bool {
	return slices.ContainsFunc(f.Decls, func(decl ast.Decl) bool {
		d, ok := decl.(*ast.FuncDecl)
		return ok && d.Recv == nil && isTest(d.Name.Name) && strings.HasPrefix(d.Name.Name, "Example")
	})
}

func TestExamplesFindDefects(t *testing.T) {
	tr, err := newTree(fstest.MapFS{
		"es/es.go": {Data: []byte("package es\n\ntype T struct{}\n\nfunc (T) M()\nfunc (T) N()\nfunc (T) String() string\nfunc (t) O()\nfunc F()\nfunc G()\nfunc h()\n" +
			"var V, W int\n\nconst C = 1\n\ntype I interface{ Q() }\ntype t struct{}\n")},
		"es/a_test.go": {Data: []byte("package es_test\n\nfunc ExampleT_M() { es.F(es.V) }\n\nfunc TestN() { es.T{}.N() }\n")},
		"es/b_test.go": {Data: []byte("package es\n\nfunc ExampleG() {}\n")}, // not of a user
	})
	if err != nil {
		t.Fatal(err)
	}
	got := tr.checkExamples(map[string]map[string]string{"es": {"F": "no reason any more", "X": "gone"}})
	want := []string{
		"es: F has an example: take it out of the list", "es: G has no example", "es: I has no example",
		"es: T.N has no example", "es: W has no example", "es: X is in the list and not exported",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
