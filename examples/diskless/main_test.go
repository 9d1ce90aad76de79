package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lrng-go/lrng"
)

// TestMain lets this test be the node that others start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "node" {
		main()
	}
	os.Exit(m.Run())
}

// call runs a command line.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, msg bytes.Buffer
	code = run(t.Context(), &out, &msg, args)
	return code, out.String(), msg.String()
}

func toPEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func otherKey(t *testing.T) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(lrng.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b, err := keyPEM(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMistakes(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"", 2, "usage: diskless COMMAND"},
		{"frobnicate", 2, `unknown command "frobnicate"`},
		{"help frobnicate", 2, `unknown command "frobnicate"`},
		{"init", 2, "want one directory"},
		{"init a b", 2, "want one directory"},
		{"init -days 0 a", 2, "-days: 0; want 1 to 36500"},
		{"init -days 36501 a", 2, "-days: 36501"},
		{"init -server a,,b c", 2, "-server: an empty name"},
		{"init -nodes a,b,a c", 2, `-nodes: "a" is empty, there twice`},
		{"init -nodes ../server c", 2, `-nodes: "../server"`},
		{"init -nodes .. c", 2, `-nodes: ".."`},
		{"init " + dir, 1, "file exists"},
		{"serve x", 2, `unexpected argument "x"`},
		{"serve -timeout 0s", 2, "-timeout: 0s; want up to an hour"},
		{"serve -timeout 61m", 2, "-timeout: 1h1m0s"},
		{"serve -connections 0", 2, "-connections: 0"},
		{"serve -every -1s", 2, "-every: -1s"},
		{"serve -every 25h", 2, "-every: 25h0m0s"},
		{"serve -burst 0", 2, "-burst: 0"},
		{"serve -burst 1048577", 2, "-burst: 1048577"},
		{"serve -dir " + dir, 1, "ca.pem: no such file"},
		{"node x", 2, `unexpected argument "x"`},
		{"node -server boot", 2, "-server: address boot: missing port"},
		{"node -deadline 0s", 2, "-deadline: 0s"},
		{"node -deadline 61m", 2, "-deadline: 1h1m0s"},
		{"node -credit -1", 2, "-credit: -1; want 0 to 256"},
		{"node -credit 257", 2, "-credit: 257"},
		{"node -n -1", 2, "-n: -1"},
		{"node -n 1048577", 2, "-n: 1048577"},
		{"node -x", 2, "not defined: -x"},
		{"demo x", 2, `unexpected argument "x"`},
	} {
		code, out, msg := call(t, strings.Fields(tt.args)...)
		if code != tt.code || out != "" || !strings.Contains(msg, tt.want) {
			t.Errorf("%q: exit code %d, %q, %q; want %d, %q", tt.args, code, out, msg, tt.code, tt.want)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"-h"}, {"--help"}} {
		if code, out, msg := call(t, args...); code != 0 || msg != "" || !strings.Contains(out, "\n  node ") {
			t.Errorf("%q: exit code %d, %q, %q", args, code, out, msg)
		}
	}
	for _, c := range commands {
		for _, args := range [][]string{{"help", c.name}, {c.name, "-h"}} {
			code, out, msg := call(t, args...)
			if code != 0 || msg != "" || !strings.HasPrefix(out, "usage: diskless "+c.name) || !strings.Contains(out, c.long) {
				t.Errorf("%q: exit code %d, %q, %q", args, code, out, msg)
			}
		}
	}
}

func TestDemo(t *testing.T) {
	code, out, msg := call(t, "demo")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, msg)
	}
	for _, pattern := range []string{
		`(?m)^two requests:   two seeds of 48 bytes$`,
		`(?m)^node 1:         started with a seed of 384 bits, credited with 0; output [0-9a-f]{16}…$`,
		`(?m)^node 2:         started with a seed of 384 bits`,
		`(?m)^a stranger:     started without a seed; output [0-9a-f]{16}…: .*unknown certificate authority$`,
		`(?m)^no server:      started without a seed; output [0-9a-f]{16}…: .*refused$`,
	} {
		if !regexp.MustCompile(pattern).MatchString(out) {
			t.Errorf("nothing matches %s in:\n%s", pattern, out)
		}
	}
	if strings.Count(msg, "msg=seed ") != 4 {
		t.Errorf("the log of the server:\n%s", msg)
	}
}

// What init makes: keys that nobody else can read, certificates for one purpose each, and
// from one time on.
func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "boot")
	if code, out, msg := call(t, "init", "-server", "boot.example,192.0.2.1", "-nodes", "rack1,rack2", "-days", "30", dir); code != 0 || out+msg != "" {
		t.Fatalf("exit code %d, %s%s", code, out, msg)
	}
	var files []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: mode %v", name, info.Mode())
		}
		if !d.IsDir() {
			files = append(files, name)
		}
		return nil
	})
	want := []string{"authority/ca.key", "authority/ca.pem", "nodes/rack1/ca.pem", "nodes/rack1/node.key", "nodes/rack1/node.pem",
		"nodes/rack2/ca.pem", "nodes/rack2/node.key", "nodes/rack2/node.pem", "server/ca.pem", "server/server.key", "server/server.pem"}
	if err != nil || !slices.Equal(files, want) {
		t.Errorf("%q, %v; want %q", files, err, want)
	}

	load := func(sub, role string) *credentials {
		t.Helper()
		c, err := loadCredentials(filepath.Join(dir, sub), role)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	server, node, other := load("server", "server"), load("nodes/rack1", "node"), load("nodes/rack2", "node")
	ca := load("authority", "ca").certificate.Leaf
	verify := func(c *credentials, name string, usage x509.ExtKeyUsage) error {
		_, err := c.certificate.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: other.authorities, KeyUsages: []x509.ExtKeyUsage{usage}})
		return err
	}
	for _, tt := range []struct {
		c     *credentials
		name  string
		usage x509.ExtKeyUsage
		ok    bool
	}{
		{server, "boot.example", x509.ExtKeyUsageServerAuth, true},
		{server, "192.0.2.1", x509.ExtKeyUsageServerAuth, true},
		{server, "rack1", x509.ExtKeyUsageServerAuth, false},
		{server, "boot.example", x509.ExtKeyUsageClientAuth, false},
		{node, "rack1", x509.ExtKeyUsageClientAuth, true},
		{node, "rack1", x509.ExtKeyUsageServerAuth, false},
		{node, "rack2", x509.ExtKeyUsageClientAuth, false},
	} {
		if err := verify(tt.c, tt.name, tt.usage); (err == nil) != tt.ok {
			t.Errorf("%v for %s: %v", tt.usage, tt.name, err)
		}
	}
	serials := make(map[string]bool)
	for _, c := range []*x509.Certificate{ca, server.certificate.Leaf, node.certificate.Leaf, other.certificate.Leaf} {
		if !c.NotBefore.Equal(ca.NotBefore) || !c.NotAfter.Equal(ca.NotAfter) || c.NotAfter.Sub(c.NotBefore) != 30*24*time.Hour+backdate {
			t.Errorf("%v: from %v to %v", c.Subject, c.NotBefore, c.NotAfter)
		}
		if c.IsCA != (c == ca) || len(c.SerialNumber.Bytes()) < 8 {
			t.Errorf("%v: authority: %v, serial number %v", c.Subject, c.IsCA, c.SerialNumber)
		}
		serials[c.SerialNumber.String()+string(c.RawSubjectPublicKeyInfo)] = true
	}
	if len(serials) != 4 {
		t.Error("serial numbers or keys are the same")
	}
	if code, _, msg := call(t, "init", dir); code != 1 || !strings.Contains(msg, "exist") {
		t.Errorf("once more: exit code %d, %s", code, msg)
	}
}

// A pipe that tells what is written first.
func TestServeCommand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "boot")
	if code, _, msg := call(t, "init", "-server", serverName, dir); code != 0 {
		t.Fatal(msg)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	var logged testLog
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, w, &logged, []string{"serve", "-dir", filepath.Join(dir, "server"), "-addr", "127.0.0.1:0", "-every", "1h", "-burst", "1", "-timeout", "1m", "-v"})
		w.Close()
	}()
	line, err := io.ReadAll(io.LimitReader(r, int64(len("127.0.0.1:"))))
	port := make([]byte, 6)
	n, _ := r.Read(port)
	address := string(line) + strings.TrimSpace(string(port[:n]))
	if err != nil || !strings.HasPrefix(address, "127.0.0.1:") {
		t.Fatalf("%q, %v: %s", address, err, &logged)
	}
	node := []string{"node", "-dir", filepath.Join(dir, "nodes", "node"), "-server", address, "-name", serverName, "-deadline", "1m", "-require"}
	// It may not be seeded yet.
	code, msg := 3, "not fully seeded"
	for code == 3 && strings.Contains(msg, "not fully seeded") {
		code, _, msg = call(t, node...)
	}
	if code != 0 {
		t.Fatalf("exit code %d, %s", code, msg)
	}
	if code, _, msg := call(t, node...); code != 3 || !strings.Contains(msg, "one in 1h0m0s, and 1 at once") {
		t.Errorf("once more: exit code %d, %s", code, msg)
	}
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d: %s", code, &logged)
	}
	if n := logged.seeds(); n != 1 {
		t.Errorf("%d seeds were sent:\n%s", n, &logged)
	}
}
