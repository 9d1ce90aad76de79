package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/lrng-go/lrng"
)

// The protocol of EGD, the entropy gathering daemon: the client sends a command, a byte,
// with its arguments, and reads the answer. Numbers are big endian.
//
//	00                      how much entropy is there?      4 bytes: bits
//	01 n                    n bytes, as far as they are     n' ≤ n, then n' bytes
//	                        there without waiting
//	02 n                    n bytes                         n bytes
//	03 bits(2) n data(n)    takes entropy in                none
//	04                      process id                      n, then n digits
//
// A byte that is no command ends the connection.
const (
	egdLevel byte = iota
	egdTry
	egdRead
	egdAdd
	egdPID
)

const egdMost = 255 // bytes of one command

// leastCost is what a command costs at least, in bytes of the limit of a client: one that
// is answered with nothing is work, too.
const leastCost = 64

// An egd answers by the protocol of EGD.
type egd struct {
	rng      *lrng.RNG
	strength uint32 // bits of the mechanism
	gate     *gate
	idle     time.Duration
	timeout  time.Duration
	credited func(uid int64) bool // whose entropy is credited; nil: nobody's
	refuse   bool                 // what the others bring
}

// serve answers on l until that is closed. Connections end when their command is answered
// and ctx is done.
func (s *egd) serve(ctx context.Context, l *listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go s.handle(ctx, c.(*conn))
	}
}

// handle serves one connection, and survives it.
func (s *egd) handle(ctx context.Context, c *conn) {
	defer c.Close()
	defer func() {
		if p := recover(); p != nil {
			s.gate.count.panics.Add(1)
			// The value may be made of what was handed out.
			s.gate.log.Error("panic in a connection", "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
		}
	}()
	// A silent client is not waited for at the end.
	stop := context.AfterFunc(ctx, func() { c.SetReadDeadline(time.Now()) })
	defer stop()
	var buf [4 + egdMost]byte
	defer clear(buf[:])
	for {
		err := s.command(ctx, c, &buf)
		clear(buf[:])
		if err != nil {
			if !errors.Is(err, io.EOF) {
				s.gate.log.Debug("connection ends", "client", c.client.name, "pid", c.peer.pid, "why", err)
			}
			return
		}
	}
}

var errShutdown = errors.New("shutdown")

// command reads a command and answers it. Between two of them there is the time idle,
// and for each part of one the time timeout.
func (s *egd) command(ctx context.Context, c *conn, buf *[4 + egdMost]byte) error {
	c.SetReadDeadline(time.Now().Add(s.idle))
	if ctx.Err() != nil { // after the deadline was set, so that it is not overlooked
		return errShutdown
	}
	if _, err := io.ReadFull(c, buf[:1]); err != nil {
		return err
	}
	c.SetReadDeadline(time.Now().Add(s.timeout))
	var answer []byte
	var err error
	switch buf[0] {
	case egdLevel:
		answer, err = s.level(c, buf)
	case egdTry:
		answer, err = s.try(c, buf)
	case egdRead:
		answer, err = s.read(ctx, c, buf)
	case egdAdd:
		return s.add(c, buf)
	case egdPID:
		answer = strconv.AppendInt(buf[:1], int64(os.Getpid()), 10)
		answer[0] = byte(len(answer) - 1)
		err = c.pay(leastCost)
	default:
		return fmt.Errorf("%#02x is not a command", buf[0])
	}
	if err != nil {
		return err
	}
	c.SetWriteDeadline(time.Now().Add(s.timeout))
	_, err = c.Write(answer)
	return err
}

// argument reads the byte that follows the command.
func (c *conn) argument(buf *[4 + egdMost]byte) (int, error) {
	if _, err := io.ReadFull(c, buf[1:2]); err != nil {
		return 0, fmt.Errorf("in a command: %w", noEOF(err))
	}
	return int(buf[1]), nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// pay waits until the client has so many bytes left in its limit, and takes them.
func (c *conn) pay(n int) error {
	return c.client.bytes.WaitN(c.gate.life, n)
}

// level answers how much entropy can be had without waiting. As the kernel does in
// entropy_avail it counts what one seed is worth, not how much output there is.
func (s *egd) level(c *conn, buf *[4 + egdMost]byte) ([]byte, error) {
	if err := c.pay(leastCost); err != nil {
		return nil, err
	}
	var bits uint32
	if _, err := s.rng.Nonblocking().Read(buf[4:5]); err == nil {
		bits = s.strength
	}
	binary.BigEndian.PutUint32(buf[:4], bits)
	return buf[:4], nil
}

// try answers with bytes, or with none if it would have to wait for a seed, or if the
// client has used up its limit.
func (s *egd) try(c *conn, buf *[4 + egdMost]byte) ([]byte, error) {
	n, err := c.argument(buf)
	if err != nil {
		return nil, err
	}
	granted := c.client.bytes.AllowN(time.Now(), max(n, leastCost))
	if !granted {
		// Not for the bytes, but lest it ask without end.
		if err := c.pay(leastCost); err != nil {
			return nil, err
		}
	}
	if !granted || n == 0 {
		buf[0] = 0
		return buf[:1], nil
	}
	switch _, err := s.rng.Nonblocking().Read(buf[1 : 1+n]); {
	case errors.Is(err, lrng.ErrNotSeeded):
		n = 0
	case err != nil:
		return nil, err
	}
	s.gate.count.bytes.Add(int64(n))
	buf[0] = byte(n)
	return buf[:1+n], nil
}

// read answers with bytes, and waits for them no longer than for a silent client.
func (s *egd) read(ctx context.Context, c *conn, buf *[4 + egdMost]byte) ([]byte, error) {
	n, err := c.argument(buf)
	if err != nil {
		return nil, err
	}
	if err := c.pay(max(n, leastCost)); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.idle)
	defer cancel()
	if _, err := s.rng.ReadContext(ctx, buf[:n]); err != nil {
		return nil, err
	}
	s.gate.count.bytes.Add(int64(n))
	return buf[:n], nil
}

// add takes entropy in, with the credit that the client states if it is one who may.
func (s *egd) add(c *conn, buf *[4 + egdMost]byte) error {
	if _, err := io.ReadFull(c, buf[1:4]); err != nil {
		return fmt.Errorf("in a command: %w", noEOF(err))
	}
	bits, n := int(binary.BigEndian.Uint16(buf[1:])), int(buf[3])
	if bits > 8*n {
		return fmt.Errorf("%d bits of entropy in %d bytes", bits, n)
	}
	if _, err := io.ReadFull(c, buf[4:4+n]); err != nil {
		return fmt.Errorf("in a command: %w", noEOF(err))
	}
	if err := c.pay(max(n, leastCost)); err != nil {
		return err
	}
	if s.credited == nil || !s.credited(c.peer.uid) {
		if s.refuse {
			s.gate.count.entropyRefused.Add(1)
			return errors.New("entropy refused")
		}
		bits = 0
	}
	if err := s.rng.AddEntropy(buf[4:4+n], bits); err != nil {
		return err
	}
	s.gate.count.entropyBytes.Add(int64(n))
	s.gate.count.entropyBits.Add(int64(bits))
	s.gate.log.Debug("entropy", "client", c.client.name, "pid", c.peer.pid, "bytes", n, "bits", bits)
	return nil
}
