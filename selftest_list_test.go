package lrng_test

import (
	"bytes"
	"crypto/fips140"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/internal/aesctr"
	"github.com/lrng-go/lrng/internal/selftest"
	"github.com/lrng-go/lrng/internal/selftest/faults"
)

// knownAnswerTests are the self-tests of each package. Who adds an algorithm adds its
// test here (A21: each mechanism has one).
var knownAnswerTests = map[string][]string{
	".":           {"combination of requests"},
	"conditioner": {"SHA-256", "SHA-384", "SHA-512", "SHA3-256", "SHA3-384", "SHA3-512"},
	"drng": {
		"ChaCha20",
		"CTR_DRBG AES-128", "CTR_DRBG AES-192", "CTR_DRBG AES-256",
		"CTR_DRBG AES-128 no df", "CTR_DRBG AES-192 no df", "CTR_DRBG AES-256 no df",
		"Hash_DRBG SHA-256", "Hash_DRBG SHA-384", "Hash_DRBG SHA-512", "Hash_DRBG SHA-512/256",
		"Hash_DRBG SHA3-256", "Hash_DRBG SHA3-384", "Hash_DRBG SHA3-512",
		"HMAC_DRBG SHA-256", "HMAC_DRBG SHA-384", "HMAC_DRBG SHA-512", "HMAC_DRBG SHA-512/256",
		"HMAC_DRBG SHA3-256", "HMAC_DRBG SHA3-384", "HMAC_DRBG SHA3-512",
		"XDRBG-256",
	},
	"es":              {"CPU health tests", "OS health test"},
	"internal/health": {"RCT", "APT", "lag predictor", "stuck test", "start-up test"},
	"internal/jitter": {"time stamp", "GCD"},
}

// The list, the source and what is registered in a program are the same. No name is
// used twice.
func TestKnownAnswerTests(t *testing.T) {
	root := moduleRoot(t)
	found := make(map[string][]string)
	for _, file := range sourceFiles(t, root) {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			s, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || s.Sel.Name != "New" {
				return true
			}
			if x, ok := s.X.(*ast.Ident); !ok || x.Name != "selftest" {
				return true
			}
			name := ""
			if lit, ok := call.Args[0].(*ast.BasicLit); ok {
				name, _ = strconv.Unquote(lit.Value)
			}
			if name == "" {
				t.Errorf("%s: the name of a self-test is not a literal", file)
			}
			found[path.Dir(file)] = append(found[path.Dir(file)], name)
			return true
		})
	}
	var want, got []string
	for pkg, names := range knownAnswerTests {
		want = append(want, names...)
		slices.Sort(found[pkg])
		if sorted := slices.Sorted(slices.Values(names)); !slices.Equal(found[pkg], sorted) {
			t.Errorf("package %s has the self-tests %q; want %q", pkg, found[pkg], sorted)
		}
	}
	for pkg := range found {
		if knownAnswerTests[pkg] == nil {
			t.Errorf("package %s has self-tests, and is not in the list", pkg)
		}
	}
	for _, test := range selftest.All() {
		got = append(got, test.Name())
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("registered are the self-tests %q; want %q", got, want)
	}
	if n := len(slices.Compact(got)); n != len(want) {
		t.Errorf("%d different names for %d tests", n, len(want))
	}
	if err := selftest.RunAll(); err != nil {
		t.Error(err)
	}
}

// Each self-test, failing in each way, keeps a generator that uses what it tests from
// giving out anything, and then all others. In processes of their own.
func TestEachSelfTestStopsOutput(t *testing.T) {
	name, fault := faults.Injected()
	if name == "" {
		if !faults.Supported() {
			t.Skip("no processes here")
		}
		if err := faults.Run("TestEachSelfTestStopsOutput", testing.Short()); err != nil {
			t.Error(err)
		}
		return
	}
	var c lrng.Config
	if c.DRNG = mechanisms()[name]; c.DRNG != nil && fips140.Enforced() {
		if d, err := c.DRNG(); err != nil || !d.Info().Approved {
			return // no generator has it
		}
	}
	for _, h := range conditioners {
		if h.Name() == name {
			c.Conditioner = h
		}
	}
	wrong := func(err error) bool {
		return !errors.Is(err, lrng.ErrSelfTest) || !strings.Contains(err.Error(), name+": ") || !strings.Contains(err.Error(), faults.Messages[fault])
	}
	if r, err := lrng.New(c); err != nil {
		if wrong(err) {
			t.Fatalf("New: %v", err)
		}
	} else {
		b := bytes.Repeat([]byte{0xa5}, 64)
		n, err := r.Read(b)
		st := r.Status()
		unused := name == "CPU health tests" && es.NewCPU(es.CPUConfig{}).Info().MaxEntropy == 0 ||
			name == "combination of requests" && (!aesctr.Hardware() || st.OutputBuffer > 0 || st.Approved)
		if err == nil && unused { // by anything on this machine
			err = r.SelfTest()
			n, b = 0, nil
		}
		if n != 0 || wrong(err) || slices.Max(append(b, 0)) != 0 {
			t.Fatalf("Read: %d, %v", n, err)
		}
		mustRefuse(t, r, lrng.ErrSelfTest)
	}
	if r, err := lrng.New(lrng.Config{}); r != nil || !errors.Is(err, lrng.ErrSelfTest) {
		t.Errorf("New after the failure: %v", err)
	}
}

func BenchmarkSelfTest(b *testing.B) {
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			if err := selftest.RunAll(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
