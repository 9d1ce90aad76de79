package lrng_test

import (
	"bytes"
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/seeding"
)

// Tests in processes of their own: of what ends the program, and of what needs a
// default generator that nobody has used before.

// childEnv, when set, says which case of a test this process is to be.
const childEnv = "LRNG_TEST_CHILD"

// childCase returns the case that this process is to be, or "" in the parent.
func childCase() string { return os.Getenv(childEnv) }

// A childResult is what came of a child.
type childResult struct {
	t              *testing.T
	stdout, stderr string
	status         int
}

// child runs the test t alone in a new process, where childCase returns name.
func child(t *testing.T, name string) childResult {
	t.Helper()
	switch runtime.GOOS {
	case "js", "wasip1", "ios", "android":
		t.Skipf("no child processes on %s", runtime.GOOS)
	}
	self, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	root, _, _ := strings.Cut(t.Name(), "/")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "-test.run=^"+root+"$", "-test.timeout=4m")
	cmd.Env = append(os.Environ(), childEnv+"="+name)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return childResult{t, stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func (c childResult) log() {
	c.t.Helper()
	c.t.Logf("exit status %d\nstdout:\n%s\nstderr:\n%s", c.status, c.stdout, c.stderr)
}

// passed checks that the child ran the test to its end.
func (c childResult) passed() {
	c.t.Helper()
	if c.status != 0 || !strings.Contains(c.stdout, "PASS") || strings.Contains(c.stdout, "no tests to run") {
		c.log()
		c.t.Error("failed in a process of its own")
	}
}

// If no random bytes can be had, the program ends with exit status 2 and says so.
// Nothing runs after that: no recover, no deferred function, no HTTP server.
func TestCrash(t *testing.T) {
	closed := func() { lrng.Default().Close() }
	causes := map[string]struct {
		do   func()
		want string
	}{
		"closed":  {closed, "lrng: closed"},
		"used":    {func() { lrng.Text(); closed() }, "lrng: closed"},
		"failing": {func() { lrng.Reader = iotest.ErrReader(errReader) }, errReader.Error()},
		"EOF":     {func() { lrng.Reader = strings.NewReader("31 bytes are not enough for it.") }, io.ErrUnexpectedEOF.Error()},
	}
	calls := map[string]func(){
		"Read":   func() { lrng.Read(make([]byte, 32)) },
		"Reader": func() { lrng.Reader.Read(make([]byte, 32)) },
		"Text":   func() { lrng.Read(make([]byte, 6)); lrng.Text() },
		"handler": func() {
			s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { lrng.Text() }))
			defer s.Close()
			http.Get(s.URL)
		},
	}
	if name := childCase(); name != "" {
		cause, call, _ := strings.Cut(name, "/")
		causes[cause].do()
		defer fmt.Println("deferred")
		func() {
			defer func() {
				fmt.Println("recovered", recover())
			}()
			calls[call]()
			fmt.Println("returned")
		}()
		fmt.Println("went on")
		return
	}
	for _, name := range []string{
		"closed/Read", "closed/Reader", "closed/Text", "closed/handler",
		"used/Read", "failing/Read", "EOF/Text",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cause, _, _ := strings.Cut(name, "/")
			c := child(t, name)
			want := "panic: lrng: no random bytes can be had: " + causes[cause].want
			if c.status != 2 || c.stdout != "" || !strings.Contains(c.stderr, want) {
				c.log()
				t.Errorf("want exit status 2, nothing on stdout, and %q", want)
			}
		})
	}
}

// Reads of nothing, importing the package and making the default generator
// neither seed nor start anything.
func TestEmptyReadsSeedNothing(t *testing.T) {
	if childCase() == "" {
		child(t, "empty").passed()
		return
	}
	// In a bubble, so that Wait says when nothing goes on any more.
	synctest.Test(t, func(t *testing.T) {
		before := runtime.NumGoroutine()
		for _, b := range [][]byte{nil, {}} {
			lrng.Read(b)
			lrng.Reader.Read(b)
			r := lrng.Default()
			for _, reader := range []io.Reader{r, r.Nonblocking(), r.PredictionResistant(), r.SeedReader()} {
				if n, err := reader.Read(b); n != 0 || err != nil {
					t.Errorf("%T: %d, %v", reader, n, err)
				}
			}
			if n, err := r.ReadContext(t.Context(), b); n != 0 || err != nil {
				t.Errorf("ReadContext: %d, %v", n, err)
			}
		}
		if n := runtime.NumGoroutine(); n != before {
			t.Errorf("%d goroutines; there were %d", n, before)
		}
		synctest.Wait()
		if st := lrng.Default().Status(); st.Rounds != 0 || st.Level != seeding.Unseeded {
			t.Errorf("%d rounds, %v", st.Rounds, st.Level)
		}
		// And one byte does.
		lrng.Read(make([]byte, 1))
		synctest.Wait()
		if st := lrng.Default().Status(); st.Rounds == 0 || st.Level != seeding.FullySeeded {
			t.Errorf("after a byte: %d rounds, %v", st.Rounds, st.Level)
		}
	})
}

// The packages can be told to use each other, in both directions, before
// anything is seeded: none of our sources reads from crypto/rand.
func TestReadersOfEachOther(t *testing.T) {
	switch childCase() {
	case "":
		for _, name := range []string{"ours in theirs", "theirs in ours", "both"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				child(t, name).passed()
			})
		}

	case "ours in theirs":
		c := &counter{r: lrng.Reader}
		cryptorand.Reader = c
		if st := lrng.Default().Status(); st.Level != seeding.Unseeded {
			t.Errorf("is %v already", st.Level)
		}
		b := make([]byte, 100)
		if n, err := cryptorand.Read(b); n != 100 || err != nil || bytes.Equal(b, make([]byte, 100)) {
			t.Errorf("Read: %d, %v: %x", n, err, b)
		}
		if s := cryptorand.Text(); len(s) != 26 {
			t.Errorf("Text: %q", s)
		}
		if n, err := cryptorand.Int(cryptorand.Reader, big.NewInt(1000)); err != nil || n.Int64() >= 1000 {
			t.Errorf("Int: %v, %v", n, err)
		}
		if c.bytes < 100+26+2 {
			t.Errorf("only %d bytes came from here", c.bytes)
		}
		// Seeding, and the fresh bytes of each request, come from elsewhere.
		before := c.bytes
		lrng.Read(b)
		if err := lrng.Default().Reseed(t.Context()); err != nil {
			t.Error(err)
		}
		io.ReadFull(lrng.Default().PredictionResistant(), b)
		if c.bytes != before {
			t.Errorf("%d bytes were read from crypto/rand", c.bytes-before)
		}
		asked := false
		for _, s := range lrng.Default().Status().Sources {
			if s.Name == "os" {
				asked = s.Calls > 0 && s.Error == ""
			}
		}
		if !asked {
			t.Errorf("the operating system gave nothing:\n%v", lrng.Default().Status())
		}

	case "theirs in ours":
		c := &counter{r: cryptorand.Reader}
		lrng.Reader = c
		b := make([]byte, 100)
		if n, err := lrng.Read(b); n != 100 || err != nil || bytes.Equal(b, make([]byte, 100)) {
			t.Errorf("Read: %d, %v: %x", n, err, b)
		}
		if s := lrng.Text(); len(s) != 26 || c.bytes != 126 {
			t.Errorf("Text: %q after %d bytes", s, c.bytes)
		}
		if st := lrng.Default().Status(); st.Rounds != 0 {
			t.Errorf("the default generator collected in %d rounds", st.Rounds)
		}

	case "both":
		old := cryptorand.Reader
		cryptorand.Reader, lrng.Reader = lrng.Reader, old
		for range 3 {
			if a, b := cryptorand.Text(), lrng.Text(); a == b || len(a) != 26 || len(b) != 26 {
				t.Errorf("%q and %q", a, b)
			}
			cryptorand.Reader, lrng.Reader = lrng.Reader, cryptorand.Reader
		}
	}
}

// useAll uses the default generator in every way.
func useAll(t *testing.T) {
	t.Helper()
	r := lrng.Default()
	if s := lrng.Text(); len(s) != 26 {
		t.Errorf("Text: %q", s)
	}
	if n, err := lrng.Reader.Read(make([]byte, 10000)); n != 10000 || err != nil {
		t.Errorf("Reader: %d, %v", n, err)
	}
	b := make([]byte, 100)
	for _, reader := range []io.Reader{r, r.Nonblocking(), r.PredictionResistant(), r.SeedReader()} {
		if n, err := reader.Read(b); n != len(b) || err != nil {
			t.Errorf("%T: %d, %v", reader, n, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if n, err := r.ReadContext(ctx, b); n != len(b) || err != nil {
		t.Errorf("ReadContext: %d, %v", n, err)
	}
	if err := r.Wait(ctx, seeding.FullySeeded); err != nil {
		t.Errorf("Wait: %v", err)
	}
	if err := r.AddEntropy(b, 8); err != nil {
		t.Errorf("AddEntropy: %v", err)
	}
	if _, credit, err := r.GetSeed(ctx, 256); credit < 256 || err != nil {
		t.Errorf("GetSeed: %d, %v", credit, err)
	}
	before := r.Status().Seeds
	if err := r.Reseed(ctx); err != nil {
		t.Errorf("Reseed: %v", err)
	}
	if st := r.Status(); st.Seeds == before || st.Level != seeding.FullySeeded || st.String() == "" {
		t.Errorf("%d seeds, then %d; %v", before, st.Seeds, st.Level)
	}
}

// reseedIsDue reads until a shard that has a seed already has another one. Where
// there is no timer, every 256th request of a shard looks at the clock.
func reseedIsDue(t *testing.T) {
	t.Helper()
	before := lrng.Default().Status().Instances
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		for i, in := range lrng.Default().Status().Instances {
			if before[i].Seeded && in.Seeds > before[i].Seeds {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatal("no reseed, which is due")
		}
		everywhere(func() {
			for range 100 {
				lrng.Text()
			}
		})
	}
}

// everywhere calls f in many goroutines at once, so that all shards are turned to, sooner
// or later.
func everywhere(f func()) {
	var wg sync.WaitGroup
	ready := make(chan struct{})
	for range 32 {
		wg.Go(func() {
			<-ready // each has a stack of its own
			f()
		})
	}
	close(ready)
	wg.Wait()
}

// The default generator may be made and used first in a testing/synctest bubble,
// by the test of a program that draws random numbers somewhere inside, and then
// be used outside and in other bubbles. No channel of a bubble may be left behind
// in it. Timers are lost with their bubble, and the clock of a bubble is another
// one than that outside, so that a reseed is due on either side.
func TestBubbles(t *testing.T) {
	bubble := func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			if lrng.Default().Status().Level == seeding.FullySeeded {
				reseedIsDue(t)
			}
			useAll(t)
			time.Sleep(2 * lrng.Default().Status().ReseedInterval)
			reseedIsDue(t)
			useAll(t)
		})
	}
	switch childCase() {
	case "":
		for _, name := range []string{"inside first", "outside first", "unseeded", "seeding outside"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				child(t, name).passed()
			})
		}

	case "inside first":
		bubble(t)
		reseedIsDue(t)
		useAll(t)
		bubble(t)
		reseedIsDue(t)
		useAll(t)

	case "outside first":
		useAll(t)
		bubble(t)
		reseedIsDue(t)
		useAll(t)

	case "unseeded":
		// Seeding begins in the bubble, whose test does not wait for it.
		synctest.Test(t, func(t *testing.T) {
			if _, err := lrng.Default().Nonblocking().Read(make([]byte, 1)); !errors.Is(err, lrng.ErrNotSeeded) {
				t.Error(err)
			}
		})
		useAll(t)
		bubble(t)
		bubble(t) // begins before the last one ended

	case "seeding outside":
		// The first seed is under way outside when somebody in the bubble needs it.
		go lrng.Read(make([]byte, 1))
		for lrng.Default().Status().Sources[0].Calls == 0 {
			runtime.Gosched()
		}
		synctest.Test(t, func(t *testing.T) { lrng.Read(make([]byte, 1)) })
		bubble(t)
	}
}
