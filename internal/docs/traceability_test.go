package docs

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// requirements are the groups of docs/traceability.md with the highest number of each.
var requirements = []struct {
	group string
	n     int
}{
	{"A", 23}, {"B", 24}, {"C", 21}, {"G", 10}, {"D", 13}, {"S", 5}, {"Z", 3},
	{"F", 18}, {"T", 35}, {"K", 16}, {"E", 4},
}

const traceability = "docs/traceability.md"

// Each requirement is claimed, with code and tests that exist, or is not, with a reason;
// and the tests cite none that is not there.
func TestTraceability(t *testing.T) {
	tr := repository(t)
	report(t, tr.checkTraceability())
	report(t, tr.checkCited())
}

var (
	row = regexp.MustCompile(`^\| ([A-Z]\d+) \| (.*) \|$`)

	// `TestA`, `TestB` (es); `TestC` (internal/health)
	testGroup = regexp.MustCompile("^((?:`\\w+`(?:, )?)+) \\(([\\w/]+)\\)$")
	dirName   = regexp.MustCompile(`^((?:\w+/)*\w+)\.([A-Za-z]\w*(?:\.\w+)?)$`)
	notTested = regexp.MustCompile(`^none: \S`)
)

func (tr *tree) checkTraceability() (defects []string) {
	d := tr.docs[traceability]
	if d == nil {
		return []string{traceability + " is not there"}
	}
	defect := func(line int, format string, args ...any) {
		defects = append(defects, fmt.Sprintf("%s:%d: %s", traceability, line+1, fmt.Sprintf(format, args...)))
	}
	var found []string
	for i, line := range d.lines {
		m := row.FindStringSubmatch(line)
		if m == nil {
			if strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| no. | ") {
				defect(i, "a row without a number")
			}
			continue
		}
		found = append(found, m[1])
		cells := strings.Split(m[2], " | ")
		if len(cells) != 4 {
			defect(i, "%d cells after the number, not 4", len(cells))
			continue
		}
		what, where, code, tests := cells[0], cells[1], cells[2], cells[3]
		if what == "" || where == "" {
			defect(i, "%s: no words, or no section", m[1])
		}
		named := codeSpan.FindAllStringSubmatch(code, -1)
		if reason, ok := strings.CutPrefix(code, "not claimed: "); ok || tests == "–" {
			if !ok || tests != "–" || reason == "" {
				defect(i, "%s: what is not claimed has a reason, and no tests", m[1])
			}
			continue
		}
		for _, n := range named {
			if why := tr.checkCode(n[1]); why != "" {
				defect(i, "%s: %s", m[1], why)
			}
		}
		if len(named) == 0 {
			defect(i, "%s: no code is named", m[1])
		}
		if notTested.MatchString(tests) {
			continue
		}
		for _, group := range strings.Split(tests, "; ") {
			g := testGroup.FindStringSubmatch(group)
			if g == nil {
				defect(i, "%s: %q is no list of tests with their directory", m[1], group)
				continue
			}
			for _, n := range codeSpan.FindAllStringSubmatch(g[1], -1) {
				if !slices.Contains(tr.tests[n[1]], directory(g[2])) {
					defect(i, "%s: there is no %s in %s", m[1], n[1], g[2])
				}
			}
		}
	}
	if want := allRequirements(); !slices.Equal(found, want) {
		for _, r := range want {
			if !slices.Contains(found, r) {
				defect(0, "%s is missing", r)
			}
		}
		for i, r := range found {
			if !slices.Contains(want, r) || slices.Contains(found[:i], r) {
				defect(0, "%s is unknown, or there twice", r)
			}
		}
		if len(defects) == 0 {
			defect(0, "the requirements are not in order")
		}
	}
	return defects
}

func allRequirements() (list []string) {
	for _, g := range requirements {
		for i := range g.n {
			list = append(list, g.group+strconv.Itoa(i+1))
		}
	}
	return list
}

// directory returns the directory that a name of a package stands for.
func directory(name string) string {
	if name == "lrng" {
		return "."
	}
	return name
}

// checkCode looks for a directory, a file, or what checkDeclared knows.
func (tr *tree) checkCode(text string) string {
	if why, ok := tr.checkDeclared(text); ok {
		return why
	}
	if tr.names[directory(text)] == nil && !tr.exists(text) {
		return text + " is not there"
	}
	return ""
}

// checkDeclared looks for dir.Name or dir.Type.Member, exported or not. It reports whether
// there is such a directory, and if that does not declare the name says so.
func (tr *tree) checkDeclared(text string) (why string, ok bool) {
	m := dirName.FindStringSubmatch(text)
	if m == nil || m[2] == "go" || tr.names[directory(m[1])] == nil {
		return "", false
	}
	if dir := directory(m[1]); !tr.names[dir][m[2]] && !tr.promoted(dir, m[2]) {
		return fmt.Sprintf("%s declares no %s", m[1], m[2]), true
	}
	return "", true
}

// A number in a comment of a test, with nothing around it that would make it another
// name: "A10", "B10-B13", "(C5, T4)".
var cited = regexp.MustCompile(`(?:^|[\s(,-])([ABCDEFGKSTZ]\d{1,2})\b`)

// checkCited looks for requirements in the comments of tests.
func (tr *tree) checkCited() (defects []string) {
	known, n := allRequirements(), 0
	for _, name := range slices.Sorted(maps.Keys(tr.files)) {
		if !strings.HasSuffix(name, "_test.go") || path.Dir(name) == "internal/docs" {
			continue
		}
		for _, group := range tr.files[name].Comments {
			for _, m := range cited.FindAllStringSubmatch(group.Text(), -1) {
				n++
				if !slices.Contains(known, m[1]) {
					defects = append(defects, fmt.Sprintf("%s: a comment cites %s, which is not in %s", name, m[1], traceability))
				}
			}
		}
	}
	if n == 0 {
		defects = append(defects, "no test cites a requirement: they do")
	}
	return defects
}

func TestTraceabilityFindsDefects(t *testing.T) {
	var b strings.Builder
	for _, r := range allRequirements() {
		switch r {
		case "A2":
			b.WriteString("| A2 | what | where | `es.Info`, `x.go` | `TestA`, `TestB` (es); `TestC` (lrng) |\n")
		case "A3":
			b.WriteString("| A3 | what | where | `es.Old` | `TestA` (es) |\n")
		case "A4":
			b.WriteString("| A4 | what | where | `es.Info` | `TestA` (lrng) |\n")
		case "A5":
			b.WriteString("| A5 | what | where | `es.Info` | `TestA` |\n")
		case "A6":
			b.WriteString("| A6 | what | where | not claimed: | – |\n")
		case "A7":
			b.WriteString("| A7 | what | where | `es.Info` | – |\n")
		case "A8":
			b.WriteString("| A8 | what | where | nothing | `TestA` (es) |\n")
		case "A9":
			b.WriteString("| A9 | what | where | `es/none.go` | `TestA` (es) |\n")
		case "A10":
		case "A11":
			b.WriteString("| A11 | what | `es.Info` | `TestA` (es) |\n")
		case "A12":
			b.WriteString("| A12 | what | where | `es.Info` | none: |\n")
		default:
			fmt.Fprintf(&b, "| %s | what | where | not claimed: a reason | – |\n", r)
		}
	}
	tr, err := newTree(fstest.MapFS{
		traceability: {Data: []byte(b.String())},
		"x.go":       {Data: []byte("package x\n")},
		"x_test.go":  {Data: []byte("package x\n\n// A1, B7: and not RFC8, SHA256 or A24.\nfunc TestC() {}\n")},
		"es/es.go":   {Data: []byte("package es\n\ntype Info struct{}\n\nfunc TestA() {}\n\nfunc TestB() {}\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	defects := tr.checkTraceability()
	for _, r := range []string{"A3", "A4", "A5", "A6", "A7", "A8", "A9", "A10", "A11", "A12"} {
		n := 0
		for _, d := range defects {
			if strings.Contains(d, " "+r+":") || strings.Contains(d, " "+r+" is") || r == "A11" && strings.Contains(d, "3 cells") {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d defects of %s", n, r)
		}
	}
	if len(defects) != 10 {
		t.Errorf("%d defects, want 10: %q", len(defects), defects)
	}
	if got := tr.checkCited(); len(got) != 1 || !strings.Contains(got[0], "A24") {
		t.Errorf("%q", got)
	}
}
