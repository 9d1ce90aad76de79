//go:build linux && amd64

// Clones boots a virtual machine that reads random bytes all the time, takes one
// snapshot of it, restores that twice, and counts what both clones have output:
//
//	apt-get install qemu-system-x86
//	apt-get download linux-image-6.1.0-56-cloud-amd64 && dpkg -x linux-image-*.deb kernel # Debian 12
//	CGO_ENABLED=0 go build -o clones ./internal/twins/testdata/clones
//	./clones -kernel kernel/boot/vmlinuz-* -cpu Nehalem
//
// The program itself is the init process of the guest. Each of its lines has one read
// of each of these:
//
//	copy       a generator that nothing goes into after its seed: all is equal in clones
//	ahead      a lrng.RNG with OutputBuffer 1024: the rest of the buffer is equal
//	getrandom  the system call, for comparison
//	lrng       a lrng.RNG of the zero Config
//
// The first two are controls: the run fails if the clones have nothing in common there.
// It fails, too, if they have 16 bytes in a row in common in what lrng returned.
package main

import (
	"bufio"
	"bytes"
	"context"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/drng"
)

var columns = []string{"copy", "ahead", "getrandom", "lrng"}

func main() {
	if os.Getpid() == 1 {
		err := guest()
		fmt.Println("guest:", err)
		for {
			time.Sleep(time.Hour) // init must not end
		}
	}
	var h harness
	flag.StringVar(&h.qemu, "qemu", "qemu-system-x86_64", "the emulator")
	flag.StringVar(&h.kernel, "kernel", "", "a Linux kernel (vmlinuz), with devtmpfs and a serial console built in")
	flag.StringVar(&h.accel, "accel", "tcg", "the accelerator: kvm or tcg")
	flag.StringVar(&h.cpu, "cpu", "Nehalem", "the processor; with a generator: Nehalem,+rdrand")
	flag.StringVar(&h.more, "more", "", "more arguments for the emulator, as: -device vmgenid,guid=auto")
	flag.IntVar(&h.before, "before", 20, "lines to wait for before the snapshot")
	flag.IntVar(&h.after, "after", 200, "lines to wait for from each clone")
	flag.DurationVar(&h.patience, "timeout", 10*time.Minute, "for all of it")
	flag.Parse()
	if err := h.run(); err != nil {
		fmt.Fprintln(os.Stderr, "clones:", err)
		os.Exit(1)
	}
}

// guest is the init process: it mounts what it needs and reads for ever.
func guest() error {
	for _, m := range []struct{ dir, kind string }{{"/dev", "devtmpfs"}, {"/proc", "proc"}, {"/sys", "sysfs"}} {
		os.Mkdir(m.dir, 0o755)
		if err := syscall.Mount(m.kind, m.dir, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return err
	}
	boot := strings.TrimSpace(string(id))
	ctx := context.Background()
	def, err := lrng.New(lrng.Config{})
	if err != nil {
		return err
	}
	ahead, err := lrng.New(lrng.Config{OutputBuffer: 1024})
	if err != nil {
		return err
	}
	seed := make([]byte, 48)
	if _, err := def.ReadContext(ctx, seed); err != nil {
		return err
	}
	copied := drng.NewChaCha20()
	if err := copied.Seed(seed, nil); err != nil {
		return err
	}
	fmt.Print(def.Status())
	for n := 0; ; n++ {
		size := []int{16, 32, 64, 256}[n%4]
		var b [4][]byte
		for i := range b {
			b[i] = make([]byte, size)
		}
		err := errors.Join(copied.Generate(b[0], nil), read(ahead, b[1]), getrandom(b[2]), read(def, b[3]))
		if err != nil {
			return err
		}
		fmt.Printf("\nT %s %d %x %x %x %x .\n", boot, n, b[0], b[1], b[2], b[3])
		time.Sleep(10 * time.Millisecond)
	}
}

func read(r *lrng.RNG, b []byte) error {
	_, err := r.Read(b)
	return err
}

// getrandom is the system call, without the vDSO.
func getrandom(b []byte) error {
	const number = 318 // of amd64
	n, _, errno := syscall.Syscall(number, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0)
	if errno != 0 || int(n) != len(b) {
		return fmt.Errorf("getrandom: %d bytes: %w", n, errno)
	}
	return nil
}

type harness struct {
	qemu, kernel, accel, cpu, more string
	before, after                  int
	patience                       time.Duration
	dir                            string
	deadline                       time.Time
}

func (h *harness) run() error {
	if h.kernel == "" {
		return errors.New("-kernel is missing")
	}
	h.deadline = time.Now().Add(h.patience)
	var err error
	if h.dir, err = os.MkdirTemp("", "clones-"); err != nil {
		return err
	}
	defer os.RemoveAll(h.dir)
	if err := h.initramfs(); err != nil {
		return err
	}
	begin := time.Now()
	if err := h.snapshot(); err != nil {
		return err
	}
	fmt.Printf("booted and saved in %v\n", time.Since(begin).Round(time.Second))
	var clones [2][]line
	for i := range clones {
		if clones[i], err = h.restore(i); err != nil {
			return err
		}
	}
	return h.compare(clones)
}

// initramfs writes an archive in the format of cpio -H newc with this program as /init.
func (h *harness) initramfs() error {
	name, err := os.Executable()
	if err != nil {
		return err
	}
	f, err := elf.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("this program is not static: build it with CGO_ENABLED=0")
		}
	}
	program, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	add := func(name string, mode int, data []byte) {
		pad := func() {
			for b.Len()%4 != 0 {
				b.WriteByte(0)
			}
		}
		fmt.Fprintf(&b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
			0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0, name)
		pad()
		b.Write(data)
		pad()
	}
	add("init", 0o100755, program)
	add("TRAILER!!!", 0, nil)
	return os.WriteFile(h.file("initramfs"), b.Bytes(), 0o600)
}

func (h *harness) file(name string) string { return filepath.Join(h.dir, name) }

// A guestVM is one emulator. Its serial port is a file.
type guestVM struct {
	h      *harness
	cmd    *exec.Cmd
	serial string
	qmp    string
	errors bytes.Buffer
	ended  chan error
}

func (h *harness) start(name string, more ...string) (*guestVM, error) {
	g := &guestVM{h: h, serial: h.file(name + ".serial"), qmp: h.file(name + ".qmp"), ended: make(chan error, 1)}
	args := []string{"-accel", h.accel, "-machine", "pc", "-cpu", h.cpu, "-m", "256", "-smp", "1", "-display", "none", "-no-reboot", "-net", "none",
		"-kernel", h.kernel, "-initrd", h.file("initramfs"), "-append", "console=ttyS0 quiet panic=-1",
		"-serial", "file:" + g.serial, "-monitor", "none", "-qmp", "unix:" + g.qmp + ",server=on,wait=off"}
	args = append(args, strings.Fields(h.more)...)
	g.cmd = exec.Command(h.qemu, append(args, more...)...)
	g.cmd.Stderr = &g.errors
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { g.ended <- g.cmd.Wait() }()
	return g, nil
}

func (g *guestVM) kill() {
	g.cmd.Process.Kill()
	<-g.ended
}

// lines waits for so many lines and returns all that there are.
func (g *guestVM) lines(n int) ([]line, error) {
	for {
		found, err := parse(g.serial)
		if err == nil && len(found) >= n {
			return found, nil
		}
		select {
		case err := <-g.ended:
			g.ended <- err
			return nil, fmt.Errorf("the emulator ended: %v: %s", err, g.errors.String())
		case <-time.After(200 * time.Millisecond):
		}
		if time.Now().After(g.h.deadline) {
			tail, _ := os.ReadFile(g.serial)
			return nil, fmt.Errorf("%d of %d lines in time; the end of the console:\n%s", len(found), n, tail[max(0, len(tail)-2000):])
		}
	}
}

// A line is one round of reads in the guest.
type line struct {
	boot, number string
	data         [][]byte
}

// parse returns the lines of a serial port that are whole.
func parse(name string) (list []line, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		fields := strings.Fields(s.Text())
		if len(fields) != 4+len(columns) || fields[0] != "T" || fields[3+len(columns)] != "." {
			continue
		}
		l := line{boot: fields[1], number: fields[2]}
		for _, text := range fields[3 : 3+len(columns)] {
			b, err := hex.DecodeString(text)
			if err != nil {
				return nil, fmt.Errorf("line %s: %w", l.number, err)
			}
			l.data = append(l.data, b)
		}
		list = append(list, l)
	}
	return list, s.Err()
}

// snapshot boots the guest, lets it run, and saves it without stopping it before.
func (h *harness) snapshot() error {
	g, err := h.start("original")
	if err != nil {
		return err
	}
	defer g.kill()
	found, err := g.lines(h.before)
	if err != nil {
		return err
	}
	if err := g.migrate("exec:cat > " + h.file("state")); err != nil {
		return err
	}
	if console, err := os.ReadFile(g.serial); err == nil {
		for _, l := range strings.Split(string(console), "\n") {
			if strings.HasPrefix(l, "Output ahead") || strings.HasPrefix(l, "Copies of") {
				fmt.Println("guest:", strings.TrimSpace(l))
			}
		}
	}
	for _, l := range found {
		if l.boot != found[0].boot {
			return errors.New("the guest has booted twice")
		}
	}
	return nil
}

// migrate saves the state by QMP.
func (g *guestVM) migrate(uri string) error {
	conn, err := net.Dial("unix", g.qmp)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(g.h.deadline)
	enc, dec := json.NewEncoder(conn), json.NewDecoder(conn)
	ask := func(command string, arguments map[string]any) (status string, err error) {
		request := map[string]any{"execute": command}
		if arguments != nil {
			request["arguments"] = arguments
		}
		if err := enc.Encode(request); err != nil {
			return "", err
		}
		for {
			var answer struct {
				Return *struct{ Status string }
				Error  *struct{ Desc string }
			}
			switch err := dec.Decode(&answer); {
			case err != nil:
				return "", err
			case answer.Error != nil:
				return "", errors.New(answer.Error.Desc)
			case answer.Return != nil:
				return answer.Return.Status, nil
			} // else an event, or the greeting
		}
	}
	if _, err := ask("qmp_capabilities", nil); err != nil {
		return err
	}
	if _, err := ask("migrate", map[string]any{"uri": uri}); err != nil {
		return err
	}
	for {
		switch status, err := ask("query-migrate", nil); {
		case err != nil:
			return err
		case status == "completed":
			return nil
		case status == "failed", status == "cancelled":
			return errors.New("migrate: " + status)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// restore runs a clone and returns its lines.
func (h *harness) restore(i int) ([]line, error) {
	g, err := h.start(fmt.Sprint("clone", i), "-incoming", "exec:cat "+h.file("state"))
	if err != nil {
		return nil, err
	}
	defer g.kill()
	list, err := g.lines(h.after)
	if err != nil {
		return nil, err
	}
	return list[:h.after], nil
}

// compare prints what the clones have in common, and judges it.
func (h *harness) compare(clones [2][]line) error {
	a, b := clones[0], clones[1]
	if a[0].boot != b[0].boot || a[h.after-1].boot != a[0].boot || b[h.after-1].boot != a[0].boot {
		return errors.New("a clone has booted: it is none")
	}
	fmt.Printf("clones of boot %s from line %s and %s on\n", a[0].boot, a[0].number, b[0].number)
	fmt.Printf("%-10s %22s %22s\n", "", "equal reads", "equal 16-byte windows")
	var windows [4]int
	for c, name := range columns {
		reads, all := 0, 0
		seen := make(map[[16]byte]bool)
		for i := range a {
			if bytes.Equal(a[i].data[c], b[i].data[c]) {
				reads++
			}
			for d := a[i].data[c]; len(d) >= 16; d = d[1:] {
				seen[[16]byte(d)] = true
			}
		}
		for i := range b {
			for d := b[i].data[c]; len(d) >= 16; d = d[1:] {
				all++
				if seen[[16]byte(d)] {
					windows[c]++
				}
			}
		}
		fmt.Printf("%-10s %14d of %4d %14d of %4d\n", name, reads, len(a), windows[c], all)
	}
	switch {
	case windows[0] == 0 || windows[1] == 0:
		return errors.New("the controls have nothing in common: these are no clones")
	case windows[3] != 0:
		return errors.New("the clones have output in common")
	}
	return nil
}
