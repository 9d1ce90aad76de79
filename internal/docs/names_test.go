package docs

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// What stands between backticks, and is the name of a test, of a public identifier or of
// a path, exists.
func TestNames(t *testing.T) {
	report(t, repository(t).checkNames())
}

// The README names all examples, and no others.
func TestExamplesInREADME(t *testing.T) {
	tr := repository(t)
	const begin = "Programs to start from are in `examples`"
	text := strings.Join(tr.docs["README.md"].lines, "\n")
	_, text, ok := strings.Cut(text, begin)
	if !ok {
		t.Fatalf("there is no %q", begin)
	}
	text, _, _ = strings.Cut(text, "\n\n")
	named := make(map[string]bool)
	for _, m := range codeSpan.FindAllStringSubmatch(text, -1) {
		named[m[1]] = true
		if !tr.exists(path.Join("examples", m[1])) {
			t.Errorf("there is no example %s", m[1])
		}
	}
	entries, err := fs.ReadDir(tr.fsys, "examples")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !named[e.Name()] {
			t.Errorf("the README does not name the example %s", e.Name())
		}
	}
}

var (
	identifier = regexp.MustCompile(`^[&*]?((?:[a-z]\w*\.)?[A-Z]\w*(?:\.[A-Z]\w*)?)(?:[({[].*)?$`)
	program    = regexp.MustCompile(`\./[\w./-]*`)
)

func (tr *tree) checkNames() (defects []string) {
	for _, name := range slices.Sorted(maps.Keys(tr.docs)) {
		d := tr.docs[name]
		for _, s := range d.spans {
			if why := tr.checkName(name, s.text); why != "" {
				defects = append(defects, fmt.Sprintf("%s:%d: `%s`: %s", name, s.line, s.text, why))
			}
		}
		for _, b := range d.blocks {
			if b.lang != "" && b.lang != "sh" {
				continue
			}
			for _, p := range program.FindAllString(b.text, -1) {
				if !tr.exists(strings.TrimSuffix(p, "...")) && tr.repositoryPath(p) {
					defects = append(defects, fmt.Sprintf("%s:%d: %s is not there", name, b.line, p))
				}
			}
		}
	}
	return defects
}

// checkName returns what is wrong with code in the text of a document, or "".
func (tr *tree) checkName(doc, text string) string {
	if m := identifier.FindStringSubmatch(text); m != nil {
		if isTest(m[1]) {
			if tr.tests[m[1]] == nil {
				return "there is no such test"
			}
			return ""
		}
		return tr.checkIdentifier(m[1])
	}
	if why, ok := tr.checkDeclared(text); ok {
		return why
	}
	for _, word := range strings.Fields(text) {
		if !tr.repositoryPath(word) {
			continue
		}
		p := strings.TrimSuffix(strings.TrimSuffix(word, "..."), "/")
		if !tr.exists(p) && !tr.exists(path.Join(path.Dir(doc), p)) {
			return p + " is not there"
		}
	}
	return ""
}

// repositoryPath reports whether a word looks like a path of the repository: it begins
// with a directory of it.
func (tr *tree) repositoryPath(word string) bool {
	first, _, ok := strings.Cut(strings.TrimPrefix(word, "./"), "/")
	return ok && first != "" && !strings.ContainsAny(word, "*$<>…") && tr.exists(first)
}

// checkIdentifier looks for pkg.Name, pkg.Type.Member and Type.Member in the public
// packages. What belongs to another package is not looked for.
func (tr *tree) checkIdentifier(text string) string {
	first, rest, ok := strings.Cut(text, ".")
	if !ok {
		return ""
	}
	for _, dir := range public {
		name := path.Base(dir)
		if dir == "." {
			name = "lrng"
		}
		if first == name {
			if !tr.names[dir][rest] && !tr.promoted(dir, rest) && !slices.Contains(later, dir) {
				return fmt.Sprintf("package %s has no %s", name, rest)
			}
			return ""
		}
	}
	known := false
	for _, dir := range public {
		if tr.names[dir][first] && 'A' <= first[0] && first[0] <= 'Z' {
			known = true
			if tr.names[dir][text] || tr.promoted(dir, text) {
				return ""
			}
		}
	}
	if known {
		return "there is no such field or method"
	}
	return ""
}

// promoted reports whether a type of the package has the method of a type that it embeds:
// those of feed in package es.
func (tr *tree) promoted(dir, text string) bool {
	_, member, ok := strings.Cut(text, ".")
	return ok && dir == "es" && (strings.HasPrefix(text, "Device.") || strings.HasPrefix(text, "Reader.")) && tr.names[dir]["feed."+member]
}

func TestNamesFindDefects(t *testing.T) {
	tr, err := newTree(fstest.MapFS{
		"README.md": {Data: []byte("`TestA` `lrng.New` `lrng.New(c)` `es.Info.Name` `Info.Name` `es/es.go` `go test ./es` `./es/...` `crypto/rand` `rand.Reader` `http.Server.Addr`\n\n" +
			"`TestB` `lrng.Old` `es.Info.Size` `Info.Size` `es/no.go` `go test ./es/no` `lrng.Old{}`\n\n    go run ./es/no\n    go run ./es\n")},
		"x.go":         {Data: []byte("package lrng\n\nfunc New() {}\n")},
		"x_test.go":    {Data: []byte("package lrng\n\nfunc TestA() {}\n")},
		"es/es.go":     {Data: []byte("package es\n\ntype Info struct{ Name string }\n")},
		"testdata/c.x": {},
	})
	if err != nil {
		t.Fatal(err)
	}
	defects := tr.checkNames()
	if len(defects) != 8 {
		t.Errorf("%d defects, want 8", len(defects))
	}
	for _, d := range defects {
		if strings.HasPrefix(d, "README.md:1:") {
			t.Error(d)
		}
	}
}
