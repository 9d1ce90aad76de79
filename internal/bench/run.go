package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// effort says how long a run takes.
type effort struct {
	repetitions int
	cell        time.Duration // of one measurement
	samples     int           // of one latency
}

var (
	full  = effort{repetitions: 25, cell: 20 * time.Millisecond, samples: 200_000}
	quick = effort{repetitions: 1, cell: 200 * time.Microsecond, samples: 1000}
)

// A runner measures.
type runner struct {
	effort
	dir     string // for what is built
	log     io.Writer
	workers map[string]worker
	built   map[string]string // programs, by the name of the worker
	missing map[string]string // why there is no such worker
}

func newRunner(e effort, log io.Writer) (*runner, error) {
	dir, err := os.MkdirTemp("", "lrng-bench-")
	if err != nil {
		return nil, err
	}
	r := &runner{effort: e, dir: dir, log: log, workers: make(map[string]worker), missing: make(map[string]string)}
	r.workers[here] = newLocal()
	self, err := os.Executable()
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	r.built = map[string]string{here: self, fips: self}
	return r, nil
}

// close ends the workers and removes what was built.
func (r *runner) close() error {
	var errs []error
	for _, w := range r.workers {
		errs = append(errs, w.close())
	}
	return errors.Join(append(errs, os.RemoveAll(r.dir))...)
}

// program builds the program of a worker, unless that is there. The directory is that
// of the source of this program.
func (r *runner) program(name string) (string, error) {
	if out := r.built[name]; out != "" {
		return out, nil
	}
	out := filepath.Join(r.dir, name)
	if runtime.GOOS == "windows" {
		out += ".exe"
	}
	var cmd *exec.Cmd
	switch name {
	case openssl:
		cmd = exec.Command("cc", "-O2", "-o", out, "c/openssl.c", "-lcrypto")
	case gcrypt:
		cmd = exec.Command("cc", "-O2", "-o", out, "c/gcrypt.c", "-lgcrypt")
	case firstRead:
		cmd = exec.Command("go", "build", "-o", out, "./first")
	case frand15: // this program with another version of that module
		cmd = exec.Command("go", "build", "-modfile=frand15.mod", "-o", out, ".")
	default:
		return "", fmt.Errorf("no program %q", name)
	}
	if text, err := cmd.CombinedOutput(); err != nil {
		line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
		return "", fmt.Errorf("%s: %w: %s", cmd.Args[0], err, line)
	}
	r.built[name] = out
	return out, nil
}

// command returns the command of a worker with these arguments, or with those that make
// it serve.
func (r *runner) command(name string, args ...string) (*exec.Cmd, error) {
	base, mode := name, ""
	for _, p := range []string{gcrypt, firstRead} {
		if rest, ok := strings.CutPrefix(name, p+" "); ok {
			base, mode = p, rest
		}
	}
	path, err := r.program(base)
	if err != nil {
		return nil, err
	}
	switch {
	case args != nil:
	case base == gcrypt && mode != "":
		args = []string{"-drbg", mode}
	case base == here, base == fips, base == frand15:
		args = []string{"-serve"}
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), childEnv+"=1")
	if base == fips || mode == fips {
		cmd.Env = append(cmd.Env, "GODEBUG=fips140=on")
	}
	return cmd, nil
}

// worker returns the one of that name, or nil if there is none on this machine.
func (r *runner) worker(name string) worker {
	if w := r.workers[name]; w != nil || r.missing[name] != "" {
		return w
	}
	cmd, err := r.command(name)
	var w *child
	if err == nil {
		w, err = start(cmd)
	}
	if err != nil {
		r.miss(name, err)
		return nil
	}
	r.workers[name] = w
	return w
}

// miss notes that there is no such worker on this machine.
func (r *runner) miss(name string, err error) {
	r.missing[name] = err.Error()
	fmt.Fprintf(r.log, "%s: %v\n", name, err)
}

// run measures all sections.
func (r *runner) run(sections []section) (results, error) {
	res := make(results)
	for _, s := range sections {
		begin := time.Now()
		goroutines := s.goroutines
		if goroutines == nil {
			goroutines = []int{1}
		}
		for _, size := range s.sizes {
			if err := r.size(res, s, size, goroutines); err != nil {
				return nil, err
			}
		}
		fmt.Fprintf(r.log, "%s of %d contenders: %.1f s\n", s.metric, len(s.contenders), time.Since(begin).Seconds())
	}
	return res, nil
}

// size measures one size, all contenders one after the other, again and again: what
// disturbs the machine for a while disturbs each of them.
func (r *runner) size(res results, s section, size int, goroutines []int) error {
	if s.metric == first {
		return r.firsts(res, s, size)
	}
	n := make(map[key]int)
	for i := range r.repetitions + 1 { // the first one is to find out how many make up a cell
		for _, c := range s.contenders {
			w := r.worker(c.worker)
			if w == nil || !slices.Contains(w.names(), c.subject) {
				continue
			}
			for _, g := range goroutines {
				k := key{s.id, s.metric, c.name, size, g}
				j := job{s.metric, c.subject, size, g, r.samples}
				if i == 0 && s.metric != latency {
					count, err := r.count(w, j)
					if err != nil {
						return err
					}
					n[k] = count
				}
				if i == 0 {
					continue
				}
				if s.metric != latency {
					j.n = n[k]
				}
				values, err := w.measure(j)
				if err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
				res.add(k, values)
			}
		}
	}
	return nil
}

// add adds the reply to a job.
func (r results) add(k key, values []float64) {
	if k.metric == latency {
		for i, m := range latencyMetrics[:len(values)] {
			k.metric = m
			r[k] = append(r[k], values[i])
		}
		return
	}
	r[k] = append(r[k], values[0])
	if len(values) > 1 {
		k.metric = allocs
		r[k] = append(r[k], values[1])
	}
}

// count returns how many operations fill a cell.
func (r *runner) count(w worker, j job) (int, error) {
	for j.n = j.goroutines; ; j.n *= 4 {
		values, err := w.measure(j)
		if err != nil {
			return 0, err
		}
		took := values[0] * float64(j.n)
		if took < float64(r.cell)/4 && j.n < 1<<28 {
			continue
		}
		return max(j.goroutines, int(float64(r.cell)/max(values[0], 0.1))), nil
	}
}

// firsts measures the first read of processes.
func (r *runner) firsts(res results, s section, size int) error {
	for range r.repetitions {
		for _, c := range s.contenders {
			if r.missing[c.worker] != "" {
				continue
			}
			cmd, err := r.command(c.worker, c.subject)
			if err != nil {
				r.miss(c.worker, err)
				continue
			}
			out, err := cmd.Output()
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			values, err := parseValues(string(out))
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			res.add(key{s.id, first, c.name, size, 1}, values)
		}
	}
	return nil
}
