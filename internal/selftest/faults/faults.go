// Package faults is for the tests that prove what a failed self-test does. Since a
// failure is final for the process, each takes place in a process of its own: the
// test binary is run again, with one fault injected.
package faults

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/lrng-go/lrng/internal/selftest"
)

// Messages are parts of the messages of failures, for each kind of fault.
var Messages = map[selftest.Fault]string{
	selftest.WrongAnswer: "wrong answer",
	selftest.AgreeAlways: "comparison",
	selftest.IgnoreInput: "depend on the input",
}

// env names the environment variable that tells a process what to inject.
const env = "LRNG_TEST_SELFTEST_FAULT"

// Supported reports whether there are processes on this platform.
func Supported() bool { return runtime.GOOS != "js" && runtime.GOOS != "wasip1" }

// Injected injects the fault that this process was started for, and returns it with
// the name of its test. It returns "" in a process that [Run] has not started.
func Injected() (test string, fault selftest.Fault) {
	value := os.Getenv(env)
	if value == "" {
		return "", selftest.NoFault
	}
	n, test, _ := strings.Cut(value, " ")
	i, err := strconv.Atoi(n)
	fault = selftest.Fault(i)
	if err != nil || !selftest.TestingOnlyInject(test, fault) {
		panic("faults: cannot inject " + value)
	}
	return test, fault
}

// Run runs the test function of that name in processes of their own, two at a time:
// for each registered self-test one for each kind of fault, or with short only for
// one kind. The function calls [Injected]. The error tells of those that did not
// pass.
func Run(function string, short bool) error {
	var group sync.WaitGroup
	var mu sync.Mutex // guards errs
	var errs []error
	slots := make(chan struct{}, 2)
	for i, t := range selftest.All() {
		for fault := range Messages {
			if short && int(fault)%len(Messages) != i%len(Messages) {
				continue
			}
			slots <- struct{}{}
			group.Go(func() {
				defer func() { <-slots }()
				if err := run(function, t.Name(), fault); err != nil {
					mu.Lock()
					defer mu.Unlock()
					errs = append(errs, err)
				}
			})
		}
	}
	group.Wait()
	return errors.Join(errs...)
}

func run(function, test string, fault selftest.Fault) error {
	cmd := exec.Command(os.Args[0], "-test.run=^"+function+"$", "-test.v")
	// The race detector would wait a second before the process ends.
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", env, fault, test), "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if err == nil && !bytes.Contains(out, []byte("--- PASS: "+function)) {
		err = errors.New("the test has not run")
	}
	if err != nil {
		return fmt.Errorf("%s, %s: %w\n%s", test, Messages[fault], err, out)
	}
	return nil
}
