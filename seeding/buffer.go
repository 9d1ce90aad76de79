package seeding

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/lrng-go/lrng/internal/zero"
)

// A Buffer is a collection of entropy on its way to another generator: the data
// of the sources themselves with the credit of each, not the output of a
// generator. Who holds it holds a secret, and uses it once (SP 800-90A, Section
// 8.6.9).
//
// Its encoding is canonical: a Buffer has one encoding, and what decodes is
// encoded to the same bytes again. All numbers are little endian and unsigned
// unless stated:
//
//	magic      8 bytes   "LRNGSEED"
//	version    1 byte    1
//	strategy   1 byte length, then so many bytes
//	time       8 bytes   signed nanoseconds since 1970-01-01 UTC
//	entries    2 bytes   their number; then for each, in the order of collection:
//	  name     1 byte length, then so many bytes; not empty
//	  credit   4 bytes   bits, at most 8 times the length of the data
//	  data     2 byte length, then so many bytes
//
// Nothing follows the last entry. A source may have several entries, one for
// each time that it was asked.
type Buffer struct {
	Strategy string    // the name of the strategy that the collector followed
	Time     time.Time // when the collection was complete
	Entries  []Entry
}

// An Entry is what one source delivered on one occasion.
type Entry struct {
	Name   string // of the source
	Credit int    // min-entropy, in bits
	Data   []byte
}

const (
	magic   = "LRNGSEED"
	version = 1

	// maxEncoding bounds what UnmarshalBinary looks at, in bytes. The most that a
	// generator needs are 4096 bits gathered one by one, each with a name of 255 bytes
	// and 64 bytes of data: 4096·326 bytes.
	maxEncoding = 1 << 21
)

// Credit returns the sum of the credits, in bits.
func (b *Buffer) Credit() int {
	sum := 0
	for _, e := range b.Entries {
		sum += e.Credit
	}
	return sum
}

// Clear wipes the data and drops the entries.
func (b *Buffer) Clear() {
	for i := range b.Entries {
		zero.Bytes(b.Entries[i].Data)
	}
	b.Entries = nil
}

// String returns the name of the type. The data are not printed.
func (b *Buffer) String() string { return "seeding.Buffer" }

// GoString returns the name of the type. The data are not printed.
func (b *Buffer) GoString() string { return "seeding.Buffer" }

// MarshalBinary returns the encoding. The only copy of the data that it makes
// is in the result.
func (b *Buffer) MarshalBinary() ([]byte, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	n := len(magic) + 1 + 1 + len(b.Strategy) + 8 + 2
	for _, e := range b.Entries {
		n += 1 + len(e.Name) + 4 + 2 + len(e.Data)
	}
	if n > maxEncoding {
		return nil, fmt.Errorf("seeding: Buffer of %d bytes; the most is %d", n, maxEncoding)
	}
	p := make([]byte, 0, n) // never grows: a grown slice would leave a copy behind
	p = append(p, magic...)
	p = append(p, version)
	p = append(p, byte(len(b.Strategy)))
	p = append(p, b.Strategy...)
	p = binary.LittleEndian.AppendUint64(p, uint64(b.Time.UnixNano()))
	p = binary.LittleEndian.AppendUint16(p, uint16(len(b.Entries)))
	for _, e := range b.Entries {
		p = append(p, byte(len(e.Name)))
		p = append(p, e.Name...)
		p = binary.LittleEndian.AppendUint32(p, uint32(e.Credit))
		p = binary.LittleEndian.AppendUint16(p, uint16(len(e.Data)))
		p = append(p, e.Data...)
	}
	return p, nil
}

func (b *Buffer) check() error {
	if len(b.Strategy) > 255 {
		return fmt.Errorf("seeding: Buffer.Strategy of %d bytes; the most is 255", len(b.Strategy))
	}
	if !time.Unix(0, b.Time.UnixNano()).Equal(b.Time) {
		return errors.New("seeding: Buffer.Time is not set, or beyond what 64 bits of nanoseconds since 1970 hold")
	}
	if len(b.Entries) > 1<<16-1 {
		return fmt.Errorf("seeding: Buffer.Entries: %d; the most is %d", len(b.Entries), 1<<16-1)
	}
	for i, e := range b.Entries {
		switch {
		case e.Name == "" || len(e.Name) > 255:
			return fmt.Errorf("seeding: Buffer.Entries[%d].Name of %d bytes; want 1…255", i, len(e.Name))
		case len(e.Data) > 1<<16-1:
			return fmt.Errorf("seeding: Buffer.Entries[%d].Data of %d bytes; the most is %d", i, len(e.Data), 1<<16-1)
		case e.Credit < 0 || e.Credit > 8*len(e.Data):
			return fmt.Errorf("seeding: Buffer.Entries[%d].Credit of %d bits for %d bytes of data", i, e.Credit, len(e.Data))
		}
	}
	return nil
}

// UnmarshalBinary decodes what MarshalBinary returned. Anything else is an
// error that says what is wrong, and b is unchanged. The data are copied; p may
// and should be wiped after the call.
func (b *Buffer) UnmarshalBinary(p []byte) error {
	if len(p) > maxEncoding {
		return fmt.Errorf("seeding: encoded Buffer of %d bytes; the most is %d", len(p), maxEncoding)
	}
	d := decoder{rest: p}
	if string(d.take(len(magic))) != magic {
		return errors.New("seeding: not an encoded Buffer: wrong magic number")
	}
	if v := d.uint(1); d.err == nil && v != version {
		return fmt.Errorf("seeding: encoded Buffer has version %d; this package reads version %d", v, version)
	}
	var n Buffer
	n.Strategy = string(d.take(int(d.uint(1))))
	nanos := int64(d.uint(8))
	n.Time = time.Unix(0, nanos).UTC()
	for range d.uint(2) {
		name := string(d.take(int(d.uint(1))))
		credit := d.uint(4)
		data := d.take(int(d.uint(2)))
		if d.err != nil {
			break
		}
		if name == "" {
			d.err = errors.New("seeding: encoded Buffer has a source without a name")
			break
		}
		if credit > 8*uint64(len(data)) {
			d.err = fmt.Errorf("seeding: encoded Buffer credits %d bits for %d bytes of data", credit, len(data))
			break
		}
		n.Entries = append(n.Entries, Entry{Name: name, Credit: int(credit), Data: append([]byte(nil), data...)})
	}
	if d.err == nil && len(d.rest) > 0 {
		d.err = fmt.Errorf("seeding: %d bytes follow the encoded Buffer", len(d.rest))
	}
	if d.err != nil {
		n.Clear()
		return d.err
	}
	*b = n
	return nil
}

// A decoder reads fields until the first error.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) take(n int) []byte {
	if d.err == nil && n > len(d.rest) {
		d.err = errors.New("seeding: encoded Buffer is cut off")
	}
	if d.err != nil {
		return nil
	}
	p := d.rest[:n]
	d.rest = d.rest[n:]
	return p
}

func (d *decoder) uint(size int) uint64 {
	var v uint64
	for i, c := range d.take(size) {
		v |= uint64(c) << (8 * i)
	}
	return v
}
