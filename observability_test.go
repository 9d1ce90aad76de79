package lrng_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// docs/observability.md has a row for each event that is logged, with all its attributes,
// and no others. It is read off the methods of logger, and off their callers where these
// bring the text.
func TestEventsDocumented(t *testing.T) {
	root := moduleRoot(t)
	text, err := os.ReadFile(filepath.Join(root, "docs", "observability.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(line, "|"); len(cells) == 5 && strings.HasPrefix(cells[2], " `lrng: ") {
			rows[strings.Trim(cells[2], " `")] = cells[3]
		}
	}

	files := token.NewFileSet()
	literal := func(e ast.Expr) string {
		if sum, ok := e.(*ast.BinaryExpr); ok {
			e = sum.X
		}
		lit, ok := e.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return ""
		}
		s, err := strconv.Unquote(lit.Value)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	found := make(map[string]bool)
	check := func(event string, attributes []string) {
		row, ok := rows[event]
		if !ok {
			t.Errorf("docs/observability.md has no row for %q", event)
		}
		for _, a := range attributes {
			if !strings.Contains(row, "`"+a+"`") {
				t.Errorf("docs/observability.md: %q without its attribute %q", event, a)
			}
		}
		found[event] = true
	}
	names, err := filepath.Glob(filepath.Join(root, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	attributes := make(map[string][]string) // of methods to which callers bring the text
	var fromCallers []*ast.CallExpr
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(files, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			var events, attrs []string
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.BasicLit:
					if s := literal(n); strings.HasPrefix(s, "lrng: ") && filepath.Base(name) == "log.go" {
						events = append(events, s)
					}
				case *ast.CallExpr:
					fun, ok := n.Fun.(*ast.SelectorExpr)
					if !ok || len(n.Args) == 0 {
						break
					}
					if pkg, ok := fun.X.(*ast.Ident); ok && pkg.Name == "slog" {
						attrs = append(attrs, literal(n.Args[0]))
					}
					switch fun.Sel.Name {
					case "fresh", "warn", "switched":
						fromCallers = append(fromCallers, n)
					}
				}
				return true
			})
			if filepath.Base(name) != "log.go" {
				continue
			}
			attributes[fn.Name.Name] = attrs
			for _, event := range events {
				if event != "lrng: " { // of switched
					check(event, attrs)
				}
			}
		}
	}
	for _, call := range fromCallers {
		method := call.Fun.(*ast.SelectorExpr).Sel.Name
		event := literal(call.Args[0])
		if event == "" {
			continue
		}
		if method == "switched" {
			event = "lrng: " + event + " switched"
		}
		check(event, attributes[method])
	}
	for event := range rows {
		if !found[event] {
			t.Errorf("docs/observability.md has a row for %q, which is not logged", event)
		}
	}
	if len(found) < 20 {
		t.Errorf("only %d events were found: %v", len(found), found)
	}
}
