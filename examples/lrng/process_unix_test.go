//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process returns the program, to be run with the arguments.
func process(t *testing.T, args ...string) (cmd *exec.Cmd, msg *bytes.Buffer) {
	t.Helper()
	if os.Getenv("LRNG_EMULATED") != "" {
		t.Skip("signals end the emulator, and not the program in it")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(exe, args...)
	msg = new(bytes.Buffer)
	cmd.Stderr = msg
	return cmd, msg
}

// ended waits until a process has ended, which it has to do soon, and returns how.
func ended(t *testing.T, cmd *exec.Cmd) syscall.WaitStatus {
	t.Helper()
	kill := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer kill.Stop()
	err := cmd.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.Sys().(syscall.WaitStatus)
}

// A reader that has enough ends the program, as it ends every other one: by SIGPIPE, and
// without a word.
func TestClosedPipe(t *testing.T) {
	for _, args := range [][]string{{"read"}, {"read", "-format", "hex"}, {"token", "-n", "10000000"}, {"watch", "-interval", "10ms"}, {"watch", "-interval", "10ms", "-json"}} {
		cmd, msg := process(t, args...)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err == nil {
			_, err = io.ReadFull(out, make([]byte, 100))
		}
		if err != nil {
			t.Fatal(err)
		}
		out.Close()
		if status := ended(t, cmd); !status.Signaled() || status.Signal() != syscall.SIGPIPE || msg.Len() > 0 {
			t.Errorf("lrng %q: %v, %s", args, cmd.ProcessState, msg)
		}
	}
}

// A signal ends the program, whether it waits for a pipe that nobody reads from or not.
func TestSignals(t *testing.T) {
	for _, tt := range []struct {
		signal syscall.Signal
		reads  bool // somebody reads from the pipe
		args   []string
	}{
		{syscall.SIGINT, true, []string{"read"}},
		{syscall.SIGTERM, true, []string{"read", "-fresh"}},
		{syscall.SIGINT, false, []string{"read"}},
		{syscall.SIGTERM, true, []string{"watch", "-interval", "1h"}},
		{syscall.SIGINT, true, []string{"bench", "-time", "10s"}}, // it looks for a signal each 40 ms or so
	} {
		// What prints at the end does not tell when it has begun: on a busy machine the signal
		// may come before the program has turned to it, and then another attempt waits longer.
		early := func(status syscall.WaitStatus, wait time.Duration) bool {
			return tt.args[0] == "bench" && status.Signaled() && wait < 20*time.Second
		}
		for wait := 300 * time.Millisecond; ; wait *= 4 {
			cmd, msg := process(t, tt.args...)
			out, err := cmd.StdoutPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err == nil && tt.args[0] != "bench" {
				_, err = io.ReadFull(out, make([]byte, 32))
			} else {
				time.Sleep(wait)
			}
			if err != nil {
				t.Fatal(err)
			}
			if tt.reads {
				go io.Copy(io.Discard, out)
			}
			if err := cmd.Process.Signal(tt.signal); err != nil {
				t.Fatal(err)
			}
			status := ended(t, cmd)
			if early(status, wait) {
				continue
			}
			if status.ExitStatus() != 128+int(tt.signal) || tt.reads && msg.String() != "lrng "+tt.args[0]+": interrupted\n" {
				t.Errorf("%v to lrng %q: %v, %s", tt.signal, tt.args, cmd.ProcessState, msg)
			}
			break
		}
	}
}

// The kernel has a disk that is full.
func TestDevFull(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	for _, args := range [][]string{{"read"}, {"token"}, {"status", "-json"}, {"watch", "-n", "3"}} {
		cmd, msg := process(t, args...)
		cmd.Stdout = full
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if status := ended(t, cmd); status.ExitStatus() != 1 || !strings.HasSuffix(msg.String(), "no space left on device\n") {
			t.Errorf("lrng %q: %v, %s", args, cmd.ProcessState, msg)
		}
	}
}

// Without a standard output the Go runtime opens the null device in its place, so that no
// file that is opened later gets what is printed.
func TestClosedOutput(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	t.Chdir(dir)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(sh, "-c", `"$0" record -n 1000 -o x jitter >&-; echo $?; "$0" token >&-; echo $?`, exe).CombinedOutput()
	if err != nil || string(out) != "0\n0\n" {
		t.Errorf("%q, %v", out, err)
	}
	if info, err := os.Stat("x.bin"); err != nil || info.Size() != 1000 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestNoRegularFile: what is not a regular file is not replaced by one, even with -force. As
// root that would be a device.
func TestNoRegularFile(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := errors.Join(os.WriteFile("noise", bytes.Repeat([]byte{0, 1, 1}, 1000), 0o600), os.Symlink("/dev/null", "null.bin"), syscall.Mkfifo("fifo", 0o600), os.Mkdir("dir.json", 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"record -force -n 1 -o null jitter",
		"record -force -n 1 -o dir jitter",
		"record -n 1 -o null jitter",
		"assess -force -plot fifo noise",
		"assess -force -plot dir.json noise",
		"assess -force -plot null.bin noise",
	} {
		if code, _, msg := call(t, strings.Fields(args)...); code != 1 || !strings.Contains(msg, " is not a regular file") {
			t.Errorf("lrng %s: %d, %s", args, code, msg)
		}
	}
	for name, want := range map[string]fs.FileMode{"null.bin": fs.ModeSymlink, "fifo": fs.ModeNamedPipe, "dir.json": fs.ModeDir} {
		if info, err := os.Lstat(name); err != nil || info.Mode().Type() != want {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}
