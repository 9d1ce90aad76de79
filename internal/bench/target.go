package main

import "math"

// A target is one that the project has set itself: ours is to be so many times as fast
// as something else of the same section and size, or to stay within a limit.
type target struct {
	what    string
	section string
	metric  metric
	ours    []string // the worst of them counts
	sizes   []int

	goroutines, thanGoroutines int // 0: one

	above string // a mechanism: what ours takes more than one request to it is what counts

	than     string    // whom ours is compared with; "": with itself, or see limit
	thanSize int       // 0: the same
	times    []float64 // one for each size

	limit float64 // without times: the most that is allowed
	note  string  // where a limit comes from
}

// The modes of a generator: see report.legend.
var chachaModes = []string{"lrng.Read", "lrng ahead", "lrng own", "lrng fresh"}

// Times of others that are not measured here, from another machine (Xeon, 3 GHz, where
// crypto/rand took 87 ns for 32 bytes). They are a hint and no comparison.
const elsewhere = "measured on another machine"

var targets = []target{
	{what: "read-ahead, one goroutine", section: "throughput", metric: cpuTime, ours: []string{"lrng ahead"},
		sizes: []int{16, 32, 64}, than: cryptoRand, times: []float64{3.5, 4.5, 5.5}},
	{what: "the same", section: "throughput", metric: cpuTime, ours: []string{"lrng ahead"},
		sizes: []int{16, 32, 64}, than: "frand 1.4 shared", times: []float64{1, 1, 1}},
	{what: "unshared reader", section: "throughput", metric: cpuTime, ours: []string{"lrng unshared"},
		sizes: []int{32}, than: cryptoRand, times: []float64{7}},
	{what: "the same", section: "throughput", metric: cpuTime, ours: []string{"lrng unshared"},
		sizes: []int{32}, than: "frand 1.4 own", times: []float64{1}},
	{what: "default mode", section: "throughput", metric: cpuTime, ours: []string{"lrng.Read"},
		sizes: []int{16, 32, 64}, than: cryptoRand, times: []float64{1, 1, 1}},
	{what: "the same", section: "throughput", metric: cpuTime, ours: []string{"lrng.Read"},
		sizes: []int{16, 32, 64}, than: cryptoRandFIPS, times: []float64{3, 3, 3}},
	{what: "what it adds to a request of 32 bytes to drng.ChaCha20", section: "throughput", metric: cpuTime, ours: []string{"lrng.Read"}, above: "drng.ChaCha20",
		sizes: []int{32}, than: cryptoRand, thanSize: 16, times: []float64{1}, note: "the 16 bytes of the operating system that are in it"},
	{what: "any mode, ChaCha20", section: "throughput", metric: cpuTime, ours: chachaModes,
		sizes: []int{1 << 10, 4 << 10, 64 << 10}, than: cryptoRand, times: []float64{7, 9, 9.5}},
	{what: "ChaCha20 with AVX2 only", section: "kernels", metric: cpuTime, ours: []string{"ChaCha20 AVX2"},
		sizes: []int{1 << 10, 4 << 10, 64 << 10}, than: cryptoRand, times: []float64{3.5, 3.5, 3.5}},
	{what: "the same", section: "kernels", metric: cpuTime, ours: []string{"ChaCha20 AVX2"},
		sizes: []int{1 << 10, 4 << 10, 64 << 10}, than: "ChaCha20 keystream, aead", times: []float64{1, 1, 1}},

	{what: "CTR_DRBG AES-256", section: "mechanisms", metric: cpuTime, ours: []string{"CTR_DRBG AES-256"},
		sizes: []int{4 << 10, 64 << 10}, than: cryptoRandFIPS, times: []float64{1, 1}},
	{what: "the same", section: "mechanisms", metric: cpuTime, ours: []string{"CTR_DRBG AES-256"},
		sizes: []int{4 << 10, 64 << 10}, than: cryptoRand, times: []float64{18, 22}},
	{what: "the same, one request of 32 bytes", section: "mechanisms", metric: cpuTime, ours: []string{"CTR_DRBG AES-256"},
		sizes: []int{32}, than: cryptoRand, times: []float64{1},
		note: "leancrypto: 0.97, " + elsewhere},
	{what: "the same in FIPS mode", section: "mechanisms", metric: cpuTime, ours: []string{"CTR_DRBG AES-256, FIPS mode"},
		sizes: []int{32}, than: cryptoRandFIPS, times: []float64{0.8}},

	{what: "Hash_DRBG SHA-512", section: "mechanisms", metric: cpuTime, ours: []string{"Hash_DRBG SHA-512"},
		sizes: []int{32}, limit: 735, note: "leancrypto, " + elsewhere},
	{what: "the same", section: "mechanisms", metric: cpuTime, ours: []string{"Hash_DRBG SHA-512"},
		sizes: []int{32}, than: "Libgcrypt Hash_DRBG SHA-512", times: []float64{1}},
	{what: "the same", section: "mechanisms", metric: cpuTime, ours: []string{"Hash_DRBG SHA-512"},
		sizes: []int{32}, than: "OpenSSL Hash_DRBG SHA-512", times: []float64{1}},
	{what: "HMAC_DRBG SHA-512", section: "mechanisms", metric: cpuTime, ours: []string{"HMAC_DRBG SHA-512"},
		sizes: []int{32}, than: "Libgcrypt HMAC_DRBG SHA-512", times: []float64{1}},
	{what: "the same", section: "mechanisms", metric: cpuTime, ours: []string{"HMAC_DRBG SHA-512"},
		sizes: []int{32}, than: "OpenSSL HMAC_DRBG SHA-512", times: []float64{1}},
	{what: "XDRBG-256", section: "mechanisms", metric: cpuTime, ours: []string{"XDRBG-256"},
		sizes: []int{32}, limit: 274, note: "leancrypto, " + elsewhere},
	{what: "Hash_DRBG SHA-256", section: "mechanisms", metric: cpuTime, ours: []string{"Hash_DRBG SHA-256"},
		sizes: []int{32}, than: "Hash_DRBG SHA-512", times: []float64{3}},
	{what: "HMAC_DRBG SHA-256", section: "mechanisms", metric: cpuTime, ours: []string{"HMAC_DRBG SHA-256"},
		sizes: []int{32}, than: "HMAC_DRBG SHA-512", times: []float64{3}},

	{what: "Uint64 through math/rand/v2", section: "Uint64", metric: cpuTime, ours: []string{"lrng ahead"},
		sizes: []int{8}, than: "frand 1.4 shared", times: []float64{1}},
	{what: "the same, unshared reader", section: "Uint64", metric: cpuTime, ours: []string{"lrng unshared"},
		sizes: []int{8}, than: "frand 1.4 own", times: []float64{1}},
	{what: "the same", section: "Uint64", metric: cpuTime, ours: []string{"lrng unshared"},
		sizes: []int{8}, than: "math/rand/v2", times: []float64{1 / 1.5}},

	{what: "two goroutines against one, shared generator", section: "shared", metric: wallTime,
		ours:  []string{"lrng.Read", "lrng ahead", "lrng fresh", "lrng CTR ahead"},
		sizes: []int{16, 32, 4 << 10, 64 << 10}, goroutines: 2, thanGoroutines: 1, times: []float64{1.9, 1.9, 1.9, 1.9}},
	{what: "the same, own instances", section: "own", metric: wallTime, ours: []string{"lrng own", "lrng CTR own"},
		sizes: []int{16, 32, 4 << 10, 64 << 10}, goroutines: 2, thanGoroutines: 1, times: []float64{1.9, 1.9, 1.9, 1.9}},
	{what: "64 goroutines against two, shared generator", section: "shared", metric: wallTime,
		ours:  []string{"lrng.Read", "lrng ahead", "lrng fresh", "lrng CTR ahead"},
		sizes: []int{16, 32, 4 << 10, 64 << 10}, goroutines: 64, thanGoroutines: 2, times: []float64{1, 1, 1, 1}},

	{what: "p99.9, reseeding in the background", section: "latency", metric: "p99.9",
		ours:  []string{"lrng.Read, reseeding", "lrng ahead, reseeding", "lrng own, reseeding", "lrng fresh, reseeding"},
		sizes: []int{32}, than: cryptoRand, times: []float64{1 / 1.3}},

	{what: "allocations in a read, every size", section: "throughput", metric: allocs,
		ours:  append([]string{"lrng unshared", "lrng CTR ahead", "lrng CTR own", "lrng CTR fresh"}, chachaModes...),
		sizes: throughput.sizes},
	{what: "the same in FIPS mode", section: "throughput", metric: allocs, ours: []string{"lrng.Read, FIPS mode", "lrng ahead, FIPS mode", "lrng fresh, FIPS mode"},
		sizes: throughput.sizes},
	{what: "first byte, CPU and OS sources", section: "first", metric: first, ours: []string{"lrng, CPU and OS sources"},
		sizes: []int{32}, limit: 1e6},
	{what: "first byte, default sources", section: "first", metric: first, ours: []string{"lrng, default sources"},
		sizes: []int{32}, limit: 38e6, note: "ESDM, " + elsewhere},
	{what: "prediction-resistant read", section: "collected", metric: wallTime, ours: []string{"PredictionResistant"},
		sizes: []int{32}, limit: 4.6e6, note: "ESDM, " + elsewhere},
	{what: "GetSeed", section: "collected", metric: wallTime, ours: []string{"GetSeed"},
		sizes: []int{32}, limit: 4.7e6, note: "ESDM, " + elsewhere},
}

// A verdict says how a target was met, for one size.
type verdict struct {
	got      float64 // how many times as fast, or the figure itself
	wanted   float64
	measured bool
	met      bool
}

// verdicts returns one for each size.
func (t target) verdicts(r results) []verdict {
	var list []verdict
	for i, size := range t.sizes {
		v := verdict{measured: true, wanted: t.limit}
		if t.times != nil {
			v.wanted = t.times[i]
		}
		for j, name := range t.ours {
			k := key{t.section, t.metric, name, size, max(t.goroutines, 1)}
			got, ok := r.value(k)
			if ok && t.above != "" {
				var less float64
				less, ok = r.value(key{mechanisms.id, t.metric, t.above, size, 1})
				got = max(got-less, 0.01)
			}
			if ok && t.times != nil {
				if t.than != "" {
					k.name = t.than
				}
				if t.thanSize != 0 {
					k.size = t.thanSize
				}
				k.goroutines = max(t.thanGoroutines, 1)
				var reference float64
				reference, ok = r.value(k)
				got = reference / got
			}
			if !ok {
				v = verdict{wanted: v.wanted}
				break
			}
			if t.times != nil {
				// As it is printed: 0.996 is 1.00, and no slower.
				if got = math.Round(got*100) / 100; j == 0 || got < v.got {
					v.got = got
				}
				v.met = v.got >= math.Round(v.wanted*100)/100
			} else {
				v.got = max(v.got, got)
				v.met = v.got <= v.wanted
			}
		}
		list = append(list, v)
	}
	return list
}
