package lrng_test

import (
	"bytes"
	"context"
	cryptorand "crypto/rand"
	"errors"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/lrng-go/lrng"
)

// The types are the same: a function of the one package can stand where that of
// the other stood.
var (
	_ = [...]*io.Reader{&cryptorand.Reader, &lrng.Reader}
	_ = [...]func([]byte) (int, error){cryptorand.Read, lrng.Read}
	_ = [...]func(io.Reader, *big.Int) (*big.Int, error){cryptorand.Int, lrng.Int}
	_ = [...]func(io.Reader, int) (*big.Int, error){cryptorand.Prime, lrng.Prime}
	_ = [...]func() string{cryptorand.Text, lrng.Text}
)

// TestNames walks what the crypto/rand of this version of Go exports. If that is
// more than we have, changing the import line of a program is not enough any more.
func TestNames(t *testing.T) {
	ours := map[string][2]any{
		"Reader": {&cryptorand.Reader, &lrng.Reader},
		"Read":   {cryptorand.Read, lrng.Read},
		"Int":    {cryptorand.Int, lrng.Int},
		"Prime":  {cryptorand.Prime, lrng.Prime},
		"Text":   {cryptorand.Text, lrng.Text},
	}
	std := build.Default
	if std.GOROOT == "" { // built with -trimpath
		root, _ := exec.Command("go", "env", "GOROOT").Output()
		std.GOROOT = strings.TrimSpace(string(root))
	}
	pkg, err := std.Import("crypto/rand", "", 0)
	if err != nil {
		t.Skipf("no source of crypto/rand: %v", err)
	}
	found := 0
	for _, name := range pkg.GoFiles {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(pkg.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range exported(f) {
			found++
			pair, ok := ours[name]
			if !ok {
				t.Errorf("crypto/rand exports %s: add it to this package, and to this table", name)
				continue
			}
			if theirs, ours := reflect.TypeOf(pair[0]), reflect.TypeOf(pair[1]); theirs != ours {
				t.Errorf("%s is a %v, and a %v in crypto/rand", name, ours, theirs)
			}
		}
	}
	if found < len(ours) {
		t.Errorf("found only %d names in the source of crypto/rand; want %d", found, len(ours))
	}
}

// exported returns the exported names that a file declares at the top level.
func exported(f *ast.File) (names []string) {
	add := func(id *ast.Ident) {
		if id.IsExported() {
			names = append(names, id.Name)
		}
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				add(d.Name)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.ValueSpec:
					for _, id := range s.Names {
						add(id)
					}
				case *ast.TypeSpec:
					add(s.Name)
				}
			}
		}
	}
	return names
}

// A library that finds more than Read behind an io.Reader may begin to use it.
func TestNoExtraMethods(t *testing.T) {
	typ := reflect.TypeOf(lrng.Reader)
	if n := typ.NumMethod(); n != 1 || typ.Method(0).Name != "Read" {
		for i := range n {
			t.Logf("%v has %s", typ, typ.Method(i).Name)
		}
		t.Errorf("%v has %d methods; want only Read", typ, n)
	}
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	for _, f := range reflect.VisibleFields(typ) {
		if f.IsExported() {
			t.Errorf("%v has a field %s", typ, f.Name)
		}
	}
}

// setReader replaces Reader for one test. Such tests are not parallel.
func setReader(t testing.TB, r io.Reader) {
	old := lrng.Reader
	lrng.Reader = r
	t.Cleanup(func() { lrng.Reader = old })
}

// A counter counts what is read from r.
type counter struct {
	r     io.Reader
	bytes int
	calls int
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.bytes += n
	c.calls++
	return n, err
}

// stream returns an endless sequence of bytes that depends on seed alone.
func stream(seed byte) io.Reader { return mathrand.NewChaCha8([32]byte{seed}) }

// repeat is an endless sequence of the same bytes.
type repeat []byte

func (r repeat) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = r[i%len(r)]
	}
	return len(b), nil
}

var errReader = errors.New("reader without luck")

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		name string
		read func([]byte) (int, error)
	}{
		{"Read", lrng.Read},
		{"Reader", lrng.Reader.Read},
		{"Default", lrng.Default().Read},
		{"io.ReadFull", func(b []byte) (int, error) { return io.ReadFull(lrng.Reader, b) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 7, 8, 31, 32, 33, 63, 64, 65, 1023, 1024, 1025, 4095, 4096, 4097, 8192, 20000} {
				// A byte that is zero after 11 reads was never written. It was
				// with probability 2⁻⁸⁸, and there are fewer than 2¹⁸ of them.
				const canary = 16
				p := make([]byte, canary+size+canary)
				b := p[canary : canary+size : canary+size]
				written := make([]byte, size)
				for range 11 {
					clear(b)
					n, err := tt.read(b)
					if n != size || err != nil {
						t.Fatalf("%d bytes: %d, %v", size, n, err)
					}
					for i := range b {
						written[i] |= b[i]
					}
				}
				if i := bytes.IndexByte(written, 0); i >= 0 {
					t.Errorf("%d bytes: number %d was not written", size, i)
				}
				if !bytes.Equal(p[:canary], make([]byte, canary)) || !bytes.Equal(p[canary+size:], make([]byte, canary)) {
					t.Errorf("%d bytes: wrote beyond the buffer", size)
				}
			}
			for _, b := range [][]byte{nil, {}} {
				if n, err := tt.read(b); n != 0 || err != nil {
					t.Errorf("%#v: %d, %v", b, n, err)
				}
			}
		})
	}
}

func TestReadUsesReader(t *testing.T) {
	want := make([]byte, 5000)
	io.ReadFull(stream(1), want)
	for _, tt := range []struct {
		name string
		wrap func(io.Reader) io.Reader
	}{
		{"whole", func(r io.Reader) io.Reader { return r }},
		{"byte by byte", iotest.OneByteReader},
		{"halves", iotest.HalfReader},
		{"with EOF", func(r io.Reader) io.Reader { return iotest.DataErrReader(io.LimitReader(r, int64(len(want)))) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			setReader(t, tt.wrap(stream(1)))
			got := bytes.Repeat([]byte{0xff}, len(want))
			if n, err := lrng.Read(got); n != len(got) || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
			if !bytes.Equal(got, want) {
				t.Error("did not read what the reader gave")
			}
		})
	}
	t.Run("nothing", func(t *testing.T) {
		setReader(t, iotest.ErrReader(errReader))
		for _, b := range [][]byte{nil, {}} {
			if n, err := lrng.Read(b); n != 0 || err != nil {
				t.Errorf("%#v: %d, %v", b, n, err)
			}
		}
	})
	t.Run("is put back", func(t *testing.T) {
		var got [32]byte
		if lrng.Read(got[:]); bytes.Equal(got[:], want[:32]) {
			t.Error("still reads from the replaced reader")
		}
	})
}

// A keeper keeps the buffer that it was given.
type keeper struct {
	io.Reader
	kept []byte
}

func (k *keeper) Read(b []byte) (int, error) {
	k.kept = b
	return k.Reader.Read(b)
}

// What a replaced reader may have kept is wiped, and is not the caller's buffer.
func TestReplacedReaderKeepsNothing(t *testing.T) {
	k := &keeper{Reader: stream(1)}
	setReader(t, k)
	var b [32]byte
	lrng.Read(b[:])
	if len(k.kept) != 32 || !bytes.Equal(k.kept, make([]byte, 32)) {
		t.Errorf("the reader has still %d bytes of output", len(k.kept))
	}
	k.kept[0] = ^b[0]
	if b[0] == k.kept[0] {
		t.Error("the reader has the caller's buffer")
	}
}

// Everything at once, for the race detector, and to see that no two of 100
// goroutines are given the same bytes: 1500 values of 128 bits collide with
// probability 2⁻¹⁰⁷.
func TestConcurrentUse(t *testing.T) {
	const goroutines, rounds = 100, 5
	seen := make(chan string, goroutines*rounds*3)
	reads := []func() string{
		func() string {
			var b [16]byte
			lrng.Read(b[:])
			return string(b[:])
		},
		func() string {
			b := make([]byte, 5000)
			io.ReadFull(lrng.Reader, b)
			return string(b[len(b)-16:])
		},
		func() string {
			n, err := lrng.Int(lrng.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
			if err != nil {
				t.Error(err)
				return ""
			}
			return string(n.FillBytes(make([]byte, 16)))
		},
	}
	var readers, others sync.WaitGroup
	for range goroutines {
		readers.Go(func() {
			for range rounds {
				for _, read := range reads {
					seen <- read()
				}
				if len(lrng.Text()) != 26 {
					t.Error("Text is short")
				}
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	others.Go(func() {
		for ctx.Err() == nil {
			if err := lrng.Default().Reseed(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	others.Go(func() {
		for ctx.Err() == nil {
			if st := lrng.Default().Status(); st.Closed {
				t.Error("closed")
			}
			runtime.Gosched()
		}
	})
	readers.Wait()
	cancel()
	others.Wait()
	close(seen)
	all := make(map[string]bool)
	for s := range seen {
		if all[s] {
			t.Errorf("%x came twice", s)
		}
		all[s] = true
	}
	if len(all) != cap(seen) {
		t.Errorf("%d values; want %d", len(all), cap(seen))
	}
}
