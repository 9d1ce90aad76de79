package es

import (
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"github.com/lrng-go/lrng/internal/ctxsync"
	"github.com/lrng-go/lrng/internal/zero"
)

// SeedFileConfig configures a [SeedFile]. The zero value is recommended: no file.
type SeedFileConfig struct {
	// Path is the absolute name of the file. Beside it there may be two more, with
	// ".used" and ".new" at the end of the name. The directory has to exist, and
	// should belong to this program alone. Empty: there is no seed file, and the
	// source is never available.
	Path string

	// Credit is how much min-entropy, in bits, is credited for the data of one file,
	// 0…256. 0 is recommended: the data are mixed in and not credited. See Credit in
	// the documentation of [SeedFile] for what else it takes.
	Credit int

	// NotCloned declares that nobody copies this virtual machine: neither its disk,
	// stopped or running, nor a snapshot of its memory. Without it nothing is
	// credited in a virtual machine, nor where it is not known whether it is one.
	NotCloned bool
}

// A SeedFile carries randomness over a restart of the machine: it reads what an
// earlier process has left in a file with Save, in another boot, and replaces it at
// once. Everything works without one. A file that is missing, unreadable or not a seed
// file, and a directory that cannot be written, cost the data and nothing else.
//
// The first call of GetEntropy reads the file, and that is the only time in a process.
// Before anything of it is delivered, the data on the disk are overwritten, the file
// is renamed to one with ".used" at its end, and a new one takes its place whose data
// were derived from the old ones; each step is on the disk before the next one
// begins. So no value is delivered a second time by another process, and if the
// process ends at any moment there is a file, or none, but never a broken one.
// Later calls deliver further data derived from the same file, without credit if the
// first ones have taken all of it.
//
// On a read-only file system, within a work tree of git, and in the image of another
// machine nothing is written. What is found there may be known to everybody and come
// back at each boot; it is mixed in all the same, together with the time and the ID
// of the boot.
//
// A program calls Save when its generator is fully seeded, from time to time, and
// before it ends. The file written first is the one that the next boot can rely on;
// until then there is only the derived one. [SeedFile.Keep] does all of that:
//
//	file := es.NewSeedFile(es.SeedFileConfig{Path: "/var/lib/example/seed"})
//	rng, err := lrng.New(lrng.Config{Sources: append(lrng.DefaultSources(), file)})
//	…
//	ctx, stop := context.WithCancel(context.Background())
//	var saving sync.WaitGroup
//	saving.Go(func() { file.Keep(ctx, rng, 0) })
//	defer rng.Close()
//	defer saving.Wait()
//	defer stop() // first of the three
//
// docs/seedfiles.md has what belongs into the image of a machine that has such a file.
//
// # Credit
//
// The danger of a seed file is that its data are used twice: by each of the nodes that
// boot the same image, by each boot of a node whose root directory is in memory, by
// two copies of one disk. What has been used once is no entropy any more. So a file is
// credited only if SeedFileConfig.Credit says so and all of the following holds,
// which can be so on Linux only:
//
//   - The file was written by Save, and is a regular file with mode 0600 and one name
//     that belongs to the user of the process. Others cannot write to its directory.
//   - Its file system is one that is known to be on a local disk: ext4, XFS, Btrfs,
//     F2FS, ZFS and the like; not memory, a layer over an image, an image or the
//     network. It is mounted for writing. No directory above is a work tree of git or
//     the image of a machine that has not been started.
//   - The machine is not a virtual one, unless SeedFileConfig.NotCloned is set.
//   - The machine has its own identity: a machine ID, and something in its
//     hardware that others do not have. /run/systemd/first-boot does not exist.
//   - Machine ID, hardware, host name and the inode of the file are those with which it
//     was written: it was not copied. The ID of the boot is another one.
//   - Its serial number is greater than that of the file used before: it did not come
//     back from a backup.
//   - All that has to be on the disk before it is used is there, as told above.
//
// Uncredited says which one it was.
//
// # Limits
//
// No check can tell a disk that was put back as a whole into an earlier state, by a
// snapshot of its file system or a backup. Who does that with a machine must not
// configure a credit.
//
// # Security
//
// The source holds a digest from which further data are derived: after it has handed
// out data, they cannot be computed from it. Clear wipes it. What is in the file is as
// secret as a key. A SeedFile is safe for concurrent use, by processes too: they lock
// the directory.
type SeedFile struct {
	dir, name string // of the file
	credit    int    // of one file, in bits
	notCloned bool
	err       error        // what is wrong with the configuration
	test      func() error // the self-test of the hash
	sys       seedSystem

	// disk is held while the files are read or written, and guards the fields below.
	disk   ctxsync.Lock
	serial uint64 // the highest serial number seen
	closed error  // why the file is not read any more, or nil

	mu      sync.Mutex        // guards the fields below
	have    bool              // the file was read
	chain   [sha512.Size]byte // what data are derived from
	left    int               // credit not yet taken, in bits
	problem *SeedFileError    // why there was none
	cleared bool
}

const (
	seedFileName = "seed-file"

	// maxSeedCredit is the most that can be credited, in bits: half as much as the
	// data and the digests that they pass through are long, so that no output of the
	// hash has to be full of entropy.
	maxSeedCredit = 256

	// seedInterval is the time between two files of Keep. What a file holds does not
	// grow old; the next one brings in what the generator has gained since.
	seedInterval = time.Hour

	// seedLast bounds the last Save of Keep, when a program is about to end. Service
	// managers wait longer than that.
	seedLast = 10 * time.Second
)

// A SeedFileError says why a seed file was not used, not credited or not written.
type SeedFileError struct {
	// Check names what was looked at:
	//
	//	configuration     no path, or no credit
	//	missing           there is no file, or no directory
	//	file              not a regular file, or not the one it was a moment ago
	//	format            not a seed file, or damaged
	//	state             used, or not written by Save
	//	mode, owner, links, directory
	//	                  who else can read or write it
	//	medium            the file system forgets, is read-only, or is not known
	//	git, image        the directory is copied by its nature
	//	virtual machine   it may have been cloned
	//	first boot        the machine is not personalized yet
	//	node              written elsewhere, or copied, or the node is not known
	//	boot              written in this boot
	//	serial            an old file has come back
	//	lock              another process is at it
	//	write             it could not be written
	Check string

	// Err says what was found.
	Err error
}

// Error returns the reason as text.
func (e *SeedFileError) Error() string {
	return fmt.Sprintf("es: %s: %s: %v", seedFileName, e.Check, e.Err)
}

// Unwrap returns Err.
func (e *SeedFileError) Unwrap() error { return e.Err }

func seedProblem(check, text string) *SeedFileError {
	return &SeedFileError{Check: check, Err: errors.New(text)}
}

// NewSeedFile returns the source with configuration c. It does not touch the file.
func NewSeedFile(c SeedFileConfig) *SeedFile { return newSeedFile(c, thisSystem()) }

func newSeedFile(c SeedFileConfig, sys seedSystem) *SeedFile {
	s := &SeedFile{notCloned: c.NotCloned, test: selfTestOf(nil), sys: sys}
	switch {
	case c.Credit < 0 || c.Credit > maxSeedCredit:
		s.err = fmt.Errorf("es: SeedFileConfig.Credit: %d bits, must be 0 to %d", c.Credit, maxSeedCredit)
	case c.Path == "" && c.Credit > 0:
		s.err = errors.New("es: SeedFileConfig.Path: empty, but there is a credit")
	case c.Path != "" && !filepath.IsAbs(c.Path):
		s.err = errors.New("es: SeedFileConfig.Path: not absolute")
	case c.Path != "" && filepath.Dir(filepath.Clean(c.Path)) == filepath.Clean(c.Path):
		s.err = errors.New("es: SeedFileConfig.Path: a root directory")
	case c.Path != "":
		s.dir, s.name = filepath.Split(filepath.Clean(c.Path))
		s.credit = c.Credit
	}
	return s
}

// Validate returns what is wrong with the configuration, or nil. A path that does not
// exist is not wrong.
func (s *SeedFile) Validate() error { return s.err }

// Info returns the name "seed-file", and the configured credit as the most entropy.
func (s *SeedFile) Info() Info { return Info{Name: seedFileName, MaxEntropy: s.credit} }

// Available returns the part of bits that can be credited for the file. It is 0 before
// the file was read.
func (s *SeedFile) Available(bits int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(0, min(bits, s.left))
}

// Uncredited returns why the file that was read is not credited, as a
// [*SeedFileError]. It is nil before the file was read, and if it is credited.
func (s *SeedFile) Uncredited() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.problem == nil {
		return nil
	}
	return s.problem
}

// GetEntropy fills p with data derived from the file, each time other ones, and
// returns the credit: at most bits, 8·len(p), and what is left of that of the file.
// The first call reads and replaces the file; if ctx is done before that is, the next
// call has its data.
//
// If there is nothing to be read the error wraps a [*SeedFileError] and
// [ErrUnavailable], and the next call tries again; after a Save, it does not.
func (s *SeedFile) GetEntropy(ctx context.Context, p []byte, bits int) (credit int, err error) {
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	if !s.loaded() {
		if err := s.onDisk(ctx, nil, s.load); err != nil {
			return 0, err
		}
	}
	key, credit, err := s.take(len(p), bits)
	if err != nil {
		return 0, err
	}
	defer zero.Bytes(key[:])
	if err := expand(ctx, seedFileName, key[:], p); err != nil {
		zero.Bytes(p)
		return 0, err
	}
	return credit, nil
}

// Save writes a new file, for the next boot, with 64 bytes from r and all that was in
// the file before. r shall be a generator that is fully seeded: what it delivers is
// taken to be as unpredictable as it is long. Nothing else that it knows is written.
// Save reads r in the goroutine of its caller, and if it has a method ReadContext, as
// lrng.RNG does, by that: it does not wait for r longer than ctx allows then.
//
// Where there is no place for a file, the error wraps a [*SeedFileError] and
// [ErrUnavailable]: that is no reason to stop. Nothing has been written then. If
// writing fails, the file before it is still there or has been used. Save does not
// replace what is not a seed file or belongs to another user.
func (s *SeedFile) Save(ctx context.Context, r io.Reader) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	// On the heap in any case, since r may keep it.
	fresh := make([]byte, seedDataSize)
	defer zero.Bytes(fresh) // also if r panics
	if _, err := io.ReadFull(withContext(ctx, r), fresh); err != nil {
		return fmt.Errorf("es: %s: reading fresh data: %w", seedFileName, err)
	}
	if repeats(fresh[osBlock:], (*[osBlock]byte)(fresh)) {
		return fmt.Errorf("es: %s: the fresh data repeat themselves", seedFileName)
	}
	own := make([]byte, seedDataSize)
	copy(own, fresh)
	return s.onDisk(ctx, own, func() error { return s.save(own) })
}

// Keep calls Save at once, then each time that interval has passed, and a last time when
// ctx is done, for which it takes ten seconds at most. It returns the error of the last
// one. An error before that is no reason to stop: the next time may be better, and who
// wants to know of each calls Save. An interval of 0, or less, is the recommended hour.
//
// Keep works in the goroutine of its caller, who waits for it before r is closed. It
// starts no other but for the time of a write.
func (s *SeedFile) Keep(ctx context.Context, r io.Reader, interval time.Duration) error {
	if interval <= 0 {
		interval = seedInterval
	}
	timer := time.NewTicker(interval)
	defer timer.Stop()
	for ctx.Err() == nil {
		// Where there will never be a file there is nothing to wait for.
		if err := s.ready(context.Background()); err != nil {
			return err
		}
		s.Save(ctx, r)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), seedLast)
	defer cancel()
	return s.Save(last, r)
}

// withContext returns a reader of r that gives up when ctx is done, if r can.
func withContext(ctx context.Context, r io.Reader) io.Reader {
	if c, ok := r.(contextReader); ok {
		return readerFunc(func(p []byte) (int, error) { return c.ReadContext(ctx, p) })
	}
	return r
}

// A contextReader is a generator like lrng.RNG.
type contextReader interface {
	ReadContext(ctx context.Context, p []byte) (n int, err error)
}

type readerFunc func(p []byte) (n int, err error)

func (f readerFunc) Read(p []byte) (n int, err error) { return f(p) }

// Clear wipes the state of the source and ends its use. The file is left as it is.
// It may be called twice.
func (s *SeedFile) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	zero.Bytes(s.chain[:])
	s.left, s.have, s.cleared = 0, false, true
}

// String returns the name of the type. The state is not printed.
func (s *SeedFile) String() string { return "es.SeedFile" }

// GoString returns the name of the type. The state is not printed.
func (s *SeedFile) GoString() string { return "es.SeedFile" }

// ready returns why the source cannot be used.
func (s *SeedFile) ready(ctx context.Context) error {
	if s.err != nil {
		return s.err
	}
	if s.name == "" {
		return unavailable(seedProblem("configuration", "no path"))
	}
	s.mu.Lock()
	cleared := s.cleared
	s.mu.Unlock()
	if cleared {
		return s.isCleared()
	}
	if err := runSelfTests(seedFileName, s.test); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("es: %s: %w", seedFileName, err)
	}
	return nil
}

func (s *SeedFile) isCleared() error {
	return fmt.Errorf("es: %s: cleared: %w", seedFileName, ErrUnavailable)
}

// unavailable returns an error for what cannot be used.
func unavailable(e *SeedFileError) error { return fmt.Errorf("%w: %w", e, ErrUnavailable) }

// loaded reports whether there are data.
func (s *SeedFile) loaded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.have
}

// onDisk calls f with disk locked, in a goroutine of its own, as a file system may hang,
// and wipes secret, which f uses. If ctx is done first it returns the error of ctx, and f
// goes on.
func (s *SeedFile) onDisk(ctx context.Context, secret []byte, f func() error) error {
	if err := s.disk.Lock(ctx); err != nil {
		zero.Bytes(secret)
		return fmt.Errorf("es: %s: %w", seedFileName, err)
	}
	done := make(chan error, 1)
	go func() {
		err := f()
		zero.Bytes(secret)
		s.disk.Unlock()
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("es: %s: %w", seedFileName, ctx.Err())
	}
}

// take returns a key for size bytes of output and its credit. The state goes on: the
// key cannot be computed from what is left.
func (s *SeedFile) take(size, bits int) (key [sha512.Size]byte, credit int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cleared || !s.have {
		return key, 0, s.isCleared()
	}
	credit = max(0, min(bits, 8*min(size, maxSeedCredit/8), s.left))
	s.left -= credit
	key = digest("seed file key", s.chain[:])
	s.advance()
	return key, credit, nil
}

// advance replaces chain by a digest of it. The caller holds mu.
func (s *SeedFile) advance() {
	next := digest("seed file chain", s.chain[:])
	copy(s.chain[:], next[:])
	zero.Bytes(next[:])
}

// accept makes the data of a file the state. A Clear that came first stays.
func (s *SeedFile) accept(chain *[sha512.Size]byte, problem *SeedFileError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cleared {
		return
	}
	s.have, s.chain, s.problem = true, *chain, problem
	if problem == nil {
		s.left = s.credit
	}
}
