package main

import (
	"bytes"
	"crypto/x509"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// commonWindow returns whether two outputs have 16 bytes in a row in common.
func commonWindow(a, b []byte) bool {
	const size = 16
	seen := make(map[[size]byte]bool, len(a))
	for i := range len(a) - size + 1 {
		seen[[size]byte(a[i:])] = true
	}
	for i := range len(b) - size + 1 {
		if seen[[size]byte(b[i:])] {
			return true
		}
	}
	return false
}

// contents returns the files below dir.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		files[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Two nodes that were started from copies of one image, at the same time: they have no
// 16 bytes of output in common, and the image is as it was. By chance there are such bytes
// with a probability of less than 2⁻⁹⁶: 2³² pairs of windows, of which one is equal to the
// other with 2⁻¹²⁸.
func TestTwins(t *testing.T) {
	if runtime.GOOS == "js" || runtime.GOOS == "wasip1" {
		t.Skip("no processes here")
	}
	s := startServer(t, nil)
	certificate, key, err := s.authority.issue(x509.ExtKeyUsageClientAuth, "twin")
	if err != nil {
		t.Fatal(err)
	}
	image := map[string]string{"ca.pem": string(s.authority.pem()), "node.pem": string(certificate), "node.key": string(key), "machine-id": "uninitialized\n"}
	root := t.TempDir()
	var nodes [2]*exec.Cmd
	var outs, msgs [2]bytes.Buffer
	for i := range nodes {
		dir := filepath.Join(root, string(rune('a'+i)))
		plant(t, dir, image)
		nodes[i] = exec.Command(os.Args[0], "node", "-dir", ".", "-server", s.address, "-name", serverName, "-deadline", "1m", "-require", "-n", "65536")
		nodes[i].Dir = dir
		nodes[i].Env = append(os.Environ(), "HOME=.", "TMPDIR=.")
		nodes[i].Stdout, nodes[i].Stderr = &outs[i], &msgs[i]
	}
	before := contents(t, root)
	for _, n := range nodes {
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for i, n := range nodes {
		if err := n.Wait(); err != nil || outs[i].Len() != 65536 {
			t.Fatalf("node %d: %v, %d bytes, %s", i, err, outs[i].Len(), &msgs[i])
		}
	}
	a, b := outs[0].Bytes(), outs[1].Bytes()
	if commonWindow(a, b) {
		t.Error("they have output in common")
	}
	if copy(b[1234:], a[30000:30016]); !commonWindow(a, b) {
		t.Error("they have now, and it is not seen")
	}
	if !maps.Equal(contents(t, root), before) {
		t.Error("something was written")
	}
}
