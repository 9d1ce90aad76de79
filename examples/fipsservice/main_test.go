package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
	"github.com/lrng-go/lrng/lrngtest"
	"github.com/lrng-go/lrng/seeding"
)

// request makes one without a network.
func request(s http.Handler, method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w
}

// The answers hold bytes of the generator, all of them, and of nothing else.
func TestAnswers(t *testing.T) {
	stream := lrngtest.Reader(t, t.Name())
	s := newService(lrngtest.New(t, t.Name()), false)
	next := func(n int) []byte {
		p := make([]byte, n)
		stream.Read(p)
		return p
	}
	for _, tt := range []struct{ target, want string }{
		{"/v1/token", base64.RawURLEncoding.EncodeToString(next(32)) + "\n"},
		{"/v1/nonce", hex.EncodeToString(next(12)) + "\n"},
		{"/v1/nonce?size=64", hex.EncodeToString(next(64)) + "\n"},
		{"/v1/key", hex.EncodeToString(next(32)) + "\n"},
		{"/v1/key?type=hmac-sha-256", hex.EncodeToString(next(32)) + "\n"},
		{"/v1/bytes", string(next(32))},
		{"/v1/bytes?size=100000", string(next(100000))},
	} {
		w := request(s, "POST", tt.target)
		if w.Code != http.StatusOK || w.Body.String() != tt.want {
			t.Errorf("%s: %d, %.100q; want %.100q", tt.target, w.Code, w.Body, tt.want)
		}
		if got := w.Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control: %q", tt.target, got)
		}
	}
	want := next(32)
	block, _ := pem.Decode(request(s, "POST", "/v1/key?type=ecdsa-p256").Body.Bytes())
	if block == nil {
		t.Fatal("no PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := key.(*ecdsa.PrivateKey).Bytes(); err != nil || !bytes.Equal(got, want) {
		t.Errorf("key %x, %v; want %x", got, err, want)
	}
	w := request(s, "POST", "/v1/seed?bits=500")
	var b seeding.Buffer
	if err := b.UnmarshalBinary(w.Body.Bytes()); err != nil || b.Credit() < 500 || fmt.Sprint(b.Credit()) != w.Header().Get("Lrng-Credit") {
		t.Errorf("seed: %d bits, header %q, %v", b.Credit(), w.Header().Get("Lrng-Credit"), err)
	}
}

func TestBadRequests(t *testing.T) {
	s := newService(lrngtest.New(t, t.Name()), false)
	for _, target := range []string{
		"/v1/nonce?size=7", "/v1/nonce?size=65", "/v1/nonce?size=x", "/v1/nonce?size=99999999999999999999",
		"/v1/seed?bits=127", "/v1/seed?bits=4097", "/v1/seed?bits=-1", "/v1/bytes?size=0", "/v1/bytes?size=16777217",
		"/v1/key?type=rsa", "/v1/key?type=" + strings.Repeat("x", 1000),
	} {
		if w := request(s, "POST", target); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "want ") || w.Body.Len() > 100 {
			t.Errorf("%.50s: %d, %.200q", target, w.Code, w.Body)
		}
	}
	for target, method := range map[string]string{"/v1/token": "GET", "/healthz": "POST", "/debug/vars": "POST"} {
		if w := request(s, method, target); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s %s: %d", method, target, w.Code)
		}
	}
	if w := request(s, "GET", "/"); w.Code != http.StatusNotFound {
		t.Errorf("/: %d", w.Code)
	}
}

// secrets are all targets that hand out random bytes.
var secrets = []string{"/v1/token", "/v1/nonce", "/v1/key", "/v1/key?type=ecdsa-p256", "/v1/seed", "/v1/bytes"}

// Without a generator there are no answers, and health says so.
func TestFailed(t *testing.T) {
	rng, err := lrng.New(lrngtest.Config(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	if err := rng.Wait(t.Context(), seeding.FullySeeded); err != nil {
		t.Fatal(err)
	}
	s := newService(rng, false)
	for _, target := range []string{"/healthz", "/readyz"} {
		if w := request(s, "GET", target); w.Code != http.StatusOK || w.Body.String() != "ok\n" {
			t.Errorf("%s: %d, %q", target, w.Code, w.Body)
		}
	}
	s.draining.Store(true)
	if w := request(s, "GET", "/readyz"); w.Code != http.StatusServiceUnavailable || w.Body.String() != "draining\n" {
		t.Errorf("draining: %d, %q", w.Code, w.Body)
	}
	if w := request(s, "GET", "/healthz"); w.Code != http.StatusOK {
		t.Errorf("draining: %d, %q", w.Code, w.Body)
	}
	s.draining.Store(false)
	if err := rng.Close(); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/healthz", "/readyz"} {
		if w := request(s, "GET", target); w.Code != http.StatusServiceUnavailable || w.Body.String() != "lrng: closed\n" {
			t.Errorf("%s of a closed generator: %d, %q", target, w.Code, w.Body)
		}
	}
	for _, target := range secrets {
		if w := request(s, "POST", target); w.Code != http.StatusServiceUnavailable || w.Body.String() != "lrng: closed\n" {
			t.Errorf("%s of a closed generator: %d, %q", target, w.Code, w.Body)
		}
	}
	var vars struct {
		LRNG   lrng.Status
		Errors map[string]int
	}
	if w := request(s, "GET", "/debug/vars"); json.Unmarshal(w.Body.Bytes(), &vars) != nil || !vars.LRNG.Closed || vars.Errors["/v1/key"] != 2 {
		t.Errorf("variables: %s", w.Body)
	}
}

// A generator that is not seeded is alive, and not ready: a new process would not help.
func TestNotSeeded(t *testing.T) {
	c := lrngtest.Config(t, "")
	c.Sources = []es.Source{estest.New(es.Info{Name: "none", MaxEntropy: 256, Health: true}, estest.Unavailable())}
	rng, err := lrng.New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer rng.Close()
	s := newService(rng, false)
	if w := request(s, "GET", "/healthz"); w.Code != http.StatusOK {
		t.Errorf("healthz: %d, %q", w.Code, w.Body)
	}
	if w := request(s, "GET", "/readyz"); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), lrng.ErrNotSeeded.Error()) {
		t.Errorf("readyz: %d, %q", w.Code, w.Body)
	}
	// The service does not start with it.
	if r, err := newGenerator(t.Context(), c, time.Millisecond); r != nil || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "not seeded within 1ms") {
		t.Errorf("newGenerator: %v, %v", r, err)
	}
}

func TestClientsWithoutCertificate(t *testing.T) {
	s := newService(lrngtest.New(t, ""), true)
	for _, target := range secrets {
		if w := request(s, "POST", target); w.Code != http.StatusForbidden {
			t.Errorf("%s: %d, %q", target, w.Code, w.Body)
		}
	}
	if w := request(s, "GET", "/readyz"); w.Code != http.StatusOK {
		t.Errorf("readyz: %d", w.Code)
	}
}

// The configuration credits the source that has a certificate, and nothing else.
func TestConfig(t *testing.T) {
	c := config("E0", slog.New(slog.DiscardHandler))
	if c.FIPS != lrng.FIPSRequired {
		t.Error("FIPS mode is not required")
	}
	c.FIPS = lrng.FIPSAuto // the tests run without it, too
	rng, err := newGenerator(t.Context(), c, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer rng.Close()
	claim := rng.Status().Claim
	if len(claim.Sources) != 1+btoi(!claim.FIPS) || claim.Sources[0].Name != "os" || claim.Sources[0].Certificate != "E0" {
		t.Errorf("claim: %+v", claim) // the pool for AddEntropy is credited outside of FIPS mode
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestFlags(t *testing.T) {
	for _, args := range [][]string{
		{"-nonsense"}, {}, {"-certificate", ""}, {"-certificate", "E0", "more"}, {"-certificate", "E0", "-cert", "x"}, {"-certificate", "E0", "-key", "x"},
		{"-certificate", "E0", "-drain", "-1s"}, {"-certificate", "E0", "-seed-timeout", "0"}, {"-certificate", "E0", "-end", "x"},
	} {
		if err := run(t.Context(), args, io.Discard, io.Discard); !errors.As(err, new(usageError)) {
			t.Errorf("%q: %v", args, err)
		}
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-h"}, &out, io.Discard); err != flag.ErrHelp || !strings.Contains(out.String(), "-client-ca") {
		t.Errorf("-h: %v\n%s", err, &out)
	}
	rng := lrngtest.New(t, "")
	missing := filepath.Join(t.TempDir(), "missing")
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for want, o := range map[string]options{
		"no such file":          {certFile: missing, keyFile: missing},
		"no certificate":        {clientCA: empty},
		"missing: no":           {clientCA: missing},
		"certout: no":           {certOut: filepath.Join(missing, "certout")},
		"missing port":          {addr: "127.0.0.1"},
		"in use":                {addr: busy.Addr().String()},
		"-client-ca is missing": {addr: ":0"},
	} {
		if runtime.GOOS != "linux" && (want == "in use" || strings.HasSuffix(want, " no") || strings.HasPrefix(want, "no such")) {
			continue // the words of the system
		}
		if o.addr == "" {
			o.addr = "127.0.0.1:0"
		}
		if err := serve(t.Context(), o, rng, slog.New(slog.DiscardHandler), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v; want %q", o, err, want)
		}
	}
}

// newClientCertificate makes a certificate that is its own authority, and writes it to a file.
func newClientCertificate(t *testing.T) (c tls.Certificate, file string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(lrng.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(lrng.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "clients.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, file
}

// build makes the program, as a user would, and returns what starts it: without what GODEBUG
// says of FIPS mode here, and with what else is said.
func build(t *testing.T) func(godebug string, args ...string) *exec.Cmd {
	t.Helper()
	switch runtime.GOOS {
	case "js", "wasip1", "windows", "plan9", "openbsd", "aix":
		t.Skipf("no signals, or no FIPS mode, on %s", runtime.GOOS)
	}
	if testing.Short() || os.Getenv("LRNG_EMULATED") != "" {
		t.Skip("it builds a program")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	program := filepath.Join(t.TempDir(), "fipsservice")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", program)
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly -buildvcs=false", "GOWORK=off", "GOPROXY=off", "GOTOOLCHAIN=local")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return func(godebug string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Env = append(os.Environ(), "GODEBUG="+godebug)
		return cmd
	}
}

// The program as its clients see it, from start to end.
func TestProgram(t *testing.T) {
	start := build(t)

	t.Run("refuses", func(t *testing.T) {
		for _, tt := range []struct {
			name, godebug string
			args          []string
			code          int
			want          string
		}{
			{"without FIPS mode", "fips140=off", []string{"-certificate", "E0"}, 1, "crypto/fips140 is not enabled"},
			{"without a certificate", "", nil, 2, "-certificate is missing"},
			{"with an unknown flag", "", []string{"-x"}, 2, "not defined: -x"},
		} {
			out, err := start(tt.godebug, tt.args...).CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != tt.code || !strings.Contains(string(out), tt.want) {
				t.Errorf("%s: %v; want exit code %d and %q\n%s", tt.name, err, tt.code, tt.want, out)
			}
		}
	})

	clientCertificate, clientCA := newClientCertificate(t)
	certFile := filepath.Join(t.TempDir(), "cert.pem")
	cmd := start("", "-addr", "127.0.0.1:0", "-certificate", "E0", "-cert-out", certFile, "-client-ca", clientCA, "-drain", "5s", "-end", "1m")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	base, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		cmd.Wait()
		t.Fatalf("%v\n%s", err, &stderr)
	}
	base = strings.TrimSpace(base)

	roots := x509.NewCertPool()
	if p, err := os.ReadFile(certFile); err != nil || !roots.AppendCertsFromPEM(p) {
		t.Fatalf("the certificate: %v", err)
	}
	newClient := func(certificates ...tls.Certificate) *http.Client {
		transport := &http.Transport{
			ForceAttemptHTTP2: true,
			TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: certificates},
		}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
	client := newClient(clientCertificate)
	// do returns the answer to a request.
	do := func(c *http.Client, method, target string) (code int, body []byte, header http.Header, err error) {
		r, err := http.NewRequestWithContext(t.Context(), method, base+target, nil)
		if err != nil {
			return 0, nil, nil, err
		}
		w, err := c.Do(r)
		if err != nil {
			return 0, nil, nil, err
		}
		defer w.Body.Close()
		if w.TLS.Version != tls.VersionTLS13 || w.ProtoMajor != 2 {
			return 0, nil, nil, fmt.Errorf("%s, HTTP/%d", tls.VersionName(w.TLS.Version), w.ProtoMajor)
		}
		body, err = io.ReadAll(w.Body)
		return w.StatusCode, body, w.Header, err
	}
	get := func(method, target string) (body []byte, header http.Header) {
		t.Helper()
		code, body, header, err := do(client, method, target)
		if err != nil || code != http.StatusOK {
			t.Fatalf("%s: %d, %v\n%s", target, code, err, body)
		}
		return body, header
	}

	for _, target := range []string{"/healthz", "/readyz"} {
		if code, body, _, err := do(newClient(), "GET", target); code != http.StatusOK || err != nil {
			t.Errorf("%s: %d, %v\n%s", target, code, err, body)
		}
	}
	for target, pattern := range map[string]string{"/v1/token": `^[\w-]{43}\n$`, "/v1/nonce": `^[0-9a-f]{24}\n$`, "/v1/key": `^[0-9a-f]{64}\n$`} {
		a, _ := get("POST", target)
		b, _ := get("POST", target)
		if re := regexp.MustCompile(pattern); !re.Match(a) || !re.Match(b) || bytes.Equal(a, b) {
			t.Errorf("%s: %q and %q", target, a, b)
		}
	}
	body, _ := get("POST", "/v1/key?type=ecdsa-p256")
	block, _ := pem.Decode(body)
	if block == nil {
		t.Fatalf("no key: %s", body)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	key := parsed.(*ecdsa.PrivateKey)
	digest := sha256.Sum256([]byte("message"))
	if signature, err := ecdsa.SignASN1(lrng.Reader, key, digest[:]); err != nil || !ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature) {
		t.Errorf("the key does not sign: %v", err)
	}
	body, header := get("POST", "/v1/seed")
	var seed seeding.Buffer
	if err := seed.UnmarshalBinary(body); err != nil || seed.Credit() < 384 || header.Get("Lrng-Credit") != fmt.Sprint(seed.Credit()) ||
		slices.ContainsFunc(seed.Entries, func(e seeding.Entry) bool { return e.Name != "os" }) {
		t.Errorf("seed: %v, %d bits, %q", err, seed.Credit(), header.Get("Lrng-Credit"))
	}
	body, _ = get("GET", "/debug/vars")
	var vars struct {
		LRNG     lrng.Status
		Requests map[string]int
	}
	if err := json.Unmarshal(body, &vars); err != nil {
		t.Fatal(err)
	}
	if st := vars.LRNG; !st.Claim.FIPS || st.DRNG != "CTR_DRBG AES-256" || st.Level != seeding.FullySeeded || st.SelfTest != "passed" ||
		st.Sources[0].Certificate != "E0" || len(st.Claim.Sources) != 1 || vars.Requests["/v1/token"] != 2 {
		t.Errorf("variables: %s", body)
	}

	if code, _, _, err := do(newClient(), "POST", "/v1/key"); code != http.StatusForbidden || err != nil {
		t.Errorf("a client without a certificate: %d, %v", code, err)
	}
	old := &tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS12}
	if c, err := tls.Dial("tcp", strings.TrimPrefix(base, "https://"), old); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.2: %v", err)
		if err == nil {
			c.Close()
		}
	}

	// The signal comes while requests run. An answer of 16 MiB waits for its client.
	const size = 1 << 24
	r, err := http.NewRequestWithContext(t.Context(), "POST", fmt.Sprintf("%s/v1/bytes?size=%d", base, size), nil)
	if err != nil {
		t.Fatal(err)
	}
	long, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer long.Body.Close()
	if _, err := io.ReadFull(long.Body, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var group sync.WaitGroup
	for range 2 {
		c := newClient(clientCertificate)
		group.Go(func() {
			for {
				if code, _, _, err := do(c, "POST", "/v1/token"); code != http.StatusOK || err != nil {
					t.Errorf("a request before the end: %d, %v", code, err)
					return
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	probe := newClient()
	if code, _, _, err := do(probe, "GET", "/readyz"); code != http.StatusOK || err != nil {
		t.Errorf("readyz: %d, %v", code, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for code := http.StatusOK; code == http.StatusOK; {
		var body []byte
		if code, body, _, err = do(probe, "GET", "/readyz"); err != nil {
			t.Errorf("a probe: %v", err)
		} else if code != http.StatusOK && string(body) != "draining\n" {
			t.Errorf("readyz: %d, %s", code, body)
		}
	}
	if code, _, _, err := do(probe, "GET", "/healthz"); code != http.StatusOK || err != nil {
		t.Errorf("healthz at the end: %d, %v", code, err)
	}
	close(stop) // a balancer sends nothing any more
	group.Wait()
	for {
		c, err := net.Dial("tcp", strings.TrimPrefix(base, "https://"))
		if err != nil {
			break
		}
		c.Close()
		time.Sleep(10 * time.Millisecond)
	}
	if n, err := io.Copy(io.Discard, long.Body); n != size-1 || err != nil {
		t.Errorf("the long answer has %d bytes, %v; want %d", n+1, err, size)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &stderr)
	}
	for _, want := range []string{`"msg":"draining"`, `"msg":"end"`, `"msg":"lrng: closed"`} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("no %s in the log:\n%s", want, &stderr)
		}
	}
}
