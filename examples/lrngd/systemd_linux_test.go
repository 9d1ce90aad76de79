package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestUnits has systemd look at the units, alone and with each drop-in, and wants the
// service to be as closed as it says.
func TestUnits(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip(err)
	}
	self, err := program()
	if err != nil {
		t.Fatal(err)
	}
	score := regexp.MustCompile(`Overall exposure level for lrngd.service: ([0-9.]+)`)
	for _, tt := range []struct {
		dropIns []string
		most    float64 // of 10
	}{
		{nil, 1.1},
		{[]string{"sockets.conf"}, 1.1},
		{[]string{"feed.conf"}, 1.5},
		{[]string{"feed.conf", "sockets.conf"}, 1.5},
	} {
		dir := shortDir(t)
		files, err := filepath.Glob("systemd/*")
		if err != nil || len(files) != 6 {
			t.Fatalf("units %q, %v", files, err)
		}
		for _, name := range files {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			// It has to be there, and so have the manual pages.
			b = []byte(strings.ReplaceAll(string(b), "/usr/local/sbin/lrngd", self))
			to := filepath.Join(dir, filepath.Base(name))
			if strings.HasSuffix(name, ".conf") {
				if to = ""; strings.Contains(strings.Join(tt.dropIns, " "), filepath.Base(name)) {
					to = filepath.Join(dir, "lrngd.service.d", filepath.Base(name))
				}
			}
			if to == "" {
				continue
			}
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(to, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		run := func(args ...string) string {
			cmd := exec.Command(analyze, append(args, dir+"/lrngd.service")...)
			cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":", "SYSTEMD_PAGER=", "LANG=C.UTF-8")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%q with %q: %v\n%s", args, tt.dropIns, err, out)
			}
			return string(out)
		}
		if out := run("verify", dir+"/lrngd-egd.socket", dir+"/lrngd-http.socket", dir+"/lrngd-in.socket"); strings.TrimSpace(out) != "" {
			t.Errorf("verify with %q:\n%s", tt.dropIns, out)
		}
		m := score.FindStringSubmatch(run("security", "--no-pager", "--offline=yes"))
		if m == nil {
			t.Fatal("no score")
		}
		if got, err := strconv.ParseFloat(m[1], 64); err != nil || got > tt.most {
			t.Errorf("exposure %v with %q, want at most %v", got, tt.dropIns, tt.most)
		} else {
			t.Logf("exposure %v of 10 with %q", got, tt.dropIns)
		}
	}
}

// TestMemlock starts the daemon with what LimitMEMLOCK of the unit lets it lock: no state
// is in worse memory for it.
func TestMemlock(t *testing.T) {
	b, err := os.ReadFile("systemd/lrngd.service")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^LimitMEMLOCK=(\d+)K$`).FindSubmatch(b)
	if m == nil {
		t.Fatal("no LimitMEMLOCK")
	}
	self, err := program()
	if err != nil {
		t.Fatal(err)
	}
	memory := func(kib string) string {
		p := command(t).as(nobody)
		attr, env := p.cmd.SysProcAttr, p.cmd.Env
		p.cmd = exec.Command("/bin/sh", "-c", `ulimit -l `+kib+` && exec "$0" -check`, self)
		p.cmd.SysProcAttr, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = attr, env, &p.stdout, &p.stderr
		p.start().exits(0)
		_, grade, _ := strings.Cut(p.stdout.String(), "memory ")
		return strings.TrimSpace(grade)
	}
	best, limited, none := memory("$(ulimit -H -l)"), memory(string(m[1])), memory("0")
	if limited != best {
		t.Errorf("memory is %q, and without the limit of the unit %q", limited, best)
	}
	if none == best {
		t.Skipf("memory is %q without a right to lock any", none)
	}
}
