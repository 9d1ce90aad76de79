package main

import (
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	cryptorand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/aead/chacha20/chacha"
	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/internal/impl"
	"github.com/lrng-go/lrng/seeding"
	"lukechampine.com/frand"
)

// An operation fills p, or makes so many bytes without storing them.
type operation = func(p []byte) error

// A subject is something to be measured in this process. Its name is the one in the
// protocol of workers.
type subject struct {
	name string

	// open returns an operation. One that is shared may be called by several
	// goroutines at once, for another one open is called again.
	open   func() (operation, error)
	shared bool

	// during, if not nil, calls its argument while something special holds.
	during func(func())
}

// subjects lists all of them.
func subjects() []subject {
	list := []subject{
		{name: "crypto/rand", open: always(reader(cryptorand.Read)), shared: true},
		{name: "frand own", open: func() (operation, error) { return reader(frand.New().Read), nil }},
		{name: "frand shared", open: always(reader(frand.Read)), shared: true},
		{name: "ChaCha8", open: func() (operation, error) { return reader(mathrand.NewChaCha8(fresh32()).Read), nil }},
		{name: "aead", open: openAEAD},
		{name: "AES-CTR", open: openAESCTR},

		{name: "package", open: func() (operation, error) { return reader(lrng.Read), warm(lrng.Default()) }, shared: true},
		{name: "ahead", open: generator(lrng.Config{OutputBuffer: ahead}), shared: true},
		{name: "own", open: generator(lrng.Config{OutputBuffer: ahead, Shards: 1})},
		{name: "unshared", open: func() (operation, error) {
			r, err := oneGenerator()
			if err != nil {
				return nil, err
			}
			return reader(r.Unshared().Read), nil
		}},
		{name: "fresh", open: generator(lrng.Config{OutputBuffer: -1}), shared: true},
		{name: "ahead CTR", open: generator(lrng.Config{OutputBuffer: ahead, DRNG: newCTR}), shared: true},
		{name: "own CTR", open: generator(lrng.Config{OutputBuffer: ahead, DRNG: newCTR, Shards: 1})},
		{name: "fresh CTR", open: generator(lrng.Config{OutputBuffer: -1, DRNG: newCTR}), shared: true},

		reseeding("package", lrng.Config{}),
		reseeding("ahead", lrng.Config{OutputBuffer: ahead}),
		reseeding("own", lrng.Config{OutputBuffer: ahead, Shards: 1}),
		reseeding("fresh", lrng.Config{OutputBuffer: -1}),

		{name: "Uint64 math/rand/v2", open: always(uint64s(mathrand.Uint64)), shared: true},
		{name: "Uint64 ChaCha8", open: func() (operation, error) { return source(mathrand.NewChaCha8(fresh32())), nil }},
		{name: "Uint64 crypto/rand", open: always(uint64s(cryptoUint64)), shared: true},
		{name: "Uint64 frand own", open: func() (operation, error) { return source(frand.NewSource()), nil }},
		{name: "Uint64 frand shared", open: always(uint64s(frandUint64)), shared: true},
		{name: "Uint64 package", open: numbers(lrng.Config{}), shared: true},
		{name: "Uint64 ahead", open: numbers(lrng.Config{OutputBuffer: ahead}), shared: true},
		{name: "Uint64 own", open: numbers(lrng.Config{OutputBuffer: ahead, Shards: 1})},
		{name: "Uint64 unshared", open: func() (operation, error) {
			r, err := oneGenerator()
			if err != nil {
				return nil, err
			}
			return source(r.Unshared()), nil
		}},
		{name: "Uint64 fresh", open: numbers(lrng.Config{OutputBuffer: -1}), shared: true},

		{name: "PredictionResistant", open: func() (operation, error) {
			r, err := newGenerator(lrng.Config{Shards: 1})
			if err != nil {
				return nil, err
			}
			return reader(r.PredictionResistant().Read), nil
		}},
		{name: "GetSeed", open: func() (operation, error) {
			r, err := newGenerator(lrng.Config{Shards: 1})
			if err != nil {
				return nil, err
			}
			return func(p []byte) error {
				seed, _, err := r.GetSeed(context.Background(), 8*len(p))
				clear(seed)
				return err
			}, nil
		}},

		mechanism("ChaCha20", func() (drng.DRNG, error) { return drng.NewChaCha20(), nil }),
		mechanism("CTR AES-256", newCTR),
		mechanism("CTR AES-256 no df", func() (drng.DRNG, error) { return drng.NewCTR(drng.CTRConfig{NoDF: true}) }),
		mechanism("CTR AES-128", func() (drng.DRNG, error) { return drng.NewCTR(drng.CTRConfig{KeyBits: 128}) }),
		mechanism("Hash SHA-256", func() (drng.DRNG, error) { return drng.NewHash(crypto.SHA256) }),
		mechanism("Hash SHA-512", func() (drng.DRNG, error) { return drng.NewHash(crypto.SHA512) }),
		mechanism("HMAC SHA-256", func() (drng.DRNG, error) { return drng.NewHMAC(crypto.SHA256) }),
		mechanism("HMAC SHA-512", func() (drng.DRNG, error) { return drng.NewHMAC(crypto.SHA512) }),
		mechanism("XDRBG-256", func() (drng.DRNG, error) { return drng.NewXDRBG(), nil }),
	}

	// What other machines would use. The generators are not reseeded at the time:
	// nothing else may use the package whose implementation is chosen.
	for _, v := range []struct {
		pkg string
		new func() (drng.DRNG, error)
	}{{"chacha20", nil}, {"aesctr", newCTR}} {
		for _, name := range implementations(v.pkg) {
			list = append(list, subject{
				name: "own " + v.pkg + " " + name,
				open: generator(lrng.Config{OutputBuffer: ahead, Shards: 1, DRNG: v.new, ReseedRequests: 1 << 30}),
				during: func(run func()) {
					for n := range impl.All(v.pkg) {
						if n == name {
							run()
						}
					}
				},
			})
		}
	}
	return list
}

// implementations returns the names of those of an internal package that this
// machine can run.
func implementations(pkg string) []string {
	var names []string
	for name, ok := range impl.All(pkg) {
		if ok {
			names = append(names, name)
		}
	}
	return names
}

// ahead is Config.OutputBuffer of those who generate ahead of need, in bytes. A
// machine that is not a virtual one has 1024 by default; this is for those who want speed.
const ahead = 1 << 16

// always returns an open for what needs no preparation.
func always(op operation) func() (operation, error) {
	return func() (operation, error) { return op, nil }
}

// reader turns Read into an operation.
func reader(read func([]byte) (int, error)) operation {
	return func(p []byte) error {
		n, err := read(p)
		if err == nil && n != len(p) {
			err = fmt.Errorf("%d bytes of %d", n, len(p))
		}
		return err
	}
}

// uint64s turns a function that makes a number into an operation.
func uint64s(f func() uint64) operation {
	return func([]byte) error {
		f()
		return nil
	}
}

// source makes numbers by math/rand/v2.
func source(s mathrand.Source) operation { return uint64s(mathrand.New(s).Uint64) }

func cryptoUint64() uint64 {
	var p [8]byte
	cryptorand.Read(p[:])
	return binary.LittleEndian.Uint64(p[:])
}

func frandUint64() uint64 {
	var p [8]byte
	frand.Read(p[:])
	return binary.LittleEndian.Uint64(p[:])
}

func fresh32() (seed [32]byte) {
	cryptorand.Read(seed[:])
	return seed
}

// openAEAD is a keystream and no generator: nothing is erased, nobody else may use it.
func openAEAD() (operation, error) {
	key := fresh32()
	c, err := chacha.NewCipher(make([]byte, chacha.NonceSize), key[:], 20)
	if err != nil {
		return nil, err
	}
	return func(p []byte) error {
		c.XORKeyStream(p, p)
		return nil
	}, nil
}

// openAESCTR is a keystream, too.
func openAESCTR() (operation, error) {
	key := fresh32()
	b, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	s := cipher.NewCTR(b, make([]byte, aes.BlockSize))
	return func(p []byte) error {
		s.XORKeyStream(p, p)
		return nil
	}, nil
}

func newCTR() (drng.DRNG, error) { return drng.NewCTR(drng.CTRConfig{}) }

// newGenerator returns a generator that has all its seeds. It lasts as long as the process.
func newGenerator(c lrng.Config) (*lrng.RNG, error) {
	r, err := lrng.New(c)
	if err != nil {
		return nil, err
	}
	return r, warm(r)
}

// warm waits until all shards have a seed.
func warm(r *lrng.RNG) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.Wait(ctx, seeding.FullySeeded); err != nil {
		return err
	}
	// Others than the first are seeded when a processor turns to them.
	for ctx.Err() == nil {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { r.Uint64() })
		}
		wg.Wait()
		seeded := true
		for _, in := range r.Status().Instances {
			seeded = seeded && in.Seeded
		}
		if seeded {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return errors.New("not all shards were seeded within a minute")
}

// generator returns an open that makes a generator of its own.
func generator(c lrng.Config) func() (operation, error) {
	return func() (operation, error) {
		r, err := newGenerator(c)
		if err != nil {
			return nil, err
		}
		return reader(r.Read), nil
	}
}

// oneGenerator returns the generator whose readers are not shared.
var oneGenerator = sync.OnceValues(func() (*lrng.RNG, error) { return newGenerator(lrng.Config{OutputBuffer: ahead}) })

// numbers returns an open that makes numbers by math/rand/v2 on a generator of its own.
func numbers(c lrng.Config) func() (operation, error) {
	return func() (operation, error) {
		r, err := newGenerator(c)
		if err != nil {
			return nil, err
		}
		return source(r), nil
	}
}

// reseeding is a generator whose shards get new seeds one after the other, without
// a pause, by a goroutine of their own.
func reseeding(mode string, c lrng.Config) subject {
	var r *lrng.RNG
	return subject{
		name:   mode + " reseeding",
		shared: true,
		open: func() (_ operation, err error) {
			if r, err = newGenerator(c); err != nil {
				return nil, err
			}
			return reader(r.Read), nil
		},
		during: func(run func()) {
			ctx, cancel := context.WithCancel(context.Background())
			var wg sync.WaitGroup
			wg.Go(func() {
				for ctx.Err() == nil {
					r.Reseed(ctx)
				}
			})
			run()
			cancel()
			wg.Wait()
		},
	}
}

// mechanism is a generator of package drng, without package lrng above it: one request
// for each operation, no additional input.
func mechanism(name string, new func() (drng.DRNG, error)) subject {
	return subject{
		name: "drng " + name,
		open: func() (operation, error) {
			d, err := new()
			if err != nil {
				return nil, err
			}
			n := d.Info().SeedSize
			if n == 0 {
				n = 64 // enough for each of them
			}
			seed := make([]byte, n)
			cryptorand.Read(seed)
			if err := d.Seed(seed, nil); err != nil {
				return nil, err
			}
			return func(p []byte) error { return d.Generate(p, nil) }, nil
		},
	}
}
