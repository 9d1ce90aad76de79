package main

import (
	"bufio"
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
)

var inspectCommand = command{
	name:  "inspect",
	args:  " DIR",
	short: "looks for seeds, saved states and identities in a system image",
	long: `Inspect looks through the root directory of a system image, mounted or unpacked, for
what must not be in an image that more than one machine starts from: seeds of random
generators, saved states of machines and processes, host keys, and the identity of the
machine that the image was made on. If the image is kept in git, or has repositories in
it (/etc is kept in one by etckeeper), it looks through the history, too: what is in there
is known to everyone who has the repository.

It prints what it finds and what to do about it, and exits with 1 if there is anything,
or anything that it could not look at. It follows no symbolic link out of DIR and changes
nothing.
`,
	flags: func(f *flag.FlagSet) func(context.Context, stdio, []string) error {
		asJSON := f.Bool("json", false, "print JSON")
		noGit := f.Bool("nogit", false, "leave out the git history")
		return func(ctx context.Context, std stdio, args []string) error {
			if len(args) != 1 {
				return usagef("want one directory")
			}
			found, err := inspect(ctx, args[0], !*noGit)
			if asJSON := *asJSON; asJSON {
				e := json.NewEncoder(std.out)
				e.SetIndent("", "\t")
				if found == nil {
					found = []finding{}
				}
				err = errors.Join(e.Encode(found), err)
			} else {
				for _, f := range found {
					if _, err := fmt.Fprintln(std.out, f); err != nil {
						return err
					}
				}
			}
			if err == nil && len(found) > 0 {
				return fmt.Errorf("%d found that must not be in an image", len(found))
			}
			return err
		}
	},
}

// A finding is something that must not be in an image.
type finding struct {
	Path   string `json:"path"`             // in the image
	Object string `json:"object,omitempty"` // of git, if it is in the history
	Kind   kind   `json:"kind"`
	What   string `json:"what"`
	Advice string `json:"advice"`
}

func (f finding) String() string {
	where := "/" + f.Path
	if f.Object != "" {
		where += " (in the git history, object " + f.Object + ")"
	}
	return fmt.Sprintf("%s: %s: %s; %s", where, f.Kind, f.What, f.Advice)
}

// A kind says why something must not be there.
type kind string

const (
	seedKind     kind = "seed"     // known to all who have the image, and the same on all nodes
	stateKind    kind = "state"    // of a generator that more than one machine would go on with
	identityKind kind = "identity" // which twins would share
	keyKind      kind = "key"      // of the host
)

// A rule names paths, as patterns of path.Match, and says what is wrong with a file there.
// Bad looks at the beginning of the file; nil means that any file that is not empty is.
type rule struct {
	kind     kind
	what     string
	advice   string
	bad      func(head []byte) bool
	patterns []string
}

const (
	deleteIt = "delete it before the image is sealed"
	emptyIt  = "make it an empty file: the first boot fills it"
)

var rules = []rule{
	{seedKind, "saved seed of the kernel's generator", deleteIt, nil, []string{
		"var/lib/systemd/random-seed", "var/lib/random-seed", "var/lib/urandom/random-seed", "var/lib/misc/random-seed", "var/lib/random-seed/*",
		"etc/random-seed", "var/random-seed", "lib/random-seed", "var/lib/seedrng/*", "etc/seedrng/*", "var/lib/rng-seed",
		"boot/loader/random-seed", "efi/loader/random-seed", "boot/efi/loader/random-seed", "loader/random-seed",
		"entropy", "boot/entropy", "var/db/entropy-file", "var/db/entropy/*", "etc/random.seed", "var/db/host.random", "var/db/rnd", "etc/entropy-file",
		"var/lib/urandom/*", "etc/urandom.seed", "etc/urandom/*",
	}},
	{seedKind, "seed of OpenSSL programs", deleteIt, nil, []string{"root/.rnd", "home/*/.rnd", "var/lib/*/.rnd", "etc/ssl/.rnd", "root/.gnupg/random_seed", "home/*/.gnupg/random_seed"}},
	{seedKind, "mark that a remote seed was taken, so that no other is", deleteIt, func([]byte) bool { return true }, []string{"var/cache/pollinate/seeded"}},
	{identityKind, "machine-id", emptyIt, machineID, []string{"etc/machine-id", "var/lib/dbus/machine-id"}},
	{identityKind, "host identity", deleteIt, nil, []string{
		"etc/hostid", "etc/nvme/hostid", "etc/nvme/hostnqn", "etc/iscsi/initiatorname.iscsi", "var/lib/dhcpcd/duid", "var/lib/dhcpcd5/duid", "etc/dhcpcd.duid", "var/lib/dhcp/*.leases", "var/lib/dhclient/*.leases",
		"var/lib/cloud/data/instance-id", "var/lib/cloud/instances/*/obj.pkl", "etc/udev/rules.d/70-persistent-net.rules",
	}},
	{keyKind, "private key of the host", deleteIt, nil, []string{
		"etc/ssh/ssh_host_*_key", "etc/dropbear/dropbear_*_host_key", "etc/ssl/private/ssl-cert-snakeoil.key",
	}},
	{keyKind, "secret that is to be one machine's", deleteIt, nil, []string{
		"var/lib/systemd/credential.secret", "var/lib/NetworkManager/secret_key", "var/lib/dhcpcd/secret", "etc/unbound/unbound_server.key", "etc/bind/rndc.key", "etc/rndc.key",
	}},
	{stateKind, "core dump, with the state of a process", deleteIt, nil, []string{"var/lib/systemd/coredump/*", "var/crash/*", "core", "root/core", "var/lib/apport/coredump/*", "cores/*"}},
	{stateKind, "hibernated machine", "make a new swap file", hibernated, []string{"swapfile", "swap.img", "swap", "var/swap", "swap/*", "var/vm/sleepimage"}},
}

// machineID reports whether a machine-id has been set (machine-id(5)).
func machineID(head []byte) bool {
	id := string(bytes.TrimSpace(head))
	return id != "" && id != "uninitialized"
}

// hibernated reports whether a swap file holds the image of a machine. The kernel writes
// this at the end of the first page.
func hibernated(head []byte) bool {
	for _, page := range []int{4 << 10, 16 << 10, 64 << 10} {
		if len(head) >= page && bytes.HasPrefix(head[page-10:page], []byte("S1SUSPEND")) {
			return true
		}
	}
	return false
}

// magics are how files begin that are secrets wherever they are.
var magics = []struct {
	magic string
	rule  rule
}{
	{"LRNGSEED", rule{kind: seedKind, what: "seed buffer of lrng", advice: deleteIt}},
	{"lrng seed file\x00", rule{kind: seedKind, what: "seed file of lrng", advice: deleteIt}},
	{"\x19\x43\x56\x54", rule{kind: stateKind, what: "process saved by CRIU", advice: deleteIt}},
	{"QEVM", rule{kind: stateKind, what: "virtual machine saved by QEMU", advice: deleteIt}},
	{"LibvirtQemudSave", rule{kind: stateKind, what: "virtual machine saved by libvirt", advice: deleteIt}},
	{"\xd0\xbe\xd2\xbe", rule{kind: stateKind, what: "virtual machine suspended by VMware", advice: deleteIt}},
	{"\xd1\xbe\xd2\xbe", rule{kind: stateKind, what: "virtual machine suspended by VMware", advice: deleteIt}},
	{"\xd2\xbe\xd2\xbe", rule{kind: stateKind, what: "virtual machine suspended by VMware", advice: deleteIt}},
}

// coreDump is for what the kernel or gcore writes, wherever it is.
var coreDump = rule{kind: stateKind, what: "core dump, with the state of a process", advice: deleteIt}

// isCoreDump reports whether a file is one: its type is ET_CORE (elf(5)).
func isCoreDump(head []byte) bool {
	if len(head) < 18 || !bytes.HasPrefix(head, []byte("\x7fELF")) {
		return false
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if elf.Data(head[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	return elf.Type(order.Uint16(head[16:])) == elf.ET_CORE
}

// headSize is how much of a file is looked at, in bytes.
const headSize = 64 << 10

// judge returns what is wrong with the file at name, whose beginning is head.
func judge(name string, head []byte) (rule, bool) {
	for _, r := range rules {
		for _, p := range r.patterns {
			if ok, _ := path.Match(p, name); !ok {
				continue
			}
			if r.bad == nil && len(head) > 0 || r.bad != nil && r.bad(head) {
				return r, true
			}
		}
	}
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return m.rule, true
		}
	}
	if isCoreDump(head) {
		return coreDump, true
	}
	return rule{}, false
}

// inspect looks through the image in dir. With an error there may be more than what it
// found.
func inspect(ctx context.Context, dir string, history bool) (found []finding, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var errs []error
	repositories := []string{"."} // where there may be a history
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("not looked at: %w", err))
			return nil
		}
		if d.IsDir() && d.Name() == ".git" {
			if sub := path.Dir(name); sub != "." {
				repositories = append(repositories, sub)
			}
			return fs.SkipDir // what is in it is looked at by way of git
		}
		if !d.Type().IsRegular() {
			return nil // a link leads to a file that is met by itself, or out of the image
		}
		head, err := readHead(root, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("not looked at: %w", err))
			return nil
		}
		if r, bad := judge(name, head); bad {
			found = append(found, finding{Path: name, Kind: r.kind, What: r.what, Advice: r.advice})
		}
		return nil
	})
	if err != nil {
		return found, err
	}
	for _, sub := range repositories {
		if !history {
			break
		}
		old, err := inspectHistory(ctx, dir, sub)
		found = append(found, old...)
		errs = append(errs, err)
	}
	return found, errors.Join(errs...)
}

func readHead(root *os.Root, name string) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, headSize))
}

// gitCommand returns a command that looks at the repository that dir is in. It may be
// another user's, who may want something to be run: its configuration names programs for
// the index, for signatures, and for fetching objects that a partial clone has not got.
// None of them is run.
func gitCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "log.showSignature=false", "-C", dir}, args...)...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GIT_") { // such as the repository whose hook this is
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_OPTIONAL_LOCKS=0", "GIT_NO_LAZY_FETCH=1",
		"GIT_ALLOW_PROTOCOL=none") // a list of protocols, in which there is none of this name
	return cmd
}

// inspectHistory looks at all files that were ever in the git repository that the
// directory sub is in, which is below dir, in any branch or tag. It returns nothing if it is
// in none.
func inspectHistory(ctx context.Context, dir, sub string) (found []finding, err error) {
	dir = path.Join(dir, sub)
	git := func(args ...string) *exec.Cmd {
		if sub != "." { // this one, and not one further up if it is broken
			args = append([]string{"--git-dir=.git", "--work-tree=."}, args...)
		}
		return gitCommand(ctx, dir, args...)
	}
	var exit *exec.ExitError
	err = git("rev-parse", "--git-dir").Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		if _, err := os.Lstat(path.Join(dir, ".git")); err != nil {
			return nil, nil
		}
		return nil, errors.New("not looked at: the git history, for want of git")
	case errors.As(err, &exit):
		if _, err := os.Lstat(path.Join(dir, ".git")); err != nil {
			return nil, nil
		}
		return nil, errors.New("not looked at: the git history: git does not take it for a repository")
	case err != nil:
		return nil, fmt.Errorf("not looked at: the git history: %w", err)
	}
	// Each change of a file is ":MODE MODE OBJECT OBJECT STATUS" and then its path.
	changes, err := git("log", "--all", "--reflog", "--root", "-m", "--raw", "--no-abbrev", "--no-renames", "--no-ext-diff", "--no-textconv", "--relative", "-z", "--format=").Output()
	if err != nil {
		return nil, fmt.Errorf("not looked at: the git history: %w", err)
	}
	type object struct{ id, name string }
	var blobs []object
	seen := make(map[object]bool)
	id := ""
	for item := range strings.SplitSeq(string(changes), "\x00") {
		if f := strings.Fields(item); len(f) == 5 && strings.HasPrefix(item, ":") {
			id = ""
			if strings.HasPrefix(f[1], "100") { // a regular file
				id = f[3]
			}
		} else if b := (object{id, item}); id != "" {
			id = "" // a commit ends with an item that is empty
			if !seen[b] {
				seen[b] = true
				blobs = append(blobs, b)
			}
		}
	}
	// One process looks at all of them: it answers each name with a line and the data.
	cmd := git("cat-file", "--batch")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	out := bufio.NewReader(pipe)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer cmd.Wait()
	defer in.Close()
	for _, b := range blobs {
		if _, err := fmt.Fprintln(in, b.id); err != nil {
			return found, err
		}
		head, isFile, err := readObject(out)
		if err != nil {
			return found, fmt.Errorf("not looked at: the git history from object %s on: %w", b.id, err)
		}
		if !isFile {
			continue
		}
		name := path.Join(sub, b.name)
		if r, bad := judge(name, head); bad {
			found = append(found, finding{Path: name, Object: b.id[:min(12, len(b.id))], Kind: r.kind, What: r.what,
				Advice: "the seed or key is spent for good: rewrite the history, or make sure that no machine uses it"})
		}
	}
	slices.SortFunc(found, func(a, b finding) int { return strings.Compare(a.Path+a.Object, b.Path+b.Object) })
	return found, nil
}

// readObject reads one answer of "git cat-file --batch" and returns the beginning of the
// object, and whether it is a file.
func readObject(r *bufio.Reader) (head []byte, isFile bool, err error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, false, err
	}
	var id, kind string
	var size int64
	if _, err := fmt.Sscanf(line, "%s %s %d", &id, &kind, &size); err != nil {
		return nil, false, fmt.Errorf("git: %s", line)
	}
	head = make([]byte, min(size, headSize))
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, false, err
	}
	if _, err := io.CopyN(io.Discard, r, size-int64(len(head))+1); err != nil {
		return nil, false, err
	}
	return head, kind == "blob", nil
}
