package main

import (
	"bytes"
	"crypto/fips140"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

func TestOutput(t *testing.T) {
	if fips140.Enforced() {
		if err := run(new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), "Config.FIPS") {
			t.Errorf("in enforced FIPS 140-3 mode: %v", err)
		}
		return
	}
	var first, second bytes.Buffer
	for _, w := range []*bytes.Buffer{&first, &second} {
		if err := run(w); err != nil {
			t.Fatal(err)
		}
	}
	form := regexp.MustCompile(`^DRNG:        SHA-512 fast key erasure, 256 bits of strength
Conditioner: SHA-512/256, 256 bits wide
32 bytes:    ([0-9a-f]{64})

Now CTR_DRBG of lrng: CTR_DRBG AES-256 with SHA-512/256; (\d+) reads meanwhile
Now our mechanism again: SHA-512 fast key erasure with SHA-512/256; (\d+) reads meanwhile
Now SHA3-512 of lrng: SHA-512 fast key erasure with SHA3-512; (\d+) reads meanwhile
Now our conditioner again: SHA-512 fast key erasure with SHA-512/256; (\d+) reads meanwhile
$`)
	a, b := form.FindStringSubmatch(first.String()), form.FindStringSubmatch(second.String())
	if a == nil || b == nil {
		t.Fatalf("output:\n%s", &first)
	}
	if a[1] == b[1] {
		t.Error("the same 32 bytes twice")
	}
	for _, s := range a[2:] {
		// Four readers, each of which reads before and after the change.
		if n, err := strconv.Atoi(s); err != nil || n < 8 {
			t.Errorf("%s reads; want 8 or more", s)
		}
	}
}

// A reader that counts, and fails when it is told to.
type counter struct {
	reads atomic.Int64
	fail  atomic.Bool
}

var errCounter = errors.New("no more")

func (c *counter) Read(b []byte) (int, error) {
	if c.fail.Load() {
		return 0, errCounter
	}
	c.reads.Add(1)
	return len(b), nil
}

func TestWhileReading(t *testing.T) {
	var c counter
	atStart := int64(0)
	reads, err := whileReading(&c, func() error { atStart = c.reads.Load(); return nil })
	if err != nil || int64(reads) != c.reads.Load() || atStart < 4 || int64(reads) < atStart+4 {
		t.Errorf("%d reads, %d when the change began, %v; the reader counted %d", reads, atStart, err, c.reads.Load())
	}

	refused := errors.New("refused")
	if _, err := whileReading(&c, func() error { return refused }); err != refused {
		t.Errorf("error of the change: %v", err)
	}
	if _, err := whileReading(&c, func() error { c.fail.Store(true); return nil }); err != errCounter {
		t.Errorf("error of a reader during the change: %v", err)
	}
	if _, err := whileReading(&c, func() error { return nil }); err != errCounter {
		t.Errorf("error of all readers from the start: %v", err)
	}
}
