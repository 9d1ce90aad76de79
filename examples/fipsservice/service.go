package main

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"expvar"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/lrng-go/lrng"
)

// A service answers requests. It is an http.Handler.
type service struct {
	rng      *lrng.RNG
	clients  bool // they need certificates
	draining atomic.Bool
	requests expvar.Map // by pattern: their number
	errors   expvar.Map // by pattern: those that were not served
	vars     expvar.Map
	mux      http.ServeMux
}

func newService(rng *lrng.RNG, clients bool) *service {
	s := &service{rng: rng, clients: clients}
	s.vars.Set("lrng", expvar.Func(func() any { return rng.Status() }))
	s.vars.Set("requests", &s.requests)
	s.vars.Set("errors", &s.errors)

	s.secret("/v1/token", s.token)
	s.secret("/v1/nonce", s.nonce)
	s.secret("/v1/key", s.key)
	s.secret("/v1/seed", s.seed)
	s.secret("/v1/bytes", s.bytes)
	s.public("/healthz", s.health)
	s.public("/readyz", s.ready)
	s.mux.HandleFunc("GET /debug/vars", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		fmt.Fprintln(w, &s.vars)
	})
	return s
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// badRequest is an error of the client.
type badRequest string

func (b badRequest) Error() string { return string(b) }

// secret registers what hands out random bytes. The function writes its answer, or
// returns an error and has written nothing.
func (s *service) secret(path string, f func(http.ResponseWriter, *http.Request) error) {
	s.mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(path, 1)
		if s.clients && (r.TLS == nil || len(r.TLS.VerifiedChains) == 0) {
			s.errors.Add(path, 1)
			http.Error(w, "a certificate of the client is needed", http.StatusForbidden)
			return
		}
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Type", "application/octet-stream")
		h.Set("X-Content-Type-Options", "nosniff")
		err := f(w, r)
		var bad badRequest
		switch {
		case err == nil:
			return
		case errors.As(err, &bad):
			http.Error(w, bad.Error(), http.StatusBadRequest)
		default:
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
		s.errors.Add(path, 1)
	})
}

// public registers what everybody may know.
func (s *service) public(path string, f func() error) {
	s.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if err := f(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
}

// number returns a number of the query, or def if it is not there.
func number(r *http.Request, name string, def, least, most int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return def, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, badRequest(fmt.Sprintf("%s: %.20q; want %d to %d", name, text, least, most))
	}
	return n, nil
}

func (s *service) token(w http.ResponseWriter, r *http.Request) error {
	var b [32]byte
	defer clear(b[:])
	if _, err := s.rng.ReadContext(r.Context(), b[:]); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprintln(w, base64.RawURLEncoding.EncodeToString(b[:]))
	return nil
}

// nonce hands out what is random and not repeated, such as the 12 bytes of GCM (SP 800-38D,
// Section 8.2.2).
func (s *service) nonce(w http.ResponseWriter, r *http.Request) error {
	n, err := number(r, "size", 12, 8, 64)
	if err != nil {
		return err
	}
	b := make([]byte, n)
	if _, err := s.rng.ReadContext(r.Context(), b); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprintln(w, hex.EncodeToString(b))
	return nil
}

// key makes a key of fresh entropy: what is used for years may take a millisecond.
func (s *service) key(w http.ResponseWriter, r *http.Request) error {
	fresh := s.rng.PredictionResistant()
	switch kind := r.URL.Query().Get("type"); kind {
	case "", "aes-256", "hmac-sha-256":
		var b [32]byte
		defer clear(b[:])
		if _, err := fresh.(lrng.FreshReader).ReadContext(r.Context(), b[:]); err != nil {
			return err
		}
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintln(w, hex.EncodeToString(b[:]))
		return nil
	case "ecdsa-p256":
		key, err := newECDSAKey(fresh)
		if err != nil {
			return err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return err
		}
		defer clear(der)
		w.Header().Set("Content-Type", "application/x-pem-file")
		return pem.Encode(w, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	default:
		return badRequest(fmt.Sprintf("type: %.20q; want aes-256, hmac-sha-256 or ecdsa-p256", kind))
	}
}

// seed hands out entropy for a DRBG elsewhere: 384 bits instantiate one of 256 bits of
// strength (SP 800-90A, Section 8.6.7). No generator has used them.
func (s *service) seed(w http.ResponseWriter, r *http.Request) error {
	bits, err := number(r, "bits", 384, 128, 4096)
	if err != nil {
		return err
	}
	seed, credit, err := s.rng.GetSeed(r.Context(), bits)
	if err != nil {
		return err
	}
	defer clear(seed)
	w.Header().Set("Content-Length", strconv.Itoa(len(seed)))
	w.Header().Set("Lrng-Credit", strconv.Itoa(credit))
	w.Write(seed)
	return nil
}

// bytes hands out many bytes. When the generator fails on the way, the client sees that
// there are too few.
func (s *service) bytes(w http.ResponseWriter, r *http.Request) error {
	n, err := number(r, "size", 32, 1, 1<<24)
	if err != nil {
		return err
	}
	b := make([]byte, min(n, 1<<14))
	defer clear(b)
	for sent := 0; sent < n; {
		b := b[:min(len(b), n-sent)]
		if _, err := s.rng.ReadContext(r.Context(), b); err != nil && sent == 0 {
			return err
		} else if err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Length", strconv.Itoa(n))
		if _, err := w.Write(b); err != nil {
			return nil // the client is gone
		}
		sent += len(b)
	}
	return nil
}

// health returns the error of a generator that has failed for good: only a new process
// helps. One that has lost its seed recovers by itself.
func (s *service) health() error {
	if err := s.output(); !errors.Is(err, lrng.ErrNotSeeded) {
		return err
	}
	return nil
}

// ready returns why no requests should be sent here now.
func (s *service) ready() error {
	if s.draining.Load() {
		return errors.New("draining")
	}
	return s.output()
}

// output asks for output: what can be had is the best sign of health.
func (s *service) output() error {
	var b [8]byte
	_, err := io.ReadFull(s.rng.Nonblocking(), b[:])
	return err
}
