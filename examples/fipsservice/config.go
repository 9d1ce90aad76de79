package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/seeding"
)

// config is that of a generator whose only source is one with a certificate: the
// operating system's. Nothing else is credited, and the claim in the status names it.
func config(certificate string, logger *slog.Logger) lrng.Config {
	return lrng.Config{
		Sources:         []es.Source{es.NewOS(es.OSConfig{Certificate: certificate})},
		FIPS:            lrng.FIPSRequired,
		Personalization: []byte("github.com/lrng-go/lrng/examples/fipsservice"),
		Logger:          logger,
	}
}

// newGenerator returns a generator whose self-tests have passed and that is fully seeded.
func newGenerator(ctx context.Context, c lrng.Config, timeout time.Duration) (*lrng.RNG, error) {
	r, err := lrng.New(c)
	if err != nil {
		return nil, err
	}
	if err = r.SelfTest(); err == nil {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		if err = r.Wait(ctx, seeding.FullySeeded); err != nil {
			err = fmt.Errorf("not seeded within %v: %w; %s", timeout, err, r.Status().Verdict)
		}
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// tlsConfig is for TLS 1.3. What it takes of rng, and what the Go Cryptographic Module
// draws from its own generator all the same, is in example tls. When rng has failed there are
// no handshakes any more: probes of health on new connections fail, too.
func tlsConfig(o options, rng *lrng.RNG) (*tls.Config, error) {
	c := &tls.Config{Rand: rng, MinVersion: tls.VersionTLS13}
	certificate, err := serverCertificate(o, rng)
	if err != nil {
		return nil, err
	}
	c.Certificates = []tls.Certificate{certificate}
	if o.certOut != "" {
		block := &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}
		if err := os.WriteFile(o.certOut, pem.EncodeToMemory(block), 0o644); err != nil {
			return nil, err
		}
	}
	if o.clientCA != "" {
		p, err := os.ReadFile(o.clientCA)
		if err != nil {
			return nil, err
		}
		c.ClientCAs = x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM(p) {
			return nil, fmt.Errorf("%s: no certificate", o.clientCA)
		}
		// Probes of health have none: see service.authorized.
		c.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return c, nil
}

// serverCertificate reads the certificate, or makes one for this machine.
func serverCertificate(o options, rng *lrng.RNG) (tls.Certificate, error) {
	if o.certFile != "" {
		return tls.LoadX509KeyPair(o.certFile, o.keyFile)
	}
	key, err := newECDSAKey(rng.PredictionResistant())
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := lrng.Int(rng, new(big.Int).Lsh(big.NewInt(1), 128))
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)), // positive (RFC 5280, Section 4.1.2.2)
		Subject:      pkix.Name{CommonName: "fipsservice"},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().AddDate(0, 1, 0),
	}
	// The signature is made with the generator of the Go Cryptographic Module.
	der, err := x509.CreateCertificate(rng, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// newECDSAKey makes a key for P-256 of bytes of r, by rejection (FIPS 186-5, Section
// A.2.2): ecdsa.GenerateKey would ignore the reader.
func newECDSAKey(r io.Reader) (*ecdsa.PrivateKey, error) {
	b := make([]byte, 32)
	defer clear(b)
	var refused error
	// The order of P-256 is above 2²⁵⁶ - 2²²⁴, so that a number is refused once in 2³² times.
	// After eight times the reason must be another one.
	for range 8 {
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, err
		}
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), b)
		if err == nil {
			return key, nil
		}
		refused = err
	}
	return nil, refused
}
