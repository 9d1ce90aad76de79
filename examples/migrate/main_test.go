package main

//lint:file-ignore SA1019 what is deprecated reads, or ignores, a reader too

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/hpke"
	"crypto/mlkem"
	"crypto/rand"
	"errors"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/lrng-go/lrng"
)

// The facts F10 to F17 of the design are tested here, so that a new version of Go
// in which they are no longer true is noticed.

// What a function does with a reader.
const (
	ignored = iota
	used
)

// A fact is what a function does by default, and under cryptocustomrand=1.
type fact struct {
	name        string
	now, custom int
	bytes       int // how many it uses by default, if that is always the same
}

// givenFacts are F11, F12 and F13, in this order.
var givenFacts = []fact{
	{"rand.Prime", ignored, used, 0},
	{"rsa.GenerateKey", ignored, used, 0},
	{"rsa.GenerateMultiPrimeKey", ignored, used, 0},
	{"rsa.EncryptPKCS1v15", ignored, used, 0},
	{"ecdsa.GenerateKey", ignored, used, 0},
	{"ecdsa.Sign", ignored, used, 0},
	{"ecdsa.SignASN1", ignored, used, 0},
	{"ecdsa.PrivateKey.Sign", ignored, used, 0},
	{"ecdh.P256.GenerateKey", ignored, used, 0},
	{"ecdh.P384.GenerateKey", ignored, used, 0},
	{"ecdh.P521.GenerateKey", ignored, used, 0},
	{"ecdh.X25519.GenerateKey", ignored, used, 0},
	{"dsa.Sign", ignored, used, 0},
	{"x509.CreateCertificate, ECDSA", ignored, used, 0},
	{"x509.CreateCertificateRequest, ECDSA", ignored, used, 0},
	{"x509.CreateRevocationList, ECDSA", ignored, used, 0},

	{"rsa.SignPKCS1v15", ignored, ignored, 0},
	{"rsa.PrivateKey.Sign, PKCS1v15", ignored, ignored, 0},
	{"rsa.DecryptPKCS1v15", ignored, ignored, 0},
	{"rsa.DecryptOAEP", ignored, ignored, 0},
	{"ed25519.PrivateKey.Sign", ignored, ignored, 0},

	{"rand.Int", used, used, 0},
	{"rsa.SignPSS", used, used, 32},
	{"rsa.PrivateKey.Sign, PSS", used, used, 32},
	{"rsa.EncryptOAEP", used, used, 32},
	{"rsa.EncryptOAEPWithOptions", used, used, 32},
	{"ed25519.GenerateKey", used, used, 32},
	{"elliptic.GenerateKey", used, used, 0},
	{"dsa.GenerateParameters (begun)", used, used, 1000},
	{"dsa.GenerateKey", used, used, 0},
	{"x509.CreateCertificate, without a serial number", used, used, 20},
	{"x509.EncryptPEMBlock", used, used, 16},
	{"tls.Client, Config.Rand", used, used, 0},
	{"tls.Server, Config.Rand, ECDSA", used, used, 0},
	{"tls.Server, Config.Rand, RSA", used, used, 0},
}

// globalFacts are F14, and what F12 says of functions without a reader.
var globalFacts = []fact{
	{"rand.Read", used, used, 32},
	{"rand.Text", used, used, 26},
	{"rand.Int(rand.Reader)", used, used, 0},
	{"rand.Prime(rand.Reader)", ignored, used, 0},
	{"ecdsa.GenerateKey(rand.Reader)", ignored, used, 0},
	{"ecdh.X25519.GenerateKey(rand.Reader)", ignored, used, 0},
	{"rsa.GenerateKey(rand.Reader)", ignored, used, 0},
	{"ed25519.GenerateKey(rand.Reader)", used, used, 32},
	{"ed25519.GenerateKey(nil)", ignored, used, 0},
	{"mlkem.GenerateKey768", ignored, ignored, 0},
	{"mlkem.EncapsulationKey768.Encapsulate", ignored, ignored, 0},
	{"hpke.KEM.GenerateKey", ignored, ignored, 0},
	{"hpke.NewSender", ignored, ignored, 0},
	{"cipher.NewGCMWithRandomNonce", ignored, ignored, 0},
	{"tls.Client, Config without Rand", used, used, 0},
}

// checkFacts compares what the functions do with the facts.
func checkFacts(t *testing.T, calls []call, facts []fact, global, custom bool) {
	t.Helper()
	known := make(map[string]fact)
	for _, f := range facts {
		known[f.name] = f
	}
	for _, c := range calls {
		f, ok := known[c.name]
		if !ok {
			t.Errorf("%s: in no table of facts", c.name)
			continue
		}
		delete(known, c.name)
		n, err := c.measure(lrng.Reader, global)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		want := f.now
		if custom {
			want = f.custom
		}
		if (n > 0) != (want == used) || f.bytes != 0 && n != f.bytes && !custom {
			t.Errorf("%s: %d bytes; want %+v", c.name, n, f)
		}
	}
	for name := range known {
		t.Errorf("%s: not called", name)
	}
}

// setGODEBUG sets GODEBUG for this test, but keeps what it says of other things
// than readers.
func setGODEBUG(t *testing.T, settings ...string) {
	t.Helper()
	for s := range strings.SplitSeq(os.Getenv("GODEBUG"), ",") {
		if s != "" && !strings.HasPrefix(s, "cryptocustomrand=") {
			settings = append(settings, s)
		}
	}
	t.Setenv("GODEBUG", strings.Join(settings, ","))
}

func newTestProbe(t *testing.T) *probe {
	t.Helper()
	if fips140.Enforced() {
		t.Skip("under fips140=only most of it is refused; see TestFIPSOnly")
	}
	p, err := newProbe()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// F10 to F14 with the default that the go line of go.mod chooses, 1.26.
func TestDefault(t *testing.T) {
	setGODEBUG(t)
	p := newTestProbe(t)
	checkFacts(t, p.given(), givenFacts, false, false)
	checkFacts(t, p.global(), globalFacts, true, false)
}

// childEnv, when set, says that this process is a child, and of which test.
const childEnv = "MIGRATE_TEST_CHILD"

// inChild runs f in a process of its own, that is started with these settings of
// GODEBUG. The child runs the test t alone, down to here.
func inChild(t *testing.T, settings string, f func(t *testing.T)) {
	t.Helper()
	if os.Getenv(childEnv) == t.Name() {
		f(t)
		return
	}
	if runtime.GOOS == "js" || runtime.GOOS == "wasip1" {
		t.Skipf("no child processes on %s", runtime.GOOS)
	}
	self, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "-test.run=^"+regexp.QuoteMeta(t.Name())+"$", "-test.v")
	cmd.Env = append(os.Environ(), childEnv+"="+t.Name(), "GODEBUG="+settings)
	out, err := cmd.CombinedOutput()
	switch {
	case bytes.HasPrefix(out, []byte("panic: fips140: ")): // not with this platform or build
		t.Skipf("with GODEBUG=%s:\n%s", settings, out)
	case err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())):
		t.Fatalf("with GODEBUG=%s: %v\n%s", settings, err, out)
	}
}

// F10 to F14 under GODEBUG=cryptocustomrand=1.
func TestCustomRand(t *testing.T) {
	inChild(t, "cryptocustomrand=1", func(t *testing.T) {
		p := newTestProbe(t)
		checkFacts(t, p.given(), givenFacts, false, true)
		checkFacts(t, p.global(), globalFacts, true, true)
	})
}

// F10: the default depends on the go line of the main module.
func TestGoLine(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds three programs")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	t.Setenv("GODEBUG", "")
	const program = `package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"io"
)

type counter int

func (c *counter) Read(b []byte) (int, error) {
	*c += counter(len(b))
	return io.ReadFull(rand.Reader, b)
}

func main() {
	var c counter
	if _, err := ecdsa.GenerateKey(elliptic.P256(), &c); err != nil {
		panic(err)
	}
	fmt.Print(c > 0)
}
`
	for _, tt := range []struct {
		goLine, directive string
		used              string
	}{
		{"1.26", "", "false"},
		{"1.25", "", "true"},
		{"1.26", "//go:debug cryptocustomrand=1\n", "true"},
		{"1.25", "//go:debug cryptocustomrand=0\n", "false"},
	} {
		dir := t.TempDir()
		for name, text := range map[string]string{
			"go.mod":  "module example.com/m\n\ngo " + tt.goLine + "\n",
			"main.go": tt.directive + program,
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(t.Context(), "go", "run", ".")
		cmd.Dir = dir
		cmd.Env = append(cmd.Environ(), "GOFLAGS=", "GOWORK=off", "GOPROXY=off", "GOTOOLCHAIN=local")
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != tt.used {
			t.Errorf("go %s, %q: the reader is used: %s, %v; want %s", tt.goLine, tt.directive, out, err, tt.used)
		}
	}
}

// F11: without a reader an ECDSA signature is that of RFC 6979.
func TestDeterministicSignature(t *testing.T) {
	p := newTestProbe(t)
	sign := func(r io.Reader) []byte {
		s, err := p.ecdsa.Sign(r, p.digest, crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if !bytes.Equal(sign(nil), sign(nil)) {
		t.Error("two signatures without a reader differ")
	}
	if bytes.Equal(sign(rand.Reader), sign(rand.Reader)) {
		t.Error("two signatures with a reader are the same")
	}
}

// F11: of tls.Config.Rand come RSA-PSS signatures, but no ECDH key shares: these read
// at least 32 bytes more when they do.
func TestTLS(t *testing.T) {
	setGODEBUG(t)
	p := newTestProbe(t)
	measure := func(name string) int {
		t.Helper()
		for _, c := range p.given() {
			if c.name == name {
				n, err := c.measure(lrng.Reader, false)
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
		}
		t.Fatalf("no %s", name)
		return 0
	}
	ecdsa, rsa := measure("tls.Server, Config.Rand, ECDSA"), measure("tls.Server, Config.Rand, RSA")
	if rsa != ecdsa+32 {
		t.Errorf("a server with an RSA key reads %d bytes, with ECDSA %d; want 32 more, for the salt", rsa, ecdsa)
	}
	client := measure("tls.Client, Config.Rand")
	setGODEBUG(t, "cryptocustomrand=1")
	if n := measure("tls.Client, Config.Rand"); n < client+32 {
		t.Errorf("a client reads %d bytes; %d under cryptocustomrand=1", client, n)
	}
	if n := measure("tls.Server, Config.Rand, ECDSA"); n < ecdsa+32 {
		t.Errorf("a server reads %d bytes; %d under cryptocustomrand=1", ecdsa, n)
	}
}

// stream returns an endless sequence of bytes that depends on seed alone.
func stream(seed byte) io.Reader { return mathrand.NewChaCha8([32]byte{seed}) }

// F13: the key of ed25519.GenerateKey depends on the bytes of the reader alone.
func TestEd25519Reader(t *testing.T) {
	generate := func(seed byte) ed25519.PrivateKey {
		_, key, err := ed25519.GenerateKey(stream(seed))
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	for _, setting := range []string{"cryptocustomrand=0", "cryptocustomrand=1"} {
		setGODEBUG(t, setting)
		for range 64 {
			if !generate(1).Equal(generate(1)) || generate(1).Equal(generate(2)) {
				t.Fatalf("%s: not a function of the bytes", setting)
			}
		}
	}
}

// F15: under GODEBUG=fips140=only some functions refuse a reader that is not that
// of crypto/rand, others use it, and the rest ignore it.
func TestFIPSOnly(t *testing.T) {
	test := func(t *testing.T, refuse, use, ignore []string) {
		if !fips140.Enforced() {
			t.Fatal("not in force")
		}
		p, err := newProbe()
		if err != nil {
			t.Fatal(err)
		}
		calls := make(map[string]call)
		for _, c := range p.given() {
			calls[c.name] = c
		}
		for _, name := range refuse {
			_, err := calls[name].measure(lrng.Reader, false)
			if err == nil || !strings.Contains(err.Error(), "only crypto/rand.Reader is allowed") {
				t.Errorf("%s was not refused: %v", name, err)
			}
			if err := calls[name].do(rand.Reader); err != nil {
				t.Errorf("%s with rand.Reader: %v", name, err)
			}
		}
		for _, name := range use {
			if n, err := calls[name].measure(lrng.Reader, false); n == 0 || err != nil {
				t.Errorf("%s: %d bytes, %v", name, n, err)
			}
		}
		for _, name := range ignore {
			if n, err := calls[name].measure(lrng.Reader, false); n != 0 || err != nil {
				t.Errorf("%s: %d bytes, %v", name, n, err)
			}
		}
	}
	always := []string{"rsa.SignPSS", "rsa.PrivateKey.Sign, PSS", "rsa.EncryptOAEP", "rsa.EncryptOAEPWithOptions", "tls.Server, Config.Rand, RSA"}
	never := []string{"rand.Int", "ed25519.GenerateKey", "elliptic.GenerateKey", "tls.Client, Config.Rand", "tls.Server, Config.Rand, ECDSA"}
	custom := []string{
		"rsa.GenerateKey", "ecdsa.GenerateKey", "ecdsa.Sign", "ecdsa.SignASN1", "ecdsa.PrivateKey.Sign",
		"ecdh.P256.GenerateKey", "ecdh.P384.GenerateKey", "ecdh.P521.GenerateKey",
	}
	t.Run("default", func(t *testing.T) {
		inChild(t, "fips140=only", func(t *testing.T) { test(t, always, never, custom) })
	})
	t.Run("custom", func(t *testing.T) {
		inChild(t, "fips140=only,cryptocustomrand=1", func(t *testing.T) {
			test(t, append(always, custom...), never[:3], nil)
		})
	})
}

// F16: under GODEBUG=cryptocustomrand=1 these functions read one more byte, or do
// not, with equal probability. 64 times the same has a probability of 2⁻⁶³.
func TestMaybeReadByte(t *testing.T) {
	setGODEBUG(t, "cryptocustomrand=1")
	p := newTestProbe(t)
	for _, c := range p.given() {
		switch c.name {
		case "ecdsa.GenerateKey", "ecdsa.SignASN1", "ecdh.P256.GenerateKey", "ecdh.P384.GenerateKey", "ecdh.X25519.GenerateKey", "dsa.Sign":
			counts := make(map[int]int)
			for range 64 {
				n, err := c.measure(stream(1), false)
				if err != nil {
					t.Fatal(err)
				}
				counts[n]++
			}
			if len(counts) != 2 {
				t.Errorf("%s reads this many bytes, so many times: %v", c.name, counts)
			}
		}
	}
	keys := make(map[string]int)
	for range 64 {
		key, err := ecdsa.GenerateKey(elliptic.P256(), stream(1))
		if err != nil {
			t.Fatal(err)
		}
		b, err := key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		keys[string(b)]++
	}
	if len(keys) != 2 {
		t.Errorf("%d keys of the same bytes; want 2", len(keys))
	}
}

// replace makes lrng.Read read from r for the length of the test.
func replace(t *testing.T, r io.Reader) {
	old := lrng.Reader
	lrng.Reader = r
	t.Cleanup(func() { lrng.Reader = old })
}

// F17: the keys are made of our bytes, all of them, and of nothing else.
func TestKeys(t *testing.T) {
	if fips140.Enforced() {
		t.Skip("X25519 is refused under fips140=only")
	}
	for _, tt := range []struct {
		name  string
		bytes int
		make  func() (any, error)
	}{
		{"Ed25519", 32, func() (any, error) { return newEd25519Key(), nil }},
		{"X25519", 32, func() (any, error) { return newX25519Key() }},
		{"ECDH P-256", 32, func() (any, error) { return newP256Key() }},
		{"ECDSA P-224", 28, func() (any, error) { return newECDSAKey(elliptic.P224()) }},
		{"ECDSA P-256", 32, func() (any, error) { return newECDSAKey(elliptic.P256()) }},
		{"ECDSA P-384", 48, func() (any, error) { return newECDSAKey(elliptic.P384()) }},
		{"ECDSA P-521", 66, func() (any, error) { return newECDSAKey(elliptic.P521()) }},
		{"ML-KEM-768", 64, func() (any, error) { return newMLKEMKey() }},
		{"HPKE", 64, func() (any, error) { return newHPKEKey(hpke.DHKEM(ecdh.P256())) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			encode := func(seed byte) []byte {
				c := &counter{r: stream(seed)}
				replace(t, c)
				key, err := tt.make()
				if err != nil {
					t.Fatal(err)
				}
				if c.n != tt.bytes {
					t.Errorf("read %d bytes; want %d", c.n, tt.bytes)
				}
				switch key := key.(type) {
				case ed25519.PrivateKey:
					return key
				case *mlkem.DecapsulationKey768:
					return key.Bytes()
				case interface{ Bytes() ([]byte, error) }:
					b, err := key.Bytes()
					if err != nil {
						t.Fatal(err)
					}
					return b
				case *ecdh.PrivateKey:
					return key.Bytes()
				}
				t.Fatalf("a %T", key)
				return nil
			}
			if a, b := encode(1), encode(1); !bytes.Equal(a, b) {
				t.Error("not a function of the bytes")
			}
			if a, b := encode(1), encode(2); bytes.Equal(a, b) {
				t.Error("does not depend on the bytes")
			}
		})
	}
	for _, k := range keys {
		if err := k.use(); err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
	}
}

// Zero, the order of the curve and what is above it are thrown away, and what is
// next is taken. The order minus one is a key.
func TestRejection(t *testing.T) {
	for _, curve := range []elliptic.Curve{elliptic.P224(), elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		t.Run(curve.Params().Name, func(t *testing.T) {
			n := curve.Params().N
			size := (n.BitLen() + 7) / 8
			last := new(big.Int).Sub(n, big.NewInt(1)).FillBytes(make([]byte, size))
			in := make([]byte, size) // 0
			in = append(in, n.FillBytes(make([]byte, size))...)
			in = append(in, bytes.Repeat([]byte{0xff}, size)...)
			in = append(in, last...)
			in[size*3] |= ^(byte(0xff) >> (8*size - n.BitLen())) // no part of the number
			r := bytes.NewReader(in)
			replace(t, r)
			key, err := newECDSAKey(curve)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := key.Bytes(); err != nil || !bytes.Equal(got, last) {
				t.Errorf("%x, %v; want %x", got, err, last)
			}
			if r.Len() != 0 {
				t.Errorf("%d bytes left", r.Len())
			}
		})
	}

	tries := 0
	errNever := errors.New("no")
	_, err := reject(256, func(b []byte) (*ecdh.PrivateKey, error) {
		if tries++; len(b) != 32 {
			t.Errorf("%d bytes", len(b))
		}
		return nil, errNever
	})
	if err != errNever || tries != 128 {
		t.Errorf("%v after %d tries", err, tries)
	}
}

// The two ways give what they promise, and the second one does so from our bytes.
func TestWays(t *testing.T) {
	c := &counter{r: lrng.Reader}
	replace(t, c)
	for name, way := range map[string]func() (sample, error){"import": importSample, "assign": assignSample} {
		c.n = 0
		s, err := way()
		if err != nil || s.token == [16]byte{} || len(s.password) != 26 || s.number.Cmp(big.NewInt(1000)) >= 0 {
			t.Errorf("%s: %v, %v", name, s, err)
		}
		if c.n < 16+26+2 {
			t.Errorf("%s: read only %d bytes", name, c.n)
		}
	}
	if rand.Reader == io.Reader(c) {
		t.Error("crypto/rand.Reader was not put back")
	}
}

// The program prints each fact, and each key.
func TestRun(t *testing.T) {
	setGODEBUG(t)
	newTestProbe(t)
	var out strings.Builder
	if err := run(&out); err != nil {
		t.Fatal(err)
	}
	given, rest, _ := strings.Cut(out.String(), "What they read from crypto/rand.Reader")
	global, rest, _ := strings.Cut(rest, "Keys from our bytes")
	check := func(text, name, columns string) {
		t.Helper()
		if !regexp.MustCompile(`(?m)^  ` + regexp.QuoteMeta(name) + ` +` + columns + `$`).MatchString(text) {
			t.Errorf("no line for %s with %s in\n%s", name, columns, text)
		}
	}
	for _, f := range givenFacts {
		check(given, f.name, [...]string{`0 bytes +ignored`, `[1-9]\d* bytes +used`}[f.now])
	}
	for _, f := range globalFacts {
		check(global, f.name, [...]string{`0 bytes +ignored`, `[1-9]\d* bytes +used`}[f.now])
	}
	for _, k := range keys {
		check(rest, k.name, regexp.QuoteMeta(k.how)+` +works`)
	}
}
