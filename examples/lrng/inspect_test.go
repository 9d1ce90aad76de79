package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// plant writes the files of an image; a content that begins with an arrow is
// a link.
func plant(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		target := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(target), 0o755)
		if err == nil && strings.HasPrefix(content, "-> ") {
			err = os.Symlink(content[3:], target)
		} else if err == nil {
			err = os.WriteFile(target, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// clean is an image that is ready to be sealed.
var clean = map[string]string{
	"etc/machine-id":              "uninitialized\n",
	"etc/hostname":                "node\n",
	"etc/ssh/sshd_config":         "PermitRootLogin no\n",
	"etc/ssh/ssh_host_rsa_key":    "",
	"var/lib/dbus/machine-id":     "-> /etc/machine-id",
	"var/lib/systemd/random-seed": "-> /run/random-seed",
	"swapfile":                    strings.Repeat("\x00", 4086) + "SWAPSPACE2",
	"usr/share/doc/random-seed":   "how to save one",
	"home/user/notes":             "LRNG SEED",
	"usr/bin/program":             "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00>",
	"usr/lib/library of s390x":    "\x7fELF\x02\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03",
	"usr/lib/short":               "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04",
}

// planted are the files of an image that is not.
var planted = map[string]struct {
	content string
	kind    kind
}{
	"var/lib/systemd/random-seed":       {"\x01\x02", seedKind},
	"boot/efi/loader/random-seed":       {"x", seedKind},
	"var/lib/seedrng/seed.credit":       {"x", seedKind},
	"root/.rnd":                         {"x", seedKind},
	"home/user/.gnupg/random_seed":      {"x", seedKind},
	"var/cache/pollinate/seeded":        {"", seedKind},
	"opt/node/seed.bin":                 {"LRNGSEED\x01...", seedKind},
	"srv/anything":                      {"lrng seed file\x00\x01...", seedKind},
	"etc/machine-id":                    {"0123456789abcdef0123456789abcdef\n", identityKind},
	"etc/iscsi/initiatorname.iscsi":     {"InitiatorName=iqn", identityKind},
	"etc/ssh/ssh_host_ed25519_key":      {"-----BEGIN", keyKind},
	"var/lib/systemd/credential.secret": {"x", keyKind},
	"swapfile":                          {strings.Repeat("\x00", 4086) + "S1SUSPEND\x00", stateKind},
	"var/crash/_usr_bin_x.0.crash":      {"x", stateKind},
	"var/lib/criu/core-1.img":           {"\x19\x43\x56\x54", stateKind},
	"srv/vm.save":                       {"LibvirtQemudSave", stateKind},
	"home/user/core.4711":               {"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00>", stateKind},
	"srv/core of s390x":                 {"\x7fELF\x02\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04", stateKind},
}

// inspectJSON runs "lrng inspect" and returns what it prints.
func inspectJSON(t *testing.T, dir string, flags ...string) (code int, found []finding, msg string) {
	t.Helper()
	code, out, msg := call(t, append(append([]string{"inspect", "-json"}, flags...), dir)...)
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		t.Fatalf("%v: %s%s", err, out, msg)
	}
	return code, found, msg
}

func TestInspect(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, clean)
	if code, found, msg := inspectJSON(t, dir); code != 0 || len(found) != 0 || msg != "" {
		t.Fatalf("clean image: exit code %d, %v, %s", code, found, msg)
	}
	for name, p := range planted {
		dir := t.TempDir()
		plant(t, dir, map[string]string{name: p.content})
		code, found, _ := inspectJSON(t, dir)
		if code != 1 || len(found) != 1 || found[0].Path != name || found[0].Kind != p.kind || found[0].Advice == "" {
			t.Errorf("%s: exit code %d, %v", name, code, found)
		}
	}
	plant(t, dir, map[string]string{"home/user/.rnd": "x"})
	code, out, msg := call(t, "inspect", dir)
	if code != 1 || out != "/home/user/.rnd: seed: seed of OpenSSL programs; delete it before the image is sealed\n" || msg != "lrng inspect: 1 found that must not be in an image\n" {
		t.Errorf("exit code %d, %q, %q", code, out, msg)
	}
}

func TestInspectMistakes(t *testing.T) {
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"inspect"}, 2, "want one directory"},
		{[]string{"inspect", "a", "b"}, 2, "want one directory"},
		{[]string{"inspect", filepath.Join(t.TempDir(), "missing")}, 1, "no such file"},
		{[]string{"inspect", "main.go"}, 1, "not a directory"},
	} {
		code, out, msg := call(t, tt.args...)
		if code != tt.code || out != "" || !strings.Contains(msg, tt.want) {
			t.Errorf("%q: exit code %d, %q, %q", tt.args, code, out, msg)
		}
	}
}

// What a link leads to outside of the image is not looked at.
func TestInspectLinks(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	plant(t, outside, map[string]string{"seed": "LRNGSEED", "lib/systemd/random-seed": "x"})
	plant(t, dir, map[string]string{"etc/seed": "-> " + outside + "/seed", "var": "-> " + outside, "loop": "-> loop"})
	if code, found, msg := inspectJSON(t, dir); code != 0 || len(found) != 0 {
		t.Errorf("exit code %d, %v, %s", code, found, msg)
	}
}

// gitIn returns a function that runs git in dir, and the first line of what it prints.
func gitIn(t *testing.T, dir string) func(args ...string) string {
	return func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "init.defaultBranch=main"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
		line, _, _ := strings.Cut(string(out), "\n")
		return line
	}
}

// What was in the image once is in its history for ever.
func TestInspectHistory(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	repo := t.TempDir()
	git := gitIn(t, repo)
	git("init", "-q")
	image := filepath.Join(repo, "root image")
	plant(t, image, clean)
	plant(t, image, map[string]string{"root/.rnd": "x", "etc/with space": "LRNGSEED", "etc/ssh/ssh_host_rsa_key": "secret"})
	git("add", "-A")
	git("commit", "-qm", "first")
	git("rm", "-qr", "root image/root", "root image/etc/with space")
	plant(t, image, map[string]string{"etc/ssh/ssh_host_rsa_key": ""})
	git("add", "-A")
	git("commit", "-qm", "second")

	code, found, msg := inspectJSON(t, image)
	var names []string
	for _, f := range found {
		names = append(names, f.Path)
		if f.Object == "" || !strings.Contains(f.Advice, "history") {
			t.Errorf("%+v", f)
		}
	}
	slices.Sort(names)
	if want := []string{"etc/ssh/ssh_host_rsa_key", "etc/with space", "root/.rnd"}; code != 1 || !slices.Equal(names, want) {
		t.Errorf("exit code %d, %q, %s; want %q", code, names, msg, want)
	}
	if code, found, msg := inspectJSON(t, image, "-nogit"); code != 0 || len(found) != 0 {
		t.Errorf("without the history: exit code %d, %v, %s", code, found, msg)
	}
}

// A repository within the image has a history, too, whether the image has one or not. What
// the environment says of other repositories does not matter.
func TestInspectNestedHistory(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	dir := t.TempDir()
	plant(t, dir, clean)
	plant(t, dir, map[string]string{"etc/ssh/ssh_host_rsa_key": "secret", "home/user/project/x": "LRNGSEED"})
	for _, in := range []string{"etc", "home/user/project"} {
		git := gitIn(t, filepath.Join(dir, in))
		git("init", "-q")
		git("add", "-A")
		git("commit", "-qm", "first")
	}
	plant(t, dir, map[string]string{"etc/ssh/ssh_host_rsa_key": "", "home/user/project/x": ""})
	t.Setenv("GIT_DIR", t.TempDir())
	code, found, msg := inspectJSON(t, dir)
	if code != 1 || len(found) != 2 || found[0].Path != "etc/ssh/ssh_host_rsa_key" || found[1].Path != "home/user/project/x" || found[0].Object == "" || found[1].Object == "" {
		t.Errorf("exit code %d, %+v, %s", code, found, msg)
	}
}

// The configuration of a repository in the image names programs. None of them is run.
func TestInspectRunsNothing(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	mark := filepath.Join(t.TempDir(), "mark")
	for _, tt := range []struct {
		what string
		// set makes git run the program in what follows.
		set    func(git func(args ...string) string, dir, program string)
		follow []string
		want   string // of the message
	}{
		{"to fetch what a partial clone has not got", func(git func(args ...string) string, dir, program string) {
			object := git("rev-parse", "HEAD:file")
			if err := os.Remove(filepath.Join(dir, ".git", "objects", object[:2], object[2:])); err != nil {
				t.Fatal(err)
			}
			git("config", "core.repositoryformatversion", "1")
			git("config", "extensions.partialClone", "origin")
			git("config", "remote.origin.promisor", "true")
			git("config", "remote.origin.url", "ssh://host.invalid/x")
			git("config", "protocol.ssh.allow", "always")
			git("config", "core.sshCommand", program)
		}, []string{"log", "-p"}, "not looked at: the git history"},
		{"to verify a signature", func(git func(args ...string) string, dir, program string) {
			plant(t, dir, map[string]string{"../commit": "tree " + git("rev-parse", "HEAD^{tree}") +
				"\nauthor n <e@example.org> 1 +0000\ncommitter n <e@example.org> 1 +0000\n" +
				"gpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\nfirst\n"})
			git("reset", "-q", "--hard", git("hash-object", "-t", "commit", "-w", filepath.Join(dir, "..", "commit")))
			git("config", "log.showSignature", "true")
			git("config", "gpg.program", program)
		}, []string{"log"}, ""},
		{"to watch the files", func(git func(args ...string) string, dir, program string) {
			git("config", "core.fsmonitor", program)
		}, []string{"status"}, ""},
	} {
		top := t.TempDir()
		dir := filepath.Join(top, "image")
		plant(t, dir, map[string]string{"file": "content"})
		git := gitIn(t, dir)
		git("init", "-q")
		git("add", "-A")
		git("commit", "-qm", "first")
		program := filepath.Join(top, "program")
		if err := os.WriteFile(program, []byte("#!/bin/sh\n: >"+mark+"\nexit 1\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		tt.set(git, dir, program)
		code, found, msg := inspectJSON(t, dir)
		if want := min(len(tt.want), 1); code != want || len(found) != 0 || !strings.Contains(msg, tt.want) {
			t.Errorf("%s: exit code %d, %v, %s", tt.what, code, found, msg)
		}
		if os.Remove(mark) == nil {
			t.Errorf("%s: a program of the image was run", tt.what)
		}
		// Git itself does run it, or this test sees nothing.
		exec.Command("git", append([]string{"-C", dir}, tt.follow...)...).Run()
		if os.Remove(mark) != nil {
			t.Errorf("%s: git does not run it either", tt.what)
		}
	}
}

// An image that cannot be looked at is not clean.
func TestInspectUnreadable(t *testing.T) {
	dir := t.TempDir()
	plant(t, dir, map[string]string{".git/HEAD": "nonsense"})
	if code, _, msg := inspectJSON(t, dir); code != 1 || !strings.Contains(msg, "not looked at: the git history") {
		t.Errorf("broken history: exit code %d, %s", code, msg)
	}
	if _, err := exec.LookPath("git"); err == nil {
		dir = t.TempDir()
		plant(t, dir, map[string]string{"etc/.git/HEAD": "nonsense", "etc/.git/config": ""})
		gitIn(t, dir)("init", "-q")
		if code, _, msg := inspectJSON(t, dir); code != 1 || !strings.Contains(msg, "not looked at: the git history") {
			t.Errorf("broken history within: exit code %d, %s", code, msg)
		}
	}
	if os.Getuid() == 0 {
		return // who can read everything
	}
	dir = t.TempDir()
	plant(t, dir, map[string]string{"etc/shadow": "x"})
	if err := os.Chmod(filepath.Join(dir, "etc/shadow"), 0); err != nil {
		t.Fatal(err)
	}
	if code, _, msg := inspectJSON(t, dir); code != 1 || !strings.Contains(msg, "not looked at") {
		t.Errorf("exit code %d, %s", code, msg)
	}
}
