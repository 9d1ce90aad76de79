// Package leak looks for secrets in dumps of memory: core files, swap, the memory of a
// process. It is for tests, and for programs that show what a dump gives away.
//
// Who looks for a key in a dump does not need all of it in one piece. A Scanner finds
// parts of a secret, from four bytes on, as they are and with the bytes of each word
// of four or eight reversed, as code for the other order of bytes leaves them.
package leak

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"slices"
)

// A Hit is a place where a part of a secret was found.
type Hit struct {
	Name   string // of the secret
	Form   string // "", or how it was changed: "words of 4 reversed", "words of 8 reversed"
	Part   int    // where in the secret the part begins, in bytes
	Size   int    // of the part, in bytes
	Offset int64  // in what was scanned, in bytes
}

const (
	// word is the alignment of parts within a secret, and the size of the smallest.
	word = 4

	// near is how far apart, in bytes, two parts of four bytes may be that count. Alone
	// one is no evidence: in 42 MB, a small core file, one in a hundred words
	// that were never there is found by chance.
	near = 64

	bufferSize = 1 << 20
	filterBits = 24
)

// A form is one of the ways in which a secret is looked for.
type form struct {
	secret    int // the number of Add
	name, how string
	bytes     []byte
	least     int
}

// An entry is a part of a form that begins with a certain word. There are many.
type entry struct {
	form, at, next int32 // next is the number of another one with the same word, or -1
}

// A Scanner looks for any number of secrets in one pass. Its memory is full of
// them: it belongs in another process than the one that is examined.
type Scanner struct {
	filter  []uint64 // a bit for each hash of the first word of a part
	first   map[uint32]int32
	entries []entry
	forms   []form
	longest int
	secrets int
	buffer  int // its size in bytes, if not bufferSize
}

// Add adds a secret. Parts of it count from least bytes on, which is at least 4. With
// less than 8, parts that stand alone do not count: see [Scanner.Scan]. Bytes
// at the end that are no whole word are found only with the words before them.
func (s *Scanner) Add(name string, secret []byte, least int) {
	if s.first == nil {
		s.first = make(map[uint32]int32)
		s.filter = make([]uint64, 1<<filterBits/64)
	}
	least = max(least, word)
	s.add(form{s.secrets, name, "", bytes.Clone(secret), least})
	for _, f := range []struct {
		how  string
		size int
	}{{"words of 4 reversed", 4}, {"words of 8 reversed", 8}} {
		b := bytes.Clone(secret[:len(secret)/f.size*f.size])
		for i := 0; i < len(b); i += f.size {
			slices.Reverse(b[i : i+f.size])
		}
		s.add(form{s.secrets, name, f.how, b, least})
	}
	s.secrets++
}

func (s *Scanner) add(f form) {
	s.longest = max(s.longest, len(f.bytes))
	for i := 0; i+max(f.least, word) <= len(f.bytes); i += word {
		w := binary.LittleEndian.Uint32(f.bytes[i:])
		if w == 0 {
			continue // a dump is full of them; the part is found from the next word on
		}
		h := hash(w)
		s.filter[h/64] |= 1 << (h % 64)
		next, ok := s.first[w]
		if !ok {
			next = -1
		}
		s.first[w] = int32(len(s.entries))
		s.entries = append(s.entries, entry{int32(len(s.forms)), int32(i), next})
	}
	s.forms = append(s.forms, f)
}

func hash(w uint32) uint32 { return w * 0x9e3779b1 >> (32 - filterBits) }

// Scan returns the places where parts of the secrets are in r, in the order of the
// offsets. A part that is within another one is not named again. A part of less than 8
// bytes counts only if another part of the same secret is within 64 bytes of it, and not in
// the same place.
//
// The error is that of r, or says that there is no secret to look for.
func (s *Scanner) Scan(r io.Reader) ([]Hit, error) {
	if s.longest == 0 {
		return nil, errors.New("leak: nothing to look for")
	}
	var hits []Hit
	ends := make(map[int]int64) // where the last part of each secret ends
	buf := make([]byte, cmp.Or(s.buffer, bufferSize)+s.longest)
	n, base := 0, int64(0)
	for {
		m, err := io.ReadFull(r, buf[n:])
		n += m
		end := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !end {
			return nil, err
		}
		// Positions from which the longest secret might go on behind the buffer
		// are for the next round.
		last := n - s.longest
		if end {
			last = n - word
		}
		i := 0
		for ; i <= last; i++ {
			if k := zeros(buf[i:n]); k > 0 {
				i += k - word // at the last bytes of these the next word may begin
				continue
			}
			w := binary.LittleEndian.Uint32(buf[i:])
			if h := hash(w); s.filter[h/64]&(1<<(h%64)) == 0 {
				continue
			}
			next, ok := s.first[w]
			if !ok {
				continue
			}
			at := base + int64(i)
			for next >= 0 {
				e := s.entries[next]
				f := &s.forms[e.form]
				size := common(buf[i:n], f.bytes[e.at:])
				if size >= f.least && at+int64(size) > ends[f.secret] {
					ends[f.secret] = at + int64(size)
					hits = append(hits, Hit{f.name, f.how, int(e.at), size, at})
				}
				next = e.next
			}
		}
		if end {
			return evident(hits), nil
		}
		base += int64(i)
		n = copy(buf, buf[i:n])
	}
}

// page is what most of a dump is made of.
var page [4096]byte

// zeros returns a number of zero bytes at the beginning of p: 0, 8 or a page.
func zeros(p []byte) int {
	if len(p) < 8 || binary.LittleEndian.Uint64(p) != 0 {
		return 0
	}
	if len(p) >= len(page) && bytes.Equal(p[:len(page)], page[:]) {
		return len(page)
	}
	return 8
}

// common returns how many bytes a and b have in common at their beginning.
func common(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// evident removes small parts that stand alone.
func evident(hits []Hit) []Hit {
	slices.SortStableFunc(hits, func(a, b Hit) int { return cmp.Compare(a.Offset, b.Offset) })
	var kept []Hit
	for i, h := range hits {
		ok := h.Size >= 2*word
		for j := i + 1; !ok && j < len(hits) && hits[j].Offset-h.Offset <= near; j++ {
			ok = other(h, hits[j])
		}
		for j := i - 1; !ok && j >= 0 && h.Offset-hits[j].Offset <= near; j-- {
			ok = other(h, hits[j])
		}
		if ok {
			kept = append(kept, h)
		}
	}
	return kept
}

// other reports whether a and b are different parts of one secret. Of two that share a byte
// of what was scanned, one at least is there by chance.
func other(a, b Hit) bool {
	apart := a.Offset+int64(a.Size) <= b.Offset || b.Offset+int64(b.Size) <= a.Offset
	return a.Name == b.Name && a.Part != b.Part && apart
}
