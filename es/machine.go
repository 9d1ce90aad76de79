package es

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"path"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/lrng-go/lrng/internal/clock"
	"github.com/lrng-go/lrng/internal/node"
	"github.com/lrng-go/lrng/internal/zero"
)

// A machine is where the program runs, as far as it can find out: by files, from the
// root directory on, and by a few calls. Tests make machines of their own.
type machine struct {
	files      fs.FS // nil: there is no such file system here
	hostname   func() (string, error)
	interfaces func() []byte
	process    func() []byte
	program    func() []byte
	times      func() []byte // differs from call to call
}

// thisMachine returns the machine that the program runs on.
func thisMachine() machine {
	m := machine{
		hostname:   os.Hostname,
		interfaces: node.Interfaces,
		process:    processNumbers,
		program:    buildInfo,
		times:      stamps,
	}
	switch runtime.GOOS {
	case "windows", "plan9", "js", "wasip1":
		// The names below mean nothing there, or what a host makes of them.
	default:
		m.files = os.DirFS("/")
	}
	return m
}

// processNumbers returns what the system calls this process.
func processNumbers() (b []byte) {
	for _, n := range []int{os.Getpid(), os.Getppid(), os.Getuid(), os.Geteuid(), os.Getgid()} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return b
}

// buildInfo returns the versions of all that the program was built from, and the
// name of its file.
func buildInfo() []byte {
	name, _ := os.Executable()
	b := append([]byte(name), 0)
	if info, ok := debug.ReadBuildInfo(); ok {
		b = append(b, info.String()...)
	}
	return b
}

// stamps returns the time of three clocks.
func stamps() (b []byte) {
	b = binary.BigEndian.AppendUint64(b, uint64(time.Now().UnixNano()))
	b = binary.BigEndian.AppendUint64(b, uint64(clock.Monotonic()))
	return binary.BigEndian.AppendUint64(b, clock.Now())
}

const (
	// maxFile is how much of a file is read, in bytes. The long ones, as those of
	// interrupts and mounts, differ early.
	maxFile = 4 << 10

	// maxMatches is how many files of one pattern are read: interfaces and disks
	// of a large machine.
	maxMatches = 64
)

// vmclock is the device by which a hypervisor tells a virtual machine that it was
// moved or copied. Reading it does not wait (drivers/ptp/ptp_vmclock.c in Linux).
const vmclock = "dev/vmclock0"

// read returns the beginning of a file, or nil if it cannot be read. What is not a
// regular file is left alone: to open a FIFO or a device may wait, or do something.
func (m *machine) read(name string) []byte {
	if m.files == nil {
		return nil
	}
	fi, err := fs.Stat(m.files, name)
	if err != nil || !fi.Mode().IsRegular() && name != vmclock {
		return nil
	}
	f, err := m.files.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	// The files of proc and sys do not know their size. Nothing grows here, so that
	// there is one copy to wipe.
	b := make([]byte, maxFile)
	n, err := io.ReadFull(f, b)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		zero.Bytes(b)
		return nil
	}
	return b[:n]
}

// readAll returns the files that match a pattern, each with its name.
func (m *machine) readAll(pattern string) (b []byte) {
	if m.files == nil {
		return nil
	}
	names, err := fs.Glob(m.files, pattern)
	if err != nil {
		return nil
	}
	for _, name := range names[:min(len(names), maxMatches)] {
		content := m.read(name)
		sum := digest("file", []byte(name), content)
		zero.Bytes(content)
		b = append(b, sum[:]...)
	}
	return b
}

// readLinks returns what the symbolic links in a directory say.
func (m *machine) readLinks(dir string) (b []byte) {
	if m.files == nil {
		return nil
	}
	entries, err := fs.ReadDir(m.files, dir)
	if err != nil {
		return nil
	}
	for _, e := range entries[:min(len(entries), maxMatches)] {
		if to, err := fs.ReadLink(m.files, path.Join(dir, e.Name())); err == nil {
			b = append(b, to...)
			b = append(b, 0)
		}
	}
	return b
}

// startRandom returns the 16 bytes that the kernel gave the process at its start
// (AT_RANDOM of getauxval(3)), or what the runtime has written in their place. They
// are read by way of a file, so that a wrong address is an error.
func (m *machine) startRandom() []byte {
	const (
		atRandom = 25 // linux/auxvec.h
		size     = 16
	)
	auxv := m.read("proc/self/auxv")
	defer zero.Bytes(auxv)
	word := func(i int) (w uint64, ok bool) {
		const n = bits.UintSize / 8
		if len(auxv) < (i+1)*n {
			return 0, false
		}
		if n == 4 {
			return uint64(binary.NativeEndian.Uint32(auxv[i*n:])), true
		}
		return binary.NativeEndian.Uint64(auxv[i*n:]), true
	}
	for i := 0; ; i += 2 {
		key, _ := word(i)
		address, ok := word(i + 1)
		if !ok {
			return nil
		}
		if key != atRandom {
			continue
		}
		f, err := m.files.Open("proc/self/mem")
		if err != nil {
			return nil
		}
		defer f.Close()
		b := make([]byte, size)
		if r, ok := f.(io.ReaderAt); !ok || int64(address) < 0 {
			return nil
		} else if _, err := r.ReadAt(b, int64(address)); err != nil {
			zero.Bytes(b)
			return nil
		}
		return b
	}
}

// exists reports whether there is a file or directory of that name.
func (m *machine) exists(name string) bool {
	if m.files == nil {
		return false
	}
	_, err := fs.Stat(m.files, name)
	return err == nil
}

// permanentAddresses returns the hardware addresses, in their order, of network
// interfaces that are devices and have the addresses that they were made with, up to
// three. Those of bridges, containers and the like are made up at each boot.
func (m *machine) permanentAddresses() (list [][]byte) {
	if m.files == nil {
		return nil
	}
	dirs, err := fs.Glob(m.files, "sys/class/net/*")
	if err != nil {
		return nil
	}
	for _, dir := range dirs {
		// NET_ADDR_PERM is 0 (linux/netdevice.h).
		if !m.exists(dir+"/device") || string(bytes.TrimSpace(m.read(dir+"/addr_assign_type"))) != "0" {
			continue
		}
		if address := bytes.TrimSpace(m.read(dir + "/address")); varied(bytes.ReplaceAll(address, []byte(":"), nil)) {
			list = append(list, address)
		}
	}
	slices.SortFunc(list, bytes.Compare)
	return list[:min(len(list), 3)]
}

// host returns the name of the machine, or nil.
func (m *machine) host() []byte {
	name, err := m.hostname()
	if err != nil {
		return nil
	}
	return []byte(name)
}

// digest returns the SHA-512 of a label and parts, each preceded by its length, so
// that no two lists of parts are the same input.
func digest(label string, parts ...[]byte) (sum [sha512.Size]byte) {
	h := sha512.New()
	defer zero.Hash(h)
	var length [8]byte
	write := func(p []byte) {
		binary.BigEndian.PutUint64(length[:], uint64(len(p)))
		h.Write(length[:])
		h.Write(p)
	}
	write([]byte("lrng " + label))
	for _, p := range parts {
		write(p)
	}
	h.Sum(sum[:0])
	return sum
}

// number returns n as a part of a digest.
func number(n uint64) []byte { return []byte(strconv.FormatUint(n, 10)) }
