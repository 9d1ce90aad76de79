package lrng

import (
	"bufio"
	"bytes"
	"crypto"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/bits"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/internal/aesctr"
	"github.com/lrng-go/lrng/internal/fips"
	"github.com/lrng-go/lrng/internal/leak"
	"github.com/lrng-go/lrng/internal/secmem"
)

// The tests in this file look for the secrets of generators in dumps of a process that uses
// them: docs/traceability.md, T23 to T27 and E4. A child process runs the generators and tells
// this one all states they go through, with write(2) straight from where they are. Then
// the child is dumped, in each of the ways in which that is done to programs, and searched.
// What is not found could be hidden from the search, so the child also has a state in its
// heap that must be found.
//
// It is not dumped by letting it crash: the handlers of the Go runtime that print stacks
// then overwrite what signals left before.

// leakEnv holds what a child is to do: a leakCase.
const leakEnv = "LRNG_LEAK_CHILD"

// A leakCase says what a child does and how it is dumped.
type leakCase struct {
	Generators []string
	Grade      string // of the memory: secret, locked or droppable; instead of that, private where it must last
	Closed     bool   // the generators are closed before the dump
	Signals    bool   // the runtime interrupts the threads, to collect garbage all the time
	Dumps      []string
}

// The ways to dump. The kernel's core ends the child; the number is the coredump_filter.
const (
	dumpGcore   = "gcore"
	dumpGcoreA  = "gcore -a"
	dumpMem     = "mem" // /proc/PID/mem
	dumpSwap    = "swap"
	dumpCore33  = "core 0x33"
	dumpCore1ff = "core 0x1ff"
)

// leakLong asks for ten repeats of everything: run it with -run TestLeak -timeout 3h.
var leakLong = os.Getenv("LRNG_LONG") != ""

func (c leakCase) String() string {
	s := c.Grade
	if len(c.Generators) == 1 {
		s = c.Generators[0] + ", " + s
	}
	if c.Closed {
		s += ", closed"
	}
	if c.Signals {
		s += ", interrupted"
	}
	return s
}

// leakRequests is how many requests each generator serves: so many states are past.
const leakRequests = 2000

// A leakGenerator is one that the child runs: a mechanism alone, or an RNG.
type leakGenerator struct {
	mechanism func() (drng.DRNG, error)
	config    *Config
}

func leakGenerators() map[string]leakGenerator {
	var mechanism func() (drng.DRNG, error) // of generators
	if fips.Enabled() {
		mechanism = func() (drng.DRNG, error) { return drng.NewHMAC(crypto.SHA256) } // see fipsCTR
	}
	all := map[string]leakGenerator{
		"ChaCha20":          {mechanism: func() (drng.DRNG, error) { return drng.NewChaCha20(), nil }},
		"CTR":               {mechanism: func() (drng.DRNG, error) { return drng.NewCTR(drng.CTRConfig{}) }},
		"Hash SHA-512":      {mechanism: func() (drng.DRNG, error) { return drng.NewHash(crypto.SHA512) }},
		"Hash SHA-256":      {mechanism: func() (drng.DRNG, error) { return drng.NewHash(crypto.SHA256) }},
		"Hash SHA3-512":     {mechanism: func() (drng.DRNG, error) { return drng.NewHash(crypto.SHA3_512) }},
		"HMAC SHA-512":      {mechanism: func() (drng.DRNG, error) { return drng.NewHMAC(crypto.SHA512) }},
		"HMAC SHA-256":      {mechanism: func() (drng.DRNG, error) { return drng.NewHMAC(crypto.SHA256) }},
		"XDRBG":             {mechanism: func() (drng.DRNG, error) { return drng.NewXDRBG(), nil }},
		"RNG":               {config: &Config{OutputBuffer: -1, DRNG: mechanism}},
		"RNG, read-ahead":   {config: &Config{OutputBuffer: 256, DRNG: mechanism}},
		"RNG, Hash SHA-512": {config: &Config{OutputBuffer: -1, DRNG: func() (drng.DRNG, error) { return drng.NewHash(crypto.SHA512) }}},
		"RNG, default":      {config: &Config{DRNG: mechanism}},
	}
	if drng.NewChaCha20().Harden() == nil && !fips.Enabled() {
		all[hardenedRNG] = leakGenerator{config: &Config{OutputBuffer: -1, Hardened: true}}
	}
	return all
}

// hardenedRNG is the one of which nothing is left by signals either.
const hardenedRNG = "RNG, hardened"

// instance returns one of the mechanism that is used.
func (g leakGenerator) instance() (drng.DRNG, error) {
	switch {
	case g.mechanism != nil:
		return g.mechanism()
	case g.config.DRNG != nil:
		return g.config.DRNG()
	}
	return drng.NewChaCha20(), nil
}

// fipsCTR is the one whose keys are not in secret memory: in FIPS mode the standard library
// has them, on the heap.
const fipsCTR = "CTR"

// stateMemory returns the secret memory of a mechanism of package drng: each embeds a pointer
// to it as its first field.
func stateMemory(d drng.DRNG) []byte {
	v := reflect.ValueOf(d).Elem().Field(0)
	return unsafe.Slice((*byte)(v.UnsafePointer()), v.Type().Elem().Size())
}

// ---------------------------------------------------------------------------
// The child.

// The kinds of records that a child writes.
const (
	recordState   = 'S' // the memory of a mechanism
	recordAhead   = 'A' // output generated ahead of need
	recordOutput  = 'O'
	recordControl = 'C' // the memory of another instance, a copy of which is on the heap
	recordBlock   = 'B' // the key of a block that is half done on the heap
	recordGrade   = 'G' // of the memory
	recordReady   = 'R'
)

// A recordHeader precedes each piece of a record, of at most maxPiece bytes: pipe(7)
// writes those in one.
type recordHeader struct {
	Kind      uint8
	Generator uint8 // its place among the sorted names
	Shard     uint8
	Last      uint8 // of the record
	Length    uint32
	Address   uint64
}

const maxPiece = 2048

// A recorder writes records.
type recorder struct {
	fd     int
	mu     sync.Mutex
	header recordHeader
}

// write writes a record without copying p.
func (r *recorder) write(kind byte, generator, shard int, p []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	address := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(p))))
	for {
		n := min(len(p), maxPiece)
		r.header = recordHeader{kind, uint8(generator), uint8(shard), 0, uint32(n), address}
		if n == len(p) {
			r.header.Last = 1
		}
		iov := [2]unix.Iovec{{Base: (*byte)(unsafe.Pointer(&r.header))}, {Base: unsafe.SliceData(p)}}
		iov[0].SetLen(int(unsafe.Sizeof(r.header)))
		iov[1].SetLen(n)
		// EINTR comes before anything is written.
		for {
			m, _, errno := unix.Syscall(unix.SYS_WRITEV, uintptr(r.fd), uintptr(unsafe.Pointer(&iov)), 2)
			if errno == unix.EINTR {
				continue
			}
			if errno != 0 {
				return errno
			}
			if int(m) != int(unsafe.Sizeof(r.header))+n {
				return io.ErrShortWrite
			}
			break
		}
		if p = p[n:]; len(p) == 0 {
			return nil
		}
	}
}

// planted is what must be found; planting guards it.
var (
	planting sync.Mutex
	planted  []any
)

// leakChild is the program of the child. It waits, with everything in place, until it is
// killed.
func leakChild(c leakCase) error {
	out := &recorder{fd: 3}
	names := slices.Sorted(maps.Keys(leakGenerators()))
	least, memory := secmem.Heap, MemoryAny
	switch c.Grade {
	case "secret":
		least, memory = secmem.Secret, MemorySecret
	case "locked":
		if err := refuseMemfdSecret(); err != nil {
			return err
		}
		least, memory = secmem.Locked, MemoryLocked
	case "droppable":
		for {
			b, err := secmem.Alloc(64, secmem.Heap)
			if err != nil {
				return err
			}
			if b.Grade() < secmem.Locked {
				break
			}
			planted = append(planted, b)
		}
	}

	if !c.Signals {
		debug.SetGCPercent(-1) // which may move stacks
	}
	stop := make(chan bool)
	var collector sync.WaitGroup
	if c.Signals {
		collector.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					runtime.GC()
				}
			}
		})
	}
	type worker struct {
		work, close func() error
	}
	errs := make(chan error)
	closing, closed := make(chan bool), make(chan error)
	for _, name := range c.Generators {
		i, g := slices.Index(names, name), leakGenerators()[name]
		if i < 0 {
			return errors.New("no generator " + name)
		}
		go func() {
			runtime.LockOSThread() // its signal stack remains as it is
			var w worker
			if g.mechanism != nil {
				d, control, err := leakMechanism(g, least)
				if err != nil {
					errs <- err
					return
				}
				m := stateMemory(control)
				planting.Lock()
				planted = append(planted, bytes.Clone(m))
				planting.Unlock()
				err = out.write(recordControl, i, 0, m)
				control.Clear()
				if err != nil {
					errs <- err
					return
				}
				w.work = func() error { return workMechanism(d, out, i) }
				w.close = func() error { d.Clear(); return nil }
			} else {
				config := *g.config
				config.Memory = memory
				r, err := New(config)
				if err != nil {
					errs <- err
					return
				}
				w.work = func() error { return workRNG(r, out, i) }
				w.close = r.Close
			}
			errs <- w.work()
			<-closing
			if c.Closed {
				closed <- w.close()
			} else {
				closed <- nil
			}
			select {}
		}()
	}
	for range c.Generators {
		if err := <-errs; err != nil {
			return err
		}
	}
	close(stop)
	collector.Wait()
	close(closing)
	for range c.Generators {
		if err := <-closed; err != nil {
			return err
		}
	}

	key, state := halfBlock()
	planted = append(planted, state)
	if err := out.write(recordBlock, 0, 0, key); err != nil {
		return err
	}
	clear(key)

	// The default disposition, which os/signal does not know how to restore: the kernel
	// dumps. The layout is that of struct sigaction; the flags do not matter.
	var action [64]byte
	if _, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGXCPU), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0); errno != 0 {
		return errno
	}
	if err := out.write(recordReady, 0, 0, []byte{1}); err != nil {
		return err
	}
	select {}
}

// refuseMemfdSecret has the kernel deny memfd_secret to all threads.
func refuseMemfdSecret() error {
	if _, _, errno := unix.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the number of the call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 447, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return errno
	}
	return nil
}

// leakMechanism returns two instances with different seeds.
func leakMechanism(g leakGenerator, least secmem.Grade) (d, control drng.DRNG, err error) {
	for _, p := range []*drng.DRNG{&d, &control} {
		if *p, err = g.mechanism(); err != nil {
			return nil, nil, err
		}
		if h := secretMemory(*p); h != nil {
			if _, err := h.Demand(least); err != nil {
				return nil, nil, err
			}
		}
		seed := make([]byte, 64)
		if _, err := unix.Getrandom(seed, 0); err != nil {
			return nil, nil, err
		}
		if n := (*p).Info().SeedSize; n > 0 {
			seed = seed[:n]
		}
		if err := (*p).Seed(seed, nil); err != nil {
			return nil, nil, err
		}
		clear(seed[:cap(seed)])
	}
	return d, control, nil
}

// requestSize returns the length of a request: most are short.
func requestSize(i int) int { return [...]int{32, 16, 64, 32, 48, 32, 8, 1000}[i%8] }

func workMechanism(d drng.DRNG, out *recorder, generator int) error {
	memory := stateMemory(d)
	grade := secmem.Heap
	if h := secretMemory(d); h != nil {
		var err error
		if grade, err = h.Demand(secmem.Heap); err != nil {
			return err
		}
	}
	if err := out.write(recordGrade, generator, 0, []byte{byte(grade)}); err != nil {
		return err
	}
	b := make([]byte, 1024)
	additional := make([]byte, 48)
	for i := range leakRequests {
		p := b[:requestSize(i)]
		var a []byte
		if i%2 == 1 {
			a = additional
			a[0]++
		}
		err := d.Generate(p, a)
		if err == nil {
			err = out.write(recordState, generator, 0, memory)
		}
		if err == nil {
			err = out.write(recordOutput, generator, 0, p)
		}
		clear(p)
		if err != nil {
			return err
		}
	}
	return nil
}

func workRNG(r *RNG, out *recorder, generator int) error {
	b := make([]byte, 1024)
	for i := range leakRequests {
		p := b[:requestSize(i)]
		_, err := r.Read(p)
		if err == nil {
			err = out.write(recordOutput, generator, 0, p)
		}
		clear(p)
		for shard := range r.shards.Len() {
			h := r.shards.LockIndex(shard)
			if in := &h.Value; in.seeded && err == nil {
				memory := stateMemory(in.d)
				err = out.write(recordState, generator, shard, memory)
				if err == nil {
					err = out.write(recordGrade, generator, shard, []byte{byte(in.grade)})
				}
				if err == nil && in.next < len(in.ahead) {
					err = out.write(recordAhead, generator, shard, in.ahead[in.next:])
				}
			}
			h.Unlock()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// halfBlock returns a key and the working state of ChaCha20 after three rounds with it.
func halfBlock() (key []byte, s *[16]uint32) {
	key = make([]byte, 32)
	for i := range key {
		key[i] = byte(rand.Uint32())
	}
	s = &[16]uint32{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}
	for i := range 8 {
		s[4+i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	for round := range 3 {
		for i := range 4 {
			k := round % 2
			a, b, c, d := &s[i], &s[4+(i+k)%4], &s[8+(i+2*k)%4], &s[12+(i+3*k)%4]
			*a += *b
			*d = bits.RotateLeft32(*d^*a, 16)
			*c += *d
			*b = bits.RotateLeft32(*b^*c, 12)
			*a += *b
			*d = bits.RotateLeft32(*d^*a, 8)
			*c += *d
			*b = bits.RotateLeft32(*b^*c, 7)
		}
	}
	return key, s
}

// ---------------------------------------------------------------------------
// What is looked for.

// A recorded is what a child wrote of one shard of a generator, or of a mechanism.
type recorded struct {
	generator string
	states    [][]byte // the last leakRequests, without repetitions
	outputs   [][]byte
	ahead     []byte
	control   []byte
	grade     secmem.Grade
	address   uint64 // of the state
}

type leakRecords struct {
	shards map[[2]int]*recorded
	block  []byte // the key of the block that is planted
}

// readRecords reads until the child is ready.
func readRecords(r io.Reader) (*leakRecords, error) {
	names := slices.Sorted(maps.Keys(leakGenerators()))
	all := &leakRecords{shards: make(map[[2]int]*recorded)}
	var record []byte
	for b := bufio.NewReaderSize(r, 1<<16); ; {
		var h recordHeader
		if _, err := io.ReadFull(b, unsafe.Slice((*byte)(unsafe.Pointer(&h)), unsafe.Sizeof(h))); err != nil {
			return nil, err
		}
		record = slices.Grow(record, int(h.Length))
		piece := record[len(record):][:h.Length]
		if _, err := io.ReadFull(b, piece); err != nil {
			return nil, err
		}
		record = record[:len(record)+len(piece)]
		if h.Last == 0 {
			continue
		}
		id := [2]int{int(h.Generator), int(h.Shard)}
		s := all.shards[id]
		if s == nil {
			s = &recorded{generator: names[h.Generator]}
			all.shards[id] = s
		}
		switch h.Kind {
		case recordState:
			if len(s.states) == 0 || !bytes.Equal(s.states[len(s.states)-1], record) {
				s.states = append(s.states, record)
			}
			s.address, s.ahead = h.Address, nil
		case recordAhead:
			s.ahead = record
		case recordOutput:
			s.outputs = append(s.outputs, record)
		case recordControl:
			s.control = record
		case recordGrade:
			s.grade = secmem.Grade(record[0])
		case recordBlock:
			all.block = record
		case recordReady:
			return all, nil
		}
		record = nil
	}
}

// A secret is something to look for.
type secret struct {
	what  string
	bytes []byte
}

// field returns a part of the memory of a mechanism.
func field(memory []byte, typ reflect.Type, name string) []byte {
	f, ok := typ.FieldByName(name)
	if !ok {
		panic("no field " + name + " in " + typ.String())
	}
	return memory[f.Offset : f.Offset+f.Type.Size()]
}

// secretsOf returns what follows from the memory of a mechanism. Counters and
// constants, which anybody knows, are left out. All adds what follows from the keys.
func secretsOf(d drng.DRNG, memory []byte, all bool) []secret {
	typ := reflect.TypeOf(d).Elem().Field(0).Type.Elem()
	get := func(name string) []byte { return field(memory, typ, name) }
	name := d.Info().Name
	size := 512 / 8
	if strings.HasSuffix(name, "SHA-256") {
		size = 256 / 8
	}
	switch d.(type) {
	case *drng.ChaCha20:
		return []secret{{"key", get("state")[16:48]}}
	case *drng.CTR:
		s := []secret{{"Key", get("key")}, {"V", get("v")}}
		if all {
			s = append(s,
				secret{"expanded key", field(get("expanded"), reflect.TypeFor[aesctr.Key](), "w")}, // zero in FIPS mode
				secret{"round keys", aesSchedule(get("key"), false)},
				secret{"round keys for decryption", aesSchedule(get("key"), true)})
		}
		return s
	case *drng.Hash:
		n := 440 / 8
		if size > 32 {
			n = 888 / 8
		}
		v, c := get("v")[1:1+n], get("c")[1:1+n]
		// V is hashed with an octet before it, which shifts its words.
		s := []secret{{"V", v}, {"C", c}}
		if all {
			s = append(s, secret{"octet and V", append([]byte{3}, v...)})
		}
		return s
	case *drng.HMAC:
		key := get("key")[:size]
		s := []secret{{"Key", key}, {"V", get("v")[:size]}}
		if all {
			s = append(s, secret{"key and ipad", pad(key, 0x36)}, secret{"key and opad", pad(key, 0x5c)},
				secret{"state after ipad", get("inner")[4 : 4+size]}, secret{"state after opad", get("outer")[4 : 4+size]})
		}
		return s
	case *drng.XDRBG:
		return []secret{{"V", get("v")}}
	}
	panic("no mechanism of ours: " + name)
}

func pad(key []byte, with byte) []byte {
	p := bytes.Clone(key)
	for i := range p {
		p[i] ^= with
	}
	return p
}

// aesSchedule returns the round keys of AES-256, in the order of FIPS 197, Section 5.2;
// those for decryption are in the form of the equivalent inverse cipher, Section 5.3.5.
func aesSchedule(key []byte, decryption bool) []byte {
	mul := func(a, b byte) (p byte) {
		for ; b > 0; b >>= 1 {
			if b&1 != 0 {
				p ^= a
			}
			a = a<<1 ^ a>>7*0x1b
		}
		return p
	}
	sub := func(x byte) byte {
		y := byte(1)
		for range 254 { // x²⁵⁴ is the inverse, and 0 for 0
			y = mul(y, x)
		}
		return y ^ bits.RotateLeft8(y, 1) ^ bits.RotateLeft8(y, 2) ^ bits.RotateLeft8(y, 3) ^ bits.RotateLeft8(y, 4) ^ 0x63
	}
	w := bytes.Clone(key)
	rcon := byte(1)
	for i := len(key) / 4; len(w) < 240; i++ {
		t := bytes.Clone(w[len(w)-4:])
		if i%8 == 0 {
			t[0], t[1], t[2], t[3] = sub(t[1])^rcon, sub(t[2]), sub(t[3]), sub(t[0])
			rcon = mul(rcon, 2)
		} else if i%8 == 4 {
			t[0], t[1], t[2], t[3] = sub(t[0]), sub(t[1]), sub(t[2]), sub(t[3])
		}
		for j := range 4 {
			w = append(w, t[j]^w[len(w)-len(key)])
		}
	}
	if decryption {
		w = w[16 : len(w)-16]
		for i := 0; i < len(w); i += 4 {
			a, b, c, d := w[i], w[i+1], w[i+2], w[i+3]
			for j := range 4 {
				w[i+j] = mul(a, 14) ^ mul(b, 11) ^ mul(c, 13) ^ mul(d, 9)
				a, b, c, d = b, c, d, a
			}
		}
	}
	return w
}

// What kind a secret is, in its name.
const (
	isCurrent = "current"
	isPast    = "past"
	isOutput  = "output"
	isAhead   = "ahead"
	isControl = "control"
)

// scanner returns one for all secrets of a child. The names of the secrets are
// kind/generator/what.
func (all *leakRecords) scanner(closed bool) (*leak.Scanner, error) {
	s := new(leak.Scanner)
	for id, r := range all.shards {
		d, err := leakGenerators()[r.generator].instance()
		if err != nil {
			return nil, err
		}
		add := func(kind, what string, p []byte, least int) {
			s.Add(fmt.Sprintf("%s/%s/%s of shard %d", kind, r.generator, what, id[1]), p, least)
		}
		states := r.states[max(0, len(r.states)-leakRequests):]
		constant := make(map[string][]byte) // as C of Hash_DRBG is between seeds
		for i, m := range slices.Backward(states) {
			age := len(states) - 1 - i
			kind, least := isPast, 8
			if age == 0 {
				least = 4
				if !closed {
					kind = isCurrent
				}
			}
			for _, x := range secretsOf(d, m, age < 20) {
				if age > 0 && bytes.Equal(x.bytes, constant[x.what]) {
					continue
				}
				constant[x.what] = x.bytes
				add(kind, fmt.Sprintf("%s -%d", x.what, age), x.bytes, least)
			}
		}
		for i, p := range r.outputs[max(0, len(r.outputs)-leakRequests):] {
			// Of a long one, what is at the ends: entries take time and memory.
			add(isOutput, fmt.Sprintf("%d -%d", i, len(r.outputs)-1-i), p[:min(len(p), 64)], 8)
			if len(p) > 64 {
				add(isOutput, fmt.Sprintf("end of %d -%d", i, len(r.outputs)-1-i), p[max(64, len(p)-64):], 8)
			}
		}
		if len(r.ahead) > 0 {
			add(isAhead, "output", r.ahead, 8)
		}
		if r.control != nil {
			for _, x := range secretsOf(d, r.control, true) {
				add(isControl, x.what, x.bytes, 8)
			}
		}
	}
	return s, nil
}

// ---------------------------------------------------------------------------
// The parent.

// A leakProcess is a child that is to be dumped.
type leakProcess struct {
	t       *testing.T
	c       leakCase
	cmd     *exec.Cmd
	dir     string
	records *leakRecords
	maps    []mapping
}

// dumpDir returns a directory for files of more than a gigabyte, which core files of gdb are:
// it writes all memory that the Go runtime has reserved. In memory that is fast.
func dumpDir(t *testing.T) string {
	var fs unix.Statfs_t
	if unix.Statfs("/dev/shm", &fs) == nil && int64(fs.Bavail)*int64(fs.Bsize) > 4<<30 && unix.Access("/dev/shm", unix.W_OK) == nil {
		if dir, err := os.MkdirTemp("/dev/shm", "lrng-leak-*"); err == nil {
			t.Cleanup(func() { os.RemoveAll(dir) })
			return dir
		}
	}
	return t.TempDir()
}

func startLeak(t *testing.T, c leakCase) *leakProcess {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	spec, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p := &leakProcess{t: t, c: c, dir: dumpDir(t)}
	p.cmd = exec.Command(self, "-test.run=^TestLeak$", "-test.timeout=10m")
	p.cmd.Env = append(os.Environ(), leakEnv+"="+string(spec))
	if !c.Signals {
		p.cmd.Env = append(p.cmd.Env, "GODEBUG="+strings.TrimPrefix(os.Getenv("GODEBUG")+",asyncpreemptoff=1", ","))
	}
	p.cmd.Dir = p.dir
	p.cmd.ExtraFiles = []*os.File{w}
	var stdout bytes.Buffer
	p.cmd.Stdout, p.cmd.Stderr = &stdout, &stdout
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() { p.end() })
	p.records, err = readRecords(r)
	if err != nil {
		p.end()
		if strings.Contains(stdout.String(), "secmem: no ") { // as RLIMIT_MEMLOCK or an old kernel has it
			t.Skipf("no such memory here: %s", &stdout)
		}
		t.Fatalf("child: %v\n%s", err, &stdout)
	}
	for _, r := range p.records.shards {
		if c.Grade == "droppable" && r.grade == secmem.Heap && (!fips.Enabled() || r.generator != fipsCTR) {
			t.Skip("no memory here but the heap")
		}
	}
	p.maps, err = readMaps(p.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *leakProcess) end() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// A mapping is a line of /proc/PID/smaps.
type mapping struct {
	start, end uint64
	perms      string
	name       string
	resident   bool
}

func readMaps(pid int) ([]mapping, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		return nil, err
	}
	var all []mapping
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		var m mapping
		if n, _ := fmt.Sscanf(f[0], "%x-%x", &m.start, &m.end); n == 2 && len(f) >= 5 {
			m.perms = f[1]
			m.name = strings.Join(f[5:], " ")
			all = append(all, m)
		} else if len(f) >= 2 && (f[0] == "Rss:" || f[0] == "Swap:") && f[1] != "0" {
			all[len(all)-1].resident = true
		}
	}
	return all, nil
}

// find returns the mapping that an address is in, or nil.
func (p *leakProcess) find(address uint64) *mapping {
	for i, m := range p.maps {
		if m.start <= address && address < m.end {
			return &p.maps[i]
		}
	}
	return nil
}

// A segment is a piece of memory in a dump.
type segment struct {
	start    uint64 // address
	size     int64
	r        io.ReaderAt
	offset   int64
	writable bool
}

// A dump is an image of a process. If it is no core file, but a whole device, then its one
// segment has addresses that mean nothing.
type dump struct {
	segments   []segment
	unreadable int64 // bytes
}

// reader reads a segment. What cannot be read is zero.
func (d *dump) reader(s segment) io.Reader {
	return &segmentReader{d: d, s: s}
}

type segmentReader struct {
	d    *dump
	s    segment
	next int64
}

func (r *segmentReader) Read(p []byte) (int, error) {
	if r.next == r.s.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), r.s.size-r.next, 1<<20)]
	n, err := r.s.r.ReadAt(p, r.s.offset+r.next)
	if err != nil && n == 0 {
		p = p[:min(len(p), os.Getpagesize()-int(r.next)%os.Getpagesize())]
		if n, err = r.s.r.ReadAt(p, r.s.offset+r.next); n == 0 && err != nil {
			clear(p)
			n = len(p)
			r.d.unreadable += int64(n)
		}
	}
	r.next += int64(n)
	return n, nil
}

// openCore returns the memory in a core file, and its notes with the registers.
func openCore(t *testing.T, path string) *dump {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	raw, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	d := new(dump)
	for _, p := range f.Progs {
		if p.Filesz == 0 || p.Type != elf.PT_LOAD && p.Type != elf.PT_NOTE {
			continue
		}
		d.segments = append(d.segments, segment{p.Vaddr, int64(p.Filesz), raw, int64(p.Off), p.Flags&elf.PF_W != 0 || p.Type == elf.PT_NOTE})
	}
	if len(d.segments) < 3 {
		t.Fatalf("%s: only %d segments", path, len(d.segments))
	}
	return d
}

// take dumps the process in one of the ways. It is nil where that is not possible.
func (p *leakProcess) take(t *testing.T, how string) *dump {
	t.Helper()
	pid := p.cmd.Process.Pid
	switch how {
	case dumpMem:
		f, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		d := new(dump)
		for _, m := range p.maps {
			if m.resident && m.name != "[vsyscall]" {
				d.segments = append(d.segments, segment{m.start, int64(m.end - m.start), f, int64(m.start), strings.Contains(m.perms, "w")})
			}
		}
		return d

	case dumpGcore, dumpGcoreA:
		if _, err := exec.LookPath("gcore"); err != nil {
			t.Skip("there is no gcore: install gdb")
		}
		args := []string{"-o", "dump", strconv.Itoa(pid)}
		if how == dumpGcoreA {
			args = append([]string{"-a"}, args...)
		}
		cmd := exec.Command("gcore", args...)
		cmd.Dir = p.dir
		out, err := cmd.CombinedOutput()
		if bytes.Contains(out, []byte("ptrace: Operation not permitted")) {
			t.Skip("gdb may not attach to processes here")
		}
		if err != nil {
			t.Fatalf("gcore: %v\n%s", err, out)
		}
		path := filepath.Join(p.dir, "dump."+strconv.Itoa(pid))
		t.Cleanup(func() { os.Remove(path) })
		return openCore(t, path)

	case dumpSwap:
		return p.pageOut(t)

	case dumpCore33, dumpCore1ff:
		pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
		if err != nil {
			t.Skip(err)
		}
		if s := strings.TrimSpace(string(pattern)); s == "" || strings.ContainsAny(s[:1], "|/") {
			t.Skipf("core files do not go to the working directory: core_pattern is %q", s)
		}
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/coredump_filter", pid), []byte(strings.TrimPrefix(how, "core ")), 0); err != nil {
			t.Fatal(err)
		}
		unlimited := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
		if err := unix.Prlimit(pid, unix.RLIMIT_CORE, &unlimited, nil); err != nil {
			var now unix.Rlimit
			if unix.Prlimit(pid, unix.RLIMIT_CORE, nil, &now) != nil || now.Max < 1<<30 {
				t.Skipf("core files are limited to %d bytes", now.Max)
			}
			now.Cur = now.Max
			if err := unix.Prlimit(pid, unix.RLIMIT_CORE, &now, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := unix.Kill(pid, unix.SIGXCPU); err != nil {
			t.Fatal(err)
		}
		err = p.cmd.Wait()
		if s, ok := p.cmd.ProcessState.Sys().(interface{ CoreDump() bool }); !ok || !s.CoreDump() {
			t.Fatalf("no core: %v", err)
		}
		found, _ := filepath.Glob(filepath.Join(p.dir, "core*"))
		if len(found) != 1 {
			t.Fatalf("core files: %q", found)
		}
		return openCore(t, found[0])
	}
	t.Fatalf("no way to dump: %q", how)
	return nil
}

// pageOut has the kernel move the memory of the process to a swap file, and returns that.
func (p *leakProcess) pageOut(t *testing.T) *dump {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("swap: only root adds a swap file")
	}
	path := filepath.Join(t.TempDir(), "swap")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	const size = 128 << 20
	zeros := make([]byte, 1<<20)
	for range size / len(zeros) { // a hole is no place for swap
		if _, err := f.Write(zeros); err != nil {
			t.Skipf("swap: no room for a file: %v", err)
		}
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkswap", path).CombinedOutput(); err != nil {
		t.Skipf("swap: mkswap: %v: %s", err, out)
	}
	name := append([]byte(path), 0)
	if _, _, errno := unix.Syscall(unix.SYS_SWAPON, uintptr(unsafe.Pointer(&name[0])), 0, 0); errno != 0 {
		t.Skipf("swap: swapon of a file in %s: %v", filepath.Dir(path), errno)
	}
	t.Cleanup(func() {
		if _, _, errno := unix.Syscall(unix.SYS_SWAPOFF, uintptr(unsafe.Pointer(&name[0])), 0, 0); errno != 0 {
			t.Errorf("swapoff %s: %v", path, errno)
		}
	})
	fd, err := unix.PidfdOpen(p.cmd.Process.Pid, 0)
	if err != nil {
		t.Skipf("swap: pidfd_open: %v", err)
	}
	defer unix.Close(fd)
	for _, m := range p.maps {
		if !m.resident || !strings.Contains(m.perms, "w") {
			continue
		}
		// struct iovec, of the other process. What may not be paged out is an error.
		iov := [2]uintptr{uintptr(m.start), uintptr(m.end - m.start)}
		unix.Syscall6(unix.SYS_PROCESS_MADVISE, uintptr(fd), uintptr(unsafe.Pointer(&iov)), 1, unix.MADV_PAGEOUT, 0, 0)
	}
	// Swapping goes past the cache.
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
	return &dump{segments: []segment{{size: size, r: f}}}
}

// A leakHit is a hit with its place in the process.
type leakHit struct {
	leak.Hit
	kind, generator string
	address         uint64
	in              *mapping // nil: registers
	from            segment
}

func (h leakHit) String() string {
	where := "registers"
	if h.in != nil {
		where = strings.TrimSpace(fmt.Sprintf("%#x-%#x %s %s", h.in.start, h.in.end, h.in.perms, h.in.name))
	}
	if inSignalFrame(h.from, h.Offset) {
		where += ", frame of a signal"
	}
	form := ""
	if h.Form != "" {
		form = ", " + h.Form
	}
	return fmt.Sprintf("%s[%d:%d]%s at %#x, %s", h.Name, h.Part, h.Part+h.Size, form, h.address, where)
}

// search looks through a dump; for blocks half done only if backwards is set.
func (p *leakProcess) search(t *testing.T, d *dump, s *leak.Scanner, backwards bool) (hits []leakHit, blocks []leak.Block) {
	t.Helper()
	for _, seg := range d.segments {
		found, err := s.Scan(d.reader(seg))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			h := leakHit{Hit: f, address: seg.start + uint64(f.Offset), from: seg}
			h.kind, h.generator, _ = strings.Cut(f.Name, "/")
			h.generator, _, _ = strings.Cut(h.generator, "/")
			h.in = p.find(h.address)
			hits = append(hits, h)
		}
		if !backwards || !seg.writable {
			continue
		}
		skips := []int64{0}
		if seg.start == 0 { // notes
			skips = []int64{0, 4, 8, 12}
		}
		for _, skip := range skips {
			seg := seg
			seg.offset, seg.size = seg.offset+skip, seg.size-skip
			b, err := leak.ScanChaCha20(d.reader(seg))
			if err != nil {
				t.Fatal(err)
			}
			blocks = append(blocks, b...)
		}
	}
	return hits, blocks
}

// inSignalFrame reports whether a place is in what the kernel saved for a signal: the
// general registers, and those for floating point and vectors.
func inSignalFrame(s segment, at int64) bool {
	// On x86, struct _fpx_sw_bytes is at the end of the 512 bytes of FXSAVE and says how
	// long all is; the ucontext is below. On arm64, struct fpsimd_context has the vector
	// registers; the general ones are right below.
	type kind struct{ magic, before, after int64 }
	k := kind{0x46505853, 464 + 1024, 0}
	switch runtime.GOARCH {
	case "amd64", "386":
	case "arm64":
		k = kind{0x46508001, 1024, 528}
	default:
		return false
	}
	from := max(0, at-4096)
	b := make([]byte, min(s.size-from, 8192))
	if n, _ := s.r.ReadAt(b, s.offset+from); n < len(b) {
		b = b[:n]
	}
	for i := 0; i+8 <= len(b); i += 8 {
		if binary.NativeEndian.Uint32(b[i:]) != uint32(k.magic) {
			continue
		}
		after := k.after
		if after == 0 {
			after = int64(binary.NativeEndian.Uint32(b[i+4:])) - 464
		}
		if m := from + int64(i); m-k.before <= at && at < m+after {
			return true
		}
	}
	return false
}

// portable reports whether mechanisms run without assembly: what they copied or computed last
// is then in a register of the thread until something else is. The assembly of
// amd64 clears those that it uses, and package zero those that hash functions use there.
func portable() bool {
	info, ok := debug.ReadBuildInfo()
	return runtime.GOARCH != "amd64" || ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-tags", Value: "purego"})
}

// mostInterrupted is how many secrets of a generator may be left by interrupts, of all 2000
// states and outputs: when the runtime interrupts a thread the kernel saves the
// registers on its signal stack, and the runtime in memory of its own, where they stay until the
// next time; and when it moves a stack it leaves the old one as it is. These are old
// states, of the request that was interrupted. Config.Hardened is against that.
const mostInterrupted = 16

// judge fails the test for what should not be in the dump, and for what should.
func (p *leakProcess) judge(t *testing.T, how string, hits []leakHit) {
	t.Helper()
	homes := make(map[*mapping]bool)
	visible := make(map[string]bool) // by generator
	for _, r := range p.records.shards {
		if r.address == 0 {
			continue
		}
		homes[p.find(r.address)] = true
		switch how {
		case dumpGcoreA, dumpMem:
			visible[r.generator] = visible[r.generator] || r.grade < secmem.Secret
		case dumpSwap:
			visible[r.generator] = visible[r.generator] || r.grade < secmem.Droppable
			homes[nil] = true
		}
	}
	control, current := make(map[string]bool), make(map[string]bool)
	leaks := make(map[string][]leakHit)
	registers, keys := 0, make(map[string]bool)
	for _, h := range hits {
		switch {
		case h.kind == isControl:
			if h.Size >= 16 {
				control[h.generator] = true
			}
		case fips.Enabled() && h.generator == fipsCTR && h.kind != isOutput:
			keys[h.Name] = true
		case visible[h.generator] && homes[h.in] && (h.kind == isCurrent || h.kind == isAhead):
			if h.Size >= 16 {
				current[h.generator] = true
			}
		case h.in == nil && how != dumpSwap && h.kind == isOutput && strings.Contains(h.Name, " -0 of "):
			// The caller has it, too; until something else is copied, the registers that it
			// was copied with have its last bytes.
			registers++
		case h.in == nil && how != dumpSwap && h.Size <= 16 && portable():
			registers++
		default:
			leaks[h.generator] = append(leaks[h.generator], h)
		}
	}
	if registers > 0 {
		t.Logf("%d times in registers", registers)
	}
	if len(keys) > 0 {
		t.Logf("CTR in FIPS mode: %d keys and values of V", len(keys))
	}
	for generator, hits := range leaks {
		names := make(map[string]bool)
		for _, h := range hits {
			names[h.Name] = true
		}
		if p.c.Signals && len(names) <= mostInterrupted && generator != hardenedRNG {
			t.Logf("%s: %d secrets, %d times, for example %v", generator, len(names), len(hits), hits[0])
			continue
		}
		t.Errorf("%s: %d secrets, %d times", generator, len(names), len(hits))
		for _, h := range hits[:min(len(hits), 12)] {
			t.Log(h)
		}
	}
	for _, r := range p.records.shards {
		if r.control != nil && !control[r.generator] {
			t.Errorf("the state of %s on the heap is not found: the search is blind", r.generator)
		}
		ours := !fips.Enabled() || r.generator != fipsCTR
		if ours && r.grade.String() != p.c.Grade && (p.c.Grade != "droppable" || r.grade != secmem.Private) && len(r.states) > 0 {
			t.Errorf("%s: the memory is %v", r.generator, r.grade)
		}
		if visible[r.generator] && ours && !p.c.Closed && len(r.states) > 0 && !current[r.generator] {
			t.Errorf("the state of %s is not found, which is in %v memory: the search is blind", r.generator, r.grade)
		}
	}
}

// judgeBlocks fails the test if a key of a generator follows from a block half done, or too many
// if there were interrupts, and if the one that is planted does not.
func (p *leakProcess) judgeBlocks(t *testing.T, blocks []leak.Block) {
	t.Helper()
	seen, interrupted := false, make(map[string]bool)
	keys := make(map[string]string)
	for _, r := range p.records.shards {
		d, err := leakGenerators()[r.generator].instance()
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range r.states {
			if _, ok := d.(*drng.ChaCha20); ok {
				keys[string(m[16:48])] = fmt.Sprintf("%s -%d", r.generator, len(r.states)-1-i)
			}
		}
	}
	for _, b := range blocks {
		if bytes.Equal(b.Key[:], p.records.block) {
			seen = true
		} else if name, ok := keys[string(b.Key[:])]; ok && p.c.Signals {
			if interrupted[name] = true; len(interrupted) <= mostInterrupted {
				t.Logf("a block half done leads to the key of %s", name)
			} else {
				t.Errorf("%d blocks half done lead to keys", len(interrupted))
			}
		} else if ok {
			t.Errorf("a block half done leads to the key of %s", name)
		} else {
			t.Logf("a block half done, not of ours")
		}
	}
	if !seen {
		t.Errorf("the block half done on the heap is not found: the search is blind")
	}
}

// TestLeak: neither the state of a generator, nor one before, nor output is in a dump. By
// memory and way of dumping, what may be is only the state itself, where it is at home:
// secmem has the table.
func TestLeak(t *testing.T) {
	if spec := os.Getenv(leakEnv); spec != "" {
		var c leakCase
		err := json.Unmarshal([]byte(spec), &c)
		if err == nil {
			err = leakChild(c)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("dumps of the memory of the race detector are too large")
	}
	names := slices.Sorted(maps.Keys(leakGenerators()))
	cases := []leakCase{
		{names, "secret", false, false, []string{dumpMem, dumpGcore, dumpGcoreA, dumpCore33}},
		{names, "secret", true, false, []string{dumpMem, dumpCore1ff}},
		{names, "secret", false, true, []string{dumpCore33}},
		{names, "locked", false, false, []string{dumpGcoreA, dumpCore1ff}},
		{names, "droppable", false, false, []string{dumpMem, dumpCore1ff}},
	}
	if testing.Short() {
		cases = []leakCase{{names, "secret", false, false, []string{dumpGcore}}}
	}
	repeats := 1
	if leakLong {
		repeats = 10
		all := []string{dumpMem, dumpGcore, dumpGcoreA}
		cases = nil
		for _, grade := range []string{"secret", "locked", "droppable"} {
			for _, closed := range []bool{false, true} {
				cases = append(cases,
					leakCase{names, grade, closed, false, append(all, dumpCore33)},
					leakCase{names, grade, closed, false, []string{dumpCore1ff}},
					leakCase{names, grade, closed, true, []string{dumpCore33}})
			}
		}
		for _, name := range names { // alone
			cases = append(cases, leakCase{[]string{name}, "secret", false, false, []string{dumpMem, dumpCore1ff}})
		}
	}
	if os.Getenv("LRNG_SWAP") != "" { // not without being asked for: it is for the whole machine
		for _, grade := range []string{"secret", "locked", "droppable"} {
			cases = append(cases, leakCase{names, grade, false, false, []string{dumpSwap}})
		}
	}
	for range repeats {
		for _, c := range cases {
			t.Run(c.String(), func(t *testing.T) {
				p := startLeak(t, c)
				s, err := p.records.scanner(c.Closed)
				if err != nil {
					t.Fatal(err)
				}
				for _, how := range c.Dumps {
					t.Run(how, func(t *testing.T) {
						d := p.take(t, how)
						backwards := how == dumpCore33 || how == dumpCore1ff || leakLong && how != dumpSwap // where the heap need not be
						hits, blocks := p.search(t, d, s, backwards)
						p.judge(t, how, hits)
						if how == dumpMem && c.Grade == "secret" && !c.Closed && d.unreadable == 0 {
							t.Error("all memory could be read, also that which is secret")
						}
						if backwards {
							p.judgeBlocks(t, blocks)
						}
					})
				}
			})
		}
	}
}
