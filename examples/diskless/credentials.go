package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/lrng-go/lrng"
)

// credentials are what one side knows itself by, and the other side.
type credentials struct {
	certificate tls.Certificate
	authorities *x509.CertPool

	// floor is a time that is over: the certificates were made then. A clock that is
	// behind it is wrong.
	floor time.Time
}

// The files of a server or a node, in its directory. The other two have its role as
// their name.
const authorityFile = "ca.pem"

// loadCredentials reads the files of a server or a node.
func loadCredentials(dir, role string) (*credentials, error) {
	authority, err := os.ReadFile(filepath.Join(dir, authorityFile))
	if err != nil {
		return nil, err
	}
	certificate, err := os.ReadFile(filepath.Join(dir, role+".pem"))
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(filepath.Join(dir, role+".key"))
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return parseCredentials(authority, certificate, key)
}

// parseCredentials makes credentials of PEM: certificates of authorities, a certificate
// with those that lead to an authority, and its key.
func parseCredentials(authority, certificate, key []byte) (*credentials, error) {
	c := &credentials{authorities: x509.NewCertPool()}
	for rest := authority; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		ca, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", authorityFile, err)
		}
		c.authorities.AddCert(ca)
		c.made(ca)
	}
	if c.floor.IsZero() {
		return nil, fmt.Errorf("%s: no certificate", authorityFile)
	}
	var err error
	if c.certificate, err = tls.X509KeyPair(certificate, key); err != nil {
		return nil, err
	}
	c.made(c.certificate.Leaf)
	return c, nil
}

func (c *credentials) made(cert *x509.Certificate) {
	if cert.NotBefore.After(c.floor) {
		c.floor = cert.NotBefore
	}
}

// keyExchange is the only one that is used: who wants to read a seed has to break both
// X25519 and ML-KEM, now or later, or to guess the keys that two generators of the node made.
var keyExchange = []tls.CurveID{tls.X25519MLKEM768}

// server returns the configuration of a server.
func (c *credentials) server(random io.Reader) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		CurvePreferences:       keyExchange,
		Certificates:           []tls.Certificate{c.certificate},
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              c.authorities,
		NextProtos:             []string{protocol},
		SessionTicketsDisabled: true, // each connection is authenticated anew
		Rand:                   random,
	}
}

// node returns the configuration of a node that expects a server of that name.
// The certificate of the server is looked at with the time that now returns.
func (c *credentials) node(name string, now func() time.Time, random io.Reader) *tls.Config {
	return &tls.Config{
		MinVersion:       tls.VersionTLS13,
		CurvePreferences: keyExchange,
		Certificates:     []tls.Certificate{c.certificate},
		RootCAs:          c.authorities,
		ServerName:       name,
		NextProtos:       []string{protocol},
		Time:             now,
		Rand:             random,
	}
}

// negotiated returns an error unless the other side speaks this protocol. A side
// without ALPN is let through by package tls.
func negotiated(st *tls.ConnectionState) error {
	if st.NegotiatedProtocol != protocol {
		return fmt.Errorf("the other side does not speak %s", protocol)
	}
	return nil
}

// A handshakeRandom is where package tls gets what is random in a handshake. It is our
// generator once that is seeded, and that of the runtime before: nothing waits for it.
//
// Since Go 1.26 most of package tls ignores it and uses the generator of the runtime. What a
// node takes from it is its ML-KEM key, which is half of the key exchange.
type handshakeRandom struct{ r io.Reader }

func newHandshakeRandom(r *lrng.RNG) io.Reader { return handshakeRandom{r.Nonblocking()} }

// Read fills b.
func (h handshakeRandom) Read(b []byte) (int, error) {
	if n, err := h.r.Read(b); err == nil {
		return n, nil
	}
	return rand.Read(b)
}

// An authority issues certificates.
type authority struct {
	certificate *x509.Certificate
	key         ed25519.PrivateKey
	random      io.Reader
}

// backdate is how far before its making a certificate begins to be valid, since clocks
// differ.
const backdate = time.Hour

// newAuthority makes an authority whose certificates are valid for so long.
func newAuthority(random io.Reader, valid time.Duration) (*authority, error) {
	public, key, err := ed25519.GenerateKey(random)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "diskless boot authority"},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(valid),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(random, template, template, public, key)
	if err != nil {
		return nil, err
	}
	a := &authority{key: key, random: random}
	a.certificate, err = x509.ParseCertificate(der)
	return a, err
}

// issue makes a key and a certificate for one purpose and returns both as PEM. It is
// valid as long as that of the authority, from its beginning on: a node whose clock stands
// at the time of its image takes it, whenever it was issued.
func (a *authority) issue(usage x509.ExtKeyUsage, names ...string) (certificate, key []byte, err error) {
	if len(names) == 0 {
		return nil, nil, errors.New("a certificate without a name")
	}
	public, private, err := ed25519.GenerateKey(a.random)
	if err != nil {
		return nil, nil, err
	}
	defer clear(private)
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: names[0]},
		NotBefore:   a.certificate.NotBefore,
		NotAfter:    a.certificate.NotAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(a.random, template, a.certificate, public, a.key)
	if err != nil {
		return nil, nil, err
	}
	key, err = keyPEM(private)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key, err
}

// pem returns the certificate of the authority.
func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

func keyPEM(key ed25519.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// credentials issues credentials that are not kept in files.
func (a *authority) credentials(usage x509.ExtKeyUsage, names ...string) (*credentials, error) {
	certificate, key, err := a.issue(usage, names...)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return parseCredentials(a.pem(), certificate, key)
}
