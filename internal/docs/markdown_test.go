package docs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// A document is what matters here of a file in GitHub's Markdown.
type document struct {
	anchors   []string
	links     []link
	spans     []span  // code between single backticks, white space being single spaces
	blocks    []block // fenced and indented code
	undefined []span  // references to links that are not defined
	lines     []string
}

type link struct {
	target string
	line   int
}

type span struct {
	text string
	line int
}

type block struct {
	lang string // "" for indented ones
	text string
	line int // of its first line
}

var (
	codeSpan   = regexp.MustCompile("`([^`]+)`")
	inlineLink = regexp.MustCompile(`\[([^\[\]]*)\]\(([^()\s]*)\)`)
	reference  = regexp.MustCompile(`\[([^\[\]]+)\]\[([^\[\]]*)\]`)
	definition = regexp.MustCompile(`(?m)^ {0,3}\[([^\[\]]+)\]:[ \t]*(\S+)`)
	attribute  = regexp.MustCompile(`(?:src|href)="([^"]*)"`)
	bareURL    = regexp.MustCompile(`[a-z]+://[^\s<>()"|]*[^\s<>()"|.,;:]`)
	heading    = regexp.MustCompile(`^ {0,3}#{1,6}\s+(.*?)\s*#*$`)
	fence      = regexp.MustCompile("^ {0,3}```\\s*(\\S*)")
	comment    = regexp.MustCompile(`(?s)<!--.*?-->`)
)

// parse reads a document. It knows as much of Markdown as the documents here use.
func parse(text string) *document {
	d := &document{lines: strings.Split(text, "\n")}
	// Code blocks go first, since nothing in them is a link or a heading.
	prose := slices.Clone(d.lines)
	blank, list := true, false
	for i := 0; i < len(prose); i++ {
		line := prose[i]
		switch {
		case fence.MatchString(line):
			b := block{lang: fence.FindStringSubmatch(line)[1], line: i + 2}
			prose[i] = ""
			for i++; i < len(prose) && !fence.MatchString(prose[i]); i++ {
				b.text += prose[i] + "\n"
				prose[i] = ""
			}
			if i < len(prose) {
				prose[i] = ""
			}
			d.blocks = append(d.blocks, b)
			blank = true
			continue
		case strings.HasPrefix(line, "    ") && blank && !list:
			b := block{line: i + 1}
			for ; i < len(prose) && (strings.HasPrefix(prose[i], "    ") || strings.TrimSpace(prose[i]) == ""); i++ {
				b.text += strings.TrimPrefix(prose[i], "    ") + "\n"
				prose[i] = ""
			}
			i--
			d.blocks = append(d.blocks, b)
			blank = true
			continue
		}
		blank = strings.TrimSpace(line) == ""
		if !blank && line[0] != ' ' {
			list = strings.HasPrefix(line, "- ") || strings.HasPrefix(line, "* ") || line[0] >= '0' && line[0] <= '9'
		}
	}
	seen := make(map[string]int)
	for _, line := range prose {
		if m := heading.FindStringSubmatch(line); m != nil {
			a := slug(m[1])
			n := seen[a]
			seen[a]++
			if n > 0 {
				a = fmt.Sprintf("%s-%d", a, n)
			}
			d.anchors = append(d.anchors, a)
		}
	}

	// Then what is between backticks, a paragraph at a time.
	rest := comment.ReplaceAllStringFunc(strings.Join(prose, "\n"), empty)
	var b strings.Builder
	line := 1
	for i, paragraph := range strings.Split(rest, "\n\n") {
		if i > 0 {
			b.WriteString("\n\n")
			line += 2
		}
		last := 0
		for _, m := range codeSpan.FindAllStringSubmatchIndex(paragraph, -1) {
			d.spans = append(d.spans, span{strings.Join(strings.Fields(paragraph[m[2]:m[3]]), " "), line + strings.Count(paragraph[:m[0]], "\n")})
			b.WriteString(paragraph[last:m[0]])
			b.WriteString(empty(paragraph[m[0]:m[1]]))
			last = m[1]
		}
		b.WriteString(paragraph[last:])
		line += strings.Count(paragraph, "\n")
	}
	rest = b.String()

	at := func(offset int) int { return 1 + strings.Count(rest[:offset], "\n") }
	defined := make(map[string]bool)
	for _, m := range definition.FindAllStringSubmatchIndex(rest, -1) {
		defined[strings.ToLower(rest[m[2]:m[3]])] = true
		d.links = append(d.links, link{rest[m[4]:m[5]], at(m[0])})
	}
	for _, m := range reference.FindAllStringSubmatchIndex(rest, -1) {
		name := rest[m[4]:m[5]]
		if name == "" {
			name = rest[m[2]:m[3]]
		}
		if !defined[strings.ToLower(name)] {
			d.undefined = append(d.undefined, span{name, at(m[0])})
		}
	}
	for _, m := range inlineLink.FindAllStringSubmatchIndex(rest, -1) {
		d.links = append(d.links, link{rest[m[4]:m[5]], at(m[0])})
	}
	for _, m := range attribute.FindAllStringSubmatchIndex(rest, -1) {
		d.links = append(d.links, link{rest[m[2]:m[3]], at(m[0])})
	}
	for _, other := range []*regexp.Regexp{definition, inlineLink, attribute} {
		rest = other.ReplaceAllStringFunc(rest, empty)
	}
	for _, m := range bareURL.FindAllStringIndex(rest, -1) {
		d.links = append(d.links, link{rest[m[0]:m[1]], at(m[0])})
	}
	return d
}

// empty returns s with all but its line feeds blanked out.
func empty(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		return ' '
	}, s)
}

// slug returns the anchor that GitHub gives a heading.
func slug(text string) string {
	text = inlineLink.ReplaceAllString(text, "$1")
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsNumber(r), unicode.IsMark(r), r == '-', r == '_':
			return unicode.ToLower(r)
		case r == ' ':
			return '-'
		}
		return -1
	}, text)
}

func TestSlug(t *testing.T) {
	for text, want := range map[string]string{
		"Who":                                   "who",
		"P1. The state is not in dumps":         "p1-the-state-is-not-in-dumps",
		"The modes of `Config.OutputBuffer`":    "the-modes-of-configoutputbuffer",
		"Diskless nodes: dracut":                "diskless-nodes-dracut",
		"Nodes without a disk, or read-only":    "nodes-without-a-disk-or-read-only",
		"SP 800-90B & C":                        "sp-800-90b--c",
		"[twins](twins.md) and [more](x.md#a)!": "twins-and-more",
		"snake_case, Größe":                     "snake_case-größe",
	} {
		if got := slug(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestParse(t *testing.T) {
	d := parse("# A `b`\n\ntext `code` and `more\ncode`, [x](y.md#z) [ref][r] [gone][s]\n\n    indented [no](link)\n\n- item\n\n    [in](list.md)\n\n" +
		"```go\n# no heading\n[no](link)\n```\n<!-- [no](link) -->\n# A b\n\n[r]: https://example.com/a\nhttps://example.com/b. `[no](link)`\n<img src=\"p.svg\">\n")
	if got, want := fmt.Sprint(d.anchors), "[a-b a-b-1]"; got != want {
		t.Errorf("anchors: %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(d.spans), "[{b 1} {code 3} {more code 3} {[no](link) 20}]"; got != want {
		t.Errorf("spans: %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(d.links), "[{https://example.com/a 19} {y.md#z 4} {list.md 10} {p.svg 21} {https://example.com/b 20}]"; got != want {
		t.Errorf("links: %s, want %s", got, want)
	}
	if want := []block{{"", "indented [no](link)\n\n", 6}, {"go", "# no heading\n[no](link)\n", 13}}; !slices.Equal(d.blocks, want) {
		t.Errorf("blocks: %v, want %v", d.blocks, want)
	}
	if got, want := fmt.Sprint(d.undefined), "[{s 4}]"; got != want {
		t.Errorf("undefined: %s, want %s", got, want)
	}
}
