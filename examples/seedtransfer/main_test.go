package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/seeding"
)

// TestMain lets this test be the program that parent starts again.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "child" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestOutput(t *testing.T) {
	patterns := []string{`(?m)^A seed of the strategy ".+" from 20`, `(?m)^ +\d+ bytes of .+, \d+ bits of min-entropy$`, `(?m)^CTR_DRBG AES-256: ([0-9a-f]{64})$`}
	if seeds() == 2 {
		patterns = append(patterns, `(?m)^(?:ChaCha20|CTR_DRBG AES-256), fully seeded: ([0-9a-f]{64})$`, `(?m)^Verdict: default: (?:2[5-9]\d|[3-9]\d\d)/256 bits$`)
	}
	seen := make(map[string]bool)
	for range 2 {
		var out bytes.Buffer
		if err := parent(&out); err != nil {
			t.Fatal(err)
		}
		for _, pattern := range patterns {
			m := regexp.MustCompile(pattern).FindStringSubmatch(out.String())
			if m == nil {
				t.Errorf("nothing matches %s in:\n%s", pattern, &out)
			} else if len(m) == 2 && seen[m[1]] {
				t.Errorf("%s: twice the same", pattern)
			} else if len(m) == 2 {
				seen[m[1]] = true
			}
		}
	}
}

func TestBadSeeds(t *testing.T) {
	poor, err := (&seeding.Buffer{Time: time.Unix(1, 0), Entries: []seeding.Entry{{Name: "a", Credit: 383, Data: make([]byte, 48)}}}).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	frame := func(p []byte) []byte { return append(binary.LittleEndian.AppendUint32(nil, uint32(len(p))), p...) }
	for _, tt := range []struct {
		name, want string
		in         []byte
	}{
		{"nothing", "length of the seed: EOF", nil},
		{"half a length", "length of the seed: unexpected EOF", []byte{1, 0}},
		{"too long", "length of the seed: 4294967295 bytes", []byte{255, 255, 255, 255}},
		{"cut off", "seed: unexpected EOF", frame(poor)[:50]},
		{"not a seed", "seeding: ", frame(make([]byte, 100))},
		{"too little", "the seed has 383 bits of min-entropy; 384 are needed", frame(poor)},
	} {
		err := child(bytes.NewReader(tt.in), io.Discard)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", tt.name, err, tt.want)
		}
	}
}

func TestClosedPipe(t *testing.T) {
	r, err := lrng.New(lrng.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	pr, pw := io.Pipe()
	pr.Close()
	if err := send(t.Context(), r, pw, 1); err != io.ErrClosedPipe {
		t.Errorf("send to a closed pipe: %v", err)
	}
}
