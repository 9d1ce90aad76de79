package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// A metric is what is measured, in nanoseconds.
type metric string

const (
	cpuTime  metric = "cpu"     // of one thread, for one operation
	wallTime metric = "wall"    // of so many goroutines, divided by all their operations
	latency  metric = "latency" // percentiles, for one operation
	first    metric = "first"   // in a process of its own
	allocs   metric = "allocs"  // for one operation, beside cpuTime
)

// A job is one measurement.
type job struct {
	metric           metric
	name             string // of the subject
	size, goroutines int
	n                int // operations in all
}

// A worker measures, in this process or in another one.
type worker interface {
	names() []string
	measure(job) ([]float64, error)
	close() error
}

// The protocol: the child writes a line with the names of its subjects, separated by
// tabs, and then for each line with the fields of a job a line with the values, or
// one with "error" and what is wrong. It ends when its standard input does.

func (j job) String() string {
	return fmt.Sprintf("%s\t%s\t%d\t%d\t%d", j.metric, j.name, j.size, j.goroutines, j.n)
}

func parseJob(line string) (job, error) {
	fields := strings.Split(line, "\t")
	if len(fields) != 5 {
		return job{}, fmt.Errorf("job of %d fields", len(fields))
	}
	j := job{metric: metric(fields[0]), name: fields[1]}
	for i, p := range []*int{&j.size, &j.goroutines, &j.n} {
		n, err := strconv.Atoi(fields[2+i])
		if err != nil || n < 1 {
			return job{}, fmt.Errorf("job with field %q", fields[2+i])
		}
		*p = n
	}
	return j, nil
}

// serve does the work of w for another process.
func serve(w worker, in io.Reader, out io.Writer) error {
	if _, err := fmt.Fprintln(out, strings.Join(w.names(), "\t")); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var values []float64
		j, err := parseJob(lines.Text())
		if err == nil {
			values, err = w.measure(j)
		}
		reply := strings.Trim(fmt.Sprint(values), "[]")
		if err != nil {
			reply = "error\t" + strings.ReplaceAll(err.Error(), "\n", " ")
		}
		if _, err := fmt.Fprintln(out, reply); err != nil {
			return err
		}
	}
	return lines.Err()
}

// A child is a worker in another process.
type child struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	have []string
}

// start starts a worker.
func start(cmd *exec.Cmd) (*child, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if cmd.Stderr == nil {
		cmd.Stderr = os.Stderr
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, in: in, out: bufio.NewReader(out)}
	line, err := c.line()
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	c.have = strings.Split(line, "\t")
	return c, nil
}

func (c *child) line() (string, error) {
	line, err := c.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("worker ended: %w", err)
	}
	return strings.TrimSuffix(line, "\n"), nil
}

func (c *child) names() []string { return slices.Clone(c.have) }

func (c *child) measure(j job) ([]float64, error) {
	if _, err := fmt.Fprintln(c.in, j); err != nil {
		return nil, err
	}
	line, err := c.line()
	if err != nil {
		return nil, err
	}
	if text, ok := strings.CutPrefix(line, "error\t"); ok {
		return nil, errors.New(text)
	}
	return parseValues(line)
}

// parseValues parses numbers that are separated by spaces, one at least.
func parseValues(line string) ([]float64, error) {
	var values []float64
	for _, f := range strings.Fields(line) {
		v, err := strconv.ParseFloat(f, 64)
		if err != nil || !(v >= 0) {
			return nil, fmt.Errorf("reply %q", line)
		}
		values = append(values, v)
	}
	if len(values) == 0 {
		return nil, errors.New("empty reply")
	}
	return values, nil
}

func (c *child) close() error {
	return errors.Join(c.in.Close(), c.cmd.Wait())
}
