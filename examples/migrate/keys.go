package main

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hpke"
	"crypto/mlkem"
	"crypto/sha256"
	"errors"

	"github.com/lrng-go/lrng"
)

// Keys from bytes of lrng. None of these functions draws random numbers: the key
// is a function of the bytes.

// newEd25519Key makes the key of a seed (RFC 8032, Section 5.1.5).
func newEd25519Key() ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	defer clear(seed)
	lrng.Read(seed)
	return ed25519.NewKeyFromSeed(seed)
}

// newX25519Key makes a key of any 32 bytes (RFC 7748, Section 5).
func newX25519Key() (*ecdh.PrivateKey, error) {
	b := make([]byte, 32)
	defer clear(b)
	lrng.Read(b)
	return ecdh.X25519().NewPrivateKey(b)
}

// newP256Key makes a key for a Diffie-Hellman exchange over P-256.
func newP256Key() (*ecdh.PrivateKey, error) {
	return reject(256, ecdh.P256().NewPrivateKey)
}

// newECDSAKey makes a key for signatures over one of the NIST curves.
func newECDSAKey(curve elliptic.Curve) (*ecdsa.PrivateKey, error) {
	return reject(curve.Params().N.BitLen(), func(b []byte) (*ecdsa.PrivateKey, error) {
		return ecdsa.ParseRawPrivateKey(curve, b)
	})
}

// reject draws numbers of so many bits until parse takes one. That is how a key
// in [1, n-1] is made which is not biased, where parse refuses all others and bits
// is the length of n (FIPS 186-5, Section A.2.2). A number that is cut off or
// reduced instead would, with some curves, give the private key away after a few
// signatures.
func reject[K any](bits int, parse func([]byte) (*K, error)) (*K, error) {
	b := make([]byte, (bits+7)/8)
	defer clear(b)
	var err error
	// A try is refused with a probability below 1/2, that of P-256 below 2⁻³².
	// After 128 the reason must be another one.
	for range 128 {
		lrng.Read(b)
		b[0] &= 0xff >> (8*len(b) - bits)
		var key *K
		if key, err = parse(b); err == nil {
			return key, nil
		}
	}
	return nil, err
}

// newMLKEMKey makes the key of a seed d ‖ z (FIPS 203, Section 7.1).
func newMLKEMKey() (*mlkem.DecapsulationKey768, error) {
	seed := make([]byte, mlkem.SeedSize)
	defer clear(seed)
	lrng.Read(seed)
	return mlkem.NewDecapsulationKey768(seed)
}

// newHPKEKey derives a key (RFC 9180, Section 7.1.3).
func newHPKEKey(kem hpke.KEM) (hpke.PrivateKey, error) {
	ikm := make([]byte, 64)
	defer clear(ikm)
	lrng.Read(ikm)
	return kem.DeriveKeyPair(ikm)
}

var errDiffer = errors.New("the two sides do not agree")

// keys are the above, each with a use.
var keys = []struct {
	name, how string
	use       func() error
}{
	{"Ed25519", "ed25519.NewKeyFromSeed", func() error {
		key := newEd25519Key()
		message := []byte("message")
		if !ed25519.Verify(key.Public().(ed25519.PublicKey), message, ed25519.Sign(key, message)) {
			return errDiffer
		}
		return nil
	}},
	{"ECDSA P-256", "ecdsa.ParseRawPrivateKey", func() error { return useECDSA(elliptic.P256()) }},
	{"ECDSA P-384", "ecdsa.ParseRawPrivateKey", func() error { return useECDSA(elliptic.P384()) }},
	{"ECDSA P-521", "ecdsa.ParseRawPrivateKey", func() error { return useECDSA(elliptic.P521()) }},
	{"ECDH P-256", "ecdh.P256().NewPrivateKey", func() error { return useECDH(newP256Key) }},
	{"ECDH X25519", "ecdh.X25519().NewPrivateKey", func() error { return useECDH(newX25519Key) }},
	{"ML-KEM-768", "mlkem.NewDecapsulationKey768", func() error {
		key, err := newMLKEMKey()
		if err != nil {
			return err
		}
		// The sender's part, too, has no function that takes random bytes.
		shared, ciphertext := key.EncapsulationKey().Encapsulate()
		got, err := key.Decapsulate(ciphertext)
		if err == nil && !bytes.Equal(got, shared) {
			err = errDiffer
		}
		return err
	}},
	{"HPKE", "hpke.KEM.DeriveKeyPair", func() error {
		key, err := newHPKEKey(hpke.MLKEM768X25519())
		if err != nil {
			return err
		}
		message := []byte("message")
		sealed, err := hpke.Seal(key.PublicKey(), hpke.HKDFSHA256(), hpke.AES256GCM(), nil, message)
		if err != nil {
			return err
		}
		got, err := hpke.Open(key, hpke.HKDFSHA256(), hpke.AES256GCM(), nil, sealed)
		if err == nil && !bytes.Equal(got, message) {
			err = errDiffer
		}
		return err
	}},
}

// useECDSA signs and verifies. With a nil reader the signature is deterministic
// (RFC 6979): nothing but the key has to be random.
func useECDSA(curve elliptic.Curve) error {
	key, err := newECDSAKey(curve)
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte("message"))
	signature, err := key.Sign(nil, digest[:], crypto.SHA256)
	if err == nil && !ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature) {
		err = errDiffer
	}
	return err
}

// useECDH makes the keys of two sides and lets them agree.
func useECDH(newKey func() (*ecdh.PrivateKey, error)) error {
	a, err := newKey()
	if err != nil {
		return err
	}
	b, err := newKey()
	if err != nil {
		return err
	}
	ab, err := a.ECDH(b.PublicKey())
	if err != nil {
		return err
	}
	ba, err := b.ECDH(a.PublicKey())
	if err == nil && !bytes.Equal(ab, ba) {
		err = errDiffer
	}
	return err
}
