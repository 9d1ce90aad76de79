// Uuid prints UUIDs of versions 4 and 7 (RFC 9562), made of random bytes of lrng.
//
// What to take from it: a UUID takes 16 random bytes and two masks, and no library with a
// pool of its own. Version 4 says nothing but that it is unique: 122 bits are random.
// Version 7 begins with the time in milliseconds, which anybody can read, and which puts new
// rows of a database side by side; 74 bits are random. Neither is a password: for that there
// is [lrng.Text].
//
// Usage: uuid [-n NUMBER] [4|7]
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/lrng-go/lrng"
)

// A UUID is one of 128 bits.
type UUID [16]byte

// NewV4 returns a random UUID (RFC 9562, Section 5.4).
func NewV4(r io.Reader) (u UUID, err error) {
	if _, err = io.ReadFull(r, u[:]); err != nil {
		return UUID{}, err
	}
	u.mark(4)
	return u, nil
}

// NewV7 returns a random UUID that begins with the time now (RFC 9562, Section 5.7). Those
// of one millisecond are in no order.
func NewV7(r io.Reader, now time.Time) (u UUID, err error) {
	if _, err = io.ReadFull(r, u[6:]); err != nil {
		return UUID{}, err
	}
	ms := uint64(now.UnixMilli())
	binary.BigEndian.PutUint16(u[:], uint16(ms>>32))
	binary.BigEndian.PutUint32(u[2:], uint32(ms))
	u.mark(7)
	return u, nil
}

// mark puts in the version and the variant (RFC 9562, Sections 4.1 and 4.2).
func (u *UUID) mark(version byte) {
	u[6] = u[6]&0x0f | version<<4
	u[8] = u[8]&0x3f | 0x80
}

// String returns the UUID in the form of RFC 9562, Section 4.
func (u UUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

func main() {
	n := flag.Int("n", 1, "print so many of each `NUMBER`")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: uuid [-n NUMBER] [4|7]")
		flag.PrintDefaults()
	}
	flag.Parse()
	versions := []int{4, 7}
	if v, err := strconv.Atoi(flag.Arg(0)); flag.NArg() > 0 {
		if flag.NArg() > 1 || err != nil || v != 4 && v != 7 {
			fmt.Fprintf(os.Stderr, "uuid: %q: the versions are 4 and 7\n", flag.Args())
			os.Exit(2)
		}
		versions = []int{v}
	}
	if *n < 0 {
		fmt.Fprintf(os.Stderr, "uuid: -n %d: must not be negative\n", *n)
		os.Exit(2)
	}
	if err := run(os.Stdout, versions, *n); err != nil {
		fmt.Fprintln(os.Stderr, "uuid:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, versions []int, n int) error {
	for _, version := range versions {
		for range n {
			u, err := NewV4(lrng.Reader)
			if version == 7 {
				u, err = NewV7(lrng.Reader, time.Now())
			}
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintln(w, u); err != nil {
				return err
			}
		}
	}
	return nil
}
