package es

import (
	"context"
	"crypto/sha512"
	"fmt"
	"sync"
	"time"

	"github.com/lrng-go/lrng/internal/zero"
)

// IdentityConfig configures an [Identity] source. The zero value is recommended; there
// is nothing to choose.
type IdentityConfig struct{}

// Identity is what tells this node from its twins: machines that were started from
// the same image, or copied while they were running, and processes that were. It
// reads what the system says of the machine, the boot, the network, the disks, the
// container, the process and the time, and delivers a hash of it.
//
// All this can be known to others, so it is never credited. Its worth is that two
// nodes whose other sources deliver the same, because all that these draw on was
// copied with the image, have different seeds all the same, and that whoever wants to
// guess a seed has to do it for each node anew. Twins that differ in nothing that is
// looked at deliver the same.
//
// What is read are local files of up to 4 KiB, most of them in /proc and /sys, and
// nothing is asked over the network. An item that is missing or cannot be read is
// left out. On systems without such files the name of the host, its network
// interfaces, the numbers of the process, the program and the time are left. Everything
// is read anew for each call, since names and addresses may change when a node comes to
// itself. A call that has waited 100 ms for the files goes on with what it has.
//
// # Privacy
//
// Nothing that was read is kept or appears in errors and logs, but its hashes do not
// hide it: who sees the data delivered, which are of no use for anything but a seed,
// can find out by trial whether a guess at all of it is right.
//
// An Identity is safe for concurrent use and holds nothing that has to be wiped.
type Identity struct {
	machine machine
	test    func() error // the self-test of the hash
	budget  time.Duration

	mu    sync.Mutex          // guards the fields below
	facts [][sha512.Size]byte // digests of the items, in their order; zero: not yet read
	calls uint64              // how many keys were made
	hung  int                 // readings that nobody waits for any more
}

// A reading is one pass over the items. Its fields are guarded by mu of the source.
type reading struct{ late, over bool }

const identityName = "identity"

// identityBudget is how long a call waits for the files. On the machine measured all
// of them take 2 ms.
const identityBudget = 100 * time.Millisecond

// An item is one class of facts about a machine.
type item struct {
	name  string
	files []string // read whole, up to maxFile
	globs []string // patterns of such files
	links []string // directories of symbolic links
	call  func(m *machine) []byte
}

// items is what is read, in this order: first what is made by the kernel, and last
// what is kept on disks, where a file can be slow.
var items = []item{
	{name: "boot", files: []string{"proc/sys/kernel/random/boot_id"}},
	{name: "host", call: (*machine).host},
	{name: "process", call: func(m *machine) []byte { return m.process() }},
	{name: "start", files: []string{"proc/self/stat", "proc/self/maps"}},
	{name: "start random", call: (*machine).startRandom},
	{name: "network",
		files: []string{"proc/net/fib_trie", "proc/net/if_inet6", "proc/net/dev"},
		globs: []string{"sys/class/net/*/address"},
		call:  func(m *machine) []byte { return m.interfaces() }},
	{name: "counters", files: []string{
		"proc/uptime", "proc/stat", "proc/interrupts", "proc/schedstat", "proc/meminfo", "proc/diskstats"}},
	{name: "firmware",
		files: []string{
			"proc/device-tree/serial-number", "proc/device-tree/vm,uuid", "proc/sysinfo", "sys/hypervisor/uuid", vmclock},
		globs: []string{"sys/class/dmi/id/*_uuid", "sys/class/dmi/id/*_serial", "sys/class/dmi/id/*_asset_tag",
			"sys/devices/soc*/serial_number"}},
	{name: "disks", globs: []string{"sys/block/*/serial", "sys/block/*/wwid", "sys/block/*/device/wwid"}},
	{name: "container",
		files: []string{"proc/self/cgroup", "proc/self/mountinfo", "run/.containerenv"},
		links: []string{"proc/self/ns"}},
	{name: "cloud", files: []string{
		"run/cloud-init/.instance-id", "var/lib/cloud/data/instance-id", "var/lib/cloud/data/previous-instance-id"}},
	{name: "machine", files: []string{"etc/machine-id", "var/lib/dbus/machine-id", "etc/hostid"}},
	{name: "keys", globs: []string{"etc/ssh/ssh_host_*_key.pub"}},
	{name: "program", call: func(m *machine) []byte { return m.program() }},
}

// read returns the digest of what m says of the item.
func (i *item) read(m *machine) [sha512.Size]byte {
	var parts [][]byte
	for _, name := range i.files {
		parts = append(parts, m.read(name))
	}
	for _, pattern := range i.globs {
		parts = append(parts, m.readAll(pattern))
	}
	for _, dir := range i.links {
		parts = append(parts, m.readLinks(dir))
	}
	if i.call != nil {
		parts = append(parts, i.call(m))
	}
	defer func() {
		for _, p := range parts {
			zero.Bytes(p)
		}
	}()
	return digest("identity item "+i.name, parts...)
}

// NewIdentity returns the source with configuration c. It does not read anything.
func NewIdentity(c IdentityConfig) *Identity { return newIdentity(thisMachine()) }

func newIdentity(m machine) *Identity {
	return &Identity{machine: m, test: selfTestOf(nil), budget: identityBudget, facts: make([][sha512.Size]byte, len(items))}
}

// Info returns the name "identity" and no entropy.
func (s *Identity) Info() Info { return Info{Name: identityName} }

// Available returns 0.
func (s *Identity) Available(bits int) int { return 0 }

// GetEntropy fills p, each time with other data, and credits nothing. Its errors are
// that of ctx and that of a self-test.
func (s *Identity) GetEntropy(ctx context.Context, p []byte, bits int) (credit int, err error) {
	if err := runSelfTests(identityName, s.test); err != nil {
		return 0, err
	}
	if err := s.wait(ctx); err != nil {
		return 0, err
	}
	key := s.key()
	defer zero.Bytes(key[:])
	if err := expand(ctx, "identity", key[:], p); err != nil {
		zero.Bytes(p)
		return 0, err
	}
	return 0, nil
}

// wait reads the items, in a goroutine of its own, and waits for it, but no longer
// than the budget. While there is a reading that has taken longer, no other is begun.
func (s *Identity) wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("es: %s: %w", identityName, err)
	}
	s.mu.Lock()
	hung := s.hung > 0
	s.mu.Unlock()
	if hung {
		return nil
	}
	r, done := new(reading), make(chan struct{})
	go func() {
		defer close(done)
		s.read(r)
	}()
	timer := time.NewTimer(s.budget)
	defer timer.Stop()
	var err error
	select {
	case <-done:
		return nil
	case <-timer.C:
	case <-ctx.Done():
		err = fmt.Errorf("es: %s: %w", identityName, ctx.Err())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !r.over {
		r.late = true
		s.hung++
	}
	return err
}

// read reads the items.
func (s *Identity) read(r *reading) {
	for i := range items {
		sum := items[i].read(&s.machine)
		s.mu.Lock()
		s.facts[i] = sum
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r.over = true
	if r.late {
		s.hung--
	}
}

// key returns the digest of all that is known now. No two calls return the same.
func (s *Identity) key() [sha512.Size]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	parts := [][]byte{number(s.calls), s.machine.times()}
	for i := range s.facts {
		parts = append(parts, s.facts[i][:])
	}
	return digest("identity", parts...)
}

// expand fills p with digests of key, one after the other.
func expand(ctx context.Context, label string, key, p []byte) error {
	for n := uint64(0); len(p) > 0; n++ {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("es: %s: %w", label, err)
		}
		block := digest(label+" output", key, number(n))
		p = p[copy(p, block[:]):]
		zero.Bytes(block[:])
	}
	return nil
}

// String returns the name of the type. What was read is not printed.
func (s *Identity) String() string { return "es.Identity" }

// GoString returns the name of the type. What was read is not printed.
func (s *Identity) GoString() string { return "es.Identity" }
