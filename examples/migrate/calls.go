package main

//lint:file-ignore SA1019 what is deprecated reads, or ignores, a reader too

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/dsa"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/hpke"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"time"
)

// A counter counts the bytes that are read from r.
type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += n
	return n, err
}

// A call is a function of the standard library.
type call struct {
	name string
	do   func(r io.Reader) error
}

// measure returns how many bytes of r the function reads: of the reader that it
// is given or, if global is set, of crypto/rand.Reader, which is then given as well.
// The error is what the function refused to do.
func (c call) measure(r io.Reader, global bool) (n int, err error) {
	counter := &counter{r: r}
	if global {
		old := rand.Reader
		defer func() { rand.Reader = old }()
		rand.Reader = counter
	}
	defer func() {
		// Some of them panic under GODEBUG=fips140=only.
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
		n = counter.n
	}()
	return 0, c.do(counter)
}

// A probe holds what the functions work with.
type probe struct {
	other           io.Reader // for what is not measured
	message, digest []byte
	ecdsa           *ecdsa.PrivateKey
	rsa             *rsa.PrivateKey
	issuer          *x509.Certificate // of ecdsa
	ecdsaTLS        tls.Certificate
	rsaTLS          tls.Certificate
}

func newProbe() (*probe, error) {
	rsaBits := 1024 // quick to make, too short for use
	if fips140.Enabled() {
		rsaBits = 2048
	}
	p := &probe{other: rand.Reader, message: []byte("message")}
	digest := sha256.Sum256(p.message)
	p.digest = digest[:]
	var err error
	if p.ecdsa, err = ecdsa.GenerateKey(elliptic.P256(), p.other); err != nil {
		return nil, err
	}
	if p.rsa, err = rsa.GenerateKey(p.other, rsaBits); err != nil {
		return nil, err
	}
	if p.ecdsaTLS, err = p.certificate(p.ecdsa); err != nil {
		return nil, err
	}
	if p.rsaTLS, err = p.certificate(p.rsa); err != nil {
		return nil, err
	}
	p.issuer = p.ecdsaTLS.Leaf
	return p, nil
}

// template returns what certificates are made from. The serial number is left
// out, and CreateCertificate makes a random one.
func template() *x509.Certificate {
	return &x509.Certificate{
		Subject:      pkix.Name{CommonName: "migrate"},
		DNSNames:     []string{"migrate"},
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		SubjectKeyId: []byte{1},
		IsCA:         true, BasicConstraintsValid: true,
	}
}

// certificate returns a certificate that signs itself.
func (p *probe) certificate(key crypto.Signer) (tls.Certificate, error) {
	der, err := x509.CreateCertificate(p.other, template(), template(), key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

// handshake connects a client with a server that has the certificate.
func (p *probe) handshake(cert tls.Certificate, clientRand, serverRand io.Reader) error {
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	c, s := net.Pipe()
	// If both sides fail at once, both write and nobody reads.
	c.SetDeadline(time.Now().Add(10 * time.Second))
	client := tls.Client(c, &tls.Config{Rand: clientRand, RootCAs: roots, ServerName: "migrate"})
	server := tls.Server(s, &tls.Config{Rand: serverRand, Certificates: []tls.Certificate{cert}})
	served := make(chan error)
	go func() {
		_, err := server.Write(p.message)
		served <- errors.Join(err, server.Close())
	}()
	_, err := io.ReadAll(client)
	return errors.Join(err, c.Close(), <-served)
}

// given returns the functions that take a reader.
func (p *probe) given() []call {
	pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	ecdhCall := func(name string, curve ecdh.Curve) call {
		return call{"ecdh." + name + ".GenerateKey", func(r io.Reader) error {
			_, err := curve.GenerateKey(r)
			return err
		}}
	}
	return []call{
		{"rand.Int", func(r io.Reader) error {
			_, err := rand.Int(r, big.NewInt(1000))
			return err
		}},
		{"rand.Prime", func(r io.Reader) error {
			_, err := rand.Prime(r, 128)
			return err
		}},

		{"ecdsa.GenerateKey", func(r io.Reader) error {
			_, err := ecdsa.GenerateKey(elliptic.P256(), r)
			return err
		}},
		{"ecdsa.Sign", func(r io.Reader) error {
			_, _, err := ecdsa.Sign(r, p.ecdsa, p.digest)
			return err
		}},
		{"ecdsa.SignASN1", func(r io.Reader) error {
			_, err := ecdsa.SignASN1(r, p.ecdsa, p.digest)
			return err
		}},
		{"ecdsa.PrivateKey.Sign", func(r io.Reader) error {
			_, err := p.ecdsa.Sign(r, p.digest, crypto.SHA256)
			return err
		}},
		ecdhCall("P256", ecdh.P256()),
		ecdhCall("P384", ecdh.P384()),
		ecdhCall("P521", ecdh.P521()),
		ecdhCall("X25519", ecdh.X25519()),
		{"elliptic.GenerateKey", func(r io.Reader) error {
			_, _, _, err := elliptic.GenerateKey(elliptic.P256(), r)
			return err
		}},
		{"ed25519.GenerateKey", func(r io.Reader) error {
			_, _, err := ed25519.GenerateKey(r)
			return err
		}},
		{"ed25519.PrivateKey.Sign", func(r io.Reader) error {
			_, key, err := ed25519.GenerateKey(p.other)
			if err != nil {
				return err
			}
			_, err = key.Sign(r, p.message, crypto.Hash(0))
			return err
		}},

		{"rsa.GenerateKey", func(r io.Reader) error {
			_, err := rsa.GenerateKey(r, p.rsa.N.BitLen())
			return err
		}},
		{"rsa.GenerateMultiPrimeKey", func(r io.Reader) error {
			_, err := rsa.GenerateMultiPrimeKey(r, 3, p.rsa.N.BitLen())
			return err
		}},
		{"rsa.SignPKCS1v15", func(r io.Reader) error {
			_, err := rsa.SignPKCS1v15(r, p.rsa, crypto.SHA256, p.digest)
			return err
		}},
		{"rsa.PrivateKey.Sign, PKCS1v15", func(r io.Reader) error {
			_, err := p.rsa.Sign(r, p.digest, crypto.SHA256)
			return err
		}},
		{"rsa.SignPSS", func(r io.Reader) error {
			_, err := rsa.SignPSS(r, p.rsa, crypto.SHA256, p.digest, pss)
			return err
		}},
		{"rsa.PrivateKey.Sign, PSS", func(r io.Reader) error {
			_, err := p.rsa.Sign(r, p.digest, pss)
			return err
		}},
		{"rsa.EncryptPKCS1v15", func(r io.Reader) error {
			_, err := rsa.EncryptPKCS1v15(r, &p.rsa.PublicKey, p.message)
			return err
		}},
		{"rsa.DecryptPKCS1v15", func(r io.Reader) error {
			b, err := rsa.EncryptPKCS1v15(p.other, &p.rsa.PublicKey, p.message)
			if err != nil {
				return err
			}
			_, err = rsa.DecryptPKCS1v15(r, p.rsa, b)
			return err
		}},
		{"rsa.EncryptOAEP", func(r io.Reader) error {
			_, err := rsa.EncryptOAEP(sha256.New(), r, &p.rsa.PublicKey, p.message, nil)
			return err
		}},
		{"rsa.EncryptOAEPWithOptions", func(r io.Reader) error {
			_, err := rsa.EncryptOAEPWithOptions(r, &p.rsa.PublicKey, p.message, &rsa.OAEPOptions{Hash: crypto.SHA256})
			return err
		}},
		{"rsa.DecryptOAEP", func(r io.Reader) error {
			b, err := rsa.EncryptOAEP(sha256.New(), p.other, &p.rsa.PublicKey, p.message, nil)
			if err != nil {
				return err
			}
			_, err = rsa.DecryptOAEP(sha256.New(), r, p.rsa, b, nil)
			return err
		}},

		// It takes a good part of a second: only the first thousand bytes.
		{"dsa.GenerateParameters (begun)", func(r io.Reader) error {
			err := dsa.GenerateParameters(new(dsa.Parameters), io.LimitReader(r, 1000), dsa.L1024N160)
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil
			}
			return err
		}},
		{"dsa.GenerateKey", func(r io.Reader) error {
			_, err := dsaKey(r)
			return err
		}},
		{"dsa.Sign", func(r io.Reader) error {
			key, err := dsaKey(p.other)
			if err != nil {
				return err
			}
			_, _, err = dsa.Sign(r, key, p.digest[:20])
			return err
		}},

		{"x509.CreateCertificate, ECDSA", func(r io.Reader) error {
			t := template()
			t.SerialNumber = big.NewInt(1)
			_, err := x509.CreateCertificate(r, t, p.issuer, p.ecdsa.Public(), p.ecdsa)
			return err
		}},
		{"x509.CreateCertificate, without a serial number", func(r io.Reader) error {
			_, err := x509.CreateCertificate(r, template(), p.issuer, p.ecdsa.Public(), p.ecdsa)
			return err
		}},
		{"x509.CreateCertificateRequest, ECDSA", func(r io.Reader) error {
			_, err := x509.CreateCertificateRequest(r, &x509.CertificateRequest{}, p.ecdsa)
			return err
		}},
		{"x509.CreateRevocationList, ECDSA", func(r io.Reader) error {
			l := &x509.RevocationList{Number: big.NewInt(1), NextUpdate: time.Now().Add(time.Hour)}
			_, err := x509.CreateRevocationList(r, l, p.issuer, p.ecdsa)
			return err
		}},
		{"x509.EncryptPEMBlock", func(r io.Reader) error {
			_, err := x509.EncryptPEMBlock(r, "TEST", p.message, p.message, x509.PEMCipherAES256)
			return err
		}},

		{"tls.Client, Config.Rand", func(r io.Reader) error { return p.handshake(p.ecdsaTLS, r, p.other) }},
		{"tls.Server, Config.Rand, ECDSA", func(r io.Reader) error { return p.handshake(p.ecdsaTLS, p.other, r) }},
		{"tls.Server, Config.Rand, RSA", func(r io.Reader) error { return p.handshake(p.rsaTLS, p.other, r) }},
	}
}

// dsaKey makes a key by dsa.GenerateKey. Its parameters are far too short for
// use: q = 2¹⁵⁹ + 299 and p = (2⁹⁶ + 74)·q + 1 are prime.
func dsaKey(r io.Reader) (*dsa.PrivateKey, error) {
	one := big.NewInt(1)
	q := new(big.Int).Add(new(big.Int).Lsh(one, 159), big.NewInt(299))
	k := new(big.Int).Add(new(big.Int).Lsh(one, 96), big.NewInt(74))
	p := new(big.Int).Add(new(big.Int).Mul(k, q), one)
	g := new(big.Int).Exp(big.NewInt(2), k, p)
	key := new(dsa.PrivateKey)
	key.Parameters = dsa.Parameters{P: p, Q: q, G: g}
	return key, dsa.GenerateKey(key, r)
}

// global returns functions that use crypto/rand, or that may be expected to.
func (p *probe) global() []call {
	return []call{
		{"rand.Read", func(io.Reader) error {
			_, err := rand.Read(make([]byte, 32))
			return err
		}},
		{"rand.Text", func(io.Reader) error {
			rand.Text()
			return nil
		}},
		{"rand.Int(rand.Reader)", func(r io.Reader) error {
			_, err := rand.Int(r, big.NewInt(1000))
			return err
		}},
		{"rand.Prime(rand.Reader)", func(r io.Reader) error {
			_, err := rand.Prime(r, 128)
			return err
		}},
		{"ecdsa.GenerateKey(rand.Reader)", func(r io.Reader) error {
			_, err := ecdsa.GenerateKey(elliptic.P256(), r)
			return err
		}},
		{"ecdh.X25519.GenerateKey(rand.Reader)", func(r io.Reader) error {
			_, err := ecdh.X25519().GenerateKey(r)
			return err
		}},
		{"rsa.GenerateKey(rand.Reader)", func(r io.Reader) error {
			_, err := rsa.GenerateKey(r, p.rsa.N.BitLen())
			return err
		}},
		{"ed25519.GenerateKey(rand.Reader)", func(r io.Reader) error {
			_, _, err := ed25519.GenerateKey(r)
			return err
		}},
		{"ed25519.GenerateKey(nil)", func(io.Reader) error {
			_, _, err := ed25519.GenerateKey(nil)
			return err
		}},
		{"mlkem.GenerateKey768", func(io.Reader) error {
			_, err := mlkem.GenerateKey768()
			return err
		}},
		{"mlkem.EncapsulationKey768.Encapsulate", func(io.Reader) error {
			key, err := mlkem.GenerateKey768()
			if err != nil {
				return err
			}
			key.EncapsulationKey().Encapsulate()
			return nil
		}},
		{"hpke.KEM.GenerateKey", func(io.Reader) error {
			_, err := hpke.DHKEM(ecdh.X25519()).GenerateKey()
			return err
		}},
		{"hpke.NewSender", func(io.Reader) error {
			key, err := hpke.DHKEM(ecdh.P256()).GenerateKey()
			if err != nil {
				return err
			}
			_, _, err = hpke.NewSender(key.PublicKey(), hpke.HKDFSHA256(), hpke.AES256GCM(), nil)
			return err
		}},
		{"cipher.NewGCMWithRandomNonce", func(io.Reader) error {
			block, err := aes.NewCipher(make([]byte, 32))
			if err != nil {
				return err
			}
			aead, err := cipher.NewGCMWithRandomNonce(block)
			if err != nil {
				return err
			}
			aead.Seal(nil, nil, p.message, nil)
			return nil
		}},
		{"tls.Client, Config without Rand", func(io.Reader) error { return p.handshake(p.ecdsaTLS, nil, p.other) }},
	}
}
