package seeding_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/lrng-go/lrng/seeding"
)

func example() *seeding.Buffer {
	return &seeding.Buffer{
		Strategy: "default",
		Time:     time.Unix(1, 2).UTC(),
		Entries: []seeding.Entry{
			{Name: "a", Credit: 16, Data: []byte{0x11, 0x22}},
			{Name: "bc", Credit: 0, Data: []byte{0x33}},
		},
	}
}

// The encoding by hand, from the table in the documentation.
const exampleHex = "4c524e4753454544" + "01" + "07" + "64656661756c74" + "02ca9a3b00000000" + "0200" +
	"01" + "61" + "10000000" + "0200" + "1122" +
	"02" + "6263" + "00000000" + "0100" + "33"

func TestBufferEncoding(t *testing.T) {
	got, err := example().MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if hex.EncodeToString(got) != exampleHex {
		t.Errorf("got  %x\nwant %s", got, exampleHex)
	}
	var back seeding.Buffer
	if err := back.UnmarshalBinary(got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&back, example()) {
		t.Errorf("decoded as %+v", back.Entries)
	}
	if back.Credit() != 16 {
		t.Errorf("credit %d, want 16", back.Credit())
	}
	got[len(got)-1] ^= 1
	if back.Entries[1].Data[0] != 0x33 {
		t.Error("the decoded data are the input, not a copy")
	}
}

func TestBufferEveryPrefixIsRefused(t *testing.T) {
	p, _ := hex.DecodeString(exampleHex)
	for n := range p {
		b := example()
		if err := b.UnmarshalBinary(p[:n]); err == nil {
			t.Errorf("the first %d of %d bytes are accepted", n, len(p))
		}
		if !reflect.DeepEqual(b, example()) {
			t.Fatalf("the first %d bytes changed the receiver", n)
		}
	}
}

func TestBufferRefuses(t *testing.T) {
	good, _ := hex.DecodeString(exampleHex)
	change := func(off int, v byte) []byte {
		p := bytes.Clone(good)
		p[off] = v
		return p
	}
	for _, tt := range []struct {
		name, want string
		p          []byte
	}{
		{"magic", "magic", change(0, 'X')},
		{"version 2", "version 2", change(8, 2)},
		{"version 0", "version 0", change(8, 0)},
		{"trailing byte", "follow", append(bytes.Clone(good), 0)},
		{"more entries than there are", "cut off", change(25, 3)},
		{"fewer entries than there are", "follow", change(25, 1)},
		{"no name", "without a name", append(bytes.Clone(good[:25]), 1, 0, 0, 0, 0, 0, 0, 0, 0)},
		{"credit above the data", "credits 17 bits for 2 bytes", change(29, 17)},
		{"huge", "the most is", append(bytes.Clone(good), make([]byte, 1<<21)...)},
		{"empty", "magic", nil},
	} {
		var b seeding.Buffer
		if err := b.UnmarshalBinary(tt.p); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want something with %q", tt.name, err, tt.want)
		}
	}
	for _, tt := range []struct {
		field string
		spoil func(*seeding.Buffer)
	}{
		{"Strategy", func(b *seeding.Buffer) { b.Strategy = strings.Repeat("x", 256) }},
		{"Time", func(b *seeding.Buffer) { b.Time = time.Time{} }},
		{"Entries", func(b *seeding.Buffer) { b.Entries = make([]seeding.Entry, 1<<16) }},
		{"Entries[1].Name", func(b *seeding.Buffer) { b.Entries[1].Name = "" }},
		{"Entries[0].Name", func(b *seeding.Buffer) { b.Entries[0].Name = strings.Repeat("x", 256) }},
		{"Entries[0].Credit", func(b *seeding.Buffer) { b.Entries[0].Credit = 17 }},
		{"Entries[0].Credit", func(b *seeding.Buffer) { b.Entries[0].Credit = -1 }},
		{"Entries[1].Data", func(b *seeding.Buffer) { b.Entries[1].Data = make([]byte, 1<<16) }},
		{"of", func(b *seeding.Buffer) {
			b.Entries = nil
			for range 33 {
				b.Entries = append(b.Entries, seeding.Entry{Name: "x", Data: make([]byte, 1<<16-1)})
			}
		}},
	} {
		b := example()
		tt.spoil(b)
		if p, err := b.MarshalBinary(); p != nil || err == nil || !strings.Contains(err.Error(), tt.field) {
			t.Errorf("%s: got %v", tt.field, err)
		}
	}
}

func TestBufferClear(t *testing.T) {
	b := example()
	data := b.Entries[0].Data
	b.Clear()
	if data[0] != 0 || data[1] != 0 || b.Entries != nil {
		t.Error("the data are still there")
	}
	b.Clear()
}

func TestBufferIsNotPrinted(t *testing.T) {
	b := example()
	b.Entries[0].Data = []byte("SECRET")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, b); strings.Contains(got, "SECRET") || strings.Contains(got, "83") || strings.Contains(got, "53") {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}

func FuzzBuffer(f *testing.F) {
	good, _ := hex.DecodeString(exampleHex)
	f.Add(good)
	f.Add(good[:20])
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, p []byte) {
		var b seeding.Buffer
		if b.UnmarshalBinary(p) != nil {
			return
		}
		again, err := b.MarshalBinary()
		if err != nil {
			t.Fatalf("decoded, but cannot be encoded: %v", err)
		}
		if !bytes.Equal(again, p) {
			t.Fatalf("not canonical: %x became %x", p, again)
		}
		if b.Credit() > 8*len(p) {
			t.Fatalf("credit %d for %d bytes", b.Credit(), len(p))
		}
	})
}

func ExampleBuffer() {
	seed := &seeding.Buffer{
		Strategy: seeding.Default.Name(),
		Time:     time.Unix(1700000000, 0),
		Entries:  []seeding.Entry{{Name: "token", Credit: 64, Data: []byte("not random")}},
	}
	p, err := seed.MarshalBinary()
	if err != nil {
		fmt.Println(err)
		return
	}
	var got seeding.Buffer
	if err := got.UnmarshalBinary(p); err != nil {
		fmt.Println(err)
		return
	}
	defer got.Clear()
	fmt.Println(len(p), got.Strategy, got.Entries[0].Name, got.Credit())
	// Output: 49 default token 64
}
