package main

import "slices"

// A kind says what a contender can be compared with.
type kind int

const (
	ours kind = iota
	peer      // for secrets, in Go
	inC       // for secrets, a library in C
	raw       // a keystream, or not for secrets: a limit, not a peer
)

// A contender is a row of a table.
type contender struct {
	name    string
	kind    kind
	worker  string // who measures it: see workers
	subject string // what that calls it
}

// A section is a table: each contender with each size and number of goroutines.
type section struct {
	id         string
	metric     metric
	sizes      []int
	goroutines []int // nil: one
	contenders []contender
}

// The processes besides this one, by name.
const (
	here      = ""
	fips      = "FIPS mode"
	frand15   = "frand 1.5"
	openssl   = "openssl"
	gcrypt    = "gcrypt" // a space and flags may follow
	firstRead = "first"  // a space and fips may follow
)

// What others are compared with.
const (
	cryptoRand     = "crypto/rand"
	cryptoRandFIPS = "crypto/rand, FIPS mode"
)

// The sections, without those contenders that differ between machines.
var (
	throughput = section{
		id:     "throughput",
		metric: cpuTime,
		sizes:  []int{16, 32, 64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10},
		contenders: []contender{
			{"lrng.Read", ours, here, "package"},
			{"lrng ahead", ours, here, "ahead"},
			{"lrng own", ours, here, "own"},
			{"lrng unshared", ours, here, "unshared"},
			{"lrng fresh", ours, here, "fresh"},
			{"lrng CTR ahead", ours, here, "ahead CTR"},
			{"lrng CTR own", ours, here, "own CTR"},
			{"lrng CTR fresh", ours, here, "fresh CTR"},
			{"lrng.Read, FIPS mode", ours, fips, "package"},
			{"lrng ahead, FIPS mode", ours, fips, "ahead"},
			{"lrng fresh, FIPS mode", ours, fips, "fresh"},
			{cryptoRand, peer, here, "crypto/rand"},
			{cryptoRandFIPS, peer, fips, "crypto/rand"},
			{"frand 1.4 shared", peer, here, "frand shared"},
			{"frand 1.4 own", peer, here, "frand own"},
			{"frand 1.5 shared", peer, frand15, "frand shared"},
			{"frand 1.5 own", peer, frand15, "frand own"},
			{"OpenSSL RAND_bytes", inC, openssl, "RAND_bytes"},
			{"Libgcrypt gcry_randomize", inC, gcrypt, "randomize"},
			{"ChaCha20 keystream, aead", raw, here, "aead"},
			{"AES-256-CTR keystream, crypto/cipher", raw, here, "AES-CTR"},
			{"ChaCha8, math/rand/v2", raw, here, "ChaCha8"},
		},
	}

	// Each implementation of what we have assembly for; see thisPlan.
	kernels = section{id: "kernels", metric: cpuTime, sizes: []int{32, 1 << 10, 4 << 10, 64 << 10}}

	parallel = section{
		id:         "own",
		metric:     wallTime,
		sizes:      []int{16, 32, 4 << 10, 64 << 10},
		goroutines: []int{1, 2},
		contenders: []contender{
			{"lrng own", ours, here, "own"},
			{"lrng unshared", ours, here, "unshared"},
			{"lrng CTR own", ours, here, "own CTR"},
			{"frand 1.4 own", peer, here, "frand own"},
			{"frand 1.5 own", peer, frand15, "frand own"},
		},
	}
	manyGoroutines = section{
		id:         "shared",
		metric:     wallTime,
		sizes:      parallel.sizes,
		goroutines: []int{1, 2, 64},
		contenders: []contender{
			{"lrng.Read", ours, here, "package"},
			{"lrng ahead", ours, here, "ahead"},
			{"lrng fresh", ours, here, "fresh"},
			{"lrng CTR ahead", ours, here, "ahead CTR"},
			{cryptoRand, peer, here, "crypto/rand"},
			{cryptoRandFIPS, peer, fips, "crypto/rand"},
			{"frand 1.4 shared", peer, here, "frand shared"},
			{"frand 1.5 shared", peer, frand15, "frand shared"},
		},
	}

	latencies = section{
		id:     "latency",
		metric: latency,
		sizes:  []int{32},
		contenders: []contender{
			{"lrng.Read", ours, here, "package"},
			{"lrng.Read, reseeding", ours, here, "package reseeding"},
			{"lrng ahead", ours, here, "ahead"},
			{"lrng ahead, reseeding", ours, here, "ahead reseeding"},
			{"lrng own", ours, here, "own"},
			{"lrng unshared", ours, here, "unshared"},
			{"lrng own, reseeding", ours, here, "own reseeding"},
			{"lrng fresh", ours, here, "fresh"},
			{"lrng fresh, reseeding", ours, here, "fresh reseeding"},
			{cryptoRand, peer, here, "crypto/rand"},
			{cryptoRandFIPS, peer, fips, "crypto/rand"},
			{"frand 1.4 shared", peer, here, "frand shared"},
			{"frand 1.4 own", peer, here, "frand own"},
			{"OpenSSL RAND_bytes", inC, openssl, "RAND_bytes"},
		},
	}

	numbersOf64Bits = section{
		id:     "Uint64",
		metric: cpuTime,
		sizes:  []int{8},
		contenders: []contender{
			{"lrng.Default", ours, here, "Uint64 package"},
			{"lrng ahead", ours, here, "Uint64 ahead"},
			{"lrng own", ours, here, "Uint64 own"},
			{"lrng unshared", ours, here, "Uint64 unshared"},
			{"lrng fresh", ours, here, "Uint64 fresh"},
			{cryptoRand, peer, here, "Uint64 crypto/rand"},
			{"frand 1.4 shared", peer, here, "Uint64 frand shared"},
			{"frand 1.4 own", peer, here, "Uint64 frand own"},
			{"frand 1.5 own", peer, frand15, "Uint64 frand own"},
			{"math/rand/v2", raw, here, "Uint64 math/rand/v2"},
			{"math/rand/v2, ChaCha8", raw, here, "Uint64 ChaCha8"},
		},
	}

	mechanisms = section{
		id:     "mechanisms",
		metric: cpuTime,
		sizes:  []int{32, 4 << 10, 64 << 10},
		contenders: []contender{
			{"drng.ChaCha20", ours, here, "drng ChaCha20"},
			{"CTR_DRBG AES-256", ours, here, "drng CTR AES-256"},
			{"CTR_DRBG AES-256 no df", ours, here, "drng CTR AES-256 no df"},
			{"CTR_DRBG AES-128", ours, here, "drng CTR AES-128"},
			{"CTR_DRBG AES-256, FIPS mode", ours, fips, "drng CTR AES-256"},
			{"Hash_DRBG SHA-256", ours, here, "drng Hash SHA-256"},
			{"Hash_DRBG SHA-512", ours, here, "drng Hash SHA-512"},
			{"HMAC_DRBG SHA-256", ours, here, "drng HMAC SHA-256"},
			{"HMAC_DRBG SHA-512", ours, here, "drng HMAC SHA-512"},
			{"XDRBG-256", ours, here, "drng XDRBG-256"},
			{cryptoRand, peer, here, "crypto/rand"},
			{cryptoRandFIPS, peer, fips, "crypto/rand"},
			{"OpenSSL CTR_DRBG AES-256", inC, openssl, "CTR AES-256"},
			{"OpenSSL Hash_DRBG SHA-256", inC, openssl, "Hash SHA-256"},
			{"OpenSSL Hash_DRBG SHA-512", inC, openssl, "Hash SHA-512"},
			{"OpenSSL HMAC_DRBG SHA-256", inC, openssl, "HMAC SHA-256"},
			{"OpenSSL HMAC_DRBG SHA-512", inC, openssl, "HMAC SHA-512"},
			{"Libgcrypt CTR_DRBG AES-256", inC, gcrypt + " aes sym256", "randomize"},
			{"Libgcrypt Hash_DRBG SHA-256", inC, gcrypt + " sha256", "randomize"},
			{"Libgcrypt Hash_DRBG SHA-512", inC, gcrypt + " sha512", "randomize"},
			{"Libgcrypt HMAC_DRBG SHA-256", inC, gcrypt + " hmac sha256", "randomize"},
			{"Libgcrypt HMAC_DRBG SHA-512", inC, gcrypt + " hmac sha512", "randomize"},
		},
	}

	collected = section{
		id:         "collected",
		metric:     wallTime,
		sizes:      []int{32, 48},
		goroutines: []int{1},
		contenders: []contender{
			{"PredictionResistant", ours, here, "PredictionResistant"},
			{"GetSeed", ours, here, "GetSeed"},
		},
	}

	firstBytes = section{
		id:     "first",
		metric: first,
		sizes:  []int{32},
		contenders: []contender{
			{"lrng, CPU and OS sources", ours, firstRead, "fast sources"},
			{"lrng, default sources", ours, firstRead, "package"},
			{"lrng, default sources, FIPS mode", ours, firstRead + " " + fips, "package"},
			{cryptoRand, peer, firstRead, "crypto/rand"},
			{cryptoRandFIPS, peer, firstRead + " " + fips, "crypto/rand"},
			{"OpenSSL RAND_bytes", inC, openssl, "-first"},
			{"Libgcrypt gcry_randomize", inC, gcrypt, "-first"},
		},
	}
)

// plan returns all sections, for this machine.
func plan() []section {
	k := kernels
	for _, v := range []struct{ pkg, name string }{{"chacha20", "ChaCha20"}, {"aesctr", "CTR_DRBG AES-256"}} {
		for _, name := range implementations(v.pkg) {
			k.contenders = append(k.contenders, contender{v.name + " " + name, ours, here, "own " + v.pkg + " " + name})
		}
	}
	k.contenders = append(k.contenders,
		contender{cryptoRand, peer, here, "crypto/rand"},
		contender{"ChaCha20 keystream, aead", raw, here, "aead"},
		contender{"AES-256-CTR keystream, crypto/cipher", raw, here, "AES-CTR"})
	return []section{throughput, k, parallel, manyGoroutines, latencies, numbersOf64Bits, mechanisms, collected, firstBytes}
}

// A key names a figure.
type key struct {
	section    string
	metric     metric
	name       string // of the contender
	size       int
	goroutines int
}

// The metrics of a latency, in the order of percentiles.
var latencyMetrics = []metric{"p50", "p99", "p99.9"}

// results are the figures of a run: one for each repetition.
type results map[key][]float64

// value returns the figure that counts, and whether there is one: of wall time the
// best, since what else runs only adds to it, and otherwise the median.
func (r results) value(k key) (float64, bool) {
	v := slices.Sorted(slices.Values(r[k]))
	if len(v) == 0 {
		return 0, false
	}
	if k.metric == wallTime {
		return v[0], true
	}
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2, true
	}
	return v[len(v)/2], true
}

// fastest returns who has the lowest figure like k of the section's contenders of
// those kinds.
func (r results) fastest(s section, k key, kinds ...kind) (name string, value float64, ok bool) {
	for _, c := range s.contenders {
		if !slices.Contains(kinds, c.kind) {
			continue
		}
		k.name = c.name
		if v, has := r.value(k); has && (!ok || v < value) {
			name, value, ok = c.name, v, true
		}
	}
	return name, value, ok
}
