package vectors

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A line of a CAVP file. A parameter is written "[key = value]", and a marker
// "** key:"; what comes first in a group is the name of its algorithm,
// "[key]".
type line struct {
	number     int
	kind       lineKind
	key, value string
}

type lineKind int

const (
	endOfFile lineKind = iota
	algorithm
	parameter
	field
	marker
)

func (l line) String() string {
	switch l.kind {
	case algorithm:
		return "[" + l.key + "]"
	case parameter:
		return "[" + l.key + " = ...]"
	case marker:
		return "** " + l.key + ":"
	case field:
		return l.key + " = ..."
	}
	return "end of file"
}

// A cavpReader goes through the lines of a file that are neither empty nor
// comments. After an error it stays where it is.
type cavpReader struct {
	lines []line // the last is endOfFile
	err   error
}

func newCAVPReader(data []byte) (*cavpReader, error) {
	r := new(cavpReader)
	n := 0
	for s := range strings.Lines(string(data)) {
		n++
		s = strings.TrimSpace(s)
		if s == "" || s[0] == '#' {
			continue
		}
		l := line{number: n}
		if rest, ok := strings.CutPrefix(s, "**"); ok {
			l.kind = marker
			l.key, ok = strings.CutSuffix(strings.TrimSpace(rest), ":")
			if !ok {
				return nil, fmt.Errorf("line %d: marker without colon", n)
			}
		} else {
			l.kind = field
			if s[0] == '[' {
				if s[len(s)-1] != ']' {
					return nil, fmt.Errorf("line %d: no closing bracket", n)
				}
				l.kind = parameter
				s = s[1 : len(s)-1]
			}
			key, value, ok := strings.Cut(s, "=")
			if !ok {
				if l.kind == field {
					return nil, fmt.Errorf("line %d: neither field nor parameter", n)
				}
				l.kind = algorithm
			}
			l.key, l.value = strings.TrimSpace(key), strings.TrimSpace(value)
		}
		r.lines = append(r.lines, l)
	}
	r.lines = append(r.lines, line{number: n, kind: endOfFile})
	return r, nil
}

// is reports whether the next line is such a one. An empty key fits all.
func (r *cavpReader) is(kind lineKind, key string) bool {
	l := r.lines[0]
	return r.err == nil && l.kind == kind && (key == "" || l.key == key)
}

// next returns the next line, which must be such a one.
func (r *cavpReader) next(kind lineKind, key string) line {
	if !r.is(kind, key) {
		r.fail(fmt.Errorf("%v where %v is due", r.lines[0], line{kind: kind, key: key}))
		return line{}
	}
	l := r.lines[0]
	r.lines = r.lines[1:]
	return l
}

func (r *cavpReader) fail(err error) {
	if r.err == nil {
		r.err = fmt.Errorf("line %d: %w", r.lines[0].number, err)
	}
}

// length reads a parameter that is a length in bits.
func (r *cavpReader) length(key string) int {
	l := r.next(parameter, key)
	if r.err != nil {
		return 0
	}
	n, err := strconv.ParseUint(l.value, 10, 31)
	if err != nil {
		r.fail(err)
	}
	return int(n)
}

// bytes reads a field of the given length in bits.
func (r *cavpReader) bytes(key string, bits int) []byte {
	l := r.next(field, key)
	if r.err != nil {
		return nil
	}
	b, err := hexField(key, l.value, bits)
	if err != nil {
		r.fail(err)
	}
	return b
}

// state reads the state that follows a marker, if there is one.
func (r *cavpReader) state(name string) *State {
	if !r.is(marker, name) {
		return nil
	}
	r.next(marker, name)
	s := new(State)
	for {
		switch {
		case s.V == nil && r.is(field, "V"):
			s.V = r.bytes("V", -1)
		case s.Key == nil && r.is(field, "Key"):
			s.Key = r.bytes("Key", -1)
		case s.C == nil && r.is(field, "C"):
			s.C = r.bytes("C", -1)
		case s.ReseedCounter == 0 && r.is(field, "reseed counter"):
			n, err := strconv.ParseUint(r.next(field, "").value, 10, 64)
			if err != nil {
				r.fail(err)
			}
			s.ReseedCounter = n
		default:
			if len(s.V) == 0 || len(s.Key) == 0 && len(s.C) == 0 {
				r.fail(errors.New("incomplete state"))
			}
			return s
		}
	}
}

// Lengths of the fields of a group, in bits.
type cavpLengths struct {
	entropy, nonce, personalization, additional, returned int
}

// parseCAVP reads a file of CAVP.
func parseCAVP(mechanism string, data []byte) ([]Group, error) {
	r, err := newCAVPReader(data)
	if err != nil {
		return nil, err
	}
	var groups []Group
	for r.err == nil && !r.is(endOfFile, "") {
		groups = append(groups, r.group(mechanism))
	}
	return groups, r.err
}

func (r *cavpReader) group(mechanism string) Group {
	g := Group{Mechanism: mechanism}
	g.Algorithm = r.next(algorithm, "").key
	if mechanism == CTR {
		var df string
		g.Algorithm, df, _ = strings.Cut(g.Algorithm, " ")
		switch df {
		case "use df":
		case "no df":
			g.NoDF = true
		default:
			r.fail(fmt.Errorf("derivation function: %q", df))
		}
	}
	pr := false
	switch v := r.next(parameter, "PredictionResistance").value; v {
	case "True":
		pr = true
	case "False":
	default:
		r.fail(fmt.Errorf("PredictionResistance is %q", v))
	}
	n := cavpLengths{
		entropy:         r.length("EntropyInputLen"),
		nonce:           r.length("NonceLen"),
		personalization: r.length("PersonalizationStringLen"),
		additional:      r.length("AdditionalInputLen"),
		returned:        r.length("ReturnedBitsLen"),
	}
	for {
		g.Cases = append(g.Cases, r.kase(&g, pr, n))
		if !r.is(field, "") {
			return g
		}
	}
}

func (r *cavpReader) kase(g *Group, pr bool, n cavpLengths) Case {
	count := strconv.Itoa(len(g.Cases))
	if l := r.next(field, "COUNT"); l.value != count {
		r.fail(fmt.Errorf("COUNT is %q, expected %s", l.value, count))
	}
	c := Case{Name: "COUNT=" + count}
	add := func(s Step) *Step {
		c.Steps = append(c.Steps, s)
		return &c.Steps[len(c.Steps)-1]
	}

	entropy := r.bytes("EntropyInput", n.entropy)
	nonce := r.bytes("Nonce", n.nonce)
	add(Step{
		Op:         Instantiate,
		Seed:       seedMaterial(g, entropy, nonce),
		Additional: r.bytes("PersonalizationString", n.personalization),
	}).State = r.state("INSTANTIATE")

	if !pr && r.is(field, "EntropyInputReseed") {
		add(Step{
			Op:         Reseed,
			Seed:       r.bytes("EntropyInputReseed", n.entropy),
			Additional: r.bytes("AdditionalInputReseed", n.additional),
		}).State = r.state("RESEED")
	}

	for _, call := range []string{"FIRST CALL", "SECOND CALL"} {
		additional := r.bytes("AdditionalInput", n.additional)
		if pr {
			add(Step{Op: Reseed, Seed: r.bytes("EntropyInputPR", n.entropy), Additional: additional})
			additional = nil
		}
		s := add(Step{Op: Generate, Additional: additional, Length: n.returned / 8})
		if call == "SECOND CALL" {
			s.Want = r.bytes("ReturnedBits", n.returned)
			if r.err == nil && len(s.Want) == 0 {
				r.fail(errors.New("nothing to compare with"))
			}
		}
		s.State = r.state("GENERATE (" + call + ")")
	}
	return c
}
