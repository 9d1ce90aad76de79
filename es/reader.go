package es

import (
	"errors"
	"io"
)

// ReaderConfig configures a [Reader]. The zero value of all fields but the first is
// recommended where nothing is known of the data: they are not credited then.
type ReaderConfig struct {
	// Reader delivers the data. It must not be read by others.
	Reader io.Reader

	// Rate is the min-entropy of 256 bits of data, in bits: 1…256. It has to be
	// declared: 0 is no credit, as a negative rate is, and one above 256 an error.
	//
	// It is what the data hold for somebody who knows all that can be known of how
	// they come about. What comes over a network in clear has none.
	Rate int

	// Name is the name of the source, which tells several readers of one generator
	// apart; "" means "reader".
	Name string

	// Certificate is the name of the certificate, as "E123", under which the reader
	// delivers the output of a validated entropy source. Whoever sets it declares
	// that; nothing checks it. In FIPS 140-3 mode a generator of lrng credits the
	// source only if it is set.
	Certificate string
}

const readerName = "reader"

// Reader is an [io.Reader] as an entropy source, with the entropy that its user
// declares: a TPM, a PKCS#11 token, a service on another machine.
//
// It is read by a goroutine of its own, ahead and at most 32 bytes at a time, and
// tested as [Device] describes; a rate that is not declared is tested as the least
// one, 1. A Read that hangs, panics or fails costs the credit of the source and nothing
// else. No second Read is called before one has returned.
//
// A Read may bring less than was asked for. It has failed, with what it brought
// counting, when it returns an error, [io.EOF] included, when it panics or ends its
// goroutine, and when a hundred in a row bring nothing. The Reader then tries again,
// as often and with pauses as a Device does. A Read that returns an impossible length
// is a permanent failure, a [*HealthError].
//
// A Reader is safe for concurrent use. Who made it should Close it. That does not close
// the [io.Reader]: one that hangs should be closed before.
type Reader struct{ feed }

// NewReader returns the source with configuration c. It does not read anything.
func NewReader(c ReaderConfig) *Reader {
	r := new(Reader)
	if c.Name == "" {
		c.Name = readerName
	}
	r.init("ReaderConfig", c.Name, c.Certificate, c.Rate, 0, func(p []byte) (int, error) { return c.Reader.Read(p) }, func() {})
	if c.Reader == nil && r.invalid == nil {
		r.rate, r.invalid = 0, errors.New("es: ReaderConfig.Reader is nil")
	}
	return r
}

// String returns the name of the type. The state is not printed.
func (r *Reader) String() string { return "es.Reader" }

// GoString returns the name of the type. The state is not printed.
func (r *Reader) GoString() string { return "es.Reader" }
