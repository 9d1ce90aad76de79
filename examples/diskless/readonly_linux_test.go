package main

import (
	"bufio"
	"crypto/x509"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const readOnlyEnv = "LRNG_TEST_DISKLESS_READONLY"

// A node on a machine where nothing can be written: in a mount namespace with all file
// systems read-only, those in memory too.
func TestReadOnly(t *testing.T) {
	if args := os.Getenv(readOnlyEnv); args != "" {
		onReadOnly(t, strings.Fields(args))
		return
	}
	s := startServer(t, nil)
	certificate, key, err := s.authority.issue(x509.ExtKeyUsageClientAuth, "node")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	plant(t, dir, map[string]string{"ca.pem": string(s.authority.pem()), "node.pem": string(certificate), "node.key": string(key)})
	cmd := exec.Command(os.Args[0], "-test.run=^TestReadOnly$", "-test.v", "-test.timeout=120s")
	cmd.Env = append(os.Environ(), readOnlyEnv+"=node -dir "+dir+" -server "+s.address+" -name "+serverName+" -deadline 1m -require -n 32")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS):
		t.Skipf("no mounts without privileges: %v", err)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("in the namespace: %s", out)
	case s.logged.seeds() != 1 || !strings.Contains(string(out), "started with a seed of 384 bits"):
		t.Errorf("%s%s", out, s.logged)
	}
}

// onReadOnly makes all mounts read-only and runs a node.
func onReadOnly(t *testing.T, args []string) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var mounts []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 4 {
			mounts = append(mounts, strings.NewReplacer(`\040`, " ", `\011`, "\t", `\134`, `\`).Replace(fields[4]))
		}
	}
	f.Close()
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Skipf("no mounts here: %v", err)
	}
	for _, m := range mounts {
		// One may be hidden below another, or gone; what matters is looked at below.
		err := syscall.Mount("", m, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
		if err != nil {
			t.Logf("%s: %v", m, err)
		}
	}
	for _, dir := range []string{"/", os.TempDir(), args[2], ".", "/dev", "/dev/shm", "/run", "/var/tmp"} {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		f, err := os.Create(filepath.Join(dir, "lrng-test"))
		if err == nil {
			f.Close()
			os.Remove(f.Name())
		}
		if !errors.Is(err, syscall.EROFS) {
			t.Fatalf("%s: %v; want a read-only file system", dir, err)
		}
	}
	code, out, msg := call(t, args...)
	if code != 0 || len(out) != 32 {
		t.Errorf("exit code %d, %d bytes", code, len(out))
	}
	t.Log(msg)
}
