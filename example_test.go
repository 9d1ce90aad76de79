package lrng_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/seeding"
)

// There is no error to check: if no random bytes could be had, the program would
// have ended.
func ExampleRead() {
	var token [32]byte
	lrng.Read(token[:])
	fmt.Println(token != [32]byte{})
	// Output: true
}

func ExampleText() {
	password := lrng.Text()
	fmt.Println(len(password), "characters")
	// Output: 26 characters
}

func ExampleInt() {
	n, err := lrng.Int(lrng.Reader, big.NewInt(1000))
	if err != nil {
		log.Fatal(err) // the reader's, of which lrng.Reader has none
	}
	fmt.Println(n.Sign() >= 0 && n.Cmp(big.NewInt(1000)) < 0)
	// Output: true
}

func ExamplePrime() {
	p, err := lrng.Prime(lrng.Reader, 256)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.BitLen(), "bits")
	// Output: 256 bits
}

// Many functions take a reader. Some ignore it since Go 1.26: the example program
// migrate lists them.
func ExampleReader() {
	public, private, err := ed25519.GenerateKey(lrng.Reader)
	if err != nil {
		log.Fatal(err)
	}
	message := []byte("message")
	fmt.Println(ed25519.Verify(public, message, ed25519.Sign(private, message)))
	// Output: true
}

// A generator of one's own: here with a mechanism of SP 800-90A, and a new seed
// every minute. What is left out of the Config has the recommended value.
func ExampleNew() {
	r, err := lrng.New(lrng.Config{
		DRNG:            func() (drng.DRNG, error) { return drng.NewHMAC(crypto.SHA256) },
		ReseedInterval:  time.Minute,
		Personalization: []byte("example.com/tickets"),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()

	key := make([]byte, 32)
	if _, err := r.Read(key); err != nil {
		log.Fatal(err)
	}
	st := r.Status()
	fmt.Println(st.Level, "with a security strength of", st.SecurityStrength, "bits")
	// Output: fully seeded with a security strength of 256 bits
}

// A caller that has something else to do while the generator is not seeded.
func ExampleRNG_Nonblocking() {
	r, err := lrng.New(lrng.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()

	b := make([]byte, 16)
	if _, err := r.Nonblocking().Read(b); errors.Is(err, lrng.ErrNotSeeded) {
		fmt.Println("Not yet. Seeding has begun.")
	}
	// Output: Not yet. Seeding has begun.
}

// A program that does not want to wait for ever when it starts.
func ExampleRNG_Wait() {
	r, err := lrng.New(lrng.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.Wait(ctx, seeding.FullySeeded); err != nil {
		log.Fatalf("%v\n%v", err, r.Status())
	}
	fmt.Println("From here on, Read does not wait.")
	// Output: From here on, Read does not wait.
}

// Random bytes from a server: they are not a secret of ours alone, so they are
// credited with nothing. They cannot make the generator worse.
func ExampleRNG_AddEntropy() {
	fromServer := []byte("7f1c…")
	if err := lrng.Default().AddEntropy(fromServer, 0); err != nil {
		log.Fatal(err)
	}

	// Nobody can vouch for more than there is.
	fmt.Println(lrng.Default().AddEntropy(make([]byte, 4), 33) == nil)
	// Output: false
}

// A generator that is not ours to run, or that runs in another process, gets a
// seed of its own: entropy that no other generator has used.
func ExampleRNG_GetSeed() {
	seed, credit, err := lrng.Default().GetSeed(context.Background(), 384)
	if err != nil {
		log.Fatal(err)
	}
	defer clear(seed)
	fmt.Println(credit >= 384)

	other := drng.NewChaCha20()
	defer other.Clear()
	if err := other.Seed(seed, nil); err != nil {
		log.Fatal(err)
	}
	b := make([]byte, 32)
	fmt.Println(other.Generate(b, nil))
	// Output:
	// true
	// <nil>
}

// All that math/rand/v2 can do with numbers, with secret ones.
func ExampleRNG_Uint64() {
	r := mathrand.New(lrng.Default())
	cards := r.Perm(52)
	wait := time.Duration(r.Int64N(int64(time.Minute)))

	fmt.Println(wait < time.Minute)
	slices.Sort(cards)
	fmt.Println(cards[0], cards[51])
	// Output:
	// true
	// 0 51
}

// Many keys for one goroutine, from a reader of its own.
func ExampleRNG_Unshared() {
	r, err := lrng.New(lrng.Config{OutputBuffer: 4096}) // nobody copies this machine
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()

	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			u := r.Unshared() // not to be shared
			defer u.Close()
			var key [32]byte
			for range 1000 {
				if _, err := u.Read(key[:]); err != nil {
					log.Fatal(err)
				}
			}
		})
	}
	wg.Wait()
	fmt.Println(r.Status().Instances[0].Bytes > 0)
	// Output:
	// true
}

// Numbers for one goroutine.
func ExampleUnsharedReader_Uint64() {
	u := lrng.Default().Unshared()
	defer u.Close()
	dice := mathrand.New(u)
	n := 1 + dice.IntN(6)
	fmt.Println(1 <= n && n <= 6)
	// Output:
	// true
}

// A generator with one more source than the default ones.
func ExampleDefaultSources() {
	device := es.NewDevice(es.DeviceConfig{}) // /dev/hwrng, if there is one
	defer device.Close()                      // after the generator
	r, err := lrng.New(lrng.Config{Sources: append(lrng.DefaultSources(), device)})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	for _, s := range r.Status().Sources {
		fmt.Println(s.Name)
	}
	// Output:
	// jitter
	// cpu
	// os
	// device
	// auxiliary
}

// A server that gives its caller no more time than the caller has.
func ExampleRNG_ReadContext() {
	r, err := lrng.New(lrng.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	key := make([]byte, 32)
	n, err := r.ReadContext(ctx, key)
	fmt.Println(n, err)

	cancel()
	n, err = r.ReadContext(ctx, key)
	fmt.Println(n, err)
	// Output:
	// 32 <nil>
	// 0 context canceled
}

// A long-lived key, for which fresh entropy is collected now: who knew the state of the
// generator until now knows nothing of it.
func ExampleRNG_PredictionResistant() {
	key := make([]byte, 32)
	if _, err := io.ReadFull(lrng.Default().PredictionResistant(), key); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(key), "bytes")
	// Output: 32 bytes
}

// Fresh bytes as far as they can be had without waiting, or within a time.
func ExampleFreshReader() {
	fresh := lrng.Default().SeedReader().(lrng.FreshReader)
	seed := make([]byte, 32)
	n, err := fresh.TryRead(seed)
	if errors.Is(err, lrng.ErrNotSeeded) || errors.Is(err, lrng.ErrInsufficientEntropy) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		n, err = fresh.ReadContext(ctx, seed)
	}
	fmt.Println(n, err)
	// Output: 32 <nil>
}

// The seed of another generator of 256 bits, with full entropy if the credits hold.
func ExampleRNG_SeedReader() {
	other, err := drng.NewCTR(drng.CTRConfig{NoDF: true}) // takes nothing less
	if err != nil {
		log.Fatal(err)
	}
	defer other.Clear()
	seed := make([]byte, other.Info().SeedSize)
	defer clear(seed)
	if _, err := io.ReadFull(lrng.Default().SeedReader(), seed); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(seed), other.Seed(seed, nil))
	// Output: 48 <nil>
}

// New seeds for all shards, as after a machine was moved.
func ExampleRNG_Reseed() {
	r, err := lrng.New(lrng.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.Wait(ctx, seeding.FullySeeded); err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Reseed(ctx), r.Status().Instances[0].Seeds)
	// Output: <nil> 2
}

// The mechanism and the hash function are switched while others read.
func ExampleRNG_SetDRNG() {
	r, err := lrng.New(lrng.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()

	err = r.SetDRNG(func() (drng.DRNG, error) { return drng.NewHash(crypto.SHA512) })
	if err != nil {
		log.Fatal(err)
	}
	if err := r.SetConditioner(conditioner.SHA3_512); err != nil {
		log.Fatal(err)
	}
	st := r.Status()
	fmt.Println(st.DRNG, "and", st.Conditioner)
	// Output: Hash_DRBG SHA-512 and SHA3-512
}

// A source that has fallen into disgrace is still mixed in, without credit.
func ExampleRNG_SetSourceRate() {
	r, err := lrng.New(lrng.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	fmt.Println(r.SetSourceRate("os", 0))
	fmt.Println(r.SetSourceRate("dice", 0))
	// Output:
	// <nil>
	// lrng: SetSourceRate: name: there is no source "dice"
}

// What a service does before it opens its port.
func ExampleRNG_SelfTest() {
	r, err := lrng.New(lrng.Config{})
	if err != nil {
		log.Fatal(err)
	}
	if err := r.SelfTest(); errors.Is(err, lrng.ErrSelfTest) {
		log.Fatal(err) // final for this process
	}
	fmt.Println(r.Status().SelfTest)

	if err := r.Close(); err != nil {
		log.Print(err)
	}
	_, err = r.Read(make([]byte, 1))
	fmt.Println(errors.Is(err, lrng.ErrClosed))
	// Output:
	// passed
	// true
}
