// Coredump shows what a dump of the memory of a program gives away: the state of a generator
// that keeps it in the heap, and not that of one of this library.
//
// It starts itself again, as a process with two generators of the same kind, and has gcore of
// gdb dump that process. Then it takes every place in the dump for the state of a generator,
// computes what that one would put out next, and compares with what the two do
// put out next. Linux, and gdb, are needed.
package main

import (
	"bufio"
	"bytes"
	"crypto"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/drng"
)

func main() {
	var err error
	if len(os.Args) == 2 && os.Args[1] == "child" {
		err = child(os.Stdin, os.Stdout)
	} else {
		err = parent(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "coredump:", err)
		os.Exit(1)
	}
}

// outputSize is the length of the outputs, in bytes.
const outputSize = 32

// child is the process that is dumped. It uses both generators, says how well the memory of
// lrng is kept, waits for a line, and prints the next output of each.
func child(in io.Reader, out io.Writer) error {
	// Its seeds are for the two, and its status is about the memory of all.
	r, err := lrng.New(lrng.Config{
		Shards: 1,
		DRNG:   func() (drng.DRNG, error) { return drng.NewHMAC(crypto.SHA512) },
	})
	if err != nil {
		return err
	}
	defer r.Close()

	heap, ours := new(heapGenerator), drng.NewChaCha20()
	defer ours.Clear()
	seed := make([]byte, outputSize)
	r.Read(seed)
	heap.seed(seed)
	r.Read(seed)
	if err := ours.Seed(seed, nil); err != nil {
		return err
	}
	clear(seed)

	var next [2][outputSize]byte
	step := func() error {
		heap.generate(&next[0])
		return ours.Generate(next[1][:], nil)
	}
	for range 100 {
		if err := step(); err != nil {
			return err
		}
	}
	clear(next[0][:])
	clear(next[1][:])

	fmt.Fprintln(out, r.Status().Memory)
	if _, err := bufio.NewReader(in).ReadString('\n'); err != nil {
		return err
	}
	if err := step(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%x\n%x\n", next[0], next[1])
	return err
}

// parent starts the child, dumps it and examines the dump.
func parent(w io.Writer) error {
	if runtime.GOOS != "linux" {
		return errors.New("this is for Linux, whose gcore is that of gdb")
	}
	gcore, err := exec.LookPath("gcore")
	if err != nil {
		return fmt.Errorf("there is no gcore, which is a part of gdb: %w", err)
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe, "child")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer cmd.Wait()
	defer in.Close()
	out := bufio.NewReader(pipe)
	grade, err := out.ReadString('\n')
	if err != nil {
		return fmt.Errorf("the process that was to be dumped: %w", err)
	}
	grade = strings.TrimSpace(grade)
	pid := cmd.Process.Pid
	fmt.Fprintf(w, "Process %d has two generators of the same kind: one in the heap, and one of lrng, in %q memory.\n", pid, grade)

	dir, err := tempDir()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	prefix := filepath.Join(dir, "dump")
	args := []string{"-o", prefix, strconv.Itoa(pid)}
	switch grade {
	case "secret":
		args = append([]string{"-a"}, args...) // all memory, also that which asks to be left out
	case "locked", "droppable", "private":
		fmt.Fprintln(w, "That is not the best: it asks to be left out of dumps, and gcore -a would not listen.")
	default:
		return fmt.Errorf("there is no better memory than %q here, and a dump has all of that", grade)
	}
	if out, err := exec.Command(gcore, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("gcore: %w\n%s", err, out)
	}
	path := prefix + "." + strconv.Itoa(pid)
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("gcore: %w", err)
	}
	fmt.Fprintf(w, "gcore %s: %d MB.\n", strings.Join(args[:len(args)-3], " "), info.Size()>>20)

	// What both put out from now on.
	if _, err := io.WriteString(in, "go on\n"); err != nil {
		return err
	}
	var next [2][]byte
	for i := range next {
		line, err := out.ReadString('\n')
		if err != nil {
			return err
		}
		if next[i], err = hex.DecodeString(strings.TrimSpace(line)); err != nil || len(next[i]) != outputSize {
			return fmt.Errorf("no output: %q", line)
		}
	}

	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	places, tried, err := examine(f, next[:])
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%d places in it could be a state.\n", tried)
	return verdict(w, next, places)
}

// verdict says what was found. It is an error if the one in the heap was not.
func verdict(w io.Writer, next [2][]byte, places [][]int64) error {
	for i, name := range []string{"The generator in the heap", "The generator of lrng"} {
		fmt.Fprintf(w, "%s put out %x next.\n", name, next[i])
		if len(places[i]) > 0 {
			fmt.Fprintf(w, "  Whoever has the dump knew that: its state is at offset %#x.\n", places[i][0])
		} else {
			fmt.Fprintln(w, "  Nothing in the dump tells.")
		}
	}
	switch {
	case len(places[0]) == 0:
		return errors.New("the state in the heap was not found: the search is blind")
	case len(places[1]) > 0:
		return errors.New("the state of lrng was found")
	}
	return nil
}

// tempDir returns a directory in memory where there is one: dumps of Go programs are of
// more than a gigabyte, since gdb writes all that is reserved.
func tempDir() (string, error) {
	if dir, err := os.MkdirTemp("/dev/shm", "coredump-*"); err == nil {
		return dir, nil
	}
	return os.MkdirTemp("", "coredump-*")
}

// A state is the input of the ChaCha20 block function (RFC 8439, Section 2.3): constants, a
// key of eight words, a block counter, and a nonce. It is the state of drng.ChaCha20, too.
type state [16]uint32

// A heapGenerator does what drng.ChaCha20 does with requests of 32 bytes, and keeps its
// state where new puts it. Go programs with a generator of their own look like this.
type heapGenerator struct{ state }

// seed sets the key and replaces it.
func (g *heapGenerator) seed(p []byte) {
	g.state = state{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, 12: 1}
	for i := range 8 {
		g.state[4+i] = binary.LittleEndian.Uint32(p[4*i:])
	}
	b := g.block()
	g.update(b[:8])
}

// generate puts out the first half of a block of key stream. The other one is for the next key, so
// that nobody can compute the output from the state after it: but the next one.
func (g *heapGenerator) generate(out *[outputSize]byte) {
	b := g.block()
	for i, w := range b[:8] {
		binary.LittleEndian.PutUint32(out[4*i:], w)
	}
	g.update(b[8:])
}

func (g *heapGenerator) update(b []uint32) {
	for i, w := range b {
		g.state[4+i] ^= w
	}
	g.state[12]++
	g.state[13]++
}

// block is the block function.
func (s *state) block() (x state) {
	x = *s
	quarter := func(a, b, c, d int) {
		x[a] += x[b]
		x[d] = bits.RotateLeft32(x[d]^x[a], 16)
		x[c] += x[d]
		x[b] = bits.RotateLeft32(x[b]^x[c], 12)
		x[a] += x[b]
		x[d] = bits.RotateLeft32(x[d]^x[a], 8)
		x[c] += x[d]
		x[b] = bits.RotateLeft32(x[b]^x[c], 7)
	}
	for range 10 {
		for i := range 4 {
			quarter(i, 4+i, 8+i, 12+i)
		}
		for i := range 4 {
			quarter(i, 4+(i+1)%4, 8+(i+2)%4, 12+(i+3)%4)
		}
	}
	for i, w := range s {
		x[i] += w
	}
	return x
}

// examine takes each 64 bytes of a dump that begin at a multiple of 4 for a state. It returns,
// for each of some outputs, where the states are that lead to it, and how many it tried.
func examine(dump io.Reader, outputs [][]byte) (places [][]int64, tried int, err error) {
	const size = 64
	places = make([][]int64, len(outputs))
	var zeros [4096]byte
	buf := make([]byte, 1<<20)
	n, base := 0, int64(0)
	for {
		m, err := io.ReadFull(dump, buf[n:])
		n += m
		end := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !end {
			return nil, 0, err
		}
		i := 0
		for i+size <= n {
			if i+len(zeros) <= n && bytes.Equal(buf[i:i+len(zeros)], zeros[:]) {
				i += len(zeros) - size + 4
				continue
			}
			var s state
			for j := range s {
				s[j] = binary.LittleEndian.Uint32(buf[i+4*j:])
			}
			i += 4
			if !likely(s[4:12]) {
				continue
			}
			tried++
			x := s.block()
			var out [outputSize]byte
			for j, w := range x[:8] {
				binary.LittleEndian.PutUint32(out[4*j:], w)
			}
			for j := range outputs {
				if bytes.Equal(out[:], outputs[j]) {
					places[j] = append(places[j], base+int64(i-4))
				}
			}
		}
		if end {
			return places, tried, nil
		}
		base += int64(i)
		n = copy(buf, buf[i:n])
	}
}

// likely reports whether p may be a key. With three small words among eight it is none, but
// for one in 10¹³; memory is full of small numbers and of addresses, whose upper halves are.
func likely(p []uint32) bool {
	small := 0
	for _, w := range p {
		if w < 1<<16 {
			small++
		}
	}
	return small < 3
}
