package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// A terminal is a pseudo-terminal, and what was written to it.
type terminal struct {
	slave *os.File

	mu   sync.Mutex
	text strings.Builder // guarded by mu
	done chan struct{}   // closed when nobody has the terminal open any more
}

func openTerminal(t *testing.T) *terminal {
	t.Helper()
	if os.Getenv("LRNG_EMULATED") != "" {
		t.Skip("the emulator has other numbers for ioctl")
	}
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { master.Close() })
	var number, unlock uint32
	for request, arg := range map[uintptr]*uint32{syscall.TIOCGPTN: &number, syscall.TIOCSPTLCK: &unlock} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, master.Fd(), request, uintptr(unsafe.Pointer(arg))); errno != 0 {
			t.Fatal(errno)
		}
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	term := &terminal{slave: slave, done: make(chan struct{})}
	go func() {
		defer close(term.done)
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			term.mu.Lock()
			term.text.Write(b[:n])
			term.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return term
}

func (term *terminal) String() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.text.String()
}

// start starts the program with the terminal as its standard output and error.
func (term *terminal) start(t *testing.T, env []string, args ...string) (wait func() syscall.WaitStatus, kill func(os.Signal)) {
	t.Helper()
	cmd, _ := process(t, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = term.slave, term.slave
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() syscall.WaitStatus {
		t.Helper()
		status := ended(t, cmd)
		term.slave.Close()
		<-term.done
		return status
	}, func(s os.Signal) { cmd.Process.Signal(s) }
}

// On a terminal watch fills the screen, and puts it back, however it ends.
func TestWatchTerminal(t *testing.T) {
	term := openTerminal(t)
	wait, _ := term.start(t, []string{"TERM=xterm", "LC_ALL=C.UTF-8"}, "watch", "-n", "3", "-interval", "10ms")
	if status := wait(); status.ExitStatus() != 0 {
		t.Errorf("%v", status)
	}
	out := term.String()
	if !strings.HasPrefix(out, enterScreen+clearScreen) || !strings.HasSuffix(out, leaveScreen) || strings.Count(out, clearScreen) != 3 || !strings.Contains(out, "\x1b[4;1HLevel        ") || strings.Contains(out, "\n") {
		t.Errorf("%q", out)
	}
	if !strings.ContainsAny(out, string(blockBars)) {
		t.Errorf("no bars: %q", out)
	}

	for signal, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		term := openTerminal(t)
		wait, kill := term.start(t, []string{"TERM=xterm", "LC_ALL=C"}, "watch", "-interval", "10ms")
		for end := time.Now().Add(time.Minute); strings.Count(term.String(), clearScreen) < 2 && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
		}
		kill(signal)
		status := wait()
		if out := term.String(); status.ExitStatus() != want || !strings.HasPrefix(out, enterScreen) || !strings.HasSuffix(out, leaveScreen+"lrng watch: interrupted\r\n") || strings.ContainsAny(out, string(blockBars)) {
			t.Errorf("%v: %v, %q", signal, status, out)
		}
	}
}

// A terminal that knows no commands gets lines, as a file does.
func TestWatchDumb(t *testing.T) {
	for _, env := range []string{"TERM=dumb", "TERM="} {
		term := openTerminal(t)
		wait, _ := term.start(t, []string{env}, "watch", "-n", "2", "-interval", "10ms")
		status := wait()
		if out := term.String(); status.ExitStatus() != 0 || strings.Contains(out, "\x1b") || strings.Count(out, " rounds, ") != 2 || strings.Count(out, "\r\n") != 2 {
			t.Errorf("%s: %v, %q", env, status, out)
		}
	}
}

// A progress is drawn on a terminal, and the bytes go elsewhere.
func TestProgressTerminal(t *testing.T) {
	term := openTerminal(t)
	p := newProgress(term.slave, 100, "bytes")
	if p == nil {
		t.Fatal("no progress on a terminal")
	}
	p.set(50)
	for end := time.Now().Add(time.Minute); !strings.Contains(term.String(), "  50 %  50 of 100 bytes") && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	p.set(100)
	p.stop()
	p.stop()
	term.slave.Close()
	<-term.done
	if out := term.String(); !strings.HasPrefix(out, "\r[=") || !strings.Contains(out, "] 100 %  100 of 100 bytes") || !strings.HasSuffix(out, "\r\n") {
		t.Errorf("%q", out)
	}
	// A seed is not for a terminal.
	term = openTerminal(t)
	wait, _ := term.start(t, nil, "seed")
	if status := wait(); status.ExitStatus() != 2 || !strings.Contains(term.String(), "standard output is a terminal; a seed is a secret") {
		t.Errorf("%v, %q", status, term.String())
	}
}
