package es

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/lrng-go/lrng/internal/clock"
	"github.com/lrng-go/lrng/internal/cpu"
	"github.com/lrng-go/lrng/internal/safefile"
	"github.com/lrng-go/lrng/internal/sysrand"
	"github.com/lrng-go/lrng/internal/zero"
)

// A seedSystem is what a [SeedFile] asks of its surroundings. Tests have others.
type seedSystem struct {
	machine  machine
	virtual  func() bool
	medium   func(dir *os.File) (safefile.Medium, error)
	facts    func(fi fs.FileInfo) (safefile.Facts, bool)
	lock     func(dir *os.File) (locked, supported bool, err error)
	sync     func(f *os.File, dir bool) error // writes a file, or the names in a directory, to the disk
	fresh    func(b []byte) error
	patience time.Duration // how long another process may have the lock

	// step is called before each step that changes the disk or makes it last, by its
	// name. The step fails with what it returns.
	step func(name string) error
}

// thisSystem returns the surroundings of this process.
func thisSystem() seedSystem {
	return seedSystem{
		machine: thisMachine(),
		virtual: func() bool {
			virtual, known := cpu.Hypervisor()
			return virtual || !known
		},
		medium: safefile.MediumOf,
		facts:  safefile.FactsOf,
		lock:   safefile.TryLock,
		sync: func(f *os.File, dir bool) error {
			if dir {
				return safefile.SyncDir(f)
			}
			return f.Sync()
		},
		fresh:    sysrand.Read,
		patience: lockWait,
		step:     func(string) error { return nil },
	}
}

const (
	usedSuffix = ".used"
	newSuffix  = ".new"

	seedMode fs.FileMode = 0o600

	// lockWait is how long others may hold the directory. Each does so for some writes
	// to the disk; the calls of this process do not wait longer than their contexts.
	lockWait = 10 * time.Second

	// The first and the longest pause between two looks at the lock.
	lockPause    = time.Millisecond
	maxLockPause = 16 * time.Millisecond
)

// A seedDir is the directory of a seed file. While it is open this process has the lock
// on it, unless nothing may be written there.
type seedDir struct {
	root     *os.Root
	file     *os.File
	medium   safefile.Medium
	refused  *SeedFileError // why nothing may be written, or nil
	unlocked *SeedFileError // why there is no lock, or nil
}

func (d *seedDir) close() {
	d.file.Close() // and with it the lock
	d.root.Close()
}

// open opens the directory.
func (s *SeedFile) open() (*seedDir, *SeedFileError) {
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, fileProblem("directory", err)
	}
	d := &seedDir{root: root}
	if d.file, err = root.Open("."); err != nil {
		root.Close()
		return nil, fileProblem("directory", err)
	}
	if d.medium, err = s.sys.medium(d.file); err != nil {
		d.close()
		return nil, &SeedFileError{"medium", err}
	}
	if d.refused = s.refusal(d); d.refused != nil {
		return d, nil
	}
	start := clock.Monotonic()
	for pause := lockPause; ; pause = min(2*pause, maxLockPause) {
		locked, supported, err := s.sys.lock(d.file)
		switch {
		case locked:
			return d, nil
		case err != nil:
			d.unlocked = &SeedFileError{"lock", err}
			return d, nil
		case !supported:
			d.unlocked = seedProblem("lock", "there is none on this system")
			return d, nil
		case clock.Monotonic()-start > s.sys.patience:
			d.close()
			return nil, seedProblem("lock", "another process has it")
		}
		time.Sleep(pause)
	}
}

// fileProblem returns err as a problem of the check, or of "missing".
func fileProblem(check string, err error) *SeedFileError {
	if errors.Is(err, fs.ErrNotExist) {
		check = "missing"
	}
	return &SeedFileError{check, err}
}

// refusal returns why nothing may be written to the directory, or nil: it is read-only,
// or a place of which copies are made and given to others. On a read-only mount it is
// not even tried.
func (s *SeedFile) refusal(d *seedDir) *SeedFileError {
	if d.medium.ReadOnly {
		return seedProblem("medium", "read-only")
	}
	dir, err := filepath.EvalSymlinks(s.dir)
	if err != nil {
		return fileProblem("directory", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); !errors.Is(err, fs.ErrNotExist) {
			return seedProblem("git", "the directory is in a work tree")
		}
		if filepath.Dir(dir) == dir {
			return nil // the machine itself is not an image, whatever its ID
		}
		const id = "etc/machine-id"
		above := machine{files: os.DirFS(dir)}
		if above.exists(id) && isUninitialized(above.read(id)) {
			return seedProblem("image", "the directory is in the image of a machine")
		}
	}
}

// isUninitialized reports whether that is the machine ID of an image, which gets one of
// its own when it is started (machine-id(5)).
func isUninitialized(id []byte) bool {
	id = bytes.TrimSpace(id)
	return len(id) == 0 || string(id) == "uninitialized"
}

// A seedOnDisk is a seed file that was read.
type seedOnDisk struct {
	seedImage
	file  *os.File
	info  fs.FileInfo
	facts safefile.Facts
	known bool // the facts are
	write bool // the file can be written
}

func (f *seedOnDisk) close() {
	f.clear()
	f.file.Close()
}

// read reads the file of that name. If it is to be written, too, that may have to wait
// until it is tried.
func (s *SeedFile) read(d *seedDir, name string) (*seedOnDisk, *SeedFileError) {
	info, err := d.root.Lstat(name)
	if err != nil {
		return nil, fileProblem("file", err)
	}
	if !info.Mode().IsRegular() {
		return nil, seedProblem("file", "not a regular file")
	}
	if info.Size() != int64(seedSize) {
		return nil, &SeedFileError{"format", fmt.Errorf("%d bytes; want %d", info.Size(), seedSize)}
	}
	f := &seedOnDisk{write: d.refused == nil}
	if f.write {
		if f.file, err = d.root.OpenFile(name, os.O_RDWR|safefile.NonBlocking, 0); err != nil {
			f.write = false
		}
	}
	if !f.write {
		if f.file, err = d.root.OpenFile(name, os.O_RDONLY|safefile.NonBlocking, 0); err != nil {
			return nil, fileProblem("file", err)
		}
	}
	// Who can write to the directory may have put something else there meanwhile.
	if f.info, err = f.file.Stat(); err != nil || !os.SameFile(info, f.info) {
		f.file.Close()
		return nil, seedProblem("file", "it has been replaced")
	}
	f.facts, f.known = s.sys.facts(f.info)
	var b [seedSize]byte
	defer zero.Bytes(b[:])
	if _, err := f.file.ReadAt(b[:], 0); err != nil {
		f.file.Close()
		return nil, &SeedFileError{"file", err}
	}
	if err := f.decode(b[:]); err != nil {
		f.file.Close()
		return nil, &SeedFileError{"format", err}
	}
	return f, nil
}

// usedSerial returns the serial number of the file that was used last, or 0.
func (s *SeedFile) usedSerial(d *seedDir) (uint64, *SeedFileError) {
	f, problem := s.read(d, s.name+usedSuffix)
	switch {
	case problem != nil && problem.Check == "missing":
		return 0, nil
	case problem != nil:
		return 0, &SeedFileError{"serial", problem}
	}
	defer f.close()
	return f.serial, nil
}

// judge returns why a file is not credited, or nil.
func (s *SeedFile) judge(d *seedDir, f *seedOnDisk, h *home, used uint64) *SeedFileError {
	switch {
	case s.credit == 0:
		return seedProblem("configuration", "no credit")
	case f.state != seedFresh:
		return seedProblem("state", "derived from a file that was used")
	case f.info.Mode() != seedMode:
		return &SeedFileError{"mode", fmt.Errorf("%v; want %v", f.info.Mode(), seedMode)}
	case !f.known:
		return seedProblem("owner", "not known on this system")
	case f.facts.Owner != uint32(os.Geteuid()):
		return seedProblem("owner", "another user")
	case f.facts.Links != 1:
		return &SeedFileError{"links", fmt.Errorf("%d names; want 1", f.facts.Links)}
	case d.refused != nil:
		return d.refused
	case !d.medium.Persistent:
		return seedProblem("medium", "not known to be a local disk")
	case s.sys.virtual() && !s.notCloned:
		return seedProblem("virtual machine", "it may have been cloned")
	case h.problem != nil:
		return h.problem
	}
	info, err := d.file.Stat()
	if err != nil {
		return &SeedFileError{"directory", err}
	}
	owner, known := s.sys.facts(info)
	if !known || owner.Owner != 0 && owner.Owner != uint32(os.Geteuid()) || info.Mode()&0o022 != 0 {
		return seedProblem("directory", "others can write to it")
	}
	want := f.seedImage
	defer want.clear()
	want.bind(h, f.facts.Inode)
	switch {
	case want.node != f.node:
		return seedProblem("node", "written by another one, or copied")
	case want.boot == f.boot:
		return seedProblem("boot", "written in this one")
	case f.serial <= used:
		return &SeedFileError{"serial", fmt.Errorf("%d, after %d", f.serial, used)}
	case !f.write:
		return seedProblem("write", "no permission")
	}
	return d.unlocked
}

// load reads the file and makes its data the state. Whatever happens, the data are on
// the disk no more when they are credited. The caller holds disk.
func (s *SeedFile) load() error {
	if s.loaded() {
		return nil // somebody else did it
	}
	if s.closed != nil {
		return s.closed
	}
	d, problem := s.open()
	if problem != nil {
		return unavailable(problem)
	}
	defer d.close()
	f, problem := s.read(d, s.name)
	if problem != nil {
		return unavailable(problem)
	}
	defer f.close()
	if f.state == seedUsed {
		return unavailable(seedProblem("state", "used"))
	}
	h := s.sys.machine.home()
	used, bad := s.usedSerial(d)
	problem = s.judge(d, f, &h, used)
	if problem == nil {
		problem = bad
	}
	chain := digest("seed file", f.data[:], h.boot, s.sys.machine.process(), s.sys.machine.times())
	defer zero.Bytes(chain[:])
	// A file of somebody else, or one that has other names, is left alone.
	if f.write && (!f.known || f.facts.Owner == uint32(os.Geteuid()) && f.facts.Links == 1) {
		s.serial = max(s.serial, used, f.serial)
		if err := s.consume(d, f, max(used, f.serial)); err != nil {
			if problem == nil {
				problem = err
			}
		} else {
			// If that fails there is no file until the next Save. The one that
			// was used stays used.
			s.write(d, seedDerived, &h, f.data[:])
		}
	}
	s.accept(&chain, problem)
	return nil
}

// consume makes sure that the file is not used again: the data are overwritten in
// place, which needs no room on the disk, and then the name is gone. What is left has
// the highest serial number of all that was used here: a file from elsewhere, with a
// lower one, must not bring it down.
func (s *SeedFile) consume(d *seedDir, f *seedOnDisk, serial uint64) *SeedFileError {
	mark := seedImage{state: seedUsed, serial: serial}
	return s.steps([]seedStep{
		{"overwrite", func() error { _, err := f.file.WriteAt(mark.encode(), 0); return err }},
		{"sync overwritten", func() error { return s.sys.sync(f.file, false) }},
		{"rename used", func() error {
			f.file.Close() // Windows does not rename what is open
			return d.root.Rename(s.name, s.name+usedSuffix)
		}},
		{"sync rename used", func() error { return s.sys.sync(d.file, true) }},
	})
}

// write puts a new file in place, with data derived from those given, from the
// generator of the system if it is ready, and from the time. The caller holds disk,
// and d is locked as far as it can be.
func (s *SeedFile) write(d *seedDir, state seedState, h *home, data ...[]byte) *SeedFileError {
	var os64 [seedDataSize]byte
	defer zero.Bytes(os64[:])
	if s.sys.fresh(os64[:]) != nil {
		clear(os64[:])
	}
	image := seedImage{state: state, serial: s.serial + 1}
	defer image.clear()
	image.data = digest("seed file data", append(data, os64[:], h.boot, s.sys.machine.process(), s.sys.machine.times(), number(image.serial))...)

	name := s.name + newSuffix
	var f *os.File
	problem := s.steps([]seedStep{
		{"remove", func() error {
			if err := d.root.Remove(name); !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil
		}},
		{"create", func() (err error) {
			f, err = d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, seedMode)
			return err
		}},
		{"write", func() error {
			info, err := f.Stat()
			if err != nil {
				return err
			}
			facts, _ := s.sys.facts(info)
			image.bind(h, facts.Inode)
			b := image.encode()
			defer zero.Bytes(b)
			_, err = f.Write(b)
			return err
		}},
		{"sync", func() error { return s.sys.sync(f, false) }},
		{"close", func() error { return f.Close() }},
		{"rename", func() error { return d.root.Rename(name, s.name) }},
		{"sync rename", func() error { return s.sys.sync(d.file, true) }},
	})
	if f != nil {
		f.Close() // again, if there was no error
	}
	if problem != nil {
		d.root.Remove(name) // what is left of it, if it has not been renamed
		return problem
	}
	s.serial = image.serial
	return nil
}

// A seedStep changes the disk, or makes a change last.
type seedStep struct {
	name string
	do   func() error
}

// steps does one step after the other, until one fails.
func (s *SeedFile) steps(list []seedStep) *SeedFileError {
	for _, step := range list {
		err := s.sys.step(step.name)
		if err == nil {
			err = step.do()
		}
		if err != nil {
			return &SeedFileError{"write", fmt.Errorf("%s: %w", step.name, err)}
		}
	}
	return nil
}

// save writes a file with fresh data. The caller holds disk.
func (s *SeedFile) save(fresh []byte) error {
	// What is there is used first, so that its entropy goes on.
	missing := s.load()
	if e, ok := errors.AsType[*SeedFileError](missing); ok && e.Check == "lock" {
		return missing
	}
	d, problem := s.open()
	if problem != nil {
		return unavailable(problem)
	}
	defer d.close()
	if d.refused != nil {
		return unavailable(d.refused)
	}
	var old [seedDataSize]byte
	defer zero.Bytes(old[:])
	f, problem := s.read(d, s.name)
	switch {
	case problem == nil:
		copy(old[:], f.data[:])
		s.serial = max(s.serial, f.serial)
		owner := f.known && f.facts.Owner != uint32(os.Geteuid())
		f.close()
		if owner {
			return unavailable(seedProblem("owner", "another user"))
		}
	case problem.Check == "missing", problem.Check == "format" && d.replaceable(s.name):
	default:
		return unavailable(problem)
	}
	if used, bad := s.usedSerial(d); bad == nil {
		s.serial = max(s.serial, used)
	}
	h := s.sys.machine.home()
	s.mu.Lock()
	chain := digest("seed file save", s.chain[:])
	s.advance()
	s.mu.Unlock()
	defer zero.Bytes(chain[:])
	if problem := s.write(d, seedFresh, &h, chain[:], old[:], fresh); problem != nil {
		return problem
	}
	if missing != nil {
		s.closed = missing // the file that is there now is for the next process
	}
	return nil
}

// replaceable reports whether a file that could not be read as a seed file is one that
// is damaged: it is empty, or begins as one. Anything else may be dear to somebody.
func (d *seedDir) replaceable(name string) bool {
	f, err := d.root.OpenFile(name, os.O_RDONLY|safefile.NonBlocking, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	b := make([]byte, len(seedMagic)-1)
	n, _ := f.Read(b)
	return n == 0 || bytes.Equal(b[:n], []byte(seedMagic)[:len(b)])
}
