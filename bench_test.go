package lrng_test

import (
	cryptorand "crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/seeding"
)

// Make a table with
//
//	go test -run - -bench Read -count 10 . | benchstat -col /reader -
//
// and compare the columns of one run: the times of two machines, or of two hours
// of one that is shared, tell nothing.

var benchmarkSizes = []int{16, 32, 64, 128, 256, 1024, 4096, 65536}

type readFunc = func([]byte) (int, error)

// benchmarkReaders are ours, with that of crypto/rand beside them.
var benchmarkReaders = []struct {
	name string
	own  bool // each goroutine opens one
	open func(testing.TB) readFunc
}{
	{"crypto", false, func(testing.TB) readFunc { return cryptorand.Read }},

	// What a program gets that changes its import line.
	{"lrng", false, func(testing.TB) readFunc {
		warm(lrng.Default())
		return lrng.Read
	}},

	// Fresh bytes of the operating system in each read.
	{"unbuffered", false, func(tb testing.TB) readFunc {
		return newSeeded(tb, lrng.Config{OutputBuffer: -1}).Read
	}},

	// Output ahead of need.
	{"buffered", false, func(tb testing.TB) readFunc {
		return newSeeded(tb, lrng.Config{OutputBuffer: 1024}).Read
	}},
	{"unshared", true, func(tb testing.TB) readFunc {
		return newSeeded(tb, lrng.Config{OutputBuffer: 1024, Shards: 1}).Read
	}},
}

// newSeeded returns a generator that has all its seeds.
func newSeeded(tb testing.TB, c lrng.Config) *lrng.RNG {
	tb.Helper()
	r, err := lrng.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { r.Close() })
	warm(r)
	return r
}

// warm reads until every shard has a seed, or for a second: whether all shards
// are turned to is up to the scheduler.
func warm(r *lrng.RNG) {
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		everywhere(func() { r.Uint64() })
		if !slices.ContainsFunc(r.Status().Instances, func(in lrng.InstanceStatus) bool { return !in.Seeded }) {
			return
		}
	}
}

// BenchmarkRead reads in one goroutine.
func BenchmarkRead(b *testing.B) {
	for _, reader := range benchmarkReaders {
		b.Run("reader="+reader.name, func(b *testing.B) {
			read := reader.open(b)
			for _, size := range benchmarkSizes {
				b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
					p := make([]byte, size)
					b.SetBytes(int64(size))
					b.ReportAllocs()
					for b.Loop() {
						read(p)
					}
				})
			}
		})
	}
}

// BenchmarkReadParallel reads in a goroutine for each processor.
func BenchmarkReadParallel(b *testing.B) {
	for _, reader := range benchmarkReaders {
		b.Run("reader="+reader.name, func(b *testing.B) {
			reads := make([]readFunc, runtime.GOMAXPROCS(0))
			for i := range reads {
				if i == 0 || reader.own {
					reads[i] = reader.open(b)
				} else {
					reads[i] = reads[0]
				}
			}
			for _, size := range benchmarkSizes {
				b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
					b.SetBytes(int64(size))
					b.ReportAllocs()
					var next atomic.Int32
					b.RunParallel(func(pb *testing.PB) {
						read := reads[next.Add(1)-1]
						p := make([]byte, size)
						for pb.Next() {
							read(p)
						}
					})
				})
			}
		})
	}
}

// BenchmarkUint64 makes random numbers, for math/rand/v2 for example.
func BenchmarkUint64(b *testing.B) {
	for _, bb := range []struct {
		name string
		open func(testing.TB) func() uint64
	}{
		{"crypto", func(testing.TB) func() uint64 {
			return func() uint64 {
				var p [8]byte
				cryptorand.Read(p[:])
				return binary.LittleEndian.Uint64(p[:])
			}
		}},
		{"lrng", func(testing.TB) func() uint64 {
			warm(lrng.Default())
			return lrng.Default().Uint64
		}},
		{"unbuffered", func(tb testing.TB) func() uint64 { return newSeeded(tb, lrng.Config{OutputBuffer: -1}).Uint64 }},
		{"buffered", func(tb testing.TB) func() uint64 { return newSeeded(tb, lrng.Config{OutputBuffer: 1024}).Uint64 }},

		// These are not for secrets.
		{"math", func(testing.TB) func() uint64 { return mathrand.Uint64 }},
		{"ChaCha8", func(testing.TB) func() uint64 { return mathrand.NewChaCha8([32]byte{1}).Uint64 }},
		{"PCG", func(testing.TB) func() uint64 { return mathrand.NewPCG(1, 2).Uint64 }},
	} {
		b.Run("source="+bb.name, func(b *testing.B) {
			f := bb.open(b)
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}

// BenchmarkFresh reads what is collected for the call alone.
func BenchmarkFresh(b *testing.B) {
	for _, bb := range []struct {
		name string
		open func(*lrng.RNG) io.Reader
	}{
		{"PredictionResistant", (*lrng.RNG).PredictionResistant},
		{"SeedReader", (*lrng.RNG).SeedReader},
	} {
		b.Run("reader="+bb.name+"/size=32", func(b *testing.B) {
			r := bb.open(newSeeded(b, lrng.Config{Shards: 1}))
			p := make([]byte, 32)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Read(p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkGetSeed collects seeds for other generators.
func BenchmarkGetSeed(b *testing.B) {
	for _, bits := range []int{256, 384, 4096} {
		b.Run(fmt.Sprintf("bits=%d", bits), func(b *testing.B) {
			r := newSeeded(b, lrng.Config{Shards: 1})
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := r.GetSeed(b.Context(), bits); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFirstSeed is what the first read of a program waits for.
func BenchmarkFirstSeed(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		r, err := lrng.New(lrng.Config{})
		if err != nil {
			b.Fatal(err)
		}
		if err := r.Wait(b.Context(), seeding.FullySeeded); err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}
