package es

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lrng-go/lrng/internal/safefile"
	"github.com/lrng-go/lrng/internal/selftest/faults"
)

// A ledger is the kernel of all nodes there are: it remembers which data were credited,
// and for how much.
type ledger struct {
	credits map[[seedDataSize]byte]int
	times   int
}

func newLedger() *ledger { return &ledger{credits: make(map[[seedDataSize]byte]int)} }

// run is a process on n: it gets entropy, from a file that is to be credited only once,
// and returns the source. The context is done when the process is killed.
func (l *ledger) run(t *testing.T, ctx context.Context, n *seedNode) *SeedFile {
	t.Helper()
	image := n.image(t)
	s := n.source()
	p := make([]byte, 32)
	credit, err := s.GetEntropy(ctx, p, 256)
	switch {
	case err != nil && credit != 0:
		t.Errorf("credit %d with %v", credit, err)
	case err != nil && ctx.Err() == nil && !errors.Is(err, ErrUnavailable):
		t.Error(err)
	case credit > 0:
		if image == nil {
			t.Fatalf("credit %d for no file", credit)
		}
		l.times++
		if l.credits[image.data] += credit; l.credits[image.data] > 256 {
			t.Errorf("%d bits were credited for one value", l.credits[image.data])
		}
	}
	return s
}

func (n *seedNode) save(t *testing.T, s *SeedFile, r *seedReader) {
	t.Helper()
	if err := s.Save(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

// copyFiles copies the regular files of a directory, which is made, or emptied before.
func copyFiles(t testing.TB, to string, files map[string]string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	for name := range snapshot(t, to) {
		if _, ok := files[name]; !ok {
			if err := os.Remove(filepath.Join(to, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(to, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Fifty nodes from one image, K1 to K9 and T31: nothing that is in the image is ever credited,
// not on several nodes and not in several boots, while nodes with a disk and an
// identity of their own are credited what they have saved themselves, once.
func TestSeedFileFiftyNodes(t *testing.T) {
	if _, ok := safefile.FactsOf(anyInfo(t)); !ok {
		t.Skipf("nothing is credited on %s", runtime.GOOS)
	}
	personal := func(n *seedNode, i int) {
		n.id = fmt.Sprintf("%032x", 0x12345678+i)
		n.host = fmt.Sprint("node", i)
		n.mac = fmt.Sprintf("02:fc:00:00:01:%02x", i)
		n.dmi = fmt.Sprintf("4c4c4544-0042-3510-8052-b4c04f3032%02x", i)
	}
	nodes := 50
	if testing.Short() {
		nodes = 5
	}
	for _, tt := range []struct {
		what    string
		setup   func(n *seedNode, i int) // how node i differs from the machine where the image was made
		forgets bool                     // each boot begins with the image again
		saves   bool                     // each process ends with Save
		credits int                      // times that anything is credited in 4 boots of all nodes
	}{
		{"own identity, disk", personal, false, false, 0},
		{"own identity, disk, saves", personal, false, true, nodes * 3},
		{"own identity, memory that does not say so, saves", personal, true, true, 0},
		{"own identity, memory, saves", func(n *seedNode, i int) {
			personal(n, i)
			n.medium.Persistent = false
		}, true, true, 0},
		{"own identity, read-only root", func(n *seedNode, i int) {
			personal(n, i)
			n.medium.ReadOnly = true
		}, true, false, 0},
		{"one identity, virtual machines, saves", func(n *seedNode, _ int) { n.virtual = true }, false, true, 0},
		{"one identity, virtual machines, memory, saves", func(n *seedNode, _ int) { n.virtual = true }, true, true, 0},
		{"no identity, saves", func(n *seedNode, _ int) { n.id = "uninitialized" }, false, true, 0},
		{"one machine ID, own hardware", func(n *seedNode, i int) { n.mac = fmt.Sprintf("02:fc:00:00:01:%02x", i) }, false, false, 0},
		{"one hardware, own machine ID", func(n *seedNode, i int) { n.id = fmt.Sprintf("%032x", 0x12345678+i) }, false, false, 0},
		{"nothing but the host name", func(n *seedNode, i int) { n.host = fmt.Sprint("node", i) }, false, false, 0},
		{"nothing at all, copied by files", func(n *seedNode, _ int) { n.inode = 0 }, false, false, 0},
	} {
		t.Run(tt.what, func(t *testing.T) {
			root := t.TempDir()
			golden := newSeedNode(filepath.Join(root, "image"))
			golden.unsynced, golden.inode = true, 1
			if err := os.Mkdir(golden.dir, 0o700); err != nil {
				t.Fatal(err)
			}
			golden.stored(t)
			image := snapshot(t, golden.dir)
			secret := golden.image(t).data
			l := newLedger()
			delivered := make(map[string]bool)
			for i := range nodes {
				n := newSeedNode(filepath.Join(root, fmt.Sprint(i)))
				// Without their inodes as the last thing that tells them apart.
				n.unsynced, n.inode, n.boot, n.process = true, 1, 10, 10*i
				tt.setup(n, i)
				copyFiles(t, n.dir, image)
				for boot := range 4 {
					if tt.forgets {
						copyFiles(t, n.dir, image)
					}
					s := l.run(t, t.Context(), n)
					p, _, err := deliver(t, s)
					if err != nil || delivered[string(p)] {
						t.Fatalf("node %d, boot %d: %v, or data that another one has", i, boot, err)
					}
					delivered[string(p)] = true
					if tt.saves {
						n.save(t, s, &seedReader{uint64(i)<<40 | uint64(boot)<<32})
					}
					n.boot++
				}
			}
			if l.times != tt.credits {
				t.Errorf("credited %d times, want %d", l.times, tt.credits)
			}
			if l.credits[secret] != 0 {
				t.Error("the data of the image were credited")
			}
		})
	}
}

// A disk that remembers what has reached it.
type simDisk struct {
	dir     string
	durable map[string]string
	last    string // the step that is over when the next one begins
}

// over notes what the last step has done.
func (d *simDisk) over(t *testing.T) {
	switch d.last {
	case "sync overwritten":
		d.durable = maps.Clone(d.durable)
		d.durable["seed"] = snapshot(t, d.dir)["seed"]
	case "sync rename used", "sync rename":
		d.durable = snapshot(t, d.dir)
	}
	d.last = ""
}

// powerCut leaves of each file either what has reached the disk or what was on its way.
func (d *simDisk) powerCut(t *testing.T, r *rand.Rand) {
	now := snapshot(t, d.dir)
	all := maps.Clone(now)
	maps.Copy(all, d.durable)
	after := make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		from := now
		if r.IntN(2) == 0 {
			from = d.durable
		}
		if content, ok := from[name]; ok {
			after[name] = content
		}
	}
	copyFiles(t, d.dir, after)
	d.durable = after
}

// Thousand processes on fifty nodes that are killed at a random step, half of them by a
// power cut, and whose files are copied between nodes and come back from backups. No
// value is credited more than once, and no file is ever broken. K5, K7, K8.
func TestSeedFileRandomKills(t *testing.T) {
	if _, ok := safefile.FactsOf(anyInfo(t)); !ok {
		t.Skipf("nothing is credited on %s", runtime.GOOS)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	root := t.TempDir()
	l := newLedger()
	nodes, disks := make([]*seedNode, 50), make([]*simDisk, 50)
	backups := make([]string, 50)
	for i := range nodes {
		n := newSeedNode(filepath.Join(root, fmt.Sprint(i)))
		// All files have one inode, so that copies are not seen by that.
		n.unsynced, n.inode, n.process = true, 1, 1000*i
		n.boot = 1000 * i
		if i >= 40 {
			n.virtual = true // the last ten are clones of one another
		} else {
			n.mac = fmt.Sprintf("02:fc:00:00:01:%02x", i)
		}
		copyFiles(t, n.dir, nil)
		nodes[i], disks[i] = n, &simDisk{dir: n.dir, durable: map[string]string{}}
	}
	kills, cuts := 0, 0
	rounds := 1000
	if testing.Short() {
		rounds = 200
	}
	// About half of the rounds end with a kill, and one of ten is credited: it goes on until
	// there was enough of each.
	little := func() bool { return kills < rounds/3 || cuts < rounds/3 || l.times < rounds/50 }
	for round := 0; round < rounds || little() && round < 10*rounds; round++ {
		i := r.IntN(len(nodes))
		n, disk := nodes[i], disks[i]
		n.boot++
		switch r.IntN(8) {
		case 0: // a file from another node
			if b, ok := snapshot(t, disks[r.IntN(len(disks))].dir)["seed"]; ok {
				files := snapshot(t, n.dir)
				files["seed"] = b
				copyFiles(t, n.dir, files)
				disk.durable = files
			}
		case 1: // the file from a backup
			if backups[i] != "" {
				files := snapshot(t, n.dir)
				files["seed"] = backups[i]
				copyFiles(t, n.dir, files)
				disk.durable = files
			}
		case 2:
			backups[i] = snapshot(t, n.dir)["seed"]
		}
		ctx, kill := context.WithCancel(t.Context())
		killAt, step := 1+r.IntN(20), 0 // a process without a kill has up to 18 steps
		n.step = func(name string) error {
			disk.over(t)
			if step++; step == killAt {
				kills++
				kill()
				runtime.Goexit()
			}
			disk.last = name
			return nil
		}
		s := l.run(t, ctx, n)
		if ctx.Err() == nil && r.IntN(4) > 0 {
			if err := s.Save(ctx, &seedReader{uint64(round) << 32}); err != nil && ctx.Err() == nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		if ctx.Err() == nil {
			disk.over(t)
		}
		kill()
		disk.last = ""
		// The end of the goroutine, and with it of the lock.
		n.step = nil
		if r.IntN(2) == 0 {
			disk.powerCut(t, r)
			cuts++
		} else {
			disk.durable = snapshot(t, n.dir)
		}
		n.image(t) // fails if it is broken
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
	t.Logf("%d kills, %d power cuts, %d values credited", kills, cuts, l.times)
	if little() {
		t.Errorf("%d kills, %d power cuts, %d values credited: this test sees too little", kills, cuts, l.times)
	}
	for _, n := range nodes[40:] {
		if image := n.image(t); image != nil && l.credits[image.data] != 0 {
			t.Error("a clone was credited")
		}
	}
}

const killEnv = "LRNG_TEST_SEEDFILE"

// seedChild is the process that is killed: a boot of the node whose disk is dir.
func seedChild(t *testing.T, task string) {
	fields := strings.SplitN(task, " ", 3)
	killAt, err := strconv.Atoi(fields[0])
	if err != nil {
		t.Fatal(err)
	}
	n := newSeedNode(fields[2])
	if n.boot, err = strconv.Atoi(fields[1]); err != nil {
		t.Fatal(err)
	}
	step := 0
	n.step = func(string) error {
		if step++; step == killAt {
			p, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = p.Kill()
			}
			if err != nil {
				panic(err)
			}
			select {}
		}
		return nil
	}
	s := n.source()
	p, credit, err := deliver(t, s)
	fmt.Printf("credit %d %x %v\n", credit, p, err)
	n.save(t, s, &seedReader{uint64(n.boot) << 32})
	fmt.Printf("saved %d\n", step)
}

// startSeedChild starts a boot of the node, to be killed at that step, or not.
func startSeedChild(t *testing.T, n *seedNode, killAt int) (cmd *exec.Cmd, out *bytes.Buffer) {
	t.Helper()
	out = new(bytes.Buffer)
	cmd = exec.Command(os.Args[0], "-test.run=^TestSeedFileKilled$", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %s", killEnv, killAt, n.boot, n.dir))
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

// A process is killed at each step of the way from reading the file to having saved
// another one. Afterwards the file is good or missing, and no value is credited twice.
// K5, K7, K8.
func TestSeedFileKilled(t *testing.T) {
	if task := os.Getenv(killEnv); task != "" {
		seedChild(t, task)
		return
	}
	if !faults.Supported() {
		t.Skip("no processes here")
	}
	if _, ok := safefile.FactsOf(anyInfo(t)); !ok {
		t.Skipf("nothing is credited on %s", runtime.GOOS)
	}
	const steps = 4 + 7 + 7 // to use up a file, to replace it, to save another one
	before, after := 0, 0
	for killAt := 1; killAt <= steps+1; killAt++ {
		if testing.Short() && killAt%3 != 1 {
			continue
		}
		n := newSeedNode(t.TempDir())
		n.stored(t)
		l := newLedger()
		value := n.image(t).data
		cmd, out := startSeedChild(t, n, killAt)
		err := cmd.Wait()
		credited := strings.Contains(out.String(), "credit 256")
		saved := strings.Contains(out.String(), fmt.Sprintf("saved %d\n", steps))
		if (err == nil) != (killAt > steps) || credited != (killAt > 4+7) || saved != (killAt > steps) {
			t.Fatalf("killed at step %d: %v, credited: %v, saved: %v\n%s", killAt, err, credited, saved, out)
		}
		if credited {
			l.credits[value] = 256
			after++
		} else {
			before++
		}
		for range 3 {
			n.boot++
			s := l.run(t, t.Context(), n)
			n.save(t, s, &seedReader{uint64(n.boot) << 32})
		}
		// What is saved last is always good for the next boot.
		n.boot++
		if l.run(t, t.Context(), n); l.times < 3 {
			t.Errorf("killed at step %d: credited %d times since", killAt, l.times)
		}
	}
	if !testing.Short() && (before != 11 || after != 8) || before == 0 || after == 0 {
		t.Errorf("killed %d times before, %d after the credit", before, after)
	}
}

// Many processes that start at the same time: one has the credit.
func TestSeedFileProcesses(t *testing.T) {
	if !faults.Supported() {
		t.Skip("no processes here")
	}
	if _, ok := safefile.FactsOf(anyInfo(t)); !ok {
		t.Skipf("nothing is credited on %s", runtime.GOOS)
	}
	n := newSeedNode(t.TempDir())
	n.stored(t)
	const count = 6
	var cmds [count]*exec.Cmd
	var outs [count]*bytes.Buffer
	for i := range cmds {
		cmds[i], outs[i] = startSeedChild(t, n, 0)
	}
	total, seen := 0, make(map[string]bool)
	for i, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%v\n%s", err, outs[i])
		}
		_, line, _ := strings.Cut(outs[i].String(), "credit ")
		fields := strings.Fields(line)
		if len(fields) < 2 || len(fields[1]) != hex.EncodedLen(32) {
			t.Fatal(outs[i])
		}
		credit, err := strconv.Atoi(fields[0])
		if err != nil {
			t.Fatal(err)
		}
		total += credit
		seen[fields[1]] = true
	}
	if total != 256 || len(seen) != count {
		t.Errorf("credited %d bits; %d of %d deliveries are different", total, len(seen), count)
	}
}
