package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// A script is a connection with a client who says what it says, in pieces, and then hangs
// up.
type script struct {
	net.Conn // nil
	in       []byte
	piece    int
	out      bytes.Buffer
}

func (c *script) Read(b []byte) (int, error) {
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.in[:min(c.piece, len(c.in))])
	c.in = c.in[n:]
	return n, nil
}

func (c *script) Write(b []byte) (int, error)      { return c.out.Write(b) }
func (c *script) Close() error                     { return nil }
func (c *script) SetReadDeadline(time.Time) error  { return nil }
func (c *script) SetWriteDeadline(time.Time) error { return nil }

// model reads what a client says by the description of the protocol. It returns what the
// answers look like, with 'r' for each random byte, and the entropy that was taken in.
func model(in []byte, credited bool) (answers string, size, bits int64) {
	for len(in) > 0 {
		command := in[0]
		in = in[1:]
		switch command {
		case 0:
			answers += "\x00\x00\x01\x00"
		case 1, 2:
			if len(in) == 0 {
				return
			}
			if command == 1 {
				answers += string(in[:1])
			}
			answers += strings.Repeat("r", int(in[0]))
			in = in[1:]
		case 3:
			if len(in) < 3 {
				return
			}
			n, claim := int(in[2]), int(in[0])<<8+int(in[1])
			if claim > 8*n || len(in) < 3+n {
				return
			}
			size += int64(n)
			if credited {
				bits += int64(claim)
			}
			in = in[3+n:]
		case 4:
			answers += string(rune(len(pid()))) + pid()
		default:
			return
		}
	}
	return
}

// FuzzEGD compares the daemon with the model.
func FuzzEGD(f *testing.F) {
	for _, s := range []string{
		"", "\x00", "\x01\x10", "\x02\xff", "\x04", "\x05", "\x03\x00\x08\x01x\x00", "\x03\x00\x09\x01x\x00", "\x03\xff\xff\xff",
		"\x00\x01\x00\x02\x00\x03\x00\x00\x00\x04", "GET / HTTP/1.1\r\n\r\n", "\x02", "\x03\x00\x00\x05abc", strings.Repeat("\x01\xff", 20),
	} {
		f.Add([]byte(s), uint8(255), true)
		f.Add([]byte(s), uint8(1), false)
	}
	rng := newTestRNG(f, source())
	if _, err := rng.Read(make([]byte, 1)); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte, piece uint8, credited bool) {
		if len(in) > 1<<12 {
			return // the limit of bytes would be felt
		}
		g := testGate(t, "-rate", "1000000000", "-burst", "1000000000")
		defer g.end()
		e := &egd{rng: rng, strength: 256, gate: g, idle: time.Hour, timeout: time.Hour, credited: func(int64) bool { return credited }}
		c := &script{in: bytes.Clone(in), piece: max(1, int(piece))}
		inside, err := g.enter(c, peer{uid: 1})
		if err != nil {
			t.Fatal(err)
		}
		e.handle(context.Background(), inside)
		answers, size, bits := model(in, credited)
		out := c.out.Bytes()
		if len(out) != len(answers) {
			t.Fatalf("%d bytes of answers, want %d", len(out), len(answers))
		}
		for i := range out {
			if answers[i] != 'r' && out[i] != answers[i] {
				t.Fatalf("byte %d is %#x, want %#x", i, out[i], answers[i])
			}
		}
		if got := g.count.entropyBytes.Value(); got != size {
			t.Errorf("%d bytes of entropy, want %d", got, size)
		}
		if got := g.count.entropyBits.Value(); got != bits {
			t.Errorf("%d bits of entropy, want %d", got, bits)
		}
		if g.count.panics.Value() != 0 || g.open() != 0 {
			t.Errorf("%d panics, %d connections", g.count.panics.Value(), g.open())
		}
	})
}

// FuzzQuery wants numbers within bounds, or an error, whatever the query.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{"n=1", "n=0", "n=", "n", "", "n=1&n=1", "n=1;n=2", "n=%31", "n=%zz", "n=+1", "n=1_0", "n=0x10", "n=1&x=%ff%fe", "n=9223372036854775807", "&&&", "n=010"} {
		f.Add(s, int64(1<<20))
	}
	f.Add("n=9223372036854775807", int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, raw string, most int64) {
		if most < 1 {
			return
		}
		q, err := parseQuery(raw, "n")
		if err != nil {
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0xfffd }) {
				t.Errorf("the error has what the client sent: %q", err)
			}
			return
		}
		n, err := parseSize("n", q["n"], most)
		if err == nil && (n < 1 || n > most) {
			t.Errorf("%q: %d", raw, n)
		}
		if digits := strings.TrimLeft(q["n"], "0"); err == nil && strings.Trim(digits, "0123456789") != "" {
			t.Errorf("%q is taken as %d", q["n"], n)
		}
	})
}

// FuzzFlags wants a configuration within bounds, or an error of the right kind.
func FuzzFlags(f *testing.F) {
	for _, s := range []string{
		"-egd /a -http /b", "-rate 1e4 -burst 32768", "-feed 2s -feed-credit 512", "-mode 0777", "-credit-uids 0,1,2", "-source-rate os=0",
		"-idle 1h -timeout 1ns", "-help", "-- x", "-=", "-egd", "-rate NaN", "-request 0x10", "-in-mode +7", "-http [::1%25lo]:80",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c, err := parseFlags(strings.Fields(line), io.Discard)
		if err != nil {
			if _, ok := errors.AsType[errUsage](err); !ok && err.Error() != "flag: help requested" {
				t.Errorf("%q: %v", line, err)
			}
			return
		}
		if c.limits.rate < minRate || c.limits.burst < minBurst || c.limits.each < 1 || c.request < 1 || c.idle <= 0 || c.timeout <= 0 || c.mode > 0o777 ||
			c.feedCredit > 8*feedSize || c.feedCredit < 0 || c.feed != 0 && c.feed < feedPause || c.limits.seeds <= 0 {
			t.Errorf("%q: %+v", line, c)
		}
		for _, uid := range c.credit {
			if uid < 0 || uid >= math.MaxUint32 {
				t.Errorf("%q: uid %d", line, uid)
			}
		}
		for _, address := range slices.Concat(c.egd, c.http, c.in) {
			if err := checkAddress(address); err != nil {
				t.Errorf("%q: %v", line, err)
			}
		}
	})
}
