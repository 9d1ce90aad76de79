package docs

import (
	"fmt"
	"go/ast"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// later are files, directories and identifiers that may be named before they are there.
var later []string

// Links lead to files and directories of the repository, and to headings that are there.
func TestLinks(t *testing.T) {
	report(t, repository(t).checkLinks())
}

// All documents can be found from the README. A link to a directory leads to its README.
func TestReachable(t *testing.T) {
	report(t, repository(t).checkReachable())
}

// What comments in the source say of documents is so, too.
func TestDocumentsInComments(t *testing.T) {
	report(t, repository(t).checkComments())
}

func report(t *testing.T, defects []string) {
	t.Helper()
	for _, d := range defects {
		t.Error(d)
	}
}

func (tr *tree) checkLinks() (defects []string) {
	for _, name := range slices.Sorted(maps.Keys(tr.docs)) {
		d := tr.docs[name]
		for _, s := range d.undefined {
			defects = append(defects, fmt.Sprintf("%s:%d: [%s] is not defined", name, s.line, s.text))
		}
		for _, l := range d.links {
			if why := tr.checkLink(name, l.target); why != "" {
				defects = append(defects, fmt.Sprintf("%s:%d: %s: %s", name, l.line, l.target, why))
			}
		}
	}
	return defects
}

// checkLink returns what is wrong with a link in a document, or "".
func (tr *tree) checkLink(name, target string) string {
	u, err := url.Parse(target)
	switch {
	case err != nil:
		return err.Error()
	case u.Scheme != "" || u.Host != "":
		if u.Scheme != "https" || !strings.Contains(u.Host, ".") || u.User != nil || u.Port() != "" {
			return "no plain https address"
		}
		return ""
	case u.Path == "" && u.Fragment == "":
		return "leads nowhere"
	case path.IsAbs(u.Path):
		return "is absolute"
	}
	to := name
	if u.Path != "" {
		to = path.Join(path.Dir(name), u.Path)
	}
	if !fs.ValidPath(to) {
		return "leads out of the repository"
	}
	if !tr.exists(to) {
		return "is not there"
	}
	if u.Fragment != "" && !slices.Contains(later, to) {
		if d := tr.docs[to]; d == nil || !slices.Contains(d.anchors, u.Fragment) {
			return "there is no such heading"
		}
	}
	return ""
}

func (tr *tree) checkReachable() (defects []string) {
	seen := map[string]bool{"README.md": true}
	if tr.docs["README.md"] == nil {
		return []string{"there is no README.md"}
	}
	for queue := []string{"README.md"}; len(queue) > 0; queue = queue[1:] {
		for _, l := range tr.docs[queue[0]].links {
			file, _, _ := strings.Cut(l.target, "#")
			if file == "" {
				continue
			}
			to := path.Join(path.Dir(queue[0]), file)
			for _, to := range []string{to, path.Join(to, "README.md")} {
				if tr.docs[to] != nil && !seen[to] {
					seen[to] = true
					queue = append(queue, to)
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(tr.docs)) {
		if !seen[name] {
			defects = append(defects, fmt.Sprintf("%s cannot be reached from README.md", name))
		}
	}
	return defects
}

var namedDocument = regexp.MustCompile(`\b(?:docs/)?[\w-]+\.md\b`)

func (tr *tree) checkComments() (defects []string) {
	for _, name := range slices.Sorted(maps.Keys(tr.files)) {
		if path.Dir(name) == "internal/docs" {
			continue
		}
		for _, group := range tr.files[name].Comments {
			for _, doc := range documentsIn(group) {
				if !tr.exists(doc) && !tr.exists(path.Join("docs", doc)) && !tr.exists(path.Join(path.Dir(name), doc)) {
					defects = append(defects, fmt.Sprintf("%s: a comment names %s, which is not there", name, doc))
				}
			}
		}
	}
	return defects
}

func documentsIn(group *ast.CommentGroup) []string {
	return namedDocument.FindAllString(group.Text(), -1)
}

// External links are asked for with LRNG_ONLINE=1 only.
func TestExternalLinks(t *testing.T) {
	tr := repository(t)
	external := make(map[string]bool)
	for _, d := range tr.docs {
		for _, l := range d.links {
			if strings.Contains(l.target, "://") {
				external[l.target] = true
			}
		}
	}
	if len(external) == 0 {
		t.Error("no external links were found: the documents have some")
	}
	if os.Getenv("LRNG_ONLINE") == "" {
		return
	}
	client := http.Client{Timeout: 30 * time.Second}
	for _, target := range slices.Sorted(maps.Keys(external)) {
		r, err := client.Get(target)
		if err != nil {
			t.Error(err)
			continue
		}
		r.Body.Close()
		if r.StatusCode >= 400 {
			t.Errorf("%s: %s", target, r.Status)
		}
	}
}

// The checks find what they are to find.
func TestLinksFindDefects(t *testing.T) {
	tr, err := newTree(fstest.MapFS{
		"README.md":    {Data: []byte("# A\n\n[a](docs/a.md) [b](docs/a.md#sec) [c](#a) [d](docs) https://example.com/\n")},
		"docs/a.md":    {Data: []byte("# Sec\n\n[up](../README.md#a) [self](a.md)\n")},
		"docs/b.md":    {Data: []byte("[1](c.md) [2](a.md#none) [3](#none) [4](/etc/passwd) [5](../../x) [6](http://example.com/) [7](https://u@example.com/) [8](https://host/) [9]() [10][none] [11](../x.go#a)\n")},
		"x.go":         {Data: []byte("// Package x: see docs/a.md, docs/none.md and a.md.\npackage x\n")},
		"testdata/c.x": {},
	})
	if err != nil {
		t.Fatal(err)
	}
	defects := tr.checkLinks()
	if len(defects) != 11 {
		t.Errorf("%d defects, want 11", len(defects))
	}
	for _, d := range defects {
		if !strings.HasPrefix(d, "docs/b.md:1: ") {
			t.Error(d)
		}
	}
	if got := tr.checkReachable(); len(got) != 1 || !strings.HasPrefix(got[0], "docs/b.md ") {
		t.Errorf("%q", got)
	}
	if got := tr.checkComments(); len(got) != 1 || !strings.Contains(got[0], "docs/none.md") {
		t.Errorf("%q", got)
	}
}
