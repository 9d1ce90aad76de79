package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/mlkem"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/lrngtest"
)

func TestOutput(t *testing.T) {
	var out bytes.Buffer
	if err := run(&out); err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{
		`^TLS 1\.3, TLS_\w+, key exchange \w+\n`,
		`\nKey and serial number: +[45][0-9] bytes of lrng\n`, // 32 and 16 or 17, now and then twice
		`\nServer: +[1-9]\d+ bytes of lrng\n`,
		`\nClient: +[1-9]\d+ bytes of lrng\n$`,
	} {
		if !regexp.MustCompile(pattern).MatchString(out.String()) {
			t.Errorf("nothing matches %s in:\n%s", pattern, &out)
		}
	}
}

// tap keeps what is written to a connection.
type tap struct {
	net.Conn
	written bytes.Buffer
}

func (t *tap) Write(p []byte) (int, error) {
	t.written.Write(p)
	return t.Conn.Write(p)
}

// hello returns the random number, the session id and the rest of the hello message that a
// connection begins with (RFC 8446, Sections 4.1.2, 4.1.3 and 5.1).
func (t *tap) hello(test *testing.T) (random, id, rest []byte) {
	test.Helper()
	p := t.written.Bytes()
	// Header of the record, 5 bytes; of the message, 4; version, 2; random number, 32.
	if len(p) < 44 || p[0] != 22 || len(p) < 5+int(p[3])<<8+int(p[4]) || len(p) < 44+int(p[43]) {
		test.Fatalf("no hello message: %x", p)
	}
	p = p[:5+int(p[3])<<8+int(p[4])]
	n := 44 + int(p[43])
	return p[11:43], p[44:n], p[n:]
}

// connect makes a connection whose ends have readers with the stream of the seed.
func connect(t *testing.T, seed string) (server, client *tap) {
	t.Helper()
	certificate, err := newCertificate(lrng.Reader, "localhost")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	done := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			server = &tap{Conn: conn}
			err = serve(server, serverConfig(lrngtest.Reader(t, seed+" server"), certificate))
		}
		done <- err
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	client = &tap{Conn: conn}
	_, err = ask(client, clientConfig(lrngtest.Reader(t, seed+" client"), certificate), "hello")
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	return server, client
}

// What the package comment says of hello messages: the random numbers, the session id and
// the ML-KEM key of the client are bytes of Config.Rand. The X25519 keys, and what the server
// encapsulates, are not: those of two connections with the same bytes differ.
func TestWhatIsFromLRNG(t *testing.T) {
	var shares, answers [2][]byte // of two connections: the client's X25519 key, and the end of the server's hello
	for i := range 2 {
		of := make([]byte, 128)
		lrngtest.Reader(t, "a client").Read(of)
		server, client := connect(t, "a")
		random, id, rest := client.hello(t)
		if !bytes.Equal(random, of[:32]) || !bytes.Equal(id, of[32:64]) {
			t.Errorf("random number %x, session id %x; want %x", random, id, of[:64])
		}
		key, err := mlkem.NewDecapsulationKey768(of[64:])
		if err != nil {
			t.Fatal(err)
		}
		// X25519MLKEM768: the one key and then the other (draft-ietf-tls-ecdhe-mlkem, Section 4.1).
		_, after, ok := bytes.Cut(rest, key.EncapsulationKey().Bytes())
		if !ok || len(after) < 32 {
			t.Fatalf("the ML-KEM key of the client is not that of the bytes %x", of[64:])
		}
		shares[i] = after[:32]

		lrngtest.Reader(t, "a server").Read(of)
		random, _, rest = server.hello(t)
		if !bytes.Contains(of, random) {
			t.Errorf("random number of the server: %x; want one in %x", random, of)
		}
		answers[i] = rest
	}
	if bytes.Equal(shares[0], shares[1]) {
		t.Error("the X25519 keys of the client are the same")
	}
	if bytes.Equal(answers[0], answers[1]) {
		t.Error("the key shares of the server are the same")
	}
}

// The key is a function of the bytes.
func TestKey(t *testing.T) {
	keys := make(map[string]bool)
	for _, seed := range []string{"a", "a", "b"} {
		c, err := newCertificate(lrngtest.Reader(t, seed), "localhost")
		if err != nil {
			t.Fatal(err)
		}
		if c.Leaf.SerialNumber.Sign() <= 0 || c.Leaf.SerialNumber.BitLen() > 129 {
			t.Errorf("serial number %v", c.Leaf.SerialNumber)
		}
		keys[string(c.PrivateKey.(ed25519.PrivateKey))+c.Leaf.SerialNumber.String()] = true
	}
	if len(keys) != 2 {
		t.Errorf("%d keys of two seeds", len(keys))
	}
}

var errTest = errors.New("test")

// A generator that fails gives no key, no certificate and no connection.
func TestNoRandomBytes(t *testing.T) {
	for n := range 48 {
		if c, err := newCertificate(lrngtest.Bytes(t, make([]byte, n), errTest), "localhost"); !errors.Is(err, errTest) || c.PrivateKey != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	certificate, err := newCertificate(lrng.Reader, "localhost")
	if err != nil {
		t.Fatal(err)
	}
	a, b := net.Pipe()
	defer b.Close()
	go io.Copy(io.Discard, b)
	if _, err := ask(a, clientConfig(lrngtest.ErrReader(t, errTest), certificate), "hello"); err == nil || !strings.Contains(err.Error(), errTest.Error()) {
		t.Errorf("connection: %v", err)
	}
}
