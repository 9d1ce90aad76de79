// Package selftest runs the known-answer tests of the algorithms, and stops the
// process from using any of them when one fails (SP 800-90A Rev. 1, Section 11.3;
// FIPS 140-3, Section 7.10).
//
// A test is only worth something if it can fail. So each run of a [Test] is three:
// the answer must be the known one; an expectation with one byte changed must not
// match it; and the same computation with one byte of its input changed must not
// give the known answer. A comparison that always agrees and an algorithm that
// ignores its input are both found.
//
// A failure is final for the process: [Failed] reports it for ever.
package selftest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// ErrFailed is wrapped by every error of this package. It is lrng.ErrSelfTest.
var ErrFailed = errors.New("lrng: self-test failed")

// A Test is one known-answer test.
type Test struct {
	name        string
	input, want string // in hexadecimal
	compute     func(input []byte) ([]byte, error)
	passed      atomic.Bool
	fault       Fault
}

// all is written by the initialization of packages only.
var all []*Test

// New registers a test: compute of input must give want; both are in hexadecimal, with
// lower-case letters, and not empty. Compute works on state of its own, and is told
// the truth about nothing but its argument: it must not change it, and may be called at
// any time and by several goroutines. New is for the declaration of package-level
// variables; it does not run anything, nor does it decode the vectors.
func New(name, input, want string, compute func(input []byte) ([]byte, error)) *Test {
	t := &Test{name: name, input: input, want: want, compute: compute}
	all = append(all, t)
	return t
}

// vector appends to b what s says, which is part of the program.
func vector(b []byte, s string) []byte {
	bad := len(s) == 0 || len(s)%2 != 0
	for i := 0; i < len(s) && !bad; i += 2 {
		bad = !isDigit(s[i]) || !isDigit(s[i+1])
		b = append(b, value(s[i])<<4|value(s[i+1]))
	}
	if bad {
		panic("selftest: bad vector: internal error")
	}
	return b
}

// isDigit reports whether c is a hexadecimal digit, and no capital letter.
func isDigit(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' }

// Name returns the name of what is tested.
func (t *Test) Name() string { return t.name }

// Input returns a copy of the input.
func (t *Test) Input() []byte { return vector(nil, t.input) }

// Answer returns a copy of the known answer.
func (t *Test) Answer() []byte { return vector(nil, t.want) }

// failure is the first failure in this process.
var failure atomic.Pointer[failed]

type failed struct{ err error }

// Failed returns the first failure in this process, or nil.
func Failed() error {
	if f := failure.Load(); f != nil {
		return f.err
	}
	return nil
}

// Once runs the test unless it has passed before. It returns nil, or the first
// failure of any test in this process.
func (t *Test) Once() error {
	if err := Failed(); err != nil {
		return err
	}
	if t.passed.Load() {
		return nil
	}
	return t.Run()
}

// Run runs the test. It returns nil, or the first failure of any test in this
// process.
func (t *Test) Run() error {
	if err := Failed(); err != nil {
		return err
	}
	if err := t.run(); err != nil {
		fail(fmt.Errorf("%w: %s: %w", ErrFailed, t.name, err))
		return Failed()
	}
	t.passed.Store(true)
	return nil
}

// All returns the registered tests.
func All() []*Test { return all }

// RunAll runs all tests, until the first that fails.
func RunAll() error {
	for _, t := range all {
		if err := t.Run(); err != nil {
			return err
		}
	}
	return Failed()
}

// run is one run with its two negative checks.
func (t *Test) run() error {
	// Both are in one piece of memory, which is of the same size in most tests: the first
	// of each size takes the runtime long.
	n := len(t.input) / 2
	both := make([]byte, 0, max(scratchSize, n+len(t.want)/2))
	both = vector(vector(both, t.input), t.want)
	input, want := both[:n:n], both[n:]
	got, err := t.answer(input)
	if err != nil {
		return err
	}
	if !t.equal(got, want) {
		return errors.New("wrong answer")
	}
	change(want)
	if t.equal(got, want) {
		return errors.New("the comparison does not notice a wrong answer")
	}
	change(want)
	change(input)
	got, err = t.answer(input)
	if err == nil && t.equal(got, want) {
		return errors.New("the answer does not depend on the input")
	}
	return nil
}

func (t *Test) answer(input []byte) ([]byte, error) {
	if t.fault == IgnoreInput {
		input = t.Input()
	}
	got, err := t.compute(input)
	if err == nil && t.fault == WrongAnswer {
		got = bytes.Clone(got)
		change(got)
	}
	return got, err
}

func (t *Test) equal(a, b []byte) bool {
	return t.fault == AgreeAlways || bytes.Equal(a, b)
}

// change inverts the first byte of b.
func change(b []byte) { b[0] ^= 0xff }

// scratchSize is the size, in bytes, that most tests do not exceed with input and answer.
const scratchSize = 512

// answerSize is how many bytes decide whether output is a known answer.
const answerSize = 16

// IsAnswer reports whether b begins as the answer of a test does. The output of a
// generator must not: it would be a test seed that got into use, or test output left
// in a buffer. Fewer than 16 bytes prove nothing; for random ones the chance is below
// 2⁻¹²⁰. b does not escape.
func IsAnswer(b []byte) bool {
	if len(b) < answerSize {
		return false
	}
	for _, t := range all {
		if len(t.want) >= 2*answerSize && same(b[:answerSize], t.want) {
			return true
		}
	}
	return false
}

// same reports whether b is what the first 2·len(b) hexadecimal digits say. It keeps
// no copy of b, and its time does not depend on what is in it.
func same(b []byte, digits string) bool {
	var diff byte
	for i := range b {
		diff |= b[i] ^ (value(digits[2*i])<<4 | value(digits[2*i+1]))
	}
	return diff == 0
}

// value returns the value of a hexadecimal digit.
func value(digit byte) byte {
	if digit <= '9' {
		return digit - '0'
	}
	return digit - 'a' + 10
}

// Fail records a failure that is not one of a registered test.
func Fail(reason string) error {
	fail(fmt.Errorf("%w: %s", ErrFailed, reason))
	return Failed()
}

var hooks struct {
	sync.Mutex // guards the map
	m          map[*func()]struct{}
}

// OnFailure has f called when a test fails, once, in a goroutine of its own: who
// runs a test may hold locks. The result takes f off the list again. If a test has
// failed already f is called at once.
func OnFailure(f func()) (remove func()) {
	key := &f
	hooks.Lock()
	if hooks.m == nil {
		hooks.m = make(map[*func()]struct{})
	}
	hooks.m[key] = struct{}{}
	hooks.Unlock()
	if Failed() != nil {
		go f()
	}
	return func() {
		hooks.Lock()
		delete(hooks.m, key)
		hooks.Unlock()
	}
}

func fail(err error) {
	if !failure.CompareAndSwap(nil, &failed{err}) {
		return
	}
	hooks.Lock()
	var fs []func()
	for f := range hooks.m {
		fs = append(fs, *f)
	}
	hooks.Unlock()
	for _, f := range fs {
		go f()
	}
}

// A Fault is a defect that [TestingOnlyInject] puts into a test.
type Fault int

const (
	NoFault     Fault = iota
	WrongAnswer       // the algorithm gives a wrong answer
	AgreeAlways       // the comparison agrees with everything
	IgnoreInput       // the algorithm ignores its input
)

// TestingOnlyInject makes the test of that name fail from now on. It reports
// whether there is one. It is for tests in a process of their own.
func TestingOnlyInject(name string, f Fault) bool {
	for _, t := range all {
		if t.name == name {
			t.fault = f
			return true
		}
	}
	return false
}
