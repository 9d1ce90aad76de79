// Tls makes a key and a certificate from random bytes of lrng, and gives lrng to both ends of
// a TLS connection.
//
// What to take from it: where the bytes go, and where they do not.
//
//	from lrng      the Ed25519 key: ed25519.GenerateKey uses its reader
//	               the serial number of the certificate: lrng.Int
//	               of tls.Config.Rand: the random numbers of both hello messages, the session
//	               id, the client's ML-KEM key, keys and nonces of session tickets, the salts
//	               of RSA-PSS signatures
//	not from lrng  the ECDH keys of both sides (X25519, P-256, …), the server's ML-KEM secret,
//	               and the nonces of ECDSA signatures: since Go 1.26 they are from the
//	               generator of the standard library, whatever Config.Rand is
//
// So the keys of a session never rest on lrng alone. If Config.Rand fails, handshakes fail, and
// a server that needs a new key for its tickets panics. Net/http recovers from that; other
// servers do so themselves, or take lrng.Reader, which returns no errors.
//
// An ECDSA or RSA key would not be from lrng either if GenerateKey made it; example migrate
// has how to make one all the same, and GODEBUG=cryptocustomrand=1, which brings back the
// old behaviour for a while. An Ed25519 signature takes no random bytes.
package main

import (
	"bufio"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/lrng-go/lrng"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "tls:", err)
		os.Exit(1)
	}
}

// counter counts the bytes that are read.
type counter struct {
	r io.Reader
	n atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func run(w io.Writer) error {
	key, server, client := &counter{r: lrng.Reader}, &counter{r: lrng.Reader}, &counter{r: lrng.Reader}
	certificate, err := newCertificate(key, "localhost")
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	done := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			err = serve(conn, serverConfig(server, certificate))
		}
		done <- err
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return err
	}
	state, err := ask(conn, clientConfig(client, certificate), "hello")
	if err := errors.Join(err, <-done); err != nil {
		return err
	}
	fmt.Fprintf(w, "%s, %s, key exchange %v\n", tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite), state.CurveID)
	fmt.Fprintf(w, "Key and serial number: %3d bytes of lrng\n", key.n.Load())
	fmt.Fprintf(w, "Server:                %3d bytes of lrng\n", server.n.Load())
	fmt.Fprintf(w, "Client:                %3d bytes of lrng\n", client.n.Load())
	return nil
}

// newCertificate makes a key, and a certificate for it that it signs itself.
func newCertificate(random io.Reader, name string) (tls.Certificate, error) {
	public, private, err := ed25519.GenerateKey(random)
	if err != nil {
		return tls.Certificate{}, err
	}
	// Positive and at most 20 bytes (RFC 5280, Section 4.1.2.2). CreateCertificate would make
	// one, too, but not with this reader.
	serial, err := lrng.Int(random, new(big.Int).Lsh(big.NewInt(1), 128))
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(random, template, template, public, private)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private, Leaf: leaf}, err
}

func serverConfig(random io.Reader, c tls.Certificate) *tls.Config {
	return &tls.Config{Rand: random, Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS13}
}

func clientConfig(random io.Reader, c tls.Certificate) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(c.Leaf)
	return &tls.Config{Rand: random, RootCAs: roots, ServerName: c.Leaf.DNSNames[0], MinVersion: tls.VersionTLS13}
}

// timeout ends what would hang.
const timeout = 10 * time.Second

// serve sends a line back.
func serve(conn net.Conn, config *tls.Config) error {
	conn.SetDeadline(time.Now().Add(timeout))
	c := tls.Server(conn, config)
	defer c.Close()
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil {
		_, err = io.WriteString(c, line)
	}
	return err
}

// ask sends a line and expects it back.
func ask(conn net.Conn, config *tls.Config, line string) (tls.ConnectionState, error) {
	conn.SetDeadline(time.Now().Add(timeout))
	c := tls.Client(conn, config)
	defer c.Close()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return tls.ConnectionState{}, err
	}
	switch got, err := bufio.NewReader(c).ReadString('\n'); {
	case err != nil:
		return tls.ConnectionState{}, err
	case got != line+"\n":
		return tls.ConnectionState{}, fmt.Errorf("the answer is %q, not %q", got, line)
	}
	return c.ConnectionState(), nil
}
