package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lrng-go/lrng"
	"golang.org/x/sys/unix"
)

const nobody = 65534

// program is this test program, at a place where all users may execute it.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "lrngd")
	if err != nil {
		return "", err
	}
	litter = append(litter, dir)
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "lrngd")
	if err := os.Link(self, path); err != nil { // another file system
		b, err := os.ReadFile(self)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(path, b, 0o755); err != nil {
			return "", err
		}
	}
	return path, errors.Join(os.Chmod(path, 0o755), os.Chmod(dir, 0o755))
})

// A process is a daemon as a user starts it.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout safeBuffer
	stderr safeBuffer
	ended  chan struct{}
}

// command prepares a daemon with the flags.
func command(t *testing.T, args ...string) *process {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, ended: make(chan struct{})}
	p.cmd = exec.Command(path, args...)
	p.cmd.Env = append(os.Environ(), asDaemon+"=1")
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.Dir = "/"
	return p
}

func (p *process) env(vars ...string) *process {
	p.cmd.Env = append(p.cmd.Env, vars...)
	return p
}

// as starts the daemon as another user, without capabilities.
func (p *process) as(uid uint32) *process {
	p.t.Helper()
	if os.Getuid() != 0 {
		p.t.Skip("becoming another user takes root")
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	return p
}

func (p *process) start() *process {
	p.t.Helper()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		p.cmd.Wait()
	}()
	p.t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.ended
		if p.t.Failed() {
			p.t.Logf("%q said:\n%s", p.cmd.Args[1:], p.stderr.String())
		}
	})
	return p
}

// ready starts the daemon and waits until it serves.
func (p *process) ready() *process {
	p.t.Helper()
	p.start()
	eventually(p.t, "the daemon is ready", func() bool {
		select {
		case <-p.ended:
			p.t.Fatalf("the daemon ended: %v", p.cmd.ProcessState)
		default:
		}
		return p.said("msg=ready")
	})
	return p
}

func (p *process) said(s string) bool { return strings.Contains(p.stderr.String(), s) }

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// exits wants the exit code, and words in what it said.
func (p *process) exits(code int, words ...string) {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatal("the daemon does not end")
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		p.t.Errorf("%q: exit code %d, want %d: %s", p.cmd.Args[1:], got, code, p.stderr.String())
	}
	for _, w := range words {
		if !p.said(w) {
			p.t.Errorf("%q: no %q in %q", p.cmd.Args[1:], w, p.stderr.String())
		}
	}
	if p.said("goroutine ") {
		p.t.Errorf("%q: %s", p.cmd.Args[1:], p.stderr.String())
	}
}

// TestDaemon is a day in the life: as root, and as the user it becomes.
func TestDaemon(t *testing.T) {
	dir := shortDir(t)
	e, h, in := filepath.Join(dir, "egd"), filepath.Join(dir, "http"), filepath.Join(dir, "in")
	args := []string{"-egd", e, "-http", h, "-in", in, "-http", "127.0.0.1:0", "-egd", "127.0.0.1:0"}
	admin := hasAdmin() == nil && os.Getuid() == 0
	if admin {
		args = append(args, "-user", strconv.Itoa(nobody), "-feed", "1h")
	}
	p := command(t, args...).ready()
	for path, want := range map[string]os.FileMode{e: 0o666, h: 0o666, in: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want|os.ModeSocket {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	c := dialEGD(t, "unix", e)
	if c.level() != 256 || len(c.read(200)) != 200 || len(c.try(100)) != 100 || c.pid() != strconv.Itoa(p.cmd.Process.Pid) {
		t.Error("EGD")
	}
	client := unixClient(h)
	defer client.CloseIdleConnections()
	for url, size := range map[string]int{"/bytes?n=100000": 100000, "/seed?bits=384": 48, "/healthz": 3} {
		if resp, body := get(t, client, "http://lrngd"+url); resp.StatusCode != 200 || len(body) != size {
			t.Errorf("%s: %s, %d bytes", url, resp.Status, len(body))
		}
	}
	if resp, body := get(t, client, "http://lrngd/"); resp.StatusCode != 200 || !bytes.Contains(body, []byte("<html")) {
		t.Errorf("the status page: %s, %.100s", resp.Status, body)
	}
	if resp, body := get(t, client, "http://lrngd/noise"); resp.StatusCode != 200 || !bytes.Contains(body, []byte("jitter")) {
		t.Errorf("noise for the status page: %s, %.100s", resp.Status, body)
	}
	// Both TCP sockets are there.
	tcp := 0
	for word := range strings.FieldsFuncSeq(p.stderr.String(), func(r rune) bool { return strings.ContainsRune(` []"`, r) }) {
		if !strings.HasPrefix(word, "127.0.0.1:") {
			continue
		}
		tcp++
		if tcp == 1 {
			dialEGD(t, "tcp", word).read(10)
		} else if resp, body := get(t, http.DefaultClient, "http://"+word+"/bytes?n=9"); resp.StatusCode != 200 || len(body) != 9 {
			t.Errorf("%s: %s", word, resp.Status)
		}
	}
	if tcp != 2 {
		t.Errorf("%d sockets of TCP in the log", tcp)
	}
	// Root brings entropy, and is credited on the privileged socket alone.
	available := func() (bits int) {
		var st lrng.Status
		if _, body := get(t, client, "http://lrngd/status"); json.Unmarshal(body, &st) != nil {
			t.Fatalf("status %s", body)
		}
		for _, s := range st.Sources {
			if s.Name == "auxiliary" {
				bits = s.Available
			}
		}
		return bits
	}
	dialEGD(t, "unix", e).addAndWait(40, "entropy")
	if n := available(); n != 0 {
		t.Errorf("%d bits of credit on the public socket", n)
	}
	if os.Getuid() == 0 {
		dialEGD(t, "unix", in).addAndWait(40, "entropy")
		if n := available(); n != 40 && !strings.Contains(os.Getenv("GODEBUG"), "fips140=") {
			t.Errorf("%d bits of credit on the privileged socket, want 40", n)
		}
	}
	if admin {
		checkPrivileges(t, p.cmd.Process.Pid, 1<<unix.CAP_SYS_ADMIN)
		var vars struct{ Lrngd map[string]int64 }
		if _, body := get(t, client, "http://lrngd/debug/vars"); json.Unmarshal(body, &vars) != nil || vars.Lrngd["feeds"] != 1 || vars.Lrngd["feed_bits"] != 0 {
			t.Errorf("vars %v", vars)
		}
	}
	// SIGHUP reseeds, and feeds.
	p.signal(syscall.SIGHUP)
	eventually(t, "reseeded", func() bool { return strings.Count(p.stderr.String(), `msg="lrng: seeded"`) >= 2 })
	p.signal(syscall.SIGTERM)
	p.exits(0, "stopping", "stopped")
	c.ended()
	if p.said("entropy") || p.said("panic") {
		t.Error("what clients send or get is in the log")
	}
}

func (c *egdClient) addAndWait(bits int, s string) {
	c.t.Helper()
	c.add(bits, []byte(s))
	c.pid()
}

// checkPrivileges looks at each thread of a process that has become nobody.
func checkPrivileges(t *testing.T, pid int, caps uint64, except ...string) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("no threads: %v", err)
	}
	set := fmt.Sprintf("%016x", caps)
	want := map[string]string{
		"Uid:": "65534 65534 65534 65534", "Gid:": "65534 65534 65534 65534", "Groups:": "",
		"CapInh:": "0000000000000000", "CapPrm:": set, "CapEff:": set, "CapBnd:": set, "CapAmb:": "0000000000000000",
		"NoNewPrivs:": "1",
	}
	for _, name := range except {
		delete(want, name) // what the daemon cannot change
	}
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if err != nil {
			continue // a thread that has ended
		}
		found := 0
		for line := range strings.Lines(string(b)) {
			fields := strings.Fields(line)
			if w, ok := want[fields[0]]; ok {
				found++
				if got := strings.Join(fields[1:], " "); got != w {
					t.Errorf("%s: %s %q, want %q", task, fields[0], got, w)
				}
			}
		}
		if found != len(want) {
			t.Errorf("%s: %d lines of %d", task, found, len(want))
		}
	}
}

// TestNoPrivileges: without a need for the capability none is left.
func TestNoPrivileges(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("it takes root to give up something")
	}
	dir := shortDir(t)
	p := command(t, "-egd", dir+"/e", "-user", "nobody", "-feed", "1h", "-feed-reseed=false").ready()
	checkPrivileges(t, p.cmd.Process.Pid, 0)
	dialEGD(t, "unix", dir+"/e").read(32)
	p.signal(os.Interrupt)
	p.exits(0)
}

// TestOtherUser runs the daemon as a user without capabilities, and as its client.
func TestOtherUser(t *testing.T) {
	dir := shortDir(t)
	if os.Getuid() == 0 {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"-egd", dir + "/e", "-in", dir + "/i", "-http", dir + "/h", "-in-mode", "666"}
	// Missing capability: a clear error, and none where it is not needed.
	command(t, append(args, "-feed", "1h")...).as(nobody).start().exits(1, "CAP_SYS_ADMIN", "AmbientCapabilities", "-feed-reseed=false")
	command(t, append(args, "-feed", "1h", "-user", "root")...).as(nobody).start().exits(1, "CAP_SYS_ADMIN")
	command(t, append(args, "-user", "root")...).as(nobody).start().exits(1, "-user root")
	p := command(t, append(args, "-feed", "1h", "-feed-reseed=false", "-strangers", "refuse")...).as(nobody).ready()
	// Root is on the list of those who are credited, and nobody is not.
	dialEGD(t, "unix", dir+"/i").addAndWait(8, "x")
	asNobody(t, dir+"/i", "refused")
	client := unixClient(dir + "/h")
	defer client.CloseIdleConnections()
	var vars struct{ Lrngd map[string]int64 }
	if _, body := get(t, client, "http://lrngd/debug/vars"); json.Unmarshal(body, &vars) != nil || vars.Lrngd["entropy_bits"] != 8 || vars.Lrngd["entropy_refused"] != 1 || vars.Lrngd["feeds"] != 1 {
		t.Errorf("vars %v", vars)
	}
	p.signal(syscall.SIGTERM)
	p.exits(0)
	// As systemd starts it with AmbientCapabilities.
	if hasAdmin() != nil {
		return
	}
	p = command(t, "-egd", dir+"/e", "-feed", "1h").as(nobody)
	p.cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SYS_PTRACE}
	p.ready()
	checkPrivileges(t, p.cmd.Process.Pid, 1<<unix.CAP_SYS_ADMIN, "CapBnd:")
}

// asNobody brings entropy as another user. TestAsNobody is that user.
func asNobody(t *testing.T, path, want string) {
	t.Helper()
	self, err := program()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run", "^TestAsNobody$", "-test.v")
	cmd.Env = append(os.Environ(), "LRNGD_TEST_CLIENT="+path)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "entropy was "+want) {
		t.Errorf("%v: %s", err, out)
	}
}

func TestAsNobody(t *testing.T) {
	path := os.Getenv("LRNGD_TEST_CLIENT")
	if path == "" {
		return // it is a part of TestOtherUser
	}
	c := dialEGD(t, "unix", path)
	c.add(8, []byte("x"))
	c.Write([]byte{4})
	if n, _ := c.Read(make([]byte, 1)); n == 0 {
		t.Log("entropy was refused")
	} else {
		t.Log("entropy was taken")
	}
}

// TestWrongCalls: a clear message and the right exit code.
func TestWrongCalls(t *testing.T) {
	dir := shortDir(t)
	file := dir + "/file"
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		code int
		args string
		says string
	}{
		{2, "", "nothing to listen on"},
		{2, "-nonsense", "-nonsense"},
		{2, "-egd", "-egd"},
		{2, "-egd /e extra", "extra"},
		{2, "-egd 8.8.8.8:80", "this machine alone"},
		{2, "-egd DIR/e -source-rate nonsense=1", "nonsense"},
		{2, "-egd DIR/e -source-rate jitter=100000", "-source-rate"},
		{1, "-egd DIR/none/e", "no such file or directory"},
		{1, "-egd " + file, "not a socket"},
		{1, "-egd DIR/" + strings.Repeat("x", 107-len(dir)), "too long for the path of a socket: 108 bytes, at most 107"},
		{1, "-egd DIR/e -user nosuchuser", "nosuchuser"},
		{1, "-egd DIR/e -seeding-timeout 1ms -source-rate jitter=0 -source-rate cpu=0 -source-rate os=0", "not seeded after 1ms"},
		{0, "-help", ""},
	} {
		p := command(t, strings.Fields(strings.ReplaceAll(tt.args, "DIR", dir))...).start()
		p.exits(tt.code, tt.says)
		if tt.code == 0 && !strings.HasPrefix(p.stdout.String(), "Usage: lrngd") {
			t.Errorf("help on stdout: %q", p.stdout.String())
		}
		if tt.code == 2 && !p.said("-help") {
			t.Errorf("%q: no hint at -help", tt.args)
		}
	}
	if b, err := os.ReadFile(file); string(b) != "precious" {
		t.Errorf("a file in the way: %q, %v", b, err)
	}
}

// TestStoppedEarly is stopped while it still waits for its first seed.
func TestStoppedEarly(t *testing.T) {
	dir := shortDir(t)
	p := command(t, "-egd", dir+"/e", "-source-rate", "jitter=0", "-source-rate", "cpu=0", "-source-rate", "os=0").start()
	eventually(t, "it listens", func() bool { _, err := os.Stat(dir + "/e"); return err == nil })
	p.signal(syscall.SIGTERM)
	p.exits(0, "before the generator was seeded")
}

func TestFIPSFlag(t *testing.T) {
	dir := shortDir(t)
	command(t, "-check", "-fips").env("GODEBUG=fips140=off").start().exits(1, "FIPS")
	p := command(t, "-check", "-fips", "-drng", "chacha20").env("GODEBUG=fips140=on").start()
	if <-p.ended; p.said("incompatible with the purego build tag") {
		return // the standard library has no FIPS mode with it
	}
	p.exits(1, "DRNG")
	p = command(t, "-egd", dir+"/e", "-fips").env("GODEBUG=fips140=on").ready()
	if !p.said("CTR_DRBG") {
		t.Error("the mechanism is not CTR_DRBG")
	}
	dialEGD(t, "unix", dir+"/e").read(100)
}

// TestNobodyReadsMessages: the reader of its messages goes away, and the daemon does not.
func TestNobodyReadsMessages(t *testing.T) {
	dir := shortDir(t)
	longest := dir + "/" + strings.Repeat("x", 106-len(dir))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := command(t, "-egd", longest, "-debug")
	p.cmd.Stderr = w
	p.start()
	w.Close()
	eventually(t, "it listens", func() bool { _, err := os.Stat(longest); return err == nil })
	r.Close()
	for range 3 {
		c := dialEGD(t, "unix", longest)
		c.read(16)
		c.send(0xff) // which it has something to say about
		c.ended()
	}
	p.signal(syscall.SIGTERM)
	p.exits(0)
}

func TestCheck(t *testing.T) {
	p := command(t, "-check", "-egd", "/nowhere/at/all", "-drng", "hmac").start()
	p.exits(0)
	if got := p.stdout.String(); !strings.HasPrefix(got, "ok: HMAC_DRBG") {
		t.Errorf("%q", got)
	}
}

// TestSocketInUse: the second daemon ends, and the first one goes on.
func TestSocketInUse(t *testing.T) {
	dir := shortDir(t)
	path := dir + "/e"
	first := command(t, "-egd", path).ready()
	command(t, "-egd", path).start().exits(1, path, "in use: another lrngd has locked")
	// The same if it has lost its lock, and for somebody who knows of no locks.
	if err := os.Remove(path + ".lock"); err != nil {
		t.Fatal(err)
	}
	command(t, "-http", path).start().exits(1, path, "in use: somebody listens on it")
	dialEGD(t, "unix", path).read(10)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	command(t, "-http", l.Addr().String()).start().exits(1, "address already in use")
	// Killed, it leaves a stale socket, which the next one replaces.
	first.signal(syscall.SIGKILL)
	<-first.ended
	if _, err := os.Lstat(path); err != nil {
		t.Fatalf("no stale socket: %v", err)
	}
	second := command(t, "-egd", path).ready()
	dialEGD(t, "unix", path).read(10)
	second.signal(syscall.SIGTERM)
	second.exits(0)
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after the end: %v", err)
	}
}

// notifySocket is the end of systemd.
func notifySocket(t *testing.T) (path string, messages <-chan string) {
	path = shortDir(t) + "/notify"
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	out := make(chan string, 1000)
	go func() {
		defer close(out)
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			out <- string(buf[:n])
		}
	}()
	return path, out
}

func await(t *testing.T, messages <-chan string, want string) {
	t.Helper()
	end := time.After(patience)
	for {
		select {
		case m := <-messages:
			if slices.Contains(strings.Split(m, "\n"), want) {
				return
			}
		case <-end:
			t.Fatalf("no %s", want)
		}
	}
}

// TestSystemd is started as systemd starts it: with sockets, a notify socket and a
// watchdog.
func TestSystemd(t *testing.T) {
	dir := shortDir(t)
	path, messages := notifySocket(t)
	var files []*os.File
	for _, name := range []string{"h", "e", "i"} {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, name), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		f, err := l.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	f, err := tcp.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	files = append(files, f)

	// A client that comes before the daemon waits for it.
	early := dialEGD(t, "unix", dir+"/e")
	early.send(2, 16)

	p := command(t).env("NOTIFY_SOCKET="+path, "WATCHDOG_USEC=20000", "LISTEN_FDS=4", "LISTEN_FDNAMES=http:egd:in:http")
	p.cmd.ExtraFiles = files
	p.start()
	await(t, messages, "READY=1")
	early.receive(16)
	client := unixClient(dir + "/h")
	defer client.CloseIdleConnections()
	for _, url := range []string{"http://localhost/bytes?n=7", "http://" + tcp.Addr().String() + "/bytes?n=7"} {
		c := client
		if strings.Contains(url, "127.0.0.1") {
			c = http.DefaultClient
		}
		if resp, body := get(t, c, url); resp.StatusCode != 200 || len(body) != 7 {
			t.Errorf("%s: %s", url, resp.Status)
		}
	}
	dialEGD(t, "unix", dir+"/i").addAndWait(8, "x")
	for range 3 {
		await(t, messages, "WATCHDOG=1")
	}
	p.signal(syscall.SIGTERM)
	await(t, messages, "STOPPING=1")
	p.exits(0)
	// The sockets are systemd's, and stay.
	if _, err := os.Stat(dir + "/e"); err != nil {
		t.Error(err)
	}

	for names, want := range map[string]string{
		"egd:http:nonsense:in": `"nonsense"`,
		"egd:http:http:in":     "Unix sockets only",
		"egd":                  "FileDescriptorName",
	} {
		p := command(t).env("LISTEN_FDS=4", "LISTEN_FDNAMES="+names)
		p.cmd.ExtraFiles = files
		p.start().exits(1, want)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	p = command(t).env("LISTEN_FDS=1", "LISTEN_FDNAMES=egd")
	p.cmd.ExtraFiles = []*os.File{r}
	p.start().exits(1, "socket egd of systemd")
}

// TestNoDescriptors leaves the daemon too few, and sees it come back.
func TestNoDescriptors(t *testing.T) {
	dir := shortDir(t)
	self, err := program()
	if err != nil {
		t.Fatal(err)
	}
	p := command(t)
	p.cmd = exec.Command("/bin/sh", "-c", `ulimit -n 24; exec "$0" "$@"`, self, "-egd", dir+"/e", "-idle", "30s")
	p.cmd.Env = append(os.Environ(), asDaemon+"=1")
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.ready()
	var all []net.Conn
	for range 60 {
		c, err := net.Dial("unix", dir+"/e")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		all = append(all, c)
	}
	eventually(t, "it has run out", func() bool { return p.said("too many open files") })
	for _, c := range all {
		c.Close()
	}
	dialEGD(t, "unix", dir+"/e").read(100)
	p.signal(syscall.SIGTERM)
	p.exits(0)
}

// TestShutdownUnderLoad: a reader who takes what it asked for gets all of it, and one who
// does not is cut off.
func TestShutdownUnderLoad(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	const size = 2 << 20
	p := command(t, "-http", dir+"/h", "-rate", "100000000", "-drain", "3s").ready()
	ask := func() net.Conn {
		c, err := net.Dial("unix", dir+"/h")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(c, "GET /bytes?n=%d HTTP/1.1\r\nHost: lrngd\r\n\r\n", size)
		if _, err := io.ReadFull(c, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	good, bad := ask(), ask()
	p.signal(syscall.SIGTERM)
	eventually(t, "it stops", func() bool { return p.said("stopping") })
	rest, err := io.ReadAll(good)
	head := 100 - size
	if err != nil || len(rest) < -head {
		t.Errorf("%d bytes, %v", len(rest), err)
	}
	p.exits(0, "cut off")
	if rest, _ := io.ReadAll(bad); len(rest) >= -head {
		t.Error("a reader who did not read got everything")
	}
}

// TestDebianClient has ekeyd-egd-linux, of the Debian package of that name, read from the
// daemon. It hands what it reads to the kernel when that asks, which it does not do any
// more: so it gets a pipe for the kernel.
func TestDebianClient(t *testing.T) {
	client, err := exec.LookPath("ekeyd-egd-linux")
	if err != nil {
		t.Skip("an EGD client of others: ", err, "; it is in the Debian package ekeyd-egd-linux")
	}
	if os.Getuid() != 0 {
		t.Skip("a mount namespace takes root")
	}
	dir := shortDir(t)
	if err := unix.Mkfifo(dir+"/random", 0o600); err != nil {
		t.Fatal(err)
	}
	p := command(t, "-egd", "127.0.0.1:0", "-http", dir+"/h").ready()
	_, rest, _ := strings.Cut(p.stderr.String(), "egd=[127.0.0.1:")
	port, _, _ := strings.Cut(rest, "]")
	out, err := exec.Command("unshare", "--mount", "sh", "-c", `mount --bind "$0/random" /dev/random && exec "$1" -H 127.0.0.1 -p "$2" -b 1 -S 1`, dir, client, port).CombinedOutput()
	// It ends when it finds that the pipe is no kernel.
	if !bytes.Contains(out, []byte("ioctl")) {
		t.Errorf("%v: %s", err, out)
	}
	c := unixClient(dir + "/h")
	defer c.CloseIdleConnections()
	var vars struct{ Lrngd map[string]int64 }
	if _, body := get(t, c, "http://lrngd/debug/vars"); json.Unmarshal(body, &vars) != nil || vars.Lrngd["bytes"] != 128 {
		t.Errorf("%v, want 128 bytes read; the client said %s", vars, out)
	}
}
